//! What the writer is asked, and the queue in which it waits.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use events::{Offset, Partition, Topic};
use stream::{Created, LogError, Purpose, SendError, Settled, Then, Ticket};

use crate::answer::answer;
use crate::codec::TopicId;
use crate::limits::{BATCH_BYTES_MAX, BATCH_REQUESTS_MAX, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX};
use crate::outlet::Tray;
use crate::view::lock;

/// Where an answer goes.
pub(crate) type Reply<T> = SyncSender<Result<T, LogError>>;

/// A record to be stored, without its time.
pub(crate) struct Stamped {
    pub(crate) stored: Vec<u8>,
    pub(crate) bytes: usize,
}

/// A record to be sent.
pub(crate) struct Sending {
    pub(crate) topic: Topic,
    pub(crate) partition: Option<Partition>,
    pub(crate) key: Option<Bytes>,
    pub(crate) record: Result<Stamped, SendError>,
}

/// What the writer is asked.
pub(crate) enum Request {
    Append {
        topic: TopicId,
        lane: Partition,
        entries: Vec<Stamped>,
        reply: Reply<Vec<Option<Offset>>>,
    },
    Send {
        sends: Vec<(Ticket, Vec<Sending>)>,
        tray: Arc<Tray>,
    },
    Put {
        record: Sending,
        then: Then,
    },
    Fence {
        lane: Partition,
        reply: Reply<u64>,
    },
    Snapshot {
        lane: Partition,
        holder: u64,
        changes: Vec<(Vec<u8>, Option<Bytes>)>,
        reply: Reply<()>,
    },
    Commit {
        offsets: Vec<(Vec<u8>, Offset)>,
    },
    Flush {
        reply: Reply<()>,
    },
    Trim {
        topic: TopicId,
        partition: Partition,
        below: Offset,
        reply: Reply<()>,
    },
    Create {
        topic: Topic,
        purpose: Purpose,
        reply: Reply<Created>,
    },
}

impl Request {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|entry| entry.stored.len()).sum(),
            Self::Send { sends, .. } => sends
                .iter()
                .flat_map(|(_, records)| records)
                .map(|record| record.record.as_ref().map_or(0, |record| record.stored.len()))
                .sum(),
            Self::Put { record, .. } => {
                record.record.as_ref().map_or(0, |record| record.stored.len())
            }
            Self::Snapshot { changes, .. } => changes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len))
                .sum(),
            Self::Fence { .. }
            | Self::Commit { .. }
            | Self::Flush { .. }
            | Self::Trim { .. }
            | Self::Create { .. } => 0,
        }
    }
}

impl Request {
    /// Whether somebody waits for it to be on the disk.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Send { .. } | Self::Commit { .. } => false,
            Self::Append { .. }
            | Self::Put { .. }
            | Self::Fence { .. }
            | Self::Snapshot { .. }
            | Self::Flush { .. }
            | Self::Trim { .. }
            | Self::Create { .. } => true,
        }
    }

    /// Says that it was never tried.
    fn refuse(self, why: &str) {
        let lost = || LogError::Lost(why.to_owned());
        match self {
            Self::Append { reply, .. } => answer(&reply, Err(lost())),
            Self::Send { sends, tray } => {
                let failed = |(ticket, records): (Ticket, Vec<Sending>)| {
                    (0..records.len()).map(move |index| Settled::Failed {
                        ticket,
                        index,
                        // Not `Never`: it can be sent when the log is open again.
                        error: SendError::InDoubt(why.to_owned()),
                    })
                };
                tray.put(sends.into_iter().flat_map(failed).collect());
            }
            Self::Put { then, .. } => then(Err(SendError::InDoubt(why.to_owned()))),
            Self::Fence { reply, .. } => answer(&reply, Err(lost())),
            Self::Snapshot { reply, .. } | Self::Trim { reply, .. } | Self::Flush { reply } => {
                answer(&reply, Err(lost()));
            }
            Self::Create { reply, .. } => answer(&reply, Err(lost())),
            Self::Commit { .. } => {}
        }
    }
}

/// What waits to be written. Whoever finds the writer free takes it all and writes it; the writer's
/// thread does where nobody else does.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    room: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    /// Whether the writer's thread is to look.
    called: bool,
    /// Whether it waits, and how many wait for room: waking costs a call of the system even where nobody does.
    awaits_work: bool,
    await_room: usize,
    /// No more requests, and why.
    closed: Option<String>,
}

impl Waiting {
    fn put(&mut self, request: Request) {
        self.bytes += request.bytes();
        self.requests.push_back(request);
    }
}

impl Queue {
    /// Puts a request in; waits for room where too much is waiting already. Nobody is called.
    ///
    /// # Errors
    /// `Lost`, with the reason, where nothing is written any more.
    pub(crate) fn push(&self, request: Request) -> Result<(), LogError> {
        let mut waiting = lock(&self.waiting);
        while waiting.closed.is_none()
            && (waiting.bytes > QUEUE_BYTES_MAX || waiting.requests.len() >= QUEUE_REQUESTS_MAX)
        {
            self.call_thread(&mut waiting);
            waiting.await_room += 1;
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.await_room -= 1;
        }
        if let Some(why) = &waiting.closed {
            return Err(LogError::Lost(why.clone()));
        }
        waiting.put(request);
        Ok(())
    }

    /// Puts a request in without waiting, whatever is waiting already; or refuses it where nothing is written any
    /// more.
    pub(crate) fn push_unbounded(&self, request: Request) {
        let mut waiting = lock(&self.waiting);
        match waiting.closed.clone() {
            None => waiting.put(request),
            Some(why) => {
                drop(waiting);
                request.refuse(&why);
            }
        }
    }

    /// Has the writer's thread look.
    pub(crate) fn call(&self) {
        self.call_thread(&mut lock(&self.waiting));
    }

    /// Has the writer's thread look, where something is left.
    pub(crate) fn call_for_rest(&self) {
        let mut waiting = lock(&self.waiting);
        if !waiting.requests.is_empty() {
            self.call_thread(&mut waiting);
        }
    }

    fn call_thread(&self, waiting: &mut Waiting) {
        waiting.called = true;
        if waiting.awaits_work {
            self.work.notify_one();
        }
    }

    /// Takes no more requests; what is in is still done.
    pub(crate) fn close(&self, why: &str) {
        lock(&self.waiting).closed.get_or_insert_with(|| why.to_owned());
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Takes no more requests, and refuses what is in.
    pub(crate) fn fail(&self, why: &str) {
        self.close(why);
        loop {
            let requests = self.take();
            if requests.is_empty() {
                return;
            }
            requests.into_iter().for_each(|request| request.refuse(why));
        }
    }

    /// Waits until the writer's thread is called, or `until`; says whether it is to go on.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        let mut waiting = lock(&self.waiting);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if std::mem::take(&mut waiting.called) || left.is_zero() {
                return true;
            }
            if waiting.closed.is_some() {
                return !waiting.requests.is_empty();
            }
            waiting.awaits_work = true;
            waiting =
                self.work.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
            waiting.awaits_work = false;
        }
    }

    /// What is waiting, up to the bounds of a batch.
    pub(crate) fn take(&self) -> Vec<Request> {
        let mut waiting = lock(&self.waiting);
        let mut requests = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX
            && requests.len() < BATCH_REQUESTS_MAX
            && let Some(request) = waiting.requests.pop_front()
        {
            bytes += request.bytes();
            requests.push(request);
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        if waiting.await_room > 0 {
            self.room.notify_all();
        }
        requests
    }
}
