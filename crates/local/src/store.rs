//! The storage library, and what we ask of it.
//!
//! Three of its habits shape this file (`docs/decisions/0006-damage-in-the-embedded-log.md`): a range read directly
//! from a keyspace can see half of a batch that is being applied, so what must be seen whole is read
//! through a snapshot; a batch that is committed without a sync can be seen before it is durable, so
//! nothing is acknowledged before a sync behind it; its error for a damaged table does not name
//! the file, so we look for it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use events::{Offset, Partition, Place, Record, Timestamp, Topic};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};
use stream::LogError;

use crate::codec::{self, TopicId};
use crate::error::LocalError;
use crate::limits::{READ_BYTES_MAX, READ_RECORDS_MAX};
use crate::open::Hold;
use crate::{Durability, damage};

/// The open storage.
pub(crate) struct Store {
    database: Database,
    pub(crate) records: Keyspace,
    pub(crate) meta: Keyspace,
    pub(crate) snapshots: Keyspace,
    folder: PathBuf,
    durability: Durability,
    /// Held as long as the storage is open, so it is declared, and so let go of, last.
    _lock: Option<Hold>,
}

/// One partition's records to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) name: &'a Topic,
    pub(crate) topic: TopicId,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
}

impl Store {
    /// Opens the library's folder, making it if there is none.
    pub(crate) fn open(
        folder: &Path,
        durability: Durability,
        lock: Option<Hold>,
    ) -> Result<Self, LocalError> {
        let failed = |error: fjall::Error| damage::refuse(folder, &error);
        // A damaged list of its own files makes the library panic.
        let database = std::panic::catch_unwind(|| {
            Database::builder(folder)
                // What is compressed can not be told from what is damaged by looking at its length.
                .journal_compression(fjall::CompressionType::None)
                .open()
        })
        .map_err(|_| LocalError::Damaged {
            file: folder.to_owned(),
            what: "the storage library can not make sense of its list of files".to_owned(),
        })?
        .map_err(failed)?;
        let keyspace =
            |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(failed);
        Ok(Self {
            records: keyspace("records")?,
            meta: keyspace("meta")?,
            snapshots: keyspace("snapshots")?,
            folder: folder.to_owned(),
            durability,
            database,
            _lock: lock,
        })
    }

    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// Writes a batch whole. It is in the system's hands, and survives the death of this process.
    ///
    /// # Errors
    /// The reason. The library takes no batch after it.
    pub(crate) fn write(&self, batch: OwnedWriteBatch) -> Result<(), String> {
        batch.durability(Some(PersistMode::Buffer)).commit().map_err(|error| self.say(&error))
    }

    /// Whether acknowledged means on the disk.
    pub(crate) fn syncs(&self) -> bool {
        self.durability == Durability::Disk
    }

    /// Has all that was written on the disk.
    ///
    /// # Errors
    /// The reason. The library takes no batch after it.
    pub(crate) fn sync(&self) -> Result<(), String> {
        match self.durability {
            Durability::Disk => {
                self.database.persist(PersistMode::SyncData).map_err(|error| self.say(&error))
            }
            Durability::Os => Ok(()),
        }
    }

    /// All pairs whose keys begin with `prefix`, as of one moment; or the reason why there is no next one.
    pub(crate) fn all(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), String>> {
        self.database.snapshot().prefix(keyspace, prefix).map(|pair| {
            let (key, value) = pair.into_inner().map_err(|error| self.say(&error))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        })
    }

    /// # Errors
    /// The reason.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        let value = self.meta.get(key).map_err(|error| self.say(&error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// The records of a span, in order, up to the bounds of one read. Ends before a missing offset.
    ///
    /// # Errors
    /// `Lost` where the disk gives something else than was written.
    pub(crate) fn read(&self, span: Span<'_>) -> Result<Vec<Record>, LogError> {
        let Span { name, topic, partition, from, end } = span;
        let keys =
            codec::record_key(topic, partition, from)..codec::record_key(topic, partition, end);
        let mut records = Vec::new();
        let mut bytes = 0;
        for (pair, offset) in self.records.range(keys).zip(from..end) {
            let (key, value) =
                pair.into_inner().map_err(|error| LogError::Lost(self.say(&error)))?;
            if codec::offset_of(&key) != Some(offset) {
                break;
            }
            bytes += value.len();
            if records.len() == READ_RECORDS_MAX || (bytes > READ_BYTES_MAX && !records.is_empty())
            {
                break;
            }
            let place = Place { topic: name.clone(), partition, offset };
            let record = codec::decode(place.clone(), Bytes::copy_from_slice(&value));
            records.push(record.ok_or_else(|| {
                LogError::Lost(format!("record {place} in {} is not as it was written", self.at()))
            })?);
        }
        Ok(records)
    }

    /// How many of a span's first records are at least as old as `oldest`.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn count_old(
        &self,
        topic: TopicId,
        partition: Partition,
        range: Range<Offset>,
        oldest: impl Fn(Timestamp) -> bool,
    ) -> Result<Offset, String> {
        let key = |offset| codec::record_key(topic, partition, offset);
        let mut old = 0;
        for pair in self.records.range(key(range.start)..key(range.end)) {
            if !oldest(self.time(pair)?.1) {
                break;
            }
            old += 1;
        }
        Ok(old)
    }

    /// The last record of a partition.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn last(
        &self,
        topic: TopicId,
        partition: Partition,
        from: Offset,
    ) -> Result<Option<(Offset, Timestamp)>, String> {
        let key = |offset| codec::record_key(topic, partition, offset);
        let last = self.records.range(key(from)..=key(Offset::MAX)).next_back();
        last.map(|pair| self.time(pair)).transpose()
    }

    fn time(&self, pair: fjall::Guard) -> Result<(Offset, Timestamp), String> {
        let (key, value) = pair.into_inner().map_err(|error| self.say(&error))?;
        codec::offset_of(&key)
            .zip(codec::time_of(&value))
            .ok_or_else(|| format!("a record in {} is not as it was written", self.at()))
    }

    fn at(&self) -> String {
        self.folder.display().to_string()
    }

    /// What happened, where, and what to do.
    fn say(&self, error: &fjall::Error) -> String {
        damage::explain(&self.folder, error)
    }
}
