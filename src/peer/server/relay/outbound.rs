//! Requests of local clients that concern other domains: which they are, and messages.

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::compose;

use super::super::partial::Target;
use super::super::world::Call;
use super::super::{ServerEngine, messages};
use super::held::{Kind, Sum};
use super::mapping::{self, Content, Outcome, attr, copied, copied_with, long_date, party};
use super::split::{Lists, Split, There, targets_of};
use super::{RelayFault, Served};

impl ServerEngine {
    /// Serves a request beyond the session core, here or elsewhere.
    pub(in super::super) fn serve_or_relay(&mut self, call: &Call<'_>) -> Served {
        let relayed = match self.is_alone() || self.lenient {
            true => None,
            false => self.relayed(call),
        };
        relayed.unwrap_or_else(|| {
            let answer = self.serve(call);
            Served::Now(answer.unwrap_or_else(|| compose::status(self.refusal_code(405))))
        })
    }

    /// What comes of a request that concerns other domains; none when it does not.
    fn relayed(&mut self, call: &Call<'_>) -> Option<Served> {
        match call.name {
            "SendMessage-Request" => self.send_elsewhere(call),
            "ForwardMessage-Request" => self.forward_elsewhere(call),
            "SubscribePresence-Request" => self.subscribe_elsewhere(call),
            "UnsubscribePresence-Request" => self.unsubscribe_elsewhere(call),
            "GetPresence-Request" => self.presence_elsewhere(call),
            "Invite-Request" => self.invite_elsewhere(call),
            "CancelInvite-Request" => self.cancel_elsewhere(call),
            _ => self.group_elsewhere(call),
        }
    }

    /// Serves a request that this server has made of another.
    pub(super) fn serve_made(&mut self, call: &Call<'_>, request: Elem) -> Elem {
        let tree = request.into_tree();
        let name = tree.get(tree.root()).name.clone();
        let made = Call {
            session: call.session,
            user: call.user.clone(),
            version: call.version,
            now_ms: call.now_ms,
            tree: &tree,
            node: tree.root(),
            name: &name,
        };
        self.serve(&made).unwrap_or_else(|| compose::status(405))
    }

    /// Serves the part that stays, and sends each other domain its own.
    pub(super) fn divide(
        &mut self,
        call: &Call<'_>,
        mut sum: Sum,
        split: &Split,
        local: Option<Elem>,
        mut make: impl FnMut(&mut Self, &str, &[There]) -> Option<(Elem, Kind)>,
    ) -> Served {
        if let Some(request) = local {
            let answer = self.serve_made(call, request);
            sum.add_own(answer, &split.targets_here());
        }
        match split.failed.as_slice() {
            [] => {}
            [(code, target)] => sum.add(&Outcome::plain(*code), std::slice::from_ref(target)),
            rows => sum.add(
                &Outcome {
                    code: 900,
                    rows: rows.to_vec(),
                    description: None,
                },
                &[],
            ),
        }
        if !split.swallowed.is_empty() {
            sum.add(&Outcome::plain(200), &split.swallowed);
        }
        let on = self.is_remote(call);
        for (domain, there) in &split.there {
            let targets = targets_of(there);
            let Some((primitive, kind)) = make(self, domain, there) else {
                sum.add(&Outcome::plain(200), &targets);
                continue;
            };
            if self.stays_home(primitive.name()) {
                sum.add(&Outcome::plain(200), &targets);
            } else if on {
                // Only a fault relays for somebody from elsewhere; nobody waits for that.
                self.tell_peer(domain, primitive);
                sum.add(&Outcome::plain(200), &targets);
            } else {
                sum.send(domain, primitive, kind, targets);
            }
        }
        match sum.is_whole() {
            true => Served::Now(sum.answer()),
            false => Served::Later(Box::new(sum)),
        }
    }

    /// Whether a fault keeps primitives of this name from being sent, and says success.
    pub(super) fn stays_home(&self, name: &str) -> bool {
        let kept = match self.relay.fault {
            Some(RelayFault::KeepsMessagesHome) => &["SendMessageRequest"][..],
            Some(RelayFault::KeepsSubscriptionsHome) => &["SubscribeRequest"],
            Some(RelayFault::UnsubscribesAtHomeOnly) => &["UnsubscribeRequest"],
            Some(RelayFault::KeepsPresenceRequestsHome) => &["GetPresenceRequest"],
            Some(RelayFault::KeepsInvitationsHome) => &["InviteRequest"],
            Some(RelayFault::CancelsAtHomeOnly) => &["CancelInviteRequest"],
            Some(RelayFault::JoinsAtHomeOnly) => &["JoinGroupRequest"],
            Some(RelayFault::LeavesAtHomeOnly) => &["LeaveGroupRequest"],
            _ => &[],
        };
        kept.contains(&name)
    }

    fn send_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let info = call.child("MessageInfo")?;
        let recipient = call.tree.child(info, "Recipient")?;
        let sender = call.tree.child(info, "Sender")?;
        let split = self.split(call, recipient, Lists::Expand);
        if self.relay_has(RelayFault::RelaysLocalToo) && split.is_local() {
            self.copy_to_a_peer(call, info, sender, &split);
        }
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        if !self.relay_has(RelayFault::TrustsWrittenSender) && !self.may_send_as(call, sender) {
            let refusal = Elem::new("SendMessage-Response").with(compose::result(403));
            return Some(Served::Now(refusal));
        }
        let id = self.new_message_id();
        self.world.messages.name_next(&id);
        let local =
            (!split.here.is_empty()).then(|| copied_with(call.tree, call.node, recipient, &split.here));
        let request = self.message_out(call, info, sender, &id);
        let sum = Sum::new(call.name, call.version).of_message(&id);
        let served = self.divide(call, sum, &split, local, |engine, domain, there| {
            engine.remember_sent(&id, &call.user, domain);
            Some((request(&targets_of(there)), Kind::Message))
        });
        self.world.messages.name_none();
        Some(served)
    }

    /// A MessageID; one that no other server gives where there are others.
    pub(in super::super) fn new_message_id(&mut self) -> String {
        let word = self.new_word("m");
        if self.is_alone() {
            return word;
        }
        let whole = format!("{word}@{}", self.domain().unwrap_or_default());
        // Identifiers have 50 characters at most.
        if whole.len() > 50 { word } else { whole }
    }

    /// SendMessageRequest from the request of a client, but for its recipients.
    fn message_out(
        &self,
        call: &Call<'_>,
        info: NodeId,
        sender: NodeId,
        id: &str,
    ) -> impl Fn(&[Target]) -> Elem + use<> {
        let read = |name: &str| call.tree.child_text(info, name);
        let data = call
            .child("ContentData")
            .map(|d| call.tree.text(d))
            .unwrap_or_default();
        let content = Content::of_csp(read("ContentType"), read("ContentEncoding").as_deref(), &data);
        let written = call
            .tree
            .elements(sender)
            .find_map(|e| mapping::read_csp_party(call.tree, e));
        let user = match &written {
            Some(Target::User(user)) if self.relay_has(RelayFault::TrustsWrittenSender) => user.clone(),
            _ => call.user.clone(),
        };
        let sender = match written {
            Some(Target::ScreenName(name, group)) if !self.relay_has(RelayFault::ShowsHiddenSender) => {
                hidden_sender(&name, &group)
            }
            _ => Elem::new("Sender").with(mapping::user(self.full(&user))),
        };
        let message = MessageOut {
            id: id.to_owned(),
            uri: read("MessageURI"),
            validity: read("Validity"),
            sender,
            date: long_date(&messages::date_time(call.now_ms)),
        };
        let report = call.text("DeliveryReport").as_deref() == Some("T");
        let meta = self.meta(Some(&user));
        let fault = self.relay.fault;
        move |to| {
            message.request(
                report,
                meta.clone(),
                to.iter().map(recipient).collect(),
                &content,
                fault,
            )
        }
    }

    /// What a server does that relays local requests as well (a fault).
    fn copy_to_a_peer(&mut self, call: &Call<'_>, info: NodeId, sender: NodeId, split: &Split) {
        let Some(domain) = self.relay.domains.first().cloned() else {
            return;
        };
        let request = self.message_out(call, info, sender, "a-copy")(&split.targets_here());
        self.tell_peer(&domain, request);
    }

    fn forward_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let waiting = call.text("MessageID")?;
        let to = call.child("Recipient")?;
        let split = self.split(call, to, Lists::Expand);
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        let (info, data) = self.waiting_message(&call.user, &waiting)?;
        let info = info.into_tree();
        let read = |name: &str| info.child_text(info.root(), name);
        let content = Content::of_csp(read("ContentType"), read("ContentEncoding").as_deref(), &data);
        let id = self.new_message_id();
        let message = MessageOut {
            id: id.clone(),
            uri: read("MessageURI"),
            validity: read("Validity"),
            sender: Elem::new("Sender").with(mapping::user(self.full(&call.user))),
            date: long_date(&messages::date_time(call.now_ms)),
        };
        let meta = self.meta(Some(&call.user));
        let fault = self.relay.fault;
        let local = (!split.here.is_empty()).then(|| copied_with(call.tree, call.node, to, &split.here));
        let sum = Sum::new(call.name, call.version);
        Some(self.divide(call, sum, &split, local, |engine, domain, there| {
            engine.remember_sent(&id, &call.user, domain);
            let recipients = targets_of(there).iter().map(recipient).collect();
            let kind = Kind::Forward {
                user: call.user.clone(),
                message: waiting.clone(),
            };
            Some((
                message.request(false, meta.clone(), recipients, &content, fault),
                kind,
            ))
        }))
    }

    /// A message of a group for one of its members elsewhere.
    pub(super) fn message_to_member(&mut self, member: &str, request: &Tree) -> Option<(Elem, Kind)> {
        let info = request.child(request.root(), "MessageInfo")?;
        let read = |name: &str| request.child_text(info, name);
        let id = read("MessageID")?;
        let group = request.child(info, "Recipient").and_then(|r| {
            request
                .elements(r)
                .find_map(|e| mapping::read_csp_party(request, e))
        });
        let sender = request.child(info, "Sender").and_then(|s| {
            request
                .elements(s)
                .find_map(|e| mapping::read_csp_party(request, e))
        });
        let shown = group?;
        let group = match &shown {
            Target::Group(group) | Target::ScreenName(_, group) => group.clone(),
            _ => return None,
        };
        let (by, report) = self.message_origin(&id)?;
        let hides = !self.relay_has(RelayFault::ShowsHiddenSender);
        // Whoever is in a group is known there by a screen name, whatever the message says.
        let name = match sender {
            Some(Target::ScreenName(name, _)) => Some(name),
            _ => self.joined(&self.canonical(&group), &by),
        };
        let sender = match name.filter(|_| hides) {
            Some(name) => hidden_sender(&name, &group),
            None => Elem::new("Sender").with(mapping::user(self.full(&by))),
        };
        let data = request
            .child_text(request.root(), "ContentData")
            .unwrap_or_default();
        let content = Content::of_csp(read("ContentType"), read("ContentEncoding").as_deref(), &data);
        let message = MessageOut {
            id: id.clone(),
            uri: read("MessageURI"),
            validity: read("Validity"),
            sender,
            date: long_date(&read("DateTime").unwrap_or_default()),
        };
        let to = Elem::new("Recipient")
            .with(mapping::user(self.full(member)))
            .with(Elem::new("RecipientDisplay").with(party(&shown)));
        let primitive = message.request(report, self.meta(None), vec![to], &content, self.relay.fault);
        let domain = self.elsewhere(member)?;
        self.remember_sent(&id, &by, &domain);
        let kind = Kind::ToMember {
            member: member.to_owned(),
            message: id,
        };
        Some((primitive, kind))
    }

    /// What an answered request changes here.
    pub(super) fn settle(
        &mut self,
        asked: &super::held::Asked,
        outcome: &Outcome,
        answer: Option<(&Tree, NodeId)>,
    ) {
        let failed =
            |target: &Target| !outcome.is_good() || outcome.rows.iter().any(|(_, t)| self.is_same(t, target));
        let lost: Vec<String> = asked
            .targets
            .iter()
            .filter(|t| failed(t))
            .filter_map(|t| match t {
                Target::User(user) => Some(self.canonical(user)),
                _ => None,
            })
            .collect();
        match &asked.kind {
            Kind::Plain | Kind::Message => {}
            Kind::Forward { user, message } => {
                if outcome.is_good() {
                    self.finish(user, message, 541);
                }
            }
            Kind::Subscribe { watcher } => {
                let watches = &mut self.relay.watches;
                watches.retain(|w| w.watcher != *watcher || !lost.contains(&w.owner));
            }
            Kind::Presence { asker } => {
                let given: Vec<String> = answer.map_or_else(Vec::new, |(tree, node)| {
                    let values = tree
                        .elements(node)
                        .filter(|e| tree.get(*e).name == "PresenceValue");
                    let owners = values.filter_map(|v| mapping::attribute(tree, v, "userID"));
                    owners.map(|o| self.canonical(&o)).collect()
                });
                let awaited = &mut self.relay.awaited;
                awaited.retain(|(who, of)| who != asker || !lost.contains(of) && !given.contains(of));
            }
            Kind::Invite { id, inviter, invitee } => {
                if !outcome.is_good() {
                    self.close_invitee(id, inviter, invitee);
                }
            }
            Kind::Group {
                user,
                group,
                screen_name,
            } => {
                let key = (user.clone(), group.clone());
                let name = answer.map(|(tree, node)| tree.get(node).name.clone());
                match name.as_deref() {
                    Some("LeaveGroupIndication") if outcome.is_good() => {
                        self.relay.joined.remove(&key);
                    }
                    Some("JoinGroupResponse" | "Status") if outcome.is_good() => {
                        if let Some(name) = screen_name {
                            self.relay
                                .joined
                                .insert(key, Some(name.clone()).filter(|n| !n.is_empty()));
                        }
                    }
                    _ => {}
                }
            }
            Kind::ToMember { member, message } => match outcome.is_good() {
                true => self.passed_on(member, message),
                false => {
                    self.finish(member, message, outcome.code);
                }
            },
        }
    }

    fn is_same(&self, one: &Target, other: &Target) -> bool {
        match (one, other) {
            (Target::User(a), Target::User(b)) | (Target::Group(a), Target::Group(b)) => {
                self.canonical(a) == self.canonical(b)
            }
            _ => one == other,
        }
    }
}

/// A message on its way to another domain, but for whom it is for.
struct MessageOut {
    id: String,
    uri: Option<String>,
    validity: Option<String>,
    sender: Elem,
    date: String,
}

impl MessageOut {
    fn request(
        &self,
        report: bool,
        meta: Elem,
        recipients: Vec<Elem>,
        content: &Content,
        fault: Option<RelayFault>,
    ) -> Elem {
        let mut content = content.clone();
        if fault == Some(RelayFault::ChangesContent) {
            content.octets.reverse();
        }
        let data = match fault {
            Some(RelayFault::SendsPlainContent) => {
                let words = String::from_utf8_lossy(&content.octets).into_owned();
                text("ContentData", words).with(attr("contentType", content.media_type.clone()))
            }
            _ => content.element(),
        };
        let size = match fault {
            Some(RelayFault::CountsEncodedOctets) => data.content().len(),
            _ => content.octets.len(),
        };
        let date = match fault {
            Some(RelayFault::DatesStandStill) => "1970-01-01T00:00:00Z",
            _ => &self.date,
        };
        let some = |name: &str, value: &Option<String>| value.as_ref().map(|v| attr(name, v.clone()));
        let info = Elem::new("MessageInfo")
            .with(attr("messageID", self.id.clone()))
            .with_some(some("messageURI", &self.uri))
            .with(attr("contentType", content.media_type.clone()))
            .with(attr("contentSize", size.to_string()))
            .with_some(some("validity", &self.validity))
            .with_all(recipients)
            .with(self.sender.clone())
            .with(text("DateTime", date).with(attr("format", "iso8601")));
        Elem::new("SendMessageRequest")
            .with(attr("deliveryReport", mapping::yes_no(report)))
            .with(meta)
            .with(info)
            .with(data)
    }
}

/// `Recipient` of SSP.
pub(super) fn recipient(target: &Target) -> Elem {
    Elem::new("Recipient").with(party(target))
}

/// `Sender` of SSP for somebody whom others know by a screen name only.
pub(super) fn hidden_sender(name: &str, group: &str) -> Elem {
    Elem::new("Sender")
        .with(mapping::group_id(group))
        .with(Elem::new("SenderDisplay").with(mapping::screen_name(name, group)))
}

/// An element of a request, when it is there.
pub(super) fn part(call: &Call<'_>, name: &str) -> Option<Elem> {
    call.child(name).map(|c| copied(call.tree, c))
}
