//! Files and folders.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Haul, SQLITE, database, merge_states};
use crate::error::ExpectedError;

/// How `OpenClaw` renames what it took into its database (its documentation of `openclaw doctor --fix`).
const MIGRATED: &str = ".migrated";

/// Reads everything at `files`, and the runs at `runs`.
pub(crate) fn gather(files: &[PathBuf], runs: &[PathBuf]) -> Result<Haul, ExpectedError> {
    let mut haul = Haul::default();
    for path in files {
        read(&mut haul, path)?;
    }
    let jobs = haul.jobs.len();
    for path in runs {
        read(&mut haul, path)?;
    }
    let more = haul.jobs.len() - jobs;
    if more > 0 {
        haul.notes.push(format!("of what --runs names only runs are taken, so {more} jobs found there are left out"));
        haul.jobs.truncate(jobs);
    }
    Ok(haul)
}

fn read(haul: &mut Haul, path: &Path) -> Result<(), ExpectedError> {
    if path.is_dir() { folder(haul, path) } else { file(haul, path) }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ExpectedError {
    let path = path.to_owned();
    |source| ExpectedError::ReadFile { path, source }
}

fn file(haul: &mut Haul, path: &Path) -> Result<(), ExpectedError> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map_err(failed(path))?;
    } else {
        bytes = std::fs::read(path).map_err(failed(path))?;
    }
    if bytes.starts_with(SQLITE) {
        return database::read(haul, path);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        failed(path)(source)
    })?;
    haul.read(&text, path, log_of(path))
}

/// The job whose run log a file is: logs are called `<jobId>.jsonl`.
fn log_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(MIGRATED).unwrap_or(name).strip_suffix(".jsonl")
}

/// An `OpenClaw` folder, its cron folder, or a folder of run logs.
fn folder(haul: &mut Haul, path: &Path) -> Result<(), ExpectedError> {
    let (database, cron) = (path.join("state").join("openclaw.sqlite"), path.join("cron"));
    if database.is_file() {
        if cron.join("jobs.json").is_file() {
            haul.notes.push(format!(
                "{} is left out: {} is what the gateway works with since its release 2026.6",
                cron.join("jobs.json").display(),
                database.display()
            ));
        }
        return database::read(haul, &database);
    }
    if cron.is_dir() {
        return folder(haul, &cron);
    }
    let (jobs, states) = (path.join("jobs.json"), path.join("jobs-state.json"));
    if jobs.is_file() {
        let before = haul.jobs.len();
        file(haul, &jobs)?;
        if states.is_file() {
            let text = std::fs::read_to_string(&states).map_err(failed(&states))?;
            let states: Value = serde_json::from_str(&text)
                .map_err(|source| ExpectedError::ParseFile { path: states.clone(), source })?;
            merge_states(&mut haul.jobs[before..], &states);
        }
        let runs = path.join("runs");
        return if runs.is_dir() { logs(haul, &runs).map(|_| ()) } else { Ok(()) };
    }
    if logs(haul, path)? > 0 {
        return Ok(());
    }
    let fossil = path.join("jobs.json.migrated");
    let hint = if fossil.is_file() {
        format!(
            "its jobs went to a database: give the folder above it, or {} for how they stood before",
            fossil.display()
        )
    } else {
        "give ~/.openclaw, ~/.openclaw/cron, a folder of run logs (*.jsonl), or a file".to_owned()
    };
    Err(ExpectedError::usage_hint(format!("{} holds neither jobs nor run logs", path.display()), hint))
}

/// The run logs of a folder, by name; how many there are. One that was taken into the database stands there no more.
fn logs(haul: &mut Haul, path: &Path) -> Result<usize, ExpectedError> {
    let entries = std::fs::read_dir(path).map_err(failed(path))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(failed(path))?;
    paths.retain(|path| path.is_file() && log_of(path).is_some());
    paths.sort();
    for path in &paths {
        file(haul, path)?;
    }
    Ok(paths.len())
}
