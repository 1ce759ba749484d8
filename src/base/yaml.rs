//! YAML with positions. The typed reader alone lets a duplicate key win silently and gives semantic
//! errors no line, so a pass over the parser events comes first: it refuses duplicates, aliases and
//! deep nesting, and keeps the line of every path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use saphyr_parser::{Event, Parser};
use serde::de::DeserializeOwned;

use super::limits::{MAX_YAML, MAX_YAML_DEPTH};

/// A mistake in a file that a user wrote: where it is, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The file as the user named it, or the embedded name.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong, in lower case.
    pub problem: String,
    /// What would repair it; may be empty.
    pub fix: String,
}

impl FileError {
    /// An error at a line of a file.
    pub fn new(file: &str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem: problem.into(),
            fix: String::new(),
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", super::escape::plain(&self.problem))?;
        if !self.fix.is_empty() {
            write!(f, "\n  fix: {}", super::escape::plain(&self.fix))?;
        }
        Ok(())
    }
}

/// A typed document with the line of each of its paths.
#[derive(Debug, Clone)]
pub struct Document<T> {
    /// The value.
    pub value: T,
    /// The file it came from.
    pub file: String,
    lines: BTreeMap<String, usize>,
}

impl<T> Document<T> {
    /// The line of a path such as `items[3].requirement`; the nearest known ancestor's otherwise.
    pub fn line(&self, path: &str) -> usize {
        nearest(&self.lines, path)
    }

    /// An error at a path of this document.
    pub fn error(&self, path: &str, problem: impl Into<String>) -> FileError {
        FileError::new(&self.file, self.line(path), problem)
    }
}

/// Reads one YAML document as `T`.
///
/// # Errors
/// A [`FileError`] with the line for: more than [`MAX_YAML`] octets, bad syntax, duplicate keys,
/// anchors and aliases, nesting beyond [`MAX_YAML_DEPTH`], several documents, and everything that
/// does not fit `T`.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<Document<T>, FileError> {
    if text.len() > MAX_YAML {
        return Err(
            FileError::new(file, 0, format!("larger than the limit of {MAX_YAML} octets"))
                .fix("split the file"),
        );
    }
    let lines = positions(file, text)?;
    let reader = serde_yaml::Deserializer::from_str(text);
    match serde_path_to_error::deserialize(reader) {
        Ok(value) => Ok(Document {
            value,
            file: file.to_owned(),
            lines,
        }),
        Err(error) => {
            let path = error.path().to_string();
            let inner = error.into_inner();
            let line = match nearest_known(&lines, &path) {
                Some(line) => line,
                None => inner.location().map_or(0, |l| l.line()),
            };
            let mut problem = inner.to_string();
            // What stands where an account should may be its password.
            if ["accounts", "headers"].iter().any(|s| path.starts_with(s)) && problem.contains("invalid type")
            {
                let fix = match path.starts_with("accounts") {
                    true => "write `A: {user: \"wv:…\", password: \"…\"}`",
                    false => "write `Name: \"value\"`",
                };
                return Err(FileError::new(file, line, format!("`{path}` is of another kind")).fix(fix));
            }
            if path != "." && !problem.starts_with(&path) {
                problem = format!("`{path}`: {problem}");
            }
            let mut fix = fix_of(&problem);
            // A file of another kind has other fields.
            let format = text.lines().find_map(|l| l.strip_prefix("format:"));
            if let Some(format) = format.filter(|_| problem.contains(" field `")) {
                fix.push_str(&format!("; the file calls itself `{}`", format.trim()));
            }
            Err(FileError::new(file, line, problem).fix(fix))
        }
    }
}

/// What to do about a value that does not fit, by the words of the problem.
fn fix_of(problem: &str) -> String {
    let quoted = |after: &str| {
        let rest = &problem[problem.find(after)? + after.len()..];
        rest.split('`').next().map(str::to_owned)
    };
    if let Some(field) = quoted("missing field `") {
        return format!("add `{field}: …`");
    }
    if let Some(field) = quoted("unknown field `") {
        return format!("correct the spelling of `{field}`, or remove it");
    }
    if let Some(value) = quoted("unknown variant `") {
        return format!("write one of the expected values in place of `{value}`");
    }
    "write a value of the kind that is expected here".to_owned()
}

fn nearest(lines: &BTreeMap<String, usize>, path: &str) -> usize {
    nearest_known(lines, path).unwrap_or(1)
}

fn nearest_known(lines: &BTreeMap<String, usize>, path: &str) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some(line) = lines.get(path) {
            return Some(*line);
        }
        let cut = path.rfind(['.', '['])?;
        path = &path[..cut];
    }
}

enum Frame {
    Map {
        keys: BTreeSet<String>,
        pending: Option<String>,
    },
    Seq {
        next: usize,
    },
}

fn positions(file: &str, text: &str) -> Result<BTreeMap<String, usize>, FileError> {
    let mut lines = BTreeMap::new();
    let mut stack: Vec<Frame> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            FileError::new(file, e.marker().line(), format!("not YAML: {}", e.info()))
                .fix("check indentation, quotes and colons on this line and the one before")
        })?;
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(FileError::new(file, line, "a second document in one file")
                        .fix("keep one document a file: remove the `---`"));
                }
            }
            Event::Alias(_) => {
                return Err(FileError::new(file, line, "an alias (`*name`)")
                    .fix("write the value out; anchors and aliases are not used here"));
            }
            Event::Scalar(value, _, anchor, _) => {
                no_anchor(file, line, anchor)?;
                if let Some(Frame::Map { keys, pending }) = stack.last_mut()
                    && pending.is_none()
                {
                    let key = value.into_owned();
                    if !keys.insert(key.clone()) {
                        return Err(
                            FileError::new(file, line, format!("the key `{key}` stands twice"))
                                .fix("keep one of them"),
                        );
                    }
                    path.push(if path.is_empty() {
                        key.clone()
                    } else {
                        format!(".{key}")
                    });
                    lines.insert(path.concat(), line);
                    *pending = Some(key);
                    continue;
                }
                enter(&mut stack, &mut path, &mut lines, line);
                leave(&mut stack, &mut path);
            }
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => {
                no_anchor(file, line, anchor)?;
                if let Some(Frame::Map { pending: None, .. }) = stack.last() {
                    return Err(FileError::new(file, line, "a key that is not plain text")
                        .fix("write a name in front of the colon"));
                }
                enter(&mut stack, &mut path, &mut lines, line);
                stack.push(if matches!(event, Event::MappingStart(..)) {
                    Frame::Map {
                        keys: BTreeSet::new(),
                        pending: None,
                    }
                } else {
                    Frame::Seq { next: 0 }
                });
                if stack.len() > MAX_YAML_DEPTH {
                    return Err(FileError::new(
                        file,
                        line,
                        format!("nested deeper than the limit of {MAX_YAML_DEPTH}"),
                    )
                    .fix("no file of this suite needs that: check brackets and indentation"));
                }
            }
            Event::MappingEnd | Event::SequenceEnd => {
                stack.pop();
                leave(&mut stack, &mut path);
            }
            _ => {}
        }
    }
    Ok(lines)
}

/// Notes a value that begins here: in a sequence it gets its index, in a map its key is on the path.
fn enter(stack: &mut [Frame], path: &mut Vec<String>, lines: &mut BTreeMap<String, usize>, line: usize) {
    if let Some(Frame::Seq { next }) = stack.last_mut() {
        path.push(format!("[{next}]"));
        *next += 1;
        lines.insert(path.concat(), line);
    }
}

/// A value ended: its key or index leaves the path.
fn leave(stack: &mut [Frame], path: &mut Vec<String>) {
    match stack.last_mut() {
        Some(Frame::Map { pending, .. }) => {
            *pending = None;
            path.pop();
        }
        Some(Frame::Seq { .. }) => {
            path.pop();
        }
        None => {}
    }
}

fn no_anchor(file: &str, line: usize, anchor: usize) -> Result<(), FileError> {
    if anchor == 0 {
        return Ok(());
    }
    Err(FileError::new(file, line, "an anchor (`&name`)")
        .fix("write the value out; anchors and aliases are not used here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        id: String,
        #[serde(default)]
        n: u8,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        rows: Vec<Row>,
    }

    #[test]
    fn paths_know_their_lines() {
        let doc = parse::<Table>("t", "rows:\n  - id: a\n  - id: b\n    n: 3\n").unwrap();
        assert_eq!(doc.value.rows[1].n, 3);
        assert_eq!(doc.value.rows[0].id, "a");
        assert_eq!(doc.line("rows[1].n"), 4);
        assert_eq!(doc.line("rows[1].absent"), 3);
    }

    #[test]
    fn mistakes_carry_their_line() {
        for (text, line, part) in [
            ("rows:\n  - id: a\n    id: b\n", 3, "stands twice"),
            ("rows:\n  - id: a\n    nn: 1\n", 3, "unknown field"),
            ("rows:\n  - id: a\n    n: 300\n", 3, "300"),
            ("rows:\n  - n: 1\n", 2, "missing field"),
            ("rows: [\n", 2, "not YAML"),
            ("rows: &a []\n", 1, "anchor"),
            ("rows: []\n---\nrows: []\n", 2, "second document"),
            ("", 1, "missing field"),
        ] {
            let error = parse::<Table>("t", text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.problem.contains(part), "{text:?}: {error}");
            assert!(error.to_string().contains("fix:"), "{text:?}: {error}");
        }
        let deep = "[".repeat(100);
        assert!(parse::<Table>("t", &deep).unwrap_err().problem.contains("deeper"));
    }
}
