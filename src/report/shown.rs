//! An exchange as it may be shown: masked first, then cut. Page and transcript share it, so that
//! what one hides the other hides too.

use std::borrow::Cow;

use serde::Serialize;

use super::wbxml;
use crate::base::limits::MAX_SHOWN_BODY;
use crate::base::mask::Masker;
use crate::record::{Archived, Exchange, Failure, HttpMessage, Initiator, Loss, Moment};

/// One exchange, safe to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownExchange {
    /// Number within the case, from 1.
    pub number: u32,
    /// `tester` or `iut`: who asked.
    pub initiator: &'static str,
    /// Milliseconds since the run began.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where it stands in a case for a client that is made to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moment: Option<Moment>,
    /// The request.
    pub request: ShownMessage,
    /// The response, when a full one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ShownMessage>,
    /// Why there is no response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was read of an answer that is not HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<ShownBody>,
}

/// One HTTP message, safe to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownMessage {
    /// Request line or status line.
    pub start: String,
    /// Header fields in order, as pairs.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: ShownBody,
}

/// Octets, safe to keep: at most one of `text`, `base64` and `withheld` is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ShownBody {
    /// The full length in octets, as it was on the wire.
    pub octets: usize,
    /// The body as text, when it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body in base64, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Why the body is not shown at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Cow<'static, str>>,
    /// Whether secrets were masked, so that the octets are not those of the wire.
    #[serde(skip_serializing_if = "is_false")]
    pub masked: bool,
    /// Whether masking took line breaks away, so that line numbers are not those of the wire.
    #[serde(skip)]
    pub lines_moved: bool,
    /// Whether less than everything is shown.
    #[serde(skip_serializing_if = "is_false")]
    pub cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl ShownExchange {
    /// Masks and cuts.
    pub fn new(exchange: &Exchange, masker: &Masker) -> Self {
        masker.learn(&exchange.request.body);
        let (response, failure, raw) = match &exchange.response {
            Ok(response) => (Some(ShownMessage::new(response, masker)), None, None),
            Err(failure) => {
                let raw = match failure {
                    Failure::NotHttp(_, octets) => Some(ShownBody::new(octets, "", masker)),
                    _ => None,
                };
                (None, Some(masker.text(&failure.to_string())), raw)
            }
        };
        Self {
            number: exchange.number,
            initiator: match exchange.initiator {
                Initiator::Tester => "tester",
                Initiator::Iut => "iut",
            },
            started_ms: exchange.started_ms,
            duration_ms: exchange.duration_ms,
            moment: exchange.moment,
            request: ShownMessage::new(&exchange.request, masker),
            response,
            failure,
            raw,
        }
    }

    /// Masks and cuts, and tells what an archive had done to the bodies before.
    pub fn told_again(exchange: &Exchange, archived: Option<&Archived>, masker: &Masker) -> Self {
        let mut shown = Self::new(exchange, masker);
        if let Some(archived) = archived {
            shown.request.body.lost(&archived.request);
            let answer = match &mut shown.response {
                Some(response) => Some(&mut response.body),
                None => shown.raw.as_mut(),
            };
            if let Some(body) = answer {
                body.lost(&archived.answer);
            }
        }
        shown
    }

    /// How much memory its texts take, for a budget.
    pub fn octets(&self) -> usize {
        self.request.octets()
            + self.response.as_ref().map_or(0, ShownMessage::octets)
            + self.failure.as_ref().map_or(0, String::len)
            + self.raw.as_ref().map_or(0, ShownBody::kept)
    }
}

impl ShownMessage {
    fn new(message: &HttpMessage, masker: &Masker) -> Self {
        let media_type = message.media_type().unwrap_or_default();
        Self {
            start: masker.text(&message.start),
            headers: message
                .headers
                .iter()
                .map(|(name, value)| (masker.text(name), masker.header(name, value)))
                .collect(),
            body: ShownBody::new(&message.body, &media_type, masker),
        }
    }

    fn octets(&self) -> usize {
        self.start.len()
            + self.headers.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>()
            + self.body.kept()
    }
}

impl ShownBody {
    /// Masks, then cuts to [`MAX_SHOWN_BODY`]: in the other order half a secret could stay.
    fn new(body: &[u8], media_type: &str, masker: &Masker) -> Self {
        let octets = body.len();
        if octets == 0 {
            return Self::default();
        }
        if media_type.contains("wbxml") || looks_like_wbxml(body) {
            return match wbxml::mask(body, masker) {
                Some(safe) => Self::binary(octets, &safe, safe != body),
                None if keeps_secrets(masker) => Self::binary(octets, body, false),
                None => Self {
                    octets,
                    withheld: Some(Cow::Borrowed("binary that could not be searched for secrets")),
                    ..Self::default()
                },
            };
        }
        match std::str::from_utf8(body) {
            Ok(text) => {
                let safe = masker.text(text);
                let end = floor_char_boundary(&safe, MAX_SHOWN_BODY);
                Self {
                    octets,
                    masked: safe != text,
                    lines_moved: safe.matches('\n').count() != text.matches('\n').count(),
                    cut: end < safe.len(),
                    text: Some(safe[..end].to_owned()),
                    ..Self::default()
                }
            }
            Err(_) if hides_a_secret(body, masker) => Self {
                octets,
                withheld: Some(Cow::Borrowed("not UTF-8, and a secret stands in it")),
                ..Self::default()
            },
            Err(_) => Self::binary(octets, body, false),
        }
    }

    fn lost(&mut self, loss: &Loss) {
        self.octets = loss.octets;
        self.masked |= loss.masked;
        self.cut |= loss.cut;
        if let Some(why) = &loss.withheld {
            self.withheld = Some(Cow::Owned(why.clone()));
        }
    }

    fn binary(octets: usize, body: &[u8], masked: bool) -> Self {
        use base64::Engine as _;
        let end = body.len().min(MAX_SHOWN_BODY);
        Self {
            octets,
            base64: Some(base64::engine::general_purpose::STANDARD.encode(&body[..end])),
            masked,
            cut: end < body.len(),
            ..Self::default()
        }
    }

    fn kept(&self) -> usize {
        self.text.as_ref().map_or(0, String::len) + self.base64.as_ref().map_or(0, String::len)
    }
}

/// A version of WBXML in the first octet, a public identifier, and a character set: no XML text
/// begins with a control character.
fn looks_like_wbxml(body: &[u8]) -> bool {
    matches!(body.first(), Some(0x01..=0x03)) && body.len() > 3
}

/// Whether the masker lets everything pass; it is asked by what it does to a field that it always
/// hides.
pub(super) fn keeps_secrets(masker: &Masker) -> bool {
    masker.header("authorization", "x") == "x"
}

/// Looks through the usual spellings of octets as text: as UTF-8 with gaps, as Latin-1, and as
/// UTF-16 of both byte orders from either offset.
fn hides_a_secret(body: &[u8], masker: &Masker) -> bool {
    let differs = |text: String| masker.text(&text) != text;
    let wide = |skip: usize, join: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = body[skip.min(body.len())..]
            .chunks_exact(2)
            .map(|pair| join([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    };
    differs(String::from_utf8_lossy(body).into_owned())
        || differs(body.iter().map(|b| char::from(*b)).collect())
        || differs(wide(0, u16::from_le_bytes))
        || differs(wide(0, u16::from_be_bytes))
        || differs(wide(1, u16::from_le_bytes))
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(octets: &[u8], media_type: &str) -> ShownBody {
        ShownBody::new(octets, media_type, &Masker::new(["hunter2"], false))
    }

    #[test]
    fn text_is_masked_and_cut_with_its_length() {
        let long = format!("<Password>a</Password>{}", "ä".repeat(MAX_SHOWN_BODY));
        let shown = body(long.as_bytes(), "application/vnd.wv.csp.xml");
        assert_eq!(shown.octets, long.len());
        assert!(shown.cut && shown.masked);
        let text = shown.text.unwrap();
        assert!(text.starts_with("<Password>***</Password>ä") && text.len() <= MAX_SHOWN_BODY);
    }

    #[test]
    fn secrets_in_other_charsets_withhold_the_body() {
        let wide: Vec<u8> = "<a>hunter2</a>"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let mut marked = vec![0xFE, 0xFF];
        marked.extend(wide);
        assert!(body(&marked, "text/xml").withheld.is_some());
        assert!(body(b"\xff hunter2", "").withheld.is_some());
        assert_eq!(body(b"\xff\xfe", "").base64.as_deref(), Some("//4="));
    }

    proptest! {
        #[test]
        fn any_octets_can_be_shown_and_a_secret_never_is(before in prop::collection::vec(any::<u8>(), 0..40),
                                                   after in prop::collection::vec(any::<u8>(), 0..40),
                                                   binary in any::<bool>()) {
            let mut octets = before;
            octets.extend_from_slice(b"hunter2");
            octets.extend(after);
            let media_type = if binary { "application/vnd.wv.csp.wbxml" } else { "text/xml" };
            let shown = body(&octets, media_type);
            let text = serde_json::to_string(&shown).unwrap();
            prop_assert!(!text.contains("hunter2"));
            if let Some(coded) = &shown.base64 {
                use base64::Engine as _;
                let back = base64::engine::general_purpose::STANDARD.decode(coded).unwrap();
                prop_assert!(!back.windows(7).any(|w| w == b"hunter2"));
            }
        }
    }
}
