//! XML text. Reading goes in four steps: `decode` makes text of octets, `guard` enforces the limits
//! in one streaming pass, roxmltree judges well-formedness, `read` builds the tree. When the strict
//! reading fails, one tolerant try follows, and each of its repairs is reported.
//!
//! Nothing here fetches or expands anything: external identifiers are only noted, and a document that
//! declares entities is refused.

mod decode;
mod guard;
mod place;
mod read;
mod repair;
mod write;

pub use read::read;
pub use write::{WriteOptions, write};

use crate::message::{Message, Position};

/// What came of reading octets.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The message, when it could be read, strictly or tolerantly.
    pub message: Option<Message>,
    /// What is wrong, in the order of the text as far as it is known.
    pub problems: Vec<Problem>,
    /// The decoded text without a byte order mark, for excerpts; positions count in it. Cut off when
    /// the octets are beyond the limit.
    pub text: String,
}

impl Reading {
    /// Whether the octets are a well-formed document within the limits. Problems with the name of
    /// the character set and the like do not count.
    pub fn is_strict(&self) -> bool {
        self.message.is_some() && !self.problems.iter().any(|p| p.fatal)
    }
}

/// One thing that is wrong with the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// Whether XML 1.0 or a limit forbids it, so that a strict reader stops here.
    pub fatal: bool,
    /// Where.
    pub position: Position,
    /// What, in lower case.
    pub text: String,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The character set: unknown, contradicted, or octets that do not fit it (only these are fatal).
    Charset,
    /// A limit of this suite, or something that it refuses to do, such as resolving entities.
    Limit,
    /// Not well-formed XML.
    NotWellFormed,
    /// What the tolerant try changed to read the document all the same.
    Repaired,
}
