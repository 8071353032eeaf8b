//! The same job in realtime and through batches does the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Path, asks, calls, job, run, text, with_pages};

fn three_tools(pages: &str) -> Value {
    json!({ "batchDurationMs": 60_000, "replies": [
        asks("toolu_1", "memory", &json!({ "command": "create", "path": "/memories/harbour.md", "file_text": "Ask first." })),
        asks("toolu_2", "http_fetch", &json!({ "url": format!("{pages}/note") })),
        asks("toolu_3", "message", &json!({ "text": "Closed on **Friday**.", "channel": "console", "to": "crew" })),
        text("I told the crew."),
    ] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_of_three_tools_is_the_same_in_realtime_and_through_four_batches() {
    let mut seen = Vec::new();
    for path in super::PATHS {
        let (local, pages) = with_pages().await;
        let mut asked = job(path, "Is the harbour open?");
        asked["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "owner" });
        asked["payload"]["toolsAllow"] = json!(["memory", "http_fetch", "message"]);
        let ran = run(&local, &asked, three_tools(&pages.url)).await;
        assert_eq!(ran["status"], "ok", "{path:?}: {ran:#}");
        assert_eq!(ran["hops"].as_array().unwrap().len(), 4, "{ran:#}");
        assert!(ran["costUsd"].as_f64().unwrap() > 0.0);
        let batches: BTreeSet<&str> =
            ran["hops"].as_array().unwrap().iter().filter_map(|hop| hop["batchId"].as_str()).collect();
        let wanted = if path == Path::Batch { 4 } else { 0 };
        assert_eq!((batches.len(), local.fake().batches().len()), (wanted, wanted), "{ran:#}");
        assert_eq!(ran["path"], if path == Path::Batch { "batch" } else { "realtime" });
        assert!(ran["hops"].as_array().unwrap().iter().all(|hop| hop["usage"]["input_tokens"].is_u64()));
        let results: Vec<Value> = ran["tools"].as_array().unwrap().iter().map(|tool| tool["result"].clone()).collect();
        assert!(results[1].as_str().unwrap().contains("The harbour is closed on Friday."), "{results:?}");
        seen.push((calls(&ran), ran["text"].clone(), local.delivered()));
    }
    assert_eq!(seen[0], seen[1]);
    let names: Vec<&str> = seen[0].0.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["memory", "http_fetch", "message"]);
    assert!(seen[0].0.iter().all(|(_, state, _)| state == "ok"), "{seen:#?}");
    assert_eq!(seen[0].2, ["Closed on **Friday**.", "I told the crew."]);
}

/// The same turn with the provider's own loop calling our tools.
fn one_hop(page: &str) -> Value {
    let asks = |id: &str, name: &str, input: Value| {
        let call =
            json!({ "type": "mcp_tool_use", "id": id, "name": name, "server_name": "nightshift", "input": input });
        json!({ "match": "*", "times": 1, "content": [call] })
    };
    json!([
        asks(
            "mcptoolu_1",
            "memory",
            json!({ "command": "create", "path": "/memories/harbour.md", "file_text": "Ask first." })
        ),
        asks("mcptoolu_2", "http_fetch", json!({ "url": format!("{page}/note") })),
        asks("mcptoolu_3", "message", json!({ "text": "Closed on **Friday**.", "channel": "console", "to": "crew" })),
        text("I told the crew."),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_our_endpoint_the_same_turn_needs_one_batch() {
    let (local, pages) = with_pages().await;
    local
        .configure(&json!({
            "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } },
            "api": { "publicUrl": "https://nightshift.example" },
            "agents": { "defaults": { "tools": { "endpoint": { "allow": ["memory", "http_fetch", "message"] } } } },
        }))
        .await;
    let mut asked = job(Path::Batch, "Is the harbour open?");
    asked["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "owner" });
    asked["payload"]["toolsAllow"] = json!(["memory", "http_fetch", "message"]);
    let origins = json!({ "https://nightshift.example": local.stack.ready.url });
    let script = json!({ "batchDurationMs": 60_000, "replies": one_hop(&pages.url), "mcpOrigins": origins });
    let ran = run(&local, &asked, script).await;
    assert_eq!((&ran["status"], &ran["text"]), (&json!("ok"), &json!("I told the crew.")), "{ran:#}");
    assert_eq!((local.fake().batches().len(), ran["hops"].as_array().unwrap().len()), (1, 1), "{ran:#}");
    let called = calls(&ran);
    assert_eq!(
        called.iter().map(|(name, _, _)| name.as_str()).collect::<Vec<_>>(),
        ["memory", "http_fetch", "message"]
    );
    assert!(called.iter().all(|(_, state, hop)| state == "ok" && *hop == 1), "{ran:#}");
    // Both are of the same instant of a manual clock.
    let mut delivered = local.delivered();
    delivered.sort();
    assert_eq!(delivered, ["Closed on **Friday**.", "I told the crew."]);
    assert!(ran["tools"][1]["result"].as_str().unwrap().contains("The harbour is closed on Friday."), "{ran:#}");
}
