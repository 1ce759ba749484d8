//! The lower tester's HTTP client: one connection an exchange, everything bounded in time and size.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::base::limits::MAX_BODY;
use crate::record::{Failure, HttpMessage};

use super::recording::{Recording, Wire};

/// Where an HTTP server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path with query, beginning with `/`.
    pub path: String,
}

impl Address {
    fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == 80 {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: &'a str,
    /// Header fields besides Host, Connection and Content-Length.
    pub headers: &'a [(String, String)],
    /// Body.
    pub body: Vec<u8>,
}

/// Sends one request and reads the answer, all within `timeout`.
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
    request
        .headers
        .push(("Content-Length".to_owned(), request.body.len().to_string()));
    let wire = Wire::default();
    let started = Instant::now();
    let result = tokio::time::timeout(timeout, send(address, outgoing.method, &request, &wire)).await;
    let response = match result {
        Ok(answer) => answer,
        Err(_) => Err(Failure::Timeout(
            u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        )),
    };
    (request, response)
}

async fn send(
    address: &Address,
    method: &str,
    request: &HttpMessage,
    wire: &Wire,
) -> Result<HttpMessage, Failure> {
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(|e| Failure::Unreachable(e.to_string()))?;
    // Small requests must not wait for acknowledgements; failing to say so only costs time.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Recording::new(stream, wire.clone()));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .handshake::<_, Full<Bytes>>(io)
        .await
        .map_err(|e| classify(&e, wire))?;
    let mut builder = hyper::Request::builder()
        .method(method)
        .uri(address.path.as_str());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let message = builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|e| Failure::NotHttp(format!("the request cannot be written: {e}"), Vec::new()))?;
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

fn classify(error: &hyper::Error, wire: &Wire) -> Failure {
    let read = wire.read();
    if error.is_parse() {
        return Failure::NotHttp(chain(error), read);
    }
    Failure::Closed(chain(error))
}

/// An error with its causes: hyper's own text alone says too little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
