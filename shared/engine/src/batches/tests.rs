//! The batch protocol against what is known of the API, one fact after the other; and what is paid for nothing.

mod adoption;
mod many;
mod money;
mod provider;
mod rows;
mod spoilt;
mod stops;
mod twins;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::Batch;
use nightshift_domain::config::Config;
use nightshift_domain::run::{Effect, Run, State};
use nightshift_domain::{AttemptId, RunKey};
use serde_json::{Value, json};

use self::provider::{Everywhere, Provider};
use super::{Polled, poll};
use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::jobs::tests::Outside;
use crate::ports::{DueItem, Write};
use crate::runs::{Scene, drive, resume};
use crate::testing::{MemoryBlobs, MemoryStore, NoSecrets, NoWeb, Recorder};

struct World {
    clock: ManualClock,
    provider: Arc<Provider>,
    metrics: Arc<Recorder>,
    deps: Deps,
    config: Config,
}

fn world() -> World {
    world_of(&json!({}))
}

fn world_of(config: &Value) -> World {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let outside = Arc::new(Outside::default());
    let provider = Provider::new(clock.clone());
    let metrics = Arc::new(Recorder::default());
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: outside.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: outside.clone(),
        invoker: outside.clone(),
        models: Arc::new(Everywhere(provider.clone())),
        channels: outside,
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: metrics.clone(),
        settings: Settings::default(),
    };
    World { clock, provider, metrics, deps, config: Config::parse(config).unwrap() }
}

/// A planned run of the job, with a day to go, that stands in `state`.
fn run(job: &str, path: &str, state: &Value) -> Run {
    let run = json!({
        "key": format!("{job}_20261120T120000Z"), "jobId": job, "jobName": job, "agentId": "main", "origin": "schedule",
        "task": { "task": "turn" }, "slot": "2026-11-20T12:00:00Z", "sequence": 1,
        "createdAt": "2026-11-20T12:00:00Z", "startedAt": "2026-11-20T12:00:00Z", "state": state,
        "stateSince": "2026-11-20T12:00:00Z", "rev": 1, "turn": { "message": "" }, "prompt": { "inline": "hello" },
        "plan": { "path": path, "provider": "anthropic", "model": "claude-haiku-4-5", "maxTokens": 1000,
            "deadline": "2026-11-22T12:00:00Z", "onTimeout": "fail", "realtimeSeconds": 3600, "maxHops": 5 },
    });
    serde_json::from_value(run).unwrap()
}

fn ready(job: &str) -> Run {
    run(job, "batch", &json!({ "state": "ready", "hop": 1, "attempt": 1, "tries": 0 }))
}

fn running(job: &str) -> Run {
    run(job, "realtime", &json!({ "state": "running", "hop": 1, "starts": 1, "tries": 0 }))
}

impl World {
    fn invocation(&self, id: &str) -> Invocation {
        Invocation { id: id.to_owned(), deadline: self.clock.now() + TimeDelta::minutes(15) }
    }

    fn scene<'a>(&'a self, invocation: &'a Invocation) -> Scene<'a> {
        Scene { deps: &self.deps, invocation, config: &self.config }
    }

    async fn write(&self, run: &Run) {
        self.deps.store.commit(&[Write::Run { run, expires_at: None }]).await.unwrap();
    }

    /// Writes a run that is ready and submits it.
    async fn submit(&self, run: Run) -> RunKey {
        self.write(&run).await;
        let (key, invocation) = (run.key.clone(), self.invocation("inv-submit"));
        Box::pin(drive(self.scene(&invocation), run, vec![Effect::Submit])).await.unwrap();
        key
    }

    async fn run(&self, key: &RunKey) -> Run {
        self.deps.store.run(key).await.unwrap().unwrap()
    }

    async fn state(&self, key: &RunKey) -> &'static str {
        self.run(key).await.state.name()
    }

    async fn batch(&self, id: &AttemptId) -> Batch {
        self.deps.store.batch(id).await.unwrap().unwrap()
    }

    /// The batches that are not settled, the one whose poll is due first at the head.
    async fn open(&self) -> Vec<Batch> {
        let far = self.clock.now() + TimeDelta::days(60);
        let mut open = Vec::new();
        for item in self.deps.store.due(far, 200).await.unwrap() {
            if let DueItem::Batch(id) = item {
                open.push(self.batch(&id).await);
            }
        }
        open.sort_by_key(|batch| batch.next_poll_at);
        open
    }

    /// Looks at a batch as its own timer does.
    async fn poll(&self, id: &AttemptId) -> Polled {
        let batch = self.batch(id).await;
        if batch.next_poll_at > self.clock.now() {
            self.clock.advance_to(batch.next_poll_at);
        }
        let invocation = self.invocation("inv-poll");
        Box::pin(poll(self.scene(&invocation), id, Some(batch.polls))).await.unwrap()
    }

    /// Lets timers fire until `until`, resuming what is paused; whatever is open then stays so.
    async fn live_until(&self, until: DateTime<Utc>) {
        loop {
            let next = self.open().await.into_iter().find(|batch| batch.next_poll_at <= until);
            let invocation = self.invocation("inv-resume");
            for item in self.deps.store.due(until, 200).await.unwrap() {
                let DueItem::Run(key) = item else { continue };
                let State::Paused { resume_at, .. } = self.run(&key).await.state else { continue };
                if next.as_ref().is_none_or(|batch| resume_at <= batch.next_poll_at) {
                    if resume_at > self.clock.now() {
                        self.clock.advance_to(resume_at);
                    }
                    Box::pin(resume(self.scene(&invocation), &key)).await.unwrap();
                }
            }
            let Some(batch) = next else { break };
            if self.open().await.contains(&batch) {
                self.poll(&batch.id).await;
            }
        }
        if until > self.clock.now() {
            self.clock.advance_to(until);
        }
    }

    async fn live(&self, time: TimeDelta) {
        self.live_until(self.clock.now() + time).await;
    }

    fn created(&self) -> u32 {
        self.provider.with(|inner| inner.created)
    }
}
