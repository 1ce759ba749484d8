//! The envelope of SSP, and the results that everything carries.

use crate::check::ssp::HeaderIds;
use crate::message::{Elem, Mode, SspEnvelope, Tree, attr};
use crate::spec::SspVersion;

use super::root;

/// One Transaction of a message.
#[derive(Debug, Clone)]
pub struct Part {
    /// `mode`
    pub mode: Mode,
    /// `transactionID`
    pub id: String,
    /// What it holds.
    pub primitive: Elem,
}

/// A message of the set-up.
pub fn in_setup(version: SspVersion, mode: Mode, id: &str, primitive: Elem) -> Tree {
    root(version)
        .with(
            Elem::new("SetupTransaction")
                .with(attr("mode", mode.as_str()))
                .with(attr("transactionID", id))
                .with(primitive),
        )
        .into_tree()
}

/// A message in a session, with the sender's id.
pub fn in_session(version: SspVersion, session: &str, parts: impl IntoIterator<Item = Part>) -> Tree {
    let transactions = parts.into_iter().map(|part| {
        Elem::new("Transaction")
            .with(attr("mode", part.mode.as_str()))
            .with(attr("transactionID", part.id))
            .with(part.primitive)
    });
    root(version)
        .with(
            Elem::new("Session")
                .with(attr("sessionID", session))
                .with_all(transactions),
        )
        .into_tree()
}

/// Status with a code.
pub fn status(code: u16) -> Elem {
    Elem::new("Status").with(attr("code", code.to_string()))
}

/// What the head of a POST repeats of its body: as seen, on SendSecretToken and on requests in a session.
pub fn head_of(tree: &Tree) -> HeaderIds {
    let Some(envelope) = SspEnvelope::of(tree) else {
        return HeaderIds::default();
    };
    let first = envelope.transactions.first();
    let tells = first.is_some_and(|t| match envelope.setup {
        true => t.name == "SendSecretToken",
        false => t.mode == Mode::Request,
    });
    if !tells {
        return HeaderIds::default();
    }
    HeaderIds {
        transaction: first.map(|t| t.id.clone()),
        session: envelope.session_id,
    }
}
