//! The conversations of the clients that speak to one listener: which of them a message belongs to,
//! and what the rules over conversations say of it. Sessions of earlier cases stay known, so that a
//! late message of one is not taken for an invention.

use std::collections::BTreeMap;

use crate::check::conversation::{Conversation, Judgement};
use crate::message::{Path, Tree};
use crate::spec::Role;
use crate::spec::syntax::Syntax;

/// Most conversations kept; the oldest are forgotten.
const MAX_CONVERSATIONS: usize = 2_000;

/// All conversations with one listener.
#[derive(Debug)]
pub struct Conversations {
    all: BTreeMap<String, Entry>,
    /// That of the last login.
    current: Option<String>,
    /// Whether there is only one client: what it invents belongs to its last conversation.
    alone: bool,
    /// Whether the clients speak to a server that was there before, which may err as well.
    passers_by: bool,
    born: u64,
    anybody: bool,
}

#[derive(Debug)]
struct Entry {
    conversation: Conversation,
    /// User and ClientID of its login.
    client: String,
    born: u64,
    /// An answer in it was broken: nobody knows what the client made of it.
    doubtful: bool,
    /// Messages of it that are not answered yet.
    under_way: usize,
}

/// What a message was found to be.
#[derive(Debug)]
pub struct Placed {
    /// The conversation; none for a message that belongs to none that is known.
    pub key: Option<String>,
    /// Its number, which stays when its name changes.
    pub number: Option<u64>,
    /// What the rules say of it.
    pub judgements: Vec<Judgement>,
    /// The session in force in that conversation when it came.
    pub session: Option<String>,
    /// Why what came before it is not known for sure, if so: what it breaks only because of that is no breach.
    pub unsure: Option<&'static str>,
}

/// Rules of a client that a message breaks by itself, whatever came before it.
const OF_ONE_MESSAGE: [&str; 4] = ["session-type", "request-mode", "answer-mode", "multi-trans"];

/// Whether a rule is broken only by a message after others.
pub fn hangs_on_earlier(rule: &str) -> bool {
    !OF_ONE_MESSAGE.contains(&rule)
}

impl Conversations {
    /// Those of clients with a server that is not the suite's: both may have begun before, and an answer
    /// may be broken. Whoever uses it says which messages are answered ([`Conversations::answered`]).
    pub fn of_passers_by() -> Self {
        Self {
            passers_by: true,
            ..Self::new(false)
        }
    }

    /// None yet. `alone`: one client only.
    pub fn new(alone: bool) -> Self {
        Self {
            all: BTreeMap::new(),
            current: None,
            alone,
            passers_by: false,
            born: 0,
            anybody: false,
        }
    }

    /// The session in force in the conversation of the last login.
    pub fn session(&self) -> Option<&str> {
        self.all.get(self.current.as_ref()?)?.conversation.session()
    }

    /// KeepAliveTime that the client was last given in that conversation, in seconds.
    pub fn keep_alive(&self) -> Option<u32> {
        self.all.get(self.current.as_ref()?)?.conversation.keep_alive()
    }

    /// A CIR was sent in the conversation of the last login: a poll may come at once (DL-2).
    pub fn poll_is_called_for(&mut self) {
        let found = self.current.as_ref().and_then(|key| self.all.get_mut(key));
        if let Some(entry) = found {
            entry.conversation.poll_is_called_for();
        }
    }

    /// Whether anybody ever tried to log in.
    pub fn has_seen_login(&self) -> bool {
        self.anybody
    }

    /// Finds the conversation of a message and judges it.
    pub fn place(&mut self, syntax: &Syntax, tree: &Tree, now_ms: u64) -> Placed {
        let key = self.key_of(tree);
        let mut proven = Vec::new();
        if let Some(key) = &key
            && key.starts_with("login:")
        {
            let client = login_client(tree);
            self.open(key, &client);
            self.current = Some(key.clone());
            self.anybody = true;
            // What a client left open in an earlier session is told by its next login.
            let path = tree.path(tree.root());
            let others = self
                .all
                .iter_mut()
                .filter(|(k, e)| *k != key && e.client == client);
            proven = others
                .filter_map(|(_, e)| e.conversation.came_back(&path))
                .collect();
        }
        let doubts = self.all.values().any(|e| e.doubtful);
        match key.as_ref().and_then(|k| self.all.get_mut(k)) {
            Some(entry) => Placed {
                session: entry.conversation.session().map(str::to_owned),
                unsure: {
                    entry.under_way += usize::from(self.passers_by);
                    if entry.doubtful {
                        Some("an answer of the server in this conversation was broken")
                    } else if self.passers_by && entry.under_way > 1 {
                        Some("another message of this conversation was under way")
                    } else {
                        None
                    }
                },
                judgements: {
                    proven.extend(entry.conversation.client_message(syntax, tree, now_ms));
                    proven
                },
                number: Some(entry.born),
                key,
            },
            // What it broke can be told, what it belongs to cannot: it must not end a session of another.
            None => Placed {
                key: None,
                number: None,
                judgements: Conversation::new(Role::Client).client_message(syntax, tree, now_ms),
                session: None,
                unsure: if doubts {
                    Some("an answer of the server to another message was broken")
                } else if self.passers_by {
                    Some("it may be of before this run")
                } else {
                    None
                },
            },
        }
    }

    /// The name of a conversation by its number; none when it was forgotten.
    pub fn name_of(&self, number: u64) -> Option<String> {
        let found = self.all.iter().find(|(_, e)| e.born == number);
        found.map(|(key, _)| key.clone())
    }

    /// An answer in this conversation was broken.
    pub fn doubt(&mut self, number: u64) {
        for entry in self.all.values_mut().filter(|e| e.born == number) {
            entry.doubtful = true;
        }
    }

    /// Follows what was answered; gives the name that the conversation has from now on.
    pub fn answered(&mut self, syntax: &Syntax, key: &str, sent: &Tree, answer: Option<&Tree>) -> String {
        let Some(mut entry) = self.all.remove(key) else {
            return key.to_owned();
        };
        entry.conversation.answered(syntax, sent, answer);
        entry.under_way = entry.under_way.saturating_sub(1);
        // From its login on a session speaks under its own name.
        let name = match entry.conversation.session() {
            Some(id) if key.starts_with("login:") => format!("session:{id}"),
            _ => key.to_owned(),
        };
        if self.current.as_deref() == Some(key) {
            self.current = Some(name.clone());
        }
        self.all.insert(name.clone(), entry);
        name
    }

    fn open(&mut self, key: &str, client: &str) {
        if self.all.contains_key(key) {
            return;
        }
        if self.all.len() >= MAX_CONVERSATIONS {
            let oldest = self
                .all
                .iter()
                .min_by_key(|(_, e)| e.born)
                .map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.all.remove(&oldest);
            }
        }
        self.born += 1;
        self.all.insert(
            key.to_owned(),
            Entry {
                conversation: Conversation::new(Role::Client),
                client: client.to_owned(),
                born: self.born,
                doubtful: false,
                under_way: 0,
            },
        );
    }

    /// The conversation of a message: that of its login, that of its session, or, for a session that was
    /// never given, the one whose login was refused and which goes on as if it was not.
    fn key_of(&mut self, tree: &Tree) -> Option<String> {
        if let Some(key) = login_key(tree) {
            return Some(key);
        }
        let session = first(tree, "SessionDescriptor/SessionID");
        if let Some(id) = &session {
            let key = format!("session:{id}");
            if self.all.contains_key(&key) {
                return Some(key);
            }
        }
        if self.alone {
            if self.current.is_none() {
                self.open("before any login", "");
                self.current = Some("before any login".to_owned());
            }
            return self.current.clone();
        }
        session?;
        if self.passers_by {
            // It may be one that the server gave before.
            return None;
        }
        self.all
            .iter()
            .filter(|(_, e)| e.conversation.was_refused())
            .max_by_key(|(_, e)| e.born)
            .map(|(key, _)| key.clone())
    }
}

/// Who logs in: user, client and cookie.
fn login_key(tree: &Tree) -> Option<String> {
    let request = Path::parse("Login-Request").ok()?.first(tree)?;
    let cookie = tree.child_text(request, "SessionCookie").unwrap_or_default();
    Some(format!("login:{} {cookie}", login_client(tree)))
}

fn login_client(tree: &Tree) -> String {
    client_of(tree, &first(tree, "Login-Request/UserID").unwrap_or_default())
}

/// User and ClientID of a login: which client it is, whatever the session.
pub fn client_of(tree: &Tree, user: &str) -> String {
    let part = |path: &str| first(tree, path).unwrap_or_default();
    format!(
        "{} {}{}",
        user.trim().to_ascii_lowercase(),
        part("ClientID/URL"),
        part("ClientID/MSISDN")
    )
}

/// The text of the first match, when there is one and it is not empty.
pub fn first(tree: &Tree, path: &str) -> Option<String> {
    let id = Path::parse(path).ok()?.first(tree)?;
    Some(tree.text(id).trim().to_owned()).filter(|t| !t.is_empty())
}
