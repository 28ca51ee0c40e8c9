//! Taking a lane over: fence, restore, announce, claim. Every act and assignment, and every recovery from
//! doubt, comes through here.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use events::{Destination, Offset, Record, Timestamp, planted};

use crate::acks::wishes;
use crate::broker::{Broker, Entry, Key, LaneId, Log, LogError, Snapshots, Source};
use crate::journal::{Announce, Decide, FORMAT, Origin, Owner, Written};
use crate::limits::Limits;
use crate::reader::{Context, ReadError, Ruling};
use crate::seams::Clock;
use crate::service::{Journaled, Service, Stored};
use crate::shelf::Unreadable;
use crate::snapshot::read_marker;
use crate::states::States;

/// Why a lane is not active.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    /// The broker is unwell, or the outcome of an append is unknown: taken over anew after a while.
    #[error("lost: {0}")]
    Lost(String),
    /// The broker refuses a record that must be sent, for good: its topic is not there, say.
    #[error("a record for `{to:?}` can not be sent: {why}")]
    Unsent {
        /// Where it was to go.
        to: Destination,
        /// What the broker says.
        why: String,
    },
    /// A rival has announced a newer epoch, or holds the fence.
    #[error("superseded: {0}")]
    Superseded(String),
    /// Our own code panicked while deciding on the inbox record at this offset.
    #[error("panicked on the inbox record at offset {0}")]
    Crashed(Offset),
    /// Our own code panicked while deciding on this key's timer.
    #[error("panicked on the timer of {0}")]
    CrashedTimer(Key),
    /// Our own code panicked when told that an event's records are acknowledged.
    #[error("panicked on the acknowledgement of event {index} of journal offset {offset}")]
    CrashedAck {
        /// The event's journal record.
        offset: Offset,
        /// Its place in that.
        index: u32,
    },
    /// Only an operator can help. Other lanes go on.
    #[error("refused: {0}")]
    Refused(String),
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced => Self::Superseded(error.to_string()),
            LogError::Gone { .. } | LogError::PastEnd { .. } => Self::Refused(error.to_string()),
            LogError::InDoubt(_) | LogError::TooLarge { .. } | LogError::Lost(_) => {
                Self::Lost(error.to_string())
            }
        }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// A lane's memory as the journal gives it.
pub(crate) struct Restored<S: Service> {
    pub(crate) context: Context,
    pub(crate) states: States<S::State>,
    /// Valid decisions at or above the cursor, whose records are to be sent again.
    pub(crate) unsent: VecDeque<(Offset, Decide, Vec<S::Event>)>,
    /// Events of those, by journal offset and place, on whose acknowledgement something was decided, or of
    /// which a record was parked: they are not told of again.
    pub(crate) acked: BTreeSet<(Offset, u32)>,
    /// When the first of what no snapshot holds was decided.
    pub(crate) unsaved_since: Option<Timestamp>,
}

/// A lane that was won.
pub(crate) struct Won<S: Service, L, N> {
    pub(crate) log: L,
    pub(crate) holder: N,
    pub(crate) restored: Restored<S>,
    pub(crate) owner: Owner,
    /// When the announcement was made: so fresh is what is known of the journal.
    pub(crate) announced_at: Timestamp,
}

/// Takes a lane over.
pub(crate) fn take_over<S: Service, B: Broker>(
    broker: &B,
    lane: LaneId,
    lanes: u32,
    owner: Owner,
    clock: &dyn Clock,
    limits: &Limits,
) -> Result<Won<S, B::Log, B::Snapshots>, End> {
    // It connects while the fence is taken.
    let mut log = broker.open(lane)?;
    // `one-epoch`: the fence is taken once, strictly before the announcement, and never again in place.
    let mut holder = broker.fence(lane)?;
    let mut restored = restore::<S, _>(&mut log, &mut holder, lanes, limits)?;
    let announced_at = clock.now();
    let owner = if planted("announced-by-nobody") && restored.context.epoch > 0 {
        restored.context.owner
    } else {
        announce(&mut log, &mut restored, owner, clock, limits)?;
        owner
    };
    if planted("fenced-after-announcing") {
        holder = broker.fence(lane)?;
    }
    // Only now: whoever claims held the fence after winning the journal.
    if !planted("claim-left-out") {
        holder.claim(&Bytes::copy_from_slice(&owner.0))?;
    }
    check_inbox(&mut log, &mut restored.context)?;
    if planted("position-past-the-backlog") {
        restored.context.position = Some(log.kept(Source::Inbox)?.end);
    }
    Ok(Won { log, holder, restored, owner, announced_at })
}

fn restore<S: Service, L: Log>(
    log: &mut L,
    holder: &mut impl Snapshots,
    lanes: u32,
    limits: &Limits,
) -> Result<Restored<S>, End> {
    let mut before = None;
    loop {
        let (mut restored, marker) = from_snapshot::<S>(holder, lanes, limits)?;
        let wanted = restored.context.next;
        let kept = log.kept(Source::Journal)?;
        if kept.end < wanted {
            return Err(End::Refused(format!(
                "the journal ends at offset {}, but its snapshot goes to {wanted}: acknowledged records \
                 are gone; restore the topic, or remove both topics' data to begin anew",
                kept.end
            )));
        }
        if kept.start <= wanted {
            restored.fold_to(log, kept.end)?;
            return Ok(restored);
        }
        // A rival may have written a snapshot and trimmed the journal since: not an error by itself.
        let is_same = before.replace(marker.clone()) == Some(marker);
        if is_same || planted("loaded-once") {
            return Err(End::Refused(format!(
                "the journal begins at offset {}, but offset {wanted} is needed: decisions are gone; \
                 restore the topic from a backup",
                kept.start
            )));
        }
    }
}

/// Takes the states out of the snapshot; with its marker. The bytes of those that rest are never in memory all
/// at once, where that is what `limits` say.
fn from_snapshot<S: Service>(
    holder: &mut impl Snapshots,
    lanes: u32,
    limits: &Limits,
) -> Result<(Restored<S>, Option<Bytes>), End> {
    let mut states = States::new(limits.awake_max, limits.spill.clone());
    // By key, since a later state may take the place of one that can not be read.
    let mut broken = BTreeMap::new();
    let mut left_out = None;
    let marker = holder.read(&mut |key, bytes| {
        if planted("state-not-restored") && *left_out.get_or_insert_with(|| key.clone()) == key {
            return;
        }
        broken.remove(&key);
        states.forget(&key);
        let Some(bytes) = bytes else { return };
        match S::State::decode(&bytes) {
            Ok(state) => states.restore(key, state, &bytes, S::wake_at),
            Err(error) => drop(broken.insert(key, error)),
        }
    })?;
    let context = match &marker {
        None => Context::empty(lanes),
        Some(marker) => read_marker(marker).map_err(|error| {
            End::Refused(format!("the snapshot's marker can not be read: {error}"))
        })?,
    };
    if context.lanes != lanes {
        return Err(End::Refused(format!(
            "the snapshot was written for {} partitions, but the topics have {lanes}; the number is fixed \
             for life",
            context.lanes
        )));
    }
    if context.format > FORMAT {
        return Err(ReadError::Format { at: context.next, format: context.format }.into());
    }
    if let Some((key, error)) = broken.first_key_value() {
        return Err(End::Refused(format!("the snapshot of `{key}` can not be read: {error}")));
    }
    let (unsent, acked) = (VecDeque::new(), BTreeSet::new());
    Ok((Restored { context, states, unsent, acked, unsaved_since: None }, marker))
}

impl<S: Service> Restored<S> {
    /// Folds the journal up to `end`.
    fn fold_to(&mut self, log: &mut impl Log, end: Offset) -> Result<(), End> {
        let mut waits = 0;
        while self.context.next < end {
            let records = read_on(log, &self.context, Duration::from_millis(500))?;
            waits = if records.is_empty() { waits + 1 } else { 0 };
            if waits > 60 {
                return Err(End::Lost(format!(
                    "the journal goes to offset {end}, but nothing came after {} for 30 s",
                    self.context.next
                )));
            }
            for record in &records {
                self.fold(record.place.offset, record.value.as_deref().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Folds one record; gives back what it was.
    fn fold(&mut self, offset: Offset, bytes: &[u8]) -> Result<(Written, Ruling), End> {
        let unknown = |what| ReadError::Unknown { at: offset, what };
        let written = Written::decode(bytes).map_err(unknown)?;
        let ruling = self.context.judge(offset, &written)?;
        if let (Ruling::Valid, Written::Decide(decide)) = (ruling, &written) {
            let events = decide.body.events::<S::Event>().map_err(unknown)?;
            catch_unwind(AssertUnwindSafe(|| evolve_all::<S>(&mut self.states, &events))).map_err(
                |panic| {
                    let crash = End::Refused(format!(
                        "this build panicked while folding the journal record at offset {offset}"
                    ));
                    ended_by(&*panic, crash)
                },
            )?;
            self.note_answered(&decide.source);
            self.unsaved_since.get_or_insert(decide.time);
            self.unsent.push_back((offset, decide.clone(), events));
            while self.unsent.front().is_some_and(|(at, ..)| {
                *at < self.context.cursor + i64::from(planted("cursor-off-by-one"))
            }) {
                self.unsent.pop_front();
            }
            while self.acked.first().is_some_and(|(at, _)| *at < self.context.cursor) {
                self.acked.pop_first();
            }
        }
        if let Ruling::Void(why) = ruling {
            metrics::counter!("pavane_journal_void_records_total", "reason" => why).increment(1);
        }
        Ok((written, ruling))
    }

    /// Notes which event this was decided on, where it was one that may be sent again.
    fn note_answered(&mut self, source: &Origin) {
        let answered = match source {
            Origin::Acked(at, index) => Some((*at, *index)),
            Origin::Parked(at, record) => self.event_of(*at, *record).map(|index| (*at, index)),
            Origin::Input(_) | Origin::Timer(_) | Origin::Skip => None,
        };
        self.acked.extend(answered);
    }

    /// The event that asks to be told of, from which that record of the decision at `at` follows.
    fn event_of(&self, at: Offset, record: u32) -> Option<u32> {
        let place = self.unsent.binary_search_by_key(&at, |(offset, ..)| *offset).ok()?;
        let (_, _, events) = self.unsent.get(place)?;
        let record = usize::try_from(record).ok()?;
        let wish = wishes::<S>(events).into_iter().find(|wish| wish.records.contains(&record))?;
        Some(wish.index)
    }
}

/// How a panic while deciding ends the epoch: as `crash` says, but where the reason is that a state at rest can not
/// be read: then what is remembered is built anew, and nobody is to blame.
pub(crate) fn ended_by(panic: &(dyn Any + Send), crash: End) -> End {
    match panic.downcast_ref::<Unreadable>() {
        Some(Unreadable(why)) => End::Lost(why.clone()),
        None => crash,
    }
}

/// Reads the journal on while taking over. A rival that trims it meanwhile makes this attempt fail, not the
/// lane: the next attempt begins at the rival's snapshot.
fn read_on(log: &mut impl Log, context: &Context, wait: Duration) -> Result<Vec<Record>, End> {
    match log.read(Source::Journal, context.next, wait) {
        Err(error @ LogError::Gone { .. }) => Err(End::Lost(error.to_string())),
        read => Ok(read?),
    }
}

/// Folds events into the states of their keys.
pub(crate) fn evolve_all<S: Service>(states: &mut States<S::State>, events: &[S::Event]) {
    for event in events {
        states.change(&event.key(), |state| S::evolve(state, event), S::wake_at);
    }
}

/// Announces a new epoch and reads on until the announcement is met.
fn announce<S: Service>(
    log: &mut impl Log,
    restored: &mut Restored<S>,
    owner: Owner,
    clock: &dyn Clock,
    limits: &Limits,
) -> Result<(), End> {
    let epoch = restored.context.epoch + 1;
    let written = Written::Announce(Announce { epoch, owner, format: FORMAT });
    match log.append(&[Entry(written.encode())]) {
        // Found by owner, never by offset: a rival may have announced the same number.
        Ok(places) if planted("folded-to-the-end-before") => {
            let context = &mut restored.context;
            context.next = places.first().copied().flatten().map_or(context.next, |at| at + 1);
            (context.epoch, context.owner, context.seq) = (epoch, owner, 0);
            return Ok(());
        }
        Ok(_) | Err(LogError::InDoubt(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let since = clock.now();
    loop {
        let records = read_on(log, &restored.context, Duration::from_millis(100))?;
        for record in &records {
            let bytes = record.value.as_deref().unwrap_or_default();
            let (written, ruling) = restored.fold(record.place.offset, bytes)?;
            if let Written::Announce(announce) = written
                && (announce.owner == owner || announce.epoch == epoch && planted("found-by-epoch"))
            {
                return match ruling {
                    Ruling::Announced => Ok(()),
                    Ruling::Valid | Ruling::Void(_) => {
                        Err(End::Superseded("a rival's announcement came first".to_owned()))
                    }
                };
            }
        }
        if clock.now().since(since) >= limits.announce_wait {
            return Err(End::Lost("the own announcement did not appear in the journal".to_owned()));
        }
    }
}

/// The inbox must still hold what is to be read next.
fn check_inbox(log: &mut impl Log, context: &mut Context) -> Result<(), End> {
    let kept = log.kept(Source::Inbox)?;
    let Some(position) = context.position else {
        // Nothing was ever decided here, so nothing can have been missed.
        let first = if planted("begun-at-the-end") { kept.end } else { kept.start };
        context.position = Some(first);
        return Ok(());
    };
    if position < kept.start {
        return Err(End::Refused(format!(
            "the inbox is kept from offset {}, but {position} is to be read next: inputs are gone",
            kept.start
        )));
    }
    if position > kept.end {
        return Err(End::Refused(format!(
            "the inbox ends at offset {}, but {position} is to be read next: the topic was made anew",
            kept.end
        )));
    }
    Ok(())
}

/// The later of the clock and the journal's time: time never runs backwards over a takeover.
pub(crate) fn journal_now(clock: &dyn Clock, context: &Context) -> Timestamp {
    if planted("time-runs-backwards") { clock.now() } else { clock.now().max(context.time) }
}
