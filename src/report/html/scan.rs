//! Where in the text of a message an element stands. This is no parser: the text may be cut, masked
//! or no XML at all, and the page must show it all the same, so whatever does not fit is stepped over.

use std::collections::BTreeMap;
use std::ops::Range;

/// A path as findings carry it: `/A/B[2]/C`. Without the first slash it may begin anywhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'a> {
    absolute: bool,
    /// Local names with their number among siblings of the same name.
    steps: Vec<(&'a str, usize)>,
}

impl<'a> Target<'a> {
    /// `None` for what is no such path.
    pub fn parse(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix('/');
        let steps = rest
            .unwrap_or(path)
            .split('/')
            .map(|step| match step.split_once('[') {
                None => Some((step, 1)),
                Some((name, number)) => Some((name, number.strip_suffix(']')?.parse().ok()?)),
            })
            .collect::<Option<Vec<_>>>()?;
        let named = steps.iter().all(|(name, _)| !name.is_empty());
        named.then_some(Self {
            absolute: rest.is_some(),
            steps,
        })
    }

    fn is(&self, stack: &[Frame<'_>]) -> bool {
        let fits = if self.absolute {
            stack.len() == self.steps.len()
        } else {
            stack.len() >= self.steps.len()
        };
        fits && stack
            .iter()
            .rev()
            .zip(self.steps.iter().rev())
            .all(|(frame, step)| (frame.name, frame.number) == *step)
    }
}

/// An element that is open.
struct Frame<'a> {
    name: &'a str,
    number: usize,
    /// How many children of each name began so far.
    children: BTreeMap<&'a str, usize>,
}

/// The range of each target: of an element that holds only text all of it, of any other its start
/// tag. `None` for a target that the text does not hold.
pub fn find(text: &str, targets: &[Target<'_>]) -> Vec<Option<Range<usize>>> {
    let mut found = vec![None; targets.len()];
    let mut roots: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stack: Vec<Frame<'_>> = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find('<') {
        let start = at + next;
        match token(text, start) {
            Token::Other(end) => at = end,
            Token::Close(name, end) => {
                // An end tag without its start is stepped over; one that closes more takes it along.
                if let Some(open) = stack.iter().rposition(|f| f.name == name) {
                    stack.truncate(open);
                }
                at = end;
            }
            Token::Open { name, end, empty } => {
                let children = stack.last_mut().map_or(&mut roots, |f| &mut f.children);
                let number = children.entry(name).or_default();
                *number += 1;
                let number = *number;
                stack.push(Frame {
                    name,
                    number,
                    children: BTreeMap::new(),
                });
                for (target, slot) in targets.iter().zip(&mut found) {
                    if slot.is_none() && target.is(&stack) {
                        *slot = Some(start..leaf_end(text, name, end, empty));
                    }
                }
                if empty {
                    stack.pop();
                }
                at = end;
            }
        }
    }
    found
}

/// Where an element ends if nothing but text is in it; else where its start tag ends.
fn leaf_end(text: &str, name: &str, tag_end: usize, empty: bool) -> usize {
    let close = text[tag_end..].find('<').map(|n| tag_end + n);
    match close.map(|at| token(text, at)) {
        Some(Token::Close(closed, end)) if !empty && closed == name => end,
        _ => tag_end,
    }
}

enum Token<'a> {
    Open {
        /// Without its prefix.
        name: &'a str,
        end: usize,
        empty: bool,
    },
    Close(&'a str, usize),
    /// Comment, CDATA, instruction, document type, or a `<` that begins nothing.
    Other(usize),
}

/// The token that begins with the `<` at this offset; its end is always beyond it.
fn token(text: &str, start: usize) -> Token<'_> {
    let rest = &text[start..];
    let until = |open: usize, mark: &str| {
        rest.get(open..)
            .and_then(|r| r.find(mark))
            .map_or(text.len(), |n| start + open + n + mark.len())
    };
    if rest.starts_with("<!--") {
        return Token::Other(until(4, "-->"));
    }
    if rest.starts_with("<![CDATA[") {
        return Token::Other(until(9, "]]>"));
    }
    if rest.starts_with("<?") {
        return Token::Other(until(2, "?>"));
    }
    if rest.starts_with("<!") {
        return Token::Other(start + declaration_end(rest));
    }
    let closes = rest.starts_with("</");
    let name_at = if closes { 2 } else { 1 };
    let name = rest[name_at..]
        .split(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '<' | '"' | '\'' | '='))
        .next()
        .unwrap_or_default();
    if name.is_empty() {
        return Token::Other(start + 1);
    }
    let end = tag_end(rest);
    let local = name.rsplit(':').next().unwrap_or(name);
    if closes {
        return Token::Close(local, start + end);
    }
    Token::Open {
        name: local,
        end: start + end,
        empty: rest[..end].ends_with("/>"),
    }
}

/// The length of a tag. A `<` outside quotes begins the next one: this one was never closed.
fn tag_end(rest: &str) -> usize {
    let mut quote = None;
    for (at, b) in rest.bytes().enumerate().skip(1) {
        match (quote, b) {
            (None, b'>') => return at + 1,
            (None, b'<') => return at,
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a document type declaration, its internal subset included.
fn declaration_end(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, b) in rest.bytes().enumerate() {
        match (quote, b) {
            (None, b'>') if depth == 0 => return at + 1,
            (None, b'[') => depth += 1,
            (None, b']') => depth = depth.saturating_sub(1),
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at<'a>(text: &'a str, path: &str) -> Option<&'a str> {
        let target = Target::parse(path)?;
        find(text, &[target])[0].clone().map(|range| &text[range])
    }

    #[test]
    fn elements_are_found_by_their_path() {
        let text = "<?xml version='1.0'?><!DOCTYPE A [<!ELEMENT A (B)>]><!-- <A><B>no</B></A> --><A x='>'>\
                    <B>1</B><p:B y=\"<\"><C/>t</p:B><D>e<![CDATA[</D><B>]]></D><B z='1'><C>x</C><C>y</C></B></A>";
        for (path, wanted) in [
            ("/A", Some("<A x='>'>")),
            ("/A/B[1]", Some("<B>1</B>")),
            ("/A/B[2]", Some("<p:B y=\"<\">")),
            ("/A/B[2]/C", Some("<C/>")),
            ("/A/D", Some("<D>")),
            ("/A/B[3]/C[2]", Some("<C>y</C>")),
            ("B[3]/C", Some("<C>x</C>")),
            ("/A/B[4]", None),
            ("/B", None),
            ("", None),
            ("/A//B", None),
            ("/A[x]", None),
        ] {
            assert_eq!(at(text, path), wanted, "{path}");
        }
    }

    #[test]
    fn broken_text_is_stepped_over() {
        for (text, path, wanted) in [
            ("<A><B>x</A><A><B>y</B>", "/A[2]/B", Some("<B>y</B>")),
            ("<A></X><B>y", "/A/B", Some("<B>")),
            ("<A><B <C>z</C>", "/A/B/C", Some("<C>z</C>")),
            ("<A><B x='never closed", "/A/B", Some("<B x='never closed")),
            ("a < b << <A>", "/A", Some("<A>")),
            ("<!-- <A>", "/A", None),
            ("<", "/A", None),
        ] {
            assert_eq!(at(text, path), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_to_its_end(pieces in prop::collection::vec(
            prop::sample::select(vec!["<", ">", "</", "/>", "<!", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "[", "]", "A", "B", " ", "'", "\"", "=", "ä", "\u{202e}", ":"]),
            0..60,
        )) {
            let text = pieces.concat();
            let targets = ["/A", "/A/B", "B"].map(|p| Target::parse(p).unwrap());
            for range in find(&text, &targets).into_iter().flatten() {
                prop_assert!(text[range].starts_with('<'));
            }
        }
    }
}
