//! Names of the CREQ notation: `ScrItem` (`WSP-CO-C-001`) and `ScrGroup` (`WSP:MCF`). Both are
//! parsed from the right, because specification names hold hyphens (`OMA-ERDEF-IMPS-C-001`).

use std::fmt;

use crate::base::escape::{plain, shorten};

use super::types::{Role, Status};

/// How the spelling of an item relates to the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemForm {
    /// Name, perhaps groups, `C` or `S`, three digits.
    Strict,
    /// The same with the status behind, as tables have it since 2006: `XYZ-C-001-M`.
    Suffixed,
    /// Another single letter where the device type stands: `WMLSCrypt-A-001`.
    OtherDevice,
    /// No device type: `WMLS-17`, `WIM-ICC-001`.
    NoDevice,
    /// Device type and number are one part: `WTLS-S001`.
    GluedDevice,
    /// Two digits: `WML-C-54`.
    TwoDigits,
}

impl ItemForm {
    /// Whether the grammar has this form.
    pub fn is_strict(self) -> bool {
        matches!(self, ItemForm::Strict | ItemForm::Suffixed)
    }

    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemForm::Strict => "strict",
            ItemForm::Suffixed => "strict, with the status behind",
            ItemForm::OtherDevice => "another device letter",
            ItemForm::NoDevice => "no device type",
            ItemForm::GluedDevice => "device type glued to the number",
            ItemForm::TwoDigits => "two digits",
        }
    }
}

/// Name of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScrItem {
    text: String,
    name: String,
    group: Option<String>,
    device: Option<char>,
    number: u16,
    status: Option<Status>,
    form: ItemForm,
}

impl ScrItem {
    /// Parses a name from the right; blanks beside a hyphen are dropped, the rest of the spelling stays.
    ///
    /// # Errors
    /// Which part does not fit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spelling = close_blanks(text);
        let shown = || shorten(&plain(&spelling), 60).into_owned();
        let mut parts: Vec<&str> = spelling.split('-').collect();
        if let Some(bad) = parts
            .iter()
            .find(|p| p.is_empty() || !p.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            return Err(if bad.is_empty() {
                format!("`{}` has an empty part", shown())
            } else {
                format!("`{}` is not letters, digits and hyphens", shown())
            });
        }
        let status = match parts.last() {
            Some(&"M") => Some(Status::Mandatory),
            Some(&"O") => Some(Status::Optional),
            _ => None,
        };
        if status.is_some() {
            parts.pop();
        }
        let no_number = || format!("`{}` does not end in a number such as 001", shown());
        let last = parts.pop().ok_or_else(no_number)?;
        let glued = last
            .starts_with(|c: char| c.is_ascii_alphabetic())
            .then(|| last.split_at(1));
        let (device, digits) = match glued {
            Some((letter, digits)) => (letter.chars().next(), digits),
            None => (None, last),
        };
        if !(2..=3).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(no_number());
        }
        let number = digits.parse().map_err(|_| no_number())?;
        let two = digits.len() == 2;
        let (device, form) = if device.is_some() {
            (device, ItemForm::GluedDevice)
        } else {
            let letter = parts
                .last()
                .filter(|p| parts.len() > 1 && p.len() == 1)
                .and_then(|p| p.chars().next());
            match letter {
                Some(letter) => {
                    parts.pop();
                    let form = match letter {
                        'C' | 'S' if two => ItemForm::TwoDigits,
                        'C' | 'S' if status.is_some() => ItemForm::Suffixed,
                        'C' | 'S' => ItemForm::Strict,
                        _ => ItemForm::OtherDevice,
                    };
                    (Some(letter), form)
                }
                None => (None, ItemForm::NoDevice),
            }
        };
        if parts.is_empty() {
            return Err(format!("`{}` has no specification name", shown()));
        }
        let name = parts.remove(0).to_owned();
        if !name.bytes().any(|b| b.is_ascii_alphabetic()) {
            return Err(format!("`{}` has no letter in its specification name", shown()));
        }
        let group = (!parts.is_empty()).then(|| parts.join("-"));
        Ok(Self {
            name,
            group,
            device,
            number,
            status,
            form,
            text: spelling,
        })
    }

    /// The name as written, without blanks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The specification: `WSP` of `WSP-CO-C-001`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands between name and device type: `CO` of `WSP-CO-C-001`, `UA-P` of `WAG-UA-P-S-010`.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The device letter, where there is one.
    pub fn device(&self) -> Option<char> {
        self.device
    }

    /// The side that the device letter stands for; none for other letters.
    pub fn role(&self) -> Option<Role> {
        role_of(self.device?)
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The status of the newer spelling, `XYZ-C-001-M`.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// How the spelling relates to the grammar.
    pub fn form(&self) -> ItemForm {
        self.form
    }
}

impl fmt::Display for ScrItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// All mandatory, or all optional, features of a side of a specification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScrGroup {
    text: String,
    name: String,
    group: Option<String>,
    role: Role,
    status: Status,
}

impl ScrGroup {
    /// Parses `WSP:MCF`, or `WSP-CO-C-MCF` for one group of a specification. None when the text does
    /// not have the shape of a group at all, and may be an item.
    ///
    /// # Errors
    /// What is wrong with a text that can only be a group.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let spelling = close_blanks(text);
        let shown = || shorten(&plain(&spelling), 60).into_owned();
        let colon = spelling.rfind(':');
        let cut = match colon {
            Some(at) => at,
            None => match spelling.rfind('-') {
                Some(at) if feature(&spelling[at + 1..]).is_some() => at,
                _ => return Ok(None),
            },
        };
        let (role, status) = feature(&spelling[cut + 1..])
            .ok_or_else(|| format!("`{}` does not end in :MCF, :OCF, :MSF or :OSF", shown()))?;
        let mut parts: Vec<&str> = spelling[..cut].split('-').collect();
        if parts
            .iter()
            .any(|p| p.is_empty() || !p.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            return Err(format!("`{}` is not letters, digits and hyphens", shown()));
        }
        let device = match parts.last() {
            Some(&p @ ("C" | "S")) if parts.len() > 1 => p.chars().next().and_then(role_of),
            _ => None,
        };
        let (name, group) = match device {
            None if colon.is_none() => {
                return Err(format!(
                    "`{}` has no device type before its feature type",
                    shown()
                ));
            }
            // `W-HTTP:MCF`: the whole is the name.
            None => (spelling[..cut].to_owned(), None),
            Some(found) if found != role => {
                return Err(format!("`{}` names both client and server", shown()));
            }
            Some(_) => {
                parts.pop();
                let name = parts.remove(0).to_owned();
                (name, (!parts.is_empty()).then(|| parts.join("-")))
            }
        };
        Ok(Some(Self {
            name,
            group,
            role,
            status,
            text: spelling,
        }))
    }

    /// The group as written, without blanks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The specification.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group within the specification, when only one is meant.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Whose features.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Mandatory or optional features.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether an item with this name, role and status belongs to the group.
    pub fn contains(&self, item: &ScrItem, status: Status) -> bool {
        item.name() == self.name
            && item.role() == Some(self.role)
            && status == self.status
            && (self.group.is_none() || self.group.as_deref() == item.group())
    }
}

impl fmt::Display for ScrGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn feature(text: &str) -> Option<(Role, Status)> {
    Some(match text {
        "MCF" => (Role::Client, Status::Mandatory),
        "OCF" => (Role::Client, Status::Optional),
        "MSF" => (Role::Server, Status::Mandatory),
        "OSF" => (Role::Server, Status::Optional),
        _ => return None,
    })
}

fn role_of(device: char) -> Option<Role> {
    match device {
        'C' => Some(Role::Client),
        'S' => Some(Role::Server),
        _ => None,
    }
}

/// Drops blanks at the ends and beside hyphens and colons: long names are printed over two lines.
pub(super) fn close_blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !(out.is_empty() || out.ends_with(['-', ':']) || word.starts_with(['-', ':'])) {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn items_are_parsed_from_the_right() {
        for (text, name, group, device, number, form) in [
            (
                "OMA-ERDEF-IMPS-C-001",
                "OMA",
                Some("ERDEF-IMPS"),
                Some('C'),
                1,
                ItemForm::Strict,
            ),
            (
                "WAG-UA-P-S-010",
                "WAG",
                Some("UA-P"),
                Some('S'),
                10,
                ItemForm::Strict,
            ),
            ("WIM-C-029", "WIM", None, Some('C'), 29, ItemForm::Strict),
            ("XYZ-C-001-M", "XYZ", None, Some('C'), 1, ItemForm::Suffixed),
            (
                "XYZ-G-S-001-O",
                "XYZ",
                Some("G"),
                Some('S'),
                1,
                ItemForm::Suffixed,
            ),
            ("WMLS-17", "WMLS", None, None, 17, ItemForm::NoDevice),
            ("WIM-ICC-001", "WIM", Some("ICC"), None, 1, ItemForm::NoDevice),
            ("WTLS-S001", "WTLS", None, Some('S'), 1, ItemForm::GluedDevice),
            (
                "HTTP-C-C002",
                "HTTP",
                Some("C"),
                Some('C'),
                2,
                ItemForm::GluedDevice,
            ),
            ("WML-C-54", "WML", None, Some('C'), 54, ItemForm::TwoDigits),
            (
                "WMLSCrypt-A-001",
                "WMLSCrypt",
                None,
                Some('A'),
                1,
                ItemForm::OtherDevice,
            ),
            (
                "WPKI-Portal-S- 001",
                "WPKI",
                Some("Portal"),
                Some('S'),
                1,
                ItemForm::Strict,
            ),
            ("C-C-001", "C", None, Some('C'), 1, ItemForm::Strict),
        ] {
            let item = ScrItem::parse(text).unwrap();
            assert_eq!(
                (
                    item.name(),
                    item.group(),
                    item.device(),
                    item.number(),
                    item.form()
                ),
                (name, group, device, number, form),
                "{text}"
            );
            assert_eq!(item.to_string(), text.replace(' ', ""));
        }
        assert_eq!(
            ScrItem::parse("XYZ-C-001-M").unwrap().status(),
            Some(Status::Mandatory)
        );
        for text in [
            "",
            "-",
            "M",
            "C-M",
            "001",
            "WSP",
            "WSP-C-1",
            "WSP-C-0001",
            "WSP--001",
            "WSP C-001",
            "WSP-C-001x",
            "A-C-01 A-C-02",
            "12-C-001",
            "é-C-001",
        ] {
            assert!(ScrItem::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn groups_know_side_and_status() {
        let parse = |t: &str| ScrGroup::parse(t).unwrap().unwrap();
        let g = parse("W-HTTP:MCF");
        assert_eq!((g.name(), g.group(), g.role()), ("W-HTTP", None, Role::Client));
        let g = parse("WSP-CO-S-OSF");
        assert_eq!(
            (g.name(), g.group(), g.role(), g.status()),
            ("WSP", Some("CO"), Role::Server, Status::Optional)
        );
        assert_eq!(parse("WSP-CO-S:OSF").group(), Some("CO"));
        assert_eq!(parse("WTP: MSF").as_str(), "WTP:MSF");
        assert_eq!(ScrGroup::parse("WSP-C-001"), Ok(None));
        for text in ["WSP:XYZ", ":MCF", "WSP-CO-C:MSF", "WSP-MCF", "A B:MCF"] {
            assert!(ScrGroup::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = ScrItem::parse(&text);
            let _ = ScrGroup::parse(&text);
        }

        #[test]
        fn spelling_survives(text in "[A-Za-z][A-Za-z0-9]{0,6}(-[A-Z]{2,4}){0,2}-[CS]-[0-9]{3}(-[MO])?") {
            let item = ScrItem::parse(&text).unwrap();
            prop_assert!(item.form().is_strict());
            prop_assert_eq!(item.as_str(), &text);
        }
    }
}
