//! `http_fetch`: reads an address.

use serde_json::{Value, json};

pub(super) fn definition() -> Value {
    json!({
        "name": "http_fetch",
        "description": "Reads a public web address with GET and returns its text. HTML is turned into plain text. Internal addresses are refused; long answers are cut.",
        "input_schema": {
            "type": "object",
            "properties": {
                "url": { "type": "string", "description": "The https address." }
            },
            "required": ["url"],
            "additionalProperties": false
        }
    })
}
