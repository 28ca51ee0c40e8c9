//! Telling what is wrong with the storage, and with which file.
//!
//! The library checks each block that it reads by a sum, but does not say in which file a broken one
//! stands; so when it stumbles, we walk its tables. The form of a block is that of lsm-tree 3
//! (`table/block/header.rs`): four magic bytes, a kind, xxh3 of the data as u128, the data's length as
//! u32, its length uncompressed as u32, the lower four bytes of the header's own xxh3; then the data.
//! All numbers are little endian.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::LocalError;

const MAGIC: &[u8] = b"LSM\x03";
/// Magic, kind, sum of the data, two lengths.
const HEADER_BYTES: usize = 4 + 1 + 16 + 4 + 4;
const HEADER_SUM_BYTES: usize = 4;

/// What happened, where, and what to do.
pub(crate) fn explain(folder: &Path, error: &fjall::Error) -> String {
    let at = folder.display();
    let room = "see that the disk has room and is well, and start again";
    if let fjall::Error::Io(error) = error {
        return format!("the embedded log in {at} can not go on: {error}; {room}");
    }
    if matches!(error, fjall::Error::Poisoned) {
        return format!(
            "the embedded log in {at} takes no more writes, since an earlier one has failed; {room}"
        );
    }
    match damaged_table(folder) {
        Some((file, byte)) => format!(
            "{} is damaged: the block at byte {byte} is not as it was written; put the folder {at} \
             back from a copy",
            file.display()
        ),
        None => {
            format!(
                "the embedded log in {at} can not go on: {error}; put the folder back from a copy"
            )
        }
    }
}

/// The same, where it can not even be opened.
pub(crate) fn refuse(folder: &Path, error: &fjall::Error) -> LocalError {
    match damaged_table(folder) {
        Some((file, byte)) => {
            let what = format!("the block at byte {byte} is not as it was written");
            LocalError::Damaged { file, what }
        }
        None => LocalError::Storage { folder: folder.to_owned(), what: error.to_string() },
    }
}

/// The first table with a broken block, and where.
fn damaged_table(folder: &Path) -> Option<(PathBuf, usize)> {
    let keyspaces = std::fs::read_dir(folder.join("keyspaces")).ok()?;
    let mut tables: Vec<PathBuf> = keyspaces
        .filter_map(|keyspace| std::fs::read_dir(keyspace.ok()?.path().join("tables")).ok())
        .flat_map(|tables| tables.filter_map(|table| Some(table.ok()?.path())))
        .collect();
    tables.sort();
    tables.into_iter().find_map(|table| {
        let byte = broken_block(&std::fs::read(&table).ok()?)?;
        Some((table, byte))
    })
}

/// Where the first broken block of a table begins.
fn broken_block(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // Between the blocks' sections stand others, which have sums of their own.
        at += bytes.get(at..)?.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        match whole_block(bytes.get(at..)?) {
            Some(length) => at += length,
            None => return Some(at),
        }
    }
}

/// How long the block is that the bytes begin with, if it is as it was written.
fn whole_block(bytes: &[u8]) -> Option<usize> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (sum, rest) = rest.split_at_checked(HEADER_SUM_BYTES)?;
    let data_sum: [u8; 16] = header.get(5..21)?.try_into().ok()?;
    let length: [u8; 4] = header.get(21..25)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let data = rest.get(..length)?;
    let whole = xxh3_128(header).to_le_bytes().starts_with(sum)
        && xxh3_128(data) == u128::from_le_bytes(data_sum);
    whole.then_some(HEADER_BYTES + HEADER_SUM_BYTES + length)
}
