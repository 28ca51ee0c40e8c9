//! A look at what the storage library's keyspaces say of themselves, before it opens them.
//!
//! The library believes them: a list that says less than it did makes tables vanish, one that is not there
//! at all makes the keyspace an empty one, and a length that is too large takes that much memory. So we look
//! first. The form is that of lsm-tree 3 (`version/persist.rs`) and sfa 1: `current` holds the number of the
//! version as u64, the xxh3 of its file `v<number>` as u128, and a zero. That file and each table end with a
//! trailer: `SFA!`, 1, 0, the xxh3 of the table of contents as u128, its place and its length as u64. All
//! numbers are little endian.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::LocalError;

const CURRENT: &str = "current";
const CURRENT_BYTES: usize = 8 + 16 + 1;
const TRAILER_BYTES: usize = 4 + 1 + 1 + 16 + 8 + 8;
/// Of a table of contents: it names a dozen sections.
const CONTENTS_BYTES_MAX: u64 = 64 * 1024;

/// Checks what every keyspace says of itself.
///
/// # Errors
/// `Damaged`, with the file.
pub(crate) fn check(storage: &Path) -> Result<(), LocalError> {
    let keyspaces = storage.join("keyspaces");
    if !keyspaces.try_exists().map_err(LocalError::io("look for", &keyspaces))? {
        return Ok(());
    }
    for keyspace in listed(&keyspaces)? {
        let files = listed(&keyspace)?;
        let is_version = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix('v').is_some_and(|number| number.parse::<u64>().is_ok())
        };
        let current = keyspace.join(CURRENT);
        if files.contains(&current) {
            check_version(&keyspace, &current)?;
        } else if files.iter().any(is_version) {
            return Err(damaged(&current, "it is not there"));
        }
        let tables = keyspace.join("tables");
        if files.contains(&tables) {
            listed(&tables)?.iter().try_for_each(|table| check_contents(table))?;
        }
    }
    Ok(())
}

fn damaged(file: &Path, what: &str) -> LocalError {
    LocalError::Damaged { file: file.to_owned(), what: what.to_owned() }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, LocalError> {
    let entries = std::fs::read_dir(folder).map_err(LocalError::io("list", folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LocalError::io("list", folder))?;
    paths.sort();
    Ok(paths)
}

fn check_version(keyspace: &Path, current: &Path) -> Result<(), LocalError> {
    let said = std::fs::read(current).map_err(LocalError::io("read", current))?;
    let (Some(number), Some(sum), CURRENT_BYTES) = (
        said.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)),
        said.get(8..24).and_then(|bytes| bytes.try_into().ok()).map(u128::from_le_bytes),
        said.len(),
    ) else {
        return Err(damaged(current, "it is shorter or longer than it was written"));
    };
    let file = keyspace.join(format!("v{number}"));
    match std::fs::read(&file) {
        Ok(bytes) if xxh3_128(&bytes) == sum => Ok(()),
        Ok(_) => {
            let what = format!("it is not as it was written, or `{}` is not", current.display());
            Err(damaged(&file, &what))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(damaged(current, &format!("it names version {number}, whose file is not there")))
        }
        Err(error) => Err(LocalError::io("read", &file)(error)),
    }
}

/// That a table's list of its sections is as it was written; what stands in the sections has sums of its own,
/// which the library checks when it reads them. A file without a trailer is one that was being written when
/// the process ended, which the library removes, or one that it refuses.
fn check_contents(table: &Path) -> Result<(), LocalError> {
    let whole = || -> std::io::Result<bool> {
        let mut file = File::open(table)?;
        let length = file.metadata()?.len();
        let Some(at) = length.checked_sub(TRAILER_BYTES as u64) else { return Ok(true) };
        file.seek(SeekFrom::Start(at))?;
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact(&mut trailer)?;
        if !trailer.starts_with(b"SFA!\x01\x00") {
            return Ok(true);
        }
        let sum = trailer.get(6..22).and_then(|bytes| bytes.try_into().ok());
        let place = trailer.get(22..30).and_then(|bytes| bytes.try_into().ok());
        let (Some(sum), Some(place)) =
            (sum.map(u128::from_le_bytes), place.map(u64::from_le_bytes))
        else {
            return Ok(false);
        };
        let contents = at.checked_sub(place).filter(|bytes| *bytes <= CONTENTS_BYTES_MAX);
        let Some(bytes) = contents else { return Ok(false) };
        file.seek(SeekFrom::Start(place))?;
        let mut contents = Vec::new();
        file.take(bytes).read_to_end(&mut contents)?;
        Ok(xxh3_128(&contents) == sum)
    };
    match whole() {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged(table, "its list of sections is not as it was written")),
        Err(error) => Err(LocalError::io("read", table)(error)),
    }
}
