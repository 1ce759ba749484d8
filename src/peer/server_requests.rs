//! Requests of a server with the contents that the lower tester sends to a client under test.

use crate::message::{Elem, text};
use crate::spec::{Group, Version};

use super::contents::{selection, user, users};
use super::names::Names;
use super::presence_samples;
use super::samples::{MESSAGE, attribute, message_info, property, screen_name};

/// The identifier of the message that the lower tester delivers.
pub const MESSAGE_ID: &str = "message-1";

/// The request of this name to the client that these names are of.
///
/// # Errors
/// The primitive is not one that a server begins a transaction with.
pub fn server_request(version: Version, name: &str, names: &Names) -> Result<Elem, String> {
    let it = Elem::new(name.split('.').next().unwrap_or(name));
    let sender = || Elem::new("Sender").with(user(&names.peer));
    let info = || {
        let info = message_info(MESSAGE, Elem::new("Recipient").with(user(&names.me)), sender());
        let mut out = Elem::new("MessageInfo").with(text("MessageID", MESSAGE_ID));
        for child in info.children() {
            out = out.with(child.clone());
        }
        out.with(text("DateTime", "20261101T120000Z"))
    };
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
        "Invite-Response" => it.with(invitation()).with(text("Acceptance", "T")).with(sender()),
        "CancelInviteUser-Request" => it.with(invitation()).with(sender()),
        "NewMessage" => it.with(info()).with(text("ContentData", MESSAGE)),
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
