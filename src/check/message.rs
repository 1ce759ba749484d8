//! Judging one message.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::{Content, Contents};
use super::dfa::{Defect, DefectKind};
use super::leaf::{self, LeafVerdict};
use super::rule::Rule;
use crate::base::escape;
use crate::base::limits::MAX_FINDINGS_PER_ITEM;
use crate::message::{Child, Envelope, Message, NodeId, Position, Tree};
use crate::spec::syntax::Syntax;
use crate::spec::{Group, Role, Version};
use crate::verdict::Strength;

/// Judges messages by the general rules. Made once, shared by reference.
#[derive(Debug)]
pub struct Checker {
    pub(super) syntax: Arc<Syntax>,
    contents: Contents,
}

/// What a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The version that the namespaces (or, without any that is known, the structure) tell.
    pub version: Option<Version>,
    /// Who must have sent it, when the primitives have one sender only.
    pub sender: Option<Role>,
    /// Names of the primitives, for people.
    pub primitives: String,
    /// At most [`MAX_FINDINGS_PER_ITEM`] of each rule, in the order of the rules, then of the message.
    pub findings: Vec<Finding>,
    /// How many findings of a rule were left out because of that limit.
    pub left_out: BTreeMap<Rule, usize>,
    /// Every rule that was judged at least once, with evidence.
    pub judged: BTreeMap<Rule, Judged>,
}

impl Checked {
    /// Whether no rule that binds was broken.
    pub fn is_valid(&self) -> bool {
        self.findings.iter().all(|f| f.strength != Strength::Must)
    }
}

/// One breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, and with it the item.
    pub rule: Rule,
    /// What it costs.
    pub strength: Strength,
    /// Where.
    pub position: Position,
    /// Path of the element; empty when octets are meant.
    pub path: String,
    /// What was seen and what was expected.
    pub text: String,
}

/// Kinds of defects that reading octets shows; a codec tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OctetDefect {
    /// Not a well-formed document, octets that are not of the character set, or beyond a limit.
    Unreadable,
    /// A character set that is unknown, contradicted or told wrongly, but could be read.
    Charset,
    /// What was repaired to read the document all the same; the defect itself is told besides.
    Repaired,
}

impl Finding {
    /// The finding for something that reading the octets showed.
    pub fn of_octets(defect: OctetDefect, position: Position, text: String) -> Self {
        let (rule, strength) = match defect {
            OctetDefect::Unreadable => (Rule::WellFormed, Strength::Must),
            OctetDefect::Charset => (Rule::Charset, Rule::Charset.strength()),
            OctetDefect::Repaired => (Rule::WellFormed, Strength::Note),
        };
        Self {
            rule,
            strength,
            position,
            path: String::new(),
            text,
        }
    }
}

/// Evidence that a rule was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// How many things were judged by it.
    pub count: usize,
    /// A sentence about them: what was seen when all fit, or where it first broke.
    pub first: String,
}

impl Checker {
    /// Compiles all content models of both versions; some milliseconds.
    pub fn new(syntax: Arc<Syntax>) -> Self {
        let contents = Contents::compile(&syntax);
        Self { syntax, contents }
    }

    /// The tables that it judges by.
    pub fn syntax(&self) -> &Arc<Syntax> {
        &self.syntax
    }

    /// The number of automata and of their states, for measuring.
    pub fn size(&self) -> (usize, usize) {
        self.contents.size()
    }

    /// Judges a message. Never fails: whatever the tree holds, there is an answer.
    pub fn check(&self, message: &Message) -> Checked {
        let tree = &message.tree;
        let candidates = versions(tree);
        let guess = candidates.first().copied().or_else(|| self.by_structure(tree));
        let mut run = self.run(message, guess.unwrap_or(Version::V12));
        if candidates.len() > 1 {
            // Namespaces of both versions: take the version that the structure fits better, so that
            // the wrong namespace is the only thing that is charged.
            let weight = |run: &Run<'_>| run.findings.iter().filter(|f| f.rule != Rule::Namespace).count();
            for other in &candidates[1..] {
                let second = self.run(message, *other);
                if weight(&second) < weight(&run) {
                    run = second;
                }
            }
        }
        let version = guess.map(|_| run.version);
        run.finish(version)
    }

    /// What breaks the rules for presence attributes below a PresenceSubList that stands in a message of
    /// SSP. Which namespace it has there is not known: any will do.
    pub(super) fn presence_below(&self, tree: &Tree, list: NodeId) -> Vec<Finding> {
        let mut run = self.blank(tree, Version::V12);
        run.below(list, Group::Pa);
        let mut findings = run.findings;
        findings.retain(|f| f.rule != Rule::Namespace);
        findings
    }

    fn blank<'r>(&'r self, tree: &'r Tree, version: Version) -> Run<'r> {
        Run {
            checker: self,
            tree,
            version,
            findings: Vec::new(),
            kept: BTreeMap::new(),
            left_out: BTreeMap::new(),
            judged: BTreeMap::new(),
            sender: None,
            primitives: String::new(),
        }
    }

    fn run<'r>(&'r self, message: &'r Message, version: Version) -> Run<'r> {
        let tree = &message.tree;
        let mut run = self.blank(tree, version);
        run.carrier(message);
        let root = tree.get(tree.root());
        if is_known_root(&root.name) {
            run.elements();
            if let Some(envelope) = Envelope::of(tree) {
                run.envelope(&envelope);
            }
        } else {
            let text = format!(
                "the root element is {}, expected WV-CSP-Message",
                leaf::quoted(&root.name)
            );
            run.judge(Rule::Namespace);
            run.charge(Rule::Namespace, Strength::Must, tree.root(), text);
        }
        if run.primitives.is_empty() {
            run.primitives = escape::shorten(&root.name, 60).into_owned();
        }
        run
    }

    /// Without a namespace that is known, the version whose elements are all there: 1.1 has Poll in
    /// the transaction descriptor, 1.2 alone has some names.
    fn by_structure(&self, tree: &Tree) -> Option<Version> {
        let root = tree.root();
        let session = tree.child(root, "Session")?;
        if tree.child(session, "Poll").is_some() || tree.child(session, "CIR").is_some() {
            return Some(Version::V12);
        }
        let mut answer = None;
        for transaction in tree
            .elements(session)
            .filter(|e| tree.get(*e).name == "Transaction")
        {
            let poll = tree
                .child(transaction, "TransactionDescriptor")
                .and_then(|d| tree.child(d, "Poll"));
            if poll.is_some() {
                answer = Some(Version::V11);
            }
            let primitive = tree
                .child(transaction, "TransactionContent")
                .and_then(|c| tree.elements(c).next())
                .and_then(|p| self.syntax.primitive(&tree.get(p).name));
            if primitive.is_some_and(|p| p.since == Version::V12) {
                return Some(Version::V12);
            }
        }
        answer
    }
}

fn is_known_root(name: &str) -> bool {
    name == "WV-CSP-Message" || is_version_discovery(name)
}

fn is_version_discovery(name: &str) -> bool {
    matches!(
        name,
        "WV-CSP-VersionDiscovery-Request" | "WV-CSP-VersionDiscovery-Response"
    )
}

/// The versions whose namespaces stand on the root, on contents and on presence lists: the root's first.
fn versions(tree: &Tree) -> Vec<Version> {
    if is_version_discovery(&tree.get(tree.root()).name) {
        return vec![Version::V12];
    }
    let mut found = Vec::new();
    for id in tree.walk(tree.root()) {
        let element = tree.get(id);
        let counts = element.parent.is_none()
            || matches!(element.name.as_str(), "TransactionContent" | "PresenceSubList");
        if let (true, Some((version, _))) = (counts, Version::of_namespace(&element.namespace))
            && !found.contains(&version)
        {
            found.push(version);
        }
    }
    found
}

/// One judgement in the making.
pub(super) struct Run<'r> {
    pub checker: &'r Checker,
    pub tree: &'r Tree,
    pub version: Version,
    findings: Vec<Finding>,
    kept: BTreeMap<Rule, usize>,
    left_out: BTreeMap<Rule, usize>,
    judged: BTreeMap<Rule, usize>,
    pub sender: Option<Role>,
    pub primitives: String,
}

impl Run<'_> {
    pub fn judge(&mut self, rule: Rule) {
        *self.judged.entry(rule).or_default() += 1;
    }

    /// Charges a breach at an element.
    pub fn charge(&mut self, rule: Rule, strength: Strength, at: NodeId, text: String) {
        let position = self.tree.get(at).position;
        self.charge_at(rule, strength, at, position, text);
    }

    fn charge_at(&mut self, rule: Rule, strength: Strength, at: NodeId, position: Position, text: String) {
        let kept = self.kept.entry(rule).or_default();
        if *kept == MAX_FINDINGS_PER_ITEM {
            *self.left_out.entry(rule).or_default() += 1;
            return;
        }
        *kept += 1;
        self.findings.push(Finding {
            rule,
            strength: strength.min(rule.strength()),
            position,
            // Computed only for what is kept: a path costs a look at all siblings.
            path: self.tree.path(at),
            text,
        });
    }

    fn carrier(&mut self, message: &Message) {
        self.judge(Rule::WellFormed);
        if message.carrier.charset.is_empty() {
            return;
        }
        self.judge(Rule::Charset);
        let charset = message.carrier.charset.as_str();
        if !matches!(charset, "UTF-8" | "US-ASCII") {
            let text = format!("the character set is {charset}, expected UTF-8");
            self.charge(Rule::Charset, Strength::Should, self.tree.root(), text);
        }
    }

    /// Walks all elements that stand where a model puts them; below others nothing is judged.
    fn elements(&mut self) {
        self.below(self.tree.root(), Group::Csp);
    }

    fn below(&mut self, root: NodeId, group: Group) {
        let mut open = vec![(root, group)];
        while let Some((id, group)) = open.pop() {
            let name = self.tree.get(id).name.as_str();
            let Some(content) = self.checker.contents.get(self.version, group, name) else {
                // The parent's model was charged for it; the root can be unknown to a version.
                if id == root {
                    let text = format!("{} is not part of CSP {}", leaf::quoted(name), self.version);
                    self.charge(Rule::ContentModel, Strength::Must, id, text);
                }
                continue;
            };
            self.namespace(id, group);
            self.attributes(id, group);
            if content.any {
                continue;
            }
            self.content(id, content);
            if content.text && self.tree.elements(id).next().is_none() {
                self.leaf(id, group);
            }
            let first = open.len();
            let children = self.tree.elements(id);
            open.extend(children.map(|c| (c, Contents::group_below(group, &self.tree.get(c).name))));
            open[first..].reverse();
        }
    }

    fn namespace(&mut self, id: NodeId, group: Group) {
        let element = self.tree.get(id);
        if is_version_discovery(&self.tree.get(self.tree.root()).name) {
            return;
        }
        let opens = element.parent.is_none()
            || matches!(element.name.as_str(), "TransactionContent" | "PresenceSubList");
        if opens {
            self.judge(Rule::Namespace);
        }
        let expected = self.version.namespace(group);
        if element.namespace == expected {
            return;
        }
        // What inherits a wrong namespace has done nothing wrong itself.
        let inherited = element
            .parent
            .is_some_and(|p| self.tree.get(p).namespace == element.namespace);
        if inherited && !opens {
            return;
        }
        let found = if element.namespace.is_empty() {
            "no namespace".to_owned()
        } else {
            format!("namespace {}", leaf::quoted(&element.namespace))
        };
        let text = format!("{} has {found}, expected `{expected}`", element.name);
        self.charge(Rule::Namespace, Strength::Must, id, text);
    }

    fn attributes(&mut self, id: NodeId, group: Group) {
        self.judge(Rule::Attributes);
        let element = self.tree.get(id);
        let vendor = group == Group::Pa && element.name == "PresenceSubList";
        for attribute in &element.attributes {
            if vendor && !attribute.namespace.is_empty() {
                continue;
            }
            let text = format!(
                "{} has the attribute {}, no attribute is defined for it",
                element.name,
                leaf::quoted(&attribute.name)
            );
            self.charge(Rule::Attributes, Strength::Must, id, text);
        }
    }

    fn content(&mut self, id: NodeId, content: &Content) {
        self.judge(Rule::ContentModel);
        let tree = self.tree;
        let element = tree.get(id);
        let children: Vec<NodeId> = tree.elements(id).collect();
        if content.text {
            if let Some(first) = children.first() {
                let text = format!(
                    "expected text in {}, found {}",
                    element.name,
                    leaf::quoted(&tree.get(*first).name)
                );
                self.charge(Rule::ContentModel, content.strength, *first, text);
            }
            return;
        }
        let stray = element.children.iter().find_map(|c| match c {
            Child::Text(text, position) if !is_blank(text) => Some((text, *position)),
            _ => None,
        });
        if let Some((text, position)) = stray {
            let place = first_word(text, position);
            let text = format!(
                "text {} in {}, which holds no text",
                leaf::quoted(text.trim()),
                element.name
            );
            self.charge_at(Rule::ContentModel, content.strength, id, place, text);
        }
        let names: Vec<&str> = children.iter().map(|c| tree.get(*c).name.as_str()).collect();
        let Some(accepted) = &content.accepted else {
            return;
        };
        let defects = accepted.explain(&names);
        if defects.is_empty() {
            return;
        }
        if content
            .tolerated
            .as_ref()
            .is_some_and(|t| t.accepts(names.iter().copied()))
        {
            let reading = content.reading.as_deref().unwrap_or("an open question");
            let text = format!(
                "the content of {} follows a reading that is only tolerated ({reading})",
                element.name
            );
            self.charge(Rule::ContentModel, Strength::Should, id, text);
            return;
        }
        for defect in &defects {
            let text = defect_text(defect, &element.name, &names);
            let at = match (defect.kind, children.get(defect.at)) {
                (_, Some(child)) => *child,
                (_, None) => id,
            };
            self.charge(Rule::ContentModel, content.strength, at, text);
        }
    }

    fn leaf(&mut self, id: NodeId, group: Group) {
        let element = self.tree.get(id);
        let parent = element
            .parent
            .map(|p| self.tree.get(p).name.as_str())
            .unwrap_or_default();
        let syntax = &self.checker.syntax;
        let text = self.tree.text(id);
        let trimmed = text.trim();
        if let Some(max) = syntax
            .leaf(self.version, group, &element.name)
            .and_then(|l| l.max)
        {
            self.judge(Rule::Length);
            let length = trimmed.chars().count();
            if length > max {
                let text = format!("{} has {length} characters, expected at most {max}", element.name);
                self.charge(Rule::Length, Strength::Should, id, text);
            }
        }
        let Some((kind, basis)) = syntax.leaf_below(self.version, group, parent, &element.name) else {
            return;
        };
        let Some(rule) = leaf::rule(&kind) else {
            return;
        };
        self.judge(rule);
        let (strength, problem) = match leaf::check(&kind, trimmed) {
            LeafVerdict::Ok => return,
            LeafVerdict::Warn(problem) => (Strength::Should, problem),
            LeafVerdict::Breach(problem) => (Strength::Must, problem),
        };
        let strength = strength.min(basis.strength(None));
        // A finding is printed where no masking of elements can reach.
        let problem = match element.name.as_str() {
            "DigestBytes" | "Password" => problem.replace(&leaf::quoted(trimmed), "its content (not shown)"),
            _ => problem,
        };
        let text = format!("{}: {problem}", element.name);
        self.charge(rule, strength, id, text);
    }

    fn finish(self, version: Option<Version>) -> Checked {
        let mut findings = self.findings;
        findings.sort_by_key(|f| (f.rule, f.position));
        let judged = self
            .judged
            .iter()
            .map(|(rule, count)| {
                let broken = self.kept.get(rule).copied().unwrap_or_default()
                    + self.left_out.get(rule).copied().unwrap_or_default();
                let first = match findings.iter().find(|f| f.rule == *rule) {
                    Some(f) if broken > 0 => format!("{broken} of {count} broken, first: {}", f.text),
                    _ => evidence(*rule, *count),
                };
                (*rule, Judged { count: *count, first })
            })
            .collect();
        Checked {
            version,
            sender: self.sender,
            primitives: self.primitives,
            findings,
            left_out: self.left_out,
            judged,
        }
    }
}

/// XML white space, which may stand between elements.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Where the first word of a text stands. References in front of it would shift the place; there is
/// only white space.
pub(super) fn first_word(text: &str, from: Position) -> Position {
    let mut at = from;
    if from == Position::default() {
        return at;
    }
    for c in text.chars().take_while(|c| c.is_whitespace()) {
        if c == '\n' {
            at = Position {
                line: at.line + 1,
                column: 1,
            };
        } else {
            at.column += 1;
        }
    }
    at
}

/// Most names that a finding lists as expected.
const MAX_EXPECTED: usize = 8;

pub(super) fn defect_text(defect: &Defect, parent: &str, names: &[&str]) -> String {
    let mut expected: Vec<String> = defect.expected.iter().take(MAX_EXPECTED).cloned().collect();
    if defect.expected.len() > MAX_EXPECTED {
        expected.push(format!("{} other elements", defect.expected.len() - MAX_EXPECTED));
    }
    if defect.or_end || expected.is_empty() {
        expected.push(format!("the end of {parent}"));
    }
    let last = expected.pop().unwrap_or_default();
    let expected = if expected.is_empty() {
        last
    } else {
        format!("{} or {last}", expected.join(", "))
    };
    let found = match names.get(defect.at) {
        Some(name) => escape::plain(&escape::shorten(name, 60)).into_owned(),
        None => format!("the end of {parent}"),
    };
    match defect.kind {
        DefectKind::Swapped => match names.get(defect.at + 1) {
            Some(next) => {
                format!("expected {expected}, found {found}: it stands before {next}, not behind it")
            }
            None => format!("expected {expected}, found {found}"),
        },
        DefectKind::Missing | DefectKind::Unexpected | DefectKind::Replaced => {
            format!("expected {expected}, found {found}")
        }
    }
}

fn evidence(rule: Rule, count: usize) -> String {
    let (one, many) = match rule {
        Rule::WellFormed => ("the document is well-formed", "documents are well-formed"),
        Rule::Charset => ("the character set is UTF-8 or US-ASCII", "character sets fit"),
        Rule::Namespace => (
            "1 namespace is the one of its version",
            "namespaces are those of one version",
        ),
        Rule::ContentModel => (
            "1 element matches its content model",
            "elements match their content models",
        ),
        Rule::SessionIdPresence => (
            "SessionID is there exactly when Inband",
            "SessionIDs fit their session types",
        ),
        Rule::SessionUse => (
            "1 primitive fits its session type",
            "primitives fit the session type",
        ),
        Rule::ModeUse => (
            "1 TransactionMode fits its primitive",
            "TransactionModes fit their primitives",
        ),
        Rule::TransactionIdPresence => (
            "1 transaction has its TransactionID",
            "transactions have their TransactionIDs",
        ),
        Rule::PollUse => (
            "a client's message without Poll and CIR",
            "client messages without Poll and CIR",
        ),
        Rule::Attributes => (
            "1 element has no stray attribute",
            "elements have no stray attributes",
        ),
        Rule::TypeBool => ("1 boolean or enumeration fits", "booleans and enumerations fit"),
        Rule::TypeUint => ("1 number fits", "numbers fit"),
        Rule::TypeAddress => ("1 address fits", "addresses fit"),
        Rule::TypeDate => ("1 date fits", "dates fit"),
        Rule::TypeForm => ("1 value fits its form", "values fit their forms"),
        Rule::Length => ("1 text is within its length", "texts are within their lengths"),
        Rule::ResultCode => (
            "1 result code is known and fits",
            "result codes are known and fit",
        ),
        Rule::Ssp(rule) => (rule.evidence(), rule.evidence()),
    };
    if count == 1 {
        one.to_owned()
    } else {
        format!("{count} {many}")
    }
}

#[cfg(test)]
mod tests;
