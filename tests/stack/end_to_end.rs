//! Jobs through the whole stack: HTTP, DynamoDB, Scheduler, Lambda, model and channel, on a manual clock.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use nightshift_tests::chats::Chats;
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

fn words(run: &Value) -> Vec<&str> {
    run["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cron_job_is_batched_polled_and_delivered_without_anybody_watching() {
    let local = Local::start().await;
    local.script(json!({ "replies": [{ "match": "*", "text": "Three things happened overnight." }], "batchDurationMs": 500_000 }));
    let mut job = batch_job("What happened overnight?");
    job["schedule"] = json!({ "kind": "cron", "expr": "30 7 * * *", "tz": "Europe/Vienna" });
    let id = local.add(&job).await;
    local.advance(29).await;
    assert!(local.fake().batches().is_empty(), "nothing runs before 07:30 in Vienna");
    local.advance(31).await;

    let run = local.last_run(&id).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!(run["deliveryStatus"], "delivered");
    assert_eq!(run["path"], "batch");
    assert_eq!(run["runId"], format!("{id}_20261120T063000Z"));
    assert_eq!(run["savedUsd"], run["costUsd"], "one hop through a batch costs half");
    assert!(run["costUsd"].as_f64().unwrap() > 0.0);
    assert_eq!(words(&run), ["queued", "ready", "submitting", "submitted", "answered", "done"]);
    assert_eq!(run["text"], "Three things happened overnight.");
    assert_eq!(local.delivered(), ["Three things happened overnight."]);
    assert_eq!(local.fake().batches().len(), 1);

    local.advance(24 * 60).await;
    assert_eq!(local.fake().batches().len(), 2, "the next day has its own");
    assert_eq!(local.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_run_answers_its_id_at_once_and_shows_its_progress() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 240_000 }));
    let id = local.add(&batch_job("Summarize this. It has two sentences.")).await;
    let asked = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    let run_id = asked["runId"].as_str().unwrap();
    local.advance(1).await;
    let run = local.ok("cron.runGet", &json!({ "runId": run_id })).await;
    assert_eq!(run["state"], "submitted", "{run:#}");
    assert!(run["batch"]["batchId"].as_str().unwrap().starts_with("msgbatch_"), "{run:#}");
    assert!(run["batch"]["nextPollAtMs"].as_i64().unwrap() > 0);
    local.advance(10).await;
    let run = local.ok("cron.runGet", &json!({ "runId": run_id })).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["lastStatus"], "ok");
    assert_eq!(job["state"]["runningAtMs"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_waits_too_long_is_canceled_and_the_run_fails() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 36_000_000 }));
    let mut job = batch_job("Slow one.");
    job["payload"]["batch"]["maxWaitMs"] = json!(1_800_000);
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["state"], "failed", "{run:#}");
    assert_eq!(run["error"]["code"], "batch_timeout");
    assert!(words(&run).contains(&"canceling"));
    let batch = &local.fake().batches()[0];
    assert_eq!(batch["processing_status"], "ended");
    assert_eq!(batch["request_counts"]["canceled"], 1);
    assert!(local.delivered().is_empty());
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["consecutiveErrors"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_made_it_before_the_cancel_is_used() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 36_000_000, "cancelKeeps": "all", "cancelDurationMs": 120_000,
        "replies": [{ "match": "*", "text": "Just in time." }] }));
    let mut job = batch_job("Slow one.");
    job["payload"]["batch"]["maxWaitMs"] = json!(1_800_000);
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    assert_eq!(local.last_run(&id).await["status"], "ok");
    assert_eq!(local.delivered(), ["Just in time."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_may_ask_for_realtime_when_its_batch_is_late() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 36_000_000 }));
    let mut job = batch_job("Slow one.");
    job["payload"]["batch"] = json!({ "enabled": true, "maxWaitMs": 600_000, "onTimeout": "realtime" });
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(30).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!(run["fallbackReason"], "batch_timeout");
    assert_eq!(run["path"], "realtime", "the only hop that answered was not batched");
    assert_eq!(local.delivered().len(), 1);
}

/// Runs a batching job under `config` and `script`, and answers its run.
async fn fallen_back(local: &Local, config: Value, model: Option<&str>) -> Value {
    let current = local.ok("config.get", &json!({})).await;
    let revision = current["revision"].clone();
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": revision })).await;
    let mut job = batch_job("Anything.");
    if let Some(model) = model {
        job["payload"]["model"] = json!(model);
    }
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(2).await;
    local.last_run(&id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_token_runs_in_realtime_and_says_why() {
    let local = Local::start().await;
    let key = local.dir.path().join("key");
    std::fs::write(&key, "sk-ant-oat01-not-a-real-token").unwrap();
    let reference = format!("file:{}", key.display());
    let run = fallen_back(&local, json!({ "providers": { "anthropic": { "apiKey": reference } } }), None).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!((&run["path"], &run["fallbackReason"]), (&json!("realtime"), &json!("credential_subscription")));
    assert!(words(&run).contains(&"fallback"));
    assert!(local.fake().batches().is_empty());
    let status = local.ok("cron.status", &json!({})).await;
    assert!(status.to_string().contains("credential_subscription"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_without_batches_runs_in_realtime_and_says_why() {
    let local = Local::start().await;
    local.script(json!({ "models": [{ "id": "claude-nobatch-test", "batch": false }] }));
    let run = fallen_back(&local, json!({}), Some("anthropic/claude-nobatch-test")).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!((&run["path"], &run["fallbackReason"]), (&json!("realtime"), &json!("model_without_batches")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_provider_runs_in_realtime_and_says_why() {
    let local = Local::start().await;
    let url = nightshift_tests::openai::serve("Hello from elsewhere.").await;
    let config = json!({ "providers": { "vllm": { "kind": "openai", "baseUrl": format!("{url}/v1") } } });
    let run = fallen_back(&local, config, Some("vllm/qwen")).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!((&run["path"], &run["fallbackReason"]), (&json!("realtime"), &json!("provider_without_batches")));
    assert_eq!(local.delivered(), ["Hello from elsewhere."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_are_forbidden_run_in_realtime_and_say_why() {
    let local = Local::start().await;
    let run = fallen_back(&local, json!({ "cron": { "batch": { "allow": false } } }), None).await;
    assert_eq!(run["fallbackReason"], "batches_forbidden", "{run:#}");
    assert_eq!(run["status"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_answer_does_not_create_a_second_batch() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "faults": [{ "on": "create", "times": 1, "do": "lose_answer" }] }));
    let id = local.add(&batch_job("Once only.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(30).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!(local.fake().batches().len(), 1);
    assert_eq!(local.delivered().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_request_is_sent_again_once_that_is_certain() {
    let local = Local::start().await;
    local
        .script(json!({ "batchDurationMs": 60_000, "faults": [{ "on": "create", "times": 1, "do": "lose_request" }] }));
    let id = local.add(&batch_job("Once only.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(9).await;
    assert!(local.fake().batches().is_empty(), "it may still appear");
    local.advance(30).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!(local.fake().batches().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_failures_of_the_provider_only_cost_time() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "faults": [
        { "on": "create", "times": 1, "do": "status", "status": 529, "errorType": "overloaded_error" },
        { "on": "retrieve", "times": 3, "do": "status", "status": 404, "errorType": "not_found_error" },
        { "on": "results", "times": 1, "do": "status", "status": 404, "errorType": "not_found_error" },
    ] }));
    let id = local.add(&batch_job("Patience.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    assert_eq!(local.fake().batches().len(), 1);
    assert_eq!(local.delivered().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_request_fails_the_run_and_is_not_tried_again() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "replies": [
        { "match": "*", "row": "errored", "error": { "type": "invalid_request_error", "message": "no" } }] }));
    let id = local.add(&batch_job("Wrong.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["error"]["code"], "model_invalid_request", "{run:#}");
    assert_eq!(local.fake().batches().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_row_is_put_in_a_batch_once_more() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "replies": [
        { "match": "*", "times": 1, "row": "expired" }, { "match": "*", "text": "Second time lucky." }] }));
    let id = local.add(&batch_job("Try me.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    assert_eq!(local.last_run(&id).await["status"], "ok");
    assert_eq!(local.fake().batches().len(), 2);
    assert_eq!(local.delivered(), ["Second time lucky."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_run_stops_its_batch_and_delivers_nothing() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 3_600_000 }));
    let id = local.add(&batch_job("Stop me.")).await;
    let run_id = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await["runId"].clone();
    local.advance(5).await;
    local.ok("cron.cancel", &json!({ "runId": run_id })).await;
    local.advance(10).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["state"], "canceled", "{run:#}");
    assert_eq!(local.fake().batches()[0]["request_counts"]["canceled"], 1);
    assert!(local.delivered().is_empty());
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["consecutiveErrors"], 0, "a cancel is no failure of the job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_shot_job_runs_once_and_goes() {
    let local = Local::start().await;
    let mut job = batch_job("Once.");
    job["schedule"] = json!({ "kind": "at", "at": "2026-11-20T06:20:00Z" });
    let id = local.add(&job).await;
    local.advance(60).await;
    assert_eq!(local.delivered().len(), 1);
    assert_eq!(local.call("cron.get", &json!({ "jobId": id })).await.status, 404);
    let history = local.ok("cron.runs", &json!({ "jobId": id })).await;
    assert_eq!(history["runs"].as_array().unwrap().len(), 1, "history outlives the job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overlapping_occurrence_is_recorded_as_skipped() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 10_800_000 }));
    let mut job = batch_job("Long.");
    job["schedule"] = json!({ "kind": "cron", "expr": "0 * * * *", "staggerMs": 0 });
    let id = local.add(&job).await;
    local.advance(150).await;
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    let states: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["skipped", "submitted"], "{runs:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_occurrence_runs_when_the_one_before_it_is_done() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 4_500_000 }));
    let mut job = batch_job("Long.");
    job["schedule"] = json!({ "kind": "cron", "expr": "0 * * * *", "staggerMs": 0 });
    job["overlap"] = json!("queue");
    local.add(&job).await;
    // The first runs from 07:00 to 08:15, and is seen to have ended by 08:32 whatever the jitter of its polls.
    local.advance(60 + 95).await;
    assert_eq!(local.fake().batches().len(), 2, "the second began when the first had ended");
    assert_eq!(local.delivered().len(), 1);
    local.advance(100).await;
    assert_eq!(local.delivered().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_survives_a_restart_and_what_fell_due_fires_once() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000 }));
    let id = local.add(&batch_job("Still here.")).await;
    let dir = local.dir.path().join("state");
    let mut before = local.ok("cron.get", &json!({ "jobId": id })).await;
    let folder = local.dir.clone();
    drop(local);
    let options =
        nightshift_local::Options::new(dir).manual(nightshift_tests::local::start() + chrono::TimeDelta::hours(7));
    let again = Local::with(options, folder).await;
    again.advance(10).await;
    let after = again.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(again.delivered().len(), 1, "six hours had passed: one occurrence");
    before["state"] = after["state"].clone();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_job_says_when_its_batch_will_not_be_one() {
    let local = Local::start().await;
    let added = local.ok("cron.add", &batch_job("Fine.")).await;
    assert_eq!(added["notes"], Value::Null);
    local
        .ok("config.apply", &json!({ "config": { "cron": { "batch": { "allow": false } } }, "expectedRevision": 0 }))
        .await;
    let added = local.ok("cron.add", &batch_job("Not so.")).await;
    assert!(added["notes"][0].as_str().unwrap().contains("configuration forbids batches"), "{added:#}");
    let mut astray = batch_job("Nowhere.");
    astray["delivery"] = json!({ "mode": "announce", "channel": "fax", "to": "123" });
    let added = local.ok("cron.add", &astray).await;
    assert!(added["notes"][0].as_str().unwrap().contains("would not be delivered"), "{added:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_job_says_what_would_go_astray() {
    let local = Local::start().await;
    let chats = Chats::serve().await;
    local.configure(&json!({ "channels": chats.config(local.dir.path()) })).await;
    for (field, value, said) in [
        ("agentId", json!("opss"), "agent \"opss\" is not configured; as things stand \"main\" answers"),
        (
            "delivery",
            json!({ "mode": "announce", "to": "4242" }),
            "is a target of whichever channel its agent answered on last",
        ),
        (
            "failureAlert",
            json!({ "channel": "fax", "to": "1" }),
            "nobody would be told of its failures: there is no channel",
        ),
        ("failureAlert", json!({ "channel": "slack" }), "nobody would be told of its failures"),
    ] {
        let mut job = batch_job("Where to?");
        job["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "owner" });
        job[field] = value;
        let added = local.ok("cron.add", &job).await;
        let notes = added["notes"].as_array().unwrap_or_else(|| panic!("{field} has no note: {added:#}"));
        assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains(said), "{field}: {notes:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_run_of_a_removed_job_ends_without_delivery() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 600_000 }));
    let id = local.add(&batch_job("Too late.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(5).await;
    local.ok("cron.remove", &json!({ "jobId": id })).await;
    local.advance(30).await;
    let run = local.last_run(&id).await;
    assert_eq!((&run["status"], &run["deliveryStatus"]), (&json!("ok"), &json!("suppressed")), "{run:#}");
    assert!(local.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_message_and_a_long_answer_go_through_the_blob_store_whole() {
    let local = Local::start().await;
    let long = "All work and no play. ".repeat(6_000).trim_end().to_owned();
    local.script(json!({ "batchDurationMs": 60_000, "replies": [{ "match": "*", "text": long }] }));
    let id = local.add(&batch_job(&long)).await;
    assert!(local.ok("cron.get", &json!({ "jobId": id })).await["payload"]["message"] == json!(long));
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(10).await;
    let run = local.last_run(&id).await;
    assert!(run["text"].as_str().is_some_and(|text| text == long), "{}", run["error"]);
    let sent = &local.fake().requests().into_iter().find(|request| request["method"] == "POST").unwrap()["body"];
    assert!(sent.to_string().contains(&long[..1000]));
    assert_eq!(local.delivered().join(" ").split_whitespace().count(), long.split_whitespace().count());
}
