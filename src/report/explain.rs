//! The argument of a verdict, from a report file: what was asked, what was seen, where.

use std::fmt::Write as _;

use super::model::{Case, Criterion, Item, Report};
use super::words::place;
use super::{RECONSTRUCTED, SELF_TEST};
use crate::base::escape::plain;
use crate::spec::Role;
use crate::verdict::Verdict;

/// Why an item came to what it did; `None` when the report does not know it. The mark `rec:` before
/// the id is accepted.
pub fn explain_item(report: &Report, id: &str) -> Option<String> {
    let item = report.item(id.strip_prefix("rec:").unwrap_or(id))?;
    let mut out = begin(report);
    let _ = writeln!(out, "{}: {}", report.marked(&item.id), plain(&item.feature));
    let _ = writeln!(
        out,
        "  {} for a {}, {}; {}",
        match item.status {
            crate::spec::Status::Mandatory => "mandatory",
            crate::spec::Status::Optional => "optional",
            crate::spec::Status::NotApplicable => "not applicable",
        },
        item.role,
        if item.claimed {
            "counts for conformance"
        } else {
            "not claimed"
        },
        basis(item),
    );
    if item.reconstructed {
        let _ = writeln!(out, "  {RECONSTRUCTED}");
    }
    if let Some(gap) = item.claim_gap {
        let _ = writeln!(out, "  {gap}: {}", gap.meaning());
    }
    let _ = write!(out, "verdict: {}", item.verdict);
    if !item.reason.is_empty() {
        let _ = write!(out, ", because {}", plain(&item.reason));
    }
    out.push('\n');
    let charged: Vec<(&Case, Vec<&Criterion>)> = report
        .cases
        .iter()
        .map(|case| (case, case.criteria.iter().filter(|c| c.item == item.id).collect()))
        .filter(|(_, criteria): &(_, Vec<_>)| !criteria.is_empty())
        .collect();
    if charged.is_empty() {
        out.push_str("no case charged anything to it\n");
    }
    for (case, mut criteria) in charged {
        let _ = writeln!(
            out,
            "\ncase {} (CSP {}): {}",
            case.id,
            case.csp,
            plain(&case.title)
        );
        criteria.sort_by_key(|c| std::cmp::Reverse(c.verdict));
        for criterion in criteria {
            argue(&mut out, criterion, None);
        }
        silences(&mut out, case);
    }
    Some(end(report, out))
}

/// Why a case came to what it did; `None` when the report does not know it.
pub fn explain_case(report: &Report, id: &str) -> Option<String> {
    // One id may have run in several versions or encodings.
    let cases: Vec<&Case> = report.cases.iter().filter(|c| c.id.as_str() == id).collect();
    if cases.is_empty() {
        return None;
    }
    let mut out = begin(report);
    for (n, case) in cases.into_iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        explain_one(report, case, &mut out);
    }
    Some(end(report, out))
}

fn explain_one(report: &Report, case: &Case, out: &mut String) {
    let _ = writeln!(out, "{}: {}", case.id, plain(&case.title));
    let tested = match case.role {
        Role::Ssp => "a server is tested by SSP, with clients of".to_owned(),
        role => format!("a {role} is tested in"),
    };
    let _ = writeln!(
        out,
        "  {tested} CSP {}, {}; {} ms",
        case.csp,
        case.encoding.as_str(),
        case.duration_ms
    );
    let _ = write!(out, "verdict: {}", case.verdict);
    if !case.reason.is_empty() {
        let _ = write!(out, ", because {}", plain(&case.reason));
    }
    out.push('\n');
    if !case.scr.is_empty() {
        out.push_str("asked:\n");
        for id in &case.scr {
            let what = report.item(id.as_str()).map_or("", |i| i.feature.as_str());
            let _ = writeln!(out, "  {} {}", report.marked(id), plain(what));
        }
    }
    if case.criteria.is_empty() {
        out.push_str("nothing was judged\n");
    } else {
        out.push_str("judged:\n");
    }
    for criterion in &case.criteria {
        argue(out, criterion, Some(&report.marked(&criterion.item)));
    }
    silences(out, case);
}

fn basis(item: &Item) -> String {
    format!("basis `{}`: {}", item.basis, item.basis.meaning())
}

fn argue(out: &mut String, criterion: &Criterion, item: Option<&str>) {
    let _ = write!(out, "  {:<6} ", criterion.verdict);
    if let Some(item) = item {
        let _ = write!(out, "{item} ");
    }
    let _ = write!(out, "{}", plain(&criterion.rule));
    if criterion.count > 1 {
        let _ = write!(out, " ({} times)", criterion.count);
    }
    out.push('\n');
    let kind = if criterion.verdict > Verdict::Pass {
        "finding"
    } else {
        "evidence"
    };
    let _ = writeln!(out, "         {kind}: {}", plain(criterion.text()));
    for at in &criterion.places {
        let text = place(at);
        if !text.is_empty() {
            let _ = writeln!(out, "         at {}", plain(&text));
        }
    }
    if criterion.count > criterion.places.len() && !criterion.places.is_empty() {
        let _ = writeln!(
            out,
            "         and {} more times",
            criterion.count - criterion.places.len()
        );
    }
}

fn silences(out: &mut String, case: &Case) {
    for silence in &case.silence {
        let _ = writeln!(
            out,
            "  silence of {}: proven by {}, waited {} ms",
            plain(&silence.of),
            plain(&silence.proof),
            silence.waited_ms
        );
    }
}

fn begin(report: &Report) -> String {
    if report.is_self_test() {
        format!("{SELF_TEST}\n")
    } else {
        String::new()
    }
}

fn end(report: &Report, mut out: String) -> String {
    if report.is_self_test() {
        out.push_str(SELF_TEST);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn items() {
        let report = fixture::report();
        let mut all = String::new();
        for id in ["rec:CSP-KALIVE-S-001", "CSP-BLENT-S-001", "CSP-SRCH-S-001"] {
            all += &explain_item(&report, id).unwrap();
            all += "----\n";
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn cases() {
        let report = fixture::collected(false).report().clone();
        let mut all = String::new();
        for case in &report.cases {
            all += &explain_case(&report, case.id.as_str()).unwrap();
            all += "----\n";
        }
        assert!(!all.contains('\u{1b}') && !all.contains("hunter2"));
        insta::assert_snapshot!(all);
    }

    #[test]
    fn what_is_unknown_is_none() {
        let report = fixture::report();
        assert_eq!(explain_item(&report, "CSP-X-S-001"), None);
        assert_eq!(explain_case(&report, ""), None);
    }
}
