//! Spellings that older `OpenClaw` versions took, rewritten to today's.
//!
//! Guarantee: nothing is dropped here but `isolation`, which no version obeys any more; a field this file does not know
//! stays where it is, to be refused by name.

use serde_json::{Map, Value, json};

use crate::FieldError;

/// Where a wrapped job may stand.
const WRAPPERS: [&str; 2] = ["job", "data"];
/// Fields of the payload that once stood beside it.
const PAYLOAD_FIELDS: [&str; 6] = ["message", "text", "model", "thinking", "timeoutSeconds", "batchMode"];
/// Fields of the delivery that once stood in the payload or beside it, and their names today.
const DELIVERY_FIELDS: [(&str, &str); 4] =
    [("channel", "channel"), ("provider", "channel"), ("to", "to"), ("bestEffortDeliver", "bestEffort")];

/// The object in `input`, unwrapped, with old spellings rewritten. `what` names it in the error.
pub(crate) fn modern(input: &Value, what: &str) -> Result<Map<String, Value>, FieldError> {
    let Value::Object(outer) = input else {
        return Err(FieldError::new("invalid_request", what, format!("the {what} is not a JSON object")));
    };
    let wrapped = match outer.iter().next() {
        Some((name, Value::Object(inner))) if outer.len() == 1 && WRAPPERS.contains(&name.as_str()) => Some(inner),
        Some(_) | None => None,
    };
    let mut object = wrapped.unwrap_or(outer).clone();
    object.shift_remove("isolation");
    if !object.contains_key("jobId")
        && let Some(id) = object.shift_remove("id")
    {
        object.insert("jobId".to_owned(), id);
    }
    hoist_payload(&mut object);
    hoist_delivery(&mut object);
    Ok(object)
}

fn hoist_payload(object: &mut Map<String, Value>) {
    let beside: Vec<(&str, Value)> =
        PAYLOAD_FIELDS.iter().filter_map(|name| Some((*name, object.shift_remove(*name)?))).collect();
    let payload = match object.get_mut("payload") {
        Some(Value::Object(payload)) => payload,
        // Something that is no object is refused as it stands.
        Some(_) => return,
        None if beside.is_empty() => return,
        None => match object.entry("payload").or_insert_with(|| json!({})) {
            Value::Object(payload) => payload,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return,
        },
    };
    for (name, value) in beside {
        payload.entry(name).or_insert(value);
    }
    if let Some(flag) = payload.shift_remove("batchMode") {
        match payload.entry("batch").or_insert_with(|| json!({})) {
            Value::Object(batch) => {
                batch.entry("enabled").or_insert(flag);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
}

fn hoist_delivery(object: &mut Map<String, Value>) {
    let mut found = Map::new();
    let mut wanted = None;
    let mut take = |map: &mut Map<String, Value>| {
        for (old, new) in DELIVERY_FIELDS {
            if let Some(value) = map.shift_remove(old) {
                found.entry(new).or_insert(value);
            }
        }
        wanted = map.shift_remove("deliver").or(wanted.take());
    };
    if let Some(Value::Object(payload)) = object.get_mut("payload") {
        take(payload);
    }
    take(object);
    let mode = match &wanted {
        None if found.is_empty() => return,
        None | Some(Value::Bool(true)) => json!("announce"),
        Some(Value::Bool(false)) => json!("none"),
        Some(other) => other.clone(),
    };
    match object.entry("delivery").or_insert_with(|| json!({})) {
        Value::Object(delivery) => {
            delivery.entry("mode").or_insert(mode);
            for (name, value) in found {
                delivery.entry(name).or_insert(value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}
