//! The keys of the language, place by place: those that this build runs, and those that it refuses
//! by name, with what can be used in their place.

use super::findings::{Finding, Findings};
use crate::yaml::Entry;

/// The keys of one place.
pub(super) struct Keys {
    /// For messages: "in a task".
    place: &'static str,
    here: &'static [&'static str],
    /// In the language, not in this build: key, and what to do without it.
    absent: &'static [(&'static str, &'static str)],
}

const ORDER_BY_GRAPH: &str = "list the tasks under `tasks` and order them by `depends_on`";
const SHORT_FORM: &str =
    "write the file in full: `name`, and `tasks` with `id`, `agent`, `depends_on`";
const NO_CHOICE: &str =
    "a saga here runs all of its tasks; let the participant decide what there is to do";
const BY_AGENT: &str = "use `agent: NAME` and let the participant do it";
const COMPENSATE_ONLY: &str = "leave it out: a failure compensates";
const AGENT_ONLY: &str = "name one agent: `agent: NAME`";
const DECLARE_TYPE: &str = "use the types `string integer number boolean timestamp duration object any \
                            dataset list<T> map<T>`";
const LEAVE_OUT: &str = "leave it out";

pub(super) const FILE: Keys = Keys {
    place: "the file",
    here: &[
        "version",
        "name",
        "description",
        "labels",
        "key",
        "on_duplicate",
        "inputs",
        "topics",
        "triggers",
        "tasks",
        "outputs",
        "defaults",
        "timeout",
        "compensation",
        "max_parallel",
        "imports",
        "templates",
    ],
    absent: &[
        ("types", DECLARE_TYPE),
        ("on_failure", COMPENSATE_ONLY),
        ("keep_early", "leave it out: tasks here wait for no events"),
        ("concurrency", "`max_parallel` bounds the tasks of one workflow"),
        ("migrations", "workflows keep the version that they began with"),
        ("apis", BY_AGENT),
        ("priority", LEAVE_OUT),
        ("goals", LEAVE_OUT),
        ("budget", LEAVE_OUT),
        ("sla", "use `timeout` and `deadline`"),
        ("workflow_dsl", SHORT_FORM),
        ("scenario", SHORT_FORM),
        ("workflow", SHORT_FORM),
        ("orchestration", SHORT_FORM),
        ("choreography", SHORT_FORM),
    ],
};

pub(super) const INPUT: Keys = Keys {
    place: "an input",
    here: &["name", "type", "required", "default", "description"],
    absent: &[("schema", DECLARE_TYPE)],
};

pub(super) const TOPIC: Keys = Keys {
    place: "a topic",
    here: &["topic", "format", "event_name"],
    absent: &[(
        "correlate",
        "leave it out: an event here only starts workflows, under the saga's `key`",
    )],
};

pub(super) const TRIGGER: Keys = Keys {
    place: "a trigger",
    here: &["event", "where", "inputs"],
    absent: &[
        ("schedule", "start workflows on time through the HTTP API or an event"),
        ("timezone", "start workflows on time through the HTTP API or an event"),
        ("missed", "start workflows on time through the HTTP API or an event"),
        ("webhook", "start workflows through the HTTP API: POST /v1/workflows"),
    ],
};

pub(super) const OUTPUT: Keys = Keys { place: "an output", here: &["name", "from"], absent: &[] };

pub(super) const DEFAULTS: Keys = Keys {
    place: "defaults",
    here: &["timeout", "retry", "deadline", "in_doubt", "kind"],
    absent: &[("priority", LEAVE_OUT)],
};

pub(super) const COMPENSATION: Keys = Keys {
    place: "compensation",
    here: &["order", "retry", "timeout", "grace", "on_blocked"],
    absent: &[],
};

pub(super) const RETRY: Keys = Keys {
    place: "retry",
    here: &["max_attempts", "backoff", "factor", "max_backoff", "jitter", "only", "never"],
    absent: &[],
};

pub(super) const UNDO: Keys = Keys {
    place: "compensate",
    here: &["agent", "type", "inputs", "timeout", "retry"],
    absent: &[
        (
            "when",
            "leave it out: the undo carries the status and the participant may answer NothingToUndo",
        ),
        ("emit", BY_AGENT),
        ("await", BY_AGENT),
        ("wait", BY_AGENT),
        ("http", BY_AGENT),
        ("graphql", BY_AGENT),
        ("grpc", BY_AGENT),
        ("saga", BY_AGENT),
        ("tasks", "one command undoes one task"),
        ("sequential", "one command undoes one task"),
        ("use", "write the undo out"),
    ],
};

pub(super) const JOIN: Keys = Keys {
    place: "depends_on",
    here: &["all"],
    absent: &[
        ("any", "use a list: the task starts when all of them are settled"),
        ("n_of", "use a list: the task starts when all of them are settled"),
        ("tasks", "use a list: the task starts when all of them are settled"),
        ("rest", "use a list: the task starts when all of them are settled"),
        ("discriminator", "use a list: the task starts when all of them are settled"),
    ],
};

pub(super) const TASK: Keys = Keys {
    place: "a task",
    here: &[
        "id",
        "description",
        "labels",
        "type",
        "agent",
        "inputs",
        "returns",
        "depends_on",
        "timeout",
        "deadline",
        "retry",
        "kind",
        "compensate",
        "in_doubt",
        "idempotency",
    ],
    absent: &[
        ("when", NO_CHOICE),
        ("parallel", "tasks run at once unless `depends_on` orders them"),
        ("for_each", "give the participant the whole list"),
        ("repeat", "let the participant repeat it"),
        ("accept", "let the participant answer TaskFailed"),
        ("query", "leave it out: with `in_doubt: query` the agent is asked by QueryTask"),
        ("delegation", LEAVE_OUT),
        ("fallback", "let the participant do it, or use `retry`"),
        ("optional", "let the participant answer TaskCompleted with an output that says so"),
        ("on_failure", COMPENSATE_ONLY),
        ("use", "write the task out"),
        ("priority", LEAVE_OUT),
        ("estimate", LEAVE_OUT),
        ("complexity", LEAVE_OUT),
        ("cost", LEAVE_OUT),
        ("resources", "`max_parallel` bounds the tasks of one workflow"),
        ("locks", "let the participant lock what it owns"),
        ("heartbeat", "use `timeout`"),
        ("sla", "use `timeout` and `deadline`"),
        ("redact", LEAVE_OUT),
        ("emit", BY_AGENT),
        ("await", "use `agent: NAME`; the participant answers when the event has come"),
        ("wait", BY_AGENT),
        ("choice", NO_CHOICE),
        ("pick", NO_CHOICE),
        ("tasks", ORDER_BY_GRAPH),
        ("sequential", ORDER_BY_GRAPH),
        ("outputs", "a task's output is what its agent answers"),
        ("saga", "start the other saga from a participant, through the HTTP API or a topic"),
        ("http", BY_AGENT),
        ("graphql", BY_AGENT),
        ("grpc", BY_AGENT),
        ("human", BY_AGENT),
        ("external", BY_AGENT),
        ("vote", AGENT_ONLY),
        ("auction", AGENT_ONLY),
        ("lead", AGENT_ONLY),
        ("trail", AGENT_ONLY),
    ],
};

/// What says what a task does; `agent` alone is in this build.
pub(super) const ACTIONS: [&str; 16] = [
    "agent",
    "emit",
    "await",
    "wait",
    "choice",
    "tasks",
    "sequential",
    "saga",
    "http",
    "graphql",
    "grpc",
    "human",
    "external",
    "vote",
    "auction",
    "lead",
];

impl Keys {
    /// Whether the language has this key here, in this build or not.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.here.contains(&key) || self.absent.iter().any(|(absent, _)| *absent == key)
    }

    /// Refuses what is not in the language, or not in this build.
    pub(super) fn check(&self, entries: &[Entry], findings: &mut Findings) {
        for entry in entries {
            let key = entry.key.as_str();
            if self.here.contains(&key) {
                continue;
            }
            let finding = match self.absent.iter().find(|(absent, _)| *absent == key) {
                Some((_, instead)) => not_in_this_build(key, entry.key_span, instead),
                None => {
                    let message = format!("unknown key `{key}` in {}", self.place);
                    let known = self.here.iter().chain(self.absent.iter().map(|(key, _)| key));
                    Finding::error("E102", entry.key_span, message)
                        .near(key, known.copied())
                        .help(format!("keys here: {}", self.here.join(" ")))
                }
            };
            findings.push(finding);
        }
    }
}

/// E113, for a key or for one of its values.
pub(super) fn not_in_this_build(what: &str, span: super::Span, instead: &str) -> Finding {
    Finding::error("E113", span, format!("`{what}` is in the language but not in this build"))
        .help(instead)
}
