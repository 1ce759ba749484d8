//! Requests of a plain client beyond the session core, with contents that a correct server can serve.
//! A word behind a point names another use of the same primitive: `ListManage-Request.add`.

use crate::message::{Elem, empty, text};
use crate::spec::{Group, Version};

use super::contents::{ACCEPTED_CONTENT_LENGTH, group_of, selection, user, users};
use super::names::{Names, screen_name_of};

/// The text that messages carry.
pub const MESSAGE: &str = "Hello <World> & grüße";

/// The same kind of text in BASE64: `Grüße & <mehr>`.
pub const MESSAGE_BASE64: &str = "R3LDvMOfZSAmIDxtZWhyPg==";

/// The request of this name, or none when no client of this version sends it.
pub fn request(version: Version, name: &str, names: &Names) -> Option<Elem> {
    let primitive = name.split('.').next().unwrap_or(name);
    let it = Elem::new(primitive);
    let v12 = version >= Version::V12;
    let peer = || text("UserID", names.peer.clone());
    let group = || text("GroupID", names.group());
    let list = || text("ContactList", names.list());
    let some_attributes = || selection(version, &["UserAvailability", "StatusText"]);
    let message_id = || text("MessageID", names.message());
    Some(match name {
        "Search-Request" => it
            .with(pair("USER_ID", &names.peer))
            .with(text("SearchLimit", "5")),
        "Search-Request.more" => it
            .with(text("SearchID", names.search()))
            .with(text("SearchIndex", "1")),
        "Search-Request.groups" => it
            .with(pair("GROUP_ID", &names.group()))
            .with(text("SearchLimit", "5")),
        "StopSearch-Request" => it.with(text("SearchID", names.search())),
        "Invite-Request" => it
            .with(text("InviteID", names.invitation()))
            .with(text("InviteType", "IM"))
            .with(Elem::new("Recipient").with(user(&names.peer)))
            .with(text("InviteNote", "Shall we talk?"))
            .with(text("Validity", "600")),
        "Invite-Request.group" => it
            .with(text("InviteID", names.invitation()))
            .with(text("InviteType", "GR"))
            .with(Elem::new("Recipient").with(user(&names.peer)))
            .with(group())
            .with(text("InviteNote", "Come in")),
        "Invite-Request.presence" => it
            .with(text("InviteID", names.invitation()))
            .with(text("InviteType", "PR"))
            .with(Elem::new("Recipient").with(user(&names.peer)))
            .with(some_attributes()),
        "Invite-Request.content" => it
            .with(text("InviteID", names.invitation()))
            .with(text("InviteType", "SC"))
            .with(Elem::new("Recipient").with(user(&names.peer)))
            .with(
                Elem::new("URLList")
                    .with(text("URL", "http://content.example/picture?of=1&size=2"))
                    .with(text("URL", "http://content.example/song")),
            ),
        "Invite-Request.list" => it
            .with(text("InviteID", names.invitation()))
            .with(text("InviteType", "IM"))
            .with(Elem::new("Recipient").with(list())),
        "InviteUser-Response" => {
            let own = (names.invitation(), names.peer.clone());
            let (id, inviter) = names.invited.as_ref().unwrap_or(&own);
            it.with(text("InviteID", id.clone()))
                .with(text("Acceptance", "T"))
                .with_some(v12.then(|| Elem::new("Sender").with(user(inviter))))
                .with(text("ResponseNote", "Gladly"))
        }
        "CancelInvite-Request" => it
            .with(text("InviteID", names.invitation()))
            .with(Elem::new("Recipient").with(user(&names.peer)))
            .with(text("InviteNote", "Another time")),
        "VerifyID-Request" if v12 => it.with(Elem::new("IDList").with(peer())),
        "VerifyID-Request.all" if v12 => it.with(
            Elem::new("IDList")
                .with(peer())
                .with(list())
                .with(group())
                .with(screen_name(&names.screen_name(), &names.group()))
                .with(text("Domain", names.domain())),
        ),
        "SubscribePresence-Request" => it
            .with(user(&names.peer))
            .with(some_attributes())
            .with_some(v12.then(|| text("AutoSubscribe", "F"))),
        "SubscribePresence-Request.all" => it
            .with(user(&names.peer))
            .with_some(v12.then(|| text("AutoSubscribe", "F"))),
        "SubscribePresence-Request.list" => it
            .with(list())
            .with(some_attributes())
            .with_some(v12.then(|| text("AutoSubscribe", "F"))),
        "UnsubscribePresence-Request" => it.with(user(&names.peer)),
        "GetWatcherList-Request" | "GetBlockedList-Request" | "GetList-Request" => empty(primitive),
        "GetPresence-Request" => it.with(user(&names.peer)).with(some_attributes()),
        "GetPresence-Request.all" => it.with(user(&names.peer)),
        "PresenceAuth-User" => it.with(peer()).with(text("Acceptance", "T")),
        "CancelAuth-Request" => it.with(peer()),
        "GetReactiveAuthStatus-Request" if v12 => it.with(peer()),
        "UpdatePresence-Request" => it.with(
            Elem::new("PresenceSubList")
                .in_namespace(version.namespace(Group::Pa))
                .with(attribute("UserAvailability", "DISCREET"))
                .with(attribute("StatusText", &names.word)),
        ),
        "CreateList-Request" => it
            .with(list())
            .with(Elem::new("NickList").with(nick_name("Friend", &names.peer)))
            .with(Elem::new("ContactListProperties").with(property("DisplayName", "Friends"))),
        "DeleteList-Request" => it.with(list()),
        "ListManage-Request" => it.with(list()).with_some(v12.then(|| text("ReceiveList", "T"))),
        "ListManage-Request.add" => it
            .with(list())
            .with(Elem::new("AddNickList").with(nick_name("Old friend", &names.peer)))
            .with_some(v12.then(|| text("ReceiveList", "T"))),
        "ListManage-Request.remove" => it
            .with(list())
            .with(Elem::new("RemoveNickList").with(peer()))
            .with_some(v12.then(|| text("ReceiveList", "T"))),
        "ListManage-Request.properties" => it
            .with(list())
            .with(Elem::new("ContactListProperties").with(property("DisplayName", "Good friends")))
            .with_some(v12.then(|| text("ReceiveList", "T"))),
        "CreateAttributeList-Request" => it
            .with(some_attributes())
            .with(peer())
            .with(text("DefaultList", "F")),
        "CreateAttributeList-Request.default" => it.with(some_attributes()).with(text("DefaultList", "T")),
        "DeleteAttributeList-Request" => it.with(peer()).with(text("DefaultList", "F")),
        "DeleteAttributeList-Request.default" => it.with(text("DefaultList", "T")),
        "GetAttributeList-Request" => it.with(text("DefaultList", "F")).with(user(&names.peer)),
        "GetAttributeList-Request.default" => it.with(text("DefaultList", "T")),
        "SendMessage-Request" => it
            .with(text("DeliveryReport", "F"))
            .with(message_info(
                MESSAGE,
                Elem::new("Recipient").with(user(&names.peer)),
                Elem::new("Sender").with(user(&names.me)),
            ))
            .with(text("ContentData", MESSAGE)),
        "SendMessage-Request.group" => it
            .with(text("DeliveryReport", "F"))
            .with(message_info(
                MESSAGE,
                Elem::new("Recipient").with(group_of(names)),
                Elem::new("Sender")
                    .with(Elem::new("Group").with(screen_name(&names.screen_name(), &names.group()))),
            ))
            .with(text("ContentData", MESSAGE)),
        "SendMessage-Request.whisper" => it
            .with(text("DeliveryReport", "F"))
            .with(message_info(
                MESSAGE,
                Elem::new("Recipient")
                    .with(Elem::new("Group").with(screen_name(&screen_name_of(&names.peer), &names.group()))),
                Elem::new("Sender")
                    .with(Elem::new("Group").with(screen_name(&names.screen_name(), &names.group()))),
            ))
            .with(text("ContentData", MESSAGE)),
        "SendMessage-Request.list" => it
            .with(text("DeliveryReport", "F"))
            .with(message_info(
                MESSAGE,
                Elem::new("Recipient").with(list()),
                Elem::new("Sender").with(user(&names.me)),
            ))
            .with(text("ContentData", MESSAGE)),
        "SendMessage-Request.base64" => it
            .with(text("DeliveryReport", "F"))
            .with(encoded_info(
                Elem::new("Recipient").with(user(&names.peer)),
                Elem::new("Sender").with(user(&names.me)),
            ))
            .with(text("ContentData", MESSAGE_BASE64)),
        "SetDeliveryMethod-Request" => it
            .with(text("DeliveryMethod", "P"))
            .with(text("AcceptedContentLength", ACCEPTED_CONTENT_LENGTH.to_string())),
        "GetMessageList-Request" => it.with(text("MessageCount", "10")),
        "GetMessageList-Request.group" => it.with(group()),
        "RejectMessage-Request" | "GetMessage-Request" | "MessageDelivered" => it.with(message_id()),
        "ForwardMessage-Request" => it
            .with(message_id())
            .with(Elem::new("Recipient").with(user(&names.peer))),
        "BlockEntity-Request" => it.with(
            Elem::new("BlockList")
                .with(text("InUse", "T"))
                .with(Elem::new("AddList").with(peer())),
        ),
        "BlockEntity-Request.unblock" => it.with(
            Elem::new("BlockList")
                .with(text("InUse", "F"))
                .with(Elem::new("RemoveList").with(peer())),
        ),
        "BlockEntity-Request.grant" => it.with(
            Elem::new("GrantList")
                .with(text("InUse", "T"))
                .with(Elem::new("AddList").with(peer())),
        ),
        "BlockEntity-Request.grant-off" => it.with(
            Elem::new("GrantList")
                .with(text("InUse", "F"))
                .with(Elem::new("RemoveList").with(peer())),
        ),
        "CreateGroup-Request" => it
            .with(group())
            .with(
                Elem::new("GroupProperties")
                    .with(property("Name", "A test"))
                    .with(property("AccessType", "Open"))
                    .with(property("PrivateMessaging", "T"))
                    .with(property("Searchable", "T"))
                    .with(property("Topic", "Conformance")),
            )
            .with(text("JoinGroup", "T"))
            .with(screen_name(&names.screen_name(), &names.group()))
            .with(text("SubscribeNotification", "F")),
        "DeleteGroup-Request"
        | "LeaveGroup-Request"
        | "GetGroupMembers-Request"
        | "GetGroupProps-Request" => it.with(group()),
        "GetJoinedUsers-Request" if v12 => it.with(group()),
        "JoinGroup-Request" => it
            .with(group())
            .with(screen_name(&names.screen_name(), &names.group()))
            .with(text("JoinedRequest", "T"))
            .with(text("SubscribeNotification", "F")),
        "AddGroupMembers-Request" | "RemoveGroupMembers-Request" => {
            it.with(group()).with(users(&[&names.peer]))
        }
        "MemberAccess-Request" => it
            .with(group())
            .with(Elem::new("Mod").with(users(&[&names.peer]))),
        "SetGroupProps-Request" => it
            .with(group())
            .with(Elem::new("GroupProperties").with(property("Topic", "Another topic"))),
        "RejectList-Request" => it.with(group()).with(Elem::new("AddList").with(peer())),
        "RejectList-Request.show" => it.with(group()),
        "RejectList-Request.remove" => it.with(group()).with(Elem::new("RemoveList").with(peer())),
        "SubscribeGroupNotice-Request" => it.with(group()).with(text("SubscribeType", "S")),
        "SubscribeGroupNotice-Request.get" => it.with(group()).with(text("SubscribeType", "G")),
        "SubscribeGroupNotice-Request.unset" => it.with(group()).with(text("SubscribeType", "U")),
        "Extended-Request" if v12 => text(primitive, "an extension of nobody"),
        other => return super::presence_samples::request(version, other, names),
    })
}

fn pair(element: &str, string: &str) -> Elem {
    Elem::new("SearchPairList")
        .with(text("SearchElement", element))
        .with(text("SearchString", string))
}

fn nick_name(name: &str, user: &str) -> Elem {
    Elem::new("NickName")
        .with(text("Name", name))
        .with(text("UserID", user))
}

/// `Property` with a name and a value.
pub fn property(name: &str, value: &str) -> Elem {
    Elem::new("Property")
        .with(text("Name", name))
        .with(text("Value", value))
}

/// `ScreenName` of a user in a group.
pub fn screen_name(name: &str, group: &str) -> Elem {
    Elem::new("ScreenName")
        .with(text("SName", name))
        .with(text("GroupID", group))
}

/// A presence attribute with one value that is valid.
pub fn attribute(name: &str, value: &str) -> Elem {
    Elem::new(name)
        .with(text("Qualifier", "T"))
        .with(text("PresenceValue", value))
}

/// `MessageInfo` of [`MESSAGE_BASE64`].
pub fn encoded_info(recipient: Elem, sender: Elem) -> Elem {
    Elem::new("MessageInfo")
        .with(text("ContentType", "text/plain"))
        .with(text("ContentEncoding", "BASE64"))
        .with(text("ContentSize", MESSAGE_BASE64.len().to_string()))
        .with(recipient)
        .with(sender)
}

/// `MessageInfo` of a text.
pub fn message_info(content: &str, recipient: Elem, sender: Elem) -> Elem {
    Elem::new("MessageInfo")
        .with(text("ContentType", "text/plain"))
        .with(text("ContentSize", content.len().to_string()))
        .with(recipient)
        .with(sender)
}
