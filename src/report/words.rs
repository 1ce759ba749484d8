//! The words that the outputs share: the order in which verdicts are shown, counts, places.

use std::collections::BTreeMap;
use std::fmt;

use crate::verdict::{ItemVerdict, Part, Place, Verdict};

/// How much a reader wants to see a verdict first. A failure of the product stands before what
/// could not be told, although neither outranks an error of the suite, which casts doubt on both.
pub fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::None | Verdict::Pass => 0,
        Verdict::Warn => 1,
        Verdict::Inconc => 2,
        Verdict::Fail => 3,
        Verdict::Error => 4,
    }
}

/// The same for items, where a gap in what is claimed outranks a warning.
pub fn item_severity(verdict: ItemVerdict) -> u8 {
    verdict.severity()
}

/// `38 pass, 1 warn`: the verdicts that occur, in their order.
pub fn counted<V: fmt::Display>(counts: &BTreeMap<V, usize>) -> String {
    counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(v, n)| format!("{n} {v}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `1 item`, `2 items`.
pub fn plural(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// The part of an item id that names its group: `KALIVE` of `CSP-KALIVE-S-001`.
pub fn group_of(id: &str) -> &str {
    id.split('-').nth(1).filter(|p| !p.is_empty()).unwrap_or(id)
}

/// `exchange 2, response, Session/Poll, 3:7`.
pub fn place(place: &Place) -> String {
    let mut parts = Vec::new();
    if let Some(number) = place.exchange {
        parts.push(format!("exchange {number}"));
    }
    if let Some(part) = place.part {
        parts.push(
            match part {
                Part::Request => "request",
                Part::Response => "response",
            }
            .to_owned(),
        );
    }
    if !place.path.is_empty() {
        parts.push(place.path.clone());
    }
    if let Some(position) = place.position {
        parts.push(position.to_string());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_second_part() {
        assert_eq!(group_of("CSP-KALIVE-S-001"), "KALIVE");
        assert_eq!(group_of("X"), "X");
        assert_eq!(group_of("X-"), "X-");
    }
}
