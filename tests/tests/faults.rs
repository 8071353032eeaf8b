//! Every call of a batch run fails once: before it takes effect, after it did, and for as long as the SDK tries. Whatever
//! broke, one batch is made, one message arrives, and no place of the job stays taken.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use futures::{StreamExt, stream};
use nightshift_local::endpoints::lambda_client;
use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// More than the SDK's own attempts, so that the function itself sees the failure.
const FOR_LONG: u64 = 5;

fn fault(n: u64, when: When, action: Action, times: u64) -> Fault {
    Fault { service: None, operation: None, nth: n, times: Some(times), when, action }
}

/// Runs a batch job whose calls from the `n`-th on are broken; answers how many calls there were.
async fn broken(fault: Fault) -> u64 {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000 }));
    local.advance(1).await;
    let mut job = batch_job("Whatever happens.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    let id = local.add(&job).await;
    let context = format!("{fault:?}");
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(9).await;
    let calls = local.stack.gate.calls(before).len() as u64;
    local.advance(2 * 60).await;
    let run = local.ok("cron.runGet", &json!({ "runId": format!("{id}_20261120T060500Z") })).await;
    assert_eq!(run["status"], "ok", "{context}: {run:#}");
    assert_eq!(local.fake().batches().len(), 1, "{context}: {run:#}");
    assert_eq!(local.delivered().len(), 1, "{context}: {run:#}");
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["runningAtMs"], Value::Null, "{context}");
    assert_eq!(job["state"]["consecutiveErrors"], 0, "{context}");
    calls
}

/// How many stacks run at once: they mostly wait for the SDK's own pauses between its attempts.
const AT_ONCE: usize = 6;

/// Breaks each call in turn, one per stack.
async fn every_call(when: When, action: Action, times: u64) {
    let calls = broken(fault(u64::MAX, when, action, times)).await;
    assert!(calls > 20, "only {calls} calls were seen");
    stream::iter(1..=calls)
        .map(|n| broken(fault(n, when, action, times)))
        .buffer_unordered(AT_ONCE)
        .for_each(|_| async {})
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_fails_once_before_it_takes_effect() {
    every_call(When::Before, Action::Fail, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_loses_its_answer_once() {
    every_call(When::After, Action::Fail, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_and_its_retries_fail_before_they_take_effect() {
    every_call(When::Before, Action::Fail, FOR_LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_throttled_once() {
    every_call(When::Before, Action::Throttle, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transaction_meets_another_one_once() {
    let mut fault = fault(1, When::Before, Action::Conflict, 1);
    fault.service = Some("dynamodb".to_owned());
    fault.operation = Some("TransactWriteItems".to_owned());
    for n in 1..=6 {
        broken(Fault { nth: n, ..fault.clone() }).await;
    }
}

/// Hands an envelope to a function and waits for it.
async fn invoke(local: &Local, function: &str, envelope: &Value) {
    let lambda = lambda_client(&local.stack.ready.lambda_url);
    let name = format!("arn:aws:lambda:us-east-1:000000000000:function:nightshift-{function}");
    let answer =
        lambda.invoke().function_name(name).payload(envelope.to_string().into_bytes().into()).send().await.unwrap();
    assert_eq!(answer.function_error(), None, "{:?}", answer.payload());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_and_calls_that_come_twice_change_nothing() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000 }));
    let mut job = batch_job("Once.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    let id = local.add(&job).await;
    local.advance(4).await;
    let fire = json!({ "v": 1, "k": "job", "j": id, "g": 1, "s": "2026-11-20T06:05:00Z" });
    // Both sleep until the minute has come, and then the timer's own fire comes as well.
    tokio::join!(invoke(&local, "trigger", &fire), invoke(&local, "trigger", &fire), local.advance(1));
    let run = local.last_run(&id).await;
    let poll = json!({ "v": 1, "k": "poll", "b": run["batch"]["attemptId"], "n": 1 });
    local.advance(1).await;
    tokio::join!(invoke(&local, "poll", &poll), invoke(&local, "poll", &poll));
    local.advance(20).await;
    invoke(&local, "poll", &poll).await;
    invoke(&local, "trigger", &fire).await;
    let key = run["runId"].clone();
    let deliver = json!({ "v": 1, "k": "deliver", "r": key });
    tokio::join!(invoke(&local, "deliver", &deliver), invoke(&local, "deliver", &deliver));
    assert_eq!(local.fake().batches().len(), 1);
    let deliveries = local.stack.console.deliveries().unwrap();
    assert_eq!(deliveries.iter().map(|one| one.arrivals).collect::<Vec<_>>(), [1]);
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    assert_eq!(local.last_run(&id).await["status"], "ok");
}
