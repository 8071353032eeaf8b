//! Imports: of every job its own fate, a repeat that changes nothing, and what a cut leaves behind.

use crate::ports::DueItem;
use nightshift_domain::job::JobState;
use nightshift_domain::job::import::{JobOutcome, JobReport};
use serde_json::{Value, json};

use super::super::{Imported, import};
use super::*;

fn store() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../../../../tests/data/openclaw/cron/jobs.json")).unwrap();
    file["jobs"].as_array().unwrap().clone()
}

fn daily_from_elsewhere() -> Value {
    json!({ "id": "daily", "name": "Daily", "createdAtMs": 1_770_000_000_000_i64, "wakeMode": "now",
        "schedule": { "kind": "cron", "expr": "30 7 * * *", "tz": "UTC" },
        "payload": { "kind": "agentTurn", "message": "Summarize." }, "sessionTarget": "isolated", "delivery": { "mode": "none" } })
}

fn entry(at: &str, summary: &str) -> Value {
    let at = at.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
    json!({ "ts": at + 1_000, "jobId": "daily", "action": "finished", "status": "ok", "summary": summary,
        "runAtMs": at, "durationMs": 1_000 })
}

impl World {
    async fn import(&self, input: Value) -> Imported {
        import(&self.request(), &input).await.unwrap()
    }
}

fn outcomes(imported: &Imported) -> Vec<JobOutcome> {
    imported.jobs.iter().map(|job| job.outcome).collect()
}

fn named<'a>(imported: &'a Imported, name: &str) -> &'a JobReport {
    imported.jobs.iter().find(|job| job.name == name).unwrap()
}

#[tokio::test]
async fn every_job_has_its_own_fate_and_a_repeat_changes_nothing() {
    use JobOutcome::{Added, Refused, Unchanged};
    let world = world();
    let first = world.import(json!({ "jobs": store() })).await;
    let fate = |outcome| {
        [
            outcome, outcome, outcome, outcome, outcome, outcome, outcome, outcome, Refused, Refused, outcome, outcome,
            outcome, outcome, Refused,
        ]
    };
    assert_eq!(outcomes(&first), fate(Added));
    assert_eq!(world.jobs().await, 12);
    assert_eq!(first.notes.len(), 1, "the wake mode is told of once: {:?}", first.notes);
    let mut timers = world.outside.names();
    timers.sort();

    world.clock.advance(TimeDelta::hours(3));
    let second = world.import(json!({ "jobs": store() })).await;
    assert_eq!(outcomes(&second), fate(Unchanged));
    assert_eq!(world.jobs().await, 12);
    let mut again = world.outside.names();
    again.sort();
    assert_eq!(again, timers);
    let refused = named(&second, "Back up the notes");
    assert_eq!(
        (refused.faults[0].field.as_str(), refused.source_id.as_deref()),
        ("payload.kind", Some("0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e09"))
    );
}

#[tokio::test]
async fn an_imported_job_has_its_history_its_next_run_and_its_timer() {
    let world = world();
    world.import(json!({ "jobs": store() })).await;
    let id = JobId::parse("0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e02").unwrap();
    let job = load_job(&world.deps, &id).await.unwrap().unwrap().job;
    assert_eq!((job.state.consecutive_errors, job.created_at_ms), (3, 1_770_001_234_567));
    // Every two hours on its own grid: the point after noon.
    let next = job.state.next_run_at_ms.unwrap();
    assert_eq!((next - 1_770_001_800_000) % 7_200_000, 0);
    assert!(next > world.clock.now().timestamp_millis() && next <= world.clock.now().timestamp_millis() + 7_200_000);
    assert!(world.outside.names().contains(&id.timer_name()));
    // What is over has no timer that would fire.
    let late = "0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e05";
    assert!(!world.outside.names().iter().any(|name| name.contains(late)), "{:?}", world.outside.names());
    assert!(world.outside.envelopes.lock().unwrap().is_empty(), "nothing is fired by an import");
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let world = world();
    let request = json!({ "jobs": store(), "runs": [entry("2026-11-19T07:30:00Z", "x")], "dryRun": true });
    let dry = world.import(request).await;
    assert_eq!((world.jobs().await, world.outside.calls(), dry.runs.imported), (0, Vec::new(), 1));
    let real = world.import(json!({ "jobs": store() })).await;
    assert_eq!(outcomes(&dry), outcomes(&real));
    assert_eq!((dry.dry_run, real.dry_run), (true, false));
    assert_eq!(world.runs_of(&JobId::parse("daily").unwrap()).await, Vec::new());
}

#[tokio::test]
async fn another_definition_is_a_conflict_until_an_update_is_asked_for() {
    let world = world();
    world.import(json!({ "jobs": [daily_from_elsewhere()] })).await;
    let mut other = daily_from_elsewhere();
    other["schedule"]["expr"] = json!("45 8 * * *");
    other["state"] = json!({ "consecutiveErrors": 9 });
    let conflict = world.import(json!({ "jobs": [other.clone()] })).await;
    assert_eq!(outcomes(&conflict), [JobOutcome::Conflict]);
    assert_eq!(conflict.jobs[0].notes, ["there is a job of this id that differs in schedule; it stays as it is"]);
    let id = JobId::parse("daily").unwrap();
    let stored = || async { load_job(&world.deps, &id).await.unwrap().unwrap() };
    let before = stored().await;
    assert_eq!(before.job.state.consecutive_errors, 0);

    assert_eq!(outcomes(&world.import(json!({ "jobs": [other], "update": true })).await), [JobOutcome::Updated]);
    let after = stored().await;
    assert_eq!(after.generation, before.generation + 1);
    assert_eq!(after.job.state, JobState { next_run_at_ms: after.job.state.next_run_at_ms, ..before.job.state });
    assert_eq!(
        after.job.state.next_run_at_ms,
        Some("2026-11-21T08:45:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    );
    let timers = world.outside.timers.lock().unwrap();
    assert!(matches!(&timers[0].spec, TimerSpec::Recurring { expression, .. } if expression == "cron(45 8 * * ? *)"));
}

#[tokio::test]
async fn the_second_of_two_jobs_with_one_id_never_replaces_the_first() {
    let world = world();
    let mut other = daily_from_elsewhere();
    other["name"] = json!("Other");
    let both = world.import(json!({ "jobs": [daily_from_elsewhere(), other], "update": true })).await;
    assert_eq!(outcomes(&both), [JobOutcome::Added, JobOutcome::Conflict]);
}

#[tokio::test]
async fn a_declaration_key_that_is_taken_refuses_only_its_own_job() {
    let world = world();
    let mut declared = daily();
    declared["declarationKey"] = json!("team/weekly");
    world.add(declared).await;
    let report = world.import(json!({ "jobs": store() })).await;
    let weekly = named(&report, "Weekly report");
    assert_eq!((weekly.outcome, weekly.faults[0].field.as_str()), (JobOutcome::Refused, "declarationKey"));
    assert_eq!(named(&report, "Morning brief").outcome, JobOutcome::Added);
}

#[tokio::test]
async fn a_repeat_finishes_what_was_cut_off() {
    let world = world();
    *world.outside.fails.lock().unwrap() = Some("put");
    assert!(matches!(
        import(&world.request(), &json!({ "jobs": [daily_from_elsewhere()] })).await,
        Err(Refusal::Failed(_))
    ));
    assert_eq!((world.jobs().await, world.outside.names()), (1, Vec::new()), "the row is written, its timer is not");
    *world.outside.fails.lock().unwrap() = None;
    let again = world.import(json!({ "jobs": [daily_from_elsewhere()] })).await;
    assert_eq!(outcomes(&again), [JobOutcome::Unchanged]);
    assert_eq!(world.outside.names(), ["j-daily"]);
}

#[tokio::test]
async fn a_one_shot_that_had_its_run_here_does_not_come_back() {
    let world = world();
    let job = json!({ "id": "once", "name": "Once", "wakeMode": "now", "deleteAfterRun": true, "sessionTarget": "main",
        "schedule": { "kind": "at", "at": "2026-11-20T12:30:00Z" }, "payload": { "kind": "systemEvent", "text": "ping" } });
    assert_eq!(outcomes(&world.import(json!({ "jobs": [job] })).await), [JobOutcome::Added]);
    world.clock.advance(TimeDelta::minutes(31));
    let id = JobId::parse("once").unwrap();
    let slot = "2026-11-20T12:30:00Z".parse().unwrap();
    let record = world.deps.store.job(&id).await.unwrap().unwrap();
    let key = nightshift_domain::RunKey::of_slot(&id, slot);
    let mut run = crate::runs::new_run(&world.deps, &record, key, Origin::Schedule, slot).await.unwrap();
    run.state = State::Succeeded;
    run.ended_at = Some(slot);
    let write = crate::ports::Write::Run { run: &run, expires_at: None };
    world.deps.store.commit(&[write]).await.unwrap();
    remove(&world.request(), &json!({ "jobId": "once" })).await.unwrap();
    let again = world.import(json!({ "jobs": [job] })).await;
    assert_eq!((outcomes(&again), world.jobs().await), (vec![JobOutcome::Unchanged], 0));
    assert!(again.jobs[0].notes.iter().any(|note| note.contains("had its run here")), "{:?}", again.jobs[0].notes);
}

#[tokio::test]
async fn runs_become_history_once_and_leave_their_job_alone() {
    let world = world();
    world.import(json!({ "jobs": [daily_from_elsewhere()] })).await;
    let id = JobId::parse("daily").unwrap();
    let before = world.deps.store.job(&id).await.unwrap().unwrap();
    let long = "x".repeat(INLINE_MAX + 1);
    let runs = json!([
        entry("2026-11-18T07:30:00Z", "First."), entry("2026-11-19T07:30:00Z", &long),
        entry("2026-11-18T07:30:00Z", "First."), entry("2026-10-01T07:30:00Z", "Too old."),
        { "jobId": "daily", "ts": 5, "action": "started" },
    ]);
    let first = world.import(json!({ "runs": runs })).await.runs;
    assert_eq!((first.imported, first.unchanged, first.expired), (2, 1, 1));
    assert_eq!((first.refused.len(), first.refused[0].line), (1, Some(5)));
    let second = world.import(json!({ "runs": runs })).await.runs;
    assert_eq!((second.imported, second.unchanged, second.expired), (0, 3, 1));

    let listed = runs_of(&world).await;
    let told: Vec<_> = listed.iter().map(|shown| shown.answer.as_deref().unwrap()).collect();
    assert_eq!(told, [long.as_str(), "First."]);
    assert!(listed.iter().all(|shown| shown.run.origin == Origin::Import && shown.run.job_name == "Daily"));
    assert_eq!(world.deps.store.job(&id).await.unwrap().unwrap(), before);
    let due = world.deps.store.due(world.clock.now() + TimeDelta::days(400), 10).await.unwrap();
    assert!(due.iter().all(|item| matches!(item, DueItem::Job(_))), "no imported run is looked after: {due:?}");
}

async fn runs_of(world: &World) -> Vec<super::super::Shown> {
    runs(&world.request(), &json!({ "jobId": "daily" })).await.unwrap().rows
}

#[tokio::test]
async fn history_goes_when_it_is_as_old_as_ours_may_be() {
    let world = world();
    world.import(json!({ "runs": [entry("2026-11-19T07:30:00Z", "Soon gone.")] })).await;
    assert_eq!(runs_of(&world).await.len(), 1);
    world.clock.advance(TimeDelta::days(29));
    assert_eq!(runs_of(&world).await.len(), 0, "thirty days after it ended, not after it was imported");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_changes_nothing() {
    let world = world();
    let many: Vec<Value> = (0..101).map(|_| daily_from_elsewhere()).collect();
    for input in
        [json!({ "jobs": {} }), json!({ "jobs": many }), json!({ "jobs": [], "force": true }), json!({ "runs": 3 })]
    {
        assert!(matches!(import(&world.request(), &input).await, Err(Refusal::Invalid(_))));
    }
    assert_eq!(world.jobs().await, 0);
    assert_eq!(world.import(json!({})).await.jobs, Vec::new());
}
