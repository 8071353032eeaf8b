//! What the sweep puts back in the due index, and its notes.

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::run::{Run, State};
use nightshift_engine::ports::{DueItem, Memo, Outcome, Write};
use serde_json::json;

use super::fixtures::{after, batch, job, kept, leased, live, run, write};
use super::worlds::{World, start};

pub(crate) async fn what_is_put_back_is_due_again_later_and_otherwise_unchanged(world: &World) {
    let store = &*world.store;
    let minute = |minute| start() + TimeDelta::minutes(minute);
    let (one, polled) = (run("a", 0), batch("01A", &BatchState::Creating));
    let mut fire = job("b", "b");
    fire.job.state.next_run_at_ms = Some(minute(3).timestamp_millis());
    write(store, &[live(&one), kept(&polled), Write::Job(&fire)]).await;
    let items =
        [DueItem::Batch(polled.id.clone()), DueItem::Job(fire.job.job_id.clone()), DueItem::Run(one.key.clone())];
    assert_eq!(store.due(minute(20), 10).await.unwrap(), items);
    for item in &items {
        store.put_back(item, minute(20), minute(40)).await.unwrap();
        // It is due later than that already.
        store.put_back(item, minute(20), minute(30)).await.unwrap();
    }
    assert_eq!(store.due(minute(40), 10).await.unwrap(), []);
    assert_eq!(store.due(minute(41), 10).await.unwrap().len(), 3);
    assert_eq!(store.run(&one.key).await.unwrap(), Some(one.clone()));
    assert_eq!(store.batch(&polled.id).await.unwrap(), Some(polled.clone()));

    // Nobody's write is lost to it, and the next one gives the row the place that follows from it.
    let claimed = Run { rev: 2, ..leased(&one, "one", minute(50)) };
    let again = Batch { rev: 2, next_poll_at: minute(12), ..polled };
    fire.rev = 2;
    write(store, &[live(&claimed), Write::BatchPolled(&again), Write::Job(&fire)]).await;
    assert_eq!(store.due(minute(41), 10).await.unwrap(), [items[1].clone(), items[0].clone()]);
    assert_eq!(store.due(minute(51), 10).await.unwrap().len(), 3);
}

pub(crate) async fn what_has_moved_or_is_over_is_not_put_back(world: &World) {
    let store = &*world.store;
    let minute = |minute| start() + TimeDelta::minutes(minute);
    let held = leased(&run("a", 0), "one", minute(30));
    let ended = after(&run("a", 1), State::Succeeded);
    write(store, &[live(&held), live(&run("a", 1))]).await;
    write(store, &[live(&ended)]).await;
    for of in [run("a", 0), run("a", 1), run("a", 2)] {
        store.put_back(&DueItem::Run(of.key), minute(20), minute(60)).await.unwrap();
    }
    assert_eq!(store.due(minute(31), 10).await.unwrap(), [DueItem::Run(held.key)]);
    let due = store.due(minute(99), 10).await.unwrap();
    assert_eq!(due.len(), 1, "one that is over, or was never there, does not come up");
    assert_eq!(store.run(&run("a", 2).key).await.unwrap(), None);
}

pub(crate) async fn of_two_writers_of_a_note_one_loses_and_it_expires(world: &World) {
    let store = &*world.store;
    let name = "daily/ä".to_owned();
    let note = |rev, text: &str| Memo { name: name.clone(), document: json!({ "text": text }), rev };
    let put = |memo, expires_at| async move { store.commit(&[Write::Memo { memo, expires_at }]).await.unwrap() };
    assert_eq!(store.memo(&name).await.unwrap(), None);
    let (one, other) = (note(1, "one"), note(1, "other"));
    assert_eq!(put(&one, None).await, Outcome::Applied);
    assert_eq!(put(&one, None).await, Outcome::Applied, "a repeat");
    assert_eq!(put(&other, None).await, Outcome::Lost(0));
    let counted = [Write::Memo { memo: &other, expires_at: None }, Write::Count { name: "noted", by: 1 }];
    assert_eq!(store.commit(&counted).await.unwrap(), Outcome::Lost(0));
    assert_eq!(store.overview().await.unwrap().counters, [], "what goes with a lost note is not counted");
    let second = note(2, "second");
    assert_eq!(put(&second, Some(start() + TimeDelta::hours(1))).await, Outcome::Applied);
    assert_eq!(store.memo(&name).await.unwrap(), Some(second.clone()));
    assert_eq!(store.memo("daily").await.unwrap(), None);
    world.clock.advance(TimeDelta::hours(2));
    assert_eq!(store.memo(&name).await.unwrap(), None);
    assert_eq!(put(&other, None).await, Outcome::Applied, "and may be written anew");
}
