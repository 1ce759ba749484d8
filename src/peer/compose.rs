//! Writing the envelope of a CSP message, per version.

use crate::message::{Elem, Mode, Tree, text};
use crate::spec::{Group, Version};

/// One transaction of a message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Request or Response.
    pub mode: Mode,
    /// TransactionID; written as an empty element when empty.
    pub id: String,
    /// The primitive.
    pub primitive: Elem,
}

/// A message with these transactions. `session` gives the SessionID and makes it Inband; `poll` is
/// written where the version has it (servers only).
pub fn message(version: Version, session: Option<&str>, poll: Option<bool>, parts: Vec<Part>) -> Tree {
    let flag = |on: bool| text("Poll", if on { "T" } else { "F" });
    let in_descriptor = |version: Version| poll.filter(|_| version == Version::V11).map(flag);
    let transactions = parts.into_iter().map(|part| {
        Elem::new("Transaction")
            .with(
                Elem::new("TransactionDescriptor")
                    .with(text("TransactionMode", part.mode.as_str()))
                    .with(text("TransactionID", part.id))
                    .with_some(in_descriptor(version)),
            )
            .with(
                Elem::new("TransactionContent")
                    .in_namespace(version.namespace(Group::Trc))
                    .with(part.primitive),
            )
    });
    Elem::new("WV-CSP-Message")
        .in_namespace(version.namespace(Group::Csp))
        .with(
            Elem::new("Session")
                .with(
                    Elem::new("SessionDescriptor")
                        .with(text(
                            "SessionType",
                            if session.is_some() { "Inband" } else { "Outband" },
                        ))
                        .with_some(session.map(|id| text("SessionID", id))),
                )
                .with_all(transactions)
                .with_some(poll.filter(|_| version == Version::V12).map(flag)),
        )
        .into_tree()
}

/// `Result` with a code.
pub fn result(code: u16) -> Elem {
    Elem::new("Result").with(text("Code", code.to_string()))
}

/// `Status` with a code.
pub fn status(code: u16) -> Elem {
    Elem::new("Status").with(result(code))
}

/// `ClientID` with a URL.
pub fn client_id(url: &str) -> Elem {
    Elem::new("ClientID").with(text("URL", url))
}
