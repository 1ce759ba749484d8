//! Contact lists (section 5.10 of the facts).

use crate::message::Elem;

use super::ServerEngine;
use super::world::Call;

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &[];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn lists(&mut self, _call: &Call<'_>) -> Option<Elem> {
        None
    }

    /// Canonical addresses of the users on a contact list; none when there is no such list.
    pub(super) fn contacts_of(&self, _list: &str) -> Option<Vec<String>> {
        None
    }
}
