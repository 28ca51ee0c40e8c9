//! What a lane takes from the world beside its broker.

use std::time::Duration;

use events::Timestamp;

use crate::broker::LogError;
use crate::stop::Stop;

/// The time. The one place from which `stream` and the services take it.
pub trait Clock: Send + Sync + 'static {
    /// Now, by the wall.
    fn now(&self) -> Timestamp;

    /// Waits until somebody asks to stop, at most `wait`; says whether somebody has.
    #[must_use]
    fn wait(&self, stop: &Stop, wait: Duration) -> bool {
        stop.wait(wait)
    }
}

/// Chance. The one place from which `stream` takes it.
pub trait Chance: Send + Sync + 'static {
    /// 128 bits that nobody else gets.
    ///
    /// # Errors
    /// `Lost` where there are none to be had.
    fn bits(&self) -> Result<[u8; 16], LogError>;
}
