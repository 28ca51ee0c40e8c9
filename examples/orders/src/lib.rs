//! The five services of `sagas/order-processing.yaml`, as a user could have written them on the
//! participant kit: each has its own books in its own folder, and can be run by itself (`orders
//! inventory`) or with the others in one process ([`Shop`]).
//!
//! What an order comes to is in its content:
//!
//! | order | what happens |
//! |---|---|
//! | any other | it is reserved, charged, screened, shipped, and the customer is told |
//! | `customer_id` begins with `declined-`, or a total above the balance of 1,000,000.00 | payment refuses: `card_declined` |
//! | `customer_id` begins with `fraud-` | fraud refuses: `fraud_suspected` |
//! | a line's `sku` begins with `sold-out`, or its `quantity` is above the stock of 1,000,000 | inventory refuses: `out_of_stock` |
//! | a line's `sku` begins with `slow-` | inventory thinks for 0.4 s: `slow-sold-out` is refused after the payment |
//!
//! A service that is down, flaky or slow is the host's doing: [`Shop::stop`], [`Shop::set_mood`].

pub mod books;
pub mod fraud;
pub mod fulfillment;
pub mod inventory;
mod mood;
pub mod notification;
pub mod payment;
mod shop;

pub use mood::{Mood, SLOW_BY};
pub use shop::{Door, DoorError, OverBroker, OverHttp, Service, Shop, Totals};
