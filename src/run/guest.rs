//! Manners at a server that is not ours: what was begun is cleaned up when the run is to end, and no
//! account is locked by wrong logins.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by all cases of a run.
#[derive(Debug)]
pub struct Guest {
    leaving: AtomicBool,
    told: Notify,
    /// Most wrong logins of one account in a row.
    limit: u32,
    /// Wrong logins in a row, by user in lower case.
    wrong: Mutex<BTreeMap<String, u32>>,
    /// Who has the accounts: one case alone, or several that leave nothing behind.
    accounts: RwLock<()>,
}

/// A case's hold on the accounts, until it is dropped.
#[derive(Debug)]
pub enum Hold<'g> {
    /// Nobody else uses them.
    Alone {
        /// Held until the case ends.
        _guard: RwLockWriteGuard<'g, ()>,
    },
    /// Others use them as well.
    Shared {
        /// Held until the case ends.
        _guard: RwLockReadGuard<'g, ()>,
    },
}

impl Guest {
    /// A guest who tries at most so many wrong logins of one account in a row.
    pub fn new(limit: u32) -> Self {
        Self {
            leaving: AtomicBool::new(false),
            told: Notify::new(),
            limit,
            wrong: Mutex::default(),
            accounts: RwLock::new(()),
        }
    }

    /// Waits until a case may use the accounts.
    pub async fn accounts(&self, alone: bool) -> Hold<'_> {
        match alone {
            true => Hold::Alone {
                _guard: self.accounts.write().await,
            },
            false => Hold::Shared {
                _guard: self.accounts.read().await,
            },
        }
    }

    /// A guest of the embedded reference or of an archive, which lock nobody.
    pub fn at_home() -> Self {
        Self::new(u32::MAX)
    }

    /// Asks everybody to end what they do: cases end at their next step, and clean up.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    /// Whether the run is to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Waits until the run is to end.
    pub async fn asked_to_leave(&self) {
        let told = self.told.notified();
        if !self.is_leaving() {
            told.await;
        }
    }

    /// Whether one more wrong login of a user may be tried; the reason if not.
    ///
    /// # Errors
    /// The limit and how it is set.
    pub fn may_fail(&self, user: &str) -> Result<(), String> {
        let count = self.lock().get(&user.to_lowercase()).copied().unwrap_or(0);
        if count < self.limit {
            return Ok(());
        }
        Err(format!(
            "{count} wrong logins in a row were refused for this account, and limits.wrong_logins of the profile is {}: \
             one more could lock it",
            self.limit
        ))
    }

    /// Notes how a login of a user ended.
    pub fn login_ended(&self, user: &str, well: bool) {
        let mut wrong = self.lock();
        let count = wrong.entry(user.to_lowercase()).or_default();
        *count = if well { 0 } else { *count + 1 };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u32>> {
        // A panic elsewhere leaves whole numbers.
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_logins_count_in_a_row() {
        let guest = Guest::new(2);
        for _ in 0..2 {
            assert!(guest.may_fail("wv:A@x").is_ok());
            guest.login_ended("wv:a@x", false);
        }
        assert!(
            guest
                .may_fail("wv:a@x")
                .unwrap_err()
                .contains("limits.wrong_logins")
        );
        assert!(guest.may_fail("wv:b@x").is_ok());
        guest.login_ended("WV:a@x", true);
        assert!(guest.may_fail("wv:a@x").is_ok());
        assert!(Guest::new(0).may_fail("wv:a@x").is_err());
    }
}
