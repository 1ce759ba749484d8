//! What a client sends: in which session, under which identifiers, and whether it keeps to what was agreed.

use crate::message::{Envelope, Mode, SessionType, TransactionView, Tree};
use crate::spec::syntax::Syntax;

use super::super::negotiation::{self, Agreed};
use super::{Conversation, Ended, Judgement, PRINTED_IN_RESPONSE, code_text, is_provisional};

impl Conversation {
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
        // Who got no answer does not know what became of the session.
        let repeats = given.transactions.iter().all(|t| self.repeatable.contains(&t.id));
        if let (SessionType::Inband, Some(id), false) =
            (&given.session_type, &given.session_id, to_disconnect || repeats)
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
                let printed_so = PRINTED_IN_RESPONSE.contains(&transaction.name.as_str());
                // WV-023 prints these in mode Response with an identifier of their own.
                if printed_so && !known && (self.open.is_empty() || transaction.name != "MessageDelivered") {
                    return;
                }
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
            // The same once more after a fault of the transport (HT-6).
            Mode::Request if self.repeatable.contains(&transaction.id) => {}
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
        if answer.is_none() {
            let sent = Envelope::of(sent).map(|e| e.transactions).unwrap_or_default();
            let ids = sent.into_iter().map(|t| t.id).filter(|id| !id.is_empty());
            self.repeatable.extend(ids);
        }
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
}
