//! Turns longer than an invocation.

use nightshift_tests::local::Local;
use serde_json::{Value, json};

use super::{Path, asks, job, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realtime_turn_of_forty_minutes_goes_on_over_several_invocations_and_completes() {
    let local = Local::start().await;
    let view = json!({ "command": "view", "path": "/memories" });
    let mut replies: Vec<Value> = (1..8).map(|hop| asks(&format!("toolu_{hop}"), "memory", &view)).collect();
    replies.push(text("It took a while."));
    let slow = json!([{ "on": "messages", "do": "delay", "times": 100, "delayMs": 300_000 }]);
    local.script(json!({ "replies": replies, "faults": slow }));
    let id = local.add(&job(Path::Realtime, "Take your time.")).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(30).await;
    let half = local.last_run(&id).await;
    assert!(half["status"].is_null(), "{half:#}");
    local.advance(40).await;
    let run = local.last_run(&id).await;
    assert_eq!((&run["status"], &run["text"]), (&json!("ok"), &json!("It took a while.")), "{run:#}");
    assert_eq!(run["hops"].as_array().unwrap().len(), 8);
    assert!(run["durationMs"].as_i64().unwrap() >= 40 * 60_000, "{}", run["durationMs"]);
    let words: Vec<&str> =
        run["events"].as_array().unwrap().iter().map(|each| each["event"].as_str().unwrap()).collect();
    let pauses = words.iter().filter(|word| **word == "paused").count();
    assert!(pauses >= 2, "at least three invocations: {words:?}");
    let sent = local.asked_of_model().await;
    assert_eq!(sent.matches(r#""path":"/v1/messages""#).count(), 8, "no hop was sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realtime_turn_that_takes_longer_than_its_job_allows_fails_with_a_name() {
    let local = Local::start().await;
    let view = json!({ "command": "view", "path": "/memories" });
    let slow = json!([{ "on": "messages", "do": "delay", "times": 100, "delayMs": 300_000 }]);
    let endless = json!({ "match": "*", "content": [{ "type": "tool_use", "name": "memory", "input": view }] });
    local.script(json!({ "replies": [endless], "faults": slow }));
    let mut asked = job(Path::Realtime, "Never end.");
    asked["payload"]["timeoutSeconds"] = json!(1200);
    let id = local.add(&asked).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(60).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["error"]["code"], "timeout", "{run:#}");
    assert!(run["durationMs"].as_i64().unwrap() <= 25 * 60_000);
}
