//! What the writer of transcripts writes, this reader reads back.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::base::ItemId;
use crate::base::mask::Masker;
use crate::event::{CriterionResult, Event, Silence, Subscriber, Turn};
use crate::message::{Encoding, Position};
use crate::record::{Failure, HttpMessage, Initiator, Moment};
use crate::report::{Transcript, fixture};
use crate::spec::Role;
use crate::verdict::{Part, Place, Verdict};

fn written(events: &[Event], masker: Masker) -> Vec<u8> {
    let mut out = Vec::new();
    let mut transcript = Transcript::new(&mut out, Arc::new(masker));
    for event in events {
        transcript.on(event);
    }
    transcript.finish().unwrap();
    out
}

fn fixture_text() -> String {
    String::from_utf8(written(&fixture::events(), Masker::new([fixture::SECRET], false))).unwrap()
}

fn error(text: &[u8]) -> FileError {
    read("t.ndjson", text).unwrap_err()
}

#[test]
fn a_whole_run_is_read_back() {
    let events = fixture::events();
    let text = written(&events, Masker::new([fixture::SECRET], true));
    let archive = read("t.ndjson", text.as_slice()).unwrap();
    assert_eq!(archive.torn, None);
    let mut finished = 0;
    for event in &events {
        match event {
            Event::RunStarted(info) => assert_eq!(archive.info, **info),
            Event::CaseStarted { .. } | Event::Judged(_) => {}
            Event::Exchanged {
                case,
                version,
                exchange,
                ..
            } => {
                let kept = archive.case(case, *version).unwrap();
                assert!(kept.exchanges.iter().any(|e| e.exchange == *exchange));
            }
            Event::CaseFinished(result) => {
                finished += 1;
                let kept = archive.case(&result.id, result.version).unwrap();
                assert_eq!(kept.result.as_ref(), Some(&**result));
            }
            Event::Notice(text) => assert!(archive.notices.contains(text)),
            Event::RunFinished(outcome) => assert_eq!(archive.outcome.as_ref(), Some(&**outcome)),
        }
    }
    assert_eq!(archive.cases.len(), finished);
}

#[test]
fn what_is_masked_says_so() {
    let archive = read("t.ndjson", fixture_text().as_bytes()).unwrap();
    let login = &archive.cases[0].exchanges[0];
    assert!(login.archived.request.masked && !login.archived.answer.masked);
    assert!(login.archived.request.octets != login.exchange.request.body.len());
}

/// Told again and written again, an archive is the same: that is what a resumed run rests on.
#[test]
fn an_archive_that_is_told_again_is_the_same() {
    let archive = read("t.ndjson", fixture_text().as_bytes()).unwrap();
    let mut events = vec![Event::RunStarted(Arc::new(archive.info.clone()))];
    for case in &archive.cases {
        events.extend(case.exchanges.iter().map(|e| Event::Exchanged {
            case: case.id.clone(),
            version: case.version,
            exchange: Arc::clone(&e.exchange),
            archived: Some(Arc::clone(&e.archived)),
        }));
        events.extend(case.result.clone().map(|r| Event::CaseFinished(Arc::new(r))));
    }
    events.extend(archive.notices.iter().cloned().map(Event::Notice));
    events.extend(archive.outcome.clone().map(|o| Event::RunFinished(Arc::new(o))));
    let again = written(&events, Masker::new([fixture::SECRET], false));
    assert_eq!(read("t.ndjson", again.as_slice()).unwrap(), archive);
}

#[test]
fn a_torn_last_line_is_told_and_nothing_else_is_lost() {
    let text = fixture_text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for whole in 1..lines.len() {
        let mut octets = lines[..whole].concat().into_bytes();
        assert_eq!(read("t.ndjson", octets.as_slice()).unwrap().torn, None);
        octets.extend_from_slice(&lines[whole].as_bytes()[..lines[whole].len() / 2]);
        let archive = read("t.ndjson", octets.as_slice()).unwrap();
        assert_eq!(archive.torn, Some(whole + 1));
        assert_eq!(archive.outcome, None);
    }
}

#[test]
fn mistakes_name_line_and_fix() {
    let text = fixture_text();
    let head = text.split_inclusive('\n').next().unwrap();
    let second = |line: &str| error(format!("{head}{line}\n").as_bytes());
    for (found, line, problem) in [
        (error(b""), 1, "empty"),
        (error(b"<xml/>\n"), 1, "not a transcript"),
        (
            error(b"{\"format\": \"imps-scr/report/1\"}\n"),
            1,
            "not a transcript",
        ),
        (error(b"{\"event\":\"run-sta"), 1, "breaks off"),
        (
            error(b"{\"event\": \"run-started\", \"format\": \"imps-scr/transcript/2\"}\n"),
            1,
            "newer format imps-scr/transcript/2",
        ),
        (
            error(b"{\"event\": \"run-started\", \"format\": \"imps-scr/transcript/1\"}\n"),
            1,
            "missing field",
        ),
        (second("{"), 2, "JSON"),
        (second("[]"), 2, "none that this version"),
        (second("{\"event\": \"surprise\"}"), 2, "none that this version"),
        (
            second("{\"event\": \"notice\", \"text\": \"\", \"more\": 1}"),
            2,
            "unknown field `more`",
        ),
        (second(head.trim_end()), 2, "a second run"),
        (
            second(
                "{\"event\":\"case-finished\",\"case\":\"a\",\"csp\":\"1.2\",\"verdict\":\"pass\",\"reason\":\"\",\"duration_ms\":1}",
            ),
            2,
            "kept no criteria",
        ),
        (error(format!("{head}\u{0}\u{1}\n").as_bytes()), 2, "JSON"),
        (error(&[head.as_bytes(), b"\xff\n"].concat()), 2, "not UTF-8"),
    ] {
        assert_eq!(found.line, line, "{found}");
        assert!(found.problem.contains(problem), "{found}");
        assert!(!found.fix.is_empty(), "{found}");
    }
}

#[test]
fn limits_are_named() {
    let long = vec![b' '; MAX_TRANSCRIPT_LINE + 1];
    assert!(error(&long).problem.contains(&MAX_TRANSCRIPT_LINE.to_string()));
}

// ---- Anything that a run may tell ----

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        Just("\u{1b}]0;x\u{7} \"\\ \u{2028}\u{0}".to_owned()),
        any::<String>().prop_map(|s| s.chars().take(30).collect()),
    ]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        texts().prop_map(String::into_bytes),
        Just(b"\x03\x10\x6a\x00\x49\x00\x01\x61\x03tiger\x00\x01\x01".to_vec()),
        Just(b"<Login-Request><Password>a</Password></Login-Request>".to_vec()),
    ]
}

fn failures() -> impl Strategy<Value = Failure> {
    prop_oneof![
        texts().prop_map(Failure::Unreachable),
        texts().prop_map(Failure::Closed),
        any::<u64>().prop_map(Failure::Timeout),
        (texts(), bodies()).prop_map(|(why, raw)| Failure::NotHttp(why, raw)),
        any::<usize>().prop_map(Failure::TooLong),
        Just(Failure::Cancelled),
    ]
}

fn messages(start: &'static str, status: u16) -> impl Strategy<Value = HttpMessage> {
    (prop::collection::vec((texts(), texts()), 0..3), bodies()).prop_map(move |(headers, body)| HttpMessage {
        start: start.to_owned(),
        status,
        headers,
        body,
    })
}

fn exchanges() -> impl Strategy<Value = Exchange> {
    let response = prop_oneof![
        messages("HTTP/1.1 200 OK", 200).prop_map(Ok),
        messages("HTTP/1.1 503", 503).prop_map(Ok),
        messages("(octets as they came)", 0).prop_map(Ok),
        failures().prop_map(Err),
    ];
    (
        any::<u32>(),
        any::<bool>(),
        messages("POST / HTTP/1.1", 0),
        response,
        any::<u64>(),
        any::<u64>(),
        prop::option::of((any::<u32>(), any::<u64>(), any::<u64>())),
    )
        .prop_map(
            |(number, tester, request, response, started_ms, duration_ms, moment)| Exchange {
                number,
                initiator: if tester { Initiator::Tester } else { Initiator::Iut },
                request,
                response,
                started_ms,
                duration_ms,
                moment: moment.map(|(after_turn, came_ms, answered_ms)| Moment {
                    after_turn,
                    came_ms,
                    answered_ms,
                }),
            },
        )
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![
        Verdict::None,
        Verdict::Pass,
        Verdict::Warn,
        Verdict::Inconc,
        Verdict::Fail,
        Verdict::Error,
    ])
}

fn items() -> impl Strategy<Value = ItemId> {
    "[A-Z][A-Z0-9.:_-]{0,30}".prop_map(|s| ItemId::parse(&s).unwrap())
}

fn places() -> impl Strategy<Value = Place> {
    (
        prop::option::of(any::<u32>()),
        prop::option::of(prop::sample::select(vec![Part::Request, Part::Response])),
        texts(),
        prop::option::of((any::<u32>(), any::<u32>())),
    )
        .prop_map(|(exchange, part, path, position)| Place {
            exchange,
            part,
            path,
            position: position.map(|(line, column)| Position { line, column }),
        })
}

fn results() -> impl Strategy<Value = CaseResult> {
    let criterion = (
        items(),
        texts(),
        verdicts(),
        texts(),
        any::<usize>(),
        prop::collection::vec(places(), 0..3),
    )
        .prop_map(|(item, rule, verdict, text, count, places)| CriterionResult {
            item,
            rule,
            verdict,
            text,
            count,
            places,
        });
    let turn = prop_oneof![
        Just(Turn::LoggedIn),
        prop::collection::vec("[a-z-]{1,12}", 0..3).prop_map(Turn::Asked),
        texts().prop_map(Turn::Silent),
        texts().prop_map(Turn::Unanswered),
    ];
    let silence =
        (texts(), texts(), any::<u64>()).prop_map(|(of, proof, waited_ms)| Silence { of, proof, waited_ms });
    (
        (texts(), texts(), verdicts(), any::<bool>(), any::<u64>()),
        prop::collection::vec(items(), 0..3),
        prop::collection::vec(criterion, 0..4),
        prop::collection::vec(silence, 0..2),
        prop::collection::vec(items(), 0..3),
        prop::collection::vec(turn, 0..4),
    )
        .prop_map(
            |((title, reason, verdict, server, duration_ms), scr, criteria, silence, declined, turns)| {
                CaseResult {
                    id: CaseId::parse("IMPS-1.2-con-X-S-001").unwrap(),
                    title,
                    scr,
                    role: if server { Role::Server } else { Role::Client },
                    version: if server { Version::V12 } else { Version::V11 },
                    encoding: Encoding::Xml,
                    verdict,
                    reason,
                    criteria,
                    silence,
                    declined,
                    duration_ms,
                    turns,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_told_is_read_back(result in results(), exchanges in prop::collection::vec(exchanges(), 0..4),
                                 interrupted in any::<bool>(), notice in texts()) {
        let mut events = vec![
            Event::RunStarted(Arc::new(fixture::info(interrupted))),
            Event::CaseStarted { case: result.id.clone(), version: result.version, title: String::new() },
        ];
        events.extend(exchanges.iter().map(|e| Event::Exchanged {
            case: result.id.clone(),
            version: result.version,
            exchange: Arc::new(e.clone()),
            archived: None,
        }));
        events.push(Event::CaseFinished(Arc::new(result.clone())));
        events.push(Event::Notice(notice.clone()));
        let text = written(&events, Masker::new(["secret"], true));
        let archive = read("t", text.as_slice()).unwrap();
        prop_assert_eq!(archive.cases.len(), 1);
        prop_assert_eq!(archive.cases[0].result.as_ref(), Some(&result));
        let kept: Vec<Exchange> = archive.cases[0].exchanges.iter().map(|e| (*e.exchange).clone()).collect();
        prop_assert_eq!(kept, exchanges);
        prop_assert_eq!(archive.notices, [notice]);
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read("t", octets.as_slice());
    }

    /// Lines that nearly fit, cut and flipped anywhere.
    #[test]
    fn a_damaged_transcript_never_panics(at in 0.0..1.0f64, octet in any::<u8>(), end in 0.0..1.0f64) {
        let mut octets = fixture_text().into_bytes();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        let place = |share: f64, len: usize| ((len - 1) as f64 * share) as usize;
        let len = octets.len();
        octets[place(at, len)] = octet;
        octets.truncate(place(end, len));
        let _ = read("t", octets.as_slice());
    }
}
