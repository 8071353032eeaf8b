//! `message`: sends a text to a chat.

use serde_json::{Value, json};

pub(super) fn definition() -> Value {
    json!({
        "name": "message",
        "description": "Sends a message to a chat, now. With nothing but a text it goes where this run's answer goes, else to your usual chat. Write Markdown; it is turned into the chat's own format, and a long text into several messages. The result names the place and the ids of the messages. If the run's answer would go to the place you sent to, that answer is not sent. Never send a text again whose outcome is unknown.",
        "input_schema": {
            "type": "object",
            "properties": {
                "text": { "type": "string", "minLength": 1, "description": "The message, in Markdown." },
                "channel": { "type": "string", "description": "The channel's name, such as telegram or slack. Only for a place other than the usual one." },
                "to": { "type": "string", "description": "The chat or user in the channel's own form, such as channel:C123 or -1001234567890." },
                "threadId": { "type": "string", "description": "A thread or topic of the chat." },
                "accountId": { "type": "string", "description": "The account to send from, where the channel has several." }
            },
            "required": ["text"],
            "additionalProperties": false
        }
    })
}
