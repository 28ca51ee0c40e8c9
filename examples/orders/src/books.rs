//! A service's own store: what it keeps, and beside it the marks of the participant kit, in one
//! transaction.

use std::path::Path;

use client::{Ledger, LedgerError};
use fjall::{
    KeyspaceCreateOptions, PersistMode, Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace,
    SingleWriterWriteTx,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The books of one service, in a folder of their own. Cheap to clone. One process at a time opens a
/// folder; the store refuses a second.
#[derive(Clone)]
pub struct Books {
    store: SingleWriterTxDatabase,
    entries: SingleWriterTxKeyspace,
    marks: SingleWriterTxKeyspace,
}

/// Memory for what is read often; the example's books are small.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

impl Books {
    /// Opens the books in `folder`, empty ones where there are none.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let failed = |error| LedgerError::new(format!("opening {}", folder.display()), error);
        let store = SingleWriterTxDatabase::builder(folder).cache_size(CACHE_BYTES).open();
        let store = store.map_err(failed)?;
        let entries = store.keyspace("entries", KeyspaceCreateOptions::default).map_err(failed)?;
        let marks = store.keyspace("marks", KeyspaceCreateOptions::default).map_err(failed)?;
        Ok(Self { store, entries, marks })
    }

    /// All entries whose names begin with `prefix`, in the order of their names, as of one moment.
    ///
    /// # Errors
    /// What the store says.
    pub fn all<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, LedgerError> {
        let failed = |error| LedgerError::new(format!("reading {prefix}"), error);
        self.store
            .read_tx()
            .prefix(&self.entries, prefix)
            .map(|entry| decode(prefix, &entry.value().map_err(failed)?))
            .collect()
    }
}

/// A change to the books that is there only when the kit has committed it.
pub struct Change<'t> {
    tx: SingleWriterWriteTx<'t>,
    books: &'t Books,
}

impl Change<'_> {
    /// The entry of that name.
    ///
    /// # Errors
    /// What the store says.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, LedgerError> {
        let read = self.tx.get(&self.books.entries, name);
        let read = read.map_err(|error| LedgerError::new(format!("reading {name}"), error))?;
        read.map(|bytes| decode(name, &bytes)).transpose()
    }

    /// Writes the entry of that name.
    ///
    /// # Errors
    /// Where `entry` has no JSON form.
    pub fn put<T: Serialize>(&mut self, name: &str, entry: &T) -> Result<(), LedgerError> {
        let bytes = serde_json::to_vec(entry)
            .map_err(|error| LedgerError::new(format!("writing {name}"), error))?;
        self.tx.insert(&self.books.entries, name, bytes);
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes)
        .map_err(|error| LedgerError::new(format!("reading {name}"), error))
}

impl Ledger for Books {
    type Tx<'t> = Change<'t>;

    fn begin(&self) -> Result<Change<'_>, LedgerError> {
        // On the disk, not only with the system, before an answer leaves.
        let tx = self.store.write_tx().durability(Some(PersistMode::SyncData));
        Ok(Change { tx, books: self })
    }

    fn mark(tx: &mut Change<'_>, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let read = tx.tx.get(&tx.books.marks, name);
        let read = read.map_err(|error| LedgerError::new(format!("reading mark {name}"), error))?;
        Ok(read.map(|bytes| bytes.to_vec()))
    }

    fn set_mark(tx: &mut Change<'_>, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError> {
        match mark {
            Some(mark) => tx.tx.insert(&tx.books.marks, name, mark),
            None => tx.tx.remove(&tx.books.marks, name),
        }
        Ok(())
    }

    fn commit(tx: Change<'_>) -> Result<(), LedgerError> {
        tx.tx.commit().map_err(|error| LedgerError::new("committing", error))
    }
}
