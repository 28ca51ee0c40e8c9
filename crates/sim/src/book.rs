//! The participants' books: the kit's marks, and every effect, in one transaction. They outlive the participants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Failure, Ledger, LedgerError};

/// A change in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Whose.
    pub(crate) key: String,
    /// The command that asked for it.
    pub(crate) subject: String,
    /// What was to be done.
    pub(crate) operation: String,
    pub(crate) is_undo: bool,
}

#[derive(Default)]
struct Pages {
    marks: BTreeMap<String, Vec<u8>>,
    effects: Vec<Effect>,
    /// Commands that were answered with a failure.
    failed: BTreeMap<String, Failure>,
    /// No mark is ever found again.
    forgets: bool,
}

/// The books of one agent. Cheap to share.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

/// A change to them, that is there only when it is committed.
pub(crate) struct Change {
    book: Book,
    marks: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) effects: Vec<Effect>,
}

impl Book {
    /// Of somebody who keeps none: what comes again is done again.
    pub(crate) fn forgetful() -> Self {
        Self(Arc::new(Mutex::new(Pages { forgets: true, ..Pages::default() })))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it said when the same command came before, if that was a failure.
    pub(crate) fn said(&self, command: &str) -> Option<Failure> {
        self.pages().failed.get(command).cloned()
    }

    /// Keeps that.
    pub(crate) fn says(&self, command: &str, failure: &Failure) {
        self.pages().failed.insert(command.to_owned(), failure.clone());
    }

    /// All effects, in order.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.pages().effects.clone()
    }
}

impl Ledger for Book {
    type Tx<'t> = Change;

    fn begin(&self) -> Result<Change, LedgerError> {
        Ok(Change { book: self.clone(), marks: BTreeMap::new(), effects: Vec::new() })
    }

    fn mark(tx: &mut Change, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        if let Some(changed) = tx.marks.get(name) {
            return Ok(changed.clone());
        }
        let pages = tx.book.pages();
        Ok(pages.marks.get(name).filter(|_| !pages.forgets).cloned())
    }

    fn set_mark(tx: &mut Change, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError> {
        tx.marks.insert(name.to_owned(), mark.map(<[u8]>::to_vec));
        Ok(())
    }

    fn commit(tx: Change) -> Result<(), LedgerError> {
        let mut pages = tx.book.pages();
        for (name, mark) in tx.marks {
            match mark {
                Some(mark) => pages.marks.insert(name, mark),
                None => pages.marks.remove(&name),
            };
        }
        pages.effects.extend(tx.effects);
        Ok(())
    }
}
