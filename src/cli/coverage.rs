//! `scr coverage`: what is tested, and what is not, with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::case::Aspect;
use crate::run::coverage::{self, Cell, ItemCoverage, Row};
use crate::run::falsify::Falsifier;
use crate::spec::Role;

use super::falsify::{io, runtime};
use super::scr::Format;
use super::{Common, Failure, exit::Exit, output};

/// What is tested: items with their cases and mutants, transactions by aspect; or the whole release
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print every cell: transaction, role and version against aspects; and every item with its mutants
    #[arg(long)]
    matrix: bool,
    /// Only this side
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Use the cases (and faults) of this directory in place of the embedded ones
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Print what the release says, by baseline document, and which items test it or why none does
    #[arg(long, conflicts_with_all = ["matrix", "role", "cases"])]
    release: bool,
    /// How to print the release
    #[arg(long, value_enum, default_value_t = Format::Human, requires = "release")]
    format: Format,
}

/// Runs `scr coverage`; the exit code is 1 when a cell, or a statement of the release, has neither a case
/// or an item nor a reason.
///
/// # Errors
/// A mistake in a table or a case, or no runtime.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    if args.release {
        return super::release::run(args.format, common);
    }
    let suite = super::run::load_suite(common, args.cases.as_deref())?;
    let roles = args.role.map_or_else(|| Role::ALL.to_vec(), |r| vec![r]);
    let falsifier = runtime()?
        .block_on(Falsifier::new(&suite, &roles, 1))
        .map_err(io)?;
    let mut mutants = falsifier.written();
    mutants.extend(falsifier.generated());
    let mut items = coverage::items(&suite, &falsifier, &mutants);
    items.retain(|i| {
        let role = suite.tables.items.get(&i.id).map(|row| row.role);
        role.is_some_and(|r| roles.contains(&r))
    });
    let mut rows = coverage::matrix(&suite);
    rows.retain(|r| roles.contains(&r.role));
    let mut text = String::new();
    if args.matrix {
        matrix(&rows, &mut text);
        item_table(&items, &mut text);
    }
    let gaps = summary(&rows, &items, &mut text);
    output(&text)?;
    Ok(if gaps == 0 { Exit::OK } else { Exit::FAIL })
}

fn matrix(rows: &[Row], text: &mut String) {
    for row in rows {
        let _ = writeln!(
            text,
            "{} {} ({} {})",
            row.transaction.id, row.transaction.name, row.role, row.version
        );
        // A row with one reason for everything is one line.
        let reasons: Vec<String> = row
            .cells
            .iter()
            .filter_map(|(_, cell)| match cell {
                Cell::Reason(reason) => Some(reason.to_string()),
                _ => None,
            })
            .collect();
        if reasons.len() == Aspect::ALL.len() && reasons.windows(2).all(|w| w[0] == w[1]) {
            let _ = writeln!(text, "  every aspect   – {}", reasons[0]);
            continue;
        }
        for (aspect, cell) in &row.cells {
            let shown = match cell {
                Cell::Cases(cases, excused) => {
                    let mut shown = match &cases[..] {
                        [] => "– excused".to_owned(),
                        [one] => one.to_string(),
                        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
                    };
                    for why in excused {
                        let _ = write!(shown, "\n                 not provoked: {why}");
                    }
                    shown
                }
                Cell::Reason(reason) => format!("– {reason}"),
                Cell::Gap(what) => format!("GAP: {what}"),
            };
            let _ = writeln!(text, "  {aspect:<12}   {shown}");
        }
    }
}

fn item_table(items: &[ItemCoverage], text: &mut String) {
    let _ = writeln!(
        text,
        "\n{:<24} {:>6} {:>8} {:>10}",
        "item", "cases", "written", "generated"
    );
    for item in items {
        let _ = writeln!(
            text,
            "{:<24} {:>6} {:>8} {:>10}{}",
            item.id,
            item.cases,
            item.written,
            item.generated,
            match &item.excuse {
                _ if item.is_falsified() => String::new(),
                Some(why) => format!("  – {why}"),
                None => "  GAP: never seen to fail".to_owned(),
            }
        );
    }
    text.push('\n');
}

/// Counts; gives the number of gaps.
fn summary(rows: &[Row], items: &[ItemCoverage], text: &mut String) -> usize {
    let mut by_aspect: BTreeMap<Aspect, (usize, usize, usize)> = BTreeMap::new();
    for (aspect, cell) in rows.iter().flat_map(|r| &r.cells) {
        let entry = by_aspect.entry(*aspect).or_default();
        match cell {
            Cell::Cases(..) => entry.0 += 1,
            Cell::Reason(_) => entry.1 += 1,
            Cell::Gap(_) => entry.2 += 1,
        }
    }
    let _ = writeln!(
        text,
        "{:<12} {:>6} {:>8} {:>6}",
        "aspect", "cases", "reason", "gap"
    );
    for (aspect, (cases, reasons, gaps)) in &by_aspect {
        let _ = writeln!(text, "{aspect:<12} {cases:>6} {reasons:>8} {gaps:>6}");
    }
    let gaps: usize = by_aspect.values().map(|(.., gaps)| gaps).sum();
    let falsified = items.iter().filter(|i| i.is_falsified()).count();
    let excused = items
        .iter()
        .filter(|i| !i.is_falsified() && i.excuse.is_some())
        .count();
    let never = items.len() - falsified - excused;
    let _ = writeln!(
        text,
        "{} items: {falsified} seen to fail, {excused} with a reason why not, {never} without\n\
         {gaps} cells without a case or a reason",
        items.len(),
    );
    gaps + never
}
