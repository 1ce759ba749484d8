//! A driver process: a program of the vendor that makes the client act, spoken to by `imps-scr/driver/1`.
//! It may do anything: hang, flood, write garbage, die. Each ends in a reason, none in a wait without end.

use std::collections::{BTreeSet, VecDeque};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::base::escape::{plain, shorten};
use crate::base::limits::{MAX_DRIVER_LINE, MAX_DRIVER_LINES};

use crate::spec::Command;

use super::driver::{Ack, Order};
use super::driver_protocol::{self as protocol, DoneResult, FromDriver, ToDriver, Word};

/// How a driver is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverCommand {
    /// Program and arguments; no shell sees them.
    pub words: Vec<String>,
    /// Longest time for one order.
    pub limit: Duration,
    /// Whether its standard error is told as notices.
    pub tell_errors: bool,
}

impl DriverCommand {
    /// Splits a command line as a shell splits words; nothing is expanded.
    ///
    /// # Errors
    /// It is empty, or a quote is not closed.
    pub fn split(text: &str) -> Result<Vec<String>, String> {
        match shlex::split(text) {
            None => Err("the command of the driver has a quote that is not closed".to_owned()),
            Some(words) if words.is_empty() => Err("the command of the driver is empty".to_owned()),
            Some(words) => Ok(words),
        }
    }
}

/// Times that a driver which died is started again.
const MAX_RESTARTS: u8 = 2;
/// How long a driver has to end by itself after `bye`.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long its exit status is waited for once its output ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How much longer `idle` may take: a case grants a KeepAliveTime of some twenty seconds.
const IDLE: Duration = Duration::from_secs(30);
/// Lines of its standard error that are kept until somebody asks.
const KEPT_ERRORS: usize = 50;
/// How many of them explain why it died.
const LAST_ERRORS: usize = 5;
/// Most notices between two cases; the rest are counted.
const MAX_NOTICES: usize = 50;
/// Lines that wait to be read; beyond that the driver waits.
const QUEUE: usize = 64;

/// One piece of its output.
#[derive(Debug)]
enum Heard {
    Line(String),
    TooLong,
    InputClosed,
    End,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    word: Word,
    until: Instant,
    /// Lines since the order that were no answer.
    noise: usize,
    /// Whether it cannot hear any more. What it still has to say is waited for, but not for long.
    deaf: bool,
}

/// A driver that runs.
#[derive(Debug)]
pub struct DriverProcess {
    how: DriverCommand,
    running: Option<Running>,
    pending: Option<Pending>,
    /// An answer that is known without asking.
    known: Option<Ack>,
    next_id: u64,
    restarts: u8,
    notices: Vec<String>,
    unsaid: usize,
}

#[derive(Debug)]
struct Running {
    child: Child,
    group: Option<u32>,
    input: mpsc::UnboundedSender<String>,
    output: mpsc::Receiver<Heard>,
    errors: Arc<Mutex<VecDeque<String>>>,
    name: String,
    commands: BTreeSet<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// Kills it and what it started: they are one process group.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self
            .group
            .take()
            .and_then(|g| i32::try_from(g).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            // It may be gone already.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        self.group = None;
        let _ = self.child.start_kill();
    }
}

impl DriverProcess {
    /// Starts the program and exchanges `hello`.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub async fn start(how: DriverCommand) -> Result<Self, String> {
        let mut driver = Self {
            how,
            running: None,
            pending: None,
            known: None,
            next_id: 0,
            restarts: 0,
            notices: Vec::new(),
            unsaid: 0,
        };
        driver.spawn().await?;
        Ok(driver)
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        self.running.as_ref().map_or("", |r| r.name.as_str())
    }

    /// Starts one that died again, at most twice in a run.
    ///
    /// # Errors
    /// It died too often, or does not start.
    pub async fn restart(&mut self) -> Result<(), String> {
        if self.restarts >= MAX_RESTARTS {
            return Err(format!("it died {} times", MAX_RESTARTS + 1));
        }
        self.restarts += 1;
        self.spawn().await
    }

    async fn spawn(&mut self) -> Result<(), String> {
        let Some((program, arguments)) = self.how.words.split_first() else {
            return Err("the command of the driver is empty".to_owned());
        };
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command
            .spawn()
            .map_err(|e| format!("`{}` cannot be started: {e}", plain(program)))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("its input and output cannot be reached".to_owned());
        };
        let (sender, output) = mpsc::channel(QUEUE);
        let (input, lines) = mpsc::unbounded_channel();
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        tokio::spawn(write_lines(stdin, lines, sender.clone()));
        tokio::spawn(read_lines(stdout, sender));
        tokio::spawn(keep_errors(stderr, Arc::clone(&errors)));
        let group = child.id();
        self.running = Some(Running {
            child,
            group,
            input,
            output,
            errors,
            name: String::new(),
            commands: BTreeSet::new(),
        });
        let hello = ToDriver::Hello {
            protocol: protocol::PROTOCOL.to_owned(),
        };
        self.say(&hello);
        let answered = tokio::time::timeout(self.how.limit, self.hello()).await;
        let result =
            answered.unwrap_or_else(|_| Err(format!("it did not say hello within {:?}", self.how.limit)));
        if result.is_err() {
            self.running = None;
        }
        result
    }

    async fn hello(&mut self) -> Result<(), String> {
        let mut deaf = false;
        let heard = loop {
            let Some(running) = self.running.as_mut() else {
                break None;
            };
            let heard = match deaf {
                false => running.output.recv().await,
                // What it still has to say explains more than that it does not listen.
                true => match tokio::time::timeout(LAST_WORDS, running.output.recv()).await {
                    Ok(heard) => heard,
                    Err(_) => break Some(Heard::InputClosed),
                },
            };
            match heard {
                Some(Heard::InputClosed) => deaf = true,
                heard => break heard,
            }
        };
        let message = match heard {
            Some(Heard::Line(text)) => parse(&text)?,
            other => return Err(self.obituary(other.as_ref()).await),
        };
        let FromDriver::Hello {
            protocol,
            name,
            commands,
            ..
        } = message
        else {
            return Err("it did not begin with hello".to_owned());
        };
        protocol::accepts(&protocol)?;
        if let Some(running) = self.running.as_mut() {
            running.name = shorten(&name, 80).into_owned();
            running.commands = commands.into_iter().take(MAX_DRIVER_LINES).collect();
        }
        Ok(())
    }

    fn say(&mut self, message: &ToDriver) {
        if let Some(running) = &self.running {
            // A closed input is heard of by the other channel.
            let _ = running.input.send(protocol::line(message));
        }
    }

    /// Begins an order; the answer is awaited by [`DriverProcess::ack`].
    pub(super) fn begin(&mut self, order: &Order) {
        let word = match order {
            Order::Configure(_) => Word::Configure,
            Order::Reset => Word::Reset,
            Order::Act(command) => Word::Act(*command),
        };
        let Some(running) = &self.running else {
            self.known = Some(Ack::Dead("the driver is gone".to_owned()));
            return;
        };
        if let Order::Act(command) = order
            && !running.commands.contains(command.as_str())
        {
            if *command == Command::Idle {
                // Nothing has to be done by hand: what the client does by itself is waited for.
                self.known = Some(Ack::Done);
                return;
            }
            let text = format!("the driver does not know the command `{}`", command.as_str());
            self.known = Some(Ack::Unsupported(text));
            return;
        }
        self.next_id += 1;
        let id = self.next_id;
        let settings = match order {
            Order::Configure(settings) => Some(settings),
            _ => None,
        };
        let message = ToDriver::Do {
            id,
            command: word,
            instance: 1,
            url: settings.map(|s| s.url.clone()),
            csp: settings.map(|s| s.version),
            user: settings.map(|s| s.credentials.user.clone()),
            password: settings.map(|s| s.credentials.password.clone()),
            client_id: settings.map(|s| s.client_id.clone()),
            peer: settings.map(|s| s.names().peer),
            group: settings.map(|s| s.names().group()),
            list: settings.map(|s| s.names().list()),
        };
        // That it closed its input may have been heard of before this order.
        let deaf = running.input.is_closed();
        let limit = match word {
            _ if deaf => LAST_WORDS,
            Word::Act(Command::Idle) => self.how.limit + IDLE,
            _ => self.how.limit,
        };
        self.pending = Some(Pending {
            id,
            word,
            until: Instant::now() + limit,
            noise: 0,
            deaf,
        });
        self.say(&message);
    }

    /// How the order went.
    pub(super) async fn ack(&mut self) -> Ack {
        if let Some(ack) = self.known.take() {
            return ack;
        }
        let ack = loop {
            let (Some(pending), Some(running)) = (self.pending.as_mut(), self.running.as_mut()) else {
                break Ack::Dead("the driver is gone".to_owned());
            };
            pending.noise += 1;
            if pending.noise > MAX_DRIVER_LINES {
                break Ack::Dead(format!(
                    "the driver wrote more than MAX_DRIVER_LINES = {MAX_DRIVER_LINES} lines and did not answer `{}`",
                    spelled(pending.word)
                ));
            }
            let (id, word) = (pending.id, pending.word);
            let heard = tokio::select! {
                heard = running.output.recv() => heard,
                () = tokio::time::sleep_until(pending.until) => {
                    if pending.deaf {
                        break Ack::Dead(self.obituary(Some(&Heard::InputClosed)).await);
                    }
                    break Ack::Dead(format!(
                        "the driver did not answer `{}` within {:?} (timers.command)",
                        spelled(word),
                        self.how.limit
                    ));
                }
            };
            if matches!(heard, Some(Heard::InputClosed)) {
                pending.deaf = true;
                pending.until = pending.until.min(Instant::now() + LAST_WORDS);
                continue;
            }
            let Some(Heard::Line(text)) = heard else {
                break Ack::Dead(self.obituary(heard.as_ref()).await);
            };
            match parse(&text) {
                Err(why) => break Ack::Dead(format!("the driver {why}")),
                Ok(FromDriver::Event { event }) => self.note(format!("driver: {}", shorten(&event, 200))),
                Ok(FromDriver::Hello { .. }) => {
                    break Ack::Dead("the driver said hello in the middle of a run".to_owned());
                }
                Ok(FromDriver::Done { id: other, .. }) if other != id => {
                    break Ack::Dead(format!(
                        "the driver answered order {other} when order {id} (`{}`) was under way",
                        spelled(word)
                    ));
                }
                Ok(FromDriver::Done { result, reason, .. }) => break answer(result, word, &reason),
            }
        };
        self.pending = None;
        if matches!(ack, Ack::Dead(_)) {
            self.running = None;
        }
        ack
    }

    /// What happened and what its standard error said since the last time.
    pub(super) fn notices(&mut self) -> Vec<String> {
        while let Some(Ok(heard)) = self
            .running
            .as_mut()
            .filter(|_| self.pending.is_none())
            .map(|r| r.output.try_recv())
        {
            match heard {
                Heard::Line(text) => match parse(&text) {
                    Ok(FromDriver::Event { event }) => {
                        self.note(format!("driver: {}", shorten(&event, 200)));
                    }
                    _ => self.note(format!("driver: an unexpected line: {}", shorten(&text, 80))),
                },
                // The next order finds out and says why.
                Heard::TooLong | Heard::InputClosed => {}
                Heard::End => break,
            }
            if self.unsaid > MAX_DRIVER_LINES {
                break;
            }
        }
        if self.how.tell_errors {
            let lines: Vec<String> = self
                .running
                .as_ref()
                .map(|r| lock(&r.errors).drain(..).collect())
                .unwrap_or_default();
            for line in lines {
                self.note(format!("driver's standard error: {line}"));
            }
        }
        let mut notices = std::mem::take(&mut self.notices);
        if self.unsaid > 0 {
            notices.push(format!("driver: {} more notices are left out", self.unsaid));
            self.unsaid = 0;
        }
        notices
    }

    fn note(&mut self, text: String) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(text);
        } else {
            self.unsaid += 1;
        }
    }

    /// Why there is no more output.
    async fn obituary(&mut self, heard: Option<&Heard>) -> String {
        let Some(running) = self.running.as_mut() else {
            return "the driver is gone".to_owned();
        };
        if matches!(heard, Some(Heard::TooLong)) {
            return format!("the driver wrote a line longer than MAX_DRIVER_LINE = {MAX_DRIVER_LINE} octets");
        }
        let mut text = match tokio::time::timeout(LAST_WORDS, running.child.wait()).await {
            Ok(Ok(status)) => format!("the driver ended ({status})"),
            _ if matches!(heard, Some(Heard::InputClosed)) => {
                "the driver closed its standard input".to_owned()
            }
            _ => "the driver closed its standard output".to_owned(),
        };
        let errors = lock(&running.errors);
        if !errors.is_empty() {
            let skipped = errors.len().saturating_sub(LAST_ERRORS);
            let lines: Vec<&str> = errors.iter().skip(skipped).map(String::as_str).collect();
            text.push_str("; its last words: ");
            text.push_str(&lines.join(" / "));
        }
        text
    }

    /// Says goodbye and ends the process, whether it listens or not.
    pub async fn end(mut self) {
        self.say(&ToDriver::Bye {});
        if let Some(mut running) = self.running.take() {
            // Dropping the sender closes its standard input once the line is written.
            let (closed, _) = mpsc::unbounded_channel();
            running.input = closed;
            let _ = tokio::time::timeout(FAREWELL, running.child.wait()).await;
            running.kill();
            let _ = tokio::time::timeout(LAST_WORDS, running.child.wait()).await;
        }
    }
}

fn answer(result: DoneResult, word: Word, reason: &str) -> Ack {
    let shown = shorten(reason, 200);
    let with = |text: String| match reason.is_empty() {
        true => text,
        false => format!("{text}: {shown}"),
    };
    let word = spelled(word);
    match result {
        DoneResult::Ok => Ack::Done,
        DoneResult::Unsupported => {
            Ack::Unsupported(with(format!("the driver says that `{word}` is not supported")))
        }
        DoneResult::Failed => Ack::Failed(with(format!("the driver could not carry out `{word}`"))),
    }
}

fn spelled(word: Word) -> String {
    match word.command() {
        Some(command) => command.as_str().to_owned(),
        None if word == Word::Reset => "reset".to_owned(),
        None => "configure".to_owned(),
    }
}

fn parse(text: &str) -> Result<FromDriver, String> {
    serde_json::from_str(text).map_err(|e| {
        format!(
            "wrote a line that is no message of the protocol ({e}): `{}`",
            shorten(&plain(text), 80)
        )
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves at worst a line too few.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_lines(
    mut stdin: ChildStdin,
    mut lines: mpsc::UnboundedReceiver<String>,
    sender: mpsc::Sender<Heard>,
) {
    while let Some(line) = lines.recv().await {
        let written = async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            // Who hears of it finds the channel closed.
            drop(lines);
            let _ = sender.send(Heard::InputClosed).await;
            return;
        }
    }
}

async fn read_lines(stdout: impl AsyncRead + Unpin, sender: mpsc::Sender<Heard>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let heard = match next_line(&mut reader).await {
            Some(Ok(text)) if text.trim().is_empty() => continue,
            Some(Ok(text)) => Heard::Line(text),
            Some(Err(())) => Heard::TooLong,
            None => Heard::End,
        };
        let last = !matches!(heard, Heard::Line(_));
        if sender.send(heard).await.is_err() || last {
            return;
        }
    }
}

async fn keep_errors(stderr: impl AsyncRead + Unpin, kept: Arc<Mutex<VecDeque<String>>>) {
    let mut reader = BufReader::new(stderr);
    while let Some(line) = next_line(&mut reader).await {
        // The rest of a line that is too long comes as the next one.
        let Ok(text) = line else { continue };
        let mut kept = lock(&kept);
        if kept.len() >= KEPT_ERRORS {
            kept.pop_front();
        }
        kept.push_back(shorten(&plain(text.trim_end()), 200).into_owned());
    }
}

/// The next line without its end; `None` at the end of the stream, an error when it is too long.
async fn next_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Option<Result<String, ()>> {
    let mut line = Vec::new();
    loop {
        let piece = reader.fill_buf().await.ok()?;
        if piece.is_empty() {
            return (!line.is_empty()).then(|| Ok(String::from_utf8_lossy(&line).into_owned()));
        }
        let end = piece.iter().position(|b| *b == b'\n');
        let taken = end.map_or(piece.len(), |at| at + 1);
        line.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
        reader.consume(taken);
        if line.len() > MAX_DRIVER_LINE {
            return Some(Err(()));
        }
        if end.is_some() {
            return Some(Ok(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}
