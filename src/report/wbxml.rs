//! Masking inside WBXML, without decoding it. The masker knows text; in a binary message the name
//! of a secret element is a token, so the octets are walked just far enough to know where strings
//! stand and inside which element. Whatever is not understood makes the walk give up: a body that
//! cannot be searched is withheld rather than shown.

use super::shown::keeps_secrets;
use crate::base::mask::{MASK, Masker};

/// Elements of the CSP token tables whose content is a secret, as code page and tag:
/// `DigestBytes` and `Password`. The tokens are the same in 1.1 and 1.2. SSP, whose `SecretToken`
/// is the third, has no binary form.
const SECRET_TAGS: [(u8, u8); 2] = [(0x01, 0x0E), (0x01, 0x21)];

const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const ENTITY: u8 = 0x02;
const STR_I: u8 = 0x03;
const EXT_I: [u8; 3] = [0x40, 0x41, 0x42];
const PI: u8 = 0x43;
const EXT_T: [u8; 3] = [0x80, 0x81, 0x82];
const STR_T: u8 = 0x83;
const EXT: [u8; 3] = [0xC0, 0xC1, 0xC2];
const OPAQUE: u8 = 0xC3;
const HAS_ATTRIBUTES: u8 = 0x80;
const HAS_CONTENT: u8 = 0x40;
/// Tags whose name stands in the string table, with their content and attribute bits cleared.
const LITERAL: u8 = 0x04;

/// IANA numbers of character sets in which a zero octet ends a string and ASCII is itself; 0 is
/// "unknown" in WBXML, which CSP reads as UTF-8.
const NARROW_CHARSETS: [u32; 4] = [0, 3, 4, 106];

/// The message with every secret replaced, still well-formed WBXML; `None` when it could not be
/// walked to its end.
pub fn mask(body: &[u8], masker: &Masker) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: body };
    reader.octet()?;
    if reader.number()? == 0 {
        reader.number()?;
    }
    if !NARROW_CHARSETS.contains(&reader.number()?) {
        return None;
    }
    let table_len = usize::try_from(reader.number()?).ok()?;
    let head_len = body.len() - reader.rest.len();
    let table = reader.take(table_len)?;
    // A table may hold a secret that a token refers to. Its offsets must not move, so a table with
    // a known secret is beyond repair.
    if lossy_differs(table, masker) {
        return None;
    }
    let mut walk = Walk {
        masker,
        out: body[..head_len + table_len].to_vec(),
        page: 0,
        open: 0,
        secret_since: None,
    };
    while !reader.rest.is_empty() {
        walk.token(&mut reader)?;
    }
    // The last line of defence: a known secret that the walk did not meet as one string.
    (!lossy_differs(&walk.out, masker)).then_some(walk.out)
}

/// Secret *elements* are names in text, which no token stream holds by chance, so the masker as a
/// whole is asked.
fn lossy_differs(octets: &[u8], masker: &Masker) -> bool {
    let text = String::from_utf8_lossy(octets);
    masker.text(&text) != text
}

struct Walk<'a> {
    masker: &'a Masker,
    out: Vec<u8>,
    page: u8,
    /// Elements that are open.
    open: usize,
    /// How many were open when a secret element began.
    secret_since: Option<usize>,
}

impl Walk<'_> {
    fn token(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let token = reader.octet()?;
        match token {
            SWITCH_PAGE => {
                self.page = reader.octet()?;
                self.out.extend([token, self.page]);
            }
            END => {
                self.open = self.open.checked_sub(1)?;
                if self.secret_since == Some(self.open) {
                    self.secret_since = None;
                }
                self.out.push(token);
            }
            STR_I => {
                let text = reader.string()?;
                self.out.push(token);
                let safe = self.safe(text);
                self.out.extend(safe);
                self.out.push(0);
            }
            OPAQUE => {
                let len = usize::try_from(reader.number()?).ok()?;
                let data = reader.take(len)?;
                let safe = self.safe(data);
                self.out.push(token);
                write_number(&mut self.out, safe.len());
                self.out.extend(safe);
            }
            // In a secret element these carry the secret, and they cannot be replaced in place.
            ENTITY | STR_T => {
                let number = reader.number()?;
                if self.hides() {
                    return None;
                }
                self.out.push(token);
                write_number(&mut self.out, usize::try_from(number).ok()?);
            }
            t if EXT_T.contains(&t) => {
                let number = reader.number()?;
                if self.hides() {
                    return None;
                }
                self.out.push(t);
                write_number(&mut self.out, usize::try_from(number).ok()?);
            }
            t if EXT.contains(&t) => self.out.push(t),
            t if EXT_I.contains(&t) || t == PI => return None,
            // CSP has no attributes in its token tables, and a literal name may be a secret one.
            t if t & HAS_ATTRIBUTES != 0 || t & 0x3F == LITERAL => return None,
            tag => {
                if tag & HAS_CONTENT != 0 {
                    if self.secret_since.is_none() && SECRET_TAGS.contains(&(self.page, tag & 0x3F)) {
                        self.secret_since = Some(self.open);
                    }
                    self.open += 1;
                }
                self.out.push(tag);
            }
        }
        Some(())
    }

    fn hides(&self) -> bool {
        self.secret_since.is_some() && !keeps_secrets(self.masker)
    }

    fn safe(&self, data: &[u8]) -> Vec<u8> {
        if self.hides() {
            return MASK.as_bytes().to_vec();
        }
        match std::str::from_utf8(data) {
            Ok(text) => self.masker.text(text).into_bytes(),
            Err(_) if lossy_differs(data, self.masker) => MASK.as_bytes().to_vec(),
            Err(_) => data.to_vec(),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A multi-octet integer: seven bits an octet, at most 32 bits.
    fn number(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..5 {
            let octet = self.octet()?;
            value = value.checked_mul(128)?.checked_add(u32::from(octet & 0x7F))?;
            if octet & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Up to the zero octet, which is consumed.
    fn string(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|b| *b == 0)?;
        let text = self.take(end)?;
        self.octet()?;
        Some(text)
    }
}

fn write_number(out: &mut Vec<u8>, value: usize) {
    let mut groups = Vec::new();
    let mut value = value;
    loop {
        groups.push((value & 0x7F) as u8);
        value >>= 7;
        if value == 0 {
            break;
        }
    }
    while let Some(group) = groups.pop() {
        out.push(if groups.is_empty() { group } else { group | 0x80 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 4] = [0x03, 0x10, 0x6A, 0x00];

    fn message(parts: &[&[u8]]) -> Vec<u8> {
        let mut all = HEAD.to_vec();
        all.extend(parts.concat());
        all
    }

    #[test]
    fn secret_elements_lose_their_content_and_the_rest_stays() {
        let body = message(&[b"\x49\x00\x01\x61\x03abc\x00\x01\x4e\xc3\x02QQ\x01\x03ok\x00\x01"]);
        let safe = mask(&body, &Masker::default()).unwrap();
        assert_eq!(
            safe,
            message(&[b"\x49\x00\x01\x61\x03***\x00\x01\x4e\xc3\x03***\x01\x03ok\x00\x01"])
        );
        assert_eq!(mask(&body, &Masker::new([], true)).unwrap(), body);
    }

    #[test]
    fn the_same_token_on_another_page_is_no_secret() {
        let body = message(&[b"\x49\x61\x03abc\x00\x01\x01"]);
        assert_eq!(mask(&body, &Masker::default()).unwrap(), body);
        let echoed = mask(&body, &Masker::new(["abc"], false)).unwrap();
        assert_eq!(echoed, message(&[b"\x49\x61\x03***\x00\x01\x01"]));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            b"\x49\x00\x01\x61\x83\x00\x01\x01".as_slice(),
            b"\x44\x00\x03abc\x00\x01",
            b"\x49\x03abc",
            b"\x49\xc3\x7f",
            b"\x01",
            b"\xc9\x01\x01",
        ] {
            assert_eq!(mask(&message(&[bad]), &Masker::default()), None, "{bad:x?}");
        }
        assert_eq!(
            mask(b"\x03\x10\x87\x68\x00\x09", &Masker::default()),
            None,
            "UTF-16"
        );
        assert_eq!(mask(b"", &Masker::default()), None);
    }
}
