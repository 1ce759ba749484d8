//! Presence of users of other domains: watched, asked for, and not watched any longer.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::Version;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::super::world::Call;
use super::held::{Kind, Sum};
use super::mapping::{self, attribute, copied, presence_list, user_id};
use super::split::{Lists, Split, There, targets_of};
use super::{RelayFault, Served, Watch};

impl ServerEngine {
    pub(super) fn subscribe_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let split = self.split(call, call.node, Lists::Stay);
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        let attributes = call
            .child("PresenceSubList")
            .map(|l| mapping::attribute_list(call.tree, l));
        let sum = Sum::new(call.name, call.version);
        let local = with_targets(call, &split);
        Some(self.divide(call, sum, &split, local, |engine, _, there| {
            for one in there {
                engine.remember_watch(&call.user, one);
            }
            let request = Elem::new("SubscribeRequest")
                .with(engine.meta(Some(&call.user)))
                .with_all(user_ids(there))
                .with_some(engine.list_name(call))
                .with_some(attributes.clone());
            let watcher = call.user.clone();
            Some((request, Kind::Subscribe { watcher }))
        }))
    }

    /// What a server adds that sends the names of contact lists as well (a fault).
    fn list_name(&self, call: &Call<'_>) -> Option<Elem> {
        let list = call.text("ContactList");
        list.filter(|_| self.relay_has(RelayFault::SendsListNames))
            .map(user_id)
    }

    fn remember_watch(&mut self, watcher: &str, there: &There) {
        let Target::User(owner) = &there.target else {
            return;
        };
        let watch = Watch {
            watcher: watcher.to_owned(),
            owner: self.canonical(owner),
            list: there.list.clone(),
        };
        if !self.relay.watches.contains(&watch) {
            self.relay.watches.push(watch);
        }
    }

    pub(super) fn unsubscribe_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let split = self.split(call, call.node, Lists::Stay);
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        let sum = Sum::new(call.name, call.version);
        let local = with_targets(call, &split);
        Some(self.divide(call, sum, &split, local, |engine, _, there| {
            let ends = |w: &Watch| {
                w.watcher == call.user
                    && there.iter().any(|t| {
                        matches!(&t.target, Target::User(user) if engine.canonical(user) == w.owner)
                            && t.list == w.list
                    })
            };
            let (_, rest): (Vec<Watch>, Vec<Watch>) = engine.relay.watches.iter().cloned().partition(ends);
            let still = |t: &There| {
                matches!(&t.target, Target::User(user)
                    if rest.iter().any(|w| w.watcher == call.user && w.owner == engine.canonical(user)))
            };
            let over: Vec<There> = there.iter().filter(|t| !still(t)).cloned().collect();
            engine.relay.watches = rest;
            let request = Elem::new("UnsubscribeRequest")
                .with(engine.meta(Some(&call.user)))
                .with_all(user_ids(&over));
            // Whoever is watched for another reason too stays watched.
            (!over.is_empty()).then_some((request, Kind::Plain))
        }))
    }

    pub(super) fn presence_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let split = self.split(call, call.node, Lists::Expand);
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        let attributes = match call.child("PresenceSubList") {
            Some(list) => mapping::attribute_list(call.tree, list),
            // All of them: SSP has no other way to say so here.
            None => {
                let all = self.checker.syntax().presence().iter();
                let all = all.map(|a| Elem::new(&a.name)).collect();
                Elem::new("AttributeList").with(presence_list(Version::V12, all))
            }
        };
        let sum = Sum::new(call.name, call.version);
        let local = with_targets(call, &split);
        Some(self.divide(call, sum, &split, local, |engine, _, there| {
            for target in targets_of(there) {
                if let Target::User(owner) = target {
                    let key = (call.user.clone(), engine.canonical(&owner));
                    engine.relay.awaited.insert(key);
                }
            }
            let request = Elem::new("GetPresenceRequest")
                .with(engine.meta(Some(&call.user)))
                .with_all(user_ids(there))
                .with(attributes.clone());
            let asker = call.user.clone();
            Some((request, Kind::Presence { asker }))
        }))
    }

    /// A user elsewhere was put on a contact list that somebody here watches.
    pub(in super::super) fn watch_newcomer(
        &mut self,
        watcher: &str,
        owner: &str,
        list: &str,
        asked: Option<&BTreeSet<String>>,
    ) {
        let Some(domain) = self.elsewhere(owner).filter(|d| self.is_agreed(d)) else {
            return;
        };
        let there = There {
            target: Target::User(owner.to_owned()),
            list: Some(list.to_owned()),
        };
        self.remember_watch(watcher, &there);
        let attributes = asked.map(|names| {
            let names = names.iter().map(|n| Elem::new(n)).collect();
            Elem::new("AttributeList").with(presence_list(Version::V12, names))
        });
        let request = Elem::new("SubscribeRequest")
            .with(self.meta(Some(watcher)))
            .with(user_id(self.full(owner)))
            .with_some(attributes);
        if !self.stays_home(request.name()) {
            self.tell_peer(&domain, request);
        }
    }

    /// Tells other domains that a user does not watch these any longer.
    pub(super) fn unwatch(&mut self, watcher: &str, owners: Vec<String>) {
        let mut by_domain: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for owner in owners {
            if let Some(domain) = self.elsewhere(&owner) {
                by_domain.entry(domain).or_default().insert(owner);
            }
        }
        for (domain, owners) in by_domain {
            let request = Elem::new("UnsubscribeRequest")
                .with(self.meta(Some(watcher)))
                .with_all(owners.into_iter().map(|o| user_id(self.full(&o))));
            self.tell_peer(&domain, request);
        }
    }

    /// `Presence` from a PresenceValue of a peer, with what a version has of it.
    pub(super) fn presence_in(&self, tree: &Tree, value: NodeId, version: Version) -> Option<Elem> {
        let owner = attribute(tree, value, "userID")?;
        let list = tree.child(value, "PresenceSubList").map(|list| {
            let known = |e: &NodeId| {
                let name = [tree.get(*e).name.clone()];
                !self.of_version(version, &name).is_empty()
            };
            let attributes = tree.elements(list).filter(known);
            presence_list(version, attributes.map(|a| copied(tree, a)).collect())
        });
        Some(Elem::new("Presence").with(text("UserID", owner)).with_some(list))
    }
}

/// The request with the targets that stay; none without any.
fn with_targets(call: &Call<'_>, split: &Split) -> Option<Elem> {
    let is_target = |name: &str| matches!(name, "User" | "UserID" | "ContactList");
    let others = call.tree.elements(call.node);
    let others = others.filter(|e| !is_target(&call.tree.get(*e).name));
    (!split.here.is_empty()).then(|| {
        Elem::new(call.name)
            .with_all(split.here.iter().cloned())
            .with_all(others.map(|e| copied(call.tree, e)))
    })
}

/// Addresses of users elsewhere, each once.
fn user_ids(there: &[There]) -> Vec<Elem> {
    let targets = targets_of(there).into_iter();
    let users = targets.filter_map(|t| match t {
        Target::User(user) => Some(user_id(user)),
        _ => None,
    });
    users.collect()
}
