//! Reads `transcript.ndjson` back into what a run was: its head, and per case and version what was on
//! the wire and what it came to. A line at a time, with limits; a last line that is torn is what a
//! killed run leaves, every other broken line is an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use base64::Engine as _;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::base::limits::{MAX_TRANSCRIPT, MAX_TRANSCRIPT_LINE, MAX_TRANSCRIPT_LINES};
use crate::base::mask::MASK;
use crate::base::{CaseId, FileError, ItemId};
use crate::event::{
    CaseResult, CriterionResult, ItemResult, RunInfo, RunOutcome, Silence, TRANSCRIPT_FORMAT,
};
use crate::message::Encoding;
use crate::record::{Archived, Exchange, Failure, HttpMessage, Initiator, Loss};
use crate::spec::{Role, Version};
use crate::verdict::{Conformance, Verdict};

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
            .is_some_and(|r| !r.criteria.is_empty() || !r.declined.is_empty() || !self.exchanges.is_empty())
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

// ---- The lines, as the transcript of `report` writes them ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunStarted {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    #[serde(rename = "format")]
    _format: IgnoredAny,
    suite: Suite,
    started_at: String,
    target: Target,
    roles: Vec<Role>,
    versions: Vec<Version>,
    encoding: Encoding,
    seed: u64,
    filter: String,
    claims: String,
    planned: usize,
    #[serde(default)]
    accounts: BTreeMap<String, String>,
    #[serde(default, rename = "self_test")]
    _self_test: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    version: String,
    tables: String,
    cases: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    kind: Kinds,
    name: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kinds {
    Embedded,
    Real,
}

impl RunStarted {
    fn into_info(self) -> RunInfo {
        RunInfo {
            suite_version: self.suite.version,
            tables_hash: self.suite.tables,
            cases_hash: self.suite.cases,
            started_at: self.started_at,
            embedded: matches!(self.target.kind, Kinds::Embedded),
            target: self.target.name,
            address: self.target.address,
            roles: self.roles,
            versions: self.versions,
            encoding: self.encoding,
            seed: self.seed,
            filter: self.filter,
            claims: self.claims,
            planned: self.planned,
            accounts: self.accounts,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseStarted {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    case: CaseId,
    csp: Version,
    #[serde(rename = "title")]
    _title: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeLine {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    case: CaseId,
    csp: Version,
    number: u32,
    initiator: By,
    started_ms: u64,
    duration_ms: u64,
    request: Message,
    #[serde(default)]
    response: Option<Message>,
    #[serde(default)]
    failure: Option<String>,
    #[serde(default)]
    raw: Option<Body>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Tester,
    Iut,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    start: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    octets: usize,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    base64: Option<String>,
    #[serde(default)]
    withheld: Option<String>,
    #[serde(default)]
    masked: bool,
    #[serde(default)]
    cut: bool,
}

impl ExchangeLine {
    fn into_exchange(self) -> Result<ArchivedExchange, String> {
        let (request, lost_request) = self.request.into_message()?;
        let (response, answer) = match (self.response, self.failure) {
            (Some(response), None) => {
                let (message, loss) = response.into_message()?;
                (Ok(message), loss)
            }
            (None, Some(failure)) => {
                let (raw, loss) = match self.raw {
                    Some(raw) => raw.into_octets()?,
                    None => (Vec::new(), Loss::default()),
                };
                (Err(Failure::parse(&failure, raw)), loss)
            }
            _ => return Err("either `response` or `failure` has to be there".to_owned()),
        };
        Ok(ArchivedExchange {
            exchange: Arc::new(Exchange {
                number: self.number,
                initiator: match self.initiator {
                    By::Tester => Initiator::Tester,
                    By::Iut => Initiator::Iut,
                },
                request,
                response,
                started_ms: self.started_ms,
                duration_ms: self.duration_ms,
            }),
            archived: Arc::new(Archived {
                request: lost_request,
                answer,
            }),
        })
    }
}

impl Message {
    fn into_message(self) -> Result<(HttpMessage, Loss), String> {
        let status = self
            .start
            .strip_prefix("HTTP/")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        let (body, loss) = self.body.into_octets()?;
        let message = HttpMessage {
            start: self.start,
            status,
            headers: self.headers,
            body,
        };
        Ok((message, loss))
    }
}

impl Body {
    fn into_octets(self) -> Result<(Vec<u8>, Loss), String> {
        let octets = match (self.text, self.base64) {
            (Some(_), Some(_)) => return Err("a body has both `text` and `base64`".to_owned()),
            (Some(text), None) => text.into_bytes(),
            (None, Some(coded)) => base64::engine::general_purpose::STANDARD
                .decode(coded)
                .map_err(|e| format!("`base64` of a body cannot be read: {e}"))?,
            (None, None) => Vec::new(),
        };
        let loss = Loss {
            octets: self.octets,
            masked: self.masked,
            cut: self.cut,
            withheld: self.withheld,
        };
        if loss
            == (Loss {
                octets: self.octets,
                ..Loss::default()
            })
            && self.octets != octets.len()
        {
            return Err(format!(
                "a body of {} octets is said to have {}",
                octets.len(),
                self.octets
            ));
        }
        Ok((octets, loss))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFinished {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    case: CaseId,
    csp: Version,
    verdict: CaseVerdict,
    reason: String,
    duration_ms: u64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    scr: Vec<ItemId>,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    encoding: Option<Encoding>,
    #[serde(default)]
    criteria: Vec<CriterionResult>,
    #[serde(default)]
    silence: Vec<Silence>,
    #[serde(default)]
    declined: Vec<ItemId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CaseVerdict {
    Pass,
    Warn,
    Inconc,
    Fail,
    Error,
    NotRun,
}

impl CaseFinished {
    /// Nothing when a version wrote it that knew of neither roles nor criteria here.
    fn into_result(self) -> Option<CaseResult> {
        Some(CaseResult {
            id: self.case,
            title: self.title,
            scr: self.scr,
            role: self.role?,
            version: self.csp,
            encoding: self.encoding?,
            verdict: match self.verdict {
                CaseVerdict::Pass => Verdict::Pass,
                CaseVerdict::Warn => Verdict::Warn,
                CaseVerdict::Inconc => Verdict::Inconc,
                CaseVerdict::Fail => Verdict::Fail,
                CaseVerdict::Error => Verdict::Error,
                CaseVerdict::NotRun => Verdict::None,
            },
            reason: self.reason,
            criteria: self.criteria,
            silence: self.silence,
            declined: self.declined,
            duration_ms: self.duration_ms,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notice {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFinished {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    conformance: BTreeMap<Role, Conformance>,
    interrupted: bool,
    unreachable: Option<String>,
    not_run: usize,
    duration_ms: u64,
    #[serde(default)]
    caveats: Vec<String>,
    #[serde(default)]
    refused: Vec<Version>,
    #[serde(default)]
    items: Vec<ItemResult>,
    #[serde(default, rename = "self_test")]
    _self_test: IgnoredAny,
}

impl RunFinished {
    fn into_outcome(self) -> RunOutcome {
        RunOutcome {
            items: self.items,
            conformance: self.conformance,
            interrupted: self.interrupted,
            unreachable: self.unreachable,
            not_run: self.not_run,
            caveats: self.caveats,
            refused: self.refused,
            duration_ms: self.duration_ms,
        }
    }
}

#[cfg(test)]
mod tests;
