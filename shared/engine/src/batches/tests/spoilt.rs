//! One member that cannot be read, for now or for good, never keeps its batch from being looked after.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::run::State;
use nightshift_domain::{AttemptId, RunKey};

use super::rows::together;
use super::{World, world};
use crate::batches::Polled;
use crate::clock::Clock;
use crate::ports::Write;
use crate::testing::Faulty;

/// A batch of three whose table fails as it is told.
async fn three() -> (World, Arc<Faulty>, AttemptId, Vec<RunKey>) {
    let mut world = world();
    let faulty = Arc::new(Faulty::new(world.deps.store.clone()));
    world.deps.store = faulty.clone();
    let (id, keys) = together(&world, &["a", "b", "c"]).await;
    (world, faulty, id, keys)
}

/// Rewrites the batch, and its runs as they are while their create is on its way.
async fn submitting(world: &World, id: &AttemptId, keys: &[RunKey], change: impl FnOnce(&mut Batch)) {
    let mut batch = world.batch(id).await;
    change(&mut batch);
    batch.rev += 1;
    world.deps.store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
    for key in keys {
        let mut run = world.run(key).await;
        run.state = State::Submitting { hop: 1, attempt: 1, tries: 0, batch: id.clone() };
        run.rev += 1;
        world.write(&run).await;
    }
}

fn goes_on(world: &World, polled: Polled) -> bool {
    matches!(polled, Polled::Open { next } if next > world.clock.now())
}

#[tokio::test]
async fn at_the_deadline_a_member_that_cannot_be_read_now_stays_and_the_next_poll_is_armed() {
    let (world, faulty, id, keys) = three().await;
    world.clock.advance_to(world.batch(&id).await.deadline + TimeDelta::minutes(1));
    faulty.break_runs([keys[1].clone()]);
    let polls = world.batch(&id).await.polls;
    let polled = world.poll(&id).await;
    assert!(goes_on(&world, polled));
    let batch = world.batch(&id).await;
    assert!(batch.polls > polls && matches!(batch.state, BatchState::Open { .. }), "{batch:?}");
    assert_eq!(world.provider.with(|inner| inner.canceled), 0, "it may wait yet");
    faulty.break_runs([]);
    assert_eq!([world.state(&keys[0]).await, world.state(&keys[1]).await], ["canceling", "submitted"]);
    world.poll(&id).await;
    assert_eq!(world.state(&keys[1]).await, "canceling");
    assert!(world.provider.with(|inner| inner.canceled) > 0, "nobody waits any more");
}

#[tokio::test]
async fn a_batch_whose_last_member_is_spoilt_for_good_is_told_to_stop_when_the_others_time_is_up() {
    let (world, faulty, id, keys) = three().await;
    world.clock.advance_to(world.batch(&id).await.deadline + TimeDelta::minutes(1));
    faulty.spoil_runs([keys[1].clone()]);
    let polled = world.poll(&id).await;
    assert!(goes_on(&world, polled));
    assert_eq!(world.provider.with(|inner| inner.canceled), 1);
    assert!(matches!(world.batch(&id).await.state, BatchState::Canceling { .. }));
}

#[tokio::test]
async fn the_others_are_told_of_their_batch_and_the_one_is_told_when_it_can_be_read() {
    let (world, faulty, id, keys) = three().await;
    submitting(&world, &id, &keys, |batch| batch.untold = true).await;
    faulty.break_runs([keys[0].clone()]);
    let polled = world.poll(&id).await;
    assert!(goes_on(&world, polled) && world.batch(&id).await.untold);
    faulty.break_runs([]);
    assert_eq!([world.state(&keys[0]).await, world.state(&keys[1]).await], ["submitting", "submitted"]);
    world.poll(&id).await;
    assert_eq!((world.state(&keys[0]).await, world.batch(&id).await.untold), ("submitted", false));

    let (world, faulty, id, keys) = three().await;
    submitting(&world, &id, &keys, |batch| batch.untold = true).await;
    faulty.spoil_runs([keys[0].clone()]);
    world.poll(&id).await;
    assert!(!world.batch(&id).await.untold, "nobody comes to tell it again");
}

#[tokio::test]
async fn an_intent_that_came_to_nothing_is_settled_when_everybody_was_told_who_can_be() {
    for for_good in [false, true] {
        let (world, faulty, id, keys) = three().await;
        world.provider.with(|inner| inner.batches.clear());
        submitting(&world, &id, &keys, |batch| batch.state = BatchState::Creating).await;
        world.clock.advance(TimeDelta::minutes(15));
        if for_good {
            faulty.spoil_runs([keys[2].clone()]);
            assert_eq!(world.poll(&id).await, Polled::Settled { rows: 0 });
            assert_ne!(world.state(&keys[0]).await, "submitting");
            continue;
        }
        faulty.break_runs([keys[2].clone()]);
        let polled = world.poll(&id).await;
        assert!(goes_on(&world, polled));
        assert_ne!(world.state(&keys[0]).await, "submitting");
        faulty.break_runs([]);
        assert_eq!(world.poll(&id).await, Polled::Settled { rows: 0 });
        assert_ne!(world.state(&keys[2]).await, "submitting");
    }
}
