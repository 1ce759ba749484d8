//! The content of every element, compiled: which readings there are, and the automaton of each set.

use std::collections::BTreeMap;

use super::dfa::Dfa;
use crate::spec::model::{Model, Particle};
use crate::spec::syntax::{ElementRow, Syntax};
use crate::spec::{Grade, Group, Version};
use crate::verdict::Strength;

/// The compiled content of one element in one version.
#[derive(Debug)]
pub(super) struct Content {
    pub any: bool,
    pub text: bool,
    /// What is accepted without a word; `None` when no reading has children.
    pub accepted: Option<Dfa>,
    /// What is accepted with a warning, besides.
    pub tolerated: Option<Dfa>,
    pub strength: Strength,
    pub reading: Option<String>,
}

/// Compiled contents, by group and name within a version.
#[derive(Debug)]
pub(super) struct Contents {
    rows: BTreeMap<(Version, Group), BTreeMap<String, Content>>,
}

impl Contents {
    /// Compiles every model of both versions.
    pub fn compile(syntax: &Syntax) -> Self {
        let mut rows: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for version in Version::ALL {
            for (group, name, row) in syntax.elements(*version) {
                rows.entry((*version, group))
                    .or_default()
                    .insert(name.to_owned(), content(row));
            }
        }
        Self { rows }
    }

    pub fn get(&self, version: Version, group: Group, name: &str) -> Option<&Content> {
        self.rows.get(&(version, group))?.get(name)
    }

    /// The group that an element has at a place: that of its parent, unless it opens another one.
    pub fn group_below(parent: Group, name: &str) -> Group {
        match (parent, name) {
            (Group::Csp, "TransactionContent") => Group::Trc,
            (Group::Trc, "PresenceSubList") => Group::Pa,
            _ => parent,
        }
    }

    /// The number of automata and of their states.
    pub fn size(&self) -> (usize, usize) {
        let dfas = || {
            self.rows
                .values()
                .flat_map(BTreeMap::values)
                .flat_map(|c| [&c.accepted, &c.tolerated])
                .flatten()
        };
        (dfas().count(), dfas().map(Dfa::size).sum())
    }
}

fn content(row: &ElementRow) -> Content {
    let accepted: Vec<&Model> = std::iter::once(&row.model).chain(&row.also).collect();
    let all: Vec<&Model> = accepted.iter().copied().chain(&row.tolerated).collect();
    Content {
        any: all.contains(&&Model::Any),
        text: all.contains(&&Model::Text),
        accepted: automaton(&accepted),
        tolerated: if row.tolerated.is_empty() {
            None
        } else {
            automaton(&all)
        },
        // An open row lists every reading that is known: a breach of all of them warns.
        strength: match row.grade {
            Grade::Open => Strength::Should,
            grade => grade.basis().strength(None),
        },
        reading: row.reading.clone(),
    }
}

/// EMPTY beside a model with children is the empty sequence.
pub(super) fn automaton(models: &[&Model]) -> Option<Dfa> {
    let nothing = Particle::Sequence(Vec::new());
    let particles: Vec<&Particle> = models
        .iter()
        .filter_map(|m| match m {
            Model::Children(particle) => Some(particle),
            Model::Empty => Some(&nothing),
            Model::Any | Model::Text => None,
        })
        .collect();
    if particles.is_empty() {
        return None;
    }
    Some(Dfa::compile(particles))
}
