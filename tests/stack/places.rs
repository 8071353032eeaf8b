//! `cron.maxConcurrentRuns` bounds realtime turns in flight: the others queue, and none is forgotten.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use chrono::TimeDelta;
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// Seven o'clock, in realtime.
fn at_seven(name: &str) -> Value {
    let mut job = batch_job("All at once.");
    job["name"] = json!(name);
    job["schedule"] = json!({ "kind": "cron", "expr": "0 7 * * *", "tz": "UTC", "staggerMs": 0 });
    job["payload"]["batch"] = json!({ "enabled": false });
    job
}

/// A stack where a turn takes two minutes and `most` are in flight at once.
async fn slow(most: u32) -> Local {
    let local = Local::start().await;
    let slow = json!({ "on": "messages", "times": 1000, "do": "delay", "delayMs": 120_000 });
    local.script(json!({ "batchDurationMs": 60_000, "faults": [slow] }));
    let config = json!({ "cron": { "maxConcurrentRuns": most } });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    local
}

/// How many runs of all jobs stand in `state`.
async fn count(local: &Local, state: &str) -> usize {
    let runs = local.ok("cron.runs", &json!({ "limit": 200 })).await;
    runs["runs"].as_array().unwrap().iter().filter(|run| run["state"] == state).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_realtime_turns_are_in_flight_than_there_are_places() {
    let local = slow(3).await;
    for n in 0..10 {
        local.add(&at_seven(&format!("Job {n}"))).await;
    }
    local.advance(60).await;
    let mut done = 0;
    // Ten turns of two minutes on three places take eight.
    for minute in 1..=8 {
        local.advance(1).await;
        let running = count(&local, "running").await;
        assert!(running <= 3, "minute {minute}: {running} in flight");
        assert_eq!(local.ok("cron.status", &json!({})).await["runningTurns"], running);
        let ended = count(&local, "succeeded").await;
        assert!(ended >= done, "minute {minute}");
        assert!(running == 3 || count(&local, "waiting").await == 0, "minute {minute}: a place stays empty");
        done = ended;
    }
    local.advance(1).await;
    assert_eq!((count(&local, "succeeded").await, local.delivered().len()), (10, 10));
    assert_eq!(local.ok("cron.status", &json!({})).await["runningTurns"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_a_turn_waits_for_its_place_is_not_taken_from_it() {
    let local = slow(1).await;
    for n in 0..4 {
        let mut job = at_seven(&format!("Job {n}"));
        // Less than the three turns before the last one take.
        job["payload"]["timeoutSeconds"] = json!(180);
        local.add(&job).await;
    }
    local.advance(75).await;
    assert_eq!((count(&local, "succeeded").await, local.delivered().len()), (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_wait_for_no_place_and_take_none() {
    let local = slow(1).await;
    local.add(&at_seven("Realtime")).await;
    let mut batched = at_seven("Batched");
    batched["payload"]["batch"] = json!({ "enabled": true });
    for _ in 0..3 {
        local.add(&batched).await;
    }
    local.advance(60).await;
    local.stack.advance(TimeDelta::seconds(10)).await.unwrap();
    assert_eq!((count(&local, "running").await, count(&local, "submitted").await), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_its_place_can_be_canceled_and_keeps_its_jobs_place() {
    let local = slow(1).await;
    local.add(&at_seven("First")).await;
    let id = local.add(&at_seven("Second")).await;
    local.advance(61).await;
    let waiting = local.last_run(&id).await;
    let (one, other) = (count(&local, "running").await, count(&local, "waiting").await);
    assert_eq!((one, other), (1, 1));
    // Whichever of the two waits is stopped; the place goes on to nobody and comes free.
    let runs = local.ok("cron.runs", &json!({})).await;
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["state"] == "waiting").unwrap().clone();
    let canceled = local.ok("cron.cancel", &json!({ "runId": run["runId"] })).await;
    assert_eq!(canceled["state"], "canceled", "{waiting:#}");
    local.advance(5).await;
    assert_eq!(local.delivered().len(), 1);
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(5).await;
    assert_eq!(local.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_wake_is_made_up_for() {
    let local = slow(1).await;
    for n in 0..3 {
        local.add(&at_seven(&format!("Job {n}"))).await;
    }
    local.advance(61).await;
    // Waking the next one fails for a while, with the repeats of the SDK.
    local.lose_wakes();
    local.advance(60).await;
    assert_eq!((count(&local, "succeeded").await, local.delivered().len()), (3, 3));
}
