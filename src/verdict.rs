//! The order of verdicts and the smallest judged thing, the criterion.

use std::fmt;

use crate::base::ItemId;
use crate::message::Position;

/// What a criterion, a case or an item came to. The order is the order of severity: a verdict only
/// ever worsens.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was judged yet.
    #[default]
    None,
    /// Positive evidence, and no breach.
    Pass,
    /// A breach that may not fail anybody, because the rule is not sure enough.
    Warn,
    /// It could not be told.
    Inconc,
    /// A breach of a rule that is sure.
    Fail,
    /// The suite's own fault.
    Error,
}

impl Verdict {
    /// The worse of two.
    #[must_use]
    pub fn and(self, other: Verdict) -> Verdict {
        self.max(other)
    }

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Inconc => "inconc",
            Verdict::Fail => "fail",
            Verdict::Error => "error",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much a breach of a rule may cost. Computed from the basis of the rule, never chosen.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// A breach is mentioned and changes nothing.
    Note,
    /// A breach is a warning.
    Should,
    /// A breach is a failure.
    Must,
}

impl Strength {
    /// The verdict of a breach.
    pub fn breach(self) -> Verdict {
        match self {
            Strength::Must => Verdict::Fail,
            Strength::Should => Verdict::Warn,
            Strength::Note => Verdict::None,
        }
    }

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Strength::Must => "must",
            Strength::Should => "should",
            Strength::Note => "note",
        }
    }
}

/// Where something was seen.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Place {
    /// The exchange of the transcript, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<u32>,
    /// The message within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Path of the element.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Line and column in the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// Which half of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The HTTP request.
    Request,
    /// The HTTP response.
    Response,
}

/// The smallest judged thing: exactly one item, the rule, the place, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// The item that it is charged to.
    pub item: ItemId,
    /// Short name of the rule, stable across runs: `content-model`, `step 3: Login-Response`.
    pub rule: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen: evidence for a pass, the finding otherwise.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl Criterion {
    /// A criterion without a place yet.
    pub fn new(item: &ItemId, rule: impl Into<String>, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            item: item.clone(),
            rule: rule.into(),
            verdict,
            text: text.into(),
            place: Place::default(),
        }
    }

    /// The same criterion at a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// What a report says of an item: a verdict, or why there is none.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ItemVerdict {
    /// Evidence, and no breach.
    Pass,
    /// A breach of a rule that may not fail anybody.
    Warn,
    /// It could not be told.
    Inconc,
    /// A breach.
    Fail,
    /// The suite's own fault.
    Error,
    /// No criterion was charged to it.
    Untested,
    /// It cannot be tested from the wire; the table says why.
    Untestable,
    /// Not claimed, or not applicable.
    Na,
    /// Its cases were left out by a filter or an interruption.
    NotRun,
}

impl ItemVerdict {
    /// All values, in the order of reports.
    pub const ALL: [ItemVerdict; 9] = [
        ItemVerdict::Pass,
        ItemVerdict::Warn,
        ItemVerdict::Inconc,
        ItemVerdict::Fail,
        ItemVerdict::Error,
        ItemVerdict::Untested,
        ItemVerdict::Untestable,
        ItemVerdict::Na,
        ItemVerdict::NotRun,
    ];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemVerdict::Pass => "pass",
            ItemVerdict::Warn => "warn",
            ItemVerdict::Inconc => "inconc",
            ItemVerdict::Fail => "fail",
            ItemVerdict::Error => "error",
            ItemVerdict::Untested => "untested",
            ItemVerdict::Untestable => "untestable",
            ItemVerdict::Na => "na",
            ItemVerdict::NotRun => "not-run",
        }
    }
}

impl ItemVerdict {
    /// How bad it is, from what says nothing to the suite's own fault: a gap in what is asked for is worse
    /// than a warning, and better than what was tried and could not be told.
    pub fn severity(self) -> u8 {
        match self {
            ItemVerdict::Na => 0,
            ItemVerdict::Untestable => 1,
            ItemVerdict::Pass => 2,
            ItemVerdict::Warn => 3,
            ItemVerdict::NotRun => 4,
            ItemVerdict::Untested => 5,
            ItemVerdict::Inconc => 6,
            ItemVerdict::Fail => 7,
            ItemVerdict::Error => 8,
        }
    }
}

impl From<Verdict> for ItemVerdict {
    fn from(v: Verdict) -> Self {
        match v {
            Verdict::None => ItemVerdict::Untested,
            Verdict::Pass => ItemVerdict::Pass,
            Verdict::Warn => ItemVerdict::Warn,
            Verdict::Inconc => ItemVerdict::Inconc,
            Verdict::Fail => ItemVerdict::Fail,
            Verdict::Error => ItemVerdict::Error,
        }
    }
}

impl fmt::Display for ItemVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a vendor's statement and what was seen of an item differ.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimGap {
    /// Claimed, and it failed, or the product itself said that it does not have it.
    OverClaim,
    /// Answered `no` or left out, and it was seen at work.
    UnderClaim,
}

impl ClaimGap {
    /// Both.
    pub const ALL: [ClaimGap; 2] = [ClaimGap::OverClaim, ClaimGap::UnderClaim];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ClaimGap::OverClaim => "over-claim",
            ClaimGap::UnderClaim => "under-claim",
        }
    }

    /// What it means, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            ClaimGap::OverClaim => "claimed by the statement, and failed or declined",
            ClaimGap::UnderClaim => "not claimed by the statement, and seen at work",
        }
    }
}

impl fmt::Display for ClaimGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer to the question a certificate asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Conformance {
    /// Every mandatory and claimed item of the role passed, warned, or is untestable.
    Conformant,
    /// At least one of them failed.
    NotConformant,
    /// None failed, but not all could be told.
    NotDetermined,
}

impl Conformance {
    /// The words used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Conformance::Conformant => "conformant",
            Conformance::NotConformant => "not conformant",
            Conformance::NotDetermined => "not determined",
        }
    }

    /// Over the verdicts of all mandatory and all claimed items of a role; never over a selection.
    pub fn of(items: impl IntoIterator<Item = ItemVerdict>) -> Self {
        let mut result = Conformance::Conformant;
        let mut any = false;
        for item in items {
            any = true;
            match item {
                ItemVerdict::Fail => return Conformance::NotConformant,
                ItemVerdict::Inconc | ItemVerdict::Error | ItemVerdict::Untested | ItemVerdict::NotRun => {
                    result = Conformance::NotDetermined;
                }
                ItemVerdict::Pass | ItemVerdict::Warn | ItemVerdict::Untestable | ItemVerdict::Na => {}
            }
        }
        if any { result } else { Conformance::NotDetermined }
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![
            Verdict::None,
            Verdict::Pass,
            Verdict::Warn,
            Verdict::Inconc,
            Verdict::Fail,
            Verdict::Error,
        ])
    }

    proptest! {
        #[test]
        fn verdicts_form_a_semilattice(a in any_verdict(), b in any_verdict(), c in any_verdict()) {
            prop_assert_eq!(a.and(b), b.and(a));
            prop_assert_eq!(a.and(b).and(c), a.and(b.and(c)));
            prop_assert_eq!(a.and(a), a);
            prop_assert_eq!(Verdict::None.and(a), a);
            prop_assert!(a.and(b) >= a, "a verdict never improves");
        }
    }

    #[test]
    fn one_failure_decides_and_one_gap_blocks() {
        use ItemVerdict::*;
        assert_eq!(
            Conformance::of([Pass, Warn, Untestable, Na]),
            Conformance::Conformant
        );
        assert_eq!(Conformance::of([Pass, Untested]), Conformance::NotDetermined);
        assert_eq!(Conformance::of([NotRun, Fail]), Conformance::NotConformant);
        assert_eq!(Conformance::of([]), Conformance::NotDetermined);
    }
}
