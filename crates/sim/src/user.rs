//! Everybody else: deploys the sagas, publishes events and starts, some of them twice, some of them nonsense.

use bytes::Bytes;
use events::{
    Deployment, Destination, Header, Outgoing, Payload, Place, StartsAt, Topic, WorkflowId,
    ce_type, header,
};
use stream::{Broker, LogError, SendError};

use crate::broker::SimBroker;
use crate::dice::Dice;
use crate::sagas::Deployed;
use crate::weather::STORM;
use crate::world::{MS, Micros, World};

/// What was asked of the system.
#[derive(Default)]
pub(crate) struct Asked {
    /// Workflows that must be started.
    pub(crate) workflows: Vec<WorkflowId>,
    /// Where nonsense stands that must become a dead letter.
    pub(crate) nonsense: Vec<Place>,
}

/// What is to be sent, and when.
pub(crate) struct Errand {
    at: Micros,
    record: Outgoing,
    is_nonsense: bool,
}

/// Draws what users will do.
pub(crate) fn draw(dice: &mut Dice, sagas: &[Deployed], count: i64) -> (Vec<Errand>, Asked) {
    let mut errands = Vec::new();
    let mut asked = Asked::default();
    for number in 0..count {
        let saga = dice.of(sagas);
        let key = format!("k{number}");
        let id = WorkflowId::of(&saga.plan.name, &key);
        let at = dice.range(0, STORM * 2 / 3);
        let record = ask(saga, &key, dice);
        if dice.one_in(4) {
            let again = at + dice.scale(1, 30_000) * MS;
            errands.push(Errand { at: again, record: record.clone(), is_nonsense: false });
        }
        errands.push(Errand { at, record, is_nonsense: false });
        asked.workflows.push(id);
    }
    let topics: Vec<Topic> = sagas.iter().flat_map(|saga| saga.plan.reads_from()).collect();
    for _ in 0..dice.range(0, 4) {
        let at = dice.range(0, STORM * 2 / 3);
        let record = nonsense(dice, &topics);
        errands.push(Errand { at, record, is_nonsense: true });
    }
    errands.sort_by_key(|errand| errand.at);
    (errands, asked)
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
    let id = WorkflowId::of(&saga.plan.name, key);
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
            Header::text(header::SAGA, saga.plan.name.as_str()),
        ],
    }
}

fn nonsense(dice: &mut Dice, topics: &[Topic]) -> Outgoing {
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
    for saga in sagas {
        deploy(&broker, saga)?;
    }
    let mut nonsense = Vec::new();
    for errand in errands {
        world.block(&[], errand.at);
        let place = put(&broker, &errand.record);
        if errand.is_nonsense {
            nonsense.push(place);
        }
    }
    Ok(nonsense)
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
fn deploy(broker: &SimBroker, saga: &Deployed) -> Result<(), LogError> {
    let plan = &saga.plan;
    let mut starts_at = Vec::new();
    for topic in plan.reads_from() {
        broker.create(&topic, stream::Purpose::User)?;
        for (partition, range) in (0..).zip(broker.kept(&topic)?.unwrap_or_default()) {
            let (topic, offset) = (topic.to_string(), range.end);
            starts_at.push(StartsAt { topic, partition, offset });
        }
    }
    let (name, version) = (plan.name.to_string(), plan.version.to_string());
    let headers = vec![
        Header::text(header::ID, format!("deploy-{name}")),
        Header::text(header::TYPE, ce_type::DEPLOY_SAGA),
        Header::text(header::SUBJECT, name.as_str()),
        Header::text(header::SAGA, name.as_str()),
        Header::text(header::VERSION, version.as_str()),
        Header::text(header::REVISION, "1"),
    ];
    for lane in 0..broker.lanes()? {
        put(
            broker,
            &Outgoing {
                to: Destination::Inbox,
                partition: Some(lane),
                key: Some(Bytes::from(name.clone())),
                value: Payload::Bytes(Bytes::from_static(saga.text.as_bytes())),
                headers: headers.clone(),
            },
        );
    }
    let deployment = Deployment {
        name: name.clone(),
        version,
        revision: 1,
        deployed_at: "2026-01-01T00:00:00.000Z".to_owned(),
        text: saga.text.to_owned(),
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
