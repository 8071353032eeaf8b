//! Schedules from elsewhere.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{Log, says_something};
use crate::FieldError;
use crate::job::input::{Defaults, zone_of};
use crate::schedule::{NormalizeContext, Schedule, ScheduleInput, format_instant, normalize, resolve_at};

/// An `at` up to this long past still runs, as for a new job.
const LEAST_PAST: TimeDelta = TimeDelta::seconds(60);

/// What is known of a schedule beside its fields.
pub(super) struct Carried {
    /// A schedule that is over, which is not judged again.
    pub(super) kept: Option<Schedule>,
    /// An interval that says where its grid begins.
    pub(super) anchored: bool,
}

/// Makes `object`'s schedule one of ours.
pub(super) fn carry(object: &mut Map<String, Value>, defaults: &Defaults<'_>, log: &mut Log) -> Carried {
    let mut carried = Carried { kept: None, anchored: true };
    let created = object.get("createdAtMs").and_then(Value::as_i64).filter(|at| *at >= 0);
    let agent = object.get("agentId").and_then(Value::as_str).map(str::to_owned);
    let Some(Value::Object(schedule)) = object.get_mut("schedule") else { return carried };
    // The first releases wrote `cron` for `expr` (`OpenClaw`, documentation of doctor: "schedule.cron to schedule.expr").
    if let Some(expr) = schedule.shift_remove("cron") {
        schedule.entry("expr").or_insert(expr);
    }
    let Some(kind) = kind(schedule) else { return carried };
    let fields: &[&str] = match kind.as_str() {
        "at" => &["kind", "at", "atMs", "tz"],
        "every" => &["kind", "everyMs", "anchorMs"],
        "cron" => &["kind", "expr", "tz", "staggerMs"],
        other => {
            log.faults.push(unscheduled(other));
            return carried;
        }
    };
    let names: Vec<String> = schedule.keys().filter(|name| !fields.contains(&name.as_str())).cloned().collect();
    for name in names {
        if schedule.shift_remove(&name).is_some_and(|value| says_something(&value)) {
            let shown = name.escape_debug();
            log.drop(format!("schedule.{shown}"), format!("it means nothing for a schedule of kind {kind}"));
        }
    }
    match kind.as_str() {
        "every" if !schedule.get("anchorMs").is_some_and(says_something) => match created {
            // What the source itself falls back to.
            Some(created) => {
                schedule.insert("anchorMs".to_owned(), json!(created));
            }
            None => carried.anchored = false,
        },
        "cron" if !schedule.get("tz").is_some_and(says_something) => {
            let zone = zone_of(defaults.config, agent.as_deref());
            log.note(format!(
                "its schedule names no time zone: where it comes from, that was the zone of the machine; here it is {zone} \
                 (agents.<id>.timezone or cron.timezone in the configuration)"
            ));
        }
        "at" => {
            carried.kept = past(schedule, defaults);
            if let Some(Schedule::At { at, .. }) = &carried.kept {
                retire(object, at, log);
            }
        }
        _ => {}
    }
    carried
}

/// Switches off a job whose only time is over.
fn retire(object: &mut Map<String, Value>, at: &str, log: &mut Log) {
    let ran = |state: &Map<String, Value>| state.get("lastRunAtMs").is_some_and(says_something);
    let ran = object.get("state").and_then(Value::as_object).is_some_and(ran);
    let off = match object.get("enabled") {
        Some(Value::Bool(on)) => !on,
        Some(Value::String(text)) => text.trim().eq_ignore_ascii_case("false"),
        Some(_) | None => false,
    };
    if off {
        return;
    }
    object.insert("enabled".to_owned(), json!(false));
    log.note(if ran {
        format!("its time, {at}, is over and it has had its run: it is kept, switched off")
    } else {
        format!("its time, {at}, was over before it came here: it is kept, switched off, and will not run")
    });
}

/// The kind a schedule says, or its fields tell.
fn kind(schedule: &Map<String, Value>) -> Option<String> {
    match schedule.get("kind") {
        Some(Value::String(kind)) => Some(kind.trim().to_ascii_lowercase()),
        Some(Value::Null) | None => {
            let told = [("at", "at"), ("atMs", "at"), ("everyMs", "every"), ("expr", "cron")];
            let found = told.iter().find(|(field, _)| schedule.get(*field).is_some_and(|value| !value.is_null()));
            found.map(|(_, kind)| (*kind).to_owned())
        }
        // Refused as it stands.
        Some(_) => None,
    }
}

/// A one-shot whose time is over, as it was when it could still be asked for.
fn past(schedule: &Map<String, Value>, defaults: &Defaults<'_>) -> Option<Schedule> {
    let input = ScheduleInput::from_json(&Value::Object(schedule.clone())).ok()?;
    let ScheduleInput::At { at, tz } = &input else { return None };
    // A duration would count from now; a stored job has an instant.
    let instant: DateTime<Utc> = resolve_at(at, tz.as_deref().filter(|tz| !tz.trim().is_empty()), defaults.now).ok()?;
    if instant >= defaults.now - LEAST_PAST {
        return None;
    }
    let context = NormalizeContext { now: instant, default_tz: "UTC", min_interval_ms: 1 };
    let schedule = normalize(input, &context).ok();
    schedule.or_else(|| Some(Schedule::At { at: format_instant(instant), tz: None }))
}

fn unscheduled(kind: &str) -> FieldError {
    let shown = kind.escape_debug();
    let message = match kind {
        "on-exit" | "onexit" => {
            "a job that runs when a command exits has no place here: nothing of it runs on this machine"
        }
        "stream" | "stream-command" => "a job that runs for each line of a command's output has no place here",
        _ => {
            return FieldError::new(
                "invalid_schedule",
                "schedule.kind",
                format!("\"{shown}\" is not a kind of schedule"),
            )
            .hint("the kinds are at, every and cron");
        }
    };
    FieldError::new("not_available", "schedule.kind", message)
        .hint("give it a schedule of kind cron or every, or keep it where it is")
}
