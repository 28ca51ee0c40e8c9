//! The world that all processes share: its time, what is to happen when, and who waits for what. Nothing in it
//! knows of chance but by its dice, so a seed decides everything.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::Timestamp;
use serde_json::Value;
use stream::{SendError, Stop};

use crate::conduct::Conduct;
use crate::dice::Dice;
use crate::faults::Call;
use crate::fold::{Fold, Standby};
use crate::groups::Groups;
use crate::in_time::Looks;
use crate::landing::{Acks, Landing};
use crate::store::Store;
use crate::tally::Tally;
use crate::trace::Trace;
use crate::weather::Weather;

/// Microseconds of the world's time.
pub(crate) type Micros = i64;

/// One millisecond.
pub(crate) const MS: Micros = 1_000;
/// One second.
pub(crate) const SECOND: Micros = 1_000_000;
/// When the world begins: 2026-01-01T00:00:00Z.
pub(crate) const BEGINNING_MS: i64 = 1_767_225_600_000;

/// A thread of the simulated world.
pub(crate) type FiberId = usize;
/// A process; a restarted one is another.
pub(crate) type ProcessId = usize;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bell {
    /// Something was stored in a topic.
    Topic(usize),
    /// An answer has come.
    Slot(u64),
    /// A ticket of this outlet is settled.
    Outlet(u64),
    /// A group has decided anew.
    Group(usize),
    /// A thread has ended.
    Fiber(FiberId),
}

/// What happens at a time.
pub(crate) enum Event {
    /// A thread goes on, if it still waits as it did then.
    Wake(FiberId, u64),
    /// A request reaches the broker.
    Land(Landing),
    /// An answer reaches who waits for it.
    Answer(u64),
    /// What has become of a record reaches its outlet.
    Settle(Acks, Option<(usize, SendError)>),
    /// A group notices whether a member is still there.
    Expire(usize, u64),
    /// A role is started anew.
    Boot(usize),
    /// A fault of the schedule, by its place there.
    Fault(usize),
    /// The end of one.
    Over(usize),
}

/// A thread, as the world sees it.
pub(crate) struct Fiber {
    pub(crate) process: Option<ProcessId>,
    pub(crate) done: bool,
    pub(crate) killed: bool,
    /// Counts its waits, so that a wake-up for an earlier one is known.
    waits: u64,
}

/// A process.
pub(crate) struct Process {
    pub(crate) role: usize,
    pub(crate) alive: bool,
    pub(crate) paused_until: Micros,
    /// When it died or was stopped, what was to arrive until here was on its way already.
    pub(crate) cut: Micros,
    /// By which it is asked to leave.
    pub(crate) stop: Stop,
}

/// The processes in a row that play one part.
#[derive(Default)]
pub(crate) struct Role {
    /// Calls to the broker, begun and ended, by all of them.
    pub(crate) steps: u64,
    /// What befalls it at which step.
    pub(crate) at_step: BTreeMap<u64, AtStep>,
    /// Calls of a kind, begun and ended, by all of them.
    pub(crate) calls: BTreeMap<Call, u64>,
    /// What befalls it at which of them.
    pub(crate) at_call: BTreeMap<(Call, u64), AtStep>,
    /// How far its clock is off.
    pub(crate) skew_ms: i64,
}

/// What befalls a process at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AtStep {
    Crash,
    Pause(Micros),
}

type Body = Box<dyn FnOnce() + Send>;

/// Everything.
pub(crate) struct Inner {
    pub(crate) dice: Dice,
    pub(crate) now: Micros,
    happened: u64,
    pub(crate) queue: BTreeMap<(Micros, u64), Event>,
    bells: BTreeMap<Bell, Vec<(FiberId, u64)>>,
    pub(crate) current: Option<FiberId>,
    pub(crate) fibers: Vec<Fiber>,
    pub(crate) started: Vec<(FiberId, Body)>,
    pub(crate) processes: Vec<Process>,
    pub(crate) doomed: BTreeSet<ProcessId>,
    pub(crate) roles: Vec<Role>,
    pub(crate) store: Store,
    pub(crate) groups: Groups,
    pub(crate) weather: Weather,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    /// What participants have done that stands, by workflow and task, with its output: operators look there.
    pub(crate) stands: BTreeMap<String, Value>,
    /// Operators say what is so.
    pub(crate) honest: bool,
    /// Of each lane, up to its newest snapshot.
    pub(crate) folds: Vec<Fold>,
    pub(crate) standbys: Vec<Standby>,
    /// What callers have done that the broker may hold them to.
    pub(crate) conduct: Conduct,
    pub(crate) looks: Looks,
    /// Promises that were seen to be broken while it happened.
    pub(crate) broken: Vec<String>,
    ids: u64,
}

/// The world. Cheap to share.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Inner>>);

/// What a killed thread unwinds with.
pub(crate) struct Killed;

impl World {
    pub(crate) fn new(seed: u64, lanes: u32) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            dice: Dice::new(seed, 1),
            now: 0,
            happened: 0,
            queue: BTreeMap::new(),
            bells: BTreeMap::new(),
            current: None,
            fibers: Vec::new(),
            started: Vec::new(),
            processes: Vec::new(),
            doomed: BTreeSet::new(),
            roles: Vec::new(),
            store: Store::new(lanes),
            groups: Groups::default(),
            weather: Weather::fair(),
            trace: Trace::default(),
            tally: Tally::default(),
            stands: BTreeMap::new(),
            honest: false,
            folds: (0..lanes).map(|_| Fold::new(lanes)).collect(),
            standbys: (0..lanes).map(|_| Standby::new(lanes)).collect(),
            conduct: Conduct::default(),
            looks: Looks::default(),
            broken: Vec::new(),
            ids: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calling thread waits until the bell rings, or until a time. Without a thread, as in the broker's
    /// contract, the world goes on from here.
    pub(crate) fn block(&self, bells: &[Bell], until: Micros) {
        let fiber = {
            let mut inner = self.lock();
            let fiber = inner.current;
            if let Some(fiber) = fiber {
                inner.enlist(fiber, bells, until);
            }
            fiber
        };
        match fiber {
            Some(fiber) => {
                generator::co_yield_with(());
                if self.lock().fibers[fiber].killed {
                    resume_unwind(Box::new(Killed));
                }
            }
            None => self.go_on(bells, until),
        }
    }

    fn go_on(&self, bells: &[Bell], until: Micros) {
        let mut inner = self.lock();
        let waiter = (FiberId::MAX, 0);
        for bell in bells {
            inner.bells.entry(*bell).or_default().push(waiter);
        }
        let is_silent = |inner: &Inner| {
            let waits = |bell| inner.bells.get(bell).is_some_and(|all| all.contains(&waiter));
            bells.iter().all(waits)
        };
        while is_silent(&inner)
            && let Some(event) = inner.pop(until)
        {
            inner.apply(event);
        }
        for all in inner.bells.values_mut() {
            all.retain(|one| *one != waiter);
        }
    }
}

impl Inner {
    /// A number that nobody else gets.
    pub(crate) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The world's wall clock, which the broker's is.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MS + self.now / MS)
    }

    pub(crate) fn at(&mut self, at: Micros, event: Event) {
        self.happened += 1;
        self.queue.insert((at.max(self.now), self.happened), event);
    }

    /// The next thing to happen up to a time; the time is then that of the event, or that.
    pub(crate) fn pop(&mut self, until: Micros) -> Option<Event> {
        let due = self.queue.first_key_value().map(|(at, _)| *at).filter(|(at, _)| *at <= until);
        let Some(at) = due else {
            if until < Micros::MAX {
                self.now = self.now.max(until);
            }
            return None;
        };
        self.now = at.0;
        self.queue.remove(&at)
    }

    /// How long a message is on its way: mostly short, now and then long.
    pub(crate) fn latency(&mut self) -> Micros {
        let slow = self.weather.slow;
        match self.dice.range(0, 20) {
            0 => self.dice.range(MS, 40 * MS) * slow,
            1..=4 => self.dice.range(200, 4 * MS) * slow,
            _ => self.dice.range(20, 400),
        }
    }

    fn enlist(&mut self, fiber: FiberId, bells: &[Bell], until: Micros) {
        self.fibers[fiber].waits += 1;
        let waits = self.fibers[fiber].waits;
        for bell in bells {
            let waiting = self.bells.entry(*bell).or_default();
            waiting.retain(|(other, _)| *other != fiber);
            waiting.push((fiber, waits));
        }
        if until < Micros::MAX {
            self.at(until, Event::Wake(fiber, waits));
        }
    }

    /// Whether it has ever run: whoever has, waits.
    pub(crate) fn has_run(&self, fiber: FiberId) -> bool {
        self.fibers[fiber].waits > 0
    }

    pub(crate) fn ring(&mut self, bell: Bell) {
        for (fiber, waits) in self.bells.remove(&bell).unwrap_or_default() {
            if fiber != FiberId::MAX && self.fibers[fiber].waits == waits {
                let after = self.dice.range(1, 200);
                self.at(self.now + after, Event::Wake(fiber, waits));
            }
        }
    }

    /// Whether the thread is to go on now. One of a process that is stopped goes on once that does.
    pub(crate) fn wakes(&mut self, fiber: FiberId, waits: u64) -> bool {
        let Fiber { process, done, waits: now, .. } = &self.fibers[fiber];
        let process = *process;
        if *done || *now != waits {
            return false;
        }
        let Some(process) = process else { return true };
        let Process { alive, paused_until, .. } = &self.processes[process];
        let (alive, paused_until) = (*alive, *paused_until);
        if alive && paused_until > self.now {
            self.at(paused_until, Event::Wake(fiber, waits));
            return false;
        }
        alive
    }

    pub(crate) fn start(&mut self, process: Option<ProcessId>, body: Body) -> FiberId {
        let fiber = self.fibers.len();
        self.fibers.push(Fiber { process, done: false, killed: false, waits: 0 });
        self.started.push((fiber, body));
        let after = self.dice.range(1, 300);
        self.at(self.now + after, Event::Wake(fiber, 0));
        fiber
    }

    /// A process of that role begins.
    pub(crate) fn begin(&mut self, role: usize) -> ProcessId {
        let stop = Stop::default();
        self.processes.push(Process { role, alive: true, paused_until: 0, cut: 0, stop });
        self.processes.len() - 1
    }

    /// It dies here and now; another is started after a while.
    pub(crate) fn crash(&mut self, process: ProcessId) {
        if !std::mem::replace(&mut self.processes[process].alive, false) {
            return;
        }
        self.doomed.insert(process);
        self.cut(process);
        let role = self.processes[process].role;
        let after = self.dice.scale(50, 15_000) * MS;
        self.at(self.now + after, Event::Boot(role));
        self.groups_lose(process);
    }

    /// It stands still; the groups give up on it after a while.
    pub(crate) fn pause(&mut self, process: ProcessId, until: Micros) {
        let paused = &mut self.processes[process].paused_until;
        *paused = (*paused).max(until);
        self.cut(process);
        self.groups_lose(process);
    }

    fn cut(&mut self, process: ProcessId) {
        let on_its_way = self.dice.range(0, 5 * MS);
        self.processes[process].cut = self.now + on_its_way;
    }

    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Land(landing) => self.land(landing),
            Event::Answer(slot) => {
                self.store.arrived.insert(slot);
                self.ring(Bell::Slot(slot));
            }
            Event::Settle(acks, failed) => self.settle(acks, failed),
            Event::Expire(group, member) => self.expire(group, member),
            Event::Fault(index) => self.strike(index),
            Event::Over(index) => self.calm(index),
            // Without a runner there are neither threads nor roles.
            Event::Wake(..) | Event::Boot(_) => {}
        }
    }
}
