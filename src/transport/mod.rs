//! Octets in and out, recorded below the HTTP parser. Nothing here knows CSP.

pub mod client;
mod recording;
pub mod server;

pub use recording::Wire;
