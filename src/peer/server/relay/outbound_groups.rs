//! Requests about groups of other domains, and their answers.

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::{compose, contents, samples};
use crate::spec::Version;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::super::world::Call;
use super::Served;
use super::held::{Kind, Sum};
use super::mapping::{self, Outcome, attr, flag, user_id, yes_no};
use super::split::with_prefix;

/// Requests about a group, by CSP name. The one to create a group has no counterpart.
fn is_group_request(name: &str) -> bool {
    matches!(
        name,
        "CreateGroup-Request"
            | "DeleteGroup-Request"
            | "JoinGroup-Request"
            | "LeaveGroup-Request"
            | "GetGroupMembers-Request"
            | "GetJoinedUsers-Request"
            | "AddGroupMembers-Request"
            | "RemoveGroupMembers-Request"
            | "MemberAccess-Request"
            | "GetGroupProps-Request"
            | "SetGroupProps-Request"
            | "RejectList-Request"
            | "SubscribeGroupNotice-Request"
    )
}

impl ServerEngine {
    /// What comes of a request about a group of another domain; none when it is of none.
    pub(super) fn group_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        if !is_group_request(call.name) {
            return None;
        }
        let written = with_prefix(call.text("GroupID")?);
        let domain = self.elsewhere(&written)?;
        let on = !self.is_remote(call) || self.relay_has(super::RelayFault::RelaysThirdDomain);
        if !self.is_agreed(&domain) || !on {
            let code = match self.relay_has(super::RelayFault::SucceedsForUnknownDomain) {
                true => 200,
                false => 516,
            };
            return Some(Served::Now(compose::status(code)));
        }
        let request = match self.group_request(call, &written) {
            Ok(request) => request,
            Err(code) => return Some(Served::Now(compose::status(code))),
        };
        let group = self.canonical(&written);
        let joins = call.name == "JoinGroup-Request";
        let kind = Kind::Group {
            user: call.user.clone(),
            group: group.clone(),
            screen_name: joins.then(|| self.wanted_screen_name(call).unwrap_or_default()),
        };
        if self.is_remote(call) {
            self.tell_peer(&domain, request);
            return Some(Served::Now(compose::status(200)));
        }
        if self.stays_home(request.name()) {
            let done = Outcome::plain(200);
            return Some(Served::Now(answer(
                call.name,
                call.version,
                &written,
                &done,
                None,
            )));
        }
        let mut sum = Sum::new(call.name, call.version);
        sum.send(&domain, request, kind, vec![Target::Group(written)]);
        Some(Served::Later(Box::new(sum)))
    }

    /// The request of a client in its SSP form, or the code of what cannot be said there.
    fn group_request(&self, call: &Call<'_>, group: &str) -> Result<Elem, u16> {
        let named = |name: &str| Elem::new(name).with(attr("groupID", group));
        let meta = self.meta(Some(&call.user));
        let simple = |name: &str| named(name).with(meta.clone());
        let says = |name: &str| yes_no(call.text(name).as_deref() == Some("T"));
        let users = |of: Option<NodeId>| {
            let users = of.map(|of| call.users(of)).unwrap_or_default();
            users
                .into_iter()
                .map(|u| user_id(self.whole(u)))
                .collect::<Vec<_>>()
        };
        let group_of = |csp: &str, ssp: &str| {
            let list = call.child(csp)?;
            let list = call.tree.child(list, "UserList").unwrap_or(list);
            Some(Elem::new(ssp).with_all(users(Some(list))))
        };
        let own = |name: &str| {
            let it = call.child(name)?;
            let note = |n: NodeId| Some(mapping::welcome_out(call.tree, n));
            Some(mapping::properties(call.tree, it, note))
        };
        Ok(match call.name {
            "DeleteGroup-Request" => simple("DeleteGroupRequest"),
            "JoinGroup-Request" => named("JoinGroupRequest")
                .with(attr("joinedListRequest", says("JoinedRequest")))
                .with(attr("subscribeNotif", says("SubscribeNotification")))
                .with(meta)
                .with_some(self.screen_name_out(call))
                .with_some(own("OwnProperties")),
            "LeaveGroup-Request" => simple("LeaveGroupRequest"),
            "GetGroupMembers-Request" => simple("GetGroupMemberRequest"),
            "GetJoinedUsers-Request" => simple("GetJoinedUsersRequest"),
            "AddGroupMembers-Request" | "RemoveGroupMembers-Request" => {
                let listed = users(call.child("UserList"));
                if listed.is_empty() {
                    // Screen names have no place in these.
                    return Err(501);
                }
                let name = match call.name.starts_with("Add") {
                    true => "AddGroupMemberRequest",
                    false => "RemoveGroupMemberRequest",
                };
                simple(name).with_all(listed)
            }
            "MemberAccess-Request" => simple("MemberAccessRequest")
                .with_some(group_of("Admin", "Admins"))
                .with_some(group_of("Mod", "Moderators"))
                .with_some(group_of("Users", "OrdinaryUsers")),
            "GetGroupProps-Request" => simple("GetGroupPropsRequest"),
            "SetGroupProps-Request" => simple("SetGroupPropsRequest")
                .with_some(own("GroupProperties"))
                .with_some(own("OwnProperties")),
            "RejectList-Request" => simple("RejectListRequest")
                .with_some(group_of("AddList", "AddUsers"))
                .with_some(group_of("RemoveList", "RemoveUsers")),
            "SubscribeGroupNotice-Request" => match call.text("SubscribeType").as_deref() {
                Some("S") => simple("SubscribeGroupChangeRequest"),
                Some("U") => simple("UnsubscribeGroupChangeRequest"),
                Some("G") => simple("GetGroupSubStatusRequest"),
                _ => return Err(400),
            },
            // A group is made where its maker is at home.
            _ => return Err(516),
        })
    }
}

/// The answer to the client from what a peer answered.
pub(super) fn answer(
    request: &str,
    version: Version,
    group: &str,
    outcome: &Outcome,
    answer: Option<(&Tree, NodeId)>,
) -> Elem {
    let result = || outcome.result(version);
    let nothing = Tree::new("Status", "");
    let (tree, node) = answer.unwrap_or((&nothing, nothing.root()));
    let child = |name: &str| tree.child(node, name);
    let users = |of: NodeId| {
        let addresses = tree
            .elements(of)
            .filter_map(|u| mapping::attribute(tree, u, "userID"));
        let addresses: Vec<String> = addresses.collect();
        contents::users(&addresses.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let listed = |ssp: &str, csp: &str| {
        let list = child(ssp).filter(|l| tree.elements(*l).next().is_some())?;
        Some(Elem::new(csp).with(users(list)))
    };
    let named_response = tree.get(node).name != "Status";
    if !outcome.is_good()
        || !named_response && request != "LeaveGroup-Request" && request != "JoinGroup-Request"
    {
        return Elem::new("Status").with(result());
    }
    match request {
        "JoinGroup-Request" => Elem::new("JoinGroup-Response")
            .with_some(child("JoinedList").map(|l| joined_list(tree, l, version, group)))
            .with_some(child("WelcomeNote").and_then(|n| mapping::welcome_in(tree, n))),
        "LeaveGroup-Request" => Elem::new("LeaveGroup-Response")
            .with(text(
                "GroupID",
                mapping::attribute(tree, node, "groupID").unwrap_or_else(|| group.to_owned()),
            ))
            .with(result()),
        "GetGroupMembers-Request" => Elem::new("GetGroupMembers-Response")
            .with_some(listed("Admins", "Admin"))
            .with_some(listed("Moderators", "Mod"))
            .with_some(listed("OrdinaryUsers", "Users")),
        "GetJoinedUsers-Request" => {
            let of = |names: &[&str], csp: &str| {
                let part = names.iter().find_map(|n| child(n))?;
                let mappings = mappings_in(tree, part);
                (!mappings.is_empty()).then(|| Elem::new(csp).with_all(mappings))
            };
            let users = of(&["JoinedUser", "JoinedUsers"], "UserMapping");
            let list = match of(&["JoinedAdmin"], "AdminMapping") {
                Some(admins) => Elem::new("AdminMapList").with(admins).with_some(users),
                None => Elem::new("UserMapList").with_some(users),
            };
            Elem::new("GetJoinedUsers-Response").with(list)
        }
        "GetGroupProps-Request" => {
            let own = |name: &str| {
                let it = child(name)?;
                Some(mapping::properties(tree, it, |n| mapping::welcome_in(tree, n)))
            };
            Elem::new("GetGroupProps-Response")
                .with_some(own("GroupProperties"))
                .with_some(own("OwnProperties"))
        }
        "RejectList-Request" => {
            let list = child("RejectList").map_or_else(|| Elem::new("UserList"), users);
            Elem::new("RejectList-Response").with(list)
        }
        "SubscribeGroupNotice-Request" => Elem::new("SubscribeGroupNotice-Response")
            .with(text("Value", flag(mapping::is_yes(tree, node, "subscribed")))),
        _ => Elem::new("Status").with(result()),
    }
}

/// `Name` elements as the list of who is joined.
pub(super) fn joined_list(tree: &Tree, list: NodeId, version: Version, group: &str) -> Elem {
    let names: Vec<String> = tree
        .elements(list)
        .filter(|e| tree.get(*e).name == "Name")
        .map(|e| tree.text(e).trim().to_owned())
        .collect();
    if version < Version::V12 {
        return Elem::new("UserList").with_all(names.iter().map(|n| samples::screen_name(n, group)));
    }
    let mappings: Vec<Elem> = names
        .into_iter()
        .map(|n| Elem::new("Mapping").with(text("SName", n)))
        .collect();
    let all = (!mappings.is_empty()).then(|| Elem::new("UserMapping").with_all(mappings));
    Elem::new("UserMapList").with_some(all)
}

/// Every `Mapping` below an element, in CSP form.
fn mappings_in(tree: &Tree, of: NodeId) -> Vec<Elem> {
    let all = tree
        .walk(of)
        .into_iter()
        .filter(|e| tree.get(*e).name == "Mapping");
    all.map(|m| {
        let address = tree
            .child(m, "UserID")
            .and_then(|u| mapping::attribute(tree, u, "userID"));
        Elem::new("Mapping")
            .with(text("SName", tree.child_text(m, "SName").unwrap_or_default()))
            .with_some(address.map(|a| text("UserID", a)))
    })
    .collect()
}
