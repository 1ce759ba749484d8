//! A message of a client, held against every general rule: HTTP, well-formedness, content model, types,
//! envelope, conversation. What a case asks of it besides is the affair of whoever runs the case.

use crate::message::{Envelope, Tree};
use crate::peer::is_xml_type;
use crate::record::HttpMessage;
use crate::verdict::{Part, Place};

use super::conversations::{Conversations, hangs_on_earlier};
use super::judge::Judge;
use super::suite::reread;

/// What was found in one request of a client.
#[derive(Debug)]
pub struct Found {
    /// The message, if it could be read.
    pub tree: Option<Tree>,
    /// Whether it broke a general rule.
    pub broken: bool,
    /// Its conversation.
    pub key: Option<String>,
    /// The number of that conversation.
    pub number: Option<u64>,
    /// The session in force in that conversation when it came.
    pub session: Option<String>,
    /// Why what came before it is not known for sure, if so.
    pub unsure: Option<&'static str>,
}

/// Whether anything shows that a request comes from a CSP client. A browser or a probe is nobody's breach.
pub fn is_csp(request: &HttpMessage) -> bool {
    request.media_type().as_deref().is_some_and(is_xml_type)
        || reread(&request.body).is_some_and(|m| m.tree.get(m.tree.root()).name.starts_with("WV-CSP"))
}

/// Judges a request of a client by the general rules.
pub fn judge_message(
    judge: &mut Judge<'_>,
    conversations: &mut Conversations,
    request: &HttpMessage,
    number: u32,
    now_ms: u64,
) -> Found {
    let place = Place {
        exchange: Some(number),
        part: Some(Part::Request),
        ..Place::default()
    };
    let http_item = judge.own("HTTP", 1);
    let post = request.start.starts_with("POST ");
    let text = format!("the request line is `{}`", request.start);
    judge.charge(&http_item, "post", post, text, place.clone());
    let mut found = Found {
        tree: None,
        broken: !post,
        key: None,
        number: None,
        session: None,
        unsure: None,
    };
    if request.body.is_empty() {
        judge.charge(
            &http_item,
            "one-message",
            false,
            "the body is empty".into(),
            place,
        );
        return found;
    }
    let read = judge.body(request, number, Part::Request);
    found.broken |= !read.breaches.is_empty();
    let Some(message) = read.message else {
        return found;
    };
    let stranger = !conversations.has_seen_login();
    let mut placed = conversations.place(&judge.suite.tables.syntax, &message.tree, now_ms);
    placed.judgements.retain(|j| {
        // A client that was logged in before the suite was started cannot know that its session is gone.
        let why = match placed.unsure.filter(|_| hangs_on_earlier(j.rule)) {
            Some(why) => why,
            None if stranger && j.rule == "session-id" => {
                "it may be of before this run, nobody has logged in yet"
            }
            None => return true,
        };
        if !j.holds {
            let at = Place {
                path: j.path.clone(),
                ..place.clone()
            };
            judge.inconclusive(&j.item, j.rule, format!("{}; {why}", j.text), at);
        }
        j.holds
    });
    found.broken |= !judge
        .conversation(placed.judgements, number, Part::Request)
        .is_empty();
    // LG-1, on every Login-Request.
    let item = judge.own("LOGIN", 2);
    for (holds, text, path) in login_proofs(&message.tree) {
        let at = Place {
            path,
            ..place.clone()
        };
        judge.charge(&item, "one-proof", holds, text, at);
    }
    found.key = placed.key;
    found.number = placed.number;
    found.session = placed.session;
    found.unsure = placed.unsure;
    found.tree = Some(message.tree);
    found
}

/// For every Login-Request of a message: whether it holds exactly one proof, in words, and its path.
fn login_proofs(tree: &Tree) -> Vec<(bool, String, String)> {
    let Some(envelope) = Envelope::of(tree) else {
        return Vec::new();
    };
    envelope
        .transactions
        .iter()
        .filter(|t| t.name == "Login-Request")
        .filter_map(|t| t.primitive)
        .map(|request| {
            let found: Vec<&str> = ["Password", "DigestSchema", "DigestBytes"]
                .into_iter()
                .filter(|name| tree.child(request, name).is_some())
                .collect();
            let text = if found.is_empty() {
                "Login-Request holds no proof".to_owned()
            } else {
                format!("Login-Request holds {}", found.join(" and "))
            };
            (found.len() == 1, text, tree.path(request))
        })
        .collect()
}

/// The names of the transactions of a message.
pub fn names(tree: Option<&Tree>) -> Vec<String> {
    let Some(tree) = tree else { return Vec::new() };
    match Envelope::of(tree) {
        Some(envelope) => envelope.transactions.into_iter().map(|t| t.name).collect(),
        // Version discovery is a document of its own.
        None => vec![tree.get(tree.root()).name.clone()],
    }
}
