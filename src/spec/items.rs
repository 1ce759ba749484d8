//! Requirement items: the rows of `scr-tables/items/*.yaml`. What a breach of an item may cost is
//! computed from its basis, never written down.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::yaml::{self, Document};
use crate::base::{FileError, FileSet, ItemId};
use crate::verdict::Strength;

use super::expr::{Expression, Reference, Truth};
use super::scr::{ItemForm, ScrGroup, ScrItem};
use super::ssp::Side;
use super::types::{Basis, Because, Role, Status, Version};

/// Specification names of the items that were reconstructed.
const RECONSTRUCTED: [&str; 2] = ["CSP", "SSP"];
/// Specification name of the items that OMA published.
const PUBLISHED: &str = "OMA";

/// One requirement item.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its name, a strict ScrItem.
    pub id: ItemId,
    /// `CSP`, `SSP`, or `IMPS` for the items of the release.
    pub protocol: String,
    /// Whom it binds.
    pub role: Role,
    /// Which of the two servers it binds, for SSP.
    pub side: Option<Side>,
    /// Short label.
    pub feature: String,
    /// What is asked, in one or two sentences.
    pub text: String,
    /// Mandatory, optional, not applicable.
    pub status: Status,
    /// What whoever claims the item must satisfy besides.
    pub requirement: Option<Expression>,
    /// The requirement as printed, when that is prose; `requirement` is then our reading.
    pub requirement_text: Option<String>,
    /// Why the prose is read so.
    pub reading_because: Option<String>,
    /// Document and section, where known.
    pub reference: String,
    /// Code of the service tree.
    pub function: Option<String>,
    /// First version that has it.
    pub since: Version,
    /// Last version that has it; none when it is still there.
    pub until: Option<Version>,
    /// How sure it is.
    pub basis: Basis,
    /// Where it was read.
    pub source: String,
    /// Why a conclusion may fail somebody.
    pub because: Option<Because>,
    /// Why it cannot be tested; none for a tested item.
    pub untestable: Option<String>,
    /// Whether the item was reconstructed; false only for the items that OMA published.
    pub reconstructed: bool,
    /// The file it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl Item {
    /// What a breach may cost.
    pub fn strength(&self) -> Strength {
        self.basis.strength(self.because)
    }

    /// Whether a version has the item.
    pub fn applies_to(&self, version: Version) -> bool {
        self.since <= version && self.until.is_none_or(|until| version <= until)
    }

    /// The name as people see it: with `rec:` before a reconstructed one.
    pub fn marked_id(&self) -> String {
        if self.reconstructed {
            format!("rec:{}", self.id)
        } else {
            self.id.to_string()
        }
    }

    /// The parts of its name.
    pub fn scr(&self) -> Option<ScrItem> {
        ScrItem::parse(self.id.as_str()).ok()
    }
}

/// All items, in the order of their files.
#[derive(Debug, Clone, Default)]
pub struct Items {
    items: Vec<Item>,
    /// The parsed name of each item and the line of its requirement, in the same order.
    names: Vec<(ScrItem, usize)>,
    index: BTreeMap<ItemId, usize>,
}

impl Items {
    /// Loads every file of a folder `items`.
    ///
    /// # Errors
    /// No such file, or the first mistake with its line: a name that is no strict ScrItem, stands
    /// twice or does not fit its role; a requirement that does not parse or names a `CSP-` item that
    /// is not there; fields that contradict each other.
    pub fn load(files: &FileSet) -> Result<Self, FileError> {
        let mut items = Self::default();
        let mut any = false;
        for (file, text) in files.iter() {
            if file.rsplit('/').nth(1) == Some("items") {
                any = true;
                items.add_file(file, text)?;
            }
        }
        if !any {
            return Err(FileError::new("items/", 0, "no file with requirement items")
                .fix("add items/*.yaml with `format: imps-scr/items/1`, see scr-tables/README.md"));
        }
        items.check_references()?;
        Ok(items)
    }

    /// The item of a name; the mark `rec:` is not part of it.
    pub fn get(&self, id: &ItemId) -> Option<&Item> {
        self.index.get(id).and_then(|i| self.items.get(*i))
    }

    /// The item of a name as a person types it, with or without `rec:`.
    pub fn find(&self, text: &str) -> Option<&Item> {
        let text = text.strip_prefix("rec:").unwrap_or(text);
        ItemId::parse(text).ok().and_then(|id| self.get(&id))
    }

    /// Every item in order.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// The items of a role in order.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |i| i.role == role)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items of a group such as `CSP:MCF`; empty when no table of that specification is loaded.
    pub fn of_group(&self, group: &ScrGroup) -> impl Iterator<Item = &Item> {
        self.items
            .iter()
            .zip(&self.names)
            .filter(|(item, (name, _))| group.contains(name, item.status))
            .map(|(item, _)| item)
    }

    /// What a reference comes to, when `of` tells what an item comes to (None: it is left out of
    /// groups, say because the version does not have it). A group is all of its items; what is not
    /// loaded, and a group without items, is Unknown: nothing was seen of it.
    pub fn truth(&self, reference: &Reference, of: &dyn Fn(&Item) -> Option<Truth>) -> Truth {
        match reference {
            Reference::Item(item) => self.find(item.as_str()).and_then(of).unwrap_or(Truth::Unknown),
            Reference::Group(group) => self
                .of_group(group)
                .filter_map(of)
                .reduce(Truth::and)
                .unwrap_or(Truth::Unknown),
        }
    }

    /// Up to three names that look like this text, the likeliest first.
    pub fn nearest(&self, text: &str) -> Vec<&ItemId> {
        nearest(text, self.items.iter().map(|i| (i.id.as_str(), &i.id)))
    }

    fn add_file(&mut self, file: &str, text: &str) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::File>(file, text)?;
        if doc.value.format != "imps-scr/items/1" {
            return Err(doc
                .error(
                    "format",
                    format!("format `{}` is not known here", doc.value.format),
                )
                .fix("this version reads `imps-scr/items/1`"));
        }
        for (i, row) in doc.value.items.iter().enumerate() {
            let item = build(&doc, i, row)?;
            let name = scr_of(&doc, i, &item)?;
            if let Some(other) = self.get(&item.id) {
                return Err(doc
                    .error(&format!("items[{i}].id"), format!("{} stands twice", item.id))
                    .fix(format!(
                        "the other is at {}:{}; give one of them a new number, names never move",
                        other.file, other.line
                    )));
            }
            self.index.insert(item.id.clone(), self.items.len());
            self.items.push(item);
            self.names
                .push((name, doc.line(&format!("items[{i}].requirement"))));
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), FileError> {
        for (item, (_, line)) in self.items.iter().zip(&self.names) {
            let Some(requirement) = &item.requirement else {
                continue;
            };
            for reference in requirement.references() {
                let Reference::Item(name) = reference else {
                    continue;
                };
                if RECONSTRUCTED.contains(&name.name()) && self.find(name.as_str()).is_none() {
                    return Err(FileError::new(
                        &item.file,
                        *line,
                        format!("the requirement of {} names {name}, which has no row", item.id),
                    )
                    .fix(did_you_mean(&self.nearest(name.as_str()))));
                }
            }
        }
        Ok(())
    }
}

/// The fix for an unknown item.
pub(super) fn did_you_mean(nearest: &[&ItemId]) -> String {
    if nearest.is_empty() {
        return "`imps-scr scr list` shows every item".to_owned();
    }
    let names: Vec<&str> = nearest.iter().map(|id| id.as_str()).collect();
    format!("did you mean {}?", names.join(" or "))
}

/// Up to three of these named values whose names look like this text, the likeliest first.
pub fn nearest<'a, T: Ord>(text: &str, named: impl Iterator<Item = (&'a str, T)>) -> Vec<T> {
    let text: Vec<char> = text.to_ascii_uppercase().chars().take(160).collect();
    let mut found: Vec<(usize, T)> = named
        .map(|(name, value)| (distance(&text, &name.to_ascii_uppercase()), value))
        .filter(|(d, _)| *d <= text.len() / 4)
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, value)| value).collect()
}

/// Edits between two texts (Levenshtein).
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (j, c) in b.chars().enumerate() {
        let mut corner = j;
        let mut left = j + 1;
        for (known, above) in a.iter().zip(row.iter_mut().skip(1)) {
            let here = (corner + usize::from(*known != c)).min(left + 1).min(*above + 1);
            corner = std::mem::replace(above, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = j + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Checks the name of a built item against the grammar, its role and its origin.
fn scr_of(doc: &Document<raw::File>, i: usize, item: &Item) -> Result<ScrItem, FileError> {
    let path = format!("items[{i}].id");
    let example = "write it like CSP-KALIVE-S-001: code, C or S, three digits";
    let name = ScrItem::parse(item.id.as_str()).map_err(|e| doc.error(&path, e).fix(example))?;
    if name.form() != ItemForm::Strict {
        return Err(doc
            .error(
                &path,
                format!("{} is not a strict ScrItem: {}", item.id, name.form().as_str()),
            )
            .fix(example));
    }
    let device = match item.role {
        Role::Ssp => Role::Server,
        role => role,
    };
    if name.role() != Some(device) {
        return Err(doc
            .error(
                &path,
                format!("the device letter of {} is not that of a {}", item.id, item.role),
            )
            .fix("C stands for client, S for server: correct the letter or `role`"));
    }
    let wanted = if item.reconstructed {
        item.protocol.as_str()
    } else {
        PUBLISHED
    };
    if name.name() != wanted {
        return Err(doc
            .error(
                &path,
                format!("{} does not begin with {wanted}-", item.id),
            )
            .fix("reconstructed items begin with CSP- or SSP-, as `protocol` says; OMA- is for items that OMA published"));
    }
    Ok(name)
}

fn build(doc: &Document<raw::File>, i: usize, row: &raw::Row) -> Result<Item, FileError> {
    let at = |field: &str| format!("items[{i}].{field}");
    let wrong = |field: &str, problem: &str, fix: &str| {
        doc.error(&at(field), format!("{}: {problem}", row.id)).fix(fix)
    };
    for (field, text) in [
        ("feature", &row.feature),
        ("text", &row.text),
        ("reference", &row.reference),
        ("source", &row.source),
    ] {
        if text.trim().is_empty() {
            return Err(wrong(
                field,
                &format!("`{field}` is empty"),
                "say it in a few words",
            ));
        }
    }
    let requirement = match &row.requirement {
        None => None,
        Some(text) => Some(Expression::parse(text).map_err(|e| {
            wrong(
                "requirement",
                &format!("`{text}` is not an expression: {e}"),
                "write items and groups joined by AND, OR, NOT and parentheses; prose goes into `requirement-text`",
            )
        })?),
    };
    match (&row.requirement_text, &requirement, &row.reading_because) {
        (Some(_), Some(_), None) => {
            return Err(wrong(
                "requirement",
                "prose read as an expression without a reason",
                "add `reading-because`",
            ));
        }
        (None, _, Some(_)) | (_, None, Some(_)) => {
            return Err(wrong(
                "reading-because",
                "a reason without both `requirement-text` and `requirement`",
                "remove it, or add what is missing",
            ));
        }
        _ => {}
    }
    if row.because.is_some() && row.basis != Basis::Infer {
        return Err(wrong(
            "because",
            "`because` only goes with `basis: infer`",
            "remove it: the other grades speak for themselves",
        ));
    }
    let untestable = match (row.testability, &row.untestable_because) {
        (raw::Testability::Tested, None) => None,
        (raw::Testability::Untestable, Some(why)) if !why.trim().is_empty() => Some(why.clone()),
        (raw::Testability::Untestable, _) => {
            return Err(wrong(
                "testability",
                "untestable without a reason",
                "add `untestable-because`",
            ));
        }
        (raw::Testability::Tested, Some(_)) => {
            return Err(wrong(
                "untestable-because",
                "a tested item says why it is untestable",
                "remove it, or set `testability: untestable`",
            ));
        }
    };
    let ssp = doc.value.protocol == "SSP";
    if ssp && row.role != Role::Server {
        return Err(wrong(
            "role",
            "SSP is spoken by servers only",
            "write `role: server`",
        ));
    }
    if ssp != row.side.is_some() {
        return Err(match ssp {
            true => wrong(
                "id",
                "an item of SSP without `side`",
                "add `side`: requesting, providing or both",
            ),
            false => wrong("side", "`side` is for items of SSP", "remove it"),
        });
    }
    let since = row.since.unwrap_or(if ssp { Version::V12 } else { Version::V11 });
    if row.until.is_some_and(|until| until < since) {
        return Err(wrong(
            "until",
            "ends before it begins",
            "correct `since` or `until`",
        ));
    }
    if !["CSP", "SSP", "IMPS"].contains(&doc.value.protocol.as_str()) {
        return Err(doc
            .error(
                "protocol",
                format!("protocol `{}` is not known here", doc.value.protocol),
            )
            .fix("write CSP, SSP or IMPS"));
    }
    Ok(Item {
        id: row.id.clone(),
        protocol: doc.value.protocol.clone(),
        role: if ssp { Role::Ssp } else { row.role },
        side: row.side,
        feature: row.feature.trim().to_owned(),
        text: row.text.trim().to_owned(),
        status: row.status,
        requirement,
        requirement_text: row.requirement_text.clone(),
        reading_because: row.reading_because.as_ref().map(|t| t.trim().to_owned()),
        reference: row.reference.trim().to_owned(),
        function: row.function.clone(),
        since,
        until: row.until,
        basis: row.basis,
        source: row.source.trim().to_owned(),
        because: row.because,
        untestable: untestable.map(|t| t.trim().to_owned()),
        reconstructed: !row.id.as_str().starts_with("OMA-"),
        file: doc.file.clone(),
        line: doc.line(&format!("items[{i}]")),
    })
}

mod raw {
    //! The files as written.

    use super::{Basis, Because, Deserialize, ItemId, Role, Side, Status, Version};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct File {
        pub format: String,
        pub protocol: String,
        pub items: Vec<Row>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    pub struct Row {
        pub id: ItemId,
        pub role: Role,
        pub side: Option<Side>,
        pub feature: String,
        pub text: String,
        pub status: Status,
        pub requirement: Option<String>,
        pub requirement_text: Option<String>,
        pub reading_because: Option<String>,
        pub reference: String,
        pub function: Option<String>,
        pub since: Option<Version>,
        pub until: Option<Version>,
        pub basis: Basis,
        pub source: String,
        pub because: Option<Because>,
        #[serde(default)]
        pub testability: Testability,
        pub untestable_because: Option<String>,
    }

    #[derive(Deserialize, Clone, Copy, Default)]
    #[serde(rename_all = "lowercase")]
    pub enum Testability {
        #[default]
        Tested,
        Untestable,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const TABLE: &str = r#"format: imps-scr/items/1
protocol: CSP
items:
  - id: CSP-KALIVE-S-001
    role: server
    feature: keep-alive is answered
    text: The server answers a keep-alive.
    status: M
    requirement: CSP-LOGINP-S-001 OR CSP-LOGIND-S-001
    reference: WV-042
    basis: spec
    source: printed example 6.9
  - id: CSP-LOGINP-S-001
    role: server
    feature: login with a password
    text: The server lets a user in.
    status: O
    reference: WV-042
    basis: two
    source: two servers
  - id: CSP-LOGIND-S-001
    role: server
    feature: login with a digest
    text: The server lets a user in.
    status: O
    since: "1.2"
    reference: WV-042
    basis: infer
    because: security
    source: concluded
  - id: CSP-KALIVE-C-001
    role: client
    feature: keep-alive is sent
    text: The client keeps its session alive.
    status: M
    until: "1.1"
    reference: WV-042
    basis: infer
    source: concluded
    testability: untestable
    untestable-because: nobody can wait that long
"#;

    pub fn items() -> Items {
        load(TABLE).unwrap()
    }

    fn load(text: &str) -> Result<Items, FileError> {
        Items::load(&FileSet::new(vec![(
            "t/items/csp.yaml".to_owned(),
            text.to_owned(),
        )]))
    }

    #[test]
    fn items_carry_what_the_table_says() {
        let items = items();
        assert_eq!(items.len(), 4);
        let item = items.find("rec:CSP-LOGIND-S-001").unwrap();
        assert_eq!(item.strength(), Strength::Must);
        assert!(item.reconstructed && !item.applies_to(Version::V11) && item.applies_to(Version::V12));
        assert_eq!(item.marked_id(), "rec:CSP-LOGIND-S-001");
        assert_eq!((item.file.as_str(), item.line), ("t/items/csp.yaml", 21));
        let item = items.find("CSP-KALIVE-C-001").unwrap();
        assert_eq!(item.strength(), Strength::Should);
        assert!(item.applies_to(Version::V11) && !item.applies_to(Version::V12));
        assert_eq!(items.of_role(Role::Server).count(), 3);
    }

    #[test]
    fn groups_resolve_over_the_loaded_items() {
        let items = items();
        let group = |t: &str| Reference::parse(t).unwrap();
        let yes = |_: &Item| Some(Truth::True);
        assert_eq!(items.truth(&group("CSP:MSF"), &yes), Truth::True);
        assert_eq!(
            items.truth(&group("CSP:OSF"), &|i| Some(Truth::from(i.since == Version::V11))),
            Truth::False
        );
        assert_eq!(
            items.truth(&group("CSP:OSF"), &|i| (i.since == Version::V11)
                .then_some(Truth::True)),
            Truth::True
        );
        assert_eq!(items.truth(&group("CSP-KALIVE-S-MSF"), &yes), Truth::True);
        for nothing_there in ["SSP:MSF", "CSP:OCF", "SSP-X-S-001", "CSP-NONE-S-MSF"] {
            assert_eq!(
                items.truth(&group(nothing_there), &yes),
                Truth::Unknown,
                "{nothing_there}"
            );
        }
    }

    #[test]
    fn typing_mistakes_find_their_neighbour() {
        let items = items();
        assert_eq!(items.nearest("csp-kalve-s-001")[0].as_str(), "CSP-KALIVE-S-001");
        assert!(items.nearest("nothing like it at all").is_empty());
        assert!(items.nearest("").is_empty());
        let a: Vec<char> = "kitten".chars().collect();
        assert_eq!(distance(&a, "sitting"), 3);
    }

    #[test]
    fn mistakes_carry_line_and_fix() {
        let change = |from: &str, to: &str| {
            assert!(TABLE.contains(from), "{from}");
            load(&TABLE.replacen(from, to, 1)).unwrap_err()
        };
        for (from, to, line, part) in [
            ("id: CSP-LOGINP-S-001", "id: CSP-KALIVE-S-001", 13, "stands twice"),
            (
                "id: CSP-KALIVE-C-001",
                "id: CSP-KALIVE-S-009",
                31,
                "device letter",
            ),
            ("id: CSP-KALIVE-C-001", "id: CSP-KALIVE-C-01", 31, "strict"),
            ("id: CSP-KALIVE-C-001", "id: CSP-KALIVE-C-001-M", 31, "strict"),
            ("id: CSP-KALIVE-C-001", "id: WSP-KALIVE-C-001", 31, "begin"),
            ("CSP-LOGINP-S-001 OR", "CSP-LOGIN-S-001 OR", 9, "no row"),
            ("CSP-LOGINP-S-001 OR", "See", 9, "expression"),
            (
                "basis: infer\n    because",
                "basis: one\n    because",
                29,
                "infer",
            ),
            (
                "    untestable-because: nobody can wait that long\n",
                "",
                40,
                "reason",
            ),
            ("    testability: untestable\n", "", 40, "tested item"),
            (
                "until: \"1.1\"",
                "until: \"1.1\"\n    since: \"1.2\"",
                36,
                "before it begins",
            ),
            ("source: two servers", "source: ''", 20, "empty"),
            (
                "source: two servers",
                "source: a\n    reading-because: b",
                21,
                "without both",
            ),
            ("protocol: CSP", "protocol: XMPP", 2, "XMPP"),
            ("items/1", "items/2", 1, "items/2"),
            ("status: M", "status: X", 8, "unknown variant"),
        ] {
            let e = change(from, to);
            assert!(e.problem.contains(part), "{e}");
            assert_eq!(e.line, line, "{e}");
            assert!(!e.fix.is_empty() || part == "unknown variant", "{e}");
        }
        assert!(
            Items::load(&FileSet::new(vec![]))
                .unwrap_err()
                .problem
                .contains("no file")
        );
    }
}
