//! Reads jobs and runs that come from elsewhere: `OpenClaw`'s store, what its commands print, and our own export.
//!
//! Guarantee: a job is taken whole or not at all; what cannot be carried is named by path and reason, never dropped in
//! silence; nothing that is over is brought back to life, and a job that would do more here than it did there (its condition
//! cannot be carried) comes switched off. What is left after the foreign fields went is judged by the same rules as a new
//! job. It reads no files and writes nothing.
//!
//! Sources: `OpenClaw`'s job record and run log (releases 2026.2 to 2026.9, observed 2026-11), its documentation of
//! `openclaw doctor` for the older spellings.

use serde_json::{Map, Value, json};

use super::input::{Defaults, KNOWN, NAME_MAX, modern, parse_object};
use super::{Job, SessionTarget};
use crate::{FieldError, JobId};

mod foreign;
mod report;
mod runs;
mod schedule;
mod state;

pub use report::{Dropped, JobOutcome, JobReport, RefusedRun, RunsReport};
pub use runs::{PastRun, read_run};

/// Fields that mirror the state beside it, as newer releases print a job.
const MIRRORS: [&str; 8] = [
    "nextRunAtMs",
    "lastRunAtMs",
    "lastRunStatus",
    "lastRunError",
    "lastDelivered",
    "lastDeliveryStatus",
    "lastDeliveryError",
    "status",
];
/// A job from elsewhere, as far as it was understood.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its id there.
    pub source_id: Option<String>,
    /// Its id here.
    pub job_id: JobId,
    /// What people call it.
    pub name: String,
    /// The job, or everything that speaks against it.
    pub job: Result<Job, Vec<FieldError>>,
    /// What could not be carried.
    pub dropped: Vec<Dropped>,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// It said nothing of its wake mode, which is `now` there and `next-heartbeat` here.
    pub wake_assumed: bool,
    /// Its interval says where its grid begins.
    anchored: bool,
}

impl Incoming {
    /// Whether an interval says where its grid begins.
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// The fields in which `there` is defined differently. How a job fares is no part of its definition, nor is the phase of
    /// an interval that does not say its own.
    pub fn differences(&self, there: &Job) -> Vec<String> {
        let Ok(job) = &self.job else { return Vec::new() };
        let (mut one, mut other) = (definition(job), definition(there));
        if !self.anchored {
            for object in [&mut one, &mut other] {
                if let Some(Value::Object(schedule)) = object.get_mut("schedule") {
                    schedule.shift_remove("anchorMs");
                }
            }
        }
        let alone = other.keys().filter(|field| !one.contains_key(*field));
        let fields = one.keys().chain(alone).filter(|field| one.get(*field) != other.get(*field));
        fields.cloned().collect()
    }
}

/// A job's JSON without what changes while it lives.
fn definition(job: &Job) -> Map<String, Value> {
    let mut object = match serde_json::to_value(job) {
        Ok(Value::Object(object)) => object,
        // A job serialises to an object.
        Ok(_) | Err(_) => Map::new(),
    };
    for name in ["createdAtMs", "updatedAtMs", "state"] {
        object.shift_remove(name);
    }
    object
}

/// What was noticed on the way.
#[derive(Debug, Default)]
struct Log {
    dropped: Vec<Dropped>,
    notes: Vec<String>,
    faults: Vec<FieldError>,
}

impl Log {
    fn drop(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.dropped.push(Dropped { field: field.into(), reason: reason.into() });
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Whether a field says anything: a flag that is off and an empty list are no loss.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Reads one job.
pub fn read_job(input: &Value, defaults: &Defaults<'_>) -> Incoming {
    let mut log = Log::default();
    let object = match modern(input, "job") {
        Ok(object) => object,
        Err(fault) => {
            return Incoming {
                source_id: None,
                job_id: JobId::imported(&input.to_string()),
                name: String::new(),
                job: Err(vec![fault]),
                dropped: Vec::new(),
                notes: Vec::new(),
                wake_assumed: false,
                anchored: true,
            };
        }
    };
    let mut object = object;
    let wrapped = ["job", "data"].iter().find_map(|name| input.get(*name)).unwrap_or(input);
    if [input, wrapped].iter().any(|whole| whole.get("isolation").is_some_and(says_something)) {
        log.drop("isolation", "no release obeys it any more; the job's delivery says where its answer goes");
    }
    let (source_id, job_id) = identity(&object, &mut log);
    let mirrors = own_fields(&mut object, &mut log);
    let name = name(&mut object, &mut log);
    object.insert("jobId".to_owned(), json!(job_id));
    let wake_assumed = wake_mode(&mut object, &mut log);
    let over = schedule::carry(&mut object, defaults, &mut log);
    foreign::session(&mut object, &mut log);
    foreign::payload(&mut object, &mut log);
    foreign::delivery(&mut object, &mut log);
    foreign::alert(&mut object, &mut log);
    state::carry(&mut object, &mirrors, &mut log);
    let updated = object.get("updatedAtMs").and_then(Value::as_i64);
    let job = if log.faults.is_empty() {
        parse_object(&object, defaults, job_id.clone(), over.kept)
    } else {
        Err(std::mem::take(&mut log.faults))
    };
    let job = job.map(|mut job| {
        job.updated_at_ms = updated.unwrap_or(job.created_at_ms);
        job
    });
    if job.is_err() {
        log = Log::default();
    }
    Incoming {
        source_id,
        job_id,
        name: job.as_ref().map_or(name, |job| job.name.clone()),
        job,
        dropped: log.dropped,
        notes: log.notes,
        wake_assumed,
        anchored: over.anchored,
    }
}

/// The id there and the one here.
fn identity(object: &Map<String, Value>, log: &mut Log) -> (Option<String>, JobId) {
    let given = object.get("jobId").and_then(|id| match id {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        let id = JobId::imported(&text);
        if id.as_str() != text {
            log.note(format!("an id may have letters, digits and hyphens, at most 36: \"{text}\" is {id} here"));
        }
        return (Some(text), id);
    }
    // Without an id the definition is what tells jobs apart.
    let said: Vec<String> = ["name", "schedule", "payload"]
        .iter()
        .map(|name| object.get(*name).map(Value::to_string).unwrap_or_default())
        .collect();
    let digest = format!("no id\n{}", said.join("\n"));
    log.note("it has no id; the one it has here is made of its name, schedule and payload");
    (None, JobId::imported(&digest))
}

/// Takes out what is no field of a job here; gives the mirrors of the state.
fn own_fields(object: &mut Map<String, Value>, log: &mut Log) -> Map<String, Value> {
    let mut mirrors = Map::new();
    let names: Vec<String> = object.keys().filter(|name| !KNOWN.contains(&name.as_str())).cloned().collect();
    for name in names {
        let Some(value) = object.shift_remove(&name) else { continue };
        if MIRRORS.contains(&name.as_str()) {
            mirrors.insert(name, value);
        } else if name == "displayName" && !object.get("name").is_some_and(says_something) {
            object.insert("name".to_owned(), value);
        } else if name != "id" && says_something(&value) {
            if matches!(name.as_str(), "trigger" | "triggers") {
                log.note(
                    "it ran only when its trigger said so, which is not possible here: it is imported switched off, because \
                     it would run at every occurrence",
                );
                object.insert("enabled".to_owned(), json!(false));
            }
            log.drop(name.escape_debug().to_string(), foreign::why(&name));
        }
    }
    mirrors
}

fn name(object: &mut Map<String, Value>, log: &mut Log) -> String {
    let Some(Value::String(name)) = object.get_mut("name") else { return String::new() };
    let letters = name.trim().chars().count();
    if letters > NAME_MAX {
        *name = name.trim().chars().take(NAME_MAX).collect();
        log.note(format!("its name has {letters} characters and is cut to {NAME_MAX}"));
    }
    name.trim().to_owned()
}

/// Fills in a wake mode where there is none that counts: `now`, as the store's own default is. Whether it did, for a job
/// that cares.
fn wake_mode(object: &mut Map<String, Value>, log: &mut Log) -> bool {
    let word = object.get("wakeMode").and_then(Value::as_str).map(|word| word.trim().to_ascii_lowercase());
    if matches!(word.as_deref(), Some("now" | "next-heartbeat")) {
        return false;
    }
    if object.get("wakeMode").is_some_and(says_something) {
        log.drop("wakeMode", "it is neither now nor next-heartbeat; now is taken");
    }
    object.insert("wakeMode".to_owned(), json!("now"));
    true
}

/// Whether the job is for the main session, by what it says or by its payload.
fn is_main(object: &Map<String, Value>) -> bool {
    match object.get("sessionTarget").and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => SessionTarget::parse(text) == Some(SessionTarget::Main),
        Some(_) | None => object
            .get("payload")
            .and_then(Value::as_object)
            .and_then(super::input::kind_of)
            .is_some_and(|kind| kind == "systemevent"),
    }
}
