//! Plays of the sweep: what was lost, and the day's pass over what no due index shows.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::FutureExt;
use nightshift_domain::JobId;
use nightshift_domain::batch::{BatchState, Member};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::model::HopRequest;
use nightshift_engine::ports::{BatchRow, Outcome, Write};
use nightshift_sim::gate::{Call, Gate, Verdict};
use nightshift_sim::lambda::{Queued, Task, Wish};
use nightshift_sim::provider::{Plan, RowPlan};
use serde_json::json;

use super::judge::runs;
use super::scenarios::{
    Scenario, batch, batched, cancel, daily, ended, is_deliver, is_job, is_poll, is_resume, minutes_past, named, once,
    overlapping, paused, realtime, scenario, submitted, swept,
};
use super::stage::Stage;

/// All of them.
pub(super) const PLAYS: &[Scenario] = &[
    scenario("sweep", "a dead lease", |stage| {
        stage.ask(Wish::Add(daily()));
        let job = stage.until(is_job);
        stage.lose(&job, "message");
        stage.until(swept)
    }),
    scenario("sweep", "a dead lease before its plan", |stage| {
        stage.ask(Wish::Add(batched()));
        let job = stage.until(is_job);
        stage.lose(&job, "commit Run+Job");
        stage.until(swept)
    }),
    scenario("sweep", "a missed fire", |stage| {
        stage.ask(Wish::Add(batched()));
        assert!(stage.outside.timers.lose("j-job"));
        stage.until(swept)
    }),
    scenario("sweep", "a missed one-shot", |stage| {
        stage.ask(Wish::Add(once(&batch())));
        stage.until(is_job);
        stage.until(swept)
    }),
    scenario("sweep", "a broken chain of polls", |stage| {
        submitted(stage);
        stage.until(is_poll);
        stage.until(swept)
    }),
    scenario("sweep", "an answer nobody delivers", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.until(is_deliver);
        stage.until(swept)
    }),
    scenario("sweep", "a pause nobody ends", |stage| {
        paused(stage);
        stage.until(is_resume);
        stage.until(swept)
    }),
    scenario("sweep", "a wait nobody ends", |stage| {
        overlapping(stage);
        stage.losing(is_resume, swept)
    }),
    scenario("sweep", "a wait for a place whose holder died", |stage| {
        stage.ask(Wish::Config(json!({ "path": "cron.maxConcurrentRuns", "value": 1 })));
        stage.ask(Wish::Add(daily()));
        stage.ask(Wish::Add(named(daily(), "other")));
        let job = stage.until(is_job);
        stage.lose(&job, "message");
        stage.until(swept)
    }),
    scenario("sweep", "a run that wants a place", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.ask(Wish::Run(json!({ "jobId": "job" })));
        stage.until(is_resume);
        stage.until(swept)
    }),
    scenario("sweep", "a wish to stop that was lost", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Never));
        stage.ask(Wish::Add(batched()));
        let job = stage.until(is_job);
        stage.play(&job);
        let wish = cancel(stage);
        stage.lose(&wish, "commit Run");
        stage.until(swept)
    }),
    scenario("sweep", "a run whose batch is over", |stage| {
        submitted(stage);
        let poll = stage.until(ended);
        let Wake::Poll { b, .. } = envelope(&poll) else { panic!("no poll") };
        let mut batch = stage.outside.store.batch(&b).now_or_never().unwrap().unwrap().unwrap();
        batch.state = BatchState::Settled { remote: batch.state.remote().map(str::to_owned) };
        batch.rev += 1;
        write(stage, &[Write::Batch { batch: &batch, expires_at: None }]);
        stage.until(swept)
    }),
    scenario("sweep", "a place held by a run that is over", |stage| {
        stage.ask(Wish::Config(json!({ "path": "cron.maxConcurrentRuns", "value": 1 })));
        stage.ask(Wish::Add(daily()));
        stage.go_on(TimeDelta::minutes(7 * 60 + 5));
        let run = runs(stage).pop().unwrap();
        write(stage, &[Write::HoldPlace { place: 0, run: &run.key }]);
        let mut other = named(daily(), "other");
        other["schedule"]["expr"] = json!("8 7 * * *");
        stage.ask(Wish::Add(other));
        stage.until(is_sweep)
    }),
    scenario("sweep", "the day's pass, with timers that do not fit", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.ask(Wish::Add(named(daily(), "other")));
        stage.ask(Wish::Add(named(daily(), "third")));
        let timers = &stage.outside.timers;
        let held = timers.peek("j-job").unwrap().envelope;
        // One fires at another time, one is gone, and one is left of a job that is.
        timers.recur("j-job", "cron(0 9 * * ? *)", held).unwrap();
        assert!(timers.lose("j-other"));
        let ghost = Wake::Job { j: JobId::parse("ghost").unwrap(), g: 1, s: String::new(), slot: None, nb: None };
        timers.recur("j-ghost", "cron(0 5 * * ? *)", Envelope::new(ghost)).unwrap();
        stage.until(is_sweep)
    }),
    scenario("sweep", "the day's pass, with a batch that nobody knows", |stage| {
        stage.ask(Wish::Add(once(&realtime())));
        stage.go_on(TimeDelta::hours(8));
        orphan(stage);
        stage.until(|stage, envelope| is_sweep(stage, envelope) && minutes_past(stage, 24 * 60))
    }),
    scenario("sweep", "the day's pass, with a batch that nobody knows and that runs", |stage| {
        let path = "providers.anthropic.dedicatedWorkspace";
        stage.ask(Wish::Config(json!({ "path": path, "value": true })));
        stage.outside.provider.plan(Plan::Row(RowPlan::Never));
        stage.ask(Wish::Add(once(&realtime())));
        stage.go_on(TimeDelta::hours(20));
        orphan(stage);
        stage.until(|stage, envelope| is_sweep(stage, envelope) && minutes_past(stage, 24 * 60))
    }),
];

fn is_sweep(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Sweep)
}

fn envelope(queued: &Queued) -> Wake {
    match &queued.task {
        Task::Envelope(envelope) => envelope.kind.clone(),
        Task::Ask { .. } => panic!("a request"),
    }
}

fn write(stage: &Stage, writes: &[Write<'_>]) {
    assert_eq!(stage.outside.store.commit(writes).now_or_never().unwrap().unwrap(), Outcome::Applied);
}

/// Lets everything through.
#[derive(Debug)]
struct Open;

impl Gate for Open {
    fn pass(&self, _: Call) -> futures::future::BoxFuture<'_, Verdict> {
        futures::future::ready(Verdict::Go).boxed()
    }
}

/// A batch with an answer for a run, which the table does not know: as if its create had been made twice on the way.
fn orphan(stage: &Stage) {
    let run = runs(stage).pop().unwrap();
    let member = Member { run: run.key.clone(), hop: 1, attempt: 1 };
    let request = HopRequest { model: run.plan.unwrap().model, ..HopRequest::default() };
    let models = stage.outside.deps(Arc::new(Open), 0).models;
    let opened = models.open(&Config::default(), "anthropic").now_or_never().unwrap().unwrap();
    let rows = [BatchRow { custom_id: member.custom_id(), request }];
    opened.model.batches().unwrap().create(&rows).now_or_never().unwrap().unwrap();
}
