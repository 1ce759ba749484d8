//! The server under test: where it is and how to speak to it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::peer::Credentials;
use crate::transport::client::Address;

use super::clock::Clock;
use super::guest::Guest;
use super::ssp_steps::SspTarget;

/// The server under test and how to speak to it.
#[derive(Debug)]
pub struct ServerTarget {
    /// Where it is.
    pub address: Address,
    /// Header fields that provisioning asks for.
    pub headers: Vec<(String, String)>,
    /// Accounts by name.
    pub accounts: BTreeMap<String, Credentials>,
    /// ClientID to use; made up per session when none.
    pub client_id: Option<String>,
    /// How long to wait for an answer.
    pub response: Duration,
    /// Spaces requests out.
    pub pace: Pace,
    /// Word in everything that this run creates.
    pub run_id: String,
    /// When the run began.
    pub epoch: Instant,
    /// The clock that cases about time go by.
    pub clock: Clock,
    /// Longest that one wait may take.
    pub longest_wait: Duration,
    /// How long to wait for what must not come, where no later message proves the silence.
    pub quiet: Duration,
    /// Domain of the accounts, where the profile tells it.
    pub domain: Option<String>,
    /// Manners, shared by all cases.
    pub guest: Guest,
    /// Its other side, where it is tested by SSP.
    pub ssp: Option<SspTarget>,
}

/// Keeps requests apart.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: tokio::sync::Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many requests a second; none for no limit.
    pub fn new(rate: Option<f64>) -> Self {
        Self {
            gap: rate.map_or(Duration::ZERO, |r| Duration::from_secs_f64(1.0 / r)),
            next: tokio::sync::Mutex::new(None),
        }
    }

    /// Waits until the next request may go out.
    pub async fn wait(&self) {
        if self.gap.is_zero() {
            return;
        }
        let mut next = self.next.lock().await;
        let now = Instant::now();
        let at = next.unwrap_or(now).max(now);
        *next = Some(at + self.gap);
        drop(next);
        // Timers count milliseconds; what is less adds up until it is worth a sleep.
        if at.duration_since(now) >= Duration::from_millis(1) {
            tokio::time::sleep_until(at).await;
        }
    }
}
