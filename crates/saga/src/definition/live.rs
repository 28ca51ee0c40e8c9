//! What a file names and a cluster lacks: E601 and W11.

use std::collections::BTreeSet;

use super::findings::{Finding, Findings, Span};
use super::parts;
use crate::yaml::{Content, Node};

/// What is not an event: `await: signal/NAME`.
const SIGNAL: &str = "signal";

/// What there is on a cluster, as it was asked.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Topics that a file may name; `None`: one that is missing is made when it is needed.
    pub topics: Option<BTreeSet<String>>,
    /// Identities of the sagas that are deployed.
    pub sagas: BTreeSet<String>,
    /// Agents whose commands somebody reads.
    pub agents: BTreeSet<String>,
}

/// What a file names of what stands elsewhere, each where it is named first.
#[derive(Debug, Default)]
pub(super) struct Named {
    topics: Vec<(String, Span)>,
    sagas: Vec<(String, Span)>,
    agents: Vec<(String, Span)>,
}

impl Named {
    /// Of a file whose form is known.
    pub(super) fn of(root: &Node) -> Self {
        let mut named = Self::default();
        let mut aliases = BTreeSet::new();
        for entry in root.get("topics").and_then(Node::entries).unwrap_or_default() {
            aliases.insert(entry.key.as_str());
            if let Some(topic) = entry.value.get("topic") {
                add(&mut named.topics, topic.text().unwrap_or_default(), topic.span);
            }
        }
        for trigger in root.get("triggers").and_then(Node::list).unwrap_or_default() {
            named.events(trigger.get("event"), &aliases);
        }
        parts::each_body(&mut root.clone(), &mut |body| named.body(body, &aliases));
        named
    }

    fn body(&mut self, body: &Node, aliases: &BTreeSet<&str>) {
        for action in [body.get("emit"), body.get("await")].into_iter().flatten() {
            if action.entries().is_none() {
                self.events(Some(action), aliases);
            }
            self.events(action.get("event"), aliases);
            self.events(action.get("failed"), aliases);
        }
        for case in body.get("choice").and_then(Node::list).unwrap_or_default() {
            self.events(case.get("event"), aliases);
        }
        if let Some(saga) = body.get("saga").map(|saga| saga.get("name").unwrap_or(saga)) {
            let identity = events::saga_name_of(saga.text().unwrap_or_default());
            add(&mut self.sagas, identity.as_str(), saga.span);
        }
        if let Some(agent) = body.get("agent") {
            add(&mut self.agents, agent.text().unwrap_or_default(), agent.span);
        }
    }

    /// `TOPIC/Event`, one or a list.
    fn events(&mut self, node: Option<&Node>, aliases: &BTreeSet<&str>) {
        let Some(node) = node else { return };
        if let Content::List(list) = &node.content {
            return list.iter().for_each(|each| self.events(Some(each), aliases));
        }
        let topic = node.text().and_then(|text| text.split_once('/')).map(|(topic, _)| topic);
        // What stands under `topics` was named there.
        if let Some(topic) = topic.filter(|topic| *topic != SIGNAL && !aliases.contains(topic)) {
            add(&mut self.topics, topic, node.span);
        }
    }

    /// Looks each of them up. `beside`: identities of the sagas that are checked together.
    pub(super) fn check(&self, cluster: &Cluster, beside: &BTreeSet<String>, to: &mut Findings) {
        for (topic, span) in &self.topics {
            let Some(known) = cluster.topics.as_ref().filter(|known| !known.contains(topic)) else {
                continue;
            };
            let message = format!("topic `{topic}` does not exist");
            let finding = Finding::error("E601", *span, message);
            to.push(finding.near(topic, known.iter().map(String::as_str)).help(format!(
                "kafka-topics.sh --bootstrap-server HOST:PORT --create --topic {topic}"
            )));
        }
        for (saga, span) in &self.sagas {
            if !cluster.sagas.contains(saga) && !beside.contains(saga) {
                let finding =
                    Finding::error("E601", *span, format!("saga `{saga}` does not exist"));
                let known = cluster.sagas.iter().chain(beside).map(String::as_str);
                to.push(finding.near(saga, known).help("pavane deploy FILE, with its file"));
            }
        }
        for (agent, span) in &self.agents {
            if !cluster.agents.contains(agent) {
                let message = format!("no agent named `{agent}` has announced itself");
                let finding = Finding::warning("W11", *span, message);
                let known = cluster.agents.iter().map(String::as_str);
                let help = format!("nobody reads the topic `tasks.{agent}` now: is it running?");
                to.push(finding.near(agent, known).help(help));
            }
        }
    }
}

fn add(list: &mut Vec<(String, Span)>, name: &str, span: Span) {
    if !list.iter().any(|(known, _)| known == name) {
        list.push((name.to_owned(), span));
    }
}
