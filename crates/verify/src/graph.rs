//! The rules that take the definition: a run's events once more, in their order, beside its graph.

use std::sync::Arc;

use crate::Invariant as I;
use crate::bench::Bench;
use crate::definition::{Definition, Join, Kind as TaskKind, Place};
use crate::run::{Lists, Run};
use crate::status::{Back, Carries, Forward, Kind, Seen, Status, TaskNo};
use crate::wire::How;

/// Judges a run by its definition.
pub(crate) fn judge(workflow: &Arc<str>, run: &Run, of: &Definition, bench: &mut Bench) {
    let places: Vec<Option<Place>> = run.tasks.iter().map(|task| of.find(&task.name)).collect();
    for ((task, place), number) in run.tasks.iter().zip(&places).zip(0..) {
        let is_heard = run.history.iter().any(|seen| seen.task == number && seen.sequence > 0);
        if place.is_none() && is_heard {
            let message = format!("`{}` is no task of the definition", task.name);
            bench.blame_run(I::KnownTask, workflow, run, &[number], message);
        }
    }
    let statuses = vec![Status::default(); run.tasks.len()];
    let mut graph = Graph {
        workflow,
        run,
        of,
        places,
        statuses,
        past_pivot: false,
        turned: false,
        undone: false,
        bench,
    };
    for seen in run.history.iter().filter(|seen| seen.sequence > 0) {
        graph.take(seen);
    }
}

struct Graph<'a> {
    workflow: &'a Arc<str>,
    run: &'a Run,
    of: &'a Definition,
    places: Vec<Option<Place>>,
    statuses: Vec<Status>,
    past_pivot: bool,
    turned: bool,
    undone: bool,
    bench: &'a mut Bench,
}

impl Graph<'_> {
    fn blame(&mut self, invariant: I, about: &[TaskNo], message: String) {
        self.bench.blame_run(invariant, self.workflow, self.run, about, message);
    }

    fn take(&mut self, seen: &Seen) {
        match seen.kind {
            Kind::TaskScheduled => self.begins(seen, seen.n == 1),
            Kind::TaskStarted => self.begins(seen, !self.status(seen.task).begun),
            Kind::UndoScheduled(carries) => self.undoes(seen, carries),
            Kind::UndoCompleted => self.was_undone(seen),
            Kind::CompensationStarted => {
                if self.past_pivot {
                    self.blame(I::Pivot, &[], "the run turns back, past its pivot".to_owned());
                }
                self.turned = true;
            }
            Kind::CompensationCompleted => self.undone = true,
            Kind::TaskCompleted => {
                let kind = self.place(seen.task).and_then(|it| self.of.node(it)).map(|it| it.kind);
                self.past_pivot |= kind == Some(TaskKind::Pivot);
            }
            Kind::WorkflowFailed(_) | Kind::WorkflowCancelled => self.ends(seen.kind),
            Kind::WorkflowStarted
            | Kind::WorkflowCompleted
            | Kind::WorkflowPaused
            | Kind::WorkflowResumed
            | Kind::CompensationBlocked
            | Kind::SignalReceived
            | Kind::TaskFailed
            | Kind::TaskRetried
            | Kind::TaskTimedOut
            | Kind::TaskInDoubt
            | Kind::TaskSkipped
            | Kind::UndoGivenUp
            | Kind::TaskCancelled
            | Kind::UndoFailed { .. }
            | Kind::TimerFired
            | Kind::Command(_)
            | Kind::Answer { .. } => {}
        }
        if let Some(status) = self.statuses.get_mut(seen.task as usize) {
            status.fold(seen);
        }
    }

    fn status(&self, task: TaskNo) -> Status {
        self.statuses.get(task as usize).copied().unwrap_or_default()
    }

    fn place(&self, task: TaskNo) -> Option<&Place> {
        self.places.get(task as usize)?.as_ref()
    }

    fn name(&self, task: TaskNo) -> String {
        self.run.task(task).map_or_else(String::new, |task| task.name.to_string())
    }

    fn status_at(&self, place: &Place) -> (Option<TaskNo>, Status) {
        let number = self.run.known(&self.of.name(place));
        (number, number.map_or_else(Status::default, |number| self.status(number)))
    }

    fn begins(&mut self, seen: &Seen, is_first: bool) {
        let Some(place) = self.place(seen.task).cloned() else { return };
        let name = self.name(seen.task);
        let closing = self.of.node(&place).is_some_and(|node| node.closing);
        if self.turned && self.undone && !closing {
            let message = format!("`{name}` is sent once all is undone, but is none of `then`");
            self.blame(I::NoWayForward, &[seen.task], message);
        }
        if !is_first {
            return;
        }
        let replaces = self.of.node(&place).and_then(|node| node.fallback_of);
        if let Some(of) = replaces {
            self.stands_in(seen.task, &name, &Place { node: of, at: place.at.clone() });
        }
        for part in self.of.line(&place) {
            if part != place {
                let (number, status) = self.status_at(&part);
                if !status.begun {
                    let around = self.of.name(&part);
                    let message = format!("`{name}` begins before `{around}`, which it stands in");
                    self.blame(I::GraphOrder, &about(seen.task, number), message);
                }
            }
            // A task may have failed because too few of those that it waits for were done: then its fallback
            // begins all the same, and it by an operator's word.
            let fails_over = replaces.is_some() || self.status(seen.task).by_hand;
            if part != place || !fails_over {
                self.waits(seen.task, &name, &part);
            }
        }
    }

    /// A fallback begins when its task has failed.
    fn stands_in(&mut self, fallback: TaskNo, name: &str, task: &Place) {
        let (number, status) = self.status_at(task);
        // One that was reported done late has given way all the same, once that is undone.
        let was_undone = status.back == Back::Undone;
        if !matches!(status.forward, Forward::Failed | Forward::InDoubt) && !was_undone {
            let (other, word) = (self.of.name(task), status.word());
            let message = format!("`{name}` begins while `{other}` is {word}");
            self.blame(I::GraphOrder, &about(fallback, number), message);
        }
    }

    /// What a task, or what it stands in, depends on.
    fn waits(&mut self, task: TaskNo, name: &str, part: &Place) {
        let (deps, join) = self.of.deps(part);
        let mut done = 0;
        for dep in &deps {
            let (number, status) = self.status_at(dep);
            let fallback = self.of.fallback(dep).map(|it| self.status_at(&it).1);
            let fallback = fallback.filter(|it| it.begun);
            let open = is_open(&status) || fallback.is_some_and(|it| it.is_under_way());
            done += usize::from(status.forward == Forward::Done || status.by_hand);
            if join == Join::All && open {
                let other = self.of.name(dep);
                let message = format!("`{name}` begins while `{other}` is {}", status.word());
                self.blame(I::GraphOrder, &about(task, number), message);
            }
        }
        if let Join::Some(wanted) = join
            && done < wanted
        {
            let message =
                format!("`{name}` begins when {done} of {wanted} that it waits for are done");
            self.blame(I::GraphOrder, &[task], message);
        }
    }

    fn undoes(&mut self, seen: &Seen, carries: Carries) {
        let Some(place) = self.place(seen.task).cloned() else { return };
        let Some(node) = self.of.node(&place) else { return };
        let name = self.name(seen.task);
        let by_hand = self.status(seen.task).by_hand;
        if node.kind == TaskKind::Pivot {
            self.blame(I::Pivot, &[seen.task], format!("`{name}` is the pivot, and is undone"));
        }
        if !node.has_undo {
            let message = format!("`{name}` has no undo by the definition, and is undone");
            self.blame(I::UndoReason, &[seen.task], message);
        }
        if node.undo_is_whole && matches!(carries, Carries::Wrong | Carries::Else) && !by_hand {
            let message = format!("undo {} of `{name}` does not carry what was recorded", seen.n);
            self.blame(I::UndoInput, &[seen.task], message);
        }
        // A later undo may meet what a late success has brought back.
        if !self.turned || seen.n > 1 || self.run.end.is_some_and(|(_, end)| end < seen.time) {
            return;
        }
        self.reverse(seen, &place, &name);
        if self.of.strict {
            self.strictly_last(seen, &name);
        }
    }

    /// An undo that was never sent has ended: its `when` has said that there is nothing to undo, or a person.
    fn was_undone(&mut self, seen: &Seen) {
        let status = self.status(seen.task);
        let may_be = self.place(seen.task).and_then(|place| self.of.node(place));
        let may_be = may_be.is_some_and(|node| node.undo_may_be_nothing) || seen.by;
        if seen.n > status.undo && !may_be {
            let (name, word) = (self.name(seen.task), status.word());
            let message = format!("undo {} of `{name}` ends while it is {word}", seen.n);
            self.blame(I::OneUndo, &[seen.task], message);
        }
    }

    fn reverse(&mut self, seen: &Seen, place: &Place, name: &str) {
        for number in 0..TaskNo::try_from(self.places.len()).unwrap_or(0) {
            let Some(later) = self.place(number).cloned() else { continue };
            if number != seen.task
                && self.holds_back(number, &later)
                && self.of.comes_after(&later, place)
            {
                let (other, word) = (self.name(number), self.status(number).word());
                let message =
                    format!("`{name}` is undone while `{other}`, which comes after it, is {word}");
                self.blame(I::UndoOrder, &[seen.task, number], message);
            }
        }
    }

    /// Whether what comes before it has to wait.
    fn holds_back(&self, number: TaskNo, place: &Place) -> bool {
        let status = self.status(number);
        let has_undo = self.of.node(place).is_some_and(|node| node.has_undo);
        match status.back {
            Back::Running | Back::Retrying => true,
            Back::Blocked => !self.of.goes_on,
            Back::Undone | Back::GivenUp => false,
            Back::Nothing if self.of.is_around(place) => false,
            Back::Nothing => match status.forward {
                Forward::Running | Forward::InDoubt => true,
                Forward::Done => has_undo && !self.gave_way(place),
                Forward::Pending
                | Forward::Retrying
                | Forward::Failed
                | Forward::Skipped
                | Forward::Cancelled => false,
            },
        }
    }

    /// Whether what comes after it, by the graph, has to be undone first.
    fn is_held_back(&self, place: &Place) -> bool {
        self.places.iter().zip(0..).any(|(later, number)| {
            let Some(later) = later.as_ref().filter(|later| *later != place) else { return false };
            self.holds_back(number, later) && self.of.comes_after(later, place)
        })
    }

    /// Whether its fallback has begun: that one speaks for it.
    fn gave_way(&self, place: &Place) -> bool {
        self.of.fallback(place).is_some_and(|fallback| self.status_at(&fallback).1.begun)
    }

    fn strictly_last(&mut self, seen: &Seen, name: &str) {
        let mine = self.status(seen.task).done_at;
        for number in 0..TaskNo::try_from(self.places.len()).unwrap_or(0) {
            let Some(place) = self.place(number).cloned() else { continue };
            let (status, other) = (self.status(number), self.name(number));
            if number == seen.task || self.of.is_around(&place) {
                continue;
            }
            if status.is_undoing() {
                let message = format!("strict: `{name}` is undone while `{other}` is undone");
                self.blame(I::UndoOrder, &[seen.task, number], message);
            }
            let has_undo = self.of.node(&place).is_some_and(|node| node.has_undo);
            let stands = status.stands() && status.back == Back::Nothing && has_undo;
            let was_later = stands && mine > 0 && status.done_at > mine && !self.gave_way(&place);
            if was_later && !self.is_held_back(&place) {
                let message =
                    format!("strict: `{name}` is undone before `{other}`, finished later");
                self.blame(I::UndoOrder, &[seen.task, number], message);
            }
        }
    }

    fn ends(&mut self, end: Kind) {
        let lists = self.run.lists.as_deref().cloned().unwrap_or_default();
        for number in 0..TaskNo::try_from(self.places.len()).unwrap_or(0) {
            let Some(place) = self.place(number).cloned() else { continue };
            self.is_listed(number, &place, &lists);
            let Some(node) = self.of.node(&place) else { continue };
            let status = self.status(number);
            let all_back = matches!(end, Kind::WorkflowFailed(How::Compensated))
                || matches!(end, Kind::WorkflowCancelled) && self.turned;
            let stands = status.stands() && status.back != Back::GivenUp;
            let is_left = stands && node.has_undo && !self.of.is_around(&place);
            if all_back && is_left && !self.gave_way(&place) {
                let name = self.name(number);
                let message = format!("`{name}` was done and has an undo, and still stands");
                self.blame(I::AllUndone, &[number], message);
            }
        }
        for name in lists.stands.iter().chain(&lists.undone).chain(&lists.in_doubt) {
            if self.of.find(name).is_none() {
                self.blame(I::EndLists, &[], format!("`{name}`, which is listed, is no task"));
            }
        }
    }

    /// The lists speak of what does something; what has given way to its fallback, or only reads, or others
    /// stand in, may stand on none.
    fn is_listed(&mut self, number: TaskNo, place: &Place, lists: &Lists) {
        let Some(node) = self.of.node(place) else { return };
        let acts = node.kind != TaskKind::ReadOnly && !node.closing && !self.of.is_around(place);
        if !acts || self.gave_way(place) {
            return;
        }
        let (status, name) = (self.status(number), self.name(number));
        let on = |list: &[Arc<str>]| list.iter().any(|listed| **listed == *name);
        let stands = on(&lists.stands);
        let undone = on(&lists.undone);
        let in_doubt = on(&lists.in_doubt);
        let right = match (status.back, status.forward) {
            (Back::Undone, _) => undone && !stands && !in_doubt,
            (Back::GivenUp, _) => !undone,
            (_, Forward::Done) => stands && !undone && !in_doubt,
            (_, Forward::InDoubt) => in_doubt && !stands && !undone,
            (_, Forward::Skipped) if status.by_hand => !undone,
            (
                _,
                Forward::Pending
                | Forward::Running
                | Forward::Retrying
                | Forward::Failed
                | Forward::Skipped
                | Forward::Cancelled,
            ) => !stands && !undone,
        };
        if !right {
            let word = status.word();
            let message = format!(
                "`{name}` is {word}; listed as standing: {stands}, undone: {undone}, in doubt: {in_doubt}"
            );
            self.blame(I::EndLists, &[number], message);
        }
    }
}

/// Whether it is not over, for what waits for it.
fn is_open(status: &Status) -> bool {
    match status.forward {
        Forward::Pending | Forward::Running | Forward::Retrying => true,
        Forward::InDoubt => !status.was_undone && status.back != Back::GivenUp && !status.by_hand,
        Forward::Done | Forward::Failed | Forward::Skipped | Forward::Cancelled => {
            status.is_undoing() && !status.was_undone
        }
    }
}

fn about(task: TaskNo, other: Option<TaskNo>) -> Vec<TaskNo> {
    std::iter::once(task).chain(other).collect()
}
