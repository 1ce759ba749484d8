//! The reader of [CREQ] notation against real rows of WAP Forum tables. The rows are not part of the
//! project; without them the test says so and passes.

use std::collections::BTreeMap;

use imps_scr::spec::{Expression, ScrItem};

mod shared;

#[test]
fn real_rows_are_read() {
    let Some(path) = shared::find("facts/wap-scr-rows.tsv") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split('\t').collect())
        .collect();

    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut strict, mut strict_as_printed, mut refused_items) = (0, 0, 0);
    for row in &rows {
        match ScrItem::parse(row[1]) {
            Ok(item) => {
                *forms.entry(item.form().as_str()).or_default() += 1;
                if item.form().is_strict() {
                    strict += 1;
                    strict_as_printed += usize::from(item.as_str() == row[1]);
                }
            }
            Err(reason) => {
                refused_items += 1;
                println!("item {:?}: {reason}", row[1]);
            }
        }
    }
    println!(
        "{} items: {strict} strict ({strict_as_printed} without blanks), {refused_items} refused",
        rows.len()
    );
    for (form, count) in &forms {
        println!("  {count:5} {form}");
    }

    let (mut parsed, mut strict_only, mut refused) = (0, 0, Vec::new());
    for row in &rows {
        let Some(text) = row.get(3).filter(|t| !t.trim().is_empty()) else {
            continue;
        };
        match Expression::parse(text) {
            Ok(expression) => {
                parsed += 1;
                assert_eq!(
                    Expression::parse(&expression.to_string()).as_ref(),
                    Ok(&expression)
                );
                assert_nothing_lost(text, &expression);
                strict_only += usize::from(expression.references().iter().all(|r| match r {
                    imps_scr::spec::Reference::Item(i) => i.form().is_strict(),
                    imps_scr::spec::Reference::Group(_) => true,
                }));
            }
            Err(error) => {
                assert!(!error.reason.is_empty());
                refused.push(format!("{} {text:?}: {error}", row[1]));
            }
        }
    }
    println!(
        "{} expressions: {parsed} parsed ({strict_only} of strict references only), {} refused",
        parsed + refused.len(),
        refused.len()
    );
    for line in &refused {
        println!("  {line}");
    }
    assert_eq!(rows.len(), 1975);
    assert_eq!(parsed + refused.len(), 415);
    assert_eq!(strict, 1192);
    assert!(parsed >= 357, "{parsed}");
}

/// What was read holds every number and every operator of the text, once.
fn assert_nothing_lost(text: &str, expression: &Expression) {
    let squeeze = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mut source = squeeze(text);
    while let (Some(open), Some(close)) = (source.find('['), source.find(']')) {
        source.replace_range(open..=close, "");
    }
    assert_eq!(squeeze(&expression.to_string()), source, "{text}");
}
