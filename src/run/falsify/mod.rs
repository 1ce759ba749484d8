//! Proof that the suite can tell: the reference with one fault must fail the items that the fault
//! breaks, and no others. Faults are written (`cases/_faults`), or generated from every message that
//! the reference sends. Everything is in memory and in virtual time.

mod baseline;
mod mutate;
mod mutate_ssp;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::ItemId;
use crate::peer::fault::{Fault, FaultKind};
use crate::spec::{Role, Version};
use crate::verdict::{Strength, Verdict};

use super::suite::Suite;
use baseline::Baseline;

/// One way in which the reference is made wrong.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// The fault; `breaks` names the items.
    pub fault: Fault,
    /// What each broken item has to come to: a failure, or at least a warning.
    pub expected: BTreeMap<ItemId, Strength>,
    /// Whether it was made from a message, not written.
    pub generated: bool,
}

/// What a mutant came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Items that the fault breaks and that did not fail (or warn, where that is all they can).
    pub survived: Vec<(ItemId, Verdict)>,
    /// Other items that failed, with why.
    pub false_alarms: Vec<(ItemId, Verdict, String)>,
    /// How many cases were run.
    pub cases: usize,
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

/// Knows what the correct reference does, and tries mutants against the cases that would see them.
#[derive(Debug)]
pub struct Falsifier<'a> {
    suite: &'a Suite,
    seed: u64,
    sampled: bool,
    baselines: Vec<Baseline<'a>>,
}

impl<'a> Falsifier<'a> {
    /// Runs every case of these roles against the correct reference, to learn what it sends.
    ///
    /// # Errors
    /// The reference cannot be set up, or fails a case: then nothing can be falsified.
    pub async fn new(suite: &'a Suite, roles: &[Role], seed: u64) -> std::io::Result<Self> {
        let mut baselines = Vec::new();
        for role in roles {
            for version in Version::ALL {
                if *role == Role::Ssp && *version != Version::V12 {
                    continue;
                }
                baselines.push(Baseline::record(suite, *role, *version, seed).await?);
            }
        }
        Ok(Self {
            suite,
            seed,
            sampled: true,
            baselines,
        })
    }

    /// Tries each mutant on every case that it can show in, not on a sample of those that name no item it
    /// breaks.
    #[must_use]
    pub fn every_case(mut self, yes: bool) -> Self {
        self.sampled = !yes;
        self
    }

    /// A mutant of every written fault of these roles.
    pub fn written(&self) -> Vec<Mutant> {
        let known = |role: Role| self.baselines.iter().any(|b| b.role == role);
        self.suite
            .faults
            .iter()
            .filter(|f| known(f.role))
            .map(|fault| Mutant {
                fault: fault.clone(),
                expected: fault
                    .breaks
                    .iter()
                    .map(|id| {
                        let strength = self.suite.tables.items.get(id).map(crate::spec::Item::strength);
                        (id.clone(), strength.unwrap_or(Strength::Note))
                    })
                    .collect(),
                generated: false,
            })
            .collect()
    }

    /// Mutants made from every message that the reference sends.
    pub fn generated(&self) -> Vec<Mutant> {
        self.baselines
            .iter()
            .flat_map(|b| match b.role {
                Role::Ssp => mutate_ssp::mutants(self.suite, b),
                Role::Client | Role::Server => mutate::mutants(self.suite, b),
            })
            .collect()
    }

    /// Runs the cases that a mutant can show in.
    ///
    /// # Errors
    /// The reference cannot be set up.
    pub async fn judge(&self, mutant: &Mutant) -> std::io::Result<Verdicts> {
        let verdicts = self.judge_on(mutant, self.sampled).await?;
        // What a sample did not show may show in the rest.
        match verdicts.survived.is_empty() || !self.sampled {
            true => Ok(verdicts),
            false => self.judge_on(mutant, false).await,
        }
    }

    async fn judge_on(&self, mutant: &Mutant, sampled: bool) -> std::io::Result<Verdicts> {
        let mut verdicts = Verdicts::default();
        let mut worst: BTreeMap<ItemId, Verdict> = BTreeMap::new();
        for baseline in &self.baselines {
            let fault = &mutant.fault;
            if baseline.role != fault.role || !fault.versions.contains(&baseline.version) {
                continue;
            }
            let broken = mutant.expected.keys().collect();
            let units = baseline.touched(fault, &broken, sampled);
            verdicts.cases += units.len();
            let results = baseline::run(
                self.suite,
                baseline.role,
                baseline.version,
                &units,
                Some(fault),
                self.seed,
            )
            .await?;
            for criterion in results.iter().flat_map(|r| &r.result.criteria) {
                let found = matches!(criterion.verdict, Verdict::Warn | Verdict::Fail);
                if mutant.expected.contains_key(&criterion.item) {
                    if found {
                        let entry = worst.entry(criterion.item.clone()).or_default();
                        *entry = entry.and(criterion.verdict);
                    }
                } else if criterion.verdict >= Verdict::Fail
                    && verdicts.false_alarms.iter().all(|(i, ..)| *i != criterion.item)
                {
                    verdicts.false_alarms.push((
                        criterion.item.clone(),
                        criterion.verdict,
                        criterion.text.clone(),
                    ));
                }
            }
        }
        for (item, strength) in &mutant.expected {
            let seen = worst.get(item).copied().unwrap_or_default();
            let wanted = match strength {
                Strength::Must => Verdict::Fail,
                _ => Verdict::Warn,
            };
            if seen < wanted {
                verdicts.survived.push((item.clone(), seen));
            }
        }
        Ok(verdicts)
    }

    /// Items that the correct reference was judged by.
    pub fn judged(&self) -> BTreeSet<ItemId> {
        self.baselines
            .iter()
            .flat_map(|b| b.judged.iter().cloned())
            .collect()
    }
}

/// Whether a fault changes messages only, and which primitives those carry or answer.
fn primitives_of(fault: &Fault) -> Option<&[String]> {
    match &fault.kind {
        FaultKind::Edits { on, .. } if !on.is_empty() => Some(on),
        _ => None,
    }
}
