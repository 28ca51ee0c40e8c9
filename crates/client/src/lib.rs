//! For users: a kit for participants, who do what sagas command, and a typed client of the gateway.
//!
//! A participant is an agent's name, a store, and a function for each operation. The kit answers the
//! commands, each once however often it comes, through whichever door there is: [`serve`] over a
//! [`stream::Broker`], [`serve_http`] through the gateway.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Mutex, MutexGuard};
//!
//! use client::{Command, Failure, Ledger, LedgerError, Participant, Undo};
//! use serde_json::json;
//!
//! /// A store: how many pieces there are, and the kit's marks, under one lock.
//! #[derive(Clone, Default)]
//! struct Stock {
//!     pieces: i64,
//!     marks: BTreeMap<String, Vec<u8>>,
//! }
//!
//! struct Shelf(Mutex<Stock>);
//!
//! /// A change to it, that is there only when it is committed.
//! struct Change<'t> {
//!     shelf: MutexGuard<'t, Stock>,
//!     stock: Stock,
//! }
//!
//! impl Ledger for Shelf {
//!     type Tx<'t> = Change<'t>;
//!
//!     fn begin(&self) -> Result<Change<'_>, LedgerError> {
//!         let shelf = self.0.lock().map_err(|error| LedgerError::new("lock", error.to_string()))?;
//!         let stock = shelf.clone();
//!         Ok(Change { shelf, stock })
//!     }
//!
//!     fn mark(tx: &mut Change<'_>, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
//!         Ok(tx.stock.marks.get(name).cloned())
//!     }
//!
//!     fn set_mark(tx: &mut Change<'_>, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError> {
//!         match mark {
//!             Some(mark) => tx.stock.marks.insert(name.to_owned(), mark.to_vec()),
//!             None => tx.stock.marks.remove(name),
//!         };
//!         Ok(())
//!     }
//!
//!     fn commit(mut tx: Change<'_>) -> Result<(), LedgerError> {
//!         *tx.shelf = tx.stock;
//!         Ok(())
//!     }
//! }
//!
//! let shelf = Shelf(Mutex::new(Stock { pieces: 3, ..Stock::default() }));
//! let participant = Participant::new("stock", shelf)
//!     .on("reserve", |change: &mut Change<'_>, command: &Command| {
//!         let pieces: i64 = command.inputs()?;
//!         if change.stock.pieces < pieces {
//!             return Err(Failure::refused("out_of_stock", "too few pieces are left"));
//!         }
//!         change.stock.pieces -= pieces;
//!         Ok(json!({"reserved": pieces}))
//!     })
//!     .on_undo("release", |change: &mut Change<'_>, _: &Command, output: Option<&serde_json::Value>| {
//!         let reserved = output.and_then(|output| output.get("reserved")?.as_i64());
//!         let Some(reserved) = reserved else { return Ok(Undo::NothingToUndo) };
//!         change.stock.pieces += reserved;
//!         Ok(Undo::Undone)
//!     });
//! # use client::{Agent, Answer};
//! # assert_eq!(participant.name().as_str(), "stock");
//! ```
//!
//! On a store that can not hold the marks and the participant's own books in one transaction, a crash
//! between the two can do a thing twice, or never note it. See [`Ledger`].

mod answer;
mod command;
mod door;
mod http;
mod ledger;
mod model;
mod participant;
mod poll;
mod progress;

pub use answer::{Answer, Effects, Failure, Reply, Status};
pub use command::{Asked, Command, Unreadable};
pub use door::{ServeError, Serving, serve};
#[cfg(feature = "kafka")]
pub use kafka;

pub use http::{DEFAULT_URL, Http, HttpError, TaskVerb, Which, Word};
pub use ledger::{Ledger, LedgerError};
pub use model::{
    Deployed, HandedOut, HistoryEvent, Page, Problem, Publish, Published, Task, Workflow,
    WorkflowError, WorkflowStatus,
};
pub use participant::{Agent, OUTPUT_BYTES_MAX, Participant, Undo};
pub use poll::{PollError, serve_http};
