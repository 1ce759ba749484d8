//! Rules over several messages of SSP: who proved what, which session is whose, what answers what. One
//! [`SspConversation`] follows two servers; it takes the messages of both and judges each.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::{digest as digest_of, token_octets};
use super::form::{domain_of, domain_of_service};
use super::rule::item;
use crate::check::conversation::Judgement;
use crate::message::{Mode, NodeId, SspEnvelope, SspTransaction, Tree, ssp_code};
use crate::spec::DigestFormula;
use crate::spec::ssp::SspSyntax;

/// What the head of a POST repeats of the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderIds {
    /// `x-wv-transactionid`
    pub transaction: Option<String>,
    /// `x-wv-sessionid`
    pub session: Option<String>,
}

#[derive(Debug, Clone)]
struct Token {
    octets: Vec<u8>,
    /// Whether it was sent in Base64.
    coded: bool,
}

#[derive(Debug, Clone, Default)]
struct Setup {
    initiator: String,
    id: String,
    /// Tokens by the domain that sent them.
    tokens: BTreeMap<String, Token>,
    /// timeToLive by the domain that wanted it.
    wanted: BTreeMap<String, u64>,
}

#[derive(Debug, Clone)]
struct Open {
    name: String,
    message: Option<String>,
}

/// What is known of the traffic between two servers.
#[derive(Debug, Clone, Default)]
pub struct SspConversation {
    formula: DigestFormula,
    setups: Vec<Setup>,
    /// Session ids by the domain that issued them: the last one, and whether it was ever another.
    sessions: BTreeMap<String, String>,
    open: BTreeMap<(String, String), Open>,
    /// What was asked under an id: by domain, session and transactionID.
    used: BTreeMap<(String, String, String), String>,
    answered: BTreeSet<(String, String)>,
    /// Requests whose answer nobody waits for any more.
    late: BTreeSet<(String, String)>,
    /// Messages by the domain that sent them.
    sent: BTreeSet<(String, String)>,
}

/// Most set-ups that are remembered.
const MAX_SETUPS: usize = 16;

struct Judging<'a> {
    tree: &'a Tree,
    from: &'a str,
    out: Vec<Judgement>,
}

impl Judging<'_> {
    fn say(&mut self, what: (&str, u16), rule: &'static str, holds: bool, text: String, at: NodeId) {
        self.out.push(Judgement {
            item: item(what.0, what.1),
            rule,
            holds,
            text,
            path: self.tree.path(at),
        });
    }
}

impl SspConversation {
    /// A conversation whose digests are made by this rule.
    pub fn new(formula: DigestFormula) -> Self {
        Self {
            formula,
            ..Self::default()
        }
    }

    /// What waits now is not answered any more; an answer that comes late all the same is no breach.
    pub fn forget_open(&mut self) {
        self.late.extend(std::mem::take(&mut self.open).into_keys());
    }

    /// Whether a request of a domain waits for its answer.
    pub fn has_open(&self, domain: &str) -> bool {
        self.open.keys().any(|(from, _)| from == domain)
    }

    /// The domain that sent a message, as far as the message tells.
    pub fn sender(tree: &Tree) -> Option<String> {
        let envelope = SspEnvelope::of(tree)?;
        if !envelope.setup {
            return domain_of(envelope.session_id.as_deref()?);
        }
        let primitive = envelope.transactions.first()?.primitive?;
        let of_service = tree
            .attribute(primitive, "serviceID")
            .and_then(|s| domain_of_service(&s));
        of_service.or_else(|| domain_of(&tree.attribute(primitive, "sessionID")?))
    }

    /// Takes a message that the server of a domain sent, and judges it.
    pub fn take(&mut self, syntax: &SspSyntax, from: &str, tree: &Tree, head: &HeaderIds) -> Vec<Judgement> {
        let mut judging = Judging {
            tree,
            from,
            out: Vec::new(),
        };
        let Some(envelope) = SspEnvelope::of(tree) else {
            return judging.out;
        };
        if envelope.setup {
            if let Some(transaction) = envelope.transactions.first() {
                self.setup(&mut judging, transaction);
                head_repeats(&mut judging, head, transaction, None);
            }
            return judging.out;
        }
        let session = envelope.session_id.clone().unwrap_or_default();
        if let Some(known) = self.sessions.get(from) {
            let text = format!("sessionID is `{session}`, {from} issued `{known}`");
            let at = envelope.transactions.first().map_or(tree.root(), |t| t.node);
            judging.say(("EN", 8), "ssp-session-own", *known == session, text, at);
        }
        for transaction in &envelope.transactions {
            match transaction.mode {
                Mode::Request => {
                    head_repeats(&mut judging, head, transaction, Some(&session));
                    self.request(&mut judging, transaction, &session);
                }
                Mode::Response => self.response(syntax, &mut judging, transaction),
                Mode::Other(_) => {}
            }
        }
        judging.out
    }

    fn setup(&mut self, judging: &mut Judging<'_>, transaction: &SspTransaction) {
        let tree = judging.tree;
        let Some(primitive) = transaction.primitive else {
            return;
        };
        let initiates = transaction.mode == Mode::Request;
        let from = judging.from.to_owned();
        if transaction.name == "SendSecretToken" {
            let token = tree.child(primitive, "SecretToken").and_then(|t| {
                Some(Token {
                    octets: token_octets(tree, t)?,
                    coded: tree.attribute(t, "encoding").is_some(),
                })
            });
            if initiates {
                if self.setups.len() == MAX_SETUPS {
                    self.setups.remove(0);
                }
                self.setups.push(Setup {
                    initiator: from.clone(),
                    id: transaction.id.clone(),
                    ..Setup::default()
                });
            }
            let own = self.setups.iter_mut().rev();
            let mut own = own.filter(|s| (s.initiator == from) == initiates);
            if let (Some(setup), Some(token)) = (own.next(), token) {
                setup.tokens.insert(from, token);
            }
            return;
        }
        // What has no mode, or is no step of a set-up, is found in the message alone.
        let is_login = matches!(transaction.name.as_str(), "LoginRequest" | "LoginResponse");
        if !is_login || matches!(transaction.mode, Mode::Other(_)) {
            return;
        }
        // The set-up whose id it has; else the last that fits the direction.
        let fits = |s: &Setup| (s.initiator == from) == initiates;
        let same = |s: &Setup| fits(s) && s.id == transaction.id;
        let index = self
            .setups
            .iter()
            .rposition(same)
            .or_else(|| self.setups.iter().rposition(fits));
        let Some(index) = index else {
            let text = format!("{} without a set-up that was begun", transaction.name);
            judging.say(("SU", 16), "ssp-setup-order", false, text, primitive);
            return;
        };
        let setup = &mut self.setups[index];
        let text = format!(
            "transactionID is `{}`, that of the SendSecretToken is `{}`",
            transaction.id, setup.id
        );
        judging.say(
            ("SU", 15),
            "ssp-setup-id",
            setup.id == transaction.id,
            text,
            primitive,
        );
        let life = tree
            .attribute(primitive, "timeToLive")
            .and_then(|t| t.trim().parse().ok());
        let other = setup.tokens.keys().find(|d| **d != from).cloned();
        match transaction.name.as_str() {
            "LoginRequest" => {
                if let Some(life) = life {
                    setup.wanted.insert(from.clone(), life);
                }
                let digest = tree
                    .child(primitive, "PasswordDigest")
                    .map(|d| tree.text(d).trim().to_owned());
                let token = other.as_ref().and_then(|d| setup.tokens.get(d));
                match (token, digest) {
                    (Some(token), Some(digest)) => {
                        let right = digest_of(&self.formula, &token.octets) == digest;
                        // A token in Base64 is a matter of its own.
                        let number = if token.coded { 8 } else { 10 };
                        let is = if right { "is" } else { "is not" };
                        let text =
                            format!("PasswordDigest {is} the digest of the token that {from} was sent");
                        judging.say(("SU", number), "ssp-digest", right, text, primitive);
                    }
                    (None, Some(_)) => {
                        let text = "LoginRequest before the other side sent its token".to_owned();
                        judging.say(("SU", 16), "ssp-setup-order", false, text, primitive);
                    }
                    _ => {}
                }
            }
            "LoginResponse" => {
                let wanted = setup.wanted.iter().find(|(d, _)| **d != from).map(|(_, n)| *n);
                if let (Some(wanted), Some(granted)) = (wanted, life) {
                    let text = format!("timeToLive granted is {granted}, wanted was {wanted}");
                    judging.say(("SU", 30), "ssp-granted", granted <= wanted, text, primitive);
                }
                let id = tree
                    .attribute(primitive, "sessionID")
                    .map(|s| s.trim().to_owned());
                let good = ssp_code(tree, primitive).is_none_or(|c| c / 100 == 2);
                match id.filter(|s| !s.is_empty()) {
                    Some(id) if good => {
                        let own = domain_of(&id).as_deref() == Some(&*from) && !id.starts_with('@');
                        let text = format!("sessionID is `{id}`, expected one behind which stands @{from}");
                        judging.say(("EN", 9), "ssp-session-form", own, text, primitive);
                        self.sessions.insert(from, id);
                    }
                    None if good => {
                        let text = "a LoginResponse of success without sessionID".to_owned();
                        let number = if initiates { 13 } else { 14 };
                        judging.say(("SU", number), "ssp-session-issued", false, text, primitive);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn request(&mut self, judging: &mut Judging<'_>, transaction: &SspTransaction, session: &str) {
        let tree = judging.tree;
        let from = judging.from.to_owned();
        let Some(primitive) = transaction.primitive else {
            // Without content it is a request all the same, which may be refused.
            if !transaction.id.is_empty() {
                let open = Open {
                    name: String::new(),
                    message: None,
                };
                self.open.insert((from, transaction.id.clone()), open);
            }
            return;
        };
        if !transaction.id.is_empty() {
            let key = (from.clone(), session.to_owned(), transaction.id.clone());
            let content = content_of(tree, primitive);
            // The same once more is the same request: it was not taken the first time.
            let fresh = match self.used.get(&key) {
                Some(before) => *before == content,
                None => {
                    self.used.insert(key, content);
                    true
                }
            };
            let text = format!(
                "transactionID `{}` {}",
                transaction.id,
                if fresh { "is new" } else { "was used before" }
            );
            judging.say(("EN", 5), "ssp-transaction-fresh", fresh, text, transaction.node);
        }
        self.requestor(judging, primitive);
        let message = message_id(tree, primitive);
        match (transaction.name.as_str(), &message) {
            ("SendMessageRequest", Some(id)) => {
                self.sent.insert((from.clone(), id.clone()));
            }
            ("DeliveryStatusReport", Some(id)) if !self.sent.is_empty() => {
                let known = self.sent.iter().any(|(domain, m)| *domain != from && m == id);
                let text = format!(
                    "messageID `{id}` is {}one that the other server sent",
                    if known { "" } else { "not " }
                );
                judging.say(("IM", 6), "ssp-message-id", known, text, primitive);
            }
            _ => {}
        }
        if transaction.name == "PresenceNotification" {
            let own = tree
                .content_elements(primitive)
                .filter(|e| tree.get(*e).name == "PresenceValue")
                .filter_map(|e| tree.attribute(e, "userID"))
                .all(|u| domain_of(&u).as_deref() == Some(&*from));
            let watchers = tree
                .content_elements(primitive)
                .filter(|e| tree.get(*e).name == "User")
                .filter_map(|e| tree.attribute(e, "userID"))
                .all(|u| domain_of(&u).as_deref() != Some(&*from));
            let text = match (own, watchers) {
                (true, true) => "presentities of the sender, watchers of the receiver".to_owned(),
                (false, _) => format!("a PresenceValue is not of a user of {from}"),
                (true, false) => format!("a watcher is a user of {from}"),
            };
            judging.say(("PR", 7), "ssp-notified", own && watchers, text, primitive);
        }
        if !transaction.id.is_empty() {
            let open = Open {
                name: transaction.name.clone(),
                message,
            };
            self.open.insert((from.clone(), transaction.id.clone()), open);
            self.answered.remove(&(from, transaction.id.clone()));
        }
    }

    /// Whoever asks is of the domain that sends.
    fn requestor(&self, judging: &mut Judging<'_>, primitive: NodeId) {
        let tree = judging.tree;
        let requestor = tree
            .child(primitive, "MetaInfo")
            .and_then(|m| tree.child(m, "Requestor"));
        let Some(requestor) = requestor else { return };
        let from = judging.from.to_owned();
        let service = tree
            .attribute(requestor, "serviceID")
            .and_then(|s| domain_of_service(&s));
        let user = tree
            .child(requestor, "User")
            .and_then(|u| tree.attribute(u, "userID"));
        let user_domain = user.as_deref().and_then(domain_of);
        let wrong = match (&service, &user_domain) {
            (Some(s), _) if *s != from => Some(format!("serviceID of the Requestor is of {s}")),
            (_, Some(u)) if *u != from => Some(format!("User of the Requestor is of {u}")),
            _ => None,
        };
        let holds = wrong.is_none();
        let text = match wrong {
            None => format!("the Requestor is of {from}"),
            Some(what) => format!("{what}, the session is that of {from}"),
        };
        judging.say(("MI", 4), "ssp-requestor", holds, text, requestor);
    }

    fn response(&mut self, syntax: &SspSyntax, judging: &mut Judging<'_>, transaction: &SspTransaction) {
        let tree = judging.tree;
        let from = judging.from;
        // That there is none is found in the message alone.
        if transaction.id.is_empty() {
            return;
        }
        let key = self
            .open
            .keys()
            .find(|(domain, id)| domain != from && *id == transaction.id)
            .cloned();
        let Some(open) = key.as_ref().and_then(|k| self.open.remove(k)) else {
            if self
                .late
                .iter()
                .any(|(domain, id)| domain != from && *id == transaction.id)
            {
                return;
            }
            let again = self
                .answered
                .iter()
                .any(|(domain, id)| domain != from && *id == transaction.id);
            let text = format!(
                "transactionID `{}` is that of {}",
                transaction.id,
                if again {
                    "a request that was answered already"
                } else {
                    "no request that waits for an answer"
                }
            );
            judging.say(("EN", 6), "ssp-transaction-echo", false, text, transaction.node);
            return;
        };
        self.answered.extend(key);
        let text = format!("transactionID `{}` is that of the {}", transaction.id, open.name);
        judging.say(("EN", 6), "ssp-transaction-echo", true, text, transaction.node);
        let (Some(row), Some(primitive)) = (syntax.primitive(&open.name), transaction.primitive) else {
            return;
        };
        if let Some((group, number)) = row.item() {
            let fits = row.answers.contains(&transaction.name);
            let text = format!("{} answers {}", transaction.name, open.name);
            judging.say((group, number), "ssp-answer", fits, text, primitive);
        }
        if transaction.name == "SendMessageResponse" {
            let told = tree
                .attribute(primitive, "messageID")
                .map(|m| m.trim().to_owned());
            if let (Some(told), Some(asked)) = (told, &open.message) {
                let text = format!("messageID is `{told}`, the request had `{asked}`");
                judging.say(("IM", 5), "ssp-message-id", told == *asked, text, primitive);
            }
        }
    }
}

/// Names and texts of an element and all below.
fn content_of(tree: &Tree, from: NodeId) -> String {
    let parts = tree.walk(from).into_iter();
    let parts = parts.map(|e| format!("{}={};", tree.get(e).name, tree.text(e).trim()));
    parts.collect()
}

fn message_id(tree: &Tree, primitive: NodeId) -> Option<String> {
    let info = tree.child(primitive, "MessageInfo")?;
    let id = tree.attribute(info, "messageID")?.trim().to_owned();
    (!id.is_empty()).then_some(id)
}

/// The head repeats what the body of a request says.
fn head_repeats(
    judging: &mut Judging<'_>,
    head: &HeaderIds,
    transaction: &SspTransaction,
    session: Option<&str>,
) {
    let pairs = [
        (
            "x-wv-transactionid",
            &head.transaction,
            Some(transaction.id.as_str()),
        ),
        ("x-wv-sessionid", &head.session, session),
    ];
    for (name, found, body) in pairs {
        if let (Some(found), Some(body)) = (found, body) {
            let text = format!("{name} is `{}`, the body says `{body}`", found.trim());
            let holds = found.trim() == body;
            judging.say(("TR", 9), "ssp-headers", holds, text, transaction.node);
        }
    }
}
