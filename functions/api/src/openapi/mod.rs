//! `GET /openapi.json`: the API's description, made from the types it reads and writes.
//!
//! Guarantee: every method is described (a new one does not compile without), names and kinds of fields are those of the
//! types, and statuses and codes are those of the one table of refusals in [`crate::error`]. Built once, when it is first
//! asked for.

mod operations;
mod parts;

use std::sync::OnceLock;

use nightshift_wire::schema::{Schemas, point};
use nightshift_wire::{ApiError, HealthAnswer};
use serde_json::{Map, Value, json};

use crate::methods::METHODS;

const ABOUT: &str = "Jobs for AI agents: when to run and what to ask; what ran, what it cost and where the answer went.\n\n\
    Every method is `POST /v1/<method>` with one JSON object as its body, whatever the `Content-Type` says; no body is an \
    empty object. In a request `null` is the same as leaving an optional field out, and a field that is not known is refused \
    by name. In an answer fields may be added, so ignore those you do not know. A refused request changes nothing.\n\n\
    The API asks for a bearer token, or stands behind AWS IAM and asks for none itself; then AWS answers 403 in a shape of \
    its own. Hooks have a token of their own. AWS also answers 429 and 502 by itself, when the function is throttled or cannot be run.";

/// The document, as it is sent.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

fn document() -> Value {
    let mut schemas = Schemas::default();
    schemas.answered::<ApiError>();
    let mut paths = Map::new();
    paths.insert(
        "/healthz".to_owned(),
        open("Tells that the API is there", "health", &schemas.answered::<HealthAnswer>()),
    );
    paths.insert("/openapi.json".to_owned(), open("This description", "openapi", &json!({ "type": "object" })));
    let operations: Vec<_> = METHODS.into_iter().map(|method| operations::describe(method, &mut schemas)).collect();
    for operation in &operations {
        paths.insert(format!("/v1/{}", operation.name), json!({ "post": operation.to_json(&operations) }));
    }
    for path in operations::HOOKS {
        let mut operation = operations::describe_hook(path, &mut schemas).to_json(&operations);
        operation["security"] = json!([{ parts::HOOKS: [] }]);
        let mut item = json!({ "post": operation });
        if path == "{name}" {
            item["parameters"] = json!([parts::hook_name()]);
        }
        paths.insert(format!("/hooks/{path}"), item);
    }
    let (components, renamed) = schemas.finish();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Nightshift", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" } },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/", "description": "Where this description was read." }],
        "tags": [
            { "name": "cron", "description": "Jobs and their runs." },
            { "name": "system", "description": "The main sessions of agents." },
            { "name": "config", "description": "The configuration." },
            { "name": "hooks", "description": "For programs that know one token and nothing else; there once they are configured." },
            { "name": "service", "description": "The API itself; needs no token." },
        ],
        "security": [{ parts::BEARER: [] }],
        "paths": paths,
    });
    point(&mut document, &renamed);
    document["components"] = json!({
        "securitySchemes": parts::security_schemes(),
        "headers": parts::headers(),
        "schemas": components,
    });
    document
}

/// A path that is read without a token.
fn open(summary: &str, id: &str, schema: &Value) -> Value {
    let operation = |id: &str, verb: &str| {
        let mut answered = parts::answered("It is here.", &[]);
        if verb == "get" {
            answered["content"] = parts::json_content(schema);
        }
        json!({ "summary": summary, "operationId": id, "tags": ["service"], "security": [], "responses": { "200": answered } })
    };
    json!({ "get": operation(id, "get"), "head": operation(&format!("{id}Head"), "head") })
}
