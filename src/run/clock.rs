//! The clock of a run. Against the embedded reference time can be skipped: both sides read the same
//! clock, so that a case about minutes takes none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Milliseconds since the run began, with what was skipped.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Instant,
    /// Milliseconds skipped so far; none when time cannot be skipped.
    skipped: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// A clock that only time moves: a peer outside this process has its own.
    pub fn real(epoch: Instant) -> Self {
        Self { epoch, skipped: None }
    }

    /// A clock that can be moved on, for peers that read it too.
    pub fn skipping(epoch: Instant) -> Self {
        Self {
            epoch,
            skipped: Some(Arc::default()),
        }
    }

    /// Now, in milliseconds since the run began.
    pub fn now_ms(&self) -> u64 {
        let skipped = self.skipped.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
        super::conclude::millis(self.epoch.elapsed()) + skipped
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
