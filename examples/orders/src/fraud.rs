//! Fraud: `screen`. Changes nothing that would have to be undone.

use client::{Command, Failure, LedgerError, Participant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Change};

/// Customers whose ids begin so are suspected.
pub const SUSPECTED: &str = "fraud-";

#[derive(Deserialize)]
struct Order {
    order_id: String,
    customer_id: String,
    total: f64,
}

#[derive(Serialize, Deserialize)]
struct Screening {
    order_id: String,
    total: f64,
}

/// What the books add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orders that were screened and cleared.
    pub cleared: u64,
}

/// The service over its books.
#[must_use]
pub fn participant(books: Books) -> Participant<Books> {
    Participant::new("fraud", books).on("screen", screen)
}

fn screen(books: &mut Change<'_>, command: &Command) -> Result<Value, Failure> {
    let Order { order_id, customer_id, total } = command.inputs()?;
    if customer_id.starts_with(SUSPECTED) {
        let message = format!("order `{order_id}` of `{customer_id}` looks like fraud");
        return Err(Failure::refused("fraud_suspected", message));
    }
    let name = format!("screening/{}", command.idempotency_key);
    books.put(&name, &Screening { order_id, total })?;
    Ok(json!({"risk": "low"}))
}

/// Adds the books up.
///
/// # Errors
/// What the store says.
pub fn totals(books: &Books) -> Result<Totals, LedgerError> {
    Ok(Totals { cleared: books.all::<Screening>("screening/")?.len() as u64 })
}
