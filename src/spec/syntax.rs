//! Syntax of CSP 1.1 and 1.2: elements, leaf types, presence values, primitives, codes, service
//! tree. Loaded once from `scr-tables/syntax/`; a mistake in a table is a [`FileError`] with its line.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::yaml;
use crate::base::{FileError, FileSet};
use crate::message::Mode;

use super::model::Model;
use super::types::{Basis, Grade, Group, Role, Version};

/// The whole syntax of CSP.
#[derive(Debug)]
pub struct Syntax {
    elements: BTreeMap<(Version, Group, String), ElementRow>,
    leaves: BTreeMap<(Version, Group, String), LeafRow>,
    presence: Vec<PresenceAttribute>,
    primitives: Vec<Primitive>,
    codes: BTreeMap<u16, CodeRow>,
    generic: Vec<u16>,
    generic_before_login: Vec<u16>,
    features: Vec<Feature>,
}

/// Content of one element in one version.
#[derive(Debug, Clone)]
pub struct ElementRow {
    /// The recommended model.
    pub model: Model,
    /// Other readings that are accepted without a word.
    pub also: Vec<Model>,
    /// Readings that are accepted with a warning.
    pub tolerated: Vec<Model>,
    /// How sure the model is.
    pub grade: Grade,
    /// The open question that it belongs to, `Q5`.
    pub reading: Option<String>,
}

/// Type of one text element in one version.
#[derive(Debug, Clone)]
pub struct LeafRow {
    /// The type.
    pub kind: LeafType,
    /// Longest text in characters; beyond it a warning.
    pub max: Option<usize>,
    /// How sure the type is.
    pub basis: Basis,
}

/// Type of a text element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeafType {
    /// One of `values`; `seen` are accepted with a warning.
    Enum {
        /// The values of the tables.
        values: Vec<String>,
        /// Values that some list names and others do not.
        seen: Vec<String>,
    },
    /// A comma list of `values` (DigestSchema in 1.1).
    EnumList(Vec<String>),
    /// `T` or `F`.
    Bool,
    /// Decimal digits within these bounds.
    Uint {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Text that one side chose.
    Token,
    /// Any text.
    Text,
    /// Base64 of RFC 2045.
    Base64,
    /// A URI.
    Uri,
    /// ISO 8601 date and time.
    DateTime,
    /// A media type.
    Mime,
    /// A language of ISO 639.
    Language,
    /// A user address, `wv:user@domain`.
    UserAddress,
    /// A group address, `wv:user/group@domain`.
    GroupAddress,
    /// A contact list address, `wv:user/list@domain`.
    ContactListAddress,
    /// A phone number.
    Msisdn,
    /// A host name or address.
    Host,
    /// A domain name.
    Domain,
    /// Content of a message.
    Content,
    /// Offset from UTC.
    TimeZone,
    /// Degrees, minutes, seconds and a letter.
    Geo,
    /// A country of ISO 3166-1, two letters.
    Country,
    /// Given by the parent element (PresenceValue).
    ByParent,
}

/// One presence attribute.
#[derive(Debug, Clone)]
pub struct PresenceAttribute {
    /// Element name.
    pub name: String,
    /// First version that has it.
    pub since: Version,
    /// Whether it describes the client (or the user).
    pub of_client: bool,
    /// Type of PresenceValue below it, where it has one.
    pub value: Option<(LeafType, Basis)>,
}

/// One primitive.
#[derive(Debug, Clone)]
pub struct Primitive {
    /// Element name.
    pub name: String,
    /// Who may send it.
    pub from: Vec<Role>,
    /// In which modes.
    pub modes: Vec<Mode>,
    /// Primitives that answer it.
    pub answers: Vec<String>,
    /// Codes that its answer (or its own Result) may carry beyond the generic ones.
    pub codes: Vec<u16>,
    /// Service-tree codes.
    pub functions: Vec<String>,
    /// First version that has it.
    pub since: Version,
}

/// One result code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CodeRow {
    /// Three digits.
    pub code: u16,
    /// First version that has it.
    pub since: Version,
    /// In our words.
    pub meaning: String,
    /// Where it is used.
    pub used_in: String,
}

/// One feature of the service tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Element name.
    pub name: String,
    /// Marker of 1.2 that stands for the mandatory functions.
    pub marker: Option<Marker>,
    /// Function groups.
    pub groups: Vec<FunctionGroup>,
}

/// A marker of the service tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Element name.
    pub code: String,
    /// First version that has it.
    pub since: Version,
}

/// One function group of the service tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionGroup {
    /// Element name.
    pub name: String,
    /// First version that has it; 1.1 when left out.
    pub since: Option<Version>,
    /// Functions.
    pub functions: Vec<Function>,
}

/// One function of the service tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Element name.
    pub code: String,
    /// First version that has it.
    pub since: Version,
    /// In our words.
    pub meaning: String,
}

/// The texts of the syntax tables, each with the name that errors show.
#[derive(Debug, Clone, Copy)]
pub struct SyntaxFiles<'a> {
    /// `csp-elements.yaml`
    pub elements: (&'a str, &'a str),
    /// `csp-leaves.yaml`
    pub leaves: (&'a str, &'a str),
    /// `csp-presence.yaml`
    pub presence: (&'a str, &'a str),
    /// `csp-primitives.yaml`
    pub primitives: (&'a str, &'a str),
    /// `csp-codes.yaml`
    pub codes: (&'a str, &'a str),
    /// `csp-service-tree.yaml`
    pub service_tree: (&'a str, &'a str),
}

impl Syntax {
    /// Loads all syntax tables.
    ///
    /// # Errors
    /// The first mistake: file, line, what is wrong.
    pub fn load(files: &SyntaxFiles<'_>) -> Result<Self, FileError> {
        let mut syntax = Syntax {
            elements: BTreeMap::new(),
            leaves: BTreeMap::new(),
            presence: Vec::new(),
            primitives: Vec::new(),
            codes: BTreeMap::new(),
            generic: Vec::new(),
            generic_before_login: Vec::new(),
            features: Vec::new(),
        };
        syntax.load_elements(files.elements)?;
        syntax.load_leaves(files.leaves)?;
        syntax.load_presence(files.presence)?;
        syntax.load_primitives(files.primitives)?;
        syntax.load_codes(files.codes)?;
        syntax.load_service_tree(files.service_tree)?;
        syntax.check_references(files.elements.0)?;
        Ok(syntax)
    }

    /// Loads all syntax tables from a set of files: the embedded ones, or those of `--tables`.
    ///
    /// # Errors
    /// A table that is missing, and every mistake that [`Syntax::load`] finds.
    pub fn from_files(files: &FileSet) -> Result<Self, FileError> {
        let file = |name: &str| {
            files.get(name).ok_or_else(|| {
                FileError::new(name, 0, "this table is missing").fix(
                    "put it into the directory of --tables, or leave --tables out to use the embedded one",
                )
            })
        };
        Self::load(&SyntaxFiles {
            elements: file("csp-elements.yaml")?,
            leaves: file("csp-leaves.yaml")?,
            presence: file("csp-presence.yaml")?,
            primitives: file("csp-primitives.yaml")?,
            codes: file("csp-codes.yaml")?,
            service_tree: file("csp-service-tree.yaml")?,
        })
    }

    /// The content of an element.
    pub fn element(&self, version: Version, group: Group, name: &str) -> Option<&ElementRow> {
        self.elements.get(&(version, group, name.to_owned()))
    }

    /// All elements of a version.
    pub fn elements(&self, version: Version) -> impl Iterator<Item = (Group, &str, &ElementRow)> {
        self.elements
            .iter()
            .filter(move |((v, _, _), _)| *v == version)
            .map(|((_, g, n), row)| (*g, n.as_str(), row))
    }

    /// The type of a text element.
    pub fn leaf(&self, version: Version, group: Group, name: &str) -> Option<&LeafRow> {
        self.leaves.get(&(version, group, name.to_owned()))
    }

    /// The type of a text element below `parent`, with PresenceValue resolved.
    pub fn leaf_below(
        &self,
        version: Version,
        group: Group,
        parent: &str,
        name: &str,
    ) -> Option<(LeafType, Basis)> {
        let row = self.leaf(version, group, name)?;
        if row.kind != LeafType::ByParent {
            return Some((row.kind.clone(), row.basis));
        }
        let attribute = self.presence.iter().find(|a| a.name == parent)?;
        attribute.value.clone()
    }

    /// Presence attributes in their order.
    pub fn presence(&self) -> &[PresenceAttribute] {
        &self.presence
    }

    /// All primitives.
    pub fn primitives(&self) -> &[Primitive] {
        &self.primitives
    }

    /// A primitive by its name.
    pub fn primitive(&self, name: &str) -> Option<&Primitive> {
        self.primitives.iter().find(|p| p.name == name)
    }

    /// A result code.
    pub fn code(&self, code: u16) -> Option<&CodeRow> {
        self.codes.get(&code)
    }

    /// Whether a code is one that any answer may carry.
    pub fn is_generic(&self, code: u16, in_session: bool) -> bool {
        self.generic.contains(&code)
            || (!in_session && self.generic_before_login.contains(&code))
            || code / 100 == 1
    }

    /// The service tree.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    fn load_elements(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Elements>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/syntax/1")?;
        for (i, row) in doc.value.elements.iter().enumerate() {
            for (version, cell) in [(Version::V11, &row.v11), (Version::V12, &row.v12)] {
                let Some(cell) = cell else { continue };
                let key = if version == Version::V11 {
                    "csp-1.1"
                } else {
                    "csp-1.2"
                };
                let path = format!("elements[{i}].{key}");
                let parse = |text: &String| {
                    Model::parse(text).map_err(|e| doc.error(&path, format!("model of {}: {e}", row.name)))
                };
                let value = ElementRow {
                    model: parse(&cell.model)?,
                    also: cell.also.iter().map(parse).collect::<Result<_, _>>()?,
                    tolerated: cell.tolerated.iter().map(parse).collect::<Result<_, _>>()?,
                    grade: cell.grade,
                    reading: row.reading.clone(),
                };
                if self
                    .elements
                    .insert((version, row.group, row.name.clone()), value)
                    .is_some()
                {
                    return Err(doc.error(
                        &format!("elements[{i}]"),
                        format!("{} of group {} stands twice", row.name, row.group),
                    ));
                }
            }
        }
        Ok(())
    }

    fn load_leaves(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Leaves>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/leaves/1")?;
        for (i, row) in doc.value.leaves.iter().enumerate() {
            for (version, cell) in [(Version::V11, &row.v11), (Version::V12, &row.v12)] {
                let Some(cell) = cell else { continue };
                let kind = cell
                    .to_type()
                    .map_err(|e| doc.error(&format!("leaves[{i}]"), format!("{}: {e}", row.name)))?;
                let value = LeafRow {
                    kind,
                    max: row.max,
                    basis: row.certainty.basis(),
                };
                if self
                    .leaves
                    .insert((version, row.group, row.name.clone()), value)
                    .is_some()
                {
                    return Err(doc.error(&format!("leaves[{i}]"), format!("{} stands twice", row.name)));
                }
            }
        }
        Ok(())
    }

    fn load_presence(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Presence>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/presence/1")?;
        for (i, row) in doc.value.attributes.iter().enumerate() {
            let value = match &row.value {
                None => None,
                Some(cell) => {
                    let kind = cell
                        .to_type()
                        .map_err(|e| doc.error(&format!("attributes[{i}].value"), e))?;
                    Some((kind, row.certainty.map_or(Basis::Spec, raw::Certainty::basis)))
                }
            };
            self.presence.push(PresenceAttribute {
                name: row.name.clone(),
                since: row.since.unwrap_or(Version::V11),
                of_client: row.class == raw::Class::Client,
                value,
            });
        }
        Ok(())
    }

    fn load_primitives(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Primitives>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/primitives/1")?;
        for (i, row) in doc.value.primitives.iter().enumerate() {
            if self.primitive(&row.name).is_some() {
                return Err(doc.error(&format!("primitives[{i}]"), format!("{} stands twice", row.name)));
            }
            self.primitives.push(Primitive {
                name: row.name.clone(),
                from: row.from.clone(),
                modes: row
                    .modes
                    .iter()
                    .map(|m| match m {
                        raw::ModeWord::Request => Mode::Request,
                        raw::ModeWord::Response => Mode::Response,
                    })
                    .collect(),
                answers: row.answers.clone(),
                codes: row.codes.clone(),
                functions: row.functions.clone(),
                since: row.since.unwrap_or(Version::V11),
            });
        }
        Ok(())
    }

    fn load_codes(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Codes>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/codes/1")?;
        for (i, row) in doc.value.codes.iter().enumerate() {
            if !(100..=999).contains(&row.code) {
                return Err(doc.error(&format!("codes[{i}].code"), "a code has three digits"));
            }
            if self.codes.insert(row.code, row.clone()).is_some() {
                return Err(doc.error(
                    &format!("codes[{i}].code"),
                    format!("code {} stands twice", row.code),
                ));
            }
        }
        self.generic.clone_from(&doc.value.generic);
        self.generic_before_login
            .clone_from(&doc.value.generic_before_login);
        Ok(())
    }

    fn load_service_tree(&mut self, (file, text): (&str, &str)) -> Result<(), FileError> {
        let doc = yaml::parse::<raw::Tree>(file, text)?;
        format_is(&doc, &doc.value.format, "imps-scr/service-tree/1")?;
        self.features = doc.value.features;
        Ok(())
    }

    /// Every name in a model has a row of its own, every text element a type, every primitive a model.
    fn check_references(&self, file: &str) -> Result<(), FileError> {
        for ((version, group, name), row) in &self.elements {
            for model in std::iter::once(&row.model).chain(&row.also).chain(&row.tolerated) {
                let Model::Children(particle) = model else {
                    continue;
                };
                for child in particle.names() {
                    let known = Group::ALL
                        .iter()
                        .any(|g| self.elements.contains_key(&(*version, *g, child.to_owned())));
                    if !known {
                        return Err(FileError::new(
                            file,
                            0,
                            format!("the model of {name} in {version} names {child}, which has no row"),
                        ));
                    }
                }
            }
            if row.model == Model::Text && !self.leaves.contains_key(&(*version, *group, name.clone())) {
                return Err(FileError::new(
                    file,
                    0,
                    format!("the text element {name} in {version} has no type"),
                ));
            }
        }
        for primitive in &self.primitives {
            if self.element(Version::V12, Group::Trc, &primitive.name).is_none() {
                return Err(FileError::new(
                    file,
                    0,
                    format!("the primitive {} has no model", primitive.name),
                ));
            }
        }
        Ok(())
    }
}

fn format_is<T>(doc: &yaml::Document<T>, found: &str, expected: &str) -> Result<(), FileError> {
    if found == expected {
        return Ok(());
    }
    Err(doc
        .error("format", format!("format `{found}` is not known here"))
        .fix(format!("this version reads `{expected}`")))
}

mod raw {
    //! The files as written.

    use serde::Deserialize;

    use super::super::types::{Basis, Grade, Group, Role, Version};
    use super::{CodeRow, Feature, LeafType};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Elements {
        pub format: String,
        pub elements: Vec<Element>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Element {
        pub name: String,
        pub group: Group,
        #[serde(rename = "csp-1.1")]
        pub v11: Option<Cell>,
        #[serde(rename = "csp-1.2")]
        pub v12: Option<Cell>,
        pub reading: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Cell {
        pub grade: Grade,
        pub model: String,
        #[serde(default)]
        pub also: Vec<String>,
        #[serde(default)]
        pub tolerated: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Leaves {
        pub format: String,
        pub leaves: Vec<Leaf>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Leaf {
        pub name: String,
        pub group: Group,
        pub certainty: Certainty,
        #[serde(rename = "wbxml")]
        pub _wbxml: WbxmlForm,
        pub max: Option<usize>,
        #[serde(rename = "csp-1.1")]
        pub v11: Option<LeafCell>,
        #[serde(rename = "csp-1.2")]
        pub v12: Option<LeafCell>,
    }

    #[derive(Deserialize, Clone, Copy)]
    #[serde(rename_all = "kebab-case")]
    pub enum WbxmlForm {
        Str,
        Int,
        Ext,
        Datetime,
        StrOrOpaque,
    }

    #[derive(Deserialize, Clone, Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum Certainty {
        Spec,
        Impl,
        Open,
    }

    impl Certainty {
        /// Read in implementations only counts as one source: their number per row is not known.
        pub fn basis(self) -> Basis {
            match self {
                Certainty::Spec => Basis::Spec,
                Certainty::Impl => Basis::One,
                Certainty::Open => Basis::Open,
            }
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct LeafCell {
        #[serde(rename = "type")]
        pub kind: String,
        #[serde(default)]
        pub values: Vec<String>,
        #[serde(default)]
        pub seen: Vec<String>,
        pub range: Option<(u64, u64)>,
    }

    impl LeafCell {
        pub fn to_type(&self) -> Result<LeafType, String> {
            let values = || {
                if self.values.is_empty() {
                    Err("an enumeration without values".to_owned())
                } else {
                    Ok(self.values.clone())
                }
            };
            Ok(match self.kind.as_str() {
                "enum" => LeafType::Enum {
                    values: values()?,
                    seen: self.seen.clone(),
                },
                "enum-list" => LeafType::EnumList(values()?),
                "bool" => LeafType::Bool,
                "uint" => {
                    let (min, max) = self.range.ok_or("a uint without a range")?;
                    if min > max {
                        return Err(format!("the range [{min}, {max}] is empty"));
                    }
                    LeafType::Uint { min, max }
                }
                "token" => LeafType::Token,
                "string" => LeafType::Text,
                "base64" => LeafType::Base64,
                "uri" => LeafType::Uri,
                "datetime" => LeafType::DateTime,
                "mime" => LeafType::Mime,
                "language" => LeafType::Language,
                "user-address" => LeafType::UserAddress,
                "group-address" => LeafType::GroupAddress,
                "contactlist-address" => LeafType::ContactListAddress,
                "msisdn" => LeafType::Msisdn,
                "host" => LeafType::Host,
                "domain" => LeafType::Domain,
                "content" => LeafType::Content,
                "timezone" => LeafType::TimeZone,
                "geo" => LeafType::Geo,
                "country" => LeafType::Country,
                "by-parent" => LeafType::ByParent,
                other => return Err(format!("unknown type `{other}`")),
            })
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Presence {
        pub format: String,
        pub attributes: Vec<Attribute>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Attribute {
        pub name: String,
        pub class: Class,
        pub since: Option<Version>,
        pub value: Option<LeafCell>,
        pub certainty: Option<Certainty>,
    }

    #[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
    #[serde(rename_all = "lowercase")]
    pub enum Class {
        Client,
        User,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Primitives {
        pub format: String,
        pub primitives: Vec<PrimitiveRow>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PrimitiveRow {
        pub name: String,
        pub from: Vec<Role>,
        pub modes: Vec<ModeWord>,
        #[serde(default)]
        pub answers: Vec<String>,
        #[serde(default)]
        pub codes: Vec<u16>,
        #[serde(default)]
        pub functions: Vec<String>,
        pub since: Option<Version>,
    }

    #[derive(Deserialize, Clone, Copy)]
    pub enum ModeWord {
        Request,
        Response,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    pub struct Codes {
        pub format: String,
        pub generic: Vec<u16>,
        pub generic_before_login: Vec<u16>,
        pub codes: Vec<CodeRow>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Tree {
        pub format: String,
        pub features: Vec<Feature>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tables_load() {
        let syntax = Syntax::from_files(&FileSet::tables()).unwrap();
        assert!(syntax.primitive("Login-Request").is_some());
    }

    #[test]
    fn a_missing_table_is_named() {
        let error = Syntax::from_files(&FileSet::new(Vec::new())).unwrap_err();
        assert_eq!(error.file, "csp-elements.yaml");
        assert!(!error.fix.is_empty());
    }
}
