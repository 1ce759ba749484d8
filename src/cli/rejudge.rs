//! `run --rejudge`: an archived run, judged again by the tables and cases of today.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::mask::Masker;
use crate::capture::Archive;
use crate::report::{Collector, Moved, Transcript, write_all};
use crate::run::{Bus, Suite, reference_accounts, rejudge};
use crate::spec::{Ics, Profile};

use super::run::{Args, exit, load_suite, read, read_ics, terminal, write_ics};
use super::{Common, Failure, exit::Exit, output, resume};

/// Runs `run --rejudge`.
///
/// # Errors
/// A mistake of the user: an option, a table, a case, a statement, the archive.
pub(super) fn run(args: &Args, dir: &Path, common: &Common) -> Result<Exit, Failure> {
    let suite = load_suite(common, args.cases.as_deref())?;
    let archive = resume::read(dir)?;
    let refused = |e| Failure::Usage(format!("--rejudge {}: {e}", dir.display()));
    let ics = statement(args, &archive, &suite)?;
    let secrets = secrets(args, &archive)?;
    let masker = Arc::new(Masker::new(secrets.iter().map(String::as_str), args.keep_secrets));
    let out = out(args, dir)?;
    let path = out.join("transcript.ndjson");
    let cannot_write = |source| Failure::Io {
        what: "failed to write",
        path: path.clone(),
        source,
    };
    let transcript = Arc::new(Mutex::new(
        Transcript::create(&path, Arc::clone(&masker)).map_err(cannot_write)?,
    ));
    let collector = Arc::new(Mutex::new(Collector::new(Arc::clone(&masker))));
    let mut bus = Bus::default();
    bus.import(super::import::tables(&args.imported, &suite.tables.items)?);
    bus.subscribe(Box::new(Arc::clone(&transcript)));
    bus.subscribe(Box::new(Arc::clone(&collector)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| Failure::Io {
            what: "failed to start",
            path: PathBuf::from("runtime"),
            source,
        })?;
    let judged = runtime
        .block_on(rejudge::rejudge(&suite, &archive, ics.as_ref(), &mut bus))
        .map_err(refused)?;
    let collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
    let mut written = write_all(&out, &collector).map_err(|source| Failure::Io {
        what: "failed to write",
        path: out.clone(),
        source,
    })?;
    written.extend(write_ics(&out, &collector, &judged.outcome)?);
    transcript
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .finish()
        .map_err(cannot_write)?;
    written.push(path.clone());
    let moved = Moved {
        then: &archive.info,
        now: &judged.info,
        old_items: &judged.old_items,
        new_items: &judged.outcome.items,
        old_cases: &judged.old_cases,
        new_cases: &judged.cases,
    };
    output(&moved.text(&masker))?;
    output(&terminal(common, written).text(collector.report()))?;
    let whole = archive.info.filter.is_empty();
    Ok(exit(&judged.outcome, &judged.cases, &args.fail_on, whole))
}

/// The statement: the one that is given, or that of the run, where it still is.
fn statement(args: &Args, archive: &Archive, suite: &Suite) -> Result<Option<(String, Ics)>, Failure> {
    let then = &archive.info.claims;
    match &args.ics {
        Some(path) => read_ics(path, suite).map(Some),
        None if then == "derived" => Ok(None),
        None if Path::new(then).exists() => read_ics(Path::new(then), suite).map(Some),
        None => Err(Failure::Usage(format!(
            "the run was judged by the statement {}, which is not there any more\n  fix: give it with --ics",
            crate::base::escape::plain(then)
        ))),
    }
}

/// What no output may show: an archive that kept its secrets names them itself.
fn secrets(args: &Args, archive: &Archive) -> Result<Vec<String>, Failure> {
    let mut secrets = archive.passwords();
    if archive.info.embedded {
        secrets.extend(reference_accounts().into_iter().map(|(_, c)| c.password));
    }
    if let Some(path) = &args.profile {
        let profile = Profile::parse(&path.display().to_string(), &read(path)?)?;
        secrets.extend(profile.secrets().map(str::to_owned));
        secrets.extend(profile.headers.values().cloned());
    }
    Ok(secrets)
}

/// Where the new reports go: never where the old ones are.
fn out(args: &Args, dir: &Path) -> Result<PathBuf, Failure> {
    let out = args.out.clone().unwrap_or_else(|| dir.join("rejudged"));
    std::fs::create_dir_all(&out).map_err(|source| Failure::Io {
        what: "failed to create",
        path: out.clone(),
        source,
    })?;
    let same = match (out.canonicalize(), dir.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => out == dir,
    };
    if same {
        return Err(Failure::Usage(
            "--out is the directory of the archive, whose reports stay as they are\n  fix: name another one"
                .to_owned(),
        ));
    }
    Ok(out)
}
