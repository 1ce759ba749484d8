//! Who may ask for what: identity, third domains, errors; and what faults do.

use super::mapping::{attr, group_id, status, user, user_id};
use super::tests::{A, ANN, ARI, B, BEA, BEN, World2, allow, at, count, message, subscribe, tree, update};
use super::tests_presence::invite;
use super::*;
use crate::message::text;

pub(super) fn meta(service: &str, who: Option<&str>) -> Elem {
    Elem::new("MetaInfo")
        .with(attr("clientOriginated", mapping::yes_no(who.is_some())))
        .with(
            Elem::new("Requestor")
                .with(attr("serviceID", service))
                .with_some(who.map(user)),
        )
}

pub(super) fn of_ben() -> Elem {
    meta("wv:@b.example", Some(BEN))
}

pub(super) fn send(meta: Elem, sender: &str, to: &[&str], id: &str) -> Elem {
    Elem::new("SendMessageRequest")
        .with(attr("deliveryReport", "No"))
        .with(meta)
        .with(
            Elem::new("MessageInfo")
                .with(attr("messageID", id))
                .with(attr("contentType", "text/plain"))
                .with(attr("contentSize", "2"))
                .with_all(to.iter().map(|t| Elem::new("Recipient").with(user(*t))))
                .with(Elem::new("Sender").with(user(sender)))
                .with(text("DateTime", "2026-11-01T12:00:00Z").with(attr("format", "iso8601"))),
        )
        .with(
            text("ContentData", "aGk=")
                .with(attr("contentType", "text/plain"))
                .with(attr("encoding", "base64")),
        )
}

pub(super) fn watch(meta: Elem, whom: &[&str]) -> Elem {
    Elem::new("SubscribeRequest")
        .with(meta)
        .with_all(whom.iter().map(|w| user_id(*w)))
}

/// The code of an answer: of the Status that it is, or has.
pub(super) fn code(answer: Option<Tree>) -> String {
    let answer = answer.expect("an answer");
    at(&answer, "@code")
        .or_else(|| at(&answer, "Status/@code"))
        .expect("a code")
}

#[test]
fn nobody_speaks_for_another_domain() {
    let mut w = World2::new();
    let spoofs = [
        meta("wv:@c.example", Some(BEN)),
        meta("wv:@b.example", Some("wv:cid@c.example")),
        meta("wv:@b.example", Some(ANN)),
        meta("wv:@c.example", Some("wv:cid@c.example")),
    ];
    for spoof in spoofs {
        assert_eq!(
            code(w.peer_asks(A, send(spoof.clone(), BEN, &[ANN], "m1"))),
            "901"
        );
        assert_eq!(code(w.peer_asks(A, watch(spoof.clone(), &[ANN]))), "901");
        let leave = Elem::new("LeaveGroupRequest")
            .with(attr("groupID", "wv:ann/g@a.example"))
            .with(spoof);
        assert_eq!(code(w.peer_asks(A, leave)), "901");
    }
    assert_eq!(
        code(w.peer_asks(A, send(of_ben(), "wv:cid@c.example", &[ANN], "m1"))),
        "901"
    );
    assert_eq!(code(w.peer_asks(A, send(of_ben(), BEA, &[ANN], "m1"))), "403");
    assert!(w.poll(ANN).is_empty());
    let other_case = meta("wv:@B.Example", Some("wv:BEN@B.EXAMPLE"));
    let answer = w.peer_asks(A, send(other_case, BEN, &["wv:Ann@A.example"], "m1"));
    assert_eq!(at(answer.as_ref().unwrap(), "@messageID").as_deref(), Some("m1"));
    assert_eq!(code(answer), "200");
    let got = w.poll(ANN);
    assert_eq!(at(&got[0], "MessageInfo/MessageID").as_deref(), Some("m1"));
}

#[test]
fn third_domains_are_not_relayed_to() {
    let mut w = World2::new();
    let answer = w
        .peer_asks(A, watch(of_ben(), &["wv:cid@c.example", ANN]))
        .unwrap();
    assert_eq!(at(&answer, "@code").as_deref(), Some("201"));
    assert_eq!(at(&answer, "DetailedResult/@code").as_deref(), Some("516"));
    assert_eq!(
        at(&answer, "DetailedResult/UserID/@userID").as_deref(),
        Some("wv:cid@c.example")
    );
    let answer = w
        .peer_asks(A, send(of_ben(), BEN, &["wv:cid@c.example"], "m1"))
        .unwrap();
    assert_eq!(at(&answer, "Status/DetailedResult/@code").as_deref(), Some("516"));
    assert_eq!(at(&answer, "@messageID"), None);
    let join = Elem::new("JoinGroupRequest")
        .with(attr("groupID", "wv:cid/g@c.example"))
        .with(attr("joinedListRequest", "No"))
        .with(attr("subscribeNotif", "No"))
        .with(of_ben());
    assert_eq!(code(w.peer_asks(A, join)), "516");
    assert!(w.a.to_peers().iter().all(|m| m.domain == B));
}

#[test]
fn errors_have_their_codes() {
    let mut w = World2::new();
    assert_eq!(
        code(w.peer_asks(A, Elem::new("NoSuchRequest").with(of_ben()))),
        "405"
    );
    assert_eq!(code(w.peer_asks(A, Elem::new("KeepAliveRequest"))), "501");
    assert_eq!(
        code(w.peer_asks(A, Elem::new("JoinGroupRequest").with(of_ben()))),
        "400"
    );
    assert_eq!(
        code(w.peer_asks(A, Elem::new("SubscribeRequest").with(user_id(ANN)))),
        "402"
    );
    for silent in [
        status(200),
        status(500),
        Elem::new("SendMessageResponse"),
        Elem::new("GetPresenceResponse"),
    ] {
        assert!(w.peer_asks(A, silent).is_none());
    }
    w.a.peer_answer(0, 4711, &PeerAnswer::Unreachable);
    let unknown = w
        .peer_asks(A, send(of_ben(), BEN, &[ANN, "wv:nobody@a.example"], "m2"))
        .unwrap();
    assert_eq!(at(&unknown, "Status/@code").as_deref(), Some("201"));
    assert_eq!(
        at(&unknown, "Status/DetailedResult/@code").as_deref(),
        Some("531")
    );
    let bad = watch(of_ben(), &[ANN])
        .with(Elem::new("AttributeList").with(Elem::new("PresenceSubList").with(Elem::new("ShoeSize"))));
    assert_eq!(code(w.peer_asks(A, bad)), "750");
    assert_eq!(
        code(w.peer_asks(A, watch(of_ben(), &[ANN]))),
        "200",
        "all goes on"
    );
    let stranger = tree(&watch(meta("wv:@d.example", Some("wv:dan@d.example")), &[ANN]));
    let answer = w.a.peer_request(0, "d.example", &stranger, stranger.root());
    assert_eq!(code(answer.map(|a| tree(&a))), "506");
}

#[test]
fn notices_are_taken_from_those_whose_they_are() {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "200");
    let of = |owner: &str, to: &str| {
        Elem::new("PresenceNotification").with(user(to)).with(
            Elem::new("PresenceValue").with(attr("userID", owner)).with(
                Elem::new("PresenceSubList").with(
                    Elem::new("StatusText")
                        .with(text("Qualifier", "T"))
                        .with(text("PresenceValue", "x")),
                ),
            ),
        )
    };
    assert_eq!(code(w.peer_asks(A, of("wv:cid@c.example", ANN))), "901");
    assert_eq!(code(w.peer_asks(A, of(ARI, ANN))), "901");
    assert_eq!(code(w.peer_asks(A, of(BEN, ARI))), "200");
    assert!(w.poll(ANN).is_empty() && w.poll(ARI).is_empty());
    assert_eq!(code(w.peer_asks(A, of(BEN, ANN))), "200");
    assert_eq!(w.poll(ANN).len(), 1);
    let notice = |group: &str, to: &str| {
        Elem::new("GroupChangeNotice")
            .with(attr("groupID", group))
            .with(meta("wv:@b.example", None))
            .with(user(to))
            .with(Elem::new("Joined").with(text("Name", "bee")))
    };
    assert_eq!(code(w.peer_asks(A, notice("wv:cid/g@c.example", ANN))), "901");
    assert_eq!(code(w.peer_asks(A, notice("wv:ann/g@a.example", ANN))), "901");
    assert_eq!(
        code(w.peer_asks(A, notice("wv:ben/g@b.example", "wv:cid@c.example"))),
        "900"
    );
    assert_eq!(code(w.peer_asks(A, notice("wv:ben/g@b.example", ANN))), "200");
    let got = w.poll(ANN);
    assert_eq!(
        at(&got[0], "Joined/UserMapList/UserMapping/Mapping/SName").as_deref(),
        Some("bee")
    );
    let answer = |id: &str, who: &str| {
        Elem::new("InviteResponse")
            .with(attr("inviteID", id))
            .with(attr("acceptance", "Yes"))
            .with(status(200))
            .with(Elem::new("Inviting").with(user(ANN)))
            .with(Elem::new("Responding").with(user(who)))
    };
    assert_eq!(code(w.peer_asks(A, answer("i1", BEN))), "423");
    assert_eq!(w.code(ANN, invite(BEN)), "200");
    assert_eq!(code(w.peer_asks(A, answer("i1", "wv:cid@c.example"))), "901");
    assert_eq!(
        code(w.peer_asks(A, answer("i1", BEA))),
        "423",
        "she was not invited"
    );
    assert_eq!(code(w.peer_asks(A, answer("i1", BEN))), "200");
    assert_eq!(w.poll(ANN).len(), 1);
    let report = |id: &str| {
        Elem::new("DeliveryStatusReport")
            .with(of_ben())
            .with(Elem::new("DeliveryResult").with(status(200)))
            .with(
                Elem::new("MessageInfo")
                    .with(attr("messageID", id))
                    .with(attr("contentSize", "2"))
                    .with(Elem::new("Recipient").with(user(BEN)))
                    .with(Elem::new("Sender").with(user(ANN))),
            )
    };
    assert_eq!(code(w.peer_asks(A, report("never-sent"))), "426");
    let sent = w.ask(ANN, message(ANN, &[BEN], false));
    assert_eq!(
        code(w.peer_asks(A, report(&at(&sent, "MessageID").unwrap()))),
        "200"
    );
    assert_eq!(w.poll(ANN).len(), 1);
}

#[test]
fn messages_of_groups_elsewhere_reach_their_members() {
    let mut w = World2::new();
    let of_group = |group: &str| {
        let it = send(meta("wv:@b.example", None), BEN, &[ANN], "m7");
        let it = it.into_tree();
        let info = it.child(it.root(), "MessageInfo").unwrap();
        let sender = it.child(info, "Sender").unwrap();
        let display = Elem::new("SenderDisplay").with(mapping::screen_name("benny", group));
        mapping::copied_with(&it, it.root(), sender, &[group_id(group), display])
    };
    assert_eq!(code(w.peer_asks(A, of_group("wv:cid/g@c.example"))), "901");
    assert_eq!(code(w.peer_asks(A, of_group("wv:ben/g@b.example"))), "200");
    let got = w.poll(ANN);
    assert_eq!(
        at(&got[0], "MessageInfo/Recipient/Group/GroupID").as_deref(),
        Some("wv:ben/g@b.example")
    );
    assert_eq!(
        at(&got[0], "MessageInfo/Sender/Group/ScreenName/SName").as_deref(),
        Some("benny")
    );
    assert_eq!(at(&got[0], "ContentData").as_deref(), Some("hi"));
}

#[test]
fn validity_ends_what_nobody_took() {
    for (fault, left) in [(None, 0), (Some(RelayFault::IgnoresValidity), 1)] {
        let mut w = World2::with(None, fault);
        assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200");
        w.now_ms += 599_000;
        // Whoever logs in now is not the one who was offered it.
        w.login(BEN);
        assert_eq!(w.poll(BEN).len(), left, "{fault:?}");
    }
}

#[test]
fn sessions_of_users_elsewhere_are_nobodys() {
    let mut w = World2::new();
    w.peer_asks(A, watch(of_ben(), &[ANN]));
    assert!(!w.a.has_session("ssp#wv:ben@b.example"));
    assert_eq!(w.a.open_sessions(), 2);
    w.sessions
        .insert(ANN.to_owned(), "ssp#wv:ben@b.example".to_owned());
    assert_eq!(w.code(ANN, message(BEN, &[ARI], false)), "604");
}

/// What becomes of a few things under a fault of the one side or the other.
#[test]
fn faults_break_what_they_say() {
    let of = |a, b| World2::with(a, b);
    let mut w = of(Some(RelayFault::LosesErrorOfPeer), None);
    assert_eq!(w.code(ANN, message(ANN, &["wv:nobody@b.example"], false)), "200");
    let mut w = of(Some(RelayFault::ChangesErrorOfPeer), None);
    assert_eq!(w.code(ANN, message(ANN, &["wv:nobody@b.example"], false)), "500");
    let mut w = of(Some(RelayFault::SucceedsForUnknownDomain), None);
    assert_eq!(w.code(ANN, message(ANN, &["wv:dan@d.example"], false)), "200");
    let mut w = of(Some(RelayFault::SucceedsForSilentPeer), None);
    w.silent = vec![B];
    assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200");
    let mut w = of(Some(RelayFault::TrustsWrittenSender), None);
    w.ask(ANN, message(ARI, &[BEN], false));
    let sent = w.took("SendMessageRequest");
    assert_eq!(
        at(&sent[0], "MetaInfo/Requestor/User/@userID").as_deref(),
        Some(ARI)
    );
    let mut w = of(Some(RelayFault::SplitsNot), None);
    w.ask(ANN, message(ANN, &[ARI, BEN], false));
    assert_eq!(count(&w.took("SendMessageRequest")[0], "Recipient"), 2);
    let mut w = of(Some(RelayFault::RelaysLocalToo), None);
    assert_eq!(w.code(ANN, message(ANN, &[ARI], false)), "200");
    assert_eq!(w.took("SendMessageRequest").len(), 1);
    let mut w = of(Some(RelayFault::KeepsMessagesHome), None);
    assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200");
    assert!(w.took("SendMessageRequest").is_empty());
    let mut w = of(None, Some(RelayFault::RenamesMessageId));
    let sent = w.ask(ANN, message(ANN, &[BEN], false));
    assert_ne!(
        at(&w.poll(BEN)[0], "MessageInfo/MessageID"),
        at(&sent, "MessageID")
    );
    let mut w = of(None, Some(RelayFault::ReportAlthoughNotAsked));
    w.ask(ANN, message(ANN, &[BEN], false));
    w.poll(BEN);
    assert_eq!(w.took("DeliveryStatusReport").len(), 1);
    let mut w = of(None, Some(RelayFault::NoReportAlthoughAsked));
    w.ask(ANN, message(ANN, &[BEN], true));
    w.poll(BEN);
    assert!(w.took("DeliveryStatusReport").is_empty());
    let mut w = of(None, Some(RelayFault::DeliversNothing));
    assert_eq!(w.code(ANN, message(ANN, &[BEN], true)), "200");
    assert!(w.poll(BEN).is_empty());
    let mut w = of(None, Some(RelayFault::TakesUnknownRecipient));
    assert_eq!(w.code(ANN, message(ANN, &["wv:nobody@b.example"], false)), "200");
    let mut w = of(None, Some(RelayFault::ShowsUngrantedValues));
    w.ask(BEN, update("secret"));
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "200");
    assert_eq!(w.poll(ANN).len(), 1);
    let mut w = of(None, Some(RelayFault::SendsAfterUnsubscribe));
    w.ask(BEN, allow(ANN, &["StatusText"]));
    w.ask(ANN, subscribe(&[BEN]));
    let end = Elem::new("UnsubscribePresence-Request").with(crate::peer::contents::user(BEN));
    assert_eq!(w.code(ANN, end), "200");
    w.took("PresenceNotification");
    w.ask(BEN, update("still"));
    assert_eq!(w.took("PresenceNotification").len(), 1);
    let mut w = of(None, Some(RelayFault::TellsNoPresenceChange));
    w.ask(BEN, allow(ANN, &["StatusText"]));
    w.ask(ANN, subscribe(&[BEN]));
    assert_eq!(w.took("PresenceNotification").len(), 1);
    w.ask(BEN, update("silence"));
    assert!(w.took("PresenceNotification").is_empty());
    let mut w = of(Some(RelayFault::ServesForeignRequestor), None);
    let foreign = meta("wv:@b.example", Some("wv:cid@c.example"));
    assert_eq!(code(w.peer_asks(A, watch(foreign, &[ANN]))), "200");
    let mut w = of(Some(RelayFault::RelaysThirdDomain), None);
    assert_eq!(
        code(w.peer_asks(A, watch(of_ben(), &["wv:cid@c.example"]))),
        "200"
    );
    assert!(w.a.to_peers().iter().any(|m| m.domain == "c.example"));
    let mut w = of(Some(RelayFault::AnswersResponses), None);
    assert_eq!(code(w.peer_asks(A, status(200))), "200");
    let mut w = of(Some(RelayFault::StopsAfterError), None);
    assert_eq!(code(w.peer_asks(A, Elem::new("NoSuchRequest"))), "405");
    assert_eq!(code(w.peer_asks(A, watch(of_ben(), &[ANN]))), "500");
    let mut w = of(Some(RelayFault::NeedsNoAttributes), None);
    assert_eq!(
        code(w.peer_asks(A, Elem::new("JoinGroupRequest").with(of_ben()))),
        "200"
    );
}

#[test]
fn fault_names_are_as_they_are_written() {
    let read: RelayFault = serde_json::from_str("\"sends-after-unsubscribe\"").unwrap();
    assert_eq!(read, RelayFault::SendsAfterUnsubscribe);
}
