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

    /// The public value of an attribute: what everybody may know of a user, as a search does.
    pub(super) fn shown_value(&self, user: &str, attribute: &str) -> Option<String> {
        let user = self.canonical(user);
        (attribute == "OnlineStatus").then(|| match self.is_online(&user) {
            true => "T".to_owned(),
            false => "F".to_owned(),
        })
    }

    /// A user was put on a contact list: who subscribed to the list with AutoSubscribe is subscribed to the
    /// user as well.
    pub(super) fn list_grew(&mut self, _list: &str, _user: &str) {}
}
