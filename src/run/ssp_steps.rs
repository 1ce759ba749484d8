//! Steps of a case that are about nodes: servers of peer domains that the lower tester plays.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::case::{Codes, Condition, Expected, Reply, Test, Wanted};
use crate::check::ssp::{SspConversation, item as ssp_item};
use crate::codec::deviation::{Draft, Edit, Encoded, Sending};
use crate::event::Silence;
use crate::message::{Message, Mode, SspEnvelope, Tree, ssp_code};
use crate::peer::names::resource;
use crate::peer::ssp::MEDIA_TYPE_SSP;
use crate::peer::ssp::requests::SspNames;
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::SspProfile;
use crate::transport::client::{self, Address, Framing, Outgoing};
use crate::transport::server::{Answer as HttpAnswer, Arrived};
use crate::verdict::{Part, Place};

use super::conclude::millis;
use super::expectation::Answer;
use super::judge::{Values, condition};
use super::server_answers::Judged;
use super::server_iut::{Phase, Runner, Stop};
use super::ssp_judge::{head_ids, is_ssp};
use super::ssp_node::{Came, Node, Prepared, Seat, Sent};

/// A server under test by SSP.
#[derive(Debug)]
pub struct SspTarget {
    /// Switches.
    pub profile: SspProfile,
    /// The domain that the server speaks for.
    pub domain: String,
    /// Where it takes messages of other servers.
    pub address: Address,
    /// The nodes' listeners; a case takes them and gives them back.
    pub seats: tokio::sync::Mutex<Vec<Seat>>,
}

/// The nodes of a case.
#[derive(Default)]
pub(super) struct SspSide {
    /// By name.
    pub nodes: BTreeMap<String, Node>,
    /// Answers that are still to be sent: node, message, changes. Never sent from within another sending, so that
    /// traffic that does not end cannot pile up calls.
    reactions: VecDeque<(String, Tree, Vec<Edit>)>,
    /// Whether a message is being sent.
    posting: bool,
}

impl SspSide {
    /// The nodes of a case in which nothing was said yet.
    pub(super) fn new(nodes: BTreeMap<String, Node>) -> Self {
        Self {
            nodes,
            ..Self::default()
        }
    }
}

/// Most exchanges of a case; what comes beyond is refused and looked at by nobody.
const MOST_EXCHANGES: u32 = 2_000;
/// Most answers that wait to be sent; what is beyond is not answered.
const MOST_REACTIONS: usize = 1_000;

/// A message that arrived, with the node that it came to.
struct Arrival {
    node: String,
    arrived: Arrived,
}

/// Something that is waited for; boxed, since it stands in the middle of futures that call each other.
pub(super) type Waited<'w, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'w>>;

/// The next message that comes to any node.
async fn next_arrival(nodes: &mut BTreeMap<String, Node>) -> Arrival {
    let waits = nodes.iter_mut().map(|(name, node)| {
        Box::pin(async move {
            match node.seat.listener.arrivals.recv().await {
                Some(arrived) => Arrival {
                    node: name.clone(),
                    arrived,
                },
                None => std::future::pending().await,
            }
        })
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        return std::future::pending().await;
    }
    futures_util::future::select_all(waits).await.0
}

impl Runner<'_> {
    fn ssp_target(&self) -> Result<&SspTarget, Stop> {
        let target = self.target.ssp.as_ref();
        target.ok_or_else(|| Stop::Error("a node in a case without SSP".to_owned()))
    }

    fn node(&mut self, name: &str) -> Result<&mut Node, Stop> {
        let nodes = self.ssp.as_mut().map(|s| &mut s.nodes);
        nodes
            .and_then(|n| n.get_mut(name))
            .ok_or_else(|| Stop::Inconclusive(format!("node {name} is needed and the profile has none")))
    }

    /// Waits for something while the nodes go on answering.
    pub(super) async fn while_pumping<T>(&mut self, mut what: Waited<'_, T>) -> T {
        loop {
            self.react().await;
            let arrival = match &mut self.ssp {
                None => return what.await,
                Some(side) => tokio::select! {
                    biased;
                    done = &mut what => return done,
                    arrival = next_arrival(&mut side.nodes) => arrival,
                },
            };
            self.arrived(arrival);
        }
    }

    /// Sends the answers that wait, unless something is being sent already.
    async fn react(&mut self) {
        loop {
            let next = self.ssp.as_mut().and_then(|side| match side.posting {
                true => None,
                false => side.reactions.pop_front(),
            });
            if self.target.guest.is_leaving() {
                return;
            }
            let Some((node, tree, edits)) = next else { return };
            // What cannot be sent shows in what follows.
            let _ = Box::pin(self.post(&node, tree, &edits)).await;
        }
    }

    /// Lets the nodes work for so long, or until `done` says so.
    async fn pump(&mut self, time: Duration, done: &dyn Fn(&Self) -> bool) {
        let deadline = Instant::now() + time;
        loop {
            self.react().await;
            // A peer that never pauses does not make the time longer.
            if done(self) || self.target.guest.is_leaving() || Instant::now() >= deadline {
                return;
            }
            let Some(side) = &mut self.ssp else { return };
            let arrival = tokio::select! {
                biased;
                arrival = next_arrival(&mut side.nodes) => arrival,
                () = tokio::time::sleep_until(deadline) => return,
            };
            self.arrived(arrival);
        }
    }

    /// Waits for the answers that are still to come, so that they are not taken for those of the next case.
    pub(super) async fn let_nodes_end(&mut self) {
        let Some(time) = self.target.ssp.as_ref().map(|s| s.profile.silence) else {
            return;
        };
        let waits = |r: &Self| r.ssp.iter().flat_map(|s| s.nodes.values()).any(Node::waits);
        self.react().await;
        if waits(self) {
            self.pump(time, &|r| !waits(r)).await;
        }
        if let Some(side) = &mut self.ssp {
            side.nodes.values_mut().for_each(|n| n.conversation.forget_open());
        }
    }

    /// Judges a message of the server, acknowledges it, and has the node react.
    fn arrived(&mut self, arrival: Arrival) {
        let Arrival { node: name, arrived } = arrival;
        if self.next_number() > MOST_EXCHANGES {
            let _ = arrived.answer.send(HttpAnswer::Response(HttpMessage {
                start: "HTTP/1.1 503".to_owned(),
                status: 503,
                ..HttpMessage::default()
            }));
            return;
        }
        let request = arrived.request.clone();
        if !is_ssp(&request) {
            let _ = arrived.answer.send(HttpAnswer::Response(HttpMessage {
                start: "HTTP/1.1 415".to_owned(),
                status: 415,
                ..HttpMessage::default()
            }));
            return;
        }
        if self.is_of_stranger(&name, &request) == Some(true) {
            // Not the server under test: noted, not judged.
            let number = self.next_number();
            let answer = HttpMessage {
                start: "HTTP/1.1 400".to_owned(),
                status: 400,
                ..HttpMessage::default()
            };
            self.record(Exchange {
                number,
                initiator: Initiator::Iut,
                request,
                response: Ok(answer.clone()),
                started_ms: millis(Instant::now().duration_since(self.target.epoch)),
                duration_ms: 0,
                moment: None,
            });
            let _ = arrived.answer.send(HttpAnswer::Response(answer));
            return;
        }
        let number = self.next_number();
        let started_ms = millis(Instant::now().duration_since(self.target.epoch));
        let read = self.judge.ssp_post(&request, number);
        let mut breaches = read.breaches;
        if self.node(&name).is_ok_and(|n| n.seat.offers_tls) {
            let place = Place {
                exchange: Some(number),
                part: Some(Part::Request),
                ..Place::default()
            };
            let text = match arrived.secure {
                true => "the message came over TLS".to_owned(),
                false => "the message came without TLS, which the node offers".to_owned(),
            };
            self.judge
                .charge(&ssp_item("TR", 14), "ssp-tls", arrived.secure, text, place);
        }
        let envelope = read.message.as_ref().and_then(|m| SspEnvelope::of(&m.tree));
        let domain = self.ssp_target().map(|t| t.domain.clone()).unwrap_or_default();
        let mut reaction = None;
        let mut prepared = None;
        if let (Some(message), Some(envelope)) = (&read.message, &envelope) {
            let syntax = std::sync::Arc::clone(&self.judge.suite.tables.ssp);
            let counts = self.phase == Phase::Procedure;
            if let Ok(node) = self.node(&name) {
                let head = head_ids(&request);
                let judged = node.conversation.take(&syntax, &domain, &message.tree, &head);
                let first = envelope
                    .transactions
                    .first()
                    .map(|t| t.name.clone())
                    .unwrap_or_default();
                let asks = envelope
                    .transactions
                    .first()
                    .is_some_and(|t| t.mode == Mode::Request);
                if asks {
                    prepared = node.prepared.iter().find(|p| p.primitive == first).cloned();
                }
                // What came back with the node's own session is no message of the server that a step could take.
                let reflected = SspConversation::sender(&message.tree).as_ref() == Some(&node.seat.domain);
                if !reflected {
                    reaction = node.react(&message.tree, envelope);
                }
                node.came
                    .extend(one_by_one(message, envelope).filter(|_| !reflected).map(
                        |(message, envelope)| Came {
                            message,
                            envelope,
                            number,
                            breaches: Vec::new(),
                            taken: false,
                            counts,
                        },
                    ));
                breaches.extend(self.judge.conversation(judged, number, Part::Request));
            }
        }
        let http = prepared.as_ref().map(|p| p.edits.clone()).unwrap_or_default();
        let acknowledgement = acknowledgement(&http);
        let response = match &acknowledgement {
            HttpAnswer::Response(r) => Ok(r.clone()),
            HttpAnswer::Silence | HttpAnswer::Close => Err(Failure::Cancelled),
        };
        let refused = response.as_ref().map_or(true, |r| r.status != 200);
        self.record(Exchange {
            number,
            initiator: Initiator::Iut,
            request,
            response,
            started_ms,
            duration_ms: 0,
            moment: None,
        });
        let _ = arrived.answer.send(acknowledgement);
        if let Ok(node) = self.node(&name) {
            node.broken.extend(breaches.iter().cloned());
            for came in node.came.iter_mut().filter(|c| c.number == number) {
                came.breaches.clone_from(&breaches);
            }
        }
        // A node that did not take the message has nothing to answer.
        if let Some(tree) = reaction.filter(|_| !refused) {
            let edits: Vec<Edit> = http.into_iter().filter(|e| !is_of_http(e)).collect();
            if let Some(side) = &mut self.ssp
                && side.reactions.len() < MOST_REACTIONS
            {
                side.reactions.push_back((name, tree, edits));
            }
        }
    }

    /// Whether a message is not of the server under test, as far as it tells: it is of another domain, or, in a
    /// set-up, of the node's own, come back.
    fn is_of_stranger(&mut self, name: &str, request: &HttpMessage) -> Option<bool> {
        let message = super::suite::reread(&request.body)?;
        let sender = SspConversation::sender(&message.tree)?;
        let own = self.ssp_target().ok()?.domain.clone();
        let setup = SspEnvelope::of(&message.tree).is_some_and(|e| e.setup);
        let node = self.node(name).ok()?.seat.domain.clone();
        Some(sender != own && (sender != node || setup))
    }

    /// Sends a message of a node, and judges how it is acknowledged.
    async fn post(&mut self, name: &str, tree: Tree, edits: &[Edit]) -> Result<(), Stop> {
        let correct = edits.is_empty();
        let version = self.judge.version;
        let head = if edits.contains(&Edit::Bare) {
            crate::check::ssp::HeaderIds::default()
        } else {
            self.node(name)?.head(&tree)
        };
        let encoded = Draft {
            version,
            status: 0,
            method: "POST".to_owned(),
            media_type: MEDIA_TYPE_SSP.to_owned(),
            tree: Some(tree),
            sending: Sending::Normal,
        }
        .encode(edits, &|n| self.value(n))
        .map_err(Stop::Error)?;
        if encoded.sending != Sending::Normal {
            return Ok(());
        }
        let sent = super::suite::reread(&encoded.body);
        let names = sent.as_ref().and_then(|m| SspEnvelope::of(&m.tree));
        // Before it is sent: what it brings may be here before it is acknowledged. Only what the server says is
        // judged; what the node says is learned.
        let syntax = std::sync::Arc::clone(&self.judge.suite.tables.ssp);
        let node = self.node(name)?;
        let domain = node.seat.domain.clone();
        if let Some(message) = &sent {
            let _ = node.conversation.take(&syntax, &domain, &message.tree, &head);
            node.learn_sent(&message.tree);
            self.learned_by_others(&syntax, name, &message.tree);
        }
        let was = self.ssp.as_mut().map(|s| std::mem::replace(&mut s.posting, true));
        let number = self.post_octets(&encoded, &head).await;
        if let (Some(side), Some(was)) = (&mut self.ssp, was) {
            side.posting = was;
        }
        let number = number?;
        let status = self.response_of(number).ok().map(|r| r.status);
        let sound = sent
            .as_ref()
            .is_some_and(|m| self.judge.suite.ssp.check(m).findings.is_empty());
        let node = self.node(name)?;
        if let Some(envelope) = &names
            && envelope.transactions.iter().any(|t| t.mode == Mode::Request)
        {
            node.sent = Sent {
                names: envelope.transactions.iter().map(|t| t.name.clone()).collect(),
                ids: envelope.transactions.iter().map(|t| t.id.clone()).collect(),
                setup: envelope.setup,
                number,
                status,
                correct,
            };
        } else {
            node.sent.number = number;
            node.sent.status = status;
            node.sent.correct = correct;
            if names.is_none() {
                node.sent.ids.clear();
                node.sent.names = vec!["the octets".to_owned()];
            }
        }
        if status == Some(200) {
            self.acknowledged(number, correct && sound);
        }
        Ok(())
    }

    /// A message with the session id of another node may be answered to that one.
    fn learned_by_others(&mut self, syntax: &crate::spec::SspSyntax, name: &str, tree: &Tree) {
        let session = SspEnvelope::of(tree).and_then(|e| e.session_id);
        let others = self.ssp.iter_mut().flat_map(|s| &mut s.nodes);
        for (_, node) in others.filter(|(n, _)| *n != name) {
            if session.is_some() && node.own_session() == session.as_deref() {
                let domain = node.seat.domain.clone();
                let head = crate::check::ssp::HeaderIds::default();
                let _ = node.conversation.take(syntax, &domain, tree, &head);
            }
        }
    }

    /// TR-ACK and TR-SEP: how a correct message is acknowledged.
    fn acknowledged(&mut self, number: u32, sound: bool) {
        let Ok(response) = self.response_of(number) else {
            return;
        };
        let place = Place {
            exchange: Some(number),
            part: Some(Part::Response),
            ..Place::default()
        };
        let message = response.body.windows(14).any(|w| w == b"WV-SSP-Message");
        let text = if message {
            "the answer stands in the answer of HTTP".to_owned()
        } else {
            "the answer of HTTP holds no message".to_owned()
        };
        if message || sound {
            let item = ssp_item("TR", 4);
            self.judge
                .charge(&item, "ssp-separate", !message, text, place.clone());
        }
        if message {
            // What is missed from now on may have come there.
            let nodes = self.ssp.iter_mut().flat_map(|s| s.nodes.values_mut());
            nodes.for_each(|node| node.broken.push(ssp_item("TR", 4)));
        }
        if message || !sound {
            return;
        }
        let good = response.status == 200 && response.body.is_empty();
        let text = format!(
            "a correct message is answered by HTTP {} with {} octets",
            response.status,
            response.body.len()
        );
        self.judge
            .charge(&ssp_item("TR", 3), "ssp-acknowledged", good, text, place);
    }

    async fn post_octets(
        &mut self,
        encoded: &Encoded,
        head: &crate::check::ssp::HeaderIds,
    ) -> Result<u32, Stop> {
        let target = self.ssp_target()?;
        let address = target.address.clone();
        let patience = self.target.response;
        let mut headers = Vec::new();
        if !encoded.media_type.is_empty() {
            headers.push(("Content-Type".to_owned(), encoded.media_type.clone()));
        }
        for (field, value) in [
            ("x-wv-transactionid", &head.transaction),
            ("x-wv-sessionid", &head.session),
        ] {
            if let Some(value) = value {
                headers.push((field.to_owned(), value.clone()));
            }
        }
        let method = encoded.method.clone();
        let body = encoded.body.clone();
        let framing = if encoded.chunked {
            Framing::Chunked
        } else {
            Framing::Length
        };
        let expect_continue = encoded.expect_continue;
        self.target.pace.wait().await;
        let since = Instant::now();
        let sending = async move {
            let outgoing = Outgoing {
                method: &method,
                headers: &headers,
                body,
                framing,
                expect_continue,
            };
            client::exchange(&address, outgoing, patience).await
        };
        let (request, response) = self.while_pumping(Box::pin(sending)).await;
        let number = self.next_number();
        self.record(Exchange {
            number,
            initiator: Initiator::Tester,
            request,
            response: response.clone(),
            started_ms: millis(since.duration_since(self.target.epoch)),
            duration_ms: millis(since.elapsed()),
            moment: None,
        });
        match response {
            Err(failure @ (Failure::Unreachable(_) | Failure::Tls(_))) => {
                Err(Stop::Inconclusive(failure.to_string()))
            }
            _ => Ok(number),
        }
    }

    /// A step `send` of a node.
    pub(super) async fn node_send(
        &mut self,
        primitives: &[String],
        name: &str,
        edits: &[Edit],
    ) -> Result<(), Stop> {
        let names = self.ssp_names(name)?;
        let node = self.node(name)?;
        if primitives.iter().any(|p| p == "SendSecretToken") {
            // What came of an earlier set-up is not the answer to this one.
            node.came.iter_mut().for_each(|c| c.taken = true);
        }
        let tree = node.compose(primitives, &names).map_err(Stop::Error)?;
        self.post(name, tree, edits).await
    }

    /// A step `prepare`.
    pub(super) fn prepare(
        &mut self,
        name: &str,
        primitive: &str,
        reply: Reply,
        edits: &[Edit],
    ) -> Result<(), Stop> {
        let node = self.node(name)?;
        node.prepared.push_front(Prepared {
            primitive: primitive.to_owned(),
            status: match reply {
                Reply::Status(code) => Some(code),
                Reply::Correct | Reply::Nothing => None,
            },
            silent: reply == Reply::Nothing,
            edits: edits.to_vec(),
        });
        Ok(())
    }

    /// A step `expect` of a node: what must come back to the last request.
    pub(super) async fn node_expect(
        &mut self,
        expected: &Expected,
        name: &str,
        item: Option<&ItemId>,
        tests: &[Test],
        codes: &Codes,
    ) -> Result<(), Stop> {
        // Without an item it is a means to something else, as in preconditions.
        let named = item.is_some();
        let item = item.unwrap_or(&self.case.scr[0]).clone();
        let phase = self.phase;
        if !named {
            self.phase = Phase::Preconditions;
        }
        let result = self.node_expect_of(expected, name, &item, tests, codes).await;
        self.phase = phase;
        result
    }

    async fn node_expect_of(
        &mut self,
        expected: &Expected,
        name: &str,
        item: &ItemId,
        tests: &[Test],
        codes: &Codes,
    ) -> Result<(), Stop> {
        let item = item.clone();
        let sent = self.node(name)?.sent.clone();
        let asked = sent.names.join(" + ");
        let refused_by_http = sent.status.is_none_or(|s| s >= 400);
        let waits = match expected {
            Expected::NotServed | Expected::Delivery => self.ssp_target()?.profile.silence,
            _ if refused_by_http => Duration::from_millis(1),
            _ => self.target.response,
        };
        let answer_of = {
            let (sent, name) = (sent.clone(), name.to_owned());
            move |runner: &Self| {
                let node = runner.ssp.as_ref()?.nodes.get(&name)?;
                node.came.iter().position(|c| !c.taken && answers(&sent, c))
            }
        };
        self.pump(waits, &|r: &Self| answer_of(r).is_some()).await;
        let index = answer_of(self);
        let rule = format!("{asked} is answered by {expected}");
        let Some(index) = index else {
            return self.no_answer(expected, name, &item, &rule, &sent, tests);
        };
        let came = {
            let came = &mut self.node(name)?.came[index];
            came.taken = true;
            came.clone()
        };
        let place = Place {
            exchange: Some(came.number),
            part: Some(Part::Request),
            ..Place::default()
        };
        if let Some(status) = sent.status.filter(|s| *s != 200 && sent.correct) {
            // It was served: so it was an acceptable one.
            let acknowledged = Place {
                exchange: Some(sent.number),
                part: Some(Part::Response),
                ..Place::default()
            };
            let text = format!("{asked} is served, and was acknowledged by HTTP {status}");
            self.judge
                .charge(&ssp_item("TR", 3), "ssp-acknowledged", false, text, acknowledged);
        }
        let code = first_ssp_code(&came.message.tree);
        let found = match code {
            Some(code) => format!("{} with code {code}", came.name()),
            None => came.name().to_owned(),
        };
        if let Some(code) = code.filter(|c| codes.decline.contains(c)) {
            return Err(Stop::Declined(code));
        }
        if code.is_some_and(|c| codes.settled_by.contains(&c)) {
            if self.phase == Phase::Procedure {
                let text = format!("{found} settles it");
                self.judge.charge(&item, &rule, true, text, place);
            }
            return Err(Stop::Settled);
        }
        if code.is_some_and(|c| codes.excused_by.contains(&c)) {
            return Ok(());
        }
        let refused = code.is_some_and(|c| c >= 400);
        let speaks_of_code = tests
            .iter()
            .any(|t| condition_path(&t.condition).ends_with("@code"));
        let met = match expected {
            Expected::Primitives(names) => {
                names.iter().any(|n| n == came.name())
                    && (sent.setup || speaks_of_code || code.is_none_or(|c| c / 100 == 2))
            }
            Expected::Refusal | Expected::NotServed => refused,
            Expected::Answer => true,
            Expected::Taken => !matches!(code, Some(400 | 402)),
            Expected::Delivery => false,
        };
        if !met {
            let text = format!("answered by {found}, expected {expected}");
            // A success where none is due is the breach itself.
            if !came.breaches.is_empty() && *expected != Expected::NotServed {
                return self.blocked(&item, &rule, text, &came.breaches, place);
            }
            return self.unmet(&item, &rule, text, place);
        }
        if self.phase == Phase::Procedure {
            let text = format!("answered by {found}");
            self.judge.charge(&item, &rule, true, text, place.clone());
        }
        let of = Judged {
            tree: &came.message.tree,
            about: &asked,
            item: &item,
            breaches: &came.breaches,
            place,
        };
        let stop = self.conditions(tests, of);
        self.keep_from(name, &came.message, came.number);
        match stop {
            Some(Stop::Charged) | None => Ok(()),
            Some(stop) => Err(stop),
        }
    }

    fn no_answer(
        &mut self,
        expected: &Expected,
        name: &str,
        item: &ItemId,
        rule: &str,
        sent: &Sent,
        tests: &[Test],
    ) -> Result<(), Stop> {
        let place = Place {
            exchange: Some(sent.number),
            part: Some(Part::Response),
            ..Place::default()
        };
        let told = match sent.status {
            None => "the connection was closed".to_owned(),
            Some(status) => format!("HTTP {status}"),
        };
        let by_http = sent.status.is_none_or(|s| s >= 400);
        let silent = matches!(expected, Expected::NotServed | Expected::Delivery);
        if silent || by_http && matches!(expected, Expected::Refusal | Expected::Answer) {
            if silent && !by_http {
                self.silence.push(Silence {
                    of: format!("an answer to {}", sent.names.join(" + ")),
                    proof: "window".to_owned(),
                    waited_ms: millis(self.ssp_target()?.profile.silence),
                });
            }
            if self.phase == Phase::Procedure {
                let text = format!("no message answers it ({told})");
                self.judge.charge(item, rule, true, text, place);
            }
            // Conditions ask for parts of an answer that need not come.
            let _ = tests;
            return Ok(());
        }
        let text = format!("no message answers it ({told}), expected {expected}");
        let broken = self.node(name)?.broken.clone();
        match broken.is_empty() {
            true => self.unmet(item, rule, text, place),
            false => self.blocked(item, rule, text, &broken, place),
        }
    }

    /// A step `receive` of a node: a request of the server must come.
    pub(super) async fn node_receive(
        &mut self,
        wanted: &Wanted,
        item: &ItemId,
        tests: &[Test],
    ) -> Result<(), Stop> {
        let name = wanted.lane.clone();
        let names = wanted.primitives.join(" or ");
        let rule = format!("{names} comes to {name}");
        let time = self.ssp_target()?.profile.relay;
        self.pump(time, &|r: &Self| r.find_at_node(wanted, false).is_some())
            .await;
        let Some(index) = self.find_at_node(wanted, false) else {
            let text = format!("no {wanted} came within {} s", time.as_secs());
            if self.goes_on_with_session(wanted) {
                return Err(Stop::Inconclusive(format!(
                    "{text}: the server goes on with a session that it has, of an earlier run perhaps"
                )));
            }
            if self.is_stuck_in_setup(wanted) {
                return Err(Stop::Inconclusive(format!(
                    "{text}: the set-up that the server began has not come to its end"
                )));
            }
            let broken = self.node(&name)?.broken.clone();
            let place = Place::default();
            return match broken.is_empty() {
                true => self.unmet(item, &rule, text, place),
                false => self.blocked(item, &rule, text, &broken, place),
            };
        };
        let came = {
            let came = &mut self.node(&name)?.came[index];
            came.taken = true;
            came.clone()
        };
        let place = Place {
            exchange: Some(came.number),
            part: Some(Part::Request),
            ..Place::default()
        };
        if self.phase == Phase::Procedure {
            let text = format!("{} came to {name}", came.name());
            self.judge.charge(item, &rule, true, text, place.clone());
        }
        let of = Judged {
            tree: &came.message.tree,
            about: &names,
            item,
            breaches: &came.breaches,
            place,
        };
        let stop = self.conditions(tests, of);
        self.keep_from(&name, &came.message, came.number);
        match stop {
            Some(Stop::Charged) | None => Ok(()),
            Some(stop) => Err(stop),
        }
    }

    /// Whether a set-up cannot come because the server sends in a session all the same.
    fn goes_on_with_session(&self, wanted: &Wanted) -> bool {
        let syntax = &self.judge.suite.tables.ssp;
        let is_setup = |name: &String| syntax.primitive(name).is_some_and(|p| p.setup);
        let node = self.ssp.as_ref().and_then(|s| s.nodes.get(&wanted.lane));
        let in_session = |c: &Came| !c.envelope.setup && c.mode() == Some(&Mode::Request);
        wanted.primitives.iter().all(is_setup) && node.is_some_and(|n| n.came.iter().any(in_session))
    }

    /// Whether a request cannot come because the server is still at a set-up, which is the business of others.
    fn is_stuck_in_setup(&self, wanted: &Wanted) -> bool {
        let syntax = &self.judge.suite.tables.ssp;
        let is_setup = |name: &String| {
            let name = name.trim_end_matches(".answer");
            syntax.primitive(name).is_some_and(|p| p.setup)
        };
        let node = self.ssp.as_ref().and_then(|s| s.nodes.get(&wanted.lane));
        let began = |node: &Node| {
            let first = |c: &Came| c.name() == "SendSecretToken" && c.mode() == Some(&Mode::Request);
            node.their_session().is_none() && node.came.iter().any(first)
        };
        !wanted.primitives.iter().any(is_setup) && node.is_some_and(began)
    }

    /// A step `nothing` of a node.
    pub(super) async fn node_nothing(
        &mut self,
        wanted: &Wanted,
        item: &ItemId,
        window: bool,
    ) -> Result<(), Stop> {
        let mut waited = Duration::ZERO;
        if window {
            waited = self.ssp_target()?.profile.silence;
            self.pump(waited, &|_| false).await;
        }
        let found = self.find_at_node(wanted, true);
        let rule = format!("no {wanted}");
        let (text, place) = match found {
            Some(index) => {
                let place = Place {
                    exchange: Some(self.node(&wanted.lane)?.came[index].number),
                    part: Some(Part::Request),
                    ..Place::default()
                };
                (format!("{wanted} came"), place)
            }
            None => (format!("no {wanted} came"), Place::default()),
        };
        self.silence.push(Silence {
            of: wanted.to_string(),
            proof: if window { "window" } else { "fence" }.to_owned(),
            waited_ms: millis(waited),
        });
        if found.is_some() {
            return self.unmet(item, &rule, text, place);
        }
        match self.phase {
            Phase::Procedure => {
                self.judge.charge(item, &rule, true, text, place);
            }
            _ => self
                .node(&wanted.lane)?
                .came
                .iter_mut()
                .for_each(|c| c.taken = true),
        }
        Ok(())
    }

    fn find_at_node(&self, wanted: &Wanted, any: bool) -> Option<usize> {
        let node = self.ssp.as_ref()?.nodes.get(&wanted.lane)?;
        node.came.iter().position(|c| {
            let wants = |n: &Condition| {
                let test = Test {
                    item: None,
                    condition: n.clone(),
                    declines: false,
                };
                condition(&test, &c.message.tree, self).0
            };
            (any && c.counts && !(wanted.more && c.taken) || !any && !c.taken)
                && wanted.primitives.iter().any(|p| match p.strip_suffix(".answer") {
                    Some(name) => c.mode() == Some(&Mode::Response) && (name == "any" || name == c.name()),
                    None => c.mode() == Some(&Mode::Request) && (p == "any" || p == c.name()),
                })
                && wanted.matching.iter().all(wants)
        })
    }

    /// What `keep` reads from now on.
    fn keep_from(&mut self, name: &str, message: &Message, number: u32) {
        self.at_nodes.insert(
            name.to_owned(),
            (Answer::Message(Box::new(message.clone())), number),
        );
    }

    /// Whom and what the requests of a node are about.
    fn ssp_names(&self, name: &str) -> Result<SspNames, Stop> {
        let value = |v: &str| self.value(v).unwrap_or_default();
        let of = |field: &str| value(&format!("{name}.{field}"));
        Ok(SspNames {
            domain: of("domain"),
            me: of("user"),
            // Without accounts a case asks about somebody who does not exist.
            user: self
                .value("A.user")
                .or_else(|| self.value("unknown-user"))
                .unwrap_or_default(),
            other: value("B.user"),
            group: value("A.group"),
            own_group: of("group"),
            message: value("message"),
            invitation: value("invitation"),
            content: value("content"),
            word: value("word"),
            now: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    }

    /// `$N.user` and the like.
    pub(super) fn node_value(&self, node: &str, field: &str) -> Option<String> {
        let node = self.ssp.as_ref()?.nodes.get(node)?;
        let domain = &node.seat.domain;
        let user = |name: &str| format!("wv:{name}@{domain}");
        Some(match field {
            "domain" => domain.clone(),
            "service" => format!("wv:@{domain}"),
            "user" => user("nina"),
            "user2" => user("nils"),
            "group" => resource(&user("nina"), "party"),
            "session" => node.own_session()?.to_owned(),
            "their-session" => node.their_session()?.to_owned(),
            "token" => node.token().to_owned(),
            "unknown-session" => format!("no-such-session@{domain}"),
            "first-digest" => node.first_digest()?.to_owned(),
            "service-other-case" => format!("wv:@{}", domain.to_uppercase()),
            "user-other-case" => format!("wv:nina@{}", domain.to_uppercase()),
            _ => return None,
        })
    }
}

/// A message for each of its transactions, which holds that one alone.
fn one_by_one<'m>(
    message: &'m Message,
    envelope: &'m SspEnvelope,
) -> impl Iterator<Item = (Message, SspEnvelope)> + 'm {
    envelope.transactions.iter().map(|own| {
        let mut alone = message.clone();
        for other in envelope.transactions.iter().filter(|t| t.node != own.node) {
            alone.tree.detach(other.node);
        }
        let envelope = SspEnvelope {
            transactions: vec![own.clone()],
            ..envelope.clone()
        };
        (alone, envelope)
    })
}

/// Whether a message answers what was sent.
fn answers(sent: &Sent, came: &Came) -> bool {
    if came.mode() != Some(&Mode::Response) {
        return false;
    }
    if sent.setup {
        return came.envelope.setup && sent.names.iter().any(|n| n == came.name());
    }
    !came.envelope.setup
        && came
            .envelope
            .transactions
            .iter()
            .any(|t| sent.ids.contains(&t.id))
}

/// The code of the first answer of a message.
pub(super) fn first_ssp_code(tree: &Tree) -> Option<u16> {
    let envelope = SspEnvelope::of(tree)?;
    let first = envelope.transactions.first()?;
    ssp_code(tree, first.primitive?)
}

fn condition_path(condition: &Condition) -> String {
    match condition {
        Condition::In(path, _)
        | Condition::InOrAbsent(path, _)
        | Condition::NotIn(path, _)
        | Condition::Includes(path, _)
        | Condition::Class(path, _)
        | Condition::Present(path) => path.to_string(),
        _ => String::new(),
    }
}

fn is_of_http(edit: &Edit) -> bool {
    matches!(edit, Edit::HttpStatus(_) | Edit::Close | Edit::Silent)
}

/// How a node acknowledges a message by HTTP.
fn acknowledgement(edits: &[Edit]) -> HttpAnswer {
    for edit in edits {
        match edit {
            Edit::Close => return HttpAnswer::Close,
            Edit::Silent => return HttpAnswer::Silence,
            Edit::HttpStatus(status) => {
                return HttpAnswer::Response(HttpMessage {
                    start: format!("HTTP/1.1 {status}"),
                    status: *status,
                    ..HttpMessage::default()
                });
            }
            _ => {}
        }
    }
    HttpAnswer::Response(HttpMessage {
        start: "HTTP/1.1 200".to_owned(),
        status: 200,
        ..HttpMessage::default()
    })
}
