//! `validate`: captured messages in, findings out.

mod excerpt;
mod input;
mod show;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::{Common, Failure, exit::Exit};
use crate::check::{Checker, Finding, OctetDefect};
use crate::codec::{self, ProblemKind};
use crate::message::{Encoding, Position};
use crate::spec::syntax::Syntax;
use crate::spec::{Role, Version};
use crate::verdict::Strength;
use input::{Kind, Source};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders (searched recursively), or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Who sent a message that either side may send; otherwise the primitive tells
    #[arg(long, value_enum, default_value_t = Sender::Client)]
    role: Sender,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line a finding, with an excerpt.
    Human,
    /// One JSON object a line, a message each.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sender {
    /// A client.
    Client,
    /// A server.
    Server,
}

/// What one file came to.
#[derive(Debug)]
struct Outcome {
    path: String,
    version: Option<Version>,
    encoding: Encoding,
    primitive: String,
    role: Role,
    findings: Vec<Finding>,
    left_out: Vec<(&'static str, usize)>,
    text: String,
}

impl Outcome {
    fn is_valid(&self) -> bool {
        self.findings.iter().all(|f| f.strength != Strength::Must)
    }
}

#[derive(Debug, Default)]
struct Tally {
    valid: usize,
    invalid: usize,
    skipped: usize,
}

/// Runs `validate`.
///
/// # Errors
/// A path that cannot be read, or a mistake in the tables.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let syntax = Syntax::from_files(&common.table_files()?)?;
    let checker = Checker::new(Arc::new(syntax));
    let mut out = BufWriter::new(io::stdout().lock());
    match judge_all(args, common, &checker, &mut out) {
        Ok(exit) => Ok(exit),
        Err(Stop::Failure(failure)) => Err(failure),
        // Whoever read the results has seen enough; the exit code still tells what was found.
        Err(Stop::Output(error, exit)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        Err(Stop::Output(source, _)) => Err(Failure::Io {
            what: "failed to write",
            path: PathBuf::from("standard output"),
            source,
        }),
    }
}

enum Stop {
    Failure(Failure),
    Output(io::Error, Exit),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

fn judge_all(args: &Args, common: &Common, checker: &Checker, out: &mut impl Write) -> Result<Exit, Stop> {
    let mut tally = Tally::default();
    // Look everywhere before the first word is printed: a path that is missing is a usage error.
    let sources = input::collect(&args.paths)?;
    for source in &sources {
        let octets = source.read()?;
        let kind = input::kind(&octets);
        if kind == Kind::Other && !source.is_explicit() {
            tally.skipped += 1;
            continue;
        }
        let role = match args.role {
            Sender::Client => Role::Client,
            Sender::Server => Role::Server,
        };
        let outcome = judge(checker, source, kind, &octets, role);
        if outcome.is_valid() {
            tally.valid += 1;
        } else {
            tally.invalid += 1;
        }
        let printed = match args.format {
            Format::Human => show::human(out, &outcome, common),
            Format::Json => show::json(out, &outcome),
        };
        printed.map_err(|e| Stop::Output(e, exit(&tally)))?;
    }
    let closed = match args.format {
        Format::Human => show::summary(out, &tally, common),
        Format::Json => Ok(()),
    };
    closed
        .and_then(|()| out.flush())
        .map_err(|e| Stop::Output(e, exit(&tally)))?;
    if tally.valid + tally.invalid == 0 && !common.quiet {
        // A closed standard error is no reason to stop.
        let _ = writeln!(io::stderr(), "error: no message found");
    }
    Ok(exit(&tally))
}

fn exit(tally: &Tally) -> Exit {
    match (tally.invalid, tally.valid) {
        (0, 0) => Exit::NOTHING,
        (0, _) => Exit::OK,
        _ => Exit::FAIL,
    }
}

fn judge(checker: &Checker, source: &Source, kind: Kind, octets: &[u8], role: Role) -> Outcome {
    let mut outcome = Outcome {
        path: source.name(),
        version: None,
        encoding: Encoding::Xml,
        primitive: String::new(),
        role,
        findings: Vec::new(),
        left_out: Vec::new(),
        text: String::new(),
    };
    let start = Position { line: 1, column: 1 };
    if kind == Kind::Wbxml {
        outcome.encoding = Encoding::Wbxml;
        outcome.findings.push(Finding::of_octets(
            OctetDefect::Unreadable,
            start,
            "WBXML is not read by this version".to_owned(),
        ));
        return outcome;
    }
    let reading = codec::read(octets, None);
    outcome.findings.extend(reading.problems.into_iter().map(|p| {
        let defect = match (p.kind, p.fatal) {
            (ProblemKind::Charset, false) => OctetDefect::Charset,
            (ProblemKind::Repaired, _) => OctetDefect::Repaired,
            _ => OctetDefect::Unreadable,
        };
        Finding::of_octets(defect, p.position, p.text)
    }));
    outcome.text = reading.text;
    let Some(message) = reading.message else {
        return outcome;
    };
    let root = message.tree.get(message.tree.root());
    if root.name == "WV-SSP-Message" || root.namespace.contains("SSP") {
        outcome.primitive = root.name.clone();
        outcome.findings.push(Finding::of_octets(
            OctetDefect::Unreadable,
            root.position,
            "an SSP message: SSP is not judged by this version".to_owned(),
        ));
        return outcome;
    }
    let checked = checker.check(&message);
    outcome.version = checked.version;
    outcome.primitive = checked.primitives;
    outcome.role = checked.sender.unwrap_or(role);
    outcome.findings.extend(checked.findings);
    outcome.findings.sort_by_key(|f| f.position);
    outcome.left_out = checked.left_out.iter().map(|(r, n)| (r.name(), *n)).collect();
    outcome
}
