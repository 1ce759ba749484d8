//! The front: for each role what a certificate says, and what it rests on. It must stand alone, since
//! it may be the only sheet that is passed on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::index::{Index, Link};
use super::text::safe;
use crate::report::model::{Item, Report};
use crate::report::words::{counted, plural};
use crate::spec::{Role, Status};
use crate::verdict::{ClaimGap, Conformance, ItemVerdict};

/// Most items that are named for each way of not being told.
const MAX_NAMED: usize = 8;

/// What is said of one role.
#[derive(Serialize)]
pub struct RoleView {
    role: &'static str,
    word: &'static str,
    class: &'static str,
    /// Why the verdict is what it is.
    because: String,
    facts: Vec<(&'static str, String)>,
    kinds: Vec<&'static str>,
    rows: Vec<CountRow>,
    cases: String,
    untold: Vec<UntoldView>,
    gaps: Vec<UntoldView>,
}

#[derive(Serialize)]
struct CountRow {
    name: &'static str,
    cells: Vec<usize>,
}

/// Items of which there is no answer.
#[derive(Serialize)]
struct UntoldView {
    word: &'static str,
    meaning: &'static str,
    count: usize,
    items: Vec<Link>,
    more: usize,
}

/// A block for each role under test.
pub fn roles(index: &Index<'_>) -> Vec<RoleView> {
    let report = index.report;
    report.roles.iter().map(|role| role_view(index, *role)).collect()
}

fn role_view(index: &Index<'_>, role: Role) -> RoleView {
    let report = index.report;
    let conformance = report.conformance_of(role);
    let items: Vec<&Item> = report.items.iter().filter(|i| i.role == role).collect();
    let counts = report.counts(role);
    let (kinds, rows) = tally(&items);
    RoleView {
        role: role.as_str(),
        word: conformance.as_str(),
        class: match conformance {
            Conformance::Conformant => "pass",
            Conformance::NotConformant => "fail",
            Conformance::NotDetermined => "inconc",
        },
        because: because(conformance, &counts.items),
        facts: facts(report),
        kinds,
        rows,
        cases: format!(
            "{}{}",
            plural(counts.cases.values().sum(), "case"),
            if counts.cases.is_empty() {
                String::new()
            } else {
                format!(": {}", counted(&counts.cases))
            }
        ),
        untold: untold(index, &items),
        gaps: gaps(index, &items),
    }
}

/// A row for each verdict and one for all, a column for each kind of item; only those that occur.
fn tally(items: &[&Item]) -> (Vec<&'static str>, Vec<CountRow>) {
    let kind = |item: &Item| match (item.claimed, item.status) {
        (true, Status::Mandatory) => "mandatory",
        (true, _) => "optional, claimed",
        (false, _) => "not claimed",
    };
    let kinds: Vec<&str> = ["mandatory", "optional, claimed", "not claimed"]
        .into_iter()
        .filter(|k| items.iter().any(|i| kind(i) == *k))
        .collect();
    let row = |name, of: &dyn Fn(&Item) -> bool| CountRow {
        name,
        cells: kinds
            .iter()
            .map(|k| items.iter().filter(|i| of(i) && kind(i) == *k).count())
            .collect(),
    };
    let mut rows: Vec<CountRow> = ItemVerdict::ALL
        .into_iter()
        .filter(|v| items.iter().any(|i| i.verdict == *v))
        .map(|v| row(v.as_str(), &|i: &Item| i.verdict == v))
        .collect();
    rows.push(row("all", &|_| true));
    (kinds, rows)
}

/// The verdict in a sentence. Only items that count for conformance are in `items`.
fn because(conformance: Conformance, items: &BTreeMap<ItemVerdict, usize>) -> String {
    let count = |v: ItemVerdict| items.get(&v).copied().unwrap_or_default();
    let be = |n: usize| if n == 1 { "is" } else { "are" };
    match conformance {
        Conformance::Conformant => {
            let mut text = "No mandatory or claimed item failed, and none was left open".to_owned();
            let untestable = count(ItemVerdict::Untestable);
            if untestable > 0 {
                text += &format!(
                    "; {} of them cannot be seen from outside and {} not vouched for",
                    untestable,
                    be(untestable)
                );
            }
            text + "."
        }
        Conformance::NotConformant => {
            let failed = count(ItemVerdict::Fail);
            if failed == 0 {
                return "A mandatory or claimed item failed.".to_owned();
            }
            format!("{} failed.", plural(failed, "mandatory or claimed item"))
        }
        Conformance::NotDetermined => {
            let open = [
                ItemVerdict::Inconc,
                ItemVerdict::Error,
                ItemVerdict::Untested,
                ItemVerdict::NotRun,
            ]
            .into_iter()
            .map(count)
            .sum::<usize>();
            match open {
                0 => "No mandatory or claimed item failed, but the caveats below keep the answer open."
                    .to_owned(),
                n => format!(
                    "No mandatory or claimed item failed, but {} {} open.",
                    plural(n, "item"),
                    be(n)
                ),
            }
        }
    }
}

/// What was tested, by what, and when.
fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let join = |words: Vec<&str>| words.join(", ");
    let target = if report.target.address.is_empty() {
        safe(&report.target.name)
    } else {
        format!(
            "{} at {}",
            safe(&report.target.name),
            safe(&report.target.address)
        )
    };
    vec![
        ("Under test", target),
        ("CSP", join(report.versions.iter().map(|v| v.as_str()).collect())),
        ("Encoding", report.encoding.as_str().to_owned()),
        (
            "Claims",
            if report.claims == "derived" {
                "derived from what was seen; nobody stated them".to_owned()
            } else {
                format!("stated in {}", safe(&report.claims))
            },
        ),
        ("Date", safe(&date(&report.started_at))),
        ("Suite", format!("imps-scr {}", safe(&report.suite.version))),
        (
            "Digests",
            format!(
                "tables {}, cases {}",
                safe(&report.suite.tables),
                safe(&report.suite.cases)
            ),
        ),
    ]
}

/// What else is to be known of the run.
pub fn run_facts(report: &Report) -> Vec<(&'static str, String)> {
    vec![
        (
            "Filter",
            safe(if report.filter.is_empty() {
                "none: every case"
            } else {
                &report.filter
            }),
        ),
        ("Seed", report.seed.to_string()),
        ("Duration", format!("{} ms", report.duration_ms)),
    ]
}

/// `2024-05-17 09:30 UTC` of an RFC 3339 time; what is no such time stays as it is.
pub fn date(time: &str) -> String {
    let parts = time.split_once('T').and_then(|(day, rest)| {
        let minute = rest.get(..5)?;
        (day.len() == 10 && rest.ends_with('Z')).then_some((day, minute))
    });
    parts.map_or_else(|| time.to_owned(), |(day, minute)| format!("{day} {minute} UTC"))
}

fn untold(index: &Index<'_>, items: &[&Item]) -> Vec<UntoldView> {
    [
        (ItemVerdict::Error, "the suite's own fault"),
        (ItemVerdict::Inconc, "could not be told"),
        (ItemVerdict::Untested, "nothing was seen of it"),
        (ItemVerdict::NotRun, "its cases were not run"),
        (ItemVerdict::Untestable, "cannot be seen from outside"),
    ]
    .into_iter()
    .filter_map(|(verdict, meaning)| {
        let of: Vec<&&Item> = items
            .iter()
            .filter(|i| i.claimed && i.verdict == verdict)
            .collect();
        (!of.is_empty()).then(|| UntoldView {
            word: verdict.as_str(),
            meaning,
            count: of.len(),
            items: of
                .iter()
                .take(MAX_NAMED)
                .map(|i| index.item_link(&i.id))
                .collect(),
            more: of.len().saturating_sub(MAX_NAMED),
        })
    })
    .collect()
}

/// Where the statement of the vendor differs from what was seen: all of it, since it is what a vendor
/// has to correct.
fn gaps(index: &Index<'_>, items: &[&Item]) -> Vec<UntoldView> {
    ClaimGap::ALL
        .into_iter()
        .filter_map(|gap| {
            let of: Vec<&&Item> = items.iter().filter(|i| i.claim_gap == Some(gap)).collect();
            (!of.is_empty()).then(|| UntoldView {
                word: gap.as_str(),
                meaning: gap.meaning(),
                count: of.len(),
                items: of.iter().map(|i| index.item_link(&i.id)).collect(),
                more: 0,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_verdict_says_what_it_rests_on() {
        let items = BTreeMap::from([
            (ItemVerdict::Pass, 3),
            (ItemVerdict::Fail, 1),
            (ItemVerdict::Untested, 2),
            (ItemVerdict::Untestable, 1),
        ]);
        insta::assert_snapshot!(
            [
                Conformance::Conformant,
                Conformance::NotConformant,
                Conformance::NotDetermined
            ]
            .map(|c| format!("{c}: {}", because(c, &items)))
            .join("\n")
        );
        assert!(because(Conformance::NotDetermined, &BTreeMap::new()).contains("caveats"));
    }

    #[test]
    fn every_item_is_counted_once_and_every_gap_named() {
        let report = fixture::report();
        let index = Index::new(&report);
        for view in roles(&index) {
            let items: Vec<_> = report
                .items
                .iter()
                .filter(|i| i.role.as_str() == view.role)
                .collect();
            let (all, verdicts) = view.rows.split_last().unwrap();
            assert_eq!(all.cells.iter().sum::<usize>(), items.len());
            for (n, total) in all.cells.iter().enumerate() {
                assert_eq!(verdicts.iter().map(|r| r.cells[n]).sum::<usize>(), *total);
            }
            let words: Vec<_> = view.untold.iter().map(|u| (u.word, u.count)).collect();
            match view.role {
                "server" => assert_eq!(
                    words,
                    [("error", 1), ("inconc", 1), ("untested", 1), ("not-run", 1)]
                ),
                _ => assert_eq!(words, [("untestable", 1)]),
            }
        }
    }

    #[test]
    fn dates_are_short() {
        assert_eq!(date("2024-05-17T09:30:00.123Z"), "2024-05-17 09:30 UTC");
        assert_eq!(date("soon"), "soon");
        assert_eq!(date("2024-05-17T09ä"), "2024-05-17T09ä");
    }
}
