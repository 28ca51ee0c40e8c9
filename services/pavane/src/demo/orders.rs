//! What is ordered: good orders, orders that must fail, and records that are no orders at all.

use serde_json::{Value, json};

/// The topic on which the shop publishes.
pub(crate) const TOPIC: &str = "shop.orders";
/// The name of the event.
const EVENT: &str = "OrderPlaced";

/// What becomes of an order, which its content decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plot {
    /// Nothing goes wrong.
    Good,
    /// The card is not good for it.
    Declined,
    /// The customer is suspected.
    Fraud,
    /// The stock turns out to be gone after the payment was made.
    SoldOut,
    /// Placed while fulfilment is down.
    Outage,
}

impl Plot {
    pub(crate) const ALL: [Self; 5] =
        [Self::Good, Self::Declined, Self::Fraud, Self::SoldOut, Self::Outage];

    /// The plot of the nth order, from 0: twelve orders hold every plot.
    const fn of(n: u32) -> Self {
        match n % 12 {
            2 | 9 => Self::Declined,
            4 => Self::Fraud,
            6 => Self::SoldOut,
            11 => Self::Outage,
            0..=u32::MAX => Self::Good,
        }
    }

    /// In a few words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Good => "good order",
            Self::Declined => "card declined",
            Self::Fraud => "fraud suspected",
            Self::SoldOut => "sold out after payment",
            Self::Outage => "fulfilment is down",
        }
    }

    /// The status that it must end in, and the code of the error.
    pub(crate) const fn end(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Good | Self::Outage => ("completed", None),
            Self::Declined => ("compensated", Some("card_declined")),
            Self::Fraud => ("compensated", Some("fraud_suspected")),
            Self::SoldOut => ("compensated", Some("out_of_stock")),
        }
    }
}

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) plot: Plot,
    pub(crate) pieces: u64,
    pub(crate) cents: i64,
}

impl Order {
    /// So many orders; `tag` tells the ids of one run from those of another.
    pub(crate) fn list(count: u32, tag: &str) -> Vec<Self> {
        (0..count)
            .map(|n| Self {
                id: format!("o-{tag}{:02}", n + 1),
                plot: Plot::of(n),
                pieces: u64::from(n % 3 + 1),
                cents: 1_250 + i64::from(n % 40) * 425,
            })
            .collect()
    }

    /// The body of the call that publishes it.
    pub(crate) fn record(&self) -> Value {
        let customer = match self.plot {
            Plot::Good | Plot::SoldOut | Plot::Outage => format!("c-{}", self.id),
            Plot::Declined => format!("declined-{}", self.id),
            Plot::Fraud => format!("fraud-{}", self.id),
        };
        let article = match self.plot {
            Plot::Good | Plot::Declined | Plot::Fraud | Plot::Outage => "lamp",
            Plot::SoldOut => "slow-sold-out-lamp",
        };
        // Written as text, so that the amount has two places and no rounding of its own.
        let total = format!("{}.{:02}", self.cents / 100, self.cents % 100);
        let value = format!(
            r#"{{"order_id":"{}","customer_id":"{customer}","lines":[{{"sku":"{article}","quantity":{}}}],"total":{total}}}"#,
            self.id, self.pieces,
        );
        json!({"key": self.id, "value": value, "headers": {"ce_type": EVENT}})
    }
}

/// A record that can never be an order.
#[derive(Clone, Debug)]
pub(crate) struct Poison {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) words: &'static str,
    /// The class and code of the dead letter.
    pub(crate) class: &'static str,
    pub(crate) code: &'static str,
}

impl Poison {
    /// One of each kind.
    pub(crate) fn list(tag: &str) -> Vec<Self> {
        let key = |n: u32| format!("p-{tag}{n}");
        let short = format!(r#"{{"order_id":"{}","total":1}}"#, key(3));
        let wrong =
            format!(r#"{{"order_id":"{}","customer_id":"c","lines":[],"total":"a lot"}}"#, key(4));
        let poison = |n: u32, value: &[u8], words, class, code| Self {
            key: key(n),
            value: value.to_vec(),
            words,
            class,
            code,
        };
        vec![
            poison(1, b"{\"order_id\": \"p-", "half a JSON object", "undecodable", "json"),
            poison(2, b"\xff\xfe\x00order", "bytes that are no text", "undecodable", "utf8"),
            poison(3, short.as_bytes(), "an order without a customer", "invalid", "bad_start"),
            poison(4, wrong.as_bytes(), "a total that is no number", "invalid", "bad_start"),
        ]
    }

    /// The body of the call that publishes it.
    pub(crate) fn record(&self) -> Value {
        let bytes = crate::verbs::publish::base64(&self.value);
        json!({"key": self.key, "value_base64": bytes, "headers": {"ce_type": EVENT}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_orders_hold_every_plot() {
        let orders = Order::list(12, "");
        for plot in Plot::ALL {
            assert!(orders.iter().any(|order| order.plot == plot), "{plot:?}");
        }
        let value = orders[0].record()["value"].as_str().unwrap().to_owned();
        let value: Value = serde_json::from_str(&value).unwrap();
        assert_eq!(value["total"], 12.5);
    }
}
