//! `index.html`: one page that needs nothing else. The template escapes every value; control and
//! bidirectional characters are made visible here first, since HTML escaping lets them through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use base64::Engine as _;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, context};
use serde::Serialize;

use super::collector::KeptExchanges;
use super::model::{Case, Criterion, Item, Report};
use super::shown::{ShownBody, ShownExchange, ShownMessage};
use super::terminal::counts_line;
use super::words::{counted, group_of, item_severity, place, plural};
use super::{RECONSTRUCTED, SELF_TEST};
use crate::base::escape::{lines, plain, shorten};
use crate::base::{CaseId, ItemId};
use crate::spec::{Basis, Version};
use crate::verdict::{Conformance, ItemVerdict, Place, Verdict};

/// Most findings in the list on top; each also stands in its case.
const MAX_FINDINGS: usize = 1_000;
/// Most octets of a binary body that are dumped; a dump takes five characters an octet.
const MAX_DUMP: usize = 2 * 1024;
/// Deepest indentation of a message that is shown with line breaks.
const MAX_INDENT: usize = 20;
/// Longest text of one cell, in characters.
const MAX_CELL: usize = 2_000;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_keep_trailing_newline(true);
    // A template that does not parse shows as a missing one in the result of `page`.
    let _ = env.add_template("index.html", include_str!("template.html"));
    env
});

/// The page.
///
/// # Errors
/// Only if the template is broken, which a test excludes.
pub fn page(
    report: &Report,
    exchanges: &BTreeMap<(CaseId, Version), KeptExchanges>,
) -> Result<String, Error> {
    let anchors = anchors(report);
    TEMPLATES.get_template("index.html")?.render(context! {
        self_test => report.is_self_test().then_some(SELF_TEST),
        reconstructed => RECONSTRUCTED.replace('`', ""),
        title => safe(&report.target.name),
        roles => roles(report),
        facts => facts(report),
        unreachable => report.unreachable.as_deref().map(safe),
        interrupted => report.interrupted,
        caveats => report.caveats.iter().map(|c| safe(c)).collect::<Vec<_>>(),
        notices => report.notices.iter().map(|n| safe(n)).collect::<Vec<_>>(),
        item_counts => counts(&report.summary.items),
        case_counts => counts(&report.summary.cases),
        findings => findings(report, &anchors),
        findings_left => report.findings.len().saturating_sub(MAX_FINDINGS),
        findings_all => report.findings.len(),
        bases => Basis::ALL.iter().map(|b| (b.as_str(), b.meaning(), strength(*b))).collect::<Vec<_>>(),
        groups => groups(report, &anchors),
        cases => cases(report, exchanges, &anchors),
    })
}

#[derive(Serialize)]
struct RoleView {
    role: &'static str,
    word: &'static str,
    class: &'static str,
    line: String,
}

fn roles(report: &Report) -> Vec<RoleView> {
    report
        .roles
        .iter()
        .map(|role| {
            let conformance = report.conformance_of(*role);
            RoleView {
                role: role.as_str(),
                word: conformance.as_str(),
                class: match conformance {
                    Conformance::Conformant => "pass",
                    Conformance::NotConformant => "fail",
                    Conformance::NotDetermined => "inconc",
                },
                line: counts_line(report, *role),
            }
        })
        .collect()
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let join = |words: Vec<&str>| words.join(", ");
    let or = |text: &str, other: &str| safe(if text.is_empty() { other } else { text });
    vec![
        ("Target", safe(&report.target.name)),
        ("Address", or(&report.target.address, "none, inside this program")),
        ("Roles", join(report.roles.iter().map(|r| r.as_str()).collect())),
        ("CSP", join(report.versions.iter().map(|v| v.as_str()).collect())),
        ("Encoding", report.encoding.as_str().to_owned()),
        ("Claims", safe(&report.claims)),
        ("Filter", or(&report.filter, "none")),
        ("Seed", report.seed.to_string()),
        ("Started", safe(&report.started_at)),
        ("Duration", format!("{} ms", report.duration_ms)),
        ("Suite", format!("imps-scr {}", safe(&report.suite.version))),
        (
            "Digests",
            format!(
                "tables {}, cases {}",
                safe(&report.suite.tables),
                safe(&report.suite.cases)
            ),
        ),
    ]
}

fn counts<V: std::fmt::Display>(counts: &BTreeMap<V, usize>) -> Vec<(String, usize)> {
    counts.iter().map(|(v, n)| (v.to_string(), *n)).collect()
}

/// What a breach of an item of this basis costs, in words.
fn strength(basis: Basis) -> &'static str {
    match basis {
        Basis::Spec | Basis::Two => "must: a breach fails",
        Basis::One => "should: a breach warns",
        Basis::Infer => {
            "should: a breach warns, unless it changes meaning, opens a hole or loses content: then it fails"
        }
        Basis::Open => "note: every known reading passes",
    }
}

/// A case id may have run in several versions; each has an anchor of its own.
fn anchors(report: &Report) -> Vec<String> {
    report
        .cases
        .iter()
        .map(|case| anchor_of(&case.id, case.csp))
        .collect()
}

fn anchor_of(id: &CaseId, version: Version) -> String {
    format!("case-{id}~{version}")
}

#[derive(Serialize)]
struct Link {
    text: String,
    /// Empty when the page has nothing to link to.
    anchor: String,
}

/// A link to a case in one version, or to its first run when the version does not matter.
fn case_link(id: &CaseId, version: Option<Version>, anchors: &[String]) -> Link {
    let wanted = match version {
        Some(version) => anchor_of(id, version),
        None => format!("case-{id}~"),
    };
    Link {
        text: version.map_or_else(|| id.to_string(), |v| format!("{id} (CSP {v})")),
        anchor: anchors
            .iter()
            .find(|a| a.starts_with(&wanted))
            .cloned()
            .unwrap_or_default(),
    }
}

fn item_link(report: &Report, id: &ItemId) -> Link {
    Link {
        text: report.marked(id),
        anchor: report
            .item(id.as_str())
            .map(|i| format!("item-{}", i.id))
            .unwrap_or_default(),
    }
}

#[derive(Serialize)]
struct FindingView {
    verdict: &'static str,
    item: Link,
    case: Link,
    rule: String,
    text: String,
    count: usize,
    place: String,
}

fn findings(report: &Report, anchors: &[String]) -> Vec<FindingView> {
    report
        .findings
        .iter()
        .take(MAX_FINDINGS)
        .map(|f| FindingView {
            verdict: f.verdict.as_str(),
            item: item_link(report, &f.item),
            case: case_link(&f.case, Some(f.csp), anchors),
            rule: safe(&f.rule),
            text: safe(&f.text),
            count: f.count,
            place: f.place.as_ref().map(|p| safe(&place(p))).unwrap_or_default(),
        })
        .collect()
}

#[derive(Serialize)]
struct GroupView {
    code: String,
    worst: &'static str,
    line: String,
    /// Groups that somebody has to look at are unfolded from the start.
    open: bool,
    items: Vec<ItemView>,
}

#[derive(Serialize)]
struct ItemView {
    id: String,
    anchor: String,
    role: &'static str,
    status: &'static str,
    basis: &'static str,
    meaning: &'static str,
    feature: String,
    claimed: bool,
    verdict: &'static str,
    reason: String,
    cases: Vec<Link>,
}

fn groups(report: &Report, anchors: &[String]) -> Vec<GroupView> {
    let mut groups: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in &report.items {
        groups.entry(group_of(item.id.as_str())).or_default().push(item);
    }
    groups
        .into_iter()
        .map(|(code, items)| {
            let mut tally: BTreeMap<ItemVerdict, usize> = BTreeMap::new();
            for item in &items {
                *tally.entry(item.verdict).or_default() += 1;
            }
            let worst = items
                .iter()
                .map(|i| i.verdict)
                .max_by_key(|v| item_severity(*v))
                .unwrap_or(ItemVerdict::Na);
            GroupView {
                code: code.to_owned(),
                worst: worst.as_str(),
                line: format!("{}: {}", plural(items.len(), "item"), counted(&tally)),
                open: matches!(worst, ItemVerdict::Fail | ItemVerdict::Error),
                items: items.into_iter().map(|i| item_view(report, i, anchors)).collect(),
            }
        })
        .collect()
}

fn item_view(report: &Report, item: &Item, anchors: &[String]) -> ItemView {
    ItemView {
        id: report.marked(&item.id),
        anchor: format!("item-{}", item.id),
        role: item.role.as_str(),
        status: item.status.as_str(),
        basis: item.basis.as_str(),
        meaning: item.basis.meaning(),
        feature: safe(&item.feature),
        claimed: item.claimed,
        verdict: item.verdict.as_str(),
        reason: safe(&item.reason),
        cases: item.cases.iter().map(|c| case_link(c, None, anchors)).collect(),
    }
}

#[derive(Serialize)]
struct CaseView {
    id: String,
    anchor: String,
    title: String,
    role: &'static str,
    csp: &'static str,
    encoding: &'static str,
    verdict: &'static str,
    reason: String,
    duration_ms: u64,
    scr: Vec<Link>,
    criteria: Vec<CriterionView>,
    asides: Vec<String>,
    silence: Vec<String>,
    exchanges: Vec<ExchangeView>,
    left_out: usize,
}

#[derive(Serialize)]
struct CriterionView {
    verdict: &'static str,
    item: Link,
    rule: String,
    kind: &'static str,
    text: String,
    count: usize,
    places: Vec<Link>,
}

fn cases(
    report: &Report,
    exchanges: &BTreeMap<(CaseId, Version), KeptExchanges>,
    anchors: &[String],
) -> Vec<CaseView> {
    report
        .cases
        .iter()
        .zip(anchors)
        .map(|(case, anchor)| {
            let kept = exchanges.get(&(case.id.clone(), case.csp));
            let shown = kept.map_or(&[][..], |k| &k.exchanges);
            let numbers: BTreeSet<u32> = shown.iter().map(|e| e.number).collect();
            CaseView {
                id: case.id.to_string(),
                anchor: anchor.clone(),
                title: safe(&case.title),
                role: case.role.as_str(),
                csp: case.csp.as_str(),
                encoding: case.encoding.as_str(),
                verdict: case.verdict.as_str(),
                reason: safe(&case.reason),
                duration_ms: case.duration_ms,
                scr: case.scr.iter().map(|i| item_link(report, i)).collect(),
                criteria: criteria(report, case, anchor, &numbers),
                asides: asides(report, case),
                silence: case
                    .silence
                    .iter()
                    .map(|s| {
                        format!(
                            "{}: proven by {}, waited {} ms",
                            safe(&s.of),
                            safe(&s.proof),
                            s.waited_ms
                        )
                    })
                    .collect(),
                exchanges: shown.iter().map(|e| exchange_view(e, anchor)).collect(),
                left_out: kept.map_or(0, |k| k.left_out),
            }
        })
        .collect()
}

/// A general rule that passed in a case about something else: a line is enough, or the page of a whole
/// run would be mostly these.
fn is_aside(case: &Case, criterion: &Criterion) -> bool {
    criterion.verdict <= Verdict::Pass && !case.scr.contains(&criterion.item)
}

/// The general rules that passed, each with its evidence in a line.
fn asides(report: &Report, case: &Case) -> Vec<String> {
    let line = |c: &Criterion| {
        let at = c.places.first().map(place).unwrap_or_default();
        let times = if c.count > 1 {
            format!(" ({}×)", c.count)
        } else {
            String::new()
        };
        safe(&format!(
            "{} {}: {}{times}, {at}",
            report.marked(&c.item),
            c.rule,
            c.text()
        ))
    };
    case.criteria
        .iter()
        .filter(|c| is_aside(case, c))
        .map(line)
        .collect()
}

fn criteria(report: &Report, case: &Case, anchor: &str, numbers: &BTreeSet<u32>) -> Vec<CriterionView> {
    let link = |at: &Place| Link {
        text: safe(&place(at)),
        anchor: at
            .exchange
            .filter(|n| numbers.contains(n))
            .map(|n| format!("{anchor}.x{n}"))
            .unwrap_or_default(),
    };
    let view = |c: &Criterion| CriterionView {
        verdict: c.verdict.as_str(),
        item: item_link(report, &c.item),
        rule: safe(&c.rule),
        kind: if c.verdict > Verdict::Pass {
            "Finding"
        } else {
            "Evidence"
        },
        text: safe(c.text()),
        count: c.count,
        places: c.places.iter().map(link).filter(|l| !l.text.is_empty()).collect(),
    };
    let mut all: Vec<&Criterion> = case.criteria.iter().filter(|c| !is_aside(case, c)).collect();
    all.sort_by_key(|c| std::cmp::Reverse(c.verdict));
    all.into_iter().map(view).collect()
}

#[derive(Serialize)]
struct ExchangeView {
    anchor: String,
    number: u32,
    direction: &'static str,
    at_ms: u64,
    duration_ms: u64,
    outcome: String,
    request: MessageView,
    response: Option<MessageView>,
    raw: Option<BodyView>,
}

#[derive(Serialize)]
struct MessageView {
    head: String,
    body: BodyView,
}

#[derive(Serialize)]
struct BodyView {
    text: String,
    notes: String,
}

fn exchange_view(exchange: &ShownExchange, anchor: &str) -> ExchangeView {
    let outcome = match (&exchange.response, &exchange.failure) {
        (Some(response), _) => safe(&response.start),
        (None, Some(failure)) => safe(failure),
        (None, None) => String::new(),
    };
    ExchangeView {
        anchor: format!("{anchor}.x{}", exchange.number),
        number: exchange.number,
        direction: match exchange.initiator {
            "iut" => "the client under test asked",
            _ => "the suite asked",
        },
        at_ms: exchange.started_ms,
        duration_ms: exchange.duration_ms,
        outcome,
        request: message_view(&exchange.request),
        response: exchange.response.as_ref().map(message_view),
        raw: exchange.raw.as_ref().map(body_view),
    }
}

fn message_view(message: &ShownMessage) -> MessageView {
    let mut head = plain(&message.start).into_owned();
    for (name, value) in &message.headers {
        head.push('\n');
        head.push_str(&plain(&format!("{name}: {value}")));
    }
    MessageView {
        head,
        body: body_view(&message.body),
    }
}

fn body_view(body: &ShownBody) -> BodyView {
    let mut notes = vec![plural(body.octets, "octet")];
    let mut text = String::new();
    if let Some(why) = &body.withheld {
        notes.push(format!("not shown: {why}"));
    } else if let Some(shown) = &body.text {
        match indented(shown) {
            Some(pretty) => {
                notes.push("line breaks between elements added for reading".to_owned());
                text = lines(&pretty);
            }
            None => text = lines(shown),
        }
        if body.cut {
            notes.push(format!("only the first {} octets are shown", shown.len()));
        }
    } else if let Some(coded) = &body.base64 {
        let octets = base64::engine::general_purpose::STANDARD
            .decode(coded)
            .unwrap_or_default();
        let end = octets.len().min(MAX_DUMP);
        text = dump(&octets[..end]);
        // Compared with what was kept: masking changes the length.
        if body.cut || end < octets.len() {
            notes.push(format!("only the first {end} octets are shown"));
        }
    }
    if body.masked {
        notes.push("secrets masked".to_owned());
    }
    BodyView {
        text,
        notes: notes.join("; "),
    }
}

/// An XML text of one line with breaks and indentation between its tags; `None` when it has lines of
/// its own, whose numbers findings refer to. It only has to look right: nothing is parsed.
fn indented(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if !trimmed.starts_with('<') || trimmed.contains('\n') || !trimmed.contains("><") {
        return None;
    }
    let mut out = String::with_capacity(trimmed.len() * 2);
    let mut depth = 0_usize;
    for (n, piece) in trimmed.split("><").enumerate() {
        let closes = n > 0 && piece.starts_with('/');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if n > 0 {
            out.push_str(">\n");
            out.push_str(&"  ".repeat(depth.min(MAX_INDENT)));
            out.push('<');
        }
        out.push_str(piece);
        let tag = piece.trim_start_matches('<');
        let opens = !closes
            && !tag.starts_with(['?', '!'])
            && !tag.trim_end_matches('>').ends_with('/')
            && !tag.contains("</");
        if opens {
            depth += 1;
        }
    }
    Some(out)
}

/// Offset, sixteen octets in hexadecimal, and those that are printable ASCII.
fn dump(octets: &[u8]) -> String {
    let row = |(n, row): (usize, &[u8])| {
        let hex: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
        let text: String = row
            .iter()
            .map(|b| match b {
                b' '..=b'~' => char::from(*b),
                _ => '.',
            })
            .collect();
        format!("{:04x}  {:<47}  {text}", n * 16, hex.join(" "))
    };
    octets
        .chunks(16)
        .enumerate()
        .map(row)
        .collect::<Vec<_>>()
        .join("\n")
}

fn safe(text: &str) -> String {
    shorten(&plain(text), MAX_CELL).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_template_renders() {
        let collector = fixture::collected(true);
        let html = page(collector.report(), collector.exchanges()).unwrap();
        assert!(html.contains("not conformant"));
        assert!(
            html.contains("the fence message arrived"),
            "evidence of a pass is there"
        );
        assert!(html.contains("fence and window"));
        let begin = html.find(SELF_TEST).unwrap();
        let end = html.rfind(SELF_TEST).unwrap();
        assert!(begin < html.find("<h1").unwrap() && end > html.rfind("</section>").unwrap());
        let real = fixture::collected(false);
        assert!(
            !page(real.report(), real.exchanges())
                .unwrap()
                .contains("SELF-TEST")
        );
    }

    #[test]
    fn every_link_has_its_target() {
        let collector = fixture::collected(true);
        let html = page(collector.report(), collector.exchanges()).unwrap();
        let targets: BTreeSet<&str> = html
            .split(" id=\"")
            .skip(1)
            .filter_map(|r| r.split('"').next())
            .collect();
        let links: Vec<&str> = html
            .split("href=\"#")
            .skip(1)
            .filter_map(|r| r.split('"').next())
            .collect();
        assert!(links.len() > 20);
        for link in links {
            assert!(targets.contains(link), "{link}");
        }
        assert_eq!(
            html.matches(" id=\"").count(),
            targets.len(),
            "an id stands twice"
        );
    }

    #[test]
    fn one_line_of_xml_is_indented() {
        assert_eq!(
            indented("<a><b/><c>x</c><d><e/></d></a>").unwrap(),
            "<a>\n  <b/>\n  <c>x</c>\n  <d>\n    <e/>\n  </d>\n</a>"
        );
        assert_eq!(indented("<a>\n<b/></a>"), None);
        assert_eq!(indented("plain"), None);
    }

    #[test]
    fn octets_are_dumped() {
        assert_eq!(dump(b"\x03\x10ab"), format!("0000  {:<47}  ..ab", "03 10 61 62"));
    }
}
