//! Dates and times: the basic form of ISO 8601, and what readers take besides.

use super::leaf::LeafVerdict::{self, Breach, Ok, Warn};
use super::leaf::quoted;

/// `YYYYMMDDThhmmssZ` fits, also without seconds as the specification prints it; the extended form,
/// another zone and no zone are warnings.
pub(super) fn check(text: &str) -> LeafVerdict {
    let wrong = |why: &str| Breach(format!("{} is not a date and time: {why}", quoted(text)));
    if !text.is_ascii() {
        return wrong("characters beyond ASCII");
    }
    let Some((date, rest)) = text.split_once('T') else {
        return wrong("no `T` between date and time");
    };
    let zone_at = rest
        .find(|c: char| !(c.is_ascii_digit() || c == ':'))
        .unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let extended = date.contains('-') || time.contains(':');

    let Some([year, month, day]) = date_parts(date) else {
        return wrong("the date is neither YYYYMMDD nor YYYY-MM-DD");
    };
    let Some((hour, minute, second)) = time_parts(time) else {
        return wrong("the time is neither hhmmss nor hh:mm:ss");
    };
    let longest = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return wrong("there is no such month"),
    };
    if !(1..=longest).contains(&day) {
        return wrong("there is no such day");
    }
    // A leap second is a time.
    let midnight = hour == 24 && minute == 0 && second == 0;
    if !(hour <= 23 || midnight) || minute > 59 || second > 60 {
        return wrong("there is no such time");
    }
    match zone {
        "Z" if !extended => Ok,
        "Z" => Warn(format!(
            "{} is in extended form, expected YYYYMMDDThhmmssZ",
            quoted(text)
        )),
        "" => Warn(format!("{} has no zone, expected `Z` at the end", quoted(text))),
        _ if is_zone(zone) => Warn(format!("{} is not in UTC, expected `Z` at the end", quoted(text))),
        _ => wrong("the zone is neither `Z` nor an offset"),
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn date_parts(date: &str) -> Option<[u32; 3]> {
    let parts = match date.len() {
        8 => [date.get(..4)?, date.get(4..6)?, date.get(6..)?],
        10 if date.get(4..5) == Some("-") && date.get(7..8) == Some("-") => {
            [date.get(..4)?, date.get(5..7)?, date.get(8..)?]
        }
        _ => return None,
    };
    Some([number(parts[0])?, number(parts[1])?, number(parts[2])?])
}

fn time_parts(time: &str) -> Option<(u32, u32, u32)> {
    let parts: Vec<&str> = match time.len() {
        4 | 6 if !time.contains(':') => vec![time.get(..2)?, time.get(2..4)?, time.get(4..)?],
        5 | 8 if time.contains(':') => time.split(':').collect(),
        _ => return None,
    };
    if parts.iter().take(2).any(|p| p.len() != 2) || parts.len() > 3 {
        return None;
    }
    let second = match parts.get(2).copied() {
        None | Some("") => 0,
        Some(second) if second.len() == 2 => number(second)?,
        Some(_) => return None,
    };
    Some((number(parts.first()?)?, number(parts.get(1)?)?, second))
}

/// A military letter (there is no `J`), or an offset: `+01:00`, `+0100`, `+01`, `+1`.
fn is_zone(zone: &str) -> bool {
    if let [letter] = zone.as_bytes() {
        return letter.is_ascii_uppercase() && *letter != b'J';
    }
    let Some(offset) = zone.strip_prefix(['+', '-']) else {
        return false;
    };
    let digits = offset.replacen(':', "", 1);
    let plain = !offset.contains(':') || offset.find(':') == Some(2);
    let bounded = |from: usize, to: usize, most: u32| {
        digits
            .get(from..to)
            .is_none_or(|d| number(d).is_some_and(|n| n <= most))
    };
    plain
        && matches!(digits.len(), 1 | 2 | 4)
        && number(&digits).is_some()
        && (digits.len() == 1 || (bounded(0, 2, 14) && bounded(2, 4, 59)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variants_of_readers_are_told_apart() {
        for (text, expected) in [
            ("20010925T134013Z", 'o'),
            ("20010925T1340Z", 'o'),
            ("20010925T1340", 'w'),
            ("20010925T134013", 'w'),
            ("2001-09-25T13:40:13Z", 'w'),
            ("2001-09-25T13:40:13A", 'w'),
            ("2001-09-25T13:40:13-05:00", 'w'),
            ("2001-09-25T13:40:13+0100", 'w'),
            ("2001-09-25T13:40:13+01", 'w'),
            ("2001-09-25T13:40:13+1", 'w'),
            ("2001-09-25T13:40:13J", 'b'),
            ("20010925", 'b'),
            ("20011325T1340Z", 'b'),
            ("20010230T1340Z", 'b'),
            ("20000229T1340Z", 'o'),
            ("19000229T1340Z", 'b'),
            ("20010925T2540Z", 'b'),
            ("20010925T240000Z", 'o'),
            ("20010925T13:4Z", 'b'),
            ("T", 'b'),
            ("", 'b'),
            ("ÄÄÄÄT1340Z", 'b'),
        ] {
            let found = match check(text) {
                Ok => 'o',
                Warn(_) => 'w',
                Breach(_) => 'b',
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
