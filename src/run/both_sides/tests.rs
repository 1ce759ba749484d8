//! What passes between two sides, step by step.

use super::*;
use crate::codec::xml::{WriteOptions, write};
use crate::peer::MEDIA_TYPE_XML;
use crate::peer::client::{ClientConfig, ClientEngine};
use crate::peer::names::Names;
use crate::peer::server::{ServerConfig, ServerEngine};
use crate::run::reference::{handle, reference_accounts};
use crate::verdict::Verdict;

/// A client and a server whose messages a test hands on itself.
struct Talk<'a> {
    client: ClientEngine,
    server: ServerEngine,
    sides: BothSides<'a>,
    now_ms: u64,
}

fn http(start: &str, status: u16, tree: Option<&Tree>) -> HttpMessage {
    HttpMessage {
        start: start.to_owned(),
        status,
        headers: vec![("content-type".to_owned(), MEDIA_TYPE_XML.to_owned())],
        body: tree.map_or_else(Vec::new, |t| write(t, &WriteOptions::default())),
    }
}

impl<'a> Talk<'a> {
    fn new(suite: &'a Suite, setup: &'a HarvestSetup) -> Self {
        let credentials = reference_accounts().remove(0).1;
        let config = ServerConfig {
            accounts: vec![credentials.clone()],
            max_keep_alive: 600,
            functions: crate::peer::server::served_functions(),
            seed: 1,
        };
        Self {
            client: ClientEngine::new(ClientConfig {
                version: Version::V12,
                names: Names::of_client(&credentials.user),
                credentials,
                client_id: "http://client.example/".to_owned(),
                cookie: "c".to_owned(),
                time_to_live: 600,
                id_prefix: "c".to_owned(),
            }),
            server: ServerEngine::new(config, Arc::clone(&suite.checker)),
            sides: BothSides::new(suite, setup, Version::ALL),
            now_ms: 0,
        }
    }

    /// Sends a request; gives it with what tells its answer.
    fn ask(&mut self, id: u64, primitive: &str) -> HttpMessage {
        let tree = self.client.request(primitive).expect(primitive);
        let request = http("POST / HTTP/1.1", 0, Some(&tree));
        self.now_ms += 10;
        self.sides.asked(id, request.clone(), self.now_ms);
        request
    }

    fn answer(&mut self, id: u64, request: &HttpMessage, spoil: &dyn Fn(&mut HttpMessage)) -> Passed {
        let outgoing = handle(&mut self.server, request, self.now_ms);
        let mut response = http("HTTP/1.1 200 OK", outgoing.status, outgoing.tree.as_ref());
        if let Some(tree) = &outgoing.tree {
            self.client.learn(tree);
        }
        spoil(&mut response);
        self.now_ms += 10;
        let octets = response.body.len();
        self.sides
            .answered(id, Ok(response), octets, self.now_ms)
            .expect("it was asked")
    }

    fn results(self) -> Vec<(ItemId, Verdict)> {
        let results = self.sides.conclude(Version::ALL).results;
        let criteria = results.into_iter().flat_map(|r| r.criteria);
        criteria
            .filter(|c| c.verdict > Verdict::Pass)
            .map(|c| (c.item, c.verdict))
            .collect()
    }
}

/// A session that is used after its logout, while the logout is under way or when it is over.
fn late(crossing: bool, spoil: &dyn Fn(&mut HttpMessage)) -> Vec<(ItemId, Verdict)> {
    let suite = Suite::embedded().expect("the embedded tables");
    let setup = HarvestSetup::of_archive();
    let mut talk = Talk::new(&suite, &setup);
    let right = |_: &mut HttpMessage| {};
    let login = talk.ask(1, "Login-Request");
    talk.answer(1, &login, &right);
    let early = talk.ask(2, "KeepAlive-Request");
    talk.answer(2, &early, &right);
    let session = talk.client.session().map(str::to_owned);
    let logout = talk.ask(3, "Logout-Request");
    let mut passed = Vec::new();
    if !crossing {
        passed.push(talk.answer(3, &logout, spoil));
        talk.client.set_session(session);
    }
    let late = talk.ask(4, "KeepAlive-Request");
    if crossing {
        passed.push(talk.answer(3, &logout, spoil));
    }
    passed.push(talk.answer(4, &late, &right));
    assert!(passed.iter().all(|p| p.foreign.is_none() && p.judged.len() == 2));
    assert!(talk.sides.cut_off(talk.now_ms).is_empty());
    talk.results()
}

#[test]
fn what_was_under_way_is_no_breach() {
    let item = |id: &str| ItemId::parse(id).expect("an item");
    let right = |_: &mut HttpMessage| {};
    assert_eq!(
        late(false, &right),
        [(item("CSP-LOGOUT-C-002"), Verdict::Fail)],
        "the logout was over"
    );
    assert_eq!(late(true, &right), [], "it was not");
}

#[test]
fn what_follows_a_broken_answer_is_no_breach() {
    let item = |id: &str| ItemId::parse(id).expect("an item");
    let broken = late(false, &|response| response.body.truncate(40));
    assert!(
        !broken
            .iter()
            .any(|(id, v)| *v == Verdict::Fail && id.as_str().contains("-C-")),
        "{broken:?}"
    );
    assert!(
        broken.contains(&(item("CSP-ENV-S-001"), Verdict::Fail)),
        "{broken:?}"
    );
}
