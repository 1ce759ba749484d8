//! One run as events, for the tests of every output: both roles, every verdict, a secret and text
//! that a hostile peer sent. No run is this unlucky, but each piece has been seen.
#![allow(
    dead_code,
    missing_docs,
    reason = "each test file that includes this uses a part of it"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::imps::base::mask::Masker;
use super::imps::base::{CaseId, ItemId};
use super::imps::event::{
    CaseResult, CriterionResult, Event, ItemResult, RunInfo, RunOutcome, Silence, Subscriber,
};
use super::imps::message::{Encoding, Position};
use super::imps::record::{Exchange, Failure, HttpMessage, Initiator};
use super::imps::report::{Collector, Report};
use super::imps::spec::{Basis, Role, Status, Version};
use super::imps::verdict::{Conformance, ItemVerdict, Part, Place, Verdict};

pub const SECRET: &str = "hunter2&co";
pub const HOSTILE: &str =
    "</script><script>alert(1)</script> \u{1b}[31mred\u{202e} ]]> \"><img src=x onerror=alert(2)> {{7*7}}";

pub fn masker() -> Arc<Masker> {
    Arc::new(Masker::new([SECRET], false))
}

pub fn case_id(text: &str) -> CaseId {
    CaseId::parse(text).unwrap()
}

pub fn item_id(text: &str) -> ItemId {
    ItemId::parse(text).unwrap()
}

pub fn exchange(number: u32, request: &str, response: &str) -> Exchange {
    let headers = |kind: &str| vec![("Content-Type".to_owned(), kind.to_owned())];
    Exchange {
        number,
        initiator: Initiator::Tester,
        request: HttpMessage {
            start: "POST /csp HTTP/1.1".to_owned(),
            status: 0,
            headers: headers("application/vnd.wv.csp.xml"),
            body: request.as_bytes().to_vec(),
        },
        response: Ok(HttpMessage {
            start: "HTTP/1.1 200 OK".to_owned(),
            status: 200,
            headers: headers("application/vnd.wv.csp.xml; charset=utf-8"),
            body: response.as_bytes().to_vec(),
        }),
        started_ms: u64::from(number) * 10,
        duration_ms: 4,
        moment: None,
    }
}

pub fn passed(id: &CaseId) -> CaseResult {
    CaseResult {
        id: id.clone(),
        title: String::new(),
        scr: Vec::new(),
        role: Role::Server,
        version: Version::V12,
        encoding: Encoding::Xml,
        verdict: Verdict::Pass,
        reason: String::new(),
        criteria: Vec::new(),
        silence: Vec::new(),
        declined: Vec::new(),
        duration_ms: 12,
        turns: Vec::new(),
    }
}

fn place(exchange: u32, path: &str, line: u32, column: u32) -> Place {
    Place {
        exchange: Some(exchange),
        part: Some(Part::Response),
        path: path.to_owned(),
        position: Some(Position { line, column }),
    }
}

fn criterion(item: &str, rule: &str, verdict: Verdict, text: &str, places: Vec<Place>) -> CriterionResult {
    CriterionResult {
        item: item_id(item),
        rule: rule.to_owned(),
        verdict,
        text: text.to_owned(),
        count: places.len().max(1),
        places,
    }
}

struct Row(
    &'static str,
    Role,
    Status,
    Basis,
    bool,
    ItemVerdict,
    &'static str,
    &'static str,
);

fn item(row: &Row, cases: &[&str]) -> ItemResult {
    let Row(id, role, status, basis, claimed, verdict, feature, reason) = row;
    ItemResult {
        id: item_id(id),
        role: *role,
        status: *status,
        basis: *basis,
        reconstructed: true,
        feature: (*feature).to_owned(),
        claimed: *claimed,
        verdict: *verdict,
        reason: reason.replace("HOSTILE", HOSTILE),
        cases: cases.iter().map(|c| case_id(c)).collect(),
        claim_gap: None,
    }
}

const LOGIN: &str = "IMPS-1.2-con-LOGINP-S-001";
const KALIVE: &str = "IMPS-1.2-con-KALIVE-S-001";
const BLOCK: &str = "IMPS-1.1-con-BLENT-S-001";
const POLL: &str = "IMPS-1.2-con-POLL-S-001";
const CLIENT: &str = "IMPS-1.2-con-ENV-C-001";

pub fn info(embedded: bool) -> RunInfo {
    RunInfo {
        suite_version: "0.1.0".to_owned(),
        tables_hash: "9f2c0e".to_owned(),
        cases_hash: "77ab10".to_owned(),
        started_at: "2024-05-17T09:30:00Z".to_owned(),
        embedded,
        target: if embedded {
            "embedded reference".to_owned()
        } else {
            format!("Acme Gateway {HOSTILE}")
        },
        address: if embedded {
            String::new()
        } else {
            "http://imps.example.com/csp".to_owned()
        },
        roles: vec![Role::Client, Role::Server],
        versions: vec![Version::V11, Version::V12],
        encoding: Encoding::Xml,
        seed: 42,
        filter: String::new(),
        claims: "derived".to_owned(),
        planned: 6,
        accounts: BTreeMap::from([("A".to_owned(), "wv:a@example.com".to_owned())]),
    }
}

fn login() -> Vec<Event> {
    let request = format!(
        "<WV-CSP-Message><Session><Transaction><TransactionContent><Login-Request><UserID>wv:a</UserID>\
         <Password>{}</Password></Login-Request></TransactionContent></Transaction></Session></WV-CSP-Message>",
        SECRET.replace('&', "&amp;")
    );
    let response = "<WV-CSP-Message><Session><Transaction><TransactionContent><Login-Response><Result Code=\"200\"/>\
                    <SessionID>s1</SessionID></Login-Response></TransactionContent></Transaction></Session></WV-CSP-Message>";
    let mut result = passed(&case_id(LOGIN));
    result.title = "Login with a password opens a session".to_owned();
    result.scr = vec![item_id("CSP-LOGINP-S-001")];
    result.criteria = vec![
        criterion(
            "CSP-LOGINP-S-001",
            "step 2: Login-Response",
            Verdict::Pass,
            "Login-Response with code 200 and a SessionID",
            vec![place(
                1,
                "Session/Transaction/TransactionContent/Login-Response",
                1,
                55,
            )],
        ),
        criterion(
            "CSP-ENV-S-002",
            "media-type",
            Verdict::Warn,
            "the response has a charset parameter that no source mentions",
            vec![place(1, "", 1, 1), place(2, "", 1, 1)],
        ),
    ];
    result.verdict = Verdict::Warn;
    case(result, vec![exchange(1, &request, response)])
}

fn keep_alive() -> Vec<Event> {
    let mut hostile = exchange(
        1,
        "<KeepAlive-Request/>",
        &format!("<Status>{HOSTILE} {SECRET}</Status>"),
    );
    if let Ok(response) = &mut hostile.response {
        response.headers.push(("X-Note".to_owned(), HOSTILE.to_owned()));
        response
            .headers
            .push(("Set-Cookie".to_owned(), "sid=1".to_owned()));
    }
    let mut silent = exchange(2, "<KeepAlive-Request/>", "");
    silent.response = Err(Failure::Timeout(20_000));
    let mut garbage = exchange(3, "", "");
    garbage.request.body = b"\x03\x10\x6a\x00\x49\x00\x01\x61\x03tiger\x00\x01\x01".to_vec();
    garbage.response = Err(Failure::NotHttp(
        "no status line".to_owned(),
        b"\x1b]0;owned\x07 oops".to_vec(),
    ));
    let mut result = passed(&case_id(KALIVE));
    result.title = "KeepAlive is answered with the time that applies".to_owned();
    result.scr = vec![item_id("CSP-KALIVE-S-001")];
    result.verdict = Verdict::Fail;
    result.criteria = vec![criterion(
        "CSP-KALIVE-S-001",
        "step 2: KeepAlive-Response",
        Verdict::Fail,
        &format!("answered with Status saying {HOSTILE} and {SECRET}"),
        vec![
            place(1, "Session/Transaction/TransactionContent/Status", 3, 7),
            place(2, "", 1, 1),
        ],
    )];
    case(result, vec![hostile, silent, garbage])
}

fn case(result: CaseResult, exchanges: Vec<Exchange>) -> Vec<Event> {
    let id = result.id.clone();
    let version = result.version;
    let mut events = vec![Event::CaseStarted {
        case: id.clone(),
        version,
        title: result.title.clone(),
    }];
    events.extend(exchanges.into_iter().map(|e| Event::Exchanged {
        case: id.clone(),
        version,
        exchange: Arc::new(e),
        archived: None,
    }));
    events.push(Event::CaseFinished(Arc::new(result)));
    events
}

fn others() -> Vec<Event> {
    let mut block = passed(&case_id(BLOCK));
    block.title = "A blocked sender is not delivered".to_owned();
    block.version = Version::V11;
    block.scr = vec![item_id("CSP-BLENT-S-001")];
    block.criteria = vec![criterion(
        "CSP-BLENT-S-001",
        "step 6: nothing from C",
        Verdict::Pass,
        "the fence message arrived, the blocked one did not",
        vec![place(
            4,
            "Session/Transaction/TransactionContent/NewMessage",
            1,
            80,
        )],
    )];
    block.silence = vec![Silence {
        of: "NewMessage from C".to_owned(),
        proof: "fence and window".to_owned(),
        waited_ms: 2_000,
    }];
    let mut poll = passed(&case_id(POLL));
    poll.title = "Polling returns what is pending".to_owned();
    poll.scr = vec![item_id("CSP-POLL-S-001")];
    poll.verdict = Verdict::Inconc;
    poll.reason = "blocked by CSP-KALIVE-S-001".to_owned();
    poll.criteria = vec![criterion(
        "CSP-POLL-S-001",
        "precondition",
        Verdict::Inconc,
        "no session was left to poll in",
        Vec::new(),
    )];
    let mut client = passed(&case_id(CLIENT));
    client.title = "Every request names its transaction".to_owned();
    client.role = Role::Client;
    client.scr = vec![item_id("CSP-ENV-C-001")];
    client.criteria = vec![criterion(
        "CSP-ENV-C-001",
        "envelope",
        Verdict::Pass,
        "TransactionID `t1` in Login-Request",
        vec![Place {
            exchange: Some(1),
            part: Some(Part::Request),
            path: "Session/Transaction/TransactionDescriptor/TransactionID".to_owned(),
            position: None,
        }],
    )];
    let mut broken = passed(&case_id("IMPS-1.2-con-GETPR-S-001"));
    broken.title = "Presence of a user can be asked for".to_owned();
    broken.verdict = Verdict::Error;
    broken.reason = "the case refers to an account that the profile lacks".to_owned();
    broken.criteria = vec![criterion(
        "CSP-GETPR-S-001",
        "suite",
        Verdict::Error,
        "account X is not there",
        Vec::new(),
    )];
    let mut skipped = passed(&case_id("IMPS-1.2-con-CIR-S-001"));
    skipped.title = "A CIR is sent when a message waits".to_owned();
    skipped.verdict = Verdict::None;
    skipped.reason = "the profile opens no CIR channel".to_owned();
    [block, poll, client, broken, skipped]
        .into_iter()
        .flat_map(|r| case(r, Vec::new()))
        .collect()
}

fn outcome() -> RunOutcome {
    use Basis::{Infer, One, Open, Spec, Two};
    use ItemVerdict as V;
    use Role::{Client, Server};
    use Status::{Mandatory as M, Optional as O};
    let rows = [
        (
            Row(
                "CSP-ENV-C-001",
                Client,
                M,
                Spec,
                true,
                V::Pass,
                "Envelope of requests",
                "",
            ),
            vec![CLIENT],
        ),
        (
            Row(
                "CSP-CIR-C-001",
                Client,
                O,
                One,
                true,
                V::Untestable,
                "Acts on a CIR",
                "seen only inside the client",
            ),
            vec![],
        ),
        (
            Row(
                "CSP-ENV-S-002",
                Server,
                M,
                One,
                true,
                V::Warn,
                "Media type of responses",
                "the response has a charset parameter that no source mentions",
            ),
            vec![LOGIN],
        ),
        (
            Row(
                "CSP-LOGINP-S-001",
                Server,
                M,
                Two,
                true,
                V::Pass,
                "Login with a password",
                "",
            ),
            vec![LOGIN],
        ),
        (
            Row(
                "CSP-KALIVE-S-001",
                Server,
                M,
                Spec,
                true,
                V::Fail,
                "KeepAlive",
                "answered with Status saying HOSTILE",
            ),
            vec![KALIVE],
        ),
        (
            Row(
                "CSP-POLL-S-001",
                Server,
                M,
                Spec,
                true,
                V::Inconc,
                "Polling",
                "blocked by CSP-KALIVE-S-001",
            ),
            vec![POLL],
        ),
        (
            Row(
                "CSP-BLENT-S-001",
                Server,
                O,
                Infer,
                true,
                V::Pass,
                "Blocking of users",
                "",
            ),
            vec![BLOCK],
        ),
        (
            Row(
                "CSP-GETPR-S-001",
                Server,
                O,
                Two,
                true,
                V::Error,
                "Presence on request",
                "account X is not there",
            ),
            vec!["IMPS-1.2-con-GETPR-S-001"],
        ),
        (
            Row(
                "CSP-CIR-S-001",
                Server,
                O,
                Open,
                true,
                V::NotRun,
                "CIR",
                "the profile opens no CIR channel",
            ),
            vec![],
        ),
        (
            Row(
                "CSP-SRCH-S-001",
                Server,
                O,
                Two,
                true,
                V::Untested,
                "Search",
                "no criterion was charged to it",
            ),
            vec![],
        ),
        (
            Row(
                "CSP-GROUP-S-001",
                Server,
                O,
                Two,
                false,
                V::Na,
                "Groups",
                "not claimed",
            ),
            vec![],
        ),
    ];
    RunOutcome {
        items: rows.iter().map(|(row, cases)| item(row, cases)).collect(),
        conformance: BTreeMap::from([
            (Client, Conformance::Conformant),
            (Server, Conformance::NotConformant),
        ]),
        interrupted: false,
        unreachable: None,
        not_run: 1,
        caveats: vec!["claims were derived, not stated by the vendor".to_owned()],
        refused: Vec::new(),
        imported: Vec::new(),
        duration_ms: 1_234,
    }
}

/// The whole run.
pub fn events_of(embedded: bool) -> Vec<Event> {
    let mut events = vec![Event::RunStarted(Arc::new(info(embedded)))];
    events.extend(login());
    events.extend(keep_alive());
    events.push(Event::Notice(format!(
        "slowed down after 3 answers 503: {HOSTILE} {SECRET}"
    )));
    events.extend(others());
    events.push(Event::RunFinished(Arc::new(outcome())));
    events
}

/// The whole run against the embedded reference.
pub fn events() -> Vec<Event> {
    events_of(true)
}

pub fn collected(embedded: bool) -> Collector {
    let shared = Arc::new(Mutex::new(Collector::new(masker())));
    let mut subscriber: Box<dyn Subscriber> = Box::new(Arc::clone(&shared));
    for event in events_of(embedded) {
        subscriber.on(&event);
    }
    drop(subscriber);
    Arc::into_inner(shared).unwrap().into_inner().unwrap()
}

/// The report of [`events`].
pub fn report() -> Report {
    collected(true).report().clone()
}
