//! CIR over loopback: the reference and the lower tester on real sockets, peers without CIR, and what is
//! said on a channel that nobody should say.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use common::{Peer, Request, package_dir, run};
use imps_scr::codec::{WriteOptions, write};
use imps_scr::record::Failure;
use imps_scr::run::{Clock, EmbeddedServer, Suite, reference_accounts};
use imps_scr::transport::Net;
use imps_scr::transport::cir::{Lines, MAX_LINE};
use imps_scr::transport::client::{Address, Framing, Outgoing, exchange};

const CIR: &str = "group(CIR)";
const PATIENCE: Duration = Duration::from_secs(10);

/// Every case passes over sockets, and judging the archive again moves nothing.
#[test]
fn the_reference_is_told_by_every_channel() {
    let finished = run(&["run", "--filter", CIR]);
    for ((case, csp), verdict) in finished.case_verdicts() {
        assert_eq!(verdict, "pass", "{case} in CSP {csp}");
    }
    let passed: Vec<String> = finished
        .verdicts()
        .into_iter()
        .filter(|(_, verdict)| verdict == "pass")
        .map(|(id, _)| id)
        .collect();
    for item in (1..=13).map(|n| format!("CSP-CIR-S-{n:03}")) {
        assert!(passed.contains(&item), "{item}: {passed:?}");
    }
    for item in (1..=10).map(|n| format!("CSP-CIR-C-{n:03}")) {
        assert!(passed.contains(&item), "{item}: {passed:?}");
    }
    let transcript = finished.file("transcript.ndjson");
    for said in ["HELO im#", "PING", "WVCI 1.2 ", "(CIR by SUDP)", "GET /cir/"] {
        assert!(transcript.contains(said), "{said}");
    }
    let mut again = common::run_plain(&["run", "--rejudge", finished.out.to_str().unwrap()]);
    again.out = finished.out.join("rejudged");
    assert_eq!(again.case_verdicts(), finished.case_verdicts());
    assert_eq!(again.verdicts(), finished.verdicts());
}

/// A server that agrees on no method has none of it, and is not blamed.
#[test]
fn a_server_without_cir_is_na() {
    let engine = common::engine(common::test_accounts(), 90);
    let peer = Peer::answering(move |request: &Request| {
        let outgoing = common::ask(&engine, request);
        let body = outgoing.tree.map(|t| write(&t, &WriteOptions::default()));
        let media_type = outgoing.media_type.unwrap_or_default();
        common::http(
            &format!("{} x", outgoing.status),
            &media_type,
            &body.unwrap_or_default(),
        )
    });
    let finished = common::run_against(&peer, &["--filter", CIR]);
    assert_none_is_worse_than_na(&finished, "CSP-CIR-S-");
}

/// The same for a client that offers none; and for one that agrees and then never opens its channel.
#[test]
fn a_client_without_cir_is_na() {
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("cases");
    common::copy_tree(&package_dir("cases"), &cases);
    add_fault(
        &cases,
        "polls-only",
        "{drop: CapabilityList/SupportedCIRMethod}, {drop: CapabilityList/UDPPort}",
    );
    let cases = cases.to_str().unwrap();
    let finished = run(&[
        "run",
        "--cases",
        cases,
        "--role",
        "client",
        "--fault",
        "polls-only",
        "--filter",
        "group(CIR) - id(*-C-011)",
    ]);
    assert_none_is_worse_than_na(&finished, "CSP-CIR-C-");
}

fn add_fault(cases: &Path, name: &str, edits: &str) {
    let text = format!(
        "format: imps-scr/faults/1\nfaults:\n  - name: {name}\n    role: client\n    about: \"a test\"\n    \
         breaks: [CSP-CIR-C-001]\n    \"on\": [ClientCapability-Request]\n    edit: [{edits}]\n"
    );
    std::fs::write(cases.join("_faults/a-test.yaml"), text).unwrap();
}

fn assert_none_is_worse_than_na(finished: &common::Finished, prefix: &str) {
    let items: Vec<_> = finished
        .verdicts()
        .into_iter()
        .filter(|(id, _)| id.starts_with(prefix))
        .collect();
    assert!(!items.is_empty());
    let of_login = "CSP-CIR-C-010";
    for (id, verdict) in items.iter().filter(|(id, _)| id != of_login) {
        assert_eq!(verdict, "na", "{id}");
    }
}

/// What a client says that has no session, or says too much, is not answered.
#[test]
fn nobody_gets_a_channel_without_a_session() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let checker = Suite::embedded().unwrap().checker;
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let clock = Clock::real(tokio::time::Instant::now());
        let server = EmbeddedServer::start(&Net::Tcp, any, checker, None, 1, clock)
            .await
            .unwrap();
        let session = login(server.address).await;
        let (host, port) = agree(server.address, &session).await;
        let too_long = "x".repeat(MAX_LINE + 1);
        for said in ["HELO no-such-session\r\n", "PING\r\n", "EHLO me\r\n", &too_long] {
            let mut lines = Lines::connect(&Net::Tcp, &host, port, PATIENCE).await.unwrap();
            lines.send(said.as_bytes()).await.unwrap();
            let answer = lines.line(PATIENCE).await;
            assert!(matches!(answer, Err(Failure::Closed(_))), "{said:?}: {answer:?}");
        }
        let mut lines = Lines::connect(&Net::Tcp, &host, port, PATIENCE).await.unwrap();
        // Small letters, LF alone: read tolerantly.
        lines.send(format!("helo {session}\n").as_bytes()).await.unwrap();
        assert_eq!(lines.line(PATIENCE).await.unwrap(), b"OK\r\n");
        // A second login of the same client ends the session: that waits for it.
        login(server.address).await;
        let told = lines.line(PATIENCE).await.unwrap();
        assert_eq!(String::from_utf8(told).unwrap(), "WVCI 1.2 biscuit\r\n");
    });
}

async fn post(server: SocketAddr, session: Option<&str>, content: &str) -> String {
    let descriptor = match session {
        Some(id) => format!("<SessionType>Inband</SessionType><SessionID>{id}</SessionID>"),
        None => "<SessionType>Outband</SessionType>".to_owned(),
    };
    let body = format!(
        "<WV-CSP-Message xmlns=\"http://www.openmobilealliance.org/DTD/WV-CSP1.2\"><Session><SessionDescriptor>\
         {descriptor}</SessionDescriptor><Transaction><TransactionDescriptor><TransactionMode>Request\
         </TransactionMode><TransactionID>t</TransactionID></TransactionDescriptor><TransactionContent \
         xmlns=\"http://www.openmobilealliance.org/DTD/WV-TRC1.2\">{content}</TransactionContent></Transaction>\
         </Session></WV-CSP-Message>"
    );
    let outgoing = Outgoing {
        method: "POST",
        headers: &[("Content-Type".to_owned(), common::CSP_XML.to_owned())],
        body: body.into_bytes(),
        framing: Framing::Length,
        expect_continue: false,
    };
    let (_, response) = exchange(&Address::of(&Net::Tcp, server), outgoing, PATIENCE).await;
    String::from_utf8(response.unwrap().body).unwrap()
}

fn element(text: &str, name: &str) -> String {
    let (_, rest) = text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name}: {text}"));
    rest.split('<').next().unwrap().to_owned()
}

async fn login(server: SocketAddr) -> String {
    let (_, account) = reference_accounts().remove(0);
    let content = format!(
        "<Login-Request><UserID>{}</UserID><ClientID><URL>http://c.example/</URL></ClientID><Password>{}</Password>\
         <TimeToLive>600</TimeToLive><SessionCookie>biscuit</SessionCookie></Login-Request>",
        account.user, account.password
    );
    element(&post(server, None, &content).await, "SessionID")
}

async fn agree(server: SocketAddr, session: &str) -> (String, u16) {
    let content = "<ClientCapability-Request><CapabilityList><ClientType>MOBILE_PHONE</ClientType>\
                   <InitialDeliveryMethod>P</InitialDeliveryMethod><AcceptedContentLength>1000</AcceptedContentLength>\
                   <MultiTrans>1</MultiTrans><ParserSize>32000</ParserSize><SupportedCIRMethod>STCP\
                   </SupportedCIRMethod></CapabilityList></ClientCapability-Request>";
    let answer = post(server, Some(session), content).await;
    assert!(
        !answer.contains("SHTTP") && !answer.contains("CIRURL"),
        "{answer}"
    );
    (
        element(&answer, "TCPAddress"),
        element(&answer, "TCPPort").parse().unwrap(),
    )
}
