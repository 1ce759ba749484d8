//! A message as XML text: always the same octets for the same tree.

use quick_xml::Writer;
use quick_xml::events::attributes::Attribute as BytesAttribute;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;

use crate::message::{Child, Doctype, NodeId, Tree};

/// The namespace of `xml:lang` and its like; it is bound to `xml` and to nothing else.
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// How to write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// The document type declaration to write, if any. Its internal subset is never written.
    pub doctype: Option<Doctype>,
    /// One element a line, two blanks a level. Text is left as it is.
    pub indent: bool,
}

/// Writes a tree as UTF-8 with an XML declaration. Reading the octets gives the same content again.
/// White space between elements is left out; characters that XML 1.0 cannot carry become U+FFFD.
pub fn write(tree: &Tree, options: &WriteOptions) -> Vec<u8> {
    let mut out = Output {
        writer: if options.indent {
            Writer::new_with_indent(Vec::new(), b' ', 2)
        } else {
            Writer::new(Vec::new())
        },
    };
    out.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    if let Some(doctype) = &options.doctype {
        out.event(Event::DocType(BytesText::from_escaped(doctype_text(doctype))));
    }
    out.element(tree);
    let mut octets = out.writer.into_inner();
    if options.indent {
        octets.push(b'\n');
    }
    octets
}

struct Output {
    writer: Writer<Vec<u8>>,
}

enum Step<'t> {
    Open(NodeId),
    Text(&'t str),
    Close(String),
}

impl Output {
    fn event(&mut self, event: Event<'_>) {
        // Writing to memory does not fail.
        let _ = self.writer.write_event(event);
    }

    /// Writes from the root on, with a stack of its own in place of recursion.
    fn element(&mut self, tree: &Tree) {
        let mut steps = vec![Step::Open(tree.root())];
        let mut defaults: Vec<&str> = vec![""];
        while let Some(step) = steps.pop() {
            match step {
                Step::Text(text) => self.event(Event::Text(BytesText::from_escaped(escaped(text, false)))),
                Step::Close(name) => {
                    defaults.pop();
                    self.event(Event::End(BytesEnd::new(name)));
                }
                Step::Open(id) => {
                    let element = tree.get(id);
                    let outer = defaults.last().copied().unwrap_or_default();
                    let (name, default) = if element.namespace == XML_NAMESPACE {
                        (format!("xml:{}", element.name), outer)
                    } else {
                        (element.name.clone(), element.namespace.as_str())
                    };
                    let mut start = BytesStart::new(name.clone());
                    if default != outer || (element.declares_namespace && element.namespace != XML_NAMESPACE)
                    {
                        put(&mut start, "xmlns", default);
                    }
                    attributes(tree, id, &mut start);
                    for child in tree.elements(id) {
                        if let Some(name) = tree.get(child).name.strip_prefix('@') {
                            put(&mut start, name, &tree.text(child));
                        }
                    }
                    let content = content(tree, id);
                    if content.is_empty() {
                        self.event(Event::Empty(start));
                        continue;
                    }
                    self.event(Event::Start(start));
                    defaults.push(default);
                    steps.push(Step::Close(name));
                    steps.extend(content.into_iter().rev());
                }
            }
        }
    }
}

/// The children that count: white space between elements does not.
fn content(tree: &Tree, id: NodeId) -> Vec<Step<'_>> {
    // Folded attributes are written as such.
    let children = || tree.get(id).children.iter().filter(|c| !tree.is_folded(c));
    let has_elements = children().any(|c| matches!(c, Child::Element(_)));
    let blank = |text: &str| text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
    let drop = has_elements
        && children().all(|c| match c {
            Child::Text(text, _) => blank(text),
            Child::Element(_) => true,
        });
    children()
        .filter_map(|child| match child {
            Child::Element(e) => Some(Step::Open(*e)),
            Child::Text(text, _) if drop || text.is_empty() => None,
            Child::Text(text, _) => Some(Step::Text(text)),
        })
        .collect()
}

/// Attributes in their order; prefixes are numbered per element, so that they do not depend on
/// anything outside it. Vendor attributes of PresenceSubList get the prefix that the DTD prints.
fn attributes(tree: &Tree, id: NodeId, start: &mut BytesStart<'_>) {
    let element = tree.get(id);
    let mut known: Vec<(&str, String)> = Vec::new();
    for attribute in &element.attributes {
        let namespace = attribute.namespace.as_str();
        if namespace.is_empty() {
            put(start, &attribute.name, &attribute.value);
            continue;
        }
        if namespace == XML_NAMESPACE {
            put(start, &format!("xml:{}", attribute.name), &attribute.value);
            continue;
        }
        let prefix = match known.iter().find(|(n, _)| *n == namespace) {
            Some((_, prefix)) => prefix.clone(),
            None => {
                let prefix = if known.is_empty() && element.name == "PresenceSubList" {
                    "Ext".to_owned()
                } else {
                    format!("ns{}", known.len() + 1)
                };
                put(start, &format!("xmlns:{prefix}"), namespace);
                known.push((namespace, prefix.clone()));
                prefix
            }
        };
        put(start, &format!("{prefix}:{}", attribute.name), &attribute.value);
    }
}

fn put(start: &mut BytesStart<'_>, name: &str, value: &str) {
    // Built field by field, because the conversions from a pair would escape a second time.
    start.push_attribute(BytesAttribute {
        key: QName(name),
        value: escaped(value, true).into(),
    });
}

fn escaped(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            // A reader turns a bare carriage return into a line feed.
            '\r' => out.push_str("&#13;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' | '\n' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'.. => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
    out
}

fn doctype_text(doctype: &Doctype) -> String {
    // Literals have no escapes in XML; the quote that would end them is left out.
    let literal = |text: &str| format!("\"{}\"", text.replace(['"', '>', '<'], ""));
    let mut out = doctype.name.clone();
    match (&doctype.public, &doctype.system) {
        (Some(public), system) => {
            out.push_str(&format!(
                " PUBLIC {} {}",
                literal(public),
                literal(system.as_deref().unwrap_or_default())
            ));
        }
        (None, Some(system)) => out.push_str(&format!(" SYSTEM {}", literal(system))),
        (None, None) => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read;
    use super::*;
    use crate::message::{Attribute, Elem, Position, text};

    fn tree() -> Tree {
        let mut tree = Elem::new("A")
            .in_namespace("u")
            .with(
                Elem::new("B")
                    .in_namespace("v")
                    .with(text("C", "1 < 2 & ]]> \r\u{1}")),
            )
            .with(Elem::new("D"))
            .into_tree();
        let d = tree.child(tree.root(), "D").unwrap();
        tree.get_mut(d).attributes = vec![
            Attribute {
                namespace: "w".to_owned(),
                name: "x".to_owned(),
                value: "\"a\tb\"".to_owned(),
            },
            Attribute {
                namespace: String::new(),
                name: "y".to_owned(),
                value: "ä".to_owned(),
            },
        ];
        tree
    }

    #[test]
    fn the_text_is_stable() {
        let octets = write(&tree(), &WriteOptions::default());
        assert_eq!(
            String::from_utf8(octets).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><A xmlns=\"u\"><B xmlns=\"v\"><C>1 &lt; 2 &amp; ]]&gt; &#13;\u{FFFD}</C></B>\
             <D xmlns:ns1=\"w\" ns1:x=\"&quot;a&#9;b&quot;\" y=\"ä\"/></A>"
        );
    }

    #[test]
    fn indented_text_with_a_doctype_reads_back() {
        let options = WriteOptions {
            doctype: Some(Doctype {
                name: "A".to_owned(),
                public: Some("-//X//EN".to_owned()),
                system: Some("http://x/".to_owned()),
                internal_subset: false,
            }),
            indent: true,
        };
        let octets = write(&tree(), &options);
        let shown = String::from_utf8(octets.clone()).unwrap();
        assert!(
            shown.contains("<!DOCTYPE A PUBLIC \"-//X//EN\" \"http://x/\">"),
            "{shown}"
        );
        assert!(shown.contains("\n  <B xmlns=\"v\">\n    <C>1 "), "{shown}");
        let reading = read(&octets, None);
        assert!(reading.is_strict(), "{:?}", reading.problems);
        let message = reading.message.unwrap();
        assert_eq!(message.carrier.doctype.as_ref(), options.doctype.as_ref());
        let mut sent = tree();
        let c = sent.walk(sent.root())[2];
        sent.set_text(c, "1 < 2 & ]]> \r\u{FFFD}");
        assert!(message.tree.same_content(&sent));
    }

    fn any_text() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop::sample::select(vec![
                "a",
                " ",
                "\n",
                "\r",
                "\t",
                "<",
                ">",
                "&",
                "]]>",
                "\"",
                "'",
                "ä",
                "\u{1F600}",
                "&amp;",
            ]),
            0..6,
        )
        .prop_map(|parts| parts.concat())
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let name = || prop::sample::select(vec!["A", "B", "C", "xml-a", "Ä"]);
        let space = || prop::sample::select(vec!["", "u", "v", "http://h/?a=1&b=\"<"]);
        let attribute_space = prop_oneof![4 => space(), 1 => Just(XML_NAMESPACE)];
        let attribute = (name(), attribute_space, any_text());
        let node = (
            any::<prop::sample::Index>(),
            name(),
            space(),
            any::<bool>(),
            any_text(),
            proptest::collection::vec(attribute, 0..3),
        );
        proptest::collection::vec(node, 1..20).prop_map(|nodes| {
            let mut tree = Tree::new("R", "");
            let mut ids = vec![tree.root()];
            for (parent, name, space, declares, text, attributes) in nodes {
                let parent = ids[parent.index(ids.len())];
                let id = tree.push(parent, name, space);
                let element = tree.get_mut(id);
                element.declares_namespace = declares;
                for (name, namespace, value) in attributes {
                    if element
                        .attributes
                        .iter()
                        .any(|a| a.name == name && a.namespace == namespace)
                    {
                        continue;
                    }
                    element.attributes.push(Attribute {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                        value,
                    });
                }
                tree.push_text(id, &text, Position::default());
                ids.push(id);
            }
            tree
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tree in any_tree(), indent: bool) {
            let octets = write(&tree, &WriteOptions { doctype: None, indent });
            let reading = read(&octets, None);
            prop_assert!(reading.problems.is_empty(), "{:?}\n{}", reading.problems, reading.text);
            let again = reading.message.unwrap().tree;
            prop_assert!(again.same_content(&tree) || indent && mixed(&tree), "{}", reading.text);
            if !indent {
                prop_assert_eq!(write(&again, &WriteOptions::default()), octets);
            }
        }
    }

    /// Indenting adds white space to mixed content; CSP has none.
    fn mixed(tree: &Tree) -> bool {
        tree.walk(tree.root())
            .iter()
            .any(|id| tree.elements(*id).next().is_some() && !tree.text(*id).trim().is_empty())
    }
}
