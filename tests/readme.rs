//! `README.md` is true: its commands and options exist, its tables are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use imps_scr::cli::exit::Exit;

const README: &str = include_str!("../README.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_imps-scr");

/// Every command line of the program: in fences, and in code within the text.
fn commands() -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for line in README.lines() {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        for start in ["imps-scr ", "cargo run --release -- "] {
            if let Some(rest) = line.strip_prefix(start) {
                out.push(words(rest));
            }
        }
    }
    out
}

/// A command line as a shell splits it; single quotes are all that the README uses.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn help(subcommand: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .args(subcommand)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "`{} --help` fails", subcommand.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The options that a help text lists, not those that its sentences mention.
fn options(help: &str) -> BTreeSet<&str> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| line.split([' ', ',']))
        .filter(|word| word.starts_with('-'))
        .collect()
}

#[test]
fn every_command_and_option_exists() {
    let commands = commands();
    assert!(commands.len() > 12, "only {} commands were found", commands.len());
    for command in commands {
        let (depth, nested) = match command[0].as_str() {
            name @ ("scr" | "ics") => (2, vec![name, command[1].as_str()]),
            name => (1, vec![name]),
        };
        let help = help(&nested);
        let known = options(&help);
        for option in command[depth..].iter().filter(|w| w.starts_with("--")) {
            assert!(
                known.contains(option.as_str()),
                "`{}` has no {option}",
                nested.join(" ")
            );
        }
    }
}

/// Options that stand alone in the text: some subcommand has each.
#[test]
fn every_option_of_the_text_exists() {
    let texts = [
        &["run"][..],
        &["validate"],
        &["scr", "list"],
        &["scr", "show"],
        &["scr", "import"],
        &["scr", "check"],
        &["explain"],
        &["reference"],
        &["falsify"],
        &["scr", "coverage"],
        &["ics", "new"],
        &["ics", "check"],
        &["completions"],
    ]
    .map(help);
    let known: BTreeSet<&str> = texts.iter().flat_map(|t| options(t)).collect();
    let mut seen = 0;
    for code in README.split('`').skip(1).step_by(2) {
        if let Some(option) = code.split_whitespace().next().filter(|w| w.starts_with("--")) {
            assert!(known.contains(option), "no subcommand has {option}");
            seen += 1;
        }
    }
    assert!(seen > 8, "only {seen} options were found");
}

/// What the README says is there is there, and what it says is not there is not.
#[test]
fn the_commands_of_the_status_table_are_right() {
    let row = README
        .lines()
        .find(|l| l.starts_with("| `run`, `validate`"))
        .expect("the row of commands");
    let cells: Vec<Vec<&str>> = row
        .split('|')
        .map(|cell| cell.split('`').skip(1).step_by(2).collect())
        .collect();
    let listed: BTreeSet<String> = help(&[])
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_whitespace().next().map(str::to_owned))
        .collect();
    let there: BTreeSet<String> = cells[1].iter().map(|w| (*w).to_owned()).collect();
    assert_eq!(there, listed);
    assert!(cells[2].iter().all(|w| !listed.contains(*w)), "{:?}", cells[2]);
}

/// First column (a code) and second of the rows below a heading.
fn table(heading: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = README.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .skip(1)
        .collect()
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let in_order = [
        Exit::INTERRUPTED,
        Exit::USAGE,
        Exit::UNREACHABLE,
        Exit::SUITE,
        Exit::FAIL,
        Exit::NOTHING,
        Exit::INCONCLUSIVE,
        Exit::OK,
    ];
    let source = include_str!("../src/cli/exit.rs");
    assert_eq!(source.matches("pub const ").count(), in_order.len());
    let written: Vec<String> = table("Exit codes")
        .iter()
        .map(|(code, _)| (*code).to_owned())
        .collect();
    let real: Vec<String> = in_order.iter().map(|e| e.code().to_string()).collect();
    assert_eq!(written, real);
}

#[test]
fn limits_are_those_of_the_program() {
    let mut real = BTreeMap::new();
    for line in include_str!("../src/base/limits.rs").lines() {
        if let Some((name, value)) = line
            .strip_prefix("pub const ")
            .and_then(|l| l.split_once(": usize = "))
        {
            let value: usize = value
                .trim_end_matches(';')
                .split(" * ")
                .map(|n| n.replace('_', "").parse::<usize>().unwrap())
                .product();
            real.insert(format!("`{name}`"), value);
        }
    }
    let written: BTreeMap<String, usize> = README
        .lines()
        .filter_map(|line| line.strip_prefix("| `MAX_")?.split_once("` | "))
        .map(|(name, rest)| {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (format!("`MAX_{name}`"), number.parse().unwrap())
        })
        .collect();
    assert_eq!(written, real);
}

#[test]
fn the_profile_of_the_example_is_one() {
    let (_, rest) = README.split_once("```yaml\nformat: imps-scr/profile/1").unwrap();
    let (body, _) = rest.split_once("```").unwrap();
    let text = format!("format: imps-scr/profile/1{body}");
    imps_scr::spec::Profile::parse("profile.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn links_lead_somewhere() {
    for link in README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if !link.starts_with('#') && !link.contains("://") {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(link);
            assert!(path.exists(), "README.md: {link} is not there");
        }
    }
}
