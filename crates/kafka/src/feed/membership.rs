//! What the group has given to a member, as librdkafka tells it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use events::{Offset, Partition, Topic};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tracing::debug;

use crate::deliveries::lock;
use crate::remarks::Remarks;
use crate::settings;

/// A partition of a topic.
pub(super) type Part = (Topic, Partition);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lanes,
    Records,
}

/// What the group has given to this member, kept by the calls that librdkafka makes while it is polled.
pub(super) struct Membership {
    pub(super) kind: Kind,
    pub(super) remarks: Remarks,
    pub(super) state: Mutex<Held>,
}

#[derive(Default)]
pub(super) struct Held {
    /// What is held, and the offset to give next; `None` until the first record shows it.
    pub(super) parts: BTreeMap<Part, Option<Offset>>,
    /// Where reading them began, if that is known; lower where they are read again.
    pub(super) begun: BTreeMap<Part, Offset>,
    /// Below these offsets all is done, and the brokers have not been told.
    pub(super) done: BTreeMap<Part, Offset>,
    /// Where a partition begins of which nothing was committed.
    pub(super) starts: BTreeMap<Part, Offset>,
    pub(super) generation: u64,
    /// The group has decided, and nobody has been told.
    pub(super) news: bool,
    /// The group's decision could not be carried out.
    pub(super) failure: Option<String>,
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        self.remarks.line(level, about, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.remarks.error(&error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        decision: RDKafkaRespErr,
        parts: &mut TopicPartitionList,
    ) {
        let done = if decision == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, parts)
        } else {
            self.revoked(consumer, parts)
        };
        let mut held = lock(&self.state);
        held.generation += 1;
        held.news = true;
        if let Err(error) = done {
            held.failure = Some(format!("taking over a share of the group's: {error}"));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        // Committed offsets only save work after a crash; the next commit covers this one.
        if let Err(error) = result {
            metrics::counter!("pavane_kafka_commits_failed_total").increment(1);
            debug!(%error, "offsets were not committed");
        }
    }
}

impl Membership {
    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        parts: &TopicPartitionList,
    ) -> KafkaResult<()> {
        match self.kind {
            Kind::Lanes => {
                // Records are the lanes' own business: nothing is fetched here.
                let mut places = TopicPartitionList::new();
                for part in parts.elements() {
                    let end = rdkafka::Offset::End;
                    places.add_partition_offset(part.topic(), part.partition(), end)?;
                }
                consumer.incremental_assign(&places)?;
                consumer.pause(&places)?;
                let mut held = lock(&self.state);
                held.parts.extend(named(parts).map(|part| (part, None)));
            }
            Kind::Records => {
                let committed = consumer.committed_offsets(parts.clone(), settings::ASK)?;
                let starts = lock(&self.state).starts.clone();
                let mut places = TopicPartitionList::new();
                let mut first = BTreeMap::new();
                for part in committed.elements() {
                    part.error()?;
                    let name = name(part.topic(), part.partition());
                    // Anything but an offset says that nothing was committed yet.
                    let place = if let rdkafka::Offset::Offset(offset) = part.offset() {
                        Some(offset)
                    } else {
                        starts.get(&name).copied()
                    };
                    let from = place.map_or(rdkafka::Offset::Beginning, rdkafka::Offset::Offset);
                    places.add_partition_offset(part.topic(), part.partition(), from)?;
                    first.insert(name, place);
                }
                consumer.incremental_assign(&places)?;
                let mut held = lock(&self.state);
                let known = first.iter().filter_map(|(part, from)| Some((part.clone(), (*from)?)));
                held.begun.extend(known);
                held.parts.extend(first);
            }
        }
        Ok(())
    }

    fn revoked(
        &self,
        consumer: &BaseConsumer<Self>,
        parts: &TopicPartitionList,
    ) -> KafkaResult<()> {
        let mut done = BTreeMap::new();
        {
            let mut held = lock(&self.state);
            for part in named(parts) {
                held.parts.remove(&part);
                held.begun.remove(&part);
                done.extend(held.done.remove_entry(&part));
            }
        }
        // Before they go, so that whoever gets them begins behind it.
        if let Err(error) = commit(consumer, done) {
            debug!(%error, "what was done last is not committed");
        }
        consumer.incremental_unassign(parts)
    }
}

/// Tells the brokers that all below these offsets is done. Does not wait.
pub(super) fn commit(
    consumer: &BaseConsumer<Membership>,
    done: BTreeMap<Part, Offset>,
) -> KafkaResult<()> {
    if done.is_empty() {
        return Ok(());
    }
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in done {
        let native = i32::try_from(partition).unwrap_or(i32::MAX);
        offsets.add_partition_offset(topic.as_str(), native, rdkafka::Offset::Offset(offset))?;
    }
    consumer.commit(&offsets, CommitMode::Async)
}

pub(super) fn name(topic: &str, partition: i32) -> Part {
    (Topic::from(topic), Partition::try_from(partition).unwrap_or_default())
}

pub(super) fn named(parts: &TopicPartitionList) -> impl Iterator<Item = Part> {
    parts
        .elements()
        .into_iter()
        .map(|part| name(part.topic(), part.partition()))
        .collect::<Vec<_>>()
        .into_iter()
}
