//! What the judge has found.

use std::fmt;
use std::sync::Arc;

use crate::Invariant;

/// One thing that was seen, in a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The record's time, milliseconds since 1970: an event's is that of its decision.
    pub time: i64,
    /// Where it stands.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
    /// What it is: the event's or the command's type, without `pavane.`.
    pub what: &'static str,
    /// The task that it is about.
    pub task: Option<Arc<str>>,
    /// The sequence number of an event; else 0.
    pub sequence: i64,
    /// Which attempt or undo, counted from 1; 0 where there is none.
    pub n: i64,
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, topic, partition, offset, what, task, sequence, n } = self;
        write!(out, "{time}  {topic}/{partition}/{offset}  ")?;
        if *sequence > 0 {
            write!(out, "#{sequence} ")?;
        }
        out.write_str(what)?;
        if let Some(task) = task {
            write!(out, " {task}")?;
        }
        if *n > 0 { write!(out, " {n}") } else { Ok(()) }
    }
}

/// An invariant that does not hold, and the shortest course of records that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// The workflow, where one is concerned.
    pub workflow: Option<Arc<str>>,
    /// The run of it.
    pub run: Option<i64>,
    /// What is wrong, in words.
    pub message: String,
    /// What was seen of the run as a whole and of the tasks concerned, in order; the last are the
    /// newest. At most [`crate::Options::timeline_max`].
    pub timeline: Vec<Moment>,
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records of all topics.
    pub records: u64,
    /// Lifecycle events, repeats not counted.
    pub events: u64,
    /// Events, commands and dead letters that came again, the same.
    pub repeats: u64,
    /// Starts in the inbox.
    pub starts: u64,
    /// Answers in the inbox.
    pub answers: u64,
    /// Commands on `tasks.*`, repeats not counted.
    pub commands: u64,
    /// Dead letters, repeats not counted.
    pub dead_letters: u64,
    /// Versions of sagas whose graph is known.
    pub definitions: u64,
    /// Versions of sagas in a spelling that the judge does not read: their runs are not judged by the graph.
    pub definitions_unread: u64,
    /// Entries of books.
    pub effects: u64,
    /// Runs that were seen from their first event on.
    pub runs: u64,
    /// Of those, ended.
    pub ended: u64,
    /// Of those, judged and dropped before all was seen, to bound the memory.
    pub dropped: u64,
    /// Runs whose beginning is no longer kept, and records about runs that were judged and dropped.
    pub unjudged: u64,
    /// Records that are nobody's: of another's making, or of a topic that the judge does not read.
    pub passed_over: u64,
}

/// What was judged and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How much was judged.
    pub counts: Counts,
    /// In the order in which they were found, up to [`crate::Options::violations_max`].
    pub violations: Vec<Violation>,
    /// How many were found.
    pub violations_total: u64,
}
