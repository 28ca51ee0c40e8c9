//! The rules that hold a run's events against the other topics, judged when all of it was seen.

use std::sync::Arc;

use crate::Invariant as I;
use crate::bench::Bench;
use crate::books::Books;
use crate::definition::{Action, Definition};
use crate::fold::canonical;
use crate::graph;
use crate::run::{Ordered, Run, Task};
use crate::status::{Back, Forward, Kind, Seen};
use crate::wire::Asks;

/// How long it may be tried to send a command before its workflow is told, milliseconds.
const SENDING_MAX: i64 = 30_000;

/// What is known beside the run.
pub(crate) struct Known<'a> {
    pub(crate) definition: Option<&'a Definition>,
    pub(crate) books: &'a Books,
    /// Whether all of the inbox, of the events, or of an agent's tasks is given.
    pub(crate) inbox: bool,
    pub(crate) events: bool,
    pub(crate) tasks: &'a dyn Fn(&str) -> bool,
    /// Whether an answer was refused as a dead letter.
    pub(crate) is_dead: &'a dyn Fn(u32, i64) -> bool,
    /// What is older than this has had its time; `None`: nothing is judged by what is missing.
    pub(crate) quiet_since: Option<i64>,
}

impl Known<'_> {
    fn is_old(&self, time: i64) -> bool {
        self.quiet_since.is_some_and(|since| time <= since)
    }
}

/// Judges a run as a whole.
pub(crate) fn judge(workflow: &Arc<str>, run: &Run, known: &Known<'_>, bench: &mut Bench) {
    let rules = Rules { workflow, run, known };
    if !run.from_start {
        if run.sequence == 0 && known.events {
            rules.commands_of_nobody(bench);
        }
        return;
    }
    if let Some(definition) = known.definition {
        graph::judge(workflow, run, definition, bench);
    }
    for (task, number) in run.tasks.iter().zip(0..) {
        rules.orders(task, number, bench);
        rules.answered(task, number, bench);
        rules.late(task, number, bench);
    }
    known.books.agree(workflow, run, known.definition, bench);
    rules.silent(bench);
}

struct Rules<'a> {
    workflow: &'a Arc<str>,
    run: &'a Run,
    known: &'a Known<'a>,
}

impl Rules<'_> {
    fn blame(&self, bench: &mut Bench, invariant: I, about: &[u32], message: String) {
        bench.blame_run(invariant, self.workflow, self.run, about, message);
    }

    fn commands_of_nobody(&self, bench: &mut Bench) {
        for (task, number) in self.run.tasks.iter().zip(0..) {
            if task.orders.iter().any(|order| order.sent.is_some()) {
                let message = format!("a command about `{}` of a run that there is not", task.name);
                self.blame(bench, I::Decided, &[number], message);
            }
        }
    }

    /// Commands beside the events that decided them.
    fn orders(&self, task: &Task, number: u32, bench: &mut Bench) {
        for order in &task.orders {
            let name = &task.name;
            let (word, n) = (word(order), order.n);
            match (&order.decided, &order.sent) {
                (None, Some(_)) if matches!(order.asks, Asks::Do | Asks::Undo) => {
                    if self.known.events {
                        let message = format!("{word} {n} of `{name}` was sent, but never decided");
                        self.blame(bench, I::Decided, &[number], message);
                    }
                }
                (Some(decided), Some(sent)) => {
                    if (&decided.agent, decided.hash) != (&sent.agent, sent.hash) {
                        let message = format!(
                            "{word} {n} of `{name}` was sent to {} or with inputs other than decided",
                            sent.agent
                        );
                        self.blame(bench, I::Decided, &[number], message);
                    }
                    if decided.epoch != sent.epoch {
                        let (was, is) = (decided.epoch, sent.epoch);
                        let message =
                            format!("{word} {n} of `{name}` carries epoch {is}, decided in {was}");
                        self.blame(bench, I::Epoch, &[number], message);
                    }
                }
                (Some(decided), None) => {
                    let due = (self.known.tasks)(&decided.agent) && self.known.is_old(decided.time);
                    // It timed out while it was still tried to send it, and is no longer wanted.
                    let too_late = decided.deadline - decided.time < SENDING_MAX;
                    if due && !task.unsent && !too_late {
                        let message = format!("{word} {n} of `{name}` was decided, but never sent");
                        self.blame(bench, I::Sent, &[number], message);
                    }
                }
                (None, None | Some(_)) => {}
            }
        }
    }

    fn is_agents(&self, task: &Task) -> bool {
        task.orders.iter().any(|order| order.asks == Asks::Do && order.sent.is_some())
    }

    /// What it gave is what was answered.
    fn answered(&self, task: &Task, number: u32, bench: &mut Bench) {
        let Some(hash) = task.answered.filter(|_| self.known.inbox && self.is_agents(task)) else {
            return;
        };
        let is_same = || {
            let output = canonical(task.output.as_deref().unwrap_or_default().as_bytes());
            task.answers.iter().any(|answer| answer.hash == output)
        };
        let is_said = task.answers.iter().any(|answer| answer.raw == hash) || is_same();
        if !is_said && !self.run.was_covered(task) {
            let message = format!("`{}` is done, with an output that nobody answered", task.name);
            self.blame(bench, I::Answered, &[number], message);
        }
    }

    /// A success is adopted or undone.
    fn late(&self, task: &Task, number: u32, bench: &mut Bench) {
        let status = task.status;
        let Some(of) = self.known.definition else { return };
        let place = of.find(&task.name);
        let Some(node) = place.and_then(|place| of.node(&place)) else { return };
        if !node.has_undo || node.action != Action::Agent {
            return;
        }
        // What the end lists as in doubt is left so: `fail_fast`, or an undo that was given up.
        let lists = self.run.lists.as_ref();
        let left = lists.is_some_and(|lists| lists.in_doubt.iter().any(|id| **id == *task.name));
        // A success that its fallback gave is not its own.
        let is_kept = status.successes > 0 && !self.run.was_covered(task);
        let excused = status.by_hand || task.refused || left || status.back == Back::GivenUp;
        if is_kept || status.informed || excused {
            return;
        }
        if !node.undo_is_whole && status.undo > 0 {
            return; // What the undo carries does not say whether it knew.
        }
        let ignored = task.answers.iter().find(|answer| {
            self.known.is_old(answer.time)
                && !(self.known.is_dead)(answer.partition, answer.offset)
                && !self.is_ignored(task, answer.time, of)
        });
        if ignored.is_some() {
            let (name, word) = (&task.name, status.word());
            let message =
                format!("a success of `{name}`, which is {word}, is neither kept nor undone");
            self.blame(bench, I::LateSuccess, &[number], message);
        }
    }

    /// Where nothing was undone, a success that comes while the tasks of `then` run, or after the end, is ignored.
    fn is_ignored(&self, task: &Task, answered: i64, of: &Definition) -> bool {
        let run = self.run;
        let is_closing = |seen: &&Seen| {
            let place = run.task(seen.task).and_then(|task| of.find(&task.name));
            let closing = place.and_then(|place| of.node(&place)).is_some_and(|node| node.closing);
            closing && matches!(seen.kind, Kind::TaskScheduled | Kind::TaskStarted)
        };
        let closing_since = run.history.iter().find(is_closing).map(|seen| seen.time);
        let since = closing_since.or(run.end.map(|(_, ended)| ended));
        task.status.undo == 0 && since.is_some_and(|since| answered >= since)
    }

    /// Something is outstanding, or a person is asked.
    fn silent(&self, bench: &mut Bench) {
        let Some(since) = self.known.quiet_since else { return };
        let run = self.run;
        let blocked = run.tasks.iter().any(|task| task.status.back == Back::Blocked);
        if run.end.is_some() || run.paused || blocked || run.last > since {
            return;
        }
        let mut about = Vec::new();
        for (task, number) in run.tasks.iter().zip(0..) {
            let (status, is_timed) = (task.status, task.due > 0);
            let forward = status.is_under_way() && !self.is_around(task);
            if forward && (!is_timed || task.due > since) || status.forward == Forward::InDoubt {
                return;
            }
            if status.is_undoing() && task.undo_due > since {
                return;
            }
            if status.is_under_way() || status.is_undoing() {
                about.push(number);
            }
        }
        let message = "the run is alive, and nothing in it is due any more".to_owned();
        self.blame(bench, I::NeverSilent, &about, message);
    }

    fn is_around(&self, task: &Task) -> bool {
        self.known
            .definition
            .is_some_and(|of| of.find(&task.name).is_some_and(|place| of.is_around(&place)))
    }
}

fn word(order: &Ordered) -> &'static str {
    match order.asks {
        Asks::Do => "do",
        Asks::Undo => "undo",
        Asks::Query => "query",
        Asks::Cancel => "cancel",
    }
}
