//! The server engine: takes one HTTP body, gives one. Time is a number that the caller hands in.

mod carrier;
mod cir;
mod faults;
mod fundamental;
mod groups;
mod lists;
mod login;
mod messages;
mod negotiation;
mod partial;
mod presence;
mod relay;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::services::Functions;
use crate::check::{Checker, Rule};
use crate::codec::xml;
use crate::message::{Elem, Envelope, Message, Mode, NodeId, SessionType, TransactionView, Tree, text};
use crate::spec::Version;
use crate::verdict::Strength;

use super::compose::{self, Part};
use super::digest::Schema;
use super::names::Names;
use super::server_requests::server_request;
use super::{Credentials, is_xml_type};
pub use carrier::{Incoming, Outgoing};
pub use cir::{CirOffer, Hello, Sleeper, Wake, cir_text};
pub use faults::ServerFault;
use relay::{Closing, Served};
pub use relay::{PeerAnswer, RelayFault, ToPeer};
pub use world::served_functions;
use world::{Call, World};

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Who may log in.
    pub accounts: Vec<Credentials>,
    /// Longest KeepAliveTime granted, in seconds.
    pub max_keep_alive: u32,
    /// Functions of the service tree that are served.
    pub functions: Vec<String>,
    /// Seed of session ids and nonces.
    pub seed: u64,
}

#[derive(Debug)]
struct Session {
    version: Version,
    /// User (lower case) and client that logged in.
    client: (String, String),
    keep_alive: u32,
    last_seen_ms: u64,
    queue: Vec<Elem>,
    /// Ended by a later login of the same client: over once that is told.
    ending: bool,
    /// Functions that were wanted and not granted; none before service negotiation.
    refused: Option<Functions>,
    /// Functions that were wanted; none before service negotiation.
    wanted: Option<Functions>,
    /// Longest message that the client can parse, in octets.
    parser_size: Option<usize>,
    /// Transactions that the client takes at a time.
    multi_trans: usize,
    /// What the client agreed to: how messages are delivered, and the longest content that is pushed.
    delivery: Delivery,
    /// Requests of the server that were sent and not answered yet, by TransactionID.
    sent: BTreeMap<String, Elem>,
    /// Negotiations so far.
    negotiations: u32,
    /// How the client is told that data waits.
    cir: cir::Channels,
    /// Of a user of another domain: no client has it, nor can name it.
    remote: bool,
}

impl Session {
    /// A session in which nothing was said yet.
    fn new(version: Version, client: (String, String), keep_alive: u32, now_ms: u64) -> Self {
        Self {
            version,
            client,
            keep_alive,
            last_seen_ms: now_ms,
            queue: Vec::new(),
            ending: false,
            refused: None,
            wanted: None,
            parser_size: None,
            multi_trans: MAX_REQUESTS,
            delivery: Delivery::default(),
            sent: BTreeMap::new(),
            negotiations: 0,
            cir: cir::Channels::default(),
            remote: false,
        }
    }
}

/// How a session gets its messages (DL-3 to DL-5).
#[derive(Debug, Clone, Default)]
struct Delivery {
    /// Announced and fetched (N), not pushed (P).
    notify: bool,
    /// Longest content that is pushed, in octets.
    longest: Option<u64>,
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
    /// Whether everybody and everything that a client names exists.
    hospitable: bool,
    world: World,
    cir: CirOffer,
    /// Who sent the request in hand.
    peer: Option<std::net::IpAddr>,
    /// Whether a session has expired so far.
    expired: bool,
    /// Whether the message in hand is invalid, and is served all the same (a fault).
    lenient: bool,
    relay: relay::State,
}

/// Longest time between the legs of a 4-way login, in milliseconds.
const CHALLENGE_LIFE_MS: u64 = 60_000;
/// Most requests of the server in one message to a client that did not say how many it takes.
const MAX_REQUESTS: usize = 10;
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
            hospitable: false,
            world: World::default(),
            cir: CirOffer::default(),
            peer: None,
            expired: false,
            lenient: false,
            relay: relay::State::default(),
        }
    }

    /// Lets in whoever comes, whatever the proof: for clients that are only watched.
    #[must_use]
    pub fn open_to_all(mut self, yes: bool) -> Self {
        self.open_to_all = yes;
        self
    }

    /// Lets everybody and everything exist that a client names: users, groups, contact lists. For the
    /// lower tester, whose client under test is the only user there is.
    #[must_use]
    pub fn hospitable(mut self) -> Self {
        self.hospitable = true;
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
        for session in self.sessions.values_mut().filter(|s| !s.remote) {
            session.queue.push(primitive.clone());
        }
    }

    /// Whether this session is open.
    pub fn has_session(&self, id: &str) -> bool {
        self.sessions.get(id).is_some_and(|s| !s.remote)
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.values().filter(|s| !s.remote).count()
    }

    /// Answers one HTTP request. `now_ms` never goes back.
    pub fn handle(&mut self, now_ms: u64, request: &Incoming<'_>) -> Outgoing {
        self.expire(now_ms);
        self.expire_messages(now_ms);
        self.remote_users_live(now_ms);
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
        let large = self.fault == Some(ServerFault::RefusesLargeNumbers) && has_largest(&message.tree);
        if invalid && !lenient || large {
            return self.refuse_whole(&message, 400);
        }
        let root = message.tree.get(message.tree.root());
        if root.name == "WV-CSP-VersionDiscovery-Request" {
            return Outgoing::message(Self::discovery(), vec![root.name.clone()]);
        }
        let (Some(version), Some(envelope)) = (checked.version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        self.lenient = broken || invalid;
        self.answer(now_ms, version, &message.tree, &envelope)
    }

    /// A message that cannot be taken: Status under its TransactionID where that can be read, HTTP
    /// 400 otherwise (TR-10).
    fn refuse_whole(&mut self, message: &Message, code: u16) -> Outgoing {
        let version = Version::of_namespace(&message.tree.get(message.tree.root()).namespace).map(|(v, _)| v);
        let (Some(version), Some(envelope)) = (version, Envelope::of(&message.tree)) else {
            return Outgoing::http(400);
        };
        let open = envelope.session_id.clone().filter(|s| self.has_session(s));
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
        let mut open = Vec::new();
        let mut session = match envelope.session_type {
            SessionType::Inband => envelope.session_id.clone(),
            _ => None,
        };
        let mut known = session.as_deref().is_some_and(|id| self.has_session(id));
        if session.is_some() && !known && self.fault == Some(ServerFault::ServesUnknownSession) {
            let client = (String::new(), String::new());
            self.open_session(now_ms, session.clone().unwrap_or_default(), version, client, 60);
            known = true;
        }
        if let Some(open) = session
            .as_deref()
            .and_then(|id| self.sessions.get_mut(id))
            .filter(|s| !s.remote)
        {
            let only_polls = envelope.transactions.iter().all(|t| t.name == "Polling-Request");
            if !(only_polls && self.fault == Some(ServerFault::PollIsNoSignOfLife)) {
                open.last_seen_ms = now_ms;
            }
            known = open.version == version;
        }
        // What is agreed in this message counts from the next on.
        let parser_size = session
            .as_deref()
            .and_then(|id| self.sessions.get(id))
            .and_then(|s| s.parser_size)
            .filter(|_| self.fault != Some(ServerFault::IgnoresParserSize));
        let mut ends = None;
        for transaction in &envelope.transactions {
            if transaction.mode == Mode::Response && self.fault != Some(ServerFault::IgnoresMode) {
                // The client's answer to a server request: nothing follows (HT-4).
                if let (true, Some(id)) = (known, session.as_deref()) {
                    self.take_answer(id, tree, transaction);
                }
                continue;
            }
            names.push(transaction.name.clone());
            if self.fault == Some(ServerFault::AnswersFirstOnly) && !parts.is_empty() {
                continue;
            }
            if session.is_some() && !known {
                let odd = self.expired && self.fault == Some(ServerFault::CodeOfExpired);
                parts.push(response(
                    transaction,
                    compose::status(if odd { 403 } else { 604 }),
                ));
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
                ("ClientCapability-Request", Some(id)) => {
                    let answer = match self.negotiates_again(id) {
                        true => self.capabilities(id, version, tree, primitive),
                        false => compose::status(403),
                    };
                    parts.push(response(transaction, answer));
                }
                ("Service-Request", Some(id)) => {
                    let answer = match self.negotiates_again(id) {
                        true => self.services(id, version, tree, primitive),
                        false => compose::status(403),
                    };
                    parts.push(response(transaction, answer));
                }
                ("GetSPInfo-Request", None) => {
                    parts.push(response(transaction, self.provider_info(tree, primitive)));
                }
                (name, Some(id)) => {
                    let user = self.sessions.get(id).map(|s| s.client.0.clone());
                    let call = Call {
                        session: id,
                        user: self.canonical(&user.unwrap_or_default()),
                        version,
                        now_ms,
                        tree,
                        node: primitive,
                        name,
                    };
                    let answer = match self.refusal(id, name) {
                        Some(code) => compose::status(self.refusal_code(code)),
                        None if name == "GetSPInfo-Request" => self.provider_info(tree, primitive),
                        None => match self.serve_or_relay(&call) {
                            Served::Now(answer) => answer,
                            Served::Later(sum) => {
                                open.push((parts.len(), sum));
                                // Takes the place of what peers will say.
                                compose::status(200)
                            }
                        },
                    };
                    parts.push(response(transaction, answer));
                }
                (_, None) => parts.push(response(transaction, compose::status(604))),
            }
        }
        let promises = self.fault == Some(ServerFault::PollPromisesNothing)
            && names.iter().any(|n| n == "KeepAlive-Request");
        let poll = session
            .as_deref()
            .and_then(|id| self.sessions.get(id))
            .is_some_and(|s| !s.queue.is_empty() || promises);
        if let Some(id) = ends
            && self.fault != Some(ServerFault::ServesAfterLogout)
        {
            self.end_session(&id);
        }
        if parts.is_empty() {
            return Outgoing {
                status: 200,
                media_type: None,
                tree: None,
                answers: names,
                held: None,
            };
        }
        if envelope.session_type != SessionType::Inband {
            session = None;
        }
        let closing = Closing {
            version,
            session,
            parser_size,
            names,
            parts,
            promises,
            poll: Some(poll),
        };
        match open.is_empty() {
            true => self.close(closing),
            false => self.hold(closing, open),
        }
    }

    fn refusal_code(&self, code: u16) -> u16 {
        if self.fault == Some(ServerFault::SucceedsAlways) {
            200
        } else {
            code
        }
    }

    /// Counts the negotiations of a session; whether this one is taken.
    fn negotiates_again(&mut self, id: &str) -> bool {
        let once = self.fault == Some(ServerFault::NegotiatesOnce);
        self.sessions.get_mut(id).is_none_or(|s| {
            s.negotiations += 1;
            // One of each kind is the first negotiation.
            !once || s.negotiations <= 1
        })
    }

    fn poll(&mut self, id: &str) -> Vec<Part> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Vec::new();
        };
        let most = session.multi_trans.min(session.queue.len());
        let mut queue: Vec<Elem> = session.queue.drain(..most).collect();
        let unwanted = match self.fault {
            Some(ServerFault::SendsUnwantedRequests) if session.refused.is_some() => 1,
            Some(ServerFault::SendsManyRequests) if session.parser_size.is_some() => 3,
            _ => 0,
        };
        let (user, version) = (session.client.0.clone(), session.version);
        let names = Names::of_client(&user);
        queue
            .extend((0..unwanted).filter_map(|_| server_request(version, "InviteUser-Request", &names).ok()));
        if session.ending {
            self.end_session(id);
        }
        let mut parts = Vec::new();
        for primitive in queue {
            let transaction = self.new_transaction_id();
            if let Some(session) = self.sessions.get_mut(id) {
                session.sent.insert(transaction.clone(), primitive.clone());
            }
            parts.push(Part {
                mode: Mode::Request,
                id: transaction,
                primitive,
            });
        }
        parts
    }

    /// A client answers a request of this server: once.
    fn take_answer(&mut self, id: &str, tree: &Tree, transaction: &TransactionView) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(request) = session.sent.remove(&transaction.id) {
            let user = session.client.0.clone();
            let user = self.canonical(&user);
            self.confirmed(id, &user, &request, (tree, transaction));
        }
    }

    fn end_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.remove(id) {
            self.departed(&session);
        }
    }

    fn new_transaction_id(&mut self) -> String {
        self.next_id += 1;
        format!("srv{}", self.next_id)
    }

    fn keep_alive(&mut self, id: &str, tree: &Tree, primitive: NodeId) -> Elem {
        let asked = tree.child_text(primitive, "TimeToLive");
        let max = self.config.max_keep_alive;
        let needs = self.fault == Some(ServerFault::NeedsTimeToLive);
        if asked.as_deref() == Some("0") && self.fault == Some(ServerFault::EndsSessionOnRefusedTime) {
            self.end_session(id);
            return Elem::new("KeepAlive-Response").with(compose::result(605));
        }
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
        if self.fault != Some(ServerFault::KeepsFirstTime) {
            session.keep_alive = granted;
        }
        Elem::new("KeepAlive-Response")
            .with(compose::result(200))
            .with(text("KeepAliveTime", granted.to_string()))
    }

    fn open_session(
        &mut self,
        now_ms: u64,
        id: String,
        version: Version,
        client: (String, String),
        keep_alive: u32,
    ) {
        let user = self.canonical(&client.0);
        self.sessions
            .insert(id, Session::new(version, client, keep_alive, now_ms));
        self.arrived(now_ms, &user);
    }

    fn expire(&mut self, now_ms: u64) {
        if self.fault == Some(ServerFault::NeverExpires) {
            return;
        }
        let dead = |s: &Session| {
            !s.remote && now_ms.saturating_sub(s.last_seen_ms) >= u64::from(s.keep_alive) * 1000
        };
        let over: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, s)| dead(s))
            .map(|(id, _)| id.clone())
            .collect();
        self.expired |= !over.is_empty();
        for id in over {
            self.end_session(&id);
        }
    }
}

/// Whether a value is the largest number of the protocol; StopSearch-Request names a search by it that
/// nobody started.
fn has_largest(tree: &Tree) -> bool {
    tree.walk(tree.root())
        .into_iter()
        .any(|e| tree.get(e).name != "SearchID" && tree.text(e).trim() == "4294967295")
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
