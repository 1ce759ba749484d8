//! Attributes as children. SSP says in attributes what CSP says in elements; as children whose names
//! begin with `@` they can be found by paths, judged by tables and changed by edits like everything else.

use super::build::{Elem, text};
use super::tree::{Child, NodeId, Tree};

/// What the name of a folded attribute begins with.
pub const MARK: char = '@';

/// An attribute to be built.
pub fn attr(name: &str, value: impl Into<String>) -> Elem {
    text(&format!("{MARK}{name}"), value)
}

/// Whether an element name is that of a folded attribute.
pub fn is_attribute(name: &str) -> bool {
    name.starts_with(MARK)
}

impl Tree {
    /// Turns attributes without a namespace into first children. Those with one stay.
    pub fn fold_attributes(&mut self) {
        for id in self.walk(self.root()) {
            let element = self.get_mut(id);
            let (plain, other) = std::mem::take(&mut element.attributes)
                .into_iter()
                .partition(|a| a.namespace.is_empty());
            element.attributes = other;
            let position = element.position;
            let plain: Vec<super::tree::Attribute> = plain;
            for (index, attribute) in plain.into_iter().enumerate() {
                let child = self.detached(format!("{MARK}{}", attribute.name), String::new());
                self.get_mut(child).position = position;
                // An empty value is a value: the child is there.
                self.push_text(child, &attribute.value, position);
                self.attach(id, child, index);
            }
        }
    }

    /// The value of a folded attribute, as it stands.
    pub fn attribute(&self, id: NodeId, name: &str) -> Option<String> {
        let child = self.elements(id).find(|c| {
            let own = &self.get(*c).name;
            own.strip_prefix(MARK) == Some(name)
        })?;
        Some(self.text(child))
    }

    /// The child elements that are no folded attributes.
    pub fn content_elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.elements(id).filter(|c| !is_attribute(&self.get(*c).name))
    }

    /// Whether a child is a folded attribute.
    pub fn is_folded(&self, child: &Child) -> bool {
        matches!(child, Child::Element(e) if is_attribute(&self.get(*e).name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Attribute;
    use super::*;

    #[test]
    fn attributes_become_first_children() {
        let mut tree = Elem::new("A").with(Elem::new("B")).into_tree();
        let root = tree.root();
        let attribute = |namespace: &str, name: &str| Attribute {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            value: "v".to_owned(),
        };
        tree.get_mut(root).attributes = vec![attribute("", "x"), attribute("u", "y"), attribute("", "z")];
        tree.fold_attributes();
        let names: Vec<&str> = tree.elements(root).map(|e| tree.get(e).name.as_str()).collect();
        assert_eq!(names, ["@x", "@z", "B"]);
        assert_eq!(tree.attribute(root, "z").as_deref(), Some("v"));
        assert_eq!(tree.attribute(root, "y"), None);
        assert_eq!(tree.get(root).attributes.len(), 1);
        assert_eq!(tree.content_elements(root).count(), 1);
    }
}
