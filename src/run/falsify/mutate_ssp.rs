//! Mutants made from messages of SSP: attributes and elements left out, changed, exchanged. What a mutant must
//! break follows from the element table, and from the rules for identifiers.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ItemId;
use crate::check::ssp::item;
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::codec::xml;
use crate::message::{NodeId, Path, Tree, is_attribute};
use crate::peer::fault::{Fault, FaultKind, MessageKind};
use crate::spec::{Role, Version};
use crate::verdict::Strength;

use super::super::suite::Suite;
use super::Mutant;
use super::baseline::Baseline;

/// All mutants of the messages of the reference.
pub fn mutants(suite: &Suite, baseline: &Baseline<'_>) -> Vec<Mutant> {
    let mut out = Vec::new();
    for (kind, tree) in &baseline.messages {
        let mut seen = BTreeSet::new();
        for (key, words, edit) in changes(tree) {
            if !seen.insert(key.clone()) {
                continue;
            }
            let mut expected = by_checker(suite, tree, &edit);
            if let Some(id) = by_rule(kind, &key)
                && let Some(row) = suite.tables.items.get(&id)
            {
                expected.insert(id, row.strength());
            }
            if !expected.is_empty() {
                out.push(mutant(kind, &key, &words, edit, expected));
            }
        }
    }
    out
}

/// Below these nothing is changed: what stands there is not the table's.
const OPAQUE: [&str; 2] = ["PresenceSubList", "ClientID"];

/// The changes of a message, each with a key and words.
fn changes(tree: &Tree) -> Vec<(String, String, Edit)> {
    let mut out = Vec::new();
    let mut open = vec![tree.root()];
    while let Some(id) = open.pop() {
        let element = tree.get(id);
        if OPAQUE.contains(&element.name.as_str()) {
            continue;
        }
        for child in tree.elements(id) {
            let Some((path, key)) = place(tree, id, child) else {
                continue;
            };
            let name = tree.get(child).name.clone();
            let words = |what: &str| format!("{key} {what}");
            out.push((
                format!("no-{key}"),
                words("is left out"),
                Edit::Drop(path.clone()),
            ));
            if is_attribute(&name) {
                let value = "no-such value".to_owned();
                out.push((format!("bad-{key}"), words("is nonsense"), Edit::Set(path, value)));
            } else {
                out.push((
                    format!("other-{key}"),
                    words("is called Other"),
                    Edit::Rename(path.clone(), "Other".to_owned()),
                ));
                if next_element(tree, id, child).is_some() {
                    out.push((
                        format!("swap-{key}"),
                        words("stands behind the next"),
                        Edit::Swap(path),
                    ));
                }
            }
        }
        open.extend(tree.content_elements(id));
    }
    if let Ok(root) = Path::parse("/WV-SSP-Message") {
        let namespace = "urn:other".to_owned();
        out.push((
            "namespace".to_owned(),
            "another namespace".to_owned(),
            Edit::Namespace(root, namespace),
        ));
    }
    out
}

fn next_element(tree: &Tree, parent: NodeId, child: NodeId) -> Option<NodeId> {
    let mut all = tree.content_elements(parent).skip_while(|c| *c != child);
    all.next()?;
    all.next()
}

/// Where a child stands: as a path of parent and child, and as a key.
fn place(tree: &Tree, parent: NodeId, child: NodeId) -> Option<(Path, String)> {
    let (parent, child) = (&tree.get(parent).name, &tree.get(child).name);
    let path = Path::parse(&format!("{parent}/{child}")).ok()?;
    Some((path, format!("{parent}.{}", child.trim_start_matches('@'))))
}

/// What the checker says of the changed message.
fn by_checker(suite: &Suite, tree: &Tree, edit: &Edit) -> BTreeMap<ItemId, Strength> {
    let mut expected = BTreeMap::new();
    let draft = Draft {
        version: Version::V12,
        status: 0,
        method: "POST".to_owned(),
        media_type: String::new(),
        tree: Some(tree.clone()),
        sending: Sending::Normal,
    };
    let Ok(encoded) = draft.encode(std::slice::from_ref(edit), &|_| None) else {
        return expected;
    };
    let Some(message) = xml::read(&encoded.body, None).message else {
        return expected;
    };
    for finding in suite.ssp.check(&message).findings {
        let id = finding.rule.item(Role::Ssp);
        let Some(row) = suite.tables.items.get(&id) else {
            continue;
        };
        let strength = finding.strength.min(row.strength());
        if strength > Strength::Note {
            let entry = expected.entry(id).or_insert(strength);
            *entry = (*entry).max(strength);
        }
    }
    expected
}

/// What the rules over a conversation say of a changed identifier.
fn by_rule(kind: &MessageKind, key: &str) -> Option<ItemId> {
    let answers = kind.mode == "Response";
    match key {
        "bad-Transaction.transactionID" if answers => Some(item("EN", 6)),
        "bad-Session.sessionID" => Some(item("EN", 8)),
        "bad-SetupTransaction.transactionID" if kind.primitive != "SendSecretToken" => Some(item("SU", 15)),
        _ => None,
    }
}

fn mutant(
    kind: &MessageKind,
    key: &str,
    words: &str,
    edit: Edit,
    expected: BTreeMap<ItemId, Strength>,
) -> Mutant {
    Mutant {
        fault: Fault {
            name: format!("gen-ssp-{kind}.{}-{key}", kind.mode),
            role: Role::Ssp,
            about: format!("{kind}: {words}"),
            breaks: expected.keys().cloned().collect(),
            versions: vec![Version::V12],
            kind: FaultKind::Mutation {
                kind: kind.clone(),
                edits: vec![edit],
            },
            file: format!("generated from {kind}"),
            line: 0,
        },
        expected,
        generated: true,
    }
}
