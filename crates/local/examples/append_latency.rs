//! How long a durable append takes, one at a time, beside a plain `fdatasync` in the same folder:
//! `cargo run --release -p pavane-local --example append_latency [FOLDER]`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Destination, Outgoing, Payload, Topics};
use local::{Durability, Local, Options, RECORD_BYTES_MAX};
use stream::{Broker, Entry, LaneId, Log, Outlet, Source, SystemClock, Ticket};

const ROUNDS: usize = 3_000;
const VALUE: [u8; 300] = [b'x'; 300];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()))?;
    plain(folder.path())?;
    for durability in [Durability::Disk, Durability::Os] {
        through(&folder.path().join(format!("{durability:?}")), durability)?;
    }
    Ok(())
}

/// The embedded log.
fn through(folder: &Path, durability: Durability) -> Result<(), Box<dyn Error>> {
    let broker = Local::open(
        folder,
        Options {
            durability,
            lanes: 4,
            topics: Topics::default(),
            clock: Arc::new(SystemClock),
            schema_ids: Arc::new(|_| None),
            record_bytes_max: RECORD_BYTES_MAX,
        },
    )?;
    let mut log = broker.open(LaneId(0))?;
    let entry = Entry(Bytes::from_static(&VALUE));
    measure(&format!("{durability:?}: append and wait"), || {
        log.append(std::slice::from_ref(&entry))?;
        Ok(())
    })?;
    let mut next = 0;
    measure(&format!("{durability:?}: send to the inbox, read it"), || {
        let record = Outgoing {
            to: Destination::Inbox,
            partition: Some(0),
            key: None,
            value: Payload::Bytes(Bytes::from_static(&VALUE)),
            headers: Vec::new(),
        };
        log.send(Ticket(u64::try_from(next)?), vec![record])?;
        next += log.read(Source::Inbox, next, Duration::from_secs(10))?.len() as i64;
        log.settled(Duration::ZERO)?;
        Ok(())
    })?;
    Ok(())
}

/// What the disk itself takes, in a file made long beforehand as the storage library's is.
fn plain(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(folder.join("plain"))?;
    file.set_len(64 * 1024 * 1024)?;
    file.sync_all()?;
    measure("write and fdatasync", || {
        file.write_all(&VALUE)?;
        Ok(file.sync_data()?)
    })
}

fn measure(
    what: &str,
    mut act: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        act()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let at = |part: usize| times.get(ROUNDS * part / 100).map_or(0, Duration::as_micros);
    let mut out = std::io::stdout();
    writeln!(out, "{what:40} p50 {:5} us  p99 {:5} us", at(50), at(99))?;
    Ok(())
}
