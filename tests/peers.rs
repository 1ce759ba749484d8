//! The binary against peers that are no CSP servers, hostile ones, and users who make mistakes.

mod common;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use common::{
    CSP_XML, Finished, PASSWORDS, Peer, Request, csp, http, reply, run, run_against, run_whole_against,
    status,
};
use imps_scr::codec::xml;
use imps_scr::peer::Credentials;
use imps_scr::run::reference_accounts;

const ONE: &str = "id(IMPS-1.2-con-LOGINP-S-001)";

// ---- Peers that do nothing ----

fn shows_nothing(peer: &Peer, more: &[&str]) -> Finished {
    let run = run_against(peer, more);
    assert_eq!(run.items("pass"), Vec::<String>::new(), "{}", run.stdout);
    believable(&run);
    run
}

/// Whatever came: not a success, and no panic.
fn believable(run: &Finished) {
    assert!(
        !matches!(run.code, Some(0) | None),
        "{:?}\n{}",
        run.code,
        run.stdout
    );
    assert_ne!(run.conformance(), "conformant");
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert!(!run.stdout.contains("SELF-TEST"));
}

const LOGIN_RESPONSE: &str = "<Login-Response><ClientID><URL>http://client.example/1</URL></ClientID><Result><Code>200\
    </Code></Result><SessionID>fixed-session</SessionID><KeepAliveTime>600</KeepAliveTime>\
    <CapabilityRequest>F</CapabilityRequest></Login-Response>";

/// One answer for ever, in CSP 1.2.
fn canned(_: &Request) -> Vec<u8> {
    let login = Request {
        number: 0,
        head: String::new(),
        body: b"<x><TransactionID>t1</TransactionID></x>".to_vec(),
    };
    csp(&reply(&login, LOGIN_RESPONSE))
}

fn copied_status(request: &Request) -> Vec<u8> {
    csp(&reply(request, &status(200)))
}

fn copied_refusal(request: &Request) -> Vec<u8> {
    csp(&reply(request, &status(400)))
}

#[test]
fn an_empty_body_shows_nothing() {
    shows_nothing(&Peer::answering(|_| http("200 OK", "", b"")), &[]);
}

#[test]
fn an_http_error_shows_nothing() {
    shows_nothing(
        &Peer::answering(|_| http("500 Internal Server Error", "", b"")),
        &[],
    );
}

#[test]
fn an_echo_shows_nothing() {
    shows_nothing(
        &Peer::answering(|r| http("200 OK", &r.content_type(), &r.body)),
        &[],
    );
}

#[test]
fn a_copied_success_shows_nothing() {
    shows_nothing(&Peer::answering(copied_status), &[]);
}

#[test]
fn a_copied_refusal_shows_nothing() {
    let run = shows_nothing(&Peer::answering(copied_refusal), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
}

#[test]
fn a_web_page_shows_nothing() {
    shows_nothing(
        &Peer::answering(|_| http("200 OK", "text/html", b"<html><body>It works!</body></html>")),
        &[],
    );
}

#[test]
fn a_closed_connection_shows_nothing() {
    shows_nothing(&Peer::answering(|_| Vec::new()), &[]);
}

#[test]
fn silence_trips_the_breaker() {
    let peer = Peer::new(|stream, _| common::never_answer(stream));
    let run = shows_nothing(&peer, &[]);
    assert!(run.stdout.contains("taken for dead"), "{}", run.stdout);
    let cases = run.case_verdicts();
    let not_run = cases.values().filter(|v| *v == "not-run").count();
    assert!(not_run > cases.len() - 10, "{not_run} of {}", cases.len());
    assert!(peer.requests() < 40, "{} requests", peer.requests());
}

#[test]
fn a_canned_login_shows_nothing() {
    let run = shows_nothing(&Peer::answering(canned), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
}

#[test]
fn alternating_answers_show_nothing() {
    type Answer = fn(&Request) -> Vec<u8>;
    let pairs: [(Answer, Answer); 3] = [
        (canned, copied_status),
        (copied_status, copied_refusal),
        (|_| http("500 Oops", "", b""), copied_refusal),
    ];
    for (one, other) in pairs {
        let peer = Peer::answering(move |r| if r.number % 2 == 0 { one(r) } else { other(r) });
        shows_nothing(&peer, &[]);
    }
}

// ---- Hostile servers ----

/// Ample for the suite itself, far below what it costs to hold what these peers send.
const MOST_KB: u64 = 400 * 1024;

fn survives(name: &str, peer: &Peer) -> Finished {
    let run = run_against(peer, &["--csp", "1.2", "--filter", ONE]);
    believable(&run);
    assert_eq!(run.items("pass"), Vec::<String>::new(), "{name}");
    assert!(peer.requests() > 0, "{name}");
    if cfg!(target_os = "linux") {
        assert!(run.peak_kb > 0, "{name}: the memory was never looked at");
    }
    assert!(run.peak_kb < MOST_KB, "{name}: {} kB", run.peak_kb);
    run
}

fn pour(head: &'static str, piece: &'static [u8]) -> Peer {
    Peer::new(move |stream, _| {
        let mut done = stream.write_all(head.as_bytes());
        while done.is_ok() {
            done = stream.write_all(piece);
        }
    })
}

#[test]
fn bodies_without_end() {
    static PIECE: [u8; 32_768] = [b'a'; 32_768];
    let chunk = format!("400\r\n{}\r\n", "a".repeat(0x400));
    let chunk: &'static [u8] = chunk.into_bytes().leak();
    survives(
        "chunks",
        &pour(
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.wv.csp.xml\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunk,
        ),
    );
    survives(
        "a gigabyte",
        &pour(
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.wv.csp.xml\r\nContent-Length: 1073741824\r\n\r\n",
            &PIECE,
        ),
    );
    survives(
        "no length",
        &pour(
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.wv.csp.xml\r\n\r\n",
            &PIECE,
        ),
    );
}

#[test]
fn headers_without_end() {
    survives(
        "many fields",
        &pour("HTTP/1.1 200 OK\r\n", b"X-Flood: flood flood flood\r\n"),
    );
    survives(
        "one long field",
        &pour("HTTP/1.1 200 OK\r\nX-Flood: ", &[b'a'; 8192]),
    );
    survives("a long status line", &pour("HTTP/1.1 200 ", &[b'a'; 8192]));
    survives("interim answers", &pour("", b"HTTP/1.1 100 Continue\r\n\r\n"));
}

#[test]
fn extreme_documents() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let mut declared = String::new();
    for i in 0..10_000 {
        declared.push_str(&format!("<n{i}:a xmlns:n{i}=\"urn:{i}\">"));
    }
    for i in (0..10_000).rev() {
        declared.push_str(&format!("</n{i}:a>"));
    }
    let mut attributes = String::from("<a");
    for i in 0..50_000 {
        attributes.push_str(&format!(" a{i}=\"\""));
    }
    attributes.push_str("/>");
    let mut entities = String::from("<!DOCTYPE a [<!ENTITY e0 \"aaaaaaaaaa\">");
    for i in 1..20 {
        let before = format!("&e{};", i - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY e{i} \"{before}\">"));
    }
    entities.push_str("]><a>&e19;</a>");
    for (name, inner) in [
        ("deep", deep),
        ("declarations", declared),
        ("attributes", attributes),
        ("entities", entities.clone()),
    ] {
        let bare = inner.clone();
        survives(name, &Peer::answering(move |_| csp(&bare)));
        if name != "entities" {
            survives(
                name,
                &Peer::answering(move |r| {
                    csp(&reply(
                        r,
                        &format!(
                            "<Status><Result><Code>200</Code><Description>{inner}</Description></Result></Status>"
                        ),
                    ))
                }),
            );
        }
    }
}

#[test]
fn broken_http() {
    let raw: [(&str, &[u8]); 9] = [
        ("garbage before", b"\x00\xff\x1b[2Jgarbage\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("HTTP/0.9", b"<html>It works!</html>"),
        ("chunk size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\naaaa\r\n"),
        ("negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\naaaa"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 4\r\n\r\naaaa"),
        ("huge length", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\naaaa"),
        ("cut off", b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.wv.csp.xml\r\nContent-Length: 400\r\n\r\n<WV-CSP"),
        ("status", b"HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"),
        ("upgrade", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxxxx"),
    ];
    for (name, octets) in raw {
        survives(name, &Peer::answering(move |_| octets.to_vec()));
    }
    // gzip that nobody asked for: magic, and an end that never comes.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x04\x00";
    survives(
        "gzip",
        &Peer::answering(move |_| {
            let mut out =
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/vnd.wv.csp.xml\r\n"
                    .to_vec();
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", gzip.len()).as_bytes());
            out.extend_from_slice(gzip);
            out
        }),
    );
}

#[test]
fn an_answer_that_drips() {
    // An octet goes out whenever the last one was taken; the answer is never whole.
    let peer = Peer::new(|stream, _| {
        let _ = stream.set_nodelay(true);
        let mut done = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n");
        while done.is_ok() {
            done = stream.write_all(b"a");
        }
    });
    survives("drip", &peer);
}

// ---- Hostile text, secrets ----

const OUTPUTS: [&str; 5] = [
    "report.json",
    "junit.xml",
    "index.html",
    "transcript.ndjson",
    "ics.yaml",
];

const NASTY: &str =
    "</script><script>alert(1)</script> \u{202e}live\u{2066} ]]> <img src=x onerror=alert(2)> '\"&";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Repeats everything that it should not, in turn well-formed, with control characters, and not even
/// as HTTP. Keeps the digests that it was sent.
fn talkative(digests: &Arc<Mutex<Vec<String>>>) -> Peer {
    let digests = Arc::clone(digests);
    Peer::answering(move |r| {
        let password = r.element("Password").unwrap_or_default();
        let digest = r.element("DigestBytes").unwrap_or_default();
        if !digest.is_empty() {
            digests.lock().unwrap().push(digest.clone());
        }
        let all = PASSWORDS.map(|(_, p)| format!("{p} {}", base64(p))).join(" ");
        let told = format!(
            "{NASTY} {password} {} {digest} {all} {}",
            base64(&password),
            String::from_utf8_lossy(&r.body)
        );
        let raw = if r.number % 5 == 3 { "\u{1b}[31m\u{7}" } else { "" };
        let code = if r.has("DigestSchema") { 401 } else { 200 };
        let more = if r.has("DigestSchema") {
            "<Nonce>nonce-1</Nonce><DigestSchema>MD5</DigestSchema>".to_owned()
        } else {
            format!("<SessionID>{} {digest}</SessionID>", escaped(&all))
        };
        let content = if r.has("Login-Request") {
            format!(
                "<Login-Response><Result><Code>{code}</Code><Description>{raw}{}</Description></Result>{more}\
                 </Login-Response>",
                escaped(&told)
            )
        } else {
            format!(
                "<Status><Result><Code>{}</Code><Description>{raw}{}</Description></Result></Status>",
                escaped(&told),
                escaped(&told)
            )
        };
        let body = reply(r, &content);
        if r.number % 5 == 4 {
            return format!("{all} \u{1b}[31m{digest} is no HTTP {body}").into_bytes();
        }
        format!(
            "HTTP/1.1 200 {password}\r\nX-Echo: {password} {digest} {all}\r\nX-{password}: a\r\nContent-Type: {CSP_XML}; \
             a=\"{all}\"\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
}

#[test]
fn no_output_shows_a_secret_or_lets_text_act() {
    let digests = Arc::new(Mutex::new(Vec::new()));
    let peer = talkative(&digests);
    let mut run = run_against(&peer, &["--verbose"]);
    believable(&run);
    let digests = digests.lock().unwrap().clone();
    assert!(!digests.is_empty(), "no digest was sent: {}", run.stdout);
    let mut secrets: Vec<String> = PASSWORDS
        .iter()
        .flat_map(|(_, p)| [(*p).to_owned(), base64(p)])
        .collect();
    // The wrong digest of a case is public.
    secrets.extend(digests.into_iter().filter(|d| !d.starts_with("AAAA")));
    let mut outputs: Vec<(&str, String)> = OUTPUTS.map(|name| (name, run.file(name))).to_vec();
    outputs.push(("stderr", std::mem::take(&mut run.stderr)));
    outputs.push(("stdout", run.stdout.clone()));
    for (name, text) in &outputs {
        for secret in &secrets {
            if let Some(at) = text.find(secret.as_str()) {
                let from = text.floor_char_boundary_at(at.saturating_sub(200));
                panic!("{name} shows {secret}: …{}", &text[from..at]);
            }
        }
        assert!(!text.contains('\u{1b}'), "{name} holds a raw ESC");
        assert!(!text.contains('\u{7}'), "{name} holds a raw BEL");
    }
    assert!(
        !run.stdout.contains('\u{202e}'),
        "an override reaches the terminal"
    );
    let page = run.file("index.html");
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
    let junit = run.file("junit.xml");
    if let Err(error) = roxmltree::Document::parse(&junit) {
        panic!("junit.xml: {error}");
    }
    for line in run.file("transcript.ndjson").lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let kept = run_against(&peer, &["--keep-secrets", "--csp", "1.2", "--filter", ONE]);
    believable(&kept);
    assert!(kept.file("transcript.ndjson").contains(PASSWORDS[0].1));
}

trait FloorAt {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorAt for String {
    fn floor_char_boundary_at(&self, mut at: usize) -> usize {
        while !self.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

// ---- Exit codes ----

fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn nobody_there() {
    for url in [
        format!("http://{}/", closed_port()),
        "http://127.0.0.1:9/".to_owned(),
    ] {
        let run = run(&["run", "--target", &url]);
        assert_eq!(run.code, Some(7), "{}{}", run.stdout, run.stderr);
        assert!(run.report()["unreachable"].is_string());
        assert_ne!(run.conformance(), "conformant");
        assert_eq!(run.items("pass"), Vec::<String>::new());
    }
}

#[test]
fn nothing_selected() {
    let run = run(&["run", "--filter", "id(nothing)"]);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
}

/// A mistake of the user: code 2, with these words on stderr, and nothing on stdout.
fn refused(args: &[&str], words: &[&str]) {
    let run = run(args);
    assert_eq!(run.code, Some(2), "{args:?}\n{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "{args:?}: no `{word}` in {}",
            run.stderr
        );
    }
    assert_eq!(run.stdout, "", "{args:?}");
}

#[test]
fn wrong_options() {
    refused(&["run", "--filter", "id("], &["--filter"]);
    refused(&["run", "--filter", "colour(red)"], &["--filter"]);
    refused(&["run", "--csp", "1.3"], &["1.3"]);
    refused(&["run", "--jobs", "0"], &["--jobs"]);
    refused(&["run", "--target", "https://"], &["--target"]);
    refused(&["run", "--target", "http://"], &["--target"]);
    refused(
        &["run", "--role", "client", "--target", "http://127.0.0.1/"],
        &["--listen"],
    );
    refused(&["run", "--fault", "no-such-fault"], &["no-such-fault"]);
    refused(&["run", "--fail-on", "pass"], &["--fail-on"]);
}

#[test]
fn missing_files() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    for option in ["--profile", "--ics", "--tables", "--cases"] {
        refused(&["run", option, missing], &[missing]);
    }
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn broken_files() {
    let dir = tempfile::tempdir().unwrap();
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let good = common::profile(address, "1s");
    let profile = write(
        dir.path(),
        "profile.yaml",
        &good.replace("role: server", "role: sever"),
    );
    refused(&["run", "--profile", &profile], &["profile.yaml:3", "fix:"]);
    let profile = write(dir.path(), "profile.yaml", &good.replace("timers:", "timer:"));
    refused(&["run", "--profile", &profile], &["profile.yaml:5", "fix:"]);
    let head = "format: imps-scr/ics/1\nname: a product\nrole: server\nversions: [\"1.2\"]\nderived: false\nclaims:\n";
    let ics = write(
        dir.path(),
        "ics.yaml",
        &format!("{head}  CSP-LOGINP-S-999: yes\n"),
    );
    refused(
        &["run", "--ics", &ics],
        &["ics.yaml:7", "CSP-LOGINP-S-999", "fix:"],
    );
    let ics = write(
        dir.path(),
        "ics.yaml",
        &format!("{head}  CSP-LOGINP-S-001: perhaps\n"),
    );
    refused(&["run", "--ics", &ics], &["ics.yaml:7", "fix:"]);
    let client = head
        .replace("role: server", "role: client")
        .replace("claims:\n", "claims: {}\n");
    let ics = write(dir.path(), "ics.yaml", &client);
    refused(
        &["run", "--role", "server", "--ics", &ics],
        &["ics.yaml", "client", "fix:"],
    );
    let ics = write(dir.path(), "ics.yaml", &format!("{head}  : [\n"));
    refused(&["run", "--ics", &ics], &["ics.yaml:", "fix:"]);
}

/// A copy of a folder of the package with one text of one file replaced.
fn spoiled(folder: &str, file: &str, old: &str, new: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    common::copy_tree(&common::package_dir(folder), dir.path());
    let path = dir.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} does not hold `{old}`");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
    dir
}

#[test]
fn broken_tables_and_cases() {
    let dir = spoiled(
        "cases",
        "session/server.yaml",
        "[CSP-LOGINP-S-001, ",
        "[CSP-NOSUCH-S-001, ",
    );
    refused(
        &["run", "--cases", dir.path().to_str().unwrap()],
        &["session/server.yaml:", "CSP-NOSUCH-S-001", "fix:"],
    );
    let dir = spoiled(
        "cases",
        "session/server.yaml",
        "- send: Login-Request",
        "- sned: Login-Request",
    );
    refused(
        &["run", "--cases", dir.path().to_str().unwrap()],
        &["session/server.yaml:", "sned", "fix:"],
    );
    let file = "items/csp-session-server.yaml";
    let dir = spoiled("scr-tables", file, "status: M", "status: Q");
    refused(
        &["run", "--tables", dir.path().to_str().unwrap()],
        &[file, "fix:"],
    );
    // The whole directory as it is works.
    let dir = spoiled("cases", "session/server.yaml", "title:", "title:");
    let good = run(&["run", "--filter", ONE, "--cases", dir.path().to_str().unwrap()]);
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
}

// ---- A server that works ----

/// The reference's engine on raw TCP with these accounts; `spoil` may change each answer.
fn working(
    accounts: Vec<Credentials>,
    spoil: impl Fn(&Request, Vec<u8>) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Peer {
    let engine = common::engine(accounts, 3600);
    Peer::new(move |stream, request| {
        let answer = common::ask(&engine, request);
        let body = answer
            .tree
            .map(|t| xml::write(&t, &xml::WriteOptions::default()))
            .unwrap_or_default();
        let whole = http(
            &format!("{} Answer", answer.status),
            answer.media_type.as_deref().unwrap_or_default(),
            &body,
        );
        match spoil(request, whole) {
            Some(octets) => {
                let _ = stream.write_all(&octets);
            }
            None => common::never_answer(stream),
        }
    })
}

#[test]
fn warnings_fail_only_when_asked() {
    // An answer that breaks nothing but what is sure to be a matter of opinion is hard to come by:
    // whatever the peer does, `--fail-on warn` is never the milder of the two.
    let peer = working(common::test_accounts(), |_, octets| {
        let text = String::from_utf8(octets).unwrap();
        let spoiled = text.replace("<Code>604</Code>", "<Code>600</Code>");
        let spoiled = spoiled.replace("<Code>531</Code>", "<Code>410</Code>");
        Some(spoiled.into_bytes())
    });
    let mild = run_against(&peer, &["--csp", "1.2", "--filter", "item(CSP-LOGINP-S-006)"]);
    let hard = run_against(
        &peer,
        &[
            "--csp",
            "1.2",
            "--filter",
            "item(CSP-LOGINP-S-006)",
            "--fail-on",
            "warn",
        ],
    );
    let warned = mild.items("warn");
    assert!(!warned.is_empty(), "{}", mild.stdout);
    assert_eq!(mild.items("fail"), Vec::<String>::new());
    assert_ne!(mild.code, Some(1), "{}", mild.stdout);
    assert_eq!(hard.code, Some(1), "{}", hard.stdout);
}

#[cfg(unix)]
fn stopped_by(signal: &str) {
    // Works for a few requests, then falls silent, and says so.
    let (sender, silent) = mpsc::channel();
    let sender = Mutex::new(sender);
    let peer = working(common::test_accounts(), move |request, octets| {
        if request.number < 30 {
            return Some(octets);
        }
        let _ = sender.lock().unwrap().send(());
        None
    });
    let running = common::start_against(&peer, "3600s", &[]);
    silent.recv().unwrap();
    running.signal(signal);
    let run = running.wait(Some(&peer));
    assert_eq!(run.code, Some(130), "{}{}", run.stdout, run.stderr);
    let report = run.report();
    assert_eq!(report["interrupted"], true);
    assert_ne!(run.conformance(), "conformant");
    assert!(!run.items("pass").is_empty(), "{}", run.stdout);
    for name in OUTPUTS {
        assert!(run.out.join(name).exists(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_knows() {
    stopped_by("INT");
    stopped_by("TERM");
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_the_last_look_too() {
    // One login before the case, one in it; the third is the look at the server after the run.
    let (sender, silent) = mpsc::channel();
    let state = Mutex::new((0, sender));
    let peer = working(common::test_accounts(), move |request, octets| {
        let mut state = state.lock().unwrap();
        state.0 += i32::from(request.has("Login-Request"));
        if state.0 < 3 {
            return Some(octets);
        }
        let _ = state.1.send(());
        None
    });
    let running = common::start_against(&peer, "3600s", &["--csp", "1.2", "--filter", ONE]);
    silent.recv().unwrap();
    running.signal("INT");
    let run = running.wait(Some(&peer));
    assert_eq!(run.code, Some(130), "{}{}", run.stdout, run.stderr);
    assert!(!run.items("pass").is_empty(), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn a_killed_run_leaves_whole_lines() {
    let (sender, silent) = mpsc::channel();
    let sender = Mutex::new(sender);
    let peer = working(common::test_accounts(), move |request, octets| {
        if request.number < 30 {
            return Some(octets);
        }
        let _ = sender.lock().unwrap().send(());
        None
    });
    let running = common::start_against(&peer, "3600s", &[]);
    silent.recv().unwrap();
    running.signal("KILL");
    let run = running.wait(Some(&peer));
    assert_eq!(run.code, None);
    let transcript = run.file("transcript.ndjson");
    assert!(transcript.ends_with('\n') && transcript.lines().count() > 10);
    for line in transcript.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

// ---- Determinism ----

#[test]
fn jobs_and_repetition_change_no_verdict() {
    // Services too: their cases have the accounts to themselves.
    let some = format!("{} | group(SENDM) | group(PRNOT) | group(CIR)", common::CORE);
    let one = run(&["run", "--filter", &some, "--jobs", "1"]);
    let eight = run(&["run", "--filter", &some, "--jobs", "8", "--seed", "1"]);
    assert_eq!(one.code, Some(0), "{}", one.stdout);
    assert_eq!(one.case_verdicts(), eight.case_verdicts());
    assert_eq!(one.verdicts(), eight.verdicts());
    let again = run(&["run", "--filter", &some, "--jobs", "8"]);
    assert_eq!(eight.case_verdicts(), again.case_verdicts());
    assert!(one.stdout.starts_with("SELF-TEST") && one.stdout.trim_end().ends_with("no product was tested"));
}

// ---- With and without accounts, with and without a statement ----

fn reference_credentials() -> Vec<Credentials> {
    reference_accounts().into_iter().map(|(_, c)| c).collect()
}

#[test]
fn without_accounts_little_is_run_and_the_report_says_so() {
    let peer = working(reference_credentials(), |_, octets| Some(octets));
    let target = format!("http://{}/", peer.address);
    let run = run(&["run", "--role", "server", "--target", &target, "--csp", "1.2"]);
    assert_eq!(run.code, Some(5), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.conformance(), "not-determined");
    let report = run.report();
    let cases = report["cases"].as_array().unwrap();
    let left_out: Vec<_> = cases.iter().filter(|c| c["verdict"] == "not-run").collect();
    assert!(!left_out.is_empty());
    for case in left_out {
        assert!(case["reason"].as_str().unwrap().contains("account"), "{case}");
    }
    assert!(run.stdout.contains("account"), "{}", run.stdout);
    assert!(!run.items("pass").is_empty(), "{}", run.stdout);
    assert_eq!(run.items("fail"), Vec::<String>::new());
}

/// All claims of the file as the vendor would state them.
fn stated(derived: &str) -> String {
    derived.replace("derived: true", "derived: false")
}

#[test]
fn only_a_stated_claim_makes_a_product_conformant() {
    let peer = working(common::test_accounts(), |_, octets| Some(octets));
    let bare = run_whole_against(&peer, &["--csp", "1.2"]);
    // Every claimed item has its verdict, so nothing is left open for the exit code; the certificate
    // still is: nobody stated the claims.
    assert_eq!(bare.code, Some(0), "{}{}", bare.stdout, bare.stderr);
    assert_eq!(bare.conformance(), "not-determined");
    for verdict in ["fail", "error", "inconc", "untested", "not-run", "warn"] {
        assert_eq!(bare.items(verdict), Vec::<String>::new());
    }
    let caveats = bare.report()["caveats"].to_string();
    assert!(caveats.contains("derived"), "{caveats}");

    let dir = tempfile::tempdir().unwrap();
    let derived = bare.file("ics.yaml");
    assert!(derived.contains("derived: true"));
    let ics = write(dir.path(), "derived.yaml", &derived);
    let archive = bare.out.to_str().unwrap();
    let own = run(&["run", "--rejudge", archive, "--ics", &ics]);
    assert_eq!(
        own.conformance(),
        "not-determined",
        "its own notes are no statement"
    );
    let ics = write(dir.path(), "stated.yaml", &stated(&derived));
    let by_statement = run(&["run", "--rejudge", archive, "--ics", &ics]);
    assert_eq!(
        by_statement.conformance(),
        "conformant",
        "{}",
        by_statement.stdout
    );
    assert_eq!(by_statement.code, Some(0));
    // The profile can name it as well.
    let text = format!("{}ics: stated.yaml\n", common::profile(peer.address, "1s"));
    let profile = write(dir.path(), "profile.yaml", &text);
    let named = run(&["run", "--csp", "1.2", "--filter", ONE, "--profile", &profile]);
    assert!(named.stdout.contains("stated.yaml"), "{}", named.stdout);
}
