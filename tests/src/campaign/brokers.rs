//! Faults of the brokers, and of the way to them.

use std::time::{Duration, Instant};

use stream::Broker as _;
use xtask::kafka::{Cluster, Doors};

use super::on_kafka::Ground;
use super::{Outcome, Plan};
use crate::fleet::{Proxy, Weather};

/// How long three brokers are left alone between two faults: until all copies are in step again.
const CALM: Duration = Duration::from_secs(12);

/// Does `fault` to so many brokers, again and again.
pub(super) fn run(
    plan: &Plan,
    count: usize,
    fault: fn(&mut Ground, &mut Cluster) -> Result<(), xtask::Error>,
) -> Result<Outcome, String> {
    let cluster = Cluster::start(&plan.folder.join("kafka"), count, Doors::Plain);
    let cluster = cluster.map_err(|error| format!("{error:#}"))?;
    go_on(plan, cluster, fault).map_err(|error| format!("{error:#}"))
}

/// Three brokers, the ways to which are bad.
pub(super) fn cut_off(plan: &Plan) -> Result<Outcome, String> {
    let proxies: Vec<Proxy> = (0..3).map(|_| Proxy::open()).collect();
    let doors = Doors::Behind(proxies.iter().map(Proxy::port).collect());
    let cluster = Cluster::start(&plan.folder.join("kafka"), proxies.len(), doors);
    let cluster = cluster.map_err(|error| format!("{error:#}"))?;
    for (proxy, port) in proxies.iter().zip(cluster.ports()) {
        proxy.pass_to(port);
    }
    let fault = |ground: &mut Ground, _: &mut Cluster| {
        weather(ground, &proxies);
        Ok(())
    };
    go_on(plan, cluster, fault).map_err(|error| format!("{error:#}"))
}

fn go_on(
    plan: &Plan,
    mut cluster: Cluster,
    mut fault: impl FnMut(&mut Ground, &mut Cluster) -> Result<(), xtask::Error>,
) -> Result<Outcome, xtask::Error> {
    cluster.wait()?;
    let mut ground = Ground::begin(plan, cluster.bootstrap());
    while ground.goes_on() {
        fault(&mut ground, &mut cluster)?;
    }
    cluster.wait()?;
    Ok(ground.end())
}

/// Killed, and started again.
pub(super) fn one(ground: &mut Ground, cluster: &mut Cluster) -> Result<(), xtask::Error> {
    ground.pass(Duration::from_secs(8));
    cluster.kill(0)?;
    let down = 500 + u64::try_from(ground.chance.below(4_000)).unwrap_or_default();
    ground.pass(Duration::from_millis(down));
    cluster.restart(0)?;
    ground.note("broker killed, and started again");
    until_back(ground, cluster)
}

/// Nothing is answered and no connection is closed: whoever asks must wait, and keep within its memory.
pub(super) fn stands_still(ground: &mut Ground, cluster: &mut Cluster) -> Result<(), xtask::Error> {
    ground.pass(Duration::from_secs(5));
    cluster.pause(0)?;
    let still = 5_000 + u64::try_from(ground.chance.below(40_000)).unwrap_or_default();
    ground.pass(Duration::from_millis(still));
    cluster.go_on(0)?;
    ground.note("broker stood still");
    until_back(ground, cluster)
}

/// One at a time: with two gone there is nobody left to agree with.
pub(super) fn three(ground: &mut Ground, cluster: &mut Cluster) -> Result<(), xtask::Error> {
    ground.pass(CALM);
    let (what, place) = whom(ground, cluster)?;
    let down = 1_000 + u64::try_from(ground.chance.below(12_000)).unwrap_or_default();
    let down = Duration::from_millis(down);
    if ground.chance.one_in(3) {
        cluster.pause(place)?;
        ground.pass(down);
        cluster.go_on(place)?;
        ground.note(&format!("{what} paused"));
    } else {
        cluster.kill(place)?;
        ground.pass(down);
        cluster.restart(place)?;
        ground.note(&format!("{what} killed, and started again"));
    }
    until_back(ground, cluster)
}

/// One of the three that matter, where somebody says who it is.
fn whom(ground: &mut Ground, cluster: &Cluster) -> Result<(&'static str, usize), xtask::Error> {
    let journal = ground.broker.topics().journal();
    let group = ground.broker.topics().group("coordinator");
    let deadline = Instant::now() + Duration::from_secs(60);
    let which = ground.chance.below(3);
    loop {
        let (what, place) = match which {
            0 => ("leader of the journal", cluster.leader(journal.as_str())),
            1 => ("controller", cluster.controller()),
            _ => ("coordinator of the lanes' group", cluster.coordinator(&group)),
        };
        match place {
            Ok(place) => return Ok((what, place)),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => ground.pass(Duration::from_millis(500)),
        }
    }
}

/// Work goes on while a broker comes back.
fn until_back(ground: &mut Ground, cluster: &mut Cluster) -> Result<(), xtask::Error> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !cluster.is_whole() && Instant::now() < deadline {
        ground.pass(Duration::from_millis(200));
    }
    cluster.wait()
}

fn weather(ground: &mut Ground, proxies: &[Proxy]) {
    let proxy = &proxies[ground.chance.below(proxies.len())];
    let (what, weather) = match ground.chance.below(4) {
        0 => ("way to a broker cut off", Weather::CutOff),
        1 => ("way to a broker silent", Weather::Silent),
        2 => ("way to a broker slow, 50 ms", Weather::Slow(Duration::from_millis(50))),
        _ => ("way to a broker slow, 500 ms", Weather::Slow(Duration::from_millis(500))),
    };
    proxy.set(weather);
    let lasts = 1_000 + u64::try_from(ground.chance.below(10_000)).unwrap_or_default();
    ground.pass(Duration::from_millis(lasts));
    proxy.set(Weather::Clear);
    ground.note(what);
    ground.pass(Duration::from_secs(5));
}
