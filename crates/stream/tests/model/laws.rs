//! What must hold, whatever happens: the invariants of `docs/architecture.md`, said of this world.

use crate::reader::{Book, Cause, Entry, Fold, Ruling, bit, each};
use crate::rules::Model;
use crate::world::{Stage, World};

pub(crate) const OTHER_STATE: &str = "fold-only: a valid record was decided on another state";
pub(crate) const VERDICTS: &str =
    "one-verdict: an input was applied twice, out of order, or skipped";
pub(crate) const TIMER: &str = "one-verdict: a timer fired that was not set";
pub(crate) const ANSWERED_TWICE: &str = "acked-then-told: an acknowledgement was answered twice";
pub(crate) const TOLD_EARLY: &str = "acked-then-told: told of what is not acknowledged";
pub(crate) const PASSED_UNSENT: &str = "never lost: the cursor passed what is not acknowledged";
pub(crate) const PASSED_UNTOLD: &str = "acked-then-told: the cursor passed what is not answered";
pub(crate) const ACTED: &str =
    "acts-after-ack: something was sent that follows from no valid record";
pub(crate) const RESTORED: &str =
    "fold-only: what was restored is not the fold of the valid records";
pub(crate) const CONFIRMED: &str =
    "fold-only: what was confirmed is not the fold of the valid records";
pub(crate) const REFUSED: &str = "never lost: refused, though nothing is lost";
pub(crate) const EPOCHS: &str = "one-epoch: two are active, and the older one took the fence last";
pub(crate) const STUCK: &str = "never-silent: alone and without faults, it gets stuck";
pub(crate) const INPUTS: &str = "never lost: alone and without faults, it leaves inputs undone";
pub(crate) const SENDS: &str = "never lost: alone and without faults, it leaves commands unsent";
pub(crate) const ANSWERS: &str = "acked-then-told: alone and without faults, it leaves answers out";

impl World {
    /// Stores a record, and holds it against one correct process that decides everything by itself.
    pub(crate) fn store(&mut self, model: &Model, entry: Entry) -> u8 {
        let at = self.end();
        let before = self.truth;
        self.journal.push(entry);
        if self.truth.read(model, &entry) == Ruling::Valid {
            self.valid |= bit(at);
            self.judge_valid(model, &before, &entry);
            self.judge_cursor(model, at, self.truth.cursor);
        }
        at
    }

    fn judge_valid(&mut self, model: &Model, before: &Fold, entry: &Entry) {
        let Entry::Decide { position, cause, on, .. } = *entry else { return };
        if on != before.book {
            self.breaks(OTHER_STATE);
        }
        let up_to = match cause {
            Cause::Input(n) => {
                if position != n + 1 || before.book.ignores(model, n) {
                    self.breaks(VERDICTS);
                }
                n
            }
            Cause::Timer => {
                if !before.book.timer_is_due(model) {
                    self.breaks(TIMER);
                }
                position
            }
            Cause::Acked(at) => {
                if before.answered & bit(at) != 0 || before.unsent & bit(at) == 0 {
                    self.breaks(ANSWERED_TWICE);
                }
                position
            }
            Cause::Skip => position,
        };
        let in_order = before.position <= up_to;
        if !in_order || (before.position..up_to).any(|input| !before.book.ignores(model, input)) {
            self.breaks(VERDICTS);
        }
    }

    /// Nothing below a cursor waits for anything, as the journal stands up to `end`.
    pub(crate) fn judge_cursor(&mut self, model: &Model, end: u8, cursor: u8) {
        let below = self.valid & (bit(cursor) - 1);
        if below & !self.acknowledged != 0 {
            self.breaks(PASSED_UNSENT);
        }
        let answered = self.answered(end);
        let wishes = |at: u8| self.journal[usize::from(at)].wishes(model);
        if each(below).any(|at| wishes(at) && answered & bit(at) == 0) {
            self.breaks(PASSED_UNTOLD);
        }
    }

    /// What valid records up to `end`, that one too, answer.
    fn answered(&self, end: u8) -> u32 {
        let up_to = self.valid & (bit(end) | (bit(end) - 1));
        each(up_to)
            .filter_map(|at| match self.journal.get(usize::from(at)) {
                Some(Entry::Decide { cause: Cause::Acked(of), .. }) => Some(bit(*of)),
                Some(_) | None => None,
            })
            .fold(0, |set, one| set | one)
    }

    /// Memory is the fold of the journal up to where it has read, from the first record ever.
    pub(crate) fn judge_memory(&mut self, model: &Model, context: &Fold, law: &'static str) {
        let mut truth = Fold::default();
        for entry in self.journal.iter().take(usize::from(context.next)) {
            truth.read(model, entry);
        }
        let of =
            |fold: &Fold| (fold.next, fold.epoch, fold.owner, fold.seq, fold.position, fold.book);
        if of(&truth) != of(context) {
            self.breaks(law);
        }
    }

    /// Whatever is sent follows from a record that holds.
    pub(crate) fn judge_act(&mut self, at: u8, entry: &Entry) {
        let stands = self.journal.get(usize::from(at)) == Some(entry);
        if !stands || self.valid & bit(at) == 0 {
            self.breaks(ACTED);
        }
    }

    /// Takeovers are serialised: a later epoch has the later fence.
    pub(crate) fn judge_actives(&mut self, process: usize) {
        let new = &self.processes[process];
        let crossed = self.processes.iter().any(|other| {
            other.stage == Stage::Active
                && other.owner != new.owner
                && (other.epoch < new.epoch) != (other.holder < new.holder)
        });
        if crossed {
            self.breaks(EPOCHS);
        }
    }

    /// After a process has run alone: everything is done.
    pub(crate) fn judge_end(&self, model: &Model) -> Option<&'static str> {
        let Fold { mut position, book, .. } = self.truth;
        while position < model.bounds.inputs && book.ignores(model, position) {
            position += 1;
        }
        let wished = each(self.valid)
            .filter(|at| self.journal[usize::from(*at)].wishes(model))
            .fold(0, |set, at| set | bit(at));
        if position < model.bounds.inputs {
            Some(INPUTS)
        } else if self.valid & !self.acknowledged != 0 {
            Some(SENDS)
        } else if wished & !self.answered(self.end()) != 0 {
            Some(ANSWERS)
        } else {
            None
        }
    }

    /// The states of a fold, for a capture that is ahead of what is confirmed.
    pub(crate) fn with_proposed(context: &Fold, proposed: &[Entry]) -> (u8, Book) {
        proposed.iter().fold((context.next, context.book), |(next, book), entry| match entry {
            Entry::Decide { cause, .. } => (next + 1, book.after(*cause)),
            Entry::Announce { .. } => (next, book),
        })
    }
}
