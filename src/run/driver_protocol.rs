//! `imps-scr/driver/1`: what the suite and a driver process say to each other, one JSON object a line.
//! The suite writes to the driver's standard input and reads its standard output. `cases/DRIVERS.md`
//! is the guide for people who write drivers, `cases/driver.schema.json` a committed copy of the schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Command, Version};

/// The protocol and its major version.
pub const PROTOCOL: &str = "imps-scr/driver/1";

/// What the suite says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToDriver {
    /// First line: which protocol is spoken.
    Hello {
        /// `imps-scr/driver/1`.
        protocol: String,
    },
    /// Something to do. It is answered by `done` with the same `id`; the next one comes only then.
    Do {
        /// Number of this order, never used twice in one process.
        id: u64,
        /// The word.
        command: Word,
        /// Which client; always 1 in this version of the protocol.
        instance: u32,
        /// With `configure`: where the server is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// With `configure`: the version of CSP to speak, `1.1` or `1.2`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        csp: Option<Version>,
        /// With `configure`: the user to log in as.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// With `configure`: the password of the user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        /// With `configure`: ClientID/URL to use, where the client can choose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        /// With `configure`: the other user, whom searches, messages, invitations and lists are about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// With `configure`: the group that group commands are about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// With `configure`: the contact list that list commands are about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<String>,
    },
    /// Last line: the run is over. The driver ends; it is killed a second later.
    Bye {},
}

/// The words of a driver: two of its own, and what a user may ask a client to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Take these settings for the next login.
    Configure,
    /// Become a client that was just started: not logged in.
    Reset,
    /// What a user asks for.
    #[serde(untagged)]
    Act(Command),
}

impl Word {
    /// What it asks the client to do; none for the two words about the client itself.
    pub fn command(self) -> Option<Command> {
        match self {
            Word::Act(command) => Some(command),
            Word::Configure | Word::Reset => None,
        }
    }
}

/// What a driver says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromDriver {
    /// Answer to `hello`.
    Hello {
        /// The protocol that the driver speaks.
        protocol: String,
        /// What it drives, for reports.
        name: String,
        /// Words that it knows, besides `configure` and `reset`. Unknown ones are ignored.
        commands: Vec<String>,
        /// How many clients it can run at one time.
        #[serde(default = "one")]
        instances: u32,
    },
    /// Answer to `do`.
    Done {
        /// The `id` of the order.
        id: u64,
        /// How it went.
        result: DoneResult,
        /// Why not.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// Something that happened by itself, at any time. It is noted and proves nothing.
    Event {
        /// What, such as `message-shown`.
        event: String,
    },
}

fn one() -> u32 {
    1
}

/// How an order went. It says what the driver did, not what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DoneResult {
    /// The user's action was carried out.
    Ok,
    /// This client or this driver has no such action.
    Unsupported,
    /// It could not be carried out now.
    Failed,
}

/// Everything of the protocol, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Line {
    /// A line of the suite.
    Suite(ToDriver),
    /// A line of the driver.
    Driver(FromDriver),
}

/// The JSON schema of a line.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Line);
    schema.insert("title".to_owned(), format!("a line of {PROTOCOL}").into());
    // Only a map key that is no string, or a failing writer, could make this an error.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A line with its end.
pub fn line(message: &impl Serialize) -> String {
    let mut text = serde_json::to_string(message).unwrap_or_default();
    text.push('\n');
    text
}

/// Whether a driver of this protocol can be spoken to: the same name and major version.
///
/// # Errors
/// What is wrong, in words.
pub fn accepts(protocol: &str) -> Result<(), String> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    let shown = crate::base::escape::shorten(protocol, 60);
    Err(format!(
        "the driver speaks `{shown}`, this version of the suite speaks {PROTOCOL}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_word_of_the_same_spelling() {
        for command in Command::ALL {
            let word = format!("\"{}\"", command.as_str());
            let read: Word = serde_json::from_str(&word).unwrap();
            assert_eq!(read.command(), Some(*command));
            assert_eq!(serde_json::to_string(&read).unwrap(), word);
        }
        assert_eq!(serde_json::from_str::<Word>("\"reset\"").unwrap(), Word::Reset);
    }

    #[test]
    fn lines_read_as_the_guide_prints_them() {
        let order = ToDriver::Do {
            id: 2,
            command: Word::Act(Command::KeepAlive),
            instance: 1,
            url: None,
            csp: None,
            user: None,
            password: None,
            client_id: None,
            peer: None,
            group: None,
            list: None,
        };
        assert_eq!(
            line(&order),
            "{\"type\":\"do\",\"id\":2,\"command\":\"keep-alive\",\"instance\":1}\n"
        );
        assert_eq!(line(&ToDriver::Bye {}), "{\"type\":\"bye\"}\n");
        let back: ToDriver = serde_json::from_str(&line(&order)).unwrap();
        assert_eq!(back, order);
        let done: FromDriver =
            serde_json::from_str("{\"type\":\"done\",\"id\":2,\"result\":\"ok\",\"more\":1}").unwrap();
        assert_eq!(
            done,
            FromDriver::Done {
                id: 2,
                result: DoneResult::Ok,
                reason: String::new()
            }
        );
        assert!(serde_json::from_str::<FromDriver>("{\"type\":\"other\"}").is_err());
        assert!(accepts("imps-scr/driver/2").is_err());
    }
}
