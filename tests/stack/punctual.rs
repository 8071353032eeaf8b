//! Answers that are wanted by a time of day: early enough begun, given up in time, and there when they are wanted.

use chrono::{DateTime, Utc};
use nightshift_tests::local::Local;
use serde_json::{Value, json};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("a literal instant parses")
}

fn job(name: &str, expr: &str, batch: Value) -> Value {
    let mut batch = batch;
    batch["enabled"] = json!(true);
    json!({
        "name": name,
        "schedule": { "kind": "cron", "expr": expr, "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": format!("Do {name}."), "batch": batch, "toolsAllow": ["memory"] },
        "delivery": { "mode": "none" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_batch_has_not_answered_at_the_latest_safe_moment_is_asked_for_in_realtime_and_says_of_when_it_is() {
    let local = Local::start().await; // 06:00
    local.script(json!({ "batchDurationMs": 3 * 3_600_000, "replies": [{ "text": "All is well." }] }));
    let mut brief = job("brief", "0 8 * * *", json!({ "deliverBy": "08:00" }));
    brief["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "owner" });
    let id = local.add(&brief).await;
    let next = local.ok("cron.get", &json!({ "jobId": id })).await["state"]["nextRunAtMs"].clone();
    assert_eq!(next, json!(instant("2026-11-20T06:50:00Z").timestamp_millis()));
    local.advance(105).await;
    assert_eq!(local.last_run(&id).await["state"], "submitted", "at 07:45 it is still waited for");
    local.advance(15).await;
    let run = local.last_run(&id).await;
    let got = (&run["status"], &run["path"], &run["fallbackReason"], &run["deliveryStatus"]);
    assert_eq!(got, (&json!("ok"), &json!("realtime"), &json!("deliver_by"), &json!("delivered")), "{run:#}");
    assert!(run["endedAtMs"].as_i64() <= run["deliverByMs"].as_i64(), "{run:#}");
    let counters = local.ok("cron.status", &json!({})).await["counters"].clone();
    assert_eq!(counters, json!({ "fallback.deliver_by": 1 }));
    let said = local.delivered();
    assert!(said.len() == 1 && said[0].starts_with("All is well.\n\nData as of 07:5"), "{said:?}");
    let bill = local.fake().bill();
    assert_eq!((bill.batch.len(), bill.realtime.len()), (0, 1), "the batch was given up, and not paid");

    // The next one is quick, and its data is of when it was asked for.
    local.script(json!({ "batchDurationMs": 600_000, "replies": [{ "text": "All is well." }] }));
    local.advance(24 * 60).await;
    let run = local.last_run(&id).await;
    assert_eq!((&run["path"], &run["fallbackReason"]), (&json!("batch"), &Value::Null), "{run:#}");
    assert!(local.delivered()[1].contains("\n\nData as of 06:5"), "{:?}", local.delivered());

    // A job is told to start at its own times again.
    let patch = json!({ "payload": { "kind": "agentTurn", "batch": { "deliverBy": null } } });
    let job = local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    assert_eq!(job["state"]["nextRunAtMs"], json!(instant("2026-11-22T08:00:00Z").timestamp_millis()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_answer_that_is_asked_for_shortly_before_runs_at_once_and_in_realtime_where_no_batch_has_time() {
    let local = Local::start().await; // 06:00
    local.script(json!({ "batchDurationMs": 60_000 }));
    let mut ids = Vec::new();
    for (name, by) in [("soon", "06:12"), ("later", "06:40")] {
        let mut job = job(name, "", json!({ "deliverBy": by }));
        job["schedule"] = json!({ "kind": "at", "at": format!("2026-11-20T{by}:00Z") });
        job["deleteAfterRun"] = json!(false);
        ids.push(local.add(&job).await);
    }
    local.advance(12).await;
    let (soon, later) = (local.last_run(&ids[0]).await, local.last_run(&ids[1]).await);
    let got = |run: &Value| [run["status"].clone(), run["path"].clone(), run["fallbackReason"].clone()];
    assert_eq!(got(&soon), [json!("ok"), json!("realtime"), json!("no_time_for_batch")], "{soon:#}");
    assert_eq!(got(&later), [json!("ok"), json!("batch"), Value::Null], "{later:#}");
}

/// A job at 08:00 is told at 06:30 that its answer is wanted then: it should have begun long ago, and is not left out. Taking the
/// wish back when it has begun does not begin it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_comes_late_in_the_day_is_one_for_that_day_and_taking_it_back_runs_nothing_twice() {
    let local = Local::start().await; // 06:00
    local.script(json!({ "batchDurationMs": 600_000 }));
    let id = local.add(&job("brief", "0 7 * * *", json!({}))).await;
    local.advance(20).await;
    let wish = |by: Value| json!({ "payload": { "kind": "agentTurn", "batch": { "deliverBy": by } } });
    local.ok("cron.update", &json!({ "jobId": id, "patch": wish(json!("07:00")) })).await;
    local.advance(2).await;
    assert_eq!(local.last_run(&id).await["state"], "submitted", "it has begun at once");
    let job = local.ok("cron.update", &json!({ "jobId": id, "patch": wish(Value::Null) })).await;
    assert_eq!(job["state"]["nextRunAtMs"], json!(instant("2026-11-21T07:00:00Z").timestamp_millis()));
    for on in [false, true] {
        local.ok("cron.update", &json!({ "jobId": id, "patch": { "enabled": on } })).await;
    }
    local.advance(25 * 60).await;
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await["runs"].as_array().unwrap().clone();
    let slots: Vec<&Value> = runs.iter().map(|run| &run["slot"]).collect();
    assert_eq!(slots, ["2026-11-21T07:00:00Z", "2026-11-20T07:00:00Z"]);
    assert!(runs.iter().all(|run| run["status"] == "ok"), "{runs:#?}");
    let doctor = local.ok("cron.doctor", &json!({})).await;
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");
}
