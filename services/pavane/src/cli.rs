//! What can be typed: verbs, flags, help.

mod bench;
mod check;
mod dlq;
mod sim;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use bench::{
    Bench, BenchCore, BenchParticipants, BenchRestore, BenchRestored, BenchSaga, BenchStart,
    BenchTimers, BenchTopic,
};
pub(crate) use check::Check;
pub(crate) use dlq::Dlq;
pub(crate) use sim::Sim;
pub(crate) use verify::Verify;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "pavane",
    version,
    about = "Sagas and event choreography with Kafka itself as the engine",
    after_help = "Begin with:\n  pavane demo orders          watch orders being processed, undone and \
                  quarantined\n  pavane up                   the whole system in one process, on a \
                  folder\n  pavane check my-saga.yaml   what is wrong with a saga file\n\nExit codes: \
                  0 done, 1 failed, 2 used wrongly, 3 not found, 4 not reachable."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Everywhere,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
pub(crate) struct Everywhere {
    /// Configuration file [default: pavane.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "PAVANE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The gateway to speak to [default: http://127.0.0.1:7070]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Where the system runs.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of the embedded log
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
    /// Address for HTTP
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

/// A verb a variant.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[cfg(feature = "demo")]
    /// Run an example with everything that it needs in one process, and check how it ends
    #[command(subcommand)]
    Demo(Demo),
    /// Run the whole system in one process until Ctrl-C
    #[command(after_help = "Example:\n  pavane up --data ./pavane-data\n  pavane up --kafka \
                            localhost:9092 --listen 0.0.0.0:7070")]
    Up(Place),
    /// Run some of the services on Kafka until Ctrl-C
    #[command(after_help = "Example:\n  pavane run coordinator,intake --kafka localhost:9092")]
    Run(Run),
    /// Say what is wrong with saga files
    #[command(after_help = check::EXAMPLE)]
    Check(Check),
    /// Run a saga file in a simulated world in which everything goes wrong
    #[command(after_help = sim::EXAMPLE)]
    Sim(Sim),
    /// Deploy saga files
    #[command(after_help = "Example:\n  pavane deploy sagas/order-processing.yaml")]
    Deploy(Files),
    /// Start a workflow
    #[command(after_help = "Example:\n  pavane start order-processing --inputs @order.json --wait")]
    Start(Start),
    /// Write records to a topic
    #[command(after_help = "Example:\n  pavane publish shop.orders --key o-17 --header \
                            ce_type=OrderPlaced @order.json\n  pavane publish shop.orders --header \
                            ce_type=OrderPlaced @orders.ndjson")]
    Publish(Publish),
    /// Show workflows, newest first
    #[command(after_help = "Example:\n  pavane list --saga order-processing --status blocked")]
    List(List),
    /// Show one workflow
    #[command(after_help = "Example:\n  pavane get order-processing:o-17")]
    Get(Id),
    /// Show what has happened in one workflow
    #[command(after_help = "Example:\n  pavane history order-processing:o-17")]
    History(Id),
    /// Print lifecycle events as they come
    #[command(after_help = "Example:\n  pavane watch order-processing:o-17")]
    Watch(Watch),
    /// Undo what a workflow has done, and end it
    #[command(
        after_help = "Example:\n  pavane cancel order-processing:o-17 --reason 'ordered twice'"
    )]
    Cancel(Order),
    /// Tell a workflow something that one of its tasks awaits
    #[command(
        after_help = "Example:\n  pavane signal orders:o-17 approve --data '{\"by\":\"ann\"}'"
    )]
    Signal(Signal),
    /// Let a paused workflow go on
    #[command(
        after_help = "Example:\n  pavane continue order-processing:o-17 --reason 'bank is back'"
    )]
    Continue(Order),
    /// Try a failed task, or a failed undo, again
    #[command(
        after_help = "Example:\n  pavane retry order-processing:o-17 payment --reason 'bank is \
                            back'"
    )]
    Retry(TaskOrder),
    /// Pass a task over
    #[command(after_help = "Example:\n  pavane skip order-processing:o-17 notification --reason \
                            'told by phone'")]
    Skip(TaskOutput),
    /// Say how a task in doubt has really ended
    #[command(
        after_help = "Example:\n  pavane resolve order-processing:o-17 payment --outcome done \
                            --output '{\"payment_id\":\"p-1\"}' --reason 'seen at the bank'"
    )]
    Resolve(TaskOutcome),
    /// Judge a system by what stands on its topics
    #[command(after_help = verify::EXAMPLE)]
    Verify(Verify),
    /// Make or check the topics on a Kafka
    #[command(subcommand)]
    Topics(Topics),
    /// Look at dead letters
    #[command(subcommand)]
    Dlq(Dlq),
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Print the configuration in force, and where each value came from
    #[command(after_help = "Example:\n  PAVANE_GATEWAY__LISTEN=0.0.0.0:7070 pavane config")]
    Config(Settings),
}

/// The examples.
#[cfg(feature = "demo")]
#[derive(Debug, Subcommand)]
pub(crate) enum Demo {
    /// Orders that succeed, are declined, meet a service that is down, are poison
    #[command(
        after_help = "Example:\n  pavane demo orders --count 30\n  pavane demo orders --kafka \
                            localhost:9092"
    )]
    Orders(Orders),
}

/// `demo orders`
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Orders {
    /// How many orders
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) count: u32,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// A service that `run` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// Decides what each workflow does next
    Coordinator,
    /// Turns events on users' topics into starts
    Intake,
    /// Keeps the index of dead letters; the gateway serves it
    DeadLetter,
    /// Serves HTTP
    Gateway,
}

impl Role {
    /// As it is typed.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// `run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Which services, separated by commas
    #[arg(required = true, value_delimiter = ',', value_name = "SERVICE,...")]
    pub(crate) roles: Vec<Role>,
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Address for HTTP
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

/// `deploy`
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Saga files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// `start`
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The saga
    pub(crate) saga: String,
    /// Business key; where the saga computes one, it must be the same
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// The inputs, as a JSON object or the file that holds it
    #[arg(long, value_name = "JSON or @FILE", default_value = "{}")]
    pub(crate) inputs: String,
    /// Wait for the end; exit 0 only where it is `completed`
    #[arg(long)]
    pub(crate) wait: bool,
}

/// `publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The topic
    pub(crate) topic: String,
    /// The records' key
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A header, given once for each
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<String>,
    /// The value; `@FILE` sends a file's bytes, `@FILE.ndjson` a record for each line
    #[arg(value_name = "VALUE or @FILE")]
    pub(crate) value: String,
}

/// `list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this saga
    #[arg(long)]
    pub(crate) saga: Option<String>,
    /// Only in this status
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

/// A workflow.
#[derive(Debug, Args)]
pub(crate) struct Id {
    /// The workflow's id, `saga:key`
    pub(crate) id: String,
}

/// `watch`
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only this workflow, until it ends
    pub(crate) id: Option<String>,
}

/// An operator's order about a workflow.
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// The workflow's id, `saga:key`
    pub(crate) id: String,
    /// Why, for the history
    #[arg(long, value_parser = reason)]
    pub(crate) reason: String,
}

/// A reason says something.
fn reason(text: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err("a reason says why the order is given, for the history".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// `signal`
#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// The workflow's id, `saga:key`
    pub(crate) id: String,
    /// The signal's name
    pub(crate) name: String,
    /// What it says, as JSON or the file that holds it
    #[arg(long, value_name = "JSON or @FILE", default_value = "null")]
    pub(crate) data: String,
}

/// An operator's order about a task.
#[derive(Debug, Args)]
pub(crate) struct TaskOrder {
    /// The workflow's id, `saga:key`
    pub(crate) id: String,
    /// The task
    pub(crate) task: String,
    /// Why, for the history
    #[arg(long, value_parser = reason)]
    pub(crate) reason: String,
}

/// An operator's order about a task, and what stands for its output.
#[derive(Debug, Args)]
pub(crate) struct TaskOutput {
    #[command(flatten)]
    pub(crate) order: TaskOrder,
    /// Its output, as JSON or the file that holds it
    #[arg(long, value_name = "JSON or @FILE")]
    pub(crate) output: Option<String>,
}

/// An operator's word on how a task has ended.
#[derive(Debug, Args)]
pub(crate) struct TaskOutcome {
    #[command(flatten)]
    pub(crate) given: TaskOutput,
    /// How it has really ended: `undone` is about an undo that is blocked
    #[arg(long, value_parser = ["done", "not_done", "undone"])]
    pub(crate) outcome: String,
}

/// `topics`
#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Make what is missing; register the schemas where a schema registry is configured
    #[command(
        after_help = "Example:\n  pavane topics create --kafka localhost:9092 --partitions 8"
    )]
    Create(TopicsPlace),
    /// Check topics and their settings; says each thing that is wrong
    #[command(after_help = "Example:\n  pavane topics verify --kafka localhost:9092")]
    Verify(TopicsPlace),
}

/// Where the topics are.
#[derive(Debug, Args)]
pub(crate) struct TopicsPlace {
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Partitions of inbox, journal and snapshots: fixed for life
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u32>,
}

/// `config`
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Describe every key instead: type, default, what it is for
    #[arg(long)]
    pub(crate) keys: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
