//! How far a turn reaches: every tool of the product with every action, and texts too long for a row, once in each function
//! that takes turns. What a function may do on AWS is taken from what it was seen to do, so it has to be seen doing all of it.

use std::path::Path;

use serde_json::{Value, json};

use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::{Local, SWEEP_MINUTES};

/// Longer than what a row holds of a text (DESIGN §3: 32 KB).
const LONG: usize = 40_000;

fn call(n: usize, name: &str, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input })
}

/// A job that the turn finds there, or makes another of.
fn side() -> Value {
    json!({ "name": "Side", "schedule": { "kind": "every", "everyMs": 21_600_000 },
        "payload": { "kind": "agentTurn", "message": "On the side." }, "delivery": { "mode": "none" } })
}

/// A stack with a job called `side`.
async fn beside() -> Local {
    let local = Local::start().await;
    let mut job = side();
    job["jobId"] = json!("side");
    local.add(&job).await;
    local
}

/// One answer that asks for everything, in this order where the order counts.
fn everything(sends: bool) -> Vec<Value> {
    let note = "/memories/reach.md";
    let inputs = [
        ("memory", json!({ "command": "create", "path": note, "file_text": "x".repeat(20_000) })),
        ("memory", json!({ "command": "view", "path": note })),
        ("memory", json!({ "command": "delete", "path": note })),
        ("message", json!({ "text": "By the way.", "channel": "console", "to": "crew" })),
        ("cron", json!({ "action": "status" })),
        ("cron", json!({ "action": "add", "job": side() })),
        ("cron", json!({ "action": "list" })),
        ("cron", json!({ "action": "get", "jobId": "side" })),
        (
            "cron",
            json!({ "action": "update", "jobId": "side", "patch": { "schedule": { "kind": "every", "everyMs": 43_200_000 } } }),
        ),
        ("cron", json!({ "action": "run", "jobId": "side" })),
        ("cron", json!({ "action": "runs", "jobId": "side" })),
        ("cron", json!({ "action": "remove", "jobId": "side" })),
    ];
    // The main session's answers are announced, and who announces has the tool only by name.
    let offered = inputs.iter().filter(|(name, _)| sends || *name != "message");
    offered.enumerate().map(|(n, (name, input))| call(n, name, input)).collect()
}

fn script(trigger: &str, sends: bool) -> Value {
    json!({ "batchDurationMs": 30_000, "replies": [
        { "match": trigger, "times": 1, "content": everything(sends) },
        { "afterTool": "cron", "times": 1, "text": "word ".repeat(LONG / 5) },
        { "match": "*", "text": "Done." },
    ] })
}

/// What became of the calls: none was refused.
fn all_done(run: &Value, sends: bool) {
    let tools = run["tools"].as_array().unwrap_or_else(|| panic!("{run:#}"));
    assert_eq!(tools.len(), everything(sends).len(), "{run:#}");
    for tool in tools {
        assert_eq!(tool["state"], "ok", "{tool:#}");
    }
    assert_eq!((&run["status"], &run["deliveryStatus"]), (&json!("ok"), &json!("delivered")), "{run:#}");
}

#[tokio::test]
async fn a_turn_reaches_everything_in_realtime_in_a_batch_and_in_the_main_session() {
    for batch in [false, true] {
        let local = beside().await;
        local.script(script("Reach out.", true));
        // The job moves its own next run too.
        let job = json!({ "name": "Reach", "schedule": { "kind": "every", "everyMs": 21_600_000 },
            "sessionTarget": "session:reach", "delivery": { "mode": "announce" },
            "payload": { "kind": "agentTurn", "message": "Reach out.", "toolsAllow": ["*", "message"], "batch": { "enabled": batch } } });
        let id = local.add(&job).await;
        local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        local.advance(30).await;
        all_done(&local.last_run(&id).await, true);
        // The long answer is part of the session that the next turn reads.
        local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        local.advance(30).await;
        assert_eq!(local.last_run(&id).await["status"], "ok");
    }
    let local = beside().await;
    local.script(script("Look around.", false));
    for event in ["Look around.", "Again."] {
        local.ok("system.event", &json!({ "text": event, "mode": "now" })).await;
        local.advance(30).await;
        let last = local.ok("heartbeat.last", &json!({})).await["lastTurn"].clone();
        if event == "Look around." {
            let run = local.ok("cron.runGet", &json!({ "runId": last["runId"] })).await;
            all_done(&run, false);
        }
        assert_eq!(last["status"], "ok", "{last:#}");
    }
}

#[tokio::test]
async fn a_one_shot_that_fails_or_is_stopped_takes_its_timer_along_wherever_it_ends() {
    for (batch, refused) in [(false, true), (true, true), (true, false)] {
        let local = Local::start().await;
        let error = json!({ "type": "invalid_request_error", "message": "no" });
        let reply =
            if refused { json!({ "match": "*", "error": error }) } else { json!({ "match": "*", "text": "Late." }) };
        local.script(json!({ "batchDurationMs": 600_000, "replies": [reply] }));
        let job = json!({ "name": "Once", "schedule": { "kind": "at", "at": "2026-11-20T09:00:00Z" }, "delivery": { "mode": "none" },
            "payload": { "kind": "agentTurn", "message": "Once.", "batch": { "enabled": batch } } });
        let id = local.add(&job).await;
        let begun = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        local.advance(3).await;
        if !refused {
            local.ok("cron.cancel", &json!({ "runId": begun["runId"] })).await;
        }
        local.advance(30).await;
        let run = local.ok("cron.runGet", &json!({ "runId": begun["runId"] })).await;
        assert!(run["status"] == "error" || run["state"] == "canceled", "{run:#}");
        let held = local.stack.scheduler.schedules().iter().filter(|one| one.name.starts_with("j-")).count();
        assert_eq!(held, 0, "{batch} {refused}");
    }
}

#[tokio::test]
async fn a_one_shot_that_succeeds_before_its_time_takes_its_timer_along_wherever_it_ends() {
    // Ended by whoever took the turn, by the poll, and by whoever delivered.
    for (batch, mode) in [(false, "none"), (true, "none"), (false, "announce"), (true, "announce")] {
        let local = Local::start().await;
        local.script(json!({ "batchDurationMs": 600_000, "replies": [{ "match": "*", "text": "Early." }] }));
        let job = json!({ "name": "Once", "schedule": { "kind": "at", "at": "2026-11-20T09:00:00Z" }, "delivery": { "mode": mode },
            "deleteAfterRun": true, "payload": { "kind": "agentTurn", "message": "Once.", "batch": { "enabled": batch } } });
        let id = local.add(&job).await;
        let own = || local.stack.scheduler.schedules().iter().filter(|one| one.name.contains(&id)).count();
        assert_eq!(own(), 1);
        let begun = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        local.advance(30).await;
        let run = local.ok("cron.runGet", &json!({ "runId": begun["runId"] })).await;
        assert_eq!(run["state"], "succeeded", "{batch} {mode}: {run:#}");
        assert_eq!(local.call("cron.get", &json!({ "jobId": id })).await.status, 404, "{batch} {mode}");
        assert_eq!(own(), 0, "{batch} {mode}");
    }
}

#[tokio::test]
async fn a_main_session_that_has_become_long_drops_the_texts_that_its_summary_stands_for() {
    let local = Local::start().await;
    local.script(json!({ "models": [{ "id": "claude-sonnet-5-5", "maxInputTokens": 10_000 }], "replies": [
        { "match": "This conversation has become long", "text": "It was long." },
        { "match": "Look around.", "text": "word ".repeat(3_000) },
        { "match": "*", "text": "Done." },
    ] }));
    let mut kept = Vec::new();
    for event in ["Look around.", "Again."] {
        local.ok("system.event", &json!({ "text": event, "mode": "now" })).await;
        local.advance(5).await;
        let last = local.ok("heartbeat.last", &json!({})).await["lastTurn"].clone();
        assert_eq!(last["status"], "ok", "{last:#}");
        let of_sessions = local.dir.path().join("state/blobs/sessions");
        kept.push(files(&of_sessions));
    }
    assert_eq!((kept[0], kept[1]), (1, 0), "the long answer, and then nothing that is too long for a row");
}

/// How many files are below `folder`.
fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| entry.path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// Lets the next call of `function` fail, with the repeats of the SDK.
fn lose(local: &Local, function: &str) {
    local.stack.gate.set_faults(vec![Fault {
        service: Some("lambda".to_owned()),
        operation: Some(format!("Invoke {function}")),
        nth: 1,
        times: Some(6),
        when: When::Before,
        action: Action::Fail,
    }]);
}

#[tokio::test]
async fn who_makes_up_for_a_lost_call_calls_whoever_it_was_for() {
    let local = Local::start().await;
    // An answer that is to be looked at now wakes the main session, from where it was delivered.
    let job = json!({ "name": "Tell", "schedule": { "kind": "every", "everyMs": 21_600_000 }, "wakeMode": "now",
        "payload": { "kind": "agentTurn", "message": "Tell me." }, "delivery": { "mode": "announce" } });
    let id = local.add(&job).await;
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(2).await;
    let last = local.ok("heartbeat.last", &json!({})).await["lastTurn"].clone();
    assert_eq!(last["status"], "ok", "{last:#}");

    // One that was not called then is called by the second try, which finds the answer delivered.
    lose(&local, "heartbeat");
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.advance(5).await;
    let before = last;
    let last = local.ok("heartbeat.last", &json!({})).await["lastTurn"].clone();
    assert_eq!(last["status"], "ok", "{last:#}");
    assert_ne!(last["runId"], before["runId"]);

    // A heartbeat that was never called is called by the sweep.
    lose(&local, "heartbeat");
    let refused = local.call("system.event", &json!({ "text": "Look.", "mode": "now" })).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    local.advance(2 * SWEEP_MINUTES).await;
    let made_up = local.ok("heartbeat.last", &json!({})).await["lastTurn"].clone();
    assert_eq!(made_up["status"], "ok", "{made_up:#}");
    assert_ne!(made_up["runId"], last["runId"]);

    // An answer that nobody was called to deliver is delivered by the doctor.
    lose(&local, "deliver");
    let begun = local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    // Later than the lease of whoever was to hand it on, and before Lambda's last try.
    local.advance(2).await;
    let run = local.ok("cron.runGet", &json!({ "runId": begun["runId"] })).await;
    assert_eq!(run["state"], "delivering", "{run:#}");
    local.ok("cron.doctor", &json!({ "repair": true })).await;
    local.advance(1).await;
    let run = local.ok("cron.runGet", &json!({ "runId": begun["runId"] })).await;
    assert_eq!(run["deliveryStatus"], "delivered", "{run:#}");
}
