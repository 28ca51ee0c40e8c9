//! `GET /v1/agents/{agent}/commands` and `POST /v1/agents/{agent}/answers`

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use events::{
    AgentName, Class, CommandKind, Destination, Header, Outgoing, Payload, Place, Record, Subject,
    Timestamp, Topic, ce_type, header,
};
use serde::Deserialize;
use serde_json::{Value, json};
use stream::Broker;
use tokio::time::Instant;
use uuid::Uuid;

use super::agent_name;
use crate::api::Api;
use crate::fold::without_elements;
use crate::problem::Problem;
use crate::query;
use crate::view::Entry;

/// Commands of one poll where the query does not say.
const COMMANDS: usize = 100;
/// Commands of any poll.
const COMMANDS_MAX: usize = 1_000;
/// A lease is at least so long.
const LEASE_MIN: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Poll {
    wait: Option<String>,
    lease: Option<String>,
    max: Option<String>,
}

/// Commands, leased; waits for the first.
pub(crate) async fn commands<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(agent): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let agent = agent_name(&agent)?;
    let poll: Poll = query::query(&uri)?;
    let wait =
        poll.wait.as_deref().map_or(Ok(Duration::ZERO), |wait| query::duration("wait", wait))?;
    let lease = poll
        .lease
        .as_deref()
        .map_or(Ok(api.settings.lease), |lease| query::duration("lease", lease))?;
    let lease = lease.max(LEASE_MIN);
    let max = query::number("max", poll.max.as_deref())?.unwrap_or(COMMANDS).min(COMMANDS_MAX);
    let until = Instant::now() + wait;
    let ending = api.ending();
    tokio::pin!(ending);
    loop {
        let desk = api.agents.open(&agent, &api.broker, &api.clock)?;
        let changed = desk.changed.notified();
        tokio::pin!(changed);
        // Before the look, so that a command that comes between the two is not missed.
        changed.as_mut().enable();
        let now = api.clock.now();
        let next_end = match desk.take(now, lease, max) {
            Ok(commands) => return Ok(Json(json!({"items": commands, "next_cursor": null}))),
            Err(next_end) => next_end,
        };
        let is_over = tokio::select! {
            () = changed => false,
            () = tokio::time::sleep_until(again_at(until, next_end.map(|end| end.since(now)), api.settings.agent_idle)) => Instant::now() >= until,
            () = &mut ending => true,
        };
        if is_over {
            return match desk.trouble() {
                Some(why) => Err(Problem::unavailable("broker", why)),
                None => Ok(Json(json!({"items": [], "next_cursor": null}))),
            };
        }
    }
}

/// When to look again: at the end of the poll, when a lease ends, and often enough that the desk does
/// not count as idle.
fn again_at(until: Instant, lease_ends_in: Option<Duration>, idle: Duration) -> Instant {
    let now = Instant::now();
    let soon = now + idle / 2;
    let lease_end = lease_ends_in.map_or(until, |left| now + left.max(Duration::from_millis(1)));
    until.min(lease_end).min(soon)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    #[serde(default)]
    value: Value,
}

const ANSWERS: [&str; 5] = [
    ce_type::TASK_COMPLETED,
    ce_type::TASK_FAILED,
    ce_type::NOTHING_TO_UNDO,
    ce_type::TASK_STATUS,
    ce_type::TASK_PROGRESS,
];

/// Takes an answer; 202 once it is stored in the inbox.
pub(crate) async fn answers<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let agent = agent_name(&agent)?;
    let answer: Answer = query::json(&body)?;
    let kind = ANSWERS
        .into_iter()
        .find(|of| answer.kind == *of || of.strip_prefix(ce_type::PREFIX) == Some(&*answer.kind))
        .ok_or_else(|| {
            let what = format!("`{}` is no answer; there are {}", answer.kind, ANSWERS.join(", "));
            Problem::refused("unknown_type", what)
        })?;
    let subject: Subject = answer.subject.parse().map_err(|error: events::SubjectError| {
        Problem::refused("bad_subject", error.to_string())
    })?;
    if let Some(other) = other_agent(&api, &subject, &agent) {
        let what = format!("`{subject}` was sent to `{other}`, and is not for `{agent}` to answer");
        return Err(Problem::new(StatusCode::FORBIDDEN, "other_agent", what));
    }
    let now = api.clock.now();
    let mut of_record = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, Uuid::now_v7().to_string()),
        Header::text(header::SOURCE, format!("/pavane/agents/{agent}")),
        Header::text(header::TYPE, kind),
        Header::text(header::SUBJECT, answer.subject.as_str()),
        Header::text(header::TIME, now.to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
    ];
    let trace = query::header(&headers, header::TRACEPARENT);
    of_record.extend(trace.map(|trace| Header::text(header::TRACEPARENT, trace)));
    let record = Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(&subject.workflow)),
        value: Payload::Bytes(Bytes::from(answer.value.to_string())),
        headers: of_record,
    };
    is_answer(&record, now)?;
    api.put(record).await?;
    if let Some(desk) = api.agents.find(&agent) {
        if kind == ce_type::TASK_PROGRESS {
            desk.alive(&answer.subject, now.after(api.settings.lease));
        } else {
            desk.answered(&answer.subject);
        }
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"type": kind, "subject": answer.subject}))))
}

/// Whose command it is, where the definition says that it is not this agent's. One that this gateway knows
/// nothing of is left to the coordinator.
fn other_agent<B: Broker>(api: &Api<B>, subject: &Subject, agent: &AgentName) -> Option<AgentName> {
    let of = |entry: &Entry| (entry.saga.clone(), entry.version.clone());
    let (saga, version) = api.view.look(subject.workflow.as_str(), of)?;
    let plan = api.sagas.plan(saga.as_str(), version.as_str())?;
    let id = without_elements(subject.task.as_str());
    let tasks = plan.tasks.iter().filter(|task| task.id.as_str() == id);
    let agents = tasks.filter_map(|task| match subject.kind {
        CommandKind::Do | CommandKind::Query => task.action.agent(),
        CommandKind::Undo => task.undo.as_ref()?.action.agent(),
    });
    let agents: Vec<&AgentName> = agents.collect();
    if agents.contains(&agent) { None } else { agents.first().map(|other| (*other).clone()) }
}

/// Refuses here what the coordinator would refuse for its form, while the participant still hears of it.
fn is_answer(record: &Outgoing, now: Timestamp) -> Result<(), Problem> {
    let Payload::Bytes(value) = &record.value else { return Ok(()) };
    let read = Record {
        place: Place { topic: Topic::from(""), partition: 0, offset: 0 },
        timestamp: now,
        key: record.key.clone(),
        value: Some(value.clone()),
        headers: record.headers.clone(),
    };
    match saga::parse(&read) {
        Ok(_) => Ok(()),
        // Too large has a status of its own: `Api::put`.
        Err(why) if why.class == Class::TooLarge || why.code == "too_deep" => Ok(()),
        Err(why) => Err(Problem::refused(why.code, why.message)),
    }
}
