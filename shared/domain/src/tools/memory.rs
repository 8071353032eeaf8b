//! `memory`: the agent's own notes, which last from run to run.

use serde_json::{Value, json};

pub(super) fn definition() -> Value {
    json!({
        "name": "memory",
        "description": "Your notes, which last from run to run. Paths begin with /memories. `view` lists a folder or shows a file, `create` writes a whole file, `str_replace` and `insert` change one, `delete` and `rename` do what they say. Look before you rely on something, and keep notes short.",
        "input_schema": {
            "type": "object",
            "properties": {
                "command": { "type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"] },
                "path": { "type": "string", "description": "Such as /memories/people.md." },
                "view_range": { "type": "array", "items": { "type": "integer" }, "description": "First and last line to show, from 1." },
                "file_text": { "type": "string", "description": "The whole file, for create." },
                "old_str": { "type": "string", "description": "What to replace; it must be there exactly once." },
                "new_str": { "type": "string", "description": "What to put in its place." },
                "insert_line": { "type": "integer", "description": "Insert after this line; 0 is the beginning." },
                "insert_text": { "type": "string", "description": "What to insert." },
                "old_path": { "type": "string", "description": "For rename." },
                "new_path": { "type": "string", "description": "For rename." }
            },
            "required": ["command"],
            "additionalProperties": false
        }
    })
}

/// Whether a call changes a file.
pub(super) fn changes(input: &Value) -> bool {
    input["command"].as_str() != Some("view")
}
