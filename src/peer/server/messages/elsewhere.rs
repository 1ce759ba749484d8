//! What the relay needs of the messages that wait here.

use std::collections::BTreeSet;

use crate::message::Elem;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::{Addressed, State, Stored};

/// A message that a group of another domain has for members here.
pub(in super::super) struct FromGroup {
    pub id: String,
    /// The group, canonical: reports go to its server.
    pub by: String,
    pub report: bool,
    /// What stands in MessageInfo about the content.
    pub head: Vec<Elem>,
    pub sender: Elem,
    /// What the receivers are shown as its recipient: the group, or a name in it.
    pub told: Elem,
    /// As it was written.
    pub group: String,
    pub validity: Option<u64>,
    pub content: String,
    /// Canonical addresses.
    pub receivers: Vec<String>,
}

impl State {
    /// The next message that is kept has this MessageID.
    pub(in super::super) fn name_next(&mut self, id: &str) {
        self.given = Some(id.to_owned());
    }

    /// The next message gets a new MessageID.
    pub(in super::super) fn name_none(&mut self) {
        self.given = None;
    }

    /// Whether a message of this MessageID waits for somebody.
    pub(in super::super) fn has(&self, id: &str) -> bool {
        self.messages.contains_key(id)
    }
}

impl ServerEngine {
    /// MessageInfo and content of what waits for a user.
    pub(in super::super) fn waiting_message(&self, user: &str, id: &str) -> Option<(Elem, String)> {
        let stored = self.world.messages.messages.get(id)?;
        let info = stored.info(id, stored.waiting.get(user)?);
        Some((info, stored.content.clone().unwrap_or_default()))
    }

    /// Who sent a message that waits, and whether reports of it are wanted.
    pub(in super::super) fn message_origin(&self, id: &str) -> Option<(String, bool)> {
        let stored = self.world.messages.messages.get(id)?;
        Some((stored.by.clone(), stored.report))
    }

    /// A message is with the server of its receiver, which will report.
    pub(in super::super) fn passed_on(&mut self, user: &str, id: &str) {
        let messages = &mut self.world.messages.messages;
        if let Some(stored) = messages.get_mut(id) {
            stored.waiting.remove(user);
            if stored.waiting.is_empty() {
                messages.remove(id);
            }
        }
    }

    /// Whether a receiver here wants nothing of a group elsewhere, or of whoever speaks in it.
    pub(in super::super) fn blocks_message(&self, receiver: &str, sender: &Target, group: &str) -> bool {
        let (user, name) = match sender {
            Target::ScreenName(name, _) => ("", Some(name.as_str())),
            Target::User(user) => (user.as_str(), None),
            _ => ("", None),
        };
        self.blocks_in_group(receiver, user, name, &self.canonical(group))
    }

    /// Keeps a message of a group elsewhere, and offers it to its receivers.
    pub(in super::super) fn take_group_message(&mut self, now_ms: u64, message: FromGroup) {
        let group = self.canonical(&message.group);
        let addressed = Addressed {
            recipient: Elem::new("Recipient").with(message.told),
            group: Some(group),
            offered: BTreeSet::new(),
        };
        let stored = Stored {
            order: 0,
            by: message.by,
            report: message.report,
            head: message.head,
            sender: message.sender,
            since_ms: now_ms,
            validity: message.validity,
            content: Some(message.content),
            waiting: message
                .receivers
                .into_iter()
                .map(|user| (user, addressed.clone()))
                .collect(),
        };
        self.world.messages.name_next(&message.id);
        self.store(stored);
    }

    /// Tells a sender what a peer reports of a message.
    pub(in super::super) fn report_as(&mut self, sender: &str, code: u16, time: Option<&Elem>, info: &Elem) {
        for session in self.sessions_of(sender) {
            self.report_in(&session, code, time, info);
        }
    }
}
