//! Octets to messages and back. A codec says what stands there and how well it reads; what it is
//! worth is said by `check`.

pub mod deviation;
pub mod xml;

pub use xml::{Problem, ProblemKind, Reading, WriteOptions, read, write};
