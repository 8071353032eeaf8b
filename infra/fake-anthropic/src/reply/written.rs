//! One sampling of the model: the content it writes, why it stops, and what that takes in tokens.

use serde_json::{Map, Value, json};

use crate::ids::Ids;
use crate::thinking;

/// Characters this fake counts as one token.
const CHARS_PER_TOKEN: usize = 4;
/// Tokens an image or a document costs here, whatever its size.
const ATTACHMENT_TOKENS: u64 = 1_600;

/// The content of an answer and why it stops.
pub(super) struct Written {
    pub(super) content: Vec<Value>,
    pub(super) stop_reason: String,
    pub(super) stop_sequence: Option<String>,
    /// `max_tokens`, when the text was cut there.
    pub(super) cut_at: Option<u64>,
}

impl Written {
    /// Scripted blocks: calls without an `id` get one, thinking without a `signature` is signed for what stands `before`
    /// it in this very message and in the request.
    pub(super) fn blocks(blocks: &[Value], params: &Map<String, Value>, before: &[Value], ids: &mut Ids) -> Self {
        let mut content = before.to_vec();
        let mut stop_reason = "end_turn";
        for block in blocks {
            let mut block = block.clone();
            let prefix = match block.get("type").and_then(Value::as_str) {
                Some("tool_use") => {
                    stop_reason = "tool_use";
                    Some("toolu_")
                }
                Some("server_tool_use") => Some("srvtoolu_"),
                Some("mcp_tool_use") => Some("mcptoolu_"),
                Some("thinking") if block.get("signature").is_none() => {
                    block["signature"] = json!(thinking::signature(params, &content, &block));
                    None
                }
                Some(_) | None => None,
            };
            if let Some(prefix) = prefix.filter(|_| block.get("id").is_none()) {
                block["id"] = json!(ids.fresh(prefix));
            }
            content.push(block);
        }
        let content = content.split_off(before.len());
        Self { content, stop_reason: stop_reason.to_owned(), stop_sequence: None, cut_at: None }
    }

    /// A text block, cut at the first stop sequence and then at `max_tokens`.
    pub(super) fn text(text: &str, params: &Map<String, Value>) -> Self {
        let sequences = params.get("stop_sequences").and_then(Value::as_array).into_iter().flatten();
        let first = sequences
            .filter_map(Value::as_str)
            .filter_map(|sequence| text.find(sequence).map(|at| (at, sequence)))
            .min_by_key(|found| found.0);
        let (mut text, mut stop_reason) = (text, "end_turn");
        if let Some((at, _)) = first {
            (text, stop_reason) = (&text[..at], "stop_sequence");
        }
        let max_tokens = params.get("max_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let most = usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN);
        let cut = text.char_indices().nth(most).map(|(at, _)| at);
        if let Some(at) = cut {
            (text, stop_reason) = (&text[..at], "max_tokens");
        }
        Self {
            content: if text.is_empty() { Vec::new() } else { vec![json!({"type": "text", "text": text})] },
            stop_reason: stop_reason.to_owned(),
            stop_sequence: first.filter(|_| cut.is_none()).map(|found| found.1.to_owned()),
            cut_at: cut.map(|_| max_tokens),
        }
    }
}

/// The prompt's length: a quarter of its characters, plus a little for every message.
pub(crate) fn input_tokens(params: &Map<String, Value>) -> u64 {
    let parts = ["system", "tools", "messages", "mcp_servers"];
    let messages = params.get("messages").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    parts.iter().filter_map(|part| params.get(*part)).map(tokens_in).sum::<u64>() + 3 * messages
}

pub(crate) fn tokens_in(value: &Value) -> u64 {
    let (chars, attachments) = weigh(value);
    chars.div_ceil(CHARS_PER_TOKEN as u64) + attachments * ATTACHMENT_TOKENS
}

fn weigh(value: &Value) -> (u64, u64) {
    let add = |sum: (u64, u64), next: (u64, u64)| (sum.0 + next.0, sum.1 + next.1);
    if let Some(text) = value.as_str() {
        return (text.chars().count() as u64, 0);
    }
    if let Some(items) = value.as_array() {
        return items.iter().map(weigh).fold((0, 0), add);
    }
    let Some(map) = value.as_object() else { return (1, 0) };
    let attachment = matches!(map.get("type").and_then(Value::as_str), Some("image" | "document"));
    if attachment && map.get("source").is_some_and(Value::is_object) {
        return (0, 1);
    }
    map.iter().map(|(field, value)| add((field.len() as u64 / 2, 0), weigh(value))).fold((0, 0), add)
}

/// The usage of several samplings as one: counts add up, of anything else the last word counts.
pub(super) fn sum(usages: &[Value]) -> Value {
    usages.iter().fold(Value::Null, |sum, usage| add(&sum, usage))
}

fn add(sum: &Value, next: &Value) -> Value {
    if let (Some(one), Some(other)) = (sum.as_u64(), next.as_u64()) {
        return json!(one + other);
    }
    if let (Some(one), Some(other)) = (sum.as_object(), next.as_object()) {
        let mut both = one.clone();
        for (field, value) in other {
            both.insert(field.clone(), add(one.get(field).unwrap_or(&Value::Null), value));
        }
        return Value::Object(both);
    }
    if next.is_null() { sum.clone() } else { next.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn text_is_cut_at_max_tokens_and_at_stop_sequences() {
        let written = Written::text("abcdefghijkl", &params(&json!({"max_tokens": 2})));
        assert_eq!((written.stop_reason.as_str(), written.cut_at), ("max_tokens", Some(2)));
        assert_eq!(written.content[0]["text"], "abcdefgh");
        let written = Written::text("one STOP two", &params(&json!({"max_tokens": 20, "stop_sequences": ["STOP"]})));
        assert_eq!((written.stop_reason.as_str(), written.stop_sequence.as_deref()), ("stop_sequence", Some("STOP")));
    }

    #[test]
    fn usage_adds_up_over_samplings() {
        let first =
            json!({"input_tokens": 10, "server_tool_use": null, "cache_creation": {"a": 1}, "service_tier": "batch"});
        let second = json!({"input_tokens": 5, "server_tool_use": {"web_search_requests": 2}, "cache_creation": {"a": 2},
            "service_tier": "batch"});
        assert_eq!(sum(std::slice::from_ref(&first)), first);
        let both = json!({"input_tokens": 15, "server_tool_use": {"web_search_requests": 2}, "cache_creation": {"a": 3},
            "service_tier": "batch"});
        assert_eq!(sum(&[first, second]), both);
    }
}
