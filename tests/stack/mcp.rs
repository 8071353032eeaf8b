//! The MCP endpoint on the whole stack, called by a real MCP client with the token that a batch of the run carries.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use std::sync::Arc;

use nightshift_domain::RunKey;
use nightshift_domain::run::{CallState, Run, call_id};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::Store;
use nightshift_local::endpoints::dynamodb;
use nightshift_store::DynamoStore;
use nightshift_tests::local::{Local, batch_job, start};
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

type Client = RunningService<RoleClient, ()>;

/// A stack whose endpoint is known to the provider under another address than the one it has, and the table behind it.
async fn stack(endpoint: Value) -> (Local, DynamoStore) {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 7_200_000 }));
    let config = json!({
        "api": { "publicUrl": "https://nightshift.example" },
        "agents": { "defaults": { "tools": { "endpoint": endpoint } } },
    });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    let clock = Arc::new(ManualClock::new(start()));
    let table = DynamoStore::new(dynamodb(&local.stack.ready.dynamodb_url), "nightshift", clock);
    (local, table)
}

/// The run of a batch job that waits for its batch.
async fn submitted(local: &Local, table: &DynamoStore, message: &str) -> Run {
    let id = local.add(&batch_job(message)).await;
    let asked = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(1).await;
    let key = RunKey::parse(asked["runId"].as_str().unwrap()).unwrap();
    let run = table.run(&key).await.unwrap().unwrap();
    assert_eq!(run.state.name(), "submitted");
    run
}

fn token(run: &Run) -> String {
    run.plan.as_ref().unwrap().endpoint.as_ref().unwrap().connection(&run.key).token.unwrap()
}

/// A client as the provider's loop has one.
async fn client(local: &Local, token: &str) -> Result<Client, String> {
    let config =
        StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", local.stack.ready.url)).auth_header(token);
    ().serve(StreamableHttpClientTransport::from_config(config)).await.map_err(|error| error.to_string())
}

async fn called(client: &Client, tool: &'static str, arguments: &Value) -> CallToolResult {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_lists_and_calls_the_tools_of_a_run_that_waits_for_its_batch() {
    let (local, table) = stack(json!({})).await;
    let run = submitted(&local, &table, "What is new?").await;
    let client = client(&local, &token(&run)).await.unwrap();
    assert_eq!(client.peer_info().unwrap().server_info.as_ref().map(|info| info.name.as_str()), Some("nightshift"));
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, ["memory_view", "cron_view", "http_fetch"], "only what reads, unless the configuration says so");

    let inside = called(&client, "http_fetch", &json!({ "url": "http://127.0.0.1:1/" })).await;
    assert_eq!(inside.is_error, Some(true), "an internal address is refused here too: {inside:?}");
    let other = called(&client, "message", &json!({ "text": "hello" })).await;
    assert_eq!(other.is_error, Some(true), "the token does not name it: {other:?}");
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acting_call_is_carried_out_once_for_every_client_of_a_run_and_once_in_another_run() {
    let (local, table) = stack(json!({ "allow": ["memory"] })).await;
    let (run, other) = (submitted(&local, &table, "One.").await, submitted(&local, &table, "Two.").await);
    let arguments = json!({ "command": "create", "path": "/memories/a.md", "file_text": "one" });
    let mut results = Vec::new();
    for _ in 0..3 {
        let client = client(&local, &token(&run)).await.unwrap();
        results.push(called(&client, "memory", &arguments).await);
        client.cancel().await.unwrap();
    }
    assert!(results.iter().all(|result| *result == results[0]), "{results:#?}");
    let id = call_id("memory", &arguments);
    let kept = table.endpoint_call(&run.key, &id).await.unwrap().unwrap();
    assert!(matches!(kept.state, CallState::Done { .. }), "{kept:?}");
    assert_eq!(kept.rev, 2, "begun once and done once");
    assert_eq!(table.endpoint_call(&other.key, &id).await.unwrap(), None);
    let client = client(&local, &token(&other)).await.unwrap();
    called(&client, "memory", &arguments).await;
    assert!(table.endpoint_call(&other.key, &id).await.unwrap().is_some());
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_with_its_run_and_is_shown_by_no_view() {
    let (local, table) = stack(json!({})).await;
    let run = submitted(&local, &table, "What is new?").await;
    let (token, endpoint) = (token(&run), run.plan.as_ref().unwrap().endpoint.clone().unwrap());
    let key = serde_json::to_value(&endpoint.key).unwrap();
    let id = json!({ "runId": run.key, "jobId": run.job_id });
    let mut shown = Vec::new();
    for method in ["cron.runGet", "cron.runs", "cron.get", "cron.list", "cron.status", "config.get"] {
        let body = match method {
            "cron.runGet" => json!({ "runId": id["runId"] }),
            "cron.runs" | "cron.get" => json!({ "jobId": id["jobId"] }),
            _ => json!({}),
        };
        shown.push(local.ok(method, &body).await.to_string());
    }
    let shown = shown.join("\n");
    assert!(shown.contains(run.key.as_str()));
    assert!(!shown.contains("nst1") && !shown.contains(key.as_str().unwrap()), "{shown}");

    client(&local, &token).await.unwrap().cancel().await.unwrap();
    local.ok("cron.cancel", &json!({ "runId": run.key })).await;
    local.advance(60).await;
    assert_eq!(local.last_run(run.job_id.as_str()).await["state"], "canceled");
    assert!(client(&local, &token).await.is_err(), "the run is over");
    let answer =
        local.post("/mcp", Some(&token), json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string()).await;
    assert_eq!((answer.status, &answer.body["jsonrpc"]), (401, &json!("2.0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realtime_turn_has_no_endpoint_and_neither_has_one_without_a_public_address() {
    let (local, table) = stack(json!({})).await;
    let mut job = batch_job("Now.");
    job["payload"]["batch"] = json!({ "enabled": false });
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(1).await;
    let run = local.last_run(&id).await;
    let run = table.run(&RunKey::parse(run["runId"].as_str().unwrap()).unwrap()).await.unwrap().unwrap();
    assert_eq!(run.plan.unwrap().endpoint, None);
    local.ok("config.apply", &json!({ "config": {}, "expectedRevision": 1 })).await;
    let run = submitted(&local, &table, "Later.").await;
    assert_eq!(run.plan.unwrap().endpoint, None);
}
