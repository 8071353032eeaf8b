//! Runs of `session:<name>` go on where the one before ended, one at a time.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use futures::{StreamExt, stream};
use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// A job of session `standup` at these minutes past seven, in realtime.
fn job(message: &str, minutes: &str) -> Value {
    let mut job = batch_job(message);
    job["name"] = json!(message);
    job["sessionTarget"] = json!("session:standup");
    job["schedule"] = json!({ "kind": "cron", "expr": format!("{minutes} 7 * * *"), "tz": "UTC", "staggerMs": 0 });
    job["payload"]["batch"] = json!({ "enabled": false });
    job
}

/// The same through batches.
fn batched(message: &str, minutes: &str) -> Value {
    let mut job = job(message, minutes);
    job["payload"]["batch"] = json!({ "enabled": true });
    job
}

/// A stack where a turn takes two minutes, and the fake's other answers as given.
async fn slow(replies: Value) -> Local {
    let local = Local::start().await;
    let slow = json!({ "on": "messages", "times": 1000, "do": "delay", "delayMs": 120_000 });
    local.script(json!({ "batchDurationMs": 60_000, "faults": [slow], "replies": replies }));
    local
}

/// A stack that answers at once.
async fn quick(replies: Value) -> Local {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000, "replies": replies }));
    local
}

/// A model with so little room that a history is long soon.
fn small_model() -> Value {
    json!([{ "id": "claude-sonnet-5-5", "maxInputTokens": 10_000 }])
}

/// The messages of every model call, in order: realtime ones and rows of batches.
fn asked(local: &Local) -> Vec<Vec<(String, String)>> {
    let mut asked = Vec::new();
    for request in local.fake().requests().iter().filter(|request| request["method"] == "POST") {
        let body = &request["body"];
        match request["path"].as_str() {
            Some("/v1/messages") => asked.push(messages(body)),
            Some("/v1/messages/batches") => {
                asked.extend(body["requests"].as_array().unwrap().iter().map(|row| messages(&row["params"])));
            }
            Some(_) | None => {}
        }
    }
    asked
}

fn messages(body: &Value) -> Vec<(String, String)> {
    let of_blocks = |blocks: &Value| {
        blocks.as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect::<String>()
    };
    let text = |content: &Value| content.as_str().map_or_else(|| of_blocks(content), str::to_owned);
    let messages = body["messages"].as_array().unwrap();
    messages.iter().map(|one| (one["role"].as_str().unwrap().to_owned(), text(&one["content"]))).collect()
}

/// The history of the session.
async fn history(local: &Local) -> Vec<String> {
    let answer = local.call("sessions.get", &json!({ "name": "standup" })).await;
    let history = answer.body["history"].as_array().cloned().unwrap_or_default();
    history.iter().map(|said| said["text"].as_str().unwrap().to_owned()).collect()
}

async fn session(local: &Local) -> Value {
    local.ok("sessions.get", &json!({ "name": "standup" })).await
}

async fn runs(local: &Local, state: &str) -> usize {
    let runs = local.ok("cron.runs", &json!({ "limit": 200 })).await;
    runs["runs"].as_array().unwrap().iter().filter(|run| run["state"] == state).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_sees_what_the_runs_before_it_said_and_others_do_not() {
    let replies = json!([{ "match": "First", "text": "Noted: one." }, { "match": "Second", "text": "Noted: two." }]);
    for add in [job, batched] {
        let local = quick(replies.clone()).await;
        let first = local.add(&add("First", "0")).await;
        let second = local.add(&add("Second", "20")).await;
        let mut apart = add("Apart", "40");
        apart["sessionTarget"] = json!("isolated");
        local.add(&apart).await;
        local.advance(120).await;
        let asked = asked(&local);
        assert_eq!(asked.len(), 3, "{asked:#?}");
        let prompt = |id: &str, text: &str| ("user".to_owned(), format!("[cron:{id} {text}] {text}"));
        let said = ("assistant".to_owned(), "Noted: one.".to_owned());
        assert_eq!(asked[0], [prompt(&first, "First")]);
        assert_eq!(asked[1], [prompt(&first, "First"), said, prompt(&second, "Second")]);
        assert_eq!(asked[2].len(), 1, "an isolated run has no history");
        assert_eq!(history(&local).await.len(), 4);
        let run = local.last_run(&second).await;
        assert_eq!((&run["session"], &run["state"]), (&json!("standup"), &json!("succeeded")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_session_never_interleave_also_across_jobs_and_paths() {
    let local = slow(json!([])).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(local.add(&job(&format!("Realtime {n}"), "0")).await);
        ids.push(local.add(&batched(&format!("Batched {n}"), "0")).await);
    }
    local.advance(60).await;
    for minute in 0..60 {
        let listed = local.ok("cron.runs", &json!({ "limit": 200 })).await;
        let at_work =
            |run: &&Value| matches!(run["state"].as_str(), Some("running" | "ready" | "submitting" | "submitted"));
        let working = listed["runs"].as_array().unwrap().iter().filter(at_work).count();
        assert!(working <= 1, "minute {minute}: {working} runs of the session are at work");
        if let Some(run) = listed["runs"].as_array().unwrap().iter().find(|run| run["state"] == "waiting") {
            assert_eq!(run["waitsFor"], "session");
        }
        local.advance(1).await;
    }
    assert_eq!((runs(&local, "succeeded").await, local.delivered().len()), (6, 6));
    let lengths: Vec<usize> = asked(&local).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 3, 5, 7, 9, 11], "each sees the whole of those before");
    let session = session(&local).await;
    assert_eq!((&session["heldBy"], &session["waiting"], &session["messages"]), (&Value::Null, &json!(0), &json!(12)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sessions_and_agents_do_not_wait() {
    let local = slow(json!([])).await;
    let config = json!({ "agents": { "entries": { "main": {}, "ops": {} } } });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    local.add(&job("One", "0")).await;
    let mut other = job("Other", "0");
    other["sessionTarget"] = json!("session:retro");
    local.add(&other).await;
    let mut ops = job("Ops", "0");
    ops["agentId"] = json!("ops");
    local.add(&ops).await;
    local.advance(61).await;
    assert_eq!((runs(&local, "running").await, runs(&local, "waiting").await), (3, 0));
    local.advance(5).await;
    let list = local.ok("sessions.list", &json!({})).await;
    let names: Vec<&Value> = list["sessions"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["retro", "standup"]);
    assert_eq!(local.ok("sessions.list", &json!({ "agentId": "ops" })).await["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_failed_or_was_canceled_leaves_nothing_and_the_next_goes_on() {
    let refused = json!([{ "match": "Refused", "content": [], "stopReason": "refusal" }]);
    let local = slow(refused).await;
    local.add(&job("Refused", "0")).await;
    let canceled = local.add(&job("Canceled", "10")).await;
    let after = local.add(&job("After", "11")).await;
    local.advance(70).await;
    local.advance(1).await;
    assert_eq!(local.last_run(&after).await["waitsFor"], "session");
    let run = local.last_run(&canceled).await["runId"].clone();
    local.ok("cron.cancel", &json!({ "runId": run })).await;
    local.advance(20).await;
    assert_eq!(local.last_run(&after).await["state"], "succeeded");
    let history = history(&local).await;
    assert_eq!(history.len(), 2, "{history:?}");
    assert!(history[0].contains("After"));
    assert_eq!(asked(&local).last().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_run_that_is_canceled_or_whose_job_goes_leaves_the_line() {
    let local = slow(json!([])).await;
    local.add(&job("Holder", "0")).await;
    local.advance(61).await;
    let mut waiting = Vec::new();
    for name in ["Canceled", "Removed", "Last"] {
        let id = local.add(&job(name, "50")).await;
        local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        waiting.push(id);
    }
    local.stack.settle().await;
    assert_eq!(session(&local).await["waiting"], 3);
    let canceled = local.last_run(&waiting[0]).await["runId"].clone();
    assert_eq!(local.ok("cron.cancel", &json!({ "runId": canceled })).await["state"], "canceled");
    let removed = local.last_run(&waiting[1]).await["runId"].clone();
    local.ok("cron.remove", &json!({ "jobId": waiting[1] })).await;
    local.advance(15).await;
    let run = local.ok("cron.runGet", &json!({ "runId": removed })).await;
    assert_eq!((&run["state"], &run["error"]["code"]), (&json!("skipped"), &json!("job_removed")));
    assert_eq!(local.last_run(&waiting[2]).await["state"], "succeeded");
    let session = session(&local).await;
    assert_eq!((&session["heldBy"], &session["waiting"]), (&Value::Null, &json!(0)));
    assert_eq!(history(&local).await.len(), 4, "the holder's and the last one's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_has_its_session_may_wait_for_a_place_and_nobody_waits_for_ever() {
    let local = slow(json!([])).await;
    let config = json!({ "cron": { "maxConcurrentRuns": 1 } });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    for n in 0..3 {
        local.add(&job(&format!("Session {n}"), "0")).await;
        let mut apart = job(&format!("Apart {n}"), "0");
        apart["sessionTarget"] = json!("isolated");
        local.add(&apart).await;
    }
    local.advance(60 + 40).await;
    assert_eq!((runs(&local, "succeeded").await, local.delivered().len()), (6, 6));
    assert_eq!(history(&local).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_wake_is_made_up_for() {
    let local = slow(json!([])).await;
    for n in 0..3 {
        local.add(&job(&format!("Job {n}"), "0")).await;
    }
    local.advance(61).await;
    local.lose_wakes();
    local.advance(90).await;
    assert_eq!((runs(&local, "succeeded").await, local.delivered().len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_is_summarised_by_a_hop_of_its_own_in_both_paths() {
    for add in [job, batched] {
        let long = "word ".repeat(3_000);
        let replies = json!([
            { "match": "This conversation has become long", "text": "SUMMARY: it was long." },
            { "match": "Long", "text": long },
        ]);
        let local = quick(replies).await;
        local.script(json!({
            "batchDurationMs": 60_000, "models": small_model(),
            "replies": [
                { "match": "This conversation has become long", "text": "SUMMARY: it was long." },
                { "match": "Long", "text": long },
            ],
        }));
        local.add(&add("Long", "0")).await;
        let short = local.add(&add("Short", "20")).await;
        let next = local.add(&add("Next", "50")).await;
        local.advance(150).await;
        let asked = asked(&local);
        assert_eq!(asked.len(), 4, "{asked:#?}");
        assert_eq!(asked[1].len(), 3);
        assert!(asked[1][2].1.starts_with("This conversation has become long"));
        let roles: Vec<&str> = asked[2].iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, ["user", "user"]);
        assert!(asked[2][0].1.ends_with("\n\nSUMMARY: it was long."), "{:?}", asked[2]);
        assert!(asked[2][1].1.ends_with("] Short"));
        assert_eq!(asked[3].len(), 4, "summary, the short exchange, the prompt: {:#?}", asked[3]);
        let run = local.last_run(&short).await;
        let compaction: Vec<&Value> = run["hops"].as_array().unwrap().iter().map(|hop| &hop["compaction"]).collect();
        assert_eq!(compaction, [&json!(true), &Value::Null], "{run:#}");
        assert_eq!(run["hops"][1]["n"], 2);
        assert_eq!((&run["state"], &run["notes"]), (&json!("succeeded"), &json!([])));
        assert!(!run["text"].as_str().unwrap().contains("SUMMARY"));
        assert_eq!(local.last_run(&next).await["hops"].as_array().unwrap().len(), 1);
        let session = session(&local).await;
        assert_eq!((&session["summarised"], &session["messages"]), (&json!(true), &json!(5)));
        assert!(local.delivered().iter().all(|text| !text.contains("SUMMARY")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_the_model_refuses_costs_the_oldest_messages_and_not_the_run() {
    for add in [job, batched] {
        let local = Local::start().await;
        local.script(json!({
            "batchDurationMs": 60_000, "models": small_model(),
            "replies": [
                { "match": "This conversation has become long", "content": [], "stopReason": "refusal" },
                { "match": "Long", "text": "word ".repeat(3_000) },
            ],
        }));
        local.add(&add("Long", "0")).await;
        let short = local.add(&add("Short", "20")).await;
        local.advance(120).await;
        let run = local.last_run(&short).await;
        assert_eq!(run["state"], "succeeded", "{run:#}");
        assert!(run["notes"][0].as_str().unwrap().contains("2 oldest messages were dropped"), "{run:#}");
        assert_eq!(asked(&local).last().unwrap().len(), 1);
        let history = history(&local).await;
        assert_eq!(history.len(), 2, "{history:?}");
        assert!(history[0].ends_with("] Short"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_texts_of_all_hops_are_kept_and_its_tools_only_by_name() {
    let asks = json!([
        { "type": "thinking", "thinking": "Hmm.", "signature": "s" },
        { "type": "text", "text": "I look." },
        { "type": "tool_use", "name": "memory", "input": { "secret": 7 } },
    ]);
    let replies = json!([
        { "match": "] Tooled", "times": 1, "content": asks },
        { "match": "*", "times": 1, "text": "It is so." },
        { "match": "] Later", "text": "Good." },
    ]);
    let local = quick(replies).await;
    local.add(&job("Tooled", "0")).await;
    local.add(&job("Later", "20")).await;
    local.advance(120).await;
    assert_eq!(history(&local).await[1], "I look.\n\nIt is so.\n\n[tools used: memory]");
    let last = local.fake().requests().into_iter().rfind(|request| request["path"] == "/v1/messages").unwrap();
    let sent = last["body"]["messages"].to_string();
    assert!(!sent.contains("thinking") && !sent.contains("secret"), "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_of_a_session_are_blobs_that_go_with_it() {
    let local = quick(json!([{ "match": "Long", "text": "answer ".repeat(1_000) }])).await;
    local.add(&job("Long", "0")).await;
    local.add(&job("Short", "20")).await;
    local.advance(120).await;
    assert!(asked(&local)[1][1].1.starts_with("answer answer"), "the next run sees the whole of it");
    assert_eq!(asked(&local)[1][1].1.len(), 7_000 - 1);
    let blobs = || {
        let kept = walk(&local.dir.path().join("state"));
        kept.into_iter().filter(|path| path.contains("/sessions/")).collect::<Vec<_>>()
    };
    assert_eq!(blobs().len(), 1, "{:?}", blobs());
    local.ok("sessions.remove", &json!({ "name": "standup" })).await;
    assert_eq!(blobs(), [""; 0]);
    assert_eq!(local.call("sessions.get", &json!({ "name": "standup" })).await.status, 404);
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_use_is_not_removed() {
    let local = slow(json!([])).await;
    local.add(&job("Busy", "0")).await;
    local.advance(61).await;
    let refused = local.call("sessions.remove", &json!({ "name": "standup" })).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (409, &json!("session_busy")));
    local.advance(5).await;
    assert_eq!(history(&local).await.len(), 2);
    local.ok("sessions.remove", &json!({ "name": "standup" })).await;
}

/// Two runs of a session, of two jobs, of which the second finds a history that is long by then, with the table's
/// transactions from the `n`-th on broken; answers how many there were.
async fn broken(fault: Fault) -> u64 {
    let local = Local::start().await;
    local.script(json!({
        "batchDurationMs": 60_000, "models": small_model(),
        "replies": [
            { "match": "This conversation has become long", "text": "SUMMARY." },
            { "match": "*", "times": 1, "text": "word ".repeat(3_000) },
        ],
    }));
    local.advance(1).await;
    let mut ids = Vec::new();
    for name in ["One", "Other"] {
        let mut job = batched(name, "5");
        job["schedule"]["expr"] = json!("5 6 * * *");
        ids.push(local.add(&job).await);
    }
    let context = format!("{fault:?}");
    let writes = |from| local.stack.gate.calls(from).iter().filter(|call| call.operation == TRANSACTION).count() as u64;
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(20).await;
    let calls = writes(before);
    local.advance_past(&ids.iter().map(|id| format!("{id}_20261120T060500Z")).collect::<Vec<_>>(), 4 * 60).await;
    for id in &ids {
        let run = local.last_run(id).await;
        assert_eq!(run["status"], "ok", "{context}: {run:#}");
    }
    assert_eq!(local.fake().batches().len(), 3, "{context}");
    assert_eq!(local.delivered().len(), 2, "{context}");
    let lengths: Vec<usize> = asked(&local).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 3, 2], "{context}: the first, its summary, and the second with it");
    let session = session(&local).await;
    assert_eq!((&session["heldBy"], &session["waiting"]), (&Value::Null, &json!(0)), "{context}: {session:#}");
    assert_eq!(session["history"].as_array().unwrap().len(), 3, "{context}: {session:#}");
    calls
}

/// How many stacks run at once: they mostly wait for the SDK's own pauses between its attempts.
const AT_ONCE: usize = 6;

/// Every change of a session is one.
const TRANSACTION: &str = "TransactWriteItems";

/// Breaks each of them in turn, for longer than the SDK tries, so that the function itself fails there.
async fn every_transaction(when: When) {
    let fault = |n| {
        let (service, operation) = (Some("dynamodb".to_owned()), Some(TRANSACTION.to_owned()));
        Fault { service, operation, nth: n, times: Some(5), when, action: Action::Fail }
    };
    let calls = broken(fault(u64::MAX)).await;
    assert!(calls > 15, "only {calls} transactions were seen");
    stream::iter(1..=calls).map(|n| broken(fault(n))).buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_that_fails_before_it_takes_effect_leaves_a_session_held_or_a_turn_out_of_it() {
    every_transaction(When::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_whose_answer_is_lost_leaves_a_session_held_or_a_turn_in_it_twice() {
    every_transaction(When::After).await;
}
