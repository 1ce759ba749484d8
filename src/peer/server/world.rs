//! What a server serves beyond the session core: who is asked what, what it knows of users, and how its
//! own requests reach the sessions of a user. The services themselves are modules of their own, each
//! with a state of its own.

use crate::message::{Elem, NodeId, TransactionView, Tree};
use crate::spec::Version;

use super::super::names;
use super::{ServerEngine, Session, fundamental, groups, lists, messages, presence};

/// The state of all services.
#[derive(Debug, Default)]
pub(super) struct World {
    pub fundamental: fundamental::State,
    pub presence: presence::State,
    pub lists: lists::State,
    pub messages: messages::State,
    pub groups: groups::State,
}

/// One request in a session.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// SessionID.
    pub session: &'a str,
    /// Who asks, canonical.
    pub user: String,
    /// Version of the session.
    pub version: Version,
    /// When.
    pub now_ms: u64,
    /// The message.
    pub tree: &'a Tree,
    /// The primitive in it.
    pub node: NodeId,
    /// Its name.
    pub name: &'a str,
}

impl Call<'_> {
    /// Trimmed text of a child of the primitive.
    pub fn text(&self, child: &str) -> Option<String> {
        self.tree.child_text(self.node, child)
    }

    /// A child of the primitive.
    pub fn child(&self, name: &str) -> Option<NodeId> {
        self.tree.child(self.node, name)
    }

    /// Trimmed texts of every child of this name of an element.
    pub fn texts(&self, of: NodeId, name: &str) -> Vec<String> {
        self.tree
            .elements(of)
            .filter(|e| self.tree.get(*e).name == name)
            .map(|e| self.tree.text(e).trim().to_owned())
            .collect()
    }

    /// UserIDs of every `User` below an element, or of every bare `UserID`.
    pub fn users(&self, of: NodeId) -> Vec<String> {
        let mut out = Vec::new();
        for child in self.tree.elements(of) {
            match self.tree.get(child).name.as_str() {
                "User" => out.extend(self.tree.child_text(child, "UserID")),
                "UserID" => out.push(self.tree.text(child).trim().to_owned()),
                _ => {}
            }
        }
        out
    }
}

/// Everything of the service tree that the engine serves.
pub fn served_functions() -> Vec<String> {
    [
        fundamental::FUNCTIONS,
        presence::FUNCTIONS,
        lists::FUNCTIONS,
        messages::FUNCTIONS,
        groups::FUNCTIONS,
    ]
    .iter()
    .flat_map(|of_service| of_service.iter().map(|f| (*f).to_owned()))
    .collect()
}

impl ServerEngine {
    /// Serves a request beyond the session core; none when no service knows it.
    pub(super) fn serve(&mut self, call: &Call<'_>) -> Option<Elem> {
        self.fundamental(call)
            .or_else(|| self.presence(call))
            .or_else(|| self.lists(call))
            .or_else(|| self.messages(call))
            .or_else(|| self.groups(call))
    }

    /// A client answered a request of this server: `request` is what was sent.
    pub(super) fn confirmed(
        &mut self,
        session: &str,
        user: &str,
        request: &Elem,
        answer: (&Tree, &TransactionView),
    ) {
        self.message_confirmed(session, user, request, answer);
    }

    /// A user has opened a session.
    pub(super) fn arrived(&mut self, now_ms: u64, user: &str) {
        self.presence_changed_by_session(user);
        self.messages_for_new_session(now_ms, user);
    }

    /// A session of a user is over.
    pub(super) fn departed(&mut self, session: &Session) {
        let user = self.canonical(&session.client.0);
        if !self.is_online(&user) {
            self.left_all_groups(&user);
        }
        self.presence_changed_by_session(&user);
        if !self.is_online(&user) {
            self.left_other_domains(&user);
        }
    }

    /// An address as it is compared: small letters, with `wv:` and a domain (AD-2, AD-3, AD-7).
    pub(super) fn canonical(&self, address: &str) -> String {
        let lower = address.trim().to_lowercase();
        let full = match lower.strip_prefix("wv:") {
            Some(_) => lower,
            None => format!("wv:{lower}"),
        };
        match (full.contains('@'), self.domain()) {
            (false, Some(domain)) => format!("{full}@{domain}"),
            _ => full,
        }
    }

    /// The domain of this server: that of its first account.
    pub(super) fn domain(&self) -> Option<String> {
        let user = &self.config.accounts.first()?.user;
        user.split_once('@').map(|(_, d)| d.to_lowercase())
    }

    /// Whether a user is known: here, or to a server that this one can ask. A hospitable server knows
    /// everybody.
    pub(super) fn knows_user(&self, address: &str) -> bool {
        self.has_user(address) || self.is_of_peer(address)
    }

    /// Whether a user is known here.
    pub(super) fn has_user(&self, address: &str) -> bool {
        let address = self.canonical(address);
        self.hospitable
            || self
                .config
                .accounts
                .iter()
                .any(|a| self.canonical(&a.user) == address)
    }

    /// Whether a user has a session.
    pub(super) fn is_online(&self, user: &str) -> bool {
        self.sessions
            .values()
            .any(|s| !s.ending && self.canonical(&s.client.0) == user)
    }

    /// The account of a user as it was written when it was made.
    pub(super) fn spelled(&self, user: &str) -> String {
        let known = self
            .config
            .accounts
            .iter()
            .find(|a| self.canonical(&a.user) == user);
        known.map_or_else(|| user.to_owned(), |a| a.user.clone())
    }

    /// Puts a request of the server into the queue of every session of a user that agreed to its function
    /// (SN-8); whether there was one. `make` writes it in the version of the session.
    pub(super) fn deliver(&mut self, user: &str, make: &dyn Fn(Version) -> Elem) -> bool {
        let ids: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, s)| !s.ending && self.canonical(&s.client.0) == user)
            .map(|(id, _)| id.clone())
            .collect();
        let mut delivered = false;
        for id in ids {
            delivered |= self.deliver_in(&id, make);
        }
        delivered
    }

    /// The same for one session.
    pub(super) fn deliver_in(&mut self, session: &str, make: &dyn Fn(Version) -> Elem) -> bool {
        let checker = std::sync::Arc::clone(&self.checker);
        let Some(open) = self.sessions.get_mut(session) else {
            return false;
        };
        let request = make(open.version);
        let functions = checker.syntax().primitive(request.name()).map(|p| &p.functions);
        let refused = functions.is_some_and(|f| {
            !f.is_empty()
                && open
                    .refused
                    .as_ref()
                    .is_some_and(|r| f.iter().all(|code| r.contains(code)))
        });
        if !refused {
            open.queue.push(request);
        }
        !refused
    }

    /// Whether a session agreed to a function: it was not refused.
    pub(super) fn agreed(&self, session: &str, function: &str) -> bool {
        let refused = self.sessions.get(session).and_then(|s| s.refused.as_ref());
        refused.is_none_or(|r| !r.contains(function))
    }

    /// The sessions of a user.
    pub(super) fn sessions_of(&self, user: &str) -> Vec<String> {
        self.sessions
            .iter()
            .filter(|(_, s)| !s.ending && self.canonical(&s.client.0) == user)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The owner of a group or contact list: the user that its address begins with.
    pub(super) fn owner_of(&self, address: &str) -> Option<String> {
        let address = self.canonical(address);
        let (local, rest) = address.split_once('/')?;
        let domain = rest.split_once('@').map(|(_, d)| d);
        Some(match domain {
            Some(domain) => format!("{local}@{domain}"),
            None => local.to_owned(),
        })
    }

    /// A short word for an identifier that this server makes.
    pub(super) fn new_word(&mut self, prefix: &str) -> String {
        format!("{prefix}{:08x}", self.random.u32(..))
    }
}

/// The name under which others see a user when nothing else is known.
pub(super) fn screen_name_of(user: &str) -> String {
    names::screen_name_of(user)
}
