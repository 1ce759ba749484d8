//! `ics`: a conformance statement to fill in, and its review before any test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{Common, Failure, exit::Exit, output};
use crate::base::ItemId;
use crate::base::escape::plain;
use crate::base::limits::MAX_REPAIR_STEPS;
use crate::spec::{Evaluated, Ics, Repair, ReviewFinding, ReviewKind, Role, Standing, Tables, Version};

/// Arguments of `ics`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a conformance statement to fill in
    New(NewArgs),
    /// Check a statement against the tables, before any test
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The side that the product implements
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Only this version of CSP: 1.1 or 1.2
    #[arg(long, value_name = "VERSION")]
    csp: Option<Version>,
    /// Name of the product
    #[arg(long, default_value = "name and version of the product")]
    name: String,
    /// Where to write it; standard output when left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The statement, YAML
    file: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// Rows of a list before it is shortened, unless everything was asked for.
const MAX_ROWS: usize = 12;

/// Runs `ics`.
///
/// # Errors
/// A table or a statement has a mistake, or the new statement cannot be written.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let tables = Tables::load(&common.table_files()?)?;
    match &args.command {
        Command::New(args) => new(args, &tables),
        Command::Check(args) => check(args, common, &tables),
    }
}

fn new(args: &NewArgs, tables: &Tables) -> Result<Exit, Failure> {
    let versions: Vec<Version> = args.csp.map_or_else(|| Version::ALL.to_vec(), |v| vec![v]);
    let text = Ics::proforma(&args.name, args.role, &versions, &tables.items);
    let Some(path) = &args.out else {
        return output(&text);
    };
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => output(&format!("written: {}\n", plain(&path.display().to_string()))),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::Usage(format!(
            "{} is there already, and may hold answers\n  fix: give another name with --out",
            path.display()
        ))),
        Err(source) => Err(Failure::Io {
            what: "failed to write",
            path: path.clone(),
            source,
        }),
    }
}

/// What a review says, in the three parts that it is shown in.
struct Review<'a> {
    file: String,
    ics: Ics,
    tables: &'a Tables,
    findings: Vec<ReviewFinding>,
    repair: Repair,
}

fn check(args: &CheckArgs, common: &Common, tables: &Tables) -> Result<Exit, Failure> {
    let file = args.file.display().to_string();
    let ics = Ics::parse(&file, &super::run::read(&args.file)?, &tables.items)?;
    let review = Review {
        findings: ics.review(&tables.items, ics.role),
        repair: ics.repair(&tables.items),
        file,
        ics,
        tables,
    };
    output(&match args.format {
        Format::Human => review.human(common),
        Format::Json => review.json(),
    })?;
    Ok(review.exit())
}

impl Review<'_> {
    fn of(&self, wanted: fn(ReviewKind) -> bool) -> Vec<&ReviewFinding> {
        self.findings.iter().filter(|f| wanted(f.kind)).collect()
    }

    /// The word for the whole, which is also the exit code.
    fn exit(&self) -> Exit {
        if self.findings.iter().any(|f| f.kind.is_contradiction()) {
            Exit::FAIL
        } else if self.findings.iter().any(|f| f.kind.is_open()) {
            Exit::INCONCLUSIVE
        } else {
            Exit::OK
        }
    }

    fn word(&self) -> &'static str {
        match self.exit() {
            Exit::FAIL => "does-not-hold",
            Exit::INCONCLUSIVE => "incomplete",
            _ => "holds",
        }
    }

    /// How many items are answered yes, answered no, and asked.
    fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for item in self.ics.questions(&self.tables.items) {
            counts.2 += 1;
            match self.ics.claimed(&item.id) {
                Some(true) => counts.0 += 1,
                Some(false) => counts.1 += 1,
                None => {}
            }
        }
        counts
    }

    fn marked(&self, id: &ItemId) -> String {
        self.tables
            .items
            .get(id)
            .map_or_else(|| id.to_string(), crate::spec::Item::marked_id)
    }

    fn human(&self, common: &Common) -> String {
        let mut out = String::new();
        let (yes, no, all) = self.counts();
        let versions: Vec<&str> = self.ics.versions.iter().map(|v| v.as_str()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}: {} of {}, CSP {}",
            plain(&self.file),
            self.ics.role,
            plain(&self.ics.name),
            versions.join(", ")
        );
        if !common.quiet {
            let _ = writeln!(out, "{}", super::scr::MARK);
        }
        if self.ics.derived {
            out.push_str(
                "It is derived from a run, no statement of the vendor: check every line, then set `derived: false`.\n",
            );
        }
        let _ = writeln!(
            out,
            "{all} items asked: {yes} answered yes, {no} no, {} not at all",
            all - yes - no
        );
        if !common.quiet {
            self.findings_text(&mut out, common.verbose);
            self.repair_text(&mut out);
            let open = self.of(|k| k == ReviewKind::Unanswered);
            if !open.is_empty() {
                let _ = writeln!(out, "\nunanswered ({}):", open.len());
                let shown = if common.verbose {
                    open.len()
                } else {
                    MAX_ROWS.min(open.len())
                };
                for finding in &open[..shown] {
                    let item = self.tables.items.get(&finding.item);
                    let _ = writeln!(
                        out,
                        "  {} ({})  {}",
                        self.marked(&finding.item),
                        item.map_or("", |i| i.status.as_str()),
                        plain(item.map_or("", |i| &i.feature))
                    );
                }
                if shown < open.len() {
                    let _ = writeln!(out, "  … and {} more (--verbose shows all)", open.len() - shown);
                }
            }
            out.push('\n');
        }
        out.push_str(match self.exit() {
            Exit::FAIL => "the statement does not hold\n",
            Exit::INCONCLUSIVE => "nothing contradicts the tables, but answers are missing\n",
            _ => "the statement holds\n",
        });
        out
    }

    fn findings_text(&self, out: &mut String, verbose: bool) {
        for (title, wanted) in [
            (
                "does not hold",
                (|k| k.is_contradiction()) as fn(ReviewKind) -> bool,
            ),
            ("hangs on missing answers", |k| {
                k == ReviewKind::RequirementUnknown
            }),
            ("cannot be told here, and does not count", |k| {
                k == ReviewKind::RequirementUntold
            }),
        ] {
            let findings = self.of(wanted);
            if findings.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n{title} ({}):", findings.len());
            let shown = if verbose {
                findings.len()
            } else {
                MAX_ROWS.min(findings.len())
            };
            for finding in &findings[..shown] {
                let _ = writeln!(out, "  {}: {}", self.marked(&finding.item), plain(&finding.text));
                if let Some(tree) = &finding.tree {
                    branch(out, tree, 2);
                }
            }
            if shown < findings.len() {
                let _ = writeln!(
                    out,
                    "  … and {} more (--verbose shows all)",
                    findings.len() - shown
                );
            }
        }
    }

    fn repair_text(&self, out: &mut String) {
        match &self.repair {
            Repair::NotNeeded => {}
            Repair::Changes(changes) => {
                let _ = writeln!(
                    out,
                    "\nthe smallest repair, changes of answers ({}):",
                    changes.len()
                );
                for change in changes {
                    let _ = writeln!(
                        out,
                        "  {}: {} instead of {}, {}",
                        self.marked(&change.item),
                        word(Some(change.to)),
                        word(change.from),
                        change.because
                    );
                }
            }
            Repair::Impossible(item) => {
                let _ = writeln!(
                    out,
                    "\nno repair: whatever is answered, the requirement of {} does not hold",
                    self.marked(item)
                );
            }
            Repair::TooMany => {
                let _ = writeln!(
                    out,
                    "\nno repair is shown: the smallest was not found within {MAX_REPAIR_STEPS} steps (MAX_REPAIR_STEPS); \
                     mend some of what is listed above, then check again"
                );
            }
        }
    }

    fn json(&self) -> String {
        let (yes, no, all) = self.counts();
        let finding = |f: &&ReviewFinding| {
            serde_json::json!({
                "item": f.item,
                "kind": f.kind.as_str(),
                "text": f.text,
                "requirement": f.tree.as_ref().map(tree),
            })
        };
        let (status, changes) = match &self.repair {
            Repair::NotNeeded => ("not-needed", Vec::new()),
            Repair::Changes(changes) => (
                "found",
                changes
                    .iter()
                    .map(|c| {
                        serde_json::json!({
                            "item": c.item, "from": word(c.from), "to": word(Some(c.to)), "because": c.because,
                        })
                    })
                    .collect(),
            ),
            Repair::Impossible(_) => ("impossible", Vec::new()),
            Repair::TooMany => ("beyond-limit", Vec::new()),
        };
        let unanswered: Vec<&ItemId> = self
            .of(|k| k == ReviewKind::Unanswered)
            .into_iter()
            .map(|f| &f.item)
            .collect();
        let findings: Vec<_> = self
            .of(|k| k != ReviewKind::Unanswered)
            .iter()
            .map(finding)
            .collect();
        let document = serde_json::json!({
            "format": "imps-scr/ics-review/1",
            "note": super::scr::MARK,
            "tables": self.tables.digest,
            "file": self.file,
            "name": self.ics.name,
            "role": self.ics.role,
            "versions": self.ics.versions,
            "derived": self.ics.derived,
            "result": self.word(),
            "answers": {"asked": all, "yes": yes, "no": no, "unanswered": all - yes - no},
            "findings": findings,
            "repair": {"status": status, "changes": changes},
            "unanswered": unanswered,
        });
        format!("{document:#}\n")
    }
}

fn word(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unanswered",
    }
}

fn tree(part: &Evaluated) -> serde_json::Value {
    let mut value = serde_json::json!({"text": part.text, "standing": part.standing.as_str()});
    if !part.why.is_empty() {
        value["why"] = part.why.as_str().into();
    }
    if !part.parts.is_empty() {
        value["parts"] = part.parts.iter().map(tree).collect();
    }
    value
}

/// A requirement part by part, indented.
fn branch(out: &mut String, part: &Evaluated, depth: usize) {
    let why = match (part.parts.is_empty(), part.standing) {
        (false, Standing::True) => return line(out, part, depth, ""),
        (false, _) => "",
        (true, _) => part.why.as_str(),
    };
    line(out, part, depth, why);
    for inner in &part.parts {
        branch(out, inner, depth + 1);
    }
}

fn line(out: &mut String, part: &Evaluated, depth: usize, why: &str) {
    let _ = write!(
        out,
        "{:width$}{:10} {}",
        "",
        part.standing,
        plain(&part.text),
        width = 2 * depth
    );
    if !why.is_empty() {
        let _ = write!(out, ": {}", plain(why));
    }
    out.push('\n');
}
