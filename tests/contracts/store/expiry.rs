//! Letting the older runs of a job go.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::run::{Run, State, Text};
use nightshift_engine::ports::{RunFilter, Write};

use super::fixtures::{chunk, first, job_id, live, run, write};
use super::worlds::{World, start};

fn ended(job: &str, minute: i64) -> Run {
    Run { state: State::Succeeded, ..run(job, minute) }
}

fn minute(minute: i64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(minute)
}

async fn kept_until(world: &World, run: &Run, expires_at: Option<DateTime<Utc>>) {
    write(&*world.store, &[Write::Run { run, expires_at }]).await;
}

/// The minutes of the runs of `a` that are there.
async fn there(world: &World) -> Vec<i64> {
    let runs = world.store.runs(&RunFilter::OfJob(job_id("a")), &first(200)).await.unwrap().items;
    runs.iter().rev().map(|run| (run.slot - start()).num_minutes()).collect()
}

pub(crate) async fn ended_runs_before_the_slot_expire_and_no_others(world: &World) {
    let (month, day) = (start() + TimeDelta::days(30), start() + TimeDelta::days(1));
    for (at, expires_at) in [(0, Some(month)), (1, None), (2, Some(month)), (4, Some(month))] {
        kept_until(world, &ended("a", at), expires_at).await;
    }
    // A live one, one of another job, and one of a job whose id begins alike.
    write(&*world.store, &[live(&run("a", 3))]).await;
    kept_until(world, &ended("b", 0), Some(month)).await;
    kept_until(world, &ended("a-b", 0), Some(month)).await;
    let part = chunk(&ended("a", 0), "final", 0);
    write(&*world.store, &[Write::Chunk { chunk: &part, expires_at: month }]).await;

    let expire = |before| async move { world.store.expire_runs(&job_id("a"), before, day).await.unwrap() };
    assert_eq!(expire(minute(0)).await, 0, "no slot lies before the first one");
    assert_eq!(expire(minute(2)).await, 2, "the slot itself stays");
    assert_eq!(expire(minute(2)).await, 0, "a repeat finds nothing to do");
    assert_eq!(there(world).await, [0, 1, 2, 3, 4], "they are there until their time");
    assert_eq!(expire(minute(4)).await, 1, "a live run is left alone");
    world.clock.advance_to(day + TimeDelta::seconds(1));
    assert_eq!(there(world).await, [3, 4]);
    for job in ["b", "a-b"] {
        assert!(world.store.run(&ended(job, 0).key).await.unwrap().is_some(), "{job} is another job");
    }
    assert_eq!(world.store.chunks(&part.run, "final").await.unwrap(), [part]);
    assert_eq!(world.store.run(&run("a", 3).key).await.unwrap(), Some(run("a", 3)), "its row is as it was");
}

pub(crate) async fn every_state_but_the_ended_ones_is_live(world: &World) {
    let failed = State::Failed { code: "x".into(), message: "x".into() };
    let over = [
        State::Succeeded,
        State::DeliveryFailed,
        State::DeliveryUnknown,
        failed,
        State::Skipped { reason: "x".into() },
        State::Canceled,
    ];
    let going = [State::Due, State::Delivering, State::Running { hop: 1, starts: 1, tries: 0 }];
    for (state, at) in over.into_iter().chain(going).zip(0..) {
        kept_until(world, &Run { state, ..run("a", at) }, None).await;
    }
    let at = start() + TimeDelta::days(1);
    assert_eq!(world.store.expire_runs(&job_id("a"), minute(100), at).await.unwrap(), 6);
    world.clock.advance_to(at + TimeDelta::seconds(1));
    assert_eq!(there(world).await, [6, 7, 8]);
}

pub(crate) async fn a_run_that_goes_earlier_keeps_its_time(world: &World) {
    let (hour, day) = (start() + TimeDelta::hours(1), start() + TimeDelta::days(1));
    kept_until(world, &ended("a", 0), Some(hour)).await;
    kept_until(world, &ended("a", 1), Some(day)).await;
    assert_eq!(world.store.expire_runs(&job_id("a"), minute(9), day).await.unwrap(), 0);
    assert_eq!(world.store.expire_runs(&job_id("a"), minute(9), hour).await.unwrap(), 1);
    world.clock.advance_to(hour + TimeDelta::seconds(1));
    assert_eq!(there(world).await, Vec::<i64>::new());
}

pub(crate) async fn runs_by_hand_expire_by_when_they_were_asked_for(world: &World) {
    // It sorts among the slots of its job by the time in its key.
    let key = RunKey::manual(&job_id("a"), "01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let slot = key.slot();
    kept_until(world, &Run { key, slot, created_at: slot, ..ended("a", 0) }, None).await;
    let at = start() + TimeDelta::days(1);
    assert_eq!(world.store.expire_runs(&job_id("a"), slot, at).await.unwrap(), 0);
    assert_eq!(world.store.expire_runs(&job_id("a"), slot + TimeDelta::seconds(1), at).await.unwrap(), 1);
}

/// DynamoDB reads a megabyte at a time (Query page, 2026-10).
pub(crate) async fn a_long_history_is_gone_through_to_its_end(world: &World) {
    let long = Some(Text::Inline("x".repeat(60_000)));
    for minute in 0..45 {
        kept_until(world, &Run { answer: long.clone(), ..ended("a", minute) }, None).await;
    }
    let at = start() + TimeDelta::days(1);
    assert_eq!(world.store.expire_runs(&job_id("a"), minute(40), at).await.unwrap(), 40);
    world.clock.advance_to(at + TimeDelta::seconds(1));
    assert_eq!(there(world).await, [40, 41, 42, 43, 44]);
}
