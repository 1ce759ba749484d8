//! Answers to clients that wait for peers: what came of each part of a request, and the answer of it all.

use crate::codec::{WriteOptions, write};
use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::compose::{self, Part};
use crate::spec::Version;

use super::super::partial::Target;
use super::super::{Outgoing, ServerEngine};
use super::mapping::{Outcome, copied, presence_list};
use super::{PeerAnswer, RelayFault, outbound_groups};

/// A request of a client, some parts of which are with peers.
#[derive(Debug)]
pub(in super::super) struct Sum {
    /// Name of the request.
    request: String,
    version: Version,
    /// Targets that were served.
    good: usize,
    rows: Vec<(u16, Target)>,
    /// Parts that have come in so far; the outcome of the one, when it is the only one.
    parts: usize,
    only: Option<Outcome>,
    /// What the answer has behind its result.
    content: Vec<Elem>,
    message: Option<String>,
    /// The whole answer, where a request is relayed as it is.
    whole: Option<Elem>,
    /// Relayed requests, to be sent when it is known who waits for them.
    pub(super) to_send: Vec<(String, Elem, Kind, Vec<Target>)>,
    waiting: usize,
}

/// What a relayed request is about, for what is to be done when it is answered.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Nothing but its result counts.
    Plain,
    /// A message: sender and MessageID.
    Message,
    /// A message of this user that is forwarded.
    Forward { user: String, message: String },
    /// Watching of users; who watches.
    Subscribe { watcher: String },
    /// Presence of users; who asked.
    Presence { asker: String },
    /// An invitation of one party.
    Invite {
        id: String,
        inviter: String,
        invitee: String,
    },
    /// A request about a group.
    Group {
        user: String,
        group: String,
        screen_name: Option<String>,
    },
    /// A message of a group to one of its members.
    ToMember { member: String, message: String },
}

/// A relayed request that was not answered yet.
#[derive(Debug)]
pub(super) struct Asked {
    /// The held answer and the place in it that wait for this.
    pub waits: Option<(u64, usize)>,
    pub kind: Kind,
    pub targets: Vec<Target>,
}

/// An answer that is complete but for what peers say.
#[derive(Debug)]
pub(super) struct Held {
    closing: Closing,
    open: Vec<(usize, Sum)>,
}

/// What a message to a client is made of, once all its parts are there.
#[derive(Debug)]
pub(in super::super) struct Closing {
    pub version: Version,
    /// The session; none for a message outside any.
    pub session: Option<String>,
    pub parser_size: Option<usize>,
    pub names: Vec<String>,
    pub parts: Vec<Part>,
    /// Whether data is promised that is not there (a fault).
    pub promises: bool,
    /// What waited for the client before a logout in this message.
    pub poll: Option<bool>,
}

impl Sum {
    pub(super) fn new(request: &str, version: Version) -> Self {
        Self {
            request: request.to_owned(),
            version,
            good: 0,
            rows: Vec::new(),
            parts: 0,
            only: None,
            content: Vec::new(),
            message: None,
            whole: None,
            to_send: Vec::new(),
            waiting: 0,
        }
    }

    /// The MessageID that the answer gives when something was taken.
    pub(super) fn of_message(mut self, id: &str) -> Self {
        self.message = Some(id.to_owned());
        self
    }

    /// A request for a peer, about these targets.
    pub(super) fn send(&mut self, domain: &str, primitive: Elem, kind: Kind, targets: Vec<Target>) {
        self.to_send.push((domain.to_owned(), primitive, kind, targets));
        self.waiting += 1;
    }

    /// Takes what came of a part that was about these targets.
    pub(super) fn add(&mut self, outcome: &Outcome, targets: &[Target]) {
        self.parts += 1;
        self.only = (self.parts == 1).then(|| outcome.clone());
        let failed = |t: &Target| outcome.rows.iter().any(|(_, row)| row == t);
        self.rows.extend(outcome.rows.iter().cloned());
        match outcome.code {
            200 | 202..=299 => self.good += targets.len().max(1),
            201 => self.good += targets.len().saturating_sub(outcome.rows.len()).max(1),
            900 if !outcome.rows.is_empty() => {}
            code => {
                let others = targets.iter().filter(|t| !failed(t));
                self.rows.extend(others.map(|t| (code, t.clone())));
            }
        }
    }

    /// Takes the answer of this server to the part that it serves itself.
    pub(super) fn add_own(&mut self, answer: Elem, targets: &[Target]) {
        let tree = answer.into_tree();
        let mut outcome = Outcome::of_csp(&tree);
        if outcome.code == 202 {
            outcome.code = 200;
        }
        self.add(&outcome, targets);
        let presences = tree
            .elements(tree.root())
            .filter(|e| tree.get(*e).name == "Presence");
        for presence in presences {
            let list = tree.child(presence, "PresenceSubList");
            let owner = tree.child_text(presence, "UserID").unwrap_or_default();
            self.content
                .push(
                    Elem::new("Presence")
                        .with(text("UserID", owner))
                        .with_some(list.map(|l| {
                            presence_list(self.version, tree.elements(l).map(|a| copied(&tree, a)).collect())
                        })),
                );
        }
    }

    /// Whether nothing is waited for.
    pub(super) fn is_whole(&self) -> bool {
        self.waiting == 0
    }

    fn outcome(&self) -> Outcome {
        match (&self.only, self.rows.as_slice()) {
            // What a single peer says of a request is what the client hears.
            (Some(only), _) => only.clone(),
            (None, []) => Outcome::plain(200),
            (None, [(code, _)]) if self.good == 0 => Outcome::plain(*code),
            (None, rows) => Outcome {
                code: if self.good > 0 { 201 } else { 900 },
                rows: rows.to_vec(),
                description: None,
            },
        }
    }

    /// The answer to the client.
    pub(super) fn answer(&self) -> Elem {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let outcome = self.outcome();
        let result = outcome.result(self.version);
        match self.request.as_str() {
            "SendMessage-Request" => {
                let id = self.message.as_ref().filter(|_| outcome.is_good());
                Elem::new("SendMessage-Response")
                    .with(result)
                    .with_some(id.map(|id| text("MessageID", id.clone())))
            }
            "GetPresence-Request" => Elem::new("GetPresence-Response")
                .with(result)
                .with_all(self.content.iter().cloned()),
            _ => Elem::new("Status").with(result),
        }
    }
}

impl ServerEngine {
    /// Makes the message to a client from its parts.
    pub(in super::super) fn close(&self, closing: Closing) -> Outgoing {
        let Closing {
            version,
            session,
            parser_size,
            names,
            mut parts,
            promises,
            poll,
        } = closing;
        let open = session.as_deref().and_then(|id| self.sessions.get(id));
        let poll = poll.unwrap_or_else(|| open.is_some_and(|s| !s.queue.is_empty() || promises));
        let whole = compose::message(version, session.as_deref(), Some(poll), parts.clone());
        if parser_size.is_some_and(|size| write(&whole, &WriteOptions::default()).len() > size) {
            // 432, response too large, is of 1.2.
            let code = match version {
                Version::V11 => 500,
                Version::V12 => 432,
            };
            for part in parts
                .iter_mut()
                .filter(|p| p.mode == crate::message::Mode::Response)
            {
                part.primitive = compose::status(code);
            }
            let short = compose::message(version, session.as_deref(), Some(poll), parts);
            return Outgoing::message(short, names);
        }
        Outgoing::message(whole, names)
    }

    /// Holds an answer until peers have said what belongs to these places of it; its number.
    pub(in super::super) fn hold(&mut self, mut closing: Closing, open: Vec<(usize, Box<Sum>)>) -> Outgoing {
        self.relay.last += 1;
        let number = self.relay.last;
        let mut sums = Vec::new();
        for (place, mut sum) in open {
            for (domain, primitive, kind, targets) in std::mem::take(&mut sum.to_send) {
                let asked = Asked {
                    waits: Some((number, place)),
                    kind,
                    targets,
                };
                self.ask_peer(&domain, primitive, asked);
            }
            sums.push((place, *sum));
        }
        let names = closing.names.clone();
        closing.poll = None;
        self.relay.held.insert(number, Held { closing, open: sums });
        Outgoing {
            answers: names,
            held: Some(number),
            ..Outgoing::http(200)
        }
    }

    /// Takes the answer to a relayed request; one that nobody asked for changes nothing.
    pub fn peer_answer(&mut self, now_ms: u64, relay: u64, answer: &PeerAnswer<'_>) {
        let Some(asked) = self.relay.asked.remove(&relay) else {
            return;
        };
        self.remote_users_live(now_ms);
        let mut outcome = match answer {
            PeerAnswer::Message(tree, node) => Outcome::of_answer(tree, *node),
            PeerAnswer::Unreachable if self.relay_has(RelayFault::SucceedsForSilentPeer) => {
                Outcome::plain(200)
            }
            PeerAnswer::Unreachable => Outcome::plain(516),
        };
        let answered = matches!(answer, PeerAnswer::Message(..));
        if answered && outcome.code != 200 && self.relay_has(RelayFault::LosesErrorOfPeer) {
            outcome = Outcome::plain(200);
        }
        if answered && !outcome.is_good() && self.relay_has(RelayFault::ChangesErrorOfPeer) {
            outcome = Outcome::plain(500);
        }
        let message = match answer {
            PeerAnswer::Message(tree, node) => Some((*tree, *node)),
            PeerAnswer::Unreachable => None,
        };
        self.settle(&asked, &outcome, message);
        let Some((number, place)) = asked.waits else {
            return;
        };
        let Some(mut held) = self.relay.held.remove(&number) else {
            return;
        };
        if let Some((_, sum)) = held.open.iter_mut().find(|(p, _)| *p == place) {
            sum.add(&outcome, &asked.targets);
            sum.waiting = sum.waiting.saturating_sub(1);
            match (&asked.kind, message) {
                (Kind::Presence { .. }, Some((tree, node))) => {
                    let more = self.presences_in(tree, node, sum.version);
                    sum.content.extend(more);
                }
                (Kind::Group { group, .. }, message) => {
                    sum.whole = Some(outbound_groups::answer(
                        &sum.request,
                        sum.version,
                        group,
                        &outcome,
                        message,
                    ));
                }
                _ => {}
            }
        }
        if held.open.iter().any(|(_, sum)| !sum.is_whole()) {
            self.relay.held.insert(number, held);
            return;
        }
        for (place, sum) in &held.open {
            if let Some(part) = held.closing.parts.get_mut(*place) {
                part.primitive = sum.answer();
            }
        }
        let outgoing = self.close(held.closing);
        self.relay.ready.push((number, outgoing));
    }

    /// `Presence` for each user in an answer of a peer.
    fn presences_in(&self, tree: &Tree, answer: NodeId, version: Version) -> Vec<Elem> {
        let values = tree
            .elements(answer)
            .filter(|e| tree.get(*e).name == "PresenceValue");
        values
            .filter_map(|v| self.presence_in(tree, v, version))
            .collect()
    }
}
