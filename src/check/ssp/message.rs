//! Judging one message of SSP.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::content::automaton;
use super::super::dfa::{DefectKind, Dfa};
use super::super::leaf::quoted;
use super::super::message::{Checked, Checker, Finding, Judged, defect_text, first_word, is_blank};
use super::super::rule::Rule;
use super::form;
use super::rule::SspRule;
use crate::base::limits::MAX_FINDINGS_PER_ITEM;
use crate::message::{Child, Message, NodeId, SSP_ROOT, SspEnvelope, SspTransaction, Tree, ssp_code};
use crate::spec::Basis;
use crate::spec::model::Model;
use crate::spec::ssp::{Meta, SspElement, SspSyntax, SspVersion};
use crate::verdict::Strength;

/// Judges messages of SSP by the general rules. Made once, shared by reference.
#[derive(Debug)]
pub struct SspChecker {
    syntax: Arc<SspSyntax>,
    /// For presence attributes and codes, which are those of CSP.
    csp: Arc<Checker>,
    contents: BTreeMap<String, Dfa>,
}

impl SspChecker {
    /// Compiles all content models.
    pub fn new(syntax: Arc<SspSyntax>, csp: Arc<Checker>) -> Self {
        let contents = syntax
            .elements()
            .filter_map(|(name, row)| Some((name.to_owned(), automaton(&[&row.model])?)))
            .collect();
        Self {
            syntax,
            csp,
            contents,
        }
    }

    /// The tables that it judges by.
    pub fn syntax(&self) -> &Arc<SspSyntax> {
        &self.syntax
    }

    /// The version of a message, by its namespace.
    pub fn version(message: &Message) -> Option<SspVersion> {
        SspVersion::of_namespace(&message.tree.get(message.tree.root()).namespace)
    }

    /// Judges a message. Never fails: whatever the tree holds, there is an answer.
    pub fn check(&self, message: &Message) -> Checked {
        let tree = &message.tree;
        let mut run = Run {
            checker: self,
            tree,
            version: Self::version(message).unwrap_or_default(),
            findings: Vec::new(),
            kept: BTreeMap::new(),
            left_out: BTreeMap::new(),
            judged: BTreeMap::new(),
        };
        let root = tree.get(tree.root());
        let envelope = SspEnvelope::of(tree);
        run.document(envelope.as_ref());
        if root.name == SSP_ROOT {
            run.elements();
        }
        for transaction in envelope.iter().flat_map(|e| &e.transactions) {
            run.transaction(transaction);
        }
        let primitives = envelope.map_or_else(|| root.name.clone(), |e| e.primitives());
        run.finish(primitives)
    }
}

struct Run<'r> {
    checker: &'r SspChecker,
    tree: &'r Tree,
    version: SspVersion,
    findings: Vec<Finding>,
    kept: BTreeMap<Rule, usize>,
    left_out: BTreeMap<Rule, usize>,
    judged: BTreeMap<SspRule, usize>,
}

impl Run<'_> {
    fn judge(&mut self, rule: SspRule) {
        *self.judged.entry(rule).or_default() += 1;
    }

    fn charge(&mut self, rule: SspRule, at: NodeId, text: String) {
        self.charge_at(rule, rule.strength(), at, text);
    }

    fn charge_at(&mut self, rule: SspRule, strength: Strength, at: NodeId, text: String) {
        let kept = self.kept.entry(Rule::Ssp(rule)).or_default();
        if *kept == MAX_FINDINGS_PER_ITEM {
            *self.left_out.entry(Rule::Ssp(rule)).or_default() += 1;
            return;
        }
        *kept += 1;
        self.findings.push(Finding {
            rule: Rule::Ssp(rule),
            strength: strength.min(rule.strength()),
            position: self.tree.get(at).position,
            path: self.tree.path(at),
            text,
        });
    }

    fn document(&mut self, envelope: Option<&SspEnvelope>) {
        let root = self.tree.get(self.tree.root());
        self.judge(SspRule::Document);
        if root.name != SSP_ROOT {
            let text = format!("the root element is {}, expected {SSP_ROOT}", quoted(&root.name));
            self.charge(SspRule::Document, self.tree.root(), text);
            return;
        }
        self.judge(SspRule::Namespace);
        if SspVersion::of_namespace(&root.namespace).is_none() {
            let found = match root.namespace.as_str() {
                "" => "no namespace".to_owned(),
                other => format!("namespace {}", quoted(other)),
            };
            let text = format!("{SSP_ROOT} has {found}, expected `{}`", self.version.namespace());
            self.charge(SspRule::Namespace, self.tree.root(), text);
        }
        let children: Vec<NodeId> = self.tree.content_elements(self.tree.root()).collect();
        if envelope.is_none() || children.len() != 1 {
            let text = format!(
                "{SSP_ROOT} holds {} elements, expected one SetupTransaction or one Session",
                children.len()
            );
            let at = children.last().copied().unwrap_or_else(|| self.tree.root());
            self.charge(SspRule::Document, at, text);
        }
    }

    /// Walks all elements that the table knows; below others nothing is judged.
    fn elements(&mut self) {
        let root = self.tree.root();
        let mut open: Vec<NodeId> = self.tree.content_elements(root).collect();
        open.reverse();
        while let Some(id) = open.pop() {
            let name = self.tree.get(id).name.as_str();
            if name == "PresenceSubList" {
                self.presence(id);
                continue;
            }
            // The parent's model was charged for what is not known.
            let Some(row) = self.checker.syntax.element(name) else {
                continue;
            };
            // What is remembered only is charged to nobody.
            if row.basis == Basis::Open {
                continue;
            }
            if row.since > self.version {
                let text = format!(
                    "{name} is of SSP {}, the message is of {}",
                    row.since, self.version
                );
                self.charge_at(SspRule::Order, Strength::Note, id, text);
            }
            self.attributes(id, row);
            self.content(id, row);
            let first = open.len();
            open.extend(self.tree.content_elements(id));
            open[first..].reverse();
        }
    }

    fn attributes(&mut self, id: NodeId, row: &SspElement) {
        let name = self.tree.get(id).name.clone();
        for attribute in &row.attributes {
            let missing = missing_rule(&name, &attribute.name);
            let value = self.tree.attribute(id, &attribute.name);
            // A refusal grants nothing.
            let refuses = || ssp_code(self.tree, id).is_some_and(|c| c / 100 != 2);
            let grants = missing == SspRule::TimeToLive && !refuses();
            let needed = attribute.required || grants;
            if needed {
                self.judge(missing);
            }
            let Some(value) = value.filter(|v| !v.trim().is_empty()) else {
                if needed {
                    self.charge(missing, id, format!("{name} has no {}", attribute.name));
                }
                continue;
            };
            let rule = match (name.as_str(), attribute.name.as_str()) {
                (_, "mode") => SspRule::Mode,
                ("SendSecretToken", "protocol" | "protocolVersion") => SspRule::Token,
                _ => form::rule(&attribute.kind),
            };
            self.judge(rule);
            if let Some(problem) = form::problem(&attribute.kind, &value) {
                self.charge(rule, id, format!("{} of {name}: {problem}", attribute.name));
            }
        }
        if row.any_attributes {
            return;
        }
        let own: Vec<NodeId> = self
            .tree
            .elements(id)
            .filter(|c| self.tree.get(*c).name.starts_with('@'))
            .collect();
        for child in own {
            let attribute = self.tree.get(child).name.trim_start_matches('@').to_owned();
            if !row.attributes.iter().any(|a| a.name == attribute) {
                let text = format!("{name} has {}, which no source knows", quoted(&attribute));
                self.charge_at(SspRule::Required, Strength::Note, id, text);
            }
        }
    }

    fn content(&mut self, id: NodeId, row: &SspElement) {
        let tree = self.tree;
        let name = tree.get(id).name.as_str();
        let children: Vec<NodeId> = tree.content_elements(id).collect();
        match &row.model {
            Model::Any => return,
            Model::Text => {
                if let Some(first) = children.first() {
                    let text = format!(
                        "expected text in {name}, found {}",
                        quoted(&tree.get(*first).name)
                    );
                    self.judge(SspRule::Order);
                    self.charge(SspRule::Order, *first, text);
                } else if let Some(kind) = &row.text {
                    self.text(id, kind);
                }
                return;
            }
            Model::Empty | Model::Children(_) => {}
        }
        let order = if name == "MessageInfo" {
            SspRule::MessageInfo
        } else {
            SspRule::Order
        };
        self.judge(order);
        let stray = tree.get(id).children.iter().find_map(|c| match c {
            Child::Text(text, position) if !is_blank(text) => Some((text, *position)),
            _ => None,
        });
        if let Some((text, position)) = stray {
            let place = first_word(text, position);
            let text = format!("text {} in {name}, which holds no text", quoted(text.trim()));
            self.charge(order, id, text);
            if let Some(last) = self.findings.last_mut() {
                last.position = place;
            }
        }
        let names: Vec<&str> = children.iter().map(|c| tree.get(*c).name.as_str()).collect();
        let Some(accepted) = self.checker.contents.get(name) else {
            return;
        };
        for defect in accepted.explain(&names) {
            let at = children.get(defect.at).copied().unwrap_or(id);
            // MetaInfo has an item of its own.
            let meta = defect.expected.iter().any(|e| e == "MetaInfo")
                && matches!(defect.kind, DefectKind::Missing | DefectKind::Replaced);
            let rule = if meta { SspRule::MetaInfo } else { order };
            self.charge(rule, at, defect_text(&defect, name, &names));
        }
    }

    fn text(&mut self, id: NodeId, kind: &crate::spec::ssp::SspType) {
        let name = self.tree.get(id).name.as_str();
        let text = self.tree.text(id);
        if name == "ContentData" {
            self.content_data(id, &text);
            return;
        }
        let free = matches!(kind, crate::spec::ssp::SspType::Text);
        if free {
            return;
        }
        let rule = form::rule(kind);
        self.judge(rule);
        if let Some(problem) = form::problem(kind, &text) {
            self.charge(rule, id, format!("{name}: {problem}"));
        }
    }

    /// Content is Base64, as long as the MessageInfo beside it says.
    fn content_data(&mut self, id: NodeId, text: &str) {
        self.judge(SspRule::Content);
        let tree = self.tree;
        let octets = match tree.attribute(id, "encoding").as_deref().map(str::trim) {
            Some("base64") => match form::decoded(text) {
                Some(octets) => octets.len(),
                None => {
                    self.charge(SspRule::Content, id, "ContentData is not Base64".to_owned());
                    return;
                }
            },
            _ => {
                let text = "ContentData is not marked as Base64".to_owned();
                self.charge_at(SspRule::Content, Strength::Should, id, text);
                text_len(tree, id)
            }
        };
        let info = tree.get(id).parent.and_then(|p| tree.child(p, "MessageInfo"));
        let Some(info) = info else { return };
        let size = tree
            .attribute(info, "contentSize")
            .and_then(|s| s.trim().parse::<usize>().ok());
        if let Some(size) = size.filter(|s| *s != octets) {
            let text = format!("contentSize is {size}, the content has {octets} octets");
            self.charge(SspRule::Content, id, text);
        }
        let kinds = (
            tree.attribute(info, "contentType"),
            tree.attribute(id, "contentType"),
        );
        if let (Some(a), Some(b)) = kinds
            && !a.trim().eq_ignore_ascii_case(b.trim())
        {
            let text = format!(
                "contentType is {} in MessageInfo and {} in ContentData",
                quoted(&a),
                quoted(&b)
            );
            self.charge_at(SspRule::Content, Strength::Should, id, text);
        }
    }

    fn presence(&mut self, id: NodeId) {
        self.judge(SspRule::Presence);
        // What presence of 1.3 looks like is in no table.
        let most = match self.version {
            SspVersion::V13 => Strength::Note,
            SspVersion::V11 | SspVersion::V12 => Strength::Should,
        };
        for found in self.checker.csp.presence_below(self.tree, id) {
            let at = Finding {
                rule: Rule::Ssp(SspRule::Presence),
                strength: most.min(found.strength),
                ..found
            };
            *self.kept.entry(at.rule).or_default() += 1;
            self.findings.push(at);
        }
    }

    fn transaction(&mut self, transaction: &SspTransaction) {
        let tree = self.tree;
        self.judge(SspRule::OnePrimitive);
        let children = tree.content_elements(transaction.node).count();
        let Some(at) = transaction.primitive else {
            self.charge(
                SspRule::OnePrimitive,
                transaction.node,
                "there is no primitive".to_owned(),
            );
            return;
        };
        if children != 1 {
            let text = format!("{children} elements, expected one primitive");
            self.charge(SspRule::OnePrimitive, transaction.node, text);
        }
        let name = transaction.name.as_str();
        let setup = tree.get(transaction.node).name == "SetupTransaction";
        let row = self.checker.syntax.primitive(name).filter(|p| p.setup == setup);
        let Some(row) = row else {
            if !setup {
                let text = format!("{} is no primitive of SSP", quoted(name));
                self.charge(SspRule::OnePrimitive, at, text);
            }
            return;
        };
        if row.unattested {
            return;
        }
        self.judge(SspRule::Mode);
        if matches!(
            transaction.mode,
            crate::message::Mode::Request | crate::message::Mode::Response
        ) && !row.modes.contains(&transaction.mode)
        {
            let text = format!("{name} in mode {}", transaction.mode.as_str());
            self.charge(SspRule::Mode, at, text);
        }
        self.meta(at, row.meta);
        self.codes(at);
    }

    /// The Requestor names a user where a user asks, and none where the server does.
    fn meta(&mut self, primitive: NodeId, wanted: Meta) {
        let tree = self.tree;
        let Some(info) = tree.child(primitive, "MetaInfo") else {
            return;
        };
        let by_user = match tree.attribute(info, "clientOriginated").as_deref().map(str::trim) {
            Some("Yes") => true,
            Some("No") => false,
            _ => return,
        };
        let name = tree.get(primitive).name.as_str();
        let user = tree
            .child(info, "Requestor")
            .and_then(|r| tree.child(r, "User"))
            .is_some();
        let rule = match wanted {
            Meta::Server => SspRule::ByServer,
            Meta::User => SspRule::ByUser,
            Meta::Either | Meta::Optional | Meta::None if by_user => SspRule::ByUser,
            Meta::Either | Meta::Optional | Meta::None => SspRule::ByServer,
        };
        self.judge(rule);
        let should = rule == SspRule::ByUser;
        let word = if by_user { "Yes" } else { "No" };
        if should != by_user {
            let text = format!("clientOriginated is {word} in {name}");
            self.charge(rule, info, text);
        } else if should != user {
            let what = if user { "a" } else { "no" };
            let text = format!("clientOriginated is {word}, and the Requestor has {what} User");
            self.charge(rule, info, text);
        }
    }

    /// Codes are of the table, and partial failures say what failed.
    fn codes(&mut self, primitive: NodeId) {
        let tree = self.tree;
        let found: Vec<(NodeId, u16)> = tree
            .walk(primitive)
            .into_iter()
            .filter(|e| matches!(tree.get(*e).name.as_str(), "Status" | "DetailedResult"))
            .filter_map(|e| Some((e, tree.attribute(e, "code")?.trim().parse().ok()?)))
            .collect();
        for (at, code) in found {
            self.judge(SspRule::Code);
            if self.checker.csp.syntax().code(code).is_none() {
                self.charge(
                    SspRule::Code,
                    at,
                    format!("the code {code} is not in the list of codes"),
                );
            }
            if matches!(code, 201 | 900) && tree.get(at).name == "Status" {
                self.judge(SspRule::Detail);
                if tree.child(at, "DetailedResult").is_none() {
                    self.charge(SspRule::Detail, at, format!("{code} without a DetailedResult"));
                }
            }
        }
    }

    fn finish(self, primitives: String) -> Checked {
        let mut findings = self.findings;
        findings.sort_by_key(|f| (f.rule, f.position));
        let judged = self
            .judged
            .iter()
            .map(|(rule, count)| {
                let wrapped = Rule::Ssp(*rule);
                let first = match findings.iter().find(|f| f.rule == wrapped) {
                    Some(f) => f.text.clone(),
                    None => rule.evidence().to_owned(),
                };
                (wrapped, Judged { count: *count, first })
            })
            .collect();
        Checked {
            version: None,
            sender: None,
            primitives,
            findings,
            left_out: self.left_out,
            judged,
        }
    }
}

fn text_len(tree: &Tree, id: NodeId) -> usize {
    tree.text(id).trim().len()
}

/// The rule that a missing attribute breaks.
fn missing_rule(element: &str, attribute: &str) -> SspRule {
    match (element, attribute) {
        (_, "mode") => SspRule::Mode,
        (_, "transactionID") => SspRule::TransactionId,
        ("SendSecretToken", "protocol" | "protocolVersion") => SspRule::Token,
        ("LoginRequest" | "LoginResponse", "timeToLive") => SspRule::TimeToLive,
        (_, "serviceID") => SspRule::ServiceId,
        ("MessageInfo", _) => SspRule::MessageInfo,
        (_, "code") => SspRule::Code,
        _ => SspRule::Required,
    }
}
