//! Bytes of events and states: CBOR with numbered fields. A later build may add optional fields;
//! an unknown variant is an error, never skipped.

use minicbor::{Decoder, Encoder};

use crate::event::Event;
use crate::phase::Task;
use crate::state::{Definition, Newest, Source, State};
use crate::workflow::{Early, Head, Workflow};

/// Bytes that no build up to this one has written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Unknown, or broken.
    #[error("not an event or state of this build or an earlier one; run the newer build again")]
    Broken(#[source] minicbor::decode::Error),
    /// Something stands behind the end.
    #[error("{0} bytes too many behind an event or a state")]
    TooLong(usize),
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Writing to memory does not fail, and our types encode without conditions.
fn sound(written: Encoded) {
    assert!(written.is_ok(), "encodes: an event or state could not be encoded: {written:?}");
}

fn ended<T>(decoder: &Decoder<'_>, value: T) -> Result<T, CodecError> {
    match decoder.input().len().saturating_sub(decoder.position()) {
        0 => Ok(value),
        rest => Err(CodecError::TooLong(rest)),
    }
}

impl Event {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        sound(minicbor::encode(self, out));
    }

    /// Reads what `encode` of this or any released build wrote.
    ///
    /// # Errors
    /// What is unknown or broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut decoder = Decoder::new(bytes);
        let event = decoder.decode().map_err(CodecError::Broken)?;
        ended(&decoder, event)
    }
}

impl State {
    /// Its bytes for a snapshot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new());
        sound(self.write(&mut out));
        out.into_writer()
    }

    fn write(&self, out: &mut Encoder<Vec<u8>>) -> Encoded {
        match self {
            Self::Workflow(workflow) => {
                out.u8(0)?.encode(&workflow.head)?.encode(workflow.tasks())?.ok()
            }
            Self::Definition(definition) => out.u8(1)?.encode(&definition.source)?.ok(),
            Self::Newest(newest) => out.u8(2)?.encode(newest)?.ok(),
            Self::Early(early) => out.u8(3)?.encode(early)?.ok(),
        }
    }

    /// Reads what `encode` of this or any released build wrote.
    ///
    /// # Errors
    /// What is unknown or broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut decoder = Decoder::new(bytes);
        let state = Self::read(&mut decoder).map_err(CodecError::Broken)?;
        ended(&decoder, state)
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Ok(match decoder.u8()? {
            0 => {
                let head: Head = decoder.decode()?;
                let tasks: Vec<Task> = decoder.decode()?;
                Self::Workflow(Box::new(Workflow::of(head, tasks)))
            }
            1 => Self::Definition(Definition::compile(decoder.decode::<Source>()?)),
            2 => Self::Newest(decoder.decode::<Newest>()?),
            3 => Self::Early(decoder.decode::<Early>()?),
            other => return Err(minicbor::decode::Error::unknown_variant(other.into())),
        })
    }
}
