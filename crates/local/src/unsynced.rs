//! Batches that were written and wait for a sync: of what was sent, and nobody waits for.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Instant;

use fjall::OwnedWriteBatch;

use crate::answer::Answer;
use crate::journal_file::{MARK_KEY, Mark};
use crate::store::Store;

/// How far the disk is behind what was written.
pub(crate) struct Unsynced {
    mark: Mark,
    /// When the first of them was written.
    pub(crate) since: Option<Instant>,
    /// To be given once they are on the disk.
    pub(crate) answers: Vec<Answer>,
}

impl Unsynced {
    /// At an opening: all is on the disk.
    pub(crate) fn none() -> Self {
        // The standard library's hashing has its own chance: no two openings have the same number.
        let session = RandomState::new().hash_one(0);
        let mark = Mark { session, number: 0, synced: 0 };
        Self { mark, since: None, answers: Vec::new() }
    }

    /// Writes a batch with its mark.
    ///
    /// # Errors
    /// Of the storage.
    pub(crate) fn write(
        &mut self,
        store: &Store,
        mut batch: OwnedWriteBatch,
    ) -> Result<(), String> {
        self.mark.number += 1;
        self.since.get_or_insert_with(Instant::now);
        batch.insert(&store.meta, MARK_KEY, self.mark.encode());
        store.write(batch)
    }

    /// Has all that was written on the disk.
    ///
    /// # Errors
    /// Of the storage.
    pub(crate) fn sync(&mut self, store: &Store) -> Result<(), String> {
        if self.since.take().is_some() {
            store.sync()?;
            self.mark.synced = self.mark.number;
        }
        Ok(())
    }
}
