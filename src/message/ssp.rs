//! The envelope of SSP as a view, as tolerant as that of CSP. Attributes are folded (see `folded`).

use super::envelope::Mode;
use super::tree::{NodeId, Tree};

/// The root of every message of SSP.
pub const SSP_ROOT: &str = "WV-SSP-Message";

/// One `SetupTransaction` or `Transaction`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SspTransaction {
    /// Its element.
    pub node: NodeId,
    /// `mode`.
    pub mode: Mode,
    /// `transactionID` trimmed; empty when empty or absent.
    pub id: String,
    /// Its first child element, if it has one.
    pub primitive: Option<NodeId>,
    /// The name of that, empty without one.
    pub name: String,
}

/// The envelope of a message, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SspEnvelope {
    /// Whether it is of the set-up: before there is a session.
    pub setup: bool,
    /// `sessionID` of the sender, trimmed.
    pub session_id: Option<String>,
    /// The transactions in document order.
    pub transactions: Vec<SspTransaction>,
}

impl SspEnvelope {
    /// Reads the envelope; `None` when the root is another one or holds neither of its children.
    pub fn of(tree: &Tree) -> Option<Self> {
        let root = tree.root();
        if tree.get(root).name != SSP_ROOT {
            return None;
        }
        let first = tree.content_elements(root).next()?;
        match tree.get(first).name.as_str() {
            "SetupTransaction" => Some(Self {
                setup: true,
                session_id: None,
                transactions: vec![transaction(tree, first)],
            }),
            "Session" => Some(Self {
                setup: false,
                session_id: tree.attribute(first, "sessionID").map(|s| s.trim().to_owned()),
                transactions: tree
                    .content_elements(first)
                    .filter(|e| tree.get(*e).name == "Transaction")
                    .map(|e| transaction(tree, e))
                    .collect(),
            }),
            _ => None,
        }
    }

    /// The names of the primitives, joined for people, with their modes where they tell.
    pub fn primitives(&self) -> String {
        let names: Vec<String> = self
            .transactions
            .iter()
            .map(|t| match (t.name.as_str(), self.setup) {
                ("", _) => "(no primitive)".to_owned(),
                (name, true) => format!("{name} ({})", t.mode.as_str()),
                (name, false) => name.to_owned(),
            })
            .collect();
        if names.is_empty() {
            "(no transaction)".to_owned()
        } else {
            names.join(" + ")
        }
    }
}

fn transaction(tree: &Tree, node: NodeId) -> SspTransaction {
    let read = |name: &str| tree.attribute(node, name).unwrap_or_default().trim().to_owned();
    let primitive = tree.content_elements(node).next();
    SspTransaction {
        node,
        mode: match read("mode").as_str() {
            "Request" => Mode::Request,
            "Response" => Mode::Response,
            other => Mode::Other(other.to_owned()),
        },
        id: read("transactionID"),
        primitive,
        name: primitive.map(|p| tree.get(p).name.clone()).unwrap_or_default(),
    }
}

/// The code of a primitive of SSP: of Status, or of the Status in a response.
pub fn ssp_code(tree: &Tree, primitive: NodeId) -> Option<u16> {
    let status = if tree.get(primitive).name == "Status" {
        primitive
    } else {
        tree.child(primitive, "Status")?
    };
    tree.attribute(status, "code")?.trim().parse().ok()
}
