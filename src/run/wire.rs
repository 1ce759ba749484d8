//! What stands between the runner of a case and the server: the network, or an archive in its place.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::limits::MAX_SHOWN_BODY;
use crate::base::mask::MASK;
use crate::capture::ArchivedExchange;
use crate::codec::deviation::Encoded;
use crate::message::Envelope;
use crate::record::{Exchange, Failure, HttpMessage, Initiator};
use crate::transport::client::{self, Framing, Outgoing};
use crate::transport::raw;

use super::clock::Clock;
use super::conclude::millis;
use super::suite::reread;
use super::target::ServerTarget;

/// Request line of an exchange that is no HTTP.
const RAW: &str = "(octets on TCP)";

/// Where requests of the lower tester go.
#[derive(Debug)]
pub enum Wire {
    /// To the server under test.
    Net,
    /// Nowhere: each takes the next archived exchange, whose request counts as what was sent.
    Archive(VecDeque<ArchivedExchange>),
}

/// One exchange, with the body of the request as it may be judged.
#[derive(Debug)]
pub struct Turn {
    /// What was on the wire.
    pub exchange: Exchange,
    /// The body that was sent. From an archive, what was masked in it is filled with something of the
    /// same form: the lower tester's own requests are judged by nobody, only read.
    pub sent: Vec<u8>,
}

impl Wire {
    /// Waits, where there is somebody to wait for.
    pub async fn pause(&self, clock: &Clock, duration: std::time::Duration) {
        if let Wire::Net = self {
            clock.pass(duration).await;
        }
    }

    /// Sends one HTTP request and takes what comes back.
    ///
    /// # Errors
    /// The archive holds nothing that this request could be.
    pub async fn exchange(
        &mut self,
        target: &ServerTarget,
        encoded: &Encoded,
        number: u32,
    ) -> Result<Turn, String> {
        match self {
            Wire::Net => Ok(over_the_net(target, encoded, number).await),
            Wire::Archive(tape) => {
                let wanted = primitives(&encoded.body);
                let kept = next(tape, number, &wanted, |kept| {
                    kept.exchange.request.start != RAW
                        && (kept.archived.request.is_partial() || primitives(&filled(kept)) == wanted)
                })?;
                Ok(Turn {
                    sent: filled(&kept),
                    exchange: Arc::unwrap_or_clone(kept.exchange),
                })
            }
        }
    }

    /// What an archive has in place of something on a CIR channel; none with a network.
    ///
    /// # Errors
    /// As [`Wire::exchange`].
    pub fn archived_channel(&mut self, start: &str, number: u32) -> Result<Option<Exchange>, String> {
        match self {
            Wire::Net => Ok(None),
            Wire::Archive(tape) => {
                let kept = next(tape, number, start, |kept| {
                    kept.exchange.request.start.starts_with(start)
                })?;
                Ok(Some(Arc::unwrap_or_clone(kept.exchange)))
            }
        }
    }

    /// Sends octets that need not be HTTP and takes what comes back.
    ///
    /// # Errors
    /// As [`Wire::exchange`].
    pub async fn raw(
        &mut self,
        target: &ServerTarget,
        octets: &str,
        number: u32,
    ) -> Result<Exchange, String> {
        match self {
            Wire::Net => Ok(raw_over_the_net(target, octets, number).await),
            Wire::Archive(tape) => {
                let kept = next(tape, number, "the octets", |kept| {
                    kept.exchange.request.start == RAW
                })?;
                Ok(Arc::unwrap_or_clone(kept.exchange))
            }
        }
    }
}

/// Takes the next one if it fits; one that does not stays, for a later step that it may belong to.
fn next(
    tape: &mut VecDeque<ArchivedExchange>,
    number: u32,
    wanted: &str,
    fits: impl Fn(&ArchivedExchange) -> bool,
) -> Result<ArchivedExchange, String> {
    let Some(first) = tape.front() else {
        return Err(format!(
            "the archive holds no {wanted}: it ends before exchange {number}"
        ));
    };
    if !fits(first) {
        return Err(format!(
            "the archive holds no {wanted}: exchange {number} is {}",
            primitives(&first.exchange.request.body)
        ));
    }
    tape.pop_front()
        .ok_or_else(|| format!("the archive holds no {wanted}"))
}

fn primitives(body: &[u8]) -> String {
    reread(body)
        .and_then(|m| Envelope::of(&m.tree).map(|e| e.primitives()))
        .unwrap_or_else(|| "the octets".to_owned())
}

/// Digests that nobody has, of the lengths that there are: MD5 and shorter ones, SHA-1.
const SOME_DIGESTS: [&str; 2] = ["AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="];

/// The body of the request, with a digest of the right form where one was masked and, where it can be
/// told, a password of the right length: then what follows stands where it stood.
pub fn filled(kept: &ArchivedExchange) -> Vec<u8> {
    let body = &kept.exchange.request.body;
    let loss = &kept.archived.request;
    let text = match std::str::from_utf8(body) {
        Ok(text) if loss.masked => text,
        _ => return body.clone(),
    };
    let with = |digest: &str| {
        let (from, to) = (format!("DigestBytes>{MASK}<"), format!("DigestBytes>{digest}<"));
        text.replace(&from, &to)
    };
    let texts = SOME_DIGESTS.map(with);
    let fits = texts.iter().find(|t| t.len() == loss.octets);
    let filled = fits.unwrap_or(&texts[0]);
    let password = format!("Password>{MASK}<");
    let rest = loss.octets.saturating_add(MASK.len()).checked_sub(filled.len());
    match rest {
        // What an archive says of its octets may be anything.
        Some(length @ 1..=MAX_SHOWN_BODY) if filled.matches(MASK).count() == 1 => {
            filled.replace(&password, &format!("Password>{}<", "x".repeat(length)))
        }
        _ => filled.clone(),
    }
    .into_bytes()
}

async fn over_the_net(target: &ServerTarget, encoded: &Encoded, number: u32) -> Turn {
    let mut headers = target.headers.clone();
    if !encoded.media_type.is_empty() {
        headers.push(("Content-Type".to_owned(), encoded.media_type.clone()));
    }
    target.pace.wait().await;
    let since = Instant::now();
    let (request, response) = client::exchange(
        &target.address,
        Outgoing {
            method: &encoded.method,
            headers: &headers,
            body: encoded.body.clone(),
            framing: if encoded.chunked {
                Framing::Chunked
            } else {
                Framing::Length
            },
            expect_continue: encoded.expect_continue,
        },
        target.response,
    )
    .await;
    Turn {
        exchange: Exchange {
            number,
            initiator: Initiator::Tester,
            request,
            response,
            started_ms: millis(since.duration_since(target.epoch)),
            duration_ms: millis(since.elapsed()),
            moment: None,
        },
        sent: encoded.body.clone(),
    }
}

async fn raw_over_the_net(target: &ServerTarget, octets: &str, number: u32) -> Exchange {
    target.pace.wait().await;
    let since = Instant::now();
    let answer = raw::exchange(&target.address, octets.as_bytes(), target.response).await;
    let response = match answer {
        Err(failure) => Err(failure),
        Ok(body) if body.is_empty() => Err(Failure::Closed("no octet came back".to_owned())),
        Ok(body) => Ok(HttpMessage {
            start: "(octets as they came)".to_owned(),
            body,
            ..HttpMessage::default()
        }),
    };
    Exchange {
        number,
        initiator: Initiator::Tester,
        request: HttpMessage {
            start: RAW.to_owned(),
            body: octets.as_bytes().to_vec(),
            ..HttpMessage::default()
        },
        response,
        started_ms: millis(since.duration_since(target.epoch)),
        duration_ms: millis(since.elapsed()),
        moment: None,
    }
}
