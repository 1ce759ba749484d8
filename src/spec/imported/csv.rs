//! Tables as spreadsheets write them: fields between commas, semicolons or tabs, quoted where they hold
//! one, perhaps over several lines. Each record knows its line.

use crate::base::FileError;

/// A record: its line, from 1, and its fields without blanks at the ends.
pub type Record = (usize, Vec<String>);

/// Reads all records that are not empty. What separates fields is told from the first line.
///
/// # Errors
/// A quote that is never closed, or that ends in the middle of a field.
pub fn read(file: &str, text: &str) -> Result<Vec<Record>, FileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let separator = separator(text);
    let mut records = Vec::new();
    let mut fields = Vec::new();
    let mut field = String::new();
    let (mut line, mut begin) = (1, 1);
    // The line of the quote that is open, and whether the field was a quoted one that has ended.
    let mut open: Option<usize> = None;
    let mut closed = false;
    let mut rest = text.chars().peekable();
    let mut end = |fields: &mut Vec<String>, begin: usize| {
        let record = std::mem::take(fields);
        if record.iter().any(|f| !f.is_empty()) {
            records.push((begin, record));
        }
    };
    while let Some(c) = rest.next() {
        if c == '\r' && rest.peek() == Some(&'\n') {
            continue;
        }
        let ends_line = matches!(c, '\n' | '\r');
        if open.is_some() {
            match c {
                '"' if rest.peek() == Some(&'"') => {
                    rest.next();
                    field.push('"');
                }
                '"' => {
                    open = None;
                    closed = true;
                }
                _ => field.push(c),
            }
        } else if c == separator || ends_line {
            fields.push(std::mem::take(&mut field).trim().to_owned());
            closed = false;
            if ends_line {
                end(&mut fields, begin);
                begin = line + 1;
            }
        } else if c == '"' && field.trim().is_empty() && !closed {
            field.clear();
            open = Some(line);
        } else if closed && !c.is_whitespace() {
            return Err(
                FileError::new(file, line, "text behind the closing quote of a field")
                    .fix("write a quote within a quoted field twice: \"\""),
            );
        } else {
            field.push(c);
        }
        line += usize::from(ends_line);
    }
    if let Some(line) = open {
        return Err(
            FileError::new(file, line, "this quote is never closed").fix("close it at the end of its field")
        );
    }
    fields.push(field.trim().to_owned());
    end(&mut fields, begin);
    Ok(records)
}

fn separator(text: &str) -> char {
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let count = |s: char| first.matches(s).count();
    // The last of equals wins: a comma where there is none at all.
    ['\t', ';', ',']
        .into_iter()
        .max_by_key(|s| count(*s))
        .unwrap_or(',')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        read("f", text).unwrap()
    }

    #[test]
    fn quotes_hold_separators_lines_and_quotes() {
        let text = "\u{feff}a,b\r\n\n\"x, y\",\"say \"\"no\"\"\nand more\"\r\n , \nlast, 1\"2";
        assert_eq!(
            fields(text),
            [
                (1, vec!["a".to_owned(), "b".to_owned()]),
                (3, vec!["x, y".to_owned(), "say \"no\"\nand more".to_owned()]),
                (6, vec!["last".to_owned(), "1\"2".to_owned()]),
            ]
        );
        assert_eq!(fields("a;b\n1,5;2")[1].1, ["1,5", "2"]);
        assert_eq!(fields("a\tb")[0].1, ["a", "b"]);
        assert_eq!(fields("alone")[0].1, ["alone"]);
        assert!(fields("").is_empty());
    }

    #[test]
    fn bad_quotes_have_a_line() {
        for (text, line, part) in [("a\n\"b\nc", 2, "never closed"), ("a\n\"b\" c", 2, "behind")] {
            let e = read("f", text).unwrap_err();
            assert!(
                e.line == line && e.problem.contains(part) && !e.fix.is_empty(),
                "{e}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(cells in prop::collection::vec(prop::collection::vec("[a-c,;\t\"\n ]{0,6}", 2..4), 1..5)) {
            let quoted = |c: &String| format!("\"{}\"", c.replace('"', "\"\""));
            let mut text = "h,i\n".to_owned();
            for row in &cells {
                text += &row.iter().map(quoted).collect::<Vec<_>>().join(",");
                text.push('\n');
            }
            let read: Vec<Vec<String>> = fields(&text).into_iter().skip(1).map(|(_, f)| f).collect();
            let wanted: Vec<Vec<String>> = cells
                .iter()
                .map(|r| r.iter().map(|c| c.trim().to_owned()).collect::<Vec<_>>())
                .filter(|r: &Vec<String>| r.iter().any(|f| !f.is_empty()))
                .collect();
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn no_text_panics(text in "[a,;\"\r\n\t]{0,30}") {
            let _ = read("f", &text);
        }
    }
}
