//! Faults of our own processes, on a Kafka that is well.

use std::time::Duration;

use xtask::kafka::{Cluster, Doors};

use super::on_kafka::{BY_ITSELF, Ground, SESSION};
use super::{Outcome, Plan};
use crate::fleet::Signal;

/// Members of a storm beside those that stay.
const STORM_MAX: usize = 4;

/// Does `fault` to them, again and again; it is told how often it was done.
pub(super) fn run(plan: &Plan, fault: fn(&mut Ground, usize)) -> Result<Outcome, String> {
    let started = Cluster::start(&plan.folder.join("kafka"), 1, Doors::Plain);
    let cluster = started.map_err(|error| format!("{error:#}"))?;
    let mut ground = Ground::begin(plan, cluster.bootstrap());
    let mut turn = 0;
    while ground.goes_on() {
        fault(&mut ground, turn);
        turn += 1;
    }
    let mut outcome = ground.end();
    if outcome.faults.contains_key(BY_ITSELF) {
        outcome
            .wrong
            .push("a process has ended by itself, though the brokers were well".to_owned());
    }
    Ok(outcome)
}

pub(super) fn killed(ground: &mut Ground, _: usize) {
    ground.pass(Duration::from_secs(1));
    let name = ground.any("coordinator");
    ground.kill(&name);
    ground.note("coordinator killed");
}

pub(super) fn paused(ground: &mut Ground, _: usize) {
    let name = ground.any("coordinator");
    ground.signal(&name, Signal::Stop);
    let times = 1 + u32::try_from(ground.chance.below(5)).unwrap_or_default();
    // One in five wakes up before anybody has missed it.
    ground.pass(SESSION * times * 4 / 5);
    ground.signal(&name, Signal::Continue);
    ground.note(if times > 1 { "paused past its session" } else { "paused within its session" });
    let calm = Duration::from_millis(u64::try_from(ground.chance.below(1_500)).unwrap_or_default());
    ground.pass(calm);
}

pub(super) fn storm(ground: &mut Ground, turn: usize) {
    let name = format!("coordinator-storm-{}", turn % STORM_MAX);
    match ground.chance.below(3) {
        0 => {
            ground.serve_less();
            ground.serve();
            ground.note("participant left, another joined");
        }
        1 | 2 if ground.all().contains(&name) => {
            ground.leave(&name);
            ground.note("coordinator left");
        }
        _ => {
            ground.join(&name);
            ground.note("coordinator joined");
        }
    }
    let wait = 100 + u64::try_from(ground.chance.below(500)).unwrap_or_default();
    ground.pass(Duration::from_millis(wait));
}

pub(super) fn rolling(ground: &mut Ground, turn: usize) {
    let names = ground.all();
    let name = &names[turn % names.len()];
    ground.restart(name);
    ground.note("asked to stop, and started again");
    ground.pass(Duration::from_secs(2));
}
