//! Contact lists (section 5.10 of the facts).

use crate::message::{Elem, NodeId, text};
use crate::spec::Version;

use super::super::compose;
use super::super::names::resource;
use super::super::samples::property;
use super::partial::{Failures, Target};
use super::world::Call;
use super::{ServerEngine, ServerFault};

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &["GCLI", "CCLI", "DCLI", "MCLS"];

/// Most lists of a user, and most users on a list.
const MOST_LISTS: usize = 100;
const MOST_CONTACTS: usize = 500;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order in which they were made.
    lists: Vec<List>,
}

#[derive(Debug, Clone)]
struct List {
    /// As its owner wrote it.
    address: String,
    /// Canonical address of the list, and of its owner.
    key: String,
    owner: String,
    contacts: Vec<Contact>,
    display_name: Option<String>,
    /// Exactly one list of a user is.
    default: bool,
}

#[derive(Debug, Clone)]
struct Contact {
    /// As it was written.
    user: String,
    key: String,
    nick_name: Option<String>,
}

impl Contact {
    fn elem(&self) -> Elem {
        let user = text("UserID", self.user.clone());
        match &self.nick_name {
            Some(name) => Elem::new("NickName").with(text("Name", name.clone())).with(user),
            None => user,
        }
    }
}

/// What properties a request sets.
#[derive(Debug, Default)]
struct Wanted {
    display_name: Option<String>,
    default: Option<bool>,
}

fn nick_list(contacts: &[Contact]) -> Elem {
    Elem::new("NickList").with_all(contacts.iter().map(Contact::elem))
}

fn properties(list: &List) -> Elem {
    let name = list.display_name.as_deref();
    Elem::new("ContactListProperties")
        .with_some(name.map(|n| property("DisplayName", n)))
        .with(property("Default", if list.default { "T" } else { "F" }))
}

fn managed(code: u16) -> Elem {
    Elem::new("ListManage-Response").with(compose::result(code))
}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn lists(&mut self, call: &Call<'_>) -> Option<Elem> {
        Some(match call.name {
            "GetList-Request" => self.get_lists(call),
            "CreateList-Request" => self.create_list(call),
            "DeleteList-Request" => self.delete_list(call),
            "ListManage-Request" => self.manage_list(call),
            _ => return None,
        })
    }

    /// Canonical addresses of the users on a list; none when there is no such list.
    pub(super) fn contacts_of(&self, list: &str) -> Option<Vec<String>> {
        let key = self.canonical(list);
        let found = self.world.lists.lists.iter().find(|l| l.key == key);
        match found {
            Some(list) => Some(list.contacts.iter().map(|c| c.key.clone()).collect()),
            None if self.hospitable => Some(vec![self.canonical("wv:imps-scr-peer")]),
            None => None,
        }
    }

    fn get_lists(&mut self, call: &Call<'_>) -> Elem {
        if self.hospitable && !self.world.lists.lists.iter().any(|l| l.owner == call.user) {
            let address = resource(&call.user, "friends");
            self.invent_list(call, &address);
        }
        let own = || self.world.lists.lists.iter().filter(|l| l.owner == call.user);
        let twice = self.fault == Some(ServerFault::ListsDefaultTwice);
        let others = own().filter(|l| twice || !l.default);
        let default = own().find(|l| l.default);
        Elem::new("GetList-Response")
            .with_all(others.map(|l| text("ContactList", l.address.clone())))
            .with_some(default.map(|l| text("DefaultContactList", l.address.clone())))
    }

    fn create_list(&mut self, call: &Call<'_>) -> Elem {
        let address = call.text("ContactList").unwrap_or_default();
        let key = self.canonical(&address);
        let foreign = self.owner_of(&address).is_none_or(|owner| owner != call.user);
        if foreign && !self.hospitable && self.fault != Some(ServerFault::CreatesForeignLists) {
            return compose::status(403);
        }
        let mut wanted = match self.wanted(call) {
            Ok(wanted) => wanted.unwrap_or_default(),
            Err(code) => return compose::status(code),
        };
        if let Some(index) = self.world.lists.lists.iter().position(|l| l.key == key) {
            if !self.hospitable && self.fault != Some(ServerFault::OverwritesLists) {
                return compose::status(701);
            }
            let old = self.world.lists.lists.remove(index);
            if old.default && wanted.default.is_none() {
                wanted.default = Some(true);
            }
        }
        let own = self
            .world
            .lists
            .lists
            .iter()
            .filter(|l| l.owner == call.user)
            .count();
        if own >= MOST_LISTS {
            return compose::status(match call.version {
                Version::V11 => 403,
                Version::V12 => 753,
            });
        }
        let (contacts, failures) = self.contacts_in(call, "NickList");
        let grown: Vec<String> = contacts.iter().map(|c| c.key.clone()).collect();
        let forgets = self.fault == Some(ServerFault::ForgetsContacts);
        self.world.lists.lists.push(List {
            address,
            key: key.clone(),
            owner: call.user.clone(),
            contacts: if forgets { Vec::new() } else { contacts },
            display_name: wanted.display_name,
            default: false,
        });
        self.choose_default(&call.user, (wanted.default == Some(true)).then_some(key.as_str()));
        for user in grown {
            self.list_grew(&key, &user);
        }
        // The list is made, whoever is not on it.
        failures.status(call.version, true)
    }

    fn delete_list(&mut self, call: &Call<'_>) -> Elem {
        let Some(index) = self.own_list(call) else {
            return compose::status(700);
        };
        if self.fault != Some(ServerFault::KeepsDeletedLists) {
            self.world.lists.lists.remove(index);
            self.choose_default(&call.user, None);
        }
        compose::status(200)
    }

    fn manage_list(&mut self, call: &Call<'_>) -> Elem {
        let Some(index) = self.own_list(call) else {
            return managed(700);
        };
        let key = self.world.lists.lists[index].key.clone();
        let mut failures = Failures::default();
        // Whether something was done, and what of the list 1.1 shows.
        let mut done = true;
        let mut shown: Option<Vec<Elem>> = None;
        if call.child("AddNickList").is_some() {
            let (contacts, unknown) = self.contacts_in(call, "AddNickList");
            failures = unknown;
            done = !contacts.is_empty();
            shown = Some(vec![nick_list(&contacts)]);
            let known = &self.world.lists.lists[index].contacts;
            let grown: Vec<String> = contacts
                .iter()
                .filter(|c| !known.iter().any(|k| k.key == c.key))
                .map(|c| c.key.clone())
                .collect();
            if known.len() + grown.len() > MOST_CONTACTS {
                return managed(match call.version {
                    Version::V11 => 403,
                    Version::V12 => 754,
                });
            }
            let keeps_names = self.fault == Some(ServerFault::KeepsNickNames);
            let on_it = &mut self.world.lists.lists[index].contacts;
            for contact in contacts {
                match on_it.iter_mut().find(|c| c.key == contact.key) {
                    // A known user gets the new nickname.
                    Some(_) if keeps_names => {}
                    Some(old) => *old = contact,
                    None => on_it.push(contact),
                }
            }
            for user in grown {
                self.list_grew(&key, &user);
            }
        } else if let Some(removed) = call.child("RemoveNickList") {
            done = false;
            shown = Some(vec![Elem::new("NickList")]);
            for user in call.users(removed) {
                let gone = self.canonical(&user);
                let on_it = &mut self.world.lists.lists[index].contacts;
                let before = on_it.len();
                if self.fault == Some(ServerFault::RemovesNoContact) {
                    done = true;
                    continue;
                }
                on_it.retain(|c| c.key != gone);
                match on_it.len() < before {
                    true => done = true,
                    false if self.hospitable => done = true,
                    false => failures.add(531, Target::User(user)),
                }
            }
        } else {
            match self.wanted(call) {
                Ok(None) => {}
                Ok(Some(wanted)) => {
                    let list = &mut self.world.lists.lists[index];
                    if wanted.display_name.is_some() {
                        list.display_name = wanted.display_name;
                    }
                    if wanted.default == Some(true) && self.fault != Some(ServerFault::KeepsDefaultList) {
                        self.choose_default(&call.user, Some(&key));
                    }
                    shown = Some(vec![properties(&self.world.lists.lists[index])]);
                }
                Err(code) => return managed(code),
            }
        }
        let list = &self.world.lists.lists[index];
        let whole = || vec![nick_list(&list.contacts), properties(list)];
        let parts = match call.version {
            Version::V11 => shown.unwrap_or_else(whole),
            Version::V12 if call.text("ReceiveList").is_some_and(|r| r == "T") => whole(),
            Version::V12 => Vec::new(),
        };
        Elem::new("ListManage-Response")
            .with(failures.result(call.version, done))
            .with_all(parts)
    }

    /// The list that a request names, if it is one of the user's own.
    fn own_list(&mut self, call: &Call<'_>) -> Option<usize> {
        let address = call.text("ContactList")?;
        let key = self.canonical(&address);
        let anybody = self.fault == Some(ServerFault::ShowsForeignLists);
        let found = |engine: &Self| {
            let mut lists = engine.world.lists.lists.iter();
            lists.position(|l| l.key == key && (anybody || l.owner == call.user))
        };
        found(self).or_else(|| {
            self.hospitable.then(|| self.invent_list(call, &address))?;
            found(self)
        })
    }

    /// For a hospitable server, on which every list that is named exists.
    fn invent_list(&mut self, call: &Call<'_>, address: &str) {
        let peer = self.canonical("wv:imps-scr-peer");
        let list = List {
            address: address.to_owned(),
            key: self.canonical(address),
            owner: call.user.clone(),
            contacts: vec![Contact {
                user: peer.clone(),
                key: peer,
                nick_name: Some("Friend".to_owned()),
            }],
            display_name: Some("Friends".to_owned()),
            default: false,
        };
        self.world.lists.lists.push(list);
        self.choose_default(&call.user, None);
    }

    /// Makes one list of the user the default: this one, or that which was, or the first.
    fn choose_default(&mut self, user: &str, wanted: Option<&str>) {
        let mut own: Vec<&mut List> = self
            .world
            .lists
            .lists
            .iter_mut()
            .filter(|l| l.owner == user)
            .collect();
        let chosen = own
            .iter()
            .position(|l| wanted.is_some_and(|w| w == l.key))
            .or_else(|| own.iter().position(|l| l.default))
            .unwrap_or(0);
        for (index, list) in own.iter_mut().enumerate() {
            list.default = index == chosen;
        }
    }

    /// The users below an element of the request: those that are known, once each, and the others.
    fn contacts_in(&self, call: &Call<'_>, element: &str) -> (Vec<Contact>, Failures) {
        let mut known: Vec<Contact> = Vec::new();
        let mut failures = Failures::default();
        let entries: Vec<NodeId> = call
            .child(element)
            .map(|list| call.tree.elements(list).collect())
            .unwrap_or_default();
        for entry in entries {
            let (user, nick_name) = match call.tree.get(entry).name.as_str() {
                "NickName" => (
                    call.tree.child_text(entry, "UserID").unwrap_or_default(),
                    call.tree.child_text(entry, "Name"),
                ),
                _ => (call.tree.text(entry).trim().to_owned(), None),
            };
            if !self.knows_user(&user) && self.fault != Some(ServerFault::ListsUnknownUsers) {
                failures.add(531, Target::User(user));
                continue;
            }
            let contact = Contact {
                key: self.canonical(&user),
                user,
                nick_name,
            };
            match known.iter_mut().find(|c| c.key == contact.key) {
                Some(old) => *old = contact,
                None => known.push(contact),
            }
        }
        (known, failures)
    }

    /// The properties that a request sets; none without any, or the code that refuses them.
    fn wanted(&self, call: &Call<'_>) -> Result<Option<Wanted>, u16> {
        let Some(given) = call.child("ContactListProperties") else {
            return Ok(None);
        };
        let mut wanted = Wanted::default();
        for entry in call.tree.elements(given) {
            let name = call.tree.child_text(entry, "Name").unwrap_or_default();
            let value = call.tree.child_text(entry, "Value").unwrap_or_default();
            match (name.to_lowercase().as_str(), value.to_uppercase().as_str()) {
                ("displayname", _) => wanted.display_name = Some(value),
                ("default", "T") => wanted.default = Some(true),
                // A list stops to be the default when another one becomes it.
                ("default", "F") => wanted.default = Some(false),
                _ if self.hospitable => {}
                _ => return Err(752),
            }
        }
        Ok(Some(wanted))
    }
}
