//! What can be typed behind `sim`.

use std::path::PathBuf;

use clap::Args;

/// With `sim`'s help.
pub(super) const EXAMPLE: &str = "\
Simulated: the real coordinator, intake and participants' kit, on one thread, over a log in memory and
in virtual time. The seed draws inputs, what participants answer (an output that the file can take, a
failure with a code that it names, lateness, silence), events, signals, cancels, operators who see to
what is paused or blocked; and crashes, processes that stand still and go on, appends and records that
are lost, late, doubled or not acknowledged, records handed out again, clocks that jump, lost
snapshots, full disks, nonsense. Afterwards a judge looks at everything that was stored.

Not simulated: Kafka itself and its client, the embedded log, the gateway and HTTP, the dead-letter
service, and your own participants and services: those here are made up, and keep the promises that
participants owe.

Example:
  pavane sim sagas/order-processing.yaml
  pavane sim sagas/order-processing.yaml --seed 4711
  pavane sim parent.yaml child.yaml --seeds 1000 --inputs '{\"total\": 12}'";

/// `sim`
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// Saga files; workflows of the first are started, the others are there for its children
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How many seeds are run [default: 100; with --seed: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) seeds: Option<u64>,
    /// The first seed [default: 0]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Inputs that are not to be drawn, as a JSON object or the file that holds it
    #[arg(long, value_name = "JSON or @FILE", default_value = "{}")]
    pub(crate) inputs: String,
    /// Participants that keep no books, and do again what comes again: to see a promise broken
    #[arg(long)]
    pub(crate) forgetful: bool,
    /// Print everything that was stored, and each fault, of the one seed
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    pub(crate) story: bool,
}

impl Sim {
    /// The first seed, and how many.
    pub(crate) fn range(&self) -> (u64, u64) {
        let count = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { 100 });
        (self.seed.unwrap_or(0), count)
    }
}
