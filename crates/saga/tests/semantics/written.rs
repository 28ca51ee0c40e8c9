//! A drawn saga as a saga file, and the inputs that every one of them is started with.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::tree::{
    Action, AtLeast, InDoubt, Inputs, Join, Kind, On, Saga, Strategy, Talk, Task, Tree, When,
};

const HEAD: &str = r#"version: "2.0"
name: drawn
key: ${inputs.k}
inputs:
  - {name: k, type: string}
  - {name: yes_, type: boolean}
  - {name: no_, type: boolean}
  - {name: n, type: integer}
  - {name: l0, type: list<integer>}
  - {name: l1, type: list<integer>}
  - {name: l2, type: list<integer>}
  - {name: l3, type: list<integer>}
  - {name: l4, type: list<integer>}
defaults: {timeout: 10s}
"#;

/// What an undo is given that says so itself.
const DECLARED: &str =
    r#"inputs: {was: "${original.status}", gave: "${original.output}", n: "${inputs.n}"}"#;

/// What every drawn saga is started with.
pub(crate) fn given() -> Value {
    json!({
        "k": "k", "yes_": true, "no_": false, "n": 7,
        "l0": [], "l1": [10], "l2": [10, 11], "l3": [10, 11, 12], "l4": [10, 11, 12, 13],
    })
}

/// The elements of a `for_each`.
pub(crate) fn element(k: usize) -> Value {
    json!(10 + k)
}

fn flag(value: bool) -> &'static str {
    if value { "\"${inputs.yes_}\"" } else { "\"${inputs.no_}\"" }
}

/// Tasks whose output is surely there when the saga is completed.
pub(crate) fn outputs(tree: &Tree<'_>) -> Vec<usize> {
    let sure = |node: usize| {
        let known = &tree.nodes[node];
        let is_loser =
            tree.nodes.iter().any(|other| other.deps.contains(&node) && other.join.cancels());
        let is_calm = known.task.when.is_none() && !known.task.optional && known.join == Join::All;
        known.is_agent() && is_calm && !is_loser && known.task.for_each.is_none()
    };
    let mut found: Vec<usize> = Vec::new();
    for node in &tree.top {
        if sure(*node) && tree.nodes[*node].deps.iter().all(|dep| found.contains(dep)) {
            found.push(*node);
        }
    }
    found
}

impl Saga {
    pub(crate) fn yaml(&self) -> String {
        let mut out = HEAD.to_owned();
        if let Some(seconds) = self.timeout {
            writeln!(out, "timeout: {seconds}s").unwrap();
        }
        if self.max_parallel != 100 {
            writeln!(out, "max_parallel: {}", self.max_parallel).unwrap();
        }
        let order = if self.strict { "order: strict, " } else { "" };
        let blocked = if self.go_on { "on_blocked: go_on, " } else { "" };
        let retry = "retry: {max_attempts: 2, backoff: 1s, jitter: 0}, timeout: 10s, grace: 5s";
        writeln!(out, "compensation: {{{order}{blocked}{retry}}}").unwrap();
        let word = word(self.strategy);
        if !self.closing.is_empty() {
            writeln!(out, "on_failure:\n  strategy: {word}\n  then:").unwrap();
            list(&mut out, &self.closing, 4);
        } else if self.strategy != Strategy::Compensate {
            writeln!(out, "on_failure: {word}").unwrap();
        }
        writeln!(out, "tasks:").unwrap();
        list(&mut out, &self.tasks, 2);
        let tree = Tree::of(self);
        let outputs = outputs(&tree);
        if !outputs.is_empty() {
            writeln!(out, "outputs:").unwrap();
        }
        for node in outputs {
            let id = &tree.nodes[node].task.id;
            writeln!(out, "  - {{name: {id}, from: {id}.output}}").unwrap();
        }
        out
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{}", self.yaml())?;
        let tree = Tree::of(self);
        for node in tree.nodes.iter().filter(|node| node.is_agent()) {
            let (acts, undos) = (&node.task.acts, &node.task.undos);
            if !acts.is_empty() || !undos.is_empty() {
                writeln!(out, "# {}: {acts:?}, undone {undos:?}", node.id)?;
            }
        }
        Ok(())
    }
}

fn word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Compensate => "compensate",
        Strategy::Continue => "continue",
        Strategy::FailFast => "fail_fast",
        Strategy::Pause => "pause",
    }
}

fn list(out: &mut String, tasks: &[Task], indent: usize) {
    for task in tasks {
        let keys = keys(task, true);
        if matches!(task.action, Action::Agent | Action::Wait(_)) {
            writeln!(out, "{:indent$}- {{{}}}", "", keys.join(", ")).unwrap();
            continue;
        }
        for (k, key) in keys.iter().enumerate() {
            let mark = if k == 0 { "- " } else { "  " };
            writeln!(out, "{:indent$}{mark}{key}", "").unwrap();
        }
        match &task.action {
            Action::Agent | Action::Wait(_) => {}
            Action::Group(tasks) => {
                writeln!(out, "{:indent$}  tasks:", "").unwrap();
                list(out, tasks, indent + 4);
            }
            Action::Sequential(tasks) => {
                writeln!(out, "{:indent$}  sequential:", "").unwrap();
                list(out, tasks, indent + 4);
            }
            Action::Choice { many, cases } => {
                if *many {
                    writeln!(out, "{:indent$}  pick: many", "").unwrap();
                }
                writeln!(out, "{:indent$}  choice:", "").unwrap();
                for (k, case) in cases.iter().enumerate() {
                    let deep = indent + 4;
                    let on = match case.on {
                        Some(On::Event) => format!("event: tell.{}/C{k}", task.id),
                        Some(On::After(seconds)) => format!("after: {seconds}s"),
                        None => String::new(),
                    };
                    if !on.is_empty() {
                        writeln!(out, "{:deep$}- {on}", "").unwrap();
                        writeln!(out, "{:deep$}  then:", "").unwrap();
                        list(out, &case.tasks, deep + 4);
                        continue;
                    }
                    match case.when {
                        Some(value) => {
                            writeln!(out, "{:deep$}- when: {}", "", flag(value)).unwrap();
                            writeln!(out, "{:deep$}  then:", "").unwrap();
                        }
                        None => writeln!(out, "{:deep$}- else:", "").unwrap(),
                    }
                    list(out, &case.tasks, deep + 4);
                }
            }
        }
    }
}

fn keys(task: &Task, named: bool) -> Vec<String> {
    let mut keys = Vec::new();
    if named {
        keys.push(format!("id: {}", task.id));
    }
    match &task.action {
        Action::Agent => agent(task, &mut keys),
        Action::Wait(seconds) if seconds % 3 == 1 => {
            let until = format!("timestamp(saga.started_at) + duration('{seconds}s')");
            keys.push(format!("wait: {{until: \"${{{until}}}\"}}"));
        }
        Action::Wait(seconds) => keys.push(format!("wait: {seconds}s")),
        Action::Group(_) | Action::Sequential(_) | Action::Choice { .. } => {}
    }
    if !task.depends_on.is_empty() {
        let names = task.depends_on.join(", ");
        keys.push(match task.join {
            Join::All => format!("depends_on: [{names}]"),
            Join::Any => format!("depends_on: {{any: [{names}]}}"),
            Join::Discriminator => format!("depends_on: {{discriminator: [{names}]}}"),
            Join::NOf { n, cancel } => {
                let rest = if cancel { ", rest: cancel" } else { "" };
                format!("depends_on: {{n_of: {n}, tasks: [{names}]{rest}}}")
            }
        });
    }
    match &task.when {
        None => {}
        Some(When::Flag(value)) => keys.push(format!("when: {}", flag(*value))),
        Some(When::Output(id, n)) => keys.push(format!(
            "when: \"${{tasks.{id}.status == 'done' && tasks.{id}.output.n > {n}}}\""
        )),
    }
    if let Some(each) = task.for_each {
        let (count, concurrency) = (each.count, each.concurrency);
        let least = match each.at_least {
            AtLeast::All => String::new(),
            AtLeast::Count(n) => format!(", at_least: {n}"),
            AtLeast::Percent(share) => format!(", at_least: {share}%"),
        };
        keys.push(format!(
            "for_each: {{in: \"${{inputs.l{count}}}\", concurrency: {concurrency}{least}}}"
        ));
    }
    match &task.inputs {
        Inputs::Absent => {}
        Inputs::Nothing => keys.push("inputs: {}".to_owned()),
        Inputs::Map => keys.push("inputs: {c: 1, n: \"${inputs.n}\"}".to_owned()),
        Inputs::Names(names) => keys.push(format!("inputs: [{}]", names.join(", "))),
    }
    if let Some(seconds) = task.deadline {
        keys.push(format!("deadline: {seconds}s"));
    }
    if let Some(id) = &task.gives {
        keys.push(format!("outputs: [{{name: gave, from: {id}.output}}]"));
    }
    if task.alone {
        keys.push("parallel: false".to_owned());
    }
    if task.optional {
        keys.push("optional: true".to_owned());
    }
    if let Some(strategy) = task.strategy {
        keys.push(format!("on_failure: {}", word(strategy)));
    }
    if let Some(fallback) = &task.fallback {
        keys.push(format!("fallback: {{{}}}", self::keys(fallback, false).join(", ")));
    }
    keys
}

fn agent(task: &Task, keys: &mut Vec<String>) {
    let id = &task.id;
    let undo = match task.talk {
        Talk::Agent => {
            keys.push(format!("agent: {id}"));
            "undo".to_owned()
        }
        Talk::Request => {
            keys.push(format!("emit: ask.{id}/Asked"));
            keys.push(format!("await: {{event: tell.{id}/Done, failed: tell.{id}/Refused}}"));
            let heard = format!("{{event: tell.{id}/Undone, failed: tell.{id}/Stuck}}");
            format!("{{emit: ask.{id}/Undo, await: {heard}}}")
        }
        Talk::Emit => {
            keys.push(format!("emit: ask.{id}/Asked"));
            format!("{{emit: ask.{id}/Undo}}")
        }
        Talk::Await => {
            keys.push(format!("await: {{event: tell.{id}/Done, failed: tell.{id}/Refused}}"));
            format!("{{agent: {id}}}")
        }
        Talk::Signal => {
            keys.push(format!("await: signal/{id}"));
            format!("{{agent: {id}}}")
        }
    };
    if matches!(task.talk, Talk::Await | Talk::Signal) {
        keys.push("timeout: 10s".to_owned());
    }
    let undo = match (task.declared, undo.strip_suffix('}')) {
        (false, _) => undo,
        (true, Some(body)) => format!("{body}, {DECLARED}}}"),
        (true, None) => format!("{{type: {undo}, {DECLARED}}}"),
    };
    if task.once {
        keys.push("idempotency: none".to_owned());
    }
    match task.kind {
        Kind::Compensatable => keys.push(format!("compensate: {undo}")),
        Kind::Pivot => keys.push("kind: pivot".to_owned()),
        Kind::Retriable => keys.push("kind: retriable".to_owned()),
        Kind::ReadOnly => keys.push("kind: readonly".to_owned()),
    }
    match task.in_doubt {
        None => {}
        Some(InDoubt::Undo) => keys.push("in_doubt: undo".to_owned()),
        Some(InDoubt::Query) => keys.push("in_doubt: query".to_owned()),
        Some(InDoubt::Hold) => keys.push("in_doubt: hold".to_owned()),
    }
    if task.kind != Kind::Retriable {
        keys.push(format!("retry: {}", task.attempts));
    }
}
