//! Content models in DTD notation: `(A, B?, (C | D)*)`, `(#PCDATA)`, `EMPTY`, `ANY`.

use std::fmt;

use crate::base::limits::MAX_EXPRESSION_DEPTH;

/// What an element may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// Nothing.
    Empty,
    /// Anything.
    Any,
    /// Character data only.
    Text,
    /// Child elements in this order.
    Children(Particle),
}

/// A part of a content model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Particle {
    /// One element of this name.
    Name(String),
    /// All, in this order.
    Sequence(Vec<Particle>),
    /// One of these.
    Choice(Vec<Particle>),
    /// As often as `Repeat` says.
    Repeated(Box<Particle>, Repeat),
}

/// How often a particle occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// `?`
    Optional,
    /// `*`
    Any,
    /// `+`
    Some,
}

impl Model {
    /// Parses the notation of the tables.
    ///
    /// # Errors
    /// Text that says what was expected at which character.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "EMPTY" => return Ok(Model::Empty),
            "ANY" => return Ok(Model::Any),
            "(#PCDATA)" => return Ok(Model::Text),
            _ => {}
        }
        let mut parser = Parser { text, at: 0 };
        let particle = parser.group(0)?;
        parser.blank();
        if parser.at < text.len() {
            return Err(format!("unexpected `{}` behind the model", &text[parser.at..]));
        }
        Ok(Model::Children(particle))
    }
}

impl Particle {
    /// Every element name, each once, in order of first occurrence.
    pub fn names(&self) -> Vec<&str> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'a>(&'a self, out: &mut Vec<&'a str>) {
        match self {
            Particle::Name(n) => {
                if !out.contains(&n.as_str()) {
                    out.push(n);
                }
            }
            Particle::Sequence(parts) | Particle::Choice(parts) => parts.iter().for_each(|p| p.collect(out)),
            Particle::Repeated(p, _) => p.collect(out),
        }
    }

    /// The children that every content needs: the plain names of the outermost sequence.
    pub fn mandatory(&self) -> Vec<&str> {
        match self {
            Particle::Name(n) => vec![n],
            Particle::Sequence(parts) => parts.iter().flat_map(Particle::mandatory).collect(),
            Particle::Repeated(p, Repeat::Some) => p.mandatory(),
            Particle::Repeated(..) | Particle::Choice(_) => Vec::new(),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        self.blank();
        if self.peek() == Some(c) {
            self.at += c.len_utf8();
            return true;
        }
        false
    }

    fn group(&mut self, depth: usize) -> Result<Particle, String> {
        if depth > MAX_EXPRESSION_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        if !self.take('(') {
            return Err(format!("expected `(` at character {}", self.at + 1));
        }
        let mut parts = vec![self.item(depth)?];
        self.blank();
        let separator = match self.peek() {
            Some(c @ (',' | '|')) => Some(c),
            _ => None,
        };
        if let Some(c) = separator {
            while self.take(c) {
                parts.push(self.item(depth)?);
            }
        }
        if !self.take(')') {
            return Err(format!(
                "expected `)` or the same separator at character {}",
                self.at + 1
            ));
        }
        let particle = match (parts.len(), separator) {
            (1, _) => parts.remove(0),
            (_, Some('|')) => Particle::Choice(parts),
            _ => Particle::Sequence(parts),
        };
        Ok(self.repeat(particle))
    }

    fn item(&mut self, depth: usize) -> Result<Particle, String> {
        self.blank();
        if self.peek() == Some('(') {
            return self.group(depth + 1);
        }
        let rest = &self.text[self.at..];
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
            .unwrap_or(rest.len());
        if len == 0 {
            return Err(format!("expected a name or `(` at character {}", self.at + 1));
        }
        let name = rest[..len].to_owned();
        self.at += len;
        Ok(self.repeat(Particle::Name(name)))
    }

    fn repeat(&mut self, particle: Particle) -> Particle {
        let repeat = match self.peek() {
            Some('?') => Repeat::Optional,
            Some('*') => Repeat::Any,
            Some('+') => Repeat::Some,
            _ => return particle,
        };
        self.at += 1;
        Particle::Repeated(Box::new(particle), repeat)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Model::Empty => f.write_str("EMPTY"),
            Model::Any => f.write_str("ANY"),
            Model::Text => f.write_str("(#PCDATA)"),
            Model::Children(p @ (Particle::Sequence(_) | Particle::Choice(_))) => write!(f, "{p}"),
            Model::Children(p) => write!(f, "({p})"),
        }
    }
}

impl fmt::Display for Particle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Particle], by: &str| {
            f.write_str("(")?;
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(by)?;
                }
                write!(f, "{part}")?;
            }
            f.write_str(")")
        };
        match self {
            Particle::Name(n) => f.write_str(n),
            Particle::Sequence(parts) => join(f, parts, ", "),
            Particle::Choice(parts) => join(f, parts, " | "),
            Particle::Repeated(p, repeat) => {
                write!(f, "{p}")?;
                f.write_str(match repeat {
                    Repeat::Optional => "?",
                    Repeat::Any => "*",
                    Repeat::Some => "+",
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_survive_a_round_trip() {
        for text in [
            "(A)",
            "(A, B?, C*)",
            "((A+ | B+), C?)",
            "(X | (A?, B?))?",
            "((N | U)*)",
            "EMPTY",
            "ANY",
            "(#PCDATA)",
        ] {
            let model = Model::parse(text).unwrap();
            let printed = model.to_string();
            assert_eq!(Model::parse(&printed).unwrap(), model, "{text} -> {printed}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for bad in ["", "A", "(A", "(A,)", "(A | B, C)", "(A) B", "()"] {
            assert!(Model::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mandatory_children_are_the_plain_names() {
        let Model::Children(p) = Model::parse("(A, B?, (C | D), E+)").unwrap() else {
            panic!()
        };
        assert_eq!(p.mandatory(), ["A", "E"]);
        assert_eq!(p.names(), ["A", "B", "C", "D", "E"]);
    }
}
