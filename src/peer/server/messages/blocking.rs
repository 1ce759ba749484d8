//! Whom a user lets through: the blocked list and the grant list (T41, T42).

use std::collections::BTreeMap;

use crate::message::{Elem, NodeId, text};

use super::super::super::samples;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};
use super::results::{Failure, result_of};

/// The two lists of a user.
#[derive(Debug, Default)]
pub(super) struct Guard {
    block: List,
    grant: List,
}

/// One list, by what is compared, with what was written.
#[derive(Debug, Default)]
struct List {
    in_use: bool,
    entries: BTreeMap<Key, Elem>,
}

/// What an entry is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    User(String),
    ScreenName(String, String),
    Group(String),
}

impl ServerEngine {
    /// Whether a user is not to hear from another: on the blocked list, or not on the grant list, of
    /// those that are in use. Both in use: the blocked list wins (Q25).
    pub(in super::super) fn is_blocked(&self, receiver: &str, sender: &str) -> bool {
        let key = Key::User(self.canonical(sender));
        self.stops(receiver, &[key])
    }

    /// The same for a message in a group, where the sender is known by a screen name as well.
    pub(super) fn blocks_in_group(
        &self,
        receiver: &str,
        sender: &str,
        name: Option<&str>,
        group: &str,
    ) -> bool {
        let mut keys = vec![Key::User(self.canonical(sender)), Key::Group(group.to_owned())];
        keys.extend(name.map(|n| Key::ScreenName(n.to_lowercase(), group.to_owned())));
        self.stops(receiver, &keys)
    }

    fn stops(&self, receiver: &str, keys: &[Key]) -> bool {
        let Some(guard) = self.world.messages.guards.get(&self.canonical(receiver)) else {
            return false;
        };
        let on = |list: &List| keys.iter().any(|k| list.entries.contains_key(k));
        let blocked = guard.block.in_use || self.fault == Some(ServerFault::BlocksUnused);
        let granted = guard.grant.in_use && self.fault != Some(ServerFault::IgnoresGrantList);
        blocked && on(&guard.block) && self.fault != Some(ServerFault::LetsBlockedThrough)
            || granted && (!on(&guard.grant) || self.fault == Some(ServerFault::GrantListBlocksAll))
    }

    /// Answers GetBlockedList-Request.
    pub(super) fn blocked_list(&self, call: &Call<'_>) -> Elem {
        let none = Guard::default();
        let guards = &self.world.messages.guards;
        let owner = match self.fault {
            Some(ServerFault::ShowsListsOfOthers) => guards.values().next(),
            _ => guards.get(&call.user),
        };
        let guard = owner.unwrap_or(&none);
        let shown = |name: &str, list: &List| {
            Elem::new(name)
                .with(text("InUse", if list.in_use { "T" } else { "F" }))
                .with(Elem::new("EntityList").with_all(list.entries.values().cloned()))
        };
        Elem::new("GetBlockedList-Response")
            .with(shown("BlockList", &guard.block))
            .with(shown("GrantList", &guard.grant))
    }

    /// Answers BlockEntity-Request.
    pub(super) fn block_entities(&mut self, call: &Call<'_>) -> Elem {
        let mut good = 0;
        let mut failed = Vec::new();
        let forgets = self.fault == Some(ServerFault::ForgetsBlocks);
        for name in ["BlockList", "GrantList"] {
            let Some(list) = call.child(name) else { continue };
            let part = |name: &str| call.tree.child(list, name);
            let added = part("EntityList").or_else(|| part("AddList"));
            let added = added.map(|n| self.entries(call, n)).unwrap_or_default();
            let (taken, refused): (Vec<_>, Vec<_>) =
                added.into_iter().partition(|(key, _)| self.knows_entry(key));
            failed.extend(refused.into_iter().map(|(key, entry)| {
                let code = if matches!(key, Key::User(_)) { 531 } else { 800 };
                Failure::new(code, entry)
            }));
            let removed = part("RemoveList")
                .map(|n| self.entries(call, n))
                .unwrap_or_default();
            good += taken.len() + removed.len();
            if taken.is_empty() && removed.is_empty() && failed.is_empty() {
                good += 1;
            }
            if forgets {
                continue;
            }
            let adds_only = self.fault == Some(ServerFault::NeverUnblocks);
            let switches = self.fault != Some(ServerFault::ResetsInUse);
            let guard = self.world.messages.guards.entry(call.user.clone()).or_default();
            let own = match name {
                "BlockList" => &mut guard.block,
                _ => &mut guard.grant,
            };
            match call.tree.child_text(list, "InUse").as_deref() {
                Some("T") => own.in_use = true,
                Some("F") => own.in_use = false,
                // Absent: as it was.
                _ => own.in_use &= switches,
            }
            if part("EntityList").is_some() && !adds_only {
                own.entries.clear();
            }
            own.entries.extend(taken);
            for (key, _) in removed.iter().filter(|_| !adds_only) {
                own.entries.remove(key);
            }
        }
        Elem::new("Status").with(result_of(call.version, good, &failed))
    }

    /// The entries of EntityList, AddList, RemoveList.
    fn entries(&self, call: &Call<'_>, of: NodeId) -> Vec<(Key, Elem)> {
        let tree = call.tree;
        tree.elements(of)
            .filter_map(|entry| {
                let value = tree.text(entry).trim().to_owned();
                Some(match tree.get(entry).name.as_str() {
                    "UserID" => (Key::User(self.canonical(&value)), text("UserID", value)),
                    "GroupID" => (Key::Group(self.canonical(&value)), text("GroupID", value)),
                    "ScreenName" => {
                        let name = tree.child_text(entry, "SName")?;
                        let group = tree.child_text(entry, "GroupID")?;
                        (
                            Key::ScreenName(name.to_lowercase(), self.canonical(&group)),
                            samples::screen_name(&name, &group),
                        )
                    }
                    _ => return None,
                })
            })
            .collect()
    }

    fn knows_entry(&mut self, key: &Key) -> bool {
        match key {
            Key::User(user) => self.knows_user(user),
            Key::Group(group) | Key::ScreenName(_, group) => {
                self.is_of_peer(group) || self.group_exists(group)
            }
        }
    }
}
