//! Reads `transcript.ndjson` back into what a run was: its head, and per case and version what was on
//! the wire and what it came to. A line at a time, with limits; a last line that is torn is what a
//! killed run leaves, every other broken line is an error.

mod lines;

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::limits::{MAX_TRANSCRIPT, MAX_TRANSCRIPT_LINE, MAX_TRANSCRIPT_LINES};
use crate::base::mask::MASK;
use crate::base::{CaseId, FileError};
use crate::event::{CaseResult, RunInfo, RunOutcome, TRANSCRIPT_FORMAT};
use crate::record::{Archived, Exchange};
use crate::spec::Version;
use lines::{CaseFinished, CaseStarted, ExchangeLine, Notice, RunFinished, RunStarted};

const FORMAT_NAME: &str = "imps-scr/transcript/";
const FORMAT_MAJOR: u32 = 1;

/// A run as its transcript has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// What was known before the first case.
    pub info: RunInfo,
    /// In the order in which they began.
    pub cases: Vec<ArchivedCase>,
    /// What was told besides.
    pub notices: Vec<String>,
    /// The end of the run; none when it was killed.
    pub outcome: Option<RunOutcome>,
    /// The line that breaks off, when the last one does.
    pub torn: Option<usize>,
}

/// One case in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedCase {
    /// Which.
    pub id: CaseId,
    /// The version spoken.
    pub version: Version,
    /// What was on the wire, in order.
    pub exchanges: Vec<ArchivedExchange>,
    /// What it came to; none when the run ended before it did.
    pub result: Option<CaseResult>,
}

impl ArchivedCase {
    /// Whether it was run to its end: a result that only says why it was not run is none.
    pub fn is_finished(&self) -> bool {
        self.result
            .as_ref()
            // One that was cut short has a reason and nothing else.
            .is_some_and(|r| {
                let whole = !self.exchanges.is_empty() && r.reason.is_empty();
                !r.criteria.is_empty() || !r.declined.is_empty() || whole
            })
    }
}

/// One exchange with what the archive did to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedExchange {
    /// What was on the wire, as far as the archive has it.
    pub exchange: Arc<Exchange>,
    /// What is missing.
    pub archived: Arc<Archived>,
}

impl Archive {
    /// The case in this version.
    pub fn case(&self, id: &CaseId, version: Version) -> Option<&ArchivedCase> {
        self.cases.iter().find(|c| c.id == *id && c.version == version)
    }

    /// Passwords that stand in requests: those of an archive that was written with its secrets.
    pub fn passwords(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for kept in self.cases.iter().flat_map(|c| &c.exchanges) {
            let text = String::from_utf8_lossy(&kept.exchange.request.body);
            let mut rest = text.as_ref();
            while let Some(at) = rest.find("<Password>") {
                rest = &rest[at + "<Password>".len()..];
                let word = rest[..rest.find('<').unwrap_or(rest.len())].trim();
                if !word.is_empty() && word != MASK {
                    found.insert(
                        word.replace("&lt;", "<")
                            .replace("&gt;", ">")
                            .replace("&amp;", "&"),
                    );
                }
            }
        }
        found.into_iter().collect()
    }

    /// When the last thing that is known of happened, in milliseconds since the run began.
    pub fn elapsed_ms(&self) -> u64 {
        let last = self
            .cases
            .iter()
            .flat_map(|c| &c.exchanges)
            .map(|e| e.exchange.started_ms.saturating_add(e.exchange.duration_ms))
            .max();
        let end = self.outcome.as_ref().map(|o| o.duration_ms);
        last.max(end).unwrap_or(0)
    }
}

/// Reads a transcript; `file` is its name in errors.
///
/// # Errors
/// A [`FileError`] with the line for: no line at all, a first line that is no head of a transcript or
/// of a newer major of the format, a whole line that does not fit the format, one longer than
/// [`MAX_TRANSCRIPT_LINE`], more than [`MAX_TRANSCRIPT_LINES`] lines or [`MAX_TRANSCRIPT`] octets, and a file that cannot be read.
pub fn read(file: &str, from: impl BufRead) -> Result<Archive, FileError> {
    let mut lines = Lines {
        file,
        from,
        number: 0,
        octets: 0,
        buffer: Vec::new(),
    };
    let head = match lines.next()? {
        Line::Whole(text) => start(file, &text)?,
        Line::Torn(_) => {
            return Err(FileError::new(
                file,
                1,
                "the first line breaks off: there is no run to go on from",
            )
            .fix("start the run again"));
        }
        Line::End => return Err(no_transcript(file, "the file is empty")),
    };
    let mut reader = Reader {
        file,
        archive: Archive {
            info: head,
            cases: Vec::new(),
            notices: Vec::new(),
            outcome: None,
            torn: None,
        },
        index: HashMap::new(),
    };
    loop {
        match lines.next()? {
            Line::End => return Ok(reader.archive),
            Line::Torn(number) => {
                reader.archive.torn = Some(number);
                return Ok(reader.archive);
            }
            Line::Whole(text) => reader.line(lines.number, &text)?,
        }
    }
}

enum Line {
    Whole(String),
    /// The last one, without its end.
    Torn(usize),
    End,
}

struct Lines<'a, R> {
    file: &'a str,
    from: R,
    number: usize,
    octets: usize,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    fn next(&mut self) -> Result<Line, FileError> {
        self.buffer.clear();
        let limit = u64::try_from(MAX_TRANSCRIPT_LINE).unwrap_or(u64::MAX);
        let read = (&mut self.from)
            .take(limit.saturating_add(1))
            .read_until(b'\n', &mut self.buffer);
        let number = self.number + 1;
        let error = |text: String| FileError::new(self.file, number, text);
        let octets = read.map_err(|e: io::Error| error(format!("failed to read: {e}")))?;
        if octets == 0 {
            return Ok(Line::End);
        }
        if number > MAX_TRANSCRIPT_LINES {
            return Err(
                error(format!("more lines than the limit of {MAX_TRANSCRIPT_LINES}"))
                    .fix("no run writes that many: give the `transcript.ndjson` of a run"),
            );
        }
        self.octets = self.octets.saturating_add(octets);
        if self.octets > MAX_TRANSCRIPT {
            return Err(error(format!("larger than the limit of {MAX_TRANSCRIPT} octets"))
                .fix("no run writes that much: give the `transcript.ndjson` of a run"));
        }
        if octets > MAX_TRANSCRIPT_LINE {
            return Err(error(format!(
                "the line is longer than the limit of {MAX_TRANSCRIPT_LINE} octets"
            ))
            .fix("no run writes such a line: give the `transcript.ndjson` of a run"));
        }
        self.number = number;
        // Each line is one write with its end: without it, it was cut by a kill or a full disk.
        if self.buffer.pop() != Some(b'\n') {
            return Ok(Line::Torn(number));
        }
        match String::from_utf8(std::mem::take(&mut self.buffer)) {
            Ok(text) => Ok(Line::Whole(text)),
            Err(e) => Err(broken(
                self.file,
                number,
                format!("not UTF-8: {}", e.utf8_error()),
            )),
        }
    }
}

fn no_transcript(file: &str, why: &str) -> FileError {
    FileError::new(file, 1, format!("not a transcript: {why}"))
        .fix("give the directory that `imps-scr run` wrote, with its `transcript.ndjson`")
}

fn broken(file: &str, line: usize, problem: String) -> FileError {
    FileError::new(file, line, problem)
        .fix("the file was changed since the run wrote it: take an unchanged copy, or start the run again")
}

fn parse<T: DeserializeOwned>(file: &str, line: usize, text: &str) -> Result<T, FileError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.into_inner();
        let problem = if path == "." {
            inner.to_string()
        } else {
            format!("`{path}`: {inner}")
        };
        broken(file, line, problem)
    })?;
    reader
        .end()
        .map_err(|e| broken(file, line, format!("more than one object in the line: {e}")))?;
    Ok(value)
}

/// What is read of every line first.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    event: String,
    #[serde(default)]
    format: Option<String>,
}

fn start(file: &str, text: &str) -> Result<RunInfo, FileError> {
    let kind: Kind = serde_json::from_str(text)
        .map_err(|_| no_transcript(file, "its first line is no object with `event` and `format`"))?;
    let major = kind
        .format
        .as_deref()
        .and_then(|f| f.strip_prefix(FORMAT_NAME))
        .and_then(|rest| rest.split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(FORMAT_MAJOR) if kind.event == "run-started" => {}
        Some(newer) if newer > FORMAT_MAJOR => {
            return Err(FileError::new(
                file,
                1,
                format!(
                    "written in the newer format {FORMAT_NAME}{newer}; this version reads {TRANSCRIPT_FORMAT}"
                ),
            )
            .fix("read it with the version of imps-scr that wrote it, or a newer one"));
        }
        _ => {
            return Err(no_transcript(
                file,
                &format!("its first line is no `run-started` of the format {TRANSCRIPT_FORMAT}"),
            ));
        }
    }
    parse::<RunStarted>(file, 1, text).map(RunStarted::into_info)
}

struct Reader<'a> {
    file: &'a str,
    archive: Archive,
    index: HashMap<(CaseId, Version), usize>,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, text: &str) -> Result<(), FileError> {
        let kind: Kind = parse_kind(self.file, number, text)?;
        match kind.event.as_str() {
            "case-started" => {
                let line: CaseStarted = parse(self.file, number, text)?;
                // A case that begins again is told again as a whole.
                let case = self.case(line.case, line.csp);
                case.exchanges.clear();
                case.result = None;
            }
            "exchange" => {
                let line: ExchangeLine = parse(self.file, number, text)?;
                let (case, version) = (line.case.clone(), line.csp);
                let exchange = line
                    .into_exchange()
                    .map_err(|problem| broken(self.file, number, problem))?;
                self.case(case, version).exchanges.push(exchange);
            }
            "case-finished" => {
                let line: CaseFinished = parse(self.file, number, text)?;
                let result = line.into_result().ok_or_else(|| {
                    FileError::new(
                        self.file,
                        number,
                        "written by a version of imps-scr that kept no criteria in the transcript",
                    )
                    .fix("run the cases again with this version")
                })?;
                let case = self.case(result.id.clone(), result.version);
                case.result = Some(result);
            }
            "notice" => {
                let line: Notice = parse(self.file, number, text)?;
                self.archive.notices.push(line.text);
            }
            "run-finished" => {
                let line: RunFinished = parse(self.file, number, text)?;
                self.archive.outcome = Some(line.into_outcome());
            }
            "run-started" => {
                return Err(broken(self.file, number, "a second run begins here".to_owned()));
            }
            _ => {
                return Err(broken(
                    self.file,
                    number,
                    "`event` is none that this version of imps-scr knows".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn case(&mut self, id: CaseId, version: Version) -> &mut ArchivedCase {
        let cases = &mut self.archive.cases;
        let at = *self.index.entry((id.clone(), version)).or_insert_with(|| {
            cases.push(ArchivedCase {
                id,
                version,
                exchanges: Vec::new(),
                result: None,
            });
            cases.len() - 1
        });
        &mut cases[at]
    }
}

fn parse_kind(file: &str, number: usize, text: &str) -> Result<Kind, FileError> {
    serde_json::from_str(text)
        .map_err(|e| broken(file, number, format!("not a JSON object with an `event`: {e}")))
}

#[cfg(test)]
mod tests;
