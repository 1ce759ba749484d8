//! `scr import`, and what a run shows of the rows that were brought. All rows here are made up.

mod common;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

/// The older style: a column for the status.
const OLD: &str = "\u{feff}Item,Function,Reference,Status,Requirement,Remarks\r\n\
DEMO-S-001,\"The server, asked to keep a session,\nanswers\",[DEMO] 1.1,M,DEMO-S-002 AND DEMO:MSF,a\r\n\
DEMO-S-002,The server counts <b>,[DEMO] 1.2,O,,\r\n\
DEMO-S-003,The server sings,[DEMO] 1.3,M,See [DEMO_SONGS],\r\n\
DEMO-C-001,The client asks,[DEMO] 2.1,M,DEMO-C-009,\r\n\
LABEL-5,A label of the old kind,[DEMO] 3,N/A,,\r\n";

/// The newer style: the status behind the name.
const NEW: &str = "Item;Function;Reference;Requirement;Maps\n\
DEMOX-S-001-M;answers;[DEMO] 1;;CSP-KALIVE-S-001 rec:CSP-KALIVE-S-002\n\
DEMOX-S-002-O;waits;[DEMO] 2;DEMOX-S-001-M;\n";

const MAPS: &str = "maps:\n  DEMO-S-001: [CSP-KALIVE-S-001, CSP-KALIVE-S-003]\n  oma:DEMO-S-002:\n    - CSP-KALIVE-S-002\n  \
                    DEMO-C-001: [CSP-KALIVE-C-001]\n";

fn program(dir: &Path, args: &[&str]) -> Output {
    common::in_folder(dir, args).output().unwrap()
}

fn shown(dir: &Path, args: &[&str]) -> String {
    common::shown(&mut common::in_folder(dir, args))
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// A folder with both tables, imported.
fn imported() -> tempfile::TempDir {
    let dir = folder(&[("old.csv", OLD), ("new.csv", NEW), ("maps.yaml", MAPS)]);
    for args in [
        &[
            "scr",
            "import",
            "old.csv",
            "--maps",
            "maps.yaml",
            "--out",
            "old.yaml",
        ][..],
        &["scr", "import", "new.csv", "--out", "new.yaml"],
    ] {
        let output = program(dir.path(), args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    dir
}

#[test]
fn both_styles_become_a_table() {
    let dir = folder(&[("old.csv", OLD), ("new.csv", NEW), ("maps.yaml", MAPS)]);
    insta::assert_snapshot!(
        "import_old",
        shown(dir.path(), &["scr", "import", "old.csv", "--maps", "maps.yaml"])
    );
    insta::assert_snapshot!("import_new", shown(dir.path(), &["scr", "import", "new.csv"]));
    let first = shown(dir.path(), &["scr", "import", "new.csv", "--out", "t.yaml"]);
    assert!(first.starts_with("exit 0"), "{first}");
    let again = shown(dir.path(), &["scr", "import", "new.csv", "--out", "t.yaml"]);
    assert!(again.starts_with("exit 2") && again.contains("fix:"), "{again}");
}

#[test]
fn yaml_is_taken_as_well() {
    let rows = "rows:\n  - {Item: DEMO-S-001, Function: f, Reference: r, Status: M, Requirement: DEMO-S-001, Maps: [CSP-KALIVE-S-001]}\n";
    let dir = folder(&[("t.yaml", rows), ("t.txt", rows)]);
    let a = program(dir.path(), &["scr", "import", "t.yaml"]);
    let b = program(dir.path(), &["scr", "import", "t.txt"]);
    let text = String::from_utf8(a.stdout).unwrap();
    assert!(
        text.contains("\"oma:DEMO-S-001\"") && text.contains("maps: [CSP-KALIVE-S-001]"),
        "{text}"
    );
    assert_eq!(
        text.replace("t.yaml", "t.txt"),
        String::from_utf8(b.stdout).unwrap()
    );
}

#[test]
fn check_tells_what_is_mapped_and_what_is_not() {
    let dir = imported();
    let text = shown(
        dir.path(),
        &["scr", "check", "--imported", "old.yaml", "--imported", "new.yaml"],
    );
    assert!(text.starts_with("exit 0"), "{text}");
    let (_, told) = text.split_once("strength follows basis\n").unwrap();
    insta::assert_snapshot!("check_imported", told);
    let twice = shown(
        dir.path(),
        &["scr", "check", "--imported", "old.yaml", "--imported", "old.yaml"],
    );
    assert!(twice.starts_with("exit 2") && twice.contains("in two tables") && twice.contains("fix:"));
}

#[test]
fn wrong_input_is_refused_with_line_and_fix() {
    let good = imported();
    let table = std::fs::read_to_string(good.path().join("old.yaml")).unwrap();
    let change = |from: &str, to: &str| {
        assert!(table.contains(from), "{from}");
        table.replacen(from, to, 1)
    };
    let import: &[&str] = &["scr", "import", "t.csv"];
    let check: &[&str] = &["scr", "check", "--imported", "t.csv"];
    let run: &[&str] = &["run", "--list", "--imported", "t.csv"];
    for (args, text, place, part) in [
        (
            import,
            "Item,Function,Reference\n".to_owned(),
            "t.csv:1:",
            "Requirement",
        ),
        (
            import,
            OLD.replace(",N/A,", ",maybe,"),
            "t.csv:7:",
            "`maybe` is no status",
        ),
        (
            import,
            OLD.replace("LABEL-5", "DEMO-S-001"),
            "t.csv:7:",
            "stands twice",
        ),
        (
            import,
            OLD.replace("\nanswers\"", "\nanswers"),
            "t.csv:2:",
            "never closed",
        ),
        (
            import,
            NEW.replace("-S-002 ", "-S-999 ")
                .replace("rec:CSP-KALIVE-S-002", "CSP-KALIV-S-002"),
            "t.csv:2:",
            "did you mean CSP-KALIVE-S-002",
        ),
        (
            import,
            NEW.replace("rec:CSP-KALIVE-S-002", "CSP-KALIVE-C-001"),
            "t.csv:2:",
            "an item of the client",
        ),
        (
            check,
            change("imps-scr/imported/1", "imps-scr/items/1"),
            "t.csv:2:",
            "not known",
        ),
        (
            check,
            change("\"oma:DEMO-S-002\"", "\"DEMO-S-002\""),
            "t.csv:",
            "does not begin with oma:",
        ),
        (
            check,
            change("requirement: \"DEMO-S-002 AND DEMO:MSF\"", "requirement: \"See\""),
            "t.csv:",
            "not an expression",
        ),
        (
            run,
            change("CSP-KALIVE-S-003", "CSP-KALIVE-S-999"),
            "t.csv:",
            "no item here",
        ),
    ] {
        let dir = folder(&[("t.csv", &text)]);
        let told = shown(dir.path(), args);
        assert!(told.starts_with("exit 2"), "{args:?}: {told}");
        assert!(
            told.contains(place) && told.contains(part) && told.contains("fix:"),
            "{args:?}: {told}"
        );
    }
    let dir = folder(&[("old.csv", OLD), ("maps.yaml", "maps:\n  DEMO-S-01: []\n")]);
    let told = shown(dir.path(), &["scr", "import", "old.csv", "--maps", "maps.yaml"]);
    assert!(
        told.starts_with("exit 2") && told.contains("maps.yaml:2:") && told.contains("did you mean"),
        "{told}"
    );
    std::fs::write(dir.path().join("latin.csv"), b"Item\n\xe9\n").unwrap();
    let told = shown(dir.path(), &["scr", "import", "latin.csv"]);
    assert!(told.contains("latin.csv:2: octets that are no UTF-8"), "{told}");
}

/// Verdict and reason of a row.
fn row(report: &Value, id: &str) -> (String, String) {
    let tables = report["imported"].as_array().unwrap();
    let row = tables
        .iter()
        .flat_map(|t| t["rows"].as_array().unwrap())
        .find(|r| r["id"] == id)
        .unwrap();
    (
        row["verdict"].as_str().unwrap().to_owned(),
        row["reason"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn a_run_joins_the_verdicts() {
    let dir = imported();
    let run = |more: &[&str]| {
        let args = [
            &[
                "run",
                "--role",
                "server",
                "--csp",
                "1.2",
                "--filter",
                "group(KALIVE)",
                "--imported",
                "old.yaml",
                "--imported",
                "new.yaml",
                "--out",
                "out",
            ][..],
            more,
        ]
        .concat();
        let output = program(dir.path(), &args);
        let read = |name: &str| std::fs::read_to_string(dir.path().join("out").join(name)).unwrap();
        let report: Value = serde_json::from_str(&read("report.json")).unwrap();
        (
            report,
            String::from_utf8(output.stdout).unwrap(),
            read("index.html"),
        )
    };
    let (report, stdout, page) = run(&[]);
    let verdicts = |report: &Value| {
        [
            "DEMO-S-001",
            "DEMO-S-002",
            "DEMO-S-003",
            "DEMO-C-001",
            "LABEL-5",
            "DEMOX-S-001-M",
        ]
        .map(|id| row(report, &format!("oma:{id}")).0)
    };
    assert_eq!(
        verdicts(&report),
        ["pass", "pass", "untested", "not-run", "untested", "pass"]
    );
    assert_eq!(row(&report, "oma:DEMO-S-003").1, "mapped to no item");
    assert_eq!(report["imported"][0]["mandatory_unmapped"], 1);
    assert!(
        report["caveats"].to_string().contains("mapped to no item: 1"),
        "{}",
        report["caveats"]
    );
    let line =
        "imported table old.yaml: 5 rows: 2 pass, 2 untested, 1 not-run; 1 mandatory row mapped to no item\n";
    assert!(stdout.contains(line), "{stdout}");
    assert!(page.contains("oma:DEMO-S-001") && page.contains("The server counts &lt;b&gt;"));
    assert!(page.contains("1 mandatory row mapped to no item"));
    assert!(page.contains("no expression: "));

    // The transcript holds it as well: reports that are missing are written from it.
    std::fs::remove_file(dir.path().join("out/report.json")).unwrap();
    let again = shown(dir.path(), &["run", "--resume", "out"]);
    assert!(again.starts_with("exit 0"), "{again}");
    let text = std::fs::read_to_string(dir.path().join("out/report.json")).unwrap();
    let rebuilt: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rebuilt["imported"], report["imported"]);

    let again = program(dir.path(), &["run", "--rejudge", "out", "--imported", "new.yaml"]);
    assert_eq!(again.status.code(), Some(0));
    let text = std::fs::read_to_string(dir.path().join("out/rejudged/report.json")).unwrap();
    let rejudged: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(row(&rejudged, "oma:DEMOX-S-001-M").0, "pass");
    assert_eq!(rejudged["imported"].as_array().unwrap().len(), 1);

    let (report, _, _) = run(&["--fault", "server-keep-alive-500"]);
    // The worst counts: one of its items fails, another could not be told.
    assert_eq!(row(&report, "oma:DEMO-S-001").0, "fail");
    assert!(row(&report, "oma:DEMO-S-001").1.starts_with("CSP-KALIVE-S-001: "));
    assert_eq!(row(&report, "oma:DEMO-S-002").0, "inconc");
}

#[test]
fn nothing_that_was_brought_is_in_the_suite() {
    let list = program(Path::new("."), &["scr", "list"]);
    assert!(!String::from_utf8(list.stdout).unwrap().contains("oma:"));
}
