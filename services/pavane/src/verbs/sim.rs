//! `pavane sim`: runs saga files in the simulator, and shows what breaks a promise there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sim::{Case, Outcome, Play, Shown};

use crate::cli::Sim;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::verbs::{SagaFile, check, json_argument};

/// Runs seeds until one breaks something, or all have been run.
pub(crate) fn run(given: &Sim, output: Output) -> Result<(), Failure> {
    let files = SagaFile::read(&given.files)?;
    check::sound(&files, output)?;
    let play = Arc::new(play(given, &files)?);
    let mut seen = Seen::default();
    let case = |seed| Case { seed, play: Some(Arc::clone(&play)), ..Case::default() };
    let (from, count) = given.range();
    for seed in (from..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let outcome = sim::run(&Case { tells: given.story, ..case(seed) });
        seen.take(&outcome);
        if !outcome.broken.is_empty() {
            seen.failed = Some(Failed::of(&case(seed), given));
            break;
        }
    }
    output.either(&seen.value(&play, given), || seen.text(&play, given))?;
    match seen.failed {
        None => Ok(()),
        Some(Failed { seed, replay, .. }) => {
            Err(Failure::failed(format!("seed {seed} breaks a promise")).next(replay))
        }
    }
}

/// The files as the simulator takes them.
fn play(given: &Sim, files: &[SagaFile<'_>]) -> Result<Play, Failure> {
    let bundle = |file: &SagaFile<'_>| {
        saga::bundle(&file.text, &file.load())
            .map_err(|_| Failure::failed(format!("{} changed while it was read", file.shown)))
    };
    let texts: Vec<String> = files.iter().map(bundle).collect::<Result<_, _>>()?;
    let Value::Object(inputs) = json_argument("--inputs", &given.inputs)? else {
        return Err(Failure::usage("--inputs is no JSON object of inputs by name"));
    };
    let play = Play::of(&texts, inputs).map_err(|refused| {
        let shown = files.get(refused.file()).map_or("", |file| file.shown.as_str());
        Failure::usage(format!("{shown} can not be simulated: {refused}"))
            .next("pavane sim --help says what is simulated")
    })?;
    Ok(if given.forgetful { play.forgetful() } else { play })
}

/// What was seen of all seeds.
#[derive(Default)]
struct Seen {
    seeds: u64,
    statuses: BTreeMap<&'static str, u64>,
    struck: BTreeMap<&'static str, u64>,
    counts: BTreeMap<&'static str, u64>,
    virtual_ms: i64,
    /// Of everything that was stored in any seed, and when.
    trace: u64,
    story: Vec<String>,
    failed: Option<Failed>,
}

/// A seed that breaks something, made simpler.
struct Failed {
    seed: u64,
    broken: Vec<String>,
    shown: Option<Shown>,
    faults: Vec<String>,
    replay: String,
}

impl Failed {
    fn of(case: &Case, given: &Sim) -> Self {
        let (smaller, _) = sim::shrink(case);
        let Outcome { broken, shown, faults, roles, .. } =
            sim::run(&Case { tells: true, ..smaller.clone() });
        let left = smaller.only.iter().flatten().filter_map(|at| faults.get(*at));
        let faults = left.map(|fault| fault.told(&roles)).collect();
        Self { seed: case.seed, broken, shown, faults, replay: replay(case.seed, given) }
    }

    fn value(&self) -> Value {
        let Self { seed, broken, shown, faults, replay } = self;
        json!({
            "seed": seed,
            "broken": broken,
            "what": shown.as_ref().map(|shown| &shown.what),
            "must_hold": shown.as_ref().and_then(|shown| shown.must_hold),
            "faults": faults,
            "timeline": shown.as_ref().map(|shown| &shown.timeline),
            "replay": replay,
        })
    }

    fn text(&self) -> String {
        let Self { seed, broken, shown, faults, .. } = self;
        let mut out = format!("\n\nseed {seed} breaks a promise\n");
        if let Some(Shown { what, must_hold, timeline }) = shown {
            out.push_str(what);
            must_hold.iter().for_each(|says| out.push_str(&format!("\n  must hold: {says}")));
            timeline.iter().for_each(|line| out.push_str(&format!("\n  {line}")));
        }
        match faults.as_slice() {
            [] => out.push_str("\nwithout any fault of pavane's surroundings"),
            faults => {
                out.push_str("\nwith these faults, none of which can be left out:");
                faults.iter().for_each(|fault| out.push_str(&format!("\n  {fault}")));
            }
        }
        if broken.len() > 1 {
            out.push_str(&format!("\nand {} more, in --json", broken.len() - 1));
        }
        out
    }
}

impl Seen {
    fn take(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        let add = |to: &mut BTreeMap<&'static str, u64>, name, n| *to.entry(name).or_default() += n;
        for (status, n) in &outcome.statuses {
            add(&mut self.statuses, *status, *n);
        }
        for (what, n) in &outcome.struck {
            add(&mut self.struck, *what, *n);
        }
        let counts = outcome.counts;
        let numbers = [
            ("processes", counts.processes),
            ("decisions", counts.decisions),
            ("records", counts.records),
        ];
        for (what, n) in numbers {
            add(&mut self.counts, what, u64::try_from(n).unwrap_or(u64::MAX));
        }
        self.virtual_ms += counts.virtual_ms;
        // FNV-1a, a word at a time.
        self.trace = (self.trace ^ outcome.hash).wrapping_mul(0x0000_0100_0000_01b3);
        self.story.extend(outcome.story.iter().cloned());
    }

    fn value(&self, play: &Play, given: &Sim) -> Value {
        let (from, count) = given.range();
        let mut value = json!({
            "ok": self.failed.is_none(),
            "saga": play.name(),
            "started_by": play.starts_by(),
            "seeds": {"from": from, "count": count, "run": self.seeds},
            "workflows": self.statuses,
            "struck": self.struck,
            "counts": self.counts,
            "virtual_ms": self.virtual_ms,
            "trace": format!("{:016x}", self.trace),
            "failed": self.failed.as_ref().map(Failed::value),
        });
        if let (Some(value), true) = (value.as_object_mut(), given.story) {
            value.insert("story".to_owned(), json!(self.story));
        }
        value
    }

    fn text(&self, play: &Play, given: &Sim) -> String {
        let mut out = String::new();
        for line in &self.story {
            out.push_str(line);
            out.push('\n');
        }
        let (from, _) = given.range();
        let last = from.saturating_add(self.seeds).saturating_sub(1);
        let of = if self.seeds == 1 {
            format!("seed {from}")
        } else {
            format!("seeds {from} to {last}")
        };
        out.push_str(&format!(
            "{}, {of}; started by {}\n\n",
            play.name(),
            play.starts_by().join(", ")
        ));
        let workflows: u64 = self.statuses.values().sum();
        out.push_str(&rows(["WORKFLOWS".to_owned(), workflows.to_string()], &self.statuses));
        out.push_str("\n\n");
        let struck: u64 = self.struck.values().sum();
        out.push_str(&rows(["WENT WRONG".to_owned(), struck.to_string()], &self.struck));
        out.push_str("\n\n");
        let time = ["VIRTUAL TIME".to_owned(), span(self.virtual_ms)];
        out.push_str(&rows(time, &self.counts));
        match &self.failed {
            Some(failed) => out.push_str(&failed.text()),
            None => out.push_str(&format!("\n\nno promise is broken (trace {:016x})", self.trace)),
        }
        out
    }
}

fn rows(head: [String; 2], counts: &BTreeMap<&'static str, u64>) -> String {
    let [what, total] = &head;
    let counts = counts.iter().map(|(name, n)| [(*name).to_owned(), n.to_string()]);
    table([what.as_str(), total.as_str()], counts)
}

/// `3 h 12 min`
fn span(millis: i64) -> String {
    let minutes = millis / 60_000;
    match (minutes / 60 / 24, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// What is to be typed to see it again.
fn replay(seed: u64, given: &Sim) -> String {
    let mut words = vec!["pavane sim".to_owned()];
    words.extend(given.files.iter().map(|file| quoted(&file.display().to_string())));
    if given.inputs != "{}" {
        words.push(format!("--inputs {}", quoted(&given.inputs)));
    }
    if given.forgetful {
        words.push("--forgetful".to_owned());
    }
    words.push(format!("--seed {seed}"));
    words.join(" ")
}

/// A word of a shell's.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-@".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
