//! Whether a server has shown that it does something of its own. One that answers everything alike,
//! echoes, or copies what it was asked has shown nothing, however well its answers are formed: without
//! a vouch, no case is evidence for anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Envelope, Mode, Tree};
use crate::spec::syntax::Syntax;

use super::judge::code_of;

/// Codes that anything may be refused with: they show no knowledge of what was asked.
const GENERAL: [u16; 2] = [400, 500];

/// Watches the exchanges of one case.
#[derive(Debug, Default)]
pub struct Voucher {
    /// Sessions that a login opened; whether its answer repeated the TransactionID.
    opened: BTreeMap<String, bool>,
    /// A session was used.
    used: bool,
    /// Codes of refusals that are not general.
    refusals: BTreeSet<u16>,
}

impl Voucher {
    /// Takes one exchange.
    ///
    /// A session counts when it is opened by a Login-Response *to a Login-Request* and then used: a
    /// request in it gets the answer of its own kind. Status is of every kind, so that it counts only
    /// from a peer that repeats TransactionIDs, at login too.
    pub fn saw(&mut self, syntax: &Syntax, request: &Tree, answer: &Tree) {
        let (Some(asked), Some(given)) = (Envelope::of(request), Envelope::of(answer)) else {
            return;
        };
        for reply in given.transactions.iter().filter(|t| t.mode != Mode::Request) {
            let Some(node) = reply.primitive else { continue };
            let code = code_of(answer, node);
            if let Some(code) = code.filter(|c| *c >= 400 && !GENERAL.contains(c)) {
                self.refusals.insert(code);
            }
            if code.is_some_and(|c| c / 100 != 2) {
                continue;
            }
            for question in &asked.transactions {
                let fits = syntax
                    .primitive(&question.name)
                    .is_some_and(|row| row.answers.contains(&reply.name));
                if !fits {
                    continue;
                }
                let repeated = reply.id == question.id && reply.mode == Mode::Response;
                if question.name == "Login-Request" {
                    if let Some(id) = answer.child_text(node, "SessionID").filter(|s| !s.is_empty()) {
                        self.opened.insert(id, repeated);
                    }
                } else if let Some(at_login) = asked.session_id.as_ref().and_then(|s| self.opened.get(s)) {
                    self.used |= reply.name != "Status" || repeated && *at_login;
                }
            }
        }
    }

    /// Whether what was seen is evidence: a session opened and used, or two refusals that tell one
    /// thing from another.
    pub fn vouches(&self) -> bool {
        self.used || self.refusals.len() > 1
    }
}
