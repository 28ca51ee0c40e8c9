//! A look at the storage library's journal files before it opens them.
//!
//! The library reads a journal up to the first thing that makes no sense and cuts the file off there.
//! At the end of the newest file that is right: the process was killed, or the machine went down, in
//! the middle of batches that nobody was told of. Anywhere else it would be the silent loss of all that
//! stands behind a flipped byte. So we look first. Each batch says in a [`Mark`] up to which one all were
//! synced when it was written, hence a broken batch is damage where one behind it says that it was synced,
//! or says nothing. And where the library would refuse a torn batch that has all its length but not all
//! its bytes, we cut it off.
//!
//! The form is that of fjall 3 (`journal/entry.rs`): a batch is a start (1, count as u32, sequence
//! number as u64), `count` items (2, ...) or clears (4, ...), and an end (3, xxh3 of items and clears
//! as u64, four magic bytes); all numbers little endian.

use std::fs::File;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use crate::error::LocalError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: &[u8] = b"FJL\x03";

/// Key of the mark in each batch. Too long for one of ours of the same place, and no record's or state's.
pub(crate) const MARK_KEY: &[u8] = b"unsynced";

/// What a batch says of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of the opening in which it was written. At its begin all that was in the files was synced.
    pub(crate) session: u64,
    /// The batch's number in that, from 1.
    pub(crate) number: u64,
    /// All batches of the session up to this number were on the disk.
    pub(crate) synced: u64,
}

impl Mark {
    pub(crate) fn encode(self) -> [u8; 24] {
        let mut out = [0; 24];
        for (slot, number) in
            out.as_chunks_mut::<8>().0.iter_mut().zip([self.session, self.number, self.synced])
        {
            *slot = number.to_le_bytes();
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([session, number, synced], []) = bytes.as_chunks::<8>() else { return None };
        let [session, number, synced] =
            [session, number, synced].map(|slot| u64::from_le_bytes(*slot));
        Some(Self { session, number, synced })
    }

    /// Whether all behind the batch with this mark may be missing or broken, as far as a later one says.
    fn may_be_last(self, later: Option<Self>) -> bool {
        later.is_some_and(|later| later.session == self.session && later.synced <= self.number)
    }
}

/// Checks all journal files of the storage, and cuts off what was torn at the end of the newest.
///
/// # Errors
/// `Damaged`, with the file and the place in it.
pub(crate) fn check(storage: &Path) -> Result<(), LocalError> {
    let mut files = journals(storage)?;
    if files.is_empty() {
        return Err(damaged(
            storage,
            "it has no journal: a file whose name ends with `.jnl` is gone",
        ));
    }
    files.sort();
    let newest = files.len().saturating_sub(1);
    let mut mark = None;
    for (at, (_, path)) in files.iter().enumerate() {
        let bytes = std::fs::read(path).map_err(LocalError::io("read", path))?;
        match look(&bytes, &mut mark) {
            Found::Whole => {}
            Found::Torn { at: end } if at == newest => cut(path, end)?,
            Found::Torn { at } => {
                return Err(damaged(
                    path,
                    &format!("it breaks off at byte {at}, and is not the newest"),
                ));
            }
            Found::Damaged { at, next } => {
                return Err(damaged(
                    path,
                    &format!(
                        "at byte {at} it is not as it was written, and it goes on at byte {next}"
                    ),
                ));
            }
        }
        // What a process has written before it was killed may be in memory alone.
        File::open(path).and_then(|file| file.sync_data()).map_err(LocalError::io("sync", path))?;
    }
    Ok(())
}

fn damaged(file: &Path, what: &str) -> LocalError {
    LocalError::Damaged { file: file.to_owned(), what: what.to_owned() }
}

fn journals(storage: &Path) -> Result<Vec<(u64, PathBuf)>, LocalError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(storage).map_err(LocalError::io("list", storage))? {
        let path = entry.map_err(LocalError::io("list", storage))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let number = number.ok_or_else(|| damaged(&path, "its name is not a number"))?;
            files.push((number, path));
        }
    }
    Ok(files)
}

fn cut(path: &Path, end: usize) -> Result<(), LocalError> {
    tracing::warn!(file = %path.display(), end, "the last batch was torn and is cut off");
    let file = File::options().write(true).open(path).map_err(LocalError::io("open", path))?;
    let end = u64::try_from(end).unwrap_or(u64::MAX);
    file.set_len(end).and_then(|()| file.sync_all()).map_err(LocalError::io("cut off", path))
}

/// What a journal's bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Batches, and zeros behind them: the library makes its files longer than they need to be.
    Whole,
    /// Batches, and something broken behind them.
    Torn {
        /// Where the batches end.
        at: usize,
    },
    /// Something broken with batches behind it.
    Damaged {
        /// Where it is broken.
        at: usize,
        /// Where the next batch begins.
        next: usize,
    },
}

/// `mark`: of the last whole batch so far.
fn look(bytes: &[u8], mark: &mut Option<Mark>) -> Found {
    let (mut at, mut last) = (0, None);
    while let Some(batch) = bytes.get(at..).and_then(batch) {
        // The sequence number is not part of the sum, but the library skips what seems old to it.
        if last >= Some(batch.number) {
            return Found::Damaged { at, next: at };
        }
        last = Some(batch.number);
        *mark = batch.mark;
        at += batch.length;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) {
        return Found::Whole;
    }
    let filling = rest.iter().rev().take_while(|byte| **byte == 0).count();
    let rest = rest.get(..rest.len() - filling).unwrap_or_default();
    let mut next = 1;
    while next < rest.len() {
        match rest.get(next..).and_then(batch) {
            None => next += 1,
            Some(later) if mark.is_some_and(|mark| mark.may_be_last(later.mark)) => {
                next += later.length;
            }
            Some(_) => return Found::Damaged { at, next: at + next },
        }
    }
    Found::Torn { at }
}

/// A whole batch.
struct Batch {
    /// Its sequence number; they rise within a file.
    number: usize,
    /// In bytes.
    length: usize,
    mark: Option<Mark>,
}

/// The batch that the bytes begin with; `None` where they begin with no whole one.
fn batch(bytes: &[u8]) -> Option<Batch> {
    let mut rest = Rest(bytes);
    if rest.byte()? != START {
        return None;
    }
    let count = rest.number::<4>()?;
    let number = rest.number::<8>()?;
    if count == 0 {
        return None;
    }
    let mut hash = Xxh3Default::new();
    let mut mark = None;
    for _ in 0..count {
        let item = rest.0;
        match rest.byte()? {
            ITEM => {
                // The kind of value, its compression, the keyspace.
                rest.skip(2 + 8)?;
                let key = rest.number::<2>()?;
                let _uncompressed = rest.number::<4>()?;
                let value = rest.number::<4>()?;
                let key = rest.skip(key)?;
                let value = rest.skip(value)?;
                if key == MARK_KEY {
                    mark = Mark::decode(value);
                }
            }
            CLEAR => {
                rest.skip(8)?;
            }
            _ => return None,
        }
        hash.update(item.get(..item.len() - rest.0.len())?);
    }
    if rest.byte()? != END {
        return None;
    }
    let (sum, end) = rest.0.split_first_chunk::<8>()?;
    let whole = u64::from_le_bytes(*sum) == hash.digest() && end.starts_with(MAGIC);
    whole.then_some(Batch { number, length: bytes.len() - end.len() + MAGIC.len(), mark })
}

/// Bytes still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number<const N: usize>(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        let number = number.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).ok()
    }

    fn skip(&mut self, count: usize) -> Option<&'a [u8]> {
        let (skipped, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch as fjall 3 writes it.
    fn written(number: u64, value: &[u8]) -> Vec<u8> {
        under(number, b"key", value)
    }

    fn marked(number: u64, session: u64, synced: u64) -> Vec<u8> {
        under(number, MARK_KEY, &Mark { session, number, synced }.encode())
    }

    fn under(number: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut item = vec![ITEM, 0, 0];
        item.extend(7_u64.to_le_bytes());
        item.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        let length = u32::try_from(value.len()).unwrap().to_le_bytes();
        item.extend(length.iter().chain(&length).chain(key).chain(value));
        let mut hash = Xxh3Default::new();
        hash.update(&item);
        let mut batch = vec![START];
        batch.extend(1_u32.to_le_bytes());
        batch.extend(number.to_le_bytes());
        batch.extend(item);
        batch.push(END);
        batch.extend(hash.digest().to_le_bytes());
        batch.extend(MAGIC);
        batch
    }

    fn look(bytes: &[u8]) -> Found {
        super::look(bytes, &mut None)
    }

    #[test]
    fn batches_that_were_not_synced_may_be_missing_before_later_ones() {
        let second_of = |batches: [Vec<u8>; 4]| {
            let at = batches[0].len();
            let mut all = batches.concat();
            // In the second one's value.
            all[at + 40] ^= 1;
            (look(&all), at, at + batches[1].len())
        };
        let (found, at, _) =
            second_of([marked(1, 7, 0), marked(2, 7, 1), marked(3, 7, 1), marked(4, 7, 1)]);
        assert_eq!(found, Found::Torn { at });
        // A later one says that the second was synced.
        let (found, at, next) =
            second_of([marked(1, 7, 0), marked(2, 7, 1), marked(3, 7, 2), marked(4, 7, 2)]);
        assert_eq!(found, Found::Damaged { at, next });
        let (found, at, next) =
            second_of([marked(1, 7, 0), marked(2, 7, 1), marked(3, 7, 1), marked(4, 7, 3)]);
        let third = marked(3, 7, 1).len();
        assert_eq!(found, Found::Damaged { at, next: next + third });
        // What stood at the begin of another opening was synced, and who says nothing has synced all.
        let (found, at, next) =
            second_of([marked(1, 6, 0), marked(2, 6, 0), marked(3, 7, 0), marked(4, 7, 0)]);
        assert_eq!(found, Found::Damaged { at, next });
        let (found, at, next) =
            second_of([marked(1, 7, 0), marked(2, 7, 1), written(3, b"x"), marked(4, 7, 1)]);
        assert_eq!(found, Found::Damaged { at, next });
    }

    #[test]
    fn a_torn_end_is_told_from_damage() {
        let batches = [written(1, b"one"), written(2, b"two"), written(3, b"three"), vec![0; 64]];
        let all = batches.concat();
        let ends: Vec<usize> = batches
            .iter()
            .scan(0, |end, batch| {
                *end += batch.len();
                Some(*end)
            })
            .collect();
        let [second, third, end, _] = ends[..] else { unreachable!() };
        assert_eq!(look(&all), Found::Whole);
        assert_eq!(look(&[]), Found::Whole);
        for cut in third + 1..end {
            assert_eq!(look(&all[..cut]), Found::Torn { at: third }, "cut at {cut}");
        }
        for at in 0..end {
            let mut flipped = all.clone();
            flipped[at] ^= 0x40;
            let (begin, next) = match at {
                at if at < second => (0, second),
                at if at < third => (second, third),
                _ => (third, end),
            };
            let in_number = (5..13).contains(&(at - begin));
            let expected = match (in_number, next == end) {
                (true, true) => Found::Whole,
                (true, false) => Found::Damaged { at: next, next },
                (false, true) => Found::Torn { at: begin },
                (false, false) => Found::Damaged { at: begin, next },
            };
            assert_eq!(look(&flipped), expected, "flipped at {at}");
        }
    }
}
