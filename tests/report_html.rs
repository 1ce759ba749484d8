//! What crosses the outputs: no text of a peer gets through unescaped, no secret gets through at
//! all, the page needs nothing from outside, and the schema fits what is written.

use imps_scr as imps;

#[path = "../src/report/fixture.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;

use imps::event::Subscriber as _;
use imps::report::{Detail, Terminal, Transcript, explain_case, explain_item, junit, page, schema, to_json};
use serde_json::Value;

fn html(embedded: bool) -> String {
    let collector = fixture::collected(embedded);
    page(collector.report(), collector.exchanges()).unwrap()
}

fn terminal(embedded: bool) -> String {
    Terminal {
        detail: Detail::Verbose,
        ..Terminal::default()
    }
    .text(fixture::collected(embedded).report())
}

fn transcript(embedded: bool) -> String {
    let mut out = Vec::new();
    let mut writer = Transcript::new(&mut out, fixture::masker());
    for event in fixture::events_of(embedded) {
        writer.on(&event);
    }
    writer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

fn explained(embedded: bool) -> String {
    let collector = fixture::collected(embedded);
    let report = collector.report();
    let cases = report
        .cases
        .iter()
        .filter_map(|c| explain_case(report, c.id.as_str()));
    let items = report
        .items
        .iter()
        .filter_map(|i| explain_item(report, i.id.as_str()));
    cases.chain(items).collect()
}

/// Every output of the fixture by name.
fn outputs(embedded: bool) -> Vec<(&'static str, String)> {
    let collector = fixture::collected(embedded);
    vec![
        ("report.json", to_json(collector.report())),
        ("junit.xml", junit(collector.report()).unwrap()),
        ("index.html", html(embedded)),
        ("transcript.ndjson", transcript(embedded)),
        ("terminal", terminal(embedded)),
        ("explain", explained(embedded)),
    ]
}

#[test]
fn the_page_loads_nothing() {
    let page = html(false);
    for forbidden in [
        "<script src",
        "<link rel=\"stylesheet",
        "@import",
        "url(",
        "src=\"http",
        "href=\"http",
        "<iframe",
        "<img",
        "<object",
        "<base",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
    assert_eq!(page.matches("<script").count(), 1);
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    for (name, text) in outputs(false) {
        assert!(!text.contains('\u{1b}'), "{name}: an escape sequence");
        if name == "report.json" || name == "transcript.ndjson" {
            continue;
        }
        assert!(!text.contains('\u{202e}'), "{name}: a bidirectional override");
        assert!(text.contains("alert(1)"), "{name}: the text itself is shown");
        if name == "index.html" || name == "junit.xml" {
            for raw in ["<script>alert", "<img", "]]>", "\"><img"] {
                assert!(!text.contains(raw), "{name}: {raw}");
            }
        }
    }
    assert!(html(false).contains("{{7*7}}"), "text is data, not a template");
}

#[test]
fn no_secret_gets_out() {
    for embedded in [true, false] {
        for (name, text) in outputs(embedded) {
            for secret in ["hunter2", "tiger", "sid=1", "aHVudGVyMiZjbw"] {
                assert!(!text.contains(secret), "{name}: {secret}");
            }
        }
    }
}

#[test]
fn a_self_test_says_so_first_and_last() {
    use imps::report::SELF_TEST;
    for (name, text) in outputs(true) {
        let first = text.find(SELF_TEST).unwrap_or_else(|| panic!("{name}"));
        let last = text.rfind(SELF_TEST).unwrap();
        assert!(last > first, "{name}");
        if name == "terminal" {
            assert!(text.starts_with(SELF_TEST) && text.trim_end().ends_with(SELF_TEST));
        }
    }
    for (name, text) in outputs(false) {
        assert!(!text.contains("SELF-TEST"), "{name}");
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/report.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema(),
        "reports/report.schema.json is stale: run `UPDATE_SCHEMA=1 cargo test --test report_html`, \
         and think of the promise in reports/README.md"
    );
}

#[test]
fn reports_fit_their_schema() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for embedded in [true, false] {
        let report: Value = serde_json::from_str(&to_json(fixture::collected(embedded).report())).unwrap();
        let mut problems = Vec::new();
        fits(&schema, &schema, &report, "", &mut problems);
        assert!(problems.is_empty(), "{problems:#?}");
    }
    let mut broken: Value = serde_json::from_str(&to_json(fixture::collected(true).report())).unwrap();
    broken["items"][0]["verdict"] = "maybe".into();
    broken.as_object_mut().unwrap().remove("seed");
    broken["more"] = true.into();
    let mut problems = Vec::new();
    fits(&schema, &schema, &broken, "", &mut problems);
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

/// As much of JSON schema as the report uses; an unknown keyword is a problem of its own, so that
/// nothing is taken for checked that was not.
fn fits(root: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        return;
    };
    let ok = |s: &Value| {
        let mut inner = Vec::new();
        fits(root, s, value, at, &mut inner);
        inner.is_empty()
    };
    for (keyword, rule) in rules {
        let good = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "default" | "pattern" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                fits(root, root.pointer(pointer).unwrap(), value, at, problems);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "anyOf" | "oneOf" => rule.as_array().unwrap().iter().any(ok),
            "type" => match rule {
                Value::String(one) => is_type(value, one),
                many => many
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|t| is_type(value, t.as_str().unwrap())),
            },
            "minimum" => value.as_u64().is_none_or(|v| v as f64 >= rule.as_f64().unwrap()),
            "maximum" => value.as_u64().is_none_or(|v| v as f64 <= rule.as_f64().unwrap()),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(root, rule, item, &format!("{at}[{n}]"), problems);
                }
                true
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        fits(root, rule, inner, &format!("{at}.{key}"), problems);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                let strange: Vec<&String> = value
                    .as_object()
                    .into_iter()
                    .flat_map(|o| o.keys())
                    .filter(|k| known.is_none_or(|p| !p.contains_key(*k)))
                    .collect();
                match rule {
                    Value::Bool(allowed) => *allowed || strange.is_empty(),
                    rule => {
                        for key in strange {
                            fits(root, rule, &value[key], &format!("{at}.{key}"), problems);
                        }
                        true
                    }
                }
            }
            _ => false,
        };
        if !good {
            problems.push(format!("{at}: `{keyword}` {rule} against {value:.80}"));
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// A browser, if this machine has one.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| ["chromium", "chromium-browser", "google-chrome"].map(|n| dir.join(n)))
        .find(|p| p.is_file())
}

#[test]
fn a_browser_shows_the_page_without_sideways_scrolling() {
    let Some(browser) = chromium() else {
        println!("skipped: no chromium on PATH");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    // The measure is taken in a frame of a phone's width: headless windows have a least width of
    // their own. Everything is unfolded first, for what is folded has no width.
    let measured = html(false).replace(
        "</body>",
        "<script>document.querySelectorAll('details').forEach(function (d) { d.open = true; });\
         document.title = 'width ' + document.documentElement.scrollWidth + ' of ' + document.documentElement.clientWidth;\
         if (parent !== window) { parent.postMessage(document.title, '*'); }</script></body>",
    );
    let file = dir.path().join("index.html");
    std::fs::write(&file, measured).unwrap();
    let frame = dir.path().join("frame.html");
    std::fs::write(
        &frame,
        "<!doctype html><title>x</title><p id=m>none</p><script>addEventListener('message', function (e) \
         { document.getElementById('m').textContent = e.data; });</script>\
         <iframe src=index.html style='width:375px;height:800px;border:0'></iframe>",
    )
    .unwrap();
    let dom = dump_dom(&browser, dir.path(), &file);
    assert!(dom.contains("server: not conformant"), "the verdict is there");
    assert!(!dom.contains("<img"), "no text became markup");
    assert!(
        !dom.contains("id=\"controls\" hidden"),
        "the page's own script ran"
    );
    let dom = dump_dom(&browser, dir.path(), &frame);
    assert!(dom.contains("width 375 of 375"), "{dom:.400}");
}

fn dump_dom(browser: &Path, dir: &Path, file: &Path) -> String {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=800,900",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
