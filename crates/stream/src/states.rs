//! The states that a lane holds, with their wake index and what changed since the last snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use events::Timestamp;

use crate::broker::Key;

/// States by key. Looked up by key, walked only in the order of time.
#[derive(Debug)]
pub struct States<S> {
    held: HashMap<Key, Held<S>>,
    wakes: BTreeSet<(Timestamp, Key)>,
    changed: HashSet<Key>,
}

#[derive(Debug)]
struct Held<S> {
    state: S,
    wake_at: Option<Timestamp>,
}

impl<S> Default for States<S> {
    fn default() -> Self {
        Self { held: HashMap::new(), wakes: BTreeSet::new(), changed: HashSet::new() }
    }
}

impl<S> States<S> {
    /// The state of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&S> {
        self.held.get(key).map(|held| &held.state)
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

    /// Changes the state of `key` by `fold`; `wake_at` then says when it wants to be woken.
    pub fn change(
        &mut self,
        key: &Key,
        fold: impl FnOnce(&mut Option<S>),
        wake_at: impl FnOnce(&S) -> Option<Timestamp>,
    ) {
        let (mut state, woken) = match self.held.remove(key) {
            Some(held) => (Some(held.state), held.wake_at),
            None => (None, None),
        };
        if let Some(at) = woken {
            self.wakes.remove(&(at, key.clone()));
        }
        fold(&mut state);
        if let Some(state) = state {
            let wake_at = wake_at(&state);
            if let Some(at) = wake_at {
                self.wakes.insert((at, key.clone()));
            }
            self.held.insert(key.clone(), Held { state, wake_at });
        }
        self.changed.insert(key.clone());
    }

    /// Takes the wake of `key` from the index, until its state changes again.
    pub(crate) fn silence(&mut self, key: &Key) {
        if let Some(held) = self.held.get_mut(key)
            && let Some(at) = held.wake_at.take()
        {
            self.wakes.remove(&(at, key.clone()));
        }
    }

    /// Takes a state from a snapshot.
    pub(crate) fn restore(
        &mut self,
        key: Key,
        state: S,
        wake_at: impl FnOnce(&S) -> Option<Timestamp>,
    ) {
        self.change(&key, |held| *held = Some(state), wake_at);
        self.changed.remove(&key);
    }

    /// How many have changed since the last capture.
    pub(crate) fn changed(&self) -> usize {
        self.changed.len()
    }

    /// The keys that have changed since the last capture, in their order; forgets that they have.
    pub(crate) fn take_changed(&mut self) -> BTreeMap<Key, Option<&S>> {
        let keys: Vec<Key> = self.changed.drain().collect();
        keys.into_iter()
            .map(|key| (key.clone(), self.held.get(&key).map(|held| &held.state)))
            .collect()
    }
}
