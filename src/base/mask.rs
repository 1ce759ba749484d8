//! Masking of secrets. One masker is made per run from the profile; every output passes through it.
//!
//! Two nets, because either alone leaks: secret-bearing *elements* (`Password`, `DigestBytes`,
//! `SecretToken`) lose their content wherever they stand, also in text that is not well formed; and
//! known secret *values* are replaced wherever they turn up, say when a peer echoes a password in a
//! description.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Elements whose content is a secret, whatever their prefix. `Nonce` is not one: it travels with
/// the challenge and is worthless without the password.
const SECRET_ELEMENTS: [&str; 4] = ["Password", "DigestBytes", "SecretToken", "PasswordDigest"];

/// HTTP header fields whose value is never shown.
const SECRET_HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Replaces secrets in text. Cheap to clone is not needed: share it by reference.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    keep: bool,
    /// In small letters, longest first, so that a secret that contains another is replaced whole.
    values: Vec<String>,
    /// Digests that were sent: like passwords, but nobody knows them before the run.
    learned: Arc<RwLock<BTreeSet<String>>>,
    /// Passwords that clients sent and no profile names.
    passwords: Arc<RwLock<BTreeSet<String>>>,
}

/// Most digests that are remembered; a run sends a few dozen.
const MAX_LEARNED: usize = 1_000;
/// Most passwords that are remembered; a client under test logs in as a handful of users.
const MAX_PASSWORDS: usize = 100;
/// Shortest password that is remembered: shorter ones would shred every text.
const MIN_PASSWORD: usize = 4;
/// Shortest text that can be a digest in base64: 16 octets without padding.
const MIN_DIGEST: usize = 22;

impl Masker {
    /// A masker for these secret values; with `keep` it passes everything (`--keep-secrets`).
    /// Values shorter than three characters are not searched for, they would shred every text.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>, keep: bool) -> Self {
        let mut set = BTreeSet::new();
        for secret in secrets {
            for form in forms(secret) {
                if form.chars().count() >= 3 {
                    set.insert(form.to_ascii_lowercase());
                }
            }
        }
        let mut values: Vec<String> = set.into_iter().collect();
        values.sort_by_key(|v| std::cmp::Reverse(v.len()));
        Self {
            keep,
            values,
            learned: Arc::default(),
            passwords: Arc::default(),
        }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        if self.keep {
            return text.to_owned();
        }
        let mut out = mask_header_lines(mask_elements(text));
        let mut folded = out.to_ascii_lowercase();
        for value in &self.values {
            // Peers repeat in capitals or small letters what came otherwise.
            if folded.contains(value.as_str()) {
                out = replace_folded(&out, &folded, value);
                folded = out.to_ascii_lowercase();
            }
        }
        // A panic elsewhere leaves a set of whole texts: it stays usable.
        for value in self
            .learned
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .rev()
        {
            if out.contains(value.as_str()) {
                out = out.replace(value.as_str(), MASK);
            }
        }
        for value in self
            .passwords
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .rev()
        {
            out = replace_words(out, value);
        }
        out
    }

    /// Remembers the digests and passwords of a request, so that they are masked where a peer repeats
    /// them, too. What cannot be a digest is not remembered, and a password is masked only where it
    /// stands as a word of its own that is no part of a name or path: a peer must not choose which words
    /// are hidden.
    pub fn learn(&self, request: &[u8]) {
        if self.keep {
            return;
        }
        let text = String::from_utf8_lossy(request);
        for password in contents(&text, "Password") {
            let whole = password.chars().count() >= MIN_PASSWORD;
            if whole && !self.values.contains(&password.to_ascii_lowercase()) {
                let mut passwords = self.passwords.write().unwrap_or_else(PoisonError::into_inner);
                if passwords.len() < MAX_PASSWORDS {
                    passwords.insert(password.to_owned());
                }
            }
        }
        let proofs = ["DigestBytes", "PasswordDigest", "SecretToken"];
        for digest in proofs.into_iter().flat_map(|name| contents(&text, name)) {
            // Either alphabet of Base64 (RFC 4648): tokens are often written in the second.
            let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
            if digest.len() >= MIN_DIGEST && digest.bytes().all(base64) {
                let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
                if learned.len() < MAX_LEARNED {
                    learned.insert(digest.to_owned());
                    learned.insert(digest.trim_end_matches('=').to_owned());
                }
            }
        }
    }

    /// A header value, masked whole when the field carries credentials.
    pub fn header(&self, name: &str, value: &str) -> String {
        if !self.keep && SECRET_HEADERS.iter().any(|h| name.eq_ignore_ascii_case(h)) {
            return MASK.to_owned();
        }
        self.text(value)
    }
}

/// The text behind each start tag that ends with this name, up to the next tag.
fn contents<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        rest = &rest[at + name.len()..];
        // A longer name is another element.
        let ends = rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace());
        let Some(content) = rest.find('>').filter(|_| ends) else {
            continue;
        };
        rest = &rest[content + 1..];
        out.push(rest[..rest.find('<').unwrap_or(rest.len())].trim());
    }
    out
}

/// Masks a text where it stands as a word of its own.
fn replace_words(text: String, word: &str) -> String {
    if !text.contains(word) {
        return text;
    }
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut before = None;
    while let Some(at) = rest.find(word) {
        let (head, tail) = rest.split_at(at);
        let after = &tail[word.len()..];
        let previous = head.chars().next_back().or(before);
        let inner = previous.is_some_and(|c| part_of_name(c) || c == '<')
            || after.chars().next().is_some_and(part_of_name)
                // The end of an element is no end of a name: `>word</Name>`.
                && !after.starts_with("</");
        out.push_str(head);
        out.push_str(if inner { word } else { MASK });
        before = word.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The ways one secret may be spelled in a message or a report.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    let escaped = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let more = escaped.replace('"', "&quot;").replace('\'', "&apos;");
    let coded = base64::engine::general_purpose::STANDARD.encode(secret);
    let each = |plain: fn(char) -> bool, spell: &dyn Fn(char) -> String| -> String {
        let one = |c: char| if plain(c) { c.to_string() } else { spell(c) };
        secret.chars().map(one).collect()
    };
    let marks = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'');
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let percent = |c: char| {
        let mut octets = [0; 4];
        let octets = c.encode_utf8(&mut octets).bytes();
        octets.map(|b| format!("%{b:02x}")).collect()
    };
    let query = each(safe, &percent).replace("%20", "+");
    vec![
        escaped,
        more,
        coded,
        each(marks, &|c| format!("&#{};", u32::from(c))),
        each(marks, &|c| format!("&#x{:x};", u32::from(c))),
        each(char::is_alphanumeric, &|c| format!("&#{};", u32::from(c))),
        each(safe, &percent),
        query,
        secret.to_owned(),
    ]
}

/// Replaces what is `value` in the text folded to small letters, which has the same length.
fn replace_folded(text: &str, folded: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in folded.match_indices(value) {
        out.push_str(&text[from..at]);
        out.push_str(MASK);
        from = at + value.len();
    }
    out.push_str(&text[from..]);
    out
}

/// Masks the values of secret header fields in a head that was kept as text, with its line ends as they are
/// or written out.
fn mask_header_lines(text: String) -> String {
    let folded = text.to_ascii_lowercase();
    if !SECRET_HEADERS.iter().any(|h| folded.contains(h)) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let ends = ["\r", "\n", "\\r", "\\n"];
    while from < text.len() {
        let rest = &folded[from..];
        let end = ends
            .iter()
            .filter_map(|e| rest.find(e))
            .min()
            .unwrap_or(rest.len());
        let field = SECRET_HEADERS.iter().find(|name| {
            let value = rest.strip_prefix(**name);
            value.is_some_and(|v| v.trim_start_matches(' ').starts_with(':'))
        });
        match field {
            Some(name) => {
                out.push_str(&text[from..from + name.len()]);
                out.push_str(": ");
                out.push_str(MASK);
            }
            None => out.push_str(&text[from..from + end]),
        }
        from += end;
        let mark = ends.iter().find(|e| folded[from..].starts_with(**e));
        let width = mark.map_or(0, |m| m.len());
        out.push_str(&text[from..from + width]);
        from += width;
    }
    out
}

/// Replaces the content of secret elements by scanning, not by parsing: a message that no parser
/// takes is exactly the one that gets printed.
fn mask_elements(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..=open]);
        rest = &rest[open + 1..];
        let Some(name_len) = secret_tag(rest) else {
            continue;
        };
        let Some(close) = rest[name_len..].find('>') else {
            // An unterminated start tag: whatever follows may be the secret.
            out.push_str(&rest[..name_len]);
            out.push_str(MASK);
            return out;
        };
        let content_at = name_len + close + 1;
        let start_tag = &rest[..content_at];
        let local = start_tag[..name_len].rsplit(':').next().unwrap_or("").to_owned();
        // Attributes of a secret element have no business there, and may be where somebody put it.
        let attributes = start_tag[name_len..].trim_end_matches('>').trim_end_matches('/');
        if attributes.trim().is_empty() {
            out.push_str(start_tag);
        } else {
            let end = if start_tag.ends_with("/>") { "/>" } else { ">" };
            out.push_str(&format!("{} {MASK}{end}", &start_tag[..name_len]));
        }
        let closed = start_tag.ends_with("/>");
        rest = &rest[content_at..];
        if closed {
            continue;
        }
        let end = end_of_content(rest, &local);
        if !rest[..end].trim().is_empty() {
            out.push_str(MASK);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The length of a secret element's name with prefix at the start of `rest`, if one stands there.
fn secret_tag(rest: &str) -> Option<usize> {
    let end = rest
        .find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/')
        .unwrap_or(rest.len());
    let local = rest[..end].rsplit(':').next().unwrap_or("");
    SECRET_ELEMENTS
        .iter()
        .any(|e| e.eq_ignore_ascii_case(local))
        .then_some(end)
}

/// Content ends at the next end tag; without one everything is treated as content. CDATA sections
/// and comments may hold a `</`, so they are skipped whole.
fn end_of_content(rest: &str, local: &str) -> usize {
    let mut at = 0;
    while let Some(next) = rest[at..].find('<') {
        let here = at + next;
        let tail = &rest[here..];
        if let Some(end) = tail.strip_prefix("</") {
            let name = &end[..end
                .find(|c: char| c == '>' || c.is_ascii_whitespace())
                .unwrap_or(end.len())];
            if name.rsplit(':').next().unwrap_or("").eq_ignore_ascii_case(local) {
                return here;
            }
        }
        let skip = if tail.starts_with("<![CDATA[") {
            tail.find("]]>").map(|e| e + 3)
        } else if tail.starts_with("<!--") {
            tail.find("-->").map(|e| e + 3)
        } else {
            Some(1)
        };
        match skip {
            Some(n) => at = here + n,
            None => return rest.len(),
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_elements_lose_their_content() {
        let m = Masker::default();
        assert_eq!(
            m.text("<a><Password>x&amp;y</Password><x:DigestBytes a='1'>QQ==</x:DigestBytes></a>"),
            "<a><Password>***</Password><x:DigestBytes ***>***</x:DigestBytes></a>"
        );
        assert_eq!(
            m.text("<Password/><Password></Password>"),
            "<Password/><Password></Password>"
        );
        assert_eq!(
            m.text("<Password><![CDATA[a</b]]></Password>"),
            "<Password>***</Password>"
        );
        assert_eq!(m.text("<Password>cut of"), "<Password>***");
        assert_eq!(
            m.text("<Password>A<b>x</b>LEAK</Password>"),
            "<Password>***</Password>"
        );
        assert_eq!(m.text("<Password x=\"LEAK\"/>"), "<Password ***/>");
        assert_eq!(m.text("<Password "), "<Password***");
        assert_eq!(
            m.text("<PasswordHint>a</PasswordHint>"),
            "<PasswordHint>a</PasswordHint>"
        );
    }

    #[test]
    fn a_secret_is_masked_however_it_is_spelled() {
        let m = Masker::new(["Hun<ter&2 'x"], false);
        for spelled in [
            "Hun<ter&2 'x",
            "hun<TER&2 'X",
            "Hun&lt;ter&amp;2 &apos;x",
            "Hun&#60;ter&#38;2 &#39;x",
            "Hun&#x3C;ter&#x26;2 &#x27;x",
            "Hun%3Cter%262%20%27x",
            "hun%3cter%262+%27x",
            "SHVuPHRlciYyICd4",
        ] {
            assert_eq!(m.text(&format!("a {spelled} b")), "a *** b", "{spelled}");
        }
        assert_eq!(
            m.text("HTTP/1.1 200 x\r\nX-<b>: y\r\nSet-Cookie: sid=top\r\nCOOKIE : a\r\n\r\nSet-Cookies go"),
            "HTTP/1.1 200 x\r\nX-<b>: y\r\nSet-Cookie: ***\r\nCOOKIE: ***\r\n\r\nSet-Cookies go"
        );
        assert_eq!(
            m.text("a\\r\\nAuthorization: b\\r\\nc"),
            "a\\r\\nAuthorization: ***\\r\\nc"
        );
    }

    #[test]
    fn digests_that_were_sent_are_masked_where_they_are_repeated() {
        let m = Masker::default();
        let digest = "rL0Y20zC+Fzt72VPzMSk2A==";
        m.learn(format!("<x:DigestBytes a='1'> {digest}\n</x:DigestBytes><DigestBytes").as_bytes());
        m.learn(b"<DigestBytes>conformance</DigestBytes><DigestBytes/>");
        assert_eq!(m.text(&format!("got {digest} of you")), "got *** of you");
        assert_eq!(m.text("the conformance"), "the conformance");
    }

    #[test]
    fn passwords_that_were_sent_are_masked_where_they_are_repeated() {
        let m = Masker::default();
        m.learn(b"<Login-Request><Password>hunter22</Password><x:Password a='b'>Status</x:Password>");
        m.learn(b"<Password/><Password>abc</Password><PasswordHint>hint-of-it</PasswordHint>");
        assert_eq!(
            m.text("<Alias>hunter22</Alias> `hunter22`, xhunter22x hint-of-it abc"),
            "<Alias>***</Alias> `***`, xhunter22x hint-of-it abc"
        );
        assert_eq!(m.text("<Status/> at /a/Status/b"), "<Status/> at /a/Status/b");
        let kept = Masker::new([], true);
        kept.learn(b"<Password>hunter22</Password>");
        assert_eq!(kept.text("hunter22"), "hunter22");
    }

    #[test]
    fn known_values_are_masked_in_every_spelling() {
        let m = Masker::new(["a<b&c", "xy"], false);
        assert_eq!(
            m.text("echo a<b&c and a&lt;b&amp;c and YTxiJmM= xy"),
            "echo *** and *** and *** xy"
        );
        assert_eq!(m.header("Authorization", "Basic abc"), "***");
        assert_eq!(Masker::new(["secret"], true).text("secret"), "secret");
    }
}
