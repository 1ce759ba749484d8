//! The element tree: a flat arena, so that a deep document is dropped without recursion.

use std::fmt;

/// A place in a source text, both from 1; 0:0 for trees that were built, not read.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Index of an element in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// One attribute that is not a namespace declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Namespace name, empty for none.
    pub namespace: String,
    /// Local name.
    pub name: String,
    /// Value after normalisation.
    pub value: String,
}

/// A child of an element, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// An element.
    Element(NodeId),
    /// Character data; adjacent pieces are joined.
    Text(String, Position),
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Namespace name, empty for none.
    pub namespace: String,
    /// Attributes without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Whether the start tag declared a default namespace.
    pub declares_namespace: bool,
    /// Children in document order.
    pub children: Vec<Child>,
    /// The parent, `None` for the root.
    pub parent: Option<NodeId>,
    /// Where the start tag begins.
    pub position: Position,
}

/// An element tree with exactly one root.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Element>,
}

impl Tree {
    /// A tree that holds only a root element.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            nodes: vec![Element {
                name: name.into(),
                namespace: namespace.into(),
                attributes: Vec::new(),
                declares_namespace: false,
                children: Vec::new(),
                parent: None,
                position: Position::default(),
            }],
        }
    }

    /// The root element.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The number of elements ever added, detached ones included: an upper bound for walks.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// An element of this tree.
    pub fn get(&self, id: NodeId) -> &Element {
        &self.nodes[id.0 as usize]
    }

    /// An element of this tree, to change it.
    pub fn get_mut(&mut self, id: NodeId) -> &mut Element {
        &mut self.nodes[id.0 as usize]
    }

    /// Adds an element as the last child.
    pub fn push(&mut self, parent: NodeId, name: impl Into<String>, namespace: impl Into<String>) -> NodeId {
        let id = self.detached(name, namespace);
        self.attach(parent, id, usize::MAX);
        id
    }

    /// Makes an element that is not yet part of the document.
    pub fn detached(&mut self, name: impl Into<String>, namespace: impl Into<String>) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).expect("limits keep a tree below 2^32 elements"));
        self.nodes.push(Element {
            name: name.into(),
            namespace: namespace.into(),
            attributes: Vec::new(),
            declares_namespace: false,
            children: Vec::new(),
            parent: None,
            position: Position::default(),
        });
        id
    }

    /// Puts a detached element among the children of `parent`, before the child at `index` (at the
    /// end when `index` is past it).
    pub fn attach(&mut self, parent: NodeId, id: NodeId, index: usize) {
        self.get_mut(id).parent = Some(parent);
        let children = &mut self.get_mut(parent).children;
        let index = index.min(children.len());
        children.insert(index, Child::Element(id));
    }

    /// Takes an element out of its parent and returns where it stood. The root cannot be taken out.
    pub fn detach(&mut self, id: NodeId) -> Option<(NodeId, usize)> {
        let parent = self.get(id).parent?;
        let index = self.index_in_parent(id)?;
        self.get_mut(parent).children.remove(index);
        self.get_mut(id).parent = None;
        Some((parent, index))
    }

    /// Where an element stands among the children of its parent, text included.
    pub fn index_in_parent(&self, id: NodeId) -> Option<usize> {
        let parent = self.get(id).parent?;
        self.get(parent)
            .children
            .iter()
            .position(|c| matches!(c, Child::Element(e) if *e == id))
    }

    /// Adds character data as the last child, joined to text that stands there already.
    pub fn push_text(&mut self, parent: NodeId, text: &str, position: Position) {
        if text.is_empty() {
            return;
        }
        if let Some(Child::Text(last, _)) = self.get_mut(parent).children.last_mut() {
            last.push_str(text);
            return;
        }
        self.get_mut(parent)
            .children
            .push(Child::Text(text.to_owned(), position));
    }

    /// Replaces all children by this text; folded attributes stay.
    pub fn set_text(&mut self, id: NodeId, text: &str) {
        let mut children = std::mem::take(&mut self.get_mut(id).children);
        children.retain(|c| self.is_folded(c));
        self.get_mut(id).children = children;
        self.push_text(id, text, Position::default());
    }

    /// The child elements in document order.
    pub fn elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.get(id).children.iter().filter_map(|c| match c {
            Child::Element(e) => Some(*e),
            Child::Text(..) => None,
        })
    }

    /// The first child element of this local name.
    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.elements(id).find(|e| self.get(*e).name == name)
    }

    /// All character data directly in an element, joined.
    pub fn text(&self, id: NodeId) -> String {
        self.get(id)
            .children
            .iter()
            .filter_map(|c| match c {
                Child::Text(t, _) => Some(t.as_str()),
                Child::Element(_) => None,
            })
            .collect()
    }

    /// Text of the first child element of this name, trimmed.
    pub fn child_text(&self, id: NodeId, name: &str) -> Option<String> {
        self.child(id, name).map(|c| self.text(c).trim().to_owned())
    }

    /// All elements below and including `from`, in document order, without recursion.
    pub fn walk(&self, from: NodeId) -> Vec<NodeId> {
        let mut out = Vec::new();
        let mut stack = vec![from];
        while let Some(id) = stack.pop() {
            out.push(id);
            let first = stack.len();
            stack.extend(self.elements(id));
            stack[first..].reverse();
        }
        out
    }

    /// The path of an element from the root, with an index where siblings share the name.
    pub fn path(&self, id: NodeId) -> String {
        let mut parts = Vec::new();
        let mut at = Some(id);
        while let Some(node) = at {
            let element = self.get(node);
            let mut part = element.name.clone();
            if let Some(parent) = element.parent {
                let same: Vec<NodeId> = self
                    .elements(parent)
                    .filter(|e| self.get(*e).name == element.name)
                    .collect();
                if same.len() > 1
                    && let Some(n) = same.iter().position(|e| *e == node)
                {
                    part.push_str(&format!("[{}]", n + 1));
                }
            }
            parts.push(part);
            at = element.parent;
        }
        parts.reverse();
        format!("/{}", parts.join("/"))
    }

    /// Deep copy of an element and everything below it, detached.
    pub fn copy(&mut self, id: NodeId) -> NodeId {
        let mut map = std::collections::BTreeMap::new();
        let order = self.walk(id);
        for old in &order {
            let mut element = self.get(*old).clone();
            let children = std::mem::take(&mut element.children);
            let new = self.detached(element.name.clone(), element.namespace.clone());
            element.parent = None;
            *self.get_mut(new) = element;
            map.insert(*old, (new, children));
        }
        for old in &order {
            let (new, children) = map[old].clone();
            for child in children {
                match child {
                    Child::Element(e) => {
                        let copy = map[&e].0;
                        self.attach(new, copy, usize::MAX);
                    }
                    Child::Text(t, p) => self.get_mut(new).children.push(Child::Text(t, p)),
                }
            }
        }
        map[&id].0
    }

    /// Whether two trees hold the same document: names, namespaces, attributes and text, with white
    /// space between elements left out of the comparison. Positions do not count.
    pub fn same_content(&self, other: &Tree) -> bool {
        let mine = self.walk(self.root());
        let theirs = other.walk(other.root());
        mine.len() == theirs.len()
            && mine.iter().zip(&theirs).all(|(a, b)| {
                let (x, y) = (self.get(*a), other.get(*b));
                x.name == y.name
                    && x.namespace == y.namespace
                    && x.attributes == y.attributes
                    && self.elements(*a).count() == other.elements(*b).count()
                    && self.significant_text(*a) == other.significant_text(*b)
            })
    }

    fn significant_text(&self, id: NodeId) -> String {
        let text = self.text(id);
        if self.elements(id).next().is_some() && text.trim().is_empty() {
            String::new()
        } else {
            text
        }
    }
}
