//! A next run that was moved, once.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::JobId;
use nightshift_domain::run::State;
use serde_json::{Value, json};

use super::{World, at, world};
use crate::deps::Invocation;
use crate::jobs::{get, next_check, remove, update};
use crate::runs::{Fire, Fired, Scene, fire, load_config};
use crate::{Clock, jobs};

fn hourly(more: &Value) -> Value {
    let mut job = json!({ "jobId": "hourly", "schedule": { "kind": "cron", "expr": "0 * * * *", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": "Look." }, "delivery": { "mode": "none" } });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-11-20T{text}:00Z").parse().unwrap()
}

impl World {
    /// Moves the next run; answers when it shows to be.
    async fn moves(&self, job: &str, to: DateTime<Utc>) -> Result<Option<i64>, jobs::Refusal> {
        let config = load_config(&self.deps).await.unwrap();
        let scene = Scene { deps: &self.deps, invocation: &self.invocation, config: &config };
        let id = JobId::parse(job).unwrap();
        next_check(scene, &self.request(), &id, to).await.map(|job| job.state.next_run_at_ms)
    }

    async fn fires(&self, scheduled: DateTime<Utc>, slot: Option<DateTime<Utc>>) -> Fired {
        self.clock.advance_to(scheduled.max(self.clock.now()));
        let config = load_config(&self.deps).await.unwrap();
        let scene = Scene { deps: &self.deps, invocation: &self.invocation, config: &config };
        let job = JobId::parse("hourly").unwrap();
        let generation = self.deps.store.job(&job).await.unwrap().unwrap().generation;
        fire(scene, &Fire { job, generation, scheduled, slot, not_before: slot }).await.unwrap()
    }

    /// Its records, oldest first: when, and why not.
    async fn told(&self) -> Vec<(String, String)> {
        let mut runs = self.runs_of(&JobId::parse("hourly").unwrap()).await;
        runs.reverse();
        // There is no model here: a run that was begun fails.
        let word = |state: &State| {
            if let State::Skipped { reason } = state { reason.clone() } else { state.name().to_owned() }
        };
        runs.iter().map(|run| (run.slot.format("%H:%M").to_string(), word(&run.state))).collect()
    }

    async fn next_of(&self, job: &str) -> Option<String> {
        let job = get(&self.request(), &json!({ "jobId": job })).await.unwrap();
        let at = DateTime::from_timestamp_millis(job.state.next_run_at_ms?)?;
        Some(at.format("%H:%M:%S").to_string())
    }

    /// Failures do not hold up what comes next.
    async fn forgives(&self) {
        let id = JobId::parse("hourly").unwrap();
        let mut record = self.deps.store.job(&id).await.unwrap().unwrap();
        record.rev += 1;
        record.hold_until = None;
        let _ = self.deps.store.commit(&[crate::ports::Write::Job(&record)]).await.unwrap();
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(at, word)| ((*at).to_owned(), (*word).to_owned())).collect()
}

#[tokio::test]
async fn occurrences_before_it_are_skipped_with_a_record_and_later_ones_run_as_ever() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    assert_eq!(world.moves("hourly", time("15:20")).await.unwrap(), Some(time("15:20").timestamp_millis()));
    assert_eq!(world.outside.calls().last().map(String::as_str), Some("arm o-hourly-20261120T152000Z-1"));
    for hour in ["13:00", "14:00", "15:00"] {
        assert!(matches!(world.fires(time(hour), None).await, Fired::Recorded(_)));
        assert_eq!(world.next_of("hourly").await.as_deref(), Some("15:20:00"));
    }
    assert!(matches!(world.fires(time("15:20"), Some(time("15:20"))).await, Fired::Driven(_)));
    world.forgives().await;
    assert!(matches!(world.fires(time("16:00"), None).await, Fired::Driven(_)));
    let told = [
        ("13:00", "next_check"),
        ("14:00", "next_check"),
        ("15:00", "next_check"),
        ("15:20", "failed"),
        ("16:00", "failed"),
    ];
    assert_eq!(world.told().await, pairs(&told));
    // Its own fire once more finds the run, and is no stray.
    assert!(matches!(world.fires(time("15:20"), Some(time("15:20"))).await, Fired::Recorded(_)));
    let record = world.deps.store.job(&JobId::parse("hourly").unwrap()).await.unwrap().unwrap();
    assert_eq!((record.check, record.stray_fires, record.ahead.len()), (None, 0, 0));
}

#[tokio::test]
async fn a_run_that_is_moved_nearer_comes_before_the_next_occurrence() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("12:20")).await.unwrap();
    assert!(matches!(world.fires(time("12:20"), Some(time("12:20"))).await, Fired::Driven(_)));
    world.forgives().await;
    assert!(matches!(world.fires(time("13:00"), None).await, Fired::Driven(_)));
    assert_eq!(world.told().await, pairs(&[("12:20", "failed"), ("13:00", "failed")]));
}

#[tokio::test]
async fn a_move_onto_an_occurrence_is_that_occurrence_once() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("14:00")).await.unwrap();
    world.fires(time("13:00"), None).await;
    assert!(matches!(world.fires(time("14:00"), Some(time("14:00"))).await, Fired::Driven(_)));
    assert!(matches!(world.fires(time("14:00"), None).await, Fired::Recorded(_)));
    assert_eq!(world.told().await, pairs(&[("13:00", "next_check"), ("14:00", "failed")]));
}

#[tokio::test]
async fn whatever_its_timers_lost_is_made_up_for_at_the_next_look() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("15:20")).await.unwrap();
    world.fires(time("13:00"), None).await;
    // Nothing fires until then: neither the skipped occurrences nor the one it was moved to.
    world.clock.advance_to(time("15:40"));
    let config = load_config(&world.deps).await.unwrap();
    let invocation = Invocation { id: "inv-s".into(), deadline: world.clock.now() + TimeDelta::minutes(10) };
    let scene = Scene { deps: &world.deps, invocation: &invocation, config: &config };
    crate::sweep::sweep(scene).await.unwrap();
    let told = [("13:00", "next_check"), ("14:00", "next_check"), ("15:00", "next_check"), ("15:20", "due")];
    assert_eq!(world.told().await, pairs(&told));
    assert_eq!(world.next_of("hourly").await.as_deref(), Some("16:00:00"));
}

#[tokio::test]
async fn occurrences_that_come_late_and_out_of_order_have_their_record() {
    let world = world();
    world.add(hourly(&json!({ "overlap": "allow" }))).await;
    world.moves("hourly", time("13:05")).await.unwrap();
    // Its own timer is faster than the retries of the occurrence before it.
    assert!(matches!(world.fires(time("13:05"), Some(time("13:05"))).await, Fired::Driven(_)));
    world.forgives().await;
    world.clock.advance_to(time("13:07"));
    assert!(matches!(world.fires(time("13:00"), None).await, Fired::Recorded(_)));
    assert!(matches!(world.fires(time("14:00"), None).await, Fired::Driven(_)));
    assert_eq!(world.told().await, pairs(&[("13:00", "next_check"), ("13:05", "failed"), ("14:00", "failed")]));
    let record = world.deps.store.job(&JobId::parse("hourly").unwrap()).await.unwrap().unwrap();
    assert_eq!((record.check, record.ahead.len()), (None, 0));
}

#[tokio::test]
async fn the_start_is_to_the_second_whatever_the_stagger() {
    let world = world();
    let schedule = json!({ "kind": "cron", "expr": "0 * * * *", "staggerMs": 299_500 });
    world.add(hourly(&json!({ "schedule": schedule }))).await;
    let shown = world.moves("hourly", time("15:20")).await.unwrap().unwrap();
    let off = (shown - time("15:20").timestamp_millis()).abs();
    assert!(off < 1000, "{off}");
}

#[tokio::test]
async fn a_second_move_takes_the_place_of_the_first() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("15:20")).await.unwrap();
    world.outside.calls();
    assert_eq!(world.moves("hourly", time("14:10")).await.unwrap(), Some(time("14:10").timestamp_millis()));
    assert_eq!(world.outside.calls(), ["arm o-hourly-20261120T141000Z-1", "remove o-hourly-20261120T152000Z-1"]);
    world.fires(time("13:00"), None).await;
    world.fires(time("14:00"), None).await;
    assert!(matches!(world.fires(time("14:10"), Some(time("14:10"))).await, Fired::Driven(_)));
    world.forgives().await;
    world.fires(time("15:00"), None).await;
    assert_eq!(world.fires(time("15:20"), Some(time("15:20"))).await, Fired::Stray);
    let told = [("13:00", "next_check"), ("14:00", "next_check"), ("14:10", "failed"), ("15:00", "failed")];
    assert_eq!(world.told().await, pairs(&told));
}

#[tokio::test]
async fn another_timing_forgets_it_and_another_name_does_not() {
    let world = world();
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("15:20")).await.unwrap();
    let patch =
        async |patch: Value| update(&world.request(), &json!({ "jobId": "hourly", "patch": patch })).await.unwrap();
    patch(json!({ "name": "Renamed" })).await;
    assert_eq!(world.next_of("hourly").await.as_deref(), Some("15:20:00"));
    world.outside.calls();
    patch(json!({ "enabled": false })).await;
    assert!(world.outside.calls().contains(&"remove o-hourly-20261120T152000Z-1".to_owned()));
    patch(json!({ "enabled": true })).await;
    assert_eq!(world.next_of("hourly").await.as_deref(), Some("13:00:00"));
    world.moves("hourly", time("15:20")).await.unwrap();
    world.outside.calls();
    remove(&world.request(), &json!({ "jobId": "hourly" })).await.unwrap();
    assert_eq!(world.outside.calls(), ["remove j-hourly", "remove o-hourly-20261120T152000Z-3"]);
}

#[tokio::test]
async fn a_job_without_a_next_run_to_move_is_refused() {
    let world = world();
    world.add(at("2026-11-20T18:00:00Z")).await;
    assert!(matches!(world.moves("once", time("15:20")).await, Err(jobs::Refusal::Invalid(_))));
    world.add(hourly(&json!({ "enabled": false }))).await;
    assert!(matches!(world.moves("hourly", time("15:20")).await, Err(jobs::Refusal::Invalid(_))));
    assert!(matches!(world.moves("nobody", time("15:20")).await, Err(jobs::Refusal::NoJob(_))));
}

#[tokio::test]
async fn doctor_knows_the_timer_of_a_moved_run() {
    let mut world = world();
    world.invocation.deadline += TimeDelta::hours(1);
    world.add(hourly(&json!({}))).await;
    world.moves("hourly", time("15:20")).await.unwrap();
    // What was changed a moment ago is not judged yet.
    world.clock.advance(TimeDelta::minutes(10));
    let mut link = world.outside.timers.lock().unwrap()[0].clone();
    link.name = "o-hourly-20261120T152000Z-1".to_owned();
    world.outside.timers.lock().unwrap().push(link.clone());
    let kinds = async || {
        let checkup = jobs::doctor(&world.request(), &json!({})).await.unwrap();
        let of_job = checkup.findings.into_iter().filter(|finding| finding.job.is_some());
        of_job.map(|finding| finding.timer.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, Vec::<String>::new());
    link.name = "o-hourly-20261120T152100Z-1".to_owned();
    world.outside.timers.lock().unwrap().push(link);
    assert_eq!(kinds().await, ["o-hourly-20261120T152100Z-1"], "another one is left over");
}
