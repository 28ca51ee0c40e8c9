//! Judges a workflow from outside: by its public events, its saga as it was drawn, and the participants'
//! book. Each rule is a sentence of docs/reference/compensation.md or saga-file.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::outside::books::{Books, Effect};
use crate::outside::drawn::{Drawn, Kind, Leaf, base};
use crate::outside::event::Event;

/// Where a task has got to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Pending,
    InFlight,
    Done,
    Failed,
    InDoubt,
    Skipped,
    Cancelled,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    state: State,
    completed: u32,
    undo_out: bool,
    undone: bool,
    undo_given_up: bool,
}

/// How often what has happened, over many workflows: a run in which nothing goes wrong shows nothing.
pub(crate) type Counts = BTreeMap<String, usize>;

struct Judge<'a> {
    drawn: &'a Drawn,
    seen: BTreeMap<String, Seen>,
    compensating: bool,
    compensated: bool,
    past_pivot: bool,
    ended: bool,
    wrong: Vec<String>,
}

/// What is wrong with a workflow that has ended; what has happened goes into `counts`.
#[must_use]
pub(crate) fn judge(
    drawn: &Drawn,
    history: &[Event],
    books: &Books,
    counts: &mut Counts,
) -> Vec<String> {
    let mut judge = Judge {
        drawn,
        seen: BTreeMap::new(),
        compensating: false,
        compensated: false,
        past_pivot: false,
        ended: false,
        wrong: Vec::new(),
    };
    for (event, sequence) in history.iter().zip(1..) {
        if event.sequence != sequence {
            judge.wrong.push(format!("event {} stands where {sequence} must", event.sequence));
        }
        judge.event(event);
        *counts.entry(event.kind.clone()).or_default() += 1;
    }
    match history.iter().find(|event| event.is_end()) {
        Some(end) => {
            let how = end.end["how"].as_str().unwrap_or("well");
            *counts.entry(format!("ended {how}")).or_default() += 1;
            judge.audit(end, &books.effects(&end.workflow));
        }
        None => judge.wrong.push("it has not ended".to_owned()),
    }
    if history.first().is_none_or(|event| event.kind != "WorkflowStarted") {
        judge.wrong.push("it does not begin with its start".to_owned());
    }
    judge.wrong
}

impl Judge<'_> {
    fn must(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(rule());
        }
    }

    /// What somebody is asked to do; a `for_each` is not, its elements are.
    fn leaf(&self, id: &str) -> Option<&Leaf> {
        let leaf = self.drawn.leaves.get(&in_file(id))?;
        (leaf.each.is_none() || element(id).is_some()).then_some(leaf)
    }

    /// Whether `later` depends on `earlier`, directly or not. Elements of a `for_each` do not depend on
    /// one another.
    fn comes_after(&self, later: &str, earlier: &str) -> bool {
        let (Some(of_later), Some(of_earlier)) = (self.leaf(later), self.leaf(earlier)) else {
            return false;
        };
        let apart = of_later.each.is_some()
            && of_later.each == of_earlier.each
            && element(later) != element(earlier);
        of_later.before.contains(&in_file(earlier)) && !apart
    }

    /// Whether its fallback did it in its place.
    fn is_replaced(&self, id: &str) -> bool {
        let fallback = self.seen.get(&id.replacen(base(id), &format!("{}~fallback", base(id)), 1));
        fallback.is_some_and(|seen| seen.state == State::Done)
    }

    fn event(&mut self, event: &Event) {
        let is_undo = event.kind.starts_with("Undo");
        let after_end = self.ended && !is_undo && event.kind != "TaskSkipped";
        self.must(!after_end, || format!("{} after the end", event.kind));
        match &*event.kind {
            "CompensationStarted" => {
                self.must(!self.past_pivot, || "compensation past the pivot".to_owned());
                self.must(!self.compensating, || "compensation starts twice".to_owned());
                self.compensating = true;
            }
            "CompensationCompleted" => self.compensated = true,
            "WorkflowCompleted" | "WorkflowFailed" | "WorkflowCancelled" => self.ended = true,
            _ => {}
        }
        let Some(task) = &event.task else { return };
        match &*event.kind {
            "TaskScheduled" => self.scheduled(task),
            "UndoScheduled" => self.undo(task),
            _ => {}
        }
        let seen = self.seen.entry(task.clone()).or_default();
        match &*event.kind {
            "TaskScheduled" | "TaskStarted" | "TaskRetried" => seen.state = State::InFlight,
            "TaskCompleted" => {
                seen.completed += 1;
                seen.state = State::Done;
            }
            "TaskFailed" => seen.state = State::Failed,
            "TaskInDoubt" => seen.state = State::InDoubt,
            "TaskSkipped" if seen.undo_out => seen.undo_given_up = true,
            "TaskSkipped" => seen.state = State::Skipped,
            "TaskCancelled" => seen.state = State::Cancelled,
            "UndoScheduled" => seen.undo_out = true,
            "UndoCompleted" => (seen.undone, seen.undo_out) = (true, false),
            _ => {}
        }
        let twice = seen.completed > 1 && !self.is_replaced(task);
        self.must(!twice, || format!("`{task}` is done twice"));
        let is_pivot = self.leaf(task).is_some_and(|leaf| leaf.kind == Kind::Pivot);
        self.past_pivot |= is_pivot && event.kind == "TaskCompleted";
    }

    /// What must be so for a task to be sent.
    fn scheduled(&mut self, task: &str) {
        let Some(leaf) = self.leaf(task).cloned() else {
            return self.wrong.push(format!("`{task}` is no task of this saga"));
        };
        let closes = leaf.is_closing && (self.compensated || !self.compensating);
        self.must(!self.compensating || closes, || format!("`{task}` is sent after the turn"));
        self.must(!leaf.is_cut_off, || format!("`{task}` is sent, but its way is not taken"));
        let before: Vec<String> =
            self.seen.keys().filter(|id| self.comes_after(task, id)).cloned().collect();
        for id in before {
            let state = self.seen[&id].state;
            self.must(state != State::InFlight && state != State::Pending, || {
                format!("`{task}` is sent while `{id}` is under way")
            });
        }
        if task.contains("~fallback") {
            let first = task.replace("~fallback", "");
            let seen = self.seen.get(&first).cloned().unwrap_or_default();
            // What was in doubt is undone before, also if a late success has come meanwhile.
            let gave_way = seen.state == State::Failed || seen.undone;
            self.must(gave_way, || format!("`{task}` is sent, but `{first}` is {seen:?}"));
        }
    }

    /// What must be so for an undo to be sent.
    fn undo(&mut self, task: &str) {
        let kind = self.leaf(task).map(|leaf| leaf.kind);
        self.must(kind == Some(Kind::Compensatable), || format!("`{task}` has no undo"));
        self.must(!self.past_pivot, || format!("`{task}` is undone past the pivot"));
        if self.seen.get(task).is_some_and(|seen| seen.undone) {
            // Once more, for a late success: the order was kept by the first.
            return;
        }
        let after: Vec<String> =
            self.seen.keys().filter(|id| self.comes_after(id, task)).cloned().collect();
        for id in after {
            let seen = self.seen[&id].clone();
            let has_undo = self.leaf(&id).is_some_and(|leaf| leaf.kind == Kind::Compensatable);
            let under_way = seen.state == State::InFlight;
            self.must(!under_way, || format!("`{task}` is undone while `{id}` is under way"));
            let stands = matches!(seen.state, State::Done | State::InDoubt)
                && !seen.undone
                && !seen.undo_given_up
                && !self.is_replaced(&id);
            self.must(!(has_undo && stands), || {
                format!("`{task}` is undone before `{id}`, which depended on it")
            });
        }
        let others: Vec<String> = self
            .seen
            .iter()
            .filter(|(id, seen)| *id != task && seen.undo_out)
            .map(|(id, _)| id.clone())
            .collect();
        let alone = !self.drawn.is_strict || !self.compensating || others.is_empty();
        self.must(alone, || format!("`{task}` is undone beside {others:?} in strict order"));
    }

    /// The end event, the events before it and the book say the same.
    fn audit(&mut self, end: &Event, effects: &BTreeMap<String, Vec<Effect>>) {
        for (task, seen) in self.seen.clone() {
            let Some(leaf) = self.leaf(&task) else { continue };
            let has_effect = leaf.kind != Kind::ReadOnly;
            let is_open = matches!(seen.state, State::InFlight) || seen.undo_out;
            self.must(!is_open, || format!("`{task}` is left under way: {seen:?}"));
            let stands = seen.state == State::Done && !seen.undone && !self.is_replaced(&task);
            let by_book = effects.get(&task).cloned().unwrap_or_default();
            if has_effect && stands {
                self.must(by_book == [Effect::Stands], || {
                    format!("`{task}` stands by its events, by the book {by_book:?}")
                });
            }
        }
        let list = |name: &str| -> BTreeSet<String> {
            let items = end.end[name].as_array().into_iter().flatten();
            items.filter_map(|id| id.as_str().map(str::to_owned)).collect()
        };
        let (stands, undone, in_doubt) = (list("stands"), list("undone"), list("in_doubt"));
        let failed = end.kind == "WorkflowFailed";
        for (task, by_book) in effects {
            self.must(by_book.len() == 1, || format!("`{task}` is done {by_book:?}"));
            // The end lists what the saga was about, not the tasks of `then`.
            let counts = |leaf: &&Leaf| leaf.kind != Kind::ReadOnly && !leaf.is_closing;
            let Some(leaf) = self.leaf(task).filter(counts) else { continue };
            let (kind, seen) = (leaf.kind, self.seen.get(task).cloned().unwrap_or_default());
            let is_in = |set: &BTreeSet<String>| set.contains(task);
            let fits = match by_book.first() {
                Some(Effect::Stands) if failed => is_in(&stands) || is_in(&in_doubt),
                Some(Effect::Stands) => seen.state == State::Done && !seen.undone,
                Some(Effect::Undone) if failed => is_in(&undone),
                Some(Effect::Undone) | None => seen.undone,
            };
            self.must(fits, || {
                format!("`{task}`, {kind:?}, is {by_book:?} by the book, {seen:?} by its events, not so at the end {}", end.end)
            });
        }
        for task in undone.iter().chain(&stands) {
            let by_book = effects.get(task).and_then(|effects| effects.first().copied());
            let wrong = by_book == Some(Effect::Stands) && undone.contains(task)
                || by_book == Some(Effect::Undone) && stands.contains(task);
            self.must(!wrong, || format!("`{task}` is {by_book:?}, the end says otherwise"));
        }
        let compensated = end.end["how"] == "compensated";
        let left: Vec<&String> = stands
            .iter()
            .filter(|id| self.leaf(id).is_some_and(|leaf| leaf.kind == Kind::Compensatable))
            .collect();
        let left = format!("{left:?}");
        self.must(!compensated || left == "[]", || format!("compensated, but {left} stand"));
    }
}

/// A task's id without its element.
fn in_file(id: &str) -> String {
    let fallback = if id.contains("~fallback") { "~fallback" } else { "" };
    format!("{}{fallback}", base(id))
}

/// What stands between the brackets.
fn element(id: &str) -> Option<&str> {
    id.split_once('[')?.1.split(']').next()
}

#[cfg(test)]
mod tests {
    use client::Command;
    use serde_json::{Value, json};

    use super::*;
    use crate::outside::books::drawn_output;

    fn leaf(kind: Kind, before: &[&str]) -> Leaf {
        let before = before.iter().map(|id| (*id).to_owned()).collect();
        let (may_fail, is_cut_off, each, is_closing) = (true, false, None, false);
        Leaf { kind, may_fail, is_cut_off, each, before, is_closing }
    }

    /// `a`, after it `b`, after that the pivot `p`.
    fn three() -> Drawn {
        let leaves = [
            ("a", leaf(Kind::Compensatable, &[])),
            ("b", leaf(Kind::Compensatable, &["a"])),
            ("p", leaf(Kind::Pivot, &["a", "b"])),
        ];
        let leaves = leaves.into_iter().map(|(id, leaf)| (id.to_owned(), leaf)).collect();
        Drawn { name: "three".to_owned(), yaml: String::new(), leaves, is_strict: false }
    }

    fn command(text: &str) -> Command {
        let (asked, task) = text.split_once(' ').unwrap();
        let headers = [
            ("ce_type", format!("pavane.{asked}Task")),
            ("ce_subject", format!("three:well/{task}/1.{}1", asked.to_lowercase())),
            ("pavane_saga", "three".to_owned()),
            ("pavane_idempotency_key", task.to_owned()),
            ("pavane_epoch", "0".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        let now = events::Timestamp::from_millis(0);
        Command::from_parts(&headers, Value::Null, now).unwrap()
    }

    /// Judges what happened, and what was asked of the participants.
    fn check(happened: &str, asked: &str, end: Value, wrong: &[&str]) {
        let books = Books::new(drawn_output);
        for text in asked.split(", ").filter(|text| !text.is_empty()) {
            assert_eq!(books.answer(&command(text)).len(), 1);
        }
        let history: Vec<Event> = happened
            .split(", ")
            .zip(1..)
            .map(|(text, sequence)| {
                let (kind, task) = text.split_once(' ').map_or((text, None), |(k, t)| (k, Some(t)));
                Event {
                    workflow: "three:well".to_owned(),
                    sequence,
                    kind: kind.to_owned(),
                    task: task.map(str::to_owned),
                    end: if kind == "WorkflowFailed" { end.clone() } else { Value::Null },
                }
            })
            .collect();
        assert_eq!(judge(&three(), &history, &books, &mut Counts::new()), wrong);
    }

    const BACK: &str = "WorkflowStarted, TaskScheduled a, TaskCompleted a, TaskScheduled b, \
                        TaskCompleted b, TaskScheduled p, TaskFailed p, CompensationStarted, ";

    #[test]
    fn what_goes_back_in_order_is_right() {
        let undos = "UndoScheduled b, UndoCompleted b, UndoScheduled a, UndoCompleted a, ";
        let happened = format!("{BACK}{undos}CompensationCompleted, WorkflowFailed");
        let end = json!({"how": "compensated", "stands": [], "undone": ["b", "a"]});
        check(&happened, "Do a, Do b, Undo b, Undo a", end, &[]);
    }

    #[test]
    fn an_undo_before_that_of_what_depended_on_it_is_wrong() {
        let undos = "UndoScheduled a, UndoCompleted a, UndoScheduled b, UndoCompleted b, ";
        let happened = format!("{BACK}{undos}CompensationCompleted, WorkflowFailed");
        let end = json!({"how": "compensated", "stands": [], "undone": ["a", "b"]});
        let wrong = ["`a` is undone before `b`, which depended on it"];
        check(&happened, "Do a, Do b, Undo b, Undo a", end, &wrong);
    }

    #[test]
    fn going_forward_after_the_turn_is_wrong() {
        let happened = format!(
            "{BACK}TaskScheduled p, TaskFailed p, UndoScheduled b, UndoCompleted b, UndoScheduled a, UndoCompleted a, WorkflowFailed"
        );
        let end = json!({"how": "compensated", "stands": [], "undone": ["b", "a"]});
        let wrong = ["`p` is sent after the turn"];
        check(&happened, "Do a, Do b, Undo b, Undo a", end, &wrong);
    }

    #[test]
    fn what_is_done_twice_or_behind_the_events_is_wrong() {
        let happened = "WorkflowStarted, TaskScheduled b, TaskCompleted b, TaskScheduled a, \
                        TaskCompleted a, TaskCompleted a, WorkflowCompleted";
        let wrong = ["`a` is done twice", "`a` stands by its events, by the book []"];
        check(happened, "Do b", Value::Null, &wrong);
    }

    #[test]
    fn turning_back_past_the_pivot_is_wrong() {
        let happened = "WorkflowStarted, TaskScheduled p, TaskCompleted p, CompensationStarted, \
                        WorkflowFailed";
        let end = json!({"how": "compensated", "stands": ["p"], "undone": []});
        check(happened, "Do p", end, &["compensation past the pivot"]);
    }

    #[test]
    fn what_stands_and_is_called_undone_is_wrong() {
        let undos = "UndoScheduled b, UndoCompleted b, UndoScheduled a, UndoCompleted a, ";
        let happened = format!("{BACK}{undos}CompensationCompleted, WorkflowFailed");
        let end = json!({"how": "compensated", "stands": [], "undone": ["b", "a"]});
        let found = "`a`, Compensatable, is [Stands] by the book, Seen { state: Done, completed: 1, undo_out: false, undone: true, undo_given_up: false } by its events, not so at the end {\"how\":\"compensated\",\"stands\":[],\"undone\":[\"b\",\"a\"]}";
        check(
            &happened,
            "Do a, Do b, Undo b",
            end,
            &[found, "`a` is Some(Stands), the end says otherwise"],
        );
    }
}
