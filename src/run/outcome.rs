//! From cases to items to conformance.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{CaseId, ItemId};
use crate::event::{CaseResult, ItemResult};
use crate::spec::{Expression, Ics, Item, Items, Role, Status, Truth, Version};
use crate::verdict::{ClaimGap, Conformance, ItemVerdict, Verdict};

use super::claims::is_claimed;

/// Everything that an outcome is computed from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The tables.
    pub items: &'a Items,
    /// Roles under test.
    pub roles: &'a [Role],
    /// Versions that the peer spoke.
    pub versions: &'a [Version],
    /// What cases came to.
    pub results: &'a [CaseResult],
    /// Items of cases that were planned and not run.
    pub not_run: BTreeSet<ItemId>,
    /// Whether a filter left cases out.
    pub filtered: bool,
    /// The statement of the vendor.
    pub ics: Option<&'a Ics>,
    /// Items that the peer said it does not have.
    pub declined: &'a BTreeSet<ItemId>,
    /// Whether a product was tested.
    pub real: bool,
}

#[derive(Debug, Default)]
struct Seen {
    verdict: Verdict,
    text: String,
    cases: Vec<CaseId>,
}

/// Per item and per role.
pub fn items(inputs: &Inputs<'_>) -> (Vec<ItemResult>, BTreeMap<Role, Conformance>, Vec<String>) {
    let mut seen: BTreeMap<ItemId, Seen> = BTreeMap::new();
    for case in inputs.results {
        for criterion in &case.criteria {
            if criterion.verdict == Verdict::None {
                continue;
            }
            let entry = seen.entry(criterion.item.clone()).or_default();
            if criterion.verdict > entry.verdict {
                entry.verdict = criterion.verdict;
                entry.text.clone_from(&criterion.text);
            }
            if !entry.cases.contains(&case.id) {
                entry.cases.push(case.id.clone());
            }
        }
    }
    let mut results: Vec<ItemResult> = inputs
        .items
        .iter()
        .filter(|i| inputs.roles.contains(&i.role))
        .map(|item| one(inputs, item, seen.remove(&item.id).unwrap_or_default()))
        .collect();
    derive(inputs.items, &mut results);
    for result in &mut results {
        result.claim_gap = claim_gap(inputs, result);
    }
    let mut caveats = Vec::new();
    let mut conformance = BTreeMap::new();
    for role in inputs.roles {
        let mut verdict = Conformance::of(
            results
                .iter()
                .filter(|i| i.role == *role && i.claimed)
                .map(|i| i.verdict),
        );
        // A statement that the suite wrote down from what it saw states nothing, wherever it comes from.
        let stated = inputs.ics.is_some_and(|ics| !ics.derived);
        if verdict == Conformance::Conformant && inputs.real && !stated {
            verdict = Conformance::NotDetermined;
            caveats.push(format!(
                "{role}: the claims were derived, not stated by the vendor; with an ICS (`--ics`) the verdict could be conformant"
            ));
        }
        conformance.insert(*role, verdict);
    }
    (results, conformance, caveats)
}

fn one(inputs: &Inputs<'_>, item: &Item, seen: Seen) -> ItemResult {
    let mut verdict = ItemVerdict::from(seen.verdict);
    let mut reason = seen.text;
    let in_versions = inputs.versions.iter().any(|v| item.applies_to(*v));
    if let Some(why) = &item.untestable {
        verdict = ItemVerdict::Untestable;
        reason.clone_from(why);
    } else if !in_versions {
        verdict = ItemVerdict::Na;
        reason = "not in the versions under test".to_owned();
    } else if inputs.declined.contains(&item.id) && verdict != ItemVerdict::Fail {
        verdict = ItemVerdict::Na;
        reason = "the peer says that it does not have this".to_owned();
    }
    let claimed = is_claimed(inputs.items, &item.id, inputs.ics, verdict, inputs.declined) && in_versions;
    if verdict == ItemVerdict::Untested {
        if inputs.not_run.contains(&item.id) || inputs.filtered {
            verdict = ItemVerdict::NotRun;
            reason = "no case that judges it was run".to_owned();
        } else if !claimed {
            verdict = ItemVerdict::Na;
            reason = "optional, not claimed, and never seen at work".to_owned();
        } else {
            reason = "nothing was seen that this item could be judged by".to_owned();
        }
    } else if !claimed && verdict == ItemVerdict::Inconc {
        reason = format!("optional and not claimed; {reason}");
    }
    ItemResult {
        id: item.id.clone(),
        role: item.role,
        status: item.status,
        basis: item.basis,
        reconstructed: item.reconstructed,
        feature: item.feature.clone(),
        claimed: claimed || item.status == Status::Mandatory && verdict != ItemVerdict::Na,
        verdict,
        reason,
        cases: seen.cases,
        claim_gap: None,
    }
}

/// How the statement differs from what was seen. What the suite wrote down itself claims nothing.
fn claim_gap(inputs: &Inputs<'_>, result: &ItemResult) -> Option<ClaimGap> {
    let ics = inputs.ics.filter(|i| i.role == result.role && !i.derived)?;
    let claimed = ics.claimed(&result.id) == Some(true);
    let declined = result.verdict == ItemVerdict::Na && inputs.declined.contains(&result.id);
    match result.verdict {
        ItemVerdict::Fail if claimed => Some(ClaimGap::OverClaim),
        ItemVerdict::Na if claimed && declined => Some(ClaimGap::OverClaim),
        ItemVerdict::Pass if !claimed && result.status != Status::NotApplicable => Some(ClaimGap::UnderClaim),
        _ => None,
    }
}

/// Items whose verdict is that of an expression over other items: the release's own rows. A failure
/// is charged to the item that failed, so the row is then no worse than inconclusive.
fn derive(items: &Items, results: &mut [ItemResult]) {
    let verdicts: BTreeMap<ItemId, ItemVerdict> = results.iter().map(|r| (r.id.clone(), r.verdict)).collect();
    for result in results.iter_mut() {
        let Some(item) = items.get(&result.id) else {
            continue;
        };
        if item.reconstructed || item.untestable.is_some() || result.verdict == ItemVerdict::Na {
            continue;
        }
        let Some(requirement) = &item.requirement else {
            continue;
        };
        let (verdict, reason) = evaluate(items, requirement, &verdicts);
        result.verdict = verdict;
        result.reason = reason;
    }
}

fn evaluate(
    items: &Items,
    requirement: &Expression,
    verdicts: &BTreeMap<ItemId, ItemVerdict>,
) -> (ItemVerdict, String) {
    let truth = |item: &Item| -> Option<Truth> {
        match verdicts.get(&item.id) {
            // What does not apply is no part of the group.
            None | Some(ItemVerdict::Na) => None,
            Some(ItemVerdict::Pass | ItemVerdict::Warn | ItemVerdict::Untestable) => Some(Truth::True),
            Some(ItemVerdict::Fail) => Some(Truth::False),
            Some(_) => Some(Truth::Unknown),
        }
    };
    let value = requirement.evaluate(&|reference| items.truth(reference, &truth));
    let verdict = match value {
        Truth::True => ItemVerdict::Pass,
        Truth::False | Truth::Unknown => ItemVerdict::Inconc,
    };
    let word = match value {
        Truth::True => "holds",
        Truth::False => "does not hold, because of items that failed themselves",
        Truth::Unknown => "cannot be told",
    };
    (verdict, format!("our reading `{requirement}` {word}"))
}
