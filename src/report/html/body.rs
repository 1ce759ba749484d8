//! A body as the page shows it, with the places marked that criteria speak of. Indentation is only
//! for the eye: the text itself stays as it was sent, masked and escaped, in the order it was sent.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;

use super::scan::{Target, find};
use super::text::{escape, safe};
use crate::base::escape::plain;
use crate::message::Position;
use crate::report::shown::ShownBody;
use crate::report::words::{plural, severity};
use crate::verdict::{Place, Verdict};

/// Most octets of a binary body that are dumped; a dump takes five characters an octet.
const MAX_DUMP: usize = 2 * 1024;
/// Deepest indentation of a message that is shown with line breaks.
const MAX_INDENT: usize = 20;

/// What a criterion wants marked in a message.
pub struct Wanted<'a> {
    /// Where.
    pub place: &'a Place,
    /// Its verdict; the mark has its colour.
    pub verdict: Verdict,
    /// Number of the criterion in its case.
    pub number: usize,
    /// Anchor of the criterion, for the way back.
    pub anchor: String,
    /// What stands beside the mark.
    pub text: String,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// Marked; the anchor of the mark.
    Mark(String),
    /// The place is the message as a whole.
    Whole,
    /// Nothing is marked, and why.
    Lost(&'static str),
}

/// A body ready to be shown.
pub struct Rendered {
    /// HTML of the text with its marks; empty when there is nothing to show.
    pub html: String,
    /// Length, and in which ways the text is not what was on the wire.
    pub notes: String,
    /// Octets in hexadecimal, which must not be wrapped.
    pub dump: bool,
    /// One for each wish.
    pub spots: Vec<Spot>,
}

/// Shows a body. `prefix` begins the anchors of its marks.
pub fn render(body: &ShownBody, wanted: &[Wanted<'_>], prefix: &str) -> Rendered {
    let mut notes = vec![plural(body.octets, "octet")];
    let mut html = String::new();
    let mut dump = false;
    let mut spots = Vec::new();
    if let Some(why) = &body.withheld {
        notes.push(format!("not shown: {why}"));
        spots = lost(wanted, "the body is not shown");
    } else if let Some(text) = &body.text {
        let layout = Layout::new(text);
        if layout.indented {
            notes.push("indented".to_owned());
        }
        if body.cut {
            notes.push(format!("only the first {} octets are shown", text.len()));
        }
        let (marks, found) = place_marks(body, text, &layout, wanted, prefix);
        html = layout.html(text, &marks, wanted);
        spots = found;
    } else if let Some(coded) = &body.base64 {
        let octets = base64::engine::general_purpose::STANDARD
            .decode(coded)
            .unwrap_or_default();
        let end = octets.len().min(MAX_DUMP);
        html = escape(&hex(&octets[..end]));
        dump = true;
        // Compared with what was kept: masking changes the length.
        if body.cut || end < octets.len() {
            notes.push(format!("only the first {end} octets are shown"));
        }
        spots = lost(wanted, "the body is binary");
    }
    if spots.is_empty() {
        spots = lost(wanted, "there is no body");
    }
    if body.masked {
        notes.push("secrets masked".to_owned());
    }
    Rendered {
        html,
        notes: notes.join(", "),
        dump,
        spots,
    }
}

/// Only a place inside the body can be lost.
fn lost(wanted: &[Wanted<'_>], why: &'static str) -> Vec<Spot> {
    let spot = |w: &Wanted<'_>| {
        if w.place.path.is_empty() && w.place.position.is_none() {
            Spot::Whole
        } else {
            Spot::Lost(why)
        }
    };
    wanted.iter().map(spot).collect()
}

/// A part of the text and the wishes that it answers.
struct Mark {
    range: Range<usize>,
    verdict: Verdict,
    wishes: Vec<usize>,
    anchor: String,
}

fn place_marks(
    body: &ShownBody,
    text: &str,
    layout: &Layout,
    wanted: &[Wanted<'_>],
    prefix: &str,
) -> (Vec<Mark>, Vec<Spot>) {
    let mut spots = lost(wanted, "it is not in the text");
    let parsed: Vec<(usize, Target<'_>)> = wanted
        .iter()
        .enumerate()
        .filter_map(|(n, w)| Some((n, Target::parse(&w.place.path)?)))
        .collect();
    let (wishes, targets): (Vec<usize>, Vec<Target<'_>>) = parsed.into_iter().unzip();
    let mut ranges: Vec<Option<Range<usize>>> = vec![None; wanted.len()];
    for (wish, range) in wishes.into_iter().zip(find(text, &targets)) {
        ranges[wish] = range;
    }
    for ((wish, range), spot) in wanted.iter().zip(&mut ranges).zip(&mut spots) {
        if range.is_some() {
            continue;
        }
        let Some(position) = wish.place.position else {
            continue;
        };
        match layout.line_at(text, position) {
            _ if body.masked && (layout.indented || body.lines_moved) => {
                *spot = Spot::Lost("masking moved its line and column");
            }
            Some(line) => *range = Some(line),
            None if body.cut => *spot = Spot::Lost("the body is cut before it"),
            None => {}
        }
    }
    let mut wishes: Vec<(Range<usize>, usize)> = ranges
        .into_iter()
        .enumerate()
        .filter_map(|(n, range)| Some((range.filter(|r| !r.is_empty())?, n)))
        .collect();
    wishes.sort_by_key(|(range, n)| (range.start, range.end, *n));
    let mut marks: Vec<Mark> = Vec::new();
    for (range, wish) in wishes {
        let verdict = wanted[wish].verdict;
        match marks.last_mut() {
            // Two criteria of one element, or an element in a line that is marked as a whole.
            Some(last) if range.start < last.range.end => {
                last.range.end = last.range.end.max(range.end);
                if severity(verdict) > severity(last.verdict) {
                    last.verdict = verdict;
                }
                last.wishes.push(wish);
            }
            _ => marks.push(Mark {
                anchor: format!("{prefix}m{}", marks.len() + 1),
                range,
                verdict,
                wishes: vec![wish],
            }),
        }
    }
    for mark in &marks {
        for wish in &mark.wishes {
            spots[*wish] = Spot::Mark(mark.anchor.clone());
        }
    }
    (marks, spots)
}

/// The lines in which a text is shown: ranges of it, each with its indentation.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    lines: Vec<(usize, Range<usize>)>,
    /// The breaks are ours, not the sender's.
    indented: bool,
}

impl Layout {
    fn new(text: &str) -> Self {
        indented(text).map_or_else(
            || Self {
                lines: own_lines(text),
                indented: false,
            },
            |lines| Self {
                lines,
                indented: true,
            },
        )
    }

    /// The shown line that holds a position of the text as it was sent, without the blanks around it.
    fn line_at(&self, text: &str, position: Position) -> Option<Range<usize>> {
        let (line, column) = (position.line as usize, position.column as usize);
        let sent = own_lines(text).into_iter().nth(line.checked_sub(1)?)?.1;
        let offset = text[sent.clone()]
            .char_indices()
            .nth(column.checked_sub(1)?)
            .map_or(sent.end, |(at, _)| sent.start + at);
        let (_, shown) = self
            .lines
            .iter()
            .find(|(_, l)| l.contains(&offset) || offset == l.end)?;
        let part = &text[shown.clone()];
        let start = shown.start + (part.len() - part.trim_start().len());
        let end = shown.start + part.trim_end().len();
        (start < end).then_some(start..end)
    }

    fn html(&self, text: &str, marks: &[Mark], wanted: &[Wanted<'_>]) -> String {
        let mut out = String::with_capacity(text.len() * 3 / 2);
        let mut marks = marks.iter().peekable();
        for (n, (depth, line)) in self.lines.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            // A tab takes one octet for each level; the style sheet says how wide it is.
            out.extend(std::iter::repeat_n('\t', *depth));
            let mut at = line.start;
            let mut notes = String::new();
            while let Some(mark) = marks.peek().filter(|m| m.range.start < line.end) {
                let from = mark.range.start.max(line.start);
                let to = mark.range.end.min(line.end);
                push_text(&mut out, &text[at..from]);
                if from == mark.range.start {
                    let _ = write!(out, "<mark class=\"{}\" id=\"{}\">", mark.verdict, mark.anchor);
                } else {
                    let _ = write!(out, "<mark class=\"{}\">", mark.verdict);
                }
                push_text(&mut out, &text[from..to]);
                out.push_str("</mark>");
                at = to;
                if mark.range.end > line.end {
                    break;
                }
                // What passed needs a word, what was found a line of its own: those come last.
                let (found, passed): (Vec<&usize>, Vec<&usize>) = mark
                    .wishes
                    .iter()
                    .partition(|w| wanted[**w].verdict > Verdict::Pass);
                for wish in passed.into_iter().chain(found) {
                    notes.push_str(&note(&wanted[*wish]));
                }
                marks.next();
            }
            push_text(&mut out, &text[at..line.end]);
            out.push_str(&notes);
        }
        out
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&escape(&plain(&text.replace('\t', " "))));
}

/// What stands beside a mark, with the way back. A pass has its text in the table already; a finding
/// is what the reader came for.
pub fn note(wish: &Wanted<'_>) -> String {
    if wish.verdict <= Verdict::Pass {
        return format!(
            " <a class=\"n pass\" href=\"#{}\">evidence {}</a>",
            wish.anchor, wish.number
        );
    }
    format!(
        "<span class=\"n {v}\"><a href=\"#{}\">{v} {}</a> {}</span>",
        wish.anchor,
        wish.number,
        escape(&safe(&wish.text)),
        v = wish.verdict,
    )
}

/// The lines as sent, without their ends.
fn own_lines(text: &str) -> Vec<(usize, Range<usize>)> {
    let mut start = 0;
    text.split('\n')
        .map(|line| {
            let range = start..start + line.strip_suffix('\r').unwrap_or(line).len();
            start += line.len() + 1;
            (0, range)
        })
        .collect()
}

/// An XML text of one line, broken between its tags; `None` when it has lines of its own, whose
/// numbers findings refer to. It only has to look right: nothing is parsed.
fn indented(text: &str) -> Option<Vec<(usize, Range<usize>)>> {
    let trimmed = text.trim();
    if !trimmed.starts_with('<') || trimmed.contains('\n') || !trimmed.contains("><") {
        return None;
    }
    let first = text.len() - text.trim_start().len();
    let last = first + trimmed.len();
    let mut out = Vec::new();
    let mut depth = 0_usize;
    let mut start = first;
    while start < last {
        let end = text[start..last].find("><").map_or(last, |n| start + n + 1);
        let piece = &text[start..end];
        let closes = piece.starts_with("</");
        if closes {
            depth = depth.saturating_sub(1);
        }
        out.push((depth.min(MAX_INDENT), start..end));
        let opens = !closes
            && !piece.starts_with("<?")
            && !piece.starts_with("<!")
            && !piece.ends_with("/>")
            && !piece.contains("</");
        if opens {
            depth += 1;
        }
        start = end;
    }
    Some(out)
}

/// Offset, sixteen octets in hexadecimal, and those that are printable ASCII.
fn hex(octets: &[u8]) -> String {
    let row = |(n, row): (usize, &[u8])| {
        let hex: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
        let text: String = row
            .iter()
            .map(|b| match b {
                b' '..=b'~' => char::from(*b),
                _ => '.',
            })
            .collect();
        format!("{:04x}  {:<47}  {text}", n * 16, hex.join(" "))
    };
    octets
        .chunks(16)
        .enumerate()
        .map(row)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(text: &str) -> ShownBody {
        ShownBody {
            octets: text.len(),
            text: Some(text.to_owned()),
            ..ShownBody::default()
        }
    }

    fn place(path: &str, position: Option<(u32, u32)>) -> Place {
        Place {
            path: path.to_owned(),
            position: position.map(|(line, column)| Position { line, column }),
            ..Place::default()
        }
    }

    fn wanted(place: &Place, verdict: Verdict) -> Wanted<'_> {
        Wanted {
            place,
            verdict,
            number: 3,
            anchor: "c1k3".to_owned(),
            text: "wrong <b>".to_owned(),
        }
    }

    fn shown(body: &ShownBody, place: &Place, verdict: Verdict) -> (String, Spot) {
        let mut rendered = render(body, &[wanted(place, verdict)], "x");
        (rendered.html, rendered.spots.remove(0))
    }

    fn marked(text: &str, path: &str, position: Option<(u32, u32)>) -> (String, Spot) {
        shown(&body(text), &place(path, position), Verdict::Fail)
    }

    #[test]
    fn one_line_of_xml_is_indented() {
        let show = |text: &str| render(&body(text), &[], "x").html;
        assert_eq!(
            show("<a><b/><c>x</c><d><e/></d></a>"),
            "&lt;a&gt;\n\t&lt;b/&gt;\n\t&lt;c&gt;x&lt;/c&gt;\n\t&lt;d&gt;\n\t\t&lt;e/&gt;\n\t&lt;/d&gt;\n&lt;/a&gt;"
        );
        assert_eq!(show("<a>\r\n\t<b/></a>"), "&lt;a&gt;\n &lt;b/&gt;&lt;/a&gt;");
        assert_eq!(show("plain"), "plain");
    }

    #[test]
    fn an_element_is_marked_and_its_finding_stands_under_it() {
        let (html, spot) = marked("<A><B>1</B><B>2&amp;</B></A>", "/A/B[2]", Some((1, 12)));
        assert_eq!(spot, Spot::Mark("xm1".to_owned()));
        assert_eq!(
            html,
            "&lt;A&gt;\n\t&lt;B&gt;1&lt;/B&gt;\n\t<mark class=\"fail\" id=\"xm1\">&lt;B&gt;2&amp;amp;&lt;/B&gt;</mark>\
             <span class=\"n fail\"><a href=\"#c1k3\">fail 3</a> wrong &lt;b&gt;</span>\n&lt;/A&gt;"
        );
    }

    #[test]
    fn evidence_only_has_a_way_back() {
        let at = place("/A/B", None);
        let (html, _) = shown(&body("<A><B/></A>"), &at, Verdict::Pass);
        assert!(html.contains("</mark> <a class=\"n pass\" href=\"#c1k3\">evidence 3</a>\n"));
        assert!(!html.contains("wrong"));
    }

    #[test]
    fn without_a_path_the_line_is_marked() {
        let mark = |text, position| {
            let (html, spot) = marked(text, "", Some(position));
            assert!(matches!(spot, Spot::Mark(_)), "{text}: {spot:?}");
            let inner = html.split_once("\">").unwrap().1;
            inner.split_once("</mark>").unwrap().0.to_owned()
        };
        assert_eq!(mark("one\n  two \nthree", (2, 4)), "two");
        assert_eq!(mark("<A><B>1</B><C/></A>", (1, 13)), "&lt;C/&gt;");
        assert_eq!(mark("<A><B>1</B><C/></A>", (1, 99)), "&lt;/A&gt;");
        // A path that the text lacks: the position is what is left.
        let (html, _) = marked("<A>\n<B/></A>", "/A/X", Some((2, 1)));
        assert!(html.contains("id=\"xm1\">&lt;B/&gt;&lt;/A&gt;</mark>"));
    }

    #[test]
    fn what_cannot_be_marked_says_so() {
        assert_eq!(marked("<A/>", "", None).1, Spot::Whole);
        assert_eq!(marked("<A/>", "/B", None).1, Spot::Lost("it is not in the text"));
        assert_eq!(
            marked("<A/>", "", Some((9, 1))).1,
            Spot::Lost("it is not in the text")
        );
        assert_eq!(marked("", "/A", None).1, Spot::Lost("it is not in the text"));
        let at = place("/A", Some((1, 1)));
        let empty = ShownBody::default();
        assert_eq!(
            shown(&empty, &at, Verdict::Fail).1,
            Spot::Lost("there is no body")
        );
        let binary = ShownBody {
            base64: Some("AAEC".to_owned()),
            ..ShownBody::default()
        };
        let (html, spot) = shown(&binary, &at, Verdict::Fail);
        assert_eq!(spot, Spot::Lost("the body is binary"));
        assert!(html.starts_with("0000  00 01 02"));
        let masked = ShownBody {
            masked: true,
            ..body("<A><P>***</P><B/></A>")
        };
        let at = place("", Some((1, 30)));
        assert_eq!(
            shown(&masked, &at, Verdict::Fail).1,
            Spot::Lost("masking moved its line and column")
        );
    }

    #[test]
    fn marks_that_meet_become_one() {
        let places = [
            place("/A/B", None),
            place("/A/B", None),
            place("", Some((1, 4))),
            place("/A/C", None),
        ];
        let verdicts = [Verdict::Warn, Verdict::Fail, Verdict::Pass, Verdict::Pass];
        let wishes: Vec<_> = places.iter().zip(verdicts).map(|(p, v)| wanted(p, v)).collect();
        let rendered = render(&body("<A><B>1</B><C>\n</C></A>"), &wishes, "x");
        assert_eq!(rendered.html.matches(" id=").count(), 1, "{}", rendered.html);
        assert!(
            rendered
                .html
                .contains("<mark class=\"fail\" id=\"xm1\">&lt;A&gt;&lt;B&gt;")
        );
        assert_eq!(rendered.html.matches("class=\"n ").count(), 4);
    }

    #[test]
    fn a_tag_over_several_lines_is_marked_in_each() {
        let (html, _) = marked("<A>\n<B\n  x='1'\n>t</B></A>", "/A/B", None);
        assert_eq!(html.matches("<mark").count(), 3);
        assert_eq!(html.matches(" id=").count(), 1);
        assert!(
            html.contains("<mark class=\"fail\">&gt;t&lt;/B&gt;</mark>&lt;/A&gt;<span class=\"n fail\">")
        );
    }

    #[test]
    fn octets_are_dumped() {
        assert_eq!(hex(b"\x03\x10ab"), format!("0000  {:<47}  ..ab", "03 10 61 62"));
    }

    proptest! {
        /// Whatever a peer sends: nothing is lost, nothing becomes markup, nothing panics.
        #[test]
        fn any_body_stays_text(pieces in prop::collection::vec(
            prop::sample::select(vec!["<A>", "</A>", "<B/>", "<", ">", "</pre><script>", "\n", "\r\n", "\t", "'", "\"", "&", "ä", "\u{202e}", "\u{1b}", " ", "<!--"]),
            0..40,
        ), line in 0..6_u32, column in 0..20_u32) {
            let text = pieces.concat();
            let places = [place("/A", None), place("B", Some((line, column))), place("", Some((line, column)))];
            let wishes: Vec<_> = places.iter().map(|p| wanted(p, Verdict::Fail)).collect();
            let rendered = render(&body(&text), &wishes, "x");
            let mut bare = rendered.html.clone();
            while let Some(start) = bare.find("<span") {
                let end = start + bare[start..].find("</span>").unwrap() + "</span>".len();
                bare.replace_range(start..end, "");
            }
            for id in ["", " id=\"xm1\"", " id=\"xm2\"", " id=\"xm3\""] {
                bare = bare.replace(&format!("<mark class=\"fail\"{id}>"), "");
            }
            bare = bare.replace("</mark>", "");
            prop_assert!(!bare.contains('<') && !bare.contains('>'), "{}", bare);
            let raw = ['\u{202e}', '\u{1b}'];
            prop_assert!(!bare.contains(raw));
            let visible = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let sent = escape(&text.split('\n').map(|l| plain(&l.strip_suffix('\r').unwrap_or(l).replace('\t', " ")).into_owned()).collect::<String>());
            prop_assert_eq!(visible(&bare), visible(&sent));
        }
    }
}
