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
    marks: Marks,
    effects: Vec<Effect>,
    /// Commands that were answered with a failure.
    failed: BTreeMap<String, Failure>,
    /// No mark is ever found again.
    forgets: bool,
}

type Marks = BTreeMap<String, Vec<u8>>;

/// What the kit's marks about idempotency keys are called begins so; the others are about runs.
const OF_KEYS: &str = "key/";

/// The books of one agent. Cheap to share.
#[derive(Clone, Default)]
pub(crate) struct Book {
    pages: Arc<Mutex<Pages>>,
    /// The marks of keys: an undo may be another agent's than the do, who must know of it.
    of_keys: Arc<Mutex<Marks>>,
}

/// A change to them, that is there only when it is committed.
pub(crate) struct Change {
    book: Book,
    marks: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) effects: Vec<Effect>,
}

impl Book {
    /// Of somebody who keeps none: what comes again is done again.
    pub(crate) fn forgetful() -> Self {
        let pages = Arc::new(Mutex::new(Pages { forgets: true, ..Pages::default() }));
        Self { pages, ..Self::default() }
    }

    /// Another agent's, who knows what this one has done and undone.
    pub(crate) fn beside(&self) -> Self {
        let pages = Pages { forgets: self.pages().forgets, ..Pages::default() };
        Self { pages: Arc::new(Mutex::new(pages)), of_keys: Arc::clone(&self.of_keys) }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is done with the marks among which that one is.
    fn marks<T>(&self, name: &str, run: impl FnOnce(&mut Marks) -> T) -> T {
        match name.starts_with(OF_KEYS) {
            true => run(&mut self.of_keys.lock().unwrap_or_else(PoisonError::into_inner)),
            false => run(&mut self.pages().marks),
        }
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
        if tx.book.pages().forgets {
            return Ok(None);
        }
        Ok(tx.book.marks(name, |marks| marks.get(name).cloned()))
    }

    fn set_mark(tx: &mut Change, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError> {
        tx.marks.insert(name.to_owned(), mark.map(<[u8]>::to_vec));
        Ok(())
    }

    fn commit(tx: Change) -> Result<(), LedgerError> {
        for (name, mark) in tx.marks {
            tx.book.marks(&name.clone(), |marks| match mark {
                Some(mark) => marks.insert(name, mark),
                None => marks.remove(&name),
            });
        }
        tx.book.pages().effects.extend(tx.effects);
        Ok(())
    }
}
