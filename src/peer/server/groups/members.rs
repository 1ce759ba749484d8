//! Members of a group, their rights, and who may not join.

use crate::message::{Elem, text};
use crate::peer::contents;

use super::super::super::compose;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};
use super::{Answer, Right};

impl ServerEngine {
    /// Whether rights in groups count for nothing (a fault).
    pub(super) fn asks_no_rights(&self) -> bool {
        self.fault == Some(ServerFault::AsksNoGroupRights)
    }

    /// Refuses who has a lower right.
    pub(super) fn needs(&self, group: &str, user: &str, right: Right) -> Result<(), u16> {
        let has = self.room(group).and_then(|r| r.right(user)) >= Some(right);
        match has || self.asks_no_rights() {
            true => Ok(()),
            false => Err(816),
        }
    }

    /// T48: members by right, for members.
    pub(super) fn group_members(&mut self, call: &Call<'_>, group: &str) -> Answer {
        self.needs(group, &call.user, Right::User)?;
        let room = self.room(group).ok_or(800_u16)?;
        let of = |name: &str, right: Right| {
            let users: Vec<String> = room
                .members
                .iter()
                .filter(|(_, r)| **r == right)
                .map(|(user, _)| self.spelled(user))
                .collect();
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            (!users.is_empty()).then(|| Elem::new(name).with(contents::users(&users)))
        };
        Ok(Elem::new("GetGroupMembers-Response")
            .with_some(of("Admin", Right::Admin))
            .with_some(of("Mod", Right::Mod))
            .with_some(of("Users", Right::User)))
    }

    /// T50.
    pub(super) fn add_members(&mut self, call: &Call<'_>, group: &str) -> Answer {
        self.needs(group, &call.user, Right::Mod)?;
        let Some(list) = call.child("UserList") else {
            return Err(400);
        };
        let (users, failures) = self.named_users(call, group, list);
        if self.fault == Some(ServerFault::AddsNoMembers) {
            return Ok(failures.status(!users.is_empty()));
        }
        if let Some(room) = self.room_mut(group) {
            for user in &users {
                room.members.entry(user.clone()).or_insert(Right::User);
            }
        }
        if self.fault == Some(ServerFault::HidesUnknownMembers) {
            return Ok(compose::status(200));
        }
        Ok(failures.status(!users.is_empty()))
    }

    /// T51. Who is no member any more cannot stay in a restricted group.
    pub(super) fn remove_members(&mut self, call: &Call<'_>, group: &str) -> Answer {
        self.needs(group, &call.user, Right::Mod)?;
        let Some(list) = call.child("UserList") else {
            return Err(400);
        };
        let (users, mut failures) = self.named_users(call, group, list);
        let mut removed = Vec::new();
        for user in users {
            if self.is_member_of(group, &user) || self.hospitable {
                removed.push(user);
            } else {
                failures.add(810, text("UserID", self.spelled(&user)));
            }
        }
        if self.fault != Some(ServerFault::KeepsMembers) {
            for user in &removed {
                if let Some(room) = self.room_mut(group) {
                    room.members.remove(user);
                }
                if self.room(group).is_some_and(|r| r.properties.restricted) {
                    self.remove_joined(group, user, 810);
                }
            }
        }
        Ok(failures.status(!removed.is_empty()))
    }

    /// T52: members get other rights, and are told.
    pub(super) fn member_access(&mut self, call: &Call<'_>, group: &str) -> Answer {
        self.needs(group, &call.user, Right::Admin)?;
        let mut changes = Vec::new();
        let mut failures = super::Failures::default();
        for (name, right) in [
            ("Admin", Right::Admin),
            ("Mod", Right::Mod),
            ("Users", Right::User),
        ] {
            let list = call.child(name).and_then(|e| call.tree.child(e, "UserList"));
            let Some(list) = list else {
                continue;
            };
            let (users, failed) = self.named_users(call, group, list);
            failures.extend(failed);
            for user in users {
                if self.is_member_of(group, &user) || self.hospitable {
                    changes.push((user, right));
                } else {
                    failures.add(810, text("UserID", self.spelled(&user)));
                }
            }
        }
        let some_good = !changes.is_empty();
        if self.fault != Some(ServerFault::KeepsRights) {
            for (user, right) in changes {
                let before = self
                    .room_mut(group)
                    .and_then(|r| r.members.insert(user.clone(), right));
                if before != Some(right) {
                    self.tell_right(group, &user, right);
                }
            }
        }
        Ok(failures.status(some_good))
    }

    /// T55: the list after the change.
    pub(super) fn reject_list(&mut self, call: &Call<'_>, group: &str) -> Answer {
        self.needs(group, &call.user, Right::Mod)?;
        let mut failures = super::Failures::default();
        let mut good = 0;
        for (name, adds) in [("AddList", true), ("RemoveList", false)] {
            let Some(list) = call.child(name) else {
                continue;
            };
            let (users, failed) = self.named_users(call, group, list);
            failures.extend(failed);
            good += users.len();
            if self.fault == Some(ServerFault::RejectsNobody) {
                continue;
            }
            for user in users {
                if let Some(room) = self.room_mut(group) {
                    match adds {
                        true => room.rejected.insert(user.clone()),
                        false => room.rejected.remove(&user),
                    };
                }
                if adds && self.fault != Some(ServerFault::KeepsRejectedJoined) {
                    self.remove_joined(group, &user, 809);
                }
            }
        }
        if !failures.0.is_empty() {
            return Ok(failures.status(good > 0));
        }
        let room = self.room(group).ok_or(800_u16)?;
        let rejected: Vec<String> = room.rejected.iter().map(|user| self.spelled(user)).collect();
        let rejected: Vec<&str> = rejected.iter().map(String::as_str).collect();
        Ok(Elem::new("RejectList-Response").with(contents::users(&rejected)))
    }
}
