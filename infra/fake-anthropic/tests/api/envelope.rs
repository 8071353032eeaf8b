//! What every call must carry and every answer carries; models and token counts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Stand, params, read};

#[tokio::test]
async fn every_answer_names_request_organization_and_workspace() {
    let stand = Stand::new().await;
    for answer in [
        stand.post("/v1/messages", &params("hi")).await,
        stand.get("/v1/messages/batches").await,
        stand.get("/v1/messages/batches/msgbatch_none").await,
        stand.get("/v1/nothing").await,
    ] {
        assert!(answer.headers["request-id"].to_str().unwrap().starts_with("req_01"));
        assert!(answer.headers.contains_key("anthropic-organization-id"));
        assert!(answer.headers["anthropic-workspace-id"].to_str().unwrap().starts_with("wrkspc_01"));
    }
}

#[tokio::test]
async fn an_error_has_the_documented_shape_and_repeats_the_request_id() {
    let stand = Stand::new().await;
    let answer = stand.get("/v1/messages/batches/msgbatch_none").await;
    assert_eq!((answer.status, &answer.body["type"]), (404, &json!("error")));
    assert_eq!(answer.body["error"]["type"], "not_found_error");
    assert_eq!(answer.body["request_id"], answer.headers["request-id"].to_str().unwrap());
}

#[tokio::test]
async fn credentials_version_and_content_type_are_required() {
    let stand = Stand::new().await;
    let version = ("anthropic-version", "2026-10-21");
    let body = params("hi").to_string();
    let post = || stand.bare(Method::POST, "/v1/messages").body(body.clone());
    let json = ("content-type", "application/json");
    let answer = read(post().header(json.0, json.1).header(version.0, version.1).send().await.unwrap()).await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (401, &json!("authentication_error")));
    let answer = read(post().header(json.0, json.1).header("x-api-key", "k").send().await.unwrap()).await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (400, &json!("invalid_request_error")));
    let keyed = || post().header("x-api-key", "k").header(version.0, version.1);
    assert_eq!(read(keyed().send().await.unwrap()).await.status, 400);
    let zipped = keyed().header(json.0, json.1).header("content-encoding", "gzip").send().await.unwrap();
    assert_eq!(read(zipped).await.body["error"]["details"]["error_code"], "request_body_encoding_unsupported");
    let good =
        keyed().header(json.0, "application/json; charset=utf-8").header("anthropic-beta", "unheard-of-2026-01-01");
    assert_eq!(read(good.send().await.unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_subscription_token_speaks_to_messages_but_not_to_batches() {
    let stand = Stand::new().await;
    let send = |path: &str, body: Value| {
        let request =
            stand.bare(Method::POST, path).bearer_auth("sk-ant-oat01-x").header("anthropic-version", "2026-10-21");
        request.header("anthropic-beta", "oauth-2025-04-20").json(&body).send()
    };
    assert_eq!(read(send("/v1/messages", params("hi")).await.unwrap()).await.status, 200);
    let refused = read(send("/v1/messages/batches", crate::batch(1)).await.unwrap()).await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (403, &json!("permission_error")));
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let stand = Stand::new().await;
    assert_eq!(stand.get("/v1/complete").await.status, 404);
    assert_eq!(stand.get("/v1/messages").await.status, 405);
    assert_eq!(stand.delete("/v1/models").await.status, 405);
}

#[tokio::test]
async fn more_than_32_mb_is_413() {
    let stand = Stand::new().await;
    let answer = stand.post("/v1/messages", &params(&"x".repeat(32 * 1024 * 1024))).await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (413, &json!("request_too_large")));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400_and_logged_as_text() {
    let stand = Stand::new().await;
    for path in ["/v1/messages", "/v1/messages/batches"] {
        let request = stand.request(Method::POST, path).header("content-type", "application/json").body("{nope");
        assert_eq!(read(request.send().await.unwrap()).await.status, 400);
    }
    assert!(stand.fake.requests().iter().all(|request| request["body"] == "{nope"));
}

#[tokio::test]
async fn the_log_shows_calls_without_their_credentials() {
    let stand = Stand::new().await;
    stand.post("/v1/messages", &params("hi")).await;
    stand.get("/v1/messages/batches?limit=5&beta=true").await;
    let requests = stand.fake.requests();
    assert_eq!(requests[0]["method"], "POST");
    assert_eq!(requests[0]["body"], params("hi"));
    assert_eq!(requests[0]["status"], 200);
    assert_eq!(requests[0]["atMs"], crate::start().timestamp_millis());
    assert_eq!(requests[0]["headers"]["authorization"], "[redacted]");
    assert_eq!(requests[0]["headers"]["anthropic-version"], "2026-10-21");
    assert_eq!(requests[1]["path"], "/v1/messages/batches?limit=5&beta=true");
    assert_eq!(requests[1]["body"], Value::Null);
    assert!(!json!(requests).to_string().contains("sk-ant"));
    stand.fake.clear_requests();
    assert!(stand.fake.requests().is_empty());
}

#[tokio::test]
async fn models_are_listed_paged_filtered_and_found_by_alias() {
    let stand = Stand::new().await;
    let all = stand.get("/v1/models?limit=1000").await.body;
    assert_eq!(all["has_more"], false);
    assert_eq!(all["data"][0]["id"], "claude-fable-5-2");
    let first = stand.get("/v1/models?limit=2").await.body;
    let next = stand.get(&format!("/v1/models?limit=2&after_id={}", first["last_id"].as_str().unwrap())).await.body;
    assert_eq!(next["data"][0], all["data"][2]);
    let old = stand.get("/v1/models?lifecycle=deprecated").await.body;
    assert_eq!(old["data"].as_array().unwrap().len(), 1);
    assert_eq!(old["data"][0]["id"], "claude-sonnet-4-5-20250929");
    assert_eq!(stand.get("/v1/models/claude-haiku-4-5").await.body["id"], "claude-haiku-4-5-20251001");
    assert_eq!(stand.get("/v1/models/claude-haiku-9").await.status, 404);
}

#[tokio::test]
async fn tokens_are_counted_without_being_billed() {
    let stand = Stand::new().await;
    let body = json!({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "x".repeat(400)}]});
    let answer = stand.post("/v1/messages/count_tokens", &body).await;
    assert!(answer.body["input_tokens"].as_u64().unwrap() >= 100, "{answer:?}");
    assert!(stand.fake.bill().realtime.is_empty());
}

#[tokio::test]
async fn the_control_routes_set_scripts_and_show_what_happened() {
    let stand = Stand::new().await;
    let answer = read(stand.bare(Method::POST, "/_fake/script").body(r#"{"latency": 5}"#).send().await.unwrap()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["error"].as_str().unwrap().contains("latency"));
    let script = r#"{"replies": [{"text": "yes"}]}"#;
    let answer = read(stand.bare(Method::POST, "/_fake/script").body(script).send().await.unwrap()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(stand.post("/v1/messages", &params("hi")).await.body["content"][0]["text"], "yes");
    let show = |path: &'static str| async { read(stand.bare(Method::GET, path).send().await.unwrap()).await.body };
    assert_eq!(show("/_fake/requests").await.as_array().unwrap().len(), 1);
    assert_eq!(show("/_fake/batches").await, json!([]));
    assert_eq!(show("/_fake/bill").await["realtime"]["claude-opus-5-5"]["messages"], 1);
    assert_eq!(read(stand.bare(Method::DELETE, "/_fake/requests").send().await.unwrap()).await.status, 204);
    assert_eq!(show("/_fake/requests").await, json!([]));
}
