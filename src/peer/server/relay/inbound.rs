//! Requests of peers: who asks, whether it may, and what this server answers.

use crate::message::{Elem, NodeId, Tree, text};
use crate::peer::samples;
use crate::spec::Version;

use super::super::ServerEngine;
use super::super::partial::Target;
use super::super::world::Call;
use super::mapping::{self, Outcome, attr, attribute, csp_party, one_party, read_party, status};
use super::{RelayFault, Served, bare_domain};

/// One request of a peer.
pub(super) struct Request<'a> {
    /// The domain of the session, in small letters.
    pub domain: &'a str,
    pub tree: &'a Tree,
    pub node: NodeId,
    pub now_ms: u64,
}

impl Request<'_> {
    pub(super) fn name(&self) -> &str {
        &self.tree.get(self.node).name
    }

    pub(super) fn child(&self, name: &str) -> Option<NodeId> {
        self.tree.child(self.node, name)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        attribute(self.tree, self.node, name)
    }

    /// Users that children of these names give, in order.
    pub(super) fn users(&self, of: NodeId, names: &[&str]) -> Vec<String> {
        let children = self.tree.elements(of);
        let named = children.filter(|e| names.contains(&self.tree.get(*e).name.as_str()));
        named.filter_map(|e| attribute(self.tree, e, "userID")).collect()
    }
}

/// An answer, or the code of a refusal.
pub(super) type Answer = Result<Elem, u16>;

/// Requests that somebody must have asked for.
const OF_USERS: &[&str] = &[
    "InviteRequest",
    "CancelInviteRequest",
    "SubscribeRequest",
    "UnsubscribeRequest",
    "GetPresenceRequest",
    "SendMessageRequest",
    "DeleteGroupRequest",
    "JoinGroupRequest",
    "LeaveGroupRequest",
    "GetGroupMemberRequest",
    "GetJoinedUsersRequest",
    "AddGroupMemberRequest",
    "RemoveGroupMemberRequest",
    "MemberAccessRequest",
    "GetGroupPropsRequest",
    "SetGroupPropsRequest",
    "RejectListRequest",
    "SubscribeGroupChangeRequest",
    "UnsubscribeGroupChangeRequest",
    "GetGroupSubStatusRequest",
];

/// Requests that servers make of themselves.
const NOTICES: &[&str] = &[
    "PresenceNotification",
    "DeliveryStatusReport",
    "InviteResponse",
    "LeaveGroupIndication",
    "GroupChangeNotice",
];

/// Requests that are known and not served here.
const NOT_SERVED: &[&str] = &[
    "LogoutRequest",
    "Disconnect",
    "KeepAliveRequest",
    "ServiceRequest",
    "SendSecretToken",
    "LoginRequest",
];

impl ServerEngine {
    /// Serves a request of the server of `domain`; the answer, or none where none is due.
    pub fn peer_request(
        &mut self,
        now_ms: u64,
        domain: &str,
        tree: &Tree,
        primitive: NodeId,
    ) -> Option<Elem> {
        self.expire(now_ms);
        self.expire_messages(now_ms);
        self.remote_users_live(now_ms);
        let domain = bare_domain(domain);
        let request = Request {
            domain: &domain,
            tree,
            node: primitive,
            now_ms,
        };
        let name = request.name();
        let answers = name == "Status" || name.ends_with("Response") && name != "InviteResponse";
        if answers {
            let answered = self.relay_has(RelayFault::AnswersResponses);
            return answered.then(|| status(200));
        }
        if self.relay.failed && self.relay_has(RelayFault::StopsAfterError) {
            return Some(status(500));
        }
        // What is wrong with the state of a server shows in what it serves to peers alone.
        let usual = self.fault;
        self.fault = self.relay.fault.and_then(RelayFault::in_service).or(usual);
        let answer = self.serve_peer(&request);
        self.fault = usual;
        let answer = answer.unwrap_or_else(|code| Outcome::plain(code).status());
        let code = answer.children().iter().find(|c| c.name() == "@code");
        let failed = code.is_some_and(|c| !c.content().starts_with('2'));
        self.relay.failed |= failed;
        Some(answer)
    }

    fn serve_peer(&mut self, request: &Request<'_>) -> Answer {
        let name = request.name();
        let known = OF_USERS.contains(&name) || NOTICES.contains(&name);
        if !known {
            if self.relay_has(RelayFault::SucceedsAtUnknown) {
                return Ok(status(200));
            }
            return Err(if NOT_SERVED.contains(&name) { 501 } else { 405 });
        }
        if !self.is_agreed(request.domain) {
            return Err(506);
        }
        let requestor = self.requestor(request)?;
        if NOTICES.contains(&name) {
            return self.notice(request);
        }
        let Some(user) = requestor else {
            if name == "SendMessageRequest" {
                return self.message_of_group(request);
            }
            return Err(402);
        };
        match name {
            "SendMessageRequest" => self.message_in(request, &user),
            "SubscribeRequest" | "UnsubscribeRequest" => self.watching(request, &user),
            "GetPresenceRequest" => self.presence_asked(request, &user),
            "InviteRequest" => self.invitation_in(request, &user),
            "CancelInviteRequest" => self.cancellation_in(request, &user),
            _ => self.group_in(request, &user),
        }
    }

    /// Whoever asks, when it is a user of the peer's domain. Nobody is refused for how an address is
    /// spelled; a domain that is not the peer's is.
    fn requestor(&self, request: &Request<'_>) -> Result<Option<String>, u16> {
        let tree = request.tree;
        let Some(meta) = request.child("MetaInfo") else {
            // Answers to invitations and the like have none.
            let without = NOTICES.contains(&request.name()) && request.name() != "DeliveryStatusReport";
            return if without { Ok(None) } else { Err(402) };
        };
        let requestor = tree.child(meta, "Requestor").ok_or(402_u16)?;
        let service = attribute(tree, requestor, "serviceID").ok_or(402_u16)?;
        let foreign = match self.relay_has(RelayFault::MindsDomainCase) {
            true => service != format!("wv:@{}", request.domain),
            false => bare_domain(&service) != request.domain,
        };
        if foreign && !self.relay_has(RelayFault::ServesForeignService) {
            return Err(901);
        }
        let user = tree
            .child(requestor, "User")
            .and_then(|u| attribute(tree, u, "userID"));
        if let Some(user) = &user
            && !self.is_of(user, request.domain)
            && !self.relay_has(RelayFault::ServesForeignRequestor)
        {
            return Err(901);
        }
        let of_user = mapping::is_yes(tree, meta, "clientOriginated");
        match (user, of_user) {
            (None, true) => Err(402),
            (user, _) => Ok(user),
        }
    }

    /// Whether an address is of this domain.
    pub(super) fn is_of(&self, address: &str, domain: &str) -> bool {
        let address = self.canonical(address);
        address.rsplit_once('@').is_some_and(|(_, d)| d == domain)
    }

    /// Serves what a user of a peer asks for, in CSP form; the answer of the service.
    pub(super) fn serve_remote(
        &mut self,
        request: &Request<'_>,
        user: &str,
        asked: Elem,
    ) -> Result<Tree, u16> {
        let session = self.remote_session(user).ok_or(503_u16)?;
        let tree = asked.into_tree();
        let name = tree.get(tree.root()).name.clone();
        if self.refusal(&session, &name).is_some() {
            return Err(501);
        }
        let call = Call {
            session: &session,
            user: self.canonical(user),
            version: Version::V12,
            now_ms: request.now_ms,
            tree: &tree,
            node: tree.root(),
            name: &name,
        };
        match self.serve_or_relay(&call) {
            Served::Now(answer) => Ok(answer.into_tree()),
            // Only faults relay for others, and they wait for nothing.
            Served::Later(_) => Err(500),
        }
    }

    /// An outcome about users, as a peer hears of it: which of them failed is told even when it is one.
    pub(super) fn told(mut outcome: Outcome, users: &[Target]) -> Outcome {
        let of_users = matches!(outcome.code, 410 | 516 | 531..=534 | 810);
        if let ([only], true, true) = (users, outcome.rows.is_empty(), of_users) {
            outcome.rows.push((outcome.code, only.clone()));
        }
        outcome
    }

    /// Subscribing to users, and no longer.
    fn watching(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let subscribes = request.name() == "SubscribeRequest";
        let targets = request.users(request.node, &["UserID", "VerUserID"]);
        if targets.is_empty() {
            return Err(400);
        }
        let selection = mapping::selection_in(request.tree, request.node);
        self.knows_selection(selection.as_ref())?;
        let targets: Vec<Target> = targets.into_iter().map(Target::User).collect();
        let name = if subscribes {
            "SubscribePresence-Request"
        } else {
            "UnsubscribePresence-Request"
        };
        let asked = Elem::new(name)
            .with_all(targets.iter().map(csp_party))
            .with_some(selection.filter(|_| subscribes));
        let answer = self.serve_remote(request, user, asked)?;
        let mut outcome = Self::told(Outcome::of_csp(&answer), &targets);
        if self.relay_has(RelayFault::HidesUnknownWatched) {
            outcome = Outcome::plain(200);
        }
        Ok(outcome.status())
    }

    /// 750 for attributes that there are not.
    fn knows_selection(&self, selection: Option<&Elem>) -> Result<(), u16> {
        let names: Vec<String> = selection
            .into_iter()
            .flat_map(Elem::children)
            .map(|a| a.name().to_owned())
            .collect();
        let known = self.of_version(Version::V12, &names);
        if known.len() < names.len() {
            Err(750)
        } else {
            Ok(())
        }
    }

    fn presence_asked(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let targets = request.users(request.node, &["UserID", "VerUserID"]);
        if targets.is_empty() {
            return Err(400);
        }
        let selection = mapping::selection_in(request.tree, request.node);
        self.knows_selection(selection.as_ref())?;
        let targets: Vec<Target> = targets.into_iter().map(Target::User).collect();
        let asked = Elem::new("GetPresence-Request")
            .with_all(targets.iter().map(csp_party))
            // A list without attributes asks for all.
            .with_some(selection.filter(|s| !s.children().is_empty()));
        let answer = self.serve_remote(request, user, asked)?;
        let mut outcome = Self::told(Outcome::of_csp(&answer), &targets);
        if self.relay_has(RelayFault::HidesUnknownWatched) {
            outcome = Outcome::plain(200);
        }
        let presences = answer
            .elements(answer.root())
            .filter(|e| answer.get(*e).name == "Presence");
        let values = presences.map(|presence| {
            let owner = answer.child_text(presence, "UserID").unwrap_or_default();
            let list = answer.child(presence, "PresenceSubList");
            let attributes = list.map_or_else(Vec::new, |l| {
                answer.elements(l).map(|a| mapping::copied(&answer, a)).collect()
            });
            Elem::new("PresenceValue")
                .with(attr("userID", self.full(&owner)))
                .with(mapping::presence_list(Version::V12, attributes))
        });
        let values: Vec<Elem> = values.collect();
        Ok(Elem::new("GetPresenceResponse")
            .with(outcome.status())
            .with_all(values))
    }

    fn invitation_in(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let tree = request.tree;
        let id = self.required(request, "inviteID")?;
        let inviting = self.party_of(request, "Inviting")?;
        let invited = request
            .child("Invited")
            .and_then(|i| read_party(tree, i))
            .ok_or(400_u16)?;
        let group = request
            .child("GroupID")
            .and_then(|g| one_party(tree, g))
            .map(|g| match g {
                Target::Group(group) => text("GroupID", group),
                other => csp_party(&other),
            });
        let screen_name = match &inviting {
            Target::ScreenName(name, group) => Some(samples::screen_name(name, group)),
            _ => None,
        };
        let note = tree.child_text(request.node, "InviteNote");
        let kind = request.attribute("inviteType").ok_or(400_u16)?;
        let links = links_in(request).filter(|_| !self.relay_has(RelayFault::DropsLinks));
        let selection = mapping::selection_in(tree, request.node);
        let complete = match kind.as_str() {
            "GR" | "GM" => group.is_some(),
            "PR" => selection.is_some(),
            "SC" => links.is_some() || self.relay_has(RelayFault::DropsLinks),
            _ => true,
        };
        if !complete {
            return Err(400);
        }
        let asked = Elem::new("Invite-Request")
            .with(text("InviteID", id))
            .with(text("InviteType", kind))
            .with(Elem::new("Recipient").with(csp_party(&invited)))
            .with_some(screen_name)
            .with_some(group)
            .with_some(selection)
            .with_some(links)
            .with_some(note.map(|n| text("InviteNote", n)))
            .with_some(request.attribute("validity").map(|v| text("Validity", v)));
        let answer = self.serve_remote(request, user, asked)?;
        Ok(Self::told(Outcome::of_csp(&answer), &[invited]).status())
    }

    fn cancellation_in(&mut self, request: &Request<'_>, user: &str) -> Answer {
        let tree = request.tree;
        let id = self.required(request, "inviteID")?;
        self.party_of(request, "Canceling")?;
        let canceled = request
            .child("Canceled")
            .and_then(|i| read_party(tree, i))
            .ok_or(400_u16)?;
        if self.relay_has(RelayFault::DeliversNoCancellation) {
            return Ok(status(200));
        }
        let note = tree.child_text(request.node, "CancelNote");
        let asked = Elem::new("CancelInvite-Request")
            .with(text("InviteID", id))
            .with(Elem::new("Recipient").with(csp_party(&canceled)))
            .with_some(note.map(|n| text("InviteNote", n)))
            .with_some(links_in(request));
        let answer = self.serve_remote(request, user, asked)?;
        Ok(Self::told(Outcome::of_csp(&answer), &[canceled]).status())
    }

    /// A party that must be of the peer's domain.
    pub(super) fn party_of(&self, request: &Request<'_>, element: &str) -> Result<Target, u16> {
        let party = request
            .child(element)
            .and_then(|e| read_party(request.tree, e))
            .ok_or(400_u16)?;
        let address = match &party {
            Target::User(address) | Target::Group(address) | Target::ScreenName(_, address) => address,
            Target::ContactList(_) | Target::Domain(_) => return Err(400),
        };
        // A screen name may be one in a group of this domain.
        let named_here = matches!(party, Target::ScreenName(..)) && self.elsewhere(address).is_none();
        let good = self.is_of(address, request.domain) || named_here;
        let any = matches!(
            self.relay.fault,
            Some(RelayFault::TakesForeignParties | RelayFault::ServesForeignRequestor)
        );
        match good || any {
            true => Ok(party),
            false => Err(901),
        }
    }

    /// A required attribute, or the code of its absence.
    pub(super) fn required(&self, request: &Request<'_>, name: &str) -> Result<String, u16> {
        match request.attribute(name) {
            Some(value) => Ok(value),
            None if self.relay_has(RelayFault::NeedsNoAttributes) => Err(200),
            None => Err(400),
        }
    }
}

/// ContentIDList as URLList.
fn links_in(request: &Request<'_>) -> Option<Elem> {
    let list = request.child("ContentIDList")?;
    let urls = request.tree.elements(list);
    let urls = urls.filter_map(|e| attribute(request.tree, e, "url"));
    Some(Elem::new("URLList").with_all(urls.map(|u| text("URL", u))))
}
