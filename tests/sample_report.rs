//! `reports/sample/` is what a run writes today, apart from times, ports and digests.
//! `UPDATE_SAMPLE=1` writes it anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A small run of both roles.
const ARGS: [&str; 8] = [
    "run",
    "--quiet",
    "--csp",
    "1.2",
    "--filter",
    "group(KALIVE)",
    "--jobs",
    "1",
];
const TIME: &str = "2000-01-01T00:00:00Z";
const DATE: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
const DIGEST: &str = "0000000000000000";

#[test]
fn the_sample_is_fresh() {
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_imps-scr"))
        .args(ARGS)
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
    let mut report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let started = report["started_at"].as_str().unwrap().to_owned();
    let digests = ["tables", "cases"].map(|name| report["suite"][name].as_str().unwrap().to_owned());
    redact(&mut report);
    let json = format!("{report:#}\n");
    let mut page = read("index.html").replace(&started, TIME);
    for written in [minutes, css_string] {
        page = page.replace(&written(&minutes(&started)), &written(&minutes(TIME)));
    }
    for digest in &digests {
        page = page.replace(digest, DIGEST);
    }
    let page = redact_page(&page);
    // The clock of such a run is virtual, what a millisecond is rounded to is not.
    let steady = |text: String| {
        (15_000..15_100).fold(text, |t, ms| {
            t.replace(&format!("after {ms} ms"), "after 15002 ms")
        })
    };
    let (json, page) = (steady(json), steady(page));

    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    for (name, text) in [("report.json", json), ("index.html", page)] {
        let path = sample.join(name);
        if std::env::var_os("UPDATE_SAMPLE").is_some() {
            fs::create_dir_all(&sample).unwrap();
            fs::write(&path, &text).unwrap();
            continue;
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let differs = committed.lines().zip(text.lines()).position(|(a, b)| a != b);
        assert!(
            committed == text,
            "reports/sample/{name} is not what a run writes (first at line {}); UPDATE_SAMPLE=1 cargo test \
             --test sample_report writes it anew",
            differs.map_or(committed.lines().count().min(text.lines().count()), |n| n) + 1
        );
    }
}

/// The committed report is one that the reader takes, and it says what it is.
#[test]
fn the_sample_is_a_report() {
    let text = include_str!("../reports/sample/report.json");
    let report = imps_scr::report::Report::read("report.json", text).unwrap();
    assert!(report.is_self_test());
    assert!(report.cases.iter().all(|c| !c.criteria.is_empty()));
}

/// The time as the page says it.
fn minutes(time: &str) -> String {
    match time.get(..16).and_then(|t| t.split_once('T')) {
        Some((day, minute)) => format!("{day} {minute} UTC"),
        None => time.to_owned(),
    }
}

/// The same in the margin of a printed page.
fn css_string(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_string(),
            c => format!("\\{:x} ", c as u32),
        })
        .collect()
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match key.as_str() {
                    "started_at" => *value = TIME.into(),
                    "duration_ms" | "waited_ms" => *value = 0.into(),
                    "suite" => {
                        value["tables"] = DIGEST.into();
                        value["cases"] = DIGEST.into();
                    }
                    _ => redact(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(redact),
        Value::String(text) => *text = redact_ports(text),
        _ => {}
    }
}

fn redact_page(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    for line in redact_ports(&redact_milliseconds(page)).split_inclusive('\n') {
        match line
            .strip_prefix("date: ")
            .and_then(|rest| rest.split_once("GMT"))
        {
            Some((_, rest)) => out.push_str(&format!("date: {DATE}{rest}")),
            None => out.push_str(line),
        }
    }
    out
}

/// `12 ms` → `0 ms`
fn redact_milliseconds(text: &str) -> String {
    let mut parts = text.split(" ms");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = out.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if number < out.len() {
            out.truncate(number);
            out.push('0');
        }
        out.push_str(" ms");
        out.push_str(part);
    }
    out
}

/// `127.0.0.1:43781` → `127.0.0.1:0`
fn redact_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(HOST);
        out.push('0');
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
