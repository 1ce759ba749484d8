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

    /// Whether a group exists.
    #[allow(clippy::needless_pass_by_ref_mut)]
    pub(super) fn group_exists(&mut self, _group: &str) -> bool {
        false
    }

    /// The screen name of a user who has joined a group.
    pub(super) fn joined(&self, _group: &str, _user: &str) -> Option<String> {
        None
    }

    /// Users who have joined a group, with their screen names.
    pub(super) fn joined_users(&self, _group: &str) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Who has this screen name in a group.
    pub(super) fn user_of_screen_name(&self, _group: &str, _name: &str) -> Option<String> {
        None
    }

    /// Whether private messages may be sent in a group, or to a user in it.
    pub(super) fn group_lets_whisper(&self, _group: &str, _user: Option<&str>) -> bool {
        false
    }

    /// Whether a user is a member of a group.
    pub(super) fn is_member_of(&self, _group: &str, _user: &str) -> bool {
        false
    }

    /// A user has no session any more.
    pub(super) fn left_all_groups(&mut self, _user: &str) {}
}
