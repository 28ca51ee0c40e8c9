//! How a running service is told to stop, and where it takes time and chance from.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use events::Timestamp;

use crate::broker::LogError;
use crate::seams::{Chance, Clock};

/// A wish to stop, shared by whoever may utter it and all who heed it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<Wish>, Condvar)>);

#[derive(Debug, Default)]
struct Wish {
    uttered: bool,
    /// Futures that wait for it.
    waiting: Vec<Waker>,
}

impl Stop {
    /// Asks everybody to stop, once and for all.
    pub fn request(&self) {
        let mut wish = self.lock();
        wish.uttered = true;
        wish.waiting.drain(..).for_each(Waker::wake);
        self.0.1.notify_all();
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.lock().uttered
    }

    /// Waits until somebody asks, at most `wait`; says whether somebody has.
    #[must_use]
    pub fn wait(&self, wait: Duration) -> bool {
        let (_, heard) = &*self.0;
        let (wish, _) = heard
            .wait_timeout_while(self.lock(), wait, |wish| !wish.uttered)
            .unwrap_or_else(PoisonError::into_inner);
        wish.uttered
    }

    /// Waits until somebody asks, for tasks that must not hold up a thread.
    pub fn heard(&self) -> impl Future<Output = ()> + Send + 'static {
        let stop = self.clone();
        poll_fn(move |context| {
            let mut wish = stop.lock();
            if wish.uttered {
                return Poll::Ready(());
            }
            if !wish.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                wish.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
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
