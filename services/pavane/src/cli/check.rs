//! What can be typed behind `check`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLE: &str = "Example:
  pavane check sagas/*.yaml --strict
  pavane check sagas/order-processing.yaml --explore
  pavane check sagas/order-processing.yaml --explore=100000
  pavane check --schema > saga-file.schema.json";

/// `check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Saga files
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Warnings fail too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Try what may happen to workflows of each file, up to N states: every order of answers, failures,
    /// silence, repeats and restarts; and show the simplest run that goes wrong
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true,
          default_missing_value = "20000", value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub(crate) explore: Option<u32>,
    /// Ask the system at --url too: whether topics and child sagas exist, and agents are there
    #[arg(long)]
    pub(crate) live: bool,
    /// Print the JSON Schema of saga files instead, for editors
    #[arg(long, conflicts_with_all = ["files", "strict", "explore", "live"])]
    pub(crate) schema: bool,
}
