//! The tools on a table in memory, with chats and addresses that follow a script.

mod alerts;
mod fetch;
mod message;
mod outside;
mod sent_by_tool;
mod webhook;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::config::Config;
use nightshift_domain::delivery::Target;
use nightshift_domain::job::OnTimeout;
use nightshift_domain::run::{Origin, Path, Plan, Run};
use serde_json::{Value, json};

use super::{Answer, Call, execute};
use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::jobs::{Request, Stamp, add};
use crate::ports::Store;
use crate::runs::{Scene, new_run};
use crate::testing::{Faulty, MemoryBlobs, MemoryStore, NoMetrics, Nothing};

use outside::{Chats, Keys, Pages};

/// The key of the call that the tests make.
const KEY: &str = "1-toolu_1";

struct World {
    clock: ManualClock,
    chats: Arc<Chats>,
    pages: Arc<Pages>,
    store: Arc<Faulty>,
    deps: Deps,
    invocation: Invocation,
    config: Config,
}

fn world(config: &Value) -> World {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let (chats, pages) = (Arc::new(Chats::default()), Arc::new(Pages::default()));
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new(Arc::new(clock.clone())))));
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Nothing),
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: Arc::new(Nothing),
        invoker: Arc::new(Nothing),
        models: Arc::new(Nothing),
        channels: chats.clone(),
        secrets: Arc::new(Keys),
        web: pages.clone(),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    let invocation = Invocation { id: "inv-1".to_owned(), deadline: clock.now() + TimeDelta::minutes(10) };
    let config = Config::parse(config).unwrap();
    World { clock, chats, pages, store, deps, invocation, config }
}

impl World {
    fn scene(&self) -> Scene<'_> {
        Scene { deps: &self.deps, invocation: &self.invocation, config: &self.config }
    }

    /// A run of a job with this `delivery`, planned to go to `target`; not written.
    async fn run(&self, delivery: Value, target: Option<Target>) -> Run {
        let now = self.clock.now();
        let stamp = Stamp::fresh(&self.deps, now);
        let request = Request { deps: &self.deps, invocation: &self.invocation, now, stamp };
        let job = json!({ "jobId": "daily", "name": "Daily", "schedule": { "kind": "cron", "expr": "30 7 * * *" },
            "payload": { "kind": "agentTurn", "message": "Summarize." }, "delivery": delivery });
        let job = Box::pin(add(&request, &job)).await.unwrap();
        let record = self.store.job(&job.job_id).await.unwrap().unwrap();
        let key = RunKey::of_slot(&job.job_id, "2026-11-20T07:30:00Z".parse().unwrap());
        let mut run = new_run(&self.deps, &record, key, Origin::Schedule, now).await.unwrap();
        run.plan = Some(plan(target, now));
        run
    }

    async fn call(&self, run: &Run, name: &str, input: Value) -> Answer {
        let deadline = self.clock.now() + TimeDelta::seconds(60);
        execute(Call { scene: self.scene(), run, key: KEY, deadline }, name, input).await
    }
}

fn plan(target: Option<Target>, now: DateTime<Utc>) -> Plan {
    Plan {
        path: Path::Realtime,
        way: None,
        reason: None,
        fallback_reason: None,
        provider: "anthropic".to_owned(),
        model: "m".to_owned(),
        max_tokens: 1,
        effort: None,
        thinking: None,
        fallback: 0,
        fallbacks_left: 0,
        endpoint: None,
        system: None,
        tools: None,
        client_tools: vec!["message".to_owned()],
        mcp_servers: Vec::new(),
        target,
        deadline: now + TimeDelta::hours(1),
        on_timeout: OnTimeout::Fail,
        realtime_seconds: 3600,
        searches: 0,
        max_hops: 25,
        notes: Vec::new(),
    }
}

fn target(channel: &str, to: &str, thread: Option<&str>) -> Target {
    let thread = thread.map(str::to_owned);
    Target { channel: channel.to_owned(), account: "default".to_owned(), to: to.to_owned(), thread }
}

/// A run that a tool is called for.
pub(crate) fn bare(agent: &str) -> Run {
    let at = "2026-11-20T12:00:00Z";
    let run = json!({
        "key": "brief_20261120T120000Z", "jobId": "brief", "jobName": "Brief", "agentId": agent, "origin": "schedule",
        "slot": at, "sequence": 1, "task": { "task": "turn" }, "createdAt": at, "startedAt": at, "endedAt": null,
        "state": { "state": "due" }, "stateSince": at, "rev": 1, "turn": { "message": "" },
        "prompt": { "inline": "hello" }, "delivery": null,
    });
    serde_json::from_value(run).unwrap()
}
