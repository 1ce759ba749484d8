//! One type for every way in which an outgoing message may differ from the correct one. Cases,
//! faults and fuzzing share it.

use serde::Deserialize;

use super::xml::{self, WriteOptions};
use crate::message::{Child, Elem, NodeId, Path, SSP_ROOT, Tree, attr, text};
use crate::spec::{Group, Version};

/// One change of an outgoing HTTP message. Exactly one field is set; which one is checked when it is
/// loaded (see [`Edit::try_from`]).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawEdit {
    drop: Option<Path>,
    double: Option<Path>,
    swap: Option<Path>,
    set: Option<Path>,
    to: Option<String>,
    rename: Option<Path>,
    namespace: Option<Path>,
    add: Option<String>,
    into: Option<Path>,
    text: Option<String>,
    first: Option<bool>,
    attribute: Option<Path>,
    name: Option<String>,
    replace: Option<String>,
    with: Option<String>,
    truncate: Option<usize>,
    bytes: Option<String>,
    prepend: Option<String>,
    charset: Option<String>,
    media_type: Option<String>,
    http_status: Option<u16>,
    method: Option<String>,
    silent: Option<bool>,
    close: Option<bool>,
    twice: Option<bool>,
    empty: Option<bool>,
    poll: Option<bool>,
    status: Option<u16>,
    poll_min: Option<u32>,
    grant_nothing: Option<bool>,
    chunked: Option<bool>,
    expect_continue: Option<bool>,
    bare: Option<bool>,
}

/// One change of an outgoing HTTP message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawEdit")]
pub enum Edit {
    /// Takes the elements out.
    Drop(Path),
    /// Puts a copy behind each.
    Double(Path),
    /// Exchanges each with the sibling element behind it.
    Swap(Path),
    /// Replaces the content by text; `$name` stands for a kept value.
    Set(Path, String),
    /// Gives the element another name.
    Rename(Path, String),
    /// Gives the element and what is below it in the same namespace another one.
    Namespace(Path, String),
    /// Adds an element with text into each, as the last child or the first.
    Add {
        /// Its name.
        name: String,
        /// Where.
        into: Path,
        /// Its text.
        text: String,
        /// First child, not last.
        first: bool,
    },
    /// Adds an attribute.
    Attribute(Path, String, String),
    /// Sets Poll where the version has it.
    Poll(bool),
    /// Puts Status with this code in the place of every primitive.
    Status(u16),
    /// Agrees on so many seconds between polls, where the version has ServerPollMin.
    PollMin(u32),
    /// Refuses every function that was wanted (Service-Response).
    GrantNothing,
    /// After encoding: replaces this text by that, everywhere.
    Replace(String, String),
    /// After encoding: keeps only so many octets.
    Truncate(usize),
    /// After encoding: the whole body is this text.
    Bytes(String),
    /// After encoding: puts this text before the body.
    Prepend(String),
    /// After encoding: recodes the body (`utf-16`, `iso-8859-1`) with the declaration to match.
    Charset(String),
    /// Another Content-Type; the empty text leaves the field out.
    MediaType(String),
    /// Another HTTP status (responses).
    HttpStatus(u16),
    /// Another method (requests).
    Method(String),
    /// An empty body.
    Empty,
    /// Never sent; the connection stays open.
    Silent,
    /// Never sent; the connection is closed.
    Close,
    /// Every transaction stands twice in the message.
    Twice,
    /// The body comes in chunks, without its length (requests).
    Chunked,
    /// The head asks for `100 Continue` before the body (requests).
    ExpectContinue,
    /// The head repeats no identifiers of the body (SSP).
    Bare,
}

const ONE_KIND: &str = "an edit needs exactly one of drop, double, swap, set, rename, namespace, add, attribute, \
     poll, poll-min, grant-nothing, status, replace, truncate, bytes, prepend, charset, media-type, http-status, method, silent, close, twice, \
     empty, chunked, expect-continue, bare";

impl RawEdit {
    /// How many kinds of edit are given; the other fields only go with one of them.
    fn kinds(&self) -> usize {
        let flag = |f: Option<bool>| f == Some(true);
        [
            self.drop.is_some(),
            self.double.is_some(),
            self.swap.is_some(),
            self.set.is_some(),
            self.rename.is_some(),
            self.namespace.is_some(),
            self.add.is_some(),
            self.attribute.is_some(),
            self.poll.is_some(),
            self.status.is_some(),
            self.poll_min.is_some(),
            self.grant_nothing.is_some(),
            self.replace.is_some(),
            self.truncate.is_some(),
            self.bytes.is_some(),
            self.prepend.is_some(),
            self.charset.is_some(),
            self.media_type.is_some(),
            self.http_status.is_some(),
            self.method.is_some(),
            flag(self.silent),
            flag(self.close),
            flag(self.twice),
            flag(self.empty),
            flag(self.chunked),
            flag(self.expect_continue),
            flag(self.bare),
        ]
        .into_iter()
        .filter(|k| *k)
        .count()
    }
}

impl TryFrom<RawEdit> for Edit {
    type Error = String;

    fn try_from(raw: RawEdit) -> Result<Self, String> {
        if raw.kinds() != 1 {
            return Err(ONE_KIND.to_owned());
        }
        let need =
            |what: Option<String>, field: &str| what.ok_or_else(|| format!("this edit needs `{field}`"));
        let edit = match raw.clone() {
            RawEdit { drop: Some(p), .. } => Edit::Drop(p),
            RawEdit { double: Some(p), .. } => Edit::Double(p),
            RawEdit { swap: Some(p), .. } => Edit::Swap(p),
            RawEdit { set: Some(p), to, .. } => Edit::Set(p, need(to, "to")?),
            RawEdit {
                rename: Some(p), to, ..
            } => Edit::Rename(p, need(to, "to")?),
            RawEdit {
                namespace: Some(p),
                to,
                ..
            } => Edit::Namespace(p, need(to, "to")?),
            RawEdit {
                add: Some(name),
                into: Some(into),
                text,
                first,
                ..
            } => Edit::Add {
                name,
                into,
                text: text.unwrap_or_default(),
                first: first.unwrap_or(false),
            },
            RawEdit { add: Some(_), .. } => return Err("`add` needs `into`".to_owned()),
            RawEdit {
                attribute: Some(p),
                name,
                to,
                ..
            } => Edit::Attribute(p, need(name, "name")?, need(to, "to")?),
            RawEdit { poll: Some(on), .. } => Edit::Poll(on),
            RawEdit {
                status: Some(code), ..
            } => Edit::Status(code),
            RawEdit {
                poll_min: Some(seconds),
                ..
            } => Edit::PollMin(seconds),
            RawEdit {
                grant_nothing: Some(true),
                ..
            } => Edit::GrantNothing,
            RawEdit {
                replace: Some(from),
                with,
                ..
            } => Edit::Replace(from, need(with, "with")?),
            RawEdit {
                truncate: Some(n), ..
            } => Edit::Truncate(n),
            RawEdit { bytes: Some(b), .. } => Edit::Bytes(b),
            RawEdit { prepend: Some(b), .. } => Edit::Prepend(b),
            RawEdit { charset: Some(c), .. } => {
                if !["utf-16", "iso-8859-1"].contains(&c.as_str()) {
                    return Err(format!("charset `{c}` is not one of utf-16, iso-8859-1"));
                }
                Edit::Charset(c)
            }
            RawEdit {
                media_type: Some(t), ..
            } => {
                if !t.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic()) {
                    return Err("a media type holds no line break and nothing beyond ASCII".to_owned());
                }
                Edit::MediaType(t)
            }
            RawEdit {
                http_status: Some(s), ..
            } => {
                if !(200..=599).contains(&s) {
                    return Err(format!("HTTP status {s} is not between 200 and 599"));
                }
                Edit::HttpStatus(s)
            }
            RawEdit { method: Some(m), .. } => {
                if m.is_empty()
                    || !m
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
                {
                    return Err(format!("`{m}` is no HTTP method: letters, digits and hyphens"));
                }
                Edit::Method(m)
            }
            RawEdit {
                silent: Some(true), ..
            } => Edit::Silent,
            RawEdit {
                close: Some(true), ..
            } => Edit::Close,
            RawEdit {
                twice: Some(true), ..
            } => Edit::Twice,
            RawEdit {
                empty: Some(true), ..
            } => Edit::Empty,
            RawEdit {
                chunked: Some(true), ..
            } => Edit::Chunked,
            RawEdit {
                expect_continue: Some(true),
                ..
            } => Edit::ExpectContinue,
            RawEdit { bare: Some(true), .. } => Edit::Bare,
            _ => return Err(ONE_KIND.to_owned()),
        };
        Ok(edit)
    }
}

impl std::fmt::Display for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Edit::Drop(path) => write!(f, "{path} is left out"),
            Edit::Double(path) => write!(f, "{path} stands twice"),
            Edit::Swap(path) => write!(f, "{path} changes places with the element behind it"),
            Edit::Set(path, value) => write!(f, "{path} is `{value}`"),
            Edit::Rename(path, name) => write!(f, "{path} is called {name}"),
            Edit::Namespace(path, namespace) => write!(f, "{path} is in the namespace {namespace}"),
            Edit::Add {
                name,
                into,
                text,
                first,
            } => write!(
                f,
                "{name} with `{text}` is added to {into} as its {} child",
                if *first { "first" } else { "last" }
            ),
            Edit::Attribute(path, name, value) => write!(f, "{path} has the attribute {name}=`{value}`"),
            Edit::PollMin(seconds) => write!(f, "ServerPollMin is {seconds}"),
            Edit::GrantNothing => f.write_str("nothing is granted"),
            Edit::Status(code) => write!(f, "Status {code} stands in the place of the primitive"),
            Edit::Poll(on) => write!(f, "Poll is {}", if *on { "T" } else { "F" }),
            Edit::Replace(from, with) => write!(f, "`{from}` is replaced by `{with}` in the octets"),
            Edit::Truncate(n) => write!(f, "only the first {n} octets are sent"),
            Edit::Bytes(text) => write!(f, "the body is `{text}`"),
            Edit::Prepend(text) => write!(f, "`{text}` stands before the body"),
            Edit::Charset(name) => write!(f, "encoded in {name}"),
            Edit::MediaType(text) if text.is_empty() => f.write_str("no Content-Type"),
            Edit::MediaType(text) => write!(f, "the Content-Type is {text}"),
            Edit::HttpStatus(status) => write!(f, "the HTTP status is {status}"),
            Edit::Method(method) => write!(f, "the HTTP method is {method}"),
            Edit::Empty => f.write_str("an empty body"),
            Edit::Silent => f.write_str("never sent, the connection stays open"),
            Edit::Close => f.write_str("never sent, the connection is closed"),
            Edit::Twice => f.write_str("every transaction stands twice"),
            Edit::Chunked => f.write_str("the body comes in chunks"),
            Edit::ExpectContinue => f.write_str("the head asks for 100 Continue before the body"),
            Edit::Bare => f.write_str("no x-wv- header fields"),
        }
    }
}

/// An outgoing HTTP message while it is being changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Version, for edits that depend on it.
    pub version: Version,
    /// HTTP status of a response.
    pub status: u16,
    /// Method of a request.
    pub method: String,
    /// Content-Type; empty leaves the field out.
    pub media_type: String,
    /// The message before encoding.
    pub tree: Option<Tree>,
    /// Whether it is sent at all.
    pub sending: Sending,
}

/// Whether and how a draft leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sending {
    /// As it is.
    #[default]
    Normal,
    /// Never; the connection stays open.
    Silent,
    /// Never; the connection is closed.
    Close,
}

/// The draft as octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// HTTP status of a response.
    pub status: u16,
    /// Method of a request.
    pub method: String,
    /// Content-Type; empty leaves the field out.
    pub media_type: String,
    /// Body.
    pub body: Vec<u8>,
    /// Whether it is sent at all.
    pub sending: Sending,
    /// Whether the body comes in chunks (requests).
    pub chunked: bool,
    /// Whether the head asks for `100 Continue` before the body (requests).
    pub expect_continue: bool,
}

impl Draft {
    /// Applies edits and encodes. An edit that finds nothing to change is an error: a case or fault
    /// that silently does nothing would prove nothing.
    ///
    /// # Errors
    /// The edit that found nothing.
    pub fn encode(
        mut self,
        edits: &[Edit],
        kept: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Encoded, String> {
        for edit in edits {
            self.apply_before(edit, kept)?;
        }
        let body = match &self.tree {
            Some(tree) => xml::write(tree, &WriteOptions::default()),
            None => Vec::new(),
        };
        let mut encoded = Encoded {
            status: self.status,
            method: self.method,
            media_type: self.media_type,
            body,
            sending: self.sending,
            chunked: false,
            expect_continue: false,
        };
        for edit in edits {
            encoded.apply_after(edit)?;
        }
        Ok(encoded)
    }

    fn apply_before(&mut self, edit: &Edit, kept: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let version = self.version;
        match edit {
            Edit::MediaType(t) => self.media_type.clone_from(t),
            Edit::HttpStatus(s) => self.status = *s,
            Edit::Method(m) => self.method.clone_from(m),
            Edit::Silent => self.sending = Sending::Silent,
            Edit::Close => self.sending = Sending::Close,
            Edit::Empty => {
                self.tree = None;
                self.media_type.clear();
            }
            Edit::Replace(..)
            | Edit::Truncate(_)
            | Edit::Bytes(_)
            | Edit::Prepend(_)
            | Edit::Charset(_)
            | Edit::Chunked
            | Edit::Bare
            | Edit::ExpectContinue => {}
            Edit::Drop(_)
            | Edit::Double(_)
            | Edit::Swap(_)
            | Edit::Set(..)
            | Edit::Rename(..)
            | Edit::Namespace(..)
            | Edit::Add { .. }
            | Edit::Attribute(..)
            | Edit::Poll(_)
            | Edit::Status(_)
            | Edit::PollMin(_)
            | Edit::GrantNothing
            | Edit::Twice => {
                let tree = self.tree.as_mut().ok_or("there is no message to edit")?;
                let before = tree.clone();
                edit_tree(tree, version, edit, kept)?;
                // Setting a value that happens to be there is no mistake of the case.
                if *tree == before && !matches!(edit, Edit::Set(..) | Edit::PollMin(_) | Edit::GrantNothing) {
                    return Err(format!("an edit changes nothing: {edit:?}"));
                }
            }
        }
        Ok(())
    }
}

fn edit_tree(
    tree: &mut Tree,
    version: Version,
    edit: &Edit,
    kept: &dyn Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let find = |tree: &Tree, path: &Path| -> Result<Vec<NodeId>, String> {
        let found = path.select(tree);
        if found.is_empty() {
            return Err(format!("no element at `{path}` to edit"));
        }
        Ok(found)
    };
    match edit {
        Edit::Drop(path) => {
            for id in find(tree, path)? {
                tree.detach(id);
            }
        }
        Edit::Double(path) => {
            for id in find(tree, path)? {
                let copy = tree.copy(id);
                if let (Some(parent), Some(at)) = (tree.get(id).parent, tree.index_in_parent(id)) {
                    tree.attach(parent, copy, at + 1);
                }
            }
        }
        Edit::Swap(path) => {
            for id in find(tree, path)? {
                swap_with_next(tree, id)
                    .ok_or_else(|| format!("nothing stands behind `{path}` to swap with"))?;
            }
        }
        Edit::Set(path, value) => {
            let value = resolve(value, kept)?;
            for id in find(tree, path)? {
                tree.set_text(id, &value);
            }
        }
        Edit::Rename(path, name) => {
            for id in find(tree, path)? {
                tree.get_mut(id).name.clone_from(name);
            }
        }
        Edit::Namespace(path, namespace) => {
            for id in find(tree, path)? {
                let old = tree.get(id).namespace.clone();
                for below in tree.walk(id) {
                    if tree.get(below).namespace == old {
                        tree.get_mut(below).namespace.clone_from(namespace);
                    }
                }
            }
        }
        Edit::Add {
            name,
            into,
            text,
            first,
        } => {
            let value = resolve(text, kept)?;
            for id in find(tree, into)? {
                let namespace = tree.get(id).namespace.clone();
                let new = tree.detached(name.clone(), namespace);
                tree.set_text(new, &value);
                tree.attach(id, new, if *first { 0 } else { usize::MAX });
            }
        }
        Edit::Attribute(path, name, value) => {
            for id in find(tree, path)? {
                tree.get_mut(id).attributes.push(crate::message::Attribute {
                    namespace: String::new(),
                    name: name.clone(),
                    value: value.clone(),
                });
            }
        }
        Edit::Poll(on) => set_poll(tree, version, *on),
        Edit::PollMin(seconds) => set_poll_min(tree, *seconds)?,
        Edit::GrantNothing => grant_nothing(tree)?,
        Edit::Status(code) if tree.get(tree.root()).name == SSP_ROOT => {
            let contents = tree.walk(tree.root());
            let transactions = contents
                .into_iter()
                .filter(|id| tree.get(*id).name == "Transaction");
            for transaction in transactions.collect::<Vec<_>>() {
                for child in tree.content_elements(transaction).collect::<Vec<_>>() {
                    tree.detach(child);
                }
                let status = Elem::new("Status").with(attr("code", code.to_string()));
                status.append_to(tree, transaction);
            }
        }
        Edit::Status(code) => {
            let contents = tree.walk(tree.root());
            let contents = contents
                .into_iter()
                .filter(|id| tree.get(*id).name == "TransactionContent")
                .collect::<Vec<_>>();
            for content in contents {
                tree.get_mut(content).children.clear();
                let result = Elem::new("Result").with(text("Code", code.to_string()));
                Elem::new("Status").with(result).append_to(tree, content);
            }
        }
        Edit::Twice => {
            let session = tree
                .child(tree.root(), "Session")
                .ok_or("there is no Session to double in")?;
            let all: Vec<NodeId> = tree
                .elements(session)
                .filter(|e| tree.get(*e).name == "Transaction")
                .collect();
            for id in all {
                let copy = tree.copy(id);
                let at = tree.index_in_parent(id).unwrap_or(usize::MAX - 1);
                tree.attach(session, copy, at + 1);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Sets the Poll flag that is there, or puts one where the version has it.
/// `Functions` of an answer to service negotiation with an empty tree: nothing is granted (SN-2).
fn grant_nothing(tree: &mut Tree) -> Result<(), String> {
    let response = Path::parse("Service-Response")
        .ok()
        .and_then(|p| p.first(tree))
        .ok_or("there is no Service-Response whose functions could be refused")?;
    if let Some(old) = tree.child(response, "Functions") {
        tree.detach(old);
    }
    let namespace = tree.get(response).namespace.clone();
    let place = usize::from(tree.child(response, "ClientID").is_some());
    let functions = tree.detached("Functions", namespace.clone());
    tree.attach(response, functions, place);
    tree.push(functions, "WVCSPFeat", namespace);
    Ok(())
}

/// ServerPollMin of what was agreed: changed, or put where the models have it.
fn set_poll_min(tree: &mut Tree, seconds: u32) -> Result<(), String> {
    let list = tree
        .walk(tree.root())
        .into_iter()
        .find(|e| {
            matches!(
                tree.get(*e).name.as_str(),
                "AgreedCapabilityList" | "CapabilityList"
            )
        })
        .ok_or("there is no list of capabilities to change")?;
    let id = match tree.child(list, "ServerPollMin") {
        Some(id) => id,
        None => {
            // What stands behind it in 1.1, and in 1.2.
            let behind = tree
                .child(list, "DefaultLanguage")
                .or_else(|| tree.child(list, "CIRURL"));
            let at = behind.and_then(|b| tree.index_in_parent(b)).unwrap_or(usize::MAX);
            let namespace = tree.get(list).namespace.clone();
            let id = tree.detached("ServerPollMin", namespace);
            tree.attach(list, id, at);
            id
        }
    };
    tree.set_text(id, &seconds.to_string());
    Ok(())
}

fn set_poll(tree: &mut Tree, version: Version, on: bool) {
    let word = if on { "T" } else { "F" };
    let present: Vec<NodeId> = tree
        .walk(tree.root())
        .into_iter()
        .filter(|n| tree.get(*n).name == "Poll")
        .collect();
    if !present.is_empty() {
        for id in present {
            tree.set_text(id, word);
        }
        return;
    }
    let parents: Vec<NodeId> = tree
        .walk(tree.root())
        .into_iter()
        .filter(|n| {
            tree.get(*n).name
                == match version {
                    Version::V11 => "TransactionDescriptor",
                    Version::V12 => "Session",
                }
        })
        .collect();
    for parent in parents {
        let id = tree.push(parent, "Poll", version.namespace(Group::Csp));
        tree.set_text(id, word);
    }
}

fn swap_with_next(tree: &mut Tree, id: NodeId) -> Option<()> {
    let parent = tree.get(id).parent?;
    let at = tree.index_in_parent(id)?;
    let next = (at + 1..tree.get(parent).children.len())
        .find(|i| matches!(tree.get(parent).children[*i], Child::Element(_)))?;
    tree.get_mut(parent).children.swap(at, next);
    Some(())
}

fn resolve(value: &str, kept: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    match value.strip_prefix('$') {
        None => Ok(value.to_owned()),
        Some(name) => kept(name).ok_or_else(|| format!("nothing was kept as ${name}")),
    }
}

impl Encoded {
    fn apply_after(&mut self, edit: &Edit) -> Result<(), String> {
        match edit {
            Edit::Replace(from, with) => {
                let text = String::from_utf8_lossy(&self.body).into_owned();
                if !text.contains(from.as_str()) {
                    return Err(format!("`{from}` does not occur in the encoded message"));
                }
                self.body = text.replace(from.as_str(), with).into_bytes();
            }
            Edit::Truncate(n) => self.body.truncate(*n),
            Edit::Bytes(text) => self.body = text.clone().into_bytes(),
            Edit::Prepend(text) => {
                let mut body = text.clone().into_bytes();
                body.append(&mut self.body);
                self.body = body;
            }
            Edit::Charset(name) => {
                let text =
                    String::from_utf8_lossy(&self.body).replacen("UTF-8", &name.to_ascii_uppercase(), 1);
                self.body = match name.as_str() {
                    "utf-16" => std::iter::once(0xFEFF)
                        .chain(text.encode_utf16())
                        .flat_map(u16::to_be_bytes)
                        .collect(),
                    _ => text
                        .chars()
                        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                        .collect(),
                };
            }
            Edit::Chunked => self.chunked = true,
            Edit::ExpectContinue => self.expect_continue = true,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Elem, text};

    fn draft() -> Draft {
        Draft {
            version: Version::V12,
            status: 200,
            method: "POST".to_owned(),
            media_type: "t".to_owned(),
            tree: Some(
                Elem::new("A")
                    .in_namespace("n")
                    .with(text("B", "1"))
                    .with(text("C", "2"))
                    .into_tree(),
            ),
            sending: Sending::Normal,
        }
    }

    fn body(edits: &str) -> Result<String, String> {
        let edits: Vec<Edit> = serde_yaml::from_str(edits).map_err(|e| e.to_string())?;
        let encoded = draft().encode(&edits, &|_| None)?;
        let text = String::from_utf8(encoded.body).expect("UTF-8");
        Ok(text
            .split_once("?>")
            .map_or(text.clone(), |(_, b)| b.trim().to_owned()))
    }

    #[test]
    fn edits_change_what_they_name() {
        assert_eq!(body("[{drop: B}]").unwrap(), r#"<A xmlns="n"><C>2</C></A>"#);
        assert_eq!(
            body("[{double: B}]").unwrap(),
            r#"<A xmlns="n"><B>1</B><B>1</B><C>2</C></A>"#
        );
        assert_eq!(
            body("[{swap: B}]").unwrap(),
            r#"<A xmlns="n"><C>2</C><B>1</B></A>"#
        );
        assert_eq!(
            body("[{set: B, to: x}]").unwrap(),
            r#"<A xmlns="n"><B>x</B><C>2</C></A>"#
        );
        assert_eq!(
            body("[{replace: '</B>', with: ''}]").unwrap(),
            r#"<A xmlns="n"><B>1<C>2</C></A>"#
        );
    }

    #[test]
    fn edits_of_the_carrier_leave_the_body_alone() {
        let edits: Vec<Edit> = serde_yaml::from_str("[{chunked: true}, {expect-continue: true}]").unwrap();
        assert_eq!(edits, [Edit::Chunked, Edit::ExpectContinue]);
        let plain = draft().encode(&[], &|_| None).unwrap();
        let encoded = draft().encode(&edits, &|_| None).unwrap();
        assert!(encoded.chunked && encoded.expect_continue);
        assert!(!plain.chunked && !plain.expect_continue);
        assert_eq!(encoded.body, plain.body);
    }

    #[test]
    fn an_edit_that_changes_nothing_is_an_error() {
        assert!(body("[{drop: X}]").unwrap_err().contains("no element"));
        assert!(body("[{swap: C}]").unwrap_err().contains("nothing stands behind"));
        assert!(body("[{set: B, to: $x}]").unwrap_err().contains("$x"));
        assert!(body("[{}]").unwrap_err().contains("exactly one"));
        assert!(body("[{set: B}]").unwrap_err().contains("needs `to`"));
    }
}
