//! The rules of the end, and the books.

use std::collections::BTreeSet;

use events::{How, Problem, TaskId};
use saga::Verb;
use serde_json::{Value, json};

use crate::judge::{Judge, is_closing};
use crate::participants::{self, Participants};
use crate::reach::Reach;
use crate::tree::{Kind, Place, Role, Strategy};
use crate::view::{Back, End, Forward};
use crate::written;

fn backwards(end: End) -> bool {
    matches!(end, End::Compensated | End::Cancelled)
}

impl Judge<'_> {
    fn all(&self) -> Vec<Place> {
        let top = self.tree.top.iter().chain(&self.tree.closing);
        let top: Vec<Place> = top.map(|node| Place { node: *node, at: Vec::new() }).collect();
        let fallbacks = top.iter().filter_map(|place| self.tree.fallback(place));
        let top: Vec<Place> = fallbacks.chain(top.iter().cloned()).collect();
        let deep = top.iter().flat_map(|place| self.tree.deep(place));
        deep.chain(top.iter().cloned()).collect()
    }

    fn agents(&self) -> Vec<Place> {
        self.all().into_iter().filter(|place| self.is_agent(place)).collect()
    }

    pub(crate) fn continued(&self) -> bool {
        let lets_go = |verb: &Verb| matches!(verb, Verb::Continue | Verb::Skip { .. });
        self.orders.iter().any(lets_go)
    }

    pub(crate) fn completed(&self, outputs: &Value) {
        assert!(!self.view.compensating, "completed after compensation began");
        let accepted = self.has_accepted();
        assert!(!accepted, "completed, but a failure was accepted");
        self.all_over();
        let is_behind = |place: &Place| self.seen(place).reason.as_deref() == Some("failed");
        let counts = |place: &Place| !self.is_the_groups(place) && !self.is_loser(place);
        let behind = self.all().iter().any(|place| is_behind(place) && counts(place));
        assert!(!behind, "completed, but a task was skipped behind a failure");
        let mut expected = serde_json::Map::new();
        for node in written::outputs(self.tree) {
            let place = Place { node, at: Vec::new() };
            let seen = self.seen(&place);
            assert!(
                matches!(seen.forward, Forward::Done) || seen.by_hand,
                "completed, but `{}` is {}",
                self.tree.name(&place),
                seen.status()
            );
            expected.insert(self.tree.nodes[node].id.clone(), self.output(&place));
        }
        assert!(*outputs == Value::Object(expected), "the outputs: {outputs}");
    }

    pub(crate) fn failed(&self, how: How, problem: &Problem) {
        match how {
            How::Failed => {
                let fast = self.turned.contains(&Strategy::FailFast);
                let late = self.is_out_of_time() && self.tree.saga.strategy == Strategy::FailFast;
                assert!(
                    fast || late || self.turned_perhaps,
                    "failed, but nothing that failed says so"
                );
                assert!(!self.view.compensating, "failed after compensation began");
                self.closed(problem);
            }
            How::Compensated => {
                assert!(self.view.compensated, "compensated before all is undone");
                assert!(!self.cancelled, "compensated, but it was cancelled");
                self.closed(problem);
                for place in self.agents() {
                    let stands = self.seen(&place).forward == Forward::Done
                        && !self.is_replaced(&place)
                        && self.seen(&place).back != Back::Undone;
                    let kept = matches!(self.kind(&place), Kind::Compensatable | Kind::Pivot);
                    let name = self.tree.name(&place);
                    assert!(!stands || !kept, "compensated, but `{name}` stands");
                }
            }
            How::Partial if self.view.compensating => {
                assert!(self.view.compensated, "partial before all is undone");
                self.closed(problem);
            }
            How::Partial => {
                let late = self.is_out_of_time() && self.tree.saga.strategy == Strategy::Continue;
                let why = self.accepted || self.accepted_perhaps || self.continued() || late;
                assert!(why, "partial, but no failure was accepted");
                self.all_over();
                let is_late = problem.task.is_none() && problem.code == "timeout";
                // Whether the failure counts of what has lost then is left open.
                let counts = |place: &Place| self.has_failed(place) && !self.is_loser(place);
                if is_late || self.accepted_by_file.iter().any(counts) {
                    self.then_has_ended();
                } else if self.accepted_by_file.is_empty()
                    && !self.continued()
                    && !self.accepted_perhaps
                {
                    self.then_is_passed_over();
                }
            }
        }
    }

    /// The tasks of `then` have ended, if it is the file that decided.
    fn closed(&self, problem: &Problem) {
        let failed = problem.task.as_ref().and_then(|task| self.tree.find(task.as_str()));
        match failed.is_none_or(|failed| self.tree.is_the_files(&failed)) {
            true => self.then_has_ended(),
            false => self.then_is_passed_over(),
        }
    }

    fn then_is_passed_over(&self) {
        for node in &self.tree.closing {
            let seen = self.seen(&Place { node: *node, at: Vec::new() });
            assert!(seen.begun.is_none(), "`then` ran for what the file did not decide");
        }
    }

    fn then_has_ended(&self) {
        for node in &self.tree.closing {
            let place = Place { node: *node, at: Vec::new() };
            let name = self.tree.name(&place);
            let seen = self.seen(&place);
            assert!(self.is_settled(&place), "the end, but `{name}` is {}", seen.status());
        }
    }

    fn has_accepted(&self) -> bool {
        self.all().iter().any(|place| {
            // The failure of a fallback is that of its task.
            let is_fallback = matches!(self.tree.nodes[place.node].role, Role::Fallback(_));
            let counts = !is_fallback && !self.is_the_groups(place) && !self.is_loser(place);
            counts
                && self.has_failed(place)
                && self.is_last(place)
                && self.tree.reach(place) == Reach::Accepted
        })
    }

    /// Whether what has failed there is a matter of a group around it, which has failed with it.
    fn is_the_groups(&self, place: &Place) -> bool {
        self.tree.line(place).iter().skip(1).any(|around| self.seen(around).failures > 0)
    }

    /// Each task at the top has ended as it may; what stands in others is judged where those end.
    fn all_over(&self) {
        for node in &self.tree.top {
            let place = Place { node: *node, at: Vec::new() };
            let name = self.tree.name(&place);
            let seen = self.seen(&place);
            assert!(self.is_settled(&place), "the end, but `{name}` is {}", seen.status());
            let failed = self.has_failed(&place);
            let reach = self.tree.reach(&place);
            let may = matches!(reach, Reach::Optional | Reach::Accepted)
                || self.continued()
                || self.is_out_of_time();
            let lost = self.is_loser(&place);
            assert!(
                !failed || may || lost || seen.by_hand,
                "the end, but `{name}` has failed: {reach:?}"
            );
            if seen.forward == Forward::Cancelled {
                let may = self.is_loser(&place) || self.is_out_of_time();
                assert!(may, "the end, but `{name}` was cancelled");
            }
        }
    }

    pub(crate) fn lists(&self, stands: &[TaskId], undone: &[TaskId], in_doubt: &[TaskId]) {
        // What only reads leaves nothing behind; what others stand in is the sum of those.
        let counts = |place: &Place| {
            let acts = self.is_agent(place) && self.kind(place) != Kind::ReadOnly;
            acts && !self.is_replaced(place) && !is_closing(self.tree, place)
        };
        let known = |ids: &[TaskId]| -> BTreeSet<String> {
            let counts = |id: &&TaskId| self.tree.find(id.as_str()).is_some_and(|p| counts(&p));
            ids.iter().filter(counts).map(ToString::to_string).collect()
        };
        let (mut all_stand, mut all_undone) = (BTreeSet::new(), BTreeSet::new());
        let (stand, doubt) = (known(stands), known(in_doubt));
        for place in self.agents().into_iter().filter(counts) {
            let (seen, name) = (self.seen(&place), self.tree.name(&place));
            match (seen.back, seen.forward) {
                // Undone before it was known to be done, and not since.
                (Back::Undone, Forward::Done)
                    if self.told.get(&place).is_some_and(|told| told.informed.is_none()) =>
                {
                    all_stand.extend(stand.get(&name).cloned());
                    all_undone.extend(known(undone).get(&name).cloned());
                }
                (Back::Undone, _) => _ = all_undone.insert(name),
                // An operator let it be: it stands, or is as much in doubt as it was then.
                (Back::GivenUp, forward) => {
                    let is_known = self.told.get(&place).is_some_and(|told| told.kept);
                    if is_known || forward == Forward::Done {
                        all_stand.insert(name);
                    } else {
                        assert!(doubt.contains(&name), "`{name}` is in doubt, and not listed so");
                    }
                }
                (_, Forward::Done) => _ = all_stand.insert(name),
                (_, forward) => {
                    let open = matches!(forward, Forward::Running | Forward::InDoubt);
                    let told = doubt.contains(&name) || seen.by_hand || seen.is_back();
                    assert!(!open || told, "`{name}` is in doubt, and the end does not say so");
                    let may = self.possibly_done(&place);
                    assert!(may || !doubt.contains(&name), "`{name}` is not in doubt: {seen:?}");
                }
            }
        }
        assert_eq!(stand, all_stand, "what stands");
        assert_eq!(known(undone), all_undone, "what was undone");
    }

    /// Once everything has come to rest: the books agree with the end.
    pub(crate) fn audit(&self, participants: &Participants) {
        let end = self.view.end.unwrap();
        for place in self.agents() {
            let (seen, name) = (self.seen(&place), self.tree.name(&place));
            let book = participants.book(&place);
            let is_done = book == participants::Entry::Done;
            let undoable = self.kind(&place) == Kind::Compensatable;
            if seen.by_hand || seen.back == Back::GivenUp {
                continue;
            }
            let replaced = self.is_replaced(&place);
            if seen.forward == Forward::Done && !replaced && seen.back == Back::Nothing {
                assert!(is_done, "`{name}` is said to stand, and the books say {book:?}");
                let bad = backwards(end) && (undoable || self.kind(&place) == Kind::Pivot);
                assert!(!bad, "`{name}` stands after the end {end:?}");
                for around in self.tree.line(&place) {
                    let bad = undoable && self.falling.contains(&around) && end != End::Failed;
                    assert!(!bad, "`{name}` stands in what has failed");
                }
                continue;
            }
            if !undoable {
                continue;
            }
            // Failed fast: nothing is undone, and the list says what may stand.
            assert!(!is_done || end == End::Failed, "`{name}` stands, and nobody knows: {seen:?}");
            let told = self.told.get(&place);
            let late = told.is_some_and(|told| !told.outputs.is_empty() && told.informed.is_none());
            let undone = seen.back != Back::Nothing;
            assert!(!(late && undone), "the success of `{name}` was never undone");
        }
        if end == End::Completed {
            self.every_task_ran();
        }
    }

    /// Completed: every task is done, but for what is optional, skipped, lost or not taken.
    fn every_task_ran(&self) {
        for place in self.agents() {
            let name = self.tree.name(&place);
            let excused = self.tree.line(&place).iter().any(|part| {
                let (seen, node) = (self.seen(part), &self.tree.nodes[part.node]);
                let not_taken = match (node.role, self.tree.parent(part)) {
                    (Role::Case(case), Some(choice)) => !self.is_taken(&choice, case),
                    // Its task speaks for it.
                    (Role::Fallback(_) | Role::Closing, _) => true,
                    _ => false,
                };
                let failed = self.has_failed(part);
                let may_fail = matches!(
                    self.tree.reach(part),
                    Reach::Optional | Reach::Element | Reach::Caught(_)
                ) || self.tree.fallback(part).is_some();
                not_taken
                    || seen.by_hand
                    || matches!(seen.forward, Forward::Skipped | Forward::Cancelled)
                    || failed && may_fail
            });
            // What stands in something that has failed, has given way to a fallback, or lost.
            let line = self.tree.line(&place);
            let around = line
                .iter()
                .skip(1)
                .any(|around| self.falling.contains(around) || self.seen(around).failures > 0)
                || self.is_loser(&place);
            let done = self.seen(&place).forward == Forward::Done;
            let with_fallback = self.seen(&place).failures > 0 && done;
            assert!(
                done || excused || around || with_fallback,
                "completed, but `{name}` is {}: {}",
                self.seen(&place).status(),
                json!(self.seen(&place).reason)
            );
        }
    }
}
