//! What moved between two judgements of one run, and why, as text.

use std::collections::BTreeMap;

use super::SELF_TEST;
use crate::base::escape::plain;
use crate::base::mask::Masker;
use crate::base::{CaseId, ItemId};
use crate::event::{CaseResult, CriterionResult, ItemResult, RunInfo};
use crate::spec::Version;
use crate::verdict::Verdict;

/// Criteria shown of one item; the rest are counted.
const MAX_CRITERIA: usize = 12;

/// Two judgements of one run.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// The head of the run then.
    pub then: &'a RunInfo,
    /// Its head now.
    pub now: &'a RunInfo,
    /// Items then.
    pub old_items: &'a [ItemResult],
    /// Items now.
    pub new_items: &'a [ItemResult],
    /// Results of cases then.
    pub old_cases: &'a [CaseResult],
    /// Results of cases now.
    pub new_cases: &'a [CaseResult],
}

type Key<'a> = (&'a ItemId, &'a CaseId, Version, &'a str);

impl Moved<'_> {
    /// How many items have another verdict.
    pub fn count(&self) -> usize {
        self.items().len()
    }

    /// Items that moved: then and now.
    fn items(&self) -> Vec<(Option<&ItemResult>, Option<&ItemResult>)> {
        let old: BTreeMap<&ItemId, &ItemResult> = self.old_items.iter().map(|i| (&i.id, i)).collect();
        let new: BTreeMap<&ItemId, &ItemResult> = self.new_items.iter().map(|i| (&i.id, i)).collect();
        let mut ids: Vec<&ItemId> = old.keys().chain(new.keys()).copied().collect();
        ids.sort();
        ids.dedup();
        ids.into_iter()
            .map(|id| (old.get(id).copied(), new.get(id).copied()))
            .filter(|(a, b)| a.map(|i| i.verdict) != b.map(|i| i.verdict))
            .collect()
    }

    /// Everything that a person wants to know, line by line.
    pub fn text(&self, masker: &Masker) -> String {
        let mut text = String::new();
        let frame = if self.now.embedded {
            format!("{SELF_TEST}\n")
        } else {
            String::new()
        };
        text.push_str(&frame);
        text.push_str(&format!(
            "judged again: the run of {} that began at {}\n",
            safe(masker, &self.now.target),
            safe(masker, &self.then.started_at)
        ));
        for (what, then, now) in [
            (
                "version of the suite",
                &self.then.suite_version,
                &self.now.suite_version,
            ),
            ("tables", &self.then.tables_hash, &self.now.tables_hash),
            ("cases", &self.then.cases_hash, &self.now.cases_hash),
            ("claims", &self.then.claims, &self.now.claims),
        ] {
            if then != now {
                text.push_str(&format!(
                    "the {what} changed: {} then, {} now\n",
                    safe(masker, then),
                    safe(masker, now)
                ));
            }
        }
        let (old, new) = (criteria(self.old_cases), criteria(self.new_cases));
        let moved = self.items();
        if moved.is_empty() {
            text.push_str("nothing moved: every item has the verdict that it had\n");
        } else {
            let (noun, verb) = if moved.len() == 1 {
                ("item", "has")
            } else {
                ("items", "have")
            };
            text.push_str(&format!("{} {noun} {verb} another verdict:\n", moved.len()));
        }
        for (was, is) in moved {
            text.push_str(&self.item(was, is, &old, &new, masker));
        }
        text.push_str(&frame);
        text.push('\n');
        text
    }

    fn item(
        &self,
        was: Option<&ItemResult>,
        is: Option<&ItemResult>,
        old: &BTreeMap<Key<'_>, &CriterionResult>,
        new: &BTreeMap<Key<'_>, &CriterionResult>,
        masker: &Masker,
    ) -> String {
        let Some(any) = is.or(was) else {
            return String::new();
        };
        let verdict = |item: Option<&ItemResult>| item.map_or("not in the tables", |i| i.verdict.as_str());
        let mark = if any.reconstructed { "rec:" } else { "" };
        let mut text = format!(
            "  {mark}{}: {} -> {}  {}\n",
            any.id,
            verdict(was),
            verdict(is),
            safe(masker, &any.feature)
        );
        if let (Some(was), Some(is)) = (was, is) {
            for (what, then, now) in [
                ("basis", was.basis.to_string(), is.basis.to_string()),
                ("status", was.status.to_string(), is.status.to_string()),
                ("claimed", yes(was.claimed), yes(is.claimed)),
            ] {
                if then != now {
                    text.push_str(&format!("    {what}: {then} then, {now} now\n"));
                }
            }
        }
        let mut lines = Vec::new();
        for (key, then) in old.iter().filter(|(k, _)| *k.0 == any.id) {
            match new.get(key) {
                None => lines.push(line("gone", key, then, then.verdict.as_str().to_owned(), masker)),
                Some(now) if now.verdict != then.verdict => {
                    let verdicts = format!("{} -> {}", then.verdict, now.verdict);
                    lines.push(line("changed", key, now, verdicts, masker));
                }
                Some(_) => {}
            }
        }
        for (key, now) in new.iter().filter(|(k, _)| *k.0 == any.id) {
            if !old.contains_key(key) {
                lines.push(line("new", key, now, now.verdict.as_str().to_owned(), masker));
            }
        }
        let more = lines.len().saturating_sub(MAX_CRITERIA);
        if lines.is_empty() {
            // No criterion of its own moved: its verdict follows from claims, tables or other items.
            let reason = is.or(was).map_or("", |i| i.reason.as_str());
            lines.push(format!("    why: {}\n", safe(masker, reason)));
        }
        text.extend(lines.into_iter().take(MAX_CRITERIA));
        if more > 0 {
            text.push_str(&format!("    and {more} more\n"));
        }
        text
    }
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn line(word: &str, key: &Key<'_>, criterion: &CriterionResult, verdicts: String, masker: &Masker) -> String {
    let (_, case, version, rule) = key;
    format!(
        "    {word:<8}{verdicts}  {case} (CSP {version}): {}\n            {}\n",
        safe(masker, rule),
        safe(masker, &criterion.text)
    )
}

fn safe(masker: &Masker, text: &str) -> String {
    plain(&masker.text(text)).into_owned()
}

/// Criteria that say something, by where they stand.
fn criteria(cases: &[CaseResult]) -> BTreeMap<Key<'_>, &CriterionResult> {
    cases
        .iter()
        .flat_map(|case| {
            case.criteria
                .iter()
                .filter(|c| c.verdict != Verdict::None)
                .map(move |c| ((&c.item, &case.id, case.version, c.rule.as_str()), c))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::report::fixture;
    use crate::verdict::ItemVerdict;

    fn run() -> (RunInfo, Vec<ItemResult>, Vec<CaseResult>) {
        let mut cases = Vec::new();
        let mut items = Vec::new();
        for event in fixture::events() {
            match event {
                Event::CaseFinished(result) => cases.push((*result).clone()),
                Event::RunFinished(outcome) => items.clone_from(&outcome.items),
                _ => {}
            }
        }
        (fixture::info(true), items, cases)
    }

    #[test]
    fn the_same_twice_moves_nothing() {
        let (info, items, cases) = run();
        let moved = Moved {
            then: &info,
            now: &info,
            old_items: &items,
            new_items: &items,
            old_cases: &cases,
            new_cases: &cases,
        };
        assert_eq!(moved.count(), 0);
        let text = moved.text(&Masker::default());
        assert!(
            text.contains("nothing moved") && !text.contains("changed"),
            "{text}"
        );
        assert!(text.starts_with(SELF_TEST) && text.trim_end().ends_with(SELF_TEST));
    }

    #[test]
    fn what_moves_is_told_with_its_criteria_and_no_secret() {
        let (info, items, cases) = run();
        let (mut now, mut new_items, mut new_cases) = (info.clone(), items.clone(), cases.clone());
        now.tables_hash = "other".to_owned();
        let item = new_items
            .iter_mut()
            .find(|i| i.verdict == ItemVerdict::Fail)
            .unwrap();
        item.verdict = ItemVerdict::Warn;
        let id = item.id.clone();
        for criterion in new_cases.iter_mut().flat_map(|c| &mut c.criteria) {
            if criterion.item == id {
                criterion.verdict = Verdict::Warn;
            }
        }
        let text = Moved {
            then: &info,
            now: &now,
            old_items: &items,
            new_items: &new_items,
            old_cases: &cases,
            new_cases: &new_cases,
        }
        .text(&fixture::masker());
        assert!(
            text.contains("the tables changed: 9f2c0e then, other now"),
            "{text}"
        );
        assert!(text.contains(&format!("rec:{id}: fail -> warn")), "{text}");
        assert!(
            text.contains("changed fail -> warn  IMPS-1.2-con-KALIVE-S-001 (CSP 1.2)"),
            "{text}"
        );
        assert!(
            !text.contains(fixture::SECRET) && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
