//! A chat completion as a reply.
//!
//! Guarantee: the assistant's message is kept beside its translation, value for value, so that it can go back as it came.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_domain::model::{RAW_MESSAGE, Reply, StopReason};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::content::text_of;

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Called<'a>>>,
    /// The one call of servers from before there were several.
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Text { r#type: &'static str, text: &'a str },
    Call { r#type: &'static str, id: String, name: String, input: Box<RawValue> },
    Raw { r#type: &'static str, model: &'a str, message: BTreeMap<String, Box<RawValue>> },
}

/// Reads a completion that `asked` was asked for. Texts and calls become blocks that any model may continue from, and the
/// message itself one that only `asked` is sent; usage gets the Messages API's names, with what was said under `raw`.
pub(crate) fn reply(body: &[u8], asked: &str, request_id: Option<String>) -> serde_json::Result<Reply> {
    let completion: Completion<'_> = serde_json::from_slice(body)?;
    let first = completion.choices.into_iter().next();
    let choice = first.ok_or_else(|| <serde_json::Error as serde::de::Error>::custom("no choices"))?;
    let said: Said<'_> = serde_json::from_str(choice.message.get())?;
    let text = said.content.map_or_else(|| Ok(String::new()), |content| text_of(content.get()))?;
    let refused = said.refusal.is_some_and(|refusal| !refusal.is_empty());
    let legacy = said.tool_calls.as_ref().is_none_or(Vec::is_empty) && said.function_call.is_some();
    let single = said.function_call.filter(|_| legacy).map(|function| Called { id: None, function: Some(function) });
    let called: Vec<Called<'_>> = said.tool_calls.into_iter().flatten().chain(single).collect();
    let ids = ids(&called);
    let mut blocks = Vec::new();
    if !text.is_empty() {
        blocks.push(Block::Text { r#type: "text", text: &text });
    }
    let as_it_came = called.iter().zip(&ids).all(|(call, id)| call.id.as_ref() == Some(id));
    for (call, id) in called.into_iter().zip(&ids) {
        let Some(Function { name, arguments }) = call.function else { continue };
        blocks.push(Block::Call { r#type: "tool_use", id: id.clone(), name, input: input(arguments)? });
    }
    let calls = blocks.iter().any(|block| matches!(block, Block::Call { .. }));
    // The result of a call of the old kind could not name it: such a message goes back in today's words.
    if !legacy {
        let mut message = message(choice.message)?;
        if !as_it_came {
            identify(&mut message, &ids)?;
        }
        blocks.push(Block::Raw { r#type: RAW_MESSAGE, model: asked, message });
    }
    Ok(Reply {
        message_id: completion.id.unwrap_or_default(),
        request_id,
        model: completion.model.unwrap_or_else(|| asked.to_owned()),
        stop_reason: if refused { StopReason::Refusal } else { stop_reason(choice.finish_reason.as_deref(), calls) },
        content: serde_json::to_string(&blocks)?,
        text,
        usage: usage(&completion.usage),
        container: None,
    })
}

/// The calls' ids, one for each: those that came, and made ones where a server gives none or one twice.
fn ids(called: &[Called<'_>]) -> Vec<String> {
    let given = |call: &Called<'_>| call.id.clone().filter(|id| !id.is_empty());
    let mut taken: BTreeSet<String> = called.iter().filter_map(given).collect();
    let mut seen = BTreeSet::new();
    let ids = called.iter().enumerate().map(|(at, call)| {
        let own = given(call).filter(|id| seen.insert(id.clone()));
        own.unwrap_or_else(|| {
            let made = (at + 1..=at + 1 + called.len())
                .map(|n| format!("call_{n}"))
                .find(|id| !taken.contains(id))
                .unwrap_or_default();
            taken.insert(made.clone());
            made
        })
    });
    ids.collect()
}

/// The fields of a message without those that say nothing: some servers refuse to be sent the empty lists they send.
fn message(raw: &RawValue) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    let mut message: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw.get())?;
    message.retain(|name, value| name == "content" || !matches!(value.get(), "null" | "[]"));
    message.entry("role".to_owned()).or_insert(RawValue::from_string("\"assistant\"".to_owned())?);
    Ok(message)
}

/// Gives the calls of a message the ids by which they will be answered.
fn identify(message: &mut BTreeMap<String, Box<RawValue>>, ids: &[String]) -> serde_json::Result<()> {
    let Some(calls) = message.get_mut("tool_calls") else { return Ok(()) };
    let mut shown: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(calls.get())?;
    for (call, id) in shown.iter_mut().zip(ids) {
        call.insert("id".to_owned(), serde_json::value::to_raw_value(id)?);
    }
    *calls = serde_json::value::to_raw_value(&shown)?;
    Ok(())
}

/// The input of a call: the object its arguments are, or, where they are none, their text, which is refused as an input and
/// told the model.
fn input(arguments: Option<&RawValue>) -> serde_json::Result<Box<RawValue>> {
    let Some(arguments) = arguments else { return RawValue::from_string("{}".to_owned()) };
    // Servers that mean well send the object itself.
    let text = serde_json::from_str(arguments.get()).unwrap_or_else(|_| arguments.get().to_owned());
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return RawValue::from_string("{}".to_owned());
    }
    let object = RawValue::from_string(trimmed.to_owned()).ok().filter(|_| trimmed.starts_with('{'));
    object.map_or_else(|| serde_json::value::to_raw_value(&text), Ok)
}

/// `calls`: whether there are any. Several servers, and `OpenAI` itself for old models, say `stop` although there are.
fn stop_reason(word: Option<&str>, calls: bool) -> StopReason {
    match word {
        Some("stop") | None if calls => StopReason::ToolUse,
        Some("stop") => StopReason::EndTurn,
        Some("length") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::Refusal,
        Some("tool_calls" | "function_call") => StopReason::ToolUse,
        other => StopReason::Other(other.unwrap_or("none").to_owned()),
    }
}

/// What was read from a cache is counted apart from the rest of the prompt, as the Messages API does.
fn usage(raw: &Value) -> Value {
    let count = |name: &str| raw[name].as_u64().unwrap_or(0);
    let prompt = count("prompt_tokens");
    let cached = raw["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0).min(prompt);
    json!({
        "input_tokens": prompt - cached,
        "cache_read_input_tokens": cached,
        "output_tokens": count("completion_tokens"),
        "raw": raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(message: &Value, finish: &Value) -> Reply {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "llama-3", "usage":
            {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}, "choices":
            [{"index": 0, "message": message, "finish_reason": finish}]});
        reply(body.to_string().as_bytes(), "llama", Some("req_1".into())).unwrap()
    }

    fn says(content: &Value, finish: &Value) -> Reply {
        completion(&json!({"role": "assistant", "content": content}), finish)
    }

    fn blocks(reply: &Reply) -> Vec<Value> {
        serde_json::from_str(&reply.content).unwrap()
    }

    #[test]
    fn a_completion_becomes_a_text_and_its_own_message_with_usage_under_known_names() {
        let reply = says(&json!("four"), &json!("stop"));
        let own = json!({"type": RAW_MESSAGE, "model": "llama", "message": {"role": "assistant", "content": "four"}});
        assert_eq!(blocks(&reply), [json!({"type": "text", "text": "four"}), own]);
        assert_eq!((reply.text.as_str(), reply.model.as_str()), ("four", "llama-3"));
        assert_eq!((reply.message_id.as_str(), reply.request_id.as_deref()), ("chatcmpl-1", Some("req_1")));
        let raw = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
        let usage = json!({"input_tokens": 7, "cache_read_input_tokens": 0, "output_tokens": 2, "raw": raw});
        assert_eq!(reply.usage, usage);
        let parts = says(&json!([{"type": "text", "text": "f"}, {"type": "text", "text": "our"}]), &json!("stop"));
        assert_eq!(parts.text, "four");
    }

    #[test]
    fn what_the_server_read_from_its_cache_is_no_input() {
        let raw = json!({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 60}});
        let usage = usage(&raw);
        assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(40), &json!(60)));
        assert_eq!(super::usage(&json!(null))["input_tokens"], 0);
    }

    #[test]
    fn calls_become_blocks_with_parsed_input_and_the_message_keeps_what_nobody_knows() {
        let body = r#"{"choices":[{"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"memory","arguments":" {\"n\": 1.50} "},"extra_content":{"sig":"h\u0069"}},
            {"id":"b","type":"function","function":{"name":"cron","arguments":""}},
            {"id":"c","type":"function","function":{"name":"cron","arguments":{"action":"list"}}},
            {"id":"d","type":"custom","custom":{}}],
            "reasoning_content":"h\u006dm","refusal":null,"annotations":[],"audio":null}}]}"#;
        let reply = reply(body.as_bytes(), "llama", None).unwrap();
        assert_eq!(reply.stop_reason, StopReason::ToolUse);
        let blocks = blocks(&reply);
        let call = |at: usize| (blocks[at]["id"].as_str().unwrap(), &blocks[at]["input"]);
        assert_eq!(call(0), ("a", &json!({"n": 1.5})));
        assert_eq!(call(1), ("b", &json!({})));
        assert_eq!(call(2), ("c", &json!({"action": "list"})));
        assert_eq!(blocks.len(), 4);
        for kept in
            [r#""input":{"n": 1.50}"#, r#""extra_content":{"sig":"h\u0069"}"#, r#""reasoning_content":"h\u006dm""#]
        {
            assert!(reply.content.contains(kept), "{kept} in {}", reply.content);
        }
        let names: Vec<&String> = blocks[3]["message"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["content", "reasoning_content", "role", "tool_calls"]);
    }

    #[test]
    fn arguments_that_are_no_object_are_kept_as_text_so_that_the_model_can_be_told() {
        for arguments in ["{\"half\":", "[1]", "7", "null", "look it up", "{} {}"] {
            let call = json!({"id": "a", "type": "function", "function": {"name": "memory", "arguments": arguments}});
            let reply = completion(&json!({"content": "", "tool_calls": [call]}), &json!("tool_calls"));
            assert_eq!(blocks(&reply)[0]["input"], json!(arguments));
        }
    }

    #[test]
    fn a_call_without_an_id_of_its_own_gets_one_in_the_message_too() {
        let call = |id: Value| json!({"id": id, "type": "function", "function": {"name": "memory", "arguments": "{}"}});
        let calls = json!([call(json!("call_2")), call(json!(null)), call(json!("")), call(json!("call_2"))]);
        let reply = completion(&json!({"content": null, "tool_calls": calls}), &json!("tool_calls"));
        let blocks = blocks(&reply);
        let ids: Vec<&Value> = blocks[..4].iter().map(|block| &block["id"]).collect();
        assert_eq!(ids, ["call_2", "call_3", "call_4", "call_5"]);
        let own = blocks[4]["message"]["tool_calls"].as_array().unwrap();
        assert_eq!(own.iter().map(|call| &call["id"]).collect::<Vec<_>>(), ids);
        assert_eq!(own[3]["function"]["name"], "memory");
    }

    #[test]
    fn a_call_of_the_old_kind_is_one_of_todays() {
        let message = json!({"role": "assistant", "content": null, "function_call": {"name": "memory", "arguments": "{\"a\":1}"}});
        let reply = completion(&message, &json!("function_call"));
        let call = json!({"type": "tool_use", "id": "call_1", "name": "memory", "input": {"a": 1}});
        assert_eq!((blocks(&reply), reply.stop_reason), (vec![call], StopReason::ToolUse));
    }

    #[test]
    fn each_finish_reason_has_its_stop_reason() {
        let rows = [
            (json!("stop"), StopReason::EndTurn, StopReason::ToolUse),
            (json!("length"), StopReason::MaxTokens, StopReason::MaxTokens),
            (json!("content_filter"), StopReason::Refusal, StopReason::Refusal),
            (json!("tool_calls"), StopReason::ToolUse, StopReason::ToolUse),
            (json!("function_call"), StopReason::ToolUse, StopReason::ToolUse),
            (json!("lost"), StopReason::Other("lost".into()), StopReason::Other("lost".into())),
            (json!(null), StopReason::Other("none".into()), StopReason::ToolUse),
        ];
        let call = json!({"id": "a", "type": "function", "function": {"name": "memory", "arguments": "{}"}});
        for (word, plain, with_calls) in rows {
            assert_eq!(says(&json!("x"), &word).stop_reason, plain, "{word}");
            let called = completion(&json!({"content": "x", "tool_calls": [call]}), &word);
            assert_eq!(called.stop_reason, with_calls, "{word} with calls");
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
