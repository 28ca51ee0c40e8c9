//! The storage library, and what we ask of it.
//!
//! Three of its habits shape this file (`docs/decisions/0006-damage-in-the-embedded-log.md`): a range read directly
//! from a keyspace can see half of a batch that is being applied, so what must be seen whole is read
//! through a snapshot; a batch that is committed without a sync can be seen before it is durable, so
//! nothing is acknowledged before a sync behind it; its error for a damaged table does not name
//! the file, so we look for it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use events::{Offset, Partition};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};

use crate::block::Block;
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

/// One partition's records from an offset up to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
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
                // With more, the first spins for as long as another merges tables.
                .worker_threads(1)
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

    /// The blocks that hold a span's records, in order, up to the bounds of one read. Ends before a missing offset.
    ///
    /// # Errors
    /// The reason, where the disk gives something else than was written.
    pub(crate) fn blocks(&self, span: Span) -> Result<Vec<Block>, String> {
        let Span { topic, partition, from, end } = span;
        let key = |offset| codec::record_key(topic, partition, offset);
        let Some(first) = self.last(topic, partition, from)?.filter(|block| from < block.end)
        else {
            return Ok(Vec::new());
        };
        let last = from + Offset::try_from(READ_RECORDS_MAX).unwrap_or(Offset::MAX);
        let (mut next, mut bytes) = (first.end, first.bytes.len());
        let mut blocks = vec![first];
        for pair in self.records.range(key(next)..key(end.max(next))) {
            if bytes > READ_BYTES_MAX || next > last {
                break;
            }
            let block = self.block(pair)?;
            if block.first != next {
                break;
            }
            next = block.end;
            bytes += block.bytes.len();
            blocks.push(block);
        }
        Ok(blocks)
    }

    /// The last block of a partition that begins at an offset or before it.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn last(
        &self,
        topic: TopicId,
        partition: Partition,
        at: Offset,
    ) -> Result<Option<Block>, String> {
        let key = |offset| codec::record_key(topic, partition, offset);
        self.records.range(key(0)..=key(at)).next_back().map(|pair| self.block(pair)).transpose()
    }

    /// Where the blocks of a span begin, so many at most, and where the next one behind them does.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn begins(&self, span: Span, most: usize) -> Result<Vec<Offset>, String> {
        let Span { topic, partition, from, end } = span;
        let key = |offset| codec::record_key(topic, partition, offset);
        let pairs = self.records.range(key(from)..=key(end)).take(most + 1);
        pairs
            .map(|pair| {
                let key = pair.key().map_err(|error| self.say(&error))?;
                codec::offset_of(&key).ok_or_else(|| self.otherwise())
            })
            .collect()
    }

    fn block(&self, pair: fjall::Guard) -> Result<Block, String> {
        let (key, value) = pair.into_inner().map_err(|error| self.say(&error))?;
        codec::offset_of(&key)
            .and_then(|first| Block::read(first, Bytes::copy_from_slice(&value)))
            .ok_or_else(|| self.otherwise())
    }

    /// That what is read is not what was written.
    pub(crate) fn otherwise(&self) -> String {
        format!(
            "records in {} are not as they were written; put the folder back from a copy",
            self.folder.display()
        )
    }

    /// What happened, where, and what to do.
    fn say(&self, error: &fjall::Error) -> String {
        damage::explain(&self.folder, error)
    }
}
