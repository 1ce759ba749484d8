//! Rules that need more than one message: which answer belongs to which request, which session is in
//! force, which identifiers were used. One [`Conversation`] follows one session of the implementation
//! under test; it knows what the tester sent and judges what came.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ItemId;
use crate::message::{Envelope, Mode, SessionType, TransactionView, Tree};
use crate::spec::Role;
use crate::spec::syntax::Syntax;

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

/// Why a session can no longer be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    /// The client logged out.
    Logout,
    /// The server said 600, 601 or 604, or sent Disconnect.
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
    login_refused: bool,
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
            login_refused: false,
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

    /// Judges what a server answered to a correct request.
    pub fn server_answer(
        &mut self,
        syntax: &Syntax,
        request: &Tree,
        answer: Option<&Tree>,
    ) -> Vec<Judgement> {
        let Some(asked) = Envelope::of(request) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let Some(tree) = answer else {
            self.learn(&asked, None);
            return out;
        };
        let Some(given) = Envelope::of(tree) else {
            return out;
        };
        self.late_answers(tree, &given, &mut out);
        let requests: Vec<&TransactionView> = asked
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request)
            .collect();
        for (index, request) in requests.iter().enumerate() {
            if request.name == "Polling-Request" {
                self.poll_answer(syntax, tree, &given, &mut out);
                continue; // its answer is a set of server requests with their own identifiers (ENV-9)
            }
            self.pair(syntax, request, index, requests.len(), tree, &given, &mut out);
        }
        self.session_of_answer(&asked, &given, tree, &mut out);
        self.learn(&asked, Some((tree, &given)));
        out
    }

    /// Finds the answer to one request: by TransactionID, else the one in its place, so that a wrong
    /// identifier is one finding and does not hide the rest.
    #[expect(clippy::too_many_arguments, reason = "one place, one caller")]
    fn pair(
        &mut self,
        syntax: &Syntax,
        request: &TransactionView,
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
                return;
            }
            return;
        };
        let path = tree.path(answer.node);
        // An identifier that is not there is the affair of the rule that asks for its presence; that
        // rule leaves Status alone, because a poll has none.
        if !answer.id.is_empty() || answer.name == "Status" {
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
        let response = answer.mode == Mode::Response;
        out.push(self.judge(
            "ENV",
            7,
            "answer-mode",
            response,
            if response {
                format!("{} is in mode Response", answer.name)
            } else {
                format!(
                    "{} answers a request in mode `{}`",
                    answer.name,
                    answer.mode.as_str()
                )
            },
            path.clone(),
        ));
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

    /// Answers that come in a later message than the others.
    fn late_answers(&mut self, tree: &Tree, given: &Envelope, out: &mut Vec<Judgement>) {
        for answer in given.transactions.iter().filter(|t| t.mode == Mode::Response) {
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
            .filter(|t| t.mode == Mode::Response && t.id.is_empty())
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
    fn learn(&mut self, asked: &Envelope, answer: Option<(&Tree, &Envelope)>) {
        if let Some((tree, given)) = answer {
            for transaction in &given.transactions {
                let Some(node) = transaction.primitive else {
                    continue;
                };
                if transaction.name == "Login-Response"
                    && let Some(id) = tree.child_text(node, "SessionID").filter(|s| !s.is_empty())
                {
                    self.session = Some(id);
                }
            }
        }
        if asked.transactions.iter().any(|t| t.name == "Logout-Request") {
            self.session = None;
        }
    }

    /// Judges what a client sent; call [`Conversation::answered`] with what it got.
    pub fn client_message(&mut self, syntax: &Syntax, tree: &Tree) -> Vec<Judgement> {
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
        if let (SessionType::Inband, Some(id)) = (&given.session_type, &given.session_id) {
            self.session_of_client(id, &given, &path, &mut out);
        }
        for transaction in &given.transactions {
            self.transaction_of_client(syntax, transaction, tree, &mut out);
        }
        out
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
        match transaction.mode {
            Mode::Response if !transaction.id.is_empty() || transaction.name == "Status" => {
                let known = self.open.remove(&transaction.id);
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
    pub fn answered(&mut self, sent: &Tree, answer: Option<&Tree>) {
        let names: Vec<String> = Envelope::of(sent)
            .map(|e| e.transactions.into_iter().map(|t| t.name).collect())
            .unwrap_or_default();
        let mut ended_by_server = false;
        if let Some((tree, given)) = answer.and_then(|t| Envelope::of(t).map(|e| (t, e))) {
            for transaction in &given.transactions {
                let Some(node) = transaction.primitive else {
                    continue;
                };
                let code = tree
                    .child(node, "Result")
                    .and_then(|r| tree.child_text(r, "Code"));
                match transaction.name.as_str() {
                    "Login-Response" => match tree.child_text(node, "SessionID").filter(|s| !s.is_empty()) {
                        Some(id) => {
                            self.session = Some(id);
                            self.login_refused = false;
                            self.used.clear();
                        }
                        None if tree.child(node, "Nonce").is_none() => self.login_refused = true,
                        None => {}
                    },
                    "Status" if names.iter().any(|n| n == "Login-Request") => self.login_refused = true,
                    "Disconnect" if transaction.mode == Mode::Request => ended_by_server = true,
                    _ if matches!(code.as_deref(), Some("600" | "601" | "604")) => ended_by_server = true,
                    _ => {}
                }
                if transaction.mode == Mode::Request && transaction.name != "Disconnect" {
                    self.open.insert(transaction.id.clone());
                }
            }
        }
        let logout = names.iter().any(|n| n == "Logout-Request");
        if (logout || ended_by_server)
            && let Some(id) = self.session.take()
        {
            self.ended
                .push((id, if logout { Ended::Logout } else { Ended::ByServer }));
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
