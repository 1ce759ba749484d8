//! Who gets a message: users, groups, screen names, contact lists, each with the reason why not.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, NodeId, Tree, text};

use super::super::super::contents::user;
use super::super::super::samples;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};
use super::results::Failure;
use super::{Addressed, copy};

/// What became of the targets of a request.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Who gets it, by canonical address.
    pub receivers: BTreeMap<String, Addressed>,
    /// Targets that can be served.
    pub good: usize,
    /// Targets that cannot.
    pub failed: Vec<Failure>,
}

impl Resolved {
    fn to(&mut self, receiver: String, recipient: Elem, group: Option<String>) {
        self.receivers.entry(receiver).or_insert(Addressed {
            recipient: Elem::new("Recipient").with(recipient),
            group,
            offered: BTreeSet::new(),
        });
    }
}

/// SName and GroupID of the ScreenName in an element.
pub(super) fn screen_name(tree: &Tree, of: NodeId) -> Option<(String, String)> {
    let name = tree.child(of, "ScreenName")?;
    Some((tree.child_text(name, "SName")?, tree.child_text(name, "GroupID")?))
}

impl ServerEngine {
    /// Finds out who is meant by a Recipient.
    pub(super) fn resolve(&mut self, call: &Call<'_>, recipient: NodeId) -> Resolved {
        let mut out = Resolved::default();
        for target in call.tree.elements(recipient) {
            match call.tree.get(target).name.as_str() {
                "User" => {
                    let address = call.tree.child_text(target, "UserID").unwrap_or_default();
                    let told = copy(call.tree, target);
                    self.add_user(call, &address, told, &mut out);
                }
                "Group" => match screen_name(call.tree, target) {
                    Some((name, group)) => self.whisper(call, &name, &group, &mut out),
                    None => {
                        let group = call.tree.child_text(target, "GroupID").unwrap_or_default();
                        self.add_group(call, &group, &mut out);
                    }
                },
                "ContactList" => {
                    let list = call.tree.text(target).trim().to_owned();
                    self.add_list(call, &list, &mut out);
                }
                _ => {}
            }
        }
        out
    }

    fn add_user(&mut self, call: &Call<'_>, address: &str, told: Elem, out: &mut Resolved) {
        let named = || text("UserID", address);
        let misspelled = self.fault == Some(ServerFault::MindsRecipientCase)
            && address != self.spelled(&self.canonical(address));
        if !self.has_user(address) || misspelled {
            if self.fault == Some(ServerFault::SendsToAnybody) {
                out.good += 1;
                return;
            }
            out.failed.push(Failure::new(531, named()));
            return;
        }
        let receiver = self.canonical(address);
        if self.is_blocked(&receiver, &call.user) {
            if self.fault == Some(ServerFault::AcceptsForBlocked) {
                out.good += 1;
                return;
            }
            out.failed.push(Failure::new(532, named()));
            return;
        }
        out.good += 1;
        out.to(receiver, told, None);
    }

    fn add_group(&mut self, call: &Call<'_>, group: &str, out: &mut Resolved) {
        let named = || text("GroupID", group);
        if let Some(code) = self.refused_in_group(group, &call.user) {
            out.failed.push(Failure::new(code, named()));
            return;
        }
        out.good += 1;
        let address = self.canonical(group);
        let own = self.joined(group, &call.user);
        for (member, _) in self.joined_users(group) {
            let member = self.canonical(&member);
            let name = own.as_deref();
            if member == call.user || self.blocks_in_group(&member, &call.user, name, &address) {
                continue;
            }
            let told = Elem::new("Group").with(named());
            out.to(member, told, Some(address.clone()));
        }
        if self.fault == Some(ServerFault::TellsGroupToAll) {
            for account in self.config.accounts.clone() {
                let user = self.canonical(&account.user);
                if user != call.user && self.joined(group, &user).is_none() {
                    out.to(user, Elem::new("Group").with(named()), Some(address.clone()));
                }
            }
        }
    }

    /// A private message to somebody in a group.
    fn whisper(&mut self, call: &Call<'_>, name: &str, group: &str, out: &mut Resolved) {
        let named = || samples::screen_name(name, group);
        let failed = match self.refused_in_group(group, &call.user) {
            Some(code) => Err(code),
            None if self.hospitable => {
                out.good += 1;
                return;
            }
            None => match self.user_of_screen_name(group, name) {
                None => Err(531),
                Some(_) if !self.group_lets_whisper(group, None) => Err(812),
                Some(user) if !self.group_lets_whisper(group, Some(&user)) => Err(813),
                Some(user) => Ok(self.canonical(&user)),
            },
        };
        let address = self.canonical(group);
        let own = self.joined(group, &call.user);
        match failed {
            Ok(user) if self.blocks_in_group(&user, &call.user, own.as_deref(), &address) => {
                out.failed.push(Failure::new(532, named()));
            }
            Ok(user) => {
                out.good += 1;
                out.to(user, Elem::new("Group").with(named()), Some(address));
            }
            Err(code) => out.failed.push(Failure::new(code, named())),
        }
    }

    fn add_list(&mut self, call: &Call<'_>, list: &str, out: &mut Resolved) {
        match self.contacts_of(list) {
            Some(contacts) => {
                if contacts.is_empty() {
                    out.good += 1;
                }
                for contact in contacts {
                    let told = user(&contact);
                    self.add_user(call, &contact, told, out);
                }
            }
            None if self.hospitable => out.good += 1,
            None => out.failed.push(Failure::new(700, text("ContactList", list))),
        }
    }
}
