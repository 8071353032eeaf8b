//! Turns of an agent: hops, tools, thinking, and what becomes of them in realtime and through batches.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

mod bytes;
mod faults;
mod long;
mod parity;
mod stops;
mod tools;

use nightshift_tests::local::Local;
use nightshift_tests::pages::Pages;
use serde_json::{Value, json};

/// The path a job's hops take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Realtime,
    Batch,
}

const PATHS: [Path; 2] = [Path::Realtime, Path::Batch];

/// A job that runs when it is asked to, and sends its answer nowhere.
fn job(path: Path, message: &str) -> Value {
    json!({
        "name": "Turn",
        "schedule": { "kind": "cron", "expr": "0 0 1 1 *" },
        "payload": { "kind": "agentTurn", "message": message, "batch": { "enabled": path == Path::Batch } },
        "delivery": { "mode": "none" },
    })
}

/// A stack and pages its agents may fetch.
async fn with_pages() -> (Local, Pages) {
    let local = Local::start().await;
    let pages = Pages::serve(local.stack.clock()).await;
    local.configure(&json!({ "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } } })).await;
    (local, pages)
}

/// Runs `job` under `script` to its end, and answers its run.
async fn run(local: &Local, job: &Value, script: Value) -> Value {
    local.script(script);
    let id = local.add(job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(30).await;
    local.last_run(&id).await
}

/// A scripted answer that asks for one tool.
fn asks(id: &str, name: &str, input: &Value) -> Value {
    json!({ "match": "*", "times": 1, "content": [{ "type": "tool_use", "id": id, "name": name, "input": input }] })
}

fn text(text: &str) -> Value {
    json!({ "match": "*", "times": 1, "text": text })
}

/// The tool calls of a run: name, state and the hop that asked.
fn calls(run: &Value) -> Vec<(String, String, u64)> {
    let none = Vec::new();
    let tools = run["tools"].as_array().unwrap_or(&none);
    let word = |tool: &Value, field: &str| tool[field].as_str().unwrap().to_owned();
    tools.iter().map(|tool| (word(tool, "name"), word(tool, "state"), tool["hop"].as_u64().unwrap())).collect()
}
