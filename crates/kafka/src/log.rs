//! A lane's inbox and journal.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Offset, Outgoing, Record, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::error::RDKafkaErrorCode as Code;
use stream::{Entry, LaneId, Log, LogError, Outlet, Settled, Source, Ticket};

use crate::Shared;
use crate::deliveries::{Batch, Delivery};
use crate::outlet::KafkaOutlet;
use crate::reader::{Reader, native_partition};
use crate::{raw, settings};

/// What a record batch has beyond its one record's bytes (Kafka's record format, version 2: 61 bytes of
/// batch header and at most 46 of record header without key and headers), rounded up.
const BATCH_OVERHEAD: usize = 128;

/// A lane's logs on Kafka.
pub struct KafkaLog {
    shared: Arc<Shared>,
    outlet: KafkaOutlet,
    inbox: Reader,
    journal: Reader,
    journal_topic: Topic,
    partition: i32,
    entry_bytes_max: usize,
}

impl KafkaLog {
    pub(crate) fn open(shared: Arc<Shared>, lane: LaneId) -> Result<Self, LogError> {
        let LaneId(partition) = lane;
        let journal_topic = shared.topics.journal();
        let inbox = Reader::new(
            &settings::committed_reader(&shared.config),
            &shared,
            Arc::clone(&shared.committed),
            shared.topics.inbox(),
            partition,
        )?;
        let journal = Reader::new(
            &settings::uncommitted_reader(&shared.config),
            &shared,
            Arc::clone(&shared.uncommitted),
            journal_topic.clone(),
            partition,
        )?;
        shared.journal.meet(&journal_topic)?;
        shared.events.meet(&shared.topics.events())?;
        let entry_bytes_max = shared.admin.record_bytes_max(&journal_topic)?;
        Ok(Self {
            outlet: KafkaOutlet::new(Arc::clone(&shared)),
            shared,
            inbox,
            journal,
            journal_topic,
            partition: native_partition(partition)?,
            entry_bytes_max: entry_bytes_max
                .min(settings::SEND_BYTES)
                .saturating_sub(BATCH_OVERHEAD),
        })
    }
}

impl Outlet for KafkaLog {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.outlet.send(ticket, records)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}

impl Log for KafkaLog {
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError> {
        match source {
            Source::Inbox => self.inbox.kept(),
            Source::Journal => self.journal.kept(),
        }
    }

    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        match source {
            Source::Inbox => {
                // Between two takeovers a lane does not read its journal: what it appends must not
                // come back to it over the network.
                self.journal.rest()?;
                self.inbox.read(from, wait)
            }
            Source::Journal => self.journal.read(from, wait),
        }
    }

    fn entry_bytes_max(&self) -> usize {
        self.entry_bytes_max
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError> {
        let longest = entries.iter().map(|Entry(bytes)| bytes.len()).max().unwrap_or_default();
        if longest > self.entry_bytes_max {
            return Err(LogError::TooLarge { bytes: longest });
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let sender = self.shared.journal.sender()?;
        let batch = Batch::of(entries.len());
        let until = Instant::now() + settings::QUEUE_FULL_WAIT;
        let mut handed = 0;
        while let Some(rest) = entries.get(handed..).filter(|rest| !rest.is_empty()) {
            let values = rest.iter().zip(handed..).map(|(Entry(bytes), index)| {
                (bytes.clone(), Delivery::Append { batch: Arc::clone(&batch), index })
            });
            let topic = self.journal_topic.as_str();
            let Err((taken, error)) = raw::produce_batch(&sender, topic, self.partition, values)
            else {
                break;
            };
            handed += taken;
            // Of a full queue all that come behind are refused too, so that their order is kept.
            let full = error.rdkafka_error_code() == Some(Code::QueueFull);
            if !full || Instant::now() >= until {
                // What went before may be stored.
                batch.give_up(entries.len() - handed, error.to_string());
                break;
            }
            // Space appears as the polling thread takes delivery reports; there is no event for it.
            std::thread::sleep(Duration::from_millis(1));
        }
        batch.wait(settings::APPEND_WAIT)
    }

    fn trim(&mut self, below: Offset) -> Result<(), LogError> {
        // Kafka refuses an offset above its end, and -1 would mean all.
        let kept = self.journal.kept()?;
        if below <= kept.start {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            self.journal_topic.as_str(),
            self.partition,
            rdkafka::Offset::Offset(below.min(kept.end)),
        )
        .map_err(|error| LogError::Lost(error.to_string()))?;
        self.shared.admin.delete_records(&list)
    }
}
