//! Timers that are switched off, by the configuration or by the process's environment.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::JobId;
use nightshift_domain::event::Wake;
use nightshift_domain::run::{Origin, Run, State};
use serde_json::{Value, json};

use super::{World, at, daily, world};
use crate::deps::{Deps, Settings};
use crate::jobs::{Ran, config_set, get, run_now, status};
use crate::runs::{Fire, Fired, Resumed, Scene, fire, load_config, resume};

/// How timers are switched off.
#[derive(Debug, Clone, Copy)]
enum Off {
    /// `cron.enabled: false`.
    Config,
    /// `NIGHTSHIFT_SKIP_CRON` or `OPENCLAW_SKIP_CRON`, which the process reads when it starts.
    Environment,
}

impl World {
    async fn switched(self, off: Off, on: bool) -> Self {
        match off {
            Off::Config => {
                config_set(&self.request(), &json!({ "path": "cron.enabled", "value": on })).await.unwrap();
                self
            }
            Off::Environment => {
                let settings = Settings { skip_cron: !on, ..Settings::default() };
                Self { deps: Deps { settings, ..self.deps.clone() }, ..self }
            }
        }
    }

    async fn fired(&self, job: &str, scheduled: &str, one_shot: bool) -> Fired {
        let scheduled: DateTime<Utc> = scheduled.parse().unwrap();
        self.clock.advance_to(scheduled.max(self.deps.clock.now()));
        let job = JobId::parse(job).unwrap();
        let generation = self.deps.store.job(&job).await.unwrap().unwrap().generation;
        let slot = one_shot.then_some(scheduled);
        let config = load_config(&self.deps).await.unwrap();
        let scene = Scene { deps: &self.deps, invocation: &self.invocation, config: &config };
        fire(scene, &Fire { job, generation, scheduled, slot, not_before: slot }).await.unwrap()
    }

    async fn only_run(&self, job: &str) -> Run {
        let mut runs = self.runs_of(&JobId::parse(job).unwrap()).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    async fn next_run(&self, job: &str) -> Option<String> {
        let job = get(&self.request(), &json!({ "jobId": job })).await.unwrap();
        let next = DateTime::from_timestamp_millis(job.state.next_run_at_ms?).unwrap();
        Some(next.to_rfc3339())
    }
}

fn skipped() -> State {
    State::Skipped { reason: "cron_disabled".to_owned() }
}

#[tokio::test]
async fn a_timer_that_fires_while_off_runs_nothing_and_leaves_its_record() {
    for off in [Off::Config, Off::Environment] {
        let world = world();
        world.add(daily()).await;
        let world = world.switched(off, false).await;
        assert!(!status(&world.request(), &Value::Null).await.unwrap().enabled, "{off:?}");
        let fired = world.fired("daily", "2026-11-21T07:30:00Z", false).await;
        assert!(matches!(fired, Fired::Recorded(_)), "{off:?}: {fired:?}");
        let run = world.only_run("daily").await;
        assert_eq!((&run.state, run.origin, run.hops.len()), (&skipped(), Origin::Schedule, 0), "{off:?}");
        assert_eq!(world.next_run("daily").await.as_deref(), Some("2026-11-22T07:30:00+00:00"), "{off:?}");
        let again = world.fired("daily", "2026-11-21T07:30:00Z", false).await;
        assert!(matches!(again, Fired::Recorded(_)), "a repeat finds the record: {again:?}");
        world.only_run("daily").await;

        let world = world.switched(off, true).await;
        assert!(status(&world.request(), &Value::Null).await.unwrap().enabled, "{off:?}");
        let fired = world.fired("daily", "2026-11-22T07:30:00Z", false).await;
        assert!(matches!(fired, Fired::Driven(_)), "on again, it runs: {fired:?}");
    }
}

#[tokio::test]
async fn a_run_by_hand_works_while_timers_are_off() {
    for off in [Off::Config, Off::Environment] {
        let world = world();
        world.add(daily()).await;
        let world = world.switched(off, false).await;
        let Ran::Enqueued(key) = run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap() else {
            panic!()
        };
        assert_eq!(world.outside.envelopes.lock().unwrap().last().unwrap().kind, Wake::Resume { r: key.clone() });
        let config = load_config(&world.deps).await.unwrap();
        let scene = Scene { deps: &world.deps, invocation: &world.invocation, config: &config };
        assert!(matches!(resume(scene, &key).await.unwrap(), Resumed::Driven), "{off:?}");
        let run = world.only_run("daily").await;
        // There is no model here; that it was asked for shows that the run went on.
        let State::Failed { code, .. } = &run.state else { panic!("{off:?}: {:?}", run.state) };
        assert_ne!(code, "cron_disabled", "{off:?}");
    }
}

#[tokio::test]
async fn a_chain_goes_on_while_off_so_that_it_is_there_when_on_again() {
    for off in [Off::Config, Off::Environment] {
        let world = world();
        let mut job = daily();
        // No recurring schedule can say this.
        job["schedule"] = json!({ "kind": "every", "everyMs": 5_400_500, "anchorMs": 0 });
        world.add(job).await;
        let next = |world: &World| {
            let names = world.outside.calls();
            names.into_iter().rfind(|call| call.contains(" o-daily-")).unwrap_or_else(|| panic!("{off:?}"))
        };
        let first = next(&world);
        let slot: DateTime<Utc> = world.next_run("daily").await.unwrap().parse().unwrap();
        let world = world.switched(off, false).await;
        let fired = world.fired("daily", &slot.to_rfc3339(), true).await;
        assert!(matches!(fired, Fired::Recorded(_)), "{off:?}: {fired:?}");
        assert_eq!(world.only_run("daily").await.state, skipped());
        let armed = next(&world);
        assert!(armed.starts_with("arm ") && armed != first, "{armed}");
    }
}

#[tokio::test]
async fn a_one_shot_whose_time_comes_while_off_is_kept_disabled_with_its_record() {
    for off in [Off::Config, Off::Environment] {
        let world = world();
        world.add(at("2026-11-20T13:00:00Z")).await;
        let world = world.switched(off, false).await;
        assert!(matches!(world.fired("once", "2026-11-20T13:00:00Z", true).await, Fired::Recorded(_)), "{off:?}");
        assert_eq!(world.only_run("once").await.state, skipped());
        let job = get(&world.request(), &json!({ "jobId": "once" })).await.unwrap();
        assert!(!job.enabled, "it did not have its run, and nothing says it did");
        let world = world.switched(off, true).await;
        world.clock.advance(TimeDelta::hours(1));
        let ran = run_now(&world.request(), &json!({ "jobId": "once" })).await.unwrap();
        assert!(matches!(ran, Ran::Enqueued(_)), "it can be run by hand: {ran:?}");
    }
}
