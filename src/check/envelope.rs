//! Rules over the envelope and over result codes: what stands in a message beyond its form.

use super::message::Run;
use super::rule::Rule;
use crate::message::{Envelope, Mode, NodeId, SessionType, TransactionView};
use crate::spec::{Role, Version};
use crate::verdict::Strength;

impl Run<'_> {
    /// Judges the envelope, the sender that the primitives tell, and the codes.
    pub fn envelope(&mut self, envelope: &Envelope) {
        self.primitives = envelope.primitives();
        self.sender = self.sender_of(envelope);
        self.session_id(envelope);
        for transaction in &envelope.transactions {
            self.transaction(envelope, transaction);
        }
        self.poll(envelope);
    }

    /// The one side that sends all primitives of the message, if there is exactly one.
    fn sender_of(&self, envelope: &Envelope) -> Option<Role> {
        let mut possible = vec![Role::Client, Role::Server];
        for transaction in &envelope.transactions {
            if let Some(primitive) = self.checker.syntax.primitive(&transaction.name) {
                possible.retain(|role| primitive.from.contains(role));
            }
        }
        match possible[..] {
            [role] => Some(role),
            _ => None,
        }
    }

    fn session_id(&mut self, envelope: &Envelope) {
        let Some(session) = self.tree.child(self.tree.root(), "Session") else {
            return;
        };
        let Some(descriptor) = self.tree.child(session, "SessionDescriptor") else {
            return;
        };
        let text = match (&envelope.session_type, &envelope.session_id) {
            // Another word is charged as an enumeration.
            (SessionType::Other(_), _) => return,
            (SessionType::Inband, Some(id)) if !id.is_empty() => None,
            (SessionType::Inband, Some(_)) => Some("SessionType is Inband, but SessionID is empty"),
            (SessionType::Inband, None) => Some("SessionType is Inband, but there is no SessionID"),
            (SessionType::Outband, None) => None,
            (SessionType::Outband, Some(_)) => Some("SessionType is Outband, but there is a SessionID"),
        };
        self.judge(Rule::SessionIdPresence);
        if let Some(text) = text {
            let at = self.tree.child(descriptor, "SessionID").unwrap_or(descriptor);
            self.charge(Rule::SessionIdPresence, Strength::Must, at, text.to_owned());
        }
    }

    fn transaction(&mut self, envelope: &Envelope, transaction: &TransactionView) {
        self.transaction_id(transaction);
        let checker = self.checker;
        let Some(primitive) = checker.syntax.primitive(&transaction.name) else {
            return;
        };
        let at = transaction.primitive.unwrap_or(transaction.node);
        let name = primitive.name.as_str();

        let outband = match &envelope.session_type {
            SessionType::Inband => Some(false),
            SessionType::Outband => Some(true),
            SessionType::Other(_) => None,
        };
        if let Some(outband) = outband {
            self.judge(Rule::SessionUse);
            let login = matches!(name, "Login-Request" | "Login-Response");
            let either = matches!(name, "GetSPInfo-Request" | "GetSPInfo-Response" | "Status");
            if !either && outband != login {
                let (found, expected) = if outband {
                    ("Outband", "Inband")
                } else {
                    ("Inband", "Outband")
                };
                let text = format!("{name} in an {found} message, expected {expected}");
                self.charge(Rule::SessionUse, Strength::Must, at, text);
            }
        }

        if let Mode::Request | Mode::Response = transaction.mode {
            self.judge(Rule::ModeUse);
            if !primitive.modes.contains(&transaction.mode) {
                let modes: Vec<&str> = primitive.modes.iter().map(Mode::as_str).collect();
                let text = format!(
                    "{name} in mode {}, expected {}",
                    transaction.mode.as_str(),
                    modes.join(" or ")
                );
                self.charge(Rule::ModeUse, Strength::Must, at, text);
            }
        }
        self.codes(envelope, at);
    }

    fn transaction_id(&mut self, transaction: &TransactionView) {
        // Without a primitive nothing tells whether there has to be one.
        if matches!(transaction.name.as_str(), "Polling-Request" | "") {
            return;
        }
        // A Status that answers a poll repeats its empty identifier (ENV-6); one message alone does not
        // show what it answers. A conversation does, and charges a wrong one there.
        if transaction.name == "Status" && transaction.id.is_empty() {
            return;
        }
        let Some(descriptor) = self.tree.child(transaction.node, "TransactionDescriptor") else {
            return;
        };
        self.judge(Rule::TransactionIdPresence);
        if !transaction.id.is_empty() {
            return;
        }
        let (at, what) = match self.tree.child(descriptor, "TransactionID") {
            Some(id) => (id, "TransactionID is empty"),
            None => (descriptor, "there is no TransactionID"),
        };
        let text = format!("{what}, only Polling-Request has none");
        self.charge(Rule::TransactionIdPresence, Strength::Must, at, text);
    }

    /// Poll stands in the descriptor in 1.1, and behind the transactions, with CIR, in 1.2; elsewhere
    /// it is the content model's business.
    fn poll(&mut self, envelope: &Envelope) {
        if self.sender != Some(Role::Client) {
            return;
        }
        let tree = self.tree;
        let mut places: Vec<NodeId> = Vec::new();
        match self.version {
            Version::V11 => {
                for transaction in &envelope.transactions {
                    let descriptor = tree.child(transaction.node, "TransactionDescriptor");
                    places.extend(descriptor.and_then(|d| tree.child(d, "Poll")));
                }
            }
            Version::V12 => {
                if let Some(session) = tree.child(tree.root(), "Session") {
                    places.extend(tree.child(session, "Poll"));
                    places.extend(tree.child(session, "CIR"));
                }
            }
        }
        self.judge(Rule::PollUse);
        for place in places {
            let text = format!(
                "{} in a message that only a client sends: {}",
                tree.get(place).name,
                self.primitives
            );
            self.charge(Rule::PollUse, Strength::Must, place, text);
        }
    }

    /// Codes of the Result: known, of this version, and among those that the primitive carries. A
    /// Status answers a request that is not seen here, so any known code fits it.
    fn codes(&mut self, envelope: &Envelope, primitive: NodeId) {
        let tree = self.tree;
        let name = tree.get(primitive).name.as_str();
        let results = tree
            .walk(primitive)
            .into_iter()
            .filter(|e| matches!(tree.get(*e).name.as_str(), "Result" | "DetailedResult"));
        for result in results {
            let Some(at) = tree.child(result, "Code") else {
                continue;
            };
            let text = tree.text(at);
            // What is no number of three digits is charged as a number.
            let code = match text.trim().parse::<u16>() {
                Ok(code) if (100..=999).contains(&code) => code,
                _ => continue,
            };
            self.judge(Rule::ResultCode);
            let syntax = &self.checker.syntax;
            let problem = match syntax.code(code) {
                None => Some(format!("the code {code} is not in the list of codes")),
                Some(row) if row.since > self.version => Some(format!(
                    "the code {code} ({}) is not in CSP {}",
                    row.meaning, self.version
                )),
                Some(row) => {
                    let in_session = envelope.session_type != SessionType::Outband;
                    let own = syntax.primitive(name).map_or(&[][..], |p| &p.codes[..]);
                    let detail = tree.get(result).name == "DetailedResult";
                    let fits = name == "Status"
                        || row.used_in.starts_with("any")
                        || detail
                        || own.is_empty()
                        || own.contains(&code)
                        || syntax.is_generic(code, in_session);
                    (!fits)
                        .then(|| format!("the code {code} ({}) is not one that {name} carries", row.meaning))
                }
            };
            if let Some(problem) = problem {
                self.charge(Rule::ResultCode, Strength::Should, at, problem);
            }
        }
    }
}
