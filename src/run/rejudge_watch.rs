//! A client that was watched, judged again: everything that it sent stands in the archive, in order, and
//! is held against the rules and cases of today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{CaseId, ItemId};
use crate::capture::{Archive, ArchivedExchange};
use crate::event::{CaseResult, Event, ItemResult, RunOutcome};
use crate::spec::{Ics, Role, Version};

use super::Bus;
use super::both_sides;
use super::dispatcher::statement_caveats;
use super::harvest;
use super::outcome::{self, Inputs};
use super::proxy;
use super::rejudge::{Outcomes, Rejudged, begun, missing_octets, noted, worst};
use super::rejudge_clients::{missing_exchange, settled};
use super::suite::Suite;

/// Whether in this run nobody was made to act: a client was only watched, or the suite stood between it and
/// its server.
pub(super) fn is_watch(archive: &Archive) -> bool {
    let carried = archive.cases.iter().any(|c| c.id.as_str() == harvest::CASE);
    let waited = archive.notices.iter().any(|n| has_waited(n));
    !archive.info.embedded && archive.info.roles.contains(&Role::Client) && (carried || waited)
}

fn has_waited(notice: &str) -> bool {
    [harvest::WAITING, proxy::WAITING]
        .iter()
        .any(|w| notice.starts_with(w))
}

/// Whether the suite stood between both sides.
fn has_both_sides(archive: &Archive) -> bool {
    archive.info.roles.contains(&Role::Server)
}

/// Judges it again and tells `bus`.
pub(super) fn judge(
    suite: &Suite,
    archive: &Archive,
    ics: Option<&(String, Ics)>,
    bus: &mut Bus,
) -> Rejudged {
    let info = begun(suite, archive, ics, archive.info.planned, bus);
    let waited = archive.notices.iter().filter(|n| has_waited(n));
    for notice in waited {
        bus.emit(&Event::Notice(notice.clone()));
    }
    // Those of one version stand in one case; together and in order they are what came.
    let mut all: Vec<(Version, &ArchivedExchange)> = archive
        .cases
        .iter()
        .filter(|c| c.id.as_str() == harvest::CASE)
        .flat_map(|c| c.exchanges.iter().map(|e| (c.version, e)))
        .collect();
    all.sort_by_key(|(_, e)| e.exchange.number);
    let exchanges: Vec<ArchivedExchange> = all.iter().map(|(_, e)| (*e).clone()).collect();
    if let Ok(case) = CaseId::parse(harvest::CASE) {
        for (version, kept) in &all {
            tell(bus, &case, *version, kept);
        }
    }
    let old_cases: Vec<CaseResult> = archive.cases.iter().filter_map(|c| c.result.clone()).collect();
    let missing = missing_octets(&exchanges).or_else(|| missing_exchange(&exchanges, &old_cases));
    let results = match missing {
        // One message that is missing may have opened or ended any session.
        Some(why) => old_cases.iter().map(|old| kept(suite, old, &why)).collect(),
        None => again(suite, archive, &exchanges, &old_cases),
    };
    for result in &results {
        if result.id.as_str() != harvest::CASE {
            let spoken_of: BTreeSet<u32> = result
                .criteria
                .iter()
                .flat_map(|c| &c.places)
                .filter_map(|p| p.exchange)
                .collect();
            for kept in exchanges
                .iter()
                .filter(|e| spoken_of.contains(&e.exchange.number))
            {
                tell(bus, &result.id, result.version, kept);
            }
        }
        bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
    }
    let old_items: Vec<ItemResult> = match &archive.outcome {
        Some(outcome) => outcome.items.clone(),
        None => items(suite, archive, &old_cases, ics).0,
    };
    let old = archive.outcome.as_ref();
    let (items, conformance, more) = items(suite, archive, &results, ics);
    let mut caveats = match has_both_sides(archive) {
        true => proxy::caveats(&results),
        false => harvest::caveats(&results),
    };
    // What was told of what passed by, and narrows it, holds for every judgement of it.
    let told = old.into_iter().flat_map(|o| &o.caveats);
    caveats.extend(told.filter(|c| proxy::is_of_passing(c)).cloned());
    caveats.extend(more);
    if let Some(statement) = ics {
        let seen = harvest::versions_seen(&results);
        caveats.extend(statement_caveats(suite, statement, &seen, &items));
    }
    let outcome = Arc::new(RunOutcome {
        items,
        conformance,
        // However a watch ended, that is how it ends once something was seen.
        interrupted: old.is_none_or(|o| o.interrupted) && results.is_empty(),
        unreachable: old.and_then(|o| o.unreachable.clone()),
        not_run: 0,
        caveats,
        refused: Vec::new(),
        imported: Vec::new(),
        duration_ms: archive.elapsed_ms(),
    });
    bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
    Rejudged {
        old_items,
        old_cases,
        cases: results,
        info,
        outcome,
    }
}

fn tell(bus: &mut Bus, case: &CaseId, version: Version, kept: &ArchivedExchange) {
    bus.emit(&Event::Exchanged {
        case: case.clone(),
        version,
        exchange: Arc::clone(&kept.exchange),
        archived: Some(Arc::clone(&kept.archived)),
    });
}

fn again(
    suite: &Suite,
    archive: &Archive,
    exchanges: &[ArchivedExchange],
    old_cases: &[CaseResult],
) -> Vec<CaseResult> {
    let then: BTreeMap<(&CaseId, Version), &CaseResult> =
        old_cases.iter().map(|r| ((&r.id, r.version), r)).collect();
    let results = match has_both_sides(archive) {
        true => both_sides::judge_again(suite, exchanges, &archive.info.versions),
        false => harvest::judge_again(suite, exchanges, &archive.info.versions).results,
    };
    results
        .into_iter()
        .map(|result| {
            // Of a watch that was killed no result is known.
            let nothing = CaseResult {
                criteria: Vec::new(),
                ..result.clone()
            };
            let old = then.get(&(&result.id, result.version)).copied();
            settled(suite, result, old.unwrap_or(&nothing), exchanges)
        })
        .collect()
}

fn kept(suite: &Suite, old: &CaseResult, why: &str) -> CaseResult {
    let criteria: Vec<_> = old.criteria.iter().map(|c| noted(suite, c, Some(why))).collect();
    CaseResult {
        verdict: worst(&criteria),
        criteria,
        ..old.clone()
    }
}

fn items(suite: &Suite, archive: &Archive, results: &[CaseResult], ics: Option<&(String, Ics)>) -> Outcomes {
    let seen = harvest::versions_seen(results);
    let none: BTreeSet<ItemId> = BTreeSet::new();
    outcome::items(&Inputs {
        items: &suite.tables.items,
        roles: &archive.info.roles,
        versions: if seen.is_empty() {
            &archive.info.versions
        } else {
            &seen
        },
        results,
        not_run: BTreeSet::new(),
        filtered: false,
        ics: ics.map(|(_, i)| i),
        declined: &none,
        real: true,
    })
}
