//! `scr import`: a table of requirement rows that somebody holds, made ready for `run --imported`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Failure, complain, exit::Exit, output};
use crate::base::FileError;
use crate::base::escape::plain;
use crate::spec::imported::{self, Form};
use crate::spec::{Asked, ImportedTable, Items, Status, Tables};

/// Arguments of `scr import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The table, with the columns Item, Function, Reference, Status, Requirement and perhaps Maps
    file: PathBuf,
    /// Which of our items test which row, YAML: `maps: {XYZ-S-001: [CSP-…]}`
    #[arg(long, value_name = "FILE")]
    maps: Option<PathBuf>,
    /// How the table is written; told from its name or first line when left out
    #[arg(long, value_enum, value_name = "FORM")]
    form: Option<As>,
    /// Where to write it; standard output when left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// Fields between commas, semicolons or tabs.
    Csv,
    /// `rows:`, or a list of rows.
    Yaml,
}

/// Runs `scr import`.
///
/// # Errors
/// The table or the mapping has a mistake, or the result cannot be written.
pub fn run(args: &Args, tables: &Tables) -> Result<Exit, Failure> {
    let (file, text) = read(&args.file)?;
    let form = match args.form {
        Some(As::Csv) => Form::Csv,
        Some(As::Yaml) => Form::Yaml,
        None => Form::of(&file, &text),
    };
    let source = imported::read(&file, &text, form, &tables.items)?;
    let mut table = source.table;
    if let Some(path) = &args.maps {
        let (file, text) = read(path)?;
        imported::map(&mut table, &file, &text, &tables.items)?;
    }
    for note in &source.notes {
        complain(&format!("note: {}", plain(note)));
    }
    let told = describe(std::slice::from_ref(&table));
    let yaml = table.to_yaml();
    let Some(path) = &args.out else {
        complain(told.trim_end());
        return output(&yaml);
    };
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut out| out.write_all(yaml.as_bytes()))
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::Usage(format!(
                "{} is there already\n  fix: remove it, or give another name with --out",
                path.display()
            )),
            _ => Failure::Io {
                what: "failed to write",
                path: path.clone(),
                source,
            },
        })?;
    output(&format!(
        "{told}written: {}\n",
        plain(&path.display().to_string())
    ))
}

fn read(path: &std::path::Path) -> Result<(String, String), Failure> {
    let file = path.display().to_string();
    let octets = std::fs::read(path).map_err(|source| Failure::Io {
        what: "failed to read",
        path: path.to_owned(),
        source,
    })?;
    match String::from_utf8(octets) {
        Ok(text) => Ok((file, text)),
        Err(e) => {
            let good = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
            Err(FileError::new(&file, line, "octets that are no UTF-8")
                .fix("save the file as UTF-8")
                .into())
        }
    }
}

/// Reads tables that `scr import` wrote.
///
/// # Errors
/// A mistake in one, or a row that two of them have.
pub(super) fn tables(paths: &[PathBuf], items: &Items) -> Result<Vec<ImportedTable>, Failure> {
    let mut tables = Vec::new();
    for path in paths {
        let (file, text) = read(path)?;
        tables.push(ImportedTable::parse(&file, &text, items)?);
    }
    ImportedTable::distinct(&tables)?;
    Ok(tables)
}

/// What is in tables: counts, and what deserves a second look.
pub(super) fn describe(tables: &[ImportedTable]) -> String {
    let mut out = String::new();
    for table in tables {
        let count =
            |of: &dyn Fn(&crate::spec::ImportedRow) -> bool| table.rows.iter().filter(|r| of(r)).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}: {} rows ({} M, {} O, {} NA), {} mapped; {} requirements, {} of them kept as text",
            plain(&table.file),
            table.rows.len(),
            count(&|r| r.status == Status::Mandatory),
            count(&|r| r.status == Status::Optional),
            count(&|r| r.status == Status::NotApplicable),
            count(&|r| !r.maps.is_empty()),
            count(&|r| r.requirement.is_some()),
            count(&|r| matches!(r.requirement, Some(Asked::Prose { .. }))),
        );
        let unmapped: Vec<String> = table
            .rows
            .iter()
            .filter(|r| r.status == Status::Mandatory && r.maps.is_empty())
            .map(crate::spec::ImportedRow::marked_id)
            .collect();
        if !unmapped.is_empty() {
            let _ = writeln!(
                out,
                "  mandatory and mapped to no item ({}): {}",
                unmapped.len(),
                plain(&unmapped.join(", "))
            );
        }
    }
    for remark in ImportedTable::remarks(tables) {
        let _ = writeln!(out, "note: {}", plain(&remark));
    }
    out
}
