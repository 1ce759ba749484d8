//! Plan → dispatcher → executor. The dispatcher owns the state of a run and is the only one that
//! speaks to subscribers; executors take one case each and give back what it came to.

mod claims;
mod client_iut;
mod clock;
mod conclude;
pub mod coverage;
pub mod dispatcher;
mod expectation;
pub mod falsify;
mod judge;
mod outcome;
pub mod passive;
mod plan;
mod reference;
pub mod rejudge;
pub mod resume;
mod server_iut;
mod suite;
mod tally;
mod target;
mod vouch;
mod wire;

use std::sync::Arc;

use crate::base::ItemId;
use crate::event::{CaseResult, Event, Subscriber};
use crate::record::Exchange;

pub use claims::derived_ics;
pub use clock::Clock;
pub use dispatcher::{Iut, NetKind, RunOptions, run};
pub use plan::{Plan, Unit};
pub use reference::{EmbeddedServer, reference_accounts};
pub use resume::Prior;
pub use suite::Suite;

/// Speaks to every subscriber, in order.
#[derive(Default)]
pub struct Bus {
    subscribers: Vec<Box<dyn Subscriber>>,
}

impl Bus {
    /// Adds a subscriber.
    pub fn subscribe(&mut self, subscriber: Box<dyn Subscriber>) {
        self.subscribers.push(subscriber);
    }

    /// Sends an event to all.
    pub fn emit(&mut self, event: &Event) {
        for subscriber in &mut self.subscribers {
            subscriber.on(event);
        }
    }
}

/// What an executor gives back.
#[derive(Debug, Clone)]
pub struct CaseOutput {
    /// What the case came to.
    pub result: CaseResult,
    /// What was on the wire.
    pub exchanges: Vec<Arc<Exchange>>,
    /// Items that the peer said it does not have.
    pub declined: Vec<ItemId>,
    /// Whether no exchange brought a readable answer: a hint that the peer is gone.
    pub dead: bool,
}
