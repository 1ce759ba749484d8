//! How a case ends, whichever side was under test.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::case::Case;
use crate::event::{CaseResult, Silence};
use crate::message::Encoding;
use crate::spec::Status;
use crate::verdict::{Criterion, Place, Verdict};

use super::judge::Judge;

/// Charges the suite itself.
pub fn suite_error(judge: &mut Judge<'_>, case: &Case, text: &str) {
    judge.tally.add(Criterion::new(
        &case.scr[0],
        "suite",
        Verdict::Error,
        format!("the suite's own fault: {text}"),
    ));
}

/// Every item of a case that nothing was charged to is inconclusive, with the reason: a case that
/// ends early must not leave its items looking untouched.
pub fn unreached(judge: &mut Judge<'_>, case: &Case, declined: &[ItemId], reason: &str) {
    for item in &case.scr {
        let row = judge.suite.tables.items.get(item);
        let applies = row.is_none_or(|i| i.applies_to(judge.version));
        // A rule that found nothing to judge in a case that ran to its end: the item stays untouched.
        let idle = reason.is_empty() && row.is_some_and(|i| i.status == Status::Optional);
        // A general rule that a case only mentions is judged by every other case.
        let general = item != &case.scr[0] && item.as_str().starts_with("CSP-ENV-");
        if judge.tally.has(item) || declined.contains(item) || !applies || idle || general {
            continue;
        }
        let text = if reason.is_empty() {
            "not reached: an earlier step failed"
        } else {
            reason
        };
        judge.inconclusive(item, "reached", text.to_owned(), Place::default());
    }
}

/// The result of a case.
pub fn result(
    case: &Case,
    judge: Judge<'_>,
    reason: String,
    silence: Vec<Silence>,
    started: Instant,
) -> CaseResult {
    CaseResult {
        id: case.id.clone(),
        title: case.title.clone(),
        scr: case.scr.clone(),
        role: judge.role,
        version: judge.version,
        encoding: Encoding::Xml,
        verdict: judge.tally.verdict(),
        reason,
        criteria: judge.tally.into_results(),
        silence,
        declined: Vec::new(),
        duration_ms: millis(started.elapsed()),
        turns: Vec::new(),
    }
}

/// Whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
