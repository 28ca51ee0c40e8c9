//! Appends to an embedded log from several threads and says what was acknowledged, a line each, until
//! it is killed or the log refuses. For `tests/tests/durability_local.rs`.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{Destination, Outgoing, Payload, Topics};
use local::{Durability, Local, Options, RECORD_BYTES_MAX};
use stream::{
    Broker, Entry, LaneId, Log, LogError, Outlet, Settled, Snapshots, SystemClock, Ticket,
};

/// Of the journals that are appended to.
const LANES: u32 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    let broker = Local::open(
        &folder,
        Options {
            durability: Durability::Disk,
            lanes: LANES,
            topics: Topics::default(),
            clock: Arc::new(SystemClock),
            schema_ids: Arc::new(|_| None),
            record_bytes_max: RECORD_BYTES_MAX,
        },
    )?;
    say("open")?;
    let written: Result<(), Box<dyn Error>> = std::thread::scope(|scope| {
        let broker = &broker;
        let lanes = (0..LANES).map(LaneId).map(|lane| scope.spawn(move || append(broker, lane)));
        let threads: Vec<_> = lanes
            .chain([scope.spawn(|| send(broker)), scope.spawn(|| snapshot(broker))])
            .map(|thread| thread.join())
            .collect();
        for thread in threads {
            thread.map_err(|_| "a thread panicked")?.map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    written
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What a thread ends with.
type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn append(broker: &Local, lane: LaneId) -> Ended {
    let mut log = broker.open(lane)?;
    loop {
        let mut entries: Vec<Entry> = Vec::new();
        let next = log.kept(stream::Source::Journal)?.end;
        for offset in next..next + 3 {
            entries.push(Entry(Bytes::from(format!("{}/{offset} {}", lane.0, "x".repeat(300)))));
        }
        match log.append(&entries) {
            Ok(offsets) => {
                for offset in offsets.into_iter().flatten() {
                    say(&format!("appended {} {offset}", lane.0))?;
                }
            }
            Err(error) => {
                say(&format!("refused {error:?}"))?;
                return Ok(say(&format!("refused again {:?}", log.append(&entries).err()))?);
            }
        }
    }
}

fn send(broker: &Local) -> Ended {
    let mut outlet = broker.outlet()?;
    let run = std::process::id();
    for number in 0_u64.. {
        let text = format!("{run}-{number}");
        let record = Outgoing {
            to: Destination::Inbox,
            partition: None,
            key: Some(Bytes::from(text.clone())),
            value: Payload::Null,
            headers: Vec::new(),
        };
        if outlet.send(Ticket(number), vec![record]).is_err() {
            return Ok(());
        }
        match outlet.settled(Duration::from_secs(60))?.as_slice() {
            [Settled::Sent(_)] => say(&format!("sent {text}"))?,
            [Settled::Failed { .. }] => return Ok(()),
            other => return Err(format!("one ticket was settled as {other:?}").into()),
        }
    }
    Ok(())
}

fn snapshot(broker: &Local) -> Ended {
    let lane = LaneId(0);
    let mut holder = broker.fence(lane)?;
    let before = holder.load()?.marker;
    let before: u64 = match before {
        None => 0,
        Some(text) => std::str::from_utf8(&text)?.parse()?,
    };
    for number in before + 1.. {
        let text = Bytes::from(number.to_string());
        match holder.write(&[("state".into(), Some(text.clone()))], &text) {
            Ok(()) => say(&format!("snapshot {number}"))?,
            Err(LogError::Lost(_)) => return Ok(()),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
