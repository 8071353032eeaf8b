//! Every kind: the thing is broken, the doctor names it and changes nothing, the sweep mends it, and all ends as it should.

use chrono::TimeDelta;
use nightshift_domain::batch::{Batch, BatchState, Window, WindowId};
use nightshift_domain::event::Wake;
use nightshift_domain::run::{CancelReason, Lease, State};
use nightshift_domain::{JobId, RunKey};
use serde_json::json;

use super::site::{Site, daily, site};
use crate::clock::Clock;
use crate::ports::{DueItem, TimerSpec, Write};
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
    let lose = |name: &str| assert!(site.outer.timers.lock().unwrap().remove(name).is_some(), "{name} is there");
    let recurring =
        |expression: &str| TimerSpec::Recurring { expression: expression.into(), timezone: "UTC".into(), start: None };
    let edit_timer =
        |change: fn(&mut crate::ports::JobTimer)| change(site.outer.timers.lock().unwrap().get_mut("j-a").unwrap());
    site.add(daily("a", kind_batches(kind))).await;
    let mut told = true;
    let run = match kind {
        FindingKind::TimerMissing => {
            lose("j-a");
            None
        }
        FindingKind::TimerOrphan => {
            let wake = Wake::Job { j: JobId::parse("gone").unwrap(), g: 1, s: String::new(), slot: None, nb: None };
            site.timer("j-gone", recurring("rate(1 hour)"), wake);
            None
        }
        FindingKind::TimerState => {
            edit_timer(|timer| timer.enabled = false);
            None
        }
        FindingKind::TimerDiffers => {
            edit_timer(|timer| timer.spec = TimerSpec::Once("2026-12-01T00:00:00Z".parse().unwrap()));
            None
        }
        FindingKind::MissedFire => {
            site.clock.advance_to("2026-11-21T07:36:00Z".parse().unwrap());
            Some((RunKey::parse("a_20261121T073000Z").unwrap(), "succeeded"))
        }
        FindingKind::HandOverLost => {
            let key = site.ask("a").await;
            site.lose_calls();
            site.minutes(10);
            Some((key, "succeeded"))
        }
        FindingKind::DeadLease => {
            let key = site.ask("a").await;
            site.lose_calls();
            let until = site.clock.now() + TimeDelta::seconds(90);
            site.edit(&key, |run| run.lease = Some(Lease { owner: "dead".into(), until })).await;
            site.minutes(10);
            Some((key, "succeeded"))
        }
        FindingKind::ResumeLost => {
            *site.outer.busy.lock().unwrap() = true;
            let key = site.ask("a").await;
            site.settle().await;
            *site.outer.busy.lock().unwrap() = false;
            lose(&key.resume_timer(1));
            site.minutes(10);
            Some((key, "succeeded"))
        }
        FindingKind::Undelivered => {
            let key = site.ask("a").await;
            for resume in site.lose_calls() {
                site.call(&resume).await;
            }
            assert!(matches!(site.lose_calls()[0].kind, Wake::Deliver { .. }));
            site.minutes(10);
            Some((key, "succeeded"))
        }
        FindingKind::NeverWoken => {
            let key = site.ask("a").await;
            let waits = State::Waiting { reason: nightshift_domain::run::WaitReason::Overlap };
            site.edit(&key, |run| run.state = waits).await;
            site.lose_calls();
            site.minutes(10);
            Some((key, "succeeded"))
        }
        FindingKind::CancelLost | FindingKind::BatchStranded | FindingKind::PollChainBroken => {
            let key = site.ask("a").await;
            site.settle().await;
            Some(in_batch(&site, kind, key).await)
        }
        FindingKind::PlaceLeaked => {
            let key = site.ask("a").await;
            site.settle().await;
            let hold = [Write::HoldPlace { place: 0, run: &key }];
            let _ = site.deps.store.commit(&hold).await.unwrap();
            Some((key, "succeeded"))
        }
        FindingKind::BatchOrphan => {
            let key = site.ask("a").await;
            site.settle().await;
            site.outer.remote(site.clock.now(), &[key.custom_id(1, 1)]);
            site.outer.end_batches();
            told = false;
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
    told &= run.is_some();
    Broken { site, run, told }
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
        site.edit(&key, |run| run.state = canceling(CancelReason::Timeout)).await;
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
        let Broken { site, run, told } = broken(kind).await;
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
        let Broken { site, run, .. } = broken(kind).await;
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
    let Broken { site, .. } = broken(FindingKind::Unreadable).await;
    for _ in 0..3 {
        assert_eq!(site.found().await, [FindingKind::Unreadable]);
        assert_eq!(site.sweep().await.repaired, 0);
        assert!(!site.doctor(json!({ "repair": true })).await.is_well(), "nobody claims to have repaired it");
        site.minutes(15);
    }
    assert_eq!(site.counted().await, []);
}
