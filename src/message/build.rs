//! Small values to write messages with: `Elem::new("Result").with(text("Code", "200"))`. They are
//! turned into a [`Tree`] once; nothing else is done with them.

use super::tree::{NodeId, Position, Tree};

/// An element to be built. Only the suite's own shallow messages are written this way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elem {
    name: String,
    namespace: Option<String>,
    text: String,
    children: Vec<Elem>,
}

/// An element that holds text.
pub fn text(name: &str, value: impl Into<String>) -> Elem {
    Elem {
        text: value.into(),
        ..Elem::new(name)
    }
}

/// An element without content.
pub fn empty(name: &str) -> Elem {
    Elem::new(name)
}

impl Elem {
    /// An element without content yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: None,
            text: String::new(),
            children: Vec::new(),
        }
    }

    /// Begins a namespace here; children without their own inherit it.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with(mut self, child: Elem) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a child if there is one.
    #[must_use]
    pub fn with_some(mut self, child: Option<Elem>) -> Self {
        self.children.extend(child);
        self
    }

    /// Adds all children.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Elem>) -> Self {
        self.children.extend(children);
        self
    }

    /// The name of the element.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that was given.
    pub fn content(&self) -> &str {
        &self.text
    }

    /// The children that were added.
    pub fn children(&self) -> &[Elem] {
        &self.children
    }

    /// The tree with this element as its root.
    pub fn into_tree(self) -> Tree {
        let namespace = self.namespace.clone().unwrap_or_default();
        let mut tree = Tree::new(self.name.clone(), namespace);
        let root = tree.root();
        tree.get_mut(root).declares_namespace = self.namespace.is_some();
        self.fill(&mut tree, root);
        tree
    }

    /// Adds this element as the last child of an element of a tree.
    pub fn append_to(&self, tree: &mut Tree, parent: NodeId) -> NodeId {
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| tree.get(parent).namespace.clone());
        let id = tree.push(parent, self.name.clone(), namespace);
        tree.get_mut(id).declares_namespace = self.namespace.is_some();
        self.fill(tree, id);
        id
    }

    fn fill(&self, tree: &mut Tree, id: NodeId) {
        tree.push_text(id, &self.text, Position::default());
        for child in &self.children {
            child.append_to(tree, id);
        }
    }
}
