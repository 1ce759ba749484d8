//! The printed examples of the specification against the engines: they were written by neither.
//!
//! The files are not part of this repository (`IMPS_SCR_SHARED`); without them the tests that read
//! them say so and pass. The group examples that no file has are written here from their description.

use std::sync::Arc;

use imps_scr::check::Checker;
use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::{Elem, Envelope, Mode, Path, SessionType, Tree, empty, text};
use imps_scr::peer::client::{ClientConfig, ClientEngine};
use imps_scr::peer::compose::{Part, message, result, status};
use imps_scr::peer::digest::Schema;
use imps_scr::peer::server::{Incoming, ServerConfig, ServerEngine};
use imps_scr::peer::{Credentials, MEDIA_TYPE_XML};
use imps_scr::run::Suite;
use imps_scr::spec::Version;

mod shared;

fn example(number: u32) -> Option<Tree> {
    let path = shared::find(&format!("corpus/csp11-xml/wv-{number:03}.xml"))?;
    let octets = std::fs::read(path).unwrap();
    Some(
        read(&octets, None)
            .message
            .expect("a printed example is readable")
            .tree,
    )
}

fn set(tree: &mut Tree, path: &str, value: &str) {
    let id = Path::parse(path).unwrap().first(tree).expect(path);
    tree.set_text(id, value);
}

fn get(tree: &Tree, path: &str) -> Option<String> {
    Path::parse(path)
        .unwrap()
        .first(tree)
        .map(|id| tree.text(id).trim().to_owned())
}

fn checker() -> Arc<Checker> {
    Suite::embedded().unwrap_or_else(|e| panic!("{e}")).checker
}

/// The account of the printed logins.
fn printed_account() -> Credentials {
    Credentials {
        user: "wv:user@im.com".to_owned(),
        password: "1my2pass3word".to_owned(),
    }
}

fn server() -> ServerEngine {
    let config = ServerConfig {
        accounts: vec![printed_account()],
        max_keep_alive: 3600,
        functions: imps_scr::peer::server::served_functions(),
        seed: 7,
    };
    ServerEngine::new(config, checker())
}

fn ask(server: &mut ServerEngine, tree: &Tree) -> Option<Tree> {
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
    assert_eq!(outgoing.status, 200);
    outgoing.tree
}

/// Same primitive, same mode, same kind of session, and the TransactionID of the request.
fn assert_alike(request: &Tree, answer: &Tree, printed: &Tree) {
    let (asked, given, model) = (
        Envelope::of(request).unwrap(),
        Envelope::of(answer).unwrap(),
        Envelope::of(printed).unwrap(),
    );
    assert_eq!(given.primitives(), model.primitives());
    assert_eq!(given.session_type, model.session_type);
    assert_eq!(given.transactions[0].mode, model.transactions[0].mode);
    assert_eq!(given.transactions[0].id, asked.transactions[0].id);
    assert_eq!(given.session_id.is_some(), model.session_id.is_some());
    assert_eq!(given.poll.is_some(), model.poll.is_some());
}

#[test]
fn printed_requests_get_the_printed_answers() {
    let Some(login) = example(3) else { return };
    let mut server = server();
    let answer = ask(&mut server, &login).unwrap();
    assert_alike(&login, &answer, &example(4).unwrap());
    let session = get(&answer, "Login-Response/SessionID").unwrap();

    // 6.9: asked 20 seconds.
    let mut keep_alive = example(16).unwrap();
    set(&mut keep_alive, "SessionDescriptor/SessionID", &session);
    let answer = ask(&mut server, &keep_alive).unwrap();
    assert_alike(&keep_alive, &answer, &example(17).unwrap());
    assert_eq!(
        get(&answer, "KeepAlive-Response/Result/Code").as_deref(),
        Some("200")
    );

    // 6.2; the file holds a page footer as text in TransactionDescriptor, which is taken out.
    let mut polling = example(2).unwrap();
    set(&mut polling, "SessionDescriptor/SessionID", &session);
    let descriptor = Path::parse("TransactionDescriptor")
        .unwrap()
        .first(&polling)
        .unwrap();
    polling
        .get_mut(descriptor)
        .children
        .retain(|c| matches!(c, imps_scr::message::Child::Element(_)));
    assert_eq!(ask(&mut server, &polling), None, "nothing waits: an empty body");

    // 6.7
    let mut logout = example(13).unwrap();
    set(&mut logout, "SessionDescriptor/SessionID", &session);
    let answer = ask(&mut server, &logout).unwrap();
    assert_alike(&logout, &answer, &example(14).unwrap());
    assert!(!server.has_session(&session));
}

#[test]
fn the_printed_four_way_login_runs() {
    let Some(first) = example(5) else { return };
    let mut server = server();
    let challenge = ask(&mut server, &first).unwrap();
    assert_alike(&first, &challenge, &example(6).unwrap());
    assert_eq!(get(&challenge, "Login-Response/SessionID"), None);
    let nonce = get(&challenge, "Login-Response/Nonce").unwrap();
    let schema = Schema::parse(&get(&challenge, "Login-Response/DigestSchema").unwrap()).unwrap();

    // The printed DigestBytes are a placeholder: first they are refused as they stand, then the right
    // ones are put in. A nonce is good once, so the challenge is asked for again.
    let mut third = example(7).unwrap();
    let refused = ask(&mut server, &third).unwrap();
    assert_eq!(get(&refused, "Result/Code").as_deref(), Some("409"));
    let challenge = ask(&mut server, &first).unwrap();
    let fresh = get(&challenge, "Login-Response/Nonce").unwrap();
    assert_ne!(fresh, nonce, "a nonce of its own for each challenge");
    let digest = schema.digest(&fresh, &printed_account().password).unwrap();
    set(&mut third, "Login-Request/DigestBytes", &digest);
    let answer = ask(&mut server, &third).unwrap();
    assert_alike(&third, &answer, &example(8).unwrap());
    assert!(get(&answer, "Login-Response/SessionID").is_some());
}

/// The printed answers of servers, given to the client engine.
#[test]
fn printed_answers_are_understood_by_the_client() {
    let (Some(granted), Some(challenge)) = (example(4), example(6)) else {
        return;
    };
    let mut client = ClientEngine::new(ClientConfig {
        version: Version::V11,
        credentials: printed_account(),
        client_id: "http://client.example/".to_owned(),
        cookie: "c".to_owned(),
        time_to_live: 120,
        id_prefix: "t".to_owned(),
        names: imps_scr::peer::names::Names::default(),
    });
    // MD6 is a name that nobody can compute: the challenge is no session, and cannot be answered.
    assert!(!client.learn(&challenge));
    assert_eq!(client.session(), None);
    assert!(!client.learn(&granted));
    assert_eq!(client.session(), Some("im.user.com#48815@server.com"));
    client.learn(&example(14).unwrap());
    assert_eq!(client.session(), None, "Disconnect ends the session");
}

fn user(name: &str) -> Elem {
    Elem::new("User").with(text("UserID", format!("wv:{name}@there.com")))
}

fn users(n: usize) -> Elem {
    Elem::new("UserList").with_all((0..n).map(|i| user(&format!("user{i}"))))
}

fn ids(name: &str, n: usize) -> Elem {
    Elem::new(name).with_all((0..n).map(|i| text("UserID", format!("wv:user{i}@there.com"))))
}

fn screen_names(n: usize) -> Elem {
    Elem::new("UserList").with_all((0..n).map(|i| {
        Elem::new("ScreenName")
            .with(text("SName", format!("name{i}")))
            .with(text("GroupID", "wv:john/party@there.com"))
    }))
}

fn property(name: &str, value: &str) -> Elem {
    Elem::new("Property")
        .with(text("Name", name))
        .with(text("Value", value))
}

fn note() -> Elem {
    Elem::new("WelcomeNote")
        .with(text("ContentType", "text/plain"))
        .with(text("ContentData", "Welcome"))
}

/// The 24 group examples that are printed and stand in no file, in their order: mode and primitive.
fn group_examples() -> Vec<(Mode, Elem)> {
    let group = || text("GroupID", "wv:john/party@there.com");
    let ok = || status(200);
    let of = |name: &str| Elem::new(name).with(group());
    let told = |code: u16| {
        let reason = result(code).with(text("Description", "reason"));
        Elem::new("LeaveGroup-Response").with(group()).with(reason)
    };
    let props = Elem::new("GroupProperties")
        .with(property("Name", "Party"))
        .with(property("Accesstype", "Restricted"))
        .with(property("Type", "Private"))
        .with(property("PrivateMessaging", "F"))
        .with(property("Searchable", "T"))
        .with(property("Topic", "music"))
        .with(property("ActiveUsers", "3"))
        .with(property("MaxActiveUsers", "30"))
        .with(note());
    let own = Elem::new("OwnProperties")
        .with(property("PrivateMessaging", "T"))
        .with(property("IsMember", "T"))
        .with(property("PrivilegeLevel", "Read"));
    let changed = Elem::new("GroupProperties")
        .with(property("Name", "Party"))
        .with(property("PrivateMessaging", "T"))
        .with(property("MaxActiveUsers", "10"))
        .with(note());
    let notice = of("GroupChangeNotice")
        .with(Elem::new("Joined").with(screen_names(2)))
        .with(Elem::new("Left").with(screen_names(2)))
        .with(Elem::new("OwnProperties").with(property("PrivilegeLevel", "Mod")));
    let subscribe = |kind: &str| of("SubscribeGroupNotice-Request").with(text("SubscribeType", kind));
    use Mode::{Request, Response};
    vec![
        (Request, of("LeaveGroup-Request")),
        (Response, told(200)),
        (Request, told(809)),
        (Response, ok()),
        (Request, of("GetGroupMembers-Request")),
        (
            Response,
            Elem::new("GetGroupMembers-Response").with(Elem::new("Users").with(users(5))),
        ),
        (Request, of("AddGroupMembers-Request").with(users(2))),
        (Response, ok()),
        (Request, of("RemoveGroupMembers-Request").with(users(5))),
        (Response, ok()),
        (
            Request,
            of("MemberAccess-Request")
                .with(Elem::new("Admin").with(users(2)))
                .with(Elem::new("Users").with(users(3))),
        ),
        (Response, ok()),
        (Request, of("GetGroupProps-Request")),
        (
            Response,
            Elem::new("GetGroupProps-Response").with(props).with(own),
        ),
        (Request, of("SetGroupProps-Request").with(changed)),
        (Response, ok()),
        (
            Request,
            of("RejectList-Request")
                .with(ids("AddList", 2))
                .with(ids("RemoveList", 2)),
        ),
        (Response, Elem::new("RejectList-Response").with(users(2))),
        (Request, subscribe("G")),
        (
            Response,
            Elem::new("SubscribeGroupNotice-Response").with(text("Value", "F")),
        ),
        (Request, subscribe("S")),
        (Response, ok()),
        (Request, notice),
        (Response, ok()),
    ]
}

#[test]
fn group_examples_are_valid_and_survive_writing() {
    let checker = checker();
    let examples = group_examples();
    assert_eq!(examples.len(), 24);
    for (number, (mode, primitive)) in (106..).zip(examples) {
        let part = Part {
            mode,
            id: "IMApp01#12345@NOK5110".to_owned(),
            primitive,
        };
        let tree = message(
            Version::V11,
            Some("im.user.com#48815@server.com"),
            None,
            vec![part],
        );
        let octets = write(&tree, &WriteOptions::default());
        let reading = read(&octets, None);
        assert!(reading.is_strict(), "{number}: {:?}", reading.problems);
        let read_back = reading.message.unwrap();
        assert!(read_back.tree.same_content(&tree), "{number} changed on its way");
        let checked = checker.check(&read_back);
        assert!(checked.is_valid(), "{number}: {:?}", checked.findings);
        assert_eq!(Envelope::of(&tree).unwrap().session_type, SessionType::Inband);
    }
    // What the examples do not have is refused: the test can fail.
    let part = Part {
        mode: Mode::Request,
        id: "x".to_owned(),
        primitive: empty("GetGroupMembers-Request"),
    };
    let tree = message(Version::V11, Some("s"), None, vec![part]);
    let read_back = read(&write(&tree, &WriteOptions::default()), None)
        .message
        .unwrap();
    assert!(!checker.check(&read_back).is_valid());
}

/// The same 24 as a talk: a server in whose world the group exists gives the printed answers, and a client
/// answers what the server tells it as printed.
#[test]
fn group_examples_are_answered_as_printed() {
    let names = imps_scr::peer::names::Names::of_client(&printed_account().user);
    let config = || ClientConfig {
        version: Version::V11,
        credentials: printed_account(),
        client_id: "http://client.example/".to_owned(),
        cookie: "c".to_owned(),
        time_to_live: 120,
        id_prefix: "t".to_owned(),
        names: names.clone(),
    };
    let examples = group_examples();
    for (number, pair) in (106..).step_by(2).zip(examples.chunks(2)) {
        let [(_, asked), (_, printed)] = pair else {
            panic!("an answer to each")
        };
        let mut client = ClientEngine::new(config());
        let by_server = matches!(asked.name(), "LeaveGroup-Response" | "GroupChangeNotice");
        let part = Part {
            mode: Mode::Request,
            id: "IMApp01#12345@NOK5110".to_owned(),
            primitive: asked.clone(),
        };
        let given = if by_server {
            let tree = message(Version::V11, Some("s"), Some(false), vec![part]);
            let replies = client.replies(&tree, &Envelope::of(&tree).unwrap(), false);
            message(Version::V11, Some("s"), None, replies)
        } else {
            let mut server = server().hospitable();
            let login = client.request("Login-Request").unwrap();
            client.learn(&ask(&mut server, &login).unwrap());
            if asked.name() == "SubscribeGroupNotice-Request" || asked.name() == "LeaveGroup-Request" {
                // Only who has joined is asked for, and may leave.
                let mut joined = client.request("JoinGroup-Request").unwrap();
                for path in ["JoinGroup-Request/GroupID", "ScreenName/GroupID"] {
                    set(&mut joined, path, "wv:john/party@there.com");
                }
                ask(&mut server, &joined).unwrap();
            }
            let tree = message(Version::V11, client.session(), None, vec![part]);
            ask(&mut server, &tree).unwrap()
        };
        let envelope = Envelope::of(&given).unwrap();
        assert_eq!(envelope.primitives(), printed.name(), "example {number}");
        assert_eq!(envelope.transactions[0].mode, Mode::Response, "example {number}");
        assert_eq!(
            envelope.transactions[0].id, "IMApp01#12345@NOK5110",
            "example {number}"
        );
        let code = get(&given, "Result/Code").unwrap_or_else(|| "200".to_owned());
        assert_eq!(code, "200", "example {number}");
    }
}
