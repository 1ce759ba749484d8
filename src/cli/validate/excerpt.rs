//! The line of a finding with a caret below it: escaped, masked, and never wider than a terminal.

use crate::base::escape;
use crate::base::mask::Masker;
use crate::message::Position;

/// Most characters of an excerpt.
const WIDTH: usize = 100;
/// Characters that are kept in front of the column when a line is cut.
const BEFORE: usize = 40;
/// Characters of a long line around the column that are looked at. Masking needs to see the start tag
/// that a secret stands behind; a value longer than this is hidden whole.
const WINDOW: usize = 4096;

/// An excerpt: the line as shown, and the number of characters in front of the caret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub line: String,
    pub caret: usize,
}

/// The excerpt at a position of a text; `None` when there is no such line, or nothing on it.
pub(super) fn excerpt(lines: &[&str], position: Position, masker: &Masker) -> Option<Excerpt> {
    let index = (position.line as usize).checked_sub(1)?;
    let line = lines.get(index)?.trim_end_matches('\r');
    if line.trim().is_empty() {
        return None;
    }
    let column = (position.column as usize).saturating_sub(1);
    let octet = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);

    let from = floor(line, octet.saturating_sub(WINDOW));
    let to = floor(line, octet.saturating_add(WINDOW).min(line.len()));
    let (before, after) = mask_around(line, from, octet, to, masker, lines, index);

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

/// The two halves of the line around the caret without secrets. Each half alone would hide where a
/// secret begins, so the whole is masked and then cut again.
fn mask_around(
    line: &str,
    from: usize,
    octet: usize,
    to: usize,
    masker: &Masker,
    lines: &[&str],
    index: usize,
) -> (String, String) {
    let open = open_secret(lines, index, &line[..from], masker);
    let (prefix, hidden) = match &open {
        Some(tag) => (tag.as_str(), tag.chars().count()),
        None => ("", 0),
    };
    let whole = masker.text(&format!("{prefix}{}", &line[from..to]));
    let first = masker.text(&format!("{prefix}{}", &line[from..octet]));
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

/// A start tag of a secret element that is still open where an excerpt begins: the text in front of
/// it is masked with a marker behind; when the marker vanishes, it stood in a secret.
fn open_secret(lines: &[&str], index: usize, in_line: &str, masker: &Masker) -> Option<String> {
    const MARKER: &str = "\u{1}open?";
    // Passwords and digests do not span many lines; looking back further would be quadratic.
    let mut back = String::new();
    for line in &lines[index.saturating_sub(20)..index] {
        let from = floor(line, line.len().saturating_sub(WINDOW));
        back.push_str(&line[from..]);
        back.push('\n');
    }
    let from = floor(in_line, in_line.len().saturating_sub(WINDOW));
    back.push_str(&in_line[from..]);
    back.push_str(MARKER);
    (!masker.text(&back).ends_with(MARKER)).then(|| "<Password>".to_owned())
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
        let lines: Vec<&str> = text.split('\n').collect();
        excerpt(&lines, Position { line, column }, &Masker::default()).unwrap()
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
    }

    #[test]
    fn places_that_do_not_exist_are_clamped() {
        assert_eq!(at("ab", 1, 99).caret, 2);
        assert!(excerpt(&["a"], Position { line: 9, column: 1 }, &Masker::default()).is_none());
        assert!(excerpt(&["a"], Position::default(), &Masker::default()).is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_place_of_any_text(text in "(<Password>|</Password>|<|>|ä|b|\t|\n){0,30}", line in 0u32..6, column in 0u32..20) {
            let lines: Vec<&str> = text.split('\n').collect();
            if let Some(found) = excerpt(&lines, Position { line, column }, &Masker::default()) {
                assert!(found.caret <= found.line.chars().count());
            }
        }
    }
}
