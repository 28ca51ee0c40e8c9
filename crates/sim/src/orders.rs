//! What is told to workflows that live: events on users' topics, signals, and what operators order.

use bytes::Bytes;
use events::{
    AgentName, Destination, Header, Lifecycle, Outgoing, Payload, TaskId, What, WorkflowId,
    ce_type, header,
};
use saga::{Action, Awaited, EventName, State};
use serde_json::{Value, json};
use stream::{Broker, Follow, LogError, Start};

use crate::broker::{SimBroker, address};
use crate::dice::Dice;
use crate::landing::{Landing, Request};
use crate::sagas::Deployed;
use crate::world::{Event, Inner, MS, Micros, SECOND, World};

/// An event of those that the saga listens to, about a workflow of that key.
pub(crate) fn news(saga: &Deployed, key: &str, dice: &mut Dice) -> Option<Outgoing> {
    let listens = &saga.plan.listens;
    let place = usize::try_from(dice.range(0, 1 << 20)).ok()? % listens.len().max(1);
    Some(about(saga, &listens.get(place)?.event, key, dice))
}

/// An event about a workflow of that key.
fn about(saga: &Deployed, event: &EventName, key: &str, dice: &mut Dice) -> Outgoing {
    let value = json!({saga.key: key, "id": key, "n": dice.range(0, 100)});
    Outgoing {
        to: Destination::Named(event.topic.clone()),
        partition: None,
        key: Some(Bytes::from(key.to_owned())),
        value: Payload::Bytes(Bytes::from(value.to_string())),
        headers: vec![Header::text(header::TYPE, event.name.as_str())],
    }
}

/// One of the answers to what a task, or its undo, asks for by an event of that name.
fn of_request(saga: &Deployed, asked: &str, dice: &mut Dice) -> Option<EventName> {
    let undos = saga.plan.tasks.iter().filter_map(|task| task.undo.as_ref()).map(|it| &it.action);
    let actions = saga.plan.tasks.iter().map(|task| &task.action).chain(undos);
    let awaited = actions.filter_map(|action| match action {
        Action::Request(emit, wait) if emit.event.name == asked => Some(wait),
        Action::Request(..)
        | Action::Agent { .. }
        | Action::Emit(_)
        | Action::Await(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Race { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => None,
    });
    let answers = awaited.flat_map(|wait| {
        let events = wait.awaited.iter().filter_map(|awaited| match awaited {
            Awaited::Event(event) => Some(event),
            Awaited::Signal(_) => None,
        });
        events.chain(&wait.failed).cloned()
    });
    let answers: Vec<EventName> = answers.collect();
    if answers.is_empty() { None } else { Some(dice.of(&answers).clone()) }
}

/// A signal, now and then one that no task waits for.
pub(crate) fn signal(workflow: &WorkflowId, dice: &mut Dice) -> Outgoing {
    let name = format!("s{}", dice.range(0, 3));
    let id = format!("signal-{}", dice.range(0, 1_000_000));
    let value = json!({"n": dice.range(0, 100)});
    signalled(workflow, (name, id), &value)
}

/// A signal of that name.
pub(crate) fn named_signal(
    workflow: &WorkflowId,
    name: &str,
    value: &Value,
    dice: &mut Dice,
) -> Outgoing {
    let id = format!("signal-{}", dice.next());
    signalled(workflow, (name.to_owned(), id), value)
}

fn signalled(workflow: &WorkflowId, (name, id): (String, String), value: &Value) -> Outgoing {
    let headers = vec![
        Header::text(header::TYPE, ce_type::SIGNAL),
        Header::text(header::ID, id),
        Header::text(header::SIGNAL, name),
        Header::text(header::ACTOR, "ann"),
    ];
    to_workflow(workflow, headers, value)
}

fn to_workflow(workflow: &WorkflowId, headers: Vec<Header>, value: &Value) -> Outgoing {
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(workflow.as_str().to_owned())),
        value: Payload::Bytes(Bytes::from(value.to_string())),
        headers,
    }
}

/// An operator's word about a workflow as a whole.
pub(crate) fn of_workflow(workflow: &WorkflowId, kind: &'static str) -> Outgoing {
    let headers = vec![
        Header::text(header::TYPE, kind),
        Header::text(header::SUBJECT, workflow.as_str()),
        Header::text(header::ACTOR, "ann"),
    ];
    to_workflow(workflow, headers, &json!({"reason": "so it is"}))
}

/// An operator's word about a task: that one, or any.
pub(crate) fn of_task(
    workflow: &WorkflowId,
    task: &TaskId,
    kind: Option<&'static str>,
    dice: &mut Dice,
) -> Outgoing {
    let verbs = [ce_type::RETRY_TASK, ce_type::SKIP_TASK, ce_type::RESOLVE_TASK];
    let kind = kind.unwrap_or_else(|| *dice.of(&verbs));
    let mut value = json!({"reason": "so it is"});
    if kind == ce_type::RESOLVE_TASK {
        value["outcome"] = json!(*dice.of(&["done", "not_done", "undone"]));
    }
    if value["outcome"] == "done" || kind == ce_type::SKIP_TASK && dice.one_in(2) {
        value["output"] = json!({"by": "hand"});
    }
    ordered(workflow, task, kind, &value)
}

fn ordered(workflow: &WorkflowId, task: &TaskId, kind: &'static str, value: &Value) -> Outgoing {
    let headers = vec![
        Header::text(header::TYPE, kind),
        Header::text(header::SUBJECT, format!("{workflow}/{task}")),
        Header::text(header::ACTOR, "ann"),
    ];
    to_workflow(workflow, headers, value)
}

/// Services that answer what sagas publish: mostly, late, now and then twice.
pub(crate) fn answer(world: &World, sagas: &[Deployed]) -> Result<(), LogError> {
    let broker = SimBroker::of(world, None);
    let mut topics: Vec<_> = sagas.iter().flat_map(|saga| saga.plan.emits_to()).collect();
    topics.sort();
    topics.dedup();
    let mut follow =
        broker.follow(topics.into_iter().map(|topic| (topic, Start::Earliest)).collect())?;
    loop {
        for record in follow.next(std::time::Duration::from_secs(20))? {
            let subject = record.header_text(header::SUBJECT).unwrap_or_default();
            let mut guard = world.lock();
            let inner = &mut *guard;
            let saga =
                sagas.iter().find(|saga| subject.starts_with(&format!("{}:", saga.plan.name)));
            let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let Some(saga) = saga.filter(|_| !inner.dice.one_in(4)) else { continue };
            let asked = record.header_text(header::TYPE).unwrap_or_default();
            let event = match of_request(saga, asked, &mut inner.dice) {
                Some(event) => Some(about(saga, &event, &key, &mut inner.dice)),
                None => news(saga, &key, &mut inner.dice),
            };
            let Some(event) = event else { continue };
            let wait = inner.dice.scale(10, 6_000) * MS;
            let twice = inner.dice.one_in(6).then(|| inner.dice.scale(1, 10_000) * MS);
            for wait in std::iter::once(wait).chain(twice) {
                inner.put_later(event.clone(), wait);
            }
        }
    }
}

impl Inner {
    /// A record that arrives after a while, whatever becomes of whoever sent it.
    pub(crate) fn put_later(&mut self, record: Outgoing, wait: Micros) {
        match address(&self.store, record) {
            Ok((topic, partition, letter)) => {
                let request = Request::Put { topic, partition, letter, answer: None };
                self.at(self.now + wait, Event::Land(Landing { by: None, request }));
            }
            Err(error) => self.broken.push(format!("users: {error}")),
        }
    }

    /// Operators see to the workflows that ask for one; gives how many orders went out. When `at_last`, they no
    /// longer try: what is left is given up, task by task.
    pub(crate) fn see_to(&mut self, at_last: bool) -> usize {
        let states = self.standbys.iter().flat_map(|standby| &standby.whole.states);
        let asks = |state: &State| match state {
            State::Workflow(workflow) => matches!(workflow.status(), "paused" | "blocked"),
            State::Definition(_) | State::Newest(_) | State::Early(_) => false,
        };
        let asking = states.filter(|(_, state)| asks(&state.0));
        let asking: Vec<WorkflowId> = asking.map(|(key, _)| WorkflowId::from(&**key)).collect();
        let orders: Vec<Outgoing> =
            asking.iter().map(|workflow| self.order_for(workflow, at_last)).collect();
        let count = orders.len();
        for order in orders {
            let wait = self.dice.range(0, SECOND);
            self.put_later(order, wait);
        }
        count
    }

    fn order_for(&mut self, id: &WorkflowId, at_last: bool) -> Outgoing {
        let in_question = self.in_question(id);
        if in_question.is_empty() || self.dice.one_in(5) {
            let kind = *self.dice.of(&[ce_type::CANCEL_WORKFLOW, ce_type::CONTINUE_WORKFLOW]);
            return of_workflow(id, kind);
        }
        let task = self.dice.of(&in_question).clone();
        if self.honest {
            return self.as_it_is(id, &task, at_last);
        }
        let kind = at_last.then_some(ce_type::SKIP_TASK);
        of_task(id, &task, kind, &mut self.dice)
    }

    /// An operator who looks into it, and says what is so; or has it tried again, or at last passes it over.
    fn as_it_is(&mut self, workflow: &WorkflowId, task: &TaskId, at_last: bool) -> Outgoing {
        let tells = self.dice.one_in(2) && self.commands_are_read();
        let why = "I looked";
        let stands = self.stands.get(&format!("{workflow}/{task}"));
        let (kind, value) = match stands {
            _ if !tells && at_last => (ce_type::SKIP_TASK, json!({"reason": why})),
            _ if !tells => (ce_type::RETRY_TASK, json!({"reason": why})),
            Some(output) => {
                let value = json!({"reason": why, "outcome": "done", "output": output});
                (ce_type::RESOLVE_TASK, value)
            }
            None => {
                let outcome = *self.dice.of(&["not_done", "undone"]);
                (ce_type::RESOLVE_TASK, json!({"reason": why, "outcome": outcome}))
            }
        };
        ordered(workflow, task, kind, &value)
    }

    /// Whether participants have read all that was sent to them: what is not done then is not done.
    fn commands_are_read(&self) -> bool {
        let of_agent = self.store.topics.tasks(&AgentName::from(""));
        self.store.logs.iter().enumerate().all(|(number, log)| {
            let Some(agent) = log.name.as_str().strip_prefix(of_agent.as_str()) else {
                return true;
            };
            let group = self.store.topics.group(&format!("agent.{agent}"));
            (0..).zip(&log.parts).all(|(partition, part)| {
                self.groups.committed(&group, number, partition) >= part.next
            })
        })
    }

    /// The tasks of which its events tell that something is wrong.
    fn in_question(&self, workflow: &WorkflowId) -> Vec<TaskId> {
        let Some(topic) = self.store.topic(&self.store.topics.events()) else { return Vec::new() };
        let mut tasks: Vec<TaskId> = Vec::new();
        let records = self.store.logs[topic].parts.iter().flat_map(|part| &part.records);
        for record in records.filter(|it| it.key.as_deref() == Some(workflow.as_str().as_bytes())) {
            let name = record.header_text(header::TYPE).unwrap_or_default();
            let value = record.value.as_deref().unwrap_or_default();
            let event =
                events::unframe(value).and_then(|(_, datum)| Lifecycle::decode(name, datum));
            let Ok(event) = event else { continue };
            let (What::TaskFailed { task, .. }
            | What::TaskInDoubt { task, .. }
            | What::UndoFailed { task, .. }) = event.what
            else {
                continue;
            };
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        tasks
    }
}
