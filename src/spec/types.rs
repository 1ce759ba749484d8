//! The small vocabulary of the tables.

use std::fmt;

use crate::verdict::Strength;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All values, in their order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word of the tables.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    other => Err(format!(
                        "`{}` is not one of {}",
                        crate::base::escape::plain(other),
                        [$($word),+].join(", ")
                    )),
                }
            }
        }
    };
}

words!(
    /// Version of CSP.
    Version {
        /// CSP 1.1 (Wireless Village, 2002).
        V11 = "1.1",
        /// CSP 1.2 (OMA IMPS 1.2, 2005).
        V12 = "1.2",
    }
);

words!(
    /// What is under test.
    Role {
        /// A client, by CSP.
        Client = "client",
        /// A server, by CSP.
        Server = "server",
        /// A server, by SSP.
        Ssp = "ssp",
    }
);

words!(
    /// Status of an item in the sense of CREQ.
    Status {
        /// Mandatory.
        Mandatory = "M",
        /// Optional.
        Optional = "O",
        /// Not applicable for the class.
        NotApplicable = "NA",
    }
);

words!(
    /// How sure a fact is.
    Basis {
        /// Read in the text of a specification.
        Spec = "spec",
        /// Two independent sources agree.
        Two = "two",
        /// One source.
        One = "one",
        /// Concluded.
        Infer = "infer",
        /// Sources disagree or are silent.
        Open = "open",
    }
);

words!(
    /// Why a concluded rule may fail somebody all the same.
    Because {
        /// Another's transaction, session or user is answered, or success is reported of what was not done.
        Meaning = "meaning",
        /// A wrong credential, a dead session or a blocked sender is served, or another user's data is shown.
        Security = "security",
        /// Content is lost, changed or doubled.
        Loss = "loss",
    }
);

words!(
    /// What the suite makes of a statement of the release.
    LedgerClass {
        /// Items test it.
        Tested = "tested",
        /// No message shows it, or nothing is known that could be asked.
        Untestable = "untestable",
        /// It asks nothing.
        Informative = "informative",
        /// The release leaves it out, or this version of the suite does.
        OutOfScope = "out-of-scope",
    }
);

words!(
    /// Grade of a row of the syntax tables.
    Grade {
        /// Printed in the 1.1 DTD.
        Spec = "spec",
        /// The 1.2 model equals the printed 1.1 model, and an independent 1.2 table has the same.
        Same = "same",
        /// Two independent sources agree.
        Two = "two",
        /// One source.
        One = "one",
        /// Sources disagree; the recommended model stands first.
        Open = "open",
    }
);

words!(
    /// Namespace group of an element.
    Group {
        /// The message envelope.
        Csp = "CSP",
        /// Transaction content.
        Trc = "TRC",
        /// Presence attributes.
        Pa = "PA",
    }
);

impl Role {
    /// The two sides of CSP.
    pub const CSP: [Role; 2] = [Role::Client, Role::Server];

    /// The device letter in the names of its items.
    pub fn device(self) -> char {
        match self {
            Role::Client => 'C',
            Role::Server | Role::Ssp => 'S',
        }
    }
}

impl Basis {
    /// What a breach may cost: sure facts bind, a single source or a conclusion warns, an open
    /// question is a note; a conclusion binds when `because` names a reason.
    pub fn strength(self, because: Option<Because>) -> Strength {
        match (self, because) {
            (Basis::Spec | Basis::Two, _) | (Basis::Infer, Some(_)) => Strength::Must,
            (Basis::One | Basis::Infer, _) => Strength::Should,
            (Basis::Open, _) => Strength::Note,
        }
    }

    /// In words, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Basis::Spec => "read in a specification text",
            Basis::Two => "two independent sources agree",
            Basis::One => "one source",
            Basis::Infer => "concluded",
            Basis::Open => "open question",
        }
    }
}

impl Grade {
    /// The grade on the scale that items use.
    pub fn basis(self) -> Basis {
        match self {
            Grade::Spec => Basis::Spec,
            Grade::Same | Grade::Two => Basis::Two,
            Grade::One => Basis::One,
            Grade::Open => Basis::Open,
        }
    }
}

impl Version {
    /// Namespace of a group in this version.
    pub fn namespace(self, group: Group) -> &'static str {
        match (self, group) {
            (Version::V11, Group::Csp) => "http://www.wireless-village.org/CSP1.1",
            (Version::V11, Group::Trc) => "http://www.wireless-village.org/TRC1.1",
            (Version::V11, Group::Pa) => "http://www.wireless-village.org/PA1.1",
            (Version::V12, Group::Csp) => "http://www.openmobilealliance.org/DTD/WV-CSP1.2",
            (Version::V12, Group::Trc) => "http://www.openmobilealliance.org/DTD/WV-TRC1.2",
            (Version::V12, Group::Pa) => "http://www.openmobilealliance.org/DTD/WV-PA1.2",
        }
    }

    /// The version and group that a namespace belongs to.
    pub fn of_namespace(namespace: &str) -> Option<(Version, Group)> {
        Version::ALL
            .iter()
            .flat_map(|v| Group::ALL.iter().map(|g| (*v, *g)))
            .find(|(v, g)| v.namespace(*g) == namespace)
    }
}

impl Role {
    /// The other side.
    #[must_use]
    pub fn peer(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
            Role::Ssp => Role::Ssp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_computed_from_basis() {
        assert_eq!(Basis::Spec.strength(None), Strength::Must);
        assert_eq!(Basis::Two.strength(None), Strength::Must);
        assert_eq!(Basis::One.strength(None), Strength::Should);
        assert_eq!(Basis::Infer.strength(None), Strength::Should);
        assert_eq!(Basis::Infer.strength(Some(Because::Security)), Strength::Must);
        assert_eq!(Basis::Open.strength(Some(Because::Loss)), Strength::Note);
        assert_eq!(Basis::One.strength(Some(Because::Loss)), Strength::Should);
    }

    #[test]
    fn namespaces_are_distinct() {
        for v in Version::ALL {
            for g in Group::ALL {
                assert_eq!(Version::of_namespace(v.namespace(*g)), Some((*v, *g)));
            }
        }
        assert_eq!(
            Version::of_namespace("http://www.openmobilealliance.org/DTD/IMPS-CSP1.3"),
            None
        );
    }
}
