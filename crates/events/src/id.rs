//! Names and ids. Each is its own type, so that one cannot stand where another is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode, Encoder};

/// A cheap, shared text with a type of its own.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; where it was checked is for the caller to know.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                out: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                out.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Ok(Self(from.str()?.into()))
            }
        }
    };
}

text_id! {
    /// Saga name `:` business key, for example `order-processing:o-17`.
    WorkflowId
}
text_id! {
    /// A saga's identity: the kebab-case form of its file's `name`.
    SagaName
}
text_id! {
    /// The first 12 hex digits of a definition's content hash.
    Version
}
text_id! {
    /// A task of a workflow, unique within it.
    TaskId
}
text_id! {
    /// Whose commands stand on the topic `tasks.<agent>`.
    AgentName
}
text_id! {
    /// A topic's whole name, prefix included.
    Topic
}

impl WorkflowId {
    /// The id of the workflow of `saga` with this business key.
    #[must_use]
    pub fn of(saga: &SagaName, key: &str) -> Self {
        Self(format!("{saga}:{key}").into())
    }

    /// The saga's name and the business key; `None` for a text that is no workflow id.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.0.split_once(':').filter(|(saga, key)| !saga.is_empty() && !key.is_empty())
    }
}

/// The kebab-case form of a saga file's `name`, which is the saga's identity:
/// `DataProcessingPipeline` and `Data processing pipeline` give `data-processing-pipeline`.
#[must_use]
pub fn saga_name_of(name: &str) -> SagaName {
    let mut kebab = String::with_capacity(name.len() + 4);
    let mut before = ' ';
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        let starts_word = char.is_uppercase()
            && (before.is_lowercase()
                || before.is_ascii_digit()
                || before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase()));
        let is_word = char.is_alphanumeric();
        if (starts_word || !is_word) && !kebab.is_empty() && !kebab.ends_with('-') {
            kebab.push('-');
        }
        if is_word {
            kebab.extend(char.to_lowercase());
        }
        before = char;
    }
    SagaName::from(kebab.trim_end_matches('-'))
}

/// One life of a workflow id: the inbox offset of the start that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Run(#[n(0)] pub i64);

impl Run {
    /// Gives its text to `put`.
    pub fn put(self, put: &mut impl FnMut(&str)) {
        if self.0 < 0 {
            put("-");
        }
        crate::record::put_number(self.0.unsigned_abs(), put);
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_known_by_its_names_kebab_case_form() {
        for (name, identity) in [
            ("DataProcessingPipeline", "data-processing-pipeline"),
            ("order-processing", "order-processing"),
            ("ETL Pipeline Management", "etl-pipeline-management"),
            ("ETLPipeline2Go", "etl-pipeline2-go"),
            ("  Order_Processing  System! ", "order-processing-system"),
        ] {
            assert_eq!(saga_name_of(name).as_str(), identity);
        }
    }

    #[test]
    fn a_business_key_may_hold_colons() {
        let id = WorkflowId::of(&SagaName::from("orders"), "eu:west/17");
        assert_eq!(id.parts(), Some(("orders", "eu:west/17")));
        assert_eq!(WorkflowId::from(":saga/x").parts(), None);
    }
}
