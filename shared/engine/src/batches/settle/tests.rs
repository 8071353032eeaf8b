//! Settling, with whatever goes wrong on the way: every run is told how its row ended, once.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{pending, poll_immediate};
use futures::stream;
use nightshift_domain::batch::{FIRST_POLL, Marks};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Function};
use nightshift_domain::job::{JobRecord, OnTimeout};
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply, StopReason};
use nightshift_domain::run::{Credential, Event, Run, State};
use nightshift_domain::{AttemptId, RunKey};
use serde_json::json;
use tokio::task::unconstrained;

use super::*;
use crate::batches::poll;
use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::ports::{
    BatchList, BatchRow, CreateError, Invoker, JobTimer, Model, ModelError, Models, OpenModelError, OpenedModel, Page,
    ResultLines, TimerEntry, TimerError, TimerView, Timers, Write,
};
use crate::runs::commit::{Along, apply};
use crate::testing::{Faulty, MemoryBlobs, MemoryStore, Mishap, NoMetrics, NoSecrets, NoWeb, Nothing};

const REMOTE: &str = "msgbatch_1";

fn start() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A line of the file, or what happens before the next one is read.
#[derive(Clone)]
enum Line {
    Row(RunKey, RowResult),
    Unreadable,
    /// The reader waits for ever: where it is dropped, the process was killed.
    Hangs,
    /// The clock moves on.
    Takes(TimeDelta),
}

/// A provider with one batch, which has ended.
struct Provider {
    clock: ManualClock,
    lines: Mutex<Vec<Line>>,
    /// How many rows it says it has.
    rows: Mutex<u64>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Provider").finish_non_exhaustive()
    }
}

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError { kind, message: "broken".to_owned(), retry_after: None, request_id: None }
}

#[async_trait]
impl Batches for Provider {
    async fn create(&self, _: &[BatchRow]) -> Result<BatchView, CreateError> {
        // Whoever is sent on to another attempt waits: nothing is created here.
        Err(CreateError::Refused(error(ModelErrorKind::Overloaded)))
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        let rows = *self.rows.lock().unwrap();
        Ok(BatchView { remote: remote.to_owned(), ended: true, canceling: false, created_at: start(), rows })
    }

    async fn list(&self, _: u32, _: Option<&str>) -> Result<BatchList, ModelError> {
        unreachable!("nothing is looked for here")
    }

    async fn cancel(&self, _: &str) -> Result<BatchView, ModelError> {
        unreachable!("it has ended")
    }

    async fn delete(&self, _: &str) -> Result<(), ModelError> {
        unreachable!("nothing is deleted here")
    }

    async fn results(&self, _: &str) -> Result<ResultLines, ModelError> {
        let lines = self.lines.lock().unwrap().clone();
        let clock = self.clock.clone();
        let lines = stream::iter(lines).filter_map(move |line| {
            let clock = clock.clone();
            async move {
                match line {
                    Line::Row(run, result) => Some(Ok(ResultLine { custom_id: run.custom_id(1, 1), result })),
                    Line::Unreadable => Some(Err(error(ModelErrorKind::Server))),
                    Line::Hangs => pending().await,
                    Line::Takes(time) => {
                        clock.advance(time);
                        None
                    }
                }
            }
        });
        Ok(lines.boxed())
    }
}

#[derive(Debug)]
struct Place(Arc<Provider>);

#[async_trait]
impl Model for Place {
    async fn message(&self, _: &HopRequest, _: DateTime<Utc>) -> Result<Reply, ModelError> {
        unreachable!("nothing is asked in realtime here")
    }

    async fn info(&self, _: &str) -> Result<ModelInfo, ModelError> {
        unreachable!("nothing is planned here")
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(&*self.0)
    }
}

#[async_trait]
impl Models for Provider {
    async fn open(&self, _: &Config, _: &str) -> Result<OpenedModel, OpenModelError> {
        let of_us = Self {
            clock: self.clock.clone(),
            lines: Mutex::new(self.lines.lock().unwrap().clone()),
            rows: Mutex::new(*self.rows.lock().unwrap()),
        };
        Ok(OpenedModel { model: Arc::new(Place(Arc::new(of_us))), credential: Credential::ApiKey })
    }
}

/// Timers and calls, as a list.
#[derive(Debug, Default)]
struct Diary {
    armed: Mutex<Vec<(String, DateTime<Utc>)>>,
    invoked: Mutex<Vec<Function>>,
}

#[async_trait]
impl Timers for Diary {
    async fn put_job(&self, _: &JobTimer) -> Result<(), TimerError> {
        unreachable!("no job's timer changes here")
    }

    async fn remove(&self, _: &str) -> Result<(), TimerError> {
        Ok(())
    }

    async fn arm(&self, name: &str, at: DateTime<Utc>, _: &Envelope) -> Result<(), TimerError> {
        self.armed.lock().unwrap().push((name.to_owned(), at));
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
impl Invoker for Diary {
    async fn invoke(&self, function: Function, _: &Envelope) -> Result<(), TimerError> {
        self.invoked.lock().unwrap().push(function);
        Ok(())
    }
}

struct World {
    deps: Deps,
    store: Arc<Faulty>,
    clock: ManualClock,
    diary: Arc<Diary>,
    provider: Arc<Provider>,
    keys: Vec<RunKey>,
    id: AttemptId,
    config: Config,
}

fn reply(run: &RunKey) -> RowResult {
    let text = format!("the answer of {run}");
    RowResult::Succeeded(Box::new(Reply {
        message_id: format!("msg_{run}"),
        request_id: None,
        model: "claude-haiku-5-5".to_owned(),
        stop_reason: StopReason::EndTurn,
        content: json!([{ "type": "text", "text": text }]).to_string(),
        text,
        usage: json!({ "input_tokens": 10, "output_tokens": 5 }),
        container: None,
    }))
}

fn run(key: &RunKey, id: &AttemptId) -> Run {
    let run = json!({
        "key": key, "jobId": key.job_id(), "jobName": "morning", "agentId": "main", "origin": "schedule",
        "slot": start(), "sequence": 1, "task": { "task": "turn" }, "createdAt": start(), "startedAt": start(),
        "endedAt": null, "state": { "state": "submitted", "hop": 1, "attempt": 1, "batch": id }, "stateSince": start(),
        "rev": 1, "turn": { "message": "" }, "prompt": { "inline": "hello" }, "delivery": null,
        "plan": { "path": "batch", "provider": "anthropic", "model": "claude-haiku-5-5", "maxTokens": 1000,
            "deadline": start() + TimeDelta::hours(24), "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 5 },
    });
    serde_json::from_value(run).unwrap()
}

/// A batch of as many runs as there are `keys`, whose results are all there.
async fn world(keys: Vec<RunKey>) -> World {
    let clock = ManualClock::new(start());
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new(Arc::new(clock.clone())))));
    let (diary, nothing) = (Arc::new(Diary::default()), Arc::new(Nothing));
    let lines = keys.iter().map(|key| Line::Row(key.clone(), reply(key))).collect();
    let rows = Mutex::new(keys.len() as u64);
    let provider = Arc::new(Provider { clock: clock.clone(), lines: Mutex::new(lines), rows });
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: nothing.clone(),
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: diary.clone(),
        invoker: diary.clone(),
        models: provider.clone(),
        channels: nothing,
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    let id = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    for key in &keys {
        deps.store.commit(&[Write::Run { run: &run(key, &id), expires_at: None }]).await.unwrap();
    }
    let members = keys.iter().map(|key| Member { run: key.clone(), hop: 1, attempt: 1 }).collect();
    let batch = Batch {
        members: roll::enrol(&deps, &id, members).await.unwrap(),
        id: id.clone(),
        provider: "anthropic".to_owned(),
        state: BatchState::Open { remote: REMOTE.to_owned(), adopted: false },
        settled: Marks::default(),
        digest: String::new(),
        started_at: start(),
        deadline: start() + TimeDelta::hours(24),
        on_timeout: OnTimeout::Fail,
        polls: 1,
        next_poll_at: start() + FIRST_POLL,
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
    deps.store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
    clock.advance(FIRST_POLL);
    World { deps, store, clock, diary, provider, keys, id, config: Config::default() }
}

/// Runs of as many jobs.
fn keys(count: usize) -> Vec<RunKey> {
    (0..count).map(|n| RunKey::parse(&format!("job-{n}_20261120T120000Z")).unwrap()).collect()
}

impl World {
    /// A poll in an invocation of five minutes.
    async fn poll(&self, n: Option<u32>) -> Result<Polled, EngineError> {
        let deadline = self.clock.now() + TimeDelta::minutes(5);
        let invocation = Invocation { id: "inv".to_owned(), deadline };
        let scene = Scene { deps: &self.deps, invocation: &invocation, config: &self.config };
        poll(scene, &self.id, n).await
    }

    /// The poll whose timer is armed, when it is due.
    async fn next_poll(&self) -> Result<Polled, EngineError> {
        let batch = self.batch().await;
        self.clock.advance_to(batch.next_poll_at);
        self.poll(Some(batch.polls)).await
    }

    async fn batch(&self) -> Batch {
        self.deps.store.batch(&self.id).await.unwrap().unwrap()
    }

    async fn run(&self, place: usize) -> Run {
        self.deps.store.run(&self.keys[place]).await.unwrap().unwrap()
    }

    fn lines(&self, change: impl FnOnce(&mut Vec<Line>)) {
        change(&mut self.provider.lines.lock().unwrap());
    }

    /// Every run has its own answer, once, and the batch is settled.
    async fn is_settled(&self) {
        for (place, key) in self.keys.iter().enumerate() {
            self.has_its_answer(place, key).await;
        }
        let batch = self.batch().await;
        assert_eq!(batch.state, BatchState::Settled { remote: Some(REMOTE.to_owned()) });
    }

    async fn has_its_answer(&self, place: usize, key: &RunKey) {
        let run = self.run(place).await;
        assert_eq!(run.state, State::Succeeded, "{key}");
        let messages: Vec<&str> = run.hops.iter().map(|hop| hop.message_id.as_str()).collect();
        assert_eq!(messages, [format!("msg_{key}")]);
        let answer = nightshift_domain::run::Text::Inline(format!("the answer of {key}"));
        assert_eq!(run.answer, Some(answer));
        assert!(run.events.iter().filter(|line| line.event == "answered").count() == 1, "{:?}", run.events);
    }
}

#[tokio::test]
async fn every_row_of_a_long_batch_comes_to_its_run_and_nothing_else_is_called_for_it() {
    let world = world(keys(2_500)).await;
    // Results come in any order, and more than once is no harm.
    world.lines(|lines| {
        lines.reverse();
        lines.extend_from_within(..20);
    });
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 2_520 });
    world.is_settled().await;
    assert_eq!(world.batch().await.settled.count(), 2_500);
    // Nothing is to be sent, so nobody is asked to send it; and one timer was armed, for after this invocation.
    assert_eq!(world.diary.invoked.lock().unwrap().len(), 0);
    let timer = (world.id.poll_timer(2), start() + FIRST_POLL + TimeDelta::minutes(5));
    assert_eq!(*world.diary.armed.lock().unwrap(), [timer]);
    // Whoever comes late finds nothing to do.
    assert_eq!(world.next_poll().await.unwrap(), Polled::Nothing);
}

#[tokio::test]
async fn a_short_batch_is_settled_without_another_timer_or_write() {
    let world = world(keys(3)).await;
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 3 });
    world.is_settled().await;
    assert_eq!(world.batch().await.rev, 2);
    assert_eq!(world.diary.armed.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_process_killed_in_the_middle_leaves_marks_and_the_next_one_reads_only_the_rest() {
    let world = world(keys(4_000)).await;
    world.lines(|lines| lines.insert(2_600, Line::Hangs));
    assert!(poll_immediate(Box::pin(unconstrained(world.poll(Some(1))))).await.is_none());
    let marked = world.batch().await.settled.count();
    assert!((2_000..2_600).contains(&marked), "{marked}");
    world.lines(|lines| drop(lines.remove(2_600)));
    world.store.runs_read();
    // The function's own retry comes at once, and leaves it to the poll that was armed.
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Stale);
    assert_eq!(world.next_poll().await.unwrap(), Polled::Settled { rows: 4_000 });
    assert_eq!(world.store.runs_read(), 4_000 - marked as usize);
    world.is_settled().await;
}

#[tokio::test]
async fn an_invocation_that_runs_out_of_time_hands_over_to_the_next_poll_a_minute_later() {
    let world = world(keys(300)).await;
    for at in [250, 120] {
        world.lines(|lines| lines.insert(at, Line::Takes(TimeDelta::minutes(4) + TimeDelta::seconds(30))));
    }
    let mut told = Vec::new();
    for n in [1, 2] {
        let next = world.clock.now() + TimeDelta::seconds(270 + 60);
        assert_eq!(world.poll(Some(n)).await.unwrap(), Polled::Open { next });
        let batch = world.batch().await;
        assert_eq!((batch.polls, batch.next_poll_at), (n + 1, next));
        told.push(batch.settled.count());
        world.clock.advance_to(next);
        // What took so long does not the next time.
        world.lines(|lines| {
            let first = lines.iter().position(|line| matches!(line, Line::Takes(_))).unwrap();
            lines.remove(first);
        });
    }
    assert!((100..=120).contains(&told[0]) && (230..=251).contains(&told[1]), "{told:?}");
    assert_eq!(world.poll(Some(3)).await.unwrap(), Polled::Settled { rows: 300 });
    world.is_settled().await;
}

#[tokio::test]
async fn one_row_that_cannot_be_written_keeps_no_other_from_its_run() {
    let world = world(keys(50)).await;
    world.store.break_runs([world.keys[7].clone(), world.keys[30].clone()]);
    let next = world.clock.now() + TimeDelta::seconds(60);
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Open { next });
    assert_eq!(world.batch().await.settled.count(), 48);
    // No progress: the next look comes later.
    let Polled::Open { next: later } = world.next_poll().await.unwrap() else { panic!("it is not settled") };
    assert!(later - world.clock.now() > TimeDelta::seconds(75), "{later}");
    world.store.break_runs([]);
    world.store.runs_read();
    assert_eq!(world.next_poll().await.unwrap(), Polled::Settled { rows: 50 });
    assert_eq!(world.store.runs_read(), 2);
    world.is_settled().await;
}

#[tokio::test]
async fn a_run_left_between_its_answer_and_its_end_is_closed_when_its_row_is_read_again_and_nobody_is_called() {
    let world = world(keys(1)).await;
    // The answer is written, the close is not.
    world.store.fail(1, Mishap::Before);
    assert!(matches!(world.poll(Some(1)).await.unwrap(), Polled::Open { .. }));
    assert_eq!(world.run(0).await.state, State::Delivering);
    assert_eq!(world.next_poll().await.unwrap(), Polled::Settled { rows: 1 });
    world.is_settled().await;
    assert_eq!(world.diary.invoked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_table_that_is_gone_stops_the_settling_before_it_has_asked_for_every_row() {
    let world = world(keys(3_000)).await;
    // Some rows, then nothing more.
    world.store.next((0..200).map(|_| Mishap::None).chain((0..9_000).map(|_| Mishap::Before)));
    world.poll(Some(1)).await.unwrap_err();
    assert!(world.store.runs_read() < 400);
    assert!(world.store.heal());
    assert_eq!(world.next_poll().await.unwrap(), Polled::Settled { rows: 3_000 });
    // Answers that were booked and whose runs could not be closed any more were closed when their rows were read again.
    assert_eq!(world.diary.invoked.lock().unwrap().len(), 0);
    world.is_settled().await;
}

#[tokio::test]
async fn a_line_that_cannot_be_read_holds_up_its_own_run_only_and_ends_it_in_the_end() {
    let world = world(keys(200)).await;
    world.lines(|lines| lines[150] = Line::Unreadable);
    assert!(matches!(world.poll(Some(1)).await.unwrap(), Polled::Open { .. }));
    for (place, key) in world.keys.iter().enumerate().filter(|(place, _)| *place != 150) {
        world.has_its_answer(place, key).await;
    }
    assert!(matches!(world.run(150).await.state, State::Submitted { .. }));
    let mut polled = Polled::Nothing;
    for _ in 0..200 {
        polled = world.next_poll().await.unwrap();
        if matches!(polled, Polled::Settled { .. }) {
            break;
        }
    }
    assert_eq!(polled, Polled::Settled { rows: 199 });
    assert!(world.clock.now() >= world.batch().await.deadline, "its run had time until then");
    let State::Failed { code, .. } = world.run(150).await.state else { panic!("it has not failed") };
    assert_eq!(code, "batch_row_unreadable");
    assert!(matches!(world.batch().await.state, BatchState::Settled { .. }));
}

#[tokio::test]
async fn a_row_is_missing_only_from_a_file_that_is_whole() {
    let cut_off = world(keys(20)).await;
    cut_off.lines(|lines| lines.truncate(15));
    assert!(matches!(cut_off.poll(Some(1)).await.unwrap(), Polled::Open { .. }));
    assert!(matches!(cut_off.run(17).await.state, State::Submitted { .. }), "it may have been paid");

    let whole = world(keys(20)).await;
    whole.lines(|lines| lines.truncate(15));
    *whole.provider.rows.lock().unwrap() = 15;
    assert_eq!(whole.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 15 });
    let missing = whole.run(17).await;
    assert!(missing.events.iter().any(|line| line.detail.as_deref().is_some_and(|text| text.contains("no row"))));
}

#[tokio::test]
async fn of_two_that_settle_the_same_batch_one_goes_on_and_no_row_counts_twice() {
    let world = world(keys(3_000)).await;
    world.lines(|lines| lines.insert(1_500, Line::Hangs));
    let mut first = Box::pin(unconstrained(world.poll(Some(1))));
    assert!(poll_immediate(&mut first).await.is_none());
    // The same timer's event again, and somebody who comes out of turn: the first one has it.
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Stale);
    let next = world.batch().await.next_poll_at;
    assert_eq!(world.poll(None).await.unwrap(), Polled::Open { next });
    // The poll that was armed takes it over; the first, were it to live on, finds that out when its time is up.
    world.lines(|lines| drop(lines.remove(1_500)));
    assert_eq!(world.next_poll().await.unwrap(), Polled::Settled { rows: 3_000 });
    assert_eq!(poll_immediate(first).await.unwrap().unwrap(), Polled::Stale);
    world.is_settled().await;
}

#[tokio::test]
async fn a_wish_to_stop_that_comes_between_reading_a_run_and_writing_it_is_heard_and_the_run_ends() {
    let world = world(keys(1)).await;
    let key = world.keys[0].clone();
    let (deps, config) = (world.deps.clone(), world.config.clone());
    world.store.next([Mishap::First(Box::new(move |inner| {
        Box::pin(async move {
            let deps = Deps { store: inner.clone(), ..deps };
            let invocation = Invocation { id: "other".to_owned(), deadline: deps.clock.now() + TimeDelta::minutes(5) };
            let scene = Scene { deps: &deps, invocation: &invocation, config: &config };
            let run = inner.run(&key).await.unwrap().unwrap();
            apply(scene, &run, Event::CancelRequested, Along::default()).await.unwrap().unwrap();
        })
    }))]);
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 1 });
    let run = world.run(0).await;
    assert_eq!(run.state, State::Canceled);
    // What was paid is shown, though nobody wanted it any more.
    assert_eq!(run.hops.len(), 1);
}

#[tokio::test]
async fn a_batch_told_to_stop_while_it_is_settled_is_settled_all_the_same() {
    let world = world(keys(1_500)).await;
    let id = world.id.clone();
    let stop = Mishap::First(Box::new(move |inner| {
        Box::pin(async move {
            let mut batch = inner.batch(&id).await.unwrap().unwrap();
            batch.state = BatchState::Canceling { remote: REMOTE.to_owned(), adopted: false };
            batch.rev += 1;
            inner.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await.unwrap();
        })
    }));
    // In the midst of the rows, so that the next write of the marks meets it.
    world.store.next((0..500).map(|_| Mishap::None).chain([stop]));
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 1_500 });
    assert_eq!(world.batch().await.settled.count(), 1_500);
    world.is_settled().await;
}

#[tokio::test]
async fn many_rows_of_one_job_do_not_fail_by_getting_in_each_others_way() {
    let slots = (0..200).map(|n| RunKey::parse(&format!("one_20261120T12{:02}{:02}Z", n / 60, n % 60)).unwrap());
    let world = world(slots.collect()).await;
    let job = json!({
        "jobId": "one", "name": "one", "enabled": true, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": { "kind": "every", "everyMs": 60_000, "anchorMs": 0 }, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "x" }, "missed": "once", "overlap": "allow",
    });
    let record = JobRecord { active: world.keys.clone(), ..JobRecord::new(serde_json::from_value(job).unwrap()) };
    world.deps.store.commit(&[Write::Job(&record)]).await.unwrap();
    // Every write lets the others go first, so that all rows in flight have read the job before one of them writes it.
    let yields = || Mishap::First(Box::new(|_| Box::pin(tokio::task::yield_now())));
    world.store.next((0..2_000).map(|_| yields()));
    assert_eq!(world.poll(Some(1)).await.unwrap(), Polled::Settled { rows: 200 });
    world.store.heal();
    world.is_settled().await;
    let job = world.deps.store.job(&record.job.job_id).await.unwrap().unwrap();
    assert_eq!((job.active.len(), job.job.state.running_at_ms), (0, None));
    // Two writes of the job for each run, and no others.
    assert_eq!(job.rev, 1 + 2 * 200);
}

#[tokio::test]
async fn a_row_that_was_read_and_could_not_be_handed_out_is_never_given_up() {
    let world = world(keys(3)).await;
    world.store.break_runs([world.keys[1].clone()]);
    world.lines(|lines| lines[2] = Line::Unreadable);
    // The end is first seen when every run's time is long over: the hour is counted from here.
    world.clock.advance(TimeDelta::hours(60));
    assert!(matches!(world.poll(Some(1)).await.unwrap(), Polled::Open { .. }));
    assert!(matches!(world.run(2).await.state, State::Submitted { .. }), "an hour is left");
    for _ in 0..20 {
        assert!(matches!(world.next_poll().await.unwrap(), Polled::Open { .. }));
    }
    let State::Failed { code, .. } = world.run(2).await.state else { panic!("it has not failed") };
    assert_eq!(code, "batch_row_unreadable");
    world.store.break_runs([]);
    assert!(matches!(world.run(1).await.state, State::Submitted { .. }));
    assert!(matches!(world.next_poll().await.unwrap(), Polled::Settled { .. }));
    world.has_its_answer(1, &world.keys[1]).await;
}
