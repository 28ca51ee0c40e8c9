//! What is broken, for people: the shortest course that shows it, and the faults that brought it about.

use verify::{Moment, Violation};

use crate::faults::{AppendFate, Call, Fault, SendFate};
use crate::world::{BEGINNING_MS, Micros};

/// Lines of a story that is no violation of the outer judge's; the last are the newest.
const LINES_MAX: usize = 60;

/// What is broken, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What is wrong.
    pub what: String,
    /// What must hold instead, where a named invariant is broken.
    pub must_hold: Option<&'static str>,
    /// What was seen of it, in order, with seconds since the beginning.
    pub timeline: Vec<String>,
}

impl Shown {
    pub(crate) fn of(broken: &[String], violation: Option<&Violation>, story: &[String]) -> Self {
        if let Some(Violation { invariant, workflow, run, message, timeline }) = violation {
            let of = workflow.as_deref().zip(*run).map(|(id, run)| format!("{id}, run {run}: "));
            return Self {
                what: format!("{}: {}{message}", invariant.id(), of.unwrap_or_default()),
                must_hold: Some(invariant.says()),
                timeline: timeline.iter().map(moment).collect(),
            };
        }
        let what = broken.first().cloned().unwrap_or_default();
        // The workflow that it names, or everything.
        let about = what.split([' ', ',', '`', '"']).find(|word| word.contains(':'));
        let about = about.map(|word| word.trim_end_matches(':')).filter(|word| word.contains(':'));
        let of_it = |line: &&String| about.is_none_or(|id| line.contains(id));
        let lines: Vec<String> = story.iter().filter(of_it).cloned().collect();
        let from = lines.len().saturating_sub(LINES_MAX);
        Self { what, must_hold: None, timeline: lines[from..].to_vec() }
    }
}

fn seconds(micros: Micros) -> String {
    format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)
}

/// A line of the story, which begins with the time in twelve digits.
pub(crate) fn at(line: &str) -> String {
    match line.get(..12).and_then(|digits| digits.trim().parse().ok()) {
        Some(micros) => format!("{:>12} {}", seconds(micros), line.get(13..).unwrap_or_default()),
        None => line.to_owned(),
    }
}

fn moment(moment: &Moment) -> String {
    let Moment { time, topic, partition, offset, what, task, sequence, n } = moment;
    let mut line =
        format!("{:>12}  {topic}/{partition}/{offset}  ", seconds((time - BEGINNING_MS) * 1_000));
    if *sequence > 0 {
        line.push_str(&format!("#{sequence} "));
    }
    line.push_str(what);
    task.iter().for_each(|task| line.push_str(&format!(" {task}")));
    if *n > 0 {
        line.push_str(&format!(" {n}"));
    }
    line
}

impl Fault {
    /// In words; `roles` are the names of those that it can befall.
    #[must_use]
    pub fn told(&self, roles: &[String]) -> String {
        let role = |role: &usize| roles.get(*role).map_or("somebody", String::as_str);
        let span = |at: &i64, until: &i64| format!("from {} to {}", seconds(*at), seconds(*until));
        match self {
            Self::Crash { role: of, step } => {
                format!("{} dies at step {step} of its calls to the broker", role(of))
            }
            Self::Kill { at, role: of } => format!("{} is killed at {}", role(of), seconds(*at)),
            Self::Pause { role: of, step, wait } => {
                let wait = seconds(*wait);
                format!(
                    "{} stands still for {wait} at step {step} of its calls to the broker",
                    role(of)
                )
            }
            Self::At { role: of, call, nth, wait } => {
                let place = format!("at beginning or end {nth} of its calls to {}", called(*call));
                match wait {
                    Some(wait) => {
                        format!("{} stands still for {} {place}", role(of), seconds(*wait))
                    }
                    None => format!("{} dies {place}", role(of)),
                }
            }
            Self::Leave { at, role: of } => {
                format!("{} is asked to leave at {}", role(of), seconds(*at))
            }
            Self::Appends { at, until, fate, one_in } => {
                format!("one in {one_in} appends is {} {}", appended(*fate), span(at, until))
            }
            Self::Sends { at, until, fate, one_in } => {
                format!("one in {one_in} records sent is {} {}", sent(*fate), span(at, until))
            }
            Self::Jump { at, role: of, by_ms } => {
                format!("the clock of {} jumps by {by_ms} ms at {}", role(of), seconds(*at))
            }
            Self::Rebalance { at } => format!("all groups are shared anew at {}", seconds(*at)),
            Self::Everyone { at, until } => {
                format!("everybody is told that it holds every lane {}", span(at, until))
            }
            Self::Redeliver { at, until } => {
                format!("what is not committed is handed out again {}", span(at, until))
            }
            Self::Slow { at, until, times } => {
                format!("the network is {times} times as slow {}", span(at, until))
            }
            Self::LoseSnapshot { at, lane } => {
                format!("the newest snapshot of lane {lane} is lost at {}", seconds(*at))
            }
        }
    }
}

const fn called(call: Call) -> &'static str {
    match call {
        Call::Fence => "take the fence",
        Call::Load => "load a snapshot",
        Call::Claim => "claim a lane",
        Call::Snapshot => "write a snapshot",
        Call::Append => "append to the journal",
        Call::Look => "look at the journal's end",
        Call::Read => "read the inbox",
        Call::Send => "send",
        Call::Idle => "read an inbox in which nothing is",
    }
}

const fn appended(fate: AppendFate) -> &'static str {
    match fate {
        AppendFate::Well => "stored",
        AppendFate::Lost => "lost",
        AppendFate::Unacknowledged => "stored and not acknowledged",
        AppendFate::Late => "stored long after its sender has given up",
        AppendFate::Twice => "stored twice",
        AppendFate::NoOffsets => "acknowledged without an offset",
        AppendFate::Nowhere => "acknowledged and not stored",
        AppendFate::Refused => "refused, for the disk is full,",
    }
}

const fn sent(fate: SendFate) -> &'static str {
    match fate {
        SendFate::Well => "stored",
        SendFate::Unacknowledged => "stored and not acknowledged",
        SendFate::Lost => "lost",
        SendFate::Twice => "stored twice",
    }
}
