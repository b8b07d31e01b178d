//! The JSON Schema of the configuration, for editors that complete and check while one types.

use serde_json::{Map, Value as Json, json};

use super::{Definitions, Element, Property};
use crate::{Config, Lab};

/// The JSON Schema (draft 2020-12) of a configuration; `#/$defs/Lab` within it is the schema of a lab file.
///
/// It describes keys, types and ranges. What depends on two places of the file, the parser alone checks.
#[must_use]
pub fn json_schema() -> Json {
    let mut definitions = Definitions::new();
    let configuration = Config::schema(&mut definitions);
    Lab::schema(&mut definitions);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tapline configuration",
        "$defs": definitions,
    });
    if let (Some(schema), Some(reference)) = (schema.as_object_mut(), configuration.as_object()) {
        schema.extend(reference.clone());
    }
    schema
}

pub(super) fn object(about: &'static str, properties: Vec<Property>) -> Json {
    let required: Vec<&str> = properties.iter().filter(|p| p.required).map(|p| p.key).collect();
    let may_be_empty = required.is_empty();
    let described: Map<String, Json> =
        properties.into_iter().map(|p| (p.key.to_owned(), property(p))).collect();
    let mut section = json!({
        "description": about.trim(),
        "type": if may_be_empty { json!(["object", "null"]) } else { json!("object") },
        "additionalProperties": false,
        "properties": described,
    });
    if let (false, Some(section)) = (may_be_empty, section.as_object_mut()) {
        section.insert("required".to_owned(), json!(required));
    }
    section
}

fn property(Property { about, mut schema, default, .. }: Property) -> Json {
    let is_telling = match &default {
        Json::Null => false,
        Json::Array(items) => !items.is_empty(),
        Json::Object(keys) => !keys.is_empty(),
        _ => true,
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(about.trim()));
        if is_telling {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}
