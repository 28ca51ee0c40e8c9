//! All that may happen to a workflow of a file, up to a bound: every order of answers, failures, silence,
//! late and repeated answers, events, restarts and operators. The real `decide`, `evolve` and `react` run;
//! time is virtual. What is found is judged from the public events alone.
//!
//! The simplest runs come first: those with the fewest troubles, and among them the shortest. So the first
//! run that shows a mistake is the simplest that does.

mod canonical;
mod choice;
mod judge;
mod law;
mod participant;
mod places;
mod props;
mod reads;
mod sample;
mod samples;
mod search;
mod story;
mod waiting;
mod words;
mod world;

use std::fmt;
use std::sync::Arc;

pub use props::{Begin, Props, Publishable};

use places::Places;
use samples::Samples;
use world::Setting;

use crate::definition::plan_in_thought;
use crate::plan::{Plan, RetryPlan};

/// How far is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Different moments that are looked at.
    pub states: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { states: 20_000 }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// It must not happen.
    Error,
    /// It may be meant.
    Warning,
}

/// What may happen to workflows of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Explored {
    /// The saga.
    pub saga: String,
    /// Different moments that were seen.
    pub states: usize,
    /// Steps of the longest run that was seen.
    pub depth: usize,
    /// Every run with at most so many troubles was seen; `None`: not even all in which nothing goes wrong.
    pub troubles: Option<u32>,
    /// Every run was seen.
    pub complete: bool,
    /// Tasks that have begun in no run that was seen, where that says nothing since not all were.
    pub unreached: Vec<String>,
    /// What is wrong, each with the simplest run that shows it. Errors first.
    pub findings: Vec<Counterexample>,
}

impl Explored {
    /// Whether something is wrong.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.gravity == Gravity::Error)
    }
}

/// Something that is wrong, and a run that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// For machines: docs/guide/checking.md lists them.
    pub code: &'static str,
    /// How bad it is.
    pub gravity: Gravity,
    /// The task that it is about, where it is about one.
    pub task: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The run, from its start. Empty where no run shows it.
    pub steps: Vec<Step>,
}

/// As a story: what is wrong, and beneath it the run, a line for each step and what follows from it.
impl fmt::Display for Counterexample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.gravity {
            Gravity::Error => "error",
            Gravity::Warning => "warning",
        };
        writeln!(out, "{word}[{}]: {}", self.code, self.message)?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(out, "  {number}. {}", step.what)?;
            for event in &step.events {
                writeln!(out, "       {event}")?;
            }
        }
        Ok(())
    }
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In plain words.
    pub what: String,
    /// The public events that follow, in plain words.
    pub events: Vec<String>,
}

/// Something that is wrong, at one moment.
#[derive(Clone, Debug)]
struct Found {
    code: &'static str,
    gravity: Gravity,
    /// The task, or nothing.
    about: String,
    message: String,
}

impl Found {
    /// A promise of ours is broken.
    fn of_ours(code: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self { code, gravity: Gravity::Error, about: about.to_owned(), message: message.into() }
    }

    /// The file is not what its author meant.
    fn of_file(code: &'static str, gravity: Gravity, about: &str, message: String) -> Self {
        Self { code, gravity, about: about.to_owned(), message }
    }
}

/// What may happen to workflows of a file. `others`: files that belong to it, for its children. A file
/// whose only errors are about what it would do (E205, E4xx) is explored too.
///
/// `None`: it has other errors, and means nothing yet.
#[must_use]
pub fn explore(source: &str, others: &[&str], bounds: Bounds) -> Option<Explored> {
    let plan = tamed(plan_in_thought(source)?).shared();
    let others: Vec<Plan> = others.iter().filter_map(|other| plan_in_thought(other)).collect();
    let others = others.into_iter().filter(|other| other.name != plan.name).collect();
    let setting = Setting {
        definitions: world::definitions(&plan, others),
        places: Places::of(&plan),
        samples: Samples::of(&plan),
        plan: Arc::clone(&plan),
    };
    Some(search::search(&setting, bounds))
}

/// Attempts that are made: what the third shows, the second has shown.
const ATTEMPTS_MAX: u32 = 2;

/// The same plan with few attempts, and waits of one length between them.
fn tamed(mut plan: Plan) -> Plan {
    let tame = |retry: &mut RetryPlan| {
        retry.max_attempts = retry.max_attempts.min(ATTEMPTS_MAX);
        retry.factor = 1.0;
        retry.jitter = 0.0;
    };
    for task in &mut plan.tasks {
        tame(&mut task.retry);
        task.undo.iter_mut().for_each(|undo| tame(&mut undo.retry));
    }
    plan
}
