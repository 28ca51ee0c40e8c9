//! Fulfillment: `prepare_shipment`, the pivot. There is no undo: a parcel does not come back.

use client::{Command, Failure, LedgerError, Participant, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Change};

#[derive(Deserialize)]
struct Order {
    order_id: String,
    reservation: String,
}

#[derive(Serialize, Deserialize)]
struct Shipment {
    order_id: String,
    reservation: String,
}

/// What the books add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Shipments that were prepared.
    pub shipments: u64,
}

/// The service over its books.
#[must_use]
pub fn participant(books: Books) -> Participant<Books> {
    Participant::new("fulfillment", books)
        .on("prepare_shipment", prepare)
        .on_query("prepare_shipment", was_prepared)
}

fn prepare(books: &mut Change<'_>, command: &Command) -> Result<Value, Failure> {
    let Order { order_id, reservation } = command.inputs()?;
    books.put(&name_of(command), &Shipment { order_id, reservation })?;
    Ok(output(command))
}

/// Asked only after an attempt that panicked: everything else the kit knows from its marks.
fn was_prepared(books: &mut Change<'_>, command: &Command) -> Status {
    match books.get::<Shipment>(&name_of(command)) {
        Ok(Some(_)) => Status::Done(output(command)),
        Ok(None) => Status::NotDone,
        Err(_) => Status::Unknown,
    }
}

fn output(command: &Command) -> Value {
    json!({"tracking": format!("track-{}", command.idempotency_key)})
}

fn name_of(command: &Command) -> String {
    format!("shipment/{}", command.idempotency_key)
}

/// Adds the books up.
///
/// # Errors
/// What the store says.
pub fn totals(books: &Books) -> Result<Totals, LedgerError> {
    Ok(Totals { shipments: books.all::<Shipment>("shipment/")?.len() as u64 })
}
