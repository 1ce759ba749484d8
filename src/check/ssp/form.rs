//! Types of attributes and texts.

use base64::Engine as _;

use super::super::address;
use super::super::leaf::{LeafVerdict, quoted};
use super::rule::SspRule;
use crate::spec::ssp::SspType;

/// The rule that a type is judged by.
pub(super) fn rule(kind: &SspType) -> SspRule {
    match kind {
        SspType::Address => SspRule::Address,
        SspType::ServiceAddress => SspRule::ServiceId,
        SspType::Code => SspRule::Code,
        SspType::DateTime => SspRule::Date,
        _ => SspRule::Form,
    }
}

/// What is wrong with a text of a type; none when it fits.
pub(super) fn problem(kind: &SspType, text: &str) -> Option<String> {
    let text = text.trim();
    match kind {
        SspType::Text | SspType::Token => text.is_empty().then(|| "empty".to_owned()),
        SspType::Uri => (text.is_empty() || text.contains(char::is_whitespace))
            .then(|| format!("{} is no URI", quoted(text))),
        SspType::Address => user_or_group(text),
        SspType::ServiceAddress => domain_of_service(text)
            .is_none()
            .then(|| format!("{} is not wv:@ and a domain", quoted(text))),
        SspType::Version => {
            let good = text.split('.').count() == 2
                && text
                    .split('.')
                    .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
            (!good).then(|| format!("{} is no version such as 1.2", quoted(text)))
        }
        SspType::Integer | SspType::Seconds => text
            .parse::<u64>()
            .is_err()
            .then(|| format!("{} is no decimal number", quoted(text))),
        SspType::Code => (text.len() != 3 || !text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| format!("{} is no code of three digits", quoted(text))),
        SspType::Mime => {
            let good = text
                .split(';')
                .next()
                .and_then(|t| t.trim().split_once('/'))
                .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'));
            (!good).then(|| format!("{} is no media type", quoted(text)))
        }
        SspType::DateTime => (!is_utc(text)).then(|| format!("{} is not YYYY-MM-DDThh:mm:ssZ", quoted(text))),
        SspType::Enum(values) => (!values.iter().any(|v| v == text))
            .then(|| format!("{} is not one of {}", quoted(text), values.join(" "))),
    }
}

/// The domain of `wv:@domain`, small letters.
pub fn domain_of_service(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let domain = lower.strip_prefix("wv:@")?;
    (address::domain(domain) == LeafVerdict::Ok).then(|| domain.to_owned())
}

/// The domain behind the `@` of an address or session id, small letters.
pub fn domain_of(text: &str) -> Option<String> {
    let (_, domain) = text.trim().rsplit_once('@')?;
    (!domain.is_empty()).then(|| domain.to_lowercase())
}

fn form_of_service(text: &str) -> bool {
    let text = text.trim();
    text.strip_prefix("wv:").unwrap_or(text).starts_with('@')
}

/// A user or group with its domain; the scheme may be left out.
fn user_or_group(text: &str) -> Option<String> {
    if domain_of(text).is_none() {
        return Some(format!("{} has no domain", quoted(text)));
    }
    if form_of_service(text) {
        return Some(format!(
            "{} names a server, expected a user or group",
            quoted(text)
        ));
    }
    let breach = |verdict| match verdict {
        LeafVerdict::Breach(why) => Some(why),
        LeafVerdict::Ok | LeafVerdict::Warn(_) => None,
    };
    let as_user = breach(address::user(text))?;
    breach(address::group(text)).map(|_| as_user)
}

/// A real time in UTC.
fn is_utc(text: &str) -> bool {
    text.ends_with('Z') && text.len() == 20 && text.parse::<jiff::Timestamp>().is_ok()
}

/// The octets of Base64 text, white space left out.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let plain: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_judged_by_their_type() {
        let yes = |kind: &SspType, text: &str| assert_eq!(problem(kind, text), None, "{text}");
        let no = |kind: &SspType, text: &str| assert!(problem(kind, text).is_some(), "{text}");
        yes(&SspType::Address, "wv:a@x.test");
        yes(&SspType::Address, "a@x.test");
        yes(&SspType::Address, "wv:a/g@x.test");
        yes(&SspType::Address, "wv:/g@x.test");
        no(&SspType::Address, "wv:a");
        no(&SspType::Address, "wv:@x.test");
        yes(&SspType::ServiceAddress, "wv:@x.test");
        no(&SspType::ServiceAddress, "x.test");
        yes(&SspType::Version, "1.2");
        no(&SspType::Version, "1");
        yes(&SspType::DateTime, "2026-04-22T12:51:21Z");
        no(&SspType::DateTime, "20260422T125121Z");
        no(&SspType::DateTime, "2026-02-30T12:51:21Z");
        yes(&SspType::Code, "200");
        no(&SspType::Code, "20");
        yes(&SspType::Seconds, " 600 ");
        no(&SspType::Seconds, "-1");
        yes(&SspType::Mime, "text/plain; charset=utf-8");
        no(&SspType::Mime, "text");
        no(&SspType::Enum(vec!["Yes".to_owned()]), "yes");
    }
}
