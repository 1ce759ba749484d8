//! What can be changed of a correct message: for cases, and for mutants.

use crate::check::Checker;
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::codec::xml;
use crate::message::{Child, NodeId, Path, Tree};
use crate::spec::model::Model;
use crate::spec::syntax::{LeafType, Syntax};
use crate::spec::{Group, Role, Version};
use crate::verdict::Strength;

use super::{Kind, Sample, Variant, path};

pub(super) fn variants(checker: &Checker, sample: &Sample) -> Vec<Variant> {
    let tree = &sample.tree;
    let mut out = Vec::new();
    let mut push = |key: String, words: String, kind: Kind, edit: Edit| {
        if out.iter().any(|v: &Variant| v.key == key) {
            return;
        }
        if kind.is_valid_message() != is_invalid(checker, sample, &edit) {
            out.push(Variant {
                key,
                words,
                edits: vec![edit],
                kind,
            });
        }
    };
    let from = match Path::parse(&sample.primitive).ok().and_then(|p| p.first(tree)) {
        Some(primitive) if !sample.is_whole() => primitive,
        _ => tree.root(),
    };
    if !sample.is_plain_status() {
        element_variants(checker, sample, from, &mut push);
    }
    if sample.is_whole() {
        envelope_variants(sample, &mut push);
        octet_variants(&mut push);
    }
    let syntax = checker.syntax();
    match sample.from {
        Role::Client => out.extend(session_variants(sample)),
        // What a client may get in place of an answer; a request of the server is none.
        Role::Server if sample.requests.is_empty() => out.extend(answer_variants(syntax, sample)),
        // Nothing is generated for SSP.
        Role::Server | Role::Ssp => {}
    }
    out
}

/// A request in a session that was never opened, and outside any.
fn session_variants(sample: &Sample) -> Vec<Variant> {
    // Both may stand outside a session.
    if matches!(sample.primitive.as_str(), "Login-Request" | "GetSPInfo-Request") {
        return Vec::new();
    }
    let known = |text: &str| path(&[text]);
    let (Some(id), Some(kind)) = (
        known("SessionDescriptor/SessionID"),
        known("SessionDescriptor/SessionType"),
    ) else {
        return Vec::new();
    };
    vec![
        Variant {
            key: "session.unknown".into(),
            words: "in a session that was never opened".into(),
            edits: vec![Edit::Set(id.clone(), "$unknown-session".into())],
            kind: Kind::Session,
        },
        Variant {
            key: "session.none".into(),
            words: "outside any session".into(),
            edits: vec![Edit::Drop(id), Edit::Set(kind, "Outband".into())],
            kind: Kind::Session,
        },
    ]
}

/// What a client may get in place of the answer: a refusal by each code of the table, an ended session,
/// nothing, an error of HTTP.
fn answer_variants(syntax: &Syntax, sample: &Sample) -> Vec<Variant> {
    let request = sample.step.split('.').next().unwrap_or_default();
    let rows = [syntax.primitive(request), syntax.primitive(&sample.primitive)];
    let mut codes: Vec<u16> = rows
        .into_iter()
        .flatten()
        .flat_map(|row| row.codes.iter().copied())
        .chain([500, 503])
        .filter(|c| *c >= 400 && *c != 401)
        .filter(|c| syntax.code(*c).is_some_and(|row| row.since <= sample.version))
        .collect();
    if request != "Login-Request" {
        codes.push(604);
    }
    codes.sort_unstable();
    codes.dedup();
    let mut out: Vec<Variant> = codes
        .into_iter()
        .map(|code| Variant {
            key: format!("refuse.{code}"),
            words: format!("refused with code {code}"),
            edits: vec![Edit::Status(code)],
            kind: Kind::Refused(code),
        })
        .collect();
    out.push(Variant {
        key: "no-answer".into(),
        words: "no answer, the connection is closed".into(),
        edits: vec![Edit::Close],
        kind: Kind::Unanswered,
    });
    out.push(Variant {
        key: "http-503".into(),
        words: "an error of HTTP in place of the answer".into(),
        edits: vec![Edit::Empty, Edit::HttpStatus(503)],
        kind: Kind::Unanswered,
    });
    out
}

/// Breaches of content models and types, one for each element below `from`.
fn element_variants(
    checker: &Checker,
    sample: &Sample,
    from: NodeId,
    push: &mut dyn FnMut(String, String, Kind, Edit),
) {
    let tree = &sample.tree;
    for id in tree.walk(from) {
        let element = tree.get(id);
        let group = group_of(tree, id);
        let name = &element.name;
        let Some(row) = checker.syntax().element(sample.version, group, name) else {
            continue;
        };
        match &row.model {
            Model::Children(particle) => {
                for child in particle.mandatory() {
                    if let Some(path) = path(&[name, child]) {
                        push(
                            format!("drop.{name}.{child}"),
                            format!("{name} without its mandatory {child}"),
                            Kind::Structure,
                            Edit::Drop(path),
                        );
                    }
                }
                for (a, b) in neighbours(tree, id) {
                    if let Some(path) = path(&[name, &a]) {
                        push(
                            format!("swap.{name}.{a}.{b}"),
                            format!("{a} and {b} of {name} in the wrong order"),
                            Kind::Structure,
                            Edit::Swap(path),
                        );
                    }
                }
            }
            Model::Text => leaf_variants(checker, sample, id, group, push),
            Model::Empty | Model::Any => {}
        }
    }
}

/// Every way to break the content model or the type of one element of a message: for mutants. Each with
/// a key and what is changed, in words.
pub fn breaches(checker: &Checker, version: Version, tree: &Tree) -> Vec<(String, String, Edit)> {
    let sample = Sample {
        from: Role::Server,
        version,
        primitive: String::new(),
        step: String::new(),
        label: String::new(),
        transaction: String::new(),
        requests: Vec::new(),
        tree: tree.clone(),
    };
    let mut out: Vec<(String, String, Edit)> = Vec::new();
    element_variants(checker, &sample, tree.root(), &mut |key, words, kind, edit| {
        if kind != Kind::Edge && out.iter().all(|(k, ..)| *k != key) {
            out.push((key, words, edit));
        }
    });
    out
}

fn leaf_variants(
    checker: &Checker,
    sample: &Sample,
    id: NodeId,
    group: Group,
    push: &mut dyn FnMut(String, String, Kind, Edit),
) {
    let tree = &sample.tree;
    let name = tree.get(id).name.clone();
    let Some(parent) = tree.get(id).parent.map(|p| tree.get(p).name.clone()) else {
        return;
    };
    let Some((kind, _)) = checker.syntax().leaf_below(sample.version, group, &parent, &name) else {
        return;
    };
    let Some(path) = path(&[&parent, &name]) else {
        return;
    };
    let mut set = |label: &str, words: String, kind: Kind, value: String| {
        push(
            format!("set.{parent}.{name}.{label}"),
            words,
            kind,
            Edit::Set(path.clone(), value),
        );
    };
    match kind {
        LeafType::Enum { values, .. } => {
            set(
                "unknown",
                format!("{name} with a value outside its enumeration"),
                Kind::Type,
                "NoSuchValue".into(),
            );
            if let Some(first) = values.iter().find(|v| v.to_ascii_lowercase() != **v) {
                let lower = first.to_ascii_lowercase();
                set(
                    "case",
                    format!("{name} with {lower} in place of {first}"),
                    Kind::Type,
                    lower,
                );
            }
        }
        LeafType::Bool => {
            set(
                "word",
                format!("{name} with `true` in place of T"),
                Kind::Type,
                "true".into(),
            );
        }
        LeafType::Uint { min, max } => {
            set(
                "text",
                format!("{name} with text in place of a number"),
                Kind::Type,
                "abc".into(),
            );
            set(
                "negative",
                format!("{name} with a negative number"),
                Kind::Type,
                "-1".into(),
            );
            set(
                "over",
                format!("{name} with {}, one over its largest value", max + 1),
                Kind::Type,
                (max + 1).to_string(),
            );
            set(
                "max",
                format!("{name} with its largest value {max}"),
                Kind::Edge,
                max.to_string(),
            );
            // Nobody could be answered in no octets at all.
            if name == "ParserSize" {
                return;
            }
            set(
                "min",
                format!("{name} with its smallest value {min}"),
                Kind::Edge,
                min.to_string(),
            );
        }
        _ => {}
    }
}

fn envelope_variants(sample: &Sample, push: &mut dyn FnMut(String, String, Kind, Edit)) {
    let known = |text: &str| path(&[text]);
    for (name, what) in [
        ("WV-CSP-Message", "message"),
        ("TransactionContent", "transaction"),
    ] {
        if let Some(path) = known(name) {
            push(
                format!("namespace.{name}"),
                format!("an unknown {what} namespace"),
                Kind::Structure,
                Edit::Namespace(path, "http://example.com/no-such-namespace".into()),
            );
        }
    }
    if let Some(path) = known("TransactionContent") {
        let other = match sample.version {
            Version::V11 => Version::V12,
            Version::V12 => Version::V11,
        };
        push(
            "namespace.TransactionContent.other-version".into(),
            "namespaces of two versions in one message".into(),
            Kind::Structure,
            Edit::Namespace(path, other.namespace(Group::Trc).into()),
        );
    }
    if let Some(path) = known(&sample.primitive) {
        push(
            "rename.primitive".into(),
            "a primitive that no version has".into(),
            Kind::Structure,
            Edit::Rename(path.clone(), "NoSuch-Request".into()),
        );
        push(
            format!("add.{}.unknown", sample.primitive),
            format!("an unknown element in {}", sample.primitive),
            Kind::Structure,
            Edit::Add {
                name: "NoSuchElement".into(),
                into: path,
                text: String::new(),
                first: false,
            },
        );
    }
    if sample.from == Role::Client
        && let Some(path) = known("TransactionMode")
    {
        push(
            "mode".into(),
            "a request in mode Response".into(),
            Kind::Mode,
            Edit::Set(path, "Response".into()),
        );
    }
}

fn octet_variants(push: &mut dyn FnMut(String, String, Kind, Edit)) {
    let mut octets =
        |key: &str, words: &str, edit: Edit| push(format!("octets.{key}"), words.into(), Kind::Octets, edit);
    octets(
        "end-tag",
        "an end tag is missing",
        Edit::Replace("</TransactionContent>".into(), String::new()),
    );
    octets("truncated", "the message breaks off", Edit::Truncate(200));
    octets(
        "text",
        "text in place of XML",
        Edit::Bytes("this is not XML".into()),
    );
    octets(
        "ampersand",
        "an unescaped ampersand",
        Edit::Replace("</SessionType>".into(), " & </SessionType>".into()),
    );
}

/// Whether the change makes the message one that no reader has to take. Octets are read, not guessed.
fn is_invalid(checker: &Checker, sample: &Sample, edit: &Edit) -> bool {
    let draft = Draft {
        version: sample.version,
        status: 200,
        method: "POST".into(),
        media_type: String::new(),
        tree: Some(sample.tree.clone()),
        sending: Sending::Normal,
    };
    let Ok(encoded) = draft.encode(std::slice::from_ref(edit), &|_| None) else {
        return false;
    };
    let reading = xml::read(&encoded.body, None);
    let broken = reading
        .problems
        .iter()
        .any(|p| p.kind != xml::ProblemKind::Charset);
    let Some(message) = reading.message else {
        return true;
    };
    broken
        || checker
            .check(&message)
            .findings
            .iter()
            .any(|f| f.strength == Strength::Must || f.rule.is_session_or_mode())
}

/// Pairs of neighbouring child elements with different names, each first name once.
fn neighbours(tree: &Tree, id: NodeId) -> Vec<(String, String)> {
    let names: Vec<&str> = tree
        .get(id)
        .children
        .iter()
        .filter_map(|c| match c {
            Child::Element(e) => Some(tree.get(*e).name.as_str()),
            Child::Text(..) => None,
        })
        .collect();
    names
        .windows(2)
        .filter(|w| w[0] != w[1] && names.iter().filter(|n| **n == w[0]).count() == 1)
        .map(|w| (w[0].to_owned(), w[1].to_owned()))
        .collect()
}

fn group_of(tree: &Tree, id: NodeId) -> Group {
    Version::of_namespace(&tree.get(id).namespace).map_or(Group::Trc, |(_, g)| g)
}
