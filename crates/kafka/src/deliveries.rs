//! Producers shared by the process, and how their delivery reports reach who waits for them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Header, Offset, Partition, Place, Topic};
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header as NativeHeader, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use stream::{LogError, SendError, Settled, Then, Ticket};
use tracing::{debug, warn};

use crate::remarks::Remarks;
use crate::{raw, settings};

/// Takes a lock whose holder may have panicked: each state behind ours is changed in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A producer with its own polling thread, replaced when librdkafka has declared it dead.
pub(crate) struct SharedProducer {
    settings: ClientConfig,
    deliveries: Deliveries,
    current: Mutex<Arc<Sender>>,
    met: Mutex<HashSet<Topic>>,
}

/// The producer as it is now.
pub(crate) type Sender = ThreadedProducer<Deliveries>;

impl SharedProducer {
    pub(crate) fn new(settings: ClientConfig, remarks: Remarks) -> Result<Self, ClientError> {
        let deliveries = Deliveries(remarks);
        let sender = Sender::from_config_and_context(&settings, deliveries.clone())?;
        Ok(Self {
            settings,
            deliveries,
            current: Mutex::new(Arc::new(sender)),
            met: Mutex::default(),
        })
    }

    /// A producer that works. One with a fatal error (its epoch was lost, say) fails all it holds and
    /// never recovers, so the next comer makes a new one.
    pub(crate) fn sender(&self) -> Result<Arc<Sender>, LogError> {
        let mut current = lock(&self.current);
        if let Some((code, reason)) = current.client().fatal_error() {
            warn!(%code, reason, "a producer is dead; making a new one");
            metrics::counter!("pavane_kafka_producers_replaced_total").increment(1);
            let fresh = Sender::from_config_and_context(&self.settings, self.deliveries.clone())
                .map_err(|error| LogError::Lost(format!("no new producer: {error}")))?;
            *current = Arc::new(fresh);
            lock(&self.met).clear();
        }
        Ok(Arc::clone(&current))
    }

    /// Whether a record of the topic can be handed over without learning about it first.
    pub(crate) fn has_met(&self, topic: &Topic) -> bool {
        lock(&self.met).contains(topic)
    }

    /// Learns about a topic before its first record: librdkafka lets a record to a topic that it does not
    /// know wait half a second. Once a topic, and what does not work out is left to the record's report.
    pub(crate) fn meet(&self, topic: &Topic) -> Result<Arc<Sender>, LogError> {
        let sender = self.sender()?;
        if lock(&self.met).contains(topic) {
            return Ok(sender);
        }
        if let Err(error) = sender.client().fetch_metadata(Some(topic.as_str()), settings::MEETING)
        {
            debug!(%topic, %error, "the first record of a topic may take longer");
        }
        lock(&self.met).insert(topic.clone());
        Ok(sender)
    }
}

/// Brings each delivery report to its record's sender.
#[derive(Clone)]
pub(crate) struct Deliveries(Remarks);

/// What travels with a record through librdkafka.
pub(crate) enum Delivery {
    /// A record of an append.
    Append { batch: Arc<Batch>, index: usize },
    /// A record of a ticket.
    Send { desk: Arc<Desk>, ticket: Ticket, index: usize },
    /// A record whose sender is told its place.
    Put { topic: Topic, told: Arc<Told> },
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        self.0.line(level, about, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        match *delivery {
            Delivery::Append { batch, index } => batch.report(
                index,
                match result {
                    // Below zero: stored, but librdkafka was not told where.
                    Ok(message) => Ok(Some(message.offset()).filter(|offset| *offset >= 0)),
                    Err((error, _)) => Err(error.to_string()),
                },
            ),
            Delivery::Send { desk, ticket, index } => {
                desk.report(ticket, index, sent(result).map(|_| ()));
            }
            Delivery::Put { topic, told } => {
                told.tell(sent(result).and_then(|(partition, offset)| {
                    match Partition::try_from(partition) {
                        Ok(partition) if offset >= 0 => Ok(Place { topic, partition, offset }),
                        _ => Err(SendError::InDoubt(
                            "stored, but kafka did not say where".to_owned(),
                        )),
                    }
                }))
            }
        }
    }
}

/// Partition and offset of a record that was delivered.
fn sent(result: &DeliveryResult<'_>) -> Result<(i32, Offset), SendError> {
    match result {
        Ok(message) => Ok((message.partition(), message.offset())),
        Err((error, message)) => Err(send_error(error, raw::is_not_stored(message))),
    }
}

/// What a failed delivery means: `Never` only where the broker or librdkafka refused the record itself
/// and no try of it was ever unanswered.
pub(crate) fn send_error(error: &ClientError, not_stored: bool) -> SendError {
    let permanent = error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::InvalidTopic
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::MessageSizeTooLarge
                | Code::InvalidMessageSize
                | Code::MessageBatchTooLarge
                | Code::InvalidRecord
                | Code::InvalidTimestamp
                | Code::PolicyViolation
                | Code::InvalidArgument
        )
    });
    if permanent && not_stored {
        SendError::Never(error.to_string())
    } else {
        SendError::InDoubt(error.to_string())
    }
}

/// One append: its caller sleeps until every record has been reported on.
pub(crate) struct Batch {
    state: Mutex<BatchState>,
    done: Condvar,
}

struct BatchState {
    offsets: Vec<Option<Offset>>,
    waiting_for: usize,
    failure: Option<String>,
}

impl Batch {
    pub(crate) fn of(records: usize) -> Arc<Self> {
        let state =
            BatchState { offsets: vec![None; records], waiting_for: records, failure: None };
        Arc::new(Self { state: Mutex::new(state), done: Condvar::new() })
    }

    fn report(&self, index: usize, result: Result<Option<Offset>, String>) {
        let mut state = lock(&self.state);
        match result {
            Ok(offset) => {
                if let Some(slot) = state.offsets.get_mut(index) {
                    *slot = offset;
                }
            }
            Err(reason) => state.failure = Some(reason),
        }
        state.waiting_for = state.waiting_for.saturating_sub(1);
        if state.waiting_for == 0 {
            self.done.notify_one();
        }
    }

    /// The last `records` were never handed over.
    pub(crate) fn give_up(&self, records: usize, reason: String) {
        let mut state = lock(&self.state);
        state.waiting_for = state.waiting_for.saturating_sub(records);
        state.failure = Some(reason);
    }

    /// Where all of them were stored, once that is known.
    pub(crate) fn wait(&self, wait: Duration) -> Result<Vec<Option<Offset>>, LogError> {
        let (mut state, waited) = self
            .done
            .wait_timeout_while(lock(&self.state), wait, |state| state.waiting_for > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(LogError::InDoubt("no delivery report in time".to_owned()));
        }
        match state.failure.take() {
            Some(reason) => Err(LogError::InDoubt(reason)),
            None => Ok(std::mem::take(&mut state.offsets)),
        }
    }
}

/// Who is told what has become of a record, once.
pub(crate) struct Told(Mutex<Option<Then>>);

impl Told {
    pub(crate) fn new(then: Then) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(then))))
    }

    pub(crate) fn tell(&self, stored: Result<Place, SendError>) {
        if let Some(then) = lock(&self.0).take() {
            then(stored);
        }
    }
}

/// Where an outlet's tickets are settled.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<DeskState>,
    news: Condvar,
}

#[derive(Default)]
struct DeskState {
    open: HashMap<Ticket, Open>,
    settled: Vec<Settled>,
}

struct Open {
    waiting_for: usize,
    failures: Vec<(usize, SendError)>,
}

impl Desk {
    /// Begins a ticket; one without records is settled at once.
    pub(crate) fn open(&self, ticket: Ticket, records: usize) {
        let mut state = lock(&self.state);
        if records == 0 {
            state.settled.push(Settled::Sent(ticket));
            self.news.notify_one();
        } else {
            state.open.insert(ticket, Open { waiting_for: records, failures: Vec::new() });
        }
    }

    /// What became of one record.
    pub(crate) fn report(&self, ticket: Ticket, index: usize, result: Result<(), SendError>) {
        let mut state = lock(&self.state);
        let Some(open) = state.open.get_mut(&ticket) else { return };
        open.waiting_for = open.waiting_for.saturating_sub(1);
        open.failures.extend(result.err().map(|error| (index, error)));
        if open.waiting_for > 0 {
            return;
        }
        let failures = state.open.remove(&ticket).map(|open| open.failures).unwrap_or_default();
        if failures.is_empty() {
            state.settled.push(Settled::Sent(ticket));
        } else {
            let failed = |(index, error)| Settled::Failed { ticket, index, error };
            state.settled.extend(failures.into_iter().map(failed));
        }
        self.news.notify_one();
    }

    /// All that was settled since the last call.
    pub(crate) fn settled(&self, wait: Duration) -> Vec<Settled> {
        let mut state = lock(&self.state);
        if state.settled.is_empty() && !wait.is_zero() {
            (state, _) = self
                .news
                .wait_timeout_while(state, wait, |state| state.settled.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut state.settled)
    }
}

/// A record as librdkafka takes it.
pub(crate) type Native<'a> = BaseRecord<'a, [u8], [u8], Box<Delivery>>;

/// Hands a record over, waiting at most until `until` while the queue is full.
pub(crate) fn hand_over<C: ProducerContext + 'static>(
    sender: &ThreadedProducer<C>,
    mut record: BaseRecord<'_, [u8], [u8], C::DeliveryOpaque>,
    until: Instant,
) -> Result<(), ClientError> {
    loop {
        match sender.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back)) => {
                let full = error.rdkafka_error_code() == Some(Code::QueueFull);
                if !full || Instant::now() >= until {
                    return Err(error);
                }
                // Space appears as the polling thread takes delivery reports; there is no event for it.
                std::thread::sleep(Duration::from_millis(1));
                record = back;
            }
        }
    }
}

/// Headers as librdkafka takes them, in their order.
pub(crate) fn native_headers(headers: &[Header]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let native = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(native, |native, header| {
        let value = header.value.as_ref().map(Bytes::as_ref);
        native.insert(NativeHeader { key: &header.name, value })
    }))
}
