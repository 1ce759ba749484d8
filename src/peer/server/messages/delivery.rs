//! How messages reach the sessions of their receivers: pushed or announced, once, in order; and what
//! their senders hear of it.

use crate::message::{Elem, text};

use super::super::{RelayFault, ServerEngine, ServerFault};
use super::{Stored, date_time, report_code};

impl ServerEngine {
    /// Keeps a message and offers it to its receivers; its MessageID.
    pub(super) fn store(&mut self, mut stored: Stored) -> String {
        let id = match self.world.messages.given.take() {
            Some(id) => id,
            None => self.new_message_id(),
        };
        self.world.messages.count += 1;
        stored.order = self.world.messages.count;
        if self.fault == Some(ServerFault::LosesMessages) {
            return id;
        }
        if self.fault == Some(ServerFault::ForgetsForAbsent) {
            let away: Vec<String> = stored.waiting.keys().cloned().collect();
            for user in away.into_iter().filter(|u| !self.is_online(u)) {
                stored.waiting.remove(&user);
            }
        }
        if self.fault == Some(ServerFault::CopiesToAll)
            && let Some(to) = stored.waiting.values().next().cloned()
        {
            let online: Vec<String> = self.sessions.values().map(|s| s.client.0.clone()).collect();
            for user in online.iter().map(|u| self.canonical(u)) {
                stored.waiting.entry(user).or_insert_with(|| to.clone());
            }
        }
        let receivers: Vec<String> = stored.waiting.keys().cloned().collect();
        if receivers.is_empty() {
            return id;
        }
        self.world.messages.messages.insert(id.clone(), stored);
        for user in receivers {
            for session in self.sessions_of(&user) {
                self.offer(&session, &user, &id);
            }
        }
        id
    }

    /// MessageIDs of what waits for a user, in the order in which it came.
    pub(super) fn waiting_for(&self, user: &str) -> Vec<String> {
        let mut found: Vec<(u64, &String)> = self
            .world
            .messages
            .messages
            .iter()
            .filter(|(_, m)| m.waiting.contains_key(user))
            .map(|(id, m)| (m.order, id))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Whether a message waits for a user.
    pub(super) fn is_waiting(&self, user: &str, id: &str) -> bool {
        let messages = &self.world.messages.messages;
        messages.get(id).is_some_and(|m| m.waiting.contains_key(user))
    }

    /// Offers what waits for the user of a session and was not offered in it.
    pub(super) fn offer_waiting(&mut self, session: &str) {
        let Some(user) = self.sessions.get(session).map(|s| s.client.0.clone()) else {
            return;
        };
        let user = self.canonical(&user);
        for id in self.waiting_for(&user) {
            self.offer(session, &user, &id);
        }
    }

    /// The agreement of a session has changed: what has not left yet leaves by the new one.
    pub(in super::super) fn reconsider_messages(&mut self, session: &str) {
        let Some(open) = self.sessions.get_mut(session) else {
            return;
        };
        let (held, others): (Vec<Elem>, Vec<Elem>) = std::mem::take(&mut open.queue)
            .into_iter()
            .partition(|e| message_of(e).is_some() && e.name() != "DeliveryReport-Request");
        open.queue = others;
        let user = open.client.0.clone();
        let user = self.canonical(&user);
        for id in held.iter().filter_map(message_of) {
            let stored = self.world.messages.messages.get_mut(&id);
            if let Some(to) = stored.and_then(|m| m.waiting.get_mut(&user)) {
                to.offered.remove(session);
            }
        }
        self.offer_waiting(session);
    }

    /// Pushes or announces a message in a session, once (DL-3 to DL-5, SN-8).
    fn offer(&mut self, session: &str, user: &str, id: &str) {
        let Some(open) = self.sessions.get(session) else {
            return;
        };
        let state = &self.world.messages;
        let Some((stored, to)) = state
            .messages
            .get(id)
            .and_then(|m| Some((m, m.waiting.get(user)?)))
        else {
            return;
        };
        if to.offered.contains(session) {
            return;
        }
        let of_group = to
            .group
            .as_ref()
            .and_then(|g| state.methods.get(&(session.to_owned(), g.clone())));
        let method = of_group.unwrap_or(&open.delivery);
        let too_long = method.longest.is_some_and(|most| stored.length() > most)
            && self.fault != Some(ServerFault::PushesLongMessages);
        let wants = |code: &str| {
            self.agreed(session, code)
                && (self.fault == Some(ServerFault::PushesWithoutAgreement)
                    || open
                        .wanted
                        .as_ref()
                        .is_none_or(|w| w.contains(code) || w.contains("MM")))
        };
        let announced = method.notify && self.fault != Some(ServerFault::AlwaysPushes) || too_long;
        let push = match (wants("NEWM"), wants("NOTIF")) {
            (true, _) if !announced => true,
            (_, true) => self.fault == Some(ServerFault::AlwaysPushes),
            _ => return,
        };
        let info = stored.info(id, to);
        let request = match push {
            true => Elem::new("NewMessage").with(info).with_some(stored.content()),
            false => Elem::new("MessageNotification").with(info),
        };
        let to_whom = Some(to.clone());
        let last_first = self.fault == Some(ServerFault::LastMessageFirst);
        let stored = self.world.messages.messages.get_mut(id);
        if let Some(to) = stored.and_then(|m| m.waiting.get_mut(user)) {
            to.offered.insert(session.to_owned());
        }
        if last_first && let Some(open) = self.sessions.get_mut(session) {
            open.queue.insert(0, request);
            return;
        }
        self.deliver_in(session, &|_| request.clone());
        if !push && self.fault == Some(ServerFault::PushesAnnounced) {
            let again = self.world.messages.messages.get(id).zip(to_whom);
            let pushed = again.map(|(stored, to)| {
                let info = stored.info(id, &to);
                Elem::new("NewMessage").with(info).with_some(stored.content())
            });
            if let Some(pushed) = pushed {
                self.deliver_in(session, &|_| pushed.clone());
            }
        }
    }

    /// A message waits for a user no longer: delivered (200), rejected (538), forwarded (541), expired (542).
    /// Whether it did wait.
    pub(in super::super) fn finish(&mut self, user: &str, id: &str, code: u16) -> bool {
        self.unqueue(user, id);
        self.done_with(user, id, code)
    }

    /// The same, with what is on its way left to come.
    pub(super) fn done_with(&mut self, user: &str, id: &str, code: u16) -> bool {
        let keeps = code == 200 && self.fault == Some(ServerFault::KeepsDelivered);
        let messages = &mut self.world.messages.messages;
        let Some(stored) = messages.get_mut(id) else {
            return false;
        };
        let Some(to) = stored.waiting.get(user).cloned() else {
            return false;
        };
        if !keeps {
            stored.waiting.remove(user);
        }
        let (info, by, report) = (stored.info(id, &to), stored.by.clone(), stored.report);
        if stored.waiting.is_empty() {
            messages.remove(id);
        }
        if report && self.fault != Some(ServerFault::ReportsNothing)
            || self.fault == Some(ServerFault::ReportsAlways)
        {
            self.report(&by, user, code, &info);
        }
        true
    }

    /// Announces a message a second time (a fault).
    pub(super) fn announce_again(&mut self, session: &str, user: &str, request: &Elem) {
        let Some(id) = message_of(request) else { return };
        let stored = self.world.messages.messages.get_mut(&id);
        let to = stored.and_then(|m| m.waiting.get_mut(user));
        if to.is_some_and(|to| to.offered.insert(format!("{session} again"))) {
            self.deliver_in(session, &|_| request.clone());
        }
    }

    /// Tells the sender what became of a message (DL-8).
    fn report(&mut self, sender: &str, receiver: &str, code: u16, info: &Elem) {
        for session in self.sessions_of(sender) {
            let seen_ms = self.sessions.get(&session).map_or(0, |s| s.last_seen_ms);
            let time = (code == 200).then(|| text("DeliveryTime", date_time(seen_ms)));
            // Between servers a report names who makes it, which its message may not.
            let info = match self.sessions.get(&session).is_some_and(|s| s.remote) {
                true => info.clone().with(text("@by", receiver)),
                false => info.clone(),
            };
            self.report_in(&session, code, time.as_ref(), &info);
        }
    }

    /// Tells what became of a message in one session, if its client wants to know and has a word for it.
    pub(super) fn report_in(&mut self, session: &str, code: u16, time: Option<&Elem>, info: &Elem) {
        let Some(open) = self.sessions.get(session) else {
            return;
        };
        let wants = open
            .wanted
            .as_ref()
            .is_none_or(|w| w.contains("MDELIV") || w.contains("MM"));
        let Some(code) = report_code(code, open.version).filter(|_| wants) else {
            return;
        };
        let request = Elem::new("DeliveryReport-Request")
            .with(super::compose::result(code))
            .with_some(time.cloned())
            .with(info.clone());
        self.deliver_in(session, &|_| request.clone());
    }

    /// Takes a message back that has not left yet.
    pub(in super::super) fn unqueue(&mut self, user: &str, id: &str) {
        for session in self.sessions_of(user) {
            if let Some(open) = self.sessions.get_mut(&session) {
                open.queue
                    .retain(|e| e.name() == "DeliveryReport-Request" || message_of(e).as_deref() != Some(id));
            }
        }
    }

    /// Drops what nobody took in time (DL-9).
    pub(in super::super) fn expire_messages(&mut self, now_ms: u64) {
        if self.fault == Some(ServerFault::IgnoresValidity) {
            return;
        }
        let keeps =
            |m: &Stored| self.relay_has(RelayFault::IgnoresValidity) && self.elsewhere(&m.by).is_some();
        let over: Vec<(String, String)> = self
            .world
            .messages
            .messages
            .iter()
            .filter(|(_, m)| !keeps(m))
            .filter(|(_, m)| {
                m.validity
                    .is_some_and(|s| now_ms >= m.since_ms.saturating_add(s.saturating_mul(1000)))
            })
            .flat_map(|(id, m)| m.waiting.keys().map(move |user| (user.clone(), id.clone())))
            .collect();
        for (user, id) in over {
            self.finish(&user, &id, 542);
        }
    }
}

/// MessageID of what a request of the server is about.
fn message_of(request: &Elem) -> Option<String> {
    let info = request.children().iter().find(|c| c.name() == "MessageInfo")?;
    let id = info.children().iter().find(|c| c.name() == "MessageID")?;
    Some(id.content().to_owned())
}
