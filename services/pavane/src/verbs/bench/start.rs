//! `pavane bench start`: how soon `pavane up` is ready, and what it takes while nobody asks for anything.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{Measured, micros, resident_of, rounded};
use crate::cli::BenchStart;
use crate::failure::Failure;
use crate::output::{Output, table};

/// Nobody asks for anything for so long before the memory is read: snapshots and caches have come to rest.
const IDLE: Duration = Duration::from_secs(2);

/// `bench start`
pub(crate) fn start(given: &BenchStart, output: Output) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::from_error("`pavane up` can not be run", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    let (mut fresh, mut used) = (micros()?, micros()?);
    let mut memory = Vec::new();
    for run in 0..given.count {
        let data = folder.path().join(run.to_string());
        drop(timed(&program, &data, &mut fresh)?);
        let up = timed(&program, &data, &mut used)?;
        if memory.len() < MEMORIES {
            std::thread::sleep(IDLE);
            memory.push(resident_of(up.0.id())?);
        }
    }
    memory.sort_unstable();
    let memory = memory.get(memory.len() / 2).copied().unwrap_or_default();
    let size = program.metadata().map_err(failed)?.len();
    let measured =
        |latencies, name| (name, Measured { latencies, took: Duration::ZERO, cpu: None });
    let runs = [measured(fresh, "fresh"), measured(used, "used")];
    let ms = |measured: &Measured, quantile| rounded(measured.quantile_ms(quantile));
    let mut value = json!({ "count": given.count, "idle_bytes": memory, "binary_bytes": size });
    for (name, run) in &runs {
        let times =
            json!({"p50_ms": ms(run, 0.5), "p99_ms": ms(run, 0.99), "max_ms": ms(run, 1.0)});
        if let Some(all) = value.as_object_mut() {
            all.insert((*name).to_owned(), times);
        }
    }
    output.either(&value, || {
        let rows = runs.iter().map(|(name, run)| {
            let ms = |quantile| format!("{:.0}", run.quantile_ms(quantile));
            [(*name).to_owned(), given.count.to_string(), ms(0.5), ms(0.99), ms(1.0)]
        });
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "{}\nidle for {} s: {} MiB of memory; the binary: {} MiB",
            table(["FOLDER", "COUNT", "P50 MS", "P99 MS", "MAX MS"], rows),
            IDLE.as_secs(),
            mib(memory),
            mib(size)
        )
    })
}

/// So often is the memory read; its median counts.
const MEMORIES: usize = 3;

/// Ends when dropped.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // Both fail only where it has ended by itself.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts `pavane up` and waits until it says that it is up, which it does once all lanes and services are.
fn timed(
    program: &Path,
    data: &Path,
    times: &mut hdrhistogram::Histogram<u64>,
) -> Result<Up, Failure> {
    let failed = |error: std::io::Error| Failure::from_error("`pavane up` can not be run", &error);
    let mut command = Command::new(program);
    command.args(["up", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    if std::env::var_os("PAVANE_LOG").is_none() {
        command.env("PAVANE_LOG", "warn");
    }
    let begun = Instant::now();
    let mut up = Up(command.stdout(Stdio::piped()).spawn().map_err(failed)?);
    let said = up.0.stdout.take().into_iter().flat_map(|said| BufReader::new(said).lines());
    let mut text = String::new();
    for line in said {
        text.push_str(&line.map_err(failed)?);
        if serde_json::from_str::<Value>(&text).is_ok() {
            let micros = begun.elapsed().as_micros();
            times.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
            return Ok(up);
        }
    }
    Err(Failure::failed(format!("`pavane up` has ended: {text}")).next("pavane up"))
}
