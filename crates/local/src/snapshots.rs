//! A lane's snapshots: each write is one batch, taken only from the newest holder.

use std::sync::Arc;

use bytes::Bytes;
use stream::{EachState, Key, LaneId, LogError, Snapshots};

use crate::limits::{STATE_KEY_BYTES_MAX, record_bytes_max};
use crate::open::Shared;
use crate::request::Request;

/// What stands under a lane's number.
const MARKER: u8 = 0;
const OWNER: u8 = 1;
const STATE: u8 = 2;

/// A lane's snapshots, held.
pub struct LocalSnapshots {
    shared: Arc<Shared>,
    lane: LaneId,
    holder: u64,
}

impl LocalSnapshots {
    pub(crate) fn fence(shared: Arc<Shared>, lane: LaneId) -> Result<Self, LogError> {
        let holder = shared.ask(|reply| Request::Fence { lane: lane.0, reply })?;
        Ok(Self { shared, lane, holder })
    }

    fn key(&self, kind: u8, of: &[u8]) -> Vec<u8> {
        [&self.lane.0.to_be_bytes(), [kind].as_slice(), of].concat()
    }

    fn put(&self, changes: Vec<(Vec<u8>, Option<Bytes>)>) -> Result<(), LogError> {
        let (lane, holder) = (self.lane.0, self.holder);
        self.shared.ask(|reply| Request::Snapshot { lane, holder, changes, reply })
    }
}

impl Snapshots for LocalSnapshots {
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError> {
        let store = &self.shared.store;
        let mut marker = None;
        let lane = self.lane.0.to_be_bytes();
        for pair in store.all(&store.snapshots, &lane) {
            let (key, value) = pair.map_err(LogError::Lost)?;
            match key.get(lane.len()..).and_then(<[u8]>::split_first) {
                Some((&MARKER, _)) => marker = Some(value),
                Some((&STATE, state)) => {
                    let state = std::str::from_utf8(state).map_err(|_| self.broken(&key))?;
                    each(Key::from(state), Some(value));
                }
                Some((&OWNER, _)) => {}
                _ => return Err(self.broken(&key)),
            }
        }
        Ok(marker)
    }

    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError> {
        let inbox = self.shared.options.record_bytes_max;
        let most = record_bytes_max(stream::Purpose::Snapshots, inbox, inbox);
        let values = changed.iter().filter_map(|(_, value)| value.as_ref()).chain([marker]);
        if let Some(large) = values.map(Bytes::len).find(|bytes| *bytes > most) {
            return Err(LogError::TooLarge { bytes: large });
        }
        if let Some((key, _)) = changed.iter().find(|(key, _)| key.len() > STATE_KEY_BYTES_MAX) {
            return Err(LogError::TooLarge { bytes: key.len() });
        }
        let states =
            changed.iter().map(|(key, value)| (self.key(STATE, key.as_bytes()), value.clone()));
        let marker = (self.key(MARKER, &[]), Some(marker.clone()));
        self.put(states.chain([marker]).collect())
    }

    fn claim(&mut self, owner: &Bytes) -> Result<(), LogError> {
        self.put(vec![(self.key(OWNER, &[]), Some(owner.clone()))])
    }
}

impl LocalSnapshots {
    fn broken(&self, key: &[u8]) -> LogError {
        LogError::Lost(format!(
            "the snapshots of lane {} hold the unknown key {}; put the folder back from a copy",
            self.lane.0,
            key.escape_ascii()
        ))
    }
}
