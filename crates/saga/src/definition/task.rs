//! The tasks of a file.

use std::time::Duration;

use super::computed;
use super::draft::{At, InputDraft, InputsDraft, TaskDraft, UndoDraft, Written};
use super::file::{given_twice, lacks, read_field_type};
use super::findings::{Finding, Findings};
use super::keys::{self, not_in_this_build};
use super::retry::{self, Compensation};
use super::{nearest, read};
use crate::expr::{Expr, Template};
use crate::plan::{InDoubt, Kind, RetryPlan};
use crate::types::Type;
use crate::yaml::{Content, Node};

const TASKS_MAX: usize = 1000;
const KINDS: [(&str, Kind); 4] = [
    ("compensatable", Kind::Compensatable),
    ("pivot", Kind::Pivot),
    ("retriable", Kind::Retriable),
    ("readonly", Kind::ReadOnly),
];
const IN_DOUBT: [(&str, InDoubt); 3] =
    [("undo", InDoubt::Undo), ("query", InDoubt::Query), ("hold", InDoubt::Hold)];

/// The file's `defaults`, for tasks that do not say.
#[derive(Default)]
pub(super) struct Defaults {
    timeout: Option<At<Duration>>,
    deadline: Option<At<Duration>>,
    retry: Option<At<RetryPlan>>,
    in_doubt: Option<InDoubt>,
    kind: Option<At<Kind>>,
}

impl Defaults {
    pub(super) fn read(node: &Node, findings: &mut Findings) -> Self {
        let Some(entries) = read::map("defaults", node, findings) else { return Self::default() };
        keys::DEFAULTS.check(entries, findings);
        let mut duration =
            |key: &str| node.get(key).and_then(|node| read::duration(key, node, findings));
        let (timeout, deadline) = (duration("timeout"), duration("deadline"));
        let retry = node.get("retry").map(|node| {
            let it = retry::read(node, &retry::of_tasks(), findings);
            At { it, span: node.span }
        });
        let in_doubt =
            node.get("in_doubt").and_then(|node| read::word("in_doubt", node, &IN_DOUBT, findings));
        let kind = node.get("kind").and_then(|node| {
            Some(At { it: read::word("kind", node, &KINDS, findings)?, span: node.span })
        });
        Self { timeout, deadline, retry, in_doubt, kind }
    }
}

/// The names that a list of inputs may hold.
pub(super) struct Known {
    /// `None`: any.
    inputs: Option<Vec<String>>,
    pub(super) tasks: Vec<String>,
}

impl Known {
    pub(super) fn of(tasks: &Node, inputs: Option<&[InputDraft]>) -> Self {
        let ids = tasks.list().unwrap_or_default().iter();
        Self {
            inputs: inputs.map(|list| list.iter().map(|input| input.name.it.clone()).collect()),
            tasks: ids.filter_map(|task| Some(task.get("id")?.text()?.to_owned())).collect(),
        }
    }

    /// The path that a name stands for.
    fn path_of(&self, name: &str) -> Option<String> {
        if self.tasks.iter().any(|task| task == name) {
            return Some(format!("tasks.{name}.output"));
        }
        let is_input =
            self.inputs.as_ref().is_none_or(|inputs| inputs.iter().any(|input| input == name));
        is_input.then(|| format!("inputs.{name}"))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().flatten().chain(&self.tasks).map(String::as_str)
    }
}

/// Reads tasks.
pub(super) struct Tasks<'f> {
    pub(super) known: Known,
    pub(super) defaults: &'f Defaults,
    pub(super) compensation: &'f Compensation,
    pub(super) findings: &'f mut Findings,
}

impl Tasks<'_> {
    pub(super) fn read(&mut self, node: &Node) -> Vec<TaskDraft> {
        let list = read::list("tasks", node, self.findings).unwrap_or_default();
        if list.is_empty() && node.list().is_some() {
            let finding = Finding::error("E105", node.span, "the file lacks tasks");
            self.findings.push(finding.help("as in `tasks: [{id: a, agent: x}]`"));
        }
        if list.len() > TASKS_MAX {
            let message = format!("the file has {} tasks, {TASKS_MAX} at most", list.len());
            self.findings.push(Finding::error("E108", node.span, message).help("split the saga"));
            return Vec::new();
        }
        let mut tasks: Vec<TaskDraft> = Vec::new();
        let mut lines = std::collections::BTreeMap::new();
        for each in list {
            let Some(task) = self.read_task(each) else { continue };
            match lines.get(&task.id.it) {
                Some(first) => {
                    self.findings.push(given_twice("id", &task.id, *first, self.findings))
                }
                None => {
                    lines.insert(task.id.it.clone(), task.id.span);
                    tasks.push(task);
                }
            }
        }
        tasks
    }

    /// `None`: it has no id or no agent that other tasks and the plan could name.
    fn read_task(&mut self, node: &Node) -> Option<TaskDraft> {
        let entries = read::map("a task", node, self.findings)?;
        if let [only] = entries
            && !keys::TASK.knows(&only.key)
            && nearest(&only.key, ["id", "agent"]).is_none()
        {
            let instead = format!("write `{{id: {0}, agent: {0}}}`", only.key);
            let what = format!("{}: ...", only.key);
            self.findings.push(not_in_this_build(&what, only.key_span, &instead));
            return None;
        }
        keys::TASK.check(entries, self.findings);
        self.read_shown(node);
        let id = match node.get("id") {
            Some(id) => read::id("id", id, self.findings),
            None => {
                self.findings.push(lacks("a task", "id", node, "{id: payment, agent: payment}"));
                None
            }
        };
        let agent = self.read_agent(node, id.as_ref());
        let said = node.get("type").and_then(|node| read::id("type", node, self.findings));
        let task_type = match (&said, &id) {
            (Some(said), _) => said.it.clone(),
            (None, Some(id)) => id.it.clone(),
            (None, None) => String::new(),
        };
        let retry = self.read_retry(node);
        let undo = node.get("compensate").and_then(|undo| {
            self.read_undo(undo, agent.as_deref().unwrap_or_default(), &task_type)
        });
        let (kind, kind_said) = self.read_kind(node, node.get("compensate").is_some());
        let in_doubt = self.read_in_doubt(node);
        let inputs = self.read_inputs(node);
        let returns = node.get("returns").and_then(|node| self.read_returns(node));
        let depends_on =
            node.get("depends_on").map(|node| self.read_depends_on(node)).unwrap_or_default();
        let timeout = self.read_timeout(node);
        let deadline = self.read_deadline(node);
        let (id, agent, inputs) = (id?, agent?, inputs?);
        let kind_said = kind_said.map(|said| said.span);
        Some(TaskDraft {
            id,
            agent,
            task_type,
            inputs,
            returns,
            depends_on,
            timeout,
            deadline,
            retry,
            kind,
            kind_said,
            in_doubt,
            undo,
        })
    }

    /// Keys that no plan shows.
    fn read_shown(&mut self, node: &Node) {
        if let Some(node) = node.get("description") {
            let _ = read::text("description", node, self.findings);
        }
        if let Some(node) = node.get("labels") {
            read::labels(node, self.findings);
        }
        if let Some(node) = node.get("idempotency") {
            let text = read::text("idempotency", node, self.findings);
            if text.as_deref().is_some_and(|text| text != "key") {
                let what = format!("idempotency: {}", text.unwrap_or_default());
                let instead = "use `idempotency: key`: one key per task, the same in every attempt";
                self.findings.push(not_in_this_build(&what, node.span, instead));
            }
        }
    }

    fn read_agent(&mut self, node: &Node, id: Option<&At<String>>) -> Option<String> {
        if let Some(agent) = node.get("agent") {
            if let Content::Map(_) = agent.content {
                let instead = "name the agent: `agent: NAME`";
                self.findings.push(not_in_this_build("agent: {...}", agent.span, instead));
                return None;
            }
            return read::topic_name("agent", agent, self.findings);
        }
        if keys::ACTIONS.iter().any(|action| node.get(action).is_some()) {
            // Refused by name already.
            return None;
        }
        let (span, name) = match id {
            Some(id) => (id.span, format!("task `{}`", id.it)),
            None => ((node.span.0, node.span.0), "a task".to_owned()),
        };
        let finding = Finding::error("E107", span, format!("{name} has no action"));
        self.findings.push(finding.help("name who does it: `agent: NAME`"));
        None
    }

    fn read_retry(&mut self, node: &Node) -> At<RetryPlan> {
        let base = self.defaults.retry.clone();
        let base = base.unwrap_or_else(|| At { it: retry::of_tasks(), span: node.span });
        match node.get("retry") {
            Some(node) => At { it: retry::read(node, &base.it, self.findings), span: node.span },
            None => base,
        }
    }

    fn read_kind(&mut self, node: &Node, has_undo: bool) -> (Kind, Option<At<Kind>>) {
        let said = node.get("kind").and_then(|node| {
            Some(At { it: read::word("kind", node, &KINDS, self.findings)?, span: node.span })
        });
        match (said, has_undo) {
            (Some(said), _) => (said.it, Some(said)),
            (None, true) => (Kind::Compensatable, None),
            (None, false) => {
                let default = self.defaults.kind.clone();
                (default.as_ref().map_or(Kind::ReadOnly, |kind| kind.it), default)
            }
        }
    }

    fn read_in_doubt(&mut self, node: &Node) -> Option<At<InDoubt>> {
        match node.get("in_doubt") {
            Some(node) => {
                let it = read::word("in_doubt", node, &IN_DOUBT, self.findings)?;
                Some(At { it, span: node.span })
            }
            None => {
                // A default of `undo` is for those that have one.
                let it = self.defaults.in_doubt?;
                let fits = it != InDoubt::Undo || node.get("compensate").is_some();
                fits.then_some(At { it, span: node.span })
            }
        }
    }

    fn read_timeout(&mut self, node: &Node) -> At<Duration> {
        let said =
            node.get("timeout").and_then(|node| read::duration("timeout", node, self.findings));
        let minute = At { it: Duration::from_secs(60), span: node.span };
        said.or_else(|| self.defaults.timeout.clone()).unwrap_or(minute)
    }

    fn read_deadline(&mut self, node: &Node) -> Option<At<Duration>> {
        let Some(node) = node.get("deadline") else { return self.defaults.deadline.clone() };
        if node.text().is_some_and(|text| text.contains("${")) {
            let instead = "write a duration, counted from when the task is ready";
            self.findings.push(not_in_this_build("deadline: ${...}", node.span, instead));
            return None;
        }
        read::duration("deadline", node, self.findings)
    }

    /// `None`: what stands there can not be read.
    fn read_inputs(&mut self, node: &Node) -> Option<InputsDraft> {
        let Some(node) = node.get("inputs") else { return Some(InputsDraft::Absent) };
        if node.entries().is_some() {
            return Some(InputsDraft::Computed(Box::new(computed::template(node, self.findings)?)));
        }
        let Some(list) = node.list() else {
            // One `${...}` gives a whole map.
            if node.text().is_some_and(|text| text.contains("${")) {
                let whole = computed::computed("inputs", node, self.findings)?;
                return Some(InputsDraft::Computed(Box::new(whole)));
            }
            let finding = read::must_be("inputs", "a map or a list of names", node);
            self.findings.push(finding.help("as in `inputs: [order_id]`"));
            return None;
        };
        Some(InputsDraft::Computed(Box::new(self.read_names(node, list)?)))
    }

    fn read_names(&mut self, node: &Node, list: &[Node]) -> Option<Written> {
        let mut map = Vec::new();
        let mut exprs = Vec::new();
        let mut sound = true;
        for each in list {
            let Some(name) = read::id("inputs", each, self.findings) else {
                sound = false;
                continue;
            };
            let expr = self.known.path_of(&name.it).and_then(|path| Expr::compile(&path).ok());
            let Some(expr) = expr else {
                let message =
                    format!("`{}` does not exist: it is neither an input nor a task", name.it);
                let finding = Finding::error("E301", name.span, message);
                self.findings.push(finding.near(&name.it, self.known.names()));
                sound = false;
                continue;
            };
            map.push((name.it, Template::Computed(expr)));
            exprs.push(name.span);
        }
        sound.then_some(Written { template: Template::Map(map), span: node.span, exprs })
    }

    fn read_returns(&mut self, node: &Node) -> Option<Type> {
        let entries = read::map("returns", node, self.findings)?;
        let fields = entries.iter().filter_map(|entry| {
            let (of, optional) = read_field_type(&entry.key, &entry.value, self.findings)?;
            Some((entry.key.clone(), of, !optional))
        });
        Some(Type::Record(fields.collect()))
    }

    fn read_depends_on(&mut self, node: &Node) -> Vec<At<String>> {
        let list = match &node.content {
            Content::Map(entries) => {
                keys::JOIN.check(entries, self.findings);
                let Some(all) = node.get("all") else { return Vec::new() };
                all
            }
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::List(_) => node,
        };
        let Some(each) = list.list() else {
            let mut finding = read::must_be("depends_on", "a list of tasks", list);
            if let Some(text) = list.text() {
                finding = finding.help(format!("write `[{text}]`"));
            }
            self.findings.push(finding);
            return Vec::new();
        };
        let names = each.iter().filter_map(|name| {
            let it = read::constant("depends_on", name, self.findings)?;
            Some(At { it, span: name.span })
        });
        names.collect()
    }

    fn read_undo(&mut self, node: &Node, agent: &str, task_type: &str) -> Option<UndoDraft> {
        let mut undo = UndoDraft {
            span: node.span,
            agent: agent.to_owned(),
            task_type: task_type.to_owned(),
            inputs: None,
            timeout: self.compensation.timeout,
            retry: self.compensation.retry.clone(),
        };
        let Some(entries) = node.entries() else {
            undo.task_type = read::id("compensate", node, self.findings)?.it;
            return Some(undo);
        };
        keys::UNDO.check(entries, self.findings);
        if let Some(other) = node.get("agent") {
            undo.agent = read::topic_name("agent", other, self.findings)?;
        }
        if let Some(other) = node.get("type") {
            undo.task_type = read::id("type", other, self.findings)?.it;
        }
        if let Some(inputs) = node.get("inputs") {
            undo.inputs = Some(match inputs.list() {
                Some(list) => self.read_names(inputs, list)?,
                None => computed::template(inputs, self.findings)?,
            });
        }
        if let Some(timeout) = node.get("timeout") {
            undo.timeout = read::duration("timeout", timeout, self.findings)?.it;
        }
        if let Some(retry) = node.get("retry") {
            undo.retry = retry::read(retry, &undo.retry, self.findings);
        }
        Some(undo)
    }
}
