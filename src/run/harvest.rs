//! A real client that nobody commands: the lower tester is a correct server, the client does what it does
//! in its own order. Every message is judged by the general rules; and each conversation is held against
//! every case that a correct server alone can carry out, so that the items of a case get evidence when
//! what it waits for occurs.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::limits::MAX_PASSIVE_EXCHANGES;
use crate::base::{CaseId, ItemId};
use crate::capture::ArchivedExchange;
use crate::case::{Case, Step};
use crate::codec::deviation::{Draft, Sending};
use crate::event::{CaseResult, CriterionResult};
use crate::message::{Encoding, Tree};
use crate::peer::Credentials;
use crate::peer::server::{ServerConfig, ServerEngine};
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::{Role, Version};
use crate::transport::server::{Answer, Arrived, Listener};

use super::client_iut::{judge_of, readable};
use super::conclude::millis;
use super::conversations::{Conversations, client_of, first};
use super::intake::{Found, is_csp, judge_message, names};
use super::judge::Judge;
use super::occurrence::{Match, Seen};
use super::reference::{handle, to_answer, version_of};
use super::station::no_csp;
use super::suite::{Suite, reread};
use super::wire::filled;

/// The case that carries what the general rules found.
pub const CASE: &str = "IMPS-1.2-con-passive-C";

/// How the notice begins that such a run waits.
pub const WAITING: &str = "waiting for a client at ";

/// What a harvest needs.
#[derive(Debug)]
pub struct HarvestSetup {
    /// Who may log in; anybody with any password when empty.
    pub accounts: Vec<Credentials>,
    /// Seed.
    pub seed: u64,
    /// When the run began.
    pub epoch: Instant,
    /// End after so long.
    pub wait: Option<Duration>,
}

impl HarvestSetup {
    /// For what was harvested once: nobody is waited for, and no password is known.
    pub(super) fn of_archive() -> Self {
        Self {
            accounts: Vec::new(),
            seed: 0,
            epoch: Instant::now(),
            wait: None,
        }
    }
}

/// What a harvest brought in.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Results of the cases that occurred, and of the general rules.
    pub results: Vec<CaseResult>,
    /// Exchanges in order.
    pub exchanges: Vec<Arc<Exchange>>,
}

/// Whether a correct server alone can carry a case out: every answer is as usual, nothing is asked of the
/// client.
pub fn can_be_harvested(case: &Case) -> bool {
    let plain = |step: &Step| match step {
        Step::Stimulate(_) | Step::On { .. } | Step::Keep { .. } | Step::Fence(_) | Step::Wait { .. } => true,
        Step::Reply {
            edits,
            requests,
            status,
            agree,
        } => edits.is_empty() && requests.is_empty() && status.is_none() && agree.is_empty(),
        _ => false,
    };
    case.object == Role::Client
        && case.preconditions.iter().chain(&case.procedure).all(plain)
        && case.procedure.iter().any(|s| matches!(s, Step::On { .. }))
}

/// Serves until `stop`, the end of the wait, or the limit of exchanges. `on` is told of each exchange.
pub async fn serve(
    suite: &Suite,
    setup: &HarvestSetup,
    listener: &mut Listener,
    versions: &[Version],
    stop: impl Future<Output = ()>,
    on: &mut dyn FnMut(&Arc<Exchange>, Version),
) -> Harvest {
    let mut engine = ServerEngine::new(
        ServerConfig {
            accounts: setup.accounts.clone(),
            max_keep_alive: 3600,
            functions: crate::peer::server::served_functions(),
            seed: setup.seed,
        },
        Arc::clone(&suite.checker),
    )
    .open_to_all(setup.accounts.is_empty());
    let mut watch = Watch::new(suite, setup, versions);
    let deadline = async {
        match setup.wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    let mut stop = std::pin::pin!(stop);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        let arrived = tokio::select! {
            biased;
            () = &mut stop => break,
            () = &mut deadline => break,
            arrived = listener.arrivals.recv() => match arrived {
                Some(arrived) => arrived,
                None => break,
            },
        };
        let (exchange, version) = watch.one(&mut engine, arrived);
        on(&exchange, version);
        if watch.harvest.exchanges.len() >= MAX_PASSIVE_EXCHANGES {
            break;
        }
    }
    watch.conclude(versions)
}

/// Judges what was harvested once, with its archive in place of the client. No password is known, so that
/// no digest is judged.
pub fn judge_again(suite: &Suite, exchanges: &[ArchivedExchange], versions: &[Version]) -> Harvest {
    let setup = HarvestSetup::of_archive();
    let mut watch = Watch::new(suite, &setup, versions);
    for kept in exchanges {
        let exchange = &kept.exchange;
        let request = HttpMessage {
            body: filled(kept),
            ..exchange.request.clone()
        };
        let version = watch.version_of(&request);
        let found = watch.judge(&request, exchange.number, version, exchange.started_ms);
        if let Some(found) = found {
            let answered = exchange.response.as_ref().ok();
            let answered = answered.and_then(|r| readable(&r.body));
            watch.note(found, answered.as_ref(), exchange.number, version);
        }
        watch.harvest.exchanges.push(Arc::clone(exchange));
    }
    watch.conclude(versions)
}

/// What narrows every run of a client that is only watched.
pub fn caveats(results: &[CaseResult]) -> Vec<String> {
    let mut caveats = vec![
        "a client that is only watched is judged by what it chose to do: what needs a stimulus stays untested"
            .to_owned(),
    ];
    if results.is_empty() {
        caveats.push("the client sent nothing".to_owned());
    }
    caveats
}

/// The versions that results are about.
pub fn versions_seen(results: &[CaseResult]) -> Vec<Version> {
    let seen: BTreeSet<Version> = results.iter().map(|r| r.version).collect();
    seen.into_iter().collect()
}

/// What the clients of one listener sent, judged.
pub(super) struct Watch<'a> {
    suite: &'a Suite,
    setup: &'a HarvestSetup,
    judges: BTreeMap<Version, Judge<'a>>,
    pub(super) conversations: Conversations,
    seen: Vec<Seen>,
    pub(super) harvest: Harvest,
    fallback: Version,
}

impl<'a> Watch<'a> {
    pub(super) fn new(suite: &'a Suite, setup: &'a HarvestSetup, versions: &[Version]) -> Self {
        Self {
            suite,
            setup,
            judges: BTreeMap::new(),
            conversations: Conversations::new(false),
            seen: Vec::new(),
            harvest: Harvest::default(),
            fallback: versions.first().copied().unwrap_or(Version::V12),
        }
    }

    /// For clients that speak to a server that is not the suite's.
    pub(super) fn of_passers_by(suite: &'a Suite, setup: &'a HarvestSetup, versions: &[Version]) -> Self {
        Self {
            conversations: Conversations::of_passers_by(),
            ..Self::new(suite, setup, versions)
        }
    }

    pub(super) fn version_of(&self, request: &HttpMessage) -> Version {
        reread(&request.body)
            .and_then(|m| self.suite.checker.check(&m).version)
            .unwrap_or(self.fallback)
    }

    /// Judges a request by the general rules, and gives what that came to; none when it is no CSP.
    pub(super) fn judge_apart(
        &mut self,
        request: &HttpMessage,
        number: u32,
        version: Version,
        now_ms: u64,
    ) -> Option<(Found, Vec<CriterionResult>)> {
        if !is_csp(request) {
            return None;
        }
        let suite = self.suite;
        let judge = self
            .judges
            .entry(version)
            .or_insert_with(|| judge_of(suite, version));
        let before = std::mem::take(&mut judge.tally);
        let found = judge_message(judge, &mut self.conversations, request, number, now_ms);
        let own = std::mem::replace(&mut judge.tally, before).into_results();
        judge.tally.absorb(&own);
        Some((found, own))
    }

    /// Judges a request by the general rules; none when it is no CSP.
    fn judge(&mut self, request: &HttpMessage, number: u32, version: Version, now_ms: u64) -> Option<Found> {
        self.judge_apart(request, number, version, now_ms)
            .map(|(found, _)| found)
    }

    fn one(&mut self, engine: &mut ServerEngine, arrived: Arrived) -> (Arc<Exchange>, Version) {
        let since = Instant::now();
        let number = u32::try_from(self.harvest.exchanges.len() + 1).unwrap_or(u32::MAX);
        let version = self.version_of(&arrived.request);
        // The archive tells when it came by this alone.
        let now_ms = millis(since.duration_since(self.setup.epoch));
        let Some(found) = self.judge(&arrived.request, number, version, now_ms) else {
            return (self.record(arrived, no_csp(), number, since), version);
        };
        let outgoing = handle(engine, &arrived.request, millis(self.setup.epoch.elapsed()));
        let answered = outgoing.tree.clone();
        let encoded = Draft {
            version: version_of(outgoing.tree.as_ref()),
            status: outgoing.status,
            method: String::new(),
            media_type: outgoing.media_type.clone().unwrap_or_default(),
            tree: outgoing.tree,
            sending: Sending::Normal,
        }
        .encode(&[], &|_| None);
        let answer = encoded.map_or(Answer::Close, to_answer);
        self.note(found, answered.as_ref(), number, version);
        (self.record(arrived, answer, number, since), version)
    }

    fn record(&mut self, arrived: Arrived, answer: Answer, number: u32, since: Instant) -> Arc<Exchange> {
        let exchange = Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request: arrived.request,
            response: match &answer {
                Answer::Response(http) => Ok(http.clone()),
                Answer::Silence | Answer::Close => Err(Failure::Cancelled),
            },
            started_ms: millis(since.duration_since(self.setup.epoch)),
            duration_ms: millis(since.elapsed()),
            moment: None,
        });
        // Whoever asked may be gone by now.
        let _ = arrived.answer.send(answer);
        self.harvest.exchanges.push(Arc::clone(&exchange));
        exchange
    }

    /// Keeps a message with its conversation, and moves that to the session that a login opened.
    pub(super) fn note(&mut self, found: Found, answer: Option<&Tree>, exchange: u32, version: Version) {
        let Some(tree) = found.tree else { return };
        if let Some(key) = &found.key {
            self.conversations
                .answered(&self.suite.tables.syntax, key, &tree, answer);
        }
        let challenge = answer.and_then(|a| {
            Some((
                first(a, "Login-Response/Nonce")?,
                first(a, "Login-Response/DigestSchema")?,
            ))
        });
        let client = first(&tree, "Login-Request/UserID").map(|user| (client_of(&tree, &user), user));
        self.seen.push(Seen {
            exchange,
            version,
            names: names(Some(&tree)),
            tree,
            conversation: found.number,
            session: found.session,
            challenge,
            client,
            broken: found.broken,
            unsure: found.unsure,
        });
    }

    pub(super) fn conclude(mut self, versions: &[Version]) -> Harvest {
        // Answers may have come in another order.
        self.seen.sort_by_key(|s| s.exchange);
        for version in versions {
            for case in self.suite.cases.iter() {
                if case.versions.contains(version) && can_be_harvested(case) {
                    let result = self.match_case(case, *version);
                    self.harvest.results.extend(result);
                }
            }
        }
        for (version, judge) in std::mem::take(&mut self.judges) {
            let Ok(id) = CaseId::parse(CASE) else {
                continue;
            };
            if !judge.tally.has_any() {
                continue;
            }
            let mut result = result_of(judge, id, "everything that the client sent by itself");
            let items: BTreeSet<ItemId> = result.criteria.iter().map(|c| c.item.clone()).collect();
            result.scr = items.into_iter().collect();
            result.version = version;
            self.harvest.results.push(result);
        }
        self.harvest
    }

    /// Holds every conversation of a version against a case; none when it occurs in no conversation.
    fn match_case(&self, case: &Case, version: Version) -> Option<CaseResult> {
        let mut judge = judge_of(self.suite, version);
        let mut silence = Vec::new();
        let numbers: BTreeSet<u64> = self
            .seen
            .iter()
            .filter(|s| s.version == version)
            .filter_map(|s| s.conversation)
            .collect();
        for number in numbers {
            let conversation: Vec<&Seen> = self
                .seen
                .iter()
                .filter(|s| s.version == version && s.conversation == Some(number))
                .collect();
            let Some(run) = Match::of(case, &conversation, &self.seen) else {
                continue;
            };
            let user = conversation
                .iter()
                .find_map(|s| s.client.as_ref())
                .map(|(_, user)| user.as_str());
            let password = self
                .setup
                .accounts
                .iter()
                .find(|a| user.is_some_and(|u| a.user.eq_ignore_ascii_case(u)))
                .map(|a| a.password.clone());
            run.charge(&mut judge, user, password, &mut silence);
        }
        if !judge.tally.has_any() {
            return None;
        }
        let mut result = result_of(judge, case.id.clone(), &case.title);
        result.scr.clone_from(&case.scr);
        result.silence = silence;
        Some(result)
    }
}

fn result_of(judge: Judge<'_>, id: CaseId, title: &str) -> CaseResult {
    CaseResult {
        id,
        title: title.to_owned(),
        scr: Vec::new(),
        role: Role::Client,
        version: judge.version,
        encoding: Encoding::Xml,
        verdict: judge.tally.verdict(),
        reason: String::new(),
        criteria: judge.tally.into_results(),
        silence: Vec::new(),
        declined: Vec::new(),
        duration_ms: 0,
        turns: Vec::new(),
    }
}
