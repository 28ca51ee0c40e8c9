//! What is known of one run: a status for each of its tasks, and a course of what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::fallback_of;
use crate::status::{Forward, Kind, NONE, Seen, Status, TaskNo};
use crate::wire::Asks;

/// A do or an undo, as its event and as its record on a topic of tasks have it.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) asks: Asks,
    pub(crate) n: i64,
    pub(crate) decided: Option<Body>,
    pub(crate) sent: Option<Body>,
    /// Of the whole record, to tell a repeat from a change.
    pub(crate) whole: u64,
}

/// What a command carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) agent: Arc<str>,
    pub(crate) hash: u64,
    pub(crate) epoch: i64,
    /// When it was decided or sent, by its record.
    pub(crate) time: i64,
    /// Until when an answer is waited for; of what was sent, nothing is known of that.
    pub(crate) deadline: i64,
}

/// A success that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Of the bytes as they came.
    pub(crate) raw: u64,
    /// The same for the same JSON.
    pub(crate) hash: u64,
    pub(crate) time: i64,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
}

/// All that is kept of a task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    /// When what is open is due: an attempt's deadline, or the time of the next.
    pub(crate) due: i64,
    pub(crate) undo_due: i64,
    pub(crate) inputs: Option<u64>,
    pub(crate) output: Option<Box<str>>,
    /// Of an output that no operator gave.
    pub(crate) answered: Option<u64>,
    /// Something of it has failed by a code of the product's own: what was answered broke what the file
    /// says, or could not be computed with.
    pub(crate) refused: bool,
    /// A command of it could not be sent, and the events say so.
    pub(crate) unsent: bool,
    /// How many milliseconds before its deadline it timed out, which only what could not be sent may.
    pub(crate) early: i64,
    /// Of its commands, the newest incarnation's.
    pub(crate) key: Option<Arc<str>>,
    /// Of those that were undone before.
    pub(crate) former: Vec<Arc<str>>,
    pub(crate) orders: Vec<Ordered>,
    pub(crate) answers: Vec<Answer>,
}

/// What the end event lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) stands: Vec<Arc<str>>,
    pub(crate) undone: Vec<Arc<str>>,
    pub(crate) in_doubt: Vec<Arc<str>>,
}

/// One life of a workflow's id.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) number: i64,
    /// Whether its events were seen from the first on; else nothing is judged.
    pub(crate) from_start: bool,
    pub(crate) saga: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) start_id: Option<Box<str>>,
    pub(crate) started: i64,
    pub(crate) last: i64,
    pub(crate) sequence: i64,
    /// Of each event's value, by its sequence.
    pub(crate) hashes: Vec<u64>,
    pub(crate) epoch: i64,
    pub(crate) paused: bool,
    pub(crate) compensating: bool,
    pub(crate) compensated: bool,
    pub(crate) end: Option<(Kind, i64)>,
    pub(crate) lists: Option<Box<Lists>>,
    pub(crate) tasks: Vec<Task>,
    numbers: BTreeMap<Arc<str>, TaskNo>,
    pub(crate) history: Vec<Seen>,
}

impl Run {
    pub(crate) fn new(number: i64) -> Self {
        let empty: Arc<str> = Arc::from("");
        Self {
            number,
            from_start: false,
            saga: Arc::clone(&empty),
            version: empty,
            start_id: None,
            started: 0,
            last: 0,
            sequence: 0,
            hashes: Vec::new(),
            epoch: 0,
            paused: false,
            compensating: false,
            compensated: false,
            end: None,
            lists: None,
            tasks: Vec::new(),
            numbers: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// The number of a task, which is a new one's where it was not heard of.
    pub(crate) fn number_of(&mut self, name: &str) -> TaskNo {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = TaskNo::try_from(self.tasks.len()).unwrap_or(NONE);
        let name: Arc<str> = Arc::from(name);
        self.numbers.insert(Arc::clone(&name), number);
        self.tasks.push(Task {
            name,
            status: Status::default(),
            due: 0,
            undo_due: 0,
            inputs: None,
            output: None,
            answered: None,
            refused: false,
            unsent: false,
            early: 0,
            key: None,
            former: Vec::new(),
            orders: Vec::new(),
            answers: Vec::new(),
        });
        number
    }

    pub(crate) fn known(&self, name: &str) -> Option<TaskNo> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn task(&self, number: TaskNo) -> Option<&Task> {
        self.tasks.get(number as usize)
    }

    pub(crate) fn task_mut(&mut self, number: TaskNo) -> Option<&mut Task> {
        self.tasks.get_mut(number as usize)
    }

    pub(crate) fn status(&self, name: &str) -> Status {
        self.known(name).and_then(|it| self.task(it)).map_or_else(Status::default, |it| it.status)
    }

    /// Whether its output is what its fallback gave.
    pub(crate) fn was_covered(&self, task: &Task) -> bool {
        let fallback = self.known(&fallback_of(&task.name)).and_then(|it| self.task(it));
        fallback.is_some_and(|fallback| {
            fallback.status.forward == Forward::Done && fallback.output == task.output
        })
    }
}

impl Task {
    /// Whether a command may carry that key: what was undone is done again under another one.
    pub(crate) fn takes(&mut self, key: &str) -> bool {
        let Some(newest) = &self.key else {
            self.key = Some(key.into());
            return true;
        };
        if &**newest == key || self.former.iter().any(|former| &**former == key) {
            return true;
        }
        let undos = self.orders.iter().filter(|order| order.asks == Asks::Undo).count();
        if undos <= self.former.len() {
            return false;
        }
        self.former.extend(self.key.replace(key.into()));
        true
    }

    pub(crate) fn order(&mut self, asks: Asks, n: i64) -> Option<&mut Ordered> {
        let place = self.orders.iter().position(|order| order.asks == asks && order.n == n);
        if place.is_none() {
            self.orders.push(Ordered { asks, n, decided: None, sent: None, whole: 0 });
        }
        match place {
            Some(place) => self.orders.get_mut(place),
            None => self.orders.last_mut(),
        }
    }
}
