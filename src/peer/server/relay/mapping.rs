//! Values and small elements on both sides of the relay. In SSP an attribute is a child whose name begins
//! with `@`, before all others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::{compose, contents, samples};
use crate::spec::{Group, Version};

use super::super::partial::Target;

/// An attribute.
pub(super) fn attr(name: &str, value: impl Into<String>) -> Elem {
    text(&format!("@{name}"), value)
}

/// A truth value as SSP writes it.
pub(super) fn yes_no(on: bool) -> &'static str {
    if on { "Yes" } else { "No" }
}

/// A truth value of SSP as CSP writes it.
pub(super) fn flag(on: bool) -> &'static str {
    if on { "T" } else { "F" }
}

/// Whether an attribute says Yes.
pub(super) fn is_yes(tree: &Tree, of: NodeId, name: &str) -> bool {
    attribute(tree, of, name).as_deref() == Some("Yes")
}

/// An attribute that is there and not empty.
pub(super) fn attribute(tree: &Tree, of: NodeId, name: &str) -> Option<String> {
    tree.child_text(of, &format!("@{name}")).filter(|v| !v.is_empty())
}

/// `User` of SSP.
pub(super) fn user(address: impl Into<String>) -> Elem {
    Elem::new("User").with(attr("userID", address))
}

/// `UserID` of SSP.
pub(super) fn user_id(address: impl Into<String>) -> Elem {
    Elem::new("UserID").with(attr("userID", address))
}

/// `GroupID` of SSP.
pub(super) fn group_id(address: impl Into<String>) -> Elem {
    Elem::new("GroupID").with(attr("groupID", address))
}

/// `ScreenName` of SSP: the group is an attribute.
pub(super) fn screen_name(name: &str, group: &str) -> Elem {
    text("ScreenName", name).with(attr("groupID", group))
}

/// A party in SSP form.
pub(super) fn party(target: &Target) -> Elem {
    match target {
        Target::User(address) => user(address.clone()),
        Target::Group(address) => group_id(address.clone()),
        Target::ScreenName(name, group) => screen_name(name, group),
        Target::ContactList(list) => text("ContactList", list.clone()),
        Target::Domain(domain) => text("Domain", domain.clone()),
    }
}

/// The party in an element of SSP: `User`, `GroupID` or `ScreenName`.
pub(super) fn read_party(tree: &Tree, of: NodeId) -> Option<Target> {
    tree.elements(of).find_map(|child| one_party(tree, child))
}

/// An element of SSP as a party.
pub(super) fn one_party(tree: &Tree, child: NodeId) -> Option<Target> {
    match tree.get(child).name.as_str() {
        "User" | "UserID" | "VerUserID" => attribute(tree, child, "userID").map(Target::User),
        "GroupID" => attribute(tree, child, "groupID").map(Target::Group),
        "ScreenName" => Some(Target::ScreenName(
            tree.text(child).trim().to_owned(),
            attribute(tree, child, "groupID")?,
        )),
        _ => None,
    }
}

/// A party in CSP form, as Sender and Recipient hold it.
pub(super) fn csp_party(target: &Target) -> Elem {
    match target {
        Target::User(address) => contents::user(address),
        Target::Group(address) => Elem::new("Group").with(text("GroupID", address.clone())),
        Target::ScreenName(name, group) => Elem::new("Group").with(samples::screen_name(name, group)),
        Target::ContactList(list) => text("ContactList", list.clone()),
        Target::Domain(domain) => text("Domain", domain.clone()),
    }
}

/// A child of Sender or Recipient of CSP, or of a list of targets, as a party.
pub(super) fn read_csp_party(tree: &Tree, child: NodeId) -> Option<Target> {
    let screen_name = |of: NodeId| {
        Some(Target::ScreenName(
            tree.child_text(of, "SName")?,
            tree.child_text(of, "GroupID")?,
        ))
    };
    match tree.get(child).name.as_str() {
        "User" => tree.child_text(child, "UserID").map(Target::User),
        "UserID" => Some(Target::User(tree.text(child).trim().to_owned())),
        "GroupID" => Some(Target::Group(tree.text(child).trim().to_owned())),
        "Group" => match tree.child(child, "ScreenName") {
            Some(name) => screen_name(name),
            None => tree.child_text(child, "GroupID").map(Target::Group),
        },
        "ScreenName" => screen_name(child),
        "ContactList" => Some(Target::ContactList(tree.text(child).trim().to_owned())),
        "Domain" => Some(Target::Domain(tree.text(child).trim().to_owned())),
        _ => None,
    }
}

/// An element with all that is in it, octet for octet; namespaces are those of the place where it goes.
pub(super) fn copied(tree: &Tree, id: NodeId) -> Elem {
    let name = &tree.get(id).name;
    let children: Vec<NodeId> = tree.elements(id).collect();
    let only_attributes = children.iter().all(|c| tree.get(*c).name.starts_with('@'));
    let copy = match only_attributes {
        true => text(name, tree.text(id)),
        false => Elem::new(name),
    };
    copy.with_all(children.into_iter().map(|c| copied(tree, c)))
}

/// The same, but one element in it has these children.
pub(super) fn copied_with(tree: &Tree, id: NodeId, at: NodeId, children: &[Elem]) -> Elem {
    if id == at {
        return Elem::new(&tree.get(id).name).with_all(children.iter().cloned());
    }
    if !tree.walk(id).contains(&at) {
        return copied(tree, id);
    }
    let inner = tree.elements(id).map(|c| copied_with(tree, c, at, children));
    Elem::new(&tree.get(id).name).with_all(inner)
}

/// `20261101T120000Z` as `2026-11-01T12:00:00Z`; what is no such date stays as it is.
pub(super) fn long_date(csp: &str) -> String {
    let digits = csp.len() == 16
        && csp.bytes().enumerate().all(|(at, b)| match at {
            8 => b == b'T',
            15 => b == b'Z',
            _ => b.is_ascii_digit(),
        });
    if !digits {
        return csp.to_owned();
    }
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &csp[..4],
        &csp[4..6],
        &csp[6..8],
        &csp[9..11],
        &csp[11..13],
        &csp[13..15]
    )
}

/// The other way round.
pub(super) fn short_date(ssp: &str) -> String {
    ssp.trim().replace(['-', ':'], "")
}

/// What became of a request, in the form that both protocols can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub code: u16,
    /// Targets that failed, each with its code.
    pub rows: Vec<(u16, Target)>,
    /// Words for people.
    pub description: Option<String>,
}

impl Outcome {
    /// A code alone.
    pub fn plain(code: u16) -> Self {
        Self {
            code,
            rows: Vec::new(),
            description: None,
        }
    }

    /// Whether everything or something was done.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Reads an answer of a peer: Status, or a response that holds one.
    pub fn of_answer(tree: &Tree, answer: NodeId) -> Self {
        let own = tree.get(answer).name.as_str();
        let status = match own {
            "Status" => Some(answer),
            _ => tree.child(answer, "Status"),
        };
        let Some(status) = status else {
            // A response that tells nothing of failure did what was asked.
            return Self::plain(if own.ends_with("Response") { 200 } else { 500 });
        };
        let code = |of: NodeId| attribute(tree, of, "code").and_then(|c| c.parse().ok());
        let details = tree
            .elements(status)
            .filter(|e| tree.get(*e).name == "DetailedResult");
        let rows = details.flat_map(|detail| {
            let targets = tree.elements(detail).filter_map(|e| match one_party(tree, e) {
                None if tree.get(e).name == "Domain" => Some(Target::Domain(tree.text(e).trim().to_owned())),
                other => other,
            });
            let code = code(detail).unwrap_or(500);
            targets.map(move |t| (code, t)).collect::<Vec<_>>()
        });
        Self {
            code: code(status).unwrap_or(500),
            rows: rows.collect(),
            description: tree.child_text(status, "StatusDescription"),
        }
    }

    /// Reads an answer of a service of this server: Status, or a response; one without Result is a success.
    pub fn of_csp(answer: &Tree) -> Self {
        let Some(result) = answer.child(answer.root(), "Result") else {
            return Self::plain(200);
        };
        let code = |of: NodeId| answer.child_text(of, "Code").and_then(|c| c.parse().ok());
        let details = answer
            .elements(result)
            .filter(|e| answer.get(*e).name == "DetailedResult");
        let rows = details.flat_map(|detail| {
            let code = code(detail).unwrap_or(500);
            let targets = answer.elements(detail);
            targets
                .filter_map(|e| read_csp_party(answer, e))
                .map(move |t| (code, t))
                .collect::<Vec<_>>()
        });
        Self {
            code: code(result).unwrap_or(500),
            rows: rows.collect(),
            description: answer.child_text(result, "Description"),
        }
    }

    /// The codes of the rows, in their order.
    fn codes(&self) -> Vec<u16> {
        let mut codes: Vec<u16> = Vec::new();
        for (code, _) in &self.rows {
            if !codes.contains(code) {
                codes.push(*code);
            }
        }
        codes
    }

    fn of_code(&self, code: u16) -> Vec<&Target> {
        let rows = self.rows.iter().filter(|(c, _)| *c == code);
        let mut targets: Vec<&Target> = rows.map(|(_, t)| t).collect();
        targets.sort_by_key(|t| t.place());
        targets
    }

    /// `Result` of CSP.
    pub fn result(&self, version: Version) -> Elem {
        let details = self.codes().into_iter().map(|code| {
            let targets = self.of_code(code).into_iter();
            Elem::new("DetailedResult")
                .with(text("Code", code.to_string()))
                .with_all(targets.filter_map(|t| t.elem(version)))
        });
        let description = self.description.as_ref().map(|d| text("Description", d.clone()));
        compose::result(self.code)
            .with_some(description.filter(|d| !d.content().is_empty()))
            .with_all(details)
    }

    /// `Status` of SSP. Contact lists have no place in it.
    pub fn status(&self) -> Elem {
        let details = self.codes().into_iter().map(|code| {
            let targets = self.of_code(code).into_iter();
            Elem::new("DetailedResult")
                .with(attr("code", code.to_string()))
                .with_all(targets.filter_map(|t| match t {
                    Target::User(address) => Some(user_id(address.clone())),
                    Target::ContactList(_) => None,
                    other => Some(party(other)),
                }))
        });
        Elem::new("Status")
            .with(attr("code", self.code.to_string()))
            .with_some(
                self.description
                    .as_ref()
                    .map(|d| text("StatusDescription", d.clone())),
            )
            .with_all(details)
    }
}

/// `Status` of SSP with a code.
pub(super) fn status(code: u16) -> Elem {
    Outcome::plain(code).status()
}

/// `PresenceSubList` with these children: in the namespace of a version.
pub(super) fn presence_list(version: Version, children: Vec<Elem>) -> Elem {
    Elem::new("PresenceSubList")
        .in_namespace(version.namespace(Group::Pa))
        .with_all(children)
}

/// `AttributeList` from a `PresenceSubList`.
pub(super) fn attribute_list(tree: &Tree, list: NodeId) -> Elem {
    let attributes = tree.elements(list).map(|a| copied(tree, a)).collect();
    Elem::new("AttributeList").with(presence_list(Version::V12, attributes))
}

/// The attributes in `AttributeList`, as a selection of CSP.
pub(super) fn selection_in(tree: &Tree, of: NodeId) -> Option<Elem> {
    let list = tree.child(tree.child(of, "AttributeList")?, "PresenceSubList")?;
    let attributes = tree.elements(list).map(|a| copied(tree, a)).collect();
    Some(presence_list(Version::V12, attributes))
}

/// What a message carries.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub media_type: String,
    pub octets: Vec<u8>,
}

impl Content {
    /// The content of a CSP element that has ContentType, ContentEncoding and, there or elsewhere, ContentData.
    pub fn of_csp(media_type: Option<String>, encoding: Option<&str>, data: &str) -> Self {
        let encoded = encoding.is_some_and(|e| e.trim().eq_ignore_ascii_case("BASE64"));
        let plain = || data.as_bytes().to_vec();
        let octets = match encoded {
            true => STANDARD.decode(compact(data)).unwrap_or_else(|_| plain()),
            false => plain(),
        };
        Self {
            media_type: media_type.unwrap_or_else(|| "text/plain".to_owned()),
            octets,
        }
    }

    /// The content in `ContentData` of SSP; none when its Base64 cannot be read.
    pub fn of_ssp(tree: &Tree, data: NodeId) -> Option<Self> {
        let written = tree.text(data);
        let octets = match attribute(tree, data, "encoding").as_deref() {
            Some("base64") => STANDARD.decode(compact(&written)).ok()?,
            _ => written.into_bytes(),
        };
        Some(Self {
            media_type: attribute(tree, data, "contentType").unwrap_or_else(|| "text/plain".to_owned()),
            octets,
        })
    }

    /// `ContentData` of SSP.
    pub fn element(&self) -> Elem {
        text("ContentData", STANDARD.encode(&self.octets))
            .with(attr("contentType", self.media_type.clone()))
            .with(attr("encoding", "base64"))
    }

    /// ContentEncoding and ContentData of CSP: text stays text where XML can carry it.
    pub fn csp(&self) -> (Option<&'static str>, String) {
        let is_text = self.media_type.to_ascii_lowercase().starts_with("text/");
        let readable = std::str::from_utf8(&self.octets).ok().filter(|t| {
            let carried =
                |c: char| matches!(c, '\t' | '\n' | '\u{20}'..) && !matches!(c, '\u{fffe}' | '\u{ffff}');
            is_text && t.chars().all(carried)
        });
        match readable {
            Some(words) => (None, words.to_owned()),
            None => (Some("BASE64"), STANDARD.encode(&self.octets)),
        }
    }
}

fn compact(data: &str) -> String {
    data.chars().filter(|c| !c.is_whitespace()).collect()
}

/// `WelcomeNote` of CSP, or one in a message, as one of SSP.
pub(super) fn welcome_out(tree: &Tree, note: NodeId) -> Elem {
    let read = |name: &str| tree.child_text(note, name);
    let data = tree
        .child(note, "ContentData")
        .map(|d| tree.text(d))
        .unwrap_or_default();
    let content = Content::of_csp(read("ContentType"), read("ContentEncoding").as_deref(), &data);
    Elem::new("WelcomeNote").with(content.element())
}

/// `WelcomeNote` of SSP as one of CSP.
pub(super) fn welcome_in(tree: &Tree, note: NodeId) -> Option<Elem> {
    let content = Content::of_ssp(tree, tree.child(note, "ContentData")?)?;
    let (encoding, data) = content.csp();
    Some(
        Elem::new("WelcomeNote")
            .with(text("ContentType", content.media_type.clone()))
            .with_some(encoding.map(|e| text("ContentEncoding", e)))
            .with(text("ContentData", data)),
    )
}

/// `GroupProperties` or `OwnProperties` with the note converted by the function given.
pub(super) fn properties(tree: &Tree, of: NodeId, note: impl Fn(NodeId) -> Option<Elem>) -> Elem {
    let children = tree.elements(of).filter_map(|e| match tree.get(e).name.as_str() {
        "WelcomeNote" => note(e),
        _ => Some(copied(tree, e)),
    });
    Elem::new(&tree.get(of).name).with_all(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_two_forms() {
        assert_eq!(long_date("20261101T120005Z"), "2026-11-01T12:00:05Z");
        assert_eq!(short_date("2026-11-01T12:00:05Z"), "20261101T120005Z");
        assert_eq!(long_date("yesterday"), "yesterday");
    }

    #[test]
    fn content_crosses_unchanged() {
        let words = Content::of_csp(None, None, "<grüße>");
        assert_eq!(words.octets.len(), 9);
        assert_eq!(words.element().content(), "PGdyw7zDn2U+");
        let tree = words.element().into_tree();
        let back = Content::of_ssp(&tree, tree.root()).unwrap();
        assert_eq!(back.csp(), (None, "<grüße>".to_owned()));
        let picture = Content::of_csp(Some("image/png".to_owned()), Some("BASE64"), "iVBO\nRw==");
        assert_eq!(picture.octets, [0x89, b'P', b'N', b'G']);
        assert_eq!(picture.csp(), (Some("BASE64"), "iVBORw==".to_owned()));
    }

    #[test]
    fn results_have_two_forms() {
        let outcome = Outcome {
            code: 201,
            rows: vec![(531, Target::User("wv:x@b.example".to_owned()))],
            description: None,
        };
        let status = outcome.status().into_tree();
        assert_eq!(Outcome::of_answer(&status, status.root()), outcome);
        let csp = Elem::new("Status").with(outcome.result(Version::V12)).into_tree();
        assert_eq!(Outcome::of_csp(&csp), outcome);
    }
}
