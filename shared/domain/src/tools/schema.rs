//! JSON Schemas of tools the user declares, and inputs against them.
//!
//! Guarantee: pure. A schema is read as draft 2020-12 unless it says otherwise, as the Messages API reads it; what it refers
//! to must be inside it, so that nothing is ever loaded from a file or an address.

use std::error::Error;

use boon::{CompileError, Compiler, Draft, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// The name of the schema within its compiler; nothing is behind it.
const PLACE: &str = "urn:nightshift:tool-input";
/// Most faults of an input that are told; a model mends a few at a time.
const MOST_FAULTS: usize = 10;

/// Loads nothing.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn Error>> {
        Err("it refers to something outside itself".into())
    }
}

/// Why `schema` is none that inputs can be checked against.
pub fn problem(schema: &Value) -> Option<String> {
    compiled(schema, |_, _| ()).err()
}

/// What is wrong with `input`, each with the place it is at; empty where it fits. `Err` where the schema is none.
pub fn faults(schema: &Value, input: &Value) -> Result<Vec<String>, String> {
    compiled(schema, |schemas, index| match schemas.validate(input, index) {
        Ok(()) => Vec::new(),
        Err(error) => {
            let mut faults = Vec::new();
            leaves(&error, &mut faults);
            faults.truncate(MOST_FAULTS);
            faults
        }
    })
}

fn compiled<T>(schema: &Value, look: impl FnOnce(&Schemas, boon::SchemaIndex) -> T) -> Result<T, String> {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nowhere));
    let mut schemas = Schemas::new();
    compiler.add_resource(PLACE, schema.clone()).map_err(|error| unfit(&error))?;
    let index = compiler.compile(PLACE, &mut schemas).map_err(|error| unfit(&error))?;
    Ok(look(&schemas, index))
}

/// Why a schema is none, with the places where it is not.
fn unfit(error: &CompileError) -> String {
    if let CompileError::ValidationError { src, .. } = error {
        let mut faults = Vec::new();
        leaves(src, &mut faults);
        faults.truncate(MOST_FAULTS);
        return faults.join("; ");
    }
    said(&error.to_string())
}

/// A library's sentence on one line, without the name only we know.
fn said(text: &str) -> String {
    let text = text.replace(&format!("{PLACE}#"), "#").replace(PLACE, "it");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The faults that have no causes of their own.
fn leaves(error: &ValidationError<'_, '_>, into: &mut Vec<String>) {
    if error.causes.is_empty() {
        let at = error.instance_location.to_string();
        let at = if at.is_empty() { "the whole".to_owned() } else { at };
        into.push(said(&format!("{at}: {}", error.kind)));
    }
    for cause in &error.causes {
        leaves(cause, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_input_is_checked_against_all_of_its_schema_and_every_fault_has_its_place() {
        let schema = json!({
            "type": "object", "required": ["title", "kind"], "additionalProperties": false,
            "properties": {
                "title": { "type": "string", "minLength": 3 }, "kind": { "enum": ["bug", "wish"] },
                "labels": { "type": "array", "items": { "$ref": "#/$defs/label" } }
            },
            "$defs": { "label": { "type": "string", "pattern": "^[a-z]+$" } }
        });
        assert_eq!(problem(&schema), None);
        let told = |input: Value| faults(&schema, &input).unwrap();
        assert_eq!(told(json!({ "title": "abc", "kind": "bug", "labels": ["x"] })), [""; 0]);
        let bad = told(json!({ "title": 1, "kind": "idea", "labels": ["x", "X"], "more": true }));
        for part in ["/title: want string, but got number", "/kind: value must be one of", "/labels/1: ", "'more'"] {
            assert!(bad.iter().any(|fault| fault.contains(part)), "{part}: {bad:?}");
        }
        assert_eq!(bad.len(), 4, "{bad:?}");
        assert_eq!(told(json!({})), ["the whole: missing properties 'title', 'kind'"]);
        assert_eq!(told(json!([])), ["the whole: want object, but got array"]);
        let many: Vec<Value> = vec![json!(1); 50];
        assert_eq!(told(json!({ "title": "abc", "kind": "bug", "labels": many })).len(), MOST_FAULTS);
    }

    #[test]
    fn a_schema_that_is_none_is_told_and_nothing_is_loaded_from_outside() {
        for (schema, part) in [
            (json!({ "type": "objekt" }), "/type: "),
            (json!({ "type": "object", "properties": [] }), "/properties"),
            (json!({ "type": "object", "properties": { "a": { "pattern": "(" } } }), "pattern"),
            (json!({ "$ref": "#/$defs/missing" }), "missing"),
            (json!({ "$ref": "file:///etc/hostname" }), "file:///etc/hostname"),
            (json!({ "$ref": "https://example.com/schema.json" }), "https://example.com/schema.json"),
        ] {
            let problem = problem(&schema).unwrap();
            assert!(problem.contains(part) && !problem.contains('\n') && !problem.contains("urn:"), "{problem}");
        }
        let draft7 = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object" });
        assert_eq!(problem(&draft7), None);
    }
}
