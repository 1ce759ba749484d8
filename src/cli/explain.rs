//! `explain`: what a case or an item asks and why, and from a report the argument of its verdict.

use std::fmt::{Display, Write as _};
use std::path::PathBuf;

use super::{Common, Failure, exit::Exit, output};
use crate::base::CaseId;
use crate::base::escape::plain;
use crate::case::{Case, Step};
use crate::report::{Report, SELF_TEST, explain_case, explain_item};
use crate::run::Suite;
use crate::spec::Item;
use crate::spec::items::nearest;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a case, or of an item with or without `rec:`
    #[arg(value_name = "CASE|ITEM")]
    id: String,
    /// Also explain the verdict that this `report.json` holds
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Use the cases of this directory in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
}

/// Runs `explain`.
///
/// # Errors
/// A name that nothing has, or a bad table, case or report.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let suite = super::run::load_suite(common, args.cases.as_deref())?;
    let report = args.report.as_deref().map(read_report).transpose()?;
    let (mut text, verdict) = if let Some(item) = suite.tables.items.find(&args.id) {
        (
            of_item(item, &suite),
            report.as_ref().map(|r| explain_item(r, item.id.as_str())),
        )
    } else if let Some(case) = CaseId::parse(&args.id).ok().and_then(|id| suite.cases.get(&id)) {
        (
            of_case(case, &suite),
            report.as_ref().map(|r| explain_case(r, case.id.as_str())),
        )
    } else if let Some(argument) = report.as_ref().and_then(|r| explain_case(r, &args.id)) {
        let of_none = "no case of the suite: in a report it carries what the general rules found of peers that nobody made act";
        (
            format!("{}\n\n{of_none}\n", plain(&args.id)),
            Some(Some(argument)),
        )
    } else {
        let items = suite.tables.items.iter().map(|i| i.id.as_str());
        let cases = suite.cases.iter().map(|c| c.id.as_str());
        return Err(super::unknown(
            "case or item",
            &args.id,
            &nearest(&args.id, items.chain(cases).map(|id| (id, id))),
            "`imps-scr scr list` shows every item, `imps-scr run --list` every case",
        ));
    };
    if report.as_ref().is_some_and(Report::is_self_test) {
        text.insert_str(0, &format!("{SELF_TEST}\n"));
    }
    match verdict {
        None => {}
        Some(Some(argument)) => {
            let _ = write!(text, "\nin the report\n\n{argument}");
        }
        Some(None) => text.push_str("\nthe report does not have it\n"),
    }
    if report.as_ref().is_some_and(Report::is_self_test) && !text.ends_with(&format!("{SELF_TEST}\n")) {
        let _ = writeln!(text, "{SELF_TEST}");
    }
    output(&text)
}

fn read_report(path: &std::path::Path) -> Result<Report, Failure> {
    Ok(Report::read(
        &path.display().to_string(),
        &super::run::read(path)?,
    )?)
}

fn of_item(item: &Item, suite: &Suite) -> String {
    let mut out = super::scr::describe(item, &suite.tables);
    let cases: Vec<&Case> = suite.cases.iter().filter(|c| c.scr.contains(&item.id)).collect();
    let hand_written = cases.iter().filter(|c| c.line > 0).count();
    if cases.is_empty() {
        out.push_str("\nno case names it: it is judged, if at all, on every message that is seen\n");
    } else {
        let generated = cases.len() - hand_written;
        let _ = writeln!(
            out,
            "\ntested by {hand_written} written and {generated} generated cases"
        );
        for case in cases {
            let _ = writeln!(out, "  {}  {}", case.id, plain(&case.title));
        }
    }
    let faults: Vec<_> = suite
        .faults
        .iter()
        .filter(|f| f.breaks.contains(&item.id))
        .collect();
    if faults.is_empty() {
        out.push_str("\nno written fault breaks it: that a breach is caught has not been shown this way\n");
    } else {
        out.push_str("\nbroken by\n");
        for fault in faults {
            let _ = writeln!(out, "  {}  {}", plain(&fault.name), plain(&fault.about));
        }
    }
    out
}

fn of_case(case: &Case, suite: &Suite) -> String {
    let mut out = format!("{}  {}\n\n", case.id, plain(&case.title));
    if !case.description.is_empty() {
        let _ = writeln!(out, "{}\n", plain(&case.description));
    }
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "{label:12} {}", plain(text));
        }
    };
    line("under test", case.object.as_str());
    line("versions", &format!("CSP {}", joined(&case.versions)));
    line("reference", &case.reference);
    line("tags", &case.tags.join(", "));
    line("accounts", &case.accounts().join(", "));
    line(
        "written in",
        &match case.line {
            0 => case.file.clone(),
            line => format!("{}:{line}", case.file),
        },
    );
    out.push_str("\nitems\n");
    for item in case.scr.iter().filter_map(|id| suite.tables.items.get(id)) {
        let _ = writeln!(
            out,
            "  {}  {} ({})",
            item.marked_id(),
            plain(&item.feature),
            item.strength().as_str()
        );
    }
    steps(
        &mut out,
        "preconditions (what fails here is inconclusive)",
        &case.preconditions,
    );
    steps(&mut out, "procedure", &case.procedure);
    steps(&mut out, "after (always runs, judges nothing)", &case.after);
    if !case.pass.is_empty() {
        let _ = writeln!(out, "\npasses when\n  {}", plain(&case.pass));
    }
    out
}

fn joined(list: &[impl Display]) -> String {
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    list.join(", ")
}

fn steps(out: &mut String, title: &str, steps: &[Step]) {
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for (n, step) in steps.iter().enumerate() {
        for (i, line) in step.to_string().lines().enumerate() {
            let _ = match i {
                0 => writeln!(out, "  {:>2}. {}", n + 1, plain(line)),
                _ => writeln!(out, "      {}", plain(line)),
            };
        }
    }
}
