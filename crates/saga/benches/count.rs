//! Chains of tasks through the pure core, so many of them, for a tool that counts instructions. It prints how many
//! events they were: of two runs the difference of instructions, by the difference of events, is what an event costs.
//!
//! `cargo bench -p pavane-saga --bench count --no-run`, and then, with the path that it prints,
//! `valgrind --tool=callgrind PATH WORKFLOWS TASKS`.

#![allow(clippy::expect_used, reason = "it runs what stands in it, and nothing else")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use events::{CommandKind, Json, Run, SagaName, Subject, Timestamp, WorkflowId};
use saga::{
    Answer, Cause, Decision, Definition, Held, Input, Start, State, decide, definition_key, evolve,
    react,
};

#[derive(Default)]
struct Lane(BTreeMap<String, State>);

impl Held for Lane {
    fn state(&self, key: &str) -> Option<&State> {
        self.0.get(key)
    }
}

impl Lane {
    /// Decides, folds, formats; how many events that were.
    fn feed(&mut self, key: &str, input: &Input, now: Timestamp) -> u64 {
        let Decision::Accepted(events) = decide(self, Cause::Input(input), now) else {
            panic!("{input:?} is not accepted")
        };
        let mut slot = self.0.remove(key);
        for event in &events {
            evolve(&mut slot, event);
            black_box(react(event));
        }
        if let Some(state) = slot {
            self.0.insert(key.to_owned(), state);
        }
        events.len() as u64
    }
}

fn saga(tasks: u64) -> String {
    let mut text =
        "version: \"2.0\"\nname: chain\ninputs: [{name: order, type: string}]\ntasks:\n".to_owned();
    for task in 1..=tasks {
        let after =
            if task == 1 { String::new() } else { format!(", depends_on: [t{}]", task - 1) };
        text.push_str(&format!(
            "  - {{id: t{task}, agent: a, inputs: [order], compensate: undo{after}}}\n"
        ));
    }
    text
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let (workflows, tasks) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(3));
    let plan = saga::check(&saga(tasks)).plan.expect("the saga is sound");
    let (name, version) = (plan.name.clone(), plan.version.clone());
    let mut lane = Lane::default();
    let key = definition_key(&name, &version).to_string();
    lane.0.insert(key, State::Definition(Definition::of(Arc::new(plan))));
    let output = Json::parse(br#"{"done":true,"reference":"r-17"}"#).expect("JSON");
    let inputs = Json::parse(br#"{"order":"o-1"}"#).expect("JSON");
    let mut events = 0;
    for number in 0..workflows {
        let workflow = WorkflowId::of(&SagaName::from("chain"), &number.to_string());
        let now = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap_or(0));
        let offset = i64::try_from(number).unwrap_or(0);
        let start = Start {
            workflow: workflow.clone(),
            saga: name.clone(),
            version: Some(version.clone()),
            inputs: inputs.clone(),
            start_id: "s".to_owned(),
            offset,
            trace: None,
            parent: None,
        };
        events += lane.feed(workflow.as_str(), &Input::Start(start), now);
        for task in 1..=tasks {
            let subject = Subject {
                workflow: workflow.clone(),
                task: format!("t{task}").into(),
                run: Run(offset),
                kind: CommandKind::Do,
                n: 1,
            };
            let answer = Answer::Completed(output.clone());
            events += lane.feed(workflow.as_str(), &Input::Answer { subject, answer }, now);
        }
        lane.0.remove(workflow.as_str());
    }
    #[allow(clippy::print_stdout, reason = "what it is for")]
    {
        println!("{events}");
    }
}
