//! Paths into a message, as cases and faults write them: `Login-Response/Result/Code`,
//! `/WV-CSP-Message/Session`, `DetailedResult[2]/Code`, `*`.
//!
//! A path matches by its end: `Result/Code` is every `Code` whose parent is a `Result`. A leading
//! `/` ties it to the root. `[n]` behind a step picks the n-th sibling of that name; `#n` at the end
//! picks the n-th match of the whole path. Namespaces do not count, so that a path still finds its
//! element in a message that has the wrong one.

use std::fmt;

use super::tree::{NodeId, Tree};

/// A parsed path.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    source: String,
    rooted: bool,
    steps: Vec<Step>,
    pick: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    index: Option<usize>,
}

/// What is wrong with the text of a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path: `{text}`: {problem}")]
pub struct PathError {
    text: String,
    problem: String,
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// Empty steps, unknown characters, an index that is not a number from 1.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let fail = |problem: &str| PathError {
            text: text.to_owned(),
            problem: problem.to_owned(),
        };
        let (body, pick) = match text.rsplit_once('#') {
            None => (text, None),
            Some((body, n)) => (
                body,
                Some(index(n).ok_or_else(|| fail("`#` needs a number from 1"))?),
            ),
        };
        let (rooted, body) = match body.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, body),
        };
        let mut steps = Vec::new();
        for part in body.split('/') {
            let (name, at) = match part.strip_suffix(']').and_then(|p| p.split_once('[')) {
                None => (part, None),
                Some((name, n)) => (
                    name,
                    Some(index(n).ok_or_else(|| fail("`[n]` needs a number from 1"))?),
                ),
            };
            if name.is_empty() {
                return Err(fail("a step is empty"));
            }
            if !name.chars().all(|c| c.is_alphanumeric() || "-_.*@".contains(c)) {
                return Err(fail("a step holds a character that no element name has"));
            }
            steps.push(Step {
                name: name.to_owned(),
                index: at,
            });
        }
        Ok(Self {
            source: text.to_owned(),
            rooted,
            steps,
            pick,
        })
    }

    /// The elements that this path names, in document order.
    pub fn select(&self, tree: &Tree) -> Vec<NodeId> {
        let mut found: Vec<NodeId> = tree
            .walk(tree.root())
            .into_iter()
            .filter(|id| self.matches(tree, *id))
            .collect();
        if let Some(n) = self.pick {
            found = found.into_iter().skip(n - 1).take(1).collect();
        }
        found
    }

    /// The first element that this path names.
    pub fn first(&self, tree: &Tree) -> Option<NodeId> {
        self.select(tree).into_iter().next()
    }

    /// The names of its steps, first step first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|s| s.name.as_str())
    }

    fn matches(&self, tree: &Tree, id: NodeId) -> bool {
        let mut at = Some(id);
        for step in self.steps.iter().rev() {
            let Some(node) = at else { return false };
            let element = tree.get(node);
            if step.name != "*" && step.name != element.name {
                return false;
            }
            if let Some(n) = step.index {
                let place = element.parent.map_or(Some(0), |p| {
                    tree.elements(p)
                        .filter(|e| tree.get(*e).name == element.name)
                        .position(|e| e == node)
                });
                if place != Some(n - 1) {
                    return false;
                }
            }
            at = element.parent;
        }
        !self.rooted || at.is_none()
    }
}

fn index(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| *n >= 1)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.source)
    }
}

impl<'de> serde::Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(d)?;
        Path::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Elem, text};
    use super::*;

    #[test]
    fn paths_match_by_their_end() {
        let tree = Elem::new("A")
            .with(Elem::new("B").with(text("C", "1")).with(text("C", "2")))
            .with(Elem::new("D").with(text("C", "3")))
            .into_tree();
        let texts = |p: &str| -> Vec<String> {
            Path::parse(p)
                .unwrap()
                .select(&tree)
                .into_iter()
                .map(|n| tree.text(n))
                .collect()
        };
        assert_eq!(texts("C"), ["1", "2", "3"]);
        assert_eq!(texts("B/C"), ["1", "2"]);
        assert_eq!(texts("B/C[2]"), ["2"]);
        assert_eq!(texts("C#3"), ["3"]);
        assert_eq!(texts("/A/*/C"), ["1", "2", "3"]);
        assert!(texts("/C").is_empty());
        assert!(texts("X/C").is_empty());
    }

    #[test]
    fn bad_paths_say_why() {
        for bad in ["", "/", "A//B", "A[0]", "A[x]", "A#0", "A b"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
