//! What a server answers: which answer belongs to which request, whether there is exactly one, whether it
//! stands in the right session and keeps to what was agreed.

use crate::message::{Envelope, Mode, SessionType, TransactionView, Tree};
use crate::spec::syntax::Syntax;

use super::super::negotiation::{self, Agreed};
use super::{Conversation, Given, Judgement, code_text, ends_session, is_provisional, version_of};

impl Conversation {
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
            // Something came, though nobody can tell what.
            self.poll_promised &= !polled;
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
            // 405 and 501 say that the server never had it (TR-8).
            let told = matches!(code, Some(506 | 405 | 501));
            out.push(self.judge("SERVN", 8, "code-of-refused", told, text, path));
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
}
