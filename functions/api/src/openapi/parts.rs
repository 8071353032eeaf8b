//! Pieces of the description that methods share: headers, refusals, the token.

use nightshift_domain::FieldError;
use nightshift_engine::jobs::Refusal;
use nightshift_engine::ports::{StoreError, StoreErrorKind};
use nightshift_wire::NOW_HEADER;
use serde_json::{Map, Value, json};

use crate::error::Fault;

/// The names of the security schemes.
pub(super) const BEARER: &str = "bearer";
pub(super) const HOOKS: &str = "hooks";
/// Response headers by their names in the components.
const NOW: (&str, &str) = ("Now", NOW_HEADER);
pub(super) const REPLAYED: (&str, &str) = ("Replayed", "Idempotency-Replayed");
const AUTHENTICATE: (&str, &str) = ("Authenticate", "WWW-Authenticate");
const RETRY_AFTER: (&str, &str) = ("RetryAfter", "Retry-After");

pub(super) fn security_schemes() -> Value {
    json!({
        BEARER: { "type": "http", "scheme": "bearer",
            "description": "The token of the stack; not asked for where the API stands behind AWS IAM." },
        HOOKS: { "type": "http", "scheme": "bearer",
            "description": "The token of the hooks (`hooks.token`). The header `x-openclaw-token` may hold it instead." },
    })
}

pub(super) fn headers() -> Value {
    let mut headers = Map::new();
    let mut add = |(name, _): (&str, &str), required: bool, schema: Value, description: &str| {
        headers.insert(name.to_owned(), json!({ "description": description, "required": required, "schema": schema }));
    };
    add(NOW, true, json!({ "type": "integer" }), "The time at the API, epoch ms: what `20m` counts from.");
    add(
        REPLAYED,
        false,
        json!({ "type": "string", "const": "true" }),
        "There when the request was carried out before under its `Idempotency-Key`, and this is the answer it had.",
    );
    add(AUTHENTICATE, true, json!({ "type": "string", "const": "Bearer" }), "What is asked for.");
    add(RETRY_AFTER, true, json!({ "type": "integer", "minimum": 1 }), "When to try again, seconds.");
    Value::Object(headers)
}

/// The header that makes a request one that may be sent twice.
pub(super) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "Of all requests with this key and method within 24 hours, one is carried out, and the others get its \
            answer. A refusal is not remembered.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" },
        "example": "8f14e45f-ceea-467f-9575-5d4b2c1a7e10",
    })
}

/// The end of a configured hook's path.
pub(super) fn hook_name() -> Value {
    json!({
        "name": "name",
        "in": "path",
        "required": true,
        "description": "One of `hooks.named`.",
        "schema": { "type": "string", "minLength": 1 },
        "example": "gmail",
    })
}

pub(super) fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

/// An answer without its content.
pub(super) fn answered(description: &str, more: &[(&str, &str)]) -> Value {
    let named = |(name, header): &(&str, &str)| {
        ((*header).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    let headers: Map<String, Value> = std::iter::once(&NOW).chain(more).map(named).collect();
    json!({ "description": description, "headers": headers })
}

/// The refusals in `faults`, by status: what is told of them is what the table of refusals says.
pub(super) fn refusals(faults: &[Fault]) -> Map<String, Value> {
    let mut by_status: std::collections::BTreeMap<u16, Vec<(String, String)>> = std::collections::BTreeMap::new();
    for fault in faults {
        let (status, body) = fault.answer();
        let line = if let Fault::Refused(Refusal::Invalid(_)) = fault {
            // Fields have codes of their own, which their own rules give.
            (
                "a code such as `invalid_schedule`, `missing_field` or `unknown_field`".to_owned(),
                "fields of the request are bad; `field` is the first, `fields` has all".to_owned(),
            )
        } else {
            (format!("`{}`", body.code), body.message)
        };
        let lines = by_status.entry(status).or_default();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    by_status.into_iter().map(|(status, lines)| (status.to_string(), refusal(status, &lines))).collect()
}

fn refusal(status: u16, lines: &[(String, String)]) -> Value {
    let said: Vec<String> = lines.iter().map(|(code, message)| format!("{code}: {message}")).collect();
    let more: &[(&str, &str)] = match status {
        401 => &[AUTHENTICATE],
        429 | 503 => &[RETRY_AFTER],
        _ => &[],
    };
    let mut answer = answered(&format!("{}.", said.join(";\n")), more);
    answer["content"] = json_content(&json!({ "$ref": "#/components/schemas/ApiError" }));
    answer
}

/// What any method may answer.
pub(super) fn always() -> Vec<Fault> {
    let store = |kind| Fault::from(StoreError { kind, operation: String::new(), source: None });
    vec![
        Fault::NotJson { line: 1, column: 1 },
        Fault::NoObject,
        Fault::BadKey,
        Fault::Refused(Refusal::Invalid(vec![FieldError::new("", "", "")])),
        Fault::NoToken,
        Fault::TooManyTries { seconds: 60 },
        Fault::TooLarge { bytes: crate::BODY_MAX + 1, most: crate::BODY_MAX },
        store(StoreErrorKind::Corrupt),
        store(StoreErrorKind::Unavailable),
    ]
}
