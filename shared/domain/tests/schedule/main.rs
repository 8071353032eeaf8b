//! Schedules against recorded results and generated expressions.
//!
//! The files under `vectors/` are results of running real programs: `OpenClaw` 2026.9.6 (`schedule-next`, `durations`),
//! croner 4.0.3 (`croner-rust-next`), and a hand-checked translation table (`cron-translate`).

mod aws_cron;
mod decade;
mod durations;
mod generate;
mod next;
mod normalize;
mod preview;
mod properties;
mod translate;

use chrono::{DateTime, Utc};
use nightshift_domain::schedule::{Schedule, Timetable};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn cases<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{name} is not a list"))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn millis(value: &Value) -> Option<DateTime<Utc>> {
    value.as_i64().and_then(DateTime::from_timestamp_millis)
}

fn cron(expr: &str, tz: &str) -> Timetable {
    let schedule = Schedule::Cron { expr: expr.to_owned(), tz: Some(tz.to_owned()), stagger_ms: None };
    Timetable::new(&schedule, "UTC").unwrap_or_else(|error| panic!("{expr} in {tz}: {error}"))
}

/// The recorded cases are the proof; one that gets lost would not be missed.
#[test]
fn no_recorded_case_is_lost() {
    let count = |name: &str, list: &str| {
        let file = vectors(name);
        cases(if list.is_empty() { &file } else { &file[list] }, name).len()
    };
    assert_eq!(count("schedule-next", "cases"), 104);
    assert_eq!(count("schedule-next", "stagger"), 9);
    assert_eq!(count("schedule-next", "defaultStagger"), 4);
    assert_eq!(count("schedule-next", "jobNext"), 4);
    assert_eq!(count("croner-rust-next", ""), 56);
    assert_eq!(count("cron-translate", ""), 66);
    assert_eq!(count("normalize", "cases"), 39);
    assert_eq!(count("durations", "cases"), 16);
}
