//! The streaming pass that comes before the parser: it counts what the parser would have to hold and
//! refuses what is beyond the limits. It is no judge of well-formedness. Up to the first error that
//! the parser finds, both see the same markup; what stands behind an error never reaches the parser.

use super::place::Places;
use super::{Problem, ProblemKind};
use crate::base::limits::{
    MAX_ATTRIBUTES, MAX_DEPTH, MAX_INTERNAL_SUBSET, MAX_NAMESPACE_DECLARATIONS, MAX_NAMESPACES_IN_SCOPE,
    MAX_NODES,
};
use crate::message::Doctype;

/// What the pass learned besides the limits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Offsets of start tags that declare a default namespace, ascending.
    pub default_namespaces: Vec<usize>,
    /// The document type declaration and where it stands.
    pub doctype: Option<(Doctype, std::ops::Range<usize>)>,
}

/// Walks the text once.
///
/// # Errors
/// The limit that was passed, with the place.
pub(super) fn survey(text: &str) -> Result<Survey, Problem> {
    let mut pass = Pass {
        text,
        survey: Survey::default(),
        open: Vec::new(),
        in_scope: Vec::new(),
        elements: 0,
        declarations: 0,
    };
    pass.run().map_err(|(offset, problem)| Problem {
        kind: ProblemKind::Limit,
        fatal: true,
        position: Places::of(text).at(offset),
        text: problem,
    })?;
    Ok(pass.survey)
}

type Refusal = (usize, String);

struct Pass<'t> {
    text: &'t str,
    survey: Survey,
    /// For each open element how many entries of `in_scope` it used.
    open: Vec<Vec<usize>>,
    /// Distinct declarations (prefix, name) with the number of open elements that make them.
    in_scope: Vec<(&'t str, &'t str, usize)>,
    elements: usize,
    declarations: usize,
}

/// A start tag taken apart as far as the limits need it.
struct Tag<'t> {
    end: usize,
    empty: bool,
    attributes: usize,
    declarations: Vec<(&'t str, &'t str)>,
}

impl<'t> Pass<'t> {
    fn run(&mut self) -> Result<(), Refusal> {
        let text = self.text;
        let mut at = 0;
        while let Some(found) = text[at..].find('<') {
            let here = at + found;
            let rest = &text[here..];
            at = if rest.starts_with("<!--") {
                match skip_past(text, here + 4, "-->") {
                    Some(end) => end,
                    None => break,
                }
            } else if rest.starts_with("<![CDATA[") {
                match skip_past(text, here + 9, "]]>") {
                    Some(end) => end,
                    None => break,
                }
            } else if rest.starts_with("<?") {
                match skip_past(text, here + 2, "?>") {
                    Some(end) => end,
                    None => break,
                }
            } else if rest.starts_with("<!DOCTYPE") {
                self.doctype(here)?
            } else if rest.starts_with("</") {
                self.close();
                here + 2
            } else if rest.starts_with("<!") {
                if rest.starts_with("<!ENTITY") {
                    return Err((
                        here,
                        "an entity declaration: entities are not resolved".to_owned(),
                    ));
                }
                here + 2
            } else {
                match self.start_tag(here)? {
                    Some(end) => end,
                    None => break,
                }
            };
        }
        Ok(())
    }

    fn close(&mut self) {
        for index in self.open.pop().unwrap_or_default() {
            self.in_scope[index].2 -= 1;
        }
        while self.in_scope.last().is_some_and(|(_, _, uses)| *uses == 0) {
            self.in_scope.pop();
        }
    }

    /// Counts a start tag; `None` when it has no end.
    fn start_tag(&mut self, here: usize) -> Result<Option<usize>, Refusal> {
        let Some(tag) = self.take_apart(here)? else {
            return Ok(None);
        };
        self.elements += 1;
        if self.elements > MAX_NODES {
            return Err((here, format!("more elements than the limit of {MAX_NODES}")));
        }
        if tag.attributes > MAX_ATTRIBUTES {
            return Err((
                here,
                format!(
                    "{} attributes on one element, the limit is {MAX_ATTRIBUTES}",
                    tag.attributes
                ),
            ));
        }
        let mut used = Vec::new();
        for (prefix, name) in tag.declarations {
            if prefix.is_empty() && self.survey.default_namespaces.last() != Some(&here) {
                self.survey.default_namespaces.push(here);
            }
            self.declarations += 1;
            if self.declarations > MAX_NAMESPACE_DECLARATIONS {
                return Err((
                    here,
                    format!("more namespace declarations than the limit of {MAX_NAMESPACE_DECLARATIONS}"),
                ));
            }
            // At most MAX_NAMESPACES_IN_SCOPE entries, so that searching stays cheap.
            let index = match self
                .in_scope
                .iter()
                .position(|(p, n, _)| *p == prefix && *n == name)
            {
                Some(index) => index,
                None => {
                    self.in_scope.push((prefix, name, 0));
                    self.in_scope.len() - 1
                }
            };
            self.in_scope[index].2 += 1;
            used.push(index);
            if self.in_scope.iter().filter(|(_, _, uses)| *uses > 0).count() > MAX_NAMESPACES_IN_SCOPE {
                return Err((
                    here,
                    format!(
                        "more than {MAX_NAMESPACES_IN_SCOPE} distinct namespaces declared around one place"
                    ),
                ));
            }
        }
        self.open.push(used);
        if self.open.len() > MAX_DEPTH {
            return Err((
                here,
                format!("elements nested deeper than the limit of {MAX_DEPTH}"),
            ));
        }
        if tag.empty {
            self.close();
        }
        Ok(Some(tag.end))
    }

    fn take_apart(&self, here: usize) -> Result<Option<Tag<'t>>, Refusal> {
        let text = self.text;
        let octets = text.as_bytes();
        let mut tag = Tag {
            end: 0,
            empty: false,
            attributes: 0,
            declarations: Vec::new(),
        };
        let mut name_from = here + 1;
        let mut name = "";
        let mut at = here + 1;
        while let Some(&octet) = octets.get(at) {
            match octet {
                b'>' => {
                    tag.empty = octets[at - 1] == b'/';
                    tag.end = at + 1;
                    return Ok(Some(tag));
                }
                b'=' => {
                    // The last word in front: the tag's name or stray text may stand before it.
                    name = text[name_from..at].split_ascii_whitespace().last().unwrap_or("");
                    name_from = at + 1;
                    tag.attributes += 1;
                }
                b'"' | b'\'' => {
                    let Some(length) = octets[at + 1..].iter().position(|o| *o == octet) else {
                        return Ok(None);
                    };
                    let value = &text[at + 1..at + 1 + length];
                    if let Some(prefix) = declared_prefix(name) {
                        // A bound on work: the counting limit is far below.
                        if tag.declarations.len() <= MAX_ATTRIBUTES {
                            tag.declarations.push((prefix, value));
                        }
                    }
                    name = "";
                    at += 1 + length;
                    name_from = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(None)
    }

    /// Notes a document type declaration and returns where it ends.
    fn doctype(&mut self, here: usize) -> Result<usize, Refusal> {
        let text = self.text;
        let octets = text.as_bytes();
        let mut found = Doctype::default();
        let mut literals = Vec::new();
        let mut at = here + "<!DOCTYPE".len();
        let head_at = at;
        let mut head_end = None;
        while let Some(&octet) = octets.get(at) {
            match octet {
                b'"' | b'\'' => {
                    head_end.get_or_insert(at);
                    let Some(length) = octets[at + 1..].iter().position(|o| *o == octet) else {
                        break;
                    };
                    literals.push(text[at + 1..at + 1 + length].to_owned());
                    at += 1 + length;
                }
                b'[' => {
                    head_end.get_or_insert(at);
                    found.internal_subset = true;
                    at = internal_subset(text, at + 1)?;
                    continue;
                }
                b'>' => {
                    head_end.get_or_insert(at);
                    at += 1;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        let mut words = text[head_at..head_end.unwrap_or(at)].split_ascii_whitespace();
        found.name = words.next().unwrap_or_default().to_owned();
        let mut literals = literals.into_iter();
        if words.next() == Some("PUBLIC") {
            found.public = literals.next();
        }
        found.system = literals.next();
        if self.survey.doctype.is_none() {
            self.survey.doctype = Some((found, here..at));
        }
        Ok(at)
    }
}

/// The prefix that an attribute name declares: empty for `xmlns`.
fn declared_prefix(name: &str) -> Option<&str> {
    match name.strip_prefix("xmlns")? {
        "" => Some(""),
        rest => rest.strip_prefix(':'),
    }
}

fn skip_past(text: &str, from: usize, end: &str) -> Option<usize> {
    text.get(from..)?.find(end).map(|at| from + at + end.len())
}

/// Walks an internal subset and returns where its `]` has passed.
fn internal_subset(text: &str, from: usize) -> Result<usize, Refusal> {
    let octets = text.as_bytes();
    let mut at = from;
    while let Some(&octet) = octets.get(at) {
        if at - from > MAX_INTERNAL_SUBSET {
            return Err((
                from,
                format!("an internal subset longer than the limit of {MAX_INTERNAL_SUBSET} octets"),
            ));
        }
        let rest = &octets[at..];
        at = if rest.starts_with(b"<!--") {
            skip_past(text, at + 4, "-->").unwrap_or(octets.len())
        } else if rest.starts_with(b"<?") {
            skip_past(text, at + 2, "?>").unwrap_or(octets.len())
        } else if rest.starts_with(b"<!ENTITY") {
            return Err((at, "an entity declaration: entities are not resolved".to_owned()));
        } else if octet == b']' {
            return Ok(at + 1);
        } else if octet == b'"' || octet == b'\'' {
            match rest[1..].iter().position(|o| *o == octet) {
                Some(length) => at + length + 2,
                None => octets.len(),
            }
        } else {
            at + 1
        };
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        survey(text).unwrap_err().text
    }

    #[test]
    fn limits_are_refused() {
        assert!(refusal(&"<a>".repeat(MAX_DEPTH + 1)).contains("nested deeper"));
        assert!(
            survey(&format!(
                "{}{}",
                "<a>".repeat(MAX_DEPTH),
                "</a>".repeat(MAX_DEPTH)
            ))
            .is_ok()
        );
        assert!(refusal(&format!("<r>{}</r>", "<a/>".repeat(MAX_NODES))).contains("more elements"));
        let many: String = (0..=MAX_ATTRIBUTES).map(|i| format!(" a{i}='1'")).collect();
        assert!(refusal(&format!("<a{many}/>")).contains("attributes on one"));
        let nested: String = (0..=MAX_NAMESPACES_IN_SCOPE)
            .map(|i| format!("<a xmlns:p{i} = 'u'>"))
            .collect();
        assert!(refusal(&nested).contains("distinct namespaces"));
        let beside = format!(
            "<r>{}</r>",
            "<a xmlns='u'/>".repeat(MAX_NAMESPACE_DECLARATIONS + 1)
        );
        assert!(refusal(&beside).contains("more namespace declarations"));
        let siblings: String = (0..1000).map(|i| format!("<a xmlns='u{i}'/>")).collect();
        assert!(survey(&format!("<r>{siblings}</r>")).is_ok());
    }

    #[test]
    fn entities_are_refused_wherever_a_parser_could_see_them() {
        for text in [
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<!DOCTYPE a [<!-- ] --> <!ENTITY % x SYSTEM 'http://h/'>]><a/>",
            "<!DOCTYPE a SYSTEM \"]\" [ <!ELEMENT a ANY> <!ENTITY x SYSTEM 'file:///etc/passwd'> ]><a/>",
        ] {
            assert!(refusal(text).contains("not resolved"), "{text}");
        }
        assert!(survey("<a><![CDATA[<!ENTITY x 'y'>]]><!-- <!ENTITY --></a>").is_ok());
        let long = format!("<!DOCTYPE a [{}]><a/>", " ".repeat(MAX_INTERNAL_SUBSET + 2));
        assert!(refusal(&long).contains("internal subset"));
    }

    #[test]
    fn document_types_and_namespaces_are_noted() {
        let text =
            "<!DOCTYPE A PUBLIC \"-//X//EN\" 'http://x/'><A xmlns='u' b=\"1 > 2\"><B xmlns:p='u'/></A>";
        let found = survey(text).unwrap();
        let (doctype, range) = found.doctype.unwrap();
        assert_eq!(doctype.name, "A");
        assert_eq!(doctype.public.as_deref(), Some("-//X//EN"));
        assert_eq!(doctype.system.as_deref(), Some("http://x/"));
        assert!(text[range.end..].starts_with("<A"));
        assert_eq!(found.default_namespaces, [range.end]);
    }
}
