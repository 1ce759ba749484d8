//! What a case covers of a transaction: a cell of the coverage matrix.

use std::fmt;

/// What can be tested of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// It works as the specification shows it.
    Flow,
    /// A mandatory child of what is received is missing.
    Child,
    /// Children of what is received stand in the wrong order.
    Order,
    /// A value of what is received is outside its type, or at its edge.
    Types,
    /// It is refused, with the right code.
    Refusal,
    /// It is tried in a session that is not there, or without one.
    Session,
    /// It is tried by somebody who may not.
    Permission,
    /// No answer comes, or nothing may come.
    Silence,
}

impl Aspect {
    /// All values, in the order of the matrix.
    pub const ALL: [Aspect; 8] = [
        Aspect::Flow,
        Aspect::Child,
        Aspect::Order,
        Aspect::Types,
        Aspect::Refusal,
        Aspect::Session,
        Aspect::Permission,
        Aspect::Silence,
    ];

    /// The word in cases and in the matrix.
    pub fn as_str(self) -> &'static str {
        match self {
            Aspect::Flow => "flow",
            Aspect::Child => "child",
            Aspect::Order => "order",
            Aspect::Types => "types",
            Aspect::Refusal => "refusal",
            Aspect::Session => "session",
            Aspect::Permission => "permission",
            Aspect::Silence => "silence",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One aspect of one transaction, written `T08/flow`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cover {
    /// The transaction (`T08`), as in the table of transactions.
    pub transaction: String,
    /// The aspect.
    pub aspect: Aspect,
}

impl Cover {
    /// Parses `T08/flow`.
    ///
    /// # Errors
    /// Which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (transaction, aspect) = text
            .split_once('/')
            .ok_or_else(|| format!("`{text}` is not of the form T08/flow"))?;
        let digits = transaction.strip_prefix('T').unwrap_or_default();
        if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("`{transaction}` is not a transaction: T and two digits"));
        }
        let aspect = Aspect::ALL
            .into_iter()
            .find(|a| a.as_str() == aspect)
            .ok_or_else(|| {
                let known: Vec<&str> = Aspect::ALL.iter().map(|a| a.as_str()).collect();
                format!("`{aspect}` is not one of {}", known.join(", "))
            })?;
        Ok(Self {
            transaction: transaction.to_owned(),
            aspect,
        })
    }
}

impl fmt::Display for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transaction, self.aspect)
    }
}

impl<'de> serde::Deserialize<'de> for Cover {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
