//! What is tested: every transaction by aspect, role and version, each cell with its cases or with a reason
//! from a closed list; and every item with its cases and the mutants that break it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::{CaseId, ItemId};
use crate::case::{Aspect, Case, Condition, Step};
use crate::codec::deviation::Edit;
use crate::spec::model::Model;
use crate::spec::syntax::LeafType;
use crate::spec::{Group, Role, Transaction, Version};
use crate::verdict::Strength;

use super::falsify::{Falsifier, Mutant};
use super::suite::Suite;

/// Why a cell has no case. The list is closed: anything else is a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The version does not have the transaction.
    NotInVersion,
    /// This side receives no message of the transaction.
    NothingReceived,
    /// Nothing in the messages is mandatory.
    NoMandatoryChild,
    /// No message has two children whose order could be wrong.
    NothingToSwap,
    /// No mandatory value has a type that could be broken.
    NoTypedValue,
    /// Nothing refuses it with a code of its own.
    NoRefusal,
    /// It stands outside any session.
    NotInSession,
    /// Nobody is refused for lack of rights.
    NoPermission,
    /// Judged on every message, in every case.
    GeneralRule(&'static str),
    /// What is received only answers: nobody answers an answer, so that none is refused.
    OnlyAnswers,
    /// The server begins: the client waits for nothing, and nothing is refused to it.
    BegunByServer,
    /// The messages are those of another transaction, where they are varied.
    VariedAs(String),
    /// An open question: no reading may fail anybody.
    OpenQuestion(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotInVersion => f.write_str("not in this version"),
            Reason::NothingReceived => f.write_str("this side receives nothing"),
            Reason::NoMandatoryChild => f.write_str("nothing is mandatory"),
            Reason::NothingToSwap => f.write_str("nothing to swap"),
            Reason::NoTypedValue => f.write_str("no typed value is mandatory"),
            Reason::NoRefusal => f.write_str("no code of its own"),
            Reason::NotInSession => f.write_str("outside any session"),
            Reason::NoPermission => f.write_str("no right is needed"),
            Reason::GeneralRule(item) => write!(f, "in every case: {item}"),
            Reason::OnlyAnswers => f.write_str("what is received only answers"),
            Reason::BegunByServer => f.write_str("begun by the server"),
            Reason::VariedAs(other) => write!(f, "varied as {other}"),
            Reason::OpenQuestion(question) => write!(f, "open question {question}"),
        }
    }
}

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Its cases, and what of it is excused, for people.
    Cases(Vec<CaseId>, Vec<String>),
    /// Why there is none.
    Reason(Reason),
    /// Neither: what is missing.
    Gap(String),
}

/// One row: a transaction for a role in a version.
#[derive(Debug, Clone)]
pub struct Row {
    /// The transaction.
    pub transaction: Transaction,
    /// The side under test.
    pub role: Role,
    /// The version.
    pub version: Version,
    /// A cell for each aspect.
    pub cells: Vec<(Aspect, Cell)>,
}

/// The whole matrix.
pub fn matrix(suite: &Suite) -> Vec<Row> {
    let mut rows = Vec::new();
    for transaction in &suite.tables.transactions {
        // The matrix is of the transactions of CSP: those of SSP are items, each with a case.
        for role in Role::CSP {
            for version in Version::ALL {
                let place = Place {
                    suite,
                    transaction,
                    role,
                    version: *version,
                };
                rows.push(Row {
                    transaction: transaction.clone(),
                    role,
                    version: *version,
                    cells: Aspect::ALL.into_iter().map(|a| (a, place.cell(a))).collect(),
                });
            }
        }
    }
    rows
}

struct Place<'s> {
    suite: &'s Suite,
    transaction: &'s Transaction,
    role: Role,
    version: Version,
}

impl Place<'_> {
    fn cell(&self, aspect: Aspect) -> Cell {
        if self.transaction.since > self.version {
            return Cell::Reason(Reason::NotInVersion);
        }
        let cases = self.cases(aspect);
        let (missing, excused) = self.missing(aspect, &cases);
        if let Some(first) = missing.first() {
            let more = missing.len() - 1;
            let text = match more {
                0 => first.clone(),
                _ => format!("{first}, and {more} more"),
            };
            return self.excuse(aspect).map_or(Cell::Gap(text), Cell::Reason);
        }
        if !cases.is_empty() {
            return Cell::Cases(cases.into_iter().map(|c| c.id.clone()).collect(), excused);
        }
        match self.excuse(aspect) {
            Some(reason) => Cell::Reason(reason),
            None if excused.is_empty() => Cell::Gap("no case".to_owned()),
            None => Cell::Cases(Vec::new(), excused),
        }
    }

    fn cases(&self, aspect: Aspect) -> Vec<&Case> {
        self.suite
            .cases
            .iter()
            .filter(|c| c.object == self.role && c.versions.contains(&self.version))
            .filter(|c| {
                c.covers
                    .iter()
                    .any(|k| k.transaction == self.transaction.id && k.aspect == aspect)
            })
            .collect()
    }

    /// What the tables ask of a cell and no case has, and what is excused.
    fn missing(&self, aspect: Aspect, cases: &[&Case]) -> (Vec<String>, Vec<String>) {
        match aspect {
            Aspect::Child => {
                let wanted = self.mandatory_children();
                let missing = wanted
                    .iter()
                    .filter(|(parent, child)| {
                        let key = format!(".drop.{parent}.{child}");
                        !cases.iter().any(|c| names(c, &key))
                    })
                    .map(|(parent, child)| format!("{child} of {parent}"))
                    .collect();
                (missing, Vec::new())
            }
            Aspect::Types => {
                let wanted = self.typed_children();
                let missing = wanted
                    .iter()
                    .filter(|(parent, child)| {
                        let key = format!(".set.{parent}.{child}.");
                        !cases.iter().any(|c| names(c, &key))
                    })
                    .map(|(parent, child)| format!("type of {child} in {parent}"))
                    .collect();
                (missing, Vec::new())
            }
            Aspect::Refusal if self.role == Role::Server => {
                let tried: BTreeSet<u16> = cases.iter().flat_map(|c| codes_of(c)).collect();
                let mut excused = Vec::new();
                let mut missing = Vec::new();
                for code in self.codes().into_iter().filter(|c| !tried.contains(c)) {
                    match self.transaction.unprovoked.get(&code) {
                        Some(why) => excused.push(format!("{code}: {why}")),
                        None => missing.push(format!("code {code}")),
                    }
                }
                (missing, excused)
            }
            _ => (Vec::new(), Vec::new()),
        }
    }

    fn excuse(&self, aspect: Aspect) -> Option<Reason> {
        let varied = matches!(aspect, Aspect::Child | Aspect::Order | Aspect::Types);
        if let Some(question) = self.transaction.open.as_ref().filter(|_| aspect != Aspect::Flow) {
            return Some(Reason::OpenQuestion(question.clone()));
        }
        let received = self.transaction.received_by(self.role);
        if received.is_empty() && aspect != Aspect::Flow {
            return Some(Reason::NothingReceived);
        }
        if self.role == Role::Server && received.iter().all(|p| is_answer(p)) && aspect != Aspect::Flow {
            return Some(Reason::OnlyAnswers);
        }
        let begun_by_server = !received.is_empty() && self.transaction.client.iter().all(|p| is_answer(p));
        if begun_by_server && matches!(aspect, Aspect::Refusal | Aspect::Silence | Aspect::Session) {
            return Some(Reason::BegunByServer);
        }
        // A Status is a Status: what may be wrong in one is varied in one place.
        let plain = self.role == Role::Client && received.iter().all(|p| p == "Status");
        if plain && varied && self.transaction.id != self.varied_status() {
            return Some(Reason::VariedAs(self.varied_status().to_owned()));
        }
        if let Some(other) = self.transaction.like.as_ref() {
            if varied || aspect == Aspect::Session || aspect == Aspect::Silence {
                return Some(Reason::VariedAs(other.clone()));
            }
            if self.role == Role::Client && aspect == Aspect::Refusal {
                return Some(Reason::VariedAs(other.clone()));
            }
        }
        match aspect {
            // An answer to a poll that is no message, or a request of the server, is varied elsewhere.
            Aspect::Child if self.mandatory_children().is_empty() => Some(Reason::NoMandatoryChild),
            Aspect::Types if self.typed_children().is_empty() => Some(Reason::NoTypedValue),
            Aspect::Order if !self.can_be_swapped() => Some(Reason::NothingToSwap),
            Aspect::Refusal if self.role == Role::Server && self.codes().is_empty() => {
                Some(Reason::NoRefusal)
            }
            Aspect::Refusal if self.transaction.client.is_empty() => Some(Reason::NoRefusal),
            Aspect::Session if self.is_outside_sessions() => Some(Reason::NotInSession),
            Aspect::Permission => Some(Reason::NoPermission),
            Aspect::Silence if self.role == Role::Server => Some(Reason::GeneralRule("CSP-ENV-S-014")),
            _ => None,
        }
    }

    /// The transaction in which the Status of a server is varied.
    fn varied_status(&self) -> &'static str {
        match self.version {
            Version::V11 => "T12",
            Version::V12 => "T06",
        }
    }

    fn is_outside_sessions(&self) -> bool {
        self.transaction
            .client
            .iter()
            .any(|p| matches!(p.as_str(), "Login-Request" | "GetSPInfo-Request"))
    }

    /// Primitives that this side receives as the cases vary them: of several answers, those that a correct
    /// peer of this version gives.
    fn received(&self) -> Vec<&str> {
        let names = self.transaction.received_by(self.role).iter().map(String::as_str);
        names
            .filter(|name| match (self.transaction.id.as_str(), *name) {
                // 1.1 ends a session by Disconnect, 1.2 by Status.
                ("T06", "Status") => self.version == Version::V12,
                ("T06", "Disconnect") => self.version == Version::V11,
                // It answers the question whether notices are on, which no command makes a client ask.
                ("T56", "SubscribeGroupNotice-Response") => self.role == Role::Server,
                (id, "Status") => self.role == Role::Client && id == self.varied_status(),
                _ => true,
            })
            .collect()
    }

    /// Mandatory children of what is received, as (parent, child), down through mandatory elements.
    fn mandatory_children(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut open: Vec<String> = self.received().into_iter().map(str::to_owned).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let row = self.suite.tables.syntax.element(self.version, Group::Trc, &name);
            // What one source alone says of a model may not be refused by anybody.
            let binding = row.filter(|r| r.grade.basis().strength(None) == Strength::Must);
            if let Some(Model::Children(particle)) = binding.map(|r| &r.model) {
                for child in particle.mandatory() {
                    out.push((name.clone(), child.to_owned()));
                    open.push(child.to_owned());
                }
            }
        }
        out.sort();
        out
    }

    fn typed_children(&self) -> Vec<(String, String)> {
        let syntax = &self.suite.tables.syntax;
        self.mandatory_children()
            .into_iter()
            .filter(|(parent, child)| {
                syntax
                    .leaf_below(self.version, Group::Trc, parent, child)
                    .is_some_and(|(kind, basis)| {
                        // What one source alone says of a type may not be refused by anybody.
                        basis.strength(None) == Strength::Must
                            && matches!(
                                kind,
                                LeafType::Enum { .. } | LeafType::Bool | LeafType::Uint { .. }
                            )
                    })
            })
            .collect()
    }

    /// Whether an element that is received has two mandatory children.
    fn can_be_swapped(&self) -> bool {
        let mut parents: BTreeMap<String, usize> = BTreeMap::new();
        for (parent, _) in self.mandatory_children() {
            *parents.entry(parent).or_default() += 1;
        }
        parents.values().any(|n| *n > 1)
    }

    /// Codes of refusals that belong to the answer, beyond those that anything may be refused with.
    fn codes(&self) -> BTreeSet<u16> {
        let syntax = &self.suite.tables.syntax;
        let names = self.transaction.client.iter().chain(&self.transaction.server);
        names
            .filter(|n| n.as_str() != "Status")
            .filter_map(|n| syntax.primitive(n))
            .flat_map(|row| row.codes.iter().copied())
            .filter(|c| *c >= 400)
            .filter(|c| syntax.code(*c).is_some_and(|row| row.since <= self.version))
            // 1.1 alone has the ClientID in negotiations that this code is about.
            .filter(|c| *c != 422 || self.version == Version::V11 || self.transaction.id == "T02")
            .collect()
    }
}

/// Whether a primitive of a client only answers a request of the server.
fn is_answer(primitive: &str) -> bool {
    matches!(primitive, "Status" | "MessageDelivered")
}

fn names(case: &Case, key: &str) -> bool {
    let id = case.id.as_str();
    id.contains(key) || id.ends_with(key.trim_end_matches('.'))
}

/// Codes that a case asks for, accepts, or answers with.
fn codes_of(case: &Case) -> Vec<u16> {
    let mut out = Vec::new();
    for step in case.preconditions.iter().chain(&case.procedure) {
        if let Step::Expect { tests, .. } | Step::Receive { tests, .. } = step {
            for test in tests {
                if let Condition::In(path, values) = &test.condition
                    && path.names().last() == Some("Code")
                {
                    out.extend(values.iter().filter_map(|v| v.parse::<u16>().ok()));
                }
            }
        }
        match step {
            Step::Expect { codes, .. } => out.extend(&codes.settled_by),
            Step::Reply { edits, status, .. } => {
                out.extend(status);
                out.extend(edits.iter().filter_map(|e| match e {
                    Edit::Status(code) => Some(*code),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    out
}

/// What is known of one item.
#[derive(Debug, Clone)]
pub struct ItemCoverage {
    /// The item.
    pub id: ItemId,
    /// Cases that name it.
    pub cases: usize,
    /// Written faults that break it.
    pub written: usize,
    /// Generated mutants that break it.
    pub generated: usize,
    /// Why no mutant breaks it; none when one does, or when that is a gap.
    pub excuse: Option<String>,
}

impl ItemCoverage {
    /// Whether a mutant breaks it.
    pub fn is_falsified(&self) -> bool {
        self.written + self.generated > 0
    }
}

/// Every item with its cases and mutants.
pub fn items(suite: &Suite, falsifier: &Falsifier<'_>, mutants: &[Mutant]) -> Vec<ItemCoverage> {
    let judged = falsifier.judged();
    suite
        .tables
        .items
        .iter()
        .map(|item| {
            let breaking = |generated: bool| {
                mutants
                    .iter()
                    .filter(|m| m.generated == generated && m.expected.contains_key(&item.id))
                    .count()
            };
            ItemCoverage {
                id: item.id.clone(),
                cases: suite.cases.iter().filter(|c| c.scr.contains(&item.id)).count(),
                written: breaking(false),
                generated: breaking(true),
                excuse: if let Some(why) = &item.untestable {
                    Some(format!("untestable: {why}"))
                } else if item.strength() == Strength::Note {
                    Some("an open question: no breach may fail anybody".to_owned())
                } else if !item.reconstructed {
                    Some("derived from other items".to_owned())
                } else if !judged.contains(&item.id) {
                    Some("nothing that the reference sends is judged by it".to_owned())
                } else {
                    None
                },
            }
        })
        .collect()
}
