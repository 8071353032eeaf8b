//! Reading fields with errors that name their path, as `messages.0.content.1.text: Field required`.

use serde_json::{Map, Value};

use crate::answer::ApiError;

/// Most `cache_control` markers in one request (docs page "prompt caching"; not restated by the types).
pub(super) const MAX_BREAKPOINTS: usize = 4;

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A field that is there and not null.
pub(super) fn present<'a>(map: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    map.get(field).filter(|value| !value.is_null())
}

pub(super) fn required<'a>(map: &'a Map<String, Value>, field: &str, path: &str) -> Result<&'a Value, ApiError> {
    map.get(field).ok_or_else(|| ApiError::field(&join(path, field), "Field required"))
}

pub(super) fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, ApiError> {
    value.as_object().ok_or_else(|| ApiError::field(path, "Input should be a valid dictionary"))
}

pub(super) fn array<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], ApiError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| ApiError::field(path, "Input should be a valid list"))
}

/// Refuses fields that are not in `allowed`.
pub(super) fn known(map: &Map<String, Value>, path: &str, allowed: &[&str]) -> Result<(), ApiError> {
    match map.keys().find(|field| !allowed.contains(&field.as_str())) {
        Some(field) => Err(ApiError::field(&join(path, field), "Extra inputs are not permitted")),
        None => Ok(()),
    }
}

/// A string field, if it is there.
pub(super) fn check_string<'a>(
    map: &'a Map<String, Value>,
    field: &str,
    path: &str,
) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = present(map, field) else { return Ok(None) };
    let text = value.as_str().ok_or_else(|| ApiError::field(&join(path, field), "Input should be a valid string"))?;
    Ok(Some(text))
}

/// A string field that must be there.
pub(super) fn string<'a>(map: &'a Map<String, Value>, field: &str, path: &str) -> Result<&'a str, ApiError> {
    required(map, field, path)?;
    check_string(map, field, path)?.ok_or_else(|| ApiError::field(&join(path, field), "Input should be a valid string"))
}

pub(super) fn check_bool(map: &Map<String, Value>, field: &str, path: &str) -> Result<(), ApiError> {
    match present(map, field) {
        Some(value) if !value.is_boolean() => {
            Err(ApiError::field(&join(path, field), "Input should be a valid boolean"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A string field with a closed set of values, if it is there.
pub(super) fn one_of(map: &Map<String, Value>, field: &str, path: &str, values: &[&str]) -> Result<(), ApiError> {
    match present(map, field) {
        Some(value) if value.as_str().is_none_or(|text| !values.contains(&text)) => {
            let listed: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
            Err(ApiError::field(&join(path, field), format!("Input should be {}", listed.join(" or "))))
        }
        Some(_) | None => Ok(()),
    }
}

/// `cache_control` of anything that has one: `{"type":"ephemeral","ttl":"5m"|"1h"}` (Python SDK 2.11.0).
pub(super) fn check_cache_control(map: &Map<String, Value>, path: &str) -> Result<(), ApiError> {
    let Some(control) = present(map, "cache_control") else { return Ok(()) };
    let path = join(path, "cache_control");
    let control = object(control, &path)?;
    known(control, &path, &["type", "ttl"])?;
    required(control, "type", &path)?;
    one_of(control, "type", &path, &["ephemeral"])?;
    one_of(control, "ttl", &path, &["5m", "1h"])
}

/// How many `cache_control` markers `value` holds, at any depth that can hold one.
pub(super) fn breakpoints(value: &Value) -> usize {
    if let Some(items) = value.as_array() {
        return items.iter().map(breakpoints).sum();
    }
    let Some(map) = value.as_object() else { return 0 };
    usize::from(present(map, "cache_control").is_some()) + map.get("content").map_or(0, breakpoints)
}

/// Letters, digits, `_` and `-`, between 1 and `most` of them.
pub(crate) fn is_plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
