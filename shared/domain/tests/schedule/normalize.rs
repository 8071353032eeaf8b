use nightshift_domain::FieldError;
use nightshift_domain::schedule::{NormalizeContext, Schedule, ScheduleError, ScheduleInput, Timetable, normalize};
use serde_json::{Value, json};

use crate::{cases, cron, utc, vectors};

fn stored_with_least(value: &Value, min_interval_ms: u64) -> Result<Schedule, ScheduleError> {
    let now = utc("2026-02-01T00:00:00Z");
    normalize(ScheduleInput::from_json(value)?, &NormalizeContext { now, default_tz: "Europe/Berlin", min_interval_ms })
}

fn stored(value: &Value) -> Result<Schedule, ScheduleError> {
    stored_with_least(value, 60_000)
}

fn stored_json(value: &Value) -> Value {
    let schedule = stored(value).unwrap_or_else(|error| panic!("{value}: {error}"));
    serde_json::to_value(schedule).expect("a schedule is JSON")
}

fn refused(value: &Value) -> ScheduleError {
    stored(value).expect_err(&value.to_string())
}

#[test]
fn accepted_spellings_are_stored_in_one_form() {
    for (sent, kept) in [
        (
            json!({"kind": "at", "at": "2036-01-01T16:00:00+02:00"}),
            json!({"kind": "at", "at": "2036-01-01T14:00:00.000Z"}),
        ),
        (json!({"kind": "at", "atMs": 1_769_961_600_250_i64}), json!({"kind": "at", "at": "2026-02-01T16:00:00.250Z"})),
        (
            json!({"at": "2026-03-01T09:00:00", "tz": "america/new_york"}),
            json!({"kind": "at", "at": "2026-03-01T14:00:00.000Z", "tz": "America/New_York"}),
        ),
        (
            json!({"kind": "at", "at": "2026-11-01T01:30", "tz": "America/New_York"}),
            json!({"kind": "at", "at": "2026-11-01T05:30:00.000Z", "tz": "America/New_York"}),
        ),
        (
            json!({"kind": "Every", "everyMs": "60000", "tz": "UTC"}),
            json!({"kind": "every", "everyMs": 60000, "anchorMs": 1_769_904_000_000_i64}),
        ),
        (json!({"everyMs": 3_600_000.7, "anchorMs": 7}), json!({"kind": "every", "everyMs": 3_600_000, "anchorMs": 7})),
        (
            json!({"kind": "cron", "expr": " 0 7 * * * ", "tz": " America/Los_Angeles ", "staggerMs": 0}),
            json!({"kind": "cron", "expr": "0 7 * * *", "tz": "America/Los_Angeles", "staggerMs": 0}),
        ),
        (json!({"expr": "@midnight", "tz": null}), json!({"kind": "cron", "expr": "@midnight"})),
        (json!({"expr": "0 * * * *"}), json!({"kind": "cron", "expr": "0 * * * *", "staggerMs": 300_000})),
        (
            json!({"expr": "0 * * * *", "staggerMs": 30000, "tz": ""}),
            json!({"kind": "cron", "expr": "0 * * * *", "staggerMs": 30000}),
        ),
    ] {
        assert_eq!(stored_json(&sent), kept, "{sent}");
        let again: Schedule = serde_json::from_value(kept.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), kept, "{sent} reads back as stored");
        assert_eq!(ScheduleInput::from_json(&kept).unwrap(), ScheduleInput::from(again), "{sent} can be sent again");
    }
}

#[test]
fn refusals_name_the_field_and_the_way_out() {
    for (sent, field, message) in [
        (json!("0 7 * * *"), "schedule", "not an object"),
        (json!({}), "schedule.kind", "kind is missing"),
        (json!({"kind": "on-exit", "command": "x"}), "schedule.kind", "\"on-exit\" is not a kind"),
        (json!({"kind": "at"}), "schedule.at", "missing"),
        (json!({"kind": "at", "at": true}), "schedule.at", "not a text"),
        (json!({"kind": "at", "at": "soon"}), "schedule.at", "\"soon\" is not an ISO 8601 time"),
        (json!({"kind": "at", "at": "2026-01-31T23:58:59Z"}), "schedule.at", "is 1m ago"),
        (json!({"kind": "at", "at": "2036-02-01T16:00:00Z"}), "schedule.at", "more than ten years ahead"),
        (json!({"kind": "at", "at": "2026-03-08T02:30", "tz": "America/New_York"}), "schedule.at", "does not exist"),
        (json!({"kind": "at", "at": "2026-03-08T02:30", "tz": "Mars/Phobos"}), "schedule.tz", "not a time zone"),
        (json!({"kind": "at", "at": "2026-03-08", "expr": "x"}), "schedule", "\"expr\" is not a field"),
        (json!({"kind": "every"}), "schedule.everyMs", "missing"),
        (json!({"kind": "every", "everyMs": 59_999}), "schedule.everyMs", "59s999ms is too short"),
        (json!({"kind": "every", "everyMs": 0}), "schedule.everyMs", "too short"),
        (json!({"kind": "every", "everyMs": -5}), "schedule.everyMs", "-5 ms is not an interval"),
        (json!({"kind": "every", "everyMs": "10m"}), "schedule.everyMs", "not a number of milliseconds"),
        (json!({"kind": "every", "everyMs": 9e14}), "schedule.everyMs", "too long"),
        (json!({"kind": "every", "everyMs": 60_000, "anchorMs": -1}), "schedule.anchorMs", "between 1970"),
        (json!({"kind": "every", "everyMs": 60_000, "anchorMs": 9e14}), "schedule.anchorMs", "ten years ahead"),
        (json!({"kind": "every", "everyMs": 60_000, "staggerMs": 1}), "schedule", "\"staggerMs\" is not a field"),
        (json!({"kind": "cron"}), "schedule.expr", "missing"),
        (json!({"kind": "cron", "expr": ""}), "schedule.expr", "empty"),
        (json!({"kind": "cron", "expr": "* * * * * *"}), "schedule.expr", "as often as every 1s"),
        (json!({"kind": "cron", "expr": "0,30 0 9 * * *"}), "schedule.expr", "as often as every 30s"),
        (json!({"kind": "cron", "expr": "0 9 31 2 *"}), "schedule.expr", "would never run"),
        (json!({"kind": "cron", "expr": "30 2 8-14 3 +SUN", "tz": "America/New_York"}), "schedule.expr", "never run"),
        (json!({"kind": "cron", "expr": "0 7 * * *", "tz": "+02:00"}), "schedule.tz", "\"+02:00\" is not a time zone"),
        (json!({"kind": "cron", "expr": "0 7 * * *", "staggerMs": -1}), "schedule.staggerMs", "not a window"),
        (
            json!({"kind": "cron", "expr": "0 7 * * *", "staggerMs": 86_400_001}),
            "schedule.staggerMs",
            "more than a day",
        ),
    ] {
        let error = refused(&sent);
        assert_eq!(error.field, field, "{sent}: {error}");
        assert!(error.message.contains(message), "{sent}: {error}");
        assert!(!error.message.ends_with('.'), "{sent}: {error}");
        assert_eq!(FieldError::from(error).code, "invalid_schedule");
    }
}

#[test]
fn expressions_that_do_not_parse_are_refused_with_a_hint() {
    for (expr, hint) in [
        ("@reboot", "kind \"at\""),
        ("@every 5m", "kind \"every\""),
        ("@fortnightly", "the nicknames are"),
        ("0 9 * *", "this has 4"),
        ("/15 * * * *", "write */15"),
        ("5/15 * * * *", "5-59/15, not 5/15"),
        ("0 22-2 * * *", "22-23,0-2"),
        ("0 9 * * SUNDAY", "three letters"),
        ("60 * * * *", "minute 0-59"),
        ("0 ９ * * *", "minute 0-59"),
    ] {
        let error = refused(&json!({"kind": "cron", "expr": expr}));
        assert_eq!(error.field, "schedule.expr", "{expr}");
        assert!(error.hint.as_deref().is_some_and(|text| text.contains(hint)), "{expr}: {:?}", error.hint);
    }
    let long = vec!["0"; 200].join(",");
    assert!(refused(&json!({"kind": "cron", "expr": format!("{long} * * * *")})).message.contains("the limit is 256"));
}

#[test]
fn expressions_the_translation_table_calls_invalid_are_refused() {
    let file = vectors("cron-translate");
    for case in cases(&file, "cron-translate") {
        let (expr, why) = (case["cron"].as_str().unwrap(), case["why"].as_str().unwrap());
        let ours = stored_with_least(&json!({"kind": "cron", "expr": expr, "tz": "UTC"}), 1);
        let bad = why.starts_with("invalid") || why.starts_with("never fires");
        assert_eq!(ours.is_err(), bad, "{expr}: {why}");
    }
}

#[test]
fn the_least_interval_may_be_lowered() {
    let seconds = json!({"kind": "cron", "expr": "*/20 * * * * *"});
    assert!(stored_with_least(&seconds, 20_000).is_ok());
    assert!(stored_with_least(&seconds, 20_001).is_err());
    assert!(stored_with_least(&json!({"kind": "every", "everyMs": 1500}), 1000).is_ok());
    let over_midnight = json!({"kind": "cron", "expr": "0,50 59,0 23,0 * * *"});
    assert!(stored_with_least(&over_midnight, 10_000).is_ok());
    assert!(stored_with_least(&over_midnight, 10_001).is_err(), "23:59:50 to 00:00:00");
}

#[test]
fn a_cron_schedule_without_a_zone_follows_the_default() {
    let schedule = stored(&json!({"kind": "cron", "expr": "0 7 * * *"})).unwrap();
    let now = utc("2026-02-01T00:00:00Z");
    let berlin = Timetable::new(&schedule, "Europe/Berlin").unwrap();
    let tokyo = Timetable::new(&schedule, "Asia/Tokyo").unwrap();
    assert_eq!((berlin.zone(), berlin.next_after(now)), (Some("Europe/Berlin"), Some(utc("2026-02-01T06:00:00Z"))));
    assert_eq!((tokyo.zone(), tokyo.next_after(now)), (Some("Asia/Tokyo"), Some(utc("2026-02-01T22:00:00Z"))));
    assert_eq!(Timetable::new(&schedule, "Nowhere").unwrap_err().field, "schedule.tz");
}

#[test]
fn midnight_is_daily() {
    let now = utc("2026-02-01T12:00:00Z");
    assert_eq!(cron("@Midnight", "UTC").next_after(now), Some(utc("2026-02-02T00:00:00Z")));
}
