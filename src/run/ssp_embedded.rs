//! The embedded server under test by SSP, with the nodes of the lower tester beside it: one of each for every
//! case.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::peer::fault::Fault;
use crate::spec::{Profile, SspProfile};
use crate::transport::Net;
use crate::transport::client::Address;
use crate::transport::server::listen_with;
use crate::transport::tls::{Tls, Trust};

use super::clock::Clock;
use super::guest::Guest;
use super::joined::{JoinedServer, Joining, own_certificate};
use super::reference::reference_accounts;
use super::ssp_node::{Past, Seat};
use super::ssp_steps::SspTarget;
use super::suite::Suite;
use super::target::{Pace, ServerTarget};

/// The domains of the nodes beside the embedded server.
const DOMAINS: [(&str, &str); 2] = [("N", "peer-n.example"), ("M", "peer-m.example")];
/// How long the lower tester waits for the embedded server, which answers within milliseconds; longer than
/// that waits for a peer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long nothing must come from it.
const SILENCE: Duration = Duration::from_millis(150);

/// A server and how to speak to it; it runs as long as this is kept.
#[derive(Debug)]
pub struct Embedded {
    /// How to speak to it.
    pub target: ServerTarget,
    _server: JoinedServer,
}

/// Starts a server with two nodes beside it.
///
/// # Errors
/// There is no port.
pub async fn start(
    suite: &Suite,
    net: &Net,
    fault: Option<Fault>,
    seed: u64,
    run_id: &str,
    epoch: Instant,
) -> std::io::Result<Embedded> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut seats = Vec::new();
    let mut peers = BTreeMap::new();
    for (name, domain) in DOMAINS {
        // One node offers TLS, so that both ways are gone.
        let offers_tls = name == "M";
        let certificate = offers_tls.then(own_certificate).transpose()?;
        let listener = listen_with(net, at, certificate).await?;
        peers.insert(domain.to_owned(), Address::of(net, listener.address));
        seats.push(Seat {
            name: name.to_owned(),
            domain: domain.to_owned(),
            listener,
            offers_tls,
            past: Past::default(),
        });
    }
    // Time is skipped for this server alone.
    let clock = Clock::skipping(epoch);
    let profile = SspProfile {
        relay: PATIENCE,
        silence: SILENCE,
        ..SspProfile::default()
    };
    let accounts: BTreeMap<_, _> = reference_accounts().into_iter().collect();
    let joining = Joining {
        accounts: accounts.values().cloned().collect(),
        peers,
        version: profile.version,
        formula: profile.digest.clone(),
        tls: true,
        seed,
    };
    let domain = accounts
        .get("A")
        .and_then(|a| a.user.split_once('@'))
        .map(|(_, d)| d.to_owned())
        .unwrap_or_default();
    let checker = Arc::clone(&suite.checker);
    let server = JoinedServer::start(net, (at, at), checker, joining, fault, clock.clone()).await?;
    let target = ServerTarget {
        address: Address::of(net, server.csp),
        headers: Vec::new(),
        accounts,
        client_id: None,
        response: PATIENCE,
        pace: Pace::new(None),
        run_id: run_id.to_owned(),
        epoch,
        clock,
        longest_wait: Duration::from_secs(86_400),
        quiet: Duration::from_secs(2),
        domain: Some(domain.clone()),
        guest: Guest::at_home(),
        ssp: Some(SspTarget {
            profile,
            domain,
            address: Address::of(net, server.ssp),
            seats: tokio::sync::Mutex::new(seats),
        }),
    };
    Ok(Embedded {
        target,
        _server: server,
    })
}

/// The other side of a product: its address, and the nodes at the addresses that it knows.
///
/// # Errors
/// An address of a node cannot be listened at, or the address of the server cannot be found.
pub async fn real(profile: &Profile) -> std::io::Result<Option<SspTarget>> {
    let Some(ssp) = &profile.ssp else {
        return Ok(None);
    };
    let mut seats = Vec::new();
    for (name, node) in &ssp.nodes {
        let certificate = node.tls.then(own_certificate).transpose()?;
        let listener = listen_with(&Net::Tcp, node.listen, certificate)
            .await
            .map_err(|e| {
                std::io::Error::new(
                    e.kind(),
                    format!("node {name} cannot listen at {}: {e}", node.listen),
                )
            })?;
        seats.push(Seat {
            name: name.clone(),
            domain: node.domain.clone(),
            listener,
            offers_tls: node.tls,
            past: Past::default(),
        });
    }
    let domain = profile.domain.clone().unwrap_or_default().to_lowercase();
    let Some(url) = &ssp.url else {
        return Ok(None);
    };
    let tls = match (url.secure, ssp.insecure) {
        (false, _) => None,
        (true, insecure) => {
            let trust = if insecure { Trust::Anybody } else { Trust::Public };
            Some(Tls::new(&trust).map_err(std::io::Error::other)?)
        }
    };
    Ok(Some(SspTarget {
        profile: ssp.clone(),
        domain,
        address: Address {
            net: Net::Tcp,
            tls,
            host: url.host.trim_matches(['[', ']']).to_owned(),
            port: url.port,
            path: url.path.clone(),
        },
        seats: tokio::sync::Mutex::new(seats),
    }))
}
