//! Groups: who shares what, and how far each group has come. All members live in this process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use events::{Offset, Partition, Topic};
use stream::Share;

use crate::codec::{self, TopicId};
use crate::store::Store;
use crate::view::{Bell, View};

/// A member's number; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MemberId(u64);

/// What one member alone holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Lane(Partition),
    Records(TopicId, Partition),
}

/// All groups of the process.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<String, Group>,
    next_member: u64,
}

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Rises with each decision of who holds what.
    pub(crate) generation: u64,
    /// Below it, all is done.
    pub(crate) committed: HashMap<(TopicId, Partition), Offset>,
    /// Where whoever holds it now has begun, if anything was committed by then; lower where they read again.
    begun: HashMap<(TopicId, Partition), Offset>,
    members: BTreeMap<MemberId, Member>,
    owners: BTreeMap<Item, MemberId>,
    /// How many topics there were at the last decision.
    topics: usize,
}

#[derive(Debug)]
struct Member {
    share: Share,
    bell: Weak<Bell>,
}

impl Groups {
    /// The groups with what they have committed.
    pub(crate) fn load(store: &Store) -> Result<Self, String> {
        let mut groups = Self::default();
        for pair in store.all(&store.meta, b"g") {
            let (key, value) = pair?;
            let (name, topic, partition) = codec::read_commit_key(&key)
                .ok_or_else(|| format!("the commit {} is broken", key.escape_ascii()))?;
            let offset = value.as_ref().try_into().map(Offset::from_be_bytes);
            let offset =
                offset.map_err(|_| format!("the commit {} is broken", key.escape_ascii()))?;
            groups.group(name).committed.insert((topic, partition), offset);
        }
        Ok(groups)
    }

    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// The topics that any member reads.
    pub(crate) fn read(&self) -> BTreeSet<Topic> {
        let members = self.groups.values().flat_map(|group| group.members.values());
        let topics = members.flat_map(|member| match &member.share {
            Share::Lanes => &[],
            Share::Records { topics, .. } => topics.as_slice(),
        });
        topics.cloned().collect()
    }

    pub(crate) fn member_id(&mut self) -> MemberId {
        self.next_member += 1;
        MemberId(self.next_member)
    }
}

impl Group {
    /// Takes a member in, or changes what it shares, and decides anew.
    pub(crate) fn put(
        &mut self,
        id: MemberId,
        share: Share,
        bell: &Arc<Bell>,
        view: &View,
        lanes: u32,
    ) {
        self.members.insert(id, Member { share, bell: Arc::downgrade(bell) });
        self.decide(view, lanes);
    }

    /// Lets a member go and decides anew.
    pub(crate) fn remove(&mut self, id: MemberId, view: &View, lanes: u32) {
        self.members.remove(&id);
        self.decide(view, lanes);
    }

    /// Decides anew if topics have been made since.
    pub(crate) fn notice_topics(&mut self, view: &View, lanes: u32) {
        if view.topics() != self.topics {
            self.decide(view, lanes);
        }
    }

    /// What a member holds.
    pub(crate) fn held(&self, id: MemberId) -> BTreeSet<Item> {
        self.owners.iter().filter(|(_, owner)| **owner == id).map(|(item, _)| *item).collect()
    }

    fn holds(&self, id: MemberId, at: (TopicId, Partition)) -> bool {
        self.owners.get(&Item::Records(at.0, at.1)) == Some(&id)
    }

    /// Whether it counts: not if somebody else holds it, and not below where this member has got it. Who has held
    /// it before, and settles something only now, knows less than whoever held it since.
    pub(crate) fn commit(
        &mut self,
        id: MemberId,
        at: (TopicId, Partition),
        offset: Offset,
    ) -> bool {
        let is_stale = self.begun.get(&at).is_some_and(|begun| offset < *begun);
        let counts = self.holds(id, at) && !is_stale;
        if counts {
            self.committed.insert(at, offset);
        }
        counts
    }

    /// A member reads again what it holds.
    pub(crate) fn rewind(&mut self, id: MemberId, at: (TopicId, Partition), offset: Offset) {
        if self.holds(id, at) {
            self.begun.entry(at).and_modify(|begun| *begun = offset.min(*begun));
        }
    }

    fn decide(&mut self, view: &View, lanes: u32) {
        self.topics = view.topics();
        let mut kinds: BTreeMap<Vec<Item>, Vec<MemberId>> = BTreeMap::new();
        for (id, member) in &self.members {
            for items in wanted(&member.share, view, lanes) {
                kinds.entry(items).or_default().push(*id);
            }
        }
        let before = std::mem::take(&mut self.owners);
        let mut load = HashMap::new();
        for (items, members) in kinds {
            share_out(&items, &members, &before, &mut load, &mut self.owners);
        }
        for (item, owner) in &self.owners {
            if let Item::Records(topic, partition) = *item
                && before.get(item) != Some(owner)
                && let Some(committed) = self.committed.get(&(topic, partition))
            {
                self.begun.insert((topic, partition), *committed);
            }
        }
        self.generation += 1;
        for bell in self.members.values().filter_map(|member| member.bell.upgrade()) {
            bell.ring();
        }
    }
}

/// What a share consists of: the lanes, or the partitions of each topic that there is by now.
fn wanted(share: &Share, view: &View, lanes: u32) -> Vec<Vec<Item>> {
    match share {
        Share::Lanes => vec![(0..lanes).map(Item::Lane).collect()],
        Share::Records { topics, .. } => {
            let topics: BTreeSet<&Topic> = topics.iter().collect();
            let known = topics.into_iter().filter_map(|topic| view.topic(topic));
            known
                .map(|topic| (0..topic.partitions).map(|at| Item::Records(topic.id, at)).collect())
                .collect()
        }
    }
}

/// Gives each item to one member, evenly; an item stays where it is as long as that is even.
fn share_out(
    items: &[Item],
    members: &[MemberId],
    before: &BTreeMap<Item, MemberId>,
    load: &mut HashMap<u64, usize>,
    owners: &mut BTreeMap<Item, MemberId>,
) {
    let (Some(least), Some(mut extra)) =
        (items.len().checked_div(members.len()), items.len().checked_rem(members.len()))
    else {
        return;
    };
    let mut kept: HashMap<u64, usize> = HashMap::new();
    for item in items {
        let Some(owner) = before.get(item).filter(|owner| members.contains(owner)) else {
            continue;
        };
        let count = kept.entry(owner.0).or_default();
        let stays = *count < least || (*count == least && extra > 0);
        if stays {
            extra -= usize::from(*count == least);
            *count += 1;
            *load.entry(owner.0).or_default() += 1;
            owners.insert(*item, *owner);
        }
    }
    for item in items {
        if owners.contains_key(item) {
            continue;
        }
        let fewest = members.iter().min_by_key(|id| {
            (kept.get(&id.0).copied().unwrap_or(0), load.get(&id.0).copied().unwrap_or(0), id.0)
        });
        let Some(owner) = fewest else { continue };
        *kept.entry(owner.0).or_default() += 1;
        *load.entry(owner.0).or_default() += 1;
        owners.insert(*item, *owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_shared_evenly_and_stay_where_they_can() {
        let items: Vec<Item> = (0..8).map(Item::Lane).collect();
        let mut owners = BTreeMap::new();
        for members in
            [&[1_u64, 2][..], &[1, 2, 3], &[2, 3], &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[4]]
        {
            let members: Vec<MemberId> = members.iter().copied().map(MemberId).collect();
            let before = std::mem::take(&mut owners);
            share_out(&items, &members, &before, &mut HashMap::new(), &mut owners);
            let counts: Vec<usize> = members
                .iter()
                .map(|id| owners.values().filter(|owner| *owner == id).count())
                .collect();
            assert_eq!(counts.iter().sum::<usize>(), items.len(), "{members:?}");
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{members:?} got {counts:?}");
            for id in &members {
                let had = before.iter().filter(|(_, owner)| *owner == id).count();
                let stayed = before
                    .iter()
                    .filter(|(item, owner)| *owner == id && owners.get(item) == Some(id));
                assert!(stayed.count() >= had.min(*least), "{id:?} of {members:?} had to move");
            }
        }
    }
}
