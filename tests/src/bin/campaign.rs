//! `cargo xtask campaign`: faults, done to a system at work for as long as one likes, and then the judge.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use tests::campaign::{Kind, Outcome, Plan, run};

/// Does faults to a system at work, and has what came of it judged.
#[derive(Parser)]
#[command(bin_name = "cargo xtask campaign")]
struct Arguments {
    /// Which kinds, one after another; all where none is named
    kinds: Vec<Kind>,
    /// For how long faults are done, of each kind
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// How many workflows are started in that time
    #[arg(long, default_value_t = 1_000)]
    workflows: usize,
    /// Decides what is worked on, and which fault is done when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object a kind
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let given = Arguments::parse();
    ensure!(given.minutes > 0.0, "--minutes is above 0");
    let kinds = if given.kinds.is_empty() { Kind::ALL.to_vec() } else { given.kinds };
    let mut bad = Vec::new();
    for kind in kinds {
        let folder = xtask::target().join(format!("campaign-{kind}-{}", std::process::id()));
        let plan = Plan {
            kind,
            seed: given.seed,
            lasts: Duration::from_secs_f64(given.minutes * 60.0),
            workflows: given.workflows,
            folder: folder.clone(),
        };
        xtask::say(&format!("{kind}, seed {}: logs are in {}", given.seed, folder.display()));
        let outcome = run(&plan).map_err(anyhow::Error::msg)?;
        tell(&plan, &outcome, given.json)?;
        if outcome.wrong.is_empty() {
            std::fs::remove_dir_all(&folder)?;
        } else {
            bad.push(kind.to_string());
        }
    }
    if bad.is_empty() { Ok(()) } else { bail!("something does not hold in {}", bad.join(", ")) }
}

fn tell(plan: &Plan, outcome: &Outcome, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", outcome.json(plan))?;
        return Ok(());
    }
    let list = |counts: &std::collections::BTreeMap<String, usize>| {
        let each: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        each.join(", ")
    };
    let Plan { kind, seed, .. } = plan;
    let seconds = outcome.took.as_secs();
    writeln!(out, "{kind}, seed {seed}: {} workflows in {seconds} s", outcome.workflows)?;
    writeln!(out, "  ends: {}", list(&outcome.ends))?;
    writeln!(out, "  faults: {}", list(&outcome.faults))?;
    for (role, most) in &outcome.memory {
        writeln!(out, "  memory: {role} {} MiB at most", most.div_ceil(1 << 20))?;
    }
    writeln!(out, "  violations: {}", outcome.wrong.len())?;
    for wrong in &outcome.wrong {
        writeln!(out, "    {wrong}")?;
    }
    Ok(())
}
