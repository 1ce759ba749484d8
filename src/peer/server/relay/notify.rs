//! What this server's services have for users of other domains: requests to clients become requests to the
//! servers of those users.

use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::Version;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::RelayFault;
use super::held::{Asked, Kind};
use super::mapping::{self, Outcome, attr, copied, long_date, party, presence_list, yes_no};
use super::outbound::{hidden_sender, recipient};

impl ServerEngine {
    /// Remote users are there as long as their servers are.
    pub(in super::super) fn remote_users_live(&mut self, now_ms: u64) {
        for session in self.sessions.values_mut().filter(|s| s.remote) {
            session.last_seen_ms = now_ms;
        }
    }

    /// Empties the queues of the users of other domains into the outbox.
    pub(super) fn queues_to_peers(&mut self) {
        let mut waiting: Vec<(String, Elem)> = Vec::new();
        for session in self.sessions.values_mut().filter(|s| s.remote) {
            let user = &session.client.0;
            waiting.extend(session.queue.drain(..).map(|e| (user.clone(), e)));
        }
        for (user, request) in waiting {
            let Some(domain) = self.elsewhere(&user) else {
                continue;
            };
            let request = request.into_tree();
            if let Some((primitive, kind)) = self.for_peer(&user, &request) {
                match kind {
                    Some(kind) => self.ask_peer(
                        &domain,
                        primitive,
                        Asked {
                            waits: None,
                            kind,
                            targets: vec![Target::User(user)],
                        },
                    ),
                    None => self.tell_peer(&domain, primitive),
                }
            }
        }
    }

    /// A request to a client, as one to the server of the user; with what its answer is about, where that
    /// counts.
    fn for_peer(&mut self, user: &str, request: &Tree) -> Option<(Elem, Option<Kind>)> {
        let node = request.root();
        let withheld = match self.relay.fault {
            Some(RelayFault::KeepsInvitationAnswers) => "Invite-Response",
            Some(RelayFault::RemovesSilently) => "LeaveGroup-Response",
            Some(RelayFault::TellsNoGroupChange) => "GroupChangeNotice",
            Some(RelayFault::NoReportAlthoughAsked) => "DeliveryReport-Request",
            _ => "",
        };
        let name = request.get(node).name.as_str();
        if name == withheld {
            return None;
        }
        Some(match name {
            "NewMessage" => {
                let (primitive, kind) = self.message_to_member(user, request)?;
                (primitive, Some(kind))
            }
            "PresenceNotification-Request" => (self.presence_out(user, request), None),
            "DeliveryReport-Request" => (self.report_out(request)?, None),
            "Invite-Response" => (self.invitation_answer_out(user, request), None),
            "GroupChangeNotice" => (self.group_notice_out(user, request), None),
            "LeaveGroup-Response" => (self.removal_out(user, request), None),
            // Questions about presence and the like have no form between servers.
            _ => return None,
        })
    }

    fn presence_out(&self, watcher: &str, request: &Tree) -> Elem {
        let presences = request
            .elements(request.root())
            .filter(|e| request.get(*e).name == "Presence");
        let values = presences.map(|presence| {
            let owner = request.child_text(presence, "UserID").unwrap_or_default();
            let attributes = request.child(presence, "PresenceSubList").map(|list| {
                let children = request.elements(list).map(|a| copied(request, a)).collect();
                presence_list(Version::V12, children)
            });
            Elem::new("PresenceValue")
                .with(attr("userID", self.full(&owner)))
                .with_some(attributes)
        });
        Elem::new("PresenceNotification")
            .with(self.meta(None))
            .with(mapping::user(self.full(watcher)))
            .with_all(values)
    }

    /// DeliveryStatusReport; whoever took the message reports.
    fn report_out(&self, request: &Tree) -> Option<Elem> {
        let node = request.root();
        let info = request.child(node, "MessageInfo")?;
        let outcome = Outcome::of_csp(request);
        let read = |name: &str| request.child_text(info, name);
        let party_in = |name: &str| {
            let element = request.child(info, name)?;
            request
                .elements(element)
                .find_map(|e| mapping::read_csp_party(request, e))
        };
        let to = party_in("Recipient")?;
        let by = match &to {
            Target::User(user) => Some(user.clone()),
            // Whoever has a screen name is known to the server of the group, and to nobody else.
            Target::Group(group) | Target::ScreenName(_, group) => {
                self.elsewhere(group).and_then(|_| read("@by"))
            }
            _ => None,
        };
        let sender = match party_in("Sender")? {
            Target::ScreenName(name, group) => hidden_sender(&name, &group),
            other => Elem::new("Sender").with(party(&other)),
        };
        let some = |name: &str, value: Option<String>| value.map(|v| attr(name, v));
        let message = Elem::new("MessageInfo")
            .with_some(some("messageID", read("MessageID")))
            .with_some(some("messageURI", read("MessageURI")))
            .with_some(some("contentType", read("ContentType")))
            .with_some(some("contentSize", read("ContentSize")))
            .with_some(some("validity", read("Validity")))
            .with(recipient(&to))
            .with(sender)
            .with(
                text("DateTime", long_date(&read("DateTime").unwrap_or_default()))
                    .with(attr("format", "iso8601")),
            );
        let time = request.child_text(node, "DeliveryTime");
        Some(
            Elem::new("DeliveryStatusReport")
                .with(self.meta(by.as_deref()))
                .with(Elem::new("DeliveryResult").with(outcome.status()))
                .with_some(time.map(|t| text("DeliveryTime", long_date(&t))))
                .with(message),
        )
    }

    fn invitation_answer_out(&self, inviter: &str, request: &Tree) -> Elem {
        let node = request.root();
        let read = |name: &str| request.child_text(node, name);
        let accepted = read("Acceptance").as_deref() == Some("T");
        let responding = request
            .child(node, "Sender")
            .and_then(|s| {
                request
                    .elements(s)
                    .find_map(|e| mapping::read_csp_party(request, e))
            })
            .map(|target| match target {
                Target::User(user) => mapping::user(self.full(&user)),
                other => party(&other),
            });
        Elem::new("InviteResponse")
            .with(attr("inviteID", read("InviteID").unwrap_or_default()))
            .with(attr("acceptance", yes_no(accepted)))
            .with(mapping::status(200))
            .with(Elem::new("Inviting").with(mapping::user(inviter)))
            .with(Elem::new("Responding").with_some(responding))
            .with_some(read("ResponseNote").map(|n| text("ResponseNote", n)))
    }

    fn group_notice_out(&self, user: &str, request: &Tree) -> Elem {
        let node = request.root();
        let names = |of: &str| {
            let part = request.child(node, of)?;
            let all = request.walk(part).into_iter();
            let names = all.filter(|e| request.get(*e).name == "SName");
            Some(Elem::new(of).with_all(names.map(|n| text("Name", request.text(n).trim()))))
        };
        let properties = |of: &str| {
            let part = request.child(node, of)?;
            let note = |n: NodeId| Some(mapping::welcome_out(request, n));
            Some(mapping::properties(request, part, note))
        };
        let group = request.child_text(node, "GroupID").unwrap_or_default();
        Elem::new("GroupChangeNotice")
            .with(attr("groupID", group))
            .with(self.meta(None))
            .with(mapping::user(self.full(user)))
            .with_some(names("Joined"))
            .with_some(names("Left"))
            .with_some(properties("GroupProperties"))
            .with_some(properties("OwnProperties"))
    }

    /// LeaveGroupIndication that nobody asked for. Its model names no user: the detail of its Status does.
    fn removal_out(&self, user: &str, request: &Tree) -> Elem {
        let code = Outcome::of_csp(request).code;
        let outcome = Outcome {
            code,
            rows: vec![(code, Target::User(self.full(user)))],
            description: None,
        };
        let group = request.child_text(request.root(), "GroupID").unwrap_or_default();
        Elem::new("LeaveGroupIndication")
            .with(attr("groupID", group))
            .with(outcome.status())
    }
}
