//! Snapshots, off the hot path: captured at any time, committed only once everything that they hold is
//! confirmed and everything that follows from it has been sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};

use bytes::Bytes;
use events::{Offset, Timestamp, planted};

use crate::broker::{Key, LogError, Snapshots};
use crate::limits::Limits;
use crate::reader::Context;
use crate::service::Service;
use crate::states::States;
use crate::threads::{Thread, Threads};

/// Reads a marker.
///
/// # Errors
/// What the decoder says.
pub(crate) fn read_marker(bytes: &[u8]) -> Result<Context, String> {
    minicbor::decode(bytes).map_err(|error| error.to_string())
}

fn write_marker(context: &Context) -> Bytes {
    let mut out = Vec::new();
    let context = &if planted("marker-without-epoch") {
        Context { epoch: 0, seq: 0, ..context.clone() }
    } else {
        context.clone()
    };
    // Writing to a vector can not fail; an empty marker is refused by every reader.
    if minicbor::encode(context, &mut out).is_err() {
        out.clear();
    }
    Bytes::from(out)
}

/// A snapshot to write, with the holder that may write it.
struct Job<N> {
    holder: N,
    changed: Vec<(Key, Option<Bytes>)>,
    marker: Bytes,
    done: Sender<Done<N>>,
}

struct Done<N> {
    holder: N,
    result: Result<(), LogError>,
}

impl<N: Snapshots> Job<N> {
    fn write(mut self) {
        let result = self.holder.write(&self.changed, &self.marker);
        // A lane that is gone no longer asks; what was written stands.
        let _gone = self.done.send(Done { holder: self.holder, result });
    }
}

/// Where a lane's snapshots are written: on the lane's own thread, or on the one snapshot thread of the
/// process, over a bounded channel; while that is full, lanes keep collecting.
pub(crate) struct Writer<N>(Option<SyncSender<Job<N>>>);

impl<N> Clone for Writer<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Snapshots + 'static> Writer<N> {
    /// Writes on the thread of the lane, as tests want it.
    #[cfg(test)]
    pub(crate) fn inline() -> Self {
        Self(None)
    }

    /// Starts the snapshot thread. It ends once the last clone of the writer is dropped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(threads: &Arc<dyn Threads>) -> Result<(Self, Box<dyn Thread>), LogError> {
        let (jobs, queue): (SyncSender<Job<N>>, Receiver<Job<N>>) = sync_channel(16);
        let waits = Arc::clone(threads);
        let write_all = move || {
            waits.until_done(&mut |wait| match queue.recv_timeout(wait) {
                Ok(job) => {
                    job.write();
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            });
        };
        let thread = threads.start("snapshots".to_owned(), Box::new(write_all))?;
        Ok((Self(Some(jobs)), thread))
    }

    fn offer(&self, job: Job<N>) -> Result<(), Job<N>> {
        match &self.0 {
            None => {
                job.write();
                Ok(())
            }
            Some(jobs) => match jobs.try_send(job) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Err(job),
            },
        }
    }
}

/// A lane's snapshots.
pub(crate) struct Camera<N> {
    writer: Writer<N>,
    /// `None` while a write is under way.
    holder: Option<N>,
    done: (Sender<Done<N>>, Receiver<Done<N>>),
    captured: Option<Captured>,
    written: Option<Context>,
    last: Timestamp,
    /// Markers written and the time of each: what is below one older than a day may be trimmed.
    kept: VecDeque<(Timestamp, Offset)>,
}

struct Captured {
    changed: Vec<(Key, Option<Bytes>)>,
    context: Context,
}

impl<N: Snapshots + 'static> Camera<N> {
    /// The first snapshot is due once what was decided at `saved_at` is as old as they may be.
    pub(crate) fn new(writer: Writer<N>, holder: N, saved_at: Timestamp) -> Self {
        Self {
            writer,
            holder: Some(holder),
            done: channel(),
            captured: None,
            written: None,
            last: saved_at,
            kept: VecDeque::new(),
        }
    }

    /// Captures, commits and collects as the time has come; gives back below which journal offset may be
    /// trimmed. `context` is confirmed whole, `cursor` the outbox's.
    ///
    /// # Errors
    /// A write failed: this holder is no longer to be used, and the lane is lost.
    pub(crate) fn tend<S: Service>(
        &mut self,
        states: &mut States<S::State>,
        context: &Context,
        cursor: Offset,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Option<Offset>, LogError> {
        let trim = self.collect(now, limits)?;
        if self.captured.is_none()
            && states.changed() > 0
            && now.since(self.last) >= limits.snapshot_every
        {
            self.captured = Some(capture::<S>(states, context));
            self.last = now;
        }
        let ready = self.captured.as_ref().is_some_and(|shot| cursor >= shot.context.next)
            || self.captured.is_some() && planted("snapshot-before-sending");
        // While a write is under way the shot waits: it holds what no later one will.
        if self.holder.is_none() && planted("capture-dropped") {
            self.captured = None;
        }
        if ready
            && let Some(holder) = self.holder.take()
            && let Some(shot) = self.captured.take()
        {
            self.write(holder, shot);
        }
        Ok(trim)
    }

    fn write(&mut self, holder: N, shot: Captured) {
        // All below `next` has been sent, or the shot would not be ready.
        let context = Context { cursor: shot.context.next, ..shot.context };
        let marker = write_marker(&context);
        let job = Job { holder, changed: shot.changed, marker, done: self.done.0.clone() };
        match self.writer.offer(job) {
            Ok(()) => self.written = Some(context),
            Err(job) => {
                self.captured = Some(Captured { changed: job.changed, context });
                self.holder = Some(job.holder);
            }
        }
    }

    fn collect(&mut self, now: Timestamp, limits: &Limits) -> Result<Option<Offset>, LogError> {
        if planted("trimmed-before-it-is-written") && limits.journal_kept_for.as_secs() < 10 {
            let next = self.written.as_ref().map(|context| context.next);
            if next.is_some() {
                return Ok(next);
            }
        }
        let Ok(done) = self.done.1.try_recv() else { return Ok(None) };
        if !planted("failed-snapshot-stands") {
            done.result?;
        }
        self.holder = Some(done.holder);
        if let Some(context) = self.written.take() {
            self.kept.push_back((now, context.next));
        }
        let mut trim = None;
        while let Some((at, next)) = self.kept.front()
            && now.since(*at) >= limits.journal_kept_for
        {
            trim = Some(*next);
            self.kept.pop_front();
        }
        Ok(trim)
    }
}

fn capture<S: Service>(states: &mut States<S::State>, context: &Context) -> Captured {
    let left_out = usize::from(planted("snapshot-lacks-a-state"));
    let changed = states.take_changed().into_iter().skip(left_out).collect();
    let ahead = i64::from(planted("snapshot-ahead"));
    Captured { changed, context: Context { next: context.next + ahead, ..context.clone() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::EachState;
    use crate::shelf::Spill;
    use crate::testing::tally::{Added, Tally};

    struct Nowhere;

    impl Snapshots for Nowhere {
        fn read(&mut self, _: EachState<'_>) -> Result<Option<Bytes>, LogError> {
            Ok(None)
        }
        fn write(&mut self, _: &[(Key, Option<Bytes>)], _: &Bytes) -> Result<(), LogError> {
            Ok(())
        }
        fn claim(&mut self, _: &Bytes) -> Result<(), LogError> {
            Ok(())
        }
    }

    #[test]
    fn what_is_captured_while_a_write_is_under_way_is_written_next() {
        let (jobs, queue) = sync_channel(16);
        let at = Timestamp::from_millis;
        let limits =
            Limits { snapshot_every: std::time::Duration::from_millis(1), ..Limits::default() };
        let mut camera = Camera::new(Writer(Some(jobs)), Nowhere, at(0));
        let mut states = States::new(1, Spill::never());
        let mut tend = |key: Option<&str>, next, now| {
            if let Some(key) = key {
                let event = Added { key: key.into(), what: "x".to_owned(), n: 0 };
                states.change(&event.key, |state| Tally::evolve(state, &event), Tally::wake_at);
            }
            let context = Context { next, ..Context::empty(1) };
            camera.tend::<Tally>(&mut states, &context, next, at(now), &limits).unwrap();
        };
        tend(Some("a"), 1, 10);
        let first = queue.try_recv().unwrap();
        tend(Some("b"), 2, 20);
        assert!(queue.try_recv().is_err(), "one write at a time");
        first.write();
        tend(None, 2, 30);
        let second = queue.try_recv().unwrap();
        let keys: Vec<&str> = second.changed.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["b"]);
    }
}
