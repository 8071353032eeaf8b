//! Changes a job.
//!
//! Guarantee: a patch is laid over the job's own JSON and the result is judged as a whole, by the same rules as a new
//! job; a patch that is refused changes nothing. What is not named stays. An `at` that has passed is judged again only
//! when the patch names the schedule, or switches the job on.

use serde_json::{Map, Value, json};

use super::input::{Defaults, Faults, kind_of, modern, parse_object, zone_of};
use super::{Job, SessionTarget};
use crate::FieldError;
use crate::schedule::{Schedule, format_instant, resolve_at, stagger_ms};

/// Fields a patch cannot touch.
const FIXED: [&str; 5] = ["jobId", "createdAtMs", "updatedAtMs", "declarationKey", "state"];
/// Fields that have no default to fall back to.
const NEEDED: [&str; 5] = ["name", "enabled", "schedule", "sessionTarget", "payload"];

/// A job after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The job.
    pub job: Job,
    /// Whether it now runs at other times than before.
    pub timing_changed: bool,
}

/// Lays `patch` over `job`. `null` clears what may be empty; payload (of the same kind), batch, delivery, failure alert and
/// budget are merged field by field; a schedule that names its kind replaces the old one but for an interval's anchor and a
/// stagger that was asked for, one that does not is merged into it.
pub fn apply(job: &Job, patch: &Value, defaults: &Defaults<'_>) -> Result<Patched, Vec<FieldError>> {
    let patch = modern(patch, "patch").map_err(|fault| vec![fault])?;
    let mut faults = Faults::default();
    let own_id = json!(job.job_id);
    for name in FIXED.iter().filter(|name| patch.get(**name).is_some_and(|value| *value != own_id)) {
        faults.say("invalid_field", *name, format!("{name} cannot be changed"));
    }
    for name in NEEDED.iter().filter(|name| patch.get(**name).is_some_and(Value::is_null)) {
        faults.say("invalid_field", *name, format!("{name} cannot be cleared"));
    }
    faults.none(Some(()))?;
    let mut object = definition(job);
    for (name, value) in &patch {
        match (name.as_str(), value) {
            (fixed, _) if FIXED.contains(&fixed) => {}
            ("schedule", Value::Object(change)) => {
                object.insert(name.clone(), merge_schedule(job, change));
            }
            ("payload", Value::Object(change)) => merge_payload(&mut object, change),
            ("delivery", Value::Null) => {
                object.shift_remove("delivery");
            }
            ("delivery" | "failureAlert" | "budget", Value::Object(change)) => merge_at(&mut object, name, change),
            _ => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
    let to_main = object.get("sessionTarget").and_then(Value::as_str).and_then(SessionTarget::parse);
    if to_main == Some(SessionTarget::Main) && !patch.contains_key("delivery") {
        object.shift_remove("delivery");
    }
    if !patch.contains_key("deleteAfterRun") && job.delete_after_run == is_at(&job.schedule) {
        object.shift_remove("deleteAfterRun");
    }
    let kept = (!patch.contains_key("schedule")).then(|| job.schedule.clone());
    let changed = parse_object(&object, defaults, job.job_id.clone(), kept)?;
    if changed.enabled && !job.enabled && is_over(&changed.schedule, defaults) {
        let fault = FieldError::new("invalid_schedule", "schedule.at", "the job's time has passed");
        return Err(vec![fault.hint("give it a new schedule.at, or run it now")]);
    }
    Ok(onto(job, changed, defaults))
}

/// The job that `declared` makes of `job`, which was added under the same declaration key. Whether it is switched on, and
/// the phase of its interval, stay unless the declaration names them.
pub fn redeclare(job: &Job, declared: &Value, defaults: &Defaults<'_>) -> Result<Patched, Vec<FieldError>> {
    let mut object = modern(declared, "job").map_err(|fault| vec![fault])?;
    if object.get("jobId").is_some_and(|id| !id.is_null() && *id != json!(job.job_id)) {
        let message = format!("the declaration key belongs to job {}", job.job_id);
        return Err(vec![FieldError::new("invalid_field", "declarationKey", message)]);
    }
    object.shift_remove("createdAtMs");
    object.shift_remove("state");
    if object.get("enabled").is_none_or(Value::is_null) {
        object.insert("enabled".to_owned(), json!(job.enabled));
    }
    let mut kept = None;
    if let Some(Value::Object(schedule)) = object.get_mut("schedule") {
        match &job.schedule {
            Schedule::Every { every_ms, anchor_ms }
                if schedule.get("everyMs").and_then(Value::as_u64) == Some(*every_ms) =>
            {
                schedule.entry("anchorMs").or_insert_with(|| json!(anchor_ms));
            }
            Schedule::At { at, .. } => {
                let text = schedule.get("at").and_then(Value::as_str).unwrap_or_default();
                let instant = resolve_at(text, schedule.get("tz").and_then(Value::as_str), defaults.now);
                kept = instant.ok().filter(|instant| format_instant(*instant) == *at).map(|_| job.schedule.clone());
            }
            Schedule::Every { .. } | Schedule::Cron { .. } => {}
        }
    }
    let declared = parse_object(&object, defaults, job.job_id.clone(), kept)?;
    Ok(onto(job, declared, defaults))
}

/// `changed` with what belongs to the stored job and not to its definition.
fn onto(job: &Job, mut changed: Job, defaults: &Defaults<'_>) -> Patched {
    changed.created_at_ms = job.created_at_ms;
    changed.declaration_key.clone_from(&job.declaration_key);
    changed.state = job.state.clone();
    if changed.enabled && !job.enabled {
        changed.state.auto_disabled = None;
        changed.state.consecutive_errors = 0;
        changed.state.consecutive_skipped = 0;
    }
    let zone = |job: &Job| job.follows_a_zone().then(|| zone_of(defaults.config, job.agent_id.as_deref()));
    let timing_changed = changed.schedule != job.schedule
        || changed.enabled != job.enabled
        || zone(&changed) != zone(job)
        || changed.wanted_by() != job.wanted_by();
    Patched { job: changed, timing_changed }
}

/// The job as somebody would have to write it today.
fn definition(job: &Job) -> Map<String, Value> {
    let mut object = match serde_json::to_value(job) {
        Ok(Value::Object(object)) => object,
        // A job serialises to an object; an empty one is refused for its missing fields.
        Ok(_) | Err(_) => Map::new(),
    };
    for name in FIXED {
        object.shift_remove(name);
    }
    object
}

fn is_at(schedule: &Schedule) -> bool {
    matches!(schedule, Schedule::At { .. })
}

/// Whether a one-shot's time is over, by more than what a new one may be late.
fn is_over(schedule: &Schedule, defaults: &Defaults<'_>) -> bool {
    let Schedule::At { at, .. } = schedule else { return false };
    resolve_at(at, None, defaults.now).is_ok_and(|at| at < defaults.now - chrono::TimeDelta::seconds(60))
}

fn merge_schedule(job: &Job, change: &Map<String, Value>) -> Value {
    let own = match serde_json::to_value(&job.schedule) {
        Ok(Value::Object(own)) => own,
        Ok(_) | Err(_) => Map::new(),
    };
    let named = change.get("kind").and_then(Value::as_str).map(|kind| kind.trim().to_ascii_lowercase());
    let told = [("at", "at"), ("atMs", "at"), ("everyMs", "every"), ("expr", "cron")];
    let has = |name: &str| change.get(name).is_some_and(|value| !value.is_null());
    let kind = named.clone().or_else(|| told.iter().find(|(field, _)| has(field)).map(|(_, kind)| (*kind).to_owned()));
    let same = kind.as_deref().is_none_or(|kind| own.get("kind").is_some_and(|own| own == kind));
    let mut merged = if same && named.is_none() { own.clone() } else { Map::new() };
    if has("atMs") {
        merged.shift_remove("at");
    }
    for (name, value) in change {
        merged.insert(name.clone(), value.clone());
    }
    match &job.schedule {
        Schedule::Every { anchor_ms, .. } if same => {
            merged.entry("anchorMs").or_insert_with(|| json!(anchor_ms));
        }
        Schedule::Cron { stagger_ms: own_stagger, .. } if same && !change.contains_key("staggerMs") => {
            if asked_for_stagger(&job.schedule) {
                merged.insert("staggerMs".to_owned(), json!(own_stagger));
            } else {
                merged.shift_remove("staggerMs");
            }
        }
        _ if kind.as_deref() == Some("every") => {
            merged.entry("anchorMs").or_insert_with(|| json!(job.created_at_ms));
        }
        Schedule::At { .. } | Schedule::Every { .. } | Schedule::Cron { .. } => {}
    }
    Value::Object(merged)
}

/// Whether a stagger is somebody's wish rather than the default of its expression.
fn asked_for_stagger(schedule: &Schedule) -> bool {
    let Schedule::Cron { expr, stagger_ms: Some(own), .. } = schedule else { return false };
    *own != stagger_ms(&Schedule::Cron { expr: expr.clone(), tz: None, stagger_ms: None })
}

fn merge_payload(object: &mut Map<String, Value>, change: &Map<String, Value>) {
    let own = object.get("payload").and_then(Value::as_object);
    let same = kind_of(change).is_none_or(|kind| own.and_then(kind_of) == Some(kind));
    let unknown_kind = change.get("kind").is_some_and(|kind| !kind.is_null() && !kind.is_string());
    if same && !unknown_kind {
        let change = change.iter().filter(|(name, _)| name.as_str() != "kind");
        merge_at(object, "payload", &change.map(|(name, value)| (name.clone(), value.clone())).collect());
    } else {
        object.insert("payload".to_owned(), Value::Object(change.clone()));
    }
}

/// Lays `change` over the object at `name`, field by field, objects below likewise; puts it there where there is none.
fn merge_at(object: &mut Map<String, Value>, name: &str, change: &Map<String, Value>) {
    match object.get_mut(name) {
        Some(Value::Object(own)) => {
            for (field, value) in change {
                match value {
                    Value::Object(inner) => merge_at(own, field, inner),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                        own.insert(field.clone(), value.clone());
                    }
                }
            }
        }
        Some(_) | None => {
            object.insert(name.to_owned(), Value::Object(change.clone()));
        }
    }
}
