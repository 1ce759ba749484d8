//! Folds the events of a run into a [`Report`], and keeps the exchanges that the page shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SELF_TEST;
use super::model::{
    Case, CaseVerdict, Criterion, FORMAT, Item, Report, Silence, Suite, Summary, Target, TargetKind,
};
use super::shown::{ShownExchange, keeps_secrets};
use crate::base::CaseId;
use crate::base::mask::Masker;
use crate::event::{CaseResult, CriterionResult, Event, ItemResult, RunInfo, RunOutcome, Subscriber};
use crate::message::Encoding;
use crate::spec::Version;
use crate::verdict::{Place, Verdict};

/// Most octets of exchanges that are kept for the page. A browser of a phone still opens a page of
/// this size; the transcript has everything.
pub const MAX_KEPT_EXCHANGE_OCTETS: usize = 4 * 1024 * 1024;

/// The exchanges of one case, as far as they were kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptExchanges {
    /// In order.
    pub exchanges: Vec<ShownExchange>,
    /// How many were left out to stay below [`MAX_KEPT_EXCHANGE_OCTETS`].
    pub left_out: usize,
    octets: usize,
    /// The case passed: nobody is likely to look, so it goes first when room is needed.
    spare: bool,
}

/// Subscriber that becomes the report.
#[derive(Debug)]
pub struct Collector {
    masker: Arc<Masker>,
    report: Report,
    kept: BTreeMap<(CaseId, Version), KeptExchanges>,
    octets: usize,
    limit: usize,
}

impl Collector {
    /// An empty collector; every text that it keeps passes through this masker.
    pub fn new(masker: Arc<Masker>) -> Self {
        let mut report = Report {
            format: FORMAT.to_owned(),
            self_test: None,
            suite: Suite::default(),
            started_at: String::new(),
            duration_ms: 0,
            seed: 0,
            filter: String::new(),
            target: Target {
                kind: TargetKind::Real,
                name: String::new(),
                address: String::new(),
            },
            roles: Vec::new(),
            versions: Vec::new(),
            encoding: Encoding::Xml,
            claims: String::new(),
            conformance: BTreeMap::new(),
            caveats: Vec::new(),
            // True until the last event comes: a stream that breaks off was interrupted.
            interrupted: true,
            unreachable: None,
            summary: Summary::default(),
            items: Vec::new(),
            imported: Vec::new(),
            cases: Vec::new(),
            findings: Vec::new(),
            notices: Vec::new(),
            self_test_end: None,
        };
        report.fold_summary(0);
        Self {
            masker,
            report,
            kept: BTreeMap::new(),
            octets: 0,
            limit: MAX_KEPT_EXCHANGE_OCTETS,
        }
    }

    #[cfg(test)]
    fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The report as far as events came; complete after [`Event::RunFinished`].
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The kept exchanges per case.
    pub fn exchanges(&self) -> &BTreeMap<(CaseId, Version), KeptExchanges> {
        &self.kept
    }

    fn start(&mut self, info: &RunInfo) {
        let mask = |text: &str| self.masker.text(text);
        let self_test = info.embedded.then(|| SELF_TEST.to_owned());
        let report = &mut self.report;
        report.self_test.clone_from(&self_test);
        report.self_test_end = self_test;
        report.suite = Suite {
            version: info.suite_version.clone(),
            tables: info.tables_hash.clone(),
            cases: info.cases_hash.clone(),
        };
        report.started_at.clone_from(&info.started_at);
        report.seed = info.seed;
        report.filter = mask(&info.filter);
        report.target = Target {
            kind: if info.embedded {
                TargetKind::Embedded
            } else {
                TargetKind::Real
            },
            name: mask(&info.target),
            address: mask(&info.address),
        };
        report.roles.clone_from(&info.roles);
        report.versions.clone_from(&info.versions);
        report.encoding = info.encoding;
        report.claims = mask(&info.claims);
        if keeps_secrets(&self.masker) {
            report
                .notices
                .push("secrets are not masked: do not pass these reports on".to_owned());
        }
        report.fold_summary(info.planned);
    }

    fn keep(&mut self, case: &CaseId, version: Version, exchange: ShownExchange) {
        let octets = exchange.octets();
        while self.octets + octets > self.limit {
            let Some(spare) = self
                .kept
                .values_mut()
                .find(|k| k.spare && !k.exchanges.is_empty())
            else {
                break;
            };
            spare.left_out += spare.exchanges.len();
            spare.exchanges.clear();
            self.octets -= spare.octets;
            spare.octets = 0;
        }
        let kept = self.kept.entry((case.clone(), version)).or_default();
        if self.octets + octets > self.limit {
            kept.left_out += 1;
            return;
        }
        kept.octets += octets;
        self.octets += octets;
        kept.exchanges.push(exchange);
    }

    fn case(&mut self, result: &CaseResult) {
        let case = masked_case(&self.masker, result);
        if case.verdict == CaseVerdict::Pass
            && let Some(kept) = self.kept.get_mut(&(case.id.clone(), case.csp))
        {
            kept.spare = true;
        }
        self.report.cases.push(case);
        // So that a report of a run that breaks off still holds what was found.
        self.report.fold_findings();
    }

    fn finish(&mut self, outcome: &RunOutcome) {
        let mask = |text: &str| self.masker.text(text);
        let report = &mut self.report;
        report.items = outcome
            .items
            .iter()
            .map(|item| masked_item(&self.masker, item))
            .collect();
        report.imported = outcome.imported.iter().map(|t| t.masked(&mask)).collect();
        report.conformance.clone_from(&outcome.conformance);
        report.interrupted = outcome.interrupted;
        report.unreachable = outcome.unreachable.as_deref().map(mask);
        report.caveats = outcome.caveats.iter().map(|c| mask(c)).collect();
        report.duration_ms = outcome.duration_ms;
        report.fold_findings();
        report.fold_summary(outcome.not_run);
    }
}

impl Subscriber for Collector {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted(info) => self.start(info),
            Event::CaseStarted { .. } | Event::Judged(_) => {}
            Event::Exchanged {
                case,
                version,
                exchange,
                archived,
            } => {
                let shown = ShownExchange::told_again(exchange, archived.as_deref(), &self.masker);
                self.keep(case, *version, shown);
            }
            Event::CaseFinished(result) => self.case(result),
            Event::Notice(text) => self.report.notices.push(self.masker.text(text)),
            Event::RunFinished(outcome) => self.finish(outcome),
        }
    }
}

fn masked_case(masker: &Masker, result: &CaseResult) -> Case {
    Case {
        id: result.id.clone(),
        title: masker.text(&result.title),
        scr: result.scr.clone(),
        role: result.role,
        csp: result.version,
        encoding: result.encoding,
        verdict: result.verdict.into(),
        reason: masker.text(&result.reason),
        criteria: result
            .criteria
            .iter()
            .map(|c| masked_criterion(masker, c))
            .collect(),
        silence: result
            .silence
            .iter()
            .map(|s| Silence {
                of: masker.text(&s.of),
                proof: masker.text(&s.proof),
                waited_ms: s.waited_ms,
            })
            .collect(),
        duration_ms: result.duration_ms,
    }
}

fn masked_criterion(masker: &Masker, result: &CriterionResult) -> Criterion {
    let text = Some(masker.text(&result.text));
    let (evidence, finding) = if result.verdict > Verdict::Pass {
        (None, text)
    } else {
        (text, None)
    };
    Criterion {
        item: result.item.clone(),
        rule: masker.text(&result.rule),
        verdict: result.verdict,
        evidence,
        finding,
        count: result.count,
        places: result
            .places
            .iter()
            .map(|p| Place {
                path: masker.text(&p.path),
                ..p.clone()
            })
            .collect(),
    }
}

fn masked_item(masker: &Masker, item: &ItemResult) -> Item {
    Item {
        id: item.id.clone(),
        role: item.role,
        status: item.status,
        basis: item.basis,
        reconstructed: item.reconstructed,
        feature: masker.text(&item.feature),
        claimed: item.claimed,
        verdict: item.verdict,
        reason: masker.text(&item.reason),
        cases: item.cases.clone(),
        claim_gap: item.claim_gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_stream_that_breaks_off_is_interrupted() {
        let mut collector = Collector::new(Arc::new(Masker::default()));
        let events = fixture::events();
        for event in &events[..events.len() - 1] {
            collector.on(event);
        }
        assert!(collector.report().interrupted);
        assert!(!collector.report().findings.is_empty());
        assert_eq!(
            collector.report().conformance_of(crate::spec::Role::Server),
            crate::verdict::Conformance::NotDetermined
        );
    }

    #[test]
    fn kept_secrets_are_announced() {
        let mut collector = Collector::new(Arc::new(Masker::new([fixture::SECRET], true)));
        for event in fixture::events() {
            collector.on(&event);
        }
        assert!(collector.report().notices[0].contains("not masked"));
        assert!(
            fixture::report()
                .notices
                .iter()
                .all(|n| !n.contains("not masked"))
        );
    }

    #[test]
    fn passing_cases_make_room_for_failing_ones() {
        let one = ShownExchange::new(&fixture::exchange(1, "<a/>", "<b/>"), &Masker::default()).octets();
        let mut collector = Collector::new(Arc::new(Masker::default())).with_limit(2 * one);
        let (first, second) = (fixture::case_id("first"), fixture::case_id("second"));
        let send = |c: &mut Collector, case: &CaseId| {
            c.on(&Event::Exchanged {
                case: case.clone(),
                version: Version::V12,
                exchange: Arc::new(fixture::exchange(1, "<a/>", "<b/>")),
                archived: None,
            });
        };
        send(&mut collector, &first);
        collector.on(&Event::CaseFinished(Arc::new(fixture::passed(&first))));
        for _ in 0..3 {
            send(&mut collector, &second);
        }
        let kept = collector.exchanges();
        let (first, second) = ((first, Version::V12), (second, Version::V12));
        assert_eq!((kept[&first].exchanges.len(), kept[&first].left_out), (0, 1));
        assert_eq!((kept[&second].exchanges.len(), kept[&second].left_out), (2, 1));
    }
}
