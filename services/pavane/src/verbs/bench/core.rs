//! `pavane bench core`: the pure core alone, on one thread: decided, folded and formatted, and sent nowhere.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{CommandKind, Json, Run, Subject, TaskId, Timestamp, WorkflowId};
use saga::{
    Answer, Cause, Decision, Definition, Held, Input, State, decide, definition_key, evolve, react,
};
use serde_json::json;

use crate::bench::{rounded, saga_file};
use crate::cli::BenchCore;
use crate::failure::Failure;
use crate::output::{Output, table};

/// `bench core`
pub(crate) fn core(given: &BenchCore, output: Output) -> Result<(), Failure> {
    let mut lane = Lane::with(given.steps)?;
    // The first ones pay for what is made once.
    lane.runs(given.count.div_ceil(10))?;
    let begun = Instant::now();
    let (events, records) = lane.runs(given.count)?;
    let took = begun.elapsed();
    let each = took.checked_div(events).unwrap_or_default();
    let per_second = f64::from(events) / took.as_secs_f64().max(f64::MIN_POSITIVE);
    let value = json!({
        "count": given.count,
        "events": events,
        "records": records,
        "seconds": rounded(took.as_secs_f64()),
        "events_per_second": rounded(per_second),
        "nanoseconds_each": nanoseconds(each),
    });
    output.either(&value, || {
        table(
            ["WORKFLOWS", "TASKS EACH", "EVENTS", "RECORDS", "EVENTS PER SECOND", "NS EACH"],
            [[
                given.count.to_string(),
                given.steps.to_string(),
                events.to_string(),
                records.to_string(),
                format!("{per_second:.0}"),
                nanoseconds(each).to_string(),
            ]],
        )
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The states of a lane, with the saga of the bench deployed.
struct Lane {
    states: BTreeMap<String, State>,
    definition: Arc<saga::Plan>,
    next: i64,
}

impl Held for Lane {
    fn state(&self, key: &str) -> Option<&State> {
        self.states.get(key)
    }
}

impl Lane {
    fn with(steps: u8) -> Result<Self, Failure> {
        let plan = saga::check(&saga_file(steps)).plan.map(Arc::new);
        let definition =
            plan.ok_or_else(|| Failure::failed("the bench's own saga is not sound"))?;
        let key = definition_key(&definition.name, &definition.version).to_string();
        let state = State::Definition(Definition::of(Arc::clone(&definition)));
        Ok(Self { states: BTreeMap::from([(key, state)]), definition, next: 0 })
    }

    /// Runs so many workflows, one behind the other; how many events and records that were.
    fn runs(&mut self, count: u32) -> Result<(u32, u32), Failure> {
        let (mut events, mut records) = (0_u32, 0_u32);
        for _ in 0..count {
            self.next += 1;
            let workflow = WorkflowId::of(&self.definition.name, &format!("o-{}", self.next));
            let mut input = Some(self.start(&workflow));
            let mut task = 0;
            while let Some(one) = input.take() {
                let decided = self.feed(&workflow, &one)?;
                events = events.saturating_add(decided.0);
                records = records.saturating_add(decided.1);
                task += 1;
                input = (task <= self.definition.tasks.len()).then(|| self.answer(&workflow, task));
            }
            self.states.remove(workflow.as_str());
        }
        Ok((events, records))
    }

    fn start(&self, workflow: &WorkflowId) -> Input {
        Input::Start(saga::Start {
            workflow: workflow.clone(),
            saga: self.definition.name.clone(),
            version: Some(self.definition.version.clone()),
            inputs: Json::null(),
            start_id: "s".to_owned(),
            offset: self.next,
            trace: None,
            parent: None,
        })
    }

    fn answer(&self, workflow: &WorkflowId, task: usize) -> Input {
        let (task, run) = (TaskId::from(format!("step_{task}")), Run(self.next));
        let subject =
            Subject { workflow: workflow.clone(), task, run, kind: CommandKind::Do, n: 1 };
        Input::Answer { subject, answer: Answer::Completed(Json::null()) }
    }

    fn feed(&mut self, workflow: &WorkflowId, input: &Input) -> Result<(u32, u32), Failure> {
        let now = Timestamp::from_millis(1_700_000_000_000_i64.saturating_add(self.next));
        let Decision::Accepted(events) = decide(self, Cause::Input(input), now) else {
            return Err(Failure::failed(format!("{input:?} is not accepted")));
        };
        let mut state = self.states.remove(workflow.as_str());
        events.iter().for_each(|event| evolve(&mut state, event));
        let records = events.iter().map(|event| black_box(react(event)).len()).sum::<usize>();
        self.states.extend(state.map(|state| (workflow.to_string(), state)));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok((count(events.len()), count(records)))
    }
}
