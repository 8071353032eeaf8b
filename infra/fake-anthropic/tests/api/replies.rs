//! Answers: the fake's own and scripted ones, realtime and in batches.

use serde_json::{Value, json};

use crate::{Stand, params, result, row};

#[tokio::test]
async fn without_a_script_the_answer_is_about_the_request() {
    let stand = Stand::new().await;
    let answer = stand.post("/v1/messages", &params("# Nightshift\n\nCron for agents.\n\n## Start\n\nRun it.")).await;
    let message = answer.body;
    assert!(message["id"].as_str().unwrap().starts_with("msg_01"));
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(message["model"], "claude-opus-5-5");
    assert_eq!(message["stop_reason"], "end_turn");
    for field in ["stop_sequence", "stop_details", "container", "diagnostics"] {
        assert_eq!(message.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(message["usage"]["service_tier"], "standard");
    let text = message["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Here is the brief you asked for. Cron for agents."), "{text}");
    assert!(text.contains("“Nightshift”"), "{text}");
    let billed = stand.fake.bill().realtime["claude-opus-5-5"];
    assert_eq!(billed.messages, 1);
    assert_eq!(Some(billed.input_tokens), message["usage"]["input_tokens"].as_u64());
    assert_eq!(Some(billed.output_tokens), message["usage"]["output_tokens"].as_u64());
}

#[tokio::test]
async fn scripted_replies_match_the_last_user_text_and_run_out() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [
        {"match": "weather", "times": 1, "text": "Sunny."},
        {"match": "weather", "text": "Rain."},
    ]}));
    let ask = |text: &'static str| async {
        stand.post("/v1/messages", &params(text)).await.body["content"][0]["text"].clone()
    };
    assert_eq!(ask("the weather?").await, "Sunny.");
    assert_eq!(ask("the weather?").await, "Rain.");
    assert!(ask("the time?").await.as_str().unwrap().starts_with("Here is"));
}

#[tokio::test]
async fn a_text_longer_than_max_tokens_is_cut_there() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [{"text": "abcd".repeat(50)}]}));
    let mut short = params("hi");
    short["max_tokens"] = json!(10);
    let message = stand.post("/v1/messages", &short).await.body;
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["usage"]["output_tokens"], 10);
    assert_eq!(message["content"][0]["text"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn a_tool_turn_and_its_results_run_through_realtime_and_batches_alike() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 0, "replies": [
        {"match": "weather", "content": [
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            {"type": "tool_use", "name": "look", "input": {"at": "sky"}},
        ], "usage": {"output_tokens": 77}},
        {"match": "blue", "text": "It is fine."},
    ]}));
    let mut ask = params("weather");
    ask["tools"] = json!([{"name": "look", "input_schema": {"type": "object"}}]);
    let realtime = stand.post("/v1/messages", &ask).await.body;
    let id = stand.post("/v1/messages/batches", &json!({"requests": [row("a", ask.clone())]})).await.body["id"].clone();
    let lines = stand.results(id.as_str().unwrap()).await;
    let mut calls = Vec::new();
    for message in [&realtime, &result(&lines, "a")["message"]] {
        assert_eq!(message["stop_reason"], "tool_use");
        assert_eq!(message["usage"]["output_tokens"], 77);
        assert_eq!(message["content"][0], json!({"type": "thinking", "thinking": "", "signature": "c2ln"}));
        calls.push(message["content"][1]["id"].as_str().unwrap().to_owned());
    }
    assert!(calls.iter().all(|call| call.starts_with("toolu_01")));
    assert_ne!(calls[0], calls[1]);
    ask["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": realtime["content"]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": calls[0], "content": "blue"}]}),
    ]);
    let next = stand.post("/v1/messages", &ask).await.body;
    assert_eq!(next["content"][0]["text"], "It is fine.");
}

#[tokio::test]
async fn a_scripted_error_is_the_answer_in_realtime_and_a_row_in_a_batch() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 0, "replies": [
        {"error": {"status": 529, "type": "overloaded_error", "headers": {"retry-after": "2"}}},
    ]}));
    let answer = stand.post("/v1/messages", &params("hi")).await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (529, &json!("overloaded_error")));
    assert_eq!(answer.headers["retry-after"], "2");
    let id = stand.create(1).await;
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "r0")["error"]["error"]["type"], "overloaded_error");
    assert_eq!(stand.fake.bill(), nightshift_fake_anthropic::Bill::default());
}

#[tokio::test]
async fn rows_end_as_scripted() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 0, "replies": [
        {"match": "ask 0", "row": "errored", "error": {"type": "api_error", "message": "boom"}},
        {"match": "ask 1", "row": "expired"},
        {"match": "ask 2", "row": "canceled"},
        {"match": "ask 3", "row": "errored"},
    ]}));
    let id = stand.create(5).await;
    let counts = stand.retrieve(&id).await["request_counts"].clone();
    assert_eq!(counts, json!({"processing":0,"succeeded":1,"errored":2,"canceled":1,"expired":1}));
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "r0")["error"]["error"]["message"], "boom");
    assert_eq!(result(&lines, "r3")["error"]["error"]["type"], "api_error");
}

#[tokio::test]
async fn a_refusal_and_a_pause_are_successes_of_the_api() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [
        {"match": "refuse", "content": [], "stopReason": "refusal",
         "stopDetails": {"type": "refusal", "category": "cyber", "explanation": null}},
        {"match": "search", "times": 1, "stopReason": "pause_turn", "content": [
            {"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}},
        ]},
    ]}));
    let refused = stand.post("/v1/messages", &params("refuse this")).await;
    assert_eq!((refused.status, &refused.body["stop_reason"]), (200, &json!("refusal")));
    assert_eq!(refused.body["stop_details"]["category"], "cyber");
    let mut search = params("search");
    let paused = stand.post("/v1/messages", &search).await.body;
    assert_eq!(paused["stop_reason"], "pause_turn");
    assert!(paused["content"][0]["id"].as_str().unwrap().starts_with("srvtoolu_01"));
    search["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": paused["content"]}));
    assert_eq!(stand.post("/v1/messages", &search).await.body["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_new_script_replaces_the_old_one_but_not_what_batches_were_promised() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 5, "replies": [{"times": 1, "text": "old"}]}));
    let id = stand.create(1).await;
    stand.script(json!({"replies": [{"times": 1, "text": "new"}]}));
    stand.advance_ms(5);
    assert_eq!(result(&stand.results(&id).await, "r0")["message"]["content"][0]["text"], "old");
    assert_eq!(stand.post("/v1/messages", &params("hi")).await.body["content"][0]["text"], "new");
    let later = stand.create(1).await;
    stand.advance_ms(59_999);
    assert_eq!(stand.retrieve(&later).await["processing_status"], "in_progress");
}
