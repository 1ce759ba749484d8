//! One case against a client under test: the lower tester is the server of a station.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::capture::{ArchivedCase, ArchivedExchange};
use crate::case::{Case, CirMethod, Condition, Fence, Incoming, Step, Test};
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::event::{CaseResult, Silence};
use crate::message::{Envelope, Mode, Tree};
use crate::peer::compose::{self, Part as TransactionPart};
use crate::peer::names::Names;
use crate::peer::server::Outgoing;
use crate::peer::server_requests::server_request;
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::record::{Exchange, Failure, HttpMessage, Initiator, Moment};
use crate::spec::{Command, Role, Status, Version};
use crate::transport::server::Answer;
use crate::verdict::{Part, Place, Verdict};

use super::CaseOutput;
use super::conclude::{millis, result, suite_error, unreached};
use super::driver::Order;
use super::intake::{self, Found};
use super::judge::{Judge, Values, condition};
use super::meeting::{Came, Meeting, Past, Way};
use super::reference::{handle, to_answer, version_of};
use super::shape::{begins_logged_out, login_prefix, other_login};
use super::station::{Between, Station};
use super::suite::{Suite, reread};
use super::tally::Tally;

pub(super) enum Stop {
    Inconclusive(String),
    /// The client does not do what the case is about.
    Inapplicable(String),
    Charged,
    /// The client does not have this, as its messages show.
    Absent(String),
    Error(String),
}

/// A judge of clients that nothing was charged by yet.
pub fn judge_of(suite: &Suite, version: Version) -> Judge<'_> {
    Judge {
        suite,
        role: Role::Client,
        version,
        tally: Tally::default(),
    }
}

/// Runs one case with the client of a station. `credentials`: what it logs in with; an empty password is
/// one that the suite does not know.
pub async fn run_case_at(
    suite: &Suite,
    station: &mut Station,
    credentials: &Credentials,
    case: &Case,
    version: Version,
) -> CaseOutput {
    run_with(suite, Meeting::at(station), credentials, case, version).await
}

/// Judges an archived case by what the client did then. None when the archive does not tell what the
/// client was asked for.
pub async fn judge_again(
    suite: &Suite,
    past: &mut Past,
    credentials: &Credentials,
    case: &Case,
    archived: &ArchivedCase,
    embedded: bool,
) -> Option<CaseOutput> {
    let meeting = Meeting::archived(past, archived, embedded)?;
    Some(run_with(suite, meeting, credentials, case, archived.version).await)
}

async fn run_with(
    suite: &Suite,
    meeting: Meeting<'_>,
    credentials: &Credentials,
    case: &Case,
    version: Version,
) -> CaseOutput {
    let started = Instant::now();
    let mut kept = BTreeMap::new();
    kept.insert("user".to_owned(), credentials.user.clone());
    if !credentials.password.is_empty() {
        kept.insert("password".to_owned(), credentials.password.clone());
    }
    let mut runner = Runner {
        meeting,
        case,
        judge: judge_of(suite, version),
        user: credentials.user.clone(),
        current: None,
        unread: false,
        since_reply: Vec::new(),
        kept,
        wish: Vec::new(),
        wants_poll: false,
        exchanges: Vec::new(),
        behind: Vec::new(),
        silence: Vec::new(),
        seen: false,
        used_session: false,
        judged: false,
        answered_ms: 0,
        idle: false,
    };
    let stop = runner.all_steps().await;
    runner.wish.clear();
    runner.settle().await;
    runner.judged = false;
    for step in &case.after {
        // What a postamble cannot do is no verdict.
        let _ = runner.run_step(step).await;
    }
    runner.settle().await;
    runner.finish(stop, started)
}

/// A message of the client that was taken and not answered yet.
pub(super) struct Taken {
    came: Came,
    found: Found,
}

pub(super) struct Runner<'a> {
    pub(super) meeting: Meeting<'a>,
    pub(super) case: &'a Case,
    pub(super) judge: Judge<'a>,
    user: String,
    pub(super) current: Option<Taken>,
    /// Whether no step has looked at it yet.
    pub(super) unread: bool,
    /// Names of primitives that came since the last scripted reply, with their exchange.
    pub(super) since_reply: Vec<(String, u32)>,
    kept: BTreeMap<String, String>,
    /// With a person: what the client is to do, which nobody was asked for yet.
    wish: Vec<Command>,
    /// Whether answers should make the client poll.
    wants_poll: bool,
    pub(super) exchanges: Vec<Arc<Exchange>>,
    /// What was on a channel while a message waited for its answer: it stands behind that.
    pub(super) behind: Vec<Arc<Exchange>>,
    silence: Vec<Silence>,
    seen: bool,
    /// Whether the client has used the session that it was given.
    used_session: bool,
    pub(super) judged: bool,
    /// When the last answer went out, in milliseconds of the clock.
    answered_ms: u64,
    /// Whether the client is to be left alone until it acts by itself.
    idle: bool,
}

impl Values for Runner<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if name == "session" {
            return self.meeting.conversations().session().map(str::to_owned);
        }
        if name == "peer" {
            return Some(Names::of_client(&self.user).peer);
        }
        self.kept.get(name).cloned()
    }
}

impl Runner<'_> {
    async fn all_steps(&mut self) -> Option<Stop> {
        let case = self.case;
        let skipped = match self.enter().await {
            Ok(skipped) => skipped,
            Err(stop) => return Some(stop),
        };
        for (judged, steps) in [
            (false, &case.preconditions[skipped..]),
            (true, &case.procedure[..]),
        ] {
            self.judged = judged;
            for step in steps {
                if let Err(stop) = Box::pin(self.run_step(step)).await {
                    return Some(stop);
                }
            }
        }
        None
    }

    /// Brings the client into the state that a case begins in; gives how many steps that saves.
    async fn enter(&mut self) -> Result<usize, Stop> {
        let between = self.meeting.manners().between;
        let reset = match between {
            Between::Fresh => false,
            Between::Reset => true,
            Between::Keep if self.meeting.keeps_session() => {
                let prefix = login_prefix(self.case);
                if prefix > 0 {
                    return Ok(prefix);
                }
                begins_logged_out(self.case)
            }
            Between::Keep => false,
        };
        if reset {
            self.meeting.ask([Order::Reset]);
            self.settle_for(Duration::ZERO).await;
            if let Some(why) = self.meeting.trouble() {
                return Err(Stop::Inconclusive(format!(
                    "the client could not be reset: {why}"
                )));
            }
        }
        Ok(0)
    }

    async fn run_step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Stimulate(commands) => {
                // What is held came for this step.
                if !self.meeting.holds_one() {
                    self.settle().await;
                }
                self.idle = commands.contains(&Command::Idle);
                if self.meeting.manners().patience.is_some() {
                    self.wish = commands.clone();
                } else {
                    self.stimulate(commands);
                }
                Ok(())
            }
            Step::On {
                incoming,
                item,
                tests,
            } => {
                let item = item.as_ref().unwrap_or(&self.case.scr[0]).clone();
                self.on(incoming, &item, tests).await
            }
            Step::Reply {
                edits,
                requests,
                status,
                agree,
            } => self.reply(edits, requests, *status, agree).await,
            Step::OnChannel { sign, item } => self.on_channel(*sign, item.as_ref()).await,
            Step::SendChannel { channel, text } => self.send_channel(*channel, text.as_deref()).await,
            Step::CloseChannel => self.close_channel(),
            Step::Fence(fence) => self.fence(fence).await,
            Step::Keep { name, path, .. } => {
                let found = self
                    .current
                    .as_ref()
                    .and_then(|t| t.found.tree.as_ref())
                    .and_then(|t| path.first(t).map(|id| t.text(id).trim().to_owned()));
                match found {
                    Some(value) => {
                        self.kept.insert(name.clone(), value);
                        Ok(())
                    }
                    None => Err(Stop::Inconclusive(format!(
                        "there is no {path} to keep as ${name}"
                    ))),
                }
            }
            Step::Wait { wait, .. } => {
                self.meeting.pause(Duration::from_millis(wait.millis(0))).await;
                Ok(())
            }
            Step::Repeat { times, steps } => {
                for _ in 0..*times {
                    for step in steps {
                        Box::pin(self.run_step(step)).await?;
                    }
                }
                Ok(())
            }
            Step::Send { .. }
            | Step::Bytes(_)
            | Step::Expect { .. }
            | Step::Receive { .. }
            | Step::Channel { .. }
            | Step::Nothing { .. }
            | Step::Prepare { .. } => Err(Stop::Error("a step for servers in a case for clients".to_owned())),
        }
    }

    /// Lets the client act; the caller has let it settle before.
    fn stimulate(&mut self, commands: &[Command]) {
        self.meeting.ask(commands.iter().copied().map(Order::Act));
    }

    /// How long a message may come after the acknowledgement.
    pub(super) fn late(&mut self) -> Duration {
        let due = self
            .meeting
            .conversations()
            .keep_alive()
            .map(u64::from)
            .map(Duration::from_secs);
        let idle = std::mem::take(&mut self.idle);
        let manners = self.meeting.manners();
        match (idle, due) {
            (true, Some(due)) if manners.between != Between::Fresh => manners.late.max(due + manners.quiet),
            _ => manners.late,
        }
    }

    /// Answers by default whatever the client still sends, until it is done and quiet.
    async fn settle(&mut self) {
        if self.current.is_some() || self.meeting.is_stirred() {
            self.settle_for(self.meeting.manners().quiet).await;
            self.meeting.calm();
        }
    }

    async fn settle_for(&mut self, quiet: Duration) {
        let began = Instant::now();
        for _ in 0..self.meeting.manners().most {
            if self.current.is_some() && self.reply_default().await.is_err() {
                return;
            }
            let manners = self.meeting.manners();
            let since = self.meeting.last_ack().map_or(began, |ack| began.max(ack));
            let longest = since + manners.late + quiet;
            // A client that always has something to say is as quiet as it gets.
            let now = Instant::now();
            if self.meeting.is_idle() && !manners.late.is_zero() && now > longest {
                return;
            }
            match self.arrival(now, quiet).await {
                Some(taken) => self.current = Some(taken),
                None => return,
            }
        }
    }

    /// The next message of the client, or `None` when it is done or silent.
    pub(super) async fn arrival(&mut self, began: Instant, grace: Duration) -> Option<Taken> {
        let came = self.meeting.next(began, grace).await?;
        Some(self.take(came))
    }

    /// Judges a message of the client by the general rules.
    fn take(&mut self, came: Came) -> Taken {
        let number = u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX);
        self.seen = true;
        let conversations = self.meeting.conversations_mut();
        let found = intake::judge_message(&mut self.judge, conversations, &came.request, number, came.at_ms);
        if let Some(tree) = &found.tree {
            let given = Envelope::of(tree).and_then(|e| e.session_id);
            self.used_session |= found.session.is_some() && given == found.session;
        }
        let names = intake::names(found.tree.as_ref());
        self.since_reply.extend(names.into_iter().map(|n| (n, number)));
        Taken { came, found }
    }

    async fn on(&mut self, incoming: &Incoming, item: &ItemId, tests: &[Test]) -> Result<(), Stop> {
        let (primitives, times) = (&incoming.primitives, incoming.times);
        let since = self.answered_ms;
        let wanted = match times {
            1 => primitives.join(" or "),
            n => format!("{n} × {}", primitives.join(" or ")),
        };
        let mut found = 0;
        let mut wish = std::mem::take(&mut self.wish);
        let mut began = Instant::now();
        let late = self.late();
        let mut grace = match self.meeting.manners().patience {
            Some(patience) if !wish.is_empty() => patience.grace(&wish),
            _ => late,
        };
        self.wants_poll =
            self.meeting.manners().patience.is_some() && primitives.iter().any(|p| p == "Polling-Request");
        for _ in 0..self.meeting.manners().most {
            let waited = match std::mem::take(&mut self.unread) {
                true => self.current.take(),
                false => None,
            };
            let next = match waited {
                Some(taken) => Some(taken),
                None => {
                    if self.current.is_some() {
                        self.reply_default().await?;
                    }
                    self.arrival(began, grace).await
                }
            };
            let Some(taken) = next else {
                if wish.is_empty() {
                    return self.missing(item, &wanted).await;
                }
                self.stimulate(&std::mem::take(&mut wish));
                (began, grace) = (Instant::now(), late);
                continue;
            };
            let names = intake::names(taken.found.tree.as_ref());
            self.current = Some(taken);
            found += names.iter().filter(|n| primitives.contains(n)).count();
            if found >= times {
                self.wants_poll = false;
                self.meeting.forget();
                if incoming.within_keep_alive {
                    self.in_time(item, &wanted, since);
                }
                return self.judge_tests(item, tests, &wanted);
            }
        }
        Err(Stop::Inconclusive(format!(
            "{} messages came and none was {wanted}",
            self.meeting.manners().most
        )))
    }

    /// Judges that a message came before the KeepAliveTime in force was over.
    fn in_time(&mut self, item: &ItemId, wanted: &str, since: u64) {
        let Some(limit) = self.meeting.conversations().keep_alive() else {
            return;
        };
        let came = self.current.as_ref().map_or(since, |t| t.came.at_ms);
        let gap = came.saturating_sub(since);
        let text = format!("{wanted} came after {gap} ms, KeepAliveTime is {limit} s");
        let place = self.place();
        let rule = format!("{wanted} before KeepAliveTime is over");
        self.judge
            .charge(item, &rule, gap <= u64::from(limit) * 1000, text, place);
    }

    async fn missing(&mut self, item: &ItemId, wanted: &str) -> Result<(), Stop> {
        self.wants_poll = false;
        let text = format!("the client sent no {wanted}");
        if let Some(why) = self.meeting.trouble() {
            return Err(Stop::Inconclusive(format!("{text}: {why}")));
        }
        if !self.judged {
            return Err(Stop::Inconclusive(format!(
                "a precondition does not hold: {text}"
            )));
        }
        if self.meeting.manners().between != Between::Fresh && !self.meeting.has_met_client() {
            return Err(Stop::Inconclusive(format!(
                "{text}, and nothing at all yet: does it use the server http://{}/?",
                self.meeting.address()
            )));
        }
        // What the client sent may have been unreadable: then that is the breach, and it is charged.
        let broken = self.judge.tally.verdict() >= Verdict::Warn;
        let in_session = self.meeting.conversations().session().is_some();
        if broken || in_session && *item != self.judge.own("LOGIN", 1) && !self.uses_session().await {
            if let Some(why) = self.meeting.gap() {
                return Err(Stop::Inconclusive(format!("{text}: {why}")));
            }
            let why = if broken {
                "or none that could be read"
            } else {
                "but it uses its session for nothing else either"
            };
            self.judge.inconclusive(
                item,
                &format!("{wanted} is sent"),
                format!("{text}, {why}"),
                Place::default(),
            );
            return Err(Stop::Charged);
        }
        self.judge
            .charge(item, &format!("{wanted} is sent"), false, text, Place::default());
        Err(Stop::Charged)
    }

    /// Whether the client has used its session, or does when it is asked for something else: one that
    /// does nothing at all is not to blame for each thing that it leaves out.
    async fn uses_session(&mut self) -> bool {
        if !self.used_session && self.meeting.manners().probe {
            self.stimulate(&[Command::KeepAlive, Command::Poll, Command::Logout]);
            self.settle().await;
        }
        self.used_session
    }

    fn judge_tests(&mut self, item: &ItemId, tests: &[Test], wanted: &str) -> Result<(), Stop> {
        if !self.judged {
            return Ok(());
        }
        let Some(taken) = self.current.as_ref() else {
            return Ok(());
        };
        let Some(tree) = taken.found.tree.clone() else {
            return Ok(());
        };
        if self.meeting.manners().between != Between::Fresh
            && let Some(other) = other_login(tests, &tree)
        {
            return Err(Stop::Inconclusive(format!(
                "the client logs in with {other}: this case is about the other kind of login"
            )));
        }
        // A message that breaks the tables is charged for that; what its parts say is then open.
        let invalid = taken.found.broken;
        let place = self.place();
        self.judge.charge(
            item,
            &format!("{wanted} is sent"),
            true,
            format!("the client sent {wanted}"),
            place.clone(),
        );
        for test in tests {
            let charged = test.item.as_ref().unwrap_or(item).clone();
            let (holds, text, path) = condition(test, &tree, self);
            let at = Place {
                path,
                ..place.clone()
            };
            let rule = format!("{wanted}: {}", test.condition);
            if matches!(test.condition, Condition::Digest(_)) && self.value("password").is_none() {
                let text = "the suite does not know the password".to_owned();
                self.judge.inconclusive(&charged, &rule, text, at);
            } else if !holds && invalid {
                self.judge.inconclusive(
                    &charged,
                    &rule,
                    format!("{text} (blocked: the message breaks the syntax)"),
                    at,
                );
            } else {
                self.judge.charge(&charged, &rule, holds, text, at);
            }
        }
        Ok(())
    }

    fn place(&self) -> Place {
        Place {
            exchange: Some(u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX)),
            part: Some(Part::Request),
            ..Place::default()
        }
    }

    pub(super) async fn reply_default(&mut self) -> Result<(), Stop> {
        if self.wants_poll && self.current.as_ref().is_some_and(|t| t.found.session.is_some()) {
            return self.answer(&[Edit::Poll(true)], &[], None).await;
        }
        self.answer(&[], &[], None).await
    }

    async fn reply(
        &mut self,
        edits: &[Edit],
        requests: &[String],
        status: Option<u16>,
        agree: &[CirMethod],
    ) -> Result<(), Stop> {
        if self.current.is_none() {
            return Err(Stop::Error("`reply` without a message to answer".to_owned()));
        }
        self.since_reply.clear();
        if agree.is_empty() {
            return self.answer(edits, requests, status).await;
        }
        let asked = self.current.as_ref().and_then(|t| t.found.tree.clone());
        let offers = self.offers(agree, asked.as_ref());
        self.offer(agree).await?;
        let answered = self.answer(edits, requests, status).await;
        self.offer(&[]).await?;
        offers.and(answered)
    }

    async fn offer(&mut self, methods: &[CirMethod]) -> Result<(), Stop> {
        match self.meeting.station() {
            Some(station) => station
                .offer(methods)
                .await
                .map_err(|e| Stop::Inconclusive(format!("no port for a channel: {e}"))),
            None => Ok(()),
        }
    }

    /// What was sent on a channel is an answer too: what must not come is what comes from now on.
    pub(super) fn begin_to_listen(&mut self) {
        self.since_reply.clear();
    }

    async fn answer(&mut self, edits: &[Edit], requests: &[String], status: Option<u16>) -> Result<(), Stop> {
        let Some(Taken { came, found }) = self.current.take() else {
            return Ok(());
        };
        self.unread = false;
        let names = Names::of_client(&self.user);
        let requests: Vec<_> = requests
            .iter()
            .map(|name| server_request(self.judge.version, name, &names).map_err(Stop::Error))
            .collect::<Result<_, _>>()?;
        let sender = match came.way {
            Way::Archived(kept) => return self.answered_then(&found, &kept),
            Way::Answer(sender) => sender,
        };
        self.answered_ms = self.meeting.clock_ms();
        let Some(station) = self.meeting.station() else {
            return Err(Stop::Error("a message that nobody can answer".to_owned()));
        };
        for request in &requests {
            station.engine.queue(request);
        }
        station.engine.speaks_with(came.peer);
        let now = station.now_ms();
        let mut outgoing = handle(&mut station.engine, &came.request, now);
        if let Some(code) = status {
            outgoing = self.status_answer(&found, code).unwrap_or(outgoing);
        }
        self.keep_challenge(outgoing.tree.as_ref());
        let draft = Draft {
            version: outgoing
                .tree
                .as_ref()
                .map_or(self.judge.version, |t| version_of(Some(t))),
            status: outgoing.status,
            method: String::new(),
            media_type: outgoing.media_type.unwrap_or_default(),
            tree: outgoing.tree,
            sending: Sending::Normal,
        };
        // Asking for a poll is a wish of the tester, not of the case: an answer without room for it goes as it is.
        let edits = if self.wants_poll && draft.tree.is_none() {
            &[]
        } else {
            edits
        };
        let changed = draft.clone().encode(edits, &|name| self.kept.get(name).cloned());
        let moment = |answered_ms| Moment {
            after_turn: came.after_turn,
            came_ms: came.at_ms,
            answered_ms,
        };
        // What cannot be changed goes out as it is: the client is not to pay for what the case wants.
        let unchanged = |_| draft.encode(&[], &|_| None);
        let why = changed.as_ref().err().map(|e| {
            format!("does not apply: what this client asks gets no answer that could be changed: {e}")
        });
        let encoded = match changed.or_else(unchanged) {
            Ok(encoded) => encoded,
            Err(e) => {
                // It came all the same, and counts.
                let moment = moment(self.answered_ms);
                self.record(came.request, Err(Failure::Cancelled), came.since, moment);
                let why = format!("what the client sent gets no answer: {e}");
                self.meeting.left_unanswered(&why);
                return Err(Stop::Inconclusive(why));
            }
        };
        let answer = to_answer(encoded);
        let response = match &answer {
            Answer::Response(http) => Ok(http.clone()),
            Answer::Silence | Answer::Close => Err(Failure::Cancelled),
        };
        self.follow(&found, &response);
        let moment = moment(self.answered_ms);
        self.record(came.request, response, came.since, moment);
        let _ = sender.send(answer);
        match why {
            Some(why) => {
                self.meeting.left_unanswered(&why);
                Err(Stop::Inapplicable(why))
            }
            None => Ok(()),
        }
    }

    /// Takes what was answered then for the answer of now.
    fn answered_then(&mut self, found: &Found, kept: &ArchivedExchange) -> Result<(), Stop> {
        let exchange = &kept.exchange;
        self.answered_ms = exchange.moment.map_or(0, |m| m.answered_ms);
        self.exchanges.push(Arc::clone(exchange));
        let unanswered = self.meeting.was_unanswered();
        if let (Err(_), Some(why)) = (&exchange.response, &unanswered) {
            return Err(Stop::Inconclusive(why.clone()));
        }
        let answered = self.follow(found, &exchange.response);
        self.keep_challenge(answered.as_ref());
        // It was answered all the same, as it would have been without the case.
        unanswered.map_or(Ok(()), |why| Err(Stop::Inapplicable(why)))
    }

    /// Follows the conversation by what went out; gives what the client could read of it.
    fn follow(&mut self, found: &Found, response: &Result<HttpMessage, Failure>) -> Option<Tree> {
        let answered = response.as_ref().ok().and_then(|r| readable(&r.body));
        if let (Some(tree), Some(key)) = (&found.tree, &found.key) {
            let syntax = &self.judge.suite.tables.syntax;
            let conversations = self.meeting.conversations_mut();
            conversations.answered(syntax, key, tree, answered.as_ref());
        }
        answered
    }

    /// Status of this code under the TransactionIDs of the request.
    fn status_answer(&self, found: &Found, code: u16) -> Option<Outgoing> {
        let envelope = Envelope::of(found.tree.as_ref()?)?;
        let parts = envelope
            .transactions
            .iter()
            .filter(|t| t.mode == Mode::Request)
            .map(|t| TransactionPart {
                mode: Mode::Response,
                id: t.id.clone(),
                primitive: compose::status(code),
            })
            .collect();
        let session = envelope.session_id.as_deref();
        let tree = compose::message(self.judge.version, session, Some(false), parts);
        Some(Outgoing {
            status: 200,
            media_type: Some(MEDIA_TYPE_XML.to_owned()),
            tree: Some(tree),
            answers: Vec::new(),
            held: None,
        })
    }

    fn keep_challenge(&mut self, tree: Option<&Tree>) {
        let Some(tree) = tree else { return };
        for (name, element) in [("nonce", "Nonce"), ("schema", "DigestSchema")] {
            let found = crate::message::Path::parse(&format!("Login-Response/{element}"))
                .ok()
                .and_then(|p| p.first(tree));
            if let Some(id) = found {
                self.kept.insert(name.to_owned(), tree.text(id));
            }
        }
    }

    fn record(
        &mut self,
        request: HttpMessage,
        response: Result<HttpMessage, Failure>,
        since: Instant,
        moment: Moment,
    ) {
        let number = u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX);
        let Some(station) = self.meeting.station() else {
            return;
        };
        let epoch = station.host.epoch;
        self.exchanges.push(Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request,
            response,
            started_ms: millis(since.duration_since(epoch)),
            duration_ms: millis(since.elapsed()),
            moment: Some(moment),
        }));
        self.exchanges.append(&mut self.behind);
    }

    /// The client acts once more; what must not come must not stand before that.
    async fn fence(&mut self, fence: &Fence) -> Result<(), Stop> {
        let command = fence.command.unwrap_or(Command::KeepAlive);
        let since = Instant::now();
        let first = command.primitive();
        let item = fence.item.clone().unwrap_or_else(|| self.case.scr[0].clone());
        let patience = self.meeting.manners().patience;
        let mut wish = vec![command];
        let mut grace = match patience {
            // It is left alone first: it may do what the fence is by itself, or what it must not do.
            Some(patience) => patience.grace(&self.wish).max(patience.soon),
            None => {
                self.settle().await;
                Duration::ZERO
            }
        };
        self.wish.clear();
        let mut began = since;
        let mut came = 0;
        let (before, number) = loop {
            came += 1;
            if came > self.meeting.manners().most {
                return Err(Stop::Inconclusive(format!(
                    "{came} messages came and none was {first}"
                )));
            }
            // A client that came back by itself is one that acts: what follows is of the new session.
            if let Some(at) = self.since_reply.iter().position(|(name, _)| name == first) {
                break (at, self.since_reply[at].1);
            }
            if self.current.is_some() {
                self.reply_default().await?;
            }
            match self.arrival(began, grace).await {
                Some(taken) => self.current = Some(taken),
                None if wish.is_empty() => {
                    let why = self
                        .meeting
                        .trouble()
                        .map(|t| format!(": {t}"))
                        .unwrap_or_default();
                    return Err(Stop::Inconclusive(format!(
                        "the fence did not come: no {first}{why}"
                    )));
                }
                None => {
                    self.stimulate(&std::mem::take(&mut wish));
                    (began, grace) = (Instant::now(), self.meeting.manners().late);
                }
            }
        };
        self.meeting.forget();
        let place = Place {
            exchange: Some(number),
            part: Some(Part::Request),
            ..Place::default()
        };
        let unwanted = self.since_reply[..before]
            .iter()
            .find(|(n, _)| fence.silent.contains(n))
            .map(|(n, _)| n.clone());
        let of = fence.silent.join(", ");
        let text = match &unwanted {
            Some(name) => format!("{name} came before {first}"),
            None => format!("no {of} came before {first}"),
        };
        let rule = format!("no {of}");
        if unwanted.is_some() && self.judge.tally.broken_besides(&item) {
            // What the client got was an answer to something broken: that is charged already.
            self.judge.inconclusive(&item, &rule, text, place);
        } else {
            self.judge.charge(&item, &rule, unwanted.is_none(), text, place);
        }
        self.silence.push(Silence {
            of,
            proof: "fence".to_owned(),
            waited_ms: millis(since.elapsed()),
        });
        self.reply_default().await
    }

    fn finish(mut self, stop: Option<Stop>, started: Instant) -> CaseOutput {
        let mut reason = String::new();
        let mut applies = true;
        let mut declined = Vec::new();
        match stop {
            None | Some(Stop::Charged) => {}
            Some(Stop::Absent(why)) => {
                let optional = |item: &&ItemId| {
                    let row = self.judge.suite.tables.items.get(item);
                    row.is_some_and(|i| i.status == Status::Optional) && !self.judge.tally.has(item)
                };
                declined = self.case.scr.iter().filter(optional).cloned().collect();
                reason = why;
            }
            Some(Stop::Inconclusive(text)) => reason = text,
            Some(Stop::Inapplicable(text)) => {
                reason = text;
                applies = false;
            }
            Some(Stop::Error(text)) => {
                suite_error(&mut self.judge, self.case, &text);
                reason = text;
            }
        }
        if applies {
            unreached(&mut self.judge, self.case, &declined, &reason);
        }
        if !self.seen {
            self.judge
                .tally
                .distrust(&self.case.scr, "the client sent nothing in this case");
        }
        self.exchanges.append(&mut self.behind);
        let exchanges = std::mem::take(&mut self.exchanges);
        let silence = std::mem::take(&mut self.silence);
        CaseOutput {
            dead: !self.seen,
            declined: declined.clone(),
            result: {
                let result = result(self.case, self.judge, reason, silence, started);
                CaseResult {
                    turns: self.meeting.into_turns(),
                    declined,
                    // The general rules were judged; the case itself was not run.
                    verdict: match applies {
                        true => result.verdict,
                        false => Verdict::None,
                    },
                    ..result
                }
            },
            exchanges,
        }
    }
}

/// What a client of good manners can read of an answer.
pub fn readable(body: &[u8]) -> Option<Tree> {
    let strict = crate::codec::xml::read(body, None).is_strict();
    strict.then(|| reread(body)).flatten().map(|m| m.tree)
}
