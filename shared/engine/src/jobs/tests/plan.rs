//! A plan computes what the timers do, and stores nothing.

use nightshift_domain::JobId;
use nightshift_domain::planner::Went;
use nightshift_domain::schedule::AwsPlan;
use serde_json::{Value, json};

use super::{World, at, daily, world};
use crate::jobs::{Planned, Refusal, add, config_apply, plan, update};
use crate::ports::Write;

async fn planned(world: &World, input: Value) -> Planned {
    plan(&world.request(), &input).await.unwrap()
}

async fn faults(world: &World, input: Value) -> Vec<nightshift_domain::FieldError> {
    match plan(&world.request(), &input).await {
        Err(Refusal::Invalid(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

fn starts(planned: &Planned) -> Vec<String> {
    planned.preview.starts.iter().map(|start| start.start.to_rfc3339()).collect()
}

#[tokio::test]
async fn a_plan_of_a_job_begins_with_the_jobs_own_next_run_and_touches_nothing() {
    let world = world();
    let mut hourly = daily();
    hourly["schedule"] = json!({ "kind": "cron", "expr": "0 * * * *" });
    let job = world.add(hourly).await;
    world.outside.calls();
    let planned = planned(&world, json!({ "jobId": "daily", "count": 3 })).await;
    let first = planned.preview.starts[0].start.timestamp_millis();
    assert_eq!(Some(first), job.state.next_run_at_ms);
    assert_ne!(planned.preview.starts[0].slot, planned.preview.starts[0].start, "the stagger of the job moves it");
    assert_eq!((planned.preview.starts.len(), planned.stagger_ms), (3, 300_000));
    assert!(matches!(planned.aws, AwsPlan::Exact { .. }));
    assert!(world.outside.calls().is_empty(), "nothing is set");
}

#[tokio::test]
async fn a_schedule_that_is_no_job_is_read_as_cron_add_reads_it() {
    let world = world();
    for (schedule, first) in [
        (json!({ "kind": "cron", "expr": "30 7 * * *", "tz": "europe/vienna" }), "2026-11-21T06:30:00+00:00"),
        (json!({ "kind": "EVERY", "everyMs": "7200000", "anchorMs": 0 }), "2026-11-20T14:00:00+00:00"),
        (json!({ "atMs": 1_795_200_000_000_i64 }), "2026-11-20T18:40:00+00:00"),
    ] {
        let planned = planned(&world, json!({ "schedule": schedule, "count": 1 })).await;
        assert_eq!(starts(&planned), [first], "{planned:?}");
    }
    assert_eq!(world.jobs().await, 0);
    for schedule in [json!({ "kind": "cron", "expr": "61 * * * *" }), json!("0 7 * * *"), json!({ "everyMs": 5 })] {
        let mut job = daily();
        job["schedule"] = schedule.clone();
        let Err(Refusal::Invalid(added)) = add(&world.request(), &job).await else { panic!("{schedule}") };
        assert_eq!(faults(&world, json!({ "schedule": schedule })).await, added, "the same fields, words and hints");
    }
}

#[tokio::test]
async fn every_bad_parameter_of_a_plan_is_named_at_once() {
    let world = world();
    let bad =
        json!({ "schedule": { "kind": "cron", "expr": "x" }, "jobId": "daily", "count": 101, "fromMs": -1, "a": 1 });
    let mut fields: Vec<String> = faults(&world, bad).await.into_iter().map(|fault| fault.field).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["a", "count", "fromMs", "schedule", "schedule.expr"]);
    assert_eq!(faults(&world, json!({})).await[0].field, "jobId");
    assert!(matches!(plan(&world.request(), &json!({ "jobId": "nobody" })).await, Err(Refusal::NoJob(_))));
}

#[tokio::test]
async fn a_plan_says_what_keeps_its_times_from_running() {
    let world = world();
    world.add(daily()).await;
    update(&world.request(), &json!({ "jobId": "daily", "patch": { "enabled": false } })).await.unwrap();
    let config = json!({ "config": { "cron": { "enabled": false, "timezone": "Europe/Vienna" } } });
    config_apply(&world.request(), &config).await.unwrap();
    let disabled = planned(&world, json!({ "jobId": "daily", "count": 1 })).await;
    assert_eq!(starts(&disabled), ["2026-11-21T06:30:00+00:00"], "in the configured zone");
    assert_eq!(disabled.zone, "Europe/Vienna");
    assert_eq!(
        disabled.notes,
        [
            "the job is disabled: it runs at none of these times until it is enabled",
            "timers are switched off (cron.enabled): these times are recorded as skipped",
        ]
    );
}

#[tokio::test]
async fn a_plan_says_how_eventbridge_holds_the_schedule_and_why() {
    let world = world();
    let of = async |schedule: Value| {
        let planned = planned(&world, json!({ "schedule": schedule })).await;
        (planned.aws, planned.aws_note.unwrap_or_default())
    };
    let (aws, why) = of(json!({ "expr": "0 9 13 * 5" })).await;
    let expression = "cron(0 9 * * ? *)".to_owned();
    assert_eq!(aws, AwsPlan::Superset { expression, timezone: "UTC".to_owned() });
    assert_eq!(why, "the guard drops the fires that are none of these times");
    assert_eq!(of(json!({ "everyMs": 90_000 })).await.1, "the interval is no whole number of minutes");
    assert_eq!(of(json!({ "at": "2026-11-20T13:00:00Z" })).await, (AwsPlan::OneShots, "it runs once".to_owned()));
    *world.outside.refuses_expressions.lock().unwrap() = true;
    world.add(daily()).await;
    let chained = planned(&world, json!({ "jobId": "daily" })).await;
    assert_eq!(chained.aws, AwsPlan::OneShots);
    assert_eq!(chained.aws_note.as_deref(), Some("the timer service refused the expression"));
}

#[tokio::test]
async fn a_single_time_is_shown_until_it_has_run() {
    let world = world();
    world.add(at("2026-11-20T11:59:30Z")).await;
    let just_now = planned(&world, json!({ "jobId": "once" })).await;
    assert_eq!(starts(&just_now), ["2026-11-20T11:59:30+00:00"], "it is late by less than clocks differ, and runs");
    let later = planned(&world, json!({ "jobId": "once", "fromMs": 1_795_300_000_000_i64 })).await;
    assert!(later.preview.starts.is_empty());
    assert_eq!(later.notes, ["the schedule never runs again: it has no time from then on"]);
}

#[tokio::test]
async fn a_plan_of_a_job_forecasts_its_month_from_its_last_turns_or_guesses() {
    let world = world();
    let mut job = daily();
    job["payload"]["model"] = json!("opus");
    world.add(job).await;
    let forecast = async || planned(&world, json!({ "jobId": "daily" })).await.forecast.unwrap();
    let guess = forecast().await;
    assert_eq!((guess.runs, guess.learned, guess.least < guess.most), (30, 0, true), "{guess:?}");

    let id = JobId::parse("daily").unwrap();
    let mut record = world.deps.store.job(&id).await.unwrap().unwrap();
    let went = |paid, realtime| Went { steps: 1, output: 1, growth: None, searches: 0, paid, realtime };
    record.habits.turns = vec![went(1_000, 2_000), went(3_000, 5_000)];
    record.rev += 1;
    world.deps.store.commit(&[Write::Job(&record)]).await.unwrap();
    let learned = forecast().await;
    assert_eq!((learned.runs, learned.least, learned.mean, learned.most), (30, 1_000, 2_000, 3_000));
    assert_eq!((learned.saved, learned.learned), (1_500, 2));
    let none = planned(&world, json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *" } })).await;
    assert_eq!(none.forecast, None, "a schedule asks no model");
}
