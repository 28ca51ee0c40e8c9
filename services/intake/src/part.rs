//! How far one partition of a user's topic has been read, judged and settled.

use std::collections::{BTreeMap, BTreeSet};

use events::{Offset, SagaName, planted};

/// One partition.
///
/// Each saga has its own frontier, so that a partition can be read again for a saga that was deployed
/// meanwhile without starting the others anew.
#[derive(Debug)]
pub(crate) struct Part {
    /// The next offset to read.
    read: Offset,
    /// Below it, every record was judged by somebody: its poison lies in the dead letters.
    judged: Offset,
    /// By saga: the first offset that it has not judged.
    frontier: BTreeMap<SagaName, Offset>,
    /// Records of which something is on its way.
    open: BTreeSet<Offset>,
    /// What was committed last.
    committed: Option<Offset>,
}

impl Part {
    /// A partition whose first record to come is `first`, heard by these sagas from these offsets on.
    /// What stands before `first` was judged in an earlier life.
    pub(crate) fn new(first: Offset, mut frontier: BTreeMap<SagaName, Offset>) -> Self {
        for offset in frontier.values_mut() {
            *offset = first.max(*offset);
        }
        Self { read: first, judged: first, frontier, open: BTreeSet::new(), committed: None }
    }

    /// Notes that records up to `offset` are in hand.
    pub(crate) fn saw(&mut self, offset: Offset) {
        if offset < self.read {
            // It is handed out again: what was committed was not heard, for the partition was not ours then.
            self.committed = None;
        }
        self.read = self.read.max(offset + 1);
    }

    /// Takes in which sagas listen from now on; `starts` says from where for one that is new. Gives the
    /// offset from which the partition must be read again, where it is already further.
    pub(crate) fn listen(
        &mut self,
        sagas: &BTreeSet<SagaName>,
        starts: impl Fn(&SagaName) -> Offset,
    ) -> Option<Offset> {
        self.frontier.retain(|saga, _| sagas.contains(saga));
        for saga in sagas {
            self.frontier.entry(saga.clone()).or_insert_with(|| starts(saga));
        }
        let wanted = self.frontier.values().min().copied()?.min(self.judged);
        let is_behind = self.frontier.values().any(|frontier| *frontier < self.judged);
        if !is_behind || wanted >= self.read {
            return None;
        }
        self.read = wanted;
        Some(wanted)
    }

    /// Whether this saga has yet to judge the record at `offset`.
    pub(crate) fn wants(&self, saga: &SagaName, offset: Offset) -> bool {
        self.frontier.get(saga).is_some_and(|frontier| *frontier <= offset)
    }

    /// Whether nobody has judged it.
    pub(crate) fn is_fresh(&self, offset: Offset) -> bool {
        offset >= self.judged
    }

    /// All that want the record at `offset` have judged it; `open`: something is on its way for it.
    pub(crate) fn judge(&mut self, offset: Offset, open: bool) {
        self.judged = self.judged.max(offset + 1);
        self.read = self.read.max(offset + 1);
        for frontier in self.frontier.values_mut().filter(|frontier| **frontier <= offset) {
            *frontier = offset + 1;
        }
        if open {
            self.open.insert(offset);
        }
    }

    /// Everything that follows from the record at `offset` is acknowledged.
    pub(crate) fn settle(&mut self, offset: Offset) {
        self.open.remove(&offset);
    }

    /// What to commit, if that is new: the lowest offset of which something is open or still to be
    /// judged. It falls when the partition is read again.
    pub(crate) fn commit(&mut self) -> Option<Offset> {
        let unjudged = self.judged.min(self.read);
        let open = self.open.first().copied().filter(|_| !planted("committed-before-sent"));
        let low = open.unwrap_or(unjudged).min(unjudged);
        (self.committed != Some(low)).then(|| {
            self.committed = Some(low);
            low
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saga(name: &str) -> SagaName {
        SagaName::from(name)
    }

    #[test]
    fn what_is_committed_never_passes_what_is_on_its_way() {
        let mut part = Part::new(5, BTreeMap::from([(saga("a"), 0)]));
        part.judge(5, true);
        part.judge(6, false);
        assert_eq!(part.commit(), Some(5));
        assert_eq!(part.commit(), None);
        part.settle(5);
        assert_eq!(part.commit(), Some(7));
        part.judge(7, true);
        assert_eq!(part.commit(), None);
        part.settle(7);
        assert_eq!(part.commit(), Some(8));
    }

    #[test]
    fn a_saga_is_not_begun_by_what_came_before_it_listened() {
        let part = Part::new(5, BTreeMap::from([(saga("a"), 0), (saga("b"), 8)]));
        assert!(part.wants(&saga("a"), 5) && !part.wants(&saga("a"), 4));
        assert!(part.wants(&saga("b"), 8) && !part.wants(&saga("b"), 7));
    }

    #[test]
    fn what_is_handed_out_again_is_committed_again() {
        let mut part = Part::new(0, BTreeMap::from([(saga("a"), 0)]));
        part.saw(0);
        part.judge(0, false);
        assert_eq!(part.commit(), Some(1));
        part.saw(0);
        part.judge(0, false);
        assert_eq!(part.commit(), Some(1), "the first was said while another held the partition");
        assert_eq!(part.commit(), None);
    }

    #[test]
    fn a_partition_is_read_again_for_a_new_saga_alone() {
        let mut part = Part::new(0, BTreeMap::from([(saga("a"), 0)]));
        for offset in 0..10 {
            part.judge(offset, false);
        }
        let both = BTreeSet::from([saga("a"), saga("b")]);
        assert_eq!(part.listen(&both, |_| 4), Some(4));
        assert_eq!(part.commit(), Some(4), "a crash must read it again too");
        assert!(part.wants(&saga("b"), 4) && !part.wants(&saga("a"), 4));
        assert!(!part.is_fresh(9) && part.is_fresh(10));
        for offset in 4..10 {
            part.judge(offset, false);
        }
        assert_eq!(part.commit(), Some(10));
        assert_eq!(part.listen(&both, |_| 4), None, "once is enough");
    }

    #[test]
    fn records_in_hand_are_read_again_with_the_others() {
        let mut part = Part::new(0, BTreeMap::from([(saga("a"), 0)]));
        part.judge(0, false);
        part.saw(5);
        // Deployed at 3, learnt while 1 to 5 are in hand: nothing below 3 concerns it, and what is in
        // hand is judged for it.
        let both = BTreeSet::from([saga("a"), saga("b")]);
        assert_eq!(part.listen(&both, |_| 3), None);
        assert!(!part.wants(&saga("b"), 2) && part.wants(&saga("b"), 3));
    }
}
