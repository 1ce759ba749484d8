//! The steps of a case. The language is closed: what cannot be said with these is not said in a case.

use crate::base::ItemId;
use crate::codec::deviation::Edit;
use crate::message::Path;
use crate::spec::{Command, Role};

/// One step, with the line it was written on.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Server under test: send a request.
    Send {
        /// Primitives; several make one message with several transactions.
        primitives: Vec<String>,
        /// Session it is sent in, named after an account: `A`, or `A2` for a second session of A.
        lane: String,
        /// Changes.
        edits: Vec<Edit>,
    },
    /// Server under test: send these octets on a TCP connection of their own, whatever they are.
    Bytes(String),
    /// Server under test: what must come back to the last request of a lane.
    Expect {
        /// What.
        expected: Expected,
        /// Lane.
        lane: String,
        /// Charged item; the first of the case when none.
        item: Option<ItemId>,
        /// Further conditions.
        tests: Vec<Test>,
        /// Codes with a meaning of their own here.
        codes: Codes,
        /// How long the request is sent again until the conditions hold.
        patience: Patience,
    },
    /// Server under test: a request of the server must come to a lane, which polls for it.
    Receive {
        /// Which.
        wanted: Wanted,
        /// Charged item; the first of the case when none.
        item: Option<ItemId>,
        /// Further conditions.
        tests: Vec<Test>,
        /// What the lane answers.
        reply: Reply,
    },
    /// Server under test: no such request has come to a lane since the procedure began, nor does the next
    /// poll bring one.
    Nothing {
        /// Which.
        wanted: Wanted,
        /// Charged item; the first of the case when none.
        item: Option<ItemId>,
        /// Whether to wait for `timers.quiet` as well, where no later request proves the silence.
        window: bool,
    },
    /// Server under test: uses a CIR channel of a lane.
    Channel {
        /// What is done.
        action: ChannelAction,
        /// Lane.
        lane: String,
        /// Charged item; the first of the case when none.
        item: Option<ItemId>,
    },
    /// Client under test: the client opens its STCP channel, or asks at CIRURL.
    OnChannel {
        /// What.
        sign: ChannelSign,
        /// Charged item, if any.
        item: Option<ItemId>,
    },
    /// Client under test: tells the client that data waits, or something like it.
    SendChannel {
        /// Channel.
        channel: CirMethod,
        /// The text; that of a correct server when none. `$name` stands for a value.
        text: Option<String>,
    },
    /// Client under test: the station closes the STCP channel.
    CloseChannel,
    /// Client under test: make the client act, one command after the other.
    Stimulate(Vec<Command>),
    /// Client under test: wait for a message of the client.
    On {
        /// What.
        incoming: Incoming,
        /// Charged item; the first of the case when none.
        item: Option<ItemId>,
        /// Further conditions.
        tests: Vec<Test>,
    },
    /// Client under test: answer the message that the last `on` took, with changes of what a correct
    /// server would answer.
    Reply {
        /// Changes.
        edits: Vec<Edit>,
        /// Requests of the server that go with the answer.
        requests: Vec<String>,
        /// Answer with a Status of this code in place of the primitive.
        status: Option<u16>,
        /// CIR methods to agree on, as far as the client offers them.
        agree: Vec<CirMethod>,
    },
    /// Server under test, by SSP: what a node answers to the next requests of a kind.
    Prepare {
        /// Node.
        lane: String,
        /// The primitive.
        primitive: String,
        /// What it answers.
        reply: Reply,
        /// Changes of that.
        edits: Vec<Edit>,
    },
    /// Keeps a value of the last message for later conditions and edits.
    Keep {
        /// Name, used as `$name`.
        name: String,
        /// Where it stands.
        path: Path,
        /// Lane (server under test).
        lane: String,
    },
    /// Proves that the peer is alive and, where a silence is to be shown, that nothing more comes.
    Fence(Fence),
    /// Lets time go by; only for cases about time.
    Wait {
        /// How long.
        wait: Wait,
        /// Lane whose KeepAliveTime counts (server under test).
        lane: String,
    },
    /// Runs steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
}

/// A method of CIR that the suite knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CirMethod {
    /// Lines on a TCP connection of the client.
    Stcp,
    /// Datagrams to the client.
    Sudp,
    /// GET requests of the client (1.2).
    Shttp,
}

impl CirMethod {
    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            CirMethod::Stcp => "STCP",
            CirMethod::Sudp => "SUDP",
            CirMethod::Shttp => "SHTTP",
        }
    }

    /// The method of a word, as cases write it.
    pub fn parse(word: &str) -> Option<Self> {
        [CirMethod::Stcp, CirMethod::Sudp, CirMethod::Shttp]
            .into_iter()
            .find(|m| m.as_str().eq_ignore_ascii_case(word))
    }
}

/// What a client does with a CIR channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelSign {
    /// Opens STCP and says HELO.
    Opens,
    /// Does so once more.
    OpensAgain,
    /// Asks at CIRURL.
    Asks,
}

/// What a lane does with a CIR channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelAction {
    /// Listens for datagrams, before the port is offered.
    Listen,
    /// Opens STCP and says HELO.
    Open {
        /// What is said in place of HELO with the SessionID.
        hello: Option<String>,
        /// Whether the server has to close without OK.
        closed: bool,
    },
    /// Says PING.
    Ping,
    /// Closes STCP.
    Close,
    /// Waits for a CIR.
    Await(CirMethod),
    /// Asks at CIRURL, where nothing waits.
    AskInVain,
}

/// A request of the server under test.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// One of these primitives.
    pub primitives: Vec<String>,
    /// Session that gets it.
    pub lane: String,
    /// What tells it from others of its kind.
    pub matching: Vec<Condition>,
    /// For a silence: besides what other steps took.
    pub more: bool,
    /// How long it is waited for.
    pub patience: Patience,
}

/// What a lane answers to a request of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reply {
    /// What a correct client answers.
    #[default]
    Correct,
    /// Status with this code.
    Status(u16),
    /// Nothing.
    Nothing,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Milliseconds.
    Millis(u64),
    /// Six tenths of the KeepAliveTime in force.
    WithinKeepAlive,
    /// Longer than the KeepAliveTime in force: by half, and by at least ten seconds, since a server may
    /// look for dead sessions now and then.
    PastKeepAlive,
}

impl Wait {
    /// In milliseconds, with the KeepAliveTime in force in seconds.
    pub fn millis(self, keep_alive: u32) -> u64 {
        let time = u64::from(keep_alive) * 1000;
        match self {
            Wait::Millis(ms) => ms,
            Wait::WithinKeepAlive => time * 6 / 10,
            Wait::PastKeepAlive => time + (time / 2).max(10_000),
        }
    }
}

/// A fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Lane (server under test).
    pub lane: String,
    /// Item whose silence it proves.
    pub item: Option<ItemId>,
    /// Client under test: primitives that must not have come since the last `reply`.
    pub silent: Vec<String>,
    /// Client under test: the command whose message is the fence.
    pub command: Option<Command>,
}

/// Codes in an answer that mean more than the expectation says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// The peer says that it does not have this: the items become `na` unless claimed.
    pub decline: Vec<u16>,
    /// They fulfil the expectation as well, and end the case: nothing is left to be done.
    pub settled_by: Vec<u16>,
    /// They will do as well: the conditions are not asked, and the case goes on.
    pub excused_by: Vec<u16>,
}

/// For how long something is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patience {
    /// As long as an answer may take.
    #[default]
    Usual,
    /// As long as sessions may last that a killed run left open: the KeepAliveTime in force, at most
    /// `limits.longest_wait`.
    LeftSessions,
}

/// What a server must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// One of these primitives; success when it has a Result, unless a condition speaks of its code.
    Primitives(Vec<String>),
    /// Any refusal: a Result code of class 4 to 9, or HTTP 4xx or 5xx.
    Refusal,
    /// Any answer that is not silence.
    Answer,
    /// Any answer but one that calls the request invalid: 400, 402, or an error of HTTP.
    Taken,
    /// An empty body, or a message of server requests.
    Delivery,
    /// Anything but success: a refusal, or an empty body.
    NotServed,
}

/// What a client must send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// One of these primitives.
    pub primitives: Vec<String>,
    /// How many transactions with it, in one message or several.
    pub times: usize,
    /// It has to come before the KeepAliveTime in force is over.
    pub within_keep_alive: bool,
}

/// A condition with the item it is charged to.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Charged item; that of the step when none.
    pub item: Option<ItemId>,
    /// What.
    pub condition: Condition,
    /// Whether a peer for which it does not hold says by that that it does not have this.
    pub declines: bool,
}

/// Something that a message must fulfil.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The text of the first match is one of these.
    In(Path, Vec<String>),
    /// As `In`, or there is no match.
    InOrAbsent(Path, Vec<String>),
    /// The text of the first match is none of these.
    NotIn(Path, Vec<String>),
    /// So many matches.
    Count(Path, usize),
    /// At least one match.
    Present(Path),
    /// No match.
    Absent(Path),
    /// The text of the first match equals a kept value.
    SameAs(Path, String),
    /// The text of the first match differs from a kept value.
    DiffersFrom(Path, String),
    /// A result code of this class (the first digit).
    Class(Path, u16),
    /// One of the matches is this value; addresses compare without case and default domain.
    Includes(Path, String),
    /// None of the matches is this value.
    Excludes(Path, String),
    /// The digest of the client is right for the nonce that was sent and the password of the account.
    Digest(Path),
}

impl Step {
    /// The lanes that this step uses.
    pub fn lanes(&self, out: &mut Vec<String>) {
        let lane = match self {
            Step::Send { lane, .. }
            | Step::Expect { lane, .. }
            | Step::Keep { lane, .. }
            | Step::Channel { lane, .. }
            | Step::Prepare { lane, .. }
            | Step::Wait { lane, .. } => lane,
            Step::Fence(fence) => &fence.lane,
            Step::Receive { wanted, .. } | Step::Nothing { wanted, .. } => &wanted.lane,
            Step::Repeat { steps, .. } => {
                steps.iter().for_each(|s| s.lanes(out));
                return;
            }
            _ => return,
        };
        out.push(lane.clone());
    }

    /// The side that must be under test for this step, if it is for one alone.
    pub fn side(&self) -> Option<Role> {
        match self {
            Step::Send { .. }
            | Step::Bytes(_)
            | Step::Expect { .. }
            | Step::Receive { .. }
            | Step::Channel { .. }
            | Step::Nothing { .. } => Some(Role::Server),
            Step::Prepare { .. } => Some(Role::Ssp),
            Step::Stimulate(_)
            | Step::On { .. }
            | Step::OnChannel { .. }
            | Step::SendChannel { .. }
            | Step::CloseChannel
            | Step::Reply { .. } => Some(Role::Client),
            Step::Repeat { steps, .. } => steps.iter().find_map(Step::side),
            Step::Keep { .. } | Step::Fence(_) | Step::Wait { .. } => None,
        }
    }

    /// The items that this step may charge.
    pub fn items<'a>(&'a self, out: &mut Vec<&'a ItemId>) {
        match self {
            Step::Expect { item, tests, .. }
            | Step::Receive { item, tests, .. }
            | Step::On { item, tests, .. } => {
                out.extend(item);
                out.extend(tests.iter().filter_map(|t| t.item.as_ref()));
            }
            Step::Fence(fence) => out.extend(&fence.item),
            Step::Nothing { item, .. } | Step::Channel { item, .. } | Step::OnChannel { item, .. } => {
                out.extend(item);
            }
            Step::Repeat { steps, .. } => steps.iter().for_each(|s| s.items(out)),
            _ => {}
        }
    }
}

/// Whether a lane is a node: the server of a peer domain.
pub fn is_node(lane: &str) -> bool {
    matches!(lane, "N" | "M")
}

/// The account of a lane: its name without the trailing number.
pub fn account_of(lane: &str) -> &str {
    lane.trim_end_matches(|c: char| c.is_ascii_digit())
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Primitives(names) => f.write_str(&names.join(" or ")),
            Expected::Refusal => f.write_str("a refusal"),
            Expected::Answer => f.write_str("an answer"),
            Expected::Taken => f.write_str("an answer that does not call it invalid"),
            Expected::NotServed => f.write_str("a refusal or an empty body"),
            Expected::Delivery => f.write_str("an empty body or server requests"),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Condition::In(path, values) if values.len() == 1 => write!(f, "{path} is {}", values[0]),
            Condition::In(path, values) => write!(f, "{path} is one of {}", values.join(", ")),
            Condition::InOrAbsent(path, values) => {
                let shown: Vec<&str> = values
                    .iter()
                    .map(|v| if v.is_empty() { "empty" } else { v })
                    .collect();
                write!(f, "{path} is {} or absent", shown.join(", "))
            }
            Condition::NotIn(path, values) => write!(f, "{path} is none of {}", values.join(", ")),
            Condition::Count(path, n) => write!(f, "{path} stands {n} times"),
            Condition::Present(path) => write!(f, "{path} is present"),
            Condition::Absent(path) => write!(f, "{path} is absent"),
            Condition::SameAs(path, name) => write!(f, "{path} equals ${name}"),
            Condition::DiffersFrom(path, name) => write!(f, "{path} differs from ${name}"),
            Condition::Class(path, class) => write!(f, "{path} is of class {class}xx"),
            Condition::Includes(path, value) => write!(f, "{path} includes {value}"),
            Condition::Excludes(path, value) => write!(f, "{path} does not include {value}"),
            Condition::Digest(path) => write!(f, "{path} is the right digest"),
        }
    }
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.condition, Charged(self.item.as_ref()))?;
        if self.declines {
            f.write_str("; else it declines")?;
        }
        Ok(())
    }
}

/// A step in words: a first line, then a line for each edit, condition or inner step.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Send {
                primitives,
                lane,
                edits,
            } => {
                write!(f, "{lane} sends {}", primitives.join(" with "))?;
                edit_lines(f, edits)
            }
            Step::Prepare {
                lane,
                primitive,
                reply,
                edits,
            } => {
                let how = match reply {
                    Reply::Correct => "as a correct server does".to_owned(),
                    Reply::Status(code) => format!("by Status {code}"),
                    Reply::Nothing => "by nothing".to_owned(),
                };
                write!(f, "{lane} will answer {primitive} {how}")?;
                edit_lines(f, edits)
            }
            Step::Expect {
                expected,
                lane,
                item,
                tests,
                codes,
                patience,
            } => {
                write!(f, "{lane} gets {expected}{}", Charged(item.as_ref()))?;
                lines(f, tests)?;
                if *patience == Patience::LeftSessions {
                    f.write_str("\n- asked again while sessions of a killed run may be open")?;
                }
                let listed = |codes: &[u16]| codes.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                if !codes.settled_by.is_empty() {
                    write!(
                        f,
                        "\n- {} fulfils it too, and ends the case",
                        listed(&codes.settled_by)
                    )?;
                }
                if !codes.excused_by.is_empty() {
                    write!(f, "\n- {} will do as well", listed(&codes.excused_by))?;
                }
                if !codes.decline.is_empty() {
                    write!(f, "\n- the peer may decline with {}", listed(&codes.decline))?;
                }
                Ok(())
            }
            Step::Receive {
                wanted,
                item,
                tests,
                reply,
            } => {
                write!(f, "{wanted} comes{}", Charged(item.as_ref()))?;
                lines(f, tests)?;
                match reply {
                    Reply::Correct => Ok(()),
                    Reply::Status(code) => write!(f, "\n- answered with Status {code}"),
                    Reply::Nothing => f.write_str("\n- not answered"),
                }
            }
            Step::Nothing { wanted, item, window } => {
                write!(f, "no {wanted} has come{}", Charged(item.as_ref()))?;
                if *window {
                    f.write_str(", nor comes within timers.quiet")?;
                }
                Ok(())
            }
            Step::Channel { action, lane, item } => write!(f, "{lane} {action}{}", Charged(item.as_ref())),
            Step::OnChannel { sign, item } => write!(f, "the client {sign}{}", Charged(item.as_ref())),
            Step::SendChannel { channel, text } => {
                let text = text.as_deref().unwrap_or("the text of a CIR");
                write!(f, "send by {}: {}", channel.as_str(), text.trim_end())
            }
            Step::CloseChannel => f.write_str("close the STCP channel"),
            Step::Stimulate(commands) => {
                let commands: Vec<&str> = commands.iter().map(|c| c.as_str()).collect();
                write!(f, "make the client act: {}", commands.join(", then "))
            }
            Step::On {
                incoming,
                item,
                tests,
            } => {
                write!(f, "the client sends {}", incoming.primitives.join(" or "))?;
                if incoming.times > 1 {
                    write!(f, ", {} times", incoming.times)?;
                }
                if incoming.within_keep_alive {
                    f.write_str(", before KeepAliveTime is over")?;
                }
                write!(f, "{}", Charged(item.as_ref()))?;
                lines(f, tests)
            }
            Step::Reply {
                edits,
                requests,
                status,
                agree,
            } => {
                match status {
                    Some(code) => write!(f, "answer with Status {code}")?,
                    None => f.write_str("answer as a correct server does")?,
                }
                if !requests.is_empty() {
                    write!(f, ", with {}", requests.join(" and "))?;
                }
                if !agree.is_empty() {
                    let methods: Vec<&str> = agree.iter().map(|m| m.as_str()).collect();
                    write!(
                        f,
                        ", agreeing on {} if the client offers it",
                        methods.join(" and ")
                    )?;
                }
                edit_lines(f, edits)
            }
            Step::Keep { name, path, .. } => write!(f, "keep {path} as ${name}"),
            Step::Fence(fence) => write!(f, "{fence}"),
            Step::Bytes(octets) => write!(f, "send the octets {octets:?} on a connection of their own"),
            Step::Wait { wait, lane } => match wait {
                Wait::Millis(ms) => write!(f, "wait {ms} ms"),
                Wait::WithinKeepAlive => write!(f, "wait for six tenths of the KeepAliveTime of {lane}"),
                Wait::PastKeepAlive => write!(f, "wait for longer than the KeepAliveTime of {lane}"),
            },
            Step::Repeat { times, steps } => {
                write!(f, "{times} times:")?;
                steps.iter().try_for_each(|step| {
                    step.to_string()
                        .lines()
                        .try_for_each(|line| write!(f, "\n  {line}"))
                })
            }
        }
    }
}

impl std::fmt::Display for ChannelSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ChannelSign::Opens => "opens its STCP channel",
            ChannelSign::OpensAgain => "opens its STCP channel again",
            ChannelSign::Asks => "asks at CIRURL",
        })
    }
}

impl std::fmt::Display for ChannelAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChannelAction::Listen => f.write_str("listens for datagrams"),
            ChannelAction::Open { hello, closed } => {
                let hello = hello.as_deref().unwrap_or("HELO and its SessionID");
                write!(f, "opens the STCP channel that was agreed and says {hello}: ")?;
                f.write_str(if *closed { "it is closed" } else { "OK comes" })
            }
            ChannelAction::Ping => f.write_str("says PING on its STCP channel: OK comes"),
            ChannelAction::Close => f.write_str("closes its STCP channel"),
            ChannelAction::Await(method) => write!(f, "is told by {} that data waits", method.as_str()),
            ChannelAction::AskInVain => f.write_str("asks at CIRURL: nothing waits"),
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.primitives.join(" or "), self.lane)?;
        let conditions: Vec<String> = self.matching.iter().map(Condition::to_string).collect();
        if !conditions.is_empty() {
            write!(f, " where {}", conditions.join(" and "))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.command {
            None => write!(f, "{} is still served: keep-alive", self.lane)?,
            Some(command) => write!(f, "the client still acts: {}", command.as_str())?,
        }
        if !self.silent.is_empty() {
            write!(f, ", and has sent no {} before", self.silent.join(", "))?;
        }
        write!(f, "{}", Charged(self.item.as_ref()))
    }
}

/// The item behind a step or condition that names one.
struct Charged<'a>(Option<&'a ItemId>);

impl std::fmt::Display for Charged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(item) => write!(f, " [{item}]"),
            None => Ok(()),
        }
    }
}

fn lines<T: std::fmt::Display>(f: &mut std::fmt::Formatter<'_>, list: &[T]) -> std::fmt::Result {
    list.iter().try_for_each(|entry| write!(f, "\n- {entry}"))
}

fn edit_lines(f: &mut std::fmt::Formatter<'_>, edits: &[Edit]) -> std::fmt::Result {
    edits.iter().try_for_each(|edit| write!(f, "\n- changed: {edit}"))
}
