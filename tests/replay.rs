//! Runs that are told again: `run --resume` goes on where a run was killed, `run --rejudge` judges an
//! archive without a network.

mod common;

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::{Finished, PASSWORDS, Peer, Request, Running, http, run, run_plain};
use imps_scr::codec::xml;
use imps_scr::run::{Bus, Suite, rejudge};

/// The reference's engine on raw TCP; asked by `falls_silent` at each request.
fn working(falls_silent: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Peer {
    let engine = common::engine(common::test_accounts(), 3600);
    Peer::new(move |stream, request| {
        if falls_silent(request) {
            return common::never_answer(stream);
        }
        let answer = common::ask(&engine, request);
        let body = answer
            .tree
            .map(|t| xml::write(&t, &xml::WriteOptions::default()))
            .unwrap_or_default();
        let media_type = answer.media_type.unwrap_or_default();
        // A caller that went away is its own affair.
        let _ = stream.write_all(&http(&format!("{} Answer", answer.status), &media_type, &body));
    })
}

fn transcript(out: &Path) -> String {
    std::fs::read_to_string(out.join("transcript.ndjson")).unwrap()
}

// ---- Resume ----

/// A run with accounts that a signal ends while its peer is silent, and how to go on with it.
struct Stopped {
    peer: Peer,
    run: Finished,
    profile: String,
    _dir: tempfile::TempDir,
}

impl Stopped {
    fn by(signal: &str) -> Self {
        Self::after("3600s", Some(signal))
    }

    fn after(patience: &str, signal: Option<&str>) -> Self {
        let well = Arc::new(AtomicBool::new(false));
        let (sender, silent) = mpsc::channel();
        let (sender, again) = (Mutex::new(sender), Arc::clone(&well));
        let peer = working(move |request| {
            if request.number < 60 || again.load(Ordering::SeqCst) {
                return false;
            }
            let _ = sender.lock().unwrap().send(());
            true
        });
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("profile.yaml");
        std::fs::write(&profile, common::profile(peer.address, patience)).unwrap();
        let profile = profile.to_str().unwrap().to_owned();
        let running = Running::start(
            tempfile::tempdir().unwrap(),
            &common::of_core(&["run", "--csp", "1.2", "--profile", &profile]),
        );
        silent.recv().unwrap();
        if let Some(signal) = signal {
            running.signal(signal);
        }
        let run = running.wait(Some(&peer));
        well.store(true, Ordering::SeqCst);
        Self {
            peer,
            run,
            profile,
            _dir: dir,
        }
    }

    fn out(&self) -> &str {
        self.run.out.to_str().unwrap()
    }

    fn resume(&self, more: &[&str]) -> Finished {
        let mut args = vec!["run", "--profile", &self.profile, "--resume", self.out()];
        args.extend_from_slice(more);
        run_plain(&args)
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_and_comes_to_the_same() {
    let stopped = Stopped::by("KILL");
    assert_eq!(stopped.run.code, None);
    let before = transcript(&stopped.run.out);
    assert!(!before.contains("run-finished"));
    // What a disk that was full, or a machine that lost its power, leaves.
    let path = stopped.run.out.join("transcript.ndjson");
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"{\"event\":\"exchange\",\"case\":\"IMPS-1.2-c")
        .unwrap();
    let requests = stopped.peer.requests();

    let resumed = stopped.resume(&[]);
    assert_eq!(resumed.code, Some(0), "{}{}", resumed.stdout, resumed.stderr);
    assert!(resumed.stdout.contains("are taken over"), "{}", resumed.stdout);
    assert!(resumed.stdout.contains("broke off"), "{}", resumed.stdout);
    let more = stopped.peer.requests() - requests;

    let whole = Running::start(
        tempfile::tempdir().unwrap(),
        &common::of_core(&["run", "--csp", "1.2", "--profile", &stopped.profile]),
    )
    .wait(None);
    let all = stopped.peer.requests() - requests - more;
    assert!(more < all, "{more} requests to go on, {all} for the whole");
    assert_eq!(stopped.run.verdicts(), whole.verdicts());
    assert_eq!(stopped.run.case_verdicts(), whole.case_verdicts());
    assert_eq!(stopped.run.conformance(), whole.conformance());

    // The transcript is whole too: a line that tells of each case, once, and nothing secret.
    let after = transcript(&stopped.run.out);
    let finished = |text: &str| text.matches("\"event\":\"case-finished\"").count();
    assert_eq!(finished(&after), finished(&transcript(&whole.out)));
    assert_eq!(after.matches("run-started").count(), 1);
    assert!(!after.contains(PASSWORDS[0].1));
    let files = std::fs::read_dir(&stopped.run.out).unwrap().count();
    assert_eq!(files, 5, "no draft stays behind");

    // Cases of before and after the kill carry different words of their runs; each is judged by its own.
    let judged = rejudged(&stopped.run, &[]);
    assert_eq!(judged.code, Some(0), "{}{}", judged.stdout, judged.stderr);
    assert_same_judgement(&stopped.run, &judged);
    std::fs::remove_dir_all(stopped.run.out.join("rejudged")).unwrap();

    // Once more: there is nothing to do, and that changes nothing.
    let again = stopped.resume(&[]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert_eq!(transcript(&stopped.run.out), after);
    std::fs::remove_file(stopped.run.out.join("report.json")).unwrap();
    assert_eq!(stopped.resume(&[]).code, Some(0));
    assert_eq!(stopped.run.verdicts(), whole.verdicts());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on() {
    let stopped = Stopped::by("INT");
    assert_eq!(stopped.run.code, Some(130));
    let resumed = stopped.resume(&["--seed", "1"]);
    assert_eq!(resumed.code, Some(0), "{}{}", resumed.stdout, resumed.stderr);
    assert!(stopped.run.case_verdicts().values().all(|v| v == "pass"));
    assert_eq!(stopped.run.report()["interrupted"], false);
}

#[test]
fn a_run_that_lost_its_peer_goes_on_when_the_peer_is_back() {
    let stopped = Stopped::after("700ms", None);
    let reasons = stopped.run.items("not-run").len();
    assert!(reasons > 0, "{}", stopped.run.stdout);
    assert!(
        stopped.run.stdout.contains("taken for dead"),
        "{}",
        stopped.run.stdout
    );
    let resumed = stopped.resume(&[]);
    assert_eq!(resumed.code, Some(0), "{}{}", resumed.stdout, resumed.stderr);
    assert!(stopped.run.case_verdicts().values().all(|v| v == "pass"));
    assert!(!resumed.stdout.contains("taken for dead"), "{}", resumed.stdout);
}

#[cfg(unix)]
#[test]
fn another_run_is_not_gone_on_with() {
    let stopped = Stopped::by("KILL");
    let before = transcript(&stopped.run.out);
    let refused = |run: Finished, expected: &str| {
        assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(run.stderr.contains("fix:"), "{}", run.stderr);
    };
    refused(stopped.resume(&["--seed", "2"]), "seed: `1` then, `2` now");
    refused(
        stopped.resume(&["--csp", "1.1"]),
        "versions of CSP: `1.2` then, `1.1` now",
    );
    refused(
        stopped.resume(&["--filter", "group(KALIVE)"]),
        "filter: `group(LOGIN*)",
    );
    refused(
        run_plain(&["run", "--resume", stopped.out()]),
        "target: `a peer of the test` then",
    );
    let tables = common::package_dir("scr-tables");
    let dir = tempfile::tempdir().unwrap();
    common::copy_tree(&tables, dir.path());
    let readings = dir.path().join("readings.yaml");
    let text = std::fs::read_to_string(&readings).unwrap();
    std::fs::write(&readings, format!("{text}# another table\n")).unwrap();
    let tables = dir.path().to_str().unwrap();
    refused(stopped.resume(&["--tables", tables]), "digest of the tables");
    assert_eq!(transcript(&stopped.run.out), before, "nothing was written");
}

#[test]
fn what_is_no_transcript_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    for option in ["--resume", "--rejudge"] {
        let none = run_plain(&["run", option, out]);
        assert_eq!(none.code, Some(2), "{}", none.stderr);
        assert!(none.stderr.contains("transcript.ndjson"), "{}", none.stderr);
        for (text, expected) in [
            ("", "empty"),
            ("<xml/>\n", "not a transcript"),
            ("\u{0}\u{1}\u{2}", "breaks off"),
            (
                "{\"event\":\"run-started\",\"format\":\"imps-scr/transcript/9\"}\n",
                "newer format",
            ),
        ] {
            std::fs::write(dir.path().join("transcript.ndjson"), text).unwrap();
            let run = run_plain(&["run", option, out]);
            assert_eq!(run.code, Some(2), "{}", run.stderr);
            assert!(run.stderr.contains("transcript.ndjson:1: "), "{}", run.stderr);
            assert!(run.stderr.contains(expected), "{}", run.stderr);
            assert!(run.stderr.contains("fix:"), "{}", run.stderr);
        }
    }
}

// ---- Judged again ----

fn rejudged(run: &Finished, more: &[&str]) -> Finished {
    let mut args = vec!["run", "--rejudge", run.out.to_str().unwrap()];
    args.extend_from_slice(more);
    let mut again = run_plain(&args);
    again.out = run.out.join("rejudged");
    again
}

fn assert_same_judgement(first: &Finished, again: &Finished) {
    common::assert_same_judgement(&first.report(), &again.report());
}

#[test]
fn a_fresh_run_judged_again_comes_to_the_same() {
    for more in [&[][..], &["--keep-secrets"]] {
        let mut args = vec!["run", "--role", "server", "--csp", "1.2"];
        args.extend_from_slice(more);
        if !more.is_empty() {
            args = common::of_core(&args);
        }
        let first = run(&args);
        assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
        let report = first.file("report.json");
        let again = rejudged(&first, more);
        assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains("nothing moved"), "{}", again.stdout);
        assert!(again.stdout.starts_with("SELF-TEST") && again.stdout.trim_end().ends_with("was tested"));
        assert!(!again.stdout.contains("changed:"), "{}", again.stdout);
        assert_same_judgement(&first, &again);
        assert_eq!(first.file("report.json"), report, "the old reports stay");
        // What was judged again can be judged again.
        let once_more = rejudged(&again, more);
        assert_same_judgement(&first, &once_more);
        if more.is_empty() {
            assert!(!again.file("transcript.ndjson").contains("reference-password"));
        }
    }
}

#[test]
fn secrets_that_an_archive_kept_are_masked_all_the_same() {
    let peer = working(|_| false);
    let first = common::run_against(
        &peer,
        &["--csp", "1.2", "--keep-secrets", "--filter", common::CORE],
    );
    assert!(first.file("transcript.ndjson").contains(PASSWORDS[0].1));
    let requests = peer.requests();
    let again = rejudged(&first, &[]);
    assert_eq!(again.code, first.code, "{}{}", again.stdout, again.stderr);
    assert_eq!(first.verdicts(), again.verdicts());
    assert_eq!(peer.requests(), requests, "no peer is asked");
    for name in [
        "transcript.ndjson",
        "report.json",
        "index.html",
        "junit.xml",
        "ics.yaml",
    ] {
        assert!(!again.file(name).contains(PASSWORDS[0].1), "{name}");
    }
}

/// A copy of the tables in which one item is less sure.
fn tables_with_doubt(item: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    common::copy_tree(&common::package_dir("scr-tables"), dir.path());
    let mut changed = 0;
    for entry in std::fs::read_dir(dir.path().join("items")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(at) = text.find(&format!("id: {item}\n")) else {
            continue;
        };
        let (before, row) = text.split_at(at);
        let basis = row.find("basis: ").unwrap() + "basis: ".len();
        let end = basis + row[basis..].find('\n').unwrap();
        std::fs::write(&path, format!("{before}{}one{}", &row[..basis], &row[end..])).unwrap();
        changed += 1;
    }
    assert_eq!(changed, 1, "{item}");
    dir
}

#[test]
fn a_change_of_the_tables_moves_what_it_is_about() {
    let first = run(&common::of_core(&[
        "run",
        "--role",
        "server",
        "--fault",
        "server-http-201",
    ]));
    assert_eq!(first.code, Some(1), "{}{}", first.stdout, first.stderr);
    let failed = first.items("fail");
    assert_eq!(failed.len(), 1, "{failed:?}");
    let tables = tables_with_doubt("CSP-HTTP-S-001");
    let again = rejudged(&first, &["--tables", tables.path().to_str().unwrap()]);
    assert_ne!(again.code, Some(1), "{}{}", again.stdout, again.stderr);
    for expected in [
        "the tables changed: ",
        "1 item has another verdict",
        "rec:CSP-HTTP-S-001: fail -> warn",
        "one now",
        "changed fail -> warn  IMPS-1.2-con-",
        "http-status",
    ] {
        assert!(again.stdout.contains(expected), "{expected}\n{}", again.stdout);
    }
    assert_eq!(again.items("fail"), Vec::<String>::new());
}

#[test]
fn a_killed_run_is_judged_as_far_as_it_came() {
    let first = run(&common::of_core(&["run", "--role", "server", "--csp", "1.2"]));
    let path = first.out.join("transcript.ndjson");
    let text = std::fs::read_to_string(&path).unwrap();
    // In the middle of a line in the middle of the run.
    std::fs::write(&path, &text.as_bytes()[..text.len() / 2]).unwrap();
    let again = rejudged(&first, &[]);
    assert_eq!(again.code, Some(130), "{}{}", again.stdout, again.stderr);
    assert!(!again.items("pass").is_empty());
    assert!(!again.items("not-run").is_empty());
    assert_eq!(again.items("fail"), Vec::<String>::new());
}

#[test]
fn a_case_that_asks_for_more_than_the_archive_has_is_inconclusive() {
    let one = "id(IMPS-1.2-con-KALIVE-S-001)";
    let first = run(&["run", "--role", "server", "--csp", "1.2", "--filter", one]);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    let path = first.out.join("transcript.ndjson");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: String = text
        .split_inclusive('\n')
        .filter(|l| !(l.contains("\"event\":\"exchange\"") && l.contains("KeepAlive-Request")))
        .collect();
    assert_ne!(kept, text);
    std::fs::write(&path, kept).unwrap();
    let again = rejudged(&first, &[]);
    assert!(
        again.stdout.contains("the archive holds no KeepAlive-Request"),
        "{}",
        again.stdout
    );
    assert_eq!(again.code, Some(5), "{}{}", again.stdout, again.stderr);
}

#[test]
fn reports_of_the_archive_are_not_written_over() {
    let first = run(&[
        "run",
        "--role",
        "server",
        "--csp",
        "1.2",
        "--filter",
        "group(KALIVE)",
    ]);
    let refused = rejudged(&first, &["--out", first.out.to_str().unwrap()]);
    assert_eq!(refused.code, Some(2), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("fix:"), "{}", refused.stderr);
}

/// What a profile tells of the server is told by the archive, too: a ClientID that is given, accounts that
/// are not there, a version that is refused.
#[test]
fn other_servers_judged_again_come_to_the_same() {
    let peer = working(|_| false);
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.yaml");
    let text = format!(
        "{}client_id: http://phone.example/1\n",
        common::profile(peer.address, "5s")
    );
    std::fs::write(&profile, text).unwrap();
    let profile = profile.to_str().unwrap().to_owned();
    let target = format!("http://{}/", peer.address);
    for args in [
        &["run", "--csp", "1.2", "--profile", &profile][..],
        &["run", "--role", "server", "--csp", "1.2", "--target", &target],
    ] {
        let first = run(&common::of_core(args));
        let again = rejudged(&first, &[]);
        assert_eq!(again.code, first.code, "{}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains("nothing moved"), "{}", again.stdout);
        assert_same_judgement(&first, &again);
        assert!(!again.stdout.contains("SELF-TEST"));
    }
}

/// Whatever is done to an archive: an error with its line, or a judgement; never a panic.
#[test]
fn a_damaged_archive_is_judged_or_refused() {
    let suite = Suite::embedded().unwrap();
    let first = run(&["run", "--csp", "1.2", "--filter", "id(IMPS-1.2-con-KALIVE-*-001)"]);
    let octets = std::fs::read(first.out.join("transcript.ndjson")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let (mut judged, mut refused) = (0, 0);
    for _ in 0..200 {
        let mut damaged = octets.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..damaged.len());
            match random.u8(..3) {
                // A letter for a letter keeps most lines readable, so that what they say is wrong.
                0 => damaged[at] = random.alphanumeric() as u8,
                1 => damaged[at] = random.u8(..),
                _ => {
                    let lines: Vec<&[u8]> = damaged.split_inclusive(|b| *b == b'\n').collect();
                    let gone = random.usize(1..lines.len());
                    damaged = [&lines[..gone], &lines[gone + 1..]].concat().concat();
                }
            }
        }
        match imps_scr::capture::read("t.ndjson", damaged.as_slice()) {
            Err(error) => {
                assert!(error.line > 0 && !error.fix.is_empty(), "{error}");
                refused += 1;
            }
            Ok(archive) => {
                let mut bus = Bus::default();
                let work = rejudge::rejudge(&suite, &archive, None, &mut bus);
                judged += usize::from(runtime.block_on(work).is_ok());
            }
        }
    }
    assert!(judged > 20 && refused > 20, "{judged} judged, {refused} refused");
}

// ---- Clients judged again ----

#[test]
fn both_roles_judged_again_come_to_the_same() {
    for fault in [
        None,
        Some("client-ends-on-605"),
        Some("client-other-session-id"),
        Some("client-digest-without-nonce"),
    ] {
        let mut args = vec!["run", "--csp", "1.2", "--filter"];
        // What clients did on CIR channels is taken over as it was judged.
        match fault {
            None => args.push("(role(client) | role(server)) - group(CIR)"),
            // What is generated is about syntax, which these faults do not touch.
            Some(fault) => {
                let written = "role(client) - tag(generated) - group(CIR)";
                args.extend([written, "--role", "client", "--fault", fault]);
            }
        }
        let first = run(&args);
        let bad = first.items("fail").len() + first.items("warn").len();
        assert_eq!(bad > 0, fault.is_some(), "{fault:?}: {}", first.stdout);
        let again = rejudged(&first, &[]);
        assert_eq!(
            again.code, first.code,
            "{fault:?}: {}{}",
            again.stdout, again.stderr
        );
        assert!(
            again.stdout.contains("nothing moved"),
            "{fault:?}: {}",
            again.stdout
        );
        assert_same_judgement(&first, &again);
        assert!(
            !again.stdout.contains("as they were judged then"),
            "{}",
            again.stdout
        );
        if fault.is_some() {
            // What was judged again can be judged again.
            let once_more = rejudged(&again, &[]);
            assert_same_judgement(&first, &once_more);
        }
    }
}

#[test]
fn a_change_of_the_tables_moves_what_a_client_did() {
    let first = run(&[
        "run",
        "--role",
        "client",
        "--csp",
        "1.2",
        "--fault",
        "client-dead-session",
        "--filter",
        "item(CSP-SESS-C-001)",
    ]);
    let failed = first.items("fail");
    assert_eq!(failed.len(), 1, "{failed:?}");
    let item = failed[0].split('"').nth(1).unwrap();
    let tables = tables_with_doubt(item);
    let again = rejudged(&first, &["--tables", tables.path().to_str().unwrap()]);
    assert_ne!(again.code, Some(1), "{}{}", again.stdout, again.stderr);
    let expected = format!("rec:{item}: fail -> warn");
    assert!(again.stdout.contains(&expected), "{}", again.stdout);
    assert_eq!(again.items("fail"), Vec::<String>::new());
}

const ONE_CLIENT_CASE: &[&str] = &[
    "run",
    "--role",
    "client",
    "--csp",
    "1.2",
    "--filter",
    "id(IMPS-1.2-con-KALIVE-C-001)",
];

/// A copy of the cases in which one text stands for another.
fn changed_cases(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    common::copy_tree(&common::package_dir("cases"), dir.path());
    let path = dir.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    dir
}

/// What the client was never asked for it did not leave out.
#[test]
fn a_client_that_was_asked_for_something_else_is_not_to_blame() {
    let first = run(ONE_CLIENT_CASE);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    let cases = changed_cases(
        "session/client.yaml",
        "- stimulate: keep-alive\n",
        "- stimulate: poll\n",
    );
    let again = rejudged(&first, &["--cases", cases.path().to_str().unwrap()]);
    let expected = "the archive holds no answer to `poll`: the client was asked for `keep-alive` here";
    assert!(again.stdout.contains(expected), "{}", again.stdout);
    assert_eq!(again.items("fail"), Vec::<String>::new());
    assert_eq!(again.code, Some(5), "{}{}", again.stdout, again.stderr);
}

/// A case whose words changed is judged by the words of today.
#[test]
fn a_case_that_asks_another_question_gets_another_answer() {
    let first = run(ONE_CLIENT_CASE);
    let cases = changed_cases(
        "session/client.yaml",
        "\"on\": KeepAlive-Request\n",
        "\"on\": Polling-Request\n",
    );
    let again = rejudged(&first, &["--cases", cases.path().to_str().unwrap()]);
    assert!(
        again.stdout.contains("the client sent no Polling-Request"),
        "{}",
        again.stdout
    );
}

/// A message that the archive lost is none that the client left out; an archive of an older version does
/// not tell when a client was made to act.
#[test]
fn what_an_archive_does_not_tell_is_taken_over() {
    let first = run(ONE_CLIENT_CASE);
    let path = first.out.join("transcript.ndjson");
    let text = std::fs::read_to_string(&path).unwrap();
    let lost: String = text
        .split_inclusive('\n')
        .filter(|l| !(l.contains("\"event\":\"exchange\"") && l.contains("<KeepAlive-Request")))
        .collect();
    assert_ne!(lost, text);
    std::fs::write(&path, lost).unwrap();
    let again = rejudged(&first, &[]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.file("report.json").contains("is not in the archive"));

    let mut older = String::new();
    for line in text.lines() {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.remove("turns");
        fields.remove("moment");
        older.push_str(&format!("{value}\n"));
    }
    std::fs::write(&path, older).unwrap();
    let again = rejudged(&first, &[]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("nothing moved"), "{}", again.stdout);
    assert!(
        again.stdout.contains("as they were judged then"),
        "{}",
        again.stdout
    );
    assert_same_judgement(&first, &again);
}
