//! What a server under test answered, against what a step expects of it.

use std::time::Duration;

use crate::base::ItemId;
use crate::case::{Codes, Expected, Test};
use crate::message::Tree;
use crate::record::Failure;
use crate::verdict::{Part, Place};

use super::expectation::{Answer, Outcome, outcome};
use super::judge::{condition, describe, first_code};
use super::server_iut::{Phase, Runner, Stop};

/// Time between two looks at what sessions of a killed run may delay.
pub(super) const BETWEEN: Duration = Duration::from_secs(2);

/// A message that conditions are asked of.
pub(super) struct Judged<'a> {
    pub tree: &'a Tree,
    /// What the rule is about.
    pub about: &'a str,
    /// Item of the conditions that name none.
    pub item: &'a ItemId,
    /// Items that the message broke.
    pub breaches: &'a [ItemId],
    pub place: Place,
}

impl Runner<'_> {
    /// Judges the answer to the last request of a lane.
    pub(super) fn expect(
        &mut self,
        expected: &Expected,
        lane_name: &str,
        item: Option<&ItemId>,
        tests: &[Test],
        codes: &Codes,
    ) -> Result<(), Stop> {
        let phase = self.phase;
        // By SSP a client is but a means: what it is answered proves and breaks no item, unless one is named.
        if self.ssp.is_some() && item.is_none() && phase == Phase::Procedure {
            self.phase = Phase::Preconditions;
        }
        let outcome = self.expect_answer(expected, lane_name, item, tests, codes);
        self.phase = phase;
        outcome
    }

    fn expect_answer(
        &mut self,
        expected: &Expected,
        lane_name: &str,
        item: Option<&ItemId>,
        tests: &[Test],
        codes: &Codes,
    ) -> Result<(), Stop> {
        let item = item.unwrap_or(&self.case.scr[0]).clone();
        let lane = self.lane(lane_name)?;
        let Some((answer, number)) = lane.answer.clone() else {
            return Err(Stop::Error("`expect` before any `send`".to_owned()));
        };
        let (breaches, asked) = (lane.breaches.clone(), lane.asked.clone());
        let carried_oddly = lane.carried_oddly;
        if let Answer::Failed(failure @ (Failure::Unreachable(_) | Failure::Tls(_) | Failure::Cancelled)) =
            &answer
        {
            return Err(Stop::Inconclusive(failure.to_string()));
        }
        let place = Place {
            exchange: Some(number),
            part: Some(Part::Response),
            ..Place::default()
        };
        if let Answer::Refused(status) = &answer
            && codes.decline.contains(status)
        {
            return Err(Stop::Declined(*status));
        }
        if let Answer::Message(message) = &answer {
            let code = first_code(&message.tree);
            if code.is_some_and(|c| codes.settled_by.contains(&c)) {
                self.answered(&place, true, &asked, "answered");
                let text = format!("{} settles it", describe(&message.tree));
                if self.phase == Phase::Procedure {
                    let rule = format!("{asked} is answered by {expected} or a code that settles it");
                    self.judge
                        .charge(&self.case.scr[0].clone(), &rule, true, text, place);
                }
                return Err(Stop::Settled);
            }
            if let Some(code) = code.filter(|c| codes.decline.contains(c)) {
                return Err(Stop::Declined(code));
            }
            if code.is_some_and(|c| codes.excused_by.contains(&c)) {
                self.answered(&place, true, &asked, "answered");
                return Ok(());
            }
            if let Some(code) = code.filter(|c| c / 100 == 1) {
                return Err(Stop::Inconclusive(format!(
                    "the answer is provisional (code {code}): the final one may follow later (TR-4)"
                )));
            }
            if code == Some(603) && matches!(expected, Expected::Primitives(_)) {
                return Err(Stop::Inconclusive(
                    "the server says that this client of the user is logged in already (code 603)".to_owned(),
                ));
            }
        }
        let rule = format!("{asked} is answered by {expected}");
        match outcome(expected, &answer, tests) {
            Outcome::Met(text) => {
                self.answered(&place, true, &asked, "answered");
                if self.phase == Phase::Procedure {
                    self.judge.charge(&item, &rule, true, text, place.clone());
                }
            }
            // An empty body is how a poll is served, so that it is no silence; and a request that came in a
            // way that the server may not know is what its case is about.
            Outcome::Silence(text)
                if !(carried_oddly || matches!(answer, Answer::Empty) && asked == "Polling-Request") =>
            {
                self.answered(&place, false, &asked, &text);
                return self.blocked(&item, &rule, text, &[self.judge.own("ENV", 14)], place);
            }
            Outcome::Silence(text) | Outcome::Other(text) => {
                if !breaches.is_empty() {
                    return self.blocked(&item, &rule, text, &breaches, place);
                }
                return self.unmet(&item, &rule, text, place);
            }
        }
        // An answer that is no message has none of the parts that conditions ask for.
        let nothing = Tree::new("none", "");
        let tree = match &answer {
            Answer::Message(message) => &message.tree,
            _ => &nothing,
        };
        let of = Judged {
            tree,
            about: &asked,
            item: &item,
            breaches: &breaches,
            place,
        };
        match self.conditions(tests, of) {
            // A condition with an item of its own does not end a case: the next steps may do without it.
            Some(Stop::Charged) | None => Ok(()),
            Some(stop) => Err(stop),
        }
    }

    /// Sends the last request again until the conditions hold, for as long as sessions that a killed run left
    /// open may make the difference.
    pub(super) async fn ask_again(&mut self, lane_name: &str, tests: &[Test]) -> Result<(), Stop> {
        for _ in 0..self.turns_for_left_sessions(lane_name)? {
            let Some((Answer::Message(message), _)) = &self.lane(lane_name)?.answer else {
                break;
            };
            let tree = message.tree.clone();
            if tests.iter().all(|t| condition(t, &tree, self).0) {
                break;
            }
            self.wire.pause(&self.target.clock, BETWEEN).await;
            let (primitives, edits) = self.lane(lane_name)?.sent.clone();
            self.send(&primitives, lane_name, &edits).await?;
        }
        Ok(())
    }

    /// How often something is looked for that sessions of a killed run may delay.
    pub(super) fn turns_for_left_sessions(&mut self, lane_name: &str) -> Result<u64, Stop> {
        let granted = self.lane(lane_name)?.engine.keep_alive_time().unwrap_or(0);
        let longest = Duration::from_secs(u64::from(granted)).min(self.target.longest_wait);
        Ok(longest.as_secs() / BETWEEN.as_secs() + 1)
    }

    /// Judges the conditions of a step by a message; tells what stops the case.
    pub(super) fn conditions(&mut self, tests: &[Test], of: Judged<'_>) -> Option<Stop> {
        let mut stop = None;
        for test in tests {
            let charged = test.item.as_ref().unwrap_or(of.item).clone();
            let (holds, text, path) = condition(test, of.tree, self);
            let at = Place {
                path,
                ..of.place.clone()
            };
            if !holds && test.declines {
                return Some(Stop::Absent(format!("the peer does not have this: {text}")));
            }
            let rule = format!("{}: {}", of.about, test.condition);
            let ended = if !holds && of.breaches.is_empty() {
                self.unmet(&charged, &rule, text, at)
            } else if !holds {
                self.blocked(&charged, &rule, text, of.breaches, at)
            } else {
                if self.phase == Phase::Procedure {
                    self.judge.charge(&charged, &rule, true, text, at);
                }
                Ok(())
            };
            stop = ended.err().or(stop);
        }
        stop
    }

    fn answered(&mut self, place: &Place, yes: bool, asked: &str, text: &str) {
        let item = self.judge.own("ENV", 14);
        if self.phase == Phase::Procedure || !yes {
            let text = if yes {
                format!("{asked} is answered")
            } else {
                format!("{asked}: {text}")
            };
            self.judge
                .charge(&item, "request-answered", yes, text, place.clone());
        }
    }

    /// The peer broke the rule of this item; in a precondition that is somebody else's case.
    pub(super) fn unmet(
        &mut self,
        item: &ItemId,
        rule: &str,
        text: String,
        place: Place,
    ) -> Result<(), Stop> {
        match self.phase {
            Phase::Procedure => {
                self.judge.charge(item, rule, false, text, place);
                Err(Stop::Charged)
            }
            _ => Err(Stop::Inconclusive(format!(
                "a precondition does not hold: {text}"
            ))),
        }
    }

    /// What cannot be told because the message breaks another item.
    pub(super) fn blocked(
        &mut self,
        item: &ItemId,
        rule: &str,
        text: String,
        by: &[ItemId],
        place: Place,
    ) -> Result<(), Stop> {
        if by.contains(item) {
            // Charged already: the rule that blocks is the one that is judged.
            return Err(Stop::Charged);
        }
        let names: Vec<&str> = by.iter().map(ItemId::as_str).collect();
        let text = format!("{text} (blocked by {})", names.join(", "));
        if self.phase == Phase::Procedure {
            self.judge.inconclusive(item, rule, text.clone(), place);
        }
        Err(Stop::Inconclusive(text))
    }
}
