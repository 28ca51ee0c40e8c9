//! The hops of a saga on plain Kafka, with nothing of pavane between them: what the same road costs at
//! the least. `pavane bench saga --kafka` walks it in the same run and prints the ratio.
//!
//! For a saga of n steps: a start record goes to an inbox topic. Whoever decides there, one thread for each
//! partition, takes all that has come, appends a journal record for each, waits until all are acknowledged,
//! and only then sends on: a command to the tasks topic of the next step, or after the last step an end
//! record to an events topic. Participants in another process answer each command into the inbox. There
//! are as many partitions and acknowledgements as pavane has, and the settings of the
//! client library are the same; there is no state, no snapshot, no group, no committed offset, no header, and
//! no event but the end. Every record is [`VALUE_BYTES`] long.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::Topic;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use stream::{Broker, LogError, Purpose, Stop};

use crate::deliveries::{hand_over, lock};
use crate::reader::{Plain, Trouble, kept, native_partition, trouble};
use crate::remarks::Remarks;
use crate::{Kafka, settings};

/// Of a record's value.
pub const VALUE_BYTES: usize = 256;
/// One wait for records; bounds how soon a wish to stop is heard.
const WAIT: Duration = Duration::from_millis(100);
/// Records taken in one round at most.
const ROUND_MAX: usize = 1_000;

/// The road: topics of its own beside pavane's.
#[derive(Clone)]
pub struct Floor {
    kafka: Kafka,
    steps: u8,
}

/// Takes what comes on some topics, from where they ended when it was made.
pub struct FloorReader {
    consumer: BaseConsumer<Plain>,
}

/// Sends starts.
pub struct FloorSender {
    producer: Sender,
    inbox: Topic,
}

/// Whoever decides on one partition.
pub struct FloorLane {
    floor: Floor,
    inbox: FloorReader,
    journal: Arc<Sender>,
    dispatch: Arc<Sender>,
    partition: i32,
}

impl Floor {
    /// The road of a saga of so many steps.
    #[must_use]
    pub fn new(kafka: &Kafka, steps: u8) -> Self {
        Self { kafka: kafka.clone(), steps }
    }

    fn topic(&self, role: &str) -> Topic {
        Topic::from(format!("{}floor.{role}", self.kafka.shared.config.prefix))
    }

    fn tasks(&self, step: u8) -> Topic {
        self.topic(&format!("tasks.{step}"))
    }

    /// Makes the topics, as pavane's own are made, if they are not there.
    ///
    /// # Errors
    /// Of the brokers.
    pub fn create(&self) -> Result<(), LogError> {
        self.kafka.create(&self.topic("inbox"), Purpose::Inbox)?;
        self.kafka.create(&self.topic("journal"), Purpose::Journal)?;
        self.kafka.create(&self.topic("events"), Purpose::Events)?;
        for step in 1..=self.steps {
            self.kafka.create(&self.tasks(step), Purpose::Tasks)?;
        }
        Ok(())
    }

    fn reader(&self, wanted: &[Topic], only: Option<i32>) -> Result<FloorReader, LogError> {
        let shared = &self.kafka.shared;
        let lost = |error: ClientError| LogError::Lost(format!("reading: {error}"));
        let mut places = TopicPartitionList::new();
        for topic in wanted {
            let count = shared.admin.partitions(topic)?.unwrap_or_default();
            for partition in 0..count {
                let native = native_partition(partition)?;
                if only.is_none_or(|only| only == native) {
                    let end =
                        rdkafka::Offset::Offset(kept(&shared.committed, topic, partition)?.end);
                    places.add_partition_offset(topic.as_str(), native, end).map_err(lost)?;
                }
            }
        }
        let consumer: BaseConsumer<Plain> = settings::committed_reader(&shared.config)
            .create_with_context(Plain(shared.remarks.clone()))
            .map_err(lost)?;
        consumer.assign(&places).map_err(lost)?;
        Ok(FloorReader { consumer })
    }

    fn producer(&self, settings: &ClientConfig) -> Result<Sender, LogError> {
        settings
            .create_with_context(Reports(self.kafka.shared.remarks.clone()))
            .map_err(|error| LogError::Lost(format!("no producer: {error}")))
    }

    fn dispatch(&self) -> Result<Sender, LogError> {
        self.producer(&settings::dispatch_producer(&self.kafka.shared.config))
    }

    /// Who sends starts.
    ///
    /// # Errors
    /// Of the client library.
    pub fn sender(&self) -> Result<FloorSender, LogError> {
        Ok(FloorSender { producer: self.dispatch()?, inbox: self.topic("inbox") })
    }

    /// Who reads ends.
    ///
    /// # Errors
    /// Of the client library or the brokers.
    pub fn ends(&self) -> Result<FloorReader, LogError> {
        self.reader(&[self.topic("events")], None)
    }

    /// Those who decide, one for each partition.
    ///
    /// # Errors
    /// Of the client library or the brokers.
    pub fn lanes(&self) -> Result<Vec<FloorLane>, LogError> {
        let shared = &self.kafka.shared;
        let inbox = self.topic("inbox");
        let count = shared.admin.partitions(&inbox)?.unwrap_or_default();
        let journal = Arc::new(self.producer(&settings::journal_producer(&shared.config))?);
        let dispatch = Arc::new(self.dispatch()?);
        let lane = |partition| {
            let partition = native_partition(partition)?;
            Ok(FloorLane {
                floor: self.clone(),
                inbox: self.reader(std::slice::from_ref(&inbox), Some(partition))?,
                journal: Arc::clone(&journal),
                dispatch: Arc::clone(&dispatch),
                partition,
            })
        };
        (0..count).map(lane).collect()
    }

    /// Answers commands until asked to stop; calls `ready` once none that is sent then can be missed.
    ///
    /// # Errors
    /// Of the client library or the brokers.
    pub fn answer(&self, stop: &Stop, ready: impl FnOnce()) -> Result<(), LogError> {
        let tasks: Vec<_> = (1..=self.steps).map(|step| self.tasks(step)).collect();
        let reader = self.reader(&tasks, None)?;
        let (producer, inbox) = (self.dispatch()?, self.topic("inbox"));
        let nobody = Arc::default();
        ready();
        while !stop.requested() {
            for (key, step) in reader.next(WAIT)? {
                send(&producer, &inbox, None, &nobody, (&key, step))?;
            }
        }
        Ok(())
    }
}

impl FloorSender {
    /// Sends the start of what is called `key`.
    ///
    /// # Errors
    /// Of the client library.
    pub fn start(&self, key: &[u8]) -> Result<(), LogError> {
        send(&self.producer, &self.inbox, None, &Arc::default(), (key, 0))
    }
}

impl FloorReader {
    /// The keys of all that has come, each with the step that its value names. Waits up to `wait` for the
    /// first.
    ///
    /// # Errors
    /// Reading can not go on.
    pub fn next(&self, wait: Duration) -> Result<Vec<(Vec<u8>, u8)>, LogError> {
        let mut taken = Vec::new();
        while taken.len() < ROUND_MAX {
            let patience = if taken.is_empty() { wait } else { Duration::ZERO };
            match self.consumer.poll(patience) {
                None => break,
                Some(Ok(message)) => {
                    let step = message.payload().and_then(|value| value.first().copied());
                    let key = message.key().unwrap_or_default().to_vec();
                    taken.push((key, step.unwrap_or_default()));
                }
                Some(Err(error)) => match trouble(&error) {
                    Trouble::End | Trouble::Passing => {}
                    Trouble::OutOfRange => {
                        return Err(LogError::Lost("a record of the floor is gone".to_owned()));
                    }
                    Trouble::Final(reason) => return Err(LogError::Lost(reason)),
                },
            }
        }
        Ok(taken)
    }
}

impl FloorLane {
    /// Decides until asked to stop.
    ///
    /// # Errors
    /// Of the client library or the brokers; one append that fails ends it.
    pub fn run(self, stop: &Stop) -> Result<(), LogError> {
        let (journal, events) = (self.floor.topic("journal"), self.floor.topic("events"));
        let tasks: Vec<Topic> = (1..=self.floor.steps).map(|step| self.floor.tasks(step)).collect();
        let (awaited, nobody) = (Arc::<Awaited>::default(), Arc::<Awaited>::default());
        while !stop.requested() {
            let taken = self.inbox.next(WAIT)?;
            for (key, step) in &taken {
                send(&self.journal, &journal, Some(self.partition), &awaited, (key, *step))?;
            }
            awaited.wait(taken.len())?;
            for (key, step) in &taken {
                match tasks.get(usize::from(*step)) {
                    Some(next) => send(&self.dispatch, next, None, &nobody, (key, step + 1))?,
                    None => send(&self.dispatch, &events, None, &nobody, (key, *step))?,
                }
            }
        }
        Ok(())
    }
}

type Sender = ThreadedProducer<Reports>;

/// Of an append: how many records are acknowledged, and whether one failed.
#[derive(Default)]
struct Awaited {
    so_far: Mutex<(usize, bool)>,
    news: Condvar,
}

impl Awaited {
    /// Waits until so many are reported on, and begins anew.
    fn wait(&self, count: usize) -> Result<(), LogError> {
        let (mut so_far, waited) = self
            .news
            .wait_timeout_while(lock(&self.so_far), settings::APPEND_WAIT, |(done, _)| {
                *done < count
            })
            .unwrap_or_else(PoisonError::into_inner);
        let (_, failed) = std::mem::take(&mut *so_far);
        if waited.timed_out() || failed {
            return Err(LogError::Lost("an append of the floor failed".to_owned()));
        }
        Ok(())
    }

    fn report(&self, failed: bool) {
        let mut so_far = lock(&self.so_far);
        so_far.0 += 1;
        so_far.1 |= failed;
        self.news.notify_one();
    }
}

/// Brings reports to whoever waits. What nobody waits for is missed at its end, if it failed.
struct Reports(Remarks);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        self.0.line(level, about, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Awaited>;

    fn delivery(&self, result: &DeliveryResult<'_>, awaited: Arc<Awaited>) {
        awaited.report(result.is_err());
    }
}

/// Hands a record over, waiting while the queue is full.
fn send(
    producer: &Sender,
    topic: &Topic,
    partition: Option<i32>,
    awaited: &Arc<Awaited>,
    (key, step): (&[u8], u8),
) -> Result<(), LogError> {
    let mut value = [b'.'; VALUE_BYTES];
    value[0] = step;
    let mut record = BaseRecord::with_opaque_to(topic.as_str(), Arc::clone(awaited))
        .key(key)
        .payload(&value[..]);
    record.partition = partition;
    hand_over(producer, record, Instant::now() + settings::QUEUE_FULL_WAIT)
        .map_err(|error| LogError::Lost(format!("sending to {topic}: {error}")))
}
