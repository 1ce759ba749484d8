//! One case against a client under test: the lower tester is a server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::base::ItemId;
use crate::case::{Case, Fence, Incoming, Step, Test};
use crate::check::conversation::Conversation;
use crate::codec::deviation::{Draft, Edit, Sending};
use crate::event::Silence;
use crate::message::{Envelope, Mode, Tree};
use crate::peer::client::ClientConfig;
use crate::peer::compose::{self, Part as TransactionPart};
use crate::peer::contents::server_request;
use crate::peer::fault::Fault;
use crate::peer::server::{Outgoing, ServerConfig, ServerEngine};
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::{Command, Role, Version};
use crate::transport::Net;
use crate::transport::client::Address;
use crate::transport::server::{Answer, Arrived, Listener, listen_on};
use crate::verdict::{Part, Place, Verdict};

use super::CaseOutput;
use super::clock::Clock;
use super::conclude::{millis, result, suite_error, unreached};
use super::judge::{Judge, Values, condition};
use super::reference::{EmbeddedClient, handle, to_answer, version_of};
use super::suite::{Suite, reread};
use super::tally::Tally;

/// How the embedded client under test is made.
#[derive(Debug)]
pub struct ClientTarget {
    /// The network that it shares with the lower tester.
    pub net: Net,
    /// Its account.
    pub credentials: Credentials,
    /// Its fault.
    pub fault: Option<Fault>,
    /// How long to wait for a message.
    pub response: Duration,
    /// Word in everything that this run creates.
    pub run_id: String,
    /// When the run began.
    pub epoch: Instant,
    /// The clock that both sides go by.
    pub clock: Clock,
    /// Seed.
    pub seed: u64,
}

/// Most messages of the client that are answered by default while one step waits for another.
const MAX_SKIPPED: usize = 50;

enum Stop {
    Inconclusive(String),
    Charged,
    Error(String),
}

/// Runs one case with a client of its own.
pub async fn run_case(suite: &Suite, target: &ClientTarget, case: &Case, version: Version) -> CaseOutput {
    let started = Instant::now();
    let judge = Judge {
        suite,
        role: Role::Client,
        version,
        tally: Tally::default(),
    };
    let setup = Runner::new(target, case, judge).await;
    let mut runner = match setup {
        Ok(runner) => runner,
        Err((judge, text)) => return failed_setup(case, judge, &text, started),
    };
    let stop = runner.all_steps().await;
    runner.settle().await;
    runner.judged = false;
    for step in &case.after {
        // What a postamble cannot do is no verdict.
        let _ = runner.run_step(step).await;
    }
    runner.settle().await;
    runner.finish(stop, started)
}

fn failed_setup(case: &Case, mut judge: Judge<'_>, text: &str, started: Instant) -> CaseOutput {
    suite_error(&mut judge, case, text);
    CaseOutput {
        result: result(case, judge, text.to_owned(), Vec::new(), started),
        exchanges: Vec::new(),
        declined: Vec::new(),
        dead: false,
    }
}

/// A message of the client that was taken and not answered yet.
struct Taken {
    arrived: Arrived,
    tree: Option<Tree>,
    /// Whether it broke a general rule.
    broken: bool,
    since: Instant,
}

struct Runner<'a> {
    target: &'a ClientTarget,
    case: &'a Case,
    judge: Judge<'a>,
    listener: Listener,
    engine: ServerEngine,
    client: Arc<tokio::sync::Mutex<EmbeddedClient>>,
    stimulus: Option<JoinHandle<()>>,
    conversation: Conversation,
    current: Option<Taken>,
    /// Names of primitives that came since the last scripted reply.
    since_reply: Vec<String>,
    kept: BTreeMap<String, String>,
    exchanges: Vec<Arc<Exchange>>,
    silence: Vec<Silence>,
    seen: bool,
    /// Whether the client has used the session that it was given.
    used_session: bool,
    judged: bool,
    /// When the last answer went out, in milliseconds of the clock.
    answered_ms: u64,
}

impl Values for Runner<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if name == "session" {
            return self.conversation.session().map(str::to_owned);
        }
        self.kept.get(name).cloned()
    }
}

impl<'a> Runner<'a> {
    async fn new(
        target: &'a ClientTarget,
        case: &'a Case,
        judge: Judge<'a>,
    ) -> Result<Self, (Judge<'a>, String)> {
        let listener = match listen_on(&target.net, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await {
            Ok(listener) => listener,
            Err(e) => return Err((judge, format!("no listener on loopback: {e}"))),
        };
        let config = ClientConfig {
            version: judge.version,
            credentials: target.credentials.clone(),
            client_id: format!("http://imps-scr.invalid/{}", target.run_id),
            cookie: format!("{}#1", target.run_id),
            time_to_live: 600,
            id_prefix: "c".to_owned(),
        };
        let server = Address::of(&target.net, listener.address);
        let client = match EmbeddedClient::new(config, &server, target.fault.clone(), target.clock.clone()) {
            Ok(client) => client,
            Err(e) => return Err((judge, e)),
        };
        let engine = ServerEngine::new(
            ServerConfig {
                accounts: vec![target.credentials.clone()],
                max_keep_alive: 3600,
                functions: crate::peer::server::served_functions(),
                seed: target.seed,
            },
            Arc::clone(&judge.suite.checker),
        );
        let mut kept = BTreeMap::new();
        kept.insert("password".to_owned(), target.credentials.password.clone());
        kept.insert("user".to_owned(), target.credentials.user.clone());
        Ok(Self {
            target,
            case,
            judge,
            listener,
            engine,
            client: Arc::new(tokio::sync::Mutex::new(client)),
            stimulus: None,
            conversation: Conversation::new(Role::Client),
            current: None,
            since_reply: Vec::new(),
            kept,
            exchanges: Vec::new(),
            silence: Vec::new(),
            seen: false,
            used_session: false,
            judged: false,
            answered_ms: 0,
        })
    }

    async fn all_steps(&mut self) -> Option<Stop> {
        for (judged, steps) in [(false, &self.case.preconditions), (true, &self.case.procedure)] {
            self.judged = judged;
            for step in steps {
                if let Err(stop) = Box::pin(self.run_step(step)).await {
                    return Some(stop);
                }
            }
        }
        None
    }

    async fn run_step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Stimulate(commands) => {
                self.settle().await;
                self.stimulate(commands.clone());
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
            } => self.reply(edits, requests, *status).await,
            Step::Fence(fence) => self.fence(fence).await,
            Step::Keep { name, path, .. } => {
                let found = self
                    .current
                    .as_ref()
                    .and_then(|t| t.tree.as_ref())
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
                tokio::time::sleep(Duration::from_millis(wait.millis(0))).await;
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
            Step::Send { .. } | Step::Bytes(_) | Step::Expect { .. } => {
                Err(Stop::Error("a step for servers in a case for clients".to_owned()))
            }
        }
    }

    /// Lets the client act; the caller has let it settle before.
    fn stimulate(&mut self, commands: Vec<Command>) {
        let client = Arc::clone(&self.client);
        self.stimulus = Some(tokio::spawn(async move {
            for command in commands {
                client.lock().await.command(command).await;
            }
        }));
    }

    /// Answers by default whatever the client still sends, until it is done.
    async fn settle(&mut self) {
        for _ in 0..MAX_SKIPPED {
            if self.current.is_some() && self.reply_default().await.is_err() {
                return;
            }
            match self.arrival().await {
                Some(taken) => self.current = Some(taken),
                None => return,
            }
        }
    }

    /// The next message of the client, or `None` when it is done or silent.
    async fn arrival(&mut self) -> Option<Taken> {
        let arrived = match self.stimulus.as_mut() {
            Some(stimulus) => tokio::select! {
                biased;
                arrived = self.listener.arrivals.recv() => arrived,
                _ = stimulus => {
                    self.stimulus = None;
                    // It waited for every answer: what it sent is in the channel by now.
                    self.listener.arrivals.try_recv().ok()
                }
                () = tokio::time::sleep(self.target.response) => None,
            },
            None => self.listener.arrivals.try_recv().ok(),
        }?;
        Some(self.take(arrived))
    }

    /// Judges a message of the client by the general rules.
    fn take(&mut self, arrived: Arrived) -> Taken {
        let number = u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX);
        self.seen = true;
        let place = Place {
            exchange: Some(number),
            part: Some(Part::Request),
            ..Place::default()
        };
        let http_item = self.judge.own("HTTP", 1);
        let post = arrived.request.start.starts_with("POST ");
        let text = format!("the request line is `{}`", arrived.request.start);
        self.judge.charge(&http_item, "post", post, text, place.clone());
        let mut tree = None;
        let mut broken = !post;
        if arrived.request.body.is_empty() {
            self.judge.charge(
                &http_item,
                "one-message",
                false,
                "the body is empty".into(),
                place,
            );
        } else {
            let read = self.judge.body(&arrived.request, number, Part::Request);
            broken |= !read.breaches.is_empty();
            if let Some(message) = read.message {
                let now_ms = self.target.clock.now_ms();
                let judgements =
                    self.conversation
                        .client_message(&self.judge.suite.tables.syntax, &message.tree, now_ms);
                let in_force = self.conversation.session().map(str::to_owned);
                let given = Envelope::of(&message.tree).and_then(|e| e.session_id);
                self.used_session |= in_force.is_some() && given == in_force;
                broken |= !self
                    .judge
                    .conversation(judgements, number, Part::Request)
                    .is_empty();
                self.login_proof(&message.tree, &place);
                tree = Some(message.tree);
            }
        }
        if let Some(envelope) = tree.as_ref().and_then(Envelope::of) {
            self.since_reply
                .extend(envelope.transactions.iter().map(|t| t.name.clone()));
        }
        Taken {
            arrived,
            tree,
            broken,
            since: Instant::now(),
        }
    }

    /// LG-1, on every Login-Request.
    fn login_proof(&mut self, tree: &Tree, place: &Place) {
        let item = self.judge.own("LOGIN", 2);
        for (holds, text, path) in login_proofs(tree) {
            let at = Place {
                path,
                ..place.clone()
            };
            self.judge.charge(&item, "one-proof", holds, text, at);
        }
    }

    async fn on(&mut self, incoming: &Incoming, item: &ItemId, tests: &[Test]) -> Result<(), Stop> {
        let (primitives, times) = (&incoming.primitives, incoming.times);
        let since = self.answered_ms;
        let wanted = match times {
            1 => primitives.join(" or "),
            n => format!("{n} × {}", primitives.join(" or ")),
        };
        let mut found = 0;
        for _ in 0..MAX_SKIPPED {
            if self.current.is_some() {
                self.reply_default().await?;
            }
            let Some(taken) = self.arrival().await else {
                return self.missing(item, &wanted).await;
            };
            let names: Vec<String> = taken
                .tree
                .as_ref()
                .map(|tree| match Envelope::of(tree) {
                    Some(e) => e.transactions.into_iter().map(|t| t.name).collect(),
                    // Version discovery is a document of its own.
                    None => vec![tree.get(tree.root()).name.clone()],
                })
                .unwrap_or_default();
            self.current = Some(taken);
            found += names.iter().filter(|n| primitives.contains(n)).count();
            if found >= times {
                if incoming.within_keep_alive {
                    self.in_time(item, &wanted, since);
                }
                return self.judge_tests(item, tests, &wanted);
            }
        }
        Err(Stop::Inconclusive(format!(
            "{MAX_SKIPPED} messages came and none was {wanted}"
        )))
    }

    /// Judges that a message came before the KeepAliveTime in force was over.
    fn in_time(&mut self, item: &ItemId, wanted: &str, since: u64) {
        let Some(limit) = self.conversation.keep_alive() else {
            return;
        };
        let gap = self.target.clock.now_ms().saturating_sub(since);
        let text = format!("{wanted} came after {gap} ms, KeepAliveTime is {limit} s");
        let place = self.place();
        let rule = format!("{wanted} before KeepAliveTime is over");
        self.judge
            .charge(item, &rule, gap <= u64::from(limit) * 1000, text, place);
    }

    async fn missing(&mut self, item: &ItemId, wanted: &str) -> Result<(), Stop> {
        let text = format!("the client sent no {wanted}");
        if !self.judged {
            return Err(Stop::Inconclusive(format!(
                "a precondition does not hold: {text}"
            )));
        }
        // What the client sent may have been unreadable: then that is the breach, and it is charged.
        let broken = self.judge.tally.verdict() >= Verdict::Warn;
        let in_session = self.conversation.session().is_some();
        if broken || in_session && *item != self.judge.own("LOGIN", 1) && !self.uses_session().await {
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
        if !self.used_session {
            self.stimulate(vec![Command::KeepAlive, Command::Poll, Command::Logout]);
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
        let Some(tree) = taken.tree.clone() else {
            return Ok(());
        };
        // A message that breaks the tables is charged for that; what its parts say is then open.
        let invalid = taken.broken;
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
            if !holds && invalid {
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

    async fn reply_default(&mut self) -> Result<(), Stop> {
        self.answer(&[], &[], None).await
    }

    async fn reply(&mut self, edits: &[Edit], requests: &[String], status: Option<u16>) -> Result<(), Stop> {
        if self.current.is_none() {
            return Err(Stop::Error("`reply` without a message to answer".to_owned()));
        }
        self.since_reply.clear();
        self.answer(edits, requests, status).await
    }

    async fn answer(&mut self, edits: &[Edit], requests: &[String], status: Option<u16>) -> Result<(), Stop> {
        let Some(taken) = self.current.take() else {
            return Ok(());
        };
        for name in requests {
            let request = server_request(name, &self.target.credentials.user).map_err(Stop::Error)?;
            self.engine.queue(&request);
        }
        let now = self.target.clock.now_ms();
        self.answered_ms = now;
        let mut outgoing = handle(&mut self.engine, &taken.arrived.request, now);
        if let Some(code) = status {
            outgoing = self.status_answer(&taken, code).unwrap_or(outgoing);
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
        let encoded = draft
            .encode(edits, &|name| self.kept.get(name).cloned())
            .map_err(|e| {
                Stop::Inconclusive(format!(
                    "what the client sent gets no answer that could be changed: {e}"
                ))
            })?;
        let reading = crate::codec::xml::read(&encoded.body, None);
        let readable = reading.is_strict().then(|| reread(&encoded.body)).flatten();
        let answer = to_answer(encoded);
        if let Some(tree) = &taken.tree {
            self.conversation.answered(
                &self.judge.suite.tables.syntax,
                tree,
                readable.as_ref().map(|m| &m.tree),
            );
        }
        let response = match &answer {
            Answer::Response(http) => Ok(http.clone()),
            Answer::Silence | Answer::Close => Err(Failure::Cancelled),
        };
        self.record(&taken, response);
        let _ = taken.arrived.answer.send(answer);
        Ok(())
    }

    /// Status of this code under the TransactionIDs of the request.
    fn status_answer(&self, taken: &Taken, code: u16) -> Option<Outgoing> {
        let envelope = Envelope::of(taken.tree.as_ref()?)?;
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

    fn record(&mut self, taken: &Taken, response: Result<HttpMessage, Failure>) {
        let number = u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX);
        self.exchanges.push(Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request: taken.arrived.request.clone(),
            response,
            started_ms: millis(taken.since.duration_since(self.target.epoch)),
            duration_ms: millis(taken.since.elapsed()),
        }));
    }

    /// The client acts once more; what must not come must not stand before that.
    async fn fence(&mut self, fence: &Fence) -> Result<(), Stop> {
        let command = fence.command.unwrap_or(Command::KeepAlive);
        let since = Instant::now();
        let first = command.primitive();
        self.settle().await;
        self.stimulate(vec![command]);
        let item = fence.item.clone().unwrap_or_else(|| self.case.scr[0].clone());
        loop {
            let Some(taken) = self.arrival().await else {
                return Err(Stop::Inconclusive(format!("the fence did not come: no {first}")));
            };
            let hit = taken
                .tree
                .as_ref()
                .and_then(Envelope::of)
                .is_some_and(|e| e.transactions.iter().any(|t| t.name == first));
            self.current = Some(taken);
            if hit {
                break;
            }
            self.reply_default().await?;
        }
        let place = self.place();
        let before = self.since_reply.len().saturating_sub(1);
        let unwanted = self.since_reply[..before]
            .iter()
            .find(|n| fence.silent.contains(n))
            .cloned();
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
        if let Some(stimulus) = self.stimulus.take() {
            stimulus.abort();
        }
        let mut reason = String::new();
        match stop {
            None | Some(Stop::Charged) => {}
            Some(Stop::Inconclusive(text)) => reason = text,
            Some(Stop::Error(text)) => {
                suite_error(&mut self.judge, self.case, &text);
                reason = text;
            }
        }
        unreached(&mut self.judge, self.case, &[], &reason);
        if !self.seen {
            self.judge
                .tally
                .distrust(&self.case.scr, "the client sent nothing in this case");
        }
        let exchanges = std::mem::take(&mut self.exchanges);
        let silence = std::mem::take(&mut self.silence);
        CaseOutput {
            dead: !self.seen,
            declined: Vec::new(),
            result: result(self.case, self.judge, reason, silence, started),
            exchanges,
        }
    }
}

/// For every Login-Request of a message: whether it holds exactly one proof, in words, and its path.
pub fn login_proofs(tree: &Tree) -> Vec<(bool, String, String)> {
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
