//! A lane's memory and nothing else: decides, encodes, decodes, folds and collects what is sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use events::{
    By, CommandKind, Destination, How, Json, Outgoing, Payload, Place, Problem, Record, Run,
    SagaName, Subject, Timestamp, What, WorkflowId, header,
};
use saga::{
    Answer, Cause, Decision, Definition, Deploy, DomainEvent, Effects, Event, Failure, Held, Input,
    Known, Outcome, Plan, Signal, Start, State, Unsent, Verb, decide, definition_key, evolve,
    react, wake_at, wants_ack,
};

#[derive(Default)]
pub(crate) struct World {
    states: BTreeMap<String, State>,
    given: BTreeMap<String, State>,
    pub(crate) journal: Vec<Event>,
    pub(crate) sent: Vec<Outgoing>,
    pub(crate) now: Timestamp,
    offset: i64,
    pub(crate) id: Option<WorkflowId>,
    pub(crate) run: i64,
    expected: Option<WorkflowId>,
    runs: BTreeMap<String, i64>,
}

impl Held for World {
    fn state(&self, key: &str) -> Option<&State> {
        self.states.get(key)
    }
}

pub(crate) fn text<'a>(record: &'a Outgoing, name: &str) -> &'a str {
    let found = record.headers.iter().find(|header| &*header.name == name);
    found.map_or("", |header| std::str::from_utf8(header.value.as_ref().unwrap()).unwrap())
}

impl World {
    /// A world that holds this definition.
    pub(crate) fn of(plan: Plan) -> Self {
        let mut world = Self::default();
        let key = definition_key(&plan.name, &plan.version).to_string();
        let state = State::Definition(Definition::of(Arc::new(plan)));
        world.given.insert(key.clone(), state.clone());
        world.states.insert(key, state);
        world
    }

    pub(crate) fn deploy(yaml: &str) -> Self {
        let mut world = Self::default();
        world.add(yaml);
        world
    }

    /// A world of several sagas in which this line has been played, and what follows passed on.
    pub(crate) fn family(yamls: &[&str], line: &str) -> Self {
        let mut world = Self::default();
        yamls.iter().for_each(|yaml| world.add(yaml));
        _ = world.play(line);
        _ = world.pass_on(0);
        world
    }

    fn add(&mut self, yaml: &str) {
        let world = self;
        let checked = saga::check(yaml);
        let plan = checked.plan.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
        let deploy = Deploy {
            saga: plan.name.clone(),
            version: plan.version.clone(),
            revision: 1,
            text: yaml.to_owned(),
            ce_id: "d1".to_owned(),
        };
        let decision = world.feed(Cause::Input(&Input::Deploy(deploy)));
        assert!(matches!(decision, Decision::Accepted(_)), "{decision:?}");
    }

    /// What was sent to the inbox since, read back from it, and what comes of that.
    pub(crate) fn pass_on(&mut self, since: usize) -> String {
        let mut told = String::new();
        let mut next = since;
        while next < self.sent.len() {
            let record = self.sent[next].clone();
            next += 1;
            if record.to != Destination::Inbox {
                continue;
            }
            let Payload::Bytes(value) = record.value else { panic!("a record has bytes") };
            self.offset += 1;
            let place = Place { topic: "inbox".into(), partition: 0, offset: self.offset };
            let read = Record {
                place,
                timestamp: self.now,
                key: record.key,
                value: Some(value),
                headers: record.headers,
            };
            let input = saga::parse(&read).unwrap();
            writeln!(told, "  ... {}", read.header_text(header::TYPE).unwrap()).unwrap();
            let decision = self.feed(Cause::Input(&input));
            told.push_str(&show(&decision));
            if let Input::Start(start) = &input
                && show(&decision).contains("WorkflowStarted")
            {
                self.runs.insert(start.workflow.to_string(), self.offset);
            }
        }
        told
    }

    /// Decides, twice, and folds what was decided as a replay would read it.
    pub(crate) fn feed(&mut self, cause: Cause<'_>) -> Decision {
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
        let records = react(event);
        assert_eq!(records, react(&read), "same-again");
        self.sent.extend(records);
        self.journal.push(read);
    }

    /// What a takeover would hold: the journal folded from its beginning.
    pub(crate) fn refold(&self) {
        let mut states: BTreeMap<String, Option<State>> = BTreeMap::new();
        for (key, state) in &self.given {
            states.insert(key.clone(), Some(state.clone()));
        }
        for event in &self.journal {
            evolve(states.entry(event.key().to_string()).or_default(), event);
        }
        let states: BTreeMap<_, _> =
            states.into_iter().filter_map(|(key, state)| Some((key, state?))).collect();
        assert_eq!(states, self.states, "fold-only");
    }

    pub(crate) fn start(&mut self, saga: &str, key: &str, inputs: &str) -> Decision {
        let saga = SagaName::from(saga);
        let id = WorkflowId::of(&saga, key);
        self.offset += 1;
        let version = self
            .states
            .keys()
            .find_map(|held| Some(held.strip_prefix(&format!(":saga/{saga}/"))?.into()));
        let start = Start {
            workflow: id.clone(),
            saga,
            version,
            inputs: Json::parse(inputs.as_bytes()).unwrap(),
            start_id: format!("s{}", self.offset),
            offset: self.offset,
            trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            parent: None,
        };
        let decision = self.feed(Cause::Input(&Input::Start(start)));
        if matches!(decision, Decision::Accepted(_)) {
            self.id = Some(id);
            self.run = self.offset;
            self.expected = None;
        }
        decision
    }

    pub(crate) fn id(&self) -> WorkflowId {
        self.id.clone().unwrap()
    }

    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        wake_at(self.states.get(self.expected.clone().unwrap_or_else(|| self.id()).as_str())?)
    }

    pub(crate) fn status(&self) -> &'static str {
        match self.states.get(self.id().as_str()) {
            Some(State::Workflow(workflow)) => workflow.status(),
            Some(State::Definition(_) | State::Newest(_) | State::Early(_)) => "?",
            None => "forgotten",
        }
    }

    /// Goes on to the next timer and fires it.
    pub(crate) fn wake(&mut self) -> Option<Decision> {
        let at = self.wake_at()?;
        self.now = self.now.max(at);
        let id = self.expected.clone().unwrap_or_else(|| self.id());
        let decision = self.feed(Cause::Wake(id.as_str()));
        assert!(matches!(decision, Decision::Accepted(_)), "a due timer fires: {decision:?}");
        let next = self.wake_at();
        assert!(next.is_none_or(|at| at > self.now), "a timer that has fired is over");
        Some(decision)
    }

    /// A signal with this id.
    pub(crate) fn signal(&mut self, name: &str, id: &str) -> Decision {
        let signal = Signal { name: name.to_owned(), data: Json::null(), id: id.to_owned() };
        self.feed(Cause::Input(&Input::Signal { workflow: self.id(), signal }))
    }

    pub(crate) fn answer(&mut self, subject: Subject, answer: Answer) -> Decision {
        self.feed(Cause::Input(&Input::Answer { subject, answer }))
    }

    pub(crate) fn order(&mut self, verb: Verb) -> Decision {
        let by = By { actor: "ann".to_owned(), reason: "by hand".to_owned() };
        self.feed(Cause::Input(&Input::Operator { workflow: self.id(), verb, by }))
    }

    /// The newest command of a kind for a task.
    pub(crate) fn newest(&self, task: &str, kind: CommandKind) -> Option<&Outgoing> {
        self.sent.iter().rev().find(|record| {
            matches!(record.to, Destination::Tasks(_))
                && text(record, header::SUBJECT)
                    .parse::<Subject>()
                    .is_ok_and(|subject| subject.task.as_str() == task && subject.kind == kind)
        })
    }

    fn subject(&self, words: &str) -> Subject {
        let (task, command) = words.split_once('.').unwrap_or((words, "do"));
        let kinds = [CommandKind::Do, CommandKind::Undo, CommandKind::Query];
        let kind = kinds.into_iter().find(|kind| command.starts_with(kind.word())).unwrap();
        let n = match command.strip_prefix(kind.word()).unwrap() {
            "" => self
                .newest(task, kind)
                .map_or(1, |record| text(record, header::SUBJECT).parse::<Subject>().unwrap().n),
            digits => digits.parse().unwrap(),
        };
        Subject { workflow: self.id(), task: task.into(), run: Run(self.run), kind, n }
    }

    /// One line of a scenario.
    #[allow(clippy::too_many_lines, reason = "one arm a word of the scenarios")]
    pub(crate) fn play(&mut self, line: &str) -> Decision {
        let mut words = line.splitn(3, ' ');
        let (first, second) = (words.next().unwrap(), words.next().unwrap_or(""));
        let third = words.next().unwrap_or("");
        match first {
            "start" => self.start(
                second,
                third.split(' ').next().unwrap(),
                third.split_once(' ').unwrap().1,
            ),
            "wait" => {
                let until = match second.strip_suffix('s') {
                    Some(seconds) => self.now.after(Duration::from_secs(seconds.parse().unwrap())),
                    None => return self.wake().unwrap_or(Decision::Ignored("no_timer")),
                };
                let mut all = Vec::new();
                while self.wake_at().is_some_and(|at| at <= until) {
                    let Some(Decision::Accepted(events)) = self.wake() else { break };
                    all.extend(events);
                }
                self.now = until;
                Decision::Accepted(all)
            }
            // Time goes on, and nobody looks.
            "sleep" => {
                let seconds = second.strip_suffix('s').unwrap().parse().unwrap();
                self.now = self.now.after(Duration::from_secs(seconds));
                Decision::Accepted(Vec::new())
            }
            // `event topic/Name key {"value":1} [offset]`
            "event" => {
                let (value, offset) = third.rsplit_once('@').unwrap_or((third, ""));
                let topic = second.split('/').next().unwrap();
                let offset = if offset.is_empty() {
                    self.offset += 1;
                    self.offset.to_string()
                } else {
                    offset.to_owned()
                };
                let event = DomainEvent {
                    name: second.to_owned(),
                    record: format!("{topic}/0/{offset}"),
                    value: json(value.trim()).unwrap(),
                    key: Some("k".to_owned()),
                    headers: Json::parse(b"{}").unwrap(),
                    time: self.now,
                };
                let workflow = self.expected.clone().unwrap_or_else(|| self.id());
                self.feed(Cause::Input(&Input::Seen { workflow, event }))
            }
            // Asked too early or too late.
            "wake" => {
                let key = self.id();
                self.feed(Cause::Wake(key.as_str()))
            }
            "signal" => {
                self.offset += 1;
                let id = format!("sig{}", self.offset);
                let signal = Signal { name: second.to_owned(), data: json(third).unwrap(), id };
                self.feed(Cause::Input(&Input::Signal { workflow: self.id(), signal }))
            }
            // The broker has acknowledged everything.
            "acked" => {
                let wants: Vec<Event> =
                    self.journal.iter().filter(|event| wants_ack(event)).cloned().collect();
                let mut all = Vec::new();
                for event in wants {
                    if let Decision::Accepted(events) = self.feed(Cause::Sent(&event)) {
                        all.extend(events);
                    }
                }
                Decision::Accepted(all)
            }
            // From here on about another workflow.
            "on" => {
                self.runs.insert(self.id().to_string(), self.run);
                self.run = self.runs[second];
                self.id = Some(WorkflowId::from(second));
                Decision::Ignored("")
            }
            // Before it begins.
            "expect" => {
                self.expected = Some(WorkflowId::from(second));
                Decision::Ignored("expected")
            }
            "cancel" => self.order(Verb::Cancel),
            "continue" => self.order(Verb::Continue),
            "retry" => self.order(Verb::Retry(second.into())),
            "skip" => {
                let output = (!third.is_empty()).then(|| json(third).unwrap());
                self.order(Verb::Skip { task: second.into(), output })
            }
            "resolve" => {
                let (outcome, output) = third.split_once(' ').unwrap_or((third, ""));
                let outcome = match outcome {
                    "done" => Outcome::Done,
                    "not_done" => Outcome::NotDone,
                    _ => Outcome::Undone,
                };
                let output = (!output.is_empty()).then(|| json(output).unwrap());
                self.order(Verb::Resolve { task: second.into(), outcome, output })
            }
            "unsent" => {
                let subject = self.subject(second).to_string();
                let record =
                    self.sent.iter().rev().find(|record| text(record, header::ID) == subject);
                let record = record.unwrap().clone();
                let unsent = if third == "never" { Unsent::Never } else { Unsent::InDoubt };
                let key = self.id();
                let (key, reason) = (key.as_str(), "no such topic");
                self.feed(Cause::Undeliverable { key, record: &record, unsent, reason })
            }
            _ => self.say(first, second, third),
        }
    }

    /// What a participant says of the command that `first` names.
    fn say(&mut self, first: &str, second: &str, third: &str) -> Decision {
        let (words, has) = (third.split(' ').collect::<Vec<_>>(), |word: &str| {
            third.split(' ').any(|w| w == word)
        });
        let answer = match second {
            "done" => Answer::Completed(json(third).unwrap()),
            "nothing" => Answer::NothingToUndo,
            "progress" => Answer::Progress { percent: Some(10.0), note: None },
            "failed" => Answer::Failed(Failure {
                code: words[0].to_owned(),
                message: String::new(),
                retryable: !has("final"),
                effects: if has("unknown") { Effects::Unknown } else { Effects::None },
            }),
            "status" => Answer::Status {
                status: match words[0] {
                    "done" => Known::Done,
                    "not_done" => Known::NotDone,
                    _ => Known::Unknown,
                },
                output: json(words.get(1).unwrap_or(&"")).unwrap(),
            },
            other => panic!("{other}"),
        };
        let subject = self.subject(first);
        self.answer(subject, answer)
    }
}

fn json(text: &str) -> Result<Json, serde_json::Error> {
    Json::parse(if text.is_empty() { b"null" } else { text.as_bytes() })
}

/// A scenario and what came of it, as a story.
pub(crate) fn tell(yaml: &str, script: &str) -> String {
    tell_all(&[yaml], script)
}

/// The same with several sagas; what workflows tell one another is passed on at once.
pub(crate) fn tell_all(yamls: &[&str], script: &str) -> String {
    let mut world = World::default();
    for yaml in yamls {
        world.add(yaml);
    }
    let mut told = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let before = world.sent.len();
        let decision = world.play(line);
        writeln!(told, "{line}").unwrap();
        told.push_str(&show(&decision));
        if yamls.len() > 1 {
            told.push_str(&world.pass_on(before));
        }
        for record in &world.sent[before..] {
            told.push_str(&command(record));
        }
    }
    writeln!(told, "= {}", world.status()).unwrap();
    world.refold();
    told
}

pub(crate) fn show(decision: &Decision) -> String {
    match decision {
        Decision::Ignored("") => String::new(),
        Decision::Ignored(why) => format!("  ignored: {why}\n"),
        Decision::DeadLetter(refusal) => {
            format!("  dead letter: {} {}\n", refusal.class, refusal.code)
        }
        Decision::Accepted(events) => events
            .iter()
            .filter_map(|event| Some(format!("  {}\n", what(&event.lifecycle()?.what))))
            .collect(),
    }
}

pub(crate) fn command(record: &Outgoing) -> String {
    let to = match &record.to {
        Destination::Tasks(agent) => agent.to_string(),
        Destination::DeadLetters(of) if **of == Destination::Inbox => {
            let (of, code) = (text(record, header::EVENT), text(record, "pavane_error_code"));
            return format!("    => dead letters of inbox: {of} {code}\n");
        }
        Destination::DeadLetters(of) => format!("dead letters of {of:?}"),
        Destination::Named(topic) => {
            let Payload::Bytes(bytes) = &record.value else { panic!("an event has bytes") };
            let (of, id) = (text(record, header::TYPE), text(record, header::ID));
            let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let value = String::from_utf8_lossy(bytes);
            return format!("    => {topic}/{of} key {key} id {id} {value}\n");
        }
        Destination::Inbox => {
            let Payload::Bytes(bytes) = &record.value else { panic!("a record has bytes") };
            let of = text(record, header::TYPE).trim_start_matches("pavane.");
            let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let (subject, value) = (text(record, header::SUBJECT), String::from_utf8_lossy(bytes));
            return format!("    => inbox {key}: {of} {subject} {value}\n");
        }
        Destination::Events | Destination::Definitions => return String::new(),
    };
    let Payload::Bytes(bytes) = &record.value else { panic!("a command has bytes") };
    let kind = text(record, header::TYPE).trim_start_matches("pavane.");
    let (_, id) = text(record, header::ID).split_once('/').unwrap();
    let (key, epoch) = (text(record, header::IDEMPOTENCY_KEY), text(record, header::EPOCH));
    let key = key.split_once('/').map_or(key, |(_, key)| key);
    let value = std::str::from_utf8(bytes).unwrap();
    format!("    -> {to}: {kind} {id} key {key} epoch {epoch} {value}\n")
}

fn problem(problem: &Problem) -> String {
    let task = problem.task.as_ref().map_or("-", |task| task.as_str());
    format!("{task} {}", problem.code)
}

fn ids(ids: &[events::TaskId]) -> String {
    format!("[{}]", ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" "))
}

fn seconds(time: &Timestamp) -> String {
    format!("{:.1}s", f64::from(i32::try_from(time.as_millis()).unwrap_or(i32::MAX)) / 1000.0)
}

fn of(by: &Option<By>) -> String {
    by.as_ref().map_or_else(String::new, |by| format!(" by {}", by.actor))
}

#[allow(clippy::too_many_lines, reason = "one arm an event")]
pub(crate) fn what(what: &What) -> String {
    match what {
        What::WorkflowStarted { .. } => "WorkflowStarted".to_owned(),
        What::WorkflowCompleted { outputs } => format!("WorkflowCompleted {outputs}"),
        What::WorkflowFailed { how, problem: why, outputs, stands, undone, in_doubt } => {
            let how = match how {
                How::Failed => "failed",
                How::Compensated => "compensated",
                How::Partial => "partial",
            };
            let (why, stands, undone, doubt) =
                (problem(why), ids(stands), ids(undone), ids(in_doubt));
            let outputs = outputs.as_ref().map(|outputs| format!("; outputs {outputs}"));
            let outputs = outputs.unwrap_or_default();
            format!(
                "WorkflowFailed {how}: {why}; stands {stands} undone {undone} in doubt {doubt}{outputs}"
            )
        }
        What::WorkflowCancelled { by, stands, undone, in_doubt } => {
            let (stands, undone, doubt) = (ids(stands), ids(undone), ids(in_doubt));
            format!(
                "WorkflowCancelled by {}; stands {stands} undone {undone} in doubt {doubt}",
                by.actor
            )
        }
        What::WorkflowPaused { problem: why } => format!("WorkflowPaused {}", problem(why)),
        What::WorkflowResumed { by } => format!("WorkflowResumed by {}", by.actor),
        What::CompensationStarted { epoch, problem: why } => {
            format!("CompensationStarted {epoch}: {}", problem(why))
        }
        What::CompensationCompleted { undone } => format!("CompensationCompleted {}", ids(undone)),
        What::CompensationBlocked { problem: why } => {
            format!("CompensationBlocked {}", problem(why))
        }
        What::TaskScheduled { task, attempt, deadline, .. } => {
            format!("TaskScheduled {task} {attempt} until {}", seconds(deadline))
        }
        What::TaskStarted { task, attempt, .. } => format!("TaskStarted {task} {attempt}"),
        What::TaskCompleted { task, attempt, output, by } => {
            format!("TaskCompleted {task} {attempt} {output}{}", of(by))
        }
        What::TaskFailed { task, attempt, code, by, .. } => {
            format!("TaskFailed {task} {attempt} {code}{}", of(by))
        }
        What::TaskRetried { task, attempt, code, retry_at, by, .. } => {
            format!("TaskRetried {task} {attempt} {code} at {}{}", seconds(retry_at), of(by))
        }
        What::TaskTimedOut { task, attempt, .. } => format!("TaskTimedOut {task} {attempt}"),
        What::TaskInDoubt { task, attempt, policy, code, .. } => {
            format!("TaskInDoubt {task} {attempt} {policy} {code}")
        }
        What::TaskSkipped { task, reason, by, .. } => {
            format!("TaskSkipped {task} {reason}{}", of(by))
        }
        What::TaskCancelled { task, attempt, reason } => {
            format!("TaskCancelled {task} {attempt} {reason}")
        }
        What::UndoScheduled { task, n, .. } => format!("UndoScheduled {task} {n}"),
        What::UndoCompleted { task, n, nothing, by } => {
            let nothing = if *nothing { " nothing" } else { "" };
            format!("UndoCompleted {task} {n}{nothing}{}", of(by))
        }
        What::UndoFailed { task, n, code, retry_at, .. } => {
            let next = retry_at
                .as_ref()
                .map_or("for good".to_owned(), |at| format!("again at {}", seconds(at)));
            format!("UndoFailed {task} {n} {code}, {next}")
        }
        What::TimerFired { task } => format!("TimerFired {task}"),
        What::SignalReceived { signal, .. } => format!("SignalReceived {signal}"),
    }
}
