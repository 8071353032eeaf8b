//! The ledger against the provider's own bill: a month of jobs whose turns go every way there is.

use std::collections::BTreeMap;

use nightshift_fake_anthropic::Tokens;
use nightshift_tests::local::Local;
use serde_json::{Value, json};

/// A job with a model of its own, so that the provider's bill, which is by model, is by job.
struct Plan {
    name: &'static str,
    /// Hops of a turn.
    hops: u64,
    batch: Value,
    /// Micro-dollars per thousand tokens of input, output, writes of five minutes and of an hour, and reads.
    price: [u64; 5],
}

fn plans() -> Vec<Plan> {
    let batch = |extra: Value| {
        let mut batch = extra;
        batch["enabled"] = json!(true);
        batch
    };
    let plan = |name, hops, batch, price| Plan { name, hops, batch, price };
    vec![
        plan("live", 1, json!({ "enabled": false }), [2_000, 10_000, 2_500, 4_000, 200]),
        plan("loop", 4, json!({ "enabled": false }), [4_000, 20_000, 5_000, 8_000, 400]),
        plan("half", 1, batch(json!({})), [6_000, 30_000, 7_500, 12_000, 600]),
        plan("deep", 6, batch(json!({})), [10_000, 50_000, 12_500, 20_000, 1_000]),
        plan(
            "soon",
            2,
            batch(json!({ "maxWaitMs": 3_600_000, "onTimeout": "realtime" })),
            [8_000, 40_000, 10_000, 16_000, 80],
        ),
        plan("hard", 2, batch(json!({ "maxWaitMs": 3_600_000 })), [1_000, 5_000, 1_250, 2_000, 100]),
        plan("auto", 3, batch(json!({ "mode": "auto" })), [3_000, 15_000, 3_750, 6_000, 300]),
    ]
}

fn model(name: &str) -> String {
    format!("claude-ledger-{name}")
}

/// What every hop of every job is answered: it looks for a note that is not there, whose name the next answer goes by.
fn replies(week: u64) -> Vec<Value> {
    let mut all = Vec::new();
    for (at, plan) in (1_u64..).zip(plans()) {
        for hop in 1..=plan.hops {
            let pattern = if hop == 1 { format!("Do {}.", plan.name) } else { format!("{}-{}.md", plan.name, hop - 1) };
            // Hits and misses of the cache, and searches, differ by job, hop and week.
            let mut usage = json!({ "input_tokens": 900 + 37 * at + hop, "output_tokens": 210 + 11 * hop + week });
            if hop > 1 && !(at + hop + week).is_multiple_of(3) {
                usage["cache_read_input_tokens"] = json!(4_000 + 100 * hop);
            }
            if (at + hop) % 2 == 0 {
                let (short, long) = if at % 3 == 0 { (0, 2_001 + hop) } else { (1_003 + week, 0) };
                usage["cache_creation_input_tokens"] = json!(short + long);
                usage["cache_creation"] =
                    json!({ "ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long });
            }
            if at % 4 == 1 && week.is_multiple_of(2) {
                usage["server_tool_use"] = json!({ "web_search_requests": hop });
            }
            let mut reply = json!({ "match": pattern, "usage": usage });
            if hop == plan.hops {
                reply["text"] = json!(format!("Done with {}.", plan.name));
            } else {
                let input = json!({ "command": "view", "path": format!("/memories/{}-{hop}.md", plan.name) });
                reply["content"] = json!([{ "type": "tool_use", "name": "memory", "input": input }]);
            }
            all.push(reply);
        }
    }
    all
}

/// How the provider behaves in each week.
fn script(week: u64) -> Value {
    let models: Vec<Value> = plans().iter().map(|plan| json!({ "id": model(plan.name) })).collect();
    let mut replies = replies(week);
    let mut script = json!({ "batchDurationMs": 600_000, "models": models });
    match week {
        // Batches take longer than two of the jobs wait, and cancelled ones have nothing.
        1 => script["batchDurationMs"] = json!(70 * 60_000),
        // The same, but a cancel always comes too late.
        2 => {
            script["batchDurationMs"] = json!(70 * 60_000);
            script["cancelKeeps"] = json!("all");
        }
        // Rows fail and are sent again; batches expire, and some are refused, so that their turns go in realtime.
        3 => {
            let failed = json!({ "match": "Do half.", "times": 5, "row": "errored",
                "error": { "type": "api_error", "message": "try again" } });
            let expired = json!({ "match": "deep-2.md", "times": 2, "row": "expired" });
            replies.splice(0..0, [failed, expired]);
            script["faults"] = json!([
                { "on": "create", "nth": 6, "times": 3, "do": "status", "status": 400, "errorType": "invalid_request_error" },
                { "on": "messages", "nth": 4, "times": 2, "do": "status", "status": 529, "errorType": "overloaded_error" },
            ]);
        }
        _ => {}
    }
    script["replies"] = json!(replies);
    script
}

/// What the provider would ask for, in billionths of a dollar. A batch is half of every token, searches are not halved.
fn asked(tokens: &Tokens, price: [u64; 5], halves: u64) -> u64 {
    let [input, output, short, long, read] = price;
    let by_length = tokens.cache_creation_input_tokens - tokens.ephemeral_1h_input_tokens;
    let sum = tokens.input_tokens * input
        + tokens.output_tokens * output
        + by_length * short
        + tokens.ephemeral_1h_input_tokens * long
        + tokens.cache_read_input_tokens * read;
    sum / halves + tokens.web_search_requests * 10_000_000
}

/// A reported amount in micro-dollars.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dollars")]
fn micro(usd: &Value) -> u64 {
    (usd.as_f64().expect("an amount is a number") * 1e6).round() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_mixed_jobs_comes_to_the_providers_bill_job_by_job() {
    let local = Local::start().await;
    let prices: Vec<Value> = plans()
        .iter()
        .map(|plan| {
            let [input, output, short, long, read] =
                plan.price.map(|micro| f64::from(u32::try_from(micro).unwrap()) / 1e3);
            json!({ "model": format!("anthropic/{}", model(plan.name)), "from": "2026-01-01", "input": input,
                "output": output, "cacheWrite5m": short, "cacheWrite1h": long, "cacheRead": read })
        })
        .collect();
    local.configure(&json!({ "models": { "prices": prices } })).await;
    // Nothing is lost here that a sweep would find: one a day is enough, and the month passes in a third of the time.
    local.drop_timer("sweep").await;
    let mut ids = BTreeMap::new();
    for plan in plans() {
        let job = json!({
            "name": plan.name,
            "schedule": { "kind": "cron", "expr": "30 6 * * *", "tz": "UTC", "staggerMs": 0 },
            "payload": { "kind": "agentTurn", "message": format!("Do {}.", plan.name), "batch": plan.batch,
                "model": format!("anthropic/{}", model(plan.name)), "toolsAllow": ["memory"] },
            "delivery": { "mode": "none" }, "failureAlert": false,
        });
        ids.insert(plan.name, local.add(&job).await);
    }
    for day in 0..28 {
        if day % 7 == 0 {
            local.script(script(day / 7));
        }
        // Somebody stops one of them in its batch now and then.
        local.advance(35).await;
        if day % 5 == 2 {
            let run = local.last_run(&ids["half"]).await;
            local.call("cron.cancel", &json!({ "runId": run["runId"] })).await;
        }
        local.advance(24 * 60 - 35).await;
        local.invoke("poll", &json!({ "v": 1, "k": "sweep" })).await;
    }
    let bill = local.fake().bill();
    let range = json!({ "fromMs": 1_795_132_800_000_i64, "toMs": 1_800_316_800_000_i64 });
    let cost = local.ok("cron.cost", &range).await;
    assert_eq!(cost["notes"], Value::Null, "{cost:#}");
    let (mut sum, mut seen) = (0, Vec::new());
    for plan in plans() {
        let of = |tokens: &BTreeMap<String, Tokens>| tokens.get(&model(plan.name)).copied().unwrap_or_default();
        let (live, batched) = (of(&bill.realtime), of(&bill.batch));
        let due = asked(&live, plan.price, 1) + asked(&batched, plan.price, 2);
        let row = cost["rows"].as_array().unwrap().iter().find(|row| row["key"] == ids[plan.name]).unwrap();
        assert_eq!(micro(&row["paidUsd"]), (due + 500) / 1000, "{}: {row:#} {live:#?} {batched:#?}", plan.name);
        assert_eq!(row["hops"], json!(live.messages + batched.messages), "{}", plan.name);
        sum += due;
        seen.push((plan.name, live.messages, batched.messages, live.web_search_requests + batched.web_search_requests));
    }
    assert_eq!(micro(&cost["total"]["paidUsd"]), (sum + 500) / 1000);
    assert!(micro(&cost["total"]["unusedUsd"]) > 0, "some came too late to be used: {cost:#}");
    // Every way was gone: both paths, one after the other in one job, realtime for a batch that was refused, and fees.
    let both =
        |of: &dyn Fn(&str) -> bool| seen.iter().any(|(name, live, batched, _)| of(name) && *live > 0 && *batched > 0);
    assert!(both(&|name| name == "soon") && both(&|name| ["half", "deep"].contains(&name)), "{seen:?}");
    assert!(seen.iter().any(|(name, _, batched, _)| *name == "deep" && *batched > 80), "{seen:?}");
    assert!(seen.iter().map(|(.., searches)| searches).sum::<u64>() > 20, "{seen:?}");
    let by_model =
        local.ok("cron.cost", &json!({ "by": "model", "fromMs": range["fromMs"], "toMs": range["toMs"] })).await;
    assert_eq!(by_model["total"], cost["total"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_will_cost_that_never_ran_is_told_from_its_prompt_as_it_is_counted() {
    let local = Local::start().await;
    let job = json!({
        "schedule": { "kind": "cron", "expr": "30 6 * * *", "tz": "UTC" }, "delivery": { "mode": "none" },
        "payload": { "kind": "agentTurn", "message": "Read this. ".repeat(4_000), "toolsAllow": [],
            "model": "anthropic/claude-sonnet-5-5", "batch": { "enabled": true } },
    });
    let id = local.add(&job).await;
    let plan = local.ok("cron.plan", &json!({ "jobId": id })).await;
    let forecast = &plan["forecast"];
    assert_eq!((&forecast["counted"], &forecast["turns"], &forecast["runs"]), (&json!(true), &json!(0), &json!(30)));
    let asked: Vec<Value> = serde_json::from_str(&local.asked_of_model().await).unwrap();
    let counts = asked.iter().filter(|request| request["path"] == "/v1/messages/count_tokens").count();
    assert_eq!((counts, local.fake().bill().realtime.len()), (1, 0), "counted, and not asked");

    // It is what the run has then, but for the answer, which is as long as it is.
    local.advance(60).await;
    let run = local.last_run(&id).await;
    let (input, output) = (&run["hops"][0]["usage"]["input_tokens"], &run["hops"][0]["usage"]["output_tokens"]);
    let paid = run["costUsd"].as_f64().unwrap() - output.as_f64().unwrap() * 10.0e-6 / 2.0;
    let told = forecast["runUsd"].as_f64().unwrap() - 800.0 * 10.0e-6 / 2.0;
    assert!((told - paid).abs() < paid * 0.02, "{told} for {paid}, of {input} tokens");
    // From then on it is told from how it went.
    let plan = local.ok("cron.plan", &json!({ "jobId": id })).await;
    assert_eq!((&plan["forecast"]["counted"], &plan["forecast"]["turns"]), (&json!(false), &json!(1)));
}
