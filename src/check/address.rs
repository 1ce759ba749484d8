//! Addresses: `wv:`, an optional user, an optional resource behind `/`, an optional domain behind `@`.

use super::leaf::LeafVerdict::{self, Breach, Ok, Warn};
use super::leaf::quoted;

/// An address taken apart.
struct Address<'a> {
    scheme: bool,
    user: &'a str,
    resource: Option<&'a str>,
    domain: Option<&'a str>,
}

fn parse(text: &str) -> Result<Address<'_>, String> {
    let wrong = |why: &str| Err(format!("{} is not an address: {why}", quoted(text)));
    if text.is_empty() {
        return Err("empty, expected an address".to_owned());
    }
    let head = text.get(..3).filter(|h| h.eq_ignore_ascii_case("wv:"));
    let body = head.map_or(text, |_| &text[3..]);
    let (local, domain) = match body.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (body, None),
    };
    let (user, resource) = match local.split_once('/') {
        Some((user, resource)) => (user, Some(resource)),
        None => (local, None),
    };
    if user.is_empty() && resource.is_none() && domain.is_none() {
        return wrong("nothing behind `wv:`");
    }
    if resource == Some("") {
        return wrong("nothing behind `/`");
    }
    for part in [Some(user), resource].into_iter().flatten() {
        let plain = part.strip_prefix('+').unwrap_or(part);
        if let Some(c) = plain
            .chars()
            .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '+'))
        {
            return wrong(&format!("{c:?} is not allowed in a part"));
        }
    }
    if let Some(domain) = domain
        && !is_domain(domain)
    {
        return wrong("the domain is not labels joined by dots");
    }
    Result::Ok(Address {
        scheme: head.is_some(),
        user,
        resource,
        domain,
    })
}

fn judge(text: &str, fits: impl Fn(&Address<'_>) -> Option<&'static str>) -> LeafVerdict {
    let address = match parse(text) {
        Result::Ok(address) => address,
        Err(why) => return Breach(why),
    };
    if let Some(why) = fits(&address) {
        return Breach(format!("{} {why}", quoted(text)));
    }
    if !address.scheme {
        return Warn(format!("{} has no `wv:` in front", quoted(text)));
    }
    let parts = [Some(address.user), address.resource];
    let reserved = parts
        .into_iter()
        .flatten()
        .flat_map(str::chars)
        .find(|c| ";?:&=$,".contains(*c));
    match reserved {
        Some(c) => Warn(format!(
            "{} holds `{c}`, which is escaped as %{:02X}",
            quoted(text),
            c as u32
        )),
        None => Ok,
    }
}

/// `wv:user@domain`; a domain alone (`wv:@domain`) stands for a service.
pub(super) fn user(text: &str) -> LeafVerdict {
    judge(text, |a| {
        a.resource.map(|_| "is the address of a resource, not of a user")
    })
}

/// `wv:user/group@domain`, or `wv:/group@domain` for a public group.
pub(super) fn group(text: &str) -> LeafVerdict {
    judge(text, |a| {
        a.resource.is_none().then_some("has no group behind a `/`")
    })
}

/// `wv:user/list@domain`.
pub(super) fn contact_list(text: &str) -> LeafVerdict {
    judge(text, |a| match (a.resource, a.user) {
        (None, _) => Some("has no contact list behind a `/`"),
        (Some(_), "") => Some("has no user in front of the `/`"),
        _ => None,
    })
}

/// A phone number in international form.
pub(super) fn msisdn(text: &str) -> LeafVerdict {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Breach(format!("{} is not a phone number", quoted(text)));
    }
    if digits.len() > 15 {
        return Warn(format!("{} has more than 15 digits", quoted(text)));
    }
    Ok
}

/// A host name, or an address of IPv4 or IPv6.
pub(super) fn host(text: &str) -> LeafVerdict {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if bare.parse::<std::net::IpAddr>().is_ok() || is_domain(text) {
        return Ok;
    }
    Breach(format!("{} is not a host name or address", quoted(text)))
}

/// A domain name; some write it as an address, `wv:@domain`.
pub(super) fn domain(text: &str) -> LeafVerdict {
    if is_domain(text) {
        return Ok;
    }
    match parse(text) {
        Result::Ok(Address {
            user: "",
            resource: None,
            domain: Some(_),
            ..
        }) => Warn(format!("{} is an address, expected a domain name", quoted(text))),
        _ => Breach(format!("{} is not a domain name", quoted(text))),
    }
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(judge: fn(&str) -> LeafVerdict, rows: &[(&str, char)]) {
        for (text, expected) in rows {
            let found = match judge(text) {
                Ok => 'o',
                Warn(_) => 'w',
                Breach(_) => 'b',
            };
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        table(
            user,
            &[
                ("wv:john", 'o'),
                ("wv:john@smith.com", 'o'),
                ("WV:john@smith.com", 'o'),
                ("wv:+358401234567@smith.com", 'o'),
                ("wv:@smith.com", 'o'),
                ("somebody@nowhere.com", 'w'),
                ("wv:a;b@c", 'w'),
                ("wv:", 'b'),
                ("", 'b'),
                ("wv:a b@c", 'b'),
                ("wv:a@b@c", 'b'),
                ("wv:a@", 'b'),
                ("wv:a@b..c", 'b'),
                ("wv:john/list", 'b'),
                ("wv", 'w'),
                ("ää", 'w'),
            ],
        );
        table(
            group,
            &[
                ("wv:john/party@there.com", 'o'),
                ("wv:/party@there.com", 'o'),
                ("wv:john@there.com", 'b'),
                ("wv:a/b/c@d", 'b'),
                ("wv:a/@d", 'b'),
            ],
        );
        table(
            contact_list,
            &[
                ("wv:john/My_friends@smith.com", 'o'),
                ("wv:john/~PEP1.0_list@m.es", 'o'),
                ("wv:/x@y", 'b'),
            ],
        );
        table(
            msisdn,
            &[("+358401234567", 'o'), ("0401", 'o'), ("+", 'b'), ("12 34", 'b')],
        );
        table(
            host,
            &[
                ("100.100.100.100", 'o'),
                ("[::1]", 'o'),
                ("im.example.com", 'o'),
                ("a b", 'b'),
                ("", 'b'),
            ],
        );
        table(
            domain,
            &[("example.com", 'o'), ("wv:@example.com", 'w'), ("a@b", 'b')],
        );
    }
}
