//! The release ledger against the list of statements that it was made from. That list is not part of the
//! project; without it the test says so and passes.

use std::collections::BTreeMap;

use imps_scr::base::FileSet;
use imps_scr::spec::{LedgerClass, Tables};

mod shared;

/// What the list says of a statement: the text (A the release definition, B the architecture), the section,
/// the class, and the statement that it repeats.
struct Listed<'a> {
    document: &'a str,
    section: &'a str,
    class: &'a str,
    same_as: Option<u32>,
}

fn listed(text: &str) -> BTreeMap<u32, Listed<'_>> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(|c| c.trim_matches(['|', ' '])).collect();
        let number: u32 = cells.first()?.parse().ok()?;
        let (document, section) = cells.get(1)?.split_once(' ')?;
        let remark = cells.get(4).copied().unwrap_or_default();
        let same = remark.split_once("same as no. ").map(|(_, n)| n);
        let row = Listed {
            document,
            section,
            class: cells.get(3)?,
            same_as: same.and_then(|n| n.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()),
        };
        Some((number, row))
    });
    rows.collect()
}

/// Statements that a protocol could show and this version does not: the binary form, the short messages, and
/// discovery between servers, of which no message is known.
const NOT_YET: [u32; 4] = [18, 19, 68, 184];

#[test]
fn every_statement_has_its_row() {
    let Some(path) = shared::find("facts/smcnp-sap.md") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let listed = listed(&text);
    assert_eq!(listed.len(), 223);
    let tables = Tables::load(&FileSet::tables()).unwrap();
    let ledger = tables.ledger.unwrap();
    for (number, row) in &listed {
        let entry = ledger
            .get(*number)
            .unwrap_or_else(|| panic!("{number} has no row"));
        let document = match row.document {
            "A" => "ERELD",
            _ => "WV-040",
        };
        assert_eq!(
            (entry.document.as_str(), entry.section.as_str(), entry.same_as),
            (document, row.section, row.same_as),
            "{number}"
        );
        let fits = match row.class {
            class if class.starts_with("testable") => {
                (entry.class == LedgerClass::Tested) != NOT_YET.contains(number)
            }
            "not testable by protocol" => {
                matches!(entry.class, LedgerClass::Untestable | LedgerClass::OutOfScope)
            }
            // What the texts themselves leave out is out of scope.
            "informative" => matches!(entry.class, LedgerClass::Informative | LedgerClass::OutOfScope),
            other => panic!("{number}: the class `{other}` is not known here"),
        };
        assert!(fits, "{number}: {} is {} here", row.class, entry.class);
        let by = |name: &str| {
            entry
                .items
                .iter()
                .any(|p| p.as_str().starts_with(name) || p.as_str().starts_with("OMA-"))
        };
        if entry.class == LedgerClass::Tested {
            assert!(
                !row.class.contains("CSP") || by("CSP-"),
                "{number}: no item of CSP"
            );
            assert!(
                !row.class.contains("SSP") || by("SSP-"),
                "{number}: no item of SSP"
            );
        }
    }
    assert_eq!(ledger.entries().count(), listed.len());
}
