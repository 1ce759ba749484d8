//! Rules that need more than one message: which answer belongs to which request, which session is in
//! force, which identifiers were used. One [`Conversation`] follows one session of the implementation
//! under test; it knows what the tester sent and judges what came.

mod client;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ItemId;
use crate::message::{Envelope, Mode, TransactionView, Tree};
use crate::spec::syntax::Syntax;
use crate::spec::{Role, Version};

use super::negotiation::{Agreed, Found};

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
    /// TransactionIDs of the client that got no answer: it may repeat them (HT-6).
    repeatable: BTreeSet<String>,
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
            repeatable: BTreeSet::new(),
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

    /// The client was told by a CIR to poll.
    pub fn poll_is_called_for(&mut self) {
        self.poll_promised = true;
    }

    /// Whether its last login was refused and no session is in force.
    pub fn was_refused(&self) -> bool {
        self.login_refused && self.session.is_none()
    }

    /// KeepAliveTime that a client was last given, in seconds.
    pub fn keep_alive(&self) -> Option<u32> {
        self.keep_alive
    }

    /// Something passed that the sides may have understood differently: what was agreed, and what is still
    /// to be answered, is not known any more.
    pub fn unsure(&mut self) {
        self.agreed = Agreed::default();
        self.waiting.clear();
        self.answered.clear();
        self.poll_promised = false;
        self.last_poll_ms = None;
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

    fn judge(
        &self,
        group: &str,
        number: u16,
        rule: &'static str,
        holds: bool,
        text: String,
        path: String,
    ) -> Judgement {
        let side = self.iut.device();
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
