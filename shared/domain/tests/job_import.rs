//! Jobs and runs from elsewhere: what is carried, what is named as left behind, and what is refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use chrono::{DateTime, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::job::import::{Incoming, PastRun, read_job, read_run};
use nightshift_domain::job::{
    Defaults, DeliveryMode, DeliveryStatus, Job, Payload, RunStatus, SessionTarget, WakeMode,
};
use nightshift_domain::run::{Origin, State};
use nightshift_domain::schedule::Schedule;
use serde_json::{Value, json};

fn now() -> DateTime<Utc> {
    "2026-11-20T06:00:00Z".parse().unwrap()
}

fn read_at(input: &Value, now: DateTime<Utc>) -> Incoming {
    read_job(input, &Defaults { config: &Config::default(), now, local: false })
}

fn read(input: &Value) -> Incoming {
    read_at(input, now())
}

fn job(incoming: &Incoming) -> &Job {
    incoming.job.as_ref().unwrap_or_else(|faults| panic!("refused: {faults:?}"))
}

fn dropped(incoming: &Incoming) -> Vec<&str> {
    incoming.dropped.iter().map(|dropped| dropped.field.as_str()).collect()
}

fn faults(incoming: &Incoming) -> Vec<(&str, &str)> {
    let faults = incoming.job.as_ref().unwrap_err();
    faults.iter().map(|fault| (fault.field.as_str(), fault.code.as_str())).collect()
}

/// The jobs of the sample store.
fn store() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../../tests/data/openclaw/cron/jobs.json")).unwrap();
    file["jobs"].as_array().unwrap().clone()
}

fn sample(name: &str) -> Incoming {
    read(store().iter().find(|job| job["name"] == name).unwrap())
}

fn turn(extra: &Value) -> Value {
    let mut job = json!({ "id": "j-1", "name": "J", "enabled": true, "createdAtMs": 1_770_000_000_000_i64,
        "updatedAtMs": 1_780_000_000_000_i64, "schedule": { "kind": "cron", "expr": "30 7 * * *", "tz": "UTC" },
        "sessionTarget": "isolated", "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "Do it." },
        "delivery": { "mode": "none" } });
    for (name, value) in extra.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

/// Every job of the sample store: whether it is carried, what stays behind, and whether it is on.
#[test]
fn the_sample_store_is_carried_as_this_table_says() {
    let table: [(&str, Option<bool>, &[&str]); 15] = [
        ("Morning brief", Some(true), &[]),
        ("Ops sweep", Some(true), &[]),
        ("Water the plants", Some(true), &[]),
        ("Christmas", Some(true), &[]),
        ("Dentist (the machine was off)", Some(false), &[]),
        ("Tax letter", Some(false), &[]),
        ("Deploy digest", Some(true), &[]),
        ("Flaky scraper", Some(false), &["state.lastErrorReason"]),
        ("Back up the notes", None, &[]),
        ("After the build", None, &[]),
        ("Legacy digest", Some(true), &["isolation"]),
        ("Nightly tools", Some(true), &["payload.allowUnsafeExternalContent", "payload.timeoutSeconds"]),
        (
            "Weekly report",
            Some(true),
            &[
                "displayName",
                "owner",
                "sessionKey",
                "configRevision",
                "pacing",
                "delivery.completionDestination",
                "state.runningAtMs",
                "state.lastDeliveryError",
                "state.lastDiagnostics",
            ],
        ),
        ("Inbox, when there is mail", Some(false), &["trigger"]),
        ("Ticker", None, &[]),
    ];
    assert_eq!(store().len(), table.len());
    for (name, enabled, left) in table {
        let incoming = sample(name);
        assert_eq!(incoming.job.as_ref().ok().map(|job| job.enabled), enabled, "{name}: {:?}", incoming.job);
        assert_eq!(dropped(&incoming), left, "{name}");
        assert_eq!(incoming.name, name);
        assert!(incoming.dropped.iter().all(|dropped| !dropped.reason.is_empty()), "{name}");
    }
}

#[test]
fn a_job_is_carried_with_its_definition_its_times_and_how_it_fared() {
    let incoming = sample("Morning brief");
    let job = job(&incoming);
    assert_eq!(incoming.source_id.as_deref(), Some(job.job_id.as_str()));
    assert_eq!((job.agent_id.as_deref(), job.description.as_deref()), (Some("main"), Some("What happened over night")));
    assert_eq!((job.created_at_ms, job.updated_at_ms), (1_770_000_000_000, 1_780_000_000_000));
    assert_eq!(job.wake_mode, WakeMode::NextHeartbeat);
    let Payload::AgentTurn(turn) = &job.payload else { panic!("{job:?}") };
    assert_eq!((turn.message.as_str(), turn.model.as_deref()), ("Summarize overnight updates.", Some("opus")));
    let delivery = job.delivery.as_ref().unwrap();
    assert_eq!((delivery.mode, delivery.to.as_deref()), (DeliveryMode::Announce, Some("channel:C1234567890")));
    assert!(delivery.best_effort);
    let state = &job.state;
    assert_eq!((state.last_run_at_ms, state.last_status), (Some(1_795_069_800_000), Some(RunStatus::Ok)));
    assert_eq!((state.last_duration_ms, state.next_run_at_ms), (Some(41_200), None));

    let incoming = sample("Ops sweep");
    let state = &self::job(&incoming).state;
    assert_eq!((state.last_status, state.consecutive_errors), (Some(RunStatus::Error), 3));
    assert_eq!(state.last_error.as_deref(), Some("429 rate limit reached"));
    let off = sample("Flaky scraper");
    let disabled = self::job(&off).state.auto_disabled.clone().unwrap();
    assert_eq!((disabled.reason.as_str(), disabled.consecutive_errors), ("consecutive-failures", 10));
}

#[test]
fn an_interval_keeps_its_grid() {
    let grid = |incoming: &Incoming| match &job(incoming).schedule {
        Schedule::Every { every_ms, anchor_ms } => (*every_ms, *anchor_ms),
        other @ (Schedule::At { .. } | Schedule::Cron { .. }) => panic!("{other:?}"),
    };
    assert_eq!(grid(&sample("Ops sweep")), (7_200_000, 1_770_001_800_000));
    // Where it says nothing, it began when it was made.
    assert_eq!(grid(&sample("Inbox, when there is mail")), (600_000, 1_785_000_000_000));
}

#[test]
fn older_spellings_mean_what_they_meant() {
    let incoming = sample("Legacy digest");
    assert!(incoming.wake_assumed);
    let job = job(&incoming);
    assert_eq!((job.job_id.as_str(), job.wake_mode), ("legacy-digest", WakeMode::Now));
    assert_eq!(
        serde_json::to_value(&job.schedule).unwrap(),
        json!({ "kind": "cron", "expr": "45 21 * * *", "tz": "UTC" })
    );
    let delivery = job.delivery.as_ref().unwrap();
    assert_eq!((delivery.channel.as_deref(), delivery.to.as_deref()), (Some("telegram"), Some("-1009876543210")));
    assert!(delivery.best_effort);
    let old_at = read(&turn(&json!({ "schedule": { "atMs": 1_798_131_600_000_i64 } })));
    assert!(matches!(&self::job(&old_at).schedule, Schedule::At { at, .. } if at == "2026-12-24T17:00:00.000Z"));
}

#[test]
fn a_time_that_is_over_comes_switched_off_and_is_never_fired() {
    let never = sample("Dentist (the machine was off)");
    assert!(matches!(&job(&never).schedule, Schedule::At { at, .. } if at == "2026-10-05T08:00:00.000Z"));
    assert!(never.notes.iter().any(|note| note.contains("will not run")), "{:?}", never.notes);
    let ran = sample("Tax letter");
    assert!(matches!(&job(&ran).schedule, Schedule::At { at, .. } if at == "2026-07-01T07:00:00.000Z"));
    assert_eq!(ran.notes, Vec::<String>::new());

    for (seconds, enabled) in [(59, true), (60, true), (61, false)] {
        let at = now() - chrono::TimeDelta::seconds(seconds);
        let incoming = read(&turn(&json!({ "schedule": { "kind": "at", "at": at.to_rfc3339() } })));
        assert_eq!(job(&incoming).enabled, enabled, "{seconds} s ago");
    }
}

#[test]
fn what_cannot_be_run_here_is_refused_with_a_sentence() {
    let program = sample("Back up the notes");
    assert_eq!(faults(&program), [("payload.kind", "not_available")]);
    assert!(program.job.unwrap_err()[0].message.starts_with("a command payload runs a program on the machine"));
    assert_eq!(faults(&sample("After the build")), [("schedule.kind", "not_available")]);
    assert_eq!(faults(&sample("Ticker")), [("schedule.everyMs", "invalid_schedule")]);
    let cases = [
        (json!({ "payload": { "kind": "script", "code": "x" } }), "payload.kind"),
        (json!({ "schedule": { "kind": "stream", "command": "tail -f log" } }), "schedule.kind"),
        (json!({ "schedule": { "kind": "lunar" } }), "schedule.kind"),
        (json!({ "schedule": { "kind": "cron", "expr": "0 0 30 2 *", "tz": "UTC" } }), "schedule.expr"),
        (json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "Mars/Phobos" } }), "schedule.tz"),
        (json!({ "sessionTarget": "main" }), "payload.kind"),
        (json!({ "payload": { "kind": "agentTurn", "message": " " } }), "payload.message"),
        (json!({ "delivery": { "mode": "webhook" } }), "delivery.to"),
        // Leaving this out would allow every tool.
        (json!({ "payload": { "kind": "agentTurn", "message": "x", "toolsAllow": "exec" } }), "payload.toolsAllow"),
    ];
    for (change, field) in cases {
        let incoming = read(&turn(&change));
        assert_eq!(faults(&incoming).first().map(|(field, _)| *field), Some(field), "{change}");
    }
    for input in [json!(7), json!([]), json!("job")] {
        assert!(read(&input).job.is_err(), "{input}");
    }
}

#[test]
fn several_things_wrong_are_all_told() {
    let both = turn(&json!({ "schedule": { "kind": "on-exit" }, "payload": { "kind": "command", "argv": ["x"] } }));
    assert_eq!(faults(&read(&both)), [("schedule.kind", "not_available"), ("payload.kind", "not_available")]);
}

#[test]
fn a_job_with_a_condition_comes_switched_off() {
    let incoming = sample("Inbox, when there is mail");
    assert!(!job(&incoming).enabled);
    assert!(incoming.notes.iter().any(|note| note.contains("only when its trigger said so")), "{:?}", incoming.notes);
    assert_eq!(job(&incoming).session_target, SessionTarget::Isolated);
}

#[test]
fn fields_that_say_nothing_are_not_reported_as_lost() {
    let incoming = read(&turn(&json!({ "sessionKey": null, "pacing": {}, "owner": "",
        "payload": { "kind": "agentTurn", "message": "x", "allowUnsafeExternalContent": false, "model": null } })));
    assert_eq!((dropped(&incoming), incoming.notes.len()), (vec![], 0));
}

#[test]
fn every_field_that_stays_behind_is_named_with_its_path() {
    let cases = [
        (json!({ "notify": true }), "notify"),
        (json!({ "somethingNew": 1 }), "somethingNew"),
        (json!({ "wakeMode": "later" }), "wakeMode"),
        (json!({ "schedule": { "kind": "cron", "expr": "30 7 * * *", "tz": "UTC", "jitter": 1 } }), "schedule.jitter"),
        (json!({ "payload": { "kind": "agentTurn", "message": "x", "thinking": "ultra" } }), "payload.thinking"),
        (
            json!({ "payload": { "kind": "agentTurn", "message": "x", "timeoutSeconds": "9" } }),
            "payload.timeoutSeconds",
        ),
        (
            json!({ "payload": { "kind": "agentTurn", "message": "x", "timeoutSeconds": 1e9 } }),
            "payload.timeoutSeconds",
        ),
        (json!({ "payload": { "kind": "agentTurn", "message": "x", "fallbacks": "sonnet" } }), "payload.fallbacks"),
        (json!({ "delivery": { "mode": "announce", "silent": true } }), "delivery.silent"),
        (
            json!({ "delivery": { "mode": "announce", "failureDestination": { "channel": "slack", "x": 1 } } }),
            "delivery.failureDestination.x",
        ),
        (json!({ "failureAlert": { "after": 2, "signature": "x" } }), "failureAlert.signature"),
        (json!({ "state": { "scheduleErrorCount": 2 } }), "state.scheduleErrorCount"),
        (json!({ "state": { "lastRunAtMs": "soon" } }), "state.lastRunAtMs"),
        (json!({ "state": { "lastStatus": "great" } }), "state.lastStatus"),
        (json!({ "state": { "autoDisabled": { "reason": "" } } }), "state.autoDisabled"),
        (json!({ "state": "fine" }), "state"),
    ];
    for (change, field) in cases {
        let incoming = read(&turn(&change));
        job(&incoming);
        assert_eq!(dropped(&incoming), [field], "{change}");
    }
    let main = json!({ "id": "m", "wakeMode": "now", "schedule": { "kind": "every", "everyMs": 3_600_000 },
        "payload": { "kind": "systemEvent", "text": "ping" }, "delivery": { "mode": "announce", "channel": "slack" } });
    let incoming = read(&main);
    assert_eq!((dropped(&incoming), job(&incoming).delivery.clone()), (vec!["delivery"], None));
}

#[test]
fn ids_and_session_names_that_cannot_be_ones_here_are_made_so_the_same_way_every_time() {
    let (one, two) = (sample("Nightly tools"), sample("Nightly tools"));
    assert_eq!(one.job_id, two.job_id);
    assert_eq!(one.source_id.as_deref(), Some("ops/nightly-tools"));
    assert!(one.notes.iter().any(|note| note.contains("ops/nightly-tools")), "{:?}", one.notes);
    assert_eq!(job(&one).session_target, SessionTarget::Named("ops-nightly".to_owned()));
    assert_eq!(job(&one).delivery.as_ref().unwrap().thread_id.as_deref(), Some("77"));

    let mut nameless = turn(&json!({}));
    nameless.as_object_mut().unwrap().shift_remove("id");
    let mut other = nameless.clone();
    other["payload"]["message"] = json!("Do something else.");
    assert_eq!(read(&nameless).job_id, read(&nameless).job_id);
    assert_ne!(read(&nameless).job_id, read(&other).job_id);
}

#[test]
fn a_schedule_without_a_zone_says_which_zone_it_gets() {
    let incoming = sample("Nightly tools");
    assert!(incoming.notes.iter().any(|note| note.contains("names no time zone") && note.contains("here it is UTC")));
    assert!(!sample("Morning brief").notes.iter().any(|note| note.contains("zone")));
}

#[test]
fn a_turn_without_a_delivery_says_where_its_answers_go() {
    for delivery in [Value::Null, json!({})] {
        let incoming = read(&turn(&json!({ "delivery": delivery })));
        assert_eq!(job(&incoming).delivery.as_ref().unwrap().mode, DeliveryMode::Announce);
        assert!(incoming.notes.iter().any(|note| note.contains("names no delivery")), "{:?}", incoming.notes);
    }
    assert_eq!(read(&turn(&json!({}))).notes, Vec::<String>::new());
}

#[test]
fn delivery_words_of_newer_releases_are_told_in_ours() {
    assert_eq!(job(&sample("Weekly report")).state.last_delivery_status, Some(DeliveryStatus::Failed));
    let quiet =
        json!({ "state": { "lastDeliveryStatus": "not-delivered", "deliverySuppressionReason": "heartbeat-ok" } });
    assert_eq!(job(&read(&turn(&quiet))).state.last_delivery_status, Some(DeliveryStatus::Suppressed));
    let mirrored = json!({ "lastRunAtMs": 5, "lastRunStatus": "error", "lastRunError": "no", "lastDelivered": true });
    let state = job(&read(&turn(&mirrored))).state.clone();
    assert_eq!((state.last_run_at_ms, state.last_status), (Some(5), Some(RunStatus::Error)));
    assert_eq!(
        (state.last_error.as_deref(), state.last_delivery_status),
        (Some("no"), Some(DeliveryStatus::Delivered))
    );
}

#[test]
fn a_job_of_ours_comes_back_as_it_was() {
    for input in store() {
        let incoming = read(&input);
        let Ok(first) = incoming.job else { continue };
        let mut exported = serde_json::to_value(&first).unwrap();
        let id = exported.as_object_mut().unwrap().shift_remove("jobId").unwrap();
        exported["id"] = id;
        let again = read(&exported);
        assert_eq!(dropped(&again), Vec::<&str>::new(), "{}", first.name);
        assert_eq!(job(&again), &first);
        assert_eq!(again.differences(&first), Vec::<String>::new());
    }
}

#[test]
fn what_differs_is_named() {
    let one = read(&turn(&json!({})));
    let stored = job(&one).clone();
    let change = json!({ "name": "K", "payload": { "kind": "agentTurn", "message": "Other." }, "missed": "all" });
    assert_eq!(read(&turn(&change)).differences(&stored), ["name", "payload", "missed"]);
    let fared = json!({ "state": { "lastRunAtMs": 7 }, "updatedAtMs": 9 });
    assert_eq!(read(&turn(&fared)).differences(&stored), Vec::<String>::new());
}

#[test]
fn an_interval_that_does_not_say_its_phase_does_not_differ_by_it() {
    let mut timeless = turn(&json!({ "schedule": { "kind": "every", "everyMs": 3_600_000 } }));
    timeless.as_object_mut().unwrap().shift_remove("createdAtMs");
    let stored = job(&read(&timeless)).clone();
    let later = read_at(&timeless, now() + chrono::TimeDelta::minutes(7));
    assert_ne!(job(&later).schedule, stored.schedule);
    assert_eq!(later.differences(&stored), Vec::<String>::new());
}

fn entry(extra: &Value) -> Value {
    let mut entry = json!({ "ts": 1_795_069_841_203_i64, "jobId": "j-1", "action": "finished", "status": "ok",
        "summary": "Quiet night.", "runAtMs": 1_795_069_800_000_i64, "durationMs": 41_200 });
    for (name, value) in extra.as_object().unwrap() {
        if value.is_null() {
            entry.as_object_mut().unwrap().shift_remove(name);
        } else {
            entry[name] = value.clone();
        }
    }
    entry
}

fn run(extra: &Value) -> PastRun {
    read_run(&entry(extra), now()).unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[test]
fn a_finished_run_becomes_history_that_cost_nothing_here() {
    let past = run(&json!({ "model": "claude-opus-5-5", "provider": "anthropic", "deliveryStatus": "delivered",
        "usage": { "input_tokens": 12, "output_tokens": 3 }, "sessionKey": "agent:ops:cron:j-1", "jobName": "Brief" }));
    let run = &past.run;
    assert_eq!((run.origin, run.state.clone(), run.cost.paid_nano_usd), (Origin::Import, State::Succeeded, 0));
    assert_eq!(run.started_at.unwrap().timestamp_millis(), 1_795_069_800_000);
    assert_eq!(past.ended_at.timestamp_millis(), 1_795_069_841_200);
    assert_eq!(run.slot, run.started_at.unwrap());
    assert_eq!((past.answer.as_deref(), past.agent.as_deref()), (Some("Quiet night."), Some("ops")));
    assert_eq!(past.job_name.as_deref(), Some("Brief"));
    assert_eq!((run.hops.len(), run.hops[0].cost.paid_nano_usd), (1, 0));
    assert_eq!(run.plan.as_ref().unwrap().model, "claude-opus-5-5");
    assert_eq!(run.delivery_status, Some(DeliveryStatus::Delivered));
}

#[test]
fn how_a_run_ended_is_kept() {
    let cases = [
        (json!({ "status": "error", "error": "boom", "errorReason": "timeout" }), "failed", Some(("timeout", "boom"))),
        (json!({ "status": "error" }), "failed", Some(("imported", "it failed where it ran, which kept no reason"))),
        (
            json!({ "status": "skipped", "error": "disabled" }),
            "skipped",
            Some(("disabled", "the run was skipped: disabled")),
        ),
        (json!({ "deliveryStatus": "not-delivered" }), "deliveryFailed", None),
        (json!({ "deliveryStatus": "not-delivered", "deliverySuppressionReason": "empty" }), "succeeded", None),
        (json!({ "deliveryStatus": "unknown" }), "deliveryUnknown", None),
    ];
    for (extra, state, failure) in cases {
        let run = run(&extra).run;
        assert_eq!(run.state.name(), state, "{extra}");
        let told = run.state.failure();
        assert_eq!(told.as_ref().map(|(code, message)| (code.as_str(), message.as_str())), failure, "{extra}");
    }
}

#[test]
fn the_same_run_has_the_same_key_however_it_was_printed() {
    let plain = run(&json!({})).run.key;
    let reordered: Value = serde_json::from_str(
        r#"{"durationMs":41200,"runAtMs":1795069800000,"status":"ok","jobId":"j-1","ts":1795069841203,"jobName":"J"}"#,
    )
    .unwrap();
    assert_eq!(read_run(&reordered, now()).unwrap().run.key, plain);
    for other in [json!({ "runAtMs": 1_795_069_800_001_i64 }), json!({ "status": "error" }), json!({ "jobId": "j-2" })]
    {
        assert_ne!(run(&other).run.key, plain, "{other}");
    }
}

#[test]
fn a_run_we_exported_keeps_its_key_unless_it_is_anothers_or_still_to_come() {
    let own = "j-1_20261119T063000Z";
    assert_eq!(run(&json!({ "runId": own })).run.key.as_str(), own);
    for foreign in ["j-2_20261119T063000Z", "j-1_20261119T073000Z", "manual:j-1:1:1", "cron:j-1:1795069800000"] {
        let key = run(&json!({ "runId": foreign })).run.key;
        assert_eq!(key, run(&json!({})).run.key, "{foreign}");
    }
}

#[test]
fn an_entry_that_says_too_little_is_refused_with_a_reason() {
    let cases = [
        (json!({ "jobId": null }), "names no job"),
        (json!({ "status": null }), "no status"),
        (json!({ "status": "running" }), "not a status"),
        (json!({ "action": "started" }), "not the end of a run"),
        (json!({ "ts": null, "runAtMs": null }), "nobody knows when"),
        (json!({ "runAtMs": 9_999_999_999_999_999_i64 }), "no times"),
        (json!({ "runAtMs": 1_798_000_000_000_i64 }), "in the future"),
    ];
    for (extra, reason) in cases {
        let refused = read_run(&entry(&extra), now()).unwrap_err();
        assert!(refused.reason.contains(reason), "{extra}: {}", refused.reason);
    }
    assert!(read_run(&json!("x"), now()).is_err());
    // What is there tells the rest.
    let old = run(&json!({ "runAtMs": null }));
    assert_eq!(old.run.started_at.unwrap().timestamp_millis(), 1_795_069_800_003);
}
