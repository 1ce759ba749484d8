//! Requirement expressions in the notation of CREQ (WAP-221): references to items and groups of
//! items, joined by AND, OR and NOT. AND binds tighter than OR.
//!
//! Real tables are not tidy: names hold digits and hyphens, blanks stand within a reference, older
//! rows lack the device letter. What can be read in one way only is read; everything else is refused
//! with a reason, because a misread requirement judges a vendor by a rule that nobody wrote.

use std::fmt;

use crate::base::escape::plain;
use crate::base::limits::MAX_EXPRESSION_DEPTH;

use super::scr::{ScrGroup, ScrItem};

/// Three-valued truth (Kleene). The order is False, Unknown, True, so that AND is the minimum and OR
/// the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    /// Both.
    #[must_use]
    pub fn and(self, other: Truth) -> Truth {
        self.min(other)
    }

    /// At least one.
    #[must_use]
    pub fn or(self, other: Truth) -> Truth {
        self.max(other)
    }

    /// The opposite; of Unknown, Unknown.
    #[must_use]
    pub fn negated(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
            Truth::True => Truth::False,
        }
    }

    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::False => "false",
            Truth::Unknown => "unknown",
            Truth::True => "true",
        }
    }
}

impl From<bool> for Truth {
    fn from(b: bool) -> Self {
        if b { Truth::True } else { Truth::False }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an expression refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// One item.
    Item(ScrItem),
    /// All mandatory, or all optional, features of a side.
    Group(ScrGroup),
}

impl Reference {
    /// Parses `WSP-CO-C-001` or `WSP:MCF`.
    ///
    /// # Errors
    /// Why the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(group) = ScrGroup::parse(text)? {
            return Ok(Reference::Group(group));
        }
        ScrItem::parse(text).map(Reference::Item)
    }

    /// The reference as written, without blanks.
    pub fn as_str(&self) -> &str {
        match self {
            Reference::Item(item) => item.as_str(),
            Reference::Group(group) => group.as_str(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A TerminalExpression. Chains are flat, so that only parentheses and NOT nest, and those are limited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression {
    /// An item or a group.
    Reference(Reference),
    /// The opposite.
    Not(Box<Expression>),
    /// All of them; two or more.
    And(Vec<Expression>),
    /// At least one of them; two or more.
    Or(Vec<Expression>),
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {reason}")]
pub struct ExprError {
    /// Which character, from 1.
    pub at: usize,
    /// What is wrong, in lower case.
    pub reason: String,
}

impl Expression {
    /// Parses an expression; a document tag behind a reference (`TCP:MSF [WTCP]`) is passed over.
    ///
    /// # Errors
    /// Position and reason, for what is not in the grammar or nests beyond [`MAX_EXPRESSION_DEPTH`].
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut parser = Parser { text, at: 0 };
        let expression = parser.any_of(0)?;
        parser.blank();
        if parser.at < text.len() {
            return Err(parser.expected_operator());
        }
        Ok(expression)
    }

    /// What it comes to, when `of` tells what each reference comes to.
    pub fn evaluate(&self, of: &dyn Fn(&Reference) -> Truth) -> Truth {
        match self {
            Expression::Reference(reference) => of(reference),
            Expression::Not(inner) => inner.evaluate(of).negated(),
            Expression::And(parts) => parts.iter().fold(Truth::True, |t, p| t.and(p.evaluate(of))),
            Expression::Or(parts) => parts.iter().fold(Truth::False, |t, p| t.or(p.evaluate(of))),
        }
    }

    /// Every reference, in the order of the text, doubles included.
    pub fn references(&self) -> Vec<&Reference> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'a>(&'a self, out: &mut Vec<&'a Reference>) {
        match self {
            Expression::Reference(reference) => out.push(reference),
            Expression::Not(inner) => inner.collect(out),
            Expression::And(parts) | Expression::Or(parts) => {
                for part in parts {
                    part.collect(out);
                }
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str, and: bool| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                // A chain within a chain of its own kind was written with parentheses: they stay.
                let bare = match part {
                    Expression::Reference(_) | Expression::Not(_) => true,
                    Expression::And(_) => !and,
                    Expression::Or(_) => false,
                };
                if bare {
                    write!(f, "{part}")?;
                } else {
                    write!(f, "({part})")?;
                }
            }
            Ok(())
        };
        match self {
            Expression::Reference(reference) => write!(f, "{reference}"),
            Expression::Not(inner) => match **inner {
                Expression::And(_) | Expression::Or(_) => write!(f, "NOT ({inner})"),
                _ => write!(f, "NOT {inner}"),
            },
            Expression::And(parts) => joined(f, parts, "AND", true),
            Expression::Or(parts) => joined(f, parts, "OR", false),
        }
    }
}

impl std::str::FromStr for Expression {
    type Err = ExprError;

    fn from_str(text: &str) -> Result<Self, ExprError> {
        Self::parse(text)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// A character that may stand in a reference.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '_' | '.')
}

impl<'a> Parser<'a> {
    fn error(&self, at: usize, reason: impl Into<String>) -> ExprError {
        ExprError {
            at: self.text[..at].chars().count() + 1,
            reason: reason.into(),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The run of reference characters here; not consumed.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())]
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.blank();
        let found = self.word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    fn any_of(&mut self, depth: usize) -> Result<Expression, ExprError> {
        let mut parts = vec![self.all_of(depth)?];
        while self.take_word("OR") {
            parts.push(self.all_of(depth)?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression, ExprError> {
        let mut parts = vec![self.operand(depth)?];
        while self.take_word("AND") {
            parts.push(self.operand(depth)?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, ExprError> {
        self.blank();
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(self.error(
                self.at,
                format!("nested deeper than the limit of {MAX_EXPRESSION_DEPTH}"),
            ));
        }
        if self.take_word("NOT") {
            return Ok(Expression::Not(Box::new(self.operand(depth + 1)?)));
        }
        if self.rest().starts_with('(') {
            let open = self.at;
            self.at += 1;
            let inner = self.any_of(depth + 1)?;
            self.blank();
            if self.rest().starts_with(')') {
                self.at += 1;
                return Ok(inner);
            }
            if self.rest().is_empty() {
                return Err(self.error(open, "this `(` is never closed"));
            }
            return Err(self.expected_operator());
        }
        self.reference().map(Expression::Reference)
    }

    fn reference(&mut self) -> Result<Reference, ExprError> {
        let start = self.at;
        let mut spelling = self.word().to_owned();
        if spelling.is_empty() {
            let reason = match self.rest().chars().next() {
                None => "the text ends where an item or group is expected".to_owned(),
                Some('[') => "a document tag where an item or group is expected".to_owned(),
                Some(c) => format!("`{}` where an item or group is expected", plain(&c.to_string())),
            };
            return Err(self.error(start, reason));
        }
        if matches!(spelling.as_str(), "AND" | "OR") {
            return Err(self.error(start, format!("`{spelling}` where an item or group is expected")));
        }
        self.at += spelling.len();
        // Tables print long references over two lines: a blank beside a hyphen or colon is no end.
        loop {
            let here = self.at;
            self.blank();
            let next = self.word();
            let continues = !next.is_empty()
                && self.at > here
                && (spelling.ends_with(['-', ':']) || next.starts_with(['-', ':']));
            if !continues {
                self.at = here;
                break;
            }
            spelling.push_str(next);
            self.at += next.len();
        }
        let reference = Reference::parse(&spelling).map_err(|reason| {
            let reason = glued(&spelling).unwrap_or(reason);
            self.error(start, reason)
        })?;
        self.document_tag()?;
        Ok(reference)
    }

    /// `[WTCP]` behind a reference names the document that the reference is of.
    fn document_tag(&mut self) -> Result<(), ExprError> {
        let here = self.at;
        self.blank();
        let Some(tag) = self.rest().strip_prefix('[') else {
            self.at = here;
            return Ok(());
        };
        match tag.find(']') {
            Some(end) if end > 0 && tag[..end].chars().all(|c| in_word(c) || c == ' ') => {
                self.at += end + 2;
                Ok(())
            }
            _ => Err(self.error(self.at, "this `[` begins no document tag such as `[WTCP]`")),
        }
    }

    fn expected_operator(&self) -> ExprError {
        let word = self.word();
        let reason = match self.rest().chars().next() {
            Some(')') => "this `)` closes nothing".to_owned(),
            _ if ["AND", "OR"].iter().any(|o| word.eq_ignore_ascii_case(o)) => {
                format!("`{word}` is written in capitals")
            }
            _ if word.starts_with("AND") || word.starts_with("OR") => {
                format!("`{word}`: the operator is glued to what follows; put a blank between")
            }
            Some(c) => {
                let found = if word.is_empty() {
                    plain(&c.to_string()).into_owned()
                } else {
                    word.to_owned()
                };
                format!("`{found}` where AND or OR is expected")
            }
            None => "the text ends where AND or OR is expected".to_owned(),
        };
        self.error(self.at, reason)
    }
}

fn one_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

/// The reason when a reference has swallowed the operator behind it: `WTP-C-022AND`.
fn glued(spelling: &str) -> Option<String> {
    for operator in ["AND", "OR"] {
        if let Some(head) = spelling.strip_suffix(operator)
            && Reference::parse(head).is_ok()
        {
            return Some(format!(
                "`{spelling}`: {operator} is glued to {head}; put a blank between"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn item(n: u16) -> Expression {
        Expression::Reference(Reference::parse(&format!("CSP-X-S-{n:03}")).unwrap())
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        let leaf = prop_oneof![
            (0u16..6).prop_map(item),
            Just(Expression::Reference(Reference::parse("WSP:MCF").unwrap())),
            Just(Expression::Reference(Reference::parse("NOTE-C-001-M").unwrap())),
        ];
        leaf.prop_recursive(5, 48, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|e| Expression::Not(Box::new(e))),
                prop::collection::vec(inner.clone(), 2..5).prop_map(Expression::And),
                prop::collection::vec(inner, 2..5).prop_map(Expression::Or),
            ]
        })
    }

    fn any_truth() -> impl Strategy<Value = Truth> {
        prop::sample::select(vec![Truth::False, Truth::Unknown, Truth::True])
    }

    /// Reads `0 AND 1 OR NOT 2` by splitting: OR first, then AND. Knows no parentheses.
    fn naive(text: &str, values: &[Truth]) -> Truth {
        text.split(" OR ")
            .map(|all| {
                all.split(" AND ")
                    .map(|one| match one.strip_prefix("NOT ") {
                        Some(id) => value(id, values).negated(),
                        None => value(one, values),
                    })
                    .fold(Truth::True, Truth::and)
            })
            .fold(Truth::False, Truth::or)
    }

    fn value(id: &str, values: &[Truth]) -> Truth {
        let n: usize = id.rsplit('-').next().unwrap().parse().unwrap();
        values[n]
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(e in any_expression()) {
            let text = e.to_string();
            prop_assert_eq!(Expression::parse(&text), Ok(e), "{}", text);
        }

        #[test]
        fn and_binds_tighter_than_or(
            parts in prop::collection::vec((any::<bool>(), any::<bool>(), 0usize..6), 1..9),
            values in prop::collection::vec(any_truth(), 6),
        ) {
            let mut text = String::new();
            for (i, (and, not, n)) in parts.iter().enumerate() {
                if i > 0 {
                    text.push_str(if *and { " AND " } else { " OR " });
                }
                if *not {
                    text.push_str("NOT ");
                }
                text.push_str(&format!("CSP-X-S-{n:03}"));
            }
            let e = Expression::parse(&text).unwrap();
            prop_assert_eq!(e.evaluate(&|r| value(r.as_str(), &values)), naive(&text, &values), "{}", text);
        }

        /// A settled result stays when an Unknown is settled: otherwise an early verdict could be wrong.
        #[test]
        fn unknown_is_monotone(e in any_expression(), known in prop::collection::vec(any_truth(), 8)) {
            let names: BTreeMap<String, usize> = e
                .references().iter().map(|r| r.to_string()).collect::<std::collections::BTreeSet<_>>()
                .into_iter().zip(0..).collect();
            let of = |r: &Reference| known[names[r.as_str()] % known.len()];
            let before = e.evaluate(&of);
            for settled in [Truth::False, Truth::True] {
                let after = e.evaluate(&|r| match of(r) { Truth::Unknown => settled, t => t });
                if before != Truth::Unknown {
                    prop_assert_eq!(before, after);
                }
                prop_assert_ne!(after, Truth::Unknown);
            }
        }

        #[test]
        fn kleene_laws(a in any_truth(), b in any_truth(), c in any_truth()) {
            prop_assert_eq!(a.and(b), b.and(a));
            prop_assert_eq!(a.or(b), b.or(a));
            prop_assert_eq!(a.and(b).and(c), a.and(b.and(c)));
            prop_assert_eq!(a.and(b.or(c)), a.and(b).or(a.and(c)));
            prop_assert_eq!(a.and(b).negated(), a.negated().or(b.negated()));
            prop_assert_eq!(a.negated().negated(), a);
            prop_assert_eq!(a.and(Truth::False), Truth::False);
            prop_assert_eq!(a.or(Truth::True), Truth::True);
            prop_assert_eq!(Truth::Unknown.negated(), Truth::Unknown);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = Expression::parse(&text);
        }

        #[test]
        fn no_text_of_its_own_alphabet_panics(text in "[A-DORNT()\\[\\]:0-3 -]{0,40}") {
            if let Ok(e) = Expression::parse(&text) {
                prop_assert_eq!(Expression::parse(&e.to_string()), Ok(e));
            }
        }
    }

    #[test]
    fn real_shapes_are_read() {
        for (text, printed) in [
            ("WSP:MCF AND WAESpec-MUL-C-008", "WSP:MCF AND WAESpec-MUL-C-008"),
            (
                "WIM-C-029 AND WIM-C-131 AND (WIM-C-032 OR WIM-C-034)",
                "WIM-C-029 AND WIM-C-131 AND (WIM-C-032 OR WIM-C-034)",
            ),
            ("TCP:MSF [WTCP]", "TCP:MSF"),
            ("A-C-001 AND TLS:MCF[WAPTLS]", "A-C-001 AND TLS:MCF"),
            ("WTP: MCF AND WTLS-S- 191", "WTP:MCF AND WTLS-S-191"),
            ("NOT NOT (W-HTTP:MCF)", "NOT NOT W-HTTP:MCF"),
            (
                "A-C-001 AND( B-C-001 OR C-C-001 )",
                "A-C-001 AND (B-C-001 OR C-C-001)",
            ),
        ] {
            assert_eq!(
                Expression::parse(text).map(|e| e.to_string()),
                Ok(printed.to_owned())
            );
        }
    }

    #[test]
    fn refusals_name_position_and_reason() {
        for (text, at, part) in [
            ("", 1, "ends"),
            ("WTP-C-022AND WTP-C-015", 1, "glued to WTP-C-022"),
            ("WDP:MCFAND WTP-C-007", 1, "glued to WDP:MCF"),
            ("A-C-001 ORB-C-002", 9, "glued to what follows"),
            ("A-C-001 ANDB- C-002", 9, "glued"),
            ("A-C-001 and B-C-001", 9, "capitals"),
            ("A-C-001 B-C-001", 9, "AND or OR is expected"),
            ("A-C-001 AND", 12, "ends"),
            ("(A-C-001", 1, "never closed"),
            ("A-C-001)", 8, "closes nothing"),
            ("[RFC2246]", 1, "document tag"),
            ("A-C-001 [", 9, "document tag"),
            ("M", 1, "`M`"),
            ("See [CSP_SCR]", 1, "`See`"),
            ("WIM-015; WIM-016", 8, "`;`"),
        ] {
            let e = Expression::parse(text).unwrap_err();
            assert_eq!(e.at, at, "{text:?}: {e}");
            assert!(e.reason.contains(part), "{text:?}: {e}");
        }
    }

    #[test]
    fn depth_is_limited_and_length_is_not() {
        for (open, close) in [("(", ")"), ("NOT ", "")] {
            let nest = |n: usize| format!("{}A-C-001{}", open.repeat(n), close.repeat(n));
            assert!(Expression::parse(&nest(MAX_EXPRESSION_DEPTH)).is_ok());
            let e = Expression::parse(&nest(MAX_EXPRESSION_DEPTH + 1)).unwrap_err();
            assert!(e.reason.contains("deeper"), "{e}");
            assert!(Expression::parse(&nest(200_000)).is_err());
        }
        let long = vec!["A-C-001"; 50_000].join(" AND ");
        assert_eq!(Expression::parse(&long).unwrap().references().len(), 50_000);
    }
}
