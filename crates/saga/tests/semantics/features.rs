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
    /// `emit`, and `emit` with `await`.
    Topics,
    /// `await` alone, of events and signals.
    Await,
    /// `choice` on events and time.
    Race,
    /// `deadline`
    Deadline,
    /// `idempotency: none`
    Once,
    /// `inputs` of an undo.
    Declared,
    /// `outputs` of a group.
    Gives,
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
    Feature::Topics,
    Feature::Await,
    Feature::Race,
    Feature::Deadline,
    Feature::Once,
    Feature::Declared,
    Feature::Gives,
];

/// What the engine runs.
pub(crate) const RUN: &[Feature] = READ;

/// What the judge outside is known to follow. It does not yet follow the fallback of an element, what is
/// undone behind a fallback, an operator's retry of an impossible join, and what `fail_fast` leaves in doubt.
pub(crate) const OUTSIDE: &[Feature] = &[
    Feature::Groups,
    Feature::When,
    Feature::Optional,
    Feature::Choice,
    Feature::Alone,
    Feature::Wait,
];
