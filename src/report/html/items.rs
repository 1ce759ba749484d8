//! The items by group, and the findings: what each item asks, what it came to, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cases::kind;
use super::exchange::{PlaceView, Spots, place_link};
use super::index::{At, Index, Link, case_anchor, numbers_html};
use super::text::{escape, safe};
use crate::report::model::{Finding, Item};
use crate::report::words::{counted, group_of, item_severity, plural};
use crate::spec::{Basis, Role};
use crate::verdict::ItemVerdict;

/// Most rows in the list of findings; each finding also stands in its case.
pub const MAX_FINDINGS: usize = 1_000;
/// Most cases that an item names in full; the numbers of all are there.
const MAX_NAMED: usize = 4;

/// A group of items.
#[derive(Serialize)]
pub struct GroupView {
    code: String,
    worst: &'static str,
    line: String,
    /// Groups that somebody has to look at are unfolded from the start.
    open: bool,
    items: Vec<ItemView>,
}

#[derive(Serialize)]
struct ItemView {
    id: String,
    anchor: String,
    role: &'static str,
    status: &'static str,
    basis: &'static str,
    meaning: &'static str,
    strength: &'static str,
    feature: String,
    claimed: bool,
    /// How the statement of the vendor differs; empty when it does not.
    gap: &'static str,
    verdict: &'static str,
    /// Empty when it says what the criterion says.
    reason: String,
    seen: Option<SeenView>,
    cases_html: String,
}

/// The criterion with which a verdict is argued.
#[derive(Serialize)]
struct SeenView {
    kind: &'static str,
    text: String,
    rule: String,
    case: Link,
    place: Option<PlaceView>,
}

/// How much a breach of an item of this basis may cost, in a word. What was concluded is a must on
/// some grounds, which a report does not carry.
fn strength(basis: Basis) -> &'static str {
    match basis {
        Basis::Spec | Basis::Two => "must",
        Basis::One => "should",
        Basis::Infer => "should or must",
        Basis::Open => "note",
    }
}

/// The same as a sentence.
pub fn cost(basis: Basis) -> &'static str {
    match basis {
        Basis::Spec | Basis::Two => "must: a breach fails",
        Basis::One => "should: a breach warns",
        Basis::Infer => {
            "should: a breach warns, unless it changes meaning, opens a hole or loses content: then it fails"
        }
        Basis::Open => "note: every known reading passes",
    }
}

/// The groups by name.
pub fn groups(index: &Index<'_>, spots: &[Spots]) -> Vec<GroupView> {
    by_group(index)
        .into_iter()
        .map(|(code, items)| {
            let mut tally: BTreeMap<ItemVerdict, usize> = BTreeMap::new();
            for item in &items {
                *tally.entry(item.verdict).or_default() += 1;
            }
            let worst = worst(&items);
            GroupView {
                code: code.to_owned(),
                worst: worst.as_str(),
                line: format!("{}: {}", plural(items.len(), "item"), counted(&tally)),
                open: matches!(worst, ItemVerdict::Fail | ItemVerdict::Error),
                items: items.into_iter().map(|i| item_view(index, i, spots)).collect(),
            }
        })
        .collect()
}

/// A line of the table of groups: the worst verdict and the counts.
#[derive(Serialize)]
pub struct GroupRow {
    code: String,
    anchor: String,
    cells: Vec<RoleCell>,
}

#[derive(Serialize)]
struct RoleCell {
    worst: &'static str,
    line: String,
}

/// The table of groups: a cell for each role under test.
pub fn group_rows(index: &Index<'_>, roles: &[Role]) -> Vec<GroupRow> {
    let cell = |items: &[&Item], role: Role| {
        let of_role: Vec<&Item> = items.iter().copied().filter(|i| i.role == role).collect();
        if of_role.is_empty() {
            return RoleCell {
                worst: "",
                line: "none".to_owned(),
            };
        }
        let mut tally: BTreeMap<ItemVerdict, usize> = BTreeMap::new();
        for item in &of_role {
            *tally.entry(item.verdict).or_default() += 1;
        }
        RoleCell {
            worst: worst(&of_role).as_str(),
            line: counted(&tally),
        }
    };
    by_group(index)
        .into_iter()
        .map(|(code, items)| GroupRow {
            code: code.to_owned(),
            anchor: format!("group-{code}"),
            cells: roles.iter().map(|role| cell(&items, *role)).collect(),
        })
        .collect()
}

fn by_group<'a>(index: &Index<'a>) -> BTreeMap<&'a str, Vec<&'a Item>> {
    let mut groups: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in &index.report.items {
        groups.entry(group_of(item.id.as_str())).or_default().push(item);
    }
    groups
}

fn worst(items: &[&Item]) -> ItemVerdict {
    items
        .iter()
        .map(|i| i.verdict)
        .max_by_key(|v| item_severity(*v))
        .unwrap_or(ItemVerdict::Na)
}

fn item_view(index: &Index<'_>, item: &Item, spots: &[Spots]) -> ItemView {
    let seen = index.seen(item);
    // The reason of a pass is evidence as well, of which one piece is enough.
    let told =
        seen.is_some_and(|at| item.verdict == ItemVerdict::Pass || index.criterion(at).text() == item.reason);
    ItemView {
        id: index.marked(&item.id),
        anchor: format!("item-{}", item.id),
        role: item.role.as_str(),
        status: item.status.as_str(),
        basis: item.basis.as_str(),
        meaning: item.basis.meaning(),
        strength: strength(item.basis),
        feature: safe(&item.feature),
        claimed: item.claimed,
        gap: item.claim_gap.map_or("", crate::verdict::ClaimGap::as_str),
        verdict: item.verdict.as_str(),
        reason: if told { String::new() } else { safe(&item.reason) },
        seen: seen.map(|at| seen_view(index, at, spots)),
        cases_html: cases_html(index, item),
    }
}

fn seen_view(index: &Index<'_>, at: At, spots: &[Spots]) -> SeenView {
    let criterion = index.criterion(at);
    let places = (0..criterion.places.len()).map(|p| place_link(index, at, p, &spots[at.0]));
    SeenView {
        kind: kind(criterion),
        text: safe(criterion.text()),
        rule: safe(&criterion.rule),
        case: Link {
            text: format!("case {}", at.0 + 1),
            anchor: case_anchor(at.0),
        },
        place: places.into_iter().find(|p| !p.is_empty()),
    }
}

/// The cases of an item: a few that test it explicitly by name, all of them by number.
fn cases_html(index: &Index<'_>, item: &Item) -> String {
    let (explicit, others) = index.cases_of(item);
    let mut named: Vec<(&str, Vec<usize>)> = Vec::new();
    for case in &explicit {
        let id = index.case(*case).id.as_str();
        // One id runs once in each version.
        match named.iter_mut().find(|(known, _)| *known == id) {
            Some((_, cases)) => cases.push(*case),
            None => named.push((id, vec![*case])),
        }
    }
    let mut lines = Vec::new();
    if named.len() <= MAX_NAMED {
        for (id, cases) in named {
            lines.push(format!("{}: {}", escape(id), numbers_html(&cases)));
        }
    } else {
        lines.push(format!(
            "{} test it: {}",
            plural(explicit.len(), "case"),
            numbers_html(&explicit)
        ));
    }
    if !others.is_empty() {
        lines.push(format!("also seen in {}", numbers_html(&others)));
    }
    lines.join("<br>")
}

/// A finding, once for all the cases in which it was seen.
#[derive(Serialize)]
pub struct FindingView {
    verdict: &'static str,
    role: &'static str,
    group: String,
    item: Link,
    rule: String,
    text: String,
    count: usize,
    cases_html: String,
    place: Option<PlaceView>,
}

/// The findings, worst first, and how many more there are than fit.
pub fn findings(index: &Index<'_>, spots: &[Spots]) -> (Vec<FindingView>, usize) {
    let numbers: BTreeMap<_, usize> = index
        .report
        .cases
        .iter()
        .enumerate()
        .map(|(n, case)| ((&case.id, case.csp), n))
        .collect();
    let mut folded: Vec<(&Finding, Vec<usize>, usize)> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for finding in &index.report.findings {
        let key = (&finding.item, &finding.rule, finding.verdict, &finding.text);
        let row = *known.entry(key).or_insert_with(|| {
            folded.push((finding, Vec::new(), 0));
            folded.len() - 1
        });
        let (_, cases, count) = &mut folded[row];
        cases.extend(numbers.get(&(&finding.case, finding.csp)));
        *count += finding.count;
    }
    let left = folded.len().saturating_sub(MAX_FINDINGS);
    let views = folded
        .into_iter()
        .take(MAX_FINDINGS)
        .map(|(finding, mut cases, count)| {
            cases.sort_unstable();
            cases.dedup();
            let place = first_place(index, finding, &numbers, spots);
            FindingView {
                verdict: finding.verdict.as_str(),
                role: index
                    .report
                    .item(finding.item.as_str())
                    .map_or("", |i| i.role.as_str()),
                group: group_of(finding.item.as_str()).to_owned(),
                item: index.item_link(&finding.item),
                rule: safe(&finding.rule),
                text: safe(&finding.text),
                count,
                cases_html: numbers_html(&cases),
                place,
            }
        })
        .collect();
    (views, left)
}

/// Where the finding was seen first.
fn first_place(
    index: &Index<'_>,
    finding: &Finding,
    numbers: &BTreeMap<(&crate::base::CaseId, crate::spec::Version), usize>,
    spots: &[Spots],
) -> Option<PlaceView> {
    let case = *numbers.get(&(&finding.case, finding.csp))?;
    let k = index.case(case).criteria.iter().position(|c| {
        (&c.item, &c.rule, c.verdict) == (&finding.item, &finding.rule, finding.verdict)
            && c.text() == finding.text
            && !c.places.is_empty()
    })?;
    let place = place_link(index, (case, k), 0, &spots[case]);
    (!place.is_empty()).then_some(place)
}
