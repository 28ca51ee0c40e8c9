//! How a running service is told to stop, and where it takes time and chance from.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use events::Timestamp;

use crate::broker::LogError;
use crate::seams::{Chance, Clock};

/// A wish to stop, shared by whoever may utter it and all who heed it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Asks everybody to stop, once and for all.
    pub fn request(&self) {
        let (wish, heard) = &*self.0;
        *wish.lock().unwrap_or_else(PoisonError::into_inner) = true;
        heard.notify_all();
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody asks, at most `wait`; says whether somebody has.
    #[must_use]
    pub fn wait(&self, wait: Duration) -> bool {
        let (wish, heard) = &*self.0;
        let wish = wish.lock().unwrap_or_else(PoisonError::into_inner);
        let (wish, _) = heard
            .wait_timeout_while(wish, wait, |wish| !*wish)
            .unwrap_or_else(PoisonError::into_inner);
        *wish
    }
}

/// The wall clock. Tests and the simulator have others.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness. Tests and the simulator have a seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks for random bits")]
    fn bits(&self) -> Result<[u8; 16], LogError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)
            .map_err(|error| LogError::Lost(format!("the system gives no random bits: {error}")))?;
        Ok(bits)
    }
}
