//! What carries messages to the engine and away from it: HTTP, as far as it matters here.

use crate::message::Tree;
use crate::peer::MEDIA_TYPE_XML;

/// One HTTP request as the engine sees it.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Method.
    pub method: &'a str,
    /// Media type without parameters.
    pub media_type: Option<&'a str>,
    /// `charset` parameter of Content-Type.
    pub charset: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// One HTTP response as the engine makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// HTTP status.
    pub status: u16,
    /// Content-Type; none for an empty body.
    pub media_type: Option<String>,
    /// The message; none for an empty body.
    pub tree: Option<Tree>,
    /// Names of the requests that it answers, for deviations.
    pub answers: Vec<String>,
    /// No answer yet: [`ServerEngine::released`] gives it under this number when peers have answered.
    pub held: Option<u64>,
}

impl Outgoing {
    pub(super) fn http(status: u16) -> Self {
        Self {
            status,
            media_type: None,
            tree: None,
            answers: Vec::new(),
            held: None,
        }
    }

    /// A message in HTTP 200.
    pub fn message(tree: Tree, answers: Vec<String>) -> Self {
        Self {
            status: 200,
            media_type: Some(MEDIA_TYPE_XML.to_owned()),
            tree: Some(tree),
            answers,
            held: None,
        }
    }
}
