//! A server towards other servers, without I/O: set-ups, sessions, transactions. What a request asks for is
//! somebody else's: the engine hands it out as an event and takes the answer.

pub mod compose;
mod faults;
pub mod replies;
pub mod requests;

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;

use crate::check::ssp::{HeaderIds, digest, domain_of, domain_of_service, token_octets};
use crate::message::{Elem, Mode, NodeId, SSP_ROOT, SspEnvelope, SspTransaction, Tree, attr, ssp_code, text};
use crate::spec::{DigestFormula, SspVersion};

pub use faults::NodeFault;

/// The media type of messages of SSP.
pub const MEDIA_TYPE_SSP: &str = "application/vnd.wv.ssp+xml";

/// What a node needs to know.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The domain that it speaks for, small letters.
    pub domain: String,
    /// The version that it speaks.
    pub version: SspVersion,
    /// How PasswordDigest is made.
    pub formula: DigestFormula,
    /// Domains whose address it knows and with which there is an agreement, small letters.
    pub peers: Vec<String>,
    /// timeToLive that it wants, and the longest that it grants, in seconds.
    pub time_to_live: u32,
    /// Seed of tokens and identifiers.
    pub seed: u64,
}

/// A message for the server of another domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The domain.
    pub to: String,
    /// The message.
    pub tree: Tree,
    /// What the head repeats of it.
    pub head: HeaderIds,
    /// Names of the requests that it answers, for deviations.
    pub answers: Vec<String>,
}

/// What a message brought.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeEvent {
    /// A session with this domain is open.
    Opened(String),
    /// The set-up with this domain came to nothing.
    Failed(String),
    /// A request in the session of a domain; `id` is for the answer.
    Request {
        /// Who asks.
        domain: String,
        /// Its transactionID.
        id: String,
        /// The primitive.
        primitive: NodeId,
    },
    /// The answer to a request of this node.
    Response {
        /// Who answers.
        domain: String,
        /// transactionID of the request.
        id: String,
        /// The primitive.
        primitive: NodeId,
    },
}

/// What came of a POST.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// HTTP status; 0 for a connection that is closed without an answer.
    pub status: u16,
    /// What it brought, in order.
    pub events: Vec<NodeEvent>,
}

#[derive(Debug, Clone)]
struct Setup {
    /// Whether this node opened it.
    own: bool,
    id: String,
    /// The token that this node sent.
    token: Vec<u8>,
    /// The token that the other side sent.
    theirs: Option<Vec<u8>>,
    /// Whether the other side's digest was right.
    proven: bool,
    wanted: u32,
    since_ms: u64,
}

#[derive(Debug, Clone)]
struct Session {
    /// The id that this node sends.
    own: String,
    /// The id that the other side sends.
    theirs: String,
    seconds: u32,
    last_ms: u64,
}

#[derive(Debug, Clone)]
struct Waiting {
    id: String,
    primitive: Elem,
}

#[derive(Debug, Default)]
struct Peer {
    setup: Option<Setup>,
    /// The session id that this node issued in a set-up that is not complete.
    issued: Option<String>,
    session: Option<Session>,
    /// Requests that wait for a session.
    waiting: Vec<Waiting>,
    /// Requests that were sent and not answered: id and name.
    open: BTreeMap<String, String>,
}

/// A server towards other servers.
#[derive(Debug)]
pub struct NodeEngine {
    config: NodeConfig,
    fault: Option<NodeFault>,
    peers: BTreeMap<String, Peer>,
    outbox: VecDeque<Post>,
    random: fastrand::Rng,
    next: u64,
    /// A token and what proves it, kept by a fault.
    last_token: Option<Vec<u8>>,
    last_digest: Option<String>,
}

/// Longest time for a set-up, in milliseconds.
const SETUP_LIFE_MS: u64 = 30_000;
/// Most requests that wait for one session.
const MAX_WAITING: usize = 1_000;

impl NodeEngine {
    /// A node without sessions.
    pub fn new(config: NodeConfig) -> Self {
        let random = fastrand::Rng::with_seed(config.seed);
        Self {
            config,
            fault: None,
            peers: BTreeMap::new(),
            outbox: VecDeque::new(),
            random,
            next: 0,
            last_token: None,
            last_digest: None,
        }
    }

    /// The same node with a fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Option<NodeFault>) -> Self {
        self.fault = fault;
        self
    }

    /// Its settings.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// What is to be sent.
    pub fn outbox(&mut self) -> Vec<Post> {
        self.outbox.drain(..).collect()
    }

    /// Whether a session with this domain is open.
    pub fn has_session(&self, domain: &str) -> bool {
        self.peers.get(domain).is_some_and(|p| p.session.is_some())
    }

    /// Takes the body of a POST. `media_type` is without parameters.
    pub fn take(&mut self, now_ms: u64, tree: Option<&Tree>) -> Taken {
        self.expire(now_ms);
        let refused = |status| Taken {
            status,
            events: Vec::new(),
        };
        let lenient = self.fault == Some(NodeFault::TakesAnything);
        let Some(tree) = tree else {
            return refused(if lenient { 200 } else { 400 });
        };
        let Some(envelope) = SspEnvelope::of(tree) else {
            return refused(if lenient { 200 } else { 400 });
        };
        let odd = match self.fault {
            Some(NodeFault::MindsUnknownAttributes) => has_unknown_attribute(tree),
            Some(NodeFault::MindsTransactionIds) => envelope
                .transactions
                .iter()
                .any(|t| !t.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')),
            _ => false,
        };
        if odd {
            return refused(400);
        }
        let events = if envelope.setup {
            self.setup(now_ms, tree, &envelope.transactions[0])
        } else {
            match self.session_of(&envelope) {
                Some(domain) => {
                    let claimed = requestor(tree).filter(|d| self.peers.contains_key(d));
                    let domain = match self.fault {
                        Some(NodeFault::BelievesRequestor) => claimed.unwrap_or(domain),
                        _ => domain,
                    };
                    self.transactions(now_ms, &domain, &envelope)
                }
                None => Err(400),
            }
        };
        match events {
            Ok(events) => Taken { status: 200, events },
            Err(status) => refused(status),
        }
    }

    /// Sends a request to the server of a domain, after a set-up where there is no session; its
    /// transactionID. None where there is no such peer.
    pub fn request(&mut self, now_ms: u64, domain: &str, primitive: Elem) -> Option<String> {
        self.expire(now_ms);
        if !self.config.peers.iter().any(|p| p == domain) {
            return None;
        }
        let id = self.new_id();
        let peer = self.peers.entry(domain.to_owned()).or_default();
        let afresh = self.fault == Some(NodeFault::SetupForEachRequest) && peer.setup.is_none();
        if peer.session.is_some() && !afresh {
            self.send(domain, id.clone(), primitive);
            return Some(id);
        }
        if peer.waiting.len() < MAX_WAITING && self.fault != Some(NodeFault::ForgetsWaiting) {
            peer.waiting.push(Waiting {
                id: id.clone(),
                primitive,
            });
        }
        if peer.setup.is_none() {
            self.open(now_ms, domain);
        }
        Some(id)
    }

    /// Answers a request.
    pub fn respond(&mut self, domain: &str, id: &str, request: &str, primitive: Elem) {
        let Some(peer) = self.peers.get(domain) else {
            return;
        };
        let (own, theirs) = match (&peer.session, self.fault) {
            (Some(session), _) => (session.own.clone(), session.theirs.clone()),
            (None, Some(NodeFault::ServesUnknownSession)) => {
                (format!("0@{}", self.config.domain), String::new())
            }
            (None, _) => return,
        };
        let tree = compose::in_session(
            self.config.version,
            &own,
            [compose::Part {
                mode: Mode::Response,
                id: id.to_owned(),
                primitive,
            }],
        );
        self.outbox.push_back(Post {
            to: domain.to_owned(),
            tree,
            head: HeaderIds {
                transaction: None,
                session: Some(theirs),
            },
            answers: vec![request.to_owned()],
        });
    }

    /// A message for this domain could not be delivered: whatever was begun with it is over. The ids of
    /// the requests that are lost.
    pub fn undelivered(&mut self, domain: &str) -> Vec<String> {
        let Some(peer) = self.peers.get_mut(domain) else {
            return Vec::new();
        };
        peer.setup = None;
        let waiting = std::mem::take(&mut peer.waiting).into_iter().map(|w| w.id);
        let open = std::mem::take(&mut peer.open).into_keys();
        waiting.chain(open).collect()
    }

    /// Begins a set-up.
    fn open(&mut self, now_ms: u64, domain: &str) {
        let id = self.new_setup_id();
        let token = self.new_token();
        let message = self.token_message(Mode::Request, &id, &token);
        let wanted = self.config.time_to_live;
        let peer = self.peers.entry(domain.to_owned()).or_default();
        peer.setup = Some(Setup {
            own: true,
            id,
            token: token.into_bytes(),
            theirs: None,
            proven: false,
            wanted,
            since_ms: now_ms,
        });
        self.post(domain, message);
    }

    fn post(&mut self, domain: &str, tree: Tree) {
        let head = compose::head_of(&tree);
        self.outbox.push_back(Post {
            to: domain.to_owned(),
            tree,
            head,
            answers: Vec::new(),
        });
    }

    fn send(&mut self, domain: &str, id: String, primitive: Elem) {
        let Some(peer) = self.peers.get_mut(domain) else {
            return;
        };
        let Some(session) = &peer.session else { return };
        let sent = match self.fault {
            Some(NodeFault::SendsIdOfOther) => &session.theirs,
            _ => &session.own,
        };
        peer.open.insert(id.clone(), primitive.name().to_owned());
        let tree = compose::in_session(
            self.config.version,
            sent,
            [compose::Part {
                mode: Mode::Request,
                id,
                primitive,
            }],
        );
        self.post(domain, tree);
    }

    /// The domain whose session a message belongs to: by the id of its sender.
    fn session_of(&self, envelope: &SspEnvelope) -> Option<String> {
        let id = envelope.session_id.as_deref()?;
        let known = self
            .peers
            .iter()
            .find(|(_, p)| p.session.as_ref().is_some_and(|s| s.theirs == id))
            .map(|(d, _)| d.clone());
        match self.fault {
            // Whoever claims to be of a domain is believed.
            Some(NodeFault::ServesUnknownSession) => known.or_else(|| {
                let domain = domain_of(id)?;
                self.peers.contains_key(&domain).then_some(domain)
            }),
            _ => known,
        }
    }

    fn transactions(
        &mut self,
        now_ms: u64,
        domain: &str,
        envelope: &SspEnvelope,
    ) -> Result<Vec<NodeEvent>, u16> {
        let mut events = Vec::new();
        let peer = self.peers.get_mut(domain).ok_or(400_u16)?;
        if let Some(session) = &mut peer.session {
            session.last_ms = now_ms;
        }
        for transaction in &envelope.transactions {
            let Some(primitive) = transaction.primitive else {
                continue;
            };
            if transaction.id.is_empty() && self.fault != Some(NodeFault::TakesAnything) {
                continue;
            }
            if self.fault == Some(NodeFault::FirstTransactionOnly) && !events.is_empty() {
                break;
            }
            let (domain, id) = (domain.to_owned(), transaction.id.clone());
            match transaction.mode {
                Mode::Request => events.push(NodeEvent::Request {
                    domain,
                    id,
                    primitive,
                }),
                Mode::Response => {
                    // Answers to nothing are dropped, but for one fault.
                    let known = peer.open.remove(&id).is_some();
                    if known || self.fault == Some(NodeFault::AnswersResponses) {
                        events.push(NodeEvent::Response {
                            domain,
                            id,
                            primitive,
                        });
                    }
                }
                Mode::Other(_) => {}
            }
        }
        Ok(events)
    }

    fn setup(
        &mut self,
        now_ms: u64,
        tree: &Tree,
        transaction: &SspTransaction,
    ) -> Result<Vec<NodeEvent>, u16> {
        let Some(primitive) = transaction.primitive else {
            return Err(400);
        };
        if transaction.id.is_empty() {
            return Err(400);
        }
        let service = tree
            .attribute(primitive, "serviceID")
            .and_then(|s| domain_of_service(&s));
        match (transaction.name.as_str(), &transaction.mode) {
            ("SendSecretToken", Mode::Request) => {
                self.asked_for_token(now_ms, tree, transaction, primitive, service)
            }
            ("SendSecretToken", Mode::Response) => {
                self.token_came(tree, primitive, service);
                Ok(Vec::new())
            }
            ("LoginRequest", _) => self.login_request(now_ms, tree, transaction, primitive, service),
            ("LoginResponse", _) => self.login_response(now_ms, tree, transaction, primitive),
            _ => Err(400),
        }
    }

    /// Step 1 came: step 2 goes to the address that is known for the domain, or nowhere.
    fn asked_for_token(
        &mut self,
        now_ms: u64,
        tree: &Tree,
        transaction: &SspTransaction,
        primitive: NodeId,
        service: Option<String>,
    ) -> Result<Vec<NodeEvent>, u16> {
        let token = tree
            .child(primitive, "SecretToken")
            .and_then(|t| token_octets(tree, t));
        let (Some(domain), Some(theirs)) = (service, token) else {
            return Err(0);
        };
        let known =
            self.config.peers.contains(&domain) || self.fault == Some(NodeFault::AnswersUnknownDomain);
        if !known || domain == self.config.domain {
            // No answer: whoever claims this cannot be reached.
            return Err(0);
        }
        if tree
            .attribute(primitive, "protocolVersion")
            .is_some_and(|v| !is_spoken(v.trim()))
            && self.fault != Some(NodeFault::TakesAnyVersion)
        {
            return Err(0);
        }
        let theirs = if self.fault == Some(NodeFault::TokenIsText) {
            let at = tree.child(primitive, "SecretToken");
            at.map(|t| tree.text(t).trim().as_bytes().to_vec())
                .unwrap_or(theirs)
        } else {
            theirs
        };
        let peer = self.peers.entry(domain.clone()).or_default();
        if let Some(setup) = &mut peer.setup
            && setup.own
            && self.fault != Some(NodeFault::CrossingDeadlock)
        {
            // Both opened at once: the set-up of the domain that comes first in the alphabet goes on.
            if self.config.domain < domain {
                return Ok(Vec::new());
            }
        } else if peer.setup.as_ref().is_some_and(|s| s.own) {
            peer.setup = None;
            return Ok(vec![NodeEvent::Failed(domain)]);
        }
        let answer_id = self.new_setup_id();
        let token = self.new_token();
        let wanted = self.config.time_to_live;
        let peer = self.peers.entry(domain.clone()).or_default();
        peer.issued = None;
        peer.setup = Some(Setup {
            own: false,
            id: transaction.id.clone(),
            token: token.clone().into_bytes(),
            theirs: Some(theirs),
            proven: false,
            wanted,
            since_ms: now_ms,
        });
        let message = self.token_message(Mode::Response, &answer_id, &token);
        self.post(&domain, message);
        Ok(Vec::new())
    }

    /// Step 2 came: step 3.
    fn token_came(&mut self, tree: &Tree, primitive: NodeId, service: Option<String>) {
        let token = tree
            .child(primitive, "SecretToken")
            .and_then(|t| token_octets(tree, t));
        let (Some(domain), Some(theirs)) = (service, token) else {
            return;
        };
        let wanted = self.config.time_to_live;
        let Some(setup) = self.peers.get_mut(&domain).and_then(|p| p.setup.as_mut()) else {
            return;
        };
        if !setup.own || setup.theirs.is_some() {
            return;
        }
        setup.theirs = Some(theirs.clone());
        let id = setup.id.clone();
        let message = self.login_message(Mode::Request, &id, &theirs, wanted);
        self.post(&domain, message);
    }

    fn login_request(
        &mut self,
        now_ms: u64,
        tree: &Tree,
        transaction: &SspTransaction,
        primitive: NodeId,
        service: Option<String>,
    ) -> Result<Vec<NodeEvent>, u16> {
        let initiated = transaction.mode == Mode::Request;
        let Some(domain) = service else { return Err(0) };
        let formula = self.config.formula.clone();
        let fault = self.fault;
        let last = self.last_digest.clone();
        let longest = self.config.time_to_live;
        if fault == Some(NodeFault::SetupWithoutToken) && self.config.peers.contains(&domain) {
            self.peers.entry(domain.clone()).or_default();
        }
        let Some(peer) = self.peers.get_mut(&domain) else {
            return Err(0);
        };
        let Some(setup) = peer.setup.as_mut() else {
            if fault != Some(NodeFault::SetupWithoutToken) {
                return Err(0);
            }
            peer.setup = Some(Setup {
                own: false,
                id: transaction.id.clone(),
                token: Vec::new(),
                theirs: Some(Vec::new()),
                proven: true,
                wanted: longest,
                since_ms: now_ms,
            });
            let message = self.login_message(Mode::Response, &transaction.id, &[], longest);
            self.post(&domain, message);
            return Ok(Vec::new());
        };
        if setup.own == initiated || setup.id != transaction.id {
            return Err(0);
        }
        let found = tree
            .child(primitive, "PasswordDigest")
            .map(|d| match fault {
                Some(NodeFault::MindsSpace) => tree.text(d),
                _ => tree.text(d).trim().to_owned(),
            })
            .unwrap_or_default();
        let right = digest(&formula, &setup.token) == found;
        let taken = right
            || fault == Some(NodeFault::TakesAnyDigest)
            || fault == Some(NodeFault::TakesOldDigest) && last.as_deref() == Some(&*found);
        if !taken {
            peer.setup = None;
            peer.issued = None;
            peer.waiting.clear();
            return Err(0);
        }
        setup.proven = true;
        let asked = tree
            .attribute(primitive, "timeToLive")
            .and_then(|t| t.trim().parse::<u32>().ok());
        let asked = asked.unwrap_or(longest);
        let granted = match fault {
            Some(NodeFault::GrantsMore) => asked.saturating_mul(2).max(asked + 1),
            _ => asked.min(longest),
        };
        let id = setup.id.clone();
        let theirs = setup.theirs.clone().unwrap_or_default();
        setup.wanted = granted;
        if right {
            self.last_digest = Some(found);
        }
        if initiated {
            let message = self.login_message(Mode::Response, &id, &theirs, longest);
            self.post(&domain, message);
        } else {
            let session = self.issue(&domain);
            let message = self.login_answer(Mode::Request, &id, &session, granted);
            self.post(&domain, message);
        }
        Ok(Vec::new())
    }

    fn login_response(
        &mut self,
        now_ms: u64,
        tree: &Tree,
        transaction: &SspTransaction,
        primitive: NodeId,
    ) -> Result<Vec<NodeEvent>, u16> {
        let initiated = transaction.mode == Mode::Request;
        let fault = self.fault;
        let found = self
            .peers
            .iter()
            .find(|(_, p)| {
                p.setup
                    .as_ref()
                    .is_some_and(|s| s.own != initiated && s.id == transaction.id)
            })
            .map(|(d, _)| d.clone());
        let Some(domain) = found else { return Err(0) };
        let good =
            ssp_code(tree, primitive).is_some_and(|c| c / 100 == 2) || fault == Some(NodeFault::TakesRefusal);
        let theirs = tree
            .attribute(primitive, "sessionID")
            .map(|s| s.trim().to_owned());
        let theirs = theirs.filter(|s| !s.is_empty());
        let proven = |s: &Setup| s.proven || fault == Some(NodeFault::SetupWithoutProof);
        let granted = tree
            .attribute(primitive, "timeToLive")
            .and_then(|t| t.trim().parse::<u32>().ok());
        let Some(peer) = self.peers.get_mut(&domain) else {
            return Err(0);
        };
        let setup = peer.setup.as_ref();
        let (Some(theirs), true, true) = (theirs, good, setup.is_some_and(proven)) else {
            peer.setup = None;
            peer.issued = None;
            return Ok(vec![NodeEvent::Failed(domain)]);
        };
        let (id, wanted) = setup.map(|s| (s.id.clone(), s.wanted)).unwrap_or_default();
        peer.setup = None;
        let own = match peer.issued.take() {
            Some(own) if !initiated => own,
            _ => self.issue(&domain),
        };
        let seconds = granted.unwrap_or(wanted).min(wanted.max(1));
        let Some(peer) = self.peers.get_mut(&domain) else {
            return Err(0);
        };
        peer.issued = None;
        peer.session = Some(Session {
            own: own.clone(),
            theirs,
            seconds,
            last_ms: now_ms,
        });
        peer.open.clear();
        if initiated {
            let message = self.login_answer(Mode::Response, &id, &own, wanted);
            self.post(&domain, message);
        }
        let waiting = self
            .peers
            .get_mut(&domain)
            .map(|p| std::mem::take(&mut p.waiting))
            .unwrap_or_default();
        for waiting in waiting {
            self.send(&domain, waiting.id, waiting.primitive);
        }
        Ok(vec![NodeEvent::Opened(domain)])
    }

    fn issue(&mut self, domain: &str) -> String {
        let word = self.random.u64(..);
        let local = match self.fault {
            Some(NodeFault::SessionIdWithoutDomain) => format!("{word:016x}"),
            _ => format!("{word:016x}@{}", self.config.domain),
        };
        if let Some(peer) = self.peers.get_mut(domain) {
            peer.issued = Some(local.clone());
        }
        local
    }

    /// SendSecretToken of this node.
    pub fn token_message(&self, mode: Mode, id: &str, token: &str) -> Tree {
        let primitive = Elem::new("SendSecretToken")
            .with(attr("serviceID", format!("wv:@{}", self.config.domain)))
            .with(attr("protocol", "WV-SSP"))
            .with(attr("protocolVersion", self.config.version.as_str()))
            .with(text("SecretToken", token));
        compose::in_setup(self.config.version, mode, id, primitive)
    }

    /// LoginRequest of this node, with the proof that it got `token`.
    pub fn login_message(&self, mode: Mode, id: &str, token: &[u8], wanted: u32) -> Tree {
        let proof =
            text("PasswordDigest", digest(&self.config.formula, token)).with(attr("encoding", "base64"));
        let primitive = Elem::new("LoginRequest")
            .with(attr("serviceID", format!("wv:@{}", self.config.domain)))
            .with(attr("timeToLive", wanted.to_string()))
            .with(proof);
        compose::in_setup(self.config.version, mode, id, primitive)
    }

    /// LoginResponse of this node, with the id that it sends from now on.
    pub fn login_answer(&self, mode: Mode, id: &str, session: &str, granted: u32) -> Tree {
        let primitive = Elem::new("LoginResponse")
            .with(attr("sessionID", session))
            .with(attr("timeToLive", granted.to_string()))
            .with(compose::status(200));
        compose::in_setup(self.config.version, mode, id, primitive)
    }

    fn new_token(&mut self) -> String {
        if let (Some(NodeFault::SameToken), Some(last)) = (self.fault, &self.last_token) {
            return String::from_utf8_lossy(last).into_owned();
        }
        let octets: Vec<u8> = (0..18).map(|_| self.random.u8(..)).collect();
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(octets);
        self.last_token = Some(token.clone().into_bytes());
        token
    }

    fn new_id(&mut self) -> String {
        self.next += 1;
        match self.fault {
            Some(NodeFault::SameTransactionId) => "0000000001-0".to_owned(),
            _ => format!("{:010}-0", self.next),
        }
    }

    fn new_setup_id(&mut self) -> String {
        self.next += 1;
        self.next.to_string()
    }

    fn expire(&mut self, now_ms: u64) {
        let never = self.fault == Some(NodeFault::NeverExpires);
        for peer in self.peers.values_mut() {
            let old = |s: &Setup| now_ms.saturating_sub(s.since_ms) >= SETUP_LIFE_MS;
            if peer.setup.as_ref().is_some_and(old) {
                peer.setup = None;
                peer.issued = None;
            }
            let dead = |s: &Session| now_ms.saturating_sub(s.last_ms) >= u64::from(s.seconds) * 1000;
            if !never && peer.session.as_ref().is_some_and(dead) {
                peer.session = None;
                peer.open.clear();
            }
        }
    }
}

/// The domain that the first Requestor of a message claims.
fn requestor(tree: &Tree) -> Option<String> {
    let at = tree.walk(tree.root()).into_iter();
    let found = at.filter(|e| tree.get(*e).name == "Requestor");
    let service = found.filter_map(|e| tree.attribute(e, "serviceID")).next()?;
    domain_of_service(&service)
}

/// Whether a message has an attribute that is no part of SSP; the lower tester calls such a one `colour`.
fn has_unknown_attribute(tree: &Tree) -> bool {
    tree.walk(tree.root())
        .into_iter()
        .any(|e| tree.attribute(e, "colour").is_some())
}

/// Whether a protocolVersion is one that can be spoken here.
fn is_spoken(version: &str) -> bool {
    matches!(version, "1.2" | "1.3")
}

/// The root of a message in a version.
fn root(version: SspVersion) -> Elem {
    Elem::new(SSP_ROOT).in_namespace(version.namespace())
}
