//! What a broker is asked for: what a log can do without knowing what a decision is. Everything that
//! makes a log a journal stands above this line, once, and the contract suite in `tests/` holds every
//! broker to one list.

mod snapshots;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{Offset, Outgoing, Partition, Place, Record, Topic, Topics};

pub use snapshots::{EachState, Snapshot, Snapshots};

/// A lane: partition n of inbox, journal and snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub Partition);

/// Which of a lane's two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Partition n of `inbox`. Offsets may have holes: compare, never subtract.
    Inbox,
    /// Partition n of `journal`. Offsets are contiguous.
    Journal,
}

/// Key of a state in the snapshots.
pub type Key = Arc<str>;

/// A record to append to the journal: its partition is the lane's, it needs no key and no headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(pub Bytes);

/// One call of [`Outlet::send`], named by the caller; never used twice in the life of an outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What waits for [`Outlet::send_first`].
pub type Ticketed = (Ticket, Vec<Outgoing>);

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All its records are acknowledged.
    Sent(Ticket),
    /// One of its records can not be sent, or was not acknowledged in time. Said only once every record
    /// of the ticket is settled: all `Failed` of a ticket come in one answer, the records that are not
    /// named in it were acknowledged, and no `Sent` follows.
    Failed {
        /// Which.
        ticket: Ticket,
        /// The record's place in the call to `send`, from 0.
        index: usize,
        /// Why.
        error: SendError,
    },
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It was certainly not stored, and never will be: no such topic, refused by an access rule, too
    /// large.
    #[error("can not be sent: {0}")]
    Never(String),
    /// No acknowledgement in time: it may be stored, now or later.
    #[error("not acknowledged in time: {0}")]
    InDoubt(String),
}

/// Is told what has become of a record.
pub type Then = Box<dyn FnOnce(Result<Place, SendError>) + Send>;

/// What a call to a broker may say instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The offset asked for is no longer kept. Never skipped in silence.
    #[error("the offset asked for is gone; kept from {kept_from}")]
    Gone {
        /// The first offset that is kept.
        kept_from: Offset,
    },
    /// The log ends below the offset asked for: it was cut off or made anew.
    #[error("the log ends at {end}, below the offset asked for")]
    PastEnd {
        /// The offset that the next record would get.
        end: Offset,
    },
    /// An append of which it is unknown whether, or where, it was stored.
    #[error("it is unknown whether the append was stored: {0}")]
    InDoubt(String),
    /// A newer holder has fenced this one.
    #[error("fenced by a newer holder")]
    Fenced,
    /// A record exceeds what the broker takes. Nothing of the call was stored.
    #[error("a record of {bytes} bytes is more than the broker takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Anything else: the connection, the disk, an access rule. Names the thing and what to do.
    #[error("{0}")]
    Lost(String),
}

/// The whole broker. Cheap to share; opens handles, each of which belongs to one thread.
pub trait Broker: Send + Sync + 'static {
    /// A lane's logs.
    type Log: Log;
    /// A lane's snapshots.
    type Snapshots: Snapshots;
    /// A member's share of topics or lanes.
    type Feed: Feed;
    /// A reader of whole topics.
    type Follow: Follow;
    /// A sender.
    type Outlet: Outlet + Send;

    /// The names of our topics here.
    fn topics(&self) -> &Topics;

    /// How many lanes there are: the partitions that inbox, journal and snapshots have.
    ///
    /// # Errors
    /// `Lost` where the topics do not exist or their counts differ, naming both.
    fn lanes(&self) -> Result<u32, LogError>;

    /// Opens a lane's logs for reading and appending. Takes nothing from anybody, and reads nothing yet.
    ///
    /// # Errors
    /// `Lost`.
    fn open(&self, lane: LaneId) -> Result<Self::Log, LogError>;

    /// Takes a lane's snapshots. From its return on, no snapshot of an earlier holder can become
    /// visible. Called once for each attempt to take a lane over, strictly before announcing.
    ///
    /// # Errors
    /// `Lost`.
    fn fence(&self, lane: LaneId) -> Result<Self::Snapshots, LogError>;

    /// Shares records, or lanes, among a group's members. A hint of who should try: safety never rests
    /// on it.
    ///
    /// # Errors
    /// `Lost`.
    fn join(&self, group: &str, share: Share) -> Result<Self::Feed, LogError>;

    /// Reads all partitions of topics, without a group, each from its first kept offset or from where
    /// `from` says.
    ///
    /// # Errors
    /// `Lost`; a topic that does not exist is one.
    fn follow(&self, from: Vec<(Topic, Start)>) -> Result<Self::Follow, LogError>;

    /// A sender of records.
    ///
    /// # Errors
    /// `Lost`.
    fn outlet(&self) -> Result<Self::Outlet, LogError>;

    /// Stores one record, waits until it is acknowledged as durable, and says where it stands. Called by
    /// many threads at once: records of one key and topic are stored in the order in which the calls
    /// return. For single records that somebody waits for; a stream of records goes through an outlet.
    ///
    /// # Errors
    /// `Never`: it was certainly not stored. `InDoubt`: it may be, now or later; waits are bounded.
    fn put(&self, record: Outgoing) -> Result<Place, SendError>;

    /// As [`Broker::put`], for a caller that must not wait: `then` is told what has become of the record, once,
    /// on any thread, which it must not hold up. How many are under way at once is for the caller to bound.
    fn put_then(&self, record: Outgoing, then: Then) {
        then(self.put(record));
    }

    /// For each partition of a topic, the offsets that are kept: from the first to one past the last.
    /// `None` where there is no such topic.
    ///
    /// # Errors
    /// `Lost`.
    fn kept(&self, topic: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError>;

    /// Makes a topic with the settings of its purpose, if there is none of that name.
    ///
    /// # Errors
    /// `Lost`.
    fn create(&self, topic: &Topic, purpose: Purpose) -> Result<Created, LogError>;

    /// What topics there are, and which are read: for those who ask, not for decisions.
    ///
    /// # Errors
    /// `Lost`.
    fn inventory(&self) -> Result<crate::Inventory, LogError>;
}

/// What a topic is for, which says its settings (`docs/reference/topics.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Delete 7 days, LogAppendTime, one partition a lane.
    Inbox,
    /// Never deleted but by [`Log::trim`], one partition a lane.
    Journal,
    /// Compact, one partition a lane.
    Snapshots,
    /// Delete 30 days.
    Events,
    /// Delete 7 days, LogAppendTime.
    Tasks,
    /// Compact, one partition.
    Definitions,
    /// Compact and delete.
    Redrives,
    /// Delete 30 days, LogAppendTime.
    DeadLetters,
    /// A user's topic, which only the embedded log makes unasked.
    User,
}

/// Whether a topic was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made now.
    Now,
    /// It stood already, and is left as it is.
    Before,
}

/// Where a follower begins in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At each partition's first kept offset.
    Earliest,
    /// At each partition's end, as it is now.
    End,
    /// At these offsets, by partition; a partition that is not named, at its first kept offset; one that
    /// is no longer kept, at the first that is.
    At(Vec<(Partition, Offset)>),
}

/// Sends records anywhere.
pub trait Outlet {
    /// Hands over without waiting. Records of one key and topic are stored in the order of the calls. Where one
    /// is given up, a later one may be stored without it, but for public events: a reader that has seen the
    /// later one would pass over the earlier one when it is sent again.
    ///
    /// # Errors
    /// `Lost` where nothing can be sent any more. What becomes of single records is said by
    /// [`Outlet::settled`].
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError>;

    /// Hands over the first of what waits, and with it as many of the next as go in one step, and removes them: as
    /// so many calls of [`Outlet::send`], between which nothing can come.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    fn send_first(&mut self, waiting: &mut VecDeque<Ticketed>) -> Result<(), LogError> {
        match waiting.pop_front() {
            Some((ticket, records)) => self.send(ticket, records),
            None => Ok(()),
        }
    }

    /// What has become of tickets since the last call, in any order. Waits up to `wait` for the first
    /// where nothing is ready; zero does not wait.
    ///
    /// # Errors
    /// `Lost`.
    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError>;
}

/// A lane's inbox and journal.
pub trait Log: Outlet {
    /// The offsets that are kept: from the first to one past the last that any reader can see now.
    ///
    /// # Errors
    /// `Lost`.
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError>;

    /// Records from `from` on, in order, as many as are at hand, up to the broker's own bound. Waits up
    /// to `wait` for the first. Empty: there was nothing at `from` when the wait was over. The inbox is
    /// read with `read_committed`.
    ///
    /// # Errors
    /// `Gone`, `PastEnd`, `Lost`.
    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError>;

    /// The largest entry that [`Log::append`] takes, bytes. Does not change while the log is open.
    fn entry_bytes_max(&self) -> usize;

    /// Appends to the journal and blocks until all are acknowledged durable. Keeps their order; a gap
    /// between the offsets is for the caller to judge. `None`: stored, but the broker did not say where.
    ///
    /// # Errors
    /// `TooLarge`: nothing was stored. `InDoubt`: any part of it may be, now or later.
    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError>;

    /// Lets go of journal records below `below`; what is kept afterwards may begin lower.
    ///
    /// # Errors
    /// `Lost`.
    fn trim(&mut self, below: Offset) -> Result<(), LogError>;
}

/// What members of a group share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// The lanes.
    Lanes,
    /// The records of these topics. `starts`: where a partition begins of which nothing was committed
    /// yet; one that is not named begins at its first kept offset.
    Records {
        /// Which topics.
        topics: Vec<Topic>,
        /// From where.
        starts: Vec<(Topic, Partition, Offset)>,
    },
}

/// What a feed has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fed {
    /// Nothing within the wait.
    Idle,
    /// Records of this member's share, in order within each partition.
    Records(Vec<Record>),
    /// The lanes that this member should try to hold, all of them; said again whenever the group has
    /// decided anew. `generation` rises with each decision.
    Lanes {
        /// Of the group.
        generation: u64,
        /// The lanes.
        held: Vec<LaneId>,
    },
}

/// A member's share.
pub trait Feed: Outlet + Send {
    /// The next records or lanes.
    ///
    /// # Errors
    /// `Lost`.
    fn next(&mut self, wait: Duration) -> Result<Fed, LogError>;

    /// Says that everything below these offsets is done: after a crash, reading goes on from there at
    /// the latest. Does not wait. Partitions that are no longer held are passed over, and so is what is below where this
    /// holding of one began: somebody else has done it, and more, meanwhile.
    ///
    /// # Errors
    /// `Lost`.
    fn commit(&mut self, done: &[(Topic, Partition, Offset)]) -> Result<(), LogError>;

    /// Changes the share to these topics, keeping the place in those that stay.
    ///
    /// # Errors
    /// `Lost`.
    fn reshare(&mut self, share: Share) -> Result<(), LogError>;

    /// Reads a partition again from `offset`, if it is held and already further.
    ///
    /// # Errors
    /// `Lost`.
    fn rewind(
        &mut self,
        topic: &Topic,
        partition: Partition,
        offset: Offset,
    ) -> Result<(), LogError>;
}

/// A reader of whole topics.
pub trait Follow: Send {
    /// The next records, in order within each partition. Waits up to `wait` for the first.
    ///
    /// # Errors
    /// `Lost`.
    fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError>;
}
