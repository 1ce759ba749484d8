//! What people see of `explain`, on small tables and cases of its own and the report of the fixture.

use imps_scr as imps;

#[path = "../src/report/fixture.rs"]
mod fixture;

mod common;

use std::fs;
use std::path::Path;

const ITEMS: &str = r#"format: imps-scr/items/1
protocol: CSP
items:
  - id: CSP-KALIVE-S-001
    role: server
    feature: keep-alive is answered
    text: The server answers a KeepAlive-Request within its session.
    status: M
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
"#;

const CASES: &str = r#"format: imps-scr/cases/1
cases:
  - id: IMPS-1.2-con-KALIVE-S-001
    title: keep-alive
    object: server
    description: Every kind of step of a server case.
    reference: WV-042
    scr: [CSP-KALIVE-S-001]
    csp: ["1.2"]
    tags: [positive]
    preconditions:
      - send: Login-Request
      - expect: Login-Response
        decline: [501]
        where:
          - {path: Login-Response/Result/Code, in: ["200"]}
      - keep: session
        from: Login-Response/SessionID
    procedure:
      - repeat: 2
        do:
          - send: KeepAlive-Request
            edit: [{drop: KeepAlive-Request/TimeToLive}]
          - expect: KeepAlive-Response | Status
            item: CSP-KALIVE-S-001
            where:
              - {path: Result/Code, class: 2}
      - wait: 5
      - fence: keep-alive
    after:
      - send: Logout-Request
    pass: Result 200
"#;

const FAULTS: &str = r#"format: imps-scr/faults/1
faults:
  - name: keep-alive-without-result
    role: server
    about: leaves the Result of KeepAlive-Response out
    breaks: [CSP-KALIVE-S-001]
    on: [KeepAlive-Response]
    edit: [{drop: KeepAlive-Response/Result}]
"#;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scr-tables");
    for name in ["tables/syntax", "tables/items", "cases/x", "cases/_faults"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    for entry in fs::read_dir(from.join("syntax")).unwrap() {
        let path = entry.unwrap().path();
        let to = dir.path().join("tables/syntax").join(path.file_name().unwrap());
        fs::copy(&path, to).unwrap();
    }
    for name in ["readings.yaml", "items/imps-release.yaml"] {
        fs::copy(from.join(name), dir.path().join("tables").join(name)).unwrap();
    }
    fs::write(dir.path().join("tables/items/csp.yaml"), ITEMS).unwrap();
    fs::write(dir.path().join("cases/x/server.yaml"), CASES).unwrap();
    fs::write(dir.path().join("cases/_faults/server.yaml"), FAULTS).unwrap();
    let report = imps::report::to_json(&fixture::report());
    fs::write(dir.path().join("report.json"), report).unwrap();
    dir
}

/// Exit code, standard output and standard error of `explain`, without the name of the folder.
fn explained(args: &[&str]) -> String {
    let dir = folder();
    let mut command = common::in_folder(dir.path(), &["explain", "--tables", "tables", "--cases", "cases"]);
    common::shown(command.args(args))
}

#[test]
fn an_item() {
    insta::assert_snapshot!("item", explained(&["rec:CSP-KALIVE-S-001"]));
    insta::assert_snapshot!("item_without_case", explained(&["CSP-LOGINP-S-001"]));
}

#[test]
fn a_case() {
    insta::assert_snapshot!("case", explained(&["IMPS-1.2-con-KALIVE-S-001"]));
}

#[test]
fn with_a_report() {
    insta::assert_snapshot!(
        "item_with_report",
        explained(&["CSP-KALIVE-S-001", "--report", "report.json"])
    );
    insta::assert_snapshot!(
        "case_with_report",
        explained(&["IMPS-1.2-con-KALIVE-S-001", "--report", "report.json"])
    );
    insta::assert_snapshot!(
        "not_in_report",
        explained(&["OMA-ERDEF-IMPS-S-001", "--report", "report.json"])
    );
}

#[test]
fn mistakes() {
    insta::assert_snapshot!("unknown", explained(&["CSP-KALIVE-S-01"]));
    insta::assert_snapshot!("hopeless", explained(&["x\u{1b}[31m"]));
    insta::assert_snapshot!(
        "no_report",
        explained(&["CSP-KALIVE-S-001", "--report", "cases/x/server.yaml"])
    );
}

/// Every embedded case can be read by a person, whatever steps it has.
#[test]
fn every_step_has_words() {
    let suite = imps::run::Suite::embedded().unwrap();
    for case in suite.cases.iter() {
        for step in case
            .preconditions
            .iter()
            .chain(&case.procedure)
            .chain(&case.after)
        {
            let text = step.to_string();
            assert!(!text.is_empty() && !text.contains("{ "), "{}: {text}", case.id);
        }
    }
}
