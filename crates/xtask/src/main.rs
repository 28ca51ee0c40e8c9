//! Tasks of this repository.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::count::{Then, count};
use xtask::{checks, docker, flame, kafka, measure, say, suite};

/// Tasks of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every test, with a real Kafka (PAVANE_TEST_KAFKA=host:port, or one started for it) and
    /// Python clients; installs what they need where it can.
    Test {
        /// For `cargo test`, for example `--test NAME`, or `-- NAME`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        more: Vec<String>,
    },
    /// Tests, then formatting, lints, licences and bans of dependencies.
    Ci,
    /// The compose file and the Dockerfile alone.
    Docker,
    /// Licences, bans and advisories of dependencies alone.
    Deny,
    /// Measures how long lanes stand still when a coordinator is killed, or asked to stop.
    #[command(disable_help_flag = true)]
    Takeover(Program),
    /// Does faults to a system at work for as long as one likes, and has what came of it judged.
    #[command(disable_help_flag = true)]
    Campaign(Program),
    /// Instructions and allocations of the pure core, counted by callgrind.
    Count {
        /// Fails where a figure is above the kept one.
        #[arg(long, conflicts_with = "keep")]
        check: bool,
        /// Keeps the figures.
        #[arg(long)]
        keep: bool,
    },
    /// Flame graphs of the benches' four paths, by perf, in target/flame.
    Flame,
    /// A real Kafka for trying things out.
    #[command(subcommand)]
    Kafka(Broker),
}

#[derive(clap::Args)]
struct Program {
    /// With the optimised build, which takes minutes to make.
    #[arg(long)]
    release: bool,
    /// For the program: `--help` says what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

#[derive(Subcommand)]
enum Broker {
    /// Starts one and prints its address.
    Start {
        /// One or three.
        #[arg(long, default_value_t = 1)]
        brokers: usize,
        /// With all of Java's compilers: slower to start, faster then. For benches.
        #[arg(long)]
        optimised: bool,
    },
    /// Stops it.
    Stop,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test { more } => suite::test(&more),
        Task::Ci => checks::all(),
        Task::Docker => docker::check(),
        Task::Deny => checks::dependencies(),
        Task::Campaign(given) => measure::program("campaign", given.release, &given.more),
        Task::Takeover(given) => measure::program("takeover", given.release, &given.more),
        Task::Count { check: true, .. } => count(Then::Check),
        Task::Count { keep: true, .. } => count(Then::Keep),
        Task::Count { .. } => count(Then::Print),
        Task::Flame => flame::flames(),
        Task::Kafka(Broker::Start { brokers, optimised }) => {
            let address = kafka::start_kept(brokers, optimised)?;
            Ok(writeln!(std::io::stdout(), "{address}")?)
        }
        Task::Kafka(Broker::Stop) => kafka::stop_kept(),
    }
}
