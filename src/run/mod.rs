//! Plan → dispatcher → executor. The dispatcher owns the state of a run and is the only one that
//! speaks to subscribers; executors take one case each and give back what it came to.

mod answer;
mod both_sides;
mod channels;
mod claims;
mod client_channels;
mod client_cir;
mod client_iut;
mod clock;
mod conclude;
mod conversations;
pub mod coverage;
pub mod dispatcher;
mod driver;
mod driver_process;
pub mod driver_protocol;
mod embedded_client;
mod expectation;
pub mod falsify;
mod guest;
mod harvest;
mod imported;
mod intake;
mod joined;
mod judge;
mod lane;
mod meeting;
mod occurrence;
mod outcome;
mod plan;
mod prompt;
mod prompted;
mod proxy;
mod real_client;
mod reference;
pub mod rejudge;
mod rejudge_clients;
mod rejudge_watch;
pub mod resume;
mod sanity;
mod server_answers;
mod server_cir;
mod server_inbox;
mod server_iut;
mod shape;
mod ssp_embedded;
mod ssp_judge;
mod ssp_node;
mod ssp_steps;
mod station;
mod suite;
mod tally;
mod target;
mod vouch;
mod watched;
mod wire;

use std::sync::Arc;

use crate::base::ItemId;
use crate::event::{CaseResult, Event, Subscriber};
use crate::record::Exchange;
use crate::spec::ImportedTable;

pub use claims::derived_ics;
pub use clock::Clock;
pub use dispatcher::{Iut, NetKind, RunOptions, Upper, run};
pub use driver::{Settings, client_config};
pub use driver_process::DriverCommand;
pub use joined::{JoinedServer, Joining, joined_accounts};
pub use plan::{Plan, Unit};
pub use prompt::Console;
pub use reference::{EmbeddedClient, EmbeddedServer, reference_accounts};
pub use resume::Prior;
pub use suite::Suite;

/// Speaks to every subscriber, in order.
#[derive(Default)]
pub struct Bus {
    subscribers: Vec<Box<dyn Subscriber>>,
    imported: Vec<ImportedTable>,
}

impl Bus {
    /// Adds a subscriber.
    pub fn subscribe(&mut self, subscriber: Box<dyn Subscriber>) {
        self.subscribers.push(subscriber);
    }

    /// Tables whose rows are told with the end of the run.
    pub fn import(&mut self, tables: Vec<ImportedTable>) {
        self.imported = tables;
    }

    /// Sends an event to all.
    pub fn emit(&mut self, event: &Event) {
        if let (Event::RunFinished(outcome), false) = (event, self.imported.is_empty()) {
            let joined = Event::RunFinished(Arc::new(imported::joined(&self.imported, outcome)));
            return self.tell(&joined);
        }
        self.tell(event);
    }

    fn tell(&mut self, event: &Event) {
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
