//! Schema ids from a registry with Confluent's interface. Subjects are the records' names.

use std::collections::HashMap;
use std::time::Duration;

use events::{Schema, SchemaName};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SrCall, SuppliedSchema};

use crate::config::{KafkaError, SchemaRegistry};

/// The id of each schema.
pub(crate) type Ids = HashMap<SchemaName, u32>;

/// The ids that the product itself serves.
pub(crate) fn built_in(schemas: &[Schema]) -> Ids {
    schemas.iter().map(|schema| (schema.name, schema.id)).collect()
}

/// Asks the registry for the id of each of our schemas, exactly as this build writes it: where a newer
/// build has registered a newer version, that one's id would be wrong.
pub(crate) fn known(registry: &SchemaRegistry, schemas: &[Schema]) -> Result<Ids, KafkaError> {
    let settings = client(registry)?;
    asked(registry, async {
        let mut ids = Ids::new();
        for schema in schemas {
            let body = serde_json::json!({"schema": schema.text, "schemaType": "AVRO"}).to_string();
            let found = perform_sr_call(&settings, SrCall::PostForVersion(schema.name, &body))
                .await
                .map_err(|error| refused(registry, schema.name, &error))?;
            let id = found.id.ok_or_else(|| KafkaError::Registry {
                url: registry.url.clone(),
                subject: schema.name.to_owned(),
                reason: "the answer has no id".to_owned(),
            })?;
            ids.insert(schema.name, id);
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
    // The client has no other mark of it than the status in its text.
    if error.error.contains("status 404") {
        KafkaError::MissingSubject { url: registry.url.clone(), subject: subject.to_owned() }
    } else {
        KafkaError::Registry {
            url: registry.url.clone(),
            subject: subject.to_owned(),
            reason: error.to_string(),
        }
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const SCHEMAS: &[Schema] = &[
        Schema {
            name: "pavane.One",
            id: 1,
            version: 1,
            text: r#"{"type":"record","name":"One","fields":[]}"#,
        },
        Schema {
            name: "pavane.Two",
            id: 2,
            version: 1,
            text: r#"{"type":"record","name":"Two","fields":[]}"#,
        },
    ];

    /// A registry that answers so many requests as Confluent's documentation says, each by its first
    /// line and its body.
    fn registry(requests: usize, answer: fn(&str, &str) -> (u16, String)) -> SchemaRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for _ in 0..requests {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let (mut head, mut length) = (Vec::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim_end().to_lowercase();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                    head.push(line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let (status, text) = answer(&head[0], &String::from_utf8(body).unwrap());
                let length = text.len();
                let head = format!("HTTP/1.1 {status} .\r\ncontent-length: {length}\r\n");
                let mut stream = reader.into_inner();
                write!(stream, "{head}connection: close\r\n\r\n{text}").unwrap();
            }
        });
        SchemaRegistry { url, user: None, password: None }
    }

    #[test]
    fn the_id_is_that_of_our_very_schema() {
        let registry = registry(2, |head, body| {
            let id = if body.contains(r#"\"name\":\"One\""#) { 41 } else { 42 };
            assert!(head.starts_with("post /subjects/pavane."), "{head}");
            (200, format!(r#"{{"subject":"s","id":{id},"version":1,"schema":"{{}}"}}"#))
        });
        let ids = known(&registry, SCHEMAS).unwrap();
        assert_eq!((ids["pavane.One"], ids["pavane.Two"]), (41, 42));
    }

    #[test]
    fn a_schema_that_is_not_registered_is_named_with_what_to_do() {
        let registry = registry(1, |_, _| {
            (404, r#"{"error_code":40401,"message":"Subject not found."}"#.to_owned())
        });
        let error = known(&registry, SCHEMAS).unwrap_err();
        assert!(
            matches!(&error, KafkaError::MissingSubject { subject, .. } if subject == "pavane.One")
        );
        assert!(error.to_string().contains("pavane topics create"), "{error}");
    }

    #[test]
    fn a_registry_that_refuses_is_not_one_that_lacks_a_schema() {
        let registry =
            registry(1, |_, _| (409, r#"{"error_code":409,"message":"incompatible"}"#.to_owned()));
        let error = register_all(&registry, SCHEMAS).unwrap_err();
        assert!(matches!(error, KafkaError::Registry { .. }), "{error}");
    }
}
