//! The independent judge of a running system: reads what stands on its topics and in its participants'
//! books, and says which of the promised invariants do not hold.
//!
//! It is written against the documents (docs/reference: records, events, topics, saga-file, compensation) and
//! shares no code with the engine: it has its own reader of the wire, of saga files and of the course that a
//! run may take. Pure: no clock, no chance, no I/O.
//!
//! ```
//! use verify::{Judge, Options, Record};
//!
//! let mut judge = Judge::new(Options::default());
//! judge.whole("pavane.events");
//! judge.record(&Record {
//!     topic: "pavane.events",
//!     partition: 0,
//!     offset: 0,
//!     timestamp: 0,
//!     key: Some(b"orders:o-17"),
//!     headers: &[("ce_type", Some(b"pavane.TaskCompleted"))],
//!     value: Some(b"no event"),
//! });
//! let report = judge.finish();
//! assert_eq!(report.violations[0].invariant.id(), "readable");
//! ```

mod bench;
mod books;
mod definition;
mod events;
mod fold;
mod graph;
mod inputs;
mod invariant;
mod judge;
mod letters;
mod record;
mod report;
mod run;
mod settle;
mod status;
mod wire;
mod workflow;
mod yaml;

pub use invariant::Invariant;
pub use judge::Judge;
pub use record::{BookError, Effect, Header, Op, Record};
pub use report::{Counts, Moment, Report, Violation};

/// What the judge may hold, and what it takes for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What stands before the names of the product's topics.
    pub prefix: String,
    /// What is older than so many milliseconds has had its time: then a start without an outcome, a command
    /// that was not sent, a success that was ignored and a run in which nothing is due are violations.
    /// `None`: nothing is judged by what may still come.
    pub quiet_ms: Option<i64>,
    /// The time by which that is counted, milliseconds since 1970; `None`: that of the newest record.
    pub now: Option<i64>,
    /// How long an ended workflow is remembered: before that a start is no new run.
    pub remember_ms: i64,
    /// Ended runs that are held for what may come late.
    pub ended_max: usize,
    /// Records of a partition that a dead letter may have come from.
    pub sources_max: usize,
    /// Violations that are described; those beyond are counted.
    pub violations_max: usize,
    /// Moments in the timeline of a violation.
    pub timeline_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "pavane.".to_owned(),
            quiet_ms: None,
            now: None,
            // docs/reference/limits.md: 30 days.
            remember_ms: 30 * 24 * 3600 * 1000,
            ended_max: 100_000,
            sources_max: 1_000_000,
            violations_max: 100,
            timeline_max: 60,
        }
    }
}
