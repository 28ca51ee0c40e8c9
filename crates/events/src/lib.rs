//! Wire names and forms: ids, time, records, lifecycle events and their Avro codec, headers of
//! commands and dead letters. Pure: no clock, no chance, no I/O, no threads, no logging.

mod avro;
mod codec;
mod dead_letter;
mod deployment;
mod id;
mod json;
mod lifecycle;
mod names;
mod placement;
mod planted;
mod record;
mod schemas;
mod subject;
mod time;

pub use dead_letter::{Class, Refusal, dead_command, dead_letter};
pub use deployment::{Deployment, StartsAt};
pub use id::{AgentName, Run, SagaName, TaskId, Topic, Version, WorkflowId, saga_name_of};
pub use json::{Json, nesting};
pub use lifecycle::{By, CodecError, How, Lifecycle, Problem, SchemaName, What};
pub use names::{Topics, ce_type, header};
pub use placement::partition_of;
pub use planted::{plant, planted};
pub use record::{
    Destination, EventId, Header, HeaderName, Offset, Outgoing, Partition, Payload, Place, Record,
    Texts, put_number,
};
pub use schemas::{Schema, frame, schemas, unframe};
pub use subject::{CommandKind, Subject, SubjectError};
pub use time::{Timestamp, TimestampError};
