//! Schema ids from a registry with Confluent's interface. Subjects are the records' names.

use std::collections::HashMap;
use std::time::Duration;

use events::SchemaName;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_subject_and_version, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::config::{KafkaError, SchemaRegistry};

/// A schema of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The record's full name, which is its subject.
    pub name: SchemaName,
    /// Its id where no registry is used.
    pub id: u32,
    /// The schema as JSON.
    pub text: &'static str,
}

/// The id of each schema.
pub(crate) type Ids = HashMap<SchemaName, u32>;

/// The ids that the product itself serves.
pub(crate) fn built_in(schemas: &[Schema]) -> Ids {
    schemas.iter().map(|schema| (schema.name, schema.id)).collect()
}

/// Asks the registry for the newest schema of each subject.
pub(crate) fn known(registry: &SchemaRegistry, schemas: &[Schema]) -> Result<Ids, KafkaError> {
    let settings = client(registry)?;
    asked(registry, async {
        let mut ids = Ids::new();
        for schema in schemas {
            let found = get_schema_by_subject_and_version(&settings, schema.name, None)
                .await
                .map_err(|error| refused(registry, schema.name, &error))?;
            ids.insert(schema.name, found.id);
        }
        Ok(ids)
    })
}

/// Registers the schemas that the registry has not, and gives all their ids.
///
/// # Errors
/// `Registry`: it does not answer, or refuses one as incompatible with what it has.
pub fn register_all(
    registry: &SchemaRegistry,
    schemas: &[Schema],
) -> Result<HashMap<SchemaName, u32>, KafkaError> {
    let settings = client(registry)?;
    asked(registry, async {
        let mut ids = Ids::new();
        for schema in schemas {
            let name = schema.name.to_owned();
            let text = schema.text.to_owned();
            let supplied = SuppliedSchema::new(Some(name), SchemaType::Avro, text);
            let posted = post_schema(&settings, schema.name.to_owned(), supplied)
                .await
                .map_err(|error| refused(registry, schema.name, &error))?;
            ids.insert(schema.name, posted.id);
        }
        Ok(ids)
    })
}

fn client(registry: &SchemaRegistry) -> Result<SrSettings, KafkaError> {
    let mut settings = SrSettings::new_builder(registry.url.trim_end_matches('/').to_owned());
    settings.set_timeout(Duration::from_secs(10));
    if let Some(user) = &registry.user {
        settings.set_basic_authorization(user, registry.password.as_deref());
    }
    settings.build().map_err(|error| refused(registry, "", &error))
}

fn refused(registry: &SchemaRegistry, subject: &str, error: &SRCError) -> KafkaError {
    let reason = error.to_string();
    if reason.contains("40401") || reason.contains("404") {
        KafkaError::MissingSubject { url: registry.url.clone(), subject: subject.to_owned() }
    } else {
        KafkaError::Registry { url: registry.url.clone(), subject: subject.to_owned(), reason }
    }
}

/// The registry's client needs a runtime; whoever calls may be on one, where another can not begin, so
/// this has a thread of its own for as long as it takes.
fn asked<T: Send>(
    registry: &SchemaRegistry,
    question: impl Future<Output = Result<T, KafkaError>> + Send,
) -> Result<T, KafkaError> {
    let failed = |reason: String| KafkaError::Registry {
        url: registry.url.clone(),
        subject: String::new(),
        reason,
    };
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| failed(format!("no runtime to ask with: {error}")))?
                    .block_on(question)
            })
            .join()
            .unwrap_or_else(|_| Err(failed("asking it has panicked".to_owned())))
    })
}
