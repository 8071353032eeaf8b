//! Streams: put together again they are the message, and they go wrong as other answers do.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Stand, batch, params, result, row};

/// The events of a stream, read with no help from the fake: each is `event: name` and one line of `data`.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |frame: &str| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// Puts a message together as the docs page "streaming" says, refusing events out of order.
fn assemble(events: &[(String, Value)]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(u64, String)> = None;
    let mut stopped = false;
    for (name, data) in events {
        assert!(!stopped, "an event after message_stop: {data}");
        assert_eq!(data["type"], name.as_str());
        let index = data["index"].as_u64();
        match name.as_str() {
            "message_start" => message = data["message"].clone(),
            "ping" => {}
            "content_block_start" => {
                assert!(open.is_none(), "a block starts in another");
                assert_eq!(index, Some(message["content"].as_array().unwrap().len() as u64));
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
                open = Some((index.unwrap(), String::new()));
            }
            "content_block_delta" => {
                let (at, json) = open.as_mut().unwrap();
                assert_eq!(index, Some(*at));
                let at = usize::try_from(*at).unwrap();
                apply(&mut message["content"][at], &data["delta"], json);
            }
            "content_block_stop" => {
                let (at, json) = open.take().unwrap();
                assert_eq!(index, Some(at));
                if !json.is_empty() {
                    message["content"][usize::try_from(at).unwrap()]["input"] = serde_json::from_str(&json).unwrap();
                }
            }
            "message_delta" => {
                for (field, value) in data["delta"].as_object().unwrap() {
                    message[field] = value.clone();
                }
                for (field, value) in data["usage"].as_object().unwrap() {
                    message["usage"][field] = value.clone();
                }
            }
            "message_stop" => stopped = true,
            other => panic!("an unknown event: {other}"),
        }
    }
    assert!(stopped && open.is_none(), "the stream has no end");
    message
}

fn apply(block: &mut Value, delta: &Value, json: &mut String) {
    let mut append = |field: &str| {
        let so_far = block[field].as_str().unwrap().to_owned();
        block[field] = json!(so_far + delta[field].as_str().unwrap());
    };
    match delta["type"].as_str().unwrap() {
        "text_delta" => append("text"),
        "thinking_delta" => append("thinking"),
        "signature_delta" => block["signature"] = delta["signature"].clone(),
        "input_json_delta" => json.push_str(delta["partial_json"].as_str().unwrap()),
        "citations_delta" => block["citations"].as_array_mut().unwrap().push(delta["citation"].clone()),
        "compaction_delta" => block["content"] = delta["content"].clone(),
        other => panic!("an unknown delta: {other}"),
    }
}

/// One block of every kind, with ids of their own, so that two answers hold the same.
fn everything() -> Value {
    json!([
        {"type": "thinking", "thinking": "Let me see — über alles nachdenken.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "Grüße, 世界! ".repeat(30), "citations": [
            {"type": "char_location", "cited_text": "a", "document_index": 0, "document_title": null,
             "start_char_index": 0, "end_char_index": 1},
            {"type": "char_location", "cited_text": "b", "document_index": 0, "document_title": null,
             "start_char_index": 1, "end_char_index": 2},
        ]},
        {"type": "text", "text": "x", "citations": null},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "cats"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
            {"type": "web_search_result", "title": "Cats", "url": "https://c.example", "encrypted_content": "e",
             "page_age": null},
        ]},
        {"type": "hologram", "beam": {"power": 1.5}},
        {"type": "compaction", "content": "They talked about cats."},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"z": [1, 2.5, "ü\"\n"], "a": {"b": null}}},
        {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
    ])
}

impl Stand {
    /// The events of a streamed answer, and its head.
    async fn stream(&self, body: &Value) -> Vec<(String, Value)> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let response = self.request(Method::POST, "/v1/messages").json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        assert!(response.headers()["request-id"].to_str().unwrap().starts_with("req_"));
        events(&response.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_stream_assembles_to_the_message_of_a_plain_answer() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [
        {"match": "all", "content": everything(), "usage": {
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}, "output_tokens": 300,
        }},
        {"match": "refuse", "content": [], "stopReason": "refusal", "stopDetails": {"type": "refusal", "category": "bio"}},
        {"match": "stop", "text": "one STOP two"},
    ]}));
    for asked in ["all", "refuse", "stop", "unscripted"] {
        let mut body = params(asked);
        body["stop_sequences"] = json!(["STOP"]);
        let mut plain = stand.post("/v1/messages", &body).await.body;
        let mut streamed = assemble(&stand.stream(&body).await);
        assert_ne!(plain["id"], streamed["id"]);
        (plain["id"], streamed["id"]) = (json!(0), json!(0));
        assert_eq!(plain, streamed, "{asked}");
    }
    let billed = stand.fake.bill().realtime["claude-opus-5-5"];
    assert_eq!((billed.messages, billed.web_search_requests), (8, 2), "each call is billed once");
}

#[tokio::test]
async fn text_thinking_and_inputs_come_in_pieces_and_usage_is_split() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [{"content": everything(), "usage": {
        "output_tokens": 300, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    }}]}));
    let events = stand.stream(&params("hi")).await;
    let names: Vec<&str> = events.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let start = &events[0].1["message"];
    assert_eq!((&start["content"], &start["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!((&start["usage"]["output_tokens"], &start["usage"]["server_tool_use"]), (&json!(1), &Value::Null));
    assert!(start["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let end = &events[events.len() - 2].1;
    assert_eq!(end["usage"]["server_tool_use"]["web_search_requests"], 1);
    assert_eq!((&end["usage"]["output_tokens"], &end["delta"]["stop_reason"]), (&json!(300), &json!("tool_use")));
    let deltas = |index: u64, kind: &str| {
        let of = |event: &&(String, Value)| event.1["index"] == index && event.1["delta"]["type"] == kind;
        events.iter().filter(of).count()
    };
    assert!(deltas(0, "thinking_delta") > 1 && deltas(0, "signature_delta") == 1);
    assert!(deltas(2, "text_delta") > 10 && deltas(2, "citations_delta") == 2);
    assert!(deltas(8, "input_json_delta") > 2 && deltas(9, "input_json_delta") > 2);
    let whole: BTreeSet<&str> = events
        .iter()
        .filter(|event| event.0 == "content_block_start" && deltas(event.1["index"].as_u64().unwrap(), "") == 0)
        .filter(|start| {
            !events.iter().any(|event| event.0 == "content_block_delta" && event.1["index"] == start.1["index"])
        })
        .filter_map(|start| start.1["content_block"]["type"].as_str())
        .collect();
    assert_eq!(whole, BTreeSet::from(["hologram", "redacted_thinking", "web_search_tool_result"]));
}

#[tokio::test]
async fn the_bytes_arrive_in_chunks_that_respect_no_event() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [{"text": "ü".repeat(4000)}]}));
    let mut body = params("hi");
    (body["stream"], body["max_tokens"]) = (json!(true), json!(10_000));
    let response = stand.request(Method::POST, "/v1/messages").json(&body).send().await.unwrap();
    let chunks: Vec<_> = response.bytes_stream().map(Result::unwrap).collect().await;
    assert!(chunks.len() > 3, "{} chunks", chunks.len());
    assert!(chunks.iter().any(|chunk| !chunk.ends_with(b"\n\n")));
    let text = String::from_utf8(chunks.concat()).unwrap();
    assert_eq!(assemble(&events(&text))["content"][0]["text"], "ü".repeat(4000));
}

#[tokio::test]
async fn an_error_can_come_before_a_stream_and_in_the_middle_of_one() {
    let stand = Stand::new().await;
    stand.script(json!({"replies": [
        {"match": "before", "error": {"status": 529}},
        {"match": "within", "text": "a long answer in pieces", "streamError":
            {"type": "overloaded_error", "message": "Overloaded", "after": 4}},
        {"match": "late", "text": "x", "streamError": {"type": "api_error", "after": 999}},
    ]}));
    let mut body = params("before");
    body["stream"] = json!(true);
    let before = stand.post("/v1/messages", &body).await;
    assert_eq!((before.status, &before.body["error"]["type"]), (529, &json!("overloaded_error")));
    let events = stand.stream(&params("within")).await;
    assert_eq!(events.len(), 5);
    assert_eq!(events[4].0, "error");
    assert_eq!(events[4].1["error"], json!({"type": "overloaded_error", "message": "Overloaded"}));
    let late = stand.stream(&params("late")).await;
    assert_eq!(late.last().unwrap().1["error"]["type"], "api_error");
    assert!(!late.iter().any(|event| event.0 == "message_stop"));
    assert_eq!(stand.fake.bill(), nightshift_fake_anthropic::Bill::default());
    assert_eq!(
        stand.post("/v1/messages", &params("within")).await.body["content"][0]["text"],
        "a long answer in pieces"
    );
}

#[tokio::test]
async fn a_stream_is_lost_cut_and_held_back_like_any_answer() {
    let stand = Stand::new().await;
    stand.script(json!({"latencyMs": 5, "faults": [
        {"on": "messages", "nth": 1, "do": "lose_answer"},
        {"on": "messages", "nth": 2, "do": "cut_answer"},
        {"on": "messages", "nth": 3, "do": "delay", "delayMs": 3000},
    ]}));
    let mut body = params("# Title\n\nA sentence that is long enough to come in several pieces of text.");
    body["stream"] = json!(true);
    let send = || stand.request(Method::POST, "/v1/messages").json(&body).send();
    let held = |ms| {
        let clock = stand.clock.clone();
        async move {
            while clock.parked() == 0 {
                tokio::task::yield_now().await;
            }
            clock.advance(chrono::TimeDelta::milliseconds(ms));
        }
    };
    assert!(tokio::join!(send(), held(5)).0.is_err());
    let cut = tokio::join!(send(), held(5)).0.unwrap();
    assert_eq!(cut.status(), 200);
    let mut stream = cut.bytes_stream();
    let (mut text, mut broke) = (Vec::new(), false);
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(_) => broke = true,
        }
    }
    let text = String::from_utf8(text).unwrap();
    assert!(broke && text.contains("content_block_delta") && !text.contains("message_stop"), "{text}");
    assert_eq!(tokio::join!(send(), held(3005)).0.unwrap().status(), 200);
    assert_eq!(stand.fake.bill().realtime["claude-opus-5-5"].messages, 3);
    assert_eq!(stand.fake.requests()[1]["body"], body);
}

#[tokio::test]
async fn a_batch_row_that_asks_to_stream_is_errored() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 0}));
    let mut body = batch(1);
    let mut streaming = params("hi");
    streaming["stream"] = json!(true);
    body["requests"].as_array_mut().unwrap().push(row("s", streaming));
    let id = stand.post("/v1/messages/batches", &body).await.body["id"].as_str().unwrap().to_owned();
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "s")["error"]["error"]["type"], "invalid_request_error");
    assert_eq!(result(&lines, "r0")["type"], "succeeded");
}
