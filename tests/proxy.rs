//! Between clients and a server: nothing changes on the way, both sides are judged, and neither for the other.

mod common;
mod proxy_support;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Mutex;

use imps_scr::event::JudgedMessage;
use imps_scr::peer::fault::{Fault, FaultKind};
use imps_scr::run::{Bus, Iut, NetKind, RunOptions, Upper};
use imps_scr::spec::{Command, HttpUrl, Profile, Role, Version};
use imps_scr::verdict::{ItemVerdict, Verdict};

use proxy_support::*;

/// A correct client and a correct server: nothing changes on the way, and the verdicts are those that
/// each side gets without a proxy.
#[test]
fn correct_sides_are_judged_as_without_it() {
    let runtime = runtime();
    let (ran, near, far) = runtime.block_on(async {
        let server = server(None).await;
        let far = Tap::before(server.address).await;
        let mut near = None;
        let ran = during(between(far.address), async |at| {
            let tap = Tap::before(at).await;
            for version in Version::ALL {
                act(tap.address, *version, None).await;
            }
            near = Some(tap);
        })
        .await;
        (ran, near.unwrap(), far)
    });
    for way in 0..2 {
        let (here, there) = (near.messages(way), far.messages(way));
        assert_eq!(here.len(), there.len());
        assert!(here.len() > 20, "only {} messages", here.len());
        for ((head, body), (other_head, other_body)) in here.iter().zip(&there) {
            assert_eq!(kept_fields(head), kept_fields(other_head));
            assert_eq!(body, other_body);
        }
    }
    assert_eq!(ran.findings(), Vec::<String>::new());
    assert_eq!(ran.exchanges.len(), near.messages(0).len());
    assert_eq!(ran.notices.len(), 1, "{:?}", ran.notices);
    // Every message is told of, with what it is judged by.
    assert_eq!(ran.judged.len(), 2 * ran.exchanges.len());
    for message in &ran.judged {
        // There is nothing in a poll that brings nothing.
        let empty = message.message == "an empty body";
        assert_eq!(message.criteria.is_empty(), empty, "{message:?}");
    }

    let watched = runtime.block_on(async {
        let iut = Iut::Client {
            profile: Box::new(Profile::of_listener(ANY)),
            upper: Upper::Nobody { wait: None },
        };
        during(iut, async |at| {
            for version in Version::ALL {
                act(at, *version, None).await;
            }
        })
        .await
    });
    assert_eq!(ran.verdicts(Role::Client), watched.verdicts(Role::Client));
    let cases = |ran: &Ran| -> BTreeMap<_, _> {
        let of_clients = ran.results.iter().filter(|r| r.role == Role::Client);
        of_clients
            .map(|r| ((r.id.clone(), r.version), r.verdict))
            .collect()
    };
    assert_eq!(cases(&ran), cases(&watched));

    let tested = runtime.block_on(async {
        let iut = Iut::Embedded {
            roles: vec![Role::Server],
            fault: None,
        };
        let options = RunOptions {
            net: NetKind::Memory,
            filter: Some((
                String::new(),
                imps_scr::spec::filter::Filter::parse("role(server) - tag(generated)").unwrap(),
            )),
            ..RunOptions::default()
        };
        let mut bus = Bus::default();
        imps_scr::run::run(suite(), &iut, &options, &mut bus, std::future::pending())
            .await
            .unwrap()
    });
    let seen = ran.with(Role::Server, ItemVerdict::Pass);
    assert!(seen.len() > 15, "{seen:?}");
    for id in seen {
        let item = tested.items.iter().find(|i| i.id.as_str() == id).unwrap();
        assert_eq!(item.verdict, ItemVerdict::Pass, "{id}");
    }
    // Of what nobody did there is no verdict.
    for (id, verdict) in ran.verdicts(Role::Server) {
        assert!(
            matches!(
                verdict,
                ItemVerdict::Pass | ItemVerdict::Untested | ItemVerdict::Na | ItemVerdict::Untestable
            ) || id.starts_with("OMA-"),
            "{id}: {verdict:?}"
        );
    }
    assert_eq!(
        ran.case("IMPS-1.2-con-passive-S", Version::V11),
        Some(Verdict::Pass)
    );
}

/// Who has the fault is charged for it, and only for that; the other side for nothing.
fn assert_blamed(fault: &Fault, version: Version, must: bool) {
    let ran = runtime().block_on(async {
        let of = |role| Some(fault).filter(|f| f.role == role);
        let server = server(of(Role::Server)).await;
        during(between(server.address), async |at| {
            act(at, version, of(Role::Client)).await;
        })
        .await
    });
    let other = fault.role.peer();
    assert_eq!(
        ran.failed(other),
        Vec::<String>::new(),
        "{} in {version}: {:#?}",
        fault.name,
        ran.findings()
    );
    assert_eq!(
        ran.with(other, ItemVerdict::Warn),
        Vec::<String>::new(),
        "{}",
        fault.name
    );
    let broken: Vec<String> = fault.breaks.iter().map(ToString::to_string).collect();
    let mut failed = ran.failed(fault.role);
    for id in &failed {
        assert!(
            broken.contains(id),
            "{} in {version} breaks {broken:?}: {:#?}",
            fault.name,
            ran.findings()
        );
    }
    if must {
        // A fault of what is no must is a warning.
        failed.extend(ran.with(fault.role, ItemVerdict::Warn));
        assert!(
            !failed.is_empty(),
            "{} in {version}: {:#?}",
            fault.name,
            ran.findings()
        );
        let broken = |m: &&JudgedMessage| m.criteria.iter().any(|c| c.verdict >= Verdict::Warn);
        assert!(ran.judged.iter().filter(broken).all(|m| m.sender == fault.role));
    }
}

#[test]
fn a_fault_of_the_server_is_its_own() {
    for name in ["server-other-transaction-id", "server-end-tag", "server-http-201"] {
        for version in Version::ALL {
            assert_blamed(fault(name), *version, true);
        }
    }
}

#[test]
fn a_fault_of_the_client_is_its_own() {
    for name in ["client-same-transaction-id", "client-empty-transaction-id"] {
        for version in Version::ALL {
            assert_blamed(fault(name), *version, true);
        }
    }
}

/// Whatever is wrong with one side, the other is not blamed, and nothing else of the one.
#[test]
fn no_fault_is_blamed_on_the_other_side() {
    // Whether the fault shows in what the client of this test does.
    let occurs = |fault: &&Fault| match &fault.kind {
        FaultKind::Edits { on, .. } => {
            let core = [
                "Login-",
                "ClientCapability-",
                "Service-",
                "KeepAlive-",
                "GetSPInfo-",
                "Polling-",
                "Logout-",
            ];
            let known = |name: &String| name == "Status" || core.iter().any(|c| name.starts_with(c));
            on.is_empty() || on.iter().any(known)
        }
        _ => true,
    };
    for fault in suite().faults.iter().filter(occurs) {
        let version = *fault.versions.last().unwrap_or(&Version::V12);
        assert_blamed(fault, version, false);
    }
}

/// Two clients at one time: each conversation is its own.
#[test]
fn clients_at_one_time_do_not_mix() {
    let ran = runtime().block_on(async {
        let server = server(None).await;
        during(between(server.address), async |at| {
            let mut one = client(at, Version::V12, 0, None);
            let mut two = client(at, Version::V11, 1, None);
            let mut three = client(at, Version::V12, 2, None);
            let first = async {
                for command in ACTS {
                    one.command(command).await;
                }
            };
            let second = async {
                for command in ACTS {
                    two.command(command).await;
                }
            };
            let third = async {
                for command in ACTS {
                    three.command(command).await;
                }
            };
            tokio::join!(first, second, third);
        })
        .await
    });
    assert_eq!(ran.findings(), Vec::<String>::new());
    assert!(ran.exchanges.len() > 30);
    for version in Version::ALL {
        let found = ran.case("IMPS-1.2-con-KALIVE-C-001", *version);
        assert_eq!(found, Some(Verdict::Pass));
    }
}

/// Nobody listens where the server should be: the client hears so, and nobody is charged.
#[test]
fn a_server_that_is_not_there_is_nobodys_breach() {
    let free = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    let ran = runtime().block_on(async {
        during(between(free), async |at| {
            act(at, Version::V12, None).await;
            let head = ask(at, "POST / HTTP/1.1\r\nContent-Length: 0\r\n", b"").await;
            assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        })
        .await
    });
    assert_eq!(ran.failed(Role::Client), Vec::<String>::new());
    assert_eq!(ran.failed(Role::Server), Vec::<String>::new());
    assert!(ran.with(Role::Server, ItemVerdict::Pass).is_empty());
    let outcome = ran.outcome();
    assert!(outcome.unreachable.as_ref().unwrap().contains("no connection"));
    assert!(
        ran.notices[1].contains("the client got HTTP 502: no connection"),
        "{:?}",
        ran.notices
    );
}

/// A server that takes the request and says nothing: the client is not kept for ever, and nobody is charged.
#[test]
fn a_server_that_stays_silent_is_nobodys_breach() {
    let peer = common::Peer::new(|stream, _| {
        // Until whoever asked has enough of it.
        let _ = stream.read(&mut [0]);
    });
    let url = HttpUrl::parse(&format!("http://{}/", peer.address)).unwrap();
    let mut profile = Profile::of_target(url.clone());
    profile.timers.response = std::time::Duration::from_millis(300);
    let login = login(Version::V12);
    let ran = runtime().block_on(async {
        during(Iut::proxy(ANY, url, Some(profile), None), async |at| {
            let head = format!("POST / HTTP/1.1\r\n{XML}Content-Length: {}\r\n", login.len());
            let answer = ask(at, &head, &login).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        })
        .await
    });
    assert_eq!(ran.findings(), Vec::<String>::new());
    assert!(ran.with(Role::Server, ItemVerdict::Pass).is_empty());
    assert!(
        ran.notices[1].contains("no full answer within 300 ms"),
        "{:?}",
        ran.notices
    );
    assert_eq!(ran.outcome().unreachable, None, "it was there");
}

#[test]
fn garbage_of_either_side_is_passed_on_or_named() {
    // What is no HTTP, what is no CSP, and what calls itself CSP and is none.
    let peer = common::Peer::answering(|request| {
        let body = match request.body.as_slice() {
            b"hello" => "Server: x\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            b"<a" => format!("{XML}Content-Length: 3\r\n\r\n<b>"),
            _ if request.head.contains("/not-http") => return b"\x00\x01\x02 no http\r\n\r\n".to_vec(),
            _ if request.head.contains("/closed") => return Vec::new(),
            _ => format!("{XML}Content-Length: 4\r\n\r\n<c>\x01"),
        };
        format!("HTTP/1.1 200 Fine\r\n{body}").into_bytes()
    });
    let login = login(Version::V12);
    let ran = runtime().block_on(async {
        during(between(peer.address), async |at| {
            let nothing = tokio::task::spawn_blocking(move || raw(at, b"\x00\x01 garbage\r\n\r\n"));
            let nothing = nothing.await.unwrap();
            assert!(nothing.is_empty() || nothing.starts_with(b"HTTP/1.1 400 "));
            let hello = ask(at, "PUT /x?y=z HTTP/1.1\r\nContent-Length: 5\r\n", b"hello").await;
            assert!(hello.starts_with("HTTP/1.1 200 Fine\r\nServer: x\r\n"), "{hello}");
            assert!(hello.ends_with("\r\n\r\nhi"), "{hello}");
            let broken = ask(
                at,
                &format!("POST / HTTP/1.1\r\n{XML}Content-Length: 2\r\n"),
                b"<a",
            )
            .await;
            assert!(broken.ends_with("\r\n\r\n<b>"), "{broken}");
            for (path, wanted) in [("/", "200 Fine"), ("/not-http", "502 "), ("/closed", "502 ")] {
                let head = format!("POST {path} HTTP/1.1\r\n{XML}Content-Length: {}\r\n", login.len());
                let answer = ask(at, &head, &login).await;
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {wanted}")),
                    "{path}: {answer}"
                );
            }
        })
        .await
    });
    // The client: one message that is no XML. The server: two bodies that are none, and octets that are no HTTP.
    assert_eq!(
        ran.failed(Role::Client),
        ["CSP-ENV-C-001"],
        "{:#?}",
        ran.findings()
    );
    assert_eq!(
        ran.failed(Role::Server),
        ["CSP-ENV-S-001", "CSP-HTTP-S-001"],
        "{:#?}",
        ran.findings()
    );
    let told = |part: &str| ran.notices.iter().any(|n| n.contains(part));
    assert!(told("no HTTP"), "{:?}", ran.notices);
    assert!(
        told("`PUT /x?y=z HTTP/1.1`, which is no CSP"),
        "{:?}",
        ran.notices
    );
    assert!(told("exchange 4: the client got HTTP 502"), "{:?}", ran.notices);
    assert!(told("exchange 5: the client got HTTP 502"), "{:?}", ran.notices);
    let judged: Vec<u32> = ran.judged.iter().map(|m| m.exchange).collect();
    assert!(!judged.contains(&1), "what is no CSP is not judged: {judged:?}");
    assert_eq!(ran.exchanges.len(), 5);
}

/// Fields with their spelling and order, the reason, chunks; what belongs to a connection is not passed on.
#[test]
fn heads_and_chunks_go_on_as_they_came() {
    let (sender, heads) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let peer = common::Peer::answering(move |request| {
        sender
            .lock()
            .unwrap()
            .send((request.head.clone(), request.body.clone()))
            .unwrap();
        b"HTTP/1.1 299 Very Well\r\nX-oDD: 1\r\nset-cookie: a\r\nKeep-Alive: timeout=1\r\nDATE: never\r\n\
          Transfer-Encoding: chunked\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            .to_vec()
    });
    let answer = runtime().block_on(async {
        let mut answer = String::new();
        during(between(peer.address), async |at| {
            let head = "POST /p HTTP/1.1\r\nX-b: 1\r\nx-A: 2\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nX-C: 3\r\n";
            answer = ask(at, head, b"2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n").await;
        })
        .await;
        answer
    });
    let (head, body) = heads.recv().unwrap();
    assert_eq!(body, b"xyz");
    let at = peer.address;
    assert_eq!(
        head,
        format!(
            "POST /p HTTP/1.1\r\nX-b: 1\r\nx-A: 2\r\nTransfer-Encoding: chunked\r\nX-C: 3\r\nHost: {at}\r\n\
             Connection: close\r\n\r\n"
        )
        .replace(
            "Connection",
            head.split("\r\n")
                .find(|l| l.contains("close"))
                .unwrap()
                .split(':')
                .next()
                .unwrap()
        )
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head
        .split("\r\n")
        .filter(|l| !l.to_ascii_lowercase().starts_with("connection"))
        .collect();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 299 Very Well",
            "X-oDD: 1",
            "set-cookie: a",
            "DATE: never",
            "Transfer-Encoding: chunked"
        ]
    );
    assert!(body.contains("abc") && body.ends_with("\r\n0\r\n\r\n"), "{body}");
}

/// A body beyond the limit is refused, and nobody is charged.
#[test]
fn a_body_over_the_limit_is_refused() {
    let long = imps_scr::base::limits::MAX_BODY + 1;
    let peer = common::Peer::answering(move |request| {
        assert!(request.head.starts_with("POST /long"), "{}", request.head);
        [
            format!("HTTP/1.1 200 OK\r\n{XML}Content-Length: {long}\r\n\r\n").as_bytes(),
            &vec![b'x'; long],
        ]
        .concat()
    });
    let login = login(Version::V12);
    let ran = runtime().block_on(async {
        during(between(peer.address), async |at| {
            let head = format!("POST / HTTP/1.1\r\n{XML}Content-Length: {long}\r\n");
            let refused = ask(at, &head, &vec![b'x'; long]).await;
            assert!(
                refused.is_empty() || refused.starts_with("HTTP/1.1 413 "),
                "{refused}"
            );
            let head = format!("POST /long HTTP/1.1\r\n{XML}Content-Length: {}\r\n", login.len());
            let refused = ask(at, &head, &login).await;
            assert!(refused.starts_with("HTTP/1.1 502 "), "{refused}");
        })
        .await
    });
    assert_eq!(ran.failed(Role::Client), Vec::<String>::new());
    assert_eq!(ran.failed(Role::Server), Vec::<String>::new());
    assert!(
        ran.notices[1].contains("413") && ran.notices[1].contains("4194304"),
        "{:?}",
        ran.notices
    );
    assert!(ran.notices[2].contains("4194304"), "{:?}", ran.notices);
}

/// A session that began before the run: nobody is charged for what was not seen.
#[test]
fn a_session_of_before_is_no_breach() {
    let ran = runtime().block_on(async {
        let server = server(None).await;
        let tap = Tap::before(server.address).await;
        let mut early = client(tap.address, Version::V12, 0, None);
        early.command(Command::Login).await;
        // The tap is where the client goes to; only now the suite stands behind it.
        let body = {
            let said = String::from_utf8_lossy(&tap.kept.lock().unwrap()[1]).into_owned();
            let at = said.find("<SessionID>").unwrap() + "<SessionID>".len();
            said[at..].split('<').next().unwrap().to_owned()
        };
        let mut engine = imps_scr::peer::client::ClientEngine::new(config(Version::V12, 0));
        engine.set_session(Some(body));
        let tree = engine.request("KeepAlive-Request").unwrap();
        let octets = imps_scr::codec::write(&tree, &imps_scr::codec::WriteOptions::default());
        during(between(server.address), async |at| {
            let mut late = client(at, Version::V12, 1, None);
            late.command(Command::Login).await;
            late.command(Command::KeepAlive).await;
            let head = format!("POST / HTTP/1.1\r\n{XML}Content-Length: {}\r\n", octets.len());
            let answer = ask(at, &head, &octets).await;
            assert!(answer.contains("KeepAlive-Response"), "{answer}");
            late.command(Command::Logout).await;
        })
        .await
    });
    assert_eq!(ran.failed(Role::Client), Vec::<String>::new());
    assert_eq!(ran.failed(Role::Server), Vec::<String>::new());
    assert!(
        ran.findings().iter().all(|f| f.contains("before this run")),
        "{:?}",
        ran.findings()
    );
}

/// The program as a user runs it: lines as messages pass, reports, masks, and the archive judged again.
#[test]
fn the_program_tells_reports_masks_and_judges_again() {
    let runtime = runtime();
    let server = runtime.block_on(server(None));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let server_url = format!("127.0.0.1:0=http://{}/", server.address);
    let args = [
        "run",
        "-v",
        "--proxy",
        &server_url,
        "--out",
        out.to_str().unwrap(),
    ];
    let waiting = common::Waiting::start(&args);
    runtime.block_on(act(waiting.address, Version::V12, None));
    let (code, lines) = waiting.end();
    assert_eq!(code, Some(5), "what needs a stimulus stays untested\n{lines}");
    let told = |part: &str| lines.lines().any(|l| l.contains(part) && l.ends_with(" ok"));
    assert!(told("1 client→server Login-Request: "), "{lines}");
    assert!(told("1 server→client Login-Response with code 200: "), "{lines}");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["target"]["kind"], "real");
    assert_eq!(report["conformance"]["client"], "not-determined");
    assert_eq!(report["conformance"]["server"], "not-determined");
    assert_eq!(report["summary"]["items"]["fail"], 0);
    for entry in std::fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("reference-password-A"), "{}", path.display());
    }
    assert!(!lines.contains("reference-password-A"));
    let report = out.join("report.json");
    let why = common::run_plain(&[
        "explain",
        "IMPS-1.2-con-passive-S",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert_eq!(why.code, Some(0), "{}", why.stderr);
    assert!(
        why.stdout.contains("CSP-ENV-S-008 transaction-id-repeated"),
        "{}",
        why.stdout
    );
    common::assert_judged_again(&out);
}

/// A wrong option is named before anything is begun.
#[test]
fn what_cannot_be_passed_on_to_is_refused_at_once() {
    for (option, part) in [
        ("127.0.0.1:0", "LISTEN=TARGET"),
        ("127.0.0.1:1=http://127.0.0.1:1/", "itself"),
        ("127.0.0.1:0=gopher://h/", "not an http"),
    ] {
        let done = common::run_plain(&["run", "--proxy", option]);
        assert_eq!(done.code, Some(2), "{option}");
        assert!(done.stderr.contains(part), "{option}: {}", done.stderr);
    }
}
