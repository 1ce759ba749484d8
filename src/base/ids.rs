//! Identifiers as types of their own, made only by parsing.

use std::fmt;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses the identifier; the error says which character or length is wrong.
            pub fn parse(text: &str) -> Result<Self, String> {
                check_id(text, $what)?;
                Ok(Self(text.to_owned()))
            }

            /// The identifier as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(d)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type!(
    /// Name of a requirement item, for example `CSP-KALIVE-S-001`.
    ItemId,
    "item id"
);
id_type!(
    /// Name of a test case, for example `IMPS-1.2-con-LOGINP-S-001`.
    CaseId,
    "case id"
);

/// Longest identifier that is accepted, in characters.
const MAX_ID: usize = 160;

fn check_id(text: &str, what: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("empty {what}"));
    }
    if text.chars().count() > MAX_ID {
        return Err(format!("{what} longer than {MAX_ID} characters"));
    }
    if let Some(c) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "-_.:".contains(*c)))
    {
        return Err(format!(
            "{what} `{}` holds the character {c:?}; letters, digits, `-`, `_`, `.` and `:` are allowed",
            crate::base::escape::plain(text)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_blank_and_empty_text() {
        assert!(ItemId::parse("CSP-ENV-S-001").is_ok());
        assert!(ItemId::parse("").is_err());
        assert!(ItemId::parse("CSP ENV").unwrap_err().contains("' '"));
        assert!(CaseId::parse(&"x".repeat(161)).is_err());
    }
}
