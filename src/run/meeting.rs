//! What stands between the runner of a case and the client: a station where the client is met, or an
//! archive in its place. Both take the same turns, so that a case over an archive stops where it stopped
//! then: at a stimulus, and where nothing came any more.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::capture::{ArchivedCase, ArchivedExchange};
use crate::event::Turn;
use crate::record::HttpMessage;
use crate::spec::Command;
use crate::transport::server::Answer;

use super::conversations::Conversations;
use super::driver::Order;
use super::real_client::MAX_MESSAGES;
use super::station::{Between, Manners, Patience, Station};
use super::wire::filled;

/// One case with a client, live or archived, and the turns that it took.
pub struct Meeting<'a> {
    with: With<'a>,
    turns: Vec<Turn>,
}

enum With<'a> {
    Client(&'a mut Station),
    Archive(Tape<'a>),
}

/// What is known of the clients of an archive before a case.
#[derive(Debug)]
pub struct Past {
    /// What was said so far.
    pub conversations: Conversations,
    /// Whether a message of the client ever came.
    pub met: bool,
    /// Where it was waited for.
    pub address: String,
}

impl Past {
    /// Nothing was said yet.
    pub fn new(address: &str) -> Self {
        Self {
            conversations: Conversations::new(true),
            met: false,
            address: address.to_owned(),
        }
    }
}

/// An archived case, read in order.
struct Tape<'a> {
    past: &'a mut Past,
    manners: Manners,
    turns: &'a [Turn],
    /// How many of the turns were taken.
    at: usize,
    left: VecDeque<ArchivedExchange>,
    trouble: Option<String>,
    /// Why nothing more can be read: the case asks for what it did not ask for then.
    gap: Option<String>,
    stirred: bool,
    now_ms: u64,
}

/// A message of the client.
#[derive(Debug)]
pub struct Came {
    /// What came, as it may be judged: from an archive, what was masked in it is filled with something of
    /// the same form.
    pub request: HttpMessage,
    /// How many turns the case had taken.
    pub after_turn: u32,
    /// When it came, by the clock of the run.
    pub at_ms: u64,
    /// The same, for whoever measures.
    pub since: Instant,
    /// Who sent it, where that can be told.
    pub peer: Option<std::net::IpAddr>,
    /// How it is answered.
    pub way: Way,
}

/// How a message is answered.
#[derive(Debug)]
pub enum Way {
    /// By an answer that is made now.
    Answer(oneshot::Sender<Answer>),
    /// As it was then.
    Archived(ArchivedExchange),
}

impl<'a> Meeting<'a> {
    /// At a station.
    pub fn at(station: &'a mut Station) -> Self {
        Self {
            with: With::Client(station),
            turns: Vec::new(),
        }
    }

    /// In an archive. `embedded`: the client was made for this case. None when the archive does not tell
    /// what the client was asked for.
    pub fn archived(past: &'a mut Past, case: &'a ArchivedCase, embedded: bool) -> Option<Self> {
        let turns = case.result.as_ref()?.turns.as_slice();
        let first = turns.first()?;
        if case.exchanges.iter().any(|e| e.exchange.moment.is_none()) {
            return None;
        }
        let between = match first {
            _ if embedded => Between::Fresh,
            Turn::Asked(orders) if *orders == [word(&Order::Reset)] => Between::Reset,
            _ => Between::Keep,
        };
        let person = between == Between::Keep;
        let none = Duration::ZERO;
        let manners = Manners {
            between,
            most: if embedded {
                Manners::embedded().most
            } else {
                MAX_MESSAGES
            },
            patience: person.then_some(Patience {
                periodic: none,
                soon: none,
            }),
            probe: !person,
            ..Manners::embedded()
        };
        Some(Self {
            with: With::Archive(Tape {
                past,
                manners,
                turns,
                at: 0,
                left: case.exchanges.iter().cloned().collect(),
                trouble: None,
                gap: None,
                // A case that began with waiting for silence began so because there might be none.
                stirred: matches!(first, Turn::Silent(_)),
                now_ms: 0,
            }),
            turns: Vec::new(),
        })
    }

    /// The station; none over an archive.
    pub fn station(&mut self) -> Option<&mut Station> {
        match &mut self.with {
            With::Client(station) => Some(station),
            With::Archive(_) => None,
        }
    }

    /// What the case did besides answering.
    pub fn into_turns(self) -> Vec<Turn> {
        match self.with {
            With::Client(_) => self.turns,
            // Judged again once more, it has to come to the same.
            With::Archive(tape) => tape.turns.to_vec(),
        }
    }

    /// What a case may expect of the client.
    pub fn manners(&self) -> &Manners {
        match &self.with {
            With::Client(station) => &station.manners,
            With::Archive(tape) => &tape.manners,
        }
    }

    /// What was said so far.
    pub fn conversations(&self) -> &Conversations {
        match &self.with {
            With::Client(station) => &station.conversations,
            With::Archive(tape) => &tape.past.conversations,
        }
    }

    /// The same, to follow it.
    pub fn conversations_mut(&mut self) -> &mut Conversations {
        match &mut self.with {
            With::Client(station) => &mut station.conversations,
            With::Archive(tape) => &mut tape.past.conversations,
        }
    }

    /// Whether the client is logged in, and stays so until the case says otherwise.
    pub fn keeps_session(&mut self) -> bool {
        let found = match &mut self.with {
            With::Client(station) => {
                station.manners.between == Between::Keep
                    && station
                        .conversations
                        .session()
                        .is_some_and(|s| station.engine.has_session(s))
            }
            With::Archive(tape) => {
                let found = tape.turns.first() == Some(&Turn::LoggedIn);
                tape.at += usize::from(found);
                found
            }
        };
        if found {
            self.turns.push(Turn::LoggedIn);
        }
        found
    }

    /// Asks for these things, one after the other. What was asked before and not begun is forgotten.
    pub fn ask(&mut self, orders: impl IntoIterator<Item = Order>) {
        let orders: Vec<Order> = orders.into_iter().collect();
        let words: Vec<String> = orders.iter().map(word).collect();
        match &mut self.with {
            With::Client(station) => station.ask(orders),
            With::Archive(tape) => tape.ask(&words),
        }
        self.turns.push(Turn::Asked(words));
    }

    /// Forgets what was asked and not begun: what it was for has come.
    pub fn forget(&mut self) {
        match &mut self.with {
            With::Client(station) => station.forget(),
            With::Archive(tape) => tape.trouble = None,
        }
    }

    /// Why what was asked last was not carried out; none when any of it was.
    pub fn trouble(&self) -> Option<&str> {
        match &self.with {
            With::Client(station) => station.trouble(),
            With::Archive(tape) => tape.gap.as_deref().or(tape.trouble.as_deref()),
        }
    }

    /// What the case asks for and the archive does not have.
    pub fn gap(&self) -> Option<&str> {
        match &self.with {
            With::Client(_) => None,
            With::Archive(tape) => tape.gap.as_deref(),
        }
    }

    /// Whether a message of the client ever came.
    pub fn has_met_client(&self) -> bool {
        match &self.with {
            With::Client(station) => station.has_met_client(),
            With::Archive(tape) => tape.past.met,
        }
    }

    /// Where the client is waited for.
    pub fn address(&self) -> String {
        match &self.with {
            With::Client(station) => station.address().to_string(),
            With::Archive(tape) => tape.past.address.clone(),
        }
    }

    /// Whether nothing is being carried out.
    pub fn is_idle(&self) -> bool {
        match &self.with {
            With::Client(station) => station.is_idle(),
            With::Archive(_) => true,
        }
    }

    /// Whether anything happened since [`Meeting::calm`].
    pub fn is_stirred(&self) -> bool {
        match &self.with {
            With::Client(station) => station.is_stirred(),
            With::Archive(tape) => tape.stirred,
        }
    }

    /// Notes that the client was quiet.
    pub fn calm(&mut self) {
        match &mut self.with {
            With::Client(station) => station.calm(),
            With::Archive(tape) => tape.stirred = false,
        }
    }

    /// When the last order was acknowledged; nothing in an archive waits for that.
    pub fn last_ack(&self) -> Option<Instant> {
        match &self.with {
            With::Client(station) => Some(station.last_ack()),
            With::Archive(_) => None,
        }
    }

    /// Whether a message waits that came before the step that takes it.
    pub fn holds_one(&self) -> bool {
        match &self.with {
            With::Client(station) => station.holds_one(),
            With::Archive(tape) => tape.at == 0 && tape.is_next_there(),
        }
    }

    /// Waits, where there is somebody to wait for.
    pub async fn pause(&self, time: Duration) {
        if let With::Client(_) = &self.with {
            tokio::time::sleep(time).await;
        }
    }

    /// The next message of the client, or none when nothing came for `grace` after `began` or the last
    /// acknowledgement.
    pub async fn next(&mut self, began: Instant, grace: Duration) -> Option<Came> {
        match &mut self.with {
            With::Client(station) => {
                let Some(arrived) = station.next(began, grace).await else {
                    let why = station.trouble().unwrap_or_default().to_owned();
                    self.turns.push(Turn::Silent(why));
                    return None;
                };
                Some(Came {
                    request: arrived.request,
                    after_turn: u32::try_from(self.turns.len()).unwrap_or(u32::MAX),
                    at_ms: station.clock_ms(),
                    since: Instant::now(),
                    peer: arrived.peer,
                    way: Way::Answer(arrived.answer),
                })
            }
            With::Archive(tape) => tape.next(),
        }
    }

    /// Now, in milliseconds of the clock of the run.
    pub fn clock_ms(&self) -> u64 {
        match &self.with {
            With::Client(station) => station.clock_ms(),
            With::Archive(tape) => tape.now_ms,
        }
    }

    /// Notes that a message did not get the answer that the case wants because none could be made.
    pub fn left_unanswered(&mut self, why: &str) {
        self.turns.push(Turn::Unanswered(why.to_owned()));
    }

    /// Why the message that was recorded last did not get the answer that the case wants, in an archive.
    pub fn was_unanswered(&mut self) -> Option<String> {
        let With::Archive(tape) = &mut self.with else {
            return None;
        };
        // A note that stands after another message is about that one.
        if tape.is_next_there() {
            return None;
        }
        let Some(Turn::Unanswered(why)) = tape.turns.get(tape.at) else {
            return None;
        };
        tape.at += 1;
        Some(why.clone())
    }
}

impl Tape<'_> {
    fn ask(&mut self, orders: &[String]) {
        self.trouble = None;
        self.stirred = true;
        let then = self.turns.iter().enumerate().skip(self.at);
        let next = then
            .filter_map(|(at, turn)| match turn {
                Turn::Asked(orders) => Some((at, orders)),
                _ => None,
            })
            .next();
        match next {
            Some((at, then)) if then == orders => self.at = at + 1,
            // What the client would have done is not known, so nothing that it did counts any more.
            Some((_, then)) => {
                self.gap.get_or_insert(format!(
                    "the archive holds no answer to `{}`: the client was asked for `{}` here",
                    orders.join(", "),
                    then.join(", ")
                ));
            }
            None => {
                self.gap.get_or_insert(format!(
                    "the archive holds no answer to `{}`: the client was asked for nothing more",
                    orders.join(", ")
                ));
            }
        }
    }

    fn is_next_there(&self) -> bool {
        let after = self.left.front().and_then(|e| e.exchange.moment);
        let after = after.and_then(|m| usize::try_from(m.after_turn).ok());
        self.gap.is_none() && after.is_some_and(|n| n <= self.at)
    }

    fn next(&mut self) -> Option<Came> {
        if !self.is_next_there() {
            if let Some(Turn::Silent(why)) = self.turns.get(self.at) {
                self.at += 1;
                self.trouble = Some(why.clone()).filter(|w| !w.is_empty());
            }
            return None;
        }
        let kept = self.left.pop_front()?;
        let moment = kept.exchange.moment?;
        self.stirred = true;
        self.past.met = true;
        self.now_ms = moment.came_ms;
        Some(Came {
            request: HttpMessage {
                body: filled(&kept),
                ..kept.exchange.request.clone()
            },
            after_turn: moment.after_turn,
            at_ms: moment.came_ms,
            since: Instant::now(),
            peer: None,
            way: Way::Archived(kept),
        })
    }
}

/// The word for an order in a transcript.
fn word(order: &Order) -> String {
    match order {
        Order::Configure(_) => "configure",
        Order::Reset => "reset",
        Order::Act(command) => Command::as_str(*command),
    }
    .to_owned()
}
