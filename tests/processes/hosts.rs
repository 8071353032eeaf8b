//! The same job through the real `lambda_runtime` binaries: over our Runtime API, and under `cargo lambda watch`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::time::Duration;

use nightshift_tests::local::batch_job;
use nightshift_tests::process::{Process, pause, tools};
use serde_json::{Value, json};

/// Follows one batch run on a real clock from submit to delivery. The first poll is due two minutes after the batch was
/// created; the test hands `poll` its timer's envelope instead of waiting for it.
async fn submits(process: &Process) {
    process.post("/_local/anthropic/script", &json!({ "batchDurationMs": 500 })).await.unwrap();
    let job = process.post("/v1/cron.add", &batch_job("Through the binaries.")).await.unwrap();
    let asked = process.post("/v1/cron.run", &json!({ "jobId": job["jobId"], "mode": "force" })).await.unwrap();
    let mut run = Value::Null;
    for _ in 0..600 {
        run = process.post("/v1/cron.runGet", &json!({ "runId": asked["runId"] })).await.unwrap();
        if run["state"] == "submitted" {
            break;
        }
        pause(Duration::from_millis(100)).await;
    }
    assert_eq!(run["state"], "submitted", "{run:#}");
    // A nudge of the poll function, as its timer would give it.
    let lambda = nightshift_local::endpoints::lambda_client(&process.ready.lambda_url);
    let envelope = json!({ "v": 1, "k": "poll", "b": run["batch"]["attemptId"], "n": run["batch"]["polls"] });
    pause(Duration::from_millis(600)).await;
    let answer = lambda
        .invoke()
        .function_name("arn:aws:lambda:us-east-1:000000000000:function:nightshift-poll")
        .payload(envelope.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.function_error(), None, "{:?}", answer.payload());
    for _ in 0..300 {
        run = process.post("/v1/cron.runGet", &json!({ "runId": asked["runId"] })).await.unwrap();
        if run["status"] == "ok" {
            break;
        }
        pause(Duration::from_millis(100)).await;
    }
    assert_eq!((&run["status"], &run["path"]), (&json!("ok"), &json!("batch")), "{run:#}");
    let console = process.get("/_local/console").await.unwrap();
    assert_eq!(console.as_array().map(Vec::len), Some(1));
    // The API's token is no run's: the endpoint is there, behind the same front, and lets nobody in.
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let refused = process.post("/mcp", &list).await.unwrap();
    assert_eq!((&refused["jsonrpc"], &refused["error"]["code"]), (&json!("2.0"), &json!(-32001)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_job_runs_through_the_real_binaries_over_our_runtime_api() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("state"), &["--functions", "binaries"]).await;
    submits(&process).await;
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
    submits(&process).await;
}
