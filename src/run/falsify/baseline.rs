//! What the correct reference does in each case: the messages it sends, and which of them carry which
//! verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::message::{Envelope, Tree};
use crate::peer::fault::{Fault, FaultKind, MessageKind};
use crate::spec::{Role, Version};
use crate::transport::client::Address;
use crate::transport::{MemoryNet, Net};
use crate::verdict::Verdict;

use super::super::clock::Clock;
use super::super::embedded_client::{self, ClientTarget};
use super::super::guest::Guest;
use super::super::plan::{Plan, Unit};
use super::super::reference::{EmbeddedServer, reference_accounts};
use super::super::suite::{Suite, reread};
use super::super::target::{Pace, ServerTarget};
use super::super::{CaseOutput, server_iut};

/// How long one side waits for the other, in virtual time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Cases that a written fault is tried on besides those that name an item which it breaks.
const OTHERS: usize = 12;
/// Cases that a mutant of one message is tried on of either kind: its next mutant is tried as well.
const OF_A_MESSAGE: usize = 2;

/// The correct reference of one role in one version.
#[derive(Debug)]
pub struct Baseline<'a> {
    /// The role under test.
    pub role: Role,
    /// The version.
    pub version: Version,
    units: Vec<Seen<'a>>,
    /// A message of each kind that the reference sends.
    pub messages: BTreeMap<MessageKind, Tree>,
    /// Items that something was charged to.
    pub judged: BTreeSet<ItemId>,
}

/// What one case showed.
#[derive(Debug)]
struct Seen<'a> {
    unit: Unit<'a>,
    kinds: BTreeSet<MessageKind>,
    /// Primitives of both sides.
    primitives: BTreeSet<String>,
    /// Items that passed because a message of a kind was a refusal, or was sent at all: by rule, and whether
    /// it was the first of its kind in the case.
    evidence: Vec<(MessageKind, String, ItemId, bool)>,
}

impl<'a> Baseline<'a> {
    /// Runs every case of a role in a version against the correct reference.
    ///
    /// # Errors
    /// The reference cannot be set up, or does not pass.
    pub async fn record(suite: &'a Suite, role: Role, version: Version, seed: u64) -> std::io::Result<Self> {
        let plan = Plan::new(suite, &[role], &[version], None);
        let outputs = run(suite, role, version, &plan.units, None, seed).await?;
        let mut baseline = Self {
            role,
            version,
            units: Vec::new(),
            messages: BTreeMap::new(),
            judged: BTreeSet::new(),
        };
        for (unit, output) in plan.units.iter().zip(outputs) {
            if output.result.verdict > Verdict::Warn {
                return Err(std::io::Error::other(format!(
                    "the correct reference does not pass {} in CSP {version}: nothing can be falsified",
                    unit.case.id
                )));
            }
            baseline.see(*unit, &output);
        }
        Ok(baseline)
    }

    fn see(&mut self, unit: Unit<'a>, output: &CaseOutput) {
        let mut seen = Seen {
            unit,
            kinds: BTreeSet::new(),
            primitives: BTreeSet::new(),
            evidence: Vec::new(),
        };
        let mut by_exchange: BTreeMap<u32, MessageKind> = BTreeMap::new();
        for exchange in &output.exchanges {
            let request = reread(&exchange.request.body);
            let response = exchange.response.as_ref().ok().and_then(|r| reread(&r.body));
            for message in [&request, &response].into_iter().flatten() {
                let names = Envelope::of(&message.tree).map(|e| e.transactions);
                seen.primitives
                    .extend(names.into_iter().flatten().map(|t| t.name));
            }
            let own = match self.role {
                Role::Server | Role::Ssp => response,
                Role::Client => request,
            };
            if let Some(kind) = own.as_ref().and_then(|m| MessageKind::of(&m.tree)) {
                by_exchange.insert(exchange.number, kind.clone());
                if let Some(message) = own {
                    self.messages.entry(kind.clone()).or_insert(message.tree);
                }
                seen.kinds.insert(kind);
            }
        }
        for criterion in &output.result.criteria {
            self.judged.insert(criterion.item.clone());
            let place = criterion.places.first().and_then(|p| p.exchange);
            if criterion.verdict == Verdict::Pass
                && let Some((number, kind)) = place.and_then(|n| by_exchange.get_key_value(&n))
            {
                let first = by_exchange.iter().find(|(_, k)| *k == kind).map(|(n, _)| n);
                seen.evidence.push((
                    kind.clone(),
                    criterion.rule.clone(),
                    criterion.item.clone(),
                    first == Some(number),
                ));
            }
        }
        self.units.push(seen);
    }

    /// Items that passed by such a rule on the evidence of messages of a kind. `first`: only of the first of
    /// its kind in the case; without that one, the case may not come as far as to a second.
    pub fn evidence(&self, kind: &MessageKind, rule: &dyn Fn(&str) -> bool, first: bool) -> BTreeSet<ItemId> {
        self.units
            .iter()
            .flat_map(|u| &u.evidence)
            .filter(|(k, r, _, is_first)| k == kind && rule(r) && (*is_first || !first))
            .map(|(_, _, item, _)| item.clone())
            .collect()
    }

    /// The cases that can show a fault: for one that changes messages, those in which such a message was
    /// sent by the correct reference. A fault of state may show anywhere. `sampled`: of those that name no
    /// broken item a few, spread evenly; and of a mutant of one message, which nearly every case may have, a
    /// few of either kind.
    pub fn touched(&self, fault: &Fault, broken: &BTreeSet<&ItemId>, sampled: bool) -> Vec<Unit<'a>> {
        let generated = matches!(fault.kind, FaultKind::Mutation { .. });
        let candidates: Vec<&Seen<'_>> = self
            .units
            .iter()
            .filter(|seen| match (&fault.kind, super::primitives_of(fault)) {
                (FaultKind::Mutation { kind, .. }, _) => seen.kinds.contains(kind),
                (_, Some(names)) => names.iter().any(|n| seen.primitives.contains(n)),
                _ => true,
            })
            .collect();
        if !sampled {
            return candidates.into_iter().map(|s| s.unit).collect();
        }
        let names_it = |s: &Seen<'_>| s.unit.case.scr.iter().any(|id| broken.contains(id));
        let naming = candidates.iter().filter(|s| names_it(s)).count();
        let rest = candidates.len() - naming;
        let (most_naming, most_rest) = match generated {
            true => (OF_A_MESSAGE, OF_A_MESSAGE),
            false => (naming, OTHERS),
        };
        let (mut seen_naming, mut seen_rest) = (0, 0);
        candidates
            .into_iter()
            .filter(|s| match names_it(s) {
                true => {
                    seen_naming += 1;
                    is_of_sample(seen_naming - 1, naming, most_naming)
                }
                false => {
                    seen_rest += 1;
                    is_of_sample(seen_rest - 1, rest, most_rest)
                }
            })
            .map(|s| s.unit)
            .collect()
    }
}

/// Whether the element at `index` of `all` belongs to an even sample of at most `most`.
fn is_of_sample(index: usize, all: usize, most: usize) -> bool {
    all <= most || index * most / all != (index + 1) * most / all
}

/// Runs cases one after the other in memory, against one reference.
///
/// # Errors
/// The reference cannot be set up.
pub async fn run(
    suite: &Suite,
    role: Role,
    version: Version,
    units: &[Unit<'_>],
    fault: Option<&Fault>,
    seed: u64,
) -> std::io::Result<Vec<CaseOutput>> {
    let epoch = Instant::now();
    let accounts: BTreeMap<_, _> = reference_accounts().into_iter().collect();
    let run_id = "falsify".to_owned();
    let mut outputs = Vec::with_capacity(units.len());
    match role {
        Role::Server | Role::Ssp => {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            for unit in units {
                // A server of its own: what a fault leaves behind in one case is not charged in the next.
                let net = Net::Memory(MemoryNet::new());
                let clock = Clock::skipping(epoch);
                let checker = Arc::clone(&suite.checker);
                let server =
                    EmbeddedServer::start(&net, at, checker, fault.cloned(), seed, clock.clone()).await?;
                let target = ServerTarget {
                    address: Address::of(&net, server.address),
                    headers: Vec::new(),
                    accounts: accounts.clone(),
                    client_id: None,
                    response: PATIENCE,
                    pace: Pace::new(None),
                    run_id: run_id.clone(),
                    epoch,
                    clock,
                    longest_wait: Duration::from_secs(86_400),
                    quiet: Duration::from_secs(2),
                    domain: None,
                    guest: Guest::at_home(),
                    ssp: None,
                };
                outputs.push(server_iut::run_case(suite, &target, unit.case, version).await);
            }
        }
        Role::Client => {
            let Some(credentials) = accounts.get("A").cloned() else {
                return Err(std::io::Error::other("the reference has no account A"));
            };
            let target = ClientTarget {
                net: Net::Memory(MemoryNet::new()),
                credentials,
                fault: fault.cloned(),
                run_id,
                epoch,
                clock: Clock::skipping(epoch),
                seed,
            };
            for unit in units {
                outputs.push(embedded_client::run_case(suite, &target, unit.case, version).await);
            }
        }
    }
    Ok(outputs)
}
