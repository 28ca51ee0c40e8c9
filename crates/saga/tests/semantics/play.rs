//! A saga and its participants under a drawn schedule.

use std::fmt::Write as _;
use std::time::Duration;

use events::{CommandKind, Json, Outgoing, Subject, Timestamp, What, header};
use saga::{Answer, Effects, Known, Outcome, Unsent, Verb};

use crate::participants::{self, Command, Participants, Reply};
use crate::tree::{Act, Kind, On, Place, Saga, Talk, Tree};
use crate::view::{Back, Forward, View, task_of};
use crate::world::{Entry, World, agent, text, topic};
use crate::written;

/// What happens next, which of those that could, and how.
pub(crate) type Step = (u8, u8, u8);

pub(crate) struct Play<'a> {
    pub(crate) tree: &'a Tree<'a>,
    pub(crate) world: World,
    pub(crate) participants: Participants,
    answers: Vec<Reply>,
    pub(crate) view: View,
    /// What of the log was looked at.
    seen: usize,
    moods: u8,
}

impl<'a> Play<'a> {
    pub(crate) fn new(saga: &Saga, tree: &'a Tree<'a>) -> Self {
        let mut play = Self {
            tree,
            world: World::start(&saga.yaml(), "k", &written::given()),
            participants: Participants::default(),
            answers: Vec::new(),
            view: View::default(),
            seen: 0,
            moods: 0,
        };
        play.settle();
        play.early();
        play
    }

    /// Some of what is awaited happens before anybody waits for it.
    fn early(&mut self) {
        for (node, known) in self.tree.nodes.iter().enumerate() {
            let comes_twice = known.task.acts.first() == Some(&Act::Twice);
            if known.task.kind != Kind::ReadOnly || !known.is_agent() || !comes_twice {
                continue;
            }
            let place = Place { node, at: Vec::new() };
            let task = self.tree.name(&place).as_str().into();
            let subject = self.world.subject_of(&task, CommandKind::Do, 1);
            let answer = Answer::Completed(participants::output(self.tree, &place));
            match known.talk() {
                Talk::Await => self.world.hear(&known.task.id, subject, answer),
                Talk::Signal => self.world.signal(&known.task.id, subject, answer),
                Talk::Agent | Talk::Request | Talk::Emit => {}
            }
        }
        self.settle();
    }

    /// After each step: what was sent is queued, what was said is read.
    fn settle(&mut self) {
        let (mut follows_from, mut happen) = (None, Vec::new());
        for entry in &self.world.log[self.seen..] {
            match entry {
                Entry::Event(sequence, what) => {
                    self.view.fold(*sequence, what);
                    follows_from = self.world.subject(what);
                    happen.extend(self.races(what));
                    if let Some((id, subject)) = self.awaited(what) {
                        let anew = self.view.of(subject.task.as_str()).anew;
                        self.participants.take(id, Command::outside(subject, anew + 1));
                    }
                }
                Entry::Sent(record) => {
                    if let Some(to) = agent(record).or_else(|| topic(record)) {
                        let command = Command::of(record, follows_from.as_ref());
                        self.participants.take(to, command);
                    }
                }
                _ => {}
            }
        }
        self.answers.extend(happen);
        self.seen = self.world.log.len();
        let waits = self.world.wake_at().is_some();
        let asks = self.view.paused || self.view.is_blocked();
        assert!(waits || asks || self.view.end.is_some(), "never silent");
    }

    /// What happens once a choice on events and time has begun.
    fn races(&self, what: &What) -> Vec<Reply> {
        let What::TaskStarted { task, attempt, .. } = what else { return Vec::new() };
        let Some(place) = self.tree.find(task.as_str()) else { return Vec::new() };
        let node = &self.tree.nodes[place.node];
        let Some(cases) = node.race() else { return Vec::new() };
        let subject = self.world.subject_of(task, CommandKind::Do, *attempt);
        let on_events: Vec<usize> = (0..cases.len()).filter(|k| cases[*k] == On::Event).collect();
        let reply = |k: usize, wait| Reply {
            due: self.world.now.after(Duration::from_secs(wait)),
            subject: subject.clone(),
            answer: Answer::Progress { percent: None, note: None },
            case: Some(on_events[k % on_events.len()]),
        };
        let n = usize::try_from(node.task.n).unwrap();
        match node.task.acts.first() {
            _ if on_events.is_empty() => Vec::new(),
            None | Some(Act::Done) => vec![reply(n, 0)],
            Some(Act::Twice) => vec![reply(n, 0), reply(n + 1, 0)],
            Some(Act::Late) => vec![reply(n, 11)],
            Some(_) => Vec::new(),
        }
    }

    /// Who does what a task has begun to wait for.
    fn awaited(&self, what: &What) -> Option<(String, Subject)> {
        let What::TaskStarted { task, attempt, .. } = what else { return None };
        let node = &self.tree.nodes[self.tree.find(task.as_str())?.node];
        let waits = node.is_agent() && matches!(node.talk(), Talk::Await | Talk::Signal);
        let subject = self.world.subject_of(task, CommandKind::Do, *attempt);
        waits.then(|| (format!("tell.{}", node.task.id), subject))
    }

    fn deliver(&mut self, which: usize) {
        let replies = self.participants.handle(self.tree, which, self.world.now);
        self.answers.extend(replies);
    }

    /// Answers that can be read by now.
    fn due(&self) -> Vec<usize> {
        let due = |k: &usize| self.answers[*k].due <= self.world.now;
        (0..self.answers.len()).filter(due).collect()
    }

    fn answer(&mut self, which: usize, keep: bool) -> bool {
        let due = self.due();
        let Some(at) = due.get(which % due.len().max(1)) else { return false };
        let (subject, answer, case) = {
            let reply = &self.answers[*at];
            (reply.subject.clone(), reply.answer.clone(), reply.case)
        };
        if !keep {
            self.answers.remove(*at);
        }
        let place = self.tree.find(subject.task.as_str()).unwrap();
        if let Some(case) = case {
            self.world.happen(&self.tree.nodes[place.node].task.id, subject.task, case);
            self.settle();
            return true;
        }
        match self.tree.nodes[place.node].talk() {
            Talk::Agent => self.world.tell(subject, answer),
            // An await is undone by a command.
            Talk::Await | Talk::Signal if subject.kind != CommandKind::Do => {
                self.world.tell(subject, answer);
            }
            Talk::Request | Talk::Await => {
                self.world.hear(&self.tree.nodes[place.node].task.id, subject, answer);
            }
            Talk::Signal => {
                self.world.signal(&self.tree.nodes[place.node].task.id, subject, answer);
            }
            Talk::Emit => self.world.acknowledge(subject, answer),
        }
        self.settle();
        true
    }

    fn wake(&mut self) {
        let limit = self.world.now.after(Duration::from_secs(3600));
        if self.world.wake_at().is_some_and(|at| at < limit) {
            self.world.wake();
        }
    }

    /// The last command of some queue can not be sent.
    fn unsent(&mut self, which: usize, never: bool) {
        let Some(record) = self.participants.last_unseen(which) else { return };
        if never {
            self.participants.forget(&agent(&record).unwrap());
        }
        self.world.unsent(&record, if never { Unsent::Never } else { Unsent::InDoubt });
    }

    pub(crate) fn step(&mut self, (action, which, mood): Step) {
        let which = usize::from(which);
        match action % 32 {
            0..=10 => self.deliver(which),
            11 => self.participants.rewind(which, usize::from(mood % 4)),
            12..=20 => _ = self.answer(which, false),
            21 => _ = self.answer(which, true),
            22..=25 => self.wake(),
            26 => self.unsent(which, mood.is_multiple_of(2)),
            27 if mood < 40 => _ = self.world.order(Verb::Cancel),
            28 | 29 => self.operate(mood),
            30 => self.meddle(which, mood),
            _ => self.world.pass(self.world.now.after(Duration::from_millis(u64::from(mood) * 20))),
        }
        self.settle();
    }

    /// Nothing happens but by the participants as they were drawn, in an order that is drawn; time passes
    /// only when there is nothing else to do.
    pub(crate) fn calmly(&mut self, steps: &[Step]) {
        let mut steps = steps.iter().cycle();
        for _ in 0..4000 {
            let (action, which, _) = steps.next().copied().unwrap_or_default();
            let (idle, due) = (self.participants.is_idle(), self.due());
            match (idle, due.is_empty()) {
                (true, true) if self.view.end.is_some() => return,
                (true, true) if self.view.paused || self.view.is_blocked() => return,
                (true, true) => _ = self.world.wake(),
                (false, true) => self.deliver(usize::from(which)),
                (false, false) if action % 2 == 0 => self.deliver(usize::from(which)),
                _ => _ = self.answer(usize::from(which), false),
            }
            self.settle();
        }
        panic!("never ends: {}", self.view.status());
    }

    /// From here on nothing is lost, and operators tell the truth: the workflow must come to rest.
    pub(crate) fn drain(&mut self) {
        for round in 0..600 {
            while !self.participants.is_idle() {
                self.deliver(0);
                self.settle();
            }
            while self.answer(0, false) {}
            let moods = self.moods;
            self.moods = moods.wrapping_add(1);
            if self.view.paused || self.view.is_blocked() {
                // In the end the simplest choice, which always lets go.
                self.operate(if round < 200 { moods } else { 0 });
                self.settle();
                let asks = self.view.paused || self.view.is_blocked();
                if asks && round < 300 && self.is_far() {
                    continue;
                }
            }
            if !self.participants.is_idle() {
                continue;
            }
            if self.view.end.is_some() && !self.view.is_blocked() && !self.view.is_undoing() {
                let Some(last) = self.answers.iter().map(|reply| reply.due).max() else { return };
                self.world.pass(last);
                continue;
            }
            // What comes late comes before the next timer, if it is due before.
            let next = self.answers.iter().map(|reply| reply.due).min();
            let wakes = self.world.wake_at();
            match (next, wakes) {
                (Some(at), Some(wake)) if at < wake => self.world.pass(at),
                (Some(at), None) => self.world.pass(at),
                _ => _ = self.world.wake(),
            }
            self.settle();
        }
        panic!("never ends: {}", self.view.status());
    }

    /// Whether nothing will happen for hours: whoever is asked says something before.
    fn is_far(&self) -> bool {
        let soon = self.world.now.after(Duration::from_secs(3600));
        self.participants.is_idle()
            && self.answers.is_empty()
            && self.world.wake_at().is_none_or(|at| at > soon)
    }

    /// Someone looks at the workflow, and does what must be done.
    fn operate(&mut self, mood: u8) {
        let tasks: Vec<_> =
            self.view.tasks.iter().map(|(id, seen)| (id.clone(), seen.clone())).collect();
        for (id, seen) in tasks {
            let place = self.tree.find(&id).unwrap();
            let task = || id.as_str().into();
            if seen.back == Back::Blocked {
                match mood % 4 {
                    0 | 1 => _ = self.world.order(Verb::Retry(task())),
                    2 => _ = self.world.order(Verb::Skip { task: task(), output: None }),
                    _ => {
                        let verb =
                            Verb::Resolve { task: task(), outcome: Outcome::Undone, output: None };
                        if self.world.order(verb) {
                            self.participants.write(&place, participants::Entry::Undone);
                        }
                    }
                }
                return;
            }
            if !self.view.paused {
                continue;
            }
            if seen.forward == Forward::InDoubt && seen.back == Back::Nothing {
                let verb =
                    if mood % 4 == 1 { Verb::Retry(task()) } else { self.truth(&id, &place) };
                if self.world.order(verb) {
                    return;
                }
            }
            // A success that was told of too late does not change that it has failed.
            if seen.forward == Forward::Failed || seen.lost && seen.back == Back::Undone {
                // An event does not say which incarnation it is about.
                let is_told = self.tree.nodes[place.node].talk() == Talk::Agent;
                let verb = match mood % 8 {
                    1 | 2 if is_told || seen.back == Back::Nothing => Verb::Retry(task()),
                    3 => Verb::Skip { task: task(), output: None },
                    4 => {
                        let output = Some(Json::parse(b"{\"n\":5}").unwrap());
                        Verb::Skip { task: task(), output }
                    }
                    5 => Verb::Cancel,
                    _ => Verb::Continue,
                };
                if self.world.order(verb) {
                    return;
                }
            }
        }
        // Its time is over, and nothing has failed.
        if self.view.paused && mood % 4 != 1 {
            self.world.order(Verb::Continue);
        }
    }

    /// Someone orders something of any task, whatever it is at.
    fn meddle(&mut self, which: usize, mood: u8) {
        let Some((id, seen)) = self.view.tasks.iter().nth(which % self.view.tasks.len().max(1))
        else {
            return;
        };
        let (id, place) = (id.clone(), self.tree.find(id).unwrap());
        // An event does not say which incarnation it is about.
        let is_told = self.tree.nodes[place.node].talk() == Talk::Agent;
        let task = id.as_str().into();
        let verb = match mood % 8 {
            0..=2 if is_told || seen.back == Back::Nothing => Verb::Retry(task),
            3 => Verb::Skip { task, output: None },
            4 if mood.is_multiple_of(3) => Verb::Continue,
            5 => Verb::Resolve { task, outcome: Outcome::Undone, output: None },
            _ if seen.forward == Forward::InDoubt && seen.back == Back::Nothing => {
                self.truth(&id, &place)
            }
            _ => return,
        };
        let is_undone = matches!(verb, Verb::Resolve { outcome: Outcome::Undone, .. });
        if self.world.order(verb) && is_undone {
            self.participants.write(&place, participants::Entry::Undone);
        }
    }

    fn truth(&mut self, id: &str, place: &Place) -> Verb {
        let done = self.participants.book(place) == participants::Entry::Done;
        if !done {
            self.participants.write(place, participants::Entry::Refuses);
        }
        let outcome = if done { Outcome::Done } else { Outcome::NotDone };
        let output = done.then(|| participants::output(self.tree, place));
        Verb::Resolve { task: id.into(), outcome, output }
    }

    /// What happened, as a scenario with remarks.
    pub(crate) fn story(&self) -> String {
        story(&self.world.log)
    }
}

pub(crate) fn story(log: &[Entry]) -> String {
    let mut told = String::new();
    for entry in log {
        match entry {
            Entry::Event(n, what) => {
                let rest = format!("{what:?}");
                let name = rest.split([' ', '{']).next().unwrap().to_owned();
                let task = task_of(what).unwrap_or_default();
                let more = match what {
                    events::What::TaskCompleted { output, .. } => output.to_string(),
                    events::What::TaskFailed { code, .. } => code.clone(),
                    events::What::TaskSkipped { reason, .. } => reason.clone(),
                    events::What::TaskInDoubt { policy, .. } => policy.clone(),
                    events::What::TaskScheduled { attempt, .. } => attempt.to_string(),
                    events::What::UndoScheduled { n, .. } => n.to_string(),
                    events::What::WorkflowFailed { .. } => rest,
                    events::What::CompensationStarted { problem, .. } => format!("{problem:?}"),
                    _ => String::new(),
                };
                writeln!(told, "    # {n} {name} {task} {more}").unwrap();
            }
            Entry::Sent(record) => {
                if let Some(topic) = topic(record) {
                    writeln!(told, "    # -> {topic} {}", text(record, header::ID)).unwrap();
                }
                if agent(record).is_some() {
                    writeln!(told, "    # -> {} {}", text(record, header::TYPE), command(record))
                        .unwrap();
                }
            }
            Entry::Told(subject, answer) => {
                writeln!(told, "{}", line(subject, answer)).unwrap();
            }
            Entry::Ordered(verb) => writeln!(told, "{verb:?}").unwrap(),
            Entry::Woken(at) => {
                writeln!(told, "wait    # until {}", at.since(Timestamp::default()).as_secs_f32())
                    .unwrap();
            }
            Entry::Unsent(record, how) => {
                writeln!(told, "unsent {} {how:?}", command(record)).unwrap()
            }
            Entry::Passed(_) => {}
            Entry::Happened(task, case) => writeln!(told, "{task}: case {case} happens").unwrap(),
            Entry::Dead(code) => writeln!(told, "    # a dead letter: {code}").unwrap(),
        }
    }
    told
}

fn command(record: &Outgoing) -> String {
    text(record, header::SUBJECT).split_once('/').unwrap().1.to_owned()
}

fn line(subject: &Subject, answer: &Answer) -> String {
    let command = format!("{}.{}{}", subject.task, subject.kind.word(), subject.n);
    match answer {
        Answer::Completed(output) => format!("{command} done {output}"),
        Answer::NothingToUndo => format!("{command} nothing"),
        Answer::Progress { .. } => format!("{command} progress"),
        Answer::Failed(failure) => {
            let last = if failure.retryable { "" } else { " final" };
            let unknown = if failure.effects == Effects::Unknown { " unknown" } else { "" };
            format!("{command} failed {}{last}{unknown}", failure.code)
        }
        Answer::Status { status, output } => match status {
            Known::Done => format!("{command} done {output}"),
            Known::NotDone => format!("{command} not_done"),
            Known::Unknown => format!("{command} unknown"),
        },
    }
}
