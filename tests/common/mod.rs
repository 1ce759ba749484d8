//! Small peers on raw TCP and the binary as a user runs it.

#![allow(dead_code, reason = "not every test file needs every helper")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use imps_scr::peer::Credentials;
use imps_scr::peer::server::{Incoming, Outgoing, ServerConfig, ServerEngine, served_functions};
use imps_scr::run::Suite;
use imps_scr::spec::{Group, Version};

/// A run that takes longer hangs; the number is far beyond what any of them needs.
const HANG: Duration = Duration::from_secs(240);

/// Passwords of the accounts; nothing else in any output looks like them.
pub const PASSWORDS: [(&str, &str); 4] = [
    ("A", "quokka-Alpha-7731"),
    ("B", "quokka-Bravo-7732"),
    ("C", "quokka-Charlie-7733"),
    ("X", "quokka-Xray-7734"),
];

/// One HTTP request that a peer got.
pub struct Request {
    /// How many requests came before.
    pub number: usize,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The content of the first element of this name, as text.
    pub fn element(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        let open = text.find(&format!("<{name}>"))? + name.len() + 2;
        let close = text[open..].find("</")? + open;
        Some(text[open..close].to_owned())
    }

    pub fn has(&self, name: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(&format!("<{name}"))
    }

    pub fn content_type(&self) -> String {
        self.head
            .lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case("content-type"))
            .map(|(_, v)| v.trim().to_owned())
            .unwrap_or_default()
    }
}

#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    requests: AtomicUsize,
    pid: AtomicU32,
    peak: AtomicU64,
}

impl Watch {
    /// Asks the system for the highest memory use so far of the process that calls this peer.
    fn sample(&self) {
        let pid = self.pid.load(Ordering::SeqCst);
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
            return;
        };
        let peak = status
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .and_then(|v| v.trim().trim_end_matches("kB").trim().parse().ok());
        self.peak.fetch_max(peak.unwrap_or(0), Ordering::SeqCst);
    }
}

/// A server that does to each connection what it is told; each connection carries one request.
pub struct Peer {
    pub address: SocketAddr,
    watch: Arc<Watch>,
    accepts: Option<thread::JoinHandle<()>>,
}

impl Peer {
    pub fn new(answer: impl Fn(&mut TcpStream, &Request) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let watch = Arc::new(Watch::default());
        let (shared, answer) = (Arc::clone(&watch), Arc::new(answer));
        let accepts = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (watch, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &watch, &*answer));
            }
        });
        Self {
            address,
            watch,
            accepts: Some(accepts),
        }
    }

    /// A peer whose answer is a function of the request.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |stream, request| {
            // A caller that went away is its own affair.
            let _ = stream.write_all(&answer(request));
        })
    }

    pub fn requests(&self) -> usize {
        self.watch.requests.load(Ordering::SeqCst)
    }

    /// The highest memory use of the process under watch, in kB, as of its last connection.
    pub fn peak_kb(&self) -> u64 {
        self.watch.peak.load(Ordering::SeqCst)
    }

    pub fn watch(&self, pid: u32) {
        self.watch.pid.store(pid, Ordering::SeqCst);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.watch.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepts.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, watch: &Watch, answer: &dyn Fn(&mut TcpStream, &Request)) {
    watch.sample();
    let mut octets = Vec::new();
    let mut piece = [0; 4096];
    let (head_end, length) = loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(n) => octets.extend_from_slice(&piece[..n]),
        }
        if let Some(at) = octets.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&octets[..at]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length:"))
                .and_then(|v| v.trim().parse().ok())
                .unwrap_or(0_usize);
            break (at + 4, length);
        }
    };
    let head = String::from_utf8_lossy(&octets[..head_end]).to_ascii_lowercase();
    let chunked = head.contains("transfer-encoding: chunked");
    if head.contains("expect: 100-continue") && octets.len() == head_end {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    while chunked && !octets.ends_with(b"\r\n0\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(n) => octets.extend_from_slice(&piece[..n]),
        }
    }
    while octets.len() < head_end + length {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(n) => octets.extend_from_slice(&piece[..n]),
        }
    }
    let request = Request {
        number: watch.requests.fetch_add(1, Ordering::SeqCst),
        head: String::from_utf8_lossy(&octets[..head_end]).into_owned(),
        body: match chunked {
            true => joined(&octets[head_end..]),
            false => octets[head_end..head_end + length].to_vec(),
        },
    };
    answer(&mut stream, &request);
    let _ = stream.shutdown(Shutdown::Write);
    watch.sample();
}

/// The chunks of a body, put together.
fn joined(mut octets: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = octets.windows(2).position(|w| w == b"\r\n") {
        let size = String::from_utf8_lossy(&octets[..at]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = octets.get(at + 2..at + 2 + size).filter(|c| !c.is_empty()) else {
            break;
        };
        body.extend_from_slice(chunk);
        octets = octets.get(at + 4 + size..).unwrap_or_default();
    }
    body
}

/// Waits until the caller closes, without answering.
pub fn never_answer(stream: &mut TcpStream) {
    let mut piece = [0; 256];
    while matches!(stream.read(&mut piece), Ok(n) if n > 0) {}
}

pub fn http(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\nConnection: close\r\n").into_bytes();
    if !content_type.is_empty() {
        out.extend_from_slice(format!("Content-Type: {content_type}\r\n").as_bytes());
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out
}

pub const CSP_XML: &str = "application/vnd.wv.csp.xml";

pub fn csp(body: &str) -> Vec<u8> {
    http("200 OK", CSP_XML, body.as_bytes())
}

/// A message in the version, session and transaction of the request: everything that can be copied.
pub fn reply(request: &Request, content: &str) -> String {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let old = text.contains("CSP1.1");
    let (version, poll_in, poll_out) = if old {
        (Version::V11, "<Poll>F</Poll>", "")
    } else {
        (Version::V12, "", "<Poll>F</Poll>")
    };
    let descriptor = match request.element("SessionID") {
        Some(id) => format!("<SessionType>Inband</SessionType><SessionID>{id}</SessionID>"),
        None => "<SessionType>Outband</SessionType>".to_owned(),
    };
    let transaction = request.element("TransactionID").unwrap_or_default();
    let (csp, trc) = (version.namespace(Group::Csp), version.namespace(Group::Trc));
    format!(
        "<?xml version=\"1.0\"?><WV-CSP-Message xmlns=\"{csp}\"><Session><SessionDescriptor>{descriptor}\
         </SessionDescriptor><Transaction><TransactionDescriptor><TransactionMode>Response</TransactionMode>\
         <TransactionID>{transaction}</TransactionID>{poll_in}</TransactionDescriptor>\
         <TransactionContent xmlns=\"{trc}\">{content}</TransactionContent></Transaction>{poll_out}</Session>\
         </WV-CSP-Message>"
    )
}

pub fn status(code: u16) -> String {
    format!("<Status><Result><Code>{code}</Code></Result></Status>")
}

/// What came of a run of the binary.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub out: PathBuf,
    pub peak_kb: u64,
    _dir: Option<tempfile::TempDir>,
}

impl Finished {
    pub fn report(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.out.join("report.json"))
            .unwrap_or_else(|e| panic!("no report.json: {e}\n{}\n{}", self.stdout, self.stderr));
        serde_json::from_str(&text).unwrap()
    }

    pub fn file(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.out.join(name)).unwrap()).unwrap()
    }

    /// Items of the report by verdict.
    pub fn items(&self, verdict: &str) -> Vec<String> {
        let report = self.report();
        let items = report["items"].as_array().unwrap();
        items
            .iter()
            .filter(|i| i["verdict"] == verdict)
            .map(|i| format!("{}: {}", i["id"], i["reason"]))
            .collect()
    }

    /// The items' verdicts.
    pub fn verdicts(&self) -> Vec<(String, String)> {
        let report = self.report();
        let items = report["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| (text(&i["id"]), text(&i["verdict"])))
            .collect()
    }

    /// The verdict of every case in every version.
    pub fn case_verdicts(&self) -> std::collections::BTreeMap<(String, String), String> {
        let report = self.report();
        let cases = report["cases"].as_array().unwrap();
        cases
            .iter()
            .map(|c| ((text(&c["id"]), text(&c["csp"])), text(&c["verdict"])))
            .collect()
    }

    pub fn conformance(&self) -> String {
        text(&self.report()["conformance"]["server"])
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A profile with accounts for a server at this address.
pub fn profile(address: SocketAddr, response: &str) -> String {
    let mut text = format!(
        "format: imps-scr/profile/1\nname: a peer of the test\nrole: server\nurl: http://{address}/\n\
         timers: {{response: {response}, quiet: 100ms}}\nlimits: {{rate: 10000}}\naccounts:\n"
    );
    for (name, password) in PASSWORDS {
        let user = format!("wv:{}@example.com", name.to_ascii_lowercase());
        text.push_str(&format!(
            "  {name}: {{user: \"{user}\", password: \"{password}\"}}\n"
        ));
    }
    text
}

/// A run under way.
pub struct Running {
    child: Child,
    done: mpsc::Receiver<()>,
    outputs: [thread::JoinHandle<String>; 2],
    out: PathBuf,
    dir: Option<tempfile::TempDir>,
}

impl Running {
    pub fn start(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let out = dir.path().join("out");
        let mut command = binary();
        command.args(args).arg("--out").arg(&out);
        Self::spawn(command, out, Some(dir))
    }

    fn spawn(mut command: Command, out: PathBuf, dir: Option<tempfile::TempDir>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, done) = mpsc::channel();
        let stdout = drain(child.stdout.take().unwrap(), sender.clone());
        let stderr = drain(child.stderr.take().unwrap(), sender);
        Self {
            child,
            done,
            outputs: [stdout, stderr],
            out,
            dir,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub fn wait(mut self, peer: Option<&Peer>) -> Finished {
        // Both outputs end when the process does.
        for _ in 0..2 {
            if self.done.recv_timeout(HANG).is_err() {
                let _ = self.child.kill();
                panic!("the run does not end");
            }
        }
        let code = self.child.wait().unwrap().code();
        let [stdout, stderr] = self.outputs.map(|o| o.join().unwrap());
        Finished {
            code,
            stdout,
            stderr,
            out: self.out,
            peak_kb: peer.map_or(0, Peer::peak_kb),
            _dir: self.dir,
        }
    }
}

fn drain(mut from: impl Read + Send + 'static, done: mpsc::Sender<()>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        let _ = from.read_to_end(&mut octets);
        let _ = done.send(());
        String::from_utf8_lossy(&octets).into_owned()
    })
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imps-scr"));
    command.env_remove("NO_COLOR");
    command
}

/// The binary in a folder, as a command.
pub fn in_folder(dir: &Path, args: &[&str]) -> Command {
    let mut command = binary();
    command.args(args).current_dir(dir).env_remove("RUST_BACKTRACE");
    command
}

/// Exit code, standard output and standard error of a command.
pub fn shown(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let mut text = format!("exit {}\n", status.code().unwrap());
    for (name, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if !bytes.is_empty() {
            text.push_str(&format!("--- {name}\n{}", String::from_utf8(bytes).unwrap()));
        }
    }
    text
}

/// Starts the binary against a peer with a profile that has accounts.
pub fn start_against(peer: &Peer, response: &str, more: &[&str]) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.yaml");
    std::fs::write(&path, profile(peer.address, response)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let mut args = vec!["run", "--profile", path.as_str()];
    args.extend_from_slice(more);
    let running = Running::start(dir, &args);
    peer.watch(running.pid());
    running
}

/// Runs the binary against a peer to its end: the session core, unless a filter says what.
pub fn run_against(peer: &Peer, more: &[&str]) -> Finished {
    start_against(peer, "500ms", &of_core(more)).wait(Some(peer))
}

/// Runs every case against a peer.
pub fn run_whole_against(peer: &Peer, more: &[&str]) -> Finished {
    start_against(peer, "500ms", more).wait(Some(peer))
}

/// The same arguments with a filter for the session core, unless they have one: what holds for any case is
/// shown on some hundred as well as on thousands.
pub fn of_core<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut out = args.to_vec();
    if !args.contains(&"--filter") {
        out.extend(["--filter", CORE]);
    }
    out
}

/// Runs the binary with these arguments and `--out`.
pub fn run(args: &[&str]) -> Finished {
    Running::start(tempfile::tempdir().unwrap(), args).wait(None)
}

/// Runs the binary with these arguments alone.
pub fn run_plain(args: &[&str]) -> Finished {
    let mut command = binary();
    command.args(args);
    Running::spawn(command, PathBuf::new(), None).wait(None)
}

/// Judges the run that wrote `out` again and checks that nothing moves.
pub fn assert_judged_again(out: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().to_str().unwrap().to_owned();
    let mut again = run_plain(&["run", "--rejudge", out.to_str().unwrap(), "--out", &to]);
    again.out = dir.path().to_owned();
    let first = std::fs::read_to_string(out.join("report.json")).unwrap();
    assert_same_judgement(&serde_json::from_str(&first).unwrap(), &again.report());
    assert!(again.stdout.contains("nothing moved"), "{}", again.stdout);
}

/// The same judgement in all that it says, but for words on what is masked. In a run, cases that were not
/// run are told of last.
pub fn assert_same_judgement(first: &serde_json::Value, again: &serde_json::Value) {
    for name in ["items", "cases"] {
        let sorted = |report: &serde_json::Value| {
            let mut rows: Vec<String> = report[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    row.to_string()
                        .replace(" (taken over: the octets are masked)", "")
                        .replace(" (taken over: the password is not in the archive)", "")
                })
                .collect();
            rows.sort();
            rows
        };
        let (first, again) = (sorted(first), sorted(again));
        assert_eq!(first.len(), again.len());
        for (a, b) in first.iter().zip(&again) {
            assert_eq!(a, b);
        }
    }
    assert_eq!(first["conformance"], again["conformance"]);
    assert_eq!(first["summary"], again["summary"]);
}

/// Copies a folder of the package to `to`.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub fn package_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The accounts of [`PASSWORDS`], as the profile of a run against a peer has them.
pub fn test_accounts() -> Vec<Credentials> {
    PASSWORDS
        .iter()
        .map(|(name, password)| Credentials {
            user: format!("wv:{}@example.com", name.to_ascii_lowercase()),
            password: (*password).to_owned(),
        })
        .collect()
}

/// The reference's engine with these accounts.
pub fn engine(accounts: Vec<Credentials>, max_keep_alive: u32) -> Mutex<ServerEngine> {
    let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
    let config = ServerConfig {
        accounts,
        max_keep_alive,
        functions: served_functions(),
        seed: 7,
    };
    Mutex::new(ServerEngine::new(config, suite.checker))
}

/// What an engine answers to a request, by the clock on the wall.
pub fn ask(engine: &Mutex<ServerEngine>, request: &Request) -> Outgoing {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let now_ms = u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX);
    let content_type = request.content_type();
    let media_type = content_type.split(';').next().map(str::trim);
    engine.lock().unwrap().handle(
        now_ms,
        &Incoming {
            method: request.head.split(' ').next().unwrap_or_default(),
            media_type: media_type.filter(|m| !m.is_empty()),
            charset: None,
            body: &request.body,
        },
    )
}

/// The cases of the session core, generated ones included.
pub const CORE: &str = "group(LOGIN*) | group(SERVN) | group(CCAPAB) | group(KALIVE) | group(POLL) | group(LOGOUT) | \
    group(DISCO) | group(SESS) & id(*gen-K*) | group(STATUS) & id(*gen-K*) | group(HTTP) - id(*gen*) | group(VDISC) | \
    group(GETSPI) | id(*gen-Login*) | id(*gen-KeepAlive*) | id(*gen-ClientCap*) | id(*gen-Service*) | id(*gen-Poll*) | \
    id(*gen-Logout*) | id(*gen-Disconnect*)";

/// Everything but the cases about expiry, which wait in earnest at a peer of the test.
pub const QUICK: [&str; 2] = ["--filter", "tag(*) - tag(time)"];

/// The binary as it waits for clients.
pub struct Waiting {
    child: Child,
    said: std::io::BufReader<std::process::ChildStderr>,
    lines: String,
    pub address: SocketAddr,
}

impl Waiting {
    pub fn start(args: &[&str]) -> Self {
        let mut child = binary()
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        std::io::BufRead::read_line(&mut said, &mut lines).unwrap();
        let at = lines.split("http://").nth(1).and_then(|l| l.split('/').next());
        let address = at.unwrap_or_else(|| panic!("no address in {lines:?}"));
        Self {
            address: address.parse().unwrap(),
            child,
            said,
            lines,
        }
    }

    /// Ends it as a person would; the exit code, and all that it said on standard error.
    pub fn end(mut self) -> (Option<i32>, String) {
        let done = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
        self.said.read_to_string(&mut self.lines).unwrap();
        (self.child.wait().unwrap().code(), self.lines)
    }
}
