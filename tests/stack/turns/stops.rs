//! Every way a hop can end, on both paths, and what becomes of the run.

use nightshift_tests::local::Local;
use serde_json::{Value, json};

use super::{PATHS, Path, job, run};

fn stopped(reason: &str, text: &str) -> Value {
    json!({ "match": "*", "content": [{ "type": "text", "text": text }], "stopReason": reason })
}

fn many_calls(n: usize) -> Vec<Value> {
    let long = format!("/memories/{}", "x".repeat(1500));
    let call = json!({ "type": "tool_use", "name": "memory", "input": { "command": "view", "path": long } });
    vec![call; n]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stop_reason_has_a_named_outcome_on_both_paths() {
    // What the model does, and what the run comes to: `ok`, or its failure code.
    let table = [
        (stopped("end_turn", "Fine."), "ok"),
        (stopped("stop_sequence", "Fine."), "ok"),
        (stopped("end_turn", "  \n"), "empty_answer"),
        (stopped("max_tokens", "Cut of"), "max_tokens"),
        (stopped("refusal", "No."), "refusal"),
        (stopped("model_context_window_exceeded", "Too mu"), "context_window"),
        (stopped("tool_use", "I want a tool."), "unexpected_tool_use"),
        (
            json!({ "match": "*", "stopReason": "pause_turn", "content": [
            { "type": "server_tool_use", "name": "web_search", "input": { "query": "more" } },
        ] }),
            "pause_turn_unfinished",
        ),
        (stopped("from_2031", "?"), "unknown_stop_reason"),
        (
            json!({ "match": "*", "content": [
            { "type": "tool_use", "name": "memory", "input": { "command": "view", "path": "/memories" } },
        ] }),
            "hop_cap",
        ),
        // The ledger of that many calls would outgrow the run's row.
        (json!({ "match": "*", "content": many_calls(300) }), "tool_call_cap"),
        // A half-finished call is not run.
        (
            json!({ "match": "*", "stopReason": "max_tokens", "content": [
            { "type": "tool_use", "name": "memory", "input": { "command": "create", "path": "/memories/a" } },
        ] }),
            "max_tokens",
        ),
    ];
    for path in PATHS {
        let local = Local::start().await;
        local.configure(&json!({ "agents": { "defaults": { "maxHops": 3 } } })).await;
        for (reply, outcome) in &table {
            let ran = run(&local, &job(path, "Go."), json!({ "replies": [reply], "batchDurationMs": 60_000 })).await;
            let came_to = ran["error"]["code"].as_str().or(ran["status"].as_str());
            assert_eq!(came_to, Some(*outcome), "{path:?} {reply}: {ran:#}");
            assert_eq!(ran["completionStatus"], if *outcome == "ok" { "succeeded" } else { "failed" });
            if *outcome == "max_tokens" {
                assert!(ran["tools"].is_null(), "{ran:#}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_turn_goes_on_with_what_was_said_and_no_message_between() {
    for path in PATHS {
        let local = Local::start().await;
        let search = json!([{ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": { "query": "tides" } }]);
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            { "match": "*", "times": 1, "content": search, "stopReason": "pause_turn" },
            { "match": "*", "text": "High water at six." },
        ] });
        let ran = run(&local, &job(path, "Tides?"), script).await;
        assert_eq!((&ran["status"], &ran["text"]), (&json!("ok"), &json!("High water at six.")), "{path:?}: {ran:#}");
        let sent = local.asked_of_model().await;
        let said = format!(r#"{{"role":"assistant","content":{search}}}]"#);
        assert_eq!(sent.matches(&said).count(), 1, "it is the last message of the second request: {sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_result_of_a_batch_row_has_a_named_outcome() {
    let table = [
        (json!({ "match": "*", "row": "expired" }), "batch_expired", 2),
        (json!({ "match": "*", "row": "canceled" }), "batch_canceled", 2),
        (json!({ "match": "*", "row": "errored" }), "model_error", 2),
        (json!({ "match": "*", "row": "errored", "error": { "type": "overloaded_error" } }), "model_overloaded", 2),
        (
            json!({ "match": "*", "row": "errored", "error": { "type": "invalid_request_error" } }),
            "model_invalid_request",
            1,
        ),
    ];
    for (reply, outcome, batches) in table {
        let local = Local::start().await;
        let script = json!({ "replies": [reply], "batchDurationMs": 60_000 });
        let ran = run(&local, &job(Path::Batch, "Go."), script).await;
        assert_eq!(ran["error"]["code"], outcome, "{ran:#}");
        assert_eq!(local.fake().batches().len(), batches, "put in a batch again once, unless the request is wrong");
    }
}
