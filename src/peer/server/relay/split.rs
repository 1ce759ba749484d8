//! Who of the targets of a request is here, and who elsewhere.

use std::collections::BTreeMap;

use crate::message::{Elem, NodeId, text};
use crate::peer::contents;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::super::world::Call;
use super::RelayFault;
use super::mapping::{copied, csp_party, read_csp_party};

/// A target elsewhere.
#[derive(Debug, Clone)]
pub(super) struct There {
    pub target: Target,
    /// The contact list that it is on, when the list was named.
    pub list: Option<String>,
}

/// The targets of a request.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// What stays: children of the request in CSP form.
    pub here: Vec<Elem>,
    /// What crosses, by domain.
    pub there: BTreeMap<String, Vec<There>>,
    /// What can do neither.
    pub failed: Vec<(u16, Target)>,
    /// What a faulty server says success for, and forgets.
    pub swallowed: Vec<Target>,
}

impl Split {
    /// Whether this server serves everything itself.
    pub fn is_local(&self) -> bool {
        self.there.is_empty() && self.failed.is_empty() && self.swallowed.is_empty()
    }

    /// The targets that stay.
    pub fn targets_here(&self) -> Vec<Target> {
        self.here.iter().filter_map(as_target).collect()
    }
}

/// An element in CSP form as a target.
fn as_target(element: &Elem) -> Option<Target> {
    let tree = element.clone().into_tree();
    read_csp_party(&tree, tree.root())
}

/// A target whose address has its prefix, as it is to cross.
fn prefixed(target: Target) -> Target {
    match target {
        Target::User(address) => Target::User(with_prefix(address)),
        Target::Group(address) => Target::Group(with_prefix(address)),
        Target::ScreenName(name, group) => Target::ScreenName(name, with_prefix(group)),
        other => other,
    }
}

pub(super) fn with_prefix(address: String) -> String {
    match address.to_lowercase().starts_with("wv:") {
        true => address,
        false => format!("wv:{address}"),
    }
}

/// Each target once.
pub(super) fn targets_of(there: &[There]) -> Vec<Target> {
    let mut out: Vec<Target> = Vec::new();
    for one in there {
        if !out.contains(&one.target) {
            out.push(one.target.clone());
        }
    }
    out
}

/// Whether contact lists stay whole beside their members elsewhere, or only their members here do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    Stay,
    Expand,
}

impl ServerEngine {
    /// Sorts the targets among the children of an element.
    pub(super) fn split(&self, call: &Call<'_>, of: NodeId, lists: Lists) -> Split {
        let mut out = Split::default();
        for child in call.tree.elements(of) {
            match read_csp_party(call.tree, child) {
                Some(Target::ContactList(list)) => self.split_list(call, &list, lists, &mut out),
                Some(target) => {
                    let element = copied(call.tree, child);
                    self.place(call, target, None, Some(element), &mut out);
                }
                None => {}
            }
        }
        if self.relay_has(RelayFault::SplitsNot) {
            let locals: Vec<There> = out
                .targets_here()
                .into_iter()
                .map(|target| There { target, list: None })
                .collect();
            let all: Vec<There> = out.there.values().flatten().cloned().chain(locals).collect();
            for there in out.there.values_mut() {
                *there = all.clone();
            }
        }
        out
    }

    fn split_list(&self, call: &Call<'_>, list: &str, lists: Lists, out: &mut Split) {
        let own = self.owner_of(list).as_ref() == Some(&call.user);
        let members = self.contacts_of(list).filter(|_| own).unwrap_or_default();
        let mixed = members.iter().any(|m| self.elsewhere(m).is_some());
        let whole = !mixed || lists == Lists::Stay;
        if whole {
            out.here.push(text("ContactList", list));
        }
        let skips = self.relay_has(RelayFault::SkipsListMembers);
        for member in members {
            let there = self.elsewhere(&member).is_some();
            if there && skips || !there && whole {
                continue;
            }
            let element = contents::user(&member);
            let list = Some(self.canonical(list));
            self.place(call, Target::User(member), list, Some(element), out);
        }
    }

    /// Puts a target where it belongs.
    fn place(
        &self,
        call: &Call<'_>,
        target: Target,
        list: Option<String>,
        element: Option<Elem>,
        out: &mut Split,
    ) {
        let target = prefixed(target);
        let address = match &target {
            Target::User(address) | Target::Group(address) | Target::ScreenName(_, address) => address,
            Target::ContactList(_) | Target::Domain(_) => return,
        };
        let Some(domain) = self.elsewhere(address) else {
            out.here.push(element.unwrap_or_else(|| csp_party(&target)));
            return;
        };
        // Whoever comes from elsewhere is not relayed on.
        let on = !self.is_remote(call) || self.relay_has(RelayFault::RelaysThirdDomain);
        if self.is_agreed(&domain) && on {
            let there = out.there.entry(domain).or_default();
            there.push(There { target, list });
        } else if self.relay_has(RelayFault::SucceedsForUnknownDomain) {
            out.swallowed.push(target);
        } else {
            out.failed.push((516, target));
        }
    }
}
