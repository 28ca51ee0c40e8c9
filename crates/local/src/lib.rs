//! The broker over a durable log in one directory: topics, groups and snapshots of one process, kept
//! by a storage library, acknowledged once they are on the disk.
//!
//! Everything that is written goes through one writer, which makes one batch of all that has come in
//! meanwhile, lets it be seen, and acknowledges it after one `fdatasync`
//! (`docs/decisions/0007-seen-before-the-sync.md`). Whoever must wait for its own write and finds the writer free writes
//! at once, itself; else a thread does. Readers take from the storage library directly, up to what may be
//! seen, and are woken at once.

mod answer;
mod block;
mod codec;
mod damage;
mod error;
mod feed;
mod follow;
mod group;
mod journal_file;
mod lane;
mod limits;
mod open;
mod outlet;
mod reader;
mod request;
mod retention;
mod snapshots;
mod store;
mod tail;
mod thread;
mod topics;
mod unsynced;
mod version_file;
mod view;
mod writer;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use events::{Offset, Outgoing, Place, Topic, Topics};
use stream::{
    Broker, Clock, Created, Inventory, LaneId, LogError, Purpose, SendError, Share, Start, Then,
};

pub use error::LocalError;
pub use feed::LocalFeed;
pub use follow::LocalFollow;
pub use lane::LocalLog;
pub use limits::RECORD_BYTES_MAX;
pub use outlet::LocalOutlet;
pub use snapshots::LocalSnapshots;

use open::Shared;
use view::lock;

/// Gives the registry's id of the schema of that name, which stands before an Avro datum.
pub type SchemaIds = Arc<dyn Fn(&str) -> Option<u32> + Send + Sync>;

/// When an append counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives a crash of the machine.
    Disk,
    /// When the operating system has it: it survives a crash of the process only.
    Os,
}

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// When an append counts as acknowledged.
    pub durability: Durability,
    /// How many lanes; fixed when the folder is made.
    pub lanes: u32,
    /// The names of our topics.
    pub topics: Topics,
    /// By what records are stamped.
    pub clock: Arc<dyn Clock>,
    /// Ids for the framing of Avro values.
    pub schema_ids: SchemaIds,
    /// The largest record, key, value and headers together, that the inbox and users' topics take;
    /// the other topics take more by fixed steps. [`RECORD_BYTES_MAX`] unless there is a reason.
    pub record_bytes_max: usize,
}

/// The broker. Clones are handles on the same log; it is closed when the last of them, and of what
/// they opened, is dropped.
#[derive(Clone)]
pub struct Local(Arc<Shared>);

impl Local {
    /// Opens the log in a folder, making both if there is none.
    ///
    /// # Errors
    /// `InUse` where another process has it open; `Lanes` where it was made with another number of
    /// them; `Damaged` where a file is not as it was written.
    pub fn open(dir: &Path, options: Options) -> Result<Self, LocalError> {
        open::open(dir, options, false).map(|shared| Self(Arc::new(shared)))
    }

    /// The same, but for the lanes: a folder that was made with another number of them keeps its own.
    ///
    /// # Errors
    /// As [`Local::open`], without `Lanes`.
    pub fn open_as_made(dir: &Path, options: Options) -> Result<Self, LocalError> {
        open::open(dir, options, true).map(|shared| Self(Arc::new(shared)))
    }
}

impl Broker for Local {
    type Log = LocalLog;
    type Snapshots = LocalSnapshots;
    type Feed = LocalFeed;
    type Follow = LocalFollow;
    type Outlet = LocalOutlet;

    fn topics(&self) -> &Topics {
        &self.0.options.topics
    }

    fn lanes(&self) -> Result<u32, LogError> {
        Ok(self.0.options.lanes)
    }

    fn open(&self, lane: LaneId) -> Result<LocalLog, LogError> {
        LocalLog::open(Arc::clone(&self.0), lane)
    }

    fn fence(&self, lane: LaneId) -> Result<LocalSnapshots, LogError> {
        LocalSnapshots::fence(Arc::clone(&self.0), lane)
    }

    fn join(&self, group: &str, share: Share) -> Result<LocalFeed, LogError> {
        LocalFeed::join(Arc::clone(&self.0), group, share)
    }

    fn follow(&self, from: Vec<(Topic, Start)>) -> Result<LocalFollow, LogError> {
        LocalFollow::new(Arc::clone(&self.0), &from)
    }

    fn outlet(&self) -> Result<LocalOutlet, LogError> {
        Ok(LocalOutlet::new(Arc::clone(&self.0)))
    }

    fn put(&self, record: Outgoing) -> Result<Place, SendError> {
        self.0.put(record)
    }

    fn put_then(&self, record: Outgoing, then: Then) {
        self.0.put_then(record, then);
    }

    fn kept(&self, topic: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError> {
        Ok(self.0.view.kept_of(topic))
    }

    /// As the trait says. On the embedded log, a topic of tasks, of dead letters or of a user is also
    /// made when a record is first sent to it.
    fn create(&self, topic: &Topic, purpose: Purpose) -> Result<Created, LogError> {
        self.0.create(topic, purpose)
    }

    fn inventory(&self) -> Result<Inventory, LogError> {
        let read = lock(&self.0.groups).read();
        Ok(Inventory { topics: self.0.view.names(), read, makes_users_topics: true })
    }
}
