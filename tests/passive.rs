//! A client that is only watched: the program waits, a client comes, and what it did is judged.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::Tree;
use imps_scr::peer::client::{ClientConfig, ClientEngine, ClientFault};
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::spec::{Command as Act, Version};

mod common;
mod shared;

struct Watched {
    child: Child,
    address: String,
    out: tempfile::TempDir,
}

impl Watched {
    fn start() -> Self {
        Self::with(&["--role", "client", "--listen", "127.0.0.1:0"])
    }

    /// With a profile that names these users and passwords.
    fn for_accounts(accounts: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("client.yaml");
        let text = format!("name: a client\nrole: client\nlisten: 127.0.0.1:0\naccounts: {accounts}\n");
        std::fs::write(&profile, text).unwrap();
        Self::with(&["--profile", profile.to_str().unwrap()])
    }

    fn with(args: &[&str]) -> Self {
        let out = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_imps-scr"))
            .arg("run")
            .args(args)
            .arg("--out")
            .arg(out.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self { child, address, out }
    }

    fn post(&self, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: {MEDIA_TYPE_XML}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let at = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        answer.split_off(at)
    }

    /// What a browser asks for.
    fn browse(&self) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "GET /favicon.ico HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// Ends the watch and gives every file that was written.
    fn end_with_files(mut self) -> Vec<(String, String)> {
        self.stop();
        let entries = std::fs::read_dir(self.out.path()).unwrap();
        let files = entries.map(|e| e.unwrap().path()).map(|path| {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            (path.display().to_string(), text)
        });
        files.collect()
    }

    /// Ends the watch as a person would, and gives the exit code with the report.
    fn end(mut self) -> (Option<i32>, serde_json::Value) {
        let code = self.stop();
        let text = std::fs::read_to_string(self.out.path().join("report.json")).unwrap();
        common::assert_judged_again(self.out.path());
        (code, serde_json::from_str(&text).unwrap())
    }

    fn stop(&mut self) -> Option<i32> {
        let done = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
        self.child.wait().unwrap().code()
    }
}

fn verdict<'a>(report: &'a serde_json::Value, id: &str) -> &'a str {
    let items = report["items"].as_array().unwrap();
    items
        .iter()
        .find(|i| i["id"] == id)
        .unwrap_or_else(|| panic!("{id}"))["verdict"]
        .as_str()
        .unwrap()
}

/// The verdict of a case; none when it is not in the report.
fn case(report: &serde_json::Value, id: &str, csp: &str) -> Option<String> {
    let cases = report["cases"].as_array().unwrap();
    let case = cases.iter().find(|c| c["id"] == id && c["csp"] == csp)?;
    Some(case["verdict"].as_str().unwrap().to_owned())
}

fn failed(report: &serde_json::Value) -> Vec<String> {
    let items = report["items"].as_array().unwrap();
    let failed = items.iter().filter(|i| i["verdict"] == "fail");
    failed.map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

fn client(version: Version) -> ClientEngine {
    ClientEngine::new(ClientConfig {
        version,
        credentials: Credentials {
            user: "wv:someone@example.com".to_owned(),
            password: "any-password-9".to_owned(),
        },
        client_id: "http://client.example/".to_owned(),
        cookie: "cookie-7".to_owned(),
        time_to_live: 300,
        id_prefix: "c".to_owned(),
        names: imps_scr::peer::names::Names::default(),
    })
}

/// Does what a user asks the client for, until nothing more follows by itself.
fn act(watched: &Watched, engine: &mut ClientEngine, command: Act) {
    let mut queue: Vec<Tree> = vec![engine.start(command).unwrap()];
    while !queue.is_empty() {
        let message = queue.remove(0);
        let body = watched.post(&write(&message, &WriteOptions::default()));
        let answer = read(&body, None).message.map(|m| m.tree);
        queue.extend(engine.answered(&message, answer.as_ref()));
    }
}

#[test]
fn a_correct_client_gets_evidence_for_what_it_did() {
    let watched = Watched::start();
    for version in Version::ALL {
        let mut engine = client(*version);
        for command in [Act::Login, Act::KeepAlive, Act::Poll, Act::Logout] {
            act(&watched, &mut engine, command);
        }
    }
    let (code, report) = watched.end();
    assert_eq!(code, Some(5), "what needs a stimulus stays untested");
    for id in [
        "CSP-LOGIN-C-001",
        "CSP-LOGIN-C-002",
        "CSP-LOGINP-C-001",
        "CSP-KALIVE-C-001",
        "CSP-POLL-C-001",
        "CSP-ENV-C-004",
        "CSP-ENV-C-010",
        "CSP-HTTP-C-001",
    ] {
        assert_eq!(verdict(&report, id), "pass", "{id}");
    }
    assert_eq!(verdict(&report, "CSP-POLL-C-002"), "untested");
    for csp in ["1.1", "1.2"] {
        for id in ["LOGINP-C-001", "KALIVE-C-001", "POLL-C-001", "LOGOUT-C-001"] {
            let id = format!("IMPS-1.2-con-{id}");
            assert_eq!(case(&report, &id, csp).as_deref(), Some("pass"), "{id} in {csp}");
        }
        // What occurred in no conversation is not there.
        assert_eq!(case(&report, "IMPS-1.2-con-LOGIND-C-001", csp), None);
        assert_eq!(
            case(&report, "IMPS-1.2-con-passive-C", csp).as_deref(),
            Some("pass")
        );
    }
    assert_eq!(report["conformance"]["client"], "not-determined");
    assert!(report["summary"]["items"]["fail"] == 0, "{}", report["findings"]);
}

#[test]
fn what_a_client_breaks_is_found() {
    let watched = Watched::start();
    let mut engine = client(Version::V12);
    act(&watched, &mut engine, Act::Login);
    let request = engine.request("KeepAlive-Request").unwrap();
    act(&watched, &mut engine, Act::Logout);
    // The session is over: this message uses it all the same.
    watched.post(&write(&request, &WriteOptions::default()));
    let (code, report) = watched.end();
    assert_eq!(code, Some(1));
    assert_eq!(verdict(&report, "CSP-LOGOUT-C-002"), "fail");
    let failed: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["verdict"] == "fail")
        .map(|f| f["item"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["CSP-LOGOUT-C-002"], "one breach, one charge");
}

/// A login by digest is no evidence about passwords; with the password the digest is judged.
#[test]
fn a_login_by_digest_is_one_about_digests() {
    let accounts = "{A: {user: \"wv:someone@example.com\", password: any-password-9}}";
    for (accounts, digest) in [(accounts, "pass"), ("{}", "na")] {
        let watched = Watched::for_accounts(accounts);
        let mut engine = client(Version::V12);
        for command in [Act::LoginDigest, Act::KeepAlive] {
            act(&watched, &mut engine, command);
        }
        let (_, report) = watched.end();
        assert_eq!(failed(&report), Vec::<String>::new());
        assert_eq!(case(&report, "IMPS-1.2-con-LOGINP-C-001", "1.2"), None);
        assert_eq!(
            case(&report, "IMPS-1.2-con-LOGIND-C-001", "1.2").as_deref(),
            Some("pass")
        );
        assert_eq!(verdict(&report, "CSP-LOGIND-C-002"), digest);
        assert_eq!(
            verdict(&report, "CSP-LOGINP-C-001"),
            "na",
            "optional, and never seen"
        );
    }
}

/// The next login is the fence that proves the silence after a logout.
#[test]
fn silence_after_logout_is_proven_by_the_next_login() {
    for breaks in [false, true] {
        let watched = Watched::start();
        let mut engine = client(Version::V12);
        act(&watched, &mut engine, Act::Login);
        let late = engine.request("KeepAlive-Request").unwrap();
        act(&watched, &mut engine, Act::Logout);
        if breaks {
            watched.post(&write(&late, &WriteOptions::default()));
        }
        act(&watched, &mut engine, Act::Login);
        let (_, report) = watched.end();
        let wanted = if breaks { "fail" } else { "pass" };
        let found = case(&report, "IMPS-1.2-con-LOGOUT-C-001", "1.2");
        assert_eq!(found.as_deref(), Some(wanted));
        assert_eq!(verdict(&report, "CSP-LOGOUT-C-002"), wanted);
        assert_eq!(failed(&report).len(), usize::from(breaks), "one breach, one item");
    }
}

/// A session that nobody gave, after a login that was refused, is what that login is about.
#[test]
fn an_invented_session_after_a_refusal_is_charged_to_the_refusal() {
    let watched = Watched::for_accounts("{A: {user: \"wv:someone@example.com\", password: another-word-9}}");
    let mut engine = client(Version::V12).with_fault(Some(ClientFault::IgnoresRefusedLogin));
    act(&watched, &mut engine, Act::Login);
    act(&watched, &mut engine, Act::KeepAlive);
    let (code, report) = watched.end();
    assert_eq!(code, Some(1));
    assert_eq!(failed(&report), ["CSP-LOGIN-C-003"]);
}

/// Two clients and a browser at one listener: nobody is charged for another, a browser is nobody.
#[test]
fn clients_at_one_time_do_not_mix() {
    let watched = Watched::start();
    let mut one = client(Version::V12);
    let mut two = ClientEngine::new(ClientConfig {
        client_id: "http://client.example/2".to_owned(),
        ..client(Version::V11).config().clone()
    });
    act(&watched, &mut one, Act::Login);
    act(&watched, &mut two, Act::Login);
    watched.browse();
    act(&watched, &mut one, Act::KeepAlive);
    act(&watched, &mut two, Act::Poll);
    act(&watched, &mut one, Act::Logout);
    watched.browse();
    act(&watched, &mut two, Act::KeepAlive);
    act(&watched, &mut two, Act::Logout);
    let (_, report) = watched.end();
    assert_eq!(failed(&report), Vec::<String>::new());
    assert_eq!(report["summary"]["items"]["warn"], 0);
    assert_eq!(
        case(&report, "IMPS-1.2-con-KALIVE-C-001", "1.2").as_deref(),
        Some("pass")
    );
    assert_eq!(
        case(&report, "IMPS-1.2-con-POLL-C-001", "1.1").as_deref(),
        Some("pass")
    );
    assert_eq!(case(&report, "IMPS-1.2-con-POLL-C-001", "1.2"), None);
}

/// A client may repeat its password anywhere; no profile has to name it.
#[test]
fn a_password_that_is_repeated_is_masked() {
    let watched = Watched::start();
    let mut engine = ClientEngine::new(ClientConfig {
        credentials: Credentials {
            user: "wv:someone@example.com".to_owned(),
            password: "quokka-Golf-7777".to_owned(),
        },
        cookie: "quokka-Golf-7777".to_owned(),
        ..client(Version::V12).config().clone()
    });
    act(&watched, &mut engine, Act::Login);
    for (name, text) in watched.end_with_files() {
        assert!(!text.contains("quokka-Golf-7777"), "{name}");
    }
}

/// A watch that was killed has no result, but all that it saw.
#[test]
fn a_watch_that_was_killed_is_judged_afterwards() {
    let mut watched = Watched::start();
    let mut engine = client(Version::V12);
    for command in [Act::Login, Act::KeepAlive, Act::Logout] {
        act(&watched, &mut engine, command);
    }
    watched.child.kill().unwrap();
    watched.child.wait().unwrap();
    assert!(!watched.out.path().join("report.json").exists());
    let out = watched.out.path().to_str().unwrap();
    let mut again = common::run_plain(&["run", "--rejudge", out]);
    again.out = watched.out.path().join("rejudged");
    assert_eq!(again.code, Some(5), "{}{}", again.stdout, again.stderr);
    let report = again.report();
    let found = case(&report, "IMPS-1.2-con-KALIVE-C-001", "1.2");
    assert_eq!(found.as_deref(), Some("pass"));
    assert_eq!(failed(&report), Vec::<String>::new());
}

#[test]
fn a_client_that_never_comes_is_not_determined() {
    let (code, report) = Watched::start().end();
    assert_eq!(code, Some(130));
    assert_eq!(report["conformance"]["client"], "not-determined");
}

/// A recorded client, replayed: every failure names its rule and place, and the suite does not trip.
#[test]
fn a_recorded_client_is_judged() {
    let Some(folder) = shared::find("corpus/csp12-client") else {
        return;
    };
    let entries = std::fs::read_dir(folder).unwrap();
    let mut requests: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    requests.retain(|p| p.extension().is_some_and(|e| e == "req"));
    requests.sort();
    let watched = Watched::start();
    for path in &requests {
        watched.post(&std::fs::read(Path::new(path)).unwrap());
    }
    let (code, report) = watched.end();
    assert_eq!(code, Some(1));
    assert_eq!(report["summary"]["items"]["error"], 0);
    for finding in report["findings"].as_array().unwrap() {
        if finding["verdict"] == "fail" {
            assert!(finding["rule"].as_str().is_some_and(|r| !r.is_empty()));
            assert!(finding["place"]["exchange"].is_u64(), "{finding}");
            let place = &finding["place"];
            assert!(
                place["path"].is_string() || place["position"]["line"].is_u64(),
                "{finding}"
            );
            let item = report["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|i| i["id"] == finding["item"]);
            assert!(item.is_some_and(|i| i["basis"].is_string()), "{finding}");
        }
    }
}
