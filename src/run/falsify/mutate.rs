//! Mutants made from messages. What a mutant must break follows from the tables: by the checker for
//! content models and types, by the rule for identifiers, modes and answers, and for a refusal that
//! becomes a success by the items that the refusal was evidence for.

use std::collections::BTreeMap;

use crate::base::ItemId;
use crate::case::generate;
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::codec::xml;
use crate::message::{Path, Tree};
use crate::peer::fault::{Fault, FaultKind, MessageKind};
use crate::spec::Role;
use crate::verdict::Strength;

use super::super::suite::Suite;
use super::Mutant;
use super::baseline::Baseline;

/// All mutants of the messages of one role in one version.
pub fn mutants(suite: &Suite, baseline: &Baseline<'_>) -> Vec<Mutant> {
    let mut out = Vec::new();
    for (kind, tree) in &baseline.messages {
        let maker = Maker {
            suite,
            baseline,
            kind,
            tree,
        };
        maker.structure(&mut out);
        maker.envelope(&mut out);
        maker.answers(&mut out);
    }
    // Two kinds may look alike in a name: the name of a mutant stands for one.
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for mutant in &mut out {
        let count = names.entry(mutant.fault.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            mutant.fault.name = format!("{}~{count}", mutant.fault.name);
        }
    }
    out
}

struct Maker<'m> {
    suite: &'m Suite,
    baseline: &'m Baseline<'m>,
    kind: &'m MessageKind,
    tree: &'m Tree,
}

impl Maker<'_> {
    /// Mandatory children dropped, neighbours swapped, enumerations, booleans and numbers broken.
    fn structure(&self, out: &mut Vec<Mutant>) {
        let version = self.baseline.version;
        for (key, words, edit) in generate::breaches(&self.suite.checker, version, self.tree) {
            let expected = self.by_checker(std::slice::from_ref(&edit));
            self.push(out, &key, &words, vec![edit], expected);
        }
    }

    /// TransactionID, SessionID and mode changed.
    fn envelope(&self, out: &mut Vec<Mutant>) {
        let answer = self.kind.mode == "Response";
        let mut rules: Vec<(&str, &str, Edit, &str, u16)> = Vec::new();
        if let (true, Some(path)) = (
            answer && !self.is_poll_status(),
            parse("TransactionDescriptor/TransactionID"),
        ) {
            rules.push((
                "transaction-id",
                "another TransactionID than the request",
                Edit::Set(path, "mutated".into()),
                "ENV",
                8,
            ));
        }
        let session = parse("SessionDescriptor/SessionID");
        if let Some(path) = session.filter(|p| p.first(self.tree).is_some()) {
            rules.push((
                "session-id",
                "another SessionID than was given",
                Edit::Set(path, "mutated".into()),
                "ENV",
                10,
            ));
        }
        if let Some(path) = parse("TransactionDescriptor/TransactionMode") {
            let other = if answer { "Request" } else { "Response" };
            rules.push(("mode", "the other mode", Edit::Set(path, other.into()), "ENV", 7));
        }
        for (key, words, edit, group, number) in rules {
            let mut expected = self.by_checker(std::slice::from_ref(&edit));
            if !self.binds(key) {
                continue;
            }
            self.expect(&mut expected, group, number);
            self.push(out, key, words, vec![edit], expected);
        }
    }

    /// Success for a refusal, no answer, two answers.
    fn answers(&self, out: &mut Vec<Mutant>) {
        if self.kind.mode != "Response" {
            return;
        }
        let refusal = self.kind.code.filter(|c| *c >= 400);
        if let (Some(code), Some(path)) = (refusal, parse("Result/Code")) {
            let refused = |rule: &str| {
                rule.ends_with("is answered by a refusal") || rule.ends_with("a refusal or an empty body")
            };
            let expected = self.by_evidence(&refused, false);
            let edit = Edit::Set(path, "200".into());
            self.push(
                out,
                "success",
                &format!("success in place of code {code}"),
                vec![edit],
                expected,
            );
        }
        match self.baseline.role {
            Role::Server | Role::Ssp => {
                let mut silent = BTreeMap::new();
                self.expect(&mut silent, "ENV", 14);
                self.push(out, "silent", "no answer", vec![Edit::Close], silent);
            }
            Role::Client => {
                let sent = self.by_evidence(&|rule| rule.ends_with("is sent"), true);
                self.push(out, "silent", "no answer", vec![Edit::Close], sent);
            }
        }
        let mut twice = BTreeMap::new();
        self.expect(&mut twice, "ENV", 20);
        if !self.is_poll_status() && self.binds("twice") {
            self.push(
                out,
                "twice",
                "two answers in one message",
                vec![Edit::Twice],
                twice,
            );
        }
    }

    /// Whether the rule over a conversation binds this message: the identifier of a login that was
    /// refused belongs to no session, say.
    fn binds(&self, key: &str) -> bool {
        match (key, self.baseline.role) {
            // What could not be read may be refused under any identifier, or none (TR-10).
            (_, Role::Server) if self.kind.code == Some(400) => false,
            // A client may be in any session it was given; one that ended is another rule's affair.
            ("session-id", Role::Client) => true,
            // An answer about a session that is not open is not bound to it.
            ("session-id", Role::Server) => !matches!(self.kind.code, Some(600 | 601 | 604)),
            // WV-023 prints these in either mode: no certain breach.
            ("mode", Role::Client)
                if matches!(
                    self.kind.primitive.as_str(),
                    "MessageDelivered" | "PresenceAuth-User"
                ) =>
            {
                false
            }
            // A server request in another mode answers nothing.
            ("mode", Role::Server) => self.kind.mode == "Response",
            _ => true,
        }
    }

    /// A Status that answers a poll has an empty TransactionID.
    fn is_poll_status(&self) -> bool {
        parse("TransactionDescriptor/TransactionID")
            .and_then(|p| p.first(self.tree))
            .is_none_or(|id| self.tree.text(id).trim().is_empty())
    }

    /// What the checker says of the changed message.
    fn by_checker(&self, edits: &[Edit]) -> BTreeMap<ItemId, Strength> {
        let mut expected = BTreeMap::new();
        let draft = Draft {
            version: self.baseline.version,
            status: 200,
            method: String::new(),
            media_type: String::new(),
            tree: Some(self.tree.clone()),
            sending: Sending::Normal,
        };
        let Ok(encoded) = draft.encode(edits, &|_| None) else {
            return expected;
        };
        let Some(message) = xml::read(&encoded.body, None).message else {
            return expected;
        };
        for finding in self.suite.checker.check(&message).findings {
            let item = finding.rule.item(self.baseline.role);
            let Some(row) = self.suite.tables.items.get(&item) else {
                continue;
            };
            let strength = finding.strength.min(row.strength());
            if strength > Strength::Note {
                let entry = expected.entry(item).or_insert(strength);
                *entry = (*entry).max(strength);
            }
        }
        expected
    }

    fn by_evidence(&self, rule: &dyn Fn(&str) -> bool, first: bool) -> BTreeMap<ItemId, Strength> {
        let items = self.baseline.evidence(self.kind, rule, first);
        items
            .into_iter()
            .filter_map(|id| {
                let strength = self.suite.tables.items.get(&id)?.strength();
                (strength > Strength::Note).then_some((id, strength))
            })
            .collect()
    }

    fn expect(&self, expected: &mut BTreeMap<ItemId, Strength>, group: &str, number: u16) {
        let side = self.baseline.role.device();
        let Ok(id) = ItemId::parse(&format!("CSP-{group}-{side}-{number:03}")) else {
            return;
        };
        if let Some(row) = self.suite.tables.items.get(&id) {
            expected.insert(id, row.strength());
        }
    }

    /// A change that breaks nothing that binds anybody is no mutant.
    fn push(
        &self,
        out: &mut Vec<Mutant>,
        key: &str,
        words: &str,
        edits: Vec<Edit>,
        expected: BTreeMap<ItemId, Strength>,
    ) {
        if expected.is_empty() {
            return;
        }
        let (role, version) = (self.baseline.role, self.baseline.version);
        out.push(Mutant {
            fault: Fault {
                name: format!("gen-{role}-{version}-{}-{key}", self.kind),
                role,
                about: format!("{}: {words}", self.kind),
                breaks: expected.keys().cloned().collect(),
                versions: vec![version],
                kind: FaultKind::Mutation {
                    kind: self.kind.clone(),
                    edits,
                },
                file: format!("generated from {}", self.kind),
                line: 0,
            },
            expected,
            generated: true,
        });
    }
}

fn parse(path: &str) -> Option<Path> {
    Path::parse(path).ok()
}
