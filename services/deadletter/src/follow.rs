//! Reading the dead-letter topics of everything that is deployed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::{AgentName, Deployment, Offset, Partition, Place, Record, Topic};
use stream::{Broker, Clock, Follow, LogError, Start, Stop};
use tracing::warn;

use crate::index::Index;

/// One wait for news; bounds how soon a wish to stop is heard.
const STEP: Duration = Duration::from_millis(250);
/// How often topics that did not exist are looked for.
const MISSING_LOOK: Duration = Duration::from_secs(5);
/// The pause after trouble with the broker.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Fills the index until asked to stop. Blocks. Which topics there are it learns from `definitions`;
/// trouble with the broker is waited out.
pub fn run<B: Broker>(broker: &B, clock: &dyn Clock, index: &Index, stop: &Stop) {
    let mut reader = Reader::new(broker);
    while !stop.requested() {
        if let Err(error) = reader.live(broker, clock, index, stop) {
            warn!(%error, "the index of dead letters begins again where it was");
            if stop.wait(BACK_OFF) {
                return;
            }
        }
    }
}

struct Reader {
    definitions: Topic,
    /// Every topic that is wanted, whether it exists or not.
    wanted: BTreeSet<Topic>,
    /// By topic and partition, the next offset to read.
    read_to: BTreeMap<Topic, BTreeMap<Partition, Offset>>,
}

impl Reader {
    fn new<B: Broker>(broker: &B) -> Self {
        let topics = broker.topics();
        let definitions = topics.definitions();
        let wanted = BTreeSet::from([definitions.clone(), topics.dead_letters(&topics.inbox())]);
        Self { definitions, wanted, read_to: BTreeMap::new() }
    }

    /// Follows all wanted topics that exist, until others are wanted, or one may have come.
    fn live<B: Broker>(
        &mut self,
        broker: &B,
        clock: &dyn Clock,
        index: &Index,
        stop: &Stop,
    ) -> Result<(), LogError> {
        let mut existing = Vec::new();
        let mut misses = false;
        for topic in &self.wanted {
            match broker.kept(topic)? {
                Some(_) => existing.push((topic.clone(), self.start_of(topic))),
                None => misses = true,
            }
        }
        if existing.is_empty() {
            let _stopped = stop.wait(BACK_OFF);
            return Ok(());
        }
        let mut follow = broker.follow(existing)?;
        let begun = clock.now();
        while !stop.requested() {
            let mut wants_more = false;
            for record in follow.next(STEP)? {
                wants_more |= self.take(broker, index, &record);
            }
            if wants_more || misses && clock.now().since(begun) >= MISSING_LOOK {
                return Ok(());
            }
        }
        Ok(())
    }

    fn start_of(&self, topic: &Topic) -> Start {
        self.read_to.get(topic).map_or(Start::Earliest, |read| {
            Start::At(read.iter().map(|(partition, offset)| (*partition, *offset)).collect())
        })
    }

    /// Takes a record in; says whether topics are wanted now that were not before.
    fn take<B: Broker>(&mut self, broker: &B, index: &Index, record: &Record) -> bool {
        let place = &record.place;
        let read = self.read_to.entry(place.topic.clone()).or_default();
        read.insert(place.partition, place.offset + 1);
        if place.topic != self.definitions {
            index.add(record);
            return false;
        }
        let Some(value) = &record.value else { return false };
        let deployment = match Deployment::decode(value) {
            Ok(deployment) => deployment,
            Err(error) => {
                warn!(%place, %error, "a deployment can not be read; its dead letters are not listed");
                return false;
            }
        };
        let topics = broker.topics();
        let of_agents =
            deployment.agents.iter().map(|agent| topics.tasks(&AgentName::from(agent.as_str())));
        let of_users = deployment.topics().into_iter().map(Topic::from);
        let before = self.wanted.len();
        let all: Vec<Topic> =
            of_agents.chain(of_users).map(|topic| topics.dead_letters(&topic)).collect();
        self.wanted.extend(all);
        self.wanted.len() > before
    }
}

/// The record at a place; `None` where there is none, or none any more. Blocks up to `wait`.
///
/// # Errors
/// Of the broker.
pub fn read<B: Broker>(
    broker: &B,
    place: &Place,
    wait: Duration,
) -> Result<Option<Record>, LogError> {
    let Some(kept) = broker.kept(&place.topic)? else { return Ok(None) };
    let at = usize::try_from(place.partition).ok().and_then(|partition| kept.get(partition));
    if !at.is_some_and(|range| range.contains(&place.offset)) {
        return Ok(None);
    }
    // The other partitions from their end, so that nothing of them has to be read.
    let starts = (0..).zip(&kept).map(|(partition, range)| {
        (partition, if partition == place.partition { place.offset } else { range.end })
    });
    let mut follow = broker.follow(vec![(place.topic.clone(), Start::At(starts.collect()))])?;
    let mut waited = Duration::ZERO;
    while waited < wait {
        let records = follow.next(STEP)?;
        if records.is_empty() {
            waited += STEP;
        }
        let of_partition = |record: &Record| record.place.partition == place.partition;
        if let Some(record) = records.into_iter().find(of_partition) {
            return Ok((record.place.offset == place.offset).then_some(record));
        }
    }
    Err(LogError::Lost(format!("the record at {place} was not read within {wait:?}")))
}
