//! `transcript.ndjson`: what happened, a line each, written as it happens. A run that is killed
//! leaves whole lines.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::shown::ShownExchange;
use super::{CaseVerdict, SELF_TEST};
use crate::base::mask::Masker;
use crate::event::{
    CaseResult, CriterionResult, Event, ItemResult, RunOutcome, Silence, Subscriber, TRANSCRIPT_FORMAT, Turn,
};
use crate::verdict::Place;

/// Subscriber that writes the transcript.
#[derive(Debug)]
pub struct Transcript<W> {
    out: W,
    masker: Arc<Masker>,
    embedded: bool,
    /// The first error; after it nothing more is written, so that no line is torn in the middle.
    failed: Option<io::Error>,
}

impl Transcript<File> {
    /// Begins a transcript in a file, which is replaced.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, masker: Arc<Masker>) -> io::Result<Self> {
        Ok(Self::new(File::create(path)?, masker))
    }

    /// Gives the file, with what was written so far, another name, and goes on writing to it: so that
    /// a transcript takes the place of an older one not before it holds at least as much.
    ///
    /// # Errors
    /// A line before could not be written, or the file cannot be renamed.
    pub fn publish(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.sync_all()?;
        std::fs::rename(from, to)
    }
}

impl<W: Write> Transcript<W> {
    /// Writes to anything; no buffer is put in front, each line is one write.
    pub fn new(out: W, masker: Arc<Masker>) -> Self {
        Self {
            out,
            masker,
            embedded: false,
            failed: None,
        }
    }

    /// Ends the transcript.
    ///
    /// # Errors
    /// The first error of any line. A disk that was full does not stop a run, but a transcript with
    /// a gap must not pass for a whole one.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    fn line(&mut self, value: &Value) {
        if self.failed.is_some() {
            return;
        }
        let mut line = value.to_string();
        line.push('\n');
        if let Err(error) = self
            .out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.flush())
        {
            self.failed = Some(error);
        }
    }

    fn value(&mut self, event: &Event) -> Value {
        let mask = |text: &str| self.masker.text(text);
        let mut value = match event {
            Event::RunStarted(info) => {
                let mut value = json!({
                    "event": "run-started",
                    "format": TRANSCRIPT_FORMAT,
                    "suite": {"version": info.suite_version, "tables": info.tables_hash, "cases": info.cases_hash},
                    "started_at": info.started_at,
                    "target": {
                        "kind": if info.embedded { "embedded" } else { "real" },
                        "name": mask(&info.target),
                        "address": mask(&info.address),
                    },
                    "roles": info.roles,
                    "versions": info.versions,
                    "encoding": info.encoding,
                    "seed": info.seed,
                    "filter": mask(&info.filter),
                    "claims": mask(&info.claims),
                    "planned": info.planned,
                    "accounts": info.accounts.iter().map(|(name, user)| (mask(name), mask(user).into()))
                        .collect::<serde_json::Map<String, Value>>(),
                });
                self.embedded = info.embedded;
                self.mark(&mut value);
                return value;
            }
            Event::CaseStarted { case, version, title } => json!({
                "event": "case-started", "case": case, "csp": version, "title": mask(title),
            }),
            Event::Exchanged {
                case,
                version,
                exchange,
                archived,
            } => {
                let mut value = json!({"event": "exchange", "case": case, "csp": version});
                let shown = serde_json::to_value(ShownExchange::told_again(
                    exchange,
                    archived.as_deref(),
                    &self.masker,
                ));
                if let (Some(into), Ok(Value::Object(fields))) = (value.as_object_mut(), shown) {
                    into.extend(fields);
                }
                value
            }
            Event::Judged(_) => Value::Null,
            Event::CaseFinished(result) => self.case_finished(result),
            Event::Notice(text) => json!({"event": "notice", "text": mask(text)}),
            Event::RunFinished(outcome) => self.run_finished(outcome),
        };
        if matches!(event, Event::RunFinished(_)) {
            self.mark(&mut value);
        }
        value
    }

    fn case_finished(&self, result: &CaseResult) -> Value {
        let mask = |text: &str| self.masker.text(text);
        let criteria: Vec<CriterionResult> = result
            .criteria
            .iter()
            .map(|c| CriterionResult {
                rule: mask(&c.rule),
                text: mask(&c.text),
                places: c
                    .places
                    .iter()
                    .map(|p| Place {
                        path: mask(&p.path),
                        ..p.clone()
                    })
                    .collect(),
                ..c.clone()
            })
            .collect();
        let silence: Vec<Silence> = result
            .silence
            .iter()
            .map(|s| Silence {
                of: mask(&s.of),
                proof: mask(&s.proof),
                waited_ms: s.waited_ms,
            })
            .collect();
        let mut value = json!({
            "event": "case-finished",
            "case": result.id,
            "csp": result.version,
            "verdict": CaseVerdict::from(result.verdict),
            "reason": mask(&result.reason),
            "duration_ms": result.duration_ms,
            "title": mask(&result.title),
            "scr": result.scr,
            "role": result.role,
            "encoding": result.encoding,
            "criteria": criteria,
            "silence": silence,
            "declined": result.declined,
        });
        if let (false, Some(fields)) = (result.turns.is_empty(), value.as_object_mut()) {
            let turns: Vec<Turn> = result
                .turns
                .iter()
                .map(|turn| match turn {
                    Turn::LoggedIn | Turn::Asked(_) => turn.clone(),
                    Turn::Silent(why) => Turn::Silent(mask(why)),
                    Turn::Unanswered(why) => Turn::Unanswered(mask(why)),
                })
                .collect();
            fields.insert("turns".to_owned(), json!(turns));
        }
        value
    }

    fn run_finished(&self, outcome: &RunOutcome) -> Value {
        let mask = |text: &str| self.masker.text(text);
        let items: Vec<ItemResult> = outcome
            .items
            .iter()
            .map(|i| ItemResult {
                feature: mask(&i.feature),
                reason: mask(&i.reason),
                ..i.clone()
            })
            .collect();
        let mut value = json!({
            "event": "run-finished",
            "conformance": outcome.conformance,
            "interrupted": outcome.interrupted,
            "unreachable": outcome.unreachable.as_deref().map(mask),
            "not_run": outcome.not_run,
            "duration_ms": outcome.duration_ms,
            "caveats": outcome.caveats.iter().map(|c| mask(c)).collect::<Vec<_>>(),
            "refused": outcome.refused,
            "items": items,
        });
        if let (false, Some(fields)) = (outcome.imported.is_empty(), value.as_object_mut()) {
            let imported: Vec<_> = outcome.imported.iter().map(|t| t.masked(&mask)).collect();
            fields.insert("imported".to_owned(), json!(imported));
        }
        value
    }

    fn mark(&self, value: &mut Value) {
        if let (true, Some(fields)) = (self.embedded, value.as_object_mut()) {
            fields.insert("self_test".to_owned(), SELF_TEST.into());
        }
    }
}

impl<W: Write + Send> Subscriber for Transcript<W> {
    fn on(&mut self, event: &Event) {
        // What was told to onlookers is told in results.
        if !matches!(event, Event::Judged(_)) {
            let value = self.value(event);
            self.line(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn every_line_is_an_object_and_no_secret_stays() {
        let mut out = Vec::new();
        let mut transcript = Transcript::new(&mut out, fixture::masker());
        for event in fixture::events() {
            transcript.on(&event);
        }
        transcript.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), fixture::events().len());
        assert_eq!(lines[0]["format"], TRANSCRIPT_FORMAT);
        assert_eq!(lines[0]["self_test"], SELF_TEST);
        assert_eq!(lines.last().unwrap()["self_test"], SELF_TEST);
        assert!(!text.contains("hunter2") && !text.contains("sid=1"));
        assert!(!text.contains('\u{1b}'), "JSON escapes control characters");
        let exchange = lines.iter().find(|l| l["event"] == "exchange").unwrap();
        assert!(
            exchange["request"]["body"]["text"]
                .as_str()
                .unwrap()
                .contains("<Password>***</Password>")
        );
        assert!(
            lines
                .iter()
                .any(|l| l["failure"] == "no full answer within 20000 ms")
        );
    }

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= 1;
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let mut transcript = Transcript::new(Full(2), fixture::masker());
        for event in fixture::events() {
            transcript.on(&event);
        }
        assert_eq!(
            transcript.finish().unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }
}
