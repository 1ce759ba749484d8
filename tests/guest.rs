//! Manners at a server that is not ours: nothing is left behind, nothing is locked, and a second run
//! finds what the first one found.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::{Peer, Request, Running, run_against, start_against};
use imps_scr::codec::{WriteOptions, write};
use imps_scr::peer::server::ServerEngine;

/// Every written case of every service: what they make on a server is what a guest may leave behind.
const WRITTEN: [&str; 4] = ["--csp", "1.2", "--filter", "tag(*) - tag(time) - tag(generated)"];

/// A live server that outlasts runs, with what it saw.
struct Live {
    peer: Peer,
    engine: Arc<Mutex<ServerEngine>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

fn live() -> Live {
    let engine = Arc::new(common::engine(common::test_accounts(), 15));
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let (shared, seen) = (Arc::clone(&engine), Arc::clone(&wrong));
    let peer = Peer::answering(move |request: &Request| {
        let outgoing = common::ask(&shared, request);
        let body = outgoing
            .tree
            .map(|tree| write(&tree, &WriteOptions::default()))
            .unwrap_or_default();
        if String::from_utf8_lossy(&body).contains("<Code>409</Code>") {
            seen.lock()
                .unwrap()
                .push(request.element("UserID").unwrap_or_default());
        }
        let media = if body.is_empty() { "" } else { common::CSP_XML };
        common::http(&format!("{} x", outgoing.status), media, &body)
    });
    Live { peer, engine, wrong }
}

#[test]
fn a_second_run_finds_the_same_also_after_a_kill() {
    let live = live();
    let first = run_against(&live.peer, &WRITTEN);
    let again = run_against(&live.peer, &WRITTEN);
    assert_eq!(first.case_verdicts(), again.case_verdicts());
    assert!(
        first.case_verdicts().values().all(|v| v == "pass"),
        "{:?}",
        first.items("inconc")
    );
    let before = live.peer.requests();
    let killed = start_against(&live.peer, "500ms", &WRITTEN);
    // In the middle of the run, with sessions open.
    wait_for(&killed, || live.peer.requests() > before + 200);
    killed.signal("KILL");
    assert_eq!(killed.wait(None).code, None);
    let after = run_against(&live.peer, &WRITTEN);
    assert_eq!(after.items("fail"), Vec::<String>::new());
    // Sessions of the killed run go on until they expire: what they make of their users is waited out.
    assert_eq!(first.case_verdicts(), after.case_verdicts());
}

fn wait_for(running: &Running, done: impl Fn() -> bool) {
    assert!(running.pid() > 0);
    while !done() {
        std::thread::yield_now();
    }
}

#[test]
fn nothing_is_left_open_after_an_interruption() {
    let live = live();
    let running = start_against(&live.peer, "5s", &["--jobs", "4"]);
    wait_for(&running, || live.peer.requests() > 60);
    running.signal("INT");
    let finished = running.wait(None);
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    assert_eq!(live.engine.lock().unwrap().open_sessions(), 0);
}

#[test]
fn nothing_is_left_open_after_a_whole_run() {
    let live = live();
    let finished = run_against(&live.peer, &WRITTEN);
    assert_eq!(finished.items("fail"), Vec::<String>::new());
    assert_eq!(live.engine.lock().unwrap().open_sessions(), 0);
}

#[test]
fn wrong_passwords_are_tried_with_account_x() {
    let live = live();
    run_against(&live.peer, &["--filter", "group(LOGINP) | group(LOGIND)"]);
    let users: BTreeSet<String> = live.wrong.lock().unwrap().iter().cloned().collect();
    assert_eq!(users, BTreeSet::from(["wv:x@example.com".to_owned()]));
}

#[test]
fn no_more_wrong_logins_than_the_profile_allows() {
    let live = live();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.yaml");
    let profile = common::profile(live.peer.address, "500ms")
        .replace("limits: {rate: 10000}", "limits: {rate: 10000, wrong_logins: 0}");
    std::fs::write(&path, profile).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let finished = Running::start(dir, &["run", "--profile", &path, "--filter", "group(LOGINP)"]).wait(None);
    assert!(live.wrong.lock().unwrap().is_empty());
    let untold = finished.items("inconc");
    assert!(
        untold
            .iter()
            .any(|i| i.contains("CSP-LOGINP-S-003") && i.contains("limits.wrong_logins")),
        "{untold:?}"
    );
}
