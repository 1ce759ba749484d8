//! Results for people and for programs. Everything that a file contains is escaped and masked.

use std::io::{self, Write};

use serde::Serialize;

use super::super::Common;
use super::excerpt::{Lines, excerpt};
use super::{Outcome, Tally};
use crate::base::escape;
use crate::base::mask::Masker;
use crate::verdict::Strength;

fn severity(strength: Strength) -> &'static str {
    match strength {
        Strength::Must => "error",
        Strength::Should => "warning",
        Strength::Note => "note",
    }
}

struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn severity(&self, strength: Strength) -> String {
        let code = match strength {
            Strength::Must => "1;31",
            Strength::Should => "1;33",
            Strength::Note => "1;36",
        };
        self.with(code, severity(strength))
    }
}

/// `path:line:col: error[ITEM] text`, the line and a caret. Notes are shown with `-v` only, warnings
/// not with `-q`.
pub(super) fn human(out: &mut impl Write, outcome: &Outcome, common: &Common) -> io::Result<()> {
    let paint = Paint(common.colored());
    let masker = Masker::default();
    let path = escape::plain(&outcome.path).into_owned();
    let lines = Lines::of(&outcome.text, &masker);
    for finding in &outcome.findings {
        let shown = match finding.strength {
            Strength::Must => true,
            Strength::Should => !common.quiet,
            Strength::Note => common.verbose,
        };
        if !shown {
            continue;
        }
        writeln!(
            out,
            "{path}:{}: {}[{}] {}",
            finding.position,
            paint.severity(finding.strength),
            finding.rule.item(outcome.role),
            escape::plain(&masker.text(&finding.text))
        )?;
        if let Some(found) = excerpt(&lines, finding.position, &masker) {
            let margin = " ".repeat(finding.position.line.to_string().len());
            writeln!(out, "{} | {}", finding.position.line, found.line)?;
            let caret = paint.with("1;32", "^");
            writeln!(out, "{margin} | {}{caret}", " ".repeat(found.caret))?;
        }
    }
    // What a conversation shows is no defect of the message alone: nothing is surer than a warning.
    for judgement in outcome.between.iter().filter(|_| !common.quiet) {
        writeln!(
            out,
            "{path}: {}[{}] {}",
            paint.severity(Strength::Should),
            judgement.item,
            escape::plain(&masker.text(&judgement.text))
        )?;
    }
    for (rule, count) in &outcome.left_out {
        writeln!(out, "{path}: {count} more findings of {rule} left out")?;
    }
    if common.verbose {
        let word = if outcome.is_valid() { "valid" } else { "invalid" };
        let version = outcome.version.unwrap_or("?");
        let primitive = escape::plain(&outcome.primitive);
        writeln!(out, "{path}: {word}, {} {version}, {primitive}", outcome.protocol)?;
    }
    Ok(())
}

/// `116 messages: 113 valid, 3 invalid`
pub(super) fn summary(out: &mut impl Write, tally: &Tally, common: &Common) -> io::Result<()> {
    let all = tally.valid + tally.invalid;
    let messages = if all == 1 { "message" } else { "messages" };
    if !common.quiet {
        writeln!(
            out,
            "{all} {messages}: {} valid, {} invalid",
            tally.valid, tally.invalid
        )?;
    }
    if common.verbose && tally.skipped > 0 {
        let files = if tally.skipped == 1 { "file" } else { "files" };
        writeln!(out, "{} other {files} skipped", tally.skipped)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    valid: bool,
    protocol: &'static str,
    version: Option<&'static str>,
    encoding: &'static str,
    primitive: &'a str,
    findings: Vec<LineFinding<'a>>,
}

#[derive(Serialize)]
struct LineFinding<'a> {
    item: String,
    severity: &'static str,
    line: u32,
    column: u32,
    path: &'a str,
    message: String,
}

/// One object a line.
pub(super) fn json(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let masker = Masker::default();
    let line = Line {
        path: &outcome.path,
        valid: outcome.is_valid(),
        protocol: outcome.protocol,
        version: outcome.version,
        encoding: outcome.encoding.as_str(),
        primitive: &outcome.primitive,
        findings: outcome
            .findings
            .iter()
            .map(|f| LineFinding {
                item: f.rule.item(outcome.role).to_string(),
                severity: severity(f.strength),
                line: f.position.line,
                column: f.position.column,
                path: &f.path,
                message: masker.text(&f.text),
            })
            .chain(outcome.between.iter().map(|j| LineFinding {
                item: j.item.to_string(),
                severity: severity(Strength::Should),
                line: 0,
                column: 0,
                path: &j.path,
                message: masker.text(&j.text),
            }))
            .collect(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}
