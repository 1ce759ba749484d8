//! Requests of the lower tester to a server under test, in the name of a user of its own domain, and what
//! it tells the server of its own.

use base64::Engine as _;

use super::compose::status;
use crate::message::{Elem, attr, text};

/// Whom and what the requests of a node are about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SspNames {
    /// The domain of the node.
    pub domain: String,
    /// The user in whose name it asks.
    pub me: String,
    /// The user of the server under test.
    pub user: String,
    /// Another of its users.
    pub other: String,
    /// A group of the server under test.
    pub group: String,
    /// A group of the node.
    pub own_group: String,
    /// messageID of the message in question.
    pub message: String,
    /// inviteID of the invitation in question.
    pub invitation: String,
    /// Content of messages.
    pub content: String,
    /// A word of the case.
    pub word: String,
    /// Now, `YYYY-MM-DDThh:mm:ssZ`.
    pub now: String,
}

/// A user, as an element of this name.
fn user(address: &str) -> Elem {
    Elem::new("User").with(attr("userID", address))
}

fn user_id(address: &str) -> Elem {
    Elem::new("UserID").with(attr("userID", address))
}

/// MetaInfo of a request in the name of a user, or of the server.
fn meta(names: &SspNames, by_user: bool) -> Elem {
    Elem::new("MetaInfo")
        .with(attr("clientOriginated", if by_user { "Yes" } else { "No" }))
        .with(
            Elem::new("Requestor")
                .with(attr("serviceID", format!("wv:@{}", names.domain)))
                .with_some(by_user.then(|| user(&names.me))),
        )
}

/// The selection of one presence attribute.
fn attributes(names: &[&str]) -> Elem {
    Elem::new("AttributeList").with(Elem::new("PresenceSubList").with_all(names.iter().map(|n| Elem::new(n))))
}

/// A value of OnlineStatus.
fn online(value: &str) -> Elem {
    Elem::new("PresenceSubList").with(
        Elem::new("OnlineStatus")
            .with(text("Qualifier", "T"))
            .with(text("PresenceValue", value)),
    )
}

/// Presence of a user.
pub(super) fn presence_of(address: &str) -> Elem {
    Elem::new("PresenceValue")
        .with(attr("userID", address))
        .with(online("T"))
}

fn message_info(names: &SspNames, sender: &str, recipient: Elem) -> Elem {
    Elem::new("MessageInfo")
        .with(attr("messageID", names.message.clone()))
        .with(attr("contentType", "text/plain"))
        .with(attr("contentSize", names.content.len().to_string()))
        .with(Elem::new("Recipient").with(recipient))
        .with(Elem::new("Sender").with(user(sender)))
        .with(text("DateTime", names.now.clone()).with(attr("format", "iso8601")))
}

fn screen_name(names: &SspNames) -> Elem {
    text("ScreenName", format!("s{}", names.word)).with(attr("groupID", names.group.clone()))
}

/// A request by its name; variants stand behind a dot.
///
/// # Errors
/// There is no such request.
pub fn request(name: &str, names: &SspNames) -> Result<Elem, String> {
    let by_user = || Elem::new(name.split('.').next().unwrap_or(name)).with(meta(names, true));
    let of_group = || {
        Elem::new(name.split('.').next().unwrap_or(name))
            .with(attr("groupID", names.group.clone()))
            .with(meta(names, true))
    };
    let content = base64::engine::general_purpose::STANDARD.encode(&names.content);
    let content = || {
        text("ContentData", content.clone())
            .with(attr("contentType", "text/plain"))
            .with(attr("encoding", "base64"))
    };
    let invite = |kind: &str| {
        Elem::new("InviteRequest")
            .with(attr("inviteID", names.invitation.clone()))
            .with(attr("inviteType", kind))
            .with(attr("validity", "600"))
            .with(meta(names, true))
            .with(Elem::new("Inviting").with(user(&names.me)))
            .with(Elem::new("Invited").with(user(&names.user)))
    };
    let note = || text("InviteNote", format!("note {}", names.word));
    Ok(match name {
        "SubscribeRequest" => by_user()
            .with(user_id(&names.user))
            .with(attributes(&["OnlineStatus", "UserAvailability"])),
        "SubscribeRequest.all" => by_user().with(user_id(&names.user)),
        "SubscribeRequest.two" => by_user()
            .with(user_id(&names.user))
            .with(user_id(&names.other))
            .with(attributes(&["OnlineStatus"])),
        "UnsubscribeRequest" => by_user().with(user_id(&names.user)),
        "PresenceNotification" => Elem::new("PresenceNotification")
            .with(user(&names.user))
            .with(presence_of(&names.me)),
        "GetPresenceRequest" => by_user()
            .with(user_id(&names.user))
            .with(attributes(&["OnlineStatus"])),
        "GetPresenceRequest.ver" => by_user()
            .with(Elem::new("VerUserID").with(attr("userID", names.user.clone())))
            .with(attributes(&["OnlineStatus"])),
        "SendMessageRequest" | "SendMessageRequest.report" | "SendMessageRequest.two" => {
            let report = if name.ends_with(".report") { "Yes" } else { "No" };
            let mut info = message_info(names, &names.me, user(&names.user));
            if name.ends_with(".two") {
                info = two_recipients(names);
            }
            Elem::new("SendMessageRequest")
                .with(attr("deliveryReport", report))
                .with(meta(names, true))
                .with(info)
                .with(content())
        }
        "SendMessageRequest.group" => Elem::new("SendMessageRequest")
            .with(attr("deliveryReport", "No"))
            .with(meta(names, true))
            .with(message_info(
                names,
                &names.me,
                Elem::new("GroupID").with(attr("groupID", names.group.clone())),
            ))
            .with(content()),
        "DeliveryStatusReport" => Elem::new("DeliveryStatusReport")
            .with(meta(names, true))
            .with(Elem::new("DeliveryResult").with(status(200)))
            .with(text("DeliveryTime", names.now.clone()))
            .with(message_info(names, &names.user, user(&names.me))),
        "InviteRequest" | "InviteRequest.IM" => invite("IM").with(note()),
        "InviteRequest.GR" => invite("GR")
            .with(Elem::new("GroupID").with(attr("groupID", names.own_group.clone())))
            .with(note()),
        "InviteRequest.PR" => invite("PR").with(attributes(&["OnlineStatus"])).with(note()),
        "InviteRequest.SC" => invite("SC")
            .with(
                Elem::new("ContentIDList")
                    .with(Elem::new("ContentID").with(attr("url", "http://content.invalid/picture"))),
            )
            .with(note()),
        "InviteResponse" | "InviteResponse.no" => Elem::new("InviteResponse")
            .with(attr("inviteID", names.invitation.clone()))
            .with(attr(
                "acceptance",
                if name.ends_with(".no") { "No" } else { "Yes" },
            ))
            .with(status(200))
            .with(Elem::new("Inviting").with(user(&names.user)))
            .with(Elem::new("Responding").with(user(&names.me)))
            .with(text("ResponseNote", format!("note {}", names.word))),
        "CancelInviteRequest" => Elem::new("CancelInviteRequest")
            .with(attr("inviteID", names.invitation.clone()))
            .with(meta(names, true))
            .with(Elem::new("Canceling").with(user(&names.me)))
            .with(Elem::new("Canceled").with(user(&names.user)))
            .with(text("CancelNote", format!("note {}", names.word))),
        "JoinGroupRequest" => Elem::new("JoinGroupRequest")
            .with(attr("groupID", names.group.clone()))
            .with(attr("joinedListRequest", "Yes"))
            .with(attr("subscribeNotif", "Yes"))
            .with(meta(names, true))
            .with(screen_name(names)),
        "LeaveGroupRequest"
        | "DeleteGroupRequest"
        | "GetGroupMemberRequest"
        | "GetJoinedUsersRequest"
        | "GetGroupPropsRequest"
        | "SubscribeGroupChangeRequest"
        | "UnsubscribeGroupChangeRequest"
        | "GetGroupSubStatusRequest"
        | "RejectListRequest" => of_group(),
        "RejectListRequest.add" => of_group().with(Elem::new("AddUsers").with(user_id(&names.other))),
        "AddGroupMemberRequest" | "RemoveGroupMemberRequest" => of_group().with(user_id(&names.me)),
        "MemberAccessRequest" => of_group().with(Elem::new("OrdinaryUsers").with(user_id(&names.me))),
        "SetGroupPropsRequest" => of_group().with(
            Elem::new("GroupProperties").with(
                Elem::new("Property")
                    .with(text("Name", "Topic"))
                    .with(text("Value", format!("topic {}", names.word))),
            ),
        ),
        "GroupChangeNotice" => Elem::new("GroupChangeNotice")
            .with(attr("groupID", names.own_group.clone()))
            .with(meta(names, false))
            .with(user(&names.user))
            .with(Elem::new("Joined").with(text("Name", format!("j{}", names.word)))),
        "LeaveGroupIndication" => Elem::new("LeaveGroupIndication")
            .with(attr("groupID", names.own_group.clone()))
            .with(status(200))
            .with(text("ReasonText", format!("reason {}", names.word))),
        "NoSuchRequest" => by_user(),
        "Status" => status(200),
        "Nothing" => Elem::new("Nothing"),
        other => return Err(format!("the suite has no request `{other}` of SSP")),
    })
}

fn two_recipients(names: &SspNames) -> Elem {
    Elem::new("MessageInfo")
        .with(attr("messageID", names.message.clone()))
        .with(attr("contentType", "text/plain"))
        .with(attr("contentSize", names.content.len().to_string()))
        .with(Elem::new("Recipient").with(user(&names.user)))
        .with(Elem::new("Recipient").with(user(&names.other)))
        .with(Elem::new("Sender").with(user(&names.me)))
        .with(text("DateTime", names.now.clone()).with(attr("format", "iso8601")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileSet;
    use crate::check::Checker;
    use crate::check::ssp::SspChecker;
    use crate::message::{Carrier, Message, Mode};
    use crate::spec::{SspVersion, Tables};
    use std::sync::Arc;

    #[test]
    fn every_request_is_valid() {
        let tables = Tables::load(&FileSet::tables()).unwrap();
        let csp = Arc::new(Checker::new(Arc::clone(&tables.syntax)));
        let checker = SspChecker::new(Arc::clone(&tables.ssp), csp);
        let names = SspNames {
            domain: "n.test".to_owned(),
            me: "wv:nina@n.test".to_owned(),
            user: "wv:a@x.test".to_owned(),
            other: "wv:b@x.test".to_owned(),
            group: "wv:a/g@x.test".to_owned(),
            own_group: "wv:nina/g@n.test".to_owned(),
            message: "m1".to_owned(),
            invitation: "i1".to_owned(),
            content: "hello".to_owned(),
            word: "w".to_owned(),
            now: "2026-04-22T12:51:21Z".to_owned(),
        };
        let all = [
            "SubscribeRequest",
            "SubscribeRequest.all",
            "SubscribeRequest.two",
            "UnsubscribeRequest",
            "PresenceNotification",
            "GetPresenceRequest",
            "SendMessageRequest",
            "SendMessageRequest.report",
            "SendMessageRequest.two",
            "SendMessageRequest.group",
            "DeliveryStatusReport",
            "InviteRequest",
            "InviteRequest.GR",
            "InviteRequest.PR",
            "InviteRequest.SC",
            "InviteResponse",
            "InviteResponse.no",
            "CancelInviteRequest",
            "JoinGroupRequest",
            "LeaveGroupRequest",
            "DeleteGroupRequest",
            "GetGroupMemberRequest",
            "GetJoinedUsersRequest",
            "GetGroupPropsRequest",
            "SubscribeGroupChangeRequest",
            "UnsubscribeGroupChangeRequest",
            "GetGroupSubStatusRequest",
            "RejectListRequest",
            "RejectListRequest.add",
            "AddGroupMemberRequest",
            "RemoveGroupMemberRequest",
            "MemberAccessRequest",
            "SetGroupPropsRequest",
            "GroupChangeNotice",
            "LeaveGroupIndication",
        ];
        for name in all {
            let part = super::super::compose::Part {
                mode: Mode::Request,
                id: "1".to_owned(),
                primitive: request(name, &names).unwrap(),
            };
            let tree = super::super::compose::in_session(SspVersion::V12, "1@n.test", [part]);
            let message = Message {
                tree,
                carrier: Carrier::default(),
            };
            assert_eq!(checker.check(&message).findings, [], "{name}");
        }
    }
}
