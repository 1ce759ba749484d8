//! Presence: subscriptions, values, authorisation and attribute lists (section 5.9 of the facts).

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
    pub(super) fn presence(&mut self, _call: &Call<'_>) -> Option<Elem> {
        None
    }

    /// A session of the user began or ended: its OnlineStatus may have changed.
    pub(super) fn presence_changed_by_session(&mut self, _user: &str) {}

    /// A user was added to a contact list.
    pub(super) fn list_grew(&mut self, _list: &str, _user: &str) {}

    /// The value of a presence attribute that a user shows.
    pub(super) fn shown_value(&self, _user: &str, _attribute: &str) -> Option<String> {
        None
    }
}
