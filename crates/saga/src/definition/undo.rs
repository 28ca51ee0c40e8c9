//! `compensate`.

use super::findings::Finding;
use super::keys;
use super::node::{ActionDraft, UndoDraft};
use super::task::Tasks;
use super::{computed, read, retry};
use crate::yaml::{Entry, Node};

impl Tasks<'_> {
    /// The undo of the task at that place, which does `action`.
    pub(super) fn read_undo(
        &mut self,
        node: &Node,
        place: usize,
        action: &ActionDraft,
    ) -> Option<UndoDraft> {
        let mut undo = UndoDraft {
            span: node.span,
            action: ActionDraft::Broken,
            inputs: None,
            when: None,
            timeout: self.compensation.timeout,
            retry: self.compensation.retry.clone(),
        };
        let Some(entries) = node.entries() else {
            let task_type = read::id("compensate", node, self.findings)?.it;
            undo.action = if let ActionDraft::Agent { agent, .. } = action {
                ActionDraft::Agent { agent: agent.clone(), task_type }
            } else {
                self.no_undo(node, place, action)
            };
            return Some(undo);
        };
        keys::UNDO.check(entries, self.findings);
        undo.action = self.read_undo_action(node, place, action);
        if let Some(inputs) = node.get("inputs") {
            undo.inputs = match inputs.list() {
                Some(list) => self.read_names(inputs, list),
                None => computed::template(inputs, self.findings),
            };
        }
        undo.when =
            node.get("when").and_then(|when| computed::computed("when", when, self.findings));
        if let Some(timeout) = self.duration_of("timeout", node) {
            undo.timeout = timeout.it;
        }
        if let Some(retry) = node.get("retry") {
            undo.retry = retry::read(retry, &undo.retry, self.findings);
        }
        if let Some(description) = node.get("description") {
            let _ = read::text("description", description, self.findings);
        }
        Some(undo)
    }

    /// Where it says none: the same agent.
    fn read_undo_action(&mut self, node: &Node, place: usize, of: &ActionDraft) -> ActionDraft {
        let entries = node.entries().unwrap_or_default();
        let said: Vec<&Entry> = entries
            .iter()
            .filter(|entry| ["agent", "emit", "await", "saga"].contains(&entry.key.as_str()))
            .collect();
        let both = said.len() == 2
            && said.iter().all(|entry| ["emit", "await"].contains(&entry.key.as_str()));
        let made = match said.as_slice() {
            [] => {
                if let ActionDraft::Agent { agent, .. } = of {
                    self.agent_undo(node, agent.clone(), of, place)
                } else {
                    Some(self.no_undo(node, place, of))
                }
            }
            [only] => match only.key.as_str() {
                "agent" => {
                    let agent = self.read_agent(&only.value);
                    agent.and_then(|agent| self.agent_undo(node, agent, of, place))
                }
                "emit" => self.read_emit(&only.value).map(ActionDraft::Emit),
                "await" => self.read_await(&only.value).map(ActionDraft::Await),
                _ => self.read_saga(&only.value).map(ActionDraft::Saga),
            },
            _ if both => self.read_request(node),
            [first, second, ..] => {
                let id = self.stand_of(place).map(|(id, _)| id.it).unwrap_or_default();
                let message = format!(
                    "the undo of `{id}` has two actions: `{}`, `{}`",
                    first.key, second.key
                );
                let help = "only `emit` with `await` go together";
                self.findings.push(Finding::error("E107", second.key_span, message).help(help));
                None
            }
        };
        made.unwrap_or(ActionDraft::Broken)
    }

    /// Its type is that of the task where it says none.
    fn agent_undo(
        &mut self,
        node: &Node,
        agent: String,
        of: &ActionDraft,
        place: usize,
    ) -> Option<ActionDraft> {
        let said = node.get("type").map(|other| read::id("type", other, self.findings));
        let task_type = match (said, of) {
            (Some(said), _) => said?.it,
            (None, ActionDraft::Agent { task_type, .. }) => task_type.clone(),
            (None, _) => self.stand_of(place)?.0.it.replace("~fallback", ""),
        };
        Some(ActionDraft::Agent { agent, task_type })
    }

    fn no_undo(&mut self, node: &Node, place: usize, of: &ActionDraft) -> ActionDraft {
        let mut others = keys::ACTIONS.iter().chain(&keys::LATER_ACTIONS);
        // Another action is refused by name; of a task that could not be read nothing is known.
        if matches!(of, ActionDraft::Broken) || others.any(|key| node.get(key).is_some()) {
            return ActionDraft::Broken;
        }
        let id = self.stand_of(place).map(|(id, _)| id.it).unwrap_or_default();
        let message = format!("the undo of `{id}` has no action, and `{id}` no agent to do it");
        let help =
            "say what undoes it: `compensate: {agent: NAME, type: ...}` or `{emit: TOPIC/Event}`";
        self.findings.push(Finding::error("E107", node.span, message).help(help));
        ActionDraft::Broken
    }
}
