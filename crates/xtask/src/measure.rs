//! Programs that measure or try the built product: built with it, then run.

use std::process::Command;

use anyhow::Result;

use crate::host::{cargo, run, target};

/// Builds `pavane` and a program of the crate `pavane-tests`, and runs that with these arguments.
///
/// # Errors
/// It can not be built, or did not end well.
pub fn program(name: &str, is_release: bool, arguments: &[String]) -> Result<()> {
    let mut build =
        cargo(&["build", "--quiet", "--package", "pavane", "--package", "pavane-tests"]);
    build.args(["--features", "pavane-tests/campaigns", "--bin", "pavane", "--bin", name]);
    if is_release {
        build.arg("--release");
    }
    run(&mut build)?;
    let profile = if is_release { "release" } else { "debug" };
    run(Command::new(target().join(profile).join(name)).args(arguments))
}
