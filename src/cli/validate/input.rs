//! Where messages come from: files, folders, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::base::limits::MAX_BODY;

/// One thing to read.
#[derive(Debug)]
pub(super) enum Source {
    /// Standard input.
    Stdin,
    /// A file that the user named.
    Named(PathBuf),
    /// A file that was found in a folder.
    Found(PathBuf),
}

/// What the first octets say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text that begins like XML.
    Xml,
    /// Binary XML.
    Wbxml,
    /// Anything else.
    Other,
}

impl Source {
    /// Whether the user asked for exactly this, so that it is judged whatever it holds.
    pub fn is_explicit(&self) -> bool {
        !matches!(self, Source::Found(_))
    }

    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".to_owned(),
            Source::Named(path) | Source::Found(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// The octets, one more than the limit at most: the reader then says that it is too large.
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        let most = MAX_BODY as u64 + 1;
        let mut octets = Vec::new();
        let (path, result) = match self {
            Source::Stdin => (
                Path::new("standard input"),
                io::stdin().lock().take(most).read_to_end(&mut octets),
            ),
            Source::Named(path) | Source::Found(path) => (
                path.as_path(),
                File::open(path).and_then(|file| file.take(most).read_to_end(&mut octets)),
            ),
        };
        result.map_err(|source| failed(path, source))?;
        Ok(octets)
    }
}

fn failed(path: &Path, source: io::Error) -> Failure {
    Failure::Io {
        what: "failed to read",
        path: path.to_owned(),
        source,
    }
}

/// All sources in order; folders are searched recursively, by name.
///
/// # Errors
/// A path that does not exist, a folder that cannot be listed.
pub(super) fn collect(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            out.push(Source::Stdin);
            continue;
        }
        let kind = std::fs::metadata(path).map_err(|e| failed(path, e))?;
        if kind.is_dir() {
            let mut found = Vec::new();
            search(path, &mut found)?;
            found.sort();
            out.extend(found.into_iter().map(Source::Found));
        } else {
            out.push(Source::Named(path.clone()));
        }
    }
    Ok(out)
}

/// Regular files below a folder. Symbolic links are not followed: a loop of them would never end.
fn search(top: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let mut stack = vec![top.to_owned()];
    while let Some(folder) = stack.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| failed(&folder, e))? {
            let entry = entry.map_err(|e| failed(&folder, e))?;
            let kind = entry.file_type().map_err(|e| failed(&entry.path(), e))?;
            if kind.is_dir() {
                stack.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Tells the kind by content; names and endings of files say nothing.
pub(super) fn kind(octets: &[u8]) -> Kind {
    // WBXML: the version (1.1 to 1.3), then a public identifier: 1 for unknown, 0 for one in the string
    // table, or that of a CSP version.
    if let [0x01..=0x03, 0x00 | 0x01 | 0x0F..=0x12, ..] = octets {
        return Kind::Wbxml;
    }
    let text = octets
        .strip_prefix(b"\xEF\xBB\xBF")
        .or_else(|| octets.strip_prefix(b"\xFF\xFE"))
        .or_else(|| octets.strip_prefix(b"\xFE\xFF"))
        .unwrap_or(octets);
    let mut narrow = text
        .iter()
        .copied()
        .filter(|o| *o != 0)
        .skip_while(u8::is_ascii_whitespace);
    match (narrow.next(), narrow.next()) {
        (Some(b'<'), Some(next)) if next.is_ascii_alphabetic() || matches!(next, b'?' | b'!' | b'_') => {
            Kind::Xml
        }
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_kind() {
        for (octets, expected) in [
            (&b"<?xml version='1.0'?><a/>"[..], Kind::Xml),
            (b"\n\t<a/>", Kind::Xml),
            (b"\xEF\xBB\xBF<a/>", Kind::Xml),
            (b"\xFF\xFE<\0a\0", Kind::Xml),
            (b"\x03\x11\x6A\x00", Kind::Wbxml),
            (b"\x03\x01\x6A\x00", Kind::Wbxml),
            (b"POST / HTTP/1.1", Kind::Other),
            (b"", Kind::Other),
            (b"<", Kind::Other),
            (b"\x89PNG", Kind::Other),
        ] {
            assert_eq!(kind(octets), expected, "{octets:?}");
        }
    }
}
