//! Topics, the events on them, and what starts a workflow.

use super::computed;
use super::draft::{At, EventDraft, TopicDraft, TriggerDraft, Written};
use super::file::{given_twice, lacks};
use super::findings::{Findings, Span};
use super::keys::{self, not_in_this_build};
use super::node::AwaitedDraft;
use super::read;
use crate::expr::{Expr, Template};
use crate::yaml::{Content, Entry, Node};

/// The topic of signals, which are no events.
const SIGNAL: &str = "signal";

pub(super) fn read_topics(node: &Node, findings: &mut Findings) -> Vec<TopicDraft> {
    let mut topics: Vec<TopicDraft> = Vec::new();
    for Entry { key, key_span, value } in read::map("topics", node, findings).unwrap_or_default() {
        let Some(entries) = read::map(key, value, findings) else { continue };
        keys::TOPIC.check(entries, findings);
        if let Some(format) = value.get("format") {
            read_format(format, findings);
        }
        let topic = match value.get("topic") {
            Some(topic) => read::topic_name("topic", topic, findings)
                .map(|name| At { it: name, span: topic.span }),
            None => {
                findings.push(lacks("a topic", "topic", value, "orders: {topic: shop.orders}"));
                None
            }
        };
        let mut computed =
            |key: &str| value.get(key).and_then(|node| computed::computed(key, node, findings));
        let (event_name, correlate) = (computed("event_name"), computed("correlate"));
        let Some(topic) = topic else { continue };
        if let Some(first) = topics.iter().find(|known| known.topic.it == topic.it) {
            findings.push(given_twice("topic", &topic, first.topic.span, findings));
            continue;
        }
        let alias = At { it: key.clone(), span: *key_span };
        topics.push(TopicDraft { alias, topic, event_name, correlate });
    }
    topics
}

fn read_format(node: &Node, findings: &mut Findings) {
    let words =
        [("auto", true), ("json", true), ("avro", false), ("protobuf", false), ("text", false)];
    if read::word("format", node, &words, findings) == Some(false) {
        let what = format!("format: {}", node.text().unwrap_or_default());
        findings.push(not_in_this_build(&what, node.span, "events here are JSON: `format: json`"));
    }
}

pub(super) fn read_triggers(
    node: &Node,
    topics: &[TopicDraft],
    findings: &mut Findings,
) -> Vec<TriggerDraft> {
    let list = read::list("triggers", node, findings).unwrap_or_default();
    list.iter().filter_map(|each| read_trigger(each, topics, findings)).collect()
}

fn read_trigger(
    node: &Node,
    topics: &[TopicDraft],
    findings: &mut Findings,
) -> Option<TriggerDraft> {
    let entries = read::map("a trigger", node, findings)?;
    keys::TRIGGER.check(entries, findings);
    let filter = node.get("where").and_then(|node| computed::computed("where", node, findings));
    let inputs = match node.get("inputs") {
        Some(inputs) => computed::template(inputs, findings),
        None => Some(whole_value(node.span)),
    };
    let is_other = node.get("schedule").is_some() || node.get("webhook").is_some();
    let Some(event) = node.get("event") else {
        if !is_other {
            findings.push(lacks("a trigger", "event", node, "{event: shop.orders/OrderPlaced}"));
        }
        return None;
    };
    let event = read_event("event", event, topics, findings)?;
    Some(TriggerDraft { event, filter, inputs: inputs? })
}

/// A trigger without `inputs` takes the event's value.
fn whole_value(span: Span) -> Written {
    let template = match Expr::compile("event.value") {
        Ok(expr) => Template::Computed(expr),
        // Cannot be: it is an expression.
        Err(_) => Template::Constant(serde_json::Value::Null),
    };
    Written { template, span, exprs: vec![span] }
}

/// `TOPIC/Event`, the topic by its alias or its name.
pub(super) fn read_event(
    key: &str,
    node: &Node,
    topics: &[TopicDraft],
    findings: &mut Findings,
) -> Option<EventDraft> {
    let (topic, name) = split(key, node, findings)?;
    if topic == SIGNAL {
        let finding = read::must_be(key, "TOPIC/Event", node);
        findings.push(finding.help("a signal can only be awaited: `await: signal/NAME`"));
        return None;
    }
    event_of(key, node, (&topic, name), topics, findings)
}

/// `TOPIC/Event` or `signal/NAME`.
pub(super) fn read_awaited(
    key: &str,
    node: &Node,
    topics: &[TopicDraft],
    findings: &mut Findings,
) -> Option<AwaitedDraft> {
    let (topic, name) = split(key, node, findings)?;
    if topic != SIGNAL {
        return Some(AwaitedDraft::Event(event_of(key, node, (&topic, name), topics, findings)?));
    }
    let written = Node { span: node.span, content: Content::Text(name) };
    Some(AwaitedDraft::Signal(read::topic_name(key, &written, findings)?))
}

fn split(key: &str, node: &Node, findings: &mut Findings) -> Option<(String, String)> {
    let text = read::constant(key, node, findings)?;
    let parts = text.split_once('/').filter(|(topic, name)| {
        !topic.is_empty() && !name.is_empty() && !name.contains(char::is_whitespace)
    });
    if parts.is_none() {
        let finding = read::must_be(key, "TOPIC/Event", node);
        findings.push(
            finding.help("the topic, or its alias in `topics`, a slash, and the event's name"),
        );
    }
    parts.map(|(topic, name)| (topic.to_owned(), name.to_owned()))
}

fn event_of(
    key: &str,
    node: &Node,
    (topic, name): (&str, String),
    topics: &[TopicDraft],
    findings: &mut Findings,
) -> Option<EventDraft> {
    let alias = topics.iter().position(|known| known.alias.it == topic);
    let topic = match alias.and_then(|at| topics.get(at)) {
        Some(known) => known.topic.it.clone(),
        None => {
            let written = Node { span: node.span, content: Content::Text(topic.to_owned()) };
            read::topic_name(key, &written, findings)?
        }
    };
    Some(EventDraft { topic, alias, name, span: node.span })
}
