//! What a run takes over from one that ended before its plan: the cases that came to an end.

use std::sync::Arc;
use std::time::Duration;

use crate::base::mask::Masker;
use crate::base::{CaseId, ItemId};
use crate::capture::{Archive, ArchivedCase, ArchivedExchange};
use crate::event::{CaseResult, Event, RunInfo};
use crate::record::Initiator;
use crate::spec::{Role, Version};

use super::Bus;

/// Why the rest of a run was not run when it was stopped by hand.
pub const INTERRUPTED: &str = "interrupted";
/// Why when nobody was there.
pub const UNREACHABLE: &str = "the peer cannot be reached";
/// Why when nobody was there any more.
pub const DEAD: &str = "the peer is taken for dead";
/// All of these: another attempt may come further.
pub const CUT_SHORT: [&str; 3] = [INTERRUPTED, UNREACHABLE, DEAD];

/// The part of a run that is done.
#[derive(Debug)]
pub struct Prior {
    info: RunInfo,
    cases: Vec<ArchivedCase>,
    torn: bool,
    elapsed: Duration,
}

impl Prior {
    /// Takes over what an archived run came to, for the run that `now` describes. What began and did
    /// not end is left out: it is run again. So is what may have met a peer that was on its way out: a
    /// case in which nothing was answered and, of a run that lost its peer, what it was lost in.
    pub fn new(archive: Archive, now: RunInfo) -> Self {
        let elapsed = Duration::from_millis(archive.elapsed_ms());
        let lost_peer = archive
            .cases
            .iter()
            .filter_map(|c| c.result.as_ref())
            .any(|r| r.reason == DEAD);
        let mut cases: Vec<ArchivedCase> = archive
            .cases
            .into_iter()
            .filter(|c| c.is_finished() && !is_unanswered(c))
            .collect();
        while lost_peer && cases.last().is_some_and(ends_in_silence) {
            cases.pop();
        }
        Self {
            info: RunInfo {
                started_at: archive.info.started_at,
                ..now
            },
            torn: archive.torn.is_some(),
            cases,
            elapsed,
        }
    }

    /// Tells everything again, from the start of the run on, so that every report is whole.
    pub fn replay(&self, bus: &mut Bus) {
        bus.emit(&Event::RunStarted(Arc::new(self.info.clone())));
        for case in &self.cases {
            replay_case(case, case.result.as_ref(), bus);
        }
        let torn = if self.torn {
            "; the last line of its transcript broke off"
        } else {
            ""
        };
        bus.emit(&Event::Notice(format!(
            "resumed: {} of {} cases are taken over from the run that began at {}{torn}",
            self.cases.len(),
            self.info.planned,
            self.info.started_at
        )));
    }

    /// How long the run has taken already.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Whether this case is done.
    pub fn has(&self, id: &CaseId, version: Version) -> bool {
        self.cases.iter().any(|c| c.id == *id && c.version == version)
    }

    /// What the cases came to.
    pub fn results(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter_map(|c| c.result.as_ref())
    }

    /// Items that the peer said it does not have.
    pub fn declined(&self) -> impl Iterator<Item = &ItemId> {
        self.results().flat_map(|r| &r.declined)
    }
}

fn failed(kept: &ArchivedExchange) -> bool {
    kept.exchange.initiator == Initiator::Tester && kept.exchange.response.is_err()
}

fn is_unanswered(case: &ArchivedCase) -> bool {
    !case.exchanges.is_empty() && case.exchanges.iter().all(failed)
}

fn ends_in_silence(case: &ArchivedCase) -> bool {
    case.exchanges.last().is_some_and(failed)
}

/// Tells of one archived case with this result.
pub fn replay_case(case: &ArchivedCase, result: Option<&CaseResult>, bus: &mut Bus) {
    bus.emit(&Event::CaseStarted {
        case: case.id.clone(),
        version: case.version,
        title: result.map(|r| r.title.clone()).unwrap_or_default(),
    });
    for kept in &case.exchanges {
        bus.emit(&Event::Exchanged {
            case: case.id.clone(),
            version: case.version,
            exchange: Arc::clone(&kept.exchange),
            archived: Some(Arc::clone(&kept.archived)),
        });
    }
    if let Some(result) = result {
        bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
    }
}

/// Whether nothing of the plan is left: the run ended by itself, and nothing kept it from a case that
/// another attempt could reach.
pub fn is_whole(archive: &Archive) -> bool {
    let ended = archive
        .outcome
        .as_ref()
        .is_some_and(|o| !o.interrupted && o.unreachable.is_none());
    ended
        && !archive
            .cases
            .iter()
            .filter(|c| !c.is_finished())
            .filter_map(|c| c.result.as_ref())
            .any(|r| CUT_SHORT.contains(&r.reason.as_str()))
}

/// In what a run differs from the archived one that it is to continue: name, value then, value now.
/// The archive holds masked texts, so those of now are masked before they are compared.
pub fn differences(then: &RunInfo, now: &RunInfo, masker: &Masker) -> Vec<(&'static str, String, String)> {
    let kind = |info: &RunInfo| if info.embedded { "embedded" } else { "real" }.to_owned();
    let list = |values: Vec<String>| values.join(", ");
    let roles = |info: &RunInfo| list(info.roles.iter().map(ToString::to_string).collect());
    let versions = |info: &RunInfo| list(info.versions.iter().map(ToString::to_string).collect());
    let filter = |text: &str| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            masker.text(text)
        }
    };
    [
        (
            "version of the suite",
            then.suite_version.clone(),
            now.suite_version.clone(),
        ),
        (
            "digest of the tables",
            then.tables_hash.clone(),
            now.tables_hash.clone(),
        ),
        (
            "digest of the cases",
            then.cases_hash.clone(),
            now.cases_hash.clone(),
        ),
        ("kind of target", kind(then), kind(now)),
        ("target", then.target.clone(), masker.text(&now.target)),
        ("address", then.address.clone(), masker.text(&now.address)),
        ("roles", roles(then), roles(now)),
        ("versions of CSP", versions(then), versions(now)),
        ("filter", filter(&then.filter), filter(&now.filter)),
        ("seed", then.seed.to_string(), now.seed.to_string()),
    ]
    .into_iter()
    // An archive may have been written with secrets, and then holds what is masked now.
    .filter(|(_, a, b)| a != b && masker.text(a) != *b)
    // A client is told anew where it is waited for.
    .filter(|(what, ..)| *what != "address" || now.roles != [Role::Client])
    .collect()
}
