//! Campaigns: `pavane` as processes, work that goes on, faults by a seed, and at the end the judge.

#[cfg(feature = "real-kafka")]
mod brokers;
mod embedded;
mod judge;
#[cfg(feature = "real-kafka")]
mod members;
#[cfg(feature = "real-kafka")]
mod on_kafka;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

/// What is done to a system at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of a coordinator every second.
    CoordinatorsKilled,
    /// A coordinator stands still for longer than its session, and goes on as if nothing had been.
    CoordinatorsPaused,
    /// Coordinators and participants join and leave all the time.
    MembersStorm,
    /// Each process in turn is asked to stop, and started again.
    RollingRestarts,
    /// One broker, `kill -9` and started again.
    BrokerKilled,
    /// One broker, which stands still for longer than anybody waits, and goes on.
    BrokerPaused,
    /// Three brokers; the leader of a partition, the controller or a group's coordinator is killed or paused.
    BrokersKilled,
    /// Three brokers; the way to one of them is slow, silent or cut off.
    BrokersCutOff,
    /// `pavane up` on the embedded log, `kill -9`.
    EmbeddedKilled,
    /// The same, and damage to the end of its journal.
    EmbeddedDamaged,
    /// The embedded log may write no more.
    EmbeddedFull,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::CoordinatorsKilled,
        Self::CoordinatorsPaused,
        Self::MembersStorm,
        Self::RollingRestarts,
        Self::BrokerKilled,
        Self::BrokerPaused,
        Self::BrokersKilled,
        Self::BrokersCutOff,
        Self::EmbeddedKilled,
        Self::EmbeddedDamaged,
        Self::EmbeddedFull,
    ];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CoordinatorsKilled => "coordinators-killed",
            Self::CoordinatorsPaused => "coordinators-paused",
            Self::MembersStorm => "members-storm",
            Self::RollingRestarts => "rolling-restarts",
            Self::BrokerKilled => "broker-killed",
            Self::BrokerPaused => "broker-paused",
            Self::BrokersKilled => "brokers-killed",
            Self::BrokersCutOff => "brokers-cut-off",
            Self::EmbeddedKilled => "embedded-killed",
            Self::EmbeddedDamaged => "embedded-damaged",
            Self::EmbeddedFull => "embedded-full",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("no kind of campaign is called `{text}`; there are {known}"))
    }
}

/// One campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of which kind.
    pub kind: Kind,
    /// Decides what is worked on, and which fault is done when.
    pub seed: u64,
    /// For how long faults are done, and work is begun.
    pub lasts: Duration,
    /// How many workflows are started in that time.
    pub workflows: usize,
    /// Where data and logs are written.
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Workflows that were started.
    pub workflows: usize,
    /// By status, those there are at the end.
    pub ends: BTreeMap<String, usize>,
    /// By name, what was done.
    pub faults: BTreeMap<String, usize>,
    /// What the judge has counted.
    pub judged: Value,
    /// What does not hold, in words: none is wanted.
    pub wrong: Vec<String>,
    /// The most memory that a process of each role had, bytes.
    pub memory: BTreeMap<&'static str, u64>,
    /// How long all of it took.
    pub took: Duration,
}

impl Outcome {
    /// One JSON object, of the campaign that it came of.
    #[must_use]
    pub fn json(&self, plan: &Plan) -> Value {
        json!({
            "kind": plan.kind.as_str(), "seed": plan.seed, "workflows": self.workflows, "ends": self.ends, "faults": self.faults,
            "judged": self.judged, "violations": self.wrong.len(), "wrong": self.wrong,
            "memory": self.memory, "seconds": self.took.as_secs(),
        })
    }
}

/// Runs a campaign.
///
/// # Errors
/// What it needs and this build or machine does not have.
pub fn run(plan: &Plan) -> Result<Outcome, String> {
    std::fs::create_dir_all(&plan.folder).map_err(|error| format!("{:?}: {error}", plan.folder))?;
    match plan.kind {
        Kind::EmbeddedKilled => Ok(embedded::run(plan, |ground| ground.kill())),
        Kind::EmbeddedDamaged => Ok(embedded::run(plan, |ground| ground.damage())),
        Kind::EmbeddedFull => Ok(embedded::run(plan, |ground| ground.fill())),
        #[cfg(feature = "real-kafka")]
        Kind::CoordinatorsKilled => members::run(plan, members::killed),
        #[cfg(feature = "real-kafka")]
        Kind::CoordinatorsPaused => members::run(plan, members::paused),
        #[cfg(feature = "real-kafka")]
        Kind::MembersStorm => members::run(plan, members::storm),
        #[cfg(feature = "real-kafka")]
        Kind::RollingRestarts => members::run(plan, members::rolling),
        #[cfg(feature = "real-kafka")]
        Kind::BrokerKilled => brokers::run(plan, 1, brokers::one),
        #[cfg(feature = "real-kafka")]
        Kind::BrokerPaused => brokers::run(plan, 1, brokers::stands_still),
        #[cfg(feature = "real-kafka")]
        Kind::BrokersKilled => brokers::run(plan, 3, brokers::three),
        #[cfg(feature = "real-kafka")]
        Kind::BrokersCutOff => brokers::cut_off(plan),
        #[cfg(not(feature = "real-kafka"))]
        Kind::CoordinatorsKilled
        | Kind::CoordinatorsPaused
        | Kind::MembersStorm
        | Kind::RollingRestarts
        | Kind::BrokerKilled
        | Kind::BrokerPaused
        | Kind::BrokersKilled
        | Kind::BrokersCutOff => Err(format!("{} needs the feature `real-kafka`", plan.kind)),
    }
}

/// Runs a campaign in its short form.
///
/// # Panics
/// It can not be run, anything does not hold, or nothing was done. The logs are kept then.
pub fn short(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let lasts = Duration::from_secs(6);
    let plan = Plan { kind, seed: 1, lasts, workflows: 40, folder: folder.path().to_owned() };
    let outcome = run(&plan).unwrap();
    if !outcome.wrong.is_empty() {
        let kept = folder.keep();
        panic!("{kind}: logs are in {}: {:#}", kept.display(), outcome.json(&plan));
    }
    assert!(!outcome.faults.is_empty(), "{kind}: nothing was done");
}

/// How many workflows are to have been started after that time.
fn due(after: Duration, lasts: Duration, workflows: usize) -> usize {
    let millis = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    (workflows.saturating_mul(millis(after)) / millis(lasts).max(1)).min(workflows)
}
