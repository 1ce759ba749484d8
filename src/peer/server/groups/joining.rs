//! Joining and leaving, who is joined, and the notices of that.

use crate::message::{Elem, text};
use crate::peer::samples::{property, screen_name};
use crate::spec::Version;

use super::super::super::compose;
use super::super::world::{Call, screen_name_of};
use super::super::{RelayFault, ServerEngine, ServerFault};
use super::{Answer, Joined, Right, Room};

impl ServerEngine {
    /// T45.
    pub(super) fn join_group(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let faulty = |fault| self.fault == Some(fault);
        let room = self.room(group).ok_or(800_u16)?;
        let again = room.joined.contains_key(&call.user);
        if again && !self.hospitable && !faulty(ServerFault::JoinsTwice) {
            return Err(807);
        }
        if room.rejected.contains(&call.user) && !faulty(ServerFault::JoinsRejected) {
            return Err(809);
        }
        let member = room.right(&call.user).is_some();
        if room.properties.restricted && !member && !faulty(ServerFault::JoinsAnybody) {
            return Err(810);
        }
        let others = room.joined.keys().filter(|u| **u != call.user).count();
        let most = room
            .properties
            .max_active_users
            .map_or(usize::MAX, |n| n as usize);
        if others >= most && !faulty(ServerFault::UnlimitedGroups) {
            return Err(817);
        }
        let name = match self.wanted_screen_name(call) {
            Some(name) => {
                let taken = room.bearer(&name).is_some_and(|user| user != call.user);
                if taken && !faulty(ServerFault::SharesScreenNames) {
                    return Err(811);
                }
                name
            }
            None if faulty(ServerFault::NeedsScreenName) => return Err(402),
            None => self.free_screen_name(group, &call.user),
        };
        let mut own = room.own.get(&call.user).cloned().unwrap_or_default();
        if let Some(given) = call.child("OwnProperties") {
            own = own.changed(call, given).ok_or(806_u16)?;
        }
        let subscribed = self.subscribes(call);
        let hide = !faulty(ServerFault::ShowsHiddenUsers);
        let asked =
            call.text("JoinedRequest").as_deref() == Some("T") || faulty(ServerFault::ListsJoinedUnasked);
        let room = self.room_mut(group).ok_or(800_u16)?;
        room.own.insert(call.user.clone(), own);
        let joined = Joined {
            screen_name: name,
            subscribed,
        };
        room.joined.insert(call.user.clone(), joined);
        let users: Vec<String> = room.joined.keys().cloned().collect();
        let list = asked.then(|| named(room, &users, call.version, hide));
        let welcome = room.properties.welcome.clone();
        let (v11, v12) = (
            named(room, std::slice::from_ref(&call.user), Version::V11, hide),
            named(room, std::slice::from_ref(&call.user), Version::V12, hide),
        );
        if !again {
            self.tell_change(group, Some(&call.user), &|version| {
                Elem::new("Joined").with(if version >= Version::V12 {
                    v12.clone()
                } else {
                    v11.clone()
                })
            });
        }
        Ok(Elem::new("JoinGroup-Response").with_some(list).with_some(welcome))
    }

    /// T46.
    pub(super) fn leave_group(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let room = self.room(group).ok_or(800_u16)?;
        let address = text("GroupID", room.address.clone());
        if !room.joined.contains_key(&call.user) {
            return Err(808);
        }
        if self.fault != Some(ServerFault::NeverLeavesGroups) {
            self.leave(group, &call.user);
        }
        Ok(Elem::new("LeaveGroup-Response")
            .with(address)
            .with(compose::result(200)))
    }

    /// Takes a user out of a group, and tells the others.
    pub(super) fn leave(&mut self, group: &str, user: &str) {
        let Some(room) = self.room_mut(group) else {
            return;
        };
        let Some(gone) = room.joined.remove(user) else {
            return;
        };
        let over = room.properties.auto_delete && room.joined.is_empty();
        let name = screen_name(&gone.screen_name, &room.address);
        let left = Elem::new("Left").with(Elem::new("UserList").with(name));
        if over {
            self.world.groups.groups.remove(group);
        } else {
            self.tell_change(group, Some(user), &|_| left.clone());
        }
    }

    /// T47: takes a joined user out of a group for a reason.
    pub(super) fn remove_joined(&mut self, group: &str, user: &str, reason: u16) {
        if self.joined(group, user).is_some() {
            self.tell_removal(group, user, reason);
            self.leave(group, user);
        }
    }

    /// Tells a user that it is not joined any more.
    pub(super) fn tell_removal(&mut self, group: &str, user: &str, reason: u16) {
        if self.fault == Some(ServerFault::RemovesSilently) {
            return;
        }
        let address = self
            .room(group)
            .map_or_else(|| group.to_owned(), |r| r.address.clone());
        self.deliver(user, &|_| {
            Elem::new("LeaveGroup-Response")
                .with(text("GroupID", address.clone()))
                .with(compose::result(reason))
        });
    }

    /// T49: with rights for who has rights, screen names alone for the others.
    pub(super) fn joined_members(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let room = self.room(group).ok_or(800_u16)?;
        let privileged = room.privileged(&call.user);
        if !privileged && !room.joined.contains_key(&call.user) && !self.asks_no_rights() {
            return Err(808);
        }
        let answer = Elem::new("GetJoinedUsers-Response");
        let swapped = self.fault == Some(ServerFault::SwapsJoinedLists);
        if privileged == swapped {
            let users: Vec<String> = room.joined.keys().cloned().collect();
            let hide = self.fault != Some(ServerFault::ShowsHiddenUsers);
            return Ok(answer.with(named(room, &users, Version::V12, hide)));
        }
        let of = |name: &str, right: Right| {
            let users = room.joined.keys();
            let with_right = users.filter(|u| room.right(u).unwrap_or(Right::User) == right);
            let mappings: Vec<Elem> = with_right.map(|u| mapping(room, u, false)).collect();
            (!mappings.is_empty()).then(|| Elem::new(name).with_all(mappings))
        };
        Ok(answer.with(
            Elem::new("AdminMapList")
                .with_some(of("AdminMapping", Right::Admin))
                .with_some(of("ModMapping", Right::Mod))
                .with_some(of("UserMapping", Right::User)),
        ))
    }

    /// T56.
    pub(super) fn group_notices(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let room = self.room_mut(group).ok_or(800_u16)?;
        let joined = room.joined.get_mut(&call.user).ok_or(808_u16)?;
        match call.text("SubscribeType").as_deref() {
            Some("G") => {
                let value = if joined.subscribed { "T" } else { "F" };
                return Ok(Elem::new("SubscribeGroupNotice-Response").with(text("Value", value)));
            }
            Some(other) => joined.subscribed = other == "S",
            None => return Err(400),
        }
        Ok(compose::status(200))
    }

    /// T57: tells joined subscribers of a change, but for whoever made it.
    pub(super) fn tell_change(&mut self, group: &str, except: Option<&str>, part: &dyn Fn(Version) -> Elem) {
        let Some(room) = self.room(group) else {
            return;
        };
        let everybody = self.fault == Some(ServerFault::TellsUnsubscribed);
        let abroad = self.relay_has(RelayFault::TellsUnsubscribed);
        let mut users: Vec<String> = room
            .joined
            .iter()
            .filter(|(user, j)| j.subscribed || everybody || abroad && self.elsewhere(user).is_some())
            .map(|(user, _)| user.clone())
            .collect();
        match self.fault {
            Some(ServerFault::TellsNoChange) => users.clear(),
            Some(ServerFault::TellsOutsiders) => {
                let all = self.config.accounts.iter().map(|a| self.canonical(&a.user));
                users.extend(all.filter(|u| !room.joined.contains_key(u)));
            }
            _ => {}
        }
        if self.fault == Some(ServerFault::TellsChangesTwice) {
            users.extend(users.clone());
        }
        let address = room.address.clone();
        for user in users.iter().filter(|u| Some(u.as_str()) != except) {
            self.deliver(user, &|version| {
                Elem::new("GroupChangeNotice")
                    .with(text("GroupID", address.clone()))
                    .with(part(version))
            });
        }
    }

    /// Tells a user that its rights are others, if it wants to know.
    pub(super) fn tell_right(&mut self, group: &str, user: &str, right: Right) {
        let Some(room) = self.room(group) else {
            return;
        };
        let address = room.address.clone();
        let wants = room.joined.get(user).is_some_and(|j| j.subscribed);
        if wants && self.fault != Some(ServerFault::TellsNoChange) {
            self.deliver(user, &|_| {
                Elem::new("GroupChangeNotice")
                    .with(text("GroupID", address.clone()))
                    .with(Elem::new("OwnProperties").with(property("PrivilegeLevel", right.as_str())))
            });
        }
    }

    /// The screen name that a request asks for.
    pub(in super::super) fn wanted_screen_name(&self, call: &Call<'_>) -> Option<String> {
        let name = call.tree.child_text(call.child("ScreenName")?, "SName")?;
        Some(name).filter(|n| !n.is_empty())
    }

    /// A screen name for a user who asks for none.
    pub(super) fn free_screen_name(&self, group: &str, user: &str) -> String {
        let base = screen_name_of(user);
        let free = |name: &String| self.user_of_screen_name(group, name).is_none_or(|u| u == user);
        let numbered = (2..).map(|n: u32| format!("{base}{n}"));
        std::iter::once(base.clone())
            .chain(numbered)
            .find(free)
            .unwrap_or(base)
    }

    /// Whether a request asks for notices.
    pub(super) fn subscribes(&self, call: &Call<'_>) -> bool {
        call.text("SubscribeNotification").as_deref() == Some("T")
    }
}

/// Users of a group as others see them.
fn named(room: &Room, users: &[String], version: Version, hide: bool) -> Elem {
    if version >= Version::V12 {
        let mappings: Vec<Elem> = users.iter().map(|u| mapping(room, u, hide)).collect();
        let all = (!mappings.is_empty()).then(|| Elem::new("UserMapping").with_all(mappings));
        return Elem::new("UserMapList").with_some(all);
    }
    let names = users.iter().filter_map(|u| room.joined.get(u));
    Elem::new("UserList").with_all(names.map(|j| screen_name(&j.screen_name, &room.address)))
}

/// `Mapping` of a user; with its address unless that is hidden.
fn mapping(room: &Room, user: &str, hide: bool) -> Elem {
    let name = room.joined.get(user).map(|j| j.screen_name.clone());
    let shown = !hide || room.own.get(user).is_some_and(|own| own.show_id);
    Elem::new("Mapping")
        .with(text("SName", name.unwrap_or_default()))
        .with_some(shown.then(|| text("UserID", user)))
}
