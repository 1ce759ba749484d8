//! What the steps of a client case ask for, read off before anything is run.

use crate::case::{Case, Condition, Step, Test};
use crate::message::{Path, Tree};
use crate::spec::Command;

use super::plan::Plan;

/// The proof of a Login-Request that is correct, but not the kind that these conditions ask for: a login
/// by password is no evidence about digests, and the reverse.
pub fn other_login(tests: &[Test], tree: &Tree) -> Option<&'static str> {
    let request = Path::parse("Login-Request").ok()?.first(tree)?;
    let proofs: Vec<&str> = ["Password", "DigestSchema", "DigestBytes"]
        .into_iter()
        .filter(|name| tree.child(request, name).is_some())
        .collect();
    let [proof] = proofs.as_slice() else {
        return None;
    };
    let asks_for_another = tests.iter().any(|test| {
        let (path, wanted) = match &test.condition {
            Condition::Present(path) | Condition::Digest(path) => (path, true),
            Condition::Absent(path) => (path, false),
            _ => return false,
        };
        let last = path.names().last();
        let of_proof = last.is_some_and(|n| matches!(n, "Password" | "DigestSchema" | "DigestBytes"));
        of_proof && (last == Some(*proof)) != wanted
    });
    asks_for_another.then_some(*proof)
}

/// How many of the first preconditions only log the client in: asked for, awaited, answered as usual.
pub fn login_prefix(case: &Case) -> usize {
    match case.preconditions.as_slice() {
        [
            Step::Stimulate(commands),
            Step::On { incoming, .. },
            Step::Reply {
                edits,
                requests,
                status: None,
                agree,
            },
            ..,
        ] if is_login(commands)
            && incoming.times == 1
            && incoming.primitives == ["Login-Request"]
            && edits.is_empty()
            && requests.is_empty()
            && agree.is_empty() =>
        {
            3
        }
        _ => 0,
    }
}

fn is_login(commands: &[Command]) -> bool {
    matches!(commands, [Command::Login | Command::LoginDigest])
}

/// Whether the first thing that a case wants of the client is what only one that is not logged in does.
pub fn begins_logged_out(case: &Case) -> bool {
    let first = case
        .preconditions
        .iter()
        .chain(&case.procedure)
        .find_map(|step| match step {
            Step::Stimulate(commands) => Some(commands),
            _ => None,
        });
    first.is_some_and(|c| is_login(c) || *c == [Command::DiscoverVersions])
}

/// Whether a case is none for a person: it was made from the tables, one of hundreds, or needs a client that
/// is told which channels to offer.
pub fn needs_driver(case: &Case) -> bool {
    let offers = |step: &Step| matches!(step, Step::Stimulate(c) if c.contains(&Command::CapabilitiesCir));
    case.tags.iter().any(|t| t == "generated") || case.preconditions.iter().chain(&case.procedure).any(offers)
}

/// An order in which the client stays logged in as long as possible: the login by password, what happens
/// in its session, what ends the session, what needs a client that is logged out.
pub fn sort_for_people(plan: &mut Plan<'_>) {
    plan.units.sort_by_key(|unit| {
        let ends = ends_session(unit.case);
        match ((login_prefix(unit.case) > 0), ends) {
            (false, false) if begins_with_password(unit.case) => 0,
            (false, false) if !begins_logged_out(unit.case) => 1,
            (true, false) => 1,
            (true, true) => 2,
            (false, _) => 3,
        }
    });
}

fn begins_with_password(case: &Case) -> bool {
    let mut steps = case.preconditions.iter().chain(&case.procedure);
    matches!(steps.next(), Some(Step::Stimulate(c)) if *c == [Command::Login])
}

/// Whether a case ends the session that it runs in, or comes out of it logged in anew.
fn ends_session(case: &Case) -> bool {
    case.preconditions
        .iter()
        .chain(&case.procedure)
        .any(|step| match step {
            Step::Stimulate(commands) => *commands == [Command::Logout],
            Step::Fence(fence) => fence.command == Some(Command::Login),
            Step::Reply { requests, status, .. } => {
                status.is_some() || requests.iter().any(|r| r == "Disconnect")
            }
            _ => false,
        })
}
