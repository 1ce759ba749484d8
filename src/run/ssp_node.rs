//! A node of the lower tester: the server of a peer domain, with a listener, that speaks SSP with the server
//! under test. It answers like a correct server unless a case has it do otherwise.

use std::collections::VecDeque;

use crate::base::ItemId;
use crate::check::ssp::{HeaderIds, SspConversation, token_octets};
use crate::codec::deviation::Edit;
use crate::message::{Elem, Message, Mode, NodeId, SspEnvelope, Tree};
use crate::peer::ssp::requests::{SspNames, request};
use crate::peer::ssp::{NodeConfig, NodeEngine, compose, replies};
use crate::spec::SspProfile;
use crate::transport::server::Listener;

/// A listener of a domain that the suite plays; it may outlive a case.
#[derive(Debug)]
pub struct Seat {
    /// `N` or `M`.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// Where its messages are taken.
    pub listener: Listener,
    /// Whether it offers TLS.
    pub offers_tls: bool,
    /// What is known from earlier cases.
    pub past: Past,
}

/// What outlives a case: the server under test goes on with a session that it has.
#[derive(Debug, Default)]
pub struct Past {
    conversation: Option<SspConversation>,
    own_session: Option<String>,
    their_session: Option<String>,
    proven: bool,
    next: u64,
}

/// What a node answers to the next request of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The primitive.
    pub primitive: String,
    /// Status in place of the answer.
    pub status: Option<u16>,
    /// No answer at all.
    pub silent: bool,
    /// Changes of the answer, or of the acknowledgement by HTTP.
    pub edits: Vec<Edit>,
}

/// A message of the server under test.
#[derive(Debug, Clone)]
pub struct Came {
    /// The message with this transaction alone.
    pub message: Message,
    /// Setup or not, and the transaction.
    pub envelope: SspEnvelope,
    /// Exchange that brought it.
    pub number: u32,
    /// Items that it broke.
    pub breaches: Vec<ItemId>,
    /// Whether a step has taken it.
    pub taken: bool,
    /// Whether it came in the procedure.
    pub counts: bool,
}

impl Came {
    /// Name of its first primitive.
    pub fn name(&self) -> &str {
        self.envelope.transactions.first().map_or("", |t| t.name.as_str())
    }

    /// Its mode.
    pub fn mode(&self) -> Option<&Mode> {
        self.envelope.transactions.first().map(|t| &t.mode)
    }
}

/// What a node sent last.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Names of the primitives.
    pub names: Vec<String>,
    /// transactionIDs.
    pub ids: Vec<String>,
    /// Whether it was of the set-up.
    pub setup: bool,
    /// Exchange.
    pub number: u32,
    /// HTTP status that came back; none when nothing did.
    pub status: Option<u16>,
    /// Whether nothing was changed.
    pub correct: bool,
}

#[derive(Debug, Clone, Default)]
struct Setup {
    id: String,
    token: String,
    /// The octets of the token as it was sent.
    octets: Vec<u8>,
    theirs: Vec<u8>,
}

/// One node in one case.
pub struct Node {
    /// Where it listens.
    pub seat: Seat,
    engine: NodeEngine,
    /// What is judged over several messages.
    pub conversation: SspConversation,
    /// What came.
    pub came: Vec<Came>,
    /// What it sent last.
    pub sent: Sent,
    /// What it answers to what.
    pub prepared: VecDeque<Prepared>,
    /// The set-up that the node opens, and the one that the server opens.
    setup: Setup,
    called: Setup,
    own_session: Option<String>,
    their_session: Option<String>,
    first_digest: Option<String>,
    /// Whether the server proved its domain: it does something of its own.
    pub proven: bool,
    profile: SspProfile,
    next: u64,
    random: fastrand::Rng,
    /// Items that any message of this case broke.
    pub broken: Vec<ItemId>,
}

impl Node {
    /// A node without a session.
    pub fn new(mut seat: Seat, profile: &SspProfile, seed: u64) -> Self {
        let past = std::mem::take(&mut seat.past);
        let engine = NodeEngine::new(NodeConfig {
            domain: seat.domain.clone(),
            version: profile.version,
            formula: profile.digest.clone(),
            peers: Vec::new(),
            time_to_live: profile.time_to_live,
            seed,
        });
        Self {
            engine,
            conversation: past
                .conversation
                .unwrap_or_else(|| SspConversation::new(profile.digest.clone())),
            came: Vec::new(),
            sent: Sent::default(),
            prepared: VecDeque::new(),
            setup: Setup::default(),
            called: Setup::default(),
            own_session: past.own_session,
            their_session: past.their_session,
            first_digest: None,
            proven: past.proven,
            profile: profile.clone(),
            next: past.next,
            random: fastrand::Rng::with_seed(seed),
            broken: Vec::new(),
            seat,
        }
    }

    /// Gives the seat back for the next case.
    pub fn into_seat(self) -> Seat {
        let mut seat = self.seat;
        seat.past = Past {
            conversation: Some(self.conversation),
            own_session: self.own_session,
            their_session: self.their_session,
            proven: self.proven,
            next: self.next,
        };
        seat
    }

    /// Whether a request of this case waits for its answer.
    pub fn waits(&self) -> bool {
        self.conversation.has_open(&self.seat.domain)
    }

    /// The session id that this node sends.
    pub fn own_session(&self) -> Option<&str> {
        self.own_session.as_deref()
    }

    /// The session id that the server sends.
    pub fn their_session(&self) -> Option<&str> {
        self.their_session.as_deref()
    }

    /// The token that was sent last.
    pub fn token(&self) -> &str {
        &self.setup.token
    }

    /// The first digest that it sent.
    pub fn first_digest(&self) -> Option<&str> {
        self.first_digest.as_deref()
    }

    /// Notes what it sent, which may differ from what a correct node sends.
    pub fn learn_sent(&mut self, tree: &Tree) {
        let first = SspEnvelope::of(tree).and_then(|e| e.transactions.into_iter().next());
        let Some(first) = first else { return };
        let Some(primitive) = first.primitive else { return };
        let called = first.mode == Mode::Response;
        if let Some(octets) = tree
            .child(primitive, "SecretToken")
            .and_then(|t| token_octets(tree, t))
        {
            self.setup_of(called).octets = octets;
        }
        if let Some(digest) = tree.child(primitive, "PasswordDigest")
            && self.first_digest.is_none()
        {
            self.first_digest = Some(tree.text(digest).trim().to_owned());
        }
    }

    fn new_id(&mut self) -> String {
        self.next += 1;
        format!("t{:08}-{}", self.next, self.random.u16(..))
    }

    fn new_session(&mut self) -> String {
        let id = format!("{:08x}@{}", self.random.u32(..), self.seat.domain);
        self.own_session = Some(id.clone());
        id
    }

    fn new_token(&mut self, called: bool) -> String {
        let token = format!("{:016x}{:016x}", self.random.u64(..), self.random.u64(..));
        self.setup_of(called).token.clone_from(&token);
        token
    }

    fn setup_of(&mut self, called: bool) -> &mut Setup {
        match called {
            true => &mut self.called,
            false => &mut self.setup,
        }
    }

    /// The message that a step sends.
    ///
    /// # Errors
    /// There is no such primitive.
    pub fn compose(&mut self, primitives: &[String], names: &SspNames) -> Result<Tree, String> {
        let time = self.profile.time_to_live;
        let mode_of = |name: &str| match name.ends_with(".answer") {
            true => Mode::Response,
            false => Mode::Request,
        };
        if self.setup.id.is_empty() {
            // A step of a set-up that was not begun needs some id all the same.
            self.setup.id = self.new_id();
        }
        if let [one] = primitives {
            let mode = mode_of(one);
            match one.trim_end_matches(".answer") {
                "SendSecretToken" => {
                    let id = self.new_id();
                    if mode == Mode::Request {
                        self.setup = Setup {
                            id: id.clone(),
                            ..Setup::default()
                        };
                    }
                    let token = self.new_token(mode == Mode::Response);
                    return Ok(self.engine.token_message(mode, &id, &token));
                }
                "LoginRequest" => {
                    let (id, theirs) = (self.setup.id.clone(), self.setup.theirs.clone());
                    return Ok(self.engine.login_message(mode, &id, &theirs, time));
                }
                "LoginResponse" => {
                    let id = self.setup.id.clone();
                    let session = self.new_session();
                    return Ok(self.engine.login_answer(mode, &id, &session, time));
                }
                _ => {}
            }
        }
        let mut parts = Vec::new();
        for name in primitives {
            let primitive = request(name.trim_end_matches(".answer"), names)?;
            parts.push(compose::Part {
                mode: mode_of(name),
                id: self.new_id(),
                primitive,
            });
        }
        let session = self.own_session.clone().unwrap_or_else(|| {
            // A message before any session needs some id all the same.
            format!("0@{}", self.seat.domain)
        });
        Ok(compose::in_session(self.profile.version, &session, parts))
    }

    /// What the head of a message repeats, if this suite sends that.
    pub fn head(&self, tree: &Tree) -> HeaderIds {
        if self.profile.headers {
            compose::head_of(tree)
        } else {
            HeaderIds::default()
        }
    }

    /// Learns from a message of the server, and gives the message that answers it.
    pub fn react(&mut self, tree: &Tree, envelope: &SspEnvelope) -> Option<Tree> {
        let time = self.profile.time_to_live;
        let first = envelope.transactions.first()?;
        let primitive = first.primitive?;
        if envelope.setup {
            return self.react_to_setup(tree, envelope, primitive, time);
        }
        let mut parts = Vec::new();
        for transaction in envelope.transactions.iter().filter(|t| t.mode == Mode::Request) {
            let Some(primitive) = transaction.primitive else {
                continue;
            };
            if let Some(answer) = self.answer_to(tree, primitive, &transaction.name) {
                parts.push(compose::Part {
                    mode: Mode::Response,
                    id: transaction.id.clone(),
                    primitive: answer,
                });
            }
        }
        let session = self.own_session.clone()?;
        if parts.is_empty() {
            return None;
        }
        Some(compose::in_session(self.profile.version, &session, parts))
    }

    fn answer_to(&self, tree: &Tree, primitive: NodeId, name: &str) -> Option<Elem> {
        let prepared = self.prepared.iter().find(|p| p.primitive == name);
        if prepared.is_some_and(|p| p.silent) {
            return None;
        }
        if let Some(code) = prepared.and_then(|p| p.status) {
            return Some(compose::status(code));
        }
        replies::reply(tree, primitive, self.profile.acknowledge)
    }

    fn react_to_setup(
        &mut self,
        tree: &Tree,
        envelope: &SspEnvelope,
        primitive: NodeId,
        time: u32,
    ) -> Option<Tree> {
        let first = envelope.transactions.first()?;
        let asks = first.mode == Mode::Request;
        let silent = self
            .prepared
            .iter()
            .any(|p| p.primitive == first.name && p.silent);
        let mut answer = None;
        match first.name.as_str() {
            "SendSecretToken" => {
                let token = tree
                    .child(primitive, "SecretToken")
                    .and_then(|t| token_octets(tree, t));
                self.setup_of(asks).theirs = token.unwrap_or_default();
                if asks {
                    self.called.id.clone_from(&first.id);
                    let id = self.new_id();
                    let token = self.new_token(true);
                    answer = Some(self.engine.token_message(Mode::Response, &id, &token));
                }
            }
            "LoginRequest" => {
                let right = tree
                    .child(primitive, "PasswordDigest")
                    .map(|d| tree.text(d).trim().to_owned());
                let octets = self.setup_of(asks).octets.clone();
                let wanted = crate::check::ssp::digest(&self.profile.digest, &octets);
                self.proven |= right.as_deref() == Some(&*wanted);
                if asks {
                    let theirs = self.called.theirs.clone();
                    answer = Some(
                        self.engine
                            .login_message(Mode::Response, &first.id, &theirs, time),
                    );
                }
            }
            "LoginResponse" => {
                self.their_session = tree
                    .attribute(primitive, "sessionID")
                    .map(|s| s.trim().to_owned());
                if asks {
                    let session = self.new_session();
                    answer = Some(
                        self.engine
                            .login_answer(Mode::Response, &first.id, &session, time),
                    );
                }
            }
            _ => {}
        }
        answer.filter(|_| !silent)
    }
}
