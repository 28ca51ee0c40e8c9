//! What the disk itself takes: the floor of the embedded log.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::failure::Failure;

/// Appended and synced, each alone.
const APPENDS: u32 = 500;
/// Of one.
const APPEND: [u8; 300] = [b'.'; 300];
/// The file is made so long beforehand, as the embedded log makes its own: a file that grows would have its
/// length synced too.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// How long an append of some hundred bytes takes with its `fdatasync`, in a file of its own in the folder:
/// microseconds. The file is removed afterwards.
pub(crate) fn sync_times(folder: &Path) -> Result<Histogram<u64>, Failure> {
    let failed = |error: std::io::Error| Failure::from_error("the disk can not be timed", &error);
    let mut times = Histogram::new_with_bounds(1, 60_000_000, 3)
        .map_err(|error| Failure::from_error("no histogram", &error))?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    let path = folder.join("bench-fdatasync");
    let mut file = File::create(&path).map_err(failed)?;
    file.set_len(FILE_BYTES).and_then(|()| file.sync_all()).map_err(failed)?;
    for _ in 0..APPENDS {
        let begun = Instant::now();
        file.write_all(&APPEND).and_then(|()| file.sync_data()).map_err(failed)?;
        times.saturating_record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_append_is_timed_and_the_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let times = sync_times(folder.path()).unwrap();
        assert_eq!(times.len(), u64::from(APPENDS));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
