//! The whole journal of a lane, folded from its first record: what any reader must come to.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use coordinator::{Coordinator, Decided, Remembered};
use events::{Offset, Record};
use stream::{Context, Decide, Key, Origin, Ruling, Service, Stored, Written};

use crate::in_time::Fired;
use crate::referee::Referee;
use crate::store::{Held, Store};
use crate::world::Inner;

/// A fold up to a place.
pub(crate) struct Fold {
    pub(crate) context: Context,
    pub(crate) states: BTreeMap<Key, Remembered>,
    /// What holds, in order.
    pub(crate) valid: Vec<(Offset, Decide, Vec<Decided>)>,
    encoded: BTreeMap<Key, Bytes>,
    /// Timers that have gone since this was last emptied.
    pub(crate) fired: Vec<Fired>,
    /// Of one that is folded from the first record on.
    referee: Option<Referee>,
}

impl Fold {
    pub(crate) fn new(lanes: u32) -> Self {
        Self {
            context: Context::empty(lanes),
            referee: Some(Referee::default()),
            states: BTreeMap::new(),
            valid: Vec::new(),
            encoded: BTreeMap::new(),
            fired: Vec::new(),
        }
    }

    /// Folds on, up to a place.
    pub(crate) fn fold_to(&mut self, records: &[Record], end: Offset) -> Result<(), String> {
        let from = records.partition_point(|record| record.place.offset < self.context.next);
        for record in &records[from..] {
            let offset = record.place.offset;
            if offset >= end {
                break;
            }
            let written = Written::decode(record.value.as_deref().unwrap_or_default())?;
            let ruling = self.context.judge(offset, &written).map_err(|error| error.to_string())?;
            if let Some(referee) = &mut self.referee
                && (!referee.agrees(offset, &written, ruling)
                    || referee.cursor() != self.context.cursor)
            {
                return Err(format!("fold-only: {offset} is read as {ruling:?}: {written:?}"));
            }
            let (Ruling::Valid, Written::Decide(decide)) = (ruling, written) else { continue };
            let events = decide.body.events::<Decided>()?;
            if let Origin::Timer(key) = &decide.source
                && let Some((key, state)) = self.states.get_key_value(key.as_str())
                && let Some(due) = Coordinator::wake_at(state)
            {
                let Decide { owner, seq, position, .. } = decide;
                self.fired.push(Fired { key: key.clone(), due, by: (owner, seq), position });
            }
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

/// A lane as whoever takes it over would restore it, kept up with the journal beside the fold of the whole.
pub(crate) struct Standby {
    pub(crate) whole: Fold,
    restored: Fold,
    /// Records of which both have said what they say.
    seen: usize,
}

impl Standby {
    pub(crate) fn new(lanes: u32) -> Self {
        Self { whole: Fold::new(lanes), restored: Fold::new(lanes), seen: 0 }
    }

    /// A snapshot has landed: what it holds is taken in place of what was folded.
    fn restore(&mut self, held: &Held, context: Context) -> Result<(), String> {
        let decode = |(key, bytes): (&Key, &Bytes)| Ok((key.clone(), Remembered::decode(bytes)?));
        self.restored.states = held.states.iter().map(decode).collect::<Result<_, String>>()?;
        self.restored.encoded.clear();
        self.restored.valid.clear();
        self.restored.context = context;
        self.restored.referee = None;
        Ok(())
    }

    /// Folds both on, and says of which state they do not say the same.
    fn go_on(&mut self, records: &[Record], end: Offset) -> Result<Vec<Key>, String> {
        self.whole.fold_to(records, end)?;
        self.restored.fold_to(records, end)?;
        let touched: BTreeSet<Key> = self.whole.valid[self.seen..]
            .iter()
            .flat_map(|(_, _, events)| events.iter().map(stream::Journaled::key))
            .collect();
        self.seen = self.whole.valid.len();
        let text = |fold: &Fold, key: &Key| fold.states.get(key).map(Stored::encode);
        let differs = |key: &Key| text(&self.whole, key) != text(&self.restored, key);
        Ok(touched.into_iter().filter(differs).collect())
    }
}

impl Inner {
    /// A record stands in the journal: snapshot and journal are the whole fold, still.
    pub(crate) fn appended(&mut self, lane: u32) {
        let part = self.store.part(Store::JOURNAL, lane);
        match self.standbys[lane as usize].go_on(&part.records, part.next) {
            Ok(differs) => self.broken.extend(differs.first().map(|key| {
                format!("fold-only: lane {lane}: `{key}` is another once it was restored")
            })),
            Err(error) => self.broken.push(format!("lane {lane}: {error}")),
        }
        self.in_time(lane);
    }

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
        if let Err(error) = self.standbys[lane as usize].restore(held, context.clone()) {
            self.broken.push(format!("fold-only: lane {lane}: it can not be restored: {error}"));
        }
        if let Some(key) = differs.first() {
            self.broken.push(format!(
                "fold-only: lane {lane}: at {} the snapshot of `{key}` is not the fold",
                context.next
            ));
        }
    }
}
