//! Lines on TCP, for the CIR channel: short, bounded in length and time, read tolerantly. What they say
//! is no affair of this module.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::limits::MAX_CIR_LINE;
use crate::record::Failure;

use super::net::{Acceptor, Net, Stream};

/// Longest line, in octets, its end included. A SessionID or cookie has at most 50 characters.
pub const MAX_LINE: usize = MAX_CIR_LINE;
/// Most connections served at one time; more are closed.
const MAX_CONNECTIONS: usize = 64;
/// Longest time until the first line of a connection.
const FIRST_LINE: Duration = Duration::from_secs(30);
/// Longest time between two lines: clients ping every 15 to 20 minutes.
const IDLE: Duration = Duration::from_secs(45 * 60);
/// Longest time that writing a line may take.
const WRITING: Duration = Duration::from_secs(10);
/// Lines that wait to be written or taken.
const QUEUE: usize = 64;

/// A connection that carries lines.
pub struct Lines {
    stream: Stream,
    /// What was read and is no line yet.
    buffer: Vec<u8>,
    /// Whether the peer has closed.
    ended: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("buffer", &self.buffer).finish()
    }
}

impl Lines {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// Connects to a host within `limit`.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn connect(net: &Net, host: &str, port: u16, limit: Duration) -> Result<Self, Failure> {
        match timeout(limit, net.connect(host, port)).await {
            Ok(Ok(stream)) => Ok(Self::new(stream)),
            Ok(Err(e)) => Err(Failure::Unreachable(e.to_string())),
            Err(_) => Err(Failure::Unreachable(format!(
                "none within {} ms",
                limit.as_millis()
            ))),
        }
    }

    /// Writes octets.
    ///
    /// # Errors
    /// The peer is gone, or takes nothing.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let write = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        match timeout(WRITING, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Failure::Closed(e.to_string())),
            Err(_) => Err(Failure::Timeout(millis(WRITING))),
        }
    }

    /// The next line with its end, whatever end it has: what a peer wrote and did not end counts when the
    /// time is over or it closes. May be dropped and asked again.
    ///
    /// # Errors
    /// Nothing came in time, the peer closed, or the line is longer than [`MAX_LINE`].
    pub async fn line(&mut self, limit: Duration) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + limit;
        let mut octets = [0; MAX_LINE];
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                return Ok(self.buffer.drain(..=end).collect());
            }
            if self.buffer.len() >= MAX_LINE {
                return Err(Failure::TooLong(MAX_LINE));
            }
            if self.ended {
                return self.rest(Failure::Closed("the peer closed the channel".to_owned()));
            }
            match timeout_at(deadline, self.stream.read(&mut octets)).await {
                Ok(Ok(0) | Err(_)) => self.ended = true,
                Ok(Ok(n)) => self.buffer.extend_from_slice(&octets[..n]),
                Err(_) => return self.rest(Failure::Timeout(millis(limit))),
            }
        }
    }

    fn rest(&mut self, failure: Failure) -> Result<Vec<u8>, Failure> {
        match self.buffer.is_empty() {
            true => Err(failure),
            false => Ok(std::mem::take(&mut self.buffer)),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What happened at a listener.
#[derive(Debug)]
pub enum Event {
    /// A line came, with its end.
    Line(Peer, Vec<u8>),
    /// A connection is over, by its number.
    Gone(u64),
}

/// The far end of a connection that was accepted.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Number of the connection at its listener.
    pub number: u64,
    out: mpsc::Sender<Out>,
}

#[derive(Debug)]
enum Out {
    Octets(Vec<u8>),
    Close,
}

impl Peer {
    /// Writes octets when the connection is ready for them; whether it still is there.
    pub fn send(&self, octets: &[u8]) -> bool {
        self.out.try_send(Out::Octets(octets.to_vec())).is_ok()
    }

    /// Closes the connection after what was sent.
    pub fn close(&self) {
        // One that is gone is closed.
        let _ = self.out.try_send(Out::Close);
    }
}

/// A listener that runs until it is dropped.
#[derive(Debug)]
pub struct LineListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Drop for LineListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens for lines at an address of a network; port 0 picks a free one.
///
/// # Errors
/// The address cannot be listened at.
pub async fn listen(net: &Net, address: SocketAddr) -> std::io::Result<LineListener> {
    let acceptor = net.bind(address).await?;
    let address = acceptor.address()?;
    let (sender, events) = mpsc::channel(QUEUE);
    Ok(LineListener {
        address,
        events,
        task: tokio::spawn(accept(acceptor, sender)),
    })
}

async fn accept(mut acceptor: Acceptor, events: mpsc::Sender<Event>) {
    let mut connections = tokio::task::JoinSet::new();
    let mut number = 0;
    loop {
        while connections.try_join_next().is_some() {}
        match acceptor.accept().await {
            // Whoever is too much is closed at once.
            Ok(_) if connections.len() >= MAX_CONNECTIONS => {}
            Ok((stream, _)) => {
                number += 1;
                connections.spawn(serve(Lines::new(stream), number, events.clone()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(mut lines: Lines, number: u64, events: mpsc::Sender<Event>) {
    let (out, mut outgoing) = mpsc::channel(QUEUE);
    let peer = Peer { number, out };
    let mut limit = FIRST_LINE;
    loop {
        tokio::select! {
            biased;
            out = outgoing.recv() => match out {
                Some(Out::Octets(octets)) => {
                    if lines.send(&octets).await.is_err() {
                        break;
                    }
                }
                Some(Out::Close) | None => break,
            },
            line = lines.line(limit) => match line {
                Ok(line) => {
                    limit = IDLE;
                    if events.send(Event::Line(peer.clone(), line)).await.is_err() {
                        return;
                    }
                }
                Err(_) => break,
            },
        }
    }
    // Nobody may be left to hear it.
    let _ = events.send(Event::Gone(number)).await;
}
