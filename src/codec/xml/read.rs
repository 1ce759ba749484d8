//! Octets to a message.

use roxmltree::{Document, ParsingOptions};

use super::decode::{Decoded, decode};
use super::guard::{Survey, survey};
use super::place::Places;
use super::repair::{Repaired, repair};
use super::{Problem, ProblemKind, Reading};
use crate::base::escape;
use crate::base::limits::MAX_BODY;
use crate::message::{Attribute, Carrier, Encoding, Message, NodeId, Position, SSP_ROOT, Tree};

/// Reads a message from octets; `content_type_charset` is the `charset` parameter of the HTTP
/// Content-Type, if there is one.
///
/// Never fails and never panics: what is wrong is in [`Reading::problems`]. Time and memory grow
/// with the length of the octets, which is limited to [`MAX_BODY`].
pub fn read(octets: &[u8], content_type_charset: Option<&str>) -> Reading {
    if octets.len() > MAX_BODY {
        let head = decode(
            &octets[..crate::base::limits::MAX_SHOWN_BODY],
            content_type_charset,
        );
        return Reading {
            message: None,
            problems: vec![Problem {
                kind: ProblemKind::Limit,
                fatal: true,
                position: Position { line: 1, column: 1 },
                text: format!("larger than the limit of {MAX_BODY} octets"),
            }],
            text: head.text,
        };
    }
    let mut decoded = decode(octets, content_type_charset);
    let mut problems = std::mem::take(&mut decoded.problems);
    let tree = read_text(&decoded.text, &mut problems);
    let message = tree.map(|(tree, survey)| Message {
        tree,
        carrier: carrier(&decoded, survey),
    });
    Reading {
        message,
        problems,
        text: decoded.text,
    }
}

fn carrier(decoded: &Decoded, survey: Survey) -> Carrier {
    Carrier {
        encoding: Encoding::Xml,
        charset: decoded.charset.to_owned(),
        declared_charset: decoded.declared.clone(),
        byte_order_mark: decoded.byte_order_mark,
        doctype: survey.doctype.map(|(doctype, _)| doctype),
    }
}

/// Strictly, then once tolerantly.
fn read_text(text: &str, problems: &mut Vec<Problem>) -> Option<(Tree, Survey)> {
    let found = match survey(text) {
        Ok(found) => found,
        Err(refused) => {
            problems.push(refused);
            return None;
        }
    };
    match parse(text) {
        Ok(document) => {
            let tree = build(&document, text, &found, &|offset| offset);
            return Some((tree, found));
        }
        Err(problem) => problems.push(problem),
    }
    // The document type declaration goes only when the smaller repairs are not enough.
    for without_doctype in [false, true] {
        let Some(fixed) = repair(text, &found, without_doctype) else {
            continue;
        };
        let Some((tree, mut again)) = read_repaired(text, &fixed) else {
            continue;
        };
        let mut places = Places::of(text);
        problems.extend(fixed.done.iter().map(|(offset, what)| Problem {
            kind: ProblemKind::Repaired,
            fatal: false,
            position: places.at(*offset),
            text: what.clone(),
        }));
        again.doctype = found.doctype;
        return Some((tree, again));
    }
    None
}

/// Reads a repaired text; the limits hold for it as for any other.
fn read_repaired(original: &str, fixed: &Repaired) -> Option<(Tree, Survey)> {
    let found = survey(&fixed.text).ok()?;
    let document = parse(&fixed.text).ok()?;
    let tree = build(&document, original, &found, &|offset| fixed.original(offset));
    Some((tree, found))
}

fn parse(text: &str) -> Result<Document<'_>, Problem> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let place = error.pos();
        let mut words = error.to_string();
        // The place stands in front of every finding already.
        if let Some(at) = words.rfind(&format!(" at {}:{}", place.row, place.col)) {
            words.truncate(at);
        }
        Problem {
            kind: ProblemKind::NotWellFormed,
            fatal: true,
            position: Position {
                line: place.row,
                column: place.col,
            },
            text: format!("not well-formed: {}", escape::shorten(&words, 200)),
        }
    })
}

/// Builds the tree without recursion. `original` maps offsets of the parsed text to offsets of `text`.
fn build(document: &Document<'_>, text: &str, found: &Survey, original: &dyn Fn(usize) -> usize) -> Tree {
    let mut places = Places::of(text);
    let mut tree: Option<Tree> = None;
    let mut open: Vec<(roxmltree::NodeId, NodeId)> = Vec::new();
    for node in document.root().descendants() {
        let parent = node.parent_element().map(|p| p.id());
        if node.is_element() {
            while open.last().is_some_and(|(id, _)| Some(*id) != parent) {
                open.pop();
            }
            let name = node.tag_name();
            let namespace = name.namespace().unwrap_or_default();
            let id = match (&mut tree, open.last()) {
                (Some(tree), Some((_, parent))) => tree.push(*parent, name.name(), namespace),
                _ => tree.insert(Tree::new(name.name(), namespace)).root(),
            };
            let Some(tree) = &mut tree else { continue };
            let element = tree.get_mut(id);
            let start = node.range().start;
            element.position = places.at(original(start));
            element.declares_namespace = found.default_namespaces.binary_search(&start).is_ok();
            element.attributes = node
                .attributes()
                .map(|a| Attribute {
                    namespace: a.namespace().unwrap_or_default().to_owned(),
                    name: a.name().to_owned(),
                    value: a.value().to_owned(),
                })
                .collect();
            open.push((node.id(), id));
        } else if let (true, Some(tree)) = (node.is_text(), &mut tree) {
            while open.last().is_some_and(|(id, _)| Some(*id) != parent) {
                open.pop();
            }
            if let (Some((_, parent)), Some(content)) = (open.last(), node.text()) {
                tree.push_text(*parent, content, places.at(original(node.range().start)));
            }
        }
    }
    // A parsed document has a root element; an empty tree stands in for what cannot happen.
    let mut tree = tree.unwrap_or_else(|| Tree::new("", ""));
    if tree.get(tree.root()).name == SSP_ROOT {
        tree.fold_attributes();
    }
    tree
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn kinds(octets: &[u8]) -> Vec<ProblemKind> {
        let begun = Instant::now();
        let reading = read(octets, None);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        reading.problems.iter().map(|p| p.kind).collect()
    }

    #[test]
    fn a_message_becomes_a_tree() {
        let text = "\u{FEFF}<?xml version='1.0'?>\n<!DOCTYPE A SYSTEM 'x'><A xmlns='u' xmlns:e='v'>\n <B e:c='1'>x<![CDATA[<]]>y<!--n-->z</B></A>";
        let reading = read(text.as_bytes(), None);
        assert!(reading.is_strict());
        let message = reading.message.unwrap();
        assert!(message.carrier.byte_order_mark);
        assert_eq!(message.carrier.doctype.unwrap().name, "A");
        let tree = message.tree;
        assert!(tree.get(tree.root()).declares_namespace);
        assert_eq!(tree.get(tree.root()).position.to_string(), "2:24");
        let b = tree.child(tree.root(), "B").unwrap();
        assert_eq!(tree.text(b), "x<yz");
        assert_eq!(tree.get(b).namespace, "u");
        assert_eq!(tree.get(b).attributes[0].namespace, "v");
        assert!(!tree.get(b).declares_namespace);
        assert_eq!(tree.get(b).position.to_string(), "3:2");
    }

    #[test]
    fn defects_are_repaired_and_told() {
        use ProblemKind::{NotWellFormed, Repaired};
        for (text, repairs) in [
            (" \r\n<?xml version='1.0'?><a/>", 1),
            ("HTTP junk <a/>", 1),
            ("<a/>\0\0", 1),
            ("<a>fish & chips</a> trailing", 2),
            ("<!DOCTYPE a PUBLIC><a>&nbsp;</a>", 2),
        ] {
            let reading = read(text.as_bytes(), None);
            assert!(reading.message.is_some(), "{text}: {:?}", reading.problems);
            assert!(!reading.is_strict());
            let kinds: Vec<_> = reading.problems.iter().map(|p| p.kind).collect();
            assert_eq!(kinds[0], NotWellFormed);
            assert_eq!(kinds[1..], vec![Repaired; repairs], "{text}");
        }
        assert_eq!(kinds(b"<a b=\\c\"/>"), [NotWellFormed]);
        assert_eq!(kinds(b""), [NotWellFormed]);
    }

    #[test]
    fn positions_survive_repairs() {
        let reading = read(b"\n<?xml version='1.0'?><a>&\n  & <b/></a>", None);
        let tree = reading.message.unwrap().tree;
        let b = tree.child(tree.root(), "b").unwrap();
        assert_eq!(tree.get(b).position.to_string(), "3:5");
    }

    #[test]
    fn hostile_documents_end_quickly() {
        use ProblemKind::{Charset, Limit, NotWellFormed};
        assert_eq!(kinds("<a>".repeat(100_000).as_bytes()), [Limit]);
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(kinds(deep.as_bytes()), [Limit]);
        let spaces: String = (0..10_000).map(|i| format!("<a xmlns:n{i}='u{i}'>")).collect();
        assert_eq!(kinds(spaces.as_bytes()), [Limit]);
        let flat: String = (0..10_000).map(|i| format!(" xmlns:n{i}='u{i}'")).collect();
        assert_eq!(kinds(format!("<a{flat}/>").as_bytes()), [Limit]);
        let attributes: String = (0..50_000).map(|i| format!(" a{i}=''")).collect();
        assert_eq!(kinds(format!("<a{attributes}/>").as_bytes()), [Limit]);
        let laughs = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><l>&b;</l>";
        assert_eq!(kinds(laughs.as_bytes()), [Limit]);
        let nul = "<a>\0</a>";
        assert_eq!(kinds(nul.as_bytes()), [NotWellFormed]);
        let surrogate = b"\xFF\xFE<\0a\0>\0\x00\xD8<\0/\0a\0>\0";
        assert_eq!(kinds(surrogate), [Charset]);
        assert_eq!(kinds(&vec![b'<'; MAX_BODY]), [NotWellFormed]);
        assert_eq!(kinds(&vec![b'&'; MAX_BODY]), [NotWellFormed]);
        assert_eq!(kinds(&vec![b'['; MAX_BODY + 1]), [Limit]);
        let pieces = format!("<a>{}</a>", "<![CDATA[x]]>".repeat(MAX_BODY / 14));
        assert!(kinds(pieces.as_bytes()).is_empty());
        let one_line = format!("<a>{}</a>", "<b>ä</b>".repeat(MAX_BODY / 50));
        assert!(kinds(one_line.as_bytes()).is_empty());
        let quotes = format!("<a{}", " b='".repeat(MAX_BODY / 5));
        assert_eq!(kinds(quotes.as_bytes()), [NotWellFormed]);
    }

    proptest! {
        #[test]
        fn any_octets_read(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&octets, None);
        }

        #[test]
        fn any_markup_reads(parts in proptest::collection::vec(prop::sample::select(vec![
            "<a", "<a>", "</a>", "<!DOCTYPE a [", "]>", "<!ENTITY x 'y'>", "<!--", "-->", "<![CDATA[", "]]>",
            "<?xml version='1.0'?>", "<?", "?>", " xmlns='u'", " xmlns:p='v'", " b=\"", "\"", "'", "&", "&amp;",
            "&#0;", "&x;", "/>", ">", "ä", "\u{1F600}", "\0", "\r", "\n", " p:c=''", "<p:a>",
        ]), 0..30)) {
            read(parts.concat().as_bytes(), None);
        }
    }
}
