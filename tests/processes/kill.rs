//! `kill -9` between any two steps of a batch run: the run completes, one batch was created, one message delivered.
//!
//! A step is a call on the wire: every read, write, timer, model call and delivery of the run goes through the gate, which
//! holds the call before it takes effect, or after it did and before its answer arrives. Then the process is killed and
//! started again on the same folder.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, future, stream};
use nightshift_tests::local::{SWEEP_MINUTES, batch_job, is_over};
use nightshift_tests::process::{Process, pause};
use serde_json::{Value, json};

const CLOCK: &str = "manual:2026-11-20T06:00:00Z";
/// Sweeps enough for the slowest repair: a dead lease, the sweep after it, a search of ten minutes, and the next sweep.
const AFTERWARDS: i64 = 2 * 60 / SWEEP_MINUTES;
/// How many processes there are at once: they mostly wait to be up, and for the SDK's pauses between its attempts.
const AT_ONCE: usize = 4;

/// Runs a batch job whose `n`-th call is cut off; answers whether there was an n-th call.
async fn cut_off(dir: &Path, n: u64, when: &str) -> bool {
    let process = Process::start(dir, &["--clock", CLOCK]).await;
    process.post("/_local/anthropic/script", &json!({ "batchDurationMs": 60_000 })).await.unwrap();
    let mut job = batch_job("Do not lose me.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    let job = process.post("/v1/cron.add", &job).await.unwrap();
    let run = format!("{}_20261120T060500Z", job["jobId"].as_str().unwrap());
    // The sweep that fires as soon as its schedule exists is over before the count begins.
    process.post("/_local/clock/advance", &json!({ "ms": 60_000 })).await.unwrap();
    process.post("/_local/faults", &json!({ "faults": [{ "nth": n, "when": when, "do": "hold" }] })).await.unwrap();
    let day = json!({ "ms": 600_000 });
    let held = tokio::select! {
        _ = process.post("/_local/clock/advance", &day) => false,
        () = held(&process) => true,
    };
    process.kill();

    let again = Process::start(dir, &["--clock", CLOCK]).await;
    let run = over(&again, &run).await;
    let batches = again.get("/_local/anthropic/batches").await.unwrap();
    let console = again.get("/_local/console").await.unwrap();
    let context = format!("killed {when} call {n}:\n{run:#}\n{batches:#}\n{console:#}");
    assert_eq!(run["status"], "ok", "{context}");
    assert_eq!(run["deliveryStatus"], "delivered", "{context}");
    assert_eq!(batches.as_array().map(Vec::len), Some(1), "{context}");
    assert_eq!(console.as_array().map(Vec::len), Some(1), "{context}");
    again.kill();
    held
}

/// Moves the clock on until the run is over, and past two sweeps more, for whatever would come a second time; answers the run.
async fn over(process: &Process, run: &str) -> Value {
    let sweeps = |count: i64| json!({ "ms": count * SWEEP_MINUTES * 60_000 });
    for _ in 0..AFTERWARDS {
        process.post("/_local/clock/advance", &sweeps(1)).await.unwrap();
        if process.post("/v1/cron.runGet", &json!({ "runId": run })).await.is_some_and(|run| is_over(&run)) {
            break;
        }
    }
    process.post("/_local/clock/advance", &sweeps(2)).await.unwrap();
    process.post("/v1/cron.runGet", &json!({ "runId": run })).await.unwrap()
}

async fn held(process: &Process) {
    loop {
        let status = process.get("/_local/faults").await;
        if status.is_some_and(|status| status["held"] != Value::Null) {
            return;
        }
        pause(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_any_two_steps_of_a_batch_run_one_batch_is_made_and_one_message_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let both = |n| {
        let folder = folder.path();
        async move {
            let before = cut_off(&folder.join(format!("{n}-before")), n, "before").await;
            cut_off(&folder.join(format!("{n}-after")), n, "after").await || before
        }
    };
    let there = stream::iter(1..).map(both).buffered(AT_ONCE).take_while(|there| future::ready(*there));
    let steps = there.count().await;
    assert!(steps >= 15, "only {steps} steps were found: the test does not see the run");
    println!("killed before and after each of {steps} steps");
}
