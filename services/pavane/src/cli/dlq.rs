//! What can be typed behind `dlq`.

use clap::{Args, Subcommand};

/// `dlq`
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters, newest first
    #[command(after_help = "Example:\n  pavane dlq list --class undecodable")]
    List(Letters),
    /// Show one with its headers and bytes
    #[command(after_help = "Example:\n  pavane dlq show shop.orders.dlq~0~3")]
    Show(Letter),
}

/// `dlq list`
#[derive(Debug, Args)]
pub(crate) struct Letters {
    /// Only of this class: undecodable, invalid, unknown_saga...
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

/// `dlq show`
#[derive(Debug, Args)]
pub(crate) struct Letter {
    /// Its place, `topic~partition~offset`, as `dlq list` prints it
    pub(crate) place: String,
}
