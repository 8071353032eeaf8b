//! Command lines people know, and the requests they must become.

use chrono::{DateTime, Utc};
use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::{add, edit};
use crate::args::{Cli, Command, Cron};

fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Splits as a shell does, for double quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn parse(line: &str) -> Result<Cli, String> {
    let arguments = ["nightshift".to_owned()].into_iter().chain(words(line));
    Cli::try_parse_from(arguments).map_err(|error| error.to_string())
}

/// The job of `cron add`, or the patch of `cron edit`.
fn request(line: &str) -> Result<Value, String> {
    let Command::Cron(cron) = parse(line)?.command else { panic!("{line} is no cron command") };
    let request = if let Cron::Add(args) = &cron {
        add(args, None, now())
    } else if let Cron::Edit(args) = &cron {
        edit(args, None, now())
    } else {
        panic!("{line} is {cron:?}");
    };
    request.map_err(|error| format!("{error} | {}", error.hint().unwrap_or_default()))
}

#[test]
fn the_command_line_is_put_together_right() {
    Cli::command().debug_assert();
}

#[test]
fn every_documented_add_becomes_its_job() {
    let los_angeles = |expr: &str| json!({"kind": "cron", "expr": expr, "tz": "America/Los_Angeles"});
    let announce = |channel: &str, to: &str| json!({"mode": "announce", "channel": channel, "to": to});
    let cases = [
        (
            r#"cron add --name "Reminder" --at "2027-02-01T16:00:00Z" --session main --system-event "Reminder: check the cron docs draft" --wake now --delete-after-run"#,
            json!({"name": "Reminder", "schedule": {"kind": "at", "at": "2027-02-01T16:00:00.000Z"},
                "payload": {"kind": "systemEvent", "text": "Reminder: check the cron docs draft"},
                "sessionTarget": "main", "wakeMode": "now", "deleteAfterRun": true}),
        ),
        (
            r#"cron add --name "Morning brief" --cron "0 7 * * *" --tz "America/Los_Angeles" --session isolated --message "Summarize overnight updates." --announce --channel slack --to "channel:C1234567890""#,
            json!({"name": "Morning brief", "schedule": los_angeles("0 7 * * *"),
                "payload": {"kind": "agentTurn", "message": "Summarize overnight updates."},
                "delivery": announce("slack", "channel:C1234567890"), "sessionTarget": "isolated"}),
        ),
        (
            r#"cron add --name "Calendar check" --at "20m" --session main --system-event "Next heartbeat: check calendar." --wake now"#,
            json!({"name": "Calendar check", "schedule": {"kind": "at", "at": "2026-11-20T12:20:00.000Z"},
                "payload": {"kind": "systemEvent", "text": "Next heartbeat: check calendar."},
                "sessionTarget": "main", "wakeMode": "now"}),
        ),
        (
            r#"cron add --name "Morning status" --cron "0 7 * * *" --tz "America/Los_Angeles" --session isolated --message "Summarize inbox + calendar for today." --announce --channel whatsapp --to "+15551234567""#,
            json!({"name": "Morning status", "schedule": los_angeles("0 7 * * *"),
                "payload": {"kind": "agentTurn", "message": "Summarize inbox + calendar for today."},
                "delivery": announce("whatsapp", "+15551234567"), "sessionTarget": "isolated"}),
        ),
        (
            r#"cron add --name "Nightly summary (topic)" --cron "0 22 * * *" --tz "America/Los_Angeles" --session isolated --message "Summarize today; send to the nightly topic." --announce --channel telegram --to "-1001234567890:topic:123""#,
            json!({"name": "Nightly summary (topic)", "schedule": los_angeles("0 22 * * *"),
                "payload": {"kind": "agentTurn", "message": "Summarize today; send to the nightly topic."},
                "delivery": announce("telegram", "-1001234567890:topic:123"), "sessionTarget": "isolated"}),
        ),
        (
            r#"cron add --name "Deep analysis" --cron "0 6 * * 1" --tz "America/Los_Angeles" --session isolated --message "Weekly deep analysis of project progress." --model "opus" --thinking high --announce --channel whatsapp --to "+15551234567""#,
            json!({"name": "Deep analysis", "schedule": los_angeles("0 6 * * 1"),
                "payload": {"kind": "agentTurn", "message": "Weekly deep analysis of project progress.",
                    "model": "opus", "thinking": "high"},
                "delivery": announce("whatsapp", "+15551234567"), "sessionTarget": "isolated"}),
        ),
        (
            r#"cron add --name "Ops sweep" --cron "0 6 * * *" --session isolated --message "Check ops queue" --agent ops"#,
            json!({"name": "Ops sweep", "schedule": {"kind": "cron", "expr": "0 6 * * *"},
                "payload": {"kind": "agentTurn", "message": "Check ops queue"}, "agentId": "ops",
                "sessionTarget": "isolated"}),
        ),
        (
            r#"cron create "0 7 * * *" "Summarize overnight updates." --name "Morning brief" --tz "America/Los_Angeles" --announce --channel slack --to "channel:C1234567890""#,
            json!({"name": "Morning brief", "schedule": los_angeles("0 7 * * *"),
                "payload": {"kind": "agentTurn", "message": "Summarize overnight updates."},
                "delivery": announce("slack", "channel:C1234567890")}),
        ),
        (
            r#"cron create "0 18 * * 1-5" "Summarize today's deploys as JSON." --name "Deploy digest" --webhook "https://receiver.example/hook""#,
            json!({"name": "Deploy digest", "schedule": {"kind": "cron", "expr": "0 18 * * 1-5"},
                "payload": {"kind": "agentTurn", "message": "Summarize today's deploys as JSON."},
                "delivery": {"mode": "webhook", "to": "https://receiver.example/hook"}}),
        ),
        (
            r#"cron add --name "Weekly Report" --cron "0 3 * * 0" --tz UTC --model anthropic/claude-sonnet-4-6 --message "Write the weekly report." --batch --batch-timeout 2h"#,
            json!({"name": "Weekly Report", "schedule": {"kind": "cron", "expr": "0 3 * * 0", "tz": "UTC"},
                "payload": {"kind": "agentTurn", "message": "Write the weekly report.",
                    "model": "anthropic/claude-sonnet-4-6", "batch": {"enabled": true, "maxWaitMs": 7_200_000}}}),
        ),
        (
            r#"cron add --name "Night digest" --cron "0 3 * * *" --message "Digest." --batch --thinking off --light-context --announce --failure-alert-after 1 --failure-alert-channel telegram --failure-alert-to "123456789""#,
            json!({"name": "Night digest", "schedule": {"kind": "cron", "expr": "0 3 * * *"},
                "payload": {"kind": "agentTurn", "message": "Digest.", "thinking": "off", "lightContext": true,
                    "batch": {"enabled": true}},
                "delivery": {"mode": "announce"},
                "failureAlert": {"after": 1, "channel": "telegram", "to": "123456789"}}),
        ),
    ];
    for (line, job) in cases {
        assert_eq!(request(line), Ok(job), "{line}");
    }
}

#[test]
fn every_documented_edit_becomes_its_patch() {
    let cases = [
        ("cron edit job-1 --agent ops", json!({"agentId": "ops"})),
        ("cron edit job-1 --clear-agent", json!({"agentId": null})),
        (
            r#"cron edit job-1 --message "Updated prompt" --model "opus" --thinking low"#,
            json!({"payload": {"kind": "agentTurn", "message": "Updated prompt", "model": "opus", "thinking": "low"}}),
        ),
    ];
    for (line, patch) in cases {
        assert_eq!(request(line), Ok(patch), "{line}");
    }
}

#[test]
fn other_documented_lines_parse() {
    let lines = [
        "cron list",
        "cron run job-1 --force",
        "cron runs --id job-1",
        "cron runs job-1",
        "cron runs --id job-1 --limit 50",
        "cron run job-1 --wait --wait-timeout 10m --poll-interval 2s",
        "cron run job-1 --due",
        "cron enable job-1",
        "cron disable job-1",
        "cron get job-1",
        "cron show job-1",
        "cron rm job-1",
        "cron remove job-1",
        "cron status",
        "cron cancel job-1_20261120T070000Z",
        r#"system event --mode now --text "Next heartbeat: check battery.""#,
    ];
    for line in lines {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn an_edit_sends_what_was_given_and_null_for_what_is_cleared() {
    let cases = [
        (
            "cron edit j --clear-model --clear-fallbacks --clear-thinking --clear-timeout-seconds --clear-tools --clear-batch",
            json!({"payload": {"model": null, "fallbacks": null, "thinking": null, "timeoutSeconds": null,
                "toolsAllow": null, "batch": null}}),
        ),
        (
            "cron edit j --clear-channel --clear-to --clear-thread-id --clear-account",
            json!({"delivery": {"channel": null, "to": null, "threadId": null, "accountId": null}}),
        ),
        (
            "cron edit j --clear-max-lateness --clear-failure-alert",
            json!({"maxLatenessMs": null, "failureAlert": null}),
        ),
        (
            "cron edit j --disable --every 1h",
            json!({"enabled": false, "schedule": {"kind": "every", "everyMs": 3_600_000}}),
        ),
        // Without its kind, so that the stored expression and zone stay.
        (r#"cron edit j --cron "0 8 * * *""#, json!({"schedule": {"expr": "0 8 * * *"}})),
        ("cron edit j --tz Europe/Berlin", json!({"schedule": {"tz": "Europe/Berlin"}})),
        ("cron edit j --exact", json!({"schedule": {"staggerMs": 0}})),
        ("cron edit j --budget-day 2 --budget-run 0.5", json!({"budget": {"runUsd": 0.5, "dayUsd": 2.0}})),
        ("cron edit j --clear-budget", json!({"budget": null})),
        ("cron edit j --batch=auto", json!({"payload": {"batch": {"enabled": true, "mode": "auto"}}})),
        ("cron edit j --batch-timeout 4h", json!({"payload": {"batch": {"maxWaitMs": 14_400_000}}})),
        (
            "cron edit j --no-batch",
            json!({"payload": {"batch": {"enabled": false, "deliverBy": null, "earliest": null}}}),
        ),
        ("cron edit j --clear-deliver-by", json!({"payload": {"batch": {"deliverBy": null, "earliest": null}}})),
        ("cron edit j --clear-earliest", json!({"payload": {"batch": {"earliest": null}}})),
        ("cron edit j --no-failure-alert", json!({"failureAlert": false})),
        ("cron edit j --failure-alert", json!({"failureAlert": true})),
        (
            "cron edit j --failure-alert-cooldown 2h --failure-alert-mode webhook --failure-alert-account-id ops --failure-alert-exclude-skipped",
            json!({"failureAlert": {"cooldownMs": 7_200_000, "mode": "webhook", "accountId": "ops",
                "includeSkipped": false}}),
        ),
        ("cron edit j --to -100123:topic:5", json!({"delivery": {"to": "-100123:topic:5"}})),
        ("cron edit j --no-best-effort-deliver", json!({"delivery": {"bestEffort": false}})),
        ("cron edit j --no-light-context", json!({"payload": {"lightContext": false}})),
        ("cron edit j --keep-after-run", json!({"deleteAfterRun": false})),
    ];
    for (line, patch) in cases {
        assert_eq!(request(line), Ok(patch), "{line}");
    }
    assert!(request("cron edit j").unwrap_err().starts_with("nothing to change"));
    assert!(request("cron edit j --agent ops --clear-agent").is_err());
}

#[test]
fn batch_takes_its_mode_with_an_equals_sign_only() {
    let batch = |line: &str| request(line).map(|job| job["payload"]["batch"].clone());
    assert_eq!(batch(r#"cron add --batch "0 7 * * *" "Digest.""#), Ok(json!({"enabled": true})));
    assert_eq!(batch(r#"cron add --batch=auto "0 7 * * *" "Digest.""#), Ok(json!({"enabled": true, "mode": "auto"})));
    assert_eq!(batch(r#"cron add "0 7 * * *" "Digest." --no-batch"#), Ok(json!({"enabled": false})));
    assert_eq!(
        batch(r#"cron add "0 7 * * *" "Digest." --batch --batch-on-timeout realtime"#),
        Ok(json!({"enabled": true, "onTimeout": "realtime"}))
    );
    assert_eq!(
        batch(r#"cron add "0 7 * * *" "Digest." --batch --deliver-by 07:00 --earliest 05:00"#),
        Ok(json!({"enabled": true, "deliverBy": "07:00", "earliest": "05:00"}))
    );
    assert!(batch(r#"cron add "0 7 * * *" "Digest." --batch=sometimes"#).is_err());
    assert!(batch(r#"cron add "0 7 * * *" "Digest." --batch-timeout 2h"#).unwrap_err().contains("need --batch"));
}

#[test]
fn the_first_argument_is_a_schedule_unless_a_flag_gives_one() {
    let cases = [
        (r#"cron add "*/5 * * * *" "x""#, json!({"kind": "cron", "expr": "*/5 * * * *"})),
        (r#"cron add "30 0 7 * * *" "x""#, json!({"kind": "cron", "expr": "30 0 7 * * *"})),
        (r#"cron add @daily "x" --exact"#, json!({"kind": "cron", "expr": "@daily", "staggerMs": 0})),
        (r#"cron add @hourly "x" --stagger 30s"#, json!({"kind": "cron", "expr": "@hourly", "staggerMs": 30_000})),
        (r#"cron add 20m "x""#, json!({"kind": "at", "at": "2026-11-20T12:20:00.000Z"})),
        (r#"cron add +2h30m "x""#, json!({"kind": "at", "at": "2026-11-20T14:30:00.000Z"})),
        (r#"cron add 2026-12-24T18:00:00+01:00 "x""#, json!({"kind": "at", "at": "2026-12-24T17:00:00.000Z"})),
        (
            r#"cron add 2026-12-24T18:00 "x" --tz Europe/Berlin"#,
            json!({"kind": "at", "at": "2026-12-24T17:00:00.000Z", "tz": "Europe/Berlin"}),
        ),
        (
            r#"cron add "2026-12-24 07:00" "x" --tz Europe/Berlin"#,
            json!({"kind": "at", "at": "2026-12-24T06:00:00.000Z", "tz": "Europe/Berlin"}),
        ),
        (r#"cron add "every 20m" "x""#, json!({"kind": "every", "everyMs": 1_200_000})),
    ];
    for (line, schedule) in cases {
        let job = request(line).unwrap();
        assert_eq!((&job["schedule"], &job["name"]), (&schedule, &Value::Null), "{line}");
    }
    let named = request(r#"cron add "Stand-up" "Ask." --every 1d"#).unwrap();
    assert_eq!((&named["name"], &named["payload"]["message"]), (&json!("Stand-up"), &json!("Ask.")));
}

#[test]
fn every_spelling_of_at_means_its_instant() {
    let cases = [
        ("--at 20m", "2026-11-20T12:20:00.000Z"),
        ("--at +20m", "2026-11-20T12:20:00.000Z"),
        ("--at 1h30m", "2026-11-20T13:30:00.000Z"),
        ("--at 1800000000000", "2027-01-15T08:00:00.000Z"),
        ("--at 2026-12-24", "2026-12-24T00:00:00.000Z"),
        ("--at 2026-12-24T07:00:00+01:00", "2026-12-24T06:00:00.000Z"),
        (r#"--at "2026-12-24 07:00""#, "2026-12-24T07:00:00.000Z"),
        (r#"--at "2026-12-24 07:00" --tz America/New_York"#, "2026-12-24T12:00:00.000Z"),
        (r#"--at "2026-12-24 07:00:30Z""#, "2026-12-24T07:00:30.000Z"),
    ];
    for (flags, instant) in cases {
        let job = request(&format!("cron add {flags} --message x")).unwrap();
        assert_eq!(job["schedule"]["at"], json!(instant), "{flags}");
    }
    for flags in ["--at 0m", "--at -5m", "--at tomorrow", r#"--at "2026-12-24 at 7""#, "--at 2026-2-1"] {
        assert!(request(&format!("cron add {flags} --message x")).is_err(), "{flags}");
    }
}

#[test]
fn a_line_that_says_too_much_or_too_little_is_refused_with_the_way_out() {
    let cases = [
        (r#"cron add --message "x""#, "choose exactly one schedule"),
        (r#"cron add "tomorrow" "x""#, "\"tomorrow\" is no schedule"),
        ("cron add --every 1h", "choose exactly one payload"),
        (
            "cron add --every 1m tick",
            "\"tick\" is the job's name, because --every says when to run; its message is missing",
        ),
        ("cron add 20m", "the message is missing"),
        (r#"cron add 0 7 * * * "x""#, "\"*\" is one argument too many | put the cron expression in quotes"),
        ("cron add 20m Check the oven", "\"the\" is one argument too many | put a text of several words in quotes"),
        (r#"cron add "2026-12-24 25:00" "x""#, "is not an ISO 8601 time"),
        (r#"cron add 20m "x" --system-event "y""#, "choose exactly one payload"),
        (r#"cron add 20m "x" --message "y""#, "the message is given twice"),
        (r#"cron add "0 7 * * *" "x" --name n --every 1h"#, "one argument too many"),
        (r#"cron add 20m "x" --tz Europe/Berlin"#, "--tz is only valid with --cron or offset-less --at"),
        (r#"cron add "x" "y" --at 2026-12-24T18:00:00Z --tz UTC"#, "--tz is only valid"),
        (r#"cron add "x" "y" --every 1h --tz UTC"#, "--tz is only valid"),
        (r#"cron add 20m "x" --exact"#, "belong to a cron schedule"),
        (r#"cron add "x" "y" --every 1w"#, "is not a duration"),
        (r#"cron add "x" "y" --every 1h --cron "* * * * *""#, "cannot be used with"),
        (r#"cron add "x" "y" --every 1h --announce --no-deliver"#, "cannot be used with"),
        (r#"cron add "x" "y" --every 1h --thinking hard"#, "possible values: off, minimal"),
        (r#"cron add "x" "y" --every 1h --wake later"#, "possible values: now, next-heartbeat"),
    ];
    for (line, message) in cases {
        let refusal = request(line).unwrap_err();
        assert!(refusal.contains(message), "{line}: {refusal}");
    }
}

#[test]
fn lists_are_split_and_an_empty_one_means_none() {
    let job = request(
        r#"cron add 20m "x" --tools "web_search, memory" --fallbacks haiku,sonnet --missed all --overlap queue --max-lateness 90m"#,
    );
    let job = job.unwrap();
    assert_eq!(job["payload"]["toolsAllow"], json!(["web_search", "memory"]));
    assert_eq!(job["payload"]["fallbacks"], json!(["haiku", "sonnet"]));
    assert_eq!(
        (&job["missed"], &job["overlap"], &job["maxLatenessMs"]),
        (&json!("all"), &json!("queue"), &json!(5_400_000))
    );
    assert_eq!(request(r#"cron add 20m "x" --tools "" "#).unwrap()["payload"]["toolsAllow"], json!([]));
}

#[test]
fn a_target_alone_means_announce() {
    let job =
        request(r#"cron add 20m "x" --channel telegram --to 123 --thread-id 7 --account ops --best-effort-deliver"#);
    let delivery = json!({"channel": "telegram", "to": "123", "threadId": "7", "accountId": "ops", "bestEffort": true,
        "mode": "announce"});
    assert_eq!(job.unwrap()["delivery"], delivery);
}
