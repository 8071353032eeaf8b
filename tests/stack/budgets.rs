//! Budgets: nothing is sent that could pass one, whoever races for the last cent, and somebody is told.

use nightshift_tests::local::Local;
use serde_json::{Value, json};

const MODEL: &str = "anthropic/claude-sonnet-5-5";

fn job(name: &str, at: &str, extra: &Value) -> Value {
    let mut job = json!({
        "name": name,
        "schedule": { "kind": "cron", "expr": at, "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": format!("Do {name}."), "model": MODEL, "batch": { "enabled": false } },
        "delivery": { "mode": "none" },
    });
    for (field, value) in extra.as_object().into_iter().flatten() {
        job[field] = value.clone();
    }
    job
}

fn budget(usd: f64) -> Value {
    let console = json!({ "enabled": true, "mode": "announce", "channel": "console", "to": "owner" });
    json!({ "cron": { "budget": { "dayUsd": usd }, "failureAlert": console } })
}

fn code(run: &Value) -> (&Value, &Value) {
    (&run["status"], &run["error"]["code"])
}

/// A call may cost 32,000 tokens of output at $10 a million and a tenth more: and its searches, some $0.44. Half a dollar is one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_jobs_of_one_minute_the_last_cent_goes_to_one_and_one_alert_tells_of_the_others() {
    let local = Local::start().await;
    local.configure(&budget(0.5)).await;
    // The calls alone take their time, so that nothing keeps the three from coming to theirs together.
    let slow = json!({ "on": "messages", "nth": 1, "times": 9, "do": "delay", "delayMs": 30_000 });
    local.script(json!({ "faults": [slow] }));
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(local.add(&job(name, "30 6 * * *", &json!({}))).await);
    }
    local.advance(40).await;
    let mut ends = Vec::new();
    for id in &ids {
        ends.push(local.last_run(id).await);
    }
    let ran = ends.iter().filter(|run| code(run) == (&json!("ok"), &Value::Null)).count();
    let skipped = ends.iter().filter(|run| code(run) == (&json!("skipped"), &json!("budget"))).count();
    assert_eq!((ran, skipped), (1, 2), "{ends:#?}");
    let told: Vec<String> = local.delivered().into_iter().filter(|text| text.contains("budget")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let said = ends.iter().filter_map(|run| run["error"]["message"].as_str()).filter(|detail| {
        detail.contains("the budget of all jobs of $0.50 a day has") && detail.contains("the next call may cost $0.4")
    });
    assert_eq!(said.count(), 2, "{ends:#?}");

    // What the call did not need was given back, and the next day has a budget of its own.
    local.ok("cron.run", &json!({ "jobId": ids[1], "mode": "force" })).await;
    local.advance(5).await;
    assert_eq!(code(&local.last_run(&ids[1]).await), (&json!("ok"), &Value::Null));
    local.advance(24 * 60).await;
    assert_eq!(local.last_run(&ids[0]).await["slot"], json!("2026-11-21T06:30:00Z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_may_be_answered_after_midnight_is_bought_at_the_price_of_then() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 1_800_000 }));
    let dearer = json!([{ "model": MODEL, "from": "2026-11-21", "input": 20, "output": 100, "cacheRead": 1 }]);
    let mut config = budget(3.0);
    config["models"] = json!({ "prices": dearer });
    local.configure(&config).await;
    let night = json!({ "payload": { "kind": "agentTurn", "message": "Do it.", "model": MODEL,
        "batch": { "enabled": true, "maxWaitMs": 7_200_000 } } });
    let id = local.add(&job("night", "50 23 * * *", &night)).await;
    local.advance(19 * 60).await;
    let run = local.last_run(&id).await;
    assert_eq!(code(&run), (&json!("skipped"), &json!("budget")), "64,000 tokens at $50 a million: {run:#}");
    assert!(local.fake().bill().batch.is_empty(), "nothing was sent");

    // With room for that price it is sent, and is charged it.
    config["cron"]["budget"]["dayUsd"] = json!(4.0);
    config["models"]["prices"][0]["from"] = json!("2026-11-22");
    local.configure(&config).await;
    local.advance(24 * 60).await;
    let run = local.last_run(&id).await;
    assert_eq!((run["status"].as_str(), run["hops"].as_array().map(Vec::len)), (Some("ok"), Some(1)), "{run:#}");
    let usage = &run["hops"][0]["usage"];
    let of = |name: &str| usage[name].as_f64().unwrap();
    let due = (of("input_tokens") * 20.0 + of("output_tokens") * 100.0) / 2e6;
    assert!((run["costUsd"].as_f64().unwrap() - due).abs() < 1e-9, "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_would_pass_its_own_budget_fails_before_its_next_call_and_is_told_of_at_once() {
    let local = Local::start().await;
    let mut config = budget(100.0);
    config["cron"]["budget"] = json!({ "monthUsd": 100 });
    local.configure(&config).await;
    let asks = json!([{ "type": "tool_use", "name": "memory", "input": { "command": "view", "path": "/memories" } }]);
    local.script(json!({ "replies": [
        { "hop": 0, "content": asks, "usage": { "output_tokens": 20_000 } },
        { "hop": 1, "text": "Done." },
    ] }));
    let bounded = json!({ "budget": { "runUsd": 0.5 } });
    let id = local.add(&job("bounded", "30 6 * * *", &bounded)).await;
    assert_eq!(local.ok("cron.get", &json!({ "jobId": id })).await["budget"], json!({ "runUsd": 0.5 }));
    local.advance(35).await;
    let run = local.last_run(&id).await;
    assert_eq!(code(&run), (&json!("error"), &json!("budget")), "{run:#}");
    let said = run["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("the budget of $0.50 a run has $0.") && said.contains("may cost $0.4"), "{said}");
    assert_eq!(local.fake().bill().realtime["claude-sonnet-5-5"].messages, 1);
    let told: Vec<String> = local.delivered().into_iter().filter(|text| text.contains("budget")).collect();
    assert_eq!(told.len(), 1, "{told:?}");

    // A budget of nothing is one: nothing is sent.
    local.ok("cron.update", &json!({ "jobId": id, "patch": { "budget": { "dayUsd": 0 } } })).await;
    local.advance(24 * 60).await;
    assert_eq!(code(&local.last_run(&id).await), (&json!("skipped"), &json!("budget")));
    assert_eq!(local.fake().bill().realtime["claude-sonnet-5-5"].messages, 1);
}

/// A limit that is set when money was spent already counts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_counts_what_its_month_has_cost_before() {
    let local = Local::start().await;
    local.script(json!({ "replies": [{ "text": "Done.", "usage": { "output_tokens": 30_000 } }] }));
    let id = local.add(&job("early", "30 6 * * *", &json!({}))).await;
    local.advance(35).await;
    assert_eq!(local.last_run(&id).await["status"], "ok");
    local.configure(&json!({ "agents": { "defaults": { "budget": { "monthUsd": 0.6 } } } })).await;
    local.advance(24 * 60).await;
    let run = local.last_run(&id).await;
    assert_eq!(code(&run), (&json!("skipped"), &json!("budget")), "$0.30 are gone: {run:#}");
    local.configure(&json!({ "agents": { "defaults": { "budget": { "monthUsd": 0.8 } } } })).await;
    local.advance(24 * 60).await;
    assert_eq!(local.last_run(&id).await["status"], "ok");
}
