//! Octets in and out, recorded below the HTTP parser. Nothing here knows CSP.

pub mod cir;
pub mod client;
pub mod net;
pub mod raw;
mod recording;
pub mod relay;
pub mod server;
pub mod tls;
mod tls_server;

pub use net::{Datagrams, MemoryNet, Net};
pub use recording::Wire;
pub use tls_server::ServerTls;
