//! The whole journal of a lane, folded from its first record: what any reader must come to.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use coordinator::{Coordinator, Decided, Remembered};
use events::{Offset, Record, plant};
use stream::{Context, Decide, Key, Ruling, Service, Stored, Written};

use crate::store::Store;
use crate::world::Inner;

/// A fold up to a place.
pub(crate) struct Fold {
    pub(crate) context: Context,
    pub(crate) states: BTreeMap<Key, Remembered>,
    /// What holds, in order.
    pub(crate) valid: Vec<(Offset, Decide, Vec<Decided>)>,
    encoded: BTreeMap<Key, Bytes>,
}

impl Fold {
    pub(crate) fn new(lanes: u32) -> Self {
        Self {
            context: Context::empty(lanes),
            states: BTreeMap::new(),
            valid: Vec::new(),
            encoded: BTreeMap::new(),
        }
    }

    /// Folds on, up to a place.
    pub(crate) fn fold_to(&mut self, records: &[Record], end: Offset) -> Result<(), String> {
        // Whatever is planted, it is not planted in the judge.
        let planted = plant(None);
        let folded = self.fold(records, end);
        plant(planted);
        folded
    }

    fn fold(&mut self, records: &[Record], end: Offset) -> Result<(), String> {
        let from = records.partition_point(|record| record.place.offset < self.context.next);
        for record in &records[from..] {
            let offset = record.place.offset;
            if offset >= end {
                break;
            }
            let written = Written::decode(record.value.as_deref().unwrap_or_default())?;
            let ruling = self.context.judge(offset, &written).map_err(|error| error.to_string())?;
            let (Ruling::Valid, Written::Decide(decide)) = (ruling, written) else { continue };
            let events = decide.body.events::<Decided>()?;
            catch_unwind(AssertUnwindSafe(|| events.iter().for_each(|event| self.evolve(event))))
                .map_err(|_| format!("{offset} can not be folded: {decide:?}"))?;
            self.valid.push((offset, decide, events));
        }
        Ok(())
    }

    fn evolve(&mut self, event: &Decided) {
        let key = stream::Journaled::key(event);
        let mut state = self.states.remove(&key);
        Coordinator::evolve(&mut state, event);
        self.encoded.remove(&key);
        if let Some(state) = state {
            self.states.insert(key, state);
        }
    }

    /// The states as a snapshot would hold them.
    fn encoded(&mut self) -> &BTreeMap<Key, Bytes> {
        for (key, state) in &self.states {
            if !self.encoded.contains_key(key) {
                self.encoded.insert(key.clone(), Bytes::from(state.encode()));
            }
        }
        &self.encoded
    }
}

impl Inner {
    /// A snapshot has landed: with the journal behind it, it must be the whole fold.
    pub(crate) fn snapshot_landed(&mut self, lane: u32) {
        let held = &self.store.snapshots[lane as usize];
        let marker = held.marker.clone().unwrap_or_default();
        let context: Context = match minicbor::decode(&marker) {
            Ok(context) => context,
            Err(error) => {
                self.broken.push(format!("lane {lane}: a marker that can not be read: {error}"));
                return;
            }
        };
        let records = &self.store.part(Store::JOURNAL, lane).records;
        let fold = &mut self.folds[lane as usize];
        if context.next < fold.context.next {
            // A lost snapshot was replaced by one that goes less far.
            *fold = Fold::new(self.store.lanes);
        }
        if let Err(error) = fold.fold_to(records, context.next) {
            self.broken.push(format!("lane {lane}: the journal can not be folded: {error}"));
            return;
        }
        let expected = Context { cursor: context.cursor, ..fold.context.clone() };
        if expected != context {
            self.broken.push(format!(
                "fold-only: lane {lane}: the marker is {context:?}, the fold {expected:?}"
            ));
        }
        let whole = fold.encoded();
        let differs: Vec<&Key> = whole
            .keys()
            .chain(held.states.keys())
            .filter(|key| whole.get(*key) != held.states.get(*key))
            .collect();
        if let Some(key) = differs.first() {
            self.broken.push(format!(
                "fold-only: lane {lane}: at {} the snapshot of `{key}` is not the fold",
                context.next
            ));
        }
    }
}
