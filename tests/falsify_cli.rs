//! `falsify` as a user runs it.

use std::process::Command;

fn falsify(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_imps-scr"))
        .arg("falsify")
        .args(args)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn one_fault_is_killed() {
    let (code, stdout, _) = falsify(&["--fault", "server-any-password", "--verbose"]);
    assert!(
        stdout.starts_with("server-any-password: killed, CSP-LOGINP-S-003 failed ("),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("1 killed, 0 survived, 0 false alarms\n"),
        "{stdout}"
    );
    assert_eq!(code, Some(0));
}

/// A fault that claims to break what it does not break survives, and what it does break is a false
/// alarm: the command can fail.
#[test]
fn a_fault_that_lies_survives() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let dir = tempfile::tempdir().unwrap();
    for folder in ["session", "_shared", "_faults"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for file in [
        "session/server.yaml",
        "session/client.yaml",
        "_shared/session.yaml",
    ] {
        std::fs::copy(root.join(file), dir.path().join(file)).unwrap();
    }
    let fault = "format: imps-scr/faults/1\nfaults:\n  - name: liar\n    role: server\n    about: \"says that it breaks polling\"\n    \
                 breaks: [CSP-POLL-S-001]\n    server: accepts-any-password\n";
    std::fs::write(dir.path().join("_faults/liar.yaml"), fault).unwrap();
    let (code, stdout, _) = falsify(&["--kind", "written", "--cases", dir.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("survived: CSP-POLL-S-001 is none"), "{stdout}");
    assert!(
        stdout.contains("false alarm: CSP-LOGINP-S-003 is fail"),
        "{stdout}"
    );
}

#[test]
fn an_unknown_fault_is_a_mistake() {
    let (code, _, stderr) = falsify(&["--fault", "nothing"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--list"), "{stderr}");
}
