//! `run --proxy`: what stands between clients and a server, and what is said of each message as it passes.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::escape::plain;
use crate::base::mask::Masker;
use crate::event::{Event, JudgedMessage, Subscriber};
use crate::run::Iut;
use crate::spec::{HttpUrl, Profile, Role};
use crate::verdict::Verdict;

use super::Failure;

/// What is under test, by `LISTEN=TARGET`.
///
/// # Errors
/// One of the two cannot be used, or the profile is that of a client.
pub(super) fn between(text: &str, profile: Option<Profile>, wait: Option<u64>) -> Result<Iut, Failure> {
    let usage = |why: String| {
        Failure::Usage(format!(
            "--proxy: {why}\n  fix: write LISTEN=TARGET, for example 127.0.0.1:8081=http://127.0.0.1:8080/"
        ))
    };
    let (listen, target) = text
        .split_once('=')
        .ok_or_else(|| usage(format!("`{}` has no `=`", plain(text))))?;
    let listen: SocketAddr = listen
        .parse()
        .map_err(|_| usage(format!("`{}` is no address with a port", plain(listen))))?;
    let target = HttpUrl::parse(target).map_err(usage)?;
    let same_host = target.host.trim_matches(['[', ']']).parse() == Ok(listen.ip());
    if same_host && target.port == listen.port() {
        return Err(usage("it would pass everything on to itself".to_owned()));
    }
    if profile.as_ref().is_some_and(|p| p.role == Role::Client) {
        return Err(Failure::Usage(
            "--proxy: the profile is that of a client\n  fix: give that of the server, or none".to_owned(),
        ));
    }
    Ok(Iut::proxy(listen, target, profile, wait))
}

/// Says of every message by what it is judged, and what is wrong with it.
pub(super) struct Live {
    masker: Arc<Masker>,
}

impl Live {
    pub(super) fn new(masker: Arc<Masker>) -> Self {
        Self { masker }
    }
}

impl Subscriber for Live {
    fn on(&mut self, event: &Event) {
        if let Event::Judged(message) = event {
            for line in lines(message) {
                super::complain(&plain(&self.masker.text(&line)));
            }
        }
    }
}

/// A line with the items that a message is judged by, and one for each finding.
fn lines(message: &JudgedMessage) -> Vec<String> {
    let (side, way) = match message.sender {
        Role::Client => ("client", "client→server"),
        Role::Server | Role::Ssp => ("server", "server→client"),
    };
    let head = format!("{} {way} {}", message.exchange, message.message);
    let mut items: Vec<&str> = message.criteria.iter().map(|c| c.item.as_str()).collect();
    items.sort_unstable();
    items.dedup();
    let found: Vec<_> = message
        .criteria
        .iter()
        .filter(|c| c.verdict > Verdict::Pass)
        .collect();
    let end = match (items.is_empty(), found.len()) {
        (true, _) => "not judged".to_owned(),
        (false, 0) => format!("{} ok", items.join(" ")),
        (false, 1) => format!("{} 1 finding", items.join(" ")),
        (false, n) => format!("{} {n} findings", items.join(" ")),
    };
    let mut lines = vec![format!("{head}: {end}")];
    for criterion in found {
        let what = match criterion.verdict {
            Verdict::Inconc => format!("of the {side} it cannot be told: inconc"),
            verdict => format!("the {side} broke a rule: {verdict}"),
        };
        lines.push(format!(
            "{head}: {what} {} {}: {}",
            criterion.item, criterion.rule, criterion.text
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ItemId;
    use crate::event::CriterionResult;

    #[test]
    fn a_message_is_a_line_and_each_finding_another() {
        let criterion = |item: &str, verdict| CriterionResult {
            item: ItemId::parse(item).expect("an item"),
            rule: "r".to_owned(),
            verdict,
            text: "why".to_owned(),
            count: 1,
            places: Vec::new(),
        };
        let mut message = JudgedMessage {
            exchange: 12,
            sender: Role::Client,
            message: "KeepAlive-Request".to_owned(),
            criteria: vec![
                criterion("CSP-ENV-C-006", Verdict::Pass),
                criterion("CSP-ENV-C-004", Verdict::Pass),
            ],
        };
        assert_eq!(
            lines(&message),
            ["12 client→server KeepAlive-Request: CSP-ENV-C-004 CSP-ENV-C-006 ok"]
        );
        message.sender = Role::Server;
        message.criteria[0].verdict = Verdict::Fail;
        assert_eq!(
            lines(&message),
            [
                "12 server→client KeepAlive-Request: CSP-ENV-C-004 CSP-ENV-C-006 1 finding",
                "12 server→client KeepAlive-Request: the server broke a rule: fail CSP-ENV-C-006 r: why",
            ]
        );
        message.criteria.clear();
        assert_eq!(
            lines(&message),
            ["12 server→client KeepAlive-Request: not judged"]
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("127.0.0.1:1", "no `=`"),
            ("here=http://h/", "no address"),
            ("127.0.0.1:1=ftp://h", "not an http"),
            ("127.0.0.1:81=http://127.0.0.1:81/", "itself"),
            ("[::1]:81=http://[::1]:81/", "itself"),
        ] {
            let failure = between(text, None, None).expect_err(text);
            assert!(failure.to_string().contains(part), "{text}: {failure}");
        }
        assert!(between("127.0.0.1:0=https://h/csp", None, None).is_ok());
    }
}
