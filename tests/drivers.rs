//! A client under test that is made to act: by the reference as a driver, by drivers that misbehave, by
//! the sample of the guide, and by a person who answers on standard input.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Finished, Running, binary, run};

/// Timers for a client on the same machine: nothing is slow but what is silent on purpose.
const TIMERS: &str = "timers: {quiet: 60ms, response: 700ms, command: 5s}";

fn reference() -> String {
    format!("{} reference client", env!("CARGO_BIN_EXE_imps-scr"))
}

/// Runs the client cases of a filter with a driver.
fn driven(driver: &str, filter: &str, timers: &str) -> Finished {
    driven_in(&["1.1", "1.2"], driver, filter, timers)
}

/// The same in some versions only.
fn driven_in(versions: &[&str], driver: &str, filter: &str, timers: &str) -> Finished {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("client.yaml");
    fs::write(
        &profile,
        format!(
            "name: a client\nrole: client\nlisten: 127.0.0.1:0\ncsp: [\"{}\"]\n{timers}\n",
            versions.join("\", \"")
        ),
    )
    .unwrap();
    let profile = profile.to_str().unwrap().to_owned();
    let args = [
        "run",
        "--profile",
        &profile,
        "--driver",
        driver,
        "--filter",
        filter,
    ];
    let finished = Running::start(dir, &args).wait(None);
    common::assert_judged_again(&finished.out);
    finished
}

fn reasons(finished: &Finished) -> Vec<String> {
    let report = finished.report();
    let cases = report["cases"].as_array().unwrap();
    cases
        .iter()
        .map(|c| c["reason"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_reference_client_passes_every_written_case() {
    // Each waits for silence in earnest, some of them often: one version is enough here.
    let finished = driven_in(&["1.2"], &reference(), "role(client) - tag(generated)", TIMERS);
    let verdicts = finished.case_verdicts();
    assert!(verdicts.len() >= 20, "{verdicts:?}");
    let bad: Vec<_> = verdicts.iter().filter(|(_, v)| *v != "pass").collect();
    assert!(bad.is_empty(), "{bad:?}\n{}", finished.stdout);
    for verdict in ["fail", "warn", "error"] {
        assert_eq!(finished.items(verdict), Vec::<String>::new(), "{verdict}");
    }
    assert!(!finished.file("transcript.ndjson").contains("reference-password"));
}

/// Without a profile the accounts are those of the reference, the address is one of loopback.
#[test]
fn no_profile_is_needed() {
    let driver = reference();
    let filter = "id(IMPS-1.2-con-KALIVE-C-001)";
    let finished = run(&[
        "run",
        "--role",
        "client",
        "--listen",
        "127.0.0.1:0",
        "--csp",
        "1.2",
        "--driver",
        &driver,
        "--filter",
        filter,
    ]);
    let verdicts = finished.case_verdicts();
    assert_eq!(
        verdicts.values().collect::<Vec<_>>(),
        ["pass"],
        "{}",
        finished.stdout
    );
}

#[test]
fn a_fault_of_the_driven_client_fails_its_items() {
    for (fault, filter, item) in [
        ("client-ignores-poll", "item(CSP-POLL-C-002)", "CSP-POLL-C-002"),
        ("client-no-cookie", "item(CSP-LOGINP-C-001)", "CSP-ENV-C-004"),
        (
            "client-session-after-logout",
            "item(CSP-LOGOUT-C-002)",
            "CSP-LOGOUT-C-002",
        ),
    ] {
        let driver = format!("{} --fault {fault}", reference());
        let finished = driven(&driver, filter, TIMERS);
        assert_eq!(finished.code, Some(1), "{fault}: {}", finished.stdout);
        let failed = finished.items("fail");
        assert!(
            failed.iter().all(|f| f.contains(item)) && failed.len() == 1,
            "{fault}: {failed:?}"
        );
    }
}

#[test]
fn a_driver_that_misbehaves_is_named_and_nobody_fails() {
    let hello = r#"echo '{"type":"hello","protocol":"imps-scr/driver/1","name":"x","commands":["login","keep-alive"]}'"#;
    let cases: &[(&str, String, &str)] = &[
        (
            "no such program",
            "/nonexistent/driver".into(),
            "cannot be started",
        ),
        ("silent", "sleep 60".into(), "did not say hello within"),
        (
            "ends at once",
            "sh -c 'echo no battery >&2; exit 3'".into(),
            "no battery",
        ),
        ("garbage", "echo hello".into(), "no message of the protocol"),
        (
            "a newer protocol",
            script(
                r#"echo '{"type":"hello","protocol":"imps-scr/driver/2","name":"x","commands":[]}'; sleep 60"#,
            ),
            "imps-scr/driver/2",
        ),
        (
            "hangs",
            script(&format!("{hello}; sleep 60")),
            "did not answer `configure` within",
        ),
        (
            "ends in the middle",
            script(&format!("{hello}; read a; read b; exit 4")),
            "the driver ended (exit status: 4)",
        ),
        (
            "unknown id",
            script(&format!(
                r#"{hello}; echo '{{"type":"done","id":77,"result":"ok"}}'; sleep 60"#
            )),
            "answered order 77",
        ),
        (
            "a line without end",
            script(&format!(
                "{hello}; head -c 200000 /dev/zero | tr '\\0' x; sleep 60"
            )),
            "MAX_DRIVER_LINE",
        ),
        (
            "a flood",
            script(&format!(
                r#"{hello}; while :; do echo '{{"type":"event","event":"x"}}'; done"#
            )),
            "MAX_DRIVER_LINES",
        ),
        (
            "deaf",
            script(&format!("exec 0<&-; {hello}; sleep 60")),
            "closed its standard input",
        ),
    ];
    std::thread::scope(|scope| {
        for (name, driver, expected) in cases {
            scope.spawn(move || {
                let timers = "timers: {quiet: 50ms, response: 300ms, command: 1500ms}";
                let finished = driven(driver, "id(IMPS-1.2-con-KALIVE-C-001)", timers);
                let all = format!("{}{}", finished.stdout, finished.stderr);
                assert!(all.contains(expected), "{name}: {all}");
                assert_eq!(finished.items("fail"), Vec::<String>::new(), "{name}");
                assert_eq!(finished.items("error"), Vec::<String>::new(), "{name}");
                assert!(reasons(&finished).iter().all(|r| !r.is_empty()), "{name}");
            });
        }
    });
}

/// A shell script as a driver: the suite itself starts no shell.
fn script(text: &str) -> String {
    format!("sh -c {}", quoted(text))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn a_driver_that_dies_is_started_again_twice() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let text = format!(
        "echo x >> {}; exec {}",
        count.display(),
        // Serves configure and reset, and dies of the first order.
        r#"sh -c 'echo "{\"type\":\"hello\",\"protocol\":\"imps-scr/driver/1\",\"name\":\"x\",\"commands\":[\"login\"]}"
            while read -r line; do case "$line" in
                *\"login\"*) exit 9;;
                *\"do\"*) id=${line#*\"id\":}; echo "{\"type\":\"done\",\"id\":${id%%,*},\"result\":\"ok\"}";;
            esac; done'"#
    );
    let finished = driven(&script(&text), "role(client) - tag(generated)", TIMERS);
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 3);
    let reasons = reasons(&finished);
    let died = reasons.iter().filter(|r| r.contains("the driver ended")).count();
    assert!(died >= 3, "{reasons:?}");
    assert!(
        reasons
            .iter()
            .any(|r| r.contains("nobody makes the client act any more")),
        "{reasons:?}"
    );
    assert_eq!(finished.items("fail"), Vec::<String>::new());
    assert_ne!(finished.code, Some(0));
}

#[test]
fn the_driver_is_gone_when_the_run_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let hello = r#"echo '{"type":"hello","protocol":"imps-scr/driver/1","name":"x","commands":[]}'"#;
    let text = format!("sleep 300 & echo $! > {}; {hello}; wait", pid_file.display());
    let driver = script(&text);
    let args = ["run", "--role", "client", "--driver", &driver];
    let running = Running::start(tempfile::tempdir().unwrap(), &args);
    let pid = loop {
        match fs::read_to_string(&pid_file) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    running.signal("INT");
    let finished = running.wait(None);
    assert_eq!(finished.code, Some(130));
    // What the driver started belongs to it.
    let gone = (0..100).any(|_| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let gone = state.is_empty() || state.contains(") Z ");
        if !gone {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        gone
    });
    assert!(gone, "process {pid} still runs");
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    for args in [
        &["run", "--driver", "x", "--target", "http://127.0.0.1:1/"][..],
        &["run", "--driver", "x", "--prompt"],
        &["run", "--driver", "x", "--wait", "3"],
        &["run", "--prompt"],
        &["run", "--prompt", "--listen", "127.0.0.1:0", "--role", "server"],
        &["run", "--driver", "'x"],
        &["run", "--driver", ""],
    ] {
        let done = binary().args(args).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{args:?}");
    }
}

/// The code of the guide; none, with a printed reason, where there is no Python to run it.
fn sample() -> Option<String> {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|p| p.status.success()) {
        println!("skipped: there is no python3");
        return None;
    }
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/DRIVERS.md")).unwrap();
    let (_, rest) = guide.split_once("```python\n").unwrap();
    let (code, _) = rest.split_once("```").unwrap();
    Some(code.to_owned())
}

/// The sample of the guide, extracted and run.
#[test]
fn the_sample_driver_of_the_guide_works() {
    let Some(code) = sample() else { return };
    assert!(code.lines().count() <= 75, "the sample is to be short");
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("driver.py");
    fs::write(&path, code).unwrap();
    let driver = format!("python3 {}", path.display());
    let finished = driven(&driver, &of_the_sample(), TIMERS);
    for verdict in ["fail", "warn", "error"] {
        assert_eq!(
            finished.items(verdict),
            Vec::<String>::new(),
            "{}",
            finished.stdout
        );
    }
    assert_passed(&finished, &["1.1", "1.2"]);
    let unsupported = reasons(&finished);
    assert!(
        unsupported.iter().any(|r| r.contains("login-digest")),
        "{unsupported:?}"
    );
}

/// The cases that the sample supports.
const SUPPORTED: [&str; 10] = [
    "LOGINP-C-001",
    "LOGIN-C-001",
    "KALIVE-C-001",
    "KALIVE-C-002",
    "POLL-C-001",
    "POLL-C-002",
    "STATUS-C-001",
    "LOGOUT-C-001",
    "SESS-C-001",
    "DISCO-C-001",
];

/// These, and one that needs what it does not have.
fn of_the_sample() -> String {
    let ids: Vec<String> = SUPPORTED.iter().map(|id| format!("id(*-con-{id})")).collect();
    format!("{} | id(*-con-LOGIND-C-001)", ids.join(" | "))
}

fn assert_passed(finished: &Finished, versions: &[&str]) {
    let verdicts = finished.case_verdicts();
    for case in SUPPORTED {
        for version in versions {
            let key = (format!("IMPS-1.2-con-{case}"), (*version).to_owned());
            let found = verdicts.get(&key).map(String::as_str);
            assert_eq!(found, Some("pass"), "{key:?}\n{}", finished.stdout);
        }
    }
}

/// A client with a life of its own: it polls all the time, comes back by itself when its session is ended,
/// and does what it is told only after the driver has said that it is done. Nobody is blamed for that.
#[test]
fn a_client_with_a_life_of_its_own_is_not_blamed() {
    let Some(code) = sample() else { return };
    let code = code
        .replace(
            "for line in sys.stdin:",
            "import threading, time\n\
             lock = threading.RLock()\n\
             def later(order):\n\
             \x20   time.sleep(0.1)\n\
             \x20   with lock: do(order)\n\
             def live():\n\
             \x20   while True:\n\
             \x20       time.sleep(0.04)\n\
             \x20       with lock:\n\
             \x20           if session: send(request('<Polling-Request/>', ''))\n\
             threading.Thread(target=live, daemon=True).start()\n\
             for line in sys.stdin:",
        )
        .replace(
            "        say(type=\"done\", id=order[\"id\"], **do(order))",
            "        if order['command'] in ('configure', 'reset'):\n\
             \x20           with lock: say(type='done', id=order['id'], **do(order))\n\
             \x20       else:\n\
             \x20           threading.Thread(target=later, args=(order,), daemon=True).start()\n\
             \x20           say(type='done', id=order['id'], result='ok')\n\
             \x20           say(type='event', event='told the client')",
        )
        .replace(
            "        session = None\n    asked",
            "        session = None\n    if 'Polling' not in body and re.search('<Code>604<', answer):\n\
             \x20       do({'command': 'login'})\n    asked",
        );
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("driver.py");
    fs::write(&path, code).unwrap();
    let driver = format!("python3 {}", path.display());
    let profile = dir.path().join("client.yaml");
    fs::write(
        &profile,
        format!("name: lively\nrole: client\nlisten: 127.0.0.1:0\ncsp: 1.2\n{TIMERS}\ndriver: {driver}\n"),
    )
    .unwrap();
    let profile = profile.to_str().unwrap().to_owned();
    let finished =
        Running::start(dir, &["run", "--profile", &profile, "--filter", &of_the_sample()]).wait(None);
    for verdict in ["fail", "warn", "error"] {
        assert_eq!(
            finished.items(verdict),
            Vec::<String>::new(),
            "{}",
            finished.stdout
        );
    }
    assert_passed(&finished, &["1.2"]);
    assert!(
        finished.stdout.contains("driver: told the client"),
        "{}",
        finished.stdout
    );
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/driver.schema.json");
    let schema = imps_scr::run::driver_protocol::schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "cases/driver.schema.json is stale: run `UPDATE_SCHEMA=1 cargo test --test drivers`"
    );
}

/// A driven run that was killed goes on: what is left is run, and the whole is as if it had not been.
#[test]
fn a_killed_run_of_a_driver_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let driver = format!("{} reference client", env!("CARGO_BIN_EXE_imps-scr"));
    let command = |more: &[&str]| {
        let mut command = common::binary();
        command
            .args(["run", "--role", "client", "--csp", "1.2", "--driver", &driver])
            .args([
                "--filter",
                "group(LOGINP) | group(LOGIN) | group(KALIVE) - tag(time)",
            ])
            .args(more)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    };
    let transcript = out.join("transcript.ndjson");
    let finished = || {
        let text = std::fs::read_to_string(&transcript).unwrap_or_default();
        text.matches("\"event\":\"case-finished\"").count()
    };
    let mut child = command(&["--out", out.to_str().unwrap()]).spawn().unwrap();
    while finished() == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = finished();
    let code = command(&["--resume", out.to_str().unwrap()])
        .status()
        .unwrap()
        .code();
    assert_eq!(code, Some(0), "everything selected passes");
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = report["cases"].as_array().unwrap();
    assert!(cases.len() > before, "{} cases", cases.len());
    assert!(
        cases.iter().all(|c| c["verdict"] == "pass"),
        "{}",
        report["findings"]
    );
}
