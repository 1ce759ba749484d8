//! The dispatcher: plans, runs units in order, watches for a dead peer and for Ctrl-C, and tells
//! subscribers. It alone holds the state of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::base::{CaseId, ItemId};
use crate::case::Case;
use crate::event::{CaseResult, Event, ItemResult, RunInfo, RunOutcome};
use crate::message::Encoding;
use crate::peer::Credentials;
use crate::peer::fault::Fault;
use crate::spec::filter::Filter;
use crate::spec::{Ics, Profile, ReviewKind, Role, Version};
use crate::transport::client::Address;
use crate::transport::tls::{Tls, Trust};
use crate::transport::{MemoryNet, Net};
use crate::verdict::{ClaimGap, Conformance, Verdict};

use super::clock::Clock;
use super::conclude::millis;
use super::driver_process::DriverCommand;
use super::embedded_client::{self, ClientTarget};
use super::guest::Guest;
use super::outcome::{self, Inputs};
use super::plan::{Plan, Unit};
use super::prompt::Console;
use super::proxy;
use super::real_client;
use super::reference::{EmbeddedServer, reference_accounts};
use super::resume::{self, Prior};
use super::sanity::{self, Sanity};
use super::server_iut;
use super::ssp_embedded;
use super::suite::Suite;
use super::target::{Pace, ServerTarget};
use super::{Bus, CaseOutput};

/// What is under test.
#[derive(Debug)]
pub enum Iut {
    /// The reference, with an optional fault.
    Embedded {
        /// Roles to test.
        roles: Vec<Role>,
        /// Its fault.
        fault: Option<Box<Fault>>,
    },
    /// A real server.
    Server(Box<Profile>),
    /// A real client.
    Client {
        /// Where to wait for it, and its accounts.
        profile: Box<Profile>,
        /// Who makes it act.
        upper: Upper,
    },
    /// Real clients and a real server, with the suite between them.
    Proxy {
        /// That of the server; its `url` is where everything goes.
        profile: Box<Profile>,
        /// Where the clients come to.
        listen: SocketAddr,
        /// End after so many seconds.
        wait: Option<u64>,
    },
}

/// Who makes a real client act.
#[derive(Debug)]
pub enum Upper {
    /// Nobody: it is watched.
    Nobody {
        /// End after so many seconds.
        wait: Option<u64>,
    },
    /// A program.
    Driver(DriverCommand),
    /// A person.
    Person(Arc<Console>),
}

/// How to run.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// Versions; those of the profile or both when empty.
    pub versions: Vec<Version>,
    /// Which cases.
    pub filter: Option<(String, Filter)>,
    /// Cases at one time.
    pub jobs: usize,
    /// Seed of everything that is chosen by chance.
    pub seed: u64,
    /// The vendor's statement, and the file it came from.
    pub ics: Option<(String, Ics)>,
    /// What carries a run against the embedded reference. A product is always on TCP.
    pub net: NetKind,
    /// The text of the file that the profile names in `tls: {ca: FILE}`, PEM.
    pub authorities: Option<String>,
    /// What an earlier attempt came to. Whoever gives it has it told ([`Prior::replay`]) before the run.
    pub prior: Option<Prior>,
}

/// What carries a run against the embedded reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetKind {
    /// Loopback.
    #[default]
    Tcp,
    /// A network in memory, made for the run.
    Memory,
}

impl NetKind {
    fn net(self) -> Net {
        match self {
            NetKind::Tcp => Net::Tcp,
            NetKind::Memory => Net::Memory(MemoryNet::new()),
        }
    }
}

/// Consecutive cases without any readable answer after which the peer is taken for dead.
const BREAKER: usize = 3;
/// How long the lower tester waits for the embedded reference: it answers within milliseconds, and a
/// mutant that is silent on purpose must not make a run long.
const EMBEDDED_PATIENCE: Duration = Duration::from_secs(2);

/// Runs everything and tells `bus`. `stop` ends the run early; what is known is kept.
///
/// # Errors
/// The embedded reference cannot be set up: no loopback, say. The authorities that a profile names cannot
/// be used, or were not handed in.
pub async fn run(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    bus: &mut Bus,
    stop: impl Future<Output = ()>,
) -> std::io::Result<Arc<RunOutcome>> {
    let now = Instant::now();
    // A run that goes on counts from its first beginning, without the time in between.
    let before = options.prior.as_ref().map(Prior::elapsed).unwrap_or_default();
    let epoch = now.checked_sub(before).unwrap_or(now);
    if matches!(iut, Iut::Client { .. }) {
        return real_client::run(suite, iut, options, bus, stop, epoch).await;
    }
    if matches!(iut, Iut::Proxy { .. }) {
        return proxy::run(suite, iut, options, bus, stop, epoch).await;
    }
    let (roles, mut versions) = scope(iut, options);
    let filter = options.filter.as_ref().map(|(_, f)| f);
    let plan = Plan::new(suite, &roles, &versions, filter);
    let mut state = State::after(options.prior.as_ref());
    if options.prior.is_none() {
        let about = info(suite, iut, options, &roles, &versions, plan.units.len());
        bus.emit(&Event::RunStarted(Arc::new(about)));
    }
    let peers = Peers::start(suite, iut, options, epoch).await?;
    let mut stop = std::pin::pin!(stop);
    let first = tokio::select! {
        biased;
        () = &mut stop => { state.interrupted = true; Vec::new() }
        found = peers.sanity(suite, &versions) => found,
    };
    for (version, problem) in first {
        match problem {
            Sanity::Unreachable(why) => state.unreachable = Some(why),
            Sanity::VersionRefused(code) => {
                versions.retain(|v| *v != version);
                state.refused.push(version);
                state.notices.push(format!(
                    "the server refuses CSP {version} (code {code}): its cases are not run, its items are na"
                ));
            }
            Sanity::Trouble(why) => {
                state.troubled = true;
                state.notices.push(format!(
                    "the sanity exchange before the run failed in CSP {version}: {why}"
                ));
            }
        }
    }
    if let Iut::Server(profile) = iut
        && let Some(ssp) = &profile.ssp
        && options.prior.is_none()
    {
        state.notices.push(ssp.decisions());
    }
    for notice in &state.notices {
        bus.emit(&Event::Notice(notice.clone()));
    }
    let runnable: Vec<Unit<'_>> = plan
        .units
        .iter()
        .copied()
        .filter(|u| versions.contains(&u.version))
        .filter(|u| {
            options
                .prior
                .as_ref()
                .is_none_or(|p| !p.has(&u.case.id, u.version))
        })
        .collect();
    if state.unreachable.is_none() && !state.interrupted {
        run_units(suite, &peers, &runnable, options.jobs, bus, &mut state, &mut stop).await;
    }
    if state.unreachable.is_none() && !state.interrupted && !state.troubled && !state.tripped {
        let last = tokio::select! {
            biased;
            () = &mut stop => { state.interrupted = true; Vec::new() }
            found = peers.sanity(suite, &versions) => found,
        };
        for (version, problem) in last {
            let text = match problem {
                Sanity::Unreachable(why) | Sanity::Trouble(why) => why,
                Sanity::VersionRefused(code) => format!("the version is refused with code {code}"),
            };
            let notice = format!(
                "the sanity exchange after the run failed in CSP {version}, that before it did not: {text}; verdicts of late cases may be due to that"
            );
            bus.emit(&Event::Notice(notice.clone()));
            state.caveats.push(notice);
        }
    }
    report_rest(&plan, &versions, &peers, &mut state, bus);
    let outcome = Arc::new(conclude(
        suite, iut, options, &roles, &versions, &plan, state, epoch,
    ));
    bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
    Ok(outcome)
}

/// What is known of a run so far.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) results: Vec<CaseResult>,
    declined: BTreeSet<ItemId>,
    notices: Vec<String>,
    pub(super) caveats: Vec<String>,
    refused: Vec<Version>,
    pub(super) unreachable: Option<String>,
    pub(super) interrupted: bool,
    pub(super) tripped: bool,
    /// The sanity exchange before the run failed already.
    troubled: bool,
    dead_in_a_row: usize,
    pub(super) done: usize,
}

impl State {
    /// The state of a run that goes on where an earlier attempt ended.
    pub(super) fn after(prior: Option<&Prior>) -> Self {
        let mut state = Self::default();
        if let Some(prior) = prior {
            state.results.extend(prior.results().cloned());
            state.declined.extend(prior.declined().cloned());
        }
        state
    }
}

/// Roles and versions of a run.
pub fn scope(iut: &Iut, options: &RunOptions) -> (Vec<Role>, Vec<Version>) {
    let (mut roles, own) = match iut {
        Iut::Embedded { roles, .. } => (roles.clone(), Vec::new()),
        Iut::Server(profile) => (vec![profile.role], profile.csp.clone()),
        Iut::Client { profile, .. } => (vec![Role::Client], profile.csp.clone()),
        Iut::Proxy { profile, .. } => (Role::CSP.to_vec(), profile.csp.clone()),
    };
    let mut versions = options.versions.clone();
    if versions.is_empty() {
        versions = own;
    }
    if versions.is_empty() {
        versions = Version::ALL.to_vec();
    }
    versions.sort_unstable();
    versions.dedup();
    if roles == [Role::Ssp] {
        // SSP has versions of its own; the clients at its side speak CSP 1.2.
        versions = vec![Version::V12];
    } else if !versions.contains(&Version::V12) {
        roles.retain(|r| *r != Role::Ssp);
    }
    (roles, versions)
}

/// What a run with these options is, before it begins.
pub fn describe(suite: &Suite, iut: &Iut, options: &RunOptions) -> RunInfo {
    let (roles, versions) = scope(iut, options);
    let filter = options.filter.as_ref().map(|(_, f)| f);
    let planned = Plan::new(suite, &roles, &versions, filter).units.len();
    info(suite, iut, options, &roles, &versions, planned)
}

pub(super) fn info(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    roles: &[Role],
    versions: &[Version],
    planned: usize,
) -> RunInfo {
    let (embedded, target, address) = match iut {
        Iut::Embedded { fault, .. } => {
            let name = match fault {
                Some(fault) => format!("embedded reference with the fault `{}`", fault.name),
                None => "embedded reference".to_owned(),
            };
            (true, name, String::new())
        }
        Iut::Server(profile) => (
            false,
            profile.name.clone(),
            profile.url.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
        Iut::Client { profile, .. } => (
            false,
            profile.name.clone(),
            profile.listen.map(|l| l.to_string()).unwrap_or_default(),
        ),
        Iut::Proxy { profile, .. } => (
            false,
            format!("{} and its clients", profile.name),
            profile.url.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
    };
    RunInfo {
        suite_version: env!("CARGO_PKG_VERSION").to_owned(),
        tables_hash: suite.tables.digest.clone(),
        cases_hash: suite.cases_digest.clone(),
        started_at: jiff::Timestamp::now().to_string(),
        embedded,
        target,
        address,
        roles: roles.to_vec(),
        versions: versions.to_vec(),
        encoding: Encoding::Xml,
        seed: options.seed,
        filter: options
            .filter
            .as_ref()
            .map(|(t, _)| t.clone())
            .unwrap_or_default(),
        claims: options
            .ics
            .as_ref()
            .map_or_else(|| "derived".to_owned(), |(file, _)| file.clone()),
        planned,
        accounts: accounts_of(iut),
    }
}

/// Users by account name, for whoever judges the transcript later.
fn accounts_of(iut: &Iut) -> BTreeMap<String, String> {
    match iut {
        Iut::Embedded { .. } => reference_accounts()
            .into_iter()
            .map(|(name, c)| (name, c.user))
            .collect(),
        Iut::Server(profile) | Iut::Client { profile, .. } | Iut::Proxy { profile, .. } => profile
            .accounts
            .iter()
            .map(|(name, a)| (name.as_str().to_owned(), a.user.clone()))
            .collect(),
    }
}

/// What was set up for a run.
struct Peers {
    server: Option<ServerTarget>,
    client: Option<ClientTarget>,
    /// How to make an embedded server for each case by SSP.
    by_ssp: Option<BySsp>,
    /// Kept alive as long as the run.
    _embedded: Option<EmbeddedServer>,
}

/// What an embedded server by SSP is made of.
struct BySsp {
    net: NetKind,
    fault: Option<Fault>,
    seed: u64,
    run_id: String,
    epoch: Instant,
}

/// Where the server of a profile is, and whom it must be certified by.
pub(super) fn server_address(profile: &Profile, options: &RunOptions) -> std::io::Result<Option<Address>> {
    let Some(url) = &profile.url else {
        return Ok(None);
    };
    let tls = if url.secure {
        let trust = match (&profile.tls, &options.authorities) {
            (Some(tls), _) if tls.insecure => Trust::Anybody,
            (_, Some(pem)) => Trust::Authorities(pem.clone()),
            // Falling back to other authorities than the profile names would be another test.
            (Some(crate::spec::TlsProfile { ca: Some(file), .. }), None) => {
                return Err(std::io::Error::other(format!("{file} was not handed in")));
            }
            _ => Trust::Public,
        };
        Some(Tls::new(&trust).map_err(std::io::Error::other)?)
    } else {
        None
    };
    Ok(Some(Address {
        net: Net::Tcp,
        tls,
        host: url.host.trim_matches(['[', ']']).to_owned(),
        port: url.port,
        path: url.path.clone(),
    }))
}

impl Peers {
    async fn start(suite: &Suite, iut: &Iut, options: &RunOptions, epoch: Instant) -> std::io::Result<Self> {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let run_id = format!("r{:06x}", random.u32(..0x0100_0000));
        match iut {
            Iut::Embedded { roles, fault } => {
                let fault_of = |role: Role| fault.as_deref().filter(|f| f.role == role).cloned();
                let accounts: BTreeMap<String, Credentials> = reference_accounts().into_iter().collect();
                let mut peers = Peers {
                    server: None,
                    client: None,
                    by_ssp: None,
                    _embedded: None,
                };
                let net = options.net.net();
                if roles.contains(&Role::Ssp) {
                    peers.by_ssp = Some(BySsp {
                        net: options.net,
                        fault: fault_of(Role::Ssp),
                        seed: options.seed,
                        run_id: run_id.clone(),
                        epoch,
                    });
                }
                if roles.contains(&Role::Server) {
                    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                    let checker = Arc::clone(&suite.checker);
                    let clock = Clock::skipping(epoch);
                    let fault = fault_of(Role::Server);
                    let embedded =
                        EmbeddedServer::start(&net, at, checker, fault, random.u64(..), clock.clone())
                            .await?;
                    peers.server = Some(ServerTarget {
                        address: Address::of(&net, embedded.address),
                        headers: Vec::new(),
                        accounts: accounts.clone(),
                        client_id: None,
                        response: EMBEDDED_PATIENCE,
                        pace: Pace::new(None),
                        run_id: run_id.clone(),
                        epoch,
                        clock,
                        // Skipped, not waited for.
                        longest_wait: Duration::from_secs(86_400),
                        quiet: Duration::from_secs(2),
                        domain: None,
                        guest: Guest::at_home(),
                        ssp: None,
                    });
                    peers._embedded = Some(embedded);
                }
                if roles.contains(&Role::Client)
                    && let Some(credentials) = accounts.get("A")
                {
                    peers.client = Some(ClientTarget {
                        net,
                        credentials: credentials.clone(),
                        fault: fault_of(Role::Client),
                        run_id,
                        epoch,
                        clock: Clock::skipping(epoch),
                        seed: random.u64(..),
                    });
                }
                Ok(peers)
            }
            Iut::Client { .. } | Iut::Proxy { .. } => Ok(Peers {
                server: None,
                client: None,
                by_ssp: None,
                _embedded: None,
            }),
            Iut::Server(profile) => {
                let mut ssp = ssp_embedded::real(profile).await?;
                let by_csp = server_address(profile, options)?;
                let without = by_csp.is_none();
                // By SSP alone there is nobody who could log in.
                let address = by_csp.or_else(|| ssp.as_ref().map(|s| s.address.clone()));
                Ok(Peers {
                    server: address.map(|address| ServerTarget {
                        address,
                        headers: profile
                            .headers
                            .iter()
                            .map(|(n, v)| (n.clone(), v.clone()))
                            .collect(),
                        accounts: profile
                            .accounts
                            .iter()
                            .filter(|_| !without)
                            .map(|(name, account)| {
                                let credentials = Credentials {
                                    user: account.user.clone(),
                                    password: account.password.reveal().to_owned(),
                                };
                                (name.as_str().to_owned(), credentials)
                            })
                            .collect(),
                        client_id: profile.client_id.clone(),
                        response: profile.timers.response,
                        pace: Pace::new(Some(profile.limits.rate)),
                        // A real server keeps what earlier runs left: this one needs a word of its own.
                        run_id: format!("{run_id}{:x}", jiff::Timestamp::now().as_second() & 0x00ff_ffff),
                        epoch,
                        clock: Clock::real(epoch),
                        longest_wait: profile.limits.longest_wait,
                        quiet: profile.timers.quiet,
                        domain: profile.domain.clone(),
                        guest: Guest::new(profile.limits.wrong_logins),
                        ssp: ssp.take(),
                    }),
                    client: None,
                    by_ssp: None,
                    _embedded: None,
                })
            }
        }
    }

    /// One login and logout per version, judged by nobody.
    async fn sanity(&self, suite: &Suite, versions: &[Version]) -> Vec<(Version, Sanity)> {
        let Some(target) = &self.server else {
            return Vec::new();
        };
        if target.ssp.is_some() && target.accounts.is_empty() {
            // Nobody can log in: what its other side is worth is for the cases to show.
            return Vec::new();
        }
        let mut found = Vec::new();
        for version in versions {
            if let Some(problem) = sanity::sanity(suite, target, *version).await {
                let fatal = matches!(problem, Sanity::Unreachable(_));
                found.push((*version, problem));
                if fatal {
                    break;
                }
            }
        }
        found
    }

    async fn run(&self, suite: &Suite, unit: Unit<'_>) -> CaseOutput {
        match (unit.case.object, &self.server, &self.client) {
            (Role::Server, Some(target), _) => {
                server_iut::run_case(suite, target, unit.case, unit.version).await
            }
            (Role::Client, _, Some(target)) => {
                embedded_client::run_case(suite, target, unit.case, unit.version).await
            }
            (Role::Ssp, Some(target), _) if target.ssp.is_some() => {
                server_iut::run_ssp_case(suite, target, unit.case, unit.version).await
            }
            (Role::Ssp, ..) if self.by_ssp.is_some() => self.run_by_ssp(suite, unit).await,
            _ => CaseOutput {
                result: not_run(unit.case, unit.version, "no peer of this role was set up"),
                exchanges: Vec::new(),
                declined: Vec::new(),
                dead: false,
            },
        }
    }

    /// A server for this case alone, with nodes beside it.
    async fn run_by_ssp(&self, suite: &Suite, unit: Unit<'_>) -> CaseOutput {
        let failed = |why: &str| CaseOutput {
            result: not_run(unit.case, unit.version, why),
            exchanges: Vec::new(),
            declined: Vec::new(),
            dead: false,
        };
        let Some(by_ssp) = &self.by_ssp else {
            return failed("no peer of this role was set up");
        };
        let BySsp {
            net,
            fault,
            seed,
            run_id,
            epoch,
        } = by_ssp;
        match ssp_embedded::start(suite, &net.net(), fault.clone(), *seed, run_id, *epoch).await {
            Ok(embedded) => server_iut::run_ssp_case(suite, &embedded.target, unit.case, unit.version).await,
            Err(e) => failed(&format!("the embedded server cannot be set up: {e}")),
        }
    }

    /// Asks cases in flight to end and clean up.
    fn leave(&self) {
        if let Some(target) = &self.server {
            target.guest.leave();
        }
    }

    fn is_leaving(&self) -> bool {
        self.server.as_ref().is_some_and(|t| t.guest.is_leaving())
    }

    /// The accounts that a case needs and the profile does not have.
    fn missing_accounts(&self, case: &Case) -> Vec<String> {
        let of_server = matches!(case.object, Role::Server | Role::Ssp) && self.by_ssp.is_none();
        let Some(target) = self
            .server
            .as_ref()
            .filter(|_| of_server || case.object == Role::Server)
        else {
            return Vec::new();
        };
        if case.tags.iter().any(|t| t == "no-account") {
            return Vec::new();
        }
        let mut needed = case.accounts();
        if case.object == Role::Ssp {
            // A node asks about the user of account A where a step says nothing else.
            needed.push("A".to_owned());
            needed.extend(case.mentioned("ABCX"));
            needed.sort();
            needed.dedup();
        }
        let mut missing: Vec<String> = needed
            .into_iter()
            .filter(|a| !target.accounts.contains_key(a))
            .map(|a| format!("account {a}"))
            .collect();
        if let Some(ssp) = &target.ssp {
            let there = &ssp.profile.nodes;
            missing.extend(
                case.nodes()
                    .into_iter()
                    .chain(case.mentioned("NM"))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .filter(|n| !there.contains_key(n))
                    .map(|n| format!("node {n}")),
            );
        }
        if target.client_id.is_some() && case.uses_two_clients() {
            // Two logins under one ClientID may refuse or end each other (LG-7).
            missing.push("a second ClientID".to_owned());
        }
        missing
    }
}

/// Longest that cases in flight may take to clean up after the run was to end.
const FAREWELL: Duration = Duration::from_secs(15);

async fn run_units<S: Future<Output = ()>>(
    suite: &Suite,
    peers: &Peers,
    units: &[Unit<'_>],
    jobs: usize,
    bus: &mut Bus,
    state: &mut State,
    stop: &mut std::pin::Pin<&mut S>,
) {
    let possible = units
        .iter()
        .copied()
        .filter(|u| peers.missing_accounts(u.case).is_empty());
    let mut outputs = futures_util::stream::iter(possible)
        .map(|unit| async move {
            // Nothing is begun once the run is to end.
            match peers.is_leaving() {
                true => None,
                false => Some((unit, peers.run(suite, unit).await)),
            }
        })
        .buffered(jobs.max(1));
    loop {
        let next = tokio::select! {
            biased;
            () = &mut *stop, if !state.interrupted => {
                state.interrupted = true;
                peers.leave();
                continue;
            }
            () = tokio::time::sleep(FAREWELL), if state.interrupted => return,
            next = outputs.next() => next.flatten(),
        };
        let Some((unit, mut output)) = next else { return };
        if state.interrupted {
            // Its sessions are closed; what it came to is not known.
            tell_exchanges(&output, unit.version, bus);
            continue;
        }
        output.result.declined.clone_from(&output.declined);
        bus.emit(&Event::CaseStarted {
            case: output.result.id.clone(),
            version: unit.version,
            title: output.result.title.clone(),
        });
        tell_exchanges(&output, unit.version, bus);
        let last_failed =
            unit.case.object == Role::Server && output.exchanges.last().is_some_and(|e| e.response.is_err());
        state.declined.extend(output.declined);
        state.dead_in_a_row = if output.dead && unit.case.object != Role::Client {
            state.dead_in_a_row + 1
        } else {
            0
        };
        bus.emit(&Event::CaseFinished(Arc::new(output.result.clone())));
        state.results.push(output.result);
        state.done += 1;
        // Cases about refusals end at the first silence: only a peer that does not even let anybody in is
        // dead. One that was well before is asked at its first silence, so that what killed it is not
        // charged to every case that follows.
        let suspected = state.dead_in_a_row >= BREAKER || last_failed && !state.troubled;
        if suspected && !peers.sanity(suite, &[unit.version]).await.is_empty() {
            state.tripped = true;
            let notice = format!(
                "the peer lets nobody in any more after {} in CSP {}: it is taken for dead, the rest is not run",
                unit.case.id, unit.version
            );
            bus.emit(&Event::Notice(notice.clone()));
            state.caveats.push(notice);
            return;
        }
        if suspected {
            state.dead_in_a_row = 0;
        }
    }
}

fn tell_exchanges(output: &CaseOutput, version: Version, bus: &mut Bus) {
    for exchange in &output.exchanges {
        bus.emit(&Event::Exchanged {
            case: output.result.id.clone(),
            version,
            exchange: Arc::clone(exchange),
            archived: None,
        });
    }
}

/// Every planned unit that has no result gets one that says why.
fn report_rest(plan: &Plan<'_>, versions: &[Version], peers: &Peers, state: &mut State, bus: &mut Bus) {
    let done: BTreeSet<(CaseId, Version)> = state.results.iter().map(|r| (r.id.clone(), r.version)).collect();
    let general = if state.interrupted {
        Some(resume::INTERRUPTED)
    } else if state.unreachable.is_some() {
        Some(resume::UNREACHABLE)
    } else if state.tripped {
        Some(resume::DEAD)
    } else {
        None
    };
    let mut missing = BTreeSet::new();
    let mut without = 0_usize;
    for unit in &plan.units {
        if done.contains(&(unit.case.id.clone(), unit.version)) {
            continue;
        }
        let needed = peers.missing_accounts(unit.case);
        let reason = if !versions.contains(&unit.version) {
            "the peer refuses this version".to_owned()
        } else if let Some(general) = general {
            general.to_owned()
        } else {
            without += 1;
            let reason = format!("it needs {}, which the profile does not have", needed.join(", "));
            missing.extend(needed);
            reason
        };
        let result = not_run(unit.case, unit.version, &reason);
        bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
        state.results.push(result);
    }
    if without > 0 {
        let names: Vec<String> = missing.into_iter().collect();
        state.caveats.push(format!(
            "{without} cases were not run: they need what the profile does not have ({})",
            names.join(", ")
        ));
    }
}

/// What narrows a run whose server showed no certificate that was checked.
pub(super) const INSECURE: &str = "the certificate of the server was not checked (`tls: {insecure: true}`): nothing proves that it is the server of this profile";

/// What a person who reads the verdict must know of the statement that it rests on.
pub(super) fn statement_caveats(
    suite: &Suite,
    (file, ics): &(String, Ics),
    versions: &[Version],
    results: &[ItemResult],
) -> Vec<String> {
    let review = ics.review(&suite.tables.items, ics.role);
    let unanswered = review.iter().filter(|f| f.kind == ReviewKind::Unanswered).count();
    let mut caveats: Vec<String> = review
        .into_iter()
        .filter(|f| f.kind.is_contradiction())
        .map(|f| format!("{file} contradicts the tables at {}: {}", f.item, f.text))
        .collect();
    for version in versions.iter().filter(|v| !ics.versions.contains(v)) {
        caveats.push(format!("{file} does not state CSP {version}, which was tested"));
    }
    if unanswered > 0 && !ics.derived {
        caveats.push(format!(
            "{file} has no answer for {unanswered} of the items: the optional ones among them count as not claimed"
        ));
    }
    for gap in ClaimGap::ALL {
        let count = results.iter().filter(|i| i.claim_gap == Some(gap)).count();
        if count > 0 {
            let s = if count == 1 { "" } else { "s" };
            caveats.push(format!("{file}: {count} {gap}{s} ({})", gap.meaning()));
        }
    }
    caveats
}

/// The result of a case that was not run.
pub(super) fn not_run(case: &Case, version: Version, reason: &str) -> CaseResult {
    CaseResult {
        id: case.id.clone(),
        title: case.title.clone(),
        scr: case.scr.clone(),
        role: case.object,
        version,
        encoding: Encoding::Xml,
        verdict: Verdict::None,
        reason: reason.to_owned(),
        criteria: Vec::new(),
        silence: Vec::new(),
        declined: Vec::new(),
        duration_ms: 0,
        turns: Vec::new(),
    }
}

/// The outcome of a run.
#[expect(clippy::too_many_arguments, reason = "one place, two callers")]
pub(super) fn conclude(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    roles: &[Role],
    versions: &[Version],
    plan: &Plan<'_>,
    state: State,
    epoch: Instant,
) -> RunOutcome {
    let not_run: BTreeSet<ItemId> = state
        .results
        .iter()
        .filter(|r| r.verdict == Verdict::None && r.criteria.is_empty() && versions.contains(&r.version))
        .flat_map(|r| r.scr.iter().cloned())
        .collect();
    let count = state
        .results
        .iter()
        .filter(|r| r.verdict == Verdict::None && r.criteria.is_empty())
        .count();
    let inputs = Inputs {
        items: &suite.tables.items,
        roles,
        versions,
        results: &state.results,
        not_run,
        filtered: plan.filtered > 0 || state.unreachable.is_some() || state.interrupted || state.tripped,
        ics: options.ics.as_ref().map(|(_, i)| i),
        declined: &state.declined,
        real: !matches!(iut, Iut::Embedded { .. }),
    };
    let (items, mut conformance, mut caveats) = outcome::items(&inputs);
    caveats.extend(state.caveats);
    // A refused version narrows the certificate; it does not disappear from it.
    caveats.extend(state.notices);
    if let Some(statement) = &options.ics {
        caveats.extend(statement_caveats(suite, statement, versions, &items));
    }
    if let Iut::Server(profile) = iut
        && profile.tls.as_ref().is_some_and(|t| t.insecure)
    {
        caveats.push(INSECURE.to_owned());
    }
    if plan.filtered > 0 {
        caveats.push(format!("a filter left out {} of the cases", plan.filtered));
    }
    if state.interrupted {
        for verdict in conformance.values_mut() {
            if *verdict == Conformance::Conformant {
                *verdict = Conformance::NotDetermined;
            }
        }
    }
    RunOutcome {
        items,
        conformance,
        interrupted: state.interrupted,
        unreachable: state.unreachable,
        not_run: count,
        caveats,
        refused: state.refused,
        imported: Vec::new(),
        duration_ms: millis(epoch.elapsed()),
    }
}
