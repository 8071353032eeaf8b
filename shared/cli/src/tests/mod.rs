//! The command line against a server: what is sent, what is printed, and the exit codes.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use server::{Answer, run};

mod aws;
mod config;
mod cost;
mod flags;
mod help;
mod history;
mod looks;
mod plan;
mod server;
mod sessions;
mod shelves;
pub(crate) mod signature;
mod transfer;

fn refusal(code: &str, extra: &Value) -> Value {
    let mut error = json!({"code": code, "message": "it cannot be"});
    error.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({"error": error, "requestId": "req-1"})
}

fn job(id: &str) -> Value {
    json!({"jobId": id, "name": "Digest", "enabled": true, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": {"kind": "cron", "expr": "0 3 * * *", "tz": "Europe/Berlin"}, "sessionTarget": "isolated",
        "wakeMode": "next-heartbeat",
        "payload": {"kind": "agentTurn", "message": "Digest.", "batch": {"enabled": true, "maxWaitMs": 7_200_000}},
        "delivery": {"mode": "announce", "channel": "slack", "to": "channel:C1"},
        "missed": "once", "maxLatenessMs": null, "overlap": "skip", "state": {}})
}

fn run_view(state: &str, status: Option<&str>, extra: &Value) -> Value {
    let mut view = json!({"runId": "job-1_m01KAHJ5Z3M7Q2W4E6R8", "jobId": "job-1", "jobName": "Digest", "agentId": "main",
        "origin": "manual", "slot": "2026-11-20T07:00:00Z", "scheduledAtMs": 0, "createdAtMs": 0, "startedAtMs": 0,
        "endedAtMs": null, "durationMs": 130_000, "state": state, "status": status, "completionStatus": null,
        "deliveryStatus": null, "path": "batch", "model": null, "provider": null, "hops": [], "costUsd": 0.002,
        "realtimeCostUsd": 0.004, "savedUsd": 0.002, "notes": [], "events": []});
    view.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    view
}

fn hop() -> Value {
    json!([{"n": 1, "path": "batch", "model": "m", "messageId": "msg_1", "stopReason": "end_turn", "usage": {},
        "costUsd": 0.002, "realtimeCostUsd": 0.004, "atMs": 0}])
}

const WAIT: [&str; 6] = ["cron", "run", "job-1", "--wait", "--poll-interval", "100ms"];

fn enqueued() -> Answer {
    Answer::Json(200, json!({"ok": true, "enqueued": true, "runId": "job-1_m01KAHJ5Z3M7Q2W4E6R8"}))
}

#[tokio::test]
async fn a_call_carries_token_and_idempotency_key_and_shows_the_job_with_its_notes() {
    let mut answer = job("job-1");
    answer["notes"] = json!(["batch falls back to realtime: oauth credential"]);
    let ran = run(&["cron", "add", "0 3 * * *", "Digest.", "--batch"], vec![Answer::Json(200, answer)]).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    let request = &ran.requests[0];
    assert_eq!(request.path, "/v1/cron.add");
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header("idempotency-key").map(str::len), Some(26));
    let shown = "id        job-1\nname      Digest\nstatus    idle\nsession   isolated\n\
        schedule  cron 0 3 * * * @ Europe/Berlin (daily 03:00)\nmessage   Digest.\n\
        batch     yes, waits up to 2h\ndelivery  slack channel:C1\n";
    assert_eq!(ran.out, shown);
    assert_eq!(ran.err, "note: batch falls back to realtime: oauth credential\n");
}

#[tokio::test]
async fn a_call_whose_connection_failed_is_repeated_once_under_the_same_key() {
    let answers = vec![Answer::Hangup, Answer::Json(200, job("job-1"))];
    let ran = run(&["cron", "get", "job-1"], answers).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    let keys: Vec<_> = ran.requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    let ran = run(&["cron", "get", "job-1"], vec![Answer::Hangup, Answer::Hangup]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Unreachable, 2));
    assert!(ran.err.starts_with("error: Nightshift does not answer at http://127.0.0.1:"), "{}", ran.err);
}

#[tokio::test]
async fn every_refusal_has_its_exit_code_and_says_field_and_hint() {
    let cases = [
        (
            400,
            refusal("invalid_schedule", &json!({"field": "schedule.expr", "hint": "write five fields"})),
            ExitCode::Refused,
            "error: schedule.expr: it cannot be\nhint: write five fields\n",
        ),
        (
            401,
            refusal("unauthorized", &json!({})),
            ExitCode::Unauthorized,
            "error: it cannot be\nhint: check --token or NIGHTSHIFT_TOKEN\n",
        ),
        (404, refusal("not_found", &json!({"hint": "look"})), ExitCode::NotFound, "error: it cannot be\nhint: look\n"),
        (409, refusal("conflict", &json!({})), ExitCode::Refused, "error: it cannot be\n"),
        (429, refusal("busy", &json!({})), ExitCode::Unreachable, "error: it cannot be\n"),
        (500, refusal("internal", &json!({})), ExitCode::Internal, "error: it cannot be\nrequest req-1\n"),
    ];
    for (status, body, exit, told) in cases {
        let ran = run(&["cron", "get", "job-1"], vec![Answer::Json(status, body)]).await;
        assert_eq!((ran.exit, ran.err.as_str(), ran.out.as_str()), (exit, told, ""), "{status}");
    }
}

#[tokio::test]
async fn every_bad_field_is_told() {
    let fields = json!([
        {"code": "invalid_field", "field": "schedule", "message": "is missing"},
        {"code": "unknown_field", "field": "payload.mesage", "message": "is not known"},
    ]);
    let body = refusal("invalid_field", &json!({"field": "schedule", "fields": fields}));
    let ran = run(&["cron", "get", "job-1"], vec![Answer::Json(400, body)]).await;
    assert_eq!(ran.err, "error: schedule: is missing\nerror: payload.mesage: is not known\n");
}

#[tokio::test]
async fn an_error_is_json_where_json_was_asked_for() {
    let body = refusal("invalid_schedule", &json!({"field": "schedule.expr"}));
    let told = |out: &str| serde_json::from_str::<Value>(out).unwrap();
    let ran = run(&["cron", "get", "job-1", "--json"], vec![Answer::Json(400, body.clone())]).await;
    assert_eq!(told(&ran.out), json!({"ok": false, "error": body["error"], "exitCode": 3}));
    assert!(ran.err.starts_with("error: schedule.expr: "), "{}", ran.err);
    for line in [&["cron", "frobnicate", "--json"][..], &["cron", "runs", "--run-id", "m01", "--json"]] {
        let answer = told(&run(line, vec![]).await.out);
        assert_eq!((&answer["error"]["code"], &answer["exitCode"]), (&json!("usage"), &json!(2)), "{answer}");
    }
    // What was answered already stays the only document.
    let answer = json!({"ok": true, "removed": false});
    let ran = run(&["cron", "rm", "job-1", "--json"], vec![Answer::Json(200, answer.clone())]).await;
    assert_eq!((ran.exit, told(&ran.out)), (ExitCode::NotFound, answer));
}

#[tokio::test]
async fn something_else_behind_the_address_is_told_apart() {
    let ran = run(&["cron", "get", "job-1"], vec![Answer::Text(502, "<html>Bad Gateway</html>")]).await;
    assert_eq!(ran.exit, ExitCode::Unreachable);
    assert!(ran.err.contains("answered with status 502 and no JSON; is it a Nightshift?"), "{}", ran.err);
}

#[tokio::test]
async fn a_wrong_command_line_sends_nothing() {
    for line in
        [&["cron", "add", "tomorrow", "x"][..], &["cron", "add", "20m", "x", "--script", "f"], &["cron", "frobnicate"]]
    {
        let ran = run(line, vec![]).await;
        assert_eq!((ran.exit, ran.requests.len(), ran.out.as_str()), (ExitCode::Usage, 0, ""), "{line:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let ids = ["01KAHJ5Z3M7Q2W4E6R8T0YABCD", "01KAHJ5Z3M7Q2W4E6R8T0YABCE"];
    let pages = || {
        vec![
            Answer::Json(200, json!({"jobs": [job(ids[0])], "nextCursor": "c1"})),
            Answer::Json(200, json!({"jobs": [job(ids[1])], "nextCursor": null})),
        ]
    };
    let ran = run(&["cron", "list", "--all"], pages()).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].body, json!({"limit": 200, "includeDisabled": true}));
    assert_eq!(ran.requests[1].body, json!({"limit": 200, "includeDisabled": true, "cursor": "c1"}));
    assert!(ran.out.contains(ids[0]) && ran.out.contains(ids[1]), "{}", ran.out);
    let ran = run(&["cron", "list", "--json"], pages()).await;
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(printed, json!({"jobs": [job(ids[0]), job(ids[1])], "nextCursor": null}));
}

#[tokio::test]
async fn waiting_tells_each_event_once_and_ends_with_the_answer() {
    let events = json!([{"atMs": 1, "event": "queued"}, {"atMs": 2, "event": "submitted", "detail": "msgbatch_01"}]);
    let batch =
        json!({"attemptId": "a", "batchId": "msgbatch_01", "polls": 2, "nextPollAtMs": 300_000, "state": "open"});
    let mut all = events.clone();
    all.as_array_mut().unwrap().push(json!({"atMs": 3, "event": "done"}));
    let over = json!({"events": all, "text": "Nothing happened.\n", "deliveryStatus": "delivered",
        "completionStatus": "succeeded", "hops": hop(), "endedAtMs": 4});
    let answers = || {
        vec![
            enqueued(),
            Answer::Json(200, run_view("due", None, &json!({"events": [{"atMs": 1, "event": "queued"}]}))),
            Answer::Json(503, refusal("busy", &json!({}))),
            Answer::Json(200, run_view("submitted", None, &json!({"events": events, "batch": batch}))),
            Answer::Json(200, run_view("succeeded", Some("ok"), &over)),
        ]
    };
    let ran = run(&WAIT, answers()).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "mode": "force"}));
    assert_eq!(ran.out, "Nothing happened.\n");
    let told = "run job-1_m01KAHJ5Z3M7Q2W4E6R8\nqueued\nnote: it cannot be; still trying\nsubmitted msgbatch_01\n\
        poll 1, next at 00:05:00Z\ndone\nok · batch · 2m10s · delivery delivered · $0.0020, saved $0.0020 (50%)\n";
    assert_eq!(ran.err, told);
    let ran = run(&[&WAIT[..], &["--json"]].concat(), answers()).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["state"], "succeeded");
}

#[tokio::test]
async fn a_run_that_failed_and_a_wait_that_is_over_have_their_own_codes() {
    let failed = json!({"error": {"code": "batch_timeout", "message": "the batch did not end in time"},
        "completionStatus": "failed"});
    let ran = run(&WAIT, vec![enqueued(), Answer::Json(200, run_view("failed", Some("error"), &failed))]).await;
    assert_eq!(ran.exit, ExitCode::RunFailed);
    assert!(ran.err.ends_with("error: batch_timeout: the batch did not end in time\n"), "{}", ran.err);

    let undelivered = json!({"completionStatus": "failed", "deliveryStatus": "failed", "deliveryError": "chat not found",
        "text": "Nothing happened."});
    let ran =
        run(&WAIT, vec![enqueued(), Answer::Json(200, run_view("deliveryFailed", Some("ok"), &undelivered))]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::RunFailed, "Nothing happened.\n"));
    assert!(ran.err.ends_with("error: the answer was not delivered: chat not found\n"), "{}", ran.err);

    let line = [&WAIT[..], &["--wait-timeout", "0s"]].concat();
    let ran = run(&line, vec![enqueued(), Answer::Json(200, run_view("submitted", None, &json!({})))]).await;
    assert_eq!(ran.exit, ExitCode::WaitTimedOut);
    assert!(ran.err.contains("cron runs --run-id job-1_m01KAHJ5Z3M7Q2W4E6R8"), "{}", ran.err);
}

#[tokio::test]
async fn a_run_that_was_not_due_is_no_run() {
    let answer = json!({"ok": true, "enqueued": false, "reason": "not-due"});
    let ran = run(&["cron", "run", "job-1", "--due"], vec![Answer::Json(200, answer)]).await;
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "mode": "due"}));
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Refused, "error: no run was started: not due\n"));
}

#[tokio::test]
async fn rm_does_not_ask_a_script_and_tells_when_there_was_nothing() {
    let answer = |removed: bool| vec![Answer::Json(200, json!({"ok": true, "removed": removed}))];
    let ran = run(&["cron", "rm", "job-1", "--cancel-runs"], answer(true)).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "removed job-1\n"));
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "cancelRuns": true}));
    let ran = run(&["cron", "remove", "job-1"], answer(false)).await;
    assert_eq!(ran.exit, ExitCode::NotFound);
}

#[tokio::test]
async fn small_commands_send_what_they_should() {
    let ok = || {
        vec![Answer::Json(
            200,
            json!({"ok": true, "eventId": "e", "canceled": true, "runId": "r", "state": "canceled"}),
        )]
    };
    let status = || {
        vec![Answer::Json(
            200,
            json!({"enabled": true, "jobs": 2, "enabledJobs": 1, "runningTurns": 0, "nextWakeAtMs": null,
            "configRevision": 3, "counters": {"fallback.oauth": 4}, "nowMs": 0}),
        )]
    };
    let cases = [
        (
            vec!["cron", "enable", "j"],
            vec![Answer::Json(200, job("j"))],
            "/v1/cron.update",
            json!({"jobId": "j", "patch": {"enabled": true}}),
        ),
        (
            vec!["cron", "disable", "j"],
            vec![Answer::Json(200, job("j"))],
            "/v1/cron.update",
            json!({"jobId": "j", "patch": {"enabled": false}}),
        ),
        (
            vec!["cron", "edit", "j", "--agent", "ops"],
            vec![Answer::Json(200, job("j"))],
            "/v1/cron.update",
            json!({"jobId": "j", "patch": {"agentId": "ops"}}),
        ),
        (vec!["cron", "cancel", "j_1"], ok(), "/v1/cron.cancel", json!({"runId": "j_1"})),
        (vec!["cron", "status"], status(), "/v1/cron.status", json!({})),
        (
            vec!["system", "event", "--text", "-x"],
            ok(),
            "/v1/system.event",
            json!({"text": "-x", "mode": "next-heartbeat"}),
        ),
    ];
    for (line, answers, path, body) in cases {
        let ran = run(&line, answers).await;
        assert_eq!(ran.exit, ExitCode::Ok, "{line:?}: {}", ran.err);
        assert_eq!((ran.requests[0].path.as_str(), &ran.requests[0].body), (path, &body), "{line:?}");
    }
}

#[tokio::test]
async fn status_tells_jobs_from_turns_and_shows_what_was_counted() {
    let answer = json!({"enabled": true, "jobs": 12, "enabledJobs": 9, "runningTurns": 1, "nextWakeAtMs": null,
        "configRevision": 3, "counters": {"fallback.oauth": 4, "repaired.dead_lease": 2, "repaired.missed_fire": 1},
        "nowMs": 0});
    let ran = run(&["cron", "status"], vec![Answer::Json(200, answer)]).await;
    let words: Vec<String> =
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "timers run jobs",
        "jobs 12, 9 enabled",
        "turns 1 realtime in flight",
        "config revision 3",
        "repaired 3: 2 dead lease, 1 missed fire",
        "fallback.oauth 4",
    ];
    assert_eq!((ran.exit, words), (ExitCode::Ok, wanted.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn status_says_which_provider_is_stopped_since_when_and_until_when_and_exits_as_ever() {
    // The command asks the machine for the time: one stop is until the year 2100, the other is over.
    for (until, next) in [(4_102_444_800_000_u64, "nothing is sent before in "), (3_600_000, "the next run asks again")]
    {
        let stop = json!({"provider": "anthropic", "code": "spend_limit", "message": "HTTP 429", "sinceMs": 0,
            "untilMs": until});
        let answer = json!({"enabled": true, "jobs": 12, "enabledJobs": 9, "runningTurns": 1, "nextWakeAtMs": null,
            "configRevision": 3, "counters": {}, "stops": [stop], "nowMs": 0});
        let ran = run(&["cron", "status"], vec![Answer::Json(200, answer)]).await;
        let line = ran.out.lines().find(|line| line.starts_with("stopped")).unwrap_or_default().to_owned();
        assert!(line.contains("anthropic, spend_limit since ") && line.contains(next), "{}", ran.out);
        assert!(line.ends_with("(HTTP 429)") && ran.exit == ExitCode::Ok, "{line}");
    }
}

#[tokio::test]
async fn config_is_applied_from_a_file_at_the_revision_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, r#"{"cron": {"enabled": true}}"#).unwrap();
    let file = path.to_str().unwrap();
    let answers = vec![
        Answer::Json(200, json!({"revision": 7, "config": {}})),
        Answer::Json(200, json!({"ok": true, "revision": 8, "jobsMoved": 2})),
    ];
    let ran = run(&["config", "apply", file], answers).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "revision 8\n"), "{}", ran.err);
    assert_eq!(ran.requests[1].body, json!({"config": {"cron": {"enabled": true}}, "expectedRevision": 7}));
    std::fs::write(&path, "{").unwrap();
    let ran = run(&["config", "apply", file], vec![]).await;
    assert_eq!(ran.exit, ExitCode::Usage);
    let ran = run(&["config", "get"], vec![Answer::Json(200, json!({"revision": 7, "config": {"cron": {}}}))]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("{\n  \"cron\": {}\n}\n", "revision 7\n"));
}

#[tokio::test]
async fn a_message_can_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prompt.md");
    std::fs::write(&path, "First line.\nSecond line.\n").unwrap();
    let line = ["cron", "add", "20m", "--message-file", path.to_str().unwrap()];
    let ran = run(&line, vec![Answer::Json(200, job("job-1"))]).await;
    assert_eq!(ran.requests[0].body["payload"]["message"], "First line.\nSecond line.");
    let ran = run(&["cron", "add", "20m", "--message-file", "/nowhere/prompt.md"], vec![]).await;
    assert_eq!(ran.exit, ExitCode::Usage);
    assert!(ran.err.starts_with("error: failed to read /nowhere/prompt.md: "), "{}", ran.err);
}

#[tokio::test]
async fn completions_need_no_nightshift() {
    let ran = run(&["completions", "bash"], vec![]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Ok, 0));
    assert!(ran.out.contains("_nightshift"));
}
