//! `message`: sends a text to a chat.

use serde_json::{Value, json};

pub(super) fn definition() -> Value {
    json!({
        "name": "message",
        "description": "Sends a message to a chat, now. Without a channel and a target it goes where this run's answers go. Write Markdown; it is turned into the chat's own format. Do not send the same text again when the outcome is unknown.",
        "input_schema": {
            "type": "object",
            "properties": {
                "text": { "type": "string", "description": "The message, in Markdown." },
                "channel": { "type": "string", "description": "The channel's name, such as telegram or slack." },
                "to": { "type": "string", "description": "The chat or user in the channel's own form, such as channel:C123." },
                "threadId": { "type": "string", "description": "A thread or topic of the chat." },
                "accountId": { "type": "string", "description": "The account to send from, where the channel has several." }
            },
            "required": ["text"],
            "additionalProperties": false
        }
    })
}
