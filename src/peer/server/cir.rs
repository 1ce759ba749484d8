//! CIR: how the server engine tells a client that data waits. The engine only says whom, by which channel
//! and in which words; whoever carries its messages has the channels.

use std::net::IpAddr;

use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::Version;

use super::{ServerEngine, ServerFault, Session};

/// What the carrier of the engine can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CirOffer {
    /// Where it listens for STCP: host and port.
    pub tcp: Option<(String, u16)>,
    /// Whether it sends datagrams.
    pub udp: bool,
    /// What the CIRURL of a session begins with; a word of the session follows.
    pub url: Option<String>,
}

/// What a session agreed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Channels {
    /// SessionCookie of the login.
    pub cookie: String,
    tcp: bool,
    udp: Option<(IpAddr, u16)>,
    /// Last part of CIRURL.
    word: Option<String>,
    /// Whether the client was told of what waits.
    told: bool,
}

impl Channels {
    fn any(&self) -> bool {
        self.tcp || self.udp.is_some() || self.word.is_some()
    }
}

/// A client that data waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// Its session.
    pub session: String,
    /// The text: `WVCI`, version, cookie.
    pub text: String,
    /// Whether it goes out on the STCP channel of the session.
    pub tcp: bool,
    /// Where a datagram goes.
    pub udp: Option<(IpAddr, u16)>,
}

/// A client that can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleeper {
    /// Version of its session.
    pub version: Version,
    /// SessionCookie of its login.
    pub cookie: String,
    /// Where a datagram goes.
    pub udp: Option<(IpAddr, u16)>,
}

/// What a HELO on an STCP channel is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// Nothing: the channel is closed.
    Unknown,
    /// OK, and the text of a CIR when data waits already.
    Known(Option<String>),
}

/// Agreed parts of an answer to a capability negotiation.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    pub methods: Vec<Elem>,
    pub udp_port: Option<Elem>,
    pub tcp: Vec<Elem>,
    pub url: Option<Elem>,
}

/// The text of a CIR.
pub fn cir_text(version: Version, cookie: &str) -> String {
    format!("WVCI {version} {cookie}")
}

impl ServerEngine {
    /// Offers CIR by these channels; without, clients poll.
    #[must_use]
    pub fn with_cir(mut self, offer: CirOffer) -> Self {
        self.cir = offer;
        self
    }

    /// Changes what is offered from now on.
    pub fn offer_cir(&mut self, offer: CirOffer) {
        self.cir = offer;
    }

    /// Who sends the requests that follow: datagrams go there.
    pub fn speaks_with(&mut self, peer: Option<IpAddr>) {
        self.peer = peer;
    }

    /// What a capability negotiation agrees on of the methods that were asked for.
    pub(super) fn agree_cir(&mut self, id: &str, version: Version, tree: &Tree, wish: NodeId) -> Agreed {
        let asked = |method: &str| {
            tree.elements(wish)
                .any(|e| tree.get(e).name == "SupportedCIRMethod" && tree.text(e).trim() == method)
        };
        let port = tree
            .child_text(wish, "UDPPort")
            .and_then(|t| t.parse::<u16>().ok())
            .filter(|p| *p > 0);
        let local = std::net::Ipv4Addr::LOCALHOST.into();
        let tcp = self.cir.tcp.clone().filter(|_| asked("STCP"));
        let udp = port
            .filter(|_| self.cir.udp && asked("SUDP"))
            .map(|p| (self.peer.unwrap_or(local), p));
        let word = (version == Version::V12 && asked("SHTTP") && self.cir.url.is_some())
            .then(|| format!("{:016x}", self.random.u64(..)));
        let method = |on: bool, name: &str| on.then(|| text("SupportedCIRMethod", name));
        let agreed = Agreed {
            methods: [
                method(udp.is_some(), "SUDP"),
                method(tcp.is_some(), "STCP"),
                method(word.is_some(), "SHTTP"),
            ]
            .into_iter()
            .flatten()
            .collect(),
            udp_port: udp.map(|(_, p)| text("UDPPort", p.to_string())),
            tcp: tcp
                .iter()
                .flat_map(|(host, port)| {
                    [
                        text("TCPAddress", host.clone()),
                        text("TCPPort", port.to_string()),
                    ]
                })
                .collect(),
            url: self
                .cir
                .url
                .as_ref()
                .zip(word.as_ref())
                .map(|(begin, word)| Elem::new("CIRURL").with(text("URL", format!("{begin}{word}")))),
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.cir = Channels {
                cookie: std::mem::take(&mut session.cir.cookie),
                tcp: tcp.is_some(),
                udp,
                word,
                told: false,
            };
        }
        agreed
    }

    fn cir_of(&self, session: &Session) -> String {
        let cookie = match self.fault {
            Some(ServerFault::CirOfAnotherCookie) => "another-cookie",
            _ => &session.cir.cookie,
        };
        match self.fault {
            Some(ServerFault::CirOfAnotherVersion) => {
                let other = match session.version {
                    Version::V11 => Version::V12,
                    Version::V12 => Version::V11,
                };
                cir_text(other, cookie)
            }
            Some(ServerFault::CirWithoutVersion) => format!("WVCI {cookie}"),
            _ => cir_text(session.version, cookie),
        }
    }

    /// The clients that are to be told of data that came since they were last told or polled. To be asked
    /// after whatever may fill or empty a queue.
    pub fn wakes(&mut self) -> Vec<Wake> {
        for session in self.sessions.values_mut() {
            session.cir.told &= !session.queue.is_empty();
        }
        let due: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.cir.any() && !s.cir.told && !s.queue.is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        let mut wakes = Vec::new();
        for id in due {
            if let Some(session) = self.sessions.get(&id) {
                wakes.push(Wake {
                    text: self.cir_of(session),
                    tcp: session.cir.tcp,
                    udp: session.cir.udp,
                    session: id.clone(),
                });
            }
            if let Some(session) = self.sessions.get_mut(&id) {
                session.cir.told = true;
            }
        }
        wakes
    }

    /// A client says on an STCP channel which session it is of.
    pub fn hello(&self, session: &str) -> Hello {
        let found = self.sessions.get(session).filter(|s| s.cir.tcp);
        match found {
            Some(s) => Hello::Known((!s.queue.is_empty()).then(|| self.cir_of(s))),
            None => Hello::Unknown,
        }
    }

    /// Whether data waits for the session of this CIRURL; none when no session has it.
    pub fn data_waits(&self, word: &str) -> Option<bool> {
        self.sessions
            .values()
            .find(|s| s.cir.word.as_deref() == Some(word))
            .map(|s| !s.queue.is_empty())
    }

    /// What has to be known of a session to send a CIR of one's own making.
    pub fn sleeper(&self, session: &str) -> Option<Sleeper> {
        let found = self.sessions.get(session)?;
        Some(Sleeper {
            version: found.version,
            cookie: found.cir.cookie.clone(),
            udp: found.cir.udp,
        })
    }
}
