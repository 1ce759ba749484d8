//! The client against listeners in memory, with a paused clock, and against octets on a bare connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::transport::MemoryNet;
use crate::transport::server::{Answer, Listener, listen_on};

/// Runs with a paused clock; what hangs fails, at once by any other clock.
fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let limit = Duration::from_secs(600);
    runtime.block_on(async {
        tokio::time::timeout(limit, test).await.expect("the test hangs");
    });
}

fn memory() -> Net {
    Net::Memory(MemoryNet::new())
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn post(body: &str, framing: Framing, expect_continue: bool) -> Outgoing<'static> {
    Outgoing {
        method: "POST",
        headers: &[],
        body: body.as_bytes().to_vec(),
        framing,
        expect_continue,
    }
}

async fn answer_one(listener: &mut Listener, body: &str) -> HttpMessage {
    let arrived = listener.arrivals.recv().await.unwrap();
    let response = HttpMessage {
        status: 200,
        body: body.as_bytes().to_vec(),
        ..HttpMessage::default()
    };
    arrived.answer.send(Answer::Response(response)).unwrap();
    assert!(arrived.broken.is_none());
    arrived.request
}

const TEN: Duration = Duration::from_secs(10);

/// One connection of a bare listener in memory: takes what comes until `until` stands in it, then says
/// `first`; then takes the rest until `end`, and says `last`. What came, with the milliseconds at `until`
/// and at `end`.
async fn talk(
    net: &Net,
    outgoing: Outgoing<'_>,
    (until, first): (&str, &str),
    (end, last): (&str, &str),
) -> (String, HttpMessage, Result<HttpMessage, Failure>, u128) {
    let mut acceptor = net.bind(any()).await.unwrap();
    let address = Address::of(net, acceptor.address().unwrap());
    let began = Instant::now();
    let server = async {
        let (mut stream, _) = acceptor.accept().await.unwrap();
        let mut came = String::new();
        let mut piece = [0; 1024];
        for (wait_for, say) in [(until, first), (end, last)] {
            while !came.contains(wait_for) {
                let n = stream.read(&mut piece).await.unwrap();
                assert!(n > 0, "it ends with {came:?}");
                came.push_str(std::str::from_utf8(&piece[..n]).unwrap());
            }
            stream.write_all(say.as_bytes()).await.unwrap();
        }
        let at_end = began.elapsed().as_millis();
        stream.shutdown().await.unwrap();
        (came, at_end)
    };
    let ((came, at_end), (request, response)) = tokio::join!(server, exchange(&address, outgoing, TEN));
    (came, request, response, at_end)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_peer_that_never_answers_costs_no_time_when_the_clock_is_paused() {
    let began = std::time::Instant::now();
    paused(async {
        let net = memory();
        let mut listener = listen_on(&net, any()).await.unwrap();
        let address = Address::of(&net, listener.address);
        let (_, response) = exchange(&address, post("x", Framing::Length, false), TEN).await;
        let Err(Failure::Timeout(ms)) = response else {
            panic!("{response:?}");
        };
        assert!((10_000..10_100).contains(&ms), "{ms}");
        // It did arrive.
        assert_eq!(listener.arrivals.recv().await.unwrap().request.body, b"x");
    });
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn nobody_is_reached_where_nobody_listens() {
    paused(async {
        let net = memory();
        let listener = listen_on(&net, any()).await.unwrap();
        let taken = listen_on(&net, listener.address).await;
        assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        let second = listen_on(&net, any()).await.unwrap();
        assert_ne!(listener.address, second.address);
        let address = Address::of(&net, listener.address);
        drop(listener);
        tokio::task::yield_now().await;
        let (_, response) = exchange(&address, post("", Framing::Length, false), TEN).await;
        assert!(matches!(response, Err(Failure::Unreachable(_))), "{response:?}");
        // Another network has ports of its own.
        let other = Address {
            net: memory(),
            ..Address::of(&net, second.address)
        };
        let (_, response) = exchange(&other, post("", Framing::Length, false), TEN).await;
        assert!(matches!(response, Err(Failure::Unreachable(_))), "{response:?}");
    });
}

#[test]
fn a_listener_reads_every_framing() {
    paused(async {
        for framing in [Framing::Length, Framing::Chunked] {
            for expect in [false, true] {
                for body in ["", "1", "a longer body"] {
                    let net = memory();
                    let mut listener = listen_on(&net, any()).await.unwrap();
                    let address = Address::of(&net, listener.address);
                    let ((sent, response), seen) = tokio::join!(
                        exchange(&address, post(body, framing, expect), TEN),
                        answer_one(&mut listener, "ok")
                    );
                    assert_eq!(response.unwrap().body, b"ok");
                    assert_eq!(seen.body, body.as_bytes());
                    // The record says what was on the wire, no more and no less.
                    let names = |m: &HttpMessage| {
                        let mut all: Vec<(String, String)> = m
                            .headers
                            .iter()
                            .map(|(n, v)| (n.to_ascii_lowercase(), v.clone()))
                            .collect();
                        all.sort();
                        all
                    };
                    assert_eq!(names(&sent), names(&seen), "{framing:?} {expect} {body:?}");
                    let chunked = framing == Framing::Chunked;
                    assert_eq!(seen.header("transfer-encoding").is_some(), chunked);
                    assert_eq!(seen.header("content-length").is_some(), !chunked);
                    assert_eq!(seen.header("expect").is_some(), expect);
                }
            }
        }
    });
}

#[test]
fn a_body_in_chunks_comes_in_two() {
    paused(async {
        let outgoing = post("abcde", Framing::Chunked, false);
        let (came, _, response, _) = talk(&memory(), outgoing, ("\r\n\r\n", ""), ("\r\n0\r\n\r\n", OK)).await;
        assert_eq!(response.unwrap().body, b"ok");
        assert!(
            came.ends_with("\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
            "{came:?}"
        );
        assert!(!came.to_ascii_lowercase().contains("content-length"), "{came:?}");
    });
}

#[test]
fn the_body_waits_for_100_continue() {
    paused(async {
        let outgoing = post("body", Framing::Length, true);
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        let (came, request, response, at_end) =
            talk(&memory(), outgoing, ("\r\n\r\n", interim), ("body", OK)).await;
        assert_eq!(response.unwrap().status, 200);
        assert_eq!(request.header("Expect"), Some("100-continue"));
        assert!(
            came.to_ascii_lowercase().contains("expect: 100-continue"),
            "{came:?}"
        );
        assert!(at_end < 1000, "{at_end}");
    });
}

#[test]
fn the_body_does_not_wait_for_ever() {
    paused(async {
        let outgoing = post("body", Framing::Length, true);
        let (_, _, response, at_end) = talk(&memory(), outgoing, ("\r\n\r\n", ""), ("body", OK)).await;
        assert_eq!(response.unwrap().status, 200);
        assert!((1000..1100).contains(&at_end), "{at_end}");
    });
}

#[test]
fn a_final_answer_before_the_body_is_the_answer() {
    paused(async {
        let outgoing = post("body", Framing::Length, true);
        let refused = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
        let (came, _, response, at_end) =
            talk(&memory(), outgoing, ("\r\n\r\n", refused), ("\r\n\r\n", "")).await;
        assert_eq!(response.unwrap().status, 417);
        assert!(!came.contains("body"), "{came:?}");
        assert!(at_end < 1000, "{at_end}");
    });
}

#[test]
fn interim_answers_and_chunks_are_read() {
    paused(async {
        for answer in [
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX-Trailer: t\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
        ] {
            let outgoing = post("x", Framing::Length, false);
            let (_, _, response, _) = talk(&memory(), outgoing, ("\r\n\r\nx", answer), ("x", "")).await;
            let response = response.unwrap();
            assert_eq!(
                (response.status, response.body.as_slice()),
                (200, &b"abc"[..]),
                "{answer:?}"
            );
        }
        for broken in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "",
        ] {
            let outgoing = post("x", Framing::Length, false);
            let (_, _, response, _) = talk(&memory(), outgoing, ("\r\n\r\nx", broken), ("x", "")).await;
            assert!(
                matches!(response, Err(Failure::Closed(_))),
                "{broken:?}: {response:?}"
            );
        }
    });
}

#[test]
fn bare_octets_travel_in_memory_too() {
    paused(async {
        let net = memory();
        let listener = listen_on(&net, any()).await.unwrap();
        let address = Address::of(&net, listener.address);
        let answer = crate::transport::raw::exchange(&address, b"no HTTP\r\n\r\n", TEN).await;
        let answer = String::from_utf8(answer.unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    });
}
