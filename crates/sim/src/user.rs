//! Everybody else: deploys the sagas, publishes events and starts, some of them twice, some of them nonsense.

use std::collections::BTreeMap;

use bytes::Bytes;
use events::{
    Deployment, Destination, Header, Outgoing, Payload, Place, StartsAt, Topic, WorkflowId,
    ce_type, header,
};
use saga::Plan;
use serde_json::Value;
use stream::{Broker, LogError, SendError};

use crate::broker::SimBroker;
use crate::dice::Dice;
use crate::faults::STORM;
use crate::orders;
use crate::sagas::Deployed;
use crate::services;
use crate::world::{MS, Micros, World};

/// What was asked of the system.
#[derive(Default)]
pub(crate) struct Asked {
    /// Workflows that must be started.
    pub(crate) workflows: Vec<WorkflowId>,
    /// Where nonsense stands that must become a dead letter.
    pub(crate) nonsense: Vec<Place>,
}

/// What is to be done, and when.
pub(crate) struct Errand {
    pub(crate) at: Micros,
    pub(crate) what: What,
}

pub(crate) enum What {
    Send(Outgoing),
    /// A start that comes twice.
    Again(Outgoing),
    Cancel(Outgoing),
    /// What nobody waits for yet.
    Early(Outgoing),
    Nonsense(Outgoing),
    /// One of the sagas, by its place.
    Deploy(usize),
}

/// Draws what users will do.
pub(crate) fn draw(dice: &mut Dice, sagas: &[Deployed], count: i64) -> (Vec<Errand>, Asked) {
    let mut errands = Vec::new();
    let mut asked = Asked::default();
    let mut push = |at, what| errands.push(Errand { at, what });
    let newer = |(at, saga): (usize, &Deployed)| (saga.revision > 1).then_some(at);
    for place in sagas.iter().enumerate().filter_map(newer) {
        push(dice.range(0, STORM / 2), What::Deploy(place));
    }
    for number in 0..count {
        let saga = dice.of(sagas);
        let key = format!("k{number}");
        let id = WorkflowId::of(&saga.plan.name, &key);
        let at = dice.range(0, STORM * 2 / 3);
        let record = ask(saga, &key, dice);
        if dice.one_in(4) {
            let again = at + dice.scale(1, 30_000) * MS;
            push(again, What::Again(record.clone()));
        }
        push(at, What::Send(record));
        for (wait, record) in told(saga, &key, dice) {
            push(at + wait, What::Send(record));
        }
        asked.workflows.push(id);
    }
    let topics: Vec<Topic> = sagas.iter().flat_map(|saga| saga.plan.reads_from()).collect();
    for _ in 0..dice.range(0, 4) {
        let at = dice.range(0, STORM * 2 / 3);
        push(at, What::Nonsense(nonsense(dice, &topics)));
    }
    errands.sort_by_key(|errand| errand.at);
    (errands, asked)
}

/// What a workflow of that key is told, and how long after it was asked for.
fn told(saga: &Deployed, key: &str, dice: &mut Dice) -> Vec<(Micros, Outgoing)> {
    let id = WorkflowId::of(&saga.plan.name, key);
    let mut told = Vec::new();
    let count = if saga.plan.listens.is_empty() { 0 } else { dice.range(0, 4) };
    for _ in 0..count {
        let wait = dice.scale(1, 40_000) * MS;
        told.extend(orders::news(saga, key, dice).map(|record| (wait, record)));
    }
    let count = if saga.text.contains("signal/") { dice.range(0, 4) } else { 0 };
    for _ in 0..count {
        let (wait, record) = (dice.scale(1, 40_000) * MS, orders::signal(&id, dice));
        if dice.one_in(4) {
            told.push((wait + dice.scale(1, 5_000) * MS, record.clone()));
        }
        told.push((wait, record));
    }
    if dice.one_in(6) {
        let wait = dice.scale(10, 40_000) * MS;
        told.push((wait, orders::of_workflow(&id, ce_type::CANCEL_WORKFLOW)));
    }
    if dice.one_in(8) {
        let tasks: Vec<_> = saga.plan.tasks.iter().map(|task| task.id.clone()).collect();
        let record = orders::of_task(&id, dice.of(&tasks), None, dice);
        told.push((dice.scale(10, 40_000) * MS, record));
    }
    told
}

fn ask(saga: &Deployed, key: &str, dice: &mut Dice) -> Outgoing {
    let inputs = saga.inputs(key, dice);
    let value = Payload::Bytes(Bytes::from(inputs.to_string()));
    if let Some(trigger) = saga.plan.triggers.first() {
        return Outgoing {
            to: Destination::Named(trigger.topic.clone()),
            partition: None,
            key: Some(Bytes::from(key.to_owned())),
            value,
            headers: vec![Header::text(header::TYPE, trigger.event.as_str())],
        };
    }
    start(&saga.plan, key, &inputs, dice)
}

/// A start by name.
pub(crate) fn start(plan: &Plan, key: &str, inputs: &Value, dice: &mut Dice) -> Outgoing {
    let id = WorkflowId::of(&plan.name, key);
    let value = Payload::Bytes(Bytes::from(inputs.to_string()));
    // Another client's partitioner: it is forwarded.
    let lost = dice.one_in(8).then_some(0);
    Outgoing {
        to: Destination::Inbox,
        partition: lost,
        key: Some(Bytes::from(id.as_str().to_owned())),
        value,
        headers: vec![
            Header::text(header::TYPE, ce_type::START_WORKFLOW),
            Header::text(header::ID, format!("start-{key}")),
            Header::text(header::SAGA, plan.name.as_str()),
        ],
    }
}

pub(crate) fn nonsense(dice: &mut Dice, topics: &[Topic]) -> Outgoing {
    let bytes = |bytes: &'static [u8]| Payload::Bytes(Bytes::from_static(bytes));
    let record = |to, value, kind: &str| Outgoing {
        to,
        partition: None,
        key: Some(Bytes::from_static(b"nobody:at-all")),
        value,
        headers: vec![Header::text(header::TYPE, kind)],
    };
    match dice.range(0, 4) {
        0 => record(Destination::Inbox, bytes(b"{]"), ce_type::START_WORKFLOW),
        1 => record(Destination::Inbox, bytes(b"{}"), "pavane.Nonsense"),
        2 => record(Destination::Inbox, bytes(b"\xff\xfe"), ce_type::SIGNAL),
        _ => match topics.first() {
            Some(topic) => record(Destination::Named(topic.clone()), bytes(b"\xff{"), "Anything"),
            None => record(Destination::Inbox, bytes(b""), "pavane.Nothing"),
        },
    }
}

/// Deploys, then runs the errands; gives where nonsense stands.
pub(crate) fn run(
    world: &World,
    sagas: &[Deployed],
    errands: Vec<Errand>,
) -> Result<Vec<Place>, LogError> {
    let broker = SimBroker::of(world, None);
    for topic in
        sagas.iter().flat_map(|saga| [saga.plan.emits_to(), saga.plan.reads_from()].concat())
    {
        broker.create(&topic, stream::Purpose::User)?;
    }
    let mut listened = BTreeMap::new();
    for saga in sagas.iter().filter(|saga| saga.revision == 1) {
        deploy(&broker, saga, &mut listened)?;
    }
    let (answering, of_these) = (world.clone(), sagas.to_vec());
    let is_play = sagas.iter().any(|saga| saga.props.is_some());
    let services = move || {
        let served = match is_play {
            true => services::serve(&answering, &of_these),
            false => orders::answer(&answering, &of_these),
        };
        if let Err(error) = served {
            answering.lock().broken.push(format!("services: {error}"));
        }
    };
    world.lock().start(None, Box::new(services));
    let mut nonsense = Vec::new();
    for errand in errands {
        world.block(&[], errand.at);
        match errand.what {
            What::Send(record) => _ = put(&broker, &record),
            What::Again(record) => count(world, &broker, &record, "starts that come twice"),
            What::Cancel(record) => count(world, &broker, &record, "cancels"),
            What::Early(record) => count(world, &broker, &record, "events that come too early"),
            What::Nonsense(record) => {
                world.lock().tally.count("records of nonsense");
                nonsense.push(put(&broker, &record));
            }
            What::Deploy(place) => deploy(&broker, &sagas[place], &mut listened)?,
        }
    }
    Ok(nonsense)
}

fn count(world: &World, broker: &SimBroker, record: &Outgoing, what: &'static str) {
    world.lock().tally.count(what);
    put(broker, record);
}

/// As often as it takes.
fn put(broker: &SimBroker, record: &Outgoing) -> Place {
    loop {
        match broker.put(record.clone()) {
            Ok(place) => return place,
            Err(SendError::InDoubt(_)) => {}
            Err(SendError::Never(why)) => unreachable!("the users' topics exist: {why}"),
        }
    }
}

/// As the gateway does it: to every lane, then to the definitions.
/// `listened`: from where on a saga has heard a topic, whose newer versions go on from there.
fn deploy(
    broker: &SimBroker,
    saga: &Deployed,
    listened: &mut BTreeMap<(String, Topic, u32), i64>,
) -> Result<(), LogError> {
    let plan = &saga.plan;
    let mut starts_at = Vec::new();
    for topic in plan.reads_from() {
        broker.create(&topic, stream::Purpose::User)?;
        for (partition, range) in (0..).zip(broker.kept(&topic)?.unwrap_or_default()) {
            let place = (plan.name.to_string(), topic.clone(), partition);
            let offset = *listened.entry(place).or_insert(range.end);
            let topic = topic.to_string();
            starts_at.push(StartsAt { topic, partition, offset });
        }
    }
    let (name, version) = (plan.name.to_string(), plan.version.to_string());
    let revision = saga.revision;
    let headers = vec![
        Header::text(header::ID, format!("deploy-{name}-{revision}")),
        Header::text(header::TYPE, ce_type::DEPLOY_SAGA),
        Header::text(header::SUBJECT, name.as_str()),
        Header::text(header::SAGA, name.as_str()),
        Header::text(header::VERSION, version.as_str()),
        Header::text(header::REVISION, revision.to_string()),
    ];
    for lane in 0..broker.lanes()? {
        put(
            broker,
            &Outgoing {
                to: Destination::Inbox,
                partition: Some(lane),
                key: Some(Bytes::from(name.clone())),
                value: Payload::Bytes(Bytes::from(saga.text.to_string())),
                headers: headers.clone(),
            },
        );
    }
    let deployment = Deployment {
        name: name.clone(),
        version,
        revision,
        deployed_at: "2026-01-01T00:00:00.000Z".to_owned(),
        text: saga.text.to_string(),
        agents: plan.agents().iter().map(ToString::to_string).collect(),
        starts_at,
    };
    let value = deployment.encode().map_err(|error| LogError::Lost(error.to_string()))?;
    put(
        broker,
        &Outgoing {
            to: Destination::Definitions,
            partition: None,
            key: Some(Bytes::from(name)),
            value: Payload::Bytes(value),
            headers: Vec::new(),
        },
    );
    Ok(())
}
