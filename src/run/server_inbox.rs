//! Requests of the server under test: they come in answers to anything, mostly to polls. A lane collects
//! them, answers them as a correct client does, and tells which came and which did not.

use std::time::Duration;

use crate::base::ItemId;
use crate::case::{Condition, Patience, Reply, Test, Wanted};
use crate::codec::deviation::{Draft, Sending};
use crate::event::Silence;
use crate::message::{Elem, Envelope, Mode, TransactionView, Tree};
use crate::peer::compose::{self, Part as Transaction};
use crate::peer::{MEDIA_TYPE_XML, client};
use crate::verdict::{Part, Place};

use super::conclude::millis;
use super::expectation::Answer;
use super::judge::{Values, condition, first_code};
use super::server_answers::{BETWEEN, Judged};
use super::server_iut::{Phase, Runner, Stop};

/// Longest time between two polls that look for a request, and shortest.
const GAP: Duration = Duration::from_millis(500);
/// Most polls for one request.
const MOST_POLLS: u32 = 40;
/// Most polls until a server has nothing more to say.
const MOST_DRAINS: usize = 20;

/// What came to a lane.
#[derive(Debug, Default)]
pub struct Inbox {
    came: Vec<Came>,
}

/// One request of the server.
#[derive(Debug, Clone)]
struct Came {
    /// A message with this transaction alone.
    tree: Tree,
    transaction: TransactionView,
    /// Exchange that brought it.
    number: u32,
    /// Items that the message broke.
    breaches: Vec<ItemId>,
    /// Whether a step has taken it.
    taken: bool,
    answered: bool,
    /// Whether it came in the procedure of the case.
    counts: bool,
}

impl Inbox {
    /// Collects the requests of a message.
    pub fn take(&mut self, tree: &Tree, number: u32, breaches: &[ItemId]) {
        let Some(envelope) = Envelope::of(tree) else {
            return;
        };
        let requests = envelope
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request && t.primitive.is_some());
        for request in requests {
            let mut alone = tree.clone();
            for other in envelope.transactions.iter().filter(|t| t.node != request.node) {
                alone.detach(other.node);
            }
            self.came.push(Came {
                tree: alone,
                transaction: request.clone(),
                number,
                breaches: breaches.to_vec(),
                taken: false,
                answered: request.name == "Disconnect",
                counts: true,
            });
        }
    }

    /// How many came so far.
    pub fn count(&self) -> usize {
        self.came.len()
    }

    /// What came so far does not count: the procedure begins.
    pub fn begin_procedure(&mut self) {
        for came in &mut self.came {
            came.counts = false;
        }
    }
}

impl Runner<'_> {
    /// Polls until a request of the server comes, answers what came, and judges it.
    pub(super) async fn receive(
        &mut self,
        wanted: &Wanted,
        item: &ItemId,
        tests: &[Test],
        reply: Reply,
    ) -> Result<(), Stop> {
        let lane = &wanted.lane;
        let names = wanted.primitives.join(" or ");
        let rule = format!("{names} comes to {lane}");
        let found = self.look_for(wanted).await?;
        let Some(index) = found else {
            let text = format!("no {wanted} came");
            let refused = self.refused_poll(lane)?;
            let poll = self.judge.own("POLL", 1);
            let lane = self.lane(lane)?;
            // What came and broke a rule of its own may have been it; and a server that refuses polls has told
            // nothing.
            let breaches: Vec<ItemId> = lane
                .broken
                .iter()
                .cloned()
                .chain(refused.then_some(poll))
                .collect();
            let failed = lane.answer.as_ref().and_then(|(a, _)| match a {
                Answer::Failed(failure) => Some(failure.to_string()),
                _ => None,
            });
            let place = Place::default();
            if let Some(failure) = failed {
                return self.blocked(
                    item,
                    &rule,
                    format!("{text}: {failure}"),
                    &[self.judge.own("ENV", 14)],
                    place,
                );
            }
            return match breaches.is_empty() {
                true => self.unmet(item, &rule, text, place),
                false => self.blocked(item, &rule, text, &breaches, place),
            };
        };
        let came = {
            let came = &mut self.lane(lane)?.inbox.came[index];
            came.taken = true;
            came.clone()
        };
        self.answer_requests(lane, Some((index, reply))).await?;
        let place = Place {
            exchange: Some(came.number),
            part: Some(Part::Response),
            ..Place::default()
        };
        if self.phase == Phase::Procedure {
            let text = format!("{} came to {lane}", came.transaction.name);
            self.judge.charge(item, &rule, true, text, place.clone());
        }
        let of = Judged {
            tree: &came.tree,
            about: &names,
            item,
            breaches: &came.breaches,
            place,
        };
        let stop = self.conditions(tests, of);
        // What `keep` reads from now on.
        let message = super::suite::reread(&crate::codec::write(
            &came.tree,
            &crate::codec::WriteOptions::default(),
        ));
        let lane = self.lane(lane)?;
        if let Some(message) = message {
            lane.answer = Some((Answer::Message(Box::new(message)), came.number));
        }
        match stop {
            Some(Stop::Charged) | None => Ok(()),
            Some(stop) => Err(stop),
        }
    }

    /// Judges that no such request came to a lane in this procedure.
    pub(super) async fn nothing(&mut self, wanted: &Wanted, item: &ItemId, window: bool) -> Result<(), Stop> {
        let mut waited = Duration::ZERO;
        self.drain(&wanted.lane).await?;
        if window {
            waited = self.target.quiet;
            self.wire.pause(&self.target.clock, waited).await;
            self.drain(&wanted.lane).await?;
        }
        let found = self.find(wanted, true)?;
        let (text, place) = match found {
            Some(index) => {
                let came = &self.lane(&wanted.lane)?.inbox.came[index];
                let place = Place {
                    exchange: Some(came.number),
                    part: Some(Part::Response),
                    ..Place::default()
                };
                (format!("{wanted} came"), place)
            }
            None => (
                format!("no {wanted} came"),
                Place {
                    exchange: Some(self.next_number().saturating_sub(1)),
                    part: Some(Part::Response),
                    ..Place::default()
                },
            ),
        };
        let rule = format!("no {wanted}");
        self.silence.push(Silence {
            of: wanted.to_string(),
            proof: match window {
                true => "fence and window".to_owned(),
                false => "fence".to_owned(),
            },
            // A fence is no matter of time.
            waited_ms: millis(waited),
        });
        if found.is_some() {
            // What was broken may not have been answered in a way that the server could take for an answer.
            let broken: Vec<ItemId> = self.lane(&wanted.lane)?.broken.iter().cloned().collect();
            return match broken.is_empty() {
                true => self.unmet(item, &rule, text, place),
                false => self.blocked(item, &rule, text, &broken, place),
            };
        }
        match self.phase {
            Phase::Procedure => {
                self.judge.charge(item, &rule, true, text, place);
            }
            // What came until now is of earlier: no step is to take it for what this case brings about.
            _ => {
                for came in &mut self.lane(&wanted.lane)?.inbox.came {
                    came.taken = true;
                }
            }
        }
        Ok(())
    }

    /// Polls for a request; its place in the inbox.
    async fn look_for(&mut self, wanted: &Wanted) -> Result<Option<usize>, Stop> {
        let gap = self
            .lane(&wanted.lane)?
            .engine
            .poll_interval()
            .map_or(GAP, |s| Duration::from_secs(u64::from(s)).max(GAP));
        let polls = u32::try_from(self.target.response.as_millis() / gap.as_millis().max(1))
            .unwrap_or(MOST_POLLS)
            .clamp(2, MOST_POLLS);
        let (mut turn, mut promises) = (0, 0);
        loop {
            if let Some(index) = self.find(wanted, false)? {
                return Ok(Some(index));
            }
            if turn == polls || self.target.guest.is_leaving() {
                break;
            }
            let promised = self.poll(&wanted.lane).await?;
            if self.find(wanted, false)?.is_none() {
                self.answer_requests(&wanted.lane, None).await?;
                if self.failed(&wanted.lane)? {
                    break;
                }
                // One request an answer, and Poll T for the rest: that is no silence.
                if promised && promises < MOST_POLLS {
                    promises += 1;
                    continue;
                }
                if turn > 0 {
                    self.wire.pause(&self.target.clock, gap).await;
                }
            }
            turn += 1;
        }
        if wanted.patience == Patience::LeftSessions {
            for _ in 0..self.turns_for_left_sessions(&wanted.lane)? {
                if self.find(wanted, false)?.is_some() || self.target.guest.is_leaving() {
                    break;
                }
                self.wire.pause(&self.target.clock, BETWEEN).await;
                self.poll(&wanted.lane).await?;
                if self.find(wanted, false)?.is_none() {
                    self.answer_requests(&wanted.lane, None).await?;
                }
            }
        }
        self.find(wanted, false)
    }

    /// Polls until nothing more is promised.
    async fn drain(&mut self, lane: &str) -> Result<(), Stop> {
        for _ in 0..MOST_DRAINS {
            let before = self.lane(lane)?.inbox.came.len();
            let promised = self.poll(lane).await?;
            self.answer_requests(lane, None).await?;
            let more = self.lane(lane)?.inbox.came.len() > before;
            if self.failed(lane)? || !(promised || more) {
                break;
            }
        }
        Ok(())
    }

    fn failed(&mut self, lane: &str) -> Result<bool, Stop> {
        let answer = self.lane(lane)?.answer.as_ref().map(|(a, _)| a);
        Ok(matches!(answer, Some(Answer::Failed(_) | Answer::Refused(_))))
    }

    /// Whether the last poll was answered by a refusal.
    fn refused_poll(&mut self, lane: &str) -> Result<bool, Stop> {
        let lane = self.lane(lane)?;
        let answer = lane.answer.as_ref().map(|(a, _)| a);
        Ok(lane.asked == "Polling-Request"
            && match answer {
                Some(Answer::Message(m)) => first_code(&m.tree).is_some_and(|c| c >= 400),
                Some(Answer::Refused(_)) => true,
                _ => false,
            })
    }

    /// One poll; whether the answer promises more.
    pub(super) async fn poll(&mut self, lane: &str) -> Result<bool, Stop> {
        self.send(&["Polling-Request".to_owned()], lane, &[]).await?;
        Ok(match &self.lane(lane)?.answer {
            Some((Answer::Message(m), _)) => {
                Envelope::of(&m.tree).is_some_and(|e| e.poll.as_deref() == Some("T"))
            }
            _ => false,
        })
    }

    /// The first request that no step has taken and that fits; for a silence, any of this procedure.
    fn find(&mut self, wanted: &Wanted, any: bool) -> Result<Option<usize>, Stop> {
        let came = self.lane(&wanted.lane)?.inbox.came.clone();
        let fits = |c: &Came| {
            let wants = |n: &Condition| {
                let test = Test {
                    item: None,
                    condition: n.clone(),
                    declines: false,
                };
                condition(&test, &c.tree, self).0
            };
            (any && c.counts && !(wanted.more && c.taken) || !any && !c.taken)
                && wanted.primitives.contains(&c.transaction.name)
                && wanted.matching.iter().all(wants)
        };
        Ok(came.iter().position(fits))
    }

    /// Answers every request of the server that was not answered yet, in one message.
    async fn answer_requests(
        &mut self,
        lane_name: &str,
        special: Option<(usize, Reply)>,
    ) -> Result<(), Stop> {
        let version = self.judge.version;
        let lane = self.lane(lane_name)?;
        let mut parts: Vec<Transaction> = Vec::new();
        for (index, came) in lane
            .inbox
            .came
            .iter_mut()
            .enumerate()
            .filter(|(_, c)| !c.answered)
        {
            let chosen = special.filter(|(i, _)| *i == index).map(|(_, r)| r);
            let primitive: Elem = match chosen.unwrap_or_default() {
                Reply::Nothing => {
                    came.answered = true;
                    continue;
                }
                Reply::Status(code) => compose::status(code),
                Reply::Correct => client::correct_reply(&came.tree, &came.transaction),
            };
            came.answered = true;
            parts.push(Transaction {
                mode: Mode::Response,
                id: came.transaction.id.clone(),
                primitive,
            });
        }
        if parts.is_empty() || lane.engine.session().is_none() {
            return Ok(());
        }
        let tree = lane.engine.answering(parts);
        let encoded = Draft {
            version,
            status: 0,
            method: "POST".to_owned(),
            media_type: MEDIA_TYPE_XML.to_owned(),
            tree: Some(tree),
            sending: Sending::Normal,
        }
        .encode(&[], &|name| self.value(name))
        .map_err(Stop::Error)?;
        self.exchange(lane_name, &encoded).await
    }
}
