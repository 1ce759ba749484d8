//! CIR with a client under test: the station agrees on what the client offers, hears what it says on its
//! channel, and tells it that data waits.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::ItemId;
use crate::case::{ChannelSign, CirMethod};
use crate::message::{Path, Tree};
use crate::peer::server::{Sleeper, cir_text};
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::verdict::{Part, Place};

use super::client_iut::{Runner, Stop};
use super::conclude::millis;
use super::server_cir::start_of;

/// What a client was heard to do.
enum Heard {
    /// HELO of a session, with its octets.
    Hello(String, Vec<u8>),
    /// GET at CIRURL.
    Get,
}

impl Runner<'_> {
    /// Whether the client offers one of these methods in what it sent.
    pub(super) fn offers(&self, methods: &[CirMethod], asked: Option<&Tree>) -> Result<(), Stop> {
        let all = |path: &str| -> Vec<String> {
            let (Some(tree), Ok(path)) = (asked, Path::parse(path)) else {
                return Vec::new();
            };
            path.select(tree)
                .into_iter()
                .map(|id| tree.text(id).trim().to_owned())
                .collect()
        };
        let offered = all("CapabilityList/SupportedCIRMethod");
        let has_port = !all("CapabilityList/UDPPort").is_empty();
        let can =
            |m: &CirMethod| offered.iter().any(|o| o == m.as_str()) && (*m != CirMethod::Sudp || has_port);
        if methods.iter().any(can) {
            return Ok(());
        }
        let names: Vec<&str> = methods.iter().map(|m| m.as_str()).collect();
        Err(Stop::Absent(format!(
            "the client does not offer {}",
            names.join(" or ")
        )))
    }

    /// The client opens its STCP channel, or asks at CIRURL.
    pub(super) async fn on_channel(&mut self, sign: ChannelSign, item: Option<&ItemId>) -> Result<(), Stop> {
        let began = Instant::now();
        let grace = self.late();
        let mut before = self.since_reply.len();
        let mut found = self.sign_of(sign);
        for _ in 0..self.meeting.manners().most {
            if found.is_some() {
                break;
            }
            if self.current.is_some() {
                self.reply_default().await?;
            }
            before = self.since_reply.len();
            if let Some(station) = self.meeting.station() {
                station.heed_signs(true);
            }
            let taken = self.arrival(began, grace).await;
            if let Some(station) = self.meeting.station() {
                station.heed_signs(false);
            }
            let silent = taken.is_none();
            self.unread = !silent;
            self.current = taken;
            found = self.sign_of(sign);
            if silent {
                break;
            }
        }
        let rule = format!("the client {sign}");
        let Some(said) = found else {
            let text = format!("it was not seen that the client {sign}");
            return match item.filter(|_| self.judged && sign == ChannelSign::OpensAgain) {
                Some(item) if self.meeting.trouble().is_none() && self.meeting.station().is_some() => {
                    self.judge.charge(item, &rule, false, text, Place::default());
                    Err(Stop::Charged)
                }
                // Polling does as well (MO-7): a client that does not use what it offered breaks nothing.
                _ => Err(Stop::Inconclusive(text)),
            };
        };
        // What it sent before is no answer to what it heard.
        self.since_reply.drain(..before.min(self.since_reply.len()));
        let (holds, place) = match said {
            Heard::Hello(session, octets) => self.hello(&session, octets),
            Heard::Get => (
                true,
                self.record_channel(CirMethod::Shttp, Initiator::Iut, Vec::new()),
            ),
        };
        if let Some(item) = item.filter(|_| self.judged && holds) {
            self.judge
                .charge(item, &rule, true, format!("the client {sign}"), place);
        }
        match (holds, self.judged) {
            (true, _) => Ok(()),
            (false, true) => Err(Stop::Charged),
            (false, false) => Err(Stop::Inconclusive(format!(
                "the HELO is not that of the session (blocked by {})",
                self.judge.own("CIR", 1)
            ))),
        }
    }

    fn sign_of(&mut self, sign: ChannelSign) -> Option<Heard> {
        let station = self.meeting.station()?;
        match sign {
            ChannelSign::Asks => station.was_asked().then_some(Heard::Get),
            _ => station.next_hello().map(|(s, octets)| Heard::Hello(s, octets)),
        }
    }

    /// Judges a HELO; whether it is one of this session.
    fn hello(&mut self, session: &str, octets: Vec<u8>) -> (bool, Place) {
        let own = self
            .meeting
            .conversations()
            .session()
            .unwrap_or_default()
            .to_owned();
        let said = String::from_utf8_lossy(&octets).into_owned();
        let holds = session == own && said == format!("HELO {session}\r\n");
        let place = self.record_channel(CirMethod::Stcp, Initiator::Iut, octets);
        let item = self.judge.own("CIR", 1);
        let rule = "the STCP channel is opened with HELO, the SessionID and CR LF";
        let text = format!("{said:?} came, the session is {own}");
        self.judge.charge(&item, rule, holds, text, place.clone());
        (holds, place)
    }

    /// Tells the client that data waits, or something like it.
    pub(super) async fn send_channel(&mut self, method: CirMethod, text: Option<&str>) -> Result<(), Stop> {
        let session = self.meeting.conversations().session().map(str::to_owned);
        let Some(station) = self.meeting.station() else {
            return Err(Stop::Inconclusive("the archive has no channels".to_owned()));
        };
        let known = session
            .as_deref()
            .and_then(|id| station.engine.sleeper(id).map(|found| (id, found)));
        let Some((session, told)) = known else {
            return Err(Stop::Inconclusive(
                "there is no session that could be told".to_owned(),
            ));
        };
        let Sleeper { version, cookie, udp } = told;
        let text = match text {
            Some(text) => text
                .replace("$version", version.as_str())
                .replace("$cookie", &cookie),
            None => cir_text(version, &cookie),
        };
        let calls = text.split_whitespace().nth(2) == Some(cookie.as_str());
        let sent = match method {
            CirMethod::Stcp => {
                let line = format!("{text}\r\n").into_bytes();
                let there = station.channels().say(session, &line);
                there.then_some(line).ok_or("the STCP channel is not open")
            }
            CirMethod::Sudp => match udp {
                Some((host, port)) => {
                    let to = SocketAddr::new(host, port);
                    station.channels().datagram(to, text.as_bytes()).await;
                    Ok(text.into_bytes())
                }
                None => Err("SUDP is not agreed"),
            },
            CirMethod::Shttp => {
                station.has_news();
                Ok(Vec::new())
            }
        };
        let sent = sent.map_err(|why| Stop::Inconclusive(why.to_owned()))?;
        self.record_channel(method, Initiator::Tester, sent);
        if calls || method == CirMethod::Shttp {
            self.meeting.conversations_mut().poll_is_called_for();
        }
        self.begin_to_listen();
        Ok(())
    }

    /// Closes the STCP channel.
    pub(super) fn close_channel(&mut self) -> Result<(), Stop> {
        let session = self.meeting.conversations().session().map(str::to_owned);
        let (Some(station), Some(session)) = (self.meeting.station(), session) else {
            return Err(Stop::Inconclusive("there is no channel to be closed".to_owned()));
        };
        station.channels().close(&session);
        self.meeting.conversations_mut().poll_is_called_for();
        self.begin_to_listen();
        Ok(())
    }

    /// Keeps what was on a channel. Without a moment: a case with it cannot be judged again.
    fn record_channel(&mut self, method: CirMethod, by: Initiator, octets: Vec<u8>) -> Place {
        // A message that waits for its answer has its number already.
        let before = self.exchanges.len() + usize::from(self.current.is_some()) + self.behind.len();
        let number = u32::try_from(before + 1).unwrap_or(u32::MAX);
        let epoch = self.meeting.station().map(|s| s.host.epoch);
        let since = Instant::now();
        self.behind.push(Arc::new(Exchange {
            number,
            initiator: by,
            request: HttpMessage {
                start: start_of(method),
                body: octets,
                ..HttpMessage::default()
            },
            response: Err(Failure::Closed("nothing was to come back".to_owned())),
            started_ms: epoch.map_or(0, |e| millis(since.duration_since(e))),
            duration_ms: 0,
            moment: None,
        }));
        if self.current.is_none() {
            self.exchanges.append(&mut self.behind);
        }
        Place {
            exchange: Some(number),
            part: Some(Part::Request),
            ..Place::default()
        }
    }
}
