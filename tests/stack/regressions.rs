//! Ways in which a run was once lost, paid twice or misdirected, found by reading the code before anybody met them.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_fires_while_cron_is_off_goes_on_when_it_is_on_again() {
    let local = Local::start().await;
    let mut job = batch_job("Every ninety seconds.");
    // No recurring EventBridge schedule can say this: the job is a chain of one-shots.
    job["schedule"] = json!({ "kind": "every", "everyMs": 90_000 });
    job["payload"]["batch"] = json!({ "enabled": false });
    let id = local.add(&job).await;
    local.ok("config.apply", &json!({ "config": { "cron": { "enabled": false } }, "expectedRevision": 0 })).await;
    local.advance(10).await;
    assert!(local.delivered().is_empty());
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    let skipped = runs["runs"].as_array().unwrap();
    assert!(skipped.len() >= 6, "every occurrence leaves a record: {runs:#}");
    assert!(skipped.iter().all(|run| run["state"] == "skipped"), "{runs:#}");
    local.ok("config.apply", &json!({ "config": {}, "expectedRevision": 1 })).await;
    local.advance(10).await;
    assert!(local.delivered().len() >= 6, "the chain was never broken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_before_an_edit_does_not_use_up_the_one_shot_set_since() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 600_000 }));
    let mut job = batch_job("Soon.");
    job["schedule"] = json!({ "kind": "at", "at": "2026-11-20T06:05:00Z" });
    let id = local.add(&job).await;
    local.advance(7).await;
    let patch = json!({ "schedule": { "kind": "at", "at": "2026-11-20T09:00:00Z" } });
    local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    local.advance(60).await;
    assert_eq!(local.delivered().len(), 1, "the first run ended");
    let kept = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(kept["enabled"], true, "the job waits for its new time: {kept:#}");
    local.advance(150).await;
    assert_eq!(local.delivered().len(), 2);
    assert_eq!(local.call("cron.get", &json!({ "jobId": id })).await.status, 404, "now it has had its run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_while_the_create_is_unanswered_is_not_forgotten() {
    let local = Local::start().await;
    local.script(json!({ "faults": [{ "on": "create", "times": 1, "do": "lose_request" }] }));
    let id = local.add(&batch_job("Never mind.")).await;
    let run = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await["runId"].clone();
    local.advance(1).await;
    assert_eq!(local.last_run(&id).await["state"], "submitting");
    local.ok("cron.cancel", &json!({ "runId": run })).await;
    local.advance(60).await;
    assert_eq!(local.last_run(&id).await["state"], "canceled");
    assert!(local.fake().batches().is_empty(), "nothing was paid for");
}

/// Creates a batch of one row that is not Nightshift's, in the same workspace.
async fn foreign_batch(local: &Local) -> String {
    let message = json!({ "role": "user", "content": "Somebody else's." });
    let params = json!({ "model": "claude-haiku-5-5", "max_tokens": 100, "messages": [message] });
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/messages/batches", local.stack.ready.anthropic_url))
        .bearer_auth("sk-ant-api03-fake-key-of-the-local-stack")
        .header("anthropic-version", "2026-10-21")
        .json(&json!({ "requests": [{ "custom_id": "not-ours", "params": params }] }))
        .send()
        .await
        .unwrap();
    let batch: Value = answer.json().await.unwrap();
    batch["id"].as_str().unwrap_or_else(|| panic!("{batch:#}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_batch_that_was_taken_for_ours_is_never_canceled() {
    let local = Local::start().await;
    local.script(
        json!({ "batchDurationMs": 7_200_000, "faults": [{ "on": "create", "times": 1, "do": "lose_request" }] }),
    );
    let mut job = batch_job("Mine.");
    job["payload"]["batch"]["maxWaitMs"] = json!(1_800_000);
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.stack.settle().await;
    foreign_batch(&local).await;
    local.advance(60).await;
    let batches = local.fake().batches();
    assert_eq!(batches.len(), 1, "the create is not repeated while a batch may be its own");
    assert_eq!(batches[0]["cancel_initiated_at"], Value::Null, "it is not ours to cancel");
    local.advance(3 * 60).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["error"]["code"], "batch_timeout", "{run:#}");
    assert_eq!(local.fake().batches()[0]["request_counts"]["succeeded"], 1);
    assert!(local.delivered().is_empty(), "and its answer is not ours either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hop_whose_answer_may_have_been_paid_is_started_twice_at_most() {
    let local = Local::start().await;
    local.script(json!({ "faults": [{ "on": "messages", "times": 100, "do": "lose_answer" }] }));
    let mut job = batch_job("Expensive.");
    job["payload"]["batch"] = json!({ "enabled": false });
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(24 * 60 / 5).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["error"]["code"], "model_no_answer", "{run:#}");
    let calls = local.fake().requests().iter().filter(|request| request["path"] == "/v1/messages").count();
    assert_eq!(calls, 2);
}
