//! A real client under test: made to act by a driver or a person and met at one station for the whole run,
//! or left to itself and harvested.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::CaseId;
use crate::event::{CaseResult, Event, RunOutcome};
use crate::peer::Credentials;
use crate::record::Exchange;
use crate::spec::{AccountName, Profile, Role, Version};
use crate::transport::Net;
use crate::transport::server::{Listener, listen_on};

use super::client_iut::run_case_at;
use super::clock::Clock;
use super::dispatcher::{self, Iut, RunOptions, State, Upper};
use super::driver::{Order, Settings, UpperTester};
use super::driver_process::{DriverCommand, DriverProcess};
use super::harvest::{self, HarvestSetup};
use super::plan::{Plan, Unit};
use super::reference::reference_accounts;
use super::shape::needs_driver;
use super::station::{Between, Host, Manners, Station};
use super::suite::Suite;
use super::watched::Watched;
use super::{Bus, CaseOutput};

/// Longest KeepAliveTime granted to a client that a driver makes act, in seconds.
pub(super) const KEEP_ALIVE: u32 = 3600;
/// Who logs in when no account is given.
pub(super) const NOBODY: &str = "wv:somebody@imps-scr.invalid";
/// Most messages of a real client that one step takes.
pub(super) const MAX_MESSAGES: usize = 2_000;

/// Tests a real client and tells `bus`.
///
/// # Errors
/// The address cannot be listened at.
pub async fn run(
    suite: &Suite,
    iut: &Iut,
    options: &RunOptions,
    bus: &mut Bus,
    stop: impl Future<Output = ()>,
    epoch: Instant,
) -> std::io::Result<Arc<RunOutcome>> {
    let Iut::Client { profile, upper } = iut else {
        return Err(std::io::Error::other("not a client"));
    };
    let at = profile
        .listen
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let listener = listen_on(&Net::Tcp, at).await?;
    let call = Call {
        suite,
        iut,
        profile,
        options,
        epoch,
    };
    match upper {
        Upper::Nobody { wait } => call.harvest(listener, *wait, bus, stop).await,
        Upper::Driver(how) => Ok(call.driven(listener, how, bus, stop).await),
        Upper::Person(console) => Ok(call.prompted(listener, console, bus, stop).await),
    }
}

/// What a run of a real client is about.
pub(super) struct Call<'a> {
    pub(super) suite: &'a Suite,
    pub(super) iut: &'a Iut,
    pub(super) profile: &'a Profile,
    pub(super) options: &'a RunOptions,
    epoch: Instant,
}

/// Why cases are not run.
pub(super) struct Gone(pub(super) String);

impl Call<'_> {
    pub(super) fn accounts(&self) -> Vec<Credentials> {
        self.profile
            .accounts
            .values()
            .map(|a| Credentials {
                user: a.user.clone(),
                password: a.password.reveal().to_owned(),
            })
            .collect()
    }

    pub(super) fn settings(
        &self,
        listener: SocketAddr,
        version: Version,
        credentials: &Credentials,
    ) -> Settings {
        Settings {
            url: format!("http://{listener}/"),
            version,
            credentials: credentials.clone(),
            client_id: self
                .profile
                .client_id
                .clone()
                .unwrap_or_else(|| "http://imps-scr.invalid/client-1".to_owned()),
        }
    }

    /// Who logs in: A, or whoever there is.
    pub(super) fn first_account(&self, accounts: &[Credentials]) -> Credentials {
        let a = self.profile.account(AccountName::A).map(|a| a.user.as_str());
        let nobody = Credentials {
            user: NOBODY.to_owned(),
            password: String::new(),
        };
        let found = accounts.iter().find(|c| Some(c.user.as_str()) == a);
        found.or(accounts.first()).cloned().unwrap_or(nobody)
    }

    pub(super) fn host(&self, accounts: Vec<Credentials>, max_keep_alive: u32, slowness: u32) -> Host {
        Host {
            accounts,
            max_keep_alive,
            seed: self.options.seed,
            epoch: self.epoch,
            clock: Clock::real(self.epoch),
            slowness,
        }
    }

    pub(super) fn started(&self, bus: &mut Bus, address: SocketAddr, versions: &[Version], planned: usize) {
        if self.options.prior.is_some() {
            // Told already, with what was done before.
            return;
        }
        let (roles, _) = dispatcher::scope(self.iut, self.options);
        let mut about = dispatcher::info(self.suite, self.iut, self.options, &roles, versions, planned);
        about.address = address.to_string();
        bus.emit(&Event::RunStarted(Arc::new(about)));
    }

    /// Whether an earlier attempt of the run came to the end of a case.
    pub(super) fn is_done(&self, unit: &Unit<'_>) -> bool {
        let prior = self.options.prior.as_ref();
        prior.is_some_and(|p| p.has(&unit.case.id, unit.version))
    }

    pub(super) fn plan(&self, versions: &[Version]) -> Plan<'_> {
        let filter = self.options.filter.as_ref().map(|(_, f)| f);
        Plan::new(self.suite, &[Role::Client], versions, filter)
    }

    /// With a driver: every case in every version, one after the other.
    async fn driven(
        &self,
        listener: Listener,
        how: &DriverCommand,
        bus: &mut Bus,
        stop: impl Future<Output = ()>,
    ) -> Arc<RunOutcome> {
        let (_, versions) = dispatcher::scope(self.iut, self.options);
        let plan = self.plan(&versions);
        let address = listener.address;
        self.started(bus, address, &versions, plan.units.len());
        let mut state = State::after(self.options.prior.as_ref());
        let mut stop = std::pin::pin!(stop);
        let started = tokio::select! {
            biased;
            () = &mut stop => None,
            started = DriverProcess::start(how.clone()) => Some(started),
        };
        let mut rest = Gone("interrupted".to_owned());
        match started {
            None => state.interrupted = true,
            Some(Err(why)) => {
                let why = format!("the driver cannot be used: {why}");
                state.unreachable = Some(why.clone());
                rest = Gone(why);
            }
            Some(Ok(driver)) => {
                bus.emit(&Event::Notice(format!(
                    "the driver of {} is there; the client is to use http://{address}/",
                    driver.name()
                )));
                let mut accounts = self.accounts();
                if accounts.is_empty() {
                    accounts = reference_accounts().into_iter().map(|(_, c)| c).collect();
                }
                let credentials = self.first_account(&accounts);
                let manners = Manners {
                    late: self.profile.timers.response,
                    quiet: self.profile.timers.quiet,
                    most: MAX_MESSAGES,
                    between: Between::Reset,
                    patience: None,
                    probe: true,
                };
                let host = self.host(accounts, KEEP_ALIVE, 1);
                let tester = UpperTester::Process(Box::new(driver));
                let mut station = Station::new(self.suite, listener, host, tester, manners);
                let driven = async {
                    self.drive(&mut station, &plan, &credentials, bus, &mut state)
                        .await
                };
                let done = tokio::select! {
                    biased;
                    () = &mut stop => None,
                    done = driven => Some(done),
                };
                match done {
                    None => state.interrupted = true,
                    Some(Err(gone)) => rest = gone,
                    Some(Ok(())) => rest = Gone(String::new()),
                }
                for notice in station.notices() {
                    bus.emit(&Event::Notice(notice));
                }
                if let UpperTester::Process(driver) = station.into_tester() {
                    driver.end().await;
                }
            }
        }
        self.finish(&plan, &versions, state, &rest, bus)
    }

    async fn drive(
        &self,
        station: &mut Station,
        plan: &Plan<'_>,
        credentials: &Credentials,
        bus: &mut Bus,
        state: &mut State,
    ) -> Result<(), Gone> {
        let mut spoken: Option<Version> = None;
        let mut refused: Option<(Version, String)> = None;
        for unit in plan.units.iter().filter(|u| !self.is_done(u)) {
            if let Some(why) = station.dead().map(str::to_owned) {
                self.revive(station, &why, bus, state).await?;
                spoken = None;
            }
            if let Some((_, why)) = refused.as_ref().filter(|(v, _)| *v == unit.version) {
                let result = dispatcher::not_run(unit.case, unit.version, why);
                bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
                state.results.push(result);
                continue;
            }
            if spoken != Some(unit.version) {
                let settings = self.settings(station.address(), unit.version, credentials);
                match station.carry_out(Order::Configure(settings)).await {
                    Ok(()) => spoken = Some(unit.version),
                    Err(why) if station.dead().is_some() => {
                        // Dead before the first case of this version: once more, then it is over.
                        self.revive(station, &why, bus, state).await?;
                        let settings = self.settings(station.address(), unit.version, credentials);
                        station
                            .carry_out(Order::Configure(settings))
                            .await
                            .map_err(|why| self.lost(&why, bus, state))?;
                        spoken = Some(unit.version);
                    }
                    Err(why) => {
                        let why = format!(
                            "the client could not be configured for CSP {}: {why}",
                            unit.version
                        );
                        bus.emit(&Event::Notice(why.clone()));
                        state.caveats.push(why.clone());
                        refused = Some((unit.version, why.clone()));
                        let result = dispatcher::not_run(unit.case, unit.version, &why);
                        bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
                        state.results.push(result);
                        continue;
                    }
                }
            }
            self.one(station, *unit, credentials, bus, state).await;
        }
        Ok(())
    }

    async fn revive(
        &self,
        station: &mut Station,
        why: &str,
        bus: &mut Bus,
        state: &mut State,
    ) -> Result<(), Gone> {
        let UpperTester::Process(driver) = station.tester() else {
            return Err(self.lost(why, bus, state));
        };
        if let Err(again) = driver.restart().await {
            return Err(self.lost(&format!("{why}; it is not started again: {again}"), bus, state));
        }
        bus.emit(&Event::Notice(format!("{why}; it was started again")));
        station.revived();
        Ok(())
    }

    pub(super) fn lost(&self, why: &str, bus: &mut Bus, state: &mut State) -> Gone {
        let text = format!("nobody makes the client act any more: {why}");
        bus.emit(&Event::Notice(text.clone()));
        state.caveats.push(text.clone());
        state.tripped = true;
        Gone(text)
    }

    /// Runs a case and tells what came of it.
    pub(super) async fn one(
        &self,
        station: &mut Station,
        unit: Unit<'_>,
        credentials: &Credentials,
        bus: &mut Bus,
        state: &mut State,
    ) {
        bus.emit(&Event::CaseStarted {
            case: unit.case.id.clone(),
            version: unit.version,
            title: unit.case.title.clone(),
        });
        let output = run_case_at(self.suite, station, credentials, unit.case, unit.version).await;
        for notice in station.notices() {
            bus.emit(&Event::Notice(notice));
        }
        tell(bus, unit, &output);
        state.results.push(output.result);
        state.done += 1;
    }

    /// Left alone.
    async fn harvest(
        &self,
        mut listener: Listener,
        wait: Option<u64>,
        bus: &mut Bus,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<Arc<RunOutcome>> {
        let (roles, versions) = dispatcher::scope(self.iut, self.options);
        self.started(bus, listener.address, &versions, 1);
        bus.emit(&Event::Notice(format!(
            "{}http://{}/ ; Ctrl-C ends the run and keeps what is known",
            harvest::WAITING,
            listener.address
        )));
        let setup = HarvestSetup {
            accounts: self.accounts(),
            seed: self.options.seed,
            epoch: self.epoch,
            wait: wait.map(Duration::from_secs),
        };
        let mut interrupted = false;
        let case = CaseId::parse(harvest::CASE).map_err(std::io::Error::other)?;
        let harvest = {
            let mut on = |exchange: &Arc<Exchange>, version: Version| {
                bus.emit(&Event::Exchanged {
                    case: case.clone(),
                    version,
                    exchange: Arc::clone(exchange),
                    archived: None,
                });
            };
            let stop = async {
                stop.await;
                interrupted = true;
            };
            harvest::serve(self.suite, &setup, &mut listener, &versions, stop, &mut on).await
        };
        let watched = Watched {
            suite: self.suite,
            options: self.options,
            roles: &roles,
            versions: &versions,
            case: &case,
            harvest: &harvest,
            interrupted,
            unreachable: None,
            caveats: harvest::caveats(&harvest.results),
            epoch: self.epoch,
        };
        Ok(watched.conclude(bus))
    }

    /// Results for what was planned and not run, and the outcome.
    pub(super) fn finish(
        &self,
        plan: &Plan<'_>,
        versions: &[Version],
        mut state: State,
        rest: &Gone,
        bus: &mut Bus,
    ) -> Arc<RunOutcome> {
        let done: BTreeSet<(CaseId, Version)> =
            state.results.iter().map(|r| (r.id.clone(), r.version)).collect();
        let mut generated = 0_usize;
        for unit in &plan.units {
            if done.contains(&(unit.case.id.clone(), unit.version)) {
                continue;
            }
            let prompted = matches!(
                self.iut,
                Iut::Client {
                    upper: Upper::Person(_),
                    ..
                }
            );
            let reason = if prompted && needs_driver(unit.case) {
                generated += 1;
                "needs a driver"
            } else {
                &rest.0
            };
            let result = dispatcher::not_run(unit.case, unit.version, reason);
            bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
            state.results.push(result);
        }
        if generated > 0 {
            state.caveats.push(format!(
                "{generated} generated cases were not run: they are too many for a person and need a driver (`--driver`)"
            ));
        }
        let (roles, _) = dispatcher::scope(self.iut, self.options);
        let outcome = Arc::new(dispatcher::conclude(
            self.suite,
            self.iut,
            self.options,
            &roles,
            versions,
            plan,
            state,
            self.epoch,
        ));
        bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
        outcome
    }
}

fn tell(bus: &mut Bus, unit: Unit<'_>, output: &CaseOutput) {
    for exchange in &output.exchanges {
        bus.emit(&Event::Exchanged {
            case: unit.case.id.clone(),
            version: unit.version,
            exchange: Arc::clone(exchange),
            archived: None,
        });
    }
    bus.emit(&Event::CaseFinished(Arc::new(output.result.clone())));
}

/// The exchanges that a result speaks of, under its own name.
pub(super) fn emit_places(bus: &mut Bus, result: &CaseResult, exchanges: &[Arc<Exchange>]) {
    let wanted: BTreeSet<u32> = result
        .criteria
        .iter()
        .flat_map(|c| &c.places)
        .filter_map(|p| p.exchange)
        .collect();
    for exchange in exchanges.iter().filter(|e| wanted.contains(&e.number)) {
        bus.emit(&Event::Exchanged {
            case: result.id.clone(),
            version: result.version,
            exchange: Arc::clone(exchange),
            archived: None,
        });
    }
}
