//! A real client that a person makes act: the written cases, in an order that asks for little, and what
//! the client does by itself is waited for before anybody is asked.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::CaseId;
use crate::event::{Event, RunOutcome};
use crate::peer::Credentials;
use crate::spec::{Command, Version};
use crate::transport::server::Listener;
use crate::transport::{MemoryNet, Net};

use super::Bus;
use super::client_iut::run_case_at;
use super::clock::Clock;
use super::dispatcher::{self, State};
use super::driver::{Order, UpperTester};
use super::embedded_client::{ClientTarget, embedded_station};
use super::prompt::{Console, Person};
use super::real_client::{Call, Gone, KEEP_ALIVE, MAX_MESSAGES};
use super::reference::reference_accounts;
use super::shape::{needs_driver, sort_for_people};
use super::station::{Between, Manners, Patience, Station};
use super::suite::reread;

/// How much longer than granted a session lives while a person is at work.
const PATIENT_CLOCK: u32 = 20;
/// Most things that a person is asked to do.
const MOST_PROMPTS: usize = 12;
/// About how long a person needs for one prompt.
const SECONDS_A_PROMPT: u64 = 20;

impl Call<'_> {
    /// With a person: the written cases, in an order that asks for little.
    pub(super) async fn prompted(
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
        let mut state = State::after(self.options.prior.as_ref());

        let (foreseen, chosen) = self.foresee(&wanted).await;
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
        let left_out = plan
            .units
            .iter()
            .filter(|u| !needs_driver(u.case) && !chosen.contains(&u.case.id) && !self.is_done(u));
        for unit in left_out {
            let reason = format!("a person is asked for no more than {MOST_PROMPTS} things: needs a driver");
            let result = dispatcher::not_run(unit.case, unit.version, &reason);
            bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
            state.results.push(result);
        }
        let mut rest = Gone("interrupted".to_owned());
        if !state.interrupted && !station.holds_one() {
            let why = station
                .trouble()
                .map_or_else(|| format!("no message came to http://{address}/"), str::to_owned);
            state.unreachable = Some(why.clone());
            rest = Gone(why);
        } else if !state.interrupted {
            let prompted = async {
                for unit in plan.units.iter().filter(|u| chosen.contains(&u.case.id)) {
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

    /// Which written cases a person can be asked for, and what they will ask for: as many as need no more
    /// than [`MOST_PROMPTS`], the ones that ask for little first.
    async fn foresee(&self, versions: &[Version]) -> (Foreseen, BTreeSet<CaseId>) {
        let version = versions.last().copied().unwrap_or(Version::V12);
        let mut chosen: BTreeSet<CaseId> = self
            .plan(versions)
            .units
            .iter()
            .filter(|u| !needs_driver(u.case) && !self.is_done(u))
            .map(|u| u.case.id.clone())
            .collect();
        let mut costs = self.rehearse(version, &chosen).await;
        costs.sort_by_key(|(_, cost)| cost.prompts);
        let mut sum = 0;
        for (id, cost) in &costs {
            sum += cost.prompts;
            if sum > MOST_PROMPTS {
                chosen.remove(id);
            }
        }
        loop {
            // What a case asks for depends on what the one before it left behind.
            let costs = self.rehearse(version, &chosen).await;
            let total = costs.iter().fold(Foreseen::default(), |sum, (_, cost)| Foreseen {
                prompts: sum.prompts + cost.prompts,
                periodic: sum.periodic + cost.periodic,
            });
            let costliest = costs.iter().max_by_key(|(_, cost)| cost.prompts);
            match costliest {
                Some((id, _)) if total.prompts > MOST_PROMPTS => chosen.remove(id),
                _ => return (total, chosen),
            };
        }
    }

    /// Runs cases against the embedded client and counts what each asks it for.
    async fn rehearse(&self, version: Version, chosen: &BTreeSet<CaseId>) -> Vec<(CaseId, Foreseen)> {
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
            return Vec::new();
        };
        let epoch = Instant::now();
        let target = ClientTarget {
            net: Net::Memory(MemoryNet::new()),
            clock: Clock::skipping(epoch),
            credentials: credentials.clone(),
            fault: None,
            run_id: "plan".to_owned(),
            epoch,
            seed: self.options.seed,
        };
        let Ok(mut station) = embedded_station(self.suite, &target, version, manners).await else {
            return Vec::new();
        };
        let UpperTester::Embedded(tester) = station.tester() else {
            return Vec::new();
        };
        let asked = tester.asked();
        let mut costs = Vec::new();
        for unit in plan.units.iter().filter(|u| chosen.contains(&u.case.id)) {
            // Only what was asked for counts; what the case comes to is nobody's verdict.
            let _ = run_case_at(self.suite, &mut station, &credentials, unit.case, version).await;
            let orders = asked
                .lock()
                .map(|mut a| std::mem::take(&mut *a))
                .unwrap_or_default();
            let by_itself = |o: &&Order| matches!(o, Order::Act(Command::KeepAlive | Command::Poll));
            let idle = orders.iter().filter(|o| **o == Order::Act(Command::Idle)).count();
            let periodic = orders.iter().filter(by_itself).count();
            let cost = Foreseen {
                prompts: orders.len() - periodic - idle,
                periodic,
            };
            costs.push((unit.case.id.clone(), cost));
        }
        costs
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
