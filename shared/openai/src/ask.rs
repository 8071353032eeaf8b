//! A hop as the body of a chat completion.
//!
//! The fields are those every compatible server knows (`OpenAI` API reference, "Create chat completion", 2026-10). Of the
//! Messages API's blocks, texts, calls of our own tools and their results survive the way; an assistant's message that came
//! from the same model goes back as it came, since some servers refuse a conversation whose reasoning or signatures are
//! gone (`DeepSeek` API, "Thinking mode": 400 without `reasoning_content`).

use nightshift_domain::model::{HopRequest, RAW_MESSAGE, Role, TurnMessage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::content::{Block, Content};

/// What the endpoint calls the most tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `max_tokens`, which Ollama, vLLM, llama.cpp and the gateways all take.
    MaxTokens,
    /// `max_completion_tokens`: `OpenAI`'s reasoning models refuse the older name.
    MaxCompletionTokens,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Said { role: &'static str, content: String },
    Called { role: &'static str, content: Option<String>, tool_calls: Vec<Call> },
    Answered { role: &'static str, tool_call_id: String, content: String },
    AsItCame(&'a RawValue),
}

#[derive(Serialize)]
struct Call {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: String,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Definition<'a>,
}

#[derive(Serialize)]
struct Definition<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
}

/// A tool in the words of the Messages API. One with a type of its own is the provider's, and means nothing elsewhere.
#[derive(Deserialize)]
struct Offered<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    input_schema: Option<&'a RawValue>,
}

/// The body of a hop. A message of which nothing survives (a turn that only thought) is left out. An effort goes along where
/// the hop has one, which is only where the configuration says that the model knows it.
pub(crate) fn body(request: &HopRequest, limit: Limit) -> serde_json::Result<String> {
    let mut messages = Vec::new();
    if let Some(system) = &request.system {
        messages.push(Message::Said { role: "system", content: system.clone() });
    }
    for message in &request.messages {
        push(&mut messages, message, &request.model)?;
    }
    let tools = request.tools.as_deref().map_or_else(|| Ok(Vec::new()), offered)?;
    serde_json::to_string(&Body {
        model: &request.model,
        max_tokens: (limit == Limit::MaxTokens).then_some(request.max_tokens),
        max_completion_tokens: (limit == Limit::MaxCompletionTokens).then_some(request.max_tokens),
        messages,
        tools,
        reasoning_effort: request.effort.as_deref(),
    })
}

fn offered(tools: &str) -> serde_json::Result<Vec<Tool<'_>>> {
    let tools: Vec<Offered<'_>> = serde_json::from_str(tools)?;
    let ours = tools.into_iter().filter(|tool| tool.kind.as_deref().is_none_or(|kind| kind == "custom"));
    let tools = ours.filter_map(|Offered { name, description, input_schema, .. }| {
        let function = Definition { name: name?, description, parameters: input_schema };
        Some(Tool { r#type: "function", function })
    });
    Ok(tools.collect())
}

fn push<'a>(messages: &mut Vec<Message<'a>>, message: &'a TurnMessage, model: &str) -> serde_json::Result<()> {
    let content = Content::read(&message.content)?;
    let text = content.text();
    let blocks = match content {
        Content::Text(_) => Vec::new(),
        Content::Blocks(blocks) => blocks,
    };
    match message.role {
        Role::User => {
            for block in &blocks {
                if let Some(tool_call_id) = block.answers() {
                    messages.push(Message::Answered { role: "tool", tool_call_id, content: block.result()? });
                }
            }
            if !text.is_empty() {
                messages.push(Message::Said { role: "user", content: text });
            }
        }
        Role::Assistant => {
            let own = blocks.iter().find(|block| block.kind == RAW_MESSAGE && block.model().as_deref() == Some(model));
            if let Some(own) = own.and_then(|block| block.message) {
                messages.push(Message::AsItCame(own));
                return Ok(());
            }
            let tool_calls: Vec<Call> = blocks.iter().filter_map(call).collect();
            let content = (!text.is_empty()).then_some(text);
            if !tool_calls.is_empty() {
                messages.push(Message::Called { role: "assistant", content, tool_calls });
            } else if let Some(content) = content {
                messages.push(Message::Said { role: "assistant", content });
            }
        }
    }
    Ok(())
}

fn call(block: &Block<'_>) -> Option<Call> {
    let (id, name) = block.call()?;
    let arguments = block.input.map_or_else(|| "{}".to_owned(), |input| arguments(input.get()));
    Some(Call { id, r#type: "function", function: Function { name, arguments } })
}

/// What a model wrote as a tool's input. Where that was not JSON, the input is its text.
fn arguments(input: &str) -> String {
    serde_json::from_str(input).unwrap_or_else(|_| input.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(contents: &[&str]) -> HopRequest {
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let message = |(content, role): (&&str, Role)| TurnMessage { role, content: (*content).to_owned() };
        HopRequest {
            model: "llama".into(),
            max_tokens: 99,
            system: Some("Be brief.".into()),
            messages: contents.iter().zip(roles).map(message).collect(),
            ..HopRequest::default()
        }
    }

    fn sent(request: &HopRequest) -> Value {
        serde_json::from_str(&body(request, Limit::MaxTokens).unwrap()).unwrap()
    }

    #[test]
    fn a_hop_becomes_plain_texts_under_the_oldest_field_names() {
        let blocks = r#"[{"type":"thinking","thinking":"…"},{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"x"},
            {"type":"text","text":"c"}]"#;
        let expected = json!({"model": "llama", "max_tokens": 99, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ab\n\nc"},
            {"role": "user", "content": "on"}]});
        assert_eq!(sent(&request(&["\"hi\"", blocks, "\"on\"", "[{\"type\":\"x\"}]"])), expected);
    }

    #[test]
    fn openai_itself_is_told_the_limit_under_its_newer_name_and_an_effort_goes_along_where_there_is_one() {
        let hop = HopRequest { effort: Some("low".into()), thinking: None, ..request(&["\"hi\""]) };
        let body: Value = serde_json::from_str(&body(&hop, Limit::MaxCompletionTokens).unwrap()).unwrap();
        assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(99), &Value::Null));
        assert_eq!(body["reasoning_effort"], "low");
    }

    #[test]
    fn our_tools_become_functions_and_those_of_another_provider_are_left_out() {
        let tools = r#"[{"type":"web_search_20250305","name":"web_search","max_uses":8},
            {"name":"memory","description":"Keep \"it\".","input_schema":{"type":"object","n":1.50}},
            {"type":"custom","name":"bare"},{"type":"mcp_toolset","mcp_server_name":"github"}]"#;
        let hop = HopRequest { tools: Some(tools.into()), ..request(&["\"hi\""]) };
        let expected = json!([
            {"type": "function", "function":
                {"name": "memory", "description": "Keep \"it\".", "parameters": {"type": "object", "n": 1.5}}},
            {"type": "function", "function": {"name": "bare"}},
        ]);
        assert_eq!(sent(&hop)["tools"], expected);
        assert!(body(&hop, Limit::MaxTokens).unwrap().contains(r#""n":1.50"#), "a schema keeps its bytes");
        let none = HopRequest { tools: Some(r#"[{"type":"web_search_20250305"}]"#.into()), ..request(&["\"hi\""]) };
        assert_eq!(sent(&none).get("tools"), None);
        assert!(body(&HopRequest { tools: Some("{".into()), ..request(&[]) }, Limit::MaxTokens).is_err());
    }

    #[test]
    fn calls_that_another_model_made_are_told_in_this_ones_words_with_their_results() {
        let calls = r#"[{"type":"thinking","thinking":"…","signature":"s"},{"type":"text","text":"I look."},
            {"type":"tool_use","id":"toolu_1","name":"memory","input":{"n": 1.50}},{"type":"server_tool_use","id":"s","name":"web_search"},
            {"type":"tool_use","id":"toolu_2","name":"message","input":"{half"}]"#;
        let results = r#"[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"seven"}]},
            {"type":"tool_result","tool_use_id":"toolu_2","content":"not JSON","is_error":true},{"type":"text","text":"Go on."}]"#;
        let expected = json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "memory", "arguments": "{\"n\": 1.50}"}},
                {"id": "toolu_2", "type": "function", "function": {"name": "message", "arguments": "{half"}}]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "seven"},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: not JSON"},
            {"role": "user", "content": "Go on."},
        ]);
        let mut hop = request(&["\"hi\"", calls, results]);
        hop.system = None;
        assert_eq!(sent(&hop)["messages"], expected);
    }

    #[test]
    fn a_message_goes_back_as_it_came_to_the_model_that_wrote_it_and_translated_to_any_other() {
        let raw = r#"{"role":"assistant","content":null,"reasoning_content":"h\u006dm","x":{"n":1.50}}"#;
        let content = |model: &str| {
            format!(r#"[{{"type":"text","text":"a"}},{{"type":"{RAW_MESSAGE}","model":"{model}","message":{raw}}}]"#)
        };
        let same = body(&request(&["\"hi\"", &content("llama")]), Limit::MaxTokens).unwrap();
        assert!(same.contains(raw), "{same}");
        let other = sent(&request(&["\"hi\"", &content("qwen")]));
        assert_eq!(other["messages"][2], json!({"role": "assistant", "content": "a"}));
    }

    #[test]
    fn content_that_is_no_content_is_refused() {
        for content in ["{", "{}", "", "7"] {
            assert!(body(&request(&[content]), Limit::MaxTokens).is_err(), "{content}");
        }
    }
}
