//! A real client, judged passively: the lower tester is a correct server, the client does what it does
//! in its own order. Every message is judged by the general rules and the rules over conversations;
//! the cases tagged `passive` are matched against what came, so that their items get evidence.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::limits::MAX_PASSIVE_EXCHANGES;
use crate::case::{Case, Step, Test};
use crate::check::conversation::Conversation;
use crate::codec::deviation::{Draft, Sending};
use crate::event::CaseResult;
use crate::message::{Encoding, Envelope, Tree};
use crate::peer::server::{ServerConfig, ServerEngine};
use crate::peer::{Credentials, is_xml_type};
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::{Role, Version};
use crate::transport::server::{Answer, Arrived, Listener};
use crate::verdict::{Part, Place};

use super::conclude::millis;
use super::judge::{Judge, Values, condition};
use super::reference::{handle, to_answer, version_of};
use super::suite::{Suite, reread};
use super::tally::Tally;

/// The case that carries what was seen of a watched client.
pub const CASE: &str = "IMPS-1.2-con-passive-C";

/// What a passive run needs.
#[derive(Debug)]
pub struct PassiveSetup {
    /// Who may log in; anybody with any password when empty.
    pub accounts: Vec<Credentials>,
    /// Seed.
    pub seed: u64,
    /// When the run began.
    pub epoch: Instant,
    /// End after so long.
    pub wait: Option<Duration>,
}

/// One message of the client with what belongs to it.
#[derive(Debug)]
struct Seen {
    exchange: u32,
    version: Version,
    tree: Tree,
    /// The session in force when it came.
    session: Option<String>,
    nonce: Option<String>,
    schema: Option<String>,
    broken: bool,
}

/// What a passive run saw, per version.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Results of the passive cases, and of the general rules.
    pub results: Vec<CaseResult>,
    /// Exchanges in order.
    pub exchanges: Vec<Arc<Exchange>>,
}

/// Serves until `stop`, the end of the wait, or the limit of exchanges. `on` is told of each exchange.
pub async fn serve(
    suite: &Suite,
    setup: &PassiveSetup,
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
    let mut watch = Watch {
        suite,
        judges: BTreeMap::new(),
        conversations: BTreeMap::new(),
        seen: Vec::new(),
        harvest: Harvest::default(),
        fallback: versions.first().copied().unwrap_or(Version::V12),
    };
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
        let (exchange, version) = watch.one(&mut engine, arrived, setup.epoch);
        on(&exchange, version);
        if watch.harvest.exchanges.len() >= MAX_PASSIVE_EXCHANGES {
            break;
        }
    }
    watch.conclude(versions)
}

struct Watch<'a> {
    suite: &'a Suite,
    judges: BTreeMap<Version, Judge<'a>>,
    /// One per session cookie or session, so that several clients do not mix.
    conversations: BTreeMap<String, Conversation>,
    seen: Vec<Seen>,
    harvest: Harvest,
    fallback: Version,
}

impl<'a> Watch<'a> {
    fn judge(&mut self, version: Version) -> &mut Judge<'a> {
        let suite = self.suite;
        self.judges.entry(version).or_insert_with(|| Judge {
            suite,
            role: Role::Client,
            version,
            tally: Tally::default(),
        })
    }

    fn one(
        &mut self,
        engine: &mut ServerEngine,
        arrived: Arrived,
        epoch: Instant,
    ) -> (Arc<Exchange>, Version) {
        let since = Instant::now();
        let number = u32::try_from(self.harvest.exchanges.len() + 1).unwrap_or(u32::MAX);
        let place = Place {
            exchange: Some(number),
            part: Some(Part::Request),
            ..Place::default()
        };
        let message = reread(&arrived.request.body);
        let version = message
            .as_ref()
            .and_then(|m| self.suite.checker.check(m).version)
            .unwrap_or(self.fallback);
        let is_csp = arrived.request.media_type().as_deref().is_some_and(is_xml_type)
            || message
                .as_ref()
                .is_some_and(|m| m.tree.get(m.tree.root()).name.starts_with("WV-CSP"));
        if !is_csp {
            // Nothing shows that this is the client: a browser or a probe is nobody's breach.
            return (self.stray(arrived, number, since, epoch), version);
        }
        let judge = self.judge(version);
        let http = judge.own("HTTP", 1);
        let post = arrived.request.start.starts_with("POST ");
        judge.charge(
            &http,
            "post",
            post,
            format!("the request line is `{}`", arrived.request.start),
            place.clone(),
        );
        let read = judge.body(&arrived.request, number, Part::Request);
        let mut broken = !read.breaches.is_empty();
        let tree = read.message.map(|m| m.tree);
        let key = tree.as_ref().map(conversation_key).unwrap_or_default();
        if let Some(tree) = &tree {
            let conversation = self
                .conversations
                .entry(key.clone())
                .or_insert_with(|| Conversation::new(Role::Client));
            let judgements =
                conversation.client_message(&self.suite.tables.syntax, tree, millis(epoch.elapsed()));
            let judge = self.judge(version);
            broken |= !judge.conversation(judgements, number, Part::Request).is_empty();
            let item = judge.own("LOGIN", 2);
            for (holds, text, path) in super::client_iut::login_proofs(tree) {
                let at = Place {
                    path,
                    ..place.clone()
                };
                judge.charge(&item, "one-proof", holds, text, at);
            }
        }
        let outgoing = handle(engine, &arrived.request, millis(epoch.elapsed()));
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
        if let Some(tree) = tree {
            self.follow(key, tree, answered.as_ref(), number, version, broken);
        }
        let exchange = Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request: arrived.request,
            response: match &answer {
                Answer::Response(http) => Ok(http.clone()),
                Answer::Silence | Answer::Close => Err(Failure::Cancelled),
            },
            started_ms: millis(since.duration_since(epoch)),
            duration_ms: millis(since.elapsed()),
        });
        let _ = arrived.answer.send(answer);
        self.harvest.exchanges.push(Arc::clone(&exchange));
        (exchange, version)
    }

    /// Answers a request that is no CSP, and judges nothing.
    fn stray(&mut self, arrived: Arrived, number: u32, since: Instant, epoch: Instant) -> Arc<Exchange> {
        let response = HttpMessage {
            start: "HTTP/1.1 415".to_owned(),
            status: 415,
            ..HttpMessage::default()
        };
        let exchange = Arc::new(Exchange {
            number,
            initiator: Initiator::Iut,
            request: arrived.request,
            response: Ok(response.clone()),
            started_ms: millis(since.duration_since(epoch)),
            duration_ms: millis(since.elapsed()),
        });
        let _ = arrived.answer.send(Answer::Response(response));
        self.harvest.exchanges.push(Arc::clone(&exchange));
        exchange
    }

    /// Notes the message with its session, and moves the conversation to the session that a login opened.
    fn follow(
        &mut self,
        key: String,
        tree: Tree,
        answer: Option<&Tree>,
        exchange: u32,
        version: Version,
        broken: bool,
    ) {
        let Some(mut conversation) = self.conversations.remove(&key) else {
            return;
        };
        let session = conversation.session().map(str::to_owned);
        conversation.answered(&self.suite.tables.syntax, &tree, answer);
        let opened = conversation.session().map(str::to_owned);
        let challenge = |name: &str| {
            let path = crate::message::Path::parse(&format!("Login-Response/{name}")).ok()?;
            answer.and_then(|t| path.first(t).map(|id| t.text(id)))
        };
        self.seen.push(Seen {
            exchange,
            version,
            tree,
            session,
            nonce: challenge("Nonce"),
            schema: challenge("DigestSchema"),
            broken,
        });
        // From its login on a session speaks under its own name.
        let key = match opened {
            Some(id) if key.starts_with("login:") => format!("session:{id}"),
            _ => key,
        };
        self.conversations.insert(key, conversation);
    }

    fn conclude(mut self, versions: &[Version]) -> Harvest {
        for version in versions {
            let cases: Vec<&Case> = self
                .suite
                .cases
                .iter()
                .filter(|c| c.object == Role::Client && c.versions.contains(version))
                .filter(|c| c.tags.iter().any(|t| t == "passive"))
                .collect();
            let seen = std::mem::take(&mut self.seen);
            for case in cases {
                let judge = self.judge(*version);
                match_case(judge, case, &seen, *version);
            }
            self.seen = seen;
        }
        let judges = std::mem::take(&mut self.judges);
        for (version, judge) in judges {
            // One case carries everything that was seen: there was one run of the client, not many.
            let Ok(id) = crate::base::CaseId::parse(CASE) else {
                continue;
            };
            let verdict = judge.tally.verdict();
            let criteria = judge.tally.into_results();
            let mut scr: Vec<crate::base::ItemId> = criteria.iter().map(|c| c.item.clone()).collect();
            scr.sort();
            scr.dedup();
            if criteria.is_empty() {
                continue;
            }
            self.harvest.results.push(CaseResult {
                id,
                title: "everything that the client sent by itself".to_owned(),
                scr,
                role: Role::Client,
                version,
                encoding: Encoding::Xml,
                verdict,
                reason: String::new(),
                criteria,
                silence: Vec::new(),
                declined: Vec::new(),
                duration_ms: 0,
            });
        }
        self.harvest
    }
}

/// The `on` steps of a passive case, matched in order against what came in one version.
fn match_case(judge: &mut Judge<'_>, case: &Case, seen: &[Seen], version: Version) {
    let all: Vec<&Step> = case.preconditions.iter().chain(&case.procedure).collect();
    let judged_from = case.preconditions.len();
    let mut at = 0;
    let mut matches = Vec::new();
    for (index, step) in all.iter().enumerate() {
        let Step::On {
            incoming,
            item,
            tests,
        } = step
        else {
            continue;
        };
        let found = seen.iter().enumerate().skip(at).find(|(_, s)| {
            s.version == version
                && Envelope::of(&s.tree).is_some_and(|e| {
                    e.transactions
                        .iter()
                        .any(|t| incoming.primitives.contains(&t.name))
                })
        });
        // Its trigger never occurred: nothing is known, nothing is charged.
        let Some((position, message)) = found else { break };
        at = position + 1;
        if index >= judged_from {
            matches.push((
                item.as_ref().unwrap_or(&case.scr[0]),
                tests,
                message,
                incoming.primitives.join(" or "),
            ));
        }
    }
    for (item, tests, message, wanted) in matches {
        judge_one(judge, item, tests, message, &wanted);
    }
}

fn judge_one(
    judge: &mut Judge<'_>,
    item: &crate::base::ItemId,
    tests: &[Test],
    message: &Seen,
    wanted: &str,
) {
    let place = Place {
        exchange: Some(message.exchange),
        part: Some(Part::Request),
        ..Place::default()
    };
    // Alternatives of one primitive: a login by password is no evidence about digests, and the reverse.
    let applies = tests.iter().all(|t| condition(t, &message.tree, message).0);
    let is_login = wanted == "Login-Request";
    if is_login && !applies {
        return;
    }
    judge.charge(
        item,
        &format!("{wanted} is sent"),
        true,
        format!("the client sent {wanted}"),
        place.clone(),
    );
    for test in tests {
        let charged = test.item.as_ref().unwrap_or(item).clone();
        let (holds, text, path) = condition(test, &message.tree, message);
        let at = Place {
            path,
            ..place.clone()
        };
        let rule = format!("{wanted}: {}", test.condition);
        if !holds && message.broken {
            judge.inconclusive(
                &charged,
                &rule,
                format!("{text} (blocked: the message breaks another rule)"),
                at,
            );
        } else {
            judge.charge(&charged, &rule, holds, text, at);
        }
    }
}

impl Values for Seen {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "session" => self.session.clone(),
            "nonce" => self.nonce.clone(),
            "schema" => self.schema.clone(),
            _ => None,
        }
    }
}

/// Which conversation a message belongs to: its session, or the cookie of its login.
fn conversation_key(tree: &Tree) -> String {
    let first = |path: &str| {
        crate::message::Path::parse(path)
            .ok()
            .and_then(|p| p.first(tree))
            .map(|id| tree.text(id).trim().to_owned())
            .filter(|t| !t.is_empty())
    };
    if let Some(user) = first("Login-Request/UserID") {
        let part = |path: &str| first(path).unwrap_or_default();
        let client = format!("{}{}", part("ClientID/URL"), part("ClientID/MSISDN"));
        return format!("login:{user} {client} {}", part("Login-Request/SessionCookie"));
    }
    match first("SessionDescriptor/SessionID") {
        Some(id) => format!("session:{id}"),
        None => String::new(),
    }
}
