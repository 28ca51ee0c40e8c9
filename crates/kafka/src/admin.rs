//! Questions about topics and changes to them.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use events::{Partition, Topic};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};
use stream::{Created, LogError};

use crate::reader::Plain;
use crate::remarks::Remarks;
use crate::settings;

/// The administrative client.
pub(crate) struct Admin(AdminClient<Plain>);

/// A topic as it stands.
pub(crate) struct Standing {
    pub(crate) partitions: u32,
    pub(crate) replication: usize,
}

impl Admin {
    pub(crate) fn new(settings: &ClientConfig, remarks: Remarks) -> Result<Self, ClientError> {
        AdminClient::from_config_and_context(settings, Plain(remarks)).map(Self)
    }

    pub(crate) fn metadata(
        &self,
        topic: Option<&Topic>,
        wait: Duration,
    ) -> Result<Metadata, ClientError> {
        self.0.inner().fetch_metadata(topic.map(Topic::as_str), wait)
    }

    /// A topic's partitions and copies; `None` where there is no such topic. A topic that was just made
    /// is not known to every broker yet, so that "no" is asked for more than once.
    pub(crate) fn standing(&self, topic: &Topic) -> Result<Option<Standing>, LogError> {
        for _ in 1..settings::NO_SUCH_TOPIC_ASKED {
            if let Some(standing) = self.seen_standing(topic)? {
                return Ok(Some(standing));
            }
            std::thread::sleep(settings::ASK_AGAIN);
        }
        self.seen_standing(topic)
    }

    /// The same, as one broker sees it.
    fn seen_standing(&self, topic: &Topic) -> Result<Option<Standing>, LogError> {
        let lost =
            |reason: String| LogError::Lost(format!("asking about the topic {topic}: {reason}"));
        let metadata =
            self.metadata(Some(topic), settings::ASK).map_err(|error| lost(error.to_string()))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic.as_str())
        else {
            return Ok(None);
        };
        match found.error() {
            None => {}
            Some(
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
                | RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            ) => return Ok(None),
            Some(error) => return Err(lost(Code::from(error).to_string())),
        }
        let partitions = u32::try_from(found.partitions().len()).unwrap_or(u32::MAX);
        let replication =
            found.partitions().first().map_or(0, |partition| partition.replicas().len());
        Ok((partitions > 0).then_some(Standing { partitions, replication }))
    }

    /// All topics but Kafka's own.
    pub(crate) fn names(&self) -> Result<BTreeSet<Topic>, LogError> {
        let lost = |error: ClientError| LogError::Lost(format!("asking for all topics: {error}"));
        let metadata = self.metadata(None, settings::ASK).map_err(lost)?;
        let names = metadata.topics().iter().map(|topic| topic.name());
        Ok(names.filter(|name| !name.starts_with("__")).map(Topic::from).collect())
    }

    /// How many partitions a topic has; `None` where there is no such topic.
    pub(crate) fn partitions(&self, topic: &Topic) -> Result<Option<u32>, LogError> {
        Ok(self.standing(topic)?.map(|standing| standing.partitions))
    }

    /// The largest record batch that a topic takes.
    pub(crate) fn record_bytes_max(&self, topic: &Topic) -> Result<usize, LogError> {
        let config = self.topic_config(topic)?;
        config
            .get("max.message.bytes")
            .and_then(|entry| entry.value.as_deref()?.parse().ok())
            .ok_or_else(|| LogError::Lost(format!("{topic} does not say its max.message.bytes")))
    }

    pub(crate) fn topic_config(&self, topic: &Topic) -> Result<ConfigResource, LogError> {
        self.config_of(&ResourceSpecifier::Topic(topic.as_str())).map_err(|reason| {
            LogError::Lost(format!("asking for the settings of the topic {topic}: {reason}"))
        })
    }

    /// How many copies a topic gets for which nobody says how many.
    pub(crate) fn default_replication(&self) -> Result<i32, LogError> {
        let lost = |reason: String| {
            LogError::Lost(format!("asking a broker for its default.replication.factor: {reason}"))
        };
        let metadata =
            self.metadata(None, settings::ASK).map_err(|error| lost(error.to_string()))?;
        let broker =
            metadata.brokers().first().ok_or_else(|| lost("no broker is known".to_owned()))?;
        self.config_of(&ResourceSpecifier::Broker(broker.id()))
            .map_err(lost)?
            .get("default.replication.factor")
            .and_then(|entry| entry.value.as_deref()?.parse().ok())
            .ok_or_else(|| lost("it does not say".to_owned()))
    }

    fn config_of(&self, of: &ResourceSpecifier<'_>) -> Result<ConfigResource, String> {
        let answer = wait_for(self.0.describe_configs([of], &options()), settings::ASK)?;
        match answer.map_err(|error| error.to_string())?.pop() {
            Some(Ok(config)) => Ok(config),
            Some(Err(code)) => Err(code.to_string()),
            None => Err("the answer is empty".to_owned()),
        }
    }

    /// Makes a topic, and waits until the brokers know it.
    pub(crate) fn create(
        &self,
        topic: &Topic,
        partitions: u32,
        replication: i32,
        config: &[(&'static str, String)],
    ) -> Result<Created, LogError> {
        let lost = |reason: String| LogError::Lost(format!("making the topic {topic}: {reason}"));
        let native = i32::try_from(partitions).map_err(|error| lost(error.to_string()))?;
        let mut new = NewTopic::new(topic.as_str(), native, TopicReplication::Fixed(replication));
        for (name, value) in config {
            new = new.set(name, value);
        }
        let options = options().operation_timeout(Some(settings::ASK));
        let answer = wait_for(self.0.create_topics([&new], &options), settings::ASK * 2)
            .map_err(lost)?
            .map_err(|error| lost(error.to_string()))?;
        let created = match answer.into_iter().next() {
            Some(Ok(_)) => Created::Now,
            Some(Err((_, Code::TopicAlreadyExists))) => Created::Before,
            Some(Err((_, code))) => return Err(lost(code.to_string())),
            None => return Err(lost("the answer is empty".to_owned())),
        };
        let deadline = Instant::now() + settings::ASK;
        // Each question goes to some broker, so one answer says little about the others.
        let mut agreeing = 0;
        while agreeing < settings::NEW_TOPIC_AGREEING {
            agreeing = if self.is_led(topic) { agreeing + 1 } else { 0 };
            if Instant::now() >= deadline {
                return Err(lost("it was made, but has no leaders yet".to_owned()));
            }
            if agreeing == 0 {
                std::thread::sleep(settings::ASK_AGAIN);
            }
        }
        Ok(created)
    }

    /// Whether each partition of a topic has a leader, as one broker sees it.
    fn is_led(&self, topic: &Topic) -> bool {
        self.metadata(Some(topic), settings::ASK).is_ok_and(|metadata| {
            metadata.topics().iter().any(|found| {
                found.name() == topic.as_str()
                    && found.error().is_none()
                    && !found.partitions().is_empty()
                    && found.partitions().iter().all(|partition| partition.leader() >= 0)
            })
        })
    }

    /// Lets go of what is below the offsets.
    pub(crate) fn delete_records(&self, below: &TopicPartitionList) -> Result<(), LogError> {
        let lost = |reason: String| LogError::Lost(format!("deleting journal records: {reason}"));
        let answer = wait_for(self.0.delete_records(below, &options()), settings::ASK)
            .map_err(lost)?
            .map_err(|error| lost(error.to_string()))?;
        answer
            .elements()
            .iter()
            .try_for_each(|part| part.error())
            .map_err(|error| lost(error.to_string()))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(settings::ASK))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread: lanes live on plain threads, which have no runtime.
fn wait_for<T>(future: impl Future<Output = T>, wait: Duration) -> Result<T, String> {
    let deadline = Instant::now() + wait;
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return Ok(answer);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("no answer within {} s", wait.as_secs()));
        }
        std::thread::park_timeout(left);
    }
}

/// The partitions that `topics` have, if all agree.
pub(crate) fn agreed(counts: &[(Topic, Option<u32>)]) -> Result<u32, LogError> {
    if let Some((topic, _)) = counts.iter().find(|(_, count)| count.is_none()) {
        return Err(LogError::Lost(format!(
            "there is no topic {topic}: run `pavane topics create`"
        )));
    }
    let mut known = counts.iter().filter_map(|(_, count)| *count);
    match known.next() {
        Some(first) if known.all(|count| count == first) => Ok(first),
        _ => {
            let named: Vec<String> = counts
                .iter()
                .map(|(topic, count)| format!("{topic} has {}", count.unwrap_or_default()))
                .collect();
            Err(LogError::Lost(format!(
                "inbox, journal and snapshots must have equally many partitions, but {}",
                named.join(", ")
            )))
        }
    }
}

/// A partition's number as Kafka counts them.
pub(crate) fn numbers(count: u32) -> impl Iterator<Item = Partition> {
    0..count
}
