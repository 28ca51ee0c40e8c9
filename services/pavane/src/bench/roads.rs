//! The roads: a saga through pavane, the floor, which has the same hops without it, and one hop alone.

use std::time::Duration;

use bytes::Bytes;
use events::{Destination, Header, Outgoing, Payload, Topic, ce_type, header};
use kafka::floor::{Floor, FloorReader, FloorSender};
use stream::{Broker, Follow, LogError, Outlet, Purpose, Settled, Start, Ticket};

use super::drive::Road;
use crate::crew::Crew;
use crate::failure::Failure;
use crate::settings::lost;

/// From a start sent to the inbox to an event of the workflow read from `events`.
pub(crate) struct SagaRoad<B: Broker> {
    saga: String,
    /// What the keys of this run begin with.
    prefix: String,
    /// The event that ends the road.
    last: &'static str,
    outlet: B::Outlet,
    events: B::Follow,
    sent: u64,
}

impl<B: Broker> SagaRoad<B> {
    pub(crate) fn new(
        broker: &B,
        saga: String,
        prefix: String,
        last: &'static str,
    ) -> Result<Self, Failure> {
        let failed = |error: LogError| lost("the events can not be read", &error);
        Ok(Self {
            saga,
            prefix,
            last,
            outlet: broker.outlet().map_err(failed)?,
            events: broker.follow(vec![(broker.topics().events(), Start::End)]).map_err(failed)?,
            sent: 0,
        })
    }
}

impl<B: Broker> Road for SagaRoad<B> {
    fn start(&mut self, key: &Bytes) -> Result<(), Failure> {
        let record = Outgoing {
            to: Destination::Inbox,
            partition: None,
            key: Some(key.clone()),
            value: Payload::Bytes(Bytes::from_static(b"{}")),
            headers: vec![
                Header::text(header::SPECVERSION, "1.0"),
                Header { name: header::ID.into(), value: Some(key.clone()) },
                Header::text(header::SOURCE, "/bench"),
                Header::text(header::TYPE, ce_type::START_WORKFLOW),
                Header::text(header::CONTENT_TYPE, header::JSON),
                Header::text(header::SAGA, self.saga.as_str()),
            ],
        };
        let ticket = Ticket(self.sent);
        self.sent += 1;
        self.outlet
            .send(ticket, vec![record])
            .map_err(|error| lost("a start can not be sent", &error))
    }

    fn ended(&mut self, wait: Duration) -> Result<Vec<Bytes>, Failure> {
        all_stored(&mut self.outlet)?;
        let records = self.events.next(wait);
        let records = records.map_err(|error| lost("the events can not be read", &error))?;
        let mut ended = Vec::new();
        for record in records {
            let is_end = match record.header_text(header::TYPE) {
                Some(event) if event == self.last => true,
                Some("pavane.WorkflowFailed" | "pavane.WorkflowCancelled") => false,
                Some(_) | None => continue,
            };
            let Some(key) = record.key.filter(|key| key.starts_with(self.prefix.as_bytes())) else {
                continue;
            };
            if !is_end {
                return Err(Failure::failed("a workflow of the bench has failed")
                    .next("PAVANE_LOG=info with the same command"));
            }
            ended.push(key);
        }
        Ok(ended)
    }
}

/// That nothing that was sent is lost.
fn all_stored(outlet: &mut impl Outlet) -> Result<(), Failure> {
    let settled = outlet.settled(Duration::ZERO);
    for settled in settled.map_err(|error| lost("nothing can be sent", &error))? {
        match settled {
            Settled::Sent(_) => {}
            Settled::Failed { error, .. } => {
                return Err(Failure::from_error("a record was not stored", &error));
            }
        }
    }
    Ok(())
}

/// From a record sent to a topic of its own to the same record read from it.
pub(crate) struct TopicRoad<B: Broker> {
    topic: Topic,
    value: Bytes,
    outlet: B::Outlet,
    read: B::Follow,
    sent: u64,
}

impl<B: Broker> TopicRoad<B> {
    pub(crate) fn new(broker: &B, bytes: usize) -> Result<Self, Failure> {
        let failed = |error: LogError| lost("the topic can not be used", &error);
        let topic = Topic::from("bench.topic");
        broker.create(&topic, Purpose::Tasks).map_err(failed)?;
        Ok(Self {
            value: Bytes::from(vec![b'.'; bytes]),
            outlet: broker.outlet().map_err(failed)?,
            read: broker.follow(vec![(topic.clone(), Start::End)]).map_err(failed)?,
            topic,
            sent: 0,
        })
    }
}

impl<B: Broker> Road for TopicRoad<B> {
    fn start(&mut self, key: &Bytes) -> Result<(), Failure> {
        let record = Outgoing {
            to: Destination::Named(self.topic.clone()),
            partition: None,
            key: Some(key.clone()),
            value: Payload::Bytes(self.value.clone()),
            headers: Vec::new(),
        };
        let ticket = Ticket(self.sent);
        self.sent += 1;
        let sent = self.outlet.send(ticket, vec![record]);
        sent.map_err(|error| lost("a record can not be sent", &error))
    }

    fn ended(&mut self, wait: Duration) -> Result<Vec<Bytes>, Failure> {
        all_stored(&mut self.outlet)?;
        let records = self.read.next(wait);
        let records = records.map_err(|error| lost("the topic can not be read", &error))?;
        Ok(records.into_iter().filter_map(|record| record.key).collect())
    }
}

/// The same on plain Kafka.
pub(crate) struct FloorRoad {
    sender: FloorSender,
    ends: FloorReader,
}

impl FloorRoad {
    /// Starts those who decide, in the crew. Participants must be there already.
    pub(crate) fn new(floor: &Floor, crew: &mut Crew) -> Result<Self, Failure> {
        let failed = |error: LogError| lost("the floor can not be laid", &error);
        for lane in floor.lanes().map_err(failed)? {
            crew.start("floor", move |stop| lane.run(stop).map_err(|error| error.to_string()))?;
        }
        Ok(Self { sender: floor.sender().map_err(failed)?, ends: floor.ends().map_err(failed)? })
    }
}

impl Road for FloorRoad {
    fn start(&mut self, key: &Bytes) -> Result<(), Failure> {
        self.sender.start(key).map_err(|error| lost("a start of the floor can not be sent", &error))
    }

    fn ended(&mut self, wait: Duration) -> Result<Vec<Bytes>, Failure> {
        let ended = self.ends.next(wait);
        let ended = ended.map_err(|error| lost("the ends of the floor can not be read", &error))?;
        Ok(ended.into_iter().map(|(key, _)| Bytes::from(key)).collect())
    }
}
