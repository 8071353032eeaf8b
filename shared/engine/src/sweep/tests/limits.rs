//! Floods, poisoned rows and short invocations: nothing keeps the rest from repair.

use chrono::{DateTime, TimeDelta};
use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::{AttemptId, JobId, RunKey};
use serde_json::json;

use super::site::{Site, daily, site};
use crate::batches::{self, Polled};
use crate::clock::Clock;
use crate::deps::Invocation;
use crate::ports::{DueItem, Outcome, Write};
use crate::runs::Scene;
use crate::sweep::{FindingKind, MOST};

/// Runs that nobody took up, one by one a minute older.
async fn lost(site: &Site, count: usize) -> Vec<RunKey> {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(site.ask("a").await);
        site.clock.advance(TimeDelta::seconds(1));
    }
    site.lose_calls();
    site.minutes(10);
    keys
}

/// Batches whose polls are lost, of no run that is there.
async fn flood(site: &Site, count: usize) {
    for n in 0..count {
        let batch = json!({
            "id": format!("01KAHJ5Z3M7Q2W4E6R8T{n:06}"), "provider": "anthropic", "state": { "state": "creating" },
            "members": [{ "run": "x_20261120T070000Z", "hop": 1, "attempt": 1 }], "digest": "", "rev": 1, "polls": 1,
            "startedAt": site.clock.now(), "deadline": site.clock.now() + TimeDelta::days(1), "onTimeout": "fail",
            "nextPollAt": site.clock.now() - TimeDelta::hours(1),
        });
        let batch: Batch = serde_json::from_value(batch).unwrap();
        let written = site.deps.store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
        assert_eq!(written, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_flood_of_lost_polls_is_mended_over_a_few_sweeps_and_hides_nothing() {
    let site = site();
    site.add(&daily("a", false)).await;
    flood(&site, 450).await;
    let run = lost(&site, 1).await.remove(0);
    assert_eq!(site.sweep().await.repaired, MOST as usize, "as many as one sweep looks at");
    assert_eq!(site.repairs(&run).await.len(), 1, "the run has its share");
    assert_eq!(site.sweep().await.repaired, 200);
    assert_eq!(site.sweep().await.repaired, 51, "what was mended is not in the way of the rest");
    let chains = site.outer.names().iter().filter(|name| name.starts_with("p-")).count();
    assert_eq!(chains, 450, "one poll each");
    let counted = [("repaired.hand_over_lost".to_owned(), 1), ("repaired.poll_chain_broken".to_owned(), 450)];
    assert_eq!(site.counted().await, counted);
}

#[tokio::test]
async fn a_mended_chain_is_one_chain_and_its_old_poll_is_stale() {
    let site = site();
    site.add(&daily("a", true)).await;
    site.ask("a").await;
    site.settle().await;
    let old = site.outer.timers.lock().unwrap().values().find(|timer| timer.name.starts_with("p-")).cloned().unwrap();
    let Wake::Poll { b, n } = old.envelope.kind.clone() else { panic!("{old:?}") };
    site.outer.timers.lock().unwrap().remove(&old.name);
    site.minutes(10);
    assert_eq!(site.sweep().await.repaired, 1);
    assert_eq!(site.sweep().await.repaired, 0, "it is armed by now");
    let polls = |site: &Site| site.outer.names().into_iter().filter(|name| name.starts_with("p-")).collect::<Vec<_>>();
    assert_eq!(polls(&site), [b.poll_timer(n + 1)]);
    let (invocation, before) = (site.invocation(), site.deps.store.batch(&b).await.unwrap());
    let scene = Scene { deps: &site.deps, invocation: &invocation, config: &site.config };
    assert_eq!(Box::pin(batches::poll(scene, &b, Some(n))).await.unwrap(), Polled::Stale, "it came after all");
    assert_eq!((polls(&site).len(), site.deps.store.batch(&b).await.unwrap()), (1, before));
    // A timer that is late is waited for, not armed a second time.
    site.minutes(6);
    assert_eq!(site.sweep().await.repaired, 0);
    assert_eq!(polls(&site).len(), 1);
}

#[tokio::test]
async fn rows_that_cannot_be_read_do_not_keep_the_others_from_repair() {
    let site = site();
    site.add(&daily("a", false)).await;
    let poisoned = lost(&site, 250).await;
    for key in &poisoned {
        site.store.spoil(&DueItem::Run(key.clone()));
    }
    let sound = lost(&site, 3).await;
    assert_eq!(site.sweep().await.repaired, 0, "they are older, and fill a whole sweep");
    assert_eq!(site.sweep().await.repaired, 3, "once looked at they stand behind the others");
    for key in &sound {
        assert_eq!(site.repairs(key).await.len(), 1);
    }
    assert_eq!(site.counted().await, [(FindingKind::HandOverLost.counter().to_owned(), 3)]);
}

#[tokio::test]
async fn what_cannot_be_mended_is_tried_again_later_and_later_and_counted_once() {
    let site = site();
    site.add(&daily("a", false)).await;
    let key = lost(&site, 1).await.remove(0);
    let mut tries = 0;
    for _ in 0..96 {
        site.sweep().await;
        // Whoever is called dies before it writes anything.
        tries += site.lose_calls().iter().filter(|call| call.kind == Wake::Resume { r: key.clone() }).count();
        site.minutes(15);
    }
    assert!((5..=12).contains(&tries), "{tries} tries in a day");
    assert_eq!(site.repairs(&key).await.len(), 1);
    assert!(site.counted().await.contains(&(FindingKind::HandOverLost.counter().to_owned(), 1)));
}

#[tokio::test]
async fn a_sweep_that_runs_out_of_time_ends_in_order_and_the_next_goes_on() {
    let site = site();
    site.add(&daily("a", false)).await;
    flood(&site, 20).await;
    // Every look at a timer takes a second, and there are five of them.
    *site.outer.slow.lock().unwrap() = Some((site.clock.clone(), TimeDelta::seconds(1)));
    let invocation = Invocation { id: "short".into(), deadline: site.clock.now() + TimeDelta::seconds(20) };
    let swept = site.sweep_as(&invocation).await;
    assert_eq!((swept.found, swept.repaired, swept.left), (20, 5, 15));
    assert!(site.clock.now() < invocation.deadline, "it did not run into its deadline");
    *site.outer.slow.lock().unwrap() = None;
    assert_eq!(site.sweep().await.repaired, 15);
}

#[tokio::test]
async fn a_run_that_waits_for_its_retry_is_well_and_not_in_the_way() {
    let site = site();
    site.add(&daily("a", false)).await;
    *site.outer.busy.lock().unwrap() = true;
    let key = site.ask("a").await;
    site.settle().await;
    let resume_at = site.outer.timers.lock().unwrap()[&key.resume_timer(1)].spec.clone();
    site.minutes(8);
    assert_eq!(site.found().await, [], "its timer {resume_at:?} is there, if late");
    assert_eq!(site.sweep().await.repaired, 0);
    let before = site.clock.now() - TimeDelta::minutes(2);
    assert_eq!(site.deps.store.due(before, 10).await.unwrap(), [], "it was put back");
    site.minutes(15);
    assert_eq!(site.found().await, [FindingKind::ResumeLost], "a timer that does not fire in all that time is none");
}

#[tokio::test]
async fn a_run_that_outlasts_its_batch_is_found_and_gets_the_answer_that_was_paid() {
    let site = site();
    site.add(&daily("a", true)).await;
    let key = site.ask("a").await;
    site.settle().await;
    let id = site.run(&key).await.state.batch().cloned().unwrap();
    let batch = site.deps.store.batch(&id).await.unwrap().unwrap();
    let state = BatchState::Settled { remote: batch.state.remote().map(str::to_owned) };
    let settled = Batch { rev: batch.rev + 1, state, ..batch };
    let _ = site.deps.store.commit(&[Write::Batch { batch: &settled, expires_at: None }]).await.unwrap();
    site.outer.end_batches();
    site.outer.timers.lock().unwrap().retain(|name, _| name == "sweep");
    site.clock.advance(TimeDelta::hours(27));
    assert!(site.found().await.contains(&FindingKind::BatchStranded));
    site.sweep().await;
    site.settle().await;
    assert_eq!(site.run(&key).await.state.name(), "succeeded");
    assert_eq!(site.run(&key).await.hops.len(), 1, "nothing was bought again");
    assert_eq!(site.outer.batches.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_whose_expression_is_refused_becomes_a_chain_and_has_its_timer() {
    let site = site();
    site.add(&daily("a", false)).await;
    site.outer.timers.lock().unwrap().remove("j-a");
    *site.outer.refuses.lock().unwrap() = true;
    site.clock.advance_to("2026-11-21T08:00:00Z".parse().unwrap());
    site.sweep().await;
    let record = site.deps.store.job(&JobId::parse("a").unwrap()).await.unwrap().unwrap();
    assert!(record.chained);
    assert!(site.outer.names().contains(&"o-a-20261122T073000Z-1".to_owned()), "{:?}", site.outer.names());
    site.settle().await;
    assert_eq!(site.found().await, []);
    let counted = [FindingKind::MissedFire, FindingKind::TimerMissing].map(|kind| (kind.counter().to_owned(), 1));
    assert_eq!(site.counted().await, counted);
}

#[tokio::test]
async fn a_late_timer_beside_a_repair_starts_nothing_twice() {
    let site = site();
    site.add(&daily("a", false)).await;
    let due: DateTime<chrono::Utc> = "2026-11-21T07:30:00Z".parse().unwrap();
    site.clock.advance_to(due + TimeDelta::minutes(5));
    site.sweep().await;
    let late = Wake::Job { j: JobId::parse("a").unwrap(), g: 1, s: due.to_rfc3339(), slot: None, nb: None };
    site.call(&Envelope::new(late)).await;
    site.settle().await;
    assert_eq!(site.outer.sent.lock().unwrap().len(), 1);
    assert_eq!(site.counted().await, [(FindingKind::MissedFire.counter().to_owned(), 1)]);
}

#[tokio::test]
async fn a_batch_that_settles_while_it_is_looked_at_is_no_repair() {
    let site = site();
    flood(&site, 1).await;
    let id = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T000000");
    let batch = site.deps.store.batch(&id).await.unwrap().unwrap();
    let settled = Batch { rev: 2, state: BatchState::Settled { remote: None }, ..batch };
    let _ = site.deps.store.commit(&[Write::Batch { batch: &settled, expires_at: None }]).await.unwrap();
    assert_eq!((site.sweep().await.repaired, site.counted().await), (0, Vec::new()));
}
