//! What was recorded earlier, read back into records and results. Nothing here judges, and nothing
//! here speaks to a network.

pub mod transcript;

pub use transcript::{Archive, ArchivedCase, ArchivedExchange, read};
