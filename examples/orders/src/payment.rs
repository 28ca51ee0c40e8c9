//! Payment: `charge` and `refund`.

use client::{Command, Failure, LedgerError, Participant, Status, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Change};

/// What a customer whom nobody knows has: 1,000,000.00 in cents.
pub const OPENING_CENTS: i64 = 100_000_000;
/// Customers whose ids begin so have nothing.
pub const DECLINED: &str = "declined-";

#[derive(Deserialize)]
struct Charge {
    order_id: String,
    customer_id: String,
    total: f64,
}

#[derive(Serialize, Deserialize)]
struct Account {
    opening: i64,
    balance: i64,
}

#[derive(Serialize, Deserialize)]
struct Capture {
    order_id: String,
    customer_id: String,
    cents: i64,
    is_refunded: bool,
}

/// What the books add up to, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// What all customers had at the beginning; always `balances + captured_cents`.
    pub opening: i64,
    /// What they have.
    pub balances: i64,
    /// Captures that stand.
    pub captures: u64,
    /// What those come to.
    pub captured_cents: i64,
}

/// The service over its books.
#[must_use]
pub fn participant(books: Books) -> Participant<Books> {
    Participant::new("payment", books)
        .on("charge", charge)
        .on_undo("refund", refund)
        .on_query("charge", was_charged)
}

fn charge(books: &mut Change<'_>, command: &Command) -> Result<Value, Failure> {
    let Charge { order_id, customer_id, total } = command.inputs()?;
    let cents = cents_of(total)?;
    let mut account = account(books, &customer_id)?;
    if account.balance < cents {
        let message = format!("the card of `{customer_id}` is not good for {total}");
        return Err(Failure::refused("card_declined", message));
    }
    account.balance -= cents;
    books.put(&account_of(&customer_id), &account)?;
    let capture = Capture { order_id, customer_id, cents, is_refunded: false };
    books.put(&name_of(command), &capture)?;
    Ok(output(command))
}

fn refund(books: &mut Change<'_>, command: &Command, _: Option<&Value>) -> Result<Undo, Failure> {
    let Some(mut capture) = books.get::<Capture>(&name_of(command))? else {
        return Ok(Undo::NothingToUndo);
    };
    let mut account = account(books, &capture.customer_id)?;
    account.balance += capture.cents;
    books.put(&account_of(&capture.customer_id), &account)?;
    capture.is_refunded = true;
    books.put(&name_of(command), &capture)?;
    Ok(Undo::Undone)
}

/// Asked only after a charge that panicked: everything else the kit knows from its marks.
fn was_charged(books: &mut Change<'_>, command: &Command) -> Status {
    match books.get::<Capture>(&name_of(command)) {
        Ok(Some(capture)) if !capture.is_refunded => Status::Done(output(command)),
        Ok(_) => Status::NotDone,
        Err(_) => Status::Unknown,
    }
}

fn output(command: &Command) -> Value {
    json!({"payment_id": command.idempotency_key})
}

/// Money is counted in whole cents; the saga's `number` is a double.
fn cents_of(total: f64) -> Result<i64, Failure> {
    let cents = (total * 100.0).round();
    if !(0.0..=1e15).contains(&cents) {
        return Err(Failure::refused("bad_total", format!("{total} is no sum to charge")));
    }
    // In range, and whole.
    Ok(cents as i64)
}

fn account(books: &Change<'_>, customer: &str) -> Result<Account, LedgerError> {
    let opening = if customer.starts_with(DECLINED) { 0 } else { OPENING_CENTS };
    Ok(books.get(&account_of(customer))?.unwrap_or(Account { opening, balance: opening }))
}

fn account_of(customer: &str) -> String {
    format!("account/{customer}")
}

fn name_of(command: &Command) -> String {
    format!("capture/{}", command.idempotency_key)
}

/// Adds the books up.
///
/// # Errors
/// What the store says.
pub fn totals(books: &Books) -> Result<Totals, LedgerError> {
    let mut totals = Totals::default();
    for account in books.all::<Account>("account/")? {
        totals.opening += account.opening;
        totals.balances += account.balance;
    }
    for capture in books.all::<Capture>("capture/")?.iter().filter(|capture| !capture.is_refunded) {
        totals.captures += 1;
        totals.captured_cents += capture.cents;
    }
    Ok(totals)
}
