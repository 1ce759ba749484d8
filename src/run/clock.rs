//! The clock of a run. Against the embedded reference time can be skipped: both sides read the same
//! clock, so that a case about minutes takes none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

/// Milliseconds since the run began, with what was skipped.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Instant,
    /// Milliseconds skipped so far; none when time cannot be skipped.
    skipped: Option<Arc<AtomicU64>>,
    /// Who skips time is alone: it would end the sessions of others.
    turns: Arc<RwLock<()>>,
}

/// Held by a case while it runs.
#[derive(Debug)]
pub enum Turn {
    /// Others may run besides.
    Shared(OwnedRwLockReadGuard<()>),
    /// Nobody else runs.
    Alone(OwnedRwLockWriteGuard<()>),
    /// The clock cannot be skipped.
    Free,
}

impl Clock {
    /// A clock that only time moves: a peer outside this process has its own.
    pub fn real(epoch: Instant) -> Self {
        Self {
            epoch,
            skipped: None,
            turns: Arc::default(),
        }
    }

    /// A clock that can be moved on, for peers that read it too.
    pub fn skipping(epoch: Instant) -> Self {
        Self {
            epoch,
            skipped: Some(Arc::default()),
            turns: Arc::default(),
        }
    }

    /// The same clock for a pair of peers of its own: what one case skips is nothing to the others.
    pub fn apart(&self) -> Self {
        Self {
            epoch: self.epoch,
            skipped: self.skipped.as_ref().map(|_| Arc::default()),
            turns: Arc::clone(&self.turns),
        }
    }

    /// Whether time can be skipped.
    pub fn skips(&self) -> bool {
        self.skipped.is_some()
    }

    /// Now, in milliseconds since the run began.
    pub fn now_ms(&self) -> u64 {
        let skipped = self.skipped.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
        super::conclude::millis(self.epoch.elapsed()) + skipped
    }

    /// Waits until a case may run, alone if it lets time pass.
    pub async fn turn(&self, lets_time_pass: bool) -> Turn {
        let turns = Arc::clone(&self.turns);
        match (&self.skipped, lets_time_pass) {
            (None, _) => Turn::Free,
            (Some(_), true) => Turn::Alone(turns.write_owned().await),
            (Some(_), false) => Turn::Shared(turns.read_owned().await),
        }
    }

    /// Lets so much time go by.
    pub async fn pass(&self, time: Duration) {
        match &self.skipped {
            Some(skipped) => {
                skipped.fetch_add(super::conclude::millis(time), Ordering::SeqCst);
            }
            None => tokio::time::sleep(time).await,
        }
    }
}
