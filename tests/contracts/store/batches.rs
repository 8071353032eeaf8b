//! Batches and the pointers from Anthropic's ids.

use nightshift_domain::batch::{Batch, BatchState};
use nightshift_engine::ports::{Outcome, Write};

use super::fixtures::{attempt, batch, kept, live, open, run, write};
use super::worlds::World;

pub(crate) async fn a_batch_is_found_by_its_remote_id_once_that_is_known(world: &World) {
    let creating = batch("01A", &BatchState::Creating);
    write(&*world.store, &[kept(&creating), live(&run("a", 0))]).await;
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), None);
    let opened = Batch { rev: 2, state: open("msgbatch_1", false), ..creating };
    write(&*world.store, &[kept(&opened)]).await;
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), Some(attempt("01A")));
    assert_eq!(world.store.batch(&attempt("01A")).await.unwrap(), Some(opened.clone()));
    // A repeat, and the polls that follow.
    write(&*world.store, &[kept(&opened)]).await;
    let polled = Batch { rev: 3, polls: 2, ..opened.clone() };
    write(&*world.store, &[Write::BatchPolled(&polled)]).await;
    assert_eq!(world.store.batch(&attempt("01A")).await.unwrap(), Some(polled.clone()));
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), Some(attempt("01A")));
    let stale = Batch { rev: 3, polls: 9, ..opened };
    assert_eq!(world.store.commit(&[Write::BatchPolled(&stale)]).await.unwrap(), Outcome::Lost(0));
    let canceling =
        Batch { rev: 4, state: BatchState::Canceling { remote: "msgbatch_1".into(), adopted: false }, ..polled };
    write(&*world.store, &[kept(&canceling)]).await;
    let settled = Batch { rev: 5, state: BatchState::Settled { remote: Some("msgbatch_1".into()) }, ..canceling };
    write(&*world.store, &[kept(&settled)]).await;
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), Some(attempt("01A")));
}

pub(crate) async fn a_batch_that_adopted_a_remote_id_yields_to_the_one_that_created_it(world: &World) {
    let adopter = batch("01A", &open("msgbatch_1", true));
    write(&*world.store, &[kept(&adopter)]).await;
    let rival = batch("01B", &open("msgbatch_1", true));
    assert_eq!(world.store.commit(&[kept(&rival)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.batch(&attempt("01B")).await.unwrap(), None);
    let creator = batch("01C", &open("msgbatch_1", false));
    write(&*world.store, &[kept(&creator)]).await;
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), Some(attempt("01C")));
    let polled = Batch { rev: 2, polls: 2, ..adopter.clone() };
    assert_eq!(world.store.commit(&[kept(&polled)]).await.unwrap(), Outcome::Lost(0));
    // It lets go.
    let settled = Batch { rev: 2, state: BatchState::Settled { remote: None }, ..adopter };
    write(&*world.store, &[kept(&settled)]).await;
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), Some(attempt("01C")));
}

pub(crate) async fn a_lost_batch_write_leaves_the_pointer_alone(world: &World) {
    write(&*world.store, &[kept(&batch("01A", &BatchState::Creating))]).await;
    let stale = Batch { rev: 5, ..batch("01A", &open("msgbatch_1", false)) };
    assert_eq!(world.store.commit(&[kept(&stale)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.batch_by_remote("msgbatch_1").await.unwrap(), None);
}

pub(crate) async fn a_rejected_remote_id_is_free_for_its_owner_to_adopt(world: &World) {
    let remote = "msgbatch_1".to_owned();
    let mistaken = batch("01A", &open(&remote, true));
    write(&*world.store, &[kept(&mistaken)]).await;
    let mut looking = Batch { rev: 2, state: BatchState::Creating, rejected: vec![remote.clone()], ..mistaken };
    write(&*world.store, &[kept(&looking)]).await;
    assert_eq!(world.store.batch_by_remote(&remote).await.unwrap(), None);
    write(&*world.store, &[kept(&batch("01B", &open(&remote, true)))]).await;
    // It goes on without touching what is no longer its own, and a repeat is still told.
    looking.rev = 3;
    write(&*world.store, &[kept(&looking), live(&run("a", 0))]).await;
    write(&*world.store, &[kept(&looking), live(&run("a", 0))]).await;
    assert_eq!(world.store.batch_by_remote(&remote).await.unwrap(), Some(attempt("01B")));
    let stale = Batch { rev: 3, polls: 9, ..looking };
    assert_eq!(world.store.commit(&[kept(&stale)]).await.unwrap(), Outcome::Lost(0));
}
