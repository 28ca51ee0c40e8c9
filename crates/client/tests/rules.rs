//! What a participant owes, over random commands that are repeated, reordered and cut off by crashes.
//! The store is in memory and can crash at each commit, before or after it took hold; the books hold
//! one number a key, which every do raises and every undo lowers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use client::{
    Agent, Answer, Asked, Command, Effects, Failure, Ledger, LedgerError, Participant, Status, Undo,
};
use events::{SagaName, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    Never,
    BeforeCommit,
    AfterCommit,
}

#[derive(Clone, Default)]
struct Stored {
    marks: BTreeMap<String, Vec<u8>>,
    /// By idempotency key: done, less undone.
    books: BTreeMap<String, i64>,
}

struct World {
    stored: Mutex<Stored>,
    crash: Mutex<Crash>,
    /// Counts calls of the user's functions, to tell their outputs apart.
    calls: Mutex<i64>,
}

#[derive(Clone)]
struct Memory(Arc<World>);

struct Tx<'t> {
    held: MutexGuard<'t, Stored>,
    world: &'t World,
    change: Stored,
}

impl Ledger for Memory {
    type Tx<'t> = Tx<'t>;

    fn begin(&self) -> Result<Tx<'_>, LedgerError> {
        let held = self.0.stored.lock().unwrap();
        Ok(Tx { change: held.clone(), held, world: &self.0 })
    }

    fn mark(tx: &mut Tx<'_>, name: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(tx.change.marks.get(name).cloned())
    }

    fn set_mark(tx: &mut Tx<'_>, name: &str, mark: Option<&[u8]>) -> Result<(), LedgerError> {
        match mark {
            Some(mark) => tx.change.marks.insert(name.to_owned(), mark.to_vec()),
            None => tx.change.marks.remove(name),
        };
        Ok(())
    }

    fn commit(mut tx: Tx<'_>) -> Result<(), LedgerError> {
        let crash = std::mem::replace(&mut *tx.world.crash.lock().unwrap(), Crash::Never);
        if crash != Crash::BeforeCommit {
            *tx.held = tx.change;
        }
        match crash {
            Crash::Never => Ok(()),
            Crash::BeforeCommit | Crash::AfterCommit => Err(LedgerError::new("commit", "crashed")),
        }
    }
}

/// How the user's function behaves, by the command's value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Works,
    Refuses,
    LosesTrack,
    Panics,
}

impl Behaviour {
    fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refuses => "refuses",
            Self::LosesTrack => "loses track",
            Self::Panics => "panics",
        }
    }
}

fn change(tx: &mut Tx<'_>, command: &Command, by: i64) -> Result<i64, Failure> {
    *tx.change.books.entry(command.idempotency_key.clone()).or_default() += by;
    match command.value.as_str() {
        Some("refuses") => Err(Failure::refused("no", "no")),
        Some("loses track") => Err(Failure::retryable("lost", "lost").with_unknown_effects()),
        // Silently, without the default hook's noise.
        Some("panics") => std::panic::resume_unwind(Box::new(())),
        _ => {
            let mut calls = tx.world.calls.lock().unwrap();
            *calls += 1;
            Ok(*calls)
        }
    }
}

fn participant(world: &Arc<World>) -> Participant<Memory> {
    Participant::new("agent", Memory(Arc::clone(world)))
        .on("work", |tx: &mut Tx<'_>, command: &Command| Ok(json!(change(tx, command, 1)?)))
        .on_undo("unwork", |tx: &mut Tx<'_>, command: &Command, output: Option<&Value>| {
            let was_done = tx.change.books.get(&command.idempotency_key) == Some(&1);
            assert_eq!(output.is_some(), was_done, "an undo gets the output of what was done");
            if !was_done {
                return Ok(Undo::NothingToUndo);
            }
            change(tx, command, -1).map(|_| Undo::Undone)
        })
}

#[derive(Clone, Debug)]
struct Sent {
    asked: Asked,
    key: u8,
    epoch: u64,
    is_expired: bool,
    behaviour: Behaviour,
    crash: Crash,
}

fn command(sent: &Sent) -> Command {
    let (word, operation) = match sent.asked {
        Asked::Do | Asked::Cancel => ("do", "work"),
        Asked::Undo => ("undo", "unwork"),
        Asked::Query => ("query", "work"),
    };
    let subject_text = format!("saga:a/task{}/7.{word}1", sent.key);
    Command {
        asked: sent.asked,
        subject: subject_text.parse().unwrap(),
        subject_text,
        saga: SagaName::from("saga"),
        operation: operation.to_owned(),
        idempotency_key: format!("key{}", sent.key),
        epoch: sent.epoch,
        deadline: Some(Timestamp::from_millis(100)),
        appended_at: Timestamp::from_millis(if sent.is_expired { 101 } else { 100 }),
        traceparent: None,
        value: json!(sent.behaviour.word()),
    }
}

/// What an observer may conclude from answers alone.
#[derive(Default)]
struct Seen {
    outputs: BTreeMap<u8, Value>,
    undone: BTreeMap<u8, bool>,
    unsure: BTreeMap<u8, bool>,
    /// The highest epoch of a command that was answered.
    epoch: u64,
    /// And of any that was sent.
    epoch_sent: u64,
    /// Keys of commands that were cut off: what became of those is not said.
    fog: BTreeSet<u8>,
}

impl Seen {
    fn check(&mut self, sent: &Sent, before: i64, after: i64, answer: Option<&Answer>) {
        assert!((0..=1).contains(&after), "{sent:?} left {after} of one thing");
        let is_late = sent.is_expired || sent.epoch < self.epoch;
        self.epoch_sent = self.epoch_sent.max(sent.epoch);
        if after > before {
            assert_eq!(sent.asked, Asked::Do, "only a do does: {sent:?}");
            assert!(!is_late, "a late do was done: {sent:?}");
            assert!(!self.is_undone(sent.key), "done after its undo: {sent:?}");
        }
        if after < before {
            assert_eq!(sent.asked, Asked::Undo, "only an undo undoes: {sent:?}");
            self.undone.insert(sent.key, true);
        }
        let Some(answer) = answer else {
            self.fog.insert(sent.key);
            return;
        };
        self.epoch = self.epoch.max(sent.epoch);
        match sent.asked {
            Asked::Do => self.check_do(sent, after, answer),
            Asked::Undo => self.check_undo(sent, before, after, answer),
            Asked::Query => match answer {
                Answer::Status(Status::Done(output)) => {
                    assert_eq!(after, 1);
                    assert_eq!(self.outputs.get(&sent.key).unwrap_or(output), output);
                }
                Answer::Status(Status::NotDone) => {
                    assert_eq!(after, 0);
                    assert!(self.is_foggy(sent.key) || !self.is_unsure(sent.key), "{sent:?}");
                }
                Answer::Status(Status::Unknown) => {
                    assert!(self.is_foggy(sent.key) || self.is_unsure(sent.key), "{sent:?}");
                }
                Answer::Completed(_) | Answer::Failed(_) | Answer::NothingToUndo => {
                    panic!("{sent:?} was answered {answer:?}")
                }
            },
            Asked::Cancel => match answer {
                Answer::Completed(_) => assert_eq!(after, 1),
                Answer::Failed(failure) => {
                    assert_eq!((after, &*failure.code), (0, "cancelled"));
                    let is_unsure = failure.effects == Effects::Unknown;
                    assert!(self.is_foggy(sent.key) || is_unsure == self.is_unsure(sent.key));
                }
                Answer::NothingToUndo | Answer::Status(_) => {
                    panic!("{sent:?} was answered {answer:?}")
                }
            },
        }
    }

    fn check_do(&mut self, sent: &Sent, after: i64, answer: &Answer) {
        match answer {
            Answer::Completed(output) => {
                assert_eq!(after, 1, "said to be done: {sent:?}");
                let first = self.outputs.entry(sent.key).or_insert_with(|| output.clone());
                assert_eq!(first, output, "a repeat is answered the first output");
            }
            Answer::Failed(failure) => {
                assert_eq!(after, 0, "said to have failed: {sent:?}");
                match &*failure.code {
                    "already_undone" => {
                        assert!(self.is_foggy(sent.key) || self.is_undone(sent.key), "{sent:?}");
                    }
                    "superseded" | "expired" => {
                        assert!(sent.is_expired || sent.epoch < self.epoch_sent, "{sent:?}");
                        let is_unsure = failure.effects == Effects::Unknown;
                        assert!(self.is_foggy(sent.key) || is_unsure == self.is_unsure(sent.key));
                    }
                    "no" | "lost" | "panicked" => {
                        assert_ne!(sent.behaviour, Behaviour::Works);
                        self.unsure.insert(sent.key, failure.effects == Effects::Unknown);
                    }
                    other => panic!("{sent:?} failed with {other}"),
                }
            }
            Answer::NothingToUndo | Answer::Status(_) => {
                panic!("{sent:?} was answered {answer:?}")
            }
        }
    }

    fn check_undo(&mut self, sent: &Sent, before: i64, after: i64, answer: &Answer) {
        match answer {
            Answer::Completed(_) | Answer::NothingToUndo => {
                assert_eq!(after, 0, "said to be undone: {sent:?}");
                self.undone.insert(sent.key, true);
                self.unsure.remove(&sent.key);
                self.outputs.remove(&sent.key);
            }
            Answer::Failed(failure) => {
                assert_eq!((before, after), (1, 1), "only what was done can fail to be undone");
                assert_ne!(sent.behaviour, Behaviour::Works, "{}", failure.code);
            }
            other @ Answer::Status(_) => panic!("{sent:?} was answered {other:?}"),
        }
    }

    fn is_undone(&self, key: u8) -> bool {
        self.undone.get(&key).copied().unwrap_or_default()
    }

    fn is_foggy(&self, key: u8) -> bool {
        self.fog.contains(&key)
    }

    fn is_unsure(&self, key: u8) -> bool {
        self.unsure.get(&key).copied().unwrap_or_default()
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let asked = prop_oneof![
        5 => Just(Asked::Do), 3 => Just(Asked::Undo), 1 => Just(Asked::Query), 1 => Just(Asked::Cancel)
    ];
    let behaviour = prop_oneof![
        4 => Just(Behaviour::Works),
        1 => Just(Behaviour::Refuses),
        1 => Just(Behaviour::LosesTrack),
        1 => Just(Behaviour::Panics),
    ];
    let crash = prop_oneof![
        4 => Just(Crash::Never), 1 => Just(Crash::BeforeCommit), 1 => Just(Crash::AfterCommit)
    ];
    (asked, 0..2_u8, 0..3_u64, prop::bool::weighted(0.1), behaviour, crash).prop_map(
        |(asked, key, epoch, is_expired, behaviour, crash)| Sent {
            asked,
            key,
            epoch,
            is_expired,
            behaviour,
            crash,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_repeated_reordered_or_cut_off_is_done_once(
        commands in prop::collection::vec(sent(), 1..25),
    ) {
        let world = Arc::new(World {
            stored: Mutex::default(),
            crash: Mutex::new(Crash::Never),
            calls: Mutex::default(),
        });
        let mut seen = Seen::default();
        for sent in &commands {
            let command = command(sent);
            let books = |world: &World| {
                world.stored.lock().unwrap().books.get(&command.idempotency_key).copied()
            };
            let before = books(&world).unwrap_or_default();
            *world.crash.lock().unwrap() = sent.crash;
            // A participant of its own each time: nothing is remembered outside of the store.
            let answer = participant(&world).answer(&command).ok();
            *world.crash.lock().unwrap() = Crash::Never;
            let after = books(&world).unwrap_or_default();
            seen.check(sent, before, after, answer.as_ref());
        }
    }
}
