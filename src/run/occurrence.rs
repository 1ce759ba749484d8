//! A case that occurs in a conversation that nobody steered: which messages took its steps, and what they
//! show.

use std::collections::BTreeMap;

use crate::base::ItemId;
use crate::case::{Case, Condition, Fence, Step, Test};
use crate::event::Silence;
use crate::message::{Path, Tree};
use crate::spec::{Command, Version};
use crate::verdict::{Part, Place};

use super::judge::{Judge, Values, condition, unbound};
use super::shape::other_login;

/// One message of a client with what belongs to it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) exchange: u32,
    pub(super) version: Version,
    pub(super) tree: Tree,
    pub(super) names: Vec<String>,
    /// Number of the conversation.
    pub(super) conversation: Option<u64>,
    /// The session in force when it came.
    pub(super) session: Option<String>,
    /// Nonce and schema of the challenge that answered it.
    pub(super) challenge: Option<(String, String)>,
    /// For a login: which client it is, and the user.
    pub(super) client: Option<(String, String)>,
    pub(super) broken: bool,
    /// Why what came before it is not known for sure, if so.
    pub(super) unsure: Option<&'static str>,
}

/// A case that occurred in a conversation: its steps with the messages that took them.
pub(super) struct Match<'a> {
    steps: Vec<Matched<'a>>,
}

enum Matched<'a> {
    On {
        judged: bool,
        item: &'a ItemId,
        tests: &'a [Test],
        wanted: String,
        message: &'a Seen,
    },
    Keep(&'a str, &'a Path),
    Fence {
        item: &'a ItemId,
        fence: &'a Fence,
        /// What came in the conversation before the fence.
        before: Vec<&'a Seen>,
        message: &'a Seen,
    },
}

impl<'a> Match<'a> {
    /// Matches the steps in order; none when the case does not occur whole. A fence that never came ends
    /// the case: what was seen until then counts, the silence is not proven.
    pub(super) fn of(case: &'a Case, conversation: &[&'a Seen], all: &'a [Seen]) -> Option<Self> {
        let mut steps = Vec::new();
        let mut at = 0;
        let mut last: Option<&Seen> = None;
        let before = case.preconditions.len();
        for (index, step) in case.preconditions.iter().chain(&case.procedure).enumerate() {
            match step {
                Step::On {
                    incoming,
                    item,
                    tests,
                } => {
                    let mut found = 0;
                    let message = loop {
                        let message = *conversation.get(at)?;
                        at += 1;
                        // What is sent in a session is looked for while there is one: what comes before or
                        // after is the affair of the general rules.
                        let can_be_outband = incoming.primitives.iter().all(|p| before_login(p));
                        if !can_be_outband && message.session.is_none() {
                            continue;
                        }
                        found += message
                            .names
                            .iter()
                            .filter(|n| incoming.primitives.contains(n))
                            .count();
                        if found >= incoming.times {
                            break message;
                        }
                    };
                    if other_login(tests, &message.tree).is_some() {
                        return None;
                    }
                    last = Some(message);
                    steps.push(Matched::On {
                        judged: index >= before,
                        item: item.as_ref().unwrap_or(&case.scr[0]),
                        tests,
                        wanted: incoming.primitives.join(" or "),
                        message,
                    });
                }
                Step::Keep { name, path, .. } => steps.push(Matched::Keep(name, path)),
                Step::Fence(fence) => {
                    let first = fence_command(fence).primitive();
                    let since = last?;
                    let client = conversation.iter().find_map(|s| s.client.as_ref());
                    let same_client = |s: &Seen| match (&s.client, client) {
                        (Some((a, _)), Some((b, _))) => a == b,
                        _ => s.conversation == since.conversation,
                    };
                    let Some(message) = all.iter().find(|s| {
                        s.exchange > since.exchange && s.names.iter().any(|n| n == first) && same_client(s)
                    }) else {
                        break;
                    };
                    steps.push(Matched::Fence {
                        item: fence.item.as_ref().unwrap_or(&case.scr[0]),
                        fence,
                        before: conversation
                            .iter()
                            .filter(|s| s.exchange > since.exchange && s.exchange < message.exchange)
                            .copied()
                            .collect(),
                        message,
                    });
                }
                _ => {}
            }
        }
        Some(Self { steps })
    }

    /// Charges what the steps ask for.
    pub(super) fn charge(
        self,
        judge: &mut Judge<'_>,
        user: Option<&str>,
        password: Option<String>,
        silence: &mut Vec<Silence>,
    ) {
        let mut values = Kept {
            kept: BTreeMap::new(),
        };
        values
            .kept
            .extend(user.map(|u| ("user".to_owned(), u.to_owned())));
        values.kept.extend(password.map(|p| ("password".to_owned(), p)));
        let mut last: Option<&Seen> = None;
        for step in self.steps {
            match step {
                Matched::On {
                    judged,
                    item,
                    tests,
                    wanted,
                    message,
                } => {
                    match &message.session {
                        Some(session) => values.kept.insert("session".to_owned(), session.clone()),
                        None => values.kept.remove("session"),
                    };
                    if judged {
                        judge_one(judge, item, tests, message, &wanted, &values);
                    }
                    if let Some((nonce, schema)) = &message.challenge {
                        values.kept.insert("nonce".to_owned(), nonce.clone());
                        values.kept.insert("schema".to_owned(), schema.clone());
                    }
                    last = Some(message);
                }
                Matched::Keep(name, path) => {
                    let found = last.and_then(|s| path.first(&s.tree).map(|id| s.tree.text(id)));
                    if let Some(text) = found {
                        values.kept.insert(name.to_owned(), text.trim().to_owned());
                    }
                }
                Matched::Fence {
                    item,
                    fence,
                    before,
                    message,
                } => {
                    let of = fence.silent.join(", ");
                    let first = fence_command(fence).primitive();
                    let unwanted = before
                        .iter()
                        .find_map(|s| s.names.iter().find(|n| fence.silent.contains(n)).map(|n| (s, n)));
                    let (text, exchange) = match unwanted {
                        Some((seen, name)) => (format!("{name} came before {first}"), seen.exchange),
                        None => (format!("no {of} came before {first}"), message.exchange),
                    };
                    let rule = format!("no {of}");
                    match unwanted.and_then(|(seen, _)| seen.unsure) {
                        Some(why) => {
                            judge.inconclusive(item, &rule, format!("{text}; {why}"), place(exchange));
                        }
                        None => {
                            judge.charge(item, &rule, unwanted.is_none(), text, place(exchange));
                        }
                    }
                    silence.push(Silence {
                        of,
                        proof: "fence".to_owned(),
                        waited_ms: 0,
                    });
                }
            }
        }
    }
}

fn fence_command(fence: &Fence) -> Command {
    fence.command.unwrap_or(Command::KeepAlive)
}

/// What may be sent without a session.
fn before_login(primitive: &str) -> bool {
    matches!(
        primitive,
        "Login-Request" | "GetSPInfo-Request" | "WV-CSP-VersionDiscovery-Request"
    )
}

fn place(exchange: u32) -> Place {
    Place {
        exchange: Some(exchange),
        part: Some(Part::Request),
        ..Place::default()
    }
}

fn judge_one(
    judge: &mut Judge<'_>,
    item: &ItemId,
    tests: &[Test],
    message: &Seen,
    wanted: &str,
    values: &Kept,
) {
    judge.charge(
        item,
        &format!("{wanted} is sent"),
        true,
        format!("the client sent {wanted}"),
        place(message.exchange),
    );
    for test in tests {
        let charged = test.item.as_ref().unwrap_or(item).clone();
        if matches!(test.condition, Condition::Digest(_)) && values.value("password").is_none() {
            // Nobody told the suite the password: the digest proves nothing either way.
            continue;
        }
        let rule = format!("{wanted}: {}", test.condition);
        if let Some(name) = unbound(test, values) {
            // Whom it is about was this client's choice.
            let text = format!("nothing tells what ${name} is for a client that was not made to act");
            judge.inconclusive(&charged, &rule, text, place(message.exchange));
            continue;
        }
        let (holds, text, path) = condition(test, &message.tree, values);
        let at = Place {
            path,
            ..place(message.exchange)
        };
        let why = match message.broken {
            true => Some("the message breaks another rule"),
            false => message.unsure,
        };
        if let Some(why) = why.filter(|_| !holds) {
            let text = format!("{text} (blocked: {why})");
            judge.inconclusive(&charged, &rule, text, at);
        } else {
            judge.charge(&charged, &rule, holds, text, at);
        }
    }
}

/// Values that conditions refer to.
struct Kept {
    kept: BTreeMap<String, String>,
}

impl Values for Kept {
    fn value(&self, name: &str) -> Option<String> {
        self.kept.get(name).cloned()
    }
}
