//! The keys of a task and of what stands in one.

use super::file::{ON_FAILURE, OUTPUT};
use super::{Key, Keys, Shape, key};

const BY_AGENT: &str = "use `agent: NAME` and let the participant do it";
const AGENT_ONLY: &str = "name one agent: `agent: NAME`";
const LEAVE_OUT: &str = "leave it out";
const TEMPLATE_OF: &str =
    "The template, or `alias.template`, of which it has what it does not say.";
const ONE_UNDO: &str =
    "an undo is one `agent`, `emit`, `await` or `saga`; let a child saga do more";

const RETRIES: Shape = Shape::OneOf(&[Shape::Int, Shape::Keys(&RETRY)]);
const NAMES: Shape = Shape::ListOf(&Shape::Id);
const EMITS: Shape = Shape::OneOf(&[Shape::Event, Shape::Keys(&EMIT)]);
const AWAITS: Shape = Shape::OneOf(&[Shape::Event, Shape::Keys(&AWAIT)]);
const SAGAS: Shape = Shape::OneOf(&[Shape::Text, Shape::Keys(&SAGA)]);
const EVENTS: Shape = Shape::OneOf(&[Shape::Event, Shape::ListOf(&Shape::Event)]);

/// A function, since a constant may not lead to a table that holds it.
const fn tasks() -> Shape {
    Shape::ListOf(&A_TASK)
}

static A_TASK: Shape = Shape::Keys(&TASK);

/// What a task that has a place among others says of it.
static STANDING: [Key; 5] = [
    key("id", Shape::Id, "Its name, unique in the file."),
    key(
        "depends_on",
        Shape::OneOf(&[NAMES, Shape::Keys(&JOIN)]),
        "What must have happened before it starts.",
    ),
    key("when", Shape::Expr, "Asked once, when it could start; false: it is skipped."),
    key("parallel", Shape::Bool, "False: never at the same time as another such task beside it."),
    key("optional", Shape::Bool, "It may fail: the run goes on."),
];

/// What a task does, and how.
static BODY: [Key; 26] = [
    key("use", Shape::Text, TEMPLATE_OF),
    key("description", Shape::Text, "Shown and searchable; not part of the version."),
    key("labels", Shape::MapOf(&Shape::Text), "Searchable; not part of the version."),
    key("type", Shape::Id, "The operation, sent in the command; the id."),
    key("agent", Shape::Name, "Who does it, by a command."),
    key("emit", EMITS, "An event to send."),
    key("await", AWAITS, "An event or a signal to wait for."),
    key("wait", Shape::OneOf(&[Shape::Duration, Shape::Keys(&WAIT)]), "A time to wait for."),
    key("choice", Shape::ListOf(&Shape::Keys(&CASE)), "Cases, of which one is taken."),
    key("pick", Shape::Words(&["many"]), "`many`: every case that is true is taken."),
    key("tasks", tasks(), "A group: tasks in the order of their graph."),
    key("sequential", tasks(), "A group: tasks in the order of the list."),
    key("outputs", Shape::ListOf(&Shape::Keys(&OUTPUT)), "What a group gives; its tasks' outputs."),
    key("saga", SAGAS, "Another saga, as a child."),
    key(
        "for_each",
        Shape::OneOf(&[Shape::Expr, Shape::Keys(&FOR_EACH)]),
        "A list: the task runs once for each element.",
    ),
    key(
        "inputs",
        Shape::OneOf(&[Shape::MapOf(&Shape::Value), NAMES, Shape::Expr]),
        "What it is given.",
    ),
    key("returns", Shape::MapOf(&Shape::Type), "The shape of its output."),
    key("timeout", Shape::Duration, "One attempt; 1m for `agent` and `emit`."),
    key(
        "deadline",
        Shape::OneOf(&[Shape::Duration, Shape::Expr]),
        "All attempts and waits together, from ready; or a timestamp.",
    ),
    key("retry", RETRIES, "Attempts and the waits between them."),
    key(
        "kind",
        Shape::Words(&["compensatable", "pivot", "retriable", "readonly"]),
        "What may be said of undoing it.",
    ),
    key("compensate", Shape::OneOf(&[Shape::Id, Shape::Keys(&UNDO)]), "Its undo."),
    key(
        "in_doubt",
        Shape::Words(&["undo", "query", "hold"]),
        "What follows when the outcome is unknown.",
    ),
    key(
        "idempotency",
        Shape::OneOf(&[Shape::Words(&["key", "natural", "none"]), Shape::Expr]),
        "What makes its idempotency key, or that repeating it is harmless or not.",
    ),
    key("fallback", Shape::Keys(&FALLBACK), "Runs after its last attempt has failed."),
    key(
        "on_failure",
        Shape::OneOf(&[
            Shape::Words(&["compensate", "continue", "fail_fast", "pause"]),
            Shape::Keys(&ON_FAILURE),
        ]),
        "What follows when it, or what stands in it, fails for good.",
    ),
];

const LATER: &[(&str, &str)] = &[
    ("repeat", "let the participant repeat it"),
    ("accept", "let the participant answer TaskFailed"),
    ("query", "leave it out: with `in_doubt: query` the agent is asked by QueryTask"),
    ("delegation", LEAVE_OUT),
    ("priority", LEAVE_OUT),
    ("estimate", LEAVE_OUT),
    ("complexity", LEAVE_OUT),
    ("cost", LEAVE_OUT),
    (
        "resources",
        "`max_parallel` bounds the tasks of one workflow, `concurrency` those of a `for_each`",
    ),
    ("locks", "let the participant lock what it owns"),
    ("heartbeat", "use `timeout`"),
    ("sla", "use `timeout` and `deadline`"),
    ("redact", LEAVE_OUT),
    ("http", BY_AGENT),
    ("graphql", BY_AGENT),
    ("grpc", BY_AGENT),
    ("human", "await a signal: `await: signal/approved`"),
    ("external", BY_AGENT),
    ("vote", AGENT_ONLY),
    ("auction", AGENT_ONLY),
    ("lead", AGENT_ONLY),
    ("trail", AGENT_ONLY),
];

pub(in super::super) static TASK: Keys =
    Keys { place: "a task", here: &[&STANDING, &BODY], absent: LATER };

/// It stands where its task does and when that has failed: it has no place of its own.
pub(in super::super) static FALLBACK: Keys =
    Keys { place: "a fallback", here: &[&BODY], absent: LATER };

/// For those that `use` it.
pub(in super::super) static TEMPLATE: Keys =
    Keys { place: "a template", here: &[&STANDING, &BODY], absent: LATER };

/// What says what a task does.
pub(in super::super) const ACTIONS: [&str; 8] =
    ["agent", "emit", "await", "wait", "choice", "tasks", "sequential", "saga"];

/// The same, not in this build.
pub(in super::super) const LATER_ACTIONS: [&str; 9] =
    ["http", "graphql", "grpc", "human", "external", "vote", "auction", "lead", "trail"];

pub(in super::super) static RETRY: Keys = Keys {
    place: "retry",
    here: &[&[
        key("max_attempts", Shape::Int, "The first one included; 3."),
        key("backoff", Shape::Duration, "The first wait; 1s."),
        key("factor", Shape::Number, "From one wait to the next; 2."),
        key("max_backoff", Shape::Duration, "No wait is longer; 1m."),
        key("jitter", Shape::Number, "Share of the wait that is spread, 0 to 1; 0.5."),
        key("only", Shape::ListOf(&Shape::Text), "Only these error codes."),
        key("never", Shape::ListOf(&Shape::Text), "Never these error codes."),
    ]],
    absent: &[],
};

pub(in super::super) static UNDO: Keys = Keys {
    place: "compensate",
    here: &[&[
        key("use", Shape::Text, TEMPLATE_OF),
        key("agent", Shape::Name, "Who does it; the agent of the task."),
        key("type", Shape::Id, "The operation; that of the task."),
        key("emit", EMITS, "An event to send."),
        key("await", AWAITS, "An event or a signal to wait for."),
        key("saga", SAGAS, "Another saga, as a child."),
        key("inputs", Shape::Value, "What it is given; `original` whole."),
        key("when", Shape::Expr, "False: there is nothing to undo."),
        key("timeout", Shape::Duration, "One attempt."),
        key("retry", RETRIES, "Attempts and the waits between them."),
        key("description", Shape::Text, "Shown; not part of the version."),
    ]],
    absent: &[
        ("wait", ONE_UNDO),
        ("choice", "say with `when` whether there is something to undo; a child saga may choose"),
        ("tasks", ONE_UNDO),
        ("sequential", ONE_UNDO),
        ("for_each", "give the participant the whole list; or undo each element by its own task"),
        ("http", BY_AGENT),
        ("graphql", BY_AGENT),
        ("grpc", BY_AGENT),
        ("human", "await a signal: `await: signal/approved`"),
        ("external", BY_AGENT),
    ],
};

pub(in super::super) static JOIN: Keys = Keys {
    place: "depends_on",
    here: &[&[
        key("all", NAMES, "Starts when all of them are settled."),
        key("any", NAMES, "Starts when the first of them is done; the rest go on."),
        key("n_of", Shape::Int, "Starts when so many of `tasks` are done."),
        key("tasks", NAMES, "Those that `n_of` counts."),
        key(
            "rest",
            Shape::Words(&["continue", "cancel"]),
            "What becomes of those that `n_of` no longer waits for.",
        ),
        key("discriminator", NAMES, "Starts when the first is done; the rest are cancelled."),
    ]],
    absent: &[],
};

pub(in super::super) static EMIT: Keys = Keys {
    place: "emit",
    here: &[&[
        key("event", Shape::Event, "Which event."),
        key("key", Shape::Value, "The record's key; that of the saga."),
        key("value", Shape::Value, "The record's value; the task's inputs."),
        key("headers", Shape::MapOf(&Shape::Value), "Headers beside ours."),
    ]],
    absent: &[],
};

pub(in super::super) static AWAIT: Keys = Keys {
    place: "await",
    here: &[&[
        key("event", EVENTS, "Any of these ends it well."),
        key("failed", EVENTS, "Any of these ends it as failed, with the event's name as its code."),
        key("where", Shape::Expr, "Only those events for which this is true."),
        key("correlate", Shape::Expr, "The business key that the event is about."),
    ]],
    absent: &[("equals", "let `correlate` give the saga's `key`, or test the value in `where`")],
};

pub(in super::super) static WAIT: Keys = Keys {
    place: "wait",
    here: &[&[key("until", Shape::Expr, "The time at which it is over.")]],
    absent: &[],
};

pub(in super::super) static CASE: Keys = Keys {
    place: "a case",
    here: &[&[
        key("id", Shape::Id, "Its name in the output; its number."),
        key("when", Shape::Expr, "Taken where this is true."),
        key("else", tasks(), "Tasks that run where no other case is taken."),
        key("event", Shape::Event, "Taken when this event comes first."),
        key("where", Shape::Expr, "Only those events for which this is true."),
        key("after", Shape::Duration, "Taken when nothing else has happened for so long."),
        key("then", tasks(), "Tasks that run if it is taken."),
    ]],
    absent: &[],
};

pub(in super::super) static FOR_EACH: Keys = Keys {
    place: "for_each",
    here: &[&[
        key("in", Shape::OneOf(&[Shape::Expr, Shape::ListOf(&Shape::Value)]), "Gives the list."),
        key("as", Shape::Id, "The name of an element; `item`."),
        key("concurrency", Shape::Int, "Elements in work at once; 10."),
        key(
            "at_least",
            Shape::OneOf(&[Shape::Int, Shape::Text]),
            "How many must succeed, a count or a share; all.",
        ),
    ]],
    absent: &[],
};

pub(in super::super) static SAGA: Keys = Keys {
    place: "saga",
    here: &[&[
        key("name", Shape::Text, "Its name."),
        key("hash", Shape::Text, "Its version; the newest."),
        key("max_depth", Shape::Int, "How deep children may stand in children; 3."),
    ]],
    absent: &[],
};
