//! Requests of peers about groups of this server.

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::samples;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::RelayFault;
use super::inbound::{Answer, Request};
use super::mapping::{self, Outcome, attr, flag, user_id};

impl ServerEngine {
    pub(super) fn group_in(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let group = self.required(request, "groupID")?;
        let exists = {
            let canonical = self.canonical(&group);
            self.group_exists(&canonical)
        };
        if !exists && self.elsewhere(&group).is_none() && self.relay_has(RelayFault::SucceedsForUnknownGroup)
        {
            return Ok(mapping::status(200));
        }
        let switches = matches!(
            request.name(),
            "SubscribeGroupChangeRequest" | "UnsubscribeGroupChangeRequest"
        );
        if switches && self.relay_has(RelayFault::IgnoresNoticeSwitch) {
            return Ok(mapping::status(200));
        }
        let (asked, named) = group_request(request, &group).ok_or(501_u16)?;
        let answer = self.serve_remote(request, user, asked)?;
        let outcome = Self::told(Outcome::of_csp(&answer), &named);
        Ok(self.group_response(request.name(), &group, &outcome, &answer))
    }

    /// What a service answered, in the form that belongs to the request. A refusal is a Status.
    fn group_response(&self, name: &str, group: &str, outcome: &Outcome, answer: &Tree) -> Elem {
        let root = answer.root();
        let child = |name: &str| answer.child(root, name);
        let status = outcome.status();
        if !outcome.is_good() {
            return status;
        }
        let ids = |of: NodeId| -> Vec<Elem> {
            let users = answer.walk(of).into_iter();
            let users = users.filter(|e| answer.get(*e).name == "UserID");
            users.map(|u| user_id(self.full(answer.text(u).trim()))).collect()
        };
        let listed = |csp: &str, ssp: &str| child(csp).map(|l| Elem::new(ssp).with_all(ids(l)));
        let properties = |name: &str| {
            let part = child(name)?;
            let note = |n: NodeId| Some(mapping::welcome_out(answer, n));
            Some(mapping::properties(answer, part, note))
        };
        match name {
            "JoinGroupRequest" => {
                let list = child("UserMapList").map(|list| {
                    let names = answer.walk(list).into_iter();
                    let names = names.filter(|e| answer.get(*e).name == "SName");
                    Elem::new("JoinedList").with_all(names.map(|n| text("Name", answer.text(n).trim())))
                });
                Elem::new("JoinGroupResponse")
                    .with(status)
                    .with_some(list)
                    .with_some(child("WelcomeNote").map(|n| mapping::welcome_out(answer, n)))
            }
            "LeaveGroupRequest" => Elem::new("LeaveGroupIndication")
                .with(attr("groupID", group))
                .with(status),
            "GetGroupMemberRequest" => Elem::new("GetGroupMemberResponse")
                .with(status)
                .with_some(listed("Admin", "Admins"))
                .with_some(listed("Mod", "Moderators"))
                .with_some(listed("Users", "OrdinaryUsers")),
            "GetJoinedUsersRequest" => self.joined_response(status, answer),
            "GetGroupPropsRequest" => Elem::new("GetGroupPropsResponse")
                .with(status)
                .with_some(properties("GroupProperties"))
                .with_some(properties("OwnProperties")),
            "RejectListRequest" => {
                let list = child("UserList").map_or_else(Vec::new, ids);
                Elem::new("RejectListResponse")
                    .with(status)
                    .with(Elem::new("RejectList").with_all(list))
            }
            "GetGroupSubStatusRequest" => {
                let on = answer.child_text(root, "Value").as_deref() == Some("T");
                Elem::new("GetGroupSubStatusResponse")
                    .with(attr("groupID", group))
                    .with(attr("subscribed", mapping::yes_no(on)))
                    .with(status)
            }
            _ => status,
        }
    }

    /// GetJoinedUsersResponse. Moderators have no place of their own in it.
    fn joined_response(&self, status: Elem, answer: &Tree) -> Elem {
        let mappings = |names: &[&str]| {
            let parts = answer.walk(answer.root()).into_iter();
            let parts = parts.filter(|e| names.contains(&answer.get(*e).name.as_str()));
            let all = parts.flat_map(|p| answer.elements(p).collect::<Vec<_>>());
            let all = all.filter(|e| answer.get(*e).name == "Mapping");
            all.map(|m| {
                let address = answer.child_text(m, "UserID");
                Elem::new("Mapping")
                    .with(text("SName", answer.child_text(m, "SName").unwrap_or_default()))
                    .with_some(address.map(|a| user_id(self.full(&a))))
            })
            .collect::<Vec<_>>()
        };
        let listed = |name: &str, mappings: Vec<Elem>| {
            let mapping = Elem::new("UserMapping").with_all(mappings.iter().cloned());
            (!mappings.is_empty()).then(|| Elem::new(name).with(Elem::new("UserMapList").with(mapping)))
        };
        Elem::new("GetJoinedUsersResponse")
            .with(status)
            .with_some(listed("JoinedAdmin", mappings(&["AdminMapping"])))
            .with_some(listed("JoinedUser", mappings(&["ModMapping", "UserMapping"])))
    }
}

/// A request of a peer in its CSP form, with the users that it names.
fn group_request(request: &Request<'_>, group: &str) -> Option<(Elem, Vec<Target>)> {
    let tree = request.tree;
    let of = |name: &str| Elem::new(name).with(text("GroupID", group));
    let users_in = |node: NodeId| request.users(node, &["UserID", "VerUserID"]);
    let list = |users: Vec<String>| {
        Elem::new("UserList").with_all(users.iter().map(|u| crate::peer::contents::user(u)))
    };
    let listed = |ssp: &str, csp: &str| {
        let users = users_in(request.child(ssp)?);
        Some(Elem::new(csp).with(list(users)))
    };
    let bare = |ssp: &str, csp: &str| {
        let users = users_in(request.child(ssp)?);
        Some(Elem::new(csp).with_all(users.iter().map(|u| crate::peer::contents::user(u))))
    };
    let properties = |name: &str| {
        let part = request.child(name)?;
        Some(mapping::properties(tree, part, |n| mapping::welcome_in(tree, n)))
    };
    let says = |name: &str| flag(mapping::is_yes(tree, request.node, name));
    let notices = |kind: &str| of("SubscribeGroupNotice-Request").with(text("SubscribeType", kind));
    let mut named: Vec<Target> = Vec::new();
    let asked = match request.name() {
        "DeleteGroupRequest" => of("DeleteGroup-Request"),
        "JoinGroupRequest" => {
            let name = request.child("ScreenName").map(|n| {
                let name = tree.text(n);
                samples::screen_name(name.trim(), group)
            });
            of("JoinGroup-Request")
                .with_some(name)
                .with(text("JoinedRequest", says("joinedListRequest")))
                .with(text("SubscribeNotification", says("subscribeNotif")))
                .with_some(properties("OwnProperties"))
        }
        "LeaveGroupRequest" => of("LeaveGroup-Request"),
        "GetGroupMemberRequest" => of("GetGroupMembers-Request"),
        "GetJoinedUsersRequest" => of("GetJoinedUsers-Request"),
        "AddGroupMemberRequest" | "RemoveGroupMemberRequest" => {
            let users = users_in(request.node);
            named.extend(users.iter().cloned().map(Target::User));
            let name = match request.name() {
                "AddGroupMemberRequest" => "AddGroupMembers-Request",
                _ => "RemoveGroupMembers-Request",
            };
            of(name).with(list(users))
        }
        "MemberAccessRequest" => of("MemberAccess-Request")
            .with_some(listed("Admins", "Admin"))
            .with_some(listed("Moderators", "Mod"))
            .with_some(listed("OrdinaryUsers", "Users")),
        "GetGroupPropsRequest" => of("GetGroupProps-Request"),
        "SetGroupPropsRequest" => of("SetGroupProps-Request")
            .with_some(properties("GroupProperties"))
            .with_some(properties("OwnProperties")),
        "RejectListRequest" => of("RejectList-Request")
            .with_some(bare("AddUsers", "AddList"))
            .with_some(bare("RemoveUsers", "RemoveList")),
        "SubscribeGroupChangeRequest" => notices("S"),
        "UnsubscribeGroupChangeRequest" => notices("U"),
        "GetGroupSubStatusRequest" => notices("G"),
        _ => return None,
    };
    Some((asked, named))
}
