//! `scr`: the requirement tables, listed, shown and checked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Subcommand, ValueEnum};

use super::{Common, Failure, exit::Exit, output};
use crate::spec::{Item, Reference, Role, Status, Tables};
use crate::verdict::Strength;

/// Arguments of `scr`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List requirement items
    List(ListArgs),
    /// Show everything about an item
    Show(ShowArgs),
    /// Check that the tables are sound
    Check(CheckArgs),
    /// Make a table for `run --imported` of one that you hold, CSV or YAML
    Import(super::import::Args),
    /// What is tested: items with their cases and mutants, transactions by aspect; or the whole release
    Coverage(super::coverage::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only items of this role
    #[arg(long, value_parser = word::<Role>)]
    role: Option<Role>,
    /// Only items of this status: M, O or NA
    #[arg(long, value_parser = word::<Status>)]
    status: Option<Status>,
    /// Only items of this protocol: CSP, SSP or IMPS
    #[arg(long)]
    protocol: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Check this table too, which `scr import` wrote; may be given again
    #[arg(long, value_name = "FILE")]
    imported: Vec<std::path::PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Name of the item, with or without `rec:`
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people.
    Human,
    /// One JSON document.
    Json,
}

/// A word of the tables as a value of an option.
fn word<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

pub(super) const MARK: &str = "Items marked rec: are reconstructions of this project, not OMA text.";

/// Runs `scr`.
pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let tables = Tables::load(&common.table_files()?)?;
    match &args.command {
        Command::List(args) => list(args, &tables),
        Command::Show(args) => show(args, &tables),
        Command::Check(args) => {
            let imported = super::import::tables(&args.imported, &tables.items)?;
            output(&format!(
                "{}{}",
                check(&tables),
                super::import::describe(&imported)
            ))
        }
        Command::Import(args) => super::import::run(args, &tables),
        Command::Coverage(args) => super::coverage::run(args, common),
    }
}

fn list(args: &ListArgs, tables: &Tables) -> Result<Exit, Failure> {
    let items: Vec<&Item> = tables
        .items
        .iter()
        .filter(|i| args.role.is_none_or(|r| r == i.role))
        .filter(|i| args.status.is_none_or(|s| s == i.status))
        .filter(|i| {
            args.protocol
                .as_ref()
                .is_none_or(|p| p.eq_ignore_ascii_case(&i.protocol))
        })
        .collect();
    let text = match args.format {
        Format::Human => table(&items),
        Format::Json => {
            let list: Vec<_> = items.iter().map(|i| json(i)).collect();
            let document = serde_json::json!({
                "format": "imps-scr/item-list/1",
                "note": MARK,
                "tables": tables.digest,
                "items": list,
            });
            format!("{document:#}\n")
        }
    };
    let exit = output(&text)?;
    if items.is_empty() {
        super::complain("no item fits these options");
        return Ok(Exit::NOTHING);
    }
    Ok(exit)
}

fn json(item: &Item) -> serde_json::Value {
    serde_json::json!({
        "id": item.id,
        "reconstructed": item.reconstructed,
        "protocol": item.protocol,
        "role": item.role,
        "side": item.side,
        "status": item.status,
        "basis": item.basis,
        "because": item.because,
        "strength": item.strength(),
        "since": item.since,
        "until": item.until,
        "feature": item.feature,
        "text": item.text,
        "requirement": item.requirement.as_ref().map(ToString::to_string),
        "requirement_text": item.requirement_text,
        "reading_because": item.reading_because,
        "reference": item.reference,
        "function": item.function,
        "source": item.source,
        "untestable": item.untestable,
    })
}

fn table(items: &[&Item]) -> String {
    let width = items
        .iter()
        .map(|i| i.marked_id().len())
        .max()
        .unwrap_or(0)
        .max(2);
    let mut out = format!(
        "{MARK}\n\n{:width$}  {:6}  {:6}  {:5}  {:8}  FEATURE\n",
        "ID", "ROLE", "STATUS", "BASIS", "STRENGTH"
    );
    for item in items {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:width$}  {:6}  {:6}  {:5}  {:8}  {}",
            item.marked_id(),
            item.role,
            item.status,
            item.basis,
            item.strength().as_str(),
            shown(&item.feature)
        );
    }
    let _ = writeln!(out, "\n{} items", items.len());
    out
}

fn show(args: &ShowArgs, tables: &Tables) -> Result<Exit, Failure> {
    let Some(item) = tables.items.find(&args.id) else {
        let nearest = tables.items.nearest(&args.id);
        let names: Vec<&str> = nearest.iter().map(|id| id.as_str()).collect();
        return Err(super::unknown(
            "item",
            &args.id,
            &names,
            "`imps-scr scr list` shows every item",
        ));
    };
    output(&describe(item, tables))
}

/// Everything about an item, in lines.
pub(super) fn describe(item: &Item, tables: &Tables) -> String {
    let mut out = format!("{}  {}\n\n", item.marked_id(), shown(&item.feature));
    if item.reconstructed {
        out.push_str("A reconstruction of this project, not OMA text.\n\n");
    }
    let _ = writeln!(out, "{}\n", shown(&item.text));
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:12} {}", shown(text));
    };
    line("protocol", &item.protocol);
    line("role", item.role.as_str());
    if let Some(side) = item.side {
        line("side", side.as_str());
    }
    line(
        "status",
        match item.status {
            Status::Mandatory => "M, mandatory",
            Status::Optional => "O, optional",
            Status::NotApplicable => "NA, not applicable",
        },
    );
    // The release has the versions of CSP.
    let protocol = if item.side.is_some() { "SSP" } else { "CSP" };
    let versions = match (item.since, item.until) {
        (since, None) => format!("{protocol} {since} and later"),
        (since, Some(until)) if since == until => format!("{protocol} {since} only"),
        (since, Some(until)) => format!("{protocol} {since} to {until}"),
    };
    line("versions", &versions);
    if let Some(printed) = &item.requirement_text {
        line("printed", &format!("\"{printed}\""));
    }
    if let Some(requirement) = &item.requirement {
        let label = if item.requirement_text.is_some() {
            "our reading"
        } else {
            "requirement"
        };
        line(label, &requirement.to_string());
        for reference in requirement.references() {
            if let Reference::Group(group) = reference {
                let meaning = match tables.items.of_group(group).count() {
                    0 => "no table of it is loaded: unknown".to_owned(),
                    n => format!("{n} items"),
                };
                line("", &format!("{group}: {meaning}"));
            }
        }
    }
    if let Some(why) = &item.reading_because {
        line("read so", why);
    }
    if let Some(function) = &item.function {
        line("function", function);
    }
    line("reference", &item.reference);
    line("source", &item.source);
    line("basis", &format!("{}: {}", item.basis, item.basis.meaning()));
    line("strength", &strength(item));
    match &item.untestable {
        None => line("tested", "yes"),
        Some(why) => line("tested", &format!("no: {why}")),
    }
    line("table", &format!("{}:{}", item.file, item.line));
    out
}

/// Strength with what made it so.
fn strength(item: &Item) -> String {
    let cost = match item.strength() {
        Strength::Must => "a breach fails",
        Strength::Should => "a breach warns",
        Strength::Note => "a breach is a remark, every listed reading passes",
    };
    let why = match item.because {
        Some(because) => format!("a conclusion binds when its breach concerns {because}"),
        None => item.basis.meaning().to_owned(),
    };
    format!("{}: {cost} ({why})", item.strength().as_str())
}

/// What loading has not refused, in numbers, and what deserves a second look. The rules themselves
/// are checked while loading, so that no command ever works on tables that break them.
fn check(tables: &Tables) -> String {
    let mut out = String::new();
    let mut by: BTreeMap<(Role, Status, Strength), usize> = BTreeMap::new();
    for item in tables.items.iter() {
        *by.entry((item.role, item.status, item.strength())).or_default() += 1;
    }
    let untestable = tables.items.iter().filter(|i| i.untestable.is_some()).count();
    let rebuilt = tables.items.iter().filter(|i| i.reconstructed).count();
    let _ = writeln!(
        out,
        "{} items ({rebuilt} reconstructed, {untestable} untestable)",
        tables.items.len()
    );
    for ((role, status, strength), count) in &by {
        let _ = writeln!(out, "  {role:6}  {status:2}  {:6}  {count}", strength.as_str());
    }
    let elements: Vec<usize> = crate::spec::Version::ALL
        .iter()
        .map(|v| tables.syntax.elements(*v).count())
        .collect();
    let _ = writeln!(
        out,
        "{} elements of CSP 1.1, {} of CSP 1.2, {} primitives, {} presence attributes",
        elements.first().unwrap_or(&0),
        elements.get(1).unwrap_or(&0),
        tables.syntax.primitives().len(),
        tables.syntax.presence().len()
    );
    let named = tables.named_readings().len();
    let _ = writeln!(
        out,
        "{} open questions, {named} named by rows of the element table",
        tables.readings.len()
    );
    if let Some(ledger) = &tables.ledger {
        let _ = writeln!(out, "{}", super::release::summary(ledger));
    }
    let notes = remarks(tables);
    for note in &notes {
        let _ = writeln!(out, "note: {}", shown(note));
    }
    out.push_str("tables are sound: names are strict and unique, references and readings resolve, strength follows basis\n");
    out
}

fn remarks(tables: &Tables) -> Vec<String> {
    let mut notes = Vec::new();
    for item in tables.items.iter() {
        for reference in item.requirement.iter().flat_map(|r| r.references()) {
            match reference {
                Reference::Group(group) if tables.items.of_group(group).next().is_none() => {
                    notes.push(format!(
                        "{}: no item of {group} is loaded, so its requirement cannot be told",
                        item.id
                    ));
                }
                Reference::Item(name) if name.as_str() == item.id.as_str() => {
                    notes.push(format!("{}: its requirement names itself", item.id));
                }
                Reference::Item(name) => match tables.items.find(name.as_str()) {
                    None => notes.push(format!("{}: {name} is of a table that is not loaded", item.id)),
                    // A server is the same by either protocol.
                    Some(other) if other.role.device() != item.role.device() => notes.push(format!(
                        "{}: its requirement names {name}, an item of the other role",
                        item.id
                    )),
                    Some(_) => {}
                },
                Reference::Group(_) => {}
            }
        }
    }
    notes
}

/// Table text for the terminal: `--tables` may bring anything.
pub(super) fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    crate::base::escape::plain(text)
}
