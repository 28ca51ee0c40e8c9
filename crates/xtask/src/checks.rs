//! What is checked beside the tests: form, lints, dependencies.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::host::{answer, cargo, root, run, say};
use crate::{docker, python, suite};

/// Where cargo-deny takes security advisories from.
const ADVISORIES: &str = "https://github.com/rustsec/advisory-db";
/// How long that place may take to answer.
const ADVISORIES_WAIT: Duration = Duration::from_secs(20);

/// Everything that a change must pass: tests, then formatting, lints, dependencies and the
/// files for docker.
///
/// # Errors
/// The first that failed.
pub fn all() -> Result<()> {
    suite::test(&[])?;
    say("formatting");
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    say("lints");
    let mut clippy =
        cargo(&["clippy", "--workspace", "--all-targets", "--features", suite::OWN_FEATURES]);
    run(clippy.args(["--", "-D", "warnings"]))?;
    dependencies()?;
    docker::check()
}

/// Licences, bans and sources of all dependencies by `deny.toml`; advisories where they can be had.
///
/// # Errors
/// What is not allowed.
pub fn dependencies() -> Result<()> {
    say("dependencies: licences, bans, sources");
    let deny = cargo_deny()?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&deny);
        command.current_dir(root()).args(["--workspace", "check"]).args(what);
        run(&mut command).context("what deny.toml does not allow has come in")
    };
    check(&["licenses", "bans", "sources"])?;
    if advisories_answer()? {
        say("dependencies: advisories");
        check(&["advisories"])
    } else {
        say(
            "dependencies: security advisories were NOT checked: their database can not be reached",
        );
        Ok(())
    }
}

fn cargo_deny() -> Result<PathBuf> {
    match answer("cargo-deny", &["--version"]) {
        Some(_) => Ok(PathBuf::from("cargo-deny")),
        None => python::cargo_deny(),
    }
}

/// Whether the advisories can be fetched from here, found out within a bound.
fn advisories_answer() -> Result<bool> {
    let mut asking = Command::new("git")
        .args(["ls-remote", "--exit-code", ADVISORIES, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("git can not be run")?;
    let deadline = Instant::now() + ADVISORIES_WAIT;
    loop {
        if let Some(status) = asking.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            asking.kill()?;
            asking.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
