//! Subscribers of the event stream and what they leave behind: the report as data, JUnit, a
//! transcript, a page, and the text of the terminal. Nothing here judges: verdicts arrive in events
//! and are only folded, counted and shown. Everything that a peer sent passes through the masker of
//! the run first and through the escaping of its destination second.

mod collector;
mod explain;
mod html;
mod json;
mod junit;
mod model;
mod moved;
mod progress;
mod shown;
mod terminal;
mod transcript;
mod wbxml;
mod words;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

pub use crate::event::TRANSCRIPT_FORMAT;
pub use collector::{Collector, KeptExchanges, MAX_KEPT_EXCHANGE_OCTETS};
pub use explain::{explain_case, explain_item};
pub use html::page;
pub use json::{schema, to_json};
pub use junit::junit;
pub use model::{
    Case, CaseVerdict, Criterion, FORMAT, Finding, Item, Report, RoleCounts, Silence, Suite, Summary, Target,
    TargetKind,
};
pub use moved::Moved;
pub use progress::Progress;
pub use shown::{ShownBody, ShownExchange, ShownMessage};
pub use terminal::{Detail, Terminal};
pub use transcript::Transcript;
pub use write::write_all;

use crate::event::{Event, Subscriber};

/// What every output says first and last when no product was tested.
pub const SELF_TEST: &str = "SELF-TEST of the embedded reference: no product was tested";

/// What every output says of items that are not OMA's own text.
pub const RECONSTRUCTED: &str = "Items marked `rec:` are reconstructions from public sources, not the text of \
the OMA requirement tables, which are not public.";

/// A subscriber that its owner keeps a handle to, to ask it for its result after the run.
impl<S: Subscriber> Subscriber for Arc<Mutex<S>> {
    fn on(&mut self, event: &Event) {
        // A panic elsewhere while the lock was held leaves counts at worst incomplete; a report of
        // what is there is better than none.
        self.lock().unwrap_or_else(PoisonError::into_inner).on(event);
    }
}

// The integration tests include the fixture by path; this name is what both sides call the crate.
#[cfg(test)]
use crate as imps;

#[cfg(test)]
pub(crate) mod fixture;
