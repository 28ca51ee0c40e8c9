//! What can be typed behind `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What the figures are held against.
const FLOORS: &str = "\
Examples:
  pavane bench saga --steps 3 --count 1000 --concurrency 1
  pavane bench saga --kafka localhost:9092 --count 20000 --concurrency 64 --rate 500

With --kafka the floor is measured in the same run: the same hops on plain Kafka without pavane, on topics of
its own (floor.*) with as many partitions, the same settings, acknowledgements and client library, and records
of 256 bytes. A start is produced and consumed; one thread for each partition takes all that has come, appends
one journal record for each, waits for the acknowledgements, and then produces the command of the next step,
or the end; the participants' process consumes each command and answers it. No state, no events but the end,
no snapshots, no groups, no committed offsets. Half of it is measured before pavane and half after it.

On the embedded log the floor is one fdatasync of 300 bytes appended to a file in the same folder.

CPU MS is the processor time of pavane, the load and the participants for each workflow, without the broker.

With --rate an open loop follows: so many are started a second whatever becomes of them, and the latency of
each counts from the time at which it was meant to be started.";

/// `bench`
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Run many workflows of a chain of tasks, and measure from start sent to completion read
    #[command(after_help = FLOORS)]
    Saga(BenchSaga),
    /// Send records to a topic and read them, and nothing in between: what one hop takes
    #[command(after_help = "Example:\n  pavane bench topic --count 100000 --concurrency 64")]
    Topic(BenchTopic),
    /// Run workflows through the pure core alone, on one thread: nothing is stored or sent
    #[command(after_help = "Example:\n  pavane bench core --count 100000")]
    Core(BenchCore),
    /// Start many workflows that wait for a month; measure what each takes in memory, and how long a coordinator
    /// that starts anew needs until it has all of them
    #[command(after_help = "Example:\n  pavane bench restore --count 1000000")]
    Restore(BenchRestore),
    /// Fire timers, each with a workflow of its own, first alone and then beside many that are not due; measure
    /// what each costs
    #[command(after_help = "Example:\n  pavane bench timers --count 20000 --waiting 1000000")]
    Timers(BenchTimers),
    /// Start `pavane up` again and again on the embedded log: how soon it is ready, and its memory while nobody asks
    /// for anything
    #[command(after_help = "Example:\n  pavane bench start --count 20")]
    Start(BenchStart),
    /// The coordinator of `bench restore` that starts anew, in a process of its own
    #[command(hide = true)]
    Restored(BenchRestored),
    /// The participants of `bench saga`, in a process of their own
    #[command(hide = true)]
    Participants(BenchParticipants),
}

/// `bench saga`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchSaga {
    /// Tasks in the chain
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) steps: u8,
    /// Workflows that are measured; a tenth more, at most 1000, are run before to warm up
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) count: u32,
    /// Workflows under way at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Afterwards an open loop, with so many started a second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Measure pavane alone
    #[arg(long)]
    pub(crate) no_floor: bool,
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log [default: a fresh one, removed afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
}

/// `bench topic`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchTopic {
    /// Records that are measured; a tenth more are sent before to warm up
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) count: u32,
    /// Records under way at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Of a record's value
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=524_288))]
    pub(crate) bytes: u32,
    /// Afterwards an open loop, with so many sent a second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rate: Option<u32>,
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log [default: a fresh one, removed afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
}

/// `bench core`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchCore {
    /// Tasks in the chain
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) steps: u8,
    /// Workflows that are measured; a tenth more are run before to warm up
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) count: u32,
}

/// `bench start`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchStart {
    /// How often, on a fresh folder and on one that was used before
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) count: u32,
}

/// `bench restore`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchRestore {
    /// Workflows that wait
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) count: u32,
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log [default: a fresh one, removed afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
}

/// `bench timers`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchTimers {
    /// Timers that are fired, each time
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) count: u32,
    /// Timers that are not due
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) waiting: u32,
}

/// `bench restored`
#[derive(Debug, Args)]
pub(crate) struct BenchRestored {
    /// Brokers of a Kafka
    #[arg(long)]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
}

/// `bench participants`
#[derive(Debug, Args)]
pub(crate) struct BenchParticipants {
    /// Tasks in the chain
    #[arg(long)]
    pub(crate) steps: u8,
    /// Brokers of a Kafka
    #[arg(long)]
    pub(crate) kafka: Option<String>,
}
