//! Imports point downward only: which room (top-level module) may name which other. The text of the
//! sources is read, without comments, strings and what is compiled for tests alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FLOORS_0_1: &[&str] = &["base", "spec", "message", "verdict", "event", "record"];
const FLOORS_0_3: &[&str] = &[
    "base",
    "spec",
    "message",
    "verdict",
    "event",
    "record",
    "codec",
    "check",
    "transport",
    "capture",
];
const FLOORS_0_5: &[&str] = &[
    "base",
    "spec",
    "message",
    "verdict",
    "event",
    "record",
    "codec",
    "check",
    "transport",
    "capture",
    "peer",
    "case",
];
const ALL: &[&str] = &[
    "base",
    "spec",
    "message",
    "verdict",
    "event",
    "record",
    "codec",
    "check",
    "transport",
    "capture",
    "peer",
    "case",
    "run",
    "report",
    "cli",
];

/// Each room with the other rooms that it may use.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("message", &["base"]),
    ("verdict", &["base", "message"]),
    ("record", &["base", "message"]),
    ("spec", &["base", "message", "verdict"]),
    ("event", FLOORS_0_1),
    ("codec", FLOORS_0_1),
    ("check", FLOORS_0_1),
    ("transport", &["base", "record"]),
    (
        "capture",
        &["base", "message", "record", "verdict", "event", "spec"],
    ),
    (
        "peer",
        &[
            "base",
            "spec",
            "message",
            "verdict",
            "record",
            "codec",
            "check",
            "transport",
        ],
    ),
    ("case", FLOORS_0_3),
    ("run", FLOORS_0_5),
    ("report", FLOORS_0_1),
    ("cli", ALL),
    ("lib", ALL),
    ("main", ALL),
];

#[test]
fn imports_point_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    collect(&src, &mut files);
    let mut for_tests = BTreeSet::new();
    for (path, source) in &files {
        for module in test_modules(&blank(source)) {
            let folder = module_folder(path);
            for_tests.insert(folder.join(format!("{module}.rs")));
            for_tests.insert(folder.join(module).join("mod.rs"));
        }
    }
    let mut wrong = Vec::new();
    let mut rooms = BTreeSet::new();
    for (path, source) in files.iter().filter(|(p, _)| !for_tests.contains(*p)) {
        let relative = path.strip_prefix(&src).unwrap();
        let modules = module_path(relative);
        let room = modules.first().cloned().unwrap_or_else(|| {
            // `lib.rs` and `main.rs` are rooms of their own.
            relative.file_stem().unwrap().to_string_lossy().into_owned()
        });
        rooms.insert(room.clone());
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "{}: the room `{room}` is not in the table",
                relative.display()
            ));
            continue;
        };
        for used in used_rooms(&without_tests(&blank(source)), modules.len()) {
            if used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: `{room}` may not use `{used}`", relative.display()));
            }
        }
    }
    assert!(rooms.len() > 10, "only {rooms:?} were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_scanner_sees_what_it_has_to() {
    let used = |source: &str, depth: usize| -> Vec<String> {
        used_rooms(&without_tests(&blank(source)), depth)
            .into_iter()
            .collect()
    };
    assert_eq!(used("use crate::base::ItemId;", 1), ["base"]);
    assert_eq!(
        used("use crate::{base::{a, b}, spec::Role, verdict};", 1),
        ["base", "spec", "verdict"]
    );
    assert_eq!(
        used("fn f() -> crate::run::Plan { crate :: case::x() }", 1),
        ["case", "run"]
    );
    assert_eq!(used("use super::run::Plan;", 1), ["run"]);
    assert_eq!(used("use super::super::run::Plan;", 2), ["run"]);
    assert_eq!(used("use super::{run, case::X};", 1), ["case", "run"]);
    assert_eq!(
        used("mod inner { use super::x; use super::super::run; }", 1),
        ["run"]
    );
    assert!(
        used(
            "use super::run::Plan; pub(crate) fn f() {} pub(super) fn g() {}",
            2
        )
        .is_empty()
    );
    assert!(
        used(
            "// crate::run\n/* crate::run /* */ */ const A: &str = \"crate::run\";",
            1
        )
        .is_empty()
    );
    assert!(
        used(
            "const A: &str = r#\"\" crate::run\"#; fn f<'a>() -> char { '\"' }",
            1
        )
        .is_empty()
    );
    assert!(used("#[cfg(test)]\nmod tests { use crate::run; fn f() { {} } }", 1).is_empty());
    assert!(used("#[cfg(test)]\nuse crate::run;", 1).is_empty());
    assert_eq!(used("#[cfg(test)] mod t { } use crate::run;", 1), ["run"]);
    assert_eq!(used("use crate as everything;", 1), ["as"]);
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.insert(path.clone(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// `report/html.rs` → `report`, `html`; `report/mod.rs` → `report`; `lib.rs` → nothing.
fn module_path(relative: &Path) -> Vec<String> {
    let mut parts: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Where the files of the modules that this file declares are.
fn module_folder(path: &Path) -> PathBuf {
    match path.file_name().and_then(|n| n.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    }
}

/// The source with comments, strings and character literals replaced by blanks.
fn blank(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    while i < text.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..text.len()).find(|j| at(*j) == '\n').unwrap_or(text.len()),
            ('/', '*') => end_of_comment(&text, i),
            ('"', _) => end_of_string(&text, i + 1),
            ('r', '"' | '#') if !word(at(i.wrapping_sub(1))) || at(i.wrapping_sub(1)) == 'b' => {
                end_of_raw_string(&text, i)
            }
            ('\'', '\\') => (i + 3..text.len())
                .find(|j| at(*j) == '\'')
                .map_or(text.len(), |j| j + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(text[i]);
            i += 1;
        } else {
            out.push(' ');
            i = end;
        }
    }
    out
}

fn end_of_comment(text: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0usize, start);
    while i < text.len() {
        match (text[i], text.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn end_of_string(text: &[char], mut i: usize) -> usize {
    while i < text.len() {
        match text[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    text.len()
}

/// Behind `r#"…"#`; the same place for a raw identifier (`r#type`).
fn end_of_raw_string(text: &[char], start: usize) -> usize {
    let hashes = text[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return start;
    }
    (open + 1..text.len())
        .find(|i| {
            text[*i] == '"' && text[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        })
        .map_or(text.len(), |i| i + 1 + hashes)
}

fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, `::` and single characters.
fn tokens(blanked: &str) -> Vec<String> {
    let text: Vec<char> = blanked.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let start = i;
        while i < text.len() && word(text[i]) {
            i += 1;
        }
        if i == start {
            i += if text[i] == ':' && text.get(i + 1) == Some(&':') {
                2
            } else {
                1
            };
        }
        let token: String = text[start..i].iter().collect();
        if !token.trim().is_empty() {
            out.push(token);
        }
    }
    out
}

const TEST_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn is_test_only(tokens: &[String]) -> bool {
    tokens.len() >= TEST_ONLY.len() && tokens.iter().zip(TEST_ONLY).all(|(a, b)| a == b)
}

/// Names of modules in files of their own that only tests have.
fn test_modules(blanked: &str) -> Vec<String> {
    let tokens = tokens(blanked);
    (0..tokens.len())
        .filter(|i| is_test_only(&tokens[*i..]))
        .filter_map(|i| {
            let item = &tokens[i + TEST_ONLY.len()..];
            let item = &item[..item.iter().position(|t| t == ";" || t == "{")?];
            let at = item.iter().position(|t| t == "mod")?;
            item.get(at + 1).cloned()
        })
        .collect()
}

fn without_tests(blanked: &str) -> Vec<String> {
    let all = tokens(blanked);
    let mut out = Vec::new();
    let mut i = 0;
    while i < all.len() {
        if !is_test_only(&all[i..]) {
            out.push(all[i].clone());
            i += 1;
            continue;
        }
        i += TEST_ONLY.len();
        // A `use` ends with `;` whatever braces it has, everything else with its block or `;`.
        let import = all.get(i).is_some_and(|t| t == "use");
        let mut depth = 0usize;
        while i < all.len() {
            match all[i].as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let done = all[i] == ";" && depth == 0 || all[i] == "}" && depth == 0 && !import;
            i += 1;
            if done {
                break;
            }
        }
    }
    out
}

/// The first segments of paths from the root of the crate: `crate::x`, or `super` often enough to
/// leave a room. `depth` is the number of modules that the file stands in.
fn used_rooms(tokens: &[String], depth: usize) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut braces = 0usize;
    let mut inner: Vec<usize> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => {
                braces += 1;
                if i >= 2 && tokens[i - 2] == "mod" {
                    inner.push(braces);
                }
            }
            "}" => {
                if inner.last() == Some(&braces) {
                    inner.pop();
                }
                braces = braces.saturating_sub(1);
            }
            "crate" if tokens.get(i + 1).is_some_and(|t| t == "::") => heads(&tokens[i + 2..], &mut out),
            "crate" if tokens.get(i + 1).is_some_and(|t| t == "as") => {
                out.insert("as".to_owned());
            }
            "super" if i == 0 || tokens[i - 1] != "::" => {
                let mut ups = 0;
                let mut at = i;
                while tokens.get(at).is_some_and(|t| t == "super")
                    && tokens.get(at + 1).is_some_and(|t| t == "::")
                {
                    ups += 1;
                    at += 2;
                }
                if ups > 0 && ups >= depth + inner.len() {
                    heads(&tokens[at..], &mut out);
                }
            }
            _ => {}
        }
        i += 1;
    }
    out
}

/// `a::b` → `a`; `{a::{b, c}, d}` → `a`, `d`.
fn heads(tokens: &[String], out: &mut BTreeSet<String>) {
    if tokens.first().is_none_or(|t| t != "{") {
        out.extend(tokens.first().cloned());
        return;
    }
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(tokens[i - 1].as_str(), "{" | ",") => {
                out.insert(token.clone());
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}
