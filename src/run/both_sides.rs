//! Both sides of conversations that the suite takes no part in: every message is judged by the general
//! rules of its sender, every conversation by the rules of both roles, and clients by the cases that occur.
//!
//! Either side may err, and none is charged for the other: a server owes a right answer to a correct
//! message only, and what a client does after a broken answer proves nothing that hangs on that answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{CaseId, ItemId};
use crate::capture::ArchivedExchange;
use crate::check::conversation::{Conversation, Given, Judgement};
use crate::event::{CaseResult, CriterionResult, JudgedMessage};
use crate::message::{Encoding, Envelope, Mode, Tree};
use crate::peer::is_binary_type;
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::{Role, Version};
use crate::verdict::{Part, Place};

use super::answer::{is_correct, read_answer};
use super::conversations::hangs_on_earlier;
use super::expectation::Answer;
use super::harvest::{Harvest, HarvestSetup, Watch};
use super::intake::{Found, is_csp, names};
use super::judge::{Judge, describe};
use super::suite::{Suite, reread};
use super::tally::Tally;
use super::vouch::Voucher;
use super::wire::filled;

/// The case that carries what the general rules found of the servers.
pub const SERVER_CASE: &str = "IMPS-1.2-con-passive-S";

/// Most conversations whose server side is remembered; the oldest are forgotten.
const MAX_CONVERSATIONS: usize = 2_000;

/// What passes between clients and a server.
pub(super) struct BothSides<'a> {
    suite: &'a Suite,
    watch: Watch<'a>,
    servers: BTreeMap<Version, Server<'a>>,
    /// The server side of each conversation, by its number.
    spoken: BTreeMap<u64, Spoken>,
    under_way: BTreeMap<u64, Flight>,
    asked: u32,
    last_ms: u64,
}

/// What is known of the server in one version.
struct Server<'a> {
    judge: Judge<'a>,
    voucher: Voucher,
}

struct Spoken {
    conversation: Conversation,
    version: Version,
    last: u32,
}

/// A request that is not answered yet.
struct Flight {
    number: u32,
    request: HttpMessage,
    version: Version,
    started_ms: u64,
    found: Option<Found>,
    criteria: Vec<CriterionResult>,
    /// Nothing is wrong with it: it is owed a right answer.
    correct: bool,
    /// Another message of its conversation was under way at the same time.
    crossed: bool,
}

/// An exchange that is over.
pub(super) struct Passed {
    pub(super) exchange: Arc<Exchange>,
    pub(super) version: Version,
    /// What was judged: the message of the client, and that of the server.
    pub(super) judged: Vec<JudgedMessage>,
    /// Why it is no affair of CSP, if so.
    pub(super) foreign: Option<String>,
}

impl<'a> BothSides<'a> {
    pub(super) fn new(suite: &'a Suite, setup: &'a HarvestSetup, versions: &[Version]) -> Self {
        Self {
            suite,
            watch: Watch::of_passers_by(suite, setup, versions),
            servers: BTreeMap::new(),
            spoken: BTreeMap::new(),
            under_way: BTreeMap::new(),
            asked: 0,
            last_ms: 0,
        }
    }

    /// How many messages of clients came.
    pub(super) fn count(&self) -> usize {
        self.asked as usize
    }

    /// Every message has a time of its own, so that an archive tells their order.
    fn stamp(&mut self, ms: u64) -> u64 {
        self.last_ms = ms.max(self.last_ms + 1);
        self.last_ms
    }

    /// Takes a message of a client. It was there at a time of the caller's clock.
    pub(super) fn asked(&mut self, id: u64, request: HttpMessage, at_ms: u64) {
        let started_ms = self.stamp(at_ms);
        self.asked = self.asked.saturating_add(1);
        let number = self.asked;
        let version = self.watch.version_of(&request);
        let judged = self.watch.judge_apart(&request, number, version, started_ms);
        let (found, criteria) = judged.map_or((None, Vec::new()), |(f, c)| (Some(f), c));
        let correct = found.as_ref().is_some_and(|f| !f.broken)
            && reread(&request.body).is_some_and(|m| is_correct(self.suite, &m));
        let conversation = found.as_ref().and_then(|f| f.number);
        let mut crossed = false;
        for other in self.under_way.values_mut() {
            if conversation.is_some() && other.found.as_ref().and_then(|f| f.number) == conversation {
                other.crossed = true;
                crossed = true;
            }
        }
        let flight = Flight {
            number,
            request,
            version,
            started_ms,
            found,
            criteria,
            correct,
            crossed,
        };
        self.under_way.insert(id, flight);
    }

    /// Takes what came of it: what the client got, or why it got nothing of the server. `octets`: how long
    /// the body was on the wire.
    pub(super) fn answered(
        &mut self,
        id: u64,
        response: Result<HttpMessage, Failure>,
        octets: usize,
        at_ms: u64,
    ) -> Option<Passed> {
        let flight = self.under_way.remove(&id)?;
        let ended_ms = self.stamp(at_ms);
        let Flight {
            number,
            request,
            version,
            started_ms,
            found,
            criteria,
            correct,
            crossed,
        } = flight;
        let mut judged = Vec::new();
        let mut foreign = None;
        match found {
            None => foreign = Some(what_else(&request)),
            Some(found) => {
                judged.push(JudgedMessage {
                    exchange: number,
                    sender: Role::Client,
                    message: match &found.tree {
                        Some(tree) => names(Some(tree)).join(", "),
                        None => "no message that can be read".to_owned(),
                    },
                    criteria,
                });
                let asked = Asked {
                    number,
                    version,
                    found: &found,
                    correct,
                    crossed,
                };
                let (tree, of_server) = self.judge_answer(&asked, &response, octets);
                judged.extend(of_server);
                let mut found = found;
                // Its name may have changed while it was under way.
                found.key = found
                    .number
                    .and_then(|n| self.watch.conversations.name_of(n))
                    .or(found.key);
                self.watch.note(found, tree.as_ref(), number, version);
            }
        }
        let exchange = Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request,
            response,
            started_ms,
            duration_ms: ended_ms - started_ms,
            moment: None,
        });
        self.watch.harvest.exchanges.push(Arc::clone(&exchange));
        Some(Passed {
            exchange,
            version,
            judged,
            foreign,
        })
    }

    /// Judges an answer; gives the message in it, as far as the client could read it.
    fn judge_answer(
        &mut self,
        asked: &Asked<'_>,
        response: &Result<HttpMessage, Failure>,
        octets: usize,
    ) -> (Option<Tree>, Option<JudgedMessage>) {
        let of_server = match response {
            // To a message that nobody can read a server may say anything; a message has to be one.
            Ok(http) => asked.found.tree.is_some() || is_csp(http),
            // What kept the answer away may be the network, or this suite.
            Err(failure) => matches!(failure, Failure::NotHttp(..)),
        };
        if !of_server {
            if let (Err(_), Some(number)) = (response, asked.found.number) {
                // Nobody knows what the server did.
                self.spoken.remove(&number);
            }
            return (None, None);
        }
        let version = match (&asked.found.tree, response) {
            (None, Ok(http)) => self.watch.version_of(http),
            _ => asked.version,
        };
        let suite = self.suite;
        let server = self.servers.entry(version).or_insert_with(|| Server {
            judge: server_judge(suite, version),
            voucher: Voucher::default(),
        });
        let before = std::mem::take(&mut server.judge.tally);
        let (answer, mut breaches) = read_answer(&mut server.judge, response.clone(), asked.number);
        let tree = match &answer {
            Answer::Message(message) => Some(&message.tree),
            _ => None,
        };
        if let Some(sent) = &asked.found.tree {
            let mut nobody = Spoken::new(version);
            let spoken = match asked.found.number {
                Some(number) => self.spoken.entry(number).or_insert_with(|| Spoken::new(version)),
                None => &mut nobody,
            };
            spoken.last = asked.number;
            breaches.extend(spoken.judge(&mut server.judge, asked, sent, &answer, octets));
            if let Some(tree) = tree {
                server.voucher.saw(&suite.tables.syntax, sent, tree);
            }
        }
        if let (Answer::Failed(_) | Answer::Unreadable(_), Some(number)) = (&answer, asked.found.number) {
            // Nobody knows what the server did, or said.
            self.spoken.remove(&number);
        }
        let criteria = std::mem::replace(&mut server.judge.tally, before).into_results();
        server.judge.tally.absorb(&criteria);
        if let Some(number) = asked.found.number.filter(|_| !breaches.is_empty()) {
            self.watch.conversations.doubt(number);
        }
        while self.spoken.len() > MAX_CONVERSATIONS {
            self.spoken.pop_first();
        }
        let message = match &answer {
            Answer::Message(message) => describe(&message.tree),
            Answer::Empty => "an empty body".to_owned(),
            Answer::Refused(status) => format!("HTTP {status}"),
            Answer::Unreadable(what) => what.clone(),
            Answer::Failed(failure) => failure.to_string(),
        };
        let judged = JudgedMessage {
            exchange: asked.number,
            sender: Role::Server,
            message,
            criteria,
        };
        (tree.cloned(), Some(judged))
    }

    /// What is not answered yet never will be; the run is over.
    pub(super) fn cut_off(&mut self, at_ms: u64) -> Vec<Passed> {
        let ids: Vec<u64> = self.under_way.keys().copied().collect();
        ids.into_iter()
            .filter_map(|id| self.answered(id, Err(Failure::Cancelled), 0, at_ms))
            .collect()
    }

    /// The results of both sides, and the exchanges in the order in which clients asked.
    pub(super) fn conclude(mut self, versions: &[Version]) -> Harvest {
        for spoken in self.spoken.values() {
            let Some(server) = self.servers.get_mut(&spoken.version) else {
                continue;
            };
            for judgement in spoken.conversation.unanswered() {
                let place = Place {
                    exchange: Some(spoken.last),
                    part: Some(Part::Response),
                    path: judgement.path,
                    position: None,
                };
                let text = format!("{}, as long as it was watched", judgement.text);
                server
                    .judge
                    .inconclusive(&judgement.item, judgement.rule, text, place);
            }
        }
        let mut harvest = self.watch.conclude(versions);
        harvest.exchanges.sort_by_key(|e| e.number);
        for (_, server) in self.servers {
            harvest.results.extend(server.result());
        }
        harvest
    }
}

/// Judges what an archive has of such a run.
pub(super) fn judge_again(
    suite: &Suite,
    exchanges: &[ArchivedExchange],
    versions: &[Version],
) -> Vec<CaseResult> {
    let setup = HarvestSetup::of_archive();
    let mut sides = BothSides::new(suite, &setup, versions);
    // Each message has a time of its own.
    let mut messages: Vec<(u64, bool, &ArchivedExchange)> = Vec::new();
    for kept in exchanges {
        let began = kept.exchange.started_ms;
        messages.push((began, false, kept));
        messages.push((began + kept.exchange.duration_ms, true, kept));
    }
    messages.sort_by_key(|(ms, is_answer, kept)| (*ms, *is_answer, kept.exchange.number));
    for (ms, is_answer, kept) in messages {
        let id = u64::from(kept.exchange.number);
        if is_answer {
            let response = kept.exchange.response.clone();
            let here = response.as_ref().map_or(0, |r| r.body.len());
            sides.answered(id, response, here.max(kept.archived.answer.octets), ms);
        } else {
            let request = HttpMessage {
                body: filled(kept),
                ..kept.exchange.request.clone()
            };
            sides.asked(id, request, ms);
        }
    }
    sides.conclude(versions).results
}

/// What an answer answers.
struct Asked<'a> {
    number: u32,
    version: Version,
    found: &'a Found,
    correct: bool,
    crossed: bool,
}

impl Spoken {
    fn new(version: Version) -> Self {
        Self {
            conversation: Conversation::new(Role::Server),
            version,
            last: 0,
        }
    }

    /// Holds an answer against the rules of its conversation; gives the items that it breaks.
    fn judge(
        &mut self,
        judge: &mut Judge<'_>,
        asked: &Asked<'_>,
        sent: &Tree,
        answer: &Answer,
        octets: usize,
    ) -> Vec<ItemId> {
        let given = match answer {
            Answer::Message(message) => Given::Message(&message.tree),
            Answer::Empty => Given::Empty,
            _ => Given::Nothing,
        };
        let is_message = matches!(given, Given::Message(_));
        let size = self.conversation.server_size(octets).filter(|_| is_message);
        let syntax = &judge.suite.tables.syntax;
        let mut judgements = self.conversation.server_answer(syntax, sent, given);
        if !asked.correct {
            // The session is followed; what else was made of a broken message, nobody knows.
            self.conversation.unsure();
            return Vec::new();
        }
        judgements.extend(size);
        let mut sure: Vec<Judgement> = Vec::new();
        for judgement in judgements {
            if asked.crossed && !judgement.holds && hangs_on_earlier(judgement.rule) {
                let text = format!(
                    "{}; another message of the conversation was under way",
                    judgement.text
                );
                let at = Place {
                    exchange: Some(asked.number),
                    part: Some(Part::Response),
                    path: judgement.path,
                    position: None,
                };
                judge.inconclusive(&judgement.item, judgement.rule, text, at);
            } else {
                sure.push(judgement);
            }
        }
        let mut broken = judge.conversation(sure, asked.number, Part::Response);
        broken.extend(silence(judge, asked, sent, given));
        broken
    }
}

/// Charges whether a request was met by silence; gives the item that is broken.
fn silence(judge: &mut Judge<'_>, asked: &Asked<'_>, sent: &Tree, given: Given<'_>) -> Option<ItemId> {
    let envelope = Envelope::of(sent)?;
    let mut requests = envelope
        .transactions
        .iter()
        .filter(|t| t.mode == Mode::Request && t.name != "Polling-Request");
    let first = requests.next()?;
    let holds = match given {
        Given::Message(_) => true,
        // Of several requests some may be answered later, and an answer may come with another message.
        Given::Empty if requests.next().is_none() && !asked.crossed => false,
        Given::Empty | Given::Nothing => return None,
    };
    let row = judge.suite.tables.syntax.primitive(&first.name)?;
    if row.answers.is_empty() {
        return None;
    }
    let item = judge.own("ENV", 14);
    let place = Place {
        exchange: Some(asked.number),
        part: Some(Part::Response),
        ..Place::default()
    };
    let text = match holds {
        true => format!("{} is answered", first.name),
        false => format!("{}: answered by an empty body", first.name),
    };
    judge.charge(&item, "request-answered", holds, text, place);
    (!holds).then_some(item)
}

impl Server<'_> {
    /// What the general rules came to; none when nothing was judged.
    fn result(self) -> Option<CaseResult> {
        let Server { mut judge, voucher } = self;
        if !judge.tally.has_any() {
            return None;
        }
        if !voucher.vouches() {
            judge.tally.distrust(
                &[],
                "nothing shows that the server does anything: no session was opened and used while it was watched",
            );
        }
        let version = judge.version;
        let verdict = judge.tally.verdict();
        let criteria = judge.tally.into_results();
        let items: BTreeSet<ItemId> = criteria.iter().map(|c| c.item.clone()).collect();
        Some(CaseResult {
            id: CaseId::parse(SERVER_CASE).ok()?,
            title: "everything that the server answered".to_owned(),
            scr: items.into_iter().collect(),
            role: Role::Server,
            version,
            encoding: Encoding::Xml,
            verdict,
            reason: String::new(),
            criteria,
            silence: Vec::new(),
            declined: Vec::new(),
            duration_ms: 0,
            turns: Vec::new(),
        })
    }
}

fn server_judge(suite: &Suite, version: Version) -> Judge<'_> {
    Judge {
        suite,
        role: Role::Server,
        version,
        tally: Tally::default(),
    }
}

/// What a message is that is none of CSP in XML.
fn what_else(request: &HttpMessage) -> String {
    match request.media_type() {
        Some(binary) if is_binary_type(&binary) => {
            format!("`{}` of {binary}, which is not read here", request.start)
        }
        Some(other) => format!("`{}` of {other}, which is no CSP", request.start),
        None => format!("`{}`, which is no CSP", request.start),
    }
}

#[cfg(test)]
mod tests;
