//! Whom a request is about, and how it is told that some of them are not there (TR-5, TR-6).

use crate::message::{Elem, text};
use crate::spec::Version;

use super::super::super::compose;
use super::super::world::Call;
use super::super::{ServerEngine, ServerFault};

/// Users and contact lists that a request names.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Canonical addresses of users that are known.
    pub users: Vec<String>,
    /// Canonical addresses of contact lists that the asker has.
    pub lists: Vec<String>,
    missing: Vec<Missing>,
}

/// A target that there is not.
#[derive(Debug)]
struct Missing {
    code: u16,
    /// Element of DetailedResult that names it.
    element: &'static str,
    /// As it was written.
    address: String,
}

impl ServerEngine {
    /// The targets of a request, each once.
    pub(super) fn targets(&self, call: &Call<'_>) -> Targets {
        let mut out = Targets::default();
        for address in call.users(call.node) {
            match self.missing_user(&address) {
                Some(code) => out.miss(code, "UserID", address),
                None => add(&mut out.users, self.canonical(&address)),
            }
        }
        for address in call.texts(call.node, "ContactList") {
            let list = self.canonical(&address);
            let of_asker = self.owner_of(&list).as_deref() == Some(call.user.as_str());
            let known = self.hospitable || of_asker && self.contacts_of(&list).is_some();
            match known || self.fault == Some(ServerFault::TakesUnknownLists) {
                true if self.fault == Some(ServerFault::IgnoresContactLists) => {}
                true => add(&mut out.lists, list),
                false => out.miss(700, "ContactList", address),
            }
        }
        out
    }

    /// The code for a user that there is not.
    pub(super) fn missing_user(&self, address: &str) -> Option<u16> {
        if self.knows_user(address) || self.fault == Some(ServerFault::WatchesUnknownUsers) {
            return None;
        }
        let address = self.canonical(address);
        let domain = address.split_once('@').map(|(_, d)| d.to_owned());
        Some(if domain == self.domain() { 531 } else { 516 })
    }
}

impl Targets {
    fn miss(&mut self, code: u16, element: &'static str, address: String) {
        if !self.missing.iter().any(|m| m.address == address) {
            self.missing.push(Missing {
                code,
                element,
                address,
            });
        }
    }

    /// Whether the request names anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.lists.is_empty() && self.missing.is_empty()
    }

    /// Whether everybody who is named is there.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// `Result`: 200; 201 with the targets that are missing; 900 when all of several are; the code of the one.
    pub(super) fn result(&self, version: Version) -> Elem {
        let good = self.users.len() + self.lists.len();
        let code = match (self.missing.as_slice(), good) {
            ([], _) => return compose::result(200),
            ([only], 0) => return compose::result(only.code),
            (_, 0) => 900,
            _ => 201,
        };
        let mut codes: Vec<u16> = self.missing.iter().map(|m| m.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let details = codes.into_iter().map(|code| {
            // 1.1 has no place for contact lists.
            let of_code = self
                .missing
                .iter()
                .filter(|m| m.code == code && (version >= Version::V12 || m.element != "ContactList"));
            Elem::new("DetailedResult")
                .with(text("Code", code.to_string()))
                .with_all(of_code.map(|m| text(m.element, m.address.clone())))
        });
        compose::result(code).with_all(details)
    }

    /// `Status` with that result.
    pub(super) fn status(&self, version: Version) -> Elem {
        Elem::new("Status").with(self.result(version))
    }
}

fn add(list: &mut Vec<String>, address: String) {
    if !list.contains(&address) {
        list.push(address);
    }
}
