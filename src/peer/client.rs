//! The client engine: builds requests, learns from answers, answers server requests.

use std::sync::Arc;

use crate::check::Checker;
use crate::check::services::{self, Functions};
use crate::message::{Elem, Envelope, Mode, NodeId, SessionType, TransactionView, Tree, empty, text};
use crate::spec::{Command, Version};

use super::Credentials;
pub use super::client_faults::ClientFault;
use super::compose::{self, Part};
use super::contents::{self, Offer};
use super::digest::Schema;
use super::names::Names;
use super::samples;

/// What a client needs to know before its first message.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Version spoken.
    pub version: Version,
    /// Who logs in.
    pub credentials: Credentials,
    /// URL of ClientID; names this client among those of the user.
    pub client_id: String,
    /// SessionCookie, new per login.
    pub cookie: String,
    /// TimeToLive asked for, in seconds.
    pub time_to_live: u32,
    /// Prefix of its TransactionIDs.
    pub id_prefix: String,
    /// Who and what its requests are about.
    pub names: Names,
}

/// What a plain client wants of service negotiation: everything.
const FEATURES: [&str; 4] = ["FundamentalFeat", "PresenceFeat", "IMFeat", "GroupFeat"];

/// A CSP client without I/O.
#[derive(Debug)]
pub struct ClientEngine {
    config: ClientConfig,
    fault: Option<ClientFault>,
    session: Option<String>,
    next_id: u32,
    challenge: Option<Challenge>,
    /// TransactionID of the login that is under way.
    login_id: Option<String>,
    stopped: bool,
    agreed: Agreed,
    polled_on_flag: bool,
    /// MessageIDs that were confirmed.
    confirmed: std::cell::RefCell<std::collections::BTreeSet<String>>,
    /// The tables, for one that keeps to what was agreed.
    checker: Option<Arc<Checker>>,
    /// SessionCookie in use, and how many logins began so far.
    cookie: String,
    logins: u32,
    /// The port that it offers for datagrams.
    udp_port: Option<u16>,
    /// Whether it offers CIR.
    offers_cir: bool,
    cir: Cir,
}

/// CIR as a session agreed on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cir {
    /// STCP: host and port.
    pub tcp: Option<(String, u16)>,
    /// SUDP.
    pub udp: bool,
    /// SHTTP: CIRURL.
    pub url: Option<String>,
}

/// What the session agreed on.
#[derive(Debug, Clone, Default)]
struct Agreed {
    /// KeepAliveTime in seconds.
    keep_alive: Option<u32>,
    /// ServerPollMin in seconds.
    poll_min: Option<u32>,
    /// Functions that were not granted.
    refused: Functions,
}

#[derive(Debug, Clone)]
struct Challenge {
    nonce: String,
    schema: Schema,
}

impl ClientEngine {
    /// A client that is not logged in.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            cookie: config.cookie.clone(),
            logins: 0,
            udp_port: None,
            offers_cir: false,
            cir: Cir::default(),
            config,
            fault: None,
            session: None,
            next_id: 0,
            challenge: None,
            login_id: None,
            stopped: false,
            agreed: Agreed::default(),
            polled_on_flag: false,
            confirmed: std::cell::RefCell::default(),
            checker: None,
        }
    }

    /// A client that uses no function that was not granted.
    #[must_use]
    pub fn with_tables(mut self, checker: Arc<Checker>) -> Self {
        self.checker = Some(checker);
        self
    }

    /// The same client with a state fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Option<ClientFault>) -> Self {
        self.fault = fault;
        self
    }

    /// The session, when logged in.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// What it was made with.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// KeepAliveTime in force, in seconds.
    pub fn keep_alive_time(&self) -> Option<u32> {
        self.agreed.keep_alive
    }

    /// Seconds between two polls that are not asked for by Poll (DL-2).
    pub fn poll_interval(&self) -> Option<u32> {
        self.agreed
            .poll_min
            .filter(|_| self.fault != Some(ClientFault::IgnoresPollMin))
    }

    /// Seconds of silence after which this client keeps its session alive: five before the end (KA-4).
    pub fn keep_alive_after(&self) -> Option<u32> {
        if self.session.is_none() || self.fault == Some(ClientFault::LetsSessionExpire) {
            return None;
        }
        let late = self.fault == Some(ClientFault::KeepsAliveLate);
        self.agreed.keep_alive.map(|t| match late {
            true => t + 5,
            false => t.saturating_sub(5).max(t / 2),
        })
    }

    /// Pretends to be in this session: for cases that use a session that is not theirs.
    pub fn set_session(&mut self, session: Option<String>) {
        self.session = session;
    }

    /// CIR as the session agreed on it.
    pub fn cir(&self) -> &Cir {
        &self.cir
    }

    /// Where datagrams are listened for, to be offered from now on.
    pub fn listens_at(&mut self, port: Option<u16>) {
        self.udp_port = port;
    }

    /// What the client says when it opens its STCP channel; none without a session.
    pub fn hello(&self) -> Option<String> {
        let session = match self.fault {
            Some(ClientFault::HelloOfAnother) => "another-session",
            _ => self.session.as_deref()?,
        };
        Some(format!("HELO {session}"))
    }

    /// Whether a text is a CIR for this client: `WVCI` and the cookie are looked at, the rest is not.
    pub fn is_cir(&self, text: &str) -> bool {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [wvci, _, cookie, rest @ ..] = words.as_slice() else {
            return false;
        };
        let starts = match self.fault {
            Some(ClientFault::NeedsCapitals) => *wvci == "WVCI",
            Some(ClientFault::NeedsThreeWords) if !rest.is_empty() => false,
            _ => wvci.eq_ignore_ascii_case("WVCI"),
        };
        starts && (*cookie == self.cookie || self.fault == Some(ClientFault::TakesAnyCookie))
    }

    /// A poll that a CIR asks for; none without a session.
    pub fn poll_for_cir(&mut self) -> Option<Tree> {
        self.inband("Polling-Request").ok()
    }

    /// A login begins: its cookie is new (LG-10).
    fn new_login(&mut self) {
        self.session = None;
        self.cir = Cir::default();
        self.logins += 1;
        if self.logins > 1 && self.fault != Some(ClientFault::KeepsCookie) {
            self.cookie = format!("{}.{}", self.config.cookie, self.logins);
        }
    }

    fn new_id(&mut self) -> String {
        if self.fault != Some(ClientFault::SameTransactionId) || self.next_id == 0 {
            self.next_id += 1;
        }
        format!("{}{}", self.config.id_prefix, self.next_id)
    }

    /// A request of this primitive with the contents that a plain client would send.
    ///
    /// # Errors
    /// The primitive is not one that this engine knows how to fill.
    pub fn request(&mut self, primitive: &str) -> Result<Tree, String> {
        if primitive.starts_with("WV-CSP-") {
            // A document of its own: no session, no transaction.
            return Ok(contents::version_discovery(primitive, Version::ALL));
        }
        let content = self.content(primitive)?;
        let is_login = primitive == "Login-Request";
        let id = match primitive {
            "Polling-Request" => String::new(),
            _ => self.new_id(),
        };
        if is_login {
            self.login_id = Some(id.clone());
        }
        Ok(self.wrap(
            is_login,
            vec![Part {
                mode: Mode::Request,
                id,
                primitive: content,
            }],
        ))
    }

    /// One message with several requests.
    ///
    /// # Errors
    /// As [`ClientEngine::request`].
    pub fn requests(&mut self, primitives: &[String]) -> Result<Tree, String> {
        let mut parts = Vec::new();
        for primitive in primitives {
            parts.push(Part {
                mode: Mode::Request,
                primitive: self.content(primitive)?,
                id: self.new_id(),
            });
        }
        Ok(self.wrap(false, parts))
    }

    fn wrap(&self, outband: bool, parts: Vec<Part>) -> Tree {
        let session = if outband { None } else { self.session.as_deref() };
        compose::message(self.config.version, session, None, parts)
    }

    /// First leg of a 4-way login with these schemas.
    pub fn login_challenge_request(&mut self, schemas: &[Schema]) -> Tree {
        let names: Vec<&str> = schemas.iter().map(|s| s.as_str()).collect();
        self.login_challenge_of(&names)
    }

    /// First leg of a 4-way login with schemas by their names on the wire, known or not.
    pub fn login_challenge_of(&mut self, names: &[&str]) -> Tree {
        let id = self.new_id();
        self.login_id = Some(id.clone());
        // 1.1 puts a comma list in one element, 1.2 one schema in each.
        let offered: Vec<Elem> = match self.config.version {
            Version::V11 => vec![text("DigestSchema", names.join(","))],
            Version::V12 => names.iter().map(|n| text("DigestSchema", *n)).collect(),
        };
        let content = self.login_frame(offered);
        self.wrap(
            true,
            vec![Part {
                mode: Mode::Request,
                id,
                primitive: content,
            }],
        )
    }

    /// Third leg of a 4-way login: the answer to the challenge that was learned.
    ///
    /// # Errors
    /// No challenge was learned.
    pub fn login_digest_request(&mut self) -> Result<Tree, String> {
        let challenge = self
            .challenge
            .take()
            .ok_or("no challenge (Nonce and DigestSchema) was received")?;
        let password = &self.config.credentials.password;
        let nonce = if self.fault == Some(ClientFault::DigestWithoutNonce) {
            ""
        } else {
            &challenge.nonce
        };
        let proof = match challenge.schema.digest(nonce, password) {
            Some(digest) => text("DigestBytes", digest),
            None => text("Password", password.clone()),
        };
        let id = match &self.login_id {
            Some(id) if self.fault != Some(ClientFault::NewIdInThirdLeg) => id.clone(),
            _ => self.new_id(),
        };
        let content = self.login_frame(vec![proof]);
        Ok(self.wrap(
            true,
            vec![Part {
                mode: Mode::Request,
                id,
                primitive: content,
            }],
        ))
    }

    fn login_frame(&self, proof: Vec<Elem>) -> Elem {
        Elem::new("Login-Request")
            .with(text("UserID", self.config.credentials.user.clone()))
            .with(compose::client_id(&self.config.client_id))
            .with_all(proof)
            .with(text("TimeToLive", self.config.time_to_live.to_string()))
            .with(text("SessionCookie", self.cookie.clone()))
    }

    fn content(&self, primitive: &str) -> Result<Elem, String> {
        Ok(match primitive {
            "Login-Request" => {
                self.login_frame(vec![text("Password", self.config.credentials.password.clone())])
            }
            "KeepAlive-Request" => {
                Elem::new(primitive).with(text("TimeToLive", self.config.time_to_live.to_string()))
            }
            "Polling-Request" | "Logout-Request" => empty(primitive),
            "ClientCapability-Request" => {
                contents::capability_request(self.config.version, &self.config.client_id, Offer::Plain)
            }
            "ClientCapability-Request.full" => {
                contents::capability_request(self.config.version, &self.config.client_id, Offer::Full)
            }
            "Service-Request" => {
                contents::service_request(self.config.version, &self.config.client_id, &FEATURES, false)
            }
            "Service-Request.search" => contents::service_request(
                self.config.version,
                &self.config.client_id,
                &["FundamentalFeat/SearchFunc"],
                false,
            ),
            "Service-Request.mandatory" => contents::service_request(
                self.config.version,
                &self.config.client_id,
                &[
                    "FundamentalFeat/MF",
                    "PresenceFeat/MP",
                    "IMFeat/MM",
                    "GroupFeat/MG",
                ],
                false,
            ),
            "Service-Request.all" => {
                contents::service_request(self.config.version, &self.config.client_id, &FEATURES, true)
            }
            // Only these functions are wanted, as paths below WVCSPFeat: an answer without Functions grants them.
            only if only.starts_with("Service-Request.only:") => {
                let paths = only.split_once(':').map_or("", |(_, paths)| paths);
                let paths: Vec<&str> = paths.split(',').collect();
                contents::service_request(self.config.version, &self.config.client_id, &paths, false)
            }
            "GetSPInfo-Request" => Elem::new(primitive).with(compose::client_id(&self.config.client_id)),
            "Status" => compose::status(200),
            other => {
                return samples::request(self.config.version, other, &self.config.names)
                    .ok_or_else(|| format!("no client of CSP {} sends {other}", self.config.version));
            }
        })
    }

    /// The first message of a command, or why there is none.
    ///
    /// # Errors
    /// The command makes no sense in this state.
    pub fn start(&mut self, command: Command) -> Result<Tree, String> {
        if self.fault == Some(ClientFault::ForgetsSession) && self.session.is_some() {
            self.session = None;
        }
        if self.stopped {
            return Err("the client stopped working".to_owned());
        }
        match command {
            Command::Login => {
                self.new_login();
                self.request("Login-Request")
            }
            Command::LoginDigest => {
                self.new_login();
                Ok(self.login_challenge_request(&[Schema::Md5, Schema::Sha]))
            }
            Command::KeepAlive => self.inband("KeepAlive-Request"),
            Command::CapabilitiesCir => {
                self.offers_cir = true;
                let mut tree = self.inband("ClientCapability-Request.full")?;
                let port = tree
                    .walk(tree.root())
                    .into_iter()
                    .find(|e| tree.get(*e).name == "UDPPort");
                if let (Some(node), Some(port)) = (port, self.udp_port) {
                    tree.set_text(node, &port.to_string());
                }
                Ok(tree)
            }
            Command::Idle if self.keep_alive_after().is_none() => Err("nothing is due".to_owned()),
            Command::ProviderInfo if self.session.is_none() => self.request("GetSPInfo-Request"),
            Command::DiscoverVersions => match self.config.version {
                Version::V11 => Err("CSP 1.1 has no version discovery".to_owned()),
                Version::V12 => Ok(contents::version_discovery(command.primitive(), Version::ALL)),
            },
            other if self.is_refused(other.primitive()) => {
                Err(format!("the function of {} was not granted", other.primitive()))
            }
            other => self.inband(other.primitive()),
        }
    }

    /// Whether none of the functions that a request is part of was granted.
    fn is_refused(&self, primitive: &str) -> bool {
        let row = self
            .checker
            .as_ref()
            .and_then(|c| c.syntax().primitive(primitive));
        self.fault != Some(ClientFault::UsesRefusedFunctions)
            && row.is_some_and(|row| {
                !row.functions.is_empty() && row.functions.iter().all(|f| self.agreed.refused.contains(f))
            })
    }

    fn inband(&mut self, primitive: &str) -> Result<Tree, String> {
        if self.session.is_none() {
            return Err(format!("not logged in: no {primitive} can be sent"));
        }
        self.request(primitive)
    }

    /// Takes an answer and gives the messages that follow from it by themselves: the third leg of a
    /// login, answers to server requests, a poll when Poll says T.
    pub fn answered(&mut self, sent: &Tree, answer: Option<&Tree>) -> Vec<Tree> {
        let Some(answer) = answer else { return Vec::new() };
        let Some(envelope) = Envelope::of(answer) else {
            self.bad_answer();
            return Vec::new();
        };
        let challenged = self.learn(answer);
        self.stopped |= match self.fault {
            Some(ClientFault::StopsAfterRefusal) => envelope.transactions.iter().any(|t| {
                // What ends a session is taken for what it is.
                t.name == "Status" && code_of(answer, t).is_some_and(|c| c >= 400 && c / 100 != 6)
            }),
            Some(ClientFault::StopsAfterWelcomeNote) => answer
                .walk(answer.root())
                .into_iter()
                .any(|e| answer.get(e).name == "WelcomeNote"),
            Some(ClientFault::StopsAfterUnknownProperty) => answer.walk(answer.root()).into_iter().any(|e| {
                answer
                    .child_text(e, "Name")
                    .is_some_and(|n| n.starts_with("ImpsScr"))
            }),
            Some(ClientFault::StopsAfterPresenceFailure) => envelope
                .transactions
                .iter()
                .any(|t| t.name == "GetPresence-Response" && code_of(answer, t).is_some_and(|c| c != 200)),
            Some(ClientFault::StopsAtEmptyLists) => envelope.transactions.iter().any(|t| {
                matches!(
                    t.name.as_str(),
                    "GetWatcherList-Response"
                        | "GetReactiveAuthStatus-Response"
                        | "GetAttributeList-Response"
                )
            }),
            Some(ClientFault::StopsAtDetails) => answer
                .walk(answer.root())
                .into_iter()
                .any(|e| answer.get(e).name == "DetailedResult"),
            Some(ClientFault::StopsAtNothing) => envelope.transactions.iter().any(|t| {
                let part = match t.name.as_str() {
                    "Search-Response" => "SearchResult",
                    "GetList-Response" => "DefaultContactList",
                    "ListManage-Response" => "NickList",
                    _ => return false,
                };
                t.primitive.is_some_and(|p| answer.child(p, part).is_none())
            }),
            Some(ClientFault::StopsAtLargeNumbers) => answer
                .walk(answer.root())
                .into_iter()
                .any(|e| answer.text(e).trim() == LARGEST),
            Some(ClientFault::StopsAfterPartialSuccess) => envelope
                .transactions
                .iter()
                .any(|t| code_of(answer, t) == Some(201)),
            Some(ClientFault::StopsAfterOddMessageLists) => {
                let lists = envelope.transactions.iter();
                let mut lists = lists.filter(|t| t.name == "GetMessageList-Response");
                lists.any(|t| t.primitive.is_some_and(|p| answer.elements(p).count() != 1))
            }
            Some(ClientFault::StopsAfterOddBlockedLists) => {
                let odd = |list| {
                    let entries = answer.child(list, "EntityList");
                    entries.is_none_or(|e| answer.elements(e).any(|c| answer.get(c).name != "UserID"))
                };
                let lists = envelope.transactions.iter();
                let mut lists = lists.filter(|t| t.name == "GetBlockedList-Response");
                lists.any(|t| {
                    t.primitive
                        .is_some_and(|p| answer.elements(p).next().is_none() || answer.elements(p).any(odd))
                })
            }
            _ => false,
        };
        let mut next = Vec::new();
        if challenged {
            if let Ok(leg) = self.login_digest_request() {
                next.push(leg);
            }
            return next;
        }
        let sent_name = Envelope::of(sent).map(|e| e.primitives()).unwrap_or_default();
        if sent_name == "Logout-Request" && self.fault != Some(ClientFault::KeepsSessionAfterLogout) {
            let status = envelope.transactions.iter().any(|t| t.name == "Status");
            self.stopped |= !status && self.fault == Some(ClientFault::WaitsForStatusAtLogout);
            self.session = None;
        }
        let asked_for_capabilities = wants_capabilities(answer, &envelope)
            && self.session.is_some()
            && self.fault != Some(ClientFault::IgnoresCapabilityRequest);
        if asked_for_capabilities {
            next.extend(self.request("ClientCapability-Request"));
        }
        let answers_disconnect = self.fault == Some(ClientFault::AnswersDisconnect);
        let answers = self.replies(answer, &envelope, answers_disconnect);
        if answers_disconnect && !answers.is_empty() && self.session.is_none() {
            next.push(compose::message(
                self.config.version,
                envelope.session_id.as_deref(),
                None,
                answers,
            ));
        } else if !answers.is_empty() && self.session.is_some() {
            match self.fault {
                Some(ClientFault::AnswersTwice) => {
                    next.push(self.wrap(false, answers.clone()));
                    next.push(self.wrap(false, answers));
                }
                Some(ClientFault::IgnoresServerRequests) => {}
                Some(ClientFault::AnswersFirstOnly) => {
                    next.push(self.wrap(false, answers.into_iter().take(1).collect()));
                }
                _ => next.push(self.wrap(false, answers)),
            }
        }
        // A message that was fetched is confirmed in a transaction of its own (DL-6).
        let fetched = envelope
            .transactions
            .iter()
            .any(|t| t.name == "GetMessage-Response");
        if fetched && self.session.is_some() && self.fault != Some(ClientFault::ConfirmsNothing) {
            next.extend(self.request("MessageDelivered"));
        }
        if sent_name == "GetMessage-Request"
            && !fetched
            && self.session.is_some()
            && self.fault == Some(ClientFault::ConfirmsUnfetched)
        {
            next.extend(self.request("MessageDelivered"));
        }
        let poll = envelope.poll.as_deref() == Some("T");
        let once = self.fault == Some(ClientFault::PollsOnce) && self.polled_on_flag;
        if poll && self.session.is_some() && self.fault != Some(ClientFault::IgnoresPollFlag) && !once {
            self.polled_on_flag = true;
            next.extend(self.request("Polling-Request"));
        }
        next
    }

    /// An answer came that cannot be read: a correct client takes it for none.
    pub fn bad_answer(&mut self) {
        self.stopped |= self.fault == Some(ClientFault::StopsAfterBadAnswer);
    }

    /// No answer came, or an error of HTTP.
    pub fn no_answer(&mut self) {
        self.stopped |= self.fault == Some(ClientFault::StopsWithoutAnswer);
    }

    /// An empty body came.
    pub fn empty_answer(&mut self) {
        self.stopped |= self.fault == Some(ClientFault::StopsAfterEmptyAnswer);
    }

    /// What this client answers to the requests of the server in a message (TR-11): MessageDelivered to
    /// a pushed message, Status 200 to the others, nothing to Disconnect.
    pub fn replies(&self, tree: &Tree, envelope: &Envelope, to_disconnect: bool) -> Vec<Part> {
        envelope
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request && !t.name.is_empty())
            .filter(|t| t.name != "Disconnect" || to_disconnect)
            .filter(|t| t.name != "NewMessage" || self.confirms(tree, t))
            .map(|t| Part {
                mode: Mode::Response,
                id: t.id.clone(),
                primitive: match (self.fault, t.name.as_str()) {
                    (Some(ClientFault::RefusesNotifications), "PresenceNotification-Request")
                    | (Some(ClientFault::RefusesQuestions), "PresenceAuth-Request") => compose::status(400),
                    _ => correct_reply(tree, t),
                },
            })
            .collect()
    }

    /// Whether a pushed message is answered: always, but for a fault.
    fn confirms(&self, tree: &Tree, pushed: &TransactionView) -> bool {
        match self.fault {
            Some(ClientFault::ConfirmsTextsOnly) => pushed.primitive.is_some_and(|p| {
                let info = tree.child(p, "MessageInfo");
                let coded = info.is_some_and(|i| tree.child(i, "ContentEncoding").is_some());
                tree.child(p, "ContentData").is_some() && !coded
            }),
            Some(ClientFault::ConfirmsOnce) => {
                let id = message_id(tree, pushed.primitive).unwrap_or_default();
                self.confirmed.borrow_mut().insert(id)
            }
            _ => true,
        }
    }

    /// One message with these answers.
    pub fn answering(&self, parts: Vec<Part>) -> Tree {
        self.wrap(false, parts)
    }

    /// Remembers what later requests are about: messages, searches and invitations by their identifiers.
    fn remember(&mut self, tree: &Tree, transaction: &TransactionView) {
        let Some(primitive) = transaction.primitive else {
            return;
        };
        let names = &mut self.config.names;
        match transaction.name.as_str() {
            "MessageNotification" | "NewMessage" | "GetMessage-Response" => {
                names.message = message_id(tree, transaction.primitive).or(names.message.take());
            }
            "SendMessage-Response" => {
                names.message = tree.child_text(primitive, "MessageID").or(names.message.take());
            }
            "Search-Response" => {
                names.search = tree.child_text(primitive, "SearchID").or(names.search.take());
            }
            "InviteUser-Request" => {
                let sender = tree
                    .child(primitive, "Sender")
                    .and_then(|s| tree.child(s, "User"))
                    .and_then(|u| tree.child_text(u, "UserID"));
                let id = tree.child_text(primitive, "InviteID");
                names.invited = id.map(|id| (id, sender.unwrap_or_else(|| names.peer.clone())));
            }
            _ => {}
        }
    }

    /// Learns session and challenge from an answer without acting on it. True when the answer is a
    /// challenge of a 4-way login (a Nonce and no SessionID, whatever the code: Q2).
    pub fn learn(&mut self, answer: &Tree) -> bool {
        let Some(envelope) = Envelope::of(answer) else {
            return false;
        };
        let mut challenged = false;
        for transaction in &envelope.transactions {
            let Some(primitive) = transaction.primitive else {
                continue;
            };
            self.remember(answer, transaction);
            let code = answer
                .child(primitive, "Result")
                .and_then(|r| answer.child_text(r, "Code"))
                .and_then(|c| c.parse::<u16>().ok());
            match transaction.name.as_str() {
                "Login-Response" => {
                    let session = answer
                        .child_text(primitive, "SessionID")
                        .filter(|s| !s.is_empty());
                    let nonce = answer.child_text(primitive, "Nonce");
                    match (session, nonce) {
                        (Some(id), _) if code.is_none_or(|c| c / 100 == 2) => {
                            self.session = Some(id);
                            self.agreed = Agreed {
                                // Absent: the time that was proposed (KA-5).
                                keep_alive: number(answer, primitive, "KeepAliveTime")
                                    .or(Some(self.config.time_to_live)),
                                ..Agreed::default()
                            };
                            self.polled_on_flag = false;
                        }
                        (None, Some(nonce)) => {
                            let schema = answer
                                .child_text(primitive, "DigestSchema")
                                .and_then(|s| Schema::parse(&s));
                            self.challenge = schema.map(|schema| Challenge { nonce, schema });
                            challenged = self.challenge.is_some();
                        }
                        _ if self.fault == Some(ClientFault::IgnoresRefusedLogin) => {
                            self.session = Some("assumed".to_owned());
                        }
                        _ => {}
                    }
                }
                "KeepAlive-Response" if code.is_none_or(|c| c / 100 == 2) => {
                    let time = number(answer, primitive, "KeepAliveTime");
                    self.agreed.keep_alive = time.or(self.agreed.keep_alive);
                }
                "ClientCapability-Response" => {
                    let list = answer
                        .child(primitive, "CapabilityList")
                        .or_else(|| answer.child(primitive, "AgreedCapabilityList"));
                    self.agreed.poll_min = list.and_then(|l| number(answer, l, "ServerPollMin"));
                    self.cir = match list {
                        Some(list) if self.offers_cir => cir_of(answer, list),
                        _ => Cir::default(),
                    };
                }
                "Service-Response" => {
                    if let Some(checker) = &self.checker {
                        let refused = answer.child(primitive, "Functions");
                        let version = self.config.version;
                        self.agreed.refused = refused
                            .map(|f| services::functions(checker.syntax(), version, answer, f))
                            .unwrap_or_default();
                    }
                }
                "Disconnect" => {
                    let stays = match transaction.mode {
                        Mode::Request => self.fault == Some(ClientFault::IgnoresDisconnect),
                        _ => self.fault == Some(ClientFault::KeepsSessionAfterLogout),
                    };
                    if !stays {
                        self.session = None;
                    }
                }
                _ if matches!(code, Some(600 | 601 | 604))
                    && self.fault != Some(ClientFault::KeepsDeadSession) =>
                {
                    self.session = None;
                }
                _ if code == Some(605) && self.fault == Some(ClientFault::EndsSessionOnRefusedTime) => {
                    self.session = None;
                }
                "Status"
                    if envelope.session_type == SessionType::Outband
                        && self.fault == Some(ClientFault::IgnoresRefusedLogin) =>
                {
                    self.session = Some("assumed".to_owned());
                }
                _ => {}
            }
        }
        challenged
    }
}

/// Whether a login was answered with the wish that the client negotiates capabilities (LG-8).
fn wants_capabilities(answer: &Tree, envelope: &Envelope) -> bool {
    envelope
        .transactions
        .iter()
        .filter(|t| t.name == "Login-Response")
        .filter_map(|t| t.primitive)
        .any(|p| answer.child_text(p, "CapabilityRequest").as_deref() == Some("T"))
}

/// What a correct client answers to a request of the server (TR-11).
pub fn correct_reply(tree: &Tree, request: &TransactionView) -> Elem {
    let pushed = (request.name == "NewMessage").then(|| message_id(tree, request.primitive));
    match pushed.flatten() {
        Some(id) => Elem::new("MessageDelivered").with(text("MessageID", id)),
        None => compose::status(200),
    }
}

/// MessageID in the MessageInfo of a primitive.
fn message_id(tree: &Tree, primitive: Option<NodeId>) -> Option<String> {
    let info = tree.child(primitive?, "MessageInfo")?;
    tree.child_text(info, "MessageID")
}

/// What a list of capabilities says of CIR.
fn cir_of(tree: &Tree, list: NodeId) -> Cir {
    let has = |method: &str| {
        tree.elements(list)
            .any(|e| tree.get(e).name == "SupportedCIRMethod" && tree.text(e).trim() == method)
    };
    let port = tree.child_text(list, "TCPPort").and_then(|p| p.parse().ok());
    let url = tree.child(list, "CIRURL");
    Cir {
        tcp: tree
            .child_text(list, "TCPAddress")
            .zip(port)
            .filter(|_| has("STCP")),
        udp: has("SUDP"),
        url: url
            .and_then(|u| tree.child_text(u, "URL"))
            .filter(|_| has("SHTTP")),
    }
}

fn number(tree: &Tree, parent: NodeId, name: &str) -> Option<u32> {
    tree.child_text(parent, name)?.parse().ok()
}

fn code_of(tree: &Tree, transaction: &TransactionView) -> Option<u16> {
    let result = tree.child(transaction.primitive?, "Result")?;
    tree.child_text(result, "Code")?.parse().ok()
}

/// The largest number of the protocol, as it is written.
const LARGEST: &str = "4294967295";
