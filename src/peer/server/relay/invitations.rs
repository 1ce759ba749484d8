//! Invitations of users of other domains, and taking them back: one request for each party.

use crate::message::{Elem, text};
use crate::peer::compose;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::super::world::Call;
use super::held::{Kind, Sum};
use super::mapping::{self, Outcome, attr, copied_with, party};
use super::outbound::part;
use super::split::{Lists, Split, There, targets_of};
use super::{RelayFault, Served};

impl ServerEngine {
    pub(super) fn invite_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let to = call.child("Recipient")?;
        let split = self.split(call, to, Lists::Expand);
        if split.is_local() && !split.here.is_empty() {
            return None;
        }
        let sender = match self.may_invite(call) {
            Ok(sender) => sender,
            Err(code) => return Some(Served::Now(compose::status(code))),
        };
        let id = call.text("InviteID").unwrap_or_default();
        let local = (!split.here.is_empty()).then(|| copied_with(call.tree, call.node, to, &split.here));
        let split = self.one_party_each(split);
        let sum = Sum::new(call.name, call.version);
        Some(self.divide_each(call, sum, split, local, |engine, target| {
            let invitee = engine.party_key(target);
            engine.note_invitee(call, &id, &sender, &invitee);
            let request = engine.invitation_out(call, &id, target);
            let kind = Kind::Invite {
                id: id.clone(),
                inviter: call.user.clone(),
                invitee,
            };
            (request, kind)
        }))
    }

    pub(super) fn cancel_elsewhere(&mut self, call: &Call<'_>) -> Option<Served> {
        let id = call.text("InviteID")?;
        let open = self.invitees_of(&id, &call.user, call.now_ms)?;
        let elsewhere: Vec<&String> = open.iter().filter(|u| self.elsewhere(u).is_some()).collect();
        let (mut split, local) = match call.child("Recipient") {
            Some(to) => {
                let split = self.split(call, to, Lists::Expand);
                if split.is_local() {
                    return None;
                }
                let local =
                    (!split.here.is_empty()).then(|| copied_with(call.tree, call.node, to, &split.here));
                (split, local)
            }
            // Everybody who was invited.
            None => {
                if elsewhere.is_empty() {
                    return None;
                }
                let mut split = Split::default();
                for user in &elsewhere {
                    let target = target_of_key(user);
                    let domain = self.elsewhere(user).unwrap_or_default();
                    split
                        .there
                        .entry(domain)
                        .or_default()
                        .push(There { target, list: None });
                }
                let others = open.len() > elsewhere.len();
                (split, others.then(|| mapping::copied(call.tree, call.node)))
            }
        };
        // Who was not invited, or has answered, has nothing to be taken back.
        let mut failed = Vec::new();
        for there in split.there.values_mut() {
            there.retain(|one| {
                let key = self.party_key(&one.target);
                let known = open.contains(&key);
                if !known {
                    failed.push((423, one.target.clone()));
                }
                known
            });
        }
        split.failed.extend(failed);
        let split = self.one_party_each(split);
        let sum = Sum::new(call.name, call.version);
        Some(self.divide_each(call, sum, split, local, |engine, target| {
            engine.close_invitee(&id, &call.user, &engine.party_key(target));
            let note = part(call, "InviteNote").map(|n| text("CancelNote", n.content()));
            let request = Elem::new("CancelInviteRequest")
                .with(attr("inviteID", id.clone()))
                .with(engine.meta(Some(&call.user)))
                .with(Elem::new("Canceling").with(engine.inviting(call)))
                .with(Elem::new("Canceled").with(party(target)))
                .with_some(contents_out(call))
                .with_some(note);
            (request, Kind::Plain)
        }))
    }

    /// Each party once, in one place after another.
    fn one_party_each(&self, mut split: Split) -> Split {
        for there in split.there.values_mut() {
            let targets = targets_of(there).into_iter();
            *there = targets.map(|target| There { target, list: None }).collect();
        }
        split
    }

    /// As [`ServerEngine::divide`], with a request for each party. The part that stays comes first: an
    /// invitation is new to it.
    fn divide_each(
        &mut self,
        call: &Call<'_>,
        mut sum: Sum,
        mut split: Split,
        local: Option<Elem>,
        mut make: impl FnMut(&mut Self, &Target) -> (Elem, Kind),
    ) -> Served {
        if let Some(request) = local {
            let answer = self.serve_made(call, request);
            sum.add_own(answer, &split.targets_here());
        }
        for (domain, there) in std::mem::take(&mut split.there) {
            for one in there {
                let (primitive, kind) = make(self, &one.target);
                let targets = vec![one.target];
                if self.stays_home(primitive.name()) {
                    sum.add(&Outcome::plain(200), &targets);
                } else if self.is_remote(call) {
                    self.tell_peer(&domain, primitive);
                    sum.add(&Outcome::plain(200), &targets);
                } else {
                    sum.send(&domain, primitive, kind, targets);
                }
            }
        }
        self.divide(call, sum, &split, None, |_, _, _| None)
    }

    /// InviteRequest for one party.
    fn invitation_out(&self, call: &Call<'_>, id: &str, to: &Target) -> Elem {
        let attributes = call
            .child("PresenceSubList")
            .map(|l| mapping::attribute_list(call.tree, l));
        let group = call.text("GroupID").map(mapping::group_id);
        let links = contents_out(call).filter(|_| !self.relay_has(RelayFault::DropsLinks));
        Elem::new("InviteRequest")
            .with(attr("inviteID", id))
            .with(attr("inviteType", call.text("InviteType").unwrap_or_default()))
            .with_some(call.text("Validity").map(|v| attr("validity", v)))
            .with(self.meta(Some(&call.user)))
            .with(Elem::new("Inviting").with(self.inviting(call)))
            .with(Elem::new("Invited").with(party(to)))
            .with_some(group)
            .with_some(attributes)
            .with_some(links)
            .with_some(part(call, "InviteNote"))
            .with_some(self.screen_name_out(call))
    }

    /// How whoever invites is seen: by its address, or by the screen name that it gives.
    fn inviting(&self, call: &Call<'_>) -> Elem {
        self.screen_name_out(call)
            .unwrap_or_else(|| mapping::user(self.full(&call.user)))
    }

    pub(super) fn screen_name_out(&self, call: &Call<'_>) -> Option<Elem> {
        let name = call.child("ScreenName")?;
        let name = mapping::read_csp_party(call.tree, name)?;
        Some(party(&name))
    }

    /// What an invited party is known by here.
    pub(super) fn party_key(&self, target: &Target) -> String {
        match target {
            Target::ScreenName(name, group) => format!("{name}#{}", self.canonical(group)).to_lowercase(),
            Target::User(address) | Target::Group(address) => self.canonical(address),
            Target::ContactList(list) => list.clone(),
            Target::Domain(domain) => domain.clone(),
        }
    }
}

/// The party that such a key stands for.
fn target_of_key(key: &str) -> Target {
    match key.split_once('#') {
        Some((name, group)) => Target::ScreenName(name.to_owned(), group.to_owned()),
        None => Target::User(key.to_owned()),
    }
}

/// URLList as ContentIDList.
fn contents_out(call: &Call<'_>) -> Option<Elem> {
    let links = call.texts(call.child("URLList")?, "URL");
    let ids = links
        .into_iter()
        .map(|url| Elem::new("ContentID").with(attr("url", url)));
    Some(Elem::new("ContentIDList").with_all(ids))
}
