//! A server behind TLS, with certificates made for the test: the binary believes whom it is told to.

mod common;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use imps_scr::run::{EmbeddedServer, Suite, reference_accounts};
use imps_scr::transport::Net;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const FILTER: &str = "id(IMPS-1.2-con-KALIVE-S-001)";

/// The reference behind TLS, and the certificate of the authority that made its own, PEM.
struct Server {
    address: SocketAddr,
    ca: String,
}

impl Server {
    /// With a certificate for this host.
    fn new(host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (sender, address) = std::sync::mpsc::channel();
        // Ends with the process: the tests of this file are all that it serves.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let checker = Suite::embedded().unwrap().checker;
                let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
                let clock = imps_scr::run::Clock::real(tokio::time::Instant::now());
                let plain = EmbeddedServer::start(&Net::Tcp, any, checker, None, 1, clock)
                    .await
                    .unwrap();
                let listener = TcpListener::bind(any).await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(relay(acceptor.clone(), stream, plain.address));
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            ca: authority.pem(),
        }
    }

    /// Writes a profile with this host and this entry, and runs the binary with it.
    fn run(&self, host: &str, tls: &str) -> common::Finished {
        let dir = tempfile::tempdir().unwrap();
        let profile = self.write(dir.path(), host, tls);
        let profile = profile.to_str().unwrap().to_owned();
        let args = ["run", "--profile", &profile, "--filter", FILTER];
        common::Running::start(dir, &args).wait(None)
    }

    fn write(&self, dir: &Path, host: &str, tls: &str) -> std::path::PathBuf {
        let port = self.address.port();
        let mut text = format!(
            "name: behind TLS\nrole: server\nurl: https://{host}:{port}/\n{tls}\nlimits: {{rate: 10000}}\naccounts:\n"
        );
        for (name, account) in reference_accounts() {
            text.push_str(&format!(
                "  {name}: {{user: \"{}\", password: \"{}\"}}\n",
                account.user, account.password
            ));
        }
        std::fs::write(dir.join("ca.pem"), &self.ca).unwrap();
        std::fs::write(dir.join("no.pem"), "no certificate\n").unwrap();
        let path = dir.join("profile.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

async fn relay(acceptor: TlsAcceptor, stream: TcpStream, to: SocketAddr) {
    // A handshake that fails is what some tests are about.
    let Ok(mut near) = acceptor.accept(stream).await else {
        return;
    };
    let mut far = TcpStream::connect(to).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
}

fn caveats(finished: &common::Finished) -> String {
    finished.report()["caveats"].to_string()
}

#[test]
fn the_authority_of_the_profile_is_believed() {
    let server = Server::new("localhost");
    let finished = server.run("localhost", "tls: {ca: ca.pem}");
    let case = finished.case_verdicts();
    assert!(
        case.values().all(|v| v == "pass") && !case.is_empty(),
        "{case:?}\n{}",
        finished.stdout
    );
    assert!(
        !caveats(&finished).contains("certificate"),
        "{}",
        caveats(&finished)
    );
    // The record holds what was said, not what TLS made of it.
    assert!(finished.file("transcript.ndjson").contains("KeepAlive-Response"));
}

#[test]
fn a_certificate_of_nobody_known_is_not_believed() {
    let server = Server::new("localhost");
    let finished = server.run("localhost", "");
    assert_eq!(finished.code, Some(7), "{}", finished.stdout);
    assert!(finished.stdout.contains("tls: {ca: FILE}"), "{}", finished.stdout);
    let target = format!("https://{}/", server.address);
    let finished = common::run(&["run", "--target", &target]);
    assert_eq!(finished.code, Some(7), "{}", finished.stdout);
}

#[test]
fn a_certificate_for_another_host_is_not_believed() {
    let server = Server::new("im.example.org");
    let finished = server.run("localhost", "tls: {ca: ca.pem}");
    assert_eq!(finished.code, Some(7), "{}", finished.stdout);
    assert!(finished.stdout.contains("im.example.org"), "{}", finished.stdout);
}

#[test]
fn any_certificate_is_believed_on_demand_and_the_report_says_so() {
    let server = Server::new("im.example.org");
    let finished = server.run("127.0.0.1", "tls: {insecure: true}");
    let case = finished.case_verdicts();
    assert!(
        case.values().all(|v| v == "pass") && !case.is_empty(),
        "{case:?}\n{}",
        finished.stdout
    );
    assert!(
        caveats(&finished).contains("was not checked"),
        "{}",
        caveats(&finished)
    );
    assert!(finished.stdout.contains("was not checked"), "{}", finished.stdout);
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let peer = plain_server();
    let finished = common::run(&["run", "--target", &format!("https://{peer}/")]);
    assert_eq!(finished.code, Some(7), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("does not speak TLS"),
        "{}",
        finished.stdout
    );
}

/// A server of plain HTTP that answers whatever comes.
fn plain_server() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(&common::http("400 Bad Request", "", b""));
        }
    });
    address
}

#[test]
fn a_handshake_that_never_ends_is_no_silence_of_the_protocol() {
    let silent = common::Peer::answering(|_| Vec::new());
    let server = Server {
        address: silent.address,
        ca: String::new(),
    };
    let finished = server.run("127.0.0.1", "tls: {insecure: true}\ntimers: {response: 500ms}");
    assert_eq!(finished.code, Some(7), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("no handshake within 500 ms"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_file_without_a_certificate_is_a_mistake_of_the_profile() {
    let server = Server::new("localhost");
    for (tls, part) in [
        ("tls: {ca: no.pem}", "BEGIN CERTIFICATE"),
        ("tls: {ca: nowhere.pem}", "nowhere.pem"),
    ] {
        let finished = server.run("localhost", tls);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
}

/// Clients speak plain HTTP to the proxy, and that speaks TLS to the server, as its profile says.
#[test]
fn a_proxy_believes_the_authority_of_the_profile() {
    let server = Server::new("localhost");
    let dir = tempfile::tempdir().unwrap();
    let profile = server.write(dir.path(), "localhost", "tls: {ca: ca.pem}");
    let proxy = format!("127.0.0.1:0=https://localhost:{}/", server.address.port());
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let request = "<?xml version=\"1.0\"?><WV-CSP-VersionDiscovery-Request \
        xmlns=\"http://www.wireless-village.org/CSP\"/>";
    let plain = ["run", "--proxy", &proxy, "--out", out];
    let with_profile = [&plain[..], &["--profile", profile.to_str().unwrap()]].concat();
    for (args, answered, codes) in [
        (&plain[..], false, &[7][..]),
        (&with_profile, true, &[0, 1, 4, 5]),
    ] {
        let waiting = common::Waiting::start(args);
        let mut stream = std::net::TcpStream::connect(waiting.address).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/vnd.wv.csp.xml\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            request.len()
        );
        stream.write_all((head + request).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (code, said) = waiting.end();
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), answered, "{answer}\n{said}");
        assert_eq!(answer.starts_with("HTTP/1.1 502 "), !answered, "{answer}\n{said}");
        assert!(code.is_some_and(|c| codes.contains(&c)), "{code:?}\n{said}");
        assert_eq!(said.contains("no TLS connection"), !answered, "{said}");
    }
}
