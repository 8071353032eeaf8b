//! The main session: reminders, its own cadence, hours, notes; and that no event is lost or seen twice.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_local::Options;
use nightshift_tests::local::{Local, SWEEP_MINUTES, batch_job};
use serde_json::{Value, json};

/// A one-shot that puts a text before the main session.
fn reminder(text: &str, at: &str, wake: &str) -> Value {
    json!({
        "name": text, "schedule": { "kind": "at", "at": at }, "sessionTarget": "main", "wakeMode": wake,
        "deleteAfterRun": true, "payload": { "kind": "systemEvent", "text": text },
    })
}

/// Reminders are passed on; everything else is well.
fn script() -> Value {
    json!({ "replies": [
        { "match": "call home", "text": "Don't forget to call home." },
        { "match": "water the plants", "text": "The plants are thirsty." },
        { "match": "What is new?", "text": "Nothing much." },
        { "match": "*", "text": "HEARTBEAT_OK" },
    ] })
}

/// What the model was asked last in each call, in order.
fn asked(local: &Local) -> Vec<String> {
    let last = |body: &Value| {
        let content = &body["messages"].as_array().unwrap().last().unwrap()["content"];
        let blocks = |blocks: &Vec<Value>| blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        content.as_str().map_or_else(|| content.as_array().map_or_else(String::new, blocks), str::to_owned)
    };
    let requests = local.fake().requests();
    let turns = requests.iter().filter(|request| request["method"] == "POST" && request["path"] == "/v1/messages");
    turns.map(|request| last(&request["body"])).collect()
}

fn seen(local: &Local, text: &str) -> usize {
    asked(local).iter().filter(|prompt| prompt.contains(text)).count()
}

async fn queued(local: &Local) -> Value {
    local.ok("heartbeat.last", &json!({})).await["queued"].clone()
}

/// Every run of the main agent's heartbeat, oldest first.
async fn beats(local: &Local) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = local.ok("cron.runs", &json!({ "jobId": "hb-main", "limit": 200, "cursor": cursor })).await;
        all.extend(page["runs"].as_array().unwrap().iter().cloned());
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            all.reverse();
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_that_wakes_the_session_is_delivered_at_its_minute_and_goes() {
    let local = Local::start().await;
    local.script(script());
    let id = local.add(&reminder("call home", "2026-11-20T06:20:00Z", "now")).await;
    local.advance(19).await;
    assert_eq!((local.delivered().len(), asked(&local).len()), (0, 0));
    local.advance(1).await;
    assert_eq!(local.delivered(), ["Don't forget to call home."]);
    let run = local.ok("cron.runGet", &json!({ "runId": format!("{id}_20261120T062000Z") })).await;
    assert_eq!((&run["state"], &run["status"]), (&json!("succeeded"), &json!("ok")), "{run:#}");
    assert_eq!(local.call("cron.get", &json!({ "jobId": id })).await.status, 404, "it had its run");
    assert_eq!((seen(&local, "call home"), queued(&local).await), (1, json!(0)));
    // From then on the session looks around by itself, and pays for nothing where there is nothing.
    local.advance(300).await;
    assert_eq!((asked(&local).len(), local.delivered().len()), (1, 1));
    let skipped: Vec<Value> = beats(&local).await.into_iter().filter(|run| run["status"] == "skipped").collect();
    assert_eq!(skipped.len(), 10, "twice an hour");
    assert!(skipped.iter().all(|run| run["error"]["code"] == "nothing_to_do"), "{skipped:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_run_stays_open_until_the_heartbeat_that_answers_it_is_done() {
    let local = Local::start().await;
    let slow = json!({ "on": "messages", "times": 1, "do": "delay", "delayMs": 240_000 });
    local.script(json!({ "faults": [slow], "replies": script()["replies"] }));
    let id = local.add(&reminder("call home", "2026-11-20T06:20:00Z", "now")).await;
    local.advance(22).await;
    let run = local.last_run(&id).await;
    assert_eq!(
        (&run["state"], &run["waitsFor"], &run["status"]),
        (&json!("waiting"), &json!("heartbeat"), &Value::Null)
    );
    local.advance(3).await;
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    assert_eq!(runs["runs"][0]["state"], "succeeded", "{runs:#}");
    assert_eq!(local.delivered().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_wake_waits_for_the_next_heartbeat_and_what_others_said_rides_along() {
    let local = Local::start().await;
    local.script(script());
    local.configure(&json!({ "agents": { "defaults": { "heartbeat": { "every": "1h" } } } })).await;
    let mut said = batch_job("What is new?");
    said["schedule"] = json!({ "kind": "at", "at": "2026-11-20T06:05:00Z" });
    said["payload"]["batch"] = json!({ "enabled": false });
    said["name"] = json!("News");
    local.add(&said).await;
    local.advance(119).await;
    assert_eq!(asked(&local).len(), 1, "what a job said is no reason for a turn");
    local.add(&reminder("water the plants", "2026-11-20T08:10:00Z", "next-heartbeat")).await;
    local.advance(20).await;
    assert_eq!((seen(&local, "water the plants"), queued(&local).await), (0, json!(2)));
    local.advance(45).await;
    assert_eq!((seen(&local, "water the plants"), seen(&local, "Cron: ")), (1, 1));
    assert_eq!(
        (local.delivered(), queued(&local).await),
        (["Nothing much.", "The plants are thirsty."].map(str::to_owned).to_vec(), json!(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_by_hand_wakes_or_waits_and_a_repeat_is_the_same_one() {
    let local = Local::start().await;
    local.script(script());
    for _ in 0..3 {
        let event = json!({ "text": "call home", "mode": "now" });
        assert_eq!(local.call_under("k1", "system.event", &event).await.status, 200);
        local.stack.settle().await;
    }
    assert_eq!((seen(&local, "call home"), local.delivered().len()), (1, 1));
    local.ok("system.event", &json!({ "text": "water the plants" })).await;
    assert_eq!(seen(&local, "water the plants"), 0);
    local.advance(31).await;
    assert_eq!((seen(&local, "water the plants"), local.delivered().len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_heartbeat_is_seen_and_run_but_not_changed_by_name() {
    let local = Local::start().await;
    local.script(script());
    local.configure(&json!({ "agents": { "entries": { "main": { "heartbeat": { "every": "30m" } } } } })).await;
    let jobs = local.ok("cron.list", &json!({})).await;
    assert_eq!(jobs["jobs"][0]["jobId"], "hb-main", "{jobs:#}");
    for (method, body) in [
        ("cron.update", json!({ "jobId": "hb-main", "patch": { "enabled": false } })),
        ("cron.remove", json!({ "jobId": "hb-main" })),
        ("cron.add", {
            let mut job = batch_job("x");
            job["jobId"] = json!("hb-main");
            job
        }),
    ] {
        let answer = local.call(method, &body).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!("reserved_job_id")), "{}", answer.body);
    }
    // Asked for by name it is a turn, also with nothing to do.
    local.ok("cron.run", &json!({ "jobId": "hb-main" })).await;
    local.stack.settle().await;
    assert_eq!((asked(&local).len(), local.delivered().len()), (1, 0));
    let run = local.last_run("hb-main").await;
    assert_eq!(
        (&run["deliveryStatus"], &run["deliverySuppressionReason"]),
        (&json!("suppressed"), &json!("heartbeat"))
    );
    // Off, on at another cadence, and gone with its agent.
    for (config, enabled, every) in [
        (json!({ "agents": { "entries": { "main": { "heartbeat": { "every": "0m" } } } } }), false, Value::Null),
        (json!({ "agents": { "entries": { "main": { "heartbeat": { "every": "2h" } } } } }), true, json!(7_200_000)),
        (json!({ "agents": { "entries": { "ops": { "default": true } } } }), false, Value::Null),
    ] {
        local.configure(&config).await;
        let shown = local.ok("heartbeat.last", &json!({ "agentId": "main" })).await;
        if shown["agentId"] == "main" {
            assert_eq!((&shown["enabled"], &shown["everyMs"]), (&json!(enabled), &every), "{shown:#}");
        }
        let job = local.ok("cron.get", &json!({ "jobId": "hb-main" })).await;
        assert_eq!(job["enabled"], enabled, "{config}");
    }
    let checkup = local.ok("cron.doctor", &json!({ "deep": true })).await;
    assert_eq!(checkup["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_kept_in_mind_by_every_heartbeat_and_the_session_remembers_what_was_said() {
    let local = Local::start().await;
    local.script(json!({ "replies": [
        { "match": "door", "times": 1, "text": "The door is open." }, { "match": "*", "text": "HEARTBEAT_OK" },
    ] }));
    let put = local.ok("heartbeat.notes", &json!({ "text": "- [ ]\n" })).await;
    assert_eq!((&put["changed"], &put["revision"]), (&json!(true), &json!(1)));
    local.advance(60).await;
    assert!(asked(&local).is_empty(), "a list without an item says nothing");
    local.ok("heartbeat.notes", &json!({ "text": "Is the door shut?", "expectedRevision": 1 })).await;
    assert_eq!(local.ok("heartbeat.notes", &json!({})).await["text"], "Is the door shut?");
    local.advance(90).await;
    assert_eq!((asked(&local).len(), local.delivered().len()), (3, 1));
    let session = local.ok("sessions.get", &json!({ "name": "main" })).await;
    let texts: Vec<&str> =
        session["history"].as_array().unwrap().iter().filter_map(|said| said["text"].as_str()).collect();
    assert_eq!(texts.len(), 2, "those where all was well are not kept: {texts:?}");
    assert!(texts[0].starts_with("[heartbeat Fri") && !texts[0].contains("door") && texts[1] == "The door is open.");
    let none = local.ok("heartbeat.notes", &json!({ "text": "" })).await;
    assert_eq!(none["bytes"], 0);
    local.advance(60).await;
    assert_eq!(asked(&local).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_heartbeat_has_no_history_and_an_event_may_choose_the_model() {
    let local = Local::start().await;
    local.script(json!({ "replies": [{ "match": "*", "text": "Noted." }] }));
    let beat = json!({ "isolatedSession": true, "lightContext": true, "target": "none", "model": "sonnet" });
    let main = json!({ "heartbeat": beat, "instructions": "You are a butler." });
    local.configure(&json!({ "agents": { "entries": { "main": main } } })).await;
    let mut job = reminder("first", "2026-11-20T06:05:00Z", "now");
    job["payload"]["model"] = json!("haiku");
    local.add(&job).await;
    local.add(&reminder("second", "2026-11-20T06:06:00Z", "now")).await;
    local.advance(10).await;
    let requests = local.fake().requests();
    let turns: Vec<&Value> =
        requests.iter().filter(|request| request["path"] == "/v1/messages").map(|request| &request["body"]).collect();
    let shape = |body: &Value| (body["messages"].as_array().unwrap().len(), body["model"].as_str().unwrap().to_owned());
    assert_eq!(turns.len(), 2);
    assert_eq!((shape(turns[0]).0, shape(turns[1]).0), (1, 1));
    assert!(shape(turns[0]).1.contains("haiku") && shape(turns[1]).1.contains("sonnet"), "{turns:#?}");
    assert!(!turns[0].to_string().contains("butler"));
    assert!(local.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_turns_fail_for_is_given_up_and_one_of_a_turn_that_was_not_paid_is_kept() {
    let local = Local::start().await;
    let refusal = json!({ "match": "poison", "text": "No.", "stopReason": "refusal" });
    local.script(json!({ "replies": [refusal, { "match": "*", "text": "HEARTBEAT_OK" }] }));
    let id = local.add(&reminder("poison", "2026-11-20T06:05:00Z", "now")).await;
    local.advance(24 * 60).await;
    assert_eq!(seen(&local, "poison"), 3);
    let run = local.last_run(&id).await;
    assert_eq!((&run["state"], &run["error"]["code"]), (&json!("failed"), &json!("heartbeat_failed")), "{run:#}");
    assert_eq!(queued(&local).await, 0);
    // The provider refuses the key for an hour: nothing is paid, and nothing is lost.
    let refused = json!({ "on": "messages", "times": 2, "do": "status", "status": 401 });
    local.script(json!({ "faults": [refused], "replies": script()["replies"] }));
    local.add(&reminder("call home", "2026-11-21T07:00:00Z", "now")).await;
    local.advance(5 * 60).await;
    assert_eq!(local.delivered().iter().filter(|text| text.contains("call home")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_that_is_stopped_while_it_waits_leaves_the_queue() {
    let local = Local::start().await;
    let slow = json!({ "on": "messages", "times": 1, "do": "delay", "delayMs": 300_000 });
    local.script(json!({ "faults": [slow], "replies": script()["replies"] }));
    local.add(&reminder("water the plants", "2026-11-20T06:05:00Z", "now")).await;
    let id = local.add(&reminder("call home", "2026-11-20T06:06:00Z", "now")).await;
    local.advance(8).await;
    let run = local.last_run(&id).await;
    assert_eq!(run["waitsFor"], "heartbeat", "{run:#}");
    local.ok("cron.cancel", &json!({ "runId": run["runId"] })).await;
    local.advance(60).await;
    assert_eq!((seen(&local, "call home"), queued(&local).await), (0, json!(0)));
    assert_eq!(local.delivered(), ["The plants are thirsty."]);
    assert_eq!(local.ok("cron.runGet", &json!({ "runId": run["runId"] })).await["state"], "canceled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_model_cannot_be_had_keeps_nobody_waiting() {
    let local = Local::start().await;
    local.script(json!({ "replies": [{ "match": "*", "text": "Noted." }] }));
    let mut job = reminder("first", "2026-11-20T06:05:00Z", "now");
    job["payload"]["model"] = json!("nowhere/best");
    let added = local.ok("cron.add", &job).await;
    assert!(added["notes"].to_string().contains("cannot be used"), "{added:#}");
    let id = local.add(&reminder("second", "2026-11-20T06:06:00Z", "now")).await;
    local.advance(10).await;
    assert_eq!((seen(&local, "first"), seen(&local, "second"), local.delivered().len()), (1, 1, 2));
    let beats = beats(&local).await;
    assert!(beats[0]["notes"].to_string().contains("nowhere/best"), "{:#}", beats[0]);
    assert_eq!(local.call("cron.get", &json!({ "jobId": id })).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wakes_at_once_pay_for_no_more_turns_than_see_something() {
    let local = Local::start().await;
    let slow = json!({ "on": "messages", "times": 1, "do": "delay", "delayMs": 60_000 });
    local.script(json!({ "faults": [slow], "replies": [{ "match": "*", "text": "Noted." }] }));
    local.ok("heartbeat.notes", &json!({ "text": "Is the door shut?" })).await;
    for n in 0..5 {
        local.ok("system.event", &json!({ "text": format!("event {n}"), "mode": "now" })).await;
    }
    local.advance(20).await;
    for n in 0..5 {
        assert_eq!(seen(&local, &format!("event {n}")), 1, "event {n}");
    }
    assert!(asked(&local).len() <= 2, "{:#?}", asked(&local));
    assert_eq!(beats(&local).await.len(), 5, "each has its record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_the_owner_goes_to_nobody_else() {
    let local = Local::start().await;
    local.script(script());
    let beat = json!({ "target": "owner" });
    local.configure(&json!({ "agents": { "entries": { "main": { "heartbeat": beat } } } })).await;
    let added = local.ok("cron.add", &reminder("call home", "2026-11-20T06:05:00Z", "now")).await;
    assert!(added["notes"].to_string().contains("defaultRoute is not configured"), "{added:#}");
    local.advance(20).await;
    let beats = beats(&local).await;
    assert_eq!(beats[0]["error"]["code"], "delivery_target", "{:#}", beats[0]);
    assert_eq!((asked(&local).len(), local.delivered().len()), (0, 0));
    let main = json!({ "heartbeat": beat, "defaultRoute": { "channel": "console", "to": "me" } });
    local.configure(&json!({ "agents": { "entries": { "main": main } } })).await;
    local.advance(90).await;
    assert_eq!((seen(&local, "call home"), local.delivered().len()), (1, 1), "it has waited for a place to go");
}

/// The week in which Vienna leaves summer time (2026-10-25, 03:00), with hours from 08:00 to 22:00 there, a
/// beat every hour, restarts, and events of both kinds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_with_a_change_of_clocks_hours_restarts_and_both_ways_to_wake() {
    let begin: DateTime<Utc> = "2026-10-22T00:00:00Z".parse().unwrap();
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let options = |at: DateTime<Utc>| Options::new(folder.path().join("state")).manual(at);
    let mut local = Local::with(options(begin), folder.clone()).await;
    local.script(json!({ "replies": [
        { "match": "wake", "text": "Woken for this." }, { "match": "wait", "text": "This has waited." },
        { "match": "*", "text": "All is well. HEARTBEAT_OK" },
    ] }));
    let hours = json!({ "start": "08:00", "end": "22:00" });
    let main = json!({ "heartbeat": { "every": "1h", "activeHours": hours }, "timezone": "Europe/Vienna" });
    local.configure(&json!({ "agents": { "entries": { "main": main } } })).await;
    local.ok("heartbeat.notes", &json!({ "text": "Is all well?" })).await;
    let mut events = BTreeMap::new();
    for day in 0..7_i64 {
        for (n, wake) in [(0, "now"), (1, "next-heartbeat")] {
            // One in the night, which the hours hold back unless it wakes, and one in the day.
            for minutes in [135, 815 + 7 * day] {
                let at = begin + TimeDelta::days(day) + TimeDelta::minutes(minutes + n);
                let text = format!("{} {day}-{minutes}.", if n == 0 { "wake" } else { "wait" });
                local.add(&reminder(&text, &at.to_rfc3339(), wake)).await;
                events.insert(text, (at, wake));
            }
        }
    }
    for day in 1..=7_i64 {
        let until = begin + TimeDelta::days(day);
        let stop = until - TimeDelta::hours(9) - TimeDelta::minutes(11);
        local.advance((stop - (until - TimeDelta::days(1))).num_minutes()).await;
        // Down for a quarter of an hour, as a machine that restarts.
        drop(local);
        local = Local::with(options(stop + TimeDelta::minutes(SWEEP_MINUTES)), folder.clone()).await;
        local.advance((until - stop).num_minutes() - SWEEP_MINUTES).await;
    }
    let zone: chrono_tz::Tz = "Europe/Vienna".parse().unwrap();
    let awake = |at: DateTime<Utc>| (8..22).contains(&chrono::Timelike::hour(&at.with_timezone(&zone)));
    let beats = beats(&local).await;
    let slot = |run: &Value| run["slot"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let scheduled: Vec<&Value> = beats.iter().filter(|run| run["origin"] == "schedule").collect();
    assert_eq!(scheduled.len(), 7 * 24, "every occurrence has its record");
    for run in &scheduled {
        let reason = run["error"]["code"].as_str();
        if awake(slot(run)) {
            assert!(run["status"] == "ok" || reason == Some("missed"), "{run:#}");
        } else {
            assert!(matches!(reason, Some("quiet_hours" | "missed")), "{run:#}");
        }
    }
    let missed = scheduled.iter().filter(|run| run["error"]["code"] == "missed").count();
    assert!(missed <= 7, "{missed} for seven restarts");
    let asked = asked(&local);
    for (text, (at, wake)) in &events {
        assert_eq!(asked.iter().filter(|prompt| prompt.contains(text.as_str())).count(), 1, "{text} at {at} {wake}");
    }
    let delivered = local.delivered();
    assert_eq!(delivered.iter().filter(|text| text.contains("Woken")).count(), 14, "{delivered:#?}");
    let waited = delivered.iter().filter(|text| text.contains("waited")).count();
    assert!((7..=14).contains(&waited) && delivered.len() == 14 + waited, "{delivered:#?}");
    assert_eq!(queued(&local).await, 0);
}
