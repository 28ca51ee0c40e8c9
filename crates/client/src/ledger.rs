//! Where a participant notes what it has done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The store could not read or write. Names the store and what it said.
#[derive(Debug, thiserror::Error)]
#[error("the participant's store failed: {what}")]
pub struct LedgerError {
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LedgerError {
    /// What the store was asked to do, and its error.
    #[must_use]
    pub fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }

    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }
}

/// The store of a participant: its own books, and beside them the kit's marks, in one transaction.
///
/// That is what makes a do happen once. The kit begins a transaction, reads the mark of the command's
/// idempotency key, calls the participant's function with the transaction, writes the mark and commits.
/// A crash before the commit leaves neither the change nor the mark; after it, the repeated command
/// finds the mark and is answered the first output.
///
/// A mark is a name and some bytes: a table with two columns, or a key space of its own, will do.
/// Marks must outlive the commands that may still come: keep them for as long as the tasks topic and
/// the longest saga, 30 days by default.
pub trait Ledger: Send + Sync + 'static {
    /// A transaction of the store. Dropped without [`Ledger::commit`], it must leave nothing behind.
    type Tx<'t>
    where
        Self: 't;

    /// Begins a transaction that is serialisable against all others: of two that read and write the
    /// same mark, the second waits, or fails at its commit.
    ///
    /// # Errors
    /// What the store says.
    fn begin(&self) -> Result<Self::Tx<'_>, LedgerError>;

    /// The bytes of a mark, as this transaction sees it.
    ///
    /// # Errors
    /// What the store says.
    fn mark(tx: &mut Self::Tx<'_>, name: &str) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Writes a mark, or with `None` takes it away.
    ///
    /// # Errors
    /// What the store says.
    fn set_mark(tx: &mut Self::Tx<'_>, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError>;

    /// Makes everything written in the transaction visible and durable, whole or not at all. An answer
    /// leaves only after this has returned.
    ///
    /// # Errors
    /// What the store says; it may have been committed all the same.
    fn commit(tx: Self::Tx<'_>) -> Result<(), LedgerError>;
}

/// What is known of an idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub(crate) enum Mark {
    /// It was done, with this output.
    Done { output: Value },
    /// An attempt failed with unknown effects.
    Unsure,
    /// It was done, and undone.
    Undone,
    /// Its undo came first: it must never be done.
    Barred,
}

pub(crate) fn read_mark<L: Ledger>(
    tx: &mut L::Tx<'_>,
    key: &str,
) -> Result<Option<Mark>, LedgerError> {
    let name = mark_name(key);
    let Some(bytes) = L::mark(tx, &name)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| LedgerError::new(format!("mark `{name}` can not be read"), error))
}

pub(crate) fn write_mark<L: Ledger>(
    tx: &mut L::Tx<'_>,
    key: &str,
    mark: Option<&Mark>,
) -> Result<(), LedgerError> {
    let name = mark_name(key);
    let bytes = mark.map(serde_json::to_vec).transpose();
    let bytes = bytes
        .map_err(|error| LedgerError::new(format!("mark `{name}` can not be written"), error))?;
    L::set_mark(tx, &name, bytes.as_deref())
}

/// The highest compensation epoch seen of a run; 0 where none was noted.
pub(crate) fn read_epoch<L: Ledger>(tx: &mut L::Tx<'_>, run: &str) -> Result<u64, LedgerError> {
    let name = epoch_name(run);
    let Some(bytes) = L::mark(tx, &name)? else { return Ok(0) };
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| LedgerError::broken(format!("mark `{name}` is not a number")))
}

pub(crate) fn write_epoch<L: Ledger>(
    tx: &mut L::Tx<'_>,
    run: &str,
    epoch: u64,
) -> Result<(), LedgerError> {
    L::set_mark(tx, &epoch_name(run), Some(epoch.to_string().as_bytes()))
}

fn mark_name(key: &str) -> String {
    format!("key/{key}")
}

fn epoch_name(run: &str) -> String {
    format!("epoch/{run}")
}
