//! The service relay: what concerns users and groups of other domains crosses to their servers, and what
//! their servers ask for is served here. Only primitives are dealt with; sessions between servers,
//! envelopes and addresses are somebody else's.

mod faults;
mod held;
mod inbound;
mod inbound_groups;
mod inbound_messages;
mod inbound_notices;
mod invitations;
mod mapping;
mod notify;
mod outbound;
mod outbound_groups;
mod outbound_presence;
mod split;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_groups;
#[cfg(test)]
mod tests_presence;
#[cfg(test)]
mod tests_rules;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Elem, NodeId, Tree};
use crate::spec::Version;

use super::world::Call;
use super::{Outgoing, ServerEngine, Session};
pub use faults::RelayFault;
pub(super) use held::Closing;
use held::{Asked, Held, Sum};
use mapping::attr;

/// Most users of other domains that are remembered; more are refused.
const MOST_REMOTE_USERS: usize = 10_000;
/// Most messages whose reports are waited for; the oldest are forgotten.
const MOST_SENT: usize = 10_000;

/// A primitive for the server of another domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToPeer {
    /// The domain, in small letters.
    pub domain: String,
    /// The primitive; attributes are children whose names begin with `@`.
    pub primitive: Elem,
    /// Given back with the answer; none where nobody waits for it.
    pub relay: Option<u64>,
}

/// What answered a relayed request.
#[derive(Debug, Clone, Copy)]
pub enum PeerAnswer<'a> {
    /// A primitive: `Status`, or the response that belongs to the request.
    Message(&'a Tree, NodeId),
    /// No session, no address, or no answer in time.
    Unreachable,
}

/// What the relay remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Domains with an agreement, in small letters.
    domains: Vec<String>,
    pub(super) fault: Option<RelayFault>,
    outbox: Vec<ToPeer>,
    /// Numbers given so far: of relayed requests, and of held answers.
    last: u64,
    asked: BTreeMap<u64, Asked>,
    held: BTreeMap<u64, Held>,
    ready: Vec<(u64, Outgoing)>,
    /// Whom local users watch elsewhere.
    watches: Vec<Watch>,
    /// Watcher and owner of presence that was asked for, and may come as a notification.
    awaited: BTreeSet<(String, String)>,
    /// Local users in groups of other domains, with the screen name that they asked for.
    joined: BTreeMap<(String, String), Option<String>>,
    /// Messages that went to other domains, oldest first.
    sent: Vec<Sent>,
    /// Whether a request of a peer failed (one fault needs to know).
    failed: bool,
}

/// A local user watches somebody elsewhere. Addresses are canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watch {
    watcher: String,
    owner: String,
    /// The contact list that was named; none when the user was.
    list: Option<String>,
}

/// A message that went to another domain.
#[derive(Debug, Clone)]
struct Sent {
    id: String,
    sender: String,
    domain: String,
}

/// What a client gets: now, or when every peer has answered.
pub(super) enum Served {
    Now(Elem),
    Later(Box<Sum>),
}

impl ServerEngine {
    /// Domains with which there is an agreement. Without any, everything is as if there were no others.
    #[must_use]
    pub fn with_peers(mut self, domains: &[String]) -> Self {
        self.relay.domains = domains.iter().map(|d| bare_domain(d)).collect();
        self
    }

    /// The same server with a fault of its relay.
    #[must_use]
    pub fn with_relay_fault(mut self, fault: Option<RelayFault>) -> Self {
        self.relay.fault = fault;
        self
    }

    /// The domain it speaks for, in small letters.
    pub fn own_domain(&self) -> Option<String> {
        self.domain()
    }

    /// What is to be sent to peers since the last call.
    pub fn to_peers(&mut self) -> Vec<ToPeer> {
        self.queues_to_peers();
        std::mem::take(&mut self.relay.outbox)
    }

    /// Answers to clients that were held until peers had answered, by their number.
    pub fn released(&mut self) -> Vec<(u64, Outgoing)> {
        std::mem::take(&mut self.relay.ready)
    }

    /// Whether a fault of the relay is this one.
    pub(super) fn relay_has(&self, fault: RelayFault) -> bool {
        self.relay.fault == Some(fault)
    }

    /// Whether there is nothing to relay.
    pub(super) fn is_alone(&self) -> bool {
        self.relay.domains.is_empty() || self.hospitable
    }

    /// The domain of an address, when it is not of this server; none as well when there are no others.
    pub(super) fn elsewhere(&self, address: &str) -> Option<String> {
        if self.is_alone() {
            return None;
        }
        let address = self.canonical(address);
        let (_, domain) = address.rsplit_once('@')?;
        (Some(domain) != self.domain().as_deref()).then(|| domain.to_owned())
    }

    /// Whether an address is of another domain with which there is an agreement.
    pub(super) fn is_of_peer(&self, address: &str) -> bool {
        self.elsewhere(address).is_some_and(|d| self.is_agreed(&d))
    }

    fn is_agreed(&self, domain: &str) -> bool {
        self.relay.domains.iter().any(|d| d == domain)
    }

    /// Whether whoever asks is a user of another domain.
    fn is_remote(&self, call: &Call<'_>) -> bool {
        self.sessions.get(call.session).is_some_and(|s| s.remote)
    }

    /// Whether a local user is in a group of another domain.
    pub(super) fn is_in_remote_group(&self, group: &str, user: &str) -> bool {
        let key = (self.canonical(user), self.canonical(group));
        self.relay.joined.contains_key(&key)
    }

    /// The session in which a user of another domain is served. It never expires, and only its queue and
    /// its name are of any use. None when there are too many.
    fn remote_session(&mut self, user: &str) -> Option<String> {
        let user = self.canonical(user);
        let id = format!("ssp#{user}");
        if self.sessions.contains_key(&id) {
            return Some(id);
        }
        if self.sessions.values().filter(|s| s.remote).count() >= MOST_REMOTE_USERS {
            return None;
        }
        let session = Session {
            remote: true,
            ..Session::new(Version::V12, (user, String::new()), u32::MAX, 0)
        };
        self.sessions.insert(id.clone(), session);
        Some(id)
    }

    /// The address of a user as it crosses: with prefix and domain.
    fn full(&self, user: &str) -> String {
        let spelled = self.spelled(&self.canonical(user));
        let prefixed = match spelled.to_lowercase().starts_with("wv:") {
            true => spelled,
            false => format!("wv:{spelled}"),
        };
        match (prefixed.contains('@'), self.domain()) {
            (false, Some(domain)) => format!("{prefixed}@{domain}"),
            _ => prefixed,
        }
    }

    /// An address that somebody wrote, with prefix and domain.
    fn whole(&self, address: String) -> String {
        match address.contains('@') {
            true => split::with_prefix(address),
            false => self.full(&address),
        }
    }

    /// `MetaInfo`: a user caused this, or, with none, the server did.
    fn meta(&self, user: Option<&str>) -> Elem {
        let service = format!("wv:@{}", self.domain().unwrap_or_default());
        let requestor = Elem::new("Requestor")
            .with(attr("serviceID", service))
            .with_some(user.map(|u| mapping::user(self.full(u))));
        Elem::new("MetaInfo")
            .with(attr("clientOriginated", mapping::yes_no(user.is_some())))
            .with(requestor)
    }

    /// Sends a primitive that nobody waits for the answer of.
    fn tell_peer(&mut self, domain: &str, primitive: Elem) {
        self.relay.outbox.push(ToPeer {
            domain: domain.to_owned(),
            primitive,
            relay: None,
        });
    }

    /// Sends a request; its answer comes back to [`ServerEngine::peer_answer`].
    fn ask_peer(&mut self, domain: &str, primitive: Elem, asked: Asked) {
        self.relay.last += 1;
        let relay = self.relay.last;
        self.relay.asked.insert(relay, asked);
        self.relay.outbox.push(ToPeer {
            domain: domain.to_owned(),
            primitive,
            relay: Some(relay),
        });
    }

    /// Remembers that a message went to a domain, so that reports of it can be told from others.
    fn remember_sent(&mut self, id: &str, sender: &str, domain: &str) {
        let sent = &mut self.relay.sent;
        if sent.len() >= MOST_SENT {
            sent.remove(0);
        }
        sent.push(Sent {
            id: id.to_owned(),
            sender: sender.to_owned(),
            domain: domain.to_owned(),
        });
    }

    /// A local user has no session any more: it watches nobody and is in no group elsewhere.
    pub(super) fn left_other_domains(&mut self, user: &str) {
        let (gone, rest): (Vec<Watch>, Vec<Watch>) = std::mem::take(&mut self.relay.watches)
            .into_iter()
            .partition(|w| w.watcher == user);
        self.relay.watches = rest;
        self.relay.awaited.retain(|(asker, _)| asker != user);
        if !self.relay_has(RelayFault::WatchesAfterLogout) {
            let owners = gone.into_iter().map(|w| w.owner).collect();
            self.unwatch(user, owners);
        }
        let groups: Vec<String> = self
            .relay
            .joined
            .keys()
            .filter(|(u, _)| u == user)
            .map(|(_, group)| group.clone())
            .collect();
        for group in groups {
            self.relay.joined.remove(&(user.to_owned(), group.clone()));
            if let Some(domain) = self.elsewhere(&group) {
                let leave = Elem::new("LeaveGroupRequest")
                    .with(attr("groupID", group))
                    .with(self.meta(Some(user)));
                self.tell_peer(&domain, leave);
            }
        }
    }
}

/// A domain or service address as it is compared.
fn bare_domain(domain: &str) -> String {
    let lower = domain.trim().to_lowercase();
    let bare = lower.strip_prefix("wv:").unwrap_or(&lower);
    bare.strip_prefix('@').unwrap_or(bare).to_owned()
}
