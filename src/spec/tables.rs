//! All tables together, and the rules that hold between them.

use std::sync::Arc;

use crate::base::{FileError, FileSet};

use super::items::Items;
use super::ledger::Ledger;
use super::readings::Readings;
use super::ssp::SspSyntax;
use super::syntax::{Syntax, SyntaxFiles};
use super::transactions::{self, Transaction};
use super::types::Version;

/// Everything that `scr-tables/` says.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Elements, types, primitives, codes, service tree.
    pub syntax: Arc<Syntax>,
    /// The same for SSP.
    pub ssp: Arc<SspSyntax>,
    /// Requirement items.
    pub items: Items,
    /// Open questions.
    pub readings: Readings,
    /// Transactions.
    pub transactions: Vec<Transaction>,
    /// What the release says; none in tables that somebody made without it.
    pub ledger: Option<Ledger>,
    /// Tells two sets of tables apart, 16 hexadecimal digits.
    pub digest: String,
}

impl Tables {
    /// Loads all tables of a set of files.
    ///
    /// # Errors
    /// The first mistake with its line; a missing file; a row that names an open question or a
    /// function that is not listed.
    pub fn load(files: &FileSet) -> Result<Self, FileError> {
        let syntax = Arc::new(syntax(files)?);
        let (name, text) = file(files, "csp-transactions.yaml")?;
        let mut tables = Self {
            transactions: transactions::load(name, text, &syntax)?,
            syntax,
            ssp: Arc::new(SspSyntax::load(files)?),
            items: Items::load(files)?,
            readings: {
                let (file, text) = file(files, "readings.yaml")?;
                Readings::parse(file, text)?
            },
            ledger: None,
            digest: files.digest(),
        };
        tables.check_readings(file(files, ELEMENTS)?)?;
        tables.check_functions()?;
        if let Some((file, text)) = files.get(LEDGER) {
            tables.ledger = Some(Ledger::parse(file, text, &tables.items)?);
        }
        Ok(tables)
    }

    /// The names of the open questions that rows of the element table belong to.
    pub fn named_readings(&self) -> std::collections::BTreeSet<&str> {
        Version::ALL
            .iter()
            .flat_map(|v| self.syntax.elements(*v))
            .filter_map(|(_, _, row)| row.reading.as_deref())
            .collect()
    }

    fn check_readings(&self, (file, text): (&str, &str)) -> Result<(), FileError> {
        for name in self.named_readings() {
            if self.readings.get(name).is_none() {
                let line = text.lines().position(|l| {
                    l.trim()
                        .strip_prefix("reading:")
                        .is_some_and(|r| r.trim().trim_matches(['"', '\'']) == name)
                });
                return Err(FileError::new(
                    file,
                    line.map_or(0, |l| l + 1),
                    format!("the reading {name} is not listed"),
                )
                .fix("add it to readings.yaml, or correct the number"));
            }
        }
        Ok(())
    }

    fn check_functions(&self) -> Result<(), FileError> {
        let known = |code: &str| {
            let functions = self.syntax.features().iter().flat_map(|f| &f.groups);
            functions
                .flat_map(|g| &g.functions)
                .any(|function| function.code == code)
        };
        for item in self.items.iter() {
            if let Some(code) = item.function.as_ref().filter(|c| !known(c)) {
                return Err(FileError::new(
                    &item.file,
                    item.line,
                    format!("{}: the function `{code}` is not in the service tree", item.id),
                )
                .fix("use a code of csp-service-tree.yaml, or leave `function` out"));
            }
        }
        Ok(())
    }
}

/// The name of the ledger, for whoever misses it.
pub const LEDGER: &str = "release-ledger.yaml";
const ELEMENTS: &str = "syntax/csp-elements.yaml";

fn syntax(files: &FileSet) -> Result<Syntax, FileError> {
    Syntax::load(&SyntaxFiles {
        elements: file(files, ELEMENTS)?,
        leaves: file(files, "syntax/csp-leaves.yaml")?,
        presence: file(files, "syntax/csp-presence.yaml")?,
        primitives: file(files, "syntax/csp-primitives.yaml")?,
        codes: file(files, "syntax/csp-codes.yaml")?,
        service_tree: file(files, "syntax/csp-service-tree.yaml")?,
    })
}

fn file<'a>(files: &'a FileSet, name: &str) -> Result<(&'a str, &'a str), FileError> {
    files.get(name).ok_or_else(|| {
        FileError::new(name, 0, "this table is missing")
            .fix("put it back, or copy the whole scr-tables/ folder before changing it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Expression, Reference, Truth};

    #[test]
    fn the_embedded_tables_are_sound() {
        let tables = Tables::load(&FileSet::tables()).unwrap();
        assert_eq!(tables.readings.len(), 30);
        let printed = |id: &str| tables.items.find(id).unwrap();
        let client = printed("OMA-ERDEF-IMPS-C-001");
        assert_eq!(client.requirement_text.as_deref(), Some("See [CSP_SCR]"));
        assert_eq!(client.requirement, Expression::parse("CSP:MCF").ok());
        assert!(!client.reconstructed && client.untestable.is_none());
        let server = printed("OMA-ERDEF-IMPS-S-001");
        assert!(server.untestable.is_some());
        let truth = server.requirement.as_ref().unwrap().evaluate(&|r| match r {
            Reference::Group(g) if g.name() == "CSP" => Truth::True,
            other => tables.items.truth(other, &|_| Some(Truth::True)),
        });
        assert_eq!(truth, Truth::True, "both tables are loaded");
        let ledger = tables.ledger.as_ref().unwrap();
        assert_eq!((ledger.statements(), ledger.missing()), (223, vec![]));
        assert_eq!(ledger.documents().iter().filter(|d| d.baseline).count(), 16);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let change = |name: &str, from: &str, to: Option<&str>| {
            let files = FileSet::tables()
                .iter()
                .filter(|(n, _)| to.is_some() || !n.ends_with(name))
                .map(|(n, t)| {
                    let text = match to {
                        Some(to) if n.ends_with(name) => t.replacen(from, to, 1),
                        _ => t.to_owned(),
                    };
                    (n.to_owned(), text)
                })
                .collect();
            Tables::load(&FileSet::new(files)).unwrap_err()
        };
        let e = change("readings.yaml", "id: Q28", Some("id: Q99"));
        assert!(
            e.problem.contains("Q28") && e.line > 0 && e.file.ends_with("csp-elements.yaml"),
            "{e}"
        );
        let e = change("readings.yaml", "", None);
        assert!(e.problem.contains("missing"), "{e}");
        let e = change(
            "imps-release.yaml",
            "basis: spec",
            Some("function: NOPE\n    basis: spec"),
        );
        assert!(e.problem.contains("NOPE") && e.line == 6, "{e}");
    }
}
