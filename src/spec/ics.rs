//! Implementation conformance statement: which items a product claims. Read against the items, so
//! that a statement about an item that does not exist is a mistake with a line; reviewed against their
//! expressions before any test.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::base::yaml;
use crate::base::{FileError, ItemId};

use super::items::{Item, Items, did_you_mean};
use super::scalars::{Versions, YesNo};
use super::types::{Role, Version};

mod proforma;
mod repair;
mod review;

pub use repair::{Change, Repair};
pub use review::{Evaluated, ReviewFinding, ReviewKind, Standing};

/// What an ICS file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ics {
    /// The product.
    pub name: String,
    /// The side that it implements.
    pub role: Role,
    /// Versions of CSP, ascending, at least one.
    pub versions: Vec<Version>,
    /// Whether the suite wrote it down from what it saw; then it is no statement of the vendor.
    pub derived: bool,
    claims: BTreeMap<ItemId, bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: String,
    name: String,
    role: Role,
    versions: Versions,
    #[serde(default)]
    derived: bool,
    /// A line without a value is a question that nobody has answered yet.
    claims: BTreeMap<ItemId, Option<YesNo>>,
}

impl Ics {
    /// A statement without claims.
    pub fn new(name: &str, role: Role, versions: &[Version], derived: bool) -> Self {
        let mut versions = versions.to_vec();
        versions.sort_unstable();
        versions.dedup();
        Self {
            name: name.to_owned(),
            role,
            versions,
            derived,
            claims: BTreeMap::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The first mistake with its line: among others an item that is not in the tables, with its
    /// likeliest spelling, or one of the other role.
    pub fn parse(file: &str, text: &str, items: &Items) -> Result<Self, FileError> {
        let doc = yaml::parse::<Raw>(file, text)?;
        let raw = &doc.value;
        if raw.format != "imps-scr/ics/1" {
            return Err(doc
                .error("format", format!("format `{}` is not known here", raw.format))
                .fix("this version reads `imps-scr/ics/1`"));
        }
        let mut ics = Self::new(&raw.name, raw.role, &raw.versions.0, raw.derived);
        for (id, answer) in &raw.claims {
            let path = format!("claims.{id}");
            let Some(item) = items.get(id) else {
                return Err(doc
                    .error(&path, format!("no item is called {id}"))
                    .fix(did_you_mean(&items.nearest(id.as_str()))));
            };
            if item.role != raw.role {
                return Err(doc
                    .error(
                        &path,
                        format!(
                            "{id} is an item of the {}, this statement is of a {}",
                            item.role, raw.role
                        ),
                    )
                    .fix("remove the line, or correct `role`"));
            }
            if let Some(YesNo(claimed)) = answer {
                ics.claims.insert(id.clone(), *claimed);
            }
        }
        Ok(ics)
    }

    /// Whether an item is claimed; None when the statement is silent.
    pub fn claimed(&self, id: &ItemId) -> Option<bool> {
        self.claims.get(id).copied()
    }

    /// Answers for an item.
    pub fn set(&mut self, id: &ItemId, claimed: bool) {
        self.claims.insert(id.clone(), claimed);
    }

    /// All answers in order of name.
    pub fn claims(&self) -> impl Iterator<Item = (&ItemId, bool)> {
        self.claims.iter().map(|(id, claimed)| (id, *claimed))
    }

    /// Whether one of the stated versions has an item.
    pub fn covers(&self, item: &Item) -> bool {
        self.versions.iter().any(|v| item.applies_to(*v))
    }

    /// The file; the same statement always gives the same text.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        out.push_str(if self.derived {
            "# Derived by the suite from what it saw. This is not a statement of the vendor: a run with it is\n\
             # never better than not determined. Check every line, then set `derived: false`.\n"
        } else {
            "# Implementation conformance statement.\n"
        });
        let versions: Vec<String> = self.versions.iter().map(|v| format!("\"{v}\"")).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "format: imps-scr/ics/1\nname: {}\nrole: {}\nversions: [{}]\nderived: {}\n",
            quoted(&self.name),
            self.role,
            versions.join(", "),
            self.derived
        );
        out.push_str(if self.claims.is_empty() {
            "claims: {}\n"
        } else {
            "claims:\n"
        });
        for (id, claimed) in &self.claims {
            let _ = writeln!(out, "  {id:?}: {}", if *claimed { "yes" } else { "no" });
        }
        out
    }
}

/// A double-quoted YAML scalar. JSON's is one, but for the control characters that JSON leaves alone.
pub(super) fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            let _ = write!(out, "\\u{:04X}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::items::tests::items;
    use super::*;

    const FILE: &str = "format: imps-scr/ics/1\nname: Server X\nrole: server\nversions: [1.1, \"1.2\"]\n\
                        claims:\n  CSP-KALIVE-S-001: yes\n  CSP-LOGINP-S-001: true\n  CSP-LOGIND-S-001: 'no'\n";

    #[test]
    fn claims_are_read() {
        let ics = Ics::parse("f", FILE, &items()).unwrap();
        let claimed = |t: &str| ics.claimed(&ItemId::parse(t).unwrap());
        assert_eq!(claimed("CSP-KALIVE-S-001"), Some(true));
        assert_eq!(claimed("CSP-LOGIND-S-001"), Some(false));
        assert_eq!(claimed("CSP-KALIVE-C-001"), None);
        assert_eq!(ics.versions, [Version::V11, Version::V12]);
        assert_eq!(ics.review(&items(), Role::Server), []);
    }

    #[test]
    fn a_line_without_a_value_is_no_answer() {
        for empty in [
            "CSP-LOGIND-S-001:",
            "CSP-LOGIND-S-001: # yes or no",
            "CSP-LOGIND-S-001: ~",
        ] {
            let text = FILE.replacen("CSP-LOGIND-S-001: 'no'", empty, 1);
            let ics = Ics::parse("f", &text, &items()).unwrap();
            assert_eq!(ics.claimed(&ItemId::parse("CSP-LOGIND-S-001").unwrap()), None);
            assert_eq!(ics.claims().count(), 2);
        }
    }

    #[test]
    fn mistakes_carry_line_and_fix() {
        for (from, to, line, part) in [
            (
                "CSP-KALIVE-S-001",
                "CSP-KALIV-S-001",
                6,
                "did you mean CSP-KALIVE-S-001",
            ),
            ("CSP-KALIVE-S-001", "CSP-KALIVE-C-001", 6, "item of the client"),
            ("CSP-KALIVE-S-001: yes", "CSP-KALIVE-S-001: maybe", 6, "maybe"),
            ("CSP-LOGINP-S-001", "CSP-KALIVE-S-001", 7, "twice"),
            ("ics/1", "ics/2", 1, "ics/2"),
            ("[1.1, \"1.2\"]", "1.3", 4, "1.3"),
            ("[1.1, \"1.2\"]", "[]", 4, "empty list"),
            ("name", "nome", 2, "unknown field"),
        ] {
            let e = Ics::parse("f", &FILE.replacen(from, to, 1), &items()).unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
            assert_eq!(e.line, line, "{e}");
        }
    }

    #[test]
    fn the_review_finds_contradictions() {
        let items = items();
        let id = |t: &str| ItemId::parse(t).unwrap();
        let mut ics = Ics::new("x", Role::Server, &[Version::V11], false);
        let kinds = |ics: &Ics| -> Vec<_> {
            ics.review(&items, Role::Server)
                .into_iter()
                .map(|f| (f.item.to_string(), f.kind))
                .collect()
        };
        // LOGIND is not in 1.1, so nobody asks for it.
        assert_eq!(
            kinds(&ics),
            [
                ("CSP-KALIVE-S-001".to_owned(), ReviewKind::Unanswered),
                ("CSP-LOGINP-S-001".to_owned(), ReviewKind::Unanswered)
            ]
        );
        ics.set(&id("CSP-KALIVE-S-001"), true);
        assert_eq!(kinds(&ics)[0].1, ReviewKind::RequirementUnknown);
        ics.versions.push(Version::V12);
        ics.set(&id("CSP-LOGINP-S-001"), false);
        ics.set(&id("CSP-LOGIND-S-001"), false);
        assert_eq!(
            kinds(&ics),
            [("CSP-KALIVE-S-001".to_owned(), ReviewKind::RequirementFalse)]
        );
        ics.set(&id("CSP-KALIVE-S-001"), false);
        assert_eq!(kinds(&ics)[0].1, ReviewKind::MandatoryRefused);
        assert!(kinds(&ics)[0].1.is_contradiction());
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(name in any::<String>(), answers in prop::collection::vec(any::<Option<bool>>(), 3), derived in any::<bool>()) {
            let items = items();
            let mut ics = Ics::new(&name, Role::Server, &[Version::V12, Version::V11], derived);
            for (item, answer) in items.of_role(Role::Server).zip(answers) {
                if let Some(answer) = answer {
                    ics.set(&item.id, answer);
                }
            }
            prop_assert_eq!(Ics::parse("f", &ics.to_yaml(), &items), Ok(ics));
        }
    }
}
