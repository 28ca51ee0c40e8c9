//! Reading whole topics without a group.

use std::sync::Arc;
use std::time::Duration;

use events::{Record, Topic};
use stream::{Follow, LogError, Start};

use crate::open::Shared;
use crate::reader::Places;
use crate::view::{Bell, deadline};

/// A reader of whole topics.
pub struct LocalFollow {
    shared: Arc<Shared>,
    places: Places,
    bell: Arc<Bell>,
}

impl LocalFollow {
    pub(crate) fn new(shared: Arc<Shared>, from: &[(Topic, Start)]) -> Result<Self, LogError> {
        let bell = Arc::new(Bell::default());
        let mut places = Places::default();
        for (name, start) in from {
            let known = shared.view.topic(name);
            let known = known.ok_or_else(|| LogError::Lost(format!("there is no topic {name}")))?;
            for partition in 0..known.partitions {
                shared.view.watch(known.id, partition, &bell);
                let kept = shared.view.kept(known.id, partition);
                let named = |starts: &[(u32, i64)]| {
                    starts.iter().find_map(|(at, offset)| (*at == partition).then_some(*offset))
                };
                let offset = match start {
                    Start::Earliest => kept.start,
                    Start::End => kept.end,
                    Start::At(starts) => named(starts).unwrap_or(kept.start).max(kept.start),
                };
                places.put((known.id, partition), name.clone(), offset);
            }
        }
        Ok(Self { shared, places, bell })
    }
}

impl Follow for LocalFollow {
    fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = deadline(wait);
        loop {
            let records = self.places.read(&self.shared)?;
            if !records.is_empty() {
                return Ok(records);
            }
            self.shared.view.running()?;
            if !self.bell.wait_until(deadline) {
                return Ok(records);
            }
        }
    }
}
