//! Making and deleting groups, and their properties.

use crate::message::{Elem, NodeId};
use crate::spec::Version;

use super::super::super::compose;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};
use super::properties::GroupProperties;
use super::{Answer, Joined, Right, Room, copy};

impl ServerEngine {
    /// T43. The creator is Admin; the group is in its address, or has no owner.
    pub(super) fn create_group(&mut self, call: &Call<'_>) -> Elem {
        match self.try_create_group(call) {
            Ok(answer) => answer,
            Err(code) => compose::status(self.refusal_code(code)),
        }
    }

    fn try_create_group(&mut self, call: &Call<'_>) -> Answer {
        let address = call.text("GroupID").unwrap_or_default();
        let group = self.canonical(&address);
        let over = self.hospitable || self.fault == Some(ServerFault::CreatesGroupsOver);
        if self.room(&group).is_some() && !over {
            return Err(801);
        }
        let owner = self.owner_of(&group).ok_or(402_u16)?;
        let nobody = owner.starts_with("wv:@");
        if !nobody && owner != call.user && !self.hospitable {
            return Err(403);
        }
        let mut properties = GroupProperties {
            private: !nobody,
            ..GroupProperties::default()
        };
        if let Some(given) = call.child("GroupProperties") {
            properties = self.with_properties(&properties, call, given, true)?;
        }
        let mut room = Room {
            address,
            properties,
            ..Room::default()
        };
        room.members.insert(call.user.clone(), Right::Admin);
        self.world.groups.groups.insert(group.clone(), room);
        if call.text("JoinGroup").as_deref() == Some("T")
            && self.fault != Some(ServerFault::CreatesWithoutJoining)
        {
            let screen_name = self
                .wanted_screen_name(call)
                .unwrap_or_else(|| self.free_screen_name(&group, &call.user));
            let subscribed = self.subscribes(call);
            if let Some(room) = self.room_mut(&group) {
                let joined = Joined {
                    screen_name,
                    subscribed,
                };
                room.joined.insert(call.user.clone(), joined);
            }
        }
        Ok(compose::status(200))
    }

    /// The properties after a change; 806 for what cannot be, 822 for a group that no search can find.
    fn with_properties(
        &self,
        old: &GroupProperties,
        call: &Call<'_>,
        given: NodeId,
        creating: bool,
    ) -> Result<GroupProperties, u16> {
        let new = match old.changed(call, given, creating) {
            Some(new) => new,
            None if self.fault == Some(ServerFault::TakesAnyGroupProperty) => old.clone(),
            None => return Err(806),
        };
        if new.hides_from_search() && self.fault != Some(ServerFault::SearchableWithoutName) {
            return Err(822);
        }
        Ok(new)
    }

    /// T44: whoever is joined is told by T47.
    pub(super) fn delete_group(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let owner = self.owner_of(group).is_some_and(|o| o == call.user);
        if !owner {
            self.needs(group, &call.user, Right::Admin)?;
        }
        if self.fault == Some(ServerFault::KeepsDeletedGroups) {
            return Ok(compose::status(200));
        }
        let others = self.joined_users(group);
        for (user, _) in others.iter().filter(|(user, _)| *user != call.user) {
            self.tell_removal(group, user, 800);
        }
        self.world.groups.groups.remove(group);
        Ok(compose::status(200))
    }

    /// T53.
    pub(super) fn group_properties(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let room = self.room(group).ok_or(800_u16)?;
        let inside = room.right(&call.user).is_some() || room.joined.contains_key(&call.user);
        if room.properties.restricted && !inside && !self.asks_no_rights() {
            return Err(816);
        }
        let own = room.own.get(&call.user).cloned().unwrap_or_default();
        let level = room.right(&call.user).map(Right::as_str);
        Ok(Elem::new("GetGroupProps-Response")
            .with(room.properties.element(call.version, room.joined.len()))
            .with(own.element(call.version, level)))
    }

    /// T54: only what is sent changes.
    pub(super) fn set_group_properties(&mut self, call: &Call<'_>, group: &str) -> Answer {
        let room = self.room(group).ok_or(800_u16)?;
        let mut changed = None;
        if let Some(given) = call.child("GroupProperties") {
            if !room.privileged(&call.user) && !self.asks_no_rights() {
                return Err(816);
            }
            let unnamed = GroupProperties {
                name: room.properties.name.clone(),
                ..GroupProperties::default()
            };
            let old = match self.fault {
                Some(ServerFault::ForgetsOtherProperties) => &unnamed,
                _ => &room.properties,
            };
            changed = Some(self.with_properties(old, call, given, false)?);
        }
        let mut own = room.own.get(&call.user).cloned().unwrap_or_default();
        if let Some(given) = call.child("OwnProperties") {
            let inside = room.right(&call.user).is_some() || room.joined.contains_key(&call.user);
            if !inside {
                return Err(816);
            }
            own = match own.changed(call, given) {
                Some(own) => own,
                None if self.fault == Some(ServerFault::TakesAnyGroupProperty) => own,
                None => return Err(806),
            };
        }
        if self.fault == Some(ServerFault::KeepsGroupProperties) {
            return Ok(compose::status(200));
        }
        let told = call.child("GroupProperties").map(|e| copy(call.tree, e));
        if let Some(room) = self.room_mut(group) {
            room.own.insert(call.user.clone(), own);
            if let Some(properties) = changed {
                room.properties = properties;
            }
        }
        if let Some(told) = told {
            self.tell_change(group, Some(&call.user), &|_: Version| told.clone());
        }
        Ok(compose::status(200))
    }
}
