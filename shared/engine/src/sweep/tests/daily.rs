//! The pass of once a day: what no due index shows.

use chrono::TimeDelta;
use nightshift_domain::config::Config;
use serde_json::json;

use super::site::{Site, daily, site};
use crate::clock::Clock;
use crate::deps::Invocation;
use crate::ports::{Memo, Outcome, Write};
use crate::sweep::FindingKind;
use crate::sweep::daily::NOTE;

impl Site {
    async fn note(&self) -> serde_json::Value {
        self.deps.store.memo(NOTE).await.unwrap().map(|note| note.document).unwrap_or_default()
    }

    fn lose(&self, name: &str) {
        assert!(self.outer.timers.lock().unwrap().remove(name).is_some(), "{name} is there");
    }

    fn dedicated(&mut self) {
        let config = json!({ "providers": { "anthropic": { "dedicatedWorkspace": true } },
            "agents": { "defaults": { "model": "anthropic/claude-opus-4-8" } } });
        self.config = Config::parse(&config).unwrap();
    }
}

#[tokio::test]
async fn it_is_made_once_a_day_by_whoever_sweeps_first() {
    let site = site();
    site.add(&daily("a", false)).await;
    site.sweep().await;
    assert_eq!(site.note().await, json!({ "day": "2026-11-20", "cursor": null }));
    site.lose("j-a");
    site.minutes(60);
    site.sweep().await;
    assert!(!site.outer.names().contains(&"j-a".to_owned()), "today's is done");
    site.clock.advance_to("2026-11-21T00:05:00Z".parse().unwrap());
    site.sweep().await;
    assert!(site.outer.names().contains(&"j-a".to_owned()));
    assert_eq!(site.note().await, json!({ "day": "2026-11-21", "cursor": null }));
    assert_eq!(site.counted().await, [(FindingKind::TimerMissing.counter().to_owned(), 1)]);
}

#[tokio::test]
async fn a_pass_that_is_cut_off_goes_on_at_the_next_sweep_also_past_midnight() {
    let site = site();
    for n in 0..250 {
        site.add(&daily(&format!("a-{n:03}"), false)).await;
    }
    site.lose("j-a-005");
    site.lose("j-a-249");
    site.clock.advance_to("2026-11-20T23:40:00Z".parse().unwrap());
    let begun = site.clock.now().date_naive();
    // A look at a timer takes so long that a page of jobs is all there is time for.
    *site.outer.slow.lock().unwrap() = Some((site.clock.clone(), TimeDelta::milliseconds(100)));
    let mut sweeps = 0;
    while sweeps == 0 || !site.note().await["cursor"].is_null() {
        let invocation =
            Invocation { id: format!("short-{sweeps}"), deadline: site.clock.now() + TimeDelta::seconds(20) };
        site.sweep_as(&invocation).await;
        assert_eq!(site.note().await["day"], json!(begun));
        site.minutes(20);
        sweeps += 1;
        assert!(sweeps < 20, "{}", site.note().await);
    }
    assert!(sweeps > 1 && site.clock.now().date_naive() > begun, "it took several, and ended the day after");
    for name in ["j-a-005", "j-a-249"] {
        assert!(site.outer.names().contains(&name.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn of_two_sweeps_that_begin_a_day_one_makes_the_pass() {
    let site = site();
    site.sweep().await;
    site.clock.advance_to("2026-11-21T00:05:00Z".parse().unwrap());
    // Another one has entered the new day and is at work on it; a third finds that it was done.
    let other = json!({ "day": "2026-11-21", "cursor": null });
    let memo = Memo { name: NOTE.into(), document: other.clone(), rev: 3 };
    let written = site.deps.store.commit(&[Write::Memo { memo: &memo, expires_at: None }]).await.unwrap();
    assert_eq!(written, Outcome::Applied, "the pass of yesterday made two notes");
    site.sweep().await;
    assert_eq!(site.note().await, other);
}

#[tokio::test]
async fn a_paid_batch_that_nobody_knows_is_counted_once_however_often_it_is_seen() {
    let site = site();
    site.add(&daily("a", false)).await;
    let key = site.ask("a").await;
    site.settle().await;
    site.clock.advance_to("2026-11-20T20:00:00Z".parse().unwrap());
    site.outer.remote(site.clock.now(), &[key.custom_id(1, 1)]);
    site.outer.remote(site.clock.now(), &["somebody-elses".to_owned()]);
    site.outer.remote(site.clock.now(), &["gone_20261120T070000Z_1_1".to_owned()]);
    site.outer.remote(site.clock.now() - TimeDelta::hours(31), &[key.custom_id(1, 2)]);
    site.outer.end_batches();
    // The first look goes back as far as results can be had, and one after days without any to where the last one was.
    let days = ["2026-11-20T21:00:00Z", "2026-11-21T00:05:00Z", "2026-11-22T00:05:00Z", "2026-11-26T00:05:00Z"];
    for (day, count) in days.into_iter().zip([2, 2, 2, 3]) {
        site.clock.advance_to(day.parse().unwrap());
        if count == 3 {
            site.outer.remote(site.clock.now() - TimeDelta::hours(60), &[key.custom_id(1, 3)]);
            site.outer.end_batches();
        }
        site.outer.timers.lock().unwrap().remove("j-a");
        site.sweep().await;
        site.settle().await;
        let orphans: Vec<_> =
            site.counted().await.into_iter().filter(|(name, _)| name.ends_with("batch_orphan")).collect();
        assert_eq!(orphans, [(FindingKind::BatchOrphan.counter().to_owned(), count)], "{day}");
    }
    assert_eq!(*site.outer.stopped.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_unknown_batch_that_runs_is_stopped_only_in_a_workspace_of_our_own_and_where_no_create_is_open() {
    let old = "2026-11-20T11:00:00Z".parse().unwrap();
    let shared = site();
    shared.outer.remote(old, &["x".to_owned()]);
    assert_eq!((shared.found().await, shared.sweep().await.repaired), (vec![], 0), "it may be anybody's");
    assert_eq!(*shared.outer.stopped.lock().unwrap(), Vec::<String>::new());

    let mut ours = site();
    ours.dedicated();
    let document = serde_json::to_value(&ours.config).unwrap();
    assert_eq!(ours.deps.store.put_config(&document, 0).await.unwrap(), Outcome::Applied);
    ours.outer.remote(old, &["x".to_owned()]);
    assert_eq!(ours.found().await, [FindingKind::BatchOrphan]);
    assert_eq!(*ours.outer.stopped.lock().unwrap(), Vec::<String>::new(), "a look stops nothing");
    assert_eq!(ours.sweep().await.repaired, 1);
    assert_eq!(*ours.outer.stopped.lock().unwrap(), ["msgbatch_1"]);
    assert_eq!(ours.found().await, []);
    assert_eq!(ours.counted().await, [(FindingKind::BatchOrphan.counter().to_owned(), 1)]);

    let mut open = site();
    open.dedicated();
    open.outer.remote(old, &["x".to_owned()]);
    let intent = json!({
        "id": "01KAHJ5Z3M7Q2W4E6R8T000000", "provider": "anthropic", "state": { "state": "creating" }, "rev": 1, "polls": 1,
        "members": [{ "run": "x_20261120T070000Z", "hop": 1, "attempt": 1 }], "digest": "", "onTimeout": "fail",
        "startedAt": "2026-11-20T11:00:30Z", "deadline": "2026-11-21T11:00:30Z", "nextPollAt": "2026-11-20T12:10:00Z",
    });
    let intent = serde_json::from_value(intent).unwrap();
    let _ = open.deps.store.commit(&[Write::Batch { batch: &intent, expires_at: None }]).await.unwrap();
    assert_eq!(open.sweep().await.repaired, 0);
    assert_eq!(*open.outer.stopped.lock().unwrap(), Vec::<String>::new(), "it may be the batch that is looked for");
    assert_eq!(open.counted().await, []);
}
