//! What peers tell without having been asked in this transaction: it goes to the local clients that are
//! named, if it is theirs to tell.

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::{compose, samples};
use crate::spec::Version;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::RelayFault;
use super::inbound::{Answer, Request};
use super::mapping::{self, Outcome, attribute, csp_party, flag, read_party, short_date, status};
use super::outbound_groups::joined_list;

impl ServerEngine {
    /// Takes a notice; told by Status.
    pub(super) fn notice(&mut self, request: &Request<'_>) -> Answer {
        match request.name() {
            "PresenceNotification" => self.presence_told(request),
            "DeliveryStatusReport" => self.report_told(request),
            "InviteResponse" => self.invitation_answer_told(request),
            "LeaveGroupIndication" => self.removal_told(request),
            _ => self.group_change_told(request),
        }
    }

    /// The local users among these, and what is to be said of the others.
    fn local_users(&self, users: Vec<String>) -> (Vec<String>, Outcome) {
        let mut local = Vec::new();
        let mut outcome = Outcome::plain(200);
        for user in users {
            if self.elsewhere(&user).is_some() {
                outcome.rows.push((516, Target::User(user)));
            } else if self.knows_user(&user) {
                local.push(self.canonical(&user));
            } else {
                outcome.rows.push((531, Target::User(user)));
            }
        }
        outcome.code = match (outcome.rows.is_empty(), local.is_empty()) {
            (true, _) => 200,
            (false, false) => 201,
            (false, true) => 900,
        };
        (local, outcome)
    }

    fn presence_told(&mut self, request: &Request<'_>) -> Answer {
        let tree = request.tree;
        let values: Vec<NodeId> = tree
            .elements(request.node)
            .filter(|e| tree.get(*e).name == "PresenceValue")
            .collect();
        let users = request.users(request.node, &["User"]);
        if values.is_empty() || users.is_empty() {
            return Err(400);
        }
        for value in &values {
            let owner = attribute(tree, *value, "userID").ok_or(400_u16)?;
            if !self.is_of(&owner, request.domain) && !self.relay_has(RelayFault::TakesForeignParties) {
                return Err(901);
            }
        }
        let (local, outcome) = self.local_users(users);
        if self.relay_has(RelayFault::KeepsNotifications) {
            return Ok(outcome.status());
        }
        for watcher in &local {
            let wanted: Vec<NodeId> = values
                .iter()
                .copied()
                .filter(|v| {
                    self.watches_or_waits(watcher, &attribute(tree, *v, "userID").unwrap_or_default())
                })
                .collect();
            let of = |version: Version| {
                let presences = wanted.iter().filter_map(|v| self.presence_in(tree, *v, version));
                Elem::new("PresenceNotification-Request").with_all(presences)
            };
            let ready = [of(Version::V11), of(Version::V12)];
            if !wanted.is_empty() {
                self.deliver(watcher, &|version| {
                    ready[usize::from(version == Version::V12)].clone()
                });
            }
        }
        Ok(outcome.status())
    }

    /// Whether somebody here wants to hear of somebody elsewhere; an answer that comes as a notification is
    /// wanted once.
    fn watches_or_waits(&mut self, watcher: &str, owner: &str) -> bool {
        let owner = self.canonical(owner);
        let watches = self
            .relay
            .watches
            .iter()
            .any(|w| w.watcher == watcher && w.owner == owner);
        let awaited = self.relay.awaited.remove(&(watcher.to_owned(), owner));
        watches || awaited
    }

    fn report_told(&mut self, request: &Request<'_>) -> Answer {
        let tree = request.tree;
        let info = request.child("MessageInfo").ok_or(400_u16)?;
        let id = attribute(tree, info, "messageID").ok_or(400_u16)?;
        let result = request.child("DeliveryResult").ok_or(400_u16)?;
        let outcome = Outcome::of_answer(tree, result);
        let of_it = |s: &&super::Sent| s.id == id && s.domain == request.domain;
        // Nobody but the domain that a message went to can tell what became of it there.
        let sent = self.relay.sent.iter().find(of_it).ok_or(426_u16)?;
        let sender = sent.sender.clone();
        if self.relay_has(RelayFault::HidesReports) {
            return Ok(status(200));
        }
        let part = |name: &str| {
            let element = tree.child(info, name)?;
            Some(Elem::new(name).with(csp_party(&read_party(tree, element)?)))
        };
        let some = |csp: &str, ssp: &str| attribute(tree, info, ssp).map(|v| text(csp, v));
        let shown = Elem::new("MessageInfo")
            .with(text("MessageID", id.clone()))
            .with_some(some("MessageURI", "messageURI"))
            .with_some(some("ContentType", "contentType"))
            .with_some(some("ContentSize", "contentSize"))
            .with_some(part("Recipient"))
            .with_some(part("Sender"))
            .with_some(
                tree.child_text(info, "DateTime")
                    .map(|d| text("DateTime", short_date(&d))),
            )
            .with_some(some("Validity", "validity"));
        let time = tree
            .child_text(request.node, "DeliveryTime")
            .map(|t| text("DeliveryTime", short_date(&t)));
        self.report_as(&sender, outcome.code, time.as_ref(), &shown);
        Ok(status(200))
    }

    fn invitation_answer_told(&mut self, request: &Request<'_>) -> Answer {
        let tree = request.tree;
        let id = self.required(request, "inviteID")?;
        let responding = self.party_of(request, "Responding")?;
        let inviting = request
            .child("Inviting")
            .and_then(|i| read_party(tree, i))
            .ok_or(400_u16)?;
        if let Target::User(user) = &inviting
            && self.elsewhere(user).is_some()
        {
            return Err(516);
        }
        if self.relay_has(RelayFault::HidesInvitationAnswers) {
            return Ok(status(200));
        }
        let by = match &responding {
            Target::User(user) => self.canonical(user),
            // Who hides behind a screen name is one of those of its domain who were asked.
            _ => self.invitee_of_domain(&id, request.domain).ok_or(423_u16)?,
        };
        let note = tree.child_text(request.node, "ResponseNote");
        let screen_name = match &responding {
            Target::ScreenName(name, group) => Some(samples::screen_name(name, group)),
            _ => None,
        };
        let answer = Elem::new("InviteUser-Response")
            .with(text("InviteID", id))
            .with(text(
                "Acceptance",
                flag(mapping::is_yes(tree, request.node, "acceptance")),
            ))
            .with_some(note.map(|n| text("ResponseNote", n)))
            .with_some(screen_name);
        let told = self.answer_invitation_of(request.now_ms, &by, answer);
        Ok(Outcome::of_csp(&told).status())
    }

    fn removal_told(&mut self, request: &Request<'_>) -> Answer {
        let group = self.group_of_peer(request)?;
        let outcome = Outcome::of_answer(request.tree, request.node);
        let key = self.canonical(&group);
        let mut named: Vec<String> = outcome
            .rows
            .iter()
            .filter_map(|(_, t)| match t {
                Target::User(user) => Some(self.canonical(user)),
                _ => None,
            })
            .collect();
        named.extend(
            request
                .users(request.node, &["User"])
                .iter()
                .map(|u| self.canonical(u)),
        );
        let inside: Vec<String> = self
            .relay
            .joined
            .keys()
            .filter(|(user, g)| *g == key && (named.is_empty() || named.contains(user)))
            .map(|(user, _)| user.clone())
            .collect();
        let code = outcome.code;
        for user in inside {
            self.relay.joined.remove(&(user.clone(), key.clone()));
            if self.relay_has(RelayFault::KeepsNotices) {
                continue;
            }
            self.deliver(&user, &|_| {
                Elem::new("LeaveGroup-Response")
                    .with(text("GroupID", group.clone()))
                    .with(compose::result(code))
            });
        }
        Ok(status(200))
    }

    fn group_of_peer(&self, request: &Request<'_>) -> Result<String, u16> {
        let group = self.required(request, "groupID")?;
        let good = self.is_of(&group, request.domain) || self.relay_has(RelayFault::TakesForeignParties);
        if good { Ok(group) } else { Err(901) }
    }

    fn group_change_told(&mut self, request: &Request<'_>) -> Answer {
        let tree = request.tree;
        let group = self.group_of_peer(request)?;
        let users = request.users(request.node, &["User"]);
        if users.is_empty() {
            return Err(400);
        }
        let (local, outcome) = self.local_users(users);
        if self.relay_has(RelayFault::KeepsNotices) {
            return Ok(outcome.status());
        }
        let parts: Vec<NodeId> = tree.elements(request.node).collect();
        let of = |version: Version| {
            let changes: Vec<Elem> = parts
                .iter()
                .filter_map(|part| change_in(tree, *part, version, &group))
                .collect();
            Elem::new("GroupChangeNotice")
                .with(text("GroupID", group.clone()))
                .with_all(changes)
        };
        let ready = [of(Version::V11), of(Version::V12)];
        for user in local {
            self.deliver(&user, &|version| {
                ready[usize::from(version == Version::V12)].clone()
            });
        }
        Ok(outcome.status())
    }
}

/// One part of a notice about a group, as clients of a version get it.
fn change_in(tree: &Tree, part: NodeId, version: Version, group: &str) -> Option<Elem> {
    let name = tree.get(part).name.as_str();
    Some(match name {
        "Joined" => Elem::new("Joined").with(joined_list(tree, part, version, group)),
        "Left" => Elem::new("Left").with(joined_list(tree, part, Version::V11, group)),
        "GroupProperties" | "OwnProperties" => {
            mapping::properties(tree, part, |n| mapping::welcome_in(tree, n))
        }
        _ => return None,
    })
}
