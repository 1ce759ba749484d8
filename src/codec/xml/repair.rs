//! The repairs of the tolerant try. Each is simple enough that nobody can mistake what it did.

use super::guard::Survey;

/// Text after repair, with what is needed to find offsets of the original again.
#[derive(Debug)]
pub(super) struct Repaired {
    pub text: String,
    /// Octets cut off at the beginning.
    cut: usize,
    /// Offsets in the repaired text where the four octets `amp;` were put in, ascending.
    inserted: Vec<usize>,
    /// What was done: offset in the original, and the words for it.
    pub done: Vec<(usize, String)>,
}

impl Repaired {
    /// The offset in the original text.
    pub fn original(&self, offset: usize) -> usize {
        let before = self.inserted.partition_point(|at| *at < offset);
        (self.cut + offset).saturating_sub(before * "amp;".len())
    }
}

/// Trims what stands around the document and escapes ampersands that begin no reference; with
/// `without_doctype` also blanks the document type declaration. `None` when nothing would change.
pub(super) fn repair(text: &str, survey: &Survey, without_doctype: bool) -> Option<Repaired> {
    let mut done = Vec::new();
    let start = document_start(text);
    let end = text.rfind('>').map_or(text.len(), |at| at + 1).max(start);
    if start > 0 {
        done.push((0, format!("{start} octets before the document left out")));
    }
    if !text[end..].trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        done.push((
            end,
            format!("{} octets after the document left out", text.len() - end),
        ));
    }
    let body = &text[start..end];

    let bare = bare_ampersands(body);
    let mut out = String::with_capacity(body.len() + bare.len() * 4);
    let mut inserted = Vec::with_capacity(bare.len());
    let mut from = 0;
    for at in &bare {
        out.push_str(&body[from..=*at]);
        inserted.push(out.len());
        out.push_str("amp;");
        from = at + 1;
    }
    out.push_str(&body[from..]);
    if let Some(first) = bare.first() {
        done.push((start + first, format!("{} unescaped `&` escaped", bare.len())));
    }

    if without_doctype && let Some((_, range)) = &survey.doctype {
        // Ampersands in the declaration itself would have moved its end.
        let shift = |at: usize| {
            let in_body = at.saturating_sub(start).min(body.len());
            in_body + bare.iter().filter(|b| **b < in_body).count() * 4
        };
        let (a, b) = (shift(range.start), shift(range.end));
        if a < b && b <= out.len() {
            let blank: String = out[a..b]
                .chars()
                .flat_map(|c| {
                    let keep = if c == '\n' { '\n' } else { ' ' };
                    std::iter::repeat_n(keep, c.len_utf8())
                })
                .collect();
            out.replace_range(a..b, &blank);
            done.push((range.start, "document type declaration skipped".to_owned()));
        }
    }
    if done.is_empty() {
        return None;
    }
    Some(Repaired {
        text: out,
        cut: start,
        inserted,
        done,
    })
}

/// Where the document begins: at the XML declaration if one stands near the beginning, else at the
/// first markup. White space alone is no defect unless a declaration follows.
fn document_start(text: &str) -> usize {
    let first = text.find('<').unwrap_or(0);
    if text[first..].starts_with("<?xml") || !text[..first].trim().is_empty() {
        first
    } else {
        0
    }
}

/// Offsets of `&` that begin neither a character reference nor one of the five entities of XML,
/// outside comments, CDATA sections and processing instructions.
fn bare_ampersands(text: &str) -> Vec<usize> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['&', '<']) {
        let here = at + found;
        let rest = &text[here..];
        let skip = |open: &str, close: &str| {
            rest.strip_prefix(open).map(|body| {
                body.find(close)
                    .map_or(text.len(), |e| here + open.len() + e + close.len())
            })
        };
        at = skip("<!--", "-->")
            .or_else(|| skip("<![CDATA[", "]]>"))
            .or_else(|| skip("<?", "?>"))
            .unwrap_or(here + 1);
        if rest.starts_with('&') && !is_reference(&rest[1..]) {
            out.push(here);
        }
    }
    out
}

fn is_reference(rest: &str) -> bool {
    // No reference is longer than `#x10FFFF`; leading zeros beyond that are taken as text.
    let Some(end) = rest.bytes().take(12).position(|b| b == b';') else {
        return false;
    };
    let name = &rest[..end];
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix).is_ok_and(
            |n| matches!(n, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x10000..=0x10_FFFF),
        )
    };
    match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix('x') {
            Some(hex) => number(hex, 16),
            None => number(digits, 10),
        },
        None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_keep_the_way_back() {
        let text = "\n <?xml version='1.0'?><a>b & c<!-- & --><![CDATA[&]]>&amp;&nbsp;&#x20;</a>\0\0";
        let fixed = repair(text, &Survey::default(), false).unwrap();
        assert_eq!(
            fixed.text,
            "<?xml version='1.0'?><a>b &amp; c<!-- & --><![CDATA[&]]>&amp;&amp;nbsp;&#x20;</a>"
        );
        assert_eq!(fixed.done.len(), 3);
        let close = fixed.text.find("</a>").unwrap();
        assert_eq!(fixed.original(close), text.find("</a>").unwrap());
        assert_eq!(fixed.original(0), 2);
        assert!(repair("<a>&lt;</a>\n", &Survey::default(), true).is_none());
    }
}
