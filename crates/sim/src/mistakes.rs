//! Known mistakes that the tests plant, one at a time, to see that the simulator finds each.

/// A mistake that can be planted.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// Its name, as the code asks for it.
    pub name: &'static str,
    /// The crate that makes it.
    pub of: &'static str,
    /// What is wrong then.
    pub what: &'static str,
}

const fn mistake(name: &'static str, of: &'static str, what: &'static str) -> Mistake {
    Mistake { name, of, what }
}

/// All of them.
pub const MISTAKES: &[Mistake] = &[
    mistake(
        "acts-before-the-ack",
        "stream",
        "what follows from a decision is sent before its append is acknowledged",
    ),
    mistake(
        "doubt-taken-for-stored",
        "stream",
        "an append in doubt counts as stored where it was expected",
    ),
    mistake(
        "offsets-unchecked",
        "stream",
        "an acknowledgement at another offset, or at none, confirms",
    ),
    mistake("rival-overlooked", "stream", "a lane that reads a rival's announcement goes on"),
    mistake(
        "old-announcement-counts",
        "stream",
        "an announcement of an epoch that is not newer takes effect",
    ),
    mistake(
        "tie-goes-to-the-last",
        "stream",
        "of two announcements of one epoch the later takes effect",
    ),
    mistake("epoch-ignored", "stream", "a record of another epoch holds"),
    mistake("sequence-ignored", "stream", "a record that comes again holds again"),
    mistake(
        "snapshot-before-sending",
        "stream",
        "a snapshot is written before what is below it was sent",
    ),
    mistake(
        "capture-dropped",
        "stream",
        "what is captured while a snapshot is being written is forgotten",
    ),
    mistake(
        "snapshot-ahead",
        "stream",
        "a snapshot's marker is one record further than its states",
    ),
    mistake("snapshot-lacks-a-state", "stream", "a snapshot leaves out one changed state"),
    mistake(
        "told-before-the-ack",
        "stream",
        "the service hears that an event is out before it is acknowledged",
    ),
    mistake("unsent-taken-for-sent", "stream", "a record that was not acknowledged counts as sent"),
    mistake(
        "cursor-at-the-end",
        "stream",
        "the dispatch cursor does not wait for acknowledgements",
    ),
    mistake(
        "cursor-off-by-one",
        "stream",
        "a takeover does not send again what stands at the cursor",
    ),
    mistake("outbox-lost-at-takeover", "stream", "a takeover sends nothing again"),
    mistake("sent-again-otherwise", "stream", "what a takeover sends again has other bytes"),
    mistake(
        "input-dropped-at-a-full-batch",
        "stream",
        "the input that does not fit into a batch is passed over",
    ),
    mistake("stray-dropped", "stream", "a record on the wrong partition is not forwarded"),
    mistake("refusal-dropped", "stream", "a refused record is not written down"),
    mistake("parked-dropped", "stream", "a command that could not be sent is forgotten"),
    mistake("position-past-the-backlog", "stream", "a takeover begins at the inbox's end"),
    mistake("state-not-restored", "stream", "a takeover leaves out one state of the snapshot"),
    mistake(
        "time-runs-backwards",
        "stream",
        "decisions carry the clock's time, even if it is before the journal's",
    ),
    mistake("announced-by-nobody", "stream", "a takeover goes on in the epoch that it finds"),
    mistake("claim-left-out", "stream", "a takeover does not claim the lane"),
    mistake(
        "fenced-after-announcing",
        "stream",
        "a takeover takes the fence after it has announced itself",
    ),
    mistake(
        "folded-to-the-end-before",
        "stream",
        "a takeover does not read what came between the end that it saw and its announcement",
    ),
    mistake("found-by-epoch", "stream", "a takeover takes a rival's announcement for its own"),
    mistake(
        "loaded-once",
        "stream",
        "a takeover refuses a trimmed journal without looking for a newer snapshot",
    ),
    mistake("input-dropped-at-takeover", "stream", "a takeover passes over the first input"),
    mistake("wake-not-restored", "stream", "a takeover forgets the timers of a snapshot's states"),
    mistake("timers-before-inputs", "stream", "timers fire before the inputs that were in time"),
    mistake("timer-before-its-time", "stream", "timers fire two seconds early"),
    mistake(
        "timer-by-a-later-clock",
        "stream",
        "timers fire by the time after the inbox was looked into",
    ),
    mistake(
        "position-of-the-last-record",
        "stream",
        "a timer's record carries the position of the record before",
    ),
    mistake("skipped-again", "stream", "a lane at rest writes on"),
    mistake("sent-unlooked", "stream", "after a pause a lane sends without looking for a rival"),
    mistake(
        "fresh-when-heard",
        "stream",
        "what is known of the journal is as fresh as the answer, not as the question",
    ),
    mistake("never-looked", "stream", "an idle lane never looks at the journal"),
    mistake(
        "cursor-passes-the-failed",
        "stream",
        "the cursor does not wait for what could not be sent",
    ),
    mistake("captured-before-the-commit", "stream", "a snapshot holds what is only proposed"),
    mistake("marker-without-epoch", "stream", "a snapshot's marker does not say the epoch"),
    mistake(
        "failed-snapshot-stands",
        "stream",
        "a snapshot that could not be written counts as written",
    ),
    mistake("trimmed-too-far", "stream", "the journal is trimmed to its end"),
    mistake(
        "trimmed-before-it-is-written",
        "stream",
        "the journal is trimmed before the snapshot is there",
    ),
    mistake(
        "missing-taken-for-placed",
        "stream",
        "an own record that is not in the journal counts as placed",
    ),
    mistake("begun-at-the-end", "stream", "the first takeover of all begins at the inbox's end"),
    mistake("cursor-at-the-end-at-rest", "stream", "a lane that stops says that all is sent"),
    mistake("forgotten-at-once", "saga", "a workflow that has ended is not remembered"),
    mistake("late-result-dropped", "saga", "a success after the end is not undone"),
    mistake("undo-order-forward", "saga", "undos do not wait for those of what came later"),
    mistake("doubtful-not-undone", "saga", "what may have been done is not undone"),
    mistake("success-counts-twice", "saga", "a success that comes again counts again"),
    mistake("start-counts-twice", "saga", "a start that comes again begins the workflow anew"),
    mistake(
        "run-by-the-newest",
        "saga",
        "a workflow goes on by the newest version instead of its own",
    ),
    mistake(
        "committed-before-sent",
        "intake",
        "an offset is committed before what follows from it is acknowledged",
    ),
    mistake("not-sent-again", "intake", "a start that was not acknowledged is not sent again"),
    mistake("failure-taken-for-sent", "intake", "a start that was not acknowledged counts as sent"),
    mistake(
        "letter-cut-at-once",
        "intake",
        "a dead letter whose topic somebody else has just made loses its value",
    ),
    mistake("poison-passed-over", "intake", "a record that can not be read becomes no dead letter"),
    mistake("done-twice", "client", "a command that comes again is worked on again"),
    mistake("done-after-undone", "client", "a do is worked on after its undo"),
    mistake("undone-twice", "client", "an undo that comes again is worked on again"),
];
