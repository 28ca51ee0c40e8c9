//! The judge can fail: histories that are true pass, and each of them is refused once it is tampered with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use events::Timestamp;
use saga::Verb;

use crate::judge;
use crate::play::Play;
use crate::tree::{Act, Action, Case, Inputs, Join, Kind, On, Saga, Strategy, Talk, Task, Tree};
use crate::view::task_of;
use crate::world::Entry;

/// `t1`, `t2`, `t3`, each behind the one before; the first `undoable` of them have an undo.
fn chain(undoable: usize, acts: &[Act]) -> Saga {
    let task = |k: usize| Task {
        id: format!("t{}", k + 1),
        action: Action::Agent,
        join: Join::All,
        depends_on: (k > 0).then(|| format!("t{k}")).into_iter().collect(),
        when: None,
        alone: false,
        for_each: None,
        talk: Talk::Agent,
        kind: if k < undoable { Kind::Compensatable } else { Kind::ReadOnly },
        in_doubt: None,
        attempts: 1,
        once: false,
        declared: false,
        deadline: None,
        gives: None,
        optional: false,
        fallback: None,
        strategy: None,
        inputs: Inputs::Nothing,
        acts: if k == 2 { acts.to_vec() } else { Vec::new() },
        undos: Vec::new(),
        n: 0,
    };
    Saga {
        tasks: (0..3).map(task).collect(),
        strategy: Strategy::Compensate,
        closing: Vec::new(),
        max_parallel: 100,
        strict: false,
        go_on: false,
        timeout: None,
    }
}

/// What the engine makes of it, and what the judge says of that once it is tampered with.
fn judged(saga: &Saga, cancel: bool, tamper: impl Fn(&mut Vec<Entry>)) -> Result<(), String> {
    let tree = Tree::of(saga);
    let mut play = Play::new(saga, &tree);
    if cancel {
        assert!(play.world.order(Verb::Cancel));
    }
    play.drain();
    tamper(&mut play.world.log);
    renumber(&mut play.world.log);
    let judged = || judge::judge(&tree, &play.world.log, &play.participants);
    match catch_unwind(AssertUnwindSafe(judged)) {
        Ok(_) => Ok(()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap())
        }
    }
}

fn renumber(log: &mut [Entry]) {
    let mut next = 0;
    for entry in log {
        if let Entry::Event(sequence, _) = entry {
            next += 1;
            *sequence = next;
        }
    }
}

/// Where the event of that name about that task stands.
fn at(log: &[Entry], name: &str, task: &str) -> usize {
    let is_it = |entry: &Entry| match entry {
        Entry::Event(_, what) => {
            format!("{what:?}").starts_with(name) && task_of(what).unwrap_or("") == task
        }
        _ => false,
    };
    log.iter().position(is_it).unwrap_or_else(|| panic!("no {name} {task}"))
}

/// What is sent because of an event goes with it.
fn take(log: &mut Vec<Entry>, from: usize) -> Vec<Entry> {
    let sent = log[from + 1..].iter().take_while(|entry| matches!(entry, Entry::Sent(_))).count();
    log.drain(from..=from + sent).collect()
}

fn put(log: &mut Vec<Entry>, to: usize, what: Vec<Entry>) {
    log.splice(to..to, what);
}

/// That event stands, or stands once more, before or behind that other one.
fn moved(log: &mut Vec<Entry>, (name, task): (&str, &str), before: (&str, &str)) {
    let taken = take(log, at(log, name, task));
    let to = at(log, before.0, before.1);
    put(log, to, taken);
}

fn refused(saga: &Saga, cancel: bool, tamper: impl Fn(&mut Vec<Entry>), why: &str) {
    assert_eq!(judged(saga, cancel, |_| {}), Ok(()), "what is true is refused");
    let said = judged(saga, cancel, tamper).expect_err(why);
    assert!(said.contains(why), "refused, but for another reason: {said}");
}

#[test]
fn an_undo_that_is_left_out_is_missed() {
    let tamper = |log: &mut Vec<Entry>| {
        let scheduled = at(log, "UndoScheduled", "t1");
        _ = take(log, scheduled);
        let completed = at(log, "UndoCompleted", "t1");
        _ = take(log, completed);
    };
    refused(&chain(2, &[Act::Final]), false, tamper, "`t1` stands");
}

#[test]
fn undos_in_the_wrong_order_are_seen() {
    let tamper = |log: &mut Vec<Entry>| {
        moved(log, ("UndoScheduled", "t1"), ("UndoScheduled", "t2"));
    };
    refused(&chain(2, &[Act::Final]), false, tamper, "`t1` is undone while `t2` is done");
}

#[test]
fn a_task_that_starts_too_early_is_seen() {
    let tamper = |log: &mut Vec<Entry>| {
        moved(log, ("TaskScheduled", "t2"), ("TaskCompleted", "t1"));
    };
    refused(&chain(2, &[]), false, tamper, "`t2` begins too early: Waits");
}

#[test]
fn nothing_is_undone_past_the_pivot() {
    let mut saga = chain(1, &[]);
    saga.tasks[1].kind = Kind::Pivot;
    let turned = history(&chain(1, &[Act::Final]));
    let tamper = |log: &mut Vec<Entry>| {
        let from = at(&turned, "CompensationStarted", "");
        let to = at(log, "WorkflowCompleted", "");
        put(log, to, vec![turned[from].clone()]);
    };
    refused(&saga, false, tamper, "past the pivot nothing is undone");
    let tamper = |log: &mut Vec<Entry>| {
        let from = at(&turned, "UndoScheduled", "t1");
        let to = at(log, "WorkflowCompleted", "");
        let undo = take(&mut turned.clone(), from);
        put(log, to, undo);
    };
    refused(&saga, false, tamper, "`t1` is undone, but nothing of it has failed");
}

/// What the engine makes of it.
fn history(saga: &Saga) -> Vec<Entry> {
    let tree = Tree::of(saga);
    let mut play = Play::new(saga, &tree);
    play.drain();
    play.world.log.clone()
}

#[test]
fn nothing_is_sent_while_compensating() {
    let tamper = |log: &mut Vec<Entry>| {
        let mut again = take(log, at(log, "TaskScheduled", "t3"));
        let failed = at(log, "TaskFailed", "t3");
        again.extend(take(log, failed));
        let to = at(log, "UndoScheduled", "t2");
        put(log, to, again);
    };
    refused(&chain(2, &[Act::Final]), false, tamper, "`t3` is ");
}

#[test]
fn a_run_ends_once() {
    for (saga, end) in
        [(chain(2, &[]), "WorkflowCompleted"), (chain(2, &[Act::Final]), "WorkflowFailed")]
    {
        let tamper = |log: &mut Vec<Entry>| {
            let end = log[at(log, end, "")].clone();
            log.push(end);
        };
        refused(&saga, false, tamper, "only undos follow the end");
    }
}

#[test]
fn an_end_that_comes_too_early_is_seen() {
    let tamper = |log: &mut Vec<Entry>| {
        moved(log, ("WorkflowFailed", ""), ("UndoCompleted", "t1"));
    };
    refused(&chain(2, &[Act::Final]), false, tamper, "compensated before all is undone");
    let tamper = |log: &mut Vec<Entry>| {
        moved(log, ("WorkflowCompleted", ""), ("TaskCompleted", "t3"));
    };
    refused(&chain(2, &[]), false, tamper, "the end, but `t3` is running");
}

#[test]
fn an_end_for_which_there_is_no_reason_is_seen() {
    let compensated = history(&chain(2, &[Act::Final]));
    let tamper = |log: &mut Vec<Entry>| {
        let end = at(log, "WorkflowCancelled", "");
        log[end] = compensated[at(&compensated, "WorkflowFailed", "")].clone();
    };
    refused(&chain(2, &[]), true, tamper, "compensated, but it was cancelled");
    let tamper = |log: &mut Vec<Entry>| log.retain(|entry| !matches!(entry, Entry::Ordered(_)));
    refused(&chain(2, &[]), true, tamper, "nobody cancelled");
}

#[test]
fn an_output_that_nobody_gave_is_seen() {
    let tamper = |log: &mut Vec<Entry>| log.retain(|entry| !matches!(entry, Entry::Told(..)));
    refused(&chain(2, &[]), false, tamper, "nobody said so");
}

#[test]
fn an_event_that_nobody_sent_is_seen() {
    for talk in [Talk::Request, Talk::Emit, Talk::Await, Talk::Signal] {
        let mut saga = chain(0, &[]);
        saga.tasks[1].talk = talk;
        let tamper = |log: &mut Vec<Entry>| {
            log.retain(
                |entry| !matches!(entry, Entry::Told(subject, _) if subject.task.as_str() == "t2"),
            );
        };
        refused(&saga, false, tamper, "`t2` is done, but nobody said so");
    }
}

#[test]
fn a_case_that_did_not_happen_first_is_seen() {
    let mut saga = chain(0, &[]);
    let [case, other] = ["c1", "c2"].map(|id| {
        let mut task = chain(0, &[]).tasks.remove(0);
        task.id = id.to_owned();
        Case { when: None, on: Some(On::Event), tasks: vec![task] }
    });
    saga.tasks[1].action = Action::Choice { many: false, cases: vec![case, other] };
    let tamper = |log: &mut Vec<Entry>| {
        for entry in log {
            if let Entry::Happened(_, case) = entry {
                *case = 1;
            }
        }
    };
    refused(&saga, false, tamper, "`c1` begins: case 0 is not taken");
}

#[test]
fn an_attempt_that_comes_too_late_is_seen() {
    let mut saga = chain(0, &[Act::Retryable]);
    (saga.tasks[2].deadline, saga.tasks[2].attempts) = (Some(15), 2);
    let tamper = |log: &mut Vec<Entry>| {
        log.retain(|entry| !matches!(entry, Entry::Woken(_)));
        let late = Timestamp::default().after(Duration::from_secs(15));
        let retried = at(log, "TaskRetried", "t3");
        put(log, retried + 1, vec![Entry::Woken(late)]);
    };
    refused(&saga, false, tamper, "`t3` is sent after its deadline");
}

#[test]
fn what_must_not_be_repeated_is_seen() {
    let mut saga = chain(0, &[Act::Unknown(false)]);
    saga.tasks[2].attempts = 2;
    let repeated = history(&saga);
    saga.tasks[2].once = true;
    let tamper = |log: &mut Vec<Entry>| log.clone_from(&repeated);
    refused(&saga, false, tamper, "`t3` is sent again, and nobody knows of the last time");
}

#[test]
fn what_begins_in_what_is_over_is_seen() {
    let mut saga = chain(0, &[]);
    let inner = std::mem::take(&mut saga.tasks);
    let mut group = chain(0, &[]).tasks.remove(0);
    (group.id, group.action) = ("g".to_owned(), Action::Group(inner));
    group.optional = true;
    saga.tasks = vec![group];
    let tamper = |log: &mut Vec<Entry>| {
        moved(log, ("TaskCompleted", "g"), ("TaskScheduled", "t3"));
    };
    refused(&saga, false, tamper, "`g` is done, `t3` is pending");
}
