//! Services of users, which take no commands: they publish what workflows wait for, mostly; late, twice, as a
//! failure, or never. Operators and people who signal are among them.

use std::collections::BTreeSet;
use std::time::Duration;

use events::{Lifecycle, What, WorkflowId};
use saga::{Awaited, TaskPlan};
use stream::{Broker, Follow, LogError, Start};

use crate::broker::SimBroker;
use crate::play::{awaited, key_of, kind_of, said};
use crate::sagas::{Deployed, of_version};
use crate::world::{Inner, MS, Micros, World};

/// Nobody is late by more.
const LATE_MAX_MS: i64 = 3_600_000;

/// Follows the public events, and does what services would do.
pub(crate) fn serve(world: &World, sagas: &[Deployed]) -> Result<(), LogError> {
    let broker = SimBroker::of(world, None);
    let mut follow = broker.follow(vec![(broker.topics().events(), Start::Earliest)])?;
    let mut seen = BTreeSet::new();
    loop {
        for record in follow.next(Duration::from_secs(20))? {
            let value = record.value.as_deref().unwrap_or_default();
            let event = events::unframe(value)
                .and_then(|(_, datum)| Lifecycle::decode(kind_of(&record), datum));
            let Ok(event) = event else { continue };
            if !seen.insert((event.workflow.clone(), event.run, event.sequence)) {
                continue;
            }
            let Some(saga) = of_version(sagas, event.saga.as_str(), event.version.as_str()) else {
                continue;
            };
            hear(&mut world.lock(), saga, &event.workflow, &event.what);
        }
    }
}

fn hear(inner: &mut Inner, saga: &Deployed, workflow: &WorkflowId, what: &What) {
    let (task, in_undo) =
        if let What::TaskScheduled { task, .. } | What::TaskStarted { task, .. } = what {
            (task, false)
        } else if let What::UndoScheduled { task, .. } = what {
            (task, true)
        } else {
            return;
        };
    let slot = saga.props.as_ref().and_then(|props| props.slot(task.as_str()));
    let Some((slot, plan)) = slot.and_then(|slot| Some((slot, saga.plan.tasks.get(slot)?))) else {
        return;
    };
    let action = match (&plan.undo, in_undo) {
        (Some(undo), true) => &undo.action,
        (None, true) => return,
        (_, false) => &plan.action,
    };
    let (good, bad) = awaited(action);
    if good.is_empty() && bad.is_empty() {
        return;
    }
    if inner.dice.one_in(10) {
        inner.tally.count("events that never come");
        return;
    }
    let fails = !bad.is_empty() && inner.dice.one_in(6);
    let chosen = if fails || good.is_empty() {
        Awaited::Event(inner.dice.of(&bad).clone())
    } else {
        inner.dice.of(&good).clone()
    };
    let Some(record) = said(saga, (&chosen, slot), key_of(workflow), &mut inner.dice) else {
        return;
    };
    if fails {
        inner.tally.count("events that say it failed");
    }
    let wait = delay(inner, plan);
    if inner.dice.one_in(6) {
        inner.tally.count("events that come twice");
        let later = inner.dice.scale(1, 10_000) * MS;
        inner.put_later(record.clone(), wait + later);
    }
    inner.put_later(record, wait);
}

/// Mostly soon; now and then about when the task has given up.
fn delay(inner: &mut Inner, task: &TaskPlan) -> Micros {
    let timeout = task.timeout.and_then(|it| i64::try_from(it.as_millis()).ok());
    if let Some(timeout) = timeout.filter(|_| inner.dice.one_in(8)) {
        inner.tally.count("events that come late");
        let timeout = timeout.clamp(2, LATE_MAX_MS);
        return inner.dice.range(timeout / 2, timeout * 3 / 2) * MS;
    }
    inner.dice.scale(10, 6_000) * MS
}
