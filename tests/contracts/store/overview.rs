//! What `cron status` is made of: the table counts its jobs itself.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::JobRecord;
use nightshift_engine::ports::{Outcome, StoreErrorKind, Write};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::fixtures::{declared, job, job_id, live, run, write};
use super::worlds::{World, start};

/// The next write of `record`, switched on or off.
fn switched(record: &JobRecord, enabled: bool) -> JobRecord {
    let mut next = record.clone();
    next.rev += 1;
    next.job.enabled = enabled;
    next
}

/// A job that runs next `minute` minutes after the start.
fn next_at(id: &str, minute: i64) -> JobRecord {
    let mut record = job(id, id);
    record.job.state.next_run_at_ms = Some((start() + TimeDelta::minutes(minute)).timestamp_millis());
    record
}

/// How many jobs there are, and how many are switched on.
async fn counted(world: &World) -> (u64, u64) {
    let overview = world.store.overview().await.unwrap();
    assert_eq!(overview.counters, [], "jobs are not among the counters");
    (overview.jobs, overview.enabled_jobs)
}

pub(crate) async fn a_job_is_counted_from_when_it_is_added_until_it_is_removed(world: &World) {
    assert_eq!(counted(world).await, (0, 0));
    let added = job("a", "a");
    let off = switched(&added, false);
    let on = switched(&off, true);
    let same = switched(&on, true);
    let off_again = switched(&same, false);
    for (record, count) in [(&added, 1), (&off, 0), (&on, 1), (&same, 1), (&off_again, 0)] {
        write(&*world.store, &[Write::Job(record)]).await;
        assert_eq!(counted(world).await, (1, count));
        // A repeat after a lost answer.
        write(&*world.store, &[Write::Job(record)]).await;
        assert_eq!(counted(world).await, (1, count));
    }
    for _ in 0..2 {
        write(&*world.store, &[Write::RemoveJob(&off_again)]).await;
        assert_eq!(counted(world).await, (0, 0));
    }
    // Anew, under the same id.
    write(&*world.store, &[Write::Job(&added)]).await;
    assert_eq!(counted(world).await, (1, 1));
    write(&*world.store, &[Write::RemoveJob(&added)]).await;
    assert_eq!(counted(world).await, (0, 0));
}

pub(crate) async fn a_job_that_is_added_switched_off_is_counted_so(world: &World) {
    let mut off = declared("a", "key");
    off.job.enabled = false;
    let (on, of_run) = (job("b", "b"), run("b", 0));
    write(&*world.store, &[Write::Job(&off), Write::Job(&on), live(&of_run)]).await;
    assert_eq!(counted(world).await, (2, 1));
    // Both at once, each the other way.
    let (off, on) = (switched(&off, true), switched(&on, false));
    let commit = [Write::Job(&off), Write::Job(&on), Write::Count { name: "edits", by: 1 }];
    write(&*world.store, &commit).await;
    write(&*world.store, &commit).await;
    let overview = world.store.overview().await.unwrap();
    assert_eq!((overview.jobs, overview.enabled_jobs), (2, 1));
    assert_eq!(overview.counters, [("edits".to_owned(), 1)]);
}

pub(crate) async fn a_removal_that_misjudges_the_switch_counts_right(world: &World) {
    let added = job("a", "a");
    let stays = job("b", "b");
    write(&*world.store, &[Write::Job(&added), Write::Job(&stays)]).await;
    // A record whose switch was turned after it was read.
    let mut turned = added.clone();
    turned.job.enabled = false;
    write(&*world.store, &[Write::RemoveJob(&turned)]).await;
    assert_eq!(counted(world).await, (1, 1));
}

pub(crate) async fn a_commit_that_is_lost_leaves_the_counts_alone(world: &World) {
    let added = job("a", "a");
    write(&*world.store, &[Write::Job(&added)]).await;
    let on = switched(&added, true);
    write(&*world.store, &[Write::Job(&on)]).await;
    let other = job("b", "b");
    // From an older revision: whatever the switch, nothing moves.
    for enabled in [false, true] {
        let mut stale = switched(&added, enabled);
        stale.sequence = 9;
        assert_eq!(world.store.commit(&[Write::Job(&other), Write::Job(&stale)]).await.unwrap(), Outcome::Lost(1));
        assert_eq!(world.store.commit(&[Write::Job(&stale)]).await.unwrap(), Outcome::Lost(0));
        assert_eq!(world.store.commit(&[Write::RemoveJob(&added)]).await.unwrap(), Outcome::Lost(0));
        assert_eq!(counted(world).await, (1, 1));
    }
    // Turned at the right revision, beside a write that is lost.
    let (mut taken, off) = (run("a", 0), switched(&on, false));
    write(&*world.store, &[live(&taken)]).await;
    taken.sequence = 7;
    assert_eq!(world.store.commit(&[Write::Job(&off), live(&taken)]).await.unwrap(), Outcome::Lost(1));
    let commit = [Write::RemoveJob(&off), live(&taken)];
    assert_eq!(world.store.commit(&commit).await.unwrap(), Outcome::Lost(0));
    assert_eq!(counted(world).await, (1, 1));
    assert_eq!(world.store.job(&job_id("a")).await.unwrap(), Some(on));
}

pub(crate) async fn half_a_repeat_of_an_add_does_not_count(world: &World) {
    let (old, new) = (job("a", "a"), job("b", "b"));
    write(&*world.store, &[Write::Job(&old)]).await;
    assert_eq!(world.store.commit(&[Write::Job(&new), Write::Job(&old)]).await.unwrap(), Outcome::Lost(1));
    assert_eq!(counted(world).await, (1, 1));
}

pub(crate) async fn jobs_written_at_the_same_moment_are_all_counted(world: &World) {
    let mut writers = JoinSet::new();
    for n in 0..24 {
        let store = Arc::clone(&world.store);
        writers.spawn(async move {
            let added = job(&format!("job-{n}"), "a");
            let off = switched(&added, n % 3 != 0);
            write(&*store, &[Write::Job(&added)]).await;
            write(&*store, &[Write::Job(&off)]).await;
            if n % 4 == 0 {
                write(&*store, &[Write::RemoveJob(&off)]).await;
            }
        });
    }
    writers.join_all().await;
    // 6 of 24 are removed, and 8 switched off, 2 of which are removed.
    assert_eq!(counted(world).await, (18, 12));
}

pub(crate) async fn of_24_that_turn_the_switch_one_is_counted(world: &World) {
    let added = job("a", "a");
    write(&*world.store, &[Write::Job(&added)]).await;
    let mut writers = JoinSet::new();
    for n in 0..24 {
        let (store, mut off) = (Arc::clone(&world.store), switched(&added, false));
        off.sequence = n;
        writers.spawn(async move { store.commit(&[Write::Job(&off)]).await });
    }
    let outcomes: Vec<Outcome> = writers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
    assert_eq!(counted(world).await, (1, 0));
}

pub(crate) async fn a_job_of_before_jobs_were_counted_is_counted_with_its_next_write(world: &World) {
    let (first, second, third) = (job("a", "a"), job("b", "b"), job("c", "c"));
    write(&*world.store, &[Write::Job(&first), Write::Job(&second), Write::Job(&third)]).await;
    world.as_of_before_jobs_were_counted(&["a", "b", "c"]).await;
    let off = switched(&second, false);
    write(&*world.store, &[Write::Job(&switched(&first, true)), Write::Job(&off)]).await;
    write(&*world.store, &[Write::Job(&switched(&first, true)), Write::Job(&off)]).await;
    // One that was never counted takes nothing away.
    write(&*world.store, &[Write::RemoveJob(&third)]).await;
    assert_eq!(counted(world).await, (2, 1));
    write(&*world.store, &[Write::RemoveJob(&off)]).await;
    assert_eq!(counted(world).await, (1, 1));
}

async fn next_run(world: &World) -> Option<DateTime<Utc>> {
    world.store.overview().await.unwrap().next_run_at
}

pub(crate) async fn the_next_run_is_the_earliest_of_the_jobs_that_are_switched_on(world: &World) {
    let minute = |minute| Some(start() + TimeDelta::minutes(minute));
    assert_eq!(next_run(world).await, None);
    write(&*world.store, &[Write::Job(&job("never", "never"))]).await;
    assert_eq!(next_run(world).await, None);
    let (early, late) = (next_at("early", 5), next_at("late", 9));
    write(&*world.store, &[Write::Job(&late), Write::Job(&early)]).await;
    assert_eq!(next_run(world).await, minute(5));
    let off = switched(&early, false);
    write(&*world.store, &[Write::Job(&off)]).await;
    assert_eq!(next_run(world).await, minute(9));
    let on = switched(&off, true);
    write(&*world.store, &[Write::Job(&on)]).await;
    assert_eq!(next_run(world).await, minute(5));
    let moved = JobRecord { rev: 4, ..next_at("early", 12) };
    write(&*world.store, &[Write::Job(&moved)]).await;
    assert_eq!(next_run(world).await, minute(9));
    write(&*world.store, &[Write::RemoveJob(&late)]).await;
    assert_eq!(next_run(world).await, minute(12));
    let mut spent = switched(&moved, true);
    spent.job.state.next_run_at_ms = None;
    write(&*world.store, &[Write::Job(&spent)]).await;
    assert_eq!(next_run(world).await, None);
    assert_eq!(counted(world).await, (2, 2));
}

pub(crate) async fn the_configuration_is_shown_as_it_was_written_last(world: &World) {
    let shown = || async {
        let overview = world.store.overview().await.unwrap();
        (overview.config_revision, overview.cron_enabled)
    };
    assert_eq!(shown().await, (0, true));
    let (off, silent) = (json!({ "cron": { "enabled": false } }), json!({ "cron": { "timezone": "UTC" } }));
    for document in [&off, &off] {
        assert_eq!(world.store.put_config(document, 0).await.unwrap(), Outcome::Applied);
        assert_eq!(shown().await, (1, false));
    }
    assert_eq!(world.store.put_config(&silent, 0).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.put_config(&silent, 2).await.unwrap(), Outcome::Lost(0));
    assert_eq!(shown().await, (1, false));
    assert_eq!(world.store.put_config(&silent, 1).await.unwrap(), Outcome::Applied);
    assert_eq!(shown().await, (2, true));
    let none: Vec<(String, i64)> = Vec::new();
    assert_eq!(world.store.overview().await.unwrap().counters, none);
    assert_eq!(world.store.config().await.unwrap(), (2, silent));
    assert_eq!(world.store.put_config(&Value::Null, 2).await.unwrap(), Outcome::Applied);
    assert_eq!(shown().await, (3, true));
}

pub(crate) async fn a_counter_cannot_pass_for_another_row(world: &World) {
    for name in ["", "#JOBS#0", "#SETTINGS", "~HOLD#0000", "~", "über"] {
        let refused = world.store.commit(&[Write::Count { name, by: 1 }]).await.unwrap_err();
        assert_eq!(refused.kind, StoreErrorKind::Refused, "{name:?}");
    }
    write(&*world.store, &[Write::Count { name: "Z", by: 1 }, Write::Count { name: "z.~#", by: 2 }]).await;
    let counters = world.store.overview().await.unwrap().counters;
    assert_eq!(counters, [("Z".to_owned(), 1), ("z.~#".to_owned(), 2)]);
}
