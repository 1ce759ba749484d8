//! The message as a value: an element tree with positions, what the carrier said about it, and a
//! builder. Nothing here knows what is valid; that is `check`.

mod build;
mod envelope;
mod folded;
mod path;
mod ssp;
mod tree;

pub use build::{Elem, empty, text};
pub use envelope::{Envelope, Mode, SessionType, TransactionView};
pub use folded::{attr, is_attribute};
pub use path::{Path, PathError};
pub use ssp::{SSP_ROOT, SspEnvelope, SspTransaction, ssp_code};
pub use tree::{Attribute, Child, Element, NodeId, Position, Tree};

/// A decoded message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The element tree.
    pub tree: Tree,
    /// What the octets around the tree said.
    pub carrier: Carrier,
}

/// How a message is encoded on the wire.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// XML text.
    #[default]
    Xml,
    /// WAP binary XML.
    Wbxml,
}

impl Encoding {
    /// The word used in options and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Xml => "xml",
            Encoding::Wbxml => "wbxml",
        }
    }
}

/// What the carrier of a message said: things a validator may want to judge but a tree does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carrier {
    /// XML or WBXML.
    pub encoding: Encoding,
    /// The character set that was used for decoding, as an IANA name.
    pub charset: String,
    /// The character set that the XML declaration names, if it does.
    pub declared_charset: Option<String>,
    /// Whether the document began with a byte order mark.
    pub byte_order_mark: bool,
    /// The document type declaration, if there was one.
    pub doctype: Option<Doctype>,
}

/// A document type declaration; the external subset is never fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doctype {
    /// The root element it names.
    pub name: String,
    /// The public identifier.
    pub public: Option<String>,
    /// The system identifier.
    pub system: Option<String>,
    /// Whether an internal subset was present.
    pub internal_subset: bool,
}
