//! The statement to fill in: every item of a role with what it asks, and a line for the answer.

use std::fmt::Write as _;

use crate::base::escape::plain;
use crate::spec::items::{Item, Items};
use crate::spec::types::{Role, Status, Version};

use super::{Ics, quoted};

/// Widest line of a comment.
const WIDTH: usize = 100;

impl Ics {
    /// A statement to fill in, as YAML with comments. Mandatory items are answered, because no other
    /// answer is possible; every other line waits for a `yes` or `no`.
    pub fn proforma(name: &str, role: Role, versions: &[Version], items: &Items) -> String {
        let ics = Ics::new(name, role, versions, false);
        let mut out = String::new();
        for line in [
            "Implementation conformance statement, to be filled in: which items the product claims.",
            "Write `yes` or `no` behind each item. A line without an answer counts as unanswered, not as no.",
            "Items of status M are answered `yes` already: they must be yes, a product that lacks one cannot conform.",
            "What an item `requires` must hold over the answers for whoever claims it; CSP:MCF and CSP:MSF stand for all \
             mandatory items of a client and of a server.",
            "Items marked rec: are reconstructions from public sources, not the text of the OMA requirement tables, which \
             are not public.",
            "Then: `imps-scr ics check FILE`, and `imps-scr run --ics FILE` with the product.",
        ] {
            comment(&mut out, "# ", line);
        }
        let stated: Vec<String> = ics.versions.iter().map(|v| format!("\"{v}\"")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "format: imps-scr/ics/1\nname: {}\nrole: {role}\nversions: [{}]   # those that the product speaks\nclaims:",
            quoted(name),
            stated.join(", ")
        );
        let mut groups: Vec<(&str, Vec<&Item>)> = Vec::new();
        for item in ics.questions(items) {
            let code = item.id.as_str().split('-').nth(1).unwrap_or_default();
            match groups.iter_mut().find(|(known, _)| *known == code) {
                Some((_, list)) => list.push(item),
                None => groups.push((code, vec![item])),
            }
        }
        for (code, list) in groups {
            let _ = writeln!(out, "\n  # ==== {} ====", plain(code));
            for item in list {
                entry(&mut out, &ics, item);
            }
        }
        out
    }
}

fn entry(out: &mut String, ics: &Ics, item: &Item) {
    out.push('\n');
    let mut say = |text: &str| comment(out, "  # ", text);
    say(&format!("{}: {}", item.marked_id(), item.feature));
    let mut status = match item.status {
        Status::Mandatory => "M, mandatory: must be yes".to_owned(),
        _ => "O, optional".to_owned(),
    };
    let lacking: Vec<&str> = ics
        .versions
        .iter()
        .filter(|v| !item.applies_to(**v))
        .map(|v| v.as_str())
        .collect();
    if !lacking.is_empty() {
        let _ = write!(status, "; not in CSP {}", lacking.join(", "));
    }
    if let Some(why) = &item.untestable {
        let _ = write!(status, "; cannot be tested from outside: {why}");
    }
    say(&status);
    if let Some(requirement) = &item.requirement {
        say(&format!("requires: {requirement}"));
    }
    say(&format!("reference: {}", item.reference));
    let answer = if item.status == Status::Mandatory {
        "yes"
    } else {
        "   # yes or no"
    };
    let _ = writeln!(out, "  {}: {answer}", item.id);
}

/// A comment in lines that are not too wide. Tables of the user may hold anything, line ends too.
fn comment(out: &mut String, begin: &str, text: &str) {
    let text = plain(text);
    let mut line = begin.trim_end().to_owned();
    for word in text.split_whitespace() {
        let first = line.len() < begin.len();
        if !first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = format!("{}  ", begin.trim_end());
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::items::tests::items;

    #[test]
    fn a_proforma_is_a_statement_with_open_answers() {
        let items = items();
        let text = Ics::proforma(
            "Server \"X\"\n7",
            Role::Server,
            &[Version::V12, Version::V11],
            &items,
        );
        insta::assert_snapshot!(text);
        let ics = Ics::parse("f", &text, &items).unwrap();
        assert_eq!(ics.name, "Server \"X\"\n7");
        assert!(!ics.derived);
        let answers: Vec<(String, bool)> = ics.claims().map(|(id, yes)| (id.to_string(), yes)).collect();
        assert_eq!(answers, [("CSP-KALIVE-S-001".to_owned(), true)]);
        // 1.1 has no login by digest.
        let old = Ics::proforma("x", Role::Server, &[Version::V11], &items);
        assert!(!old.contains("CSP-LOGIND-S-001:"));
    }
}
