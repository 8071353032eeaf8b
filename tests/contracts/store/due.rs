//! The due index: what the sweep is given.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{Run, State};
use nightshift_engine::ports::{DueItem, RunFilter, Write};

use super::fixtures::{after, batch, first, job, job_id, kept, leased, live, run, write};
use super::worlds::{World, start};

pub(crate) async fn what_is_due_comes_oldest_first_and_strictly_before_the_instant(world: &World) {
    // A run that nobody holds is due five minutes after its last change, a batch when its poll is.
    for of in [run("a", 10), run("a", 0), run("b", 5)] {
        write(&*world.store, &[live(&of)]).await;
    }
    let polled = Batch { next_poll_at: start() + TimeDelta::minutes(7), ..batch("01A", &BatchState::Creating) };
    write(&*world.store, &[kept(&polled)]).await;
    let minute = |minute| start() + TimeDelta::minutes(minute);
    let wanted = [
        DueItem::Run(run("a", 0).key),
        DueItem::Batch(polled.id.clone()),
        DueItem::Run(run("b", 5).key),
        DueItem::Run(run("a", 10).key),
    ];
    assert_eq!(world.store.due(minute(60), 100).await.unwrap(), wanted);
    assert_eq!(world.store.due(minute(60), 2).await.unwrap(), wanted[..2]);
    assert_eq!(world.store.due(minute(10), 100).await.unwrap(), wanted[..2]);
    assert_eq!(world.store.due(minute(5), 100).await.unwrap(), []);
}

pub(crate) async fn a_leased_run_is_due_when_its_lease_ends(world: &World) {
    let claimed = leased(&run("a", 0), "one", start() + TimeDelta::seconds(90));
    write(&*world.store, &[live(&claimed)]).await;
    let renewed = Run { rev: 2, ..leased(&claimed, "one", start() + TimeDelta::seconds(120)) };
    write(&*world.store, &[live(&renewed)]).await;
    assert_eq!(world.store.due(start() + TimeDelta::seconds(120), 10).await.unwrap(), []);
    let due = world.store.due(start() + TimeDelta::seconds(121), 10).await.unwrap();
    assert_eq!(due, [DueItem::Run(claimed.key)]);
}

pub(crate) async fn a_run_that_ended_and_a_batch_that_settled_are_due_no_more(world: &World) {
    let (created, creating) = (run("a", 0), batch("01A", &BatchState::Creating));
    write(&*world.store, &[live(&created), kept(&creating)]).await;
    assert_eq!(world.store.due(start() + TimeDelta::days(1), 10).await.unwrap().len(), 2);
    let ended = after(&created, State::Succeeded);
    let settled = Batch { rev: 2, state: BatchState::Settled { remote: None }, ..creating };
    let expires_at = Some(start() + TimeDelta::days(30));
    let commit = [Write::Run { run: &ended, expires_at }, Write::Batch { batch: &settled, expires_at }];
    write(&*world.store, &commit).await;
    assert_eq!(world.store.due(start() + TimeDelta::days(1), 10).await.unwrap(), []);
    let history = world.store.runs(&RunFilter::OfJob(job_id("a")), &first(9)).await;
    assert_eq!(history.unwrap().items, [ended]);
}

/// A job that runs next `minute` minutes after the start.
fn next_at(id: &str, minute: i64) -> JobRecord {
    let mut record = job(id, id);
    record.job.state.next_run_at_ms = Some((start() + TimeDelta::minutes(minute)).timestamp_millis());
    record
}

pub(crate) async fn a_job_is_due_from_its_next_run_until_that_moves(world: &World) {
    let due = |minute| async move { world.store.due(start() + TimeDelta::minutes(minute), 10).await.unwrap() };
    let item = |id| DueItem::Job(job_id(id));
    let (one, two) = (next_at("one", 5), next_at("two", 3));
    write(&*world.store, &[Write::Job(&one), Write::Job(&two), Write::Job(&job("never", "never"))]).await;
    assert_eq!(due(3).await, []);
    assert_eq!(due(4).await, [item("two")]);
    assert_eq!(due(60).await, [item("two"), item("one")]);
    let moved = JobRecord { rev: 2, ..next_at("two", 8) };
    write(&*world.store, &[Write::Job(&moved)]).await;
    assert_eq!(due(60).await, [item("one"), item("two")]);
    assert_eq!(due(8).await, [item("one")]);

    let mut disabled = JobRecord { rev: 2, ..one };
    disabled.job.enabled = false;
    write(&*world.store, &[Write::Job(&disabled)]).await;
    assert_eq!(due(60).await, [item("two")]);
    let enabled = JobRecord { rev: 3, ..next_at("one", 1) };
    write(&*world.store, &[Write::Job(&enabled)]).await;
    assert_eq!(due(60).await, [item("one"), item("two")]);
    let mut spent = JobRecord { rev: 4, ..enabled };
    spent.job.state.next_run_at_ms = None;
    write(&*world.store, &[Write::Job(&spent), Write::RemoveJob(&moved)]).await;
    assert_eq!(due(60).await, []);
}

pub(crate) async fn a_flood_of_one_kind_does_not_hide_the_others(world: &World) {
    for minute in 0..40 {
        write(&*world.store, &[live(&run("a", minute))]).await;
    }
    for n in 0..6 {
        let polled = Batch {
            next_poll_at: start() + TimeDelta::hours(n + 2),
            ..batch(&format!("01{n}"), &BatchState::Creating)
        };
        write(&*world.store, &[kept(&polled), Write::Job(&next_at(&format!("job-{n}"), 60 * (n + 10)))]).await;
    }
    let due = |limit| async move { world.store.due(start() + TimeDelta::days(2), limit).await.unwrap() };
    let kinds = |due: &[DueItem]| {
        due.iter().fold(BTreeMap::new(), |mut kinds: BTreeMap<&str, u32>, item| {
            let kind = match item {
                DueItem::Run(_) => "run",
                DueItem::Batch(_) => "batch",
                DueItem::Job(_) => "job",
                DueItem::Window(_) => "window",
            };
            *kinds.entry(kind).or_default() += 1;
            kinds
        })
    };
    assert_eq!(kinds(&due(12).await), BTreeMap::from([("run", 4), ("batch", 4), ("job", 4)]));
    assert_eq!(kinds(&due(30).await), BTreeMap::from([("run", 18), ("batch", 6), ("job", 6)]));
    assert_eq!(due(100).await.len(), 52);
    let three: Vec<DueItem> = due(3).await;
    let oldest = [DueItem::Run(run("a", 0).key), DueItem::Batch(batch("010", &BatchState::Creating).id)];
    assert_eq!(three, [&oldest[..], &[DueItem::Job(job_id("job-0"))]].concat());
}
