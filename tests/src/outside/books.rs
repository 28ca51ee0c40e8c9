//! Participants with a book of their own: they keep the four promises of the contract, and for the rest
//! fail, are late and answer twice as the workflow's key says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use client::{Answer, Asked, Command, Failure, Reply, Status};
use serde_json::{Value, json};

use crate::outside::chance::Chance;
use crate::outside::drawn::{MAY_BE_SILENT, MAY_FAIL, SURE};

/// What stands in the book for one idempotency key.
#[derive(Clone, Debug, Default)]
struct Line {
    task: String,
    is_done: bool,
    is_undone: bool,
    refuses: bool,
    /// Answers that are held back until there is another command for that key.
    late: Vec<Reply>,
}

/// What has come of a task, by the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It was done, and stands.
    Stands,
    /// It was done, and undone.
    Undone,
}

#[derive(Default)]
struct Book {
    /// By workflow and idempotency key.
    lines: BTreeMap<(String, String), Line>,
    /// The highest compensation epoch of each workflow.
    epochs: BTreeMap<String, u64>,
    /// Each command as it came first, but for when.
    commands: BTreeMap<(String, &'static str), Command>,
    /// Promises that the other side did not keep.
    broken: Vec<String>,
    /// What was done, line by line, as `pavane verify` reads it.
    effects: Vec<Value>,
}

/// Everybody who is asked, with one book.
pub struct Books {
    book: Mutex<Book>,
    output: fn(&str) -> Value,
}

/// What is done about a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Done,
    Twice,
    Busy,
    Refused,
    /// Failed, and nobody knows whether it was done: whether it was.
    Lost(bool),
    /// No answer for now: whether it is done.
    Silent(bool),
}

impl Books {
    /// An empty book; `output` gives what a task's answer holds.
    #[must_use]
    pub fn new(output: fn(&str) -> Value) -> Self {
        Self { book: Mutex::default(), output }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was sent against the contract, in words.
    #[must_use]
    pub fn broken_promises(&self) -> Vec<String> {
        self.book().broken.clone()
    }

    /// The book as `pavane verify --books` reads it: one JSON object a line, in the order of what was done.
    #[must_use]
    pub fn lines(&self) -> String {
        self.book().effects.iter().map(|effect| format!("{effect}\n")).collect()
    }

    /// By task, what has come of it in that workflow.
    pub(crate) fn effects(&self, workflow: &str) -> BTreeMap<String, Vec<Effect>> {
        let mut found: BTreeMap<String, Vec<Effect>> = BTreeMap::new();
        for ((_, _), line) in self.book().lines.iter().filter(|((of, _), _)| of == workflow) {
            if line.is_done {
                let effect = if line.is_undone { Effect::Undone } else { Effect::Stands };
                found.entry(line.task.clone()).or_default().push(effect);
            }
        }
        found
    }

    /// What is answered to a command, in that order: perhaps nothing.
    #[must_use]
    pub fn answer(&self, command: &Command) -> Vec<Reply> {
        self.reply(None, command)
    }

    /// The same, of a participant that keeps a whole book under that name.
    #[must_use]
    pub fn answer_as(&self, agent: &str, command: &Command) -> Vec<Reply> {
        self.reply(Some(agent), command)
    }

    fn reply(&self, agent: Option<&str>, command: &Command) -> Vec<Reply> {
        let mut book = self.book();
        book.notice(command);
        let workflow = command.subject.workflow.to_string();
        let epoch = book.epochs.entry(workflow.clone()).or_default();
        let is_old = command.epoch < *epoch;
        *epoch = command.epoch.max(*epoch);
        let line = book.lines.entry((workflow, command.idempotency_key.clone())).or_default();
        line.task = command.subject.task.to_string();
        if line.late.iter().any(|reply| reply.subject == command.subject_text)
            && command.asked == Asked::Do
        {
            // It came again, and is still not answered.
            return Vec::new();
        }
        let mut replies = std::mem::take(&mut line.late);
        let before = (line.is_done, line.is_undone);
        let answers = match command.asked {
            Asked::Do => self.do_task(line, command, is_old),
            Asked::Undo => undo(line, command),
            Asked::Query => vec![Answer::Status(self.known(line))],
            Asked::Cancel if line.is_done && !line.is_undone => {
                vec![Answer::Completed((self.output)(&line.task))]
            }
            Asked::Cancel => {
                line.refuses = true;
                vec![Answer::Failed(Failure::refused("cancelled", "as it was told"))]
            }
        };
        let effect = match (command.asked, before, (line.is_done, line.is_undone)) {
            (Asked::Do, (false, _), (true, _)) => Some(("do", true)),
            (Asked::Undo, before, after) => Some(("undo", before != after)),
            (Asked::Do | Asked::Query | Asked::Cancel, _, _) => None,
        };
        book.effects.extend(effect.map(|(op, applied)| {
            json!({"service": agent, "key": command.idempotency_key, "op": op, "applied": applied})
        }));
        replies.extend(answers.into_iter().map(|answer| Reply {
            subject: command.subject_text.clone(),
            traceparent: command.traceparent.clone(),
            answer,
        }));
        replies
    }

    fn do_task(&self, line: &mut Line, command: &Command, is_old: bool) -> Vec<Answer> {
        let output = (self.output)(&line.task);
        if line.is_done && !line.is_undone {
            return vec![Answer::Completed(output)];
        }
        let refused = |code| vec![Answer::Failed(Failure::refused(code, "by the contract"))];
        if is_old {
            return refused("superseded");
        }
        if line.refuses || line.is_undone {
            return refused("already_undone");
        }
        if command.deadline.is_some_and(|deadline| command.appended_at > deadline) {
            return refused("expired");
        }
        let act = act(command);
        line.is_done = matches!(act, Act::Done | Act::Twice | Act::Lost(true) | Act::Silent(true));
        let done = Answer::Completed(output);
        match act {
            Act::Done => vec![done],
            Act::Twice => vec![done.clone(), done],
            Act::Busy => vec![Answer::Failed(Failure::retryable("busy", "not now"))],
            Act::Refused => refused("refused"),
            Act::Lost(_) => {
                let lost = Failure::refused("lost", "it may have worked").with_unknown_effects();
                vec![Answer::Failed(lost)]
            }
            Act::Silent(true) => {
                let (subject, traceparent) = (command.subject_text.clone(), None);
                line.late.push(Reply { subject, traceparent, answer: done });
                Vec::new()
            }
            Act::Silent(false) => Vec::new(),
        }
    }

    /// What was not done will not be done afterwards.
    fn known(&self, line: &mut Line) -> Status {
        if line.is_done && !line.is_undone {
            return Status::Done((self.output)(&line.task));
        }
        line.refuses = true;
        Status::NotDone
    }
}

impl Book {
    /// The same id is always the same command; a do is not sent after its undo.
    fn notice(&mut self, command: &Command) {
        let mut plain = command.clone();
        plain.appended_at = events::Timestamp::from_millis(0);
        let id = (command.subject_text.clone(), command.asked.as_str());
        let first = self.commands.entry(id).or_insert_with(|| plain.clone());
        if *first != plain {
            self.broken.push(format!("one id, two bodies: {first:?} and {plain:?}"));
        }
    }
}

fn undo(line: &mut Line, command: &Command) -> Vec<Answer> {
    let mut chance = chance(command);
    if is_drawn(command) && command.subject.n < 3 && chance.one_in(8) {
        return vec![Answer::Failed(Failure::retryable("busy", "not now"))];
    }
    let answer = if line.is_done {
        line.is_undone = true;
        Answer::Completed(Value::Null)
    } else {
        line.refuses = true;
        Answer::NothingToUndo
    };
    let twice = is_drawn(command) && chance.one_in(8);
    vec![answer; 1 + usize::from(twice)]
}

/// What is drawn is the same for the same command.
fn chance(command: &Command) -> Chance {
    Chance::of(&format!("{} {}", command.subject, command.asked.as_str()))
}

fn key(command: &Command) -> &str {
    let workflow = command.subject.workflow.as_str();
    workflow.split_once(':').map_or(workflow, |(_, key)| key)
}

/// Whether anything may happen.
fn is_drawn(command: &Command) -> bool {
    key(command).starts_with("draw-")
}

/// `fail-TASK` fails that task for good, `lost-TASK` with unknown effects, `mute-TASK` says nothing until
/// it is asked again; under `draw-N` any task may do any of these.
fn act(command: &Command) -> Act {
    let task = command.subject.task.as_str();
    let operation = command.operation.as_str();
    match key(command).split_once('-') {
        Some(("fail", whose)) if whose == task => return Act::Refused,
        Some(("lost", whose)) if whose == task => return Act::Lost(task.len().is_multiple_of(2)),
        Some(("mute", whose)) if whose == task => return Act::Silent(true),
        _ => {}
    }
    if !is_drawn(command) {
        return Act::Done;
    }
    let mut chance = chance(command);
    match (operation, chance.below(48)) {
        (MAY_BE_SILENT, 0..12) => Act::Silent(chance.one_in(2)),
        (MAY_FAIL | MAY_BE_SILENT, 12) => Act::Refused,
        (MAY_FAIL | MAY_BE_SILENT, 13) => Act::Lost(chance.one_in(2)),
        (MAY_FAIL | MAY_BE_SILENT | SURE, 14..20) => Act::Busy,
        (_, 20..26) => Act::Twice,
        _ => Act::Done,
    }
}

/// What a drawn task answers.
#[must_use]
pub(crate) fn drawn_output(task: &str) -> Value {
    json!({"by": task, "n": task.len()})
}
