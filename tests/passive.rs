//! A client that is only watched: the program waits, a client comes, and what it did is judged.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::Tree;
use imps_scr::peer::client::{ClientConfig, ClientEngine};
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::spec::{Command as Act, Version};

mod shared;

struct Watched {
    child: Child,
    address: String,
    out: tempfile::TempDir,
}

impl Watched {
    fn start() -> Self {
        let out = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_imps-scr"))
            .args(["run", "--role", "client", "--listen", "127.0.0.1:0", "--out"])
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

    /// Ends the watch as a person would, and gives the exit code with the report.
    fn end(mut self) -> (Option<i32>, serde_json::Value) {
        let done = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
        let code = self.child.wait().unwrap().code();
        let text = std::fs::read_to_string(self.out.path().join("report.json")).unwrap();
        (code, serde_json::from_str(&text).unwrap())
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

fn client(version: Version) -> ClientEngine {
    ClientEngine::new(ClientConfig {
        version,
        credentials: Credentials {
            user: "wv:someone@example.com".to_owned(),
            password: "any".to_owned(),
        },
        client_id: "http://client.example/".to_owned(),
        cookie: "cookie-7".to_owned(),
        time_to_live: 300,
        id_prefix: "c".to_owned(),
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
        }
    }
}
