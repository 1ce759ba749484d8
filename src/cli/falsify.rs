//! `falsify`: every written fault against the cases.

use std::path::PathBuf;

use crate::peer::fault::Fault;
use crate::run::mutants;
use crate::spec::Role;

use super::{Common, Failure, complain, exit::Exit, output};

/// Run the reference with each written fault: it must fail the items that the fault breaks, and no others
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only faults of this side
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Only this fault (`imps-scr reference --list-faults` shows them)
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
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
    if let Some(name) = &args.fault {
        super::reference::find(&suite.faults, name)?;
    }
    let chosen: Vec<&Fault> = suite
        .faults
        .iter()
        .filter(|f| args.role.is_none_or(|r| r == f.role))
        .filter(|f| args.fault.as_ref().is_none_or(|n| *n == f.name))
        .collect();
    if chosen.is_empty() {
        complain("no fault is chosen");
        return Ok(Exit::NOTHING);
    }
    let io = |source| Failure::Io {
        what: "failed to set up",
        path: PathBuf::from("the embedded reference"),
        source,
    };
    // Mutants are in memory: with a paused clock their silence takes no time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(io)?;
    let (mut killed, mut survived, mut alarms) = (0, 0, 0);
    for fault in &chosen {
        let verdicts = runtime
            .block_on(mutants::falsify(&suite, fault, args.seed))
            .map_err(io)?;
        killed += usize::from(verdicts.survived.is_empty());
        survived += usize::from(!verdicts.survived.is_empty());
        alarms += verdicts.false_alarms.len();
        if !verdicts.is_good() {
            output(&format!("{}: {}\n{verdicts}", fault.name, fault.about))?;
        } else if common.verbose {
            output(&format!("{}: killed\n", fault.name))?;
        }
    }
    output(&format!(
        "{} faults: {killed} killed, {survived} survived, {alarms} false alarms\n",
        chosen.len()
    ))?;
    Ok(if survived + alarms == 0 {
        Exit::OK
    } else {
        Exit::FAIL
    })
}
