//! A relay between HTTP clients and one HTTP server. Every message goes on as it came: octets of the body,
//! header fields with their spelling and order, status, and whether the end of the body is told by its
//! length or in chunks. What belongs to one connection only (RFC 9110, 7.6.1) is each connection's own, and
//! `Host` names the server that is asked. What passes is told in the order in which it passes: a message is
//! told before anybody can react to it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::base::limits::MAX_BODY;
use crate::record::{Failure, HttpMessage};

use super::client::{Address, chain, classify};
use super::net::{Net, Stream};
use super::recording::{Recording, Wire};
use super::server::{REQUEST_TIME, accept};

/// What passes and is not taken yet; beyond that connections wait.
const QUEUE: usize = 64;

/// Something that passed.
#[derive(Debug)]
pub enum Passing {
    /// A client asked; it is passed on now.
    Asked {
        /// Tells exchanges apart.
        id: u64,
        /// What it asked.
        request: HttpMessage,
        /// When it was there in full.
        at: Instant,
    },
    /// What came of it.
    Answered {
        /// Of which exchange.
        id: u64,
        /// The answer of the server, or why there is none: then the client gets HTTP 502.
        response: Result<HttpMessage, Failure>,
        /// The client did not wait for it.
        gone: bool,
        /// When it was there in full.
        at: Instant,
    },
    /// A request that was not passed on.
    Refused {
        /// Its first line.
        start: String,
        /// Why, in words.
        why: String,
        /// The HTTP status that the client got.
        status: u16,
    },
    /// Octets of a client that are no HTTP; why, in words. It got HTTP 400, as far as it listened.
    NoHttp(String),
}

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    /// What passes.
    pub passing: mpsc::Receiver<Passing>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at an address of a network (port 0 picks a free one), and passes on to a server that has
/// `patience` for each answer. A request for `/` asks for the path of `target`, any other for its own.
///
/// # Errors
/// The address cannot be listened at.
pub async fn relay(net: &Net, at: SocketAddr, target: Address, patience: Duration) -> std::io::Result<Relay> {
    let acceptor = net.bind(at).await?;
    let address = acceptor.address()?;
    let (sender, passing) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        target,
        patience,
        sender,
        next: AtomicU64::new(1),
    });
    let task = tokio::spawn(accept(acceptor, move |stream, _| {
        serve(stream, Arc::clone(&shared))
    }));
    Ok(Relay {
        address,
        passing,
        task,
    })
}

struct Shared {
    target: Address,
    patience: Duration,
    sender: mpsc::Sender<Passing>,
    next: AtomicU64,
}

async fn serve(stream: Stream, shared: Arc<Shared>) {
    let io = TokioIo::new(Recording::new(stream, Wire::default()));
    let for_requests = Arc::clone(&shared);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&for_requests);
        async move { pass(request, &shared).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .preserve_header_case(true)
        // What the server did not say is not said.
        .auto_date_header(false)
        .keep_alive(true);
    if let Err(error) = http.serve_connection(io, service).await
        && error.is_parse()
    {
        // Nobody listens any more when the run is over.
        let _ = shared.sender.send(Passing::NoHttp(chain(&error))).await;
    }
}

/// Nobody takes what passes any more.
#[derive(Debug, thiserror::Error)]
#[error("the relay ends")]
struct Over;

/// A body as it came.
#[derive(Debug, Default)]
struct Content {
    frames: VecDeque<Frame<Bytes>>,
    octets: Vec<u8>,
    chunked: bool,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Content {
    /// Reads a body whole.
    async fn read(
        mut body: Incoming,
        headers: &HeaderMap,
        failed: impl Fn(&hyper::Error) -> Failure,
    ) -> Result<Self, Failure> {
        let mut content = Self {
            chunked: headers.contains_key(TRANSFER_ENCODING),
            ..Self::default()
        };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| failed(&e))?;
            if let Some(data) = frame.data_ref() {
                if content.octets.len() + data.len() > MAX_BODY {
                    return Err(Failure::TooLong(MAX_BODY));
                }
                content.octets.extend_from_slice(data);
            }
            content.frames.push_back(frame);
        }
        Ok(content)
    }

    /// The body for a message with these fields.
    fn into_body(self, headers: &HeaderMap) -> Body {
        if self.chunked {
            let frames = self.frames.into_iter().map(Ok);
            return StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        }
        let none = self.octets.is_empty() && headers.get(CONTENT_LENGTH).is_some_and(|v| v == "0");
        let whole = Full::new(Bytes::from(self.octets));
        match none {
            true => Nothing(whole).boxed_unsync(),
            false => whole.boxed_unsync(),
        }
    }
}

/// An empty body that does not say so before it is asked: else its field is taken out, and put in anew
/// behind the others.
struct Nothing(Full<Bytes>);

impl hyper::body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

async fn pass(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<Response<Body>, Over> {
    let (parts, body) = request.into_parts();
    let start = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
    if parts.method == Method::CONNECT {
        let why = "a relay opens no tunnels".to_owned();
        return refuse(shared, start, why, StatusCode::NOT_IMPLEMENTED).await;
    }
    let reading = Content::read(body, &parts.headers, |e| Failure::Closed(chain(e)));
    let content = match timeout(REQUEST_TIME, reading).await {
        Ok(Ok(content)) => content,
        Ok(Err(failure)) => {
            let status = match failure {
                Failure::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            return refuse(shared, start, failure.to_string(), status).await;
        }
        Err(_) => {
            let why = format!("its body was not there within {} s", REQUEST_TIME.as_secs());
            return refuse(shared, start, why, StatusCode::REQUEST_TIMEOUT).await;
        }
    };
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    let record = HttpMessage {
        start,
        status: 0,
        headers: shown(&parts.headers),
        body: content.octets.clone(),
    };
    let asked = Passing::Asked {
        id,
        request: record,
        at: Instant::now(),
    };
    shared.sender.send(asked).await.map_err(|_| Over)?;
    let old = parts.version == Version::HTTP_10;
    let (answer, answered) = oneshot::channel();
    let shared = Arc::clone(shared);
    // On its own: what the server answers is known also when the client has left.
    tokio::spawn(async move {
        let asking = ask(&shared.target, parts, content, shared.patience);
        let result = match timeout(shared.patience, asking).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout(
                u64::try_from(shared.patience.as_millis()).unwrap_or(u64::MAX),
            )),
        };
        let (response, answering) = match result {
            Ok((parts, content)) => (Ok(record_of(&parts, &content)), Some((parts, content))),
            Err(failure) => (Err(failure), None),
        };
        let told = shared.sender.send(Passing::Answered {
            id,
            response,
            gone: answer.is_closed(),
            at: Instant::now(),
        });
        if told.await.is_ok() {
            // The client may have left.
            let _ = answer.send(answering);
        }
    });
    match answered.await {
        Ok(Some((parts, content))) => Ok(answer_of(parts, content, old)),
        Ok(None) => Ok(plain(StatusCode::BAD_GATEWAY)),
        Err(_) => Err(Over),
    }
}

async fn refuse(
    shared: &Shared,
    start: String,
    why: String,
    status: StatusCode,
) -> Result<Response<Body>, Over> {
    let refused = Passing::Refused {
        start,
        why,
        status: status.as_u16(),
    };
    shared.sender.send(refused).await.map_err(|_| Over)?;
    Ok(plain(status))
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = status;
    response
}

/// Asks the server.
async fn ask(
    target: &Address,
    mut parts: hyper::http::request::Parts,
    content: Content,
    patience: Duration,
) -> Result<(hyper::http::response::Parts, Content), Failure> {
    let unusable = |e: &dyn std::error::Error| {
        Failure::NotHttp(format!("the request cannot be passed on: {e}"), Vec::new())
    };
    parts.headers = passed_on(&parts.headers, Some(&target.authority())).map_err(|e| unusable(&e))?;
    parts
        .headers
        .append(CONNECTION, HeaderValue::from_static("close"));
    parts.uri = path_at(target, &parts.uri).map_err(|e| unusable(&e))?;
    parts.version = Version::HTTP_11;
    let stream = target.connect(patience).await?;
    let wire = Wire::default();
    let io = TokioIo::new(Recording::new(stream, wire.clone()));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake::<_, Body>(io)
        .await
        .map_err(|e| classify(&e, &wire))?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(async {
        let body = content.into_body(&parts.headers);
        let request = Request::from_parts(parts, body);
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| classify(&e, &wire))?;
        let (parts, body) = response.into_parts();
        let content = Content::read(body, &parts.headers, |e| classify(e, &wire)).await?;
        Ok((parts, content))
    });
    // The connection must be driven while the answer is awaited; it ends with this future.
    tokio::select! {
        biased;
        done = &mut answer => done,
        _ = &mut connection => answer.await,
    }
}

/// The answer for the client. One of HTTP/1.0 knows no chunks.
fn answer_of(mut parts: hyper::http::response::Parts, mut content: Content, old: bool) -> Response<Body> {
    // Without a server of its own to name, nothing in the fields can be unusable.
    parts.headers = passed_on(&parts.headers, None).unwrap_or_default();
    if old {
        parts.headers.remove(TRANSFER_ENCODING);
        content.chunked = false;
    }
    parts.version = Version::HTTP_11;
    let body = content.into_body(&parts.headers);
    Response::from_parts(parts, body)
}

/// Fields of a connection, and of nobody else. The framing of the body (Transfer-Encoding) is kept as it is.
const OF_CONNECTION: [&str; 4] = ["keep-alive", "proxy-connection", "te", "upgrade"];

/// The fields that go on, in order; with the server that is asked in `Host`.
fn passed_on(
    headers: &HeaderMap,
    host: Option<&str>,
) -> Result<HeaderMap, hyper::header::InvalidHeaderValue> {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        .collect();
    let stays = |name: &HeaderName| {
        let text = name.as_str();
        // Nobody may talk the framing away.
        let framing = matches!(text, "content-length" | "transfer-encoding" | "host");
        *name == CONNECTION || OF_CONNECTION.contains(&text) || !framing && named.iter().any(|n| n == text)
    };
    let mut out = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers.iter().filter(|(n, _)| !stays(n)) {
        match host.filter(|_| *name == HOST) {
            Some(_) if out.contains_key(HOST) => {}
            Some(host) => {
                out.append(HOST, HeaderValue::from_str(host)?);
            }
            None => {
                out.append(name.clone(), value.clone());
            }
        }
    }
    if let Some(host) = host.filter(|_| !out.contains_key(HOST)) {
        out.append(HOST, HeaderValue::from_str(host)?);
    }
    Ok(out)
}

fn path_at(target: &Address, asked: &Uri) -> Result<Uri, hyper::http::uri::InvalidUri> {
    let path = asked.path_and_query().map_or("/", |p| p.as_str());
    match path {
        "/" => target.path.parse(),
        own => own.parse(),
    }
}

fn record_of(parts: &hyper::http::response::Parts, content: &Content) -> HttpMessage {
    HttpMessage {
        start: format!(
            "{:?} {} {}",
            parts.version,
            parts.status.as_u16(),
            parts.status.canonical_reason().unwrap_or("")
        ),
        status: parts.status.as_u16(),
        headers: shown(&parts.headers),
        body: content.octets.clone(),
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(n, v)| {
            (
                n.as_str().to_owned(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_connection_stay_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "here"),
            ("x-first", "1"),
            ("connection", "close, X-Mine, content-length"),
            ("x-mine", "2"),
            ("keep-alive", "timeout=3"),
            ("content-length", "7"),
            ("x-first", "3"),
            ("upgrade", "h2c"),
        ] {
            headers.append(
                HeaderName::from_static(name.to_ascii_lowercase().leak()),
                HeaderValue::from_static(value),
            );
        }
        let passed = passed_on(&headers, Some("there:81")).expect("a host");
        assert_eq!(
            shown(&passed),
            [
                ("host", "there:81"),
                ("x-first", "1"),
                ("x-first", "3"),
                ("content-length", "7")
            ]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert_eq!(
            passed_on(&HeaderMap::new(), Some("there")).expect("a host").len(),
            1
        );
        assert!(passed_on(&HeaderMap::new(), None).expect("nothing").is_empty());
    }

    #[test]
    fn only_the_root_becomes_the_path_of_the_server() {
        let target = Address {
            net: Net::Tcp,
            tls: None,
            host: "h".to_owned(),
            port: 80,
            path: "/csp?a=1".to_owned(),
        };
        for (asked, wanted) in [
            ("/", "/csp?a=1"),
            ("/x?y", "/x?y"),
            ("http://h:1/", "/csp?a=1"),
            ("http://h:1/z", "/z"),
        ] {
            let uri = asked.parse().expect("a URI");
            assert_eq!(path_at(&target, &uri).expect("a path").to_string(), wanted);
        }
    }
}
