//! Rules that need more than one message: which answer belongs to which request, which session is in
//! force, which identifiers were used. One [`Conversation`] follows one session of the implementation
//! under test; it knows what the tester sent and judges what came.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ItemId;
use crate::message::{Envelope, Mode, SessionType, TransactionView, Tree};
use crate::spec::syntax::Syntax;
use crate::spec::{Role, Version};

use super::negotiation::{self, Agreed, Found};

/// Primitives that begin a transaction by every other rule, and that a printed example shows in mode
/// Response all the same: no certain breach.
const PRINTED_IN_RESPONSE: [&str; 2] = ["PresenceAuth-User", "MessageDelivered"];

/// What a rule found in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The charged item.
    pub item: ItemId,
    /// Name of the rule.
    pub rule: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Evidence or finding.
    pub text: String,
    /// Path of the element that was judged.
    pub path: String,
}

/// What came back to a request.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A message.
    Message(&'a Tree),
    /// HTTP 200 without a body.
    Empty,
    /// Anything else: a refusal of HTTP, silence, octets that cannot be read.
    Nothing,
}

/// Why a session can no longer be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    /// The client logged out.
    Logout,
    /// The server sent Disconnect.
    ByDisconnect,
    /// The server said 600, 601 or 604.
    ByServer,
}

/// What is known of one session of the implementation under test.
#[derive(Debug, Clone)]
pub struct Conversation {
    iut: Role,
    session: Option<String>,
    ended: Vec<(String, Ended)>,
    /// TransactionIDs of tester requests that the client has not answered yet.
    open: BTreeSet<String>,
    /// TransactionIDs that the client used in this session.
    used: BTreeSet<String>,
    /// Requests of a message with several that the server has not answered yet: id and name.
    waiting: BTreeMap<String, String>,
    /// TransactionIDs that have their final answer.
    answered: BTreeSet<String>,
    /// TransactionIDs of Disconnect requests, which nobody answers.
    disconnects: BTreeSet<String>,
    login_refused: bool,
    /// The last answer said Poll T.
    poll_promised: bool,
    /// KeepAliveTime that a client was last given, in seconds.
    keep_alive: Option<u32>,
    agreed: Agreed,
    /// When the client polled last without being told to, in milliseconds of the caller's clock.
    last_poll_ms: Option<u64>,
}

impl Conversation {
    /// A conversation with this side under test.
    pub fn new(iut: Role) -> Self {
        Self {
            iut,
            session: None,
            ended: Vec::new(),
            open: BTreeSet::new(),
            used: BTreeSet::new(),
            waiting: BTreeMap::new(),
            answered: BTreeSet::new(),
            disconnects: BTreeSet::new(),
            login_refused: false,
            poll_promised: false,
            keep_alive: None,
            agreed: Agreed::default(),
            last_poll_ms: None,
        }
    }

    /// The session in force.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Whether its last login was refused and no session is in force.
    pub fn was_refused(&self) -> bool {
        self.login_refused && self.session.is_none()
    }

    /// KeepAliveTime that a client was last given, in seconds.
    pub fn keep_alive(&self) -> Option<u32> {
        self.keep_alive
    }

    /// Judges what a server answered to a correct request.
    pub fn server_answer(&mut self, syntax: &Syntax, request: &Tree, answer: Given<'_>) -> Vec<Judgement> {
        let Some(asked) = Envelope::of(request) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for transaction in &asked.transactions {
            // The legs of a login share an identifier (ENV-8), and a repeat has that of the first try (HT-6).
            self.answered.remove(&transaction.id);
        }
        let polled = asked.transactions.iter().any(|t| t.name == "Polling-Request");
        let Given::Message(tree) = answer else {
            if polled && matches!(answer, Given::Empty) && std::mem::take(&mut self.poll_promised) {
                let text = "Poll said T, and the poll that followed brought nothing".to_owned();
                out.push(self.judge("POLL", 2, "poll-brings-data", false, text, String::new()));
            }
            self.learn(syntax, request, &asked, None);
            return out;
        };
        let Some(given) = Envelope::of(tree) else {
            return out;
        };
        if polled && std::mem::take(&mut self.poll_promised) {
            let text = "Poll said T, and the poll that followed brought a message".to_owned();
            let path = tree.path(tree.root());
            out.push(self.judge("POLL", 2, "poll-brings-data", true, text, path));
        }
        self.late_answers(tree, &given, &mut out);
        let requests: Vec<&TransactionView> = asked
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request)
            .collect();
        for (index, transaction) in requests.iter().enumerate() {
            if transaction.name == "Polling-Request" {
                self.poll_answer(syntax, tree, &given, &mut out);
                continue; // its answer is a set of server requests with their own identifiers (ENV-9)
            }
            self.pair(
                syntax,
                (request, transaction),
                index,
                requests.len(),
                tree,
                &given,
                &mut out,
            );
        }
        self.session_of_answer(&asked, &given, tree, &mut out);
        self.server_requests(syntax, tree, &given, &mut out);
        self.learn(syntax, request, &asked, Some((tree, &given)));
        self.poll_promised = given.poll.as_deref() == Some("T");
        out
    }

    /// Judges the length of a message of the server, in octets, against what the client can parse.
    pub fn server_size(&self, octets: usize) -> Option<Judgement> {
        let limit = self.agreed.parser_size?;
        let text = format!("the message has {octets} octets, the ParserSize agreed is {limit}");
        Some(self.judge("CCAPAB", 10, "parser-size", octets <= limit, text, String::new()))
    }

    /// Requests of the server against what the session agreed on.
    fn server_requests(&self, syntax: &Syntax, tree: &Tree, given: &Envelope, out: &mut Vec<Judgement>) {
        let requests = given
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request && t.name != "Disconnect");
        let mut count = 0;
        for request in requests {
            count += 1;
            self.function_use(syntax, request, tree, 10, out);
        }
        if let Some(limit) = self.agreed.multi_trans.filter(|_| count > 0) {
            let text = format!("{count} requests of the server in one message, MultiTrans agreed is {limit}");
            let path = tree.path(tree.root());
            out.push(self.judge("CCAPAB", 12, "multi-trans", count <= limit, text, path));
        }
    }

    /// SN-8: a function that was not granted is used by neither side.
    fn function_use(
        &self,
        syntax: &Syntax,
        transaction: &TransactionView,
        tree: &Tree,
        number: u16,
        out: &mut Vec<Judgement>,
    ) {
        let (Some(refused), Some(row)) = (&self.agreed.refused, syntax.primitive(&transaction.name)) else {
            return;
        };
        if row.functions.is_empty() {
            return;
        }
        let holds = row.functions.iter().any(|f| !refused.contains(f));
        let text = format!(
            "{} belongs to {}, which was {}granted",
            transaction.name,
            row.functions.join(" or "),
            if holds { "" } else { "not " }
        );
        let path = tree.path(transaction.node);
        out.push(self.judge("SERVN", number, "only-agreed-functions", holds, text, path));
    }

    fn take(&self, found: Vec<Found>, out: &mut Vec<Judgement>) {
        out.extend(
            found
                .into_iter()
                .map(|f| self.judge(f.group, f.number, f.rule, f.holds, f.text, f.path)),
        );
    }

    /// Finds the answer to one request: by TransactionID, else the one in its place, so that a wrong
    /// identifier is one finding and does not hide the rest.
    #[expect(clippy::too_many_arguments, reason = "one place, one caller")]
    fn pair(
        &mut self,
        syntax: &Syntax,
        (sent, request): (&Tree, &TransactionView),
        index: usize,
        count: usize,
        tree: &Tree,
        given: &Envelope,
        out: &mut Vec<Judgement>,
    ) {
        let by_id = given.transactions.iter().find(|t| t.id == request.id);
        let answers: Vec<&TransactionView> = given
            .transactions
            .iter()
            .filter(|t| t.mode != Mode::Request)
            .collect();
        let by_place = (answers.len() == count).then(|| answers[index]);
        let Some(answer) = by_id.or(by_place) else {
            if count > 1 && !self.waiting.contains_key(&request.id) {
                // It may come in a later message (ENV-13): charged only if it never does.
                self.waiting.insert(request.id.clone(), request.name.clone());
            }
            return;
        };
        let path = tree.path(answer.node);
        if by_id.is_some() {
            self.answered_once(&request.name, &request.id, tree, given, out);
        }
        if let (Some(version), Some(asked), Some(got)) =
            (version_of(tree), request.primitive, answer.primitive)
        {
            let found = negotiation::answer(syntax, version, (sent, asked), (tree, got));
            self.take(found, out);
        }
        // An identifier that is not there is the affair of the rule that asks for its presence; that
        // rule leaves Status alone, because a poll has none.
        let described = tree.child(answer.node, "TransactionDescriptor").is_some();
        if described && (!answer.id.is_empty() || answer.name == "Status") {
            out.push(self.judge(
                "ENV",
                8,
                "transaction-id-repeated",
                by_id.is_some(),
                if by_id.is_some() {
                    format!("{} repeats the TransactionID of {}", answer.name, request.name)
                } else {
                    format!(
                        "{} carries TransactionID `{}`, the request had `{}`",
                        answer.name, answer.id, request.id
                    )
                },
                path.clone(),
            ));
        }
        self.refused_function(syntax, request, tree, answer, out);
        // A mode that is neither is the affair of the content model, or of the rule about enumerations.
        if !matches!(answer.mode, Mode::Other(_)) {
            let response = answer.mode == Mode::Response;
            let text = if response {
                format!("{} is in mode Response", answer.name)
            } else {
                format!("{} answers a request in mode Request", answer.name)
            };
            out.push(self.judge("ENV", 7, "answer-mode", response, text, path.clone()));
        }
        if count > 1 {
            out.push(self.judge(
                "ENV",
                16,
                "every-transaction-answered",
                true,
                format!("{} with TransactionID `{}` is answered", request.name, request.id),
                path.clone(),
            ));
        }
        // Only a known primitive can be the wrong one; an unknown one is the content model's affair.
        if syntax.primitive(&answer.name).is_some()
            && let Some(row) = syntax.primitive(&request.name)
        {
            let fits = row.answers.contains(&answer.name);
            out.push(self.judge(
                "ENV",
                17,
                "answer-primitive",
                fits,
                if fits {
                    format!("{} is answered by {}", request.name, answer.name)
                } else {
                    format!(
                        "{} is answered by {}, expected {}",
                        request.name,
                        answer.name,
                        row.answers.join(" or ")
                    )
                },
                path,
            ));
        }
    }

    /// TR-8: a function that service negotiation refused is not served, and the code says why.
    fn refused_function(
        &self,
        syntax: &Syntax,
        request: &TransactionView,
        tree: &Tree,
        answer: &TransactionView,
        out: &mut Vec<Judgement>,
    ) {
        let (Some(refused), Some(row)) = (&self.agreed.refused, syntax.primitive(&request.name)) else {
            return;
        };
        if row.functions.is_empty() || row.functions.iter().any(|f| !refused.contains(f)) {
            return;
        }
        let code: Option<u16> = code_text(tree, answer).and_then(|c| c.parse().ok());
        let served = code.is_none_or(|c| c < 400);
        let path = tree.path(answer.node);
        let what = row.functions.join(" or ");
        let text = match code {
            Some(code) => format!(
                "{} of {what}, which was refused, is answered with code {code}",
                request.name
            ),
            None => format!(
                "{} of {what}, which was refused, is answered by {}",
                request.name, answer.name
            ),
        };
        out.push(self.judge(
            "SERVN",
            7,
            "refused-not-served",
            !served,
            text.clone(),
            path.clone(),
        ));
        if !served {
            out.push(self.judge("SERVN", 8, "code-of-refused", code == Some(506), text, path));
        }
    }

    /// TR-1: one answer a request; provisional ones (1xx) do not count (TR-4).
    fn answered_once(
        &mut self,
        name: &str,
        id: &str,
        tree: &Tree,
        given: &Envelope,
        out: &mut Vec<Judgement>,
    ) {
        let count = given
            .transactions
            .iter()
            .filter(|t| t.mode != Mode::Request && t.id == id && !is_provisional(tree, t))
            .count();
        if count == 0 {
            return;
        }
        let holds = count == 1;
        let text = if holds {
            format!("{name} is answered once")
        } else {
            format!("{name} is answered {count} times")
        };
        let path = tree.path(tree.root());
        out.push(self.judge("ENV", 20, "one-answer", holds, text, path));
        self.answered.insert(id.to_owned());
    }

    /// Answers that come in a later message than the others.
    fn late_answers(&mut self, tree: &Tree, given: &Envelope, out: &mut Vec<Judgement>) {
        for answer in given.transactions.iter().filter(|t| t.mode == Mode::Response) {
            if self.answered.contains(&answer.id) && !answer.id.is_empty() {
                let text = format!("TransactionID `{}` is answered once more", answer.id);
                let path = tree.path(answer.node);
                out.push(self.judge("ENV", 20, "one-answer", false, text, path));
                continue;
            }
            if let Some(name) = self.waiting.remove(&answer.id) {
                let text = format!("{name} with TransactionID `{}` is answered later", answer.id);
                out.push(self.judge(
                    "ENV",
                    16,
                    "every-transaction-answered",
                    true,
                    text,
                    tree.path(answer.node),
                ));
            }
        }
    }

    /// What never came: to be asked for when the conversation is over.
    pub fn unanswered(&self) -> Vec<Judgement> {
        self.waiting
            .iter()
            .map(|(id, name)| {
                let text = format!("{name} with TransactionID `{id}` was never answered");
                self.judge(
                    "ENV",
                    16,
                    "every-transaction-answered",
                    false,
                    text,
                    String::new(),
                )
            })
            .collect()
    }

    /// A poll is answered by Status or by nothing; requests of the server are no answers.
    fn poll_answer(&self, syntax: &Syntax, tree: &Tree, given: &Envelope, out: &mut Vec<Judgement>) {
        let Some(row) = syntax.primitive("Polling-Request") else {
            return;
        };
        for answer in given
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Response && t.id.is_empty() && !t.name.is_empty())
        {
            let fits = row.answers.contains(&answer.name);
            let text = if fits {
                format!("Polling-Request is answered by {}", answer.name)
            } else {
                format!(
                    "Polling-Request is answered by {}, expected server requests or Status",
                    answer.name
                )
            };
            out.push(self.judge("ENV", 17, "answer-primitive", fits, text, tree.path(answer.node)));
        }
    }

    fn session_of_answer(&self, asked: &Envelope, given: &Envelope, tree: &Tree, out: &mut Vec<Judgement>) {
        let path = tree.path(tree.root());
        if matches!(given.session_type, SessionType::Other(_)) {
            return; // the affair of the rule about enumerations
        }
        match (&asked.session_type, &asked.session_id) {
            (SessionType::Outband, _) => {
                let right = given.session_type == SessionType::Outband;
                out.push(self.judge(
                    "ENV",
                    6,
                    "session-type-of-answer",
                    right,
                    if right {
                        "the answer to an Outband request is Outband".to_owned()
                    } else {
                        "the answer to an Outband request is not Outband".to_owned()
                    },
                    path,
                ));
            }
            // An answer about a session that is not open may leave the session out.
            (SessionType::Inband, Some(id)) if self.session.as_deref() == Some(id) => {
                let inband = given.session_type == SessionType::Inband;
                out.push(self.judge(
                    "ENV",
                    6,
                    "session-type-of-answer",
                    inband,
                    if inband {
                        "the answer in a session is Inband".to_owned()
                    } else {
                        "the answer in a session is not Inband".to_owned()
                    },
                    path.clone(),
                ));
                if let Some(found) = &given.session_id {
                    let same = found == id;
                    out.push(self.judge(
                        "ENV",
                        10,
                        "session-id-of-answer",
                        same,
                        if same {
                            "the answer carries the SessionID of the request".to_owned()
                        } else {
                            format!("the answer carries SessionID `{found}`, the request had `{id}`")
                        },
                        path,
                    ));
                }
            }
            _ => {}
        }
    }

    /// Follows sessions from what a server answered.
    fn learn(
        &mut self,
        syntax: &Syntax,
        request: &Tree,
        asked: &Envelope,
        answer: Option<(&Tree, &Envelope)>,
    ) {
        if let Some((tree, given)) = answer {
            for transaction in &given.transactions {
                let Some(node) = transaction.primitive else {
                    continue;
                };
                if transaction.name == "Login-Response"
                    && let Some(id) = tree.child_text(node, "SessionID").filter(|s| !s.is_empty())
                {
                    self.session = Some(id);
                    self.agreed = Agreed::default();
                    self.answered.clear();
                }
                // What is said of another session says nothing of this one.
                if ends_session(tree, transaction) && asked.session_id == self.session {
                    self.session = None;
                }
            }
            self.negotiated(syntax, request, asked, tree, given);
        }
        if asked.transactions.iter().any(|t| t.name == "Logout-Request") {
            self.session = None;
        }
    }

    /// Learns what a negotiation agreed on.
    fn negotiated(
        &mut self,
        syntax: &Syntax,
        request: &Tree,
        asked: &Envelope,
        answer: &Tree,
        given: &Envelope,
    ) {
        let Some(version) = version_of(answer) else { return };
        for transaction in &asked.transactions {
            let reply = given
                .transactions
                .iter()
                .find(|t| t.mode != Mode::Request && t.id == transaction.id);
            if let (Some(asked), Some(got)) = (transaction.primitive, reply.and_then(|r| r.primitive)) {
                self.agreed
                    .learn(syntax, version, (request, asked), (answer, got));
            }
        }
    }

    /// Judges what a client sent at a time of the caller's clock; call [`Conversation::answered`] with
    /// what it got.
    pub fn client_message(&mut self, syntax: &Syntax, tree: &Tree, now_ms: u64) -> Vec<Judgement> {
        let mut out = Vec::new();
        let Some(given) = Envelope::of(tree) else {
            return out;
        };
        let path = tree.path(tree.root());
        let login = given.transactions.iter().any(|t| t.name == "Login-Request");
        // GetSPInfo may be asked before login; a Status may answer anything.
        let either = given
            .transactions
            .iter()
            .all(|t| matches!(t.name.as_str(), "GetSPInfo-Request" | "Status" | ""));
        // A SessionType that is neither is the affair of the rule about enumerations.
        if login && !matches!(given.session_type, SessionType::Other(_)) {
            let right = given.session_type == SessionType::Outband;
            out.push(self.judge(
                "ENV",
                6,
                "session-type",
                right,
                format!(
                    "Login-Request is {}",
                    if right { "Outband" } else { "not Outband" }
                ),
                path.clone(),
            ));
        } else if !login && !either && !matches!(given.session_type, SessionType::Other(_)) {
            let right = given.session_type == SessionType::Inband;
            out.push(self.judge(
                "ENV",
                6,
                "session-type",
                right,
                format!(
                    "{} is {}",
                    given.primitives(),
                    if right { "Inband" } else { "not Inband" }
                ),
                path.clone(),
            ));
        }
        // An answer to a Disconnect is charged for being one.
        let to_disconnect = given
            .transactions
            .iter()
            .all(|t| t.mode == Mode::Response && self.disconnects.contains(&t.id));
        if let (SessionType::Inband, Some(id), false) =
            (&given.session_type, &given.session_id, to_disconnect)
        {
            self.session_of_client(id, &given, &path, &mut out);
        }
        if login {
            out.extend(self.came_back(&path));
        }
        for transaction in &given.transactions {
            self.transaction_of_client(syntax, transaction, tree, &mut out);
        }
        self.agreed_of_client(syntax, &given, tree, now_ms, &mut out);
        out
    }

    /// What a new login of the same client proves of this conversation; `path` is that of the login.
    pub fn came_back(&mut self, path: &str) -> Option<Judgement> {
        if std::mem::take(&mut self.disconnects).is_empty() {
            return None;
        }
        let text = "the Disconnect of the server was not answered".to_owned();
        Some(self.judge("DISCO", 2, "disconnect-unanswered", true, text, path.to_owned()))
    }

    /// What a client does against what its session agreed on.
    fn agreed_of_client(
        &mut self,
        syntax: &Syntax,
        given: &Envelope,
        tree: &Tree,
        now_ms: u64,
        out: &mut Vec<Judgement>,
    ) {
        let requests = given.transactions.iter().filter(|t| t.mode == Mode::Request);
        let count = requests.clone().count();
        for request in requests {
            self.function_use(syntax, request, tree, 2, out);
            if let Some(primitive) = request.primitive {
                self.take(negotiation::request(tree, primitive), out);
            }
        }
        if let Some(limit) = self.agreed.client_multi_trans.filter(|_| count > 0) {
            let text = format!("{count} requests in one message, MultiTrans agreed is {limit}");
            let path = tree.path(tree.root());
            out.push(self.judge("CCAPAB", 5, "multi-trans", count <= limit, text, path));
        }
        if !given.transactions.iter().any(|t| t.name == "Polling-Request") {
            return;
        }
        // Poll T and a CIR allow an immediate poll (DL-2); the interval is between polls by the clock.
        if std::mem::take(&mut self.poll_promised) {
            self.last_poll_ms = None;
            return;
        }
        if let (Some(min), Some(last)) = (self.agreed.poll_min, self.last_poll_ms) {
            let gap = now_ms.saturating_sub(last);
            // Half a second is allowed for what the network does to both messages.
            let holds = gap + 500 >= u64::from(min) * 1000;
            let text = format!("{gap} ms between two polls, ServerPollMin agreed is {min} s");
            let path = tree.path(tree.root());
            out.push(self.judge("CCAPAB", 3, "poll-interval", holds, text, path));
        }
        self.last_poll_ms = Some(now_ms);
    }

    fn session_of_client(&self, id: &str, given: &Envelope, path: &str, out: &mut Vec<Judgement>) {
        if self.session.as_deref() == Some(id) {
            out.push(self.judge(
                "ENV",
                10,
                "session-id",
                true,
                format!("{} carries the SessionID that was given", given.primitives()),
                path.to_owned(),
            ));
            return;
        }
        match self.ended.iter().rev().find(|(s, _)| s == id) {
            Some((_, Ended::Logout)) => out.push(self.judge(
                "LOGOUT",
                2,
                "session-after-logout",
                false,
                format!("{} uses the session after its logout", given.primitives()),
                path.to_owned(),
            )),
            Some((_, Ended::ByDisconnect)) => out.push(self.judge(
                "DISCO",
                1,
                "session-after-disconnect",
                false,
                format!("{} uses a session that a Disconnect ended", given.primitives()),
                path.to_owned(),
            )),
            Some((_, Ended::ByServer)) => out.push(self.judge(
                "SESS",
                1,
                "ended-session",
                false,
                format!("{} uses a session that the server ended", given.primitives()),
                path.to_owned(),
            )),
            None if self.session.is_none() && self.login_refused => out.push(self.judge(
                "LOGIN",
                3,
                "session-after-refusal",
                false,
                format!("{} is Inband although the login was refused", given.primitives()),
                path.to_owned(),
            )),
            None => out.push(self.judge(
                "ENV",
                10,
                "session-id",
                false,
                format!(
                    "{} carries SessionID `{id}`, which was never given",
                    given.primitives()
                ),
                path.to_owned(),
            )),
        }
    }

    fn transaction_of_client(
        &mut self,
        syntax: &Syntax,
        transaction: &TransactionView,
        tree: &Tree,
        out: &mut Vec<Judgement>,
    ) {
        let path = tree.path(transaction.node);
        let only_request = transaction.mode == Mode::Response
            && !PRINTED_IN_RESPONSE.contains(&transaction.name.as_str())
            && syntax
                .primitive(&transaction.name)
                .is_some_and(|p| !p.modes.contains(&Mode::Response));
        if only_request {
            let text = format!(
                "{} begins a transaction and is in mode Response",
                transaction.name
            );
            out.push(self.judge("ENV", 7, "request-mode", false, text, path));
            return;
        }
        let only_answer = transaction.mode == Mode::Request
            && syntax
                .primitive(&transaction.name)
                .is_some_and(|p| !p.modes.contains(&Mode::Request));
        if only_answer {
            let text = format!("{} answers a request and is in mode Request", transaction.name);
            out.push(self.judge("ENV", 7, "answer-mode", false, text, path));
            return;
        }
        match transaction.mode {
            Mode::Response if self.disconnects.contains(&transaction.id) => {
                let text = format!("{} answers a Disconnect of the server", transaction.name);
                out.push(self.judge("DISCO", 2, "disconnect-unanswered", false, text, path));
            }
            Mode::Response if self.answered.contains(&transaction.id) => {
                let text = format!(
                    "{} answers TransactionID `{}` once more",
                    transaction.name, transaction.id
                );
                out.push(self.judge("ENV", 20, "one-answer", false, text, path));
            }
            Mode::Response if !transaction.id.is_empty() || transaction.name == "Status" => {
                let known = self.open.remove(&transaction.id);
                if known && !is_provisional(tree, transaction) {
                    self.answered.insert(transaction.id.clone());
                    let text = format!("{} answers a request of the server once", transaction.name);
                    out.push(self.judge("ENV", 20, "one-answer", true, text, path.clone()));
                }
                out.push(self.judge(
                    "ENV",
                    8,
                    "transaction-id-repeated",
                    known,
                    if known {
                        format!(
                            "{} repeats the TransactionID of the server's request",
                            transaction.name
                        )
                    } else {
                        format!(
                            "{} answers TransactionID `{}`, which no open request of the server has",
                            transaction.name, transaction.id
                        )
                    },
                    path,
                ));
            }
            Mode::Request if !transaction.id.is_empty() && transaction.name != "Login-Request" => {
                let fresh = self.used.insert(transaction.id.clone());
                out.push(self.judge(
                    "ENV",
                    9,
                    "transaction-id-fresh",
                    fresh,
                    if fresh {
                        format!("{} has a TransactionID of its own", transaction.name)
                    } else {
                        format!(
                            "{} uses TransactionID `{}` again",
                            transaction.name, transaction.id
                        )
                    },
                    path,
                ));
            }
            _ => {}
        }
    }

    /// Follows what the client got for the message that was judged last.
    pub fn answered(&mut self, syntax: &Syntax, sent: &Tree, answer: Option<&Tree>) {
        self.poll_promised = false;
        let names: Vec<String> = Envelope::of(sent)
            .map(|e| e.transactions.into_iter().map(|t| t.name).collect())
            .unwrap_or_default();
        let mut ended = None;
        if let Some((tree, given)) = answer.and_then(|t| Envelope::of(t).map(|e| (t, e))) {
            for transaction in &given.transactions {
                let Some(node) = transaction.primitive else {
                    continue;
                };
                let code = code_text(tree, transaction);
                let time = tree
                    .child_text(node, "KeepAliveTime")
                    .and_then(|t| t.parse().ok());
                self.keep_alive = time.or(self.keep_alive);
                match transaction.name.as_str() {
                    "Login-Response" => match tree.child_text(node, "SessionID").filter(|s| !s.is_empty()) {
                        Some(id) => {
                            self.session = Some(id);
                            self.login_refused = false;
                            self.used.clear();
                            self.answered.clear();
                            self.agreed = Agreed::default();
                            self.last_poll_ms = None;
                        }
                        None if tree.child(node, "Nonce").is_none() => self.login_refused = true,
                        None => {}
                    },
                    "Status" if names.iter().any(|n| n == "Login-Request") => self.login_refused = true,
                    "Disconnect" if transaction.mode == Mode::Request => {
                        ended = Some(Ended::ByDisconnect);
                        self.disconnects.insert(transaction.id.clone());
                    }
                    _ if matches!(code.as_deref(), Some("600" | "601" | "604")) => {
                        ended = ended.or(Some(Ended::ByServer));
                    }
                    _ => {}
                }
                if transaction.mode == Mode::Request && transaction.name != "Disconnect" {
                    self.open.insert(transaction.id.clone());
                }
            }
            self.poll_promised = given.poll.as_deref() == Some("T");
            if let Some(asked) = Envelope::of(sent) {
                self.negotiated(syntax, sent, &asked, tree, &given);
            }
        }
        // One that was refused, or not understood, ended nothing.
        let accepted = |tree: &Tree| {
            Envelope::of(tree).is_some_and(|e| {
                let codes = e.transactions.iter().filter_map(|t| code_text(tree, t));
                codes.into_iter().any(|c| c.starts_with('2'))
            })
        };
        if names.iter().any(|n| n == "Logout-Request") && answer.is_some_and(accepted) {
            ended = Some(Ended::Logout);
        }
        if let Some(how) = ended
            && let Some(id) = self.session.take()
        {
            self.ended.push((id, how));
        }
    }

    fn judge(
        &self,
        group: &str,
        number: u16,
        rule: &'static str,
        holds: bool,
        text: String,
        path: String,
    ) -> Judgement {
        let side = match self.iut {
            Role::Client => "C",
            Role::Server => "S",
        };
        Judgement {
            // Letters, digits and hyphens only: always an identifier.
            item: ItemId::parse(&format!("CSP-{group}-{side}-{number:03}"))
                .expect("built of allowed characters"),
            rule,
            holds,
            text,
            path,
        }
    }
}

/// The version of a message by the namespace of its root.
fn version_of(tree: &Tree) -> Option<Version> {
    Version::of_namespace(&tree.get(tree.root()).namespace).map(|(version, _)| version)
}

/// Whether a transaction carries a provisional code (1xx).
fn is_provisional(tree: &Tree, transaction: &TransactionView) -> bool {
    code_text(tree, transaction).is_some_and(|c| c.len() == 3 && c.starts_with('1'))
}

/// Whether a server ends the session by this (TR-7).
fn ends_session(tree: &Tree, transaction: &TransactionView) -> bool {
    transaction.name == "Disconnect"
        || matches!(
            code_text(tree, transaction).as_deref(),
            Some("600" | "601" | "604")
        )
}

fn code_text(tree: &Tree, transaction: &TransactionView) -> Option<String> {
    let result = tree.child(transaction.primitive?, "Result")?;
    tree.child_text(result, "Code")
}
