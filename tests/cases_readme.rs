//! `cases/README.md` says what is so: its examples load, and every key of the language stands in it.

use imps_scr::base::FileSet;
use imps_scr::spec::Tables;

const GUIDE: &str = include_str!("../cases/README.md");

/// The fenced blocks of YAML whose format line is this.
fn examples(format: &str) -> Vec<&'static str> {
    GUIDE
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .filter(|block| block.starts_with(&format!("format: {format}\n")))
        .collect()
}

#[test]
fn the_example_case_loads() {
    let found = examples("imps-scr/cases/1");
    assert_eq!(found.len(), 1);
    let items = Tables::load(&FileSet::tables()).unwrap().items;
    let files = FileSet::new(vec![("cases/mine/example.yaml".to_owned(), found[0].to_owned())]);
    let cases = imps_scr::case::load(&files, &items).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(cases.len(), 1);
}

#[test]
fn the_example_fragments_and_faults_load() {
    let fragments = examples("imps-scr/fragments/1");
    let faults = examples("imps-scr/faults/1");
    assert_eq!((fragments.len(), faults.len()), (1, 1));
    let files = FileSet::new(vec![
        ("cases/_shared/example.yaml".to_owned(), fragments[0].to_owned()),
        ("cases/_faults/example.yaml".to_owned(), faults[0].to_owned()),
    ]);
    let suite = imps_scr::run::Suite::load(&FileSet::tables(), &files).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(suite.faults.len(), 1);
}

/// The example passes against the embedded reference: its commands and its statement are true.
#[test]
fn the_example_passes() {
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("my-cases");
    std::fs::create_dir_all(cases.join("mine")).unwrap();
    std::fs::write(cases.join("mine/example.yaml"), examples("imps-scr/cases/1")[0]).unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_imps-scr"))
        .current_dir(dir.path())
        .args([
            "run",
            "--cases",
            "my-cases",
            "--filter",
            "id(*-901)",
            "--out",
            "out",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status.code(), Some(0), "{text}");
    assert!(text.contains("2 cases: 2 pass"), "{text}");
}

/// Every word for a client stands in the guide for drivers.
#[test]
fn every_command_is_described() {
    let guide = include_str!("../cases/DRIVERS.md");
    let missing: Vec<&str> = imps_scr::spec::Command::ALL
        .iter()
        .map(|c| c.as_str())
        .filter(|word| !guide.contains(&format!("`{word}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "cases/DRIVERS.md does not speak of {missing:?}"
    );
}

/// Every key of a step, a condition, an edit, a case and a fault, and every word of the closed lists.
#[test]
fn every_key_is_described() {
    let mut missing = Vec::new();
    for (source, name) in [
        (include_str!("../src/case/raw.rs"), "struct RawCase"),
        (include_str!("../src/case/raw.rs"), "struct RawStep"),
        (include_str!("../src/case/raw.rs"), "struct RawTest"),
        (include_str!("../src/codec/deviation.rs"), "struct RawEdit"),
        (include_str!("../src/peer/fault.rs"), "struct RawFault"),
        (include_str!("../src/peer/server/faults.rs"), "enum ServerFault"),
        (include_str!("../src/peer/client_faults.rs"), "enum ClientFault"),
    ] {
        let keys = keys(source, name);
        assert!(keys.len() > 3, "{name}: {keys:?}");
        missing.extend(keys.into_iter().filter(|key| !mentions(key)));
    }
    assert!(
        missing.is_empty(),
        "cases/README.md does not speak of {missing:?}"
    );
}

fn mentions(key: &str) -> bool {
    [
        format!("`{key}`"),
        format!("`{key}:"),
        format!("{{{key}:"),
        format!(", {key}:"),
        format!("  {key}:"),
        format!("- {key}:"),
    ]
    .iter()
    .any(|shape| GUIDE.contains(shape))
}

/// The fields or variants of a type, as YAML spells them.
fn keys(source: &str, name: &str) -> Vec<String> {
    let (_, rest) = source.split_once(&format!("{name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut out = Vec::new();
    let mut renamed = None;
    for line in body.lines().map(str::trim) {
        if let Some((_, word)) = line.split_once("rename = \"") {
            renamed = word.split('"').next().map(str::to_owned);
            continue;
        }
        if line.starts_with("//") || line.starts_with('#') {
            continue;
        }
        let word: String = line
            .trim_start_matches("pub ")
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        out.push(renamed.take().unwrap_or_else(|| kebab(&word)));
    }
    out
}

fn kebab(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        match c {
            '_' => out.push('-'),
            c if c.is_ascii_uppercase() => {
                if !out.is_empty() {
                    out.push('-');
                }
                out.push(c.to_ascii_lowercase());
            }
            c => out.push(c),
        }
    }
    out
}
