//! New jobs and changes of jobs: what is accepted, what it means, and what is refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use chrono::{DateTime, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::job::{Defaults, Job, JobState, apply_patch, parse_new, redeclare};
use nightshift_domain::{FieldError, JobId};
use serde_json::{Value, json};

fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn with<T>(config: &Value, work: impl FnOnce(&Defaults<'_>) -> T) -> T {
    let config = Config::parse(config).unwrap();
    work(&Defaults { config: &config, now: now(), local: false })
}

fn parse(input: &Value) -> Result<Job, Vec<FieldError>> {
    with(&json!({}), |defaults| parse_new(input, defaults, JobId::parse("made-up").unwrap()))
}

fn patched(job: &Job, patch: &Value) -> Result<Job, Vec<FieldError>> {
    with(&json!({}), |defaults| apply_patch(job, patch, defaults)).map(|patched| patched.job)
}

fn faults<T: std::fmt::Debug>(result: Result<T, Vec<FieldError>>) -> Vec<(String, String)> {
    result.unwrap_err().into_iter().map(|fault| (fault.field, fault.code)).collect()
}

fn fields<T: std::fmt::Debug>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
    faults(result).into_iter().map(|(field, _)| field).collect()
}

fn turn(extra: &Value) -> Value {
    let mut job = json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "America/Los_Angeles" },
        "payload": { "kind": "agentTurn", "message": "Summarize overnight updates." } });
    for (name, value) in extra.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

fn event(extra: &Value) -> Value {
    let mut job = json!({ "schedule": { "kind": "every", "everyMs": 3_600_000 },
        "payload": { "kind": "systemEvent", "text": "ping" } });
    for (name, value) in extra.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

/// Every case of the golden file whose outcome differs from `OpenClaw`'s newest, and why.
const DEVIATIONS: [(&str, Expect, &str); 8] = [
    ("kind case-insensitive", Expect::Refused, "its interval of a second is under our least of a minute (PRODUCT §2)"),
    (
        "agentId sanitised",
        Expect::Newest,
        "an unknown agent falls back to the default one when the job runs (PRODUCT §1)",
    ),
    ("id supplied by caller", Expect::Newest, "imported ids are kept, and id is accepted for jobId (PRODUCT §1)"),
    ("schedule.atMs legacy number", Expect::Older, "an older version's alias"),
    ("payload kind missing, message", Expect::Older, "an older version's alias"),
    ("payload kind missing, text", Expect::Older, "an older version's alias"),
    ("payload.channel/to/deliver (legacy)", Expect::Older, "an older version's alias"),
    ("payload.provider alias of channel (legacy)", Expect::Older, "an older version's alias"),
];

#[derive(Clone, Copy)]
enum Expect {
    Newest,
    Older,
    Refused,
}

#[test]
fn jobs_are_normalised_as_the_golden_file_says() {
    let file: Value = serde_json::from_str(include_str!("vectors/normalize.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let deviation = DEVIATIONS.iter().find(|(known, _, _)| *known == name).map(|(_, expect, _)| *expect);
        let accepted = case["rpc"]["ok"].as_bool().unwrap();
        let expect = deviation.unwrap_or(if accepted { Expect::Newest } else { Expect::Refused });
        let result = parse(&case["input"]);
        let expected = match expect {
            Expect::Newest => &case["normalized"],
            Expect::Older => &case["older_2026_2_6"],
            Expect::Refused => {
                assert!(result.is_err(), "{name}: accepted {result:?}");
                continue;
            }
        };
        let job = result.unwrap_or_else(|faults| panic!("{name}: refused {faults:?}"));
        same_job(name, &case["input"], expected, &serde_json::to_value(&job).unwrap());
    }
}

fn same_job(name: &str, input: &Value, expected: &Value, job: &Value) {
    for field in ["name", "enabled", "sessionTarget", "agentId", "payload", "delivery"] {
        assert_eq!(job.get(field), expected.get(field), "{name}: {field}");
    }
    assert_eq!(job["deleteAfterRun"], *expected.get("deleteAfterRun").unwrap_or(&json!(false)), "{name}");
    for (field, value) in expected["schedule"].as_object().unwrap() {
        assert_eq!(job["schedule"][field], *value, "{name}: schedule.{field}");
    }
    let given = input.get("wakeMode").is_some();
    let wake = if given { expected["wakeMode"].clone() } else { json!("next-heartbeat") };
    assert_eq!(job["wakeMode"], wake, "{name}");
    if let Some(id) = expected.get("id") {
        assert_eq!(job["jobId"], *id, "{name}");
    }
}

#[test]
fn only_schedule_and_payload_are_required() {
    let job = parse(&turn(&json!({}))).unwrap();
    let mut shown = serde_json::to_value(&job).unwrap();
    shown.as_object_mut().unwrap().remove("state");
    assert_eq!(
        shown,
        json!({ "jobId": "made-up", "name": "Summarize overnight updates.", "enabled": true, "deleteAfterRun": false,
            "createdAtMs": now().timestamp_millis(), "updatedAtMs": now().timestamp_millis(),
            "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "America/Los_Angeles" },
            "sessionTarget": "isolated", "wakeMode": "next-heartbeat",
            "payload": { "kind": "agentTurn", "message": "Summarize overnight updates." },
            "delivery": { "mode": "announce" }, "missed": "once", "maxLatenessMs": null, "overlap": "skip" })
    );
    assert_eq!(parse(&event(&json!({}))).unwrap().delivery, None);
}

#[test]
fn a_job_that_was_shown_can_be_added_again() {
    let job = parse(&turn(&json!({ "jobId": "kept-1", "failureAlert": { "after": 1, "channel": "telegram", "to": "1" },
        "delivery": { "mode": "announce", "channel": "slack", "to": "channel:C1", "threadId": 42,
            "failureDestination": { "mode": "webhook", "to": "https://x.example/" } },
        "missed": "all", "overlap": "queue", "maxLatenessMs": 60000, "state": { "lastStatus": "ok", "consecutiveErrors": 2 } })))
    .unwrap();
    assert_eq!(parse(&serde_json::to_value(&job).unwrap()).unwrap(), job);
}

#[test]
fn every_bad_field_is_named_at_once() {
    let input = json!({ "jobId": "a b", "colour": "red", "enabled": "no", "sessionTarget": "moon", "wakeMode": "later",
        "schedule": { "kind": "cron", "expr": "not a cron", "tz": "Mars/Phobos", "every": 1 }, "missed": "some",
        "payload": { "kind": "agentTurn", "message": " ", "thinking": "hard", "timeoutSeconds": 0, "fallbacks": "opus",
            "batch": { "enabled": "maybe", "maxWaitMs": 1, "onTimeout": "shrug", "deliverBy": "7", "mode": "maybe" } },
        "delivery": { "mode": "pigeon", "to": " ", "bestEffort": 1 }, "failureAlert": { "after": 0 }, "maxLatenessMs": -1 });
    let mut named = fields(parse(&input));
    named.sort();
    let mut expected = vec![
        "colour",
        "jobId",
        "enabled",
        "sessionTarget",
        "wakeMode",
        "schedule.expr",
        "schedule.tz",
        "schedule.every",
        "missed",
        "payload.message",
        "payload.thinking",
        "payload.timeoutSeconds",
        "payload.fallbacks",
        "payload.batch.enabled",
        "payload.batch.maxWaitMs",
        "payload.batch.onTimeout",
        "payload.batch.deliverBy",
        "payload.batch.mode",
        "delivery.mode",
        "delivery.to",
        "delivery.bestEffort",
        "failureAlert.after",
        "maxLatenessMs",
    ];
    expected.sort_unstable();
    assert_eq!(named, expected);
}

#[test]
fn session_payload_delivery_and_batch_have_to_fit_each_other() {
    let refused: [(Value, &str); 8] = [
        (event(&json!({ "sessionTarget": "isolated" })), "payload.kind"),
        (turn(&json!({ "sessionTarget": "main" })), "payload.kind"),
        (event(&json!({ "delivery": { "mode": "announce" } })), "delivery"),
        (event(&json!({ "payload": { "kind": "systemEvent", "text": "x", "batch": {} } })), "payload.batch"),
        (turn(&json!({ "delivery": { "mode": "webhook" } })), "delivery.to"),
        (turn(&json!({ "delivery": { "mode": "webhook", "to": "ftp://x.example" } })), "delivery.to"),
        (turn(&json!({ "delivery": { "mode": "webhook", "to": "https:///nowhere" } })), "delivery.to"),
        (turn(&json!({ "schedule": { "kind": "at", "at": "2026-11-20T11:58:59Z" } })), "schedule.at"),
    ];
    for (input, field) in refused {
        assert_eq!(fields(parse(&input)), [field], "{input}");
    }
    assert!(parse(&event(&json!({ "delivery": { "mode": "none" } }))).is_ok());
}

#[test]
fn older_spellings_mean_what_they_meant() {
    let plain = parse(&turn(&json!({ "jobId": "j" }))).unwrap();
    let schedule = json!({ "expr": "0 7 * * *", "tz": "America/Los_Angeles" });
    for wrapped in [
        json!({ "job": turn(&json!({ "id": "j" })) }),
        json!({ "data": turn(&json!({ "jobId": "j" })) }),
        json!({ "id": "j", "schedule": schedule, "message": "Summarize overnight updates.", "isolation": {} }),
    ] {
        assert_eq!(parse(&wrapped).unwrap(), plain, "{wrapped}");
    }
    let batched =
        parse(&turn(&json!({ "payload": { "kind": "agentTurn", "message": "x", "batchMode": true } }))).unwrap();
    let shown = serde_json::to_value(batched).unwrap();
    assert_eq!(shown["payload"]["batch"], json!({ "enabled": true }));
    let silent = parse(&turn(&json!({ "deliver": false, "to": "1" }))).unwrap();
    assert_eq!(serde_json::to_value(silent).unwrap()["delivery"], json!({ "mode": "none", "to": "1" }));
}

#[test]
fn defaults_come_from_the_configuration() {
    let config = json!({ "cron": { "missed": "skip", "overlap": "queue", "timezone": "Europe/Vienna" },
        "agents": { "entries": { "Ops": { "timezone": "Asia/Tokyo" } } } });
    with(&config, |defaults| {
        let id = JobId::parse("x").unwrap();
        let job = parse_new(&turn(&json!({ "agentId": "Ops" })), defaults, id).unwrap();
        let shown = serde_json::to_value(&job).unwrap();
        assert_eq!(
            (&shown["missed"], &shown["overlap"], &shown["agentId"]),
            (&json!("skip"), &json!("queue"), &json!("Ops"))
        );
        assert_eq!(nightshift_domain::job::zone_of(defaults.config, Some("Ops")), "Asia/Tokyo");
        assert_eq!(nightshift_domain::job::zone_of(defaults.config, None), "Europe/Vienna");
    });
}

#[test]
fn the_least_interval_can_be_lowered_on_the_local_stack_only() {
    let input = event(&json!({ "schedule": { "kind": "every", "everyMs": 1000 } }));
    let config = Config::parse(&json!({ "cron": { "minIntervalMs": 500 } })).unwrap();
    let parse = |local| parse_new(&input, &Defaults { config: &config, now: now(), local }, JobId::parse("x").unwrap());
    assert_eq!(fields(parse(false)), ["schedule.everyMs"]);
    assert!(parse(true).is_ok());
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let job = parse(&turn(&json!({ "name": "Morning", "agentId": "ops", "description": "d",
        "delivery": { "mode": "announce", "channel": "slack", "to": "channel:C1" },
        "payload": { "kind": "agentTurn", "message": "x", "model": "opus", "thinking": "high", "timeoutSeconds": 60,
            "batch": { "enabled": true, "maxWaitMs": 7_200_000 } } })))
    .unwrap();
    let cases: [(Value, &str, Value); 11] = [
        (json!({ "agentId": null }), "/agentId", Value::Null),
        (json!({ "payload": { "model": null } }), "/payload/model", Value::Null),
        (json!({ "payload": { "thinking": null } }), "/payload/thinking", Value::Null),
        (json!({ "payload": { "timeoutSeconds": null } }), "/payload/timeoutSeconds", Value::Null),
        (json!({ "message": "y" }), "/payload/message", json!("y")),
        (json!({ "payload": { "kind": "agentTurn", "message": "y" } }), "/payload/message", json!("y")),
        (json!({ "payload": { "batch": { "enabled": false } } }), "/payload/batch/enabled", json!(false)),
        (json!({ "delivery": { "to": "user:U1" } }), "/delivery/to", json!("user:U1")),
        (json!({ "delivery": { "threadId": 7 } }), "/delivery/threadId", json!("7")),
        (json!({ "failureAlert": false }), "/failureAlert", json!(false)),
        (json!({ "description": null }), "/description", Value::Null),
    ];
    for (patch, place, expected) in cases {
        let before = serde_json::to_value(&job).unwrap();
        let mut after = serde_json::to_value(patched(&job, &patch).unwrap()).unwrap();
        assert_eq!(*after.pointer(place).unwrap_or(&Value::Null), expected, "{patch}");
        let (parent, leaf) = place.rsplit_once('/').unwrap();
        let object = |value: &mut Value| {
            let target = if parent.is_empty() { Some(&mut *value) } else { value.pointer_mut(parent) };
            target.unwrap().as_object_mut().unwrap().remove(leaf);
            value.clone()
        };
        assert_eq!(object(&mut after), object(&mut before.clone()), "{patch} changed something else");
    }
}

#[test]
fn a_patch_is_judged_with_the_job_as_a_whole() {
    let job = parse(&turn(&json!({}))).unwrap();
    let cases: [(Value, &str); 7] = [
        (json!({ "sessionTarget": "main" }), "payload.kind"),
        (json!({ "payload": { "kind": "systemEvent", "text": "x" } }), "payload.kind"),
        (json!({ "delivery": { "mode": "webhook" } }), "delivery.to"),
        (json!({ "payload": { "message": null } }), "payload.message"),
        (json!({ "enabled": null }), "enabled"),
        (json!({ "state": { "consecutiveErrors": 0 } }), "state"),
        (json!({ "nmae": "x" }), "nmae"),
    ];
    for (patch, field) in cases {
        assert_eq!(fields(patched(&job, &patch)), [field], "{patch}");
    }
    let moved = patched(&job, &json!({ "sessionTarget": "main", "payload": { "kind": "systemEvent", "text": "x" } }));
    assert_eq!(moved.unwrap().delivery, None);
}

#[test]
fn timing_changes_with_the_schedule_the_switch_and_the_zone_it_follows() {
    let config = json!({ "agents": { "entries": { "far": { "timezone": "Asia/Tokyo" } } } });
    with(&config, |defaults| {
        let follows = json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *" } });
        let job = parse_new(&turn(&follows), defaults, JobId::parse("x").unwrap()).unwrap();
        let changes = |patch: Value| apply_patch(&job, &patch, defaults).unwrap().timing_changed;
        assert!(changes(json!({ "schedule": { "expr": "0 8 * * *" } })));
        assert!(changes(json!({ "enabled": false })));
        assert!(changes(json!({ "agentId": "far" })));
        assert!(!changes(json!({ "agentId": "near" })));
        assert!(!changes(json!({ "name": "other", "enabled": true })));
    });
}

#[test]
fn a_schedule_without_its_kind_is_merged_and_one_with_it_replaces() {
    let job = parse(&turn(&json!({ "schedule":
        { "kind": "cron", "expr": "0 * * * *", "tz": "Europe/Vienna", "staggerMs": 1000 } })))
    .unwrap();
    let schedule =
        |patch: Value| serde_json::to_value(patched(&job, &json!({ "schedule": patch })).unwrap().schedule).unwrap();
    assert_eq!(schedule(json!({ "tz": "UTC" }))["expr"], "0 * * * *");
    assert_eq!(
        schedule(json!({ "expr": "5 * * * *" })),
        json!({ "kind": "cron", "expr": "5 * * * *", "tz": "Europe/Vienna", "staggerMs": 1000 })
    );
    assert_eq!(
        schedule(json!({ "kind": "cron", "expr": "5 * * * *" })),
        json!({ "kind": "cron", "expr": "5 * * * *", "staggerMs": 1000 })
    );
    assert_eq!(
        schedule(json!({ "kind": "every", "everyMs": 3_600_000 })),
        json!({ "kind": "every", "everyMs": 3_600_000, "anchorMs": now().timestamp_millis() })
    );
    let defaulted = parse(&turn(&json!({ "schedule": { "kind": "cron", "expr": "0 * * * *" } }))).unwrap();
    let moved = patched(&defaulted, &json!({ "schedule": { "kind": "cron", "expr": "30 7 * * *" } })).unwrap();
    assert_eq!(serde_json::to_value(moved.schedule).unwrap(), json!({ "kind": "cron", "expr": "30 7 * * *" }));
}

#[test]
fn a_job_whose_time_has_passed_can_be_renamed_but_not_switched_on() {
    let mut job = parse(&turn(&json!({ "schedule": { "kind": "at", "at": "2026-11-20T12:30:00Z" } }))).unwrap();
    assert!(job.delete_after_run);
    job.enabled = false;
    job.state = JobState { consecutive_errors: 1, ..JobState::default() };
    let config = Config::default();
    let later = Defaults { config: &config, now: now() + chrono::TimeDelta::hours(1), local: false };
    assert_eq!(apply_patch(&job, &json!({ "name": "n" }), &later).unwrap().job.name, "n");
    assert_eq!(fields(apply_patch(&job, &json!({ "enabled": true }), &later)), ["schedule.at"]);
    let again = json!({ "enabled": true, "schedule": { "kind": "at", "at": "2026-11-20T14:00:00Z" } });
    let again = apply_patch(&job, &again, &later).unwrap();
    assert!(again.timing_changed && again.job.delete_after_run);
    assert_eq!(again.job.state.consecutive_errors, 0);
}

#[test]
fn a_repeated_declaration_leaves_phase_and_switch_alone() {
    let declared = event(&json!({ "declarationKey": "k" }));
    let mut job = parse(&declared).unwrap();
    job.enabled = false;
    let config = Config::default();
    let later = Defaults { config: &config, now: now() + chrono::TimeDelta::minutes(7), local: false };
    let again = redeclare(&job, &declared, &later).unwrap();
    assert!(!again.timing_changed);
    assert_eq!((again.job.schedule, again.job.enabled), (job.schedule.clone(), false));
    let taken = redeclare(&job, &event(&json!({ "declarationKey": "k", "jobId": "other" })), &later);
    assert_eq!(fields(taken), ["declarationKey"]);
}
