//! Groups across domains.

use super::tests::{A, ANN, ARI, B, BEA, BEN, World2, at, count, tree_text};
use super::*;
use crate::message::text;
use crate::peer::contents::users;
use crate::peer::names::resource;
use crate::peer::samples::{property, screen_name};

pub(super) fn group() -> String {
    resource(ANN, "room")
}

pub(super) fn of(name: &str) -> Elem {
    Elem::new(name).with(text("GroupID", group()))
}

pub(super) fn create(access: &str) -> Elem {
    of("CreateGroup-Request")
        .with(
            Elem::new("GroupProperties")
                .with(property("Name", "Room"))
                .with(property("AccessType", access))
                .with(
                    Elem::new("WelcomeNote")
                        .with(text("ContentType", "text/plain"))
                        .with(text("ContentData", "Come in")),
                ),
        )
        .with(text("JoinGroup", "T"))
        .with(screen_name("boss", &group()))
        .with(text("SubscribeNotification", "T"))
}

pub(super) fn join(name: &str) -> Elem {
    of("JoinGroup-Request")
        .with(screen_name(name, &group()))
        .with(text("JoinedRequest", "T"))
        .with(text("SubscribeNotification", "T"))
}

fn world(access: &str) -> World2 {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, create(access)), "200");
    w
}

#[test]
fn users_elsewhere_join_speak_and_leave() {
    let mut w = world("Open");
    let joined = w.ask(BEN, join("benny"));
    assert_eq!(
        joined.get(joined.root()).name,
        "JoinGroup-Response",
        "{}",
        tree_text(&joined)
    );
    let list = tree_text(&joined);
    assert!(list.contains("boss") && list.contains("benny"), "{list}");
    assert_eq!(at(&joined, "WelcomeNote/ContentData").as_deref(), Some("Come in"));
    let asked = w.took("JoinGroupRequest").remove(0);
    assert_eq!(at(&asked, "@groupID"), Some(group()));
    assert_eq!(at(&asked, "@joinedListRequest").as_deref(), Some("Yes"));
    assert_eq!(at(&asked, "ScreenName").as_deref(), Some("benny"));
    assert_eq!(at(&asked, "ScreenName/@groupID"), Some(group()));
    let told = w.poll(ANN);
    assert!(tree_text(&told[0]).contains("benny"));
    // Somebody else comes: Ben is told.
    assert_eq!(w.code(BEA, join("bee")), "JoinGroup-Response");
    let notice = w.took("GroupChangeNotice").remove(0);
    assert_eq!(at(&notice, "User/@userID").as_deref(), Some(BEN));
    assert_eq!(at(&notice, "Joined/Name").as_deref(), Some("bee"));
    assert_eq!(at(&notice, "MetaInfo/@clientOriginated").as_deref(), Some("No"));
    let told = w.poll(BEN);
    assert_eq!(told[0].get(told[0].root()).name, "GroupChangeNotice");
    // Ben speaks under his name.
    let speak = Elem::new("SendMessage-Request")
        .with(text("DeliveryReport", "F"))
        .with(
            Elem::new("MessageInfo")
                .with(text("ContentType", "text/plain"))
                .with(text("ContentSize", "2"))
                .with(Elem::new("Recipient").with(Elem::new("Group").with(text("GroupID", group()))))
                .with(Elem::new("Sender").with(Elem::new("Group").with(screen_name("benny", &group())))),
        )
        .with(text("ContentData", "hi"));
    assert_eq!(w.code(BEN, speak), "200");
    let sent = w.took("SendMessageRequest");
    assert_eq!(sent.len(), 2, "to the group, and from it to Bea");
    assert_eq!(
        at(&sent[0], "MessageInfo/Recipient/GroupID/@groupID"),
        Some(group())
    );
    assert_eq!(
        at(&sent[0], "MessageInfo/Sender/SenderDisplay/ScreenName").as_deref(),
        Some("benny")
    );
    assert_eq!(at(&sent[1], "MetaInfo/@clientOriginated").as_deref(), Some("No"));
    assert!(!tree_text(&sent[1]).contains(BEN), "{}", tree_text(&sent[1]));
    for who in [ANN, BEA] {
        let got = w.poll(who);
        let got = got
            .iter()
            .find(|t| t.get(t.root()).name == "NewMessage")
            .expect("a message");
        assert_eq!(at(got, "ContentData").as_deref(), Some("hi"));
        assert_eq!(
            at(got, "MessageInfo/Sender/Group/ScreenName/SName").as_deref(),
            Some("benny")
        );
    }
    let left = w.ask(BEN, of("LeaveGroup-Request"));
    assert_eq!(left.get(left.root()).name, "LeaveGroup-Response");
    assert_eq!(w.code(BEN, of("LeaveGroup-Request")), "808");
    // Logging out is leaving.
    w.ask(BEA, Elem::new("Logout-Request"));
    let last = tree_text(w.poll(ANN).last().unwrap());
    assert!(last.contains("Left") && last.contains("bee"), "{last}");
}

#[test]
fn members_are_managed_from_elsewhere() {
    let mut w = world("Restricted");
    assert_eq!(w.code(BEN, join("benny")), "810");
    let add = of("AddGroupMembers-Request").with(users(&[BEN, BEA, "wv:nobody@a.example"]));
    assert_eq!(w.code(BEN, add.clone()), "816");
    assert_eq!(w.code(ANN, add), "201");
    let raise = of("MemberAccess-Request").with(Elem::new("Admin").with(users(&[BEN])));
    assert_eq!(w.code(ANN, raise), "200");
    assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
    assert_eq!(w.code(BEA, join("bee")), "JoinGroup-Response");
    let members = w.ask(BEN, of("GetGroupMembers-Request"));
    assert_eq!(count(&members, "UserID"), 3);
    assert!(at(&members, "Admin/UserList/User/UserID").is_some());
    assert!(at(&members, "Users/UserList/User/UserID").is_some());
    let joined = w.ask(BEN, of("GetJoinedUsers-Request"));
    assert!(
        tree_text(&joined).contains("<AdminMapping>"),
        "{}",
        tree_text(&joined)
    );
    let props = w.ask(BEN, of("GetGroupProps-Request"));
    assert!(tree_text(&props).contains("Restricted"));
    assert!(tree_text(&props).contains("<Name>PrivilegeLevel</Name><Value>Admin</Value>"));
    let topic = of("SetGroupProps-Request").with(Elem::new("GroupProperties").with(property("Topic", "Tea")));
    assert_eq!(w.code(BEN, topic), "200");
    assert!(tree_text(&w.ask(ANN, of("GetGroupProps-Request"))).contains("Tea"));
    w.took("LeaveGroupIndication");
    let reject = of("RejectList-Request").with(Elem::new("AddList").with(text("UserID", BEA)));
    let rejected = w.ask(BEN, reject);
    assert_eq!(at(&rejected, "UserList/User/UserID").as_deref(), Some(BEA));
    let kicked = w.took("LeaveGroupIndication").remove(0);
    assert_eq!(at(&kicked, "Status/@code").as_deref(), Some("809"));
    let told: Vec<Tree> = w
        .poll(BEA)
        .into_iter()
        .filter(|t| t.get(t.root()).name == "LeaveGroup-Response")
        .collect();
    assert_eq!(at(&told[0], "Result/Code").as_deref(), Some("809"));
    assert!(
        w.poll(BEN)
            .iter()
            .all(|t| t.get(t.root()).name != "LeaveGroup-Response")
    );
    assert_eq!(w.code(BEA, join("bee")), "809");
    let remove = of("RemoveGroupMembers-Request").with(users(&[BEA]));
    assert_eq!(w.code(BEN, remove.clone()), "200");
    assert_eq!(w.code(BEN, remove), "900");
    assert_eq!(w.code(BEN, of("DeleteGroup-Request")), "200");
    assert_eq!(w.code(BEN, of("GetGroupProps-Request")), "800");
}

#[test]
fn notices_are_switched() {
    let mut w = world("Open");
    assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
    let notices = |kind: &str| of("SubscribeGroupNotice-Request").with(text("SubscribeType", kind));
    let value = |t: &Tree| at(t, "Value");
    assert_eq!(value(&w.ask(BEN, notices("G"))).as_deref(), Some("T"));
    assert_eq!(w.code(BEN, notices("U")), "200");
    assert_eq!(value(&w.ask(BEN, notices("G"))).as_deref(), Some("F"));
    assert_eq!(w.code(ARI, join("ari")), "JoinGroup-Response");
    assert!(w.took("GroupChangeNotice").is_empty());
    assert_eq!(w.code(BEN, notices("S")), "200");
    w.ask(ARI, of("LeaveGroup-Request"));
    let notice = w.took("GroupChangeNotice").remove(0);
    assert_eq!(at(&notice, "Left/Name").as_deref(), Some("ari"));
    let told = w.poll(BEN);
    assert_eq!(
        at(&told[0], "Left/UserList/ScreenName/SName").as_deref(),
        Some("ari")
    );
    // The group ends for all.
    assert_eq!(w.code(ANN, of("DeleteGroup-Request")), "200");
    let told = w.poll(BEN);
    assert_eq!(at(&told[0], "Result/Code").as_deref(), Some("800"));
}

#[test]
fn groups_that_there_are_not() {
    let mut w = World2::new();
    assert_eq!(w.code(BEN, of("LeaveGroup-Request")), "800");
    let foreign = |name: &str| Elem::new(name).with(text("GroupID", "wv:dan/room@d.example"));
    assert_eq!(w.code(ANN, foreign("LeaveGroup-Request")), "516");
    let abroad = Elem::new("CreateGroup-Request")
        .with(text("GroupID", "wv:/room@b.example"))
        .with(Elem::new("GroupProperties").with(property("Name", "Room")))
        .with(text("JoinGroup", "F"))
        .with(text("SubscribeNotification", "F"));
    assert_eq!(w.code(ANN, abroad), "516");
    w.silent = vec![A, B];
    assert_eq!(w.code(BEN, of("LeaveGroup-Request")), "516");
}

#[test]
fn private_messages_of_a_group_cross() {
    let mut w = world("Open");
    assert_eq!(w.code(BEN, join("benny")), "JoinGroup-Response");
    assert_eq!(w.code(ARI, join("ari")), "JoinGroup-Response");
    let whisper = |from: &str, to: &str| {
        Elem::new("SendMessage-Request")
            .with(text("DeliveryReport", "T"))
            .with(
                Elem::new("MessageInfo")
                    .with(text("ContentType", "text/plain"))
                    .with(text("ContentSize", "3"))
                    .with(Elem::new("Recipient").with(Elem::new("Group").with(screen_name(to, &group()))))
                    .with(Elem::new("Sender").with(Elem::new("Group").with(screen_name(from, &group())))),
            )
            .with(text("ContentData", "pst"))
    };
    let messages = |all: Vec<Tree>| -> Vec<Tree> {
        let of_name = |t: &Tree| t.get(t.root()).name == "NewMessage";
        all.into_iter().filter(of_name).collect()
    };
    assert_eq!(w.code(BEN, whisper("benny", "ari")), "200");
    let sent = w.took("SendMessageRequest").remove(0);
    assert_eq!(
        at(&sent, "MessageInfo/Recipient/ScreenName").as_deref(),
        Some("ari")
    );
    let got = messages(w.poll(ARI));
    let id = at(&got[0], "MessageInfo/MessageID");
    assert!(messages(w.poll(ANN)).is_empty());
    let told = w.poll(BEN);
    let report = told.last().unwrap();
    assert_eq!(report.get(report.root()).name, "DeliveryReport-Request");
    assert_eq!(at(report, "MessageInfo/MessageID"), id);
    assert!(!tree_text(&w.took("DeliveryStatusReport")[0]).contains(ARI));
    w.took("DeliveryStatusReport");
    assert_eq!(w.code(ARI, whisper("ari", "benny")), "200");
    let got = messages(w.poll(BEN));
    assert_eq!(
        at(&got[0], "MessageInfo/Recipient/Group/ScreenName/SName").as_deref(),
        Some("benny")
    );
    let reported = w.took("DeliveryStatusReport").remove(0);
    assert_eq!(
        at(&reported, "MetaInfo/Requestor/User/@userID").as_deref(),
        Some(BEN)
    );
    let told = w.poll(ARI);
    assert_eq!(at(told.last().unwrap(), "Result/Code").as_deref(), Some("200"));
    // Somebody else's name is not to be had.
    assert_eq!(w.code(BEN, whisper("ari", "boss")), "403");
}
