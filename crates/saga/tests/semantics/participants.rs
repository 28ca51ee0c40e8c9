//! Participants with books of their own, who keep the four promises of the contract and for the rest
//! behave as it was drawn for them.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{CommandKind, Json, Outgoing, Subject, Timestamp, ce_type, header};
use saga::{Answer, Effects, Failure, Known};
use serde_json::json;

use crate::tree::{Act, Place, Talk, Tree, UndoAct};
use crate::world::{agent, text};

/// What stands in the books for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Entry {
    #[default]
    Nothing,
    Done,
    Undone,
    /// Undone, stopped, or said not to be done, before it was done: a do is refused from then on.
    Refuses,
}

/// What a participant reads.
#[derive(Clone)]
pub(crate) struct Command {
    record: Option<Outgoing>,
    subject: Subject,
    /// As of a command, also where it is an event.
    of: &'static str,
    key: String,
    epoch: u32,
}

impl Command {
    /// What somebody does of whom only an event or a signal is awaited.
    pub(crate) fn outside(subject: Subject, incarnation: u32) -> Self {
        let Subject { workflow, task, run, .. } = &subject;
        let key = format!("{workflow}/{task}/{run}.{incarnation}");
        Self { record: None, subject, of: ce_type::DO_TASK, key, epoch: 0 }
    }

    /// `subject`: what the record follows from, where it is an event.
    pub(crate) fn of(record: &Outgoing, subject: Option<&Subject>) -> Self {
        let header = |name| text(record, name);
        if let (true, Some(subject)) = (agent(record).is_none(), subject) {
            let of = match subject.kind {
                CommandKind::Undo => ce_type::UNDO_TASK,
                CommandKind::Do | CommandKind::Query => ce_type::DO_TASK,
            };
            let key = header(header::ID).split("/undo").next().unwrap().to_owned();
            let record = Some(record.clone());
            return Self { record, subject: subject.clone(), of, key, epoch: 0 };
        }
        let all = [ce_type::DO_TASK, ce_type::UNDO_TASK, ce_type::QUERY_TASK, ce_type::CANCEL_TASK];
        Self {
            record: Some(record.clone()),
            subject: header(header::SUBJECT).parse().unwrap(),
            of: all.into_iter().find(|of| *of == header(header::TYPE)).unwrap(),
            key: header(header::IDEMPOTENCY_KEY).to_owned(),
            epoch: header(header::EPOCH).parse().unwrap(),
        }
    }
}

#[derive(Default)]
struct Participant {
    queue: Vec<Command>,
    /// The next command; what stands before it may come again.
    at: usize,
    /// What was read at least once.
    read: usize,
    epoch: u32,
}

/// An answer, and when it can be read at the earliest.
pub(crate) struct Reply {
    pub(crate) due: Timestamp,
    pub(crate) subject: Subject,
    pub(crate) answer: Answer,
    /// Not an answer, but the event of that case of a choice.
    pub(crate) case: Option<usize>,
}

#[derive(Default)]
pub(crate) struct Participants {
    agents: BTreeMap<String, Participant>,
    /// By idempotency key.
    pub(crate) books: BTreeMap<String, Entry>,
    /// The key of each place.
    pub(crate) keys: BTreeMap<Place, String>,
}

/// What each participant gives.
pub(crate) fn output(tree: &Tree<'_>, place: &Place) -> Json {
    if tree.nodes[place.node].talk() == Talk::Emit {
        return Json::null();
    }
    Json::from_value(&json!({"by": tree.name(place), "n": tree.nodes[place.node].task.n}))
}

/// What was drawn for that attempt.
pub(crate) fn act(tree: &Tree<'_>, place: &Place, attempt: u32) -> Act {
    let element: usize = place.at.iter().sum();
    let k = attempt as usize - 1 + 2 * element;
    tree.nodes[place.node].task.acts.get(k).copied().unwrap_or(Act::Done)
}

fn undo_act(tree: &Tree<'_>, place: &Place, n: u32) -> UndoAct {
    let undos = &tree.nodes[place.node].task.undos;
    undos.get(n as usize - 1).copied().unwrap_or(UndoAct::Done)
}

fn failure(code: &str, retryable: bool, effects: Effects) -> Answer {
    let (code, message) = (code.to_owned(), String::new());
    Answer::Failed(Failure { code, message, retryable, effects })
}

impl Participants {
    pub(crate) fn take(&mut self, agent: String, command: Command) {
        self.agents.entry(agent).or_default().queue.push(command);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.agents.values().all(|agent| agent.at == agent.queue.len())
    }

    pub(crate) fn book(&self, place: &Place) -> Entry {
        let entry = self.keys.get(place).and_then(|key| self.books.get(key));
        entry.copied().unwrap_or_default()
    }

    /// What an operator does by hand.
    pub(crate) fn write(&mut self, place: &Place, entry: Entry) {
        if let Some(key) = self.keys.get(place) {
            self.books.insert(key.clone(), entry);
        }
    }

    /// The last command of some participant that has not seen it, if it is taken out of the topic.
    pub(crate) fn last_unseen(&mut self, which: usize) -> Option<Outgoing> {
        let is_command = |command: &Command| {
            let record = command.record.as_ref();
            record.is_some_and(|record| agent(record).is_some())
        };
        let mut waiting: Vec<&mut Participant> = self
            .agents
            .values_mut()
            .filter(|agent| agent.read < agent.queue.len())
            .filter(|agent| agent.queue.last().is_some_and(is_command))
            .collect();
        let count = waiting.len();
        let of = waiting.get_mut(which % count.max(1));
        of.and_then(|agent| agent.queue.last().unwrap().record.clone())
    }

    pub(crate) fn forget(&mut self, agent: &str) {
        _ = self.agents.get_mut(agent).unwrap().queue.pop();
    }

    /// One of them dies, and reads some of its commands again.
    pub(crate) fn rewind(&mut self, which: usize, by: usize) {
        let count = self.agents.len();
        if let Some(agent) = self.agents.values_mut().nth(which % count.max(1)) {
            agent.at = agent.at.saturating_sub(by);
        }
    }

    /// One of them handles its next command.
    pub(crate) fn handle(&mut self, tree: &Tree<'_>, which: usize, now: Timestamp) -> Vec<Reply> {
        let mut waiting: Vec<&mut Participant> =
            self.agents.values_mut().filter(|agent| agent.at < agent.queue.len()).collect();
        let count = waiting.len();
        let Some(agent) = waiting.get_mut(which % count.max(1)) else { return Vec::new() };
        let command = agent.queue[agent.at].clone();
        agent.at += 1;
        agent.read = agent.read.max(agent.at);
        let epoch = command.epoch;
        let is_old = epoch < agent.epoch;
        agent.epoch = agent.epoch.max(epoch);
        self.answer(tree, &command, is_old, now)
    }

    /// The newest incarnation's key is the one that the books are about.
    fn meet(&mut self, place: &Place, key: &str) {
        let incarnation = |key: &str| key.rsplit_once('.').unwrap().1.parse::<u32>().unwrap();
        let newest = self.keys.entry(place.clone()).or_insert_with(|| key.to_owned());
        if incarnation(newest) < incarnation(key) {
            key.clone_into(newest);
        }
    }

    fn answer(
        &mut self,
        tree: &Tree<'_>,
        command: &Command,
        is_old: bool,
        now: Timestamp,
    ) -> Vec<Reply> {
        let (subject, key) = (command.subject.clone(), command.key.as_str());
        let place = tree.find(subject.task.as_str()).expect("a command is about a task");
        self.meet(&place, key);
        let book = self.books.entry(key.to_owned()).or_default();
        let output = Answer::Completed(output(tree, &place));
        let late = now.after(Duration::from_secs(11));
        let talk = tree.nodes[place.node].talk();
        let answers = match command.of {
            ce_type::DO_TASK if *book == Entry::Done => vec![(now, output)],
            ce_type::DO_TASK if is_old => {
                vec![(now, failure("superseded", false, Effects::None))]
            }
            ce_type::DO_TASK if *book != Entry::Nothing && talk == Talk::Emit => {
                vec![(now, output)]
            }
            ce_type::DO_TASK if *book != Entry::Nothing => {
                vec![(now, failure("already_undone", false, Effects::None))]
            }
            ce_type::DO_TASK => {
                let act = act(tree, &place, subject.n);
                if matches!(
                    act,
                    Act::Done | Act::Twice | Act::Late | Act::Unknown(true) | Act::Silent(true)
                ) {
                    *book = Entry::Done;
                }
                match act {
                    Act::Done => vec![(now, output)],
                    Act::Twice => vec![(now, output.clone()), (now, output)],
                    Act::Late => vec![(late, output)],
                    Act::Retryable => vec![(now, failure("busy", true, Effects::None))],
                    Act::Final => {
                        // An event does not say which attempt it is about.
                        if talk != Talk::Agent {
                            *book = Entry::Refuses;
                        }
                        vec![(now, failure("Refused", false, Effects::None))]
                    }
                    Act::Unknown(_) => vec![(now, failure("crashed", true, Effects::Unknown))],
                    Act::Silent(_) => Vec::new(),
                }
            }
            ce_type::UNDO_TASK => match undo_act(tree, &place, subject.n) {
                UndoAct::Done => vec![(now, undo(book))],
                UndoAct::Late => vec![(late, undo(book))],
                UndoAct::Retryable => vec![(now, failure("locked", true, Effects::None))],
                UndoAct::Final => vec![(now, failure("gone", false, Effects::None))],
                UndoAct::Silent => {
                    _ = undo(book);
                    Vec::new()
                }
            },
            ce_type::QUERY_TASK => vec![(now, known(tree, &place, book, subject.n))],
            ce_type::CANCEL_TASK => match *book {
                Entry::Done => vec![(now, output)],
                Entry::Nothing if tree.nodes[place.node].task.n % 2 == 0 => {
                    *book = Entry::Refuses;
                    vec![(now, failure("cancelled", false, Effects::None))]
                }
                Entry::Nothing | Entry::Undone | Entry::Refuses => Vec::new(),
            },
            other => panic!("{other} is no command"),
        };
        let reply = |(due, answer)| Reply { due, subject: subject.clone(), answer, case: None };
        answers.into_iter().map(reply).collect()
    }
}

fn undo(book: &mut Entry) -> Answer {
    match *book {
        Entry::Done | Entry::Undone => {
            *book = Entry::Undone;
            Answer::Completed(Json::null())
        }
        Entry::Nothing | Entry::Refuses => {
            *book = Entry::Refuses;
            Answer::NothingToUndo
        }
    }
}

/// The truth, or at first perhaps nothing. What was not done will not be done afterwards.
fn known(tree: &Tree<'_>, place: &Place, book: &mut Entry, n: u32) -> Answer {
    let task = tree.nodes[place.node].task;
    if n == 1 && task.undos.contains(&UndoAct::Silent) {
        return Answer::Status { status: Known::Unknown, output: Json::null() };
    }
    let status = match *book {
        Entry::Done => Known::Done,
        Entry::Nothing | Entry::Undone | Entry::Refuses => {
            *book = Entry::Refuses;
            Known::NotDone
        }
    };
    Answer::Status { status, output: output(tree, place) }
}
