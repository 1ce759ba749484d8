//! `scr coverage --release`: what the release says, by baseline document, and what tests it. Documents
//! without a text stand there with those that have one.

use std::fmt::Write as _;

use super::scr::{Format, MARK, shown};
use super::{Common, Failure, exit::Exit, output};
use crate::base::FileError;
use crate::spec::tables::LEDGER;
use crate::spec::{Ledger, LedgerClass, LedgerDocument, LedgerEntry, Tables, is_testable};

/// Longest line of names of items, in characters.
const WIDTH: usize = 116;

/// Prints it; the exit code is 1 when a statement has no row.
///
/// # Errors
/// A mistake in a table, or tables without a ledger.
pub fn run(format: Format, common: &Common) -> Result<Exit, Failure> {
    let tables = Tables::load(&common.table_files()?)?;
    let Some(ledger) = &tables.ledger else {
        return Err(FileError::new(LEDGER, 0, "this table is missing")
            .fix("put it back, or copy the whole scr-tables/ folder before changing it")
            .into());
    };
    output(&match format {
        Format::Human => human(ledger, &tables),
        Format::Json => format!("{:#}\n", json(ledger, &tables)),
    })?;
    Ok(if ledger.missing().is_empty() {
        Exit::OK
    } else {
        Exit::FAIL
    })
}

/// Numbers of statements by class, of a document or of everything.
fn classes(counts: impl Fn(LedgerClass) -> usize) -> String {
    let parts: Vec<String> = LedgerClass::ALL
        .iter()
        .map(|class| (counts(*class), class))
        .filter(|(n, _)| *n > 0)
        .map(|(n, class)| format!("{n} {class}"))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

/// How many statements of a document are of a class, repetitions included.
fn count(rows: &[(&LedgerEntry, Vec<u32>)], class: LedgerClass) -> usize {
    let of = rows.iter().filter(|(e, _)| e.class == class);
    of.map(|(_, numbers)| numbers.len()).sum()
}

/// Items of a document: all, and those that cannot be tested.
fn items(document: &LedgerDocument, tables: &Tables) -> (usize, usize) {
    let (all, testable) = document
        .items_of(&tables.items)
        .fold((0, 0), |(all, testable), item| {
            (all + 1, testable + usize::from(is_testable(item)))
        });
    (all, all - testable)
}

fn human(ledger: &Ledger, tables: &Tables) -> String {
    let mut out = format!(
        "What the public texts of the release say, statement by statement, by the document that it belongs to.\n\
         A statement that is said twice has two numbers. What cases and faults an item has, `imps-scr scr coverage` tells.\n\
         {MARK}\n"
    );
    for document in ledger.documents() {
        let rows = ledger.of_document(&document.id);
        let (all, untestable) = items(document, tables);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "\n{}  {}{}\n  {}",
            shown(&document.id),
            shown(&document.title),
            if document.baseline {
                ""
            } else {
                " (not in the baseline)"
            },
            shown(&document.remark)
        );
        let _ = match (all, untestable) {
            (0, _) => writeln!(out, "  items       none"),
            (_, 0) => writeln!(out, "  items       {all}"),
            _ => writeln!(out, "  items       {all}, {untestable} of them untestable"),
        };
        for item in document.items_of(&tables.items).filter(|i| !is_testable(i)) {
            let why = item.untestable.as_deref().unwrap_or("not applicable");
            let _ = writeln!(
                out,
                "    {}  untestable: {}",
                shown(&item.marked_id()),
                shown(why)
            );
        }
        let _ = writeln!(out, "  statements  {}", classes(|class| count(&rows, class)));
        for class in LedgerClass::ALL {
            for (entry, numbers) in rows.iter().filter(|(e, _)| e.class == *class) {
                statement(entry, numbers, ledger, tables, &mut out);
            }
        }
    }
    totals(ledger, tables, &mut out);
    out
}

fn statement(entry: &LedgerEntry, numbers: &[u32], ledger: &Ledger, tables: &Tables, out: &mut String) {
    let places: Vec<String> = numbers
        .iter()
        .filter_map(|n| ledger.get(*n))
        .map(|e| format!("{} {}", e.document, e.section))
        .collect();
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let _ = writeln!(
        out,
        "    {:<9} {:<12}  {} ({})",
        numbers.join(", "),
        entry.class,
        shown(&entry.statement),
        shown(&places.join("; "))
    );
    let indent = " ".repeat(28);
    if entry.class == LedgerClass::Tested {
        let testable = entry.items_of(&tables.items).filter(|i| is_testable(i)).count();
        let mut line = format!("{indent}{testable} items:");
        for pattern in entry.items.iter().map(|p| shown(p.as_str())) {
            if line.len() + pattern.len() >= WIDTH {
                let _ = writeln!(out, "{line}");
                line = format!("{indent} ");
            }
            let _ = write!(line, " {pattern}");
        }
        let _ = writeln!(out, "{line}");
    }
    if let Some(reason) = &entry.reason {
        let _ = writeln!(out, "{indent}– {}", shown(reason));
    }
}

fn totals(ledger: &Ledger, tables: &Tables, out: &mut String) {
    let width = ledger.documents().iter().map(|d| d.id.len()).max().unwrap_or(0);
    let width = width.max("document".len());
    let _ = write!(out, "\n{:width$}  {:>6}", "document", "items");
    for class in LedgerClass::ALL {
        let _ = write!(out, "  {:>12}", class.as_str());
    }
    for document in ledger.documents() {
        let rows = ledger.of_document(&document.id);
        let _ = write!(
            out,
            "\n{:width$}  {:>6}",
            shown(&document.id),
            items(document, tables).0
        );
        for class in LedgerClass::ALL {
            let _ = write!(out, "  {:>12}", count(&rows, *class));
        }
    }
    let baseline = ledger.documents().iter().filter(|d| d.baseline).count();
    let _ = writeln!(
        out,
        "\n\nAn item or a statement may belong to several documents.\n\n{baseline} documents of the baseline\n{}",
        summary(ledger)
    );
    for number in ledger.missing() {
        let _ = writeln!(out, "GAP: statement {number} has no row");
    }
}

/// One line: every statement of the release by class.
pub fn summary(ledger: &Ledger) -> String {
    format!(
        "{} statements of the release: {}; {} without a row",
        ledger.statements(),
        classes(|class| ledger.count(class)),
        ledger.missing().len()
    )
}

fn json(ledger: &Ledger, tables: &Tables) -> serde_json::Value {
    let by_class = |counts: &dyn Fn(LedgerClass) -> usize| -> serde_json::Map<String, serde_json::Value> {
        let of = LedgerClass::ALL.iter();
        of.map(|class| (class.as_str().to_owned(), counts(*class).into()))
            .collect()
    };
    let documents: Vec<_> = ledger
        .documents()
        .iter()
        .map(|document| {
            let rows = ledger.of_document(&document.id);
            let (all, untestable) = items(document, tables);
            serde_json::json!({
                "id": document.id,
                "title": document.title,
                "baseline": document.baseline,
                "remark": document.remark,
                "items": all,
                "items_untestable": untestable,
                "statements": by_class(&|class| count(&rows, class)),
            })
        })
        .collect();
    let statements: Vec<_> = ledger
        .entries()
        .map(|entry| {
            let covering = entry.items_of(&tables.items);
            let covering: Vec<&str> = covering
                .filter(|i| is_testable(i))
                .map(|i| i.id.as_str())
                .collect();
            let named: Vec<&str> = entry.items.iter().map(|p| p.as_str()).collect();
            serde_json::json!({
                "number": entry.number,
                "document": entry.document,
                "section": entry.section,
                "same_as": entry.same_as,
                "statement": entry.statement,
                "class": entry.class,
                "document_of": entry.document_of,
                "named": named,
                "items": covering,
                "reason": entry.reason,
            })
        })
        .collect();
    serde_json::json!({
        "format": "imps-scr/release-coverage/1",
        "note": MARK,
        "tables": tables.digest,
        "documents": documents,
        "statements": statements,
        "totals": {
            "statements": ledger.statements(),
            "classes": by_class(&|class| ledger.count(class)),
            "missing": ledger.missing(),
        },
    })
}
