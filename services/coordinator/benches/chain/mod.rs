//! Sagas of many tasks, and all inputs of a run of one.

#![allow(clippy::expect_used, reason = "the benches run what stands in them, and nothing else")]

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{CommandKind, Json, Run, SagaName, Subject, TaskId, Timestamp, Version, WorkflowId};
use saga::{Answer, Definition, Held, Input, Start, State, definition_key};

/// The states of a lane, with one saga deployed.
pub(crate) struct Lane {
    pub(crate) states: BTreeMap<String, State>,
    name: SagaName,
    version: Version,
    tasks: u64,
}

impl Held for Lane {
    fn state(&self, key: &str) -> Option<&State> {
        self.states.get(key)
    }
}

impl Lane {
    /// `chain`: one task behind the other. `fan`: all at once.
    pub(crate) fn with(shape: &str, tasks: u64) -> Self {
        let plan = saga::check(&file(shape, tasks)).plan.expect("the saga is sound");
        let (name, version) = (plan.name.clone(), plan.version.clone());
        let key = definition_key(&name, &version).to_string();
        let definition = State::Definition(Definition::of(Arc::new(plan)));
        Self { states: BTreeMap::from([(key, definition)]), name, version, tasks }
    }

    /// The run of that number: its workflow, and its inputs from the start to the last answer, all at that time.
    pub(crate) fn run(&self, number: i64) -> (WorkflowId, Timestamp, Vec<Input>) {
        let workflow = WorkflowId::of(&self.name, &format!("o-{number}"));
        let start = Start {
            workflow: workflow.clone(),
            saga: self.name.clone(),
            version: Some(self.version.clone()),
            inputs: Json::parse(br#"{"order":"o-1"}"#).expect("JSON"),
            start_id: "s".to_owned(),
            offset: number,
            trace: None,
            parent: None,
        };
        let output =
            br#"{"done":true,"reference":"r-17","amount":129.5,"lines":["a-1","b-22","c-3"]}"#;
        let output = Json::parse(output).expect("JSON");
        let answers = (1..=self.tasks).map(|task| {
            let (task, run) = (TaskId::from(format!("t{task}")), Run(number));
            let subject =
                Subject { workflow: workflow.clone(), task, run, kind: CommandKind::Do, n: 1 };
            Input::Answer { subject, answer: Answer::Completed(output.clone()) }
        });
        let inputs = std::iter::once(Input::Start(start)).chain(answers).collect();
        (workflow, Timestamp::from_millis(1_700_000_000_000 + number), inputs)
    }
}

fn file(shape: &str, tasks: u64) -> String {
    let mut text = "version: \"2.0\"\nname: counted\nmax_parallel: 1000\ninputs: [{name: order, type: string}]\ntasks:\n"
        .to_owned();
    for task in 1..=tasks {
        let after = match shape {
            "chain" if task > 1 => format!(", depends_on: [t{}]", task - 1),
            _ => String::new(),
        };
        text.push_str(&format!(
            "  - {{id: t{task}, agent: a, inputs: [order], compensate: undo{after}}}\n"
        ));
    }
    text
}
