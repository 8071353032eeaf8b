//! The plays: what leads up to the invocation whose effects are disturbed, one by one.

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use nightshift_domain::batch::BatchState;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_sim::lambda::{Queued, Wish};
use nightshift_sim::provider::{AnswerPlan, BatchPlan, Plan, Refusal, RowPlan, Say};
use serde_json::{Value, json};

use super::judge::runs;
use super::stage::Stage;
use super::{deliveries, repairs, windows};

/// The ids of all jobs of all plays.
pub(super) const JOBS: [&str; 3] = ["job", "other", "third"];

/// A play.
pub(super) struct Scenario {
    /// The function whose invocation is disturbed.
    pub(super) function: &'static str,
    /// What it is about to do.
    pub(super) name: &'static str,
    /// Leads up to it, and says which invocation it is.
    pub(super) prepare: fn(&mut Stage) -> Queued,
}

pub(super) const fn scenario(
    function: &'static str,
    name: &'static str,
    prepare: fn(&mut Stage) -> Queued,
) -> Scenario {
    Scenario { function, name, prepare }
}

/// All plays.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    PLAYS.iter().chain(windows::PLAYS).chain(repairs::PLAYS).chain(deliveries::PLAYS)
}

const PLAYS: &[Scenario] = &[
    scenario("api", "add", |stage| stage.wish(Wish::Add(daily()))),
    scenario("api", "add, a minute before its time", |stage| {
        stage.go_on(TimeDelta::minutes(7 * 60 - 2));
        stage.wish(Wish::Add(daily()))
    }),
    scenario("api", "update", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.wish(Wish::Update(json!({ "jobId": "job", "patch": { "schedule": { "expr": "0 8 * * *" } } })))
    }),
    scenario("api", "update, with a live batch", |stage| {
        submitted(stage);
        stage.wish(Wish::Update(json!({ "jobId": "job", "patch": { "schedule": { "expr": "0 9 * * *" } } })))
    }),
    scenario("api", "switch off, with a live batch", |stage| {
        submitted(stage);
        stage.wish(Wish::Update(json!({ "jobId": "job", "patch": { "enabled": false } })))
    }),
    scenario("api", "update a one-shot", |stage| {
        stage.ask(Wish::Add(once(&realtime())));
        let at = "2026-11-21T09:00:00Z";
        stage.wish(Wish::Update(json!({ "jobId": "job", "patch": { "schedule": { "kind": "at", "at": at } } })))
    }),
    scenario("api", "remove", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.wish(Wish::Remove(json!({ "jobId": "job" })))
    }),
    scenario("api", "remove, with a live batch", |stage| {
        submitted(stage);
        stage.wish(Wish::Remove(json!({ "jobId": "job" })))
    }),
    scenario("api", "run", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.wish(Wish::Run(json!({ "jobId": "job" })))
    }),
    scenario("api", "run, with a live batch", |stage| {
        submitted(stage);
        stage.wish(Wish::Run(json!({ "jobId": "job" })))
    }),
    scenario("api", "cancel a batch", |stage| {
        submitted(stage);
        cancel(stage)
    }),
    scenario("api", "cancel a run that pauses", |stage| {
        paused(stage);
        cancel(stage)
    }),
    scenario("api", "cancel a run that waits", |stage| {
        overlapping(stage);
        cancel(stage)
    }),
    scenario("trigger", "fire, in realtime", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, in realtime with tools", |stage| {
        stage.ask(Wish::Add(with_tools(daily())));
        for say in [Say::Notes, Say::Sends, Say::Done] {
            stage.outside.provider.plan(Plan::Answer(AnswerPlan { say, takes: 5 }));
        }
        stage.until(is_job)
    }),
    scenario("trigger", "fire, with an answer that takes minutes", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::Done, takes: 100 }));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, in a session", |stage| {
        let mut job = daily();
        job["sessionTarget"] = json!("session:notes");
        stage.ask(Wish::Add(job));
        stage.ask(Wish::Run(json!({ "jobId": "job" })));
        stage.go_on(TimeDelta::minutes(10));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, with an answer for nobody", |stage| {
        let mut job = daily();
        job["delivery"] = json!({ "mode": "none" });
        stage.ask(Wish::Add(job));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, and be canceled while the model answers", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::Done, takes: 20 }));
        stage.meanwhile = Some(("message", |stage| {
            if runs(stage).iter().any(|run| !run.state.is_terminal()) {
                let wish = cancel(stage);
                stage.play(&wish);
            }
        }));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, at the spend limit", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.outside.provider.plan(Plan::SpendLimit(true));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, in a batch at the spend limit", |stage| {
        stage.ask(Wish::Add(batched()));
        stage.outside.provider.plan(Plan::SpendLimit(true));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, while its provider is stopped", |stage| {
        stopped(stage, "30 7 * * *", &realtime());
        stage.until(is_job)
    }),
    scenario("trigger", "fire, and end a stop that is over", |stage| {
        stopped(stage, "30 8 * * *", &realtime());
        stage.until(is_job)
    }),
    scenario("trigger", "fire, and end a stop with a batch", |stage| {
        stopped(stage, "30 8 * * *", &batch());
        stage.until(is_job)
    }),
    scenario("trigger", "fire a one-shot", |stage| {
        stage.ask(Wish::Add(once(&realtime())));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, in a batch", |stage| {
        stage.ask(Wish::Add(batched()));
        stage.until(is_job)
    }),
    scenario("trigger", "fire, with missed occurrences", |stage| {
        stage.ask(Wish::Add(every_half_hour("job")));
        // Nothing fired for hours.
        let job = stage.until(is_job);
        stage.go_on_without(TimeDelta::hours(2));
        job
    }),
    scenario("trigger", "fire, while another run is live", |stage| {
        let mut job = every_half_hour("job");
        job["overlap"] = json!("skip");
        stage.outside.provider.plan(Plan::Batch(BatchPlan { takes: 45 * 60, ..BatchPlan::default() }));
        stage.ask(Wish::Add(job));
        let first = stage.until(is_job);
        stage.play(&first);
        stage.until(is_job)
    }),
    scenario("trigger", "resume after a pause", |stage| {
        paused(stage);
        stage.until(is_resume)
    }),
    scenario("trigger", "resume a run that waited", |stage| {
        overlapping(stage);
        stage.until(is_resume)
    }),
    scenario("trigger", "submit again after a refusal", |stage| {
        stage.outside.provider.plan(Plan::Refuse { how: Refusal::RateLimited, calls: 1 });
        stage.ask(Wish::Add(batched()));
        stage.until(is_resume)
    }),
    scenario("poll", "a batch that goes on", |stage| {
        submitted(stage);
        stage.until(is_poll)
    }),
    scenario("poll", "an answer", |stage| {
        submitted(stage);
        stage.until(ended)
    }),
    scenario("poll", "a tool call", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Answered(Say::Notes)));
        stage.ask(Wish::Add(with_tools(batched())));
        stage.until(ended)
    }),
    scenario("poll", "a message call", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Answered(Say::Sends)));
        stage.ask(Wish::Add(with_tools(batched())));
        stage.until(ended)
    }),
    scenario("poll", "an answer that pauses", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Answered(Say::Pauses)));
        stage.ask(Wish::Add(batched()));
        stage.until(ended)
    }),
    scenario("poll", "an errored row", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Errored));
        stage.ask(Wish::Add(batched()));
        stage.until(ended)
    }),
    scenario("poll", "an invalid row", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Invalid));
        stage.ask(Wish::Add(batched()));
        stage.until(ended)
    }),
    scenario("poll", "a row without a result", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Missing));
        stage.ask(Wish::Add(batched()));
        stage.until(ended)
    }),
    scenario("poll", "an expired row", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::Never));
        stage.ask(Wish::Add(once(&json!({ "enabled": true, "maxWaitMs": 36 * 3_600_000 }))));
        stage.until(ended)
    }),
    scenario("poll", "a result that breaks off", |stage| {
        stage.outside.provider.plan(Plan::Row(RowPlan::BreaksOnce(Say::Done)));
        stage.ask(Wish::Add(batched()));
        stage.until(ended)
    }),
    scenario("poll", "an answer nobody wants any more", |stage| {
        submitted(stage);
        let wish = cancel(stage);
        stage.lose(&wish, "commit Run");
        stage.until(ended)
    }),
    scenario("poll", "a batch past its deadline", |stage| {
        never_done(stage, "fail");
        stage.until(late)
    }),
    scenario("poll", "a batch that stops, and fails", |stage| {
        never_done(stage, "fail");
        stage.until(ended)
    }),
    scenario("poll", "a batch that stops, and goes on in realtime", |stage| {
        never_done(stage, "realtime");
        stage.until(ended)
    }),
    scenario("poll", "a canceled batch that stops", |stage| {
        never_done(stage, "fail");
        let poll = stage.until(is_poll);
        stage.play(&poll);
        let wish = cancel(stage);
        stage.play(&wish);
        stage.until(ended)
    }),
    scenario("poll", "a create without an answer", |stage| {
        stage.ask(Wish::Add(batched()));
        let job = stage.until(is_job);
        stage.lose(&job, "create");
        stage.until(is_poll)
    }),
    scenario("poll", "a create that never was", |stage| {
        stage.ask(Wish::Add(batched()));
        let job = stage.until(is_job);
        stage.lose(&job, "commit Run+Batch");
        stage.until(|stage, envelope| is_poll(stage, envelope) && minutes_past(stage, 7 * 60 + 10))
    }),
    scenario("poll", "an adopted batch that ended", |stage| {
        stage.ask(Wish::Add(batched()));
        let job = stage.until(is_job);
        stage.lose(&job, "create");
        stage.until(ended)
    }),
];

pub(super) fn realtime() -> Value {
    json!({ "enabled": false })
}

pub(super) fn batch() -> Value {
    json!({ "enabled": true, "maxWaitMs": 7_200_000 })
}

/// Seven o'clock, to a chat that shows whatever it is sent.
pub(super) fn at_seven(batch: &Value) -> Value {
    json!({
        "jobId": "job", "name": "Job",
        "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": "Say something.", "batch": batch },
        "delivery": { "mode": "announce", "channel": "telegram", "to": "42" },
    })
}

pub(super) fn daily() -> Value {
    at_seven(&realtime())
}

pub(super) fn batched() -> Value {
    at_seven(&batch())
}

pub(super) fn once(batch: &Value) -> Value {
    let mut job = at_seven(batch);
    job["schedule"] = json!({ "kind": "at", "at": "2026-11-21T07:00:00Z" });
    job["deleteAfterRun"] = json!(true);
    job
}

pub(super) fn every_half_hour(id: &str) -> Value {
    let mut job = named(at_seven(&batch()), id);
    job["schedule"] = json!({ "kind": "cron", "expr": "0,30 7 * * *", "tz": "UTC", "staggerMs": 0 });
    job["overlap"] = json!("queue");
    job
}

fn with_tools(mut job: Value) -> Value {
    job["payload"]["toolsAllow"] = json!(["memory", "message"]);
    job
}

/// A run's batch is at work.
pub(super) fn submitted(stage: &mut Stage) {
    stage.outside.provider.plan(Plan::Batch(BatchPlan { takes: 40 * 60, ..BatchPlan::default() }));
    stage.ask(Wish::Add(batched()));
    let job = stage.until(is_job);
    stage.play(&job);
}

/// A run waits because the model was overloaded.
pub(super) fn paused(stage: &mut Stage) {
    stage.outside.provider.plan(Plan::Refuse { how: Refusal::Overloaded, calls: 1 });
    stage.ask(Wish::Add(daily()));
    let job = stage.until(is_job);
    stage.play(&job);
}

/// A run waits for one before it.
pub(super) fn overlapping(stage: &mut Stage) {
    stage.outside.provider.plan(Plan::Batch(BatchPlan { takes: 45 * 60, ..BatchPlan::default() }));
    stage.ask(Wish::Add(every_half_hour("job")));
    for _ in 0..2 {
        let job = stage.until(is_job);
        stage.play(&job);
    }
}

/// A run's batch that nobody comes to.
pub(super) fn never_done(stage: &mut Stage, on_timeout: &str) {
    stage.outside.provider.plan(Plan::Row(RowPlan::Never));
    let mut job = batched();
    job["payload"]["batch"]["onTimeout"] = json!(on_timeout);
    stage.ask(Wish::Add(job));
}

/// A run met the spend limit at seven, which is no more; another job is to come at `expr`.
fn stopped(stage: &mut Stage, expr: &str, batch: &Value) {
    stage.ask(Wish::Add(daily()));
    stage.outside.provider.plan(Plan::SpendLimit(true));
    let job = stage.until(is_job);
    stage.play(&job);
    stage.outside.provider.plan(Plan::SpendLimit(false));
    let mut other = named(at_seven(batch), "other");
    other["schedule"]["expr"] = json!(expr);
    stage.ask(Wish::Add(other));
}

/// The same for another job.
pub(super) fn named(mut job: Value, id: &str) -> Value {
    (job["jobId"], job["name"]) = (json!(id), json!(id));
    job
}

/// Stops the youngest run that is live.
pub(super) fn cancel(stage: &mut Stage) -> Queued {
    let live = runs(stage).into_iter().filter(|run| !run.state.is_terminal());
    let run = live.max_by_key(|run| run.slot).unwrap();
    stage.wish(Wish::Cancel(json!({ "runId": run.key })))
}

pub(super) fn is_job(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Job { .. })
}

pub(super) fn is_resume(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Resume { .. })
}

pub(super) fn is_poll(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Poll { .. })
}

pub(super) fn is_deliver(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Deliver { .. })
}

/// The poll that finds its batch ended.
pub(super) fn ended(stage: &Stage, envelope: &Envelope) -> bool {
    let Wake::Poll { b, n } = &envelope.kind else { return false };
    let batch = stage.outside.store.batch(b).now_or_never().unwrap().unwrap().unwrap();
    let is_stale = *n < batch.polls || matches!(batch.state, BatchState::Settled { .. });
    if is_stale {
        return false;
    }
    let there = stage.outside.provider.batches();
    there.iter().any(|one| one.ended_at.is_some() && batch.state.remote() == Some(&one.remote))
}

/// The poll that finds its batch past the deadline.
fn late(stage: &Stage, envelope: &Envelope) -> bool {
    is_poll(stage, envelope) && minutes_past(stage, 9 * 60)
}

/// The sweep that finds something overdue.
pub(super) fn swept(stage: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Sweep) && stage.has_overdue()
}

/// Whether it is so many minutes past midnight.
pub(super) fn minutes_past(stage: &Stage, minutes: i64) -> bool {
    let midnight: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().unwrap();
    stage.clock_now() >= midnight + TimeDelta::minutes(minutes)
}
