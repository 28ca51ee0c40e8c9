//! Clients that are being closed.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::deliveries::lock;

/// Closes clients on threads of their own: a consumer takes 100 ms and more for it, and nobody who reads need
/// wait for that. The last handle waits until all are closed, so that none is left when the process ends.
#[derive(Clone, Default)]
pub(crate) struct Partings(Arc<Closing>);

#[derive(Default)]
struct Closing(Mutex<Vec<JoinHandle<()>>>);

impl Partings {
    /// Closes a client by and by.
    pub(crate) fn close(&self, client: impl Send + 'static) {
        let closing = std::thread::Builder::new().name("kafka-close".to_owned());
        // Where the system gives no thread, the client is closed at once.
        let Ok(closing) = closing.spawn(move || drop(client)) else { return };
        let mut open = lock(&self.0.0);
        open.retain(|closing| !closing.is_finished());
        open.push(closing);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        for closing in lock(&self.0).drain(..) {
            // A panic in there has been printed; the client is gone either way.
            let _ = closing.join();
        }
    }
}
