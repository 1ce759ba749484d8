//! The embedded implementation under test: the engines on sockets, correct or with one fault.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::check::Checker;
use crate::codec::deviation::{Draft, Encoded, Sending};
use crate::message::Tree;
use crate::peer::client::{ClientConfig, ClientEngine};
use crate::peer::fault::Fault;
use crate::peer::server::{Incoming, Outgoing, ServerConfig, ServerEngine, ServerFault};
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::record::HttpMessage;
use crate::spec::{Command, Version};
use crate::transport::server::{Answer, Arrived, listen};

use super::conclude::millis;
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

/// A server engine behind a socket.
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
    /// Starts it at an address; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(
        address: SocketAddr,
        checker: Arc<Checker>,
        fault: Option<Fault>,
        seed: u64,
    ) -> std::io::Result<Self> {
        let mut listener = listen(address).await?;
        let address = listener.address;
        let config = ServerConfig {
            accounts: reference_accounts().into_iter().map(|(_, c)| c).collect(),
            max_keep_alive: 3600,
            seed,
        };
        let state = fault.as_ref().and_then(Fault::of_server);
        let mut engine = ServerEngine::new(config, checker).with_fault(state);
        let task = tokio::spawn(async move {
            let epoch = Instant::now();
            let mut stopped = false;
            while let Some(arrived) = listener.arrivals.recv().await {
                stopped |= arrived.broken.is_some() && state == Some(ServerFault::StopsAfterBrokenRequest);
                if stopped {
                    // Dropping the way to answer closes the connection.
                    continue;
                }
                let answer = answer(&mut engine, &arrived, fault.as_ref(), millis(epoch.elapsed()));
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

fn answer(engine: &mut ServerEngine, arrived: &Arrived, fault: Option<&Fault>, now_ms: u64) -> Answer {
    let outgoing = if arrived.broken.is_some() {
        Outgoing {
            status: 413,
            media_type: None,
            tree: None,
            answers: Vec::new(),
        }
    } else {
        handle(engine, &arrived.request, now_ms)
    };
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
/// Most messages that follow from one command by themselves.
const MAX_FOLLOW_UPS: usize = 20;

/// A client engine behind an HTTP client of another make than the lower tester's.
#[derive(Debug)]
pub struct EmbeddedClient {
    engine: ClientEngine,
    http: reqwest::Client,
    url: String,
    fault: Option<Fault>,
}

impl EmbeddedClient {
    /// A client that is not logged in.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(config: ClientConfig, url: String, fault: Option<Fault>) -> Result<Self, String> {
        let state = fault.as_ref().and_then(Fault::of_client);
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(CLIENT_PATIENCE)
            .build()
            .map_err(|e| format!("the HTTP client cannot be set up: {e}"))?;
        Ok(Self {
            engine: ClientEngine::new(config).with_fault(state),
            http,
            url,
            fault,
        })
    }

    /// Does what a user asks for, until nothing more follows by itself. What it cannot do it leaves.
    pub async fn command(&mut self, command: Command) {
        let Ok(first) = self.engine.start(command) else {
            return;
        };
        let mut queue = vec![first];
        let mut sent = 0;
        while !queue.is_empty() && sent < MAX_FOLLOW_UPS {
            let message = queue.remove(0);
            sent += 1;
            let answer = self.post(&message).await;
            queue.extend(self.engine.answered(&message, answer.as_ref()));
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
        let method = reqwest::Method::from_bytes(encoded.method.as_bytes()).ok()?;
        let mut request = self.http.request(method, &self.url).body(encoded.body);
        if !encoded.media_type.is_empty() {
            request = request.header("Content-Type", encoded.media_type);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body = response.bytes().await.ok()?;
        if status == 200 && body.is_empty() {
            self.engine.empty_answer();
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
