//! The embedded client under test: a station of its own for each case.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::time::Instant;

use crate::case::Case;
use crate::peer::Credentials;
use crate::peer::fault::Fault;
use crate::spec::Version;
use crate::transport::Net;
use crate::transport::client::Address;
use crate::transport::server::listen_on;

use super::CaseOutput;
use super::client_iut::{judge_of, run_case_at};
use super::clock::Clock;
use super::conclude::{result, suite_error};
use super::driver::{EmbeddedTester, Settings, UpperTester};
use super::station::{Host, Manners, Station};
use super::suite::Suite;

/// How the embedded client under test is made.
#[derive(Debug)]
pub struct ClientTarget {
    /// The network that it shares with the lower tester.
    pub net: Net,
    /// Its account.
    pub credentials: Credentials,
    /// Its fault.
    pub fault: Option<Fault>,
    /// Word in everything that this run creates.
    pub run_id: String,
    /// When the run began.
    pub epoch: Instant,
    /// The clock that both sides go by.
    pub clock: Clock,
    /// Seed.
    pub seed: u64,
}

/// Runs one case with an embedded client of its own.
pub async fn run_case(suite: &Suite, target: &ClientTarget, case: &Case, version: Version) -> CaseOutput {
    let started = Instant::now();
    match embedded_station(suite, target, version, Manners::embedded()).await {
        Ok(mut station) => run_case_at(suite, &mut station, &target.credentials, case, version).await,
        Err(text) => {
            let mut judge = judge_of(suite, version);
            suite_error(&mut judge, case, &text);
            CaseOutput {
                result: result(case, judge, text, Vec::new(), started),
                exchanges: Vec::new(),
                declined: Vec::new(),
                dead: false,
            }
        }
    }
}

/// A station on loopback with the embedded client.
///
/// # Errors
/// There is no loopback, or no HTTP client.
pub async fn embedded_station(
    suite: &Suite,
    target: &ClientTarget,
    version: Version,
    manners: Manners,
) -> Result<Station, String> {
    let listener = listen_on(&target.net, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .map_err(|e| format!("no listener on loopback: {e}"))?;
    let settings = Settings {
        url: format!("http://{}/", listener.address),
        version,
        credentials: target.credentials.clone(),
        client_id: format!("http://imps-scr.invalid/{}", target.run_id),
    };
    // Cases that run at one time share no time.
    let clock = target.clock.apart();
    let tester = EmbeddedTester::new(
        &settings,
        &Address::of(&target.net, listener.address),
        format!("{}#1", target.run_id),
        target.fault.clone(),
        clock.clone(),
        std::sync::Arc::clone(&suite.checker),
    )?;
    let host = Host {
        accounts: vec![target.credentials.clone()],
        max_keep_alive: 3600,
        seed: target.seed,
        epoch: target.epoch,
        clock,
        slowness: 1,
    };
    let tester = UpperTester::Embedded(Box::new(tester));
    Ok(Station::new(suite, listener, host, tester, manners))
}
