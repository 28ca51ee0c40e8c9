//! What an event makes of a run.

use std::sync::Arc;

use serde_json::Value;

use crate::bench::hash_of;
use crate::run::{Body, Lists, Run, Task};
use crate::status::{Carries, Seen, TaskNo};
use crate::wire::{Asks, Does, Event, Order, Rest, What};

pub(crate) fn fold(run: &mut Run, event: &Event<'_>, seen: &Seen) {
    (run.last, run.sequence) = (event.time, event.sequence);
    match &event.what {
        What::Started { start_id } => {
            run.start_id = Some((*start_id).into());
            run.started = event.time;
        }
        What::Paused => run.paused = true,
        What::Resumed => run.paused = false,
        What::CompensationStarted { epoch } => (run.compensating, run.epoch) = (true, *epoch),
        What::CompensationCompleted => run.compensated = true,
        What::Failed { rest, .. } | What::Cancelled { rest } => {
            run.lists = Some(Box::new(lists(rest)));
        }
        What::Task { does, .. } => fold_task(run, does, seen),
        What::Completed | What::CompensationBlocked | What::SignalReceived { .. } => {}
    }
    if seen.kind.is_end() && run.end.is_none() {
        run.end = Some((seen.kind, event.time));
    }
}

fn lists(rest: &Rest<'_>) -> Lists {
    let names = |list: &[&str]| list.iter().map(|name| Arc::from(*name)).collect();
    Lists {
        stands: names(&rest.stands),
        undone: names(&rest.undone),
        in_doubt: names(&rest.in_doubt),
    }
}

fn fold_task(run: &mut Run, does: &Does<'_>, seen: &Seen) {
    let epoch = run.epoch;
    let Some(task) = run.task_mut(seen.task) else { return };
    match *does {
        Does::Scheduled(order) => {
            task.due = order.deadline;
            let hash = hash_of([order.inputs.as_bytes()]);
            task.inputs.get_or_insert(hash);
            decided(task, Asks::Do, seen, &order, epoch);
        }
        Does::UndoScheduled(order) => {
            task.undo_due = order.deadline;
            decided(task, Asks::Undo, seen, &order, epoch);
        }
        Does::Completed { output, by } => {
            task.output = Some(output.into());
            task.answered = (!by).then(|| hash_of([output.as_bytes()]));
        }
        Does::Failed { code, .. } => task.failed_by(code),
        Does::Retried { code, at, .. } => {
            (task.due, task.early) = (at, 0);
            task.failed_by(code);
        }
        Does::InDoubt { code } => {
            task.early = 0;
            task.failed_by(code);
        }
        Does::UndoFailed { code, at } => {
            task.undo_due = at.unwrap_or(0);
            task.failed_by(code);
        }
        Does::TimedOut { deadline } => task.early = deadline.saturating_sub(seen.time),
        Does::Started
        | Does::Skipped { .. }
        | Does::Cancelled
        | Does::UndoCompleted { .. }
        | Does::TimerFired => {}
    }
    task.status.fold(seen);
}

fn decided(task: &mut Task, asks: Asks, seen: &Seen, order: &Order<'_>, epoch: i64) {
    let hash = hash_of([order.inputs.as_bytes()]);
    if let Some(known) = task.order(asks, seen.n) {
        let (agent, time, deadline) = (order.agent.into(), seen.time, order.deadline);
        known.decided = Some(Body { agent, hash, epoch, time, deadline });
    }
}

/// The same for the same JSON, however it is written.
pub(crate) fn canonical(bytes: &[u8]) -> u64 {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => hash_of([value.to_string().as_bytes()]),
        Err(_) => hash_of([bytes]),
    }
}

/// What an undo's inputs are beside what was recorded.
pub(crate) fn carries(run: &Run, task: TaskNo, inputs: &str) -> Carries {
    let Ok(Value::Object(inputs)) = serde_json::from_str(inputs) else { return Carries::Else };
    let (Some(output), Some(Value::String(status))) = (inputs.get("output"), inputs.get("status"))
    else {
        return Carries::Else;
    };
    if inputs.len() != 4 || !inputs.contains_key("inputs") || !inputs.contains_key("key") {
        return Carries::Else;
    }
    let recorded = run
        .task(task)
        .filter(|task| task.status.successes > 0 && !task.status.by_hand && !run.was_covered(task));
    let recorded = recorded.and_then(|task| task.output.as_deref());
    let recorded = recorded.and_then(|text| serde_json::from_str::<Value>(text).ok());
    match (status.as_str(), recorded) {
        ("done", Some(recorded)) if recorded == *output => Carries::Output,
        // Learnt by the answer that this undo follows from.
        ("done", None) => Carries::Output,
        ("done", Some(_)) => Carries::Wrong,
        (_, Some(_)) => Carries::Wrong,
        (_, None) if output.is_null() => Carries::Doubt,
        (_, None) => Carries::Wrong,
    }
}

/// The code of what could not be sent.
pub(crate) const UNSENT: &str = "undeliverable";

impl Task {
    fn failed_by(&mut self, code: &str) {
        self.refused |= matches!(code, "schema" | "too_large" | "expression");
        self.unsent |= code == UNSENT;
    }
}
