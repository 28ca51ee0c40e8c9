//! A member of a consumer group: its share of the records, or of the lanes.

mod membership;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use events::{Offset, Outgoing, Partition, Topic};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::{Message as _, TopicPartitionList};
use stream::{Fed, Feed, LaneId, LogError, Outlet, Settled, Share, Ticket};
use tracing::{debug, error, info, warn};

use membership::{Held, Kind, Membership, Part, commit, name};

use crate::Shared;
use crate::deliveries::lock;
use crate::outlet::KafkaOutlet;
use crate::reader::{Gathered, Trouble, kept, native_partition, record, trouble};
use crate::settings;

/// A member of a group on Kafka. Leaves its group when dropped.
pub struct KafkaFeed {
    shared: Arc<Shared>,
    outlet: KafkaOutlet,
    /// `None` only while it is being dropped.
    consumer: Option<BaseConsumer<Membership>>,
    share: Kind,
    /// How often librdkafka is made to look whether a heartbeat is due.
    step: Duration,
    /// When that was last done.
    nudged: Instant,
    /// When what was done must be told to the brokers, if anything was.
    commit_at: Option<Instant>,
}

/// Of a member's steps.
const STEP_MAX: Duration = Duration::from_millis(250);

impl KafkaFeed {
    pub(crate) fn join(shared: Arc<Shared>, group: &str, share: Share) -> Result<Self, LogError> {
        let (kind, topics, starts) = wanted(&shared, share);
        let held = Held { starts, ..Held::default() };
        let membership =
            Membership { kind, remarks: shared.remarks.clone(), state: Mutex::new(held) };
        let heartbeat = match kind {
            Kind::Lanes => settings::lane_heartbeat(&shared.config),
            Kind::Records => settings::heartbeat(&shared.config),
        };
        let settings = settings::member(&shared.config, group, heartbeat);
        let consumer = BaseConsumer::from_config_and_context(&settings, membership)
            .map_err(|error| LogError::Lost(format!("no member of the group {group}: {error}")))?;
        let feed = Self {
            outlet: KafkaOutlet::new(Arc::clone(&shared)),
            shared,
            consumer: Some(consumer),
            share: kind,
            step: (heartbeat / 2).min(STEP_MAX),
            nudged: Instant::now(),
            commit_at: None,
        };
        feed.subscribe(&topics)?;
        Ok(feed)
    }

    fn consumer(&self) -> Result<&BaseConsumer<Membership>, LogError> {
        self.consumer.as_ref().ok_or_else(|| LogError::Lost("the member has left".to_owned()))
    }

    fn subscribe(&self, topics: &[Topic]) -> Result<(), LogError> {
        let consumer = self.consumer()?;
        if topics.is_empty() {
            consumer.unsubscribe();
            return Ok(());
        }
        let names: Vec<&str> = topics.iter().map(Topic::as_str).collect();
        consumer
            .subscribe(&names)
            .map_err(|error| LogError::Lost(format!("subscribing to {names:?}: {error}")))
    }

    /// What the group has decided since the last call, if it shares lanes.
    fn decision(&self) -> Result<Option<Fed>, LogError> {
        let consumer = self.consumer()?;
        let mut held = lock(&consumer.context().state);
        if let Some(reason) = held.failure.take() {
            return Err(LogError::Lost(reason));
        }
        let told = std::mem::take(&mut held.news);
        match self.share {
            Kind::Lanes if told => {
                let lanes = held.parts.keys().map(|(_, partition)| LaneId(*partition)).collect();
                Ok(Some(Fed::Lanes { generation: held.generation, held: lanes }))
            }
            Kind::Lanes | Kind::Records => Ok(None),
        }
    }

    /// Makes librdkafka look whether a heartbeat is due. Its main thread sleeps until it is asked something,
    /// and else for up to a second (librdkafka 2.12, `rd_kafka_thread_main`): heartbeats that are meant to
    /// be closer would come a second apart. This question is answered by that thread, without the network.
    fn nudge(&mut self) -> Result<(), LogError> {
        if self.nudged.elapsed() < self.step {
            return Ok(());
        }
        self.nudged = Instant::now();
        match self.consumer()?.assignment() {
            Ok(_) => Ok(()),
            Err(error) => Err(LogError::Lost(format!("asking the group's member: {error}"))),
        }
    }

    fn commit_if_due(&mut self) -> Result<(), LogError> {
        if self.commit_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.commit_at = None;
        let consumer = self.consumer()?;
        let done = std::mem::take(&mut lock(&consumer.context().state).done);
        commit(consumer, done).map_err(|error| LogError::Lost(format!("committing: {error}")))
    }

    /// How long a poll may take.
    fn patience(&self, gathered: &Gathered, deadline: Instant) -> Duration {
        let due = self.commit_at.map_or(self.step, |at| {
            // librdkafka counts in milliseconds.
            at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
        });
        gathered.patience(deadline).min(self.step).min(due)
    }

    /// An error after which librdkafka goes on by itself, unless the brokers will never let this member in.
    fn passing(&self, error: &ClientError) -> Result<(), LogError> {
        if error.rdkafka_error_code() == Some(Code::InvalidSessionTimeout) {
            let wanted = self.shared.config.session_timeout_ms;
            return Err(LogError::Lost(format!(
                "the brokers allow no session timeout of {wanted} ms: set `kafka.session_timeout_ms` to \
                 at least their `group.min.session.timeout.ms` (6000 unless set) and at most their \
                 `group.max.session.timeout.ms`, or change theirs"
            )));
        }
        debug!(%error, "the group's member goes on");
        Ok(())
    }

    /// Some partition's place is not there any more. Which one, librdkafka does not say.
    fn recover(&self) -> Result<(), LogError> {
        let consumer = self.consumer()?;
        let parts = lock(&consumer.context().state).parts.clone();
        for ((topic, partition), next) in parts {
            let kept = kept(&self.shared.committed, &topic, partition)?;
            let Some(wanted) = next else { continue };
            if wanted < kept.start || wanted > kept.end {
                error!(
                    %topic, partition, wanted, kept_from = kept.start, end = kept.end,
                    "records are gone before they were read; going on with the first that is kept"
                );
                metrics::counter!("pavane_kafka_feed_gaps_total", "topic" => topic.to_string())
                    .increment(1);
                self.place(&topic, partition, kept.start)?;
            }
        }
        Ok(())
    }

    /// Reads a held partition from `offset` on.
    fn place(&self, topic: &Topic, partition: Partition, offset: Offset) -> Result<(), LogError> {
        let consumer = self.consumer()?;
        let mut place = TopicPartitionList::new();
        let native = native_partition(partition)?;
        // Not `seek`, which fails while the partition's fetching has not begun.
        place
            .add_partition_offset(topic.as_str(), native, rdkafka::Offset::Offset(offset))
            .and_then(|()| consumer.incremental_unassign(&place))
            .and_then(|()| consumer.incremental_assign(&place))
            .map_err(|error| {
                LogError::Lost(format!("going to {topic}/{partition}/{offset}: {error}"))
            })?;
        let mut held = lock(&consumer.context().state);
        let part = (topic.clone(), partition);
        held.begun.entry(part.clone()).and_modify(|begun| *begun = offset.min(*begun));
        held.parts.insert(part, Some(offset));
        Ok(())
    }
}

/// The subscription that a share stands for.
fn wanted(shared: &Shared, share: Share) -> (Kind, Vec<Topic>, BTreeMap<Part, Offset>) {
    match share {
        Share::Lanes => (Kind::Lanes, vec![shared.topics.inbox()], BTreeMap::new()),
        Share::Records { topics, starts } => {
            let starts = starts
                .into_iter()
                .map(|(topic, partition, offset)| ((topic, partition), offset))
                .collect();
            (Kind::Records, topics, starts)
        }
    }
}

impl Outlet for KafkaFeed {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.outlet.send(ticket, records)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}

impl Feed for KafkaFeed {
    fn next(&mut self, wait: Duration) -> Result<Fed, LogError> {
        let deadline = Instant::now() + wait;
        let mut gathered = Gathered::default();
        while !gathered.is_full() {
            if gathered.records.is_empty()
                && let Some(lanes) = self.decision()?
            {
                return Ok(lanes);
            }
            self.nudge()?;
            self.commit_if_due()?;
            let is_last = gathered.patience(deadline).is_zero();
            let consumer = self.consumer()?;
            match consumer.poll(self.patience(&gathered, deadline)) {
                None if is_last => break,
                None => {}
                Some(Ok(message)) => {
                    let part = name(message.topic(), message.partition());
                    let mut held = lock(&consumer.context().state);
                    // What was revoked, or comes from before a change of place, is not ours to give.
                    if let Some(next) = held.parts.get_mut(&part)
                        && next.is_none_or(|next| message.offset() >= next)
                        && self.share == Kind::Records
                    {
                        *next = Some(message.offset() + 1);
                        gathered.push(record(&message, &part.0));
                    }
                }
                Some(Err(error)) => match trouble(&error) {
                    Trouble::End => {}
                    Trouble::OutOfRange => self.recover()?,
                    Trouble::Passing => self.passing(&error)?,
                    Trouble::Final(reason) => return Err(LogError::Lost(reason)),
                },
            }
        }
        match self.decision()? {
            Some(lanes) => Ok(lanes),
            None if gathered.records.is_empty() => Ok(Fed::Idle),
            None => Ok(Fed::Records(gathered.records)),
        }
    }

    fn commit(&mut self, done: &[(Topic, Partition, Offset)]) -> Result<(), LogError> {
        let mut held = lock(&self.consumer()?.context().state);
        for (topic, partition, offset) in done {
            let part = (topic.clone(), *partition);
            // Who has held it before, and settles something only now, knows less than whoever held it since.
            let is_stale = held.begun.get(&part).is_some_and(|begun| offset < begun);
            if held.parts.contains_key(&part) && !is_stale {
                held.done.insert(part, *offset);
            }
        }
        drop(held);
        self.commit_at.get_or_insert_with(|| Instant::now() + settings::COMMIT_EVERY);
        self.commit_if_due()
    }

    fn reshare(&mut self, share: Share) -> Result<(), LogError> {
        let (kind, topics, starts) = wanted(&self.shared, share);
        if kind != self.share {
            let reason = "a member can not change between lanes and records: join anew";
            return Err(LogError::Lost(reason.to_owned()));
        }
        lock(&self.consumer()?.context().state).starts = starts;
        self.subscribe(&topics)
    }

    fn rewind(
        &mut self,
        topic: &Topic,
        partition: Partition,
        offset: Offset,
    ) -> Result<(), LogError> {
        let next = {
            let held = lock(&self.consumer()?.context().state);
            held.parts.get(&(topic.clone(), partition)).copied()
        };
        match next.flatten() {
            Some(next) if next > offset => self.place(topic, partition, offset),
            Some(_) | None => Ok(()),
        }
    }
}

impl Drop for KafkaFeed {
    /// Leaves the group, so that others need not wait for the session to time out. A broker that does
    /// not answer must not hold us up, so leaving has a thread of its own and a bound.
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        let done = std::mem::take(&mut lock(&consumer.context().state).done);
        if let Err(error) = commit(&consumer, done) {
            debug!(%error, "what was done last is not committed");
        }
        let (done, left) = mpsc::sync_channel(1);
        let leaving = std::thread::Builder::new().name("kafka-leave".to_owned()).spawn(move || {
            drop(consumer);
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        match leaving {
            Ok(_) if left.recv_timeout(settings::LEAVE_WAIT).is_ok() => {}
            Ok(_) => warn!("leaving the group takes long; going on without"),
            Err(error) => info!(%error, "left the group without a thread of its own"),
        }
    }
}
