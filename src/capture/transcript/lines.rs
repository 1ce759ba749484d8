//! The lines of a transcript, as `report` writes them, and what they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ArchivedExchange;
use crate::base::{CaseId, ItemId};
use crate::event::{
    CaseResult, CriterionResult, ImportedResult, ItemResult, RunInfo, RunOutcome, Silence, Turn,
};
use crate::message::Encoding;
use crate::record::{Archived, Exchange, Failure, HttpMessage, Initiator, Loss, Moment};
use crate::spec::{Role, Version};
use crate::verdict::{Conformance, Verdict};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunStarted {
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
    pub(super) fn into_info(self) -> RunInfo {
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
pub(super) struct CaseStarted {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    pub(super) case: CaseId,
    pub(super) csp: Version,
    #[serde(rename = "title")]
    _title: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeLine {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    pub(super) case: CaseId,
    pub(super) csp: Version,
    number: u32,
    initiator: By,
    started_ms: u64,
    duration_ms: u64,
    #[serde(default)]
    moment: Option<Moment>,
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
    pub(super) fn into_exchange(self) -> Result<ArchivedExchange, String> {
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
                moment: self.moment,
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
pub(super) struct CaseFinished {
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
    #[serde(default)]
    turns: Vec<Turn>,
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
    pub(super) fn into_result(self) -> Option<CaseResult> {
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
            turns: self.turns,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notice {
    #[serde(rename = "event")]
    _event: IgnoredAny,
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunFinished {
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
    imported: Vec<ImportedResult>,
    #[serde(default)]
    items: Vec<ItemResult>,
    #[serde(default, rename = "self_test")]
    _self_test: IgnoredAny,
}

impl RunFinished {
    pub(super) fn into_outcome(self) -> RunOutcome {
        RunOutcome {
            items: self.items,
            conformance: self.conformance,
            interrupted: self.interrupted,
            unreachable: self.unreachable,
            not_run: self.not_run,
            caveats: self.caveats,
            refused: self.refused,
            imported: self.imported,
            duration_ms: self.duration_ms,
        }
    }
}
