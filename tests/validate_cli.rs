//! `validate` as people and programs see it: output, exit codes, hostile input.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_imps-scr");

fn run(folder: &Path, args: &[&str], stdin: Option<&[u8]>) -> Output {
    let mut child = Command::new(BINARY)
        .arg("validate")
        .args(args)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let octets = stdin.unwrap_or_default().to_vec();
    let writer = std::thread::spawn(move || {
        // The program may stop reading at its limit.
        let _ = pipe.write_all(&octets);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn shown(output: &Output) -> String {
    let mut text = String::from_utf8(output.stdout.clone()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        text.push_str("--- stderr\n");
        text.push_str(&errors);
    }
    text.push_str(&format!("--- exit {}", output.status.code().unwrap()));
    text
}

fn message(session: &str, descriptor: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <WV-CSP-Message xmlns=\"http://www.openmobilealliance.org/DTD/WV-CSP1.2\"><Session>\n\
         <SessionDescriptor>{session}</SessionDescriptor>\n\
         <Transaction><TransactionDescriptor>{descriptor}</TransactionDescriptor>\n\
         <TransactionContent xmlns=\"http://www.openmobilealliance.org/DTD/WV-TRC1.2\">\n\
         {content}\n\
         </TransactionContent></Transaction></Session></WV-CSP-Message>\n"
    )
}

const INBAND: &str = "<SessionType>Inband</SessionType><SessionID>s1</SessionID>";
const OUTBAND: &str = "<SessionType>Outband</SessionType>";
const REQUEST: &str = "<TransactionMode>Request</TransactionMode><TransactionID>1</TransactionID>";
const RESPONSE: &str = "<TransactionMode>Response</TransactionMode><TransactionID>1</TransactionID>";

fn status() -> String {
    message(
        INBAND,
        RESPONSE,
        "<Status><Result><Code>200</Code></Result></Status>",
    )
}

fn login() -> String {
    message(
        OUTBAND,
        REQUEST,
        "<Login-Request><UserID>wv:ann</UserID><ClientID><URL>http://a/</URL></ClientID>\
         <Password>hunter2</Password><Foo>\u{1b}[31m</Foo><TimeToLive>soon</TimeToLive>\
         <SessionCookie>c</SessionCookie></Login-Request>"
            .replace('\u{1b}', "\u{202e}")
            .as_str(),
    )
}

/// A folder with sound, unsound and foreign files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    put("a-status.xml", status().as_bytes());
    put("b-login.xml", login().as_bytes());
    put("c-broken.xml", b"<WV-CSP-Message><Session></WV-CSP-Message>");
    put("d-notes.txt", b"no message");
    put("sub/e-wide.xml", message(INBAND, RESPONSE, "<Status><Result><Code>200</Code><Description>\u{fc}\u{4f60}e\u{301}</Description><X/></Result></Status>").as_bytes());
    put("sub/f.wbxml", b"\x03\x11\x6A\x00\xC9\x08\x03\x31\x2E\x32\x00\x01");
    put(
        "sub/g-ssp.xml",
        b"<WV-SSP-Message xmlns=\"http://www.openmobilealliance.org/DTD/WV-SSP1.2\"/>",
    );
    folder
}

#[test]
fn people_get_places_and_carets() {
    let output = run(folder().path(), &["."], None);
    insta::assert_snapshot!("human", shown(&output));
}

#[test]
fn programs_get_one_object_a_line() {
    let output = run(folder().path(), &["--format", "json", "."], None);
    insta::assert_snapshot!("json", shown(&output));
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn exit_codes_are_told_apart() {
    let folder = folder();
    let code = |args: &[&str]| run(folder.path(), args, None).status.code().unwrap();
    assert_eq!(code(&["a-status.xml"]), 0);
    assert_eq!(code(&["a-status.xml", "b-login.xml"]), 1);
    assert_eq!(code(&["missing.xml"]), 2);
    assert_eq!(code(&["a-status.xml", "missing.xml"]), 2);
    assert_eq!(code(&[]), 2);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(code(&["empty"]), 4);
    // A file that the user names is judged whatever it holds.
    assert_eq!(code(&["d-notes.txt"]), 1);
}

#[test]
fn standard_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        &["-v", "--role", "server", "-"],
        Some(status().as_bytes()),
    );
    assert_eq!(
        shown(&output),
        "-: valid, CSP 1.2, Status\n1 message: 1 valid, 0 invalid\n--- exit 0"
    );
    let output = run(folder.path(), &["--role", "server", "-"], Some(b"<a/>"));
    assert!(shown(&output).contains("error[CSP-ENV-S-003]"));
    let output = run(folder.path(), &["-"], Some(b""));
    assert!(
        shown(&output).contains("error[CSP-ENV-C-001]"),
        "{}",
        shown(&output)
    );
}

#[test]
fn long_lines_stay_short_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let long = status().replace(
        "<Result>",
        &format!(
            "<!--{}--><Result><Foo/><!--{}-->",
            "x".repeat(500_000),
            "y".repeat(500_000)
        ),
    );
    let output = run(folder.path(), &["-"], Some(long.as_bytes()));
    let text = shown(&output);
    assert!(text.contains("<Foo/>"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 160, "{line}");
    }
    let excerpt = text.lines().find(|l| l.contains("…")).unwrap();
    assert!(excerpt.chars().count() <= 120);
    let too_large = vec![b' '; 5 * 1024 * 1024];
    let output = run(folder.path(), &["-"], Some(&too_large));
    assert!(shown(&output).contains("larger than the limit"));
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_raw() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = status().replace("<Result>", "<Result>\u{9b}31m<b\u{e9}\u{e9}/>&#x202e;");
    let output = run(
        folder.path(),
        &["--color", "never", "-"],
        Some(hostile.as_bytes()),
    );
    let text = shown(&output);
    assert!(
        !text.contains('\u{9b}') && !text.contains('\u{202e}') && !text.contains('\u{1b}'),
        "{text}"
    );
    let output = run(
        folder.path(),
        &["--color", "always", "-"],
        Some(hostile.as_bytes()),
    );
    assert!(shown(&output).contains("\u{1b}[1;31merror\u{1b}[0m"));
}

#[test]
fn secrets_are_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        login(),
        login().replace("</Password>", "</Pass>"),
        login().replace(
            "<Password>hunter2</Password>",
            "<DigestBytes>hunter2!</DigestBytes>",
        ),
        login().replace("hunter2", "\nhunter2\n"),
        login().replace("hunter2", "<X/>hunter2"),
    ] {
        for format in ["human", "json"] {
            let output = run(folder.path(), &["--format", format, "-"], Some(text.as_bytes()));
            assert_eq!(output.status.code(), Some(1));
            assert!(!shown(&output).contains("hunter2"), "{}", shown(&output));
        }
    }
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = folder();
    let many: Vec<&str> = std::iter::repeat_n("b-login.xml", 2_000).collect();
    let mut child = Command::new(BINARY)
        .arg("validate")
        .args(&many)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.xml"), status()).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a.xml"), folder.path().join("b.xml")).unwrap();
    let output = run(folder.path(), &["."], None);
    assert_eq!(shown(&output), "1 message: 1 valid, 0 invalid\n--- exit 0");
}
