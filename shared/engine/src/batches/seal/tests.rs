//! Windows are sealed whoever stops or comes between: nobody is lost, and nobody is in two batches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::batch::{BatchState, WindowId};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply};
use nightshift_domain::run::{Credential, Event, Run, State};
use serde_json::json;

use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::ports::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Entropy, Invoker, JobTimer, Model, ModelError, Models,
    OpenModelError, OpenedModel, Page, ResultLines, Store, TimerEntry, TimerError, TimerView, Timers, Write,
};
use crate::runs::commit::{Along, apply};
use crate::runs::{Scene, cancel, drive};
use crate::sweep::sweep;
use crate::testing::{Faulty, MemoryBlobs, MemoryStore, Mishap, NoMetrics, NoSecrets, NoWeb, Nothing};
use crate::{batches, trigger};

use super::{Sealed, seal};

/// A batch, and the names of its rows.
type Created = (BatchView, Vec<String>);

/// A provider whose batches run for ever. It refuses those that hold the row of `spoilt`.
#[derive(Debug, Clone)]
struct Provider {
    clock: ManualClock,
    created: Arc<Mutex<Vec<Created>>>,
    creates: Arc<AtomicU32>,
    spoilt: Option<RunKey>,
}

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError { kind, message: kind.code().to_owned(), retry_after: None, request_id: None }
}

#[async_trait]
impl Models for Provider {
    async fn open(&self, _: &Config, _: &str) -> Result<OpenedModel, OpenModelError> {
        Ok(OpenedModel { model: Arc::new(self.clone()), credential: Credential::ApiKey })
    }
}

#[async_trait]
impl Model for Provider {
    async fn message(&self, _: &HopRequest, _: DateTime<Utc>) -> Result<Reply, ModelError> {
        Err(error(ModelErrorKind::Auth))
    }

    async fn info(&self, _: &str) -> Result<ModelInfo, ModelError> {
        Err(error(ModelErrorKind::NotFound))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

#[async_trait]
impl Batches for Provider {
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        let n = self.creates.fetch_add(1, Ordering::Relaxed);
        let names: Vec<String> = rows.iter().map(|row| row.custom_id.clone()).collect();
        if self.spoilt.as_ref().is_some_and(|run| names.iter().any(|name| name.starts_with(run.as_str()))) {
            return Err(CreateError::Refused(error(ModelErrorKind::Invalid)));
        }
        let view = BatchView {
            remote: format!("msgbatch_{n}"),
            ended: false,
            canceling: false,
            created_at: self.clock.now(),
            rows: names.len() as u64,
        };
        self.created.lock().unwrap().push((view.clone(), names));
        Ok(view)
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        let created = self.created.lock().unwrap();
        created
            .iter()
            .find(|(view, _)| view.remote == remote)
            .map(|(view, _)| view.clone())
            .ok_or_else(|| error(ModelErrorKind::NotFound))
    }

    async fn list(&self, _: u32, _: Option<&str>) -> Result<BatchList, ModelError> {
        let batches = self.created.lock().unwrap().iter().rev().map(|(view, _)| view.clone()).collect();
        Ok(BatchList { batches, next_after: None })
    }

    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError> {
        self.retrieve(remote).await
    }

    async fn delete(&self, _: &str) -> Result<(), ModelError> {
        Ok(())
    }

    async fn results(&self, _: &str) -> Result<ResultLines, ModelError> {
        Err(error(ModelErrorKind::NotFound))
    }
}

/// Dice that never show the same twice.
#[derive(Debug, Default)]
struct Dice(AtomicU64);

impl Entropy for Dice {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) << 64 | u128::from(self.0.load(Ordering::Relaxed))
    }
}

/// Keeps what other functions are to do.
#[derive(Debug, Default)]
struct Handed(Mutex<Vec<Wake>>);

#[async_trait]
impl Timers for Handed {
    async fn put_job(&self, _: &JobTimer) -> Result<(), TimerError> {
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), TimerError> {
        Ok(())
    }

    async fn arm(&self, _: &str, _: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError> {
        self.0.lock().unwrap().push(envelope.kind.clone());
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn get(&self, _: &str) -> Result<Option<TimerView>, TimerError> {
        Ok(None)
    }
}

#[async_trait]
impl Invoker for Handed {
    async fn invoke(&self, _: Function, envelope: &Envelope) -> Result<(), TimerError> {
        self.0.lock().unwrap().push(envelope.kind.clone());
        Ok(())
    }
}

struct World {
    clock: ManualClock,
    provider: Provider,
    faulty: Arc<Faulty>,
    sound: Arc<dyn Store>,
    deps: Deps,
    config: Config,
    /// What was handed to other functions, and what timers were armed for.
    handed: Arc<Handed>,
}

fn world(spoilt: Option<RunKey>) -> World {
    let clock = ManualClock::new("2026-11-20T06:05:00Z".parse().unwrap());
    let sound: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
    let faulty = Arc::new(Faulty::new(sound.clone()));
    let provider = Provider { clock: clock.clone(), created: Arc::default(), creates: Arc::default(), spoilt };
    let handed = Arc::new(Handed::default());
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Dice::default()),
        store: faulty.clone(),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: handed.clone(),
        invoker: handed.clone(),
        models: Arc::new(provider.clone()),
        channels: Arc::new(Nothing),
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    let mut config = Config::default();
    config.cron.batch.window_seconds = 60;
    World { clock, provider, faulty, sound, deps, config, handed }
}

fn key(n: usize) -> RunKey {
    RunKey::parse(&format!("job-{n:03}_20261120T060500Z")).unwrap()
}

fn invocation(world: &World, id: &str) -> Invocation {
    Invocation { id: id.to_owned(), deadline: world.clock.now() + TimeDelta::minutes(15) }
}

impl World {
    fn scene<'a>(&'a self, invocation: &'a Invocation) -> Scene<'a> {
        Scene { deps: &self.deps, invocation, config: &self.config }
    }

    /// Lets run `n` become ready now.
    async fn ready(&self, n: usize) -> Run {
        let slot = "2026-11-20T06:05:00Z";
        let paused = json!({ "state": "paused", "hop": 1, "resumeAt": slot, "tries": 0, "attempt": 1 });
        let run: Run = serde_json::from_value(json!({
            "key": key(n), "jobId": key(n).job_id(), "jobName": "a", "agentId": "main", "origin": "schedule",
            "slot": slot, "sequence": 1, "task": { "task": "turn" }, "createdAt": slot, "startedAt": null,
            "endedAt": null, "state": paused, "stateSince": slot, "rev": 1, "turn": { "message": "hello" },
            "prompt": { "inline": "hello" }, "delivery": null, "plan": {
                "path": "batch", "provider": "anthropic", "model": "m", "maxTokens": 1, "onTimeout": "fail",
                "deadline": "2026-11-21T06:00:00Z", "realtimeSeconds": 1, "maxHops": 1,
            },
        }))
        .unwrap();
        self.sound.commit(&[Write::Run { run: &run, expires_at: None }]).await.unwrap();
        let invocation = invocation(self, "trigger");
        let scene = self.scene(&invocation);
        let moved = apply(scene, &run, Event::Resumed, Along::default()).await.unwrap().unwrap();
        drive(scene, moved.run.clone(), moved.effects).await.unwrap();
        moved.run
    }

    async fn collect(&self, count: usize) -> WindowId {
        let mut window = None;
        for n in 0..count {
            window = self.ready(n).await.state.window().cloned();
        }
        window.unwrap()
    }

    async fn run(&self, n: usize) -> Run {
        self.sound.run(&key(n)).await.unwrap().unwrap()
    }

    /// How many of the first `count` runs are in which state.
    async fn states(&self, count: usize) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for n in 0..count {
            *states.entry(self.run(n).await.state.name()).or_default() += 1;
        }
        states
    }

    /// The sizes of the batches that were created.
    fn sizes(&self) -> Vec<usize> {
        self.provider.created.lock().unwrap().iter().map(|(_, names)| names.len()).collect()
    }

    /// In how many batches run `n` is.
    fn paid(&self, n: usize) -> usize {
        let created = self.provider.created.lock().unwrap();
        created.iter().flat_map(|(_, names)| names).filter(|name| name.starts_with(key(n).as_str())).count()
    }

    /// Some hours of sweeps, and nothing else.
    async fn sweeps(&self) {
        self.handed.0.lock().unwrap().clear();
        for round in 0..10 {
            self.clock.advance(TimeDelta::minutes(15));
            let sweeper = invocation(self, &format!("sweep-{round}"));
            sweep(self.scene(&sweeper)).await.unwrap();
            // What the sweep hands to others and arms anew is done; what was armed before is lost.
            self.clock.advance(TimeDelta::minutes(2));
            let handed = std::mem::take(&mut *self.handed.0.lock().unwrap());
            for (n, wake) in handed.into_iter().enumerate() {
                let other = invocation(self, &format!("handed-{round}-{n}"));
                let scene = self.scene(&other);
                match wake {
                    Wake::Poll { b, n } => drop(Box::pin(batches::poll(scene, &b, Some(n))).await.unwrap()),
                    Wake::Window { w } => drop(Box::pin(seal(scene, &w)).await.unwrap()),
                    wake @ (Wake::Job { .. } | Wake::Resume { .. }) => {
                        drop(Box::pin(trigger::handle(scene, &wake)).await.unwrap());
                    }
                    Wake::Deliver { .. } | Wake::Heartbeat { .. } | Wake::Sweep => {}
                }
            }
        }
    }

    fn end(&self) {
        self.clock.advance(TimeDelta::seconds(61));
    }
}

#[tokio::test]
async fn a_window_goes_in_one_batch_and_is_closed() {
    let world = world(None);
    let window = world.collect(130).await;
    let mine = invocation(&world, "poll-1");
    assert_eq!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Early);
    assert!(world.sizes().is_empty());
    world.end();
    assert_eq!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Done { rows: 130 });
    assert_eq!((world.sizes(), world.states(130).await), (vec![130], BTreeMap::from([("submitted", 130)])));
    let id = world.run(7).await.state.batch().cloned().unwrap();
    let batch = world.sound.batch(&id).await.unwrap().unwrap();
    assert_eq!((batch.members.rows(), batch.untold, batch.creator.as_deref()), (130, false, Some("poll-1")));
    assert!(matches!(batch.state, BatchState::Open { adopted: false, .. }));
    assert_eq!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Nothing);
}

#[tokio::test]
async fn one_seals_at_a_time_and_who_comes_late_opens_the_window_again() {
    let world = world(None);
    let window = world.collect(2).await;
    world.end();
    let open = world.sound.window(&window).await.unwrap().unwrap();
    let taken = open.taken("somebody", world.clock.now()).unwrap();
    world.sound.commit(&[Write::Window { window: &taken, expires_at: None }]).await.unwrap();
    let mine = invocation(&world, "poll-1");
    assert!(matches!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Held { .. }));
    world.clock.advance(TimeDelta::minutes(5));
    assert_eq!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Done { rows: 2 });

    // One whose write took long: its window is closed when it looks.
    let late = Write::Collect { window: &window, run: &key(9), bytes: 1 };
    world.sound.commit(&[late]).await.unwrap();
    crate::runs::windows::open(world.scene(&mine), &window).await.unwrap();
    let again = world.sound.window(&window).await.unwrap().unwrap();
    assert_eq!((again.closed, again.timers), (false, 2));
}

#[tokio::test]
async fn a_spoilt_row_is_found_and_goes_its_own_way() {
    let world = world(Some(key(5)));
    let window = world.collect(12).await;
    world.end();
    let mine = invocation(&world, "poll-1");
    assert_eq!(seal(world.scene(&mine), &window).await.unwrap(), Sealed::Done { rows: 12 });
    let states = BTreeMap::from([("submitted", 11), ("failed", 1)]);
    assert_eq!(world.states(12).await, states, "in realtime the key is refused");
    let plan = world.run(5).await.plan.unwrap();
    assert_eq!(plan.fallback_reason.as_deref(), Some("batch_refused"));
    assert!((0..12).all(|n| world.paid(n) == usize::from(n != 5)));
    assert!(world.provider.creates.load(Ordering::Relaxed) <= 9, "halves, not one by one");
}

/// Seals the window of `COUNT` runs with a mishap at the `nth` commit, then lets only sweeps look. `None` where there is no
/// such commit.
async fn sealed_with(
    nth: usize,
    spoilt: Option<RunKey>,
    mishap: impl FnOnce(&World, WindowId) -> Mishap,
) -> Option<World> {
    let world = world(spoilt);
    let window = world.collect(COUNT).await;
    world.end();
    let mishap = mishap(&world, window.clone());
    world.faulty.fail(nth, mishap);
    let mine = invocation(&world, "poll-1");
    // What it answers does not matter: nobody repeats it.
    let _ = seal(world.scene(&mine), &window).await;
    if world.faulty.heal() {
        return None;
    }
    world.sweeps().await;
    Some(world)
}

const COUNT: usize = 5;

/// The states of the runs once every mishap was looked after: all paid once, but for those that may be unpaid.
async fn settled(world: &World, context: &str, unpaid: &[usize]) {
    for n in 0..COUNT {
        let run = world.run(n).await;
        let state = run.state.name();
        let paid = world.paid(n);
        if unpaid.contains(&n) {
            assert!(
                paid <= 1 && (run.state.is_terminal() || state == "canceling" || state == "submitted"),
                "{context}: run {n} is {state}, {paid}"
            );
        } else {
            assert_eq!((state, paid), ("submitted", 1), "{context}: run {n}: {:#?}", run.events);
        }
    }
}

#[tokio::test]
async fn a_sealer_that_stops_at_any_write_leaves_nobody_behind_and_nobody_in_two_batches() {
    for spoilt in [None, Some(key(3))] {
        for after in [false, true] {
            let mut writes = 0;
            for nth in 0.. {
                let mishap = |_: &World, _| if after { Mishap::After } else { Mishap::Before };
                let Some(world) = sealed_with(nth, spoilt.clone(), mishap).await else { break };
                let unpaid: &[usize] = if spoilt.is_some() { &[3] } else { &[] };
                settled(&world, &format!("write {nth}, after {after}, spoilt {spoilt:?}"), unpaid).await;
                writes += 1;
            }
            assert!(writes > 2 * COUNT, "only {writes} writes");
        }
    }
}

/// What somebody else does between two writes of the sealer.
#[derive(Debug, Clone, Copy)]
enum Rival {
    /// Seals as well, as if the first were dead.
    Seals,
    /// Sweeps, six minutes later.
    Sweeps,
    /// Wishes run 1 stopped.
    Cancels,
}

impl Rival {
    fn mishap(self, world: &World, window: WindowId) -> Mishap {
        let (clock, config, deps) = (world.clock.clone(), world.config.clone(), world.deps.clone());
        Mishap::First(Box::new(move |store| {
            Box::pin(async move {
                if !matches!(self, Self::Cancels) {
                    clock.advance(TimeDelta::minutes(9));
                }
                let deps = Deps { store, ..deps };
                let deadline = clock.now() + TimeDelta::minutes(15);
                let invocation = Invocation { id: "rival".to_owned(), deadline };
                let scene = Scene { deps: &deps, invocation: &invocation, config: &config };
                match self {
                    Self::Seals => drop(seal(scene, &window).await.unwrap()),
                    Self::Sweeps => drop(sweep(scene).await.unwrap()),
                    Self::Cancels => drop(cancel(scene, &key(1)).await.unwrap()),
                }
            })
        }))
    }
}

#[tokio::test]
async fn a_rival_between_any_two_writes_takes_nobody_twice_and_loses_nobody() {
    for rival in [Rival::Seals, Rival::Sweeps, Rival::Cancels] {
        let mut writes = 0;
        for nth in 0.. {
            let Some(world) = sealed_with(nth, None, |world, window| rival.mishap(world, window)).await else { break };
            let unpaid: &[usize] = if matches!(rival, Rival::Cancels) { &[1] } else { &[] };
            settled(&world, &format!("{rival:?} before write {nth}"), unpaid).await;
            let waits = matches!(world.run(1).await.state, State::Submitted { .. });
            assert!(!matches!(rival, Rival::Cancels) || !waits, "the wish of run 1 is not forgotten, write {nth}");
            writes += 1;
        }
        assert!(writes > 2 * COUNT, "only {writes} writes");
    }
}

#[tokio::test]
async fn a_window_that_nobody_opened_or_sealed_is_found_by_the_sweep() {
    let world = world(None);
    let window = world.collect(3).await;
    // As if whoever put the runs there had stopped before it opened the window.
    let open = world.sound.window(&window).await.unwrap().unwrap();
    world.sound.commit(&[Write::Window { window: &open.left(true), expires_at: None }]).await.unwrap();
    world.sweeps().await;
    assert_eq!((world.sizes(), world.states(3).await), (vec![3], BTreeMap::from([("submitted", 3)])));
}

#[tokio::test]
async fn who_comes_between_any_two_writes_is_taken_along_or_finds_the_window_open_again() {
    let (mut taken, mut reopened) = (0, 0);
    for nth in 0.. {
        let world = world(None);
        let window = world.collect(COUNT).await;
        // One that chose the window in time, and whose write takes long.
        world.ready(9).await;
        world.sound.commit(&[Write::Uncollect { window: &window, run: &key(9) }]).await.unwrap();
        world.end();
        let late = window.clone();
        let comes = Mishap::First(Box::new(move |store| {
            Box::pin(async move {
                let collect = Write::Collect { window: &late, run: &key(9), bytes: 1 };
                store.commit(&[collect]).await.unwrap();
            })
        }));
        world.faulty.fail(nth, comes);
        let mine = invocation(&world, "poll-1");
        seal(world.scene(&mine), &window).await.unwrap();
        if world.faulty.heal() {
            break;
        }
        let goes = matches!(world.run(9).await.state, State::Submitted { .. });
        let open = !world.sound.window(&window).await.unwrap().unwrap().closed;
        assert!(goes || open, "write {nth}");
        (taken, reopened) = (taken + u32::from(goes), reopened + u32::from(open));
    }
    assert!(taken > 5 && reopened > 0, "{taken}, {reopened}");
}
