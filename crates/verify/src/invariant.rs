//! The invariants by their names. docs/reference/verify.md shows the same list.

use std::fmt;

macro_rules! invariants {
    ($($name:ident $id:literal $needs:literal $says:literal)*) => {
        /// What must hold. The ids are stable: scripts may go by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $says] $name,)*
        }

        impl Invariant {
            /// All of them, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// What must be so, as a sentence without its full stop.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says),* }
            }

            /// What the judge must be given for it.
            #[must_use]
            pub const fn needs(self) -> &'static str {
                match self { $(Self::$name => $needs),* }
            }
        }
    };
}

invariants! {
    Readable "readable" "events"
        "an event decodes as its schema says, and its key and headers say what its value says"
    Sequence "sequence" "events"
        "a run's events count 1, 2, 3... without a gap"
    SameAgain "same-again" "events, `tasks.*`, `*.dlq`"
        "what comes again, an event, a command or a dead letter, is the same bytes"
    OneStart "one-start" "events"
        "a run begins with one WorkflowStarted; a workflow id has no second run while the first lives or is remembered, but for a child that has left nothing and is asked for again"
    OneEnd "one-end" "events"
        "a run has one end event, and after it only what belongs to a late undo"
    OneAttempt "one-attempt" "events"
        "attempts and undos of a task count 1, 2, 3..., and one is open at a time"
    OnceDone "once-done" "events"
        "a task is done once: a repeated answer changes nothing"
    SameInputs "same-inputs" "events"
        "every attempt of a task carries the same inputs"
    NotEarly "not-early" "events"
        "no attempt before its `retry_at`, no timeout before its deadline"
    Paused "paused" "events"
        "no task begins while the run is paused"
    NoWayForward "no-way-forward" "events, definitions"
        "once compensation has begun no forward attempt is decided; after it only the tasks of `then`"
    Epoch "epoch" "events, `tasks.*`"
        "the compensation epoch rises by one, once, and commands carry the epoch of their decision"
    OneUndo "one-undo" "events"
        "a task is undone once; once more only with the output of a late success, or by an operator's word"
    UndoReason "undo-reason" "events"
        "only what may have been done is undone"
    UndoInput "undo-input" "events, definitions"
        "an undo that the file gives no inputs carries the recorded output"
    AllOver "all-over" "events"
        "at the end of a run no attempt and no undo is open or blocked, and compensated means that compensation was completed"
    EndLists "end-lists" "events, definitions"
        "what the end event lists as standing, undone and in doubt is what the events say"
    KnownTask "known-task" "events, definitions"
        "an event is about a task that the definition has"
    GraphOrder "graph-order" "events, definitions"
        "a task begins after what it depends on, and inside of what it stands in"
    UndoOrder "undo-order" "events, definitions"
        "a task is undone after all that depended on it; under `strict` one at a time, the last finished first"
    AllUndone "all-undone" "events, definitions"
        "compensated: every success that has an undo is undone"
    Pivot "pivot" "events, definitions"
        "once the pivot is done the run does not turn back, and the pivot is never undone"
    OneOutcome "one-outcome" "inbox, events, `inbox.dlq`"
        "each start has one outcome: a run, a workflow that there was, or a dead letter"
    KnownStart "known-start" "inbox, events"
        "each run began with a start that stands in the inbox"
    Answered "answered" "inbox, `tasks.*`, events"
        "what an agent's task gave is what its participant answered"
    LateSuccess "late-success" "inbox, events, definitions"
        "a success that was answered is adopted or undone, never ignored"
    Decided "decided" "`tasks.*`, events"
        "every command that does or undoes follows from an event: same subject, agent and inputs"
    Sent "sent" "`tasks.*`, events, definitions"
        "every command that was decided was sent"
    OneKey "one-key" "`tasks.*`"
        "all commands about a task in a run carry one idempotency key, and no other task's; what was undone is done again under another"
    LaneEpoch "lane-epoch" "`tasks.*`"
        "a lane's epoch never falls as its journal grows"
    DeadLetter "dead-letter" "`*.dlq`, their sources"
        "a dead letter has a known class, says where it came from, and has its source's key, value and headers byte for byte"
    NeverSilent "never-silent" "events, definitions"
        "a live run has something outstanding that is not long overdue, or is paused or blocked and says so"
    EffectDecided "effect-decided" "books, `tasks.*`"
        "every effect in a book has a command with its key"
    AppliedOnce "applied-once" "books"
        "for one key a do is applied at most once, and an undo at most once"
    UndoneRefuses "undone-refuses" "books"
        "after an undo a do with the same key is refused"
    BooksAgree "books-agree" "books, `tasks.*`, events"
        "what is said to stand was done, and what is said to be undone was undone"
}

impl fmt::Display for Invariant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.id())
    }
}
