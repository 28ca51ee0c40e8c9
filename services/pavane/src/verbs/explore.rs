//! `pavane check --explore`: what may happen to workflows of saga files.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use saga::{Bounds, Counterexample, Explored, Gravity};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::SagaFile;

/// What was found, over all files.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    /// For `--json`.
    pub(super) values: Vec<Value>,
}

/// Tries each file among the others, and tells the stories of what goes wrong.
pub(super) fn explore(
    files: &[SagaFile<'_>],
    states: u32,
    output: Output,
) -> Result<Tried, Failure> {
    // What has errors in its imports has none of its own meaning; its check has told of them.
    let texts: Vec<Option<String>> =
        files.iter().map(|file| saga::bundle(&file.text, &file.load()).ok()).collect();
    let bounds = Bounds { states: usize::try_from(states).unwrap_or(usize::MAX) };
    let mut tried = Tried::default();
    for (number, (file, text)) in files.iter().zip(&texts).enumerate() {
        let others = texts.iter().enumerate().filter(|(other, _)| *other != number);
        let others: Vec<&str> = others.filter_map(|(_, text)| text.as_deref()).collect();
        let explored = match text {
            Some(text) => quietly(|| saga::explore(text, &others, bounds))?,
            None => None,
        };
        tell(&file.shown, explored.as_ref(), &mut tried, output)?;
    }
    Ok(tried)
}

/// A panic of the core is a finding, told with its run and not by the way.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    let loud = take_hook();
    set_hook(Box::new(|_| {}));
    let done = catch_unwind(AssertUnwindSafe(run));
    set_hook(loud);
    done.map_err(|panic| {
        let why = panic.downcast_ref::<String>().map_or("it panics", String::as_str);
        Failure::failed(format!("exploring has failed: {why}; please report it with the file"))
    })
}

fn tell(
    shown: &str,
    explored: Option<&Explored>,
    tried: &mut Tried,
    output: Output,
) -> Result<(), Failure> {
    let Some(explored) = explored else {
        if output.is_json() {
            tried.values.push(json!({"file": shown, "explored": false}));
            return Ok(());
        }
        return output.line(format!("{shown}: not explored, because of its errors"));
    };
    let of = |gravity| explored.findings.iter().filter(|found| found.gravity == gravity).count();
    tried.errors += of(Gravity::Error);
    tried.warnings += of(Gravity::Warning);
    if output.is_json() {
        tried.values.push(as_json(shown, explored));
        return Ok(());
    }
    for found in &explored.findings {
        output.line(found.to_string())?;
    }
    output.line(format!("{shown}: {}", seen(explored)))
}

/// How much was seen, plainly.
fn seen(explored: &Explored) -> String {
    let (states, depth) = (grouped(explored.states), explored.depth);
    if explored.complete {
        return format!("explored {states} states to depth {depth}: all of them");
    }
    let runs = match explored.troubles {
        None => "not even every run in which nothing goes wrong".to_owned(),
        Some(0) => "every run in which nothing goes wrong, and some others".to_owned(),
        Some(1) => "every run with at most 1 trouble, and some others".to_owned(),
        Some(troubles) => format!("every run with at most {troubles} troubles, and some others"),
    };
    let unreached = match explored.unreached.as_slice() {
        [] => String::new(),
        tasks => format!("; never seen to start: {}", tasks.join(", ")),
    };
    format!(
        "stopped at {states} states, at depth {depth}: seen is {runs}{unreached}; --explore=N looks \
         further"
    )
}

/// 12,345
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn as_json(shown: &str, explored: &Explored) -> Value {
    json!({
        "file": shown,
        "explored": true,
        "saga": explored.saga,
        "states": explored.states,
        "depth": explored.depth,
        "complete": explored.complete,
        "troubles": explored.troubles,
        "unreached": explored.unreached,
        "findings": explored.findings.iter().map(found_as_json).collect::<Vec<_>>(),
    })
}

fn found_as_json(found: &Counterexample) -> Value {
    let gravity = match found.gravity {
        Gravity::Error => "error",
        Gravity::Warning => "warning",
    };
    let steps = found.steps.iter().map(|step| json!({"what": step.what, "events": step.events}));
    json!({
        "code": found.code,
        "severity": gravity,
        "task": found.task,
        "message": found.message,
        "steps": steps.collect::<Vec<_>>(),
    })
}
