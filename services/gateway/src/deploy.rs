//! Publishing a definition: topics, then every lane, then `definitions`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use events::{
    AgentName, Deployment, Destination, Header, Outgoing, Payload, StartsAt, Topic, ce_type, header,
};
use saga::{Checked, Diagnostic, Plan, Severity};
use serde_json::{Value, json};
use stream::{Broker, Clock, Purpose};
use uuid::Uuid;

use crate::problem::Problem;
use crate::sagas::Sagas;
use crate::topics::make_for_user;

/// How long the newest definitions are waited for.
const CATCH_UP: Duration = Duration::from_secs(10);

/// What has come of it.
pub(crate) struct Deployed {
    /// `false`: this version was the newest already.
    pub(crate) is_new: bool,
    pub(crate) deployment: Deployment,
    pub(crate) warnings: Value,
}

/// Whoever deploys: one at a time in a process, so that revisions rise.
pub(crate) struct Deployer<'a, B> {
    pub(crate) broker: &'a B,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) sagas: &'a Sagas,
    pub(crate) turn: &'a Mutex<()>,
}

impl<B: Broker> Deployer<'_, B> {
    /// Deploys a definition. Blocks. Repeated after any failure, it completes what was begun.
    pub(crate) fn deploy(&self, text: &str) -> Result<Deployed, Problem> {
        // What is wrong by itself is said without waiting for what else there is.
        let alone = saga::check(text);
        if alone.plan.is_none() {
            return Err(refused(&alone));
        }
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.sagas.catch_up(self.broker, CATCH_UP)?;
        let known: Vec<_> =
            self.sagas.all().into_iter().filter_map(|saga| saga.plan.ok()).collect();
        let known: Vec<&Plan> = known.iter().map(AsRef::as_ref).collect();
        let mut checked = saga::check_beside(text, &known);
        let Some(plan) = checked.plan.take() else { return Err(refused(&checked)) };
        let before = self.sagas.newest(plan.name.as_str()).map(|known| known.deployment);
        self.make_topics(&plan, text)?;
        let warnings = saga::to_json(plan.name.as_str(), &checked);
        if let Some(before) = &before
            && before.version == plan.version.as_str()
        {
            let deployment = Deployment::clone(before);
            return Ok(Deployed { is_new: false, deployment, warnings });
        }
        let deployment = Deployment {
            name: plan.name.to_string(),
            version: plan.version.to_string(),
            revision: before.as_ref().map_or(1, |before| before.revision + 1),
            deployed_at: self.clock.now().to_string(),
            text: text.to_owned(),
            agents: plan.agents().iter().map(AgentName::to_string).collect(),
            starts_at: self.starts_at(&plan, before.as_deref())?,
        };
        self.tell_lanes(&deployment)?;
        self.publish(&deployment)?;
        // So that whoever asks this gateway next is answered by what was just deployed.
        self.sagas.catch_up(self.broker, CATCH_UP)?;
        Ok(Deployed { is_new: true, deployment, warnings })
    }

    fn make_topics(&self, plan: &Plan, text: &str) -> Result<(), Problem> {
        let topics = self.broker.topics();
        let read = plan.reads_from();
        for topic in plan.emits_to().iter().chain(&read) {
            if self.broker.kept(topic)?.is_none() {
                make_for_user(self.broker, topic).map_err(|why| no_topic(topic, text, &why))?;
            }
        }
        for topic in &read {
            self.broker.create(&topics.dead_letters(topic), Purpose::DeadLetters)?;
        }
        for agent in plan.agents() {
            let tasks = topics.tasks(&agent);
            self.broker.create(&tasks, Purpose::Tasks)?;
            self.broker.create(&topics.dead_letters(&tasks), Purpose::DeadLetters)?;
        }
        self.broker.create(&topics.dead_letters(&topics.inbox()), Purpose::DeadLetters)?;
        Ok(())
    }

    /// Where the topics that it listens to end now. A topic that the saga listens to already keeps its place: what
    /// was published since and not yet read is judged by the new version, and not missed.
    fn starts_at(
        &self,
        plan: &Plan,
        before: Option<&Deployment>,
    ) -> Result<Vec<StartsAt>, Problem> {
        let mut starts = BTreeMap::new();
        for topic in plan.reads_from() {
            let kept = self.broker.kept(&topic)?.ok_or_else(|| {
                Problem::unavailable("no_topic", format!("topic `{topic}` has just vanished"))
            })?;
            for (partition, range) in (0..).zip(kept) {
                let name = topic.to_string();
                let listened = before.and_then(|before| {
                    let same =
                        |start: &&StartsAt| start.topic == name && start.partition == partition;
                    before.starts_at.iter().find(same).map(|start| start.offset)
                });
                // Beyond its end: the topic was made anew since.
                let listened = listened.filter(|offset| *offset <= range.end);
                starts.insert((name, partition), listened.unwrap_or(range.end));
            }
        }
        let place = |((topic, partition), offset)| StartsAt { topic, partition, offset };
        Ok(starts.into_iter().map(place).collect())
    }

    fn tell_lanes(&self, deployment: &Deployment) -> Result<(), Problem> {
        let id = format!("deploy-{}", Uuid::now_v7());
        let headers = vec![
            Header::text(header::SPECVERSION, "1.0"),
            Header::text(header::ID, id),
            Header::text(header::SOURCE, crate::SOURCE),
            Header::text(header::TYPE, ce_type::DEPLOY_SAGA),
            Header::text(header::SUBJECT, deployment.name.as_str()),
            Header::text(header::TIME, deployment.deployed_at.as_str()),
            Header::text(header::CONTENT_TYPE, "application/yaml"),
            Header::text(header::SAGA, deployment.name.as_str()),
            Header::text(header::VERSION, deployment.version.as_str()),
            Header::text(header::REVISION, deployment.revision.to_string()),
        ];
        for lane in 0..self.broker.lanes()? {
            self.broker.put(Outgoing {
                to: Destination::Inbox,
                partition: Some(lane),
                key: Some(Bytes::from(deployment.name.clone())),
                value: Payload::Bytes(Bytes::from(deployment.text.clone())),
                headers: headers.clone(),
            })?;
        }
        Ok(())
    }

    fn publish(&self, deployment: &Deployment) -> Result<(), Problem> {
        let value = deployment.encode().map_err(|error| {
            Problem::refused("definition", format!("the definition can not be written: {error}"))
        })?;
        self.broker.put(Outgoing {
            to: Destination::Definitions,
            partition: None,
            key: Some(Bytes::from(deployment.name.clone())),
            value: Payload::Bytes(value),
            headers: vec![Header::text(header::CONTENT_TYPE, header::JSON)],
        })?;
        Ok(())
    }
}

fn refused(checked: &Checked) -> Problem {
    let errors =
        checked.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let first = checked.diagnostics.iter().find(|found| found.severity == Severity::Error);
    let first = first.map_or_else(String::new, |found| {
        format!("; the first, at {}:{}: {} {}", found.line, found.column, found.code, found.message)
    });
    Problem::refused("definition", format!("the definition has {errors} errors{first}"))
        .with("diagnostics", saga::to_json("definition", checked))
}

/// A Kafka makes no users' topics unasked: their settings are their owner's.
fn no_topic(topic: &Topic, text: &str, why: &str) -> Problem {
    let at = text.find(topic.as_str()).unwrap_or(0);
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let found = Diagnostic {
        code: "E601",
        severity: Severity::Error,
        message: format!("topic `{topic}` does not exist"),
        file: None,
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        span: (at, at + topic.as_str().len()),
        label: None,
        help: Some(format!(
            "kafka-topics.sh --bootstrap-server HOST:PORT --create --topic {topic}"
        )),
    };
    let checked = Checked { plan: None, diagnostics: vec![found], imported: BTreeMap::new() };
    Problem::refused("no_topic", format!("topic `{topic}` does not exist, and {why}"))
        .with("diagnostics", saga::to_json("definition", &checked))
        .with("topic", json!(topic.as_str()))
}
