//! Lines and columns of octet offsets.

use crate::message::Position;

/// Turns octet offsets into positions. Asked in ascending order, all answers together cost one pass
/// over the text: a message of one long line stays linear.
#[derive(Debug)]
pub(super) struct Places<'t> {
    text: &'t str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'t> Places<'t> {
    pub fn of(text: &'t str) -> Self {
        Self {
            text,
            offset: 0,
            line: 1,
            column: 1,
        }
    }

    /// The position of an offset; one inside a character counts as that character's.
    pub fn at(&mut self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        if offset < self.offset {
            *self = Self::of(self.text);
        }
        for &octet in &self.text.as_bytes()[self.offset..offset] {
            if octet == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else if octet & 0xC0 != 0x80 {
                // Continuation octets of UTF-8 begin with the bits 10.
                self.column = self.column.saturating_add(1);
            }
        }
        self.offset = offset;
        Position {
            line: self.line,
            column: self.column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut places = Places::of("aß\ncd");
        assert_eq!(places.at(3).to_string(), "1:3");
        assert_eq!(places.at(4).to_string(), "2:1");
        assert_eq!(places.at(99).to_string(), "2:3");
        assert_eq!(places.at(0).to_string(), "1:1");
    }
}
