//! Until nothing moves any more.

use saga::{State, wake_at};

use crate::case::Stage;
use crate::store::Store;
use crate::world::{BEGINNING_MS, Event, Inner, MS, Micros, SECOND};

/// Nothing has moved when this is seen so often in a row, ten seconds apart: what was sent is settled by then.
const QUIET: u32 = 4;
/// How often operators see to what asks for them; what is left then stays as it is.
const ROUNDS: u32 = 20;
/// How long everything may take, what is slept not counted.
const PATIENCE: Micros = 3 * 3600 * SECOND;
/// All are awake again so long before anything is due.
const EARLY: Micros = 60 * SECOND;

/// What is not at rest.
enum Moving {
    /// Somebody has not read all that there is.
    Unread(String),
    /// A workflow goes on, or waits.
    Works(String),
}

/// How the world ends.
pub(crate) enum End {
    /// Nothing moves any more.
    Rest,
    /// Workflows of a user's file wait for later times than anybody here does.
    Waiting,
    /// Something moves, or should, and does not come to an end.
    Stuck(String),
}

impl Stage {
    /// Goes on until nothing moves any more. `sleeps`: while nothing is due for long, all stand still.
    pub(crate) fn settle(&mut self, sleeps: bool) -> End {
        let (mut quiet, mut rounds, mut waiting) = (0, 0, 0);
        let mut slept = 0;
        while quiet < QUIET {
            let now = self.world.lock().now;
            self.run_until(now + 10 * SECOND);
            let moving = self.moving();
            let at_last = rounds > ROUNDS / 2;
            if rounds < ROUNDS && self.world.lock().see_to(at_last) > 0 {
                rounds += 1;
                (quiet, waiting) = (0, 0);
                continue;
            }
            let mut inner = self.world.lock();
            let due = inner.next_due();
            // An answer that is late is on its way.
            let is_late = || (sleeps && due < Micros::MAX).then(|| Moving::Works(String::new()));
            let Some(moving) = moving.or_else(is_late) else {
                quiet += 1;
                continue;
            };
            quiet = 0;
            waiting = if matches!(moving, Moving::Works(_)) { waiting + 1 } else { 0 };
            if inner.now - slept > PATIENCE {
                return match moving {
                    Moving::Works(_) if sleeps && due > inner.now => End::Waiting,
                    Moving::Works(what) | Moving::Unread(what) => End::Stuck(what),
                };
            }
            if sleeps && waiting >= QUIET && due < Micros::MAX && due - inner.now > 2 * EARLY {
                let until = due - EARLY;
                slept += until - inner.now;
                inner.sleep(until);
                waiting = 0;
            }
        }
        End::Rest
    }

    fn moving(&self) -> Option<Moving> {
        let inner = self.world.lock();
        let mut works = None;
        for (lane, standby) in (0..).zip(&inner.standbys) {
            let fold = &standby.whole;
            let inbox = inner.store.part(Store::INBOX, lane);
            let position = fold.context.position.unwrap_or(0);
            if position < inbox.next {
                let what = format!("lane {lane} has read to {position} of {}", inbox.next);
                return Some(Moving::Unread(what));
            }
            for (key, state) in &fold.states {
                if let State::Workflow(workflow) = &state.0
                    && is_live(workflow.status())
                {
                    works.get_or_insert_with(|| format!("{key} is {}", workflow.status()));
                }
            }
        }
        let group = inner.store.topics.group("intake");
        for topic in self.sagas.iter().flat_map(|saga| saga.plan.reads_from()) {
            let Some(number) = inner.store.topic(&topic) else { continue };
            for (partition, part) in (0..).zip(&inner.store.logs[number].parts) {
                let done = inner.groups.committed(&group, number, partition);
                if done < part.next {
                    let what = format!("intake has read {topic}/{partition} to {done}");
                    return Some(Moving::Unread(what));
                }
            }
        }
        works.map(Moving::Works)
    }
}

fn is_live(status: &str) -> bool {
    matches!(status, "running" | "compensating")
}

impl Inner {
    /// When something happens that nobody has to do with: a timer of a workflow that goes on, or a record of a user's
    /// that is on its way.
    fn next_due(&self) -> Micros {
        let states = self.standbys.iter().flat_map(|standby| standby.whole.states.values());
        let wakes = states.filter_map(|state| match &state.0 {
            State::Workflow(workflow) if is_live(workflow.status()) => wake_at(&state.0),
            State::Workflow(_) | State::Definition(_) | State::Newest(_) | State::Early(_) => None,
        });
        let wakes = wakes.map(|at| (at.as_millis() - BEGINNING_MS) * MS);
        let lands = |(at, event): (&(Micros, u64), &Event)| match event {
            Event::Land(landing) if landing.by.is_none() => Some(at.0),
            Event::Land(_)
            | Event::Wake(..)
            | Event::Answer(_)
            | Event::Settle(..)
            | Event::Expire(..)
            | Event::Boot(_)
            | Event::Fault(_)
            | Event::Over(_) => None,
        };
        wakes.chain(self.queue.iter().filter_map(lands)).min().unwrap_or(Micros::MAX)
    }

    /// All processes stand still, as on machines that are suspended.
    fn sleep(&mut self, until: Micros) {
        let now = self.now;
        self.trace.note(|| format!("{now:>12} all stand still until something is due"));
        for process in 0..self.processes.len() {
            if self.processes[process].alive {
                self.pause(process, until);
            }
        }
    }
}
