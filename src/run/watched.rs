//! The end of a run in which nobody was told what to do: real clients alone, or between them and a server.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::CaseId;
use crate::event::{Event, RunOutcome};
use crate::spec::{Role, Version};

use super::Bus;
use super::conclude::millis;
use super::dispatcher::{self, RunOptions};
use super::harvest::{self, Harvest};
use super::outcome::{self, Inputs};
use super::real_client::emit_places;
use super::suite::Suite;

/// What was watched.
pub struct Watched<'a> {
    /// Tables and cases.
    pub suite: &'a Suite,
    /// What the user asked for.
    pub options: &'a RunOptions,
    /// Roles under test.
    pub roles: &'a [Role],
    /// Versions that were looked for.
    pub versions: &'a [Version],
    /// The case under which exchanges were told of while they happened.
    pub case: &'a CaseId,
    /// What came of it.
    pub harvest: &'a Harvest,
    /// Whether a user ended the wait.
    pub interrupted: bool,
    /// Why nobody answered, if so.
    pub unreachable: Option<String>,
    /// What narrows the result.
    pub caveats: Vec<String>,
    /// When it began.
    pub epoch: Instant,
}

impl Watched<'_> {
    /// Tells of the results that were not told of yet, and of the outcome.
    pub fn conclude(self, bus: &mut Bus) -> Arc<RunOutcome> {
        let results = &self.harvest.results;
        for result in results {
            if result.id != *self.case {
                emit_places(bus, result, &self.harvest.exchanges);
            }
            bus.emit(&Event::CaseFinished(Arc::new(result.clone())));
        }
        let seen = harvest::versions_seen(results);
        let (items, conformance, more) = outcome::items(&Inputs {
            items: &self.suite.tables.items,
            roles: self.roles,
            versions: if seen.is_empty() { self.versions } else { &seen },
            results,
            not_run: BTreeSet::new(),
            filtered: false,
            ics: self.options.ics.as_ref().map(|(_, i)| i),
            declined: &BTreeSet::new(),
            real: true,
        });
        let mut caveats = self.caveats;
        caveats.extend(more);
        if let Some(statement) = &self.options.ics {
            caveats.extend(dispatcher::statement_caveats(
                self.suite, statement, &seen, &items,
            ));
        }
        let outcome = Arc::new(RunOutcome {
            items,
            conformance,
            // Ending the wait by hand is how it ends, once something was seen.
            interrupted: self.interrupted && results.is_empty(),
            unreachable: self.unreachable,
            not_run: 0,
            caveats,
            refused: Vec::new(),
            imported: Vec::new(),
            duration_ms: millis(self.epoch.elapsed()),
        });
        bus.emit(&Event::RunFinished(Arc::clone(&outcome)));
        outcome
    }
}
