//! The report as data: what `report.json` holds, and the reader of it. The shapes are a promise to
//! other programs (`reports/README.md`); a field may be added within a major, none changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::severity;
use crate::base::{CaseId, FileError, ItemId};
use crate::event::ImportedResult;
use crate::message::Encoding;
use crate::spec::{Basis, Role, Status, Version};
use crate::verdict::{ClaimGap, Conformance, ItemVerdict, Place, Verdict};

/// Name and major version of the format.
pub const FORMAT: &str = "imps-scr/report/1";

const FORMAT_NAME: &str = "imps-scr/report/";
const FORMAT_MAJOR: u32 = 1;

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Always `imps-scr/report/1`.
    #[schemars(regex(pattern = r"^imps-scr/report/1$"))]
    pub format: String,
    /// Says so when no product was tested; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test: Option<String>,
    /// What tested.
    pub suite: Suite,
    /// RFC 3339 time of the start.
    pub started_at: String,
    /// How long the run took, in milliseconds.
    pub duration_ms: u64,
    /// Seed of everything that was chosen by chance.
    pub seed: u64,
    /// The filter that selected cases; empty for none.
    pub filter: String,
    /// What was tested.
    pub target: Target,
    /// Roles under test.
    pub roles: Vec<Role>,
    /// Versions of CSP under test.
    pub versions: Vec<Version>,
    /// Encoding that was asked for.
    pub encoding: Encoding,
    /// Where the claims came from: a file, or `derived`.
    pub claims: String,
    /// The answer per role, over all mandatory and all claimed items.
    pub conformance: BTreeMap<Role, Conformance>,
    /// Why an answer is no better than it is although nothing failed.
    pub caveats: Vec<String>,
    /// Whether the run ended before its plan: by the user, or without its last event.
    pub interrupted: bool,
    /// Why the target could not be reached, if so.
    pub unreachable: Option<String>,
    /// Counts per verdict.
    pub summary: Summary,
    /// Every item of the roles under test.
    pub items: Vec<Item>,
    /// What the rows of tables that were brought came to (`--imported`); absent without one. No part of the
    /// conformance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported: Vec<ImportedResult>,
    /// Every case that ran or was refused with a reason.
    pub cases: Vec<Case>,
    /// Every criterion worse than pass, worst first.
    pub findings: Vec<Finding>,
    /// What a person should know that is no verdict.
    pub notices: Vec<String>,
    /// The same statement again, so that it also stands last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test_end: Option<String>,
}

/// What tested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of the suite.
    pub version: String,
    /// Digest of the tables.
    pub tables: String,
    /// Digest of the cases.
    pub cases: String,
}

/// What was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The embedded reference, or a product.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
    /// Its address or that of the listener; empty for the embedded reference.
    pub address: String,
}

/// Whether a product was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// The suite's own reference: a self-test.
    Embedded,
    /// A product.
    Real,
}

/// One requirement item and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Which.
    pub id: ItemId,
    /// The role it binds.
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
    /// What it came to.
    pub verdict: ItemVerdict,
    /// Why, in a line.
    pub reason: String,
    /// The cases that charged something to it.
    pub cases: Vec<CaseId>,
    /// How the statement of the vendor differs from what was seen; absent when it does not, or when there
    /// is no statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_gap: Option<ClaimGap>,
}

/// One case and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Which.
    pub id: CaseId,
    /// What it says of itself.
    pub title: String,
    /// The items it tests explicitly.
    pub scr: Vec<ItemId>,
    /// Role under test.
    pub role: Role,
    /// Version spoken.
    pub csp: Version,
    /// Encoding used.
    pub encoding: Encoding,
    /// The worst of its criteria.
    pub verdict: CaseVerdict,
    /// Why it was not run or could not be told; empty otherwise.
    pub reason: String,
    /// Everything that was judged.
    pub criteria: Vec<Criterion>,
    /// Proofs of silence.
    pub silence: Vec<Silence>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// One judged rule, repetitions folded together. Either `evidence` or `finding` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// The item that it is charged to.
    pub item: ItemId,
    /// Short name of the rule.
    pub rule: String,
    /// The worst verdict seen.
    pub verdict: Verdict,
    /// What was seen that carries a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// What was seen that is worse than a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// How often it was judged with that verdict.
    pub count: usize,
    /// The first places.
    pub places: Vec<Place>,
}

impl Criterion {
    /// Evidence or finding, whichever there is.
    pub fn text(&self) -> &str {
        self.finding.as_deref().or(self.evidence.as_deref()).unwrap_or("")
    }
}

/// How a silence was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// What should not come.
    pub of: String,
    /// `fence`, or `fence and window`.
    pub proof: String,
    /// How long was waited, in milliseconds.
    pub waited_ms: u64,
}

/// One criterion worse than pass, taken out of its case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The item that it is charged to.
    pub item: ItemId,
    /// The case in which it was seen.
    pub case: CaseId,
    /// The version that the case spoke.
    pub csp: Version,
    /// Short name of the rule.
    pub rule: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// How often in this case.
    pub count: usize,
    /// The first place, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Counts per verdict; every verdict has a count, if only 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Of items.
    pub items: BTreeMap<ItemVerdict, usize>,
    /// Of cases; `not-run` also counts planned cases that the run never came to.
    pub cases: BTreeMap<CaseVerdict, usize>,
}

/// What a case came to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CaseVerdict {
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
    /// Nothing was judged.
    NotRun,
}

impl CaseVerdict {
    /// All values, in the order of reports.
    pub const ALL: [CaseVerdict; 6] = [
        CaseVerdict::Pass,
        CaseVerdict::Warn,
        CaseVerdict::Inconc,
        CaseVerdict::Fail,
        CaseVerdict::Error,
        CaseVerdict::NotRun,
    ];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CaseVerdict::Pass => "pass",
            CaseVerdict::Warn => "warn",
            CaseVerdict::Inconc => "inconc",
            CaseVerdict::Fail => "fail",
            CaseVerdict::Error => "error",
            CaseVerdict::NotRun => "not-run",
        }
    }
}

impl From<Verdict> for CaseVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::None => CaseVerdict::NotRun,
            Verdict::Pass => CaseVerdict::Pass,
            Verdict::Warn => CaseVerdict::Warn,
            Verdict::Inconc => CaseVerdict::Inconc,
            Verdict::Fail => CaseVerdict::Fail,
            Verdict::Error => CaseVerdict::Error,
        }
    }
}

impl fmt::Display for CaseVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The numbers of a verdict line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleCounts {
    /// Items that count for conformance, per verdict; only verdicts that occur.
    pub items: BTreeMap<ItemVerdict, usize>,
    /// Cases of the role, per verdict; only verdicts that occur.
    pub cases: BTreeMap<CaseVerdict, usize>,
    /// Items that do not count, because nobody claims them.
    pub unclaimed: usize,
}

/// What is read first, to tell a newer format from a broken file.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: Option<String>,
}

impl Report {
    /// Reads a `report.json`.
    ///
    /// # Errors
    /// A [`FileError`] with the line for text that is not JSON, is no report, was written in a newer
    /// major of the format, or does not fit it.
    pub fn read(file: &str, text: &str) -> Result<Report, FileError> {
        let head: Head = serde_json::from_str(text).map_err(|e| json_error(file, "", &e))?;
        check_format(file, head.format.as_deref())?;
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            json_error(file, &path, e.inner())
        })
    }

    /// Whether no product was tested.
    pub fn is_self_test(&self) -> bool {
        self.target.kind == TargetKind::Embedded
    }

    /// The item of this id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.id.as_str() == id)
    }

    /// The first case of this id.
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|c| c.id.as_str() == id)
    }

    /// The answer for a role; one that was never given is not determined.
    pub fn conformance_of(&self, role: Role) -> Conformance {
        self.conformance
            .get(&role)
            .copied()
            .unwrap_or(Conformance::NotDetermined)
    }

    /// The numbers of the verdict line of a role.
    pub fn counts(&self, role: Role) -> RoleCounts {
        let mut counts = RoleCounts::default();
        for item in self.items.iter().filter(|i| i.role == role) {
            if item.claimed {
                *counts.items.entry(item.verdict).or_default() += 1;
            } else {
                counts.unclaimed += 1;
            }
        }
        for case in self.cases.iter().filter(|c| c.role == role) {
            *counts.cases.entry(case.verdict).or_default() += 1;
        }
        counts
    }

    /// An item id as people see it: reconstructed ones carry the mark `rec:`, and so does an id that
    /// this report does not know, since it cannot be OMA's own.
    pub fn marked(&self, id: &ItemId) -> String {
        match self.item(id.as_str()) {
            Some(item) if !item.reconstructed => id.to_string(),
            _ => format!("rec:{id}"),
        }
    }

    /// Takes the findings out of the cases, worst first.
    pub(super) fn fold_findings(&mut self) {
        let mut findings: Vec<Finding> = self
            .cases
            .iter()
            .flat_map(|case| {
                case.criteria
                    .iter()
                    .filter(|c| c.verdict > Verdict::Pass)
                    .map(|c| Finding {
                        item: c.item.clone(),
                        case: case.id.clone(),
                        csp: case.csp,
                        rule: c.rule.clone(),
                        verdict: c.verdict,
                        text: c.text().to_owned(),
                        count: c.count,
                        place: c.places.first().cloned(),
                    })
            })
            .collect();
        // Stable: findings of one item stay in the order in which they were seen.
        findings.sort_by(|a, b| {
            severity(b.verdict)
                .cmp(&severity(a.verdict))
                .then_with(|| a.item.cmp(&b.item))
        });
        self.findings = findings;
    }

    /// Counts verdicts; `not_run` is what the run says it left out, cases of which no event came
    /// included.
    pub(super) fn fold_summary(&mut self, not_run: usize) {
        let mut summary = Summary {
            items: ItemVerdict::ALL.into_iter().map(|v| (v, 0)).collect(),
            cases: CaseVerdict::ALL.into_iter().map(|v| (v, 0)).collect(),
        };
        for item in &self.items {
            *summary.items.entry(item.verdict).or_default() += 1;
        }
        for case in &self.cases {
            *summary.cases.entry(case.verdict).or_default() += 1;
        }
        let left = summary.cases.entry(CaseVerdict::NotRun).or_default();
        *left = (*left).max(not_run);
        self.summary = summary;
    }
}

fn check_format(file: &str, format: Option<&str>) -> Result<(), FileError> {
    let no_report = || {
        FileError::new(file, 0, "not a report: `format` is not `imps-scr/report/1`")
            .fix("give the `report.json` of a run")
    };
    let major = format
        .and_then(|f| f.strip_prefix(FORMAT_NAME))
        .and_then(|rest| rest.split('.').next())
        .ok_or_else(no_report)?;
    match major.parse::<u32>() {
        Ok(FORMAT_MAJOR) => Ok(()),
        Ok(newer) if newer > FORMAT_MAJOR => Err(FileError::new(
            file,
            0,
            format!("written in the newer format imps-scr/report/{newer}; this version reads {FORMAT}"),
        )
        .fix("read it with the version of imps-scr that wrote it, or a newer one")),
        _ => Err(no_report()),
    }
}

fn json_error(file: &str, path: &str, error: &serde_json::Error) -> FileError {
    let mut problem = match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("not JSON: {error}"),
    };
    // The line stands in front of the message already.
    if let Some(at) = problem.rfind(" at line ") {
        problem.truncate(at);
    }
    if !path.is_empty() && path != "." && path != "?" {
        problem = format!("`{path}`: {problem}");
    }
    FileError::new(file, error.line(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, to_json};

    #[test]
    fn a_report_survives_writing_and_reading() {
        let report = fixture::report();
        assert_eq!(Report::read("r", &to_json(&report)).unwrap(), report);
    }

    #[test]
    fn reading_tells_what_is_wrong_and_where() {
        let good = to_json(&fixture::report());
        for (text, line, part) in [
            ("{\n\"format\": \n", 3, "not JSON"),
            ("[]", 0, "not a report"),
            ("{}", 0, "not a report"),
            ("{\"format\": \"imps-scr/transcript/1\"}", 0, "not a report"),
            (
                "{\"format\": \"imps-scr/report/2\", \"new\": 1}",
                0,
                "newer format imps-scr/report/2",
            ),
            ("{\"format\": \"imps-scr/report/1\"}", 1, "missing field"),
            (
                &good.replacen("\"seed\":", "\"sead\":", 1),
                11,
                "unknown field `sead`",
            ),
            (&good.replacen("\"M\"", "\"Q\"", 1), 0, "items[0].status"),
        ] {
            let error = Report::read("r", text).unwrap_err();
            assert!(error.problem.contains(part), "{text:.60}: {error}");
            assert!(line == 0 || error.line == line, "{text:.60}: {error}");
        }
        assert!(Report::read("r", &"[".repeat(100_000)).is_err());
    }

    #[test]
    fn findings_stand_worst_first() {
        let report = fixture::report();
        let order: Vec<_> = report.findings.iter().map(|f| severity(f.verdict)).collect();
        assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
        assert!(!report.findings.is_empty());
    }

    #[test]
    fn only_claimed_items_stand_in_the_verdict_line() {
        let report = fixture::report();
        let counts = report.counts(Role::Server);
        assert_eq!(counts.unclaimed, 1);
        assert_eq!(counts.items.get(&ItemVerdict::Na), None);
    }
}
