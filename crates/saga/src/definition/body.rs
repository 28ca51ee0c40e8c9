//! What a task does, and how: the part of it that runs again for each element of a `for_each`.

use std::time::Duration;

use super::draft::At;
use super::draft::EventDraft;
use super::file::lacks;
use super::findings::Finding;
use super::keys;
use super::keys::not_in_this_build;
use super::node::{ActionDraft, AwaitDraft, EmitDraft, SagaDraft, WaitDraft};
use super::node::{AwaitedDraft, DeadlineDraft};
use super::retry;
use super::task::Tasks;
use super::topics::{read_awaited, read_event};
use super::{computed, read};
use crate::plan::{Kind, RetryPlan, Role};
use crate::yaml::{Content, Entry, Node};

/// How deep children may stand in children, where the file does not say.
const DEPTH: u32 = 3;
const DEPTH_MOST: u64 = 100;

impl Tasks<'_> {
    /// Reads it into the task at that place; what stands in a group comes behind it.
    pub(super) fn read_body(&mut self, place: usize, node: &Node) {
        let action = self.read_action(place, node);
        self.refuse_in_container(node, &action);
        let inputs = self.read_inputs(node);
        let returns = node.get("returns").and_then(|node| self.read_returns(node));
        let is_sent = matches!(
            action,
            ActionDraft::Agent { .. } | ActionDraft::Emit(_) | ActionDraft::Request(..)
        );
        let timeout = self.duration_of("timeout", node).or_else(|| {
            let minute = At { it: Duration::from_secs(60), span: node.span };
            is_sent.then(|| self.defaults.timeout.clone().unwrap_or(minute))
        });
        let retry = self.read_retry(node, self.retry_of(node, is_sent));
        let is_container = action.is_container();
        let undo = node
            .get("compensate")
            .filter(|_| !is_container)
            .and_then(|undo| self.read_undo(undo, place, &action));
        let has_undo = node.get("compensate").is_some();
        let is_child = matches!(action, ActionDraft::Saga(_));
        let (kind, kind_said) = if is_container {
            (Kind::ReadOnly, None)
        } else {
            // Without a word, a child is undone by its own compensation.
            self.read_kind(node, has_undo || is_child && node.get("kind").is_none())
        };
        let in_doubt = if is_container { None } else { self.read_in_doubt(node, &action) };
        let idempotency = self.read_idempotency(node);
        let deadline = self.defaults.deadline.clone().filter(|_| !is_container);
        let Some(task) = self.at(place) else { return };
        task.action = action;
        task.inputs = inputs;
        task.returns = returns;
        task.timeout = timeout;
        task.timeout_said = node.get("timeout").is_some();
        task.retry = retry;
        task.undo = undo;
        (task.kind, task.kind_said) = (kind, kind_said);
        task.in_doubt = in_doubt;
        task.idempotency = idempotency;
        task.deadline = deadline.map(DeadlineDraft::Within);
    }

    /// What is not sent is not tried again, unless the file says so.
    fn retry_of(&self, node: &Node, is_sent: bool) -> At<RetryPlan> {
        let base = self.defaults.retry.clone();
        let base = base.unwrap_or_else(|| At { it: retry::of_tasks(), span: node.span });
        if is_sent {
            return base;
        }
        At { it: RetryPlan { max_attempts: 1, ..base.it }, span: node.span }
    }

    fn refuse_in_container(&mut self, node: &Node, action: &ActionDraft) {
        let what = match action {
            ActionDraft::Group { .. } => "a group",
            ActionDraft::Choice { .. } | ActionDraft::Race { .. } => "a choice",
            ActionDraft::Broken
            | ActionDraft::Agent { .. }
            | ActionDraft::Emit(_)
            | ActionDraft::Await(_)
            | ActionDraft::Request(..)
            | ActionDraft::Wait(_)
            | ActionDraft::Saga(_)
            | ActionDraft::ForEach(_) => return,
        };
        let help = "it does nothing by itself: say it of the tasks that stand in it";
        let refused = ["kind", "compensate", "in_doubt", "idempotency", "type", "retry"];
        let is_race = matches!(action, ActionDraft::Race { .. });
        let upto = refused.len() - usize::from(is_race);
        self.refuse(node, refused.get(..upto).unwrap_or_default(), what, help);
    }

    /// The one thing that it does. Two are wrong, but for `emit` with `await`.
    fn read_action(&mut self, place: usize, node: &Node) -> ActionDraft {
        let entries = node.entries().unwrap_or_default();
        let said: Vec<&Entry> =
            entries.iter().filter(|entry| keys::ACTIONS.contains(&entry.key.as_str())).collect();
        let has = |key: &str| said.iter().any(|entry| entry.key == key);
        self.refuse_astray(node, &has);
        let both = said.len() == 2 && has("emit") && has("await");
        match said.as_slice() {
            [] => self.no_action(place, node),
            [only] => self.read_only_action(place, only, node),
            _ if both => self.read_request(node).unwrap_or(ActionDraft::Broken),
            [first, second, ..] => {
                let id = self.stand_of(place).map(|(id, _)| id.it).unwrap_or_default();
                let message =
                    format!("task `{id}` has two actions: `{}`, `{}`", first.key, second.key);
                let help =
                    "a task does one thing: make two of it; only `emit` with `await` go together";
                self.findings.push(Finding::error("E107", second.key_span, message).help(help));
                ActionDraft::Broken
            }
        }
    }

    /// Keys that go with one action only.
    fn refuse_astray(&mut self, node: &Node, has: &dyn Fn(&str) -> bool) {
        if !has("choice") {
            self.refuse(node, &["pick"], "a task", "`pick: many` goes with `choice`");
        }
        if !has("tasks") && !has("sequential") {
            let help =
                "a task's output is what it answers; `outputs` goes with `tasks` or `sequential`";
            self.refuse(node, &["outputs"], "a task", help);
        }
    }

    fn no_action(&mut self, place: usize, node: &Node) -> ActionDraft {
        if keys::LATER_ACTIONS.iter().any(|action| node.get(action).is_some()) {
            // Refused by name already.
            return ActionDraft::Broken;
        }
        let Some((id, _)) = self.stand_of(place) else { return ActionDraft::Broken };
        let name = if id.it.is_empty() { "a task".to_owned() } else { format!("task `{}`", id.it) };
        let finding = Finding::error("E107", id.span, format!("{name} has no action"));
        let help = "name who does it, `agent: NAME`; or `emit`, `await`, `wait`, `choice`, `tasks`, \
                    `sequential`, `saga`";
        self.findings.push(finding.help(help));
        ActionDraft::Broken
    }

    fn read_only_action(&mut self, place: usize, only: &Entry, node: &Node) -> ActionDraft {
        let value = &only.value;
        let action = match only.key.as_str() {
            "agent" => self.read_agent(value).map(|agent| {
                let task_type = self.read_type(place, node);
                ActionDraft::Agent { agent, task_type }
            }),
            "emit" => self.read_emit(value).map(ActionDraft::Emit),
            "await" => self.read_await(value).map(ActionDraft::Await),
            "wait" => self.read_wait(value).map(ActionDraft::Wait),
            "choice" => self.read_choice(place, value, node.get("pick")),
            "saga" => self.read_saga(value).map(ActionDraft::Saga),
            key => Some(self.read_group(place, key, value, node.get("outputs"))),
        };
        action.unwrap_or(ActionDraft::Broken)
    }

    pub(super) fn read_agent(&mut self, node: &Node) -> Option<String> {
        if let Content::Map(_) = node.content {
            let instead = "name the agent: `agent: NAME`";
            self.findings.push(not_in_this_build("agent: {...}", node.span, instead));
            return None;
        }
        read::topic_name("agent", node, self.findings)
    }

    /// The operation: the id where the file has none; a fallback's is that of its task.
    fn read_type(&mut self, place: usize, node: &Node) -> String {
        let said = node.get("type").and_then(|node| read::id("type", node, self.findings));
        if let Some(said) = said {
            return said.it;
        }
        let Some((id, stand)) = self.stand_of(place) else { return String::new() };
        let Role::Fallback(of) = stand.role else {
            return id.it.replace("~fallback", "");
        };
        match self.at(of).map(|task| (&task.action, task.id.it.clone())) {
            Some((ActionDraft::Agent { task_type, .. }, _)) => task_type.clone(),
            Some((_, id)) => id.replace("~fallback", ""),
            None => String::new(),
        }
    }

    pub(super) fn read_request(&mut self, node: &Node) -> Option<ActionDraft> {
        let emit = node.get("emit").and_then(|node| self.read_emit(node));
        let awaits = node.get("await").and_then(|node| self.read_await(node));
        Some(ActionDraft::Request(emit?, awaits?))
    }

    pub(super) fn read_emit(&mut self, node: &Node) -> Option<Box<EmitDraft>> {
        let Some(entries) = node.entries() else {
            let event = read_event("emit", node, self.topics, self.findings)?;
            let (key, value, headers) = (None, None, Vec::new());
            return Some(Box::new(EmitDraft { event, key, value, headers }));
        };
        keys::EMIT.check(entries, self.findings);
        let template = |key: &str, this: &mut Self| {
            node.get(key).and_then(|node| computed::template(node, this.findings))
        };
        let (key, value) = (template("key", self), template("value", self));
        let mut headers = Vec::new();
        if let Some(map) = node.get("headers") {
            for entry in read::map("headers", map, self.findings).unwrap_or_default() {
                let value = computed::template(&entry.value, self.findings);
                headers.extend(value.map(|value| (entry.key.clone(), value)));
            }
        }
        let Some(event) = node.get("event") else {
            self.findings.push(lacks("emit", "event", node, "{event: shop.orders/OrderReady}"));
            return None;
        };
        let event = read_event("event", event, self.topics, self.findings)?;
        Some(Box::new(EmitDraft { event, key, value, headers }))
    }

    pub(super) fn read_await(&mut self, node: &Node) -> Option<Box<AwaitDraft>> {
        let Some(entries) = node.entries() else {
            let awaited = read_awaited("await", node, self.topics, self.findings)?;
            let (failed, filter, correlate) = (Vec::new(), None, None);
            let awaited = vec![awaited];
            return Some(Box::new(AwaitDraft { awaited, failed, filter, correlate }));
        };
        keys::AWAIT.check(entries, self.findings);
        let computed = |key: &str, this: &mut Self| {
            node.get(key).and_then(|node| computed::computed(key, node, this.findings))
        };
        let (filter, correlate) = (computed("where", self), computed("correlate", self));
        let failed = node.get("failed").map(|node| self.read_failed(node)).unwrap_or_default();
        let Some(event) = node.get("event") else {
            let example = "{event: shop.stock/StockReserved}";
            self.findings.push(lacks("await", "event", node, example));
            return None;
        };
        let awaited: Vec<AwaitedDraft> = one_or_more(event)
            .iter()
            .filter_map(|each| read_awaited("event", each, self.topics, self.findings))
            .collect();
        if event.list().is_some_and(<[Node]>::is_empty) {
            self.findings.push(read::must_be("event", "an event or a list of them", event));
        }
        let awaits = Box::new(AwaitDraft { awaited, failed, filter, correlate });
        (!awaits.awaited.is_empty()).then_some(awaits)
    }

    fn read_failed(&mut self, node: &Node) -> Vec<EventDraft> {
        let events = one_or_more(node).iter();
        events.filter_map(|each| read_event("failed", each, self.topics, self.findings)).collect()
    }

    fn read_wait(&mut self, node: &Node) -> Option<WaitDraft> {
        if let Some(entries) = node.entries() {
            keys::WAIT.check(entries, self.findings);
            let Some(until) = node.get("until") else {
                self.findings.push(lacks("wait", "until", node, "{until: \"${inputs.due}\"}"));
                return None;
            };
            return computed::computed("until", until, self.findings).map(WaitDraft::Until);
        }
        if let Some(text) = node.text().filter(|text| text.contains("${")) {
            let help = format!("a time that is computed: `wait: {{until: \"{text}\"}}`");
            self.findings.push(read::must_be("wait", "a duration", node).help(help));
            return None;
        }
        read::duration("wait", node, self.findings).map(WaitDraft::For)
    }

    pub(super) fn read_saga(&mut self, node: &Node) -> Option<SagaDraft> {
        let (name, hash, max_depth) = match node.entries() {
            None => (Some(node), None, None),
            Some(entries) => {
                keys::SAGA.check(entries, self.findings);
                if node.get("name").is_none() {
                    self.findings.push(lacks("saga", "name", node, "{name: book-flight}"));
                }
                (node.get("name"), node.get("hash"), node.get("max_depth"))
            }
        };
        let hash = hash.and_then(|hash| read::constant("hash", hash, self.findings));
        let max_depth = max_depth
            .and_then(|depth| read::integer("max_depth", depth, (1, DEPTH_MOST), self.findings))
            .and_then(|depth| u32::try_from(depth).ok());
        let name = name?;
        let text = read::constant("saga", name, self.findings)?;
        if events::saga_name_of(&text).as_str().is_empty() {
            self.findings.push(read::must_be("saga", "the name of a saga", name));
            return None;
        }
        let name = At { it: text, span: name.span };
        Some(SagaDraft { name, hash, max_depth: max_depth.unwrap_or(DEPTH) })
    }
}

fn one_or_more(node: &Node) -> &[Node] {
    node.list().unwrap_or(std::slice::from_ref(node))
}
