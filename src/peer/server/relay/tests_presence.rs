//! Presence and invitations across domains.

use super::tests::{ANN, ARI, BEA, BEN, World2, allow, at, count, names, subscribe, tree_text, update};
use super::*;
use crate::message::text;
use crate::peer::contents::{selection, user};
use crate::peer::names::resource;

#[test]
fn presence_is_watched_across_domains() {
    let mut w = World2::new();
    w.ask(BEN, update("first"));
    w.ask(BEN, allow(ANN, &["StatusText"]));
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "200");
    let sent = w.took("SubscribeRequest").remove(0);
    assert_eq!(at(&sent, "UserID/@userID").as_deref(), Some(BEN));
    assert!(at(&sent, "AttributeList/PresenceSubList/StatusText").is_some());
    let told = w.took("PresenceNotification").remove(0);
    assert_eq!(at(&told, "User/@userID").as_deref(), Some(ANN));
    assert_eq!(at(&told, "PresenceValue/@userID").as_deref(), Some(BEN));
    assert_eq!(at(&told, "MetaInfo/@clientOriginated").as_deref(), Some("No"));
    assert_eq!(at(&told, "MetaInfo/Requestor/User/@userID"), None);
    let got = w.poll(ANN);
    assert_eq!(names(&got), ["PresenceNotification-Request"]);
    let status = "Presence/PresenceSubList/StatusText/PresenceValue";
    assert_eq!(at(&got[0], status).as_deref(), Some("first"));
    w.ask(BEN, update("second"));
    assert_eq!(at(&w.poll(ANN)[0], status).as_deref(), Some("second"));
    let end = Elem::new("UnsubscribePresence-Request").with(user(BEN));
    assert_eq!(w.code(ANN, end), "200");
    assert_eq!(w.took("UnsubscribeRequest").len(), 1);
    w.took("PresenceNotification");
    w.ask(BEN, update("third"));
    assert!(w.took("PresenceNotification").is_empty());
    assert!(w.poll(ANN).is_empty());
}

#[test]
fn what_is_not_granted_does_not_cross() {
    let mut w = World2::new();
    w.ask(BEN, update("secret"));
    assert_eq!(w.code(ANN, subscribe(&[BEN])), "200");
    assert!(w.took("PresenceNotification").is_empty());
    // The owner is asked, and decides.
    let asked = w.poll(BEN);
    assert_eq!(names(&asked), ["PresenceAuth-Request"]);
    assert_eq!(at(&asked[0], "UserID").as_deref(), Some(ANN));
    let yes = Elem::new("PresenceAuth-User")
        .with(text("UserID", ANN))
        .with(text("Acceptance", "T"));
    w.ask(BEN, yes);
    assert_eq!(names(&w.poll(ANN)), ["PresenceNotification-Request"]);
}

#[test]
fn contact_lists_are_expanded_and_never_named() {
    let mut w = World2::new();
    let list = resource(ANN, "friends");
    let nick = |u: &str| text("UserID", u);
    let create = Elem::new("CreateList-Request")
        .with(text("ContactList", list.clone()))
        .with(Elem::new("NickList").with(nick(ARI)).with(nick(BEN)));
    assert_eq!(w.code(ANN, create), "200");
    let watch = Elem::new("SubscribePresence-Request")
        .with(text("ContactList", list.clone()))
        .with(text("AutoSubscribe", "T"));
    assert_eq!(w.code(ANN, watch), "200");
    let sent = w.took("SubscribeRequest");
    assert_eq!(count(&sent[0], "UserID"), 1);
    assert!(!tree_text(&sent[0]).contains("friends"));
    assert!(at(&sent[0], "AttributeList").is_none(), "no selection: all");
    // A newcomer is subscribed to as well.
    let add = Elem::new("ListManage-Request")
        .with(text("ContactList", list.clone()))
        .with(Elem::new("AddNickList").with(nick(BEA)))
        .with(text("ReceiveList", "F"));
    assert_eq!(w.code(ANN, add), "200");
    let sent = w.took("SubscribeRequest");
    assert_eq!(at(&sent[0], "UserID/@userID").as_deref(), Some(BEA));
    let get = Elem::new("GetPresence-Request").with(text("ContactList", list));
    let got = w.ask(ANN, get);
    assert_eq!(count(&got, "Presence"), 3);
    assert_eq!(count(&w.took("GetPresenceRequest")[0], "UserID"), 2);
    // Logging out ends it all.
    w.ask(ANN, Elem::new("Logout-Request"));
    let ended = w.took("UnsubscribeRequest");
    assert_eq!(ended.len(), 1);
    assert_eq!(count(&ended[0], "UserID"), 2);
}

#[test]
fn presence_is_asked_for() {
    let mut w = World2::new();
    w.ask(BEN, update("here"));
    w.ask(BEN, allow(ANN, &["StatusText"]));
    let get = Elem::new("GetPresence-Request")
        .with(user(BEN))
        .with(user("wv:nobody@b.example"))
        .with(selection(Version::V12, &["StatusText"]));
    let got = w.ask(ANN, get);
    assert_eq!(at(&got, "Result/Code").as_deref(), Some("201"));
    assert_eq!(at(&got, "Presence/UserID").as_deref(), Some(BEN));
    let status = "Presence/PresenceSubList/StatusText/PresenceValue";
    assert_eq!(at(&got, status).as_deref(), Some("here"));
    let alone = Elem::new("GetPresence-Request").with(user("wv:nobody@b.example"));
    assert_eq!(w.code(ANN, alone), "531");
}

pub(super) fn invite(to: &str) -> Elem {
    Elem::new("Invite-Request")
        .with(text("InviteID", "i1"))
        .with(text("InviteType", "SC"))
        .with(Elem::new("Recipient").with(user(to)))
        .with(Elem::new("URLList").with(text("URL", "http://content.example/1?a=1&b=2")))
        .with(text("InviteNote", "Look"))
        .with(text("Validity", "600"))
}

#[test]
fn invitations_cross_and_their_answers_come_back() {
    let mut w = World2::new();
    assert_eq!(w.code(ANN, invite(BEN)), "200");
    let sent = w.took("InviteRequest").remove(0);
    assert_eq!(at(&sent, "@inviteID").as_deref(), Some("i1"));
    assert_eq!(at(&sent, "Inviting/User/@userID").as_deref(), Some(ANN));
    assert_eq!(at(&sent, "Invited/User/@userID").as_deref(), Some(BEN));
    let got = w.poll(BEN);
    assert_eq!(names(&got), ["InviteUser-Request"]);
    assert_eq!(
        at(&got[0], "URLList/URL").as_deref(),
        Some("http://content.example/1?a=1&b=2")
    );
    assert_eq!(at(&got[0], "InviteNote").as_deref(), Some("Look"));
    assert_eq!(at(&got[0], "Validity").as_deref(), Some("600"));
    let yes = Elem::new("InviteUser-Response")
        .with(text("InviteID", "i1"))
        .with(text("Acceptance", "T"))
        .with(Elem::new("Sender").with(user(ANN)))
        .with(text("ResponseNote", "Nice"));
    assert_eq!(w.code(BEN, yes), "200");
    let back = w.took("InviteResponse").remove(0);
    assert_eq!(at(&back, "@acceptance").as_deref(), Some("Yes"));
    assert_eq!(at(&back, "Responding/User/@userID").as_deref(), Some(BEN));
    let told = w.poll(ANN);
    assert_eq!(names(&told), ["Invite-Response"]);
    assert_eq!(at(&told[0], "Acceptance").as_deref(), Some("T"));
    assert_eq!(at(&told[0], "Sender/User/UserID").as_deref(), Some(BEN));
    assert_eq!(at(&told[0], "ResponseNote").as_deref(), Some("Nice"));
    let unknown = w.ask(ANN, invite("wv:nobody@b.example"));
    assert_eq!(at(&unknown, "Result/DetailedResult/Code").as_deref(), Some("531"));
}

#[test]
fn invitations_are_taken_back() {
    for named in [true, false] {
        let mut w = World2::new();
        let both = Elem::new("Invite-Request")
            .with(text("InviteID", "i1"))
            .with(text("InviteType", "IM"))
            .with(Elem::new("Recipient").with_all([ARI, BEN, BEA].iter().map(|u| user(u))));
        assert_eq!(w.code(ANN, both), "200");
        assert_eq!(w.took("InviteRequest").len(), 2, "one for each party");
        for of in [ARI, BEN, BEA] {
            assert_eq!(names(&w.poll(of)), ["InviteUser-Request"]);
        }
        let to = Elem::new("Recipient").with_all([ARI, BEN, BEA].iter().map(|u| user(u)));
        let cancel = Elem::new("CancelInvite-Request")
            .with(text("InviteID", "i1"))
            .with_some(named.then_some(to))
            .with(text("InviteNote", "Sorry"));
        assert_eq!(w.code(ANN, cancel.clone()), "200");
        assert_eq!(w.took("CancelInviteRequest").len(), 2);
        for of in [ARI, BEN, BEA] {
            let got = w.poll(of);
            assert_eq!(names(&got), ["CancelInviteUser-Request"], "{named}");
            assert_eq!(at(&got[0], "InviteNote").as_deref(), Some("Sorry"));
        }
        assert_eq!(w.code(ANN, cancel), "423");
    }
}
