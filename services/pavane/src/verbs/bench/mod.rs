//! `pavane bench`, a module for what is measured.

mod core;
mod saga;
mod start;
mod topic;
mod waiting;

use crate::cli::Bench;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Output;

/// Measures what was asked for.
pub(crate) fn run(
    given: &Bench,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    match given {
        Bench::Saga(given) => saga::saga(given, config, filter, output),
        Bench::Topic(given) => topic::topic(given, config, filter, output),
        Bench::Core(given) => core::core(given, output),
        Bench::Restore(given) => waiting::waiting(given, config, filter, output),
        Bench::Timers(given) => waiting::timers(given, config, filter, output),
        Bench::Start(given) => start::start(given, output),
        Bench::Restored(given) => waiting::restored(given, config, filter, output),
        Bench::Participants(given) => saga::participants(given, config),
    }
}
