//! A person at the device: each order is a line of text, each answer a word and Enter.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use crate::base::limits::MAX_DRIVER_LINES;
use crate::spec::Command;

use super::driver::{Ack, Order, Settings};

/// The way to a person: where text is shown, and the lines that come back.
pub struct Console {
    say: Box<dyn Fn(&str) + Send + Sync>,
    answers: Mutex<mpsc::Receiver<String>>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// A console that shows text by `say` and reads lines from `answers`; the end of `answers` skips
    /// everything that is still to be asked.
    pub fn new(say: impl Fn(&str) + Send + Sync + 'static, answers: mpsc::Receiver<String>) -> Self {
        Self {
            say: Box::new(say),
            answers: Mutex::new(answers),
        }
    }

    /// Shows a line.
    pub fn say(&self, text: &str) {
        (self.say)(text);
    }
}

/// A person who is asked for one thing after the other.
#[derive(Debug)]
pub struct Person {
    console: Arc<Console>,
    limit: Duration,
    settings: Option<Settings>,
    /// Whether anybody may log in with any password.
    anybody: bool,
    asked: usize,
    until: Option<Instant>,
    gone: bool,
}

impl Person {
    /// Nobody was asked anything yet. `limit`: longest time for one answer.
    pub fn new(console: Arc<Console>, limit: Duration, anybody: bool) -> Self {
        Self {
            console,
            limit,
            settings: None,
            anybody,
            asked: 0,
            until: None,
            gone: false,
        }
    }

    /// How many prompts there were.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Shows something that asks for nothing.
    pub fn tell(&self, text: &str) {
        self.console.say(text);
    }

    pub(super) fn begin(&mut self, order: &Order) {
        let text = match order {
            Order::Act(Command::Idle) => {
                self.tell("Leave the client alone: it should keep its session alive by itself");
                return;
            }
            Order::Configure(settings) => {
                self.settings = Some(settings.clone());
                return;
            }
            Order::Reset => "Log out, if logged in, and leave the client logged out".to_owned(),
            Order::Act(command) => self.words(*command),
        };
        if self.gone {
            return;
        }
        self.asked += 1;
        self.console.say(&format!(
            "[{}] {text}. Then answer: done, skip or cannot",
            self.asked
        ));
        self.until = Some(Instant::now() + self.limit);
    }

    fn words(&self, command: Command) -> String {
        let (user, url) = match &self.settings {
            Some(s) => (s.credentials.user.as_str(), s.url.as_str()),
            None => ("", ""),
        };
        let who = match self.anybody {
            true => "with any user and password".to_owned(),
            false => format!("as {user} with its password"),
        };
        match command {
            Command::Login => format!("Log in {who} at {url}"),
            Command::LoginDigest => {
                format!("Log in {who} at {url}, with the password as a digest (4-way login)")
            }
            Command::Logout => "Log out".to_owned(),
            Command::Idle => "Leave the client alone".to_owned(),
            Command::KeepAlive => {
                "Make the client send a keep-alive, if there is a way to; it did not by itself".to_owned()
            }
            Command::Poll => {
                "Make the client ask the server for news (refresh), if there is a way to; it did not by itself"
                    .to_owned()
            }
            other => format!("{}, if there is a way to", self.objects(other.about())),
        }
    }

    /// Names who and what a sentence is about.
    fn objects(&self, about: &str) -> String {
        let Some(settings) = &self.settings else {
            return about.to_owned();
        };
        let names = settings.names();
        about
            .replace("the other user", &format!("the other user ({})", names.peer))
            .replace("the group", &format!("the group ({})", names.group()))
            .replace("that contact list", &format!("the contact list {}", names.list()))
            .replace("a contact list", &format!("a contact list ({})", names.list()))
    }

    pub(super) async fn ack(&mut self) -> Ack {
        let gone = || Ack::Dead("standard input ended: what was still to be asked is skipped".to_owned());
        if self.gone {
            return gone();
        }
        let Some(until) = self.until else {
            return Ack::Done;
        };
        let console = Arc::clone(&self.console);
        let mut answers = console.answers.lock().await;
        let mut noise = 0;
        let ack = loop {
            if noise > MAX_DRIVER_LINES {
                self.gone = true;
                break Ack::Dead(format!(
                    "more than {MAX_DRIVER_LINES} lines (MAX_DRIVER_LINES) that are no answer: nobody is there"
                ));
            }
            noise += 1;
            let Ok(line) = tokio::time::timeout_at(until, answers.recv()).await else {
                break Ack::Failed(format!("nobody answered within {:?} (timers.person)", self.limit));
            };
            let Some(line) = line else {
                self.gone = true;
                break gone();
            };
            match line.trim_start().chars().next().map(|c| c.to_ascii_lowercase()) {
                Some('d') => break Ack::Done,
                Some('s') => break Ack::Failed("the person skipped this".to_owned()),
                Some('c') => {
                    break Ack::Unsupported("the person says that this client cannot do it".to_owned());
                }
                _ => self
                    .console
                    .say("please answer: done, skip or cannot (the first letter does)"),
            }
        };
        self.until = None;
        ack
    }
}
