//! How text gets into the page: what a peer sent is made visible first (control and bidirectional
//! characters, which HTML escaping lets through), shortened where it stands in a cell, and escaped.

use std::fmt::Write as _;

use crate::base::escape::{plain, shorten};

/// Longest text of one cell, in characters.
const MAX_CELL: usize = 2_000;
/// Longest text in the margin of a printed page, in characters; more would run into its neighbour.
const MAX_MARGIN: usize = 60;

/// Text of one line, for the template to escape.
pub fn safe(text: &str) -> String {
    shorten(&plain(text), MAX_CELL).into_owned()
}

/// HTML of a text, for elements and for attributes in either quote. The template engine would also
/// write every slash as a reference, and a page of XML is full of them.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The inside of a CSS string. Everything but ASCII letters and digits is a numeric escape, so that
/// no text leaves the string or the `style` element around it.
pub fn css_string(text: &str) -> String {
    let mut out = String::new();
    for c in shorten(&plain(text), MAX_MARGIN).chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            let _ = write!(out, "\\{:x} ", c as u32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(escape("</pre><a b='\"&"), "&lt;/pre&gt;&lt;a b=&#39;&quot;&amp;");
        assert_eq!(
            css_string("a\"</style>\\\n"),
            "a\\22 \\3c \\2f style\\3e \\5c \\5c n"
        );
        assert!(safe("a\u{202e}\u{7}").contains("\\u{202e}\\u{7}"));
    }
}
