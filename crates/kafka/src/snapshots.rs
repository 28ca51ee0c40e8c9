//! A lane's snapshots: one transaction a write, under a transactional id that is the lane's for all
//! processes, so that whoever initialised it last fences everybody before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::Topic;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::atomic::{AtomicUsize, Ordering};
use stream::{EachState, Key, LaneId, LogError, Snapshots};

use crate::Shared;
use crate::reader::{Reader, native_partition};
use crate::remarks::Remarks;
use crate::settings;

/// Keys that no workflow can have: a workflow id does not begin with a colon.
const MARKER: &str = ":marker";
const CLAIM: &str = ":claim";

/// A lane's snapshots on Kafka, held since `fence`.
pub struct KafkaSnapshots {
    shared: Arc<Shared>,
    producer: BaseProducer<Reports>,
    topic: Topic,
    lane: LaneId,
    partition: i32,
    /// Connects while the fence is taken; gone once it was read.
    reader: Option<Reader>,
}

/// Counts what was delivered and what was not: a transaction is committed only when every record is
/// known to be stored.
#[derive(Default)]
struct Reports {
    remarks: Remarks,
    delivered: AtomicUsize,
    failed: AtomicUsize,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        self.remarks.line(level, about, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.remarks.error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.delivered } else { &self.failed };
        count.fetch_add(1, Ordering::AcqRel);
    }
}

impl KafkaSnapshots {
    pub(crate) fn fence(shared: Arc<Shared>, lane: LaneId) -> Result<Self, LogError> {
        let LaneId(partition) = lane;
        let topic = shared.topics.snapshots();
        let lost = |error: ClientError| {
            LogError::Lost(format!("taking the snapshots {topic}/{partition}: {error}"))
        };
        let settings = settings::snapshot_producer(&shared.config, partition);
        let reports = Reports { remarks: shared.remarks.clone(), ..Reports::default() };
        let producer = BaseProducer::from_config_and_context(&settings, reports).map_err(lost)?;
        let reader = Some(Self::reader(&shared, &topic, partition)?);
        // Waits for a connection: without one, looking for the coordinator begins with a pause of half a
        // second. And the topic is learnt now rather than within the first transaction.
        producer.client().fetch_metadata(Some(topic.as_str()), settings::ASK).map_err(lost)?;
        // The same pause again where only the connection that this answer came by is there, which librdkafka
        // gives up for those to the brokers that it has learnt of. The next question is a leader's to answer.
        let native = native_partition(partition)?;
        let asked = producer.client().fetch_watermarks(topic.as_str(), native, settings::ASK);
        asked.map_err(lost)?;
        producer.init_transactions(settings::TRANSACTION_WAIT).map_err(lost)?;
        Ok(Self { shared, producer, topic, lane, partition: native, reader })
    }

    fn reader(shared: &Arc<Shared>, topic: &Topic, partition: u32) -> Result<Reader, LogError> {
        let settings = settings::loading_reader(&shared.config);
        Reader::new(&settings, shared, Arc::clone(&shared.committed), topic.clone(), partition)
    }

    fn transact(&self, records: &[(&str, Option<&Bytes>)]) -> Result<(), LogError> {
        let deadline = Instant::now() + settings::TRANSACTION_WAIT;
        let reports = self.producer.context();
        let before = reports.delivered.load(Ordering::Acquire);
        self.producer.begin_transaction().map_err(|error| self.judged(&error))?;
        for (key, value) in records {
            self.enqueue(key, *value, deadline)?;
        }
        // The crate's own flush and commit wait in steps of 100 ms while anything is out, so we wait
        // until nothing is.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
            if Instant::now() >= deadline {
                return Err(self.lost("not all of it was acknowledged in time"));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        let delivered = reports.delivered.load(Ordering::Acquire) - before;
        if delivered != records.len() || reports.failed.load(Ordering::Acquire) > 0 {
            return Err(match self.producer.client().fatal_error() {
                Some((Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch, _)) => {
                    LogError::Fenced
                }
                Some((_, reason)) => self.lost(&reason),
                None => self.lost("a record of it was not stored"),
            });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.producer.commit_transaction(left).map_err(|error| self.judged(&error))
    }

    fn enqueue(&self, key: &str, value: Option<&Bytes>, deadline: Instant) -> Result<(), LogError> {
        let mut record =
            BaseRecord::<[u8], [u8]>::to(self.topic.as_str()).partition(self.partition);
        record.key = Some(key.as_bytes());
        record.payload = value.map(Bytes::as_ref);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) => {
                    let full = error.rdkafka_error_code() == Some(Code::QueueFull);
                    if !full || Instant::now() >= deadline {
                        return Err(self.judged(&error));
                    }
                    self.producer.poll(Duration::from_millis(1));
                    record = back;
                }
            }
        }
    }

    fn judged(&self, error: &ClientError) -> LogError {
        let fenced = |code: Code| {
            matches!(
                code,
                Code::Fenced
                    | Code::ProducerFenced
                    | Code::InvalidProducerEpoch
                    | Code::TransactionCoordinatorFenced
            )
        };
        let code = if let ClientError::Transaction(error) = error {
            Some(error.code())
        } else {
            error.rdkafka_error_code()
        };
        let fatal = self.producer.client().fatal_error();
        if code.is_some_and(fenced) || fatal.is_some_and(|(code, _)| fenced(code)) {
            LogError::Fenced
        } else {
            self.lost(&error.to_string())
        }
    }

    fn lost(&self, reason: &str) -> LogError {
        LogError::Lost(format!("writing the snapshots {}/{}: {reason}", self.topic, self.partition))
    }
}

impl Snapshots for KafkaSnapshots {
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError> {
        let LaneId(partition) = self.lane;
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Self::reader(&self.shared, &self.topic, partition)?,
        };
        let (mut marker, mut damaged) = (None, None);
        reader.read_all(|record| match record.key.as_deref().map(std::str::from_utf8) {
            Some(Ok(MARKER)) => marker = record.value,
            Some(Ok(CLAIM)) => {}
            Some(Ok(key)) => each(Key::from(key), record.value),
            Some(Err(_)) | None => damaged = Some(record.place),
        })?;
        if let Some(place) = damaged {
            return Err(LogError::Lost(format!("{place} is no snapshot record: who wrote it?")));
        }
        Ok(marker)
    }

    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError> {
        let mut records: Vec<_> =
            changed.iter().map(|(key, value)| (&**key, value.as_ref())).collect();
        records.push((MARKER, Some(marker)));
        self.transact(&records)
    }

    fn claim(&mut self, owner: &Bytes) -> Result<(), LogError> {
        self.transact(&[(CLAIM, Some(owner))])
    }
}
