//! A person at the device, played by a thread: it reads the prompts, handles a client that polls and keeps
//! its session alive by itself, and answers on standard input.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::Tree;
use imps_scr::peer::client::{ClientConfig, ClientEngine};
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::spec::{Command as Act, Version};

const PROFILE: &str = "name: a phone
role: client
listen: 127.0.0.1:0
accounts:
  A: {user: \"wv:anna@example.com\", password: \"quokka-Alpha-7731\"}
timers: {quiet: 100ms, response: 2s, person: 8s, keep_alive: 1s}
";

/// A phone: the client engine with a thread that does what a client does by itself.
struct Phone {
    engine: Mutex<ClientEngine>,
    address: Mutex<String>,
    off: AtomicBool,
}

impl Phone {
    fn new(version: Version) -> Arc<Self> {
        Arc::new(Self {
            engine: Mutex::new(ClientEngine::new(ClientConfig {
                version,
                credentials: Credentials {
                    user: "wv:anna@example.com".to_owned(),
                    password: "quokka-Alpha-7731".to_owned(),
                },
                client_id: "http://phone.example/7".to_owned(),
                cookie: "cookie-7".to_owned(),
                time_to_live: 300,
                id_prefix: "p".to_owned(),
                names: imps_scr::peer::names::Names::default(),
            })),
            address: Mutex::default(),
            off: AtomicBool::new(false),
        })
    }

    fn act(&self, command: Act) {
        let mut engine = self.engine.lock().unwrap();
        let Ok(first) = engine.start(command) else { return };
        let mut queue = vec![first];
        while !queue.is_empty() {
            let message = queue.remove(0);
            let answer = self.post(&message);
            queue.extend(engine.answered(&message, answer.as_ref()));
        }
    }

    fn post(&self, message: &Tree) -> Option<Tree> {
        let address = self.address.lock().unwrap().clone();
        let body = write(message, &WriteOptions::default());
        let mut stream = TcpStream::connect(&address).ok()?;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: {MEDIA_TYPE_XML}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let at = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        read(&answer[at..], None).message.map(|m| m.tree)
    }

    fn live(self: &Arc<Self>) -> std::thread::JoinHandle<()> {
        let phone = Arc::clone(self);
        std::thread::spawn(move || {
            while !phone.off.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(250));
                phone.act(Act::KeepAlive);
            }
        })
    }
}

fn start(dir: &std::path::Path) -> Child {
    let profile = dir.join("phone.yaml");
    std::fs::write(&profile, PROFILE).unwrap();
    Command::new(env!("CARGO_BIN_EXE_imps-scr"))
        .args(["run", "--prompt", "--filter", common::CORE, "--profile"])
        .arg(&profile)
        .arg("--out")
        .arg(dir.join("out"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(dir: &std::path::Path) -> serde_json::Value {
    common::assert_judged_again(&dir.join("out"));
    serde_json::from_str(&std::fs::read_to_string(dir.join("out/report.json")).unwrap()).unwrap()
}

#[test]
fn a_person_needs_few_prompts_for_a_client_that_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    let phone = Phone::new(Version::V12);
    let mut stdin = child.stdin.take().unwrap();
    let (mut prompts, mut foreseen, mut life) = (Vec::new(), 0, None);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(rest) = line.strip_prefix("You will be asked for about ") {
            foreseen = rest.split(' ').next().unwrap().parse().unwrap();
        }
        if let Some(rest) = line.strip_prefix("The client is to use the server http://") {
            *phone.address.lock().unwrap() = rest.trim_end_matches('/').to_owned();
            life = Some(phone.live());
        }
        let Some((_, what)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) else {
            continue;
        };
        let answer = if what.contains("4-way") {
            phone.act(Act::LoginDigest);
            "done"
        } else if what.starts_with("Log in as wv:anna@example.com") {
            phone.act(Act::Login);
            "Done"
        } else if what.starts_with("Log out") {
            phone.act(Act::Logout);
            "d"
        } else if what.contains("capabilities") {
            phone.act(Act::Capabilities);
            "done"
        } else if what.contains("services") {
            phone.act(Act::Services);
            "done"
        } else if what.contains("who provides") {
            phone.act(Act::ProviderInfo);
            "done"
        } else if what.contains("which versions") {
            phone.act(Act::DiscoverVersions);
            "done"
        } else {
            "cannot"
        };
        prompts.push(what.to_owned());
        writeln!(stdin, "{answer}").unwrap();
    }
    phone.off.store(true, Ordering::SeqCst);
    life.unwrap().join().unwrap();
    child.wait().unwrap();
    assert!(prompts.len() <= 12, "{prompts:#?}");
    assert!(
        (1..=12).contains(&foreseen) && prompts.len() <= foreseen,
        "{foreseen} were foreseen: {prompts:#?}"
    );
    let report = report(dir.path());
    let mut written = 0;
    for case in report["cases"].as_array().unwrap() {
        assert_eq!(case["csp"], "1.2", "the version that the phone speaks");
        if case["id"].as_str().unwrap().contains("-gen-") {
            assert_eq!(
                (&case["verdict"], &case["reason"]),
                (&"not-run".into(), &"needs a driver".into())
            );
        } else if case["verdict"] == "not-run" {
            assert!(
                case["reason"].as_str().unwrap().contains("no more than 12"),
                "{case:#}"
            );
        } else {
            assert_eq!(case["verdict"], "pass", "{case:#}");
            written += 1;
        }
    }
    assert!(written > 10);
}

/// Answers that are there before they are asked for, and then the end of standard input.
#[test]
fn what_is_skipped_is_no_breach() {
    let all = ["", "skip\n", "cannot\ncannot\n", "what?\ndone\n"];
    let each = |answers: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path());
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let report = report(dir.path());
        assert_eq!(report["summary"]["items"]["fail"], 0, "{answers:?}");
        assert_eq!(output.status.code(), Some(7), "{answers:?}: nobody came");
        let reason = report["cases"][0]["reason"].as_str().unwrap();
        assert!(!reason.is_empty(), "{answers:?}");
    };
    std::thread::scope(|scope| {
        for answers in all {
            scope.spawn(move || each(answers));
        }
    });
}
