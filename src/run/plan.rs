//! Which cases are run: roles, versions, filter.

use crate::case::Case;
use crate::spec::filter::{Filter, FilterTarget};
use crate::spec::{Role, Version};

use super::suite::Suite;

/// One case in one version.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// The case.
    pub case: &'a Case,
    /// The version.
    pub version: Version,
}

/// The units of a run in order.
#[derive(Debug, Clone, Default)]
pub struct Plan<'a> {
    /// In order: role, version, cases as loaded.
    pub units: Vec<Unit<'a>>,
    /// How many units the filter left out.
    pub filtered: usize,
}

impl<'a> Plan<'a> {
    /// Plans a run.
    pub fn new(suite: &'a Suite, roles: &[Role], versions: &[Version], filter: Option<&Filter>) -> Self {
        let mut plan = Plan::default();
        for role in roles {
            for version in versions {
                // Cases that a session between the servers would spoil come first.
                let (first, rest): (Vec<&Case>, Vec<&Case>) = suite
                    .cases
                    .iter()
                    .partition(|c| c.tags.iter().any(|t| t == "unopened"));
                for case in first.into_iter().chain(rest) {
                    if case.object != *role || !case.versions.contains(version) {
                        continue;
                    }
                    // A case whose items are all of other versions has nothing to say in this one.
                    let applies = case
                        .scr
                        .iter()
                        .filter_map(|id| suite.tables.items.get(id))
                        .any(|item| item.applies_to(*version));
                    if !applies {
                        continue;
                    }
                    if filter.is_some_and(|f| !f.matches(&Target(case))) {
                        plan.filtered += 1;
                        continue;
                    }
                    plan.units.push(Unit {
                        case,
                        version: *version,
                    });
                }
            }
        }
        plan
    }
}

struct Target<'a>(&'a Case);

impl FilterTarget for Target<'_> {
    fn id(&self) -> &str {
        self.0.id.as_str()
    }

    fn items(&self) -> Vec<&str> {
        self.0.scr.iter().map(|i| i.as_str()).collect()
    }

    fn group(&self) -> &str {
        self.0.group()
    }

    fn tags(&self) -> &[String] {
        &self.0.tags
    }

    fn role(&self) -> &str {
        self.0.object.as_str()
    }
}
