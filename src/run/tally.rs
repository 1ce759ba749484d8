//! Criteria of one case, repetitions folded together.

use crate::base::limits::MAX_FINDINGS_PER_ITEM;
use crate::event::CriterionResult;
use crate::verdict::{Criterion, Verdict};

/// Collects criteria: one entry per item and rule, which only ever worsens.
#[derive(Debug, Default)]
pub struct Tally {
    entries: Vec<CriterionResult>,
}

impl Tally {
    /// Adds a criterion.
    pub fn add(&mut self, criterion: Criterion) {
        let found = self
            .entries
            .iter_mut()
            .find(|e| e.item == criterion.item && e.rule == criterion.rule);
        let Some(entry) = found else {
            self.entries.push(CriterionResult {
                item: criterion.item,
                rule: criterion.rule,
                verdict: criterion.verdict,
                text: criterion.text,
                count: 1,
                places: vec![criterion.place],
            });
            return;
        };
        if criterion.verdict > entry.verdict {
            entry.verdict = criterion.verdict;
            entry.text = criterion.text;
            entry.count = 1;
            entry.places = vec![criterion.place];
        } else if criterion.verdict == entry.verdict {
            entry.count += 1;
            // Of what passes one place is evidence; of what fails the first ones are wanted.
            let room = match entry.verdict {
                Verdict::None | Verdict::Pass => 1,
                _ => MAX_FINDINGS_PER_ITEM,
            };
            if entry.places.len() < room && !entry.places.contains(&criterion.place) {
                entry.places.push(criterion.place);
            }
        }
    }

    /// Takes what was judged apart.
    pub fn absorb(&mut self, results: &[CriterionResult]) {
        for result in results {
            let mut places = result.places.iter().cloned();
            let first = places.next().unwrap_or_default();
            let criterion = |place| {
                Criterion::new(&result.item, &result.rule, result.verdict, result.text.clone()).at(place)
            };
            self.add(criterion(first));
            let mut told = 1;
            for place in places {
                self.add(criterion(place));
                told += 1;
            }
            let entry = self
                .entries
                .iter_mut()
                .find(|e| e.item == result.item && e.rule == result.rule);
            // Places are the first few, the count is of all.
            if let Some(entry) = entry.filter(|e| e.verdict == result.verdict) {
                entry.count += result.count.saturating_sub(told);
            }
        }
    }

    /// Whether anything was charged to this item.
    pub fn has(&self, item: &crate::base::ItemId) -> bool {
        self.entries
            .iter()
            .any(|e| e.item == *item && e.verdict != Verdict::None)
    }

    /// Whether anything was charged at all.
    pub fn has_any(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether an item other than this one was found broken.
    pub fn broken_besides(&self, item: &crate::base::ItemId) -> bool {
        self.entries
            .iter()
            .any(|e| e.item != *item && matches!(e.verdict, Verdict::Warn | Verdict::Fail))
    }

    /// The worst of all.
    pub fn verdict(&self) -> Verdict {
        self.entries.iter().map(|e| e.verdict).max().unwrap_or_default()
    }

    /// Takes every pass away: nothing shows that the peer does anything of its own. The items that the
    /// case is about become inconclusive; for the general ones this case is no evidence, neither way.
    pub fn distrust(&mut self, own: &[crate::base::ItemId], reason: &str) {
        for entry in &mut self.entries {
            if entry.verdict == Verdict::Pass {
                entry.verdict = if own.contains(&entry.item) {
                    Verdict::Inconc
                } else {
                    Verdict::None
                };
                entry.text = format!("{reason}; seen: {}", entry.text);
            }
        }
    }

    /// All entries, worst first, then by item and rule.
    pub fn into_results(mut self) -> Vec<CriterionResult> {
        self.entries.sort_by(|a, b| {
            b.verdict
                .cmp(&a.verdict)
                .then_with(|| a.item.cmp(&b.item))
                .then_with(|| a.rule.cmp(&b.rule))
        });
        self.entries
    }
}
