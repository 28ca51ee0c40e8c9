//! All that can happen next.

use std::fmt;

use crate::active::Batch;
use crate::reader::{Cause, Entry, Offsets, bit, each};
use crate::rules::Model;
use crate::world::{Heard, Process, Stage, World};

/// One step. Processes, appends and writes are named by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    // At the broker.
    Land(usize),
    LandUnplaced(usize),
    Lose(usize),
    Repeat(usize),
    Doubt(usize),
    LandWrite(usize),
    // In a process.
    Fence(usize),
    FenceLate(usize),
    Load(usize),
    Fold(usize),
    Announce(usize),
    Meet(usize, u8),
    Claim(usize),
    Confirm(usize),
    Act(usize),
    Settle(usize, u8),
    Ignore(usize),
    Propose(usize, Batch),
    Look(usize),
    Capture(usize),
    Write(usize),
    Collect(usize),
    Trim(usize),
    Die(usize),
}

impl World {
    /// Everything that can happen now.
    pub(crate) fn actions(&self, model: &Model) -> Vec<Action> {
        let mut found = Vec::new();
        self.at_the_broker(model, &mut found);
        for (place, process) in self.processes.iter().enumerate() {
            // Processes that are down are the same.
            if place > 0 && *process == self.processes[place - 1] {
                continue;
            }
            self.in_process(model, place, &mut found);
            if process.stage != Stage::Down {
                found.push(Action::Die(place));
            }
        }
        found
    }

    fn at_the_broker(&self, model: &Model, found: &mut Vec<Action>) {
        let bounds = &model.bounds;
        for (place, append) in self.appends.iter().enumerate() {
            found.push(Action::Land(place));
            let is_heard = self.waits_for(append.owner) && !append.in_doubt;
            if is_heard && self.used.unplaced < bounds.unplaced {
                found.push(Action::LandUnplaced(place));
            }
            if self.used.losses < bounds.losses {
                found.push(Action::Lose(place));
            }
            if self.used.repeats < bounds.repeats {
                found.push(Action::Repeat(place));
            }
            if is_heard && self.used.doubts < bounds.doubts {
                found.push(Action::Doubt(place));
            }
        }
        found.extend((0..self.writes.len()).map(Action::LandWrite));
    }

    /// Whether this owner's process still waits for an append.
    fn waits_for(&self, owner: u8) -> bool {
        self.processes.iter().any(|process| process.owner == owner && process.heard.is_none())
    }

    fn in_process(&self, model: &Model, place: usize, found: &mut Vec<Action>) {
        let process = &self.processes[place];
        match process.stage {
            Stage::Down if self.used.owners < model.bounds.owners => {
                found.push(Action::Fence(place))
            }
            Stage::Down => {}
            Stage::Fenced => found.push(Action::Load(place)),
            Stage::Loaded => found.push(Action::Fold(place)),
            Stage::Folded => found.push(Action::Announce(place)),
            Stage::Announcing => {
                let own = self.own_announcement(model, place).filter(|_| process.heard.is_some());
                found.extend(own.map(|own| Action::Meet(place, own)));
            }
            Stage::Won => found.push(Action::Claim(place)),
            Stage::Active => self.in_active(model, place, found),
        }
    }

    fn in_active(&self, model: &Model, place: usize, found: &mut Vec<Action>) {
        let process = &self.processes[place];
        if process.heard.is_some() {
            found.push(Action::Confirm(place));
        }
        if !process.to_send.is_empty() {
            found.push(Action::Act(place));
        }
        if process.is_between_turns() {
            found.extend(each(process.open).map(|at| Action::Settle(place, at)));
            let batches = process.batches(model).into_iter();
            found.extend(batches.map(|batch| Action::Propose(place, batch)));
            if process.position < model.bounds.inputs
                && process.context.book.ignores(model, process.position)
            {
                found.push(Action::Ignore(place));
            }
            if model.rules.looks_when_idle && self.is_behind(place) {
                found.push(Action::Look(place));
            }
        }
        if process.is_between_turns() || !model.rules.captures_confirmed {
            self.in_camera(model, place, found);
        }
    }

    fn in_camera(&self, model: &Model, place: usize, found: &mut Vec<Action>) {
        let process = &self.processes[place];
        if process.written.is_some() {
            found.push(Action::Collect(place));
        }
        if process.trim.is_some() {
            found.push(Action::Trim(place));
        }
        if self.used.snapshots < model.bounds.snapshots
            && process.captured.is_none()
            && process.writing.is_none()
            && process.context.next > self.snapshot.marker.next
        {
            found.push(Action::Capture(place));
        }
        if process.holder == 0 && process.captured.is_some() {
            found.push(Action::FenceLate(place));
            return;
        }
        let is_sent =
            |next: u8| process.cursor(model) >= next || !model.rules.snapshot_waits_for_cursor;
        if process.writing.is_none() && process.captured.is_some_and(|shot| is_sent(shot.next)) {
            found.push(Action::Write(place));
        }
    }

    /// The world after it.
    pub(crate) fn after(&self, model: &Model, action: Action) -> Self {
        let mut world = self.clone();
        match action {
            Action::Land(append) => world.land(model, append, true),
            Action::LandUnplaced(append) => {
                world.used.unplaced += 1;
                world.land(model, append, false);
            }
            Action::Lose(append) => world.lose(append),
            Action::Repeat(append) => {
                world.used.repeats += 1;
                let entry = world.appends[append].entries[0];
                world.store(model, entry);
            }
            Action::Doubt(append) => world.doubt(append),
            Action::LandWrite(write) => world.land_write(model, write),
            Action::Fence(process) => world.fence(model, process),
            Action::FenceLate(process) => world.fence_late(process),
            Action::Load(process) => world.load(model, process),
            Action::Fold(process) => world.fold(model, process),
            Action::Announce(process) => world.announce(process),
            Action::Meet(process, own) => world.meet(model, process, own),
            Action::Claim(process) => world.claim(model, process),
            Action::Confirm(process) => world.confirm(model, process),
            Action::Act(process) => world.act(model, process),
            Action::Settle(process, at) => world.settle(process, at),
            Action::Ignore(process) => world.ignore(process),
            Action::Propose(process, batch) => world.propose(model, process, batch),
            Action::Look(process) => world.read_back(model, process),
            Action::Capture(process) => world.capture(process),
            Action::Write(process) => world.write(model, process),
            Action::Collect(process) => world.collect(model, process),
            Action::Trim(process) => world.trim(process),
            Action::Die(process) => world.processes[process] = Process::default(),
        }
        world.in_order()
    }

    fn land(&mut self, model: &Model, append: usize, placed: bool) {
        let Some(entry) = self.appends[append].entries.pop_front() else { return };
        let at = self.store(model, entry);
        self.appends[append].offsets.push(placed.then_some(at));
        self.end_append(append);
    }

    fn lose(&mut self, append: usize) {
        self.used.losses += 1;
        self.appends[append].entries.pop_front();
        self.doubt_once_settled(append);
        self.end_append(append);
    }

    fn doubt_once_settled(&mut self, append: usize) {
        self.appends[append].in_doubt = true;
    }

    /// The process is told before the broker knows.
    fn doubt(&mut self, append: usize) {
        self.used.doubts += 1;
        self.appends[append].in_doubt = true;
        let owner = self.appends[append].owner;
        if let Some(process) = self.alive(owner) {
            process.heard = Some(Heard::InDoubt);
        }
    }

    /// Once all of an append has landed or is lost, its process hears of it, unless it has heard already.
    fn end_append(&mut self, append: usize) {
        if !self.appends[append].entries.is_empty() {
            return;
        }
        let append = self.appends.remove(append);
        let heard = if append.in_doubt { Heard::InDoubt } else { Heard::Placed(append.offsets) };
        if let Some(process) = self.alive(append.owner)
            && process.heard.is_none()
            && (process.stage == Stage::Announcing || !process.proposed.is_empty())
        {
            process.heard = Some(heard);
        }
    }
}

/// What an action is in this world, to be read by people.
pub(crate) struct Told<'a>(pub(crate) &'a World, pub(crate) Action);

impl fmt::Display for Told<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(world, action) = self;
        let who = |process: usize| format!("owner {}", world.processes[process].owner);
        let what = |append: usize| {
            let append = &world.appends[append];
            format!("owner {}'s {}", append.owner, said(&append.entries[0]))
        };
        match *action {
            Action::Land(append) => {
                write!(out, "{} lands at {}", what(append), world.journal.len())
            }
            Action::LandUnplaced(append) => {
                write!(
                    out,
                    "{} lands at {}, acknowledged without an offset",
                    what(append),
                    world.journal.len()
                )
            }
            Action::Lose(append) => write!(out, "{} is lost", what(append)),
            Action::Repeat(append) => {
                write!(
                    out,
                    "{} lands at {}, and once more later",
                    what(append),
                    world.journal.len()
                )
            }
            Action::Doubt(append) => {
                write!(out, "{} is reported in doubt, but is on its way", what(append))
            }
            Action::LandWrite(write) => {
                write!(out, "owner {}'s snapshot reaches the broker", world.writes[write].owner)
            }
            Action::Fence(_) => write!(out, "owner {} takes the fence", world.used.owners + 1),
            Action::FenceLate(process) => write!(out, "{} takes the fence only now", who(process)),
            Action::Load(process) => write!(out, "{} loads the snapshot", who(process)),
            Action::Fold(process) => {
                write!(out, "{} folds the journal to {}", who(process), world.journal.len())
            }
            Action::Announce(process) => write!(out, "{} announces an epoch", who(process)),
            Action::Meet(process, own) => {
                write!(out, "{} meets its announcement at {own}", who(process))
            }
            Action::Claim(process) => write!(out, "{} claims", who(process)),
            Action::Confirm(process) => {
                write!(out, "{} hears {:?}", who(process), world.processes[process].heard)
            }
            Action::Act(process) => {
                let next = world.processes[process].to_send.front();
                write!(out, "{} sends what follows from {:?}", who(process), next.map(|(at, _)| at))
            }
            Action::Settle(process, at) => {
                write!(out, "{} hears that what follows from {at} is acknowledged", who(process))
            }
            Action::Ignore(process) => write!(out, "{} ignores an input", who(process)),
            Action::Propose(process, batch) => {
                let causes: Vec<Cause> = batch.into_iter().flatten().collect();
                write!(out, "{} appends {causes:?}", who(process))
            }
            Action::Look(process) => write!(out, "{} looks at the journal's end", who(process)),
            Action::Capture(process) => write!(out, "{} captures a snapshot", who(process)),
            Action::Write(process) => write!(out, "{} writes its snapshot", who(process)),
            Action::Collect(process) => write!(out, "{} hears of its snapshot", who(process)),
            Action::Trim(process) => write!(out, "{} trims the journal", who(process)),
            Action::Die(process) => write!(out, "{} dies", who(process)),
        }
    }
}

fn said(entry: &Entry) -> String {
    match entry {
        Entry::Announce { epoch, .. } => format!("announcement of epoch {epoch}"),
        Entry::Decide { epoch, seq, cause, .. } => format!("{cause:?} (epoch {epoch}, {seq})"),
    }
}

/// The lowest offset of a set, as a set.
pub(crate) fn lowest(set: Offsets) -> Option<u8> {
    each(set).next().filter(|at| set & bit(*at) != 0)
}
