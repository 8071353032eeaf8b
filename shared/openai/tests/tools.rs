//! A conversation with tools, hop by hop, against a server that reads what it is sent.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{CacheFor, HopRequest, McpConnection, Role, StopReason, ThinkingMode, TurnMessage};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::Model;
use nightshift_openai::{OpenAi, Settings, http_client};
use serde_json::{Value, json};
use tokio::net::TcpListener;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

/// A server that gives these answers in order and keeps what it was asked.
async fn server(answers: Vec<Value>) -> (OpenAi, Arc<Mutex<Vec<Value>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&asked);
    let handle = move |Json(body): Json<Value>| {
        let mut asked = sink.lock().unwrap();
        asked.push(body);
        let answer = answers[asked.len() - 1].clone();
        std::future::ready(Json(answer))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/chat/completions", post(handle));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let clock = Arc::new(ManualClock::new(start()));
    (OpenAi::new(Settings { base_url, key: None }, http_client(), clock), asked)
}

fn completion(finish: &str, message: &Value) -> Value {
    json!({ "id": "chatcmpl-1", "model": "qwen3-32b", "choices": [{ "index": 0, "finish_reason": finish, "message": message }],
        "usage": { "prompt_tokens": 50, "completion_tokens": 9, "prompt_tokens_details": { "cached_tokens": 32 } } })
}

/// A hop as the engine builds it: with everything that is not for such an endpoint.
fn hop(messages: &[TurnMessage]) -> HopRequest {
    let tools = json!([
        { "type": "web_search_20250305", "name": "web_search", "max_uses": 8 },
        { "name": "weather", "description": "Tells it.", "input_schema": { "type": "object", "properties": { "city": {} } } },
        { "type": "mcp_toolset", "mcp_server_name": "github" },
    ]);
    let server = McpConnection { name: "github".into(), url: "https://mcp.example".into(), token: Some("t".into()) };
    HopRequest {
        model: "qwen3".into(),
        max_tokens: 512,
        system: Some("Be brief.".into()),
        tools: Some(tools.to_string()),
        messages: messages.to_vec(),
        effort: Some("medium".into()),
        thinking: Some(ThinkingMode::Adaptive),
        cache: Some(CacheFor::FiveMinutes),
        mcp_servers: vec![server],
        container: Some("c".into()),
    }
}

fn says(role: Role, content: &Value) -> TurnMessage {
    TurnMessage { role, content: content.to_string() }
}

#[tokio::test]
async fn two_tools_are_called_side_by_side_and_their_results_lead_to_the_answer() {
    let call = |id: &str, city: &str| {
        let arguments = json!({ "city": city }).to_string();
        json!({ "id": id, "type": "function", "function": { "name": "weather", "arguments": arguments },
            "extra_content": { "signature": format!("sig-{id}") } })
    };
    let calling = json!({ "role": "assistant", "content": "I look.", "reasoning_content": "Two cities.", "refusal": null,
        "tool_calls": [call("call_a", "Oslo"), call("call_b", "Bern")] });
    let answer = json!({ "role": "assistant", "content": "Oslo 3°, Bern unknown.", "tool_calls": [] });
    let answers = vec![completion("tool_calls", &calling), completion("stop", &answer)];
    let (model, asked) = server(answers).await;
    let deadline = start() + TimeDelta::minutes(5);

    let mut said = vec![says(Role::User, &json!("Oslo and Bern?"))];
    let first = model.message(&hop(&said), deadline).await.unwrap();
    assert_eq!((first.stop_reason, first.text.as_str()), (StopReason::ToolUse, "I look."));
    let blocks: Vec<Value> = serde_json::from_str(&first.content).unwrap();
    let calls: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "tool_use").collect();
    let of =
        |id: &str, city: &str| json!({ "type": "tool_use", "id": id, "name": "weather", "input": { "city": city } });
    assert_eq!(calls, [&of("call_a", "Oslo"), &of("call_b", "Bern")]);
    assert_eq!((&first.usage["input_tokens"], &first.usage["cache_read_input_tokens"]), (&json!(18), &json!(32)));

    said.push(TurnMessage { role: Role::Assistant, content: first.content });
    said.push(says(
        Role::User,
        &json!([{ "type": "tool_result", "tool_use_id": "call_a", "content": "3°" },
            { "type": "tool_result", "tool_use_id": "call_b", "content": "no such city", "is_error": true }]),
    ));
    let second = model.message(&hop(&said), deadline).await.unwrap();
    assert_eq!((second.stop_reason, second.text.as_str()), (StopReason::EndTurn, "Oslo 3°, Bern unknown."));

    let asked = asked.lock().unwrap();
    let function = json!({ "name": "weather", "description": "Tells it.",
        "parameters": { "type": "object", "properties": { "city": {} } } });
    let opening = json!({ "model": "qwen3", "max_tokens": 512, "messages": [
            { "role": "system", "content": "Be brief." }, { "role": "user", "content": "Oslo and Bern?" }],
        "tools": [{ "type": "function", "function": function }], "reasoning_effort": "medium" });
    assert_eq!(asked[0], opening, "and nothing else");
    let mut own = calling;
    own.as_object_mut().unwrap().remove("refusal");
    let rest = json!([own, { "role": "tool", "tool_call_id": "call_a", "content": "3°" },
        { "role": "tool", "tool_call_id": "call_b", "content": "Error: no such city" }]);
    assert_eq!(asked[1]["messages"].as_array().unwrap()[2..], *rest.as_array().unwrap());
    assert_eq!((&asked[1]["tools"], &asked[1]["messages"][0]), (&opening["tools"], &opening["messages"][0]));
}

#[tokio::test]
async fn a_server_that_repeats_a_tools_description_is_not_quoted() {
    let refused = json!({ "error": { "message": "bad tool: Tells what my secret project is up to", "code": 400 } });
    let (model, _) = server(vec![refused]).await;
    let tools = json!([{ "name": "x", "description": "Tells what my secret project is up to", "input_schema": {} }]);
    let hop = HopRequest { tools: Some(tools.to_string()), ..hop(&[says(Role::User, &json!("hi"))]) };
    let error = model.message(&hop, start() + TimeDelta::minutes(5)).await.unwrap_err();
    assert!(!error.message.contains("secret project"), "{}", error.message);
}
