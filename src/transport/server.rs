//! An HTTP listener that hands every request to one channel and writes what it is told, also what no
//! correct server would.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::base::limits::MAX_BODY;
use crate::record::{Failure, HttpMessage};

use super::net::{Acceptor, Net, Stream};
use super::recording::{Recording, Wire};
use super::tls_server::ServerTls;

/// Most connections served at one time; more wait.
const MAX_CONNECTIONS: usize = 64;
/// Longest time for a request to arrive in full.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Requests that wait to be taken; beyond that a connection waits.
const QUEUE: usize = 64;

/// A request that arrived, with the way to answer it.
#[derive(Debug)]
pub struct Arrived {
    /// What arrived; an error when its body broke off or was too long.
    pub request: HttpMessage,
    /// Why the body is not whole, if so.
    pub broken: Option<Failure>,
    /// Who made the connection; none in memory.
    pub peer: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// Where the answer goes. Dropping it closes the connection without an answer.
    pub answer: oneshot::Sender<Answer>,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Response(HttpMessage),
    /// Nothing; the connection stays open until the peer gives up.
    Silence,
    /// Nothing; the connection is closed.
    Close,
}

/// A listener that runs until it is dropped.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What arrives.
    pub arrivals: mpsc::Receiver<Arrived>,
    /// The network.
    pub net: Net,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at an address of a network; port 0 picks a free one.
///
/// # Errors
/// The address cannot be listened at.
pub async fn listen_on(net: &Net, address: SocketAddr) -> std::io::Result<Listener> {
    listen_with(net, address, None).await
}

/// The same, with TLS for those who begin with it.
///
/// # Errors
/// The address cannot be listened at.
pub async fn listen_with(
    net: &Net,
    address: SocketAddr,
    tls: Option<ServerTls>,
) -> std::io::Result<Listener> {
    let acceptor = net.bind(address).await?;
    let address = acceptor.address()?;
    let (sender, arrivals) = mpsc::channel(QUEUE);
    let task = tokio::spawn(accept(acceptor, move |stream, peer| {
        let (tls, sender) = (tls.clone(), sender.clone());
        async move {
            match tls {
                None => serve(stream, peer, false, sender).await,
                Some(tls) => {
                    // What comes to no agreement is nobody's message.
                    if let Ok((stream, secure)) = tls.accept(stream).await {
                        serve(stream, peer, secure, sender).await;
                    }
                }
            }
        }
    }));
    Ok(Listener {
        address,
        arrivals,
        net: net.clone(),
        task,
    })
}

/// Accepts connections for ever and has each served, so many at one time.
pub(super) async fn accept<S>(mut acceptor: Acceptor, serve: impl Fn(Stream, Option<IpAddr>) -> S)
where
    S: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match acceptor.accept().await {
            Ok((stream, peer)) => {
                let served = serve(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            // Out of descriptors, say: yield, so that open connections can end.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: Stream, peer: Option<IpAddr>, secure: bool, sender: mpsc::Sender<Arrived>) {
    let io = TokioIo::new(Recording::new(stream, Wire::default()));
    let service = service_fn(move |request| {
        let sender = sender.clone();
        async move { respond(request, (peer, secure), &sender).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .keep_alive(true);
    // An error here is a peer that went away or sent no HTTP; whoever waits for it notices.
    let _ = http.serve_connection(io, service).await;
}

/// Closing without an answer is an error for hyper: this is that error.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

async fn respond(
    request: hyper::Request<hyper::body::Incoming>,
    (peer, secure): (Option<IpAddr>, bool),
    sender: &mpsc::Sender<Arrived>,
) -> Result<hyper::Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let mut message = HttpMessage {
        start: format!("{} {} {:?}", parts.method, parts.uri, parts.version),
        status: 0,
        headers: parts
            .headers
            .iter()
            .map(|(n, v)| {
                (
                    n.as_str().to_owned(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: Vec::new(),
    };
    let broken = match tokio::time::timeout(REQUEST_TIME, read(body, &mut message.body)).await {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(Failure::Timeout(
            u64::try_from(REQUEST_TIME.as_millis()).unwrap_or(u64::MAX),
        )),
    };
    let (answer, answered) = oneshot::channel();
    sender
        .send(Arrived {
            request: message,
            broken,
            peer,
            secure,
            answer,
        })
        .await
        .map_err(|_| Closed)?;
    match answered.await {
        Ok(Answer::Response(response)) => Ok(to_hyper(response)),
        Ok(Answer::Silence) => {
            std::future::pending::<Infallible>().await;
            Err(Closed)
        }
        Ok(Answer::Close) | Err(_) => Err(Closed),
    }
}

async fn read(mut body: hyper::body::Incoming, into: &mut Vec<u8>) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::Closed(e.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if into.len() + data.len() > MAX_BODY {
                return Err(Failure::TooLong(MAX_BODY));
            }
            into.extend_from_slice(data);
        }
    }
    Ok(())
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body of known length, or in two chunks when the header fields say so.
fn body_of(message: &HttpMessage) -> Body {
    let octets = Bytes::from(message.body.clone());
    let chunked = message
        .header("transfer-encoding")
        .is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    if !chunked {
        return Full::new(octets).boxed_unsync();
    }
    let at = octets.len() / 2;
    let chunks = [octets.slice(..at), octets.slice(at..)];
    let frames = chunks
        .into_iter()
        .filter(|c| !c.is_empty())
        .map(|c| Ok(Frame::data(c)));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn to_hyper(message: HttpMessage) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(body_of(&message));
    if let Ok(status) = hyper::StatusCode::from_u16(message.status) {
        *response.status_mut() = status;
    }
    for (name, value) in &message.headers {
        let pair = (
            hyper::header::HeaderName::from_bytes(name.as_bytes()),
            hyper::header::HeaderValue::from_str(value),
        );
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}
