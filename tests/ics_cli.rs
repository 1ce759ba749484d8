//! What people see of `ics`: a statement to fill in, its review, and what a run says of it.

mod common;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

const ITEMS: &str = r#"format: imps-scr/items/1
protocol: CSP
items:
  - id: CSP-KALIVE-S-001
    role: server
    feature: keep-alive is answered
    text: The server answers a KeepAlive-Request within its session.
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
    since: "1.2"
    basis: infer
    source: concluded
  - id: CSP-CREAG-S-001
    role: server
    feature: groups are created
    text: The server creates groups.
    status: O
    requirement: (CSP-LOGINP-S-001 OR CSP-LOGIND-S-001) AND CSP-GETGP-S-001 AND NOT CSP-OLD-S-001
    reference: WV-042
    basis: one
    source: one server
  - id: CSP-GETGP-S-001
    role: server
    feature: properties of groups
    text: The server tells the properties of a group.
    status: O
    requirement: CSP:MSF
    reference: WV-042
    basis: one
    source: one server
  - id: CSP-OLD-S-001
    role: server
    feature: an old way
    text: The server does it the old way.
    status: O
    reference: WV-042
    basis: one
    source: one server
  - id: CSP-POLL-C-001
    role: client
    feature: polls when told to
    text: The client polls when the server says that something waits.
    status: M
    requirement: CSP:MSF
    reference: WV-042
    basis: open
    source: Q1
"#;

fn tables() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scr-tables");
    for folder in ["syntax", "items"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for entry in std::fs::read_dir(from.join("syntax")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join("syntax").join(path.file_name().unwrap())).unwrap();
    }
    std::fs::copy(from.join("readings.yaml"), dir.path().join("readings.yaml")).unwrap();
    std::fs::write(dir.path().join("items/csp.yaml"), ITEMS).unwrap();
    dir
}

fn program(dir: &Path, args: &[&str]) -> Output {
    common::in_folder(dir, args).output().unwrap()
}

fn shown(dir: &Path, args: &[&str]) -> String {
    common::shown(&mut common::in_folder(dir, args))
}

const HEAD: &str =
    "format: imps-scr/ics/1\nname: Server X\nrole: server\nversions: [\"1.1\", \"1.2\"]\nclaims:\n";

/// A statement with these answers is checked.
fn checked(dir: &Path, answers: &str) -> String {
    std::fs::write(dir.join("ics.yaml"), format!("{HEAD}{answers}")).unwrap();
    shown(dir, &["--tables", ".", "ics", "check", "ics.yaml"])
}

#[test]
fn a_new_statement_holds_once_it_is_filled_in() {
    for role in ["client", "server"] {
        for csp in [&[][..], &["--csp", "1.1"], &["--csp", "1.2"]] {
            let dir = tempfile::tempdir().unwrap();
            let new = [
                &[
                    "ics", "new", "--role", role, "--name", "X \"1\"", "--out", "ics.yaml",
                ][..],
                csp,
            ]
            .concat();
            assert!(program(dir.path(), &new).status.success());
            let again = shown(dir.path(), &new);
            assert!(again.starts_with("exit 2") && again.contains("fix:"), "{again}");
            let path = dir.path().join("ics.yaml");
            let text = std::fs::read_to_string(&path).unwrap();
            let check = |text: &str| {
                std::fs::write(&path, text).unwrap();
                shown(dir.path(), &["ics", "check", "ics.yaml"])
            };
            let open = check(&text);
            assert!(
                open.starts_with("exit 5") && open.contains("unanswered ("),
                "{open}"
            );
            let full = check(&text.replace("   # yes or no", "yes"));
            assert!(
                full.starts_with("exit 0") && full.contains("the statement holds"),
                "{full}"
            );
            // What nothing asks for may be missing.
            let bare = check(&text.replace("   # yes or no", "no"));
            assert!(
                bare.starts_with("exit 0") || bare.contains("the smallest repair"),
                "{bare}"
            );
        }
    }
}

#[test]
fn the_proforma_says_what_each_item_is() {
    let dir = tables();
    insta::assert_snapshot!(
        "ics_new",
        shown(dir.path(), &["--tables", ".", "ics", "new", "--role", "server"])
    );
}

#[test]
fn a_review_shows_what_is_missing_and_what_repairs_it() {
    let dir = tables();
    let yes = "  CSP-KALIVE-S-001: yes\n  CSP-LOGINP-S-001: yes\n  CSP-LOGIND-S-001: no\n";
    for (name, answers) in [
        (
            "ics_holds",
            format!("{yes}  CSP-CREAG-S-001: no\n  CSP-GETGP-S-001: no\n  CSP-OLD-S-001: no\n"),
        ),
        (
            "ics_refused",
            "  CSP-KALIVE-S-001: no\n  CSP-LOGINP-S-001: no\n  CSP-LOGIND-S-001: no\n  CSP-CREAG-S-001: yes\n  \
             CSP-GETGP-S-001: no\n  CSP-OLD-S-001: yes\n"
                .to_owned(),
        ),
        (
            "ics_unanswered",
            format!("{yes}  CSP-CREAG-S-001: yes\n  CSP-GETGP-S-001:\n  CSP-OLD-S-001: no\n"),
        ),
        ("ics_empty", "  CSP-KALIVE-S-001:\n".to_owned()),
    ] {
        insta::assert_snapshot!(name, checked(dir.path(), &answers));
    }
    let json = program(
        dir.path(),
        &["--tables", ".", "ics", "check", "ics.yaml", "--format", "json"],
    );
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json.status.code(), Some(5));
    assert_eq!(document["format"], "imps-scr/ics-review/1");
    assert_eq!(document["result"], "incomplete");
    assert_eq!(document["answers"]["unanswered"], 6);
    assert_eq!(document["unanswered"].as_array().unwrap().len(), 6);
    assert_eq!(document["repair"]["status"], "found");
    assert_eq!(document["repair"]["changes"][0]["from"], "unanswered");
}

/// One version of the two is stated: what the other alone has is no part of an expression.
#[test]
fn what_no_stated_version_has_is_left_out() {
    let dir = tables();
    let answers = "  CSP-KALIVE-S-001: yes\n  CSP-LOGINP-S-001: no\n  CSP-CREAG-S-001: no\n  CSP-GETGP-S-001: no\n  \
                   CSP-OLD-S-001: no\n";
    let text = format!("{}{answers}", HEAD.replace("[\"1.1\", \"1.2\"]", "\"1.1\""));
    std::fs::write(dir.path().join("old.yaml"), text).unwrap();
    let shown = shown(dir.path(), &["--tables", ".", "ics", "check", "old.yaml"]);
    assert!(shown.starts_with("exit 1"), "{shown}");
    assert!(
        shown.contains("left-out   CSP-LOGIND-S-001: no stated version has it"),
        "{shown}"
    );
    assert!(shown.contains("CSP-LOGINP-S-001: yes instead of no"), "{shown}");
}

/// A client cannot answer for a server.
#[test]
fn what_only_the_other_role_can_answer_does_not_count() {
    let dir = tables();
    let text = format!(
        "{}  CSP-POLL-C-001: yes\n",
        HEAD.replace("role: server", "role: client")
    );
    std::fs::write(dir.path().join("client.yaml"), text).unwrap();
    let shown = shown(dir.path(), &["--tables", ".", "ics", "check", "client.yaml"]);
    assert!(shown.starts_with("exit 0"), "{shown}");
    assert!(
        shown.contains("for which this statement does not answer"),
        "{shown}"
    );
}

#[test]
fn bad_files_are_refused_with_line_and_fix() {
    let dir = tables();
    for (answers, line, part) in [
        ("  CSP-KALIV-S-001: yes\n", 6, "did you mean CSP-KALIVE-S-001"),
        ("  CSP-POLL-C-001: yes\n", 6, "item of the client"),
        ("  CSP-OLD-S-001: yes\n  CSP-OLD-S-001: no\n", 7, "stands twice"),
        ("  CSP-OLD-S-001: perhaps\n", 6, "perhaps"),
    ] {
        let shown = checked(dir.path(), answers);
        assert!(shown.starts_with("exit 2"), "{shown}");
        assert!(
            shown.contains(&format!("ics.yaml:{line}: ")) && shown.contains("fix:"),
            "{shown}"
        );
        assert!(shown.contains(part), "{shown}");
    }
    let none = shown(dir.path(), &["ics", "check", "nowhere.yaml"]);
    assert!(none.starts_with("exit 2"), "{none}");
}

#[test]
fn a_run_names_what_is_claimed_too_much_and_too_little() {
    let dir = tempfile::tempdir().unwrap();
    let new = [
        "ics", "new", "--role", "server", "--csp", "1.2", "--out", "ics.yaml",
    ];
    assert!(program(dir.path(), &new).status.success());
    let path = dir.path().join("ics.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace("   # yes or no", "no")
        .replace("  CSP-KALIVE-S-002: yes", "  CSP-KALIVE-S-002:")
        .replace("  CSP-KALIVE-S-003: yes", "  CSP-KALIVE-S-003: no");
    std::fs::write(&path, text).unwrap();
    let run = |more: &[&str]| {
        let args = [
            &[
                "run",
                "--role",
                "server",
                "--csp",
                "1.2",
                "--ics",
                "ics.yaml",
                "--filter",
                "group(KALIVE)",
                "--out",
                "out",
            ][..],
            more,
        ]
        .concat();
        let output = program(dir.path(), &args);
        let read = |name: &str| std::fs::read_to_string(dir.path().join("out").join(name)).unwrap();
        let report: Value = serde_json::from_str(&read("report.json")).unwrap();
        let gap = |id: &str| {
            let items = report["items"].as_array().unwrap();
            let item = items.iter().find(|i| i["id"] == id).unwrap();
            item["claim_gap"].as_str().unwrap_or("none").to_owned()
        };
        let gaps = ["CSP-KALIVE-S-001", "CSP-KALIVE-S-002", "CSP-KALIVE-S-003"].map(gap);
        let stdout = String::from_utf8(output.stdout).unwrap();
        (gaps, stdout, read("index.html"), report["caveats"].to_string())
    };
    let (gaps, stdout, page, caveats) = run(&[]);
    assert_eq!(gaps, ["none", "under-claim", "under-claim"], "{stdout}");
    assert!(
        stdout.contains("under-claims, not claimed by the statement, and seen at work ("),
        "{stdout}"
    );
    assert!(stdout.contains("pass rec:CSP-KALIVE-S-002"), "{stdout}");
    assert!(page.contains("under-claim") && page.contains("href=\"#item-CSP-KALIVE-S-002\""));
    assert!(caveats.contains("under-claims"), "{caveats}");
    assert!(caveats.contains("no answer for 1 of the items"), "{caveats}");

    let (gaps, stdout, page, caveats) = run(&["--fault", "server-keep-alive-500"]);
    assert_eq!(gaps[0], "over-claim", "{stdout}");
    assert!(
        stdout.contains("over-claims, claimed by the statement, and failed or declined (1):"),
        "{stdout}"
    );
    assert!(page.contains("1 over-claim (claimed by the statement"));
    assert!(caveats.contains("1 over-claim ("), "{caveats}");
}
