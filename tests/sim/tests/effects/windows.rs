//! Plays of windows: hops that become ready together share a batch.

use nightshift_domain::event::{Envelope, Wake};
use nightshift_sim::lambda::{Queued, Wish};
use nightshift_sim::provider::{Plan, Refusal, RowPlan, Say};
use serde_json::json;

use super::scenarios::{Scenario, batched, cancel, ended, is_job, is_poll, named, scenario, swept};
use super::stage::Stage;

/// All of them.
pub(super) const PLAYS: &[Scenario] = &[
    scenario("trigger", "fire, into a window", |stage| {
        together(stage, &["job"]);
        stage.until(is_job)
    }),
    scenario("trigger", "fire, into a window that is open", |stage| {
        together(stage, &["job", "other"]);
        let first = stage.until(is_job);
        stage.play(&first);
        stage.until(is_job)
    }),
    scenario("api", "cancel a run in a window", |stage| {
        together(stage, &["job", "other"]);
        collected(stage);
        cancel(stage)
    }),
    scenario("poll", "a window of one", |stage| {
        together(stage, &["job"]);
        stage.until(is_window)
    }),
    scenario("poll", "a window of several", |stage| {
        together(stage, &JOBS);
        stage.until(is_window)
    }),
    scenario("poll", "a window that nobody waits in", |stage| {
        together(stage, &["job"]);
        collected(stage);
        let wish = cancel(stage);
        stage.play(&wish);
        stage.until(is_window)
    }),
    scenario("poll", "a window whose create is refused, and halved", |stage| {
        together(stage, &JOBS);
        stage.outside.provider.plan(Plan::Refuse { how: Refusal::Invalid, calls: 1 });
        stage.until(is_window)
    }),
    scenario("poll", "a window whose create is refused for now", |stage| {
        together(stage, &["job", "other"]);
        stage.outside.provider.plan(Plan::Refuse { how: Refusal::Overloaded, calls: 1 });
        stage.until(is_window)
    }),
    scenario("poll", "a batch that was left before anybody was in it", |stage| {
        left(stage, "commit Batch");
        stage.until(is_poll)
    }),
    scenario("poll", "a batch that was left while it was sealed", |stage| {
        left(stage, "commit Run+Uncollect");
        stage.until(is_poll)
    }),
    scenario("poll", "halves that were left", |stage| {
        stage.outside.provider.plan(Plan::Refuse { how: Refusal::Invalid, calls: 1 });
        left(stage, "commit 3×Batch");
        stage.until(is_poll)
    }),
    scenario("poll", "a create of several without an answer", |stage| {
        left(stage, "create");
        stage.until(is_poll)
    }),
    scenario("poll", "answers of several", |stage| {
        together(stage, &JOBS);
        for row in [RowPlan::Answered(Say::Done), RowPlan::Errored, RowPlan::Invalid] {
            stage.outside.provider.plan(Plan::Row(row));
        }
        stage.until(ended)
    }),
    scenario("api", "cancel one of several", |stage| {
        together(stage, &["job", "other"]);
        let window = stage.until(is_window);
        stage.play(&window);
        cancel(stage)
    }),
    scenario("api", "cancel the last of several", |stage| {
        together(stage, &["job", "other"]);
        for _ in 0..2 {
            stage.outside.provider.plan(Plan::Row(RowPlan::Never));
        }
        let window = stage.until(is_window);
        stage.play(&window);
        for id in ["job", "other"] {
            let key = format!("{id}_20261121T070000Z");
            let wish = stage.wish(Wish::Cancel(json!({ "runId": key })));
            if id == "other" {
                return wish;
            }
            stage.play(&wish);
        }
        unreachable!()
    }),
    scenario("sweep", "a window nobody seals", |stage| {
        together(stage, &["job", "other"]);
        stage.until(is_window);
        stage.until(swept)
    }),
    scenario("sweep", "a window whose sealer died", |stage| {
        left(stage, "commit Window");
        stage.until(swept)
    }),
    scenario("sweep", "a batch that was left while it was sealed, and its poll lost", |stage| {
        left(stage, "commit Batch");
        stage.until(is_poll);
        stage.until(swept)
    }),
];

const JOBS: [&str; 3] = ["job", "other", "third"];

/// Jobs that fire at once, with windows of a minute.
fn together(stage: &mut Stage, jobs: &[&str]) {
    stage.ask(Wish::Config(json!({ "path": "cron.batch.windowSeconds", "value": 60 })));
    for id in jobs {
        stage.ask(Wish::Add(named(batched(), id)));
    }
}

/// The runs of all jobs wait in their window.
fn collected(stage: &mut Stage) {
    stage.go_on(chrono::TimeDelta::minutes(7 * 60));
}

/// Whoever seals the window of two dies right after `effect`.
fn left(stage: &mut Stage, effect: &str) {
    together(stage, &["job", "other"]);
    let window: Queued = stage.until(is_window);
    stage.lose(&window, effect);
}

fn is_window(_: &Stage, envelope: &Envelope) -> bool {
    matches!(envelope.kind, Wake::Window { .. })
}
