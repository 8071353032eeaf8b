//! What a batch brings, and how it may fail to.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState, FIRST_POLL, Marks, Member, Roll};
use nightshift_domain::job::OnTimeout;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{RowResult, State};
use nightshift_domain::{AttemptId, RunKey};
use serde_json::json;

use super::many::Throttled;
use super::provider::succeeded;
use super::{World, ready, run, world};
use crate::ports::Write;
use crate::runs::cancel;

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

async fn code(world: &World, key: &RunKey) -> String {
    let state = world.run(key).await.state;
    let State::Failed { code, .. } = state else { panic!("{state:?}") };
    code
}

/// A batch of several runs that is there.
pub(super) async fn together(world: &World, jobs: &[&str]) -> (AttemptId, Vec<RunKey>) {
    let id = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let state = json!({ "state": "submitted", "hop": 1, "attempt": 1, "batch": id });
    let runs: Vec<_> = jobs.iter().map(|job| run(job, "batch", &state)).collect();
    let mut members: Vec<Member> = Vec::new();
    for run in &runs {
        world.write(run).await;
        members.push(Member { run: run.key.clone(), hop: 1, attempt: 1 });
    }
    let rows: Vec<String> = members.iter().map(Member::custom_id).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let (remote, now) = (world.provider.make(&rows), crate::Clock::now(&world.clock));
    let batch = Batch {
        id: id.clone(),
        provider: "anthropic".into(),
        state: BatchState::Open { remote, adopted: false },
        members: Roll::Listed(members),
        settled: Marks::default(),
        digest: String::new(),
        started_at: now,
        deadline: now + TimeDelta::days(2),
        on_timeout: OnTimeout::Fail,
        polls: 1,
        next_poll_at: now + FIRST_POLL,
        rejected: Vec::new(),
        creator: None,
        untold: false,
        checked_at: None,
        ended_at: None,
        not_found_since: None,
        broken_since: None,
        stopped_at_poll: None,
        rev: 1,
    };
    world.deps.store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
    (id, runs.into_iter().map(|run| run.key).collect())
}

#[tokio::test]
async fn a_batch_that_is_not_found_for_a_while_is_waited_for_and_so_are_its_results() {
    let world = world();
    let key = world.submit(ready("a")).await;
    world.provider.with(|inner| {
        inner.retrieves.extend([ModelErrorKind::NotFound, ModelErrorKind::Server]);
        inner.results.extend([ModelErrorKind::NotFound; 2]);
    });
    world.provider.answer(0);
    world.live(hours(1)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
}

#[tokio::test]
async fn a_batch_that_is_gone_is_given_up_after_25_hours_and_not_made_again_past_its_time() {
    let world = world();
    let mut run = ready("a");
    run.plan.as_mut().unwrap().deadline -= hours(36);
    let key = world.submit(run).await;
    world.provider.with(|inner| inner.batches[0].id = "gone".to_owned());
    world.live(hours(24)).await;
    assert_eq!(world.state(&key).await, "submitted", "it may come back");
    world.live(hours(2)).await;
    assert_eq!((code(&world, &key).await.as_str(), world.created()), ("batch_timeout", 1));
    assert!(world.open().await.is_empty());
}

#[tokio::test]
async fn answers_behind_a_key_that_is_gone_for_days_are_not_bought_again_and_are_booked_when_it_is_back() {
    let mut world = world();
    let mut run = ready("a");
    run.plan.as_mut().unwrap().deadline -= hours(36);
    let key = world.submit(run).await;
    world.provider.answer(0);
    let sound = std::mem::replace(&mut world.deps.models, Arc::new(Throttled));
    world.live(hours(24)).await;
    assert_eq!(world.state(&key).await, "submitted", "it may come back");
    world.live(hours(72)).await;
    assert_eq!(code(&world, &key).await, "batch_row_unreadable");
    assert_eq!((world.open().await.len(), world.run(&key).await.hops.len()), (1, 0));
    world.deps.models = sound;
    world.live(hours(6)).await;
    let run = world.run(&key).await;
    assert_eq!((run.hops.len(), run.hops[0].unused, world.created()), (1, true, 1));
    assert!(world.open().await.is_empty());
}

#[tokio::test]
async fn results_that_can_never_be_had_again_are_waited_for_no_longer() {
    let mut world = world();
    let key = world.submit(ready("a")).await;
    world.deps.models = Arc::new(Throttled);
    world.live(hours(28 * 24)).await;
    assert_eq!((code(&world, &key).await.as_str(), world.open().await.len()), ("batch_row_unreadable", 1));
    world.live(hours(30)).await;
    assert!(world.open().await.is_empty());
}

#[tokio::test]
async fn a_moment_of_not_found_after_a_long_outage_is_not_taken_for_the_end() {
    let mut world = world();
    let key = world.submit(ready("a")).await;
    let sound = std::mem::replace(&mut world.deps.models, Arc::new(Throttled));
    world.live(hours(47)).await;
    world.provider.answer(0);
    world.provider.with(|inner| inner.retrieves.push_back(ModelErrorKind::NotFound));
    world.deps.models = sound;
    world.live(hours(8)).await;
    assert_eq!((world.state(&key).await, world.created()), ("succeeded", 1));
}

#[tokio::test]
async fn a_row_that_failed_at_the_provider_is_sent_once_more_and_only_once() {
    let errored = |kind| move |_: &str| RowResult::Errored { kind, message: "HTTP".to_owned() };
    for kind in [ModelErrorKind::Overloaded, ModelErrorKind::Server] {
        let world = world();
        let key = world.submit(ready("a")).await;
        world.provider.end(0, errored(kind));
        world.live(hours(1)).await;
        assert_eq!((world.state(&key).await, world.created()), ("submitted", 2), "{kind:?}");
        world.provider.end(1, errored(kind));
        world.live(hours(1)).await;
        assert_eq!((code(&world, &key).await.as_str(), world.created()), (kind.code(), 2));
    }
    for (outcome, code_of_it) in [(RowResult::Expired, "batch_expired"), (RowResult::Canceled, "batch_canceled")] {
        let world = world();
        let key = world.submit(ready("a")).await;
        world.provider.end(0, |_| outcome.clone());
        world.live(hours(1)).await;
        assert_eq!((world.state(&key).await, world.created()), ("submitted", 2), "{outcome:?}");
        world.provider.end(1, |_| outcome.clone());
        world.live(hours(1)).await;
        assert_eq!((code(&world, &key).await.as_str(), world.created()), (code_of_it, 2));
    }
}

#[tokio::test]
async fn a_row_that_is_invalid_is_never_sent_again() {
    let world = world();
    let key = world.submit(ready("a")).await;
    world.provider.end(0, |_| RowResult::Errored { kind: ModelErrorKind::Invalid, message: "no".to_owned() });
    world.live(hours(1)).await;
    assert_eq!((code(&world, &key).await.as_str(), world.created()), ("model_invalid_request", 1));
}

#[tokio::test]
async fn a_batch_is_canceling_until_it_has_ended_also_where_the_cancel_is_refused_for_a_while() {
    let world = world();
    let key = world.submit(ready("a")).await;
    world.provider.with(|inner| inner.cancels.extend([ModelErrorKind::Overloaded; 3]));
    let invocation = world.invocation("inv-cancel");
    assert!(Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap());
    world.live(hours(1)).await;
    assert_eq!(world.state(&key).await, "canceling");
    assert!(
        world.provider.with(|inner| inner.cancels.is_empty() && inner.canceled > 0),
        "it was told until it took it"
    );
    world.provider.end(0, |_| RowResult::Canceled);
    world.live(hours(1)).await;
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.hops.len(), run.cost.paid_nano_usd), ("canceled", 0, 0));
}

#[tokio::test]
async fn the_end_of_a_batch_that_somebody_stopped_is_seen_within_minutes() {
    let world = world();
    let key = world.submit(ready("a")).await;
    world.live(hours(3)).await;
    let invocation = world.invocation("inv-cancel");
    assert!(Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap());
    world.provider.end(0, |_| RowResult::Canceled);
    world.live(TimeDelta::minutes(3)).await;
    assert_eq!((world.state(&key).await, world.provider.with(|inner| inner.canceled)), ("canceled", 1));
}

#[tokio::test]
async fn a_batch_past_its_time_is_told_to_stop_once() {
    let world = world();
    let key = world.submit(ready("a")).await;
    let deadline = world.run(&key).await.plan.unwrap().deadline;
    world.live_until(deadline - TimeDelta::minutes(1)).await;
    assert_eq!(world.provider.with(|inner| inner.canceled), 0);
    world.live_until(deadline + hours(1)).await;
    assert_eq!((world.state(&key).await, world.provider.with(|inner| inner.canceled)), ("canceling", 1));
}

#[tokio::test]
async fn an_answer_that_made_it_before_the_cancel_is_booked_as_unused() {
    let world = world();
    let key = world.submit(ready("a")).await;
    let invocation = world.invocation("inv-cancel");
    Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap();
    world.provider.answer(0);
    world.live(hours(1)).await;
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.unused().count(), run.used().count()), ("canceled", 1, 0));
    assert!(run.cost.paid_nano_usd > 0 && run.cost.paid_nano_usd == run.cost.realtime_nano_usd, "nothing was saved");
    assert_eq!(run.events.iter().filter(|line| line.event == "paid_unused").count(), 1);
}

#[tokio::test]
async fn results_that_break_off_in_the_middle_are_read_again_and_each_row_is_used_once() {
    let world = world();
    let (id, keys) = together(&world, &["a", "b", "c"]).await;
    let ids: Vec<String> = keys.iter().map(|key| key.custom_id(1, 1)).collect();
    world.provider.with(|inner| {
        inner.batches[0].ended = true;
        inner.batches[0].lines = vec![
            succeeded(&ids[2], "msg_c"),
            Err(ModelErrorKind::Unanswered),
            succeeded(&ids[0], "msg_a"),
            succeeded(&ids[1], "msg_b"),
        ];
    });
    world.poll(&id).await;
    assert_eq!(world.state(&keys[2]).await, "succeeded", "what came is used");
    world.live(hours(1)).await;
    for (key, message) in keys.iter().zip(["msg_a", "msg_b", "msg_c"]) {
        let run = world.run(key).await;
        let messages: Vec<&str> = run.hops.iter().map(|hop| hop.message_id.as_str()).collect();
        assert_eq!((run.state.name(), messages.as_slice()), ("succeeded", &[message][..]));
    }
    assert!(world.open().await.is_empty());
}

#[tokio::test]
async fn results_that_fail_when_a_laptop_wakes_after_a_weekend_are_tried_for_hours_and_bought_once() {
    for comes_back in [true, false] {
        let world = world();
        let key = world.submit(ready("a")).await;
        world.provider.answer(0);
        world.clock.advance(hours(60));
        let failures = if comes_back { 3 } else { 2_000 };
        world.provider.with(|inner| inner.results.extend((0..failures).map(|_| ModelErrorKind::NotFound)));
        world.live(hours(5)).await;
        if comes_back {
            assert_eq!(world.state(&key).await, "succeeded");
        } else {
            assert_eq!(world.state(&key).await, "submitted");
            world.live(hours(2)).await;
            assert_eq!(code(&world, &key).await, "batch_row_unreadable");
            assert_eq!(world.run(&key).await.books.unanswered(), 1);
        }
        assert_eq!(world.created(), 1);
    }
}
