//! A lane's memory and nothing else: decides, encodes, decodes, folds, and keeps a log of all that can be
//! seen from outside: public events, commands, answers, orders, in the order in which they happened.

use std::collections::BTreeMap;

use events::{
    By, CommandKind, Destination, Json, Outgoing, Run, SagaName, Subject, TaskId, Timestamp, What,
    WorkflowId,
};
use saga::{
    Answer, Cause, Decision, Deploy, DomainEvent, Event, Held, Input, Signal, Start, State, Unsent,
    Verb, decide, evolve, react, wake_at, wants_ack,
};

/// What can be seen from outside.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Event(u64, What),
    Sent(Outgoing),
    Told(Subject, Answer),
    Ordered(Verb),
    Woken(Timestamp),
    /// Time went on, and nobody looked.
    Passed(Timestamp),
    /// An event of a case of that choice.
    Happened(TaskId, usize),
    Unsent(Outgoing, Unsent),
    /// What was told last is a dead letter, with that code.
    Dead(String),
}

pub(crate) struct World {
    states: BTreeMap<String, State>,
    journal: Vec<Event>,
    /// Events whose records are to be acknowledged.
    unacknowledged: Vec<Event>,
    offset: u64,
    pub(crate) log: Vec<Entry>,
    pub(crate) now: Timestamp,
    pub(crate) id: WorkflowId,
}

impl Held for World {
    fn state(&self, key: &str) -> Option<&State> {
        self.states.get(key)
    }
}

/// The text of a header.
pub(crate) fn text<'a>(record: &'a Outgoing, name: &str) -> &'a str {
    let found = record.headers.iter().find(|header| &*header.name == name);
    found.map_or("", |header| std::str::from_utf8(header.value.as_ref().unwrap()).unwrap())
}

impl World {
    /// With the saga deployed and one workflow of it started.
    pub(crate) fn start(yaml: &str, key: &str, inputs: &serde_json::Value) -> Self {
        let checked = saga::check(yaml);
        let plan = checked.plan.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
        let (saga, version) = (plan.name.clone(), plan.version.clone());
        let mut world = Self {
            states: BTreeMap::new(),
            journal: Vec::new(),
            unacknowledged: Vec::new(),
            offset: 0,
            log: Vec::new(),
            now: Timestamp::default(),
            id: WorkflowId::of(&saga, key),
        };
        let deploy = Deploy {
            saga: saga.clone(),
            version: version.clone(),
            revision: 1,
            text: yaml.to_owned(),
            ce_id: "d1".to_owned(),
        };
        let decision = world.feed(Cause::Input(&Input::Deploy(deploy)));
        assert!(matches!(decision, Decision::Accepted(_)), "{decision:?}");
        let start = Start {
            workflow: world.id.clone(),
            saga: SagaName::from(saga.as_str()),
            version: Some(version),
            inputs: Json::from_value(inputs),
            start_id: "s1".to_owned(),
            offset: 1,
            trace: None,
            parent: None,
        };
        let decision = world.feed(Cause::Input(&Input::Start(start)));
        assert!(matches!(decision, Decision::Accepted(_)), "{decision:?}");
        world
    }

    /// Decides, twice, and folds what was decided as a replay would read it.
    fn feed(&mut self, cause: Cause<'_>) -> Decision {
        let decision = decide(self, cause, self.now);
        assert_eq!(decision, decide(self, cause, self.now), "decisions are pure");
        if let Decision::Accepted(events) = &decision {
            assert!(!events.is_empty());
            for event in events {
                self.fold(event);
            }
        }
        decision
    }

    fn fold(&mut self, event: &Event) {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let read = Event::decode(&bytes).unwrap();
        assert_eq!(&read, event);
        let key = event.key().to_string();
        let mut state = self.states.remove(&key);
        evolve(&mut state, &read);
        if let Some(state) = state {
            assert_eq!(State::decode(&state.encode()).unwrap(), state);
            self.states.insert(key, state);
        }
        if let Some(public) = event.lifecycle() {
            self.log.push(Entry::Event(public.sequence, public.what));
        }
        let records = react(event);
        assert_eq!(records, react(&read), "same-again");
        self.log.extend(records.into_iter().map(Entry::Sent));
        if wants_ack(event) {
            self.unacknowledged.push(read.clone());
        }
        self.journal.push(read);
    }

    /// What a takeover would hold: the journal folded from its beginning.
    pub(crate) fn refold(&self) {
        let mut states: BTreeMap<String, Option<State>> = BTreeMap::new();
        for event in &self.journal {
            evolve(states.entry(event.key().to_string()).or_default(), event);
        }
        let states: BTreeMap<_, _> =
            states.into_iter().filter_map(|(key, state)| Some((key, state?))).collect();
        assert_eq!(states, self.states, "fold-only");
    }

    /// Whether the run is over.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.log.iter().any(|entry| {
            let Entry::Event(_, what) = entry else { return false };
            matches!(
                what,
                What::WorkflowCompleted { .. }
                    | What::WorkflowFailed { .. }
                    | What::WorkflowCancelled { .. }
            )
        })
    }

    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        wake_at(self.states.get(self.id.as_str())?)
    }

    /// Goes on to the next timer and fires it.
    pub(crate) fn wake(&mut self) -> bool {
        let Some(at) = self.wake_at() else { return false };
        self.now = self.now.max(at);
        self.log.push(Entry::Woken(self.now));
        let id = self.id.clone();
        let decision = self.feed(Cause::Wake(id.as_str()));
        assert!(matches!(decision, Decision::Accepted(_)), "a due timer fires: {decision:?}");
        let next = self.wake_at();
        assert!(next.is_none_or(|at| at > self.now), "a timer that has fired is over");
        true
    }

    /// What a command of that event's is about.
    pub(crate) fn subject(&self, what: &What) -> Option<Subject> {
        let (task, kind, n) = match what {
            What::TaskScheduled { task, attempt, .. } => (task, CommandKind::Do, *attempt),
            What::UndoScheduled { task, n, .. } => (task, CommandKind::Undo, *n),
            _ => return None,
        };
        Some(self.subject_of(task, kind, n))
    }

    pub(crate) fn subject_of(&self, task: &TaskId, kind: CommandKind, n: u32) -> Subject {
        Subject { workflow: self.id.clone(), task: task.clone(), run: Run(1), kind, n }
    }

    /// Time goes on, and nothing happens.
    pub(crate) fn pass(&mut self, to: Timestamp) {
        self.now = self.now.max(to);
        self.log.push(Entry::Passed(self.now));
    }

    /// What a choice may wait for happens.
    pub(crate) fn happen(&mut self, id: &str, task: TaskId, case: usize) {
        self.log.push(Entry::Happened(task, case));
        self.see(id, &format!("C{case}"), Json::null());
    }

    /// Somebody says so by a signal.
    pub(crate) fn signal(&mut self, id: &str, subject: Subject, answer: Answer) {
        let data = match &answer {
            Answer::Completed(output) => output.clone(),
            _ => return,
        };
        self.offset += 1;
        let signal = Signal { name: id.to_owned(), data, id: format!("signal{}", self.offset) };
        self.log.push(Entry::Told(subject, answer));
        let workflow = self.id.clone();
        let decision = self.feed(Cause::Input(&Input::Signal { workflow, signal }));
        assert!(!matches!(decision, Decision::DeadLetter(_)), "{decision:?}");
    }

    /// The broker has taken what an event of ours sent.
    pub(crate) fn acknowledge(&mut self, subject: Subject, answer: Answer) {
        let is_it = |event: &&Event| {
            let public = event.lifecycle();
            public.is_some_and(|public| self.subject(&public.what).as_ref() == Some(&subject))
        };
        let event = self.unacknowledged.iter().find(is_it).cloned().expect("it was sent");
        self.log.push(Entry::Told(subject, answer));
        _ = self.feed(Cause::Sent(&event));
    }

    /// Whoever does it says so on a topic of theirs.
    pub(crate) fn hear(&mut self, id: &str, subject: Subject, answer: Answer) {
        let (name, value) = match (subject.kind, &answer) {
            (CommandKind::Undo, Answer::Failed(_)) => ("Stuck", Json::null()),
            (CommandKind::Undo, _) => ("Undone", Json::null()),
            (_, Answer::Completed(output)) => ("Done", output.clone()),
            (_, _) => ("Refused", Json::null()),
        };
        self.log.push(Entry::Told(subject, answer));
        self.see(id, name, value);
    }

    fn see(&mut self, id: &str, name: &str, value: Json) {
        self.offset += 1;
        let event = DomainEvent {
            name: format!("tell.{id}/{name}"),
            record: format!("tell.{id}/0/{}", self.offset),
            value,
            key: Some("k".to_owned()),
            headers: Json::parse(b"{}").unwrap(),
            time: self.now,
        };
        let workflow = self.id.clone();
        let decision = self.feed(Cause::Input(&Input::Seen { workflow, event }));
        assert!(!matches!(decision, Decision::DeadLetter(_)), "{decision:?}");
    }

    pub(crate) fn tell(&mut self, subject: Subject, answer: Answer) {
        self.log.push(Entry::Told(subject.clone(), answer.clone()));
        let decision = self.feed(Cause::Input(&Input::Answer { subject, answer }));
        if let Decision::DeadLetter(refusal) = decision {
            self.log.push(Entry::Dead(refusal.code));
        }
    }

    /// Whether the order was taken.
    pub(crate) fn order(&mut self, verb: Verb) -> bool {
        self.log.push(Entry::Ordered(verb.clone()));
        let by = By { actor: "ann".to_owned(), reason: "by hand".to_owned() };
        let workflow = self.id.clone();
        let decision = self.feed(Cause::Input(&Input::Operator { workflow, verb, by }));
        let taken = matches!(decision, Decision::Accepted(_));
        if !taken {
            self.log.pop();
        }
        taken
    }

    pub(crate) fn unsent(&mut self, record: &Outgoing, unsent: Unsent) {
        self.log.push(Entry::Unsent(record.clone(), unsent));
        let id = self.id.clone();
        let (key, reason) = (id.as_str(), "full");
        let decision = self.feed(Cause::Undeliverable { key, record, unsent, reason });
        assert!(!matches!(decision, Decision::DeadLetter(_)));
    }
}

/// The topic of an event of the user's.
pub(crate) fn topic(record: &Outgoing) -> Option<String> {
    match &record.to {
        Destination::Named(topic) => Some(topic.to_string()),
        _ => None,
    }
}

/// The agent of a command.
pub(crate) fn agent(record: &Outgoing) -> Option<String> {
    match &record.to {
        Destination::Tasks(agent) => Some(agent.to_string()),
        _ => None,
    }
}
