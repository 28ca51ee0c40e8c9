//! The reader: what makes a record of the journal valid or void. One function, used by restore,
//! read-back, tests and tools, so that every reader comes to the same verdict.

use events::{Offset, Timestamp, planted};
use minicbor::{Decode, Encode};

use crate::journal::{Announce, Decide, FORMAT, Owner, Written};

/// All that a reader carries besides the states. It is a snapshot's marker, too: a place alone would not
/// tell which epoch to judge by.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Context {
    /// The journal offset to read next.
    #[n(0)]
    pub next: Offset,
    /// The newest epoch in effect; 0 before the first.
    #[n(1)]
    pub epoch: u64,
    /// Whose it is.
    #[n(2)]
    pub owner: Owner,
    /// The last valid record's number in its epoch.
    #[n(3)]
    pub seq: u64,
    /// The inbox offset to read next; `None` before the first valid record.
    #[n(4)]
    pub position: Option<Offset>,
    /// Below it, all that follows from every valid record has been acknowledged.
    #[n(5)]
    pub cursor: Offset,
    /// The last valid record's time.
    #[n(6)]
    pub time: Timestamp,
    /// How many lanes there are, for life.
    #[n(7)]
    pub lanes: u32,
    /// The highest format that stands below `next`.
    #[n(8)]
    pub format: u32,
}

/// What the reader says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// An announcement that takes effect.
    Announced,
    /// A decision that holds.
    Valid,
    /// It changes nothing. The text is a metric's label.
    Void(&'static str),
}

/// Why a journal can not be read on. The lane refuses; nothing is ever skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// An offset is missing or came twice.
    #[error("journal offset {wanted} was expected, but {found} came")]
    Jump {
        /// Expected.
        wanted: Offset,
        /// Found.
        found: Offset,
    },
    /// Written by a newer build.
    #[error(
        "journal offset {at} announces format {format}, but this build reads up to {FORMAT}; \
         run the newer build"
    )]
    Format {
        /// Where.
        at: Offset,
        /// Which.
        format: u32,
    },
    /// A record or an event in it that this build does not know.
    #[error(
        "the journal record at offset {at} can not be read: {what}; run the build that wrote it"
    )]
    Unknown {
        /// Where.
        at: Offset,
        /// What the decoder says.
        what: String,
    },
}

impl Context {
    /// Of an empty journal.
    #[must_use]
    pub fn empty(lanes: u32) -> Self {
        Self {
            next: 0,
            epoch: 0,
            owner: Owner::default(),
            seq: 0,
            position: None,
            cursor: 0,
            time: Timestamp::default(),
            lanes,
            format: FORMAT,
        }
    }

    /// Judges the record at `offset` by what stands before it, and moves on past it.
    ///
    /// # Errors
    /// A jump, or a format that this build does not know.
    pub fn judge(&mut self, offset: Offset, written: &Written) -> Result<Ruling, ReadError> {
        match written {
            Written::Announce(announce) => self.judge_announce(offset, announce),
            Written::Decide(decide) => self.judge_decide(offset, decide),
        }
    }

    fn judge_announce(&mut self, at: Offset, announce: &Announce) -> Result<Ruling, ReadError> {
        if announce.format > FORMAT {
            return Err(ReadError::Format { at, format: announce.format });
        }
        self.pass(at)?;
        let is_tied = announce.epoch == self.epoch && planted("tie-goes-to-the-last");
        if announce.epoch <= self.epoch && !is_tied && !planted("old-announcement-counts") {
            return Ok(Ruling::Void("announcement of an old epoch"));
        }
        self.epoch = announce.epoch;
        self.owner = announce.owner;
        self.seq = 0;
        self.format = self.format.max(announce.format);
        Ok(Ruling::Announced)
    }

    pub(crate) fn judge_decide(
        &mut self,
        at: Offset,
        decide: &Decide,
    ) -> Result<Ruling, ReadError> {
        self.pass(at)?;
        let void = if (decide.epoch != self.epoch || decide.owner != self.owner)
            && !planted("epoch-ignored")
        {
            Some("another epoch")
        } else if decide.seq != self.seq + 1 && !planted("sequence-ignored") {
            Some("out of sequence")
        } else if self.position.is_some_and(|position| decide.position < position) {
            Some("position falls")
        } else if decide.cursor > at {
            Some("cursor ahead")
        } else {
            None
        };
        if let Some(why) = void {
            return Ok(Ruling::Void(why));
        }
        self.seq = decide.seq;
        self.position = Some(decide.position);
        self.cursor = self.cursor.max(decide.cursor);
        self.time = self.time.max(decide.time);
        Ok(Ruling::Valid)
    }

    fn pass(&mut self, at: Offset) -> Result<(), ReadError> {
        if at != self.next {
            return Err(ReadError::Jump { wanted: self.next, found: at });
        }
        self.next = at + 1;
        Ok(())
    }
}
