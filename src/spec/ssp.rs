//! Syntax of SSP 1.2, reconstructed: elements with their attributes, and the primitives of a
//! Transaction. Loaded once from `scr-tables/syntax/ssp-*.yaml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base::yaml::{self, Document};
use crate::base::{FileError, FileSet};
use crate::message::Mode;

use super::model::Model;
use super::types::Basis;

/// The version of SSP that a namespace names.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, serde::Serialize,
)]
pub enum SspVersion {
    /// SSP 1.1: known by its namespace only.
    #[serde(rename = "1.1")]
    V11,
    /// SSP 1.2, which the suite speaks unless the profile says otherwise.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// SSP 1.3: the generation that all evidence is of.
    #[serde(rename = "1.3")]
    V13,
}

impl SspVersion {
    /// All of them.
    pub const ALL: [SspVersion; 3] = [SspVersion::V11, SspVersion::V12, SspVersion::V13];

    /// The number.
    pub fn as_str(self) -> &'static str {
        match self {
            SspVersion::V11 => "1.1",
            SspVersion::V12 => "1.2",
            SspVersion::V13 => "1.3",
        }
    }

    /// The namespace of its messages.
    pub fn namespace(self) -> &'static str {
        match self {
            SspVersion::V11 => "http://www.wireless-village.org/SSP1.1",
            SspVersion::V12 => "http://www.openmobilealliance.org/DTD/WV-SSP1.2",
            SspVersion::V13 => "http://www.openmobilealliance.org/DTD/WV-SSP1.3",
        }
    }

    /// The version of a namespace.
    pub fn of_namespace(namespace: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.namespace() == namespace)
    }
}

impl fmt::Display for SspVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Type of an attribute or of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SspType {
    /// Any text that is not empty.
    Text,
    /// A token or digest: white space around it does not count.
    Token,
    /// A URI.
    Uri,
    /// Address of a user or group, with its domain.
    Address,
    /// `wv:@domain`.
    ServiceAddress,
    /// A version such as `1.2`.
    Version,
    /// A decimal number.
    Integer,
    /// A decimal number of seconds.
    Seconds,
    /// A result code: three digits.
    Code,
    /// A media type.
    Mime,
    /// `YYYY-MM-DDThh:mm:ssZ`.
    DateTime,
    /// One of these.
    Enum(Vec<String>),
}

/// One attribute of an element.
#[derive(Debug, Clone)]
pub struct SspAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: SspType,
    /// Whether every known instance has it.
    pub required: bool,
    /// First version that has it.
    pub since: SspVersion,
}

/// One element.
#[derive(Debug, Clone)]
pub struct SspElement {
    /// How sure it is.
    pub basis: Basis,
    /// First version that has it.
    pub since: SspVersion,
    /// Its attributes.
    pub attributes: Vec<SspAttribute>,
    /// Nothing is known of its attributes: any will do.
    pub any_attributes: bool,
    /// Its content.
    pub model: Model,
    /// Type of its text, for a text element.
    pub text: Option<SspType>,
}

/// Which server sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The server that asks for its user.
    Requesting,
    /// The server that owns the addressed user or group.
    Providing,
    /// Either.
    Both,
}

impl Side {
    /// The word of the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Requesting => "requesting",
            Side::Providing => "providing",
            Side::Both => "both",
        }
    }
}

/// Whom MetaInfo of a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meta {
    /// The user who caused it.
    User,
    /// The server: no user caused it.
    Server,
    /// One or the other.
    Either,
    /// Sources differ about MetaInfo.
    Optional,
    /// There is none.
    None,
}

/// One primitive.
#[derive(Debug, Clone)]
pub struct SspPrimitive {
    /// Element name.
    pub name: String,
    /// In which modes.
    pub modes: Vec<Mode>,
    /// Stands in SetupTransaction, not in Transaction.
    pub setup: bool,
    /// Remembered only: nothing about it is judged.
    pub unattested: bool,
    /// Who sends it as a request.
    pub from: Side,
    /// What answers it.
    pub answers: Vec<String>,
    /// Whether it is settled that it is answered.
    pub answer_is_open: bool,
    /// Whom its MetaInfo names.
    pub meta: Meta,
    /// Codes that a source names for the answer.
    pub codes: Vec<u16>,
    /// The CSP primitive that it stands for.
    pub csp: Option<String>,
    /// Group and number of the item that asks for its answer.
    answer_item: Option<(String, u16)>,
}

impl SspPrimitive {
    /// Group and number of the item that asks for its answer.
    pub fn item(&self) -> Option<(&str, u16)> {
        self.answer_item.as_ref().map(|(g, n)| (g.as_str(), *n))
    }
}

/// The whole syntax of SSP.
#[derive(Debug)]
pub struct SspSyntax {
    elements: BTreeMap<String, SspElement>,
    primitives: Vec<SspPrimitive>,
}

impl SspSyntax {
    /// Loads both tables.
    ///
    /// # Errors
    /// A table that is missing; the first mistake with its line.
    pub fn load(files: &FileSet) -> Result<Self, FileError> {
        let file = |name: &str| {
            files.get(name).ok_or_else(|| {
                FileError::new(name, 0, "this table is missing").fix(
                    "put it into the directory of --tables, or leave --tables out to use the embedded one",
                )
            })
        };
        let (elements_file, text) = file("syntax/ssp-elements.yaml")?;
        let elements = elements(&yaml::parse(elements_file, text)?)?;
        let (primitives_file, text) = file("syntax/ssp-primitives.yaml")?;
        let primitives = primitives(&yaml::parse(primitives_file, text)?, &elements)?;
        let syntax = Self { elements, primitives };
        syntax.check(elements_file)?;
        Ok(syntax)
    }

    /// An element.
    pub fn element(&self, name: &str) -> Option<&SspElement> {
        self.elements.get(name)
    }

    /// All elements.
    pub fn elements(&self) -> impl Iterator<Item = (&str, &SspElement)> {
        self.elements.iter().map(|(n, e)| (n.as_str(), e))
    }

    /// A primitive.
    pub fn primitive(&self, name: &str) -> Option<&SspPrimitive> {
        self.primitives.iter().find(|p| p.name == name)
    }

    /// All primitives.
    pub fn primitives(&self) -> &[SspPrimitive] {
        &self.primitives
    }

    fn check(&self, file: &str) -> Result<(), FileError> {
        for (name, element) in &self.elements {
            let Model::Children(particle) = &element.model else {
                continue;
            };
            for child in particle.names() {
                if !self.elements.contains_key(child) {
                    return Err(FileError::new(
                        file,
                        0,
                        format!("the model of {name} names {child}, which has no row"),
                    )
                    .fix("add a row for it"));
                }
            }
        }
        Ok(())
    }
}

fn format_is<T>(doc: &Document<T>, found: &str, expected: &str) -> Result<(), FileError> {
    if found == expected {
        return Ok(());
    }
    Err(doc
        .error("format", format!("format `{found}` is not known here"))
        .fix(format!("this version reads `{expected}`")))
}

fn elements(doc: &Document<raw::Elements>) -> Result<BTreeMap<String, SspElement>, FileError> {
    format_is(doc, &doc.value.format, "imps-scr/ssp-syntax/1")?;
    let mut out = BTreeMap::new();
    for (i, row) in doc.value.elements.iter().enumerate() {
        let at = |field: &str| format!("elements[{i}].{field}");
        let model = Model::parse(&row.model)
            .map_err(|e| doc.error(&at("model"), format!("model of {}: {e}", row.name)))?;
        let text = match (&row.text, &model) {
            (Some(word), Model::Text) => {
                Some(kind(word, &[]).map_err(|e| doc.error(&at("text"), format!("{}: {e}", row.name)))?)
            }
            (None, Model::Text) => {
                return Err(doc
                    .error(
                        &format!("elements[{i}]"),
                        format!("the text element {} has no type", row.name),
                    )
                    .fix("add `text: string`, or another type"));
            }
            (Some(_), _) => {
                return Err(doc.error(&at("text"), format!("{} is no text element", row.name)));
            }
            (None, _) => None,
        };
        let mut attributes = Vec::new();
        for (name, cell) in &row.attributes {
            attributes.push(SspAttribute {
                name: name.clone(),
                kind: kind(&cell.kind, &cell.values)
                    .map_err(|e| doc.error(&at("attributes"), format!("{name} of {}: {e}", row.name)))?,
                required: cell.required,
                since: cell.since.unwrap_or_default(),
            });
        }
        let element = SspElement {
            basis: row.basis,
            since: row.since.unwrap_or_default(),
            attributes,
            any_attributes: row.any_attributes,
            model,
            text,
        };
        if out.insert(row.name.clone(), element).is_some() {
            return Err(doc.error(&format!("elements[{i}]"), format!("{} stands twice", row.name)));
        }
    }
    Ok(out)
}

fn kind(word: &str, values: &[String]) -> Result<SspType, String> {
    Ok(match word {
        "string" => SspType::Text,
        "token" => SspType::Token,
        "uri" => SspType::Uri,
        "address" => SspType::Address,
        "service-address" => SspType::ServiceAddress,
        "version" => SspType::Version,
        "integer" => SspType::Integer,
        "seconds" => SspType::Seconds,
        "code3" => SspType::Code,
        "mime" => SspType::Mime,
        "date-time" => SspType::DateTime,
        "enum" if !values.is_empty() => SspType::Enum(values.to_vec()),
        "enum" => return Err("an enumeration without values".to_owned()),
        other => return Err(format!("unknown type `{other}`")),
    })
}

fn primitives(
    doc: &Document<raw::Primitives>,
    elements: &BTreeMap<String, SspElement>,
) -> Result<Vec<SspPrimitive>, FileError> {
    format_is(doc, &doc.value.format, "imps-scr/ssp-primitives/1")?;
    let mut out: Vec<SspPrimitive> = Vec::new();
    for (i, row) in doc.value.primitives.iter().enumerate() {
        let path = format!("primitives[{i}]");
        let names = std::iter::once(&row.name).chain(&row.answers);
        if let Some(name) = names.into_iter().find(|n| !elements.contains_key(*n)) {
            return Err(doc.error(&path, format!("{name} has no row in ssp-elements.yaml")));
        }
        if out.iter().any(|p| p.name == row.name) {
            return Err(doc.error(&path, format!("{} stands twice", row.name)));
        }
        out.push(SspPrimitive {
            name: row.name.clone(),
            modes: row
                .modes
                .iter()
                .map(|m| match m {
                    raw::ModeWord::Request => Mode::Request,
                    raw::ModeWord::Response => Mode::Response,
                })
                .collect(),
            setup: row.setup,
            unattested: row.unattested,
            from: row.from.unwrap_or(Side::Both),
            answers: row.answers.clone(),
            answer_is_open: row.answered.is_some(),
            meta: row.meta.unwrap_or(Meta::None),
            codes: row.codes.clone(),
            csp: row.csp.clone(),
            answer_item: match &row.item {
                None => None,
                Some(text) => Some(group_and_number(text).ok_or_else(|| {
                    doc.error(&format!("{path}.item"), format!("`{text}` is no item of SSP"))
                        .fix("write it like SSP-PR-S-003")
                })?),
            },
        });
    }
    Ok(out)
}

fn group_and_number(text: &str) -> Option<(String, u16)> {
    let (group, number) = text.strip_prefix("SSP-")?.split_once("-S-")?;
    Some((group.to_owned(), number.parse().ok()?))
}

mod raw {
    //! The files as written.

    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::{Basis, Meta, Side, SspVersion};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Elements {
        pub format: String,
        pub elements: Vec<Element>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    pub struct Element {
        pub name: String,
        pub basis: Basis,
        pub since: Option<SspVersion>,
        #[serde(default)]
        pub attributes: BTreeMap<String, Attribute>,
        #[serde(default)]
        pub any_attributes: bool,
        pub model: String,
        pub text: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Attribute {
        #[serde(rename = "type")]
        pub kind: String,
        #[serde(default)]
        pub values: Vec<String>,
        #[serde(default)]
        pub required: bool,
        pub since: Option<SspVersion>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Primitives {
        pub format: String,
        pub primitives: Vec<Primitive>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Primitive {
        pub name: String,
        pub modes: Vec<ModeWord>,
        #[serde(default)]
        pub setup: bool,
        #[serde(default)]
        pub unattested: bool,
        pub from: Option<Side>,
        #[serde(default)]
        pub answers: Vec<String>,
        pub answered: Option<Open>,
        pub meta: Option<Meta>,
        #[serde(default)]
        pub codes: Vec<u16>,
        pub csp: Option<String>,
        pub item: Option<String>,
    }

    #[derive(Deserialize, Clone, Copy)]
    pub enum ModeWord {
        Request,
        Response,
    }

    #[derive(Deserialize, Clone, Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum Open {
        Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tables_load() {
        let syntax = SspSyntax::load(&FileSet::tables()).unwrap();
        let user = syntax.element("User").unwrap();
        assert!(user.attributes.iter().any(|a| a.name == "userID" && a.required));
        let send = syntax.primitive("SendMessageRequest").unwrap();
        assert_eq!(send.answers, ["SendMessageResponse", "Status"]);
        assert_eq!(syntax.primitives().iter().filter(|p| p.setup).count(), 3);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let with = |name: &str, from: &str, to: &str| {
            let files = FileSet::tables()
                .iter()
                .map(|(n, t)| {
                    let text = if n.ends_with(name) {
                        assert!(t.contains(from), "{from}");
                        t.replacen(from, to, 1)
                    } else {
                        t.to_owned()
                    };
                    (n.to_owned(), text)
                })
                .collect();
            SspSyntax::load(&FileSet::new(files)).unwrap_err()
        };
        for (file, from, to, part) in [
            (
                "ssp-elements.yaml",
                "ssp-syntax/1",
                "ssp-syntax/2",
                "ssp-syntax/2",
            ),
            (
                "ssp-elements.yaml",
                "(Transaction+)",
                "(Transaktion+)",
                "Transaktion",
            ),
            ("ssp-elements.yaml", "type: service-address", "type: sms", "sms"),
            ("ssp-elements.yaml", "    text: token\n", "", "no type"),
            (
                "ssp-elements.yaml",
                "name: Session\n",
                "name: Transaction\n",
                "twice",
            ),
            (
                "ssp-primitives.yaml",
                "name: SubscribeRequest",
                "name: Subscribe",
                "no row",
            ),
            (
                "ssp-primitives.yaml",
                "name: LoginRequest",
                "name: SendSecretToken",
                "twice",
            ),
        ] {
            let error = with(file, from, to);
            assert!(error.problem.contains(part), "{error}");
            assert!(error.file.ends_with(file), "{error}");
        }
    }
}
