//! The machine: where things are, what is installed, and how to run it.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target folder, which git does not see: everything fetched or written lies below it.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Says what is being done, on stderr.
pub fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// A cargo command in the root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Runs a command; an error names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("`{shown}` can not be run"))?;
    if status.success() { Ok(()) } else { bail!("`{shown}` failed: {status}") }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// What a command prints, on both streams; `None` where it can not be run or fails.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| {
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    })
}

/// Makes sure that each tool works; installs the Debian packages of those that do not, where that can
/// be done, and else names them.
pub(crate) fn need(tools: &[(&str, &[&str], &[&str])]) -> Result<()> {
    let works = |program: &str, arguments: &[&str]| answer(program, arguments).is_some();
    let missing: Vec<_> =
        tools.iter().filter(|(program, arguments, _)| !works(program, arguments)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(program, _, _)| *program).collect();
    let packages: Vec<&str> =
        missing.iter().flat_map(|(_, _, packages)| packages.iter().copied()).collect();
    let is_root = answer("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !is_root || answer("apt-get", &["--version"]).is_none() {
        bail!(
            "these are missing and can not be installed from here: {}. On Debian: apt-get install {}",
            names.join(", "),
            packages.join(" ")
        );
    }
    say(&format!("installing {}", packages.join(" ")));
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))?;
    match missing.iter().find(|(program, arguments, _)| !works(program, arguments)) {
        None => Ok(()),
        Some((program, _, _)) => bail!("`{program}` still does not work after its installation"),
    }
}
