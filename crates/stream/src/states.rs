//! The states that a lane holds, with their wake index and what changed since the last snapshot.
//!
//! Most workflows wait, and those that wait are many. So a state that nothing has touched for a while is at
//! rest: its bytes, as a snapshot has them, and nothing else. It is decoded when it is asked for. Beyond what such
//! bytes may take of memory they lie in a file.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use events::{Timestamp, planted};

use crate::broker::Key;
use crate::service::Stored;
use crate::shelf::{Resting, Shelf, Spill};

/// States by key. Looked up by key, walked only in the order of time.
#[derive(Debug)]
pub struct States<S> {
    held: HashMap<Key, Held<S>>,
    wakes: BTreeSet<(Timestamp, Key)>,
    changed: HashSet<Key>,
    /// Each key once whose state is decoded and may come to rest; the next to be looked at comes first.
    awake: RefCell<VecDeque<Key>>,
    awake_max: usize,
    shelf: Shelf,
}

#[derive(Debug)]
struct Held<S> {
    /// Empty where the state is at rest. Between calls never a cell with `None` in it.
    decoded: OnceCell<Box<Option<S>>>,
    /// The bytes, where nothing is decoded or what is has not changed since.
    resting: Resting,
    wake_at: Option<Timestamp>,
    /// It was asked for since it was last looked at.
    touched: Cell<bool>,
}

impl<S> Held<S> {
    fn new() -> Self {
        Self {
            decoded: OnceCell::from(Box::new(None)),
            resting: Resting::default(),
            wake_at: None,
            touched: Cell::new(true),
        }
    }

    fn state(&self) -> Option<&S> {
        self.decoded.get().and_then(|state| state.as_ref().as_ref())
    }
}

impl<S> States<S> {
    /// None, and at most so many of those that may rest are to be decoded; the others lie where `spill` says.
    #[must_use]
    pub fn new(awake_max: usize, spill: Spill) -> Self {
        Self {
            held: HashMap::new(),
            wakes: BTreeSet::new(),
            changed: HashSet::new(),
            awake: RefCell::default(),
            awake_max,
            shelf: Shelf::new(spill),
        }
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the first state wants to be woken.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The first key that wants to be woken at or before `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<(Timestamp, Key)> {
        self.wakes.first().filter(|(at, _)| *at <= now).cloned()
    }

    /// Takes the wake of `key` from the index, until its state changes again.
    pub(crate) fn silence(&mut self, key: &Key) {
        if let Some(held) = self.held.get_mut(key)
            && let Some(at) = held.wake_at.take()
        {
            self.wakes.remove(&(at, key.clone()));
        }
    }

    /// How many have changed since the last capture.
    pub(crate) fn changed(&self) -> usize {
        self.changed.len()
    }
}

impl<S: Stored> States<S> {
    /// The state of a key.
    ///
    /// # Panics
    /// A state at rest can not be decoded, though this build has encoded or read it (`fold-only`).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&S> {
        let (key, held) = self.held.get_key_value(key)?;
        held.touched.set(true);
        let state = held.decoded.get_or_init(|| {
            self.awake.borrow_mut().push_back(key.clone());
            Box::new(Some(decoded(key, &self.shelf.bytes(&held.resting))))
        });
        state.as_ref().as_ref()
    }

    /// Changes the state of `key` by `fold`; `wake_at` then says when it wants to be woken.
    ///
    /// # Panics
    /// As [`States::get`].
    pub fn change(
        &mut self,
        key: &Key,
        fold: impl FnOnce(&mut Option<S>),
        wake_at: impl FnOnce(&S) -> Option<Timestamp>,
    ) {
        let held = match self.held.get_mut(key) {
            Some(held) => held,
            None => self.held.entry(key.clone()).or_insert_with(Held::new),
        };
        let was_awake = held.state().is_some();
        let mut state = match held.decoded.take() {
            Some(state) => state,
            None => Box::new(Some(decoded(key, &self.shelf.bytes(&held.resting)))),
        };
        self.shelf.drop_bytes(std::mem::take(&mut held.resting));
        fold(&mut state);
        let wakes_at = state.as_ref().as_ref().and_then(wake_at);
        if held.wake_at != wakes_at {
            if let Some(at) = held.wake_at {
                self.wakes.remove(&(at, key.clone()));
            }
            if let Some(at) = wakes_at {
                self.wakes.insert((at, key.clone()));
            }
        }
        self.changed.insert(key.clone());
        match state.as_ref() {
            Some(state) if !was_awake && state.may_rest() => {
                self.awake.get_mut().push_back(key.clone());
            }
            Some(_) => {}
            None => {
                self.held.remove(key);
                return;
            }
        }
        (held.decoded, held.wake_at) = (OnceCell::from(state), wakes_at);
        held.touched.set(true);
        self.settle();
    }

    /// Drops the state of a key.
    pub(crate) fn forget(&mut self, key: &Key) {
        let Some(held) = self.held.remove(key) else { return };
        self.shelf.drop_bytes(held.resting);
        if let Some(at) = held.wake_at {
            self.wakes.remove(&(at, key.clone()));
        }
    }

    /// Takes a state from a snapshot, with its bytes there; nothing is held under its key.
    pub(crate) fn restore(
        &mut self,
        key: Key,
        state: S,
        bytes: &[u8],
        wake_at: impl FnOnce(&S) -> Option<Timestamp>,
    ) {
        let wake_at = wake_at(&state).filter(|_| !planted("wake-not-restored"));
        if let Some(at) = wake_at {
            self.wakes.insert((at, key.clone()));
        }
        let (decoded, resting) = match state.may_rest() {
            true => (OnceCell::new(), self.shelf.put(bytes.into())),
            false => (OnceCell::from(Box::new(Some(state))), Resting::default()),
        };
        self.held.insert(key, Held { decoded, resting, wake_at, touched: Cell::new(false) });
    }

    /// Lets states come to rest until few enough are decoded: roughly what was not asked for the longest (second
    /// chance, F. J. Corbato, A paging experiment with the Multics system, 1968).
    fn settle(&mut self) {
        while self.awake.get_mut().len() > self.awake_max {
            let Some(key) = self.awake.get_mut().pop_front() else { return };
            // What is gone since does not come back to rest.
            let Some(held) = self.held.get_mut(&key) else { continue };
            if held.touched.replace(false) {
                self.awake.get_mut().push_back(key);
            } else if let Some(state) = held.decoded.take().and_then(|state| *state)
                && held.resting.is_nothing()
            {
                held.resting = self.shelf.put(state.encode());
            }
        }
    }

    /// The keys that have changed since the last capture, in their order, with the bytes of their states; forgets
    /// that they have.
    pub(crate) fn take_changed(&mut self) -> BTreeMap<Key, Option<Bytes>> {
        let bytes = |held: &Held<S>| match held.state() {
            Some(state) => Bytes::from(state.encode()),
            None => Bytes::from(self.shelf.bytes(&held.resting).into_owned()),
        };
        let keys: Vec<Key> = self.changed.drain().collect();
        keys.into_iter().map(|key| (key.clone(), self.held.get(&key).map(bytes))).collect()
    }
}

fn decoded<S: Stored>(key: &Key, bytes: &[u8]) -> S {
    match S::decode(bytes) {
        Ok(state) => state,
        Err(why) => panic!("fold-only: the state of `{key}`, at rest, can not be read: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;
    use crate::testing::tally::{Added, Tally};

    #[test]
    fn what_nothing_asks_for_comes_to_rest_and_is_the_same_when_it_is_asked_for() {
        let mut states = States::new(2, Spill::never());
        let keys: Vec<Key> = (0..5).map(|n| Key::from(format!("key{n}"))).collect();
        let add = |states: &mut States<_>, key: &Key, what: &str| {
            let event = Added { key: key.clone(), what: what.to_owned(), n: 0 };
            states.change(key, |state| Tally::evolve(state, &event), Tally::wake_at);
        };
        for key in &keys {
            add(&mut states, key, "x");
        }
        let awake =
            |states: &States<_>| states.held.values().filter(|held| held.state().is_some()).count();
        assert_eq!(awake(&states), 2);
        for key in &keys {
            assert_eq!(states.get(key).unwrap().all, ["x"]);
        }
        assert_eq!(awake(&states), 5, "what was only read rests again with the next change");
        add(&mut states, &keys[0], "y");
        assert_eq!(awake(&states), 2);
        assert_eq!(states.get(&keys[0]).unwrap().all, ["x", "y"]);
        assert_eq!(states.take_changed().len(), 5);
        assert_eq!(states.len(), 5);
        states.change(&keys[1], |state| *state = None, Tally::wake_at);
        assert_eq!(states.take_changed(), BTreeMap::from([(keys[1].clone(), None)]), "it is gone");
    }
}
