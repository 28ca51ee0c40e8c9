//! The Avro codec of the lifecycle events: each event's fields in its schema's order. Written by hand
//! because it is on the way of every event; the tests hold it against `apache-avro`.

use bytes::{Bytes, BytesMut};

use crate::avro::{Put, Reader};
use crate::{Lifecycle, SchemaName, What};

/// A datum that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No schema of that name in this build.
    #[error("no lifecycle event is named `{0}`")]
    UnknownSchema(String),
    /// The bytes end early or are not what the schema says.
    #[error("the datum is broken at byte {at}: expected {what}")]
    Broken {
        /// Where.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
}

impl Lifecycle {
    /// The name of the event's schema, which is its `ce_type`.
    #[must_use]
    pub fn schema(&self) -> SchemaName {
        self.what.schema()
    }

    /// The Avro datum, without framing.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        self.put(&mut out);
        out.freeze()
    }

    /// Appends the datum.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        let Self { workflow, run, sequence, time, saga, version, what } = self;
        put_all(out, &[workflow, run, sequence, time, saga, version]);
        what.put_fields(out);
    }

    /// Reads a datum of the schema of that name.
    ///
    /// # Errors
    /// An unknown name, or broken bytes.
    pub fn decode(schema: &str, datum: &[u8]) -> Result<Self, CodecError> {
        let mut from = Reader::new(datum);
        let event = Self {
            workflow: from.take()?,
            run: from.take()?,
            sequence: from.take()?,
            time: from.take()?,
            saga: from.take()?,
            version: from.take()?,
            what: What::take_fields(schema, &mut from)?,
        };
        from.end()?;
        Ok(event)
    }
}

fn put_all(out: &mut BytesMut, fields: &[&dyn Put]) {
    fields.iter().for_each(|field| field.put(out));
}

impl What {
    fn schema(&self) -> SchemaName {
        match self {
            Self::WorkflowStarted { .. } => "pavane.WorkflowStarted",
            Self::WorkflowCompleted { .. } => "pavane.WorkflowCompleted",
            Self::WorkflowFailed { .. } => "pavane.WorkflowFailed",
            Self::WorkflowCancelled { .. } => "pavane.WorkflowCancelled",
            Self::WorkflowPaused { .. } => "pavane.WorkflowPaused",
            Self::WorkflowResumed { .. } => "pavane.WorkflowResumed",
            Self::CompensationStarted { .. } => "pavane.CompensationStarted",
            Self::CompensationCompleted { .. } => "pavane.CompensationCompleted",
            Self::CompensationBlocked { .. } => "pavane.CompensationBlocked",
            Self::TaskScheduled { .. } => "pavane.TaskScheduled",
            Self::TaskStarted { .. } => "pavane.TaskStarted",
            Self::TaskCompleted { .. } => "pavane.TaskCompleted",
            Self::TaskFailed { .. } => "pavane.TaskFailed",
            Self::TaskRetried { .. } => "pavane.TaskRetried",
            Self::TaskTimedOut { .. } => "pavane.TaskTimedOut",
            Self::TaskInDoubt { .. } => "pavane.TaskInDoubt",
            Self::TaskSkipped { .. } => "pavane.TaskSkipped",
            Self::TaskCancelled { .. } => "pavane.TaskCancelled",
            Self::UndoScheduled { .. } => "pavane.UndoScheduled",
            Self::UndoCompleted { .. } => "pavane.UndoCompleted",
            Self::UndoFailed { .. } => "pavane.UndoFailed",
            Self::TimerFired { .. } => "pavane.TimerFired",
            Self::SignalReceived { .. } => "pavane.SignalReceived",
        }
    }

    fn put_fields(&self, out: &mut BytesMut) {
        match self {
            Self::WorkflowStarted { start_id, inputs } => put_all(out, &[start_id, inputs]),
            Self::WorkflowCompleted { outputs } => put_all(out, &[outputs]),
            Self::WorkflowFailed { how, problem, outputs, stands, undone, in_doubt } => {
                put_all(out, &[how, problem, outputs, stands, undone, in_doubt])
            }
            Self::WorkflowCancelled { by, stands, undone, in_doubt } => {
                put_all(out, &[by, stands, undone, in_doubt])
            }
            Self::WorkflowPaused { problem } => put_all(out, &[problem]),
            Self::WorkflowResumed { by } => put_all(out, &[by]),
            Self::CompensationStarted { epoch, problem } => put_all(out, &[epoch, problem]),
            Self::CompensationCompleted { undone } => put_all(out, &[undone]),
            Self::CompensationBlocked { problem } => put_all(out, &[problem]),
            Self::TaskScheduled { task, attempt, agent, task_type, command, inputs, deadline } => {
                put_all(out, &[task, attempt, agent, task_type, command, inputs, deadline])
            }
            Self::TaskStarted { task, attempt, percent, note } => {
                put_all(out, &[task, attempt, percent, note])
            }
            Self::TaskCompleted { task, attempt, output, by } => {
                put_all(out, &[task, attempt, output, by])
            }
            Self::TaskFailed { task, attempt, code, message, by } => {
                put_all(out, &[task, attempt, code, message, by])
            }
            Self::TaskRetried { task, attempt, code, message, retry_at, by } => {
                put_all(out, &[task, attempt, code, message, retry_at, by])
            }
            Self::TaskTimedOut { task, attempt, deadline } => {
                put_all(out, &[task, attempt, deadline])
            }
            Self::TaskInDoubt { task, attempt, policy, code, message } => {
                put_all(out, &[task, attempt, policy, code, message])
            }
            Self::TaskSkipped { task, reason, output, by } => {
                put_all(out, &[task, reason, output, by])
            }
            Self::TaskCancelled { task, attempt, reason } => put_all(out, &[task, attempt, reason]),
            Self::UndoScheduled { task, n, agent, task_type, command, inputs, deadline } => {
                put_all(out, &[task, n, agent, task_type, command, inputs, deadline])
            }
            Self::UndoCompleted { task, n, nothing, by } => put_all(out, &[task, n, nothing, by]),
            Self::UndoFailed { task, n, code, message, retry_at } => {
                put_all(out, &[task, n, code, message, retry_at])
            }
            Self::TimerFired { task } => put_all(out, &[task]),
            Self::SignalReceived { signal, data, task } => put_all(out, &[signal, data, task]),
        }
    }

    /// Each group passes on what is not its own; an unknown name falls out at the end.
    fn take_fields(schema: &str, from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match schema {
            "pavane.WorkflowStarted" => {
                Self::WorkflowStarted { start_id: from.take()?, inputs: from.take()? }
            }
            "pavane.WorkflowCompleted" => Self::WorkflowCompleted { outputs: from.take()? },
            "pavane.WorkflowFailed" => Self::WorkflowFailed {
                how: from.take()?,
                problem: from.take()?,
                outputs: from.take()?,
                stands: from.take()?,
                undone: from.take()?,
                in_doubt: from.take()?,
            },
            "pavane.WorkflowCancelled" => Self::WorkflowCancelled {
                by: from.take()?,
                stands: from.take()?,
                undone: from.take()?,
                in_doubt: from.take()?,
            },
            "pavane.WorkflowPaused" => Self::WorkflowPaused { problem: from.take()? },
            "pavane.WorkflowResumed" => Self::WorkflowResumed { by: from.take()? },
            "pavane.CompensationStarted" => {
                Self::CompensationStarted { epoch: from.take()?, problem: from.take()? }
            }
            "pavane.CompensationCompleted" => Self::CompensationCompleted { undone: from.take()? },
            "pavane.CompensationBlocked" => Self::CompensationBlocked { problem: from.take()? },
            _ => return Self::take_task_fields(schema, from),
        })
    }

    fn take_task_fields(schema: &str, from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match schema {
            "pavane.TaskScheduled" => Self::TaskScheduled {
                task: from.take()?,
                attempt: from.take()?,
                agent: from.take()?,
                task_type: from.take()?,
                command: from.take()?,
                inputs: from.take()?,
                deadline: from.take()?,
            },
            "pavane.TaskStarted" => Self::TaskStarted {
                task: from.take()?,
                attempt: from.take()?,
                percent: from.take()?,
                note: from.take()?,
            },
            "pavane.TaskCompleted" => Self::TaskCompleted {
                task: from.take()?,
                attempt: from.take()?,
                output: from.take()?,
                by: from.take()?,
            },
            "pavane.TaskFailed" => Self::TaskFailed {
                task: from.take()?,
                attempt: from.take()?,
                code: from.take()?,
                message: from.take()?,
                by: from.take()?,
            },
            "pavane.TaskRetried" => Self::TaskRetried {
                task: from.take()?,
                attempt: from.take()?,
                code: from.take()?,
                message: from.take()?,
                retry_at: from.take()?,
                by: from.take()?,
            },
            "pavane.TaskTimedOut" => Self::TaskTimedOut {
                task: from.take()?,
                attempt: from.take()?,
                deadline: from.take()?,
            },
            "pavane.TaskInDoubt" => Self::TaskInDoubt {
                task: from.take()?,
                attempt: from.take()?,
                policy: from.take()?,
                code: from.take()?,
                message: from.take()?,
            },
            "pavane.TaskSkipped" => Self::TaskSkipped {
                task: from.take()?,
                reason: from.take()?,
                output: from.take()?,
                by: from.take()?,
            },
            "pavane.TaskCancelled" => Self::TaskCancelled {
                task: from.take()?,
                attempt: from.take()?,
                reason: from.take()?,
            },
            _ => return Self::take_undo_fields(schema, from),
        })
    }

    fn take_undo_fields(schema: &str, from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match schema {
            "pavane.UndoScheduled" => Self::UndoScheduled {
                task: from.take()?,
                n: from.take()?,
                agent: from.take()?,
                task_type: from.take()?,
                command: from.take()?,
                inputs: from.take()?,
                deadline: from.take()?,
            },
            "pavane.UndoCompleted" => Self::UndoCompleted {
                task: from.take()?,
                n: from.take()?,
                nothing: from.take()?,
                by: from.take()?,
            },
            "pavane.UndoFailed" => Self::UndoFailed {
                task: from.take()?,
                n: from.take()?,
                code: from.take()?,
                message: from.take()?,
                retry_at: from.take()?,
            },
            _ => return Self::take_wait_fields(schema, from),
        })
    }

    fn take_wait_fields(schema: &str, from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match schema {
            "pavane.TimerFired" => Self::TimerFired { task: from.take()? },
            "pavane.SignalReceived" => Self::SignalReceived {
                signal: from.take()?,
                data: from.take()?,
                task: from.take()?,
            },
            _ => return Err(CodecError::UnknownSchema(schema.to_owned())),
        })
    }
}
