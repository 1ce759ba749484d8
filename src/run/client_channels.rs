//! The CIR channels of the embedded client, with their sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use crate::transport::cir::Lines;
use crate::transport::{Datagrams, Net};

/// What a client hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text, by TCP or as a datagram.
    Text(String),
    /// The STCP channel is over.
    Closed,
    /// Nothing, in the time that it listened.
    Nothing,
}

/// The channels of one client.
#[derive(Debug)]
pub struct ClientChannels {
    net: Net,
    limit: Duration,
    lines: Option<Lines>,
    datagrams: Option<Datagrams>,
}

impl ClientChannels {
    /// None. `limit`: how long it waits for anything.
    pub fn none(net: &Net, limit: Duration) -> Self {
        Self {
            net: net.clone(),
            limit,
            lines: None,
            datagrams: None,
        }
    }

    /// Listens for datagrams; the port, if there is one.
    pub async fn listen(&mut self) -> Option<u16> {
        if self.datagrams.is_none() {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            self.datagrams = self.net.datagrams(any).await.ok();
        }
        self.datagrams.as_ref().map(|d| d.address.port())
    }

    /// Opens STCP; whether the server said OK.
    pub async fn open(&mut self, host: &str, port: u16, hello: &str) -> bool {
        self.lines = None;
        let Ok(mut lines) = Lines::connect(&self.net, host, port, self.limit).await else {
            return false;
        };
        if lines.send(format!("{hello}\r\n").as_bytes()).await.is_err() {
            return false;
        }
        let ok = match lines.line(self.limit).await {
            Ok(line) => String::from_utf8_lossy(&line).trim().eq_ignore_ascii_case("OK"),
            Err(_) => false,
        };
        if ok {
            self.lines = Some(lines);
        }
        ok
    }

    /// Closes what is open.
    pub fn close(&mut self) {
        self.lines = None;
    }

    /// Whether anything could be heard.
    pub fn any(&self) -> bool {
        self.lines.is_some() || self.datagrams.is_some()
    }

    /// Listens on what is open. `udp`: whether datagrams were agreed on.
    pub async fn hear(&mut self, udp: bool) -> Heard {
        let limit = self.limit;
        let (lines, datagrams) = (&mut self.lines, &mut self.datagrams);
        let line = async {
            match lines {
                Some(lines) => match lines.line(limit).await {
                    Ok(line) => Heard::Text(String::from_utf8_lossy(&line).trim().to_owned()),
                    Err(crate::record::Failure::Closed(_)) => Heard::Closed,
                    Err(_) => Heard::Nothing,
                },
                None => std::future::pending().await,
            }
        };
        let datagram = async {
            match datagrams.as_mut().filter(|_| udp) {
                Some(socket) => match socket.receive().await {
                    Ok(octets) => Heard::Text(String::from_utf8_lossy(&octets).trim().to_owned()),
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let heard = timeout(limit, async {
            tokio::select! {
                biased;
                heard = line => heard,
                heard = datagram => heard,
            }
        })
        .await
        .unwrap_or(Heard::Nothing);
        if heard == Heard::Closed {
            self.lines = None;
        }
        heard
    }
}
