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

impl Failure {
    /// Reads what [`Failure`]'s `Display` wrote; `raw` is what was read of an answer that is not HTTP.
    /// A text that it never writes, because a secret in it was masked say, is taken for a closed
    /// connection: that is how it counts for every verdict.
    pub fn parse(text: &str, raw: Vec<u8>) -> Self {
        let after = |prefix: &str| text.strip_prefix(prefix);
        let number = |prefix: &str, suffix: &str| after(prefix)?.strip_suffix(suffix)?.parse().ok();
        if let Some(why) = after("no connection: ") {
            return Failure::Unreachable(why.to_owned());
        }
        if let Some(why) = after("the answer is not HTTP: ") {
            return Failure::NotHttp(why.to_owned(), raw);
        }
        if let Some(ms) = number("no full answer within ", " ms") {
            return Failure::Timeout(ms);
        }
        let max = number("the body is longer than the limit of ", " octets");
        if let Some(max) = max.and_then(|n| usize::try_from(n).ok()) {
            return Failure::TooLong(max);
        }
        if text == "stopped by the suite" {
            return Failure::Cancelled;
        }
        let why = after("the connection was closed before a full answer: ").unwrap_or(text);
        Failure::Closed(why.to_owned())
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
    /// Where it stands in a case for a client that is made to act.
    pub moment: Option<Moment>,
}

/// Where a message of a client stands in its case: what the lower tester had done when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// How many turns the case had taken.
    pub after_turn: u32,
    /// When it came, in milliseconds of the clock of the run, which may have been moved on.
    pub came_ms: u64,
    /// When it was answered, by the same clock.
    pub answered_ms: u64,
}

/// What an archive has done to the bodies of an exchange: they are no longer those of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archived {
    /// The body of the request.
    pub request: Loss,
    /// The body of the response, or what was read of an answer that is not HTTP.
    pub answer: Loss,
}

/// What one body lost in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loss {
    /// How long it was on the wire, in octets.
    pub octets: usize,
    /// Secrets in it were replaced by a mask.
    pub masked: bool,
    /// Its end is missing.
    pub cut: bool,
    /// Why all of it is missing, if so.
    pub withheld: Option<String>,
}

impl Loss {
    /// Whether octets are missing, so that the body cannot be read as the message that it was.
    pub fn is_partial(&self) -> bool {
        self.cut || self.withheld.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_back_as_they_were_written() {
        for failure in [
            Failure::Unreachable("refused: x".to_owned()),
            Failure::Closed(String::new()),
            Failure::Timeout(20_000),
            Failure::NotHttp("no status line".to_owned(), b"x\x00".to_vec()),
            Failure::TooLong(7),
            Failure::Cancelled,
        ] {
            let raw = match &failure {
                Failure::NotHttp(_, raw) => raw.clone(),
                _ => Vec::new(),
            };
            assert_eq!(Failure::parse(&failure.to_string(), raw), failure);
        }
        assert_eq!(
            Failure::parse("*** connection", Vec::new()),
            Failure::Closed("*** connection".to_owned())
        );
    }
}
