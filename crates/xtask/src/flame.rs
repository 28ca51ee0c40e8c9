//! Flame graphs of the four paths: where processor time goes, by perf's samples.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::host::{answer, cargo, need, run, say, shown, target};
use crate::kafka::Cluster;

/// Draws perf's samples; a tool, since its licence (CDDL-1.0) is none that `deny.toml` takes.
const INFERNO: &str = "inferno@^0.12";

/// A path: its name, whether it is on a real Kafka, and the bench's arguments.
const PATHS: [(&str, bool, [&str; 4]); 4] = [
    ("kafka-1", true, ["--count", "1500", "--concurrency", "1"]),
    ("kafka-1000", true, ["--count", "60000", "--concurrency", "1000"]),
    ("embedded-1", false, ["--count", "3000", "--concurrency", "1"]),
    ("embedded-64", false, ["--count", "40000", "--concurrency", "64"]),
];

/// Builds the optimised `pavane`, runs each path's bench under perf, and draws `target/flame/NAME.svg`.
///
/// # Errors
/// What could not be run.
pub fn flames() -> Result<()> {
    need(&[("perf", &["--version"], &["linux-perf"])])?;
    let tools = tools()?;
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "pavane"]))?;
    let folder = target().join("flame");
    fs::create_dir_all(&folder)?;
    for (name, on_kafka, arguments) in PATHS {
        let cluster = match on_kafka {
            true => Some(Cluster::start_optimised(&folder.join("kafka"), 1)?),
            false => None,
        };
        let mut bench = vec!["bench", "saga", "--no-floor"];
        bench.extend(arguments);
        bench.extend(cluster.iter().flat_map(|cluster| ["--kafka", cluster.bootstrap()]));
        let samples = folder.join(format!("{name}.perf"));
        let mut perf = Command::new("perf");
        // Without frame pointers: the stack is copied, and walked by the tables for unwinding.
        perf.args(["record", "--quiet", "-F", "199", "--call-graph", "dwarf,16384", "-o"]);
        perf.arg(&samples).arg("--").arg(target().join("release/pavane")).args(bench);
        run(&mut perf)?;
        drop(cluster);
        let picture = folder.join(format!("{name}.svg"));
        draw(&tools, &samples, &picture)?;
        fs::remove_file(&samples)?;
        say(&format!("{}", picture.display()));
    }
    Ok(())
}

/// `perf script | inferno-collapse-perf | inferno-flamegraph > picture`
fn draw(tools: &Path, samples: &Path, picture: &Path) -> Result<()> {
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-i"]).arg(samples).stderr(Stdio::null());
    let mut script = script.stdout(Stdio::piped()).spawn().context("perf script")?;
    let mut fold = Command::new(tools.join("bin/inferno-collapse-perf"));
    let said = script.stdout.take().context("perf script says nothing")?;
    let mut folding = fold.stdin(said).stdout(Stdio::piped()).spawn().context("folding")?;
    let mut paint = Command::new(tools.join("bin/inferno-flamegraph"));
    let folded = folding.stdout.take().context("folding says nothing")?;
    let painted = paint.stdin(folded).stdout(File::create(picture)?).status()?;
    for (child, name) in [(&mut script, "perf script"), (&mut folding, "inferno-collapse-perf")] {
        let status = child.wait()?;
        ensure!(status.success(), "`{name}` failed: {status}");
    }
    ensure!(painted.success(), "`{}` failed: {painted}", shown(&paint));
    Ok(())
}

/// The folder with the drawing tools, made where it is not there.
fn tools() -> Result<std::path::PathBuf> {
    let folder = target().join("inferno");
    let program = folder.join("bin/inferno-flamegraph");
    if answer(&program.to_string_lossy(), &["--version"]).is_none() {
        say("installing inferno");
        let mut install = cargo(&["install", "--quiet", "--locked", INFERNO, "--root"]);
        run(install.arg(&folder))?;
    }
    Ok(folder)
}
