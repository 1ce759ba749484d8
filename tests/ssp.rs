//! SSP from outside: two references joined by it, peers that do nothing, and a recorded dialogue that nobody
//! here wrote.

mod common;
mod shared;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{Finished, Peer, Request, http, in_folder, run};
use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::{Envelope, Mode, Path, Tree};
use imps_scr::peer::client::{ClientConfig, ClientEngine, correct_reply};
use imps_scr::peer::compose::Part;
use imps_scr::peer::names::Names;
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::run::{Clock, JoinedServer, Joining, Suite, joined_accounts};
use imps_scr::spec::Version;
use imps_scr::transport::client::{Address, Framing, Outgoing, exchange};
use imps_scr::transport::{MemoryNet, Net};

// ---- Two servers ----

/// A client of one of the servers.
struct Client {
    engine: ClientEngine,
    server: Address,
}

impl Client {
    fn new(net: &Net, server: SocketAddr, account: &Credentials, peer: &str) -> Self {
        let names = Names {
            me: account.user.clone(),
            peer: peer.to_owned(),
            owner: account.user.clone(),
            word: "joined".to_owned(),
            ..Names::default()
        };
        let engine = ClientEngine::new(ClientConfig {
            version: Version::V12,
            credentials: account.clone(),
            client_id: format!("http://client.invalid/{}", account.user),
            cookie: "c#1".to_owned(),
            time_to_live: 600,
            id_prefix: "c-".to_owned(),
            names,
        });
        Self {
            engine,
            server: Address::of(net, server),
        }
    }

    async fn post(&mut self, tree: &Tree) -> Option<Tree> {
        let outgoing = Outgoing {
            method: "POST",
            headers: &[("Content-Type".to_owned(), MEDIA_TYPE_XML.to_owned())],
            body: write(tree, &WriteOptions::default()),
            framing: Framing::Length,
            expect_continue: false,
        };
        let (_, response) = exchange(&self.server, outgoing, Duration::from_secs(5)).await;
        let body = response.expect("an answer").body;
        let tree = read(&body, None).message?.tree;
        self.engine.learn(&tree);
        Some(tree)
    }

    async fn ask(&mut self, request: &str, change: &dyn Fn(&mut Tree)) -> Option<Tree> {
        let mut tree = self.engine.request(request).expect("a request of clients");
        change(&mut tree);
        self.post(&tree).await
    }

    async fn ready(mut self) -> Self {
        for request in ["Login-Request", "ClientCapability-Request", "Service-Request"] {
            self.ask(request, &|_| ()).await.expect(request);
        }
        self
    }

    /// Polls until a request of this name comes, answers everything, and gives it.
    async fn wait_for(&mut self, name: &str) -> Tree {
        for _ in 0..50 {
            let Some(tree) = self.ask("Polling-Request", &|_| ()).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let envelope = Envelope::of(&tree).expect("an envelope");
            let requests = envelope.transactions.iter().filter(|t| t.mode == Mode::Request);
            let answers: Vec<Part> = requests
                .map(|t| Part {
                    mode: Mode::Response,
                    id: t.id.clone(),
                    primitive: correct_reply(&tree, t),
                })
                .collect();
            if !answers.is_empty() {
                let answer = self.engine.answering(answers);
                self.post(&answer).await;
            }
            if envelope.transactions.iter().any(|t| t.name == name) {
                return tree;
            }
        }
        panic!("no {name} came");
    }
}

fn text(tree: &Tree, path: &str) -> String {
    let path = Path::parse(path).expect("a path");
    path.first(tree).map(|id| tree.text(id)).unwrap_or_default()
}

fn set(tree: &mut Tree, path: &str, value: &str) {
    let id = Path::parse(path).expect("a path").first(tree).expect(value);
    tree.set_text(id, value);
}

#[test]
fn two_references_are_joined_by_ssp() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
        // Ports of a network in memory are nobody else's.
        let net = Net::Memory(MemoryNet::new());
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let domains = [("one.example", 2001, 2002), ("two.example", 2003, 2004)];
        let mut servers = Vec::new();
        for (index, (domain, csp, ssp)) in domains.into_iter().enumerate() {
            let (other, _, port) = domains[1 - index];
            let joining = Joining {
                accounts: joined_accounts(domain).into_iter().map(|(_, c)| c).collect(),
                peers: BTreeMap::from([(other.to_owned(), Address::of(&net, at(port)))]),
                tls: true,
                seed: 7 + index as u64,
                ..Joining::default()
            };
            let clock = Clock::real(tokio::time::Instant::now());
            let checker = Arc::clone(&suite.checker);
            let server = JoinedServer::start(&net, (at(csp), at(ssp)), checker, joining, None, clock).await;
            servers.push(server.expect("free ports"));
        }
        let account = |domain: &str, index: usize| joined_accounts(domain).remove(index).1;
        let (ann, ben) = (account("one.example", 0), account("two.example", 1));
        let mut a = Client::new(&net, servers[0].csp, &ann, &ben.user).ready().await;
        let mut b = Client::new(&net, servers[1].csp, &ben, &ann.user).ready().await;

        // A message with a report, across.
        let answer = a.ask("SendMessage-Request", &|t| {
            set(t, "SendMessage-Request/DeliveryReport", "T")
        });
        let answer = answer.await.expect("an answer");
        assert_eq!(text(&answer, "Result/Code"), "200");
        let id = text(&answer, "SendMessage-Response/MessageID");
        let came = b.wait_for("NewMessage").await;
        assert_eq!(text(&came, "MessageInfo/MessageID"), id);
        assert_eq!(text(&came, "Sender/User/UserID").to_lowercase(), ann.user);
        let report = a.wait_for("DeliveryReport-Request").await;
        assert_eq!(text(&report, "MessageInfo/MessageID"), id);

        // Presence, across, as far as its owner lets it be seen.
        let answer = b
            .ask("CreateAttributeList-Request.every", &|_| ())
            .await
            .expect("an answer");
        assert_eq!(text(&answer, "Result/Code"), "200");
        let answer = a
            .ask("SubscribePresence-Request", &|_| ())
            .await
            .expect("an answer");
        assert_eq!(text(&answer, "Result/Code"), "200");
        let first = a.wait_for("PresenceNotification-Request").await;
        assert_eq!(text(&first, "Presence/UserID").to_lowercase(), ben.user);

        // An invitation and its answer.
        let answer = a.ask("Invite-Request", &|_| ()).await.expect("an answer");
        assert_eq!(text(&answer, "Result/Code"), "200");
        let invited = b.wait_for("InviteUser-Request").await;
        assert_eq!(text(&invited, "Sender/User/UserID").to_lowercase(), ann.user);
        b.ask("InviteUser-Response", &|t| {
            set(
                t,
                "InviteUser-Response/InviteID",
                &text(&invited, "InviteUser-Request/InviteID"),
            );
        })
        .await
        .expect("an answer");
        let decided = a.wait_for("Invite-Response").await;
        assert_eq!(text(&decided, "Invite-Response/Acceptance"), "T");

        // Nobody is there.
        let answer = a.ask("SendMessage-Request", &|t| {
            set(t, "Recipient/User/UserID", "wv:nobody@two.example");
        });
        let code = text(&answer.await.expect("an answer"), "Result/Code");
        assert!(code.starts_with('5') || code == "900", "{code}");
    });
}

// ---- Peers that do nothing ----

/// Runs the cases that need no client against what answers at an address.
fn against(peer: &Peer, filter: &[&str]) -> Finished {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "name: nothing\nrole: ssp\ndomain: iut.example\nlimits: {{rate: 1000}}\ntimers: {{response: 50ms}}\n\
         ssp:\n  url: http://{}/\n  nodes:\n    N: {{domain: n.example, listen: \"127.0.0.1:0\"}}\n    M: {{domain: m.example, listen: \"127.0.0.1:0\"}}\n  silence: 20ms\n  relay: 20ms\n",
        peer.address
    );
    std::fs::write(dir.path().join("profile.yaml"), text).expect("a file");
    let path = dir.path().join("profile.yaml");
    let mut args = vec!["run", "--profile", path.to_str().expect("a path")];
    args.extend(filter);
    let finished = run(&args);
    drop(dir);
    finished
}

fn shows_nothing(peer: &Peer) {
    let finished = against(peer, &[]);
    assert_eq!(
        finished.items("pass"),
        Vec::<String>::new(),
        "{}",
        finished.stdout
    );
    assert!(!matches!(finished.code, Some(0) | None), "{}", finished.stdout);
    assert_ne!(finished.conformance(), "conformant");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn an_empty_success_shows_nothing() {
    shows_nothing(&Peer::answering(|_| http("200 OK", "", b"")));
}

#[test]
fn an_echo_shows_nothing() {
    shows_nothing(&Peer::answering(|r: &Request| {
        http("200 OK", &r.content_type(), &r.body)
    }));
}

#[test]
fn an_error_shows_nothing() {
    shows_nothing(&Peer::answering(|_| http("400 Bad Request", "", b"")));
}

#[test]
fn a_closed_connection_shows_nothing() {
    shows_nothing(&Peer::answering(|_| Vec::new()));
}

// ---- A profile ----

#[test]
fn mistakes_of_a_profile_are_told_with_their_line() {
    let good = "name: p\nrole: ssp\ndomain: x.example\nssp:\n  url: http://127.0.0.1:1/\n  nodes:\n    N: {domain: n.example, listen: \"127.0.0.1:0\"}\n";
    for (from, to, line, part) in [
        ("  url: http://127.0.0.1:1/", "  url: ftp://x/", 5, "not an http"),
        ("    N: {", "    Q: {", 7, "no node of this name"),
        ("listen: \"127.0.0.1:0\"", "listen: here", 7, "not an address"),
        ("domain: x.example\n", "", 2, "without `domain`"),
        (
            "role: ssp",
            "role: server\nurl: http://127.0.0.1:1/",
            5,
            "goes with the role ssp",
        ),
        (
            "  nodes:",
            "  order: token-password\n  nodes:",
            6,
            "without a password",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(good.contains(from), "{from}");
        std::fs::write(dir.path().join("p.yaml"), good.replacen(from, to, 1)).expect("a file");
        let output = in_folder(dir.path(), &["run", "--profile", "p.yaml"])
            .output()
            .expect("the binary");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(part), "{part}: {stderr}");
        assert!(stderr.contains(&format!("p.yaml:{line}")), "{line}: {stderr}");
    }
}

// ---- A recorded dialogue ----

/// What is wrong with the recorded messages, as the facts say: the attribute protocolVersion is misspelt in
/// both tokens, and the last message is of another run.
#[test]
fn the_recorded_dialogue_is_judged_message_by_message() {
    let Some(folder) = shared::find("corpus/ssp13-dialogue") else {
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_imps-scr"))
        .args(["validate", "--conversation", "--format", "json"])
        .arg(&folder)
        .output()
        .expect("the binary");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut warned = Vec::new();
    let mut messages = 0;
    for line in text.lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        messages += 1;
        assert_eq!(
            (&message["protocol"], &message["version"]),
            (&"SSP".into(), &"1.3".into())
        );
        let path = message["path"]
            .as_str()
            .expect("a path")
            .rsplit('/')
            .next()
            .unwrap_or_default();
        for finding in message["findings"].as_array().expect("findings") {
            if finding["severity"] != "note" {
                warned.push(format!(
                    "{} {}",
                    &path[..2],
                    finding["item"].as_str().unwrap_or_default()
                ));
            }
        }
    }
    assert_eq!(messages, 19);
    assert_eq!(warned, ["01 SSP-SU-S-002", "02 SSP-SU-S-002", "19 SSP-EN-S-008"]);
}
