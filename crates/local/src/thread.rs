//! The writer's thread.

use std::sync::Mutex;
use std::time::Instant;

use crate::request::Queue;
use crate::view::View;
use crate::writer::Writer;

/// What the writer's thread does until the queue is closed and empty: it writes what nobody else does,
/// and what is due by the clock.
pub(crate) fn run(writer: &Mutex<Writer>, queue: &Queue, view: &View) {
    let mut due = Instant::now();
    while queue.wait(due) {
        let Ok(mut writer) = writer.lock() else { return panicked(queue, view) };
        // It is awake.
        writer.thread_due = due.min(Instant::now());
        writer.turn();
        if writer.sweep_at <= Instant::now() {
            writer.sweep();
        }
        due = writer.due();
        writer.thread_due = due;
    }
    match writer.lock() {
        // What waits for a sync is not left behind.
        Ok(mut writer) => {
            let group = writer.group();
            writer.finish(group).ok();
        }
        Err(_) => panicked(queue, view),
    }
}

/// Whoever was writing has panicked, in the middle of a batch that was not committed: what the writer
/// knows is no longer what is stored.
pub(crate) fn panicked(queue: &Queue, view: &View) {
    let why = "the embedded log's writer has panicked; see the log, and start again";
    queue.fail(why);
    view.stop(why);
}
