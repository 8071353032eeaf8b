//! Conditions, transactions and repeats.

use chrono::TimeDelta;
use nightshift_domain::model::Role;
use nightshift_domain::run::{Run, Said, State, Text};
use nightshift_engine::ports::{Outcome, StoreErrorKind, Write};
use tokio::task::JoinSet;

use super::fixtures::{after, chunk, job, leased, live, run, write};
use super::worlds::{World, start};

pub(crate) async fn a_created_run_is_read_back_whole(world: &World) {
    let created = leased(&run("a", 0), "one", start() + TimeDelta::seconds(90));
    write(&*world.store, &[live(&created)]).await;
    assert_eq!(world.store.run(&created.key).await.unwrap(), Some(created));
    assert_eq!(world.store.run(&run("a", 1).key).await.unwrap(), None);
}

pub(crate) async fn a_second_create_is_lost_and_changes_nothing(world: &World) {
    let mine = leased(&run("a", 0), "one", start());
    let theirs = leased(&run("a", 0), "two", start());
    write(&*world.store, &[live(&mine)]).await;
    assert_eq!(world.store.commit(&[live(&theirs)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.run(&mine.key).await.unwrap(), Some(mine));
}

pub(crate) async fn an_update_from_an_older_revision_is_lost_and_changes_nothing(world: &World) {
    let created = run("a", 0);
    let delivering = after(&created, State::Delivering);
    write(&*world.store, &[live(&created)]).await;
    write(&*world.store, &[live(&delivering)]).await;
    let stale = after(&created, State::Canceled);
    assert_eq!(world.store.commit(&[live(&stale)]).await.unwrap(), Outcome::Lost(0));
    let ahead = Run { rev: 4, ..stale };
    assert_eq!(world.store.commit(&[live(&ahead)]).await.unwrap(), Outcome::Lost(0));
    let of_none = Run { key: run("a", 9).key, rev: 2, ..delivering.clone() };
    assert_eq!(world.store.commit(&[live(&of_none)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.run(&created.key).await.unwrap(), Some(delivering));
}

pub(crate) async fn a_repeat_after_a_lost_answer_is_applied(world: &World) {
    let created = run("a", 0);
    let delivering = after(&created, State::Delivering);
    for record in [&created, &delivering] {
        write(&*world.store, &[live(record)]).await;
        write(&*world.store, &[live(record)]).await;
    }
    // The first write again, but after the second: that is no repeat of the latest.
    assert_eq!(world.store.commit(&[live(&created)]).await.unwrap(), Outcome::Lost(0));
}

pub(crate) async fn a_repeated_transaction_is_applied_and_counts_once(world: &World) {
    let (record, created) = (job("a", "a"), run("a", 0));
    let commit = [Write::Job(&record), live(&created), Write::Count { name: "runs", by: 1 }];
    write(&*world.store, &commit).await;
    write(&*world.store, &commit).await;
    assert_eq!(world.store.overview().await.unwrap().counters, [("runs".to_owned(), 1)]);
}

pub(crate) async fn half_a_repeat_is_lost(world: &World) {
    let (old, new) = (run("a", 0), run("a", 1));
    write(&*world.store, &[live(&old)]).await;
    assert_eq!(world.store.commit(&[live(&new), live(&old)]).await.unwrap(), Outcome::Lost(1));
    assert_eq!(world.store.run(&new.key).await.unwrap(), None);
}

pub(crate) async fn a_transaction_writes_all_or_nothing_and_names_the_write_that_lost(world: &World) {
    let (mine, taken) = (run("a", 0), run("a", 1));
    write(&*world.store, &[live(&leased(&taken, "other", start()))]).await;
    let part = chunk(&mine, "final", 0);
    let expires_at = start() + TimeDelta::days(30);
    let commit =
        [Write::Count { name: "runs", by: 1 }, live(&mine), Write::Chunk { chunk: &part, expires_at }, live(&taken)];
    assert_eq!(world.store.commit(&commit).await.unwrap(), Outcome::Lost(3));
    assert_eq!(world.store.run(&mine.key).await.unwrap(), None);
    assert_eq!(world.store.chunks(&mine.key, "final").await.unwrap(), []);
    assert_eq!(world.store.overview().await.unwrap().counters, []);
    write(&*world.store, &commit[..3]).await;
    assert_eq!(world.store.run(&mine.key).await.unwrap(), Some(mine));
}

pub(crate) async fn of_24_concurrent_creates_exactly_one_wins(world: &World) {
    race(world, |world, mine| async move { world.commit(&[live(&mine)]).await }).await;
}

pub(crate) async fn of_24_concurrent_transactions_exactly_one_wins(world: &World) {
    race(world, |world, mine| async move {
        let name = mine.lease.as_ref().map_or("", |lease| lease.owner.as_str());
        world.commit(&[Write::Count { name, by: 1 }, live(&mine)]).await
    })
    .await;
    assert_eq!(world.store.overview().await.unwrap().counters.len(), 1);
}

async fn race<F, O>(world: &World, commit: F)
where
    F: Fn(std::sync::Arc<dyn nightshift_engine::ports::Store>, Run) -> O,
    O: Future<Output = Result<Outcome, nightshift_engine::ports::StoreError>> + Send + 'static,
{
    let mut writers = JoinSet::new();
    for writer in 0..24 {
        let mine = leased(&run("a", 0), &format!("writer-{writer}"), start());
        writers.spawn(commit(std::sync::Arc::clone(&world.store), mine));
    }
    let outcomes: Vec<Outcome> = writers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
}

/// Anthropic accepts thinking blocks only unchanged: spaces, escapes, key order and number forms included.
pub(crate) async fn raw_json_survives_byte_for_byte(world: &World) {
    let raw = "[ {\"type\":\"thinking\", \"signature\":\"EqQB\\/\\u00e9\\ud83c\\udf19==\",\"n\":1.0,\"m\":1e3,\"z\":-0.0,\
               \"big\":12345678901234567890123},\n\t{\"b\":1,\"a\":2, \"empty\":\"\" } ] \u{1f319} \u{0}";
    let mut created = run("a", 0);
    created.talk.said.push(Said { role: Role::Assistant, content: Text::Inline(raw.to_owned()) });
    created.answer = Some(Text::Inline(raw.to_owned()));
    write(&*world.store, &[live(&created)]).await;
    let read = world.store.run(&created.key).await.unwrap().unwrap();
    assert_eq!(read, created);
}

pub(crate) async fn a_row_too_large_is_refused(world: &World) {
    let with_answer = |length: usize| Run { answer: Some(Text::Inline("x".repeat(length))), ..run("a", 0) };
    let large = with_answer(400 * 1024);
    let error = world.store.commit(&[live(&large)]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert!(error.operation.contains(large.key.as_str()), "{error}");
    let fits = with_answer(380 * 1024);
    write(&*world.store, &[live(&fits)]).await;
    assert_eq!(world.store.run(&fits.key).await.unwrap(), Some(fits));
}

pub(crate) async fn more_than_100_rows_are_refused_and_100_are_not(world: &World) {
    let runs: Vec<Run> = (0..101).map(|minute| run("a", minute)).collect();
    let commit: Vec<Write<'_>> = runs.iter().map(live).collect();
    assert_eq!(world.store.commit(&commit).await.unwrap_err().kind, StoreErrorKind::Refused);
    write(&*world.store, &commit[..100]).await;
    let twice = [live(&runs[100]), live(&runs[100])];
    assert_eq!(world.store.commit(&twice).await.unwrap_err().kind, StoreErrorKind::Refused);
}

pub(crate) async fn an_empty_commit_is_applied(world: &World) {
    write(&*world.store, &[]).await;
}
