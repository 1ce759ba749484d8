//! `falsify`: faults against the cases.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::run::Suite;
use crate::run::falsify::{Falsifier, Mutant, Verdicts};
use crate::spec::Role;

use super::{Common, Failure, complain, exit::Exit, output};

/// Run the reference with each fault: it must fail the items that the fault breaks, and no others
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only faults of this side
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Only faults whose name is this, or begins so when it ends in `*`
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// Which faults: written ones, those generated from every message of the reference, or all
    #[arg(long, value_name = "KIND", value_parser = ["written", "generated", "all"], default_value = "all")]
    kind: String,
    /// Only this many of the generated faults, chosen by the seed
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Try each fault on every case that it can show in; without it, on those that name an item which it
    /// breaks (for a generated fault: on a few of them), and on an even sample of the others
    #[arg(long)]
    every_case: bool,
    /// Only list the faults, with the items that each breaks
    #[arg(long)]
    list: bool,
    /// Mutants at one time; as many as there are processors when left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
    /// Seed of everything that is chosen by chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Use the cases (and faults) of this directory in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
}

/// Runs `falsify`.
///
/// # Errors
/// A mistake of the user, or no runtime.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let suite = super::run::load_suite(common, args.cases.as_deref())?;
    let roles = args.role.map_or_else(|| Role::ALL.to_vec(), |r| vec![r]);
    let falsifier = runtime()?
        .block_on(Falsifier::new(&suite, &roles, args.seed))
        .map_err(io)?
        .every_case(args.every_case);
    let mutants = choose(args, &falsifier);
    if mutants.is_empty() {
        if let Some(name) = args.fault.as_ref().filter(|n| !n.ends_with('*')) {
            return Err(Failure::Usage(format!(
                "no fault `{}` of that kind and role\n  fix: `imps-scr falsify --list` shows the names",
                crate::base::escape::plain(name)
            )));
        }
        complain("no fault is chosen\n  fix: `imps-scr falsify --list` shows the names");
        return Ok(Exit::NOTHING);
    }
    if args.list {
        return list(&mutants);
    }
    let verdicts = all(args, &falsifier, &mutants)?;
    report(&suite, &mutants, &verdicts, common)
}

fn choose(args: &Args, falsifier: &Falsifier<'_>) -> Vec<Mutant> {
    let named = |mutant: &Mutant| match args.fault.as_deref() {
        None => true,
        Some(name) => match name.strip_suffix('*') {
            Some(begin) => mutant.fault.name.starts_with(begin),
            None => mutant.fault.name == name,
        },
    };
    let mut mutants = Vec::new();
    if args.kind != "generated" {
        mutants.extend(falsifier.written());
    }
    if args.kind != "written" {
        let mut generated = falsifier.generated();
        if let Some(count) = args.sample {
            fastrand::Rng::with_seed(args.seed).shuffle(&mut generated);
            generated.truncate(count);
        }
        mutants.extend(generated);
    }
    mutants.retain(named);
    mutants
}

fn list(mutants: &[Mutant]) -> Result<Exit, Failure> {
    let mut text = String::new();
    for mutant in mutants {
        let breaks: Vec<&str> = mutant.fault.breaks.iter().map(|i| i.as_str()).collect();
        text.push_str(&format!(
            "{}  {} [{}]\n",
            mutant.fault.name,
            mutant.fault.about,
            breaks.join(", ")
        ));
    }
    output(&text)
}

/// Tries all mutants, several at a time: each is in a network and a time of its own.
fn all(args: &Args, falsifier: &Falsifier<'_>, mutants: &[Mutant]) -> Result<Vec<Verdicts>, Failure> {
    let jobs = match args.jobs {
        Some(jobs) => usize::from(jobs),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<std::io::Result<Verdicts>>>> =
        Mutex::new(mutants.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(mutants.len()))
            .map(|_| {
                scope.spawn(|| -> Result<(), Failure> {
                    let runtime = runtime()?;
                    loop {
                        let index = next.fetch_add(1, Ordering::SeqCst);
                        let Some(mutant) = mutants.get(index) else {
                            return Ok(());
                        };
                        let verdicts = runtime.block_on(falsifier.judge(mutant));
                        done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(verdicts);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| Failure::Usage("a mutant made the suite itself stop".to_owned()))??;
        }
        Ok::<(), Failure>(())
    })?;
    done.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .map(|v| v.unwrap_or_else(|| Ok(Verdicts::default())).map_err(io))
        .collect()
}

fn report(
    suite: &Suite,
    mutants: &[Mutant],
    verdicts: &[Verdicts],
    common: &Common,
) -> Result<Exit, Failure> {
    let (mut killed, mut survived, mut alarms, mut cases) = (0, 0, 0, 0);
    let mut text = String::new();
    for (mutant, verdicts) in mutants.iter().zip(verdicts) {
        killed += usize::from(verdicts.survived.is_empty());
        survived += usize::from(!verdicts.survived.is_empty());
        alarms += verdicts.false_alarms.len();
        cases += verdicts.cases;
        if !verdicts.is_good() {
            text.push_str(&format!(
                "{}: {}\n{verdicts}",
                mutant.fault.name, mutant.fault.about
            ));
        } else if common.verbose {
            let breaks: Vec<&str> = mutant.fault.breaks.iter().map(|i| i.as_str()).collect();
            text.push_str(&format!(
                "{}: killed, {} failed ({} runs of cases)\n",
                mutant.fault.name,
                breaks.join(", "),
                verdicts.cases
            ));
        }
    }
    let generated = mutants.iter().filter(|m| m.generated).count();
    let broken: std::collections::BTreeSet<_> = mutants.iter().flat_map(|m| &m.fault.breaks).collect();
    text.push_str(&format!(
        "{} faults ({} written, {generated} generated) against {} of {} items, {cases} runs of cases: \
         {killed} killed, {survived} survived, {alarms} false alarms\n",
        mutants.len(),
        mutants.len() - generated,
        broken.len(),
        suite.tables.items.iter().count(),
    ));
    output(&text)?;
    Ok(if survived + alarms == 0 {
        Exit::OK
    } else {
        Exit::FAIL
    })
}

/// Mutants are in memory: with a paused clock their silence takes no time.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(io)
}

pub(super) fn io(source: std::io::Error) -> Failure {
    Failure::Io {
        what: "failed to set up",
        path: PathBuf::from("the embedded reference"),
        source,
    }
}
