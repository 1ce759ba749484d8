//! The embedded server with its other side: clients come by CSP, servers of other domains by SSP. Correct, or
//! with one fault.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::check::Checker;
use crate::codec::deviation::{Draft, Encoded, Sending};
use crate::codec::xml;
use crate::message::{Mode, NodeId, SspEnvelope, Tree};
use crate::peer::Credentials;
use crate::peer::fault::Fault;
use crate::peer::server::{Outgoing, PeerAnswer, ServerConfig, ServerEngine};
use crate::peer::ssp::{MEDIA_TYPE_SSP, NodeConfig, NodeEngine, NodeEvent, NodeFault, Post};
use crate::record::{Failure, HttpMessage};
use crate::spec::{DigestFormula, SspVersion, Version};
use crate::transport::client::{self, Address, Framing};
use crate::transport::server::{Answer, Arrived, listen_on, listen_with};
use crate::transport::tls::{Tls, Trust};
use crate::transport::{Net, ServerTls, raw};

use super::clock::Clock;
use super::judge::charset_of;
use super::reference::{encoded_answer, handle, reference_accounts};

/// Longest that a peer may take with an answer before the client hears that it is not there.
const PEER_PATIENCE: Duration = Duration::from_secs(1);
/// Longest that a POST may take.
const POST_PATIENCE: Duration = Duration::from_secs(2);
/// timeToLive that it wants and grants, in seconds.
const TIME_TO_LIVE: u32 = 3600;

/// Accounts of the reference in a domain; their passwords are no secrets, but are treated like some.
pub fn joined_accounts(domain: &str) -> Vec<(String, Credentials)> {
    reference_accounts()
        .into_iter()
        .map(|(name, account)| {
            let local = account.user.split('@').next().unwrap_or_default();
            let user = format!("{local}@{}", domain.to_lowercase());
            (name, Credentials { user, ..account })
        })
        .collect()
}

/// What a joined server is.
#[derive(Debug, Clone, Default)]
pub struct Joining {
    /// Who may log in; their domain is the server's.
    pub accounts: Vec<Credentials>,
    /// Where the servers of other domains are.
    pub peers: BTreeMap<String, Address>,
    /// The version of SSP.
    pub version: SspVersion,
    /// How PasswordDigest is made.
    pub formula: DigestFormula,
    /// Speaks TLS where the other server does, and offers it.
    pub tls: bool,
    /// Seed.
    pub seed: u64,
}

/// A server with both sides.
#[derive(Debug)]
pub struct JoinedServer {
    /// Where clients come to.
    pub csp: SocketAddr,
    /// Where servers come to.
    pub ssp: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for JoinedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl JoinedServer {
    /// Starts it at two addresses of a network; port 0 picks a free one.
    ///
    /// # Errors
    /// An address cannot be listened at.
    pub async fn start(
        net: &Net,
        (csp, ssp): (SocketAddr, SocketAddr),
        checker: Arc<Checker>,
        joining: Joining,
        fault: Option<Fault>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let mut clients = listen_on(net, csp).await?;
        let tls = match joining.tls {
            true => Some(own_certificate()?),
            false => None,
        };
        let mut servers = listen_with(net, ssp, tls).await?;
        let (csp, ssp) = (clients.address, servers.address);
        let (told, mut outcomes) = mpsc::unbounded_channel();
        let mut work = Work::new(checker, joining, fault, clock, told);
        let task = tokio::spawn(async move {
            loop {
                let deadline = work.deadline();
                tokio::select! {
                    biased;
                    lost = outcomes.recv() => match lost {
                        Some(domain) => work.undelivered(&domain),
                        None => break,
                    },
                    arrived = servers.arrivals.recv() => match arrived {
                        Some(arrived) => work.by_server(arrived),
                        None => break,
                    },
                    arrived = clients.arrivals.recv() => match arrived {
                        Some(arrived) => work.by_client(arrived),
                        None => break,
                    },
                    () = sleep_until(deadline) => work.overdue(),
                }
                work.flush();
            }
        });
        Ok(Self { csp, ssp, task })
    }

    /// Runs until a listener fails.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A message on its way to another server.
type Parcel = (Encoded, Vec<(String, String)>);

struct Work {
    engine: ServerEngine,
    node: NodeEngine,
    fault: Option<Fault>,
    node_fault: Option<NodeFault>,
    clock: Clock,
    peers: BTreeMap<String, Address>,
    couriers: HashMap<String, mpsc::UnboundedSender<Parcel>>,
    told: mpsc::UnboundedSender<String>,
    /// How to try TLS first, if it does.
    tls: Option<Tls>,
    /// Relayed requests by domain and transactionID, with the time at which they are given up.
    relays: BTreeMap<(String, String), (u64, Instant)>,
    held: BTreeMap<u64, oneshot::Sender<Answer>>,
}

impl Work {
    fn new(
        checker: Arc<Checker>,
        joining: Joining,
        fault: Option<Fault>,
        clock: Clock,
        told: mpsc::UnboundedSender<String>,
    ) -> Self {
        let domains: Vec<String> = joining.peers.keys().cloned().collect();
        let engine = ServerEngine::new(
            ServerConfig {
                accounts: joining.accounts,
                max_keep_alive: 3600,
                functions: crate::peer::server::served_functions(),
                seed: joining.seed,
            },
            checker,
        )
        .with_peers(&domains)
        .with_relay_fault(fault.as_ref().and_then(Fault::of_relay));
        let node_fault = fault.as_ref().and_then(Fault::of_node);
        let node = NodeEngine::new(NodeConfig {
            domain: engine.own_domain().unwrap_or_default(),
            version: joining.version,
            formula: joining.formula,
            peers: domains,
            time_to_live: TIME_TO_LIVE,
            seed: joining.seed ^ 0x5353_5000,
        })
        .with_fault(node_fault);
        // Who answers is proven by the tokens; the certificate is not asked.
        let tls = (joining.tls && node_fault != Some(NodeFault::NeverTls))
            .then(|| Tls::new(&Trust::Anybody).ok())
            .flatten();
        Self {
            engine,
            node,
            tls,
            fault,
            node_fault,
            clock,
            peers: joining.peers,
            couriers: HashMap::new(),
            told,
            relays: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.relays.values().map(|(_, at)| *at).min()
    }

    fn by_client(&mut self, arrived: Arrived) {
        let now_ms = self.clock.now_ms();
        if arrived.broken.is_some() {
            return;
        }
        self.engine.speaks_with(arrived.peer);
        let outgoing = handle(&mut self.engine, &arrived.request, now_ms);
        match outgoing.held {
            Some(number) => {
                self.held.insert(number, arrived.answer);
            }
            None => {
                let _ = arrived.answer.send(encoded_answer(outgoing, None));
            }
        }
    }

    fn by_server(&mut self, arrived: Arrived) {
        let now_ms = self.clock.now_ms();
        let request = &arrived.request;
        let fault = self.node_fault;
        let typed = request.header("content-type").is_some_and(|t| match fault {
            Some(NodeFault::RefusesParameters) => t.eq_ignore_ascii_case(MEDIA_TYPE_SSP),
            _ => request.media_type().as_deref() == Some(MEDIA_TYPE_SSP),
        });
        let bare = request.header("x-wv-transactionid").is_none();
        let is_post = request.start.starts_with("POST ");
        if arrived.broken.is_some() || !typed || !is_post {
            let _ = arrived.answer.send(http(400, Vec::new()));
            return;
        }
        let reading = xml::read(&request.body, charset_of(request));
        let lenient = fault == Some(NodeFault::TakesAnything);
        let tree = reading
            .is_strict()
            .then(|| reading.message.map(|m| m.tree))
            .flatten();
        let asks = tree
            .as_ref()
            .is_some_and(|t| crate::peer::ssp::compose::head_of(t).session.is_some());
        if fault == Some(NodeFault::NeedsHeaders) && bare && asks {
            let _ = arrived.answer.send(http(400, Vec::new()));
            return;
        }
        let taken = self.node.take(now_ms, tree.as_ref());
        let mut body = Vec::new();
        if let Some(tree) = &tree {
            for event in taken.events {
                if let Some(octets) = self.event(now_ms, tree, event) {
                    body = octets;
                }
            }
        }
        let status = match (taken.status, fault) {
            (200, Some(NodeFault::AcceptsWith202)) => 202,
            (0, _) if lenient => 200,
            (status, _) => status,
        };
        if status == 200 && fault == Some(NodeFault::BodyInAcknowledgement) {
            body = b"ok".to_vec();
        }
        let answer = match status {
            0 => Answer::Close,
            status => http(status, body),
        };
        let _ = arrived.answer.send(answer);
    }

    /// Serves what a message brought; with one fault, the octets that answer in place of a message.
    fn event(&mut self, now_ms: u64, tree: &Tree, event: NodeEvent) -> Option<Vec<u8>> {
        match event {
            NodeEvent::Opened(_) => None,
            NodeEvent::Failed(domain) => {
                self.give_up(&domain);
                None
            }
            NodeEvent::Request {
                domain,
                id,
                primitive,
            } => {
                let answer = self.engine.peer_request(now_ms, &domain, tree, primitive)?;
                let name = tree.get(primitive).name.clone();
                self.node.respond(&domain, &id, &name, answer);
                if self.node_fault != Some(NodeFault::AnswersInHttp) {
                    return None;
                }
                let post = self.node.outbox().pop()?;
                Some(xml::write(&post.tree, &xml::WriteOptions::default()))
            }
            NodeEvent::Response {
                domain,
                id,
                primitive,
            } => {
                if self.node_fault == Some(NodeFault::AnswersResponses) {
                    let status = crate::peer::ssp::compose::status(200);
                    self.node.respond(&domain, &id, "Status", status);
                }
                self.answered(now_ms, (domain, id), tree, primitive);
                None
            }
        }
    }

    fn answered(&mut self, now_ms: u64, key: (String, String), tree: &Tree, primitive: NodeId) {
        if let Some((relay, _)) = self.relays.remove(&key) {
            self.engine
                .peer_answer(now_ms, relay, &PeerAnswer::Message(tree, primitive));
        }
    }

    /// Nothing comes back from this domain any more.
    fn give_up(&mut self, domain: &str) {
        let now_ms = self.clock.now_ms();
        let keys: Vec<_> = self.relays.keys().filter(|(d, _)| d == domain).cloned().collect();
        for key in keys {
            if let Some((relay, _)) = self.relays.remove(&key) {
                self.engine.peer_answer(now_ms, relay, &PeerAnswer::Unreachable);
            }
        }
    }

    fn undelivered(&mut self, domain: &str) {
        let _ = self.node.undelivered(domain);
        self.give_up(domain);
    }

    fn overdue(&mut self) {
        let (now, now_ms) = (Instant::now(), self.clock.now_ms());
        let late: Vec<_> = self
            .relays
            .iter()
            .filter(|(_, (_, at))| *at <= now)
            .map(|(k, _)| k.clone())
            .collect();
        for key in late {
            if let Some((relay, _)) = self.relays.remove(&key) {
                self.engine.peer_answer(now_ms, relay, &PeerAnswer::Unreachable);
            }
        }
    }

    /// Sends everything that is ready, until nothing more comes of it.
    fn flush(&mut self) {
        let now_ms = self.clock.now_ms();
        loop {
            let mut idle = true;
            for to_peer in self.engine.to_peers() {
                idle = false;
                let domain = to_peer.domain.clone();
                match (
                    self.node.request(now_ms, &domain, to_peer.primitive),
                    to_peer.relay,
                ) {
                    (Some(id), Some(relay)) => {
                        let deadline = Instant::now() + PEER_PATIENCE;
                        self.relays.insert((domain, id), (relay, deadline));
                    }
                    (None, Some(relay)) => {
                        self.engine.peer_answer(now_ms, relay, &PeerAnswer::Unreachable);
                    }
                    (_, None) => {}
                }
            }
            for (number, outgoing) in self.engine.released() {
                idle = false;
                self.release(number, outgoing);
            }
            for post in self.node.outbox() {
                idle = false;
                self.post(&post);
            }
            if idle {
                break;
            }
        }
    }

    fn release(&mut self, number: u64, outgoing: Outgoing) {
        if let Some(answer) = self.held.remove(&number) {
            let _ = answer.send(encoded_answer(outgoing, None));
        }
    }

    fn post(&mut self, post: &Post) {
        let edits = self
            .fault
            .as_ref()
            .map_or(&[][..], |f| f.edits_for(Some(&post.tree), &post.answers));
        let draft = Draft {
            version: Version::V12,
            status: 0,
            method: "POST".to_owned(),
            media_type: MEDIA_TYPE_SSP.to_owned(),
            tree: Some(post.tree.clone()),
            sending: Sending::Normal,
        };
        // A fault that finds nothing to change in this message leaves it as it is.
        let encoded = draft
            .clone()
            .encode(edits, &|_| None)
            .or_else(|_| draft.encode(&[], &|_| None));
        let Ok(encoded) = encoded else { return };
        if encoded.sending != Sending::Normal {
            return;
        }
        let mut headers = vec![("Content-Type".to_owned(), encoded.media_type.clone())];
        let wrong = self.node_fault == Some(NodeFault::WrongHeaders);
        for (name, value) in [
            ("x-wv-transactionid", &post.head.transaction),
            ("x-wv-sessionid", &post.head.session),
        ] {
            if let Some(value) = value {
                let value = if wrong { format!("{value}x") } else { value.clone() };
                headers.push((name.to_owned(), value));
            }
        }
        headers.retain(|(_, value)| !value.is_empty());
        // Two faults know one address only.
        let deaf = self.node_fault == Some(NodeFault::AnswersSource) && is_token_answer(&post.tree);
        let known = self.peers.get(&post.to).filter(|_| !deaf);
        let Some(address) = known.or_else(|| self.peers.values().next_back()) else {
            return;
        };
        let told = &self.told;
        let old = self.node_fault == Some(NodeFault::Http10);
        let courier = self
            .couriers
            .entry(format!("{}{}", post.to, if deaf { " answered" } else { "" }))
            .or_insert_with(|| {
                courier(
                    old,
                    post.to.clone(),
                    address.clone(),
                    self.tls.clone(),
                    told.clone(),
                )
            });
        let _ = courier.send((encoded, headers));
    }
}

/// A certificate for this process.
pub(super) fn own_certificate() -> std::io::Result<ServerTls> {
    static MADE: std::sync::OnceLock<Result<ServerTls, String>> = std::sync::OnceLock::new();
    let made = MADE.get_or_init(|| {
        ServerTls::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(|e| e.to_string())
    });
    made.clone().map_err(std::io::Error::other)
}

/// Whether a message is the called server's token.
fn is_token_answer(tree: &Tree) -> bool {
    SspEnvelope::of(tree).is_some_and(|e| {
        let first = e.transactions.first();
        first.is_some_and(|t| t.name == "SendSecretToken" && t.mode == Mode::Response)
    })
}

/// Carries messages to one domain, one after the other, so that none overtakes what it needs.
fn courier(
    old: bool,
    domain: String,
    mut address: Address,
    tls: Option<Tls>,
    told: mpsc::UnboundedSender<String>,
) -> mpsc::UnboundedSender<Parcel> {
    let (sender, mut parcels) = mpsc::unbounded_channel::<Parcel>();
    address.tls = tls.filter(|_| !old);
    tokio::spawn(async move {
        while let Some((encoded, headers)) = parcels.recv().await {
            if old {
                // A fault: HTTP as it was before it knew hosts.
                let octets = in_http_1_0(&encoded, &headers);
                let _ = raw::exchange_open(&address, &octets, POST_PATIENCE).await;
                continue;
            }
            let outgoing = client::Outgoing {
                method: &encoded.method,
                headers: &headers,
                body: encoded.body,
                framing: Framing::Length,
                expect_continue: false,
            };
            let mut response = client::exchange(&address, outgoing.clone(), POST_PATIENCE)
                .await
                .1;
            if matches!(response, Err(Failure::Tls(_))) {
                // What takes the first message is kept for the others.
                address.tls = None;
                response = client::exchange(&address, outgoing, POST_PATIENCE).await.1;
            }
            let taken = response.is_ok_and(|r| r.status == 200);
            if !taken && told.send(domain.clone()).is_err() {
                break;
            }
        }
    });
    sender
}

fn in_http_1_0(encoded: &Encoded, headers: &[(String, String)]) -> Vec<u8> {
    let mut octets = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n", encoded.body.len()).into_bytes();
    for (name, value) in headers {
        octets.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    octets.extend_from_slice(b"\r\n");
    octets.extend_from_slice(&encoded.body);
    octets
}

fn http(status: u16, body: Vec<u8>) -> Answer {
    Answer::Response(HttpMessage {
        start: format!("HTTP/1.1 {status}"),
        status,
        headers: Vec::new(),
        body,
    })
}
