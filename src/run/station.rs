//! A station: where a client under test is met. A listener, the server engine that answers, and an
//! upper tester that makes the client act. The embedded client gets a station for each case; a real
//! client one for the whole run.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::case::CirMethod;
use crate::peer::Credentials;
use crate::peer::server::{ServerConfig, ServerEngine};
use crate::record::HttpMessage;
use crate::spec::Command;
use crate::transport::cir::Event;
use crate::transport::server::{Answer, Arrived, Listener};

use super::channels::{self, Said, ServerChannels};
use super::clock::Clock;
use super::conversations::Conversations;
use super::driver::{Ack, Order, UpperTester};
use super::intake::is_csp;
use super::suite::Suite;

/// What a case may expect of the client at a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manners {
    /// How long a message may come after the acknowledgement.
    pub late: Duration,
    /// How long nothing must come before the next order.
    pub quiet: Duration,
    /// Most messages that one step takes.
    pub most: usize,
    /// How a case begins.
    pub between: Between,
    /// With a person: how long to wait for what a client does by itself before anybody is asked.
    pub patience: Option<Patience>,
    /// Whether the client may be made to act more than the case says, to tell one that does nothing
    /// from one that leaves something out.
    pub probe: bool,
}

/// How a client comes into a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// It was made for this case.
    Fresh,
    /// It is reset.
    Reset,
    /// It stays as the last case left it, unless the case needs one that is not logged in.
    Keep,
}

/// How long a client is left to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For what comes with the time: keep-alives, and polls that Poll T asks for.
    pub periodic: Duration,
    /// For what comes at once or never.
    pub soon: Duration,
}

impl Patience {
    /// How long to wait for what these commands would bring.
    pub fn grace(&self, commands: &[Command]) -> Duration {
        let grace = |c: &Command| match c {
            Command::KeepAlive | Command::Poll | Command::Idle => self.periodic,
            // Nobody logs out without being told to.
            Command::Logout => Duration::ZERO,
            _ => self.soon,
        };
        commands.iter().map(grace).max().unwrap_or_default()
    }
}

impl Manners {
    /// Those of the embedded client: it is done when it says so.
    pub fn embedded() -> Self {
        Self {
            late: Duration::ZERO,
            quiet: Duration::ZERO,
            most: 50,
            between: Between::Fresh,
            patience: None,
            probe: true,
        }
    }
}

/// What the server of a station is.
#[derive(Debug, Clone)]
pub struct Host {
    /// Who may log in; anybody with any password when empty.
    pub accounts: Vec<Credentials>,
    /// Longest KeepAliveTime granted, in seconds.
    pub max_keep_alive: u32,
    /// Seed.
    pub seed: u64,
    /// When the run began.
    pub epoch: Instant,
    /// The clock that the server goes by.
    pub clock: Clock,
    /// How much slower the server's clock is than the true one: sessions live so many times longer than
    /// the time that was granted, which is short to make a client act, not to lose it.
    pub slowness: u32,
}

/// Most messages between two cases that are kept; those beyond are closed without an answer.
const MAX_HELD: usize = 50;

/// Where a client under test is met.
#[derive(Debug)]
pub struct Station {
    listener: Listener,
    /// The server.
    pub engine: ServerEngine,
    /// What was said so far.
    pub conversations: Conversations,
    /// What a case may expect.
    pub manners: Manners,
    /// The server's settings.
    pub host: Host,
    tester: UpperTester,
    orders: VecDeque<Order>,
    under_way: bool,
    last_ack: Instant,
    /// Whether one of the orders of the last request was carried out.
    obeyed: bool,
    trouble: Option<String>,
    dead: Option<String>,
    /// A message that came before the case that takes it.
    held: VecDeque<Arrived>,
    /// Whether the client was ever seen.
    met: bool,
    /// Whether anything happened since the client was last seen to be quiet.
    stirred: bool,
    strays: usize,
    channels: ServerChannels,
    /// What the client said on STCP, with the octets.
    said: VecDeque<(Said, Vec<u8>)>,
    /// Whether the next GET at CIRURL is told that data waits.
    news: bool,
    /// How many GET at CIRURL came and were not asked for yet.
    asked: usize,
    /// Whether a sign on a channel ends the wait for a message.
    heeds_signs: bool,
}

/// Most things that a client said on STCP that are kept.
const MAX_SAID: usize = 100;

impl Station {
    /// A station at a listener.
    pub fn new(suite: &Suite, listener: Listener, host: Host, tester: UpperTester, manners: Manners) -> Self {
        let engine = ServerEngine::new(
            ServerConfig {
                accounts: host.accounts.clone(),
                max_keep_alive: host.max_keep_alive,
                functions: crate::peer::server::served_functions(),
                seed: host.seed,
            },
            Arc::clone(&suite.checker),
        )
        .open_to_all(host.accounts.is_empty())
        .hospitable();
        Self {
            channels: ServerChannels::none(&listener.net),
            said: VecDeque::new(),
            news: false,
            asked: 0,
            heeds_signs: false,
            listener,
            engine,
            conversations: Conversations::new(true),
            manners,
            host,
            tester,
            orders: VecDeque::new(),
            under_way: false,
            last_ack: Instant::now(),
            obeyed: false,
            trouble: None,
            dead: None,
            held: VecDeque::new(),
            met: false,
            stirred: true,
            strays: 0,
        }
    }

    /// Offers these CIR methods in the answers that follow; none: polling only.
    ///
    /// # Errors
    /// There is no port for a channel.
    pub async fn offer(&mut self, methods: &[CirMethod]) -> std::io::Result<()> {
        let at = self.listener.address;
        if !methods.is_empty() {
            // What was heard before is no answer to this.
            self.said.clear();
            (self.asked, self.news) = (0, false);
        }
        if methods.contains(&CirMethod::Stcp) && !self.channels.listens() {
            self.channels = ServerChannels::open(&self.listener.net, at, None).await?;
        }
        self.engine
            .offer_cir(self.channels.offer(at, |m| methods.contains(&m)));
        Ok(())
    }

    /// The CIR channels.
    pub fn channels(&mut self) -> &mut ServerChannels {
        &mut self.channels
    }

    /// Tells the next GET at CIRURL that data waits.
    pub fn has_news(&mut self) {
        self.news = true;
    }

    /// Whether a GET at CIRURL came that was not asked for yet.
    pub fn was_asked(&mut self) -> bool {
        let found = self.asked > 0;
        self.asked = self.asked.saturating_sub(1);
        found
    }

    /// The next HELO that was said on STCP and not asked for yet, with its octets. One of another session
    /// that is open belongs to an earlier case.
    pub fn next_hello(&mut self) -> Option<(String, Vec<u8>)> {
        while let Some((said, octets)) = self.said.pop_front() {
            if let Said::Hello(session, known) = said {
                let own = self.conversations.session() == Some(session.as_str());
                if own || !known {
                    return Some((session, octets));
                }
            }
        }
        None
    }

    /// Whether what a client says on a channel ends [`Station::next`] as its silence does.
    pub fn heed_signs(&mut self, yes: bool) {
        self.heeds_signs = yes;
    }

    /// Whether a sign came that [`Station::was_asked`] or [`Station::next_hello`] will tell of.
    fn has_sign(&self) -> bool {
        let own = self.conversations.session();
        let tells = |said: &Said| match said {
            Said::Hello(session, known) => own == Some(session.as_str()) || !known,
            _ => false,
        };
        self.asked > 0 || self.said.iter().any(|(said, _)| tells(said))
    }

    fn on_channel(&mut self, event: Event) {
        let octets = match &event {
            Event::Line(_, octets) => octets.clone(),
            Event::Gone(_) => Vec::new(),
        };
        if let Some(said) = self.channels.take(&self.engine, event)
            && self.said.len() < MAX_SAID
        {
            self.stirred = true;
            self.said.push_back((said, octets));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The upper tester.
    pub fn tester(&mut self) -> &mut UpperTester {
        &mut self.tester
    }

    /// Gives the upper tester back.
    pub fn into_tester(self) -> UpperTester {
        self.tester
    }

    /// Asks for these things, one after the other. What was asked before and not begun is forgotten.
    pub fn ask(&mut self, orders: impl IntoIterator<Item = Order>) {
        self.orders = orders.into_iter().collect();
        self.trouble = None;
        self.obeyed = false;
        self.stirred = true;
    }

    /// Forgets what was asked and not begun: what it was for has come.
    pub fn forget(&mut self) {
        self.orders.clear();
        self.trouble = None;
    }

    /// Why what was asked last was not carried out; none when any of it was.
    pub fn trouble(&self) -> Option<&str> {
        match (&self.dead, &self.trouble) {
            (Some(why), _) => Some(why),
            (None, Some(why)) if !self.obeyed => Some(why),
            _ => None,
        }
    }

    /// Whether a message of the client ever came. One that was never seen may be anywhere: what does not
    /// come from it is no breach.
    pub fn has_met_client(&self) -> bool {
        self.met
    }

    /// Why there is nobody any more who makes the client act.
    pub fn dead(&self) -> Option<&str> {
        self.dead.as_deref()
    }

    /// There is somebody again.
    pub fn revived(&mut self) {
        self.dead = None;
        self.trouble = None;
        self.under_way = false;
        self.orders.clear();
    }

    /// Whether nothing is being carried out.
    pub fn is_idle(&self) -> bool {
        !self.under_way && self.orders.is_empty()
    }

    /// Whether anything happened since [`Station::calm`].
    pub fn is_stirred(&self) -> bool {
        self.stirred || !self.is_idle()
    }

    /// Notes that the client was quiet.
    pub fn calm(&mut self) {
        self.stirred = false;
    }

    /// When the last order was acknowledged.
    pub fn last_ack(&self) -> Instant {
        self.last_ack
    }

    /// Keeps a message for whoever asks next.
    pub fn hold(&mut self, arrived: Arrived) {
        self.held.push_back(arrived);
    }

    /// Whether a message waits that came before the case that takes it.
    pub fn holds_one(&self) -> bool {
        !self.held.is_empty()
    }

    /// Has one thing done between two cases; what comes meanwhile is kept for the next.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn carry_out(&mut self, order: Order) -> Result<(), String> {
        self.ask([order]);
        let mut came = 0;
        while let Some(arrived) = self.receive(Instant::now(), Duration::ZERO).await {
            came += 1;
            if self.held.len() < MAX_HELD {
                self.held.push_back(arrived);
            } else if came > self.manners.most {
                return Err(format!("{came} messages came meanwhile"));
            }
        }
        self.trouble().map_or(Ok(()), |why| Err(why.to_owned()))
    }

    /// Now, in milliseconds since the run began.
    pub fn clock_ms(&self) -> u64 {
        self.host.clock.now_ms()
    }

    /// The same as the server takes it to be.
    pub fn now_ms(&self) -> u64 {
        self.clock_ms() / u64::from(self.host.slowness.max(1))
    }

    /// What the upper tester and the listener have to say to people.
    pub fn notices(&mut self) -> Vec<String> {
        let mut notices = self.tester.notices();
        if self.strays > 0 {
            notices.push(format!(
                "{} requests that are no CSP came to the listener and were refused; they are no part of the test",
                self.strays
            ));
            self.strays = 0;
        }
        notices
    }

    /// The next message of the client. Orders are carried out meanwhile; `None` when none is left and
    /// nothing came for `grace` after `began` or the last acknowledgement.
    pub async fn next(&mut self, began: Instant, grace: Duration) -> Option<Arrived> {
        for _ in 0..self.manners.most {
            let arrived = match self.held.pop_front() {
                Some(arrived) => arrived,
                None => self.receive(began, grace).await?,
            };
            if let Some(word) = channels::asked_word(&arrived.request) {
                self.asked += 1;
                let waits = self
                    .engine
                    .data_waits(word)
                    .map(|_| std::mem::take(&mut self.news));
                let _ = arrived
                    .answer
                    .send(Answer::Response(channels::url_answer(waits, None)));
                if self.heeds_signs {
                    return None;
                }
                continue;
            }
            self.stirred = true;
            if self.manners.between == Between::Fresh || is_csp(&arrived.request) {
                self.met = true;
                return Some(arrived);
            }
            self.strays += 1;
            let _ = arrived.answer.send(no_csp());
        }
        None
    }

    async fn receive(&mut self, began: Instant, grace: Duration) -> Option<Arrived> {
        loop {
            if self.heeds_signs && self.has_sign() {
                return None;
            }
            if self.under_way {
                tokio::select! {
                    biased;
                    event = self.channels.event() => self.on_channel(event),
                    arrived = self.listener.arrivals.recv() => return arrived,
                    ack = self.tester.ack() => self.acknowledged(ack),
                }
            } else if let Some(order) = self.orders.pop_front() {
                self.tester.begin(&order);
                self.under_way = true;
            } else {
                // An order that was not carried out brings nothing; what is on its way may still come.
                let grace = match self.trouble() {
                    Some(_) => grace.min(self.manners.quiet),
                    None => grace,
                };
                tokio::select! {
                    biased;
                    event = self.channels.event() => self.on_channel(event),
                    arrived = self.listener.arrivals.recv() => return arrived,
                    () = tokio::time::sleep_until(began.max(self.last_ack) + grace) => return None,
                }
            }
        }
    }

    fn acknowledged(&mut self, ack: Ack) {
        self.under_way = false;
        self.last_ack = Instant::now();
        self.obeyed |= ack == Ack::Done;
        if let Some(why) = ack.trouble() {
            self.trouble = Some(why.to_owned());
        }
        if let Ack::Dead(why) = ack {
            self.orders.clear();
            self.dead = Some(why);
        }
    }
}

/// The answer to a request that is no CSP.
pub fn no_csp() -> Answer {
    Answer::Response(HttpMessage {
        start: "HTTP/1.1 415".to_owned(),
        status: 415,
        ..HttpMessage::default()
    })
}
