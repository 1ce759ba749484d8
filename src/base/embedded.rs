//! The tables and cases that the binary carries, as (name, text) in order of name.

mod generated {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// A set of named texts: embedded, or read from a directory that the user gave.
#[derive(Debug, Clone)]
pub struct FileSet {
    files: Vec<(String, String)>,
}

impl FileSet {
    /// The embedded `scr-tables/`.
    pub fn tables() -> Self {
        Self::of(generated::TABLES)
    }

    /// The embedded `cases/`.
    pub fn cases() -> Self {
        Self::of(generated::CASES)
    }

    /// Given texts; names use `/`.
    pub fn new(mut files: Vec<(String, String)>) -> Self {
        files.sort();
        Self { files }
    }

    fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
                .collect(),
        }
    }

    /// All files in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(n, t)| (n.as_str(), t.as_str()))
    }

    /// The file whose name ends in `/name`, or is `name`.
    pub fn get(&self, name: &str) -> Option<(&str, &str)> {
        self.iter()
            .find(|(n, _)| *n == name || n.strip_suffix(name).is_some_and(|p| p.ends_with('/')))
    }

    /// A digest of all names and texts, 16 hexadecimal digits: tells two sets apart, protects nothing.
    pub fn digest(&self) -> String {
        use sha1::Digest as _;
        let mut hash = sha1::Sha1::new();
        for (name, text) in self.iter() {
            let short = name.rsplit('/').next().unwrap_or(name);
            hash.update((short.len() as u64).to_be_bytes());
            hash.update(short.as_bytes());
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect()
    }
}
