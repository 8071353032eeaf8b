//! The doctor on the whole stack: timers that somebody broke behind the product's back, through the service's own API.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::ScheduleState;
use chrono::TimeDelta;
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

const GROUP: &str = "nightshift";

fn scheduler(local: &Local) -> Client {
    let config = aws_sdk_scheduler::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&local.stack.ready.scheduler_url)
        .build();
    Client::from_conf(config)
}

async fn read(client: &Client, name: &str) -> GetScheduleOutput {
    client.get_schedule().group_name(GROUP).name(name).send().await.unwrap()
}

/// Writes what `like` holds under `name`, in another state or by another expression.
async fn update(client: &Client, name: &str, like: &GetScheduleOutput, state: ScheduleState, expression: &str) {
    let update = client.update_schedule().group_name(GROUP).name(name).state(state).schedule_expression(expression);
    let update = update.set_schedule_expression_timezone(like.schedule_expression_timezone().map(str::to_owned));
    let update = update.set_flexible_time_window(like.flexible_time_window().cloned());
    update.set_target(like.target().cloned()).send().await.unwrap();
}

fn daily(name: &str, minute: u32) -> Value {
    let mut job = batch_job(&format!("The {name} brief."));
    job["name"] = json!(name);
    job["payload"]["batch"] = json!({ "enabled": false });
    job["schedule"] = json!({ "kind": "cron", "expr": format!("{minute} 7 * * *") });
    job
}

/// Each finding's kind and timer, in order.
fn told(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = answer["findings"].as_array().unwrap();
    let mut told: Vec<_> = findings.iter().map(|it| (text(&it["kind"]), text(&it["timer"]))).collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_that_somebody_broke_are_found_repaired_and_fire_again() {
    let local = Local::start().await;
    let client = scheduler(&local);
    let lost = local.add(&daily("lost", 10)).await;
    let off = local.add(&daily("off", 20)).await;
    let moved = local.add(&daily("moved", 30)).await;
    let fine = local.add(&daily("fine", 40)).await;
    let mut seconds = daily("chain", 0);
    seconds["schedule"]["expr"] = json!("30 50 7 * * *");
    let chain = local.add(&seconds).await;
    local.advance(5).await;
    let well = local.ok("cron.doctor", &json!({ "deep": true })).await;
    assert_eq!(
        (&well["ok"], &well["checkedJobs"], &well["checkedTimers"]),
        (&json!(true), &json!(5), &json!(6)),
        "{well:#}"
    );
    assert_eq!(told(&well), []);

    let timer = |job: &str| format!("j-{job}");
    let link = format!("o-{chain}-20261120T075030Z-1");
    let model = read(&client, &timer(&fine)).await;
    for name in [&timer(&lost), &link] {
        client.delete_schedule().group_name(GROUP).name(name).send().await.unwrap();
    }
    let held = read(&client, &timer(&off)).await;
    let expression = held.schedule_expression().unwrap().to_owned();
    update(&client, &timer(&off), &held, ScheduleState::Disabled, &expression).await;
    let held = read(&client, &timer(&moved)).await;
    update(&client, &timer(&moved), &held, ScheduleState::Enabled, "cron(30 19 * * ? *)").await;
    let create = client.create_schedule().group_name(GROUP).name("j-nobody").schedule_expression("rate(1 hour)");
    let create = create.set_flexible_time_window(model.flexible_time_window().cloned());
    create.set_target(model.target().cloned()).start_date(start_of_tomorrow()).send().await.unwrap();

    let kinds = |deep: bool| {
        let mut kinds = vec![
            ("timer_missing".to_owned(), timer(&lost)),
            ("timer_missing".to_owned(), link.clone()),
            ("timer_orphan".to_owned(), "j-nobody".to_owned()),
            ("timer_state".to_owned(), timer(&off)),
        ];
        kinds.extend(deep.then(|| ("timer_differs".to_owned(), timer(&moved))));
        kinds.sort();
        kinds
    };
    let seen = local.ok("cron.doctor", &json!({})).await;
    assert_eq!((told(&seen), &seen["ok"]), (kinds(false), &json!(false)), "{seen:#}");
    let deep = local.ok("cron.doctor", &json!({ "deep": true })).await;
    assert_eq!(told(&deep), kinds(true), "a look changed nothing");
    assert!(deep["findings"].as_array().unwrap().iter().all(|finding| finding["repaired"] == false));

    let repaired = local.ok("cron.doctor", &json!({ "deep": true, "repair": true })).await;
    assert_eq!((told(&repaired), &repaired["ok"]), (kinds(true), &json!(true)), "{repaired:#}");
    let again = local.ok("cron.doctor", &json!({ "deep": true, "repair": true })).await;
    assert_eq!((told(&again), &again["checkedTimers"]), (vec![], &json!(6)), "{again:#}");

    local.advance(120).await;
    for job in [&lost, &off, &moved, &fine, &chain] {
        let run = local.last_run(job).await;
        assert_eq!(run["status"], "ok", "{run:#}");
        assert!(run["runId"].as_str().unwrap().contains("_20261120T07"), "at its time: {run:#}");
    }
    assert_eq!(local.delivered().len(), 5);
    let after = local.ok("cron.doctor", &json!({ "deep": true })).await;
    assert_eq!(told(&after), [], "the chain armed its next link: {after:#}");
}

fn start_of_tomorrow() -> aws_sdk_scheduler::primitives::DateTime {
    let day = nightshift_tests::local::start() + TimeDelta::days(1);
    aws_sdk_scheduler::primitives::DateTime::from_secs(day.timestamp())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_timer_was_lost_over_its_time_runs_late_when_the_doctor_comes() {
    let local = Local::start().await;
    let client = scheduler(&local);
    let id = local.add(&daily("late", 10)).await;
    client.delete_schedule().group_name(GROUP).name(format!("j-{id}")).send().await.unwrap();
    // Past its time, and before the sweep sees it.
    local.advance(73).await;
    let seen = local.ok("cron.doctor", &json!({})).await;
    let wanted = [("missed_fire".to_owned(), String::new()), ("timer_missing".to_owned(), format!("j-{id}"))];
    assert_eq!(told(&seen), wanted, "{seen:#}");
    let repaired = local.ok("cron.doctor", &json!({ "repair": true })).await;
    assert_eq!((told(&repaired), &repaired["ok"]), (wanted.to_vec(), &json!(true)));
    local.stack.settle().await;
    let run = local.last_run(&id).await;
    assert_eq!(
        (&run["status"], run["runId"].as_str()),
        (&json!("ok"), Some(format!("{id}_20261120T071000Z").as_str()))
    );
    assert_eq!(told(&local.ok("cron.doctor", &json!({ "deep": true })).await), []);
    local.advance(24 * 60).await;
    assert_eq!(local.delivered().len(), 2, "tomorrow it runs at its time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_has_nothing_to_say_beside_running_traffic() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 900_000 }));
    let mut jobs = Vec::new();
    for n in 0..6_u32 {
        let mut job = batch_job("Busy.");
        job["name"] = json!(format!("busy {n}"));
        job["schedule"] = match n % 3 {
            0 => json!({ "kind": "every", "everyMs": 90_000 * (u64::from(n) + 1) }),
            1 => json!({ "kind": "cron", "expr": "15 */3 * * * *" }),
            _ => json!({ "kind": "cron", "expr": "*/4 * * * *" }),
        };
        job["overlap"] = json!("allow");
        jobs.push(local.add(&job).await);
    }
    for step in 0..45 {
        local.stack.advance(TimeDelta::seconds(40)).await.unwrap();
        if step % 9 == 4 {
            let enabled = step % 2 == 0;
            local.ok("cron.update", &json!({ "jobId": jobs[step % 6], "patch": { "enabled": enabled } })).await;
        }
        let seen = local.ok("cron.doctor", &json!({ "deep": true })).await;
        assert_eq!(told(&seen), [], "after {step} steps of 40 s: {seen:#}");
    }
    assert!(local.delivered().len() > 10, "there was traffic: {}", local.delivered().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_and_the_stack_agree_over_a_change_of_clocks() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let begin = "2027-03-27T00:00:00Z".parse().unwrap();
    let options = nightshift_local::Options::new(dir.path().join("state")).manual(begin);
    let local = Local::with(options, dir).await;
    let mut job = daily("night", 0);
    job["schedule"] = json!({ "kind": "cron", "expr": "30 2 * * *", "tz": "Europe/Vienna" });
    let bare = local.ok("cron.plan", &json!({ "schedule": job["schedule"], "count": 3 })).await;
    let id = local.add(&job).await;
    let plan = local.ok("cron.plan", &json!({ "jobId": id, "count": 3 })).await;
    assert_eq!(plan["occurrences"], bare["occurrences"]);
    assert_eq!(plan["skipped"][0]["wall"], "2027-03-28T02:30:00", "{plan:#}");
    let aws = json!({ "kind": "exact", "expression": "cron(30 2 * * ? *)", "timezone": "Europe/Vienna" });
    assert_eq!(plan["aws"], aws);
    local.advance(4 * 24 * 60).await;
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    let mut ran: Vec<i64> =
        runs["runs"].as_array().unwrap().iter().map(|it| it["scheduledAtMs"].as_i64().unwrap()).collect();
    ran.sort_unstable();
    let planned: Vec<i64> =
        plan["occurrences"].as_array().unwrap().iter().map(|it| it["atMs"].as_i64().unwrap()).collect();
    assert_eq!(ran, planned, "it ran when the plan said, and not in the night without 02:30");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_behind_the_products_back_is_named_mended_counted_and_told() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 300_000 }));
    let batched = local.add(&batch_job("Slowly.")).await;
    local.add(&daily("timed", 10)).await;
    local.advance(16).await;
    local.ok("cron.run", &json!({ "jobId": batched, "mode": "force" })).await;
    local.stack.settle().await;
    let names: Vec<String> = local.stack.scheduler.schedules().into_iter().map(|one| one.name).collect();
    let poll = names.iter().find(|name| name.starts_with("p-")).unwrap();
    local.drop_timer(poll).await;
    local.advance(6).await;
    let seen = local.ok("cron.doctor", &json!({})).await;
    assert_eq!(told(&seen), [("poll_chain_broken".to_owned(), String::new())], "{seen:#}");
    assert_eq!(local.ok("cron.status", &json!({})).await["counters"], json!({}), "a look counts nothing");

    local.advance(15).await;
    let run = local.last_run(&batched).await;
    assert_eq!(run["status"], "ok", "{run:#}");
    let said: Vec<&Value> =
        run["events"].as_array().unwrap().iter().filter(|line| line["event"] == "repaired").collect();
    assert_eq!(said.len(), 1, "{run:#}");
    assert!(said[0]["detail"].as_str().unwrap().starts_with("poll chain broken: batch "), "{said:?}");
    let counters = local.ok("cron.status", &json!({})).await["counters"].clone();
    assert_eq!(counters, json!({ "repaired.poll_chain_broken": 1 }));
    assert_eq!(told(&local.ok("cron.doctor", &json!({ "deep": true })).await), []);
    assert_eq!(local.delivered().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_batch_that_the_table_does_not_know_is_found_by_the_days_pass() {
    let local = Local::start().await;
    let id = local.add(&daily("once", 10)).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(1).await;
    let run = local.last_run(&id).await["runId"].as_str().unwrap().to_owned();
    let params =
        json!({ "model": "claude-haiku-5-5", "max_tokens": 16, "messages": [{ "role": "user", "content": "x" }] });
    let rows = json!({ "requests": [{ "custom_id": format!("{run}_1_1"), "params": params }] });
    let url = format!("{}/v1/messages/batches", local.stack.ready.anthropic_url);
    let request = reqwest::Client::new().post(url).bearer_auth("sk-ant-api03-fake-key-of-the-local-stack");
    let request = request.header("anthropic-version", "2026-10-21").json(&rows);
    assert_eq!(request.send().await.unwrap().status(), 200);
    local.advance(10).await;
    let seen = local.ok("cron.doctor", &json!({})).await;
    assert_eq!(told(&seen), [("batch_orphan".to_owned(), String::new())], "{seen:#}");
    assert_eq!(seen["findings"][0]["runId"], json!(run));
    // The day's pass is made with the first sweep after midnight.
    local.advance(18 * 60 + 30).await;
    assert_eq!(local.ok("cron.status", &json!({})).await["counters"], json!({ "repaired.batch_orphan": 1 }));
    assert_eq!(told(&local.ok("cron.doctor", &json!({})).await), []);
}
