//! The embedded implementation under test: the engines on sockets, correct or with one fault.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::check::Checker;
use crate::codec::deviation::{Draft, Encoded, Sending};
use crate::message::Tree;
use crate::peer::client::{ClientConfig, ClientEngine, ClientFault};
use crate::peer::fault::Fault;
use crate::peer::server::{Incoming, Outgoing, ServerConfig, ServerEngine, ServerFault};
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::record::HttpMessage;
use crate::spec::{Command, Version};
use crate::transport::Net;
use crate::transport::client::{self, Address, Framing};
use crate::transport::server::{Answer, Arrived, listen_on};

use super::channels::{self, ServerChannels};
use super::client_channels::{ClientChannels, Heard};
use super::clock::Clock;
use super::judge::charset_of;

/// Accounts of the reference; their passwords are no secrets, but are treated like some.
pub fn reference_accounts() -> Vec<(String, Credentials)> {
    ["A", "B", "C", "X"]
        .into_iter()
        .map(|name| {
            let credentials = Credentials {
                user: format!("wv:ref-{}@reference.example", name.to_ascii_lowercase()),
                password: format!("reference-password-{name}"),
            };
            (name.to_owned(), credentials)
        })
        .collect()
}

/// A server engine behind a listener.
#[derive(Debug)]
pub struct EmbeddedServer {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl EmbeddedServer {
    /// Starts it at an address of a network; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(
        net: &Net,
        address: SocketAddr,
        checker: Arc<Checker>,
        fault: Option<Fault>,
        seed: u64,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let mut listener = listen_on(net, address).await?;
        let address = listener.address;
        let config = ServerConfig {
            accounts: reference_accounts().into_iter().map(|(_, c)| c).collect(),
            max_keep_alive: 3600,
            functions: crate::peer::server::served_functions(),
            seed,
        };
        let state = fault.as_ref().and_then(Fault::of_server);
        let mut cir = ServerChannels::open(net, address, state).await?;
        let mut engine = ServerEngine::new(config, checker)
            .with_fault(state)
            .with_cir(cir.offer(address, |_| true));
        let task = tokio::spawn(async move {
            let mut stopped = false;
            loop {
                let arrived = tokio::select! {
                    biased;
                    event = cir.event() => {
                        cir.take(&engine, event);
                        continue;
                    }
                    arrived = listener.arrivals.recv() => match arrived {
                        Some(arrived) => arrived,
                        None => break,
                    },
                };
                stopped |= arrived.broken.is_some() && state == Some(ServerFault::StopsAfterBrokenRequest);
                if stopped {
                    // Dropping the way to answer closes the connection.
                    continue;
                }
                if let Some(word) = channels::asked_word(&arrived.request) {
                    let answer = channels::url_answer(engine.data_waits(word), state);
                    let _ = arrived.answer.send(Answer::Response(answer));
                    continue;
                }
                engine.speaks_with(arrived.peer);
                let answer = match state.and_then(|fault| refused_carrier(fault, &arrived.request)) {
                    Some(status) => refusal(status),
                    None => answer(&mut engine, &arrived, fault.as_ref(), clock.now_ms()),
                };
                // Before the answer: whoever has that may look for the CIR.
                cir.wake(engine.wakes()).await;
                cir.follow(&engine);
                // Whoever asked may be gone by now.
                let _ = arrived.answer.send(answer);
            }
        });
        Ok(Self { address, task })
    }

    /// Runs until the listener fails.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

/// The HTTP status by which a fault refuses a request for the way in which it was carried.
fn refused_carrier(fault: ServerFault, request: &HttpMessage) -> Option<u16> {
    let says = |name: &str, word: &str| request.header(name).is_some_and(|v| v.eq_ignore_ascii_case(word));
    match fault {
        ServerFault::RefusesChunked if says("transfer-encoding", "chunked") => Some(411),
        ServerFault::RefusesExpect if says("expect", "100-continue") => Some(417),
        _ => None,
    }
}

fn refusal(status: u16) -> Answer {
    Answer::Response(HttpMessage {
        start: format!("HTTP/1.1 {status}"),
        status,
        ..HttpMessage::default()
    })
}

fn answer(engine: &mut ServerEngine, arrived: &Arrived, fault: Option<&Fault>, now_ms: u64) -> Answer {
    let outgoing = if arrived.broken.is_some() {
        Outgoing {
            status: 413,
            media_type: None,
            tree: None,
            answers: Vec::new(),
            held: None,
        }
    } else {
        handle(engine, &arrived.request, now_ms)
    };
    encoded_answer(outgoing, fault)
}

/// What the engine answers, as octets, with the changes of a fault.
pub(super) fn encoded_answer(outgoing: Outgoing, fault: Option<&Fault>) -> Answer {
    let version = version_of(outgoing.tree.as_ref());
    let edits = fault.map_or(&[][..], |f| {
        f.edits_for(outgoing.tree.as_ref(), &outgoing.answers)
    });
    let draft = Draft {
        version,
        status: outgoing.status,
        method: String::new(),
        media_type: outgoing.media_type.unwrap_or_default(),
        tree: outgoing.tree,
        sending: Sending::Normal,
    };
    // A fault that finds nothing to change in this message leaves it as it is.
    let encoded = draft
        .clone()
        .encode(edits, &|_| None)
        .or_else(|_| draft.encode(&[], &|_| None));
    match encoded {
        Ok(encoded) => to_answer(encoded),
        Err(_) => Answer::Close,
    }
}

/// Feeds an HTTP request to a server engine.
pub fn handle(engine: &mut ServerEngine, request: &HttpMessage, now_ms: u64) -> Outgoing {
    let media_type = request.media_type();
    engine.handle(
        now_ms,
        &Incoming {
            method: request.start.split(' ').next().unwrap_or(""),
            media_type: media_type.as_deref(),
            charset: charset_of(request),
            body: &request.body,
        },
    )
}

/// The version of a message by its root namespace; 1.2 when it has none of ours.
pub fn version_of(tree: Option<&Tree>) -> Version {
    tree.and_then(|t| Version::of_namespace(&t.get(t.root()).namespace))
        .map_or(Version::V12, |(v, _)| v)
}

/// Octets as an HTTP response.
pub fn to_answer(encoded: Encoded) -> Answer {
    match encoded.sending {
        Sending::Silent => Answer::Silence,
        Sending::Close => Answer::Close,
        Sending::Normal => {
            let mut headers = Vec::new();
            if !encoded.media_type.is_empty() {
                headers.push(("Content-Type".to_owned(), encoded.media_type));
            }
            if encoded.chunked {
                headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
            }
            Answer::Response(HttpMessage {
                start: format!("HTTP/1.1 {}", encoded.status),
                status: encoded.status,
                headers,
                body: encoded.body,
            })
        }
    }
}

/// Longest that the embedded client waits for an answer. Only a server that is silent on purpose
/// makes it wait.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);
/// Longest real time that the client is left alone to keep its session alive.
const LONGEST_IDLE: Duration = Duration::from_secs(25);
/// Most messages that follow from one command by themselves.
const MAX_FOLLOW_UPS: usize = 20;

/// A client engine behind an HTTP client.
#[derive(Debug)]
pub struct EmbeddedClient {
    engine: ClientEngine,
    http: Http,
    fault: Option<Fault>,
    clock: Clock,
    /// When it polled last, in milliseconds of the clock.
    last_poll_ms: Option<u64>,
    channels: ClientChannels,
    /// What the STCP channel was opened for: session, host and port.
    opened: Option<(String, String, u16)>,
}

/// What carries the messages of the embedded client.
#[derive(Debug)]
enum Http {
    /// TCP: a stack of another make than the lower tester's, so that two of them meet.
    Reqwest { client: reqwest::Client, url: String },
    /// A network in memory, which only this suite's own stack knows.
    Memory(Address),
}

/// An answer as the embedded client sees it.
struct Reply {
    status: u16,
    chunked: bool,
    body: Vec<u8>,
}

impl Http {
    fn new(server: &Address) -> Result<Self, String> {
        if matches!(server.net, Net::Memory(_)) {
            return Ok(Http::Memory(server.clone()));
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(CLIENT_PATIENCE)
            .build()
            .map_err(|e| format!("the HTTP client cannot be set up: {e}"))?;
        Ok(Http::Reqwest {
            client,
            url: server.url(),
        })
    }

    /// The status of a GET, if one came.
    async fn status_at(&self, url: &str) -> Option<u16> {
        match self {
            Http::Reqwest { client, .. } => {
                let response = client.get(url).send().await.ok()?;
                Some(response.status().as_u16())
            }
            Http::Memory(address) => {
                let url = crate::spec::HttpUrl::parse(url).ok()?;
                let there = Address {
                    port: url.port,
                    path: url.path,
                    ..address.clone()
                };
                let outgoing = client::Outgoing {
                    method: "GET",
                    headers: &[],
                    body: Vec::new(),
                    framing: Framing::Length,
                    expect_continue: false,
                };
                let (_, response) = client::exchange(&there, outgoing, CLIENT_PATIENCE).await;
                response.ok().map(|r| r.status)
            }
        }
    }

    /// What came back, if anything did.
    async fn send(&self, message: Encoded) -> Option<Reply> {
        match self {
            Http::Reqwest { client, url } => {
                let method = reqwest::Method::from_bytes(message.method.as_bytes()).ok()?;
                let mut request = client.request(method, url).body(message.body);
                if !message.media_type.is_empty() {
                    request = request.header("Content-Type", message.media_type);
                }
                let response = request.send().await.ok()?;
                Some(Reply {
                    status: response.status().as_u16(),
                    chunked: response.headers().contains_key("transfer-encoding"),
                    body: response.bytes().await.ok()?.to_vec(),
                })
            }
            Http::Memory(address) => {
                let mut headers = Vec::new();
                if !message.media_type.is_empty() {
                    headers.push(("Content-Type".to_owned(), message.media_type));
                }
                let outgoing = client::Outgoing {
                    method: &message.method,
                    headers: &headers,
                    body: message.body,
                    framing: Framing::Length,
                    expect_continue: false,
                };
                let (_, response) = client::exchange(address, outgoing, CLIENT_PATIENCE).await;
                response.ok().map(|r| Reply {
                    status: r.status,
                    chunked: r.header("transfer-encoding").is_some(),
                    body: r.body,
                })
            }
        }
    }
}

impl EmbeddedClient {
    /// A client of this server that is not logged in.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(
        config: ClientConfig,
        server: &Address,
        fault: Option<Fault>,
        clock: Clock,
        checker: Arc<Checker>,
    ) -> Result<Self, String> {
        let state = fault.as_ref().and_then(Fault::of_client);
        Ok(Self {
            engine: ClientEngine::new(config).with_fault(state).with_tables(checker),
            http: Http::new(server)?,
            fault,
            clock,
            last_poll_ms: None,
            channels: ClientChannels::none(&server.net, CLIENT_PATIENCE),
            opened: None,
        })
    }

    /// Does what a user asks for, until nothing more follows by itself. What it cannot do it leaves.
    pub async fn command(&mut self, command: Command) {
        if command == Command::CapabilitiesCir {
            let port = self.channels.listen().await;
            self.engine.listens_at(port);
        }
        if command == Command::Idle && (self.attend().await || self.is_due_too_late()) {
            return;
        }
        let Ok(first) = self.engine.start(command) else {
            return;
        };
        self.bide(command).await;
        self.talk(first).await;
        self.open_channel().await;
    }

    /// Sends a message and what follows from it.
    async fn talk(&mut self, first: Tree) {
        let mut queue = vec![first];
        let mut sent = 0;
        while !queue.is_empty() && sent < MAX_FOLLOW_UPS {
            let message = queue.remove(0);
            sent += 1;
            let answer = self.post(&message).await;
            queue.extend(self.engine.answered(&message, answer.as_ref()));
        }
    }

    /// Opens the STCP channel that was agreed for this session, once.
    async fn open_channel(&mut self) {
        let wanted = match (self.engine.session(), &self.engine.cir().tcp) {
            (Some(session), Some((host, port))) => Some((session.to_owned(), host.clone(), *port)),
            _ => None,
        };
        if wanted == self.opened {
            return;
        }
        self.channels.close();
        if let (Some((_, host, port)), Some(hello)) = (&wanted, self.engine.hello()) {
            // A channel that does not open leaves polling.
            self.channels.open(host, *port, &hello).await;
        }
        self.opened = wanted;
    }

    /// Listens to its channels for a while, and polls when one of them says so; whether it did.
    async fn attend(&mut self) -> bool {
        let fault = self.fault.as_ref().and_then(Fault::of_client);
        let cir = self.engine.cir().clone();
        let mut told = false;
        if self.channels.any() && (cir.tcp.is_some() || cir.udp) {
            match self.channels.hear(cir.udp).await {
                Heard::Text(text) => told = self.engine.is_cir(&text),
                Heard::Closed if fault != Some(ClientFault::OpensChannelOnce) => {
                    self.opened = None;
                    self.open_channel().await;
                    told = true;
                }
                Heard::Closed | Heard::Nothing => {}
            }
            let by_tcp = cir.tcp.is_some();
            told &= !(by_tcp && fault == Some(ClientFault::IgnoresCir));
            told &= by_tcp || fault != Some(ClientFault::IgnoresDatagrams);
        } else if let Some(url) = cir.url {
            let status = self.http.status_at(&url).await;
            told = match fault {
                Some(ClientFault::IgnoresCirUrl) => false,
                Some(ClientFault::PollsInVain) => status.is_some(),
                _ => status == Some(200),
            };
        }
        let poll = if told { self.engine.poll_for_cir() } else { None };
        match poll {
            Some(poll) => {
                self.talk(poll).await;
                true
            }
            None => false,
        }
    }

    /// Whether the session need not be kept alive for longer than anybody waits for it.
    fn is_due_too_late(&self) -> bool {
        let after = self.engine.keep_alive_after().map(u64::from);
        !self.clock.skips() && after.is_some_and(|s| Duration::from_secs(s) > LONGEST_IDLE)
    }

    /// Waits as long as a client of good manners does before it obeys.
    async fn bide(&mut self, command: Command) {
        let seconds = |s: u32| Duration::from_secs(u64::from(s));
        match command {
            Command::Idle => {
                if let Some(after) = self.engine.keep_alive_after() {
                    self.clock.pass(seconds(after)).await;
                }
            }
            Command::Poll => {
                if let (Some(gap), Some(last)) = (self.engine.poll_interval(), self.last_poll_ms) {
                    let passed = Duration::from_millis(self.clock.now_ms().saturating_sub(last));
                    self.clock.pass(seconds(gap).saturating_sub(passed)).await;
                }
                self.last_poll_ms = Some(self.clock.now_ms());
            }
            Command::Login | Command::LoginDigest => self.last_poll_ms = None,
            _ => {}
        }
    }

    async fn post(&mut self, message: &Tree) -> Option<Tree> {
        let version = self.engine.config().version;
        let edits = self
            .fault
            .as_ref()
            .map_or(&[][..], |f| f.edits_for(Some(message), &[]));
        let draft = Draft {
            version,
            status: 0,
            method: "POST".to_owned(),
            media_type: MEDIA_TYPE_XML.to_owned(),
            tree: Some(message.clone()),
            sending: Sending::Normal,
        };
        let encoded = draft
            .clone()
            .encode(edits, &|_| None)
            .or_else(|_| draft.encode(&[], &|_| None))
            .ok()?;
        if encoded.sending != Sending::Normal {
            return None;
        }
        let Some(Reply {
            status,
            chunked,
            body,
        }) = self.http.send(encoded).await
        else {
            self.engine.no_answer();
            return None;
        };
        let deaf = self.fault.as_ref().and_then(Fault::of_client) == Some(ClientFault::NoChunks);
        if chunked && deaf {
            return None;
        }
        if body.is_empty() {
            match status {
                200 => self.engine.empty_answer(),
                _ => self.engine.no_answer(),
            }
            return None;
        }
        let reading = crate::codec::xml::read(&body, None);
        if status != 200 || !reading.is_strict() {
            self.engine.bad_answer();
            return None;
        }
        reading.message.map(|m| m.tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::fault::FaultKind;
    use crate::run::Suite;
    use crate::spec::Role;
    use crate::transport::MemoryNet;

    /// The status of a login carried in this way.
    async fn status(suite: &Suite, fault: ServerFault, framing: Framing, expect_continue: bool) -> u16 {
        let net = Net::Memory(MemoryNet::new());
        let fault = Fault {
            name: String::new(),
            role: Role::Server,
            about: String::new(),
            breaks: Vec::new(),
            versions: Vec::new(),
            kind: FaultKind::Server(fault),
            file: String::new(),
            line: 0,
        };
        let checker = Arc::clone(&suite.checker);
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let clock = Clock::real(tokio::time::Instant::now());
        let server = EmbeddedServer::start(&net, at, checker, Some(fault), 1, clock)
            .await
            .expect("a free port");
        let mut engine = ClientEngine::new(ClientConfig {
            version: Version::V12,
            credentials: reference_accounts().remove(0).1,
            client_id: "c".to_owned(),
            cookie: "c".to_owned(),
            time_to_live: 60,
            id_prefix: "c".to_owned(),
            names: crate::peer::names::Names::default(),
        });
        let tree = engine.request("Login-Request").expect("a primitive of clients");
        let outgoing = client::Outgoing {
            method: "POST",
            headers: &[("Content-Type".to_owned(), MEDIA_TYPE_XML.to_owned())],
            body: crate::codec::xml::write(&tree, &crate::codec::xml::WriteOptions::default()),
            framing,
            expect_continue,
        };
        let address = Address::of(&net, server.address);
        let (_, answer) = client::exchange(&address, outgoing, CLIENT_PATIENCE).await;
        answer.expect("an answer").status
    }

    #[test]
    fn a_fault_of_the_carrier_refuses_that_and_nothing_else() {
        let suite = Suite::embedded().expect("the embedded tables");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let (length, chunked) = (Framing::Length, Framing::Chunked);
        for (fault, framing, expect, wanted) in [
            (ServerFault::RefusesChunked, length, true, 200),
            (ServerFault::RefusesChunked, chunked, false, 411),
            (ServerFault::RefusesExpect, chunked, false, 200),
            (ServerFault::RefusesExpect, length, true, 417),
        ] {
            let found = runtime.block_on(status(&suite, fault, framing, expect));
            assert_eq!(found, wanted, "{fault:?} {framing:?} {expect}");
        }
    }
}
