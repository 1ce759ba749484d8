//! One exchange as it was on the wire: octets and headers, no interpretation.

use std::fmt;

/// One HTTP message as carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpMessage {
    /// `POST /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// Status code of a response; 0 for a request.
    pub status: u16,
    /// Header fields in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, at most [`crate::base::limits::MAX_BODY`] octets.
    pub body: Vec<u8>,
}

impl HttpMessage {
    /// The first field of this name, without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The media type without parameters, lower case.
    pub fn media_type(&self) -> Option<String> {
        self.header("content-type")
            .map(|v| v.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Unreachable(String),
    /// There is a connection, but no TLS on it.
    Tls(String),
    /// The peer closed before a full answer.
    Closed(String),
    /// No full answer within this many milliseconds.
    Timeout(u64),
    /// The answer is not HTTP, with what was read of it.
    NotHttp(String, Vec<u8>),
    /// The body is longer than the limit in octets.
    TooLong(usize),
    /// The suite or its user stopped the exchange.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(why) => write!(f, "no connection: {why}"),
            Failure::Tls(why) => write!(f, "no TLS connection: {why}"),
            Failure::Closed(why) => write!(f, "the connection was closed before a full answer: {why}"),
            Failure::Timeout(ms) => write!(f, "no full answer within {ms} ms"),
            Failure::NotHttp(why, _) => write!(f, "the answer is not HTTP: {why}"),
            Failure::TooLong(max) => write!(f, "the body is longer than the limit of {max} octets"),
            Failure::Cancelled => write!(f, "stopped by the suite"),
        }
    }
}

/// Who sent the HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// The suite, to a server under test.
    Tester,
    /// The client under test.
    Iut,
}

/// One HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Number within the case, from 1.
    pub number: u32,
    /// Who asked.
    pub initiator: Initiator,
    /// The request.
    pub request: HttpMessage,
    /// The response, or why there is none.
    pub response: Result<HttpMessage, Failure>,
    /// Milliseconds since the run began.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
