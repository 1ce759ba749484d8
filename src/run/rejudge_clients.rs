//! What clients did, judged again: each case with its archive in place of the client. A real client was
//! met in one conversation over all cases, so they are taken in the order in which they were run.

use std::collections::BTreeMap;

use crate::base::CaseId;
use crate::capture::{Archive, ArchivedCase, ArchivedExchange};
use crate::case::Case;
use crate::event::{CaseResult, RunInfo, Turn};
use crate::peer::Credentials;
use crate::spec::{Role, Version};
use crate::verdict::Verdict;

use super::client_iut::{judge_again, judge_of, readable};
use super::intake;
use super::meeting::Past;
use super::plan::Plan;
use super::real_client::NOBODY;
use super::reference::reference_accounts;
use super::rejudge::{is_masked, missing_octets, noted, take_over_masked, taken_over, worst};
use super::suite::Suite;
use super::wire::filled;

/// What judging the clients of an archive again came to.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// The results of the cases that came to their end.
    pub(super) results: BTreeMap<(CaseId, Version), CaseResult>,
    /// How many of them are those of then, because the archive does not tell what the client was asked for.
    pub(super) untold: usize,
}

/// Judges every client case of the plan that came to its end.
pub(super) async fn judge(suite: &Suite, archive: &Archive, plan: &Plan<'_>) -> Clients {
    let planned: BTreeMap<(&CaseId, Version), &Case> = plan
        .units
        .iter()
        .filter(|u| u.case.object == Role::Client)
        .map(|u| ((&u.case.id, u.version), u.case))
        .collect();
    let mut clients = Clients::default();
    if planned.is_empty() {
        return clients;
    }
    let embedded = archive.info.embedded;
    let mut past = Past::new(&archive.info.address);
    for archived in &archive.cases {
        let case = planned.get(&(&archived.id, archived.version));
        if embedded {
            past = Past::new("");
        }
        let old = archived.result.as_ref().filter(|_| archived.is_finished());
        let (Some(case), Some(old)) = (case, old) else {
            follow(suite, &mut past, archived);
            continue;
        };
        let missing = missing_octets(&archived.exchanges);
        let result = if let Some(why) = missing.or_else(|| missing_exchange(&archived.exchanges, [old])) {
            follow(suite, &mut past, archived);
            taken_over(suite, case, old, Some(&why))
        } else {
            let credentials = credentials(&archive.info, &old.turns);
            let again = judge_again(suite, &mut past, &credentials, case, archived, embedded).await;
            if let Some(output) = again {
                settled(suite, output.result, old, &archived.exchanges)
            } else {
                clients.untold += 1;
                follow(suite, &mut past, archived);
                taken_over(suite, case, old, None)
            }
        };
        clients
            .results
            .insert((archived.id.clone(), archived.version), result);
    }
    clients
}

/// Why these exchanges cannot be judged, when one that there was is missing: a client that was not heard
/// is no silent one.
pub(super) fn missing_exchange<'a>(
    exchanges: &[ArchivedExchange],
    old: impl IntoIterator<Item = &'a CaseResult>,
) -> Option<String> {
    let numbers = exchanges.iter().map(|e| e.exchange.number);
    let gap = (1..).zip(numbers).find(|(wanted, found)| wanted != found);
    let last = exchanges.last().map_or(0, |e| e.exchange.number);
    let spoken_of = old
        .into_iter()
        .flat_map(|r| &r.criteria)
        .flat_map(|c| &c.places)
        .filter_map(|p| p.exchange)
        .find(|n| *n > last);
    let missing = gap.map(|(wanted, _)| wanted).or(spoken_of)?;
    Some(format!("taken over: exchange {missing} is not in the archive"))
}

/// Follows the conversations of a case that is not judged: what comes later may belong to them.
fn follow(suite: &Suite, past: &mut Past, archived: &ArchivedCase) {
    let mut nobody = judge_of(suite, archived.version);
    for kept in &archived.exchanges {
        past.met = true;
        let mut request = kept.exchange.request.clone();
        request.body = filled(kept);
        let came = kept
            .exchange
            .moment
            .map_or(kept.exchange.started_ms, |m| m.came_ms);
        let number = kept.exchange.number;
        let found = intake::judge_message(&mut nobody, &mut past.conversations, &request, number, came);
        let answered = kept.exchange.response.as_ref().ok();
        let answered = answered.and_then(|r| readable(&r.body));
        if let (Some(tree), Some(key)) = (&found.tree, &found.key) {
            let syntax = &suite.tables.syntax;
            past.conversations.answered(syntax, key, tree, answered.as_ref());
        }
    }
}

/// Who logged in, as far as the archive tells: passwords stand in none.
fn credentials(info: &RunInfo, turns: &[Turn]) -> Credentials {
    let driven = matches!(turns.first(), Some(Turn::Asked(orders)) if orders.as_slice() == ["reset"]);
    let given = info.accounts.get("A").or(info.accounts.values().next());
    // Without a profile a driver is told the accounts of the reference.
    let of_reference = info.embedded || driven && given.is_none();
    let reference = reference_accounts().into_iter().next().filter(|_| of_reference);
    match reference {
        Some((_, credentials)) => credentials,
        None => Credentials {
            user: given.map_or_else(|| NOBODY.to_owned(), Clone::clone),
            password: String::new(),
        },
    }
}

/// A new result with what of the old one stays: what hangs on octets or words that the archive does not
/// hold, and how long was waited.
pub(super) fn settled(
    suite: &Suite,
    mut result: CaseResult,
    old: &CaseResult,
    exchanges: &[ArchivedExchange],
) -> CaseResult {
    result.duration_ms = old.duration_ms;
    // A case that does not apply stays so, whatever its messages broke on the way.
    let inapplicable =
        (result.verdict == Verdict::None && !result.criteria.is_empty()).then_some(Verdict::None);
    for silence in &mut result.silence {
        let then = old
            .silence
            .iter()
            .find(|s| s.of == silence.of && s.proof == silence.proof);
        silence.waited_ms = then.map_or(0, |s| s.waited_ms);
    }
    if exchanges.iter().any(is_masked) {
        take_over_masked(suite, &mut result, old, exchanges);
    }
    take_over_digests(suite, &mut result, old);
    result.verdict = inapplicable.unwrap_or(result.verdict);
    result
}

/// How the rule of a digest ends.
const DIGEST: &str = " is the right digest";

/// Without the password no digest can be told to be right: what was known then stays.
fn take_over_digests(suite: &Suite, result: &mut CaseResult, old: &CaseResult) {
    for was in old.criteria.iter().filter(|c| c.rule.ends_with(DIGEST)) {
        let found = result
            .criteria
            .iter_mut()
            .find(|c| c.item == was.item && c.rule == was.rule);
        let kept = noted(suite, was, Some("taken over: the password is not in the archive"));
        match found {
            Some(c) if c.verdict == Verdict::Inconc && was.verdict != Verdict::Inconc => *c = kept,
            Some(_) => {}
            None => result.criteria.push(kept),
        }
    }
    result.verdict = worst(&result.criteria);
}
