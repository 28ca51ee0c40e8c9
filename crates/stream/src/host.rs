//! Hosting: which lanes this process tends, and a thread for each of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::Destination;

use crate::broker::{Broker, Created, Fed, Feed, LaneId, LogError, Purpose, Share};
use crate::journal::Owner;
use crate::lane::{Blame, Given, Lane};
use crate::limits::Limits;
use crate::seams::{Chance, Clock};
use crate::service::Service;
use crate::snapshot::Writer;
use crate::stop::Stop;
use crate::takeover::{End, take_over};
use crate::threads::{Thread, Threads};

/// So many tries in a row to send one record are no matter for an operator.
const ALARM_AFTER: u32 = 4;

/// How a lane is doing in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneStatus {
    /// Being taken over, or waiting to be.
    TakingOver,
    /// Deciding and acting.
    Active,
    /// Only an operator can help: the text says what is wrong and what to do.
    Refused(String),
}

/// The lanes of this process, for readiness checks and operators. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<LaneId, LaneStatus>>>);

impl Board {
    /// All lanes that this process should hold, as they are now.
    #[must_use]
    pub fn lanes(&self) -> BTreeMap<LaneId, LaneStatus> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LaneId, LaneStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, lane: LaneId, status: LaneStatus) {
        self.lock().insert(lane, status);
        self.count();
    }

    fn clear(&self, lane: LaneId) {
        self.lock().remove(&lane);
        self.count();
    }

    fn count(&self) {
        let lanes = self.lock();
        let active = lanes.values().filter(|status| **status == LaneStatus::Active).count();
        let refused =
            lanes.values().filter(|status| matches!(status, LaneStatus::Refused(_))).count();
        let gauge = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
        metrics::gauge!("pavane_lanes_active").set(gauge(active));
        metrics::gauge!("pavane_lanes_refused").set(gauge(refused));
    }
}

/// Everything that hosting a service needs.
pub struct Host<S, B> {
    /// The service.
    pub service: Arc<S>,
    /// Its broker.
    pub broker: Arc<B>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Threads.
    pub threads: Arc<dyn Threads>,
    /// The bounds.
    pub limits: Limits,
    /// Where the lanes' state is shown.
    pub board: Board,
}

impl<S: Service, B: Broker> Host<S, B> {
    /// Joins the group that shares the lanes and tends those that it is given, until it is asked to stop.
    /// Blocks. Whatever was decided is safe whenever this ends, however it ends.
    ///
    /// # Errors
    /// The topics are missing or do not fit together, or the system gives no threads. Trouble with the
    /// broker later on is waited out, lane by lane.
    pub fn run(self, stop: &Stop) -> Result<(), LogError> {
        self.limits.assert_consistent();
        let lanes = self.broker.lanes()?;
        let (writer, snapshots) = Writer::start(&self.threads)?;
        let shared = Arc::new(self);
        let mut tended =
            Tended { host: Arc::clone(&shared), lanes, writer, by_lane: BTreeMap::new() };
        let group = shared.broker.topics().group("coordinator");
        let mut feed = shared.broker.join(&group, Share::Lanes)?;
        let mut wanted = Vec::new();
        while !stop.requested() {
            match feed.next(shared.limits.group_wait) {
                Ok(Fed::Lanes { generation, held }) => {
                    let lanes = held.len();
                    tracing::info!(generation, lanes, "the group has shared the lanes");
                    tended.note_generation(generation);
                    wanted = held;
                }
                Ok(Fed::Idle | Fed::Records(_)) => {}
                Err(error) => {
                    tracing::error!(%error, "lost the group; joining it again");
                    let _stopping = shared.clock.wait(stop, Duration::from_secs(1));
                    if let Ok(again) = shared.broker.join(&group, Share::Lanes) {
                        feed = again;
                    }
                }
            }
            tended.tend(&wanted)?;
        }
        tracing::info!(lanes = tended.by_lane.len(), "leaving the group");
        tended.stop();
        // At once: whoever takes over what is still coming to its end announces a newer epoch (`one-epoch`).
        drop(feed);
        tended.end();
        if !snapshots.join() {
            tracing::error!("the snapshot thread panicked");
        }
        Ok(())
    }
}

/// The lanes' threads.
struct Tended<S: Service, B: Broker> {
    host: Arc<Host<S, B>>,
    lanes: u32,
    writer: Writer<B::Snapshots>,
    by_lane: BTreeMap<LaneId, Tending>,
}

struct Tending {
    stop: Stop,
    generation: Arc<AtomicU64>,
    thread: Box<dyn Thread>,
}

impl<S: Service, B: Broker> Tended<S, B> {
    fn note_generation(&self, generation: u64) {
        for thread in self.by_lane.values() {
            thread.generation.store(generation, Ordering::Relaxed);
        }
    }

    /// Starts threads of lanes that are wanted and stops those of the others. A lane whose old thread has
    /// not ended yet is started at a later call.
    fn tend(&mut self, wanted: &[LaneId]) -> Result<(), LogError> {
        for (lane, thread) in &self.by_lane {
            if !wanted.contains(lane) {
                thread.stop.request();
            }
        }
        let ended: Vec<LaneId> = self
            .by_lane
            .iter()
            .filter(|(_, thread)| thread.thread.is_finished())
            .map(|(lane, _)| *lane)
            .collect();
        for lane in ended {
            self.forget(lane);
        }
        for lane in wanted {
            if !self.by_lane.contains_key(lane) {
                let thread = self.start(*lane)?;
                self.by_lane.insert(*lane, thread);
            }
        }
        Ok(())
    }

    fn start(&self, lane: LaneId) -> Result<Tending, LogError> {
        let stop = Stop::default();
        let generation = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            host: Arc::clone(&self.host),
            lane,
            lanes: self.lanes,
            writer: self.writer.clone(),
            stop: stop.clone(),
            generation: Arc::clone(&generation),
        };
        let run = Box::new(move || keeper.keep());
        let thread = self.host.threads.start(format!("lane-{}", lane.0), run)?;
        Ok(Tending { stop, generation, thread })
    }

    fn forget(&mut self, lane: LaneId) {
        if let Some(ended) = self.by_lane.remove(&lane)
            && !ended.thread.join()
        {
            tracing::error!(lane = lane.0, "a lane's thread panicked outside of any decision");
        }
        self.host.board.clear(lane);
    }

    fn stop(&self) {
        for thread in self.by_lane.values() {
            thread.stop.request();
        }
    }

    fn end(mut self) {
        let lanes: Vec<LaneId> = self.by_lane.keys().copied().collect();
        for lane in lanes {
            self.forget(lane);
        }
    }
}

/// Keeps one lane: takes it over again and again, until it is asked to stop.
struct Keeper<S, B: Broker> {
    host: Arc<Host<S, B>>,
    lane: LaneId,
    lanes: u32,
    writer: Writer<B::Snapshots>,
    stop: Stop,
    generation: Arc<AtomicU64>,
}

impl<S: Service, B: Broker> Keeper<S, B> {
    fn keep(self) {
        let lane = self.lane.0;
        let mut blame = Blame::default();
        let mut failures = 0_u32;
        while !self.stop.requested() {
            self.host.board.set(self.lane, LaneStatus::TakingOver);
            let generation = self.generation.load(Ordering::Relaxed);
            let Err(end) = self.epoch(&mut blame, &mut failures) else { return };
            match end {
                End::Refused(why) => return self.refuse(why),
                End::Crashed(offset) => {
                    tracing::error!(
                        lane,
                        offset,
                        "panicked on an inbox record; it will be refused"
                    );
                    blame.culprit = Some(offset);
                    if let Some(why) = self.crashed(&mut blame) {
                        return self.refuse(why);
                    }
                }
                End::CrashedTimer(key) => {
                    tracing::error!(lane, %key, "panicked on a timer; it is silenced here");
                    blame.silenced.insert(key);
                    if let Some(why) = self.crashed(&mut blame) {
                        return self.refuse(why);
                    }
                }
                End::CrashedAck { offset, index } => {
                    tracing::error!(lane, offset, index, "panicked on an acknowledgement");
                    blame.untold.insert((offset, index));
                    if let Some(why) = self.crashed(&mut blame) {
                        return self.refuse(why);
                    }
                }
                End::Superseded(why) => {
                    tracing::warn!(lane, why, "superseded");
                    self.wait_for_confirmation(generation);
                }
                End::Unsent { to, why } => {
                    self.make_good(&to, &why, failures);
                    self.pause(&mut failures);
                }
                End::Lost(why) => {
                    tracing::warn!(lane, why, "lost the lane; taking it over anew");
                    self.pause(&mut failures);
                }
            }
        }
    }

    /// One epoch, from fence to end; `Ok` where it was asked to stop.
    fn epoch(&self, blame: &mut Blame, failures: &mut u32) -> Result<(), End> {
        let Host { service, broker, clock, chance, limits, board, .. } = &*self.host;
        let (lane, lanes) = (self.lane, self.lanes);
        let started = clock.now();
        let owner = Owner(chance.bits()?);
        let won = take_over::<S, B>(broker, lane, lanes, owner, &**clock, limits)?;
        let epoch = won.restored.context.epoch;
        let given = Given { service: &**service, clock: &**clock, limits, lane, lanes };
        let mut active = Lane::begin(given, won, self.writer.clone(), blame)?;
        let took = clock.now().since(started);
        metrics::histogram!("pavane_lane_takeover_duration_seconds").record(took.as_secs_f64());
        let (states, took_ms) = (active.held(), took.as_millis());
        tracing::info!(lane = lane.0, epoch, states, took_ms, "lane is active");
        board.set(lane, LaneStatus::Active);
        let settled = limits.back_off_max;
        let mut generation = self.generation.load(Ordering::Relaxed);
        while !self.stop.requested() {
            active.turn()?;
            // Not at once: a lane that ends soon after each takeover waits longer and longer.
            if *failures > 0 && clock.now().since(started) >= settled {
                *failures = 0;
            }
            let newest = self.generation.load(Ordering::Relaxed);
            if newest != generation {
                generation = newest;
                active.look()?;
            }
        }
        active.rest()
    }

    /// Counts a panic; says why the lane refuses if there were too many.
    fn crashed(&self, blame: &mut Blame) -> Option<String> {
        metrics::counter!("pavane_lane_crashes_total").increment(1);
        let limits = &self.host.limits;
        if blame.calm >= limits.crash_calm {
            blame.crashes = 0;
        }
        blame.calm = 0;
        blame.crashes += 1;
        (blame.crashes > limits.crashes_max).then(|| {
            format!(
                "{} panics with fewer than {} inputs between them: a bad build must not drain the inbox; \
                 run the build before it",
                blame.crashes, limits.crash_calm
            )
        })
    }

    fn refuse(&self, why: String) {
        tracing::error!(lane = self.lane.0, why, "the lane refuses to go on: an operator must act");
        self.host.board.set(self.lane, LaneStatus::Refused(why));
        while !self.wait(Duration::from_secs(3600)) {}
    }

    /// Makes a topic of dead letters that is missing. Any other is for an operator.
    fn make_good(&self, to: &Destination, why: &str, failures: u32) {
        let Host { broker, .. } = &*self.host;
        let (lane, topic) = (self.lane.0, broker.topics().resolve(to));
        let made = match to {
            Destination::DeadLetters(_) => broker.create(&topic, Purpose::DeadLetters),
            Destination::Inbox
            | Destination::Events
            | Destination::Tasks(_)
            | Destination::Definitions
            | Destination::Named(_) => Ok(Created::Before),
        };
        match made {
            Ok(Created::Now) => tracing::warn!(lane, %topic, "made a topic that was missing"),
            // Another lane has made it just now, or it comes by itself.
            Ok(Created::Before) if failures < ALARM_AFTER => {
                tracing::warn!(lane, %topic, why, "a record could not be sent, and is tried again");
            }
            Ok(Created::Before) => tracing::error!(
                lane, %topic, why,
                "a record can not be sent, and the lane waits for it: `pavane topics verify` may say more"
            ),
            Err(error) => tracing::warn!(lane, %topic, why, %error, "a record can not be sent"),
        }
    }

    fn wait(&self, wait: Duration) -> bool {
        self.host.clock.wait(&self.stop, wait)
    }

    fn pause(&self, failures: &mut u32) {
        *failures = failures.saturating_add(1);
        let _stopping = self.wait(self.back_off(*failures));
    }

    /// Doubles from `back_off` to `back_off_max`, half of it by chance.
    fn back_off(&self, failures: u32) -> Duration {
        let limits = &self.host.limits;
        let doubled = limits.back_off.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let wait = doubled.min(limits.back_off_max);
        let spread = self.host.chance.bits().map_or(0, |[byte, ..]| u32::from(byte));
        wait / 2 + wait / 2 * spread / 255
    }

    /// Two processes that both think that they hold a lane would void each other for ever: the loser waits
    /// until the group has spoken again, or long enough for a later heartbeat to have confirmed it.
    fn wait_for_confirmation(&self, generation: u64) {
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(50);
        while waited < self.host.limits.superseded_wait
            && self.generation.load(Ordering::Relaxed) == generation
            && !self.wait(step)
        {
            waited += step;
        }
        let _stopping = self.wait(self.back_off(1));
    }
}
