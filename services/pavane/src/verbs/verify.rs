//! `pavane verify`: judges a system by what stands on its topics and in its participants' books.

mod reading;

use std::path::Path;

use serde_json::{Value, json};
use stream::{Broker, Clock, SystemClock};
use verify::{Counts, Effect, Invariant, Judge, Options, Report, Violation};

use crate::cli::Verify;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::settings::{connect, lost, open};
use crate::verbs::read_text;

/// Reads, judges, tells.
pub(crate) fn run(given: &Verify, config: &Config, output: Output) -> Result<(), Failure> {
    let judged = match &given.data {
        Some(folder) => judge(&open(existing(folder)?, config)?, given)?,
        None => judge(&connect(config)?, given)?,
    };
    output.either(&value(&judged), || text(&judged))?;
    match judged.report.violations_total {
        0 => Ok(()),
        1 => Err(Failure::failed("a promise is broken").next("docs/reference/verify.md")),
        count => Err(Failure::failed(format!("promises are broken, {count} times"))
            .next("docs/reference/verify.md")),
    }
}

/// Opening would make the folder where there is none.
fn existing(folder: &Path) -> Result<&Path, Failure> {
    match folder.is_dir() {
        true => Ok(folder),
        false => {
            let message = format!("there is no folder {}", folder.display());
            Err(Failure::not_found(message).next("--data with the folder of `pavane up`"))
        }
    }
}

/// What was found, and by what.
struct Judged {
    report: Report,
    /// Topics that are not kept from their beginning on.
    cut: Vec<events::Topic>,
}

fn judge<B: Broker>(broker: &B, given: &Verify) -> Result<Judged, Failure> {
    let names =
        broker.inventory().map_err(|error| lost("the topics can not be listed", &error))?.topics;
    let inbox = broker.topics().inbox();
    if !names.contains(&inbox) {
        let message = format!("there is no topic {inbox}: nothing to judge");
        return Err(Failure::not_found(message).next("pavane config, for kafka.prefix"));
    }
    let prefix = inbox.as_str().strip_suffix("inbox").unwrap_or_default();
    let mut judge = Judge::new(Options {
        prefix: prefix.to_owned(),
        quiet_ms: Some(given.quiet_for),
        now: Some(SystemClock.now().as_millis()),
        ended_max: given.hold as usize,
        ..Options::default()
    });
    for file in &given.books {
        let lines = read_text(file)?;
        for (line, number) in lines.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            let effect = Effect::parse(line)
                .map_err(|error| Failure::usage(format!("{}:{number}: {error}", file.display())))?;
            judge.book(&effect);
        }
    }
    let cut = reading::read(broker, names, &mut judge)
        .map_err(|error| lost("the topics can not be read", &error))?;
    Ok(Judged { report: judge.finish(), cut })
}

fn rows(counts: &Counts) -> Vec<(&'static str, u64)> {
    let Counts {
        records,
        events,
        repeats,
        starts,
        answers,
        commands,
        dead_letters,
        definitions,
        definitions_unread,
        effects,
        runs,
        ended,
        dropped,
        unjudged,
        passed_over,
    } = *counts;
    vec![
        ("records", records),
        ("events", events),
        ("runs", runs),
        ("ended", ended),
        ("starts", starts),
        ("commands", commands),
        ("answers", answers),
        ("dead_letters", dead_letters),
        ("effects", effects),
        ("repeats", repeats),
        ("definitions", definitions),
        ("definitions_unread", definitions_unread),
        ("dropped", dropped),
        ("unjudged", unjudged),
        ("passed_over", passed_over),
    ]
}

fn value(judged: &Judged) -> Value {
    let Judged { report, cut } = judged;
    let cut: Vec<&str> = cut.iter().map(events::Topic::as_str).collect();
    let counts: serde_json::Map<String, Value> =
        rows(&report.counts).into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect();
    let violations: Vec<Value> = report.violations.iter().map(violation).collect();
    json!({
        "ok": report.violations_total == 0,
        "invariants": Invariant::ALL.len(),
        "counts": counts,
        "cut": cut,
        "violations_total": report.violations_total,
        "violations": violations,
    })
}

fn violation(found: &Violation) -> Value {
    let Violation { invariant, workflow, run, message, timeline } = found;
    let moments = timeline.iter().map(|moment| {
        json!({
            "time": events::Timestamp::from_millis(moment.time).to_string(),
            "topic": &*moment.topic,
            "partition": moment.partition,
            "offset": moment.offset,
            "sequence": (moment.sequence > 0).then_some(moment.sequence),
            "what": moment.what,
            "task": moment.task.as_deref(),
            "n": (moment.n > 0).then_some(moment.n),
        })
    });
    json!({
        "invariant": invariant.id(),
        "says": invariant.says(),
        "workflow": workflow.as_deref(),
        "run": run,
        "message": message,
        "timeline": moments.collect::<Vec<Value>>(),
    })
}

fn text(judged: &Judged) -> String {
    let Judged { report, cut } = judged;
    let counted = rows(&report.counts).into_iter();
    let counted = counted.map(|(name, n)| [name.replace('_', " "), n.to_string()]);
    let mut out = table(["JUDGED", ""], counted);
    for found in &report.violations {
        let Violation { invariant, workflow, run, message, timeline } = found;
        let of = workflow.as_deref().zip(*run).map(|(id, run)| format!("{id}, run {run}: "));
        let of = of.unwrap_or_default();
        out.push_str(&format!("\n\n{invariant}: {of}{message}\n  must hold: {}", invariant.says()));
        for moment in timeline {
            out.push_str(&format!("\n    {moment}"));
        }
    }
    let (shown, total) = (report.violations.len() as u64, report.violations_total);
    if total > shown {
        out.push_str(&format!("\n\nand {} more", total - shown));
    }
    out.push('\n');
    if report.counts.runs == 0 {
        out.push_str("\nno run was judged");
    }
    if report.counts.effects == 0 {
        out.push_str("\nno books were given: what participants did was not judged");
    }
    for topic in cut {
        let said = "is not kept from its beginning on: what is missing there was not judged";
        out.push_str(&format!("\n{topic} {said}"));
    }
    if total == 0 {
        let count = Invariant::ALL.len();
        out.push_str(&format!("\nnothing that was judged breaks one of {count} invariants"));
    }
    out
}
