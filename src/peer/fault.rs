//! Named faults of the reference: what a mutant does wrong, and which items it breaks by that.

use serde::Deserialize;

use crate::base::yaml;
use crate::base::{FileError, FileSet, ItemId};
use crate::message::{Envelope, SspEnvelope, Tree};
use crate::spec::{Role, Version};

use super::client::ClientFault;
use super::server::{RelayFault, ServerFault};
use super::ssp::NodeFault;
use crate::codec::deviation::Edit;

/// A named fault.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its name, for options and reports.
    pub name: String,
    /// The role that has it.
    pub role: Role,
    /// What is wrong, in a sentence.
    pub about: String,
    /// The items that it breaks.
    pub breaks: Vec<ItemId>,
    /// Versions in which it shows.
    pub versions: Vec<Version>,
    /// What it does.
    pub kind: FaultKind,
    /// Where it was written.
    pub file: String,
    /// The line.
    pub line: usize,
}

/// What a fault does.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// Changes outgoing messages that carry or answer one of these primitives (all when empty).
    Edits {
        /// Primitives.
        on: Vec<String>,
        /// Changes.
        edits: Vec<Edit>,
    },
    /// Changes every outgoing message of one kind.
    Mutation {
        /// Which messages.
        kind: MessageKind,
        /// Changes.
        edits: Vec<Edit>,
    },
    /// A state fault of the server.
    Server(ServerFault),
    /// A state fault of the client.
    Client(ClientFault),
    /// A state fault of a server towards other servers.
    Node(NodeFault),
    /// A state fault of what it relays.
    Relay(RelayFault),
}

/// What tells one kind of message from another: primitive, mode, code and the children that it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageKind {
    /// The primitives, joined.
    pub primitive: String,
    /// `TransactionMode`.
    pub mode: String,
    /// The result code.
    pub code: Option<u16>,
    /// Names of the children of the primitive.
    pub shape: Vec<String>,
}

impl MessageKind {
    /// The kind of a message with one transaction.
    pub fn of(tree: &Tree) -> Option<Self> {
        let envelope = Envelope::of(tree)?;
        let [transaction] = &envelope.transactions[..] else {
            return None;
        };
        let primitive = transaction.primitive?;
        let code = tree
            .child(primitive, "Result")
            .and_then(|r| tree.child_text(r, "Code"));
        Some(Self {
            primitive: transaction.name.clone(),
            mode: transaction.mode.as_str().to_owned(),
            code: code.and_then(|c| c.parse().ok()),
            shape: tree
                .elements(primitive)
                .map(|e| tree.get(e).name.clone())
                .collect(),
        })
    }
}

impl std::fmt::Display for MessageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.primitive)?;
        if let Some(code) = self.code {
            write!(f, ".{code}")?;
        }
        if self.mode == "Request" && !self.primitive.ends_with("-Request") {
            f.write_str(".request")?;
        }
        for told in [
            "Nonce",
            "DigestSchema",
            "DigestBytes",
            "Functions",
            "AllFunctions",
        ] {
            if self.shape.iter().any(|s| s == told) {
                write!(f, ".{told}")?;
            }
        }
        Ok(())
    }
}

impl Fault {
    /// The edits for an outgoing message, if this fault touches it. `answers` names the requests that
    /// it answers.
    pub fn edits_for(&self, tree: Option<&Tree>, answers: &[String]) -> &[Edit] {
        let (on, edits) = match &self.kind {
            FaultKind::Edits { on, edits } => (on, edits),
            FaultKind::Mutation { kind, edits } => {
                let hit = tree.and_then(MessageKind::of).as_ref() == Some(kind);
                return if hit { edits } else { &[] };
            }
            FaultKind::Server(_) | FaultKind::Client(_) | FaultKind::Node(_) | FaultKind::Relay(_) => {
                return &[];
            }
        };
        let carried: Vec<String> = tree.map(carried).unwrap_or_default();
        let hit = on.is_empty() && tree.is_some()
            || on.iter().any(|n| carried.contains(n))
            || on.iter().any(|n| answers.contains(n));
        if hit { edits } else { &[] }
    }

    /// The state fault of a server, if it is one.
    pub fn of_server(&self) -> Option<ServerFault> {
        match self.kind {
            FaultKind::Server(f) => Some(f),
            _ => None,
        }
    }

    /// The state fault of a server towards other servers, if it is one.
    pub fn of_node(&self) -> Option<NodeFault> {
        match self.kind {
            FaultKind::Node(f) => Some(f),
            _ => None,
        }
    }

    /// The state fault of what a server relays, if it is one.
    pub fn of_relay(&self) -> Option<RelayFault> {
        match self.kind {
            FaultKind::Relay(f) => Some(f),
            _ => None,
        }
    }

    /// The state fault of a client, if it is one.
    pub fn of_client(&self) -> Option<ClientFault> {
        match self.kind {
            FaultKind::Client(f) => Some(f),
            _ => None,
        }
    }
}

/// Names of the primitives of a message; those of a set-up with their mode, `LoginRequest.Response`, as well.
fn carried(tree: &Tree) -> Vec<String> {
    if let Some(envelope) = SspEnvelope::of(tree) {
        let with_mode = envelope
            .transactions
            .iter()
            .map(|t| format!("{}.{}", t.name, t.mode.as_str()))
            .collect::<Vec<_>>();
        let names = envelope.transactions.into_iter().map(|t| t.name);
        return names.chain(with_mode).collect();
    }
    let envelope = Envelope::of(tree);
    let names = envelope.map(|e| e.transactions.into_iter().map(|t| t.name).collect());
    names.unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: String,
    faults: Vec<RawFault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    name: String,
    role: Role,
    about: String,
    breaks: Vec<ItemId>,
    csp: Option<Vec<Version>>,
    server: Option<ServerFault>,
    client: Option<ClientFault>,
    node: Option<NodeFault>,
    relay: Option<RelayFault>,
    #[serde(default)]
    on: Vec<String>,
    #[serde(default)]
    edit: Vec<Edit>,
}

/// Loads every `_faults/*.yaml` of the cases.
///
/// # Errors
/// The first mistake with its line.
pub fn load(cases: &FileSet) -> Result<Vec<Fault>, FileError> {
    let mut faults: Vec<Fault> = Vec::new();
    for (file, text) in cases.iter().filter(|(name, _)| name.contains("_faults/")) {
        let doc = yaml::parse::<RawFile>(file, text)?;
        if doc.value.format != "imps-scr/faults/1" {
            return Err(doc
                .error(
                    "format",
                    format!("format `{}` is not known here", doc.value.format),
                )
                .fix("this version reads `imps-scr/faults/1`"));
        }
        for (i, raw) in doc.value.faults.iter().enumerate() {
            let path = format!("faults[{i}]");
            if faults.iter().any(|f| f.name == raw.name) {
                return Err(doc.error(&path, format!("the fault `{}` stands twice", raw.name)));
            }
            if raw.breaks.is_empty() {
                return Err(doc
                    .error(&path, format!("the fault `{}` breaks nothing", raw.name))
                    .fix("name the items in `breaks`"));
            }
            let states = [
                raw.server.map(FaultKind::Server).map(|k| (Role::Server, k)),
                raw.client.map(FaultKind::Client).map(|k| (Role::Client, k)),
                raw.node.map(FaultKind::Node).map(|k| (Role::Ssp, k)),
                raw.relay.map(FaultKind::Relay).map(|k| (Role::Ssp, k)),
            ];
            let states: Vec<_> = states.into_iter().flatten().collect();
            let kind = match (&states[..], raw.edit.is_empty()) {
                ([(role, kind)], true) if *role == raw.role => kind.clone(),
                ([], false) => FaultKind::Edits {
                    on: raw.on.clone(),
                    edits: raw.edit.clone(),
                },
                _ => {
                    return Err(doc
                        .error(&path, format!("the fault `{}` needs exactly one kind", raw.name))
                        .fix("give `edit`, or the state fault of its role (`server`, `client`; for ssp `node` or `relay`)"));
                }
            };
            faults.push(Fault {
                name: raw.name.clone(),
                role: raw.role,
                about: raw.about.clone(),
                breaks: raw.breaks.clone(),
                versions: raw.csp.clone().unwrap_or_else(|| match raw.role {
                    Role::Ssp => vec![Version::V12],
                    _ => Version::ALL.to_vec(),
                }),
                kind,
                file: file.to_owned(),
                line: doc.line(&path),
            });
        }
    }
    Ok(faults)
}
