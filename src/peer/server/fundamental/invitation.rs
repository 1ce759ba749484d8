//! Invitations: from the inviter to the invitees and back (T13), and taken back (T14).

use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::{Group, Version};

use super::super::super::{compose, contents, samples};
use super::super::partial::{Failures, Target};
use super::super::world::Call;
use super::super::{RelayFault, ServerEngine, ServerFault};
use super::copied;

/// Most invitations that are remembered; the oldest are dropped.
const MOST_INVITATIONS: usize = 1_000;

/// An invitation that somebody may still answer.
#[derive(Debug, Clone)]
pub(in super::super) struct Invitation {
    id: String,
    /// Who invites, canonical, and how the invitees see it.
    inviter: String,
    sender: Elem,
    invitees: Vec<Invitee>,
    ends_ms: Option<u64>,
}

#[derive(Debug, Clone)]
struct Invitee {
    user: String,
    /// Neither answered nor taken back.
    open: bool,
}

impl Invitation {
    fn is_open(&self, now_ms: u64) -> bool {
        self.ends_ms.is_none_or(|end| now_ms < end) && self.invitees.iter().any(|i| i.open)
    }
}

/// Whom the Recipient of a request names, and what of it nobody can be told.
struct Recipients {
    users: Vec<(String, Target)>,
    failures: Failures,
}

impl ServerEngine {
    /// How the inviter is to be seen, or the code by which an invitation is refused whoever it is for.
    pub(in super::super) fn may_invite(&mut self, call: &Call<'_>) -> Result<Elem, u16> {
        let id = call.text("InviteID").unwrap_or_default();
        let group = call.text("GroupID");
        let has_payload = match call.text("InviteType").unwrap_or_default().as_str() {
            "GR" | "GM" => group.is_some(),
            "PR" => call.child("PresenceSubList").is_some(),
            "SC" => call.child("URLList").is_some() || self.relay_has(RelayFault::DropsLinks),
            _ => true,
        };
        if !has_payload && !self.hospitable {
            return Err(402);
        }
        // Groups elsewhere are for their servers to know.
        if let Some(group) = &group
            && self.elsewhere(group).is_none()
            && !self.group_exists(group)
        {
            return Err(800);
        }
        let sender = match call.child("ScreenName") {
            Some(name) if self.fault != Some(ServerFault::ShowsInviter) => {
                let of = |child: &str| call.tree.child_text(name, child).unwrap_or_default();
                let group = of("GroupID");
                let inside = match self.elsewhere(&group) {
                    Some(_) => {
                        self.elsewhere(&call.user).is_some() || self.is_in_remote_group(&group, &call.user)
                    }
                    None => self.joined(&group, &call.user).is_some(),
                };
                if !inside && !self.hospitable {
                    return Err(808);
                }
                Elem::new("Group").with(samples::screen_name(&of("SName"), &group))
            }
            _ => contents::user(&self.spelled(&call.user)),
        };
        // Peers send one request for each party that somebody of theirs invites.
        let more = self.elsewhere(&call.user).is_some();
        let used = |i: &Invitation| i.id == id && i.is_open(call.now_ms) && !(more && i.inviter == call.user);
        if self.world.fundamental.invitations.iter().any(used)
            && !self.hospitable
            && self.fault != Some(ServerFault::TakesUsedInviteId)
        {
            return Err(423);
        }
        Ok(sender)
    }

    pub(super) fn invite(&mut self, call: &Call<'_>) -> Elem {
        let sender = match self.may_invite(call) {
            Ok(sender) => sender,
            Err(code) => return compose::status(code),
        };
        let id = call.text("InviteID").unwrap_or_default();
        let kind = call.text("InviteType").unwrap_or_default();
        let now_ms = call.now_ms;
        let Recipients { users, mut failures } = self.recipients(call);
        let mut invitees = Vec::new();
        for (user, target) in users {
            if self.hospitable {
                invitees.push(user);
            } else if !self.knows_user(&user) {
                failures.add(531, target);
            } else if self.is_blocked(&user, &call.user) && self.fault != Some(ServerFault::InvitesBlocked) {
                failures.add(532, target);
            } else if !self.is_online(&user) {
                failures.add(533, target);
            } else {
                invitees.push(user);
            }
        }
        let request = self.invitation_to(call, &id, &kind, &sender);
        let everybody: Vec<String> = self
            .config
            .accounts
            .iter()
            .map(|a| self.canonical(&a.user))
            .collect();
        let told = match self.fault {
            Some(ServerFault::InvitesNobody) => Vec::new(),
            Some(ServerFault::InvitesFirstOnly) => invitees.iter().take(1).cloned().collect(),
            Some(ServerFault::InvitesEverybody) if !invitees.is_empty() => everybody,
            Some(ServerFault::InvitesTwice) => [invitees.clone(), invitees.clone()].concat(),
            _ => invitees.clone(),
        };
        for user in &told {
            self.deliver(user, &request);
        }
        let something_done = !invitees.is_empty();
        if self.elsewhere(&call.user).is_some() {
            for user in &invitees {
                self.note_invitee(call, &id, &sender, user);
            }
        } else if something_done {
            let ends_ms = call.text("Validity").and_then(|v| v.parse::<u64>().ok());
            let open = |user| Invitee { user, open: true };
            let all = &mut self.world.fundamental.invitations;
            all.retain(|i| i.id != id);
            if all.len() >= MOST_INVITATIONS {
                all.remove(0);
            }
            all.push(Invitation {
                id,
                inviter: call.user.clone(),
                sender,
                invitees: invitees.into_iter().map(open).collect(),
                ends_ms: ends_ms.map(|s| now_ms.saturating_add(s.saturating_mul(1000))),
            });
        }
        match self.fault {
            Some(ServerFault::InvitesUnknown) => compose::status(200),
            _ => failures.status(call.version, something_done),
        }
    }

    /// InviteUser-Request with the payload of the request, for each version.
    fn invitation_to(
        &self,
        call: &Call<'_>,
        id: &str,
        kind: &str,
        sender: &Elem,
    ) -> impl Fn(Version) -> Elem + use<> {
        let part = |name: &str| call.child(name).map(|c| copied(call.tree, c));
        let attributes: Vec<Elem> = call
            .child("PresenceSubList")
            .map(|list| call.tree.elements(list).map(|a| copied(call.tree, a)).collect())
            .unwrap_or_default();
        let has_attributes = call.child("PresenceSubList").is_some();
        let (id, kind, sender) = (id.to_owned(), kind.to_owned(), sender.clone());
        let (group, urls) = (part("GroupID"), part("URLList"));
        let (note, validity) = (part("InviteNote"), part("Validity"));
        move |version| {
            // 1.1 knows neither group membership nor InfoLink.
            let old = version == Version::V11;
            let kind = if old && kind == "GM" { "GR" } else { &kind };
            let known = |a: &&Elem| !old || a.name() != "InfoLink";
            let attributes = has_attributes.then(|| {
                Elem::new("PresenceSubList")
                    .in_namespace(version.namespace(Group::Pa))
                    .with_all(attributes.iter().filter(known).cloned())
            });
            Elem::new("InviteUser-Request")
                .with(text("InviteID", id.clone()))
                .with(text("InviteType", kind))
                .with(Elem::new("Sender").with(sender.clone()))
                .with_some(group.clone())
                .with_some(attributes)
                .with_some(urls.clone())
                .with_some(note.clone())
                .with_some(validity.clone())
        }
    }

    /// An invitee says yes or no: the inviter is told.
    pub(super) fn invitation_answered(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("InviteID").unwrap_or_default();
        let foreign = self.fault == Some(ServerFault::TakesForeignAnswers);
        let late = self.fault == Some(ServerFault::TakesLateAnswers);
        let all = &mut self.world.fundamental.invitations;
        let found = all.iter_mut().find(|i| {
            let invited = |who: &Invitee| who.user == call.user && (who.open || late);
            let in_time = late || i.ends_ms.is_none_or(|end| call.now_ms < end);
            let stranger = foreign && i.invitees.iter().all(|who| who.user != call.user);
            i.id == id && (stranger || in_time && i.invitees.iter().any(invited))
        });
        let Some(invitation) = found else {
            let code = if self.hospitable { 200 } else { 423 };
            return compose::status(code);
        };
        let own = invitation.invitees.iter_mut().filter(|i| i.user == call.user);
        own.for_each(|i| i.open = false);
        let inviter = invitation.inviter.clone();
        let sender = match call.child("ScreenName") {
            // An own screen name stands for the address here too.
            Some(name) => Elem::new("Group").with(copied(call.tree, name)),
            None => contents::user(&self.spelled(&call.user)),
        };
        let acceptance = call.text("Acceptance").unwrap_or_default();
        let note = call.child("ResponseNote").map(|c| copied(call.tree, c));
        self.deliver(&inviter, &|_| {
            Elem::new("Invite-Response")
                .with(text("InviteID", id.clone()))
                .with(text("Acceptance", acceptance.clone()))
                .with(Elem::new("Sender").with(sender.clone()))
                .with_some(note.clone())
        });
        compose::status(200)
    }

    pub(super) fn cancel_invitation(&mut self, call: &Call<'_>) -> Elem {
        let id = call.text("InviteID").unwrap_or_default();
        let anybody = self.fault == Some(ServerFault::CancelsForeign);
        let finished = self.fault == Some(ServerFault::CancelsFinished);
        let found = self.world.fundamental.invitations.iter().position(|i| {
            i.id == id && (anybody || i.inviter == call.user) && (finished || i.is_open(call.now_ms))
        });
        let Some(index) = found else {
            let code = if self.hospitable { 200 } else { 423 };
            return compose::status(code);
        };
        let Recipients { users, mut failures } = self.recipients(call);
        let all = call.child("Recipient").is_none() || self.fault == Some(ServerFault::CancelsAll);
        let keeps = self.fault == Some(ServerFault::KeepsCancelled);
        let invitation = &mut self.world.fundamental.invitations[index];
        let sender = invitation.sender.clone();
        let mut told = Vec::new();
        if all {
            let open = invitation.invitees.iter_mut().filter(|i| i.open);
            told.extend(open.map(|i| {
                i.open = keeps;
                i.user.clone()
            }));
        } else {
            for (user, target) in users {
                match invitation.invitees.iter_mut().find(|i| i.user == user) {
                    Some(invitee) if invitee.open || finished => {
                        invitee.open = keeps;
                        told.push(user);
                    }
                    Some(_) => failures.add(423, target),
                    None => failures.add(531, target),
                }
            }
        }
        let note = call.child("InviteNote").map(|c| copied(call.tree, c));
        let urls = call.child("URLList").map(|c| copied(call.tree, c));
        for user in &told {
            self.deliver(user, &|_| {
                Elem::new("CancelInviteUser-Request")
                    .with(text("InviteID", id.clone()))
                    .with(Elem::new("Sender").with(sender.clone()))
                    .with_some(note.clone())
                    .with_some(urls.clone())
            });
        }
        match failures.only_code() {
            // Everybody who was named has answered: nothing is left to be taken back.
            Some(423) if told.is_empty() => compose::status(423),
            _ => failures.status(call.version, !told.is_empty()),
        }
    }

    /// Somebody elsewhere is invited as well.
    pub(in super::super) fn note_invitee(&mut self, call: &Call<'_>, id: &str, sender: &Elem, user: &str) {
        let invitee = Invitee {
            user: user.to_owned(),
            open: true,
        };
        let all = &mut self.world.fundamental.invitations;
        let known = all
            .iter_mut()
            .find(|i| i.id == id && i.inviter == call.user && i.is_open(call.now_ms));
        if let Some(known) = known {
            known.invitees.push(invitee);
            return;
        }
        all.retain(|i| i.id != id);
        if all.len() >= MOST_INVITATIONS {
            all.remove(0);
        }
        let seconds = call.text("Validity").and_then(|v| v.parse::<u64>().ok());
        all.push(Invitation {
            id: id.to_owned(),
            inviter: call.user.clone(),
            sender: sender.clone(),
            invitees: vec![invitee],
            ends_ms: seconds.map(|s| call.now_ms.saturating_add(s.saturating_mul(1000))),
        });
    }

    /// Who may still answer an invitation of a user; none when there is no such invitation.
    pub(in super::super) fn invitees_of(&self, id: &str, inviter: &str, now_ms: u64) -> Option<Vec<String>> {
        let mut all = self.world.fundamental.invitations.iter();
        let found = all.find(|i| i.id == id && i.inviter == inviter && i.is_open(now_ms))?;
        let open = found.invitees.iter().filter(|i| i.open);
        Some(open.map(|i| i.user.clone()).collect())
    }

    /// An invitation is answered, taken back, or did not reach whom it was for.
    pub(in super::super) fn close_invitee(&mut self, id: &str, inviter: &str, user: &str) {
        let all = self.world.fundamental.invitations.iter_mut();
        for invitation in all.filter(|i| i.id == id && i.inviter == inviter) {
            let those = invitation.invitees.iter_mut().filter(|i| i.user == user);
            those.for_each(|i| i.open = false);
        }
    }

    /// Somebody of a domain who may still answer an invitation.
    pub(in super::super) fn invitee_of_domain(&self, id: &str, domain: &str) -> Option<String> {
        let mut all = self.world.fundamental.invitations.iter();
        let invitees = &all.find(|i| i.id == id)?.invitees;
        let found = invitees
            .iter()
            .find(|i| i.open && self.elsewhere(&i.user).as_deref() == Some(domain));
        found.map(|i| i.user.clone())
    }

    /// Takes an answer to an invitation that somebody elsewhere gives.
    pub(in super::super) fn answer_invitation_of(&mut self, now_ms: u64, user: &str, answer: Elem) -> Tree {
        let tree = answer.into_tree();
        let call = Call {
            session: "",
            user: user.to_owned(),
            version: Version::V12,
            now_ms,
            tree: &tree,
            node: tree.root(),
            name: "InviteUser-Response",
        };
        self.invitation_answered(&call).into_tree()
    }

    /// The users that the Recipient of a request names, once each: by address, screen name or list.
    fn recipients(&mut self, call: &Call<'_>) -> Recipients {
        let mut out = Recipients {
            users: Vec::new(),
            failures: Failures::default(),
        };
        let entries: Vec<NodeId> = call
            .child("Recipient")
            .map(|r| call.tree.elements(r).collect())
            .unwrap_or_default();
        for entry in entries {
            let of = |node: NodeId, child: &str| call.tree.child_text(node, child).unwrap_or_default();
            let mut add = |user: String, target: Target| {
                if !out.users.iter().any(|(u, _)| *u == user) {
                    out.users.push((user, target));
                }
            };
            match call.tree.get(entry).name.as_str() {
                "User" => {
                    let user = of(entry, "UserID");
                    add(self.canonical(&user), Target::User(user));
                }
                "ContactList" => {
                    let list = call.tree.text(entry).trim().to_owned();
                    let own = self.hospitable || self.owner_of(&list).as_ref() == Some(&call.user);
                    match self.contacts_of(&list).filter(|_| own) {
                        Some(users) => {
                            for user in users {
                                add(user.clone(), Target::User(self.spelled(&user)));
                            }
                        }
                        None => out.failures.add(700, Target::ContactList(list)),
                    }
                }
                "Group" => match call.tree.child(entry, "ScreenName") {
                    Some(name) => {
                        let (name, group) = (of(name, "SName"), of(name, "GroupID"));
                        let target = Target::ScreenName(name.clone(), group.clone());
                        match self.user_of_screen_name(&group, &name) {
                            Some(user) => add(self.canonical(&user), target),
                            None if self.hospitable => add(self.canonical("wv:imps-scr-peer"), target),
                            None => out.failures.add(531, target),
                        }
                    }
                    // A whole group is no recipient of an invitation.
                    None => {
                        let group = of(entry, "GroupID");
                        out.failures.add(800, Target::Group(group));
                    }
                },
                _ => {}
            }
        }
        out
    }
}
