//! The printed examples of every service beyond the session core: the server engine gives the printed
//! answer to the printed request, the client engine the printed answer to what the server asks.
//!
//! The files are not part of this repository (`IMPS_SCR_SHARED`); without them the tests say so and pass.

use std::sync::Arc;

use imps_scr::check::Checker;
use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::{Envelope, Mode, Path, Tree};
use imps_scr::peer::client::{ClientConfig, ClientEngine};
use imps_scr::peer::names::Names;
use imps_scr::peer::server::{Incoming, ServerConfig, ServerEngine};
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::run::Suite;
use imps_scr::spec::{Role, Version};

mod shared;

/// The examples of the services, by their number in the print: 6.10 to 6.43.
const SERVICES: std::ops::RangeInclusive<u32> = 18..=105;

/// What the engine need not do as printed, with the reason (section 14 of the facts, and what the state of the
/// print cannot be brought about by the printed messages alone).
const EXCUSED: &[(u32, &str)] = &[
    (50, "printed in mode Response with an identifier of its own"),
    (68, "printed in mode Response with an identifier of its own"),
    (78, "its answer is printed Outband"),
];

fn example(number: u32) -> Option<Tree> {
    let path = shared::find(&format!("corpus/csp11-xml/wv-{number:03}.xml"))?;
    let octets = std::fs::read(path).unwrap();
    read(&octets, None).message.map(|m| m.tree)
}

fn checker() -> Arc<Checker> {
    Suite::embedded().unwrap_or_else(|e| panic!("{e}")).checker
}

fn account() -> Credentials {
    Credentials {
        user: "wv:user@im.com".to_owned(),
        password: "1my2pass3word".to_owned(),
    }
}

fn ask(server: &mut ServerEngine, tree: &Tree) -> (u16, Option<Tree>) {
    let body = write(tree, &WriteOptions::default());
    let outgoing = server.handle(
        0,
        &Incoming {
            method: "POST",
            media_type: Some(MEDIA_TYPE_XML),
            charset: None,
            body: &body,
        },
    );
    (outgoing.status, outgoing.tree)
}

fn first(tree: &Tree, path: &str) -> Option<imps_scr::message::NodeId> {
    Path::parse(path).unwrap().first(tree)
}

fn code(tree: &Tree) -> Option<String> {
    first(tree, "Result/Code").map(|id| tree.text(id).trim().to_owned())
}

/// A server whose world is the one of the print: everybody and everything that is named exists.
fn server(checker: &Arc<Checker>) -> (ServerEngine, String) {
    let config = ServerConfig {
        accounts: vec![account()],
        max_keep_alive: 3600,
        functions: imps_scr::peer::server::served_functions(),
        seed: 7,
    };
    let mut server = ServerEngine::new(config, Arc::clone(checker)).hospitable();
    let mut client = client();
    let (_, answer) = ask(&mut server, &client.request("Login-Request").unwrap());
    client.learn(&answer.unwrap());
    let session = client.session().unwrap().to_owned();
    (server, session)
}

fn client() -> ClientEngine {
    ClientEngine::new(ClientConfig {
        version: Version::V11,
        credentials: account(),
        client_id: "http://client.example/".to_owned(),
        cookie: "c".to_owned(),
        time_to_live: 120,
        id_prefix: "t".to_owned(),
        names: Names::of_client("wv:user@im.com"),
    })
}

#[test]
fn printed_requests_of_every_service_get_the_printed_answers() {
    let checker = checker();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for number in SERVICES {
        let Some(mut request) = example(number) else {
            return;
        };
        let Some(envelope) = Envelope::of(&request) else {
            continue;
        };
        let transaction = &envelope.transactions[0];
        let from_client = checker
            .syntax()
            .primitive(&transaction.name)
            .is_some_and(|p| p.from.contains(&Role::Client));
        if transaction.mode != Mode::Request || !from_client || transaction.name == "Status" {
            continue;
        }
        let Some(printed) = example(number + 1) else {
            continue;
        };
        let Some(model) = Envelope::of(&printed) else {
            continue;
        };
        if model.transactions[0].mode != Mode::Response || EXCUSED.iter().any(|(n, _)| *n == number) {
            continue;
        }
        tried += 1;
        let (mut server, session) = server(&checker);
        if let Some(id) = first(&request, "SessionDescriptor/SessionID") {
            request.set_text(id, &session);
        }
        let (status, answer) = ask(&mut server, &request);
        let Some(answer) = answer else {
            wrong.push(format!(
                "{number} {}: HTTP {status} without a message",
                transaction.name
            ));
            continue;
        };
        let given = Envelope::of(&answer).unwrap();
        let alike = given.primitives() == model.primitives()
            && given.session_type == model.session_type
            && given.transactions[0].mode == model.transactions[0].mode
            && given.transactions[0].id == transaction.id
            && code(&answer) == code(&printed);
        if !alike {
            wrong.push(format!(
                "{number} {}: {} {:?}, printed is {} {:?}",
                transaction.name,
                given.primitives(),
                code(&answer),
                model.primitives(),
                code(&printed)
            ));
        }
    }
    assert!(wrong.is_empty(), "of {tried}:\n{}", wrong.join("\n"));
    assert!(tried > 30, "{tried}");
}

#[test]
fn printed_requests_of_the_server_get_the_printed_answers_of_clients() {
    let checker = checker();
    let mut tried = 0;
    // The last one has no answer behind it.
    for number in *SERVICES.start()..*SERVICES.end() {
        let Some(request) = example(number) else { return };
        let Some(envelope) = Envelope::of(&request) else {
            continue;
        };
        let transaction = &envelope.transactions[0];
        let from_server = checker
            .syntax()
            .primitive(&transaction.name)
            .is_some_and(|p| p.from.contains(&Role::Server));
        let Some(printed) = example(number + 1) else {
            continue;
        };
        let Some(model) = Envelope::of(&printed) else {
            continue;
        };
        if transaction.mode != Mode::Request
            || !from_server
            || model.transactions[0].mode != Mode::Response
            || EXCUSED.iter().any(|(n, _)| *n == number)
        {
            continue;
        }
        tried += 1;
        let client = client();
        let replies = client.replies(&request, &envelope, false);
        assert_eq!(replies.len(), 1, "example {number}");
        assert_eq!(
            replies[0].primitive.name(),
            model.transactions[0].name,
            "example {number}"
        );
        assert_eq!(replies[0].id, transaction.id, "example {number}");
        assert_eq!(replies[0].mode, Mode::Response);
    }
    assert!(tried > 5, "{tried}");
}
