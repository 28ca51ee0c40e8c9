//! Groups: who tries to hold what. A group gives up on a member that is dead or stands still for longer than its
//! session, and shares anew; the member learns of it when it asks the next time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::{Offset, Outgoing, Partition, Record, Topic};
use stream::{Fed, Feed, LaneId, LogError, Outlet, Settled, Share, Ticket};

use crate::broker::{SimBroker, after, known};
use crate::outlet::SimOutlet;
use crate::world::{Bell, Event, Inner, MS, Micros, ProcessId, SECOND};

/// After so long without a sign of life a member is given up.
const SESSION: Micros = 6 * SECOND;

/// Something to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Lane(u32),
    Part(usize, Partition),
}

struct Member {
    process: Option<ProcessId>,
    wants: Vec<Item>,
    held: BTreeSet<Item>,
    /// The generation that it has been told of.
    told: u64,
}

#[derive(Default)]
struct Group {
    members: BTreeMap<u64, Member>,
    generation: u64,
    committed: BTreeMap<(usize, Partition), Offset>,
}

/// All groups.
#[derive(Default)]
pub(crate) struct Groups {
    by_name: BTreeMap<String, usize>,
    all: Vec<Group>,
}

impl Groups {
    fn named(&mut self, name: &str) -> usize {
        let next = self.all.len();
        let number = *self.by_name.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.all.push(Group::default());
        }
        number
    }

    /// The topics that members hold partitions of.
    pub(crate) fn read(&self) -> BTreeSet<usize> {
        let members = self.all.iter().flat_map(|group| group.members.values());
        let topic = |item: &Item| match item {
            Item::Lane(_) => None,
            Item::Part(topic, _) => Some(*topic),
        };
        members.flat_map(|member| member.held.iter().filter_map(topic)).collect()
    }

    /// What a group has committed of a partition.
    pub(crate) fn committed(&self, name: &str, topic: usize, partition: Partition) -> Offset {
        let group = self.by_name.get(name).map(|number| &self.all[*number]);
        group.and_then(|group| group.committed.get(&(topic, partition))).copied().unwrap_or(0)
    }
}

impl Inner {
    /// The group decides anew who tries what.
    pub(crate) fn rebalance(&mut self, number: usize) {
        let Some(group) = self.groups.all.get_mut(number) else { return };
        group.generation += 1;
        let items: BTreeSet<Item> =
            group.members.values().flat_map(|member| member.wants.iter().copied()).collect();
        for member in group.members.values_mut() {
            member.held.clear();
        }
        let mut order: Vec<u64> = group.members.keys().copied().collect();
        self.dice.shuffle(&mut order);
        let everyone = self.weather.everyone;
        for (turn, item) in items.into_iter().enumerate() {
            let mut eligible: Vec<u64> = order.clone();
            eligible.retain(|id| group.members[id].wants.contains(&item));
            let chosen = eligible.get(turn % eligible.len().max(1)).copied();
            let lane = matches!(item, Item::Lane(_));
            for id in eligible {
                if Some(id) == chosen || everyone && lane {
                    group.members.entry(id).and_modify(|member| {
                        member.held.insert(item);
                    });
                }
            }
        }
        let now = self.now;
        let members = &self.groups.all[number].members;
        self.trace.note(|| {
            let held = members.iter().map(|(id, member)| format!("{id} holds {:?}", member.held));
            format!("{now:>12} group {number}: {}", held.collect::<Vec<_>>().join(", "))
        });
        self.ring(Bell::Group(number));
    }

    /// All groups decide anew.
    pub(crate) fn rebalance_all(&mut self) {
        for number in 0..self.groups.all.len() {
            self.rebalance(number);
        }
    }

    /// A process is dead, or stands still.
    pub(crate) fn groups_lose(&mut self, process: ProcessId) {
        for number in 0..self.groups.all.len() {
            let members: Vec<u64> = self.groups.all[number]
                .members
                .iter()
                .filter(|(_, member)| member.process == Some(process))
                .map(|(id, _)| *id)
                .collect();
            for member in members {
                let late = self.dice.range(0, 500 * MS);
                self.at(self.now + SESSION + late, Event::Expire(number, member));
            }
        }
    }

    pub(crate) fn expire(&mut self, number: usize, member: u64) {
        let Some(known) = self.groups.all[number].members.get(&member) else { return };
        let Some(process) = known.process else { return };
        let process = &self.processes[process];
        if process.alive && process.paused_until <= self.now {
            return;
        }
        self.groups.all[number].members.remove(&member);
        self.rebalance(number);
    }

    fn items(&self, share: &Share) -> Result<(Vec<Item>, Starts), LogError> {
        match share {
            Share::Lanes => Ok(((0..self.store.lanes).map(Item::Lane).collect(), Starts::new())),
            Share::Records { topics, starts } => {
                let mut items = Vec::new();
                for topic in topics {
                    let topic = known(self, topic)?;
                    let partitions = 0..self.store.partitions(topic);
                    items.extend(partitions.map(|partition| Item::Part(topic, partition)));
                }
                let number = |(topic, partition, offset): &(Topic, Partition, Offset)| {
                    Some(((self.store.topic(topic)?, *partition), *offset))
                };
                Ok((items, starts.iter().filter_map(number).collect()))
            }
        }
    }
}

type Starts = BTreeMap<(usize, Partition), Offset>;

/// A member's share.
pub struct SimFeed {
    broker: SimBroker,
    group: usize,
    member: u64,
    wants: Vec<Item>,
    starts: Starts,
    positions: Starts,
    /// Where reading them began; lower where they are read again.
    begun: Starts,
    outlet: SimOutlet,
}

impl SimFeed {
    pub(crate) fn join(broker: SimBroker, group: &str, share: Share) -> Result<Self, LogError> {
        let outlet = SimOutlet::new(broker.clone());
        let (group, member, wants, starts) = broker.ask(|inner| {
            let (wants, starts) = inner.items(&share)?;
            let group = inner.groups.named(group);
            Ok::<_, LogError>((group, inner.id(), wants, starts))
        })?;
        let (positions, begun) = (Starts::new(), Starts::new());
        let feed = Self { broker, group, member, wants, starts, positions, begun, outlet };
        feed.enter();
        Ok(feed)
    }

    /// Becomes a member, or one again that the group had given up.
    fn enter(&self) {
        let mut inner = self.broker.world.lock();
        let process = self.broker.process;
        let members = &mut inner.groups.all[self.group].members;
        if let Entry::Vacant(place) = members.entry(self.member) {
            let wants = self.wants.clone();
            place.insert(Member { process, wants, held: BTreeSet::new(), told: 0 });
            inner.rebalance(self.group);
        }
    }

    /// What there is to say, if anything.
    fn news(&mut self) -> Option<Fed> {
        let mut guard = self.broker.world.lock();
        let inner = &mut *guard;
        let group = &mut inner.groups.all[self.group];
        let generation = group.generation;
        let member = group.members.get_mut(&self.member)?;
        let is_news = member.told != generation;
        member.told = generation;
        if is_news {
            let lanes: Vec<LaneId> = member.held.iter().filter_map(lane_of).collect();
            if self.wants.iter().any(|item| lane_of(item).is_some()) {
                return Some(Fed::Lanes { generation, held: lanes });
            }
            self.positions.retain(|(topic, partition), _| {
                member.held.contains(&Item::Part(*topic, *partition))
            });
            for item in &member.held {
                let Item::Part(topic, partition) = *item else { continue };
                let place = (topic, partition);
                let start = inner.store.part(topic, partition).start;
                let from = group.committed.get(&place).or(self.starts.get(&place));
                let from = from.copied().unwrap_or(start).max(start);
                self.positions.entry(place).or_insert_with(|| {
                    self.begun.insert(place, from);
                    from
                });
            }
        }
        if inner.weather.redeliver && inner.dice.one_in(5) {
            for (place, position) in &mut self.positions {
                let start = self.starts.get(place).copied().unwrap_or(0);
                let from = group.committed.get(place).copied().unwrap_or(start);
                *position = from.min(*position);
            }
        }
        let mut places: Vec<(usize, Partition)> = self.positions.keys().copied().collect();
        inner.dice.shuffle(&mut places);
        for place in places {
            let from = self.positions.get(&place).copied().unwrap_or(0);
            let mut records: Vec<Record> =
                inner.store.part(place.0, place.1).read(from).unwrap_or_default();
            let few = inner.dice.range(1, 6);
            records.truncate(usize::try_from(few).unwrap_or(1));
            if let Some(last) = records.last() {
                self.positions.insert(place, last.place.offset + 1);
                return Some(Fed::Records(records));
            }
        }
        None
    }
}

fn lane_of(item: &Item) -> Option<LaneId> {
    match item {
        Item::Lane(lane) => Some(LaneId(*lane)),
        Item::Part(..) => None,
    }
}

impl Outlet for SimFeed {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.outlet.send(ticket, records)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}

impl Feed for SimFeed {
    fn next(&mut self, wait: Duration) -> Result<Fed, LogError> {
        let (world, process) = (self.broker.world.clone(), self.broker.process);
        world.step(process);
        world.travel(process);
        // Whoever has nothing to do may well be slow to look again.
        let until = if wait.is_zero() || process.is_none() {
            after(&world, wait)
        } else {
            let idle = world.lock().dice.range(100 * MS, 1_000 * MS);
            after(&world, wait) + idle
        };
        loop {
            self.enter();
            if let Some(fed) = self.news() {
                world.step(process);
                return Ok(fed);
            }
            if world.lock().now >= until {
                return Ok(Fed::Idle);
            }
            let topics = self.positions.keys().map(|(topic, _)| Bell::Topic(*topic));
            let bells: BTreeSet<Bell> = topics.chain([Bell::Group(self.group)]).collect();
            world.block(&bells.into_iter().collect::<Vec<_>>(), until);
        }
    }

    fn commit(&mut self, done: &[(Topic, Partition, Offset)]) -> Result<(), LogError> {
        self.broker.world.step(self.broker.process);
        let mut inner = self.broker.world.lock();
        let done: Vec<_> = done
            .iter()
            .filter_map(|(topic, partition, offset)| {
                Some((inner.store.topic(topic)?, *partition, *offset))
            })
            .collect();
        let (now, id, number) = (inner.now, self.member, self.group);
        inner.trace.note(|| format!("{now:>12} group {number}: {id} commits {done:?}"));
        let group = &mut inner.groups.all[self.group];
        let Some(member) = group.members.get(&self.member) else { return Ok(()) };
        for (topic, partition, offset) in done {
            let place = (topic, partition);
            let is_stale = self.begun.get(&place).is_some_and(|begun| offset < *begun);
            if member.held.contains(&Item::Part(topic, partition)) && !is_stale {
                group.committed.insert((topic, partition), offset);
            }
        }
        Ok(())
    }

    fn reshare(&mut self, share: Share) -> Result<(), LogError> {
        let (wants, starts) = self.broker.ask(|inner| inner.items(&share))?;
        self.wants.clone_from(&wants);
        self.starts = starts;
        let mut inner = self.broker.world.lock();
        if let Some(member) = inner.groups.all[self.group].members.get_mut(&self.member) {
            member.wants = wants;
        }
        inner.rebalance(self.group);
        Ok(())
    }

    fn rewind(
        &mut self,
        topic: &Topic,
        partition: Partition,
        offset: Offset,
    ) -> Result<(), LogError> {
        let topic = known(&self.broker.world.lock(), topic)?;
        if let Some(position) = self.positions.get_mut(&(topic, partition)) {
            *position = offset.min(*position);
            self.begun.entry((topic, partition)).and_modify(|begun| *begun = offset.min(*begun));
        }
        Ok(())
    }
}

impl Drop for SimFeed {
    fn drop(&mut self) {
        let mut inner = self.broker.world.lock();
        let is_alive = self.broker.process.is_none_or(|process| inner.processes[process].alive);
        // The dead do not say goodbye.
        if is_alive && inner.groups.all[self.group].members.remove(&self.member).is_some() {
            inner.rebalance(self.group);
        }
    }
}
