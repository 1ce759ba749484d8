//! Requests with several targets: which of them failed, and how an answer says so (TR-5, TR-6, Q9).

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::compose;
use super::super::samples::screen_name;

/// Something that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    User(String),
    Group(String),
    /// Name and group.
    ScreenName(String, String),
    ContactList(String),
    Domain(String),
}

impl Target {
    /// Place among the children of DetailedResult.
    pub(super) fn place(&self) -> u8 {
        match self {
            Target::User(_) => 0,
            Target::Group(_) => 1,
            Target::ScreenName(..) => 2,
            Target::ContactList(_) => 3,
            Target::Domain(_) => 4,
        }
    }

    /// As a child of DetailedResult; 1.1 has no place for lists and domains.
    pub(super) fn elem(&self, version: Version) -> Option<Elem> {
        Some(match self {
            Target::User(user) => text("UserID", user.clone()),
            Target::Group(group) => text("GroupID", group.clone()),
            Target::ScreenName(name, group) => screen_name(name, group),
            Target::ContactList(_) | Target::Domain(_) if version == Version::V11 => return None,
            Target::ContactList(list) => text("ContactList", list.clone()),
            Target::Domain(domain) => text("Domain", domain.clone()),
        })
    }
}

/// The targets of a request that failed, each with its code.
#[derive(Debug, Default)]
pub(super) struct Failures {
    rows: Vec<(u16, Target)>,
}

impl Failures {
    /// One more; a target that is named twice is told once.
    pub fn add(&mut self, code: u16, target: Target) {
        if !self.rows.iter().any(|(_, t)| *t == target) {
            self.rows.push((code, target));
        }
    }

    /// The code of all of them, if they share one.
    pub fn only_code(&self) -> Option<u16> {
        let (first, _) = self.rows.first()?;
        self.rows.iter().all(|(c, _)| c == first).then_some(*first)
    }

    /// `Result`: 200 when nothing failed, 201 when something was done, 900 when nothing was.
    pub fn result(&self, version: Version, something_done: bool) -> Elem {
        let code = match (self.rows.is_empty(), something_done) {
            (true, _) => 200,
            (false, true) => 201,
            (false, false) => 900,
        };
        let mut codes: Vec<u16> = Vec::new();
        for (code, _) in &self.rows {
            if !codes.contains(code) {
                codes.push(*code);
            }
        }
        let details = codes.into_iter().map(|code| {
            let mut targets: Vec<&Target> = self
                .rows
                .iter()
                .filter(|(c, _)| *c == code)
                .map(|(_, t)| t)
                .collect();
            targets.sort_by_key(|t| t.place());
            Elem::new("DetailedResult")
                .with(text("Code", code.to_string()))
                .with_all(targets.into_iter().filter_map(|t| t.elem(version)))
        });
        compose::result(code).with_all(details)
    }

    /// `Status` with that result.
    pub fn status(&self, version: Version, something_done: bool) -> Elem {
        Elem::new("Status").with(self.result(version, something_done))
    }
}
