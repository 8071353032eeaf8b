//! The life of a batch, from create to delete.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Stand, batch, params, read, result, row};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn a_batch_runs_its_scripted_time_and_then_has_results() {
    let stand = Stand::new().await;
    let created = stand.post("/v1/messages/batches", &batch(3)).await.body;
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("msgbatch_01"));
    assert_eq!(created["processing_status"], "in_progress");
    assert_eq!(created["request_counts"]["processing"], 3);
    assert_eq!(created["created_at"], "2026-11-21T00:00:00.000000Z");
    assert_eq!(created["expires_at"], "2026-11-22T00:00:00.000000Z");
    stand.advance_ms(59_999);
    let early = stand.get(&format!("/v1/messages/batches/{id}/results")).await;
    assert_eq!(early.status, 400);
    assert_eq!(stand.retrieve(id).await["processing_status"], "in_progress");
    stand.advance_ms(1);
    let ended = stand.retrieve(id).await;
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(ended["request_counts"], json!({"processing":0,"succeeded":3,"errored":0,"canceled":0,"expired":0}));
    assert_eq!(ended["results_url"], format!("{}/v1/messages/batches/{id}/results", stand.url));
    let lines = stand.results(id).await;
    assert_eq!(lines.len(), 3);
    let message = &result(&lines, "r1")["message"];
    assert_eq!(message["usage"]["service_tier"], "batch");
    assert!(message["content"][0]["text"].as_str().unwrap().contains("ask 1"));
    assert_eq!(stand.fake.bill().batch["claude-opus-5-5"].messages, 3);
    assert_eq!(stand.fake.batches(), [ended]);
}

#[tokio::test]
async fn results_do_not_come_in_the_order_of_the_requests() {
    let stand = Stand::new().await;
    let id = stand.create(20).await;
    stand.advance_ms(60_000);
    let order = |lines: Vec<Value>| lines.iter().map(|line| line["custom_id"].to_string()).collect::<Vec<_>>();
    let (first, second) = (order(stand.results(&id).await), order(stand.results(&id).await));
    assert_eq!(first, second);
    let written: Vec<String> = (0..20).map(|n| format!("\"r{n}\"")).collect();
    assert_ne!(first, written);
}

#[tokio::test]
async fn the_envelope_is_checked_at_once() {
    let stand = Stand::new().await;
    let good = || params("hi");
    let rows = |rows: Value| json!({ "requests": rows });
    for (body, word) in [
        (rows(json!([])), "at least 1 item"),
        (json!({}), "requests: Field required"),
        (rows(json!({})), "valid list"),
        (json!({"requests": [row("a", good())], "metadata": {}}), "metadata: Extra inputs"),
        (rows(json!([row("a:b", good())])), "requests.0.custom_id: String should match pattern"),
        (rows(json!([row("", good())])), "pattern"),
        (rows(json!([row(&"a".repeat(65), good())])), "pattern"),
        (rows(json!([row("a", good()), row("a", good())])), "unique"),
        (rows(json!([{"custom_id": 5, "params": good()}])), "valid string"),
        (rows(json!([{"params": good()}])), "custom_id: Field required"),
        (rows(json!([{"custom_id": "a"}])), "params: Field required"),
        (rows(json!([{"custom_id": "a", "params": good(), "method": "POST"}])), "method: Extra inputs"),
        (rows(json!([{"custom_id": "a", "params": []}])), "valid dictionary"),
    ] {
        let answer = stand.post("/v1/messages/batches", &body).await;
        assert_eq!((answer.status, &answer.body["error"]["type"]), (400, &json!("invalid_request_error")), "{body}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{word}: {answer:?}");
    }
    assert!(stand.fake.batches().is_empty());
    let longest = stand.post("/v1/messages/batches", &rows(json!([row(&"a".repeat(64), good())]))).await;
    assert_eq!(longest.status, 200);
}

#[tokio::test]
async fn more_than_100_000_requests_are_refused() {
    let stand = Stand::new().await;
    let rows: Vec<Value> = (0..100_001).map(|n| row(&n.to_string(), json!({}))).collect();
    let answer = stand.post("/v1/messages/batches", &json!({ "requests": rows })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("100000"));
}

#[tokio::test]
async fn parameters_are_checked_late_and_errors_are_nested_twice() {
    let stand = Stand::new().await;
    let with = |field: &str, value: Value| {
        let mut params = params("hi");
        params[field] = value;
        params
    };
    let body = json!({"requests": [
        row("good", params("hi")),
        row("stream", with("stream", json!(true))),
        row("speed", with("speed", json!("fast"))),
        row("zero", with("max_tokens", json!(0))),
        row("hot", with("temperature", json!(0.5))),
        row("lost", with("model", json!("claude-opus-9"))),
        row("empty", json!({})),
    ]});
    let created = stand.post("/v1/messages/batches", &body).await;
    assert_eq!(created.status, 200);
    let id = created.body["id"].as_str().unwrap();
    assert_eq!(created.body["request_counts"]["errored"], 0);
    stand.advance_ms(60_000);
    assert_eq!(stand.retrieve(id).await["request_counts"]["errored"], 6);
    let lines = stand.results(id).await;
    assert_eq!(result(&lines, "good")["type"], "succeeded");
    for bad in ["stream", "speed", "zero", "hot", "empty"] {
        let result = result(&lines, bad);
        assert_eq!(result["type"], "errored", "{bad}");
        assert_eq!(result["error"]["type"], "error", "{bad}");
        assert_eq!(result["error"]["error"]["type"], "invalid_request_error", "{bad}");
        assert!(result["error"]["request_id"].as_str().unwrap().starts_with("req_"), "{bad}");
    }
    assert_eq!(result(&lines, "lost")["error"]["error"]["type"], "not_found_error");
    assert_eq!(stand.fake.bill().batch["claude-opus-5-5"].messages, 1);
}

#[tokio::test]
async fn the_version_of_the_create_call_holds_for_every_row() {
    let stand = Stand::new().await;
    let mut hot = params("hi");
    hot["temperature"] = json!(0.5);
    let body = json!({"requests": [row("hot", hot)]});
    let request = stand.bare(Method::POST, "/v1/messages/batches").header("x-api-key", "sk-ant-api03-test");
    let created = read(request.header("anthropic-version", "2023-06-01").json(&body).send().await.unwrap()).await.body;
    stand.advance_ms(60_000);
    let lines = stand.results(created["id"].as_str().unwrap()).await;
    assert_eq!(result(&lines, "hot")["type"], "succeeded");
}

#[tokio::test]
async fn a_model_without_batches_errors_its_row_only() {
    let stand = Stand::new().await;
    stand.script(json!({"models": [{"id": "claude-nobatch-test", "batch": false}], "batchDurationMs": 0}));
    let model = stand.get("/v1/models/claude-nobatch-test").await.body;
    assert_eq!(model["capabilities"]["batch"]["supported"], false);
    let mut other = params("hi");
    other["model"] = json!("claude-nobatch-test");
    assert_eq!(stand.post("/v1/messages", &other).await.status, 200);
    let body = json!({"requests": [row("a", params("hi")), row("b", other)]});
    let id = stand.post("/v1/messages/batches", &body).await.body["id"].as_str().unwrap().to_owned();
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "a")["type"], "succeeded");
    assert_eq!(result(&lines, "b")["error"]["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn the_list_is_newest_first_paged_and_of_one_workspace() {
    let stand = Stand::new().await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.insert(0, stand.create(1).await);
        stand.advance_ms(1);
    }
    let listed = |page: &Value| {
        let data = page["data"].as_array().unwrap();
        data.iter().map(|batch| batch["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = stand.get("/v1/messages/batches").await.body;
    assert_eq!(listed(&first), ids[..20]);
    assert_eq!((&first["first_id"], &first["last_id"]), (&json!(ids[0]), &json!(ids[19])));
    assert_eq!(first["has_more"], true);
    let rest = stand.get(&format!("/v1/messages/batches?after_id={}", ids[19])).await.body;
    assert_eq!(listed(&rest), ids[20..]);
    assert_eq!(rest["has_more"], false);
    let back = stand.get(&format!("/v1/messages/batches?limit=3&before_id={}", ids[20])).await.body;
    assert_eq!(listed(&back), ids[17..20]);
    let other = stand.bare(Method::GET, "/v1/messages/batches").header("x-api-key", "another key");
    let other = read(other.header("anthropic-version", "2026-10-21").send().await.unwrap()).await.body;
    assert_eq!(other, json!({"data": [], "first_id": null, "last_id": null, "has_more": false}));
    let path = format!("/v1/messages/batches/{}", ids[0]);
    let foreign = stand.request(Method::GET, &path).header("anthropic-workspace-id", "wrkspc_other");
    assert_eq!(read(foreign.send().await.unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_cancel_goes_through_canceling_to_ended() {
    let stand = Stand::new().await;
    let id = stand.create(2).await;
    stand.advance_ms(1000);
    let path = format!("/v1/messages/batches/{id}/cancel");
    let cancel = || async { read(stand.request(Method::POST, &path).send().await.unwrap()).await };
    let canceling = cancel().await.body;
    assert_eq!(canceling["processing_status"], "canceling");
    assert_eq!(canceling["cancel_initiated_at"], "2026-11-21T00:00:01.000000Z");
    assert_eq!(canceling["request_counts"]["processing"], 2);
    stand.advance_ms(10_000);
    assert_eq!(cancel().await.body, canceling);
    stand.advance_ms(20_000);
    let ended = stand.retrieve(&id).await;
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(ended["request_counts"]["canceled"], 2);
    assert_eq!(ended["ended_at"], "2026-11-21T00:00:31.000000Z");
    assert!(stand.results(&id).await.iter().all(|line| line["result"] == json!({"type": "canceled"})));
    assert!(stand.fake.bill().batch.is_empty());
    assert_eq!(cancel().await.status, 400);
    assert_eq!(
        read(stand.request(Method::POST, "/v1/messages/batches/none/cancel").send().await.unwrap()).await.status,
        404
    );
}

#[tokio::test]
async fn a_cancel_that_comes_too_late_keeps_the_results() {
    let stand = Stand::new().await;
    stand.script(json!({"cancelKeeps": "first", "cancelDurationMs": 5}));
    let id = stand.create(3).await;
    read(stand.request(Method::POST, &format!("/v1/messages/batches/{id}/cancel")).send().await.unwrap()).await;
    stand.advance_ms(5);
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "r0")["type"], "succeeded");
    assert_eq!(result(&lines, "r1")["type"], "canceled");
    assert_eq!(stand.fake.bill().batch["claude-opus-5-5"].messages, 1);
}

#[tokio::test]
async fn a_batch_that_takes_longer_than_a_day_expires() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 2 * DAY_MS}));
    let id = stand.create(2).await;
    stand.advance_ms(DAY_MS - 1);
    assert_eq!(stand.retrieve(&id).await["processing_status"], "in_progress");
    stand.advance_ms(1);
    let ended = stand.retrieve(&id).await;
    assert_eq!(ended["request_counts"]["expired"], 2);
    assert_eq!(ended["ended_at"], ended["expires_at"]);
    assert!(stand.results(&id).await.iter().all(|line| line["result"] == json!({"type": "expired"})));
}

#[tokio::test]
async fn only_an_ended_batch_can_be_deleted_and_its_bill_stays() {
    let stand = Stand::new().await;
    let id = stand.create(1).await;
    let path = format!("/v1/messages/batches/{id}");
    assert_eq!(stand.delete(&path).await.status, 400);
    stand.advance_ms(60_000);
    let before = stand.fake.bill();
    assert_eq!(stand.delete(&path).await.body, json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(stand.delete(&path).await.status, 404);
    assert_eq!(stand.get(&path).await.status, 404);
    assert!(stand.fake.batches().is_empty());
    assert_eq!(stand.fake.bill(), before);
    assert_eq!(before.batch["claude-opus-5-5"].messages, 1);
}

#[tokio::test]
async fn results_are_gone_29_days_after_creation_but_the_batch_stays() {
    let stand = Stand::new().await;
    let id = stand.create(1).await;
    stand.advance_ms(29 * DAY_MS - 1);
    assert_eq!(stand.retrieve(&id).await["archived_at"], Value::Null);
    assert_eq!(stand.results(&id).await.len(), 1);
    stand.advance_ms(1);
    assert_eq!(stand.retrieve(&id).await["archived_at"], "2026-12-20T00:00:00.000000Z");
    assert_eq!(stand.get(&format!("/v1/messages/batches/{id}/results")).await.status, 404);
}
