//! `run --resume`: reading what an earlier attempt left, and refusing to go on as another run.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::escape::plain;
use crate::base::mask::Masker;
use crate::capture::{self, Archive};
use crate::event::{CaseResult, Event, RunInfo};
use crate::report::{Collector, write_all};
use crate::run::resume::{differences, replay_case};
use crate::run::{Bus, Iut, Upper};

use super::run::{Args, exit, write_ics};
use super::{Common, Failure, exit::Exit, output};

pub(super) use crate::run::resume::is_whole;

/// Reads the transcript of a directory that a run wrote.
pub(super) fn read(dir: &Path) -> Result<Archive, Failure> {
    let path = dir.join("transcript.ndjson");
    let file = std::fs::File::open(&path).map_err(|source| Failure::Io {
        what: "failed to read",
        path: path.clone(),
        source,
    })?;
    Ok(capture::read(&path.display().to_string(), BufReader::new(file))?)
}

/// The options with what the earlier attempt says where nothing was given.
pub(super) fn filled(args: &Args, info: &RunInfo) -> Args {
    let mut args = args.clone();
    if info.embedded && args.profile.is_none() && args.target.is_none() {
        args.role = args.role.or(match info.roles.as_slice() {
            [one] => Some(*one),
            _ => None,
        });
    }
    args.csp = args.csp.or(match info.versions.as_slice() {
        [one] => Some(*one),
        _ => None,
    });
    if args.filter.is_none() && !info.filter.is_empty() {
        args.filter = Some(info.filter.clone());
    }
    args.seed = args.seed.or(Some(info.seed));
    if args.ics.is_none() && info.claims != "derived" {
        args.ics = Some(PathBuf::from(&info.claims));
    }
    args
}

/// Whether what is asked for now is what was begun.
pub(super) fn check(archive: &Archive, iut: &Iut, now: &RunInfo, masker: &Masker) -> Result<(), Failure> {
    let watched = matches!(
        iut,
        Iut::Client {
            upper: Upper::Nobody { .. },
            ..
        }
    );
    if watched {
        return Err(Failure::Usage(
            "--resume: a client that was watched cannot be watched on: what it did is one story\n  \
             fix: start the run again"
                .to_owned(),
        ));
    }
    let found = differences(&archive.info, now, masker);
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found
        .iter()
        .map(|(what, then, now)| format!("\n  {what}: `{}` then, `{}` now", plain(then), plain(now)))
        .collect();
    let fix = if found.iter().any(|(what, ..)| what.contains("target")) {
        "say what is under test as then (--profile, --target or --fault), and leave the other options out"
    } else {
        "leave out the options that differ, and use the program, tables and cases of then; or start the run \
         again"
    };
    Err(Failure::Usage(format!(
        "--resume: this would be another run than the one that was begun:{}\n  fix: {fix}",
        lines.concat()
    )))
}

/// The run came to its end by itself: the same exit code again, and the reports if they are missing.
pub(super) fn nothing_to_do(
    archive: &Archive,
    dir: &Path,
    args: &Args,
    common: &Common,
) -> Result<Exit, Failure> {
    let Some(outcome) = &archive.outcome else {
        return Ok(Exit::NOTHING);
    };
    let mut text = format!(
        "{}: the run that began at {} came to its end; nothing to do\n",
        dir.display(),
        plain(&archive.info.started_at)
    );
    if !dir.join("report.json").exists() {
        // Killed between its last line and its reports: the transcript has all that they hold.
        let masker = Arc::new(Masker::new(
            archive.passwords().iter().map(String::as_str),
            args.keep_secrets,
        ));
        let collector = Arc::new(Mutex::new(Collector::new(masker)));
        let mut bus = Bus::default();
        bus.subscribe(Box::new(Arc::clone(&collector)));
        bus.emit(&Event::RunStarted(Arc::new(archive.info.clone())));
        for case in &archive.cases {
            replay_case(case, case.result.as_ref(), &mut bus);
        }
        for notice in &archive.notices {
            bus.emit(&Event::Notice(notice.clone()));
        }
        bus.emit(&Event::RunFinished(Arc::new(outcome.clone())));
        let collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = write_all(dir, &collector).map_err(|source| Failure::Io {
            what: "failed to write",
            path: dir.to_owned(),
            source,
        })?;
        written.extend(write_ics(dir, &collector, outcome)?);
        text.push_str("the reports that were missing are written\n");
    }
    if !common.quiet {
        let frame = if archive.info.embedded {
            format!("{}\n", crate::report::SELF_TEST)
        } else {
            String::new()
        };
        output(&format!("{frame}{text}{frame}"))?;
    }
    let cases: Vec<CaseResult> = archive.cases.iter().filter_map(|c| c.result.clone()).collect();
    let whole = archive.info.filter.is_empty();
    Ok(exit(outcome, &cases, &args.fail_on, whole))
}
