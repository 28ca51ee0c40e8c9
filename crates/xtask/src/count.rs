//! What the pure core costs: instructions and allocations, counted by callgrind, which no load of the machine disturbs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::host::{cargo, need, root, say, shown, target};

/// The kept figures.
const KEPT: &str = "services/coordinator/benches/core.tsv";
/// A figure may be so much above the kept one, percent: other versions of libc and of the compiler differ by less.
const TOLERATED: u64 = 5;
/// Events that each figure is the mean of, about.
const EVENTS: u64 = 2000;
/// The parts of the way of an event.
const PARTS: [&str; 6] = ["decide", "evolve", "wake", "react", "free", "all"];
/// The forms of an event.
const FORMS: [&str; 4] =
    ["lifecycle-encode", "lifecycle-decode", "journal-encode", "journal-decode"];

/// What is to become of the figures, beside that they are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Print,
    /// They are held against the kept ones.
    Check,
    /// They are kept.
    Keep,
}

/// What one event costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figure {
    instructions: u64,
    /// Tenths.
    allocations: u64,
}

/// Counts, prints, and does `then`.
///
/// # Errors
/// What could not be run; with [`Then::Check`], the figures that have grown.
pub fn count(then: Then) -> Result<()> {
    need(&[("valgrind", &["--version"], &["valgrind"])])?;
    let bench = built()?;
    let mut figures = BTreeMap::new();
    for (shape, tasks) in
        [("chain", 1), ("chain", 3), ("chain", 10), ("chain", 100), ("chain", 1000)]
            .into_iter()
            .chain([("fan", 10), ("fan", 100), ("fan", 1000)])
    {
        for part in PARTS {
            let figure = figure(&bench, part, shape, tasks)?;
            figures.insert(format!("{shape} {tasks:04} {part}"), figure);
        }
    }
    for form in FORMS {
        figures.insert(form.to_owned(), figure(&bench, form, "chain", 3)?);
    }
    let text = written(&figures);
    say(&format!("instructions and allocations of an event\n{text}"));
    let kept = root().join(KEPT);
    match then {
        Then::Print => Ok(()),
        Then::Keep => fs::write(kept, text).context(KEPT),
        Then::Check => check(&read(&fs::read_to_string(kept).context(KEPT)?)?, &figures),
    }
}

/// Builds the bench; where it is.
fn built() -> Result<PathBuf> {
    let mut build = cargo(&["bench", "-p", "pavane-coordinator", "--bench", "core", "--no-run"]);
    let named = build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = named.output().with_context(|| shown(named))?;
    ensure!(output.status.success(), "the bench can not be built");
    // One message a line; the bench's own is the last that names an executable.
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut named = messages.lines().filter_map(|line| {
        let path = line.split_once("\"executable\":\"")?.1.split_once('"')?.0;
        path.contains("core-").then(|| PathBuf::from(path))
    });
    named.next_back().context("cargo names no executable of the bench")
}

fn figure(bench: &Path, part: &str, shape: &str, tasks: u64) -> Result<Figure> {
    let folder = target().join("count");
    fs::create_dir_all(&folder)?;
    let profile = folder.join(format!("{shape}-{tasks}-{part}.callgrind"));
    let workflows = (EVENTS / (2 * tasks + 2)).max(1);
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=core::counted*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(bench)
        .args([part, shape, &tasks.to_string(), &workflows.to_string()]);
    let output = valgrind.stderr(Stdio::inherit()).output().with_context(|| shown(&valgrind))?;
    ensure!(output.status.success(), "`{}` failed: {}", shown(&valgrind), output.status);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (events, allocations) =
        printed.trim().split_once(' ').context("the bench prints two numbers")?;
    let (events, allocations) = (events.parse::<u64>()?, allocations.parse::<u64>()?);
    let instructions = totals(&fs::read_to_string(&profile)?)?;
    ensure!(instructions > 0 && events > 0, "nothing was counted in {}", profile.display());
    Ok(Figure { instructions: instructions / events, allocations: allocations * 10 / events })
}

/// The instructions of a profile.
fn totals(profile: &str) -> Result<u64> {
    let all = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    all.context("a profile without totals")?.trim().parse().context("totals")
}

fn written(figures: &BTreeMap<String, Figure>) -> String {
    let mut text = "what\tinstructions\tallocations\n".to_owned();
    for (what, Figure { instructions, allocations }) in figures {
        let (whole, tenth) = (allocations / 10, allocations % 10);
        // A `String` takes whatever is written.
        let _ = writeln!(text, "{what}\t{instructions}\t{whole}.{tenth}");
    }
    text
}

fn read(text: &str) -> Result<BTreeMap<String, Figure>> {
    let line = |line: &str| {
        let mut cells = line.split('\t');
        let (what, instructions) = (cells.next()?, cells.next()?.parse().ok()?);
        let (whole, tenth) = cells.next()?.split_once('.')?;
        let allocations = whole.parse::<u64>().ok()? * 10 + tenth.parse::<u64>().ok()?;
        Some((what.to_owned(), Figure { instructions, allocations }))
    };
    let figures = text.lines().skip(1).map(|text| line(text).with_context(|| format!("`{text}`")));
    figures.collect()
}

/// That no figure has grown, and that each is kept.
fn check(kept: &BTreeMap<String, Figure>, now: &BTreeMap<String, Figure>) -> Result<()> {
    let mut grown = Vec::new();
    for (what, now) in now {
        let Some(kept) = kept.get(what) else {
            grown.push(format!("{what} is not kept"));
            continue;
        };
        let most = |kept: u64| kept + (kept * TOLERATED).div_ceil(100);
        if now.instructions > most(kept.instructions) || now.allocations > most(kept.allocations) {
            grown.push(format!("{what}: {now:?}, where {kept:?} is kept"));
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    bail!("more than {TOLERATED} % above what {KEPT} keeps:\n{}", grown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_totals() {
        assert_eq!(totals("events: Ir\nfn=(1) core::counted\n5 47\ntotals: 47\n").unwrap(), 47);
        assert!(totals("events: Ir\n").is_err());
    }

    #[test]
    fn what_has_grown_or_is_not_kept_is_found() {
        let of = |instructions, allocations| {
            BTreeMap::from([("a".to_owned(), Figure { instructions, allocations })])
        };
        assert_eq!(read(&written(&of(1000, 25))).unwrap(), of(1000, 25));
        assert!(check(&of(1000, 25), &of(1050, 25)).is_ok());
        assert!(check(&of(1000, 25), &of(1051, 25)).is_err());
        assert!(check(&of(1000, 25), &of(1000, 28)).is_err());
        assert!(check(&BTreeMap::new(), &of(1, 1)).is_err());
    }
}
