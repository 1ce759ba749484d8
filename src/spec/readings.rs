//! Open questions: where the sources disagree or are silent, which readings are accepted, and what
//! the suite itself does. Rows of other tables name them (`reading: Q5`), so that nobody is failed
//! over a question that nobody can answer.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::FileError;
use crate::base::yaml;

/// One open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// `Q5`.
    pub id: String,
    /// The question.
    pub question: String,
    /// Readings that pass; at least one.
    pub accepted: Vec<String>,
    /// Readings that pass with a warning.
    pub tolerated: Vec<String>,
    /// What the suite itself sends or does.
    pub writer: String,
    /// Elements, primitives or rules that it bears on.
    pub used_in: String,
    /// The line of the file.
    pub line: usize,
}

/// All open questions.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    list: Vec<Reading>,
    index: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: String,
    readings: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    id: String,
    question: String,
    accepted: Vec<String>,
    #[serde(default)]
    tolerated: Vec<String>,
    writer: String,
    used_in: String,
}

impl Readings {
    /// Reads `readings.yaml`.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let doc = yaml::parse::<Raw>(file, text)?;
        if doc.value.format != "imps-scr/readings/1" {
            return Err(doc
                .error(
                    "format",
                    format!("format `{}` is not known here", doc.value.format),
                )
                .fix("this version reads `imps-scr/readings/1`"));
        }
        let mut readings = Self::default();
        for (i, row) in doc.value.readings.iter().enumerate() {
            let wrong = |field: &str, problem: String, fix: &str| {
                Err(doc.error(&format!("readings[{i}].{field}"), problem).fix(fix))
            };
            let number = row.id.strip_prefix('Q').unwrap_or_default();
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return wrong(
                    "id",
                    format!("`{}` is not the number of a question", row.id),
                    "write it like Q5",
                );
            }
            if row.accepted.is_empty() {
                return wrong(
                    "accepted",
                    format!("{} accepts no reading", row.id),
                    "list at least one reading",
                );
            }
            let texts = row.accepted.iter().chain(&row.tolerated);
            if texts
                .chain([&row.question, &row.writer, &row.used_in])
                .any(|t| t.trim().is_empty())
            {
                return wrong(
                    "id",
                    format!("{} has an empty text", row.id),
                    "say it in a few words",
                );
            }
            if readings
                .index
                .insert(row.id.clone(), readings.list.len())
                .is_some()
            {
                return wrong(
                    "id",
                    format!("{} stands twice", row.id),
                    "give one of them the next free number",
                );
            }
            readings.list.push(Reading {
                id: row.id.clone(),
                question: row.question.clone(),
                accepted: row.accepted.clone(),
                tolerated: row.tolerated.clone(),
                writer: row.writer.clone(),
                used_in: row.used_in.clone(),
                line: doc.line(&format!("readings[{i}]")),
            });
        }
        Ok(readings)
    }

    /// A question by its name.
    pub fn get(&self, id: &str) -> Option<&Reading> {
        self.index.get(id).and_then(|i| self.list.get(*i))
    }

    /// All questions in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Reading> {
        self.list.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "format: imps-scr/readings/1\nreadings:\n  - id: Q1\n    question: a?\n    accepted: [b]\n    \
                        writer: c\n    used-in: D\n";

    #[test]
    fn questions_are_read_and_mistakes_found() {
        let readings = Readings::parse("f", FILE).unwrap();
        assert_eq!(readings.get("Q1").unwrap().accepted, ["b"]);
        for (from, to, line, part) in [
            ("Q1", "1", 3, "number"),
            ("[b]", "[]", 5, "no reading"),
            ("question: a?", "question: ''", 3, "empty"),
            ("readings/1", "readings/2", 1, "readings/2"),
        ] {
            let e = Readings::parse("f", &FILE.replacen(from, to, 1)).unwrap_err();
            assert!(e.problem.contains(part) && e.line == line, "{e}");
        }
        let twice = format!("{FILE}{}", FILE.split_once("readings:\n").unwrap().1);
        assert!(
            Readings::parse("f", &twice)
                .unwrap_err()
                .problem
                .contains("twice")
        );
    }
}
