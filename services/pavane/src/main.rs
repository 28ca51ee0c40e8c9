//! The `pavane` binary: reads the configuration, chooses a broker, starts what was asked for, and stops
//! it in order. Only here are the parts wired to each other.

mod api;
mod bench;
mod cli;
mod config;
mod crew;
#[cfg(feature = "demo")]
mod demo;
mod failure;
mod operations;
mod output;
mod settings;
mod system;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::api::Api;
use crate::cli::{Bench, BenchRestore, BenchRestored, BenchTopic, Cli, Place, Topics, Verb};
use crate::config::{Config, Flag, Layers};
use crate::failure::{Failure, Kind};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.kind != Kind::ReaderGone {
                Output::note(failure.to_string());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let output = Output::new(cli.common.json);
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let layers = Layers::merge(cli.common.config.as_deref(), &environment, &flags(cli))?;
    let config = Config::of(&layers)?;
    let api = || Api::new(&config.client.url);
    // Where a picture or figures are what one wants to see, log lines are asked for by name.
    let filter_or = |quiet: &'static str| match layers.is_set("log.filter") {
        true => config.log.filter.as_str(),
        false => quiet,
    };
    match &cli.verb {
        Verb::Check(check) => verbs::check::run(check, api, output),
        Verb::Deploy(files) => verbs::deploy::run(files, &api()?, output),
        Verb::Start(start) => verbs::start::run(start, &api()?, output),
        Verb::Publish(publish) => verbs::publish::run(publish, &api()?, output),
        Verb::List(list) => verbs::read::list(list, &api()?, output),
        Verb::Get(id) => verbs::read::get(id, &api()?, output),
        Verb::History(id) => verbs::read::history(id, &api()?, output),
        Verb::Watch(watch) => verbs::watch::run(watch, &api()?, output),
        Verb::Signal(signal) => verbs::operate::signal(signal, &api()?, output),
        Verb::Cancel(order) => verbs::operate::workflow(order, "cancel", &api()?, output),
        Verb::Continue(order) => verbs::operate::workflow(order, "continue", &api()?, output),
        Verb::Retry(order) => verbs::operate::retry(order, &api()?, output),
        Verb::Skip(order) => verbs::operate::skip(order, &api()?, output),
        Verb::Resolve(order) => verbs::operate::resolve(order, &api()?, output),
        Verb::Dlq(dlq) => verbs::dlq::run(dlq, &api()?, output),
        Verb::Config(settings) if settings.keys => verbs::config::keys(output),
        Verb::Config(_) => verbs::config::run(&layers, output),
        Verb::Sim(given) => verbs::sim::run(given, output),
        Verb::Verify(given) => verbs::verify::run(given, &config, output),
        Verb::Topics(topics) => verbs::topics::run(topics, &config, output),
        #[cfg(feature = "demo")]
        Verb::Demo(cli::Demo::Orders(orders)) => {
            verbs::demo::orders(orders, &config, filter_or("error"), output)
        }
        Verb::Up(place) => verbs::up::up(&config, place.data.is_some(), output),
        Verb::Run(run) => verbs::up::run(run, &config, output),
        Verb::Bench(given) => verbs::bench::run(given, &config, filter_or("warn"), output),
    }
}

/// The flags that set keys of the configuration.
fn flags(cli: &Cli) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut add = |path, flag, value: Option<String>| {
        flags.extend(value.map(|value| Flag { path, flag, value }));
    };
    add("client.url", "--url", cli.common.url.clone());
    let mut place = |place: &Place| {
        add("kafka.bootstrap", "--kafka", place.kafka.clone());
        add("local.data", "--data", place.data.as_ref().map(|data| data.display().to_string()));
        add("gateway.listen", "--listen", place.listen.clone());
    };
    match &cli.verb {
        Verb::Up(given) => place(given),
        #[cfg(feature = "demo")]
        Verb::Demo(cli::Demo::Orders(orders)) => place(&orders.place),
        Verb::Config(settings) => place(&settings.place),
        Verb::Run(run) => {
            add("kafka.bootstrap", "--kafka", run.kafka.clone());
            add("gateway.listen", "--listen", run.listen.clone());
        }
        Verb::Bench(Bench::Saga(bench)) => {
            add("kafka.bootstrap", "--kafka", bench.kafka.clone());
            add("local.data", "--data", bench.data.as_ref().map(|data| data.display().to_string()));
        }
        Verb::Bench(
            Bench::Topic(BenchTopic { kafka, data, .. })
            | Bench::Restore(BenchRestore { kafka, data, .. })
            | Bench::Restored(BenchRestored { kafka, data }),
        ) => {
            add("kafka.bootstrap", "--kafka", kafka.clone());
            add("local.data", "--data", data.as_ref().map(|data| data.display().to_string()));
        }
        Verb::Bench(Bench::Participants(given)) => {
            add("kafka.bootstrap", "--kafka", given.kafka.clone());
        }
        Verb::Verify(given) => add("kafka.bootstrap", "--kafka", given.kafka.clone()),
        Verb::Topics(Topics::Create(given) | Topics::Verify(given)) => {
            add("kafka.bootstrap", "--kafka", given.kafka.clone());
            add("kafka.partitions", "--partitions", given.partitions.map(|n| n.to_string()));
        }
        Verb::Check(_)
        | Verb::Sim(_)
        | Verb::Deploy(_)
        | Verb::Start(_)
        | Verb::Publish(_)
        | Verb::List(_)
        | Verb::Get(_)
        | Verb::History(_)
        | Verb::Watch(_)
        | Verb::Signal(_)
        | Verb::Bench(Bench::Timers(_) | Bench::Core(_) | Bench::Start(_))
        | Verb::Cancel(_)
        | Verb::Continue(_)
        | Verb::Retry(_)
        | Verb::Skip(_)
        | Verb::Resolve(_)
        | Verb::Dlq(_) => {}
    }
    flags
}
