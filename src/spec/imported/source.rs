//! A table as its holder has it, CSV or YAML with the columns of CREQ, and the file that maps its rows to
//! ours.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::limits::MAX_YAML;
use crate::base::{FileError, yaml};
use crate::spec::items::{Items, nearest};
use crate::spec::types::Status;

use super::{ImportedRow, ImportedTable, NAMESPACE, name_of, requirement_of, status_of_name};

/// What the columns may be called, in lower case and without blanks; the first is the name in messages.
const COLUMNS: [&[&str]; 6] = [
    &["item", "scritem", "id"],
    &["function", "feature/application", "feature", "description"],
    &["reference", "ref", "references"],
    &["status"],
    &["requirement", "requirements"],
    &["maps", "mapsto", "mapping"],
];
const ITEM: usize = 0;
const FUNCTION: usize = 1;
const REFERENCE: usize = 2;
const STATUS: usize = 3;
const REQUIREMENT: usize = 4;
const MAPS: usize = 5;

/// A table with what was passed over on the way.
#[derive(Debug, Clone)]
pub struct Source {
    /// The table.
    pub table: ImportedTable,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The cells of a row, each with its line.
struct Cells {
    line: usize,
    cells: [(usize, String); 6],
}

/// Whether a text is CSV or YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Fields and lines.
    Csv,
    /// `rows:`, or a list of rows.
    Yaml,
}

impl Form {
    /// By the end of the file's name, else by its first line.
    pub fn of(file: &str, text: &str) -> Self {
        let name = file.to_ascii_lowercase();
        let first = text.trim_start_matches('\u{feff}').trim_start();
        if [".yaml", ".yml"].iter().any(|e| name.ends_with(e)) {
            Form::Yaml
        } else if [".csv", ".tsv"].iter().any(|e| name.ends_with(e)) {
            Form::Csv
        } else if first.starts_with("rows:") || first.starts_with("- ") || first.starts_with('#') {
            Form::Yaml
        } else {
            Form::Csv
        }
    }
}

/// Reads a table.
///
/// # Errors
/// The first mistake with its line: a column that is missing, a name that stands twice, a status that
/// there is not, an item of ours that is not in the tables or is of the other role.
pub fn read(file: &str, text: &str, form: Form, items: &Items) -> Result<Source, FileError> {
    if text.len() > MAX_YAML {
        return Err(
            FileError::new(file, 0, format!("larger than the limit of {MAX_YAML} octets"))
                .fix("split the file"),
        );
    }
    let (rows, notes) = match form {
        Form::Csv => csv_rows(file, text)?,
        Form::Yaml => (yaml_rows(file, text)?, Vec::new()),
    };
    if rows.is_empty() {
        return Err(FileError::new(file, 0, "a table without rows").fix("add a row for each item"));
    }
    let mut table = ImportedTable {
        file: file.to_owned(),
        source: file.rsplit(['/', '\\']).next().unwrap_or(file).to_owned(),
        rows: Vec::new(),
    };
    for row in &rows {
        table.add(build(file, row, items)?)?;
    }
    Ok(Source { table, notes })
}

fn csv_rows(file: &str, text: &str) -> Result<(Vec<Cells>, Vec<String>), FileError> {
    let mut records = super::csv::read(file, text)?.into_iter();
    let (line, head) = records.next().unwrap_or((1, Vec::new()));
    let mut places: [Option<usize>; 6] = [None; 6];
    let mut notes = Vec::new();
    for (at, name) in head.iter().enumerate() {
        let plain: String = name
            .to_lowercase()
            .split_whitespace()
            .collect::<String>()
            .replace('_', "");
        let Some(column) = COLUMNS.iter().position(|c| c.contains(&plain.as_str())) else {
            if !name.is_empty() {
                notes.push(format!("the column `{name}` is not kept"));
            }
            continue;
        };
        if places[column].replace(at).is_some() {
            return Err(
                FileError::new(file, line, format!("two columns are the {}", COLUMNS[column][0]))
                    .fix("keep one of them"),
            );
        }
    }
    if let Some(missing) = [ITEM, FUNCTION, REFERENCE, REQUIREMENT]
        .into_iter()
        .find(|c| places[*c].is_none())
    {
        return Err(FileError::new(
            file,
            line,
            format!("no column is called {}", capital(COLUMNS[missing][0])),
        )
        .fix("the first line names the columns: Item, Function, Reference, Status, Requirement, and perhaps Maps"));
    }
    let rows = records
        .map(|(line, fields)| {
            if fields.len() > head.len() {
                return Err(FileError::new(
                    file,
                    line,
                    format!("{} fields in a table of {} columns", fields.len(), head.len()),
                )
                .fix("put a field that holds the separator into quotes"));
            }
            let cell = |place: Option<usize>| {
                (
                    line,
                    place.and_then(|p| fields.get(p)).cloned().unwrap_or_default(),
                )
            };
            Ok(Cells {
                line,
                cells: places.map(cell),
            })
        })
        .collect::<Result<Vec<Cells>, FileError>>()?;
    Ok((rows, notes))
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    rows: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    #[serde(alias = "Item", alias = "id")]
    item: String,
    #[serde(default, alias = "Function", alias = "Feature/Application", alias = "feature")]
    function: String,
    #[serde(default, alias = "Reference")]
    reference: String,
    #[serde(default, alias = "Status")]
    status: Option<String>,
    #[serde(default, alias = "Requirement")]
    requirement: Option<String>,
    #[serde(default, alias = "Maps")]
    maps: Vec<String>,
}

fn yaml_rows(file: &str, text: &str) -> Result<Vec<Cells>, FileError> {
    // A list at the top is a table as well.
    let bare = text
        .lines()
        .find(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .is_some_and(|l| l.starts_with('-'));
    let mut rows = Vec::new();
    let mut add = |row: RawRow, line: &dyn Fn(&str) -> usize| {
        let cells = [
            ("item", row.item),
            ("function", row.function),
            ("reference", row.reference),
            ("status", row.status.unwrap_or_default()),
            ("requirement", row.requirement.unwrap_or_default()),
            ("maps", row.maps.join(" ")),
        ];
        rows.push(Cells {
            line: line(""),
            cells: cells.map(|(name, text)| {
                let known = line(&format!(".{}", capital(name)));
                let known = if known == line("") {
                    line(&format!(".{name}"))
                } else {
                    known
                };
                (known, text.trim().to_owned())
            }),
        });
    };
    if bare {
        let mut doc = yaml::parse::<Vec<RawRow>>(file, text)?;
        for (n, row) in std::mem::take(&mut doc.value).into_iter().enumerate() {
            add(row, &|path| doc.line(&format!("[{n}]{path}")));
        }
    } else {
        let mut doc = yaml::parse::<RawTable>(file, text)?;
        for (n, row) in std::mem::take(&mut doc.value.rows).into_iter().enumerate() {
            add(row, &|path| doc.line(&format!("rows[{n}]{path}")));
        }
    }
    Ok(rows)
}

fn build(file: &str, row: &Cells, items: &Items) -> Result<ImportedRow, FileError> {
    let cell = |column: usize| row.cells[column].1.as_str();
    let at = |column: usize| row.cells[column].0;
    let id = name_of(cell(ITEM)).map_err(|reason| {
        FileError::new(file, at(ITEM), reason)
            .fix("write the name of the item as the table has it, such as XYZ-C-001")
    })?;
    let suffix = status_of_name(&id);
    let written = match cell(STATUS) {
        "" => None,
        text => Some(status(text).ok_or_else(|| {
            FileError::new(file, at(STATUS), format!("{id}: `{text}` is no status")).fix("write M, O or NA")
        })?),
    };
    let status = match (written, suffix) {
        (Some(a), Some(b)) if a != b => {
            return Err(FileError::new(
                file,
                at(STATUS),
                format!("{id}: the status is {a}, and the name ends in -{b}"),
            )
            .fix("correct one of them"));
        }
        (Some(status), _) | (None, Some(status)) => status,
        (None, None) => {
            return Err(FileError::new(file, at(STATUS), format!("{id} has no status"))
                .fix("write M, O or NA in the column Status, or a name that ends in -M or -O"));
        }
    };
    let mut imported = ImportedRow {
        id,
        status,
        function: one_line(cell(FUNCTION)),
        reference: one_line(cell(REFERENCE)),
        requirement: requirement_of(&one_line(cell(REQUIREMENT))),
        maps: Vec::new(),
        line: row.line,
    };
    for name in cell(MAPS).split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')) {
        if !name.is_empty() {
            imported.map(file, at(MAPS), name, items)?;
        }
    }
    Ok(imported)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn status(text: &str) -> Option<Status> {
    Some(match text.to_uppercase().as_str() {
        "M" | "MANDATORY" => Status::Mandatory,
        "O" | "OPTIONAL" => Status::Optional,
        "NA" | "N/A" | "N.A." | "NOT APPLICABLE" => Status::NotApplicable,
        _ => return None,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMaps {
    #[serde(default)]
    format: Option<String>,
    maps: BTreeMap<String, Vec<String>>,
}

/// Adds what a mapping file says.
///
/// # Errors
/// A row or an item that is not there, or is of the other role, with the line.
pub fn map(table: &mut ImportedTable, file: &str, text: &str, items: &Items) -> Result<(), FileError> {
    let doc = yaml::parse::<RawMaps>(file, text)?;
    if let Some(format) = doc.value.format.as_deref().filter(|f| *f != "imps-scr/maps/1") {
        return Err(doc
            .error("format", format!("format `{format}` is not known here"))
            .fix("this version reads `imps-scr/maps/1`"));
    }
    for (name, ours) in &doc.value.maps {
        let path = format!("maps.{name}");
        let id = name_of(name.strip_prefix(NAMESPACE).unwrap_or(name)).unwrap_or_default();
        let names: Vec<String> = table.rows.iter().map(|r| r.id.clone()).collect();
        let Some(row) = table.rows.iter_mut().find(|r| r.id == id) else {
            let near = nearest(name, names.iter().map(|n| (n.as_str(), n)));
            let near: Vec<&str> = near.into_iter().map(String::as_str).collect();
            return Err(doc
                .error(&path, format!("no row of {} is called {name}", table.source))
                .fix(if near.is_empty() {
                    "write the name as the table has it".to_owned()
                } else {
                    format!("did you mean {}?", near.join(" or "))
                }));
        };
        for (n, our) in ours.iter().enumerate() {
            row.map(file, doc.line(&format!("{path}[{n}]")), our, items)?;
        }
    }
    Ok(())
}
