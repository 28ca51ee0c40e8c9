//! A member's share of a group.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use events::{Offset, Outgoing, Partition, Topic};
use stream::{Fed, Feed, LaneId, LogError, Outlet, Settled, Share, Ticket};

use crate::codec;
use crate::group::{Item, MemberId};
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::open::Shared;
use crate::outlet::LocalOutlet;
use crate::reader::Places;
use crate::request::Request;
use crate::view::{Bell, deadline, lock};

/// A member of a group. It leaves the group when it is dropped.
pub struct LocalFeed {
    shared: Arc<Shared>,
    group: String,
    id: MemberId,
    bell: Arc<Bell>,
    /// The group's generation that the places are of.
    generation: u64,
    starts: HashMap<(Topic, Partition), Offset>,
    lanes: bool,
    places: Places,
    outlet: LocalOutlet,
}

impl LocalFeed {
    pub(crate) fn join(shared: Arc<Shared>, group: &str, share: Share) -> Result<Self, LogError> {
        if group.is_empty() || group.len() > GROUP_NAME_BYTES_MAX {
            return Err(LogError::Lost(format!(
                "`{group}` can not be a group's name: it must have 1 to {GROUP_NAME_BYTES_MAX} bytes"
            )));
        }
        let bell = Arc::new(Bell::default());
        shared.view.watch_topics(&bell);
        let id = lock(&shared.groups).member_id();
        let mut feed = Self {
            outlet: LocalOutlet::new(Arc::clone(&shared)),
            group: group.to_owned(),
            id,
            bell,
            generation: 0,
            starts: HashMap::new(),
            lanes: false,
            places: Places::default(),
            shared,
        };
        feed.reshare(share)?;
        Ok(feed)
    }

    /// Takes over what the group has decided; says the lanes, if it is lanes and they are news.
    fn refresh(&mut self) -> Option<Fed> {
        let mut groups = lock(&self.shared.groups);
        let group = groups.group(&self.group);
        group.notice_topics(&self.shared.view, self.shared.options.lanes);
        if group.generation == self.generation {
            return None;
        }
        self.generation = group.generation;
        let held = group.held(self.id);
        for at in self.places.keys() {
            if !held.contains(&Item::Records(at.0, at.1)) {
                self.places.remove(at);
                self.shared.view.unwatch(at.0, at.1, &self.bell);
            }
        }
        let mut lanes = Vec::new();
        let before = self.places.keys();
        for item in held {
            match item {
                Item::Lane(lane) => lanes.push(LaneId(lane)),
                Item::Records(topic, partition) if !before.contains(&(topic, partition)) => {
                    let Some(name) = self.shared.view.name(topic) else { continue };
                    self.shared.view.watch(topic, partition, &self.bell);
                    let kept = self.shared.view.kept(topic, partition);
                    let started = self.starts.get(&(name.clone(), partition)).copied();
                    let committed = group.committed.get(&(topic, partition)).copied();
                    let offset = committed.or(started).unwrap_or(kept.start).min(kept.end);
                    self.places.put((topic, partition), name, offset);
                }
                Item::Records(..) => {}
            }
        }
        self.lanes.then_some(Fed::Lanes { generation: self.generation, held: lanes })
    }
}

impl Feed for LocalFeed {
    fn next(&mut self, wait: Duration) -> Result<Fed, LogError> {
        let deadline = deadline(wait);
        loop {
            self.shared.view.running()?;
            if let Some(lanes) = self.refresh() {
                return Ok(lanes);
            }
            let records = self.places.read(&self.shared)?;
            if !records.is_empty() {
                return Ok(Fed::Records(records));
            }
            if !self.bell.wait_until(deadline) {
                return Ok(Fed::Idle);
            }
        }
    }

    fn commit(&mut self, done: &[(Topic, Partition, Offset)]) -> Result<(), LogError> {
        let mut offsets = Vec::new();
        let mut groups = lock(&self.shared.groups);
        let group = groups.group(&self.group);
        for (name, partition, offset) in done {
            let Some(topic) = self.shared.view.topic(name) else { continue };
            let at = (topic.id, *partition);
            if group.commit(self.id, at, *offset) {
                offsets.push((codec::commit_key(&self.group, at.0, at.1), *offset));
            }
        }
        drop(groups);
        match offsets.is_empty() {
            true => self.shared.view.running(),
            false => self.shared.hand(Request::Commit { offsets }),
        }
    }

    fn reshare(&mut self, share: Share) -> Result<(), LogError> {
        self.lanes = share == Share::Lanes;
        if let Share::Records { starts, .. } = &share {
            for (topic, partition, offset) in starts {
                self.starts.insert((topic.clone(), *partition), *offset);
            }
        }
        let (view, lanes) = (&self.shared.view, self.shared.options.lanes);
        let mut groups = lock(&self.shared.groups);
        groups.group(&self.group).put(self.id, share, &self.bell, view, lanes);
        Ok(())
    }

    fn rewind(
        &mut self,
        topic: &Topic,
        partition: Partition,
        offset: Offset,
    ) -> Result<(), LogError> {
        if let Some(topic) = self.shared.view.topic(topic) {
            let at = (topic.id, partition);
            self.places.rewind(at, offset);
            lock(&self.shared.groups).group(&self.group).rewind(self.id, at, offset);
        }
        Ok(())
    }
}

impl Drop for LocalFeed {
    fn drop(&mut self) {
        let (view, lanes) = (&self.shared.view, self.shared.options.lanes);
        lock(&self.shared.groups).group(&self.group).remove(self.id, view, lanes);
        // Who leaves in good order has its commits on the disk. A writer that has stopped has said so
        // to everybody else.
        self.shared.ask(|reply| Request::Flush { reply }).ok();
    }
}

impl Outlet for LocalFeed {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.outlet.send(ticket, records)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}
