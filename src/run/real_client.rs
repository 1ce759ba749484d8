//! A real client under test: made to act by a driver or a person and met at one station for the whole run,
//! or left to itself and harvested.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::CaseId;
use crate::case::{Case, Step};
use crate::event::{CaseResult, Event, RunOutcome};
use crate::peer::Credentials;
use crate::record::Exchange;
use crate::spec::{AccountName, Command, Profile, Role, Version};
use crate::transport::server::{Listener, listen};

use super::client_iut::{ClientTarget, begins_in_session, begins_logged_out, embedded_station, run_case_at};
use super::conclude::millis;
use super::dispatcher::{self, Iut, RunOptions, State, Upper};
use super::driver::{Order, Settings, UpperTester};
use super::driver_process::{DriverCommand, DriverProcess};
use super::harvest::{self, HarvestSetup};
use super::outcome::{self, Inputs};
use super::plan::{Plan, Unit};
use super::prompt::{Console, Person};
use super::reference::reference_accounts;
use super::station::{Between, Host, Manners, Patience, Station};
use super::suite::{Suite, reread};
use super::{Bus, CaseOutput};

/// Longest KeepAliveTime granted to a client that a driver makes act, in seconds.
const KEEP_ALIVE: u32 = 3600;
/// Most messages of a real client that one step takes.
const MAX_MESSAGES: usize = 10_000;
/// How much longer than granted a session lives while a person is at work.
const PATIENT_CLOCK: u32 = 20;
/// About how long a person needs for one prompt.
const SECONDS_A_PROMPT: u64 = 20;

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
    let listener = listen(at).await?;
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

struct Call<'a> {
    suite: &'a Suite,
    iut: &'a Iut,
    profile: &'a Profile,
    options: &'a RunOptions,
    epoch: Instant,
}

/// Why cases are not run.
struct Gone(String);

impl Call<'_> {
    fn accounts(&self) -> Vec<Credentials> {
        self.profile
            .accounts
            .values()
            .map(|a| Credentials {
                user: a.user.clone(),
                password: a.password.reveal().to_owned(),
            })
            .collect()
    }

    fn settings(&self, listener: SocketAddr, version: Version, credentials: &Credentials) -> Settings {
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
    fn first_account(&self, accounts: &[Credentials]) -> Credentials {
        let a = self.profile.account(AccountName::A).map(|a| a.user.as_str());
        let nobody = Credentials {
            user: "wv:somebody@imps-scr.invalid".to_owned(),
            password: String::new(),
        };
        let found = accounts.iter().find(|c| Some(c.user.as_str()) == a);
        found.or(accounts.first()).cloned().unwrap_or(nobody)
    }

    fn host(&self, accounts: Vec<Credentials>, max_keep_alive: u32, slowness: u32) -> Host {
        Host {
            accounts,
            max_keep_alive,
            seed: self.options.seed,
            epoch: self.epoch,
            slowness,
        }
    }

    fn started(&self, bus: &mut Bus, address: SocketAddr, versions: &[Version], planned: usize) {
        let (roles, _) = dispatcher::scope(self.iut, self.options);
        let mut about = dispatcher::info(self.suite, self.iut, self.options, &roles, versions, planned);
        about.address = address.to_string();
        bus.emit(&Event::RunStarted(Arc::new(about)));
    }

    fn plan(&self, versions: &[Version]) -> Plan<'_> {
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
        let mut state = State::default();
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
        for unit in &plan.units {
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

    fn lost(&self, why: &str, bus: &mut Bus, state: &mut State) -> Gone {
        let text = format!("nobody makes the client act any more: {why}");
        bus.emit(&Event::Notice(text.clone()));
        state.caveats.push(text.clone());
        state.tripped = true;
        Gone(text)
    }

    /// Runs a case and tells what came of it.
    async fn one(
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

    /// With a person: the written cases, in an order that asks for little.
    async fn prompted(
        &self,
        listener: Listener,
        console: &Arc<Console>,
        bus: &mut Bus,
        stop: impl Future<Output = ()>,
    ) -> Arc<RunOutcome> {
        let address = listener.address;
        let accounts = self.accounts();
        let credentials = self.first_account(&accounts);
        let timers = &self.profile.timers;
        let patience = Patience {
            periodic: timers.keep_alive + timers.quiet,
            soon: timers.quiet,
        };
        let manners = Manners {
            late: timers.person,
            quiet: timers.quiet,
            most: MAX_MESSAGES,
            between: Between::Keep,
            patience: Some(patience),
            probe: false,
        };
        let granted = u32::try_from(timers.keep_alive.as_secs().max(1)).unwrap_or(KEEP_ALIVE);
        let anybody = accounts.is_empty();
        let host = self.host(accounts, granted, PATIENT_CLOCK);
        let person = Person::new(Arc::clone(console), timers.person, anybody);
        let tester = UpperTester::Person(Box::new(person));
        let mut station = Station::new(self.suite, listener, host, tester, manners);
        let (_, wanted) = dispatcher::scope(self.iut, self.options);
        let mut stop = std::pin::pin!(stop);
        let mut state = State::default();

        let foreseen = self.foresee(&wanted).await;
        console.say(&foreseen.words(patience));
        console.say(&format!("The client is to use the server http://{address}/"));
        let spoken = self
            .first_contact(&mut station, &credentials, &mut stop, &mut state)
            .await;
        let version = match wanted.as_slice() {
            [only] => *only,
            _ => spoken.unwrap_or(Version::V12),
        };
        let versions = [version];
        let mut plan = self.plan(&versions);
        sort_for_people(&mut plan);
        self.started(bus, address, &versions, plan.units.len());
        let mut rest = Gone("interrupted".to_owned());
        if !state.interrupted && !station.holds_one() {
            let why = station
                .trouble()
                .map_or_else(|| format!("no message came to http://{address}/"), str::to_owned);
            state.unreachable = Some(why.clone());
            rest = Gone(why);
        } else if !state.interrupted {
            let prompted = async {
                for unit in plan.units.iter().filter(|u| !is_generated(u.case)) {
                    if let Some(why) = station.dead().map(str::to_owned) {
                        return Err(self.lost(&why, bus, &mut state));
                    }
                    self.one(&mut station, *unit, &credentials, bus, &mut state).await;
                }
                Ok(())
            };
            let done = tokio::select! {
                biased;
                () = &mut stop => None,
                done = prompted => Some(done),
            };
            match done {
                None => state.interrupted = true,
                Some(Err(gone)) => rest = gone,
                Some(Ok(())) => rest = Gone(String::new()),
            }
        }
        if let UpperTester::Person(person) = station.tester() {
            person.tell(&format!(
                "That is all; {} prompts were needed. Thank you",
                person.asked()
            ));
        }
        self.finish(&plan, &versions, state, &rest, bus)
    }

    /// Asks for a login and waits for the first message, which tells the version. It is kept for the
    /// first case.
    async fn first_contact<S: Future<Output = ()>>(
        &self,
        station: &mut Station,
        credentials: &Credentials,
        stop: &mut Pin<&mut S>,
        state: &mut State,
    ) -> Option<Version> {
        let settings = self.settings(station.address(), Version::V12, credentials);
        station.ask([Order::Configure(settings), Order::Act(Command::Login)]);
        let began = Instant::now();
        let late = station.manners.late;
        let arrived = tokio::select! {
            biased;
            () = stop => { state.interrupted = true; None }
            arrived = station.next(began, late) => arrived,
        }?;
        // The answer to the prompt is still awaited: the first case does that.
        let version = reread(&arrived.request.body).and_then(|m| self.suite.checker.check(&m).version);
        station.hold(arrived);
        version
    }

    /// Runs the plan against the embedded client and counts what it is asked for.
    async fn foresee(&self, versions: &[Version]) -> Foreseen {
        let version = versions.last().copied().unwrap_or(Version::V12);
        let mut plan = self.plan(&[version]);
        sort_for_people(&mut plan);
        let none = Duration::ZERO;
        let manners = Manners {
            between: Between::Keep,
            patience: Some(Patience {
                periodic: none,
                soon: none,
            }),
            ..Manners::embedded()
        };
        let Some((_, credentials)) = reference_accounts().into_iter().next() else {
            return Foreseen::default();
        };
        let target = ClientTarget {
            credentials: credentials.clone(),
            fault: None,
            run_id: "plan".to_owned(),
            epoch: Instant::now(),
            seed: self.options.seed,
        };
        let Ok(mut station) = embedded_station(self.suite, &target, version, manners).await else {
            return Foreseen::default();
        };
        let UpperTester::Embedded(tester) = station.tester() else {
            return Foreseen::default();
        };
        let asked = tester.asked();
        for unit in plan.units.iter().filter(|u| !is_generated(u.case)) {
            // Only what was asked for counts; what the case comes to is nobody's verdict.
            let _ = run_case_at(self.suite, &mut station, &credentials, unit.case, version).await;
        }
        let asked = asked.lock().map(|a| a.clone()).unwrap_or_default();
        let by_itself = |o: &&Order| matches!(o, Order::Act(Command::KeepAlive | Command::Poll));
        let periodic = asked.iter().filter(by_itself).count();
        Foreseen {
            prompts: asked.len() - periodic,
            periodic,
        }
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
            "waiting for a client at http://{}/ ; Ctrl-C ends the run and keeps what is known",
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
                });
            };
            let stop = async {
                stop.await;
                interrupted = true;
            };
            harvest::serve(self.suite, &setup, &mut listener, &versions, stop, &mut on).await
        };
        for result in &harvest.results {
            if result.id != case {
                emit_places(bus, result, &harvest.exchanges);
            }
            bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
        }
        let mut seen: Vec<Version> = harvest.results.iter().map(|r| r.version).collect();
        seen.sort_unstable();
        seen.dedup();
        let mut caveats = vec![
            "a client that is only watched is judged by what it chose to do: what needs a stimulus stays untested"
                .to_owned(),
        ];
        if harvest.results.is_empty() {
            caveats.push("the client sent nothing".to_owned());
        }
        let inputs = Inputs {
            items: &self.suite.tables.items,
            roles: &roles,
            versions: if seen.is_empty() { &versions } else { &seen },
            results: &harvest.results,
            not_run: BTreeSet::new(),
            filtered: false,
            ics: self.options.ics.as_ref().map(|(_, i)| i),
            declined: &BTreeSet::new(),
            real: true,
        };
        let (items, conformance, more) = outcome::items(&inputs);
        caveats.extend(more);
        let outcome = Arc::new(RunOutcome {
            items,
            conformance,
            // Ending the wait by hand is how a harvest ends, once something was seen.
            interrupted: interrupted && harvest.results.is_empty(),
            unreachable: None,
            not_run: 0,
            caveats,
            duration_ms: millis(self.epoch.elapsed()),
        });
        bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
        Ok(outcome)
    }

    /// Results for what was planned and not run, and the outcome.
    fn finish(
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
            let reason = if prompted && is_generated(unit.case) {
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
        });
    }
    bus.emit(&Event::CaseFinished(Arc::new(output.result.clone())));
}

/// The exchanges that a result speaks of, under its own name.
fn emit_places(bus: &mut Bus, result: &CaseResult, exchanges: &[Arc<Exchange>]) {
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
        });
    }
}

/// What a run with a person will ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Foreseen {
    /// Prompts that a client which keeps its session alive and follows Poll needs.
    prompts: usize,
    /// What such a client does by itself and another one is asked for.
    periodic: usize,
}

impl Foreseen {
    fn words(self, patience: Patience) -> String {
        let most = self.prompts + self.periodic;
        let waits = patience.periodic.as_secs().saturating_mul(self.periodic as u64);
        let minutes = (self.prompts as u64 * SECONDS_A_PROMPT + waits).div_ceil(60);
        format!(
            "You will be asked for about {} things to do with the client ({most} at most, if it neither keeps its \
             session alive nor polls by itself); that takes about {minutes} minutes. Ctrl-C ends it and keeps what is known",
            self.prompts
        )
    }
}

fn is_generated(case: &Case) -> bool {
    case.tags.iter().any(|t| t == "generated")
}

/// An order in which the client stays logged in as long as possible: the login by password, what happens
/// in its session, what ends the session, what needs a client that is logged out.
fn sort_for_people(plan: &mut Plan<'_>) {
    plan.units.sort_by_key(|unit| {
        let ends = ends_session(unit.case);
        match (begins_in_session(unit.case), ends) {
            (false, false) if begins_with_password(unit.case) => 0,
            (false, false) if !begins_logged_out(unit.case) => 1,
            (true, false) => 1,
            (true, true) => 2,
            (false, _) => 3,
        }
    });
}

fn begins_with_password(case: &Case) -> bool {
    let mut steps = case.preconditions.iter().chain(&case.procedure);
    matches!(steps.next(), Some(Step::Stimulate(c)) if *c == [Command::Login])
}

/// Whether a case ends the session that it runs in, or comes out of it logged in anew.
fn ends_session(case: &Case) -> bool {
    case.preconditions
        .iter()
        .chain(&case.procedure)
        .any(|step| match step {
            Step::Stimulate(commands) => *commands == [Command::Logout],
            Step::Fence(fence) => fence.command == Some(Command::Login),
            Step::Reply { requests, status, .. } => {
                status.is_some() || requests.iter().any(|r| r == "Disconnect")
            }
            _ => false,
        })
}
