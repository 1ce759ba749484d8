//! Cases generated from the tables: each mandatory child left out, neighbours swapped, each leaf given
//! values outside and at the edge of its type, wrong namespaces, wrong mode, no session, octets that
//! are not XML.
//!
//! A negative case is only made when the checker itself calls the changed message invalid, and every
//! one has a positive control: the valid request is served before or after it. A generated id is made
//! of what the case tests, never of a position.

mod steps;
mod variants;

use std::collections::BTreeMap;

use crate::base::CaseId;
use crate::check::Checker;
use crate::codec::deviation::Edit;
use crate::message::{Path, Tree};
use crate::spec::{Role, Version};

use super::Case;
use super::cover::{Aspect, Cover};
use steps::{client_steps, server_steps};
pub use variants::breaches;
use variants::variants;

/// A correct message of a peer, from which cases are generated.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Who sends it.
    pub from: Role,
    /// Version.
    pub version: Version,
    /// Its primitive.
    pub primitive: String,
    /// How a step names the message that is sent, or that it answers: `ClientCapability-Request.full`.
    pub step: String,
    /// What it is called in the ids of cases: the primitive, or what tells it from another use of it.
    pub label: String,
    /// The transaction that it belongs to, in the table of transactions.
    pub transaction: String,
    /// Requests of the server that it brings.
    pub requests: Vec<String>,
    /// The message.
    pub tree: Tree,
}

impl Sample {
    /// Whether the envelope and the octets are varied too; once is enough for what all messages share.
    fn is_whole(&self) -> bool {
        matches!(self.step.as_str(), "Login-Request" | "KeepAlive-Request")
    }

    /// Whether it is a Status that answers as every Status does: what may be wrong in one is varied once.
    fn is_plain_status(&self) -> bool {
        let varied = match self.version {
            Version::V11 => "StopSearch-Request",
            Version::V12 => "Logout-Request",
        };
        self.from == Role::Server && self.primitive == "Status" && self.step != varied
    }
}

struct Variant {
    /// What is changed, as part of the id.
    key: String,
    /// In words.
    words: String,
    edits: Vec<Edit>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Breaks the structure.
    Structure,
    /// Breaks the type of a leaf.
    Type,
    /// Not XML at all, or not the octets it claims to be.
    Octets,
    /// A valid value at the edge of its type.
    Edge,
    /// A request in mode Response.
    Mode,
    /// In a session that was never opened, or in none.
    Session,
    /// Refused with a code (what a client gets).
    Refused(u16),
    /// No answer, or an error of HTTP (what a client gets).
    Unanswered,
}

impl Kind {
    fn is_valid_message(self) -> bool {
        matches!(
            self,
            Kind::Edge | Kind::Session | Kind::Refused(_) | Kind::Unanswered
        )
    }

    fn aspect(self, key: &str) -> Aspect {
        match self {
            Kind::Structure if key.starts_with("swap") => Aspect::Order,
            Kind::Structure | Kind::Octets | Kind::Mode => Aspect::Child,
            Kind::Type | Kind::Edge => Aspect::Types,
            Kind::Session | Kind::Refused(600 | 601 | 604) => Aspect::Session,
            Kind::Refused(_) => Aspect::Refusal,
            Kind::Unanswered => Aspect::Silence,
        }
    }
}

/// All generated cases for these samples.
pub fn generate(checker: &Checker, samples: &[Sample]) -> Vec<Case> {
    let mut made = Made::default();
    for sample in samples {
        for variant in variants(checker, sample) {
            if let Some(case) = case_of(sample, &variant) {
                made.add(case, sample.version);
            }
        }
    }
    made.cases
}

/// The cases that were made so far, and where each stands.
#[derive(Default)]
struct Made {
    cases: Vec<Case>,
    places: BTreeMap<CaseId, usize>,
}

impl Made {
    /// The same change in the other version is the same case; a change that differs is one of its own.
    fn add(&mut self, mut case: Case, version: Version) {
        if let Some(place) = self.places.get(&case.id) {
            let known = &mut self.cases[*place];
            if known.procedure == case.procedure {
                known.versions.extend(case.versions);
                return;
            }
            let Ok(id) = CaseId::parse(&format!("{}.csp{version}", case.id)) else {
                return;
            };
            case.id = id;
        }
        self.places.insert(case.id.clone(), self.cases.len());
        self.cases.push(case);
    }
}

fn case_of(sample: &Sample, variant: &Variant) -> Option<Case> {
    let id = format!(
        "IMPS-1.2-con-gen-{}.{}",
        sample.label,
        variant
            .key
            .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', ".")
    );
    let under_test = sample.from.peer();
    let (scr, procedure, preconditions) = match under_test {
        Role::Server => server_steps(sample, variant)?,
        Role::Client => client_steps(sample, variant)?,
        Role::Ssp => return None,
    };
    Some(Case {
        id: CaseId::parse(&id).ok()?,
        title: format!("{}: {}", sample.primitive, variant.words),
        object: under_test,
        description: match variant.kind {
            Kind::Edge => "A valid value at the edge of its type is not refused as invalid.".into(),
            Kind::Session => {
                "A request that needs a session is refused where there is none, and served in one.".into()
            }
            Kind::Refused(_) => "A refusal is taken, and the client goes on working.".into(),
            Kind::Unanswered => {
                "An answer that does not come is survived, and the client goes on working.".into()
            }
            _ => "A message that breaks the tables is refused (any 4xx or 5xx, CSP or HTTP: Q10), and the \
                  peer goes on working."
                .into(),
        },
        reference: "WV-043 (content models), WV-045 (data types); open question Q10".into(),
        scr: vec![scr],
        versions: vec![sample.version],
        tags: vec![
            "generated".into(),
            if matches!(variant.kind, Kind::Edge) {
                "positive"
            } else {
                "negative"
            }
            .into(),
        ],
        covers: vec![Cover {
            transaction: sample.transaction.clone(),
            aspect: variant.kind.aspect(&variant.key),
        }],
        preconditions,
        procedure,
        after: Vec::new(),
        pass: match (under_test, variant.kind) {
            (Role::Client, Kind::Refused(604)) => {
                "nothing in the ended session before the next Login-Request"
            }
            (Role::Client, _) => "the client goes on working: it logs in anew",
            (Role::Server, Kind::Edge) => "answered, and the session goes on",
            (Role::Server, Kind::Mode) => "refused or ignored, and the valid request is served",
            (Role::Server | Role::Ssp, _) => "refused, and the valid request is served",
        }
        .into(),
        file: format!("generated from {}", sample.primitive),
        line: 0,
    })
}

fn path(names: &[&str]) -> Option<Path> {
    Path::parse(&names.join("/")).ok()
}
