//! Plays of what comes after the answer, and of what a model does beside it: deliveries, the endpoint's tools, the heartbeat.

use chrono::TimeDelta;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_sim::channel::SendPlan;
use nightshift_sim::lambda::{Task, Wish};
use nightshift_sim::provider::{AnswerPlan, BatchPlan, Plan, Say};
use serde_json::{Value, json};

use super::judge::runs;
use super::scenarios::{
    Scenario, batched, daily, every_half_hour, is_deliver, is_job, once, overlapping, realtime, scenario,
};
use super::stage::{Stage, ToolCall};

/// All of them.
pub(super) const PLAYS: &[Scenario] = &[
    scenario("deliver", "one chunk", |stage| {
        stage.ask(Wish::Add(daily()));
        stage.until(is_deliver)
    }),
    scenario("deliver", "several chunks", |stage| {
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::Long, takes: 5 }));
        stage.ask(Wish::Add(daily()));
        stage.until(is_deliver)
    }),
    scenario("deliver", "several chunks, where repeats are dropped", |stage| {
        let mut job = daily();
        job["delivery"] = json!({ "mode": "announce", "channel": "discord", "to": "channel:42" });
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::Long, takes: 5 }));
        stage.ask(Wish::Add(job));
        stage.until(is_deliver)
    }),
    scenario("deliver", "to a webhook", |stage| {
        let mut job = daily();
        job["delivery"] = json!({ "mode": "webhook", "to": "https://example.com/hook" });
        stage.ask(Wish::Add(job));
        stage.until(is_deliver)
    }),
    scenario("deliver", "to a far side that asks for time", |stage| {
        stage.outside.channel.plan(SendPlan::Later(90));
        stage.ask(Wish::Add(daily()));
        stage.until(is_deliver)
    }),
    scenario("deliver", "closing a one-shot", |stage| {
        stage.ask(Wish::Add(once(&realtime())));
        stage.until(is_deliver)
    }),
    scenario("deliver", "closing a run another waits for", |stage| {
        overlapping(stage);
        stage.until(is_deliver)
    }),
    scenario("deliver", "an alert about a failure", |stage| {
        failing(stage, &json!({ "after": 1 }));
        stage.until(is_deliver)
    }),
    scenario("deliver", "an alert to a far side that asks for time", |stage| {
        failing(stage, &json!({ "after": 1 }));
        let deliver = stage.until(is_deliver);
        stage.outside.channel.plan(SendPlan::Later(90));
        deliver
    }),
    scenario("deliver", "an alert, where repeats are dropped", |stage| {
        failing(stage, &json!({ "after": 1, "mode": "webhook", "to": "https://example.com/alerts" }));
        stage.until(is_deliver)
    }),
    scenario("deliver", "an alert that is refused", |stage| {
        failing(stage, &json!({ "after": 1 }));
        let deliver = stage.until(is_deliver);
        stage.outside.channel.plan(SendPlan::Refused);
        deliver
    }),
    scenario("deliver", "an alert about an answer nobody knows of, and the run's close", |stage| {
        let mut job = daily();
        job["failureAlert"] = json!({ "channel": "telegram", "to": "43" });
        stage.ask(Wish::Add(job));
        let deliver = stage.until(is_deliver);
        stage.outside.channel.plan(SendPlan::Slow(400));
        deliver
    }),
    scenario("deliver", "an alert about a one-shot", |stage| {
        let mut job = once(&realtime());
        job["failureAlert"] = json!(true);
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::CutOff, takes: 5 }));
        stage.ask(Wish::Add(job));
        stage.until(is_deliver)
    }),
    scenario("trigger", "fire, and fail with an alert", |stage| {
        failing(stage, &json!({ "after": 1 }));
        // Where the first answer is lost, the second is no better.
        stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::CutOff, takes: 5 }));
        stage.until(is_job)
    }),
    scenario("deliver", "closing a run after a failure that was told", |stage| {
        failing(stage, &json!({ "after": 1 }));
        stage.go_on(TimeDelta::hours(9));
        stage.until(is_deliver)
    }),
    scenario("trigger", "fire, and skip with an alert", |stage| {
        let mut job = every_half_hour("job");
        job["overlap"] = json!("skip");
        job["failureAlert"] = json!({ "after": 1, "includeSkipped": true });
        stage.outside.provider.plan(Plan::Batch(BatchPlan { takes: 45 * 60, ..BatchPlan::default() }));
        stage.ask(Wish::Add(job));
        let first = stage.until(is_job);
        stage.play(&first);
        stage.until(is_job)
    }),
    scenario("tools", "a note", |stage| {
        let token = with_endpoint(stage);
        let path = "/memories/harbour.md";
        let arguments = json!({ "command": "create", "path": path, "file_text": "Closed on Friday." });
        stage.call(ToolCall { token, tool: "memory", arguments })
    }),
    scenario("tools", "a message", |stage| {
        let token = with_endpoint(stage);
        let arguments = json!({ "text": "Closed on Friday.", "channel": "telegram", "to": "7" });
        stage.call(ToolCall { token, tool: "message", arguments })
    }),
    scenario("heartbeat", "a queue that is too long", |stage| {
        stage.ask(Wish::Config(json!({ "path": "cron.retention.eventsMax", "value": 1 })));
        stage.ask(Wish::Add(daily()));
        stage.go_on(TimeDelta::days(3));
        stage.request(Task::Envelope(Envelope::new(Wake::Heartbeat { a: "main".to_owned() })))
    }),
];

/// A job whose first run fails, and no later one; its alerts go by `rule`.
fn failing(stage: &mut Stage, rule: &Value) {
    let mut job = daily();
    job["failureAlert"] = rule.clone();
    stage.outside.provider.plan(Plan::Answer(AnswerPlan { say: Say::CutOff, takes: 5 }));
    stage.ask(Wish::Add(job));
}

/// A run's batch is at work, and its model may call tools; the token it does that with.
fn with_endpoint(stage: &mut Stage) -> String {
    let allow = json!(["memory", "message"]);
    for (path, value) in [
        ("api.publicUrl", json!("https://nightshift.example")),
        ("agents.defaults.tools.endpoint", json!({ "allow": allow })),
    ] {
        stage.ask(Wish::Config(json!({ "path": path, "value": value })));
    }
    stage.outside.provider.plan(Plan::Batch(BatchPlan { takes: 40 * 60, ..BatchPlan::default() }));
    let mut job = batched();
    job["payload"]["toolsAllow"] = allow;
    stage.ask(Wish::Add(job));
    let job = stage.until(is_job);
    stage.play(&job);
    let run = runs(stage).pop().unwrap();
    let endpoint = run.plan.unwrap().endpoint.unwrap();
    endpoint.connection(&run.key).token.unwrap()
}
