//! Every case and every written fault as a trial of its own.
//!
//! A case is run against the embedded reference and must pass; a mutant must fail the items that its
//! fault breaks and no others. Of the generated mutants a sample is tried, chosen by the seed;
//! `imps-scr falsify` tries all. `IMPS_SCR_SEED` overrides the seed, which is printed.

use std::sync::Arc;

use imps_scr::event::{CaseResult, Event, Subscriber};
use imps_scr::run::falsify::{Falsifier, Mutant};
use imps_scr::run::{Bus, Iut, RunOptions, Suite, run};
use imps_scr::spec::Role;
use imps_scr::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let seed: u64 = std::env::var("IMPS_SCR_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_260_101);
    if !arguments.list {
        println!("seed {seed} (IMPS_SCR_SEED overrides it)");
    }
    // Trials may not borrow: the suite stays for the whole process.
    let suite: &'static Suite = Box::leak(Box::new(Suite::embedded().unwrap_or_else(|e| panic!("{e}"))));
    let mut trials = Vec::new();
    // One run of the reference serves all trials of cases: each asks for its own result.
    let results: Arc<std::sync::OnceLock<Vec<CaseResult>>> = Arc::default();
    for case in suite.cases.iter() {
        for version in &case.versions {
            let results = Arc::clone(&results);
            let (id, version) = (case.id.clone(), *version);
            trials.push(
                Trial::test(format!("{id}@{version}"), move || {
                    let all = results.get_or_init(|| run_reference(suite, seed));
                    let Some(result) = all.iter().find(|r| r.id == id && r.version == version) else {
                        return Err(Failed::from("the case was not run"));
                    };
                    if result.verdict == Verdict::Pass {
                        return Ok(());
                    }
                    let worst = result.criteria.first();
                    Err(format!("{}: {} {worst:?}", result.verdict, result.reason).into())
                })
                .with_kind("case"),
            );
        }
    }
    let falsifier: Arc<Falsifier<'static>> = {
        let runtime = runtime(true).unwrap_or_else(|e| panic!("{e:?}"));
        let falsifier = runtime.block_on(Falsifier::new(suite, Role::ALL, seed));
        Arc::new(falsifier.unwrap_or_else(|e| panic!("{e}")))
    };
    for mutant in chosen(&falsifier, seed) {
        let falsifier = Arc::clone(&falsifier);
        let kind = if mutant.generated { "generated" } else { "mutant" };
        trials.push(
            Trial::test(mutant.fault.name.clone(), move || {
                let verdicts = runtime(true)?
                    .block_on(falsifier.judge(&mutant))
                    .map_err(|e| e.to_string())?;
                if verdicts.is_good() {
                    Ok(())
                } else {
                    Err(format!("{}\n{verdicts}", mutant.fault.about).into())
                }
            })
            .with_kind(kind),
        );
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Mutants are in memory: with a paused clock their silence takes no time.
fn runtime(paused: bool) -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build()
        .map_err(|e| e.to_string().into())
}

/// Generated mutants that are tried in a test run.
const SAMPLE: usize = 60;

/// Every written fault, and a sample of the generated ones.
fn chosen(falsifier: &Falsifier<'_>, seed: u64) -> Vec<Mutant> {
    let mut generated = falsifier.generated();
    fastrand::Rng::with_seed(seed).shuffle(&mut generated);
    generated.truncate(SAMPLE);
    let mut chosen = falsifier.written();
    chosen.extend(generated);
    chosen
}

#[derive(Default)]
struct Keep(Arc<std::sync::Mutex<Vec<CaseResult>>>);

impl Subscriber for Keep {
    fn on(&mut self, event: &Event) {
        if let Event::CaseFinished(result) = event {
            self.0.lock().expect("one subscriber").push((**result).clone());
        }
    }
}

fn run_reference(suite: &Suite, seed: u64) -> Vec<CaseResult> {
    let kept = Keep::default();
    let handle = Arc::clone(&kept.0);
    let mut bus = Bus::default();
    bus.subscribe(Box::new(kept));
    let iut = Iut::Embedded {
        roles: Role::ALL.to_vec(),
        fault: None,
    };
    let options = RunOptions {
        // Cases by SSP wait for what must not come: several at a time, as the program does.
        jobs: 8,
        seed,
        ..RunOptions::default()
    };
    let runtime = runtime(false).unwrap_or_else(|e| panic!("{e:?}"));
    let outcome = runtime.block_on(run(suite, &iut, &options, &mut bus, std::future::pending()));
    outcome.unwrap_or_else(|e| panic!("{e}"));
    handle.lock().expect("the run is over").clone()
}
