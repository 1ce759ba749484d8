//! Instant messages: sending, delivery, blocking (section 5.11 of the facts).

use crate::message::{Elem, TransactionView, Tree};

use super::ServerEngine;
use super::world::Call;

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &[];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn messages(&mut self, _call: &Call<'_>) -> Option<Elem> {
        None
    }

    /// A client answered a request of this server.
    pub(super) fn message_confirmed(
        &mut self,
        _session: &str,
        _user: &str,
        _request: &Elem,
        _answer: (&Tree, &TransactionView),
    ) {
    }

    /// A user came online: what waits for it is delivered.
    pub(super) fn messages_for_new_session(&mut self, _now_ms: u64, _user: &str) {}

    /// Whether a user has blocked another.
    pub(super) fn is_blocked(&self, _receiver: &str, _sender: &str) -> bool {
        false
    }
}
