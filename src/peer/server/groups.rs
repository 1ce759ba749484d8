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
}
