//! What a model answers with: texts, calls of tools and usage that differ from answer to answer, the same every time.

use nightshift_domain::model::{HopRequest, Reply, StopReason};
use serde_json::{Value, json};

use super::plan::Say;

/// The `n`-th answer of the provider. A model that is to use a tool it was not offered ends its turn.
pub(super) fn reply(n: u64, request: &HopRequest, say: Say, batch: bool) -> Reply {
    let tool = match say {
        Say::Notes | Say::Looks => Some("memory"),
        Say::Sends => Some("message"),
        Say::Done | Say::Long | Say::Silent | Say::CutOff | Say::Refuses | Say::Pauses => None,
    };
    let say = if tool.is_some_and(|tool| !offers(request, tool)) { Say::Done } else { say };
    let text = match say {
        Say::Long => [0, 1, 2].map(|part| format!("Answer {n}, part {part}. {}", "Word ".repeat(40))).concat(),
        Say::Silent => "NO_REPLY".to_owned(),
        Say::Refuses => String::new(),
        Say::Done | Say::CutOff | Say::Pauses | Say::Notes | Say::Looks | Say::Sends => format!("Answer {n}."),
    };
    let mut blocks = Vec::new();
    if !text.is_empty() {
        blocks.push(json!({ "type": "text", "text": text }));
    }
    let path = format!("/memories/note-{}.md", n % 5);
    let call = match say {
        Say::Notes => Some(("memory", json!({ "command": "create", "path": path, "file_text": format!("Note {n}.") }))),
        Say::Looks => Some(("memory", json!({ "command": "view", "path": "/memories" }))),
        Say::Sends => Some(("message", json!({ "text": format!("Message {n}.") }))),
        Say::Done | Say::Long | Say::Silent | Say::CutOff | Say::Refuses | Say::Pauses => None,
    };
    if let Some((name, input)) = call {
        blocks.push(json!({ "type": "tool_use", "id": format!("toolu_{n:08}"), "name": name, "input": input }));
    }
    Reply {
        message_id: format!("msg_{n:08}"),
        request_id: (!batch).then(|| format!("req_{n:08}")),
        model: request.model.clone(),
        stop_reason: stop_reason(say),
        content: Value::from(blocks).to_string(),
        text,
        usage: usage(n, batch),
        container: None,
    }
}

fn stop_reason(say: Say) -> StopReason {
    match say {
        Say::Done | Say::Long | Say::Silent => StopReason::EndTurn,
        Say::CutOff => StopReason::MaxTokens,
        Say::Refuses => StopReason::Refusal,
        Say::Pauses => StopReason::PauseTurn,
        Say::Notes | Say::Looks | Say::Sends => StopReason::ToolUse,
    }
}

/// Whether the request offers our tool `name`.
fn offers(request: &HopRequest, name: &str) -> bool {
    let tools: Value = request.tools.as_deref().and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    tools.as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
}

/// Numbers that make each answer's cost its own, so that one booked in the place of another shows; odd ones among them, which
/// do not halve evenly.
fn usage(n: u64, batch: bool) -> Value {
    json!({
        "input_tokens": 1000 + 7 * n,
        "output_tokens": 1 + n % 97,
        "cache_read_input_tokens": 101 * (n % 3),
        "cache_creation_input_tokens": 33 * (n % 4),
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 33 * (n % 4) },
        "server_tool_use": { "web_search_requests": u64::from(n.is_multiple_of(5)) },
        "service_tier": if batch { "batch" } else { "standard" },
    })
}
