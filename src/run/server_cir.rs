//! CIR channels of the server under test: the lower tester opens what was agreed in a lane, listens, asks,
//! and judges what comes. Everything that was on a channel is recorded like an exchange, so that it can be
//! judged again.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::base::ItemId;
use crate::case::{ChannelAction, CirMethod};
use crate::message::{Path, Tree};
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::spec::HttpUrl;
use crate::transport::cir::Lines;
use crate::transport::client::{self, Address, Framing, Outgoing};
use crate::transport::{Datagrams, Net};
use crate::verdict::{Part, Place};

use super::conclude::millis;
use super::judge::Values;
use super::server_iut::{Phase, Runner, Stop};
use super::target::ServerTarget;
use super::wire::Wire;

/// What the request line of everything on a channel begins with.
pub const CHANNEL: &str = "(CIR by ";
/// The port that is offered where nobody listens: the default of clients.
const NO_PORT: u16 = 3717;
/// Most lines that are read until one is OK.
const MOST_LINES: usize = 8;
/// Most GET requests for one CIR.
const MOST_GETS: usize = 4;

/// The CIR channels of a lane.
#[derive(Debug, Default)]
pub struct LaneChannels {
    agreed: Vec<String>,
    tcp: Option<(String, u16)>,
    url: Option<String>,
    datagrams: Option<Datagrams>,
    lines: Option<Lines>,
    /// CIRs that came while something else was waited for, with the exchange that brought them.
    waiting: VecDeque<(Vec<u8>, u32)>,
}

impl LaneChannels {
    /// Learns what a capability negotiation agreed on.
    pub fn learn(&mut self, answer: &Tree) {
        let Some(list) = Path::parse("ClientCapability-Response/*")
            .ok()
            .map(|p| p.select(answer))
            .into_iter()
            .flatten()
            .find(|e| {
                matches!(
                    answer.get(*e).name.as_str(),
                    "CapabilityList" | "AgreedCapabilityList"
                )
            })
        else {
            return;
        };
        self.agreed = answer
            .elements(list)
            .filter(|e| answer.get(*e).name == "SupportedCIRMethod")
            .map(|e| answer.text(e).trim().to_owned())
            .collect();
        let port = answer
            .child_text(list, "TCPPort")
            .and_then(|p| p.parse::<u16>().ok());
        self.tcp = answer
            .child_text(list, "TCPAddress")
            .filter(|a| !a.is_empty())
            .zip(port);
        self.url = answer
            .child(list, "CIRURL")
            .and_then(|u| answer.child_text(u, "URL"));
    }

    /// The port that a client names which listens here for datagrams.
    pub fn udp_port(&self) -> u16 {
        self.datagrams.as_ref().map_or(NO_PORT, |d| d.address.port())
    }
}

impl Runner<'_> {
    /// Does something with a channel of a lane.
    pub(super) async fn channel(
        &mut self,
        action: &ChannelAction,
        lane: &str,
        item: &ItemId,
    ) -> Result<(), Stop> {
        match action {
            ChannelAction::Listen => self.listen(lane).await,
            ChannelAction::Open { hello, closed } => self.open(lane, item, hello.as_deref(), *closed).await,
            ChannelAction::Ping => self.ping(lane, item).await,
            ChannelAction::Close => {
                self.lane(lane)?.cir.lines = None;
                Ok(())
            }
            ChannelAction::Await(CirMethod::Shttp) => self.ask_until_told(lane, item).await,
            ChannelAction::Await(method) => self.await_cir(lane, item, *method).await,
            ChannelAction::AskInVain => self.ask_in_vain(lane, item).await,
        }
    }

    fn agreed(&mut self, lane: &str, method: CirMethod) -> Result<(), Stop> {
        let word = method.as_str();
        match self.lane(lane)?.cir.agreed.iter().any(|m| m == word) {
            true => Ok(()),
            false => Err(Stop::Absent(format!("the server does not agree on {word}"))),
        }
    }

    /// Listens for datagrams, where the server can be expected to reach it.
    async fn listen(&mut self, lane: &str) -> Result<(), Stop> {
        let near = is_near(self.target) && matches!(self.wire, Wire::Net);
        let net = self.target.address.net.clone();
        let lane = self.lane(lane)?;
        lane.cir.datagrams = None;
        if near {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let socket = net.datagrams(any).await;
            lane.cir.datagrams =
                Some(socket.map_err(|e| Stop::Inconclusive(format!("no port for datagrams: {e}")))?);
        }
        Ok(())
    }

    async fn open(
        &mut self,
        lane: &str,
        item: &ItemId,
        hello: Option<&str>,
        closed: bool,
    ) -> Result<(), Stop> {
        self.agreed(lane, CirMethod::Stcp)?;
        let text = match hello {
            Some(text) => self.filled_in(text)?,
            None => match self.lane(lane)?.engine.session() {
                Some(session) => format!("HELO {session}"),
                None => return Err(Stop::Inconclusive("there is no session for a channel".to_owned())),
            },
        };
        let found = self.lane(lane)?.cir.tcp.clone();
        let Some((host, port)) = found else {
            return Err(Stop::Inconclusive(format!(
                "STCP is agreed without an address (blocked by {})",
                self.judge.own("CCAPAB", 6)
            )));
        };
        may_connect(self.target, &host)?;
        let limit = self.target.response;
        if matches!(self.wire, Wire::Net) {
            let net = self.target.address.net.clone();
            let lines = Lines::connect(&net, &host, port, limit).await;
            self.lane(lane)?.cir.lines = Some(
                lines.map_err(|e| Stop::Inconclusive(format!("no STCP channel to {host}:{port}: {e}")))?,
            );
        }
        let number = self.say(lane, &text).await?;
        let (answer, place) = self.heard(lane, number)?;
        let rule = match closed {
            true => format!("{text} is answered by closing the channel"),
            false => format!("{text} is answered by OK"),
        };
        match (answer, closed) {
            (Ok(true), false) | (Err(Failure::Closed(_)), true) => {
                if self.phase == Phase::Procedure {
                    let done = if closed {
                        "the channel was closed"
                    } else {
                        "OK came"
                    };
                    self.judge.charge(item, &rule, true, done.to_owned(), place);
                }
                Ok(())
            }
            (Ok(true), true) => self.unmet(item, &rule, "OK came".to_owned(), place),
            (Ok(false), true) => Err(Stop::Inconclusive(
                "something else than OK came, and the channel was not seen to be closed".to_owned(),
            )),
            (Ok(false), false) => self.unmet(item, &rule, "something else than OK came".to_owned(), place),
            (Err(Failure::Timeout(ms)), true) => {
                let text = format!("the channel was still open after {ms} ms");
                self.unmet(item, &rule, text, place)
            }
            (Err(failure), _) => self.unmet(item, &rule, format!("no OK came: {failure}"), place),
        }
    }

    async fn ping(&mut self, lane: &str, item: &ItemId) -> Result<(), Stop> {
        self.agreed(lane, CirMethod::Stcp)?;
        let number = self.say(lane, "PING").await?;
        let (answer, place) = self.heard(lane, number)?;
        let rule = "PING is answered by OK";
        match answer {
            Ok(true) => {
                if self.phase == Phase::Procedure {
                    self.judge.charge(item, rule, true, "OK came".to_owned(), place);
                }
                Ok(())
            }
            Ok(false) => self.unmet(item, rule, "something else than OK came".to_owned(), place),
            Err(failure) => self.unmet(item, rule, format!("no OK came: {failure}"), place),
        }
    }

    /// Says a line on STCP and takes what comes until it is OK, or nothing more does; the number of the
    /// exchange.
    async fn say(&mut self, lane: &str, text: &str) -> Result<u32, Stop> {
        let said = format!("{text}\r\n").into_bytes();
        let limit = self.target.response;
        let number = self.next_number();
        if let Some(kept) = self.archived(CirMethod::Stcp)? {
            self.record(kept);
            return Ok(number);
        }
        let since = Instant::now();
        let deadline = since + limit;
        let Some(lines) = self.lane(lane)?.cir.lines.as_mut() else {
            return Err(Stop::Inconclusive("there is no STCP channel".to_owned()));
        };
        let mut came = Vec::new();
        let mut response = lines.send(&said).await;
        for _ in 0..MOST_LINES {
            if response.is_err() {
                break;
            }
            match lines
                .line(deadline.saturating_duration_since(Instant::now()))
                .await
            {
                Ok(line) => {
                    came.extend_from_slice(&line);
                    if !is_cir(&line) {
                        break;
                    }
                }
                Err(failure) if came.is_empty() => response = Err(failure),
                Err(_) => break,
            }
        }
        let response = response.map(|()| came);
        let exchange = on_channel(self.target, number, since, CirMethod::Stcp, said, response);
        self.record(exchange);
        Ok(number)
    }

    /// What an exchange on STCP brought: whether the last line was OK. CIRs in it wait for whoever asks.
    fn heard(&mut self, lane: &str, number: u32) -> Result<(Result<bool, Failure>, Place), Stop> {
        let place = place_of(number);
        let body = match self.response_of(number) {
            Ok(http) => http.body,
            Err(failure) => return Ok((Err(failure), place)),
        };
        let mut ok = false;
        let lines: Vec<Vec<u8>> = body
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        for line in lines {
            if is_cir(&line) {
                self.lane(lane)?.cir.waiting.push_back((line, number));
                continue;
            }
            ok = String::from_utf8_lossy(&line).trim().eq_ignore_ascii_case("OK");
            if ok {
                self.line_end(&line, &place);
            }
        }
        Ok((Ok(ok), place))
    }

    fn line_end(&mut self, line: &[u8], place: &Place) {
        let item = self.judge.own("CIR", 7);
        let holds = line.ends_with(b"\r\n");
        let text = format!(
            "{:?} {}",
            String::from_utf8_lossy(line),
            if holds {
                "ends in CR LF"
            } else {
                "does not end in CR LF"
            }
        );
        self.judge
            .charge(&item, "cir-line-end", holds, text, place.clone());
    }

    async fn await_cir(&mut self, lane: &str, item: &ItemId, method: CirMethod) -> Result<(), Stop> {
        self.agreed(lane, method)?;
        let limit = self.target.response;
        let rule = format!("a CIR comes by {} when data waits", method.as_str());
        let early = match method {
            CirMethod::Stcp => self.lane(lane)?.cir.waiting.pop_front(),
            _ => None,
        };
        let (octets, number) = match early {
            Some(early) => early,
            None => {
                let number = self.next_number();
                match self.archived(method)? {
                    Some(kept) => self.record(kept),
                    None => {
                        let since = Instant::now();
                        let came = self.next_cir(lane, method, limit).await?;
                        let exchange = on_channel(self.target, number, since, method, Vec::new(), came);
                        self.record(exchange);
                    }
                }
                match self.response_of(number) {
                    Ok(http) => (http.body, number),
                    Err(failure) => return self.not_told(lane, item, &rule, failure, number).await,
                }
            }
        };
        let place = place_of(number);
        if method == CirMethod::Stcp {
            self.line_end(&octets, &place);
        }
        let form = self.cir_form(lane, &octets, &place)?;
        let text = format!("{:?} came", String::from_utf8_lossy(&octets).trim());
        if !form {
            let by = [self.judge.own("CIR", 6)];
            return self.blocked(item, &rule, text, &by, place);
        }
        if self.phase == Phase::Procedure {
            self.judge.charge(item, &rule, true, text, place);
        }
        Ok(())
    }

    async fn next_cir(
        &mut self,
        lane: &str,
        method: CirMethod,
        limit: Duration,
    ) -> Result<Result<Vec<u8>, Failure>, Stop> {
        let channels = &mut self.lane(lane)?.cir;
        if method == CirMethod::Stcp {
            return match channels.lines.as_mut() {
                Some(lines) => Ok(lines.line(limit).await),
                None => Err(Stop::Inconclusive("there is no STCP channel".to_owned())),
            };
        }
        let Some(datagrams) = channels.datagrams.as_mut() else {
            return Err(Stop::Inconclusive(
                "the suite listens for datagrams at loopback only, and the server is elsewhere".to_owned(),
            ));
        };
        Ok(match timeout(limit, datagrams.receive()).await {
            Ok(Ok(octets)) => Ok(octets),
            Ok(Err(e)) => Err(Failure::Closed(e.to_string())),
            Err(_) => Err(Failure::Timeout(millis(limit))),
        })
    }

    /// No CIR came: a breach only if data did wait, which a poll shows.
    async fn not_told(
        &mut self,
        lane: &str,
        item: &ItemId,
        rule: &str,
        failure: Failure,
        number: u32,
    ) -> Result<(), Stop> {
        if let Failure::Closed(_) = &failure {
            return Err(Stop::Inconclusive(format!(
                "no CIR came: {failure}; a client polls then too"
            )));
        }
        if self.data_waits(lane).await? {
            let text = format!("no CIR came ({failure}), and a poll brought what waited");
            return self.unmet(item, rule, text, place_of(number));
        }
        Err(Stop::Inconclusive(format!(
            "no CIR came ({failure}), and a poll does not show that anything waited"
        )))
    }

    /// Whether a poll brings something.
    async fn data_waits(&mut self, lane: &str) -> Result<bool, Stop> {
        let before = self.lane(lane)?.inbox.count();
        let promised = self.poll(lane).await?;
        Ok(promised || self.lane(lane)?.inbox.count() > before)
    }

    /// Judges the text of a CIR; whether it is one for this lane.
    fn cir_form(&mut self, lane: &str, octets: &[u8], place: &Place) -> Result<bool, Stop> {
        let cookie = self.lane(lane)?.engine.config().cookie.clone();
        let own = self.judge.version.to_string();
        let text = String::from_utf8_lossy(octets).trim().to_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let versions = ["1.1", "1.2"];
        let holds = matches!(words.as_slice(), [wvci, version, given, ..]
            if wvci.eq_ignore_ascii_case("WVCI") && versions.contains(version) && *given == cookie);
        let item = self.judge.own("CIR", 6);
        let found = format!("{text:?}, the SessionCookie is {cookie}");
        self.judge.charge(
            &item,
            "cir-text",
            holds,
            if holds {
                format!("{text:?} has WVCI, a version and the SessionCookie")
            } else {
                found
            },
            place.clone(),
        );
        if let Some(version) = words.get(1).filter(|_| holds) {
            let item = self.judge.own("CIR", 8);
            let text = format!("the CIR says {version}, the session speaks {own}");
            self.judge
                .charge(&item, "cir-version", *version == own, text, place.clone());
        }
        Ok(holds)
    }

    /// GET at CIRURL until data waits.
    async fn ask_until_told(&mut self, lane: &str, item: &ItemId) -> Result<(), Stop> {
        let rule = "CIRURL is answered by 200 when data waits";
        let gap = self.lane(lane)?.engine.poll_interval().unwrap_or(0);
        for turn in 1..=MOST_GETS {
            let (answer, number) = self.get(lane).await?;
            let place = place_of(number);
            match answer {
                Ok(http) if http.status == 200 => {
                    if self.phase == Phase::Procedure {
                        let text = "GET is answered by 200".to_owned();
                        self.judge.charge(item, rule, true, text, place);
                    }
                    return Ok(());
                }
                Ok(http) if http.status == 204 && turn < MOST_GETS => {
                    self.wire
                        .pause(&self.target.clock, Duration::from_secs(u64::from(gap)))
                        .await;
                }
                Ok(http) if http.status == 204 => {
                    let failure = Failure::Timeout(u64::from(gap) * 1000 * MOST_GETS as u64);
                    return self.not_told(lane, item, rule, failure, number).await;
                }
                Ok(http) => {
                    let text = format!("GET is answered by {}", http.status);
                    return self.unmet(item, rule, text, place);
                }
                Err(failure) => {
                    return Err(Stop::Inconclusive(format!("CIRURL gives no answer: {failure}")));
                }
            }
        }
        Ok(())
    }

    /// GET at CIRURL where nothing waits.
    async fn ask_in_vain(&mut self, lane: &str, item: &ItemId) -> Result<(), Stop> {
        let rule = "CIRURL is answered by 204 when nothing waits";
        let (answer, number) = self.get(lane).await?;
        let place = place_of(number);
        match answer {
            Ok(http) if http.status == 204 => {
                if self.phase == Phase::Procedure {
                    let text = "GET is answered by 204".to_owned();
                    self.judge.charge(item, rule, true, text, place);
                }
                Ok(())
            }
            Ok(http) if http.status == 200 && self.data_waits(lane).await? => Err(Stop::Inconclusive(
                "data waited, so that nothing shows what is answered when none does".to_owned(),
            )),
            Ok(http) => {
                let text = format!("GET is answered by {}", http.status);
                self.unmet(item, rule, text, place)
            }
            Err(failure) => Err(Stop::Inconclusive(format!("CIRURL gives no answer: {failure}"))),
        }
    }

    async fn get(&mut self, lane: &str) -> Result<(Result<HttpMessage, Failure>, u32), Stop> {
        self.agreed(lane, CirMethod::Shttp)?;
        let Some(url) = self.lane(lane)?.cir.url.clone() else {
            return Err(Stop::Inconclusive(format!(
                "SHTTP is agreed without CIRURL (blocked by {})",
                self.judge.own("CCAPAB", 7)
            )));
        };
        let number = self.next_number();
        if let Some(kept) = self.archived(CirMethod::Shttp)? {
            self.record(kept);
        } else {
            let address = url_address(self.target, &url)?;
            self.target.pace.wait().await;
            let since = Instant::now();
            let outgoing = Outgoing {
                method: "GET",
                headers: &[],
                body: Vec::new(),
                framing: Framing::Length,
                expect_continue: false,
            };
            let (request, response) = client::exchange(&address, outgoing, self.target.response).await;
            self.record(Exchange {
                number,
                initiator: Initiator::Tester,
                request,
                response,
                started_ms: millis(since.duration_since(self.target.epoch)),
                duration_ms: millis(since.elapsed()),
                moment: None,
            });
        }
        let answer = self.response_of(number);
        if let Ok(http) = &answer
            && matches!(http.status, 200 | 204)
        {
            let item = self.judge.own("CIR", 12);
            let holds = http.body.is_empty();
            let text = format!("the body at CIRURL has {} octets", http.body.len());
            self.judge
                .charge(&item, "cir-url-body", holds, text, place_of(number));
        }
        Ok((answer, number))
    }

    /// What an archive has in place of the channel; none with a network.
    fn archived(&mut self, method: CirMethod) -> Result<Option<Exchange>, Stop> {
        let number = self.next_number();
        let start = match method {
            CirMethod::Shttp => "GET ".to_owned(),
            other => start_of(other),
        };
        self.wire
            .archived_channel(&start, number)
            .map_err(Stop::Inconclusive)
    }

    /// A text with values in place of the words that begin with `$`.
    fn filled_in(&self, text: &str) -> Result<String, Stop> {
        let words = text.split(' ').map(|word| match word.strip_prefix('$') {
            Some(name) => self
                .value(name)
                .ok_or_else(|| Stop::Error(format!("there is no value ${name}"))),
            None => Ok(word.to_owned()),
        });
        Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

/// What the request line of something on a channel is.
pub fn start_of(method: CirMethod) -> String {
    format!("{CHANNEL}{})", method.as_str())
}

fn place_of(number: u32) -> Place {
    Place {
        exchange: Some(number),
        part: Some(Part::Response),
        ..Place::default()
    }
}

/// Whether a line is a CIR, well formed or not.
fn is_cir(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"WVCI"))
}

/// What was on a channel, as an exchange.
fn on_channel(
    target: &ServerTarget,
    number: u32,
    since: Instant,
    method: CirMethod,
    said: Vec<u8>,
    came: Result<Vec<u8>, Failure>,
) -> Exchange {
    Exchange {
        number,
        initiator: Initiator::Tester,
        request: HttpMessage {
            start: start_of(method),
            body: said,
            ..HttpMessage::default()
        },
        response: came.map(|body| HttpMessage {
            start: "(octets as they came)".to_owned(),
            body,
            ..HttpMessage::default()
        }),
        started_ms: millis(since.duration_since(target.epoch)),
        duration_ms: millis(since.elapsed()),
        moment: None,
    }
}

/// Whether the server is on this machine, so that it reaches a listener on loopback.
fn is_near(target: &ServerTarget) -> bool {
    let host = &target.address.host;
    matches!(target.address.net, Net::Memory(_))
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The suite asks no name service for a host that the profile does not name.
fn may_connect(target: &ServerTarget, host: &str) -> Result<(), Stop> {
    let bare = host.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case(&target.address.host) {
        return Ok(());
    }
    Err(Stop::Inconclusive(format!(
        "the channel is at `{host}`: the suite connects to the host of the profile or to an address in digits"
    )))
}

/// Where CIRURL is.
fn url_address(target: &ServerTarget, url: &str) -> Result<Address, Stop> {
    let parsed =
        HttpUrl::parse(url).map_err(|e| Stop::Inconclusive(format!("CIRURL cannot be used: {e}")))?;
    may_connect(target, &parsed.host)?;
    let tls = match (parsed.secure, &target.address.tls) {
        (false, _) => None,
        (true, Some(tls)) => Some(tls.clone()),
        (true, None) => {
            return Err(Stop::Inconclusive(
                "CIRURL is https and the server of the profile is not".to_owned(),
            ));
        }
    };
    Ok(Address {
        net: target.address.net.clone(),
        tls,
        host: parsed.host.trim_matches(['[', ']']).to_owned(),
        port: parsed.port,
        path: parsed.path,
    })
}
