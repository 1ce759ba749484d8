//! The smallest set of answers that makes a statement hold: every mandatory item claimed, the
//! requirement of every claimed item true. Searched, not guessed: a claim that is added has a
//! requirement of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};

use crate::base::ItemId;
use crate::base::limits::MAX_REPAIR_STEPS;
use crate::spec::expr::Expression;
use crate::spec::items::{Item, Items};
use crate::spec::types::Status;

use super::Ics;
use super::review::Meaning;

/// What would make a statement hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// It holds as it is.
    NotNeeded,
    /// These changes, and no smaller set of changes.
    Changes(Vec<Change>),
    /// No answers do: the tables ask of this item what cannot be.
    Impossible(ItemId),
    /// More states than [`MAX_REPAIR_STEPS`] would have to be looked at.
    TooMany,
}

/// An answer that is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The item.
    pub item: ItemId,
    /// The answer now.
    pub from: Option<bool>,
    /// The answer that it needs.
    pub to: bool,
    /// Why, in words.
    pub because: String,
}

/// What a change costs: their number decides; then a claim that is made is preferred to one that is
/// withdrawn, because a vendor asks what is missing before giving up what is there; then what stands
/// first in a requirement, at 1 for each place.
const ONE: u64 = 1_000_000_000_000;
const WITHDRAWN: u64 = 100_000_000;
const REFUSED: u64 = 10_000;

/// A requirement with NOT only at items and groups written out.
#[derive(Debug)]
enum Need {
    /// The answer of an item.
    Answer(usize, bool),
    All(Vec<Need>),
    Any(Vec<Need>),
    /// What nobody can tell here is taken to hold: no answer would help.
    Granted,
}

struct Question<'a> {
    item: &'a Item,
    need: Option<Need>,
    answer: Option<bool>,
}

/// Answers on the way to a repair: each with the item whose demand led to it.
#[derive(Debug, Clone, Default)]
struct State {
    changes: BTreeMap<usize, (bool, usize)>,
    cost: u64,
}

impl Ics {
    /// The smallest set of changed answers that repairs every contradiction and every requirement that
    /// hangs on a missing answer. What is unanswered and asked for by nothing stays so.
    pub fn repair(&self, items: &Items) -> Repair {
        self.repair_within(items, MAX_REPAIR_STEPS)
    }

    fn repair_within(&self, items: &Items, limit: usize) -> Repair {
        let asked: Vec<&Item> = self.questions(items).collect();
        let index: BTreeMap<&ItemId, usize> = asked.iter().enumerate().map(|(n, i)| (&i.id, n)).collect();
        let questions: Vec<Question<'_>> = asked
            .iter()
            .map(|item| Question {
                item,
                need: item
                    .requirement
                    .as_ref()
                    .and_then(|r| self.need(items, &index, r, false)),
                answer: self.claimed(&item.id),
            })
            .collect();
        Search { questions, limit }.run()
    }

    fn need(
        &self,
        items: &Items,
        index: &BTreeMap<&ItemId, usize>,
        expression: &Expression,
        negated: bool,
    ) -> Option<Need> {
        let join = |all: bool, parts: Vec<Need>| match (parts.is_empty(), all != negated) {
            (true, _) => None,
            (false, true) => Some(Need::All(parts)),
            (false, false) => Some(Need::Any(parts)),
        };
        let each = |parts: &[Expression]| {
            parts
                .iter()
                .filter_map(|p| self.need(items, index, p, negated))
                .collect()
        };
        let answer = |item: &Item| index.get(&item.id).map(|n| Need::Answer(*n, !negated));
        match expression {
            Expression::Not(inner) => self.need(items, index, inner, !negated),
            Expression::And(parts) => join(true, each(parts)),
            Expression::Or(parts) => join(false, each(parts)),
            Expression::Reference(reference) => match self.meaning(items, reference) {
                Meaning::Item(item) => answer(item),
                Meaning::Group(all) => join(true, all.into_iter().filter_map(answer).collect()),
                Meaning::LeftOut(_) => None,
                Meaning::Untold(_) => Some(Need::Granted),
            },
        }
    }
}

struct Search<'a> {
    questions: Vec<Question<'a>>,
    limit: usize,
}

impl Search<'_> {
    /// Best first: the cost so far and the least that is still to come. States of one cost are taken
    /// the newest first, so that independent mistakes are not combined in every order.
    fn run(&self) -> Repair {
        let mut first = State::default();
        for (n, question) in self.questions.iter().enumerate() {
            if self.is_mandatory(n) && question.answer != Some(true) {
                first.changes.insert(n, (true, n));
                first.cost += ONE;
            }
        }
        let mut stuck = None;
        let mut last = None;
        let mut seen: HashSet<Vec<(usize, bool)>> = HashSet::new();
        let mut states: Vec<State> = Vec::new();
        let mut open: BinaryHeap<(Reverse<u64>, usize)> = BinaryHeap::new();
        let mut push = |state: State, open: &mut BinaryHeap<_>, states: &mut Vec<State>| {
            let key: Vec<(usize, bool)> = state.changes.iter().map(|(n, (to, _))| (*n, *to)).collect();
            if !seen.insert(key) {
                return;
            }
            match self.least(&state) {
                Ok(least) => {
                    open.push((Reverse(state.cost + least), states.len()));
                    states.push(state);
                }
                Err(at) => {
                    stuck.get_or_insert(at);
                }
            }
        };
        push(first, &mut open, &mut states);
        let mut steps = 0_usize;
        while let Some((_, at)) = open.pop() {
            let state = std::mem::take(&mut states[at]);
            let Some(broken) = self.broken(&state).next() else {
                return self.told(&state);
            };
            last = Some(broken);
            steps += 1;
            if steps > self.limit {
                return Repair::TooMany;
            }
            let mut choices: Vec<(usize, bool)> = Vec::new();
            if let Some(need) = &self.questions[broken].need {
                self.choices(&state, need, &mut choices);
            }
            if !self.is_mandatory(broken) {
                choices.push((broken, false));
            }
            // The likeliest last: the newest of one cost is taken first.
            for (rank, (n, to)) in (0_u64..).zip(choices).collect::<Vec<_>>().into_iter().rev() {
                if state.changes.contains_key(&n) {
                    continue;
                }
                let mut next = state.clone();
                next.cost += self.cost(n, to) + rank;
                next.changes.insert(n, (to, broken));
                push(next, &mut open, &mut states);
            }
        }
        match stuck.or(last) {
            Some(at) => Repair::Impossible(self.questions[at].item.id.clone()),
            None => Repair::NotNeeded,
        }
    }

    fn is_mandatory(&self, n: usize) -> bool {
        self.questions[n].item.status == Status::Mandatory
    }

    fn cost(&self, n: usize, to: bool) -> u64 {
        match (self.questions[n].answer, to) {
            (_, true) => ONE,
            (Some(true), false) => ONE + WITHDRAWN,
            (_, false) => ONE + REFUSED,
        }
    }

    fn answer(&self, state: &State, n: usize) -> Option<bool> {
        state
            .changes
            .get(&n)
            .map_or(self.questions[n].answer, |(to, _)| Some(*to))
    }

    fn holds(&self, state: &State, need: &Need) -> bool {
        match need {
            Need::Answer(n, wanted) => self.answer(state, *n) == Some(*wanted),
            Need::All(parts) => parts.iter().all(|p| self.holds(state, p)),
            Need::Any(parts) => parts.iter().any(|p| self.holds(state, p)),
            Need::Granted => true,
        }
    }

    /// The claimed items whose requirement does not hold.
    fn broken<'b>(&'b self, state: &'b State) -> impl Iterator<Item = usize> + 'b {
        (0..self.questions.len()).filter(|n| {
            self.answer(state, *n) == Some(true)
                && self.questions[*n]
                    .need
                    .as_ref()
                    .is_some_and(|need| !self.holds(state, need))
        })
    }

    /// Answers of which a solution that keeps the changes of this state has at least one.
    fn choices(&self, state: &State, need: &Need, out: &mut Vec<(usize, bool)>) {
        if self.holds(state, need) {
            return;
        }
        match need {
            Need::Answer(n, wanted) => {
                let able = *wanted || !self.is_mandatory(*n);
                if able && !out.contains(&(*n, *wanted)) {
                    out.push((*n, *wanted));
                }
            }
            Need::All(parts) => {
                // Whichever is broken has to be mended; the first will do as the next step.
                if let Some(part) = parts.iter().find(|p| !self.holds(state, p)) {
                    self.choices(state, part, out);
                }
            }
            Need::Any(parts) => parts.iter().for_each(|p| self.choices(state, p, out)),
            Need::Granted => {}
        }
    }

    /// What an answer costs; nothing when it cannot change any more.
    fn price(&self, state: &State, n: usize, to: bool) -> Option<u64> {
        let fixed = state.changes.contains_key(&n) || self.is_mandatory(n) && !to;
        (!fixed).then(|| self.cost(n, to))
    }

    /// The least that a requirement costs by itself.
    fn price_of(&self, state: &State, need: &Need) -> Option<u64> {
        if self.holds(state, need) {
            return Some(0);
        }
        match need {
            Need::Answer(n, wanted) => self.price(state, *n, *wanted),
            // One answer may serve several parts, so no more than the dearest is sure.
            Need::All(parts) => parts
                .iter()
                .map(|p| self.price_of(state, p))
                .try_fold(0, |most, price| price.map(|p| most.max(p))),
            Need::Any(parts) => parts.iter().filter_map(|p| self.price_of(state, p)).min(),
            Need::Granted => Some(0),
        }
    }

    /// The least that is still to pay: broken items that share no open answer are mended one by one.
    /// The item when one cannot be mended at all.
    fn least(&self, state: &State) -> Result<u64, usize> {
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut least = 0;
        for n in self.broken(state) {
            let mut open = BTreeSet::from([n]);
            let mut price = self.price(state, n, false);
            if let Some(need) = &self.questions[n].need {
                answers(need, &mut open);
                price = [price, self.price_of(state, need)].into_iter().flatten().min();
            }
            let price = price.ok_or(n)?;
            open.retain(|v| {
                let fixed = state.changes.contains_key(v)
                    || self.is_mandatory(*v) && self.answer(state, *v) == Some(true);
                !fixed
            });
            if used.is_disjoint(&open) {
                least += price;
                used.extend(open);
            }
        }
        Ok(least)
    }

    fn told(&self, state: &State) -> Repair {
        if state.changes.is_empty() {
            return Repair::NotNeeded;
        }
        let changes = state
            .changes
            .iter()
            .map(|(n, (to, cause))| Change {
                item: self.questions[*n].item.id.clone(),
                from: self.questions[*n].answer,
                to: *to,
                because: if n != cause {
                    let verb = if *to { "asks for it" } else { "rules it out" };
                    format!("the requirement of {} {verb}", self.questions[*cause].item.id)
                } else if *to {
                    "it is mandatory".to_owned()
                } else {
                    "withdrawn: what it requires is not claimed".to_owned()
                },
            })
            .collect();
        Repair::Changes(changes)
    }
}

fn answers(need: &Need, out: &mut BTreeSet<usize>) {
    match need {
        Need::Answer(n, _) => {
            out.insert(*n);
        }
        Need::All(parts) | Need::Any(parts) => parts.iter().for_each(|p| answers(p, out)),
        Need::Granted => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::FileSet;
    use crate::spec::ReviewKind;
    use crate::spec::types::{Role, Version};

    /// Items 001 to 00n of a server with these statuses and requirements.
    fn items(rows: &[(bool, String)]) -> Items {
        let mut text = "format: imps-scr/items/1\nprotocol: CSP\nitems:\n".to_owned();
        for (n, (mandatory, requirement)) in rows.iter().enumerate() {
            text += &format!(
                "  - {{id: CSP-X-S-{:03}, role: server, feature: f, text: t, status: {}, reference: r, basis: spec, source: s{}}}\n",
                n + 1,
                if *mandatory { "M" } else { "O" },
                if requirement.is_empty() {
                    String::new()
                } else {
                    format!(", requirement: \"{requirement}\"")
                }
            );
        }
        Items::load(&FileSet::new(vec![("t/items/x.yaml".to_owned(), text)])).unwrap()
    }

    fn statement(items: &Items, answers: &[Option<bool>]) -> Ics {
        let mut ics = Ics::new("x", Role::Server, &[Version::V12], false);
        for (item, answer) in items.iter().zip(answers) {
            if let Some(answer) = answer {
                ics.set(&item.id, *answer);
            }
        }
        ics
    }

    fn stands(ics: &Ics, items: &Items) -> bool {
        ics.review(items, Role::Server).iter().all(|f| {
            matches!(f.kind, ReviewKind::RequirementUntold)
                || f.kind == ReviewKind::Unanswered && items.get(&f.item).unwrap().status != Status::Mandatory
        })
    }

    /// The least number of changes by trying all.
    fn by_trying(items: &Items, now: &[Option<bool>]) -> Option<usize> {
        let n = u32::try_from(now.len()).unwrap();
        (0..3_usize.pow(n))
            .filter_map(|mut code| {
                let then: Vec<Option<bool>> = now
                    .iter()
                    .map(|old| {
                        let digit = code % 3;
                        code /= 3;
                        match digit {
                            0 => *old,
                            1 => Some(true),
                            _ => Some(false),
                        }
                    })
                    .collect();
                let changed = now.iter().zip(&then).filter(|(a, b)| a != b).count();
                stands(&statement(items, &then), items).then_some(changed)
            })
            .min()
    }

    fn requirement() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => (1..6_usize).prop_map(|n| format!("CSP-X-S-{n:03}")),
            1 => Just("SSP:MSF".to_owned()),
            1 => Just("CSP:MSF".to_owned()),
        ];
        let tree = leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|e| format!("NOT ({e})")),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|p| format!("({})", p.join(" AND "))),
                prop::collection::vec(inner, 2..4).prop_map(|p| format!("({})", p.join(" OR "))),
            ]
        });
        prop_oneof![2 => Just(String::new()), 3 => tree]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn a_repair_repairs_and_none_is_smaller(
            rows in prop::collection::vec((prop::bool::weighted(0.2), requirement()), 5),
            answers in prop::collection::vec(any::<Option<bool>>(), 5),
        ) {
            let items = items(&rows);
            let mut ics = statement(&items, &answers);
            let least = by_trying(&items, &answers);
            match ics.repair(&items) {
                Repair::NotNeeded => prop_assert_eq!(least, Some(0)),
                Repair::Changes(changes) => {
                    prop_assert_eq!(least, Some(changes.len()));
                    for change in &changes {
                        prop_assert_eq!(ics.claimed(&change.item), change.from);
                        ics.set(&change.item, change.to);
                    }
                    prop_assert!(stands(&ics, &items));
                }
                Repair::Impossible(_) => prop_assert_eq!(least, None),
                Repair::TooMany => prop_assert!(false, "too many for five items"),
            }
        }
    }

    fn told(repair: &Repair) -> Vec<String> {
        match repair {
            Repair::Changes(changes) => changes
                .iter()
                .map(|c| format!("{} {:?} -> {}: {}", c.item, c.from, c.to, c.because))
                .collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn a_claim_that_is_made_is_preferred_to_one_that_is_withdrawn() {
        let row = |r: &str| (false, r.to_owned());
        let items = items(&[
            row("CSP-X-S-002"),
            row(""),
            row("CSP-X-S-004 AND CSP-X-S-005"),
            row(""),
            row(""),
        ]);
        let ics = statement(&items, &[Some(true), Some(false), Some(true), None, None]);
        insta::assert_snapshot!(told(&ics.repair(&items)).join("\n"), @r"
        CSP-X-S-002 Some(false) -> true: the requirement of CSP-X-S-001 asks for it
        CSP-X-S-003 Some(true) -> false: withdrawn: what it requires is not claimed
        ");
    }

    #[test]
    fn many_independent_mistakes_are_no_search() {
        let mut rows = Vec::new();
        for n in 0..60 {
            rows.push((
                false,
                format!("CSP-X-S-{:03} OR CSP-X-S-{:03}", 3 * n + 2, 3 * n + 3),
            ));
            rows.push((false, String::new()));
            rows.push((false, String::new()));
        }
        let items = items(&rows);
        let answers: Vec<Option<bool>> = (0..180).map(|n| Some(n % 3 == 0)).collect();
        assert_eq!(told(&statement(&items, &answers).repair(&items)).len(), 60);
    }

    #[test]
    fn the_search_ends_at_its_limit() {
        // Each of twelve claims needs three of nine others, in a way that no two share a choice.
        let mut rows = Vec::new();
        for n in 0..12 {
            let names: Vec<String> = (0..9)
                .map(|k| {
                    format!(
                        "(CSP-X-S-{:03} AND CSP-X-S-{:03} AND CSP-X-S-{:03})",
                        13 + (k + n) % 30,
                        13 + (k * 7 + n * 3) % 30,
                        13 + (k * 11 + n * 5) % 30
                    )
                })
                .collect();
            rows.push((true, names.join(" OR ")));
        }
        rows.extend((0..30).map(|_| (false, String::new())));
        let items = items(&rows);
        let answers: Vec<Option<bool>> = (0..42).map(|n| Some(n < 12)).collect();
        let ics = statement(&items, &answers);
        assert_eq!(ics.repair_within(&items, 20), Repair::TooMany);
    }
}
