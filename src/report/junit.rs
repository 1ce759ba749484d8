//! JUnit XML for build servers. Cases alone would let a build go green although a mandatory item
//! was never told, so the items that count stand in a suite of their own, where a gap is a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::model::{Case, CaseVerdict, Item, Report};
use super::words::{counted, place};
use super::{RECONSTRUCTED, SELF_TEST};
use crate::base::escape::{plain, shorten, xml10};
use crate::spec::{Role, Version};
use crate::verdict::{ItemVerdict, Verdict};

/// Longest message in an attribute, in characters; the text below it has everything.
const MAX_MESSAGE: usize = 300;

/// The report as JUnit XML.
///
/// # Errors
/// Only if the XML writer fails.
pub fn junit(report: &Report) -> Result<String, SerializeError> {
    let mut junit = Junit::new(if report.is_self_test() {
        format!("imps-scr: {SELF_TEST}")
    } else {
        format!("imps-scr: {}", safe(&report.target.name))
    });
    junit.set_time(Duration::from_millis(report.duration_ms));
    let mut groups: BTreeMap<(Role, Version), Vec<&Case>> = BTreeMap::new();
    for case in &report.cases {
        groups.entry((case.role, case.csp)).or_default().push(case);
    }
    for ((role, version), cases) in groups {
        let mut suite = TestSuite::new(format!("{role} CSP {version}"));
        let spent = cases.iter().map(|c| c.duration_ms).fold(0, u64::saturating_add);
        suite.set_time(Duration::from_millis(spent));
        suite.add_test_cases(cases.into_iter().map(|c| case_of(c, report)));
        junit.add_test_suite(suite);
    }
    junit.add_test_suite(items(report));
    junit.to_string()
}

fn case_of(case: &Case, report: &Report) -> TestCase {
    let status = match case.verdict {
        CaseVerdict::Pass | CaseVerdict::Warn => TestCaseStatus::success(),
        CaseVerdict::Fail => failed(
            NonSuccessKind::Failure,
            "fail",
            &worst(case),
            &findings(case, report),
        ),
        CaseVerdict::Error => failed(
            NonSuccessKind::Error,
            "error",
            &worst(case),
            &findings(case, report),
        ),
        CaseVerdict::Inconc => skipped("inconc", &worst(case)),
        CaseVerdict::NotRun => skipped("not-run", &case.reason),
    };
    let mut test = TestCase::new(case.id.as_str(), status);
    test.set_classname(format!("{}.csp{}", case.role, case.csp.as_str().replace('.', "")));
    test.set_time(Duration::from_millis(case.duration_ms));
    test.set_assertions(case.criteria.len());
    let mut out = xml10(&case.title).into_owned();
    if case.verdict == CaseVerdict::Warn {
        out.push('\n');
        out.push_str(&findings(case, report));
    }
    if !out.is_empty() {
        test.set_system_out(safe(&out));
    }
    test
}

fn items(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("items");
    let cut_short = report.interrupted || report.unreachable.is_some();
    for item in report.items.iter().filter(|i| i.claimed) {
        let mut test = TestCase::new(report.marked(&item.id), item_status(item, cut_short));
        test.set_classname(format!("items.{}", item.role));
        if !item.feature.is_empty() {
            test.set_system_out(safe(&item.feature));
        }
        suite.add_test_case(test);
    }
    let mut lines: Vec<String> = report
        .roles
        .iter()
        .map(|role| {
            let counts = report.counts(*role);
            format!(
                "{role}: {}: {}",
                report.conformance_of(*role),
                counted(&counts.items)
            )
        })
        .collect();
    lines.push(RECONSTRUCTED.to_owned());
    if report.is_self_test() {
        lines.push(SELF_TEST.to_owned());
    }
    suite.set_system_out(safe(&lines.join("\n")));
    suite
}

/// What a filter leaves out is no failure of a build that asked for the filter; what a run did not
/// come to is one.
fn item_status(item: &Item, cut_short: bool) -> TestCaseStatus {
    let gap = |kind: &str| failed(NonSuccessKind::Failure, kind, &item.reason, "");
    match item.verdict {
        ItemVerdict::Pass | ItemVerdict::Warn => TestCaseStatus::success(),
        ItemVerdict::Fail => gap("fail"),
        ItemVerdict::Inconc => gap("inconclusive"),
        ItemVerdict::Untested => gap("untested"),
        ItemVerdict::NotRun if cut_short => gap("not-run"),
        ItemVerdict::NotRun => skipped("not-run", &item.reason),
        ItemVerdict::Error => failed(NonSuccessKind::Error, "error", &item.reason, ""),
        ItemVerdict::Untestable => skipped("untestable", &item.reason),
        ItemVerdict::Na => skipped("na", &item.reason),
    }
}

fn failed(kind: NonSuccessKind, ty: &str, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(ty).set_message(brief(message));
    if !description.is_empty() {
        status.set_description(safe(description));
    }
    status
}

fn skipped(ty: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status
        .set_type(ty)
        .set_message(format!("{ty}: {}", brief(message)));
    status
}

/// The text of the worst criterion, or the reason when nothing was judged.
fn worst(case: &Case) -> String {
    if !case.reason.is_empty() {
        return case.reason.clone();
    }
    case.criteria
        .iter()
        .max_by_key(|c| c.verdict)
        .map(|c| format!("{}: {}", c.rule, c.text()))
        .unwrap_or_default()
}

fn findings(case: &Case, report: &Report) -> String {
    case.criteria
        .iter()
        .filter(|c| c.verdict > Verdict::Pass)
        .map(|c| {
            let at = c.places.first().map(place).filter(|p| !p.is_empty());
            format!(
                "{} [{}] {}: {}{}",
                c.verdict,
                report.marked(&c.item),
                c.rule,
                c.text(),
                at.map(|p| format!(" ({p})")).unwrap_or_default()
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn brief(text: &str) -> String {
    shorten(&plain(text), MAX_MESSAGE).into_owned()
}

/// Build servers print these texts to terminals, so controls go, and bidirectional overrides too.
fn safe(text: &str) -> String {
    xml10(&crate::base::escape::lines(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn junit_as_a_whole() {
        insta::assert_snapshot!(junit(&fixture::report()).unwrap());
    }

    #[test]
    fn it_is_well_formed_whatever_a_peer_sends() {
        let text = junit(fixture::collected(false).report()).unwrap();
        let tree = roxmltree::Document::parse(&text).unwrap();
        assert!(tree.descendants().all(|n| !n.has_tag_name("script")));
    }

    #[test]
    fn a_gap_in_what_is_claimed_is_a_failure() {
        let types = |report: &Report| {
            let text = junit(report).unwrap();
            let tree = roxmltree::Document::parse(&text).unwrap();
            tree.descendants()
                .filter(|n| n.has_tag_name("testsuite") && n.attribute("name") == Some("items"))
                .flat_map(|s| s.descendants())
                .filter(|n| n.has_tag_name("failure"))
                .filter_map(|n| n.attribute("type").map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let mut report = fixture::report();
        assert_eq!(types(&report), ["fail", "inconclusive", "untested"]);
        report.interrupted = true;
        assert_eq!(types(&report), ["fail", "inconclusive", "not-run", "untested"]);
    }
}
