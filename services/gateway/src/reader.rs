//! The one thread that reads `events` and `definitions` into what the API shows.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Lifecycle, Offset, Partition, Record, Topic, header, unframe};
use stream::{Broker, Follow, LogError, Start, Stop};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::sagas::Sagas;
use crate::view::View;

/// One wait for news; bounds how soon a wish to stop is heard.
const STEP: Duration = Duration::from_millis(250);
/// The first pause after trouble with the broker; doubles up to `BACK_OFF_MAX`.
const BACK_OFF: Duration = Duration::from_millis(200);
/// The longest such pause.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// How the reader stands.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// It has not yet read all that there was when it began.
    CatchingUp,
    /// It follows.
    Following,
    /// It can not read, for this reason, and tries again.
    Stuck(String),
}

/// Reads until asked to stop. Blocks.
pub(crate) fn run<B: Broker>(
    broker: &B,
    view: &View,
    sagas: &Sagas,
    state: &watch::Sender<Reading>,
    stop: &Stop,
) {
    let topics = [broker.topics().definitions(), broker.topics().events()];
    let mut reader = Reader { view, sagas, topics, read_to: BTreeMap::new() };
    let mut back_off = BACK_OFF;
    while !stop.requested() {
        let Err(error) = reader.live(broker, state, stop, &mut back_off) else { return };
        warn!(%error, "the view can not be kept up to date; reading begins again where it was");
        state.send_replace(Reading::Stuck(error.to_string()));
        if stop.wait(back_off) {
            return;
        }
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

struct Reader<'a> {
    view: &'a View,
    sagas: &'a Sagas,
    topics: [Topic; 2],
    /// By topic and partition, the next offset to read.
    read_to: BTreeMap<(Topic, Partition), Offset>,
}

impl Reader<'_> {
    fn live<B: Broker>(
        &mut self,
        broker: &B,
        state: &watch::Sender<Reading>,
        stop: &Stop,
        back_off: &mut Duration,
    ) -> Result<(), LogError> {
        let mut ends = Vec::new();
        let mut starts = Vec::new();
        for topic in &self.topics {
            let kept = broker.kept(topic)?.ok_or_else(|| {
                LogError::Lost(format!(
                    "topic `{topic}` does not exist; `pavane topics create` makes it"
                ))
            })?;
            let mut at = Vec::new();
            for (partition, range) in (0..).zip(kept) {
                let place = (topic.clone(), partition);
                let read = self.read_to.entry(place.clone()).or_insert(range.start);
                *read = range.start.max(*read);
                at.push((partition, *read));
                ends.push((place, range.end));
            }
            starts.push((topic.clone(), Start::At(at)));
        }
        let mut follow = broker.follow(starts)?;
        let mut is_behind = true;
        while !stop.requested() {
            if is_behind && ends.iter().all(|(place, end)| self.has_read(place, *end)) {
                is_behind = false;
                *back_off = BACK_OFF;
                info!("the view has caught up");
                state.send_replace(Reading::Following);
            }
            for record in follow.next(STEP)? {
                self.take(&record);
            }
        }
        Ok(())
    }

    fn has_read(&self, place: &(Topic, Partition), end: Offset) -> bool {
        self.read_to.get(place).is_some_and(|read| *read >= end)
    }

    fn take(&mut self, record: &Record) {
        let place = (record.place.topic.clone(), record.place.partition);
        let is_definition = self.topics.first() == Some(&place.0);
        if is_definition {
            self.sagas.learn(record);
        } else if let Err(why) = self.take_event(record) {
            warn!(place = %record.place, %why, "a record of the events can not be read");
            metrics::counter!("pavane_gateway_events_unreadable_total").increment(1);
        }
        self.read_to.insert(place, record.place.offset + 1);
    }

    fn take_event(&self, record: &Record) -> Result<(), String> {
        let schema = record.header_text(header::TYPE).ok_or("it has no ce_type")?;
        let value = record.value.as_deref().ok_or("it has no value")?;
        let (_, datum) = unframe(value).map_err(|error| error.to_string())?;
        let event = Lifecycle::decode(schema, datum).map_err(|error| error.to_string())?;
        self.view.fold(event, datum);
        Ok(())
    }
}
