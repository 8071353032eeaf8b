//! A create whose answer is lost: which batch is it, and was it made at all?

use chrono::TimeDelta;
use nightshift_domain::batch::BatchState;
use nightshift_domain::run::{Event, RowResult, State};
use serde_json::json;

use super::provider::Create;
use super::{World, ready, world, world_of};
use crate::runs::cancel;
use crate::runs::commit::{Along, apply};

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

fn lose(world: &World, creates: &[Create]) {
    world.provider.with(|inner| inner.creates.extend(creates.iter().copied()));
}

#[tokio::test]
async fn a_batch_whose_create_was_not_answered_or_not_readably_is_found_and_not_made_again() {
    let world = world();
    lose(&world, &[Create::AnswerLost]);
    let key = world.submit(ready("a")).await;
    assert_eq!(world.state(&key).await, "submitting");
    world.live(minutes(3)).await;
    assert_eq!(world.state(&key).await, "submitted");
    world.provider.answer(0);
    world.live(minutes(30)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
}

#[tokio::test]
async fn a_batch_that_the_list_shows_minutes_late_is_waited_for() {
    let world = world();
    world.provider.with(|inner| inner.lag = minutes(8));
    lose(&world, &[Create::AnswerLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(7)).await;
    assert_eq!(world.state(&key).await, "submitting");
    world.provider.answer(0);
    world.live(minutes(30)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_again_after_ten_minutes_and_not_before() {
    let world = world();
    lose(&world, &[Create::RequestLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(9)).await;
    assert_eq!((world.state(&key).await, world.created()), ("submitting", 1));
    world.live(minutes(20)).await;
    assert_eq!((world.state(&key).await, world.created()), ("submitted", 2));
}

#[tokio::test]
async fn of_two_candidates_the_one_that_holds_the_row_is_adopted_when_it_has_ended() {
    let world = world();
    world.provider.make(&["not-ours"]);
    lose(&world, &[Create::AnswerLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(60)).await;
    assert_eq!(world.state(&key).await, "submitting", "nobody can tell yet");
    world.provider.answer(1);
    world.live(minutes(60)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
}

#[tokio::test]
async fn candidates_that_all_prove_to_be_somebody_elses_mean_that_it_was_not_made() {
    let world = world();
    world.provider.make(&["not-ours"]);
    world.provider.make(&["nor-this"]);
    lose(&world, &[Create::RequestLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(60)).await;
    assert_eq!(world.state(&key).await, "submitting");
    world.provider.answer(0);
    world.provider.answer(1);
    world.live(minutes(60)).await;
    assert_eq!((world.state(&key).await, world.created()), ("submitted", 2), "it is made again, and is not ambiguous");
}

#[tokio::test]
async fn somebody_elses_batch_is_let_go_when_it_has_ended_and_the_real_one_is_found() {
    let world = world();
    world.provider.make(&["not-ours"]);
    world.provider.with(|inner| inner.lag = minutes(6));
    lose(&world, &[Create::AnswerLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(4)).await;
    assert_eq!(world.state(&key).await, "submitted");
    assert!(world.open().await[0].is_tentative(), "the only one there was is taken for it");
    world.provider.answer(0);
    world.provider.answer(1);
    world.live(minutes(60)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
    assert_eq!(world.run(&key).await.hops[0].message_id, format!("msg_1_{}", key.custom_id(1, 1)));
}

#[tokio::test]
async fn two_lost_creates_of_which_one_was_made_end_as_one_batch_each_whoever_looks_first() {
    for older_first in [true, false] {
        let world = world();
        lose(&world, &[Create::AnswerLost, Create::RequestLost]);
        let older = world.submit(ready("older")).await;
        world.clock.advance(TimeDelta::seconds(20));
        let younger = world.submit(ready("younger")).await;
        let mut open = world.open().await;
        if !older_first {
            open.reverse();
        }
        for batch in &open {
            world.poll(&batch.id).await;
        }
        let adopted = if older_first { &older } else { &younger };
        assert_eq!(world.state(adopted).await, "submitted");
        world.live(minutes(60)).await;
        assert_eq!(world.created(), 2, "as long as it may be either's, nothing is made again");
        world.provider.answer(0);
        world.live(minutes(60)).await;
        assert_eq!(world.state(&older).await, "succeeded", "older first: {older_first}");
        assert_eq!((world.state(&younger).await, world.created()), ("submitted", 3), "older first: {older_first}");
        world.provider.answer(1);
        world.live(minutes(60)).await;
        assert_eq!(world.state(&younger).await, "succeeded", "older first: {older_first}");
        let hops = [world.run(&older).await, world.run(&younger).await].map(|run| run.hops.len());
        assert_eq!(hops, [1, 1]);
    }
}

#[tokio::test]
async fn two_lost_creates_that_were_both_made_find_their_own() {
    let world = world();
    lose(&world, &[Create::AnswerLost, Create::AnswerLost]);
    let keys = [world.submit(ready("one")).await, world.submit(ready("other")).await];
    world.live(minutes(30)).await;
    for at in [1, 0] {
        world.provider.answer(at);
        world.live(minutes(60)).await;
    }
    for (at, key) in keys.iter().enumerate() {
        let run = world.run(key).await;
        assert_eq!((run.state.name(), run.hops.len()), ("succeeded", 1));
        assert_eq!(run.hops[0].message_id, format!("msg_{at}_{}", key.custom_id(1, 1)));
    }
    assert_eq!(world.created(), 2);
}

#[tokio::test]
async fn a_batch_that_is_recorded_by_its_own_run_is_let_go_at_once_by_the_one_that_guessed() {
    let world = world();
    lose(&world, &[Create::AnswerLost, Create::AnswerLost]);
    let slow = world.submit(ready("slow")).await;
    let slow_batch = world.run(&slow).await.state.batch().cloned().unwrap();
    world.provider.with(|inner| inner.lag = minutes(9));
    world.clock.advance(TimeDelta::seconds(20));
    let other = world.submit(ready("other")).await;
    let other_batch = world.run(&other).await.state.batch().cloned().unwrap();
    world.poll(&other_batch).await;
    assert!(world.batch(&other_batch).await.is_tentative());
    // The answer to the first create comes after all.
    let mut batch = world.batch(&slow_batch).await;
    let remote = batch.state.remote().map_or("msgbatch_1".to_owned(), str::to_owned);
    batch.state = BatchState::Open { remote: remote.clone(), adopted: false };
    batch.rev += 1;
    let (invocation, run) = (world.invocation("inv-slow"), world.run(&slow).await);
    let along = Along { batch: Some(&batch), ..Along::default() };
    let moved = apply(world.scene(&invocation), &run, Event::BatchCreated { remote }, along).await.unwrap();
    assert!(moved.is_some());
    world.poll(&other_batch).await;
    assert_eq!(world.batch(&other_batch).await.state, BatchState::Creating, "it goes on searching");
    world.live(minutes(20)).await;
    assert_eq!(world.batch(&other_batch).await.state.remote(), Some("msgbatch_2"), "and finds its own");
    assert_eq!(world.created(), 2);
}

#[tokio::test]
async fn a_create_that_was_made_twice_is_ambiguous_and_both_answers_are_in_the_books() {
    let world = world();
    lose(&world, &[Create::Doubled]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(5)).await;
    world.provider.answer(0);
    world.provider.answer(1);
    world.live(minutes(60)).await;
    let run = world.run(&key).await;
    let State::Failed { code, .. } = &run.state else { panic!("{:?}", run.state) };
    assert_eq!((code.as_str(), run.unused().count(), run.used().count()), ("ambiguous_batch", 2, 0));
    assert_eq!(run.cost.paid_nano_usd, 2 * run.hops[0].cost.paid_nano_usd);
    assert_eq!((run.books.unanswered(), world.created()), (0, 1));
}

#[tokio::test]
async fn a_guess_that_was_told_to_stop_is_still_a_guess_and_the_real_batch_is_found() {
    let world = world_of(&json!({ "providers": { "anthropic": { "dedicatedWorkspace": true } } }));
    world.provider.make(&["not-ours"]);
    world.provider.with(|inner| inner.lag = minutes(6));
    lose(&world, &[Create::AnswerLost]);
    let key = world.submit(ready("a")).await;
    world.live(minutes(4)).await;
    let invocation = world.invocation("inv-cancel");
    assert!(Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap());
    let batch = world.open().await.remove(0);
    assert_eq!(batch.state, BatchState::Canceling { remote: "msgbatch_1".to_owned(), adopted: true });
    assert!(batch.is_tentative());
    world.provider.end(0, |_| RowResult::Canceled);
    world.provider.answer(1);
    world.live(minutes(60)).await;
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.unused().count(), world.created()), ("canceled", 1, 1));
}
