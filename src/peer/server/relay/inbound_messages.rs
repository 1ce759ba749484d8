//! Messages of peers for local users, and for groups of this server.

use crate::message::{Elem, NodeId, Tree, text};

use super::super::partial::Target;
use super::super::{ServerEngine, messages};
use super::RelayFault;
use super::inbound::{Answer, Request};
use super::mapping::{self, Content, Outcome, attr, attribute, csp_party, flag, read_party};

impl ServerEngine {
    pub(super) fn message_in(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let tree = request.tree;
        let info = request.child("MessageInfo").ok_or(400_u16)?;
        let needs = !self.relay_has(RelayFault::NeedsNoAttributes);
        let id = match attribute(tree, info, "messageID") {
            Some(id) => id,
            None if needs => return Err(400),
            None => self.new_word("m"),
        };
        let sender = tree
            .child(info, "Sender")
            .and_then(|s| sender_of(tree, s))
            .ok_or(400_u16)?;
        let written = tree.child(info, "Sender").and_then(|s| read_party(tree, s));
        let foreign = match &written {
            Some(Target::User(address)) => {
                let same = self.canonical(address) == self.canonical(user);
                !(self.is_of(address, request.domain)
                    || same && self.relay_has(RelayFault::ServesForeignRequestor))
            }
            _ => false,
        };
        if foreign && !self.relay_has(RelayFault::TakesForeignSender) {
            return Err(901);
        }
        let data = request.child("ContentData").ok_or(400_u16)?;
        let content = Content::of_ssp(tree, data).ok_or(400_u16)?;
        if self.world.messages.has(&id) {
            return Err(400);
        }
        let targets: Vec<Target> = recipients(tree, info);
        if targets.is_empty() {
            return Err(400);
        }
        let report = match self.relay.fault {
            Some(RelayFault::ReportAlthoughNotAsked) => true,
            _ => mapping::is_yes(tree, request.node, "deliveryReport"),
        };
        let (head, data) = csp_content(tree, info, &content, self.relay_has(RelayFault::ChangesContent));
        let asked = Elem::new("SendMessage-Request")
            .with(text("DeliveryReport", flag(report)))
            .with(
                Elem::new("MessageInfo")
                    .with_all(head)
                    .with(Elem::new("Recipient").with_all(targets.iter().map(csp_party)))
                    .with(Elem::new("Sender").with(csp_party(&sender)))
                    .with_some(attribute(tree, info, "validity").map(|v| text("Validity", v))),
            )
            .with(data);
        if !self.relay_has(RelayFault::RenamesMessageId) {
            self.world.messages.name_next(&id);
        }
        let answer = self.serve_remote(request, user, asked);
        self.world.messages.name_none();
        let mut outcome = Self::told(Outcome::of_csp(&answer?), &targets);
        if outcome.code == 202 {
            outcome.code = 200;
        }
        match self.relay.fault {
            Some(RelayFault::HidesUnknownRecipients) if outcome.code == 201 => outcome = Outcome::plain(200),
            Some(RelayFault::RefusesPartly) if outcome.code == 201 => outcome.code = 900,
            _ => {}
        }
        let kept = outcome.is_good().then(|| attr("messageID", id));
        Ok(Elem::new("SendMessageResponse")
            .with_some(kept)
            .with(outcome.status()))
    }

    /// A message that a group of a peer has for local members.
    pub(super) fn message_of_group(&mut self, request: &Request<'_>) -> Answer {
        let tree = request.tree;
        let info = request.child("MessageInfo").ok_or(400_u16)?;
        let id = attribute(tree, info, "messageID").ok_or(400_u16)?;
        let sender = tree.child(info, "Sender").ok_or(400_u16)?;
        let group = match read_party(tree, sender) {
            Some(Target::Group(group)) => group,
            _ => return Err(400),
        };
        if !self.is_of(&group, request.domain) && !self.relay_has(RelayFault::TakesForeignSender) {
            return Err(901);
        }
        let told = tree
            .child(info, "Recipient")
            .and_then(|r| tree.child(r, "RecipientDisplay"))
            .and_then(|d| read_party(tree, d))
            .filter(|t| !matches!(t, Target::User(_)))
            .unwrap_or_else(|| Target::Group(group.clone()));
        let shown = tree
            .child(sender, "SenderDisplay")
            .and_then(|s| read_party(tree, s))
            .unwrap_or_else(|| Target::Group(group.clone()));
        let data = request.child("ContentData").ok_or(400_u16)?;
        let content = Content::of_ssp(tree, data).ok_or(400_u16)?;
        let (head, data) = csp_content(tree, info, &content, false);
        if self.world.messages.has(&id) {
            return Err(400);
        }
        let targets = recipients(tree, info);
        let mut outcome = Outcome::plain(200);
        let mut receivers = Vec::new();
        for target in &targets {
            let code = match target {
                Target::User(user) => {
                    let to = self.canonical(user);
                    if self.elsewhere(user).is_some() {
                        516
                    } else if !self.knows_user(user) {
                        531
                    } else if self.blocks_message(&to, &shown, &group) {
                        532
                    } else {
                        receivers.push(to);
                        continue;
                    }
                }
                _ => 531,
            };
            outcome.rows.push((code, target.clone()));
        }
        outcome.code = match (receivers.is_empty(), outcome.rows.is_empty()) {
            (_, true) => 200,
            (false, false) => 201,
            (true, false) => 900,
        };
        let kept = (!receivers.is_empty()).then(|| attr("messageID", id.clone()));
        if !receivers.is_empty() {
            let by = self.canonical(&group);
            self.remote_session(&by).ok_or(503_u16)?;
            let message = messages::FromGroup {
                id,
                by,
                report: mapping::is_yes(tree, request.node, "deliveryReport"),
                head,
                sender: Elem::new("Sender").with(csp_party(&shown)),
                told: csp_party(&told),
                group,
                validity: attribute(tree, info, "validity").and_then(|v| v.parse().ok()),
                content: data.content().to_owned(),
                receivers,
            };
            self.take_group_message(request.now_ms, message);
        }
        Ok(Elem::new("SendMessageResponse")
            .with_some(kept)
            .with(outcome.status()))
    }
}

/// The parties in the Recipient elements of a message.
fn recipients(tree: &Tree, info: NodeId) -> Vec<Target> {
    let all = tree.elements(info).filter(|e| tree.get(*e).name == "Recipient");
    all.filter_map(|r| read_party(tree, r)).collect()
}

/// How the sender of a message is to be seen: a screen name before an address.
fn sender_of(tree: &Tree, sender: NodeId) -> Option<Target> {
    let display = tree
        .child(sender, "SenderDisplay")
        .and_then(|d| read_party(tree, d));
    match display {
        Some(Target::ScreenName(name, group)) => Some(Target::ScreenName(name, group)),
        _ => read_party(tree, sender),
    }
}

/// What a message carries, in CSP form: what stands in MessageInfo about it, and the content.
fn csp_content(tree: &Tree, info: NodeId, content: &Content, changed: bool) -> (Vec<Elem>, Elem) {
    let mut content = content.clone();
    if changed {
        content.octets.reverse();
    }
    let (encoding, data) = content.csp();
    let uri = attribute(tree, info, "messageURI").map(|u| text("MessageURI", u));
    let head = uri
        .into_iter()
        .chain([text("ContentType", content.media_type.clone())])
        .chain(encoding.map(|e| text("ContentEncoding", e)))
        .chain([text("ContentSize", content.octets.len().to_string())])
        .collect();
    (head, text("ContentData", data))
}
