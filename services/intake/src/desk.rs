//! One membership in the group: records in, starts and dead letters out, offsets committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::{
    Class, Offset, Outgoing, Partition, Record, Refusal, SagaName, Topic, dead_letter, planted,
};
use stream::{
    Broker, Clock, Created, Fed, Feed, LogError, Outlet, Purpose, SendError, Settled, Share, Stop,
    Ticket,
};
use tracing::{error, info, warn};

use crate::flights::{Flight, Flights};
use crate::judge::{Judged, Listener, judge};
use crate::part::Part;
use crate::sagas::Sagas;
use crate::{GROUP, IDLE};

/// Source records of which something is on its way; beyond it nothing more is read.
const IN_FLIGHT_MAX: usize = 2_000;
/// Their bytes, likewise.
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;
/// One wait while something is on its way.
const BUSY: Duration = Duration::from_millis(5);
/// What was not acknowledged is sent again after this pause.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often a dead letter that is refused is sent again whole: whoever has just made its topic may not yet be heard of.
const LETTER_TRIES: u32 = 3;
/// How long the last acknowledgements are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// One membership.
pub(crate) struct Desk<'a, B: Broker> {
    broker: &'a B,
    clock: &'a dyn Clock,
    stop: &'a Stop,
    feed: Option<B::Feed>,
    /// Topics that the feed reads.
    shared: BTreeSet<Topic>,
    /// Topics that something listens to and that do not exist.
    missing: BTreeSet<Topic>,
    /// Where the kept offsets of shared topics ended when they were last asked.
    ends: BTreeMap<(Topic, Partition), Offset>,
    parts: BTreeMap<(Topic, Partition), Part>,
    flights: Flights,
}

impl<'a, B: Broker> Desk<'a, B> {
    pub(crate) fn new(broker: &'a B, clock: &'a dyn Clock, stop: &'a Stop) -> Self {
        Self {
            broker,
            clock,
            stop,
            feed: None,
            shared: BTreeSet::new(),
            missing: BTreeSet::new(),
            ends: BTreeMap::new(),
            parts: BTreeMap::new(),
            flights: Flights::default(),
        }
    }

    /// Whether anything is being read.
    pub(crate) fn is_open(&self) -> bool {
        self.feed.is_some()
    }

    /// Whether some topic that is listened to does not exist.
    pub(crate) fn misses_topics(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Takes in what is deployed: reads the topics that exist, and partitions again that are
    /// already past the place from which a new saga listens. Gives those partitions.
    pub(crate) fn listen(
        &mut self,
        sagas: &Sagas<B::Follow>,
    ) -> Result<BTreeSet<(Topic, Partition)>, LogError> {
        self.share(sagas)?;
        let mut again = BTreeSet::new();
        let Some(feed) = &mut self.feed else { return Ok(again) };
        for ((topic, partition), part) in &mut self.parts {
            let names: BTreeSet<SagaName> = sagas.on(topic).map(|(name, _)| name.clone()).collect();
            let end = self.ends.get(&(topic.clone(), *partition)).copied();
            let starts = |saga: &SagaName| {
                let start = sagas.starts_at(saga.as_str(), topic, *partition);
                within(start, end)
            };
            if let Some(from) = part.listen(&names, starts) {
                info!(%topic, partition, from, "a partition is read again for a new saga");
                feed.rewind(topic, *partition, from)?;
                again.insert((topic.clone(), *partition));
            }
        }
        self.commit()?;
        Ok(again)
    }

    fn share(&mut self, sagas: &Sagas<B::Follow>) -> Result<(), LogError> {
        let mut existing = BTreeSet::new();
        let mut missing = BTreeSet::new();
        let mut starts = Vec::new();
        for topic in sagas.topics() {
            let Some(kept) = self.broker.kept(&topic)? else {
                if !self.missing.contains(&topic) {
                    error!(%topic, "a topic that is listened to does not exist; its events reach nobody");
                }
                missing.insert(topic);
                continue;
            };
            for (partition, range) in (0..).zip(&kept) {
                self.ends.insert((topic.clone(), partition), range.end);
                let first = sagas
                    .on(&topic)
                    .map(|(name, _)| sagas.starts_at(name.as_str(), &topic, partition))
                    .min();
                if let Some(first) = first {
                    let from = within(first, Some(range.end)).max(range.start);
                    starts.push((topic.clone(), partition, from));
                }
            }
            existing.insert(topic);
        }
        self.missing = missing;
        if existing == self.shared {
            return Ok(());
        }
        self.parts.retain(|(topic, _), _| existing.contains(topic));
        let share = Share::Records { topics: existing.iter().cloned().collect(), starts };
        match &mut self.feed {
            Some(feed) => feed.reshare(share)?,
            None => {
                self.feed = Some(self.broker.join(&self.broker.topics().group(GROUP), share)?);
            }
        }
        self.shared = existing;
        Ok(())
    }

    /// Reads, judges, sends and commits what is at hand; says whether there was anything.
    pub(crate) fn turn(&mut self, sagas: &mut Sagas<B::Follow>) -> Result<bool, LogError> {
        let is_full =
            self.flights.len() >= IN_FLIGHT_MAX || self.flights.bytes() >= IN_FLIGHT_BYTES_MAX;
        let busy = !self.flights.is_empty();
        let mut had_any = false;
        if let Some(feed) = &mut self.feed
            && !is_full
            && let Fed::Records(records) = feed.next(if busy { BUSY } else { IDLE })?
        {
            had_any = true;
            self.take(records, sagas)?;
        }
        self.settle(if is_full { BUSY } else { Duration::ZERO })?;
        self.send_ready()?;
        self.send_again()?;
        self.commit()?;
        Ok(had_any)
    }

    fn take(
        &mut self,
        mut records: Vec<Record>,
        sagas: &mut Sagas<B::Follow>,
    ) -> Result<(), LogError> {
        for record in &records {
            self.part(record, sagas).saw(record.place.offset);
        }
        // From here on every definition is known that was confirmed before these were published.
        if sagas.catch_up(self.broker, self.stop)? {
            let again = self.listen(sagas)?;
            // They come again, in their order, with what stands before them.
            records.retain(|record| !again.contains(&place_of(record)));
        }
        if self.stop.requested() {
            return Ok(());
        }
        for record in records {
            self.consider(record, sagas);
        }
        self.send_ready()
    }

    fn part(&mut self, record: &Record, sagas: &Sagas<B::Follow>) -> &mut Part {
        let (topic, partition) = place_of(record);
        let end = self.ends.get(&(topic.clone(), partition)).copied();
        self.parts.entry((topic.clone(), partition)).or_insert_with(|| {
            let starts = sagas.on(&topic).map(|(name, _)| {
                let start = sagas.starts_at(name.as_str(), &topic, partition);
                (name.clone(), within(start, end))
            });
            Part::new(record.place.offset, starts.collect())
        })
    }

    fn consider(&mut self, record: Record, sagas: &Sagas<B::Follow>) {
        let _span = stream::semconv::process(&record, GROUP).entered();
        let topic = record.place.topic.clone();
        let offset = record.place.offset;
        let part = self.part(&record, sagas);
        let listeners: Vec<Listener> = sagas
            .on(&topic)
            .filter(|(name, _)| part.wants(name, offset))
            .map(|(_, listener)| listener.clone())
            .collect();
        let is_fresh = part.is_fresh(offset);
        let judged =
            if listeners.is_empty() { Judged::default() } else { judge(&record, &listeners) };
        count(&judged);
        // A workflow is begun before it hears of the event that began it.
        let mut records = judged.starts;
        records.extend(judged.events);
        let refusal = judged.refusal.filter(|_| !planted("poison-passed-over"));
        if let Some(refusal) = refusal.filter(|refusal| is_fresh || concerns_one(refusal)) {
            warn!(place = %record.place, class = %refusal.class, code = refusal.code,
                "a record goes to the dead letters");
            records.push(dead_letter(&record, &refusal, GROUP, self.clock.now()));
        }
        self.part(&record, sagas).judge(offset, !records.is_empty());
        if !records.is_empty() {
            self.flights.add(Flight::new(record, records));
        }
    }

    /// Hands over what is ready to leave.
    fn send_ready(&mut self) -> Result<(), LogError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        for (ticket, records) in self.flights.ready() {
            feed.send(ticket, records)?;
        }
        Ok(())
    }

    fn settle(&mut self, wait: Duration) -> Result<(), LogError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        for settled in feed.settled(wait)? {
            match settled {
                Settled::Sent(ticket) => {
                    if let Some(flight) = self.flights.land(ticket)
                        && let Some(part) = self.parts.get_mut(&place_of(&flight.source))
                    {
                        part.settle(flight.source.place.offset);
                    }
                }
                Settled::Failed { ticket, .. } if planted("failure-taken-for-sent") => {
                    if let Some(flight) = self.flights.land(ticket)
                        && let Some(part) = self.parts.get_mut(&place_of(&flight.source))
                    {
                        part.settle(flight.source.place.offset);
                    }
                }
                Settled::Failed { ticket, index, error } => self.failed(ticket, index, &error)?,
            }
        }
        Ok(())
    }

    /// A record was not acknowledged: all that follows from its source is sent again, later. What can
    /// never be sent becomes the source's dead letter instead.
    fn failed(&mut self, ticket: Ticket, index: usize, why: &SendError) -> Result<(), LogError> {
        let again_at = self.clock.now().after(AGAIN_AFTER);
        let Some(flight) = self.flights.sent(ticket) else { return Ok(()) };
        let place = &flight.source.place;
        warn!(%place, %why, "what follows from a record was not acknowledged, and is sent again");
        metrics::counter!("pavane_intake_sent_again_total").increment(1);
        flight.again_at = Some(again_at).filter(|_| !planted("not-sent-again"));
        let SendError::Never(what) = why else { return Ok(()) };
        let is_letter = flight.records.get(index).is_none_or(is_dead_letter);
        if !is_letter {
            let refusal = Refusal::new(
                Class::Undeliverable,
                "undeliverable",
                format!("what follows from it can not be sent: {what}"),
            );
            // What else follows from it stays, and is told apart by its ids if it comes twice.
            flight.records.remove(index);
            flight.records.retain(|record| !is_dead_letter(record));
            flight.records.push(dead_letter(&flight.source, &refusal, GROUP, self.clock.now()));
            return Ok(());
        }
        let topic = self.broker.topics().dead_letters(&flight.source.place.topic);
        match self.broker.create(&topic, Purpose::DeadLetters)? {
            Created::Now => info!(%topic, "made a topic of dead letters that was missing"),
            // Others may have made it since the letter was sent.
            Created::Before if flight.refused < LETTER_TRIES && !planted("letter-cut-at-once") => {
                flight.refused += 1;
            }
            // Most likely it takes no record of that size: nothing blocks a partition.
            Created::Before
                if let Some(letter) = flight.records.get_mut(index)
                    && !letter.value.is_empty() =>
            {
                warn!(%topic, place = %flight.source.place, %what,
                    "a dead letter can not be sent; it is sent without its value");
                leave_out_value(letter);
            }
            Created::Before => error!(%topic, place = %flight.source.place, %what,
                "a dead letter can not be sent; its source is held until it can"),
        }
        Ok(())
    }

    fn send_again(&mut self) -> Result<(), LogError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        for (ticket, records) in self.flights.again(self.clock.now()) {
            feed.send(ticket, records)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        let done: Vec<(Topic, Partition, Offset)> = self
            .parts
            .iter_mut()
            .filter_map(|((topic, partition), part)| {
                Some((topic.clone(), *partition, part.commit()?))
            })
            .collect();
        if done.is_empty() { Ok(()) } else { feed.commit(&done) }
    }

    /// Waits for the last acknowledgements, and commits.
    pub(crate) fn finish(&mut self) -> Result<(), LogError> {
        let until = self.clock.now().after(LAST_WAIT);
        while !self.flights.is_empty() && self.clock.now() < until {
            self.settle(BUSY)?;
            self.send_ready()?;
        }
        self.commit()
    }
}

fn place_of(record: &Record) -> (Topic, Partition) {
    (record.place.topic.clone(), record.place.partition)
}

/// `start`, but 0 where the partition ends below it: the topic was made anew since.
fn within(start: Offset, end: Option<Offset>) -> Offset {
    if end.is_some_and(|end| start > end) { 0 } else { start }
}

fn is_dead_letter(record: &Outgoing) -> bool {
    matches!(record.to, events::Destination::DeadLetters(_))
}

/// Names the source by its place alone, and says so.
fn leave_out_value(letter: &mut Outgoing) {
    let bytes = letter.value.len().to_string();
    letter.value = events::Payload::Null;
    // What made it large may be the headers: ours tell all that is needed.
    letter.headers.retain(|header| {
        header.name.starts_with("__dlq.errors.") || header.name.starts_with("pavane_error_")
    });
    letter.headers.push(events::Header::text("pavane_error_left_out_bytes", bytes));
}

/// Whether a refusal speaks of a saga, and not of the record as such: then it is news even where the
/// record lies in the dead letters for another reason.
fn concerns_one(refusal: &Refusal) -> bool {
    refusal.class == Class::Invalid && refusal.code != "no_event_name"
}

fn count(judged: &Judged) {
    let started = u64::try_from(judged.starts.len()).unwrap_or(u64::MAX);
    metrics::counter!("pavane_intake_starts_total").increment(started);
    let passed_on = u64::try_from(judged.events.len()).unwrap_or(u64::MAX);
    metrics::counter!("pavane_intake_events_total").increment(passed_on);
    if let Some(why) = judged.passed {
        metrics::counter!("pavane_intake_passed_total", "reason" => why).increment(1);
    }
    if let Some(refusal) = &judged.refusal {
        let reason = refusal.class.as_str();
        metrics::counter!("pavane_intake_refused_total", "reason" => reason).increment(1);
    }
}
