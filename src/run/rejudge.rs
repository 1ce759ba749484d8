//! An archived run judged again by the tables and cases of today: what was on the wire stays, what it
//! comes to is computed anew. No network is touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::base::mask::MASK;
use crate::capture::{Archive, ArchivedCase, ArchivedExchange};
use crate::case::Case;
use crate::event::{CaseResult, CriterionResult, Event, ItemResult, RunInfo, RunOutcome};
use crate::message::Path;
use crate::peer::Credentials;
use crate::record::Loss;
use crate::spec::filter::Filter;
use crate::spec::{Ics, Role, Version};
use crate::transport::Net;
use crate::transport::client::Address;
use crate::verdict::{Part, Place, Verdict};

use super::clock::Clock;
use super::dispatcher::{not_run, statement_caveats};
use super::guest::Guest;
use super::outcome::{self, Inputs};
use super::plan::Plan;
use super::resume::{CUT_SHORT, replay_case};
use super::suite::{Suite, reread};
use super::target::{Pace, ServerTarget};
use super::{Bus, rejudge_clients, rejudge_watch, server_iut};

/// What judging again came to.
#[derive(Debug)]
pub struct Rejudged {
    /// The items as they were then: as the archive says or, when it breaks off before its end, as
    /// today's tables see its results.
    pub old_items: Vec<ItemResult>,
    /// The results of then.
    pub old_cases: Vec<CaseResult>,
    /// The results of now.
    pub cases: Vec<CaseResult>,
    /// The head of the run, as of now.
    pub info: RunInfo,
    /// The outcome of now.
    pub outcome: Arc<RunOutcome>,
}

/// Why an archive cannot be judged again.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// Its filter is none that this version reads.
    #[error("the filter of the archived run cannot be read: {0}")]
    Filter(String),
}

/// Judges an archived run again and tells `bus`, as a run would.
///
/// # Errors
/// The archive cannot be judged again at all; a single case that cannot be is inconclusive, and says why.
pub async fn rejudge(
    suite: &Suite,
    archive: &Archive,
    ics: Option<&(String, Ics)>,
    bus: &mut Bus,
) -> Result<Rejudged, RejudgeError> {
    let filter = match archive.info.filter.as_str() {
        "" => None,
        text => Some(Filter::parse(text).map_err(|e| RejudgeError::Filter(e.to_string()))?),
    };
    let roles = &archive.info.roles;
    if rejudge_watch::is_watch(archive) {
        return Ok(rejudge_watch::judge(suite, archive, ics, bus));
    }
    let mut plan = Plan::new(suite, roles, &archive.info.versions, filter.as_ref());
    if !archive.info.embedded && *roles == [Role::Client] {
        // A person is asked in an order of its own, which reports keep.
        let order: HashMap<_, usize> = archive
            .cases
            .iter()
            .enumerate()
            .map(|(at, c)| ((&c.id, c.version), at))
            .collect();
        plan.units
            .sort_by_key(|u| order.get(&(&u.case.id, u.version)).copied().unwrap_or(usize::MAX));
    }
    let info = begun(suite, archive, ics, plan.units.len(), bus);
    let mut notices = Vec::new();
    let planned: BTreeSet<_> = plan
        .units
        .iter()
        .map(|u| (u.case.id.clone(), u.version))
        .collect();
    let gone: Vec<String> = archive
        .cases
        .iter()
        .filter(|c| !planned.contains(&(c.id.clone(), c.version)))
        .map(|c| format!("{} in CSP {}", c.id, c.version))
        .collect();
    if !gone.is_empty() {
        notices.push(format!(
            "cases of the archive that there are no more: {}",
            gone.join(", ")
        ));
    }
    let clients = rejudge_clients::judge(suite, archive, &plan).await;
    if clients.untold > 0 {
        notices.push(format!(
            "{} cases for clients are taken over as they were judged then: the transcript does not tell what the \
             client was asked for (an older version wrote it, or CIR channels were used)",
            clients.untold
        ));
    }
    let by_ssp = archive.cases.iter().filter(|c| is_by_ssp(c)).count();
    if by_ssp > 0 {
        notices.push(format!(
            "{by_ssp} cases by SSP are taken over as they were judged then: the transcript does not tell what came \
             to which node"
        ));
    }
    for notice in &notices {
        bus.emit(&Event::Notice(notice.clone()));
    }
    let mut cases = Vec::new();
    let mut cut_short = archive
        .outcome
        .as_ref()
        .is_none_or(|o| o.interrupted || o.unreachable.is_some());
    for unit in &plan.units {
        let archived = archive.case(&unit.case.id, unit.version);
        let result = match archived {
            Some(archived) if archived.is_finished() => {
                let key = (unit.case.id.clone(), unit.version);
                match (clients.results.get(&key), &archived.result) {
                    (Some(result), _) => result.clone(),
                    (None, Some(result)) if result.role == Role::Ssp => result.clone(),
                    (None, _) => again(suite, &archive.info, unit.case, archived).await,
                }
            }
            Some(archived) => {
                let reason = match &archived.result {
                    Some(result) => result.reason.as_str(),
                    None => "the archived run ended in this case",
                };
                cut_short |= CUT_SHORT.contains(&reason);
                not_run(unit.case, unit.version, reason)
            }
            None => not_run(
                unit.case,
                unit.version,
                "the archive holds no exchanges of this case",
            ),
        };
        match archived.filter(|a| a.is_finished()) {
            Some(archived) => replay_case(archived, Some(&result), bus),
            None => bus.emit(&Event::CaseFinished(Arc::new(result.clone()))),
        }
        cases.push(result);
    }
    // What was told of the run, and narrows it, holds for every judgement of it.
    for notice in archive.notices.iter().filter(|n| is_caveat(archive, n)) {
        bus.emit(&Event::Notice(notice.clone()));
    }
    let old_cases: Vec<CaseResult> = archive.cases.iter().filter_map(|c| c.result.clone()).collect();
    let old_items = match &archive.outcome {
        Some(outcome) => outcome.items.clone(),
        None => items_of(suite, archive, &old_cases, ics, true).0,
    };
    let filtered = plan.filtered > 0 || cut_short;
    let outcome = Arc::new(conclude(suite, archive, &cases, ics, &plan, filtered, notices));
    bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
    Ok(Rejudged {
        old_items,
        old_cases,
        cases,
        info,
        outcome,
    })
}

/// The head of the run, as of now, told to everybody.
pub(super) fn begun(
    suite: &Suite,
    archive: &Archive,
    ics: Option<&(String, Ics)>,
    planned: usize,
    bus: &mut Bus,
) -> RunInfo {
    let info = RunInfo {
        suite_version: env!("CARGO_PKG_VERSION").to_owned(),
        tables_hash: suite.tables.digest.clone(),
        cases_hash: suite.cases_digest.clone(),
        claims: ics.map_or_else(|| "derived".to_owned(), |(file, _)| file.clone()),
        planned,
        ..archive.info.clone()
    };
    bus.emit(&Event::RunStarted(Arc::new(info.clone())));
    bus.emit(&Event::Notice(format!(
        "judged again from the transcript of the run that began at {}: no peer was asked",
        info.started_at
    )));
    info
}

fn is_by_ssp(archived: &ArchivedCase) -> bool {
    archived.result.as_ref().is_some_and(|r| r.role == Role::Ssp)
}

fn is_caveat(archive: &Archive, notice: &str) -> bool {
    archive
        .outcome
        .as_ref()
        .is_some_and(|o| o.caveats.iter().any(|c| c == notice))
}

pub(super) type Outcomes = (
    Vec<ItemResult>,
    BTreeMap<Role, crate::verdict::Conformance>,
    Vec<String>,
);

pub(super) fn items_of(
    suite: &Suite,
    archive: &Archive,
    cases: &[CaseResult],
    ics: Option<&(String, Ics)>,
    filtered: bool,
) -> Outcomes {
    let refused = archive.outcome.as_ref().map(|o| o.refused.as_slice());
    let versions: Vec<Version> = archive
        .info
        .versions
        .iter()
        .copied()
        .filter(|v| !refused.unwrap_or_default().contains(v))
        .collect();
    let not_run = cases
        .iter()
        .filter(|r| r.verdict == Verdict::None && r.criteria.is_empty() && versions.contains(&r.version))
        .flat_map(|r| r.scr.iter().cloned())
        .collect();
    let declined: BTreeSet<ItemId> = cases.iter().flat_map(|c| c.declined.iter().cloned()).collect();
    outcome::items(&Inputs {
        items: &suite.tables.items,
        roles: &archive.info.roles,
        versions: &versions,
        results: cases,
        not_run,
        filtered,
        ics: ics.map(|(_, i)| i),
        declined: &declined,
        real: !archive.info.embedded,
    })
}

fn conclude(
    suite: &Suite,
    archive: &Archive,
    cases: &[CaseResult],
    ics: Option<&(String, Ics)>,
    plan: &Plan<'_>,
    filtered: bool,
    notices: Vec<String>,
) -> RunOutcome {
    let (items, conformance, mut caveats) = items_of(suite, archive, cases, ics, filtered);
    caveats.extend(notices);
    caveats.extend(archive.notices.iter().filter(|n| is_caveat(archive, n)).cloned());
    if let Some(statement) = ics {
        caveats.extend(statement_caveats(
            suite,
            statement,
            &archive.info.versions,
            &items,
        ));
    }
    if plan.filtered > 0 {
        caveats.push(format!("a filter left out {} of the cases", plan.filtered));
    }
    let old = archive.outcome.as_ref();
    RunOutcome {
        items,
        conformance,
        // A run that did not come to its end has not come to one by being judged again.
        interrupted: old.is_none_or(|o| o.interrupted),
        unreachable: old.and_then(|o| o.unreachable.clone()),
        not_run: cases
            .iter()
            .filter(|r| r.verdict == Verdict::None && r.criteria.is_empty())
            .count(),
        caveats,
        refused: old.map(|o| o.refused.clone()).unwrap_or_default(),
        imported: Vec::new(),
        duration_ms: archive.elapsed_ms(),
    }
}

// ---- One case ----

async fn again(suite: &Suite, info: &RunInfo, case: &Case, archived: &ArchivedCase) -> CaseResult {
    let Some(old) = &archived.result else {
        return not_run(case, archived.version, "the archived run ended in this case");
    };
    if let Some(why) = missing_octets(&archived.exchanges) {
        return taken_over(suite, case, old, Some(&why));
    }
    let target = target_of(info, case, archived);
    let output = server_iut::judge_again(suite, &target, case, archived.version, &archived.exchanges).await;
    let mut result = output.result;
    result.declined = output.declined;
    result.duration_ms = old.duration_ms;
    if archived.exchanges.iter().any(is_masked) {
        take_over_masked(suite, &mut result, old, &archived.exchanges);
    }
    result
}

/// Why these exchanges cannot be judged, when octets of them are missing.
pub(super) fn missing_octets(exchanges: &[ArchivedExchange]) -> Option<String> {
    let partial = exchanges
        .iter()
        .find(|e| e.archived.request.is_partial() || e.archived.answer.is_partial())?;
    Some(format!(
        "taken over: octets of exchange {} are not in the archive",
        partial.exchange.number
    ))
}

/// Whether secrets in it were masked.
pub(super) fn is_masked(kept: &ArchivedExchange) -> bool {
    kept.archived.request.masked || kept.archived.answer.masked
}

/// The old result as a whole: what it was judged by cannot be judged any more.
pub(super) fn taken_over(suite: &Suite, case: &Case, old: &CaseResult, why: Option<&str>) -> CaseResult {
    let criteria: Vec<CriterionResult> = old.criteria.iter().map(|c| noted(suite, c, why)).collect();
    CaseResult {
        title: case.title.clone(),
        scr: case.scr.clone(),
        verdict: worst(&criteria),
        criteria,
        ..old.clone()
    }
}

/// The worst of all.
pub(super) fn worst(criteria: &[CriterionResult]) -> Verdict {
    criteria.iter().map(|c| c.verdict).max().unwrap_or_default()
}

/// An old criterion, no harder than the tables of today allow.
pub(super) fn noted(suite: &Suite, old: &CriterionResult, why: Option<&str>) -> CriterionResult {
    let mut new = old.clone();
    if matches!(old.verdict, Verdict::Warn | Verdict::Fail) {
        let strength = suite.tables.items.get(&old.item).map(|i| i.strength());
        new.verdict = strength.map_or(Verdict::None, |s| s.breach().min(old.verdict));
    }
    if let Some(why) = why.filter(|_| !new.text.contains("taken over: ")) {
        new.text = format!("{} ({why})", new.text);
    }
    new
}

/// What is judged by octets that are masked in the archive cannot be judged again: it stays as it was.
pub(super) fn take_over_masked(
    suite: &Suite,
    result: &mut CaseResult,
    old: &CaseResult,
    exchanges: &[ArchivedExchange],
) {
    let masked =
        |c: &CriterionResult| c.text.contains(MASK) || c.places.iter().any(|p| at_mask(p, exchanges));
    result.criteria.retain(|c| {
        let known = old.criteria.iter().any(|o| o.item == c.item && o.rule == c.rule);
        // What only the mask breaks was no breach of the octets that were there.
        !masked(c) || known || c.verdict <= Verdict::Pass
    });
    for was in &old.criteria {
        let found = result
            .criteria
            .iter_mut()
            .find(|c| c.item == was.item && c.rule == was.rule);
        let depends = masked(was) || found.as_deref().is_some_and(masked);
        let differs = found
            .as_deref()
            .is_none_or(|c| c.verdict != was.verdict || c.text != was.text);
        if !depends || !differs {
            continue;
        }
        let kept = noted(suite, was, Some("taken over: the octets are masked"));
        match found {
            Some(entry) => *entry = kept,
            None => result.criteria.push(kept),
        }
    }
    result.criteria.sort_by(|a, b| {
        b.verdict
            .cmp(&a.verdict)
            .then_with(|| a.item.cmp(&b.item))
            .then_with(|| a.rule.cmp(&b.rule))
    });
    result.verdict = worst(&result.criteria);
}

/// Whether this place is in an element whose content the archive masked.
fn at_mask(place: &Place, exchanges: &[ArchivedExchange]) -> bool {
    let Some(kept) = exchanges
        .iter()
        .find(|e| Some(e.exchange.number) == place.exchange)
    else {
        return false;
    };
    let (loss, body): (&Loss, &[u8]) = match (place.part, &kept.exchange.response) {
        (Some(Part::Request), _) => (&kept.archived.request, &kept.exchange.request.body),
        (Some(Part::Response), Ok(response)) => (&kept.archived.answer, &response.body),
        _ => return false,
    };
    if !loss.masked || place.path.is_empty() {
        return false;
    }
    let Some(message) = reread(body) else { return false };
    Path::parse(&place.path)
        .ok()
        .and_then(|p| p.first(&message.tree))
        .is_some_and(|node| message.tree.text(node).contains(MASK))
}

/// What the archive tells of the server and of how the lower tester spoke to it.
fn target_of(info: &RunInfo, case: &Case, archived: &ArchivedCase) -> ServerTarget {
    ServerTarget {
        address: Address {
            net: Net::Tcp,
            tls: None,
            host: String::new(),
            port: 0,
            path: "/".to_owned(),
        },
        headers: Vec::new(),
        accounts: info
            .accounts
            .iter()
            .map(|(name, user)| {
                let credentials = Credentials {
                    user: user.clone(),
                    // Only what was sent counts, and that is in the archive.
                    password: MASK.to_owned(),
                };
                (name.clone(), credentials)
            })
            .collect(),
        client_id: client_id_of(&archived.exchanges),
        response: Duration::ZERO,
        pace: Pace::new(None),
        run_id: run_id_of(case, archived),
        epoch: Instant::now(),
        clock: Clock::real(Instant::now()),
        // Nobody waits for an archive.
        longest_wait: Duration::from_secs(86_400),
        quiet: Duration::from_secs(2),
        domain: None,
        guest: Guest::at_home(),
        ssp: None,
    }
}

/// What the lower tester's own ClientIDs begin with.
const OWN_CLIENT: &str = "http://imps-scr.invalid/";

/// The ClientID that the profile gave: the first of the requests, unless it is made up per session.
fn client_id_of(exchanges: &[ArchivedExchange]) -> Option<String> {
    let path = Path::parse("ClientID/URL").ok()?;
    let found: Vec<String> = exchanges
        .iter()
        .filter_map(|e| reread(&e.exchange.request.body))
        .filter_map(|m| path.first(&m.tree).map(|id| m.tree.text(id).trim().to_owned()))
        .collect();
    if found.iter().any(|id| id.starts_with(OWN_CLIENT)) {
        return None;
    }
    found.into_iter().find(|id| !id.is_empty())
}

/// The word of the run, which stands before that of the case in everything that it created.
fn run_id_of(case: &Case, archived: &ArchivedCase) -> String {
    let mark = format!(
        "-{:x}#",
        server_iut::short_hash(case.id.as_str(), archived.version)
    );
    archived
        .exchanges
        .iter()
        .find_map(|e| {
            let text = String::from_utf8_lossy(&e.exchange.request.body).into_owned();
            let end = text.find(&mark)?;
            let word: String = text[..end]
                .chars()
                .rev()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            Some(word.chars().rev().collect::<String>())
        })
        .unwrap_or_default()
}
