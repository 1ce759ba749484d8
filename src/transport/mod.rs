//! Octets in and out, recorded below the HTTP parser. Nothing here knows CSP.

pub mod client;
pub mod raw;
mod recording;
pub mod server;

pub use recording::Wire;
