//! The lower tester's HTTP client: one connection an exchange, everything bounded in time and size.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::base::limits::MAX_BODY;
use crate::record::{Failure, HttpMessage};

use super::net::{Net, Stream};
use super::recording::{Recording, Wire};
use super::tls::Tls;

/// Longest that a body waits for `100 Continue`. RFC 9110, 10.1.1, forbids to wait for ever: a server may
/// not know the expectation.
const CONTINUE_TIME: Duration = Duration::from_secs(1);

/// Where an HTTP server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The network.
    pub net: Net,
    /// How to speak TLS, for `https`.
    pub tls: Option<Tls>,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path with query, beginning with `/`.
    pub path: String,
}

impl Address {
    /// The root of a server without TLS.
    pub fn of(net: &Net, at: SocketAddr) -> Self {
        Self {
            net: net.clone(),
            tls: None,
            host: at.ip().to_string(),
            port: at.port(),
            path: "/".to_owned(),
        }
    }

    /// The address as text, `http://host:port/path`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// A connection within `limit`, with TLS on it where the address asks for that. A limit that is reached
    /// here is no [`Failure::Timeout`]: nothing was asked yet that the peer might owe an answer to.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Stream, Failure> {
        let deadline = Instant::now() + limit;
        let ms = limit.as_millis();
        let stream = timeout_at(deadline, self.net.connect(&self.host, self.port))
            .await
            .map_err(|_| Failure::Unreachable(format!("none within {ms} ms")))?
            .map_err(|e| Failure::Unreachable(e.to_string()))?;
        match &self.tls {
            None => Ok(stream),
            Some(tls) => timeout_at(deadline, tls.handshake(&self.host, stream))
                .await
                .map_err(|_| {
                    Failure::Tls(format!(
                        "no handshake within {ms} ms; perhaps the server does not speak TLS at this port"
                    ))
                })?,
        }
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// By its length beforehand.
    #[default]
    Length,
    /// In chunks (RFC 9112, 7.1); a body of two octets or more comes in two.
    Chunked,
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: &'a str,
    /// Header fields besides Host, Connection, Expect, Content-Length and Transfer-Encoding.
    pub headers: &'a [(String, String)],
    /// Body.
    pub body: Vec<u8>,
    /// How its end is told.
    pub framing: Framing,
    /// Whether to ask for `100 Continue`, and to hold the body back until it or a final answer comes,
    /// one second at most.
    pub expect_continue: bool,
}

/// Sends one request and reads the answer, all within `timeout`; where the body waits for `100 Continue`, that
/// wait comes on top. Interim answers (1xx) are passed over.
pub async fn exchange(
    address: &Address,
    outgoing: Outgoing<'_>,
    timeout: Duration,
) -> (HttpMessage, Result<HttpMessage, Failure>) {
    let mut request = HttpMessage {
        start: format!("{} {} HTTP/1.1", outgoing.method, address.path),
        status: 0,
        headers: vec![
            ("Host".to_owned(), address.authority()),
            ("Connection".to_owned(), "close".to_owned()),
        ],
        body: outgoing.body,
    };
    request.headers.extend_from_slice(outgoing.headers);
    if outgoing.expect_continue {
        request
            .headers
            .push(("Expect".to_owned(), "100-continue".to_owned()));
    }
    request.headers.push(match outgoing.framing {
        Framing::Length => ("Content-Length".to_owned(), request.body.len().to_string()),
        Framing::Chunked => ("Transfer-Encoding".to_owned(), "chunked".to_owned()),
    });
    let body = Body::new(&request.body, outgoing.framing);
    let wire = Wire::default();
    let started = Instant::now();
    let stream = match address.connect(timeout).await {
        Ok(stream) => stream,
        Err(failure) => return (request, Err(failure)),
    };
    let head = Head {
        method: outgoing.method,
        path: &address.path,
        headers: &request.headers,
    };
    let sending = send(stream, head, body, outgoing.expect_continue, &wire);
    // A server that knows nothing of the field answers only once it has the body.
    let grace = match outgoing.expect_continue {
        true => CONTINUE_TIME,
        false => Duration::ZERO,
    };
    let response = match timeout_at(started + timeout + grace, sending).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::Timeout(
            u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        )),
    };
    (request, response)
}

struct Head<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(String, String)],
}

async fn send(
    stream: Stream,
    head: Head<'_>,
    mut body: Body,
    expect_continue: bool,
    wire: &Wire,
) -> Result<HttpMessage, Failure> {
    let io = TokioIo::new(Recording::new(stream, wire.clone()));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .handshake::<_, Body>(io)
        .await
        .map_err(|e| classify(&e, wire))?;
    let mut builder = hyper::Request::builder().method(head.method).uri(head.path);
    for (name, value) in head.headers {
        builder = builder.header(name, value);
    }
    let leave = Arc::new(Notify::new());
    if expect_continue {
        let leave = Arc::clone(&leave);
        body.hold = Some(Box::pin(async move {
            // Either way the body goes out now.
            let _ = tokio::time::timeout(CONTINUE_TIME, leave.notified()).await;
        }));
    }
    let mut message = builder
        .body(body)
        .map_err(|e| Failure::NotHttp(format!("the request cannot be written: {e}"), Vec::new()))?;
    hyper::ext::on_informational(&mut message, move |interim| {
        if interim.status() == hyper::StatusCode::CONTINUE {
            leave.notify_one();
        }
    });
    // The connection must be driven while the answer is awaited; it ends with this future.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(async {
        let response = sender
            .send_request(message)
            .await
            .map_err(|e| classify(&e, wire))?;
        collect(response, wire).await
    });
    tokio::select! {
        biased;
        done = &mut answer => done,
        _ = &mut connection => answer.await,
    }
}

/// The body of a request: in one piece or in chunks, at once or when it may leave.
struct Body {
    pieces: std::collections::VecDeque<Bytes>,
    length: Option<u64>,
    hold: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Body {
    fn new(octets: &[u8], framing: Framing) -> Self {
        let all = Bytes::copy_from_slice(octets);
        let (pieces, length) = match framing {
            Framing::Length => ([all, Bytes::new()], Some(octets.len() as u64)),
            // Two chunks: whoever reads only the first is found out.
            Framing::Chunked => {
                let middle = octets.len() / 2;
                ([all.slice(..middle), all.slice(middle..)], None)
            }
        };
        Self {
            pieces: pieces.into_iter().filter(|p| !p.is_empty()).collect(),
            length,
            hold: None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(hold) = &mut self.hold {
            std::task::ready!(hold.as_mut().poll(cx));
            self.hold = None;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        // An empty body in chunks is still a chunk of length 0 on the wire.
        self.length.is_some() && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

async fn collect(response: hyper::Response<Incoming>, wire: &Wire) -> Result<HttpMessage, Failure> {
    let (parts, mut body) = response.into_parts();
    let mut message = HttpMessage {
        start: format!(
            "{:?} {} {}",
            parts.version,
            parts.status.as_u16(),
            parts.status.canonical_reason().unwrap_or("")
        ),
        status: parts.status.as_u16(),
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
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| classify(&e, wire))?;
        if let Some(data) = frame.data_ref() {
            if message.body.len() + data.len() > MAX_BODY {
                return Err(Failure::TooLong(MAX_BODY));
            }
            message.body.extend_from_slice(data);
        }
    }
    Ok(message)
}

pub(super) fn classify(error: &hyper::Error, wire: &Wire) -> Failure {
    let read = wire.read();
    if error.is_parse() {
        return Failure::NotHttp(chain(error), read);
    }
    Failure::Closed(chain(error))
}

/// An error with its causes: hyper's own text alone says too little.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
