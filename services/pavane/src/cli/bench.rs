//! What can be typed behind `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `bench`
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Run many workflows of a chain of tasks, and measure from start sent to completion read
    #[command(
        after_help = "Example:\n  pavane bench saga --steps 3 --count 1000 --concurrency 1\n  \
                            pavane bench saga --kafka localhost:9092 --count 20000 --concurrency 500"
    )]
    Saga(BenchSaga),
    /// The participants of `bench saga`, in a process of their own
    #[command(hide = true)]
    Participants(BenchParticipants),
}

/// `bench saga`
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchSaga {
    /// Tasks in the chain
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) steps: u32,
    /// Workflows that are measured; a tenth more, at most 1000, are run before to warm up
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) count: u32,
    /// Workflows under way at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log [default: a fresh one, removed afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
}

/// `bench participants`
#[derive(Debug, Args)]
pub(crate) struct BenchParticipants {
    /// Tasks in the chain
    #[arg(long)]
    pub(crate) steps: u32,
    /// Brokers of a Kafka
    #[arg(long)]
    pub(crate) kafka: Option<String>,
}
