//! Cases generated from the tables: each mandatory child left out, neighbours swapped, each leaf given
//! values outside and at the edge of its type, wrong namespaces, wrong mode, no session, octets that
//! are not XML.
//!
//! A negative case is only made when the checker itself calls the changed message invalid, and every
//! one has a positive control: the valid request is served before or after it. A generated id is made
//! of what the case tests, never of a position.

use crate::base::{CaseId, ItemId};
use crate::check::Checker;
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::codec::xml;
use crate::message::{Child, NodeId, Path, Tree};
use crate::spec::model::Model;
use crate::spec::syntax::{LeafType, Syntax};
use crate::spec::{Command, Group, Role, Version};
use crate::verdict::Strength;

use super::Case;
use super::cover::{Aspect, Cover};
use super::step::{Condition, Expected, Fence, Incoming, Step, Test};

/// A correct message of a peer, from which cases are generated.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Who sends it.
    pub from: Role,
    /// Version.
    pub version: Version,
    /// Its primitive.
    pub primitive: String,
    /// How a step names the message that is sent, or that it answers: `ClientCapability-Request.full`.
    pub step: String,
    /// What it is called in the ids of cases: the primitive, or what tells it from another use of it.
    pub label: String,
    /// Requests of the server that it brings.
    pub requests: Vec<String>,
    /// The message.
    pub tree: Tree,
}

impl Sample {
    /// Whether the envelope and the octets are varied too; once is enough for what all messages share.
    fn is_whole(&self) -> bool {
        matches!(self.step.as_str(), "Login-Request" | "KeepAlive-Request")
    }

    /// The transaction that the message belongs to, in the table of transactions.
    fn transaction(&self) -> &'static str {
        if self.requests.iter().any(|r| r == "Disconnect") {
            return "T07";
        }
        match self.step.split('.').next().unwrap_or_default() {
            "Login-Request" => "T02",
            "Service-Request" => "T04",
            "ClientCapability-Request" => "T05",
            "Logout-Request" => "T06",
            "GetSPInfo-Request" => "T10",
            "Polling-Request" => "T01",
            _ => "T08",
        }
    }
}

struct Variant {
    /// What is changed, as part of the id.
    key: String,
    /// In words.
    words: String,
    edits: Vec<Edit>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Breaks the structure.
    Structure,
    /// Breaks the type of a leaf.
    Type,
    /// Not XML at all, or not the octets it claims to be.
    Octets,
    /// A valid value at the edge of its type.
    Edge,
    /// A request in mode Response.
    Mode,
    /// In a session that was never opened, or in none.
    Session,
    /// Refused with a code (what a client gets).
    Refused(u16),
    /// No answer, or an error of HTTP (what a client gets).
    Unanswered,
}

impl Kind {
    fn is_valid_message(self) -> bool {
        matches!(
            self,
            Kind::Edge | Kind::Session | Kind::Refused(_) | Kind::Unanswered
        )
    }

    fn aspect(self, key: &str) -> Aspect {
        match self {
            Kind::Structure if key.starts_with("swap") => Aspect::Order,
            Kind::Structure | Kind::Octets | Kind::Mode => Aspect::Child,
            Kind::Type | Kind::Edge => Aspect::Types,
            Kind::Session | Kind::Refused(600 | 601 | 604) => Aspect::Session,
            Kind::Refused(_) => Aspect::Refusal,
            Kind::Unanswered => Aspect::Silence,
        }
    }
}

/// All generated cases for these samples.
pub fn generate(checker: &Checker, samples: &[Sample]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for sample in samples {
        for variant in variants(checker, sample) {
            let Some(case) = case_of(sample, &variant) else {
                continue;
            };
            add(&mut cases, case, sample.version);
        }
    }
    cases
}

/// The same change in the other version is the same case; a change that differs is one of its own.
fn add(cases: &mut Vec<Case>, mut case: Case, version: Version) {
    match cases.iter_mut().find(|c| c.id == case.id) {
        Some(known) if known.procedure == case.procedure => known.versions.extend(case.versions),
        Some(_) => {
            if let Ok(id) = CaseId::parse(&format!("{}.csp{version}", case.id)) {
                case.id = id;
                cases.push(case);
            }
        }
        None => cases.push(case),
    }
}

fn variants(checker: &Checker, sample: &Sample) -> Vec<Variant> {
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
    element_variants(checker, sample, from, &mut push);
    if sample.is_whole() {
        envelope_variants(sample, &mut push);
        octet_variants(&mut push);
    }
    let syntax = checker.syntax();
    match sample.from {
        Role::Client => out.extend(session_variants(sample)),
        // What a client may get in place of an answer; a request of the server is none.
        Role::Server if sample.requests.is_empty() => out.extend(answer_variants(syntax, sample)),
        Role::Server => {}
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

fn case_of(sample: &Sample, variant: &Variant) -> Option<Case> {
    let id = format!(
        "IMPS-1.2-con-gen-{}.{}",
        sample.label,
        variant
            .key
            .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', ".")
    );
    let under_test = sample.from.peer();
    let (scr, procedure, preconditions) = match under_test {
        Role::Server => server_steps(sample, variant)?,
        Role::Client => client_steps(sample, variant)?,
    };
    Some(Case {
        id: CaseId::parse(&id).ok()?,
        title: format!("{}: {}", sample.primitive, variant.words),
        object: under_test,
        description: match variant.kind {
            Kind::Edge => "A valid value at the edge of its type is not refused as invalid.".into(),
            Kind::Session => {
                "A request that needs a session is refused where there is none, and served in one.".into()
            }
            Kind::Refused(_) => "A refusal is taken, and the client goes on working.".into(),
            Kind::Unanswered => {
                "An answer that does not come is survived, and the client goes on working.".into()
            }
            _ => "A message that breaks the tables is refused (any 4xx or 5xx, CSP or HTTP: Q10), and the \
                  peer goes on working."
                .into(),
        },
        reference: "WV-043 (content models), WV-045 (data types); open question Q10".into(),
        scr: vec![scr],
        versions: vec![sample.version],
        tags: vec![
            "generated".into(),
            if matches!(variant.kind, Kind::Edge) {
                "positive"
            } else {
                "negative"
            }
            .into(),
        ],
        covers: vec![Cover {
            transaction: sample.transaction().into(),
            aspect: variant.kind.aspect(&variant.key),
        }],
        preconditions,
        procedure,
        after: Vec::new(),
        pass: match (under_test, variant.kind) {
            (Role::Client, Kind::Refused(604)) => {
                "nothing in the ended session before the next Login-Request"
            }
            (Role::Client, _) => "the client goes on working: it logs in anew",
            (Role::Server, Kind::Edge) => "answered, and the session goes on",
            (Role::Server, Kind::Mode) => "refused or ignored, and the valid request is served",
            (Role::Server, _) => "refused, and the valid request is served",
        }
        .into(),
        file: format!("generated from {}", sample.primitive),
        line: 0,
    })
}

type Parts = (ItemId, Vec<Step>, Vec<Step>);

fn server_steps(sample: &Sample, variant: &Variant) -> Option<Parts> {
    let lane = || "A".to_owned();
    let send = |edits: Vec<Edit>| Step::Send {
        primitives: vec![sample.step.clone()],
        lane: lane(),
        edits,
    };
    let login = || {
        vec![
            Step::Send {
                primitives: vec!["Login-Request".into()],
                lane: lane(),
                edits: Vec::new(),
            },
            expect(
                Expected::Primitives(vec!["Login-Response".into()]),
                vec![
                    Condition::In(
                        Path::parse("Login-Response/Result/Code").ok()?,
                        vec!["200".into()],
                    ),
                    Condition::Present(Path::parse("Login-Response/SessionID").ok()?),
                ],
            ),
        ]
        .into()
    };
    let login: &dyn Fn() -> Option<Vec<Step>> = &login;
    let item = ItemId::parse(match variant.kind {
        Kind::Structure => "CSP-ENV-S-015",
        Kind::Octets => "CSP-ENV-S-018",
        Kind::Type => "CSP-TYPE-S-008",
        Kind::Edge => "CSP-TYPE-S-009",
        Kind::Mode => "CSP-ENV-S-019",
        Kind::Session => "CSP-SESS-S-001",
        // Answers: nothing that a server gets.
        Kind::Refused(_) | Kind::Unanswered => return None,
    })
    .ok()?;
    let expected = match variant.kind {
        // No time, no transactions: a server may well say that this is no use.
        Kind::Edge if variant.key.ends_with(".min") => Expected::Answer,
        Kind::Edge => Expected::Taken,
        Kind::Mode => Expected::NotServed,
        _ => Expected::Refusal,
    };
    let mut judged = expect(expected, Vec::new());
    if let Step::Expect { item: charged, .. } = &mut judged {
        *charged = Some(item.clone());
    }
    let control = Step::Fence(Fence {
        lane: lane(),
        item: None,
        silent: Vec::new(),
        command: None,
    });
    let (procedure, preconditions) = if sample.primitive == "Login-Request" {
        let steps = vec![
            send(variant.edits.clone()),
            judged,
            Step::Fence(Fence {
                lane: lane(),
                item: None,
                silent: Vec::new(),
                command: Some(Command::Login),
            }),
        ];
        (steps, Vec::new())
    } else {
        (vec![send(variant.edits.clone()), judged, control], login()?)
    };
    Some((item, procedure, preconditions))
}

fn client_steps(sample: &Sample, variant: &Variant) -> Option<Parts> {
    if variant.kind == Kind::Mode {
        return None;
    }
    let item = ItemId::parse(match variant.kind {
        Kind::Edge => "CSP-TYPE-C-009",
        Kind::Refused(600 | 601 | 604) => "CSP-SESS-C-001",
        Kind::Refused(_) => "CSP-STATUS-C-002",
        Kind::Unanswered => "CSP-HTTP-C-005",
        _ => "CSP-ENV-C-015",
    })
    .ok()?;
    let on = |name: &str, item: Option<ItemId>| Step::On {
        incoming: Incoming {
            primitives: vec![name.to_owned()],
            times: 1,
            within_keep_alive: false,
        },
        item,
        tests: Vec::new(),
    };
    let plain = || Step::Reply {
        edits: Vec::new(),
        requests: Vec::new(),
        status: None,
    };
    let reply = |edits: Vec<Edit>| Step::Reply {
        edits,
        requests: sample.requests.clone(),
        status: None,
    };
    let request = sample.step.split('.').next().unwrap_or_default();
    let command = Command::ALL
        .into_iter()
        .find(|c| c.primitive() == request && *c != Command::Idle)?;
    let again = |charged: Option<ItemId>| {
        vec![
            Step::Stimulate(vec![Command::Login]),
            on("Login-Request", charged),
            plain(),
        ]
    };
    let mut preconditions = if command == Command::Login {
        Vec::new()
    } else {
        again(None)
    };
    preconditions.extend([Step::Stimulate(vec![command]), on(request, None)]);
    if matches!(variant.kind, Kind::Refused(600 | 601 | 604)) {
        let silent = ["KeepAlive-Request", "Polling-Request", "Logout-Request"];
        let procedure = vec![
            reply(variant.edits.clone()),
            Step::Stimulate(vec![Command::KeepAlive]),
            Step::Fence(Fence {
                lane: "A".into(),
                item: None,
                silent: silent.map(str::to_owned).to_vec(),
                command: Some(Command::Login),
            }),
        ];
        return Some((item, procedure, preconditions));
    }
    let mut procedure = vec![reply(variant.edits.clone())];
    procedure.extend(again(Some(item.clone())));
    procedure.extend([
        Step::Stimulate(vec![Command::KeepAlive]),
        on("KeepAlive-Request", None),
        plain(),
    ]);
    Some((item, procedure, preconditions))
}

fn expect(expected: Expected, conditions: Vec<Condition>) -> Step {
    Step::Expect {
        expected,
        lane: "A".into(),
        item: None,
        tests: conditions
            .into_iter()
            .map(|condition| Test {
                item: None,
                condition,
            })
            .collect(),
        decline: Vec::new(),
        settled_by: Vec::new(),
    }
}

fn path(names: &[&str]) -> Option<Path> {
    Path::parse(&names.join("/")).ok()
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
