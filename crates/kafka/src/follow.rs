//! Whole topics, read without a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Offset, Partition, Record, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, TopicPartitionList};
use stream::{Follow, LogError, Start};
use tracing::{debug, error};

use crate::Shared;
use crate::admin::numbers;
use crate::reader::{Gathered, Plain, Trouble, kept, native_partition, record, trouble};
use crate::settings;

/// A reader of whole topics on Kafka.
pub struct KafkaFollow {
    shared: Arc<Shared>,
    consumer: BaseConsumer<Plain>,
    next: BTreeMap<(Topic, Partition), Offset>,
}

impl KafkaFollow {
    pub(crate) fn new(shared: Arc<Shared>, from: Vec<(Topic, Start)>) -> Result<Self, LogError> {
        let mut next = BTreeMap::new();
        for (topic, start) in from {
            let partitions = shared
                .admin
                .partitions(&topic)?
                .ok_or_else(|| LogError::Lost(format!("there is no topic {topic}")))?;
            for partition in numbers(partitions) {
                let kept = kept(&shared.committed, &topic, partition)?;
                let offset = match &start {
                    Start::Earliest => kept.start,
                    Start::End => kept.end,
                    Start::At(places) => places
                        .iter()
                        .find(|(named, _)| *named == partition)
                        .map_or(kept.start, |(_, offset)| (*offset).max(kept.start)),
                };
                next.insert((topic.clone(), partition), offset);
            }
        }
        let consumer = settings::committed_reader(&shared.config)
            .create_with_context(Plain(shared.remarks.clone()))
            .map_err(|error| LogError::Lost(format!("no consumer: {error}")))?;
        let follow = Self { shared, consumer, next };
        follow.assign()?;
        Ok(follow)
    }

    fn assign(&self) -> Result<(), LogError> {
        let mut places = TopicPartitionList::new();
        for ((topic, partition), offset) in &self.next {
            places
                .add_partition_offset(
                    topic.as_str(),
                    native_partition(*partition)?,
                    rdkafka::Offset::Offset(*offset),
                )
                .map_err(|error| LogError::Lost(format!("following {topic}: {error}")))?;
        }
        self.consumer
            .assign(&places)
            .map_err(|error| LogError::Lost(format!("following topics: {error}")))
    }

    /// Retention was faster than we were, or a topic was made anew.
    fn recover(&mut self) -> Result<(), LogError> {
        for ((topic, partition), next) in &mut self.next {
            let kept = kept(&self.shared.committed, topic, *partition)?;
            if *next < kept.start || *next > kept.end {
                error!(
                    %topic, partition, wanted = *next, kept_from = kept.start, end = kept.end,
                    "records are gone before they were read; going on with the first that is kept"
                );
                metrics::counter!("pavane_kafka_feed_gaps_total", "topic" => topic.to_string())
                    .increment(1);
                *next = kept.start;
            }
        }
        self.assign()
    }
}

impl Follow for KafkaFollow {
    fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait;
        let mut gathered = Gathered::default();
        while !gathered.is_full() {
            let patience = gathered.patience(deadline);
            match self.consumer.poll(patience) {
                None if patience.is_zero() => break,
                None => {}
                Some(Ok(message)) => {
                    let topic = Topic::from(message.topic());
                    let partition = Partition::try_from(message.partition()).unwrap_or_default();
                    if let Some(next) = self.next.get_mut(&(topic.clone(), partition))
                        && message.offset() >= *next
                    {
                        *next = message.offset() + 1;
                        gathered.push(record(&message, &topic));
                    }
                }
                Some(Err(error)) => match trouble(&error) {
                    Trouble::End => {}
                    Trouble::Passing => debug!(%error, "following goes on"),
                    Trouble::OutOfRange if !gathered.records.is_empty() => {
                        self.recover()?;
                        break;
                    }
                    Trouble::OutOfRange => self.recover()?,
                    Trouble::Final(reason) => {
                        return Err(LogError::Lost(format!("following topics: {reason}")));
                    }
                },
            }
        }
        Ok(gathered.records)
    }
}
