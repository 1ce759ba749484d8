//! Search, invitation and verification of addresses (section 5.8 of the facts).

use crate::message::Elem;

use super::ServerEngine;
use super::world::Call;

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &["GETSPI"];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn fundamental(&mut self, _call: &Call<'_>) -> Option<Elem> {
        None
    }
}
