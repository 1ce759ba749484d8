//! The server engine: takes one HTTP body, gives one. Time is a number that the caller hands in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::{Checker, Rule};
use crate::codec::xml;
use crate::message::{Elem, Envelope, Message, Mode, NodeId, SessionType, TransactionView, Tree, text};
use crate::spec::Version;
use crate::verdict::Strength;

use super::compose::{self, Part};
use super::digest::Schema;
use super::{Credentials, MEDIA_TYPE_XML, is_xml_type};

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Who may log in.
    pub accounts: Vec<Credentials>,
    /// Longest KeepAliveTime granted, in seconds.
    pub max_keep_alive: u32,
    /// Seed of session ids and nonces.
    pub seed: u64,
}

/// State faults of a server, for mutants: what no edit of a single message can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerFault {
    /// Takes any password.
    AcceptsAnyPassword,
    /// Lets users in that it does not know.
    AcceptsAnyUser,
    /// Takes any digest.
    AcceptsAnyDigest,
    /// Gives the same nonce for ever, and takes it again.
    ReplaysNonce,
    /// Serves sessions that it never opened.
    ServesUnknownSession,
    /// Serves a session after its logout.
    ServesAfterLogout,
    /// Gives every login the same SessionID.
    SharesSessionId,
    /// Takes messages that break the syntax.
    AcceptsInvalid,
    /// Answers only the first transaction of a message.
    AnswersFirstOnly,
    /// Refuses a KeepAlive-Request without TimeToLive.
    NeedsTimeToLive,
    /// Knows no 4-way login.
    NoDigestLogin,
    /// Serves requests in mode Response.
    IgnoresMode,
    /// Serves nobody any more after a request that breaks off.
    StopsAfterBrokenRequest,
    /// Says success to a request that it cannot serve.
    SucceedsAlways,
    /// Refuses a body in chunks; the carrier acts on it, the engine sees no header fields.
    RefusesChunked,
    /// Refuses a request that asks for `100 Continue`; the carrier acts on it.
    RefusesExpect,
}

/// One HTTP request as the engine sees it.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Method.
    pub method: &'a str,
    /// Media type without parameters.
    pub media_type: Option<&'a str>,
    /// `charset` parameter of Content-Type.
    pub charset: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// One HTTP response as the engine makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// HTTP status.
    pub status: u16,
    /// Content-Type; none for an empty body.
    pub media_type: Option<String>,
    /// The message; none for an empty body.
    pub tree: Option<Tree>,
    /// Names of the requests that it answers, for deviations.
    pub answers: Vec<String>,
}

#[derive(Debug)]
struct Session {
    version: Version,
    keep_alive: u32,
    last_seen_ms: u64,
    queue: Vec<Elem>,
}

#[derive(Debug)]
struct PendingChallenge {
    nonce: String,
    schema: Schema,
    since_ms: u64,
}

/// A CSP server without I/O.
#[derive(Debug)]
pub struct ServerEngine {
    config: ServerConfig,
    fault: Option<ServerFault>,
    checker: Arc<Checker>,
    sessions: BTreeMap<String, Session>,
    challenges: BTreeMap<(String, String), PendingChallenge>,
    random: fastrand::Rng,
    next_id: u32,
    open_to_all: bool,
}

/// Longest time between the legs of a 4-way login, in milliseconds.
const CHALLENGE_LIFE_MS: u64 = 60_000;
/// Most challenges that wait at one time; the oldest are dropped.
const MAX_CHALLENGES: usize = 1_000;

impl ServerEngine {
    /// A server without sessions.
    pub fn new(config: ServerConfig, checker: Arc<Checker>) -> Self {
        let random = fastrand::Rng::with_seed(config.seed);
        Self {
            config,
            fault: None,
            checker,
            sessions: BTreeMap::new(),
            challenges: BTreeMap::new(),
            random,
            next_id: 0,
            open_to_all: false,
        }
    }

    /// Lets in whoever comes, whatever the proof: for clients that are only watched.
    #[must_use]
    pub fn open_to_all(mut self, yes: bool) -> Self {
        self.open_to_all = yes;
        self
    }

    /// The same server with a state fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Option<ServerFault>) -> Self {
        self.fault = fault;
        self
    }

    /// Puts a request of the server into the queue of every session that is open: it leaves with the
    /// next answer to a poll.
    pub fn queue(&mut self, primitive: &Elem) {
        for session in self.sessions.values_mut() {
            session.queue.push(primitive.clone());
        }
    }

    /// Whether this session is open.
    pub fn has_session(&self, id: &str) -> bool {
        self.sessions.contains_key(id)
    }

    /// Answers one HTTP request. `now_ms` never goes back.
    pub fn handle(&mut self, now_ms: u64, request: &Incoming<'_>) -> Outgoing {
        self.expire(now_ms);
        if request.method != "POST" {
            return Outgoing::http(405);
        }
        if !request.media_type.is_some_and(is_xml_type) {
            return Outgoing::http(415);
        }
        let reading = xml::read(request.body, request.charset);
        let broken = reading
            .problems
            .iter()
            .any(|p| p.kind != xml::ProblemKind::Charset);
        let Some(message) = reading.message else {
            return Outgoing::http(400);
        };
        let lenient = self.fault == Some(ServerFault::AcceptsInvalid) && can_be_answered(&message.tree);
        if broken && !lenient {
            return self.refuse_whole(&message, 400);
        }
        let checked = self.checker.check(&message);
        let invalid = checked.findings.iter().any(|f| match f.rule {
            Rule::ModeUse => self.fault != Some(ServerFault::IgnoresMode),
            rule => f.strength == Strength::Must || rule.is_session_or_mode(),
        });
        if invalid && !lenient {
            return self.refuse_whole(&message, 400);
        }
        let (Some(version), Some(envelope)) = (checked.version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        self.answer(now_ms, version, &message.tree, &envelope)
    }

    /// A message that cannot be taken: Status under its TransactionID where that can be read, HTTP
    /// 400 otherwise (TR-10).
    fn refuse_whole(&mut self, message: &Message, code: u16) -> Outgoing {
        let version = Version::of_namespace(&message.tree.get(message.tree.root()).namespace).map(|(v, _)| v);
        let (Some(version), Some(envelope)) = (version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        let open = envelope
            .session_id
            .clone()
            .filter(|s| self.sessions.contains_key(s));
        let parts: Vec<Part> = envelope
            .transactions
            .iter()
            .filter(|t| !t.id.is_empty() && t.mode != Mode::Response)
            .map(|t| Part {
                mode: Mode::Response,
                id: t.id.clone(),
                primitive: compose::status(code),
            })
            .collect();
        if parts.is_empty() {
            return Outgoing::http(400);
        }
        let names = envelope.transactions.iter().map(|t| t.name.clone()).collect();
        Outgoing::message(
            compose::message(version, open.as_deref(), Some(false), parts),
            names,
        )
    }

    fn answer(&mut self, now_ms: u64, version: Version, tree: &Tree, envelope: &Envelope) -> Outgoing {
        let mut names = Vec::new();
        let mut parts = Vec::new();
        let mut session = match envelope.session_type {
            SessionType::Inband => envelope.session_id.clone(),
            _ => None,
        };
        let mut known = session
            .as_deref()
            .is_some_and(|id| self.sessions.contains_key(id));
        if session.is_some() && !known && self.fault == Some(ServerFault::ServesUnknownSession) {
            self.open_session(now_ms, session.clone().unwrap_or_default(), version, 60);
            known = true;
        }
        if let Some(open) = session.as_deref().and_then(|id| self.sessions.get_mut(id)) {
            open.last_seen_ms = now_ms;
            known = open.version == version;
        }
        let mut ends = None;
        for transaction in &envelope.transactions {
            if transaction.mode == Mode::Response && self.fault != Some(ServerFault::IgnoresMode) {
                continue; // the client's answer to a server request: nothing follows (HT-4)
            }
            names.push(transaction.name.clone());
            if self.fault == Some(ServerFault::AnswersFirstOnly) && !parts.is_empty() {
                continue;
            }
            if session.is_some() && !known {
                parts.push(response(transaction, compose::status(604)));
                continue;
            }
            let Some(primitive) = transaction.primitive else {
                continue;
            };
            match (transaction.name.as_str(), session.as_deref()) {
                ("Login-Request", None) => {
                    parts.push(response(
                        transaction,
                        self.login(now_ms, version, tree, primitive),
                    ));
                }
                ("Polling-Request", Some(id)) => parts.extend(self.poll(id)),
                ("KeepAlive-Request", Some(id)) => {
                    parts.push(response(transaction, self.keep_alive(id, tree, primitive)));
                }
                ("Logout-Request", Some(id)) => {
                    ends = Some(id.to_owned());
                    let goodbye = match version {
                        Version::V11 => Elem::new("Disconnect").with(compose::result(200)),
                        Version::V12 => compose::status(200),
                    };
                    parts.push(response(transaction, goodbye));
                }
                // Nothing else is served by this reference yet: it says so.
                (_, Some(_)) => parts.push(response(transaction, compose::status(self.not_served()))),
                // It may be asked before login; that it is not served is no word about sessions.
                ("GetSPInfo-Request", None) => {
                    parts.push(response(transaction, compose::status(self.not_served())));
                }
                (_, None) => parts.push(response(transaction, compose::status(604))),
            }
        }
        let poll = session
            .as_deref()
            .and_then(|id| self.sessions.get(id))
            .is_some_and(|s| !s.queue.is_empty());
        if let Some(id) = ends
            && self.fault != Some(ServerFault::ServesAfterLogout)
        {
            self.sessions.remove(&id);
        }
        if parts.is_empty() {
            return Outgoing {
                status: 200,
                media_type: None,
                tree: None,
                answers: names,
            };
        }
        if envelope.session_type != SessionType::Inband {
            session = None;
        }
        Outgoing::message(
            compose::message(version, session.as_deref(), Some(poll), parts),
            names,
        )
    }

    fn not_served(&self) -> u16 {
        if self.fault == Some(ServerFault::SucceedsAlways) {
            200
        } else {
            405
        }
    }

    fn poll(&mut self, id: &str) -> Vec<Part> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Vec::new();
        };
        let queue = std::mem::take(&mut session.queue);
        queue
            .into_iter()
            .map(|primitive| Part {
                mode: Mode::Request,
                id: self.new_transaction_id(),
                primitive,
            })
            .collect()
    }

    fn new_transaction_id(&mut self) -> String {
        self.next_id += 1;
        format!("srv{}", self.next_id)
    }

    fn keep_alive(&mut self, id: &str, tree: &Tree, primitive: NodeId) -> Elem {
        let asked = tree.child_text(primitive, "TimeToLive");
        let max = self.config.max_keep_alive;
        let needs = self.fault == Some(ServerFault::NeedsTimeToLive);
        let Some(session) = self.sessions.get_mut(id) else {
            return compose::status(604);
        };
        let granted = match asked.as_deref().map(str::parse::<u32>) {
            None if needs => return compose::status(402),
            None => session.keep_alive,
            // A life of zero seconds would end the session at once: refused, the old value stays (KA-6).
            Some(Ok(0)) => return Elem::new("KeepAlive-Response").with(compose::result(605)),
            Some(Ok(seconds)) => seconds.min(max),
            Some(Err(_)) => return compose::status(402),
        };
        session.keep_alive = granted;
        Elem::new("KeepAlive-Response")
            .with(compose::result(200))
            .with(text("KeepAliveTime", granted.to_string()))
    }

    fn login(&mut self, now_ms: u64, version: Version, tree: &Tree, request: NodeId) -> Elem {
        let read = |name: &str| tree.child_text(request, name);
        let user = read("UserID").unwrap_or_default();
        let cookie = read("SessionCookie").unwrap_or_default();
        let client_id = copy_client_id(tree, request);
        let fail = |code: u16| {
            Elem::new("Login-Response")
                .with(client_id.clone())
                .with(compose::result(code))
        };
        let account = self
            .config
            .accounts
            .iter()
            .find(|a| a.user.eq_ignore_ascii_case(&user))
            .cloned();
        let schemas: Vec<String> = tree
            .elements(request)
            .filter(|e| tree.get(*e).name == "DigestSchema")
            .flat_map(|e| {
                tree.text(e)
                    .split(',')
                    .map(|s| s.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        let (password, digest) = (read("Password"), read("DigestBytes"));
        let ways = usize::from(password.is_some())
            + usize::from(digest.is_some())
            + usize::from(!schemas.is_empty());
        if ways != 1 {
            return fail(402);
        }
        // Several clients of one user may log in at one time (LG-9), each with its own challenge.
        let client = tree.child(request, "ClientID").map_or_else(String::new, |id| {
            tree.elements(id)
                .map(|e| tree.text(e))
                .collect::<Vec<_>>()
                .join(" ")
        });
        let key = (user.to_ascii_lowercase(), format!("{client} {cookie}"));
        let expected = match &account {
            Some(a) => a.password.clone(),
            None if self.fault == Some(ServerFault::AcceptsAnyUser) || self.open_to_all => {
                password.clone().unwrap_or_default()
            }
            None => return fail(531),
        };
        if !schemas.is_empty() {
            return self.challenge(now_ms, version, key, &schemas, &client_id);
        }
        let good = match (&password, &digest) {
            (Some(p), _) => *p == expected || self.fault == Some(ServerFault::AcceptsAnyPassword),
            (None, Some(_)) if self.open_to_all => true,
            (None, Some(d)) => self.digest_is_right(now_ms, &key, d, &expected),
            (None, None) => false,
        };
        if !good {
            return fail(409);
        }
        let asked = read("TimeToLive")
            .and_then(|t| t.parse::<u32>().ok())
            .filter(|t| *t > 0);
        let granted = asked
            .unwrap_or(self.config.max_keep_alive)
            .min(self.config.max_keep_alive);
        let id = if self.fault == Some(ServerFault::SharesSessionId) {
            "im#the-only-session".to_owned()
        } else {
            format!("im#{:016x}", self.random.u64(..))
        };
        self.open_session(now_ms, id.clone(), version, granted);
        Elem::new("Login-Response")
            .with(client_id)
            .with(compose::result(200))
            .with(text("SessionID", id))
            .with(text("KeepAliveTime", granted.to_string()))
            .with(text("CapabilityRequest", "F"))
    }

    fn challenge(
        &mut self,
        now_ms: u64,
        version: Version,
        key: (String, String),
        offered: &[String],
        client_id: &Elem,
    ) -> Elem {
        let answer = Elem::new("Login-Response").with(client_id.clone());
        let chosen = if self.fault == Some(ServerFault::NoDigestLogin) {
            None
        } else {
            [Schema::Sha, Schema::Md5, Schema::Pwd]
                .into_iter()
                .find(|s| offered.iter().any(|o| o == s.as_str()))
        };
        let Some(schema) = chosen else {
            return answer.with(compose::result(543));
        };
        let nonce = if self.fault == Some(ServerFault::ReplaysNonce) {
            "0123456789abcdef".to_owned()
        } else {
            format!("{:016x}{:016x}", self.random.u64(..), self.random.u64(..))
        };
        if self.challenges.len() >= MAX_CHALLENGES {
            let oldest = self
                .challenges
                .iter()
                .min_by_key(|(_, c)| c.since_ms)
                .map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.challenges.remove(&oldest);
            }
        }
        self.challenges.insert(
            key,
            PendingChallenge {
                nonce: nonce.clone(),
                schema,
                since_ms: now_ms,
            },
        );
        // Q2: the printed example has 200 here, two clients know 401.
        let code = match version {
            Version::V11 => 200,
            Version::V12 => 401,
        };
        answer
            .with(compose::result(code))
            .with(text("Nonce", nonce))
            .with(text("DigestSchema", schema.as_str()))
    }

    fn digest_is_right(&mut self, now_ms: u64, key: &(String, String), digest: &str, password: &str) -> bool {
        // A nonce is good once, whether the answer is right or not.
        let Some(challenge) = self.challenges.remove(key) else {
            return false;
        };
        if self.fault == Some(ServerFault::ReplaysNonce) {
            self.challenges.insert(
                key.clone(),
                PendingChallenge {
                    nonce: challenge.nonce.clone(),
                    ..challenge
                },
            );
        }
        if self.fault == Some(ServerFault::AcceptsAnyDigest) {
            return true;
        }
        now_ms.saturating_sub(challenge.since_ms) <= CHALLENGE_LIFE_MS
            && challenge.schema.digest(&challenge.nonce, password).as_deref() == Some(digest)
    }

    fn open_session(&mut self, now_ms: u64, id: String, version: Version, keep_alive: u32) {
        self.sessions.insert(
            id,
            Session {
                version,
                keep_alive,
                last_seen_ms: now_ms,
                queue: Vec::new(),
            },
        );
    }

    fn expire(&mut self, now_ms: u64) {
        self.sessions
            .retain(|_, s| now_ms.saturating_sub(s.last_seen_ms) < u64::from(s.keep_alive) * 1000);
    }
}

impl Outgoing {
    fn http(status: u16) -> Self {
        Self {
            status,
            media_type: None,
            tree: None,
            answers: Vec::new(),
        }
    }

    /// A message in HTTP 200.
    pub fn message(tree: Tree, answers: Vec<String>) -> Self {
        Self {
            status: 200,
            media_type: Some(MEDIA_TYPE_XML.to_owned()),
            tree: Some(tree),
            answers,
        }
    }
}

/// A request of the server with the contents that the lower tester sends.
///
/// # Errors
/// The primitive is not one that a tester can fill.
pub fn server_request(name: &str, user: &str) -> Result<Elem, String> {
    let sender = || Elem::new("User").with(text("UserID", user));
    Ok(match name {
        "PresenceNotification-Request" => {
            Elem::new(name).with(Elem::new("Presence").with(text("UserID", user)))
        }
        "InviteUser-Request" => Elem::new(name)
            .with(text("InviteID", "invite-1"))
            .with(text("InviteType", "IM"))
            .with(Elem::new("Sender").with(sender())),
        "Disconnect" => Elem::new(name).with(compose::result(601)),
        other => return Err(format!("no default contents for {other} of a server")),
    })
}

/// Whether an answer could be given although the message is invalid.
fn can_be_answered(tree: &Tree) -> bool {
    Envelope::of(tree).is_some_and(|e| {
        !e.transactions.is_empty()
            && e.transactions
                .iter()
                .all(|t| t.mode == Mode::Request && !t.id.is_empty() && t.name.ends_with("-Request"))
    })
}

fn response(transaction: &TransactionView, primitive: Elem) -> Part {
    Part {
        mode: Mode::Response,
        id: transaction.id.clone(),
        primitive,
    }
}

/// The ClientID of a request, to be given back as it came.
fn copy_client_id(tree: &Tree, request: NodeId) -> Elem {
    let mut out = Elem::new("ClientID");
    if let Some(id) = tree.child(request, "ClientID") {
        for child in tree.elements(id) {
            out = out.with(text(&tree.get(child).name, tree.text(child).trim()));
        }
    }
    out
}
