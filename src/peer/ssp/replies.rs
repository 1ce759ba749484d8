//! What a node of the lower tester answers where a case says nothing else: everything is known and done.

use super::compose::status;
use super::requests::presence_of;
use crate::message::{Elem, NodeId, Tree, attr, text};

/// A correct answer to a request; none where a node may leave it out and is told to.
pub fn reply(tree: &Tree, primitive: NodeId, acknowledges: bool) -> Option<Elem> {
    let name = tree.get(primitive).name.as_str();
    let group = || tree.attribute(primitive, "groupID").unwrap_or_default();
    let asked = |what: &str| tree.attribute(primitive, what).is_some_and(|v| v.trim() == "Yes");
    let named = |kinds: &[&str]| -> Vec<String> {
        tree.content_elements(primitive)
            .filter(|e| kinds.contains(&tree.get(*e).name.as_str()))
            .filter_map(|e| tree.attribute(e, "userID"))
            .collect()
    };
    Some(match name {
        "PresenceNotification"
        | "GroupChangeNotice"
        | "DeliveryStatusReport"
        | "InviteResponse"
        | "LeaveGroupIndication" => return acknowledges.then(|| status(200)),
        "GetPresenceRequest" => Elem::new("GetPresenceResponse").with(status(200)).with_all(
            named(&["UserID", "VerUserID"])
                .iter()
                .map(|user| presence_of(user)),
        ),
        "SendMessageRequest" => {
            let id = tree
                .child(primitive, "MessageInfo")
                .and_then(|i| tree.attribute(i, "messageID"))
                .unwrap_or_default();
            Elem::new("SendMessageResponse")
                .with(attr("messageID", id))
                .with(status(200))
        }
        "JoinGroupRequest" => Elem::new("JoinGroupResponse").with(status(200)).with_some(
            asked("joinedListRequest").then(|| Elem::new("JoinedList").with(text("Name", "somebody"))),
        ),
        "LeaveGroupRequest" => Elem::new("LeaveGroupIndication")
            .with(attr("groupID", group()))
            .with(status(200)),
        "GetGroupMemberRequest" => Elem::new("GetGroupMemberResponse").with(status(200)).with(
            Elem::new("OrdinaryUsers").with(Elem::new("UserID").with(attr("userID", member(&group())))),
        ),
        "GetJoinedUsersRequest" => Elem::new("GetJoinedUsersResponse").with(status(200)).with(
            Elem::new("JoinedUser").with(
                Elem::new("UserMapList").with(
                    Elem::new("UserMapping").with(
                        Elem::new("Mapping")
                            .with(text("SName", "somebody"))
                            .with(Elem::new("UserID").with(attr("userID", member(&group())))),
                    ),
                ),
            ),
        ),
        "GetGroupPropsRequest" => Elem::new("GetGroupPropsResponse").with(status(200)).with(
            Elem::new("GroupProperties").with(
                Elem::new("Property")
                    .with(text("Name", "Name"))
                    .with(text("Value", "of a peer")),
            ),
        ),
        "RejectListRequest" => Elem::new("RejectListResponse")
            .with(status(200))
            .with(Elem::new("RejectList")),
        "GetGroupSubStatusRequest" => Elem::new("GetGroupSubStatusResponse")
            .with(attr("groupID", group()))
            .with(attr("subscribed", "Yes"))
            .with(status(200)),
        _ => status(200),
    })
}

/// A member of a group of this domain.
fn member(group: &str) -> String {
    let domain = group.rsplit_once('@').map_or("", |(_, d)| d);
    format!("wv:member@{domain}")
}
