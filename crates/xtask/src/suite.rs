//! The whole of the tests: everything in the workspace, with a real Kafka and foreign clients.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::host::{cargo, run, say, shown, target};
use crate::kafka::{Cluster, Doors};
use crate::python;

/// What turns on the tests that need a Kafka. Without it `cargo test` needs none.
pub(crate) const FEATURES: &str = "pavane-tests/real-kafka";
/// The same, and those that need the secured door of a Kafka of our own.
pub(crate) const OWN_FEATURES: &str = "pavane-tests/real-kafka,pavane-kafka/secured-kafka";

/// Builds and runs every test, with `more` arguments for cargo. Uses the Kafka that
/// `PAVANE_TEST_KAFKA=host:port` names, or starts one.
///
/// # Errors
/// What could not be set up, or which tests failed.
pub fn test(more: &[String]) -> Result<()> {
    let python = python::with_clients()?;
    if let Ok(bootstrap) = env::var("PAVANE_TEST_KAFKA") {
        say(&format!("using the kafka at {bootstrap}; TLS and passwords are not tested on it"));
        run(suite(FEATURES, more).arg("--no-run"))?;
        return tested(suite(FEATURES, more).env("PAVANE_TEST_PYTHON", python));
    }
    run(suite(OWN_FEATURES, more).arg("--no-run"))?;
    say("starting kafka");
    let folder = target().join(format!("kafka-tests-{}", std::process::id()));
    let cluster = Cluster::start(&folder, 1, Doors::PlainAndSecured)?;
    say(&format!("kafka is at {}", cluster.bootstrap()));
    tested(
        suite(OWN_FEATURES, more)
            .env("PAVANE_TEST_PYTHON", python)
            .env("PAVANE_TEST_KAFKA", cluster.bootstrap())
            .env("PAVANE_TEST_KAFKA_SECURED", cluster.secured())
            .env("PAVANE_TEST_KAFKA_AUTHORITY", cluster.authority()),
    )?;
    drop(cluster);
    // After a failure it stays, for whoever looks.
    std::fs::remove_dir_all(&folder).context("clearing kafka's data")
}

fn suite(features: &str, more: &[String]) -> Command {
    let mut suite = cargo(&["test", "--workspace", "--no-fail-fast", "--features", features]);
    suite.args(more);
    suite
}

/// Runs the tests, shows what they print, and ends with their sum.
fn tested(suite: &mut Command) -> Result<()> {
    say(&shown(suite));
    let mut running = suite.stdout(Stdio::piped()).spawn().context("cargo can not be run")?;
    let printed = running.stdout.take().context("no output of cargo")?;
    let mut sum = Sum::default();
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(printed).lines() {
        let line = line.context("reading what the tests print")?;
        writeln!(out, "{line}")?;
        sum.add(&line);
    }
    let status = running.wait()?;
    writeln!(out, "{} passed, {} failed", sum.passed, sum.failed)?;
    ensure!(status.success() && sum.failed == 0, "{} tests failed; cargo: {status}", sum.failed);
    if sum.passed == 0 { bail!("no test was run") } else { Ok(()) }
}

/// The sum of cargo's closing lines, `test result: ok. 3 passed; 0 failed; ...`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u32,
    failed: u32,
}

impl Sum {
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let mut words = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let Ok(count) = word.parse::<u32>() else { continue };
            match words.peek() {
                Some(&"passed") => self.passed += count,
                Some(&"failed") => self.failed += count,
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_closing_lines_are_summed() {
        let mut sum = Sum::default();
        sum.add("running 3 tests");
        sum.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; finished in 0.01s");
        sum.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
        assert_eq!(sum, Sum { passed: 4, failed: 2 });
    }
}
