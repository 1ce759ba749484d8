//! Message and tables to findings. [`Checker`] judges one message by the general rules; every finding
//! belongs to exactly one [`Rule`], and every rule that was judged leaves evidence. Nothing here reads
//! octets: what a codec has to say comes in as plain data through [`Finding::of_octets`].

mod address;
mod content;
pub mod conversation;
mod date;
pub mod dfa;
mod envelope;
pub mod leaf;
mod message;
mod negotiation;
mod rule;
pub mod services;
pub mod ssp;

pub use leaf::LeafVerdict;
pub use message::{Checked, Checker, Finding, Judged, OctetDefect};
pub use rule::Rule;
