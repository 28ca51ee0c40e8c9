//! Names on the wire: topics, headers, types.

use crate::{AgentName, Destination, Header, Outgoing, Topic};

/// Our topics under one configurable prefix, `pavane.` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self::with_prefix("pavane.")
    }
}

impl Topics {
    /// Topics under this prefix, which is put before each name as it stands.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn named(&self, name: &str) -> Topic {
        Topic::from(format!("{}{name}", self.prefix))
    }

    /// A consumer group of ours, by the same prefix.
    #[must_use]
    pub fn group(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Where everything that the coordinator must hear of goes.
    #[must_use]
    pub fn inbox(&self) -> Topic {
        self.named("inbox")
    }

    /// What was decided.
    #[must_use]
    pub fn journal(&self) -> Topic {
        self.named("journal")
    }

    /// State as of a place in the journal.
    #[must_use]
    pub fn snapshots(&self) -> Topic {
        self.named("snapshots")
    }

    /// The public lifecycle events.
    #[must_use]
    pub fn events(&self) -> Topic {
        self.named("events")
    }

    /// The newest definition of each saga.
    #[must_use]
    pub fn definitions(&self) -> Topic {
        self.named("definitions")
    }

    /// Commands for one agent.
    #[must_use]
    pub fn tasks(&self, agent: &AgentName) -> Topic {
        self.named(&format!("tasks.{agent}"))
    }

    /// The agent whose commands stand on that topic.
    #[must_use]
    pub fn agent_of(&self, topic: &Topic) -> Option<AgentName> {
        let agent = topic.as_str().strip_prefix(&self.prefix)?.strip_prefix("tasks.")?;
        (!agent.ends_with(".dlq")).then(|| AgentName::from(agent))
    }

    /// Who alone writes to that topic, where it is one of ours that is not for users to write.
    #[must_use]
    pub fn only_writer(&self, topic: &Topic) -> Option<&'static str> {
        let name = topic.as_str();
        if name.ends_with(".dlq") {
            return Some("whoever of pavane refuses a record");
        }
        let name = name.strip_prefix(&self.prefix)?;
        match name {
            "journal" | "snapshots" | "events" => Some("the coordinator"),
            "definitions" => Some("the gateway"),
            "redrives" => Some("the dead-letter service"),
            _ if name.starts_with("tasks.") => Some("the coordinator"),
            _ => None,
        }
    }

    /// The dead letters of a topic.
    #[must_use]
    pub fn dead_letters(&self, topic: &Topic) -> Topic {
        Topic::from(format!("{topic}.dlq"))
    }

    /// The topic that a destination names.
    #[must_use]
    pub fn resolve(&self, to: &Destination) -> Topic {
        match to {
            Destination::Inbox => self.inbox(),
            Destination::Events => self.events(),
            Destination::Tasks(agent) => self.tasks(agent),
            Destination::Definitions => self.definitions(),
            Destination::Named(topic) => topic.clone(),
            Destination::DeadLetters(of) => self.dead_letters(&self.resolve(of)),
        }
    }

    /// The topic of a record to send, and the record with what only the sender knows: a dead letter
    /// without KIP-1191's topic is given the one that its destination names.
    #[must_use]
    pub fn address(&self, mut record: Outgoing) -> (Topic, Outgoing) {
        if let Destination::DeadLetters(of) = &record.to
            && !record.headers.iter().any(|header| &*header.name == header::DEAD_TOPIC)
        {
            record.headers.push(Header::text(header::DEAD_TOPIC, self.resolve(of).as_str()));
        }
        (self.resolve(&record.to), record)
    }
}

/// Values of the header `ce_type`. They do not change with the topics' prefix.
pub mod ce_type {
    /// Every type of ours begins so.
    pub const PREFIX: &str = "pavane.";
    /// Into the inbox: begin a workflow.
    pub const START_WORKFLOW: &str = "pavane.StartWorkflow";
    /// Into the inbox: a definition, to every partition.
    pub const DEPLOY_SAGA: &str = "pavane.DeploySaga";
    /// A do or an undo has worked.
    pub const TASK_COMPLETED: &str = "pavane.TaskCompleted";
    /// A do or an undo has not worked.
    pub const TASK_FAILED: &str = "pavane.TaskFailed";
    /// The undo came for something never done.
    pub const NOTHING_TO_UNDO: &str = "pavane.NothingToUndo";
    /// The answer to a query.
    pub const TASK_STATUS: &str = "pavane.TaskStatus";
    /// A sign of life.
    pub const TASK_PROGRESS: &str = "pavane.TaskProgress";
    /// Operators' verbs.
    pub const CANCEL_WORKFLOW: &str = "pavane.CancelWorkflow";
    /// Try the task again.
    pub const RETRY_TASK: &str = "pavane.RetryTask";
    /// Go on without it.
    pub const SKIP_TASK: &str = "pavane.SkipTask";
    /// State by hand how it ended.
    pub const RESOLVE_TASK: &str = "pavane.ResolveTask";
    /// Go on after a pause.
    pub const CONTINUE_WORKFLOW: &str = "pavane.ContinueWorkflow";
    /// Into the inbox: an event on a user's topic that a task may wait for.
    pub const DOMAIN_EVENT: &str = "pavane.DomainEvent";
    /// Into the inbox: a word to a running workflow.
    pub const SIGNAL: &str = "pavane.Signal";
    /// Into the inbox, from a workflow to its child: stop, and undo what was done.
    pub const UNWIND_WORKFLOW: &str = "pavane.UnwindWorkflow";
    /// Out to a participant: do it.
    pub const DO_TASK: &str = "pavane.DoTask";
    /// Out to a participant: undo it.
    pub const UNDO_TASK: &str = "pavane.UndoTask";
    /// Out to a participant: was it done?
    pub const QUERY_TASK: &str = "pavane.QueryTask";
    /// Out to a participant: stop if you still can.
    pub const CANCEL_TASK: &str = "pavane.CancelTask";
}

/// Names of headers.
pub mod header {
    /// CloudEvents' version, `1.0`.
    pub const SPECVERSION: &str = "ce_specversion";
    /// CloudEvents' id; a command's is its subject.
    pub const ID: &str = "ce_id";
    /// CloudEvents' source.
    pub const SOURCE: &str = "ce_source";
    /// CloudEvents' type.
    pub const TYPE: &str = "ce_type";
    /// CloudEvents' subject.
    pub const SUBJECT: &str = "ce_subject";
    /// CloudEvents' time, RFC 3339.
    pub const TIME: &str = "ce_time";
    /// CloudEvents' sequence extension: 1, 2, 3... in each run.
    pub const SEQUENCE: &str = "ce_sequence";
    /// `Integer`
    pub const SEQUENCE_TYPE: &str = "ce_sequencetype";
    /// The value's media type.
    pub const CONTENT_TYPE: &str = "content-type";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// The saga's identity.
    pub const SAGA: &str = "pavane_saga";
    /// The definition's version.
    pub const VERSION: &str = "pavane_version";
    /// A deployment's number within its saga; the highest is the newest.
    pub const REVISION: &str = "pavane_revision";
    /// The operation that a command asks for.
    pub const TASK_TYPE: &str = "pavane_type";
    /// The run.
    pub const RUN: &str = "pavane_run";
    /// The same in every attempt, and in the undo, query and cancel that are about it.
    pub const IDEMPOTENCY_KEY: &str = "pavane_idempotency_key";
    /// The workflow's compensation epoch.
    pub const EPOCH: &str = "pavane_epoch";
    /// RFC 3339, UTC, milliseconds.
    pub const DEADLINE: &str = "pavane_deadline";
    /// `partition/lane epoch/journal offset`, for diagnosis only.
    pub const FENCE: &str = "pavane_fence";
    /// Who an operator is.
    pub const ACTOR: &str = "pavane_actor";
    /// Set once on a record that was forwarded to its right partition: the place that it came from.
    pub const FORWARDED: &str = "pavane_forwarded";
    /// KIP-1191: the topic that a dead letter came from.
    pub const DEAD_TOPIC: &str = "__dlq.errors.topic";
    /// An event on a user's topic: `topic/Name`.
    pub const EVENT: &str = "pavane_event";
    /// Where that event stands: `topic/partition/offset`.
    pub const EVENT_RECORD: &str = "pavane_record";
    /// That event's key, where it has one that is text.
    pub const EVENT_KEY: &str = "pavane_event_key";
    /// When that event was published, RFC 3339.
    pub const EVENT_TIME: &str = "pavane_event_time";
    /// That event's own headers, a JSON map of text.
    pub const EVENT_HEADERS: &str = "pavane_event_headers";
    /// A signal's name.
    pub const SIGNAL: &str = "pavane_signal";
    /// On a child's start: the subject of the command that asks for it.
    pub const PARENT: &str = "pavane_parent";
    /// On a child's start: how deep it stands below the workflow that is nobody's child.
    pub const DEPTH: &str = "pavane_depth";
    /// Those that nearly every record has, the most frequent first: what a reader looks a name up in.
    pub(crate) const FREQUENT: [&str; 17] = [
        ID,
        TYPE,
        SUBJECT,
        SOURCE,
        SPECVERSION,
        TIME,
        SEQUENCE,
        SEQUENCE_TYPE,
        CONTENT_TYPE,
        TRACEPARENT,
        SAGA,
        RUN,
        IDEMPOTENCY_KEY,
        TASK_TYPE,
        EPOCH,
        DEADLINE,
        FENCE,
    ];
    /// Media type of the user's JSON.
    pub const JSON: &str = "application/json";
    /// Media type of our events.
    pub const AVRO: &str = "application/avro";
}
