//! Between real clients and a real server: what passes goes on unchanged, and both sides are judged by it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::CaseId;
use crate::base::limits::MAX_PASSIVE_EXCHANGES;
use crate::event::{CaseResult, Event, RunOutcome};
use crate::peer::Credentials;
use crate::record::Failure;
use crate::spec::{HttpUrl, Profile};
use crate::transport::Net;
use crate::transport::client::Address;
use crate::transport::relay::{Passing, Relay, relay};

use super::Bus;
use super::both_sides::{BothSides, Passed};
use super::conclude::millis;
use super::dispatcher::{self, Iut, RunOptions};
use super::harvest::{self, HarvestSetup};
use super::suite::Suite;
use super::watched::Watched;

/// How the notice begins that such a run waits.
pub const WAITING: &str = "passing on what comes to ";

/// Notices about single messages that are no affair of CSP, or that found no server; more are counted.
const MAX_NOTICES: usize = 20;

/// Passes on and judges until `stop`, the end of the wait, or the limit of messages.
///
/// # Errors
/// The address cannot be listened at, or the authorities of the profile cannot be used.
pub async fn run(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    bus: &mut Bus,
    stop: impl Future<Output = ()>,
    epoch: Instant,
) -> std::io::Result<Arc<RunOutcome>> {
    let Iut::Proxy {
        profile,
        listen,
        wait,
    } = iut
    else {
        return Err(std::io::Error::other("not a proxy"));
    };
    let target = dispatcher::server_address(profile, options)?
        .ok_or_else(|| std::io::Error::other("no server to pass on to"))?;
    let call = Call {
        suite,
        iut,
        profile,
        options,
        epoch,
    };
    let relay = relay(&Net::Tcp, *listen, target.clone(), profile.timers.response).await?;
    call.pass(relay, &target, *wait, bus, stop).await
}

struct Call<'a> {
    suite: &'a Suite,
    iut: &'a Iut,
    profile: &'a Profile,
    options: &'a RunOptions,
    epoch: Instant,
}

/// What passed besides messages that were judged.
#[derive(Debug, Default)]
struct Aside {
    foreign: usize,
    refused: usize,
    answers: usize,
    failures: usize,
    /// The first reason for which there was no connection to the server.
    unreachable: Option<String>,
}

impl Aside {
    /// Says so, unless it was said of many already.
    fn tell(count: usize, text: String, bus: &mut Bus) {
        if count <= MAX_NOTICES {
            bus.emit(&Event::Notice(text));
        }
    }

    fn caveats(&self) -> Vec<String> {
        [
            (
                self.foreign,
                "no CSP in XML, passed on, and nobody is judged by it",
            ),
            (self.refused, "not passed on"),
            (
                self.failures,
                "without an answer through the proxy, and nobody is judged by that",
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| match count {
            1 => format!("{OF_PASSING}1 request was {what}"),
            _ => format!("{OF_PASSING}{count} requests were {what}"),
        })
        .collect()
    }
}

impl Call<'_> {
    async fn pass(
        &self,
        mut relay: Relay,
        target: &Address,
        wait: Option<u64>,
        bus: &mut Bus,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<Arc<RunOutcome>> {
        let (roles, versions) = dispatcher::scope(self.iut, self.options);
        let about = dispatcher::info(self.suite, self.iut, self.options, &roles, &versions, 2);
        bus.emit(&Event::RunStarted(Arc::new(about)));
        bus.emit(&Event::Notice(waiting(relay.address, target)));
        let setup = HarvestSetup {
            accounts: self
                .profile
                .accounts
                .values()
                .map(|a| Credentials {
                    user: a.user.clone(),
                    password: a.password.reveal().to_owned(),
                })
                .collect(),
            seed: self.options.seed,
            epoch: self.epoch,
            wait: wait.map(Duration::from_secs),
        };
        let case = CaseId::parse(harvest::CASE).map_err(std::io::Error::other)?;
        let mut sides = BothSides::new(self.suite, &setup, &versions);
        let mut aside = Aside::default();
        let mut interrupted = false;
        let deadline = async {
            match setup.wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        let mut stop = std::pin::pin!(stop);
        let mut deadline = std::pin::pin!(deadline);
        while sides.count() < MAX_PASSIVE_EXCHANGES {
            let passing = tokio::select! {
                biased;
                () = &mut stop => { interrupted = true; break }
                () = &mut deadline => break,
                passing = relay.passing.recv() => match passing {
                    Some(passing) => passing,
                    None => break,
                },
            };
            if let Some(passed) = self.take(passing, &mut sides, &mut aside, bus) {
                tell(&case, passed, bus);
            }
        }
        if sides.count() >= MAX_PASSIVE_EXCHANGES {
            let text =
                format!("MAX_PASSIVE_EXCHANGES ({MAX_PASSIVE_EXCHANGES} messages) is reached: the run ends");
            bus.emit(&Event::Notice(text));
        }
        // What passed by now counts; then nothing passes any more.
        relay.passing.close();
        while let Ok(passing) = relay.passing.try_recv() {
            if let Some(passed) = self.take(passing, &mut sides, &mut aside, bus) {
                tell(&case, passed, bus);
            }
        }
        drop(relay);
        for passed in sides.cut_off(millis(self.epoch.elapsed())) {
            tell(&case, passed, bus);
        }
        let harvest = sides.conclude(&versions);
        let mut narrowed = caveats(&harvest.results);
        narrowed.extend(aside.caveats());
        if self.profile.tls.as_ref().is_some_and(|t| t.insecure) {
            narrowed.push(dispatcher::INSECURE.to_owned());
        }
        let watched = Watched {
            suite: self.suite,
            options: self.options,
            roles: &roles,
            versions: &versions,
            case: &case,
            harvest: &harvest,
            interrupted,
            unreachable: aside.unreachable.filter(|_| aside.answers == 0),
            caveats: narrowed,
            epoch: self.epoch,
        };
        Ok(watched.conclude(bus))
    }

    /// Takes what passed; gives the exchange that it ends.
    fn take(
        &self,
        passing: Passing,
        sides: &mut BothSides<'_>,
        aside: &mut Aside,
        bus: &mut Bus,
    ) -> Option<Passed> {
        let since = |at: Instant| millis(at.saturating_duration_since(self.epoch));
        match passing {
            Passing::Asked { id, request, at } => {
                sides.asked(id, request, since(at));
                None
            }
            Passing::Answered {
                id,
                response,
                gone,
                at,
            } => {
                aside.answers += usize::from(response.is_ok());
                if let Err(Failure::Unreachable(_) | Failure::Tls(_)) = &response
                    && aside.unreachable.is_none()
                {
                    aside.unreachable = response.as_ref().err().map(ToString::to_string);
                }
                let why = match &response {
                    Ok(_) if gone => "the client did not wait for the answer".to_owned(),
                    Ok(_) => String::new(),
                    Err(failure) => format!("the client got HTTP 502: {failure}"),
                };
                let octets = response.as_ref().map_or(0, |r| r.body.len());
                // An answer that nobody got counts for nobody.
                let response = match gone && response.is_ok() {
                    true => Err(Failure::Cancelled),
                    false => response,
                };
                let passed = sides.answered(id, response, octets, since(at))?;
                let number = passed.exchange.number;
                if !why.is_empty() {
                    aside.failures += 1;
                    Aside::tell(aside.failures, format!("exchange {number}: {why}"), bus);
                }
                if let Some(what) = &passed.foreign {
                    aside.foreign += 1;
                    let text = format!("exchange {number}: {what}, was passed on and is not judged");
                    Aside::tell(aside.foreign, text, bus);
                }
                Some(passed)
            }
            Passing::Refused { start, why, status } => {
                aside.refused += 1;
                let text = format!("`{start}` was not passed on, the client got HTTP {status}: {why}");
                Aside::tell(aside.refused, text, bus);
                None
            }
            Passing::NoHttp(why) => {
                aside.refused += 1;
                let text = format!("a client sent what is no HTTP: it was not passed on ({why})");
                Aside::tell(aside.refused, text, bus);
                None
            }
        }
    }
}

/// The notice that it begins.
fn waiting(listener: SocketAddr, target: &Address) -> String {
    format!(
        "{WAITING}http://{listener}/ to {} ; Ctrl-C ends the run and keeps what is known",
        target.url()
    )
}

fn tell(case: &CaseId, passed: Passed, bus: &mut Bus) {
    let Passed {
        exchange,
        version,
        judged,
        foreign: _,
    } = passed;
    bus.emit(&Event::Exchanged {
        case: case.clone(),
        version,
        exchange,
        archived: None,
    });
    for message in judged {
        bus.emit(&Event::Judged(Arc::new(message)));
    }
}

/// How what narrows this run begins, whatever is judged by it.
const OF_PASSING: &str = "of what passed, ";

/// Whether this narrows a run as it was, not its judgement.
pub(super) fn is_of_passing(caveat: &str) -> bool {
    caveat.starts_with(OF_PASSING) || caveat == dispatcher::INSECURE
}

/// What narrows every run between two products.
pub(super) fn caveats(results: &[CaseResult]) -> Vec<String> {
    let mut caveats = vec![
        "what passes between a client and a server is judged by what they chose to do: what needs a stimulus or a \
         wrong request stays untested"
            .to_owned(),
    ];
    if results.is_empty() {
        caveats.push("nothing passed that could be judged".to_owned());
    }
    caveats
}

impl Iut {
    /// A run between clients and a server; `profile` is that of the server, if there is one.
    pub fn proxy(listen: SocketAddr, target: HttpUrl, profile: Option<Profile>, wait: Option<u64>) -> Self {
        let mut profile = profile.unwrap_or_else(|| {
            let mut profile = Profile::of_target(target.clone());
            profile.name = "a server".to_owned();
            profile.timers.response = PATIENCE;
            profile
        });
        profile.url = Some(target);
        Iut::Proxy {
            profile: Box::new(profile),
            listen,
            wait,
        }
    }
}

/// How long a server may take to answer, where no profile says so: longer than clients wait.
const PATIENCE: Duration = Duration::from_secs(60);
