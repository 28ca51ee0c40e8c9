//! What of the language is drawn: what the engine can do. A feature is switched on when it can.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "named here, switched on below")]
pub(crate) enum Feature {
    /// `tasks`, `sequential`
    Groups,
    /// On data, one case or many.
    Choice,
    When,
    /// `any`, `n_of`, `discriminator`
    Joins,
    ForEach,
    Optional,
    Fallback,
    /// Of what others stand in.
    GroupFallback,
    /// `on_failure` of the file and of tasks.
    Strategies,
    /// `on_failure` of groups.
    Savepoints,
    /// `then` of the file's `on_failure`.
    Closing,
    /// `parallel: false`
    Alone,
    /// `order: strict`
    Strict,
    Wait,
}

/// What the checker takes.
pub(crate) const READ: &[Feature] = &[
    Feature::Groups,
    Feature::Choice,
    Feature::When,
    Feature::Joins,
    Feature::ForEach,
    Feature::Optional,
    Feature::Fallback,
    Feature::GroupFallback,
    Feature::Strategies,
    Feature::Savepoints,
    Feature::Closing,
    Feature::Alone,
    Feature::Strict,
    Feature::Wait,
];

/// What the engine runs.
pub(crate) const RUN: &[Feature] = &[
    Feature::Groups,
    Feature::When,
    Feature::Optional,
    Feature::Choice,
    Feature::Alone,
    Feature::Wait,
];

/// A rule that the engine breaks, as is known; while it stands in [`BROKEN`] nothing is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A run whose tasks were skipped behind a failure is partial, even if the failure turns out to be a
    /// success.
    PartialStays,
    /// A late success of what was undone is undone once more, also after a run that went on without it.
    LateSuccess,
    /// What TaskCompleted, or an operator, says of a task that has a fallback is what others see.
    OneOutput,
    /// What was undone before its fallback began, and that is stopped, stays undone and is listed so.
    UndoneBeforeFallback,
    /// `order: strict` counts an undo that is out, also when a late success has made it worthless.
    StrictWhenLate,
    /// What was done and is undone has no output, for what depends on it and for what it stands in.
    UndoneIsNull,
    /// `order: strict` comes to an end where a join did not wait for what has finished last.
    StrictAny,
    /// The failure of what was cancelled because others were first does not make the run partial.
    LosersDoNotCount,
    /// After the end of a run that failed fast, what was in doubt has no more events but of its undo.
    QuietAfterEnd,
    /// Whether a join is skipped, or impossible, does not depend on what is skipped first.
    SkippedFirst,
}

pub(crate) const BROKEN: &[Rule] = &[
    Rule::PartialStays,
    Rule::LateSuccess,
    Rule::OneOutput,
    Rule::UndoneBeforeFallback,
    Rule::StrictWhenLate,
    Rule::UndoneIsNull,
    Rule::StrictAny,
    Rule::LosersDoNotCount,
    Rule::QuietAfterEnd,
    Rule::SkippedFirst,
];

pub(crate) fn holds(rule: Rule) -> bool {
    !BROKEN.contains(&rule)
}
