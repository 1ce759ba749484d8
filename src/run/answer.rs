//! What a server answered, judged by itself: HTTP, and the message that it carries.

use crate::base::ItemId;
use crate::message::Message;
use crate::peer::is_binary_type;
use crate::record::{Failure, HttpMessage};
use crate::verdict::{Part, Place, Strength};

use super::expectation::Answer;
use super::judge::{Judge, Read, describe};
use super::suite::Suite;

/// Whether nothing is wrong with a message by itself, so that whoever gets it owes a right answer.
pub(super) fn is_correct(suite: &Suite, message: &Message) -> bool {
    !suite
        .checker
        .check(message)
        .findings
        .iter()
        .any(|f| f.strength == Strength::Must || f.rule.is_session_or_mode())
}

/// Judges what a server answered by the rules of HTTP and of single messages; gives it with the items that
/// it breaks.
pub(super) fn read_answer(
    judge: &mut Judge<'_>,
    response: Result<HttpMessage, Failure>,
    number: u32,
) -> (Answer, Vec<ItemId>) {
    let place = Place {
        exchange: Some(number),
        part: Some(Part::Response),
        ..Place::default()
    };
    let http_item = judge.own("HTTP", 1);
    let http = match response {
        Ok(http) => http,
        Err(failure) => {
            let mut breaches = Vec::new();
            if let Failure::NotHttp(..) | Failure::TooLong(_) = failure {
                judge.charge(&http_item, "http-response", false, failure.to_string(), place);
                breaches.push(http_item);
            }
            return (Answer::Failed(failure), breaches);
        }
    };
    let has_body = !http.body.is_empty();
    if http.status != 200 {
        let fault = http.status >= 400;
        let mut breaches = Vec::new();
        // An error page of the HTTP server is nobody's message; a CSP message belongs into 200.
        let carries_csp = has_body && http.media_type().as_deref().is_some_and(crate::peer::is_xml_type);
        if !fault || carries_csp {
            let text = if carries_csp {
                format!("a CSP message comes in HTTP {}", http.status)
            } else {
                format!("the answer is HTTP {}, neither 200 nor an error", http.status)
            };
            judge.charge(&http_item, "http-status", false, text, place);
            breaches.push(http_item);
        }
        if carries_csp {
            let read = judge.body(&http, number, Part::Response);
            breaches.extend(read.breaches);
            if let Some(message) = read.message {
                return (Answer::Message(Box::new(message)), breaches);
            }
        }
        if fault {
            return (Answer::Refused(http.status), breaches);
        }
        return (Answer::Unreadable(format!("HTTP {}", http.status)), breaches);
    }
    if !has_body {
        return (Answer::Empty, Vec::new());
    }
    let same = judge.own("HTTP", 3);
    if let Some(other) = http.media_type().filter(|t| is_binary_type(t)) {
        let text = format!("XML is answered in {other}");
        judge.charge(&same, "same-encoding", false, text.clone(), place);
        return (Answer::Unreadable(text), vec![same]);
    }
    let Read { message, breaches } = judge.body(&http, number, Part::Response);
    match message {
        Some(message) => {
            judge.charge(
                &http_item,
                "http-status",
                true,
                format!("{} comes in HTTP 200", describe(&message.tree)),
                place.clone(),
            );
            let same = judge.own("HTTP", 3);
            judge.charge(
                &same,
                "same-encoding",
                true,
                "XML is answered in XML".into(),
                place,
            );
            (Answer::Message(Box::new(message)), breaches)
        }
        None => (
            Answer::Unreadable("a body that is no message".to_owned()),
            breaches,
        ),
    }
}
