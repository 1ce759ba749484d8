//! One case against a server under test: the lower tester is a client.

use base64::Engine as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::capture::ArchivedExchange;
use crate::case::{Case, Fence, Patience, Step, Wait, account_of, is_node};
use crate::check::conversation::Given;
use crate::codec::deviation::{Draft, Edit, Encoded, Sending};
use crate::event::Silence;
use crate::message::{Envelope, Path, Tree};
use crate::peer::client::{ClientConfig, ClientEngine};
use crate::peer::digest::Schema;
use crate::peer::names::{Names, resource, screen_name_of};
use crate::peer::{Credentials, MEDIA_TYPE_XML};
use crate::record::{Exchange, Failure, HttpMessage};
use crate::spec::{Command, Status, Version};
use crate::verdict::{Part, Place};

use super::CaseOutput;
use super::answer::{is_correct, read_answer};
use super::conclude::{result, suite_error, unreached};
use super::expectation::Answer;
use super::judge::{Judge, Values, first_code};
use super::lane::Lane;
use super::ssp_node::Node;
use super::ssp_steps::SspSide;
use super::suite::Suite;
use super::tally::Tally;
use super::target::ServerTarget;
use super::vouch::Voucher;
use super::wire::Wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Preconditions,
    Procedure,
    After,
}

/// Why a case ends before its last step.
#[derive(Debug)]
pub enum Stop {
    /// It cannot be told; why.
    Inconclusive(String),
    /// The breach is charged; nothing more can follow.
    Charged,
    /// The peer says that it does not have this.
    Declined(u16),
    /// The peer does not have this, as its other answers show.
    Absent(String),
    /// An answer that leaves nothing to be done.
    Settled,
    /// The suite's own fault.
    Error(String),
}

/// Runs one case.
pub async fn run_case(suite: &Suite, target: &ServerTarget, case: &Case, version: Version) -> CaseOutput {
    let _turn = target.clock.turn(case.lets_time_pass()).await;
    let _accounts = target.guest.accounts(case.needs_accounts_alone()).await;
    play(Runner::new(suite, target, case, version)).await
}

/// Runs one case by SSP: the nodes take their seats for it.
pub async fn run_ssp_case(suite: &Suite, target: &ServerTarget, case: &Case, version: Version) -> CaseOutput {
    let mut runner = Runner::new(suite, target, case, version);
    let Some(ssp) = &target.ssp else {
        return play(runner).await;
    };
    let _turn = target.clock.turn(case.lets_time_pass()).await;
    let _accounts = target.guest.accounts(true).await;
    // One case at a time: whatever comes to a node belongs to it.
    let mut seats = ssp.seats.lock().await;
    let seed = u64::from(short_hash(case.id.as_str(), version));
    let nodes = seats
        .drain(..)
        .map(|seat| (seat.name.clone(), Node::new(seat, &ssp.profile, seed)))
        .collect();
    runner.ssp = Some(SspSide::new(nodes));
    let (output, side) = play_by_ssp(runner).await;
    let nodes = side.into_iter().flat_map(|s| s.nodes);
    seats.extend(nodes.map(|(_, node)| node.into_seat()));
    output
}

/// Judges one case again by what an archive has of it; `target` is what can be known of the server.
pub async fn judge_again(
    suite: &Suite,
    target: &ServerTarget,
    case: &Case,
    version: Version,
    archived: &[ArchivedExchange],
) -> CaseOutput {
    let mut runner = Runner::new(suite, target, case, version);
    runner.wire = Wire::Archive(archived.iter().cloned().collect());
    play(runner).await
}

async fn play(runner: Runner<'_>) -> CaseOutput {
    play_by_ssp(runner).await.0
}

async fn play_by_ssp(mut runner: Runner<'_>) -> (CaseOutput, Option<SspSide>) {
    let started = Instant::now();
    let case = runner.case;
    let stop = runner.all_steps().await;
    runner.phase = Phase::After;
    for step in &case.after {
        // What a postamble cannot do is no verdict.
        let _ = runner.run_step(step).await;
    }
    if runner.ssp.is_none() {
        runner.vouch_by_login().await;
    }
    runner.log_out().await;
    runner.let_nodes_end().await;
    let side = runner.ssp.take();
    let proven = side.as_ref().map(|s| s.nodes.values().any(|n| n.proven));
    (runner.finish(stop, started, proven), side)
}

/// Runs the steps of one case.
pub struct Runner<'a> {
    pub(super) target: &'a ServerTarget,
    pub(super) wire: Wire,
    pub(super) case: &'a Case,
    pub(super) judge: Judge<'a>,
    pub(super) lanes: BTreeMap<String, Lane>,
    kept: BTreeMap<String, String>,
    exchanges: Vec<Arc<Exchange>>,
    pub(super) silence: Vec<Silence>,
    /// Whether the peer has shown that it does something of its own.
    voucher: Voucher,
    pub(super) phase: Phase,
    /// The nodes of a case by SSP.
    pub(super) ssp: Option<SspSide>,
    /// What `keep` reads of a node.
    pub(super) at_nodes: BTreeMap<String, (Answer, u32)>,
}

impl Values for Runner<'_> {
    fn value(&self, name: &str) -> Option<String> {
        self.kept.get(name).cloned().or_else(|| self.predefined(name))
    }
}

impl<'a> Runner<'a> {
    /// A runner that has sent nothing yet.
    pub(super) fn new(suite: &'a Suite, target: &'a ServerTarget, case: &'a Case, version: Version) -> Self {
        Self {
            target,
            wire: Wire::Net,
            case,
            ssp: None,
            at_nodes: BTreeMap::new(),
            judge: Judge {
                suite,
                role: case.object,
                version,
                tally: Tally::default(),
            },
            lanes: BTreeMap::new(),
            kept: BTreeMap::new(),
            exchanges: Vec::new(),
            silence: Vec::new(),
            voucher: Voucher::default(),
            phase: Phase::Preconditions,
        }
    }

    async fn all_steps(&mut self) -> Option<Stop> {
        if self.tries_wrong_logins()
            && let Some(credentials) = self.target.accounts.get(self.account("A"))
            && let Err(reason) = self.target.guest.may_fail(&credentials.user)
        {
            return Some(Stop::Inconclusive(reason));
        }
        for (phase, steps) in [
            (Phase::Preconditions, &self.case.preconditions),
            (Phase::Procedure, &self.case.procedure),
        ] {
            self.phase = phase;
            for lane in self.lanes.values_mut() {
                lane.inbox.begin_procedure();
            }
            for step in steps {
                if self.target.guest.is_leaving() {
                    return Some(Stop::Inconclusive("interrupted".to_owned()));
                }
                if let Err(stop) = Box::pin(self.run_step(step)).await {
                    return Some(stop);
                }
            }
        }
        None
    }

    /// The account that stands behind a name in the case: wrong logins are tried with X, if there is one.
    fn account<'n>(&self, name: &'n str) -> &'n str {
        if name == "A" && self.tries_wrong_logins() && self.target.accounts.contains_key("X") {
            return "X";
        }
        name
    }

    fn tries_wrong_logins(&self) -> bool {
        self.case.tags.iter().any(|t| t == "wrong-login")
    }

    /// Counts wrong logins, so that no account is locked.
    fn note_login(&self, sent: &Tree, answer: Option<&Tree>) {
        let text = |tree: &Tree, path: &str| {
            let id = Path::parse(path).ok()?.first(tree)?;
            Some(tree.text(id).trim().to_owned()).filter(|t| !t.is_empty())
        };
        let proof = text(sent, "Login-Request/Password").or_else(|| text(sent, "Login-Request/DigestBytes"));
        let (Some(user), Some(_), Some(answer)) = (text(sent, "Login-Request/UserID"), proof, answer) else {
            return;
        };
        let opened = text(answer, "Login-Response/SessionID").is_some();
        // 603 says that the account is in use, not that the proof was wrong.
        if opened || first_code(answer).is_some_and(|c| c != 603 && c >= 400) {
            self.target.guest.login_ended(&user, opened);
        }
    }

    async fn run_step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Send {
                primitives,
                lane,
                edits,
            } if self.is_node(lane) => self.node_send(primitives, lane, edits).await,
            Step::Send {
                primitives,
                lane,
                edits,
            } => self.send(primitives, lane, edits).await,
            Step::Prepare {
                lane,
                primitive,
                reply,
                edits,
            } => self.prepare(lane, primitive, *reply, edits),
            Step::Expect {
                expected,
                lane,
                item,
                tests,
                codes,
                ..
            } if self.is_node(lane) => {
                self.node_expect(expected, lane, item.as_ref(), tests, codes)
                    .await
            }
            Step::Expect {
                expected,
                lane,
                item,
                tests,
                codes,
                patience,
            } => {
                if *patience == Patience::LeftSessions {
                    self.ask_again(lane, tests).await?;
                }
                self.expect(expected, lane, item.as_ref(), tests, codes)
            }
            Step::Keep { name, path, lane } => {
                let at_lane = self.lanes.get(lane).and_then(|l| l.answer.as_ref());
                let found = match at_lane.or_else(|| self.at_nodes.get(lane)) {
                    Some((Answer::Message(m), _)) => {
                        path.first(&m.tree).map(|id| m.tree.text(id).trim().to_owned())
                    }
                    _ => None,
                };
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
            Step::Fence(fence) => self.fence(fence).await,
            Step::Bytes(octets) => self.raw(octets).await,
            Step::Channel { action, lane, item } => {
                let item = item.as_ref().unwrap_or(&self.case.scr[0]);
                self.channel(action, lane, item).await
            }
            Step::Wait { wait, lane } => self.wait(*wait, lane).await,
            Step::Receive {
                wanted,
                item,
                tests,
                reply,
            } => {
                let item = item.as_ref().unwrap_or(&self.case.scr[0]);
                if self.is_node(&wanted.lane) {
                    return self.node_receive(wanted, item, tests).await;
                }
                self.receive(wanted, item, tests, *reply).await
            }
            Step::Nothing { wanted, item, window } => {
                let item = item.as_ref().unwrap_or(&self.case.scr[0]);
                if self.is_node(&wanted.lane) {
                    return self.node_nothing(wanted, item, *window).await;
                }
                self.nothing(wanted, item, *window).await
            }
            Step::Repeat { times, steps } => {
                for _ in 0..*times {
                    for step in steps {
                        Box::pin(self.run_step(step)).await?;
                    }
                }
                Ok(())
            }
            Step::Stimulate(_)
            | Step::On { .. }
            | Step::Reply { .. }
            | Step::OnChannel { .. }
            | Step::SendChannel { .. }
            | Step::CloseChannel => Err(Stop::Error("a step for clients in a case for servers".to_owned())),
        }
    }

    /// Lets time go by: for the embedded reference by its clock, else in earnest.
    async fn wait(&mut self, wait: Wait, lane: &str) -> Result<(), Stop> {
        let keep_alive = self.lane(lane)?.engine.keep_alive_time().unwrap_or(0);
        if keep_alive == 0 && !matches!(wait, Wait::Millis(_)) {
            return Err(Stop::Inconclusive("no KeepAliveTime is in force".to_owned()));
        }
        let time = Duration::from_millis(wait.millis(keep_alive));
        if time > self.target.longest_wait {
            return Err(Stop::Inconclusive(format!(
                "it would take {} s, the KeepAliveTime in force is {keep_alive} s; limits.longest_wait of the \
                 profile is {} s",
                time.as_secs(),
                self.target.longest_wait.as_secs()
            )));
        }
        tokio::select! {
            () = self.wire.pause(&self.target.clock, time) => Ok(()),
            () = self.target.guest.asked_to_leave() => Err(Stop::Inconclusive("interrupted".to_owned())),
        }
    }

    /// Whether a lane of this case is a node. By CSP alone the letters mean nothing.
    fn is_node(&self, lane: &str) -> bool {
        self.ssp.is_some() && is_node(lane)
    }

    fn predefined(&self, name: &str) -> Option<String> {
        if let Some((account, field)) = name.split_once('.') {
            if self.is_node(account) {
                return self.node_value(account, field);
            }
            let user = || {
                let account = self.target.accounts.get(self.account(account_of(account)))?;
                Some(account.user.clone())
            };
            match field {
                "group" | "group2" => {
                    return Some(resource(&user()?, &format!("g{}{}", self.word(), &field[5..])));
                }
                "list" | "list2" => {
                    return Some(resource(&user()?, &format!("l{}{}", self.word(), &field[4..])));
                }
                "screen-name" => return Some(screen_name_of(&user()?)),
                _ => {}
            }
            if field == "client-id" {
                return self
                    .lanes
                    .get(account)
                    .map(|l| l.engine.config().client_id.clone());
            }
            if field == "udp-port" {
                return self.lanes.get(account).map(|l| l.cir.udp_port().to_string());
            }
            let credentials = self.target.accounts.get(self.account(account))?;
            return match field {
                "user" => Some(credentials.user.clone()),
                "user-other-case" => {
                    let user = &credentials.user;
                    let local = user.strip_prefix("wv:").unwrap_or(user);
                    Some(format!("wv:{}", other_case(local)))
                }
                "password" => Some(credentials.password.clone()),
                "password-other-case" => Some(other_case(&credentials.password)),
                "password-and-more" => Some(format!("{}x", credentials.password)),
                "password-base64" => {
                    Some(base64::engine::general_purpose::STANDARD.encode(&credentials.password))
                }
                _ => None,
            };
        }
        match name {
            "wrong-password" => Some("not-the-password".to_owned()),
            "unknown-user" => {
                let of_accounts = || {
                    let mut users = self.target.accounts.values();
                    users.find_map(|a| a.user.split_once('@').map(|(_, d)| d.to_owned()))
                };
                let domain = self.target.domain.clone().or_else(of_accounts);
                let domain = domain.map(|d| format!("@{d}")).unwrap_or_default();
                Some(format!("wv:no-such-user-{}{domain}", self.target.run_id))
            }
            "word" => Some(self.word()),
            "group" | "group2" | "list" | "list2" => self.predefined(&format!("A.{name}")),
            "invitation" => Some(format!("i{}", self.word())),
            "message" => Some(format!("m{}", self.word())),
            "iut-service" => Some(format!("wv:@{}", self.target.ssp.as_ref()?.domain)),
            "content" => Some(format!("hello {}", self.word())),
            "content-size" => Some(format!("hello {}", self.word()).len().to_string()),
            "content-base64" => {
                let content = format!("hello {}", self.word());
                Some(base64::engine::general_purpose::STANDARD.encode(content))
            }
            "unknown-group" => Some(resource(
                &self.predefined("A.user")?,
                &format!("no{}", self.word()),
            )),
            "unknown-list" => Some(resource(
                &self.predefined("A.user")?,
                &format!("nl{}", self.word()),
            )),
            "unknown-message" => Some(format!("no-{}", self.word())),
            "unknown-session" => Some(format!("no-such-session-{}", self.target.run_id)),
            _ => None,
        }
    }

    /// What tells the objects of this case from those of others and of other runs; short, since addresses
    /// have 50 characters.
    fn word(&self) -> String {
        let of = format!("{}-{}", self.target.run_id, self.case.id);
        // Eight characters, so that a content made of it has a length that a case can name.
        format!("{:08x}", short_hash(&of, self.judge.version))
    }

    /// Who and what the requests of a lane are about: B for A, A for the others.
    fn names_of(&self, lane: &str, me: &str) -> Names {
        let user_of = |account: &str| self.target.accounts.get(account).map(|c| c.user.clone());
        let other = if account_of(lane) == "A" { "B" } else { "A" };
        let nobody = || self.predefined("unknown-user").unwrap_or_default();
        Names {
            me: me.to_owned(),
            peer: user_of(other).unwrap_or_else(nobody),
            owner: user_of("A").unwrap_or_else(|| me.to_owned()),
            word: self.word(),
            ..Names::default()
        }
    }

    pub(super) fn lane(&mut self, name: &str) -> Result<&mut Lane, Stop> {
        if !self.lanes.contains_key(name) {
            let account = self.account(account_of(name));
            // Cases that only use users that do not exist need no account.
            let credentials = match self.target.accounts.get(account) {
                Some(c) => c.clone(),
                None if self.case.tags.iter().any(|t| t == "no-account") => Credentials {
                    user: self.predefined("unknown-user").unwrap_or_default(),
                    password: "password-of-nobody".to_owned(),
                },
                None => {
                    return Err(Stop::Inconclusive(format!(
                        "account {account} is needed and the profile has none"
                    )));
                }
            };
            let number = self.lanes.len() + 1;
            let names = self.names_of(name, &credentials.user);
            let word = format!(
                "{}-{:x}",
                self.target.run_id,
                short_hash(self.case.id.as_str(), self.judge.version)
            );
            let engine = ClientEngine::new(ClientConfig {
                version: self.judge.version,
                credentials,
                client_id: self
                    .target
                    .client_id
                    .clone()
                    .unwrap_or_else(|| format!("http://imps-scr.invalid/{word}/{number}")),
                cookie: format!("{word}#{number}"),
                time_to_live: 600,
                id_prefix: format!("{word}#{number}-"),
                names,
            });
            self.lanes.insert(name.to_owned(), Lane::new(engine));
        }
        self.lanes
            .get_mut(name)
            .ok_or_else(|| Stop::Error(format!("lane {name} vanished")))
    }

    /// Sends a request of the lane's client, changed.
    pub(super) async fn send(
        &mut self,
        primitives: &[String],
        lane_name: &str,
        edits: &[Edit],
    ) -> Result<(), Stop> {
        let version = self.judge.version;
        let lane = self.lane(lane_name)?;
        let tree = match primitives {
            [one] if one.starts_with("Login-Request.challenge:") => {
                let names = one.split_once(':').map_or("", |(_, n)| n);
                Ok(lane
                    .engine
                    .login_challenge_of(&names.split(',').collect::<Vec<_>>()))
            }
            [one] if one == "Login-Request.challenge" => {
                Ok(lane.engine.login_challenge_request(&[Schema::Md5, Schema::Sha]))
            }
            [one] if one == "Login-Request.digest" => lane
                .engine
                .login_digest_request()
                .map_err(|e| Stop::Inconclusive(format!("the third leg cannot be sent: {e}"))),
            [one] => lane.engine.request(one).map_err(Stop::Error),
            several => lane.engine.requests(several).map_err(Stop::Error),
        }?;
        let encoded = Draft {
            version,
            status: 0,
            method: "POST".to_owned(),
            media_type: MEDIA_TYPE_XML.to_owned(),
            tree: Some(tree),
            sending: Sending::Normal,
        }
        .encode(edits, &|name| self.value(name))
        .map_err(Stop::Error)?;
        self.lane(lane_name)?.sent = (primitives.to_vec(), edits.to_vec());
        self.exchange(lane_name, &encoded).await
    }

    /// Sends octets that need not be HTTP. What comes back is recorded and judged by nobody: a closed
    /// connection is as good as an error.
    async fn raw(&mut self, octets: &str) -> Result<(), Stop> {
        let number = self.next_number();
        let target = self.target;
        let exchange = self
            .wire
            .raw(target, octets, number)
            .await
            .map_err(Stop::Inconclusive)?;
        let stop = match &exchange.response {
            // A closed connection is as good as an error page.
            Ok(_) | Err(Failure::Closed(_)) => None,
            Err(failure) => Some(Stop::Inconclusive(failure.to_string())),
        };
        self.exchanges.push(Arc::new(exchange));
        stop.map_or(Ok(()), Err)
    }

    /// Keeps what was on the wire.
    pub(super) fn record(&mut self, exchange: Exchange) {
        self.exchanges.push(Arc::new(exchange));
    }

    /// What came back in an exchange of this number.
    pub(super) fn response_of(&self, number: u32) -> Result<HttpMessage, Failure> {
        let found = self.exchanges.iter().find(|e| e.number == number);
        found.map_or(Err(Failure::Cancelled), |e| e.response.clone())
    }

    pub(super) fn next_number(&self) -> u32 {
        u32::try_from(self.exchanges.len() + 1).unwrap_or(u32::MAX)
    }

    /// Sends octets and judges what comes back.
    pub(super) async fn exchange(&mut self, lane_name: &str, encoded: &Encoded) -> Result<(), Stop> {
        let number = self.next_number();
        let target = self.target;
        let mut wire = std::mem::replace(&mut self.wire, Wire::Net);
        let turn = self
            .while_pumping(Box::pin(wire.exchange(target, encoded, number)))
            .await;
        self.wire = wire;
        let mut turn = turn.map_err(Stop::Inconclusive)?;
        // What came to a node meanwhile has numbers of its own.
        turn.exchange.number = self.next_number();
        let number = turn.exchange.number;
        let response = turn.exchange.response.clone();
        self.exchanges.push(Arc::new(turn.exchange));
        let sent = super::suite::reread(&turn.sent);
        let octets = response.as_ref().map_or(0, |r| r.body.len());
        let (answer, mut breaches) = read_answer(&mut self.judge, response, number);
        let clean = sent
            .as_ref()
            .filter(|m| is_correct(self.judge.suite, m))
            .map(|m| m.tree.clone());
        let asked = sent.as_ref().map_or_else(
            || "the octets".to_owned(),
            |m| match Envelope::of(&m.tree) {
                Some(envelope) => envelope.primitives(),
                None => m.tree.get(m.tree.root()).name.clone(),
            },
        );
        let suite = self.judge.suite;
        let given = match &answer {
            Answer::Message(m) => Given::Message(&m.tree),
            Answer::Empty => Given::Empty,
            _ => Given::Nothing,
        };
        let tree = match given {
            Given::Message(tree) => Some(tree),
            _ => None,
        };
        if let Some(digest) = sent.as_ref().and_then(|m| sent_digest(&m.tree)) {
            self.kept.insert(format!("{lane_name}.digest"), digest);
        }
        let lane = self.lane(lane_name)?;
        let before = lane.engine.session().map(str::to_owned);
        let size = lane.conversation.server_size(octets).filter(|_| tree.is_some());
        let judgements = match &clean {
            Some(request) => lane
                .conversation
                .server_answer(&suite.tables.syntax, request, given),
            None => Vec::new(),
        };
        if let Some(tree) = tree {
            lane.engine.learn(tree);
        }
        if lane.engine.session().is_none() {
            // The lower tester may go on with a session that ended: that is what some cases are about.
            lane.engine.set_session(before);
        }
        if let Some(sent) = &sent {
            self.note_login(&sent.tree, tree);
        }
        let lane = self.lane(lane_name)?;
        if let (Some(sent), Some(tree)) = (&sent, tree) {
            lane.track(&sent.tree, tree);
            self.voucher.saw(&suite.tables.syntax, &sent.tree, tree);
        }
        let judgements = judgements.into_iter().chain(size).collect();
        breaches.extend(self.judge.conversation(judgements, number, Part::Response));
        let lane = self.lane(lane_name)?;
        if let Answer::Message(message) = &answer {
            lane.inbox.take(&message.tree, number, &breaches);
            lane.cir.learn(&message.tree);
        }
        lane.answer = Some((answer, number));
        lane.carried_oddly =
            encoded.chunked || encoded.expect_continue || encoded.media_type != MEDIA_TYPE_XML;
        lane.broken.extend(breaches.iter().cloned());
        lane.breaches = breaches;
        lane.asked = asked;
        Ok(())
    }

    /// A valid request that must be served: shows that the peer is alive and its session whole.
    async fn fence(&mut self, fence: &Fence) -> Result<(), Stop> {
        let (primitive, what) = match fence.command {
            Some(Command::Login) => ("Login-Request", "a valid login"),
            _ => ("KeepAlive-Request", "a valid KeepAlive-Request"),
        };
        self.send(&[primitive.to_owned()], &fence.lane, &[]).await?;
        let lane = self.lane(&fence.lane)?;
        let alive = match lane.answer.as_ref() {
            // Code 603, already logged in, is the word of a server that works (LG-7).
            Some((Answer::Message(m), _)) => {
                first_code(&m.tree).is_some_and(|c| c / 100 == 2 || c == 603 && primitive == "Login-Request")
            }
            _ => false,
        };
        let number = lane.answer.as_ref().map(|(_, n)| *n);
        let place = Place {
            exchange: number,
            part: Some(Part::Response),
            ..Place::default()
        };
        match (&fence.item, alive) {
            // A fence with an item is what the case is about: being served all the same.
            (Some(item), _) if self.phase == Phase::Procedure => {
                let rule = format!("{what} is served afterwards");
                let text = if alive {
                    format!("{what} is served")
                } else {
                    format!("{what} is not served")
                };
                self.judge.charge(item, &rule, alive, text, place);
                if alive { Ok(()) } else { Err(Stop::Charged) }
            }
            (_, true) => Ok(()),
            (_, false) => {
                let text = format!("the control failed: {what} is not served afterwards");
                if self.phase == Phase::Procedure {
                    // Whatever the case is about was seen of a peer that then did not work.
                    for item in self.case.scr.clone() {
                        self.judge
                            .inconclusive(&item, "control", text.clone(), place.clone());
                    }
                }
                Err(Stop::Inconclusive(text))
            }
        }
    }

    /// A case that needs no account shows little of the peer; where there is an account, a login shows it.
    async fn vouch_by_login(&mut self) {
        let useful = !self.voucher.vouches() && self.target.accounts.contains_key("A");
        if useful && self.case.tags.iter().any(|t| t == "no-account") {
            for primitive in ["Login-Request", "KeepAlive-Request"] {
                let _ = self.send(&[primitive.to_owned()], "A", &[]).await;
            }
        }
    }

    /// Leaves no session behind, whatever happened.
    pub(super) async fn log_out(&mut self) {
        let open: Vec<(String, String)> = self
            .lanes
            .iter()
            .flat_map(|(name, lane)| lane.open.iter().map(move |id| (name.clone(), id.clone())))
            .collect();
        for (name, id) in open {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.engine.set_session(Some(id));
            }
            if !self.voucher.vouches() {
                // Nothing was done with the session yet: this shows whether it is one.
                let _ = self.send(&["KeepAlive-Request".to_owned()], &name, &[]).await;
            }
            let _ = self.send(&["Logout-Request".to_owned()], &name, &[]).await;
        }
    }

    /// `proven`: by SSP, whether the server proved its domain.
    fn finish(mut self, stop: Option<Stop>, started: Instant, proven: Option<bool>) -> CaseOutput {
        let mut declined = Vec::new();
        let mut reason = String::new();
        match stop {
            None | Some(Stop::Charged | Stop::Settled) => {}
            Some(Stop::Inconclusive(text)) => reason = text,
            Some(stop @ (Stop::Declined(_) | Stop::Absent(_))) => {
                reason = match stop {
                    Stop::Declined(code) => {
                        format!("the peer says by code {code} that it does not have this")
                    }
                    Stop::Absent(why) => why,
                    _ => String::new(),
                };
                let is_mandatory = |item: &ItemId| {
                    let row = self.judge.suite.tables.items.get(item);
                    row.is_some_and(|i| i.status == Status::Mandatory)
                };
                // Where a case shows a mandatory item by means of an optional feature, declining is about
                // that feature.
                let of_feature = !is_mandatory(&self.case.scr[0]);
                for item in &self.case.scr {
                    let mandatory = is_mandatory(item);
                    if mandatory && of_feature {
                        continue;
                    }
                    if mandatory {
                        // Nobody may decline what is mandatory; how much that costs is the item's strength.
                        self.judge
                            .charge(item, "declined", false, reason.clone(), Place::default());
                    } else {
                        declined.push(item.clone());
                    }
                }
            }
            Some(Stop::Error(text)) => {
                suite_error(&mut self.judge, self.case, &text);
                reason = text;
            }
        }
        let late: Vec<_> = self
            .lanes
            .values()
            .flat_map(|l| l.conversation.unanswered())
            .collect();
        self.judge.conversation(
            late,
            u32::try_from(self.exchanges.len()).unwrap_or(u32::MAX),
            Part::Response,
        );
        unreached(&mut self.judge, self.case, &declined, &reason);
        let distrusted = match proven {
            None if !self.voucher.vouches() => {
                "nothing shows that the peer does anything: no session was opened and used in this case"
            }
            Some(false) => "nothing shows that the server does anything by SSP: it has not proved its domain",
            _ => "",
        };
        if !distrusted.is_empty() {
            self.judge.tally.distrust(&self.case.scr, distrusted);
        }
        CaseOutput {
            dead: !self.exchanges.is_empty() && !self.exchanges.iter().any(|e| e.response.is_ok()),
            declined,
            result: result(self.case, self.judge, reason, self.silence, started),
            exchanges: self.exchanges,
        }
    }
}

fn sent_digest(tree: &Tree) -> Option<String> {
    let path = crate::message::Path::parse("Login-Request/DigestBytes").ok()?;
    path.first(tree).map(|id| tree.text(id))
}

/// A password that only a comparison without case takes for the right one; where it has no letters, another.
fn other_case(password: &str) -> String {
    let swap = |c: char| match c.is_ascii_lowercase() {
        true => c.to_ascii_uppercase(),
        false => c.to_ascii_lowercase(),
    };
    let swapped: String = password.chars().map(swap).collect();
    match swapped == password {
        true => format!("{password}A"),
        false => swapped,
    }
}

/// A short word that tells cases apart in what a run creates; no protection is meant.
pub fn short_hash(text: &str, version: Version) -> u32 {
    text.bytes()
        .chain(version.as_str().bytes())
        .fold(2_166_136_261_u32, |h, b| {
            (h ^ u32::from(b)).wrapping_mul(16_777_619)
        })
}
