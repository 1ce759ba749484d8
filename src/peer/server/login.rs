//! Login of the server engine: by password, by digest, and what a second login does to the first.

use crate::message::{Elem, NodeId, Tree, text};
use crate::spec::Version;

use super::super::compose;
use super::super::digest::Schema;
use super::negotiation::client_text;
use super::{CHALLENGE_LIFE_MS, MAX_CHALLENGES, PendingChallenge, ServerEngine, ServerFault};

impl ServerEngine {
    pub(super) fn login(&mut self, now_ms: u64, version: Version, tree: &Tree, request: NodeId) -> Elem {
        let read = |name: &str| tree.child_text(request, name);
        let user = read("UserID").unwrap_or_default();
        let cookie = read("SessionCookie").unwrap_or_default();
        let client_id = copy_client_id(tree, request);
        let fail = |code: u16| {
            Elem::new("Login-Response")
                .with(client_id.clone())
                .with(compose::result(code))
        };
        let account = self
            .config
            .accounts
            .iter()
            .find(|a| a.user.eq_ignore_ascii_case(&user))
            .cloned();
        let schemas: Vec<String> = tree
            .elements(request)
            .filter(|e| tree.get(*e).name == "DigestSchema")
            .flat_map(|e| {
                tree.text(e)
                    .split(',')
                    .map(|s| s.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        let (password, digest) = (read("Password"), read("DigestBytes"));
        let ways = usize::from(password.is_some())
            + usize::from(digest.is_some())
            + usize::from(!schemas.is_empty());
        if ways != 1 {
            return fail(402);
        }
        // Several clients of one user may log in at one time (LG-9), each with its own challenge.
        let client = client_text(tree, request);
        let key = (user.to_ascii_lowercase(), format!("{client} {cookie}"));
        let expected = match &account {
            Some(a) => a.password.clone(),
            None if self.fault == Some(ServerFault::AcceptsAnyUser) || self.open_to_all => {
                password.clone().unwrap_or_default()
            }
            None => return fail(531),
        };
        if !schemas.is_empty() {
            return self.challenge(now_ms, version, key, &schemas, &client_id);
        }
        if self.fault == Some(ServerFault::NeedsTimeToLiveAtLogin) && read("TimeToLive").is_none() {
            return fail(402);
        }
        let good = match (&password, &digest) {
            (Some(p), _) => match self.fault {
                Some(ServerFault::AcceptsAnyPassword) => true,
                Some(ServerFault::IgnoresPasswordCase) => p.eq_ignore_ascii_case(&expected),
                Some(ServerFault::TakesLongerPasswords) => p.starts_with(&expected),
                _ => *p == expected,
            },
            (None, Some(_)) if self.open_to_all => true,
            (None, Some(d)) => self.digest_is_right(now_ms, &key, d, &expected),
            (None, None) => false,
        };
        if !good {
            return fail(409);
        }
        let asked = read("TimeToLive")
            .and_then(|t| t.parse::<u32>().ok())
            .filter(|t| *t > 0);
        let granted = asked
            .unwrap_or(self.config.max_keep_alive)
            .min(self.config.max_keep_alive);
        let id = if self.fault == Some(ServerFault::SharesSessionId) {
            format!(
                "im#the-only-session-of-{}",
                user.to_ascii_lowercase().replace([':', '@'], "-")
            )
        } else {
            format!("im#{:016x}", self.random.u64(..))
        };
        let owner = (user.to_ascii_lowercase(), client);
        self.end_older(&owner, &id);
        self.open_session(now_ms, id.clone(), version, owner, granted);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.cir.cookie = cookie;
        }
        Elem::new("Login-Response")
            .with(client_id)
            .with(compose::result(200))
            .with(text("SessionID", id))
            .with(text("KeepAliveTime", granted.to_string()))
            .with(text("CapabilityRequest", "F"))
    }

    /// One ClientID names one client of a user (LG-9): a session that it opened before is over, and told
    /// so at its next poll (LG-7).
    fn end_older(&mut self, owner: &(String, String), new: &str) {
        if self.fault == Some(ServerFault::KeepsOldSession) {
            return;
        }
        for (id, session) in &mut self.sessions {
            if session.client == *owner && id != new && !session.ending {
                session.ending = true;
                session.queue.clear();
                session
                    .queue
                    .push(Elem::new("Disconnect").with(compose::result(601)));
            }
        }
    }

    fn challenge(
        &mut self,
        now_ms: u64,
        version: Version,
        key: (String, String),
        offered: &[String],
        client_id: &Elem,
    ) -> Elem {
        let answer = Elem::new("Login-Response").with(client_id.clone());
        let chosen = if self.fault == Some(ServerFault::NoDigestLogin) {
            None
        } else {
            [Schema::Sha, Schema::Md5, Schema::Pwd]
                .into_iter()
                .find(|s| offered.iter().any(|o| o == s.as_str()))
        };
        let Some(schema) = chosen else {
            return answer.with(compose::result(543));
        };
        let nonce = if self.fault == Some(ServerFault::ReplaysNonce) {
            "0123456789abcdef".to_owned()
        } else {
            format!("{:016x}{:016x}", self.random.u64(..), self.random.u64(..))
        };
        if self.challenges.len() >= MAX_CHALLENGES {
            let oldest = self
                .challenges
                .iter()
                .min_by_key(|(_, c)| c.since_ms)
                .map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.challenges.remove(&oldest);
            }
        }
        self.challenges.insert(
            key,
            PendingChallenge {
                nonce: nonce.clone(),
                schema,
                since_ms: now_ms,
            },
        );
        // Q2: the printed example has 200 here, two clients know 401.
        let code = match version {
            Version::V11 => 200,
            Version::V12 => 401,
        };
        answer
            .with(compose::result(code))
            .with(text("Nonce", nonce))
            .with(text("DigestSchema", schema.as_str()))
    }

    fn digest_is_right(&mut self, now_ms: u64, key: &(String, String), digest: &str, password: &str) -> bool {
        // A nonce is good once, whether the answer is right or not.
        let Some(challenge) = self.challenges.remove(key) else {
            return self.fault == Some(ServerFault::TakesDigestWithoutChallenge);
        };
        if self.fault == Some(ServerFault::ReplaysNonce) {
            self.challenges.insert(
                key.clone(),
                PendingChallenge {
                    nonce: challenge.nonce.clone(),
                    ..challenge
                },
            );
        }
        if self.fault == Some(ServerFault::AcceptsAnyDigest) {
            return true;
        }
        now_ms.saturating_sub(challenge.since_ms) <= CHALLENGE_LIFE_MS
            && challenge.schema.digest(&challenge.nonce, password).as_deref() == Some(digest)
    }
}

/// The ClientID of a request, to be given back as it came.
pub(super) fn copy_client_id(tree: &Tree, request: NodeId) -> Elem {
    let mut out = Elem::new("ClientID");
    if let Some(id) = tree.child(request, "ClientID") {
        for child in tree.elements(id) {
            out = out.with(text(&tree.get(child).name, tree.text(child).trim()));
        }
    }
    out
}
