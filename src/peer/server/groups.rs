//! Groups: management, members, joining, notices (section 5.12 of the facts).

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
    pub(super) fn groups(&mut self, _call: &Call<'_>) -> Option<Elem> {
        None
    }

    /// A user has no session any more.
    pub(super) fn left_all_groups(&mut self, _user: &str) {}

    /// Whether a group exists.
    pub(super) fn group_exists(&mut self, _group: &str) -> bool {
        self.hospitable
    }

    /// Groups that a search finds.
    pub(super) fn group_matches(&self, _element: &str, _string: &str) -> Vec<String> {
        Vec::new()
    }

    /// Under which name a user has joined a group.
    pub(super) fn joined(&self, _group: &str, _user: &str) -> Option<String> {
        None
    }

    /// Who has joined a group under a name.
    pub(super) fn user_of_screen_name(&self, _group: &str, _name: &str) -> Option<String> {
        None
    }
}
