//! What users publish of themselves: T20 and T24.

use crate::check::leaf::{self, LeafVerdict};
use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::{Group, Version};

use super::super::super::compose;
use super::super::super::samples::attribute;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};
use super::done;

impl ServerEngine {
    /// T24. What is sent takes the place of what was there; the other attributes stay.
    pub(super) fn update_presence(&mut self, call: &Call<'_>) -> Elem {
        let Some(list) = call.child("PresenceSubList") else {
            return compose::status(402);
        };
        let sent: Vec<NodeId> = call.tree.elements(list).collect();
        let names: Vec<String> = sent.iter().map(|a| call.tree.get(*a).name.clone()).collect();
        if self.of_version(call.version, &names).len() < names.len() {
            return compose::status(750);
        }
        let takes_all = self.fault == Some(ServerFault::TakesAnyPresenceValue);
        if !takes_all && sent.iter().any(|a| !self.has_good_values(call, *a)) {
            if self.fault == Some(ServerFault::StoresRefusedPresence) {
                self.store_values(call, &sent);
            }
            return compose::status(751);
        }
        let changed = self.store_values(call, &sent);
        self.attributes_changed(&call.user, &changed);
        done()
    }

    /// Gives the attributes that have changed.
    fn store_values(&mut self, call: &Call<'_>, sent: &[NodeId]) -> Vec<String> {
        let fault = self.fault;
        let values = self.world.presence.values.entry(call.user.clone()).or_default();
        if fault == Some(ServerFault::ReplacesAllPresence) {
            values.clear();
        }
        let mut changed = Vec::new();
        for id in sent {
            let name = call.tree.get(*id).name.clone();
            let mut value = copied(call.tree, *id);
            match fault {
                _ if name == "OnlineStatus" => continue,
                Some(ServerFault::StoresFirstAttributeOnly) if !changed.is_empty() => continue,
                Some(ServerFault::MergesPresence) => value = merged(values.get(&name), value),
                _ => {}
            }
            if values.get(&name) != Some(&value) {
                values.insert(name.clone(), value);
                changed.push(name);
            }
        }
        changed
    }

    /// Whether every text in an attribute is one that its type allows.
    fn has_good_values(&self, call: &Call<'_>, attribute: NodeId) -> bool {
        let tree = call.tree;
        tree.walk(attribute).into_iter().all(|id| {
            let is_leaf = tree.elements(id).next().is_none();
            let parent = tree.get(id).parent.map(|p| tree.get(p).name.as_str());
            let (true, Some(parent)) = (is_leaf, parent) else {
                return true;
            };
            let kind = self
                .checker
                .syntax()
                .leaf_below(call.version, Group::Pa, parent, &tree.get(id).name);
            kind.is_none_or(|(kind, _)| !matches!(leaf::check(&kind, &tree.text(id)), LeafVerdict::Breach(_)))
        })
    }

    /// T20. One Presence for each user; what the asker may not see is left out.
    pub(super) fn get_presence(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let asked = self.selection_of(call);
        let mut users = targets.users.clone();
        for list in &targets.lists {
            for user in self.contacts_of(list).unwrap_or_default() {
                if !users.contains(&user) {
                    users.push(user);
                }
            }
        }
        if self.fault == Some(ServerFault::ShowsFirstUserOnly) {
            users.truncate(1);
        }
        let mut all = Vec::new();
        for owner in &users {
            self.ask_if_needed(owner, &call.user, asked.as_ref());
            let wanted = asked
                .as_ref()
                .filter(|_| self.fault != Some(ServerFault::ShowsUnaskedPresence));
            let seen = match self.fault {
                Some(ServerFault::ShowsUnauthorisedPresence) => self.visible(owner, owner, wanted),
                _ => self.visible(owner, &call.user, wanted),
            };
            let seen = self.of_version(call.version, &seen);
            all.push(self.presence_of(call.version, owner, &seen));
            if *owner != call.user {
                self.remember_access(owner, &call.user, call.now_ms, "PRESENCE_ACCESS");
            }
        }
        Elem::new("GetPresence-Response")
            .with(targets.result(call.version))
            .with_all(all)
    }

    /// `Presence` of a user with these attributes; those that it has not published are not valid.
    pub(super) fn presence_of(&self, version: Version, owner: &str, attributes: &[String]) -> Elem {
        let list = (!attributes.is_empty()).then(|| {
            Elem::new("PresenceSubList")
                .in_namespace(version.namespace(Group::Pa))
                .with_all(attributes.iter().map(|a| self.value(owner, a)))
        });
        Elem::new("Presence")
            .with(text("UserID", self.spelled(owner)))
            .with_some(list)
    }

    fn value(&self, owner: &str, name: &str) -> Elem {
        if name == "OnlineStatus" {
            let online = self.is_online(owner) || self.fault == Some(ServerFault::AlwaysOnline);
            return attribute(name, if online { "T" } else { "F" });
        }
        let known = self.world.presence.values.get(owner);
        match known.and_then(|v| v.get(name)) {
            Some(value) => value.clone(),
            None => Elem::new(name).with(text("Qualifier", "F")),
        }
    }

    /// The text of an attribute with a single value that is valid.
    pub(super) fn value_text(&self, owner: &str, name: &str) -> Option<String> {
        let tree = self.value(owner, name).into_tree();
        let valid = tree.child_text(tree.root(), "Qualifier").as_deref() != Some("F");
        tree.child_text(tree.root(), "PresenceValue").filter(|_| valid)
    }

    /// Those of the attributes that a version has.
    pub(in super::super) fn of_version(&self, version: Version, names: &[String]) -> Vec<String> {
        let known = self.checker.syntax().presence();
        let has = |name: &&String| known.iter().any(|a| a.name == **name && a.since <= version);
        names.iter().filter(has).cloned().collect()
    }
}

/// An element with all that is in it, octet for octet.
fn copied(tree: &Tree, id: NodeId) -> Elem {
    let mut children = tree.elements(id).peekable();
    let name = &tree.get(id).name;
    match children.peek() {
        None => text(name, tree.text(id)),
        Some(_) => Elem::new(name).with_all(children.map(|c| copied(tree, c))),
    }
}

/// What a server makes of an update that it takes for an addition (a fault): parts that are not sent stay.
fn merged(old: Option<&Elem>, new: Elem) -> Elem {
    let Some(old) = old else { return new };
    let of = |name: &str, from: &Elem| from.children().iter().find(|c| c.name() == name).cloned();
    let kept = old
        .children()
        .iter()
        .map(|c| of(c.name(), &new).unwrap_or_else(|| c.clone()));
    let more = new
        .children()
        .iter()
        .filter(|c| of(c.name(), old).is_none())
        .cloned();
    Elem::new(new.name()).with_all(kept).with_all(more)
}
