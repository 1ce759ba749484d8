//! Requests of a server with the contents that the lower tester sends to a client under test.

use crate::message::{Elem, text};
use crate::spec::{Group, Version};

use super::contents::{selection, user, users};
use super::names::Names;
use super::presence_samples;
use super::samples::{MESSAGE, MESSAGE_BASE64, attribute, encoded_info, message_info, property, screen_name};

/// The identifier of the message that the lower tester delivers.
pub const MESSAGE_ID: &str = "message-1";

/// The request of this name to the client that these names are of. A word behind a point names another
/// use of the same primitive: `InviteUser-Request.group`.
///
/// # Errors
/// The primitive is not one that a server begins a transaction with.
pub fn server_request(version: Version, name: &str, names: &Names) -> Result<Elem, String> {
    let it = Elem::new(name.split('.').next().unwrap_or(name));
    let sender = || Elem::new("Sender").with(user(&names.peer));
    let to_me = || Elem::new("Recipient").with(user(&names.me));
    let identified = |info: Elem| {
        Elem::new("MessageInfo")
            .with(text("MessageID", MESSAGE_ID))
            .with_all(info.children().iter().cloned())
            .with(text("DateTime", "20261101T120000Z"))
    };
    let info = || identified(message_info(MESSAGE, to_me(), sender()));
    let invitation = || text("InviteID", names.invitation());
    Ok(match name {
        "PresenceNotification-Request" => it.with(
            Elem::new("Presence")
                .with(text("UserID", names.peer.clone()))
                .with(
                    Elem::new("PresenceSubList")
                        .in_namespace(version.namespace(Group::Pa))
                        .with(attribute("OnlineStatus", "T"))
                        .with(attribute("UserAvailability", "AVAILABLE"))
                        .with(attribute("StatusText", "At <work> & glad")),
                ),
        ),
        // Every attribute with every part.
        "PresenceNotification-Request.every" => it.with(
            Elem::new("Presence")
                .with(text("UserID", names.peer.clone()))
                .with(presence_samples::every_value(version)),
        ),
        // Attributes that are not valid have no value.
        "PresenceNotification-Request.not-valid" => it.with(
            Elem::new("Presence")
                .with(text("UserID", names.peer.clone()))
                .with(
                    Elem::new("PresenceSubList")
                        .in_namespace(version.namespace(Group::Pa))
                        .with(Elem::new("OnlineStatus").with(text("Qualifier", "F")))
                        .with(Elem::new("StatusText").with(text("Qualifier", "F"))),
                ),
        ),
        "PresenceNotification-Request.list" => it.with(
            Elem::new("Presence")
                .with(text("ContactList", names.list()))
                .with(presence_samples::values(version, &["StatusText"])),
        ),
        "PresenceNotification-Request.two" => it
            .with(
                Elem::new("Presence")
                    .with(text("UserID", names.peer.clone()))
                    .with(presence_samples::values(version, &["StatusMood"])),
            )
            .with(
                Elem::new("Presence")
                    .with(text("UserID", names.me.clone()))
                    .with(presence_samples::values(version, &["Alias"])),
            ),
        "PresenceAuth-Request.all" => it.with(text("UserID", names.peer.clone())),
        "PresenceAuth-Request" => it
            .with(text("UserID", names.peer.clone()))
            .with(selection(version, &["UserAvailability"])),
        "InviteUser-Request" => it
            .with(invitation())
            .with(text("InviteType", "IM"))
            .with(sender())
            .with(text("InviteNote", "Shall we talk?")),
        "InviteUser-Request.group" => it
            .with(invitation())
            .with(text("InviteType", "GR"))
            .with(sender())
            .with(text("GroupID", names.group()))
            .with(text("InviteNote", "Come in"))
            .with(text("Validity", "600")),
        "InviteUser-Request.presence" => it
            .with(invitation())
            .with(text("InviteType", "PR"))
            .with(sender())
            .with(selection(version, &["UserAvailability", "StatusText"])),
        "InviteUser-Request.content" => it
            .with(invitation())
            .with(text("InviteType", "SC"))
            .with(sender())
            .with(Elem::new("URLList").with(text("URL", "http://content.example/picture?of=1&size=2"))),
        // Of somebody who hides behind a screen name.
        "InviteUser-Request.screen-name" => it
            .with(invitation())
            .with(text("InviteType", "GR"))
            .with(Elem::new("Sender").with(Elem::new("Group").with(screen_name("friend", &names.group()))))
            .with(text("GroupID", names.group())),
        "Invite-Response.no" => it
            .with(invitation())
            .with(text("Acceptance", "F"))
            .with(sender())
            .with(text("ResponseNote", "Not now & <not> today")),
        "CancelInviteUser-Request.note" => it
            .with(invitation())
            .with(sender())
            .with(text("InviteNote", "Another time"))
            .with(Elem::new("URLList").with(text("URL", "http://content.example/why"))),
        "Extended-Request" => text("Extended-Request", "an extension of nobody"),
        "Invite-Response" => it.with(invitation()).with(text("Acceptance", "T")).with(sender()),
        "CancelInviteUser-Request" => it.with(invitation()).with(sender()),
        "NewMessage" => it.with(info()).with(text("ContentData", MESSAGE)),
        "NewMessage.base64" => it
            .with(identified(encoded_info(to_me(), sender())))
            .with(text("ContentData", MESSAGE_BASE64)),
        "NewMessage.group" => {
            let from = Elem::new("Group").with(screen_name("friend", &names.group()));
            let to = Elem::new("Group").with(text("GroupID", names.group()));
            let info = message_info(
                MESSAGE,
                Elem::new("Recipient").with(to),
                Elem::new("Sender").with(from),
            );
            it.with(identified(info)).with(text("ContentData", MESSAGE))
        }
        "NewMessage.reference" => it.with(
            Elem::new("MessageInfo")
                .with(text("MessageID", MESSAGE_ID))
                .with(text("MessageURI", "http://content.example/1"))
                .with(text("ContentType", "image/jpeg"))
                .with(text("ContentSize", "2048"))
                .with(to_me())
                .with(sender()),
        ),
        "MessageNotification" => it.with(info()),
        "DeliveryReport-Request" => it
            .with(Elem::new("Result").with(text("Code", "200")))
            .with(text("DeliveryTime", "20261101T120001Z"))
            .with(info()),
        "LeaveGroup-Response" => it
            .with(text("GroupID", names.group()))
            .with(Elem::new("Result").with(text("Code", "809"))),
        "GroupChangeNotice" => {
            let joined = match version {
                Version::V11 => users(&[&names.peer]),
                Version::V12 => Elem::new("UserMapList").with(
                    Elem::new("UserMapping").with(
                        Elem::new("Mapping")
                            .with(text("SName", "friend"))
                            .with(text("UserID", names.peer.clone())),
                    ),
                ),
            };
            it.with(text("GroupID", names.group()))
                .with(Elem::new("Joined").with(joined))
                .with(
                    Elem::new("Left").with(Elem::new("UserList").with(screen_name("guest", &names.group()))),
                )
                .with(Elem::new("GroupProperties").with(property("Topic", "Another topic")))
        }
        "Disconnect" => it.with(
            Elem::new("Result")
                .with(text("Code", "601"))
                .with(text("Description", "the session is ended by the server")),
        ),
        other => {
            return Err(format!(
                "{other} is no request of a server that the suite can fill"
            ));
        }
    })
}
