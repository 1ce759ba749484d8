//! The line of a finding with a caret below it: escaped, masked, and never wider than a terminal.

use std::collections::BTreeMap;

use crate::base::escape;
use crate::base::mask::Masker;
use crate::message::Position;

/// Most characters of an excerpt.
const WIDTH: usize = 100;
/// Characters that are kept in front of the column when a line is cut.
const BEFORE: usize = 40;
/// Octets of a long line before and after the column that are looked at.
const WINDOW: usize = 4096;

/// An excerpt: the line as shown, and the number of characters in front of the caret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub line: String,
    pub caret: usize,
}

/// A text, prepared for many excerpts.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Offsets of the beginnings of lines, as positions count them.
    starts: Vec<usize>,
    /// Offsets of start tags whose content the masker hides, ascending.
    secrets: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str, masker: &Masker) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        // The masker knows what is secret; each name is asked for once.
        let mut known: BTreeMap<&str, bool> = BTreeMap::new();
        let secrets = text
            .match_indices('<')
            .filter(|(at, _)| {
                let rest = &text[at + 1..];
                let end = rest
                    .char_indices()
                    .take(MAX_NAME)
                    .find(|(_, c)| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '<'))
                    .map_or(0, |(end, _)| end);
                let name = &rest[..end];
                *known.entry(name).or_insert_with(|| {
                    let content = format!("<{name}>content");
                    masker.text(&content) != content
                })
            })
            .map(|(at, _)| at)
            .collect();
        Self {
            text,
            starts,
            secrets,
        }
    }

    /// A line and where it begins.
    fn line(&self, index: usize) -> Option<(&'t str, usize)> {
        let start = *self.starts.get(index)?;
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |next| next - 1);
        Some((self.text[start..end].trim_end_matches('\r'), start))
    }

    /// Whether an offset stands within a secret: the text from the last secret start tag on is masked
    /// with a marker behind it, and the marker vanishes.
    fn in_secret(&self, offset: usize, masker: &Masker) -> bool {
        const MARKER: &str = "\u{1}open?";
        let before = self.secrets.partition_point(|at| *at < offset);
        let Some(tag) = before.checked_sub(1).map(|i| self.secrets[i]) else {
            return false;
        };
        let since = &self.text[tag..offset];
        if !since.contains('>') {
            // Within the start tag itself, whose name the masker would not know in halves.
            return true;
        }
        let text = format!("{since}{MARKER}");
        !masker.text(&text).ends_with(MARKER)
    }
}

/// Longest tag name that is looked at, in characters: no secret element has one as long.
const MAX_NAME: usize = 60;

/// The excerpt at a position of a text; `None` when there is no such line, or nothing on it.
pub(super) fn excerpt(lines: &Lines<'_>, position: Position, masker: &Masker) -> Option<Excerpt> {
    let index = (position.line as usize).checked_sub(1)?;
    let (line, start) = lines.line(index)?;
    if line.trim().is_empty() {
        return None;
    }
    let column = (position.column as usize).saturating_sub(1);
    let octet = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);

    let from = floor(line, octet.saturating_sub(WINDOW));
    let to = floor(line, octet.saturating_add(WINDOW).min(line.len()));
    let open = lines.in_secret(start + from, masker);
    let (before, after) = mask_around(&line[from..octet], &line[octet..to], open, masker);

    let before = escaped(&before);
    let after = escaped(&after);
    let length = before.chars().count();
    let cut = length.saturating_sub(BEFORE);
    let fits = from == 0 && length + after.chars().count() <= WIDTH && to == line.len();
    let (lead, head): (&str, String) = if fits || (cut == 0 && from == 0) {
        ("", before)
    } else {
        ("…", before.chars().skip(cut).collect())
    };
    let room = WIDTH.saturating_sub(lead.chars().count() + head.chars().count());
    let tail: String = after.chars().take(room).collect();
    let more = if after.chars().count() > room || to < line.len() {
        "…"
    } else {
        ""
    };
    Some(Excerpt {
        caret: lead.chars().count() + head.chars().count(),
        line: format!("{lead}{head}{tail}{more}"),
    })
}

/// The two halves of the line around the caret without secrets; `open` when a secret has begun before
/// them. Each half alone would hide where a secret begins, so the whole is masked and then cut again.
fn mask_around(before: &str, after: &str, open: bool, masker: &Masker) -> (String, String) {
    let prefix = if open { "<Password>" } else { "" };
    let whole = masker.text(&format!("{prefix}{before}{after}"));
    let first = masker.text(&format!("{prefix}{before}"));
    let hidden = prefix.chars().count();
    let whole: String = whole.chars().skip(hidden).collect();
    let first: String = first.chars().skip(hidden).collect();
    match whole.strip_prefix(&first) {
        Some(rest) => (first, rest.to_owned()),
        // The caret stands within a secret: it is clamped to where the two still agree.
        None => {
            let same = whole
                .char_indices()
                .zip(first.chars())
                .find(|((_, a), b)| a != b)
                .map_or(whole.len().min(first.len()), |((at, _), _)| at);
            let same = floor(&whole, same);
            (whole[..same].to_owned(), whole[same..].to_owned())
        }
    }
}

fn escaped(text: &str) -> String {
    escape::plain(&text.replace('\t', " ")).into_owned()
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: u32, column: u32) -> Excerpt {
        let masker = Masker::default();
        excerpt(&Lines::of(text, &masker), Position { line, column }, &masker).unwrap()
    }

    #[test]
    fn short_lines_are_whole() {
        let found = at("<a>\r\n\t<b>ä\u{1b}</b>\r\n", 2, 7);
        assert_eq!(found.line, " <b>ä\\u{1b}</b>");
        assert_eq!(found.caret, 11);
    }

    #[test]
    fn long_lines_are_cut_around_the_column() {
        let text = format!("{}<X>{}", "a".repeat(500_000), "b".repeat(500_000));
        let found = at(&text, 1, 500_001);
        assert!(found.line.chars().count() <= WIDTH + 2);
        assert_eq!(found.line.chars().nth(found.caret), Some('<'));
        let start = at(&text, 1, 1);
        assert!(start.line.starts_with("aaa") && start.line.ends_with('…'));
        assert_eq!(start.caret, 0);
    }

    #[test]
    fn secrets_are_masked_and_the_caret_stays_right() {
        let text = "<L><Password>hunter2</Password><Foo/></L>";
        let found = at(text, 1, 32);
        assert_eq!(found.line, "<L><Password>***</Password><Foo/></L>");
        assert_eq!(&found.line[found.caret..], "<Foo/></L>");
        let inside = at(text, 1, 16);
        assert!(!inside.line.contains("unter"), "{inside:?}");
        let several = at("<L><Password>\nhunter2\n</Password><Foo/></L>", 2, 3);
        assert!(!several.line.contains("unter"), "{several:?}");
        let wide = format!("<Password>{}</Password>", "hunter2".repeat(3000));
        assert!(!at(&wide, 1, 10_000).line.contains("unter"));
        let tall = format!("<Password>{}</Password>", "hunter2\n".repeat(3000));
        assert!(!at(&tall, 2000, 3).line.contains("unter"));
        assert!(!at("<Password\n a='1'\n>hunter2", 3, 4).line.contains("unter"));
    }

    #[test]
    fn places_that_do_not_exist_are_clamped() {
        assert_eq!(at("ab", 1, 99).caret, 2);
        let masker = Masker::default();
        let lines = Lines::of("a\n\n", &masker);
        assert!(excerpt(&lines, Position { line: 9, column: 1 }, &masker).is_none());
        assert!(excerpt(&lines, Position { line: 2, column: 1 }, &masker).is_none());
        assert!(excerpt(&lines, Position::default(), &masker).is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_place_of_any_text(text in "(<Password>|</Password>|<|>|ä|b|\t|\n){0,30}", line in 0u32..6, column in 0u32..20) {
            let masker = Masker::default();
            if let Some(found) = excerpt(&Lines::of(&text, &masker), Position { line, column }, &masker) {
                assert!(found.caret <= found.line.chars().count());
            }
        }
    }
}
