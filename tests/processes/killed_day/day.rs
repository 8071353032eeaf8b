//! A scripted day: what is set up before it, and the instants it has.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_tests::chats::Chats;
use nightshift_tests::process::{Process, pause};
use serde_json::{Value, json};

/// When the day begins.
pub(crate) const CLOCK: &str = "manual:2026-11-20T06:00:00Z";
/// Text that a chat takes in two messages only.
const LONG: usize = 6_000;
/// How long the jobs in a hurry wait for a batch: long enough for a create that a kill cut off to be taken for not done,
/// after ten minutes, and sent once more.
pub(crate) const MAX_WAIT: TimeDelta = TimeDelta::minutes(30);
/// Files of the memory that the day writes.
pub(crate) const MEMORY: &str = "/memories/log.md";

/// An instant of the day, so many minutes after its beginning.
pub(crate) fn at(minutes: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-11-20T06:00:00Z".parse().unwrap();
    begin + TimeDelta::minutes(minutes)
}

/// Nothing is killed after this: an hour past midnight, with everything that the day had begun still to end.
pub(crate) fn last_kill() -> DateTime<Utc> {
    at(19 * 60)
}

/// When the books are looked at: four and a half hours later, more than the slowest turn and every repair together take.
pub(crate) fn evening() -> DateTime<Utc> {
    at(23 * 60 + 30)
}

/// A job of the day.
fn job(id: &str, schedule: Value, message: &str, more: Value) -> Value {
    let mut job = json!({
        "jobId": id, "name": id,
        "payload": { "kind": "agentTurn", "message": message, "batch": { "enabled": true } },
        "delivery": { "mode": "announce", "channel": "console", "to": "owner" },
        "overlap": "allow",
    });
    job["schedule"] = schedule;
    lay(&mut job, more);
    job
}

fn lay(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, more) in more {
                lay(fields.entry(name).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more,
    }
}

fn cron(expr: &str) -> Value {
    json!({ "kind": "cron", "expr": expr, "tz": "UTC", "staggerMs": 0 })
}

fn once(at: &str) -> Value {
    json!({ "kind": "at", "at": format!("2026-11-20T{at}:00Z") })
}

/// Every job of the day. Where two stand in the same minute, they are there to be confused with each other.
pub(crate) fn jobs(chats: &Chats) -> Vec<Value> {
    let realtime = json!({ "enabled": false });
    let chat = json!({ "channel": "telegram", "to": "-1001234567890" });
    let hook = json!({ "mode": "webhook", "channel": null, "to": format!("{}/hook", chats.url) });
    let wait = MAX_WAIT.num_milliseconds();
    let slow = |on_timeout: &str| json!({ "enabled": true, "maxWaitMs": wait, "onTimeout": on_timeout });
    let mut all = vec![
        job("brief", cron("0 7,11,15,19,23 * * *"), "[brief] What is new?", json!({})),
        job("letter", cron("0 9,17,21 * * *"), "[long] Write to everybody.", json!({ "delivery": chat })),
        job(
            "notes",
            cron("10 8,12,16 * * *"),
            "[notes] Keep what matters.",
            json!({ "payload": { "toolsAllow": ["memory", "message"] } }),
        ),
        job(
            "clerk",
            cron("40 6,10,14,18,22 * * *"),
            "[clerk] Keep what matters, and now.",
            json!({ "payload": { "toolsAllow": ["memory", "message"], "batch": realtime }, "delivery": chat }),
        ),
        job(
            "pulse",
            cron("*/20 6-23 * * *"),
            "[pulse] Is it well?",
            json!({ "payload": { "batch": realtime }, "delivery": hook }),
        ),
        job("steady", json!({ "kind": "every", "everyMs": 5_400_000 }), "[steady] Go on.", json!({ "delivery": hook })),
        job(
            "standup",
            cron("0 7,10,13,16,19,22 * * *"),
            "[standup] What was said before?",
            json!({ "sessionTarget": "session:standup" }),
        ),
        job(
            "impatient",
            cron("20 9,17 * * *"),
            "[impatient] Now or never.",
            json!({ "payload": { "batch": slow("fail") } }),
        ),
        job(
            "hasty",
            cron("20 8,17 * * *"),
            "[hasty] Now, at any price.",
            json!({ "payload": { "batch": slow("realtime") } }),
        ),
        job("errored", cron("0 11 * * *"), "[errored] Try twice.", json!({ "delivery": hook })),
        job("expired", cron("0 11 * * *"), "[expired] Try twice.", json!({})),
        job("invalid", cron("0 11,15 * * *"), "[invalid] Do not try again.", json!({})),
        job("kept", once("12:00"), "[once] And then stay.", json!({ "deleteAfterRun": false })),
    ];
    for (n, at) in ["06:30", "11:00", "13:05", "13:05", "20:00"].into_iter().enumerate() {
        all.push(job(&format!("once-{n}"), once(at), "[once] And then go.", json!({ "deleteAfterRun": true })));
    }
    for job in &mut all {
        let job = job.as_object_mut().unwrap();
        for part in job.values_mut().filter_map(Value::as_object_mut) {
            part.retain(|_, value| !value.is_null());
        }
    }
    all
}

/// What the model says. Replies are chosen by the job's message and by what stands before, never by a count, but for rows
/// that do not come to be the first time.
fn script() -> Value {
    let asks =
        |name: &str, id: &str, input: Value| json!([{ "type": "tool_use", "id": id, "name": name, "input": input }]);
    let note = json!({ "command": "insert", "path": MEMORY, "insert_line": 0, "insert_text": "noted\n" });
    let crew = json!({ "text": "It is kept.", "channel": "console", "to": "crew" });
    json!({ "batchDurationMs": 3_600_000, "replies": [
        { "match": "[notes]", "hop": 0, "content": asks("memory", "toolu_note", note.clone()) },
        { "match": "[clerk]", "hop": 0, "content": asks("memory", "toolu_clerk", note) },
        { "afterTool": "memory", "hop": 1, "content": asks("message", "toolu_crew", crew) },
        { "afterTool": "message", "hop": 2, "text": "Kept, and told." },
        { "match": "[long]", "text": "Dear all, nothing is lost. ".repeat(LONG / 27) },
        { "match": "[errored]", "times": 1, "row": "errored", "error": { "type": "overloaded_error" } },
        { "match": "[expired]", "times": 1, "row": "expired" },
        { "match": "[invalid]", "row": "errored", "error": { "type": "invalid_request_error" } },
        { "match": "[standup]", "text": "What the one before said, and a word more." },
        { "match": "*", "text": "All is **well**." },
    ] })
}

/// Sets the day up in `state` and stops before it begins.
pub(crate) async fn set_up(state: &Path, chats: &Chats) {
    let process = Process::start(state, &["--clock", CLOCK]).await;
    process.post("/_local/anthropic/script", &script()).await.unwrap();
    let config = json!({
        "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } },
        "channels": chats.config(state.parent().unwrap()),
        // A batch whose create's answer a kill swallowed is found by listing, and may be stopped before its rows prove it ours.
        "providers": { "anthropic": { "dedicatedWorkspace": true } },
    });
    let applied = process.post("/v1/config.apply", &json!({ "config": config, "expectedRevision": 0 })).await.unwrap();
    assert_eq!(applied["ok"], true, "{applied}");
    let put = process.post("/v1/memory.put", &json!({ "path": MEMORY, "text": "" })).await.unwrap();
    assert_eq!(put["ok"], true, "{put}");
    for job in jobs(chats) {
        let added = process.post("/v1/cron.add", &job).await.unwrap();
        assert_eq!(added["jobId"], job["jobId"], "{added}");
    }
}

/// The stack's instant.
pub(crate) async fn now(process: &Process) -> DateTime<Utc> {
    let clock = process.get("/_local/clock").await.unwrap();
    DateTime::from_timestamp_millis(clock["ms"].as_i64().unwrap()).unwrap()
}

/// Lets the day go on until `until`; `false` when the process was gone before.
pub(crate) async fn advance(process: &Process, until: DateTime<Utc>) -> bool {
    let ms = (until - now(process).await).num_milliseconds();
    ms <= 0 || process.post("/_local/clock/advance", &json!({ "ms": ms })).await.is_some()
}

/// Lets the day go on for so long of real time, or until `until`; `true` when that instant was reached first.
pub(crate) async fn advance_for(process: &Process, until: DateTime<Utc>, real: Duration) -> bool {
    tokio::select! {
        reached = advance(process, until) => reached,
        () = pause(real) => false,
    }
}
