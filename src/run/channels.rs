//! The CIR channels of a server, with their sockets: what the engine says goes out by them, and what
//! clients say on them is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::case::CirMethod;
use crate::peer::server::{CirOffer, Hello, ServerEngine, ServerFault, Wake};
use crate::record::HttpMessage;
use crate::transport::Net;
use crate::transport::cir::{Event, LineListener, Peer, listen};

/// What the path of every CIRURL begins with.
const URL_PATH: &str = "/cir/";
/// What a server says to a client on STCP.
const OK: &str = "OK";

/// The channels of one server.
#[derive(Debug)]
pub struct ServerChannels {
    net: Net,
    listener: Option<LineListener>,
    /// Who said HELO, by session.
    peers: BTreeMap<String, Peer>,
    fault: Option<ServerFault>,
    /// Sessions that ever had a channel; for a fault.
    had: BTreeSet<String>,
}

/// What a client said on STCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// HELO with this SessionID; whether it was answered by OK.
    Hello(String, bool),
    /// PING.
    Ping,
    /// Something else.
    Other,
}

impl ServerChannels {
    /// No channels.
    pub fn none(net: &Net) -> Self {
        Self {
            net: net.clone(),
            listener: None,
            peers: BTreeMap::new(),
            fault: None,
            had: BTreeSet::new(),
        }
    }

    /// Listens for STCP beside the address of the server.
    ///
    /// # Errors
    /// There is no port.
    pub async fn open(net: &Net, beside: SocketAddr, fault: Option<ServerFault>) -> std::io::Result<Self> {
        // An address that stands for all of them is none that a client could be told.
        let listener = match beside.ip().is_unspecified() {
            true => None,
            false => Some(listen(net, SocketAddr::new(beside.ip(), 0)).await?),
        };
        Ok(Self {
            listener,
            fault,
            ..Self::none(net)
        })
    }

    /// Whether STCP is listened for.
    pub fn listens(&self) -> bool {
        self.listener.is_some()
    }

    /// What can be offered of some methods to clients of a server at this address.
    pub fn offer(&self, server: SocketAddr, wants: impl Fn(CirMethod) -> bool) -> CirOffer {
        let at = self.listener.as_ref().map(|l| l.address);
        // An address that stands for all of them is none that a client could be told.
        let told = !server.ip().is_unspecified();
        CirOffer {
            tcp: at
                .map(|a| (a.ip().to_string(), a.port()))
                .filter(|_| wants(CirMethod::Stcp)),
            udp: wants(CirMethod::Sudp),
            url: (told && wants(CirMethod::Shttp)).then(|| format!("http://{server}{URL_PATH}")),
        }
    }

    /// The next thing that happens on STCP; never, without a listener. May be dropped and asked again.
    pub async fn event(&mut self) -> Event {
        match &mut self.listener {
            Some(listener) => match listener.events.recv().await {
                Some(event) => event,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    fn line(&self, text: &str) -> Vec<u8> {
        let end = match self.fault {
            Some(ServerFault::CirWithoutCr) => "\n",
            _ => "\r\n",
        };
        format!("{text}{end}").into_bytes()
    }

    /// Answers what a client said.
    pub fn take(&mut self, engine: &ServerEngine, event: Event) -> Option<Said> {
        let (peer, octets) = match event {
            Event::Gone(number) => {
                self.peers.retain(|_, p| p.number != number);
                return None;
            }
            Event::Line(peer, octets) => (peer, octets),
        };
        let text = String::from_utf8_lossy(&octets).trim().to_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if word.eq_ignore_ascii_case("HELO") {
            let session = rest.trim().to_owned();
            let known = self.hello(engine, &session, &peer);
            return Some(Said::Hello(session, known));
        }
        let known = self.peers.values().any(|p| p.number == peer.number);
        if word.eq_ignore_ascii_case("PING") && known {
            if self.fault != Some(ServerFault::CirAnswersNoPing) {
                peer.send(&self.line(OK));
            }
            return Some(Said::Ping);
        }
        if !known {
            peer.close();
        }
        Some(Said::Other)
    }

    /// Whether the session is one that may have a channel.
    fn hello(&mut self, engine: &ServerEngine, session: &str, peer: &Peer) -> bool {
        let again = !self.had.insert(session.to_owned());
        let answer = match self.fault {
            Some(ServerFault::CirTakesOneChannel) if again => Hello::Unknown,
            _ => engine.hello(session),
        };
        match answer {
            Hello::Unknown => {
                match self.fault {
                    Some(ServerFault::CirKnowsEverybody) => {
                        peer.send(&self.line(OK));
                    }
                    _ => peer.close(),
                }
                false
            }
            Hello::Known(waiting) => {
                self.peers.insert(session.to_owned(), peer.clone());
                if self.fault == Some(ServerFault::CirAnswersNoHello) {
                    return true;
                }
                peer.send(&self.line(OK));
                let silent = matches!(self.fault, Some(ServerFault::CirSaysNothingAtHello));
                if let Some(text) = waiting.filter(|_| !silent) {
                    peer.send(&self.line(&text));
                }
                true
            }
        }
    }

    /// Tells clients that data waits.
    pub async fn wake(&mut self, wakes: Vec<Wake>) {
        for wake in wakes {
            if wake.tcp && self.fault != Some(ServerFault::CirIsSilent) {
                let line = self.line(&wake.text);
                self.say(&wake.session, &line);
            }
            if let Some((host, port)) = wake.udp
                && self.fault != Some(ServerFault::CirSendsNoDatagram)
            {
                self.datagram(SocketAddr::new(host, port), wake.text.as_bytes())
                    .await;
            }
        }
    }

    /// Writes octets to the STCP channel of a session; whether there is one.
    pub fn say(&self, session: &str, octets: &[u8]) -> bool {
        self.peers.get(session).is_some_and(|p| p.send(octets))
    }

    /// Sends a datagram.
    pub async fn datagram(&self, to: SocketAddr, octets: &[u8]) {
        // A datagram that does not leave is one that is lost: the client polls sooner or later.
        let _ = self.net.send_datagram(to, octets).await;
    }

    /// Closes the channels of sessions that are over.
    pub fn follow(&mut self, engine: &ServerEngine) {
        self.peers.retain(|session, peer| {
            let open = engine.has_session(session);
            if !open {
                peer.close();
            }
            open
        });
    }

    /// Closes the STCP channel of a session.
    pub fn close(&mut self, session: &str) {
        if let Some(peer) = self.peers.remove(session) {
            peer.close();
        }
    }
}

/// The last part of the CIRURL that a request asks for, if it asks for one.
pub fn asked_word(request: &HttpMessage) -> Option<&str> {
    let mut words = request.start.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let path = match target.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => target,
    };
    path.strip_prefix(URL_PATH).filter(|_| method == "GET")
}

/// The answer at a CIRURL: 200 when data waits, 204 when none does, 404 when it is of no session.
pub fn url_answer(waits: Option<bool>, fault: Option<ServerFault>) -> HttpMessage {
    let status = match (waits, fault) {
        (None, _) => 404,
        (_, Some(ServerFault::CirUrlSaysNothing)) => 204,
        (_, Some(ServerFault::CirUrlSaysAlways)) | (Some(true), _) => 200,
        (Some(false), _) => 204,
    };
    HttpMessage {
        start: format!("HTTP/1.1 {status}"),
        status,
        headers: Vec::new(),
        body: match fault {
            Some(ServerFault::CirUrlHasBody) if status == 200 => b"data waits".to_vec(),
            _ => Vec::new(),
        },
    }
}
