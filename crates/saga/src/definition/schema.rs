//! The JSON Schema of saga files, for editors: made of the tables that the reader itself goes by.

use serde_json::{Map, Value, json};

use super::keys::{self, Keys, Shape};

const ID: &str = "^[A-Za-z][A-Za-z0-9_]{0,62}$";
const DURATION: &str = "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const TYPE: &str =
    "^(string|integer|number|boolean|timestamp|duration|object|any|dataset|(list|map)<.+>)\\??$";
/// The keys of the short form; each but the first is a list of steps.
const SHORT: [&str; 4] = ["scenario", "workflow", "orchestration", "choreography"];

/// The schema, draft 7: editors know that one best.
#[must_use]
pub fn schema() -> Value {
    let mut places = Map::new();
    add_place(&keys::FILE, &mut places);
    let full = places.get("file").cloned().unwrap_or_default();
    places.insert("short_file".to_owned(), short_file(full));
    places.insert("step".to_owned(), step());
    places.insert("short_step".to_owned(), short_step());
    places.insert("conditional".to_owned(), conditional());
    let is_short: Vec<Value> = SHORT.iter().map(|key| json!({"required": [key]})).collect();
    let any = json!({"if": {"anyOf": is_short}, "then": to("short_file"), "else": to("file")});
    places.insert("any_file".to_owned(), any);
    let whole = "The whole file may stand under this key.";
    let wrapped = json!({
        "type": "object",
        "properties": {"workflow_dsl": {"description": whole, "allOf": [to("any_file")]}},
        "required": ["workflow_dsl"],
        "additionalProperties": false,
    });
    places.insert("wrapped_file".to_owned(), wrapped);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Saga file of pavane, version 2.0",
        "if": {"required": ["workflow_dsl"]},
        "then": to("wrapped_file"),
        "else": to("any_file"),
        "definitions": places,
    })
}

fn to(place: &str) -> Value {
    json!({"$ref": format!("#/definitions/{place}")})
}

/// A place's name among the definitions.
fn name_of(keys: &Keys) -> String {
    let place = keys.place;
    let bare = ["the ", "a ", "an "].iter().find_map(|article| place.strip_prefix(article));
    bare.unwrap_or(place).replace(' ', "_")
}

/// What a map of the place must have.
fn required(place: &str) -> &'static [&'static str] {
    match place {
        "file" => &["name", "tasks"],
        "task" => &["id"],
        "input" => &["name"],
        "topic" => &["topic"],
        "trigger" | "emit" | "await" => &["event"],
        "output" => &["name", "from"],
        "on_failure" => &["strategy"],
        "wait" => &["until"],
        "for_each" => &["in"],
        "saga" => &["name"],
        _ => &[],
    }
}

fn add_place(keys: &Keys, places: &mut Map<String, Value>) {
    let name = name_of(keys);
    if places.contains_key(&name) {
        return;
    }
    // It may hold itself.
    places.insert(name.clone(), Value::Null);
    let mut properties = Map::new();
    // The id of a template is that of the task that uses it, and it uses none itself.
    let is_left_out = |key: &str| name == "template" && matches!(key, "id" | "use");
    for key in keys.all().filter(|key| !is_left_out(key.key)) {
        let mut property = Map::from_iter([("description".to_owned(), key.what.into())]);
        match shape(&key.of, places) {
            // Beside a reference nothing else is looked at.
            Value::Object(of) if of.contains_key("$ref") => {
                property.insert("allOf".to_owned(), Value::Array(vec![of.into()]));
            }
            Value::Object(of) => property.extend(of),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {}
        }
        properties.insert(key.key.to_owned(), property.into());
    }
    let place = json!({
        "type": "object",
        "properties": properties,
        "required": required(&name),
        "additionalProperties": false,
    });
    places.insert(name, place);
}

fn shape(shape: &Shape, places: &mut Map<String, Value>) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Id => text(ID),
        Shape::Name => text("^[A-Za-z0-9._-]{1,200}$"),
        Shape::Event => text("^[^/\\s]+/\\S+$"),
        Shape::Type => text(TYPE),
        Shape::Duration => text(DURATION),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int => json!({"type": "integer"}),
        Shape::Number => json!({"type": "number"}),
        Shape::Expr => text("\\$\\{"),
        Shape::Value => json!({}),
        Shape::Words(words) => json!({"enum": words}),
        Shape::ListOf(of) => json!({"type": "array", "items": self::shape(of, places)}),
        Shape::MapOf(of) => {
            json!({"type": "object", "additionalProperties": self::shape(of, places)})
        }
        Shape::Keys(keys) => {
            add_place(keys, places);
            to(&name_of(keys))
        }
        Shape::OneOf(shapes) => {
            let of: Vec<Value> = shapes.iter().map(|of| self::shape(of, places)).collect();
            json!({"anyOf": of})
        }
    }
}

/// The file with the keys of the short form too.
fn short_file(mut full: Value) -> Value {
    let steps = json!({
        "description": "Tasks, each after the one before.",
        "type": "array",
        "items": to("step"),
    });
    if let Some(properties) = full.get_mut("properties").and_then(Value::as_object_mut) {
        for key in SHORT.into_iter().skip(1) {
            properties.insert(key.to_owned(), steps.clone());
        }
        let name = json!({"description": "Name of the saga.", "type": "string"});
        properties.insert("scenario".to_owned(), name);
    }
    if let Some(full) = full.as_object_mut() {
        full.remove("required");
    }
    full
}

/// An element of a list in short form: a task, or one key.
fn step() -> Value {
    json!({"if": {"required": ["id"]}, "then": to("task"), "else": to("short_step")})
}

fn short_step() -> Value {
    let groups = |of: &str| {
        let steps = |what: &str| {
            let what = format!("{of} {what}");
            json!({"description": what, "type": "array", "items": to("step")})
        };
        json!({
            "parallel": steps("tasks that run at once."),
            "agents": steps("tasks that run at once."),
            "sequential": steps("tasks in order."),
            "conditional": to("conditional"),
        })
    };
    let group = json!({
        "type": "object",
        "properties": groups("The group's"),
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
    });
    let mut properties = groups("A group without a name:");
    if let Some(properties) = properties.as_object_mut() {
        let what = "A failure compensates; each task of the list is undone by `undo`.";
        let text = json!({"description": what, "type": "string"});
        properties.insert("compensation".to_owned(), text);
    }
    let name =
        "^(?!(parallel|agents|sequential|conditional|compensation)$)[A-Za-z][A-Za-z0-9_]{0,62}$";
    json!({
        "type": "object",
        "properties": properties,
        "patternProperties": {name: {
            "description": "The key is id and agent, an identifier the type, prose a description.",
            "anyOf": [{"type": "string"}, group],
        }},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
    })
}

fn conditional() -> Value {
    json!({
        "description": "The case runs that the outcome of the task before is named for.",
        "type": "array",
        "items": {
            "type": "object",
            "patternProperties": {"^if_[A-Za-z][A-Za-z0-9_]*$": {"type": "string", "pattern": ID}},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::definition::Findings;
    use crate::yaml;

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    /// What the schema says against a text; `None`: the text is not YAML.
    fn errors(validator: &jsonschema::Validator, source: &str) -> Option<Vec<String>> {
        let value = yaml::read(source, &mut Findings::of(source))?.value();
        let say =
            |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        Some(validator.iter_errors(&value).map(say).collect())
    }

    /// All saga files in a folder, at any depth.
    fn files(folder: &str) -> Vec<PathBuf> {
        let (mut files, mut open) = (Vec::new(), vec![repository(folder)]);
        while let Some(folder) = open.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|kind| kind == "yaml") {
                    files.push(path);
                }
            }
        }
        files
    }

    #[test]
    fn the_schema_in_the_tree_is_the_one_that_is_made() {
        let path = repository("schemas/saga-file.schema.json");
        let kept = fs::read_to_string(path).unwrap_or_default();
        let how = "cargo run -p pavane -- check --schema > schemas/saga-file.schema.json";
        assert!(kept == format!("{:#}\n", schema()), "it is old; to make it anew: {how}");
    }

    #[test]
    fn the_schema_takes_all_sound_files() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let folders = ["sagas", "crates/saga/tests/sound", "crates/saga/tests/spellings"];
        let files: Vec<PathBuf> = folders.into_iter().flat_map(files).collect();
        assert!(files.len() > 20);
        for path in files {
            let source = fs::read_to_string(&path).unwrap();
            assert_eq!(errors(&validator, &source), Some(Vec::new()), "{}", path.display());
        }
    }

    #[test]
    fn the_schema_refuses_what_is_wrong_in_form() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let (mut taken, mut refused) = (Vec::new(), 0);
        for path in files("crates/saga/tests/broken") {
            let source = fs::read_to_string(&path).unwrap();
            let mut said = source.lines().filter_map(|line| line.split_once("#! "));
            if !said.any(|(_, codes)| codes.contains("E102")) {
                continue;
            }
            match errors(&validator, &source).is_none_or(|errors| errors.is_empty()) {
                true => taken.push(path.file_name().unwrap().to_str().unwrap().to_owned()),
                false => refused += 1,
            }
        }
        // Which of a task's keys go with a group it does not know.
        assert_eq!(taken, ["keys_of_a_group.yaml"]);
        assert!(refused > 10);
    }

    #[test]
    fn every_key_is_described() {
        let schema = schema();
        for (name, place) in schema["definitions"].as_object().unwrap() {
            let properties = place.get("properties").and_then(Value::as_object);
            for (key, property) in properties.into_iter().flatten() {
                let what = property["description"].as_str();
                let is_said = what.is_some_and(|what| !what.is_empty());
                assert!(is_said || property.get("$ref").is_some(), "{name}.{key}");
            }
        }
    }
}
