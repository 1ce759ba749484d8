//! `validate`: captured messages in, findings out.

mod excerpt;
mod input;
mod show;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::{Common, Failure, exit::Exit};
use crate::check::conversation::Judgement;
use crate::check::ssp::{HeaderIds, SspChecker, SspConversation};
use crate::check::{Checked, Checker, Finding, OctetDefect};
use crate::codec::{self, ProblemKind};
use crate::message::{Encoding, Position, SSP_ROOT};
use crate::spec::syntax::Syntax;
use crate::spec::{DigestFormula, Role, SspSyntax, Version};
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
    /// Judge the messages of SSP as one conversation of two servers, in the order of the files
    #[arg(long)]
    conversation: bool,
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

/// What judges messages of either protocol.
struct Judges {
    csp: Arc<Checker>,
    ssp: SspChecker,
}

/// What one file came to.
#[derive(Debug)]
struct Outcome {
    path: String,
    protocol: &'static str,
    version: Option<&'static str>,
    encoding: Encoding,
    primitive: String,
    role: Role,
    findings: Vec<Finding>,
    /// What only several messages show.
    between: Vec<Judgement>,
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
    let files = common.table_files()?;
    let csp = Arc::new(Checker::new(Arc::new(Syntax::from_files(&files)?)));
    let ssp = SspChecker::new(Arc::new(SspSyntax::load(&files)?), Arc::clone(&csp));
    let checker = Judges { csp, ssp };
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

fn judge_all(args: &Args, common: &Common, checker: &Judges, out: &mut impl Write) -> Result<Exit, Stop> {
    let mut tally = Tally::default();
    // Look everywhere before the first word is printed: a path that is missing is a usage error.
    let sources = input::collect(&args.paths)?;
    let mut conversation = args
        .conversation
        .then(|| SspConversation::new(DigestFormula::default()));
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
        let outcome = judge(checker, source, kind, &octets, role, conversation.as_mut());
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

fn judge(
    checker: &Judges,
    source: &Source,
    kind: Kind,
    octets: &[u8],
    role: Role,
    conversation: Option<&mut SspConversation>,
) -> Outcome {
    let mut outcome = Outcome {
        path: source.name(),
        protocol: "CSP",
        version: None,
        encoding: Encoding::Xml,
        primitive: String::new(),
        role,
        findings: Vec::new(),
        between: Vec::new(),
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
    let checked = if root.name == SSP_ROOT || root.namespace.contains("SSP") {
        outcome.protocol = "SSP";
        outcome.version = SspChecker::version(&message).map(|v| v.as_str());
        if let (Some(conversation), Some(from)) = (conversation, SspConversation::sender(&message.tree)) {
            let judged = conversation.take(checker.ssp.syntax(), &from, &message.tree, &HeaderIds::default());
            outcome.between = judged.into_iter().filter(|j| !j.holds).collect();
        }
        Checked {
            sender: Some(Role::Ssp),
            ..checker.ssp.check(&message)
        }
    } else {
        let checked = checker.csp.check(&message);
        outcome.version = checked.version.map(Version::as_str);
        checked
    };
    outcome.primitive = checked.primitives;
    outcome.role = checked.sender.unwrap_or(role);
    outcome.findings.extend(checked.findings);
    outcome.findings.sort_by_key(|f| f.position);
    outcome.left_out = checked.left_out.iter().map(|(r, n)| (r.name(), *n)).collect();
    outcome
}
