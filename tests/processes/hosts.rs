//! The same job through the real `lambda_runtime` binaries: over our Runtime API, and under `cargo lambda watch`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::time::Duration;

use nightshift_tests::local::batch_job;
use nightshift_tests::process::{Process, pause, tools};
use serde_json::{Value, json};

/// How often a run is asked after, and how far apart.
const ASKED: u32 = 600;
const APART: Duration = Duration::from_millis(100);
/// How long the fake's batches take.
const BATCH: Duration = Duration::from_millis(500);

/// A batch run with a tool between its two hops, and a heartbeat that is woken for an event.
async fn works(process: &Process) {
    let view = json!({ "type": "tool_use", "name": "memory", "input": { "command": "view", "path": "/memories" } });
    let script = json!({
        "batchDurationMs": BATCH.as_millis(),
        "replies": [
            { "match": "Through the binaries.", "times": 1, "content": [view] },
            { "afterTool": "memory", "text": "Nothing is noted." },
            { "match": "The door is open.", "text": "Somebody left the door open." },
        ],
    });
    process.post("/_local/anthropic/script", &script).await.unwrap();
    let job = process.post("/v1/cron.add", &batch_job("Through the binaries.")).await.unwrap();
    let asked = process.post("/v1/cron.run", &json!({ "jobId": job["jobId"], "mode": "force" })).await.unwrap();
    let run = followed(process, &asked["runId"]).await;
    assert_eq!((&run["status"], &run["path"]), (&json!("ok"), &json!("batch")), "{run:#}");
    assert_eq!(run["hops"].as_array().map(Vec::len), Some(2), "{run:#}");
    assert_eq!((&run["tools"][0]["name"], &run["tools"].as_array().map(Vec::len)), (&json!("memory"), &Some(1)));
    let batches = process.get("/_local/anthropic/batches").await.unwrap();
    assert_eq!(batches.as_array().map(Vec::len), Some(2), "a batch for each hop");

    let event = json!({ "text": "The door is open.", "mode": "now" });
    process.post("/v1/system.event", &event).await.unwrap();
    let mut told = Value::Null;
    for _ in 0..ASKED {
        told = process.post("/v1/heartbeat.last", &json!({})).await.unwrap();
        if told["lastTurn"]["deliveryStatus"] == "delivered" {
            break;
        }
        pause(APART).await;
    }
    assert_eq!(told["lastTurn"]["deliveryStatus"], "delivered", "{told:#}");
    let console = process.get("/_local/console").await.unwrap();
    let texts: Vec<&str> = console.as_array().unwrap().iter().filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["Nothing is noted.", "Somebody left the door open."]);

    // The API's token is no run's: the endpoint is there, behind the same front, and lets nobody in.
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let refused = process.post("/mcp", &list).await.unwrap();
    assert_eq!((&refused["jsonrpc"], &refused["error"]["code"]), (&json!("2.0"), &json!(-32001)), "{refused}");
}

/// A batch run on a real clock, once it is over. The first poll is due two minutes after a batch was created; `poll` is handed
/// its timer's envelope instead of waiting for it.
async fn followed(process: &Process, id: &Value) -> Value {
    let lambda = nightshift_local::endpoints::lambda_client(&process.ready.lambda_url);
    let mut nudged = Value::Null;
    let mut run = Value::Null;
    for _ in 0..ASKED {
        run = process.post("/v1/cron.runGet", &json!({ "runId": id })).await.unwrap();
        if !run["status"].is_null() && run["deliveryStatus"] == "delivered" {
            return run;
        }
        let batch = &run["batch"]["attemptId"];
        if run["state"] == "submitted" && nudged != *batch {
            nudged = batch.clone();
            pause(BATCH).await;
            pause(APART).await;
            let envelope = json!({ "v": 1, "k": "poll", "b": batch, "n": run["batch"]["polls"] });
            let poll = "arn:aws:lambda:us-east-1:000000000000:function:nightshift-poll";
            let payload = envelope.to_string().into_bytes();
            let answer = lambda.invoke().function_name(poll).payload(payload.into()).send().await.unwrap();
            assert_eq!(answer.function_error(), None, "{:?}", answer.payload());
        }
        pause(APART).await;
    }
    panic!("it does not end: {run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_job_runs_through_the_real_binaries_over_our_runtime_api() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("state"), &["--functions", "binaries"]).await;
    works(&process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_job_runs_through_the_real_binaries_under_cargo_lambda_watch() {
    let cargo_lambda = tools().join("venv/bin/cargo-lambda");
    if !cargo_lambda.exists() {
        println!("skipped: cargo-lambda is not installed; `make tools` installs it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_in(
        &folder.path().join("state"),
        &["--functions", "cargo-lambda"],
        &[("NIGHTSHIFT_CARGO_LAMBDA", cargo_lambda.to_str().unwrap())],
    )
    .await;
    works(&process).await;
}
