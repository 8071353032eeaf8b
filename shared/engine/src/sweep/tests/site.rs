//! The whole product on a table in memory: timers that are kept and fire when told, calls that queue, a model and a channel
//! that answer, and a provider's batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use nightshift_domain::RunKey;
use nightshift_domain::config::Config;
use nightshift_domain::delivery::Target;
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply, StopReason, built_in};
use nightshift_domain::run::{Credential, RowResult, Run};
use serde_json::{Value, json};

use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::jobs::{Checkup, Request, Stamp, add, doctor};
use crate::ports::{
    BatchList, BatchRow, BatchView, Batches, Channel, ChannelError, Channels, CreateError, Entropy, Invoker, JobTimer,
    Model, ModelError, Models, OpenChannelError, OpenModelError, OpenedModel, Outcome, Outgoing, Page, Rendered,
    ResultLine, ResultLines, SendError, Sent, TimerEntry, TimerError, TimerSpec, TimerView, Timers, Write,
};
use crate::runs::Scene;
use crate::sweep::{FindingKind, Swept, sweep};
use crate::testing::{MemoryBlobs, MemoryStore, NoMetrics, NoSecrets, NoWeb};
use crate::{batches, deliver, trigger};

/// A batch at the provider.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) view: BatchView,
    pub(super) rows: Vec<String>,
}

/// Everything outside the table.
#[derive(Debug, Default)]
pub(super) struct Outer {
    pub(super) timers: Mutex<BTreeMap<String, JobTimer>>,
    pub(super) calls: Mutex<VecDeque<Envelope>>,
    pub(super) batches: Mutex<Vec<Remote>>,
    pub(super) sent: Mutex<Vec<String>>,
    /// The model is overloaded.
    pub(super) busy: Mutex<bool>,
    /// The service takes no recurring expression.
    pub(super) refuses: Mutex<bool>,
    /// Every look at a timer takes so long.
    pub(super) slow: Mutex<Option<(ManualClock, TimeDelta)>>,
    /// What batches are told to stop.
    pub(super) stopped: Mutex<Vec<String>>,
    now: Mutex<Option<ManualClock>>,
    chance: Mutex<u128>,
}

impl Outer {
    fn now(&self) -> DateTime<Utc> {
        self.now.lock().unwrap().as_ref().unwrap().now()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.timers.lock().unwrap().keys().cloned().collect()
    }
}

impl Entropy for Outer {
    fn bits(&self) -> u128 {
        let mut chance = self.chance.lock().unwrap();
        *chance += 1;
        *chance
    }
}

#[async_trait]
impl Timers for Outer {
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        if *self.refuses.lock().unwrap() && matches!(timer.spec, TimerSpec::Recurring { .. }) {
            return Err(TimerError { operation: "put".to_owned(), expression_refused: true, source: None });
        }
        self.timers.lock().unwrap().insert(timer.name.clone(), timer.clone());
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), TimerError> {
        self.timers.lock().unwrap().remove(name);
        Ok(())
    }

    async fn arm(&self, name: &str, at: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError> {
        let job = nightshift_domain::JobId::parse("any").unwrap();
        let spec = TimerSpec::Once(at);
        let timer = JobTimer { job, name: name.to_owned(), spec, envelope: envelope.clone(), enabled: true };
        self.timers.lock().unwrap().entry(name.to_owned()).or_insert(timer);
        Ok(())
    }

    async fn list(&self, prefix: &str, _: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        let timers = self.timers.lock().unwrap();
        let named = timers.values().filter(|timer| timer.name.starts_with(prefix));
        let entry =
            |timer: &JobTimer| TimerEntry { name: timer.name.clone(), enabled: timer.enabled, changed_at: None };
        Ok(Page { items: named.map(entry).collect(), next: None })
    }

    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError> {
        if let Some((clock, step)) = &*self.slow.lock().unwrap() {
            clock.advance(*step);
        }
        Ok(self.timers.lock().unwrap().get(name).map(|timer| TimerView {
            name: timer.name.clone(),
            enabled: timer.enabled,
            spec: timer.spec.clone(),
            envelope: Some(timer.envelope.clone()),
            function: Some(timer.envelope.kind.function()),
        }))
    }
}

#[async_trait]
impl Invoker for Outer {
    async fn invoke(&self, _: Function, envelope: &Envelope) -> Result<(), TimerError> {
        self.calls.lock().unwrap().push_back(envelope.clone());
        Ok(())
    }
}

/// The model, and the provider of its batches.
#[derive(Debug)]
struct Provider(Arc<Outer>);

#[async_trait]
impl Models for Provider {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        if name != "anthropic" {
            return Err(OpenModelError::Unknown(name.to_owned()));
        }
        Ok(OpenedModel { model: Arc::new(Self(self.0.clone())), credential: Credential::ApiKey })
    }
}

fn reply() -> Reply {
    Reply {
        message_id: "msg_1".to_owned(),
        request_id: None,
        model: "claude-opus-4-8".to_owned(),
        stop_reason: StopReason::EndTurn,
        content: json!([{ "type": "text", "text": "done" }]).to_string(),
        text: "done".to_owned(),
        usage: json!({ "input_tokens": 1, "output_tokens": 1 }),
        container: None,
    }
}

fn failed(kind: ModelErrorKind) -> ModelError {
    ModelError { kind, message: kind.code().to_owned(), retry_after: None, request_id: None }
}

#[async_trait]
impl Model for Provider {
    async fn message(&self, _: &HopRequest, _: DateTime<Utc>) -> Result<Reply, ModelError> {
        if *self.0.busy.lock().unwrap() { Err(failed(ModelErrorKind::Overloaded)) } else { Ok(reply()) }
    }

    async fn info(&self, _: &str) -> Result<ModelInfo, ModelError> {
        Ok(built_in("claude-opus-4-8").unwrap())
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

#[async_trait]
impl Batches for Provider {
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        let rows: Vec<String> = rows.iter().map(|row| row.custom_id.clone()).collect();
        let created_at = self.0.now();
        Ok(self.0.remote(created_at, &rows))
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        let batches = self.0.batches.lock().unwrap();
        let found = batches.iter().find(|batch| batch.view.remote == remote);
        found.map(|batch| batch.view.clone()).ok_or_else(|| failed(ModelErrorKind::NotFound))
    }

    async fn list(&self, _: u32, after: Option<&str>) -> Result<BatchList, ModelError> {
        let mut batches: Vec<_> = self.0.batches.lock().unwrap().iter().map(|batch| batch.view.clone()).collect();
        batches.sort_by_key(|view| std::cmp::Reverse(view.created_at));
        let from = batches.iter().position(|view| Some(view.remote.as_str()) == after).map_or(0, |at| at + 1);
        Ok(BatchList { batches: batches.split_off(from), next_after: None })
    }

    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError> {
        self.0.stopped.lock().unwrap().push(remote.to_owned());
        self.0.batches.lock().unwrap().iter_mut().for_each(|batch| {
            batch.view.canceling |= batch.view.remote == remote;
        });
        self.retrieve(remote).await
    }

    async fn delete(&self, _: &str) -> Result<(), ModelError> {
        Ok(())
    }

    async fn results(&self, remote: &str) -> Result<ResultLines, ModelError> {
        let batches = self.0.batches.lock().unwrap();
        let Some(batch) = batches.iter().find(|batch| batch.view.remote == remote && batch.view.ended) else {
            return Err(failed(ModelErrorKind::NotFound));
        };
        let row = || if batch.view.canceling { RowResult::Canceled } else { RowResult::Succeeded(Box::new(reply())) };
        let line = |name: &String| Ok(ResultLine { custom_id: name.clone(), result: row() });
        let lines: Vec<_> = batch.rows.iter().map(line).collect();
        Ok(futures::stream::iter(lines).boxed())
    }
}

impl Outer {
    /// Makes a batch of these rows at the provider.
    pub(super) fn remote(&self, created_at: DateTime<Utc>, rows: &[String]) -> BatchView {
        let mut batches = self.batches.lock().unwrap();
        let remote = format!("msgbatch_{}", batches.len() + 1);
        let view = BatchView { remote, ended: false, canceling: false, created_at, rows: rows.len() as u64 };
        batches.push(Remote { view: view.clone(), rows: rows.to_vec() });
        view
    }

    /// Lets every batch end.
    pub(super) fn end_batches(&self) {
        self.batches.lock().unwrap().iter_mut().for_each(|batch| batch.view.ended = true);
    }
}

#[derive(Debug)]
struct Chat(Arc<Outer>);

#[async_trait]
impl Channels for Chat {
    async fn open(&self, _: &Config, _: &str, _: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        Ok(Arc::new(Self(self.0.clone())))
    }

    fn configured(&self, _: &Config) -> Vec<String> {
        vec!["console".to_owned()]
    }
}

#[async_trait]
impl Channel for Chat {
    fn target(&self, to: &str, _: Option<&str>) -> Result<Target, ChannelError> {
        let (channel, account) = ("console".to_owned(), "default".to_owned());
        Ok(Target { channel, account, to: to.to_owned(), thread: None })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        vec![Rendered { text: markdown.to_owned(), plain: None, media: None }]
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        None
    }

    async fn send(&self, message: &Outgoing<'_>, _: DateTime<Utc>) -> Result<Sent, SendError> {
        let mut sent = self.0.sent.lock().unwrap();
        sent.push(message.body.text.clone());
        Ok(Sent { message_id: sent.len().to_string() })
    }
}

/// The product, and what is around it.
pub(super) struct Site {
    pub(super) outer: Arc<Outer>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: ManualClock,
    pub(super) deps: Deps,
    pub(super) config: Config,
}

pub(super) fn site() -> Site {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let outer = Arc::new(Outer { now: Mutex::new(Some(clock.clone())), ..Outer::default() });
    let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: outer.clone(),
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: outer.clone(),
        invoker: outer.clone(),
        models: Arc::new(Provider(outer.clone())),
        channels: Arc::new(Chat(outer.clone())),
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings { local: true, ..Settings::default() },
    };
    let config = Config::parse(&json!({ "agents": { "defaults": { "model": "anthropic/claude-opus-4-8" } } })).unwrap();
    let site = Site { outer, store, clock, deps, config };
    let every = TimerSpec::Recurring { expression: "rate(15 minutes)".into(), timezone: "UTC".into(), start: None };
    site.timer("sweep", every, Wake::Sweep);
    site
}

/// A job that runs at half past seven.
pub(super) fn daily(id: &str, batch: bool) -> Value {
    json!({
        "jobId": id, "name": id, "schedule": { "kind": "cron", "expr": "30 7 * * *" },
        "payload": { "kind": "agentTurn", "message": "Go.", "batch": { "enabled": batch } },
        "delivery": { "mode": "announce", "channel": "console", "to": "me" },
    })
}

impl Site {
    pub(super) fn timer(&self, name: &str, spec: TimerSpec, wake: Wake) {
        let job = nightshift_domain::JobId::parse("any").unwrap();
        let timer = JobTimer { job, name: name.to_owned(), spec, envelope: Envelope::new(wake), enabled: true };
        self.outer.timers.lock().unwrap().insert(name.to_owned(), timer);
    }

    pub(super) fn minutes(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }

    pub(super) fn invocation(&self) -> Invocation {
        let deadline = self.clock.now() + TimeDelta::minutes(15);
        Invocation { id: format!("inv-{}", self.outer.bits()), deadline }
    }

    fn request<'a>(&'a self, invocation: &'a Invocation) -> Request<'a> {
        let now = self.clock.now();
        Request { deps: &self.deps, invocation, now, stamp: Stamp::fresh(&self.deps, now) }
    }

    pub(super) async fn add(&self, job: &Value) {
        let invocation = self.invocation();
        add(&self.request(&invocation), job).await.unwrap();
        // Not judged for half a minute after it was written.
        self.minutes(1);
    }

    /// Asks for a run of the job by hand; the call that hands it over waits in the queue.
    pub(super) async fn ask(&self, job: &str) -> RunKey {
        let invocation = self.invocation();
        let ran = crate::jobs::run_now(&self.request(&invocation), &json!({ "jobId": job })).await.unwrap();
        let crate::jobs::Ran::Enqueued(key) = ran else { panic!("{job} does not run") };
        key
    }

    pub(super) async fn doctor(&self, input: Value) -> Checkup {
        let invocation = self.invocation();
        doctor(&self.request(&invocation), &input).await.unwrap()
    }

    /// The kinds of what a look finds.
    pub(super) async fn found(&self) -> Vec<FindingKind> {
        self.doctor(json!({ "deep": true })).await.findings.iter().map(|finding| finding.kind).collect()
    }

    pub(super) async fn sweep(&self) -> Swept {
        let invocation = self.invocation();
        self.sweep_as(&invocation).await
    }

    pub(super) async fn sweep_as(&self, invocation: &Invocation) -> Swept {
        let scene = Scene { deps: &self.deps, invocation, config: &self.config };
        Box::pin(sweep(scene)).await.unwrap()
    }

    /// Does one call.
    pub(super) async fn call(&self, envelope: &Envelope) {
        let invocation = self.invocation();
        let scene = Scene { deps: &self.deps, invocation: &invocation, config: &self.config };
        match &envelope.kind {
            wake @ (Wake::Job { .. } | Wake::Resume { .. }) => {
                drop(Box::pin(trigger::handle(scene, wake)).await.unwrap());
            }
            Wake::Poll { b, n } => drop(Box::pin(batches::poll(scene, b, Some(*n))).await.unwrap()),
            Wake::Window { w } => drop(Box::pin(batches::seal(scene, w)).await.unwrap()),
            Wake::Deliver { r } => drop(Box::pin(deliver::deliver(scene, r)).await.unwrap()),
            Wake::Sweep => drop(self.sweep().await),
            Wake::Heartbeat { .. } => {}
        }
    }

    /// Fires the one-shots that are due and does all calls, until nothing is left.
    pub(super) async fn settle(&self) {
        loop {
            let now = self.clock.now();
            let due = |timer: &JobTimer| matches!(timer.spec, TimerSpec::Once(at) if at <= now);
            let fired: Vec<JobTimer> = self
                .outer
                .timers
                .lock()
                .unwrap()
                .extract_if(.., |_, timer| due(timer))
                .map(|(_, timer)| timer)
                .collect();
            self.outer.calls.lock().unwrap().extend(fired.into_iter().map(|timer| timer.envelope));
            let Some(next) = self.outer.calls.lock().unwrap().pop_front() else { return };
            self.call(&next).await;
        }
    }

    /// The calls that were asked for, forgotten.
    pub(super) fn lose_calls(&self) -> Vec<Envelope> {
        self.outer.calls.lock().unwrap().drain(..).collect()
    }

    pub(super) async fn run(&self, key: &RunKey) -> Run {
        self.deps.store.run(key).await.unwrap().unwrap()
    }

    /// Changes a run's row as only a fault would.
    pub(super) async fn edit(&self, key: &RunKey, change: impl FnOnce(&mut Run)) {
        let mut run = self.run(key).await;
        run.rev += 1;
        change(&mut run);
        assert_eq!(
            self.deps.store.commit(&[Write::Run { run: &run, expires_at: None }]).await.unwrap(),
            Outcome::Applied
        );
    }

    /// How often each kind was repaired.
    pub(super) async fn counted(&self) -> Vec<(String, i64)> {
        let counters = self.deps.store.overview().await.unwrap().counters;
        counters.into_iter().filter(|(name, _)| name.starts_with("repaired.")).collect()
    }

    /// What a run's log says of repairs.
    pub(super) async fn repairs(&self, key: &RunKey) -> Vec<String> {
        let run = self.run(key).await;
        let said = run.events.iter().filter(|line| line.event == "repaired");
        said.map(|line| line.detail.clone().unwrap_or_default()).collect()
    }
}
