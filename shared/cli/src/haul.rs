//! What there is to import, from files, folders and databases.
//!
//! Guarantee: what a file is is told by its content, never by its name; a line that cannot be read is named with its file and
//! place and does not stand in the way of the rest. It judges no job and no run: that is the API's to do.

use std::collections::BTreeMap;
use std::path::Path;

use nightshift_wire::RefusedRun;
use serde_json::{Map, Value};

use crate::error::ExpectedError;

mod database;
mod folder;

pub(crate) use folder::gather;

/// How an `SQLite` file begins (`SQLite` documentation, "Database File Format", the header string).
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    /// Jobs, as they stand there.
    pub(crate) jobs: Vec<Value>,
    /// Runs, and where they stand.
    pub(crate) runs: Vec<Line>,
    /// What could not be read.
    pub(crate) refused: Vec<RefusedRun>,
    /// Remarks.
    pub(crate) notes: Vec<String>,
}

/// A run and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) entry: Value,
    pub(crate) file: String,
    /// From 1; `None` where the file has no lines.
    pub(crate) number: Option<u64>,
}

impl Haul {
    /// Takes what a text holds. `file` is what it is called, `job` the job whose run log it is by its name.
    fn read(&mut self, text: &str, file: &Path, job: Option<&str>) -> Result<(), ExpectedError> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(());
        }
        match serde_json::from_str::<Value>(text) {
            Ok(document) => self.take(document, file, job),
            // A log of one object per line is no JSON document; whether it is one, its first line tells.
            Err(_) if is_object(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()) => {
                self.lines(text, file, job);
                Ok(())
            }
            Err(source) => Err(ExpectedError::ParseFile { path: file.to_owned(), source }),
        }
    }

    fn lines(&mut self, text: &str, file: &Path, job: Option<&str>) {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = u64::try_from(index + 1).ok();
            match serde_json::from_str::<Value>(line) {
                Ok(value) => self.item(value, file, number, job),
                Err(error) => self.refused.push(RefusedRun {
                    line: number,
                    file: Some(file.display().to_string()),
                    reason: format!("it is not JSON from column {} on", error.column()),
                }),
            }
        }
    }

    /// Takes a whole JSON document.
    fn take(&mut self, document: Value, file: &Path, job: Option<&str>) -> Result<(), ExpectedError> {
        match document {
            Value::Array(items) => {
                for item in items {
                    self.item(item, file, None, job);
                }
            }
            Value::Object(map) if map.contains_key("schedule") || map.contains_key("payload") => {
                self.jobs.push(Value::Object(map));
            }
            Value::Object(mut map) => {
                let jobs = map.shift_remove("jobs");
                // A page of our own runs has them under both names.
                let runs = map.shift_remove("entries").or_else(|| map.shift_remove("runs"));
                match (jobs, runs) {
                    (Some(Value::Object(_)), _) => {
                        return Err(ExpectedError::usage_hint(
                            format!("{} holds only how jobs fared, not the jobs", file.display()),
                            "give its folder, or the jobs.json beside it",
                        ));
                    }
                    (None, None) => self.item(Value::Object(map), file, Some(1), job),
                    (jobs, runs) => {
                        self.jobs.extend(items(jobs));
                        for run in items(runs) {
                            self.run(run, file, None, job);
                        }
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(ExpectedError::usage_hint(
                    format!("{} is JSON, but holds neither jobs nor runs", file.display()),
                    "give a jobs.json, a run log, or what `openclaw cron list --all --json` prints",
                ));
            }
        }
        Ok(())
    }

    /// Takes one thing of a list: a run where it has what only runs have, else a job.
    fn item(&mut self, item: Value, file: &Path, line: Option<u64>, job: Option<&str>) {
        let has = |name: &str| item.get(name).is_some_and(|value| !value.is_null());
        let is_job = has("schedule") || has("payload") || has("job") || has("data");
        if !is_job && (job.is_some() || has("action") || has("ts") || has("runAtMs")) {
            self.run(item, file, line, job);
        } else {
            self.jobs.push(item);
        }
    }

    fn run(&mut self, mut entry: Value, file: &Path, line: Option<u64>, job: Option<&str>) {
        if let (Value::Object(map), Some(job)) = (&mut entry, job)
            && map.get("jobId").is_none_or(Value::is_null)
        {
            map.insert("jobId".to_owned(), Value::from(job));
        }
        self.runs.push(Line { entry, file: file.display().to_string(), number: line });
    }
}

fn items(list: Option<Value>) -> Vec<Value> {
    match list {
        Some(Value::Array(items)) => items,
        Some(Value::Null) | None => Vec::new(),
        // Something else is the API's to refuse, by name.
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))) => vec![other],
    }
}

fn is_object(line: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(line).is_ok()
}

/// Lays how jobs fared over the jobs: releases of spring 2026 kept it in a file of its own, `jobs-state.json`, by job id
/// (`OpenClaw` pull request 63105).
fn merge_states(jobs: &mut [Value], states: &Value) {
    let Some(states) = states.get("jobs").and_then(Value::as_object) else { return };
    let by_id: BTreeMap<&str, &Value> = states.iter().map(|(id, state)| (id.as_str(), state)).collect();
    for job in jobs {
        let id = ["id", "jobId"].iter().find_map(|name| job.get(*name)?.as_str());
        let Some(beside) = id.and_then(|id| by_id.get(id)) else { continue };
        let state = beside.get("state").filter(|state| state.is_object()).unwrap_or(beside);
        merge_state(job, state);
    }
}

/// Lays `state` over the state of `job`.
fn merge_state(job: &mut Value, state: &Value) {
    let (Value::Object(job), Some(state)) = (job, state.as_object()) else { return };
    let own = job.entry("state").or_insert_with(|| Value::Object(Map::new()));
    if !own.is_object() {
        *own = Value::Object(Map::new());
    }
    if let Value::Object(own) = own {
        for (name, value) in state {
            own.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
