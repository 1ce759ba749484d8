//! The static conformance review: a statement against the tables, before any test. A requirement is
//! evaluated part by part, so that a vendor sees which answer is missing, not only that one is.

use std::fmt;

use crate::base::ItemId;
use crate::spec::expr::{Expression, Reference};
use crate::spec::items::{Item, Items};
use crate::spec::types::{Role, Status};

use super::Ics;

/// Most items of a group that are named when it does not stand.
const MAX_NAMED: usize = 6;

/// One remark of the static conformance review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewFinding {
    /// The item.
    pub item: ItemId,
    /// What kind of remark.
    pub kind: ReviewKind,
    /// In words.
    pub text: String,
    /// Its requirement part by part, where the remark is about that.
    pub tree: Option<Evaluated>,
}

/// Kinds of remarks, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewKind {
    /// A mandatory item is answered `no`.
    MandatoryRefused,
    /// The requirement of a claimed item does not hold.
    RequirementFalse,
    /// Whether the requirement of a claimed item holds hangs on answers that are not given.
    RequirementUnknown,
    /// An item has no answer.
    Unanswered,
    /// The requirement of a claimed item holds as far as it can be told: it also names what no loaded
    /// table has, or what only the other role can answer. No answer changes that.
    RequirementUntold,
}

impl ReviewKind {
    /// Whether the statement contradicts the tables: such a product cannot conform.
    pub fn is_contradiction(self) -> bool {
        matches!(self, ReviewKind::MandatoryRefused | ReviewKind::RequirementFalse)
    }

    /// Whether answers are missing.
    pub fn is_open(self) -> bool {
        matches!(self, ReviewKind::RequirementUnknown | ReviewKind::Unanswered)
    }

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ReviewKind::MandatoryRefused => "mandatory-refused",
            ReviewKind::RequirementFalse => "requirement-false",
            ReviewKind::RequirementUnknown => "requirement-unknown",
            ReviewKind::Unanswered => "unanswered",
            ReviewKind::RequirementUntold => "requirement-untold",
        }
    }
}

/// What a part of a requirement comes to over the answers. In the order of how well it stands, so that
/// AND is the least and OR the greatest of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It does not hold.
    False,
    /// An answer is missing.
    Unanswered,
    /// Nobody can answer here: no table of it is loaded, or it is of the other role.
    Untold,
    /// It holds.
    True,
    /// No stated version has it, so that nothing is asked: it is no part of the expression.
    LeftOut,
}

impl Standing {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::False => "false",
            Standing::Unanswered => "unanswered",
            Standing::Untold => "untold",
            Standing::True => "true",
            Standing::LeftOut => "left-out",
        }
    }

    fn of(answer: Option<bool>) -> Self {
        match answer {
            None => Standing::Unanswered,
            Some(false) => Standing::False,
            Some(true) => Standing::True,
        }
    }

    fn negated(self) -> Self {
        match self {
            Standing::False => Standing::True,
            Standing::True => Standing::False,
            other => other,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A part of a requirement and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The part as written.
    pub text: String,
    /// What it comes to.
    pub standing: Standing,
    /// Why, of an item or a group.
    pub why: String,
    /// What it is made of.
    pub parts: Vec<Evaluated>,
}

/// What a reference of a requirement means for a statement.
pub(super) enum Meaning<'a> {
    /// An item that the statement answers for.
    Item(&'a Item),
    /// All of these.
    Group(Vec<&'a Item>),
    /// Nothing is asked, and why.
    LeftOut(String),
    /// Nobody can answer here, and why.
    Untold(String),
}

impl Ics {
    /// The items that the statement has to answer for, in the order of the tables.
    pub fn questions<'a>(&'a self, items: &'a Items) -> impl Iterator<Item = &'a Item> {
        items
            .of_role(self.role)
            .filter(|i| i.status != Status::NotApplicable && self.covers(i))
    }

    /// The static conformance review: the statement against the tables, for the items of `role` that
    /// one of the stated versions has. Remarks come in the order of the tables.
    pub fn review(&self, items: &Items, role: Role) -> Vec<ReviewFinding> {
        let mut findings = Vec::new();
        if role != self.role {
            return findings;
        }
        for item in self.questions(items) {
            let mut found = |kind, text: String, tree| {
                findings.push(ReviewFinding {
                    item: item.id.clone(),
                    kind,
                    text,
                    tree,
                });
            };
            match self.claimed(&item.id) {
                None => found(
                    ReviewKind::Unanswered,
                    format!("no answer for this item of status {}", item.status),
                    None,
                ),
                Some(false) if item.status == Status::Mandatory => found(
                    ReviewKind::MandatoryRefused,
                    "a mandatory item is answered `no`".to_owned(),
                    None,
                ),
                Some(false) => {}
                Some(true) => {
                    let Some(requirement) = &item.requirement else {
                        continue;
                    };
                    let (kind, text) = match self.standing(items, requirement, false) {
                        Standing::True | Standing::LeftOut => continue,
                        Standing::False => (
                            ReviewKind::RequirementFalse,
                            "claimed, but its requirement does not hold",
                        ),
                        Standing::Unanswered => (
                            ReviewKind::RequirementUnknown,
                            "whether its requirement holds hangs on answers that are missing",
                        ),
                        Standing::Untold => (
                            ReviewKind::RequirementUntold,
                            "whether its requirement holds cannot be told here",
                        ),
                    };
                    found(
                        kind,
                        format!("{text}: {requirement}"),
                        Some(self.evaluate(items, requirement)),
                    );
                }
            }
        }
        findings
    }

    /// What a reference means for this statement.
    pub(super) fn meaning<'a>(&self, items: &'a Items, reference: &Reference) -> Meaning<'a> {
        let asked = |item: &Item| item.status != Status::NotApplicable && self.covers(item);
        match reference {
            Reference::Item(name) => match items.find(name.as_str()) {
                None => Meaning::Untold("no table that has it is loaded".to_owned()),
                Some(item) if item.role != self.role => Meaning::Untold(format!(
                    "an item of the {}, for which this statement does not answer",
                    item.role
                )),
                Some(item) if !asked(item) => Meaning::LeftOut(match item.status {
                    Status::NotApplicable => "not applicable any more".to_owned(),
                    _ => "no stated version has it".to_owned(),
                }),
                Some(item) => Meaning::Item(item),
            },
            Reference::Group(group) => {
                let all: Vec<&Item> = items.of_group(group).collect();
                if all.is_empty() {
                    return Meaning::Untold("no table of it is loaded".to_owned());
                }
                // A server answers for each of its protocols in a statement of its own.
                if let Some(other) = all.iter().find(|i| i.role != self.role) {
                    return Meaning::Untold(format!(
                        "items of the {}, for which this statement does not answer",
                        other.role
                    ));
                }
                let asked: Vec<&Item> = all.into_iter().filter(|i| asked(i)).collect();
                if asked.is_empty() {
                    Meaning::LeftOut("no stated version has an item of it".to_owned())
                } else {
                    Meaning::Group(asked)
                }
            }
        }
    }

    /// What an expression, or its opposite, comes to over the answers.
    fn standing(&self, items: &Items, expression: &Expression, negated: bool) -> Standing {
        // The opposite is taken of items, not of what is made of them: what nobody can tell must not stand
        // for its opposite as well.
        let turned = |s: Standing| if negated { s.negated() } else { s };
        let join = |all: bool, parts: &mut dyn Iterator<Item = Standing>| {
            let parts = parts.filter(|s| *s != Standing::LeftOut);
            let joined = if all == negated { parts.max() } else { parts.min() };
            joined.unwrap_or(Standing::LeftOut)
        };
        match expression {
            Expression::Not(inner) => self.standing(items, inner, !negated),
            Expression::And(parts) => join(true, &mut parts.iter().map(|p| self.standing(items, p, negated))),
            Expression::Or(parts) => join(false, &mut parts.iter().map(|p| self.standing(items, p, negated))),
            Expression::Reference(reference) => match self.meaning(items, reference) {
                Meaning::Item(item) => turned(Standing::of(self.claimed(&item.id))),
                Meaning::Group(all) => join(
                    true,
                    &mut all.iter().map(|i| turned(Standing::of(self.claimed(&i.id)))),
                ),
                Meaning::LeftOut(_) => Standing::LeftOut,
                Meaning::Untold(_) => Standing::Untold,
            },
        }
    }

    /// An expression part by part.
    pub fn evaluate(&self, items: &Items, expression: &Expression) -> Evaluated {
        let (why, parts) = match expression {
            Expression::Reference(reference) => (self.why(items, reference), Vec::new()),
            Expression::Not(inner) => (String::new(), vec![self.evaluate(items, inner)]),
            Expression::And(parts) | Expression::Or(parts) => (
                String::new(),
                parts.iter().map(|p| self.evaluate(items, p)).collect(),
            ),
        };
        Evaluated {
            text: expression.to_string(),
            standing: self.standing(items, expression, false),
            why,
            parts,
        }
    }

    fn why(&self, items: &Items, reference: &Reference) -> String {
        match self.meaning(items, reference) {
            Meaning::Item(item) => answer(self.claimed(&item.id)).to_owned(),
            Meaning::LeftOut(why) | Meaning::Untold(why) => why,
            Meaning::Group(all) => {
                let missing: Vec<String> = all
                    .iter()
                    .filter(|i| self.claimed(&i.id) != Some(true))
                    .map(|i| format!("{} {}", i.id, answer(self.claimed(&i.id))))
                    .collect();
                if missing.is_empty() {
                    return format!("all {} items answered yes", all.len());
                }
                let named = missing.len().min(MAX_NAMED);
                let more = match missing.len() - named {
                    0 => String::new(),
                    n => format!(", and {n} more"),
                };
                format!(
                    "{} of {} items missing: {}{more}",
                    missing.len(),
                    all.len(),
                    missing[..named].join(", ")
                )
            }
        }
    }
}

fn answer(answer: Option<bool>) -> &'static str {
    match answer {
        None => "not answered",
        Some(true) => "answered yes",
        Some(false) => "answered no",
    }
}
