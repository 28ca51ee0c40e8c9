//! The steps of a takeover: `take_over`, `restore`, `announce`, and `Lane::begin`.

use std::collections::VecDeque;

use crate::laws::{REFUSED, RESTORED};
use crate::reader::{Entry, Fold, Ruling, each};
use crate::rules::Model;
use crate::world::{Append, Heard, Process, Stage, World};

impl World {
    /// `broker.fence`: from here on, no snapshot of an earlier holder becomes visible.
    pub(crate) fn fence(&mut self, model: &Model, process: usize) {
        self.used.owners += 1;
        let holder = if model.rules.fences_first { self.holder + 1 } else { 0 };
        self.holder = self.holder.max(holder);
        let owner = self.used.owners;
        self.processes[process] =
            Process { owner, holder, stage: Stage::Fenced, ..Process::default() };
    }

    /// Broken: the fence is taken only when a snapshot is to be written.
    pub(crate) fn fence_late(&mut self, process: usize) {
        self.holder += 1;
        self.processes[process].holder = self.holder;
    }

    /// `holder.load`.
    pub(crate) fn load(&mut self, model: &Model, process: usize) {
        let mut context = Fold { book: self.snapshot.states, ..self.snapshot.marker };
        if !model.rules.whole_marker {
            let Fold { next, book, position, cursor, .. } = context;
            context = Fold { next, book, position, cursor, ..Fold::default() };
        }
        let process = &mut self.processes[process];
        process.context = context;
        process.stage = Stage::Loaded;
    }

    /// `log.kept` and `fold_to`.
    pub(crate) fn fold(&mut self, model: &Model, process: usize) {
        let next = self.processes[process].context.next;
        if self.end() < next {
            // The journal ends below the snapshot: acknowledged records are gone.
            self.breaks(REFUSED);
            return;
        }
        if self.trimmed_below > next {
            let is_same = self.snapshot.marker.next <= next;
            if is_same || !model.rules.loads_again {
                self.breaks(REFUSED);
            } else {
                self.load(model, process);
            }
            return;
        }
        let to = self.end();
        self.read_to(model, process, to);
        self.processes[process].stage = Stage::Folded;
    }

    fn read_to(&mut self, model: &Model, process: usize, to: u8) {
        let Self { journal, processes, .. } = self;
        let context = &mut processes[process].context;
        for entry in &journal[usize::from(context.next)..usize::from(to)] {
            context.read(model, entry);
        }
    }

    /// `announce` appends.
    pub(crate) fn announce(&mut self, process: usize) {
        let process = &mut self.processes[process];
        process.epoch = process.context.epoch + 1;
        process.stage = Stage::Announcing;
        let (owner, epoch) = (process.owner, process.epoch);
        self.appends.push(Append {
            owner,
            entries: VecDeque::from([Entry::Announce { epoch, owner }]),
            offsets: Vec::new(),
            in_doubt: false,
        });
    }

    /// Where the own announcement stands, as far as the process can tell.
    pub(crate) fn own_announcement(&self, model: &Model, process: usize) -> Option<u8> {
        let Process { owner, epoch, context, heard, .. } = &self.processes[process];
        let found = |is_own: &dyn Fn(&Entry) -> bool| {
            let from = usize::from(context.next);
            let unread = self.journal.iter().enumerate().skip(from);
            let place = unread.filter(|(_, entry)| is_own(entry)).map(|(at, _)| at).next();
            place.map(|at| u8::try_from(at).unwrap())
        };
        if model.rules.finds_by_owner {
            return found(
                &|entry| matches!(entry, Entry::Announce { owner: of, .. } if of == owner),
            );
        }
        match heard {
            Some(Heard::Placed(offsets)) if offsets.first().is_some_and(Option::is_some) => {
                offsets.first().copied().flatten()
            }
            Some(_) | None => {
                found(&|entry| matches!(entry, Entry::Announce { epoch: of, .. } if of == epoch))
            }
        }
    }

    /// `announce` reads on until it meets its own.
    pub(crate) fn meet(&mut self, model: &Model, process: usize, own: u8) {
        if self.trimmed_below > self.processes[process].context.next {
            // Gone: the next attempt begins at the rival's snapshot.
            self.processes[process] = Process::default();
            return;
        }
        let Process { owner, epoch, .. } = self.processes[process];
        if model.rules.folds_to_own_announcement {
            self.read_to(model, process, own);
            let entry = self.journal[usize::from(own)];
            let context = &mut self.processes[process].context;
            if context.read(model, &entry) != Ruling::Announced {
                self.processes[process] = Process::default();
                return;
            }
        } else {
            let context = &mut self.processes[process].context;
            (context.next, context.epoch, context.owner, context.seq) = (own + 1, epoch, owner, 0);
        }
        self.processes[process].heard = None;
        self.processes[process].stage = Stage::Won;
        if !model.rules.claims {
            self.begin(model, process);
        }
    }

    /// `holder.claim`.
    pub(crate) fn claim(&mut self, model: &Model, process: usize) {
        let held = self.processes[process].holder == self.holder;
        if held || !model.rules.fences_first {
            self.begin(model, process);
        } else {
            self.processes[process] = Process::default();
        }
    }

    /// `Lane::begin`: what may not have been sent is to be sent again.
    fn begin(&mut self, model: &Model, process: usize) {
        let context = self.processes[process].context;
        self.judge_memory(model, &context, RESTORED);
        self.judge_cursor(model, context.next, context.cursor);
        let again = if model.rules.sends_again { context.unsent } else { 0 };
        let to_send = each(again).map(|at| (at, self.journal[usize::from(at)])).collect();
        let mine = &mut self.processes[process];
        if !model.rules.notes_answers {
            mine.context.answered = 0;
        }
        mine.position = context.position;
        mine.to_send = to_send;
        mine.stage = Stage::Active;
        // Where owners are not told apart, epochs are not theirs.
        if model.rules.fences_first && model.rules.owner_matches {
            self.judge_actives(process);
        }
    }
}
