//! A read-only registry of the product's own schemas, compatible with Confluent's.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use events::{Schema, schemas};
use serde_json::{Value, json};

use crate::problem::Problem;

type Answer = Result<Json<Value>, Problem>;

/// A problem with what Confluent's clients look for: codes of its REST API.
fn missing(error_code: u32, what: &str) -> Problem {
    Problem::missing("unknown_schema", what).with("error_code", error_code).with("message", what)
}

fn of_subject(subject: &str) -> Result<Vec<&'static Schema>, Problem> {
    let of: Vec<&Schema> = schemas().iter().filter(|schema| schema.name == subject).collect();
    if of.is_empty() {
        return Err(missing(40401, &format!("subject `{subject}` is not one of the product's")));
    }
    Ok(of)
}

fn of_version(subject: &str, version: &str) -> Result<&'static Schema, Problem> {
    let of = of_subject(subject)?;
    let newest = of.iter().max_by_key(|schema| schema.version);
    let found = match version {
        "latest" | "-1" => newest,
        number => of.iter().find(|schema| schema.version.to_string() == number),
    };
    found
        .copied()
        .ok_or_else(|| missing(40402, &format!("subject `{subject}` has no version `{version}`")))
}

fn of_id(id: &str) -> Result<&'static Schema, Problem> {
    let found = schemas().iter().find(|schema| schema.id.to_string() == id);
    found.ok_or_else(|| missing(40403, &format!("there is no schema with the id {id}")))
}

/// `GET /subjects`
pub(crate) async fn subjects() -> Json<Value> {
    let mut names: Vec<&str> = schemas().iter().map(|schema| schema.name).collect();
    names.sort_unstable();
    names.dedup();
    Json(json!(names))
}

/// `GET /subjects/{subject}/versions`
pub(crate) async fn versions(Path(subject): Path<String>) -> Answer {
    let versions: Vec<u32> = of_subject(&subject)?.iter().map(|schema| schema.version).collect();
    Ok(Json(json!(versions)))
}

/// `GET /subjects/{subject}/versions/{version}`
pub(crate) async fn version(Path((subject, version)): Path<(String, String)>) -> Answer {
    let Schema { name, id, version, text } = of_version(&subject, &version)?;
    Ok(Json(json!({
        "subject": name, "version": version, "id": id, "schemaType": "AVRO", "schema": text,
    })))
}

/// `GET /subjects/{subject}/versions/{version}/schema`
pub(crate) async fn version_schema(
    Path((subject, version)): Path<(String, String)>,
) -> Result<([(&'static str, &'static str); 1], &'static str), Problem> {
    let schema = of_version(&subject, &version)?;
    Ok(([("content-type", "application/json")], schema.text))
}

/// `GET /schemas/ids/{id}`
pub(crate) async fn by_id(Path(id): Path<String>) -> Answer {
    Ok(Json(json!({"schema": of_id(&id)?.text})))
}

/// `GET /schemas/ids/{id}/versions`
pub(crate) async fn versions_by_id(Path(id): Path<String>) -> Answer {
    let schema = of_id(&id)?;
    Ok(Json(json!([{"subject": schema.name, "version": schema.version}])))
}

/// `GET /schemas/types`
pub(crate) async fn types() -> Json<Value> {
    Json(json!(["AVRO"]))
}

/// Writing calls of Confluent's interface: schemas come with the product, and are not registered here.
pub(crate) async fn read_only() -> Problem {
    let what = "this registry is read-only: it has the product's own schemas and takes no others";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "read_only", what)
        .with("error_code", 40501)
        .with("message", what)
}
