//! Filter expressions: which cases a person wants. Atoms `id() item() group() tag() role()` with `*`
//! for any text, joined by `&` (and), `-` (but not) and `|` (or); `&` and `-` bind tighter than `|`,
//! all from left to right, and parentheses group.

use crate::base::escape::plain;
use crate::base::limits::MAX_EXPRESSION_DEPTH;

/// What a filter looks at.
pub trait FilterTarget {
    /// Name of the case.
    fn id(&self) -> &str;
    /// Names of the items that it tests.
    fn items(&self) -> Vec<&str>;
    /// The group of cases.
    fn group(&self) -> &str;
    /// Its tags.
    fn tags(&self) -> &[String];
    /// The role under test.
    fn role(&self) -> &str;
}

/// A parsed filter. Kept in postfix order, so that no chain, however long, recurses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    program: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Atom(Field, String),
    And,
    Without,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Item,
    Group,
    Tag,
    Role,
}

/// What waits for its right side.
enum Waiting {
    Open(usize),
    Operator(Step),
}

impl Filter {
    /// Parses an expression.
    ///
    /// # Errors
    /// The character, from 1, and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = |at: usize, reason: String| {
            Err(format!("character {}: {reason}", text[..at].chars().count() + 1))
        };
        let mut program = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut depth = 0;
        let mut want_atom = true;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let here = at;
            at += c.len_utf8();
            match c {
                c if c.is_whitespace() => {}
                '(' if want_atom => {
                    depth += 1;
                    if depth > MAX_EXPRESSION_DEPTH {
                        return fail(
                            here,
                            format!("nested deeper than the limit of {MAX_EXPRESSION_DEPTH}"),
                        );
                    }
                    waiting.push(Waiting::Open(here));
                }
                ')' if !want_atom => {
                    depth = depth.saturating_sub(1);
                    loop {
                        match waiting.pop() {
                            Some(Waiting::Operator(step)) => program.push(step),
                            Some(Waiting::Open(_)) => break,
                            None => return fail(here, "this `)` closes nothing".to_owned()),
                        }
                    }
                }
                '&' | '-' | '|' if !want_atom => {
                    let step = match c {
                        '&' => Step::And,
                        '-' => Step::Without,
                        _ => Step::Or,
                    };
                    while let Some(Waiting::Operator(top)) = waiting.last() {
                        if step != Step::Or && *top == Step::Or {
                            break;
                        }
                        if let Some(Waiting::Operator(top)) = waiting.pop() {
                            program.push(top);
                        }
                    }
                    waiting.push(Waiting::Operator(step));
                    want_atom = true;
                }
                c if want_atom && c.is_ascii_alphabetic() => {
                    let rest = &text[here..];
                    let name_len = rest
                        .find(|c: char| !c.is_ascii_alphabetic())
                        .unwrap_or(rest.len());
                    let field = match &rest[..name_len] {
                        "id" => Field::Id,
                        "item" => Field::Item,
                        "group" => Field::Group,
                        "tag" => Field::Tag,
                        "role" => Field::Role,
                        other => {
                            return fail(
                                here,
                                format!("`{other}` is not one of id(), item(), group(), tag(), role()"),
                            );
                        }
                    };
                    let Some(argument) = rest[name_len..].strip_prefix('(') else {
                        return fail(
                            here + name_len,
                            format!("`(` expected behind `{}`", &rest[..name_len]),
                        );
                    };
                    let Some(end) = argument.find(')') else {
                        return fail(here + name_len, "this `(` is never closed".to_owned());
                    };
                    let pattern = argument[..end].trim();
                    if pattern.is_empty() {
                        return fail(
                            here + name_len,
                            "nothing between the parentheses; `*` stands for any text".to_owned(),
                        );
                    }
                    // People copy names with their mark out of reports.
                    let pattern = match field {
                        Field::Item => pattern.strip_prefix("rec:").unwrap_or(pattern),
                        _ => pattern,
                    };
                    program.push(Step::Atom(field, pattern.to_owned()));
                    at = here + name_len + 1 + end + 1;
                    want_atom = false;
                }
                c => {
                    let wanted = if want_atom {
                        "an atom such as id(IMPS-*) or a `(`"
                    } else {
                        "`&`, `|`, `-` or the end"
                    };
                    return fail(
                        here,
                        format!("`{}` where {wanted} is expected", plain(&c.to_string())),
                    );
                }
            }
        }
        if want_atom {
            return fail(
                text.len(),
                "the text ends where an atom such as id(IMPS-*) is expected".to_owned(),
            );
        }
        while let Some(top) = waiting.pop() {
            match top {
                Waiting::Operator(step) => program.push(step),
                Waiting::Open(at) => return fail(at, "this `(` is never closed".to_owned()),
            }
        }
        Ok(Self { program })
    }

    /// Whether a case is wanted.
    pub fn matches(&self, target: &dyn FilterTarget) -> bool {
        let mut stack: Vec<bool> = Vec::new();
        for step in &self.program {
            let value = match step {
                Step::Atom(field, pattern) => match field {
                    Field::Id => glob(pattern, target.id()),
                    Field::Item => target.items().iter().any(|i| glob(pattern, i)),
                    Field::Group => glob(pattern, target.group()),
                    Field::Tag => target.tags().iter().any(|t| glob(pattern, t)),
                    Field::Role => glob(pattern, target.role()),
                },
                operator => {
                    let right = stack.pop().unwrap_or(false);
                    let left = stack.pop().unwrap_or(false);
                    match operator {
                        Step::And => left && right,
                        Step::Without => left && !right,
                        _ => left || right,
                    }
                }
            };
            stack.push(value);
        }
        stack.pop().unwrap_or(false)
    }
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Goes back to the last `*` only, so
/// its time is at most the product of both lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            p = after;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Case {
        tags: Vec<String>,
    }

    impl FilterTarget for Case {
        fn id(&self) -> &str {
            "IMPS-1.2-con-KALIVE-S-001"
        }
        fn items(&self) -> Vec<&str> {
            vec!["CSP-KALIVE-S-001", "CSP-ENV-S-002"]
        }
        fn group(&self) -> &str {
            "session"
        }
        fn tags(&self) -> &[String] {
            &self.tags
        }
        fn role(&self) -> &str {
            "server"
        }
    }

    fn matches(text: &str) -> bool {
        let case = Case {
            tags: vec!["negative".to_owned(), "slow".to_owned()],
        };
        Filter::parse(text).unwrap().matches(&case)
    }

    #[test]
    fn atoms_and_operators() {
        for (text, expected) in [
            ("id(IMPS-*)", true),
            ("id(*KALIVE*001)", true),
            ("id(IMPS)", false),
            ("item( rec:CSP-ENV-S-002 )", true),
            ("tag(slow) - role(server)", false),
            ("tag(slow)&role(server)", true),
            ("tag(x)|group(session)", true),
            ("group(session) - tag(slow) | id(*)", true),
            ("id(*) | group(session) - tag(slow)", true),
            ("(id(*) | group(session)) - tag(slow)", false),
            ("id(*) - tag(slow) - tag(x)", false),
            ("id(*) - (tag(slow) - tag(slow))", true),
        ] {
            assert_eq!(matches(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, part) in [
            ("", "character 1: the text ends"),
            ("id(", "character 3: this `(`"),
            ("id()", "character 3: nothing"),
            ("name(x)", "character 1: `name`"),
            ("id", "character 3: `(` expected"),
            ("id(a) id(b)", "character 7: `i`"),
            ("id(a) &", "character 8: the text ends"),
            ("(id(a)", "character 1: this `(`"),
            ("id(a))", "character 6: this `)`"),
            ("- id(a)", "character 1: `-`"),
            ("!id(a)", "character 1: `!`"),
            ("()", "character 2: `)`"),
        ] {
            let e = Filter::parse(text).unwrap_err();
            assert!(e.starts_with(part), "{text:?}: {e}");
        }
        let nest = |n: usize| format!("{}id(a){}", "(".repeat(n), ")".repeat(n));
        assert!(Filter::parse(&nest(MAX_EXPRESSION_DEPTH)).is_ok());
        assert!(
            Filter::parse(&nest(MAX_EXPRESSION_DEPTH + 1))
                .unwrap_err()
                .contains("deeper")
        );
        assert!(matches(&vec!["id(*)"; 20_000].join("&")));
    }

    /// Tree of a filter, to judge the machine by.
    #[derive(Debug, Clone)]
    enum Tree {
        Atom(bool),
        Join(char, Box<Tree>, Box<Tree>),
    }

    impl Tree {
        fn print(&self) -> String {
            match self {
                Tree::Atom(true) => "id(*)".to_owned(),
                Tree::Atom(false) => "tag(nothing)".to_owned(),
                Tree::Join(c, l, r) => {
                    // The left side needs parentheses only below a tighter operator, the right side
                    // when it binds no tighter.
                    let (l, r) = (
                        match (&**l, c) {
                            (Tree::Join('|', ..), '&' | '-') => format!("({})", l.print()),
                            _ => l.print(),
                        },
                        match (&**r, c) {
                            (Tree::Atom(_), _) | (Tree::Join('&' | '-', ..), '|') => r.print(),
                            _ => format!("({})", r.print()),
                        },
                    );
                    format!("{l} {c} {r}")
                }
            }
        }

        fn value(&self) -> bool {
            match self {
                Tree::Atom(b) => *b,
                Tree::Join('&', l, r) => l.value() && r.value(),
                Tree::Join('-', l, r) => l.value() && !r.value(),
                Tree::Join(_, l, r) => l.value() || r.value(),
            }
        }
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        any::<bool>()
            .prop_map(Tree::Atom)
            .prop_recursive(6, 40, 2, |inner| {
                (prop::sample::select(vec!['&', '-', '|']), inner.clone(), inner)
                    .prop_map(|(c, l, r)| Tree::Join(c, Box::new(l), Box::new(r)))
            })
    }

    proptest! {
        #[test]
        fn filters_mean_what_their_tree_means(tree in any_tree()) {
            let text = tree.print();
            prop_assert_eq!(matches(&text), tree.value(), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", near in "[idtag()&|* -]{0,30}") {
            let _ = Filter::parse(&text);
            let _ = Filter::parse(&near);
        }

        #[test]
        fn stars_stand_for_any_text(parts in prop::collection::vec("[ab]{0,3}", 1..5), fill in prop::collection::vec("[ab]{0,3}", 5)) {
            let text: String = parts.iter().zip(&fill).map(|(p, f)| format!("{p}{f}")).collect();
            let pattern = format!("{}*", parts.join("*"));
            prop_assert!(glob(&pattern, &text), "{} {}", pattern, text);
        }
    }

    #[test]
    fn hostile_patterns_end() {
        assert!(!glob(&"*a".repeat(2_000), &"b".repeat(20_000)));
        assert!(!glob("*é", "e"));
    }
}
