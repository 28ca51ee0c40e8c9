//! What is deployed, as the topic `definitions` says it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::{Deployment, Offset, Partition, Record};
use saga::Plan;
use stream::{Broker, LogError};
use tracing::error;

/// The newest deployment of a saga.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) deployment: Arc<Deployment>,
    /// `Err`: this build refuses the definition, for this reason.
    pub(crate) plan: Result<Arc<Plan>, String>,
}

#[derive(Default)]
struct Held {
    newest: BTreeMap<String, Known>,
    /// Of every version that was read: workflows keep the one that they began with.
    plans: BTreeMap<(String, String), Arc<Plan>>,
    read_to: BTreeMap<Partition, Offset>,
}

/// All sagas. Shared: one thread fills it, many ask.
#[derive(Default)]
pub(crate) struct Sagas {
    held: Mutex<Held>,
    changed: Condvar,
}

impl Sagas {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a record of the topic.
    pub(crate) fn learn(&self, record: &Record) {
        let mut held = self.held();
        match record.value.as_deref().map(Deployment::decode) {
            Some(Ok(deployment)) => held.take(deployment),
            Some(Err(why)) => {
                error!(place = %record.place, %why, "a deployed saga can not be read");
            }
            None => {
                let name = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                if let Some(name) = name {
                    held.newest.remove(name);
                }
            }
        }
        held.read_to.insert(record.place.partition, record.place.offset + 1);
        self.changed.notify_all();
    }

    /// Waits until all is read that stands on the topic now. Blocks up to `wait`.
    ///
    /// # Errors
    /// Of the broker, or the wait was over.
    pub(crate) fn catch_up<B: Broker>(&self, broker: &B, wait: Duration) -> Result<(), LogError> {
        let topic = broker.topics().definitions();
        let kept = broker.kept(&topic)?.ok_or_else(|| {
            LogError::Lost(format!(
                "topic `{topic}` does not exist; `pavane topics create` makes it"
            ))
        })?;
        let ends: Vec<(Partition, Offset)> = (0..)
            .zip(kept)
            .filter(|(_, range)| range.start < range.end)
            .map(|(partition, range)| (partition, range.end))
            .collect();
        let until = Instant::now() + wait;
        let mut held = self.held();
        while !ends.iter().all(|(at, end)| held.read_to.get(at).is_some_and(|read| read >= end)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LogError::Lost(format!(
                    "`{topic}` was not read to its end in {wait:?}"
                )));
            }
            held = self
                .changed
                .wait_timeout(held, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(held, _)| held);
        }
        Ok(())
    }

    /// The newest of a name.
    pub(crate) fn newest(&self, name: &str) -> Option<Known> {
        self.held().newest.get(name).cloned()
    }

    /// All, in order of name.
    pub(crate) fn all(&self) -> Vec<Known> {
        self.held().newest.values().cloned().collect()
    }

    /// The plan of one version, where it was read.
    pub(crate) fn plan(&self, name: &str, version: &str) -> Option<Arc<Plan>> {
        self.held().plans.get(&(name.to_owned(), version.to_owned())).cloned()
    }

    /// The names that are nearest to one that there is not; for a message.
    pub(crate) fn names(&self) -> Vec<String> {
        self.held().newest.keys().cloned().collect()
    }
}

impl Held {
    fn take(&mut self, deployment: Deployment) {
        let name = deployment.name.clone();
        let is_older = |known: &Known| known.deployment.revision > deployment.revision;
        if self.newest.get(&name).is_some_and(is_older) {
            return;
        }
        let checked = saga::check(&deployment.text);
        let plan = match checked.plan {
            Some(plan) => Ok(plan.shared()),
            None => {
                let first = checked.diagnostics.first();
                let why = first.map_or("it has errors", |finding| finding.message.as_str());
                error!(saga = name, why, "this build refuses a deployed saga");
                Err(why.to_owned())
            }
        };
        if let Ok(plan) = &plan {
            let key = (name.clone(), deployment.version.clone());
            self.plans.insert(key, Arc::clone(plan));
        }
        self.newest.insert(name, Known { deployment: Arc::new(deployment), plan });
    }
}
