//! Judging messages of SSP: one alone, and several as a conversation.

mod conversation;
mod digest;
mod form;
mod message;
mod rule;

pub use conversation::{HeaderIds, SspConversation};
pub use digest::{digest, token_octets};
pub use form::{decoded, domain_of, domain_of_service};
pub use message::SspChecker;
pub use rule::{SspRule, item};
