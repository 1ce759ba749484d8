//! Cases as written. One flat struct a step, turned into [`Step`] with a message that says what is
//! missing or too much.

use serde::Deserialize;

use crate::base::ItemId;
use crate::codec::deviation::Edit;
use crate::message::Path;
use crate::spec::Command;
use crate::spec::{Role, Version};

use super::Cover;
use super::step::{
    ChannelAction, ChannelSign, CirMethod, Codes, Condition, Expected, Fence, Incoming, Patience, Reply,
    Step, Test, Wait, Wanted,
};

/// `cases/<group>/*.yaml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    pub format: String,
    #[serde(default)]
    pub cases: Vec<RawCase>,
}

/// `cases/_shared/*.yaml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FragmentFile {
    pub format: String,
    pub fragments: Vec<Fragment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    pub name: String,
    #[serde(rename = "about")]
    pub _about: String,
    pub steps: Vec<RawStep>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCase {
    pub id: crate::base::CaseId,
    pub title: String,
    pub object: Role,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub reference: String,
    pub scr: Vec<ItemId>,
    pub csp: Option<Vec<Version>>,
    #[serde(default)]
    pub tags: Vec<String>,
    /// What of a transaction it covers.
    #[serde(default)]
    pub covers: Vec<Cover>,
    #[serde(default)]
    pub preconditions: Vec<RawStep>,
    pub procedure: Vec<RawStep>,
    #[serde(default)]
    pub after: Vec<RawStep>,
    #[serde(default)]
    pub pass: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawStep {
    send: Option<String>,
    bytes: Option<String>,
    with: Option<Vec<String>>,
    #[serde(rename = "as")]
    lane: Option<String>,
    edit: Option<Vec<Edit>>,
    expect: Option<String>,
    item: Option<ItemId>,
    #[serde(rename = "where")]
    tests: Option<Vec<RawTest>>,
    decline: Option<Vec<u16>>,
    stimulate: Option<String>,
    on: Option<String>,
    answers: Option<usize>,
    within: Option<String>,
    more: Option<bool>,
    reply: Option<String>,
    requests: Option<Vec<String>>,
    keep: Option<String>,
    from: Option<Path>,
    fence: Option<String>,
    silent: Option<Vec<String>>,
    wait: Option<RawWait>,
    settled_by: Option<Vec<u16>>,
    excused_by: Option<Vec<u16>>,
    receive: Option<String>,
    nothing: Option<String>,
    prepare: Option<String>,
    #[serde(rename = "match")]
    matching: Option<Vec<RawTest>>,
    answer: Option<String>,
    cir: Option<String>,
    hello: Option<String>,
    receive_cir: Option<String>,
    on_cir: Option<String>,
    send_cir: Option<String>,
    text: Option<String>,
    agree: Option<Vec<String>>,
    repeat: Option<u32>,
    #[serde(rename = "do")]
    steps: Option<Vec<RawStep>>,
    /// A fragment of `_shared`.
    #[serde(rename = "use")]
    pub fragment: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTest {
    item: Option<ItemId>,
    path: Option<Path>,
    #[serde(rename = "in")]
    values: Option<Vec<String>>,
    in_or_absent: Option<Vec<String>>,
    not_in: Option<Vec<String>>,
    count: Option<usize>,
    present: Option<Path>,
    absent: Option<Path>,
    same_as: Option<String>,
    differs_from: Option<String>,
    class: Option<u16>,
    includes: Option<String>,
    excludes: Option<String>,
    digest: Option<Path>,
    declines: Option<bool>,
}

/// Turns the steps within a step into steps, fragments included.
pub type Expand<'a> = dyn FnMut(&[RawStep]) -> Result<Vec<Step>, String> + 'a;

/// Longest wait that a case may ask for, in milliseconds.
const MAX_WAIT_MS: u64 = 60_000;
/// `wait`: milliseconds, or a word that speaks of the KeepAliveTime in force.
#[derive(Debug, Clone, Copy)]
struct RawWait(Wait);

impl<'de> Deserialize<'de> for RawWait {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl serde::de::Visitor<'_> for V {
            type Value = RawWait;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("milliseconds, `within-keep-alive` or `past-keep-alive`")
            }

            fn visit_u64<E: serde::de::Error>(self, ms: u64) -> Result<RawWait, E> {
                if ms > MAX_WAIT_MS {
                    return Err(E::custom(format!(
                        "a wait of {ms} ms is longer than the limit of {MAX_WAIT_MS} ms"
                    )));
                }
                Ok(RawWait(Wait::Millis(ms)))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawWait, E> {
                match word {
                    "within-keep-alive" => Ok(RawWait(Wait::WithinKeepAlive)),
                    "past-keep-alive" => Ok(RawWait(Wait::PastKeepAlive)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
        }
        d.deserialize_any(V)
    }
}

/// Most repetitions.
const MAX_REPEAT: u32 = 100;

impl RawStep {
    /// The step, with fragments left to the caller.
    pub fn to_step(&self, expand: &mut Expand<'_>) -> Result<Step, String> {
        let kinds = [
            self.send.is_some(),
            self.bytes.is_some(),
            self.expect.is_some(),
            self.stimulate.is_some(),
            self.on.is_some(),
            self.reply.is_some(),
            self.keep.is_some(),
            self.fence.is_some(),
            self.wait.is_some(),
            self.receive.is_some(),
            self.nothing.is_some(),
            self.cir.is_some(),
            self.receive_cir.is_some(),
            self.on_cir.is_some(),
            self.send_cir.is_some(),
            self.prepare.is_some(),
            self.repeat.is_some(),
        ];
        if kinds.iter().filter(|k| **k).count() != 1 {
            return Err(
                "a step needs exactly one of send, bytes, expect, receive, nothing, cir, receive-cir, \
                 prepare, stimulate, on, reply, on-cir, send-cir, keep, fence, wait, repeat, use"
                    .to_owned(),
            );
        }
        self.only_fields_of_its_kind()?;
        let lane = self.lane.clone().unwrap_or_else(|| "A".to_owned());
        let edits = self.edit.clone().unwrap_or_default();
        let of_answers = edits.iter().any(|e| matches!(e, Edit::HttpStatus(_)));
        let of_requests = edits
            .iter()
            .any(|e| matches!(e, Edit::Method(_) | Edit::ExpectContinue));
        if self.send.is_some() && of_answers || self.reply.is_some() && of_requests {
            return Err(
                "`http-status` is for answers, `method` and `expect-continue` for requests".to_owned(),
            );
        }
        for (name, codes) in [("settled-by", &self.settled_by), ("excused-by", &self.excused_by)] {
            if let Some(code) = codes.iter().flatten().find(|c| **c < 400) {
                return Err(format!("`{name}` is for refusals; {code} says success"));
            }
        }
        let tests = self
            .tests
            .iter()
            .flatten()
            .map(RawTest::to_test)
            .collect::<Result<Vec<_>, _>>()?;
        let list = |text: &str| -> Vec<String> { text.split('|').map(|s| s.trim().to_owned()).collect() };
        Ok(match self {
            RawStep {
                send: Some(first), ..
            } => Step::Send {
                primitives: std::iter::once(first.clone())
                    .chain(self.with.clone().unwrap_or_default())
                    .collect(),
                lane,
                edits,
            },
            RawStep {
                expect: Some(what), ..
            } => Step::Expect {
                expected: match what.as_str() {
                    "refusal" => Expected::Refusal,
                    "answer" => Expected::Answer,
                    "taken" => Expected::Taken,
                    "delivery" => Expected::Delivery,
                    "not-served" => Expected::NotServed,
                    names => Expected::Primitives(list(names)),
                },
                lane,
                item: self.item.clone(),
                tests,
                codes: Codes {
                    decline: self.decline.clone().unwrap_or_default(),
                    settled_by: self.settled_by.clone().unwrap_or_default(),
                    excused_by: self.excused_by.clone().unwrap_or_default(),
                },
                patience: self.patience()?,
            },
            RawStep {
                receive: Some(names), ..
            } => Step::Receive {
                wanted: self.wanted(list(names), lane)?,
                item: self.item.clone(),
                tests,
                reply: self.answer_of_lane()?,
            },
            RawStep {
                prepare: Some(name), ..
            } => Step::Prepare {
                lane,
                primitive: name.clone(),
                reply: self.answer_of_lane()?,
                edits,
            },
            RawStep {
                nothing: Some(names), ..
            } => Step::Nothing {
                wanted: self.wanted(list(names), lane)?,
                item: self.item.clone(),
                window: match self.within.as_deref() {
                    None => false,
                    Some("quiet") => true,
                    Some(_) => return Err("`within` of `nothing` is `quiet`".to_owned()),
                },
            },
            RawStep { cir: Some(what), .. } => Step::Channel {
                action: match what.as_str() {
                    "stcp" => ChannelAction::Open {
                        hello: self.hello.clone(),
                        closed: match self.answer.as_deref() {
                            None | Some("ok") => false,
                            Some("closed") => true,
                            Some(_) => return Err("`answer` of `cir` is `ok` or `closed`".to_owned()),
                        },
                    },
                    "sudp" => ChannelAction::Listen,
                    "shttp" => ChannelAction::AskInVain,
                    "ping" => ChannelAction::Ping,
                    "close" => ChannelAction::Close,
                    _ => return Err("`cir` is `stcp`, `sudp`, `shttp`, `ping` or `close`".to_owned()),
                },
                lane,
                item: self.item.clone(),
            },
            RawStep {
                receive_cir: Some(method),
                ..
            } => Step::Channel {
                action: ChannelAction::Await(cir_method(method)?),
                lane,
                item: self.item.clone(),
            },
            RawStep {
                on_cir: Some(what), ..
            } => Step::OnChannel {
                item: self.item.clone(),
                sign: match what.as_str() {
                    "stcp" => ChannelSign::Opens,
                    "stcp-again" => ChannelSign::OpensAgain,
                    "shttp" => ChannelSign::Asks,
                    _ => return Err("`on-cir` is `stcp`, `stcp-again` or `shttp`".to_owned()),
                },
            },
            RawStep {
                send_cir: Some(what), ..
            } => match what.as_str() {
                "close" => Step::CloseChannel,
                method => Step::SendChannel {
                    channel: cir_method(method)?,
                    text: self.text.clone(),
                },
            },
            RawStep {
                stimulate: Some(commands),
                ..
            } => Step::Stimulate(
                list(commands)
                    .iter()
                    .map(|c| command(c))
                    .collect::<Result<_, _>>()?,
            ),
            RawStep { on: Some(names), .. } => Step::On {
                incoming: Incoming {
                    primitives: list(names),
                    times: self.answers.unwrap_or(1).max(1),
                    within_keep_alive: match self.within.as_deref() {
                        None => false,
                        Some("keep-alive") => true,
                        Some(_) => return Err("`within` is `keep-alive`".to_owned()),
                    },
                },
                item: self.item.clone(),
                tests,
            },
            RawStep {
                reply: Some(what), ..
            } => Step::Reply {
                edits,
                requests: self.requests.clone().unwrap_or_default(),
                status: match what.as_str() {
                    "default" => None,
                    other => Some(status_code(other).ok_or("`reply` is `default` or `status NNN`")?),
                },
                agree: self
                    .agree
                    .iter()
                    .flatten()
                    .map(|m| cir_method(m))
                    .collect::<Result<_, _>>()?,
            },
            RawStep { keep: Some(name), .. } => Step::Keep {
                name: name.clone(),
                path: self.from.clone().ok_or("`keep` needs `from`")?,
                lane,
            },
            RawStep {
                fence: Some(what), ..
            } => Step::Fence(Fence {
                lane,
                item: self.item.clone(),
                silent: self.silent.clone().unwrap_or_default(),
                command: match what.as_str() {
                    "keep-alive" => None,
                    other => Some(command(other)?),
                },
            }),
            RawStep {
                bytes: Some(octets), ..
            } => Step::Bytes(octets.clone()),
            RawStep {
                wait: Some(RawWait(wait)),
                ..
            } => Step::Wait { wait: *wait, lane },
            RawStep {
                repeat: Some(times), ..
            } => {
                if *times > MAX_REPEAT {
                    return Err(format!(
                        "{times} repetitions are more than the limit of {MAX_REPEAT}"
                    ));
                }
                Step::Repeat {
                    times: *times,
                    steps: expand(self.steps.as_deref().ok_or("`repeat` needs `do`")?)?,
                }
            }
            _ => return Err("an empty step".to_owned()),
        })
    }

    fn answer_of_lane(&self) -> Result<Reply, String> {
        Ok(match self.answer.as_deref() {
            None | Some("default") => Reply::Correct,
            Some("nothing") => Reply::Nothing,
            Some(other) => {
                Reply::Status(status_code(other).ok_or("`answer` is `default`, `status NNN` or `nothing`")?)
            }
        })
    }

    fn patience(&self) -> Result<Patience, String> {
        match self.within.as_deref() {
            None => Ok(Patience::Usual),
            Some("left-sessions") => Ok(Patience::LeftSessions),
            Some(_) => Err("`within` of `expect` and `receive` is `left-sessions`".to_owned()),
        }
    }

    fn wanted(&self, primitives: Vec<String>, lane: String) -> Result<Wanted, String> {
        let matching = self.matching.iter().flatten();
        Ok(Wanted {
            primitives,
            lane,
            matching: matching
                .map(|m| m.to_test().map(|t| t.condition))
                .collect::<Result<_, _>>()?,
            more: self.more.unwrap_or(false),
            patience: match self.nothing {
                Some(_) => Patience::Usual,
                None => self.patience()?,
            },
        })
    }

    /// Gives the step to another lane, unless it names one: for fragments that are used `as` it.
    pub fn in_lane(&self, lane: &str) -> Self {
        let mut out = self.clone();
        let has_lane = out.send.is_some()
            || out.expect.is_some()
            || out.fence.is_some()
            || out.keep.is_some()
            || out.wait.is_some()
            || out.receive.is_some()
            || out.nothing.is_some()
            || out.prepare.is_some()
            || out.cir.is_some()
            || out.receive_cir.is_some()
            || out.fragment.is_some();
        if has_lane && out.lane.is_none() {
            out.lane = Some(lane.to_owned());
        }
        if let Some(steps) = &mut out.steps {
            *steps = steps.iter().map(|s| s.in_lane(lane)).collect();
        }
        out
    }

    /// The lane that a fragment is used in, if any is named.
    pub fn lane(&self) -> Option<&str> {
        self.lane.as_deref()
    }

    /// A field that the kind of step does not read would be ignored silently: refuse it.
    fn only_fields_of_its_kind(&self) -> Result<(), String> {
        let (send, expect, on) = (self.send.is_some(), self.expect.is_some(), self.on.is_some());
        let (reply, fence) = (self.reply.is_some(), self.fence.is_some());
        let (receive, nothing) = (self.receive.is_some(), self.nothing.is_some());
        let cir = self.cir.is_some() || self.receive_cir.is_some();
        let prepare = self.prepare.is_some();
        let opens = self.cir.as_deref() == Some("stcp");
        let fields = [
            ("with", self.with.is_some(), send),
            (
                "as",
                self.lane.is_some(),
                send || expect
                    || fence
                    || receive
                    || nothing
                    || prepare
                    || cir
                    || self.keep.is_some()
                    || self.wait.is_some(),
            ),
            ("edit", self.edit.is_some(), send || reply || prepare),
            (
                "item",
                self.item.is_some(),
                expect || on || fence || receive || nothing || cir || self.on_cir.is_some(),
            ),
            ("hello", self.hello.is_some(), opens),
            ("text", self.text.is_some(), self.send_cir.is_some()),
            ("agree", self.agree.is_some(), reply),
            ("where", self.tests.is_some(), expect || on || receive),
            ("match", self.matching.is_some(), receive || nothing),
            ("answer", self.answer.is_some(), receive || opens || prepare),
            ("answers", self.answers.is_some(), on),
            (
                "within",
                self.within.is_some(),
                on || nothing || expect || receive,
            ),
            ("more", self.more.is_some(), nothing),
            ("decline", self.decline.is_some(), expect),
            ("settled-by", self.settled_by.is_some(), expect),
            ("excused-by", self.excused_by.is_some(), expect),
            ("requests", self.requests.is_some(), reply),
            ("from", self.from.is_some(), self.keep.is_some()),
            ("silent", self.silent.is_some(), fence),
            ("do", self.steps.is_some(), self.repeat.is_some()),
            ("use", self.fragment.is_some(), false),
        ];
        match fields.iter().find(|(_, there, allowed)| *there && !*allowed) {
            Some((name, ..)) => Err(format!("`{name}` has no meaning in this kind of step")),
            None => Ok(()),
        }
    }
}

impl RawTest {
    fn to_test(&self) -> Result<Test, String> {
        let path = || {
            self.path
                .clone()
                .ok_or_else(|| "this condition needs `path`".to_owned())
        };
        let condition = match self {
            RawTest { values: Some(v), .. } => Condition::In(path()?, v.clone()),
            RawTest {
                in_or_absent: Some(v),
                ..
            } => Condition::InOrAbsent(path()?, v.clone()),
            RawTest { not_in: Some(v), .. } => Condition::NotIn(path()?, v.clone()),
            RawTest { count: Some(n), .. } => Condition::Count(path()?, *n),
            RawTest { present: Some(p), .. } => Condition::Present(p.clone()),
            RawTest { absent: Some(p), .. } => Condition::Absent(p.clone()),
            RawTest { same_as: Some(k), .. } => Condition::SameAs(path()?, kept(k)?),
            RawTest {
                differs_from: Some(k),
                ..
            } => Condition::DiffersFrom(path()?, kept(k)?),
            RawTest { class: Some(c), .. } => Condition::Class(path()?, *c),
            RawTest {
                includes: Some(v), ..
            } => Condition::Includes(path()?, v.clone()),
            RawTest {
                excludes: Some(v), ..
            } => Condition::Excludes(path()?, v.clone()),
            RawTest { digest: Some(p), .. } => Condition::Digest(p.clone()),
            _ => {
                return Err(
                    "a condition needs one of in, in-or-absent, not-in, count, present, absent, same-as, differs-from, class, includes, excludes, digest"
                        .to_owned(),
                );
            }
        };
        Ok(Test {
            item: self.item.clone(),
            condition,
            declines: self.declines.unwrap_or(false),
        })
    }
}

/// The code of `status NNN`.
fn status_code(text: &str) -> Option<u16> {
    text.strip_prefix("status ")
        .and_then(|c| c.trim().parse().ok())
        .filter(|c| (100..=999).contains(c))
}

fn cir_method(text: &str) -> Result<CirMethod, String> {
    CirMethod::parse(text).ok_or_else(|| format!("`{text}` is not one of stcp, sudp, shttp"))
}

fn command(text: &str) -> Result<Command, String> {
    Command::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Command::ALL.iter().map(|c| c.as_str()).collect();
        format!("`{text}` is not one of {}", known.join(", "))
    })
}

fn kept(text: &str) -> Result<String, String> {
    text.strip_prefix('$')
        .map(str::to_owned)
        .ok_or_else(|| format!("`{text}` is not a kept value: write `$name`"))
}
