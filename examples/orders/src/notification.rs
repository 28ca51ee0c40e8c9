//! Notification. Its task has no `type`, so the operation is the task's id.

use client::{Command, Failure, LedgerError, Participant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Change};

#[derive(Serialize, Deserialize)]
struct Notice {
    customer_id: String,
    tracking: String,
}

/// What the books add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Notices that were sent.
    pub notices: u64,
}

/// The service over its books.
#[must_use]
pub fn participant(books: Books) -> Participant<Books> {
    Participant::new("notification", books).on("notification", notify)
}

fn notify(books: &mut Change<'_>, command: &Command) -> Result<Value, Failure> {
    let notice: Notice = command.inputs()?;
    books.put(&format!("notice/{}", command.idempotency_key), &notice)?;
    Ok(json!({"notified": notice.customer_id}))
}

/// Adds the books up.
///
/// # Errors
/// What the store says.
pub fn totals(books: &Books) -> Result<Totals, LedgerError> {
    Ok(Totals { notices: books.all::<Notice>("notice/")?.len() as u64 })
}
