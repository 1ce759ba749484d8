//! A run between clients and a server within the test, and what came of it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use imps_scr::event::{CaseResult, Event, JudgedMessage, RunOutcome, Subscriber};
use imps_scr::peer::client::ClientConfig;
use imps_scr::peer::fault::Fault;
use imps_scr::peer::names::Names;
use imps_scr::record::Exchange;
use imps_scr::run::{Bus, Clock, EmbeddedClient, EmbeddedServer, Iut, RunOptions, Suite, reference_accounts};
use imps_scr::spec::{Command, HttpUrl, Role, Version};
use imps_scr::transport::Net;
use imps_scr::transport::client::Address;
use imps_scr::verdict::{ItemVerdict, Verdict};
use tokio::sync::{mpsc, oneshot};

/// What a client does in the tests that judge it: two sessions, one of each kind of login.
pub const ACTS: [Command; 10] = [
    Command::Login,
    Command::Capabilities,
    Command::Services,
    Command::KeepAlive,
    Command::ProviderInfo,
    Command::Poll,
    Command::Logout,
    Command::LoginDigest,
    Command::KeepAlive,
    Command::Logout,
];

pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub fn suite() -> &'static Suite {
    static SUITE: std::sync::OnceLock<Suite> = std::sync::OnceLock::new();
    SUITE.get_or_init(|| Suite::embedded().unwrap_or_else(|e| panic!("{e}")))
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// What came of a run.
#[derive(Default, Clone)]
pub struct Ran {
    pub results: Vec<CaseResult>,
    pub exchanges: BTreeMap<u32, Arc<Exchange>>,
    pub judged: Vec<JudgedMessage>,
    pub notices: Vec<String>,
    pub outcome: Option<Arc<RunOutcome>>,
}

impl Ran {
    pub fn outcome(&self) -> &RunOutcome {
        self.outcome.as_ref().expect("it came to its end")
    }

    pub fn verdicts(&self, role: Role) -> BTreeMap<String, ItemVerdict> {
        let items = self.outcome().items.iter().filter(|i| i.role == role);
        items.map(|i| (i.id.to_string(), i.verdict)).collect()
    }

    pub fn with(&self, role: Role, verdict: ItemVerdict) -> Vec<String> {
        let all = self.verdicts(role).into_iter();
        all.filter(|(_, v)| *v == verdict).map(|(id, _)| id).collect()
    }

    pub fn failed(&self, role: Role) -> Vec<String> {
        self.with(role, ItemVerdict::Fail)
    }

    /// Everything that is worse than a pass, in words.
    pub fn findings(&self) -> Vec<String> {
        let criteria = self.results.iter().flat_map(|r| &r.criteria);
        criteria
            .filter(|c| c.verdict > Verdict::Pass)
            .map(|c| format!("{:?} {} {}: {}", c.verdict, c.item, c.rule, c.text))
            .collect()
    }

    pub fn case(&self, id: &str, version: Version) -> Option<Verdict> {
        let mut results = self.results.iter();
        results
            .find(|r| r.id.as_str() == id && r.version == version)
            .map(|r| r.verdict)
    }
}

pub struct Recorder {
    ran: Arc<Mutex<Ran>>,
    address: mpsc::UnboundedSender<SocketAddr>,
}

impl Subscriber for Recorder {
    fn on(&mut self, event: &Event) {
        let mut ran = self.ran.lock().unwrap();
        match event {
            Event::Notice(text) => {
                if ran.notices.is_empty() {
                    let at = text.split("http://").nth(1).unwrap().split('/').next().unwrap();
                    let _ = self.address.send(at.parse().unwrap());
                }
                ran.notices.push(text.clone());
            }
            Event::Exchanged { exchange, .. } => {
                ran.exchanges.insert(exchange.number, Arc::clone(exchange));
            }
            Event::Judged(message) => ran.judged.push((**message).clone()),
            Event::CaseFinished(result) => ran.results.push((**result).clone()),
            Event::RunFinished(outcome) => ran.outcome = Some(Arc::clone(outcome)),
            _ => {}
        }
    }
}

/// Runs against what waits at an address, for as long as `act` does something there.
pub async fn during<F: Future<Output = ()>>(iut: Iut, act: impl FnOnce(SocketAddr) -> F) -> Ran {
    let ran = Arc::new(Mutex::new(Ran::default()));
    let (sender, mut address) = mpsc::unbounded_channel();
    let mut bus = Bus::default();
    bus.subscribe(Box::new(Recorder {
        ran: Arc::clone(&ran),
        address: sender,
    }));
    let (end, ended) = oneshot::channel::<()>();
    let stop = async {
        let _ = ended.await;
    };
    let options = RunOptions::default();
    let acting = async {
        act(address.recv().await.unwrap()).await;
        end.send(()).unwrap();
    };
    let (result, ()) = tokio::join!(
        imps_scr::run::run(suite(), &iut, &options, &mut bus, stop),
        acting
    );
    result.unwrap();
    drop(bus);
    let ran = ran.lock().unwrap();
    ran.clone()
}

/// The suite between whatever comes and a server at this address.
pub fn between(server: SocketAddr) -> Iut {
    let url = HttpUrl::parse(&format!("http://{server}/")).unwrap();
    Iut::proxy(ANY, url, None, None)
}

pub async fn server(fault: Option<&Fault>) -> EmbeddedServer {
    let clock = Clock::real(tokio::time::Instant::now());
    let checker = Arc::clone(&suite().checker);
    EmbeddedServer::start(&Net::Tcp, ANY, checker, fault.cloned(), 1, clock)
        .await
        .unwrap()
}

pub fn config(version: Version, account: usize) -> ClientConfig {
    let credentials = reference_accounts().remove(account).1;
    ClientConfig {
        version,
        names: Names::of_client(&credentials.user),
        credentials,
        client_id: format!("http://client.example/{account}"),
        cookie: format!("cookie-{account}"),
        time_to_live: 600,
        id_prefix: format!("c{account}-"),
    }
}

pub fn client(at: SocketAddr, version: Version, account: usize, fault: Option<&Fault>) -> EmbeddedClient {
    let clock = Clock::real(tokio::time::Instant::now());
    let checker = Arc::clone(&suite().checker);
    let address = Address::of(&Net::Tcp, at);
    EmbeddedClient::new(config(version, account), &address, fault.cloned(), clock, checker).unwrap()
}

pub async fn act(at: SocketAddr, version: Version, fault: Option<&Fault>) {
    let mut client = client(at, version, 0, fault);
    for command in ACTS {
        client.command(command).await;
    }
}

pub fn fault(name: &str) -> &'static Fault {
    let mut faults = suite().faults.iter();
    faults
        .find(|f| f.name == name)
        .unwrap_or_else(|| panic!("{name}"))
}

/// Passes octets on and keeps what went each way.
pub struct Tap {
    pub address: SocketAddr,
    pub kept: Arc<Mutex<[Vec<u8>; 2]>>,
}

impl Tap {
    pub async fn before(to: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept: Arc<Mutex<[Vec<u8>; 2]>> = Arc::default();
        let shared = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = tokio::net::TcpStream::connect(to).await.unwrap();
                let (near, far) = (near.into_split(), far.into_split());
                tokio::spawn(copy(near.0, far.1, Arc::clone(&shared), 0));
                tokio::spawn(copy(far.0, near.1, Arc::clone(&shared), 1));
            }
        });
        Self { address, kept }
    }

    /// Head and body of every message of one direction.
    pub fn messages(&self, way: usize) -> Vec<(Vec<String>, Vec<u8>)> {
        let octets = self.kept.lock().unwrap()[way].clone();
        let mut rest = octets.as_slice();
        let mut out = Vec::new();
        while let Some(at) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(rest[..at].to_vec()).unwrap();
            let lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
            let length = lines.iter().find_map(|l| {
                let (name, value) = l.split_once(':')?;
                (name.eq_ignore_ascii_case("content-length")).then(|| value.trim().parse().unwrap())
            });
            let end = at + 4 + length.unwrap_or(0);
            out.push((lines, rest[at + 4..end].to_vec()));
            rest = &rest[end..];
        }
        assert!(rest.is_empty());
        out
    }
}

pub async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    kept: Arc<Mutex<[Vec<u8>; 2]>>,
    way: usize,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut buffer = vec![0; 65536];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        kept.lock().unwrap()[way].extend_from_slice(&buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// A head without what belongs to one connection, or names the server that is asked.
pub fn kept_fields(head: &[String]) -> Vec<String> {
    let own = ["host", "connection"];
    let stays = |l: &&String| {
        let name = l.split(':').next().unwrap_or("").to_ascii_lowercase();
        !own.contains(&name.as_str())
    };
    head.iter().filter(stays).cloned().collect()
}

/// A request on raw TCP, and what came back; the connection is closed after it.
pub async fn ask(at: SocketAddr, head: &str, body: &[u8]) -> String {
    let request = [head.as_bytes(), b"Host: a\r\nConnection: close\r\n\r\n", body].concat();
    let answer = tokio::task::spawn_blocking(move || raw(at, &request))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn raw(at: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(octets).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The first message of a client, as octets.
pub fn login(version: Version) -> Vec<u8> {
    let mut engine = imps_scr::peer::client::ClientEngine::new(config(version, 0));
    let tree = engine.request("Login-Request").unwrap();
    imps_scr::codec::write(&tree, &imps_scr::codec::WriteOptions::default())
}

pub const XML: &str = "Content-Type: application/vnd.wv.csp.xml\r\n";
