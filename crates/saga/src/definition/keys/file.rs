//! The keys of the file itself.

use super::task::{RETRY, TASK, TEMPLATE};
use super::{Key, Keys, Shape, key};

const SHORT_FORM: &str =
    "write the file in full: `name`, and `tasks` with `id`, `agent`, `depends_on`";
const BY_AGENT: &str = "use `agent: NAME` and let the participant do it";
const BY_EVENT: &str = "start workflows by an event, or through the HTTP API: POST /v1/workflows";
const DECLARE_TYPE: &str = "use the types `string integer number boolean timestamp duration object any \
                            dataset list<T> map<T>`";
const LEAVE_OUT: &str = "leave it out";

const STRATEGIES: Shape = Shape::Words(&["compensate", "continue", "fail_fast", "pause"]);

pub(in super::super) static FILE: Keys = Keys {
    place: "the file",
    here: &[&[
        key("version", Shape::Words(&["2.0"]), "Version of the language, quoted."),
        key("name", Shape::Text, "Name of the saga; its kebab-case form is its identity."),
        key("description", Shape::Text, "Shown and searchable; not part of the version."),
        key("labels", Shape::MapOf(&Shape::Text), "Searchable; not part of the version."),
        key("key", Shape::Expr, "The business key, from `inputs` only."),
        key(
            "on_duplicate",
            Shape::Words(&["ignore", "reject"]),
            "What becomes of a start whose key exists.",
        ),
        key("inputs", Shape::ListOf(&Shape::Keys(&INPUT)), "What a workflow is started with."),
        key("topics", Shape::MapOf(&Shape::Keys(&TOPIC)), "Short names for topics of yours."),
        key("triggers", Shape::ListOf(&Shape::Keys(&TRIGGER)), "Events that start a workflow."),
        key("tasks", Shape::ListOf(&Shape::Keys(&TASK)), "What there is to do."),
        key("outputs", Shape::ListOf(&Shape::Keys(&OUTPUT)), "What a completed workflow gives."),
        key("defaults", Shape::Keys(&DEFAULTS), "For the tasks that do not say."),
        key("timeout", Shape::Duration, "For the forward work of the whole run; 24h."),
        key(
            "on_failure",
            Shape::OneOf(&[STRATEGIES, Shape::Keys(&ON_FAILURE)]),
            "What follows when a task fails for good.",
        ),
        key("compensation", Shape::Keys(&COMPENSATION), "How undos are done."),
        key(
            "keep_early",
            Shape::Duration,
            "How long an event is kept that comes before its workflow or its task; 10m.",
        ),
        key("max_parallel", Shape::Int, "Tasks of one workflow in flight at once; 100."),
        key("imports", Shape::MapOf(&Shape::Text), "Files whose templates are used, by an alias."),
        key(
            "templates",
            Shape::MapOf(&Shape::Keys(&TEMPLATE)),
            "Bodies of tasks, for those that `use` them.",
        ),
    ]],
    absent: &[
        ("types", DECLARE_TYPE),
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

pub(in super::super) static INPUT: Keys = Keys {
    place: "an input",
    here: &[&[
        key("name", Shape::Id, "Its name in expressions."),
        key("type", Shape::Type, "What it may be; any."),
        key("required", Shape::Bool, "Whether it must be given; true where there is no default."),
        key("default", Shape::Value, "Its value where none is given."),
        key("description", Shape::Text, "Shown; not part of the version."),
    ]],
    absent: &[("schema", DECLARE_TYPE)],
};

pub(in super::super) static TOPIC: Keys = Keys {
    place: "a topic",
    here: &[&[
        key("topic", Shape::Name, "The topic's whole name."),
        key(
            "format",
            Shape::Words(&["auto", "json", "text"]),
            "How its records are written; found out.",
        ),
        key("event_name", Shape::Expr, "How a record tells its event's name."),
        key("correlate", Shape::Expr, "The business key that a record is about; `${event.key}`."),
    ]],
    absent: &[],
};

pub(in super::super) static TRIGGER: Keys = Keys {
    place: "a trigger",
    here: &[&[
        key("event", Shape::Event, "The event that starts a workflow."),
        key("where", Shape::Expr, "Only those events for which this is true."),
        key("inputs", Shape::Value, "The workflow's inputs, from `event`; its value."),
    ]],
    absent: &[
        ("schedule", BY_EVENT),
        ("timezone", BY_EVENT),
        ("missed", BY_EVENT),
        ("webhook", "start workflows through the HTTP API: POST /v1/workflows"),
    ],
};

pub(in super::super) static OUTPUT: Keys = Keys {
    place: "an output",
    here: &[&[
        key("name", Shape::Id, "Its name."),
        key("from", Shape::Value, "A path, `shipment.output.tracking`, or `${...}`."),
    ]],
    absent: &[],
};

static KINDS: [Key; 1] = [key(
    "kind",
    Shape::Words(&["compensatable", "pivot", "retriable", "readonly"]),
    "What may be said of undoing them.",
)];

pub(in super::super) static DEFAULTS: Keys = Keys {
    place: "defaults",
    here: &[
        &[
            key("timeout", Shape::Duration, "One attempt; 1m."),
            key(
                "retry",
                Shape::OneOf(&[Shape::Int, Shape::Keys(&RETRY)]),
                "Attempts and the waits between them.",
            ),
            key("deadline", Shape::Duration, "All attempts and waits together, from ready."),
            key(
                "in_doubt",
                Shape::Words(&["undo", "query", "hold"]),
                "What follows when the outcome is unknown.",
            ),
        ],
        &KINDS,
    ],
    absent: &[("priority", LEAVE_OUT)],
};

pub(in super::super) static COMPENSATION: Keys = Keys {
    place: "compensation",
    here: &[&[
        key(
            "order",
            Shape::Words(&["graph", "strict"]),
            "`graph`: as the graph allows; `strict`: one at a time, the last first.",
        ),
        key(
            "retry",
            Shape::OneOf(&[Shape::Int, Shape::Keys(&RETRY)]),
            "Attempts of an undo; 20, from 1s to 5m apart.",
        ),
        key("timeout", Shape::Duration, "One attempt of an undo; 1m."),
        key("grace", Shape::Duration, "How long a task in flight has to answer a cancel; 30s."),
        key(
            "on_blocked",
            Shape::Words(&["wait", "go_on"]),
            "Whether undos behind a blocked one wait.",
        ),
    ]],
    absent: &[],
};

pub(in super::super) static ON_FAILURE: Keys = Keys {
    place: "on_failure",
    here: &[&[
        key("strategy", STRATEGIES, "What follows when a task fails for good."),
        key(
            "then",
            Shape::ListOf(&Shape::Keys(&TASK)),
            "Tasks that run once the failure is dealt with, each retriable or readonly.",
        ),
    ]],
    absent: &[],
};
