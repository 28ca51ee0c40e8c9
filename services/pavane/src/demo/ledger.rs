//! Expected beside happened, and whether they are the same.

use orders::Totals;
use serde_json::{Value, json};

use crate::demo::orders::Order;
use crate::output::table;

/// One line of the summary.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) happened: String,
}

impl Line {
    pub(crate) fn new(
        what: impl Into<String>,
        expected: impl ToString,
        happened: impl ToString,
    ) -> Self {
        let (expected, happened) = (expected.to_string(), happened.to_string());
        Self { what: what.into(), expected, happened }
    }

    pub(crate) fn holds(&self) -> bool {
        self.expected == self.happened
    }
}

/// The summary for people.
pub(crate) fn text(lines: &[Line]) -> String {
    table(
        ["", "WHAT", "EXPECTED", "HAPPENED"],
        lines.iter().map(|line| {
            let mark = if line.holds() { "✔" } else { "✘" };
            [mark.to_owned(), line.what.clone(), line.expected.clone(), line.happened.clone()]
        }),
    )
}

/// The same as JSON.
pub(crate) fn value(lines: &[Line]) -> Value {
    let items: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "what": line.what,
                "expected": line.expected,
                "happened": line.happened,
                "holds": line.holds(),
            })
        })
        .collect();
    json!({"ok": lines.iter().all(Line::holds), "lines": items})
}

/// What the services' books must say after these orders have `completed`: each moved once, and of all
/// others nothing is left.
pub(crate) fn books(completed: &[&Order], before: &Totals, after: &Totals) -> Vec<Line> {
    let count = u64::try_from(completed.len()).unwrap_or(u64::MAX);
    let pieces: u64 = completed.iter().map(|order| order.pieces).sum();
    let cents: i64 = completed.iter().map(|order| order.cents).sum();
    let grown = |after: u64, before: u64| i128::from(after) - i128::from(before);
    let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let (stock, payment) = (&after.inventory, &after.payment);
    vec![
        Line::new(
            "reservations that stand",
            count,
            grown(stock.reservations, before.inventory.reservations),
        ),
        Line::new("pieces reserved", pieces, grown(stock.reserved, before.inventory.reserved)),
        Line::new(
            "stock at the beginning = available + reserved",
            stock.opening,
            stock.available + stock.reserved,
        ),
        Line::new("payments that stand", count, grown(payment.captures, before.payment.captures)),
        Line::new(
            "money taken",
            money(cents),
            money(payment.captured_cents - before.payment.captured_cents),
        ),
        Line::new(
            "money at the beginning = balances + taken",
            money(payment.opening),
            money(payment.balances + payment.captured_cents),
        ),
        Line::new(
            "shipments",
            count,
            grown(after.fulfillment.shipments, before.fulfillment.shipments),
        ),
        Line::new(
            "customers told",
            count,
            grown(after.notification.notices, before.notification.notices),
        ),
    ]
}
