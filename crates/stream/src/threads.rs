//! Where a process has its threads from.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::broker::LogError;

/// The one place from which `stream` takes threads: the operating system's, or in the simulator ones that take
/// turns, so that a seed decides who goes on when.
pub trait Threads: Send + Sync + 'static {
    /// Starts a thread.
    ///
    /// # Errors
    /// `Lost` where the system gives none.
    fn start(
        &self,
        name: String,
        run: Box<dyn FnOnce() + Send>,
    ) -> Result<Box<dyn Thread>, LogError>;

    /// Calls `step` until it says that it is done; others go on between. `step` may block for as long as it
    /// is told, and no longer.
    fn until_done(&self, step: &mut dyn FnMut(Duration) -> bool);
}

/// A thread that was started.
pub trait Thread: Send {
    /// Whether it has ended.
    fn is_finished(&self) -> bool;

    /// Waits until it has ended; says whether it did so without a panic.
    fn join(self: Box<Self>) -> bool;
}

/// The operating system's threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemThreads;

/// One step of [`Threads::until_done`]: nothing but its own `step` wakes a thread, so this bounds nothing else.
const STEP: Duration = Duration::from_secs(1);

impl Threads for SystemThreads {
    fn start(
        &self,
        name: String,
        run: Box<dyn FnOnce() + Send>,
    ) -> Result<Box<dyn Thread>, LogError> {
        let started = std::thread::Builder::new().name(name).spawn(run);
        let no_thread = |error| LogError::Lost(format!("the system gives no thread: {error}"));
        Ok(Box::new(started.map_err(no_thread)?))
    }

    fn until_done(&self, step: &mut dyn FnMut(Duration) -> bool) {
        while !step(STEP) {}
    }
}

impl Thread for JoinHandle<()> {
    fn is_finished(&self) -> bool {
        JoinHandle::is_finished(self)
    }

    fn join(self: Box<Self>) -> bool {
        JoinHandle::join(*self).is_ok()
    }
}
