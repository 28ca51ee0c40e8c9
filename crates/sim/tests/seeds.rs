//! Seeds.
use sim::{Case, run};

#[test]
fn seeds() {
    let from: u64 = std::env::var("PAVANE_SEED").ok().map_or(0, |it| it.parse().unwrap());
    let count: u64 = std::env::var("PAVANE_SEEDS").ok().map_or(20, |it| it.parse().unwrap());
    let tells = count == 1;
    let mut bad = 0;
    for seed in from..from + count {
        let outcome = run(&Case { seed, tells, only: None });
        if tells {
            for line in &outcome.story {
                println!("{line}");
            }
            println!("{:#?}", outcome.faults);
        }
        if tells || std::env::var("V").is_ok() {
            println!("{seed} {:x} {:?}", outcome.hash, outcome.counts);
        }
        if !outcome.broken.is_empty() {
            bad += 1;
            println!(
                "seed {seed}: {} broken: {:#?}",
                outcome.broken.len(),
                outcome.broken.iter().take(3).collect::<Vec<_>>()
            );
        }
    }
    println!("{bad} of {count} bad");
}
