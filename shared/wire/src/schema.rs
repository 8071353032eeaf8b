//! JSON Schemas (draft 2020-12, the dialect of `OpenAPI` 3.1) of what the API takes and answers, made from the types.
//!
//! Guarantee: a type is described once, under one name; what is taken and what is answered may differ (a default may be left
//! out, but is always shown), and then what is taken has `Input` behind its name. It knows no paths and no statuses.

use std::collections::BTreeMap;

use nightshift_domain::config::Config;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Where `OpenAPI` keeps schemas.
const COMPONENTS: &str = "/components/schemas";

/// The schema of the configuration document, complete in itself.
pub fn config() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value()
}

/// Schemas that refer to one another as components of an `OpenAPI` document.
pub struct Schemas {
    taken: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = COMPONENTS.into();
                settings.meta_schema = None;
            });
            settings.transforms.push(Box::new(Plain));
            settings
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }
}

impl Schemas {
    /// A reference to the schema of a request type.
    pub fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// A reference to the schema of an answer type.
    pub fn answered<T: JsonSchema>(&mut self) -> Value {
        self.answered.subschema_for::<T>().to_value()
    }

    /// The schema behind a request type's reference, to be read.
    pub fn of_taken<T: JsonSchema>(&mut self) -> Option<Value> {
        self.taken.subschema_for::<T>();
        self.taken.definitions().get(T::schema_name().as_ref()).cloned()
    }

    /// The schema behind an answer type's reference, to be read.
    pub fn of_answered<T: JsonSchema>(&mut self) -> Option<Value> {
        self.answered.subschema_for::<T>();
        self.answered.definitions().get(T::schema_name().as_ref()).cloned()
    }

    /// Everything that was referred to, by name, and the names of request schemas that had to change.
    pub fn finish(mut self) -> (Map<String, Value>, BTreeMap<String, String>) {
        let mut components = self.answered.take_definitions(true);
        let taken = self.taken.take_definitions(true);
        // A schema that refers to one that changes its name changes too, until nothing more does.
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let clashing: Vec<&String> = taken
                .iter()
                .filter(|(name, schema)| !renamed.contains_key(*name) && clashes(&components, name, schema, &renamed))
                .map(|(name, _)| name)
                .collect();
            if clashing.is_empty() {
                break;
            }
            renamed.extend(clashing.into_iter().map(|name| (name.clone(), format!("{name}Input"))));
        }
        for (name, mut schema) in taken {
            point(&mut schema, &renamed);
            components.insert(renamed.get(&name).cloned().unwrap_or(name), schema);
        }
        let mut sorted: Vec<(String, Value)> = components.into_iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        (sorted.into_iter().collect(), renamed)
    }
}

fn clashes(answered: &Map<String, Value>, name: &str, schema: &Value, renamed: &BTreeMap<String, String>) -> bool {
    answered.get(name).is_some_and(|other| {
        let mut schema = schema.clone();
        point(&mut schema, renamed);
        *other != schema
    })
}

/// Points references at the names that schemas have now.
pub fn point(schema: &mut Value, renamed: &BTreeMap<String, String>) {
    match schema {
        Value::Object(map) => {
            for (field, value) in map {
                let new = match value {
                    Value::String(text) if field == "$ref" => text
                        .strip_prefix("#/components/schemas/")
                        .and_then(|name| renamed.get(name))
                        .map(|name| format!("#{COMPONENTS}/{name}")),
                    Value::String(_)
                    | Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_) => None,
                };
                match new {
                    Some(new) => *value = Value::String(new),
                    None => point(value, renamed),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, renamed)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes off what is of use to Rust only: the widths of numbers, which JSON does not have, and line breaks of comments.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        let width = schema.get("format").and_then(Value::as_str).is_some_and(|format| {
            format
                .strip_prefix("uint")
                .or_else(|| format.strip_prefix("int"))
                .is_some_and(|bits| bits.parse::<u8>().is_ok())
        });
        if width {
            schema.remove("format");
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
        }
        transform_subschemas(self, schema);
    }
}
