//! Trouble on purpose, around a service that has none.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Agent, Answer, Asked, Command, Failure, LedgerError};
use events::AgentName;
use stream::Stop;

use crate::inventory::SLOW;

/// How a service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Of so many dos each last one is refused, retryable, before anything is touched.
    Flaky {
        /// How many.
        every: NonZeroU64,
    },
    /// A do is done and then not spoken of for so long: past its timeout, the task is in doubt.
    Slow {
        /// How long.
        by: Duration,
    },
}

/// How long an order is kept waiting that names an article beginning with `slow-`: long enough that
/// its payment has been made when its stock is refused.
pub const SLOW_BY: Duration = Duration::from_millis(400);

/// A service with a mood.
pub(crate) struct Moody {
    service: Arc<dyn Agent>,
    mood: Arc<Mutex<Mood>>,
    dos: AtomicU64,
    stop: Stop,
}

impl Moody {
    pub(crate) fn new(service: Arc<dyn Agent>, mood: Arc<Mutex<Mood>>, stop: Stop) -> Self {
        Self { service, mood, dos: AtomicU64::new(0), stop }
    }

    /// Who is asked to stop need not wait for what is only dawdling; what was done stays done.
    fn dawdle(&self, by: Duration) {
        let _asked_to_stop = self.stop.wait(by);
    }
}

impl Agent for Moody {
    fn name(&self) -> &AgentName {
        self.service.name()
    }

    fn answer(&self, command: &Command) -> Result<Answer, LedgerError> {
        if command.asked != Asked::Do {
            return self.service.answer(command);
        }
        if has_slow_article(command) {
            self.dawdle(SLOW_BY);
        }
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        match mood {
            Mood::Well => self.service.answer(command),
            Mood::Flaky { every } => {
                let nth = self.dos.fetch_add(1, Ordering::Relaxed) + 1;
                if nth.is_multiple_of(every.get()) {
                    let failure = Failure::retryable("unwell", "flaky on purpose");
                    return Ok(Answer::Failed(failure));
                }
                self.service.answer(command)
            }
            Mood::Slow { by } => {
                let answer = self.service.answer(command);
                self.dawdle(by);
                answer
            }
        }
    }
}

fn has_slow_article(command: &Command) -> bool {
    let lines = command.value.get("lines").and_then(|lines| lines.as_array());
    let mut skus = lines.into_iter().flatten().filter_map(|line| line.get("sku")?.as_str());
    skus.any(|sku| sku.starts_with(SLOW))
}
