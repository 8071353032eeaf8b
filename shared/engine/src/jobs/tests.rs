//! The use cases on a table in memory and timers that keep a list.

mod check;
mod config;
mod cost;
mod doctor;
mod import;
mod off;
pub(crate) mod outside;
mod plan;
mod sessions;
mod shelves;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::Wake;
use nightshift_domain::job::Job;
use nightshift_domain::run::{Origin, State, Text};
use nightshift_domain::{JobId, RunKey};
use serde_json::{Value, json};

use super::{
    Ran, Refusal, Request, Stamp, add, cancel, config_apply, config_set, get, list, load_job, remove, run_now, runs,
    update,
};
use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::ports::{Outcome, PageRequest, RunFilter, Store, TimerSpec, Write};
use crate::runs::INLINE_MAX;
use crate::testing::{Faulty, MemoryBlobs, MemoryStore, Mishap, NoMetrics, NoSecrets, NoWeb};

pub(crate) use outside::Outside;

pub(crate) struct World {
    pub(crate) outside: Arc<Outside>,
    pub(crate) clock: ManualClock,
    pub(crate) deps: Deps,
    pub(crate) invocation: Invocation,
}

pub(crate) fn world() -> World {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let outside = Arc::new(Outside::default());
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: outside.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: outside.clone(),
        invoker: outside.clone(),
        models: outside.clone(),
        channels: outside.clone(),
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    let invocation = Invocation { id: "inv-1".to_owned(), deadline: clock.now() + TimeDelta::seconds(30) };
    World { outside, clock, deps, invocation }
}

impl World {
    pub(crate) fn request(&self) -> Request<'_> {
        let now = self.clock.now();
        Request { deps: &self.deps, invocation: &self.invocation, now, stamp: Stamp::fresh(&self.deps, now) }
    }

    pub(crate) async fn add(&self, input: Value) -> Job {
        Box::pin(add(&self.request(), &input)).await.unwrap()
    }

    async fn jobs(&self) -> usize {
        self.deps.store.jobs(&PageRequest { limit: 200, cursor: None }).await.unwrap().items.len()
    }

    pub(crate) async fn runs_of(&self, job: &JobId) -> Vec<nightshift_domain::run::Run> {
        let page = PageRequest { limit: 200, cursor: None };
        self.deps.store.runs(&RunFilter::OfJob(job.clone()), &page).await.unwrap().items
    }
}

fn daily() -> Value {
    json!({ "jobId": "daily", "name": "Daily", "schedule": { "kind": "cron", "expr": "30 7 * * *" },
        "payload": { "kind": "agentTurn", "message": "Summarize." } })
}

fn at(time: &str) -> Value {
    json!({ "jobId": "once", "schedule": { "kind": "at", "at": time },
        "payload": { "kind": "agentTurn", "message": "Once." } })
}

#[tokio::test]
async fn a_recurring_job_gets_one_native_schedule_after_its_row() {
    let world = world();
    *world.outside.fails.lock().unwrap() = Some("put");
    assert!(matches!(add(&world.request(), &daily()).await, Err(Refusal::Failed(_))));
    assert_eq!(world.jobs().await, 1, "the row is written first");

    *world.outside.fails.lock().unwrap() = None;
    let job = world.add(daily()).await;
    assert_eq!(
        job.state.next_run_at_ms,
        Some("2026-11-21T07:30:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    );
    assert_eq!(world.jobs().await, 1, "the repeat finds its own row");
    let timers = world.outside.timers.lock().unwrap();
    let [timer] = timers.as_slice() else { panic!("{timers:?}") };
    assert_eq!(timer.name, "j-daily");
    let TimerSpec::Recurring { expression, timezone, .. } = &timer.spec else { panic!("{timer:?}") };
    assert_eq!((expression.as_str(), timezone.as_str()), ("cron(30 7 * * ? *)", "UTC"));
    let Wake::Job { g: 1, s, slot: None, nb: None, .. } = &timer.envelope.kind else { panic!("{timer:?}") };
    assert_eq!(s, "<aws.scheduler.scheduled-time>");
}

#[tokio::test]
async fn the_same_request_makes_the_same_job_and_another_one_makes_another() {
    let world = world();
    let mut anonymous = daily();
    anonymous.as_object_mut().unwrap().remove("jobId");
    let request = world.request();
    let first = add(&request, &anonymous).await.unwrap();
    let again = Request { stamp: Stamp { repeated: true, ..request.stamp }, ..request };
    assert_eq!(add(&again, &anonymous).await.unwrap().job_id, first.job_id);
    assert_eq!(first.job_id.as_str().len(), 36);
    assert_ne!(world.add(anonymous).await.job_id, first.job_id);
    assert_eq!(world.jobs().await, 2);
}

#[tokio::test]
async fn an_id_that_is_taken_by_another_job_is_refused() {
    let world = world();
    world.add(daily()).await;
    let mut other = daily();
    other["payload"]["message"] = json!("Something else.");
    assert!(matches!(add(&world.request(), &other).await, Err(Refusal::JobExists(_))));
}

#[tokio::test]
async fn a_declaration_key_means_the_same_job_every_time() {
    let world = world();
    let mut declared = daily();
    declared.as_object_mut().unwrap().remove("jobId");
    declared["declarationKey"] = json!("infra/daily");
    let first = world.add(declared.clone()).await;
    declared["payload"]["message"] = json!("Summarize better.");
    let second = world.add(declared).await;
    assert_eq!((second.job_id, second.payload.text()), (first.job_id, "Summarize better."));
    assert_eq!(world.jobs().await, 1);
}

#[tokio::test]
async fn a_one_shot_far_ahead_is_a_timer_and_a_near_one_is_handed_over_at_once() {
    let world = world();
    world.add(at("2026-11-20T12:01:30Z")).await;
    assert_eq!(world.outside.calls(), ["put o-once-20261120T120130Z-1"]);
    for time in ["2026-11-20T12:01:29Z", "2026-11-20T11:59:30Z"] {
        let world = self::world();
        world.add(at(time)).await;
        assert_eq!(world.outside.calls(), ["invoke trigger"], "{time}");
        let envelopes = world.outside.envelopes.lock().unwrap();
        let Wake::Job { slot, nb, .. } = &envelopes[0].kind else { panic!("{envelopes:?}") };
        let time: DateTime<Utc> = time.parse().unwrap();
        assert_eq!((*slot, *nb), (Some(time), Some(time)));
    }
}

#[tokio::test]
async fn an_expression_the_service_refuses_becomes_a_chain() {
    let world = world();
    *world.outside.refuses_expressions.lock().unwrap() = true;
    world.add(daily()).await;
    assert_eq!(world.outside.names(), ["o-daily-20261121T073000Z-1"]);
    let id = JobId::parse("daily").unwrap();
    let record = world.deps.store.job(&id).await.unwrap().unwrap();
    let next = super::timer_for(&record, &Config::default(), "2026-11-21T07:30:00Z".parse().unwrap()).unwrap();
    assert_eq!(next.name, "o-daily-20261122T073000Z-1", "its fires go on as a chain");
}

#[tokio::test]
async fn the_generation_rises_when_the_timing_changes_and_only_then() {
    let world = world();
    world.add(daily()).await;
    let id = JobId::parse("daily").unwrap();
    let generation = async || world.deps.store.job(&id).await.unwrap().unwrap().generation;
    let patch =
        async |patch: Value| update(&world.request(), &json!({ "jobId": "daily", "patch": patch })).await.unwrap();
    patch(json!({ "name": "Renamed" })).await;
    assert_eq!(generation().await, 1);
    let moved = patch(json!({ "schedule": { "expr": "0 8 * * *" } })).await;
    assert_eq!(generation().await, 2);
    assert_eq!(
        moved.state.next_run_at_ms,
        Some("2026-11-21T08:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    );
    let off = patch(json!({ "enabled": false })).await;
    assert_eq!(off.state.next_run_at_ms, None);
    assert!(!world.outside.timers.lock().unwrap()[0].enabled, "a native schedule is switched off, not removed");
    patch(json!({ "enabled": true, "schedule": { "kind": "at", "at": "2026-11-21T08:00:00Z" } })).await;
    assert_eq!(world.outside.names(), ["o-daily-20261121T080000Z-4"], "the native schedule is gone");
    patch(json!({ "enabled": false })).await;
    assert!(world.outside.names().is_empty(), "a one-shot that is switched off is removed");
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let world = world();
    world.add(daily()).await;
    world.outside.calls();
    let id = JobId::parse("daily").unwrap();
    let before = world.deps.store.job(&id).await.unwrap();
    let bad = json!({ "jobId": "daily", "patch": { "schedule": { "expr": "99 * * * *" }, "colour": 1 } });
    let Err(Refusal::Invalid(faults)) = update(&world.request(), &bad).await else { panic!() };
    assert_eq!(faults.len(), 2);
    assert_eq!(world.deps.store.job(&id).await.unwrap(), before);
    assert!(world.outside.calls().is_empty());
}

#[tokio::test]
async fn a_job_goes_after_its_timer_and_its_history_stays() {
    let world = world();
    let job = world.add(daily()).await;
    run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
    world.outside.calls();
    *world.outside.fails.lock().unwrap() = Some("remove");
    assert!(remove(&world.request(), &json!({ "jobId": "daily" })).await.is_err());
    assert_eq!(world.jobs().await, 1, "the row is still there");
    *world.outside.fails.lock().unwrap() = None;
    let request = world.request();
    remove(&request, &json!({ "jobId": "daily" })).await.unwrap();
    assert_eq!((world.jobs().await, world.outside.names().len()), (0, 0));
    assert_eq!(runs(&request, &json!({ "jobId": "daily" })).await.unwrap().rows.len(), 1);
    assert!(matches!(get(&request, &json!({ "jobId": job.job_id })).await, Err(Refusal::NoJob(_))));
    assert!(matches!(remove(&request, &json!({ "jobId": "daily" })).await, Err(Refusal::NoJob(_))));
    let repeat = Request { stamp: Stamp { repeated: true, ..request.stamp }, ..request };
    remove(&repeat, &json!({ "jobId": "daily" })).await.unwrap();
}

#[tokio::test]
async fn a_forced_run_has_its_row_before_the_answer_and_a_repeat_finds_it() {
    let world = world();
    let job = world.add(daily()).await;
    let request = world.request();
    let input = json!({ "jobId": "daily", "mode": "force" });
    *world.outside.fails.lock().unwrap() = Some("invoke");
    assert!(run_now(&request, &input).await.is_err(), "the hand-over failed");
    *world.outside.fails.lock().unwrap() = None;
    world.clock.advance(TimeDelta::minutes(3));
    let stamp = Stamp { repeated: true, ..request.stamp };
    let repeat = Request { stamp, now: world.clock.now(), ..request };
    let Ran::Enqueued(key) = run_now(&repeat, &input).await.unwrap() else { panic!() };
    let runs = world.runs_of(&job.job_id).await;
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((&run.key, &run.state, run.origin), (&key, &State::Due, Origin::Manual));
    assert_eq!(run.prompt, Text::Inline("[cron:daily Daily] Summarize.".to_owned()));
    assert_eq!(world.outside.envelopes.lock().unwrap().last().unwrap().kind, Wake::Resume { r: key });
    assert!(
        matches!(run_now(&world.request(), &input).await.unwrap(), Ran::Enqueued(_)),
        "force runs beside a live one"
    );
    assert_eq!(world.runs_of(&job.job_id).await.len(), 2);
}

#[tokio::test]
async fn due_runs_only_what_is_due_and_once() {
    let world = world();
    let job = world.add(daily()).await;
    let due = json!({ "jobId": "daily", "mode": "due" });
    assert_eq!(run_now(&world.request(), &due).await.unwrap(), Ran::Not("not-due"));
    world.clock.advance_to("2026-11-21T07:31:00Z".parse().unwrap());
    let Ran::Enqueued(key) = run_now(&world.request(), &due).await.unwrap() else { panic!() };
    assert_eq!(key.as_str(), "daily_20261121T073000Z", "the key its own timer would use");
    let runs = world.runs_of(&job.job_id).await;
    assert_eq!((runs.len(), &runs[0].lease), (1, &None));
    assert_eq!(run_now(&world.request(), &due).await.unwrap(), Ran::Not("not-due"));
    update(&world.request(), &json!({ "jobId": "daily", "patch": { "enabled": false } })).await.unwrap();
    for mode in ["due", "if-enabled"] {
        let asked = run_now(&world.request(), &json!({ "jobId": "daily", "mode": mode })).await.unwrap();
        assert_eq!(asked, Ran::Not("disabled"));
    }
    assert!(matches!(run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap(), Ran::Enqueued(_)));
}

#[tokio::test]
async fn whoever_asks_for_what_is_due_uses_up_no_occurrence() {
    for (overlap, queued, meanwhile) in [
        ("skip", false, false),
        ("skip", false, true),
        ("queue", false, false),
        ("queue", true, false),
        ("queue", true, true),
    ] {
        let case = format!("{overlap}, queued {queued}, meanwhile {meanwhile}");
        let mut world = world();
        let faulty = Arc::new(Faulty::new(world.deps.store.clone()));
        world.deps.store = faulty.clone();
        // An occurrence that was skipped would raise an alert, for which nobody is called here either.
        let alert = json!({ "after": 1, "includeSkipped": true });
        let set = json!({ "path": "cron.failureAlert", "value": alert });
        config_set(&world.request(), &set).await.unwrap();
        let mut job = daily();
        job["overlap"] = json!(overlap);
        world.add(job).await;
        world.clock.advance_to("2026-11-21T07:31:00Z".parse().unwrap());
        let lives = move |store: Arc<dyn Store>| async move {
            let mut record = store.job(&JobId::parse("daily").unwrap()).await.unwrap().unwrap();
            record.rev += 1;
            let other = RunKey::parse("daily_m01KAHJ5Z3MW4E6R8T0YA").unwrap();
            if queued { &mut record.waiting } else { &mut record.active }.push(other);
            assert_eq!(store.commit(&[Write::Job(&record)]).await.unwrap(), Outcome::Applied);
        };
        if meanwhile {
            faulty.next([Mishap::First(Box::new(move |store| Box::pin(lives(store))))]);
        } else {
            lives(world.deps.store.clone()).await;
        }
        world.outside.calls();
        let asked = run_now(&world.request(), &json!({ "jobId": "daily", "mode": "due" })).await.unwrap();
        assert_eq!(asked, Ran::Not("already-running"), "{case}");
        let job = get(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
        let due: DateTime<Utc> = "2026-11-21T07:30:00Z".parse().unwrap();
        assert_eq!(job.state.next_run_at_ms, Some(due.timestamp_millis()), "{case}: it is left to its timer");
        assert!(world.runs_of(&job.job_id).await.is_empty(), "{case}");
        assert!(world.outside.calls().is_empty(), "{case}");
    }
}

#[tokio::test]
async fn a_run_that_has_not_begun_is_canceled_at_once_and_again_without_harm() {
    let world = world();
    world.add(daily()).await;
    let Ran::Enqueued(key) = run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap() else { panic!() };
    for _ in 0..2 {
        let canceled = cancel(&world.request(), &json!({ "runId": key })).await.unwrap();
        assert_eq!((canceled.canceled, canceled.state), (true, "canceled"));
    }
    let unknown = json!({ "runId": "daily_20200101T000000Z" });
    assert!(matches!(cancel(&world.request(), &unknown).await, Err(Refusal::NoRun(_))));
}

#[tokio::test]
async fn a_long_text_is_in_the_blob_store_and_whole_wherever_it_is_read() {
    let world = world();
    let long = "é".repeat(INLINE_MAX);
    let mut input = daily();
    input["payload"]["message"] = json!(long);
    world.add(input).await;
    let id = JobId::parse("daily").unwrap();
    let row = world.deps.store.job(&id).await.unwrap().unwrap();
    assert!(row.message_blob.as_ref().unwrap().starts_with("jobs/daily/"));
    assert!(row.job.payload.text().len() < 4096);
    assert_eq!(load_job(&world.deps, &id).await.unwrap().unwrap().job.payload.text(), long);
    assert_eq!(list(&world.request(), &json!({})).await.unwrap().rows[0].payload.text(), long);
    let renamed = update(&world.request(), &json!({ "jobId": "daily", "patch": { "name": "n" } })).await.unwrap();
    assert_eq!(renamed.payload.text(), long);
    run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
    let runs = world.runs_of(&id).await;
    let Text::Blob { bytes, .. } = &runs[0].prompt else { panic!() };
    assert!(*bytes > long.len() as u64);
}

#[tokio::test]
async fn lists_are_paged_filtered_and_keep_to_their_own_cursors() {
    let world = world();
    for n in 0..5 {
        let mut job = daily();
        job["jobId"] = json!(format!("job-{n}"));
        job["name"] = json!(format!("Job {n}"));
        job["enabled"] = json!(n != 2);
        world.add(job).await;
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = list(&world.request(), &json!({ "limit": 2, "cursor": cursor })).await.unwrap();
        seen.extend(page.rows.into_iter().map(|job| job.name));
        match page.next {
            Some(next) => cursor = json!(next),
            None => break,
        }
    }
    assert_eq!(seen, ["Job 0", "Job 1", "Job 3", "Job 4"]);
    assert_eq!(list(&world.request(), &json!({ "includeDisabled": true })).await.unwrap().rows.len(), 5);
    for bad in [json!({ "cursor": "x" }), json!({ "limit": 0 }), json!({ "limit": 201 }), json!({ "page": 1 })] {
        assert!(matches!(list(&world.request(), &bad).await, Err(Refusal::Invalid(_))), "{bad}");
    }
}

#[tokio::test]
async fn runs_of_all_jobs_are_paged_day_by_day() {
    let world = world();
    world.add(daily()).await;
    for _ in 0..3 {
        for _ in 0..2 {
            run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
        }
        world.clock.advance(TimeDelta::days(2));
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = runs(&world.request(), &json!({ "limit": 1, "cursor": cursor })).await.unwrap();
        seen.extend(page.rows.into_iter().map(|row| row.run.created_at));
        match page.next {
            Some(next) => cursor = json!(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|newer, older| newer >= older));
    assert!(runs(&world.request(), &json!({ "status": "ok" })).await.unwrap().rows.is_empty());
    assert_eq!(runs(&world.request(), &json!({ "statuses": ["running"] })).await.unwrap().rows.len(), 6);
}

#[tokio::test]
async fn a_configuration_with_a_secret_a_bad_zone_or_an_old_revision_is_refused() {
    let world = world();
    let apply = async |input: Value| config_apply(&world.request(), &input).await;
    let refused = [
        (
            json!({ "config": { "providers": { "anthropic": { "apiKey": "sk-ant-api03-x" } } } }),
            "config.providers.anthropic.apiKey",
        ),
        (json!({ "config": { "hooks": { "token": "file:x" } } }), "config.hooks.token"),
        (json!({ "config": { "cron": { "timezone": "Mars/Phobos" } } }), "config.cron.timezone"),
        (json!({ "config": { "cron": { "minIntervalMs": 1000 } } }), "config.cron.minIntervalMs"),
        (json!({ "config": { "corn": {} } }), "config.corn"),
        (json!({}), "config"),
    ];
    for (input, field) in refused {
        let Err(Refusal::Invalid(faults)) = apply(input.clone()).await else { panic!("{input}") };
        assert_eq!(faults[0].field, field);
    }
    let good = json!({ "config": { "cron": { "maxConcurrentRuns": 2 } }, "expectedRevision": 0 });
    assert_eq!(apply(good.clone()).await.unwrap().revision, 1);
    assert_eq!(apply(good).await.unwrap().revision, 1, "a repeat finds its own document");
    let late = json!({ "config": {}, "expectedRevision": 0 });
    assert!(matches!(apply(late).await, Err(Refusal::ConfigChanged { expected: 0, found: 1 })));
}

#[tokio::test]
async fn jobs_without_a_zone_follow_the_configured_one() {
    let world = world();
    world.add(daily()).await;
    let mut fixed = daily();
    fixed["jobId"] = json!("fixed");
    fixed["schedule"]["tz"] = json!("UTC");
    world.add(fixed).await;
    let config = json!({ "config": { "cron": { "timezone": "Asia/Tokyo" } } });
    assert_eq!(config_apply(&world.request(), &config).await.unwrap().jobs_moved, 1);
    let job = get(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
    assert_eq!(
        job.state.next_run_at_ms,
        Some("2026-11-20T22:30:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    );
    let timers = world.outside.timers.lock().unwrap();
    let timer = timers.iter().find(|timer| timer.name == "j-daily").unwrap();
    assert!(matches!(&timer.spec, TimerSpec::Recurring { timezone, .. } if timezone == "Asia/Tokyo"));
}
