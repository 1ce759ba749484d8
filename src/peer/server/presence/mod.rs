//! Presence: subscriptions, notifications and watcher lists (section 5.9 of the facts). What may be seen by
//! whom is in [`rights`], what there is to be seen in [`values`].

mod rights;
mod targets;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::compose;
use super::super::contents::user;
use super::world::Call;
use super::{RelayFault, ServerEngine, ServerFault};
use rights::{AttributeLists, Reactive};

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &[
    "GETWL", "REACT", "CAAUT", "GETAUT", "GETPR", "UPDPR", "CALI", "DALI", "GALS",
];

/// Most past accesses that are remembered; the oldest are dropped.
const MAX_HISTORY: usize = 1_000;

/// Names of presence attributes.
type Attributes = BTreeSet<String>;

/// What is remembered. Users and contact lists are canonical addresses.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What each user has published, by attribute.
    values: BTreeMap<String, BTreeMap<String, Elem>>,
    /// Attribute lists by owner.
    lists: BTreeMap<String, AttributeLists>,
    /// Decisions of an owner about a requester.
    reactive: BTreeMap<(String, String), Reactive>,
    subscriptions: Vec<Subscription>,
    history: Vec<Access>,
    /// Who was online when it was last looked at.
    online: BTreeSet<String>,
}

/// Somebody wants to know of somebody.
#[derive(Debug, Clone)]
struct Subscription {
    watcher: String,
    /// The contact list that was named; none when a user was.
    list: Option<String>,
    /// Whose presence it is about.
    members: BTreeSet<String>,
    /// What was asked for; everything when none.
    asked: Option<Attributes>,
    /// Who is put on the list later is subscribed to as well.
    auto: bool,
}

/// Somebody saw the presence of somebody, or did not want to see it any longer.
#[derive(Debug)]
struct Access {
    owner: String,
    watcher: String,
    at_ms: u64,
    status: &'static str,
}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn presence(&mut self, call: &Call<'_>) -> Option<Elem> {
        Some(match call.name {
            "SubscribePresence-Request" => self.subscribe(call),
            "UnsubscribePresence-Request" => self.unsubscribe(call),
            "GetWatcherList-Request" => self.watcher_list(call),
            "GetPresence-Request" => self.get_presence(call),
            "UpdatePresence-Request" => self.update_presence(call),
            "PresenceAuth-User" => self.authorise(call),
            "CancelAuth-Request" => self.cancel_authorisation(call),
            "GetReactiveAuthStatus-Request" => self.authorisation_status(call),
            "CreateAttributeList-Request" => self.create_attribute_list(call),
            "DeleteAttributeList-Request" => self.delete_attribute_list(call),
            "GetAttributeList-Request" => self.attribute_lists(call),
            _ => return None,
        })
    }

    /// A session of the user began or ended: its OnlineStatus may have changed.
    pub(super) fn presence_changed_by_session(&mut self, user: &str) {
        let online = self.is_online(user);
        let state = &mut self.world.presence;
        let changed = match online {
            true => state.online.insert(user.to_owned()),
            false => state.online.remove(user),
        };
        if !online {
            // Notifications could not reach it any more.
            state.subscriptions.retain(|s| s.watcher != user);
        }
        if changed && self.fault != Some(ServerFault::HidesComingAndGoing) {
            self.attributes_changed(user, &["OnlineStatus".to_owned()]);
        }
        if online {
            self.ask_what_waits(user);
        }
    }

    /// The public value of an attribute: what everybody may know of a user, as a search does.
    pub(super) fn shown_value(&self, user: &str, attribute: &str) -> Option<String> {
        self.value_text(&self.canonical(user), attribute)
    }

    /// A user was put on a contact list: who subscribed to the list with AutoSubscribe is subscribed to the
    /// user as well.
    pub(super) fn list_grew(&mut self, list: &str, user: &str) {
        let (list, user) = (self.canonical(list), self.canonical(user));
        let mut watchers = Vec::new();
        for subscription in &mut self.world.presence.subscriptions {
            let of_list = subscription.auto && subscription.list.as_deref() == Some(list.as_str());
            if of_list && subscription.members.insert(user.clone()) {
                watchers.push((subscription.watcher.clone(), subscription.asked.clone()));
            }
        }
        for (watcher, asked) in watchers {
            if self.elsewhere(&user).is_some() {
                self.watch_newcomer(&watcher, &user, &list, asked.as_ref());
            } else {
                self.begin_watching(&watcher, &user, asked.as_ref());
            }
        }
    }

    /// T16. Each target is subscribed to anew.
    fn subscribe(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let asked = self.selection_of(call);
        let auto = call.text("AutoSubscribe").as_deref() == Some("T");
        if auto && self.fault == Some(ServerFault::FailsAutoSubscribe) {
            return compose::status(403);
        }
        let mut wanted: Vec<(Option<String>, BTreeSet<String>)> = Vec::new();
        for user in &targets.users {
            wanted.push((None, BTreeSet::from([user.clone()])));
        }
        for list in &targets.lists {
            let members = self.contacts_of(list).unwrap_or_default();
            wanted.push((Some(list.clone()), members.into_iter().collect()));
        }
        match self.fault {
            Some(ServerFault::SubscribesFirstOnly) => wanted.truncate(1),
            Some(ServerFault::ServesNobodyPartly) if !targets.is_whole() => wanted.clear(),
            _ => {}
        }
        for (list, members) in wanted {
            let same = |s: &Subscription| {
                s.watcher == call.user && s.list == list && (list.is_some() || s.members == members)
            };
            let state = &mut self.world.presence;
            if self.fault != Some(ServerFault::AddsSubscriptions) {
                state.subscriptions.retain(|s| !same(s));
            }
            state.subscriptions.push(Subscription {
                watcher: call.user.clone(),
                list,
                members: members.clone(),
                asked: asked.clone(),
                auto,
            });
            for owner in members {
                self.begin_watching(&call.user, &owner, asked.as_ref());
            }
        }
        targets.status(call.version)
    }

    /// What is there now is told, or the owner is asked.
    fn begin_watching(&mut self, watcher: &str, owner: &str, asked: Option<&Attributes>) {
        // Users elsewhere are watched by way of their servers.
        if self.hospitable || self.elsewhere(owner).is_some() {
            return;
        }
        self.ask_if_needed(owner, watcher, asked);
        if self.fault != Some(ServerFault::TellsNothingAtFirst) {
            let seen = self.visible(owner, watcher, asked);
            self.notify(watcher, owner, &seen);
        }
    }

    /// T18. Who is not subscribed is told success as well.
    fn unsubscribe(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let over = |s: &Subscription| match &s.list {
            Some(list) => targets.lists.contains(list),
            None => s.members.iter().all(|m| targets.users.contains(m)),
        };
        let state = &mut self.world.presence;
        let mine = |s: &Subscription| s.watcher == call.user && over(s);
        if self.fault == Some(ServerFault::UnsubscribesOnce) && !state.subscriptions.iter().any(mine) {
            return compose::status(404);
        }
        let mut ended: Vec<String> = Vec::new();
        let keeps = self.fault == Some(ServerFault::KeepsSubscriptions);
        state.subscriptions.retain(|s| {
            let ends = mine(s) && !keeps;
            if ends {
                ended.extend(s.members.iter().cloned());
            }
            !ends
        });
        for owner in ended {
            self.remember_access(&owner, &call.user, call.now_ms, "FORMER_SUBSCRIBER");
        }
        targets.status(call.version)
    }

    fn remember_access(&mut self, owner: &str, watcher: &str, at_ms: u64, status: &'static str) {
        let history = &mut self.world.presence.history;
        if history.len() >= MAX_HISTORY {
            history.remove(0);
        }
        history.push(Access {
            owner: owner.to_owned(),
            watcher: watcher.to_owned(),
            at_ms,
            status,
        });
    }

    /// Who watches a user now, with what was asked for in all its subscriptions.
    fn watchers_of(&self, owner: &str) -> BTreeMap<String, Option<Attributes>> {
        let mut out: BTreeMap<String, Option<Attributes>> = BTreeMap::new();
        let state = &self.world.presence;
        for subscription in state.subscriptions.iter().filter(|s| s.members.contains(owner)) {
            let asked = out
                .entry(subscription.watcher.clone())
                .or_insert_with(|| Some(Attributes::new()));
            match (asked.as_mut(), &subscription.asked) {
                (Some(sum), Some(more)) => sum.extend(more.iter().cloned()),
                _ => *asked = None,
            }
        }
        out
    }

    /// T19. 1.1 has the users alone; 1.2 tells of former ones too when a period is asked for.
    fn watcher_list(&mut self, call: &Call<'_>) -> Elem {
        let mut watchers: Vec<(String, &'static str)> = match self.fault {
            Some(ServerFault::ListsWatchersOfAll) => {
                let all = &self.world.presence.subscriptions;
                let each = all.iter().map(|s| s.watcher.clone()).collect::<BTreeSet<_>>();
                each.into_iter().map(|w| (w, "CURRENT_SUBSCRIBER")).collect()
            }
            _ => {
                let each = self.watchers_of(&call.user).into_keys();
                each.map(|w| (w, "CURRENT_SUBSCRIBER")).collect()
            }
        };
        let it = Elem::new("GetWatcherList-Response");
        if call.version == Version::V11 {
            return it.with_all(watchers.iter().map(|(w, _)| user(&self.spelled(w))));
        }
        let number = |name: &str| call.text(name).and_then(|n| n.parse::<u64>().ok());
        let period = number("HistoryPeriod");
        if let Some(seconds) = period.filter(|_| self.fault != Some(ServerFault::ForgetsWatchers)) {
            let since = call.now_ms.saturating_sub(seconds.saturating_mul(1000));
            let past = self.world.presence.history.iter().rev();
            for access in past.filter(|a| a.owner == call.user && a.at_ms >= since) {
                let former = access.status == "FORMER_SUBSCRIBER";
                match watchers.iter_mut().find(|(w, _)| *w == access.watcher) {
                    // To have been a subscriber says more than to have looked.
                    Some((_, status)) if former && *status == "PRESENCE_ACCESS" => *status = access.status,
                    Some(_) => {}
                    None => watchers.push((access.watcher.clone(), access.status)),
                }
            }
        }
        let most = number("MaxWatcherList").filter(|_| self.fault != Some(ServerFault::ListsAllWatchers));
        watchers.truncate(most.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)));
        it.with_some(period.map(|p| text("HistoryPeriod", p.to_string())))
            .with_all(watchers.iter().map(|(w, status)| {
                Elem::new("Watcher")
                    .with(user(&self.spelled(w)))
                    .with(text("WatcherStatus", *status))
            }))
    }

    /// Tells everybody who watches a user, asked for these attributes and may see them.
    fn attributes_changed(&mut self, owner: &str, changed: &[String]) {
        if self.fault == Some(ServerFault::NotifiesNobody) {
            return;
        }
        for (watcher, asked) in self.watchers_of(owner) {
            if self.relay_has(RelayFault::TellsNoPresenceChange) && self.elsewhere(&watcher).is_some() {
                continue;
            }
            let asked = asked.filter(|_| self.fault != Some(ServerFault::NotifiesUnasked));
            let mut seen = match self.fault {
                Some(ServerFault::NotifiesUnauthorised) => {
                    let wanted = |a: &&String| asked.as_ref().is_none_or(|s| s.contains(*a));
                    changed.iter().filter(wanted).cloned().collect()
                }
                _ => self.visible(owner, &watcher, asked.as_ref()),
            };
            seen.retain(|a| changed.contains(a));
            self.notify(&watcher, owner, &seen);
        }
        if self.fault == Some(ServerFault::NotifiesEverybody) {
            let strangers: Vec<String> = self
                .config
                .accounts
                .iter()
                .map(|a| self.canonical(&a.user))
                .collect();
            let watchers = self.watchers_of(owner);
            for user in strangers
                .iter()
                .filter(|u| *u != owner && !watchers.contains_key(*u))
            {
                let mut seen = self.visible(owner, user, None);
                seen.retain(|a| changed.contains(a));
                self.notify(user, owner, &seen);
            }
        }
    }

    /// PresenceNotification-Request with these attributes, as far as the version of each session has them.
    fn notify(&mut self, watcher: &str, owner: &str, attributes: &[String]) {
        for id in self.sessions_of(watcher) {
            let Some(version) = self.sessions.get(&id).map(|s| s.version) else {
                continue;
            };
            let attributes = self.of_version(version, attributes);
            if attributes.is_empty() {
                continue;
            }
            let notification =
                Elem::new("PresenceNotification-Request").with(self.presence_of(version, owner, &attributes));
            self.deliver_in(&id, &|_| notification.clone());
        }
    }

    /// The attributes that a request selects; none when it speaks of all.
    fn selection_of(&self, call: &Call<'_>) -> Option<Attributes> {
        let Some(list) = call.child("PresenceSubList") else {
            let name = call.tree.get(call.node).name.as_str();
            let asks = matches!(name, "SubscribePresence-Request" | "GetPresence-Request");
            let misread = self.fault == Some(ServerFault::NeedsSelection) && asks;
            return misread.then(Attributes::new);
        };
        let names = call.tree.elements(list);
        Some(names.map(|e| call.tree.get(e).name.clone()).collect())
    }
}

/// The answer of transactions that have no other.
fn done() -> Elem {
    compose::status(200)
}
