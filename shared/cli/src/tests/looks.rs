//! What people see, at 80 and 120 columns.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{Answer, NOW_MS, run_nowhere, run_within};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `base` with the fields of `extra` in place of its own.
fn with(mut base: Value, extra: &Value) -> Value {
    base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    base
}

fn cron(expr: &str, tz: &str) -> Value {
    json!({"kind": "cron", "expr": expr, "tz": tz})
}

fn a_job(id: &str, name: &str, schedule: &Value, state: &Value) -> Value {
    json!({"jobId": id, "name": name, "enabled": true, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": schedule, "sessionTarget": "isolated", "wakeMode": "next-heartbeat",
        "payload": {"kind": "agentTurn", "message": "Summarize what happened."}, "delivery": {"mode": "announce"},
        "missed": "once", "maxLatenessMs": null, "overlap": "skip", "state": state})
}

/// One of every kind.
fn jobs() -> Vec<Value> {
    let state = |next: Option<i64>, last: Option<i64>, extra: Value| {
        let times = json!({"nextRunAtMs": next.map(|it| NOW_MS + it), "lastRunAtMs": last.map(|it| NOW_MS - it)});
        with(times, &extra)
    };
    let batch = json!({"payload": {"kind": "agentTurn", "message": "m", "batch": {"enabled": true, "mode": "auto"}}});
    vec![
        a_job(
            "fa1f1c60-e887-4c70-86d7-1c1952306001",
            "Morning brief",
            &cron("0 7 * * *", "America/Los_Angeles"),
            &state(Some(3 * HOUR), Some(21 * HOUR), json!({"lastStatus": "ok", "lastDeliveryStatus": "delivered"})),
        ),
        with(
            a_job(
                "fa1f1c60-e887-4c70-86d7-1c1952306002",
                "A weekly report on everything that happened in all of our projects, with a name nobody shortened",
                &cron("30 6 * * 1-5", "America/Argentina/Buenos_Aires"),
                &state(Some(66 * HOUR), Some(5 * DAY), json!({"lastStatus": "error", "consecutiveErrors": 3})),
            ),
            &batch,
        ),
        a_job(
            "2b7c1a52-7f50-4e1b-9d0c-2f6f6f6d3a11",
            "会議の要約を毎朝送る 🗓️",
            &json!({"kind": "every", "everyMs": 1_200_000, "anchorMs": 0}),
            &state(Some(12 * MINUTE), Some(8 * MINUTE), json!({"runningAtMs": NOW_MS})),
        ),
        with(
            a_job(
                "fa1f1c60-e887-4c70-86d7-1c1952306004",
                "Once, on Christmas Eve",
                &json!({"kind": "at", "at": "2026-12-24T18:00:00.000Z"}),
                &state(Some(34 * DAY), None, json!({})),
            ),
            &json!({"agentId": "ops"}),
        ),
        with(
            a_job(
                "old-1",
                "switched\noff",
                &cron("@hourly", "UTC"),
                &state(None, Some(90 * DAY), json!({"lastStatus": "ok"})),
            ),
            &json!({"enabled": false}),
        ),
        with(
            a_job(
                "fa1f1c60-e887-4c70-86d7-1c1952306006",
                "Fails and fails",
                &cron("*/15 * * * *", "UTC"),
                &state(
                    None,
                    Some(800 * DAY),
                    json!({"lastStatus": "error", "consecutiveErrors": 10, "lastError": "auth: the key was refused",
                    "autoDisabled": {"reason": "10 failures in a row", "atMs": 0, "consecutiveErrors": 10},
                    "lastFailureAlertAtMs": NOW_MS - 800 * DAY, "lastFailureNotificationDelivered": false,
                    "lastFailureNotificationDeliveryStatus": "failed",
                    "lastFailureNotificationDeliveryError": "Telegram refused the message: chat not found"}),
                ),
            ),
            &json!({"enabled": false}),
        ),
        a_job(
            "fa1f1c60-e887-4c70-86d7-1c1952306007",
            "Chat is gone",
            &cron("0 9 1 * *", "UTC"),
            &state(Some(11 * DAY), Some(20 * DAY), json!({"lastStatus": "ok", "lastDeliveryStatus": "failed"})),
        ),
        a_job(
            "fa1f1c60-e887-4c70-86d7-1c1952306008",
            "Nothing to say",
            &cron("0 * * * *", "UTC"),
            &state(Some(1), Some(HOUR), json!({"lastStatus": "ok", "lastDeliveryStatus": "suppressed"})),
        ),
    ]
}

fn a_run(job: &str, name: &str, end: &str, ago: i64, state: &str, status: Option<&str>) -> Value {
    json!({"runId": format!("{job}_{end}"), "jobId": job, "jobName": name, "agentId": "main", "origin": "schedule",
        "slot": "2026-11-20T07:00:00Z", "scheduledAtMs": 0, "createdAtMs": NOW_MS - ago, "startedAtMs": NOW_MS - ago,
        "endedAtMs": null, "durationMs": 12_000, "state": state, "status": status, "completionStatus": null,
        "deliveryStatus": null, "path": "realtime", "model": "anthropic/claude-sonnet-5-5", "provider": "anthropic",
        "hops": [], "costUsd": 0.0, "realtimeCostUsd": 0.0, "savedUsd": 0.0, "notes": [], "events": []})
}

fn hop(path: &str, batch: Option<&str>) -> Value {
    json!([{"n": 1, "path": path, "model": "m", "messageId": "msg_1", "stopReason": "end_turn", "usage": {},
        "costUsd": 0.0021, "realtimeCostUsd": 0.0042, "atMs": 0, "batchId": batch}])
}

const JOB: &str = "fa1f1c60-e887-4c70-86d7-1c1952306001";

fn runs() -> Vec<Value> {
    let run = |end: &str, ago: i64, state: &str, status: Option<&str>, extra: Value| {
        with(a_run(JOB, "Morning brief", end, ago, state, status), &extra)
    };
    let batch = json!({"attemptId": "a", "batchId": "msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", "polls": 4,
        "nextPollAtMs": NOW_MS + 4 * MINUTE, "state": "open"});
    vec![
        run(
            "m01KAHJ5Z3M7Q2W4E6R8",
            45_000,
            "submitted",
            None,
            json!({"path": "batch", "batch": batch, "origin": "manual"}),
        ),
        run(
            "20261120T070000Z",
            5 * HOUR,
            "succeeded",
            Some("ok"),
            json!({"path": "batch", "deliveryStatus": "delivered", "durationMs": 3 * HOUR + 5 * MINUTE, "costUsd": 0.0021,
                "realtimeCostUsd": 0.0042, "savedUsd": 0.0021, "hops": hop("batch", Some("msgbatch_01"))}),
        ),
        run(
            "20261119T070000Z",
            29 * HOUR,
            "failed",
            Some("error"),
            json!({"costUsd": 12.345, "hops": hop("realtime", None), "error": {"code": "model_refusal",
                "message": "the model refused to answer, and it said so in many more words than fit a line of a terminal"}}),
        ),
        run(
            "20261118T070000Z",
            53 * HOUR,
            "skipped",
            Some("skipped"),
            json!({"path": null, "startedAtMs": null, "durationMs": null,
                "error": {"code": "overlap", "message": "the run was skipped: overlap"}}),
        ),
        run(
            "20261117T070000Z",
            77 * HOUR,
            "deliveryFailed",
            Some("ok"),
            json!({"deliveryStatus": "failed", "deliveryError": "chat not found", "costUsd": 0.0042,
                "hops": hop("realtime", None)}),
        ),
        run("20260820T070000Z", 92 * DAY, "succeeded", Some("ok"), json!({"deliveryStatus": "not-requested"})),
    ]
}

/// Both widths of what a command shows, and what it says beside.
async fn shown(name: &str, line: &[&str], answer: impl Fn() -> Vec<Answer>) {
    for columns in [80, 120] {
        let ran = run_within(Some(columns), line, answer()).await;
        for text in ran.out.lines() {
            assert_eq!(text, text.trim_end(), "{name}: no line ends with spaces");
            assert!(!text.contains('\t'), "{name}: {text}");
        }
        let server = ran.err.find("http://127.0.0.1:").map(|start| {
            let port = ran.err[start..].split('/').nth(2).unwrap();
            ran.err.replace(port, "127.0.0.1:4710")
        });
        let (err, command) = (server.unwrap_or(ran.err), line.join(" "));
        let text = format!("$ nightshift {command}\n{}--- stderr, exit {}\n{err}", ran.out, ran.exit as u8);
        insta::assert_snapshot!(format!("{name}_{columns}"), text);
    }
}

fn ok(answer: Value) -> Vec<Answer> {
    vec![Answer::Json(200, answer)]
}

#[tokio::test]
async fn the_list_of_jobs() {
    shown("list", &["cron", "list", "--all"], || ok(json!({"jobs": jobs(), "nextCursor": null}))).await;
    let short = || jobs().into_iter().skip(6).collect::<Vec<_>>();
    shown("list_of_short_jobs", &["cron", "list"], || ok(json!({"jobs": short(), "nextCursor": null}))).await;
    shown("list_of_nothing", &["cron", "list"], || ok(json!({"jobs": [], "nextCursor": null}))).await;
}

#[tokio::test]
async fn the_list_of_runs() {
    let page = || json!({"runs": runs(), "entries": runs(), "nextCursor": "eyJwIjoiMSJ9"});
    shown("runs_of_a_job", &["cron", "runs", JOB], || ok(page())).await;
    let long = "会議の要約を毎朝送る 🗓️ and a very long name beside it, which goes on and on";
    let other =
        || a_run("2b7c1a52-7f50-4e1b-9d0c-2f6f6f6d3a11", long, "20261120T113000Z", 30 * MINUTE, "running", None);
    let mixed = || json!({"runs": ([vec![other()], runs()].concat()), "entries": [], "nextCursor": null});
    shown("runs_of_all_jobs", &["cron", "runs"], || ok(mixed())).await;
}

#[tokio::test]
async fn one_run() {
    let over = || {
        with(
            runs().remove(1),
            &json!({"text": "Nothing happened.\n\nReally nothing.", "notes": ["thinking was clamped to high"],
            "events": [{"atMs": NOW_MS - 5 * HOUR, "event": "queued"},
                {"atMs": NOW_MS - 5 * HOUR + 2_000, "event": "submitted", "detail": "msgbatch_01"},
                {"atMs": NOW_MS - 2 * HOUR, "event": "done"}]}),
        )
    };
    shown("run_that_is_over", &["cron", "runs", JOB, "--run-id", "20261120T070000Z"], || ok(over())).await;
    for (name, index) in [("run_in_a_batch", 0), ("run_that_failed", 2), ("run_that_was_skipped", 3)] {
        shown(name, &["cron", "runs", JOB, "--run-id", "x"], || ok(runs().remove(index))).await;
    }
}

#[tokio::test]
async fn a_job_as_add_and_show_tell_it() {
    let full = || {
        with(
            jobs().remove(1),
            &json!({"description": "What the team did", "agentId": "ops", "declarationKey": "weekly-report",
            "schedule": {"kind": "cron", "expr": "30 6 * * 1-5", "tz": "Europe/Berlin", "staggerMs": 30_000},
            "payload": {"kind": "agentTurn", "message": "Write the weekly report.\nLeave nothing out.", "model": "opus",
                "fallbacks": ["sonnet", "haiku"], "thinking": "high", "timeoutSeconds": 600, "lightContext": true,
                "toolsAllow": ["web_search", "memory"],
                "batch": {"enabled": true, "maxWaitMs": 7_200_000, "onTimeout": "realtime"}},
            "delivery": {"mode": "announce", "channel": "telegram", "to": "-1001234567890", "threadId": "123",
                "accountId": "ops", "bestEffort": true,
                "failureDestination": {"mode": "announce", "channel": "slack", "to": "channel:C1"}},
            "failureAlert": {"after": 2, "cooldownMs": 3_600_000, "channel": "slack", "to": "channel:C2",
                "includeSkipped": true},
            "missed": "all", "maxLatenessMs": 5_400_000, "overlap": "queue", "deleteAfterRun": true,
            "notes": ["batch falls back to realtime: the credential is a subscription's"]}),
        )
    };
    shown("add_with_everything", &["cron", "add", "30 6 * * 1-5", "Write the weekly report."], || ok(full())).await;
    let event = || {
        with(
            jobs().remove(3),
            &json!({"sessionTarget": "main", "wakeMode": "now", "delivery": null, "deleteAfterRun": true,
                "payload": {"kind": "systemEvent", "text": "Check the oven."}}),
        )
    };
    shown("add_an_event", &["cron", "add", "--at", "2026-12-24T18:00Z", "--system-event", "Check the oven."], || {
        ok(event())
    })
    .await;
    shown("show_a_failing_job", &["cron", "show", "x"], || ok(jobs().remove(5))).await;
}

#[tokio::test]
async fn the_status() {
    let status = json!({"enabled": true, "jobs": 8, "enabledJobs": 6, "runningJobs": 1,
        "nextWakeAtMs": NOW_MS + 12 * MINUTE, "configRevision": 3, "counters": {"fallback.oauth": 4}, "nowMs": NOW_MS});
    shown("status", &["cron", "status"], || ok(status.clone())).await;
}

#[tokio::test]
async fn errors() {
    let fields = json!({"field": "schedule.expr", "fields": [
        {"code": "invalid_schedule", "field": "schedule.expr", "message": "\"61 7 * * *\" has a minute of 61",
            "hint": "minutes are 0 to 59"},
        {"code": "unknown_field", "field": "payload.mesage", "message": "\"mesage\" is not a known field",
            "hint": "did you mean message?"}]});
    let several = refusal("invalid_schedule", &fields);
    let line = ["cron", "add", "61 7 * * *", "x"];
    shown("error_with_several_fields", &line, || vec![Answer::Json(400, several.clone())]).await;
    let missing = with(
        json!({}),
        &json!({"error": {"code": "not_found", "message": "there is no job nope"},
        "requestId": "req-1"}),
    );
    shown("error_not_found", &["cron", "get", "nope"], || vec![Answer::Json(404, missing.clone())]).await;
    shown("error_hangup", &["cron", "list"], || vec![Answer::Hangup, Answer::Hangup]).await;
    shown("error_missing_argument", &["cron", "rm"], Vec::new).await;
    shown("error_unknown_flag", &["cron", "add", "20m", "x", "--delivr"], Vec::new).await;
    shown("error_tick", &["cron", "add", "--every", "1m", "tick"], Vec::new).await;
    shown("error_foreign", &["cron", "add", "--on-exit", "make"], Vec::new).await;
    shown("error_run_id", &["cron", "runs", "--run-id", "m01KAHJ5Z3M7Q2W4E6R8"], Vec::new).await;
}

#[tokio::test]
async fn nobody_at_the_address() {
    let ran = run_nowhere(&["cron", "list"]).await;
    insta::assert_snapshot!("error_connection_refused", ran.err);
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Unreachable, ""));
}
