//! Text that a peer sent, made harmless for the place where it is shown. HTML is escaped by the
//! template engine, JSON by its writer; here is what is left: terminals and XML 1.0.

use std::borrow::Cow;

/// Text for a terminal or a log line: control and format characters (ESC, bidirectional overrides,
/// line separators) become `\u{..}`, so that no escape sequence of a peer reaches the terminal.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`plain`], but keeps line feeds and turns tabs into blanks: for multi-line excerpts.
pub fn lines(text: &str) -> String {
    text.split('\n')
        .map(|l| plain(&l.trim_end_matches('\r').replace('\t', " ")).into_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Shortens to at most `max` characters, with an ellipsis that counts what was cut.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!(
            "{}… ({} more characters)",
            &text[..at],
            text[at..].chars().count()
        )),
    }
}

/// Text for an XML 1.0 report: characters that XML cannot carry even as references become `\u{..}`.
pub fn xml10(text: &str) -> Cow<'_, str> {
    let bad = |c: char| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
    if !text.chars().any(bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| {
                if bad(c) {
                    format!("\\u{{{:x}}}", c as u32)
                } else {
                    c.to_string()
                }
            })
            .collect(),
    )
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_survive() {
        assert_eq!(plain("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(plain("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(lines("a\tb\r\nc\u{7}"), "a b\nc\\u{7}");
        assert_eq!(xml10("a\u{1b}b\u{ffff}"), "a\\u{1b}b\\u{ffff}");
    }

    #[test]
    fn shortening_counts_what_it_cut() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äbcd", 2), "äb… (2 more characters)");
    }
}
