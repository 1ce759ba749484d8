//! Correct protocol sides without I/O, and the ways to make one deviate.
//!
//! An engine takes an exchange, a tick or a command and gives messages; sockets and clocks are
//! somebody else's. The embedded reference, the lower tester and every mutant share these engines;
//! the printed examples, the facts' vectors and outside tools are what keeps a shared misreading
//! from passing.

pub mod client;
mod client_faults;
pub mod compose;
pub mod contents;
pub mod digest;
pub mod fault;
pub mod names;
pub mod presence_samples;
pub mod samples;
pub mod server;
pub mod server_requests;
pub mod ssp;

/// A user and the password that opens a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User address, `wv:a@example.com`.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ***)", self.user)
    }
}

/// The media type that the suite sends for XML in CSP 1.1 and 1.2. Both spellings are accepted (Q7).
pub const MEDIA_TYPE_XML: &str = "application/vnd.wv.csp.xml";
/// The registered spelling.
pub const MEDIA_TYPE_XML_PLUS: &str = "application/vnd.wv.csp+xml";

/// Whether a media type without parameters is one of CSP in XML.
pub fn is_xml_type(media_type: &str) -> bool {
    media_type.eq_ignore_ascii_case(MEDIA_TYPE_XML) || media_type.eq_ignore_ascii_case(MEDIA_TYPE_XML_PLUS)
}

/// Whether a media type is one of CSP in an encoding other than XML.
pub fn is_binary_type(media_type: &str) -> bool {
    let known = [
        "application/vnd.wv.csp.wbxml",
        "application/vnd.wv.csp+wbxml",
        "application/vnd.wv.csp.sms",
    ];
    known.iter().any(|k| media_type.eq_ignore_ascii_case(k))
}
