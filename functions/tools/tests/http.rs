//! The HTTP surface of the MCP endpoint: who is let in, what a client is told, and that it is JSON-RPC whatever it is.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_http::{Body, Request, http};
use nightshift_domain::run::{CallState, Run, call_id};
use nightshift_domain::run_token::TokenKey;
use nightshift_engine::ports::Write;
use nightshift_engine::testing::{MemoryBlobs, MemoryStore, NoMetrics, NoSecrets, NoWeb, Nothing};
use nightshift_engine::{Deps, ManualClock, Settings};
use serde_json::{Value, json};

struct Endpoint {
    deps: Deps,
    clock: ManualClock,
    run: Run,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

/// The function, with a run of which a hop is in a batch.
async fn endpoint() -> Endpoint {
    let at: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let clock = ManualClock::new(at);
    let nothing = Arc::new(Nothing);
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: nothing.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: nothing.clone(),
        invoker: nothing.clone(),
        models: nothing.clone(),
        channels: nothing,
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    let run = json!({
        "key": "a_20261120T120000Z", "jobId": "a", "jobName": "morning", "agentId": "main", "origin": "schedule",
        "slot": at, "sequence": 1, "task": { "task": "turn" }, "createdAt": at, "startedAt": at, "endedAt": null,
        "state": { "state": "submitted", "hop": 1, "attempt": 1, "batch": "01A" }, "stateSince": at, "rev": 1,
        "turn": { "message": "" }, "prompt": { "inline": "hello" }, "delivery": null,
        "plan": { "path": "batch", "provider": "anthropic", "model": "claude-haiku-5-5", "maxTokens": 1000,
            "deadline": at + TimeDelta::hours(1), "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 5,
            "endpoint": { "url": "https://example.com/mcp", "tools": ["http_fetch", "memory_view", "message"],
                "expires": at + TimeDelta::hours(25), "key": TokenKey::new(1, 2) } },
    });
    let run: Run = serde_json::from_value(run).unwrap();
    deps.store.commit(&[Write::Run { run: &run, expires_at: None }]).await.unwrap();
    Endpoint { deps, clock, run }
}

impl Endpoint {
    fn token(&self) -> String {
        self.run.plan.as_ref().unwrap().endpoint.as_ref().unwrap().connection(&self.run.key).token.unwrap()
    }

    async fn send(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = http::Request::builder().method(verb).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request: Request = request.body(Body::from(body)).unwrap();
        let response = nightshift_tools::handle(&self.deps, request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = serde_json::from_slice(body.as_ref()).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Posts a JSON-RPC message as a client with `token` does, with what a real one sends besides.
    async fn post(&self, token: &str, message: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("host", "abc.lambda-url.us-east-1.on.aws"),
        ];
        self.send("POST", "/mcp", &headers, message.to_string()).await
    }

    /// Makes a request and answers its result.
    async fn ask(&self, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let Answer { status, body, headers } = self.post(&self.token(), &message).await;
        assert_eq!((status, &body["id"], &body["jsonrpc"]), (200, &json!(7), &json!("2.0")), "{body}");
        assert_eq!(headers["content-type"], "application/json");
        body["result"].clone()
    }
}

fn initialize() -> Value {
    json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "client", "version": "1" } })
}

fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

#[tokio::test]
async fn a_client_is_told_of_the_tokens_tools_without_a_session() {
    let endpoint = endpoint().await;
    let hello = endpoint.ask("initialize", initialize()).await;
    assert_eq!((&hello["serverInfo"]["name"], &hello["protocolVersion"]), (&json!("nightshift"), &json!("2025-06-18")));
    assert!(hello["capabilities"]["tools"].is_object(), "{hello}");
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(endpoint.post(&endpoint.token(), &told).await.status, 202);

    let listed = endpoint.ask("tools/list", json!({})).await;
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["http_fetch", "memory_view", "message"]);
    assert_eq!(listed["tools"][0]["inputSchema"]["required"], json!(["url"]));
    assert_eq!(listed["tools"][1]["inputSchema"]["properties"]["command"]["enum"], json!(["view"]));
    let reads: Vec<&Value> =
        listed["tools"].as_array().unwrap().iter().map(|tool| &tool["annotations"]["readOnlyHint"]).collect();
    assert_eq!(reads, [&json!(true), &json!(true), &json!(false)]);
}

#[tokio::test]
async fn a_call_is_answered_as_a_tools_result_and_an_acting_one_is_written_down() {
    let endpoint = endpoint().await;
    let arguments = json!({ "text": "hello" });
    let first = endpoint.ask("tools/call", json!({ "name": "message", "arguments": arguments })).await;
    assert_eq!(first["content"][0]["type"], "text", "{first}");
    let kept = endpoint.deps.store.endpoint_call(&endpoint.run.key, &call_id("message", &arguments)).await.unwrap();
    assert!(matches!(kept.unwrap().state, CallState::Done { .. }));
    let again = endpoint.ask("tools/call", json!({ "name": "message", "arguments": arguments })).await;
    assert_eq!(again, first, "a repeat gets the same result");

    let fetched =
        endpoint.ask("tools/call", json!({ "name": "http_fetch", "arguments": { "url": "https://a.example" } }));
    assert_eq!(fetched.await["isError"], true, "there is no network in this test");
    let refused = endpoint.ask("tools/call", json!({ "name": "cron", "arguments": { "action": "status" } })).await;
    assert_eq!(
        (&refused["isError"], &refused["content"][0]["text"]),
        (&json!(true), &json!("there is no tool \"cron\""))
    );
}

#[tokio::test]
async fn without_the_token_of_a_run_that_is_out_nothing_is_answered_but_401() {
    let endpoint = endpoint().await;
    let good = endpoint.token();
    let mut bad = good.clone();
    bad.replace_range(good.len() - 1.., if good.ends_with('A') { "B" } else { "A" });
    for token in ["", "x", "nst1.e30.AA", bad.as_str(), &good[..good.len() - 2]] {
        let Answer { status, body, headers } = endpoint.post(token, &list()).await;
        assert_eq!((status, &headers["www-authenticate"]), (401, &http::HeaderValue::from_static("Bearer")), "{token}");
        assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &Value::Null));
        assert!(body["error"]["code"].is_i64() && body["error"]["message"].is_string(), "{body}");
    }
    for authorization in ["Basic abc", "Bearer", good.as_str()] {
        let answer = endpoint.send("POST", "/mcp", &[("authorization", authorization)], list().to_string()).await;
        assert_eq!(answer.status, 401, "{authorization}");
    }
    assert_eq!(endpoint.send("POST", "/mcp", &[], list().to_string()).await.status, 401);
    assert_eq!(endpoint.post(&good, &list()).await.status, 200);
    endpoint.clock.advance(TimeDelta::hours(25));
    assert_eq!(endpoint.post(&good, &list()).await.status, 401, "it has expired");
}

#[tokio::test]
async fn other_paths_and_verbs_and_large_bodies_are_refused() {
    let endpoint = endpoint().await;
    let bearer = format!("Bearer {}", endpoint.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("host", "example.com")];
    for path in ["/", "/mcp/", "/mcp/x", "/v1/cron.list", "/hooks/wake"] {
        assert_eq!(endpoint.send("POST", path, &headers, list().to_string()).await.status, 404, "{path}");
    }
    assert_eq!(
        endpoint.send("POST", "//mcp", &headers, list().to_string()).await.status,
        200,
        "a URL with a slash at its end"
    );
    for verb in ["GET", "DELETE", "PUT", "HEAD"] {
        let answer = endpoint.send(verb, "/mcp", &headers, String::new()).await;
        assert_eq!((answer.status, &answer.headers["allow"]), (405, &http::HeaderValue::from_static("POST")), "{verb}");
    }
    let padded = |length: usize| format!("{}{}", list(), " ".repeat(length - list().to_string().len()));
    let most = nightshift_tools::BODY_MAX;
    assert_eq!(endpoint.send("POST", "/mcp", &headers, padded(most)).await.status, 200);
    assert_eq!(endpoint.send("POST", "/mcp", &headers, padded(most + 1)).await.status, 413);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_a_browsers_page_is_not_served() {
    let endpoint = endpoint().await;
    let bearer = format!("Bearer {}", endpoint.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("host", "example.com")];
    for body in ["", "{", "null", "[]", "{\"jsonrpc\":\"2.0\"}"] {
        let status = endpoint.send("POST", "/mcp", &headers, body.to_owned()).await.status;
        assert!((400..500).contains(&status), "{body}: {status}");
    }
    let page = [&headers[..], &[("origin", "https://evil.example")]].concat();
    assert_eq!(endpoint.send("POST", "/mcp", &page, list().to_string()).await.status, 403);
    let unknown = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/destroy" });
    let answer = endpoint.post(&endpoint.token(), &unknown).await;
    assert_eq!((&answer.body["id"], &answer.body["error"]["code"]), (&json!(3), &json!(-32601)), "{}", answer.body);
}
