//! Every kind: the thing is broken, the doctor names it and changes nothing, the sweep mends it, and all ends as it should.

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState, Window, WindowId};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::run::{CancelReason, Lease, State, WaitReason};
use nightshift_domain::{JobId, RunKey};
use serde_json::json;

use super::site::{Site, daily, site};
use crate::clock::Clock;
use crate::ports::{DueItem, JobTimer, Outcome, TimerSpec, Write};
use crate::sweep::FindingKind;

/// What is to be seen of a broken site.
struct Broken {
    site: Site,
    /// The run it is about, and the state it has to end in.
    run: Option<(RunKey, &'static str)>,
    /// Whether its log says so: a provider's batch or a timer is in no run's log.
    told: bool,
}

async fn broken(kind: FindingKind) -> Broken {
    let site = site();
    site.add(&daily("a", kind_batches(kind))).await;
    let run = match kind {
        FindingKind::TimerMissing | FindingKind::TimerOrphan | FindingKind::TimerState | FindingKind::TimerDiffers => {
            break_timer(&site, kind);
            None
        }
        FindingKind::MissedFire => {
            site.clock.advance_to("2026-11-21T07:36:00Z".parse().unwrap());
            Some((RunKey::parse("a_20261121T073000Z").unwrap(), "succeeded"))
        }
        FindingKind::HandOverLost
        | FindingKind::DeadLease
        | FindingKind::NeverWoken
        | FindingKind::ResumeLost
        | FindingKind::Undelivered => Some((alone(&site, kind).await, "succeeded")),
        FindingKind::CancelLost | FindingKind::BatchStranded | FindingKind::PollChainBroken => {
            let key = site.ask("a").await;
            site.settle().await;
            Some(in_batch(&site, kind, key).await)
        }
        FindingKind::PlaceLeaked => {
            let key = site.ask("a").await;
            site.settle().await;
            let hold = [Write::HoldPlace { place: 0, run: &key }];
            assert_eq!(site.deps.store.commit(&hold).await.unwrap(), Outcome::Applied);
            Some((key, "succeeded"))
        }
        FindingKind::BatchOrphan => {
            let key = site.ask("a").await;
            site.settle().await;
            site.outer.remote(site.clock.now(), &[key.custom_id(1, 1)]);
            site.outer.end_batches();
            Some((key, "succeeded"))
        }
        FindingKind::WindowLost => {
            let name = WindowId::new("20261120T120500Z-anthropic-7-f");
            let window = Window::opened(&name, None, site.clock.now()).unwrap();
            let _ = site.deps.store.commit(&[Write::Window { window: &window, expires_at: None }]).await.unwrap();
            site.minutes(15);
            None
        }
        FindingKind::Unreadable => {
            let key = site.ask("a").await;
            site.lose_calls();
            site.minutes(10);
            site.store.spoil(&DueItem::Run(key));
            None
        }
        FindingKind::SpendLimit => panic!("nobody here can mend that"),
    };
    let told = run.is_some() && kind != FindingKind::BatchOrphan;
    Broken { site, run, told }
}

fn break_timer(site: &Site, kind: FindingKind) {
    let mut timers = site.outer.timers.lock().unwrap();
    if kind == FindingKind::TimerMissing {
        timers.remove("j-a").unwrap();
        return;
    }
    let timer = timers.get_mut("j-a").unwrap();
    if kind == FindingKind::TimerState {
        timer.enabled = false;
    } else if kind == FindingKind::TimerDiffers {
        timer.spec = TimerSpec::Once("2026-12-01T00:00:00Z".parse().unwrap());
    } else {
        let wake = Wake::Job { j: JobId::parse("gone").unwrap(), g: 1, s: String::new(), slot: None, nb: None };
        let stray = JobTimer { name: "j-gone".into(), envelope: Envelope::new(wake), ..timer.clone() };
        timers.insert("j-gone".into(), stray);
    }
}

/// Loses a run that is in no batch.
async fn alone(site: &Site, kind: FindingKind) -> RunKey {
    *site.outer.busy.lock().unwrap() = kind == FindingKind::ResumeLost;
    let key = site.ask("a").await;
    if kind == FindingKind::ResumeLost {
        site.settle().await;
        *site.outer.busy.lock().unwrap() = false;
        site.outer.timers.lock().unwrap().remove(&key.resume_timer(1)).unwrap();
    } else if kind == FindingKind::Undelivered {
        for resume in site.lose_calls() {
            site.call(&resume).await;
        }
        assert!(matches!(site.lose_calls()[0].kind, Wake::Deliver { .. }));
    } else if kind == FindingKind::DeadLease {
        let until = site.clock.now() + TimeDelta::seconds(90);
        site.edit(&key, |run| run.lease = Some(Lease { owner: "dead".into(), until })).await;
    } else if kind == FindingKind::NeverWoken {
        site.edit(&key, |run| run.state = State::Waiting { reason: WaitReason::Overlap }).await;
    }
    site.lose_calls();
    site.minutes(10);
    key
}

fn kind_batches(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::CancelLost | FindingKind::BatchStranded | FindingKind::PollChainBroken)
}

/// Breaks a run that is in a batch.
async fn in_batch(site: &Site, kind: FindingKind, key: RunKey) -> (RunKey, &'static str) {
    let run = site.run(&key).await;
    let State::Submitted { hop, attempt, batch } = run.state else { panic!("{:?}", run.state) };
    let canceling = |why| State::Canceling { hop, attempt, batch: batch.clone(), why };
    if kind == FindingKind::CancelLost {
        site.edit(&key, |run| run.state = canceling(CancelReason::Requested)).await;
        site.minutes(8);
        return (key, "canceled");
    }
    if kind == FindingKind::BatchStranded {
        site.edit(&key, |run| {
            run.state = canceling(CancelReason::Timeout);
            // It has outlasted any batch.
            run.state_since -= chrono::TimeDelta::hours(27);
        })
        .await;
        let row = site.deps.store.batch(&batch).await.unwrap().unwrap();
        let state = BatchState::Settled { remote: row.state.remote().map(str::to_owned) };
        let settled = Batch { rev: row.rev + 1, state, ..row };
        let _ = site.deps.store.commit(&[Write::Batch { batch: &settled, expires_at: None }]).await.unwrap();
    } else {
        site.outer.timers.lock().unwrap().remove(&batch.poll_timer(1)).unwrap();
    }
    site.outer.end_batches();
    site.minutes(10);
    (key, "succeeded")
}

impl Site {
    /// Everything a look must leave as it is.
    async fn picture(&self, run: Option<&RunKey>) -> String {
        let run = match run {
            Some(key) => self.deps.store.run(key).await.unwrap(),
            None => None,
        };
        let due = self.deps.store.due(self.clock.now(), 100).await.unwrap();
        let timers = self.outer.timers.lock().unwrap().clone();
        let job = self.deps.store.job(&JobId::parse("a").unwrap()).await.unwrap();
        let calls = self.outer.calls.lock().unwrap().clone();
        format!("{run:#?} {due:#?} {timers:#?} {job:#?} {calls:#?} {:#?}", self.counted().await)
    }
}

#[tokio::test]
async fn whatever_is_lost_is_named_by_the_doctor_mended_by_the_sweep_and_counted_once() {
    for kind in FindingKind::ALL.into_iter().filter(|kind| *kind != FindingKind::Unreadable) {
        let Broken { site, run, told } = Box::pin(broken(kind)).await;
        let key = run.as_ref().map(|(key, _)| key);
        let before = site.picture(key).await;
        assert_eq!(site.found().await, [kind], "{kind:?}: the doctor names it");
        assert_eq!(site.picture(key).await, before, "{kind:?}: a look changes nothing");

        let swept = site.sweep().await;
        assert_eq!(swept.repaired, 1, "{kind:?}: the sweep mends it");
        assert_eq!(site.counted().await, [(kind.counter().to_owned(), 1)], "{kind:?}: it is counted once");
        if let Some(key) = key.filter(|_| told) {
            let said = site.repairs(key).await;
            assert_eq!(said.len(), 1, "{kind:?}: {said:?}");
            assert!(said[0].starts_with(&format!("{}: ", kind.words())), "{kind:?}: {said:?}");
        }
        assert_eq!(site.found().await.iter().filter(|found| **found == kind).count(), still(kind), "{kind:?}");
        if kind == FindingKind::CancelLost {
            site.outer.end_batches();
        }
        site.settle().await;
        for _ in 0..4 {
            site.minutes(15);
            site.settle().await;
            site.sweep().await;
        }
        assert_eq!(site.found().await, [], "{kind:?}: the doctor is content");
        assert_eq!(site.counted().await, [(kind.counter().to_owned(), 1)], "{kind:?}: and nothing more was mended");
        if let Some((key, state)) = run {
            assert_eq!(site.run(&key).await.state.name(), state, "{kind:?}");
            let answers = usize::from(state == "succeeded");
            assert_eq!(site.outer.sent.lock().unwrap().len(), answers, "{kind:?}: an answer is sent once");
        }
    }
}

/// How many findings of the kind there are until the call that the repair made is done.
fn still(kind: FindingKind) -> usize {
    let handed_over = [
        FindingKind::DeadLease,
        FindingKind::HandOverLost,
        FindingKind::ResumeLost,
        FindingKind::Undelivered,
        FindingKind::NeverWoken,
    ];
    usize::from(handed_over.contains(&kind))
}

#[tokio::test]
async fn what_the_doctor_repairs_is_what_the_sweep_repairs() {
    for kind in FindingKind::ALL.into_iter().filter(|kind| *kind != FindingKind::Unreadable) {
        let Broken { site, run, .. } = Box::pin(broken(kind)).await;
        let checkup = site.doctor(json!({ "deep": true, "repair": true })).await;
        assert!(checkup.is_well(), "{kind:?}: {checkup:#?}");
        if kind == FindingKind::CancelLost {
            // The sweep that was called comes, and then the batch ends.
            let calls = site.lose_calls();
            assert_eq!(calls.len(), 1, "{kind:?}");
            site.call(&calls[0]).await;
            site.outer.end_batches();
        }
        site.settle().await;
        site.minutes(5);
        site.settle().await;
        assert_eq!(site.counted().await, [(kind.counter().to_owned(), 1)], "{kind:?}: it is counted once");
        assert_eq!(site.found().await, [], "{kind:?}");
        if let Some((key, state)) = run {
            assert_eq!(site.run(&key).await.state.name(), state, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_reported_and_not_counted_as_repaired() {
    let Broken { site, .. } = Box::pin(broken(FindingKind::Unreadable)).await;
    for _ in 0..3 {
        assert_eq!(site.found().await, [FindingKind::Unreadable]);
        assert_eq!(site.sweep().await.repaired, 0);
        assert!(!site.doctor(json!({ "repair": true })).await.is_well(), "nobody claims to have repaired it");
        site.minutes(15);
    }
    assert_eq!(site.counted().await, []);
}
