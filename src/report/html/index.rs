//! What the views look up in a report again and again, and how the page names its places. A case has
//! a number on the page, since its id would otherwise stand in every one of some thousand anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::base::ItemId;
use crate::report::model::{Case, Criterion, Item, Report};
use crate::verdict::{ItemVerdict, Verdict};

/// A criterion: number of its case and its number in it, both from 0.
pub type At = (usize, usize);

/// A link within the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it says.
    pub text: String,
    /// Empty when the page has nothing to link to.
    pub anchor: String,
}

/// The index.
pub struct Index<'a> {
    /// The report itself.
    pub report: &'a Report,
    items: BTreeMap<&'a str, &'a Item>,
    charged: BTreeMap<&'a str, Vec<At>>,
    seen: BTreeMap<&'a str, At>,
    argued: BTreeSet<At>,
}

impl<'a> Index<'a> {
    /// Reads a report once.
    pub fn new(report: &'a Report) -> Self {
        let mut charged: BTreeMap<&str, Vec<At>> = BTreeMap::new();
        for (n, case) in report.cases.iter().enumerate() {
            for (k, criterion) in case.criteria.iter().enumerate() {
                charged.entry(criterion.item.as_str()).or_default().push((n, k));
            }
        }
        let seen: BTreeMap<&str, At> = report
            .items
            .iter()
            .filter_map(|item| {
                let at = best(report, item, charged.get(item.id.as_str())?)?;
                Some((item.id.as_str(), at))
            })
            .collect();
        Self {
            report,
            items: report.items.iter().map(|i| (i.id.as_str(), i)).collect(),
            argued: seen.values().copied().collect(),
            charged,
            seen,
        }
    }

    /// The criterion behind an item's verdict.
    pub fn seen(&self, item: &Item) -> Option<At> {
        self.seen.get(item.id.as_str()).copied()
    }

    /// Whether an item's verdict is argued with this criterion.
    pub fn is_argued(&self, at: At) -> bool {
        self.argued.contains(&at)
    }

    /// The cases that charged something to an item: those that test it explicitly, and the others.
    pub fn cases_of(&self, item: &Item) -> (Vec<usize>, Vec<usize>) {
        let mut cases: Vec<usize> = self
            .charged
            .get(item.id.as_str())
            .into_iter()
            .flatten()
            .map(|(case, _)| *case)
            .collect();
        cases.dedup();
        cases
            .into_iter()
            .partition(|n| self.report.cases[*n].scr.contains(&item.id))
    }

    /// The case of this number.
    pub fn case(&self, case: usize) -> &'a Case {
        &self.report.cases[case]
    }

    /// The criterion at this place.
    pub fn criterion(&self, (case, criterion): At) -> &'a Criterion {
        &self.report.cases[case].criteria[criterion]
    }

    /// An item id as people see it, as [`Report::marked`] writes it.
    pub fn marked(&self, id: &ItemId) -> String {
        match self.items.get(id.as_str()) {
            Some(item) if !item.reconstructed => id.to_string(),
            _ => format!("rec:{id}"),
        }
    }

    /// A link to an item.
    pub fn item_link(&self, id: &ItemId) -> Link {
        Link {
            text: self.marked(id),
            anchor: if self.items.contains_key(id.as_str()) {
                format!("item-{id}")
            } else {
                String::new()
            },
        }
    }
}

/// The criterion that argues best for the verdict of an item: one of a case that tests it
/// explicitly before a general rule met elsewhere, one with a path before one about a whole message.
fn best(report: &Report, item: &Item, charged: &[At]) -> Option<At> {
    charged
        .iter()
        .copied()
        .filter(|(n, k)| ItemVerdict::from(report.cases[*n].criteria[*k].verdict) == item.verdict)
        .min_by_key(|(n, k)| {
            let case = &report.cases[*n];
            let path = case.criteria[*k].places.iter().any(|p| !p.path.is_empty());
            (!case.scr.contains(&item.id), !path, *n, *k)
        })
}

/// Whether it says that something is wrong or open.
pub fn is_finding(criterion: &Criterion) -> bool {
    criterion.verdict > Verdict::Pass
}

/// The anchor of a case by its number.
pub fn case_anchor(case: usize) -> String {
    format!("c{}", case + 1)
}

/// The anchor of a criterion.
pub fn criterion_anchor((case, criterion): At) -> String {
    format!("c{}k{}", case + 1, criterion + 1)
}

/// Links to cases by their numbers, runs of them as `3–7`. HTML, of digits only.
pub fn numbers_html(cases: &[usize]) -> String {
    let mut out = String::new();
    let mut rest = cases;
    while let Some(first) = rest.first().copied() {
        let run = rest
            .iter()
            .enumerate()
            .take_while(|(n, case)| **case == first + n)
            .count();
        // Two neighbours are shorter as two.
        let run = if run < 3 { 1 } else { run };
        if !out.is_empty() {
            out.push_str(", ");
        }
        let _ = write!(out, "<a href=\"#c{0}\">{0}</a>", first + 1);
        if run > 1 {
            let _ = write!(out, "–<a href=\"#c{0}\">{0}</a>", first + run);
        }
        rest = &rest[run..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn runs_of_numbers_are_folded() {
        let bare = |cases: &[usize]| {
            let mut text = numbers_html(cases);
            while let Some(at) = text.find('<') {
                let end = at + text[at..].find('>').unwrap() + 1;
                text.replace_range(at..end, "");
            }
            text
        };
        assert_eq!(bare(&[0, 1, 2, 3, 5, 6, 9]), "1–4, 6, 7, 10");
        assert_eq!(bare(&[]), "");
    }

    #[test]
    fn a_verdict_is_argued_with_a_criterion_of_that_verdict() {
        let report = fixture::report();
        let index = Index::new(&report);
        for item in &report.items {
            if let Some(at) = index.seen(item) {
                let criterion = index.criterion(at);
                assert_eq!(ItemVerdict::from(criterion.verdict), item.verdict);
                assert_eq!(criterion.item, item.id);
                assert!(index.is_argued(at));
            }
            assert_eq!(index.marked(&item.id), report.marked(&item.id));
        }
        let passed = report.items.iter().filter(|i| i.verdict == ItemVerdict::Pass);
        assert!(passed.into_iter().all(|i| index.seen(i).is_some()));
    }
}
