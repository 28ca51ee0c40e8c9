//! One partition, read from a given offset on, without a group's say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Offset, Partition, Place, Record, Timestamp, Topic};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use std::ops::Range;
use stream::LogError;
use tracing::debug;

use crate::partings::Partings;
use crate::remarks::Remarks;
use crate::{Shared, raw, settings};

/// Logs what librdkafka says on the side; it reconnects by itself.
pub(crate) struct Plain(pub(crate) Remarks);

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        self.0.line(level, about, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ConsumerContext for Plain {}

/// What an error of a poll means for the one who polls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The end of a partition was reached.
    End,
    /// The offset asked for is not there: look at what is kept.
    OutOfRange,
    /// The client goes on by itself.
    Passing,
    /// Reading can not go on: why.
    Final(String),
}

/// Judges an error that a consumer gave instead of a record.
pub(crate) fn trouble(error: &ClientError) -> Trouble {
    if let ClientError::PartitionEOF(_) = error {
        return Trouble::End;
    }
    if let ClientError::MessageConsumptionFatal(code) = error {
        return Trouble::Final(format!("the consumer has failed for good: {code}"));
    }
    let Some(code) = error.rdkafka_error_code() else { return Trouble::Final(error.to_string()) };
    let what = if is_one_of(code, OUT_OF_RANGE) {
        return Trouble::OutOfRange;
    } else if is_one_of(code, DAMAGED) {
        "a record is damaged"
    } else if is_one_of(code, MISSING) {
        "the topic is not there"
    } else if is_one_of(code, REFUSED) {
        "access was refused"
    } else {
        return Trouble::Passing;
    };
    Trouble::Final(format!("{what}: {code}"))
}

const OUT_OF_RANGE: &[Code] = &[Code::AutoOffsetReset, Code::OffsetOutOfRange, Code::LogTruncation];
const DAMAGED: &[Code] = &[Code::BadMessage, Code::InvalidMessage, Code::BadCompression];
const MISSING: &[Code] =
    &[Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition];
const REFUSED: &[Code] = &[
    Code::TopicAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::Authentication,
    Code::SaslAuthenticationFailed,
];

fn is_one_of(code: Code, codes: &[Code]) -> bool {
    codes.contains(&code)
}

/// A record as it was read.
pub(crate) fn record(message: &BorrowedMessage<'_>, topic: &Topic) -> Record {
    Record {
        place: Place {
            topic: topic.clone(),
            partition: Partition::try_from(message.partition()).unwrap_or_default(),
            offset: message.offset(),
        },
        timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: raw::headers(message),
    }
}

/// Counts what a read has gathered against its bounds.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) records: Vec<Record>,
    bytes: usize,
}

impl Gathered {
    pub(crate) fn push(&mut self, record: Record) {
        self.bytes += record.value.as_ref().map_or(0, Bytes::len) + 64;
        self.records.push(record);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= settings::READ_RECORDS_MAX || self.bytes >= settings::READ_BYTES_MAX
    }

    /// How long the next poll may wait: for a first record until the deadline, for another not at all.
    pub(crate) fn patience(&self, deadline: Instant) -> Duration {
        if self.records.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            // librdkafka counts in milliseconds; what is less would be a busy loop of zeros.
            if left < Duration::from_millis(1) { Duration::ZERO } else { left }
        } else {
            Duration::ZERO
        }
    }
}

/// Reads one partition.
pub(crate) struct Reader {
    /// `None` only while it is being dropped.
    consumer: Option<BaseConsumer<Plain>>,
    partings: Partings,
    asking: Arc<BaseConsumer<Plain>>,
    topic: Topic,
    partition: Partition,
    /// Whether the partition's leader has answered once.
    met: bool,
    next: Option<Offset>,
    /// Whether the end was met behind the last record.
    at_end: bool,
    /// A place and an end with nothing to read between them.
    hollow: Option<(Offset, Offset)>,
}

impl Reader {
    /// Begins to connect. `asking` answers what is kept, with the isolation that `settings` have.
    pub(crate) fn new(
        settings: &ClientConfig,
        shared: &Shared,
        asking: Arc<BaseConsumer<Plain>>,
        topic: Topic,
        partition: Partition,
    ) -> Result<Self, LogError> {
        let consumer = settings
            .create_with_context(Plain(shared.remarks.clone()))
            .map_err(|error| LogError::Lost(format!("no consumer for {topic}: {error}")))?;
        Ok(Self {
            consumer: Some(consumer),
            partings: shared.partings.clone(),
            asking,
            topic,
            partition,
            met: false,
            next: None,
            at_end: false,
            hollow: None,
        })
    }

    fn consumer(&self) -> Result<&BaseConsumer<Plain>, LogError> {
        self.consumer.as_ref().ok_or_else(|| self.lost("the reader was closed"))
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> Result<Range<Offset>, LogError> {
        kept(&self.asking, &self.topic, self.partition)
    }

    /// Records from `from` on. An empty answer is a statement about the log, on which timers are fired:
    /// so it is given only once the broker was asked, after the wait, and had nothing more.
    pub(crate) fn read(&mut self, from: Offset, wait: Duration) -> Result<Vec<Record>, LogError> {
        let records = self.gather(from, Instant::now() + wait)?;
        if !records.is_empty() {
            return Ok(records);
        }
        let end = self.kept()?.end;
        if end <= from || self.hollow == Some((from, end)) {
            return Ok(records);
        }
        self.fetch(from, end)
    }

    /// The broker has offsets above `from`: records on their way, or markers of transactions alone, which
    /// nobody ever sees.
    fn fetch(&mut self, from: Offset, end: Offset) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + settings::ASK;
        while !self.at_end {
            let records = self.gather(from, Instant::now() + settings::FETCH_STEP)?;
            if !records.is_empty() {
                return Ok(records);
            }
            if Instant::now() >= deadline {
                return Err(self.lost(&format!("nothing came from {from}, below the end {end}")));
            }
        }
        let records = self.gather(from, Instant::now() + settings::HOLLOW_WAIT)?;
        if records.is_empty() {
            self.hollow = Some((from, end));
        }
        Ok(records)
    }

    /// What comes from `from` on until the deadline.
    fn gather(&mut self, from: Offset, deadline: Instant) -> Result<Vec<Record>, LogError> {
        if self.next != Some(from) {
            self.start(from)?;
        }
        let mut gathered = Gathered::default();
        while !gathered.is_full() {
            let patience = gathered.patience(deadline);
            let Some(consumer) = &self.consumer else { break };
            match consumer.poll(patience) {
                None if patience.is_zero() => break,
                None => {}
                Some(Ok(message)) if self.next.is_some_and(|next| message.offset() >= next) => {
                    self.next = Some(message.offset() + 1);
                    self.at_end = false;
                    gathered.push(record(&message, &self.topic));
                }
                // A change of place may leave records of the old one on their way.
                Some(Ok(_)) => {}
                Some(Err(error)) => match trouble(&error) {
                    Trouble::End => self.at_end = true,
                    Trouble::Passing => debug!(%error, topic = %self.topic, "reading goes on"),
                    Trouble::OutOfRange if !gathered.records.is_empty() => {
                        self.next = None;
                        break;
                    }
                    Trouble::OutOfRange => self.start(from)?,
                    Trouble::Final(reason) => return Err(self.lost(&reason)),
                },
            }
        }
        Ok(gathered.records)
    }

    /// Reads everything that is visible now, from the first kept record to the end as the reader
    /// itself meets it; a compacted topic has no other end that is safe to read to.
    pub(crate) fn read_all(&mut self, mut each: impl FnMut(Record)) -> Result<(), LogError> {
        let mut next = self.kept()?.start;
        let mut heard = Instant::now();
        self.next = None;
        loop {
            let records = self.gather(next, Instant::now() + settings::FETCH_STEP)?;
            if let Some(last) = records.last() {
                next = last.place.offset + 1;
                heard = Instant::now();
            } else if self.at_end {
                return Ok(());
            } else if heard.elapsed() >= settings::LOAD_STALL {
                return Err(self.lost("no record and no end of partition came"));
            }
            records.into_iter().for_each(&mut each);
        }
    }

    /// Stops fetching until the next read; keeps the connection.
    pub(crate) fn rest(&mut self) -> Result<(), LogError> {
        if self.next.take().is_some() {
            self.consumer()?.unassign().map_err(|error| self.lost(&error.to_string()))?;
        }
        Ok(())
    }

    fn start(&mut self, from: Offset) -> Result<(), LogError> {
        let kept = self.kept()?;
        if from < kept.start {
            return Err(LogError::Gone { kept_from: kept.start });
        }
        if from > kept.end {
            return Err(LogError::PastEnd { end: kept.end });
        }
        self.meet()?;
        let consumer = self.consumer()?;
        let mut place = TopicPartitionList::new();
        place
            .add_partition_offset(
                self.topic.as_str(),
                native_partition(self.partition)?,
                rdkafka::Offset::Offset(from),
            )
            .and_then(|()| consumer.assign(&place))
            .map_err(|error| self.lost(&error.to_string()))?;
        self.next = Some(from);
        self.at_end = false;
        Ok(())
    }

    /// Waits until the partition's leader has answered, before the first read: without a connection that begins
    /// with a pause (measured: 700 ms). Metadata is asked for first, which alone waits for one.
    fn meet(&mut self) -> Result<(), LogError> {
        if !self.met {
            let consumer = self.consumer()?;
            consumer
                .fetch_metadata(Some(self.topic.as_str()), settings::ASK)
                .map_err(|error| self.lost(&error.to_string()))?;
            kept(consumer, &self.topic, self.partition)?;
            self.met = true;
        }
        Ok(())
    }

    fn lost(&self, reason: &str) -> LogError {
        LogError::Lost(format!("reading {}/{}: {reason}", self.topic, self.partition))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            self.partings.close(consumer);
        }
    }
}

/// From the first kept offset to one past the last that can be seen with `asking`'s isolation.
pub(crate) fn kept<C: ConsumerContext>(
    asking: &BaseConsumer<C>,
    topic: &Topic,
    partition: Partition,
) -> Result<Range<Offset>, LogError> {
    let native = native_partition(partition)?;
    let deadline = Instant::now() + settings::ASK;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match asking.fetch_watermarks(topic.as_str(), native, left) {
            Ok((low, high)) => return Ok(low..high),
            Err(error) if is_unsettled(&error) && left > settings::ASK_AGAIN => {
                std::thread::sleep(settings::ASK_AGAIN);
                // What librdkafka heard of a topic while a partition had no leader it believes for minutes, and
                // asks nobody; asked for the topic itself it hears anew. Where that fails, the next try says why.
                let _ = asking.fetch_metadata(Some(topic.as_str()), left);
            }
            Err(error) => {
                let reason = format!("asking what {topic}/{partition} keeps: {error}");
                return Err(LogError::Lost(reason));
            }
        }
    }
}

/// A leader is being found, or has changed: the next question may be answered.
fn is_unsettled(error: &ClientError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            Code::NotLeaderForPartition
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::LeaderNotAvailable
                | Code::OffsetNotAvailable
                | Code::ReplicaNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::NetworkException
                | Code::BrokerTransportFailure
                | Code::KafkaStorageError
        )
    })
}

/// A partition's number as librdkafka takes it.
pub(crate) fn native_partition(partition: Partition) -> Result<i32, LogError> {
    i32::try_from(partition)
        .map_err(|_| LogError::Lost(format!("no partition has the number {partition}")))
}
