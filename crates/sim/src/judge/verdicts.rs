//! Each input has its one verdict, and each timer its time: every decision is made once more, on the states and at the
//! time that the journal says, and must come to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use coordinator::{Coordinator, Decided, Remembered};
use events::{Class, Offset, Record, Refusal, Timestamp, header, partition_of};
use stream::{Body, Cause, Decide, Journaled, Key, Origin, Service, Spill, States, Verdict};

use crate::fold::Fold;
use crate::store::Store;

/// A lane's journal, gone through beside its inbox.
struct Replay<'a> {
    lane: u32,
    lanes: u32,
    inbox: &'a [Record],
    states: States<Remembered>,
    /// The inbox record to be decided on next, by its place.
    next: usize,
    /// Of the last decision.
    time: Timestamp,
    /// By their offsets.
    past: BTreeMap<Offset, &'a [Decided]>,
    answered: BTreeSet<(Offset, u32)>,
    last: Option<&'a Decide>,
    broken: &'a mut Vec<String>,
}

/// `now`: when it is judged. `was_ahead`: a clock was, at some time.
pub(crate) fn judge(
    store: &Store,
    (lane, fold): (u32, &Fold),
    (now, was_ahead): (Timestamp, bool),
    broken: &mut Vec<String>,
) {
    let inbox = &store.part(Store::INBOX, lane).records;
    // All of them stay in memory.
    let states = States::new(usize::MAX, Spill::past(usize::MAX, PathBuf::new()));
    let (time, lanes) = (Timestamp::default(), store.lanes);
    let (past, answered) = (BTreeMap::new(), BTreeSet::new());
    let mut replay =
        Replay { lane, lanes, inbox, states, next: 0, time, past, answered, last: None, broken };
    for (at, decide, events) in &fold.valid {
        let gone = catch_unwind(AssertUnwindSafe(|| {
            replay.take(*at, (decide, events), was_ahead);
        }));
        if gone.is_err() {
            replay.broken.push(format!("panic: lane {lane}: {at} can not be decided again"));
            return;
        }
    }
    let end = inbox.last().map_or(0, |last| last.place.offset + 1);
    replay.pass(end, now);
}

impl<'a> Replay<'a> {
    fn say(&mut self, at: Offset, what: &str) {
        self.broken.push(format!("one-verdict: lane {}: {at} {what}", self.lane));
    }

    fn take(&mut self, at: Offset, (decide, events): (&'a Decide, &'a [Decided]), was_ahead: bool) {
        if decide.time < self.time {
            self.say(at, "carries a time before the last");
        }
        match &decide.source {
            Origin::Input(offset) => {
                self.pass(*offset, decide.time);
                self.input(at, *offset, decide);
            }
            Origin::Timer(key) => {
                self.pass(decide.position, decide.time);
                self.timer(at, &Key::from(key.as_str()), (decide, events), was_ahead);
            }
            Origin::Skip => {
                self.pass(decide.position, decide.time);
                let says_nothing = self.last.is_some_and(|last| {
                    last.source == Origin::Skip
                        && (last.epoch, last.position) == (decide.epoch, decide.position)
                });
                if says_nothing {
                    self.say(at, "is written though nothing has come since the last skip");
                }
            }
            Origin::Parked(..) => self.pass(decide.position, decide.time),
            Origin::Acked(of, index) => {
                self.pass(decide.position, decide.time);
                self.answer(at, (*of, *index), (decide, events));
            }
        }
        self.time = decide.time;
        self.past.insert(at, events);
        for event in events {
            let fold = |state: &mut Option<Remembered>| Coordinator::evolve(state, event);
            self.states.change(&event.key(), fold, Coordinator::wake_at);
        }
        self.last = Some(decide);
    }

    /// What stands before `until` has no record of its own: it was ignored.
    fn pass(&mut self, until: Offset, by: Timestamp) {
        while let Some(record) = self.inbox.get(self.next)
            && record.place.offset < until
        {
            self.next += 1;
            let is_ignored = |time| matches!(self.verdict(record, time), Body::Nothing);
            if !is_ignored(by) && !is_ignored(self.time) {
                self.say(record.place.offset, "of the inbox was passed over");
            }
        }
    }

    fn input(&mut self, at: Offset, offset: Offset, decide: &Decide) {
        let Some(record) = self.inbox.get(self.next).filter(|it| it.place.offset == offset) else {
            self.say(at, "is about an input that was decided on before, or is not there");
            return;
        };
        self.next += 1;
        if decide.position != offset + 1 {
            self.say(at, "leaves out what is behind its input");
        }
        let is_same = match (self.verdict(record, decide.time), &decide.body) {
            (Body::Refused(..), Body::Refused(..)) => true,
            // The bounds of records are the broker's.
            (_, Body::Refused(_, refusal)) => refusal.class == Class::TooLarge,
            (mine, theirs) => mine == *theirs,
        };
        if !is_same {
            self.say(at, "is another decision than the states give");
        }
    }

    /// As a body, where it is of no matter what is refused; `Nothing` where it is ignored.
    fn verdict(&self, record: &Record, now: Timestamp) -> Body {
        let kept = || stream::Kept::from(record);
        let input = match Coordinator.parse(record) {
            Ok(input) => input,
            Err(refusal) => return Body::Refused(kept(), refusal),
        };
        let home = Coordinator::home(&input)
            .filter(|key| partition_of(key.as_bytes(), self.lanes) != self.lane);
        if let Some(home) = home {
            if record.header(header::FORWARDED).is_some() {
                return Body::Refused(kept(), Refusal::new(Class::Invalid, "misplaced", ""));
            }
            return Body::Forwarded(kept().keyed(&home));
        }
        match Coordinator.decide(&self.states, Cause::Input(&input), now) {
            Verdict::Accepted(events) => Body::of(&events),
            Verdict::Ignored(_) => Body::Nothing,
            Verdict::DeadLetter(refusal) => Body::Refused(kept(), refusal),
        }
    }

    /// Of an acknowledgement the service hears once.
    fn answer(&mut self, at: Offset, of: (Offset, u32), (decide, events): (&Decide, &[Decided])) {
        if !self.answered.insert(of) {
            self.say(at, "is about an acknowledgement that was decided on before");
        }
        let index = usize::try_from(of.1).unwrap_or(usize::MAX);
        let event = self.past.get(&of.0).and_then(|events| events.get(index));
        let verdict =
            event.map(|event| Coordinator.decide(&self.states, Cause::Sent(event), decide.time));
        if verdict != Some(Verdict::Accepted(events.to_vec())) {
            self.say(at, "is another decision than the acknowledgement gives");
        }
    }

    fn timer(
        &mut self,
        at: Offset,
        key: &Key,
        (decide, events): (&Decide, &[Decided]),
        was_ahead: bool,
    ) {
        let due = self.states.get(key).and_then(Coordinator::wake_at);
        let Some(due) = due.filter(|due| *due <= decide.time) else {
            self.say(at, "is of a timer that was not due");
            return;
        };
        let cause = Cause::Wake(key);
        let verdict = Coordinator.decide(&self.states, cause, decide.time);
        if verdict != Verdict::Accepted(events.to_vec()) {
            self.say(at, "is another decision than the timer gives");
        }
        let in_time = self.inbox[self.next..].iter().filter(|record| record.timestamp < due);
        let in_time: BTreeSet<Offset> = in_time.map(|record| record.place.offset).collect();
        if let Some(first) = in_time.first()
            && !was_ahead
        {
            self.say(
                at,
                &format!("is of a timer that went before input {first}, which was in time"),
            );
        }
    }
}
