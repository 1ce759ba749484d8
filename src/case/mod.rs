//! Test cases: the closed step language, loading, generation from the tables, selection.

mod cover;
pub mod generate;
mod load;
mod raw;
mod step;

use crate::base::{CaseId, ItemId};
use crate::spec::{Role, Version};

pub use cover::{Aspect, Cover};
pub use load::check;
pub use load::{Cases, load};
pub use step::{
    ChannelAction, ChannelSign, CirMethod, Codes, Condition, Expected, Fence, Incoming, Patience, Reply,
    Step, Test, Wait, Wanted, account_of, is_node,
};

/// One test case, as the rows of an OMA test specification have it.
#[derive(Debug, Clone)]
pub struct Case {
    /// `IMPS-1.2-con-…`.
    pub id: CaseId,
    /// A line.
    pub title: String,
    /// The role under test.
    pub object: Role,
    /// What it does and why.
    pub description: String,
    /// Document and section.
    pub reference: String,
    /// The items that it tests explicitly; the first is charged where a step names none.
    pub scr: Vec<ItemId>,
    /// Versions it is made for.
    pub versions: Vec<Version>,
    /// Words for filters.
    pub tags: Vec<String>,
    /// What of which transaction it covers.
    pub covers: Vec<Cover>,
    /// Steps before the test: a failure here is inconclusive.
    pub preconditions: Vec<Step>,
    /// The test.
    pub procedure: Vec<Step>,
    /// Steps that always run at the end; they judge nothing.
    pub after: Vec<Step>,
    /// What passes, for people.
    pub pass: String,
    /// Where it was written; generated cases name their origin.
    pub file: String,
    /// The line.
    pub line: usize,
}

/// Whether a request, as a step names it, is of the session core: what it does ends with the session.
fn is_of_session(request: &str) -> bool {
    let primitive = request.split('.').next().unwrap_or(request);
    matches!(
        primitive,
        "Login-Request"
            | "Logout-Request"
            | "KeepAlive-Request"
            | "Polling-Request"
            | "ClientCapability-Request"
            | "Service-Request"
            | "GetSPInfo-Request"
            | "StopSearch-Request"
            | "WV-CSP-VersionDiscovery-Request"
            | "Status"
    )
}

impl Case {
    /// The group of a case: the code of its first item (`KALIVE`).
    pub fn group(&self) -> &str {
        self.scr
            .first()
            .and_then(|i| i.as_str().split('-').nth(1))
            .unwrap_or("")
    }

    /// Whether it must have the accounts to itself: it does something for which a user is known beyond the
    /// session. Presence, messages and lists are shared by all sessions of a user, so that two such cases at
    /// one time would see each other.
    pub fn needs_accounts_alone(&self) -> bool {
        fn leaves_session(steps: &[Step]) -> bool {
            steps.iter().any(|step| match step {
                Step::Send { primitives, .. } => primitives.iter().any(|p| !is_of_session(p)),
                Step::Receive { .. } | Step::Nothing { .. } => true,
                Step::Repeat { steps, .. } => leaves_session(steps),
                _ => false,
            })
        }
        let only_refused = ["generated", "negative"]
            .iter()
            .all(|w| self.tags.iter().any(|t| t == w));
        !only_refused
            && [&self.preconditions, &self.procedure, &self.after]
                .into_iter()
                .any(|s| leaves_session(s))
    }

    /// Whether it logs one user in from two clients at a time.
    pub fn uses_two_clients(&self) -> bool {
        let mut lanes = Vec::new();
        for step in self.preconditions.iter().chain(&self.procedure) {
            step.lanes(&mut lanes);
        }
        lanes.iter().any(|l| l.ends_with(|c: char| c.is_ascii_digit()))
    }

    /// Lanes of these letters whose values its steps speak of: `$B.user`.
    pub fn mentioned(&self, letters: &str) -> Vec<String> {
        let steps = self
            .preconditions
            .iter()
            .chain(&self.procedure)
            .chain(&self.after);
        let words: String = steps.map(|s| format!("{s}\n")).collect();
        letters
            .chars()
            .filter(|l| words.contains(&format!("${l}.")))
            .map(|l| l.to_string())
            .collect()
    }

    /// The nodes that its steps use.
    pub fn nodes(&self) -> Vec<String> {
        let mut out = Vec::new();
        let steps = self.preconditions.iter().chain(&self.procedure);
        steps.for_each(|step| step.lanes(&mut out));
        out.retain(|l| is_node(l));
        out.sort();
        out.dedup();
        out
    }

    /// Whether it waits for time to go by.
    pub fn lets_time_pass(&self) -> bool {
        fn waits(steps: &[Step]) -> bool {
            steps.iter().any(|step| match step {
                Step::Wait { .. } => true,
                Step::Repeat { steps, .. } => waits(steps),
                _ => false,
            })
        }
        waits(&self.preconditions) || waits(&self.procedure) || waits(&self.after)
    }

    /// The accounts (`A`, `B`) that its steps log in with.
    pub fn accounts(&self) -> Vec<String> {
        let mut out = Vec::new();
        for step in self
            .preconditions
            .iter()
            .chain(&self.procedure)
            .chain(&self.after)
        {
            step.lanes(&mut out);
        }
        let mut out: Vec<String> = out
            .iter()
            .filter(|l| !is_node(l))
            .map(|l| account_of(l).to_owned())
            .collect();
        out.sort();
        out.dedup();
        out
    }
}
