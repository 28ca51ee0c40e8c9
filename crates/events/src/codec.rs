//! The Avro codec of the lifecycle events.

use bytes::Bytes;

use crate::{Lifecycle, SchemaName};

/// A datum that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No schema of that name in this build.
    #[error("no lifecycle event is named `{0}`")]
    UnknownSchema(String),
    /// The bytes end early or are not what the schema says.
    #[error("the datum is broken at byte {at}: {what}")]
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
        "pavane.WorkflowStarted"
    }

    /// The Avro datum, without framing.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::new()
    }

    /// Reads a datum of the schema of that name.
    ///
    /// # Errors
    /// An unknown name, or broken bytes.
    pub fn decode(schema: &str, _datum: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::UnknownSchema(schema.to_owned()))
    }
}
