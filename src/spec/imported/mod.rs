//! Requirement tables of others: the rows of OMA's own documents, brought by whoever holds them. They
//! have a namespace of their own, `oma:`, and are mapped to our items; nothing of them is part of the
//! suite.

mod csv;
mod source;

use std::fmt::Write as _;

use serde::Deserialize;

use crate::base::escape::{plain, shorten};
use crate::base::{FileError, ItemId, yaml};

use super::expr::{Expression, Reference};
use super::ics::quoted;
use super::items::{Items, did_you_mean};
use super::scr::{ScrItem, close_blanks};
use super::types::{Role, Status};

pub use source::{Form, Source, map, read};

/// What stands before the name of an imported row.
pub const NAMESPACE: &str = "oma:";
/// Name and version of the format.
pub const FORMAT: &str = "imps-scr/imported/1";
/// Longest name of a row, in characters.
const MAX_NAME: usize = 80;

/// A table that was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTable {
    /// The file it was read from.
    pub file: String,
    /// Name of the file that it was made of.
    pub source: String,
    /// Its rows in order.
    pub rows: Vec<ImportedRow>,
}

/// A row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRow {
    /// Its name, without namespace, as the table has it.
    pub id: String,
    /// M, O or NA.
    pub status: Status,
    /// What it is about.
    pub function: String,
    /// Document and section.
    pub reference: String,
    /// What whoever claims it must satisfy besides.
    pub requirement: Option<Asked>,
    /// Our items that test it.
    pub maps: Vec<ItemId>,
    /// Its line.
    pub line: usize,
}

/// A requirement of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An expression.
    Expression(Expression),
    /// Text that is none, and why.
    Prose {
        /// As printed.
        text: String,
        /// Why it is no expression.
        reason: String,
    },
}

impl Asked {
    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Asked::Expression(expression) => expression.to_string(),
            Asked::Prose { text, .. } => text.clone(),
        }
    }
}

impl ImportedRow {
    /// The name with its namespace.
    pub fn marked_id(&self) -> String {
        format!("{NAMESPACE}{}", self.id)
    }

    /// The side that the name says it binds; none when it does not say.
    pub fn role(&self) -> Option<Role> {
        ScrItem::parse(&self.id).ok().and_then(|i| i.role())
    }

    fn map(&mut self, file: &str, line: usize, name: &str, items: &Items) -> Result<(), FileError> {
        let Some(item) = items.find(name) else {
            let near = items.nearest(name.strip_prefix("rec:").unwrap_or(name));
            return Err(FileError::new(
                file,
                line,
                format!("{} is mapped to {name}, which is no item here", self.id),
            )
            .fix(did_you_mean(&near)));
        };
        if self.role().is_some_and(|role| role != item.role) {
            return Err(FileError::new(
                file,
                line,
                format!(
                    "{} is mapped to {}, an item of the {}",
                    self.id, item.id, item.role
                ),
            )
            .fix("map a row to items of its own side"));
        }
        if !self.maps.contains(&item.id) {
            self.maps.push(item.id.clone());
        }
        Ok(())
    }
}

impl ImportedTable {
    fn add(&mut self, row: ImportedRow) -> Result<(), FileError> {
        if let Some(other) = self.rows.iter().find(|r| r.id == row.id) {
            return Err(
                FileError::new(&self.file, row.line, format!("{} stands twice", row.id)).fix(format!(
                    "the other is at {}:{}; keep one of them",
                    self.file, other.line
                )),
            );
        }
        self.rows.push(row);
        Ok(())
    }

    /// Reads a table file that was written by [`ImportedTable::to_yaml`].
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse(file: &str, text: &str, items: &Items) -> Result<Self, FileError> {
        let doc = yaml::parse::<Raw>(file, text)?;
        if doc.value.format != FORMAT {
            return Err(doc
                .error(
                    "format",
                    format!("format `{}` is not known here", doc.value.format),
                )
                .fix(format!(
                    "give a file that `imps-scr scr import` wrote, `{FORMAT}`"
                )));
        }
        let mut table = Self {
            file: file.to_owned(),
            source: doc.value.source.clone(),
            rows: Vec::new(),
        };
        for (n, raw) in doc.value.rows.iter().enumerate() {
            let at = |field: &str| format!("rows[{n}].{field}");
            let id = raw
                .id
                .strip_prefix(NAMESPACE)
                .ok_or_else(|| format!("`{}` does not begin with {NAMESPACE}", raw.id))
                .and_then(name_of)
                .map_err(|e| doc.error(&at("id"), e).fix("write it like oma:XYZ-C-001"))?;
            let requirement = match (&raw.requirement, &raw.requirement_text) {
                (Some(text), None) => Some(Asked::Expression(Expression::parse(text).map_err(|e| {
                    doc.error(
                        &at("requirement"),
                        format!("{id}: `{text}` is not an expression: {e}"),
                    )
                    .fix("correct it, or call it `requirement-text`")
                })?)),
                (None, Some(text)) => Some(Asked::Prose {
                    text: text.clone(),
                    reason: raw.not_read_because.clone().unwrap_or_default(),
                }),
                (None, None) => None,
                (Some(_), Some(_)) => {
                    return Err(doc
                        .error(&at("requirement"), format!("{id} has two requirements"))
                        .fix("keep `requirement` or `requirement-text`"));
                }
            };
            let mut row = ImportedRow {
                id,
                status: raw.status,
                function: raw.function.clone(),
                reference: raw.reference.clone(),
                requirement,
                maps: Vec::new(),
                line: doc.line(&format!("rows[{n}]")),
            };
            for (k, ours) in raw.maps.iter().enumerate() {
                row.map(file, doc.line(&at(&format!("maps[{k}]"))), ours, items)?;
            }
            table.add(row)?;
        }
        Ok(table)
    }

    /// Whether two tables have a row of one name.
    ///
    /// # Errors
    /// They have: where.
    pub fn distinct(tables: &[ImportedTable]) -> Result<(), FileError> {
        for (n, table) in tables.iter().enumerate() {
            for row in &table.rows {
                let other = tables[..n]
                    .iter()
                    .find_map(|t| t.rows.iter().find(|r| r.id == row.id).map(|r| (t, r)));
                if let Some((file, other)) = other {
                    return Err(FileError::new(
                        &table.file,
                        row.line,
                        format!("{} stands in two tables", row.marked_id()),
                    )
                    .fix(format!(
                        "the other is at {}:{}; give each row once",
                        file.file, other.line
                    )));
                }
            }
        }
        Ok(())
    }

    /// The file; the same table always gives the same text.
    pub fn to_yaml(&self) -> String {
        let mut out = format!(
            "# Requirement rows that were brought, not part of imps-scr. `maps` names the items that test a row.\n\
             format: {FORMAT}\nsource: {}\nrows:\n",
            quoted(&self.source)
        );
        for row in &self.rows {
            // Writing to a string cannot fail.
            let _ = write!(
                out,
                "  - id: {}\n    status: {}\n    function: {}\n    reference: {}\n",
                quoted(&row.marked_id()),
                row.status,
                quoted(&row.function),
                quoted(&row.reference)
            );
            match &row.requirement {
                None => {}
                Some(Asked::Expression(expression)) => {
                    let _ = writeln!(out, "    requirement: {}", quoted(&expression.to_string()));
                }
                Some(Asked::Prose { text, reason }) => {
                    let _ = writeln!(
                        out,
                        "    requirement-text: {}\n    not-read-because: {}",
                        quoted(text),
                        quoted(reason)
                    );
                }
            }
            let maps: Vec<&str> = row.maps.iter().map(ItemId::as_str).collect();
            let _ = writeln!(out, "    maps: [{}]", maps.join(", "));
        }
        out
    }

    /// What deserves a second look: requirements that are no expressions, and references that lead nowhere.
    pub fn remarks(tables: &[ImportedTable]) -> Vec<String> {
        let known = |name: &str| tables.iter().flat_map(|t| &t.rows).any(|r| r.id == name);
        let mut out = Vec::new();
        for row in tables.iter().flat_map(|t| &t.rows) {
            match &row.requirement {
                None => {}
                Some(Asked::Prose { text, reason }) => out.push(format!(
                    "{}: the requirement is kept as text, `{}`: {reason}",
                    row.marked_id(),
                    shorten(text, 60)
                )),
                Some(Asked::Expression(expression)) => {
                    for reference in expression.references() {
                        if let Reference::Item(name) = reference
                            && !known(name.as_str())
                        {
                            out.push(format!(
                                "{}: its requirement names {name}, which has no row",
                                row.marked_id()
                            ));
                        }
                    }
                }
            }
        }
        out
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: String,
    source: String,
    rows: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRow {
    id: String,
    status: Status,
    #[serde(default)]
    function: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    requirement: Option<String>,
    #[serde(default)]
    requirement_text: Option<String>,
    #[serde(default)]
    not_read_because: Option<String>,
    #[serde(default)]
    maps: Vec<String>,
}

/// A name as tables have it. Labels such as CREAG-5 are no ScrItems, so nothing but blanks is asked of it.
fn name_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = close_blanks(text.strip_prefix(NAMESPACE).unwrap_or(text));
    if name.is_empty() {
        return Err("a row without a name".to_owned());
    }
    if name.chars().count() > MAX_NAME
        || !name
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';'))
    {
        return Err(format!(
            "`{}` is no name of an item",
            shorten(&plain(&name), MAX_NAME)
        ));
    }
    Ok(name)
}

/// The status of the newer spelling, XYZ-C-001-M.
fn status_of_name(name: &str) -> Option<Status> {
    match name.rsplit_once('-')?.1 {
        "M" => Some(Status::Mandatory),
        "O" => Some(Status::Optional),
        _ => None,
    }
}

fn requirement_of(text: &str) -> Option<Asked> {
    // Tables mark an empty cell in these ways.
    if matches!(text, "" | "-" | "–" | "—") {
        return None;
    }
    Some(match Expression::parse(text) {
        Ok(expression) => Asked::Expression(expression),
        Err(e) => Asked::Prose {
            text: text.to_owned(),
            reason: e.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::items::tests::items;
    use super::*;

    const CSV: &str = "Item,Function,Reference,Status,Requirement,Maps\n\
                       XYZ-A-S-001,answers,[D] 1,M,XYZ-A-S-002 OR XYZ:MSF,rec:CSP-KALIVE-S-001\n\
                       XYZ-A-S- 002,\"asks, and\nwaits\",[D] 2,N/A,See [D],\n\
                       CREAG-5-O,old label,,,-,CSP-LOGINP-S-001; CSP-LOGIND-S-001\n";

    #[test]
    fn a_table_survives_writing_and_reading() {
        let items = items();
        let source = read("a/t.csv", CSV, Form::Csv, &items).unwrap();
        let text = source.table.to_yaml();
        insta::assert_snapshot!(text);
        let mut again = ImportedTable::parse("t.yaml", &text, &items).unwrap();
        for (row, line) in again.rows.iter_mut().zip([2, 3, 5]) {
            row.line = line;
        }
        again.file = "a/t.csv".to_owned();
        assert_eq!(again, source.table);
        insta::assert_snapshot!(ImportedTable::remarks(&[again]).join("\n"), @"oma:XYZ-A-S-002: the requirement is kept as text, `See [D]`: character 1: `See` does not end in a number such as 001");
    }

    #[test]
    fn yaml_says_the_same_as_csv() {
        let items = items();
        let rows = "- item: XYZ-A-S-001\n  function: answers\n  reference: '[D] 1'\n  status: M\n  requirement: XYZ-A-S-002 OR XYZ:MSF\n  maps: [CSP-KALIVE-S-001]\n\
                    - {Item: XYZ-A-S-002, Function: asks, Status: NA}\n";
        let bare = read("t.yaml", rows, Form::Yaml, &items).unwrap().table;
        let whole = read("t.yaml", &format!("rows:\n{rows}"), Form::Yaml, &items)
            .unwrap()
            .table;
        assert_eq!(
            bare.rows[0].maps,
            read("a.csv", CSV, Form::Csv, &items).unwrap().table.rows[0].maps
        );
        assert_eq!(whole.rows[1].line, bare.rows[1].line + 1);
        assert_eq!(bare.to_yaml(), whole.to_yaml());
    }

    #[test]
    fn every_mistake_has_line_and_fix() {
        let items = items();
        for (from, to, line, part) in [
            ("Item,", "Itam,", 1, "no column is called Item"),
            ("Status,", "Item,", 1, "two columns"),
            (",M,", ",C,", 2, "`C` is no status"),
            (",N/A,", ",,", 3, "has no status"),
            ("old label,,,", "old label,,M,", 5, "ends in -O"),
            ("XYZ-A-S- 002", "XYZ-A-S-001", 3, "stands twice"),
            ("CREAG-5-O", "", 5, "without a name"),
            ("CREAG-5-O", "two words", 5, "no name of an item"),
            ("CSP-LOGINP-S-001", "CSP-LOGIN-S-001", 5, "no item here"),
            (
                "rec:CSP-KALIVE-S-001",
                "CSP-KALIVE-C-001",
                2,
                "an item of the client",
            ),
            ("[D] 1,", "[D], 1,", 2, "7 fields"),
        ] {
            assert!(CSV.contains(from), "{from}");
            let e = read("t.csv", &CSV.replacen(from, to, 1), Form::Csv, &items).unwrap_err();
            assert!(e.problem.contains(part), "{e}");
            assert_eq!(e.line, line, "{e}");
            assert!(!e.fix.is_empty(), "{e}");
        }
        assert!(
            read(
                "t.csv",
                "Item,Function,Reference,Requirement\n",
                Form::Csv,
                &items
            )
            .is_err()
        );
        for (text, line, part) in [
            (
                "maps:\n  XYZ-A-S-01: []\n",
                2,
                "no row of t.csv is called XYZ-A-S-01",
            ),
            (
                "maps:\n  oma:XYZ-A-S-002:\n    - CSP-NONE-S-001\n",
                3,
                "no item here",
            ),
            ("format: x\nmaps: {}\n", 1, "format `x`"),
        ] {
            let mut table = read("t.csv", CSV, Form::Csv, &items).unwrap().table;
            let e = map(&mut table, "m", text, &items).unwrap_err();
            assert!(
                e.problem.contains(part) && e.line == line && !e.fix.is_empty(),
                "{e}"
            );
        }
    }

    #[test]
    fn a_mapping_file_adds_to_the_column() {
        let items = items();
        let mut table = read("t.csv", CSV, Form::Csv, &items).unwrap().table;
        map(
            &mut table,
            "m",
            "maps:\n  CREAG-5-O: [CSP-KALIVE-S-001, CSP-LOGINP-S-001]\n",
            &items,
        )
        .unwrap();
        assert_eq!(table.rows[2].maps.len(), 3);
        assert!(ImportedTable::distinct(&[table.clone(), table]).is_err());
    }
}
