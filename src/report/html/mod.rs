//! `index.html`: one page that needs nothing else, to be read in a browser and printed as the
//! statement of a result. Each part has a view; the template only arranges them. What a peer sent is
//! made visible and escaped in [`text`]; the few strings that are HTML already end in `_html`, or are
//! the bodies of [`body`].

mod body;
mod cases;
mod exchange;
mod front;
mod imported;
mod index;
mod items;
mod scan;
mod text;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, context, escape_formatter};

use self::index::Index;
use self::text::{css_string, escape, safe};
use super::collector::KeptExchanges;
use super::model::Report;
use super::{RECONSTRUCTED, SELF_TEST};
use crate::base::CaseId;
use crate::spec::{Basis, Version};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_keep_trailing_newline(true);
    // Strings are escaped by our own function, which leaves slashes alone.
    env.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => out.write_str(&escape(text)).map_err(Error::from),
        _ => escape_formatter(out, state, value),
    });
    // A template that does not parse shows as a missing one in the result of `page`.
    let _ = env.add_template("index.html", include_str!("page.html"));
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
    let index = Index::new(report);
    let (cases, spots) = cases::cases(&index, exchanges);
    let (findings, findings_left) = items::findings(&index, &spots);
    let date = front::date(&report.started_at);
    let foot = format!("{}, {date}", report.target.name);
    TEMPLATES.get_template("index.html")?.render(context! {
        style => include_str!("page.css"),
        script => include_str!("page.js"),
        self_test => report.is_self_test().then_some(SELF_TEST),
        margin => report.is_self_test().then(|| css_string(SELF_TEST)),
        margin_target => css_string(&report.target.name),
        margin_date => css_string(&date),
        foot => safe(&foot),
        reconstructed => RECONSTRUCTED.replace('`', ""),
        title => safe(&report.target.name),
        roles => front::roles(&index),
        run_facts => front::run_facts(report),
        unreachable => report.unreachable.as_deref().map(safe),
        interrupted => report.interrupted,
        caveats => report.caveats.iter().map(|c| safe(c)).collect::<Vec<_>>(),
        notices => report.notices.iter().map(|n| safe(n)).collect::<Vec<_>>(),
        item_counts => counts(&report.summary.items),
        case_counts => counts(&report.summary.cases),
        findings,
        findings_left,
        findings_all => report.findings.len(),
        bases => Basis::ALL.iter().map(|b| (b.as_str(), b.meaning(), items::cost(*b))).collect::<Vec<_>>(),
        group_rows => items::group_rows(&index, &report.roles),
        groups => items::groups(&index, &spots),
        imported => imported::tables(&index),
        cases,
    })
}

fn counts<V: Display>(counts: &BTreeMap<V, usize>) -> Vec<(String, usize)> {
    counts.iter().map(|(v, n)| (v.to_string(), *n)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
}
