//! Whether an answer is the one that a step expects.

use crate::case::{Condition, Expected, Test};
use crate::message::{Envelope, Message, Mode};
use crate::record::Failure;

use super::judge::{describe, first_code};

/// What came back to the last request of a lane.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nothing.
    Failed(Failure),
    /// HTTP 4xx or 5xx.
    Refused(u16),
    /// HTTP 200 with an empty body.
    Empty,
    /// A message, strictly or tolerantly read.
    Message(Box<Message>),
    /// Something that cannot be read.
    Unreadable(String),
}

/// How an expectation came out.
pub enum Outcome {
    /// It came; the evidence.
    Met(String),
    /// No answer, or an empty one where one is due.
    Silence(String),
    /// Something else came.
    Other(String),
}

/// Holds an answer against an expectation.
pub fn outcome(expected: &Expected, answer: &Answer, tests: &[Test]) -> Outcome {
    let found = match answer {
        Answer::Failed(failure @ (Failure::NotHttp(..) | Failure::TooLong(_))) => {
            return Outcome::Other(failure.to_string());
        }
        Answer::Failed(failure) => return Outcome::Silence(failure.to_string()),
        Answer::Refused(status) => format!("HTTP {status}"),
        Answer::Empty => "an empty body".to_owned(),
        Answer::Message(m) => describe(&m.tree),
        Answer::Unreadable(what) => what.clone(),
    };
    let code = match answer {
        Answer::Message(m) => first_code(&m.tree),
        _ => None,
    };
    let refused = match answer {
        Answer::Refused(_) => true,
        Answer::Message(_) => code.is_some_and(|c| (400..=999).contains(&c)),
        _ => false,
    };
    let met = match expected {
        Expected::Primitives(names) => match answer {
            Answer::Message(m) => {
                let named = match Envelope::of(&m.tree) {
                    Some(e) => e.transactions.iter().any(|t| names.contains(&t.name)),
                    // Version discovery is a document of its own.
                    None => names.contains(&m.tree.get(m.tree.root()).name),
                };
                let speaks_of_code = tests.iter().any(|t| mentions_code(&t.condition));
                named && (speaks_of_code || code.is_none_or(|c| c / 100 == 2))
            }
            _ => false,
        },
        Expected::Refusal => refused,
        Expected::Taken => matches!(answer, Answer::Message(_)) && !matches!(code, Some(400 | 402)),
        Expected::Answer => refused || matches!(answer, Answer::Message(_)),
        Expected::NotServed => refused || matches!(answer, Answer::Empty),
        Expected::Delivery => match answer {
            Answer::Empty => true,
            Answer::Message(m) => Envelope::of(&m.tree).is_some_and(|e| {
                e.transactions
                    .iter()
                    .all(|t| t.mode != Mode::Response || t.name == "Status" || !t.id.is_empty())
                    && !refused
            }),
            _ => false,
        },
    };
    if met {
        return Outcome::Met(format!("answered by {found}"));
    }
    let text = format!("answered by {found}, expected {expected}");
    if matches!(answer, Answer::Empty) {
        Outcome::Silence(text)
    } else {
        Outcome::Other(text)
    }
}

fn mentions_code(condition: &Condition) -> bool {
    match condition {
        Condition::In(path, _)
        | Condition::InOrAbsent(path, _)
        | Condition::NotIn(path, _)
        | Condition::Class(path, _) => path.names().last() == Some("Code"),
        _ => false,
    }
}
