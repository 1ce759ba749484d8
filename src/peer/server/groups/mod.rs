//! Groups: management, members, joining, notices (section 5.12 of the facts).

mod joining;
mod management;
mod members;
mod properties;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, NodeId, Tree, text};

use super::super::compose;
use super::ServerEngine;
use super::world::Call;
use properties::{GroupProperties, OwnProperties};

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &[
    "CREAG", "DELGR", "GETGP", "SETGP", "SUBGCN", "GRCHN", "GETGM", "ADDGM", "RMVGM", "MBRAC", "REJEC",
    "GETJU",
];

/// An answer, or the code of a refusal.
type Answer = Result<Elem, u16>;

/// What is remembered: the groups by their canonical address.
#[derive(Debug, Default)]
pub(super) struct State {
    groups: BTreeMap<String, Room>,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    User,
    Mod,
    Admin,
}

impl Right {
    /// As PrivilegeLevel says it.
    fn as_str(self) -> &'static str {
        match self {
            Right::User => "User",
            Right::Mod => "Mod",
            Right::Admin => "Admin",
        }
    }
}

/// One group.
#[derive(Debug, Clone, Default)]
struct Room {
    /// The address as it was written when it was made.
    address: String,
    properties: GroupProperties,
    /// Members by right, joined or not.
    members: BTreeMap<String, Right>,
    /// Who is joined.
    joined: BTreeMap<String, Joined>,
    /// What users chose for themselves; kept when they leave.
    own: BTreeMap<String, OwnProperties>,
    /// Who may not join.
    rejected: BTreeSet<String>,
}

/// A user who is joined.
#[derive(Debug, Clone)]
struct Joined {
    screen_name: String,
    /// Whether changes are told.
    subscribed: bool,
}

impl Room {
    /// The right of a user; none for one who is no member.
    fn right(&self, user: &str) -> Option<Right> {
        self.members.get(user).copied()
    }

    /// Whether a user is Admin or Mod.
    fn privileged(&self, user: &str) -> bool {
        self.right(user) >= Some(Right::Mod)
    }

    /// Who bears a screen name.
    fn bearer(&self, name: &str) -> Option<String> {
        let same = |j: &Joined| j.screen_name.to_lowercase() == name.trim().to_lowercase();
        self.joined.iter().find(|(_, j)| same(j)).map(|(u, _)| u.clone())
    }
}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn groups(&mut self, call: &Call<'_>) -> Option<Elem> {
        type Serve = fn(&mut ServerEngine, &Call<'_>, &str) -> Answer;
        let serve: Serve = match call.name {
            "CreateGroup-Request" => return Some(self.create_group(call)),
            "DeleteGroup-Request" => Self::delete_group,
            "JoinGroup-Request" => Self::join_group,
            "LeaveGroup-Request" => Self::leave_group,
            "GetGroupMembers-Request" => Self::group_members,
            "GetJoinedUsers-Request" => Self::joined_members,
            "AddGroupMembers-Request" => Self::add_members,
            "RemoveGroupMembers-Request" => Self::remove_members,
            "MemberAccess-Request" => Self::member_access,
            "GetGroupProps-Request" => Self::group_properties,
            "SetGroupProps-Request" => Self::set_group_properties,
            "RejectList-Request" => Self::reject_list,
            "SubscribeGroupNotice-Request" => Self::group_notices,
            _ => return None,
        };
        let group = self.canonical(&call.text("GroupID").unwrap_or_default());
        if !self.group_exists(&group) {
            return Some(compose::status(800));
        }
        if self.hospitable {
            self.make_at_home(&group, &call.user);
        }
        Some(serve(self, call, &group).unwrap_or_else(compose::status))
    }

    /// A user has no session any more.
    pub(super) fn left_all_groups(&mut self, user: &str) {
        let groups: Vec<String> = self.world.groups.groups.keys().cloned().collect();
        for group in groups {
            self.leave(&group, user);
        }
    }

    /// Whether there is such a group. A hospitable server has every group.
    pub(super) fn group_exists(&mut self, group: &str) -> bool {
        if self.hospitable && !self.world.groups.groups.contains_key(group) {
            let made = Room {
                address: group.to_owned(),
                ..Room::default()
            };
            self.world.groups.groups.insert(group.to_owned(), made);
        }
        self.world.groups.groups.contains_key(group)
    }

    /// The screen name of a user in a group, when joined.
    pub(super) fn joined(&self, group: &str, user: &str) -> Option<String> {
        let joined = self.room(group)?.joined.get(user)?;
        Some(joined.screen_name.clone())
    }

    /// Who is joined: users with their screen names.
    pub(super) fn joined_users(&self, group: &str) -> Vec<(String, String)> {
        let joined = self.room(group).into_iter().flat_map(|r| &r.joined);
        joined
            .map(|(user, j)| (user.clone(), j.screen_name.clone()))
            .collect()
    }

    /// Who bears a screen name in a group.
    pub(super) fn user_of_screen_name(&self, group: &str, name: &str) -> Option<String> {
        self.room(group)?.bearer(name)
    }

    /// Whether private messages are on: for the group, or for a user in it.
    pub(super) fn group_lets_whisper(&self, group: &str, user: Option<&str>) -> bool {
        self.room(group).is_some_and(|room| match user {
            None => room.properties.private_messaging,
            Some(user) => room.own.get(user).is_none_or(|own| own.private_messaging),
        })
    }

    /// Whether a user is on the member list.
    pub(super) fn is_member_of(&self, group: &str, user: &str) -> bool {
        self.room(group).is_some_and(|room| room.right(user).is_some())
    }

    /// Addresses of searchable groups that a search finds: compared without case, parts count.
    pub(super) fn group_matches(&self, element: &str, string: &str) -> Vec<String> {
        let wanted = string.trim().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let found = self.world.groups.groups.iter().filter(|(address, room)| {
            room.properties.searchable
                && match element {
                    "GROUP_ID" => has(address),
                    "GROUP_NAME" => room.properties.name.as_deref().is_some_and(has),
                    "GROUP_TOPIC" => room.properties.topic.as_deref().is_some_and(has),
                    "GROUP_USER_ID_JOINED" => room.joined.keys().any(|user| has(user)),
                    "GROUP_USER_ID_OWNER" => self.owner_of(address).is_some_and(|owner| has(&owner)),
                    _ => false,
                }
        });
        found.map(|(_, room)| room.address.clone()).collect()
    }

    fn room(&self, group: &str) -> Option<&Room> {
        self.world.groups.groups.get(group)
    }

    fn room_mut(&mut self, group: &str) -> Option<&mut Room> {
        self.world.groups.groups.get_mut(group)
    }

    /// Whoever comes to a hospitable server runs the group and is in it.
    fn make_at_home(&mut self, group: &str, user: &str) {
        let name = self.free_screen_name(group, user);
        if let Some(room) = self.room_mut(group) {
            room.members.insert(user.to_owned(), Right::Admin);
            let joined = Joined {
                screen_name: name,
                subscribed: false,
            };
            room.joined.entry(user.to_owned()).or_insert(joined);
        }
    }

    /// Users that an element names: by address, or by screen name in this group. Second, what names nobody,
    /// with the code of that.
    fn named_users(&self, call: &Call<'_>, group: &str, of: NodeId) -> (Vec<String>, Failures) {
        let mut users = Vec::new();
        let mut failures = Failures::default();
        for address in call.users(of) {
            if self.knows_user(&address) {
                users.push(self.canonical(&address));
            } else {
                let code = if self.elsewhere(&address).is_some() {
                    516
                } else {
                    531
                };
                failures.add(code, text("UserID", address));
            }
        }
        for child in call.tree.elements(of) {
            if call.tree.get(child).name != "ScreenName" {
                continue;
            }
            let name = call.tree.child_text(child, "SName").unwrap_or_default();
            match self.user_of_screen_name(group, &name) {
                Some(user) => users.push(user),
                None => failures.add(531, super::super::samples::screen_name(&name, group)),
            }
        }
        (users, failures)
    }
}

/// Targets of a request that failed, by code (TR-5, TR-6).
#[derive(Debug, Default)]
struct Failures(BTreeMap<u16, Vec<Elem>>);

impl Failures {
    fn add(&mut self, code: u16, target: Elem) {
        self.0.entry(code).or_default().push(target);
    }

    fn extend(&mut self, others: Self) {
        for (code, targets) in others.0 {
            self.0.entry(code).or_default().extend(targets);
        }
    }

    /// The answer: 200 when nothing failed, 201 when some did, 900 when everything did.
    fn status(&self, some_good: bool) -> Elem {
        if self.0.is_empty() {
            return compose::status(200);
        }
        let details = self.0.iter().map(|(code, targets)| {
            let of = |name: &str| {
                let of_name = targets.iter().filter(|t| t.name() == name);
                of_name.cloned().collect::<Vec<_>>()
            };
            Elem::new("DetailedResult")
                .with(text("Code", code.to_string()))
                .with_all(of("UserID"))
                .with_all(of("ScreenName"))
        });
        let code = if some_good { 201 } else { 900 };
        Elem::new("Status").with(compose::result(code).with_all(details))
    }
}

/// An element of a request, to be sent on.
fn copy(tree: &Tree, id: NodeId) -> Elem {
    let mut out = text(&tree.get(id).name, tree.text(id));
    for child in tree.elements(id) {
        out = out.with(copy(tree, child));
    }
    out
}
