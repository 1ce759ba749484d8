//! Octets to text: byte order marks, the rules of XML 1.0 appendix F, and the few character sets that
//! CSP peers use.

use super::place::Places;
use super::{Problem, ProblemKind};
use crate::base::escape;
use crate::message::Position;

/// Text with what is known of its encoding.
#[derive(Debug)]
pub(super) struct Decoded {
    pub text: String,
    pub charset: &'static str,
    pub declared: Option<String>,
    pub byte_order_mark: bool,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// UTF-16 whose octet order the mark or the first octets tell.
    Utf16,
    Ascii,
    Latin1,
}

impl Charset {
    fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "UTF-8",
            Charset::Utf16Le => "UTF-16LE",
            Charset::Utf16Be => "UTF-16BE",
            Charset::Utf16 => "UTF-16",
            Charset::Ascii => "US-ASCII",
            Charset::Latin1 => "ISO-8859-1",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Charset::Utf8,
            "utf-16le" => Charset::Utf16Le,
            "utf-16be" => Charset::Utf16Be,
            "utf-16" | "utf16" | "iso-10646-ucs-2" | "ucs-2" => Charset::Utf16,
            "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "iso_646.irv:1991" => Charset::Ascii,
            "iso-8859-1" | "iso_8859-1" | "iso8859-1" | "latin1" | "l1" => Charset::Latin1,
            _ => return None,
        })
    }

    fn is_wide(self) -> bool {
        matches!(self, Charset::Utf16 | Charset::Utf16Le | Charset::Utf16Be)
    }

    /// Whether text in `self` is also text in `other`, so that naming both is no contradiction.
    fn fits(self, other: Charset) -> bool {
        self == other || (self.is_wide() && other == Charset::Utf16)
    }
}

/// Decodes a document. What the octets themselves show (a byte order mark, the pattern of `<` in
/// UTF-16) wins over the Content-Type, and that over the XML declaration, as RFC 7303 orders them.
pub(super) fn decode(octets: &[u8], content_type: Option<&str>) -> Decoded {
    let (seen, mark) = sniff(octets);
    let body = &octets[mark..];
    let mut problems = Vec::new();
    let start = Position { line: 1, column: 1 };

    let outer = content_type.map(str::trim).filter(|c| !c.is_empty());
    let outer_set = outer.and_then(Charset::of);
    if let (Some(name), None) = (outer, outer_set) {
        problems.push(charset(
            start,
            false,
            format!(
                "the Content-Type names the unknown character set `{}`",
                shown(name)
            ),
        ));
    }

    // A first guess is enough to read the declaration, which is ASCII in every one of the sets.
    let head = match seen {
        Some(Charset::Utf16Le | Charset::Utf16Be) => {
            utf16(&body[..body.len().min(1024)], seen == Some(Charset::Utf16Be)).0
        }
        _ => body.iter().take(512).map(|b| char::from(*b)).collect(),
    };
    let declared = declared_encoding(&head);
    let declared_set = declared.as_deref().and_then(Charset::of);
    if let (Some(name), None) = (&declared, declared_set) {
        problems.push(charset(
            start,
            false,
            format!(
                "the XML declaration names the unknown character set `{}`",
                shown(name)
            ),
        ));
    }

    // A narrow document cannot be UTF-16 whatever it says: sniffing would have seen it.
    let narrow = |set: Option<Charset>| set.filter(|s| !s.is_wide());
    let used = seen
        .or_else(|| narrow(outer_set))
        .or_else(|| narrow(declared_set))
        .unwrap_or_else(|| {
            if declared.is_some() && declared_set.is_none() && std::str::from_utf8(body).is_err() {
                Charset::Latin1
            } else {
                Charset::Utf8
            }
        });
    for (what, set) in [
        ("the Content-Type", outer_set),
        ("the XML declaration", declared_set),
    ] {
        if let Some(set) = set
            && !used.fits(set)
        {
            problems.push(charset(
                start,
                false,
                format!("{what} says {}, but the text is {}", set.name(), used.name()),
            ));
        }
    }
    if used.is_wide() && mark == 0 && !matches!(outer_set, Some(Charset::Utf16Le | Charset::Utf16Be)) {
        problems.push(charset(
            start,
            false,
            format!("{} without a byte order mark", used.name()),
        ));
    }

    let (text, bad) = match used {
        Charset::Utf8 => utf8(body),
        Charset::Utf16Le => utf16(body, false),
        Charset::Utf16Be | Charset::Utf16 => utf16(body, true),
        Charset::Ascii => narrow_text(body, 0x7F),
        Charset::Latin1 => narrow_text(body, 0xFF),
    };
    if let Some((offset, octet, count)) = bad {
        let more = if count > 1 {
            format!(", and {} more like it", count - 1)
        } else {
            String::new()
        };
        problems.push(charset(
            Places::of(&text).at(offset),
            true,
            format!("octets that are not {}: {octet}{more}", used.name()),
        ));
    }
    Decoded {
        text,
        charset: used.name(),
        declared,
        byte_order_mark: mark > 0,
        problems,
    }
}

fn charset(position: Position, fatal: bool, text: String) -> Problem {
    Problem {
        kind: ProblemKind::Charset,
        fatal,
        position,
        text,
    }
}

fn shown(name: &str) -> String {
    escape::plain(&escape::shorten(name, 40)).into_owned()
}

/// The set that the first octets show, and the length of the byte order mark.
fn sniff(octets: &[u8]) -> (Option<Charset>, usize) {
    match octets {
        [0xEF, 0xBB, 0xBF, ..] => (Some(Charset::Utf8), 3),
        [0xFE, 0xFF, ..] => (Some(Charset::Utf16Be), 2),
        [0xFF, 0xFE, ..] => (Some(Charset::Utf16Le), 2),
        // `<` or white space in UTF-16; a zero octet is in no narrow document.
        [0x3C | 0x20 | 0x09 | 0x0A | 0x0D, 0x00, next, ..] if *next != 0 => (Some(Charset::Utf16Le), 0),
        [0x00, 0x3C | 0x20 | 0x09 | 0x0A | 0x0D, ..] => (Some(Charset::Utf16Be), 0),
        _ => (None, 0),
    }
}

/// The value of `encoding` in an XML declaration.
fn declared_encoding(head: &str) -> Option<String> {
    let rest = head.trim_start().strip_prefix("<?xml")?;
    let declaration = &rest[..rest.find("?>")?];
    let after = &declaration[declaration.find("encoding")? + "encoding".len()..];
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = &value[1..];
    Some(value[..value.find(quote)?].to_owned())
}

/// The first bad place: its offset in the decoded text, the octets, and how many places there are.
type Bad = Option<(usize, String, usize)>;

fn note(bad: &mut Bad, offset: usize, what: impl FnOnce() -> String) {
    match bad {
        Some((_, _, count)) => *count += 1,
        None => *bad = Some((offset, what(), 1)),
    }
}

fn utf8(octets: &[u8]) -> (String, Bad) {
    let mut text = String::with_capacity(octets.len());
    let mut bad = None;
    for chunk in octets.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            note(&mut bad, text.len(), || hex(chunk.invalid()));
            text.push('\u{FFFD}');
        }
    }
    (text, bad)
}

fn utf16(octets: &[u8], big_endian: bool) -> (String, Bad) {
    let mut text = String::with_capacity(octets.len() / 2);
    let mut bad = None;
    let pairs = octets.chunks_exact(2);
    let rest = pairs.remainder();
    let units = pairs.map(|p| {
        if big_endian {
            u16::from_be_bytes([p[0], p[1]])
        } else {
            u16::from_le_bytes([p[0], p[1]])
        }
    });
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => text.push(c),
            Err(e) => {
                note(&mut bad, text.len(), || {
                    format!("the lone surrogate {:04X}", e.unpaired_surrogate())
                });
                text.push('\u{FFFD}');
            }
        }
    }
    if !rest.is_empty() {
        note(&mut bad, text.len(), || {
            format!("half a character at the end, {}", hex(rest))
        });
    }
    (text, bad)
}

/// US-ASCII and ISO-8859-1: each octet is the character of the same number.
fn narrow_text(octets: &[u8], last: u8) -> (String, Bad) {
    let mut text = String::with_capacity(octets.len());
    let mut bad = None;
    for &octet in octets {
        if octet <= last {
            text.push(char::from(octet));
        } else {
            note(&mut bad, text.len(), || hex(&[octet]));
            text.push('\u{FFFD}');
        }
    }
    (text, bad)
}

fn hex(octets: &[u8]) -> String {
    let digits: Vec<String> = octets.iter().map(|o| format!("{o:02X}")).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wide(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    }

    #[test]
    fn every_set_is_read() {
        let plain = "<a>ä€</a>";
        for (octets, outer, charset, problems) in [
            (plain.as_bytes().to_vec(), None, "UTF-8", 0),
            ([b"\xEF\xBB\xBF", plain.as_bytes()].concat(), None, "UTF-8", 0),
            (
                [b"\xFF\xFE".to_vec(), wide(plain, false)].concat(),
                None,
                "UTF-16LE",
                0,
            ),
            (
                [b"\xFE\xFF".to_vec(), wide(plain, true)].concat(),
                Some("utf-16"),
                "UTF-16BE",
                0,
            ),
            (wide(plain, false), None, "UTF-16LE", 1),
            (wide(plain, true), Some("UTF-16BE"), "UTF-16BE", 0),
            (wide(plain, true), Some("UTF-8"), "UTF-16BE", 2),
        ] {
            let decoded = decode(&octets, outer);
            assert_eq!(decoded.text, plain);
            assert_eq!(decoded.charset, charset);
            assert_eq!(decoded.problems.len(), problems, "{:?}", decoded.problems);
        }
    }

    #[test]
    fn latin1_is_not_windows_1252() {
        let decoded = decode(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\x80\xE4</a>",
            None,
        );
        assert!(decoded.text.ends_with("<a>\u{80}ä</a>"));
        assert!(decoded.problems.is_empty());
        assert_eq!(decoded.declared.as_deref(), Some("ISO-8859-1"));
    }

    #[test]
    fn contradictions_and_unknown_names_are_problems() {
        let octets = b"<?xml version='1.0' encoding='UTF-8'?><a/>";
        assert_eq!(decode(octets, Some("iso-8859-1")).problems.len(), 1);
        assert!(
            decode(octets, Some("klingon")).problems[0]
                .text
                .contains("klingon")
        );
        let utf16 = b"<?xml version='1.0' encoding='UTF-16'?><a/>";
        let decoded = decode(utf16, None);
        assert_eq!(decoded.charset, "UTF-8");
        assert_eq!(decoded.problems.len(), 1);
    }

    #[test]
    fn invalid_octets_have_a_place() {
        let decoded = decode(b"<a>\n\xC3\x28\xFF</a>", None);
        assert_eq!(decoded.text, "<a>\n\u{FFFD}(\u{FFFD}</a>");
        assert_eq!(decoded.problems[0].position.to_string(), "2:1");
        assert!(decoded.problems[0].fatal);
        assert!(decoded.problems[0].text.contains("C3, and 1 more"));
        assert_eq!(decode(b"<a>\xE4</a>", Some("us-ascii")).problems.len(), 1);
    }

    proptest! {
        #[test]
        fn any_octets_decode(octets in proptest::collection::vec(any::<u8>(), 0..300), mark in 0..4usize) {
            let marks: [&[u8]; 4] = [b"", b"\xFF\xFE", b"\xFE\xFF", b"\xEF\xBB\xBF"];
            decode(&[marks[mark], &octets[..]].concat(), None);
        }

        #[test]
        fn mutated_utf16_decodes(text in ".{0,40}", at in any::<prop::sample::Index>(), octet: u8, big: bool) {
            let mut octets = wide(&format!("<a>{text}</a>"), big);
            let at = at.index(octets.len());
            octets[at] = octet;
            decode(&octets, None);
            decode(&octets[..at], None);
        }
    }
}
