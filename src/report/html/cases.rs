//! The cases: what was judged in each, and the exchanges in which it was seen.

use std::collections::BTreeMap;

use serde::Serialize;

use super::exchange::{Bodies, ExchangeView, PlaceView, Spots, exchanges, place_link};
use super::index::{At, Index, Link, case_anchor, criterion_anchor, is_finding};
use super::text::safe;
use crate::base::CaseId;
use crate::report::collector::KeptExchanges;
use crate::report::model::{Case, Criterion};
use crate::report::words::{group_of, place};
use crate::spec::Version;
use crate::verdict::Verdict;

/// A case.
#[derive(Serialize)]
pub struct CaseView {
    id: String,
    /// Stays the same from run to run, so that a case can be linked from outside.
    anchor: String,
    number: usize,
    number_anchor: String,
    title: String,
    role: &'static str,
    csp: &'static str,
    encoding: &'static str,
    verdict: &'static str,
    reason: String,
    duration_ms: u64,
    groups: String,
    scr: Vec<Link>,
    criteria: Vec<CriterionView>,
    asides: Asides,
    silence: Vec<String>,
    exchanges: Vec<ExchangeView>,
    left_out: usize,
}

#[derive(Serialize)]
struct CriterionView {
    anchor: String,
    number: usize,
    verdict: &'static str,
    item: Link,
    rule: String,
    kind: &'static str,
    text: String,
    count: usize,
    places: Vec<PlaceView>,
}

/// The general rules that passed in a case about something else, a line each, or the page of a whole
/// run would be mostly these.
#[derive(Serialize)]
struct Asides {
    count: usize,
    lines: Vec<String>,
    /// The anchor of these lines.
    anchor: String,
    /// The case with the very same lines.
    same: Option<Link>,
}

/// The cases, and where the places of their criteria lead.
pub fn cases(
    index: &Index<'_>,
    kept: &BTreeMap<(CaseId, Version), KeptExchanges>,
) -> (Vec<CaseView>, Vec<Spots>) {
    let mut bodies = Bodies::default();
    let mut told_before: BTreeMap<Vec<String>, Link> = BTreeMap::new();
    (0..index.report.cases.len())
        .map(|n| {
            let case = index.case(n);
            let kept = kept.get(&(case.id.clone(), case.csp));
            let (told, rest): (Vec<usize>, Vec<usize>) =
                (0..case.criteria.len()).partition(|k| is_told(index, (n, *k)));
            let (exchanges, spots) = exchanges(index, n, &told, kept, &mut bodies);
            let view = CaseView {
                id: case.id.to_string(),
                anchor: format!("case-{}~{}", case.id, case.csp),
                number: n + 1,
                number_anchor: case_anchor(n),
                title: safe(&case.title),
                role: case.role.as_str(),
                csp: case.csp.as_str(),
                encoding: case.encoding.as_str(),
                verdict: case.verdict.as_str(),
                reason: safe(&case.reason),
                duration_ms: case.duration_ms,
                groups: groups(case),
                scr: case.scr.iter().map(|i| index.item_link(i)).collect(),
                criteria: criteria(index, n, told, &spots),
                asides: asides(index, n, &rest, &mut told_before),
                silence: silence(case),
                exchanges,
                left_out: kept.map_or(0, |k| k.left_out),
            };
            (view, spots)
        })
        .unzip()
}

/// Whether a criterion has a row of its own: what was found, what the case is about, and what an
/// item's verdict is argued with.
fn is_told(index: &Index<'_>, at: At) -> bool {
    let criterion = index.criterion(at);
    is_finding(criterion) || index.case(at.0).scr.contains(&criterion.item) || index.is_argued(at)
}

/// The groups of the items that a case tests, for the filter.
fn groups(case: &Case) -> String {
    let mut groups: Vec<&str> = case.scr.iter().map(|i| group_of(i.as_str())).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.join(" ")
}

fn asides(
    index: &Index<'_>,
    case: usize,
    rest: &[usize],
    told_before: &mut BTreeMap<Vec<String>, Link>,
) -> Asides {
    let line = |c: &Criterion| {
        let at = c.places.first().map(place).unwrap_or_default();
        let times = if c.count > 1 {
            format!(" ({}×)", c.count)
        } else {
            String::new()
        };
        let line = format!("{} {}: {}{times}", index.marked(&c.item), c.rule, c.text());
        safe(&if at.is_empty() {
            line
        } else {
            format!("{line}, {at}")
        })
    };
    let lines: Vec<String> = rest.iter().map(|k| line(index.criterion((case, *k)))).collect();
    let mut view = Asides {
        count: lines.len(),
        anchor: format!("{}g", case_anchor(case)),
        same: told_before.get(&lines).cloned(),
        lines,
    };
    if view.same.is_some() {
        view.lines.clear();
    } else if !view.lines.is_empty() {
        let link = Link {
            text: format!("case {}", case + 1),
            anchor: view.anchor.clone(),
        };
        told_before.insert(view.lines.clone(), link);
    }
    view
}

fn criteria(index: &Index<'_>, case: usize, mut told: Vec<usize>, spots: &Spots) -> Vec<CriterionView> {
    told.sort_by_key(|k| std::cmp::Reverse(index.criterion((case, *k)).verdict));
    told.into_iter()
        .map(|k| {
            let criterion = index.criterion((case, k));
            CriterionView {
                anchor: criterion_anchor((case, k)),
                number: k + 1,
                verdict: criterion.verdict.as_str(),
                item: index.item_link(&criterion.item),
                rule: safe(&criterion.rule),
                kind: kind(criterion),
                text: safe(criterion.text()),
                count: criterion.count,
                places: (0..criterion.places.len())
                    .map(|p| place_link(index, (case, k), p, spots))
                    .filter(|p| !p.is_empty())
                    .collect(),
            }
        })
        .collect()
}

/// What the text of a criterion is.
pub fn kind(criterion: &Criterion) -> &'static str {
    if criterion.verdict > Verdict::Pass {
        "Finding"
    } else {
        "Evidence"
    }
}

fn silence(case: &Case) -> Vec<String> {
    case.silence
        .iter()
        .map(|s| {
            format!(
                "{}: proven by {}, waited {} ms",
                safe(&s.of),
                safe(&s.proof),
                s.waited_ms
            )
        })
        .collect()
}
