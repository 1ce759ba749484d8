//! Two servers of two domains, with clients, for all tests of the relay; and messages.

use std::sync::{Arc, LazyLock};

use super::*;
use crate::base::FileSet;
use crate::check::Checker;
use crate::codec::{WriteOptions, write};
use crate::message::text;
use crate::peer::compose::{self, Part};
use crate::peer::contents::{selection, user};
use crate::peer::samples::attribute;
use crate::peer::server::{Incoming, ServerConfig, served_functions};
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::spec::Group;
use crate::spec::tables::Tables;

pub(super) const A: &str = "a.example";
pub(super) const B: &str = "b.example";
pub(super) const ANN: &str = "wv:ann@a.example";
pub(super) const ARI: &str = "wv:ari@a.example";
pub(super) const BEN: &str = "wv:ben@b.example";
pub(super) const BEA: &str = "wv:bea@b.example";

static CHECKER: LazyLock<Arc<Checker>> = LazyLock::new(|| {
    let tables = Tables::load(&FileSet::tables()).expect("the embedded tables");
    Arc::new(Checker::new(Arc::clone(&tables.syntax)))
});

/// Two servers, and what passed between them.
pub(super) struct World2 {
    pub a: ServerEngine,
    pub b: ServerEngine,
    pub now_ms: u64,
    next: u32,
    /// What crossed, by the name of the sender's domain.
    pub crossed: Vec<(&'static str, Tree)>,
    /// Domains that do not answer.
    pub silent: Vec<&'static str>,
    pub sessions: BTreeMap<String, String>,
}

fn engine(users: [&str; 2], seed: u64, peers: &[&str]) -> ServerEngine {
    let config = ServerConfig {
        accounts: users
            .iter()
            .map(|u| Credentials {
                user: (*u).to_owned(),
                password: "pw".to_owned(),
            })
            .collect(),
        max_keep_alive: 600,
        functions: served_functions(),
        seed,
    };
    let peers: Vec<String> = peers.iter().map(|p| (*p).to_owned()).collect();
    ServerEngine::new(config, Arc::clone(&CHECKER)).with_peers(&peers)
}

/// The tree of one element.
pub(super) fn tree(elem: &Elem) -> Tree {
    elem.clone().into_tree()
}

/// What stands at a path of an element; a last part with `@` is an attribute.
pub(super) fn at(tree: &Tree, path: &str) -> Option<String> {
    let mut node = tree.root();
    for part in path.split('/') {
        node = tree.child(node, part)?;
    }
    Some(tree.text(node).trim().to_owned())
}

/// How many elements of a name are in a tree.
pub(super) fn count(tree: &Tree, name: &str) -> usize {
    tree.walk(tree.root())
        .into_iter()
        .filter(|e| tree.get(*e).name == name)
        .count()
}

impl World2 {
    pub fn new() -> Self {
        Self::with(None, None)
    }

    pub fn with(fault_a: Option<RelayFault>, fault_b: Option<RelayFault>) -> Self {
        let mut world = Self {
            a: engine([ANN, ARI], 1, &[B, "C.example"]).with_relay_fault(fault_a),
            b: engine([BEN, BEA], 1, &["wv:@A.example"]).with_relay_fault(fault_b),
            now_ms: 0,
            next: 0,
            crossed: Vec::new(),
            silent: Vec::new(),
            sessions: BTreeMap::new(),
        };
        for user in [ANN, ARI, BEN, BEA] {
            world.login(user);
        }
        world
    }

    pub fn engine_of(&mut self, user: &str) -> &mut ServerEngine {
        match user.ends_with(A) {
            true => &mut self.a,
            false => &mut self.b,
        }
    }

    fn post(&mut self, of: &str, message: &Tree) -> Outgoing {
        self.now_ms += 1000;
        let now_ms = self.now_ms;
        let body = write(message, &WriteOptions::default());
        self.engine_of(of).handle(
            now_ms,
            &Incoming {
                method: "POST",
                media_type: Some(MEDIA_TYPE_XML),
                charset: None,
                body: &body,
            },
        )
    }

    pub fn login(&mut self, of: &str) {
        let request = Elem::new("Login-Request")
            .with(text("UserID", of))
            .with(compose::client_id("http://client.example/"))
            .with(text("Password", "pw"))
            .with(text("TimeToLive", "600"))
            .with(text("SessionCookie", "c"));
        let part = Part {
            mode: crate::message::Mode::Request,
            id: "login".to_owned(),
            primitive: request,
        };
        let message = compose::message(Version::V12, None, None, vec![part]);
        let answer = self.post(of, &message).tree.expect("an answer");
        let id = answer
            .walk(answer.root())
            .into_iter()
            .find(|e| answer.get(*e).name == "SessionID")
            .map(|e| answer.text(e))
            .expect("a session");
        self.sessions.insert(of.to_owned(), id);
    }

    /// Sends a request of a client without letting anything cross.
    pub fn start(&mut self, of: &str, request: Elem) -> Outgoing {
        self.next += 1;
        let part = Part {
            mode: crate::message::Mode::Request,
            id: format!("t{}", self.next),
            primitive: request,
        };
        let session = self.sessions[of].clone();
        let message = compose::message(Version::V12, Some(&session), None, vec![part]);
        self.post(of, &message)
    }

    /// Sends a request of a client; its answer, when everything has crossed.
    pub fn ask(&mut self, of: &str, request: Elem) -> Tree {
        let outgoing = self.start(of, request);
        let Some(number) = outgoing.held else {
            self.shuttle();
            return primitive_of(&outgoing.tree.expect("an answer"));
        };
        self.shuttle();
        let released = self.engine_of(of).released();
        let (_, answer) = released
            .into_iter()
            .find(|(n, _)| *n == number)
            .expect("released");
        primitive_of(&answer.tree.expect("an answer"))
    }

    /// The code of an answer.
    pub fn code(&mut self, of: &str, request: Elem) -> String {
        let answer = self.ask(of, request);
        at(&answer, "Result/Code").unwrap_or_else(|| answer.get(answer.root()).name.clone())
    }

    /// What waits for a client; it confirms what needs to be.
    pub fn poll(&mut self, of: &str) -> Vec<Tree> {
        let mut out = Vec::new();
        let session = self.sessions[of].clone();
        loop {
            let poll = Part {
                mode: crate::message::Mode::Request,
                id: String::new(),
                primitive: Elem::new("Polling-Request"),
            };
            let message = compose::message(Version::V12, Some(&session), None, vec![poll]);
            let Some(answer) = self.post(of, &message).tree else {
                break;
            };
            let envelope = crate::message::Envelope::of(&answer).expect("an envelope");
            for transaction in &envelope.transactions {
                let mut copy = Tree::new("x", "");
                let node = transaction.primitive.expect("a primitive");
                let elem = mapping::copied(&answer, node);
                copy.clone_from(&tree(&elem));
                let confirmed = match copy.get(copy.root()).name.as_str() {
                    "NewMessage" => Elem::new("MessageDelivered")
                        .with(text("MessageID", at(&copy, "MessageInfo/MessageID").unwrap())),
                    _ => compose::status(200),
                };
                let part = Part {
                    mode: crate::message::Mode::Response,
                    id: transaction.id.clone(),
                    primitive: confirmed,
                };
                let message = compose::message(Version::V12, Some(&session), None, vec![part]);
                self.post(of, &message);
                out.push(copy);
            }
        }
        self.shuttle();
        out
    }

    /// Lets everything cross until nothing is left.
    pub fn shuttle(&mut self) {
        loop {
            let from_a = self.a.to_peers();
            let from_b = self.b.to_peers();
            if from_a.is_empty() && from_b.is_empty() {
                return;
            }
            for (sender, message) in from_a
                .into_iter()
                .map(|m| (A, m))
                .chain(from_b.into_iter().map(|m| (B, m)))
            {
                self.cross(sender, message);
            }
        }
    }

    fn cross(&mut self, sender: &'static str, message: ToPeer) {
        let sent = tree(&message.primitive);
        self.crossed.push((sender, sent.clone()));
        let known = message.domain == A || message.domain == B;
        let mut answer = None;
        if known && !self.silent.contains(&message.domain.as_str()) {
            let now_ms = self.now_ms;
            let (to, from) = match sender {
                A => (&mut self.b, A),
                _ => (&mut self.a, B),
            };
            answer = to.peer_request(now_ms, from, &sent, sent.root());
        }
        let Some(relay) = message.relay else { return };
        let back = match sender {
            A => &mut self.a,
            _ => &mut self.b,
        };
        match answer.as_ref().map(tree) {
            Some(answer) => {
                back.peer_answer(self.now_ms, relay, &PeerAnswer::Message(&answer, answer.root()));
            }
            None => back.peer_answer(self.now_ms, relay, &PeerAnswer::Unreachable),
        }
    }

    /// What of a name has crossed since the last look.
    pub fn took(&mut self, name: &str) -> Vec<Tree> {
        let all = std::mem::take(&mut self.crossed);
        let (of_name, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, t)| t.get(t.root()).name == name);
        self.crossed = others;
        of_name.into_iter().map(|(_, t)| t).collect()
    }

    /// Gives a server a request as its peer would; the answer.
    pub fn peer_asks(&mut self, to: &str, request: Elem) -> Option<Tree> {
        let (domain, now_ms) = (if to == A { B } else { A }, self.now_ms);
        let sent = tree(&request);
        let engine = if to == A { &mut self.a } else { &mut self.b };
        engine
            .peer_request(now_ms, domain, &sent, sent.root())
            .map(|e| tree(&e))
    }
}

fn primitive_of(message: &Tree) -> Tree {
    let envelope = crate::message::Envelope::of(message).expect("an envelope");
    let node = envelope.transactions[0].primitive.expect("a primitive");
    tree(&mapping::copied(message, node))
}

pub(super) fn message(from: &str, to: &[&str], report: bool) -> Elem {
    Elem::new("SendMessage-Request")
        .with(text("DeliveryReport", if report { "T" } else { "F" }))
        .with(
            Elem::new("MessageInfo")
                .with(text("ContentType", "text/plain"))
                .with(text("ContentSize", "5"))
                .with(Elem::new("Recipient").with_all(to.iter().map(|t| user(t))))
                .with(Elem::new("Sender").with(user(from)))
                .with(text("Validity", "600")),
        )
        .with(text("ContentData", "grüß"))
}

pub(super) fn subscribe(to: &[&str]) -> Elem {
    Elem::new("SubscribePresence-Request")
        .with_all(to.iter().map(|t| user(t)))
        .with(selection(Version::V12, &["UserAvailability", "StatusText"]))
        .with(text("AutoSubscribe", "F"))
}

pub(super) fn update(words: &str) -> Elem {
    Elem::new("UpdatePresence-Request").with(
        Elem::new("PresenceSubList")
            .in_namespace(Version::V12.namespace(Group::Pa))
            .with(attribute("StatusText", words)),
    )
}

/// Lets somebody see what a user publishes.
pub(super) fn allow(whom: &str, attributes: &[&str]) -> Elem {
    Elem::new("CreateAttributeList-Request")
        .with(selection(Version::V12, attributes))
        .with(text("UserID", whom))
        .with(text("DefaultList", "F"))
}

pub(super) fn names(of: &[Tree]) -> Vec<String> {
    of.iter().map(|t| t.get(t.root()).name.clone()).collect()
}

#[test]
fn a_message_crosses_and_is_reported() {
    let mut w = World2::new();
    let answer = w.ask(ANN, message(ANN, &[BEN], true));
    assert_eq!(at(&answer, "Result/Code").as_deref(), Some("200"));
    let id = at(&answer, "MessageID").unwrap();
    let sent = w.took("SendMessageRequest").remove(0);
    assert_eq!(at(&sent, "@deliveryReport").as_deref(), Some("Yes"));
    assert_eq!(at(&sent, "MetaInfo/@clientOriginated").as_deref(), Some("Yes"));
    assert_eq!(
        at(&sent, "MetaInfo/Requestor/@serviceID").as_deref(),
        Some("wv:@a.example")
    );
    assert_eq!(at(&sent, "MetaInfo/Requestor/User/@userID").as_deref(), Some(ANN));
    assert_eq!(at(&sent, "MessageInfo/@messageID"), Some(id.clone()));
    assert_eq!(at(&sent, "MessageInfo/@contentSize").as_deref(), Some("6"));
    assert_eq!(at(&sent, "MessageInfo/@validity").as_deref(), Some("600"));
    assert_eq!(
        at(&sent, "MessageInfo/Recipient/User/@userID").as_deref(),
        Some(BEN)
    );
    assert_eq!(at(&sent, "MessageInfo/Sender/User/@userID").as_deref(), Some(ANN));
    assert_eq!(
        at(&sent, "MessageInfo/DateTime").as_deref(),
        Some("2026-11-01T00:00:05Z")
    );
    assert_eq!(at(&sent, "ContentData").as_deref(), Some("Z3LDvMOf"));
    assert_eq!(at(&sent, "ContentData/@encoding").as_deref(), Some("base64"));
    assert!(w.poll(ANN).is_empty(), "not delivered yet");
    let got = w.poll(BEN);
    assert_eq!(names(&got), ["NewMessage"]);
    assert_eq!(at(&got[0], "MessageInfo/MessageID"), Some(id.clone()));
    assert_eq!(
        at(&got[0], "MessageInfo/Sender/User/UserID").as_deref(),
        Some(ANN)
    );
    assert_eq!(at(&got[0], "ContentData").as_deref(), Some("grüß"));
    let report = w.took("DeliveryStatusReport").remove(0);
    assert_eq!(
        at(&report, "MetaInfo/Requestor/User/@userID").as_deref(),
        Some(BEN)
    );
    assert_eq!(at(&report, "DeliveryResult/Status/@code").as_deref(), Some("200"));
    assert_eq!(at(&report, "MessageInfo/@messageID"), Some(id.clone()));
    assert_eq!(
        at(&report, "MessageInfo/Recipient/User/@userID").as_deref(),
        Some(BEN)
    );
    assert_eq!(
        at(&report, "MessageInfo/Sender/User/@userID").as_deref(),
        Some(ANN)
    );
    assert!(at(&report, "DeliveryTime").unwrap().ends_with('Z'));
    let told = w.poll(ANN);
    assert_eq!(names(&told), ["DeliveryReport-Request"]);
    assert_eq!(at(&told[0], "MessageInfo/MessageID"), Some(id));
    assert_eq!(at(&told[0], "Result/Code").as_deref(), Some("200"));
}

#[test]
fn no_report_is_sent_that_nobody_asked_for() {
    let mut w = World2::new();
    w.ask(ANN, message(ANN, &[BEN], false));
    assert_eq!(w.poll(BEN).len(), 1);
    assert!(w.took("DeliveryStatusReport").is_empty());
}

#[test]
fn recipients_are_split_by_domain() {
    let mut w = World2::new();
    let answer = w.ask(
        ANN,
        message(ANN, &[ARI, BEN, "wv:cid@c.example", "wv:nobody@b.example"], false),
    );
    // Nobody answers for c.example.
    assert_eq!(at(&answer, "Result/Code").as_deref(), Some("201"));
    let rows = tree_text(&answer);
    assert!(
        rows.contains("wv:cid@c.example") && rows.contains("516"),
        "{rows}"
    );
    assert!(
        rows.contains("wv:nobody@b.example") && rows.contains("531"),
        "{rows}"
    );
    let sent = w.took("SendMessageRequest");
    assert_eq!(sent.len(), 2);
    assert_eq!(count(&sent[0], "Recipient"), 2);
    assert_eq!(count(&sent[1], "Recipient"), 1);
    let id = at(&answer, "MessageID");
    for of in [ARI, BEN] {
        let got = w.poll(of);
        assert_eq!(at(&got[0], "MessageInfo/MessageID"), id, "{of}");
    }
}

pub(super) fn tree_text(tree: &Tree) -> String {
    String::from_utf8(write(tree, &WriteOptions::default())).unwrap()
}

#[test]
fn what_is_local_stays() {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, message(ANN, &[ARI], true)), "200");
    w.poll(ARI);
    assert_eq!(names(&w.poll(ANN)), ["DeliveryReport-Request"]);
    assert_eq!(w.code(ANN, subscribe(&[ARI])), "200");
    assert_eq!(w.crossed.len(), 0);
}

#[test]
fn errors_come_back() {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, message(ANN, &["wv:nobody@b.example"], false)), "531");
    assert_eq!(w.code(ANN, message(ANN, &["wv:dan@d.example"], false)), "516");
    assert_eq!(w.code(ANN, subscribe(&["wv:dan@d.example"])), "516");
    assert!(w.took("SubscribeRequest").is_empty());
    let block = Elem::new("BlockEntity-Request").with(
        Elem::new("BlockList")
            .with(text("InUse", "T"))
            .with(Elem::new("AddList").with(text("UserID", ANN))),
    );
    assert_eq!(w.code(BEN, block), "200");
    assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "532");
    assert!(w.poll(BEN).is_empty());
    w.silent = vec![B];
    assert_eq!(w.code(ANN, message(ANN, &[BEA], false)), "516");
}

#[test]
fn the_logged_in_user_asks_whatever_is_written() {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, message(ARI, &[BEN], false)), "403");
    assert!(w.took("SendMessageRequest").is_empty());
}

#[test]
fn a_waiting_message_is_forwarded() {
    let mut w = World2::new();
    w.ask(ARI, message(ARI, &[ANN], false));
    let list = w.ask(ANN, Elem::new("GetMessageList-Request"));
    let id = at(&list, "MessageInfo/MessageID").unwrap();
    let forward = Elem::new("ForwardMessage-Request")
        .with(text("MessageID", id.clone()))
        .with(Elem::new("Recipient").with(user(BEN)));
    assert_eq!(w.code(ANN, forward.clone()), "200");
    let got = w.poll(BEN);
    assert_eq!(
        at(&got[0], "MessageInfo/Sender/User/UserID").as_deref(),
        Some(ANN)
    );
    assert_eq!(at(&got[0], "ContentData").as_deref(), Some("grüß"));
    assert_ne!(at(&got[0], "MessageInfo/MessageID"), Some(id));
    assert_eq!(w.code(ANN, forward), "426", "it does not wait any more");
}

#[test]
fn without_peers_everything_is_as_before() {
    let mut w = World2::new();
    w.a = engine([ANN, ARI], 1, &[]);
    w.login(ANN);
    assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "531");
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "516");
    assert!(w.crossed.is_empty());
}
