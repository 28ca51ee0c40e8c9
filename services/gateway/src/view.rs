//! The gateway's view: every workflow's history, folded from the topic `events`.
//!
//! It lives in memory and is built anew at each start. Workflows under way are all kept; of those that
//! have ended, the newest, up to a number and an amount of history.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::{Json, Lifecycle, Run, SagaName, SchemaName, Timestamp, Version, What, WorkflowId};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::standing::{Standing, Status};

/// Events that a slow reader of the stream may lag behind before it misses some, and is told so.
const STREAM_LAG_MAX: usize = 8_192;

/// How much of what has ended is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) ended_max: usize,
    pub(crate) ended_bytes_max: usize,
}

/// One workflow.
pub(crate) struct Entry {
    pub(crate) run: Run,
    pub(crate) saga: SagaName,
    pub(crate) version: Version,
    pub(crate) started: Timestamp,
    ended: Option<Timestamp>,
    /// Of the start that was accepted; `None` where the events that are kept begin later.
    pub(crate) start: Option<Start>,
    standing: Standing,
    last: u64,
    bytes: usize,
    /// Data as they were read: small, and decoded when somebody asks.
    history: Vec<(SchemaName, Box<[u8]>)>,
}

/// What a workflow was started with.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) id: String,
    pub(crate) inputs: Json,
}

impl Entry {
    fn new(event: &Lifecycle) -> Self {
        Self {
            run: event.run,
            saga: event.saga.clone(),
            version: event.version.clone(),
            started: event.time,
            ended: None,
            start: None,
            standing: Standing::default(),
            last: 0,
            bytes: 0,
            history: Vec::new(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.standing.status
    }

    /// What was read, decoded again. It was decoded once already, so nothing is left out.
    pub(crate) fn history(&self) -> Vec<Lifecycle> {
        let decode =
            |(schema, datum): &(SchemaName, Box<[u8]>)| Lifecycle::decode(schema, datum).ok();
        self.history.iter().filter_map(decode).collect()
    }
}

#[derive(Default)]
struct Held {
    workflows: HashMap<WorkflowId, Entry>,
    /// All of them, by when they were started.
    by_start: BTreeSet<(Timestamp, WorkflowId)>,
    /// Those at rest, by when they ended.
    ended: BTreeSet<(Timestamp, WorkflowId)>,
    ended_bytes: usize,
    forgotten: Forgotten,
    waiting: HashMap<WorkflowId, Arc<Notify>>,
}

/// What the view let go of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) count: u64,
    /// When the newest of them ended.
    pub(crate) until: Option<Timestamp>,
}

/// The view. Shared: one thread folds, many ask.
pub(crate) struct View {
    bounds: Bounds,
    held: Mutex<Held>,
    stream: broadcast::Sender<Arc<Lifecycle>>,
}

impl View {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let (stream, _) = broadcast::channel(STREAM_LAG_MAX);
        Self { bounds, held: Mutex::default(), stream }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in one event; one that was seen before, or of an earlier run, changes nothing.
    pub(crate) fn fold(&self, event: Lifecycle, datum: &[u8]) {
        let mut held = self.held();
        if !held.take(&event, datum) {
            return;
        }
        held.forget(self.bounds);
        if let Some(notify) = held.waiting.get(&event.workflow) {
            notify.notify_waiters();
        }
        drop(held);
        if self.stream.receiver_count() > 0 {
            // Nobody listening any more is no error.
            let _listeners = self.stream.send(Arc::new(event));
        }
    }

    /// All events from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Lifecycle>> {
        self.stream.subscribe()
    }

    /// Looks at one workflow.
    pub(crate) fn look<T>(&self, id: &str, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.held().workflows.get(&WorkflowId::from(id)).map(look)
    }

    /// What the view let go of.
    pub(crate) fn forgotten(&self) -> Forgotten {
        self.held().forgotten
    }

    /// Ids of workflows, newest first, behind `before`; at most `limit`, and whether there are more.
    pub(crate) fn list(
        &self,
        before: Option<&(Timestamp, WorkflowId)>,
        limit: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> (Vec<(Timestamp, WorkflowId)>, bool) {
        let held = self.held();
        let mut rest = held
            .by_start
            .iter()
            .rev()
            .skip_while(|order| before.is_some_and(|before| *order >= before))
            .filter(|(_, id)| held.workflows.get(id).is_some_and(&wanted));
        let page = rest.by_ref().take(limit).cloned().collect();
        (page, rest.next().is_some())
    }

    /// Waits until `check` gives something, or the deadline, or `over` is done.
    pub(crate) async fn until<T>(
        &self,
        id: &WorkflowId,
        deadline: Instant,
        over: impl Future<Output = ()>,
        mut check: impl FnMut(Option<&Entry>) -> Option<T>,
    ) -> Option<T> {
        let place = Place::take(self, id);
        tokio::pin!(over);
        loop {
            let changed = place.notify.notified();
            tokio::pin!(changed);
            // Before the look, so that a change between the two is not missed.
            changed.as_mut().enable();
            if let Some(found) = check(self.held().workflows.get(id)) {
                return Some(found);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => return None,
                () = &mut over => return None,
            }
        }
    }
}

/// A place among those that wait for one workflow.
struct Place<'a> {
    view: &'a View,
    id: WorkflowId,
    notify: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(view: &'a View, id: &WorkflowId) -> Self {
        let notify = Arc::clone(view.held().waiting.entry(id.clone()).or_default());
        Self { view, id: id.clone(), notify }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.view.held();
        // The map's and ours: nobody else waits.
        if Arc::strong_count(&self.notify) <= 2 {
            held.waiting.remove(&self.id);
        }
    }
}

impl Held {
    fn take(&mut self, event: &Lifecycle, datum: &[u8]) -> bool {
        let id = &event.workflow;
        match self.workflows.get(id) {
            Some(entry) if entry.run == event.run && event.sequence <= entry.last => return false,
            Some(entry) if event.run < entry.run => return false,
            Some(entry) if event.run > entry.run => self.remove(id),
            Some(_) | None => {}
        }
        let is_new = !self.workflows.contains_key(id);
        let entry = self.workflows.entry(id.clone()).or_insert_with(|| Entry::new(event));
        if is_new {
            self.by_start.insert((entry.started, id.clone()));
        }
        if event.sequence != entry.last + 1 {
            tracing::warn!(workflow = %id, run = %event.run, sequence = event.sequence,
                expected = entry.last + 1, "a history has a gap: events are not kept that long");
        }
        if let What::WorkflowStarted { start_id, inputs } = &event.what {
            entry.start = Some(Start { id: start_id.clone(), inputs: inputs.clone() });
        }
        entry.last = event.sequence;
        entry.standing.fold(&event.what);
        entry.history.push((event.schema(), datum.into()));
        entry.bytes += datum.len();
        let (bytes, is_at_rest) = (entry.bytes, entry.status().is_at_rest());
        if entry.ended.is_some() {
            self.ended_bytes += datum.len();
        } else if is_at_rest {
            entry.ended = Some(event.time);
            self.ended.insert((event.time, id.clone()));
            self.ended_bytes += bytes;
        }
        true
    }

    fn remove(&mut self, id: &WorkflowId) {
        let Some(entry) = self.workflows.remove(id) else { return };
        self.by_start.remove(&(entry.started, id.clone()));
        if let Some(ended) = entry.ended {
            self.ended.remove(&(ended, id.clone()));
            self.ended_bytes = self.ended_bytes.saturating_sub(entry.bytes);
        }
    }

    fn forget(&mut self, bounds: Bounds) {
        while self.ended.len() > bounds.ended_max || self.ended_bytes > bounds.ended_bytes_max {
            let Some((time, id)) = self.ended.first().cloned() else { return };
            self.remove(&id);
            self.forgotten.count += 1;
            self.forgotten.until = self.forgotten.until.max(Some(time));
        }
    }
}
