//! What `run` prints for people when it ends. Everything that a peer sent is escaped, so that no
//! control sequence reaches the terminal.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::model::{CaseVerdict, Finding, Report};
use super::words::{counted, item_severity, plural};
use super::{RECONSTRUCTED, SELF_TEST};
use crate::base::escape::{plain, shorten};
use crate::spec::Role;
use crate::verdict::{ClaimGap, Conformance, ItemVerdict};

/// Longest text of a finding, in characters, unless everything was asked for.
const MAX_TEXT: usize = 200;
/// Rows of a list before it is shortened, unless everything was asked for.
const MAX_ROWS: usize = 12;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Only the verdict lines.
    Quiet,
    /// Verdict lines, findings, gaps.
    #[default]
    Normal,
    /// Every case as well, and nothing shortened.
    Verbose,
}

/// The printer.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// Whether to use colour; the caller has looked at the terminal and `NO_COLOR`.
    pub color: bool,
    /// How much to say.
    pub detail: Detail,
    /// The files that were written, to be named at the end.
    pub files: Vec<PathBuf>,
}

impl Terminal {
    /// The text for a finished run, with a final line feed.
    pub fn text(&self, report: &Report) -> String {
        let mut page = Page {
            out: String::new(),
            color: self.color,
            verbose: self.detail == Detail::Verbose,
        };
        if report.is_self_test() {
            page.line(SELF_TEST);
        }
        if self.detail != Detail::Quiet {
            page.head(report);
        }
        page.verdicts(report);
        if self.detail != Detail::Quiet {
            if page.verbose {
                page.cases(report);
            }
            page.findings(report, &self.report_file());
            page.gaps(report);
            page.imported(report);
            page.list("caveats", &report.caveats);
            page.claim_gaps(report);
            page.list("notices", &report.notices);
            self.reports(&mut page);
        }
        if report.is_self_test() {
            page.line(SELF_TEST);
        }
        page.out
    }

    fn report_file(&self) -> String {
        self.files
            .iter()
            .find(|f| f.file_name().is_some_and(|n| n == "report.json"))
            .map_or("OUT/report.json".into(), |f| shell_word(&f.to_string_lossy()))
    }

    fn reports(&self, page: &mut Page) {
        if self.files.is_empty() {
            return;
        }
        page.line("");
        page.line("reports:");
        for file in &self.files {
            page.line(&format!("  {}", plain(&file.to_string_lossy())));
        }
    }
}

struct Page {
    out: String,
    color: bool,
    verbose: bool,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn head(&mut self, report: &Report) {
        let target = &report.target;
        let mut line = format!("target: {}", plain(&target.name));
        if !target.address.is_empty() {
            let _ = write!(line, " at {}", plain(&target.address));
        }
        self.line(&line);
        let words = |all: Vec<&str>| all.join(", ");
        self.line(&format!(
            "roles: {}; CSP {} in {}; claims: {}; seed: {}",
            words(report.roles.iter().map(|r| r.as_str()).collect()),
            words(report.versions.iter().map(|v| v.as_str()).collect()),
            report.encoding.as_str(),
            plain(&report.claims),
            report.seed,
        ));
        if !report.filter.is_empty() {
            self.line(&format!("filter: {}", plain(&report.filter)));
        }
        self.line(RECONSTRUCTED);
        self.line("");
    }

    fn verdicts(&mut self, report: &Report) {
        for role in &report.roles {
            let text = verdict_line(report, *role);
            let color = match report.conformance_of(*role) {
                Conformance::Conformant => GREEN,
                Conformance::NotConformant => RED,
                Conformance::NotDetermined => YELLOW,
            };
            let painted = self.paint(color, &text);
            self.line(&painted);
        }
        if let Some(why) = &report.unreachable {
            let painted = self.paint(RED, &format!("the target could not be reached: {}", plain(why)));
            self.line(&painted);
        }
        if report.interrupted {
            let painted = self.paint(YELLOW, "the run was interrupted before its end");
            self.line(&painted);
        }
    }

    fn cases(&mut self, report: &Report) {
        self.line("");
        self.line("cases:");
        for case in &report.cases {
            let word = self.paint(case_color(case.verdict), &format!("{:<7}", case.verdict));
            let mut line = format!(
                "  {word} {} ({} ms) {}",
                case.id,
                case.duration_ms,
                plain(&case.title)
            );
            if !case.reason.is_empty() {
                let _ = write!(line, ": {}", plain(&case.reason));
            }
            self.line(line.trim_end());
        }
    }

    fn findings(&mut self, report: &Report, file: &str) {
        if report.findings.is_empty() {
            return;
        }
        self.line("");
        self.line("findings, worst first:");
        // One defect shows in many cases: it is one line here, and a line a case in the report.
        let mut folded: Vec<(&Finding, usize)> = Vec::new();
        for finding in &report.findings {
            let same = |f: &Finding| {
                (&f.item, &f.rule, f.verdict) == (&finding.item, &finding.rule, finding.verdict)
            };
            match folded.iter_mut().find(|(f, _)| same(f)) {
                Some((_, cases)) => *cases += 1,
                None => folded.push((finding, 1)),
            }
        }
        let shown = self.rows(folded.len());
        for (finding, cases) in &folded[..shown] {
            self.finding(report, finding, *cases, file);
        }
        self.rest(folded.len() - shown);
    }

    fn finding(&mut self, report: &Report, finding: &Finding, cases: usize, file: &str) {
        let word = self.paint(case_color(finding.verdict.into()), finding.verdict.as_str());
        let times = match (finding.count, cases) {
            (1, 1) => String::new(),
            (n, 1) => format!(" ({n} times)"),
            (_, n) => format!(" (in {n} cases)"),
        };
        let text = self.short(&finding.text);
        self.line(&format!(
            "  {word} {} {}: {text}{times}",
            report.marked(&finding.item),
            plain(&finding.rule),
        ));
        self.line(&format!(
            "    more: imps-scr explain {} --report {file}",
            finding.case
        ));
    }

    /// What keeps a verdict from being told, claimed items only.
    fn gaps(&mut self, report: &Report) {
        let mut gaps: Vec<_> = report
            .items
            .iter()
            .filter(|i| {
                i.claimed
                    && matches!(
                        i.verdict,
                        ItemVerdict::Inconc | ItemVerdict::Untested | ItemVerdict::NotRun
                    )
            })
            .collect();
        if gaps.is_empty() {
            return;
        }
        gaps.sort_by_key(|i| std::cmp::Reverse(item_severity(i.verdict)));
        self.line("");
        self.line(&format!("not told ({}):", plural(gaps.len(), "item")));
        let shown = self.rows(gaps.len());
        for item in &gaps[..shown] {
            let word = self.paint(YELLOW, &format!("{:<8}", item.verdict));
            let reason = self.short(&item.reason);
            self.line(&format!("  {word} {}: {reason}", report.marked(&item.id)));
        }
        self.rest(gaps.len() - shown);
    }

    /// Tables that were brought: the counts, and the rows that are worse than a pass.
    fn imported(&mut self, report: &Report) {
        for table in &report.imported {
            self.line("");
            let unmapped = match table.mandatory_unmapped {
                0 => String::new(),
                n => format!("; {} mapped to no item", plural(n, "mandatory row")),
            };
            self.line(&format!(
                "imported table {}: {}: {}{unmapped}",
                plain(&table.file),
                plural(table.rows.len(), "row"),
                counted(&table.summary)
            ));
            let mut rows: Vec<_> = table
                .rows
                .iter()
                .filter(|r| self.verbose || r.verdict.severity() > ItemVerdict::Pass.severity())
                .collect();
            rows.sort_by_key(|r| std::cmp::Reverse(r.verdict.severity()));
            let shown = self.rows(rows.len());
            for row in &rows[..shown] {
                let reason = self.short(&row.reason);
                self.line(&format!(
                    "  {:<8} {} ({}): {reason}",
                    row.verdict,
                    plain(&row.id),
                    row.status
                ));
            }
            self.rest(rows.len() - shown);
        }
    }

    /// Where the statement of the vendor differs from what was seen.
    fn claim_gaps(&mut self, report: &Report) {
        for gap in ClaimGap::ALL {
            let items: Vec<_> = report.items.iter().filter(|i| i.claim_gap == Some(gap)).collect();
            if items.is_empty() {
                continue;
            }
            self.line("");
            self.line(&format!("{gap}s, {} ({}):", gap.meaning(), items.len()));
            let shown = self.rows(items.len());
            for item in &items[..shown] {
                let reason = match item.verdict {
                    ItemVerdict::Pass => self.short(&item.feature),
                    _ => self.short(&item.reason),
                };
                self.line(&format!(
                    "  {:<4} {}: {reason}",
                    item.verdict,
                    report.marked(&item.id)
                ));
            }
            self.rest(items.len() - shown);
        }
    }

    fn list(&mut self, title: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        self.line("");
        self.line(&format!("{title}:"));
        let shown = self.rows(texts.len());
        for text in &texts[..shown] {
            let text = self.short(text);
            self.line(&format!("  {text}"));
        }
        self.rest(texts.len() - shown);
    }

    fn rows(&self, all: usize) -> usize {
        if self.verbose { all } else { all.min(MAX_ROWS) }
    }

    fn rest(&mut self, left: usize) {
        if left > 0 {
            self.line(&format!("  … and {left} more (--verbose shows all)"));
        }
    }

    fn short(&self, text: &str) -> String {
        let max = if self.verbose { usize::MAX } else { MAX_TEXT };
        shorten(&plain(text), max).into_owned()
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{color}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

fn case_color(verdict: CaseVerdict) -> &'static str {
    match verdict {
        CaseVerdict::Pass => GREEN,
        CaseVerdict::Warn | CaseVerdict::Inconc | CaseVerdict::NotRun => YELLOW,
        CaseVerdict::Fail | CaseVerdict::Error => RED,
    }
}

/// `server: conformant — 40 items: 38 pass, 1 warn, 1 untestable; 120 cases: 120 pass`.
fn verdict_line(report: &Report, role: Role) -> String {
    format!(
        "{role}: {} — {}",
        report.conformance_of(role),
        counts_line(report, role)
    )
}

/// What stands behind the verdict of a role.
pub(super) fn counts_line(report: &Report, role: Role) -> String {
    let counts = report.counts(role);
    let mut line = plural(counts.items.values().sum(), "item");
    if !counts.items.is_empty() {
        let _ = write!(line, ": {}", counted(&counts.items));
    }
    let _ = write!(line, "; {}", plural(counts.cases.values().sum(), "case"));
    if !counts.cases.is_empty() {
        let _ = write!(line, ": {}", counted(&counts.cases));
    }
    if counts.unclaimed > 0 {
        let _ = write!(line, "; {} not claimed", plural(counts.unclaimed, "item"));
    }
    line
}

/// A path that can be pasted into a shell.
fn shell_word(path: &str) -> String {
    let tame = |c: char| c.is_ascii_alphanumeric() || "/._-:\\".contains(c);
    if path.chars().all(tame) {
        path.to_owned()
    } else {
        format!("'{}'", plain(path).replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn print(detail: Detail, embedded: bool) -> String {
        Terminal {
            color: false,
            detail,
            files: vec![
                "reports/runs/1/report.json".into(),
                "reports/runs/1/index.html".into(),
            ],
        }
        .text(fixture::collected(embedded).report())
    }

    #[test]
    fn normal_text() {
        insta::assert_snapshot!(print(Detail::Normal, true));
    }

    #[test]
    fn verbose_text() {
        insta::assert_snapshot!(print(Detail::Verbose, false));
    }

    #[test]
    fn quiet_text() {
        insta::assert_snapshot!(print(Detail::Quiet, true));
    }

    #[test]
    fn control_sequences_are_only_ours() {
        for detail in [Detail::Quiet, Detail::Normal, Detail::Verbose] {
            let text = print(detail, false);
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
            assert!(!text.contains('\u{202e}') && !text.contains("hunter2"));
        }
        let colored = Terminal {
            color: true,
            ..Terminal::default()
        }
        .text(fixture::collected(false).report());
        assert!(colored.contains("\u{1b}[31mserver: not conformant"));
        assert!(!colored.contains("\u{1b}[31mred"));
    }

    #[test]
    fn long_lists_are_shortened_with_a_count() {
        let mut report = fixture::report();
        let one = report.findings[0].clone();
        report.findings = (0..40)
            .map(|n| Finding {
                rule: format!("rule {n}"),
                ..one.clone()
            })
            .collect();
        let text = Terminal::default().text(&report);
        assert!(text.contains("… and 28 more (--verbose shows all)"));
    }
}
