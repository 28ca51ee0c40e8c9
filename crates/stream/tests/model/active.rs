//! The steps of an active lane: propose, append, confirm or read back, act, settle, look; and its snapshots.

use std::collections::VecDeque;

use crate::laws::{CONFIRMED, REFUSED, TOLD_EARLY};
use crate::reader::{Book, Cause, Entry, Fold, Ruling, bit, each};
use crate::rules::Model;
use crate::world::{Append, Heard, Part, Process, Snapshot, Stage, World, Write};

/// What one append holds: one or two causes.
pub(crate) type Batch = [Option<Cause>; 2];

impl Process {
    /// Everything that it may decide next, as a lane's turn would: first what it is told of acknowledgements,
    /// then inputs and timers as they come, or a skip where only ignored inputs came.
    pub(crate) fn batches(&self, model: &Model) -> Vec<Batch> {
        let book = self.context.book;
        let told = each(self.untold & !self.context.answered).next().map(Cause::Acked);
        let firsts = match told {
            Some(told) => vec![told],
            None => next_causes(model, self.position, book),
        };
        let mut found = Vec::new();
        for first in firsts {
            found.push([Some(first), None]);
            if model.bounds.batch > 1 {
                let position = match first {
                    Cause::Input(n) => n + 1,
                    Cause::Timer | Cause::Acked(_) | Cause::Skip => self.position,
                };
                let seconds = next_causes(model, position, book.after(first));
                found.extend(seconds.into_iter().map(|second| [Some(first), Some(second)]));
            }
        }
        if found.is_empty() && self.position > self.context.position {
            found.push([Some(Cause::Skip), None]);
        }
        found
    }

    /// The records of a batch.
    fn entries(&self, model: &Model, batch: Batch) -> Vec<Entry> {
        let cursor = self.cursor(model);
        let mut seq = self.context.seq;
        let mut position = self.position;
        let mut of_last = self.context.position;
        let mut on = self.context.book;
        let causes = batch.into_iter().flatten();
        causes
            .map(|cause| {
                if let Cause::Input(n) = cause {
                    position = n + 1;
                }
                let carried = match cause {
                    Cause::Timer if !model.rules.carries_position => of_last,
                    Cause::Input(_) | Cause::Timer | Cause::Acked(_) | Cause::Skip => position,
                };
                of_last = carried;
                seq += 1;
                let (epoch, owner) = (self.epoch, self.owner);
                let entry =
                    Entry::Decide { epoch, owner, seq, position: carried, cursor, cause, on };
                on = on.after(cause);
                entry
            })
            .collect()
    }
}

/// The causes that may come next: the next input that is not ignored, and the timer.
fn next_causes(model: &Model, mut position: u8, book: Book) -> Vec<Cause> {
    while position < model.bounds.inputs && book.ignores(model, position) {
        position += 1;
    }
    let input = (position < model.bounds.inputs).then_some(Cause::Input(position));
    let timer = book.timer_is_due(model).then_some(Cause::Timer);
    input.into_iter().chain(timer).collect()
}

impl World {
    /// A turn decides and appends.
    pub(crate) fn propose(&mut self, model: &Model, process: usize, batch: Batch) {
        let entries = self.processes[process].entries(model, batch);
        for cause in batch.into_iter().flatten() {
            if let Cause::Acked(at) = cause
                && self.acknowledged & bit(at) == 0
            {
                self.breaks(TOLD_EARLY);
            }
        }
        let process = &mut self.processes[process];
        if let Some(Entry::Decide { position, .. }) = entries.last() {
            process.position = process.position.max(*position);
        }
        if !model.rules.acts_after_ack {
            process.to_send.extend((process.context.next..).zip(entries.iter().copied()));
        }
        process.proposed.clone_from(&entries);
        let owner = process.owner;
        let entries = VecDeque::from(entries);
        self.appends.push(Append { owner, entries, offsets: Vec::new(), in_doubt: false });
    }

    /// `Lane::confirm`, or the end of the epoch where the append is in doubt.
    pub(crate) fn confirm(&mut self, model: &Model, process: usize) {
        let heard = self.processes[process].heard.take();
        let Some(Heard::Placed(offsets)) = heard else {
            if model.rules.doubt_ends_epoch {
                self.processes[process] = Process::default();
            } else {
                self.append_again(process);
            }
            return;
        };
        let next = self.processes[process].context.next;
        if offsets.iter().flatten().zip(next..).any(|(at, want)| *at < want) {
            self.breaks(REFUSED);
            return;
        }
        let proposed = self.processes[process].proposed.clone();
        let as_expected = offsets.len() == proposed.len()
            && offsets.iter().zip(next..).all(|(at, want)| *at == Some(want));
        if as_expected || !model.rules.expects_offset {
            self.confirm_at(model, process, next);
        } else if model.rules.reads_back {
            self.read_back(model, process);
        } else {
            let first = offsets.first().copied().flatten().unwrap_or(next);
            self.confirm_at(model, process, first);
        }
    }

    /// Broken: what is in doubt is appended once more.
    fn append_again(&mut self, process: usize) {
        let Process { owner, proposed, .. } = &self.processes[process];
        let entries = VecDeque::from(proposed.clone());
        let owner = *owner;
        self.appends.push(Append { owner, entries, offsets: Vec::new(), in_doubt: false });
    }

    /// The proposed records stand from `first` on, as the process believes.
    fn confirm_at(&mut self, model: &Model, process: usize, first: u8) {
        let mine = &mut self.processes[process];
        mine.context.next = first;
        let mut placed = VecDeque::new();
        for entry in std::mem::take(&mut mine.proposed) {
            let at = mine.context.next;
            let ruling = mine.context.read(model, &entry);
            assert!(
                ruling == Ruling::Valid || model.rules != crate::rules::Rules::ALL,
                "one-epoch: an own record at the expected offset holds"
            );
            placed.push_back((at, entry));
        }
        self.confirmed(model, process, placed);
    }

    /// Own records stand at these offsets: `Lane::act` begins.
    fn confirmed(&mut self, model: &Model, process: usize, placed: VecDeque<(u8, Entry)>) {
        let context = self.processes[process].context;
        self.judge_memory(model, &context, CONFIRMED);
        let mine = &mut self.processes[process];
        for (_, entry) in &placed {
            if let Entry::Decide { cause: Cause::Acked(at), .. } = entry {
                // `Outbox::told`.
                mine.untold &= !bit(*at);
            }
        }
        if model.rules.acts_after_ack {
            mine.to_send.extend(placed);
        }
    }

    /// `Lane::read_back`.
    pub(crate) fn read_back(&mut self, model: &Model, process: usize) {
        let mine = &self.processes[process];
        let (mut context, owner) = (mine.context, mine.owner);
        let proposed = mine.proposed.clone();
        if self.end() < context.next {
            self.breaks(REFUSED);
            return;
        }
        let mut placed = VecDeque::new();
        // A rival has trimmed the journal.
        let mut ends = self.trimmed_below > context.next;
        for entry in &self.journal[usize::from(context.next)..] {
            let at = context.next;
            let is_mine = matches!(entry, Entry::Decide { owner: of, .. } if *of == owner);
            match context.read(model, entry) {
                Ruling::Announced => ends = true,
                Ruling::Valid if proposed.get(placed.len()) == Some(entry) => {
                    placed.push_back((at, *entry));
                }
                Ruling::Valid => ends = true,
                Ruling::Void => ends |= is_mine,
            }
        }
        if ends || placed.len() != proposed.len() {
            self.processes[process] = Process::default();
            return;
        }
        let mine = &mut self.processes[process];
        mine.context = context;
        mine.proposed.clear();
        self.confirmed(model, process, placed);
    }

    /// `Outbox::send` of one record.
    pub(crate) fn act(&mut self, model: &Model, process: usize) {
        let Some((at, entry)) = self.processes[process].to_send.pop_front() else { return };
        self.judge_act(at, &entry);
        let mine = &mut self.processes[process];
        mine.open |= bit(at);
        if entry.wishes(model) && mine.context.answered & bit(at) == 0 {
            mine.wishing |= bit(at);
        }
        if !model.rules.tells_after_ack {
            mine.untold |= mine.wishing;
            mine.wishing = 0;
        }
    }

    /// `Outbox::settle`: what follows from the record at `at` is acknowledged.
    pub(crate) fn settle(&mut self, process: usize, at: u8) {
        self.acknowledged |= bit(at);
        let mine = &mut self.processes[process];
        mine.open &= !bit(at);
        mine.untold |= mine.wishing & bit(at);
        mine.wishing &= !bit(at);
    }

    /// Reads an input that is ignored.
    pub(crate) fn ignore(&mut self, process: usize) {
        self.processes[process].position += 1;
    }

    /// `capture`.
    pub(crate) fn capture(&mut self, process: usize) {
        self.used.snapshots += 1;
        let mine = &mut self.processes[process];
        let (next, book) = Self::with_proposed(&mine.context, &mine.proposed);
        mine.captured = Some(Fold { next, book, ..mine.context });
    }

    /// `Camera::write`: the snapshot is on its way.
    pub(crate) fn write(&mut self, model: &Model, process: usize) {
        let mine = &mut self.processes[process];
        let Some(shot) = mine.captured.take() else { return };
        let shot = Fold { cursor: shot.next, unsent: 0, answered: 0, ..shot };
        mine.writing = Some(shot);
        if !model.rules.trims_below_written {
            mine.trim = Some(shot.next);
        }
        let (owner, holder) = (mine.owner, mine.holder);
        let parts = if model.rules.marker_with_states {
            vec![Part::Whole]
        } else {
            vec![Part::StatesAlone, Part::MarkerAlone]
        };
        self.writes.extend(parts.into_iter().map(|part| Write { owner, holder, shot, part }));
    }

    /// `Snapshots::write` at the broker.
    pub(crate) fn land_write(&mut self, model: &Model, place: usize) {
        let write = self.writes.remove(place);
        let stands = write.holder == self.holder || !model.rules.fence_holds;
        let Write { owner, shot, part, .. } = write;
        if stands {
            self.judge_cursor(model, self.end(), shot.cursor);
            match part {
                Part::Whole => self.snapshot = Snapshot { marker: shot, states: shot.book },
                Part::StatesAlone => self.snapshot.states = shot.book,
                Part::MarkerAlone => self.snapshot.marker = shot,
            }
        }
        if let Some(process) = self.alive(owner)
            && part != Part::StatesAlone
        {
            process.written = Some(stands);
        }
    }

    /// `Camera::collect`.
    pub(crate) fn collect(&mut self, model: &Model, process: usize) {
        let mine = &mut self.processes[process];
        let stands = mine.written.take() == Some(true);
        let shot = mine.writing.take();
        if stands {
            mine.trim = shot.map(|shot| shot.next);
        } else if model.rules.fenced_is_lost {
            self.processes[process] = Process::default();
        } else {
            mine.captured = shot;
            self.fence_late(process);
        }
    }

    /// `Log::trim`.
    pub(crate) fn trim(&mut self, process: usize) {
        let below = self.processes[process].trim.take();
        self.trimmed_below = self.trimmed_below.max(below.unwrap_or_default());
    }

    /// A lane with nothing in flight that does not know the journal's end.
    pub(crate) fn is_behind(&self, process: usize) -> bool {
        let mine = &self.processes[process];
        mine.is_between_turns() && mine.stage == Stage::Active && mine.context.next != self.end()
    }
}
