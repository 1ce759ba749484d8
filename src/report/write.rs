//! The files of a finished run.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Collector, junit, page, to_json};

/// Writes `report.json`, `junit.xml` and `index.html` into a directory, which is made if needed.
/// Each appears whole or not at all, so that a reader never meets half a report.
///
/// # Errors
/// The directory or a file cannot be written; the others are.
pub fn write_all(dir: &Path, collector: &Collector) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let report = collector.report();
    let texts = [
        ("report.json", Ok(to_json(report))),
        ("junit.xml", junit(report).map_err(io::Error::other)),
        (
            "index.html",
            page(report, collector.exchanges()).map_err(io::Error::other),
        ),
    ];
    let mut written = Vec::new();
    let mut failed = None;
    for (name, text) in texts {
        let path = dir.join(name);
        match text.and_then(|t| write_whole(&path, t.as_bytes())) {
            Ok(()) => written.push(path),
            Err(e) => failed = failed.or(Some(io::Error::new(e.kind(), format!("{name}: {e}")))),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(written),
    }
}

fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, fixture};

    #[test]
    fn three_files_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let collector = fixture::collected(true);
        for _ in 0..2 {
            let files = write_all(&out, &collector).unwrap();
            assert_eq!(files.len(), 3);
        }
        let mut names: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["index.html", "junit.xml", "report.json"]);
        let text = fs::read_to_string(out.join("report.json")).unwrap();
        assert_eq!(&Report::read("r", &text).unwrap(), collector.report());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_the_others_and_no_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("report.json")).unwrap();
        assert!(write_all(dir.path(), &fixture::collected(true)).is_err());
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["index.html", "junit.xml", "report.json"]);
    }
}
