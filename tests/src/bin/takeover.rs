//! `cargo xtask takeover`: how long a lane stands still when its coordinator is killed, or asked to stop.

#![allow(clippy::indexing_slicing, reason = "what was measured has all kinds and all figures")]

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::json;
use tests::takeover::{End, Plan, figures, measure};
use xtask::kafka::{Cluster, Doors, VERSION};

/// Measures how long a lane stands still when the coordinator that holds it is killed, or asked to stop.
#[derive(Parser)]
#[command(bin_name = "cargo xtask takeover")]
struct Arguments {
    /// A Kafka that runs; without it one is started, which lets go of dead members after half a second
    /// and more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Option<String>,
    /// How often a coordinator is killed, and how often one is asked to stop
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// `kafka.session_timeout_ms`
    #[arg(long, default_value_t = 1_000)]
    session_timeout_ms: u32,
    /// Lanes
    #[arg(long, default_value_t = 4)]
    lanes: u32,
    /// Workflows under way at any time
    #[arg(long, default_value_t = 40)]
    in_flight: usize,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let given = Arguments::parse();
    let folder = xtask::target().join(format!("takeover-{}", std::process::id()));
    let own = own_kafka(given.kafka.is_none(), &folder)?;
    let kafka = match (&given.kafka, &own) {
        (Some(kafka), _) => kafka.clone(),
        (None, Some(own)) => own.bootstrap().to_owned(),
        (None, None) => anyhow::bail!("no kafka"),
    };
    let plan = Plan {
        kafka,
        session_timeout_ms: given.session_timeout_ms,
        lanes: given.lanes,
        in_flight: given.in_flight,
        times: given.times,
        folder: folder.clone(),
    };
    let measured = measure(&plan);
    let of = |end: End| figures(&measured[&end]);
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let on = own.as_ref().map_or(plan.kafka.clone(), |_| format!("its own, {VERSION}"));
    let mut out = std::io::stdout().lock();
    if given.json {
        let said = json!({
            "kafka": on, "build": build, "session_timeout_ms": given.session_timeout_ms,
            "lanes": given.lanes, "in_flight": given.in_flight, "unit": "ms",
            "kill": of(End::Killed), "stop": of(End::AskedToStop),
        });
        writeln!(out, "{said}")?;
    } else {
        let session = given.session_timeout_ms;
        writeln!(out, "kafka {on}; session timeout {session} ms; {build} build; milliseconds")?;
        for (name, end) in [("kill -9", End::Killed), ("SIGTERM", End::AskedToStop)] {
            let all = of(end);
            let one = |figure: &str| all[figure].to_string();
            let [n, p50, p90, p99, max] = ["n", "p50", "p90", "p99", "max"].map(one);
            writeln!(out, "{name}: n {n}, p50 {p50}, p90 {p90}, p99 {p99}, max {max}")?;
        }
    }
    drop(own);
    // After a failure it stays, for whoever looks.
    std::fs::remove_dir_all(&folder).context("clearing what was written")
}

fn own_kafka(wanted: bool, folder: &Path) -> Result<Option<Cluster>> {
    if !wanted {
        return Ok(None);
    }
    xtask::say("starting a kafka whose `group.min.session.timeout.ms` is 500");
    Cluster::start(&folder.join("kafka"), 1, Doors::Plain).map(Some)
}
