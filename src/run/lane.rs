//! A lane: one client of the lower tester with what it knows of its session.

use std::collections::BTreeSet;

use crate::base::ItemId;
use crate::check::conversation::Conversation;
use crate::codec::deviation::Edit;
use crate::message::{Path, Tree};
use crate::peer::client::ClientEngine;
use crate::spec::Role;

use super::expectation::Answer;
use super::server_cir::LaneChannels;
use super::server_inbox::Inbox;

/// A session of an account, or several one after the other.
pub struct Lane {
    /// What it sends.
    pub engine: ClientEngine,
    /// What is judged over several messages.
    pub conversation: Conversation,
    /// What came back last, with the number of the exchange.
    pub answer: Option<(Answer, u32)>,
    /// Items that the last answer broke.
    pub breaches: Vec<ItemId>,
    /// Items that any answer of this case broke.
    pub broken: BTreeSet<ItemId>,
    /// Names of the last request.
    pub asked: String,
    /// How the last request was made: of what, and how it was changed.
    pub sent: (Vec<String>, Vec<Edit>),
    /// Sessions that were opened here and not logged out.
    pub open: Vec<String>,
    /// Requests of the server that came in answers.
    pub inbox: Inbox,
    /// CIR channels.
    pub cir: LaneChannels,
    /// Whether the last request was carried in a way that a server may not know: in chunks, say.
    pub carried_oddly: bool,
}

impl Lane {
    /// A lane in which nothing was said yet.
    pub fn new(engine: ClientEngine) -> Self {
        Self {
            engine,
            conversation: Conversation::new(Role::Server),
            answer: None,
            breaches: Vec::new(),
            broken: BTreeSet::new(),
            asked: String::new(),
            sent: (Vec::new(), Vec::new()),
            open: Vec::new(),
            inbox: Inbox::default(),
            cir: LaneChannels::default(),
            carried_oddly: false,
        }
    }

    /// Follows which sessions are open, however the request was made: none is left behind.
    pub fn track(&mut self, sent: &Tree, answer: &Tree) {
        let text = |tree: &Tree, path: &str| {
            let id = Path::parse(path).ok()?.first(tree)?;
            Some(tree.text(id).trim().to_owned()).filter(|t| !t.is_empty())
        };
        if let Some(id) = text(answer, "Login-Response/SessionID").filter(|id| !self.open.contains(id)) {
            self.open.push(id);
        }
        if Path::parse("Logout-Request").is_ok_and(|p| p.first(sent).is_some()) {
            let ended = text(sent, "SessionDescriptor/SessionID");
            self.open.retain(|id| Some(id) != ended.as_ref());
        }
    }
}
