//! Who may see what: attribute lists that a user makes beforehand (T29 to T31), and decisions when somebody
//! asks (T21 to T23).

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::super::compose;
use super::super::world::Call;
use super::super::{RelayFault, ServerEngine, ServerFault};
use super::{Attributes, done};

/// The attribute lists of a user.
#[derive(Debug, Default)]
pub(super) struct AttributeLists {
    users: BTreeMap<String, Attributes>,
    contact_lists: BTreeMap<String, Attributes>,
    default: Option<Attributes>,
}

/// What an owner was asked about a requester, and what it said.
#[derive(Debug)]
pub(super) struct Reactive {
    decision: Decision,
    /// What the requester wants to see; everything when none.
    asked: Option<Attributes>,
    /// Whether the owner was asked.
    told: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    Pending,
    Denied,
    /// These attributes; all when none.
    Granted(Option<Attributes>),
}

/// What a user may see of another.
#[derive(Debug, PartialEq, Eq)]
enum Rights {
    All,
    These(Attributes),
    /// Nobody has decided yet.
    Undecided,
}

impl ServerEngine {
    /// An own list counts before one of a contact list, a decision before the list for everybody else.
    fn rights(&self, owner: &str, requester: &str) -> Rights {
        if self.hospitable || owner == requester {
            return Rights::All;
        }
        let state = &self.world.presence;
        let lists = state.lists.get(owner);
        let of_everybody = lists.and_then(|l| l.default.clone());
        if self.fault == Some(ServerFault::DefaultListFirst)
            && let Some(set) = of_everybody
        {
            return Rights::These(set);
        }
        if let Some(set) = lists.and_then(|l| l.users.get(requester)) {
            return Rights::These(set.clone());
        }
        let on = |list: &str| {
            let contacts = self.contacts_of(list).unwrap_or_default();
            self.fault != Some(ServerFault::IgnoresContactLists) && contacts.iter().any(|c| c == requester)
        };
        let of_lists: Vec<&Attributes> = lists
            .map(|l| {
                l.contact_lists
                    .iter()
                    .filter(|(list, _)| on(list))
                    .map(|(_, a)| a)
                    .collect()
            })
            .unwrap_or_default();
        if !of_lists.is_empty() {
            return Rights::These(of_lists.into_iter().flatten().cloned().collect());
        }
        let key = (owner.to_owned(), requester.to_owned());
        match state.reactive.get(&key).map(|r| &r.decision) {
            Some(Decision::Granted(None)) => return Rights::All,
            Some(Decision::Granted(Some(_))) if self.fault == Some(ServerFault::GrantsAllAttributes) => {
                return Rights::All;
            }
            Some(Decision::Granted(Some(set))) => return Rights::These(set.clone()),
            Some(Decision::Denied) if self.fault == Some(ServerFault::GrantsAfterDenial) => {
                return Rights::All;
            }
            Some(Decision::Denied) => return Rights::These(Attributes::new()),
            Some(Decision::Pending) if self.fault == Some(ServerFault::GrantsBeforeDecision) => {
                return Rights::All;
            }
            _ => {}
        }
        match of_everybody.filter(|_| self.fault != Some(ServerFault::IgnoresDefaultList)) {
            Some(set) => Rights::These(set),
            None => Rights::Undecided,
        }
    }

    /// The attributes of a user that another asks for and may see, in their order.
    pub(super) fn visible(&self, owner: &str, requester: &str, asked: Option<&Attributes>) -> Vec<String> {
        let ungranted =
            self.relay_has(RelayFault::ShowsUngrantedValues) && self.elsewhere(requester).is_some();
        let rights = match ungranted {
            true => Rights::All,
            false => self.rights(owner, requester),
        };
        let may = |name: &str| match &rights {
            Rights::All => true,
            Rights::These(set) => set.contains(name),
            Rights::Undecided => false,
        };
        let all = self.checker.syntax().presence().iter().map(|a| a.name.clone());
        all.filter(|name| may(name) && asked.is_none_or(|set| set.contains(name)))
            .collect()
    }

    /// Asks the owner when nobody has decided what this requester may see.
    pub(super) fn ask_if_needed(&mut self, owner: &str, requester: &str, asked: Option<&Attributes>) {
        if self.hospitable || owner == requester || self.fault == Some(ServerFault::AsksNobody) {
            return;
        }
        let key = (owner.to_owned(), requester.to_owned());
        let waits = self.world.presence.reactive.contains_key(&key);
        if self.fault == Some(ServerFault::AsksAlways) {
            let ready = self.auth_requests(&self.spelled(requester), asked);
            self.deliver(owner, &|version| {
                ready[usize::from(version == Version::V12)].clone()
            });
            return;
        }
        if waits || self.rights(owner, requester) != Rights::Undecided {
            return;
        }
        self.world.presence.reactive.insert(
            key,
            Reactive {
                decision: Decision::Pending,
                asked: asked.cloned(),
                told: false,
            },
        );
        self.ask_what_waits(owner);
    }

    /// Asks an owner who is online what it was not asked yet.
    pub(super) fn ask_what_waits(&mut self, owner: &str) {
        let waiting: Vec<(String, Option<Attributes>)> = self
            .world
            .presence
            .reactive
            .iter()
            .filter(|((o, _), r)| o == owner && r.decision == Decision::Pending && !r.told)
            .map(|((_, requester), r)| (requester.clone(), r.asked.clone()))
            .collect();
        for (requester, asked) in waiting {
            let named = match self.fault {
                Some(ServerFault::AsksAboutOwner) => self.spelled(owner),
                _ => self.spelled(&requester),
            };
            let ready = self.auth_requests(&named, asked.as_ref());
            let told = self.deliver(owner, &|version| {
                ready[usize::from(version == Version::V12)].clone()
            });
            let key = (owner.to_owned(), requester);
            if let Some(reactive) = self.world.presence.reactive.get_mut(&key) {
                reactive.told = told;
            }
        }
    }

    /// T21, the decision of a user.
    pub(super) fn authorise(&mut self, call: &Call<'_>) -> Elem {
        let address = call.text("UserID").unwrap_or_default();
        if let Some(code) = self.missing_user(&address) {
            return compose::status(code);
        }
        let decision = match call.text("Acceptance").as_deref() {
            Some("T") => Decision::Granted(self.selection_of(call)),
            _ => Decision::Denied,
        };
        if self.fault == Some(ServerFault::ForgetsDecision) {
            return done();
        }
        let requester = self.canonical(&address);
        self.with_rights_of(&call.user, |engine| {
            let reactive = Reactive {
                decision,
                asked: None,
                told: true,
            };
            engine
                .world
                .presence
                .reactive
                .insert((call.user.clone(), requester), reactive);
        });
        done()
    }

    /// T22. What was decided is forgotten: the next request asks again.
    pub(super) fn cancel_authorisation(&mut self, call: &Call<'_>) -> Elem {
        let address = call.text("UserID").unwrap_or_default();
        if let Some(code) = self.missing_user(&address) {
            return compose::status(code);
        }
        let key = (call.user.clone(), self.canonical(&address));
        let reactive = &mut self.world.presence.reactive;
        let entry = reactive.get_mut(&key).filter(|r| r.told);
        // A fault shows once: the next request of the same kind makes good for it.
        match (self.fault, entry) {
            (Some(ServerFault::KeepsAuthorisation), Some(entry))
                if matches!(entry.decision, Decision::Granted(_)) =>
            {
                entry.told = false;
            }
            (Some(ServerFault::DeniesAfterCancel), Some(entry))
                if matches!(entry.decision, Decision::Granted(_)) =>
            {
                entry.decision = Decision::Denied;
            }
            _ => {
                reactive.remove(&key);
            }
        }
        done()
    }

    /// T23. Without users: everything that was decided or waits.
    pub(super) fn authorisation_status(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        if !targets.is_empty() && targets.users.is_empty() {
            return targets.status(call.version);
        }
        let all = targets.is_empty() || self.fault == Some(ServerFault::ShowsAllDecisions);
        let entries = self.world.presence.reactive.iter();
        let wanted = entries.filter(|((owner, requester), _)| {
            *owner == call.user && (all || targets.users.contains(requester))
        });
        let states = wanted.map(|((_, requester), reactive)| {
            let (state, attributes) = match &reactive.decision {
                Decision::Pending => ("PENDING", &reactive.asked),
                Decision::Denied => ("DENIED", &None),
                Decision::Granted(attributes) => ("GRANTED", attributes),
            };
            let list = attributes.as_ref().map(|a| self.selection(call.version, a));
            Elem::new("ReactiveAuthStatus")
                .with(text("UserID", self.spelled(requester)))
                .with(text("ReactiveAuthState", state))
                .with_some(list)
        });
        Elem::new("GetReactiveAuthStatus-Response").with(Elem::new("ReactiveAuthStatusList").with_all(states))
    }

    /// T29. A list takes the place of the one for the same target.
    pub(super) fn create_attribute_list(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let everybody = call.text("DefaultList").as_deref() == Some("T");
        if targets.is_empty() && !everybody {
            return compose::status(402);
        }
        let attributes = self.selection_of(call).unwrap_or_default();
        if self.fault == Some(ServerFault::ForgetsAttributeLists) {
            return targets.status(call.version);
        }
        let adds = self.fault == Some(ServerFault::AddsToAttributeLists);
        let first_only = self.fault == Some(ServerFault::ListsFirstUserOnly);
        self.with_rights_of(&call.user, |engine| {
            let lists = engine.world.presence.lists.entry(call.user.clone()).or_default();
            let merged = |old: Option<&Attributes>| match old {
                Some(old) if adds => old.union(&attributes).cloned().collect(),
                _ => attributes.clone(),
            };
            let users = targets.users.iter().take(if first_only { 1 } else { usize::MAX });
            for user in users {
                let set = merged(lists.users.get(user));
                lists.users.insert(user.clone(), set);
            }
            for list in &targets.lists {
                let set = merged(lists.contact_lists.get(list));
                lists.contact_lists.insert(list.clone(), set);
            }
            if everybody {
                lists.default = Some(merged(lists.default.as_ref()));
            }
        });
        targets.status(call.version)
    }

    /// T30. Who has no list is told success as well.
    pub(super) fn delete_attribute_list(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let everybody = call.text("DefaultList").as_deref() == Some("T");
        if self.fault == Some(ServerFault::KeepsAttributeLists) {
            return targets.status(call.version);
        }
        let default_too = everybody && self.fault != Some(ServerFault::KeepsDefaultAttributeList)
            || self.fault == Some(ServerFault::DeletesDefaultListToo);
        self.with_rights_of(&call.user, |engine| {
            let lists = engine.world.presence.lists.entry(call.user.clone()).or_default();
            lists.users.retain(|user, _| !targets.users.contains(user));
            lists
                .contact_lists
                .retain(|list, _| !targets.lists.contains(list));
            if default_too {
                lists.default = None;
            }
        });
        targets.status(call.version)
    }

    /// T31. Without targets: all lists.
    pub(super) fn attribute_lists(&mut self, call: &Call<'_>) -> Elem {
        let targets = self.targets(call);
        let everybody = call.text("DefaultList").as_deref() == Some("T")
            || self.fault == Some(ServerFault::ShowsDefaultListUnasked);
        let all = targets.is_empty() && self.fault != Some(ServerFault::ShowsNoListUnasked);
        let empty = AttributeLists::default();
        let lists = self.world.presence.lists.get(&call.user).unwrap_or(&empty);
        let select = |attributes: &Attributes| self.selection(call.version, attributes);
        let of_users = lists
            .users
            .iter()
            .filter(|(u, _)| all || targets.users.contains(u));
        let of_lists = lists
            .contact_lists
            .iter()
            .filter(|(l, _)| all || targets.lists.contains(l));
        let default = lists.default.as_ref().filter(|_| everybody);
        Elem::new("GetAttributeList-Response")
            .with(targets.result(call.version))
            .with_some(default.map(|a| Elem::new("DefaultAttributeList").with(select(a))))
            .with_all(of_lists.map(|(list, a)| {
                Elem::new("Presence")
                    .with(text("ContactList", list.clone()))
                    .with(select(a))
            }))
            .with_all(of_users.map(|(user, a)| {
                Elem::new("Presence")
                    .with(text("UserID", self.spelled(user)))
                    .with(select(a))
            }))
    }

    /// Changes what others may see of a user, and tells its watchers what they see now and did not before.
    fn with_rights_of(&mut self, owner: &str, change: impl FnOnce(&mut Self)) {
        let watchers = self.watchers_of(owner);
        let seen = |engine: &Self| {
            let each = watchers.iter();
            each.map(|(w, asked)| engine.visible(owner, w, asked.as_ref()))
                .collect::<Vec<_>>()
        };
        let before = seen(self);
        change(self);
        // What a list says now need not be asked any more.
        let waiting: Vec<(String, String)> = self.world.presence.reactive.keys().cloned().collect();
        let decided: BTreeSet<(String, String)> = waiting
            .into_iter()
            .filter(|(o, r)| o == owner && self.is_decided_by_list(o, r))
            .collect();
        self.world
            .presence
            .reactive
            .retain(|key, r| r.decision != Decision::Pending || !decided.contains(key));
        let after = seen(self);
        if self.hospitable {
            return;
        }
        let news: Vec<(String, Vec<String>)> = watchers
            .keys()
            .zip(before.iter().zip(after))
            .map(|(w, (old, new))| {
                let more = new.into_iter().filter(|a| !old.contains(a)).collect();
                (w.clone(), more)
            })
            .collect();
        for (watcher, more) in news {
            self.notify(&watcher, owner, &more);
        }
    }

    fn is_decided_by_list(&self, owner: &str, requester: &str) -> bool {
        !matches!(self.rights(owner, requester), Rights::Undecided)
    }

    /// `PresenceSubList` that names attributes, in their order and as far as the version has them.
    fn selection(&self, version: Version, attributes: &Attributes) -> Elem {
        let names: Vec<String> = self
            .checker
            .syntax()
            .presence()
            .iter()
            .map(|a| a.name.clone())
            .filter(|name| attributes.contains(name))
            .collect();
        let names = self.of_version(version, &names);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        super::super::super::contents::selection(version, &names)
    }

    /// PresenceAuth-Request about somebody, in each version.
    fn auth_requests(&self, requester: &str, asked: Option<&Attributes>) -> [Elem; 2] {
        [Version::V11, Version::V12].map(|version| {
            Elem::new("PresenceAuth-Request")
                .with(text("UserID", requester))
                .with_some(asked.map(|set| self.selection(version, set)))
        })
    }
}
