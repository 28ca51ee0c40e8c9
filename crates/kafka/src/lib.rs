//! The broker over Apache Kafka: every librdkafka setting with its reason, topics, schema registry.
//!
//! A lane's logs are two consumers with an offset of their own choice and a producer that the whole
//! process shares; its snapshots are a transactional producer; who should hold which lane is shared out
//! by a consumer group.

mod admin;
mod config;
mod deliveries;
mod feed;
pub mod floor;
mod follow;
mod groups;
mod log;
mod outlet;
mod partings;
mod raw;
mod reader;
mod registry;
mod remarks;
mod settings;
mod snapshots;
pub mod topics;

use std::ops::Range;
use std::sync::Arc;

use events::{Offset, Outgoing, Place, Schema, Topic, Topics};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError as ClientError;
use stream::{
    Broker, Created, Inventory, LaneId, LogError, Purpose, SendError, Share, Start, Then,
};

pub use config::{Config, KafkaError, Properties, SchemaRegistry};
pub use feed::KafkaFeed;
pub use follow::KafkaFollow;
pub use log::KafkaLog;
pub use outlet::KafkaOutlet;
pub use registry::register_all;
pub use snapshots::KafkaSnapshots;

use admin::Admin;
use deliveries::SharedProducer;
use partings::Partings;
use reader::Plain;
use remarks::Remarks;

/// A connection to a Kafka.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

/// What all handles of one connection share.
struct Shared {
    config: Config,
    topics: Topics,
    remarks: Remarks,
    partings: Partings,
    schema_ids: registry::Ids,
    admin: Admin,
    /// Answers what is kept, to a reader of what was committed.
    committed: Arc<BaseConsumer<Plain>>,
    /// Answers what is kept at all.
    uncommitted: Arc<BaseConsumer<Plain>>,
    journal: SharedProducer,
    dispatch: SharedProducer,
    events: SharedProducer,
}

impl Kafka {
    /// Connects, and waits for the first answer of a broker. `schemas` are those of the events that
    /// will be sent; with a schema registry their ids are asked for now.
    ///
    /// # Errors
    /// What is wrong with the configuration; no answer; a schema that the registry does not know.
    pub fn connect(config: Config, schemas: &[Schema]) -> Result<Self, KafkaError> {
        config.check()?;
        let refused = |error: ClientError| KafkaError::Refused(error.to_string());
        let remarks = Remarks::default();
        let asking = |isolation| {
            let settings = settings::asking(&config, isolation);
            settings.create_with_context(Plain(remarks.clone())).map(Arc::new).map_err(refused)
        };
        let committed = asking("read_committed")?;
        let uncommitted = asking("read_uncommitted")?;
        let settings = settings::asking(&config, "read_uncommitted");
        let admin = Admin::new(&settings, remarks.clone()).map_err(refused)?;
        let producer = |settings| SharedProducer::new(settings, remarks.clone()).map_err(refused);
        let journal = producer(settings::journal_producer(&config))?;
        let dispatch = producer(settings::dispatch_producer(&config))?;
        let events = producer(settings::events_producer(&config))?;
        admin.metadata(None, settings::ASK).map_err(|error| KafkaError::Unreachable {
            bootstrap: config.bootstrap.clone(),
            seconds: settings::ASK.as_secs(),
            reason: error.to_string(),
        })?;
        let schema_ids = match &config.schema_registry {
            Some(registry) => registry::known(registry, schemas)?,
            None => registry::built_in(schemas),
        };
        let topics = Topics::with_prefix(&config.prefix);
        let shared = Shared {
            config,
            topics,
            remarks,
            partings: Partings::default(),
            schema_ids,
            admin,
            committed,
            uncommitted,
            journal,
            dispatch,
            events,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Broker for Kafka {
    type Log = KafkaLog;
    type Snapshots = KafkaSnapshots;
    type Feed = KafkaFeed;
    type Follow = KafkaFollow;
    type Outlet = KafkaOutlet;

    fn topics(&self) -> &Topics {
        &self.shared.topics
    }

    fn lanes(&self) -> Result<u32, LogError> {
        let topics = [self.topics().inbox(), self.topics().journal(), self.topics().snapshots()];
        let counts = topics
            .into_iter()
            .map(|topic| self.shared.admin.partitions(&topic).map(|count| (topic, count)))
            .collect::<Result<Vec<_>, _>>()?;
        admin::agreed(&counts)
    }

    fn open(&self, lane: LaneId) -> Result<KafkaLog, LogError> {
        KafkaLog::open(Arc::clone(&self.shared), lane)
    }

    fn fence(&self, lane: LaneId) -> Result<KafkaSnapshots, LogError> {
        KafkaSnapshots::fence(Arc::clone(&self.shared), lane)
    }

    fn join(&self, group: &str, share: Share) -> Result<KafkaFeed, LogError> {
        KafkaFeed::join(Arc::clone(&self.shared), group, share)
    }

    fn follow(&self, from: Vec<(Topic, Start)>) -> Result<KafkaFollow, LogError> {
        KafkaFollow::new(Arc::clone(&self.shared), from)
    }

    fn outlet(&self) -> Result<KafkaOutlet, LogError> {
        Ok(KafkaOutlet::new(Arc::clone(&self.shared)))
    }

    fn put_then(&self, record: Outgoing, then: Then) {
        outlet::put_then(&self.shared, record, then);
    }

    fn put(&self, record: Outgoing) -> Result<Place, SendError> {
        outlet::put(&self.shared, record)
    }

    fn kept(&self, topic: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError> {
        let Some(count) = self.shared.admin.partitions(topic)? else { return Ok(None) };
        admin::numbers(count)
            .map(|partition| reader::kept(&self.shared.committed, topic, partition))
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    fn create(&self, topic: &Topic, purpose: Purpose) -> Result<Created, LogError> {
        let inbox = self.shared.admin.partitions(&self.topics().inbox())?;
        topics::create(self, topic, purpose, inbox.unwrap_or(self.shared.config.partitions))
    }

    /// As the trait says. Members of groups of Kafka's newer protocol (KIP-848) are told to newer
    /// administrative clients alone, and are not in it.
    fn inventory(&self) -> Result<Inventory, LogError> {
        let topics = self.shared.admin.names()?;
        let read = groups::read(&self.shared.committed)?;
        Ok(Inventory { topics, read, makes_users_topics: false })
    }
}
