//! Search, invitation and verification of addresses (section 5.8 of the facts).

mod invitation;
mod search;
mod verify;

use crate::message::{Elem, NodeId, Tree, text};

use super::ServerEngine;
use super::world::Call;

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &["GETSPI", "SRCH", "STSRC", "INVIT", "CAINV", "VRID"];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    searches: Vec<search::Search>,
    invitations: Vec<invitation::Invitation>,
}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn fundamental(&mut self, call: &Call<'_>) -> Option<Elem> {
        Some(match call.name {
            "Search-Request" => self.search(call),
            "StopSearch-Request" => self.stop_search(call),
            "Invite-Request" => self.invite(call),
            "InviteUser-Response" => self.invitation_answered(call),
            "CancelInvite-Request" => self.cancel_invitation(call),
            "VerifyID-Request" => self.verify(call),
            _ => return None,
        })
    }
}

/// An element of a message with all that is in it, to be sent on.
fn copied(tree: &Tree, id: NodeId) -> Elem {
    let children: Vec<NodeId> = tree.elements(id).collect();
    let element = tree.get(id);
    let copy = match children.is_empty() {
        true => text(&element.name, tree.text(id)),
        false => Elem::new(&element.name).with_all(children.into_iter().map(|c| copied(tree, c))),
    };
    match element.declares_namespace {
        true => copy.in_namespace(&element.namespace),
        false => copy,
    }
}
