//! The files of the embedded log: damaged in any way, they are refused with the file's name, or opened with all
//! that was acknowledged (docs/decisions/0006-damage-in-the-embedded-log.md).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{Offset, Topics};
use local::{Durability, Local, LocalError, Options, RECORD_BYTES_MAX};
use stream::{Broker, Entry, LaneId, Log, LogError, Source, SystemClock};

use crate::corpus::{Target, turn};
use crate::luck::Luck;

const ENTRIES: Offset = 12;

fn options() -> Options {
    Options {
        durability: Durability::Os,
        lanes: 1,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: RECORD_BYTES_MAX,
    }
}

fn entry(n: Offset) -> Entry {
    Entry(Bytes::from(format!("entry {n} {}", "x".repeat(40))))
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// What the folder held when everything in it had been acknowledged: each file's name and bytes. The library
/// makes its journals longer than they need to be; the zeros are left out.
fn whole() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let broker = Local::open(folder.path(), options()).unwrap();
    let mut log = broker.open(LaneId(0)).unwrap();
    for n in 0..ENTRIES {
        assert_eq!(log.append(&[entry(n)]).unwrap(), [Some(n)]);
    }
    drop((log, broker));
    let name = |path: PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
    let with_bytes = |path: PathBuf| {
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
        }
        (name(path), bytes)
    };
    files(folder.path()).into_iter().map(with_bytes).collect()
}

fn entries(broker: &Local) -> Result<Vec<Bytes>, LogError> {
    let mut log = broker.open(LaneId(0))?;
    let kept = log.kept(Source::Journal)?;
    let (mut next, mut found) = (kept.start, Vec::new());
    assert_eq!(next, 0);
    while next < kept.end {
        for record in log.read(Source::Journal, next, Duration::ZERO)? {
            assert_eq!(record.place.offset, next);
            found.push(record.value.unwrap());
            next += 1;
        }
    }
    Ok(found)
}

/// Whether the folder opens. If it does, all entries are there, up to the place where the file was damaged; and
/// behind that place the file has no more of them: a file that was cut off can not be told from one whose
/// end was never written, and what is broken at its end was never acknowledged.
fn judge(folder: &Path, damaged: &[u8], what: &str) -> bool {
    let broker = match Local::open(folder, options()) {
        Ok(broker) => broker,
        Err(error) => {
            assert!(!matches!(error, LocalError::InUse { .. }), "{what}: {error}");
            return false;
        }
    };
    let found = match entries(&broker) {
        Ok(found) => found,
        Err(error) => {
            assert!(error.to_string().contains("put the folder"), "{what}: {error}");
            return false;
        }
    };
    let wanted: Vec<Bytes> = (0..ENTRIES).map(|n| entry(n).0).collect();
    assert!(wanted.starts_with(&found), "{what}: another record than was written: {found:?}");
    for lost in wanted.iter().skip(found.len() + 1) {
        let is_there = damaged.windows(lost.len()).any(|bytes| bytes == lost);
        assert!(!is_there, "{what}: {} of {ENTRIES} are left, without a word", found.len());
    }
    true
}

fn lay_out(whole: &[(PathBuf, Vec<u8>)], folder: &Path) {
    for (name, bytes) in whole {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// An input is a seed: which file is damaged, or removed, and how.
#[test]
fn files_of_the_embedded_log_damaged_by_chance() {
    let _turn = turn();
    let whole = whole();
    let target = Target {
        name: "store",
        made: (0_u64..15).map(|seed| seed.to_be_bytes().to_vec()).collect(),
        words: &[],
        inputs: 40,
        // The storage library's caches.
        bytes_max: 96 << 20,
        bytes_for_each: 0,
    };
    let (mut opened, mut refused) = (0, 0);
    target.run(|input| {
        let folder = tempfile::tempdir().unwrap();
        lay_out(&whole, folder.path());
        let seed =
            input.iter().fold(0, |seed: u64, byte| seed << 8 ^ seed >> 56 ^ u64::from(*byte));
        let mut luck = Luck::new(seed);
        // The lock file says nothing that is kept.
        let of_storage: Vec<&(PathBuf, Vec<u8>)> =
            whole.iter().filter(|(name, _)| name.starts_with("log")).collect();
        let (name, bytes) = luck.one_of(&of_storage);
        let mut damaged = bytes.clone();
        if luck.below(10) == 0 {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        } else {
            luck.change(&mut damaged, bytes, &[]);
            std::fs::write(folder.path().join(name), &damaged).unwrap();
        }
        let what = format!("seed {seed}, {} of {} bytes", name.display(), bytes.len());
        if judge(folder.path(), &damaged, &what) {
            opened += 1;
        } else {
            refused += 1;
        }
    });
    assert!(
        opened > 3 && refused > 3,
        "{opened} opened, {refused} refused: too one-sided to mean much"
    );
}
