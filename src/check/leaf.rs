//! Types of text elements. Each function judges one trimmed text; what the printed examples of the
//! specification themselves get wrong is a warning, never a breach.

use super::rule::Rule;
use crate::base::escape;
use crate::spec::syntax::LeafType;

/// How a text fits its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeafVerdict {
    /// It fits.
    Ok,
    /// Readers take it, writers should not send it.
    Warn(String),
    /// It does not fit.
    Breach(String),
}

use LeafVerdict::{Breach, Ok, Warn};

/// Judges a text by its type. White space around it does not count.
pub fn check(kind: &LeafType, text: &str) -> LeafVerdict {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    match kind {
        LeafType::Enum { values, seen } => one_of(values, seen, text),
        LeafType::EnumList(values) => text
            .split(',')
            .map(|part| one_of(values, &[], part.trim()))
            .find(|v| *v != Ok)
            .unwrap_or(Ok),
        LeafType::Bool => boolean(text),
        LeafType::Uint { min, max } => uint(*min, *max, text),
        LeafType::Token | LeafType::Text | LeafType::Content | LeafType::ByParent => Ok,
        LeafType::Base64 => base64(text),
        LeafType::Uri => uri(text),
        LeafType::DateTime => super::date::check(text),
        LeafType::Mime => mime(text),
        LeafType::Language => language(text),
        LeafType::UserAddress => super::address::user(text),
        LeafType::GroupAddress => super::address::group(text),
        LeafType::ContactListAddress => super::address::contact_list(text),
        LeafType::Msisdn => super::address::msisdn(text),
        LeafType::Host => super::address::host(text),
        LeafType::Domain => super::address::domain(text),
        LeafType::TimeZone => time_zone(text),
        LeafType::Geo => geo(text),
        LeafType::Country => country(text),
    }
}

/// The rule that a type belongs to; `None` for types that take any text.
pub fn rule(kind: &LeafType) -> Option<Rule> {
    Some(match kind {
        LeafType::Enum { .. } | LeafType::EnumList(_) | LeafType::Bool => Rule::TypeBool,
        LeafType::Uint { .. } => Rule::TypeUint,
        LeafType::UserAddress
        | LeafType::GroupAddress
        | LeafType::ContactListAddress
        | LeafType::Msisdn
        | LeafType::Host
        | LeafType::Domain => Rule::TypeAddress,
        LeafType::DateTime => Rule::TypeDate,
        LeafType::Base64
        | LeafType::Mime
        | LeafType::Language
        | LeafType::Uri
        | LeafType::TimeZone
        | LeafType::Geo
        | LeafType::Country => Rule::TypeForm,
        LeafType::Token | LeafType::Text | LeafType::Content | LeafType::ByParent => return None,
    })
}

/// A text in a sentence: escaped, shortened, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", escape::plain(&escape::shorten(text, 40)))
}

fn one_of(values: &[String], seen: &[String], text: &str) -> LeafVerdict {
    if values.iter().any(|v| v == text) {
        return Ok;
    }
    if seen.iter().any(|v| v == text) {
        return Warn(format!("{} is in some lists of values only", quoted(text)));
    }
    if let Some(value) = values.iter().find(|v| v.eq_ignore_ascii_case(text)) {
        return Breach(format!("{} is written {value}", quoted(text)));
    }
    if text.is_empty() {
        return Breach(format!("empty, expected one of {}", values.join(" ")));
    }
    Breach(format!("{} is not one of {}", quoted(text), values.join(" ")))
}

fn boolean(text: &str) -> LeafVerdict {
    match text {
        "T" | "F" => Ok,
        // The specification prints an empty InUse.
        "" => Warn("empty, expected T or F".to_owned()),
        _ => Breach(format!("{} is not T or F", quoted(text))),
    }
}

fn uint(min: u64, max: u64, text: &str) -> LeafVerdict {
    let out_of_range = || format!("{} is not within {min} to {max}", quoted(text));
    let within = |n: Result<u64, std::num::ParseIntError>| n.is_ok_and(|n| (min..=max).contains(&n));
    if let Some(hex) = text
        .strip_prefix("0x")
        .filter(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        // The specification prints hexadecimal SearchIDs.
        return if within(u64::from_str_radix(hex, 16)) {
            Warn(format!(
                "{} is hexadecimal, expected decimal digits",
                quoted(text)
            ))
        } else {
            Breach(out_of_range())
        };
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Breach(format!("{} is not a number in decimal digits", quoted(text)));
    }
    if !within(text.parse()) {
        return Breach(out_of_range());
    }
    if text.len() > 1 && text.starts_with('0') {
        return Warn(format!("{} has leading zeros", quoted(text)));
    }
    Ok
}

fn base64(text: &str) -> LeafVerdict {
    let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let data = compact.iter().take_while(|b| **b != b'=').count();
    let padding = compact.len() - data;
    let stray = compact[..data]
        .iter()
        .find(|b| !(b.is_ascii_alphanumeric() || matches!(**b, b'+' | b'/')));
    if stray.is_some() || compact[data..].iter().any(|b| *b != b'=') {
        return Breach(format!("{} is not Base64", quoted(text)));
    }
    if !compact.len().is_multiple_of(4) || padding > 2 {
        // Placeholders of the printed examples have the letters but not the length.
        return Warn(format!(
            "{} has the letters of Base64, but {} of them, which is not a multiple of four",
            quoted(text),
            compact.len()
        ));
    }
    Ok
}

fn uri(text: &str) -> LeafVerdict {
    if text.is_empty() {
        return Warn("empty, expected a URI".to_owned());
    }
    let bad = |c: char| !(c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c));
    if let Some(c) = text.chars().find(|c| c.is_ascii() && bad(*c)) {
        return Breach(format!(
            "{} is not a URI: {c:?} is not allowed in one",
            quoted(text)
        ));
    }
    if !text.is_ascii() {
        return Warn(format!("{} has characters that a URI escapes", quoted(text)));
    }
    let broken = text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Breach(format!(
            "{} is not a URI: a `%` without two hexadecimal digits",
            quoted(text)
        ));
    }
    Ok
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

fn mime(text: &str) -> LeafVerdict {
    if text.is_empty() {
        return Warn("empty, expected a media type".to_owned());
    }
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let fits = essence
        .split_once('/')
        .is_some_and(|(t, s)| is_token(t) && is_token(s));
    if !fits {
        return Breach(format!("{} is not a media type", quoted(text)));
    }
    // A semicolon may stand in a quoted value; such a parameter is taken as it is.
    if !text.contains('"') {
        for parameter in parts {
            let good = parameter
                .trim()
                .split_once('=')
                .is_some_and(|(name, value)| is_token(name.trim()) && is_token(value.trim()));
            if !good {
                return Warn(format!(
                    "{} has a parameter that is not `name=value`",
                    quoted(text)
                ));
            }
        }
    }
    Ok
}

fn language(text: &str) -> LeafVerdict {
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_lowercase()) {
        return Ok;
    }
    if (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Warn(format!(
            "{} is not three lower-case letters of ISO 639-2",
            quoted(text)
        ));
    }
    Breach(format!("{} is not a language of ISO 639-2", quoted(text)))
}

fn country(text: &str) -> LeafVerdict {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok;
    }
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Warn(format!("{} is not in upper case", quoted(text)));
    }
    Breach(format!(
        "{} is not a country of ISO 3166, two letters",
        quoted(text)
    ))
}

fn time_zone(text: &str) -> LeafVerdict {
    let offset = text.strip_prefix(['+', '-']).unwrap_or("");
    let digits = offset.replacen(':', "", 1);
    let range = |from: usize, to: usize, most: u32| {
        digits
            .get(from..to)
            .is_none_or(|d| d.parse::<u32>().is_ok_and(|n| n <= most))
    };
    if matches!(digits.len(), 2 | 4) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return if range(0, 2, 14) && range(2, 4, 59) {
            Ok
        } else {
            Breach(format!("{} is no offset from UTC", quoted(text)))
        };
    }
    if text == "Z" || (digits.len() == 1 && digits.bytes().all(|b| b.is_ascii_digit())) {
        return Warn(format!("{} is not written as `+02`", quoted(text)));
    }
    Breach(format!(
        "{} is not an offset from UTC such as `+02`",
        quoted(text)
    ))
}

/// `35 24 15.652W`: degrees, minutes, seconds and the letter of the hemisphere.
fn geo(text: &str) -> LeafVerdict {
    let wrong = || {
        Breach(format!(
            "{} is not degrees, minutes, seconds and a letter of NSEW",
            quoted(text)
        ))
    };
    let Some(body) = text.strip_suffix(['N', 'S', 'E', 'W']) else {
        return wrong();
    };
    let parts: Vec<&str> = body.split_ascii_whitespace().collect();
    let number = |part: &str, most: f64| {
        part.bytes().all(|b| b.is_ascii_digit() || b == b'.') && part.parse::<f64>().is_ok_and(|n| n <= most)
    };
    let [degrees, minutes, seconds] = parts[..] else {
        return wrong();
    };
    let most = if text.ends_with(['N', 'S']) { 90.0 } else { 180.0 };
    if number(degrees, most) && number(minutes, 60.0) && number(seconds, 60.0) {
        Ok
    } else {
        wrong()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(kind: &LeafType, text: &str) -> char {
        match check(kind, text) {
            Ok => 'o',
            Warn(_) => 'w',
            Breach(_) => 'b',
        }
    }

    fn table(kind: &LeafType, rows: &[(&str, char)]) {
        for (text, expected) in rows {
            assert_eq!(letter(kind, text), *expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn booleans_and_enumerations() {
        table(
            &LeafType::Bool,
            &[("T", 'o'), (" F\n", 'o'), ("", 'w'), ("t", 'b'), ("true", 'b')],
        );
        let kind = LeafType::Enum {
            values: vec!["SMS".to_owned(), "HTTP".to_owned()],
            seen: vec!["HTTPS".to_owned()],
        };
        table(
            &kind,
            &[("SMS", 'o'), ("HTTPS", 'w'), ("sms", 'b'), ("", 'b'), ("X", 'b')],
        );
        let list = LeafType::EnumList(vec!["PWD".to_owned(), "MD5".to_owned()]);
        table(&list, &[("PWD,MD5", 'o'), ("PWD, MD5", 'o'), ("PWD,,MD5", 'b')]);
    }

    #[test]
    fn numbers() {
        let kind = LeafType::Uint {
            min: 1,
            max: 4_294_967_295,
        };
        table(
            &kind,
            &[
                ("1", 'o'),
                ("4294967295", 'o'),
                ("4294967296", 'b'),
                ("99999999999999999999999", 'b'),
                ("0", 'b'),
                ("007", 'w'),
                ("0x23829381", 'w'),
                ("0x", 'b'),
                ("0xfffffffffffffffff", 'b'),
                ("+1", 'b'),
                ("-1", 'b'),
                ("", 'b'),
                ("١", 'b'),
            ],
        );
    }

    #[test]
    fn forms() {
        table(
            &LeafType::Base64,
            &[
                ("QUJD", 'o'),
                ("QUI=", 'o'),
                ("QU\n I=", 'o'),
                ("BASE64EncodedDataHere", 'w'),
                ("Q=B=", 'b'),
                ("Ä", 'b'),
            ],
        );
        table(
            &LeafType::Uri,
            &[
                ("http://a.b/c?d=%20", 'o'),
                ("*5b\\\\", 'b'),
                ("a b", 'b'),
                ("a%2", 'b'),
                ("", 'w'),
            ],
        );
        table(
            &LeafType::Mime,
            &[
                ("text/plain; charset=us-ascii", 'o'),
                ("application/x-sms", 'o'),
                ("text", 'b'),
                ("text/plain; x", 'w'),
            ],
        );
        table(
            &LeafType::Language,
            &[("fin", 'o'), ("en", 'w'), ("FIN", 'w'), ("finnish", 'b')],
        );
        table(&LeafType::Country, &[("GB", 'o'), ("gb", 'w'), ("GBR", 'b')]);
        table(
            &LeafType::TimeZone,
            &[
                ("+02", 'o'),
                ("-0530", 'o'),
                ("+05:30", 'o'),
                ("+2", 'w'),
                ("2", 'b'),
                ("+99", 'b'),
                ("+ä", 'b'),
                ("+0ä", 'b'),
            ],
        );
        table(
            &LeafType::Geo,
            &[
                ("35 24 15.652W", 'o'),
                ("12 36 22.5N", 'o'),
                ("95 0 0N", 'b'),
                ("35W", 'b'),
                ("", 'b'),
            ],
        );
    }
}
