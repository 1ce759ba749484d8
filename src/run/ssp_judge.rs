//! What every POST of a server under test is judged by, whatever the case: HTTP, the document, the message.

use crate::base::ItemId;
use crate::check::Rule;
use crate::check::ssp::{HeaderIds, item};
use crate::codec::xml::{self, ProblemKind};
use crate::message::{Message, SSP_ROOT};
use crate::peer::ssp::MEDIA_TYPE_SSP;
use crate::record::HttpMessage;
use crate::spec::Role;
use crate::verdict::{Criterion, Part, Place, Verdict};

use super::judge::{Judge, Read, charset_of};

/// Whether an HTTP request is one of SSP at all: by its type or by its root.
pub(super) fn is_ssp(request: &HttpMessage) -> bool {
    request.media_type().as_deref() == Some(MEDIA_TYPE_SSP)
        || xml::read(&request.body, charset_of(request))
            .message
            .is_some_and(|m| m.tree.get(m.tree.root()).name == SSP_ROOT)
}

/// What the head of a POST repeats.
pub(super) fn head_ids(request: &HttpMessage) -> HeaderIds {
    let read = |name: &str| request.header(name).map(|v| v.trim().to_owned());
    HeaderIds {
        transaction: read("x-wv-transactionid"),
        session: read("x-wv-sessionid"),
    }
}

impl Judge<'_> {
    /// Reads and judges a POST of the server under test.
    pub(super) fn ssp_post(&mut self, request: &HttpMessage, exchange: u32) -> Read {
        let place = Place {
            exchange: Some(exchange),
            part: Some(Part::Request),
            ..Place::default()
        };
        let mut read = Read {
            message: None,
            breaches: Vec::new(),
        };
        let mut words = request.start.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let version = words.nth(1).unwrap_or_default().to_owned();
        let media_type = request.media_type();
        let typed = media_type.as_deref() == Some(MEDIA_TYPE_SSP);
        let shown = media_type.unwrap_or_else(|| "no Content-Type".to_owned());
        let host = request.header("host").is_some_and(|h| !h.trim().is_empty());
        let modern = version == "HTTP/1.1" && host;
        for (number, rule, holds, text) in [
            (
                1,
                "ssp-post",
                method == "POST",
                format!("a message came by {method}"),
            ),
            (2, "ssp-media-type", typed, format!("the body is sent as {shown}")),
            (
                5,
                "ssp-http",
                modern,
                format!("{version} {} Host", if host { "with" } else { "without" }),
            ),
        ] {
            self.ssp_charge(item("TR", number), rule, holds, text, &place, &mut read.breaches);
        }
        let reading = xml::read(&request.body, charset_of(request));
        let octets = Rule::WellFormed.item(Role::Ssp);
        for problem in reading
            .problems
            .iter()
            .filter(|p| p.kind != ProblemKind::Repaired)
        {
            let at = Place {
                position: Some(problem.position),
                ..place.clone()
            };
            let rule = match problem.kind {
                ProblemKind::Charset => Rule::Charset,
                _ => Rule::WellFormed,
            };
            self.ssp_charge(
                octets.clone(),
                rule.name(),
                false,
                problem.text.clone(),
                &at,
                &mut read.breaches,
            );
        }
        if reading.is_strict() {
            let text = "the body is well-formed XML".to_owned();
            let rule = Rule::WellFormed.name();
            self.ssp_charge(octets, rule, true, text, &place, &mut read.breaches);
        }
        if let Some(message) = &reading.message {
            self.ssp_message(message, &place, &mut read.breaches);
        }
        read.message = reading.message;
        read
    }

    fn ssp_charge(
        &mut self,
        item: ItemId,
        rule: &str,
        holds: bool,
        text: String,
        place: &Place,
        breaches: &mut Vec<ItemId>,
    ) {
        let verdict = self.charge(&item, rule, holds, text, place.clone());
        if verdict >= Verdict::Warn && !breaches.contains(&item) {
            breaches.push(item);
        }
    }

    fn ssp_message(&mut self, message: &Message, place: &Place, breaches: &mut Vec<ItemId>) {
        let checked = self.suite.ssp.check(message);
        for finding in &checked.findings {
            let id = finding.rule.item(Role::Ssp);
            let verdict = finding.strength.min(self.strength(&id)).breach();
            let at = Place {
                path: finding.path.clone(),
                position: Some(finding.position),
                ..place.clone()
            };
            self.tally
                .add(Criterion::new(&id, finding.rule.name(), verdict, finding.text.clone()).at(at));
            if verdict >= Verdict::Warn && !breaches.contains(&id) {
                breaches.push(id);
            }
        }
        for (rule, judged) in &checked.judged {
            if checked.findings.iter().any(|f| f.rule == *rule) {
                continue;
            }
            let id = rule.item(Role::Ssp);
            self.charge(&id, rule.name(), true, judged.first.clone(), place.clone());
        }
    }
}
