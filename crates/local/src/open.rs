//! Opening a folder: the lock, a look for damage, the storage, and what it holds.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, TryLockError as TryWriter};
use std::thread::JoinHandle;
use std::time::Instant;

use events::{Offset, Topic};
use stream::{Created, LogError, Purpose};

use crate::error::LocalError;
use crate::group::Groups;
use crate::limits::LANES_MAX;
use crate::request::{Queue, Reply, Request};
use crate::store::Store;
use crate::tail::{Tail, TopicTail};
use crate::topics::{self, Described};
use crate::unsynced::Unsynced;
use crate::view::{Published, View, lock};
use crate::writer::Writer;
use crate::{Options, codec, journal_file, retention, thread, version_file};

/// Of what stands in the folder.
const FORMAT: u32 = 2;
/// The same, but with an entry for each record, which is read as a block of one.
const FORMAT_WITHOUT_BLOCKS: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
const LANES_KEY: &[u8] = b"lanes";

/// The lock file, the storage, and the storage while it is being made.
const LOCK_FILE: &str = "pavane.lock";
const STORAGE: &str = "log";
const STORAGE_IN_THE_MAKING: &str = "log.new";

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) store: Arc<Store>,
    pub(crate) view: Arc<View>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) groups: Mutex<Groups>,
    writer: Arc<Mutex<Writer>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    /// Hands a request over; somebody will answer it. Where the writer is free it is used at once: what is handed
    /// over waits for no sync, and a change of thread takes longer than writing it.
    pub(crate) fn hand(&self, request: Request) -> Result<(), LogError> {
        self.queue.push(request)?;
        self.turn();
        Ok(())
    }

    /// Writes what waits, if nobody else is about to.
    fn turn(&self) {
        match self.writer.try_lock() {
            Ok(mut writer) => writer.turn(),
            Err(TryWriter::WouldBlock) => self.queue.call(),
            Err(TryWriter::Poisoned(_)) => thread::panicked(&self.queue, &self.view),
        }
    }

    /// Hands a request over and waits for the answer. Where the writer is free it is used at once: that
    /// spares a quick disk's append two changes of thread.
    pub(crate) fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, LogError> {
        let (reply, answer) = sync_channel(1);
        self.queue.push(request(reply))?;
        self.turn();
        let gone = |_| LogError::Lost("the embedded log's writer has panicked".to_owned());
        answer.recv().map_err(gone)?
    }

    pub(crate) fn create(&self, topic: &Topic, purpose: Purpose) -> Result<Created, LogError> {
        let topic = topic.clone();
        self.ask(|reply| Request::Create { topic, purpose, reply })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close("the embedded log is closed");
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded log's writer has panicked");
        }
    }
}

/// Opens, or makes, the log in `dir`. `as_made`: with the lanes that it was made with, if it was.
pub(crate) fn open(dir: &Path, mut options: Options, as_made: bool) -> Result<Shared, LocalError> {
    if options.lanes == 0 || options.lanes > LANES_MAX {
        return Err(LocalError::Options(format!(
            "{} lanes are not possible; choose from 1 to {LANES_MAX}",
            options.lanes
        )));
    }
    std::fs::create_dir_all(dir).map_err(LocalError::io("make the folder", dir))?;
    let held = hold(dir)?;
    let storage = dir.join(STORAGE);
    prepare(dir, &storage, &options)?;
    journal_file::check(&storage)?;
    version_file::check(&storage)?;
    let store = Arc::new(Store::open(&storage, options.durability, Some(held))?);
    let failed = |what| LocalError::Storage { folder: storage.clone(), what };
    options.lanes = check_form(dir, &store, (!as_made).then_some(options.lanes))?;
    let mut writer = load(Arc::clone(&store), options.clone()).map_err(failed)?;
    ensure_internal(&mut writer).map_err(failed)?;
    let groups = Groups::load(&store).map_err(failed)?;
    let (view, queue) = (Arc::clone(&writer.view), Arc::clone(&writer.queue));
    let writer = Arc::new(Mutex::new(writer));
    let (of_thread, its_queue, its_view) = (writer.clone(), queue.clone(), view.clone());
    let thread = std::thread::Builder::new()
        .name("local-writer".to_owned())
        .spawn(move || thread::run(&of_thread, &its_queue, &its_view))
        .map_err(LocalError::io("start the writer of", dir))?;
    Ok(Shared {
        options,
        store,
        view,
        queue,
        groups: Mutex::new(groups),
        writer,
        thread: Mutex::new(Some(thread)),
    })
}

/// Takes the folder for this process; the operating system lets go of it when the process ends,
/// however it ends.
fn hold(dir: &Path) -> Result<Hold, LocalError> {
    let path = dir.join(LOCK_FILE);
    let action = "take the lock file";
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(LocalError::io(action, &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut id = String::new();
            // Only a courtesy: the refusal stands without it.
            file.read_to_string(&mut id).ok();
            let by = match id.trim() {
                "" => String::new(),
                id => format!(" (process {id})"),
            };
            return Err(LocalError::InUse { folder: dir.to_owned(), by });
        }
        Err(TryLockError::Error(error)) => return Err(LocalError::io(action, &path)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()));
    written.map_err(LocalError::io(action, &path))?;
    Ok(Hold(file))
}

/// The folder, taken for this process.
pub(crate) struct Hold(File);

impl Drop for Hold {
    /// Said, and not left to the closing of the file: a process that is being started just then has the file too,
    /// until it runs its own program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the embedded log's folder could not be let go of");
        }
    }
}

/// Makes the storage under another name and renames it, so that a crash meanwhile leaves either
/// nothing or all of it.
fn prepare(dir: &Path, storage: &Path, options: &Options) -> Result<(), LocalError> {
    if storage.try_exists().map_err(LocalError::io("look for", storage))? {
        return Ok(());
    }
    let making = dir.join(STORAGE_IN_THE_MAKING);
    if making.try_exists().map_err(LocalError::io("look for", &making))? {
        std::fs::remove_dir_all(&making)
            .map_err(LocalError::io("remove the unfinished", &making))?;
    }
    let store = Store::open(&making, options.durability, None)?;
    let mut batch = store.batch();
    batch.insert(&store.meta, FORMAT_KEY, FORMAT.to_be_bytes());
    batch.insert(&store.meta, LANES_KEY, options.lanes.to_be_bytes());
    let failed = |what| LocalError::Storage { folder: making.clone(), what };
    store.write(batch).map_err(failed)?;
    store.sync().map_err(failed)?;
    drop(store);
    std::fs::rename(&making, storage).map_err(LocalError::io("rename", &making))?;
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(LocalError::io("sync the folder", dir))
}

/// Holds the folder's format against what this build knows, and its lanes against those that are asked for; gives
/// their number.
fn check_form(dir: &Path, store: &Store, asked: Option<u32>) -> Result<u32, LocalError> {
    let failed = |what| LocalError::Storage { folder: dir.to_owned(), what };
    let number = |key| {
        let stored = store.get(key).map_err(failed)?;
        stored.and_then(|bytes| bytes.as_ref().try_into().ok().map(u32::from_be_bytes)).ok_or_else(
            || LocalError::Damaged {
                file: dir.join(STORAGE),
                what: format!("it does not say its {}", key.escape_ascii()),
            },
        )
    };
    let found = number(FORMAT_KEY)?;
    if found != FORMAT && found != FORMAT_WITHOUT_BLOCKS {
        return Err(LocalError::Format { folder: dir.to_owned(), found, known: FORMAT });
    }
    let made = number(LANES_KEY)?;
    if let Some(asked) = asked.filter(|asked| *asked != made) {
        return Err(LocalError::Lanes { folder: dir.to_owned(), made, asked });
    }
    if found == FORMAT {
        return Ok(made);
    }
    // Before the first block, so that no build that knows none of them takes it for a record.
    let mut batch = store.batch();
    batch.insert(&store.meta, FORMAT_KEY, FORMAT.to_be_bytes());
    store.write(batch).and_then(|()| store.sync()).map_err(failed)?;
    Ok(made)
}

/// What the storage holds, as the writer needs it.
fn load(store: Arc<Store>, options: Options) -> Result<Writer, String> {
    let mut described: Vec<(Topic, Described)> = store
        .all(&store.meta, b"t")
        .map(|pair| {
            let (key, value) = pair?;
            let name = key.strip_prefix(b"t").and_then(|name| std::str::from_utf8(name).ok());
            name.map(Topic::from)
                .zip(Described::decode(&value))
                .ok_or_else(|| format!("the description of topic {} is broken", key.escape_ascii()))
        })
        .collect::<Result<_, _>>()?;
    described.sort_by_key(|(_, described)| described.id);
    let mut topics = Vec::new();
    let mut by_name = HashMap::new();
    let mut published = Published::default();
    for ((name, described), id) in described.into_iter().zip(0..) {
        if described.id != id {
            return Err(format!("topic {name} has number {}, not {id}", described.id));
        }
        let partitions = (0..described.partitions)
            .map(|partition| load_tail(&store, id, partition))
            .collect::<Result<Vec<_>, _>>()?;
        for (partition, tail) in (0..).zip(&partitions) {
            published.kept.push((id, partition, tail.first..tail.next));
        }
        published.made.push((name.clone(), described.partitions));
        by_name.insert(name.clone(), id);
        let record_bytes_max = topics::record_bytes_max(
            &options.topics,
            &name,
            described.purpose,
            options.record_bytes_max,
        );
        let purpose = described.purpose;
        topics.push(TopicTail { name, purpose, record_bytes_max, partitions, turn: 0 });
    }
    let holders =
        (0..options.lanes).map(|lane| load_holder(&store, lane)).collect::<Result<_, _>>()?;
    let view = Arc::new(View::default());
    view.publish(published);
    Ok(Writer {
        store,
        view,
        queue: Arc::default(),
        options,
        topics,
        by_name,
        holders,
        commits: BTreeMap::new(),
        commits_since: None,
        sweep_at: Instant::now(),
        unsynced: Unsynced::none(),
        thread_due: Instant::now(),
    })
}

fn load_tail(store: &Store, topic: u32, partition: u32) -> Result<Tail, String> {
    let floor = match store.get(&codec::floor_key(topic, partition))? {
        None => retention::Floor::default(),
        Some(bytes) => retention::Floor::decode(&bytes).ok_or_else(|| {
            format!("where partition {partition} of topic {topic} begins is broken")
        })?,
    };
    let retention::Floor { swept, first, time } = floor;
    let Some(last) = store.last(topic, partition, Offset::MAX)? else {
        return Ok(Tail { swept, first, next: first, time });
    };
    let at = last.times().last().flatten().ok_or_else(|| store.otherwise())?;
    Ok(Tail { swept, first, next: last.end.max(first), time: time.max(at) })
}

fn load_holder(store: &Store, lane: u32) -> Result<u64, String> {
    match store.get(&codec::holder_key(lane))? {
        None => Ok(0),
        Some(bytes) => bytes
            .as_ref()
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| format!("the number of the holder of lane {lane} is broken")),
    }
}

fn ensure_internal(writer: &mut Writer) -> Result<(), String> {
    let mut group = writer.group();
    for (name, purpose) in topics::internal(&writer.options.topics) {
        if !writer.by_name.contains_key(&name) {
            writer.make(&name, purpose, &mut group)?;
        }
    }
    writer.finish(group)
}
