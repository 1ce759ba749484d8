//! The release ledger: what the public texts of the release say, statement by statement. Each has the
//! items that test it, or the reason why none does, so that nothing of the release is lost in silence.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::yaml::{self, Document};
use crate::base::{FileError, ItemId};

use super::items::{Item, Items, did_you_mean};
use super::types::{LedgerClass, Status};

/// Most statements that a ledger may announce: every number below is looked at.
const MAX_STATEMENTS: u32 = 2_000;

/// The ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    statements: u32,
    documents: Vec<LedgerDocument>,
    entries: BTreeMap<u32, LedgerEntry>,
}

/// A document of the release, or what stands for one where there is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerDocument {
    /// `WV-042`, `ERELD`; `SMCNP` where no document is there.
    pub id: String,
    /// Its title in words.
    pub title: String,
    /// Whether it belongs to the baseline of the release.
    #[serde(default = "yes")]
    pub baseline: bool,
    /// Its items are all of this protocol, not those whose reference names it.
    pub protocol: Option<String>,
    /// What can be had of it.
    pub remark: String,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number over both texts, from 1.
    pub number: u32,
    /// The text that says it.
    pub document: String,
    /// Section of that text.
    pub section: String,
    /// The statement that it repeats; all that follows is then of that one.
    pub same_as: Option<u32>,
    /// What it says, in our words.
    pub statement: String,
    /// What the suite makes of it.
    pub class: LedgerClass,
    /// The documents that it belongs to, at least one.
    pub document_of: Vec<String>,
    /// The items that test it, or that would.
    pub items: Vec<ItemPattern>,
    /// Why it is not tested; of a tested one, what is left out.
    pub reason: Option<String>,
}

/// The name of an item, or a begin of names: `CSP-UPDPR-S-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPattern(String);

impl ItemPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let begin = text.strip_suffix('*').unwrap_or(text);
        ItemId::parse(begin)?;
        Ok(Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means this item.
    pub fn matches(&self, id: &ItemId) -> bool {
        match self.0.strip_suffix('*') {
            Some(begin) => id.as_str().starts_with(begin),
            None => id.as_str() == self.0,
        }
    }
}

impl LedgerEntry {
    /// The items that it names, each once, in the order of the tables.
    pub fn items_of<'a>(&'a self, items: &'a Items) -> impl Iterator<Item = &'a Item> {
        items
            .iter()
            .filter(|item| self.items.iter().any(|p| p.matches(&item.id)))
    }
}

impl LedgerDocument {
    /// The items of the document: those whose reference names it, or all of its protocol.
    pub fn items_of<'a>(&'a self, items: &'a Items) -> impl Iterator<Item = &'a Item> {
        items.iter().filter(|item| match &self.protocol {
            Some(protocol) => item.protocol == *protocol,
            None => item
                .reference
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .any(|word| word == self.id),
        })
    }
}

/// Whether an item can be judged at all.
pub fn is_testable(item: &Item) -> bool {
    item.untestable.is_none() && item.status != Status::NotApplicable
}

impl Ledger {
    /// Reads `release-ledger.yaml`.
    ///
    /// # Errors
    /// The first mistake with its line: a number that stands twice or beyond the last, an item or a
    /// document that is not there, a repetition of nothing, a statement that is not tested and does not
    /// say why, or a tested one without an item that can be tested.
    pub fn parse(file: &str, text: &str, items: &Items) -> Result<Self, FileError> {
        let doc = yaml::parse::<raw::File>(file, text)?;
        if doc.value.format != "imps-scr/ledger/1" {
            return Err(doc
                .error(
                    "format",
                    format!("format `{}` is not known here", doc.value.format),
                )
                .fix("this version reads `imps-scr/ledger/1`"));
        }
        if doc.value.statements > MAX_STATEMENTS {
            return Err(doc
                .error("statements", "more statements than any release has")
                .fix(format!("write how many there are, {MAX_STATEMENTS} at most")));
        }
        let mut ledger = Self {
            statements: doc.value.statements,
            documents: documents(&doc)?,
            entries: BTreeMap::new(),
        };
        let mut repeats = Vec::new();
        for (i, row) in doc.value.entries.iter().enumerate() {
            ledger.check_place(&doc, i, row)?;
            match row.same_as {
                Some(other) => repeats.push((i, row, other)),
                None => {
                    let entry = ledger.entry(&doc, i, row, items)?;
                    ledger.entries.insert(row.number, entry);
                }
            }
        }
        for (i, row, other) in repeats {
            let repeated = ledger
                .entries
                .get(&other)
                .filter(|e| e.same_as.is_none())
                .cloned();
            let Some(repeated) = repeated else {
                return Err(doc
                    .error(
                        &format!("entries[{i}].same-as"),
                        format!(
                            "statement {} is the same as {other}, which has no row of its own",
                            row.number
                        ),
                    )
                    .fix("name the number of a row with a statement"));
            };
            let entry = LedgerEntry {
                number: row.number,
                document: row.document.clone(),
                section: row.section.clone(),
                same_as: Some(other),
                ..repeated
            };
            ledger.entries.insert(row.number, entry);
        }
        Ok(ledger)
    }

    /// How many statements the texts have.
    pub fn statements(&self) -> u32 {
        self.statements
    }

    /// The documents in the order of the file.
    pub fn documents(&self) -> &[LedgerDocument] {
        &self.documents
    }

    /// The rows in the order of their numbers.
    pub fn entries(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.entries.values()
    }

    /// The row of a number.
    pub fn get(&self, number: u32) -> Option<&LedgerEntry> {
        self.entries.get(&number)
    }

    /// The rows that have their own words and belong to a document, each with the numbers that say so.
    pub fn of_document(&self, id: &str) -> Vec<(&LedgerEntry, Vec<u32>)> {
        self.entries()
            .filter(|e| e.same_as.is_none() && e.document_of.iter().any(|d| d == id))
            .map(|entry| {
                let said = |e: &&LedgerEntry| e.number == entry.number || e.same_as == Some(entry.number);
                (entry, self.entries().filter(said).map(|e| e.number).collect())
            })
            .collect()
    }

    /// How many rows are of a class.
    pub fn count(&self, class: LedgerClass) -> usize {
        self.entries().filter(|e| e.class == class).count()
    }

    /// The statements that no row accounts for.
    pub fn missing(&self) -> Vec<u32> {
        (1..=self.statements)
            .filter(|n| !self.entries.contains_key(n))
            .collect()
    }

    /// The number and the text of a row, whatever else it says.
    fn check_place(&self, doc: &Document<raw::File>, i: usize, row: &raw::Row) -> Result<(), FileError> {
        let path = format!("entries[{i}].number");
        let earlier = doc.value.entries.iter().take(i);
        if earlier.clone().any(|r| r.number == row.number) {
            return Err(doc
                .error(&path, format!("statement {} stands twice", row.number))
                .fix("every statement has one row: correct one of the numbers"));
        }
        if row.number == 0 || row.number > self.statements {
            return Err(doc
                .error(
                    &path,
                    format!("statement {} is not among 1 to {}", row.number, self.statements),
                )
                .fix("correct the number, or `statements`"));
        }
        self.check_document(doc, &format!("entries[{i}].document"), &row.document)?;
        if row.section.trim().is_empty() {
            return Err(doc
                .error(
                    &format!("entries[{i}].section"),
                    format!("statement {}: `section` is empty", row.number),
                )
                .fix("write the section of the text"));
        }
        let says_more = row.statement.is_some()
            || row.class.is_some()
            || row.document_of.is_some()
            || row.items.is_some()
            || row.reason.is_some();
        if row.same_as.is_some() && says_more {
            return Err(doc
                .error(
                    &format!("entries[{i}].same-as"),
                    format!(
                        "statement {} is the same as another row and says more",
                        row.number
                    ),
                )
                .fix("leave out all but number, document, section and same-as"));
        }
        Ok(())
    }

    fn check_document(&self, doc: &Document<raw::File>, path: &str, id: &str) -> Result<(), FileError> {
        if self.documents.iter().any(|d| d.id == id) {
            return Ok(());
        }
        Err(doc
            .error(path, format!("`{id}` is not among the documents"))
            .fix("add it to `documents`, or correct it"))
    }

    fn entry(
        &self,
        doc: &Document<raw::File>,
        i: usize,
        row: &raw::Row,
        items: &Items,
    ) -> Result<LedgerEntry, FileError> {
        let number = row.number;
        let at = |field: &str| format!("entries[{i}].{field}");
        let wrong = |field: &str, problem: &str, fix: &str| {
            doc.error(&at(field), format!("statement {number}: {problem}"))
                .fix(fix)
        };
        let filled = |text: &Option<String>| {
            text.as_deref()
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        let statement = filled(&row.statement).ok_or_else(|| {
            wrong(
                "statement",
                "no statement",
                "say it in our words, or use `same-as`",
            )
        })?;
        let class = row.class.ok_or_else(|| {
            wrong(
                "class",
                "no class",
                "add tested, untestable, informative or out-of-scope",
            )
        })?;
        let document_of = row.document_of.clone().unwrap_or_default();
        if document_of.is_empty() {
            return Err(wrong(
                "document-of",
                "no document that it belongs to",
                "add `document-of: [WV-…]`",
            ));
        }
        for (j, id) in document_of.iter().enumerate() {
            self.check_document(doc, &format!("entries[{i}].document-of[{j}]"), id)?;
        }
        let reason = filled(&row.reason);
        if class != LedgerClass::Tested && reason.is_none() {
            return Err(wrong(
                "reason",
                &format!("{class} without a reason"),
                "add `reason`: why nothing tests it",
            ));
        }
        let entry = LedgerEntry {
            number,
            document: row.document.clone(),
            section: row.section.clone(),
            same_as: None,
            statement,
            class,
            document_of,
            items: patterns(doc, i, row, items)?,
            reason,
        };
        if class == LedgerClass::Tested && !entry.items_of(items).any(is_testable) {
            return Err(wrong(
                "items",
                "tested, but by no item that can be tested",
                "name such an item, or change the class and give a reason",
            ));
        }
        Ok(entry)
    }
}

fn documents(doc: &Document<raw::File>) -> Result<Vec<LedgerDocument>, FileError> {
    let rows = &doc.value.documents;
    for (i, row) in rows.iter().enumerate() {
        let path = format!("documents[{i}].id");
        if rows.iter().take(i).any(|r| r.id == row.id) {
            return Err(doc
                .error(&path, format!("the document {} stands twice", row.id))
                .fix("remove one of them"));
        }
        if [&row.id, &row.title, &row.remark]
            .iter()
            .any(|t| t.trim().is_empty())
        {
            return Err(doc
                .error(&path, "a document with an empty text")
                .fix("give it a name, a title and a remark"));
        }
    }
    Ok(rows.clone())
}

fn patterns(
    doc: &Document<raw::File>,
    i: usize,
    row: &raw::Row,
    items: &Items,
) -> Result<Vec<ItemPattern>, FileError> {
    let mut out: Vec<ItemPattern> = Vec::new();
    for (j, text) in row.items.iter().flatten().enumerate() {
        let path = format!("entries[{i}].items[{j}]");
        let pattern = ItemPattern::parse(text).map_err(|e| {
            doc.error(&path, format!("statement {}: {e}", row.number))
                .fix("write CSP-UPDPR-S-001 or CSP-UPDPR-S-*")
        })?;
        if !items.iter().any(|item| pattern.matches(&item.id)) {
            return Err(doc
                .error(
                    &path,
                    format!("statement {}: no item is called {text}", row.number),
                )
                .fix(did_you_mean(&items.nearest(text))));
        }
        if out.contains(&pattern) {
            return Err(doc
                .error(&path, format!("statement {}: {text} stands twice", row.number))
                .fix("remove one of them"));
        }
        out.push(pattern);
    }
    Ok(out)
}

fn yes() -> bool {
    true
}

mod raw {
    //! The file as written.

    use super::{Deserialize, LedgerClass, LedgerDocument};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct File {
        pub format: String,
        pub statements: u32,
        pub documents: Vec<LedgerDocument>,
        pub entries: Vec<Row>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    pub struct Row {
        pub number: u32,
        pub document: String,
        pub section: String,
        pub same_as: Option<u32>,
        pub statement: Option<String>,
        pub class: Option<LedgerClass>,
        pub document_of: Option<Vec<String>>,
        pub items: Option<Vec<String>>,
        pub reason: Option<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::super::items::tests::items;
    use super::*;

    const FILE: &str = r#"format: imps-scr/ledger/1
statements: 4
documents:
  - id: WV-042
    title: Session
    remark: not public
  - id: SMCNP
    title: Core network
    baseline: false
    protocol: XYZ
    remark: no document
entries:
  - number: 1
    document: WV-042
    section: "6"
    statement: Users log in.
    class: tested
    document-of: [WV-042]
    items: [CSP-LOGINP-S-001, CSP-KALIVE-*]
  - number: 2
    document: WV-042
    section: "6"
    statement: The network knows everything.
    class: untestable
    document-of: [SMCNP, WV-042]
    reason: no message shows it
  - {number: 4, document: WV-042, section: "7", same-as: 2}
"#;

    fn parse(text: &str) -> Result<Ledger, FileError> {
        Ledger::parse("f", text, &items())
    }

    #[test]
    fn rows_are_counted_and_repeats_inherit() {
        let items = items();
        let ledger = parse(FILE).unwrap();
        assert_eq!(ledger.missing(), [3]);
        assert_eq!(ledger.count(LedgerClass::Untestable), 2);
        let repeat = ledger.get(4).unwrap();
        assert_eq!(
            (repeat.section.as_str(), repeat.same_as, repeat.statement.as_str()),
            ("7", Some(2), "The network knows everything.")
        );
        let of = |id: &str| -> Vec<Vec<u32>> { ledger.of_document(id).into_iter().map(|(_, n)| n).collect() };
        assert_eq!(of("SMCNP"), [[2, 4]]);
        assert_eq!(of("WV-042"), [vec![1], vec![2, 4]]);
        // Two of CSP-KALIVE-*, one of which cannot be tested.
        let named: Vec<&Item> = ledger.get(1).unwrap().items_of(&items).collect();
        assert_eq!(named.len(), 3);
        assert_eq!(named.iter().filter(|i| is_testable(i)).count(), 2);
        let count = |i: usize| ledger.documents()[i].items_of(&items).count();
        assert_eq!((count(0), count(1)), (4, 0));
    }

    #[test]
    fn mistakes_carry_line_and_fix() {
        for (from, to, line, part) in [
            ("ledger/1", "ledger/2", 1, "ledger/2"),
            ("statements: 4", "statements: 3", 27, "not among 1 to 3"),
            ("statements: 4", "statements: 4000000000", 2, "more statements"),
            ("number: 2", "number: 0", 20, "not among"),
            ("number: 2", "number: 1", 20, "stands twice"),
            ("same-as: 2", "same-as: 3", 27, "no row of its own"),
            ("same-as: 2", "same-as: 4", 27, "no row of its own"),
            ("same-as: 2", "same-as: 2, class: tested", 27, "says more"),
            ("    reason: no message shows it\n", "", 20, "without a reason"),
            (
                "reason: no message shows it",
                "reason: ' '",
                26,
                "without a reason",
            ),
            ("CSP-LOGINP-S-001", "CSP-LOGINX-S-001", 19, "CSP-LOGINX-S-001"),
            ("CSP-KALIVE-*", "CSP-NONE-*", 19, "CSP-NONE-*"),
            ("CSP-KALIVE-*", "CSP *", 19, "holds the character"),
            ("CSP-KALIVE-*", "CSP-LOGINP-S-001", 19, "stands twice"),
            (
                "[CSP-LOGINP-S-001, CSP-KALIVE-*]",
                "[CSP-KALIVE-C-001]",
                19,
                "no item that can be tested",
            ),
            ("[SMCNP, WV-042]", "[SMCNP, WV-043]", 25, "WV-043"),
            ("[SMCNP, WV-042]", "[]", 25, "belongs to"),
            ("document: WV-042", "document: WV-099", 14, "WV-099"),
            ("id: SMCNP", "id: WV-042", 7, "stands twice"),
            ("title: Session", "title: ''", 4, "empty"),
            ("section: \"6\"", "section: ''", 15, "empty"),
            ("    statement: Users log in.\n", "", 13, "no statement"),
            ("    class: tested\n", "", 13, "no class"),
            ("class: tested", "class: maybe", 17, "maybe"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let e = parse(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(e.problem.contains(part), "{e}");
            assert_eq!(e.line, line, "{e}");
            assert!(!e.fix.is_empty() || part == "maybe", "{e}");
        }
    }
}
