//! The compose file and the Dockerfile, checked by what docker itself and its linter make of them.

use std::process::Command;

use anyhow::Result;

use crate::host::{answer, root, run, say, target};
use crate::python;

/// Reads the compose file with the library that `docker compose` uses, where there is a Go to build it
/// with, and lints the Dockerfile.
///
/// # Errors
/// What is wrong with either.
pub fn check() -> Result<()> {
    say("docker: compose file");
    if answer("go", &["version"]).is_some() {
        compose()?;
    } else {
        say("docker: the compose file was NOT checked: there is no go");
    }
    say("docker: Dockerfile");
    run(Command::new(python::hadolint()?).arg("docker/Dockerfile").current_dir(root()))
}

fn compose() -> Result<()> {
    let program = target().join("compose-check");
    let mut build = Command::new("go");
    build
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(root().join("docker/check"));
    run(&mut build)?;
    run(Command::new(program).arg("docker/compose.yaml").current_dir(root()))
}
