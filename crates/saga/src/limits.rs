//! Bounds, each with its reason.

use std::time::Duration;

use events::planted;

/// The largest value of an inbox record that is taken, bytes. Below Kafka's default of 1 MiB for a
/// message, with room for headers and for what a journal record puts around it.
pub const INBOX_BYTES_MAX: usize = 900 * 1024;
/// Lists and maps within one another in a JSON value that comes in. A reader of JSON gives up at 128, and around
/// a value stand those of the records and answers that it is put into.
pub const JSON_DEPTH_MAX: usize = 100;
/// The same in a value that is computed, which is then put into a record that comes in again.
pub(crate) const RESULT_DEPTH_MAX: usize = 96;
/// The largest value of a DoTask, bytes; a task that would exceed it fails with `too_large`.
pub const COMMAND_BYTES_MAX: usize = 900 * 1024;
/// The largest value of an UndoTask or a QueryTask, bytes: a task's inputs and its output, and the
/// names around them.
pub const UNDO_BYTES_MAX: usize = COMMAND_BYTES_MAX + INBOX_BYTES_MAX + 64 * 1024;
/// The inputs and outputs that one workflow holds, together, bytes. Its state, in which a task's undo holds
/// both once more, and any decision about it then fit into a record of 8 MiB. A task that would exceed it fails,
/// or is in doubt, with `too_large`.
pub const WORKFLOW_BYTES_MAX: usize = 3 * 1024 * 1024;
/// The longest business key, bytes: docs/reference/records.md.
pub const BUSINESS_KEY_BYTES_MAX: usize = 512;
/// The longest workflow id, bytes: a saga's name of up to 100 characters, `:`, a business key.
pub(crate) const WORKFLOW_ID_BYTES_MAX: usize = 400 + 1 + BUSINESS_KEY_BYTES_MAX;
/// The longest code, name, id or header that is stored, bytes.
pub(crate) const WORD_BYTES_MAX: usize = 1024;
/// The longest subject of a command, bytes: a workflow's id, a task's with the elements that it stands in, a
/// number.
pub(crate) const COMMAND_SUBJECT_BYTES_MAX: usize = 2 * WORD_BYTES_MAX;
/// The longest key of an event on a user's topic that a workflow is shown, bytes.
pub const EVENT_KEY_BYTES_MAX: usize = 8 * 1024;
/// The headers of an event on a user's topic that a workflow is shown, as JSON, bytes: with a value of
/// [`INBOX_BYTES_MAX`] they fit into a message of Kafka's default size.
pub const EVENT_HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Free text (messages, reasons, notes) is cut here, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 8 * 1024;
/// How long an ended workflow is remembered: the dedup window.
pub const REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// The same, but for a mistake that may be planted.
pub(crate) fn remembered() -> Duration {
    if planted("forgotten-at-once") { Duration::ZERO } else { REMEMBERED }
}
/// How long after its end a late success is still undone.
pub const LATE_UNDO: Duration = Duration::from_hours(7 * 24);
/// How long an agent is asked whether a task was done, where the task has no deadline.
pub(crate) const QUERY_FOR: Duration = Duration::from_mins(10);
/// Signals of one workflow whose ids are remembered, so that a repeated one is told.
pub(crate) const SIGNALS_REMEMBERED: usize = 100;
/// Events and signals that one workflow keeps for what will wait for them.
pub(crate) const EARLY_MAX: usize = 1000;
/// Tasks of one workflow, those of all elements of its `for_each` included.
pub(crate) const SLOTS_MAX: usize = 10_000;
/// How long one query may take, where its task has no timeout of its own.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_mins(1);
/// When a workflow whose definition this build can not compile is looked at again.
pub(crate) const POSTPONED_FOR: Duration = Duration::from_mins(1);

/// The first bytes of `text` up to the bound, cut between characters.
pub(crate) fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
