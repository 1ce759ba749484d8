//! Static conformance test suite and validator for OMA IMPS 1.2 (Wireless Village).
//!
//! What the specification says is data (`scr-tables/`), what a test does is data (`cases/`); this
//! library is the small machine between them. Rooms stand on floors and import downward only; the
//! table is asserted by `tests/rooms.rs`.

pub mod base;
pub mod capture;
pub mod case;
pub mod check;
pub mod cli;
pub mod codec;
pub mod event;
pub mod message;
pub mod peer;
pub mod record;
pub mod report;
pub mod run;
pub mod spec;
pub mod transport;
pub mod verdict;
