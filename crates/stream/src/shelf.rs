//! Where states at rest lie: in memory, and beyond what they may take of it in a file that nobody else sees and
//! that is gone with the process. What is lost with it stands in snapshot and journal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much memory the states at rest of all lanes of a process may take together, and where the others go.
/// Clones share the count.
#[derive(Clone, Debug)]
pub struct Spill {
    memory_max: usize,
    folder: PathBuf,
    in_memory: Arc<AtomicUsize>,
    in_files: Arc<AtomicUsize>,
}

impl Spill {
    /// Beyond `memory_max` bytes, to files in `folder`.
    #[must_use]
    pub fn past(memory_max: usize, folder: PathBuf) -> Self {
        Self { memory_max, folder, in_memory: Arc::default(), in_files: Arc::default() }
    }

    /// All stay in memory.
    #[must_use]
    pub fn never() -> Self {
        Self::past(usize::MAX, PathBuf::new())
    }

    /// Bytes of states at rest in memory, and in files.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        (self.in_memory.load(Ordering::Relaxed), self.in_files.load(Ordering::Relaxed))
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes().0.saturating_add(bytes) <= self.memory_max
    }
}

/// The bytes of a state at rest. A niche makes it as large as a box: there are millions.
#[derive(Debug)]
pub(crate) enum Resting {
    /// In memory; empty where nothing rests.
    Held(Box<[u8]>),
    /// In the file.
    Filed(Slot),
}

impl Default for Resting {
    fn default() -> Self {
        Self::Held(Box::default())
    }
}

impl Resting {
    /// Whether there are no bytes.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Held(bytes) if bytes.is_empty())
    }
}

/// A place in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    block: u32,
    bytes: u32,
}

/// The unit in which places are given out, bytes: a file holds 256 GiB.
const BLOCK: usize = 64;

/// A place for so many bytes takes so many blocks: at most an eighth more than they need, so that few sizes
/// differ and a place that is free again soon fits.
fn blocks(bytes: usize) -> usize {
    let needed = bytes.div_ceil(BLOCK).max(1);
    needed.next_multiple_of((needed.next_power_of_two() / 16).max(1))
}

/// That bytes in the file could not be read: what this lane remembers is gone, and is to be built anew.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String);

/// The states at rest of one lane.
#[derive(Debug)]
pub(crate) struct Shelf {
    spill: Spill,
    file: Option<File>,
    /// Blocks of the file that have ever been given out.
    end: usize,
    /// Places that are free again, by their blocks.
    free: HashMap<usize, Vec<u32>>,
    held_bytes: usize,
    filed_bytes: usize,
    /// Whether the last write has failed: it is told once.
    failing: bool,
}

impl Shelf {
    pub(crate) fn new(spill: Spill) -> Self {
        Self {
            spill,
            file: None,
            end: 0,
            free: HashMap::new(),
            held_bytes: 0,
            filed_bytes: 0,
            failing: false,
        }
    }

    /// Takes bytes. Where there is no room in memory and the file can not be written, they stay in memory, which
    /// is counted and told: nothing is lost, but the bound does not hold.
    pub(crate) fn put(&mut self, bytes: Vec<u8>) -> Resting {
        if !self.spill.has_room(bytes.len()) {
            match self.write(&bytes) {
                Ok(slot) => {
                    self.failing = false;
                    self.filed_bytes += bytes.len();
                    self.spill.in_files.fetch_add(bytes.len(), Ordering::Relaxed);
                    self.say();
                    return Resting::Filed(slot);
                }
                Err(error) => {
                    metrics::counter!("pavane_state_spill_failures_total").increment(1);
                    if !std::mem::replace(&mut self.failing, true) {
                        let folder = self.spill.folder.display();
                        tracing::error!(%error, %folder, "states at rest stay in memory");
                    }
                }
            }
        }
        self.held_bytes += bytes.len();
        self.spill.in_memory.fetch_add(bytes.len(), Ordering::Relaxed);
        Resting::Held(bytes.into())
    }

    /// The bytes.
    ///
    /// # Panics
    /// With [`Unreadable`], where the file can not be read.
    pub(crate) fn bytes<'a>(&self, resting: &'a Resting) -> Cow<'a, [u8]> {
        match resting {
            Resting::Held(bytes) => Cow::Borrowed(bytes),
            Resting::Filed(slot) => match self.read(*slot) {
                Ok(bytes) => Cow::Owned(bytes),
                Err(error) => resume_unwind(Box::new(Unreadable(format!(
                    "a state at rest can not be read from the file in {}: {error}",
                    self.spill.folder.display()
                )))),
            },
        }
    }

    /// They are wanted no longer.
    pub(crate) fn drop_bytes(&mut self, resting: Resting) {
        match resting {
            Resting::Held(bytes) => {
                self.held_bytes -= bytes.len();
                self.spill.in_memory.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Resting::Filed(slot) => {
                let bytes = slot.bytes as usize;
                self.filed_bytes -= bytes;
                self.spill.in_files.fetch_sub(bytes, Ordering::Relaxed);
                self.say();
                self.free.entry(blocks(bytes)).or_default().push(slot.block);
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Slot> {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let length = u32::try_from(bytes.len()).map_err(too_large)?;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.spill.folder)?),
        };
        let size = blocks(bytes.len());
        let freed = self.free.get_mut(&size).and_then(Vec::pop);
        let block = match freed {
            Some(block) => block,
            None => u32::try_from(self.end).map_err(too_large)?,
        };
        if let Err(error) = file.write_all_at(bytes, u64::from(block) * BLOCK as u64) {
            if freed.is_some() {
                self.free.entry(size).or_default().push(block);
            }
            return Err(error);
        }
        if freed.is_none() {
            self.end += size;
        }
        Ok(Slot { block, bytes: length })
    }

    fn read(&self, slot: Slot) -> io::Result<Vec<u8>> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; slot.bytes as usize];
        file.read_exact_at(&mut bytes, u64::from(slot.block) * BLOCK as u64)?;
        Ok(bytes)
    }

    fn say(&self) {
        // Below 2^53, which a double holds.
        metrics::gauge!("pavane_state_spilled_bytes").set(self.spill.bytes().1 as f64);
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.spill.in_memory.fetch_sub(self.held_bytes, Ordering::Relaxed);
        self.spill.in_files.fetch_sub(self.filed_bytes, Ordering::Relaxed);
        self.say();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use proptest::prelude::*;

    use super::*;
    use crate::takeover::{End, ended_by};

    fn bytes(length: usize, seed: u8) -> Vec<u8> {
        (0..length).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect()
    }

    proptest! {
        #[test]
        fn what_is_put_is_there_until_it_is_dropped(
            steps in prop::collection::vec((0..8usize, 0..5_000usize, any::<u8>()), 1..200),
            memory_max in 0..6_000usize,
        ) {
            let spill = Spill::past(memory_max, std::env::temp_dir());
            let mut shelf = Shelf::new(spill.clone());
            let mut held: Vec<(Resting, Vec<u8>)> = Vec::new();
            for (place, length, seed) in steps {
                if place < held.len() {
                    let (resting, wanted) = held.swap_remove(place);
                    prop_assert_eq!(shelf.bytes(&resting), wanted);
                    shelf.drop_bytes(resting);
                } else {
                    let put = bytes(length, seed);
                    held.push((shelf.put(put.clone()), put));
                }
                for (resting, wanted) in &held {
                    prop_assert_eq!(&shelf.bytes(resting), wanted);
                }
                let filed = held.iter().filter(|(resting, _)| matches!(resting, Resting::Filed(_)));
                let filed_bytes = filed.map(|(_, bytes)| bytes.len()).sum::<usize>();
                let (in_memory, in_files) = spill.bytes();
                prop_assert_eq!(in_files, filed_bytes);
                prop_assert!(in_memory <= memory_max, "{in_memory} of {memory_max} bytes");
            }
            drop(shelf);
            prop_assert_eq!(spill.bytes(), (0, 0));
        }
    }

    #[test]
    fn a_place_is_used_again() {
        let mut shelf = Shelf::new(Spill::past(0, std::env::temp_dir()));
        for round in 0..100 {
            let resting = shelf.put(bytes(1_000, round));
            shelf.drop_bytes(resting);
        }
        assert_eq!(shelf.end, blocks(1_000));
    }

    #[test]
    fn little_of_a_place_is_left_unused() {
        for length in 1..100_000 {
            let taken = blocks(length) * BLOCK;
            let needed = length.next_multiple_of(BLOCK);
            assert!(taken >= needed && taken <= needed + needed / 8, "{taken} for {length}");
        }
    }

    #[test]
    fn what_can_not_be_written_stays_in_memory() {
        let folder = PathBuf::from("/nowhere/at/all");
        let mut shelf = Shelf::new(Spill::past(0, folder));
        let resting = shelf.put(bytes(10, 1));
        assert!(matches!(resting, Resting::Held(_)));
        assert_eq!(shelf.bytes(&resting), bytes(10, 1));
    }

    #[test]
    fn what_can_not_be_read_ends_the_epoch_and_blames_nobody() {
        let mut shelf = Shelf::new(Spill::past(0, std::env::temp_dir()));
        let resting = shelf.put(bytes(10, 1));
        shelf.file.as_ref().unwrap().set_len(0).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| shelf.bytes(&resting).len())).unwrap_err();
        assert!(matches!(ended_by(&*panic, End::Crashed(7)), End::Lost(_)));
        let other = catch_unwind(|| panic!("another reason")).unwrap_err();
        assert_eq!(ended_by(&*other, End::Crashed(7)), End::Crashed(7));
    }
}
