//! Chat Completions: a hop as a request body, and the answer as a reply.
//!
//! The fields are those every compatible server knows (`OpenAI` API reference, "Create chat completion", 2026-10). Newer
//! `OpenAI` models want `max_completion_tokens` in place of `max_tokens`, but Ollama, vLLM, llama.cpp and the gateways all
//! take the older name, so that is the one sent.

use nightshift_domain::model::{HopRequest, Reply, StopReason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    role: Value,
    content: String,
}

/// The body of a hop. Of each message only the text goes along; one without any (a turn that only thought) is left out.
pub(crate) fn body(request: &HopRequest) -> serde_json::Result<String> {
    let mut messages = Vec::new();
    if let Some(system) = &request.system {
        messages.push(Message { role: json!("system"), content: system.clone() });
    }
    for message in &request.messages {
        let content = text_of(&serde_json::from_str(&message.content)?)?;
        if !content.is_empty() {
            messages.push(Message { role: serde_json::to_value(message.role)?, content });
        }
    }
    serde_json::to_string(&Body { model: &request.model, max_tokens: request.max_tokens, messages })
}

/// The text of a content: a string, or blocks. Neighbouring text blocks are one text; what others separate stands apart.
fn text_of(content: &Value) -> serde_json::Result<String> {
    let blocks = match content {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(blocks) => blocks,
        Value::Null => return Ok(String::new()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(serde::de::Error::custom("content is neither a string nor blocks"));
        }
    };
    let mut joined = String::new();
    let mut apart = false;
    for block in blocks {
        match block["text"].as_str().filter(|_| block["type"] == "text") {
            Some(text) => {
                if apart && !joined.is_empty() && !text.is_empty() {
                    joined.push_str("\n\n");
                }
                apart = false;
                joined.push_str(text);
            }
            None => apart = true,
        }
    }
    Ok(joined)
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Option<String>,
}

/// Reads a completion. The content becomes one text block, so that any model may continue the conversation; usage gets
/// the Messages API's names, with what was said under `raw`.
pub(crate) fn reply(body: &[u8], asked: &str, request_id: Option<String>) -> serde_json::Result<Reply> {
    let completion: Completion = serde_json::from_slice(body)?;
    let first = completion.choices.into_iter().next();
    let choice = first.ok_or_else(|| <serde_json::Error as serde::de::Error>::custom("no choices"))?;
    let refused = choice.message.refusal.is_some_and(|refusal| !refusal.is_empty());
    let text = text_of(&choice.message.content)?;
    let content = if text.is_empty() { json!([]) } else { json!([{"type": "text", "text": text}]) };
    Ok(Reply {
        message_id: completion.id.unwrap_or_default(),
        request_id,
        model: completion.model.unwrap_or_else(|| asked.to_owned()),
        stop_reason: if refused { StopReason::Refusal } else { stop_reason(choice.finish_reason.as_deref()) },
        content: content.to_string(),
        text,
        usage: usage(&completion.usage),
        container: None,
    })
}

fn stop_reason(word: Option<&str>) -> StopReason {
    match word {
        Some("stop") => StopReason::EndTurn,
        Some("length") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::Refusal,
        Some("tool_calls" | "function_call") => StopReason::ToolUse,
        other => StopReason::Other(other.unwrap_or("none").to_owned()),
    }
}

fn usage(raw: &Value) -> Value {
    let count = |name: &str| raw[name].as_u64().unwrap_or(0);
    json!({"input_tokens": count("prompt_tokens"), "output_tokens": count("completion_tokens"), "raw": raw})
}

#[cfg(test)]
mod tests {
    use nightshift_domain::model::{Role, TurnMessage};

    use super::*;

    fn request(contents: &[&str]) -> HopRequest {
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let message = |(content, role): (&&str, Role)| TurnMessage { role, content: (*content).to_owned() };
        HopRequest {
            model: "llama".into(),
            max_tokens: 99,
            system: Some("Be brief.".into()),
            messages: contents.iter().zip(roles).map(message).collect(),
            effort: Some("low".into()),
            ..HopRequest::default()
        }
    }

    #[test]
    fn a_hop_becomes_plain_texts_under_the_oldest_field_names() {
        let blocks = r#"[{"type":"thinking","thinking":"…"},{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"x"},
            {"type":"text","text":"c"}]"#;
        let body: Value =
            serde_json::from_str(&body(&request(&["\"hi\"", blocks, "\"on\"", "[{\"type\":\"x\"}]"])).unwrap())
                .unwrap();
        let expected = json!({"model": "llama", "max_tokens": 99, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ab\n\nc"},
            {"role": "user", "content": "on"}]});
        assert_eq!(body, expected);
    }

    #[test]
    fn content_that_is_no_content_is_refused() {
        assert!(body(&request(&["{"])).is_err());
        assert!(body(&request(&["{}"])).is_err());
    }

    fn completion(content: &Value, finish: &Value) -> Reply {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "llama-3", "usage":
            {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}, "choices":
            [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}]});
        reply(body.to_string().as_bytes(), "llama", Some("req_1".into())).unwrap()
    }

    #[test]
    fn a_completion_becomes_one_text_block_with_usage_under_known_names() {
        let reply = completion(&json!("four"), &json!("stop"));
        assert_eq!(reply.content, r#"[{"type":"text","text":"four"}]"#);
        assert_eq!((reply.text.as_str(), reply.model.as_str()), ("four", "llama-3"));
        assert_eq!((reply.message_id.as_str(), reply.request_id.as_deref()), ("chatcmpl-1", Some("req_1")));
        let raw = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
        assert_eq!(reply.usage, json!({"input_tokens": 7, "output_tokens": 2, "raw": raw}));
        let parts =
            completion(&json!([{"type": "text", "text": "f"}, {"type": "text", "text": "our"}]), &json!("stop"));
        assert_eq!(parts.text, "four");
        let silent = completion(&json!(null), &json!("tool_calls"));
        assert_eq!((silent.content.as_str(), silent.stop_reason), ("[]", StopReason::ToolUse));
    }

    #[test]
    fn each_finish_reason_has_its_stop_reason() {
        let rows = [
            (json!("stop"), StopReason::EndTurn),
            (json!("length"), StopReason::MaxTokens),
            (json!("content_filter"), StopReason::Refusal),
            (json!("tool_calls"), StopReason::ToolUse),
            (json!("function_call"), StopReason::ToolUse),
            (json!("insufficient_system_resource"), StopReason::Other("insufficient_system_resource".into())),
            (json!(null), StopReason::Other("none".into())),
        ];
        for (word, expected) in rows {
            assert_eq!(completion(&json!("x"), &word).stop_reason, expected);
        }
    }

    #[test]
    fn a_refusal_is_one_even_when_it_says_stop() {
        let body = r#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}]}"#;
        let reply = reply(body.as_bytes(), "llama", None).unwrap();
        assert_eq!((reply.stop_reason, reply.model.as_str()), (StopReason::Refusal, "llama"));
        assert!(super::reply(br#"{"choices":[]}"#, "llama", None).is_err());
    }
}
