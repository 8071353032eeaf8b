//! The places that bound how many realtime turns are in flight, and the queue for them.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::RunKey;
use nightshift_domain::run::State;
use nightshift_engine::ports::{MOST_PLACES, Outcome, Places, StoreErrorKind, Write};
use tokio::task::JoinSet;

use super::fixtures::{after, job, live, run, write};
use super::worlds::{World, start};

fn hold(place: u32, run: &RunKey) -> Write<'_> {
    Write::HoldPlace { place, run }
}

fn free(place: u32, run: &RunKey) -> Write<'_> {
    Write::FreePlace { place, run }
}

async fn held(world: &World) -> Vec<(u32, RunKey)> {
    let held = world.store.places(10).await.unwrap().held;
    assert_eq!(world.store.overview().await.unwrap().running, held.len() as u64);
    held
}

pub(crate) async fn a_place_is_held_by_one_run_at_a_time(world: &World) {
    assert_eq!(world.store.places(10).await.unwrap(), Places::default());
    let (mine, theirs) = (run("a", 0), run("b", 0));
    write(&*world.store, &[live(&mine), hold(3, &mine.key)]).await;
    assert_eq!(held(world).await, [(3, mine.key.clone())]);

    let record = job("b", "b");
    let commit = [live(&theirs), Write::Job(&record), hold(3, &theirs.key)];
    assert_eq!(world.store.commit(&commit).await.unwrap(), Outcome::Lost(2));
    assert_eq!(world.store.commit(&[hold(3, &theirs.key)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.run(&theirs.key).await.unwrap(), None);
    assert_eq!(world.store.overview().await.unwrap().jobs, 0);
    write(&*world.store, &[live(&theirs), Write::Job(&record), hold(0, &theirs.key)]).await;
    assert_eq!(held(world).await, [(0, theirs.key.clone()), (3, mine.key.clone())]);

    write(&*world.store, &[free(3, &mine.key)]).await;
    write(&*world.store, &[hold(3, &theirs.key)]).await;
    assert_eq!(held(world).await, [(0, theirs.key.clone()), (3, theirs.key)]);
}

pub(crate) async fn freeing_the_place_of_another_does_nothing_and_the_commit_goes_through(world: &World) {
    let (mine, theirs) = (run("a", 0), run("b", 0));
    write(&*world.store, &[live(&mine), live(&theirs), hold(0, &mine.key)]).await;
    write(&*world.store, &[free(0, &theirs.key)]).await;
    let ended = after(&theirs, State::Canceled);
    write(&*world.store, &[live(&ended), free(0, &theirs.key), free(1, &theirs.key)]).await;
    assert_eq!(world.store.run(&ended.key).await.unwrap(), Some(ended.clone()));
    assert_eq!(held(world).await, [(0, mine.key.clone())]);
    // A commit that is lost for another reason gives nothing back.
    let stale = after(&theirs, State::Succeeded);
    assert_eq!(world.store.commit(&[live(&stale), free(0, &mine.key)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.commit(&[free(0, &theirs.key), live(&stale)]).await.unwrap(), Outcome::Lost(1));
    assert_eq!(held(world).await, [(0, mine.key)]);
}

pub(crate) async fn a_repeat_finds_its_place_taken_or_given_back(world: &World) {
    let (mine, theirs) = (run("a", 0), run("b", 0));
    let (since, ended) = (start(), after(&mine, State::Succeeded));
    let queue = |run| Write::Queue { run, since };
    let unqueue = |run| Write::Unqueue { run, since };
    write(&*world.store, &[queue(&mine.key)]).await;
    let begin = [live(&mine), hold(0, &mine.key), unqueue(&mine.key)];
    write(&*world.store, &begin).await;
    write(&*world.store, &begin).await;
    assert_eq!(world.store.places(10).await.unwrap(), Places { held: vec![(0, mine.key.clone())], queue: vec![] });
    write(&*world.store, &[hold(0, &mine.key)]).await;

    let end = [live(&ended), free(0, &mine.key)];
    write(&*world.store, &end).await;
    write(&*world.store, &end).await;
    assert_eq!(held(world).await, []);
    // Somebody has it by now: the repeat is still the same commit, and takes nothing away.
    write(&*world.store, &[hold(0, &theirs.key)]).await;
    write(&*world.store, &end).await;
    assert_eq!(held(world).await, [(0, theirs.key)]);
}

pub(crate) async fn of_24_concurrent_holders_exactly_one_gets_the_place(world: &World) {
    let mut holders = JoinSet::new();
    for minute in 0..24 {
        let (store, mine) = (Arc::clone(&world.store), run("a", minute));
        holders.spawn(async move { store.commit(&[live(&mine), hold(0, &mine.key)]).await });
    }
    let outcomes: Vec<Outcome> = holders.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
    let held = held(world).await;
    assert_eq!(held.len(), 1);
    assert!(world.store.run(&held[0].1).await.unwrap().is_some(), "the holder's run is the one that was written");
}

pub(crate) async fn the_queue_is_in_order_of_since_and_as_long_as_asked_for(world: &World) {
    let key = |job: &str| run(job, 0).key;
    let since = |millis| start() + TimeDelta::milliseconds(millis);
    let (a, b, c, d) = (key("a"), key("b"), key("c"), key("d"));
    let taken = run("z", 0).key;
    for (run, millis) in [(&a, 30), (&d, 10), (&b, 20), (&c, 1_000), (&b, 20)] {
        write(&*world.store, &[Write::Queue { run, since: since(millis) }]).await;
    }
    write(&*world.store, &[hold(7, &taken)]).await;
    let all = Places { held: vec![(7, taken.clone())], queue: vec![d.clone(), b.clone(), a.clone(), c.clone()] };
    assert_eq!(world.store.places(10).await.unwrap(), all);
    for waiting in [0, 1, 3] {
        let some = Places { queue: all.queue[..waiting as usize].to_vec(), ..all.clone() };
        assert_eq!(world.store.places(waiting).await.unwrap(), some);
    }
    // With a run's own write, and of one that is not there.
    let begun = run("d", 0);
    let commit = [live(&begun), Write::Unqueue { run: &d, since: since(10) }];
    write(&*world.store, &commit).await;
    write(&*world.store, &[Write::Unqueue { run: &d, since: since(10) }]).await;
    write(&*world.store, &[Write::Unqueue { run: &a, since: since(31) }]).await;
    assert_eq!(world.store.places(10).await.unwrap().queue, [b, a, c]);
    let overview = world.store.overview().await.unwrap();
    assert_eq!((overview.running, overview.counters), (1, vec![]));
}

pub(crate) async fn the_most_places_do_not_hide_the_queue_nor_it_them(world: &World) {
    let runs: Vec<RunKey> = (0..i64::from(MOST_PLACES)).map(|minute| run("a", minute).key).collect();
    let held: Vec<(u32, RunKey)> = (0..MOST_PLACES).zip(runs.iter().cloned()).collect();
    for hundred in held.chunks(100) {
        let holds: Vec<Write<'_>> = hundred.iter().map(|(place, run)| hold(*place, run)).collect();
        write(&*world.store, &holds).await;
    }
    let waiting: Vec<RunKey> = (0..3).map(|minute| run("b", minute).key).collect();
    for (run, seconds) in waiting.iter().zip(0..) {
        write(&*world.store, &[Write::Queue { run, since: start() + TimeDelta::seconds(seconds) }]).await;
    }
    assert_eq!(world.store.places(2).await.unwrap(), Places { held: held.clone(), queue: waiting[..2].to_vec() });
    assert_eq!(world.store.places(0).await.unwrap(), Places { held: held.clone(), queue: vec![] });
    assert_eq!(world.store.overview().await.unwrap().running, u64::from(MOST_PLACES));
    write(&*world.store, &[free(999, &runs[999])]).await;
    assert_eq!(world.store.places(9).await.unwrap(), Places { held: held[..999].to_vec(), queue: waiting });
    let beyond = world.store.commit(&[hold(MOST_PLACES, &runs[0])]).await.unwrap_err();
    assert_eq!(beyond.kind, StoreErrorKind::Refused);
}

pub(crate) async fn a_place_or_waiter_is_named_once_in_a_commit(world: &World) {
    let (a, b) = (run("a", 0).key, run("b", 0).key);
    let since = start();
    for commit in [
        [hold(0, &a), hold(0, &a)],
        [free(0, &a), hold(0, &b)],
        [Write::Queue { run: &a, since }, Write::Unqueue { run: &a, since }],
    ] {
        assert_eq!(world.store.commit(&commit).await.unwrap_err().kind, StoreErrorKind::Refused);
    }
    write(&*world.store, &[hold(0, &a), free(1, &a), Write::Queue { run: &b, since }]).await;
}
