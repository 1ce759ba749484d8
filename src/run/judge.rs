//! From octets to criteria: what every message of the peer is judged by, whatever the case.

use crate::base::ItemId;
use crate::case::{Condition, Test};
use crate::check::Rule;
use crate::check::conversation::Judgement;
use crate::codec::xml::{self, ProblemKind};
use crate::message::{Envelope, Message, Mode, NodeId, Tree};
use crate::peer::digest::Schema;
use crate::peer::is_xml_type;
use crate::record::HttpMessage;
use crate::spec::{Role, Version};
use crate::verdict::{Criterion, Part, Place, Strength, Verdict};

use super::suite::Suite;
use super::tally::Tally;

/// What could be read of a body of the peer.
#[derive(Debug, Clone)]
pub struct Read {
    /// The message, strictly or tolerantly read.
    pub message: Option<Message>,
    /// Items that this body breaks: what fails because of them is not charged again.
    pub breaches: Vec<ItemId>,
}

/// Judges messages of the peer for one case.
pub struct Judge<'a> {
    /// Tables, cases, checker.
    pub suite: &'a Suite,
    /// The side under test.
    pub role: Role,
    /// The version that the case speaks.
    pub version: Version,
    /// Where criteria go.
    pub tally: Tally,
}

impl Judge<'_> {
    /// How much a breach of an item may cost. An item that is not in the tables cannot bind anybody.
    pub fn strength(&self, item: &ItemId) -> Strength {
        self.suite
            .tables
            .items
            .get(item)
            .map_or(Strength::Note, |i| i.strength())
    }

    /// Charges a rule that holds or not.
    pub fn charge(&mut self, item: &ItemId, rule: &str, holds: bool, text: String, place: Place) -> Verdict {
        let verdict = if holds {
            Verdict::Pass
        } else {
            self.strength(item).breach()
        };
        self.add(Criterion::new(item, rule, verdict, text).at(place));
        verdict
    }

    /// The side of CSP that speaks to the suite: by SSP a server, whose CSP is no part of the test.
    fn csp_side(&self) -> Role {
        match self.role {
            Role::Ssp => Role::Server,
            role => role,
        }
    }

    fn add(&mut self, criterion: Criterion) {
        let of_csp = criterion.item.as_str().starts_with("CSP-");
        if self.role != Role::Ssp || !of_csp {
            self.tally.add(criterion);
        }
    }

    /// Charges what could not be told.
    pub fn inconclusive(&mut self, item: &ItemId, rule: &str, text: String, place: Place) {
        self.add(Criterion::new(item, rule, Verdict::Inconc, text).at(place));
    }

    /// Reads and judges the body of one HTTP message of the peer.
    pub fn body(&mut self, http: &HttpMessage, exchange: u32, part: Part) -> Read {
        let mut read = Read {
            message: None,
            breaches: Vec::new(),
        };
        let place = Place {
            exchange: Some(exchange),
            part: Some(part),
            ..Place::default()
        };
        let media_type = http.media_type();
        let typed = media_type.as_deref().is_some_and(is_xml_type);
        let reading = xml::read(&http.body, charset_of(http));
        let is_csp = reading
            .message
            .as_ref()
            .is_some_and(|m| m.tree.get(m.tree.root()).name.starts_with("WV-CSP"));
        let http_item = self.own("HTTP", 2);
        let shown = media_type.unwrap_or_else(|| "no Content-Type".to_owned());
        let verdict = self.charge(
            &http_item,
            "media-type",
            typed,
            format!("the body is sent as {shown}"),
            place.clone(),
        );
        if verdict > Verdict::Pass {
            read.breaches.push(http_item);
            if !is_csp {
                // Not a message, and not called one: that is one finding, not three.
                return read;
            }
        }
        for problem in &reading.problems {
            let rule = match problem.kind {
                ProblemKind::Charset => Rule::Charset,
                ProblemKind::Limit | ProblemKind::NotWellFormed | ProblemKind::Repaired => Rule::WellFormed,
            };
            // A repair explains how reading went on; the defect itself is a problem of its own.
            if problem.kind == ProblemKind::Repaired {
                continue;
            }
            let at = Place {
                position: Some(problem.position),
                ..place.clone()
            };
            self.finding(rule, rule.strength(), &problem.text, at, &mut read.breaches);
        }
        if reading.is_strict() {
            let item = Rule::WellFormed.item(self.csp_side());
            self.charge(
                &item,
                Rule::WellFormed.name(),
                true,
                "the body is well-formed XML".into(),
                place.clone(),
            );
        }
        let Some(message) = reading.message else {
            return read;
        };
        if !reading.problems.iter().any(|p| p.kind == ProblemKind::Charset) {
            let item = Rule::Charset.item(self.csp_side());
            let text = format!("the body is {}", message.carrier.charset);
            self.charge(&item, Rule::Charset.name(), true, text, place.clone());
        }
        self.message(&message, &place, &mut read.breaches);
        read.message = Some(message);
        read
    }

    fn message(&mut self, message: &Message, place: &Place, breaches: &mut Vec<ItemId>) {
        let checked = self.suite.checker.check(message);
        for finding in &checked.findings {
            let at = Place {
                path: finding.path.clone(),
                position: Some(finding.position),
                ..place.clone()
            };
            self.finding(finding.rule, finding.strength, &finding.text, at, breaches);
        }
        if let Some(version) = checked.version
            && version != self.version
            && !checked.findings.iter().any(|f| f.rule == Rule::Namespace)
        {
            let text = format!(
                "the message is CSP {version}, the conversation is CSP {}",
                self.version
            );
            self.finding(Rule::Namespace, Strength::Should, &text, place.clone(), breaches);
        }
        for (rule, judged) in &checked.judged {
            if checked.findings.iter().any(|f| f.rule == *rule) {
                continue;
            }
            let item = rule.item(self.csp_side());
            self.charge(&item, rule.name(), true, judged.first.clone(), place.clone());
        }
    }

    fn finding(
        &mut self,
        rule: Rule,
        strength: Strength,
        text: &str,
        place: Place,
        breaches: &mut Vec<ItemId>,
    ) {
        let item = rule.item(self.csp_side());
        let verdict = strength.min(self.strength(&item)).breach();
        self.add(Criterion::new(&item, rule.name(), verdict, text).at(place));
        if verdict >= Verdict::Warn && !breaches.contains(&item) {
            breaches.push(item);
        }
    }

    /// Charges what the rules over a conversation found; gives the items that were broken.
    pub fn conversation(&mut self, judgements: Vec<Judgement>, exchange: u32, part: Part) -> Vec<ItemId> {
        let mut broken = Vec::new();
        for judgement in judgements {
            let place = Place {
                exchange: Some(exchange),
                part: Some(part),
                path: judgement.path,
                position: None,
            };
            let verdict = self.charge(
                &judgement.item,
                judgement.rule,
                judgement.holds,
                judgement.text,
                place,
            );
            if verdict > Verdict::Pass {
                broken.push(judgement.item);
            }
        }
        broken
    }

    /// An item of the side under test, by group and number.
    pub fn own(&self, group: &str, number: u16) -> ItemId {
        let side = self.role.device();
        // Letters, digits and hyphens only: always an identifier.
        ItemId::parse(&format!("CSP-{group}-{side}-{number:03}")).expect("built of allowed characters")
    }
}

/// The `charset` parameter of Content-Type.
pub fn charset_of(http: &HttpMessage) -> Option<&str> {
    http.header("content-type")?
        .split(';')
        .skip(1)
        .filter_map(|p| p.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// The result code of a primitive.
pub fn code_of(tree: &Tree, primitive: NodeId) -> Option<u16> {
    tree.child(primitive, "Result")
        .and_then(|r| tree.child_text(r, "Code"))
        .and_then(|c| c.parse().ok())
}

/// The first result code of a message.
pub fn first_code(tree: &Tree) -> Option<u16> {
    Envelope::of(tree)?
        .transactions
        .iter()
        // A request of the server that comes along has a Result of its own.
        .filter(|t| t.mode != Mode::Request)
        .find_map(|t| t.primitive.and_then(|p| code_of(tree, p)))
}

/// What the peer sent as text of a condition's first match.
fn first_text(tree: &Tree, path: &crate::message::Path) -> Option<(NodeId, String)> {
    path.first(tree).map(|id| (id, tree.text(id).trim().to_owned()))
}

/// Values that conditions and edits refer to by `$name`.
pub trait Values {
    /// The value of a name.
    fn value(&self, name: &str) -> Option<String>;
}

/// The `$name` that a condition compares with and that has no value: then it tells nothing about the peer.
pub fn unbound(test: &Test, values: &dyn Values) -> Option<String> {
    let names: Vec<&str> = match &test.condition {
        Condition::SameAs(_, name) | Condition::DiffersFrom(_, name) => vec![name],
        Condition::Includes(_, value) | Condition::Excludes(_, value) => {
            value.strip_prefix('$').into_iter().collect()
        }
        Condition::InOrAbsent(_, allowed) => allowed.iter().filter_map(|v| v.strip_prefix('$')).collect(),
        _ => Vec::new(),
    };
    let missing = names.into_iter().find(|name| values.value(name).is_none())?;
    Some(missing.to_owned())
}

/// Whether a condition holds, with the evidence or the finding, and the path that was judged.
pub fn condition(test: &Test, tree: &Tree, values: &dyn Values) -> (bool, String, String) {
    let shown = |text: &str| crate::base::escape::shorten(text, 80).into_owned();
    let of = |id: Option<NodeId>| id.map(|n| tree.path(n)).unwrap_or_default();
    match &test.condition {
        Condition::In(path, allowed) => match first_text(tree, path) {
            Some((id, text)) => (
                allowed.contains(&text),
                format!("{path} is `{}`, expected {}", shown(&text), allowed.join(" or ")),
                of(Some(id)),
            ),
            None => (
                false,
                format!("{path} is absent, expected {}", allowed.join(" or ")),
                String::new(),
            ),
        },
        Condition::InOrAbsent(path, allowed) => match first_text(tree, path) {
            Some((id, text)) => (
                allowed.iter().any(|a| match a.strip_prefix('$') {
                    Some(name) => values.value(name).is_some_and(|kept| same_number(&kept, &text)),
                    None => *a == text,
                }),
                format!(
                    "{path} is `{}`, expected `{}` or none",
                    shown(&text),
                    allowed.join("` or `")
                ),
                of(Some(id)),
            ),
            None => (true, format!("{path} is absent"), String::new()),
        },
        Condition::NotIn(path, refused) => match first_text(tree, path) {
            Some((id, text)) => (
                !refused.contains(&text),
                format!(
                    "{path} is `{}`, expected none of {}",
                    shown(&text),
                    refused.join(", ")
                ),
                of(Some(id)),
            ),
            None => (false, format!("{path} is absent"), String::new()),
        },
        Condition::Count(path, n) => {
            let found = path.select(tree);
            (
                found.len() == *n,
                format!("{path} stands {} times, expected {n}", found.len()),
                of(found.first().copied()),
            )
        }
        Condition::Present(path) => {
            let found = path.first(tree);
            let text = match found {
                Some(_) => format!("{path} is present"),
                None => format!("{path} is absent"),
            };
            (found.is_some(), text, of(found))
        }
        Condition::Absent(path) => {
            let found = path.first(tree);
            let text = match found {
                Some(_) => format!("{path} is present, expected none"),
                None => format!("{path} is absent"),
            };
            (found.is_none(), text, of(found))
        }
        Condition::SameAs(path, name) | Condition::DiffersFrom(path, name) => {
            let wants_same = matches!(test.condition, Condition::SameAs(..));
            let word = if wants_same { "equals" } else { "differs from" };
            match (first_text(tree, path), values.value(name)) {
                (Some((id, text)), Some(kept)) => {
                    let same = text == kept;
                    let is = if same { "equals" } else { "differs from" };
                    (
                        same == wants_same,
                        format!(
                            "{path} is `{}`, which {is} ${name} (`{}`)",
                            shown(&text),
                            shown(&kept)
                        ),
                        of(Some(id)),
                    )
                }
                (None, _) => (
                    false,
                    format!("{path} is absent, expected one that {word} ${name}"),
                    String::new(),
                ),
                (_, None) => (false, format!("nothing was kept as ${name}"), String::new()),
            }
        }
        Condition::Includes(path, wanted) | Condition::Excludes(path, wanted) => {
            let wants = matches!(test.condition, Condition::Includes(..));
            let value = match wanted.strip_prefix('$') {
                None => Some(wanted.clone()),
                Some(name) => values.value(name),
            };
            let Some(value) = value else {
                return (false, format!("nothing was kept as {wanted}"), String::new());
            };
            let found = path.select(tree);
            let hit = found
                .iter()
                .copied()
                .find(|id| same_value(tree.text(*id).trim(), &value));
            let listed: Vec<String> = found.iter().map(|id| shown(tree.text(*id).trim())).collect();
            let text = match (hit.is_some(), found.is_empty()) {
                (true, _) => format!("{path} includes `{}`", shown(&value)),
                (false, true) => format!("there is no {path}, and so no `{}`", shown(&value)),
                (false, false) => format!("{path} is {}, without `{}`", listed.join(", "), shown(&value)),
            };
            (hit.is_some() == wants, text, of(hit.or(found.first().copied())))
        }
        Condition::Class(path, class) => match first_text(tree, path) {
            Some((id, text)) => {
                let ok = text.parse::<u16>().is_ok_and(|c| c / 100 == *class);
                (
                    ok,
                    format!("{path} is `{}`, expected class {class}xx", shown(&text)),
                    of(Some(id)),
                )
            }
            None => (false, format!("{path} is absent"), String::new()),
        },
        Condition::Digest(path) => digest(path, tree, values),
    }
}

fn digest(path: &crate::message::Path, tree: &Tree, values: &dyn Values) -> (bool, String, String) {
    let Some((id, found)) = first_text(tree, path) else {
        return (false, format!("{path} is absent"), String::new());
    };
    let (Some(nonce), Some(schema), Some(password)) = (
        values.value("nonce"),
        values.value("schema"),
        values.value("password"),
    ) else {
        return (
            false,
            "no challenge was sent that a digest could answer".to_owned(),
            String::new(),
        );
    };
    let expected = Schema::parse(&schema).and_then(|s| s.digest(&nonce, &password));
    let right = expected.as_deref() == Some(found.as_str());
    let text = if right {
        format!("{path} is the {schema} digest of nonce and password")
    } else {
        format!("{path} is not the {schema} digest of nonce and password")
    };
    (right, text, tree.path(id))
}

/// In words what a message is, for findings.
pub fn describe(tree: &Tree) -> String {
    match Envelope::of(tree) {
        None => format!("a document <{}>", tree.get(tree.root()).name),
        Some(envelope) => {
            let codes: Vec<String> = envelope
                .transactions
                .iter()
                .filter_map(|t| t.primitive.and_then(|p| code_of(tree, p)))
                .map(|c| c.to_string())
                .collect();
            if codes.is_empty() {
                envelope.primitives()
            } else {
                format!("{} with code {}", envelope.primitives(), codes.join(", "))
            }
        }
    }
}

/// Whether two identifiers are the same: as numbers where both are, else as text (Q12).
fn same_number(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Whether two values are the same; addresses compare without case, and one without a domain is of any
/// (AD-2, AD-3).
pub fn same_value(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let parts = |text: &str| {
        let lower = text.to_lowercase();
        let local = lower.strip_prefix("wv:").unwrap_or(&lower).to_owned();
        match local.split_once('@') {
            Some((local, domain)) => (local.to_owned(), Some(domain.to_owned())),
            None => (local, None),
        }
    };
    if !a.to_lowercase().starts_with("wv:") && !b.to_lowercase().starts_with("wv:") {
        return false;
    }
    let ((local_a, domain_a), (local_b, domain_b)) = (parts(a), parts(b));
    local_a == local_b && (domain_a == domain_b || domain_a.is_none() || domain_b.is_none())
}
