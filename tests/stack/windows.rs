//! `cron.batch.windowSeconds`: hops that become ready within a window go in one batch, and what happens to one member does
//! not touch the others.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// A stack whose ready hops wait for others, by default for a minute.
async fn windowed(script: Value) -> Local {
    let local = Local::start().await;
    local.configure(&json!({ "cron": { "batch": { "windowSeconds": 60 } } })).await;
    local.script(script);
    local.advance(1).await;
    local
}

/// A job at 06:05 sharp.
fn at_five(message: &str) -> Value {
    let mut job = batch_job(message);
    job["name"] = json!(message);
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *", "tz": "UTC", "staggerMs": 0 });
    job
}

/// Adds `count` jobs and answers their ids.
async fn many(local: &Local, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    for n in 0..count {
        ids.push(local.add(&at_five(&format!("Job {n:03}."))).await);
    }
    ids
}

/// How many rows the batches that were made have in all.
fn rows(local: &Local) -> u64 {
    let counts = |batch: &Value| -> u64 {
        batch["request_counts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    local.fake().batches().iter().map(counts).sum()
}

/// How many jobs' last runs have which status, path and fallback reason.
async fn outcomes(local: &Local, ids: &[String]) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for id in ids {
        let run = local.last_run(id).await;
        let word = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
        *seen.entry(format!("{} {} {}", word("state"), word("path"), word("fallbackReason"))).or_default() += 1;
    }
    seen
}

/// How often a batch was looked at.
fn looks(local: &Local) -> usize {
    let calls = local.stack.gate.calls(0);
    calls.iter().filter(|call| call.operation.starts_with("GET /v1/messages/batches/")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_jobs_of_the_same_minute_share_a_batch_and_its_polls() {
    let local = windowed(json!({ "batchDurationMs": 300_000 })).await;
    let ids = many(&local, 60).await;
    local.advance(4).await;
    let waiting = local.last_run(&ids[0]).await;
    assert_eq!((&waiting["state"], &waiting["waitsFor"]), (&json!("ready"), &json!("window")), "{waiting:#}");
    assert_eq!(
        waiting["windowEndsAtMs"],
        "2026-11-20T06:06:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis()
    );
    assert!(local.fake().batches().is_empty(), "nothing is sent before the window ends");

    local.advance(1).await;
    assert_eq!((local.fake().batches().len(), rows(&local)), (1, 60));
    let member = local.last_run(&ids[59]).await;
    assert_eq!(member["state"], "submitted");
    assert_eq!(member["batch"]["batchId"], local.fake().batches()[0]["id"]);
    assert_eq!(member["waitsFor"], Value::Null);

    local.advance(30).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 60)]));
    assert_eq!((local.delivered().len(), local.fake().batches().len()), (60, 1));
    let run = local.last_run(&ids[0]).await;
    let words: Vec<&str> =
        run["events"].as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["queued", "ready", "collected", "submitting", "submitted", "answered", "done"]);
    // Polls at two, three and four and a half minutes, and when it has ended: one chain, not sixty.
    assert!((1..=5).contains(&looks(&local)), "{} looks", looks(&local));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_hops_wait_for_each_other_too() {
    let local = windowed(json!({ "batchDurationMs": 60_000, "replies": [
        { "hop": 0, "content": [{ "type": "tool_use", "name": "memory", "input": { "command": "view", "path": "/memories" } }] },
        { "hop": 1, "text": "Nothing to remember." },
    ] }))
    .await;
    let ids = many(&local, 12).await;
    local.advance(60).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 12)]));
    assert_eq!((local.fake().batches().len(), rows(&local)), (2, 24), "one for each hop");
    assert_eq!(local.delivered().len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_fails_and_a_run_that_is_stopped_touch_nobody_else() {
    let error = json!({ "type": "invalid_request_error", "message": "prompt is too long" });
    let local = windowed(json!({ "batchDurationMs": 120_000, "replies": [
        { "match": "Spoilt", "row": "errored", "error": error },
        { "match": "*", "text": "Fine." },
    ] }))
    .await;
    let ids = many(&local, 8).await;
    let spoilt = local.add(&at_five("Spoilt.")).await;
    let stopped = local.add(&at_five("Stopped.")).await;
    local.advance(4).await;
    let run = local.last_run(&stopped).await;
    assert_eq!(run["waitsFor"], "window");
    local.ok("cron.cancel", &json!({ "runId": run["runId"] })).await;
    local.advance(30).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 8)]));
    assert_eq!(local.last_run(&stopped).await["state"], "canceled");
    let failed = local.last_run(&spoilt).await;
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert_eq!((local.fake().batches().len(), rows(&local)), (1, 9), "who was stopped in the window is not paid");
    assert_eq!(local.delivered(), vec!["Fine."; 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_little_time_goes_apart_and_ends_in_realtime_alone() {
    let local = windowed(json!({ "batchDurationMs": 7_200_000 })).await;
    let ids = many(&local, 5).await;
    let mut hasty = at_five("Hasty.");
    hasty["payload"]["batch"] = json!({ "enabled": true, "maxWaitMs": 600_000, "onTimeout": "realtime" });
    let hasty = local.add(&hasty).await;
    local.advance(30).await;
    let run = local.last_run(&hasty).await;
    assert_eq!((&run["state"], &run["fallbackReason"]), (&json!("succeeded"), &json!("batch_timeout")), "{run:#}");
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("submitted batch -".to_owned(), 5)]));
    local.advance(150).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 5)]));
    assert_eq!((local.fake().batches().len(), local.delivered().len()), (2, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_gives_up_leaves_the_batch_to_the_others_until_all_do() {
    let local = windowed(json!({ "batchDurationMs": 36_000_000 })).await;
    let mut ids = Vec::new();
    for minutes in [40, 60] {
        let mut job = at_five(&format!("{minutes} minutes."));
        job["payload"]["batch"]["maxWaitMs"] = json!(minutes * 60_000);
        ids.push(local.add(&job).await);
    }
    local.advance(50).await;
    assert_eq!(local.fake().batches().len(), 1, "their deadlines are near one another");
    assert_eq!(local.last_run(&ids[0]).await["state"], "canceling");
    assert_eq!(local.last_run(&ids[1]).await["state"], "submitted");
    assert_eq!(local.fake().batches()[0]["processing_status"], "in_progress", "one still waits for it");
    local.advance(40).await;
    for id in &ids {
        assert_eq!(local.last_run(id).await["error"]["code"], "batch_timeout");
    }
    assert_eq!(local.fake().batches()[0]["request_counts"]["canceled"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_came_while_one_member_had_given_up_serves_both() {
    let local = windowed(json!({ "batchDurationMs": 3_000_000 })).await;
    let mut ids = Vec::new();
    for minutes in [40, 60] {
        let mut job = at_five(&format!("{minutes} minutes."));
        job["payload"]["batch"]["maxWaitMs"] = json!(minutes * 60_000);
        ids.push(local.add(&job).await);
    }
    local.advance(90).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 2)]));
    assert_eq!((local.fake().batches().len(), local.delivered().len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_create_is_split_until_the_one_that_spoils_it_is_found() {
    // Of 60 rows the whole, its first half, the first half of that, and so on down to one.
    let refused: Vec<Value> = [1, 2, 4, 6, 8, 10]
        .map(|nth| json!({ "on": "create", "nth": nth, "do": "status", "status": 400, "message": "requests: Input is invalid" }))
        .to_vec();
    let local = windowed(json!({ "batchDurationMs": 60_000, "faults": refused })).await;
    let ids = many(&local, 60).await;
    local.advance(40).await;
    let wanted = [("succeeded batch -", 59), ("succeeded realtime batch_refused", 1)];
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from(wanted.map(|(word, count)| (word.to_owned(), count))));
    let mut sizes: Vec<u64> =
        local.fake().batches().iter().map(|one| one["request_counts"]["succeeded"].as_u64().unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 4, 8, 15, 30]);
    assert_eq!(local.delivered().len(), 60);
    let counters = local.ok("cron.status", &json!({})).await["counters"].clone();
    assert_eq!(counters, json!({ "fallback.batch_refused": 1 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_is_refused_for_a_while_is_tried_again_by_all_together() {
    let local = windowed(json!({ "batchDurationMs": 60_000, "faults": [
        { "on": "create", "do": "status", "status": 529 },
    ] }))
    .await;
    let ids = many(&local, 10).await;
    local.advance(40).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 10)]));
    assert_eq!((local.fake().batches().len(), rows(&local), local.delivered().len()), (1, 10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_the_create_of_many_makes_no_second_batch() {
    for fault in ["lose_answer", "cut_answer", "lose_request"] {
        let local = windowed(json!({ "batchDurationMs": 60_000, "faults": [{ "on": "create", "do": fault }] })).await;
        let ids = many(&local, 10).await;
        local.advance(90).await;
        assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 10)]), "{fault}");
        assert_eq!((rows(&local), local.delivered().len()), (10, 10), "{fault}");
    }
}

/// Runs two jobs of one window whose calls from the `n`-th on are broken; answers how many calls there were.
async fn broken(fault: Fault) -> u64 {
    let local = windowed(json!({ "batchDurationMs": 60_000 })).await;
    let ids = many(&local, 2).await;
    let context = format!("{fault:?}");
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(9).await;
    let calls = local.stack.gate.calls(before).len() as u64;
    local.advance_past(&ids.iter().map(|id| format!("{id}_20261120T060500Z")).collect::<Vec<_>>(), 2 * 60).await;
    assert_eq!(outcomes(&local, &ids).await, BTreeMap::from([("succeeded batch -".to_owned(), 2)]), "{context}");
    // One that was held up for a minute may have missed its window, and has a batch of its own.
    assert!(local.fake().batches().len() <= 2, "{context}: {:#?}", local.fake().batches());
    assert_eq!(rows(&local), 2, "{context}: {:#?}", local.fake().batches());
    let mut delivered = local.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered.len(), 2, "{context}: {delivered:?}");
    calls
}

async fn every_call(when: When, times: u64) {
    let fault = |nth| Fault { service: None, operation: None, nth, times: Some(times), when, action: Action::Fail };
    let calls = broken(fault(u64::MAX)).await;
    assert!(calls > 40, "only {calls} calls were seen");
    stream::iter(1..=calls).map(|n| broken(fault(n))).buffer_unordered(6).for_each(|_| async {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_windowed_run_fails_once_before_it_takes_effect() {
    every_call(When::Before, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_windowed_run_loses_its_answer_once() {
    every_call(When::After, 1).await;
}

/// More than the SDK's own attempts, so that the function itself sees the failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_windowed_run_and_its_retries_lose_their_answers() {
    every_call(When::After, 5).await;
}
