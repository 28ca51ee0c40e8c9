//! The `pavane` binary: reads the configuration, chooses a broker, starts what was asked for, and stops
//! it in order. Only here are the parts wired to each other.

mod api;
mod cli;
mod config;
mod diagnostics;
mod failure;
mod output;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::api::Api;
use crate::cli::{Cli, Place, Verb};
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
    match &cli.verb {
        Verb::Check(check) => verbs::check::run(check, output),
        Verb::Deploy(files) => verbs::deploy::run(files, &api()?, output),
        Verb::Start(start) => verbs::start::run(start, &api()?, output),
        Verb::Publish(publish) => verbs::publish::run(publish, &api()?, output),
        Verb::List(list) => verbs::read::list(list, &api()?, output),
        Verb::Get(id) => verbs::read::get(id, &api()?, output),
        Verb::History(id) => verbs::read::history(id, &api()?, output),
        Verb::Watch(watch) => verbs::watch::run(watch, &api()?, output),
        Verb::Cancel(order) => verbs::operate::workflow(order, "cancel", &api()?, output),
        Verb::Continue(order) => verbs::operate::workflow(order, "continue", &api()?, output),
        Verb::Retry(order) => verbs::operate::retry(order, &api()?, output),
        Verb::Skip(order) => verbs::operate::outcome(order, "skip", &api()?, output),
        Verb::Resolve(order) => verbs::operate::outcome(order, "resolve", &api()?, output),
        Verb::Dlq(dlq) => verbs::dlq::run(dlq, &api()?, output),
        Verb::Config(settings) if settings.keys => verbs::config::keys(output),
        Verb::Config(_) => verbs::config::run(&layers, output),
        Verb::Topics(topics) => todo!(),
        Verb::Demo(demo) => todo!(),
        Verb::Up(place) => todo!(),
        Verb::Run(run) => todo!(),
        Verb::Bench(bench) => todo!(),
    }
}
