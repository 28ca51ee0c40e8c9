//! The Avro schemas of the lifecycle events, and Confluent's framing.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{CodecError, SchemaName};

/// One version of one event's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The record's full name, which is the registry subject and the `ce_type` too.
    pub name: SchemaName,
    /// Its id in the built-in registry, where no other registry is configured.
    pub id: u32,
    /// Counted from 1 in each name.
    pub version: u32,
    /// The schema as JSON.
    pub text: &'static str,
}

/// All versions of all schemas. The ids are on records that readers keep for a month and more, so an
/// id is never changed nor given again: a new schema is added at the end, with the next id.
#[must_use]
pub const fn schemas() -> &'static [Schema] {
    SCHEMAS
}

/// The datum with Confluent's five bytes before it: a zero, then the registry's id in network order.
#[must_use]
pub fn frame(id: u32, datum: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(datum.len() + 5);
    out.put_u8(0);
    out.put_u32(id);
    out.put_slice(datum);
    out.freeze()
}

/// The registry's id and the datum of a framed value.
///
/// # Errors
/// The value is shorter than five bytes, or does not begin with a zero.
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), CodecError> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [] | [0, ..] => Err(CodecError::Broken { at: value.len(), what: "a schema id" }),
        [_, ..] => Err(CodecError::Broken { at: 0, what: "the zero of Confluent's framing" }),
    }
}

macro_rules! v1 {
    ($id:literal, $name:literal) => {
        Schema {
            name: concat!("pavane.", $name),
            id: $id,
            version: 1,
            text: include_str!(concat!("../../../schemas/", $name, ".v1.avsc")),
        }
    };
}

const SCHEMAS: &[Schema] = &[
    v1!(1, "WorkflowStarted"),
    v1!(2, "WorkflowCompleted"),
    v1!(3, "WorkflowFailed"),
    v1!(4, "WorkflowCancelled"),
    v1!(5, "WorkflowPaused"),
    v1!(6, "WorkflowResumed"),
    v1!(7, "CompensationStarted"),
    v1!(8, "CompensationCompleted"),
    v1!(9, "CompensationBlocked"),
    v1!(10, "TaskScheduled"),
    v1!(11, "TaskStarted"),
    v1!(12, "TaskCompleted"),
    v1!(13, "TaskFailed"),
    v1!(14, "TaskRetried"),
    v1!(15, "TaskTimedOut"),
    v1!(16, "TaskInDoubt"),
    v1!(17, "TaskSkipped"),
    v1!(18, "TaskCancelled"),
    v1!(19, "UndoScheduled"),
    v1!(20, "UndoCompleted"),
    v1!(21, "UndoFailed"),
    v1!(22, "TimerFired"),
    v1!(23, "SignalReceived"),
];
