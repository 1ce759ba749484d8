//! The CSP envelope as a view: what kind of session, which transactions, which primitive. The view
//! is tolerant: it reads what is there and leaves judging to `check`.

use super::tree::{NodeId, Tree};

/// `SessionType` as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionType {
    /// Inside a session that a login opened.
    Inband,
    /// Outside any session.
    Outband,
    /// Something else, or nothing.
    Other(String),
}

/// `TransactionMode` as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The first primitive of a transaction.
    Request,
    /// The answer.
    Response,
    /// Something else, or nothing.
    Other(String),
}

impl Mode {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Mode::Request => "Request",
            Mode::Response => "Response",
            Mode::Other(text) => text,
        }
    }
}

/// One `Transaction` of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionView {
    /// The `Transaction` element.
    pub node: NodeId,
    /// `TransactionMode`.
    pub mode: Mode,
    /// `TransactionID` trimmed; empty when empty or absent.
    pub id: String,
    /// The primitive element, when `TransactionContent` has one.
    pub primitive: Option<NodeId>,
    /// Its local name, empty without one.
    pub name: String,
}

/// The envelope of a message, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `SessionType`.
    pub session_type: SessionType,
    /// `SessionID` trimmed, if the element is there.
    pub session_id: Option<String>,
    /// The transactions in document order.
    pub transactions: Vec<TransactionView>,
    /// `Poll`, wherever the version puts it.
    pub poll: Option<String>,
}

impl Envelope {
    /// Reads the envelope; `None` when the root is not `WV-CSP-Message` with a `Session`.
    pub fn of(tree: &Tree) -> Option<Self> {
        let root = tree.root();
        if tree.get(root).name != "WV-CSP-Message" {
            return None;
        }
        let session = tree.child(root, "Session")?;
        let descriptor = tree.child(session, "SessionDescriptor");
        let session_type = match descriptor
            .and_then(|d| tree.child_text(d, "SessionType"))
            .as_deref()
        {
            Some("Inband") => SessionType::Inband,
            Some("Outband") => SessionType::Outband,
            other => SessionType::Other(other.unwrap_or_default().to_owned()),
        };
        let mut poll = tree.child_text(session, "Poll");
        let mut transactions = Vec::new();
        for node in tree
            .elements(session)
            .filter(|e| tree.get(*e).name == "Transaction")
        {
            let descriptor = tree.child(node, "TransactionDescriptor");
            let read = |name: &str| descriptor.and_then(|d| tree.child_text(d, name));
            poll = poll.or_else(|| read("Poll"));
            let primitive = tree
                .child(node, "TransactionContent")
                .and_then(|c| tree.elements(c).next());
            transactions.push(TransactionView {
                node,
                mode: match read("TransactionMode").as_deref() {
                    Some("Request") => Mode::Request,
                    Some("Response") => Mode::Response,
                    other => Mode::Other(other.unwrap_or_default().to_owned()),
                },
                id: read("TransactionID").unwrap_or_default(),
                primitive,
                name: primitive.map(|p| tree.get(p).name.clone()).unwrap_or_default(),
            });
        }
        Some(Self {
            session_type,
            session_id: descriptor.and_then(|d| tree.child_text(d, "SessionID")),
            transactions,
            poll,
        })
    }

    /// The names of the primitives, joined for people.
    pub fn primitives(&self) -> String {
        let names: Vec<&str> = self
            .transactions
            .iter()
            .map(|t| {
                if t.name.is_empty() {
                    "(no primitive)"
                } else {
                    &t.name
                }
            })
            .collect();
        if names.is_empty() {
            "(no transaction)".to_owned()
        } else {
            names.join(" + ")
        }
    }
}
