//! Every paid answer is in the books, whoever it came too late for.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState, FIRST_POLL, Marks, Member, Roll};
use nightshift_domain::job::OnTimeout;
use nightshift_domain::metrics::Metric;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{Effect, Event, RowResult, Run, State};
use nightshift_domain::{AttemptId, RunKey};
use serde_json::json;
use tokio::task::yield_now;

use super::provider::reply;
use super::{World, ready, run, running, world};
use crate::batches::unused;
use crate::clock::Clock;
use crate::ports::Write;
use crate::runs::booking::{Asked, hop_of, late_row, unused as book};
use crate::runs::commit::{Along, apply, save};
use crate::runs::{cancel, drive, resume};
use crate::testing::{Faulty, Mishap};

const BATCH: &str = "01KAHJ5Z3M7Q2W4E6R8T0YABCD";

/// A batch of ours with one row of `run`.
fn batch_of(world: &World, run: &Run, remote: &str) -> (Batch, Member) {
    let member = Member { run: run.key.clone(), hop: 1, attempt: 1 };
    let now = world.clock.now();
    let batch = Batch {
        id: AttemptId::new(BATCH),
        provider: "anthropic".into(),
        state: BatchState::Open { remote: remote.to_owned(), adopted: false },
        members: Roll::Listed(vec![member.clone()]),
        settled: Marks::default(),
        digest: String::new(),
        started_at: now,
        deadline: now + TimeDelta::days(1),
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
    (batch, member)
}

fn states() -> Vec<Run> {
    let states = [
        json!({ "state": "failed", "code": "ambiguous_batch", "message": "m" }),
        json!({ "state": "canceled" }),
        json!({ "state": "succeeded" }),
        json!({ "state": "ready", "hop": 1, "attempt": 2, "tries": 0 }),
        json!({ "state": "submitted", "hop": 1, "attempt": 2, "batch": "01KAHJ5Z3M7Q2W4E6R8T0YABCE" }),
        json!({ "state": "running", "hop": 1, "starts": 1, "tries": 0 }),
        json!({ "state": "delivering" }),
    ];
    states.iter().map(|state| run("a", "batch", state)).collect()
}

#[tokio::test]
async fn a_row_of_a_batch_is_booked_once_on_a_run_that_moved_on_and_nothing_else_of_it_changes() {
    for mut before in states() {
        let world = world();
        let is_over = before.state.is_terminal();
        before.ended_at = is_over.then(|| world.clock.now());
        world.write(&before).await;
        let remote = world.provider.make(&[&before.key.custom_id(1, 1)]);
        world.provider.answer(0);
        let (batch, _) = batch_of(&world, &before, &remote);
        world.deps.store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
        world.poll(&batch.id).await;
        let after = world.run(&before.key).await;
        let context = format!("{:?}", before.state);
        assert_eq!((after.unused().count(), after.cost.paid_nano_usd), (1, 500_000_000), "{context}");
        assert_eq!(after.cost.paid_nano_usd, after.cost.realtime_nano_usd, "{context}: nothing was saved");
        let said: Vec<&str> = after.events.iter().map(|line| line.event.as_str()).collect();
        assert_eq!(said, ["paid_unused"], "{context}");
        let rest = Run {
            hops: vec![],
            cost: before.cost,
            books: before.books.clone(),
            events: vec![],
            rev: before.rev,
            ..after.clone()
        };
        assert_eq!(rest, before);
        // Whoever reads it again, and however, books nothing.
        let (batch, member) = batch_of(&world, &before, &remote);
        let invocation = world.invocation("inv-again");
        let again = RowResult::Succeeded(Box::new(reply(&format!("msg_0_{}", member.custom_id()))));
        for known in [Some(&before), Some(&after)] {
            late_row(world.scene(&invocation), &batch, &member, known, &again).await.unwrap();
        }
        assert_eq!(unused(world.scene(&invocation), "anthropic", &remote).await.unwrap().news, 0, "{context}");
        assert_eq!(world.run(&before.key).await, after, "{context}");
        let (paid, saved) = (world.metrics.sum(Metric::Cost), world.metrics.sum(Metric::Savings));
        assert_eq!((paid, saved), (500_000_000, -500_000_000), "{context}: measured once, and lost");
    }
}

#[tokio::test]
async fn rows_that_are_no_answers_cost_nothing_and_leave_no_trace() {
    let world = world();
    let before = states().remove(0);
    world.write(&before).await;
    let (batch, member) = batch_of(&world, &before, "r");
    let invocation = world.invocation("inv");
    for result in [RowResult::Expired, RowResult::Canceled, RowResult::Missing] {
        late_row(world.scene(&invocation), &batch, &member, Some(&before), &result).await.unwrap();
    }
    assert_eq!(world.run(&before.key).await, before);
}

#[tokio::test]
async fn an_answer_whose_run_is_gone_is_counted_once_with_what_it_cost() {
    let world = world();
    let (batch, member) = batch_of(&world, &ready("gone"), "r");
    let invocation = world.invocation("inv");
    let result = RowResult::Succeeded(Box::new(reply("msg_1")));
    for _ in 0..3 {
        late_row(world.scene(&invocation), &batch, &member, None, &result).await.unwrap();
    }
    let counters = world.deps.store.overview().await.unwrap().counters;
    let named = |name: &str| counters.iter().find(|(known, _)| known == name).map(|(_, count)| *count);
    assert_eq!(named("paid_unused.answers_without_run"), Some(1));
    assert_eq!(named("paid_unused.nano_usd_without_run"), Some(500_000_000));
}

#[tokio::test]
async fn the_answers_of_a_batch_nobody_knew_of_are_booked_but_for_those_somebody_waits_for_and_strangers() {
    let world = world();
    let lost = run("lost", "batch", &json!({ "state": "submitted", "hop": 1, "attempt": 2, "batch": BATCH }));
    let waits =
        run("waits", "batch", &json!({ "state": "submitting", "hop": 1, "attempt": 1, "tries": 0, "batch": BATCH }));
    world.write(&lost).await;
    world.write(&waits).await;
    let rows =
        [lost.key.custom_id(1, 1), waits.key.custom_id(1, 1), ready("stranger").key.custom_id(1, 1), "no".into()];
    let remote = world.provider.make(&rows.each_ref().map(String::as_str));
    world.provider.answer(0);
    let invocation = world.invocation("inv");
    assert_eq!(unused(world.scene(&invocation), "anthropic", &remote).await.unwrap().news, 1);
    assert_eq!(unused(world.scene(&invocation), "anthropic", &remote).await.unwrap().news, 0);
    assert_eq!(world.run(&lost.key).await.unused().count(), 1);
    assert_eq!(world.run(&waits.key).await, waits);
    assert!(world.deps.store.overview().await.unwrap().counters.is_empty());
}

/// Books an answer to `key` from elsewhere.
async fn booked_meanwhile(world: &World, key: &RunKey, message: &str) {
    let (invocation, batch) = (world.invocation("inv-other"), AttemptId::new(format!("batch-of-{message}")));
    let path = nightshift_domain::run::Path::Batch;
    let asked = Asked { provider: "anthropic", hop: 1, attempt: 1, path, batch: Some(&batch), before: 0 };
    let hop = hop_of(world.scene(&invocation), asked, &reply(message), world.clock.now());
    assert!(book(world.scene(&invocation), key, hop).await.unwrap());
}

#[tokio::test]
async fn a_holder_loses_nothing_to_bookings_made_between_its_read_and_its_writes() {
    let world = world();
    let mut held = running("a");
    world.write(&held).await;
    let (key, invocation) = (held.key.clone(), world.invocation("inv-holder"));
    let scene = world.scene(&invocation);
    booked_meanwhile(&world, &key, "msg_1").await;
    held = nightshift_domain::run::take(&held, "inv-holder", world.clock.now()).unwrap();
    assert!(save(scene, &held).await.unwrap(), "the lease is taken over the booking");
    booked_meanwhile(&world, &key, "msg_2").await;
    held = nightshift_domain::run::take(&held, "inv-holder", world.clock.now()).unwrap();
    assert!(save(scene, &held).await.unwrap(), "and renewed with the old copy");
    let moved = apply(scene, &held, Event::TimeRanOut, Along::default()).await.unwrap();
    assert!(moved.is_some(), "and the next step is made");
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.unused().count(), run.cost.paid_nano_usd), ("paused", 2, 1_000_000_000));
    // Another holder's write is still another's.
    assert!(!save(scene, &held).await.unwrap());
    assert!(apply(scene, &held, Event::TimeRanOut, Along::default()).await.unwrap().is_none());
}

/// Calls the model for a run and lets `meanwhile` happen while it answers.
async fn called(world: &World, run: Run, meanwhile: impl AsyncFnOnce()) {
    world.write(&run).await;
    let invocation = world.invocation("inv-caller");
    let calls = Box::pin(drive(world.scene(&invocation), run, vec![Effect::CallModel]));
    let rest = async {
        while world.provider.with(|inner| inner.sent) == 0 {
            yield_now().await;
        }
        meanwhile().await;
        world.provider.answers.add_permits(1);
    };
    let (called, ()) = tokio::join!(calls, rest);
    called.unwrap();
}

#[tokio::test]
async fn an_answer_in_hand_outlives_a_table_that_does_not_answer_for_a_moment() {
    for mishap in [Mishap::Before, Mishap::After] {
        let mut world = world();
        let table = Arc::new(Faulty::new(world.deps.store.clone()));
        world.deps.store = table.clone();
        let run = running("a");
        let key = run.key.clone();
        called(&world, run, async || table.next([mishap])).await;
        let run = world.run(&key).await;
        assert_eq!((run.state.name(), run.used().count(), run.unused().count()), ("succeeded", 1, 0));
        assert_eq!(run.books.unanswered(), 0);
    }
}

#[tokio::test]
async fn the_answer_of_a_realtime_call_whose_run_was_canceled_is_booked() {
    for waits_for_the_next_renewal in [false, true] {
        let world = world();
        let run = running("a");
        let key = run.key.clone();
        called(&world, run, async || {
            let invocation = world.invocation("inv-cancel");
            assert!(Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap());
            assert_eq!(world.run(&key).await.books.unanswered(), 1, "until it comes it may have been paid");
            if waits_for_the_next_renewal {
                while world.clock.next_wake().is_none() {
                    yield_now().await;
                }
                world.clock.advance(TimeDelta::seconds(31));
                for _ in 0..20 {
                    yield_now().await;
                }
            }
        })
        .await;
        let run = world.run(&key).await;
        assert_eq!((run.state.name(), run.unused().count(), run.books.unanswered()), ("canceled", 1, 0));
        assert_eq!(run.cost.paid_nano_usd, 1_000_000_000);
    }
}

#[tokio::test]
async fn a_refusal_of_a_call_that_was_given_up_says_that_nothing_was_paid() {
    let world = world();
    let run = running("a");
    let key = run.key.clone();
    world.provider.with(|inner| inner.messages.push_back(Err((ModelErrorKind::Overloaded, None))));
    called(&world, run, async || {
        let invocation = world.invocation("inv-cancel");
        Box::pin(cancel(world.scene(&invocation), &key)).await.unwrap();
    })
    .await;
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.books.unanswered(), run.hops.len()), ("canceled", 0, 0));
}

#[tokio::test]
async fn a_call_taken_over_by_another_holder_is_booked_beside_the_one_that_is_used() {
    let world = world();
    let run = running("a");
    let key = run.key.clone();
    world.provider.with(|inner| inner.messages.push_back(Ok(reply("msg_late"))));
    called(&world, run, async || {
        // The lease is over, as if the holder could not renew it; another comes and is answered first.
        let mut stale = world.run(&key).await;
        stale.lease.as_mut().unwrap().until = world.clock.now() - TimeDelta::seconds(1);
        stale.rev += 1;
        world.write(&stale).await;
        let invocation = world.invocation("inv-next");
        let taken = nightshift_domain::run::take(&stale, "inv-next", world.clock.now()).unwrap();
        world.write(&taken).await;
        let moved = apply(world.scene(&invocation), &taken, Event::HolderDied, Along::default()).await.unwrap();
        let moved = moved.unwrap().run;
        assert_eq!(moved.books.unanswered(), 1);
        let (used, now) = (reply("msg_used"), world.clock.now());
        let absorbed = crate::runs::absorb(world.scene(&invocation), &moved, 1, &used, None, now).await.unwrap();
        let event = Event::Replied(used);
        apply(world.scene(&invocation), &absorbed, event, Along::default()).await.unwrap().unwrap();
    })
    .await;
    let run = world.run(&key).await;
    let hops: Vec<(&str, bool)> = run.hops.iter().map(|hop| (hop.message_id.as_str(), hop.unused)).collect();
    assert_eq!(hops, [("msg_used", false), ("msg_late", true)]);
    assert_eq!((run.state.name(), run.books.unanswered()), ("delivering", 0));
}

#[tokio::test]
async fn calls_that_may_have_been_paid_are_counted_and_others_are_not() {
    for (kind, unanswered) in [
        (ModelErrorKind::Timeout, 1),
        (ModelErrorKind::Unanswered, 1),
        (ModelErrorKind::NotSent, 0),
        (ModelErrorKind::Overloaded, 0),
        (ModelErrorKind::Invalid, 0),
    ] {
        let world = world();
        let run = running("a");
        let key = run.key.clone();
        world.provider.with(|inner| inner.messages.push_back(Err((kind, None))));
        called(&world, run, async || {}).await;
        assert_eq!(world.run(&key).await.books.unanswered(), unanswered, "{kind:?}");
    }
    let world = world();
    let mut dead = running("dead");
    dead.lease = Some(nightshift_domain::run::Lease { owner: "inv-dead".into(), until: world.clock.now() });
    let key = dead.key.clone();
    world.write(&dead).await;
    world.provider.answers.add_permits(1);
    let invocation = world.invocation("inv-next");
    Box::pin(resume(world.scene(&invocation), &key)).await.unwrap();
    let run = world.run(&key).await;
    assert_eq!((run.state.name(), run.books.unanswered(), run.used().count()), ("succeeded", 1, 1));
    assert!(!matches!(run.state, State::Failed { .. }));
}
