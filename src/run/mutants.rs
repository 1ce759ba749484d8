//! Proof that the suite can tell: the reference with one fault must fail the items that the fault
//! breaks, and no others.

use std::fmt;

use crate::base::ItemId;
use crate::event::RunOutcome;
use crate::peer::fault::Fault;
use crate::verdict::{ItemVerdict, Strength};

use super::Bus;
use super::dispatcher::{Iut, RunOptions, run};
use super::suite::Suite;

/// What a mutant came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Items that the fault breaks and that did not fail (or warn, where that is all they can).
    pub survived: Vec<(ItemId, ItemVerdict)>,
    /// Other items that failed, with why.
    pub false_alarms: Vec<(ItemId, ItemVerdict, String)>,
}

impl Verdicts {
    /// Whether the fault was found and nothing else was blamed.
    pub fn is_good(&self) -> bool {
        self.survived.is_empty() && self.false_alarms.is_empty()
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (item, verdict) in &self.survived {
            writeln!(f, "survived: {item} is {verdict}")?;
        }
        for (item, verdict, why) in &self.false_alarms {
            writeln!(f, "false alarm: {item} is {verdict}: {why}")?;
        }
        Ok(())
    }
}

/// Runs every case of the fault's role against the reference with this fault.
///
/// # Errors
/// The reference cannot be set up.
pub async fn falsify(suite: &Suite, fault: &Fault, seed: u64) -> std::io::Result<Verdicts> {
    let iut = Iut::Embedded {
        roles: vec![fault.role],
        fault: Some(Box::new(fault.clone())),
    };
    let options = RunOptions {
        versions: fault.versions.clone(),
        filter: None,
        jobs: 1,
        seed,
        ics: None,
        prior: None,
    };
    let outcome = run(suite, &iut, &options, &mut Bus::default(), std::future::pending()).await?;
    Ok(judge(suite, fault, &outcome))
}

fn judge(suite: &Suite, fault: &Fault, outcome: &RunOutcome) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for item in &outcome.items {
        let broken = fault.breaks.contains(&item.id);
        let bad = matches!(item.verdict, ItemVerdict::Fail | ItemVerdict::Error);
        if broken {
            let strength = suite.tables.items.get(&item.id).map(crate::spec::Item::strength);
            let warned = item.verdict == ItemVerdict::Warn && strength != Some(Strength::Must);
            if item.verdict != ItemVerdict::Fail && !warned {
                verdicts.survived.push((item.id.clone(), item.verdict));
            }
        } else if bad {
            verdicts
                .false_alarms
                .push((item.id.clone(), item.verdict, item.reason.clone()));
        }
    }
    verdicts
}
