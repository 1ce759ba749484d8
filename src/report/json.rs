//! `report.json` and its schema.

use super::model::Report;

/// The report as JSON: keys in the order of the schema, indented, with a final line feed.
pub fn to_json(report: &Report) -> String {
    pretty(report)
}

/// The JSON schema of a report; `reports/report.schema.json` is a committed copy.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("title".to_owned(), "imps-scr report".into());
    pretty(&schema)
}

fn pretty(value: &impl serde::Serialize) -> String {
    // Only a map key that is no string, or a failing writer, could make this an error; the types
    // here have neither.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn json_is_stable_and_ends_with_a_line_feed() {
        let report = fixture::report();
        let text = to_json(&report);
        assert_eq!(text, to_json(&report));
        assert!(text.ends_with("}\n"));
        assert!(text.starts_with("{\n  \"format\": \"imps-scr/report/1\",\n  \"self_test\""));
    }

    #[test]
    fn json_as_a_whole() {
        insta::with_settings!({filters => vec![(r"\d{4}-\d\d-\d\dT[^\x22]+", "[time]")]}, {
            insta::assert_json_snapshot!(fixture::report(), {
                ".duration_ms" => "[ms]",
                ".cases[].duration_ms" => "[ms]",
                ".cases[].silence[].waited_ms" => "[ms]",
            });
        });
    }
}
