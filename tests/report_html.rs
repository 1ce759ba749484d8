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

/// Bodies that a friendly and a hostile peer sent, each with places in it, in one failing case.
fn marked() -> String {
    use imps::event::{CaseResult, CriterionResult, Event};
    use imps::message::Position;
    use imps::verdict::{Part, Place, Verdict};

    let transaction = |code: &str| {
        format!(
            "<Transaction><TransactionContent><Result><Code>{code}</Code></Result></TransactionContent></Transaction>"
        )
    };
    let two = format!(
        "<WV-CSP-Message><Session>{}{}<Password>hunter2&amp;co</Password></Session></WV-CSP-Message>",
        transaction("200"),
        transaction("999")
    );
    let hostile = "<WV-CSP-Message>\n<Session>\u{1b}[31m\u{202e}</pre><script>document.title = 'owned';</script>\n\
                   <img src=x onerror=\"document.title = 'owned'\">]]></mark>&amp;<Session></Wrong>\n<broken <!-- ";
    let id = fixture::case_id("IMPS-1.2-con-MARK-S-001");
    let criterion = |rule: &str, exchange: u32, path: &str, position: Option<(u32, u32)>| CriterionResult {
        item: fixture::item_id("CSP-KALIVE-S-001"),
        rule: rule.to_owned(),
        verdict: Verdict::Fail,
        text: format!("{rule} is wrong </pre><script>"),
        count: 1,
        places: vec![Place {
            exchange: Some(exchange),
            part: Some(Part::Response),
            path: path.to_owned(),
            position: position.map(|(line, column)| Position { line, column }),
        }],
    };
    let code = "/WV-CSP-Message/Session/Transaction[2]/TransactionContent/Result/Code";
    let mut criteria = vec![
        criterion("by path", 1, code, Some((1, 2))),
        criterion("nowhere", 1, "/WV-CSP-Message/Session/Status", None),
        criterion("behind a mask", 1, "", Some((1, 200))),
        criterion("hostile element", 2, "/WV-CSP-Message/Session/img", None),
        criterion("by line", 2, "", Some((4, 1))),
    ];
    criteria.push(CriterionResult {
        verdict: Verdict::Pass,
        rule: "evidence".to_owned(),
        ..criteria[0].clone()
    });
    let result = CaseResult {
        verdict: Verdict::Fail,
        scr: vec![fixture::item_id("CSP-KALIVE-S-001")],
        criteria,
        ..fixture::passed(&id)
    };
    let mut collector = imps::report::Collector::new(fixture::masker());
    let all = fixture::events_of(false);
    collector.on(&all[0]);
    for exchange in [fixture::exchange(1, "", &two), fixture::exchange(2, "", hostile)] {
        collector.on(&Event::Exchanged {
            case: id.clone(),
            version: result.version,
            exchange: exchange.into(),
            archived: None,
        });
    }
    collector.on(&Event::CaseFinished(result.into()));
    collector.on(all.last().unwrap());
    page(collector.report(), collector.exchanges()).unwrap()
}

#[test]
fn places_are_marked_and_linked_both_ways() {
    let page = marked();
    assert!(!page.contains("hunter2"), "masked where it is marked, too");
    let code = "<mark class=\"fail\" id=\"c1x1sm1\">&lt;Code&gt;999&lt;/Code&gt;</mark>";
    assert_eq!(page.matches(code).count(), 1, "{page}");
    for (mark, row) in [
        ("c1x1sm1", "c1k1"),
        ("c1x1sm1", "c1k6"),
        ("c1x2sm1", "c1k4"),
        ("c1x2sm2", "c1k5"),
    ] {
        assert!(
            page.contains(&format!("href=\"#{row}\"")),
            "{mark} leads to {row}"
        );
        let (_, cells) = page.split_once(&format!("<tr id=\"{row}\">")).unwrap();
        let (cells, _) = cells.split_once("</tr>").unwrap();
        assert!(
            cells.contains(&format!("href=\"#{mark}\"")),
            "{row} leads to {mark}: {cells}"
        );
    }
    assert!(page.contains("not marked: it is not in the text"));
    assert!(page.contains("not marked: masking moved its line and column"));
    assert_eq!(page.matches("<mark").count(), 3);
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
}

#[test]
fn a_text_that_repeats_stands_once() {
    use imps::event::Event;
    let body = format!("<A>{}</A>", "<B>the same</B>".repeat(40));
    let all = fixture::events_of(false);
    let mut collector = imps::report::Collector::new(fixture::masker());
    collector.on(&all[0]);
    for n in 0..3 {
        let id = fixture::case_id(&format!("IMPS-1.2-con-SAME-S-00{n}"));
        let result = fixture::passed(&id);
        collector.on(&Event::Exchanged {
            case: id,
            version: result.version,
            exchange: fixture::exchange(1, &body, "").into(),
            archived: None,
        });
        collector.on(&Event::CaseFinished(result.into()));
    }
    collector.on(all.last().unwrap());
    let page = page(collector.report(), collector.exchanges()).unwrap();
    assert_eq!(page.matches("the same&lt;").count(), 40);
    assert_eq!(
        page.matches("The same text as in case 1, exchange 1, request</a>")
            .count(),
        2
    );
}

/// Nothing waits for a script: only the controls, which need one, are hidden without it.
#[test]
fn the_page_reads_without_scripts() {
    let page = html(false);
    let (markup, _) = page.split_once("<script").unwrap();
    let (_, markup) = markup.split_once("</style>").unwrap();
    assert_eq!(markup.matches(" hidden>").count(), 1);
    assert!(markup.contains("id=\"controls\" role=\"search\" hidden>"));
}

#[test]
fn headings_stand_in_order() {
    for page in [html(true), marked()] {
        let mut last = 0;
        for at in page.match_indices("<h").map(|(at, _)| at) {
            let Some(level) = page[at + 2..].chars().next().and_then(|c| c.to_digit(10)) else {
                continue;
            };
            assert!(level <= last + 1, "h{level} after h{last}: {:.80}", &page[at..]);
            last = level;
        }
        assert_eq!(page.matches("<h1").count(), 1);
        assert_eq!(
            page.matches("<th>").count(),
            0,
            "each head says of what it is one"
        );
    }
}

/// A browser, if this machine has one; a test without it says so.
fn chromium() -> Option<PathBuf> {
    let found = program(&["chromium", "chromium-browser", "google-chrome"]);
    if found.is_none() {
        println!("skipped: no chromium on PATH");
    }
    found
}

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| names.iter().map(move |n| dir.join(n)))
        .find(|p| p.is_file())
}

/// Runs a browser of its own on a page, and gives what it printed.
fn browse(browser: &Path, arguments: &[&str], url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
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
        ])
        .args(arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What an expression comes to when it is asked on the page, once the page's own script has run.
fn ask(browser: &Path, page: &str, fragment: &str, expression: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.html");
    let asking = format!(
        "<script>(function () {{ var a = (function () {{ {expression} }}()); \
         document.documentElement.setAttribute('data-answer', '[' + a + ']'); }}());</script></body>"
    );
    std::fs::write(&file, page.replace("</body>", &asking)).unwrap();
    let url = format!("file://{}{fragment}", file.display());
    let dom = browse(browser, &["--dump-dom"], &url);
    let answer = dom
        .split_once("data-answer=\"[")
        .and_then(|(_, r)| r.split_once("]\""));
    answer
        .unwrap_or_else(|| panic!("no answer to {expression}: {dom:.600}"))
        .0
        .to_owned()
}

#[test]
fn a_browser_shows_the_page_without_sideways_scrolling() {
    let Some(browser) = chromium() else {
        return;
    };
    // The measure is taken in a frame of a phone's width: headless windows have a least width of
    // their own. Everything is unfolded first, for what is folded has no width.
    for page in [html(false), marked()] {
        let dir = tempfile::tempdir().unwrap();
        let measured = page.replace(
            "</body>",
            "<script>document.querySelectorAll('details').forEach(function (d) { d.open = true; });\
             parent.postMessage('width ' + document.documentElement.scrollWidth + ' of ' + \
             document.documentElement.clientWidth, '*');</script></body>",
        );
        std::fs::write(dir.path().join("index.html"), measured).unwrap();
        let frame = dir.path().join("frame.html");
        std::fs::write(
            &frame,
            "<!doctype html><title>x</title><p id=m>none</p><script>addEventListener('message', function (e) \
             { document.getElementById('m').textContent = e.data; });</script>\
             <iframe src=index.html style='width:375px;height:800px;border:0'></iframe>",
        )
        .unwrap();
        let dom = browse(&browser, &["--dump-dom"], &format!("file://{}", frame.display()));
        assert!(dom.contains("width 375 of 375"), "{dom:.400}");
    }
}

const VISIBLE: &str = "return Array.from(document.querySelectorAll('.item:not([hidden])')).map(function (r) \
                       { return r.id.slice(5); }).join() + ' | ' + document.getElementById('shown').textContent;";

#[test]
fn filters_stand_in_the_address_and_narrow_the_page() {
    let Some(browser) = chromium() else {
        return;
    };
    let page = html(true);
    let view = |fragment: &str| ask(&browser, &page, fragment, VISIBLE);
    assert!(
        view("").ends_with("| 11 of 11 items, 7 of 7 cases, 4 of 4 findings shown"),
        "{}",
        view("")
    );
    for (fragment, items, shown) in [
        (
            "#?verdict=fail",
            "CSP-KALIVE-S-001",
            "Filtered: 1 of 11 items, 1 of 7 cases, 1 of 4 findings shown",
        ),
        (
            "#?role=client",
            "CSP-CIR-C-001,CSP-ENV-C-001",
            "Filtered: 2 of 11 items, 1 of 7 cases, 0 of 4 findings shown",
        ),
        (
            "#?role=server&group=ENV",
            "CSP-ENV-S-002",
            "Filtered: 1 of 11 items, 0 of 7 cases, 1 of 4 findings shown",
        ),
        (
            "#?q=PASSWORD+login",
            "CSP-LOGINP-S-001",
            "Filtered: 1 of 11 items, 1 of 7 cases, 0 of 4 findings shown",
        ),
        (
            "#?q=nothing-has-this",
            "",
            "Filtered: 0 of 11 items, 0 of 7 cases, 0 of 4 findings shown",
        ),
        ("#?verdict=nonsense", "", ""),
    ] {
        let answer = view(fragment);
        if shown.is_empty() {
            assert!(!answer.contains("Filtered"), "{fragment}: {answer}");
        } else {
            assert_eq!(answer, format!("{items} | {shown}"), "{fragment}");
        }
    }
    // Typed into the page it ends in the address; a group with something in it unfolds.
    let typed = ask(
        &browser,
        &page,
        "",
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: '/' })); var q = document.activeElement; \
         q.value = 'blocking'; q.dispatchEvent(new Event('input')); return q.id + ' ' + location.hash + ' ' + \
         document.querySelectorAll('.group[open]:not([hidden])').length;",
    );
    assert_eq!(typed, "q #?q=blocking 1");
}

#[test]
fn a_browser_finds_the_marks_and_runs_nothing_of_a_peer() {
    let Some(browser) = chromium() else {
        return;
    };
    let page = marked();
    let answer = ask(
        &browser,
        &page,
        "#c1x1sm1",
        "var m = document.getElementById('c1x1sm1'), open = true; for (var e = m; e; e = e.parentElement) \
         { if (e.tagName === 'DETAILS') { open = open && e.open; } } \
         return [m.textContent, m.nextElementSibling.textContent.trim(), m.nextElementSibling.nextElementSibling.textContent, open].join(' | ');",
    );
    assert_eq!(
        answer,
        "&lt;Code&gt;999&lt;/Code&gt; | evidence 6 | fail 1 rec:CSP-KALIVE-S-001 by path: by path is wrong &lt;/pre&gt;&lt;script&gt; | true"
    );
    let answer = ask(
        &browser,
        &page,
        "",
        "return [document.images.length, document.querySelectorAll('pre script').length, /owned/.test(document.title), \
         document.getElementById('c1x2sm1').textContent, document.querySelectorAll('mark').length, \
         /owned.*broken <!-- /s.test(document.getElementById('cases').textContent)].join(' | ');",
    );
    assert_eq!(
        answer,
        "0 | 0 | false | &lt;img src=x onerror=&quot;document.title = 'owned'&quot;&gt; | 3 | true"
    );
    let first = ask(&browser, &html(true), "", "return document.title;");
    assert!(
        first.contains("SELF-TEST: client conformant, server not conformant"),
        "{first}"
    );
}

#[test]
fn print_has_the_verdict_on_its_first_page() {
    let Some(browser) = chromium() else {
        return;
    };
    let Some(pdftotext) = program(&["pdftotext"]) else {
        println!("skipped: no pdftotext on PATH");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.html");
    std::fs::write(&file, html(true)).unwrap();
    let print = |fragment: &str| -> Vec<String> {
        let pdf = dir.path().join("page.pdf");
        let to = format!("--print-to-pdf={}", pdf.display());
        let url = format!("file://{}{fragment}", file.display());
        browse(&browser, &["--no-pdf-header-footer", &to], &url);
        let text = Command::new(&pdftotext).arg(&pdf).arg("-").output().unwrap();
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        text.split_terminator('\u{c}').map(squeezed).collect()
    };
    let pages = print("");
    assert!(!pages.is_empty());
    for part in [
        "SELF-TEST of the embedded reference",
        "Server: not conformant",
        "Client: conformant",
        "tables 9f2c0e, cases 77ab10",
        "2024-05-17 09:30 UTC",
        "derived",
    ] {
        assert!(pages[0].contains(&squeezed(part)), "{part}: {}", pages[0]);
    }
    for (n, page) in pages.iter().enumerate() {
        assert!(
            page.contains(&format!("page{}of{}", n + 1, pages.len())),
            "{page}"
        );
        assert!(
            page.contains("embeddedreference"),
            "every sheet names its target: {page}"
        );
    }
    let all = pages.concat();
    assert!(
        all.contains(&squeezed("rec:CSP-LOGINP-S-001")),
        "folded groups are unfolded"
    );
    assert!(all.contains("Evidence:") && all.contains(&squeezed("step 2: Login-Response")));
    assert!(
        !all.contains(&squeezed("POST /csp")),
        "the exchanges are not for a certificate"
    );
    assert!(print("#?print=all").concat().contains(&squeezed("POST /csp")));
}

/// Without white space, since where a line breaks is the browser's affair, and without hyphens, which
/// `pdftotext` takes away from the end of a line.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}
