//! The newest definition of each saga, as the topic `definitions` says it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::{Deployment, Offset, Partition, Record, SagaName, Topic, Version};
use stream::{Broker, Follow, LogError, Start, Stop};
use tracing::{error, info};

use crate::judge::Listener;

/// How long the definitions' end is waited for, once it is known where it is.
const CATCH_UP: Duration = Duration::from_secs(30);
/// One wait of it.
const STEP: Duration = Duration::from_millis(100);

/// What is deployed.
pub(crate) struct Sagas<F> {
    follow: F,
    topic: Topic,
    /// By partition: below it, everything has been read.
    read_to: BTreeMap<Partition, Offset>,
    newest: BTreeMap<SagaName, Known>,
}

struct Known {
    revision: u64,
    listener: Listener,
    /// All that it listens to.
    topics: BTreeSet<Topic>,
    starts: BTreeMap<(Topic, Partition), Offset>,
}

impl<F: Follow> Sagas<F> {
    /// Opens the topic; `None` where it does not exist.
    pub(crate) fn open<B>(broker: &B) -> Result<Option<Self>, LogError>
    where
        B: Broker<Follow = F>,
    {
        let topic = broker.topics().definitions();
        let Some(kept) = broker.kept(&topic)? else { return Ok(None) };
        let follow = broker.follow(vec![(topic.clone(), Start::Earliest)])?;
        let read_to = (0..).zip(kept.iter().map(|range| range.start)).collect();
        Ok(Some(Self { follow, topic, read_to, newest: BTreeMap::new() }))
    }

    /// Reads all that stands on the topic now, and says whether anything is new.
    ///
    /// Whoever has read a record and then calls this knows every definition whose deployment was
    /// confirmed before the record was published: that is how none of them is missed.
    pub(crate) fn catch_up<B: Broker>(
        &mut self,
        broker: &B,
        stop: &Stop,
    ) -> Result<bool, LogError> {
        let topic = self.topic.clone();
        let kept = broker
            .kept(&topic)?
            .ok_or_else(|| LogError::Lost(format!("topic `{topic}` does not exist any more")))?;
        let ends: Vec<(Partition, Offset)> =
            (0..).zip(kept.iter().map(|range| range.end)).collect();
        let mut is_new = false;
        let mut waited = Duration::ZERO;
        while !self.has_read(&ends) && !stop.requested() {
            if waited >= CATCH_UP {
                return Err(LogError::Lost(format!("the end of `{topic}` can not be read")));
            }
            let records = self.follow.next(STEP)?;
            if records.is_empty() {
                waited += STEP;
            }
            is_new |= self.learn(&records);
        }
        Ok(is_new)
    }

    fn has_read(&self, ends: &[(Partition, Offset)]) -> bool {
        ends.iter().all(|(partition, end)| {
            *end == 0 || self.read_to.get(partition).is_some_and(|read| read >= end)
        })
    }

    /// Waits for news up to `wait`, and says whether there are any.
    pub(crate) fn look(&mut self, wait: Duration) -> Result<bool, LogError> {
        let records = self.follow.next(wait)?;
        Ok(self.learn(&records))
    }

    fn learn(&mut self, records: &[Record]) -> bool {
        let mut is_new = false;
        for record in records {
            self.read_to.insert(record.place.partition, record.place.offset + 1);
            is_new |= self.learn_one(record);
        }
        is_new
    }

    fn learn_one(&mut self, record: &Record) -> bool {
        let Some(value) = &record.value else {
            let name = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            return name.is_some_and(|name| self.newest.remove(name).is_some());
        };
        let known = match read(value) {
            Ok(known) => known,
            Err(why) => {
                error!(place = %record.place, %why, "a deployed saga can not be listened for");
                metrics::counter!("pavane_intake_definitions_refused_total").increment(1);
                return false;
            }
        };
        let name = known.listener.plan.name.clone();
        if self.newest.get(&name).is_some_and(|older| older.revision > known.revision) {
            return false;
        }
        info!(saga = %name, version = %known.listener.version, "listening for a saga's events");
        self.newest.insert(name, known);
        true
    }

    /// All topics that something listens to.
    pub(crate) fn topics(&self) -> BTreeSet<Topic> {
        self.newest.values().flat_map(|known| &known.topics).cloned().collect()
    }

    /// The sagas that listen to a topic.
    pub(crate) fn on<'a>(
        &'a self,
        topic: &'a Topic,
    ) -> impl Iterator<Item = (&'a SagaName, &'a Listener)> {
        self.newest
            .iter()
            .filter(move |(_, known)| known.topics.contains(topic))
            .map(|(name, known)| (name, &known.listener))
    }

    /// From which offset on a record of that partition concerns a saga; 0 for a partition that there
    /// was not yet when it was deployed.
    pub(crate) fn starts_at(&self, saga: &str, topic: &Topic, partition: Partition) -> Offset {
        let place = (topic.clone(), partition);
        self.newest.get(saga).and_then(|known| known.starts.get(&place)).copied().unwrap_or(0)
    }
}

fn read(value: &[u8]) -> Result<Known, String> {
    let deployment = Deployment::decode(value).map_err(|error| error.to_string())?;
    let checked = saga::check(&deployment.text);
    let plan = checked.plan.ok_or_else(|| {
        let first = checked.diagnostics.first();
        let what = first.map_or("no reason given", |finding| finding.message.as_str());
        format!("this build refuses saga `{}`: {what}", deployment.name)
    })?;
    let starts = deployment
        .starts_at
        .iter()
        .map(|start| ((Topic::from(start.topic.as_str()), start.partition), start.offset))
        .collect();
    let topics = plan.reads_from().into_iter().collect();
    let listener =
        Listener { version: Version::from(deployment.version.as_str()), plan: plan.shared() };
    Ok(Known { revision: deployment.revision, listener, topics, starts })
}
