//! What people see of `scr`, on a small set of items: what the embedded tables hold may grow without
//! touching these texts.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

const ITEMS: &str = r#"format: imps-scr/items/1
protocol: CSP
items:
  - id: CSP-KALIVE-S-001
    role: server
    feature: keep-alive is answered
    text: >-
      The server answers a KeepAlive-Request
      within its session.
    status: M
    requirement: CSP-LOGINP-S-001 OR CSP-LOGIND-S-001
    reference: "WV-042; example WV-023 6.9"
    basis: spec
    source: printed example 6.9
  - id: CSP-LOGINP-S-001
    role: server
    feature: login with a password
    text: The server lets a user in who knows the password.
    status: O
    reference: WV-042
    basis: one
    source: one server
  - id: CSP-LOGIND-S-001
    role: server
    feature: a wrong digest is refused
    text: The server refuses a user who does not know the password.
    status: O
    reference: WV-042
    function: GETSPI
    since: "1.2"
    basis: infer
    because: security
    source: concluded from the meaning of a password
  - id: CSP-POLL-C-001
    role: client
    feature: polls when told to
    text: The client polls when the server says that something waits.
    status: M
    reference: WV-042
    until: "1.1"
    basis: open
    source: Q1
    testability: untestable
    untestable-because: nobody can tell why a client polled
"#;

fn tables(items: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scr-tables");
    for folder in ["syntax", "items"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for entry in std::fs::read_dir(from.join("syntax")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join("syntax").join(path.file_name().unwrap())).unwrap();
    }
    for name in ["readings.yaml", "items/imps-release.yaml"] {
        std::fs::copy(from.join(name), dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("items/csp.yaml"), items).unwrap();
    dir
}

fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = common::binary();
    command
        .arg("--tables")
        .arg(dir)
        .args(args)
        .env_remove("RUST_BACKTRACE");
    command
}

/// Exit code, standard output and standard error, without the name of the folder.
fn shown(dir: &Path, args: &[&str]) -> String {
    common::shown(&mut program(dir, args)).replace(&*dir.to_string_lossy(), "[tables]")
}

#[test]
fn list_shows_what_is_there() {
    let dir = tables(ITEMS);
    insta::assert_snapshot!("list", shown(dir.path(), &["scr", "list"]));
    insta::assert_snapshot!(
        "list_filtered",
        shown(
            dir.path(),
            &[
                "scr",
                "list",
                "--role",
                "server",
                "--status",
                "M",
                "--protocol",
                "csp"
            ]
        )
    );
    insta::assert_snapshot!(
        "list_nothing",
        shown(dir.path(), &["scr", "list", "--protocol", "SSP"])
    );
    let output = program(dir.path(), &["scr", "list", "--format", "json"])
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["items"].as_array().unwrap().len(), 6);
    assert_eq!(document["items"][2]["strength"], "must");
    insta::assert_snapshot!("list_json_item", format!("{:#}", document["items"][0]));
}

#[test]
fn show_says_everything() {
    let dir = tables(ITEMS);
    for (name, id) in [
        ("show_spec", "rec:CSP-KALIVE-S-001"),
        ("show_concluded", "CSP-LOGIND-S-001"),
        ("show_open", "CSP-POLL-C-001"),
        ("show_release_client", "OMA-ERDEF-IMPS-C-001"),
        ("show_release_server", "OMA-ERDEF-IMPS-S-001"),
        ("show_unknown", "CSP-KALVE-S-001"),
        ("show_hopeless", "\u{1b}[31mwhatever that may have been"),
    ] {
        insta::assert_snapshot!(name, shown(dir.path(), &["scr", "show", id]));
    }
}

#[test]
fn check_counts_and_complains() {
    let dir = tables(ITEMS);
    insta::with_settings!({filters => vec![(r"\d+ elements of.*", "[elements]"), (r"\d+ open questions.*", "[questions]")]}, {
        insta::assert_snapshot!("check", shown(dir.path(), &["scr", "check"]));
    });
    for (name, from, to) in [
        ("broken_reference", "CSP-LOGINP-S-001 OR", "CSP-LOGINX-S-001 OR"),
        ("broken_expression", "CSP-LOGINP-S-001 OR", "CSP-LOGINP-S-001OR"),
        ("broken_key", "feature: login with", "featur: login with"),
        ("broken_function", "GETSPI", "GETSPY"),
        ("broken_because", "basis: infer", "basis: one"),
    ] {
        assert!(ITEMS.contains(from));
        let dir = tables(&ITEMS.replacen(from, to, 1));
        insta::assert_snapshot!(name, shown(dir.path(), &["scr", "check"]));
    }
    std::fs::remove_file(dir.path().join("readings.yaml")).unwrap();
    insta::assert_snapshot!("missing_table", shown(dir.path(), &["scr", "check"]));
}

const LEDGER: &str = r#"format: imps-scr/ledger/1
statements: 5
documents:
  - {id: WV-042, title: Session and transactions, remark: not public}
  - {id: WV-051, title: Command lines, remark: no text}
  - {id: ERELD, title: The release, baseline: false, protocol: IMPS, remark: public}
  - {id: SMCNP, title: Core network, baseline: false, remark: no document}
entries:
  - number: 1
    document: ERELD
    section: "6"
    statement: Users log in.
    class: tested
    document-of: [WV-042]
    items: [CSP-LOGINP-S-001, CSP-LOGIND-*]
    reason: by their names
  - number: 2
    document: ERELD
    section: "6.2"
    statement: Commands may be typed.
    class: untestable
    document-of: [WV-051]
    reason: nobody knows how
  - number: 3
    document: ERELD
    section: "7"
    statement: Bills are paid.
    class: out-of-scope
    document-of: [ERELD, SMCNP]
    reason: the release leaves it out
  - {number: 4, document: WV-042, section: "1", same-as: 1}
  - number: 5
    document: WV-042
    section: "2"
    statement: It is good to have friends.
    class: informative
    document-of: [WV-042]
    reason: it asks nothing
"#;

#[test]
fn the_release_is_told_by_document() {
    let with = |ledger: &str| {
        let dir = tables(ITEMS);
        std::fs::write(dir.path().join("release-ledger.yaml"), ledger).unwrap();
        dir
    };
    let release = &["scr", "coverage", "--release"];
    insta::assert_snapshot!("release", shown(with(LEDGER).path(), release));
    let check = shown(with(LEDGER).path(), &["scr", "check"]);
    assert!(check.contains("5 statements of the release: 2 tested"), "{check}");
    let gap = LEDGER.replacen("statements: 5", "statements: 6", 1);
    let gap = shown(with(&gap).path(), release);
    assert!(
        gap.starts_with("exit 1") && gap.contains("GAP: statement 6"),
        "{gap}"
    );
    for (name, from, to) in [
        ("release_unknown_item", "CSP-LOGINP-S-001", "CSP-LOGINX-S-001"),
        ("release_no_reason", "    reason: nobody knows how\n", ""),
        ("release_same_as_nothing", "same-as: 1", "same-as: 9"),
    ] {
        assert!(LEDGER.contains(from));
        insta::assert_snapshot!(name, shown(with(&LEDGER.replacen(from, to, 1)).path(), release));
    }
    insta::assert_snapshot!("release_missing", shown(tables(ITEMS).path(), release));

    let dir = with(LEDGER);
    let output = program(dir.path(), &["scr", "coverage", "--release", "--format", "json"])
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["format"], "imps-scr/release-coverage/1");
    assert_eq!(document["totals"]["classes"]["tested"], 2);
    assert_eq!(document["documents"][3]["statements"]["out-of-scope"], 1);
    insta::assert_snapshot!(
        "release_json_statement",
        format!("{:#}", document["statements"][3])
    );
    for also in ["--matrix", "--role=server"] {
        let told = shown(dir.path(), &["scr", "coverage", "--release", also]);
        assert!(told.starts_with("exit 2"), "{told}");
    }
}

/// The release that the binary carries: all of it, with what has no document.
#[test]
fn the_embedded_release_is_accounted_for() {
    let output = common::binary()
        .args(["scr", "coverage", "--release"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "\nWV-051  ",
        "\nSMCNP  ",
        "16 documents of the baseline",
        "; 0 without a row",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn the_embedded_tables_are_sound() {
    let output = common::binary().args(["scr", "check"]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let dir = tables(ITEMS);
    for args in [
        &["scr", "list"][..],
        &["completions", "bash"],
        &["scr", "show", "nothing"],
    ] {
        let mut child = program(dir.path(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 2)), "{args:?}: {code:?}");
    }
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let output = common::binary().args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("imps-scr"),
            "{shell}"
        );
    }
}
