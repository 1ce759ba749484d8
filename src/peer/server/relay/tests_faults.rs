//! Every fault that no other test shows: what is different with it.

use super::mapping::attr;
use super::tests::{A, ANN, ARI, BEA, BEN, World2, allow, at, message, names, subscribe, tree_text, update};
use super::tests_groups::{create, group, join, of};
use super::tests_presence::invite;
use super::tests_rules::{code, meta, of_ben, send, watch};
use super::*;
use crate::message::text;
use crate::peer::contents::{selection, user, users};
use crate::peer::names::resource;

fn here(fault: RelayFault) -> World2 {
    World2::with(Some(fault), None)
}

fn there(fault: RelayFault) -> World2 {
    World2::with(None, Some(fault))
}

/// A world with a group of Ann's in the faulty domain.
fn room(fault: RelayFault, access: &str) -> World2 {
    let mut w = here(fault);
    assert_eq!(w.code(ANN, create(access)), "200");
    w
}

fn has(all: &[Tree], name: &str) -> bool {
    names(all).iter().any(|n| n == name)
}

#[test]
fn of_identity() {
    let mut w = here(RelayFault::ServesForeignService);
    let foreign = meta("wv:@c.example", Some(BEN));
    assert_eq!(code(w.peer_asks(A, watch(foreign, &[ANN]))), "200");
    let mut w = here(RelayFault::MindsDomainCase);
    let loud = meta("wv:@B.EXAMPLE", Some(BEN));
    assert_eq!(code(w.peer_asks(A, watch(loud, &[ANN]))), "901");
    let mut w = here(RelayFault::TakesForeignSender);
    assert_eq!(
        code(w.peer_asks(A, send(of_ben(), "wv:cid@c.example", &[ANN], "m1"))),
        "200"
    );
    let mut w = here(RelayFault::TakesForeignParties);
    let notice = Elem::new("GroupChangeNotice")
        .with(attr("groupID", "wv:cid/g@c.example"))
        .with(meta("wv:@b.example", None))
        .with(mapping::user(ANN))
        .with(Elem::new("Left").with(text("Name", "x")));
    assert_eq!(code(w.peer_asks(A, notice)), "200");
    assert_eq!(w.poll(ANN).len(), 1);
    let mut w = here(RelayFault::SucceedsAtUnknown);
    assert_eq!(code(w.peer_asks(A, Elem::new("NoSuchRequest"))), "200");
}

#[test]
fn of_invitations() {
    let kept = [
        (RelayFault::KeepsInvitationsHome, "InviteRequest"),
        (RelayFault::CancelsAtHomeOnly, "CancelInviteRequest"),
    ];
    let cancel = || {
        Elem::new("CancelInvite-Request")
            .with(text("InviteID", "i1"))
            .with(Elem::new("Recipient").with(user(BEN)))
    };
    for (fault, name) in kept {
        let mut w = here(fault);
        assert_eq!(w.code(ANN, invite(BEN)), "200");
        // What never left cannot be taken back.
        let taken_back = if name == "InviteRequest" { "423" } else { "200" };
        assert_eq!(w.code(ANN, cancel()), taken_back);
        assert!(w.took(name).is_empty(), "{name}");
    }
    let mut w = there(RelayFault::DeliversNoInvitation);
    assert_eq!(w.code(ANN, invite(BEN)), "200");
    assert!(w.poll(BEN).is_empty());
    let mut w = there(RelayFault::DeliversNoCancellation);
    w.ask(ANN, invite(BEN));
    w.poll(BEN);
    assert_eq!(w.code(ANN, cancel()), "200");
    assert!(w.poll(BEN).is_empty());
    let mut w = there(RelayFault::InvitesUnknown);
    assert_eq!(w.code(ANN, invite("wv:nobody@b.example")), "200");
    for mut w in [here(RelayFault::DropsLinks), there(RelayFault::DropsLinks)] {
        let sent = w.ask(ANN, invite(BEN));
        let got = w.poll(BEN);
        assert!(
            got.iter().all(|t| at(t, "URLList").is_none()),
            "{}",
            tree_text(&sent)
        );
    }
    let yes = Elem::new("InviteUser-Response")
        .with(text("InviteID", "i1"))
        .with(text("Acceptance", "T"))
        .with(Elem::new("Sender").with(user(ANN)));
    for mut w in [
        here(RelayFault::HidesInvitationAnswers),
        there(RelayFault::KeepsInvitationAnswers),
    ] {
        w.ask(ANN, invite(BEN));
        assert_eq!(w.code(BEN, yes.clone()), "200");
        assert!(w.poll(ANN).is_empty());
    }
}

#[test]
fn of_presence() {
    let mut w = here(RelayFault::KeepsSubscriptionsHome);
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "200");
    assert!(w.took("SubscribeRequest").is_empty());
    let list = resource(ANN, "friends");
    let make = Elem::new("CreateList-Request")
        .with(text("ContactList", list.clone()))
        .with(Elem::new("NickList").with(text("UserID", BEN)));
    let on_list = Elem::new("SubscribePresence-Request")
        .with(text("ContactList", list))
        .with(text("AutoSubscribe", "F"));
    for (fault, count) in [(RelayFault::SkipsListMembers, 0), (RelayFault::SendsListNames, 1)] {
        let mut w = here(fault);
        assert_eq!(w.code(ANN, make.clone()), "200");
        w.ask(ANN, on_list.clone());
        let sent = w.took("SubscribeRequest");
        assert_eq!(sent.len(), count);
        assert!(sent.iter().all(|t| tree_text(t).contains("friends")));
    }
    let both = || subscribe(&[BEN, "wv:nobody@b.example"]);
    let mut w = there(RelayFault::HidesUnknownWatched);
    assert_eq!(w.code(ANN, both()), "200");
    let mut w = there(RelayFault::SubscribesNobodyPartly);
    w.ask(BEN, allow(ANN, &["StatusText"]));
    assert_eq!(w.code(ANN, both()), "201");
    assert!(w.took("PresenceNotification").is_empty());
    let mut w = there(RelayFault::TellsNothingAtFirst);
    w.ask(BEN, allow(ANN, &["StatusText"]));
    w.ask(ANN, subscribe(&[BEN]));
    assert!(w.took("PresenceNotification").is_empty());
    w.ask(BEN, update("later"));
    assert_eq!(w.took("PresenceNotification").len(), 1);
    let mut w = here(RelayFault::KeepsNotifications);
    w.ask(BEN, allow(ANN, &["StatusText"]));
    w.ask(ANN, subscribe(&[BEN]));
    assert_eq!(w.took("PresenceNotification").len(), 1);
    assert!(w.poll(ANN).is_empty());
    let mut w = there(RelayFault::AsksNobody);
    w.ask(ANN, subscribe(&[BEN]));
    assert!(w.poll(BEN).is_empty());
    let mut w = here(RelayFault::UnsubscribesAtHomeOnly);
    w.ask(ANN, subscribe(&[BEN]));
    let end = Elem::new("UnsubscribePresence-Request").with(user(BEN));
    assert_eq!(w.code(ANN, end), "200");
    assert!(w.took("UnsubscribeRequest").is_empty());
    let mut w = here(RelayFault::KeepsPresenceRequestsHome);
    let get = Elem::new("GetPresence-Request").with(user(BEN));
    let get = get.with(selection(Version::V12, &["StatusText"]));
    assert_eq!(w.code(ANN, get), "200");
    assert!(w.took("GetPresenceRequest").is_empty());
    let mut w = here(RelayFault::WatchesAfterLogout);
    w.ask(ANN, subscribe(&[BEN]));
    w.ask(ANN, Elem::new("Logout-Request"));
    assert!(w.took("UnsubscribeRequest").is_empty());
}

#[test]
fn of_messages() {
    let sent = |fault: RelayFault| {
        let mut w = here(fault);
        assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200", "{fault:?}");
        w.took("SendMessageRequest").remove(0)
    };
    let plain = sent(RelayFault::SendsPlainContent);
    assert_eq!(at(&plain, "ContentData").as_deref(), Some("grüß"));
    let counted = sent(RelayFault::CountsEncodedOctets);
    assert_eq!(at(&counted, "MessageInfo/@contentSize").as_deref(), Some("8"));
    let dated = sent(RelayFault::DatesStandStill);
    assert_eq!(
        at(&dated, "MessageInfo/DateTime").as_deref(),
        Some("1970-01-01T00:00:00Z")
    );
    for mut w in [
        here(RelayFault::ChangesContent),
        there(RelayFault::ChangesContent),
    ] {
        w.ask(ANN, message(ANN, &[BEN], false));
        assert_ne!(at(&w.poll(BEN)[0], "ContentData").as_deref(), Some("grüß"));
    }
    let mut w = there(RelayFault::PushesAnnounced);
    let announce = Elem::new("SetDeliveryMethod-Request").with(text("DeliveryMethod", "N"));
    assert_eq!(w.code(BEN, announce), "200");
    w.ask(ANN, message(ANN, &[BEN], false));
    assert!(has(&w.poll(BEN), "NewMessage"));
    let mut w = here(RelayFault::HidesReports);
    w.ask(ANN, message(ANN, &[BEN], true));
    w.poll(BEN);
    assert_eq!(w.took("DeliveryStatusReport").len(), 1);
    assert!(w.poll(ANN).is_empty());
    let both = || message(ANN, &[BEN, "wv:nobody@b.example"], false);
    let mut w = there(RelayFault::HidesUnknownRecipients);
    assert_eq!(w.code(ANN, both()), "200");
    let mut w = there(RelayFault::RefusesPartly);
    let refused = w.ask(ANN, both());
    assert!(at(&refused, "Result/Code").unwrap() == "900" && w.poll(BEN).is_empty());
    let block = Elem::new("BlockEntity-Request").with(
        Elem::new("BlockList")
            .with(text("InUse", "T"))
            .with(Elem::new("AddList").with(text("UserID", ANN))),
    );
    for (fault, count) in [
        (RelayFault::DeliversBlocked, 1),
        (RelayFault::AcceptsForBlocked, 0),
    ] {
        let mut w = there(fault);
        w.ask(BEN, block.clone());
        assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200");
        assert_eq!(w.poll(BEN).len(), count, "{fault:?}");
    }
    let mut w = there(RelayFault::QueueLost);
    w.ask(BEN, Elem::new("Logout-Request"));
    assert_eq!(w.code(ANN, message(ANN, &[BEN], false)), "200");
    w.login(BEN);
    assert!(w.poll(BEN).is_empty());
}

#[test]
fn of_coming_and_going_in_groups() {
    for fault in [RelayFault::JoinsAtHomeOnly, RelayFault::LeavesAtHomeOnly] {
        let mut w = there(fault);
        assert_eq!(w.code(ANN, create("Open")), "200");
        assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
        w.ask(BEN, of("LeaveGroup-Request"));
        let crossed = [
            w.took("JoinGroupRequest").len(),
            w.took("LeaveGroupRequest").len(),
        ];
        assert_eq!(crossed.iter().sum::<usize>(), 1, "{fault:?}");
    }
    let mut w = room(RelayFault::ListsJoinedUnasked, "Open");
    let quiet = Elem::new("JoinGroupRequest")
        .with(attr("groupID", group()))
        .with(attr("joinedListRequest", "No"))
        .with(attr("subscribeNotif", "No"))
        .with(of_ben());
    assert!(at(&w.peer_asks(A, quiet).unwrap(), "JoinedList").is_some());
    let mut w = room(RelayFault::JoinsRejected, "Open");
    let reject = of("RejectList-Request").with(Elem::new("AddList").with(text("UserID", BEN)));
    w.ask(ANN, reject);
    assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
    let mut w = room(RelayFault::JoinsAnybody, "Restricted");
    assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
    let mut w = room(RelayFault::NeverLeaves, "Open");
    w.ask(BEN, join("benny"));
    assert_eq!(w.code(BEN, of("LeaveGroup-Request")), "200");
    assert_eq!(w.code(BEN, join("benny")), "807");
    let mut w = room(RelayFault::RemovesSilently, "Open");
    w.ask(BEN, join("benny"));
    w.ask(ANN, of("DeleteGroup-Request"));
    assert!(w.took("LeaveGroupIndication").is_empty());
    let mut w = here(RelayFault::SucceedsForUnknownGroup);
    assert_eq!(w.code(BEN, of("DeleteGroup-Request")), "200");
    for (fault, notices) in [
        (RelayFault::TellsNoGroupChange, 0),
        (RelayFault::TellsUnsubscribed, 1),
    ] {
        let mut w = room(fault, "Open");
        w.ask(BEN, join("benny"));
        if notices == 1 {
            w.ask(
                BEN,
                of("SubscribeGroupNotice-Request").with(text("SubscribeType", "U")),
            );
        }
        w.ask(ARI, join("ari"));
        assert_eq!(w.took("GroupChangeNotice").len(), notices, "{fault:?}");
    }
    let mut w = room(RelayFault::IgnoresNoticeSwitch, "Open");
    w.ask(BEN, join("benny"));
    assert_eq!(
        w.code(
            BEN,
            of("SubscribeGroupNotice-Request").with(text("SubscribeType", "U"))
        ),
        "200"
    );
    w.ask(ARI, join("ari"));
    assert_eq!(w.took("GroupChangeNotice").len(), 1);
    let mut w = there(RelayFault::KeepsNotices);
    w.ask(ANN, create("Open"));
    w.ask(BEN, join("benny"));
    w.ask(ARI, join("ari"));
    assert_eq!(w.took("GroupChangeNotice").len(), 1);
    assert!(w.poll(BEN).is_empty());
}

#[test]
fn of_the_management_of_groups() {
    let of_admin = |fault: RelayFault| {
        let mut w = room(fault, "Open");
        w.ask(ANN, of("AddGroupMembers-Request").with(users(&[BEN, BEA])));
        w.ask(
            ANN,
            of("MemberAccess-Request").with(Elem::new("Admin").with(users(&[BEN]))),
        );
        w
    };
    let mut w = room(RelayFault::AsksNoRights, "Open");
    assert_eq!(w.code(BEN, of("DeleteGroup-Request")), "200");
    let mut w = of_admin(RelayFault::KeepsDeletedGroups);
    assert_eq!(w.code(BEN, of("DeleteGroup-Request")), "200");
    assert_eq!(w.code(BEN, of("GetGroupProps-Request")), "GetGroupProps-Response");
    let members = |w: &mut World2| tree_text(&w.ask(ANN, of("GetGroupMembers-Request")));
    let mut w = of_admin(RelayFault::AddsNoMembers);
    assert_eq!(
        w.code(BEN, of("AddGroupMembers-Request").with(users(&[ARI]))),
        "200"
    );
    assert!(!members(&mut w).contains(ARI));
    let mut w = of_admin(RelayFault::KeepsMembers);
    assert_eq!(
        w.code(BEN, of("RemoveGroupMembers-Request").with(users(&[BEA]))),
        "200"
    );
    assert!(members(&mut w).contains(BEA));
    let mut w = of_admin(RelayFault::KeepsRights);
    let raise = of("MemberAccess-Request").with(Elem::new("Mod").with(users(&[BEA])));
    assert_eq!(w.code(BEN, raise), "200");
    assert!(!members(&mut w).contains("<Mod>"));
    let mut w = of_admin(RelayFault::KeepsGroupProperties);
    let topic = Elem::new("GroupProperties").with(crate::peer::samples::property("Topic", "Tea"));
    assert_eq!(w.code(BEN, of("SetGroupProps-Request").with(topic)), "200");
    assert!(!tree_text(&w.ask(ANN, of("GetGroupProps-Request"))).contains("Tea"));
    let mut w = of_admin(RelayFault::RejectsNobody);
    let reject = of("RejectList-Request").with(Elem::new("AddList").with(text("UserID", BEA)));
    w.ask(BEN, reject);
    assert_eq!(w.code(BEA, join("bee")), "JoinGroup-Response");
}

#[test]
fn of_hidden_senders() {
    let mut w = room(RelayFault::ShowsHiddenSender, "Open");
    w.ask(BEN, join("benny"));
    let speak = Elem::new("SendMessage-Request")
        .with(text("DeliveryReport", "F"))
        .with(
            Elem::new("MessageInfo")
                .with(text("ContentType", "text/plain"))
                .with(text("ContentSize", "2"))
                .with(Elem::new("Recipient").with(Elem::new("Group").with(text("GroupID", group()))))
                .with(
                    Elem::new("Sender")
                        .with(Elem::new("Group").with(crate::peer::samples::screen_name("boss", &group()))),
                ),
        )
        .with(text("ContentData", "hi"));
    assert_eq!(w.code(ANN, speak), "200");
    assert_eq!(
        at(
            &w.took("SendMessageRequest")[0],
            "MessageInfo/Sender/User/@userID"
        )
        .as_deref(),
        Some(ANN)
    );
}
