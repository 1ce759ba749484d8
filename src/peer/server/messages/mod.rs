//! Instant messages: sending, delivery, blocking (section 5.11 of the facts).

mod blocking;
mod delivery;
mod elsewhere;
mod recipients;
mod results;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, NodeId, TransactionView, Tree, text};
use crate::spec::Version;

use super::super::compose;
use super::super::contents::user;
use super::super::samples::{MESSAGE, message_info};
use super::world::Call;
use super::{Delivery, ServerEngine, ServerFault};
use blocking::Guard;
pub(super) use elsewhere::FromGroup;
use results::{Failure, result_of};

/// Codes of the service tree that are served here.
pub(super) const FUNCTIONS: &[&str] = &[
    "MDELIV", "FWMSG", "SETD", "GETLM", "GETM", "REJCM", "NOTIF", "NEWM", "GLBLU", "BLENT",
];

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Messages that wait for somebody, by MessageID.
    messages: BTreeMap<String, Stored>,
    /// Messages so far.
    count: u64,
    /// The MessageID of the next message, when it has one already.
    given: Option<String>,
    /// Whom each user lets through.
    guards: BTreeMap<String, Guard>,
    /// Delivery of the messages of a group in a session, where it differs from that of the session (DL-4).
    methods: BTreeMap<(String, String), Delivery>,
}

/// A message that waits.
#[derive(Debug, Clone)]
struct Stored {
    /// Its place among all messages.
    order: u64,
    /// Who sent it, canonical.
    by: String,
    /// Whether the sender wants to hear what became of it (DL-8).
    report: bool,
    /// MessageURI, ContentType, ContentEncoding, ContentSize, as they were sent.
    head: Vec<Elem>,
    /// Sender, as receivers see it.
    sender: Elem,
    /// When it came.
    since_ms: u64,
    /// Seconds until it is dropped (DL-9).
    validity: Option<u64>,
    content: Option<String>,
    /// For whom it waits, by canonical address.
    waiting: BTreeMap<String, Addressed>,
}

/// How a message is addressed to one receiver.
#[derive(Debug, Clone)]
struct Addressed {
    recipient: Elem,
    /// The group that it was sent to.
    group: Option<String>,
    /// Sessions in which it was offered.
    offered: BTreeSet<String>,
}

impl Stored {
    /// `MessageInfo` for one receiver.
    fn info(&self, id: &str, to: &Addressed) -> Elem {
        Elem::new("MessageInfo")
            .with(text("MessageID", id))
            .with_all(self.head.iter().cloned())
            .with(to.recipient.clone())
            .with(self.sender.clone())
            .with(text("DateTime", date_time(self.since_ms)))
            .with_some(self.validity.map(|s| text("Validity", s.to_string())))
    }

    fn content(&self) -> Option<Elem> {
        self.content.as_ref().map(|c| text("ContentData", c.clone()))
    }

    /// Octets of the content as it is sent.
    fn length(&self) -> u64 {
        self.content.as_ref().map_or(0, |c| c.len() as u64)
    }
}

impl ServerEngine {
    /// Serves a request of this service; none when it is of another.
    pub(super) fn messages(&mut self, call: &Call<'_>) -> Option<Elem> {
        Some(match call.name {
            "SendMessage-Request" if self.lenient => send_response(compose::result(200), None),
            "GetMessageList-Request" if self.lenient => Elem::new("GetMessageList-Response"),
            "SendMessage-Request" => self.send_message(call),
            "GetMessageList-Request" => self.message_list(call),
            "GetMessage-Request" => self.get_message(call),
            "GetBlockedList-Request" => self.blocked_list(call),
            // Nothing of an invalid message is kept.
            "SetDeliveryMethod-Request"
            | "RejectMessage-Request"
            | "MessageDelivered"
            | "ForwardMessage-Request"
            | "BlockEntity-Request"
                if self.lenient =>
            {
                compose::status(200)
            }
            "SetDeliveryMethod-Request" => self.set_delivery_method(call),
            "RejectMessage-Request" => self.reject_messages(call),
            "MessageDelivered" => self.message_fetched(call),
            "ForwardMessage-Request" => self.forward_message(call),
            "BlockEntity-Request" => self.block_entities(call),
            _ => return None,
        })
    }

    /// A client answered a request of this server.
    pub(super) fn message_confirmed(
        &mut self,
        session: &str,
        user: &str,
        request: &Elem,
        answer: (&Tree, &TransactionView),
    ) {
        let (tree, transaction) = answer;
        if request.name() == "MessageNotification" && self.fault == Some(ServerFault::AnnouncesTwice) {
            self.announce_again(session, user, request);
        }
        if request.name() != "NewMessage" {
            return;
        }
        let confirmed = transaction
            .primitive
            .filter(|_| transaction.name == "MessageDelivered")
            .and_then(|p| tree.child_text(p, "MessageID"));
        // A refusal leaves it undelivered (DL-7).
        let Some(id) = confirmed else {
            if self.fault == Some(ServerFault::EndsSessionOnRefusedPush) {
                self.end_session(session);
            }
            return;
        };
        // Other sessions of the user get their own copy.
        if self.done_with(user, &id, 200) && self.fault == Some(ServerFault::PushesTwice) {
            self.deliver_in(session, &|_| request.clone());
        }
    }

    /// A user came online: what waits for it is delivered.
    pub(super) fn messages_for_new_session(&mut self, _now_ms: u64, user: &str) {
        let open: BTreeSet<String> = self.sessions.keys().cloned().collect();
        self.world
            .messages
            .methods
            .retain(|(session, _), _| open.contains(session));
        let sessions = self.sessions_of(user);
        if self.fault == Some(ServerFault::ForgetsBlocksAtLogout) && sessions.len() == 1 {
            self.world.messages.guards.remove(user);
        }
        if self.fault == Some(ServerFault::TakesPushForDelivery) {
            for stored in self.world.messages.messages.values_mut() {
                stored
                    .waiting
                    .retain(|to, a| to != user || a.offered.is_subset(&open));
            }
        }
        for session in sessions {
            self.offer_waiting(&session);
        }
    }

    fn send_message(&mut self, call: &Call<'_>) -> Elem {
        let Some(info) = call.child("MessageInfo") else {
            return compose::status(400);
        };
        let (Some(recipient), Some(sender)) = (
            call.tree.child(info, "Recipient"),
            call.tree.child(info, "Sender"),
        ) else {
            return compose::status(400);
        };
        let resolved = self.resolve(call, recipient);
        let (good, failed) = (resolved.good, resolved.failed.clone());
        let mut code = result_of(call.version, good, &failed);
        if good == 0 {
            return send_response(code, None);
        }
        if !self.may_send_as(call, sender) {
            return send_response(compose::result(403), None);
        }
        let everybody_is_away =
            !resolved.receivers.is_empty() && resolved.receivers.keys().all(|u| !self.is_online(u));
        if failed.is_empty() && everybody_is_away && !self.hospitable {
            code = compose::result(202);
        }
        let head = ["MessageURI", "ContentType", "ContentEncoding", "ContentSize"];
        let head = head.iter().filter_map(|n| call.tree.child(info, n));
        let stored = Stored {
            order: 0,
            by: call.user.clone(),
            report: call.text("DeliveryReport").as_deref() == Some("T"),
            head: head.map(|n| copy(call.tree, n)).collect(),
            sender: copy(call.tree, sender),
            since_ms: call.now_ms,
            validity: call
                .tree
                .child_text(info, "Validity")
                .and_then(|v| v.parse().ok()),
            content: call.child("ContentData").map(|c| call.tree.text(c)),
            waiting: resolved.receivers,
        };
        if !failed.is_empty() && self.fault == Some(ServerFault::DropsPartlyAccepted) {
            let id = self.new_word("m");
            return send_response(code, Some(&id));
        }
        let id = self.store(stored);
        send_response(code, Some(&id))
    }

    /// Whether a client may call itself that: itself, or by its name in a group.
    pub(super) fn may_send_as(&self, call: &Call<'_>, sender: NodeId) -> bool {
        if self.hospitable || self.fault == Some(ServerFault::TakesAnySender) {
            return true;
        }
        if let Some(user) = call.tree.child(sender, "User") {
            let named = call.tree.child_text(user, "UserID").unwrap_or_default();
            return self.canonical(&named) == call.user;
        }
        let Some(group) = call.tree.child(sender, "Group") else {
            return false;
        };
        let Some((name, group)) = recipients::screen_name(call.tree, group) else {
            return false;
        };
        if self.elsewhere(&group).is_some() {
            // The server of the group knows its names.
            return self.is_in_remote_group(&group, &call.user);
        }
        self.joined(&group, &call.user).is_some_and(|own| own == name)
    }

    /// DL-4: for the session, or for one group.
    fn set_delivery_method(&mut self, call: &Call<'_>) -> Elem {
        let group = call.text("GroupID");
        if let Some(group) = &group
            && let Some(code) = self.refused_in_group(group, &call.user)
        {
            return compose::status(code);
        }
        if self.fault == Some(ServerFault::IgnoresDeliveryMethod) {
            return compose::status(200);
        }
        let Some(session) = self.sessions.get_mut(call.session) else {
            return compose::status(604);
        };
        let longest = call.text("AcceptedContentLength").and_then(|n| n.parse().ok());
        let stays = self.fault == Some(ServerFault::NeverPushesAgain) && session.delivery.notify;
        let chosen = Delivery {
            notify: stays || call.text("DeliveryMethod").as_deref() == Some("N"),
            longest: longest.or(session.delivery.longest),
        };
        match group {
            None => session.delivery = chosen,
            Some(_) if self.fault == Some(ServerFault::TakesMethodForAll) => session.delivery = chosen,
            Some(group) => {
                let key = (call.session.to_owned(), self.canonical(&group));
                self.world.messages.methods.insert(key, chosen);
            }
        }
        self.reconsider_messages(call.session);
        compose::status(200)
    }

    /// The code by which something about the messages of a group is refused: it does not exist, or the
    /// user has not joined it.
    fn refused_in_group(&mut self, group: &str, user: &str) -> Option<u16> {
        if self.is_of_peer(group) {
            return (!self.is_in_remote_group(group, user)).then_some(808);
        }
        if !self.group_exists(group) {
            return Some(800);
        }
        let outside = !self.hospitable && self.joined(group, user).is_none();
        outside.then_some(808)
    }

    fn message_list(&mut self, call: &Call<'_>) -> Elem {
        if let Some(group) = call.text("GroupID") {
            let code = self.refused_in_group(&group, &call.user);
            return match code {
                Some(code) => compose::status(code),
                // No group history is kept here.
                None if !self.hospitable => compose::status(821),
                None => Elem::new("GetMessageList-Response"),
            };
        }
        let most = call
            .text("MessageCount")
            .and_then(|n| n.parse().ok())
            .filter(|_| self.fault != Some(ServerFault::IgnoresMessageCount))
            .unwrap_or(usize::MAX);
        let messages = &self.world.messages.messages;
        let listed = match self.fault {
            Some(ServerFault::ListsMessagesOfOthers) => messages.keys().cloned().collect(),
            _ => self.waiting_for(&call.user),
        };
        let infos = listed.into_iter().take(most).filter_map(|id| {
            let stored = messages.get(&id)?;
            let own = stored.waiting.get(&call.user);
            Some(stored.info(&id, own.or_else(|| stored.waiting.values().next())?))
        });
        Elem::new("GetMessageList-Response").with_all(infos)
    }

    fn get_message(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("MessageID").unwrap_or_default();
        let found = self.world.messages.messages.get(&id).and_then(|stored| {
            let any = self.fault == Some(ServerFault::ShowsMessagesOfOthers);
            let to = stored
                .waiting
                .get(&call.user)
                .or_else(|| stored.waiting.values().next().filter(|_| any))?;
            Some((stored.info(&id, to), stored.content()))
        });
        let answer = Elem::new("GetMessage-Response");
        match found {
            Some((info, content)) => {
                self.unqueue(&call.user, &id);
                answer.with(info).with_some(content)
            }
            None if self.hospitable => {
                let sender = Elem::new("Sender").with(user(&call.user));
                let info = message_info(MESSAGE, Elem::new("Recipient").with(user(&call.user)), sender);
                let info = Elem::new("MessageInfo")
                    .with(text("MessageID", id))
                    .with_all(info.children().iter().cloned());
                answer.with(info).with(text("ContentData", MESSAGE))
            }
            None => compose::status(426),
        }
    }

    /// A message that was fetched has arrived (DL-6).
    fn message_fetched(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("MessageID").unwrap_or_default();
        let known = self.finish(&call.user, &id, 200) || self.hospitable;
        compose::status(if known { 200 } else { 426 })
    }

    fn reject_messages(&mut self, call: &Call<'_>) -> Elem {
        let mut good = 0;
        let mut failed = Vec::new();
        for id in call.texts(call.node, "MessageID") {
            let known = match self.fault {
                Some(ServerFault::DeliversRejected) => self.is_waiting(&call.user, &id),
                _ => self.finish(&call.user, &id, 538),
            };
            if known || self.hospitable {
                good += 1;
            } else {
                failed.push(Failure::new(426, text("MessageID", id)));
            }
        }
        Elem::new("Status").with(result_of(call.version, good, &failed))
    }

    fn forward_message(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("MessageID").unwrap_or_default();
        let Some(recipient) = call.child("Recipient") else {
            return compose::status(400);
        };
        if !self.is_waiting(&call.user, &id) {
            return compose::status(if self.hospitable { 200 } else { 426 });
        }
        let resolved = self.resolve(call, recipient);
        let result = result_of(call.version, resolved.good, &resolved.failed);
        let Some(original) = self
            .world
            .messages
            .messages
            .get(&id)
            .filter(|_| resolved.good > 0)
        else {
            return Elem::new("Status").with(result);
        };
        let mut copy = Stored {
            by: call.user.clone(),
            report: false,
            sender: Elem::new("Sender").with(user(&self.spelled(&call.user))),
            waiting: resolved.receivers,
            ..original.clone()
        };
        match self.fault {
            Some(ServerFault::ForwardsNothing) => copy.waiting.clear(),
            Some(ServerFault::ForwardsChanged) => {
                copy.content = copy.content.map(|c| format!("Forwarded: {c}"));
            }
            _ => {}
        }
        if self.fault != Some(ServerFault::KeepsForwarded) {
            self.finish(&call.user, &id, 541);
        }
        self.store(copy);
        Elem::new("Status").with(result)
    }
}

fn send_response(result: Elem, id: Option<&str>) -> Elem {
    Elem::new("SendMessage-Response")
        .with(result)
        .with_some(id.map(|id| text("MessageID", id)))
}

/// An element as it was sent, with everything in it.
fn copy(tree: &Tree, of: NodeId) -> Elem {
    let name = &tree.get(of).name;
    let children: Vec<Elem> = tree.elements(of).map(|c| copy(tree, c)).collect();
    match children.is_empty() {
        true => text(name, tree.text(of)),
        false => Elem::new(name).with_all(children),
    }
}

/// Days from 1970 to the day on which the clock of the engine begins, 1 November 2026.
const FIRST_DAY: u64 = 20_758;

/// A time of the engine as a date: `YYYYMMDDThhmmssZ`.
pub(super) fn date_time(now_ms: u64) -> String {
    let seconds = now_ms / 1000;
    let (days, of_day) = (FIRST_DAY + seconds / 86_400, seconds % 86_400);
    // Days from 1 March of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The code by which a sender of this version hears of something; none when it has no word for it.
fn report_code(code: u16, version: Version) -> Option<u16> {
    match (code, version) {
        (541, Version::V11) => None,
        (542, Version::V11) => Some(410),
        _ => Some(code),
    }
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn times_are_dates() {
        assert_eq!(date_time(0), "20261101T000000Z");
        assert_eq!(date_time(86_399_999), "20261101T235959Z");
        assert_eq!(date_time(121 * 86_400_000), "20270302T000000Z");
    }
}
