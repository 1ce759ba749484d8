//! The one stream of events that leaves a run. Progress, transcript and every report subscribe;
//! none reaches back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{CaseId, ItemId};
use crate::message::Encoding;
use crate::record::{Archived, Exchange};
use crate::spec::{Basis, Role, Status, Version};
use crate::verdict::{ClaimGap, Conformance, ItemVerdict, Place, Verdict};

/// Name and major version of the format in which the stream is kept; it stands in the first line.
pub const TRANSCRIPT_FORMAT: &str = "imps-scr/transcript/1";

/// Something that happened in a run, in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// First event of every run.
    RunStarted(Arc<RunInfo>),
    /// A case begins.
    CaseStarted {
        /// Which.
        case: CaseId,
        /// The version spoken.
        version: Version,
        /// What it says of itself.
        title: String,
    },
    /// An exchange was recorded while a case ran.
    Exchanged {
        /// The case.
        case: CaseId,
        /// The version spoken.
        version: Version,
        /// What was on the wire.
        exchange: Arc<Exchange>,
        /// What an archive had done to it before it was told again; nothing when it comes from the wire.
        archived: Option<Arc<Archived>>,
    },
    /// A message that passed between two products was judged. Only for whoever looks on: what it came to
    /// stands in the result of a case, too.
    Judged(Arc<JudgedMessage>),
    /// A case ended.
    CaseFinished(Arc<CaseResult>),
    /// Something a person should know that is no verdict: a breaker that tripped, a limit.
    Notice(String),
    /// Last event of every run, also of an interrupted one.
    RunFinished(Arc<RunOutcome>),
}

/// Receives events. A subscriber may fail only by itself: it cannot stop a run.
pub trait Subscriber: Send {
    /// One event.
    fn on(&mut self, event: &Event);
}

/// What was known before the first case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Version of the suite.
    pub suite_version: String,
    /// Digest of the tables that were used.
    pub tables_hash: String,
    /// Digest of the cases that were used.
    pub cases_hash: String,
    /// RFC 3339 time of the start.
    pub started_at: String,
    /// Whether the embedded reference was tested, not a product.
    pub embedded: bool,
    /// Name of the target.
    pub target: String,
    /// Address of the target or of the listener; empty for the embedded reference.
    pub address: String,
    /// Roles under test.
    pub roles: Vec<Role>,
    /// Versions under test.
    pub versions: Vec<Version>,
    /// Encoding used.
    pub encoding: Encoding,
    /// Seed of everything that is chosen by chance.
    pub seed: u64,
    /// The filter that was given; empty for none.
    pub filter: String,
    /// Where the claims came from: a file, or `derived`.
    pub claims: String,
    /// How many cases are to be run.
    pub planned: usize,
    /// Users of the accounts by the name that cases call them; no passwords.
    pub accounts: BTreeMap<String, String>,
}

/// One judged rule of a case, repetitions folded together.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionResult {
    /// The item.
    pub item: ItemId,
    /// The rule.
    pub rule: String,
    /// The worst verdict seen.
    pub verdict: Verdict,
    /// Evidence or finding of the worst one.
    pub text: String,
    /// How often it was judged with that verdict.
    pub count: usize,
    /// The first places.
    pub places: Vec<Place>,
}

/// A message between two products, and what the rules say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedMessage {
    /// Number of its exchange.
    pub exchange: u32,
    /// Which side sent it.
    pub sender: Role,
    /// What it is: its primitives, or in words.
    pub message: String,
    /// What it was judged by; nothing when it is no affair of CSP.
    pub criteria: Vec<CriterionResult>,
}

/// How a silence was proven.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// What should not come.
    pub of: String,
    /// `fence`, or `fence and window`.
    pub proof: String,
    /// How long was waited, in milliseconds.
    pub waited_ms: u64,
}

/// What the lower tester did in a case for a client besides answering: without it nobody could tell
/// from a transcript what a message followed, and what silence was waited out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// The client was found logged in, and stays so.
    LoggedIn,
    /// The client was asked for these, one after the other.
    Asked(Vec<String>),
    /// Nothing came any more; why what was asked was not done, or empty.
    Silent(String),
    /// The last message did not get the answer that the case wants, for this reason.
    Unanswered(String),
}

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Which.
    pub id: CaseId,
    /// What it says of itself.
    pub title: String,
    /// The items it tests explicitly.
    pub scr: Vec<ItemId>,
    /// Role under test.
    pub role: Role,
    /// Version spoken.
    pub version: Version,
    /// Encoding used.
    pub encoding: Encoding,
    /// The worst of its criteria; `None` when it was not run.
    pub verdict: Verdict,
    /// Why it was not run or could not be told; empty otherwise.
    pub reason: String,
    /// Everything that was judged.
    pub criteria: Vec<CriterionResult>,
    /// Proofs of silence.
    pub silence: Vec<Silence>,
    /// Items that the peer said in this case that it does not have.
    pub declined: Vec<ItemId>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was done to make a client act; empty for servers.
    pub turns: Vec<Turn>,
}

/// What an item came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemResult {
    /// Which.
    pub id: ItemId,
    /// Role.
    pub role: Role,
    /// M, O or NA.
    pub status: Status,
    /// How sure the item is.
    pub basis: Basis,
    /// Whether it is reconstructed, not OMA's own text.
    pub reconstructed: bool,
    /// What it asks, in a line.
    pub feature: String,
    /// Whether it counts for conformance: mandatory, or claimed.
    pub claimed: bool,
    /// The verdict.
    pub verdict: ItemVerdict,
    /// Why, in a line: the worst finding, or the reason of untested, untestable, na, not-run.
    pub reason: String,
    /// The cases that charged something to it.
    pub cases: Vec<CaseId>,
    /// How the statement of the vendor differs from what was seen; none when it does not, or when there
    /// is no statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_gap: Option<ClaimGap>,
}

/// What the rows of a table that was brought came to, over the items that they are mapped to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedResult {
    /// The table file.
    pub file: String,
    /// Name of the file that it was made of.
    pub source: String,
    /// Rows per verdict; only verdicts that occur.
    pub summary: BTreeMap<ItemVerdict, usize>,
    /// Rows of status M, of a role under test, that are mapped to no item.
    pub mandatory_unmapped: usize,
    /// Every row, in the order of the table.
    pub rows: Vec<ImportedRowResult>,
}

/// What a row of such a table came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedRowResult {
    /// Its name, with `oma:` before it.
    pub id: String,
    /// The side that its name says; absent when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// M, O or NA.
    pub status: Status,
    /// What it is about.
    pub function: String,
    /// Document and section.
    pub reference: String,
    /// Its requirement; empty for none.
    pub requirement: String,
    /// Why the requirement is text and no expression; absent when it is one, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement_not_read: Option<String>,
    /// The items that it is mapped to.
    pub maps: Vec<ItemId>,
    /// The worst of their verdicts; `untested` when there are none.
    pub verdict: ItemVerdict,
    /// Why, in a line.
    pub reason: String,
}

impl ImportedResult {
    /// The same with every text of others changed by `mask`.
    #[must_use]
    pub fn masked(&self, mask: &dyn Fn(&str) -> String) -> Self {
        Self {
            file: mask(&self.file),
            source: mask(&self.source),
            rows: self
                .rows
                .iter()
                .map(|row| ImportedRowResult {
                    function: mask(&row.function),
                    reference: mask(&row.reference),
                    requirement: mask(&row.requirement),
                    reason: mask(&row.reason),
                    ..row.clone()
                })
                .collect(),
            ..self.clone()
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// Per item.
    pub items: Vec<ItemResult>,
    /// Per role.
    pub conformance: BTreeMap<Role, Conformance>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Why the target could not be reached, if so.
    pub unreachable: Option<String>,
    /// Cases that were planned and not run.
    pub not_run: usize,
    /// Why a verdict is no better than not determined although nothing failed; empty otherwise.
    pub caveats: Vec<String>,
    /// Versions that the peer refused as a whole: their items do not apply.
    pub refused: Vec<Version>,
    /// What the tables that were brought came to.
    pub imported: Vec<ImportedResult>,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
}
