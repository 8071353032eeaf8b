//! A provider that is out of money: the queue stops, says so everywhere, and goes on by itself.

use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

async fn run_now(local: &Local, message: &str) -> Value {
    let id = local.add(&batch_job(message)).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(1).await;
    local.last_run(&id).await
}

fn creates(local: &Local) -> usize {
    let all = local.fake().requests();
    all.iter().filter(|request| request["method"] == "POST" && request["path"] == "/v1/messages/batches").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spend_limit_stops_the_queue_says_so_and_ends_with_the_first_request_that_goes_through() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "faults": [{ "on": "create", "times": 1, "do": "status",
        "status": 429, "errorType": "rate_limit_error", "errorCode": "enforced_spend_limit_reached" }] }));
    let met = run_now(&local, "Meets the limit.").await;
    assert_eq!((&met["error"]["code"], creates(&local)), (&json!("spend_limit"), 1), "{met:#}");

    let status = local.ok("cron.status", &json!({})).await;
    let [stop] = status["stops"].as_array().unwrap().as_slice() else { panic!("{status:#}") };
    assert_eq!((&stop["provider"], &stop["code"]), (&json!("anthropic"), &json!("spend_limit")));
    assert_eq!(stop["untilMs"].as_i64().unwrap() - stop["sinceMs"].as_i64().unwrap(), 3_600_000);
    let checkup = local.ok("cron.doctor", &json!({})).await;
    let kinds: Vec<&Value> = checkup["findings"].as_array().unwrap().iter().map(|finding| &finding["kind"]).collect();
    assert_eq!((kinds, &checkup["ok"]), (vec![&json!("spend_limit")], &json!(false)), "{checkup:#}");

    let stopped = run_now(&local, "Finds the stop.").await;
    assert_eq!((&stopped["error"]["code"], creates(&local)), (&json!("spend_limit"), 1));
    let said = stopped["error"]["message"].as_str().unwrap();
    assert!(said.contains("since 2026-11-20 06:0") && said.contains("before 2026-11-20 07:0"), "{said}");

    local.advance(60).await;
    let probe = run_now(&local, "Goes through.").await;
    assert_eq!((&probe["error"], creates(&local)), (&Value::Null, 2), "{probe:#}");
    local.advance(10).await;
    assert_eq!(local.delivered().len(), 1);
    let status = local.ok("cron.status", &json!({})).await;
    assert_eq!(status["stops"], Value::Null, "{status:#}");
    assert_eq!(local.ok("cron.doctor", &json!({})).await["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_after_a_cancel_is_paid_and_shown_as_unused() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 300_000, "faults": [{ "on": "cancel", "times": 100, "do": "status",
        "status": 400, "errorType": "invalid_request_error" }] }));
    let id = local.add(&batch_job("Never mind.")).await;
    let run = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await["runId"].clone();
    local.advance(1).await;
    local.ok("cron.cancel", &json!({ "runId": run })).await;
    local.advance(30).await;
    let run = local.last_run(&id).await;
    assert_eq!((&run["state"], &run["hops"][0]["unused"]), (&json!("canceled"), &json!(true)), "{run:#}");
    assert!(run["costUsd"].as_f64().unwrap() > 0.0, "{run:#}");
    let lost = json!(-run["costUsd"].as_f64().unwrap());
    assert_eq!((&run["unusedUsd"], &run["savedUsd"]), (&run["costUsd"], &lost), "{run:#}");
    let cost = local.ok("cron.cost", &json!({})).await;
    assert_eq!(
        (&cost["total"]["unusedUsd"], &cost["total"]["paidUsd"]),
        (&run["costUsd"], &run["costUsd"]),
        "{cost:#}"
    );
}
