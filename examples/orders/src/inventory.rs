//! Inventory: `reserve_stock` and `release_stock`.

use client::{Command, Failure, LedgerError, Participant, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::{Books, Change};

/// What lies on the shelf of an article that nobody has asked for before.
pub const OPENING_PIECES: u64 = 1_000_000;
/// Articles that begin so are sold out.
pub const SOLD_OUT: &str = "sold-out";
/// Articles that begin so are looked for a while before the answer comes.
pub const SLOW: &str = "slow-";

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The article.
    pub sku: String,
    /// How many pieces.
    #[serde(alias = "qty")]
    pub quantity: u64,
}

#[derive(Deserialize)]
struct Order {
    order_id: String,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Article {
    opening: u64,
    available: u64,
    reserved: u64,
}

#[derive(Serialize, Deserialize)]
struct Reservation {
    order_id: String,
    lines: Vec<Line>,
    is_released: bool,
}

/// What the books add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Pieces that there were at the beginning; always `available + reserved`.
    pub opening: u64,
    /// Pieces that can be had.
    pub available: u64,
    /// Pieces that are reserved, as the shelves say.
    pub reserved: u64,
    /// Reservations that stand.
    pub reservations: u64,
    /// Pieces in those; always `reserved`.
    pub in_reservations: u64,
}

/// The service over its books.
#[must_use]
pub fn participant(books: Books) -> Participant<Books> {
    Participant::new("inventory", books)
        .on("reserve_stock", reserve)
        .on_undo("release_stock", release)
}

fn reserve(books: &mut Change<'_>, command: &Command) -> Result<Value, Failure> {
    let Order { order_id, lines } = command.inputs()?;
    for line in &lines {
        let mut article = article(books, &line.sku)?;
        let Some(left) = article.available.checked_sub(line.quantity) else {
            let message = format!(
                "{} of `{}` wanted, {} are left",
                line.quantity, line.sku, article.available
            );
            return Err(Failure::refused("out_of_stock", message));
        };
        article.available = left;
        article.reserved += line.quantity;
        books.put(&shelf(&line.sku), &article)?;
    }
    let reservation = Reservation { order_id, lines, is_released: false };
    books.put(&name_of(command), &reservation)?;
    Ok(json!({"reservation_id": command.idempotency_key}))
}

fn release(books: &mut Change<'_>, command: &Command, _: Option<&Value>) -> Result<Undo, Failure> {
    let Some(mut reservation) = books.get::<Reservation>(&name_of(command))? else {
        return Ok(Undo::NothingToUndo);
    };
    for line in &reservation.lines {
        let mut article = article(books, &line.sku)?;
        article.available += line.quantity;
        article.reserved = article.reserved.checked_sub(line.quantity).ok_or_else(|| {
            Failure::refused("books_wrong", format!("more `{}` released than reserved", line.sku))
        })?;
        books.put(&shelf(&line.sku), &article)?;
    }
    reservation.is_released = true;
    books.put(&name_of(command), &reservation)?;
    Ok(Undo::Undone)
}

fn article(books: &Change<'_>, sku: &str) -> Result<Article, LedgerError> {
    let is_sold_out = sku.strip_prefix(SLOW).unwrap_or(sku).starts_with(SOLD_OUT);
    let opening = if is_sold_out { 0 } else { OPENING_PIECES };
    Ok(books.get(&shelf(sku))?.unwrap_or(Article { opening, available: opening, reserved: 0 }))
}

fn shelf(sku: &str) -> String {
    format!("article/{sku}")
}

fn name_of(command: &Command) -> String {
    format!("reservation/{}", command.idempotency_key)
}

/// Adds the books up.
///
/// # Errors
/// What the store says.
pub fn totals(books: &Books) -> Result<Totals, LedgerError> {
    let mut totals = Totals::default();
    for article in books.all::<Article>("article/")? {
        totals.opening += article.opening;
        totals.available += article.available;
        totals.reserved += article.reserved;
    }
    let reservations = books.all::<Reservation>("reservation/")?;
    for reservation in reservations.iter().filter(|reservation| !reservation.is_released) {
        totals.reservations += 1;
        totals.in_reservations += reservation.lines.iter().map(|line| line.quantity).sum::<u64>();
    }
    Ok(totals)
}
