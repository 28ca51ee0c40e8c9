//! Records of the journal and their reader. With all rules in force the reader is held, record by record,
//! against the code's own [`stream::Context::judge`].

use stream::{Announce, Body, Context, Decide, FORMAT, Origin, Owner, Written};

use crate::rules::{Model, Rules};

/// A set of journal offsets, one bit each.
pub(crate) type Offsets = u32;

/// The set with this offset alone.
pub(crate) fn bit(offset: u8) -> Offsets {
    1 << offset
}

/// The offsets in a set, lowest first.
pub(crate) fn each(set: Offsets) -> impl Iterator<Item = u8> {
    (0..32).filter(move |offset| set & bit(*offset) != 0)
}

/// The state: what was applied, in order, four bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Book(u64);

impl Book {
    /// The same with what this cause leads to.
    pub(crate) fn after(self, cause: Cause) -> Self {
        let event = match cause {
            Cause::Input(n) => u64::from(n) + 1,
            Cause::Timer => 14,
            Cause::Acked(_) => 15,
            Cause::Skip => return self,
        };
        Self(self.0 << 4 | event)
    }

    fn holds(self, event: u64) -> bool {
        (0..16).any(|place| self.0 >> (4 * place) & 15 == event)
    }

    /// Whether this input has no effect here: the second has none while the timer is set.
    pub(crate) fn ignores(self, model: &Model, input: u8) -> bool {
        input == 1 && self.timer_is_due(model)
    }

    /// Whether a timer is set and has not fired.
    pub(crate) fn timer_is_due(self, model: &Model) -> bool {
        model.bounds.timer && self.holds(1) && !self.holds(14)
    }
}

/// What a decision was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    Input(u8),
    Timer,
    /// What follows from the record at this offset is acknowledged.
    Acked(u8),
    Skip,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    Announce { epoch: u8, owner: u8 },
    Decide { epoch: u8, owner: u8, seq: u8, position: u8, cursor: u8, cause: Cause, on: Book },
}

impl Entry {
    /// Whether what follows from it asks to be told of its acknowledgement.
    pub(crate) fn wishes(&self, model: &Model) -> bool {
        model.bounds.tells && matches!(self, Self::Decide { cause: Cause::Input(0), .. })
    }

    /// The same as the code writes it.
    pub(crate) fn written(&self) -> Written {
        let name = |owner: u8| Owner([owner; 16]);
        match *self {
            Self::Announce { epoch, owner } => Written::Announce(Announce {
                epoch: epoch.into(),
                owner: name(owner),
                format: FORMAT,
            }),
            Self::Decide { epoch, owner, seq, position, cursor, cause, .. } => {
                Written::Decide(Decide {
                    epoch: epoch.into(),
                    owner: name(owner),
                    seq: seq.into(),
                    position: position.into(),
                    cursor: cursor.into(),
                    time: events::Timestamp::default(),
                    source: match cause {
                        Cause::Input(offset) => Origin::Input(offset.into()),
                        Cause::Timer => Origin::Timer(String::new()),
                        Cause::Acked(at) => Origin::Acked(at.into(), 0),
                        Cause::Skip => Origin::Skip,
                    },
                    body: Body::Nothing,
                })
            }
        }
    }
}

/// What the reader says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Announced,
    Valid,
    Void,
}

/// The fold of a journal's beginning: the code's `Restored`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fold {
    pub(crate) next: u8,
    pub(crate) epoch: u8,
    pub(crate) owner: u8,
    pub(crate) seq: u8,
    pub(crate) position: u8,
    pub(crate) cursor: u8,
    pub(crate) book: Book,
    /// Valid decisions at or above the cursor.
    pub(crate) unsent: Offsets,
    /// Those of them on whose acknowledgement something was decided.
    pub(crate) answered: Offsets,
}

impl Fold {
    /// Judges and folds the record at `next`.
    pub(crate) fn read(&mut self, model: &Model, entry: &Entry) -> Ruling {
        let before = *self;
        let ruling = self.judge(&model.rules, entry);
        if model.rules == Rules::ALL {
            assert_eq!(code_judges(&before, entry), (ruling, self.place()), "{entry:?}");
        }
        if let (Ruling::Valid, Entry::Decide { cause, .. }) = (ruling, entry) {
            self.book = self.book.after(*cause);
            self.unsent |= bit(before.next);
            if let Cause::Acked(at) = cause {
                self.answered |= bit(*at);
            }
            let kept = !(bit(self.cursor) - 1);
            self.unsent &= kept;
            self.answered &= kept;
        }
        ruling
    }

    /// `Context::judge` once more, with rules that can be broken.
    fn judge(&mut self, rules: &Rules, entry: &Entry) -> Ruling {
        let at = self.next;
        self.next += 1;
        match *entry {
            Entry::Announce { epoch, owner } => {
                if rules.newer_epoch_only && epoch <= self.epoch {
                    return Ruling::Void;
                }
                (self.epoch, self.owner, self.seq) = (epoch, owner, 0);
                Ruling::Announced
            }
            Entry::Decide { epoch, owner, seq, position, cursor, .. } => {
                if rules.epoch_matches && epoch != self.epoch
                    || rules.owner_matches && owner != self.owner
                    || rules.seq_is_next && seq != self.seq + 1
                    || position < self.position
                    || cursor > at
                {
                    return Ruling::Void;
                }
                (self.seq, self.position) = (seq, position);
                self.cursor = self.cursor.max(cursor);
                Ruling::Valid
            }
        }
    }

    /// What the code's context holds of it.
    fn place(&self) -> (u8, u8, u8, u8, u8, u8) {
        (self.next, self.epoch, self.owner, self.seq, self.position, self.cursor)
    }
}

/// What the code's own reader makes of the record.
fn code_judges(before: &Fold, entry: &Entry) -> (Ruling, (u8, u8, u8, u8, u8, u8)) {
    let mut context = Context {
        next: before.next.into(),
        epoch: before.epoch.into(),
        owner: Owner([before.owner; 16]),
        seq: before.seq.into(),
        position: Some(before.position.into()),
        cursor: before.cursor.into(),
        ..Context::empty(1)
    };
    let ruling = match context.judge(before.next.into(), &entry.written()).unwrap() {
        stream::Ruling::Announced => Ruling::Announced,
        stream::Ruling::Valid => Ruling::Valid,
        stream::Ruling::Void(_) => Ruling::Void,
    };
    let small = |number: i64| u8::try_from(number).unwrap();
    let of_epoch = |number: u64| u8::try_from(number).unwrap();
    let place = (
        small(context.next),
        of_epoch(context.epoch),
        context.owner.0[0],
        of_epoch(context.seq),
        small(context.position.unwrap()),
        small(context.cursor),
    );
    (ruling, place)
}
