//! The prompt cache, over HTTP: what of a prompt is written, read and paid in full.

use nightshift_engine::ManualClock;
use serde_json::{Value, json};

use crate::mcp::{Server, call, request};
use crate::{Stand, params, read, result, row, start};

/// A request with 10,000 tokens of system prompt.
fn long(text: &str, ttl: Option<&str>) -> Value {
    let mut body = params(text);
    body["system"] = json!("long".repeat(10_000));
    if let Some(ttl) = ttl {
        body["cache_control"] = json!({ "type": "ephemeral", "ttl": ttl });
    }
    body
}

/// Thousands of tokens that were read, written for minutes and for an hour, and not kept.
fn thousands(usage: &Value) -> [u64; 4] {
    let number = |pointer: &str| usage.pointer(pointer).unwrap().as_u64().unwrap() / 1_000;
    let long = "/cache_creation/ephemeral_1h_input_tokens";
    let short = number("/cache_creation/ephemeral_5m_input_tokens");
    assert!(number("/cache_creation_input_tokens") == short + number(long));
    [number("/cache_read_input_tokens"), short, number(long), number("/input_tokens")]
}

#[tokio::test]
async fn a_conversation_reads_what_it_wrote_a_message_before_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(start());
    let stand = Stand::open(clock.clone(), Some(dir.path())).await;
    let mut body = long("hello", Some("5m"));
    let first = stand.post("/v1/messages", &body).await.body;
    assert_eq!(thousands(&first["usage"]), [0, 10, 0, 0]);
    let stand = Stand::open(clock, Some(dir.path())).await;
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": first["content"] }));
    messages.push(json!({ "role": "user", "content": "more".repeat(3_000) }));
    let second = stand.post("/v1/messages", &body).await.body;
    assert_eq!(thousands(&second["usage"]), [10, 3, 0, 0]);
    let other = stand.bare(reqwest::Method::POST, "/v1/messages").bearer_auth("sk-ant-api03-other");
    let other = read(other.header("anthropic-version", "2026-10-21").json(&body).send().await.unwrap()).await.body;
    assert_eq!(thousands(&other["usage"]), [0, 13, 0, 0], "another workspace");
    body.as_object_mut().unwrap().remove("cache_control");
    let plain = stand.post("/v1/messages", &body).await.body;
    assert_eq!(thousands(&plain["usage"]), [0, 0, 0, 13], "not asked for");
    let bill = stand.fake.bill().realtime["claude-opus-5-5"];
    assert_eq!((bill.cache_read_input_tokens / 1_000, bill.cache_creation_input_tokens / 1_000), (10, 26));
}

#[tokio::test]
async fn a_batch_reads_what_an_earlier_one_wrote_and_not_what_stands_beside_it() {
    let stand = Stand::new().await;
    stand.script(json!({ "batchDurationMs": 600_000 }));
    let usages = async || {
        let rows = json!({ "requests": [row("a", long("hello", Some("1h"))), row("b", long("hello", Some("1h")))] });
        let id = stand.post("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
        stand.advance_ms(600_000);
        let lines = stand.results(&id).await;
        ["a", "b"].map(|id| thousands(&result(&lines, id)["message"]["usage"]))
    };
    assert_eq!(usages().await, [[0, 0, 10, 0]; 2], "they are read at once");
    stand.advance_ms(3_000_000 - 1);
    assert_eq!(usages().await, [[10, 0, 0, 0]; 2]);
    stand.advance_ms(3_600_000);
    assert_eq!(usages().await, [[0, 0, 10, 0]; 2], "an hour is over");
    stand.script(json!({ "batchDurationMs": 600_000, "batchCacheHits": 0 }));
    assert_eq!(usages().await, [[0, 0, 10, 0]; 2], "none is found");
    stand.script(json!({ "batchDurationMs": 600_000 }));
    stand.advance_ms(3_600_000);
    let rows = json!({ "requests": [row("a", long("hello", Some("1h")))] });
    let id = stand.post("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
    stand.post(&format!("/v1/messages/batches/{id}/cancel"), &json!({})).await;
    stand.advance_ms(600_000);
    assert_eq!(usages().await, [[0, 0, 10, 0]; 2], "what was canceled wrote nothing");
}

#[tokio::test]
async fn the_providers_loop_reads_what_it_came_to_where_the_request_has_a_mark() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    let replies =
        json!([{ "match": "question", "content": [call("add")] }, { "match": "sum 1", "content": [call("add")] }]);
    for (mark, expected) in [(None, [0, 0, 0, 30]), (Some("5m"), [20, 10, 0, 0])] {
        server.forget();
        stand.script(
            json!({ "batchDurationMs": 0, "mcpOrigins": { crate::mcp::ORIGIN: server.url }, "replies": replies }),
        );
        let mut body = request("question", "mcp-token");
        let from = long("", mark);
        for field in ["system", "cache_control"] {
            body[field] = from[field].clone();
        }
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let rows = json!({ "requests": [row("loop", body)] });
        let id = stand.with_mcp("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
        // Its steps follow one another, however late somebody looks.
        stand.advance_ms(1_200_000);
        stand.retrieve(&id).await;
        let lines = stand.results(&id).await;
        let usage = &result(&lines, "loop")["message"]["usage"];
        assert_eq!(usage["iterations"].as_array().unwrap().len(), 3, "{lines:#?}");
        assert_eq!(thousands(usage), expected, "{mark:?}");
    }
}
